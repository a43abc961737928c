//! Cutting the end off a journal on purpose: what a primary that was cut off wrote after another had taken over.
//!
//! Nothing is thrown away that has not been kept first. The order of steps is such that a stop between any two leaves
//! a journal that opens, with more of its end or less, and that can be cut again:
//!
//! 1. every segment that holds something beyond the mark is copied into the archive, synced, and so is its directory;
//! 2. the segments that begin at or beyond the mark are removed, the last first, the directory synced after each;
//! 3. the one that the mark lies in is replaced, by renaming, by a copy that ends there. (Zeros written over its end
//!    could reach the disk in any order, and half of them would look like damage.)
//!
//! The journal must have been closed cleanly before: what only a tail holds is not looked for here.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use domain::{Mark, Position};

use crate::batches::Batches;
use crate::error::{OpenError, ReadError};
use crate::open::DirLock;
use crate::segment::{HEADER_BYTES, SegmentHeader, io_error};
use crate::storage::sync_parent;
use crate::{recovery, tail};

/// Why a journal was not cut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TruncateError {
    /// The directory cannot be worked on; it has not been changed, or as far as the steps say.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The mark is not one of this journal's.
    #[error("position {} with chain {:016x} is no place of this journal: {source}", mark.position, mark.chain)]
    Mark {
        /// Where it was to be cut.
        mark: Mark,
        /// What is there.
        source: Box<ReadError>,
    },
    /// Nothing would be left of a journal whose beginning is gone: not even the chain that the next batch continues.
    #[error(
        "{dir} begins at position {begin}, and nothing would be left of it. Put the segment before it back from the archive"
    )]
    Beginning {
        /// The directory.
        dir: PathBuf,
        /// Where its first segment begins.
        begin: Position,
    },
    /// A tail is there: the journal's process died, and what the tail holds has not been taken in.
    #[error("{0} has a tail: open and close the journal first, so that nothing of its end is only there")]
    Tail(PathBuf),
}

/// What was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// Bytes of the stream that were cut off.
    pub bytes: u64,
    /// The copies of the segments that held them.
    pub archived: Vec<PathBuf>,
}

/// Cuts the journal in `dir` at `to`, and keeps what is cut in `archive`, which is made when it is not there.
///
/// # Errors
/// When the mark is not this journal's, the directory is in use, or the filesystem refuses.
pub fn truncate(dir: &Path, to: Mark, archive: &Path) -> Result<Truncated, TruncateError> {
    truncate_with(dir, to, archive, || Ok(()))
}

/// The same, asking before each step whether to go on: tests stop there.
fn truncate_with(
    dir: &Path,
    to: Mark,
    archive: &Path,
    mut go_on: impl FnMut() -> Result<(), OpenError>,
) -> Result<Truncated, TruncateError> {
    let _lock = DirLock::take(dir)?;
    if fs::symlink_metadata(dir.join(tail::LINK)).is_ok() {
        return Err(TruncateError::Tail(dir.to_path_buf()));
    }
    let found = recovery::examine(dir)?;
    let end = found.scan.end;
    if let Some(first) = found.segments.first()
        && first.header.index > 0
        && to.position.0 <= first.header.base()
    {
        let begin = Position(first.header.base());
        return Err(TruncateError::Beginning { dir: dir.to_path_buf(), begin });
    }
    let no_place = |source| TruncateError::Mark { mark: to, source: Box::new(source) };
    if to.position.0 != end || found.scan.chain != Some(to.chain) {
        let mut batches = Batches::after(dir, to).map_err(no_place)?;
        // The first batch behind the mark must be there, and must continue it.
        match batches.next(Position(end), 1) {
            Ok([]) => return Err(no_place(ReadError::PastEnd(to.position))),
            Ok(_) => {}
            Err(source) => return Err(no_place(source)),
        }
    }
    let mut truncated = Truncated { bytes: end - to.position.0, archived: Vec::new() };
    if truncated.bytes == 0 {
        return Ok(truncated);
    }
    drop(found.beyond);
    let beyond: Vec<(PathBuf, SegmentHeader)> = found
        .segments
        .iter()
        .filter(|segment| segment.header.base() + segment.header.capacity > to.position.0)
        .map(|segment| (segment.path.clone(), segment.header))
        .collect();
    fs::create_dir_all(archive).map_err(|error| io_error("create", archive, error))?;
    for (path, header) in &beyond {
        go_on()?;
        truncated.archived.push(keep(path, header, to, archive)?);
    }
    // A spare was made to follow the last segment; it may have another to follow now.
    for spare in &found.spares {
        go_on()?;
        fs::remove_file(spare).map_err(|error| io_error("remove", spare, error))?;
    }
    for (path, header) in beyond.iter().rev() {
        go_on()?;
        // Segment 0 stays, or there would be no journal; before another first one nothing is cut.
        if header.base() >= to.position.0 && header.index > 0 {
            fs::remove_file(path).map_err(|error| io_error("remove", path, error))?;
            sync_parent(path).map_err(|error| io_error("sync the directory of", path, error))?;
        } else {
            shorten(path, header, to).map_err(|error| io_error("cut", path, error))?;
        }
    }
    Ok(truncated)
}

/// Puts a copy of the segment that ends at the mark in its place. The last segment may be short: it is filled again
/// when the journal is opened.
fn shorten(path: &Path, header: &SegmentHeader, to: Mark) -> std::io::Result<()> {
    let draft = path.with_extension("cut.tmp");
    let mut from = File::open(path)?.take(HEADER_BYTES + to.position.0 - header.base());
    let mut file = File::create(&draft)?;
    std::io::copy(&mut from, &mut file)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync_parent(path)
}

/// Copies a segment whole, under a name that says from where it was cut.
fn keep(path: &Path, header: &SegmentHeader, to: Mark, archive: &Path) -> Result<PathBuf, OpenError> {
    let name = format!("cut-at-{:020}-{:016x}-{:010}.seg", to.position, to.chain, header.index);
    let kept = archive.join(name);
    let draft = kept.with_extension("tmp");
    let written = || -> std::io::Result<()> {
        let mut from = File::open(path)?;
        let mut draft_file = File::create(&draft)?;
        std::io::copy(&mut from, &mut draft_file)?;
        draft_file.sync_all()?;
        fs::rename(&draft, &kept)?;
        sync_parent(&kept)
    };
    written().map_err(|error| io_error("keep a copy as", &kept, error))?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::{Command, Epoch, Nanos, Sequence, Sequenced};

    use super::*;
    use crate::{Appender, Journal, Options, Reader};

    fn open(dir: &Path) -> Appender {
        let options = Options { segment_bytes: 32 << 10, tail_bytes: 8 << 10, ..Options::small() };
        Journal::open(dir, &options, Arc::new(|| {})).expect("opens").0
    }

    /// Commands one behind the other, each its own batch; gives the marks where batches end.
    fn write(journal: &mut Appender, commands: u64) -> Vec<Mark> {
        let mut marks = vec![journal.mark()];
        while marks.len() as u64 <= commands {
            let (sequence, nanos) = (journal.last_sequence().next(), journal.last_nanos());
            let nanos = Nanos(nanos.0 + 1);
            if journal.append_command(&Sequenced { sequence, nanos, command: Command::EndOfDay }).is_ok() {
                journal.commit();
                marks.push(journal.mark());
            }
        }
        marks
    }

    fn sequences(dir: &Path) -> Vec<Sequence> {
        let reader = Reader::open(dir).expect("opens for reading");
        reader.records().map(|record| record.expect("a good record").sequence).collect()
    }

    /// Whatever step is the last before a stop: the journal opens, has at least what stays and at most what was there, and
    /// the cut can be made again; what was cut is in the archive.
    #[test]
    fn a_cut_that_stops_anywhere_can_be_made_again() {
        let whole = tempfile::tempdir().expect("a directory");
        let mut journal = open(whole.path());
        let marks = write(&mut journal, 1_200);
        journal.close().expect("closes");
        let all = sequences(whole.path());
        let to = marks[300];
        let mut stops = 0;
        for last in 0.. {
            let dir = tempfile::tempdir().expect("a directory");
            for entry in fs::read_dir(whole.path()).expect("lists") {
                let path = entry.expect("an entry").path();
                if path.extension().is_some_and(|extension| extension == "seg") {
                    fs::copy(&path, dir.path().join(path.file_name().expect("a name"))).expect("copies");
                }
            }
            let archive = dir.path().join("archive");
            let mut steps = 0;
            let stopped = truncate_with(dir.path(), to, &archive, || {
                steps += 1;
                let stop = || io_error("stop at", dir.path(), std::io::ErrorKind::Other.into());
                if steps > last { Err(stop()) } else { Ok(()) }
            });
            if stopped.is_ok() {
                break;
            }
            stops += 1;
            // It opens as a journal that was closed there, and its process dies again.
            let left = sequences(dir.path());
            assert!(left.len() >= 300 && all.starts_with(&left), "{last} steps leave {}", left.len());
            drop(open(dir.path()));
            open(dir.path()).close().expect("closes");
            let truncated = truncate(dir.path(), to, &archive).expect("cut");
            assert!(truncated.bytes > 0, "{last} steps");
            assert_eq!(sequences(dir.path()), all[..300], "after {last} steps");
            // All that is not in the journal any more is in the archive, segment by segment.
            for entry in fs::read_dir(whole.path()).expect("lists") {
                let path = entry.expect("an entry").path();
                let index = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
                let Some(index) = index.filter(|index| (index + 1) * (32 << 10) > to.position.0) else {
                    continue;
                };
                let name = format!("cut-at-{:020}-{:016x}-{index:010}.seg", to.position, to.chain);
                assert!(archive.join(&name).exists(), "{name} after {last} steps");
            }
            // Another history goes on from there.
            let mut journal = open(dir.path());
            journal.begin_epoch(Epoch(2));
            write(&mut journal, 50);
            journal.close().expect("closes");
            assert_eq!(sequences(dir.path()).len(), 350);
        }
        assert!(stops > 4, "{stops} steps");
    }
}
