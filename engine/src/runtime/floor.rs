//! What all workers and the front share.

use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread::Thread,
};

use domain::{Command, Sequenced};

use crate::{
    balance::StealRule,
    book::Book,
    runtime::{outlet::Said, parking::Parking, ring::Probe, worker::Worker},
    schedule::{Glance, Item, Queue, Slots, Tags, lock::Lock},
};

/// What a shard and its worker have done, for anyone to read while they work. On a line of its own: it is written all
/// the time, and what stands beside it is read by others.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    /// Commands executed by the worker.
    pub(crate) commands: AtomicU64,
    /// Of those, executed by the front because the worker slept.
    pub(crate) inline: AtomicU64,
    /// Events said by the worker.
    pub(crate) events: AtomicU64,
    /// Times that the event ring was full.
    pub(crate) blocked: AtomicU64,
    /// Times that the worker went to sleep.
    pub(crate) sleeps: AtomicU64,
    /// Books taken from other shards, and their commands.
    pub(crate) steals: AtomicU64,
    pub(crate) stolen: AtomicU64,
    /// Commands of this shard that thieves have run.
    pub(crate) given: AtomicU64,
    pub(crate) busy_nanos: AtomicU64,
    /// Grows as long as the worker goes on.
    beats: AtomicU64,
}

impl Counters {
    /// The worker goes on. Only its own thread, or who stands in for it, calls this.
    #[inline]
    pub(crate) fn beat(&self) {
        self.beats.store(self.beats.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    pub(crate) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }
}

/// One shard, as all see it.
pub(crate) struct Shard {
    pub(crate) queue: Lock<Queue<Sequenced<Command>>>,
    pub(crate) glance: Glance,
    /// Its worker. The worker's thread holds it while awake.
    pub(crate) worker: Mutex<Worker>,
    pub(crate) parking: Parking,
    pub(crate) thread: OnceLock<Thread>,
    /// The worker stopped on a full event ring; cleared by whoever runs it next.
    pub(crate) blocked: AtomicBool,
    /// The worker makes no progress: its books may be taken by anyone.
    pub(crate) stalled: AtomicBool,
    pub(crate) counters: Counters,
    pub(crate) commands: Probe<Item<Sequenced<Command>>>,
    pub(crate) tags: Tags,
    /// `None` when events do not leave the shard.
    pub(crate) events: Probe<Said>,
    /// Its worker is for its own books only.
    pub(crate) reserved: bool,
    /// Which cache its core uses.
    pub(crate) domain: u16,
}

/// The rule that idle workers steal by, changed by the front while they read it; they may see some of an old and some
/// of a new one, which costs a theft too many or too few.
#[derive(Debug, Default)]
pub(crate) struct SharedRule {
    /// 0: nobody steals.
    waiting_min: AtomicU32,
    books_max: AtomicU32,
    commands_min: AtomicU32,
    unmoved_nanos: AtomicU64,
}

impl SharedRule {
    pub(crate) fn set(&self, rule: Option<StealRule>) {
        if self.get() == rule {
            return;
        }
        if let Some(StealRule { unmoved_nanos, books_max, commands_min, .. }) = rule {
            self.unmoved_nanos.store(unmoved_nanos, Ordering::Relaxed);
            self.commands_min.store(commands_min, Ordering::Relaxed);
            self.books_max.store(books_max, Ordering::Relaxed);
        }
        let waiting_min = rule.map_or(0, |rule| rule.waiting_min.max(1));
        self.waiting_min.store(waiting_min, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<StealRule> {
        let waiting_min = self.waiting_min.load(Ordering::Relaxed);
        (waiting_min > 0).then(|| StealRule {
            waiting_min,
            unmoved_nanos: self.unmoved_nanos.load(Ordering::Relaxed),
            books_max: self.books_max.load(Ordering::Relaxed),
            commands_min: self.commands_min.load(Ordering::Relaxed),
        })
    }

    /// Commands that must wait for a book.
    pub(crate) fn commands_min(&self) -> usize {
        self.commands_min.load(Ordering::Relaxed) as usize
    }

    /// Books that a thief takes at a time; some also when nobody steals but from a stalled shard.
    pub(crate) fn books_max(&self) -> usize {
        self.books_max.load(Ordering::Relaxed).max(1) as usize
    }
}

/// What all workers and the front share.
pub(crate) struct Floor {
    pub(crate) slots: Slots<Book>,
    pub(crate) shards: Box<[Shard]>,
    pub(crate) rule: SharedRule,
    /// Ring items that a worker claims at a time.
    pub(crate) batch: usize,
    pub(crate) clock: fn() -> u64,
    /// What workers do between two batches.
    pub(crate) pause: Option<fn()>,
    pub(crate) any_stalled: AtomicBool,
    /// A worker's thread has panicked.
    pub(crate) dead: AtomicBool,
    pub(crate) notes_lost: AtomicU64,
}

impl Floor {
    /// A worker, even if a thread died with it: the process is going down then, and a stop may still read.
    pub(crate) fn lock(&self, shard: usize) -> MutexGuard<'_, Worker> {
        self.shards[shard].worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the shard's worker could do something now.
    pub(crate) fn has_work(&self, shard: usize) -> bool {
        let shard = &self.shards[shard];
        if shard.blocked.load(Ordering::Acquire) {
            return shard.events.has_room();
        }
        shard.queue.with(|queue| queue.has_work(&self.slots))
    }

    /// Wakes a shard's worker if it sleeps, after something was done that concerns it. Says whether it did sleep.
    pub(crate) fn wake(&self, shard: usize) -> bool {
        let shard = &self.shards[shard];
        let sleeps = shard.parking.must_wake();
        if sleeps && let Some(thread) = shard.thread.get() {
            thread.unpark();
        }
        sleeps
    }

    /// Whether everything that was published to a shard has been run.
    pub(crate) fn is_settled(&self, shard: usize) -> bool {
        let shard = &self.shards[shard];
        // In this order: see `Glance::is_settled`.
        shard.commands.is_empty() && shard.glance.is_settled() && !shard.blocked.load(Ordering::Acquire)
    }
}
