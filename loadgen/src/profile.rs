//! Which book the next order is for: the profile's name, as it is typed and printed.
//!
//! A profile has a hot set: the books that it makes hot at a moment. Requests are told apart by whether their book was
//! in it when they were due: what a hot book makes of its neighbours is seen in the latency of the others.

use core::{fmt, str::FromStr, time::Duration};

/// How orders are spread over the books.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Profile {
    /// Every book alike; no hot set.
    Calm,
    /// The book of rank r gets a share in proportion to 1 / r^S. Ranks are dealt to the books by the seed. The hot set
    /// is the book of rank 1.
    Zipf {
        /// S; 0 is [`Calm`](Self::Calm), 1 is the textbook's skew.
        exponent: f64,
    },
    /// One book gets this share of all orders, the others share the rest alike. The hot set is that book.
    Hot {
        /// Above 0, at most 100.
        percent: f64,
        /// How long a book is the hot one, before another is; `None`: always.
        period: Option<Duration>,
    },
    /// Zipf with exponent 1, and every so often the ten hottest books change places with ten others. The hot set is
    /// those ten.
    HotSwap {
        /// How long a set of hot books lasts.
        period: Duration,
    },
    /// Nine tenths as under Zipf with exponent 1; one tenth in eruptions of names that were cold: 300 orders
    /// within a millisecond, or 2,000 to 8,000 within a second. That is what real US equities do: over a full
    /// NASDAQ day the hottest seconds of the feed belong to names far down the day's ranking. The hot set is the
    /// book that erupted last.
    Burst,
}

/// What was wrong with a profile's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileError {
    text: String,
    problem: &'static str,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "profile \"{}\": {}; known are calm, zipf:S (zipf:1.0), hot:K% (hot:70%), hot-swap:T (hot-swap:10ms), \
             hot:K%,hot-swap:T (hot:80%,hot-swap:100ms) and burst",
            self.text, self.problem
        )
    }
}

impl core::error::Error for ProfileError {}

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let error = |problem| ProfileError { text: text.to_owned(), problem };
        if let Some((one, other)) = text.split_once(',') {
            let part = |text: &str| text.parse::<Self>().map_err(|part: ProfileError| error(part.problem));
            return match (part(one)?, part(other)?) {
                (Self::Hot { percent, period: None }, Self::HotSwap { period })
                | (Self::HotSwap { period }, Self::Hot { percent, period: None }) => {
                    Ok(Self::Hot { percent, period: Some(period) })
                }
                _ => Err(error("only hot:K% and hot-swap:T go together")),
            };
        }
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        match (name, argument) {
            ("calm", None) => Ok(Self::Calm),
            ("burst", None) => Ok(Self::Burst),
            ("calm" | "burst", Some(_)) => Err(error("it takes no argument")),
            ("zipf", Some(s)) => match s.parse::<f64>() {
                Ok(exponent) if (0.0..=5.0).contains(&exponent) => Ok(Self::Zipf { exponent }),
                _ => Err(error("the exponent must be a number from 0 to 5")),
            },
            ("zipf", None) => Err(error("the exponent is missing, as in zipf:1.0")),
            ("hot", Some(k)) => match k.strip_suffix('%').map(str::parse::<f64>) {
                Some(Ok(percent)) if percent > 0.0 && percent <= 100.0 => {
                    Ok(Self::Hot { percent, period: None })
                }
                Some(_) => Err(error("the share must be above 0% and at most 100%")),
                None => Err(error("the share must end in %")),
            },
            ("hot", None) => Err(error("the share of the one hot book is missing, as in hot:70%")),
            ("hot-swap", Some(t)) => match parse_duration(t) {
                Some(period) if !period.is_zero() => Ok(Self::HotSwap { period }),
                _ => Err(error("the period must be a number above 0 with its unit: us, ms or s")),
            },
            ("hot-swap", None) => Err(error("the period is missing, as in hot-swap:10ms")),
            _ => Err(error("there is none of that name")),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calm => f.write_str("calm"),
            Self::Zipf { exponent } => write!(f, "zipf:{exponent}"),
            Self::Hot { percent, period: None } => write!(f, "hot:{percent}%"),
            Self::Hot { percent, period: Some(period) } => {
                write!(f, "hot:{percent}%,{}", Self::HotSwap { period: *period })
            }
            Self::HotSwap { period } => {
                let us = period.as_micros();
                if us.is_multiple_of(1_000_000) {
                    write!(f, "hot-swap:{}s", us / 1_000_000)
                } else if us.is_multiple_of(1_000) {
                    write!(f, "hot-swap:{}ms", us / 1_000)
                } else {
                    write!(f, "hot-swap:{us}us")
                }
            }
            Self::Burst => f.write_str("burst"),
        }
    }
}

/// A whole number with its unit.
fn parse_duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok()?;
    match unit {
        "us" => Some(Duration::from_micros(number)),
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_parses_back() {
        for text in [
            "calm",
            "zipf:1",
            "zipf:0.8",
            "hot:70%",
            "hot:99.5%",
            "hot:80%,hot-swap:100ms",
            "hot-swap:10ms",
            "hot-swap:250us",
            "burst",
        ] {
            assert_eq!(text.parse::<Profile>().unwrap().to_string(), text);
        }
        let period = Some(Duration::from_millis(5));
        assert_eq!("hot-swap:5ms,hot:80%".parse(), Ok(Profile::Hot { percent: 80.0, period }));
        assert_eq!("hot-swap:2s".parse(), Ok(Profile::HotSwap { period: Duration::from_secs(2) }));
        assert_eq!("zipf:1.0".parse(), Ok(Profile::Zipf { exponent: 1.0 }));
    }

    #[test]
    fn errors_name_the_text_the_problem_and_the_choices() {
        for (text, problem) in [
            ("", "none of that name"),
            ("warm", "none of that name"),
            ("calm:1", "no argument"),
            ("zipf", "exponent is missing"),
            ("zipf:x", "number from 0 to 5"),
            ("zipf:-1", "number from 0 to 5"),
            ("zipf:NaN", "number from 0 to 5"),
            ("hot:70", "end in %"),
            ("hot:0%", "above 0%"),
            ("hot:101%", "at most 100%"),
            ("hot-swap:10", "with its unit"),
            ("hot:80%,hot-swap:10", "with its unit"),
            ("hot:80%,", "none of that name"),
            ("hot:80%,hot:20%", "go together"),
            ("hot:80%,burst", "go together"),
            ("zipf:1,hot-swap:1s", "go together"),
            ("hot:80%,hot-swap:1s,hot-swap:2s", "go together"),
            ("hot-swap:0ms", "above 0"),
            ("hot-swap:99999999999999999999s", "above 0"),
        ] {
            let said = text.parse::<Profile>().unwrap_err().to_string();
            assert!(said.contains(&format!("\"{text}\"")), "{said}");
            assert!(said.contains(problem), "{said}");
            assert!(said.contains("hot-swap:10ms"), "{said}");
        }
    }
}
