//! Which shard owns which book.
//!
//! Placement is not state: a book is a function of its own commands, so where it runs is never journaled and may
//! change from run to run. The map is made at start by a [`PlacementPolicy`], and balancing changes it while it runs,
//! through this type and nowhere else.

use std::{cmp::Reverse, collections::BTreeMap, fmt, str::FromStr};

use domain::{InstrumentId, ShardId};

use super::{
    Unit,
    hints::{Bonds, HintError, Hints, leaders, members},
};

/// How books are spread over shards at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlacementPolicy {
    /// By a hash of the instrument's index: neighbours in the table part. Rates do not matter.
    #[default]
    Hash,
    /// In turn, by the instrument's index. Rates do not matter.
    RoundRobin,
    /// In the table's order, each unit to the lighter of two shards that its hash names (the power of two choices;
    /// Azar, Broder, Karlin, Upfal, "Balanced allocations", 1999). Needs no sorting and moves little when a book is
    /// added.
    Weighted,
    /// Longest processing time first: units by falling rate, each to the lightest shard. The heaviest shard has at
    /// most 4/3 - 1/(3n) of the best possible (Graham, "Bounds on multiprocessing timing anomalies", 1969).
    Lpt,
}

impl PlacementPolicy {
    /// Every policy.
    pub const ALL: [Self; 4] = [Self::Hash, Self::RoundRobin, Self::Weighted, Self::Lpt];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::RoundRobin => "round-robin",
            Self::Weighted => "weighted",
            Self::Lpt => "lpt",
        }
    }
}

impl fmt::Display for PlacementPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PlacementPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == text)
            .ok_or_else(|| format!("no placement \"{text}\": use hash, round-robin, weighted or lpt"))
    }
}

/// The shard of every book, and which books move together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// By instrument index.
    route: Vec<ShardId>,
    shards: u16,
    /// The index at its own place: what a unit of one book consists of.
    books: Vec<InstrumentId>,
    /// By instrument index, the smallest index of its unit; empty when every book is its own unit.
    leader: Vec<u32>,
    /// The books of each unit of more than one, by leader.
    groups: BTreeMap<u32, Box<[InstrumentId]>>,
}

impl Placement {
    /// Spreads `instruments` books over `shards` shards. Nothing is known of the books: all are taken to be equal.
    ///
    /// # Panics
    /// When there is no shard.
    #[must_use]
    pub fn new(policy: PlacementPolicy, instruments: u32, shards: u16) -> Self {
        Self::with(policy, &vec![1; instruments as usize], &Hints::default(), shards)
            .expect("without hints there is none to break")
    }

    /// Spreads as many books as there are rates over `shards` shards, where the hints want them. A rate is in any
    /// unit of commands for a time, the same for all; 1 for each book when nothing is known.
    ///
    /// # Errors
    /// When the hints cannot all be kept.
    ///
    /// # Panics
    /// When there is no shard, or more books than ids.
    pub fn with(
        policy: PlacementPolicy,
        rates: &[u64],
        hints: &Hints,
        shards: u16,
    ) -> Result<Self, HintError> {
        assert!(shards > 0, "books need at least one shard");
        let count = u32::try_from(rates.len()).expect("books have ids of 32 bits");
        let leader = leaders(&hints.together, count)?;
        let groups = members(&leader);
        let books = (0..count).map(InstrumentId).collect();
        let mut placement = Self { route: vec![ShardId(0); rates.len()], shards, books, leader, groups };
        let bonds = Bonds::new(hints, &placement)?;
        placement.spread(policy, rates, &bonds);
        Ok(placement)
    }

    /// How many shards there are.
    #[must_use]
    pub const fn shards(&self) -> u16 {
        self.shards
    }

    /// How many books there are.
    #[must_use]
    pub fn instruments(&self) -> u32 {
        self.route.len() as u32
    }

    /// The shard of a book.
    ///
    /// # Panics
    /// When there is no such instrument: instruments are checked before a command is sequenced.
    #[inline]
    #[must_use]
    pub fn shard_of(&self, instrument: InstrumentId) -> ShardId {
        self.route[instrument.0 as usize]
    }

    /// The unit of a book: its number is the smallest index of its books, so a book of its own has its own index.
    ///
    /// # Panics
    /// When there is no such instrument.
    #[inline]
    #[must_use]
    pub fn unit_of(&self, instrument: InstrumentId) -> Unit {
        if self.leader.is_empty() {
            assert!((instrument.0 as usize) < self.route.len(), "no book {instrument}");
            return Unit(instrument.0);
        }
        Unit(self.leader[instrument.0 as usize])
    }

    /// The books of a unit, by rising index; none when no unit has this number.
    #[must_use]
    pub fn books_of_unit(&self, unit: Unit) -> &[InstrumentId] {
        let index = unit.0 as usize;
        if let Some(books) = self.groups.get(&unit.0) {
            return books;
        }
        let leads = index < self.route.len() && self.leader.get(index).is_none_or(|lead| *lead == unit.0);
        if leads { &self.books[index..=index] } else { &[] }
    }

    /// Gives all books of a unit another home.
    ///
    /// # Panics
    /// When there is no such shard.
    pub fn set_unit(&mut self, unit: Unit, shard: ShardId) {
        for at in 0..self.books_of_unit(unit).len() {
            self.set(self.books_of_unit(unit)[at], shard);
        }
    }

    /// Gives a book another home. Who keeps groups together sets all books of a unit.
    ///
    /// # Panics
    /// When there is no such instrument or shard.
    pub fn set(&mut self, instrument: InstrumentId, shard: ShardId) {
        assert!(shard.0 < self.shards, "no shard {shard}");
        self.route[instrument.0 as usize] = shard;
    }

    /// The books of a shard, by instrument index.
    pub fn books_of(&self, shard: ShardId) -> impl Iterator<Item = InstrumentId> {
        self.route
            .iter()
            .enumerate()
            .filter(move |(_, home)| **home == shard)
            .map(|(index, _)| InstrumentId(index as u32))
    }

    /// The units, by rising number.
    fn units(&self) -> impl Iterator<Item = Unit> {
        self.books.iter().map(|book| Unit(book.0)).filter(|unit| !self.books_of_unit(*unit).is_empty())
    }

    /// Gives every unit its first home: pinned ones first, because others must make way for them.
    fn spread(&mut self, policy: PlacementPolicy, rates: &[u64], bonds: &Bonds) {
        let open: Vec<ShardId> = (0..self.shards).map(ShardId).filter(|s| !bonds.is_reserved(*s)).collect();
        let mut units: Vec<(u64, Unit)> = self
            .units()
            .map(|unit| {
                let books = self.books_of_unit(unit).iter();
                (books.fold(0_u64, |sum, book| sum.saturating_add(rates[book.0 as usize])), unit)
            })
            .collect();
        let mut home: Vec<Option<ShardId>> = vec![None; rates.len()];
        let mut load = vec![0_u64; usize::from(self.shards)];
        units.retain(|&(rate, unit)| {
            let Some(shard) = bonds.pin(unit) else { return true };
            home[unit.0 as usize] = Some(shard);
            load[usize::from(shard.0)] = load[usize::from(shard.0)].saturating_add(rate);
            false
        });
        if policy == PlacementPolicy::Lpt {
            units.sort_unstable_by_key(|&(rate, unit)| (Reverse(rate), unit));
        }
        for &(rate, unit) in &units {
            let wish = |salt: u32| open[(mix(unit.0 ^ salt) % open.len() as u32) as usize];
            let lighter = |one: ShardId, other: ShardId| {
                if load[usize::from(other.0)] < load[usize::from(one.0)] { other } else { one }
            };
            let lives = |unit: Unit| home[unit.0 as usize];
            let crowd = |shard: ShardId| bonds.crowd(unit, shard, open.len(), lives);
            let wanted = match policy {
                PlacementPolicy::Hash => wish(0),
                PlacementPolicy::RoundRobin => open[unit.0 as usize % open.len()],
                PlacementPolicy::Weighted => lighter(wish(0), wish(SECOND_CHOICE)),
                PlacementPolicy::Lpt => open.iter().copied().reduce(lighter).expect("a shard is open"),
            };
            let shard = if crowd(wanted) == 0 {
                wanted
            } else {
                // A hint is in the way: the shard that breaks it least, of those the lightest.
                let best = open.iter().min_by_key(|s| (crowd(**s), load[usize::from(s.0)], **s));
                *best.expect("a shard is open")
            };
            home[unit.0 as usize] = Some(shard);
            load[usize::from(shard.0)] = load[usize::from(shard.0)].saturating_add(rate);
        }
        for book in 0..self.route.len() {
            let unit = self.unit_of(InstrumentId(book as u32));
            self.route[book] = home[unit.0 as usize].expect("every unit has a home");
        }
    }
}

/// What makes a second hash of the first one's function.
const SECOND_CHOICE: u32 = 0x9e37_79b9;

/// The finaliser of MurmurHash3 (Austin Appleby, public domain): every input bit reaches every output bit.
const fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests;
