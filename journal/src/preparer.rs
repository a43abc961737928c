//! The preparer thread: keeps zero-filled, synced room ahead of the disk thread, at a pace that leaves the
//! disk to it.
//!
//! Writing into blocks that already hold written zeros halves the time of a sync against blocks that are only
//! allocated, and cannot run out of room. So the preparer
//! 1. fills what the current segment lacks (a new journal starts with a small part of its first segment);
//! 2. makes the next segment under its spare name: blocks reserved, zeros written, header last, all synced;
//! 3. sleeps until the disk thread takes it.
//!
//! When the disk thread waits for room, the rest of the zeros is left out: the blocks are reserved, so there
//! is room, and a burst is written once and not twice.
//!
//! Without room for another segment (and the operator's reserve) it says so, which turns the state to
//! cancel-only, and looks again every 200 ms. Any other error is final, as on the disk thread.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::direct::{BLOCK, DataFile};
use crate::segment::{self, FILL_BYTES, SegmentHeader, Spare};
use crate::shared::Shared;
use crate::storage::is_no_room;

/// How often a full disk is looked at again.
const RETRY: Duration = Duration::from_millis(200);

/// The thread's state.
pub(crate) struct Preparer {
    pub(crate) shared: Arc<Shared>,
    /// The segment that is being written to when the thread starts, and how much of its data is prepared.
    pub(crate) current: (DataFile, SegmentHeader, u64),
    pub(crate) reserve_bytes: u64,
}

/// Why the thread ends, or has to wait.
enum Stop {
    /// The journal closes.
    Asked,
    /// The disk failed.
    Failed(&'static str, PathBuf, io::Error),
}

impl Preparer {
    /// Runs until the journal is closed or failed.
    pub(crate) fn run(mut self) {
        match self.work() {
            Ok(()) | Err(Stop::Asked) => {}
            Err(Stop::Failed(action, path, error)) => self.shared.fail(action, path, &error),
        }
    }

    fn work(&mut self) -> Result<(), Stop> {
        self.fill_current()?;
        let mut header = self.current.1;
        loop {
            header = header.sibling(header.index + 1);
            let have = self.shared.lock().spare.as_ref().is_some_and(|s| s.header.index == header.index);
            if !have {
                let spare = self.make(header)?;
                self.shared.lock().spare = Some(spare);
            }
            self.shared.set_room(true);
            self.shared.set_prepared(header.base() + header.capacity);
            if self.shared.preparer_waits(None, |p| p.spare.is_none()) {
                return Err(Stop::Asked);
            }
        }
    }

    /// Writes the zeros that the current segment lacks.
    fn fill_current(&mut self) -> Result<(), Stop> {
        let mut file =
            self.current.0.try_clone().map_err(|e| Stop::Failed("open", self.shared.dir.clone(), e))?;
        let (header, mut filled) = (self.current.1, self.current.2);
        let path = || segment::path(&self.shared.dir, header.index);
        let mut reserved = false;
        if filled < header.capacity {
            reserved = self.until_room("allocate", &path, || {
                self.shared.storage.allocate(&file.cached, header.file_bytes())
            })?;
        }
        let whole = filled.next_multiple_of(BLOCK as u64).min(header.capacity);
        if filled < whole {
            // A crash in the middle of a fill: up to there the last block may hold records.
            self.until_room("fill", &path, || {
                segment::erase(&*self.shared.storage, &file.cached, filled, whole)
            })?;
            filled = whole;
        }
        while filled < header.capacity {
            if reserved && self.shared.is_starving() {
                self.shared.set_prepared(header.base() + header.capacity);
                break;
            }
            let to = (filled + FILL_BYTES).min(header.capacity);
            let start = Instant::now();
            self.until_room("fill", &path, || {
                file.zero(&*self.shared.storage, filled, to)?;
                self.shared.storage.sync(&file.cached)
            })?;
            filled = to;
            self.shared.set_room(true);
            self.shared.set_prepared(header.base() + filled);
            let ahead = (header.base() + filled).saturating_sub(self.shared.written());
            self.pause(start.elapsed(), ahead < 16 * FILL_BYTES)?;
        }
        Ok(())
    }

    /// Makes the spare `header`, waiting for room as long as it takes.
    fn make(&self, header: SegmentHeader) -> Result<Spare, Stop> {
        let storage = &*self.shared.storage;
        let dir = &self.shared.dir;
        let path = || segment::spare_path(dir, header.index);
        let mut spare = self.until_room("make", &path, || {
            let free = storage.available(dir)?;
            if free < header.file_bytes().saturating_add(self.reserve_bytes) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Spare::begin(storage, dir, header)
        })?;
        let mut filled = 0;
        while filled < header.capacity && !(spare.reserved && self.shared.is_starving()) {
            let to = (filled + FILL_BYTES).min(header.capacity);
            let start = Instant::now();
            self.until_room("fill", &path, || spare.fill(storage, filled, to))?;
            filled = to;
            // In a hurry when the segment in use fills up faster than the spare does, or once it is full.
            let used = self.shared.written().saturating_sub(header.base() - header.capacity);
            self.pause(start.elapsed(), used.saturating_mul(2) > filled)?;
        }
        self.until_room("write the header of", &path, || spare.seal(storage))?;
        Ok(spare)
    }

    /// Tries until there is room.
    fn until_room<T>(
        &self,
        action: &'static str,
        path: &dyn Fn() -> PathBuf,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> Result<T, Stop> {
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(e) if is_no_room(&e) => {
                    self.shared.set_room(false);
                    if self.shared.preparer_waits(Some(RETRY), |_| false) {
                        return Err(Stop::Asked);
                    }
                }
                Err(e) => return Err(Stop::Failed(action, path(), e)),
            }
        }
    }

    /// Leaves the disk to the disk thread for three times as long as the last piece took, unless in a hurry.
    fn pause(&self, took: Duration, hurry: bool) -> Result<(), Stop> {
        let time = if hurry { Duration::ZERO } else { (took * 3).max(Duration::from_millis(2)) };
        let starving = |_: &_| self.shared.is_starving();
        if self.shared.preparer_waits(Some(time), starving) { Err(Stop::Asked) } else { Ok(()) }
    }
}
