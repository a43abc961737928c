//! Reading whole batches out of the segments, as they lie there: for whoever copies a journal that is being written.
//!
//! A [`Batches`] goes forward from a [`Mark`], segment by segment, no further than its caller says is durable. It judges
//! each batch as a recovery would, so nothing that the disk has spoilt is passed on.

use std::fs::File;
use std::path::{Path, PathBuf};

use domain::{ClusterId, Mark, Position};

use crate::error::{Damage, ReadError};
use crate::map::Map;
use crate::recovery;
use crate::segment::{self, HEADER_BYTES, SegmentHeader};
use crate::walk::{self, Fault};

/// A way through a journal's batches.
#[derive(Debug)]
pub struct Batches {
    dir: PathBuf,
    cluster: ClusterId,
    capacity: u64,
    /// The segment that `at` lies in, once it has been looked into.
    open: Option<(SegmentHeader, Map)>,
    at: Mark,
}

impl Batches {
    /// The batches behind `mark` of the journal in `dir`. Nothing is read yet: a mark that is not this journal's shows
    /// with the first batch, and one at the journal's end is for the caller to compare.
    ///
    /// # Errors
    /// When the directory has no journal.
    pub fn after(dir: &Path, mark: Mark) -> Result<Self, ReadError> {
        let io = |source| ReadError::Io { path: dir.to_path_buf(), source };
        let (indexes, _) =
            segment::list(dir).map_err(|error| io(std::io::Error::other(error.to_string())))?;
        let first = indexes.first().ok_or_else(|| io(std::io::ErrorKind::NotFound.into()))?;
        let (header, _) = open(dir, *first)?;
        Ok(Self {
            dir: dir.to_path_buf(),
            cluster: header.cluster,
            capacity: header.capacity,
            open: None,
            at: mark,
        })
    }

    /// Where the next batch begins.
    #[must_use]
    pub fn at(&self) -> Mark {
        self.at
    }

    /// The next batches, as many as lie in one segment, below `durable`, and within `bytes_max`; but one at least, if
    /// there is one. Empty when there is none.
    ///
    /// # Errors
    /// When what is there does not continue the mark, or cannot be read.
    pub fn next(&mut self, durable: Position, bytes_max: usize) -> Result<&[u8], ReadError> {
        let from = self.at.position;
        if from >= durable {
            return Ok(&[]);
        }
        let index = from.0 / self.capacity;
        let end = durable.0.min((index + 1) * self.capacity);
        self.look_into(index, end)?;
        let Some((header, map)) = &self.open else { return Ok(&[]) };
        let piece = recovery::piece(header, map);
        let mut at = self.at;
        while at.position.0 < end {
            let batch = walk::batch(&piece, at.position.0, Some(at.chain))
                .map_err(|fault| ReadError::Corrupt(damage(&self.dir, header, &fault)))?;
            let length = batch.end - from.0;
            if batch.end > end || (length > bytes_max as u64 && at != self.at) {
                break;
            }
            at = Mark { position: Position(batch.end), chain: batch.seal.chain };
        }
        self.at = at;
        let (from, to) = (from.0 - piece.base, at.position.0 - piece.base);
        Ok(&piece.bytes[from as usize..to as usize])
    }

    /// Maps the segment if it is not, or as it was when the file was shorter.
    fn look_into(&mut self, index: u64, end: u64) -> Result<(), ReadError> {
        let reaches = |header: &SegmentHeader, map: &Map| {
            header.base() + (map.len() as u64).saturating_sub(HEADER_BYTES) >= end
        };
        if self.open.as_ref().is_some_and(|(header, map)| header.index == index && reaches(header, map)) {
            return Ok(());
        }
        let (header, map) = open(&self.dir, index)?;
        if header.cluster != self.cluster || header.index != index || !reaches(&header, &map) {
            let what = format!("segment {index} of another journal, or cut short");
            return Err(ReadError::Bad { position: self.at.position, what });
        }
        self.open = Some((header, map));
        Ok(())
    }
}

fn open(dir: &Path, index: u64) -> Result<(SegmentHeader, Map), ReadError> {
    let path = segment::path(dir, index);
    let io = |source| ReadError::Io { path: path.clone(), source };
    let file = File::open(&path).map_err(io)?;
    let header = SegmentHeader::read(&file, &path)
        .map_err(|error| ReadError::Bad { position: Position(0), what: error.to_string() })?;
    Ok((header, Map::of(&file).map_err(io)?))
}

fn damage(dir: &Path, header: &SegmentHeader, fault: &Fault) -> Damage {
    Damage {
        file: segment::path(dir, header.index),
        offset: HEADER_BYTES + fault.at - header.base(),
        position: Position(fault.at),
        expected: fault.what.expected(),
        found: fault.what.to_string(),
        evidence: "it was read below what is durable".into(),
    }
}

/// The mark at a position below `durable` of the journal in `dir`: what the batch that begins there continues. `None`
/// when no batch begins there.
///
/// # Errors
/// When the segment cannot be read, or is gone.
pub fn mark_at(dir: &Path, capacity: u64, position: Position) -> Result<Option<Mark>, ReadError> {
    let (header, map) = open(dir, position.0 / capacity)?;
    let piece = recovery::piece(&header, &map);
    let Ok(batch) = walk::batch(&piece, position.0, None) else { return Ok(None) };
    let begins_here = batch.seal_at.checked_sub(u64::from(batch.seal.bytes)) == Some(position.0);
    Ok(begins_here.then_some(Mark { position, chain: batch.seal.previous }))
}
