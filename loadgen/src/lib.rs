//! The load generator: sends orders to an exchange over SoupBinTCP and OUCH 5.0, or over FIX, and says how it fared.
//!
//! ```text
//! profile ─▶ book ┐                               ┌─▶ lateness
//!  seed ──▶ workload ─▶ request ─▶ connection ─▶ exchange ─▶ connection ─▶ tracker ─▶ latency ─▶ report
//!  rate ─▶ schedule ┘    (or a LOBSTER recording)
//! ```
//!
//! * [`Config`] says what to do, [`run`] does it, [`Outcome`] is what was measured.
//! * In an open loop orders are sent at times decided beforehand, and latency counts from those times: a stall of
//!   the exchange is seen by every order that it delays.
//! * The stream of orders is a function of its seed, not of the answers.
//! * The generator watches itself: it says how late it was, and how much processor time it took.
//!
//! What is absent: any knowledge of the server but its protocols.
#![forbid(unsafe_code)]

mod book_choice;
mod config;
mod drive;
mod error;
mod latency;
mod line;
mod lobster;
mod outcome;
mod profile;
mod report;
mod request;
mod schedule;
mod tracker;
mod wait;
mod workload;

use core::time::Duration;

pub use client::{Tls, User, fix::Version};
pub use config::{Config, Mode, Protocol, Source, Stop, Wait};
pub use error::LoadError;
pub use latency::Latency;
pub use lobster::{Agreement, LobsterError, Rows};
pub use outcome::{Machine, Outcome, Point, Series};
pub use profile::{Profile, ProfileError};
pub use tracker::{Counts, Rejects};

/// Hears of a run while it goes on.
pub trait Progress {
    /// About once a second. It is called on the generator's thread: what takes long here makes orders late.
    fn snapshot(&mut self, snapshot: &Snapshot);
}

/// Hears nothing.
impl Progress for () {
    fn snapshot(&mut self, _: &Snapshot) {}
}

/// A run so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    /// Since the start.
    pub elapsed: Duration,
    /// Requests sent.
    pub sent: u64,
    /// Requests answered, rejects included.
    pub answered: u64,
    /// Cancels and changes that came too late, which the protocol does not answer.
    pub superfluous: u64,
    /// Requests rejected.
    pub rejected: u64,
    /// Requests sent a second.
    pub rate: f64,
    /// Half of the answers came within this many nanoseconds of when their request was due.
    pub p50: u64,
    /// Ninety-nine in a hundred did.
    pub p99: u64,
    /// The same of requests for books that the profile made hot; 0 when there were none.
    pub hot_p99: u64,
    /// The same of requests for all other books; 0 when there were none.
    pub others_p99: u64,
}

/// Runs a load to its end, and writes the report when [`Config::report`] asks for it.
///
/// # Errors
/// When what is asked makes no sense, the exchange cannot be reached, or a connection is lost. What was measured
/// until a connection was lost is in the error.
pub fn run(config: &Config, progress: &mut dyn Progress) -> Result<Outcome, LoadError> {
    config.check()?;
    let outcome = drive::Driver::start(config)?.run(progress)?;
    if let Some(directory) = &config.report
        && let Err((path, error)) = report::write(&outcome, directory)
    {
        return Err(LoadError::Report { path, error, outcome: Box::new(outcome) });
    }
    Ok(outcome)
}
