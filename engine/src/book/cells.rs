//! A book's cells: orders and the price levels that they queue at, in one space of numbers.
//!
//! ```text
//!            +-------------------------- level --------------------------+
//!            v  next             next             next                   |
//!          level  ---> oldest   --->   younger  --->   youngest  --------+      (prev runs the other way round)
//! ```
//!
//! A level is the head of a ring of its orders. So an order that leaves never has to ask whether it is the first or
//! the last, and an order that joins never asks whether the level is empty: that is why both are cells.
//!
//! Cells are reused last-in first-out. Their numbers are a function of the book's own commands; they reach no event
//! and no hash.

use core::ops::{Index, IndexMut};

use domain::{Owner, Side, TimeInForce};

use super::arena::Arena;

/// No cell. Cell 0 is never used.
pub(super) const NIL: u32 = 0;

/// Bits of [`Cell::tag`] that hold an order's number.
const NUMBER: u64 = (1 << 44) - 1;
const SIDE_SHIFT: u32 = 44;
const TIME_IN_FORCE_SHIFT: u32 = 45;
const SPECIAL: u64 = 1 << 63;

/// An order or a level: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Cell {
    /// Order: the one before it in its queue, or the level. Level: the last order, or itself.
    pub(super) prev: u32,
    /// Order: the one behind it in its queue, or the level. Level: the first order, or itself. Free: the next free.
    pub(super) next: u32,
    /// Order: its level, `NIL` when it queues at none (hidden, all-or-none, waiting). Level: itself.
    pub(super) level: u32,
    /// Order: its account; when it is special, its record. Level: how many orders queue.
    pub(super) tally: u32,
    /// Order: `special:1 | .. | time in force:3 | side:1 | number:44`. Level: its key. Free: 0.
    pub(super) tag: u64,
    /// Order: what is open and, on a level, shown; above 0. Level: the sum over its orders.
    pub(super) open: u64,
    /// Order: what has been executed on it and on those that it replaced.
    pub(super) executed: u64,
    /// Order: whose it is.
    pub(super) owner: Owner,
    /// Order: the command that gave it its place.
    pub(super) queued_by: u64,
    /// Order: that command's time.
    pub(super) queued_at: u64,
}

const _: () = assert!(size_of::<Cell>() == 64);

impl Cell {
    const FREE: Self = Self {
        prev: NIL,
        next: NIL,
        level: NIL,
        tally: 0,
        tag: 0,
        open: 0,
        executed: 0,
        owner: Owner { session: domain::SessionId(0), client_ref: domain::ClientRef(0) },
        queued_by: 0,
        queued_at: 0,
    };

    /// A level without orders, in its own cell.
    pub(super) const fn level(cell: u32, key: i64) -> Self {
        Self { prev: cell, next: cell, level: cell, tag: key as u64, ..Self::FREE }
    }

    /// A level of one order.
    #[inline(always)]
    pub(super) const fn level_of_one(cell: u32, key: i64, order: u32, shown: u64) -> Self {
        Self { prev: order, next: order, tally: 1, open: shown, ..Self::level(cell, key) }
    }

    /// An order's tag.
    #[inline(always)]
    pub(super) const fn order_tag(number: u64, side: Side, time_in_force: TimeInForce, special: bool) -> u64 {
        number
            | (side as u64) << SIDE_SHIFT
            | (time_in_force as u64) << TIME_IN_FORCE_SHIFT
            | if special { SPECIAL } else { 0 }
    }

    /// A level's key.
    #[inline(always)]
    pub(super) const fn key(&self) -> i64 {
        self.tag as i64
    }

    /// An order's number.
    #[inline(always)]
    pub(super) const fn number(&self) -> u64 {
        self.tag & NUMBER
    }

    /// An order's side.
    #[inline(always)]
    pub(super) const fn side(&self) -> Side {
        if self.tag >> SIDE_SHIFT & 1 == 0 { Side::Buy } else { Side::Sell }
    }

    /// How long an order lives.
    #[inline(always)]
    pub(super) const fn time_in_force(&self) -> TimeInForce {
        match TimeInForce::from_u8((self.tag >> TIME_IN_FORCE_SHIFT & 7) as u8) {
            Some(time_in_force) => time_in_force,
            None => unreachable!(),
        }
    }

    /// An order gets a record.
    pub(super) const fn make_special(&mut self, record: u32) {
        self.tag |= SPECIAL;
        self.tally = record;
    }

    /// An order has no record any more.
    pub(super) const fn make_plain(&mut self, account: u32) {
        self.tag &= !SPECIAL;
        self.tally = account;
    }

    /// Whether an order has a record of its own.
    #[inline(always)]
    pub(super) const fn is_special(&self) -> bool {
        self.tag & SPECIAL != 0
    }
}

/// The cells of one book.
#[derive(Debug)]
#[repr(C, align(64))] // a book of up to 256 cells finds them by the first line
pub(super) struct Cells {
    /// The first free cell, `NIL` when there is none.
    free: u32,
    arena: Arena<Cell>,
}

impl Cells {
    /// No cells; allocates nothing.
    pub(super) const fn new() -> Self {
        Self { free: NIL, arena: Arena::new() }
    }

    /// Makes room for so many cells in all.
    pub(super) fn reserve(&mut self, cells: u32) {
        self.arena.reserve(cells);
    }

    /// A cell for the caller to fill. What it holds until then means nothing.
    #[inline(always)]
    pub(super) fn take(&mut self) -> u32 {
        let cell = self.free;
        if cell == NIL {
            return self.make();
        }
        self.free = self.arena[cell].next;
        cell
    }

    #[cold]
    fn make(&mut self) -> u32 {
        if self.arena.len() == 0 {
            self.arena.push(Cell::FREE);
        }
        self.arena.push(Cell::FREE)
    }

    /// Frees a cell and gives what it held.
    #[inline(always)]
    pub(super) fn put_back(&mut self, cell: u32) -> Cell {
        let slot = &mut self.arena[cell];
        let held = *slot;
        slot.tag = 0;
        slot.next = self.free;
        self.free = cell;
        held
    }

    /// Cells that have been made, cell 0 among them.
    pub(super) const fn made(&self) -> u32 {
        self.arena.len()
    }

    /// For a prefetch: the cell that is taken next, if it is a used one.
    #[inline(always)]
    pub(super) fn next_address(&self) -> *const Cell {
        self.arena.address(self.free)
    }

    /// What a cell is linked to; `NIL`s for one that was never made.
    #[inline(always)]
    pub(super) fn links(&self, cell: u32) -> (u32, u32, u32) {
        if cell < self.arena.len() {
            let cell = &self.arena[cell];
            (cell.prev, cell.next, cell.level)
        } else {
            (NIL, NIL, NIL)
        }
    }

    /// For a prefetch.
    #[inline(always)]
    pub(super) fn address(&self, cell: u32) -> *const Cell {
        self.arena.address(cell)
    }

    /// Puts an order at the end of a level's queue; links only.
    #[inline(always)]
    pub(super) fn append(&mut self, level: u32, cell: u32) {
        let tail = self.arena[level].prev;
        self.arena[tail].next = cell;
        self.arena[level].prev = cell;
        let order = &mut self.arena[cell];
        order.prev = tail;
        order.next = level;
        order.level = level;
    }

    /// Takes an order out of its queue; links only.
    #[inline(always)]
    pub(super) fn detach(&mut self, prev: u32, next: u32) {
        self.arena[prev].next = next;
        self.arena[next].prev = prev;
    }

    /// The free list must name each free cell once and no other; says how many there are.
    pub(super) fn check(&self) -> u32 {
        let mut seen = 0;
        let mut cell = self.free;
        while cell != NIL {
            assert_eq!(self.arena[cell].tag, 0, "a cell in use is on the free list");
            seen += 1;
            assert!(seen < self.arena.len(), "the free list is a ring");
            cell = self.arena[cell].next;
        }
        seen
    }
}

impl Index<u32> for Cells {
    type Output = Cell;
    #[inline(always)]
    fn index(&self, cell: u32) -> &Cell {
        &self.arena[cell]
    }
}

impl IndexMut<u32> for Cells {
    #[inline(always)]
    fn index_mut(&mut self, cell: u32) -> &mut Cell {
        &mut self.arena[cell]
    }
}
