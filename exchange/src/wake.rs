//! How shards and the disk thread wake the front.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use door::Waker;
use engine::runtime::{Parking, Wake};

/// Wakes the front out of its poll, if it sleeps there.
#[derive(Default)]
pub(crate) struct FrontWake {
    parking: Parking,
    /// The front waits for the log to get safer, not only for sockets and books.
    waits_for_disk: AtomicBool,
    /// Known once the gateway is bound; a recovery before that does not sleep.
    waker: std::sync::OnceLock<Arc<Waker>>,
}

impl FrontWake {
    pub(crate) fn set_waker(&self, waker: Arc<Waker>) {
        // A front has one gateway, bound once.
        let _ = self.waker.set(waker);
    }

    /// The front is about to sleep; it looks for work once more after this.
    pub(crate) fn announce(&self, waits_for_disk: bool) {
        self.waits_for_disk.store(waits_for_disk, Ordering::Relaxed);
        self.parking.announce();
    }

    /// The front is awake.
    pub(crate) fn retract(&self) {
        self.parking.retract();
    }

    /// The log got safer, or its state changed. Called by the journal's threads.
    pub(crate) fn on_progress(&self) {
        if self.parking.is_announced() && self.waits_for_disk.load(Ordering::Relaxed) {
            self.call();
        }
    }

    /// Whoever asks the front for something calls this after asking.
    pub(crate) fn call(&self) {
        if self.parking.must_wake()
            && let Some(waker) = self.waker.get()
            && let Err(error) = waker.wake()
        {
            log::error!("the front cannot be woken: {error}");
        }
    }
}

impl Wake for FrontWake {
    fn wake(&self) {
        self.call();
    }
}
