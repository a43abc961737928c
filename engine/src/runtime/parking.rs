//! Sleeping without missing the call.
//!
//! The sleeper: (1) announces that it will sleep, (2) fences, (3) looks for work once more, (4) sleeps only if there
//! is none. The caller: (1) publishes work, (2) fences, (3) wakes the sleeper if it has announced itself. With a
//! sequentially consistent fence on both sides at least one of them sees what the other wrote, so work that was
//! published is either found by the sleeper's last look or announced to it. Without the fences both may miss.

use crate::sync::{AtomicBool, Ordering, fence};

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
        self.announced.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The sleeper is awake.
    #[inline]
    pub fn retract(&self) {
        self.announced.store(false, Ordering::Relaxed);
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
        fence(Ordering::SeqCst);
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
    use crate::sync::{Arc, AtomicUsize};

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
}
