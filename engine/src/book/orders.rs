//! From an order's number to its cell, without hashing.
//!
//! Numbers are given in sequence, so live ones lie close together: they are found through pages of 256 cells
//! each. A page exists only while one of its orders rests.
//!
//! ```text
//! far: page number -> page      near: [ page | none | page | ... | page ]      last
//!      (old, long-lived orders)       window of at most 1,024 page slots
//! ```
//!
//! The near window slides with the newest resting order. A page that it leaves behind with live orders moves to
//! an ordered map, so one order that rests for a year costs one page and not the window from there to here.
//! Memory: at most 1,032 bytes for each live order in the worst case, some 4 bytes in the usual one, and 8 KiB
//! of slots.

use std::collections::{BTreeMap, VecDeque};

use super::slab::NIL;

/// Orders in a page.
const PAGE: u64 = 256;

/// Page slots in the near window: 262,144 order numbers.
const NEAR_PAGES: u64 = 1024;

/// 256 numbers' cells.
#[derive(Debug)]
struct Page {
    /// Cells that are not `NIL`; a page in the table has at least one.
    live: u32,
    /// The cell of each number, `NIL` when that order does not rest.
    cells: [u32; PAGE as usize],
}

/// The cells of a book's resting orders, by number.
#[derive(Debug)]
pub(super) struct OrderTable {
    /// The last number given; 0 before the first.
    last: u64,
    /// The page number of the first near slot. Far pages are all below it.
    first: u64,
    near: VecDeque<Option<Box<Page>>>,
    far: BTreeMap<u64, Box<Page>>,
    /// A page with no live cell, kept so that a book with few orders does not allocate for each.
    spare: Option<Box<Page>>,
    /// Numbers that have a cell.
    live: u32,
}

impl OrderTable {
    /// No orders; allocates nothing.
    pub(super) const fn new() -> Self {
        Self { last: 0, first: 0, near: VecDeque::new(), far: BTreeMap::new(), spare: None, live: 0 }
    }

    /// The last number given; 0 before the first.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// Counts the next order.
    ///
    /// # Panics
    /// When `number` is not the next: a command was lost, repeated or reordered on its way here, and every id
    /// from here on would name the wrong order.
    #[inline]
    pub(super) fn count(&mut self, number: u64) {
        assert!(
            number == self.last + 1,
            "order number {number} after {}: the book's commands are not in sequence",
            self.last
        );
        self.last = number;
    }

    /// The cell of an order that rests.
    #[inline]
    pub(super) fn find(&self, number: u64) -> Option<u32> {
        let page = number / PAGE;
        let page = match page.checked_sub(self.first) {
            Some(slot) => self.near.get(usize::try_from(slot).ok()?)?.as_deref()?,
            None => self.far.get(&page)?,
        };
        let cell = page.cells[(number % PAGE) as usize];
        (cell != NIL).then_some(cell)
    }

    /// The order counted last rests in a cell now.
    #[inline]
    pub(super) fn insert(&mut self, number: u64, cell: u32) {
        debug_assert_eq!(number, self.last, "an order comes to rest by the command that gave its number");
        let slot = self.near_slot(number / PAGE);
        if self.near[slot].is_none() {
            let fresh = || Box::new(Page { live: 0, cells: [NIL; PAGE as usize] });
            self.near[slot] = Some(self.spare.take().unwrap_or_else(fresh));
        }
        let page = self.near[slot].as_mut().expect("just filled");
        page.live += 1;
        page.cells[(number % PAGE) as usize] = cell;
        self.live += 1;
    }

    /// An order that rested does so no more.
    #[inline]
    pub(super) fn remove(&mut self, number: u64) {
        let at = number / PAGE;
        let near = at.checked_sub(self.first).map(|slot| slot as usize);
        let page = match near {
            Some(slot) => self.near[slot].as_mut(),
            None => self.far.get_mut(&at),
        };
        let page = page.expect("a resting order has a page");
        let cell = &mut page.cells[(number % PAGE) as usize];
        debug_assert_ne!(*cell, NIL, "a resting order has a cell");
        *cell = NIL;
        page.live -= 1;
        self.live -= 1;
        if page.live == 0 {
            self.spare = match near {
                Some(slot) => self.near[slot].take(),
                None => self.far.remove(&at),
            };
            while let Some(None) = self.near.front() {
                self.near.pop_front();
                self.first += 1;
            }
        }
    }

    /// Fills an empty table: `last` is the last number given, `numbers` are those that rest with their cells, rising
    /// and none above `last`.
    pub(super) fn fill(&mut self, last: u64, numbers: &[(u64, u32)]) {
        for (number, cell) in numbers {
            // As if each were the newest, so that the window slides past the old ones as it did once.
            self.last = *number;
            self.insert(*number, *cell);
        }
        self.last = last;
    }

    /// Orders that rest.
    pub(super) const fn live(&self) -> u32 {
        self.live
    }

    /// The near slot of the last number's page; slides the window there when the page is past its end. Numbers
    /// only grow, so that page is never before the window.
    fn near_slot(&mut self, page: u64) -> usize {
        if self.near.is_empty() {
            self.first = page;
        }
        while page - self.first >= NEAR_PAGES {
            match self.near.pop_front() {
                Some(left_behind) => {
                    if let Some(left_behind) = left_behind {
                        self.far.insert(self.first, left_behind);
                    }
                    self.first += 1;
                }
                None => self.first = page,
            }
        }
        let slot = (page - self.first) as usize;
        while self.near.len() <= slot {
            self.near.push_back(None);
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::env;

    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256StarStar;

    use super::*;

    /// Inserts `number` into a table that has given every number up to it.
    fn rest(table: &mut OrderTable, number: u64, cell: u32) {
        table.last = number;
        table.insert(number, cell);
    }

    #[test]
    fn numbers_without_a_cell_are_not_found() {
        let mut table = OrderTable::new();
        assert_eq!(table.find(0), None);
        assert_eq!(table.find(u64::MAX), None);
        rest(&mut table, 1, 7);
        assert_eq!(table.find(1), Some(7));
        assert_eq!(table.find(2), None);
        assert_eq!(table.find((1 << 44) - 1), None);
        table.remove(1);
        assert_eq!(table.find(1), None);
    }

    #[test]
    #[should_panic(expected = "not in sequence")]
    fn a_gap_in_the_numbers_is_a_programmers_error() {
        OrderTable::new().count(2);
    }

    #[test]
    fn pages_go_when_their_orders_have_gone() {
        let mut table = OrderTable::new();
        for number in 1..=10 * PAGE {
            rest(&mut table, number, number as u32);
        }
        for number in 1..=10 * PAGE {
            assert_eq!(table.find(number), Some(number as u32));
            table.remove(number);
        }
        assert_eq!((table.live(), table.near.len(), table.far.len()), (0, 0, 0));
    }

    #[test]
    fn an_old_order_costs_one_page_and_is_still_found() {
        let mut table = OrderTable::new();
        rest(&mut table, 5, 50);
        rest(&mut table, 300, 51);
        for number in 1..10_000 {
            let number = 1_000 + number * PAGE;
            rest(&mut table, number, 52);
            if !number.is_multiple_of(512) {
                table.remove(number);
            }
        }
        let much_later = 1 << 43;
        rest(&mut table, much_later, 53);
        assert_eq!((table.near.len(), table.live()), (1, 3));
        assert_eq!(table.far.len(), 2, "only pages with live orders are kept");
        assert_eq!((table.find(5), table.find(300), table.find(much_later)), (Some(50), Some(51), Some(53)));
        table.remove(5);
        table.remove(300);
        assert_eq!((table.find(5), table.find(300), table.far.len()), (None, None, 0));
        table.remove(much_later);
        assert_eq!(table.near.len(), 0);
    }

    /// Against an ordered map, with leaps of every size between numbers.
    #[test]
    fn the_table_agrees_with_a_map() {
        let seed = env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
        println!("SEED={seed}");
        let mut rng = Xoshiro256StarStar::seed_from_u64(seed);
        let (mut table, mut map) = (OrderTable::new(), BTreeMap::new());
        let mut known: Vec<u64> = Vec::new();
        for step in 0..40_000u32 {
            let leap = 1u64 << rng.random_range(0..if step % 100 == 0 { 26 } else { 6 });
            let number = table.last + rng.random_range(1..=leap);
            rest(&mut table, number, step);
            map.insert(number, step);
            known.push(number);
            // Now and then all go but a few, so that the window empties and moves.
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
                let pages = table.near.iter().flatten().count() + table.far.len();
                assert!(pages <= map.len() && table.near.len() <= NEAR_PAGES as usize, "SEED={seed}");
                assert_eq!(table.live() as usize, map.len(), "SEED={seed}");
            }
        }
    }
}
