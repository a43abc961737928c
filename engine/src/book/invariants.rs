//! What must hold in a book between commands. Tests check it after every command, debug builds now and then.

use domain::Side;

use super::Book;
use super::side::EMPTY;
use super::slab::NIL;

/// A debug build checks a book with at most this many orders after every command ...
const SMALL: u32 = 64;
/// ... and a larger one each time that so many commands have passed, for a check walks every order.
const EVERY: u64 = 256;

impl Book {
    /// Checks everything that must hold between commands, in time proportional to the orders that rest:
    ///
    /// 1. bids are below asks;
    /// 2. no level is empty; its sum and count are those of its orders; its links mirror each other; within it
    ///    orders stand in the order of the commands that queued them;
    /// 3. a side's best, sum and count are those of its levels;
    /// 4. a resting order has something open, and `leaves + executed` fits in 64 bits;
    /// 5. every resting order is found by its number, and no other number finds one;
    /// 6. every cell is either in one level or once on the free list.
    ///
    /// # Panics
    /// When one of these does not hold.
    pub fn check_invariants(&self) {
        let [bids, asks] = &self.sides;
        // The best ask in the bids' key space is !best.
        assert!(
            bids.best() == EMPTY || asks.best() == EMPTY || bids.best() < !asks.best(),
            "the book is crossed: {:?} {:?}",
            self.best(Side::Buy),
            self.best(Side::Sell)
        );
        for side in [Side::Buy, Side::Sell] {
            self.check_side(side);
        }
        self.slab.check();
        assert_eq!(bids.count() + asks.count(), self.slab.live(), "a cell is in use but in no level");
        assert_eq!(self.orders.live(), self.slab.live(), "a number finds an order that does not rest");
        assert_eq!(self.last_trade.map_or(0, |last| last.trade.number()), self.counters.trades);
    }

    fn check_side(&self, side: Side) {
        let book_side = &self.sides[side as usize];
        let (mut open, mut count) = (0u64, 0u32);
        assert_eq!(
            book_side.best(),
            book_side.levels().next().map_or(EMPTY, |(key, _)| key),
            "best is stale"
        );
        for (key, level) in book_side.levels() {
            assert!(level.count > 0, "level {key} is empty");
            let (mut quantity, mut length) = (0u64, 0u32);
            let (mut prev, mut cell) = (NIL, level.head);
            let mut queued_by = None;
            while cell != NIL {
                let order = &self.slab[cell];
                assert_eq!((order.key, order.side, order.prev), (key, side, prev), "{:?}", order.order);
                assert!(order.leaves > 0, "{:?} rests with nothing open", order.order);
                assert!(order.leaves.checked_add(order.executed).is_some(), "{:?}", order.order);
                assert!(order.time_in_force.rests(), "{:?}", order.order);
                assert_eq!(
                    self.orders.find(order.order.number()),
                    Some(cell),
                    "{:?} is not found",
                    order.order
                );
                assert!(queued_by < Some(order.queued_by), "{:?} is out of its turn", order.order);
                queued_by = Some(order.queued_by);
                quantity = quantity.checked_add(order.leaves).expect("a level's sum fits");
                length += 1;
                (prev, cell) = (cell, order.next);
            }
            assert_eq!((quantity, length, prev), (level.quantity, level.count, level.tail), "level {key}");
            open = open.checked_add(quantity).expect("a side's sum fits");
            count += length;
        }
        assert_eq!((open, count), (book_side.open(), book_side.count()), "{side:?}");
    }

    /// The check that debug builds make after a command.
    pub(super) fn check_now_and_then(&self) {
        if self.slab.live() <= SMALL || self.counters.commands.is_multiple_of(EVERY) {
            self.check_invariants();
        }
    }
}
