//! A part of the journal that has been found good, as far as it is, and what is in it for whom.

use domain::{Command, Sequence};
use journal::{Part, Position, ReadError, Record};

/// What is wrong, and where: nothing behind it counts.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) position: Position,
    pub(super) what: String,
}

impl Fault {
    /// A record says something that cannot be.
    pub(super) fn at(position: Position, what: impl std::fmt::Display) -> Self {
        Self { position, what: format!("at position {position}: {what}") }
    }
}

/// See the module.
pub(super) struct Judged<'a> {
    part: Part<'a>,
    /// By shard: where the commands are that it executes.
    places: Vec<Vec<Position>>,
    /// Commands for whomever, up to the fault; one that cannot be decoded is among them.
    pub(super) commands: u64,
    /// The last of them.
    pub(super) last_sequence: Sequence,
    /// What ends the journal behind them.
    fault: Option<Fault>,
}

/// For whom a command is.
enum Audience {
    Nobody,
    /// Whoever has this book.
    Book(u32),
    Everybody,
}

/// Judges a part, and finds out for which of so many shards its commands are.
pub(super) fn judge(part: Part<'_>, shards: usize) -> Judged<'_> {
    let mut places: Vec<Vec<Position>> = vec![Vec::new(); shards];
    let (mut commands, mut last_sequence, mut fault) = (0, Sequence::default(), None);
    for record in part.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                // Behind whatever a shard may find wrong with what is before it.
                fault = Some(Fault { position: Position(u64::MAX), what: error.to_string() });
                break;
            }
        };
        if !record.kind.is_command() {
            continue;
        }
        commands += 1;
        last_sequence = record.sequence;
        match audience(&record) {
            Ok(Audience::Nobody) => {}
            Ok(Audience::Book(book)) => places[book as usize % shards].push(record.position),
            Ok(Audience::Everybody) => places.iter_mut().for_each(|places| places.push(record.position)),
            Err(of_record) => {
                fault = Some(of_record);
                break;
            }
        }
    }
    Judged { part, places, commands, last_sequence, fault }
}

fn audience(record: &Record<'_>) -> Result<Audience, Fault> {
    if let Some(instrument) = record.order_instrument() {
        return Ok(Audience::Book(instrument.0));
    }
    let command = record.command().map_err(|error| Fault::at(record.position, error))?.command;
    Ok(match command.instrument() {
        Some(instrument) => Audience::Book(instrument.0),
        None if command.is_market_wide() || matches!(command, Command::DefineInstrument(_)) => {
            Audience::Everybody
        }
        None => Audience::Nobody,
    })
}

impl<'a> Judged<'a> {
    /// Where the commands of a shard are, in order.
    pub(super) fn places(&self, shard: usize) -> &[Position] {
        &self.places[shard]
    }

    /// The record at one of these.
    #[inline]
    pub(super) fn record(&self, place: Position) -> Result<Record<'a>, Fault> {
        self.part.record(place).map_err(|error: ReadError| Fault { position: place, what: error.to_string() })
    }

    /// The first `count` of its commands, of which there are more: where the next one is, and the sequence of the last.
    pub(super) fn cut(&self, count: u64) -> (Position, Option<Sequence>) {
        let mut commands = self.part.records().flatten().filter(|record| record.kind.is_command());
        let mut last = None;
        for _ in 0..count {
            last = commands.next().map(|record| record.sequence);
        }
        (commands.next().map_or(Position(u64::MAX), |next| next.position), last)
    }

    /// What is wrong behind its commands.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.as_ref().map(|Fault { position, what }| Fault { position: *position, what: what.clone() })
    }
}
