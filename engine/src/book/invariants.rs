//! What must hold in a book between commands. Debug builds check it after every command in small books, and now and
//! then in large ones.

use domain::Side;

use super::Book;
use super::side::{EMPTY, key_of, price_of};

/// A debug build checks a book with at most this many orders after every command ...
const SMALL: u32 = 64;
/// ... and a larger one each time that so many commands have passed, for a check walks every order.
const EVERY: u64 = 256;

impl Book {
    /// Checks everything that must hold between commands, in time proportional to the orders that rest and to the
    /// windows:
    ///
    /// 1. displayed and hidden bids are below displayed and hidden asks;
    /// 2. no level is empty; its sum and count are those of its orders; its links mirror each other; within it
    ///    orders stand in the order of the commands that queued them;
    /// 3. a side's best keys, sum and counts are those of its orders; the bits of its window say what its index says,
    ///    and no far level is in it;
    /// 4. an order has something open, and `leaves + executed` fits in 64 bits;
    /// 5. every order is found by its number, and no other number finds one;
    /// 6. every cell is a level, an order, or once on the free list;
    /// 7. every special order stands in one place, which its record names; triggers, turns and expiries are where
    ///    the book looks for them.
    ///
    /// # Panics
    /// When one of these does not hold.
    pub fn check_invariants(&self) {
        let elsewhere = self.check_special();
        let mut cells = 1; // cell 0 is nobody's
        let mut specials = 0;
        for side in [Side::Buy, Side::Sell] {
            let (levels, in_levels, special_in_levels) = self.check_side(side);
            let unlevelled = elsewhere[side as usize];
            assert_eq!(
                in_levels as usize + unlevelled,
                self.sides[side as usize].count() as usize,
                "{side:?}"
            );
            cells += levels + in_levels + unlevelled as u32;
            specials += special_in_levels as usize + unlevelled;
        }
        let free = self.cells.check();
        assert!(
            self.cells.made() == 0 || cells + free == self.cells.made(),
            "a cell is neither used nor free"
        );
        assert_eq!(specials, self.special_count(), "a record is neither used nor free");
        let [bids, asks] = &self.sides;
        assert_eq!(
            bids.count() + asks.count(),
            self.numbers.live(),
            "a number finds an order that is not there"
        );
        let [bid, ask] = [Side::Buy, Side::Sell].map(|side| self.best_uncrossable(side));
        // The best ask in the bids' key space is !best.
        assert!(bid == EMPTY || ask == EMPTY || bid < !ask, "the book is crossed: {bid} {}", !ask);
    }

    /// The best key of displayed and hidden orders.
    pub(super) fn best_uncrossable(&self, side: Side) -> i64 {
        let special = self.special.as_ref();
        let hidden = special.and_then(|special| special.hidden(side).next()).map_or(EMPTY, |(key, _)| key);
        self.sides[side as usize].best_level().max(hidden)
    }

    /// Checks a side; gives its levels, their orders, and those of them that are special.
    fn check_side(&self, side: Side) -> (u32, u32, u32) {
        let book_side = &self.sides[side as usize];
        book_side.check(self.special.as_ref().map_or(EMPTY, |special| special.unseen(side)));
        let (mut levels, mut orders, mut specials) = (0, 0, 0);
        let mut last_key = None;
        for (key, level) in book_side.levels() {
            assert!(last_key.is_none_or(|last| key < last), "levels are out of order at key {key}");
            last_key = Some(key);
            levels += 1;
            let queue = &self.cells[level];
            assert_eq!((queue.key(), queue.level, book_side.level(key)), (key, level, level));
            let (mut sum, mut length) = (0u64, 0u32);
            let (mut prev, mut cell) = (level, queue.next);
            let mut queued_by = 0;
            while cell != level {
                let order = &self.cells[cell];
                assert_eq!((order.side(), order.level, order.prev), (side, level, prev), "cell {cell}");
                assert!(order.open > 0, "cell {cell} rests with nothing open");
                assert!(self.open_of(cell).checked_add(order.executed).is_some(), "cell {cell}");
                assert!(order.time_in_force().rests(), "cell {cell}");
                assert_eq!(self.numbers.find(order.number()), Some(cell), "cell {cell} is not found");
                assert!(queued_by <= order.queued_by, "cell {cell} is out of its turn");
                if order.is_special() {
                    self.check_special_in_level(cell, key);
                    specials += 1;
                }
                queued_by = order.queued_by;
                sum = sum.checked_add(order.open).expect("a level's sum fits");
                length += 1;
                (prev, cell) = (cell, order.next);
            }
            assert!(length > 0, "level {key} is empty");
            assert_eq!((sum, length, prev), (queue.open, queue.tally, queue.prev), "level {key}");
            orders += length;
        }
        let (mut open, mut veiled) = (0u128, 0);
        let mut see = |cell: u32| {
            let order = &self.cells[cell];
            if order.side() == side {
                open += u128::from(self.open_of(cell));
                veiled += u32::from(order.is_special() && self.is_veiled(cell));
                assert_eq!(
                    self.resting_key(cell).map_or(0, |key| key_of(side, price_of(side, key)) - key),
                    0
                );
            }
        };
        self.each_resting(side, &mut see);
        self.each_waiting(&mut see);
        assert_eq!((open, veiled), (u128::from(book_side.open()), book_side.veiled()), "{side:?}");
        (levels, orders, specials)
    }

    /// The check that debug builds make after a command.
    pub(super) fn check_now_and_then(&self) {
        if self.numbers.live() <= SMALL || self.counters.commands.is_multiple_of(EVERY) {
            self.check_invariants();
        }
    }
}
