//! `exchange replay`: a journal through new books.
//!
//! Any number of shards gives the same state hash and, book by book, the same event hash. A shard is a thread with books of
//! its own. There is no thread that reads for the others:
//!
//! 1. Whoever has nothing to execute takes the journal's next part off the [`Board`], judges it, and lists for each shard
//!    where its commands are ([`judged`]). Stepping to the next part is all that only one thread does at a time.
//! 2. Each shard executes its commands of one part after the other, once the part has been judged ([`shard`]). What is not
//!    for its books it does not look at; market-wide commands and definitions are for all shards.
//! 3. The first part in which anything is wrong ends the replay, for all shards with the same part; of what they found
//!    wrong in it, the first is said.
//!
//! So shards with few commands judge more, and nothing is executed that has not been found good whole.

mod board;
mod judged;
mod shard;
#[cfg(test)]
mod tests;

use std::{num::NonZero, path::Path, thread, time::Instant};

use domain::{Instrument, Sequence};
use engine::{
    book::BookHashes,
    hash::{EventHash, StateHash},
};
use journal::Reader;
use serde_json::json;

use self::{
    board::{Board, Work},
    judged::judge,
    shard::Shard,
};
use crate::{cli, front::combined, recovery::from_its_start, say::say};

/// Bytes of a part: what a core keeps in its own cache between judging and executing, and work enough that taking it
/// costs nothing.
const PART_BYTES: u64 = 256 << 10;
/// Shards when nobody says how many: stepping from part to part keeps no more of them busy.
const SHARDS_MAX: usize = 16;

/// What a replay found.
pub(crate) struct Replayed {
    pub(crate) instruments: Vec<Instrument>,
    pub(crate) books: Vec<BookHashes>,
    pub(crate) commands: u64,
    pub(crate) events: u64,
    pub(crate) last_sequence: Sequence,
    pub(crate) seconds: f64,
}

/// Runs a journal through new books on so many shards.
pub(crate) fn replay_dir(dir: &Path, shards: u16) -> Result<Replayed, String> {
    replay_first(dir, shards, u64::MAX)
}

/// Runs the first so many commands of a journal through new books.
pub(crate) fn replay_first(dir: &Path, shards: u16, commands_max: u64) -> Result<Replayed, String> {
    replay_parts(dir, shards, commands_max, PART_BYTES)
}

fn replay_parts(dir: &Path, shards: u16, commands_max: u64, part_bytes: u64) -> Result<Replayed, String> {
    let started = Instant::now();
    let reader = Reader::open(dir).map_err(|error| error.to_string())?;
    from_its_start(dir, &reader)?;
    let board = Board::new(reader.parts(part_bytes), usize::from(shards));
    let done = thread::scope(|scope| {
        let mut threads = Vec::new();
        for at in 0..shards {
            let board = &board;
            let shard = Shard::new(usize::from(at), usize::from(shards), commands_max);
            let thread = thread::Builder::new().name(format!("shard-{at}"));
            match thread.spawn_scoped(scope, move || run(board, shard)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    board.give_up();
                    return Err(format!("no thread for shard {at}: {error}"));
                }
            }
        }
        let ended = threads.into_iter().map(thread::ScopedJoinHandle::join);
        ended
            .map(|ended| ended.map_err(|_| "a shard's thread died".to_owned()))
            .collect::<Result<Vec<Done>, String>>()
    })?;
    board.into_result()?;
    let mut replayed = Replayed {
        instruments: Vec::new(),
        books: Vec::new(),
        commands: 0,
        events: 0,
        last_sequence: Sequence::default(),
        seconds: 0.0,
    };
    for Done { shard, books } in done {
        replayed.books.extend(books);
        replayed.events += shard.events();
        // All shards have counted these alike.
        replayed.commands = shard.commands();
        replayed.last_sequence = shard.last_sequence();
        replayed.instruments = shard.into_instruments();
    }
    replayed.books.sort_by_key(|book| book.instrument);
    Ok(Replayed { seconds: started.elapsed().as_secs_f64(), ..replayed })
}

/// A shard that is through, and its books.
struct Done {
    shard: Shard,
    books: Vec<BookHashes>,
}

/// What one thread does.
fn run(board: &Board<'_>, mut shard: Shard) -> Done {
    let _watch = board.watch();
    let mut part = 0;
    loop {
        match board.next(part) {
            Work::Judge => {
                if let Some((number, part)) = board.take_part() {
                    board.put(number, judge(part, shard.shards()));
                }
            }
            Work::Execute(judged) => {
                let outcome = shard.execute(&judged);
                board.executed(part, outcome);
                part += 1;
            }
            Work::Nothing => break,
        }
    }
    let books = shard.hashes();
    Done { shard, books }
}

impl Replayed {
    /// The hash of all books.
    pub(crate) fn state(&self) -> StateHash {
        combined(self.books.iter().map(|book| book.state))
    }

    /// The hash of all that they said.
    pub(crate) fn events_hash(&self) -> EventHash {
        self.books.iter().fold(EventHash::default(), |sum, book| sum.combine(book.events))
    }
}

/// The command.
pub(crate) fn replay(args: &cli::Replay) -> Result<(), String> {
    let cores = || thread::available_parallelism().map_or(1, NonZero::get);
    let shards = args.shards.unwrap_or_else(|| cores().min(SHARDS_MAX) as u16);
    let replayed = replay_dir(&args.data, shards)?;
    let state = replayed.state();
    let symbol = |book: &BookHashes| {
        replayed.instruments.get(book.instrument.0 as usize).map(|i| i.symbol.to_string()).unwrap_or_default()
    };
    let per_second = replayed.commands as f64 / replayed.seconds.max(1e-9);
    if args.json {
        let books: Vec<_> = replayed
            .books
            .iter()
            .filter(|_| args.per_instrument)
            .map(|book| {
                json!({
                    "symbol": symbol(book),
                    "commands": book.commands,
                    "state": book.state.to_string(),
                    "events": format!("{:016x}", book.events.0),
                })
            })
            .collect();
        say!(
            "{}",
            json!({
                "commands": replayed.commands,
                "events": replayed.events,
                "last_sequence": replayed.last_sequence.0,
                "shards": shards,
                "seconds": replayed.seconds,
                "commands_per_second": per_second,
                "state": state.to_string(),
                "events_hash": format!("{:016x}", replayed.events_hash().0),
                "books": books,
            })
        );
        return Ok(());
    }
    if args.per_instrument {
        say!("{:<8} {:>12} {:>18} {:>18}", "symbol", "commands", "state", "events");
        for book in &replayed.books {
            say!(
                "{:<8} {:>12} {:>18} {:>18}",
                symbol(book),
                book.commands,
                book.state.to_string(),
                format!("{:016x}", book.events.0)
            );
        }
    }
    say!(
        "replayed {} commands ({} events) on {} shards in {:.3} s: {per_second:.0} commands/s",
        replayed.commands,
        replayed.events,
        shards,
        replayed.seconds
    );
    say!("events {:016x}", replayed.events_hash().0);
    say!("state {state}");
    Ok(())
}
