//! From a data directory to a running exchange's state.
//!
//! 1. The journal opens: it cuts a torn tail, takes in what a killed process left in shared memory, and refuses
//!    what is damaged.
//! 2. A first pass over the log collects definitions and which reports have been numbered already.
//! 3. A second pass runs every command through the same path as live trading: sessions fold it, its book executes
//!    it on its shard, and events that had not been reported yet are numbered and logged now.
//! 4. The configuration is held against what the journal defines, and what is new is defined.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{Command, Instrument, Nanos, Sequence, SessionDefinition, SessionId};
use engine::{
    hash::StateHash,
    runtime::{Placement, Runtime, RuntimeConfig, Wake},
};
use gateway::{Instruments, Sessions, Venue};
use journal::{AckPolicy, Journal, Reader, RecordKind, Recovery};

use crate::{config::Config, front::combined, sequencer::Sequencer, wake::FrontWake};

/// Commands routed before the shards are shown them.
const BATCH: usize = 256;

/// What the recovery found.
pub(crate) struct Recovered {
    pub(crate) sequencer: Sequencer,
    pub(crate) sessions: Sessions,
    pub(crate) instruments: Instruments,
    /// What the journal said of itself.
    pub(crate) journal: Recovery,
    /// Commands executed.
    pub(crate) commands: u64,
    /// Reports that had been caused and not numbered when the process died.
    pub(crate) reports_completed: u64,
    pub(crate) took: Duration,
    /// The hash of all books before anything new.
    pub(crate) state: StateHash,
}

/// What the first pass collects.
#[derive(Default)]
struct FirstPass {
    instruments: Instruments,
    sessions: Sessions,
    last_sequence: Sequence,
    last_nanos: Nanos,
}

/// Recovers the directory, or makes it.
pub(crate) fn recover(
    dir: &Path,
    config: &Config,
    ack: AckPolicy,
    runtime: impl FnOnce(Placement) -> RuntimeConfig,
    shards: u16,
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
    let FirstPass { mut instruments, mut sessions, last_sequence, last_nanos } = first_pass(&reader)?;
    let new_instruments = check_instruments(&instruments, &config.instruments)?;
    let count = instruments.as_slice().len() + new_instruments.len();
    let placement =
        Placement::new(config.placement, u32::try_from(count).map_err(|error| error.to_string())?, shards);
    let wake: Arc<dyn Wake> = Arc::clone(wake) as Arc<dyn Wake>;
    let runtime = Runtime::start(&runtime(placement), &wake).map_err(|error| error.to_string())?;
    let mut sequencer = Sequencer::new(runtime, appender, ack, last_sequence, last_nanos, count);

    let (commands, reports_completed) = second_pass(&reader, &mut sequencer, &mut sessions)?;
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
        commands,
        reports_completed,
        took: started.elapsed(),
        state,
    })
}

/// Whether a record says what an index means.
pub(crate) const fn is_definition(kind: RecordKind) -> bool {
    matches!(kind, RecordKind::DefineInstrument | RecordKind::DefineSession)
}

fn first_pass(reader: &Reader) -> Result<FirstPass, String> {
    let mut pass = FirstPass::default();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let place = |error: &dyn std::fmt::Display| format!("at position {}: {error}", record.position);
        if record.kind.is_report() {
            let report = record.report().map_err(|error| place(&error))?;
            pass.sessions.on_logged(&report, record.position).map_err(|error| place(&error))?;
        } else if record.kind.is_command() {
            pass.last_sequence = record.sequence;
            pass.last_nanos = record.nanos;
            if is_definition(record.kind) {
                match record.command().map_err(|error| place(&error))?.command {
                    Command::DefineInstrument(instrument) => pass.instruments.define(instrument),
                    Command::DefineSession(definition) => pass.sessions.define(&definition),
                    _ => {}
                }
            }
        }
    }
    Ok(pass)
}

/// Returns the commands executed and the reports completed.
fn second_pass(
    reader: &Reader,
    sequencer: &mut Sequencer,
    sessions: &mut Sessions,
) -> Result<(u64, u64), String> {
    let mut commands = 0;
    let mut completed = 0;
    for record in reader.records_again() {
        let record = record.map_err(|error| error.to_string())?;
        if !record.kind.is_command() {
            continue;
        }
        let command =
            record.command().map_err(|error| format!("at position {}: {error}", record.position))?;
        wait_for_room(sequencer)?;
        sessions.on_command(&command, |report| {
            completed += 1;
            sequencer.log(report)
        });
        while !ring_has_room(sequencer, &command.command) {
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

fn ring_has_room(sequencer: &mut Sequencer, command: &Command) -> bool {
    match command.instrument() {
        Some(instrument) => sequencer.ring_has_room(Some(instrument)),
        None => !command.is_market_wide() || sequencer.ring_has_room(None),
    }
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

/// The configured instruments that the journal does not define yet, with the indexes that they get. An instrument
/// that it does define must be the same; one that is not configured any more stays.
fn check_instruments(defined: &Instruments, configured: &[Instrument]) -> Result<Vec<Instrument>, String> {
    let mut new = Vec::new();
    let mut next = defined.as_slice().len();
    for instrument in configured {
        match defined.find(instrument.symbol) {
            Some(known) if Instrument { id: known.id, ..*instrument } == *known => {}
            Some(known) => {
                return Err(format!(
                    "instrument {}: the journal defines it with tick {}, lot {}, quantity_max {}, price_max {} (in \
                     ten-thousandths, units, lots, ticks), and the configuration says {}, {}, {}, {}. A definition \
                     does not change: restore it, or use another symbol or data directory",
                    known.symbol,
                    known.tick,
                    known.lot,
                    known.quantity_max,
                    known.price_max,
                    instrument.tick,
                    instrument.lot,
                    instrument.quantity_max,
                    instrument.price_max,
                ));
            }
            None => {
                let id = domain::InstrumentId(u32::try_from(next).map_err(|error| error.to_string())?);
                new.push(Instrument { id, ..*instrument });
                next += 1;
            }
        }
    }
    Ok(new)
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
