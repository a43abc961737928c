//! Books of one thread, and the journal's commands for them.

use domain::{Command, Instrument, Sequence, Sequenced};
use engine::book::{BookHashes, HashedBooks};
use journal::Position;

use super::judged::{Fault, Judged};
use crate::snapshot::MarketWide;

/// Commands handed to the books at once.
const BATCH: usize = 64;

/// Each book is one shard's: that of its index modulo how many there are.
pub(super) struct Shard {
    at: usize,
    shards: usize,
    books: HashedBooks,
    /// What all books have been told: one that is defined later begins as if it had been told, too.
    market_wide: MarketWide,
    /// Those of all shards.
    instruments: Vec<Instrument>,
    /// Commands of the journal so far, for whomever.
    commands: u64,
    commands_max: u64,
    last_sequence: Sequence,
    /// Empty between two parts.
    batch: Vec<Sequenced<Command>>,
}

/// How a part ends.
pub(super) enum Outcome {
    Continues,
    /// No command behind it counts.
    Enough,
    Fault(Fault),
}

impl Shard {
    pub(super) fn new(at: usize, shards: usize, commands_max: u64) -> Self {
        Self {
            at,
            shards,
            books: HashedBooks::new(),
            market_wide: MarketWide::default(),
            instruments: Vec::new(),
            commands: 0,
            commands_max,
            last_sequence: Sequence::default(),
            batch: Vec::with_capacity(BATCH),
        }
    }

    /// How many shards there are.
    pub(super) const fn shards(&self) -> usize {
        self.shards
    }

    /// Executes what is in the journal's next part for these books.
    pub(super) fn execute(&mut self, judged: &Judged<'_>) -> Outcome {
        let left = self.commands_max - self.commands;
        if judged.commands > left {
            let (end, last) = judged.cut(left);
            let executed = self.execute_before(end, judged);
            self.commands += left;
            self.last_sequence = last.unwrap_or(self.last_sequence);
            return executed.err().map_or(Outcome::Enough, Outcome::Fault);
        }
        if let Err(fault) = self.execute_before(Position(u64::MAX), judged) {
            return Outcome::Fault(fault);
        }
        self.commands += judged.commands;
        if judged.commands > 0 {
            self.last_sequence = judged.last_sequence;
        }
        judged.fault().map_or(Outcome::Continues, Outcome::Fault)
    }

    fn execute_before(&mut self, end: Position, judged: &Judged<'_>) -> Result<(), Fault> {
        for place in judged.places(self.at) {
            if *place >= end {
                break;
            }
            // By reference: a command has just been written field by field, and a copy of it would wait for that.
            match &judged.record(*place)?.command() {
                Ok(command) => self.execute_one(command).map_err(|what| Fault::at(*place, what))?,
                Err(error) => return Err(Fault::at(*place, error)),
            }
        }
        self.flush();
        Ok(())
    }

    #[inline]
    fn execute_one(&mut self, command: &Sequenced<Command>) -> Result<(), String> {
        if let Some(instrument) = command.command.instrument() {
            if instrument.0 as usize >= self.instruments.len() {
                return Err(format!("instrument {instrument} was never defined"));
            }
        } else if let Command::DefineInstrument(instrument) = &command.command {
            return self.define(instrument);
        } else {
            let commands = self.market_wide.commands + 1;
            self.market_wide = MarketWide { commands, last: command.sequence };
        }
        if !self.books.wants_batches() {
            self.books.apply(command);
            return Ok(());
        }
        self.batch.push(*command);
        if self.batch.len() == BATCH {
            self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) {
        self.books.apply_batch(&self.batch);
        self.batch.clear();
    }

    fn define(&mut self, instrument: &Instrument) -> Result<(), String> {
        // The book is not to hear again what it begins with.
        self.flush();
        let next = self.instruments.len();
        if instrument.id.0 as usize != next {
            return Err(format!("instrument {} is defined where {next} is the next", instrument.id));
        }
        self.instruments.push(*instrument);
        if next % self.shards == self.at {
            self.books.insert(self.market_wide.book(instrument.id)?);
        }
        Ok(())
    }

    pub(super) fn hashes(&self) -> Vec<BookHashes> {
        self.books.hashes()
    }

    /// Events that its books said.
    pub(super) const fn events(&self) -> u64 {
        self.books.events()
    }

    /// Commands of the journal, for whomever.
    pub(super) const fn commands(&self) -> u64 {
        self.commands
    }

    /// The last of them.
    pub(super) const fn last_sequence(&self) -> Sequence {
        self.last_sequence
    }

    /// What the journal defines.
    pub(super) fn into_instruments(self) -> Vec<Instrument> {
        self.instruments
    }
}
