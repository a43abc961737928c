//! Orders of those who asked that nothing of theirs stays in the books while they are away: canceled some time after their
//! connection has ended, and some time after a start or a takeover if they have not come back.
//!
//! They are canceled one by one, each by a command of its own, so many a turn: that costs what the session itself has entered,
//! and a crowd that is gone at once delays nobody. What is in flight when the connection ends is canceled when it has become
//! an order.

use std::time::{Duration, Instant};

use domain::{CancelOrder, CancelReason, ClientRef, Command, OrderId, Owner, SessionId};

use super::Gateway;
use crate::{ouch::Action, venue::Venue};

/// Orders that are canceled in one turn.
const CANCELS_MAX: usize = 64;
/// How long what has been asked may take, before what is still there is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// A session whose client is away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Absent {
    /// Nothing is done before that.
    due: Instant,
    /// Orders up to this number have been dealt with in this pass.
    done: ClientRef,
}

impl Gateway {
    /// Everybody is away: the exchange has just begun.
    pub(super) fn all_are_absent(&mut self) {
        let due = Instant::now() + self.limits.absent_at_start;
        for id in self.credentials.who_cancels() {
            self.absent.insert(id, Absent { due, done: ClientRef(0) });
        }
    }

    /// A session's connection has ended.
    pub(super) fn is_absent(&mut self, id: SessionId) {
        if self.credentials.cancels(id) {
            let due = Instant::now() + self.limits.absent;
            self.absent.insert(id, Absent { due, done: ClientRef(0) });
        }
    }

    /// It has a connection.
    pub(super) fn is_present(&mut self, id: SessionId) {
        self.absent.remove(&id);
    }

    /// When the next session has been away for long enough.
    pub(super) fn next_absent(&self) -> Option<Instant> {
        self.absent.values().map(|absent| absent.due).min()
    }

    /// Cancels what those have in the books who have been away for long enough. Says whether anything was done.
    pub(super) fn cancel_for_absent<V: Venue>(&mut self, venue: &mut V) -> bool {
        if self.absent.is_empty() || !self.accepting {
            return false;
        }
        let now = Instant::now();
        let due: Vec<SessionId> =
            self.absent.iter().filter(|(_, absent)| absent.due <= now).map(|(id, _)| *id).collect();
        let mut left = CANCELS_MAX;
        for id in due {
            self.cancel_orders_of(id, now, &mut left, venue);
            if left == 0 {
                break;
            }
        }
        left < CANCELS_MAX
    }

    fn cancel_orders_of<V: Venue>(&mut self, id: SessionId, now: Instant, left: &mut usize, venue: &mut V) {
        let Some(session) = self.sessions.get(id) else { return };
        if session.open_orders() == 0 && !self.admission.has_line(id) {
            self.absent.remove(&id);
            return;
        }
        let Some(absent) = self.absent.get(&id).copied() else { return };
        let some: Vec<(ClientRef, OrderId)> = session
            .orders
            .iter()
            .filter(|(client_ref, _)| *client_ref > absent.done)
            .take(*left)
            .map(|(client_ref, order)| (client_ref, order.order))
            .collect();
        let mut done = absent.done;
        let mut is_stuck = false;
        for (client_ref, order) in &some {
            if !venue.has_room(Some(order.instrument())) {
                is_stuck = true;
                break;
            }
            let owner = Owner { session: id, client_ref: *client_ref };
            let cancel = CancelOrder { order: *order, owner, reason: CancelReason::Disconnected };
            self.perform(id, &Action::Sequence(Command::Cancel(cancel)), venue);
            done = *client_ref;
            *left -= 1;
        }
        // A pass is over: what is there after a while came meanwhile, or is still under way.
        let is_over = some.is_empty() && !is_stuck;
        if let Some(absent) = self.absent.get_mut(&id) {
            *absent = if is_over {
                Absent { due: now + AGAIN, done: ClientRef(0) }
            } else {
                Absent { due: now, done }
            };
        }
    }
}
