//! Drop copies: what a session's orders do is told to other sessions as well.
//!
//! A copy is a report of the session that is told, with a number of that session's, and stands in the log behind the report that
//! it repeats. So it is told again, recovered, replicated and compared like any other. Who is told of whom is in the log too.
//!
//! Whoever follows a log may hear a book earlier or later, against commands, than whoever wrote it. So a copy is made or not by
//! where the command that caused it stands, before or behind the command that says who is told; not by what was heard first.
//!
//! Copied is what becomes of orders; what a book never saw, and a cancel or a replacement that came to nothing, is not.

use domain::{
    DropCopy, Echo, EventKind, OrderCopy, OrderReport, OrderReportKind, OrderStatus, OrderType, Owner,
    Quantity, Report, ReportKind, Restatement, Sequence, SessionId, Side,
};
use door::auth::User;
use journal::Position;

use super::{
    Cause, Session, Sessions,
    fix::{Fill, canceled, less, report},
};
use crate::orders::LiveOrder;

impl Session {
    /// Whether it is there to be told of others' orders: then it enters none of its own.
    #[must_use]
    pub const fn is_watching(&self) -> bool {
        self.watches > 0
    }

    /// Who is told what its orders do, rising.
    pub fn watchers(&self) -> impl Iterator<Item = SessionId> {
        self.watchers.iter().filter(|watcher| watcher.until == FOR_EVER).map(|watcher| watcher.session)
    }

    pub(super) fn is_watched_by(&self, session: SessionId) -> bool {
        self.watchers().any(|watcher| watcher == session)
    }
}

/// No command is there.
const FOR_EVER: Sequence = Sequence(u64::MAX);

/// Who is told of the orders of a session, and of which commands' doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Watcher {
    session: SessionId,
    /// Of those behind this one,
    from: Sequence,
    /// and before this one. What has ended stays, for a book may still speak of what was before.
    until: Sequence,
}

impl Watcher {
    /// One that was there before all that is still to be heard.
    pub(super) const fn from_before(session: SessionId) -> Self {
        Self { session, from: Sequence(0), until: FOR_EVER }
    }

    fn is_told_of(&self, sequence: Sequence) -> bool {
        self.from < sequence && sequence < self.until
    }
}

impl Sessions {
    /// What has to be sequenced so that those are told who shall be, and no others: in an order that depends on nothing else.
    ///
    /// # Errors
    /// Names a user who shall be told of somebody, or of whom somebody shall be told, and cannot.
    pub fn copies_due(&self, users: &[User]) -> Result<Vec<DropCopy>, String> {
        let mut wanted = Vec::new();
        for user in users {
            let cannot = |why: &str| format!("user {}: drop_copy_of: {why}", user.name);
            for name in &user.drop_copy_of {
                let of = self.iter().find(|(_, session)| session.user == *name).map(|(id, _)| id);
                let Some(watched) = of else { return Err(cannot(&format!("no user {name} has a session"))) };
                if self.get(user.session).is_none_or(|session| session.fix.is_none()) {
                    return Err(cannot("copies are for users that speak FIX"));
                }
                if watched == user.session {
                    return Err(cannot("nobody is told of its own orders twice"));
                }
                wanted.push((watched, user.session));
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let mut due = Vec::new();
        for (watched, session) in self.iter() {
            let is_wanted = |watcher: SessionId| wanted.binary_search(&(watched, watcher)).is_ok();
            for watcher in session.watchers().filter(|watcher| !is_wanted(*watcher)) {
                due.push(DropCopy { watcher, watched, is_on: false });
            }
        }
        for (watched, watcher) in wanted {
            if self.get(watched).is_some_and(|session| !session.is_watched_by(watcher)) {
                due.push(DropCopy { watcher, watched, is_on: true });
            }
        }
        Ok(due)
    }

    /// From here on somebody is told of another one's orders, or no more.
    pub(super) fn on_drop_copy(&mut self, copy: &DropCopy, sequence: Sequence) {
        let DropCopy { watcher, watched, is_on } = *copy;
        let watchers = &mut self.session(watched).watchers;
        let on = watchers.iter_mut().find(|other| other.session == watcher && other.until == FOR_EVER);
        match (on, is_on) {
            (None, true) => {
                watchers.push(Watcher { session: watcher, from: sequence, until: FOR_EVER });
                watchers.sort_unstable();
                self.session(watcher).watches += 1;
            }
            (Some(on), false) => {
                on.until = sequence;
                self.session(watcher).watches -= 1;
            }
            (Some(_), true) | (None, false) => {}
        }
    }

    /// Tells those who watch a session.
    pub(super) fn copy(
        &mut self,
        cause: &Cause,
        of: SessionId,
        order: &OrderReport,
        log: &mut impl FnMut(&Report) -> Position,
    ) {
        for at in 0..self.session(of).watchers.len() {
            let watcher = self.session(of).watchers[at];
            if !watcher.is_told_of(cause.sequence) {
                continue;
            }
            self.number_event(cause, watcher.session, ReportKind::Copy(OrderCopy { of, order: *order }), log);
        }
    }

    /// What is going to be told to those who watch the session of this event, before it has heard of it.
    #[inline]
    pub(super) fn bare(&self, kind: &EventKind) -> Option<OrderReport> {
        let owner = kind.owner()?;
        let session = self.get(owner.session)?;
        if session.watchers.is_empty() { None } else { session.bare_report(owner, kind) }
    }
}

/// The order's codes as FIX has them, from what OUCH has.
fn codes(live: &LiveOrder) -> Echo {
    let side = match (live.side, live.echo.side) {
        (_, b'T') => b'5',
        (_, b'E') => b'6',
        (Side::Buy, _) => b'1',
        (Side::Sell, _) => b'2',
    };
    let display = match live.order_type {
        OrderType::Limit => b'2',
        OrderType::Market => b'1',
        OrderType::MarketToLimit => b'K',
    };
    // FIX has no letter for OUCH's `other`.
    let capacity = if matches!(live.echo.capacity, b'A' | b'P' | b'R') { live.echo.capacity } else { b' ' };
    Echo { side, display, capacity, ..Echo::default() }
}

impl Session {
    /// How one of its orders is going to stand, as FIX says it, for a session that speaks OUCH.
    fn bare_report(&self, owner: Owner, kind: &EventKind) -> Option<OrderReport> {
        let live_of = |order| self.orders.get(owner.client_ref).filter(|live| live.order == order).copied();
        let goes_on = |live: LiveOrder, leaves: Quantity, why: Restatement| {
            let kind = OrderReportKind::Restated(why);
            Some(self.bare_terms(owner, &live, kind, status(&live), leaves))
        };
        match *kind {
            EventKind::Accepted { order, price, quantity, .. } => {
                let live = LiveOrder { price, ..live_of(order)? };
                Some(self.bare_terms(owner, &live, OrderReportKind::New, OrderStatus::New, quantity))
            }
            EventKind::Rejected { order, reason, .. } => {
                let kind = OrderReportKind::Rejected(reason);
                Some(self.bare_terms(owner, &live_of(order)?, kind, OrderStatus::Rejected, Quantity(0)))
            }
            EventKind::Canceled { order, reason, .. } => {
                let kind = OrderReportKind::Canceled(reason);
                Some(self.bare_terms(owner, &live_of(order)?, kind, canceled(reason), Quantity(0)))
            }
            EventKind::Reduced { order, quantity, leaves, .. } => {
                let live = live_of(order)?;
                let live = LiveOrder { quantity: less(live.quantity, quantity), ..live };
                goes_on(live, leaves, Restatement::Reduced)
            }
            EventKind::Decremented { order, quantity, leaves, .. } => {
                let live = live_of(order)?;
                let live = LiveOrder { quantity: less(live.quantity, quantity), ..live };
                goes_on(live, leaves, Restatement::Decremented)
            }
            EventKind::Restated { order, price, leaves, .. } => {
                let live = LiveOrder { order_type: OrderType::Limit, price, ..live_of(order)? };
                goes_on(live, leaves, Restatement::Priced)
            }
            EventKind::Refreshed { order, leaves, .. } => {
                goes_on(live_of(order)?, leaves, Restatement::Refreshed)
            }
            EventKind::Triggered { order, .. } => {
                let live = live_of(order)?;
                let kind = OrderReportKind::Triggered;
                Some(self.bare_terms(owner, &live, kind, status(&live), live.leaves()))
            }
            EventKind::Replaced { old, original, order, price, leaves, .. } => {
                let old = self.orders.get(original).filter(|live| live.order == old)?;
                let new = self.replacing.get(&(owner.client_ref, order))?;
                let quantity = Quantity(leaves.lots().saturating_add(old.traded.cumulative));
                let live = LiveOrder { price, quantity, traded: old.traded, ..*new };
                let kind = OrderReportKind::Replaced;
                let report = self.bare_terms(owner, &live, kind, status(&live), leaves);
                Some(OrderReport { original_id: old.client_order_id, ..report })
            }
            EventKind::ReplaceRejected { .. }
            | EventKind::CancelRejected { .. }
            | EventKind::MassCanceled { .. }
            | EventKind::Paused { .. }
            | EventKind::Traded { .. } => None,
        }
    }

    /// How one of its orders stands that has just traded.
    pub(super) fn bare_fill(&self, owner: Owner, live: &LiveOrder, fill: &Fill) -> Option<OrderReport> {
        if self.watchers.is_empty() {
            return None;
        }
        let Fill { trade, price, quantity, leaves, liquidity, .. } = *fill;
        let kind = OrderReportKind::Trade { trade, price, quantity, liquidity };
        let status = if leaves.is_zero() { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        Some(self.bare_terms(owner, live, kind, status, leaves))
    }

    fn bare_terms(
        &self,
        owner: Owner,
        live: &LiveOrder,
        kind: OrderReportKind,
        status: OrderStatus,
        leaves: Quantity,
    ) -> OrderReport {
        let live = LiveOrder { echo: codes(live), ..*live };
        report(kind, status, owner.client_ref, &live, leaves)
    }
}

/// How an order stands that goes on.
fn status(live: &LiveOrder) -> OrderStatus {
    if live.traded.cumulative > 0 { OrderStatus::PartiallyFilled } else { OrderStatus::New }
}

#[cfg(test)]
mod tests;
