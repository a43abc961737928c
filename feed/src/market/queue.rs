//! The orders of one side that are shown: queues and levels.

use std::collections::BTreeMap;

use domain::{OrderId, Price, Quantity, Side};

/// An order that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The order.
    pub order: OrderId,
    /// Its price.
    pub price: Price,
    /// Lots shown.
    pub quantity: Quantity,
}

/// What is shown at a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The price.
    pub price: Price,
    /// Lots shown. A side's open lots fit in 64 bits.
    pub quantity: Quantity,
    /// In how many orders.
    pub orders: u32,
}

/// Rises from the best price to the worst.
pub(super) const fn key_of(side: Side, price: Price) -> i64 {
    match side {
        // No price is `i64::MIN`.
        Side::Buy => -price.ticks(),
        Side::Sell => price.ticks(),
    }
}

/// One side.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By price and place: the order's number.
    orders: BTreeMap<(i64, u64), u64>,
    levels: BTreeMap<i64, Level>,
}

impl Queue {
    pub(super) fn insert(&mut self, key: i64, price: Price, place: u64, number: u64, quantity: u64) {
        self.orders.insert((key, place), number);
        let level = self.levels.entry(key).or_insert(Level { price, quantity: Quantity::ZERO, orders: 0 });
        level.quantity.0 += quantity;
        level.orders += 1;
    }

    pub(super) fn remove(&mut self, key: i64, place: u64, quantity: u64) {
        self.orders.remove(&(key, place));
        if let Some(level) = self.levels.get_mut(&key) {
            level.quantity.0 -= quantity;
            level.orders -= 1;
            if level.orders == 0 {
                self.levels.remove(&key);
            }
        }
    }

    /// An order shows so much less; it still shows something.
    pub(super) fn shrink(&mut self, key: i64, by: u64) {
        if let Some(level) = self.levels.get_mut(&key) {
            level.quantity.0 -= by;
        }
    }

    pub(super) fn rename(&mut self, key: i64, place: u64, number: u64) {
        self.orders.insert((key, place), number);
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.orders.values().copied()
    }

    pub(super) fn levels(&self) -> impl Iterator<Item = Level> {
        self.levels.values().copied()
    }

    pub(super) fn level(&self, key: i64) -> Option<Level> {
        self.levels.get(&key).copied()
    }
}
