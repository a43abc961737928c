//! What is shown of a book's orders: how it comes, becomes less, and goes.

use domain::{Price, Quantity, TradeId};

use super::{Book, Order, Voice};
use crate::{change::ChangeKind, market::queue::key_of};

/// One trade of an order.
pub(super) struct Fill {
    pub(super) trade: TradeId,
    pub(super) at: Price,
    pub(super) quantity: u64,
    pub(super) leaves: u64,
    pub(super) counts: bool,
}

impl Book {
    pub(super) fn enqueue(&mut self, number: u64, order: &Order) {
        let key = key_of(order.side, order.price);
        self.sides[order.side as usize].insert(key, order.price, order.place, number, order.shown);
    }

    /// So much of an order is shown from here on, last at its price.
    pub(super) fn show(&mut self, number: u64, shown: u64, voice: &mut Voice<'_>) {
        let Some(order) = self.orders.get_mut(&number).filter(|_| shown > 0) else { return };
        self.last_place += 1;
        order.place = self.last_place;
        order.shown = shown;
        let order = *order;
        self.enqueue(number, &order);
        let Order { side, price, .. } = order;
        voice.say(ChangeKind::Added { order: voice.id(number), side, price, quantity: Quantity(shown) });
    }

    /// Nothing of an order is shown from here on.
    pub(super) fn hide(&mut self, number: u64, voice: &mut Voice<'_>) {
        let Some(order) = self.orders.get_mut(&number).filter(|order| order.shown > 0) else { return };
        let shown = core::mem::take(&mut order.shown);
        let Order { side, price, place, .. } = *order;
        self.sides[side as usize].remove(key_of(side, price), place, shown);
        voice.say(ChangeKind::Removed { order: voice.id(number), side, price, quantity: Quantity(shown) });
    }

    /// An order is gone.
    pub(super) fn remove(&mut self, number: u64, voice: &mut Voice<'_>) -> Option<Order> {
        self.hide(number, voice);
        if self.in_hand == Some(number) {
            self.in_hand = None;
        }
        let removed = self.orders.remove(&number)?;
        self.turns_waiting -= usize::from(removed.waits_for_turn);
        self.paused = self.paused.min(self.turns_waiting);
        Some(removed)
    }

    /// An order traded. Whether it was shown.
    pub(super) fn fill(&mut self, number: u64, fill: &Fill, voice: &mut Voice<'_>) -> bool {
        let Some(order) = self.orders.get_mut(&number) else { return false };
        let Fill { trade, at, quantity, leaves, counts } = *fill;
        order.leaves = leaves;
        let was_shown = order.shown > 0;
        if was_shown {
            // One that comes in and was taken to rest may trade more than it shows.
            let by = quantity.min(order.shown);
            order.shown -= by;
            let Order { side, price, shown, place, .. } = *order;
            let (queue, key) = (&mut self.sides[side as usize], key_of(side, price));
            if shown == 0 {
                queue.remove(key, place, by);
            } else {
                queue.shrink(key, by);
            }
            voice.say(ChangeKind::Executed {
                order: voice.id(number),
                side,
                price,
                quantity: Quantity(by),
                left: Quantity(shown),
                trade,
                at,
                counts,
            });
        }
        if leaves == 0 {
            self.remove(number, voice);
        }
        was_shown
    }

    /// An order became smaller. What is taken off `from_shown` was shown; anything else is taken from what is not, first.
    pub(super) fn shrink(&mut self, number: u64, leaves: u64, from_shown: u64, voice: &mut Voice<'_>) {
        let Some(order) = self.orders.get_mut(&number) else { return };
        order.leaves = leaves;
        let by = order.shown - order.shown.saturating_sub(from_shown).min(leaves);
        if by == 0 {
            return;
        }
        if by == order.shown {
            return self.hide(number, voice);
        }
        order.shown -= by;
        let Order { side, price, shown, .. } = *order;
        self.sides[side as usize].shrink(key_of(side, price), by);
        let (order, quantity, left) = (voice.id(number), Quantity(by), Quantity(shown));
        voice.say(ChangeKind::Shrunk { order, side, price, quantity, left });
    }

    /// A new order stands in an old one's place.
    pub(super) fn rename(&mut self, old: u64, new: u64, leaves: u64, voice: &mut Voice<'_>) {
        let Some(mut order) = self.orders.remove(&old) else { return };
        let before = order.shown;
        order.leaves = leaves;
        order.shown = before.min(leaves);
        self.orders.insert(new, order);
        let Order { side, price, place, shown, .. } = order;
        if before == 0 {
            return;
        }
        let (queue, key) = (&mut self.sides[side as usize], key_of(side, price));
        queue.rename(key, place, new);
        queue.shrink(key, before - shown);
        voice.say(ChangeKind::Renamed {
            old: voice.id(old),
            order: voice.id(new),
            side,
            price,
            before: Quantity(before),
            quantity: Quantity(shown),
        });
    }
}
