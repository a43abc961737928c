//! What makes orders smaller or ends them, besides trades.

use domain::{
    CancelOrder, CancelReason, EventKind, MassCancel, Nanos, Quantity, ReduceOrder, RejectReason, TimeInForce,
};

use super::order::Order;
use super::{Doing, ReferenceBook};

impl ReferenceBook {
    pub(super) fn cancel(&mut self, cancel: &CancelOrder, doing: &mut Doing<'_>) {
        let CancelOrder { order, owner, reason } = *cancel;
        if let Some(found) = self.owned(order, owner.session, owner.client_ref) {
            self.remove(order);
            self.say_canceled(&found, reason, doing);
        } else {
            let reason = RejectReason::UnknownOrder;
            self.say(EventKind::CancelRejected { order, owner, reason }, doing);
        }
    }

    pub(super) fn reduce(&mut self, reduce: &ReduceOrder, doing: &mut Doing<'_>) {
        let ReduceOrder { order, owner, total, kind } = *reduce;
        let Some(found) = self.owned(order, owner.session, owner.client_ref) else {
            let reason = RejectReason::UnknownOrder;
            self.say(EventKind::CancelRejected { order, owner, reason }, doing);
            return;
        };
        // "It counts what has been executed; what has been executed stays executed."
        let wanted = if total.lots() > found.executed { total.lots() - found.executed } else { 0 };
        if wanted >= found.leaves {
            let reason = RejectReason::InvalidQuantity;
            self.say(EventKind::CancelRejected { order, owner, reason }, doing);
        } else if wanted == 0 {
            self.remove(order);
            self.say_canceled(&found, CancelReason::Requested, doing);
        } else {
            self.order(order).shrink_to(wanted);
            let (quantity, leaves) = (Quantity(found.leaves - wanted), Quantity(wanted));
            self.say(EventKind::Reduced { order, owner, quantity, leaves, kind }, doing);
            let rests = self.sides[found.side as usize].iter().any(|resting| resting.id == order);
            if found.is_all_or_none() && rests {
                self.try_again(order, doing);
            }
        }
    }

    /// "Earliest expiry first, at one expiry lowest order number first."
    pub(super) fn expire(&mut self, doing: &mut Doing<'_>) {
        let [bids, asks] = &self.sides;
        let orders = [bids, asks, &self.turns, &self.stops].into_iter().flatten();
        let is_due = |expires: Nanos| expires != Nanos(0) && expires <= doing.nanos;
        let mut due: Vec<_> = orders.filter(|order| is_due(order.instructions.expires)).cloned().collect();
        due.sort_by_key(|order| (order.instructions.expires, order.id.number()));
        self.cancel_all(&due, CancelReason::Expired, doing);
    }

    pub(super) fn end_of_day(&mut self, doing: &mut Doing<'_>) {
        let mut over = self.all_orders();
        over.retain(|order| order.time_in_force == TimeInForce::Day);
        self.cancel_all(&over, CancelReason::EndOfDay, doing);
    }

    pub(super) fn mass_cancel(&mut self, mass: &MassCancel, doing: &mut Doing<'_>) {
        let mut named = self.all_orders();
        named.retain(|order| {
            mass.session.is_none_or(|session| order.owner.session == session)
                && mass.account.is_none_or(|account| order.account == account)
                && mass.side.is_none_or(|side| order.side == side)
        });
        self.cancel_all(&named, CancelReason::MassCancel, doing);
        if mass.instrument.is_some() || !named.is_empty() {
            let canceled = named.len() as u32;
            self.say(EventKind::MassCanceled { owner: mass.owner, canceled }, doing);
        }
    }

    fn cancel_all(&mut self, orders: &[Order], reason: CancelReason, doing: &mut Doing<'_>) {
        for order in orders {
            self.remove(order.id);
            self.say_canceled(order, reason, doing);
        }
    }
}
