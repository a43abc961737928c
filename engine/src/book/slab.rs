//! Where a book's resting orders lie: cells of one size, named by a `u32`, reused last-in first-out.
//!
//! ```text
//! cells   [ order | free | order | order | free ]
//!              free list: 4 -> 1 -> NIL        (through Cell::next)
//! ```
//!
//! Memory follows the most orders that ever rested at once: 72 bytes for each, up to twice that while the vector
//! grows.
//!
//! Cell numbers are a function of the book's own commands, so a replay puts every order in the same cell. They
//! reach no event and no hash: another book may place its orders otherwise and still be the same book.

use core::ops::{Index, IndexMut};

use domain::{AccountId, Nanos, OrderId, Owner, Sequence, Side, TimeInForce};

/// No cell.
pub(super) const NIL: u32 = u32::MAX;

/// One resting order, 72 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// Its id; number 0 in a free cell.
    pub(super) order: OrderId,
    /// Its price in the key space of its side, see [`super::side`].
    pub(super) key: i64,
    /// What is open; above 0 while the order rests. `leaves + executed` fits in a `u64`.
    pub(super) leaves: u64,
    /// What has been executed on it and on those that it replaced.
    pub(super) executed: u64,
    /// Whose it is.
    pub(super) owner: Owner,
    /// Who it is for.
    pub(super) account: AccountId,
    /// The next younger order of the level, or the next free cell; `NIL` at the end.
    pub(super) next: u32,
    /// The next older order of the level; `NIL` at the head. No meaning in a free cell.
    pub(super) prev: u32,
    /// Buy or sell.
    pub(super) side: Side,
    /// How long it lives.
    pub(super) time_in_force: TimeInForce,
    /// The command that gave it its place in the queue.
    pub(super) queued_by: Sequence,
    /// That command's time.
    pub(super) queued_at: Nanos,
}

const _: () = assert!(size_of::<Cell>() == 72);

/// The cells of one book.
#[derive(Debug)]
pub(super) struct Slab {
    cells: Vec<Cell>,
    /// The first free cell, `NIL` when there is none.
    free: u32,
    /// Cells in use; `live <= cells.len()`.
    live: u32,
}

impl Slab {
    /// No cells; allocates nothing.
    pub(super) const fn new() -> Self {
        Self { cells: Vec::new(), free: NIL, live: 0 }
    }

    /// Puts an order into a cell.
    ///
    /// # Panics
    /// At 2^32 - 1 live orders, some 300 GB: memory has run out long before.
    pub(super) fn insert(&mut self, order: Cell) -> u32 {
        self.live += 1;
        if self.free == NIL {
            let cell = u32::try_from(self.cells.len()).ok().filter(|&cell| cell != NIL);
            self.cells.push(order);
            cell.expect("a book holds fewer than 2^32 - 1 orders")
        } else {
            let cell = self.free;
            let slot = &mut self.cells[cell as usize];
            self.free = slot.next;
            *slot = order;
            cell
        }
    }

    /// Frees a cell that holds an order. The order's other fields stay readable until the next insert.
    pub(super) fn remove(&mut self, cell: u32) {
        let slot = &mut self.cells[cell as usize];
        slot.order = OrderId::default();
        slot.next = self.free;
        self.free = cell;
        self.live -= 1;
    }

    /// Orders held.
    pub(super) const fn live(&self) -> u32 {
        self.live
    }

    /// The free list must name every free cell once, and no other.
    pub(super) fn check(&self) {
        let mut seen = 0;
        let mut cell = self.free;
        while cell != NIL {
            assert_eq!(self.cells[cell as usize].order.number(), 0, "a live cell is on the free list");
            seen += 1;
            assert!(seen <= self.cells.len(), "the free list is a ring");
            cell = self.cells[cell as usize].next;
        }
        assert_eq!(seen + self.live as usize, self.cells.len(), "a cell is neither live nor free");
    }
}

impl Index<u32> for Slab {
    type Output = Cell;
    #[inline]
    fn index(&self, cell: u32) -> &Cell {
        &self.cells[cell as usize]
    }
}

impl IndexMut<u32> for Slab {
    #[inline]
    fn index_mut(&mut self, cell: u32) -> &mut Cell {
        &mut self.cells[cell as usize]
    }
}
