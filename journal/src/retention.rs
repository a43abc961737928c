//! Retention: which of the oldest segments nobody needs any more, and their removal.
//!
//! A recovery begins with a snapshot, so segments wholly below the older of the two that are kept are needed by
//! nobody but those who read the past: a standby that is behind, a session that asks for old messages. With an
//! archive nothing is lost: a segment is there before it goes here.
//!
//! One turn, [`Retention::run`]:
//! 1. the snapshots that a recovery could begin with are found: header and CRCs good, and the journal has their place;
//! 2. [`deletable`] decides, oldest first;
//! 3. with an archive, the segment is walked, copied there under another name, synced, walked again and held against
//!    the original, renamed, and the name synced;
//! 4. it is removed and that is synced, before the next is looked at.
//!
//! A crash anywhere leaves a journal that begins at one segment or at the next, and an archive that has a segment
//! whole or not at all; the next turn goes on from there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::{ClusterId, Position};

use crate::copy::{self, Walked};
use crate::error::{Damage, OpenError};
use crate::reader::Reader;
use crate::recovery;
use crate::snapshot::{self, KEPT};
use crate::storage::{Files, Storage, sync_parent};

/// Where a segment begins and ends in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first position.
    pub base: Position,
    /// The position after its last: the next one's base.
    pub end: Position,
}

/// How many of the oldest `segments`, which follow each other, may go: those wholly below the older of the two newest
/// `snapshots` and below every position in `needed`. None while there are fewer than two snapshots, and never the
/// last.
///
/// A segment that ends exactly where the snapshot stands stays, too: its last seal has the chain that shows that the
/// snapshot is of this journal, and behind it there may be no batch yet.
#[must_use]
pub fn deletable(segments: &[Span], snapshots: &[Position], needed: &[Position]) -> usize {
    let mut snapshots = snapshots.to_vec();
    snapshots.sort_unstable();
    snapshots.dedup();
    let Some(older) = snapshots.iter().rev().nth(KEPT - 1) else { return 0 };
    let floor = needed.iter().fold(*older, |floor, position| floor.min(*position));
    let all_but_last = &segments[..segments.len().saturating_sub(1)];
    all_but_last.iter().take_while(|segment| segment.end < floor).count()
}

/// Why a turn ended early. The segment at which it did is still where it was; those before it are gone, and in the
/// archive if there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// The journal's files are not what they should be.
    #[error(transparent)]
    Journal(Box<OpenError>),
    /// A segment is damaged: it is not archived, and nothing is removed from there on.
    #[error("a segment that was to be archived is damaged: {0}. Repair it first")]
    Damaged(Box<Damage>),
    /// What lies in the archive is not what was written there.
    #[error("the copy in the archive is not what was copied: {0}")]
    Copy(Box<Damage>),
    /// The archive has a segment of that name, of another journal.
    #[error(
        "{file} is of another journal: cluster {found}, and this one is {expected}. Give each journal its own archive"
    )]
    Foreign {
        /// The file in the archive.
        file: PathBuf,
        /// Its cluster.
        found: ClusterId,
        /// This journal's.
        expected: ClusterId,
    },
    /// The archive has another history of this journal.
    #[error("{file} is good and is another history of this journal: it is not overwritten. Move it away")]
    Differs {
        /// The file in the archive.
        file: PathBuf,
    },
    /// The archive is the data directory.
    #[error("the archive is the data directory {dir} itself")]
    Same {
        /// The directory.
        dir: PathBuf,
    },
    /// An operation of the filesystem failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<OpenError> for RetentionError {
    fn from(error: OpenError) -> Self {
        Self::Journal(Box::new(error))
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RetentionError {
    move |source| RetentionError::Io { action, path: path.to_path_buf(), source }
}

/// What a turn did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Segments removed.
    pub removed: u64,
    /// Segments copied into the archive; those that it had already are not counted.
    pub archived: u64,
    /// Bytes of the removed files.
    pub bytes: u64,
    /// Where the journal begins now.
    pub begin: Position,
    /// It was told to stop before it was through.
    pub stopped: bool,
}

/// Removes old segments of one data directory. Whoever has the journal open runs it, on a thread that may wait.
#[derive(Clone)]
pub struct Retention {
    dir: PathBuf,
    archive: Option<PathBuf>,
    storage: Arc<dyn Storage>,
}

impl Retention {
    /// Of the journal in `dir`, with an archive or without.
    #[must_use]
    pub fn new(dir: PathBuf, archive: Option<PathBuf>) -> Self {
        Self::with_storage(dir, archive, Arc::new(Files))
    }

    /// The same over a filesystem of the caller's, for tests of faults.
    #[must_use]
    pub fn with_storage(dir: PathBuf, archive: Option<PathBuf>, storage: Arc<dyn Storage>) -> Self {
        Self { dir, archive, storage }
    }

    /// One turn. `needed` are positions from which somebody may still read: a standby's acknowledged end, the oldest
    /// report that a session may still ask for. `stop` ends it soon, between two steps.
    ///
    /// # Errors
    /// When something is not as it should be, or the filesystem refuses; see [`RetentionError`].
    pub fn run(&self, needed: &[Position], stop: &AtomicBool) -> Result<Retained, RetentionError> {
        let (segments, _) = recovery::load(&self.dir)?;
        let span = |header: &crate::segment::SegmentHeader| Span {
            base: Position(header.base()),
            end: Position(header.base() + header.capacity),
        };
        let spans: Vec<Span> = segments.iter().map(|segment| span(&segment.header)).collect();
        let mut done =
            Retained { begin: spans.first().map_or(Position(0), |span| span.base), ..Retained::default() };
        let Some(first) = segments.first() else { return Ok(done) };
        let count = deletable(&spans, &self.snapshots(first.header.cluster)?, needed);
        let go_on = || !stop.load(Ordering::Relaxed);
        for segment in &segments[..count] {
            if !go_on() {
                done.stopped = true;
                break;
            }
            if let Some(archive) = &self.archive {
                match self.put_away(archive, &segment.path, &go_on)? {
                    Put::Copied => done.archived += 1,
                    Put::There => {}
                    Put::Stopped => {
                        done.stopped = true;
                        break;
                    }
                }
            }
            self.storage.remove(&segment.path).map_err(io_error("remove", &segment.path))?;
            done.removed += 1;
            done.bytes += segment.header.file_bytes();
            done.begin = span(&segment.header).end;
        }
        Ok(done)
    }

    /// The positions of the snapshots that a recovery could begin with.
    fn snapshots(&self, cluster: ClusterId) -> Result<Vec<Position>, RetentionError> {
        // Whatever cannot be looked at is not counted on.
        let files = snapshot::list(&self.dir).unwrap_or_default();
        if files.len() < KEPT {
            return Ok(Vec::new());
        }
        let reader = Reader::open(&self.dir)?;
        let good = files.iter().filter_map(|file| snapshot::check(file, cluster).ok());
        Ok(good
            .map(|header| header.mark)
            .filter(|mark| reader.records_after(*mark).is_ok())
            .map(|m| m.position)
            .collect())
    }

    /// Sees to it that the archive has the segment `from`.
    fn put_away(&self, archive: &Path, from: &Path, go_on: &dyn Fn() -> bool) -> Result<Put, RetentionError> {
        let storage = &*self.storage;
        std::fs::create_dir_all(archive).map_err(io_error("create", archive))?;
        let same = |a: &Path, b: &Path| Ok(std::fs::canonicalize(a)? == std::fs::canonicalize(b)?);
        if same(archive, &self.dir).map_err(io_error("find", archive))? {
            return Err(RetentionError::Same { dir: self.dir.clone() });
        }
        sync_parent(archive).map_err(io_error("sync the parent of", archive))?;
        let original = copy::walk(from)?;
        if original.whole().is_none() {
            return Err(RetentionError::Damaged(Box::new(original.damage())));
        }
        let to = archive.join(from.file_name().unwrap_or_default());
        if self.is_there(&to, &original)? {
            return Ok(Put::There);
        }
        let draft = copy::draft_path(&to);
        let bytes = original.segment.header.file_bytes();
        let whole = copy::copy(storage, &original.segment.file, &draft, bytes, true, go_on)
            .map_err(io_error("copy to", &draft))?;
        if !whole {
            return Ok(Put::Stopped);
        }
        let copied = copy::walk(&draft)?;
        if !alike(&original, &copied) {
            return Err(RetentionError::Copy(Box::new(copied.damage())));
        }
        storage.rename(&draft, &to).map_err(io_error("rename to", &to))?;
        Ok(Put::Copied)
    }

    /// Whether the archive has that segment already, as after a crash between copying and removing. A bad file of that
    /// name is as good as none; a good one that is another is not overwritten.
    fn is_there(&self, file: &Path, original: &Walked) -> Result<bool, RetentionError> {
        if !file.try_exists().map_err(io_error("look at", file))? {
            return Ok(false);
        }
        let Ok(found) = copy::walk(file) else { return Ok(false) };
        let (found_cluster, expected) = (found.segment.header.cluster, original.segment.header.cluster);
        if found_cluster != expected {
            return Err(RetentionError::Foreign { file: file.to_path_buf(), found: found_cluster, expected });
        }
        if alike(original, &found) {
            // Its name may not have reached the disk.
            sync_parent(file).map_err(io_error("sync the directory of", file))?;
            return Ok(true);
        }
        if found.whole().is_some() {
            return Err(RetentionError::Differs { file: file.to_path_buf() });
        }
        Ok(false)
    }
}

impl std::fmt::Debug for Retention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retention")
            .field("dir", &self.dir)
            .field("archive", &self.archive)
            .finish_non_exhaustive()
    }
}

/// How a segment came into the archive.
enum Put {
    Copied,
    There,
    Stopped,
}

/// Whether both are whole and hold the same records.
fn alike(one: &Walked, other: &Walked) -> bool {
    one.segment.header.index == other.segment.header.index
        && one.before == other.before
        && one.whole().is_some()
        && one.whole() == other.whole()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments `from..to` of 100 positions each.
    fn segments(from: u64, to: u64) -> Vec<Span> {
        (from..to).map(|n| Span { base: Position(n * 100), end: Position(n * 100 + 100) }).collect()
    }

    fn count(from: u64, to: u64, snapshots: &[u64], needed: &[u64]) -> usize {
        let positions = |of: &[u64]| of.iter().copied().map(Position).collect::<Vec<_>>();
        deletable(&segments(from, to), &positions(snapshots), &positions(needed))
    }

    #[test]
    fn what_lies_below_the_older_snapshot_may_go() {
        assert_eq!(count(0, 10, &[350, 820], &[]), 3);
        assert_eq!(count(0, 10, &[820, 350], &[]), 3, "whatever the order");
        assert_eq!(count(2, 10, &[350, 820], &[]), 1, "some are gone already");
        assert_eq!(count(0, 10, &[350, 820, 120], &[]), 3, "of three the two newest count");
        assert_eq!(count(3, 10, &[350, 820], &[]), 0);
        assert_eq!(count(5, 10, &[350, 820], &[]), 0, "the older one is of no use any more");
    }

    #[test]
    fn without_two_snapshots_nothing_may_go() {
        assert_eq!(count(0, 10, &[], &[]), 0);
        assert_eq!(count(0, 10, &[820], &[]), 0);
        assert_eq!(count(0, 10, &[820, 820], &[]), 0, "one twice is one");
    }

    #[test]
    fn a_segment_that_ends_at_the_snapshot_stays() {
        assert_eq!(count(0, 10, &[300, 820], &[]), 2);
        assert_eq!(count(0, 10, &[301, 820], &[]), 3);
        assert_eq!(count(0, 10, &[0, 820], &[]), 0);
    }

    #[test]
    fn what_somebody_may_still_read_stays() {
        assert_eq!(count(0, 10, &[650, 820], &[]), 6);
        assert_eq!(count(0, 10, &[650, 820], &[230]), 2);
        assert_eq!(count(0, 10, &[650, 820], &[500, 230, 999]), 2);
        assert_eq!(count(0, 10, &[650, 820], &[0]), 0);
        assert_eq!(count(0, 10, &[650, 820], &[5000]), 6);
    }

    #[test]
    fn the_last_segment_stays() {
        assert_eq!(count(0, 10, &[5000, 6000], &[]), 9);
        assert_eq!(count(4, 5, &[5000, 6000], &[]), 0);
        assert_eq!(deletable(&[], &[Position(1), Position(2)], &[]), 0);
    }

    /// Against the definition, over all small cases.
    #[test]
    fn it_is_the_most_that_may_go() {
        for snapshots in [[0, 50], [150, 400], [400, 399], [700, 700], [250, 9000]] {
            for needed in (0..900).step_by(50) {
                let all = segments(1, 8);
                let count = count(1, 8, &snapshots, &[needed]);
                let older = snapshots[0].min(snapshots[1]);
                let may_go = |place: usize| {
                    let end = all[place].end.0;
                    snapshots[0] != snapshots[1] && end < older && end < needed && place + 1 < all.len()
                };
                assert!((0..count).all(may_go), "{snapshots:?} {needed}: {count} is too many");
                assert!(count == all.len() || !may_go(count), "{snapshots:?} {needed}: {count} is too few");
            }
        }
    }
}
