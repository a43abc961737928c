//! What the runtime has done, for those who watch.

use domain::{InstrumentId, ShardId};

use crate::balance::{Stay, StealRule};

/// What one shard and its worker have done so far. Each number only grows, but for the depths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Commands that its worker has executed, stolen ones too.
    pub commands: u64,
    /// Commands executed by the front because the worker slept.
    pub inline: u64,
    /// Events that its worker has said.
    pub events: u64,
    /// Commands that the sequencer has routed there.
    pub arrived: u64,
    /// Commands waiting, in the ring and in the mailboxes of its books.
    pub depth: usize,
    /// Of its commands, those that went through a mailbox.
    pub published: u64,
    /// Times that its worker took books from another shard.
    pub steals: u64,
    /// Commands that its worker executed for other shards.
    pub stolen: u64,
    /// Of its commands, those that other workers executed.
    pub given: u64,
    /// Books that have come to live here since the start.
    pub moved_in: u64,
    /// Books that have left.
    pub moved_out: u64,
    /// Books that live here now.
    pub books: u32,
    /// Time that its worker was not idle, in nanoseconds.
    pub busy_nanos: u64,
    /// Times that the event ring was full.
    pub blocked: u64,
    /// Times that the worker went to sleep.
    pub sleeps: u64,
    /// Its worker is stalled.
    pub stalled: bool,
}

/// A book that gets more than most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HotBook {
    /// The book.
    pub book: InstrumentId,
    /// Where it lives.
    pub home: ShardId,
    /// Its share of all arrivals lately, in thousandths.
    pub share_permille: u32,
    /// Why it was not moved, if its shard has more than its share.
    pub stay: Option<Stay>,
}

/// How the load is spread, and what balancing does about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BalanceStats {
    /// The rule that idle workers steal by; `None` when they do not.
    pub steal: Option<StealRule>,
    /// Homes do not change for now.
    pub frozen: bool,
    /// Changes of home so far.
    pub moves: u64,
    /// Books that a worker took from another shard, so far.
    pub steals: u64,
    /// Balance events that nobody fetched in time.
    pub events_lost: u64,
    /// Arrivals of the busiest shard lately, over the mean, in thousandths; 0 when there were none.
    pub imbalance_permille: u32,
    /// The busiest books lately, busiest first; at most ten.
    pub hottest: Vec<HotBook>,
    /// The hottest book alone is more than a shard's share: more shards cannot help.
    pub one_book_bounds: bool,
}
