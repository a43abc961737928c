//! Places in a journal's stream, and what says that two of them are the same place of the same history.

use core::fmt;

use crate::Epoch;

/// A byte address in the stream; records begin at multiples of 8. Segment `k` holds the addresses from
/// `k * capacity` on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A place between two batches, and what came before it: the chain there is a hash of every byte of the stream up to
/// it. Two journals that have the same mark have the same records before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Where the next batch begins.
    pub position: Position,
    /// The chain that it continues.
    pub chain: u64,
}

/// Where an epoch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: Epoch,
    /// The position of its first record.
    pub position: Position,
}

/// Which journal it is: drawn at random when the directory is made, and the same in every copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u128);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
