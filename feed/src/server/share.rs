//! Work that may take a part of the thread's time, at most.

use std::time::{Duration, Instant};

/// One part in so many.
const OF: u32 = 10;

/// What somebody asks for as often as they like, and publishing must not wait for.
pub(super) struct Share {
    /// When it may be done again.
    next: Instant,
}

impl Share {
    pub(super) const fn new(now: Instant) -> Self {
        Self { next: now }
    }

    pub(super) fn may(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// When it may be done again.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    /// It was done, and took so long.
    pub(super) fn took(&mut self, now: Instant, took: Duration) {
        self.next = now + took * OF;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_time_is_all_there_is() {
        let start = Instant::now();
        let mut share = Share::new(start);
        let (mut now, mut worked, each) = (start, Duration::ZERO, Duration::from_millis(3));
        for _ in 0..1_000 {
            if share.may(now) {
                share.took(now, each);
                worked += each;
            }
            now += Duration::from_millis(1);
        }
        assert_eq!(share.next(), start + Duration::from_millis(1_020));
        assert!((now - start) / 11 < worked && worked < (now - start) / 9, "{worked:?}");
    }
}
