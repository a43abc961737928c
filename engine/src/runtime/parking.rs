//! Sleeping without missing the call.
//!
//! The sleeper: (1) announces that it will sleep, (2) fences, (3) looks for work once more, (4) sleeps only if there
//! is none. The caller: (1) publishes work, (2) fences, (3) wakes the sleeper if it has announced itself. With a
//! sequentially consistent fence on both sides at least one of them sees what the other wrote, so work that was
//! published is either found by the sleeper's last look or announced to it. Without the fences both may miss.

use crate::{
    schedule::mutation::{Mutation, is},
    sync::{AtomicBool, Ordering, fence},
};

/// One sleeper's announcement.
#[derive(Debug)]
pub struct Parking {
    announced: AtomicBool,
}

impl Default for Parking {
    fn default() -> Self {
        Self::new()
    }
}

impl Parking {
    /// Nobody sleeps.
    #[must_use]
    pub fn new() -> Self {
        Self { announced: AtomicBool::new(false) }
    }

    /// The sleeper's steps 1 and 2. Look for work after this, and call [`retract`](Self::retract) if there is some.
    #[inline]
    pub fn announce(&self) {
        // A swap, and so in `retract`, for loom alone: in its eyes a store need not come after a caller's swap that it
        // has not seen, though the language's coherence says so. On the way to sleep a swap costs nothing.
        self.announced.swap(true, Ordering::Relaxed);
        if !is(Mutation::SleeperHasNoFence) {
            fence(Ordering::SeqCst);
        }
    }

    /// The sleeper is awake.
    #[inline]
    pub fn retract(&self) {
        self.announced.swap(false, Ordering::Relaxed);
    }

    /// The caller's steps 2 and 3, after publishing: whether the sleeper must be woken. Says so once for each
    /// announcement, so that a batch of work costs one call.
    #[inline]
    pub fn must_wake(&self) -> bool {
        self.is_announced() && self.announced.swap(false, Ordering::Relaxed)
    }

    /// The caller's step 2 and a look: whether the sleeper has announced itself.
    #[inline]
    pub fn is_announced(&self) -> bool {
        if !is(Mutation::CallerHasNoFence) {
            fence(Ordering::SeqCst);
        }
        self.announced.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_made_once_for_each_announcement() {
        let parking = Parking::new();
        assert!(!parking.must_wake());
        parking.announce();
        assert!(parking.is_announced());
        assert!(parking.must_wake());
        assert!(!parking.must_wake());
        parking.announce();
        parking.retract();
        assert!(!parking.must_wake());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use crate::{
        runtime::ring::ring,
        sync::{Arc, AtomicUsize},
    };

    use super::*;

    /// Every interleaving of one publication with one attempt to sleep: the worker never sleeps for ever on work
    /// that is there. (loom reports a deadlock if it does.)
    #[test]
    fn published_work_is_never_slept_on() {
        loom::model(|| {
            let parking = Arc::new(Parking::new());
            let work = Arc::new(AtomicUsize::new(0));
            let sleeper = {
                let (parking, work) = (Arc::clone(&parking), Arc::clone(&work));
                loom::thread::spawn(move || {
                    loop {
                        if work.load(Ordering::Relaxed) == 1 {
                            return;
                        }
                        parking.announce();
                        if work.load(Ordering::Relaxed) == 1 {
                            parking.retract();
                            return;
                        }
                        loom::thread::park();
                    }
                })
            };
            work.store(1, Ordering::Relaxed);
            if parking.must_wake() {
                sleeper.thread().unpark();
            }
            sleeper.join().unwrap();
        });
    }
    /// The same with a worker that has something to say and no room for it, and a front that makes room once.
    #[test]
    fn room_that_is_made_is_never_slept_on() {
        loom::model(|| {
            let parking = Arc::new(Parking::new());
            let blocked = Arc::new(AtomicBool::new(false));
            let (mut tx, mut rx) = ring::<usize>(1);
            tx.push(0).unwrap();
            tx.publish();
            let worker = {
                let (parking, blocked, probe) = (Arc::clone(&parking), Arc::clone(&blocked), tx.probe());
                loom::thread::spawn(move || {
                    while tx.push(1).is_err() {
                        blocked.store(true, Ordering::Release);
                        parking.announce();
                        if !probe.has_room() {
                            loom::thread::park();
                        }
                        parking.retract();
                    }
                })
            };
            assert_eq!(rx.pop(), Some(0));
            rx.release();
            if parking.is_announced() && blocked.load(Ordering::Acquire) && parking.must_wake() {
                worker.thread().unpark();
            }
            worker.join().unwrap();
        });
    }
}
