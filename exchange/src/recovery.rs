//! From a data directory to a running exchange's state.
//!
//! 1. The journal opens: it cuts a torn tail, takes in what a killed process left in shared memory, and
//!    refuses what is damaged.
//! 2. The newest [snapshot] that is good in every respect says where to begin; any doubt about one costs a
//!    line in the log and it is done without: the one before it serves, or the journal from its start.
//! 3. A first pass over the log from there collects definitions and which reports have been numbered already.
//! 4. A second pass runs every command through the same path as live trading: sessions fold it, its book
//!    executes it on its shard, and events that had not been reported yet are numbered and logged now.
//! 5. The configuration is held against what the journal defines, and what is new is defined.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{Command, Instrument, InstrumentId, Nanos, OrderBounds, Sequence, SessionDefinition, SessionId};
use engine::{
    book::Book,
    hash::StateHash,
    runtime::{Runtime, RuntimeConfig, Wake},
};
use gateway::{Instruments, Sessions, Venue};
use journal::{AckPolicy, Journal, Mark, Position, Reader, RecordKind, Recovery};
use log::warn;

use crate::{
    agenda::Agenda,
    config::Config,
    front::combined,
    sequencer::{Line, Past, Sequencer},
    snapshot::{self, Loaded, MarketWide},
    wake::FrontWake,
};

/// Commands routed before the shards are shown them.
const BATCH: usize = 256;

/// What the recovery found.
pub(crate) struct Recovered {
    pub(crate) sequencer: Sequencer,
    pub(crate) sessions: Sessions,
    pub(crate) instruments: Instruments,
    /// What the journal said of itself.
    pub(crate) journal: Recovery,
    /// The last command in the snapshot that served; `None` when none did.
    pub(crate) snapshot: Option<Sequence>,
    /// Commands executed: those of the journal that the snapshot does not have.
    pub(crate) executed: u64,
    /// Reports that had been caused and not numbered when the process died.
    pub(crate) reports_completed: u64,
    pub(crate) took: Duration,
    /// The hash of all books before anything new.
    pub(crate) state: StateHash,
}

impl Recovered {
    /// Commands of the journal, whether a snapshot has them or they were executed now: sequences have no gap.
    pub(crate) fn commands(&self) -> u64 {
        self.snapshot.unwrap_or_default().0 + self.executed
    }
}

/// Where the second pass begins, and what the first has collected from there on.
#[derive(Default)]
struct Start {
    /// The place in the journal of the snapshot that served; `None`: the journal's start.
    mark: Option<Mark>,
    /// The last command before that place.
    snapshot_sequence: Sequence,
    /// The books as they are there, by instrument index; those of instruments defined later are not among
    /// them.
    books: Vec<Book>,
    /// What all books have been told there.
    market_wide: MarketWide,
    /// From here on: as the first pass leaves it.
    instruments: Instruments,
    /// The books' side as it is at the mark; the log's side as the first pass leaves it.
    sessions: Sessions,
    last_sequence: Sequence,
    last_nanos: Nanos,
}

/// Recovers the directory, or makes it.
pub(crate) fn recover(
    dir: &Path,
    config: &Config,
    ack: AckPolicy,
    runtime: impl FnOnce(&[Instrument]) -> Result<RuntimeConfig, String>,
    use_snapshots: bool,
    wake: &Arc<FrontWake>,
) -> Result<Recovered, String> {
    let started = Instant::now();
    let on_progress = {
        let wake = Arc::clone(wake);
        Arc::new(move || wake.on_progress())
    };
    let options = journal::Options { ack, ..config.journal.clone() };
    let (appender, found) = Journal::open(dir, &options, on_progress).map_err(|error| error.to_string())?;
    let reader = Reader::open(dir).map_err(|error| error.to_string())?;
    let Start {
        mark,
        snapshot_sequence,
        mut books,
        market_wide,
        mut instruments,
        mut sessions,
        last_sequence,
        last_nanos,
    } = begin(dir, &reader, &found, use_snapshots)?;
    let new_instruments = check_instruments(&instruments, &config.instruments)?;
    let all = [instruments.as_slice(), &new_instruments].concat();
    let count = u32::try_from(all.len()).map_err(|error| error.to_string())?;
    for instrument in (0..count).map(InstrumentId).skip(books.len()) {
        books.push(market_wide.book(instrument)?);
    }
    let line = |book: &Book| Line {
        next_order: book.next_order_number(),
        last_sequence: book.last_sequence(),
        last_nanos: Nanos(0),
    };
    let lines = books.iter().map(line).collect();
    let agenda = Agenda::of(&books);
    let wake: Arc<dyn Wake> = Arc::clone(wake) as Arc<dyn Wake>;
    let runtime = Runtime::resume(&runtime(&all)?, &wake, books).map_err(|error| error.to_string())?;
    let past = Past { last_sequence, last_nanos, lines, market_wide, agenda };
    let mut sequencer = Sequencer::new(runtime, appender, ack, past);

    let (executed, reports_completed) = second_pass(&reader, mark, &mut sequencer, &mut sessions)?;
    sessions.recovered();
    drop(reader);
    let state = combined(&sequencer.runtime.hashes());

    for instrument in new_instruments {
        wait_for_room(&mut sequencer)?;
        sequencer.sequence(Command::DefineInstrument(instrument));
        instruments.define(instrument);
    }
    define_sessions(config, &mut sessions, &mut sequencer)?;
    sequencer.commit();
    Ok(Recovered {
        sequencer,
        sessions,
        instruments,
        journal: found,
        snapshot: mark.map(|_| snapshot_sequence),
        executed,
        reports_completed,
        took: started.elapsed(),
        state,
    })
}

/// Whether a record says what an index means.
pub(crate) const fn is_definition(kind: RecordKind) -> bool {
    matches!(kind, RecordKind::DefineInstrument | RecordKind::DefineSession)
}

/// Finds where to begin, and makes the first pass from there.
fn begin(dir: &Path, reader: &Reader, found: &Recovery, use_snapshots: bool) -> Result<Start, String> {
    let snapshots = if use_snapshots { journal::snapshot::list(dir) } else { Ok(Vec::new()) };
    let snapshots = snapshots.unwrap_or_else(|error| {
        warn!("snapshots are not looked for: {error}");
        Vec::new()
    });
    for path in snapshots {
        match begin_with(&path, reader, found) {
            Ok(start) => return Ok(start),
            Err(why) => warn!(
                "snapshot {} is not used: {why}; recovering without it, which takes longer and gives the same",
                path.display()
            ),
        }
    }
    from_its_start(dir, reader)?;
    let mut start = Start::default();
    first_pass(reader, &mut start)?;
    Ok(start)
}

/// Whether a journal has its start, so that everything can be made from it alone. One whose oldest segments retention
/// has removed needs a snapshot; what is used without one says so here.
pub(crate) fn from_its_start(dir: &Path, reader: &Reader) -> Result<(), String> {
    let begin = reader.begin();
    if begin == Position(0) {
        return Ok(());
    }
    Err(format!(
        "the journal in {} begins at position {begin}: its older segments have been removed, and nothing says what was \
         in them. With a good snapshot at or beyond that position (snapshot-*.snap, of this directory or of a \
         standby's) an exchange starts from there; with the older segments from the archive everything does",
        dir.display()
    ))
}

/// Begins with a snapshot. What is wrong is wrong with the snapshot: the journal has been found good.
fn begin_with(path: &Path, reader: &Reader, found: &Recovery) -> Result<Start, String> {
    let Loaded { mark, last_sequence, last_nanos, market_wide, instruments, books, sessions } =
        snapshot::load(path, found.cluster)?;
    let mut start = Start {
        mark: Some(mark),
        snapshot_sequence: last_sequence,
        books,
        market_wide,
        instruments,
        sessions,
        last_sequence,
        last_nanos,
    };
    first_pass(reader, &mut start).map_err(|error| format!("the journal does not go on from it: {error}"))?;
    if (start.last_sequence, start.last_nanos) != (found.last_sequence, found.last_nanos) {
        return Err(format!(
            "with it the journal ends at sequence {}, and without it at {}",
            start.last_sequence, found.last_sequence
        ));
    }
    Ok(start)
}

fn first_pass(reader: &Reader, start: &mut Start) -> Result<(), String> {
    let records = match start.mark {
        None => reader.records(),
        Some(mark) => reader.records_after(mark).map_err(|error| error.to_string())?,
    };
    for record in records {
        let record = record.map_err(|error| error.to_string())?;
        let place = |error: &dyn std::fmt::Display| format!("at position {}: {error}", record.position);
        if record.kind.is_report() {
            let report = record.report().map_err(|error| place(&error))?;
            start.sessions.on_logged(&report, record.position).map_err(|error| place(&error))?;
        } else if record.kind.is_command() {
            start.last_sequence = record.sequence;
            start.last_nanos = record.nanos;
            if is_definition(record.kind) {
                match record.command().map_err(|error| place(&error))?.command {
                    Command::DefineInstrument(instrument) => {
                        let next = start.instruments.as_slice().len();
                        if instrument.id.0 as usize != next
                            || start.instruments.find(instrument.symbol).is_some()
                        {
                            return Err(place(&format_args!(
                                "instrument {} is out of turn",
                                instrument.symbol
                            )));
                        }
                        start.instruments.define(instrument);
                    }
                    Command::DefineSession(definition) => {
                        if definition.session.0 as usize != start.sessions.len() {
                            return Err(place(&format_args!(
                                "session {} is out of turn",
                                definition.session
                            )));
                        }
                        start.sessions.define(&definition);
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// Returns the commands executed and the reports completed.
fn second_pass(
    reader: &Reader,
    mark: Option<Mark>,
    sequencer: &mut Sequencer,
    sessions: &mut Sessions,
) -> Result<(u64, u64), String> {
    let mut commands = 0;
    let mut completed = 0;
    let records = match mark {
        None => reader.records_unjudged(),
        Some(mark) => reader.records_again_after(mark),
    };
    for record in records {
        let record = record.map_err(|error| error.to_string())?;
        if !record.kind.is_command() {
            continue;
        }
        let command =
            record.command().map_err(|error| format!("at position {}: {error}", record.position))?;
        if let Some(instrument) = command.command.instrument()
            && instrument.0 as usize >= sequencer.instruments()
        {
            return Err(format!(
                "at position {}: instrument {instrument} was never defined",
                record.position
            ));
        }
        wait_for_room(sequencer)?;
        sessions.on_command(&command, |report| {
            completed += 1;
            sequencer.log(report)
        });
        while !sequencer.runtime.accepts_command(&command.command) {
            sequencer.runtime.publish();
            completed += drain(sequencer, sessions)?;
        }
        sequencer.replay(&command);
        commands += 1;
        if commands % BATCH as u64 == 0 {
            sequencer.runtime.publish();
            completed += drain(sequencer, sessions)?;
        }
    }
    sequencer.runtime.publish();
    while !sequencer.runtime.is_quiescent() {
        let more = drain(sequencer, sessions)?;
        completed += more;
        if more == 0 {
            std::thread::yield_now();
        }
    }
    sequencer.commit();
    Ok((commands, completed))
}

/// Folds what the books have said. Returns how many reports had not been numbered.
fn drain(sequencer: &mut Sequencer, sessions: &mut Sessions) -> Result<u64, String> {
    wait_for_room(sequencer)?;
    let mut completed = 0;
    sequencer.drain(BATCH * 4, |event, log| {
        sessions.on_event(event, |report| {
            completed += 1;
            log(report)
        });
    });
    Ok(completed)
}

/// Waits until the log has room, which the disk thread makes.
fn wait_for_room(sequencer: &mut Sequencer) -> Result<(), String> {
    while !sequencer.has_room(None) {
        sequencer.commit();
        if let Some(failure) = sequencer.appender().failure() {
            return Err(format!("journal: {failure}"));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// The configured instruments that the journal does not define yet, with the indexes that they get. An
/// instrument that it does define must be the same; one that is not configured any more stays.
fn check_instruments(defined: &Instruments, configured: &[Instrument]) -> Result<Vec<Instrument>, String> {
    let mut new = Vec::new();
    let mut next = defined.as_slice().len();
    for instrument in configured {
        match defined.find(instrument.symbol) {
            Some(known) if Instrument { id: known.id, ..*instrument } == *known => {}
            Some(known) => {
                return Err(format!(
                    "instrument {}: the journal defines it with {}, and the configuration says {} (in \
                     ten-thousandths, units, lots, ticks, ticks times lots). A definition does not change: restore \
                     it, or use another symbol or data directory",
                    known.symbol,
                    written(known),
                    written(instrument),
                ));
            }
            None => {
                let id = InstrumentId(u32::try_from(next).map_err(|error| error.to_string())?);
                new.push(Instrument { id, ..*instrument });
                next += 1;
            }
        }
    }
    Ok(new)
}

/// A definition, field by field.
fn written(instrument: &Instrument) -> String {
    let Instrument { id: _, symbol: _, tick, lot, quantity_max, price_max, bounds } = instrument;
    let OrderBounds { quantity_min, notional_min, notional_max } = bounds;
    let mut text = format!(
        "tick {tick}, lot {lot}, quantity_max {quantity_max}, price_max {price_max}, quantity_min {quantity_min}"
    );
    if *notional_min > OrderBounds::NONE.notional_min {
        text += &format!(", notional_min {notional_min}");
    }
    if *notional_max < OrderBounds::NONE.notional_max {
        text += &format!(", notional_max {notional_max}");
    }
    text
}

fn define_sessions(
    config: &Config,
    sessions: &mut Sessions,
    sequencer: &mut Sequencer,
) -> Result<(), String> {
    for user in &config.users {
        if sessions.iter().any(|(_, session)| session.user == user.name) {
            continue;
        }
        wait_for_room(sequencer)?;
        let session = SessionId(u32::try_from(sessions.len()).map_err(|error| error.to_string())?);
        let definition = SessionDefinition { session, user: user.name };
        let command = sequencer.sequence(Command::DefineSession(definition));
        sessions.define(&definition);
        sessions.on_command(&command, |report| sequencer.log(report));
    }
    Ok(())
}
