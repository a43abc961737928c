//! What everyone may see of a book, changing.

use domain::{InstrumentId, Nanos, OrderId, Price, Quantity, Side, TradeId};

/// A change of what can be seen of a book, or a trade in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The book.
    pub instrument: InstrumentId,
    /// When: the time of the command that caused it.
    pub nanos: Nanos,
    /// What.
    pub kind: ChangeKind,
}

/// What changed. Quantities are lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// An order is shown, last at its price.
    Added {
        /// The order.
        order: OrderId,
        /// Its side.
        side: Side,
        /// Its price.
        price: Price,
        /// Lots shown.
        quantity: Quantity,
    },
    /// An order that is shown traded. When nothing shown is left, it is not shown any more.
    Executed {
        /// The order.
        order: OrderId,
        /// Its side.
        side: Side,
        /// Its price.
        price: Price,
        /// Lots traded.
        quantity: Quantity,
        /// Lots shown that are left.
        left: Quantity,
        /// The trade.
        trade: TradeId,
        /// The trade's price.
        at: Price,
        /// Whether the trade is to be counted: false for the second of two orders that are both shown.
        counts: bool,
    },
    /// An order that rested unseen traded.
    Traded {
        /// Its side.
        side: Side,
        /// The trade's price.
        price: Price,
        /// Lots traded.
        quantity: Quantity,
        /// The trade.
        trade: TradeId,
    },
    /// An order shows less, and keeps its place.
    Shrunk {
        /// The order.
        order: OrderId,
        /// Its side.
        side: Side,
        /// Its price.
        price: Price,
        /// Lots that are shown no more.
        quantity: Quantity,
        /// Lots shown that are left; above 0.
        left: Quantity,
    },
    /// An order is shown no more.
    Removed {
        /// The order.
        order: OrderId,
        /// Its side.
        side: Side,
        /// Its price.
        price: Price,
        /// Lots that were shown.
        quantity: Quantity,
    },
    /// A new order stands in an old one's place, showing as much or less.
    Renamed {
        /// The order that is gone.
        old: OrderId,
        /// The new one.
        order: OrderId,
        /// Its side.
        side: Side,
        /// Its price.
        price: Price,
        /// Lots shown before.
        before: Quantity,
        /// Lots shown now.
        quantity: Quantity,
    },
}
