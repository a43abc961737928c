//! What an operator knows better than any measurement.

use domain::{InstrumentId, ShardId};

/// Wishes for where books live. They bind: no policy decides against them, but for a stalled worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Books that live on this shard and stay there.
    pub pins: Vec<(InstrumentId, ShardId)>,
    /// Books that live on one shard and move together: each list is one unit.
    pub together: Vec<Vec<InstrumentId>>,
    /// Books no two of which live on one shard, as far as there are shards.
    pub apart: Vec<Vec<InstrumentId>>,
    /// Shards where only books live that are pinned there.
    pub reserved: Vec<ShardId>,
}
