//! From an order's number to its cell, without hashing.
//!
//! Numbers are given in sequence, so live ones lie close together: the last `W` of them have a slot each, at
//! `number mod W`, in a table that the newest number wraps round.
//!
//! ```text
//!            last - W                                last
//! numbers  ------|-----------------------------------|------>
//!           far: number -> cell       near: slots[number mod W]
//! ```
//!
//! When a new number needs the slot of an order that still lives, the table doubles, as long as it has fewer than 16
//! slots for each order that rests; otherwise the old order moves to an ordered map. So an order that rests for a
//! year costs an entry there, and not the window from there to here. Memory: at most some 128 bytes for each order
//! that ever rested at once.

use std::collections::BTreeMap;

use super::cells::NIL;

/// The first table.
const FIRST: usize = 64;
/// The table doubles while it has fewer slots than this for each live order.
const SLOTS_PER_ORDER: usize = 16;

/// The cells of a book's orders, by number.
#[derive(Debug)]
#[repr(C)] // what is used at every command comes first
pub(super) struct Numbers {
    /// The last number given; 0 before the first.
    last: u64,
    /// The cell of each of the last numbers, `NIL` where the order has none. Empty, or a power of two long.
    near: Box<[u32]>,
    /// Orders that have a cell.
    live: u32,
    /// Orders whose number has left the window.
    far: BTreeMap<u64, u32>,
}

impl Numbers {
    /// No orders; allocates nothing.
    pub(super) fn new() -> Self {
        Self { last: 0, near: Box::default(), live: 0, far: BTreeMap::new() }
    }

    /// The last number given; 0 before the first.
    #[inline]
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// Orders that have a cell.
    pub(super) const fn live(&self) -> u32 {
        self.live
    }

    /// Counts the next order and makes its slot free.
    ///
    /// # Panics
    /// When `number` is not the next: a command was lost, repeated or reordered on its way here, and every id
    /// from here on would name the wrong order.
    #[inline(always)]
    pub(super) fn count(&mut self, number: u64) {
        // Numbers have 44 bits, so this does not wrap.
        assert!(
            number == self.last.wrapping_add(1),
            "order number {number} after {}: the book's commands are not in sequence",
            self.last
        );
        self.last = number;
        let slot = number as usize & self.near.len().wrapping_sub(1);
        // Also taken when there is no table yet: then the slot is past its end.
        if self.near.get(slot).is_none_or(|&cell| cell != NIL) {
            self.make_room();
        }
    }

    /// The cell of an order.
    #[inline(always)]
    pub(super) fn find(&self, number: u64) -> Option<u32> {
        // Wraps for numbers that have not been given, which puts them past the window.
        let age = self.last.wrapping_sub(number);
        if age < self.near.len() as u64 {
            let cell = self.near[number as usize & (self.near.len() - 1)];
            return (cell != NIL).then_some(cell);
        }
        self.find_far(number)
    }

    /// Where [`find`](Self::find) looks first, or some address: for a prefetch.
    #[inline(always)]
    pub(super) fn address(&self, number: u64) -> *const u32 {
        self.near.as_ptr().wrapping_add(number as usize & self.near.len().wrapping_sub(1))
    }

    /// The cell that a near number has, `NIL` for any other: for a prefetch, which may be wrong.
    #[inline(always)]
    pub(super) fn guess(&self, number: u64) -> u32 {
        self.near.get(number as usize & self.near.len().wrapping_sub(1)).copied().unwrap_or(NIL)
    }

    /// An order that has been counted has a cell from now on.
    #[inline(always)]
    pub(super) fn insert(&mut self, number: u64, cell: u32) {
        self.live = self.live.wrapping_add(1);
        let age = self.last.wrapping_sub(number);
        if age < self.near.len() as u64 {
            let slot = &mut self.near[number as usize & (self.near.len() - 1)];
            debug_assert_eq!(*slot, NIL, "two orders of one number");
            *slot = cell;
        } else {
            self.insert_far(number, cell);
        }
    }

    /// The order counted last has a cell from now on.
    #[inline(always)]
    pub(super) fn insert_last(&mut self, cell: u32) {
        // A cell each, of which there are fewer than 2^32.
        self.live = self.live.wrapping_add(1);
        // There is a table, and this slot was made free, when it was counted.
        let slot = self.last as usize & self.near.len().wrapping_sub(1);
        self.near[slot] = cell;
    }

    /// An order that had a cell has none any more.
    #[inline(always)]
    pub(super) fn remove(&mut self, number: u64) {
        self.live = self.live.wrapping_sub(1);
        let age = self.last.wrapping_sub(number);
        if age < self.near.len() as u64 {
            let slot = &mut self.near[number as usize & (self.near.len() - 1)];
            debug_assert_ne!(*slot, NIL, "an order in the book has a cell");
            *slot = NIL;
        } else {
            self.remove_far(number);
        }
    }

    /// Makes an empty table large enough for so many orders at once, in memory that the system has really provided.
    pub(super) fn reserve(&mut self, orders: usize) {
        if self.last == 0 && orders > 0 {
            let slots = orders.saturating_mul(SLOTS_PER_ORDER).next_power_of_two().max(FIRST);
            // Not zeros at once, which the system would promise and provide later, one page after another.
            self.near = vec![!NIL; slots].into();
            self.near.fill(NIL);
        }
    }

    /// Continues after `last`: an empty table takes that many numbers as given, and expects so many orders.
    pub(super) fn start_after(&mut self, last: u64, orders: usize) {
        debug_assert!(self.live == 0 && self.last == 0, "only an empty table starts anywhere");
        self.last = last;
        if orders > 0 {
            let slots = orders.saturating_mul(SLOTS_PER_ORDER / 2).next_power_of_two().max(FIRST);
            self.near = vec![NIL; slots].into();
        }
    }

    #[cold]
    fn find_far(&self, number: u64) -> Option<u32> {
        self.far.get(&number).copied()
    }

    #[cold]
    fn insert_far(&mut self, number: u64, cell: u32) {
        let before = self.far.insert(number, cell);
        debug_assert_eq!(before, None, "two orders of one number");
    }

    #[cold]
    fn remove_far(&mut self, number: u64) {
        let cell = self.far.remove(&number);
        debug_assert!(cell.is_some(), "an order in the book has a cell");
    }

    /// The slot of the last number is taken by an older order: doubles the table or moves that order to the map.
    #[cold]
    fn make_room(&mut self) {
        let slots = self.near.len();
        if slots == 0 {
            self.near = vec![NIL; FIRST].into();
            return;
        }
        if slots < (self.live as usize).saturating_mul(SLOTS_PER_ORDER) {
            self.double();
            return;
        }
        let slot = self.last as usize & (slots - 1);
        let cell = core::mem::replace(&mut self.near[slot], NIL);
        self.insert_far(self.last - slots as u64, cell);
    }

    fn double(&mut self) {
        let (old, new) = (self.near.len(), self.near.len() * 2);
        let mut near = vec![NIL; new];
        // The old window ended one before `last`: its oldest number is the one in the way now.
        for age in 1..=old as u64 {
            let Some(number) = self.last.checked_sub(age) else { break };
            near[number as usize & (new - 1)] = self.near[number as usize & (old - 1)];
        }
        self.near = near.into();
        let first = (self.last + 1).saturating_sub(new as u64);
        for (number, cell) in self.far.split_off(&first) {
            self.near[number as usize & (new - 1)] = cell;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256StarStar;

    use super::*;

    impl Numbers {
        /// Counts every number up to `number`, which gets a cell.
        fn rest(&mut self, number: u64, cell: u32) {
            while self.last < number {
                self.count(self.last + 1);
            }
            self.insert(number, cell);
        }

        fn far_len(&self) -> usize {
            self.far.len()
        }
    }

    #[test]
    fn numbers_without_a_cell_are_not_found() {
        let mut table = Numbers::new();
        assert_eq!(table.find(0), None);
        assert_eq!(table.find(u64::MAX), None);
        table.rest(1, 7);
        assert_eq!(table.find(1), Some(7));
        assert_eq!((table.find(0), table.find(2), table.find((1 << 44) - 1)), (None, None, None));
        table.remove(1);
        assert_eq!((table.find(1), table.live()), (None, 0));
    }

    #[test]
    #[should_panic(expected = "not in sequence")]
    fn a_gap_in_the_numbers_is_a_programmers_error() {
        Numbers::new().count(2);
    }

    #[test]
    fn a_few_old_orders_do_not_widen_the_window() {
        let mut table = Numbers::new();
        for number in 1..=8 {
            table.rest(number, number as u32 + 100);
        }
        table.rest(100_000, 9);
        assert!(table.near.len() <= 9 * SLOTS_PER_ORDER * 2, "{} slots for 9 orders", table.near.len());
        assert_eq!(table.far_len(), 8);
        for number in 1..=8 {
            assert_eq!(table.find(number), Some(number as u32 + 100));
            table.remove(number);
            assert_eq!(table.find(number), None);
        }
        assert_eq!((table.far_len(), table.live()), (0, 1));
    }

    #[test]
    fn an_old_number_may_get_a_cell_again() {
        let mut table = Numbers::new();
        table.rest(3, 30);
        table.rest(10_000, 40);
        table.remove(3);
        table.insert(3, 31);
        assert_eq!((table.find(3), table.find(10_000)), (Some(31), Some(40)));
    }

    #[test]
    fn a_table_may_start_anywhere() {
        let mut table = Numbers::new();
        table.start_after(1_000_000, 3);
        for number in [5, 999_990, 1_000_000] {
            table.insert(number, number as u32);
        }
        table.rest(1_000_001, 1);
        for number in [5, 999_990, 1_000_000] {
            assert_eq!(table.find(number), Some(number as u32));
        }
        for number in 1_000_002..1_001_000 {
            table.rest(number, number as u32);
        }
        assert!([5, 999_990, 1_000_000, 1_000_500].iter().all(|&n| table.find(n) == Some(n as u32)));
    }

    #[test]
    fn a_reserved_table_does_not_grow() {
        let mut table = Numbers::new();
        table.reserve(100);
        let slots = table.near.len();
        let last = slots as u64;
        for number in 1..=last {
            table.rest(number, 1);
        }
        assert_eq!((table.near.len(), table.far_len()), (slots, 0));
        assert_eq!((table.find(1), table.find(last), table.find(last + 1)), (Some(1), Some(1), None));
    }

    /// Against an ordered map: bursts of numbers, a part of which rests, for short and for long.
    #[test]
    fn the_table_agrees_with_a_map() {
        let seed = seeded::seed();
        let mut rng = Xoshiro256StarStar::seed_from_u64(seed);
        let (mut table, mut map) = (Numbers::new(), BTreeMap::new());
        let mut known: Vec<u64> = Vec::new();
        let steps = if cfg!(miri) { 1_000 } else { 40_000u32 };
        let mut most = 0;
        for step in 1..=steps {
            for _ in 0..rng.random_range(0..if step % 100 == 0 { 2_000 } else { 4 }) {
                table.count(table.last + 1);
            }
            let number = table.last + 1;
            table.rest(number, step);
            map.insert(number, step);
            known.push(number);
            most = most.max(known.len());
            while known.len() > 500 || (known.len() > 3 && rng.random_range(0..5_000) == 0) {
                let keep = if rng.random_range(0..20) == 0 { 3 } else { 400 };
                while known.len() > keep {
                    let gone = known.swap_remove(rng.random_range(0..known.len()));
                    table.remove(gone);
                    map.remove(&gone);
                    assert_eq!(table.find(gone), None, "SEED={seed}");
                }
            }
            let probe = rng.random_range(0..=table.last + 1);
            assert_eq!(table.find(probe), map.get(&probe).copied(), "SEED={seed}");
            if step % 64 == 0 {
                assert!(map.iter().all(|(&number, &cell)| table.find(number) == Some(cell)), "SEED={seed}");
                assert!(table.near.len() <= FIRST.max(most * SLOTS_PER_ORDER * 2), "SEED={seed}");
                assert_eq!(table.live() as usize, map.len(), "SEED={seed}");
            }
        }
    }
}
