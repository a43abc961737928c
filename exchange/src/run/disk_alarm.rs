//! The alarm for a disk that is slow: who waits for acknowledgements shall not be the first to know.

use std::time::{Duration, Instant};

use log::warn;

/// From one look to the next.
const EACH: Duration = Duration::from_secs(1);
/// A sync that takes so long is worth a line. Sound disks answer in a tenth of it, also when they are busy.
const SLOW: Duration = Duration::from_millis(100);
/// While it lasts there is a line this often, and after so long without a slow sync it is over.
const AGAIN: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct DiskAlarm {
    /// The longest sync since it was last asked, one that is under way included.
    longest: Box<dyn FnMut() -> Duration + Send>,
    next: Instant,
    state: State,
}

/// What has been said. Knows no clock and no disk.
#[derive(Default)]
struct State {
    /// The last slow sync, and the last line about one.
    slow: Option<(Instant, Instant)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Slow(Duration),
    Over,
}

impl State {
    fn look(&mut self, now: Instant, longest: Duration) -> Option<Line> {
        if longest >= SLOW {
            let said = self.slow.map(|(_, said)| said);
            if said.is_some_and(|said| now.duration_since(said) < AGAIN) {
                self.slow = self.slow.map(|(_, said)| (now, said));
                return None;
            }
            self.slow = Some((now, now));
            return Some(Line::Slow(longest));
        }
        let (last, _) = self.slow?;
        (now.duration_since(last) >= AGAIN).then(|| {
            self.slow = None;
            Line::Over
        })
    }
}

impl DiskAlarm {
    pub(super) fn new(longest: impl FnMut() -> Duration + Send + 'static) -> Self {
        Self { longest: Box::new(longest), next: Instant::now() + EACH, state: State::default() }
    }

    /// When to look again.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    /// Looks, if it is time.
    pub(super) fn look(&mut self) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + EACH;
        match self.state.look(now, (self.longest)()) {
            None => {}
            Some(Line::Slow(longest)) => warn!(
                "the disk is slow: a sync of the journal has taken {} ms. Acknowledgements wait for it under every policy \
                 but memory; when the tail is full, so do orders",
                longest.as_millis()
            ),
            Some(Line::Over) => {
                warn!("the disk is as quick again as it should be: no slow sync for {} s", AGAIN.as_secs());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_that_the_disk_is_slow_now_and_then_and_when_that_is_over() {
        let (mut state, begin) = (State::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let slow = SLOW * 2;
        assert_eq!(state.look(at(0), SLOW / 2), None);
        assert_eq!(state.look(at(1), slow), Some(Line::Slow(slow)));
        for second in 2..11 {
            assert_eq!(state.look(at(second), slow), None);
        }
        assert_eq!(state.look(at(11), slow), Some(Line::Slow(slow)));
        assert_eq!(state.look(at(15), slow), None);
        for second in 16..25 {
            assert_eq!(state.look(at(second), Duration::ZERO), None);
        }
        assert_eq!(state.look(at(25), Duration::ZERO), Some(Line::Over));
        assert_eq!(state.look(at(60), Duration::ZERO), None);
    }
}
