//! What a run is asked to do.

use core::{fmt, time::Duration};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use domain::Instrument;

use crate::Profile;

/// A load run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the exchange listens for SoupBinTCP.
    pub target: SocketAddr,
    /// Who logs in: one user a session, in this order.
    pub users: Vec<User>,
    /// How many sessions; at most as many as there are users.
    pub sessions: usize,
    /// What is traded. The exchange must know each by its symbol.
    pub instruments: Vec<Instrument>,
    /// Where the orders come from.
    pub source: Source,
    /// When they are sent.
    pub mode: Mode,
    /// When to stop sending.
    pub stop: Stop,
    /// What the stream of orders is drawn from: the same seed, instruments, sessions and mode give the same
    /// stream.
    pub seed: u64,
    /// How the generator waits.
    pub wait: Wait,
    /// How long to wait for answers after the last order, without any arriving.
    pub drain: Duration,
    /// Cancel what still rests when the run is over, outside the measured time.
    pub clean_up: bool,
    /// Where the report's files go; `None` writes none.
    pub report: Option<PathBuf>,
    /// Stops the run when set: what was sent so far is drained and reported.
    pub cancel: Arc<AtomicBool>,
}

impl Config {
    /// A run against `target`: one session for each of eight users DEV1 to DEV8, 10,000 orders a second for ten
    /// seconds under `zipf:1`.
    #[must_use]
    pub fn new(target: SocketAddr, instruments: Vec<Instrument>) -> Self {
        let users = (1..=8).map(|n| User { name: format!("DEV{n}"), password: "dev".to_owned() }).collect();
        Self {
            target,
            users,
            sessions: 8,
            instruments,
            source: Source::Profile(Profile::Zipf { exponent: 1.0 }),
            mode: Mode::OpenLoop { rate: 10_000 },
            stop: Stop::After(Duration::from_secs(10)),
            seed: 1,
            wait: Wait::Block,
            drain: Duration::from_secs(5),
            clean_up: true,
            report: None,
            cancel: Arc::new(AtomicBool::new(false)),
        }
    }
}

/// Who logs in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Up to 6 characters.
    pub name: String,
    /// Up to 10 characters.
    pub password: String,
}

impl fmt::Debug for User {
    /// Leaves the password out: configurations are printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Where the orders come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Made up, from the seed.
    Profile(Profile),
    /// Replayed from a LOBSTER message file, gzipped when its name ends in `.gz`, on the first session and the
    /// first instrument.
    Lobster(PathBuf),
}

/// When orders are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// At even times, whatever the exchange does. Latency counts from when an order should have been sent, so a
    /// stall of the exchange is seen by all the orders that it delays.
    OpenLoop {
        /// Orders a second, over all sessions.
        rate: u64,
    },
    /// The next order when an earlier one is answered. A stall of the exchange stops the orders too, so latency
    /// is that of a polite client only.
    ClosedLoop {
        /// Unanswered orders per session, on average over the sessions; at least 1.
        in_flight: usize,
    },
    /// As fast as it goes, with a bound on what is unanswered. Measures capacity; its latencies are those of a
    /// full queue.
    Flood {
        /// Unanswered orders over all sessions; at least 1.
        window: usize,
    },
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenLoop { rate } => write!(f, "open loop at {rate} orders/s"),
            Self::ClosedLoop { in_flight } => write!(f, "closed loop, {in_flight} in flight per session"),
            Self::Flood { window } => write!(f, "closed loop (flood), {window} in flight in all"),
        }
    }
}

/// When to stop sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// After this long.
    After(Duration),
    /// After so many orders.
    Count(u64),
}

/// How the generator waits for sockets and due times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Asleep in the kernel; a timer wakes it for the next order. For cores shared with the exchange.
    Block,
    /// Asking again and again. For a core of its own.
    Spin,
}
