//! One price: its orders in time priority, as a list through the cells, and their sum.
//!
//! ```text
//! head -> oldest <-> ... <-> youngest <- tail        quantity = sum of leaves, count = length
//! ```

use super::slab::{NIL, Slab};

/// The orders at one price. A level in a book is never empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// Sum of the orders' leaves. Cannot overflow: the side's sum is kept within a `u64`.
    pub(super) quantity: u64,
    /// The oldest order, `NIL` when there is none.
    pub(super) head: u32,
    /// The youngest order, `NIL` when there is none.
    pub(super) tail: u32,
    /// How many orders.
    pub(super) count: u32,
}

impl Level {
    /// No orders.
    pub(super) const EMPTY: Self = Self { quantity: 0, head: NIL, tail: NIL, count: 0 };

    /// Appends an order as the youngest.
    #[inline]
    pub(super) fn push(&mut self, slab: &mut Slab, cell: u32) {
        let old_tail = self.tail;
        let order = &mut slab[cell];
        order.prev = old_tail;
        order.next = NIL;
        self.quantity += order.leaves;
        self.count += 1;
        self.tail = cell;
        if old_tail == NIL {
            self.head = cell;
        } else {
            slab[old_tail].next = cell;
        }
    }

    /// Takes an order out of the list, with what it still adds to the sum. Its cell stays as it is.
    #[inline]
    pub(super) fn unlink(&mut self, slab: &mut Slab, cell: u32) {
        let order = &slab[cell];
        let (prev, next) = (order.prev, order.next);
        self.quantity -= order.leaves;
        self.count -= 1;
        if prev == NIL {
            self.head = next;
        } else {
            slab[prev].next = next;
        }
        if next == NIL {
            self.tail = prev;
        } else {
            slab[next].prev = prev;
        }
    }
}
