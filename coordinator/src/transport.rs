//! One request to the endpoints in turn, within the call's time, with a bound on what comes back.

use std::{
    cell::Cell,
    io::Read,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};
use ureq::{Agent, SendBody};

use crate::{
    client::Options,
    error::{Attempt, Attempts, Error, Failure, OptionsError},
    wire::{Refusal, Wrong},
};

/// Whether a request may be given to a second endpoint when the first has not answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A read, or a request that changes nothing more the second time.
    Repeatable,
    /// A write.
    Once,
}

pub(crate) struct Transport {
    agent: Agent,
    /// As `http://host:port`.
    endpoints: Vec<String>,
    /// The index of the endpoint that is asked first: the one after the last that failed. Only a hint, hence `Relaxed`.
    first: AtomicUsize,
    attempt: Duration,
    call: Duration,
    answer_bytes_max: usize,
}

/// What one endpoint did with a request.
enum Verdict<T> {
    Answered(T),
    Refused { code: i64, message: String },
    Failed(Failure),
}

impl Transport {
    pub(crate) fn new(options: &Options) -> Result<Self, OptionsError> {
        if options.endpoints.is_empty() {
            return Err(OptionsError::NoEndpoint);
        }
        if options.attempt.is_zero() || options.call < options.attempt {
            let (attempt, call) = (options.attempt, options.call);
            return Err(OptionsError::Bound(format!("an attempt of {attempt:?} in a call of {call:?}")));
        }
        if options.answer_bytes_max == 0 {
            return Err(OptionsError::Bound("answers of at most 0 bytes".to_owned()));
        }
        let endpoints: Vec<String> =
            options.endpoints.iter().map(|given| endpoint(given)).collect::<Result<_, _>>()?;
        let https = endpoints.iter().any(|endpoint| endpoint.starts_with("https:"));
        let mut config = Agent::config_builder()
            // Nothing between us and etcd that an environment variable names.
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent("fulcrum")
            .max_response_header_size(16 * 1024)
            // A connection that has been idle for long may be dead without our knowing; a write sent into it is
            // ambiguous for nothing.
            .max_idle_age(Duration::from_secs(10));
        match (&options.tls, https) {
            (Some(tls), true) => config = config.tls_config(tls.load()?),
            (None, false) => {}
            (Some(_), false) => {
                return Err(OptionsError::Bound("a CA is given, and no endpoint is https".to_owned()));
            }
            (None, true) => {
                return Err(OptionsError::Bound("an endpoint is https, and no CA is given".to_owned()));
            }
        }
        Ok(Self {
            agent: config.build().new_agent(),
            endpoints,
            first: AtomicUsize::new(0),
            attempt: options.attempt,
            call: options.call,
            answer_bytes_max: options.answer_bytes_max,
        })
    }

    /// Asks, and checks the answer with `check`.
    pub(crate) fn call<A: DeserializeOwned, T>(
        &self,
        path: &str,
        request: &impl Serialize,
        effect: Effect,
        check: impl Fn(A) -> Result<T, Wrong>,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(request).expect("requests are maps of strings and numbers");
        let begin = Instant::now();
        let first = self.first.load(Ordering::Relaxed);
        let count = self.endpoints.len();
        let mut attempts = Vec::new();
        for index in (first..first + count).map(|index| index % count) {
            let left = self.call.saturating_sub(begin.elapsed());
            if left.is_zero() {
                break;
            }
            let endpoint = &self.endpoints[index];
            match self.ask(endpoint, path, &body, left.min(self.attempt), &check) {
                Verdict::Answered(answer) => return Ok(answer),
                Verdict::Refused { code, message } => {
                    return Err(Error::Refused { endpoint: endpoint.clone(), code, message });
                }
                Verdict::Failed(failure) => {
                    // Whoever asks next begins with another one.
                    self.first.store((index + 1) % count, Ordering::Relaxed);
                    let sent = !matches!(failure, Failure::NotSent(_));
                    attempts.push(Attempt { endpoint: endpoint.clone(), failure });
                    if sent && effect == Effect::Once {
                        return Err(without_answer(attempts, true));
                    }
                }
            }
        }
        Err(without_answer(attempts, false))
    }

    /// Asks one endpoint.
    fn ask<A: DeserializeOwned, T>(
        &self,
        endpoint: &str,
        path: &str,
        body: &[u8],
        within: Duration,
        check: &impl Fn(A) -> Result<T, Wrong>,
    ) -> Verdict<T> {
        let taken = Cell::new(false);
        let failed = |error: &ureq::Error| {
            Verdict::Failed(if !taken.get() {
                Failure::NotSent(error.to_string())
            } else {
                match error {
                    ureq::Error::Timeout(_) => Failure::TimedOut { after: within },
                    ureq::Error::Protocol(_)
                    | ureq::Error::Http(_)
                    | ureq::Error::LargeResponseHeader(..) => Failure::Malformed(error.to_string()),
                    ureq::Error::BodyExceedsLimit(_) => {
                        Failure::Malformed(format!("more than {} bytes", self.answer_bytes_max))
                    }
                    _ => Failure::Lost(error.to_string()),
                }
            })
        };
        let mut reader = Taken { rest: body, taken: &taken };
        let sent = self
            .agent
            .post(format!("{endpoint}{path}"))
            .config()
            .timeout_global(Some(within))
            .build()
            .header("content-type", "application/json")
            .header("content-length", body.len())
            .send(SendBody::from_reader(&mut reader));
        let mut response = match sent {
            Ok(response) => response,
            Err(error) => return failed(&error),
        };
        let status = response.status();
        let limit = self.answer_bytes_max as u64;
        let bytes = match response.body_mut().with_config().limit(limit).read_to_vec() {
            Ok(bytes) => bytes,
            Err(error) => return failed(&error),
        };
        // Of a stream, refusals come with a good status.
        if let Some((code, message)) = serde_json::from_slice::<Refusal>(&bytes).ok().and_then(Refusal::parts)
        {
            return match is_final(code) {
                true => Verdict::Refused { code, message },
                false => Verdict::Failed(Failure::Unavailable { code, message }),
            };
        }
        if !status.is_success() {
            return Verdict::Failed(Failure::Malformed(format!("HTTP status {}", status.as_u16())));
        }
        let parsed = serde_json::from_slice::<A>(&bytes).map_err(|error| error.to_string());
        match parsed.and_then(check) {
            Ok(answer) => Verdict::Answered(answer),
            Err(what) => Verdict::Failed(Failure::Malformed(what)),
        }
    }
}

/// The body of a request. The HTTP client takes it once a connection stands and the request's head has been sent, which
/// announces its length: as long as nobody has taken it, etcd has no request that it could act on.
struct Taken<'a> {
    rest: &'a [u8],
    taken: &'a Cell<bool>,
}

impl Read for Taken<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.taken.set(true);
        self.rest.read(into)
    }
}

/// Whether a refusal of that code says for certain that nothing was done. Others come from a member that had no
/// leader, lost it on the way, or stops: what it had proposed may still be done.
fn is_final(code: i64) -> bool {
    const CANCELLED: i64 = 1;
    const UNKNOWN: i64 = 2;
    const DEADLINE_EXCEEDED: i64 = 4;
    const INTERNAL: i64 = 13;
    const UNAVAILABLE: i64 = 14;
    const DATA_LOSS: i64 = 15;
    ![CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS].contains(&code)
}

/// What to say when nobody has answered. A last word that was no answer of etcd's is a matter of its own: it points
/// to a wrong address rather than to a failure.
fn without_answer(mut attempts: Vec<Attempt>, may_have_happened: bool) -> Error {
    match attempts.pop() {
        Some(Attempt { endpoint, failure: Failure::Malformed(what) }) => {
            Error::Malformed { endpoint, what, may_have_happened }
        }
        last => {
            attempts.extend(last);
            match may_have_happened {
                true => Error::Ambiguous(Attempts(attempts)),
                false => Error::Unreachable(Attempts(attempts)),
            }
        }
    }
}

/// An endpoint as it is given, checked: `http://HOST:PORT` or `https://HOST:PORT`, and nothing behind it.
fn endpoint(given: &str) -> Result<String, OptionsError> {
    let bad = |what: &str| OptionsError::Endpoint { endpoint: given.to_owned(), what: what.to_owned() };
    let trimmed = given.trim_end_matches('/');
    let authority = trimmed
        .strip_prefix("http://")
        .or_else(|| trimmed.strip_prefix("https://"))
        .ok_or_else(|| bad("it must begin with http:// or https://"))?;
    if authority.contains(['/', '?', '#', '@']) {
        return Err(bad("nothing may follow the port, and no user may stand before the host"));
    }
    let uri: ureq::http::Uri = trimmed.parse().map_err(|error| bad(&format!("{error}")))?;
    match (uri.host(), uri.port_u16()) {
        (Some(host), Some(1..)) if !host.is_empty() => Ok(trimmed.to_owned()),
        _ => Err(bad("it must name a host and a port, as http://10.0.0.1:2379")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_a_scheme_a_host_and_a_port() {
        for good in ["http://10.0.0.1:2379", "https://etcd-1.example:2379/", "http://[::1]:1"] {
            assert_eq!(endpoint(good).unwrap(), good.trim_end_matches('/'));
        }
        for bad in [
            "",
            "10.0.0.1:2379",
            "http://",
            "http://a",
            "http://a:0",
            "http://a:b",
            "http://a:1/v3",
            "ftp://a:1",
            "http://u@a:1",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
