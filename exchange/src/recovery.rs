//! From a data directory to a running exchange's state.
//!
//! 1. The journal opens: it cuts a torn tail, takes in what a killed process left in shared memory, and
//!    refuses what is damaged.
//! 2. The newest [snapshot] that is good in every respect says where to begin; any doubt about one costs a
//!    line in the log and it is done without: the one before it serves, or the journal from its start.
//! 3. A [`Follower`] goes from there to the end: commands through sessions and books, and each report in the log held
//!    against what the books say.
//! 4. What the books have caused and the log does not have had never been numbered, hence never sent: it is numbered and
//!    logged now.
//! 5. The configuration is held against what the journal defines, and what is new is defined.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use cluster::gate::Policy;
use domain::{
    Command, Epoch, Instrument, InstrumentId, OrderBounds, Protocol, Sequence, SessionDefinition, SessionId,
};
use engine::hash::StateHash;
use gateway::{Instruments, Sessions, Venue};
use journal::{Appender, Journal, Mark, Position, Reader, Records, Recovery};
use log::warn;

use crate::{
    books::HowToRun,
    config::{Config, journal_ack},
    follower::{Followed, Follower},
    sequencer::Sequencer,
    snapshot::{self, Loaded},
    users,
    wake::FrontWake,
};

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
    /// The first record of the epoch that was begun, in a pair.
    pub(crate) epoch_at: Option<Position>,
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

/// A journal that has been opened.
pub(crate) struct Opened {
    pub(crate) appender: Appender,
    pub(crate) found: Recovery,
    started: Instant,
}

/// Opens the directory, or makes it.
pub(crate) fn open(
    dir: &Path,
    config: &Config,
    policy: Policy,
    wake: &Arc<FrontWake>,
) -> Result<Opened, String> {
    let started = Instant::now();
    let on_progress = {
        let wake = Arc::clone(wake);
        Arc::new(move || wake.on_progress())
    };
    let options = journal::Options { ack: journal_ack(policy), ..config.journal.clone() };
    let (appender, found) = Journal::open(dir, &options, on_progress).map_err(|error| error.to_string())?;
    Ok(Opened { appender, found, started })
}

/// Recovers what has been opened.
///
/// In a pair, `epoch` says which epoch to begin once it is known what the journal has.
pub(crate) fn recover(
    opened: Opened,
    config: &Config,
    policy: Policy,
    how: &Arc<HowToRun>,
    use_snapshots: bool,
    wake: &Arc<FrontWake>,
    epoch: impl FnOnce(&Recovery) -> Result<Option<Epoch>, String>,
) -> Result<Recovered, String> {
    let Opened { appender, found, started } = opened;
    let (follower, snapshot) = follow(&appender.dir(), &found, how, use_snapshots, wake)?;
    let epoch = epoch(&found)?;
    take_over(Ready { appender, follower, found, snapshot, epoch }, config, policy, started)
}

/// A log that has been followed to its end, and whose writer is gone.
pub(crate) struct Ready {
    pub(crate) appender: Appender,
    pub(crate) follower: Follower,
    pub(crate) found: Recovery,
    /// The snapshot that served, if one did.
    pub(crate) snapshot: Option<(Mark, Sequence)>,
    /// The epoch to begin, in a pair.
    pub(crate) epoch: Option<Epoch>,
}

/// Writes on where the log ends.
pub(crate) fn take_over(
    ready: Ready,
    config: &Config,
    policy: Policy,
    started: Instant,
) -> Result<Recovered, String> {
    let Ready { appender, mut follower, found, snapshot, epoch } = ready;
    let new_instruments = check_instruments(follower.instruments(), &config.instruments)?;
    follower.grow(&new_instruments)?;
    let state = follower.state();
    let Followed { books, mut sessions, mut instruments, commands: executed } = follower.end()?;
    let mut sequencer = Sequencer::new(books, appender, policy);
    let epoch_at = match epoch {
        None => None,
        Some(epoch) => {
            wait_for_room(&mut sequencer)?;
            Some(sequencer.begin_epoch(epoch))
        }
    };
    let reports_completed = lead(&mut sequencer, &mut sessions)?;

    for instrument in new_instruments {
        wait_for_room(&mut sequencer)?;
        sequencer.sequence(Command::DefineInstrument(instrument));
        instruments.define(instrument);
    }
    define_sessions(config, &mut sessions, &mut sequencer)?;
    define_copies(config, &mut sessions, &mut sequencer)?;
    sequencer.commit();
    Ok(Recovered {
        sequencer,
        sessions,
        instruments,
        journal: found,
        snapshot: snapshot.map(|(_, sequence)| sequence),
        executed,
        reports_completed,
        epoch_at,
        took: started.elapsed(),
        state,
    })
}

/// Follows the journal that has been opened to its end. Gives the place and the last command of the snapshot that served,
/// if one did.
pub(crate) fn follow(
    dir: &Path,
    found: &Recovery,
    how: &Arc<HowToRun>,
    use_snapshots: bool,
    wake: &Arc<FrontWake>,
) -> Result<(Follower, Option<(Mark, Sequence)>), String> {
    let reader = Reader::open(dir).map_err(|error| error.to_string())?;
    let snapshots = if use_snapshots { journal::snapshot::list(dir) } else { Ok(Vec::new()) };
    let snapshots = snapshots.unwrap_or_else(|error| {
        warn!("snapshots are not looked for: {error}");
        Vec::new()
    });
    follow_from_newest(dir, &reader, &snapshots, Some(found.last_sequence), &|snapshot| {
        Follower::begin(Arc::clone(how), wake, snapshot)
    })
}

/// Follows a journal to its end: from the first of `snapshots`, the newest before the others, that is good in every
/// respect, or from its start. `judged` is the last command of a journal whose records have been judged already.
pub(crate) fn follow_from_newest(
    dir: &Path,
    reader: &Reader,
    snapshots: &[PathBuf],
    judged: Option<Sequence>,
    begin: &dyn Fn(Option<Loaded>) -> Result<Follower, String>,
) -> Result<(Follower, Option<(Mark, Sequence)>), String> {
    for path in snapshots {
        match follow_from(path, reader, judged, begin) {
            Ok((follower, place)) => return Ok((follower, Some(place))),
            Err(why) => warn!(
                "snapshot {} is not used: {why}; it is done without, which takes longer and gives the same",
                path.display()
            ),
        }
    }
    from_its_start(dir, reader)?;
    let mut follower = begin(None)?;
    let records = if judged.is_some() { reader.records_unjudged() } else { reader.records() };
    run(&mut follower, records)?;
    Ok((follower, None))
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

/// The same from one snapshot. What is wrong is wrong with the snapshot, or is found again without it.
fn follow_from(
    path: &Path,
    reader: &Reader,
    judged: Option<Sequence>,
    begin: &dyn Fn(Option<Loaded>) -> Result<Follower, String>,
) -> Result<(Follower, (Mark, Sequence)), String> {
    let loaded = snapshot::load(path, reader.cluster())?;
    let (mark, sequence) = (loaded.mark, loaded.last_sequence);
    let from_there = |error: &dyn std::fmt::Display| format!("the journal does not go on from it: {error}");
    let records = reader.records_after(mark).map_err(|error| from_there(&error))?;
    let records = if judged.is_some() { reader.records_again_after(mark) } else { records };
    let mut follower = begin(Some(loaded))?;
    run(&mut follower, records).map_err(|error| from_there(&error))?;
    if let Some(last) = judged
        && follower.last_sequence() != last
    {
        return Err(format!(
            "with it the journal ends at sequence {}, and without it at {last}",
            follower.last_sequence()
        ));
    }
    Ok((follower, (mark, sequence)))
}

fn run(follower: &mut Follower, records: Records<'_>) -> Result<(), String> {
    for record in records {
        follower.on_record(&record.map_err(|error| error.to_string())?)?;
    }
    // Instruments that no command has followed have their books, too.
    follower.grow(&[])?;
    follower.sessions().caught_up().map_err(|error| error.to_string())
}

/// The log is ours to write from here on: what had been caused and not numbered when its writer stopped is numbered.
/// Returns how many reports that were.
pub(crate) fn lead(sequencer: &mut Sequencer, sessions: &mut Sessions) -> Result<u64, String> {
    let mut failed = None;
    let owed = sessions.lead(|report| {
        if let Err(error) = wait_for_room(sequencer) {
            // No number that is given now is ever told: the start ends with this error.
            failed.get_or_insert(error);
            return Position(u64::MAX);
        }
        sequencer.log(report)
    });
    sequencer.commit();
    failed.map_or(owed.map_err(|error| error.to_string()), Err)
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
    for (user, protocol) in config.sessions()? {
        if let Some((_, session)) = sessions.iter().find(|(_, session)| session.user == user) {
            // A session from before special orders speaks OUCH as well, without what is told of those.
            if (session.protocol == Protocol::Fix) != (protocol == Protocol::Fix) {
                return Err(format!(
                    "user {} has a session that speaks {:?}, and the configuration or the users file says {protocol:?}: a session \
                     keeps its protocol, so give another name",
                    user.to_string().trim_end(),
                    session.protocol
                ));
            }
            continue;
        }
        wait_for_room(sequencer)?;
        let session = SessionId(u32::try_from(sessions.len()).map_err(|error| error.to_string())?);
        let definition = SessionDefinition { session, user, protocol };
        let command = sequencer.sequence(Command::DefineSession(definition));
        sessions.define(&definition);
        sessions.on_command(&command, |report| sequencer.log(report));
    }
    Ok(())
}

/// Who is told of whose orders, as the users have it.
fn define_copies(config: &Config, sessions: &mut Sessions, sequencer: &mut Sequencer) -> Result<(), String> {
    let users = users::with_sessions(&config.users, &config.accounts, |name| {
        sessions.iter().find(|(_, session)| session.user == name).map(|(id, _)| id)
    })?;
    for copy in sessions.copies_due(&users)? {
        wait_for_room(sequencer)?;
        let command = sequencer.sequence(Command::DropCopy(copy));
        sessions.on_command(&command, |report| sequencer.log(report));
    }
    Ok(())
}
