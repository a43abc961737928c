//! Reports: one session's view of what happened, with that session's outbound number.

use crate::{
    CancelReason, ClientOrderId, ClientRef, Instructions, InstrumentId, Nanos, OrderCopy, OrderId,
    OrderReport, OrderType, Price, Quantity, Refused, RejectReason, Sequence, SessionId, TimeInForce,
    TradeId,
};

/// What a client said of an order that the engine does not read and the client's reports repeat, as the wire's
/// own codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// How the side is marked: OUCH's B, S, T, E.
    pub side: u8,
    /// How it is displayed: OUCH's Y, A.
    pub display: u8,
    /// In which capacity it was entered.
    pub capacity: u8,
    /// Intermarket sweep eligibility.
    pub intermarket_sweep: u8,
    /// The cross that it is for; N for continuous trading.
    pub cross: u8,
}

/// One message of one session, numbered. The report is what the session log keeps: a resend reads it back and
/// encodes it, and gives the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whose it is.
    pub session: SessionId,
    /// Its place among the session's outbound messages; the first is 1, and there is no gap.
    pub number: u64,
    /// The command that caused it; 0 when none did.
    pub sequence: Sequence,
    /// The book that said so; `None` when the exchange answered without one.
    pub instrument: Option<InstrumentId>,
    /// The event's index within its command and book. Book, sequence and index tell a recovery which reports
    /// have been numbered already.
    pub index: u32,
    /// When, in sequenced time.
    pub nanos: Nanos,
    /// What it says.
    pub kind: ReportKind,
}

/// What a report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// The session's day began or ended.
    System(SystemCode),
    /// An order is in.
    Accepted {
        /// The session's number of the order.
        client_ref: ClientRef,
        /// Ours.
        order: OrderId,
        /// How it is priced.
        order_type: OrderType,
        /// How long it lives.
        time_in_force: TimeInForce,
        /// Its limit; no meaning for a market order.
        price: Price,
        /// How much.
        quantity: Quantity,
        /// What it asked for besides; of a plain order none.
        instructions: Option<Instructions>,
        /// What the client said besides.
        echo: Echo,
        /// The client's own text.
        client_order_id: ClientOrderId,
    },
    /// A new order stands in an old one's place.
    Replaced {
        /// The session's number of the order that is gone.
        original: ClientRef,
        /// The session's number of the new order.
        client_ref: ClientRef,
        /// Ours.
        order: OrderId,
        /// How it is priced.
        order_type: OrderType,
        /// How long it lives.
        time_in_force: TimeInForce,
        /// Its limit.
        price: Price,
        /// What is open now.
        quantity: Quantity,
        /// What it asked for besides; of a plain order none.
        instructions: Option<Instructions>,
        /// What the client said besides.
        echo: Echo,
        /// The client's own text.
        client_order_id: ClientOrderId,
    },
    /// Some or all of an order is gone.
    Canceled {
        /// The session's number of the order.
        client_ref: ClientRef,
        /// Ours.
        order: OrderId,
        /// How much is gone now.
        quantity: Quantity,
        /// Why.
        reason: CancelReason,
    },
    /// Some or all of an order traded.
    Executed {
        /// The session's number of the order.
        client_ref: ClientRef,
        /// Ours.
        order: OrderId,
        /// The trade, the same for both sides.
        trade: TradeId,
        /// At which price.
        price: Price,
        /// How much.
        quantity: Quantity,
        /// What is left of the order.
        leaves: Quantity,
        /// Whether the order was there first.
        liquidity: Liquidity,
    },
    /// An order was refused.
    Rejected {
        /// The number that the request used up.
        client_ref: ClientRef,
        /// Why.
        reason: RejectReason,
        /// The client's own text.
        client_order_id: ClientOrderId,
    },
    /// An order is smaller, or its side is marked otherwise.
    Modified {
        /// The session's number of the order.
        client_ref: ClientRef,
        /// Ours.
        order: OrderId,
        /// What is open now.
        quantity: Quantity,
        /// The wire's code of the side.
        side_code: u8,
    },
    /// The answer to a question about the session.
    AccountQuery {
        /// The lowest number that a new order may use.
        next: ClientRef,
    },
    /// What is left of a market-to-limit order is a limit order from here on.
    Restated {
        /// The session's number of the order.
        client_ref: ClientRef,
        /// Ours.
        order: OrderId,
        /// Its limit.
        price: Price,
        /// What is open.
        leaves: Quantity,
    },
    /// The next part of an iceberg is shown.
    Refreshed {
        /// The session's number of the order.
        client_ref: ClientRef,
        /// Ours.
        order: OrderId,
        /// Lots shown now; above 0.
        shown: Quantity,
        /// What is open, shown or not.
        leaves: Quantity,
    },
    /// A stop order's price was reached.
    Triggered {
        /// The session's number of the order.
        client_ref: ClientRef,
        /// Ours.
        order: OrderId,
        /// The trade that reached it.
        price: Price,
    },
    /// An order became smaller instead of trading within its own group, and goes on.
    Decremented {
        /// The session's number of the order.
        client_ref: ClientRef,
        /// Ours.
        order: OrderId,
        /// How much was taken off.
        quantity: Quantity,
        /// What is left; above 0.
        leaves: Quantity,
        /// At which price it would have traded.
        price: Price,
        /// Whether the order was there first.
        liquidity: Liquidity,
    },
    /// A cancel or a reduction did not happen.
    CancelRejected {
        /// The session's number of the order that the request named.
        client_ref: ClientRef,
        /// Ours.
        order: OrderId,
        /// Why.
        reason: RejectReason,
    },
    /// A mass cancel has been done in one book; the `Canceled` of each order stands before this.
    MassCanceled {
        /// The session's number of the request.
        client_ref: ClientRef,
        /// Orders canceled in this book, whoever's they were.
        canceled: u32,
    },
    /// To a FIX session: what became of an order.
    Order(OrderReport),
    /// To a FIX session: a request came to nothing.
    Refused(Refused),
    /// To a FIX session: a message that is not said again, for what it said is over: a heartbeat, a logon, an answer to a
    /// question. Nothing causes it; it uses up a number.
    Said(Said),
    /// To a FIX session: what became of another session's order.
    Copy(OrderCopy),
}

/// Whether a numbering begins. The numbers are those of the journal and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Numbering {
    /// The present one goes on.
    GoesOn = 0,
    /// The message is the first of a new one.
    Resets = 1,
    /// No message: a new one begins with the next.
    RollsOver = 2,
}

impl Numbering {
    /// From the journal's number.
    #[must_use]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::GoesOn),
            1 => Some(Self::Resets),
            2 => Some(Self::RollsOver),
            _ => None,
        }
    }
}

/// How the numbers of a FIX session stand behind a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether a numbering begins, in both directions.
    pub numbering: Numbering,
    /// The number that is expected next from the client, at least.
    pub next_in: u64,
    /// What the number of a client's message is counted from, to give the session's number of its request.
    pub ref_base: ClientRef,
}

/// Whether an order was there first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Liquidity {
    /// It rested, and the other came.
    Added = 0,
    /// It came, and the other rested.
    Removed = 1,
}

impl Liquidity {
    /// From the journal's number.
    #[must_use]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Added),
            1 => Some(Self::Removed),
            _ => None,
        }
    }
}

/// What happened to a session's day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SystemCode {
    /// It began; always the session's first message.
    StartOfDay = 0,
    /// It ended.
    EndOfDay = 1,
}

impl SystemCode {
    /// From the journal's number.
    #[must_use]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::StartOfDay),
            1 => Some(Self::EndOfDay),
            _ => None,
        }
    }
}
