//! The client's own ids of orders that rest: id to the book's order number.
//!
//! Open addressing over 8-byte entries, `tag:32 | number:32`, 0 for none. The tag is a mix of the id that is one to
//! one for ids below 2^32; its top bits are the entry's home. An id is looked for from its home on until an empty
//! entry; a removal moves later entries back, so that no marks of removed ones stay. At most one entry in eight is
//! taken: most look-ups end where they begin.
//!
//! Two ids can share a tag, so a match is a candidate, and the caller asks the book whose order it is. The number's
//! upper bits are not kept: the book's next number tells them, as long as no order is older than 2^32 numbers.

/// Entries at the start: 32 KiB.
const BITS_MIN: u32 = 12;
/// One entry in so many, as a power of two, may be taken.
const LOAD: u32 = 3;

/// A table of ids.
#[derive(Debug)]
pub(crate) struct Ids {
    /// A power of two of entries.
    entries: Vec<u64>,
    /// For the next growth; keeps the memory that was set aside.
    spare: Vec<u64>,
    /// Log2 of the entries.
    bits: u32,
    /// Entries taken; at most `entries.len() >> LOAD`.
    taken: usize,
}

/// Where an entry was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(usize);

/// Spreads ids over tags.
#[inline]
pub(crate) const fn tag_of(id: u64) -> u32 {
    // The product of an odd number and the lower half is one to one; the upper half moves it.
    (id as u32).wrapping_add(((id >> 32) as u32).wrapping_mul(0x85EB_CA6B)).wrapping_mul(0x9E37_79B1)
}

#[inline]
const fn entry(tag: u32, number: u64) -> u64 {
    (tag as u64) << 32 | number as u32 as u64
}

impl Ids {
    /// An empty table, with memory set aside, and touched, for `ids` of them.
    pub(crate) fn with_room_for(ids: usize) -> Self {
        let entries = (ids << LOAD).next_power_of_two().max(1 << BITS_MIN);
        // Written, so that the system provides the memory now.
        let mut buffers = [vec![1; entries], vec![1; entries]];
        for buffer in &mut buffers {
            buffer.clear();
        }
        let [mut first, spare] = buffers;
        first.resize(1 << BITS_MIN, 0);
        Self { entries: first, spare, bits: BITS_MIN, taken: 0 }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.entries.len() - 1
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        (tag >> (32 - self.bits)) as usize
    }

    /// The first candidate for an id: where it is, and its order's number.
    #[inline]
    pub(crate) fn first(&self, id: u64, next_number: u64) -> Option<(At, u64)> {
        let tag = tag_of(id);
        self.from(self.home(tag), tag, next_number)
    }

    /// The candidate after this one.
    #[cold]
    pub(crate) fn after(&self, at: At, id: u64, next_number: u64) -> Option<(At, u64)> {
        self.from((at.0 + 1) & self.mask(), tag_of(id), next_number)
    }

    #[inline]
    fn from(&self, mut at: usize, tag: u32, next_number: u64) -> Option<(At, u64)> {
        loop {
            let found = self.entries[at & self.mask()];
            if found == 0 {
                return None;
            }
            if (found >> 32) as u32 == tag {
                let back = (next_number as u32).wrapping_sub(found as u32);
                return Some((At(at), next_number - u64::from(back)));
            }
            at = (at + 1) & self.mask();
        }
    }

    /// Takes an id in that is not there.
    #[inline]
    pub(crate) fn insert(&mut self, id: u64, number: u64) {
        if self.taken >= self.entries.len() >> LOAD {
            self.grow();
        }
        self.taken += 1;
        self.put(entry(tag_of(id), number));
    }

    #[inline]
    fn put(&mut self, entry: u64) {
        let mask = self.mask();
        let mut at = self.home((entry >> 32) as u32);
        while self.entries[at & mask] != 0 {
            at = (at + 1) & mask;
        }
        self.entries[at & mask] = entry;
    }

    /// Gives the id at a place another number.
    #[inline]
    pub(crate) fn renumber(&mut self, at: At, number: u64) {
        let mask = self.mask();
        let found = &mut self.entries[at.0 & mask];
        *found = *found >> 32 << 32 | u64::from(number as u32);
    }

    /// Removes the entry with this id and this number.
    ///
    /// # Panics
    /// When there is none, which is a programmer's error.
    #[inline]
    pub(crate) fn remove(&mut self, id: u64, number: u64) {
        let mask = self.mask();
        let sought = entry(tag_of(id), number);
        let mut at = self.home(tag_of(id));
        loop {
            let found = self.entries[at & mask];
            if found == sought {
                return self.remove_at(At(at));
            }
            assert!(found != 0, "order {number} has no entry");
            at = (at + 1) & mask;
        }
    }

    /// Removes the entry at a place.
    #[inline]
    pub(crate) fn remove_at(&mut self, at: At) {
        let mask = self.mask();
        self.taken -= 1;
        let mut hole = at.0;
        let mut next = (hole + 1) & mask;
        loop {
            let entry = self.entries[next & mask];
            if entry == 0 {
                break;
            }
            // It may move back to the hole when its home does not lie between the two.
            let home = self.home((entry >> 32) as u32);
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                self.entries[hole & mask] = entry;
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.entries[hole & mask] = 0;
    }

    #[cold]
    fn grow(&mut self) {
        let mut old = core::mem::take(&mut self.entries);
        self.entries = core::mem::take(&mut self.spare);
        self.bits += 1;
        assert!(self.bits <= 32, "more ids than tags");
        self.entries.resize(1 << self.bits, 0);
        for entry in old.drain(..).filter(|entry| *entry != 0) {
            self.put(entry);
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

    /// The number of an id, by the caller's part of the work: a candidate counts when its order is the id's.
    fn find(ids: &Ids, owners: &BTreeMap<u64, u64>, id: u64, next: u64) -> Option<(At, u64)> {
        let mut found = ids.first(id, next);
        while let Some((at, number)) = found {
            if owners.get(&number) == Some(&id) {
                return Some((at, number));
            }
            found = ids.after(at, id, next);
        }
        None
    }

    #[test]
    fn ids_with_one_tag_are_told_apart_and_survive_removals() {
        // The upper half moves the tag by a constant, so these all have the same.
        let same: Vec<u64> = (0..40_u64)
            .map(|n| n << 32 | u64::from(0_u32.wrapping_sub((n as u32).wrapping_mul(0x85EB_CA6B))))
            .collect();
        assert!(same.iter().all(|id| tag_of(*id) == tag_of(same[0])));
        let mut ids = Ids::with_room_for(0);
        let mut owners = BTreeMap::new();
        for (n, id) in same.iter().enumerate() {
            ids.insert(*id, n as u64 + 1);
            owners.insert(n as u64 + 1, *id);
        }
        ids.remove(same[7], 8);
        owners.remove(&8);
        for (n, id) in same.iter().enumerate() {
            let found = find(&ids, &owners, *id, 41).map(|(_, number)| number);
            assert_eq!(found, (n != 7).then_some(n as u64 + 1));
        }
    }

    #[test]
    fn numbers_past_32_bits_come_back_whole() {
        let mut ids = Ids::with_room_for(0);
        let old = (1_u64 << 40) - 3;
        ids.insert(9, old);
        let next = old + (1 << 31);
        let (at, number) = ids.first(9, next).unwrap();
        assert_eq!(number, old);
        ids.renumber(at, next);
        assert_eq!(ids.first(9, next + 1).unwrap().1, next);
        ids.remove(9, next);
        assert!(ids.first(9, next + 1).is_none());
    }

    #[test]
    fn the_table_agrees_with_a_map() {
        let seed = std::env::var("SEED").map_or(7, |text| text.parse().expect("SEED is a number"));
        println!("SEED={seed}");
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut ids = Ids::with_room_for(100);
        let mut map: BTreeMap<u64, u64> = BTreeMap::new();
        let mut owners: BTreeMap<u64, u64> = BTreeMap::new();
        let mut next = 1;
        for step in 0..200_000_u32 {
            let small = random.random_range(0..3_u8);
            let id: u64 = match small {
                0 => random.random_range(0..4_000),
                1 => random.random_range(0..4_000) << 32,
                _ => random.random(),
            };
            // An id that is there, every other time, when there is one.
            let known = map.range(id..).next().or_else(|| map.iter().next()).map(|(id, _)| *id);
            let id = known.filter(|_| random.random()).unwrap_or(id);
            // It grows for a while, then shrinks.
            match (map.get(&id).copied(), step % 50_000 < 30_000 || random.random()) {
                (None, true) => {
                    ids.insert(id, next);
                    map.insert(id, next);
                    owners.insert(next, id);
                    next += 1;
                }
                (Some(number), false) => {
                    if small == 0 {
                        ids.remove(id, number);
                    } else {
                        ids.remove_at(find(&ids, &owners, id, next).unwrap().0);
                    }
                    map.remove(&id);
                    owners.remove(&number);
                }
                (Some(number), true) => {
                    ids.renumber(find(&ids, &owners, id, next).unwrap().0, next);
                    map.insert(id, next);
                    owners.remove(&number);
                    owners.insert(next, id);
                    next += 1;
                }
                (None, false) => {}
            }
            assert_eq!(find(&ids, &owners, id, next).map(|(_, number)| number), map.get(&id).copied());
            assert_eq!(ids.taken, map.len());
        }
        for (id, number) in &map {
            assert_eq!(find(&ids, &owners, *id, next).unwrap().1, *number);
        }
        assert!(ids.bits > BITS_MIN, "it has grown");
    }
}
