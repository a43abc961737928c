//! How the front thread wakes the disk thread without ever losing a wake-up, and without paying for one when
//! the disk thread is awake.
//!
//! The front thread publishes work, then looks whether the other sleeps; the disk thread says that it sleeps,
//! then looks whether there is work. Each does a store and then a load of what the other stores, with a
//! sequentially consistent fence between, so at least one of the two sees the other's store (the fences are
//! ordered; whoever's is later sees what was stored before the earlier one). Either the front thread sees the
//! sleeper and wakes it, or the sleeper sees the work and does not sleep; both may happen, and then a token
//! too many is left, which costs one turn of a loop. `tests::no_wake_up_is_lost` (built with `--cfg loom`)
//! walks through every interleaving.
//!
//! | state | set by | who ends it |
//! |---|---|---|
//! | awake | either | |
//! | idle | disk thread, with nothing to do | any commit |
//! | linger | disk thread, letting work gather for a few ms | its own clock, or an urgent commit |

use std::time::{Duration, Instant};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU32, Ordering, fence};

const AWAKE: u32 = 0;
const IDLE: u32 = 1;
const LINGER: u32 = 2;

/// The sleeper's side of the handshake and the wakers' side of it.
#[derive(Debug)]
pub(crate) struct Wake {
    state: AtomicU32,
}

impl Wake {
    pub(crate) fn new() -> Self {
        Self { state: AtomicU32::new(AWAKE) }
    }

    /// Called after work has been published: whether the sleeper must be unparked. When it lingers, only if
    /// `urgent`.
    #[inline]
    #[must_use]
    pub(crate) fn must_unpark(&self, urgent: bool) -> bool {
        // Orders the publication before the look at the state; see the head of the file.
        fence(Ordering::SeqCst);
        match self.state.load(Ordering::Relaxed) {
            AWAKE => false,
            LINGER if !urgent => false,
            // The swap lets one waker only pay for the system call.
            _ => self.state.swap(AWAKE, Ordering::AcqRel) != AWAKE,
        }
    }

    /// Sleeps until woken, unless `ready` already holds. Only the disk thread calls this.
    pub(crate) fn idle(&self, ready: impl Fn() -> bool) {
        // A swap, not a store: it comes after a waker's swap that it has seen, for loom as for the language's
        // coherence.
        self.state.swap(IDLE, Ordering::AcqRel);
        // Orders the store before the look at the work; see the head of the file.
        fence(Ordering::SeqCst);
        if !ready() {
            // A token of an earlier wake-up may end a park at once, so the state decides.
            while self.state.load(Ordering::Relaxed) == IDLE {
                park();
            }
        }
        self.state.store(AWAKE, Ordering::Relaxed);
    }

    /// Sleeps for `time`, or until woken urgently, unless `ready` already holds. Only the disk thread calls
    /// this. Its own clock ends it, so nothing rests on the wake-up.
    pub(crate) fn linger(&self, time: Duration, ready: impl Fn() -> bool) {
        let deadline = Instant::now() + time;
        self.state.swap(LINGER, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        if !ready() {
            while self.state.load(Ordering::Relaxed) == LINGER {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                std::thread::park_timeout(left);
            }
        }
        self.state.store(AWAKE, Ordering::Relaxed);
    }
}

#[cfg(not(loom))]
fn park() {
    std::thread::park();
}

#[cfg(loom)]
fn park() {
    loom::thread::park();
}

#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU64;
    use loom::thread;

    /// Two commits against a sleeper that takes each as the disk thread does. Were a wake-up lost, the
    /// sleeper would park for ever and loom would call it a deadlock.
    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| {
            let wake = Arc::new(Wake::new());
            let committed = Arc::new(AtomicU64::new(0));
            let sleeper = {
                let (wake, committed) = (wake.clone(), committed.clone());
                thread::spawn(move || {
                    let mut taken = 0;
                    while taken < 2 {
                        let there = committed.load(Ordering::Acquire);
                        if there > taken {
                            taken = there;
                        } else {
                            wake.idle(|| committed.load(Ordering::Acquire) > taken);
                        }
                    }
                })
            };
            for n in 1..=2 {
                committed.store(n, Ordering::Release);
                if wake.must_unpark(false) {
                    sleeper.thread().unpark();
                }
            }
            sleeper.join().expect("no panic");
        });
    }
}
