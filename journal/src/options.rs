//! What an operator chooses.

use std::path::PathBuf;

use domain::{ClusterId, Mark, Position, Sequence};

use crate::segment;

/// What a record must have reached before anyone is told of it. The journal does not hold answers back
/// itself; the policy tells it how soon anyone waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AckPolicy {
    /// The tail: survives the death of the process, not of the machine. The disk follows within 10 ms.
    Memory,
    /// The disk: every commit wakes the disk thread.
    #[default]
    Disk,
}

/// Where a new directory's journal begins, when it is to be a copy of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Which journal it is.
    pub cluster: ClusterId,
    /// Where the copy begins: at the start of a segment. What lies before is not there.
    pub mark: Mark,
    /// The last command before that place, 0 when there is none; `None` when it is not known, and the first command that
    /// comes will tell.
    pub last_sequence: Option<Sequence>,
}

impl Begin {
    /// The beginning of a journal.
    #[must_use]
    pub fn from_start(cluster: ClusterId) -> Self {
        let mark = Mark { position: Position(0), chain: segment::genesis(cluster) };
        Self { cluster, mark, last_sequence: Some(Sequence(0)) }
    }
}

/// How to open a journal.
#[derive(Clone, Debug)]
pub struct Options {
    /// Data bytes of a segment; a multiple of `tail_bytes`. Only a new directory asks this: an existing one
    /// keeps the size that it was made with.
    pub segment_bytes: u64,
    /// Bytes of the tail ring; a power of two from [`Options::TAIL_BYTES_MIN`] to
    /// [`Options::TAIL_BYTES_MAX`]. It bounds how far the disk may fall behind. Halved as often as it takes
    /// to divide the segment size.
    pub tail_bytes: u64,
    /// Where the tail lives. `None`: /dev/shm when that is a tmpfs with room, else the data directory.
    pub tail_dir: Option<PathBuf>,
    /// What anyone waits for.
    pub ack: AckPolicy,
    /// What a new directory's journal is a copy of; `None`: it is one of its own, from position 0 on.
    pub begin: Option<Begin>,
    /// Bytes of the filesystem that the journal leaves free: with less than this and a segment left, the
    /// state becomes [`StorageState::CancelOnly`](crate::StorageState::CancelOnly).
    pub reserve_bytes: u64,
}

impl Options {
    /// The smallest tail.
    pub const TAIL_BYTES_MIN: u64 = 8 << 10;
    /// The largest tail: a batch's length is a `u32`.
    pub const TAIL_BYTES_MAX: u64 = 1 << 30;
    /// The largest segment.
    pub const SEGMENT_BYTES_MAX: u64 = 1 << 36;

    /// Small segments and a small tail, for tests: 1 MiB and 64 KiB, nothing reserved.
    #[must_use]
    pub fn small() -> Self {
        Self { segment_bytes: 1 << 20, tail_bytes: 64 << 10, reserve_bytes: 0, ..Self::default() }
    }
}

impl Default for Options {
    /// 256 MiB segments, a 32 MiB tail, acknowledgement from the disk, 64 MiB reserved.
    fn default() -> Self {
        Self {
            segment_bytes: 256 << 20,
            tail_bytes: 32 << 20,
            tail_dir: None,
            ack: AckPolicy::default(),
            begin: None,
            reserve_bytes: 64 << 20,
        }
    }
}
