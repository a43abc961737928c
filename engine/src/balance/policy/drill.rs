//! Moves books all the time, for no reason, and steals whatever waits: to show that it does not show. For drills and
//! tests.

use domain::ShardId;

use crate::balance::{Decision, Metrics, Move, Policy, StealRule, Why};

/// Units moved in a period.
const MOVES: usize = 4;

/// Moves units that have just been traded to the next shard.
#[derive(Debug, Default)]
pub struct Drill {
    /// Where to begin among the books of a period: another place each time.
    turn: usize,
}

impl Policy for Drill {
    fn decide(&mut self, metrics: &Metrics<'_>, decision: &mut Decision) {
        decision.steal = Some(StealRule { waiting_min: 1, unmoved_nanos: 0, books_max: 2, commands_min: 1 });
        let shards = metrics.placement.shards();
        if shards < 2 {
            return;
        }
        self.turn = self.turn.wrapping_add(1);
        let books = metrics.books.len();
        for at in 0..books.min(MOVES) {
            let book = metrics.books[(at + self.turn) % books].book;
            let (unit, from) = (metrics.placement.unit_of(book), metrics.placement.shard_of(book));
            let to = ShardId((from.0 + 1) % shards);
            decision.moves.push(Move { unit, from, to, why: Why::Asked });
        }
    }
}
