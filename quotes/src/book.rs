//! A book as it is told of: its levels, and its last trade.

use domain::Side;
use feed::{Ladder, Level, PublicTrade};

use crate::handover::News;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    ladder: Ladder,
    /// Since this process leads.
    pub(crate) last_trade: Option<PublicTrade>,
}

impl Book {
    /// Takes what is new.
    pub(crate) fn take(&mut self, news: &News) {
        if news.is_whole {
            self.ladder = Ladder::default();
        }
        for ((side, price), level) in &news.levels {
            self.ladder.set(*side, *price, *level);
        }
        self.last_trade = news.trades.last().copied().or(self.last_trade);
    }

    /// The best levels of a side, at most so many.
    pub(crate) fn best(&self, side: Side, depth: usize) -> impl Iterator<Item = Level> {
        self.ladder.side(side).take(depth)
    }
}
