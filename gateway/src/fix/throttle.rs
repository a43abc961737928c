//! How many orders, or other requests, a session may send.

use domain::Nanos;

use crate::gateway::MASS_CANCEL_INTERVAL;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Requests that a session may still send: so many a second, and as many at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throttle {
    /// When the last of those that were let through would have gone at an even pace.
    paid_until: u64,
    /// When the next mass cancel may go.
    mass_cancel: Nanos,
}

impl Throttle {
    /// Whether another request may go now, at `rate` requests a second; 0 for any number.
    pub fn lets(&mut self, rate: u32, now: Nanos) -> bool {
        let Some(pace) = SECOND.checked_div(u64::from(rate)) else { return true };
        let from = self.paid_until.max(now.0.saturating_sub(SECOND));
        // A second's worth may go ahead of time.
        let next = from.saturating_add(pace);
        if next > now.0 {
            return false;
        }
        self.paid_until = next;
        true
    }
}

impl Throttle {
    /// Whether a mass cancel may go now: one in a while, for each looks at every order of a book.
    pub(crate) fn lets_mass_cancel(&mut self, now: Nanos) -> bool {
        let may = now >= self.mass_cancel;
        if may {
            self.mass_cancel = Nanos(now.0.saturating_add(MASS_CANCEL_INTERVAL.0));
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_goes_at_once_and_then_so_many_a_second() {
        let mut throttle = Throttle::default();
        let start = 1_000 * SECOND;
        let many = |throttle: &mut Throttle, now| (0..100).filter(|_| throttle.lets(10, Nanos(now))).count();
        assert_eq!(many(&mut throttle, start), 10);
        assert_eq!(many(&mut throttle, start + SECOND / 10), 1);
        assert_eq!(many(&mut throttle, start + SECOND / 2), 4);
        assert_eq!(many(&mut throttle, start + 100 * SECOND), 10, "what was not used is not kept");
        assert_eq!((0..100).filter(|_| throttle.lets(0, Nanos(start))).count(), 100);
    }
}
