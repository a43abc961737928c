//! How long the disk takes, as it happens: for an alarm.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What the disk thread notes of its syncs. One thread writes, any other reads.
pub(crate) struct Syncing {
    origin: Instant,
    /// When the sync that is under way began, in nanoseconds after `origin` and one more; 0 while there is none.
    begun: AtomicU64,
    /// The longest since it was last looked at, in nanoseconds.
    longest: AtomicU64,
}

impl Syncing {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), begun: AtomicU64::new(0), longest: AtomicU64::new(0) }
    }

    /// A sync begins now.
    pub(crate) fn begins(&self) -> Instant {
        let now = Instant::now();
        self.begun.store(nanos(now.duration_since(self.origin)).saturating_add(1), Ordering::Relaxed);
        now
    }

    /// The sync that began then has been answered. Returns how long it took, in nanoseconds.
    pub(crate) fn ends(&self, begun: Instant) -> u64 {
        let took = nanos(begun.elapsed());
        self.begun.store(0, Ordering::Relaxed);
        self.longest.fetch_max(took, Ordering::Relaxed);
        took
    }

    /// The longest sync since this was last asked; one that is under way counts with what it has taken until now.
    pub(crate) fn longest(&self) -> Duration {
        let ended = Duration::from_nanos(self.longest.swap(0, Ordering::Relaxed));
        let begun = self.begun.load(Ordering::Relaxed);
        let under_way = match begun {
            0 => Duration::ZERO,
            begun => self.origin.elapsed().saturating_sub(Duration::from_nanos(begun - 1)),
        };
        ended.max(under_way)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_counts_while_it_is_under_way_and_once_when_it_is_over() {
        let syncing = Syncing::new();
        assert_eq!(syncing.longest(), Duration::ZERO);
        let begun = syncing.begins();
        std::thread::sleep(Duration::from_millis(3));
        assert!(syncing.longest() >= Duration::from_millis(3));
        std::thread::sleep(Duration::from_millis(3));
        let took = syncing.ends(begun);
        assert!(took >= 6_000_000);
        assert_eq!(syncing.longest(), Duration::from_nanos(took));
        assert_eq!(syncing.longest(), Duration::ZERO);
    }
}
