//! The thread that is told to stop: it tells the front, at once or after the news of it has had its time.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use signal_hook::iterator::Signals;

use crate::wake::FrontWake;

/// How often it is looked for a second signal.
const LOOK: Duration = Duration::from_millis(50);

/// See the module.
pub(super) struct Stopper {
    pub(super) stop: Arc<AtomicBool>,
    /// Seconds that the front is to tell clients; see [`Requests`](crate::front::Requests).
    pub(super) news: Arc<AtomicU32>,
    /// How long clients know before it stops.
    pub(super) news_for: Duration,
    /// There are clients who could be told.
    pub(super) trades: Arc<AtomicBool>,
    /// Whom a signal wakes.
    pub(super) awake: Arc<Mutex<Option<Arc<FrontWake>>>>,
}

impl Stopper {
    /// Waits for a signal, and does what it says; or until nobody waits for one any more.
    pub(super) fn run(self, mut signals: Signals) {
        if signals.forever().next().is_none() {
            return;
        }
        if self.trades.load(Ordering::Acquire) && !self.news_for.is_zero() {
            let seconds = u32::try_from(self.news_for.as_secs()).unwrap_or(u32::MAX);
            self.news.store(seconds, Ordering::Relaxed);
            self.wake();
            let until = Instant::now() + self.news_for;
            while Instant::now() < until && signals.pending().next().is_none() && !signals.is_closed() {
                std::thread::sleep(LOOK);
            }
        }
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(wake) = &*self.awake.lock().unwrap_or_else(PoisonError::into_inner) {
            wake.call();
        }
    }
}
