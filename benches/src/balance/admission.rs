//! Which of the requests that wait for one book are sequenced next, and which are refused: what stands in front of a hot
//! book.
//!
//! 1. At most `window` commands of the book are under way.
//! 2. What waits for the window stands in two queues: cancels go first.
//! 3. A request other than a cancel that has waited longer than `sojourn` is refused. Nothing sequenced ever is.

use std::collections::VecDeque;

/// The bounds of one book.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Commands under way at most.
    pub window: u64,
    /// How long a request other than a cancel may wait, in nanoseconds.
    pub sojourn: u64,
}

impl Bounds {
    /// No bounds: everything is sequenced in the order of its arrival.
    pub const NONE: Self = Self { window: u64::MAX, sojourn: u64::MAX };
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It is sequenced now.
    Admitted(T),
    /// It is refused: it has waited too long.
    Refused(T),
}

/// Requests that wait for one book.
#[derive(Debug)]
pub struct Waiting<T> {
    bounds: Bounds,
    cancels: VecDeque<T>,
    /// With the time of arrival.
    others: VecDeque<(u64, T)>,
}

impl<T> Waiting<T> {
    /// None.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Self {
        Self { bounds, cancels: VecDeque::new(), others: VecDeque::new() }
    }

    /// A request came at `now`.
    pub fn arrive(&mut self, request: T, is_cancel: bool, now: u64) {
        if is_cancel && self.bounds.window != u64::MAX {
            self.cancels.push_back(request);
        } else {
            self.others.push_back((now, request));
        }
    }

    /// What happens next, with so many commands of the book under way; `None` when nothing does.
    pub fn next(&mut self, under_way: u64, now: u64) -> Option<Outcome<T>> {
        let late =
            self.others.front().is_some_and(|(came, _)| now.saturating_sub(*came) > self.bounds.sojourn);
        if late {
            return self.others.pop_front().map(|(_, request)| Outcome::Refused(request));
        }
        if under_way >= self.bounds.window {
            return None;
        }
        let cancel = self.cancels.pop_front();
        cancel.or_else(|| self.others.pop_front().map(|(_, request)| request)).map(Outcome::Admitted)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cancels.is_empty() && self.others.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancels_go_first_and_what_waits_too_long_is_refused() {
        let mut waiting = Waiting::new(Bounds { window: 2, sojourn: 100 });
        for (request, is_cancel, now) in [('a', false, 0), ('b', true, 10), ('c', false, 50), ('d', true, 60)]
        {
            waiting.arrive(request, is_cancel, now);
        }
        assert_eq!(waiting.next(2, 60), None, "the window is full");
        assert_eq!(waiting.next(1, 60), Some(Outcome::Admitted('b')));
        assert_eq!(waiting.next(2, 101), Some(Outcome::Refused('a')), "refused without room, too");
        assert_eq!(waiting.next(0, 101), Some(Outcome::Admitted('d')));
        assert_eq!(waiting.next(0, 150), Some(Outcome::Admitted('c')));
        assert_eq!(waiting.next(0, 500), None);
        assert!(waiting.is_empty());
    }

    #[test]
    fn without_bounds_nothing_overtakes() {
        let mut waiting = Waiting::new(Bounds::NONE);
        waiting.arrive(1, false, 0);
        waiting.arrive(2, true, 0);
        assert_eq!(waiting.next(1_000_000, u64::MAX - 1), Some(Outcome::Admitted(1)));
        assert_eq!(waiting.next(1_000_000, u64::MAX - 1), Some(Outcome::Admitted(2)));
    }
}
