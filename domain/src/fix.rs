//! What FIX sessions need to be told and remembered that others do not: whole executions instead of bare facts, and requests
//! with names of their own.
//!
//! A report of a FIX session is kept as it is told, so that a resend needs nothing but the log: its order may be long gone.

use crate::{
    CancelReason, ClientOrderId, ClientRef, Echo, Liquidity, OrderId, Price, Quantity, RejectReason,
    SessionId, Symbol, TimeInForce, TradeId,
};

/// How an order stands: FIX's OrdStatus. The numbers are those of the journal and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum OrderStatus {
    /// Live, and nothing of it has traded.
    New = 0,
    /// Live, and some of it has traded.
    PartiallyFilled = 1,
    /// All of it has traded.
    Filled = 2,
    /// Its rest was canceled.
    Canceled = 3,
    /// Its time was over.
    Expired = 4,
    /// It never came to live.
    Rejected = 5,
    /// Another order stands in its place.
    Replaced = 6,
}

impl OrderStatus {
    const ALL: [Self; 7] = [
        Self::New,
        Self::PartiallyFilled,
        Self::Filled,
        Self::Canceled,
        Self::Expired,
        Self::Rejected,
        Self::Replaced,
    ];

    /// From the journal's number.
    #[must_use]
    pub fn from_u8(n: u8) -> Option<Self> {
        Self::ALL.get(usize::from(n)).copied()
    }
}

/// Why an order says something else of itself than before, though its owner did not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Restatement {
    /// It has a limit now: a market-to-limit order that has taken the best price.
    Priced = 0,
    /// Its next part is shown, last at its price.
    Refreshed = 1,
    /// It is smaller, instead of having traded within its own group.
    Decremented = 2,
    /// It is smaller, as its owner asked by another way than FIX.
    Reduced = 3,
}

impl Restatement {
    /// From the journal's number.
    #[must_use]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Priced),
            1 => Some(Self::Refreshed),
            2 => Some(Self::Decremented),
            3 => Some(Self::Reduced),
            _ => None,
        }
    }
}

/// What became of an order of a FIX session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderReportKind {
    /// It is in.
    New,
    /// It traded.
    Trade {
        /// The trade, the same for both sides.
        trade: TradeId,
        /// At which price.
        price: Price,
        /// How much.
        quantity: Quantity,
        /// Whether the order was there first.
        liquidity: Liquidity,
    },
    /// Its rest is gone.
    Canceled(CancelReason),
    /// It stands in another one's place.
    Replaced,
    /// Its book refused it.
    Rejected(RejectReason),
    /// It says something else of itself.
    Restated(Restatement),
    /// Its stop price was reached.
    Triggered,
}

/// An execution report, but for what every report has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderReport {
    /// What happened.
    pub kind: OrderReportKind,
    /// How the order stands behind that.
    pub status: OrderStatus,
    /// The session's number of the order.
    pub client_ref: ClientRef,
    /// Ours.
    pub order: OrderId,
    /// What the client said besides, in FIX's codes: Side, OrdType and OrderCapacity, as side, display and capacity.
    pub echo: Echo,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Its limit; no meaning for a market order.
    pub price: Price,
    /// Its whole size, what has traded counted: with orders that it replaced.
    pub quantity: Quantity,
    /// What has traded.
    pub cumulative: Quantity,
    /// What is open; 0 when it lives no more.
    pub leaves: Quantity,
    /// What that came to, in ticks × lots: within bounds for whatever an instrument takes.
    pub notional: i64,
    /// The client's text for the order, or for the request that this answers.
    pub client_order_id: ClientOrderId,
    /// The client's text for the order, when this answers a request with one of its own; else blank.
    pub original_id: ClientOrderId,
}

/// What was refused without a book's doing, or by a book that had let go of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedRequest {
    /// A new order, in the client's words.
    Order {
        /// The instrument that it names, which may not exist.
        symbol: Symbol,
        /// FIX's code of the side.
        side_code: u8,
        /// Its size, in units.
        units: u64,
    },
    /// A cancel of an order; [`OrderId::NONE`](crate::BookScopedId::NONE) when there is none.
    Cancel {
        /// Ours.
        order: OrderId,
        /// How that order stands, as far as whoever writes this knows.
        status: OrderStatus,
    },
    /// A replacement of an order.
    Replace {
        /// Ours.
        order: OrderId,
        /// How that order stands.
        status: OrderStatus,
    },
}

impl RefusedRequest {
    /// Without how the order stands, which two who hear of it at different times may see differently.
    #[must_use]
    pub const fn without_status(self) -> Self {
        let status = OrderStatus::Rejected;
        match self {
            Self::Order { .. } => self,
            Self::Cancel { order, .. } => Self::Cancel { order, status },
            Self::Replace { order, .. } => Self::Replace { order, status },
        }
    }
}

/// A request that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was asked.
    pub request: RefusedRequest,
    /// Why not.
    pub reason: RejectReason,
    /// The session's number of the request.
    pub client_ref: ClientRef,
    /// The client's text for the request.
    pub client_order_id: ClientOrderId,
    /// The client's text for the order that it names; blank for a new order.
    pub original_id: ClientOrderId,
}

/// What a FIX session asked for, as far as no command for a book says it. Stands before the command that does what was
/// asked, if there is one; touches no book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixRequest {
    /// Who asks.
    pub session: SessionId,
    /// The session's number of the request.
    pub client_ref: ClientRef,
    /// What.
    pub ask: FixAsk,
    /// The client's text for the request.
    pub client_order_id: ClientOrderId,
    /// The client's text for the order that it names; blank if none.
    pub original_id: ClientOrderId,
}

/// See [`FixRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixAsk {
    /// That an order be canceled: the command behind this one. The answer shall have the request's text.
    Cancel {
        /// The session's number of the order.
        original: ClientRef,
    },
    /// That an order be replaced: the command behind this one.
    Replace,
    /// That many orders be canceled: the command behind this one.
    MassCancel,
    /// What is refused at once.
    Refused(RefusedRequest, RejectReason),
}

/// Who is told of another session's orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DropCopy {
    /// Who is told: a FIX session.
    pub watcher: SessionId,
    /// Of whose orders: any session but itself.
    pub watched: SessionId,
    /// Whether that begins or ends.
    pub is_on: bool,
}

/// An execution report of another session's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderCopy {
    /// Whose order it is.
    pub of: SessionId,
    /// What that session is told, or would be if it spoke FIX.
    pub order: OrderReport,
}
