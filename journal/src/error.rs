//! What can go wrong: one enum per family of operations, each saying its numbers.

use domain::Position;

use std::io;
use std::path::PathBuf;

/// There is no room for this record now: the disk is behind by a whole tail, or full. Nothing was appended;
/// the caller holds its input back and tries again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal's tail is full: the disk is behind, or has no room")]
pub struct Full;

/// Why a journal cannot be opened. Nothing on disk has been changed, except where a variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
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
    /// The options cannot be.
    #[error("journal options: {0}")]
    Options(String),
    /// Another process has the directory open.
    #[error("{dir} is in use{}", holder.as_ref().map(|h| format!(" by {h}")).unwrap_or_default())]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// Who holds it, as far as the lock file tells.
        holder: Option<String>,
    },
    /// The directory holds no journal (readers only; the owner makes one).
    #[error("{dir} holds no journal")]
    Empty {
        /// The directory.
        dir: PathBuf,
    },
    /// A segment's header is not one.
    #[error("{file}: bad segment header: {what}. Restore the file from a copy of this journal")]
    BadHeader {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A newer program wrote it.
    #[error("{file}: journal format {found}, and this program knows up to {known}. Use the newer program")]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// The version in it.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// A segment of another journal.
    #[error("{file} belongs to another journal: cluster {found}, and this directory's is {expected}")]
    Foreign {
        /// The file.
        file: PathBuf,
        /// The cluster that it names.
        found: crate::ClusterId,
        /// The cluster of the directory's first segment.
        expected: crate::ClusterId,
    },
    /// A file's name and its header disagree about its place.
    #[error(
        "{file} is segment {found} by its header and {expected} by its name: files were swapped or renamed"
    )]
    Misplaced {
        /// The file.
        file: PathBuf,
        /// The index in its header.
        found: u64,
        /// The index in its name.
        expected: u64,
    },
    /// A segment is not there though a later one is.
    #[error("segment {file} is missing. Restore it from a copy of this journal")]
    Missing {
        /// The file that should be there.
        file: PathBuf,
    },
    /// The first segment is not the journal's first, and has no batch from which to tell what came before.
    #[error(
        "the journal begins with {file}, and no batch in it says what came before. Restore the segment before it from the archive or another copy of this journal"
    )]
    NoBeginning {
        /// The first file.
        file: PathBuf,
    },
    /// A segment that is not the last has not its full length.
    #[error("{file} has {found} bytes, expected {expected}. Restore it from a copy of this journal")]
    Short {
        /// The file.
        file: PathBuf,
        /// Its length.
        found: u64,
        /// The length that it must have.
        expected: u64,
    },
    /// Bytes that had reached the disk are not what they were.
    #[error("the journal is damaged: {0}. Restore the file from a copy of this journal; nothing was changed")]
    Corrupt(Damage),
    /// The tail of a killed process does not continue the segments.
    #[error(
        "tail {file} does not continue the journal at {at}: {what}. Restore the last segment from a copy, or move the tail away to go on without it"
    )]
    Tail {
        /// The tail.
        file: PathBuf,
        /// Where the segments end.
        at: Position,
        /// What is wrong.
        what: String,
    },
}

/// A place where the journal is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// Where in the stream.
    pub position: Position,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// How it is known that the place had been good; empty when it is not known.
    pub evidence: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} at byte {} (position {}): expected {}, found {}",
            self.file.display(),
            self.offset,
            self.position,
            self.expected,
            self.found
        )?;
        if self.evidence.is_empty() { Ok(()) } else { write!(f, "; {}", self.evidence) }
    }
}

/// Why bytes are no command or report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The record is of another family.
    #[error("record kind {0} is not of the family asked for")]
    Kind(u8),
    /// The payload has not this kind's length.
    #[error("record kind {kind} has {found} payload bytes, expected {expected}")]
    Length {
        /// The kind.
        kind: u8,
        /// The length found.
        found: usize,
        /// The length that the kind has.
        expected: usize,
    },
    /// A field holds a value that it cannot have.
    #[error("{field} cannot be {value}")]
    Value {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
}

/// Why a report cannot be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing has been written there.
    #[error("position {0} is past the end of the journal")]
    PastEnd(Position),
    /// It was there, and the segment that had it is not any more.
    #[error(
        "position {position} is in {file}, which retention has removed: the archive has it, where there is one"
    )]
    Gone {
        /// What was asked for.
        position: Position,
        /// The file that had it.
        file: PathBuf,
    },
    /// No record begins there.
    #[error("no record at position {position}: {what}")]
    Bad {
        /// Where.
        position: Position,
        /// What is there instead.
        what: String,
    },
    /// Damage was found on the way.
    #[error("the journal is damaged: {0}")]
    Corrupt(Damage),
    /// The record is not what was asked for.
    #[error("at position {position}: {source}")]
    Decode {
        /// Where.
        position: Position,
        /// Why.
        source: DecodeError,
    },
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The error after which nothing more reaches the disk. It is never retried: a failed fdatasync may have
/// thrown dirty pages away, and a second one that succeeds says nothing about them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{action} {path} failed: {message}. Everything up to position {durable} is on disk")]
pub struct StorageFailure {
    /// What failed.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the system said.
    pub message: String,
    /// The system's number for it, when it has one.
    pub os_error: Option<i32>,
    /// What had been made durable before.
    pub durable: Position,
}

/// Why a journal could not be closed with everything on disk. The tail is left in place and the next open
/// takes the rest from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The disk failed, now or earlier.
    #[error(transparent)]
    Failed(#[from] StorageFailure),
    /// The disk has no room for what the tail still holds.
    #[error("no room on disk for what the tail holds past position {durable}; it stays in the tail")]
    NoRoom {
        /// What is on disk.
        durable: Position,
    },
    /// The last steps failed after everything was on disk.
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
