//! Which shard runs which book, and when that changes: pure decisions, metrics in, decisions out.
//!
//! The runtime and the simulator call the same code. Nothing here reads a clock, touches a book or knows a thread, and
//! nothing here can reach an event: where a book runs is not state.
//!
//! Two means, for two kinds of skew:
//! * **stealing** ([`StealRule`]): a worker with nothing to do runs the backlog of some books of another shard and
//!   gives them back. Takes effect within microseconds, changes no home; for bursts.
//! * **migration** ([`Policy`]): the home of a unit of books changes, by arrivals as counted at the sequencer. Once a
//!   period; for load that stays.

mod budget;
mod evacuate;
mod event;
mod freeze;
mod hints;
mod mode;
mod placement;
mod policy;
mod rates;
mod rebalance;
mod threshold;
mod tuning;

use domain::{InstrumentId, ShardId};

use self::{budget::Budget, freeze::Freeze, rates::Rates};
pub use self::{
    event::{BalanceEvent, Stay, Why},
    hints::{HintError, Hints},
    mode::BalanceMode,
    placement::{Placement, PlacementPolicy},
    policy::{Drill, Full, Migrate, Off, Steal, policy},
    tuning::Tuning,
};

/// What moves: a group of one or more books that live on one shard. Without groups every book is its own unit, with
/// the book's index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit(pub u32);

/// What a shard was given and has done in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardLoad {
    /// Commands that the sequencer routed there.
    pub arrived: u64,
    /// Commands routed there that are not executed yet.
    pub waiting: u64,
    /// Time that its worker was not idle, in nanoseconds; stolen work counts for the thief.
    pub busy_nanos: u64,
    /// Its worker makes no progress: nothing may move there, and its units should leave.
    pub stalled: bool,
}

/// What one book was given in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookLoad {
    /// The book.
    pub book: InstrumentId,
    /// Commands that the sequencer routed to it.
    pub arrivals: u32,
}

/// What a policy decides by.
#[derive(Clone, Copy, Debug)]
pub struct Metrics<'a> {
    /// The time, in nanoseconds since any fixed moment.
    pub now_nanos: u64,
    /// Since the policy was asked last.
    pub period_nanos: u64,
    /// By shard.
    pub shards: &'a [ShardLoad],
    /// Books that had arrivals in this period, in no particular but a reproducible order.
    pub books: &'a [BookLoad],
    /// Where books live now.
    pub placement: &'a Placement,
}

/// A change of home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// What moves.
    pub unit: Unit,
    /// Its home until now.
    pub from: ShardId,
    /// Its new home.
    pub to: ShardId,
    /// The reason.
    pub why: Why,
}

/// What a policy wants until it is asked again.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Homes to change, most urgent first. The runtime may do fewer: what finds no room is dropped, not kept.
    pub moves: Vec<Move>,
    /// Whether and when idle workers steal.
    pub steal: Option<StealRule>,
    /// The hottest units that stay where they are although their shard has more than its share, and why.
    pub stays: Vec<(Unit, Stay)>,
    /// Until when no home changes, if moves are frozen.
    pub frozen_until: Option<u64>,
}

/// Decides, once a period, where books live and when workers steal.
pub trait Policy: Send {
    /// Looks at a period and decides. `decision` is empty.
    fn decide(&mut self, metrics: &Metrics<'_>, decision: &mut Decision);
}

/// What an idle worker sees of another shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Commands in its ring that no worker has in hand.
    pub waiting: u32,
    /// Books with commands that have been taken out of the ring and that no worker has in hand.
    pub ready_books: u32,
    /// For how long the shard has shown no progress, as far as the onlooker has seen, in nanoseconds: 0 at first
    /// sight.
    pub unmoved_nanos: u64,
}

/// When an idle worker takes books from another shard, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StealRule {
    /// θ: so many waiting commands are worth it at once.
    pub waiting_min: u32,
    /// Any waiting command is worth it when its shard has shown no progress for so long, in nanoseconds.
    pub unmoved_nanos: u64,
    /// Books taken at a time, at most.
    pub books_max: u32,
    /// Commands that must wait for a book, unless its shard shows no progress or the book is warm in the thief's cache:
    /// with fewer the home loses more by having the book back than it gains.
    pub commands_min: u32,
}

impl StealRule {
    /// Whether to take from such a backlog.
    #[inline]
    #[must_use]
    pub const fn is_worth(&self, backlog: &Backlog) -> bool {
        backlog.ready_books > 0
            || backlog.waiting >= self.waiting_min
            || (backlog.waiting > 0 && backlog.unmoved_nanos >= self.unmoved_nanos)
    }
}
