//! What can go wrong, told apart by what may have happened at etcd.

use std::{fmt, path::PathBuf, time::Duration};

/// Why a call has no answer. [`may_have_happened`](Self::may_have_happened) is the question that a writer must ask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No endpoint has answered. A write has reached none of them: it has not happened and never will.
    #[error("etcd cannot be reached: {0}")]
    Unreachable(Attempts),
    /// A write was given to the last of these endpoints, and nothing came back that says what became of it. It may have
    /// happened, and it may still happen: read the key before deciding anything.
    #[error("etcd may have done this or not: {0}")]
    Ambiguous(Attempts),
    /// etcd answered that it will not. Nothing has happened.
    #[error("etcd at {endpoint} refuses: {message} (code {code})")]
    Refused {
        /// Who answered.
        endpoint: String,
        /// The code, as gRPC numbers them.
        code: i64,
        /// etcd's words, cut at some length.
        message: String,
    },
    /// What came back is no answer of etcd's to this question.
    #[error("{endpoint} does not answer as etcd does: {what}{}", if *.may_have_happened { "; the write may have happened" } else { "" })]
    Malformed {
        /// Who answered.
        endpoint: String,
        /// What is wrong with it.
        what: String,
        /// The request was a write.
        may_have_happened: bool,
    },
}

impl Error {
    /// Whether a write that ended so may have happened, or may happen yet. Never true of a read.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Refused { .. } => false,
            Self::Ambiguous(_) => true,
            Self::Malformed { may_have_happened, .. } => *may_have_happened,
        }
    }
}

/// The endpoints that were tried in a call, in order, and what came of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempts(pub Vec<Attempt>);

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no time was left to try");
        }
        for (index, attempt) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{} {}", attempt.endpoint, attempt.failure)?;
        }
        Ok(())
    }
}

/// One endpoint that was tried in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its address.
    pub endpoint: String,
    /// What came of it.
    pub failure: Failure,
}

/// What came of an attempt that brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The request's body was never taken, so there is nothing that etcd could have done.
    #[error("was not given the request: {0}")]
    NotSent(String),
    /// The body has been taken, and no answer came in time.
    #[error("gave no answer within {} ms", .after.as_millis())]
    TimedOut {
        /// What the attempt was allowed.
        after: Duration,
    },
    /// The body has been taken, and the connection ended before an answer was complete.
    #[error("was lost before it answered: {0}")]
    Lost(String),
    /// etcd itself cannot tell, or has no leader now.
    #[error("is not available: {message} (code {code})")]
    Unavailable {
        /// The code, as gRPC numbers them.
        code: i64,
        /// etcd's words, cut at some length.
        message: String,
    },
    /// What came back is no answer of etcd's.
    #[error("does not answer as etcd does: {0}")]
    Malformed(String),
}

/// Why a client cannot be made of these options.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// There is no endpoint.
    #[error("no etcd endpoint is given")]
    NoEndpoint,
    /// An endpoint is no address.
    #[error("etcd endpoint \"{endpoint}\": {what}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        what: String,
    },
    /// A time-out or a bound makes no sense.
    #[error("etcd options: {0}")]
    Bound(String),
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds no certificate or no key.
    #[error("{path}: {what}")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}
