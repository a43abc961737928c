//! The disk thread: takes what is committed from the tail, writes it into segments and syncs.
//!
//! Its turn:
//! 1. everything committed now is one group: write it, piece by piece, into the segment; release each piece
//!    to the appender as soon as the filesystem has it;
//! 2. at a segment's end: sync it, then adopt the spare (so a segment's existence says that all before is
//!    durable);
//! 3. sync, move `durable`, tell;
//! 4. with nothing left, sleep.
//!
//! Under [`AckPolicy::Memory`] it lets work gather for a few milliseconds before each turn, since nobody waits for it: a
//! disk that syncs in a tenth of that would else be asked to as often as it can, for as long as there is load.
//!
//! It writes only into room that the preparer has made (`prepared`), so it cannot run out of it; nearly
//! always zeros have been written there before, so a sync need not pay for new blocks. An error in a write or
//! a sync is final.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::direct::{BlockWriter, DataFile};
use crate::options::AckPolicy;
use crate::segment::{self, SegmentHeader};
use crate::shared::Shared;
use crate::tail::TailReader;

/// How long work may gather under [`AckPolicy::Memory`]; with a write and a sync after it, well under 10 ms.
const GATHER: Duration = Duration::from_millis(4);
/// Looks at the committed cursor before it sleeps: a few microseconds, about what waking costs.
const SPINS: u32 = 200;

/// The thread's state.
pub(crate) struct Disk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tail: TailReader,
    pub(crate) ack: AckPolicy,
    /// The segment that is written to.
    pub(crate) file: DataFile,
    pub(crate) writer: BlockWriter,
    pub(crate) header: SegmentHeader,
}

/// What went wrong, on what.
type Failed = (&'static str, PathBuf, io::Error);

impl Disk {
    /// Runs until the journal is closed, abandoned or failed.
    pub(crate) fn run(mut self) {
        loop {
            match self.turn() {
                Ok(true) => self.gather(),
                Ok(false) if self.shared.finishing() && self.tail.committed() == self.tail.taken() => return,
                Ok(false) => self.sleep(),
                Err((action, path, error)) => {
                    self.shared.fail(action, path, &error);
                    return;
                }
            }
            if self.shared.abandoned() {
                return;
            }
        }
    }

    /// Brings to the disk what can be brought now; whether that was anything.
    fn turn(&mut self) -> Result<bool, Failed> {
        let group = self.tail.committed();
        let mut dirty = false;
        while self.tail.taken() < group && self.has_room() && !self.shared.abandoned() {
            if self.tail.taken() == self.segment_end() {
                if dirty {
                    self.sync()?;
                    dirty = false;
                }
                self.roll()?;
                continue;
            }
            self.shared.set_starving(false);
            let at = self.tail.taken();
            let piece = self.tail.next();
            let to = at + piece.len() as u64;
            let written =
                self.writer.append(&*self.shared.storage, &mut self.file, piece, at - self.header.base());
            written.map_err(|e| ("write", self.path(), e))?;
            dirty = true;
            self.tail.release(to);
            self.shared.set_written(to);
        }
        if dirty {
            self.sync()?;
        }
        Ok(dirty)
    }

    fn segment_end(&self) -> u64 {
        self.header.base() + self.header.capacity
    }

    fn path(&self) -> PathBuf {
        segment::path(&self.shared.dir, self.header.index)
    }

    /// Whether there are prepared bytes for the whole of the next piece. Pieces end where batches end, so
    /// that what has been released is always whole records.
    fn has_room(&self) -> bool {
        let at = self.tail.taken();
        let prepared = self.shared.prepared();
        prepared > at && at + self.tail.next().len() as u64 <= prepared
    }

    fn has_work(&self) -> bool {
        self.tail.committed() > self.tail.taken() && self.has_room()
    }

    /// Syncs the segment, moves `durable`, tells.
    fn sync(&mut self) -> Result<(), Failed> {
        let begun = self.shared.syncing.begins();
        self.shared.storage.sync(&self.file.cached).map_err(|e| ("sync", self.path(), e))?;
        let took = self.shared.syncing.ends(begun);
        self.shared.syncs.fetch_add(1, Ordering::Relaxed);
        self.shared.sync_nanos_max.fetch_max(took, Ordering::Relaxed);
        self.shared.set_durable(self.tail.taken());
        self.shared.progress();
        Ok(())
    }

    /// Goes on in the next segment. `prepared` lies beyond this one only when the spare stands ready.
    fn roll(&mut self) -> Result<(), Failed> {
        let next = self.header.index + 1;
        let path = segment::path(&self.shared.dir, next);
        let Some(spare) = self.shared.take_spare() else {
            return Err(("adopt", path, io::Error::other("no spare segment stands ready")));
        };
        debug_assert_eq!(spare.header.index, next);
        self.header = spare.header;
        self.file = spare.adopt(&*self.shared.storage, &self.shared.dir).map_err(|e| ("adopt", path, e))?;
        self.writer.restart();
        Ok(())
    }

    /// Sleeps until there may be something to do.
    fn sleep(&self) {
        let shared = &*self.shared;
        // A close that waits for room must not spin: it goes on when the preparer has made some.
        let finished = || shared.finishing() && self.tail.committed() == self.tail.taken();
        let awake = || self.has_work() || shared.abandoned() || finished();
        if self.ack == AckPolicy::Disk {
            for _ in 0..SPINS {
                if awake() {
                    return;
                }
                core::hint::spin_loop();
            }
        }
        // Work that there is no room for: the preparer shall hurry.
        shared.set_starving(self.tail.committed() > self.tail.taken() && !self.has_room());
        shared.wake.idle(awake);
        self.gather();
    }

    /// Lets work gather, where nobody waits for it.
    fn gather(&self) {
        let shared = &*self.shared;
        let ended = || shared.abandoned() || shared.finishing();
        if self.ack == AckPolicy::Memory && !ended() {
            shared.wake.linger(GATHER, || ended() || self.is_urgent());
        }
    }

    /// Whether so much of the ring is filled that gathering more would risk back-pressure.
    fn is_urgent(&self) -> bool {
        self.tail.committed() - self.tail.taken() >= self.tail.ring_bytes() / 8
    }
}
