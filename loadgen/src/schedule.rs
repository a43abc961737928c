//! When orders are due.
//!
//! An open loop decides the time of every order before the run begins: order i is due at `i / rate`, whatever
//! the exchange does, and its latency counts from there. A generator that waits for answers before it sends
//! leaves out just those orders that a stall would have hit ("coordinated omission", Gil Tene, "How NOT to
//! Measure Latency"). Times are nanoseconds since the run's start.

use crate::book_choice::{BookChoice, Eruption};

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Of all orders, how many belong to eruptions under the burst profile: one in so many.
const ERUPTION_SHARE: u64 = 10;

/// An order to come: when it is due, and for which book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Nanoseconds since the start.
    pub(crate) at: u64,
    /// The book's index.
    pub(crate) book: usize,
}

/// Even times at a rate: the i-th is `floor(i * 10^9 / rate)`, so no rounding adds up.
#[derive(Clone, Debug)]
struct Even {
    rate: u64,
    index: u64,
    origin: u64,
}

impl Even {
    fn new(rate: u64, origin: u64) -> Self {
        Self { rate: rate.max(1), index: 0, origin }
    }

    fn peek(&self) -> u64 {
        let offset = u128::from(self.index) * u128::from(SECOND) / u128::from(self.rate);
        self.origin.saturating_add(u64::try_from(offset).unwrap_or(u64::MAX))
    }

    fn advance(&mut self) {
        self.index += 1;
    }
}

/// One eruption under way.
#[derive(Clone, Debug)]
struct Erupting {
    times: Even,
    left: u64,
    book: usize,
}

/// The order of arrivals: an even background, and under the burst profile eruptions laid over it.
///
/// In an open loop the times are real. In a closed loop no order has a due time; then the same arrivals are
/// walked at a nominal rate, which decides only how background and eruptions interleave.
#[derive(Debug)]
pub(crate) struct Schedule {
    background: Even,
    eruption: Option<Erupting>,
    eruptions: Option<Eruptions>,
}

/// When the next eruption begins, so that eruptions make up their share of the rate over time.
#[derive(Debug)]
struct Eruptions {
    rate: u64,
    next_at: u64,
}

impl Schedule {
    /// Arrivals at `rate` a second in all.
    pub(crate) fn new(rate: u64, books: &BookChoice) -> Self {
        let bursts = books.erupts();
        let eruption_rate = (rate / ERUPTION_SHARE).max(1);
        Self {
            background: Even::new(if bursts { (rate - rate / ERUPTION_SHARE).max(1) } else { rate }, 0),
            eruption: None,
            eruptions: bursts.then_some(Eruptions { rate: eruption_rate, next_at: SECOND / 100 }),
        }
    }

    /// When the next order is due.
    pub(crate) fn peek(&self) -> u64 {
        let background = self.background.peek();
        match (&self.eruption, &self.eruptions) {
            (Some(e), _) => background.min(e.times.peek()),
            (None, Some(e)) => background.min(e.next_at),
            (None, None) => background,
        }
    }

    /// The next order. `hot_at` is the time that decides which books are hot: the due time in an open loop.
    pub(crate) fn next(&mut self, books: &mut BookChoice, hot_at: Option<u64>) -> Due {
        if let Some(waiting) = &mut self.eruptions
            && self.eruption.is_none()
            && waiting.next_at <= self.background.peek()
        {
            let Eruption { book, orders, span } = books.erupt();
            let begins = waiting.next_at;
            // The next one waits until this one's orders fit in the share.
            let pause = u128::from(orders) * u128::from(SECOND) / u128::from(waiting.rate);
            waiting.next_at =
                begins.saturating_add(u64::try_from(pause).unwrap_or(u64::MAX)).max(begins + span);
            let rate = u128::from(orders) * u128::from(SECOND) / u128::from(span);
            let times = Even::new(u64::try_from(rate).unwrap_or(u64::MAX), begins);
            self.eruption = Some(Erupting { times, left: orders, book });
        }
        if let Some(eruption) = &mut self.eruption
            && eruption.times.peek() <= self.background.peek()
        {
            let due = Due { at: eruption.times.peek(), book: eruption.book };
            eruption.times.advance();
            eruption.left -= 1;
            if eruption.left == 0 {
                self.eruption = None;
            }
            return due;
        }
        let at = self.background.peek();
        self.background.advance();
        Due { at, book: books.choose(hot_at.unwrap_or(at)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;

    #[test]
    fn due_times_are_even_and_do_not_drift() {
        let mut books = BookChoice::new(Profile::Calm, 4, 1);
        let mut schedule = Schedule::new(3, &books);
        let times: Vec<_> = (0..7).map(|_| schedule.next(&mut books, None).at).collect();
        assert_eq!(
            times,
            [0, 333_333_333, 666_666_666, 1_000_000_000, 1_333_333_333, 1_666_666_666, 2_000_000_000]
        );
        let mut schedule = Schedule::new(1_000_000, &books);
        for i in 0..100_000 {
            assert_eq!(schedule.peek(), i * 1_000);
            assert_eq!(schedule.next(&mut books, None).at, i * 1_000);
        }
    }

    #[test]
    fn bursts_keep_the_rate_and_erupt_in_cold_names() {
        let mut books = BookChoice::new(Profile::Burst, 1_000, 9);
        let mut schedule = Schedule::new(100_000, &books);
        let mut last = 0;
        let mut in_ms = vec![vec![0_u32; 1_000]; 1];
        let mut hottest = 0;
        let mut orders = 0_u64;
        loop {
            let peeked = schedule.peek();
            let due = schedule.next(&mut books, None);
            assert_eq!(due.at, peeked);
            assert!(due.at >= last, "times never go back");
            if due.at / 1_000_000 != last / 1_000_000 {
                in_ms[0].fill(0);
            }
            last = due.at;
            in_ms[0][due.book] += 1;
            hottest = hottest.max(in_ms[0][due.book]);
            orders += 1;
            if due.at >= 20 * SECOND {
                break;
            }
        }
        // An eruption of 300 within a millisecond may lie across two.
        assert!(hottest >= 150, "{hottest}");
        assert!((1_900_000..=2_100_000).contains(&orders), "{orders}");
    }
}
