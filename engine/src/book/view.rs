//! What can be seen of a book from outside: the same for every implementation of one.

use domain::{
    AccountId, EventKind, Instructions, InstrumentId, Nanos, OrderId, OrderType, Owner, Price, Quantity,
    Sequence, Side, TimeInForce, TradeId,
};

/// All that a book holds, in a form that says nothing of how it holds it. Two books that show the same through
/// this are the same book: they answer every further command alike.
pub trait BookView {
    /// Everything but the orders.
    fn header(&self) -> BookHeader;

    /// Shows each resting order of a side in priority: best price first; at one price the displayed orders in the
    /// order of the queue, then the hidden ones by time, then the all-or-none ones by time.
    fn visit(&self, side: Side, see: impl FnMut(&RestingOrder));

    /// Shows each stop order that waits: first those that have been triggered and wait for their turn, in the order
    /// of their turns; then buys, lowest trigger first, then sells, highest trigger first, at one trigger by time.
    /// A trailing stop that has no trigger yet (no trade so far) stands behind those of its side that have one.
    fn visit_stops(&self, see: impl FnMut(&RestingOrder));
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
    /// Orders that rest or wait, both sides together.
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
    /// Counts an event. Wrapping, for none of these can reach 2^64 (see above) and a check costs at every event.
    #[inline]
    pub(crate) fn count(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Accepted { .. } => self.accepted = self.accepted.wrapping_add(1),
            EventKind::Replaced { .. } => self.replaced = self.replaced.wrapping_add(1),
            EventKind::Reduced { .. } => self.reduced = self.reduced.wrapping_add(1),
            EventKind::Canceled { .. } => self.canceled = self.canceled.wrapping_add(1),
            EventKind::Rejected { .. }
            | EventKind::ReplaceRejected { .. }
            | EventKind::CancelRejected { .. } => self.rejected = self.rejected.wrapping_add(1),
            EventKind::Traded { quantity, .. } => {
                self.trades = self.trades.wrapping_add(1);
                self.traded += u128::from(quantity.lots());
            }
            EventKind::Triggered { .. }
            | EventKind::Refreshed { .. }
            | EventKind::Restated { .. }
            | EventKind::Decremented { .. }
            | EventKind::MassCanceled { .. }
            | EventKind::Paused { .. } => {}
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
    /// How long it lives: Day, GoodTillCancel or GoodTillDate.
    pub time_in_force: TimeInForce,
    /// The command that gave it its place in the queue: its own, or that of the first order of those that it
    /// replaced and whose place it kept; of an iceberg, the one that made it show its present part. Within a queue
    /// these never decrease.
    pub queued_by: Sequence,
    /// That command's time.
    pub queued_at: Nanos,
    /// What makes it more than a plain order; `None` when nothing does.
    pub special: Option<Special>,
}

/// What makes an order more than a plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// What it asks for, without what is spent: a trigger once it has been reached, a minimum once it was filled.
    pub instructions: Instructions,
    /// How it is priced: `Limit` unless it waits.
    pub order_type: OrderType,
    /// Lots shown: all that is open of a displayed order, a part of an iceberg, nothing of one that is hidden, waits
    /// or is all-or-none.
    pub shown: Quantity,
    /// Parts that an iceberg has shown besides the first. Wraps at 2^32.
    pub refreshes: u32,
    /// Whether it waits.
    pub waiting: Waiting,
}

/// Whether an order waits, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It rests.
    No,
    /// For a trade at this price or beyond; `None` for a trailing stop in a book that has not traded since it came.
    ForTrigger(Option<Price>),
    /// It has been triggered, and others before it come first.
    ForTurn,
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
