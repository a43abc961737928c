//! The client's own ids of orders that rest, and what the session layer remembers of each such order.
//!
//! ```text
//!  id --mix--> tag --top bits--> entries: | . | tag:32 slot:32 | . | . |     orders: | . | id, order, side, price | . |
//!                                                        `--------------------------------^ slot
//! ```
//!
//! Open addressing over 8-byte entries, 0 for none. The tag is a mix of the id that is one to one for ids below 2^32;
//! its top bits are the entry's home. An id is looked for from its home on until an empty entry; a removal moves later
//! entries back, so that no marks of removed ones stay. At most one entry in four is taken: most look-ups end where
//! they begin. Two ids can share a tag, so a match counts when the order it leads to has the id.
//!
//! Slots are reused last-in first-out: the next order goes where the last one that left was, which is in the cache.

use domain::OrderId;
use engine::prefetch::prefetch;

/// Entries at the start: 32 KiB.
const BITS_MIN: u32 = 12;
/// One entry in so many, as a power of two, may be taken.
const LOAD: u32 = 2;
/// No slot. Slot 0 is never used.
const NIL: u32 = 0;

/// What the session layer remembers of an order that rests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenOrder {
    /// The client's id. Free: the next free slot.
    id: u64,
    /// The book's.
    pub(crate) order: OrderId,
    /// Its price.
    pub(crate) price_ticks: i64,
    /// Its side, as the referee writes it.
    pub(crate) side: u8,
}

/// The orders that rest, by the client's ids.
#[derive(Debug)]
pub(crate) struct Ids {
    /// A power of two of entries.
    entries: Vec<u64>,
    /// For the next growth; keeps the memory that was set aside.
    spare: Vec<u64>,
    /// A tag shifted right by so much is its home: 32 less the logarithm of the entries.
    shift: u32,
    /// Entries taken; at most `entries.len() >> LOAD`.
    taken: usize,
    orders: Vec<OpenOrder>,
    /// The slot to use next; `NIL` when all are taken.
    free: u32,
}

/// Where an order was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// Good until the next insertion or removal.
    entry: usize,
    /// Good as long as the order is there.
    slot: u32,
}

/// Spreads ids over tags.
#[inline]
pub(crate) const fn tag_of(id: u64) -> u32 {
    // The product of an odd number and the lower half is one to one; the upper half moves it.
    (id as u32).wrapping_add(((id >> 32) as u32).wrapping_mul(0x85EB_CA6B)).wrapping_mul(0x9E37_79B1)
}

impl Ids {
    /// An empty table, with memory set aside, and touched, for so many orders.
    pub(crate) fn with_room_for(count: usize) -> Self {
        let entries = (count << LOAD).next_power_of_two().max(1 << BITS_MIN);
        // Written, so that the system provides the memory now.
        let (mut first, mut spare) = (vec![1; entries], vec![1; entries]);
        first.clear();
        first.resize(1 << BITS_MIN, 0);
        spare.clear();
        let nobody = OpenOrder { id: u64::MAX, order: OrderId::default(), price_ticks: 0, side: 0 };
        let mut orders = vec![nobody; count + 1];
        orders.truncate(1);
        Self { entries: first, spare, shift: 32 - BITS_MIN, taken: 0, orders, free: NIL }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.entries.len().wrapping_sub(1)
    }

    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        tag.wrapping_shr(self.shift) as usize
    }

    /// Asks for the memory that the next call with this id needs.
    #[inline(always)]
    pub(crate) fn expect(&self, id: u64) {
        prefetch(self.entries.as_ptr().wrapping_add(self.home(tag_of(id))));
    }

    /// The order with a client's id.
    #[inline(always)]
    pub(crate) fn find(&self, id: u64) -> Option<At> {
        self.find_where(id, |order| order.id == id)
    }

    #[inline(always)]
    fn find_where(&self, id: u64, is_it: impl Fn(&OpenOrder) -> bool) -> Option<At> {
        let (mask, tag) = (self.mask(), tag_of(id));
        let mut entry = self.home(tag) & mask;
        loop {
            let found = self.entries[entry];
            if (found >> 32) as u32 == tag && found != 0 && is_it(&self.orders[found as u32 as usize]) {
                return Some(At { entry, slot: found as u32 });
            }
            if found == 0 {
                return None;
            }
            entry = (entry + 1) & mask;
        }
    }

    /// What is remembered of it.
    #[inline(always)]
    pub(crate) fn order(&self, at: At) -> &OpenOrder {
        &self.orders[at.slot as usize]
    }

    /// Another order, at another price, has taken its place under the same id.
    #[inline(always)]
    pub(crate) fn replace(&mut self, at: At, order: OrderId, price_ticks: i64) {
        let open = &mut self.orders[at.slot as usize];
        open.order = order;
        open.price_ticks = price_ticks;
    }

    /// Takes an order in whose id is not there.
    #[inline(always)]
    pub(crate) fn insert(&mut self, id: u64, order: OrderId, side: u8, price_ticks: i64) {
        if self.taken >= self.entries.len() >> LOAD {
            self.grow();
        }
        self.taken += 1;
        let open = OpenOrder { id, order, price_ticks, side };
        let slot = self.free;
        if slot == NIL {
            self.put(tag_of(id), self.orders.len() as u32);
            self.orders.push(open);
        } else {
            self.free = self.orders[slot as usize].id as u32;
            self.orders[slot as usize] = open;
            self.put(tag_of(id), slot);
        }
    }

    #[inline(always)]
    fn put(&mut self, tag: u32, slot: u32) {
        let mask = self.mask();
        let mut entry = self.home(tag) & mask;
        while self.entries[entry] != 0 {
            entry = (entry + 1) & mask;
        }
        self.entries[entry] = u64::from(tag) << 32 | u64::from(slot);
    }

    /// Removes the order with this id that the book knows as that.
    ///
    /// # Panics
    /// When there is none, which is a programmer's error.
    #[inline(always)]
    pub(crate) fn remove_order(&mut self, id: u64, order: OrderId) {
        let at = self.find_where(id, |open| open.order == order);
        self.remove(at.expect("an order that rests has an entry"));
    }

    /// Removes the order at a place.
    #[inline(always)]
    pub(crate) fn remove(&mut self, at: At) {
        self.taken -= 1;
        self.orders[at.slot as usize].id = u64::from(self.free);
        self.free = at.slot;
        let next = (at.entry + 1) & self.mask();
        if self.entries[next] == 0 {
            self.entries[at.entry] = 0;
        } else {
            self.move_back(at.entry, next);
        }
    }

    /// Closes a hole that others lie behind.
    #[inline(never)]
    fn move_back(&mut self, mut hole: usize, mut next: usize) {
        let mask = self.mask();
        loop {
            let entry = self.entries[next];
            if entry == 0 {
                break;
            }
            // It may move back to the hole when its home does not lie between the two.
            let home = self.home((entry >> 32) as u32);
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                self.entries[hole] = entry;
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.entries[hole] = 0;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let mut old = core::mem::take(&mut self.entries);
        self.entries = core::mem::take(&mut self.spare);
        self.shift = self.shift.checked_sub(1).expect("fewer ids than tags");
        self.entries.resize(1 << (32 - self.shift), 0);
        for entry in old.drain(..).filter(|entry| *entry != 0) {
            self.put((entry >> 32) as u32, entry as u32);
        }
        self.spare = old;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    fn number(ids: &Ids, id: u64) -> Option<u64> {
        ids.find(id).map(|at| ids.order(at).order.number())
    }

    #[test]
    fn ids_with_one_tag_are_told_apart_and_survive_removals() {
        // The upper half moves the tag by a constant, so these all have the same.
        let same: Vec<u64> = (0..40_u64)
            .map(|n| n << 32 | u64::from(0_u32.wrapping_sub((n as u32).wrapping_mul(0x85EB_CA6B))))
            .collect();
        assert!(same.iter().all(|id| tag_of(*id) == tag_of(same[0])));
        let mut ids = Ids::with_room_for(0);
        for (n, id) in same.iter().enumerate() {
            ids.insert(*id, OrderId::new(domain::InstrumentId(0), n as u64 + 1), 0, 0);
        }
        ids.remove_order(same[7], OrderId::new(domain::InstrumentId(0), 8));
        for (n, id) in same.iter().enumerate() {
            assert_eq!(number(&ids, *id), (n != 7).then_some(n as u64 + 1));
        }
    }

    #[test]
    fn the_table_agrees_with_a_map() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seeded::seed());
        let mut ids = Ids::with_room_for(100);
        let mut map: BTreeMap<u64, u64> = BTreeMap::new();
        let mut next = 1;
        for step in 0..200_000_u32 {
            let kind = random.random_range(0..3_u8);
            let id: u64 = match kind {
                0 => random.random_range(0..4_000),
                1 => random.random_range(0..4_000) << 32,
                _ => random.random(),
            };
            // An id that is there, every other time, when there is one.
            let known = map.range(id..).next().or_else(|| map.iter().next()).map(|(id, _)| *id);
            let id = known.filter(|_| random.random()).unwrap_or(id);
            let order = OrderId::new(domain::InstrumentId(3), next);
            let side = (next & 1) as u8;
            // It grows for a while, then shrinks.
            match (map.get(&id).copied(), step % 50_000 < 30_000 || random.random()) {
                (None, true) => {
                    ids.insert(id, order, side, -7);
                    map.insert(id, next);
                    next += 1;
                }
                (Some(number), false) => {
                    if kind == 0 {
                        ids.remove_order(id, OrderId::new(domain::InstrumentId(3), number));
                    } else {
                        ids.remove(ids.find(id).unwrap());
                    }
                    map.remove(&id);
                }
                (Some(_), true) => {
                    let at = ids.find(id).unwrap();
                    let before = ids.order(at).side;
                    ids.replace(at, order, 9);
                    assert_eq!((ids.order(at).side, ids.order(at).price_ticks), (before, 9));
                    map.insert(id, next);
                    next += 1;
                }
                (None, false) => {}
            }
            assert_eq!(number(&ids, id), map.get(&id).copied());
            assert_eq!(ids.taken, map.len());
        }
        for (id, expected) in &map {
            assert_eq!(number(&ids, *id), Some(*expected));
        }
        assert!(32 - ids.shift > BITS_MIN, "it has grown");
    }
}
