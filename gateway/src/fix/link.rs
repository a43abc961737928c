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
}
