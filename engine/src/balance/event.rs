//! What balancing did, for those who watch. Nothing of it reaches a book.

use std::fmt;

use domain::{InstrumentId, ShardId};

use super::Unit;

/// Why books moved or were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// So many commands waited.
    Backlog,
    /// The shard showed no progress while commands waited.
    Unmoved,
    /// The home has had more than its share.
    Load,
    /// A burst is expected.
    Burst,
    /// An operator's wish: a pin, books that belong together or apart.
    Hint,
    /// The home's worker is stalled.
    Stalled,
    /// Somebody asked for it by hand.
    Asked,
}

impl Why {
    /// The name in the event stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Unmoved => "unmoved",
            Self::Load => "load",
            Self::Burst => "burst",
            Self::Hint => "hint",
            Self::Stalled => "stalled",
            Self::Asked => "asked",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a hot unit was not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// It alone is more than a shard's share: no move makes any shard's load smaller than it is.
    Alone,
    /// The move would gain less than it costs.
    Gain,
    /// The moves of this second are used up.
    Budget,
    /// Moves are frozen.
    Frozen,
    /// It is pinned, or another unit that must be with it or apart from it stands in the way.
    Hint,
}

impl Stay {
    /// The name in the event stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Gain => "gain",
            Self::Budget => "budget",
            Self::Frozen => "frozen",
            Self::Hint => "hint",
        }
    }
}

impl fmt::Display for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that balancing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalanceEvent {
    /// A worker ran a book's backlog for its home and gave the book back.
    Steal {
        /// The book.
        book: InstrumentId,
        /// Its home, which stays.
        home: ShardId,
        /// The shard whose worker ran it.
        thief: ShardId,
        /// The reason.
        why: Why,
        /// Commands executed.
        commands: u32,
        /// From being taken out of the ring to being run, in nanoseconds.
        still_nanos: u64,
    },
    /// A unit has a new home and has arrived there.
    Migration {
        /// What moved.
        unit: Unit,
        /// The book of the unit that arrived last.
        book: InstrumentId,
        /// The old home.
        from: ShardId,
        /// The new home.
        to: ShardId,
        /// The reason.
        why: Why,
        /// Commands that waited at the new home for the last book to arrive.
        commands: u32,
        /// From the change of route to the arrival of the last book, in nanoseconds.
        still_nanos: u64,
    },
    /// Moves went back and forth, or somebody provoked them: no home changes for so long. Trading goes on.
    Frozen {
        /// In nanoseconds.
        for_nanos: u64,
    },
    /// Homes may change again.
    Thawed,
    /// A worker has had commands and has made no progress.
    Stalled {
        /// Its shard.
        shard: ShardId,
        /// For so long, in nanoseconds.
        for_nanos: u64,
    },
    /// A stalled worker goes on.
    Recovered {
        /// Its shard.
        shard: ShardId,
        /// It was stalled for so long, in nanoseconds.
        after_nanos: u64,
    },
}
