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
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use domain::{Mark, Position};

use crate::batches::Batches;
use crate::error::{OpenError, ReadError};
use crate::open::DirLock;
use crate::segment::{FILL_BYTES, HEADER_BYTES, SegmentHeader, io_error};
use crate::storage::{Files, Storage, sync_parent};
use crate::{copy, recovery, tail};

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
    truncate_with(dir, to, archive, &Files)
}

/// The same over a filesystem of the caller's.
fn truncate_with(
    dir: &Path,
    to: Mark,
    archive: &Path,
    storage: &dyn Storage,
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
    storage.make_dir(archive).map_err(|error| io_error("create", archive, error))?;
    for (path, header) in &beyond {
        truncated.archived.push(keep(path, header, to, archive, storage)?);
    }
    // A spare was made to follow the last segment; it may have another to follow now.
    for spare in &found.spares {
        storage.remove(spare).map_err(|error| io_error("remove", spare, error))?;
    }
    for (path, header) in beyond.iter().rev() {
        // Segment 0 stays, or there would be no journal; before another first one nothing is cut.
        if header.base() >= to.position.0 && header.index > 0 {
            storage.remove(path).map_err(|error| io_error("remove", path, error))?;
        } else {
            shorten(path, header, to, storage).map_err(|error| io_error("cut", path, error))?;
        }
    }
    Ok(truncated)
}

/// Puts a copy of the segment that ends at the mark in its place. The last segment may be short: it is filled again
/// when the journal is opened.
fn shorten(path: &Path, header: &SegmentHeader, to: Mark, storage: &dyn Storage) -> io::Result<()> {
    let bytes = HEADER_BYTES + to.position.0 - header.base();
    copy::replace(storage, &File::open(path)?, path, bytes)
}

/// Copies a segment whole, under a name that says from where it was cut. After a cut that was not finished the journal may
/// have gone on under the same number: what was kept then stays, and this copy gets a number of its own.
fn keep(
    path: &Path,
    header: &SegmentHeader,
    to: Mark,
    archive: &Path,
    storage: &dyn Storage,
) -> Result<PathBuf, OpenError> {
    let name = format!("cut-at-{:020}-{:016x}-{:010}", to.position, to.chain, header.index);
    let mut kept = archive.join(format!("{name}.seg"));
    let mut number = 1;
    let mut copied = || {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        while kept.try_exists()? {
            if is_copy(&file, &File::open(&kept)?, bytes)? {
                // Its name may not have reached the disk.
                return sync_parent(&kept);
            }
            number += 1;
            kept = archive.join(format!("{name}-{number}.seg"));
        }
        copy::replace(storage, &file, &kept, bytes)
    };
    match copied() {
        Ok(()) => Ok(kept),
        Err(error) => Err(io_error("keep a copy as", &kept, error)),
    }
}

/// Whether a file is a copy of the first `bytes` of another.
fn is_copy(of: &File, copy: &File, bytes: u64) -> io::Result<bool> {
    if copy.metadata()?.len() != bytes {
        return Ok(false);
    }
    let (mut ours, mut theirs) = (vec![0; FILL_BYTES as usize], vec![0; FILL_BYTES as usize]);
    let mut at = 0;
    while at < bytes {
        let piece = (bytes - at).min(FILL_BYTES) as usize;
        of.read_exact_at(&mut ours[..piece], at)?;
        copy.read_exact_at(&mut theirs[..piece], at)?;
        if ours[..piece] != theirs[..piece] {
            return Ok(false);
        }
        at += piece as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::{Command, Epoch, Nanos, Sequence, Sequenced};

    use tempfile::TempDir;

    use super::*;
    use crate::power::{self, Mutation, Power, Tree};
    use crate::{Appender, Journal, Options, Reader, segment};

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

    const SEGMENT: u64 = 32 << 10;
    /// What stays.
    const KEPT: usize = 300;

    fn sequences(dir: &Path) -> Result<Vec<Sequence>, String> {
        let reader = Reader::open(dir).map_err(|error| error.to_string())?;
        reader.records().map(|record| Ok(record.map_err(|error| error.to_string())?.sequence)).collect()
    }

    /// A journal of several segments, closed, and where it is to be cut: in the middle of one.
    fn whole() -> (TempDir, Vec<Sequence>, Mark) {
        let dir = power::place();
        let mut journal = open(dir.path());
        let marks = write(&mut journal, 1_500);
        journal.close().expect("closes");
        let all = sequences(dir.path()).expect("reads");
        (dir, all, marks[KEPT])
    }

    /// Whether a directory that a cut was begun in is as it must be: the journal opens, has at least what stays and at most
    /// what was there, the cut can be made again, and what was cut is in the archive.
    fn is_well(dir: &Path, whole: &Path, all: &[Sequence], to: Mark) -> Result<(), String> {
        let archive = dir.join("archive");
        let left = sequences(dir)?;
        if left.len() < KEPT || !all.starts_with(&left) {
            return Err(format!("{} records are left", left.len()));
        }
        // It opens as a journal that was closed there, and its process dies again.
        drop(open(dir));
        open(dir).close().map_err(|error| error.to_string())?;
        truncate(dir, to, &archive).map_err(|error| error.to_string())?;
        if sequences(dir)? != all[..KEPT] {
            return Err("the cut, made again, leaves something else".into());
        }
        // All that is not in the journal any more is in the archive, segment by segment.
        let (segments, _) = segment::list(whole).map_err(|error| error.to_string())?;
        for index in segments.into_iter().filter(|index| (index + 1) * SEGMENT > to.position.0) {
            let original = copy::walk(&segment::path(whole, index)).map_err(|error| error.to_string())?;
            let bytes = (HEADER_BYTES + original.scan.end - original.segment.header.base()) as usize;
            let original = fs::read(&original.segment.path).map_err(|error| error.to_string())?;
            let name = format!("cut-at-{:020}-{:016x}-{index:010}", to.position, to.chain);
            let is_kept = fs::read_dir(&archive).map_err(|error| error.to_string())?.flatten().any(|entry| {
                let is_named = entry.file_name().to_string_lossy().starts_with(&name);
                let kept = fs::read(entry.path()).unwrap_or_default();
                is_named && kept.get(..bytes) == Some(&original[..bytes])
            });
            if !is_kept {
                return Err(format!("{name}.seg is not what was cut"));
            }
        }
        // Another history goes on from there.
        let mut journal = open(dir);
        journal.begin_epoch(Epoch(2));
        write(&mut journal, 50);
        journal.close().map_err(|error| error.to_string())?;
        if sequences(dir)?.len() == KEPT + 50 { Ok(()) } else { Err("it does not go on".into()) }
    }

    /// Cuts, with the power going anywhere: how many directories may be left, and what is wrong with the first that is not
    /// well.
    fn try_cut(mutation: Option<Mutation>) -> (usize, Option<String>) {
        let (whole, all, to) = whole();
        let dir = power::place();
        Tree::of(whole.path()).make(dir.path());
        let power = Power::of(dir.path(), mutation);
        truncate_with(dir.path(), to, &dir.path().join("archive"), &power).expect("cuts");
        let (mut outcomes, mut wrong) = (0, None);
        power.outcomes(|tree, made| {
            outcomes += 1;
            if wrong.is_none() {
                let left = power::place();
                tree.make(left.path());
                wrong = is_well(left.path(), whole.path(), &all, to)
                    .err()
                    .map(|what| format!("after {made} calls: {what}"));
            }
        });
        (outcomes, wrong)
    }

    #[test]
    fn a_cut_can_be_made_again_wherever_the_process_or_the_power_went() {
        let (outcomes, wrong) = try_cut(None);
        assert_eq!(wrong, None);
        assert!(outcomes > 30, "{outcomes} outcomes");
    }

    #[test]
    fn a_cut_that_syncs_no_directory_is_found() {
        let (_, wrong) = try_cut(Some(Mutation::SkippedDirectorySync));
        assert!(wrong.is_some());
    }

    #[test]
    fn a_cut_that_names_a_copy_before_it_is_on_the_disk_is_found() {
        let (_, wrong) = try_cut(Some(Mutation::RenameBeforeSync));
        assert!(wrong.is_some());
    }
}
