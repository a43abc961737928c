//! What can be seen of a book from outside: the same for every implementation of one.

use domain::{
    AccountId, EventKind, InstrumentId, Nanos, OrderId, Owner, Price, Quantity, Sequence, Side, TimeInForce,
    TradeId,
};

/// All that a book holds, in a form that says nothing of how it holds it. Two books that show the same through
/// this are the same book: they answer every further command alike.
pub trait BookView {
    /// Everything but the orders.
    fn header(&self) -> BookHeader;

    /// Shows each resting order of a side in priority: best price first, then the first in the queue.
    fn visit(&self, side: Side, see: impl FnMut(&RestingOrder));
}

/// Everything that a book holds but its orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookHeader {
    /// Which instrument's book it is.
    pub instrument: InstrumentId,
    /// The last command applied; 0 before the first.
    pub last_sequence: Sequence,
    /// The number that the next Enter or Replace carries; the first is 1.
    pub next_order_number: u64,
    /// What the book has done so far.
    pub counters: Counters,
    /// The last trade.
    pub last_trade: Option<LastTrade>,
    /// Orders that rest, both sides together.
    pub resting: u64,
}

/// What a book has done so far. A 64-bit count cannot overflow within the 2^64 sequences that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Commands applied, those refused among them.
    pub commands: u64,
    /// Orders accepted: `Accepted` events.
    pub accepted: u64,
    /// Orders replaced: `Replaced` events.
    pub replaced: u64,
    /// Orders made smaller: `Reduced` events.
    pub reduced: u64,
    /// Orders canceled, for whatever reason: `Canceled` events.
    pub canceled: u64,
    /// Commands refused: `Rejected`, `ReplaceRejected` and `CancelRejected` events.
    pub rejected: u64,
    /// Trades: `Traded` events. The last trade's number.
    pub trades: u64,
    /// Lots traded, each trade counted once. 2^44 trades of 2^64 lots fit.
    pub traded: u128,
}

impl Counters {
    /// Counts an event.
    #[inline]
    pub(crate) fn count(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Accepted { .. } => self.accepted += 1,
            EventKind::Replaced { .. } => self.replaced += 1,
            EventKind::Reduced { .. } => self.reduced += 1,
            EventKind::Canceled { .. } => self.canceled += 1,
            EventKind::Rejected { .. }
            | EventKind::ReplaceRejected { .. }
            | EventKind::CancelRejected { .. } => self.rejected += 1,
            EventKind::Traded { quantity, .. } => {
                self.trades += 1;
                self.traded += u128::from(quantity.lots());
            }
        }
    }
}

/// A book's last trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTrade {
    /// Its id.
    pub trade: TradeId,
    /// Its price.
    pub price: Price,
    /// How much.
    pub quantity: Quantity,
}

/// An order that rests in a book, with all that the book holds for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestingOrder {
    /// Its id.
    pub order: OrderId,
    /// Whose it is.
    pub owner: Owner,
    /// Who it is for.
    pub account: AccountId,
    /// Buy or sell.
    pub side: Side,
    /// Its limit.
    pub price: Price,
    /// What is open; above 0.
    pub leaves: Quantity,
    /// What has been executed on it and on those that it replaced. `leaves + executed` fits in 64 bits.
    pub executed: Quantity,
    /// How long it lives: Day or GoodTillCancel, nothing else rests.
    pub time_in_force: TimeInForce,
    /// The command that gave it its place in the queue: its own, or that of the first order of those that it
    /// replaced and whose place it kept. Within a price these increase strictly.
    pub queued_by: Sequence,
    /// That command's time.
    pub queued_at: Nanos,
}

/// One price of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceLevel {
    /// The price.
    pub price: Price,
    /// What is open at it.
    pub quantity: Quantity,
    /// In how many orders.
    pub orders: u32,
}
