//! The journal of a node that follows: opened, made, continued, cut, or replaced by a snapshot, and the books that go with
//! it.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
    time::Duration,
};

use cluster::standby::{Log, Standby};
use domain::{Epoch, EpochStart};
use engine::hash::StateHash;
use journal::{
    AckPolicy, Appender, Begin, ClusterId, Journal, Mark, OpenError, Position, Recovery, TruncateError,
};
use log::{error, info, warn};
use mio::Waker;

use super::{super::history_of, Driver, Following, lock};
use crate::{follower::Follower, keeping::Keeping, recovery, snapshot};

/// Where what is cut or replaced is kept.
pub(crate) const ARCHIVE: &str = "archive";
/// Where a snapshot is received, and its name until it is whole.
const INCOMING: &str = "incoming";
const DRAFT: &str = "snapshot.tmp";

/// The journal, open, with what follows it.
pub(super) struct Open {
    pub(super) appender: Appender,
    pub(super) found: Recovery,
    pub(super) follower: Follower,
    /// The follower has everything before.
    pub(super) apply_from: Position,
    /// Why the books here are not those of the leader.
    pub(super) differs: Option<String>,
}

impl Open {
    /// From here on this node keeps the journal and does not lead.
    pub(super) fn say_differs(&mut self, why: String) {
        error!("the books here are not those of the journal, so this node will not lead: {why}");
        self.differs = Some(why);
    }
}

/// Opens the journal that is there and goes to its end, or makes the copy `begin`; nothing when there is neither.
pub(super) fn open(
    dir: &Path,
    of: &Following,
    waker: &Arc<Waker>,
    begin: Option<(Begin, journal::Options)>,
) -> Result<Option<Open>, String> {
    if begin.is_none() && !journal::is_there(dir) && !of.founds {
        return Ok(None);
    }
    let options = match begin {
        Some((begin, options)) => journal::Options { begin: Some(begin), ..options },
        None => of.options.clone(),
    };
    let (appender, found) = match open_journal(dir, options, waker) {
        Ok(opened) => opened,
        Err(OpenError::NoBeginning { file }) => {
            warn!("{}: a copy that had not begun: it is put away", file.display());
            put_away(dir, "unbegun")?;
            return Ok(None);
        }
        Err(error) => return Err(error.to_string()),
    };
    let (follower, mark) = recovery::follow(dir, &found, &of.how, true, &of.wake)?;
    let apply_from = mark.map_or(Position(0), |(mark, _)| mark.position);
    if let Some((_, sequence)) = mark {
        info!("begins with the snapshot at sequence {sequence} and {} commands behind it", {
            found.last_sequence.0.saturating_sub(sequence.0)
        });
    }
    Ok(Some(Open { appender, found, follower, apply_from, differs: None }))
}

/// Opens the journal as a follower does: what it says it has is on its disk.
fn open_journal(
    dir: &Path,
    options: journal::Options,
    waker: &Arc<Waker>,
) -> Result<(Appender, Recovery), OpenError> {
    let options = journal::Options { ack: AckPolicy::Disk, ..options };
    let waker = Arc::clone(waker);
    let on_progress = Arc::new(move || {
        let _ = waker.wake();
    });
    Journal::open(dir, &options, on_progress)
}

pub(super) fn log_of(open: &Open) -> Result<Log, String> {
    let (ring_bytes, segment_bytes) = open.appender.geometry();
    Ok(Log {
        cluster: open.appender.cluster(),
        end: open.appender.mark(),
        durable: open.appender.durable(),
        history: history_of(&open.found)?,
        ring_bytes,
        segment_bytes,
    })
}

impl Driver {
    pub(super) fn tell_durable(&mut self) -> Result<(), String> {
        let Some(open) = &self.journal else { return Ok(()) };
        if let Some(failure) = open.appender.failure() {
            return Err(format!("journal: {failure}"));
        }
        let durable = open.appender.durable();
        if self.machine.log().is_some_and(|log| durable > log.durable) {
            self.machine.durable(durable);
        }
        Ok(())
    }

    /// Has snapshots of the journal that is open taken, and its old segments removed.
    pub(super) fn begin_keeping(&mut self) -> Result<(), String> {
        let Some(Open { appender, .. }) = &self.journal else { return Ok(()) };
        let (_, segment_bytes) = appender.geometry();
        *lock(&self.of.shown.disk) = Some(appender.progress());
        let keeping = Keeping {
            data: self.dir.clone(),
            upkeep: self.of.upkeep.clone(),
            segment_bytes,
            progress: appender.progress(),
            peer: Some(Arc::clone(&self.needs)),
            leads: false,
            stop: Arc::clone(&self.of.stop),
        };
        self.keeper = Some(keeping.spawn()?);
        Ok(())
    }

    /// Closes the journal, if one is open, with nothing left that reads or changes it.
    pub(super) fn close_journal(&mut self) -> Result<(), String> {
        if let Some(keeper) = self.keeper.take()
            && !keeper.end()
        {
            return Err("a thread died".into());
        }
        if let Some(Open { appender, follower, .. }) = self.journal.take() {
            drop(follower);
            appender.close().map_err(|error| format!("journal: {error}"))?;
        }
        Ok(())
    }

    /// Brings the books to the log's end, and holds them against those of the leader, which stands still there. Gives what
    /// they come to, unless they are known not to be those of the journal.
    pub(super) fn compare(&mut self, at: Mark, theirs: StateHash) -> Option<StateHash> {
        let open = self.journal.as_mut().filter(|open| open.differs.is_none())?;
        // Instruments that no command has followed have their books there.
        if let Err(why) = open.follower.grow(&[]) {
            open.say_differs(why);
            return None;
        }
        let ours = open.follower.state();
        if ours != theirs {
            let why = format!(
                "at position {} their state is {ours} and that of the node that leads {theirs}",
                at.position
            );
            open.say_differs(why);
        }
        Some(ours)
    }

    /// Makes an empty copy.
    pub(super) fn make(
        &mut self,
        cluster: ClusterId,
        ring_bytes: u64,
        segment_bytes: u64,
    ) -> Result<(), String> {
        let begin = Begin::from_start(cluster);
        let options = journal::Options { tail_bytes: ring_bytes, segment_bytes, ..self.of.options.clone() };
        self.journal = open(&self.dir, &self.of, &self.waker, Some((begin, options)))?;
        self.begin_keeping()
    }

    /// Makes room for a snapshot that comes.
    pub(super) fn begin_snapshot(&mut self, length: u64) -> Result<(), String> {
        let folder = self.dir.join(INCOMING);
        let file = fs::create_dir_all(&folder)
            .and_then(|()| File::create(folder.join(DRAFT)))
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        info!("receiving a snapshot of {length} bytes");
        self.incoming = Some(file);
        Ok(())
    }

    /// Brings the books to the log's end.
    pub(super) fn catch_up(&mut self) {
        if let Some(open) = &mut self.journal
            && open.differs.is_none()
            && let Err(why) = open.follower.settle()
        {
            open.say_differs(why);
        }
    }

    /// Whether there would be something to begin with if the journal ended at `to`: its own beginning, or a snapshot. Old
    /// segments that nobody needed at the time may be gone.
    pub(super) fn can_begin_at(&self, to: Mark) -> bool {
        let first = journal::first_position(&self.dir).unwrap_or(Position(0));
        let snapshots = journal::snapshot::list(&self.dir).unwrap_or_default();
        let mut places = snapshots.iter().filter_map(|path| journal::snapshot::position_of(path));
        first == Position(0) || places.any(|place| first <= place && place <= to.position)
    }

    /// Puts the journal away, which cannot be cut at `to`, and begins anew as a node that has none.
    pub(super) fn start_over(&mut self, to: Mark) -> Result<(), String> {
        warn!(
            "the journal would have to be cut at position {}, and its older segments and snapshots are gone: this node \
             begins anew with a copy of the other one's",
            to.position
        );
        self.close_link();
        self.close_journal()?;
        put_away(&self.dir, &format!("not-cut-at-{:020}", to.position.0))?;
        self.machine = Standby::new(self.of.settings, self.of.node.id(), None, self.kept.kept);
        Ok(())
    }

    /// Cuts the journal, and goes to its new end. `None` when the mark is not this journal's: nothing is changed then.
    pub(super) fn truncate(&mut self, to: Mark) -> Result<Option<Mark>, String> {
        if self.journal.is_none() {
            return Ok(None);
        }
        self.close_journal()?;
        let archive = self.dir.join(ARCHIVE);
        let done = match journal::truncate(&self.dir, to, &archive) {
            Ok(truncated) => {
                warn!(
                    "the journal was cut at position {}: {} bytes that no other node has are kept in {}",
                    to.position,
                    truncated.bytes,
                    archive.display()
                );
                true
            }
            Err(TruncateError::Mark { .. }) => false,
            Err(error) => return Err(error.to_string()),
        };
        self.journal = open(&self.dir, &self.of, &self.waker, None)?;
        self.begin_keeping()?;
        Ok(done.then_some(to))
    }

    /// Puts the snapshot that has come and an empty copy behind it in the place of what there was.
    pub(super) fn install(
        &mut self,
        cluster: journal::ClusterId,
        mark: Mark,
        from: Mark,
        ring_bytes: u64,
        segment_bytes: u64,
    ) -> Result<bool, String> {
        let Some(file) = self.incoming.take() else { return Ok(false) };
        // A snapshot's name is part of what is checked.
        let path = journal::snapshot::path_at(&self.dir.join(INCOMING), mark.position);
        let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
        file.sync_all().map_err(wrong)?;
        fs::rename(self.dir.join(INCOMING).join(DRAFT), &path).map_err(wrong)?;
        match journal::snapshot::check(&path, cluster) {
            Ok(header) if header.mark == mark => {}
            Ok(header) => {
                warn!(
                    "the snapshot that came is of position {}, not {}",
                    header.mark.position, mark.position
                );
                return Ok(false);
            }
            Err(error) => {
                warn!("the snapshot that came: {error}");
                return Ok(false);
            }
        }
        self.close_journal()?;
        put_away(&self.dir, &format!("replaced-by-{:020}", mark.position.0))?;
        let place = journal::snapshot::path_at(&self.dir, mark.position);
        fs::rename(&path, &place).and_then(|()| File::open(&self.dir)?.sync_all()).map_err(wrong)?;
        let loaded = snapshot::load(&place, cluster)?;
        let options = journal::Options { tail_bytes: ring_bytes, segment_bytes, ..self.of.options.clone() };
        let begin = Begin { cluster, mark: from, last_sequence: None };
        let options = journal::Options { begin: Some(begin), ..options };
        let (appender, found) =
            open_journal(&self.dir, options, &self.waker).map_err(|error| error.to_string())?;
        let follower = Follower::begin(Arc::clone(&self.of.how), &self.of.wake, Some(loaded))?;
        info!("begins with the snapshot at position {}", mark.position);
        self.journal = Some(Open { appender, found, follower, apply_from: mark.position, differs: None });
        self.begin_keeping()?;
        Ok(true)
    }
}

/// Takes batches into the journal, and their records into the books.
pub(super) fn append(
    journal: &mut Option<Open>,
    machine: &mut Standby,
    at: Position,
    bytes: &[u8],
) -> Result<(), String> {
    let Some(Open { appender, follower, apply_from, differs, .. }) = journal else {
        machine.append_failed("there is no journal to append to".into());
        return Ok(());
    };
    let mut starts = Vec::new();
    let mut newest = machine.log().map_or(Epoch::NONE, |log| log.history.last());
    let mut done = 0;
    let mut failed = None;
    while done < bytes.len() {
        let taken = appender.append_copies(Position(at.0 + done as u64), &bytes[done..], |record| {
            if record.epoch > newest {
                newest = record.epoch;
                starts.push(EpochStart { epoch: newest, position: record.position });
            }
            if record.position >= *apply_from
                && differs.is_none()
                && let Err(why) = follower.on_record(record)
            {
                error!("the books here are not those of the journal, so this node will not lead: {why}");
                *differs = Some(why);
            }
        });
        match taken {
            Ok(0) => {
                if let Some(failure) = appender.failure() {
                    return Err(format!("journal: {failure}"));
                }
                // The disk is behind by a whole tail: the leader waits meanwhile.
                std::thread::sleep(Duration::from_micros(200));
            }
            Ok(taken) => done += taken,
            Err(error) => {
                failed = Some(error.to_string());
                break;
            }
        }
    }
    if done > 0 {
        machine.appended(appender.mark(), &starts);
    }
    if let Some(why) = failed {
        machine.append_failed(why);
    }
    Ok(())
}

/// Moves the journal and its snapshots out of the way, into a folder of the archive.
fn put_away(dir: &Path, name: &str) -> Result<(), String> {
    let archive = Path::new(ARCHIVE);
    let mut place = archive.join(name);
    let mut number = 1;
    while dir.join(&place).exists() {
        number += 1;
        place = archive.join(format!("{name}-{number}"));
    }
    journal::put_away(dir, &place).map_err(|error| error.to_string())?;
    info!("what was there is kept in {}", dir.join(place).display());
    Ok(())
}
