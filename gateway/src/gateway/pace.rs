//! How fast clients that are behind are given what they miss: so many messages in a second, for all of them together.
//!
//! A client that reads hundreds of thousands of messages as fast as they come keeps a core busy, as does the kernel that carries
//! them; who trades on the same machine meanwhile would notice. Spread over a second or two it is not noticed, and no client
//! depends on the difference.

use std::time::{Duration, Instant};

/// Messages that may come at once after a while of nothing: what most clients miss that come back.
const BURST: u64 = 256;
/// It is not worth a turn to give fewer.
const FEW: u64 = 8;

/// See the module. Credit is counted in nanoseconds.
#[derive(Debug)]
pub(super) struct Pace {
    /// Nanoseconds between messages; 0: as fast as it goes.
    each: u64,
    credit: u64,
    credit_max: u64,
    looked: Instant,
}

impl Pace {
    /// So many messages in a second; 0 for any number.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let each = 1_000_000_000_u64.checked_div(per_second.into()).map_or(0, |each| each.max(1));
        // Who waits for a millisecond, as the system's poll counts, goes on as if it had not.
        let credit = (each * BURST).max(2_000_000);
        Self { each, credit, credit_max: credit, looked: now }
    }

    /// How many messages may be given now, at most so many.
    pub(super) fn may(&mut self, now: Instant, most: usize) -> usize {
        if self.each == 0 {
            return most;
        }
        let since = u64::try_from(now.saturating_duration_since(self.looked).as_nanos()).unwrap_or(u64::MAX);
        self.looked = now;
        self.credit = self.credit.saturating_add(since).min(self.credit_max);
        let may = self.credit / self.each;
        if may < FEW { 0 } else { most.min(usize::try_from(may).unwrap_or(usize::MAX)) }
    }

    /// So many have been given.
    pub(super) fn gave(&mut self, messages: usize) {
        self.credit = self.credit.saturating_sub(self.each.saturating_mul(messages as u64));
    }

    /// How long until the next few may be given; nothing, if they may be now.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let since = u64::try_from(now.saturating_duration_since(self.looked).as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos((self.each * FEW).saturating_sub(self.credit.saturating_add(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_as_many_as_it_may_and_what_came_before_is_no_more_than_a_burst() {
        let begin = Instant::now();
        let at = |micros: u64| begin + Duration::from_micros(micros);
        let mut pace = Pace::new(10_000, begin);
        assert_eq!(pace.may(begin, usize::MAX), BURST as usize);
        pace.gave(BURST as usize);
        assert_eq!((pace.may(at(100), 32), pace.wait(at(100))), (0, Duration::from_micros(700)));
        assert_eq!((pace.wait(at(800)), pace.may(at(800), 32)), (Duration::ZERO, 8));
        let mut given = 0;
        for micros in (800..=1_000_800).step_by(70) {
            let some = pace.may(at(micros), 32);
            pace.gave(some);
            given += some;
        }
        assert!((9_992..=10_008).contains(&given), "{given}");
        assert_eq!(pace.may(at(90_000_000), usize::MAX), BURST as usize);
    }

    #[test]
    fn without_a_number_there_is_no_wait() {
        let begin = Instant::now();
        let mut pace = Pace::new(0, begin);
        pace.gave(1_000_000);
        assert_eq!((pace.may(begin, 32), pace.wait(begin)), (32, Duration::ZERO));
    }
}
