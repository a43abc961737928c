//! What a connection has that speaks FIX: its session's machine, and what is under way on it.
//!
//! Messages leave in the order of their numbers. While some are sent again, or the client is behind for another reason, what
//! is said meanwhile waits for its turn: reports in the log, everything else here, within bounds.

use std::collections::VecDeque;
use std::time::Instant;

use domain::SessionId;
use door::auth::Refusal;
use journal::Position;

use super::{MassAsked, Session, Throttle};
use crate::connection::Close;

/// Bytes that may wait for their turn. What does not fit is not said: a gap fill stands in its place.
const HELD_MAX: usize = 64 * 1024;

/// Messages that are being sent again, by their reports' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resend {
    pub(crate) next: u64,
    pub(crate) last: u64,
    /// From here on nothing has to be said again so far.
    pub(crate) gap: Option<u64>,
    /// The first position that the log has.
    pub(crate) oldest: Position,
}

/// Messages that wait for their turn.
#[derive(Debug)]
pub(crate) struct Held {
    /// The first one's report's number.
    pub(crate) number: u64,
    /// How many there are.
    pub(crate) count: u64,
    pub(crate) bytes: Vec<u8>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// Nothing has been heard yet, if there is none.
    pub(crate) session: Option<Session>,
    /// What came of its logon, which was being verified: it is heard again now.
    pub(crate) verdict: Option<Result<SessionId, Refusal>>,
    /// Reports before the session's present numbering.
    pub(crate) out_base: u64,
    pub(crate) resend: Option<Resend>,
    held: VecDeque<Held>,
    held_bytes: usize,
    /// Orders whose standing is being told, and how many have been.
    pub(crate) mass_status: Option<(MassAsked, usize)>,
    /// Instruments that are being told, and how many have been.
    pub(crate) securities: Option<(Vec<u8>, usize)>,
    pub(crate) throttle: Throttle,
    /// Everything has been said: the connection ends when it has gone out, or at this time.
    pub(crate) closing: Option<(Close, Instant)>,
}

impl Link {
    /// Whether the report of this number may go out at once, when `cursor` is the next to go.
    #[inline]
    pub(crate) fn is_current(&self, cursor: u64, number: u64) -> bool {
        cursor == number && self.resend.is_none()
    }

    /// The client wants these messages again, by their reports' numbers; `cursor` is the next that it has not been given. From
    /// there on it is given them in their turn, and they are not said again before: who has taken one as said again would take
    /// it for an old one then. Says whether there is something to be said again.
    ///
    /// What it wanted before and has not been given goes on to be wanted: one run has all of it.
    pub(crate) fn wants_again(&mut self, first: u64, last: u64, cursor: u64, oldest: Position) -> bool {
        let last = last.min(cursor.saturating_sub(1));
        if first > last {
            return false;
        }
        self.resend = Some(match self.resend {
            None => Resend { next: first, last, gap: None, oldest },
            Some(before) => {
                let next = first.min(before.gap.unwrap_or(before.next));
                Resend { next, last: last.max(before.last), gap: None, oldest }
            }
        });
        true
    }

    /// Keeps messages for their turn.
    pub(crate) fn hold(&mut self, number: u64, count: u64, bytes: &[u8]) {
        if self.held_bytes + bytes.len() <= HELD_MAX {
            self.held_bytes += bytes.len();
            self.held.push_back(Held { number, count, bytes: bytes.to_vec() });
        }
    }

    /// The messages whose turn it is; those before are let go.
    pub(crate) fn take_held(&mut self, number: u64) -> Option<Held> {
        while let Some(held) = self.held.pop_front_if(|held| held.number <= number) {
            self.held_bytes -= held.bytes.len();
            if held.number == number {
                return Some(held);
            }
        }
        None
    }

    /// A new numbering: nothing that was under way in the old one goes on.
    pub(crate) fn begin(&mut self, out_base: u64) {
        self.out_base = out_base;
        self.resend = None;
        self.held.clear();
        self.held_bytes = 0;
    }

    /// Whether answers are left that were asked for.
    pub(crate) fn has_answers(&self) -> bool {
        self.mass_status.is_some() || self.securities.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_comes_in_its_turn_and_within_bounds() {
        let mut link = Link::default();
        link.hold(5, 2, b"five and six");
        link.hold(7, 1, b"seven");
        link.hold(8, 1, &vec![0; HELD_MAX]);
        link.hold(9, 1, b"nine");
        assert!(link.take_held(4).is_none());
        assert_eq!(
            link.take_held(5).map(|held| (held.count, held.bytes)),
            Some((2, b"five and six".to_vec()))
        );
        assert_eq!(link.take_held(9).map(|held| held.bytes), Some(b"nine".to_vec()), "seven is over");
        assert_eq!(link.held_bytes, 0);
    }

    /// A range and where the client has been told up to; what is being said again; and what that is then.
    #[test]
    fn nothing_is_said_again_before_it_has_been_said_and_nothing_that_was_wanted_is_forgotten() {
        let at = Position(0);
        let run = |next, last, gap| Some(Resend { next, last, gap, oldest: at });
        for (first, last, cursor, before, then) in [
            (1, 5, 6, None, run(1, 5, None)),
            (1, 9, 6, None, run(1, 5, None)),
            (6, 9, 6, None, None),
            (7, 9, 6, None, None),
            // More has been said meanwhile and waits behind what is being said again.
            (1, 8, 6, run(3, 5, None), run(1, 5, None)),
            (6, 8, 6, run(3, 5, None), run(3, 5, None)),
            (5, 5, 6, run(3, 5, None), run(3, 5, None)),
            (1, 2, 6, run(4, 5, None), run(1, 5, None)),
            // Nothing had to be said again since 3, which has not been said yet.
            (5, 5, 6, run(5, 5, Some(3)), run(3, 5, None)),
            (1, 1, 6, run(6, 5, Some(4)), run(1, 5, None)),
        ] {
            let mut link = Link { resend: before, ..Link::default() };
            let is_new = link.wants_again(first, last, cursor, at);
            assert_eq!(link.resend, then, "{first} to {last} before {cursor}, of {before:?}");
            assert_eq!(is_new, first < cursor, "{first} to {last} before {cursor}");
        }
    }
}
