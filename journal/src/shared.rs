//! What the appender, the disk thread and the preparer share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;

use domain::Position;

use crate::error::StorageFailure;
use crate::segment::Spare;
use crate::storage::Storage;
use crate::syncing::Syncing;
use crate::wake::Wake;

/// How the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StorageState {
    /// There is room, and nothing has failed.
    Ok = 0,
    /// No room for another segment: take no new orders, only what makes books smaller. Looked at again every
    /// 200 ms, and [`StorageState::Ok`] again when there is room.
    CancelOnly = 1,
    /// A write or a sync failed. Final: nothing more becomes durable, and nothing more may be acknowledged.
    Failed = 2,
}

/// What is called when `durable` has moved or the state has changed. It runs on the journal's threads and
/// must not block.
pub(crate) type OnProgress = Arc<dyn Fn() + Send + Sync>;

/// A value on two cache lines of its own: x86 fetches lines in pairs, so one line apart is not apart.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

/// What the preparer has, under a lock: it changes once a segment.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// The next segment, complete, under its spare name.
    pub(crate) spare: Option<Spare>,
    pub(crate) stop: bool,
}

pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) storage: Arc<dyn Storage>,
    on_progress: OnProgress,
    /// Everything below is on disk. Written by the disk thread only.
    durable: Apart<AtomicU64>,
    /// Everything below may be written to without making a file longer: `written <= prepared`. Past the end
    /// of the current segment exactly when a spare stands ready.
    prepared: Apart<AtomicU64>,
    /// Everything below has been handed to the filesystem: `durable <= written`. For the preparer's pace.
    written: Apart<AtomicU64>,
    /// Whether the disk thread waits for room that the preparer has not made.
    starving: AtomicBool,
    /// Whether the preparer found no room.
    no_room: AtomicBool,
    state: AtomicU8,
    failure: OnceLock<StorageFailure>,
    /// The threads end as soon as they can, whatever is left to do.
    abandoned: AtomicBool,
    /// The disk thread ends when everything committed is durable.
    finishing: AtomicBool,
    pub(crate) wake: Wake,
    disk_thread: OnceLock<Thread>,
    preparer: Mutex<Prepared>,
    preparer_wake: Condvar,
    /// Syncs done, and the longest of them in nanoseconds.
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_nanos_max: AtomicU64,
    /// How the disk answers, for whoever watches it.
    pub(crate) syncing: Syncing,
}

impl Shared {
    pub(crate) fn new(
        dir: PathBuf,
        storage: Arc<dyn Storage>,
        on_progress: OnProgress,
        end: u64,
        prepared: u64,
        spare: Option<Spare>,
    ) -> Self {
        Self {
            dir,
            storage,
            on_progress,
            durable: Apart(AtomicU64::new(end)),
            prepared: Apart(AtomicU64::new(prepared)),
            written: Apart(AtomicU64::new(end)),
            starving: AtomicBool::new(false),
            no_room: AtomicBool::new(false),
            state: AtomicU8::new(StorageState::Ok as u8),
            failure: OnceLock::new(),
            abandoned: AtomicBool::new(false),
            finishing: AtomicBool::new(false),
            wake: Wake::new(),
            disk_thread: OnceLock::new(),
            preparer: Mutex::new(Prepared { spare, stop: false }),
            preparer_wake: Condvar::new(),
            syncs: AtomicU64::new(0),
            sync_nanos_max: AtomicU64::new(0),
            syncing: Syncing::new(),
        }
    }

    #[inline]
    pub(crate) fn durable(&self) -> u64 {
        // Pairs with the release in `set_durable`: who sees the position also sees that the sync came before.
        self.durable.0.load(Ordering::Acquire)
    }

    pub(crate) fn set_durable(&self, position: u64) {
        self.durable.0.store(position, Ordering::Release);
    }

    pub(crate) fn prepared(&self) -> u64 {
        // Pairs with the release in `set_prepared`: the zeros were written before.
        self.prepared.0.load(Ordering::Acquire)
    }

    /// The disk thread says that it cannot go on without more room, or can again.
    pub(crate) fn set_starving(&self, starving: bool) {
        if self.starving.swap(starving, Ordering::Relaxed) != starving && starving {
            self.preparer_wake.notify_all();
        }
    }

    pub(crate) fn is_starving(&self) -> bool {
        self.starving.load(Ordering::Relaxed)
    }

    /// Called by the preparer when there is more room to write in.
    pub(crate) fn set_prepared(&self, position: u64) {
        self.prepared.0.store(position, Ordering::Release);
        // Orders the store before the look, as in `wake`: the disk thread says that it starves, then looks
        // for room.
        fence(Ordering::SeqCst);
        if self.is_starving() {
            self.wake_disk(true);
        }
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set_written(&self, position: u64) {
        self.written.0.store(position, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn state(&self) -> StorageState {
        // Acquire: who sees `Failed` also finds the failure.
        match self.state.load(Ordering::Acquire) {
            0 => StorageState::Ok,
            1 => StorageState::CancelOnly,
            _ => StorageState::Failed,
        }
    }

    pub(crate) fn failure(&self) -> Option<&StorageFailure> {
        self.failure.get()
    }

    /// Latches the first failure.
    pub(crate) fn fail(&self, action: &'static str, path: PathBuf, error: &std::io::Error) {
        let failure = StorageFailure {
            action,
            path,
            message: error.to_string(),
            os_error: error.raw_os_error(),
            durable: Position(self.durable()),
        };
        // The first failure is the cause; a second one is its echo.
        let _ = self.failure.set(failure);
        self.state.store(StorageState::Failed as u8, Ordering::Release);
        self.progress();
    }

    /// Goes between `Ok` and `CancelOnly`; `Failed` stays.
    pub(crate) fn set_room(&self, room: bool) {
        self.no_room.store(!room, Ordering::Relaxed);
        let (from, to) = if room {
            (StorageState::CancelOnly, StorageState::Ok)
        } else {
            (StorageState::Ok, StorageState::CancelOnly)
        };
        if self.state.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.progress();
        }
    }

    pub(crate) fn has_no_room(&self) -> bool {
        self.no_room.load(Ordering::Relaxed)
    }

    pub(crate) fn progress(&self) {
        (self.on_progress)();
    }

    pub(crate) fn set_disk_thread(&self, thread: Thread) {
        let _ = self.disk_thread.set(thread);
    }

    /// Wakes the disk thread if it sleeps; when it only lingers, if `urgent`.
    #[inline]
    pub(crate) fn wake_disk(&self, urgent: bool) {
        if self.wake.must_unpark(urgent)
            && let Some(thread) = self.disk_thread.get()
        {
            thread.unpark();
        }
    }

    pub(crate) fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub(crate) fn finishing(&self) -> bool {
        self.finishing.load(Ordering::Acquire)
    }

    /// Ends both threads at once.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.wake_disk(true);
        self.stop_preparer();
    }

    /// Ends the disk thread once everything committed is durable.
    pub(crate) fn finish(&self) {
        self.finishing.store(true, Ordering::Release);
        self.wake_disk(true);
    }

    pub(crate) fn stop_preparer(&self) {
        self.lock().stop = true;
        self.preparer_wake.notify_all();
    }

    /// The preparer's state. A thread that panicked while it held the lock left nothing half done.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Prepared> {
        self.preparer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the spare and tells the preparer to make the next.
    pub(crate) fn take_spare(&self) -> Option<Spare> {
        let spare = self.lock().spare.take();
        self.preparer_wake.notify_all();
        spare
    }

    /// Waits as the preparer, for at most `time` when given, until `done` holds or the preparer shall stop;
    /// whether it shall.
    pub(crate) fn preparer_waits(
        &self,
        time: Option<std::time::Duration>,
        done: impl Fn(&Prepared) -> bool,
    ) -> bool {
        let mut guard = self.lock();
        let deadline = time.map(|t| std::time::Instant::now() + t);
        while !guard.stop && !done(&guard) {
            guard = match deadline {
                None => self.preparer_wake.wait(guard).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(std::time::Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.preparer_wake.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        guard.stop
    }
}
