//! What an operator knows better than any measurement.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use domain::{InstrumentId, ShardId};

use super::{Move, Placement, Unit};

/// Wishes for where books live. They bind: no policy decides against them, but for a stalled worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Books that live on this shard and stay there.
    pub pins: Vec<(InstrumentId, ShardId)>,
    /// Books that live on one shard and move together: each list is one unit, and lists that share a book are one.
    pub together: Vec<Vec<InstrumentId>>,
    /// Books no two of which live on one shard, as far as there are shards.
    pub apart: Vec<Vec<InstrumentId>>,
    /// Shards where only books live that are pinned there.
    pub reserved: Vec<ShardId>,
}

/// Hints that cannot all be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintError {
    /// A hint names a book that there is not.
    NoBook {
        /// The book.
        book: InstrumentId,
        /// How many books there are.
        books: u32,
    },
    /// A hint names a shard that there is not.
    NoShard {
        /// The shard.
        shard: ShardId,
        /// How many shards there are.
        shards: u16,
    },
    /// Two pins hold a book, or books that belong together, to two shards.
    TwoPins {
        /// The book whose pin came last.
        book: InstrumentId,
        /// Where an earlier pin holds it.
        first: ShardId,
        /// Where its own pin holds it.
        second: ShardId,
    },
    /// Two books are to be together and apart.
    TogetherAndApart(InstrumentId, InstrumentId),
    /// Two books that are to be apart are pinned to one shard.
    ApartOnOneShard(InstrumentId, InstrumentId, ShardId),
    /// Every shard is reserved, and this book is pinned to none.
    NowhereToLive(InstrumentId),
}

impl fmt::Display for HintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBook { book, books } => {
                write!(f, "a hint names book {book}, but there are only {books} books, from 0")
            }
            Self::NoShard { shard, shards } => {
                write!(f, "a hint names shard {shard}, but there are only {shards} shards, from 0")
            }
            Self::TwoPins { book, first, second } => write!(
                f,
                "book {book} is pinned to shard {second}, but it or a book that belongs with it is pinned to shard \
                 {first}"
            ),
            Self::TogetherAndApart(one, other) => {
                write!(f, "books {one} and {other} are to be kept together and apart")
            }
            Self::ApartOnOneShard(one, other, shard) => {
                write!(
                    f,
                    "books {one} and {other} are to be kept apart, but both are pinned to shard {shard}"
                )
            }
            Self::NowhereToLive(book) => {
                write!(
                    f,
                    "every shard is reserved, and book {book} is pinned to none: it has nowhere to live"
                )
            }
        }
    }
}

impl std::error::Error for HintError {}

/// Hints as they bind the units of one placement.
#[derive(Clone, Debug, Default)]
pub(super) struct Bonds {
    pins: BTreeMap<Unit, ShardId>,
    /// Units that are to be apart, and for each unit the lists that it is in.
    apart: Vec<Vec<Unit>>,
    lists_of: BTreeMap<Unit, Vec<usize>>,
    reserved: Vec<bool>,
}

impl Bonds {
    /// Reads hints against a placement whose units are made but whose books may have no home yet.
    ///
    /// # Errors
    /// When they cannot all be kept.
    pub(super) fn new(hints: &Hints, placement: &Placement) -> Result<Self, HintError> {
        let (books, shards) = (placement.instruments(), placement.shards());
        let known = |book: InstrumentId| {
            if book.0 < books { Ok(placement.unit_of(book)) } else { Err(HintError::NoBook { book, books }) }
        };
        let there = |shard: ShardId| {
            if shard.0 < shards { Ok(shard) } else { Err(HintError::NoShard { shard, shards }) }
        };
        let mut bonds = Self { reserved: vec![false; usize::from(shards)], ..Self::default() };
        for &shard in &hints.reserved {
            bonds.reserved[usize::from(there(shard)?.0)] = true;
        }
        for &(book, shard) in &hints.pins {
            let (unit, second) = (known(book)?, there(shard)?);
            let first = *bonds.pins.entry(unit).or_insert(second);
            if first != second {
                return Err(HintError::TwoPins { book, first, second });
            }
        }
        for list in &hints.apart {
            let mut units = BTreeMap::new();
            for &book in list {
                if let Some(other) = units.insert(known(book)?, book).filter(|other| *other != book) {
                    return Err(HintError::TogetherAndApart(other, book));
                }
            }
            let mut pinned = BTreeMap::new();
            for (unit, &book) in &units {
                let Some(&shard) = bonds.pins.get(unit) else { continue };
                if let Some(other) = pinned.insert(shard, book) {
                    return Err(HintError::ApartOnOneShard(other, book, shard));
                }
            }
            for unit in units.keys() {
                bonds.lists_of.entry(*unit).or_default().push(bonds.apart.len());
            }
            bonds.apart.push(units.into_keys().collect());
        }
        if bonds.reserved.iter().all(|reserved| *reserved) {
            let lost =
                (0..books).map(InstrumentId).find(|b| !bonds.pins.contains_key(&placement.unit_of(*b)));
            if let Some(book) = lost {
                return Err(HintError::NowhereToLive(book));
            }
        }
        Ok(bonds)
    }

    /// Units that have a shard of their own.
    pub(super) fn pins(&self) -> impl Iterator<Item = (Unit, ShardId)> {
        self.pins.iter().map(|(unit, shard)| (*unit, *shard))
    }

    /// Where a unit is pinned.
    pub(super) fn pin(&self, unit: Unit) -> Option<ShardId> {
        self.pins.get(&unit).copied()
    }

    /// Whether only pinned units live there.
    pub(super) fn is_reserved(&self, shard: ShardId) -> bool {
        self.reserved.get(usize::from(shard.0)).copied().unwrap_or(false)
    }

    /// How many units of lists to be kept apart from this one live on a shard, more than must: where a list is
    /// longer than there are shards, so many on one shard are no breach.
    ///
    /// `home` says where a unit lives, if anywhere yet.
    pub(super) fn crowd(
        &self,
        unit: Unit,
        shard: ShardId,
        shards: usize,
        home: impl Fn(Unit) -> Option<ShardId>,
    ) -> usize {
        let Some(lists) = self.lists_of.get(&unit) else { return 0 };
        lists
            .iter()
            .map(|list| {
                let list = &self.apart[*list];
                let there = list.iter().filter(|v| **v != unit && home(**v) == Some(shard)).count();
                (there + 1).saturating_sub(list.len().div_ceil(shards.max(1)))
            })
            .sum()
    }

    /// Whether a unit may move there, given where units live and the moves decided so far. Pins bind; use
    /// [`may_flee`](Self::may_flee) for a unit whose worker is stalled.
    pub(super) fn may_move(&self, unit: Unit, to: ShardId, placement: &Placement, moves: &[Move]) -> bool {
        self.pins.get(&unit).is_none_or(|pin| *pin == to) && self.may_flee(unit, to, placement, moves)
    }

    /// The same without the unit's own pin.
    pub(super) fn may_flee(&self, unit: Unit, to: ShardId, placement: &Placement, moves: &[Move]) -> bool {
        if self.is_reserved(to) && self.pins.get(&unit) != Some(&to) {
            return false;
        }
        if self.lists_of.is_empty() {
            return true;
        }
        let home = |unit: Unit| {
            let moved = moves.iter().rev().find(|m| m.unit == unit).map(|m| m.to);
            moved.or_else(|| Some(placement.shard_of(InstrumentId(unit.0))))
        };
        self.crowd(unit, to, self.open_shards(), home) == 0
    }

    /// Shards that take unpinned units.
    pub(super) fn open_shards(&self) -> usize {
        self.reserved.iter().filter(|reserved| !**reserved).count()
    }

    /// The shards on which units of one list live together although they need not, for tests and for the start.
    #[cfg(test)]
    pub(super) fn breaches(&self, placement: &Placement) -> usize {
        let home = |unit: Unit| Some(placement.shard_of(InstrumentId(unit.0)));
        let units: BTreeSet<Unit> = self.lists_of.keys().copied().collect();
        units
            .into_iter()
            .map(|unit| self.crowd(unit, placement.shard_of(InstrumentId(unit.0)), self.open_shards(), home))
            .sum()
    }
}

/// The books that stand for the units of `together`: by book, the smallest index of its unit. Empty without groups.
pub(super) fn leaders(together: &[Vec<InstrumentId>], books: u32) -> Result<Vec<u32>, HintError> {
    if together.iter().all(|list| list.len() < 2) {
        if let Some(&book) = together.iter().flatten().find(|book| book.0 >= books) {
            return Err(HintError::NoBook { book, books });
        }
        return Ok(Vec::new());
    }
    let mut leader: Vec<u32> = (0..books).collect();
    // The smaller index leads, so following leaders goes down and ends.
    let find = |leader: &[u32], mut book: u32| {
        while leader[book as usize] != book {
            book = leader[book as usize];
        }
        book
    };
    for list in together {
        for &book in list {
            if book.0 >= books {
                return Err(HintError::NoBook { book, books });
            }
            let (one, other) = (find(&leader, list[0].0), find(&leader, book.0));
            leader[one.max(other) as usize] = one.min(other);
        }
    }
    for book in 0..books {
        // Leaders come first, so one step is enough.
        leader[book as usize] = leader[leader[book as usize] as usize];
    }
    Ok(leader)
}

/// The members of each unit of two books or more, by leader.
pub(super) fn members(leader: &[u32]) -> BTreeMap<u32, Box<[InstrumentId]>> {
    let mut members: BTreeMap<u32, BTreeSet<InstrumentId>> = BTreeMap::new();
    for (book, lead) in leader.iter().enumerate().filter(|(book, lead)| *book as u32 != **lead) {
        let unit = members.entry(*lead).or_default();
        unit.insert(InstrumentId(*lead));
        unit.insert(InstrumentId(book as u32));
    }
    members.into_iter().map(|(lead, books)| (lead, books.into_iter().collect())).collect()
}
