//! What a run is asked to do.

use core::{fmt, time::Duration};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use client::{Tls, User, fix::Version};
use domain::Instrument;

use crate::{
    LoadError, Profile,
    workload::{PRICE_E4_MAX, UNITS_BELOW},
};

/// The most sessions of one run: each takes 400 KiB of buffers.
const SESSIONS_MAX: usize = 1_024;
/// The highest rate: one order a nanosecond.
const RATE_MAX: u64 = 1_000_000_000;

/// A load run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the exchange listens for the protocol.
    pub target: SocketAddr,
    /// What the sessions speak.
    pub protocol: Protocol,
    /// Whom to trust, where the exchange listens for TLS.
    pub tls: Option<Tls>,
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
    /// Keep a log of each session's messages, for an audit; SoupBinTCP only. 8 bytes a message and 16 an acknowledged order.
    pub keep_log: bool,
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
            protocol: Protocol::Soup,
            tls: None,
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
            keep_log: false,
            report: None,
            cancel: Arc::new(AtomicBool::new(false)),
        }
    }
}

impl Config {
    /// Sessions that log in: a recording is one book, and is replayed on one.
    pub(crate) fn sessions_used(&self) -> usize {
        if matches!(self.source, Source::Lobster(_)) { 1 } else { self.sessions }
    }

    /// Says what makes no sense, and what to do.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let error = |problem: String| Err(LoadError::Config(problem));
        if self.sessions == 0 {
            return error("no session: ask for at least one".to_owned());
        }
        if self.sessions > self.users.len() {
            return error(format!(
                "{} sessions need as many users, and there are {}; each session logs in as its own user: ask for \
                 fewer sessions or name more users",
                self.sessions,
                self.users.len()
            ));
        }
        if self.sessions > SESSIONS_MAX {
            return error(format!("{} sessions are more than the {SESSIONS_MAX} of one run", self.sessions));
        }
        if self.instruments.is_empty() {
            return error("no instrument to trade: name at least one".to_owned());
        }
        for instrument in &self.instruments {
            if u64::from(instrument.lot) >= UNITS_BELOW {
                return error(format!(
                    "{}: a lot of {} units; OUCH carries orders below {UNITS_BELOW} units",
                    instrument.symbol, instrument.lot
                ));
            }
            if u64::from(instrument.tick) > PRICE_E4_MAX {
                return error(format!(
                    "{}: a tick of {} ten-thousandths; OUCH carries limits up to {PRICE_E4_MAX}",
                    instrument.symbol, instrument.tick
                ));
            }
        }
        if self.keep_log && self.protocol != Protocol::Soup {
            return error(
                "a log for an audit is kept of SoupBinTCP sessions only: ask for no log".to_owned(),
            );
        }
        match self.mode {
            Mode::OpenLoop { rate: 0 } => error("a rate of 0 orders/s: ask for at least 1".to_owned()),
            Mode::OpenLoop { rate } if rate > RATE_MAX => {
                error(format!("a rate of {rate} orders/s; at most {RATE_MAX} can be scheduled"))
            }
            Mode::ClosedLoop { in_flight: 0 } | Mode::Flood { window: 0 } => {
                error("nothing may be in flight, so nothing can be sent: allow at least 1".to_owned())
            }
            _ => Ok(()),
        }
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

/// What a session speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// SoupBinTCP with OUCH 5.0.
    Soup,
    /// FIX. Each run begins new sessions (141=Y); a user's name is its CompID.
    Fix {
        /// The exchange's CompID.
        target: String,
        /// Which version.
        version: Version,
    },
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Soup => f.write_str("SoupBinTCP, OUCH 5.0"),
            Self::Fix { version: Version::Fix44, .. } => f.write_str("FIX 4.4"),
            Self::Fix { version: Version::Fix50Sp2, .. } => f.write_str("FIX 5.0 SP2"),
        }
    }
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

#[cfg(test)]
mod tests {
    use domain::{InstrumentId, Price, Quantity, Symbol};

    use super::*;

    #[test]
    fn what_makes_no_sense_is_named() {
        let instrument = Instrument {
            id: InstrumentId(0),
            symbol: Symbol::new("TEST").unwrap(),
            tick: 100,
            lot: 1,
            quantity_max: Quantity(1_000),
            price_max: Price::new(1_000_000).unwrap(),
            bounds: domain::OrderBounds::NONE,
        };
        let good = Config::new(([127, 0, 0, 1], 9).into(), vec![instrument]);
        assert!(good.check().is_ok());
        let said = |config: Config| config.check().unwrap_err().to_string();
        assert!(said(Config { sessions: 9, ..good.clone() }).contains("there are 8"));
        assert!(said(Config { sessions: 0, ..good.clone() }).contains("at least one"));
        assert!(said(Config { instruments: vec![], ..good.clone() }).contains("no instrument"));
        assert!(said(Config { mode: Mode::OpenLoop { rate: 0 }, ..good.clone() }).contains("at least 1"));
        assert!(said(Config { mode: Mode::Flood { window: 0 }, ..good.clone() }).contains("at least 1"));
        let lot = Instrument { lot: 1_000_000, ..instrument };
        assert!(said(Config { instruments: vec![lot], ..good.clone() }).contains("TEST: a lot"));
        assert!(!format!("{good:?}").contains("dev\""), "passwords are not printed");
    }
}
