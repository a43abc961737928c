//! One side of a book: its levels by price, in key space.
//!
//! **Key space.** A bid's key is its price, an ask's key is `!price` (bitwise not, which turns the order round).
//! So on both sides the larger key is the better price, and one code path serves both. A price limit in the
//! other side's key space is `!key`. Prices leave both extremes of an `i64` out, and so do keys: `i64::MIN` is
//! the best key of an empty side, which nothing crosses.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use domain::{Price, Side};

use super::level::Level;
use super::slab::{Cell, NIL, Slab};

/// The best key of an empty side.
pub(super) const EMPTY: i64 = i64::MIN;

/// The limit of an order that takes any price: every key crosses it, an empty side does not.
pub(super) const ANY: i64 = i64::MIN + 1;

/// All ones for asks, all zeros for bids.
#[inline]
const fn mask(side: Side) -> i64 {
    -(side as i64)
}

/// A price in the key space of a side.
#[inline]
pub(super) const fn key_of(side: Side, price: Price) -> i64 {
    price.ticks() ^ mask(side)
}

/// The price of a key.
#[inline]
pub(super) fn price_of(side: Side, key: i64) -> Price {
    Price::new(key ^ mask(side)).expect("keys are made from prices, which leave the extremes out")
}

/// One side of a book.
#[derive(Debug)]
pub(super) struct BookSide {
    levels: BTreeMap<i64, Level>,
    /// The largest key of `levels`, [`EMPTY`] when there is none.
    best: i64,
    /// Sum of the levels' quantities. An order that would take it past a `u64` is refused.
    open: u64,
    /// Sum of the levels' counts.
    count: u32,
}

impl BookSide {
    /// An empty side; allocates nothing.
    pub(super) const fn new() -> Self {
        Self { levels: BTreeMap::new(), best: EMPTY, open: 0, count: 0 }
    }

    /// The best key, [`EMPTY`] when there is none.
    #[inline]
    pub(super) const fn best(&self) -> i64 {
        self.best
    }

    /// Sum of what is open.
    pub(super) const fn open(&self) -> u64 {
        self.open
    }

    /// Orders that rest.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// The levels, best first.
    pub(super) fn levels(&self) -> impl Iterator<Item = (i64, &Level)> {
        self.levels.iter().rev().map(|(key, level)| (*key, level))
    }

    /// The level of a key.
    pub(super) fn level(&self, key: i64) -> Option<&Level> {
        self.levels.get(&key)
    }

    /// Appends an order at its key. The caller has made sure that the side has room for its leaves.
    #[inline]
    pub(super) fn push(&mut self, slab: &mut Slab, cell: u32) {
        let order = &slab[cell];
        let (key, leaves) = (order.key, order.leaves);
        self.open = self.open.checked_add(leaves).expect("room on the side is checked on entry");
        self.count += 1;
        self.best = self.best.max(key);
        self.levels.entry(key).or_insert(Level::EMPTY).push(slab, cell);
    }

    /// Takes an order out of its queue. Its cell stays as it is.
    #[inline]
    pub(super) fn unlink(&mut self, slab: &mut Slab, cell: u32) {
        let order = &slab[cell];
        let (key, leaves) = (order.key, order.leaves);
        self.open -= leaves;
        self.count -= 1;
        let Entry::Occupied(mut entry) = self.levels.entry(key) else {
            unreachable!("a resting order has a level")
        };
        entry.get_mut().unlink(slab, cell);
        if entry.get().count == 0 {
            entry.remove();
            if key == self.best {
                self.find_best();
            }
        }
    }

    /// Takes `by` off an order that keeps its place. `by` is less than its leaves.
    #[inline]
    pub(super) fn reduce(&mut self, slab: &mut Slab, cell: u32, by: u64) {
        let order = &mut slab[cell];
        debug_assert!(by < order.leaves, "a resting order keeps something open");
        order.leaves -= by;
        self.open -= by;
        self.levels.get_mut(&order.key).expect("a resting order has a level").quantity -= by;
    }

    /// Whether `wanted` can be had at `limit` or better. Walks the levels' sums from the best.
    pub(super) fn can_fill(&self, limit: i64, wanted: u64) -> bool {
        if wanted > self.open {
            return false;
        }
        // The sum cannot overflow: it never passes `open`.
        let mut found = 0;
        for (key, level) in self.levels() {
            if found >= wanted || key < limit {
                break;
            }
            found += level.quantity;
        }
        found >= wanted
    }

    /// Fills orders of the best level, oldest first, until `wanted` is had or the level is gone. For each fill
    /// calls `filled` with the order as the fill leaves it and how much it gave; then frees the cell of an order
    /// that has nothing left. The side must not be empty.
    #[inline]
    pub(super) fn take_best(&mut self, slab: &mut Slab, wanted: u64, mut filled: impl FnMut(&Cell, u64)) {
        let mut entry = self.levels.last_entry().expect("the caller has seen a best price");
        let level = entry.get_mut();
        let mut missing = wanted;
        while missing > 0 && level.head != NIL {
            let cell = level.head;
            let order = &mut slab[cell];
            let quantity = missing.min(order.leaves);
            order.leaves -= quantity;
            // Cannot overflow: leaves + executed, which fits, stays the same.
            order.executed += quantity;
            missing -= quantity;
            level.quantity -= quantity;
            let (gone, next) = (order.leaves == 0, order.next);
            filled(order, quantity);
            if gone {
                slab.remove(cell);
                level.head = next;
                level.count -= 1;
                self.count -= 1;
            }
        }
        if level.head == NIL {
            entry.remove();
            self.find_best();
        } else {
            slab[level.head].prev = NIL;
        }
        self.open -= wanted - missing;
    }

    /// Takes out every order that `gone` names, best level first, each level oldest first. `gone` sees the order
    /// as it rests; afterwards its cell is free.
    pub(super) fn remove_where(&mut self, slab: &mut Slab, mut gone: impl FnMut(&Cell) -> bool) {
        let mut emptied = false;
        for level in self.levels.values_mut().rev() {
            let mut cell = level.head;
            while cell != NIL {
                let next = slab[cell].next;
                if gone(&slab[cell]) {
                    self.open -= slab[cell].leaves;
                    self.count -= 1;
                    level.unlink(slab, cell);
                    slab.remove(cell);
                }
                cell = next;
            }
            emptied |= level.count == 0;
        }
        if emptied {
            self.levels.retain(|_, level| level.count > 0);
            self.find_best();
        }
    }

    #[inline]
    fn find_best(&mut self) {
        self.best = self.levels.last_key_value().map_or(EMPTY, |(key, _)| *key);
    }
}
