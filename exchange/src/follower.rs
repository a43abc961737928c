//! Following a log: books and sessions that go where a log leads, record by record.
//!
//! A recovery follows its own journal to the end and then writes on; a standby follows another's and may do so one day;
//! whoever makes a snapshot follows to some place and stops there. For all of them:
//!
//! 1. a command is folded by the sessions and goes to its book, on whatever shards there are;
//! 2. what books say is folded by the sessions as it comes, and numbers nothing;
//! 3. a report in the log gives a session its next number, and must be what the books say
//!    ([`Sessions::on_logged`]);
//! 4. an instrument that is defined gets its book before the next command that any book hears.

use std::sync::Arc;

use domain::{Command, Instrument, Report, Sequence, Sequenced};
use engine::{
    hash::StateHash,
    runtime::{RuntimeConfig, ShardStats},
};
use gateway::{Instruments, Sessions};
use journal::{Position, Record};

use crate::{
    books::{Books, HowToRun},
    front::combined,
    snapshot::Loaded,
    wake::FrontWake,
};

/// Commands routed before the shards are shown them.
const BATCH: u64 = 256;
/// Events taken at a time.
const DRAIN_MAX: usize = 4 * BATCH as usize;

/// See the module.
pub(crate) struct Follower {
    how: Arc<HowToRun>,
    wake: Arc<FrontWake>,
    /// Always there between two calls.
    books: Option<Books>,
    sessions: Sessions,
    instruments: Instruments,
    /// Commands followed.
    commands: u64,
}

/// What a follower has come to, with nothing under way.
pub(crate) struct Followed {
    pub(crate) books: Books,
    pub(crate) sessions: Sessions,
    pub(crate) instruments: Instruments,
    /// Commands followed.
    pub(crate) commands: u64,
}

impl Follower {
    /// Begins at a snapshot, or at the log's start.
    pub(crate) fn begin(
        how: Arc<HowToRun>,
        wake: &Arc<FrontWake>,
        snapshot: Option<Loaded>,
    ) -> Result<Self, String> {
        let Loaded { market_wide, instruments, books, mut sessions, last_sequence, last_nanos, .. } =
            snapshot.unwrap_or_else(Loaded::nothing);
        sessions.follow();
        let config = how(instruments.as_slice())?;
        let books = Books::resume(&config, wake, books, market_wide, (last_sequence, last_nanos))?;
        Ok(Self { how, wake: Arc::clone(wake), books: Some(books), sessions, instruments, commands: 0 })
    }

    /// The next record of the log.
    ///
    /// # Errors
    /// When it cannot be what comes next; nothing is to be made of the follower then.
    #[inline]
    pub(crate) fn on_record(&mut self, record: &Record<'_>) -> Result<(), String> {
        let at = |error: &dyn std::fmt::Display| format!("at position {}: {error}", record.position);
        if record.kind.is_command() {
            let command = record.command().map_err(|error| at(&error))?;
            self.on_command(&command).map_err(|error| at(&error))
        } else if record.kind.is_report() {
            let report = record.report().map_err(|error| at(&error))?;
            self.on_report(&report, record.position).map_err(|error| at(&error))
        } else {
            Ok(())
        }
    }

    fn on_report(&mut self, report: &Report, position: Position) -> Result<(), String> {
        if report.instrument.is_some_and(|id| self.instruments.get(id).is_none()) {
            return Err(format!("a report of {report:?}, whose instrument was never defined"));
        }
        self.sessions.on_logged(report, position).map_err(|error| error.to_string())
    }

    fn on_command(&mut self, command: &Sequenced<Command>) -> Result<(), String> {
        match &command.command {
            Command::DefineInstrument(instrument) => self.define(instrument)?,
            Command::DefineSession(definition) => {
                if definition.session.0 as usize != self.sessions.len() {
                    return Err(format!("session {} is out of turn", definition.session));
                }
                self.sessions.define(definition);
            }
            _ => {}
        }
        self.sessions.on_command(command, not_numbered);
        if let Some(instrument) = command.command.instrument()
            && self.instruments.get(instrument).is_none()
        {
            return Err(format!("instrument {instrument} was never defined"));
        }
        let is_heard = command.command.instrument().is_some() || command.command.is_market_wide();
        if is_heard && self.books().len() < self.instruments.as_slice().len() {
            self.grow(&[])?;
        }
        while !self.books().runtime.accepts_command(&command.command) {
            self.books().runtime.publish();
            if self.drain()? == 0 {
                std::thread::yield_now();
            }
        }
        self.books().route(command);
        self.commands += 1;
        if self.commands.is_multiple_of(BATCH) {
            self.books().runtime.publish();
            self.drain()?;
        }
        Ok(())
    }

    fn define(&mut self, instrument: &Instrument) -> Result<(), String> {
        let next = self.instruments.as_slice().len();
        if instrument.id.0 as usize != next || self.instruments.find(instrument.symbol).is_some() {
            return Err(format!("instrument {} is out of turn", instrument.symbol));
        }
        self.instruments.define(*instrument);
        Ok(())
    }

    /// Lets the books run and folds what they say, without waiting for them. Returns how many events there were.
    ///
    /// # Errors
    /// When the books do not say what the log has.
    pub(crate) fn drain(&mut self) -> Result<usize, String> {
        let Self { books, sessions, .. } = self;
        let books = books.as_mut().expect("there between two calls");
        books.runtime.publish();
        let events = books.drain(DRAIN_MAX, |event| {
            sessions.on_event(event, not_numbered);
            true
        });
        sessions.agree().map_err(|error| error.to_string())?;
        Ok(events)
    }

    /// Waits until the books have executed everything, and folds what they say.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        while !self.books().runtime.is_quiescent() {
            if self.drain()? == 0 {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    /// Gives the instruments that have none a book, those in `more` as well, which are about to be defined.
    pub(crate) fn grow(&mut self, more: &[Instrument]) -> Result<(), String> {
        self.settle()?;
        let all = [self.instruments.as_slice(), more].concat();
        if all.len() == self.books().len() {
            return Ok(());
        }
        let config: RuntimeConfig = (self.how)(&all)?;
        let books = self.books.take().expect("there between two calls");
        self.books = Some(books.grown(&config, &self.wake, all.len())?);
        Ok(())
    }

    /// Waits until nothing is under way, and gives up what the log has led to.
    ///
    /// # Errors
    /// When the books and the log do not agree.
    pub(crate) fn end(mut self) -> Result<Followed, String> {
        self.settle()?;
        self.sessions.caught_up().map_err(|error| error.to_string())?;
        let Self { books, sessions, instruments, commands, .. } = self;
        let books = books.expect("there between two calls");
        Ok(Followed { books, sessions, instruments, commands })
    }

    /// Commands followed.
    pub(crate) const fn commands(&self) -> u64 {
        self.commands
    }

    /// How the shards are that run the books.
    pub(crate) fn shards(&self) -> Vec<ShardStats> {
        self.books.as_ref().expect("there between two calls").runtime.stats()
    }

    /// The hash of all books. Nothing may be under way: see [`settle`](Self::settle).
    pub(crate) fn state(&self) -> StateHash {
        let books = self.books.as_ref().expect("there between two calls").runtime.hashes();
        combined(books.iter().map(|book| book.state))
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(crate) fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    /// The last command followed.
    pub(crate) fn last_sequence(&self) -> Sequence {
        self.books.as_ref().map_or(Sequence(0), Books::last_sequence)
    }

    #[inline]
    fn books(&mut self) -> &mut Books {
        self.books.as_mut().expect("there between two calls")
    }
}

/// Sessions that follow a log number nothing.
fn not_numbered(report: &Report) -> Position {
    unreachable!("the log that is followed gives the numbers: {report:?}")
}
