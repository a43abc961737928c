//! Which shard owns which book.
//!
//! Placement is not state: a book is a function of its own commands, so where it runs is never journaled and may
//! change from run to run. Today the map is made at start; balancing will change it while it runs, through this
//! type and nowhere else.

use std::{fmt, str::FromStr};

use domain::{InstrumentId, ShardId};

/// How books are spread over shards at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlacementPolicy {
    /// By a hash of the instrument's index: neighbours in the table part.
    #[default]
    Hash,
    /// In turn, by the instrument's index.
    RoundRobin,
}

impl PlacementPolicy {
    /// Every policy.
    pub const ALL: [Self; 2] = [Self::Hash, Self::RoundRobin];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::RoundRobin => "round-robin",
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
            .ok_or_else(|| format!("no placement \"{text}\": use hash or round-robin"))
    }
}

/// The shard of every book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// By instrument index.
    route: Vec<ShardId>,
    shards: u16,
}

impl Placement {
    /// Spreads `instruments` books over `shards` shards.
    ///
    /// # Panics
    /// When there is no shard.
    #[must_use]
    pub fn new(policy: PlacementPolicy, instruments: u32, shards: u16) -> Self {
        assert!(shards > 0, "books need at least one shard");
        let route = (0..instruments)
            .map(|index| {
                let spread = match policy {
                    PlacementPolicy::Hash => mix(index),
                    PlacementPolicy::RoundRobin => index,
                };
                // The remainder is below `shards`, a u16.
                ShardId((spread % u32::from(shards)) as u16)
            })
            .collect();
        Self { route, shards }
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

    /// Gives a book another home.
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
}

/// The finaliser of MurmurHash3 (Austin Appleby, public domain): every input bit reaches every output bit.
const fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_book_has_one_shard_and_no_shard_is_left_out() {
        for policy in PlacementPolicy::ALL {
            for shards in 1..=8 {
                let placement = Placement::new(policy, 1_000, shards);
                let counts: Vec<_> =
                    (0..shards).map(|shard| placement.books_of(ShardId(shard)).count()).collect();
                assert_eq!(counts.iter().sum::<usize>(), 1_000, "{policy}");
                let fair = 1_000 / usize::from(shards);
                assert!(counts.iter().all(|n| *n > fair / 2 && *n < fair * 2), "{policy} {counts:?}");
            }
        }
    }

    #[test]
    fn round_robin_goes_in_turn() {
        let placement = Placement::new(PlacementPolicy::RoundRobin, 5, 2);
        let shards: Vec<_> = (0..5).map(|i| placement.shard_of(InstrumentId(i)).0).collect();
        assert_eq!(shards, [0, 1, 0, 1, 0]);
    }
}
