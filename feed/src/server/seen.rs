//! What the feed's thread tells those who make something else of it.

use std::collections::BTreeSet;

use domain::{InstrumentId, Price, Side};

use crate::{
    change::{Change, ChangeKind},
    depth::PublicTrade,
    market::Market,
};

/// What a turn of the thread brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Books of which something else can be seen.
    pub changed: BTreeSet<InstrumentId>,
    /// The prices at which that is, or may be: as [`Market::level`] has them now.
    pub prices: BTreeSet<(InstrumentId, Side, Price)>,
    /// Trades, of each book in their order.
    pub trades: Vec<PublicTrade>,
}

impl Seen {
    /// Adds a change.
    pub fn see(&mut self, change: &Change) {
        let (instrument, nanos) = (change.instrument, change.nanos);
        let trade = match change.kind {
            ChangeKind::Executed { counts: true, side, quantity, trade, at, .. } => {
                Some((side, quantity, trade, at))
            }
            ChangeKind::Traded { side, quantity, trade, price } => Some((side, quantity, trade, price)),
            _ => None,
        };
        if let Some((side, quantity, trade, price)) = trade {
            let taker_side = Side::opposite(side);
            self.trades.push(PublicTrade { instrument, nanos, trade, price, quantity, taker_side });
        }
        self.changed.insert(instrument);
        let place = match change.kind {
            ChangeKind::Added { side, price, .. }
            | ChangeKind::Executed { side, price, .. }
            | ChangeKind::Shrunk { side, price, .. }
            | ChangeKind::Removed { side, price, .. }
            | ChangeKind::Renamed { side, price, .. } => Some((instrument, side, price)),
            ChangeKind::Traded { .. } => None,
        };
        self.prices.extend(place);
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        let Self { changed, prices, trades } = self;
        changed.clear();
        prices.clear();
        trades.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }
}

/// Somebody else who makes something of what can be seen, on the feed's thread: a gateway of another protocol, for one. It
/// is told what has been published and nothing before, and must not wait for anyone.
pub trait Watcher: Send {
    /// What can be seen of all books at the beginning.
    fn on_begin(&mut self, market: &Market);

    /// What the last turn brought, and all books behind it.
    fn on_turn(&mut self, market: &Market, seen: &Seen);
}
