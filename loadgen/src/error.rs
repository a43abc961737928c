//! Why a run did not happen, or not to its end.

use core::fmt;
use std::path::PathBuf;

use client::ClientError;

use crate::{LobsterError, Outcome};

/// Why a run did not happen, or not to its end.
#[derive(Debug)]
pub enum LoadError {
    /// What was asked makes no sense.
    Config(String),
    /// The recording cannot be replayed.
    Lobster {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: LobsterError,
    },
    /// A connection could not be made or logged in.
    Start(ClientError),
    /// The poller or the timer failed.
    Poll(std::io::Error),
    /// A connection was lost during the run.
    Interrupted {
        /// How.
        error: ClientError,
        /// What was measured until then.
        partial: Box<Outcome>,
    },
    /// The report could not be written.
    Report {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
        /// What was measured.
        outcome: Box<Outcome>,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(problem) => f.write_str(problem),
            Self::Lobster { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Start(error) => write!(f, "{error}"),
            Self::Poll(error) => write!(f, "waiting for sockets failed: {error}"),
            Self::Interrupted { error, partial } => {
                let counts = &partial.counts;
                write!(
                    f,
                    "the run was cut short after {} orders, {} of them answered: {error}",
                    counts.sent(),
                    counts.answered
                )
            }
            Self::Report { path, error, .. } => {
                write!(f, "the report {} could not be written: {error}", path.display())
            }
        }
    }
}

impl core::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Config(_) => None,
            Self::Lobster { error, .. } => Some(error),
            Self::Start(error) | Self::Interrupted { error, .. } => Some(error),
            Self::Poll(error) | Self::Report { error, .. } => Some(error),
        }
    }
}
