//! A lock for a few instructions, which a thread may also decline to wait for.
//!
//! std's mutex would do, but not under loom with the same code, and it puts a waiter to sleep, for which what is
//! guarded here is too short. A holder that panics leaves the lock poisoned, and everybody who comes panics too: what
//! was guarded may be half changed.
#![allow(unsafe_code)] // the value is reachable only between taking and giving back the flag

use crate::{
    schedule::mutation::{Mutation, ordering},
    sync::{AtomicU8, Ordering, UnsafeCell, yield_now},
};

const FREE: u8 = 0;
const HELD: u8 = 1;
const POISONED: u8 = 2;

/// Looks at the flag between two yields; a holder that is not running needs the core.
const SPINS: u32 = 256;

/// A value that one thread at a time may touch.
#[derive(Debug)]
pub(crate) struct Lock<T> {
    flag: AtomicU8,
    value: UnsafeCell<T>,
}

// SAFETY: the value is touched only by the thread that has set the flag from FREE to HELD, with Acquire, and before it
// is set back with Release, so by one thread at a time and with everything visible that the one before has done.
unsafe impl<T: Send> Sync for Lock<T> {}

/// Gives the flag back, whatever happens.
struct Hold<'a>(&'a AtomicU8);

impl Drop for Hold<'_> {
    #[inline]
    fn drop(&mut self) {
        let state = if std::thread::panicking() { POISONED } else { FREE };
        self.0.store(state, ordering(Mutation::LockIsFreed, Ordering::Release));
    }
}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { flag: AtomicU8::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Runs `f` alone on the value, or not at all when another thread is at it.
    ///
    /// # Panics
    /// When a holder has panicked.
    #[inline]
    pub(crate) fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let acquire = ordering(Mutation::LockIsTaken, Ordering::Acquire);
        match self.flag.compare_exchange(FREE, HELD, acquire, Ordering::Relaxed) {
            Ok(_) => {
                let hold = Hold(&self.flag);
                // SAFETY: the flag was FREE and is HELD by us, until `hold` is dropped.
                let result = self.value.with_mut(|value| f(unsafe { &mut *value }));
                drop(hold);
                Some(result)
            }
            Err(state) => {
                assert_ne!(state, POISONED, "a thread died while it held a lock");
                None
            }
        }
    }

    /// Runs `f` alone on the value, as soon as no other thread is at it.
    ///
    /// # Panics
    /// When a holder has panicked.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut f = Some(f);
        let mut spins = 0;
        loop {
            // Taken by the closure if and only if it runs.
            if let Some(result) = self.try_with(|value| f.take().map(|f| f(value))) {
                return result.expect("run once");
            }
            spins += 1;
            if spins % SPINS == 0 || cfg!(any(loom, shuttle)) {
                yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_no_waiting_if_not_wanted() {
        let lock = Lock::new(1);
        lock.with(|value| {
            *value += 1;
            assert_eq!(lock.try_with(|_| ()), None);
        });
        assert_eq!(lock.try_with(|value| *value), Some(2));
    }

    #[test]
    fn additions_of_two_threads_all_count() {
        const EACH: u64 = if cfg!(miri) { 50 } else { 100_000 };
        let lock = Lock::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..EACH).for_each(|_| lock.with(|value| *value += 1)));
            }
        });
        assert_eq!(lock.with(|value| *value), 2 * EACH);
    }

    #[test]
    #[should_panic(expected = "a thread died while it held a lock")]
    fn a_panic_inside_is_passed_on() {
        let lock = Lock::new(());
        std::thread::scope(|scope| {
            let died = scope.spawn(|| lock.with(|()| panic!("inside"))).join();
            assert!(died.is_err());
        });
        lock.with(|()| ());
    }
}
