//! Commands: intents, in the one order that the sequencer gives them.

use crate::{
    AccountId, CancelReason, ClientOrderId, ClientRef, DropCopy, Echo, Epoch, FixRequest, Instructions,
    Instrument, InstrumentId, Nanos, OrderId, OrderType, Owner, Price, Protocol, Quantity, RejectReason,
    Sequence, SessionId, Side, TimeInForce, UserName,
};

/// A command with its place in the global order and the time at which it got that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced<T> {
    /// Its place.
    pub sequence: Sequence,
    /// The only time that anything it causes may know.
    pub nanos: Nanos,
    /// What is asked.
    pub command: T,
}

/// What is asked of the exchange. Everything that can change a book is one of these, journaled before any book
/// sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Enter an order.
    Enter(EnterOrder),
    /// Cancel what is left of an order.
    Cancel(CancelOrder),
    /// Make an order smaller; it keeps its priority.
    Reduce(ReduceOrder),
    /// Put a new order in an old one's place.
    Replace(ReplaceOrder),
    /// A request that was refused before it reached a book, kept for audit. Touches no book.
    Rejected(PreRejected),
    /// An instrument can be traded from here on. The first defined has index 0, the next 1, without a gap, so what an
    /// index means is part of the journal and not of a file beside it. Touches no book.
    DefineInstrument(Instrument),
    /// A session exists from here on, for this user. Indexes as for instruments. Touches no book.
    DefineSession(SessionDefinition),
    /// Market-wide: every book cancels its Day orders, at this place in its sequence.
    EndOfDay,
    /// Enter an order that asks for more than a plain one.
    EnterSpecial(EnterSpecial),
    /// Put a new order that asks for more than a plain one in an old one's place.
    ReplaceSpecial(ReplaceSpecial),
    /// Cancel many orders at once, in one book or in all.
    MassCancel(MassCancel),
    /// Time passes in one book: orders whose date has come expire, stop orders that still wait for their turn get
    /// it. Every command of a book does this first; this one is for when no other comes.
    Advance(InstrumentId),
    /// Another primary sequences from here on: the first command of its epoch. Touches no book.
    EpochStart(Epoch),
    /// What a FIX session asked for that the command behind this one cannot say, or that is refused. Touches no book.
    FixRequest(FixRequest),
    /// What one session is told is told to another one as well from here on, or no more. Touches no book.
    DropCopy(DropCopy),
}

impl Command {
    /// The one book that this command is for; `None` when it is for none or for all.
    #[must_use]
    pub const fn instrument(&self) -> Option<InstrumentId> {
        match self {
            Self::Enter(c) => Some(c.order.instrument()),
            Self::Cancel(c) => Some(c.order.instrument()),
            Self::Reduce(c) => Some(c.order.instrument()),
            Self::Replace(c) => Some(c.order.instrument()),
            Self::EnterSpecial(c) => Some(c.enter.order.instrument()),
            Self::ReplaceSpecial(c) => Some(c.replace.order.instrument()),
            Self::MassCancel(c) => c.instrument,
            Self::Advance(instrument) => Some(*instrument),
            Self::Rejected(_)
            | Self::DefineInstrument(_)
            | Self::DefineSession(_)
            | Self::EndOfDay
            | Self::EpochStart(_)
            | Self::FixRequest(_)
            | Self::DropCopy(_) => None,
        }
    }

    /// The order that a plain command is about, for a look ahead; of any other, an id that no order has. In every
    /// plain command it is the first field, so the compiler makes this one load without a branch.
    #[inline(always)]
    #[must_use]
    pub const fn names(&self) -> OrderId {
        match self {
            Self::Enter(c) => c.order,
            Self::Cancel(c) => c.order,
            Self::Reduce(c) => c.order,
            Self::Replace(c) => c.order,
            _ => OrderId::NONE,
        }
    }

    /// Where a plain order enters, for a look ahead; `None` for every other command.
    #[inline(always)]
    #[must_use]
    pub const fn enters(&self) -> Option<(Side, Price)> {
        match self {
            Self::Enter(c) => Some((c.side, c.price)),
            _ => None,
        }
    }

    /// Whether it takes effect in every book.
    #[must_use]
    pub const fn is_market_wide(&self) -> bool {
        matches!(self, Self::EndOfDay | Self::MassCancel(MassCancel { instrument: None, .. }))
    }
}

/// Enter an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)] // the order comes first, as `Command::names` says
pub struct EnterOrder {
    /// The order's id, given by the sequencer: the instrument's next number.
    pub order: OrderId,
    /// Whose it is.
    pub owner: Owner,
    /// The limit; no meaning for a market order.
    pub price: Price,
    /// How much.
    pub quantity: Quantity,
    /// Who it is for.
    pub account: AccountId,
    /// Buy or sell.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// What the client said that the engine does not read.
    pub echo: Echo,
    /// The client's own text.
    pub client_order_id: ClientOrderId,
}

/// Cancel what is left of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)] // the order comes first, as `Command::names` says
pub struct CancelOrder {
    /// Which order.
    pub order: OrderId,
    /// Whose it is; a book refuses to cancel another's.
    pub owner: Owner,
    /// What the report shall say.
    pub reason: CancelReason,
}

/// Make an order smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)] // the order comes first, as `Command::names` says
pub struct ReduceOrder {
    /// Which order.
    pub order: OrderId,
    /// Whose it is.
    pub owner: Owner,
    /// The new whole size, counting what has been executed on the order and on those that it replaced. What has
    /// been executed stays executed: at or below it, the rest is canceled.
    pub total: Quantity,
    /// Which request it was.
    pub kind: ReduceKind,
}

/// Which request made an order smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceKind {
    /// A partial cancel.
    Cancel,
    /// A modification, which may also change how the side is marked (the engine does not read the mark).
    Modify {
        /// The wire's code of the side.
        side_code: u8,
    },
}

/// Whether a replacement may keep its predecessor's place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReplacePriority {
    /// Kept when the price is unchanged and what is open does not grow.
    KeepWherePossible = 0,
    /// Always lost, as OUCH specifies.
    Lose = 1,
}

/// Put a new order in an old one's place. Side and account are those of the old order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)] // the order comes first, as `Command::names` says
pub struct ReplaceOrder {
    /// The order to be replaced.
    pub order: OrderId,
    /// The new order's id: the instrument's next number.
    pub new_order: OrderId,
    /// Whose it is, with the new order's number.
    pub owner: Owner,
    /// The new limit.
    pub price: Price,
    /// The new whole size, counting what has been executed on the order and on those that it replaced. At or
    /// below that, the old order is canceled and no new one is made.
    pub total: Quantity,
    /// The session's number of the order to be replaced.
    pub original: ClientRef,
    /// How the new order is priced.
    pub order_type: OrderType,
    /// How long the new order lives.
    pub time_in_force: TimeInForce,
    /// Whether the place in the queue may be kept.
    pub priority: ReplacePriority,
    /// What the client said that the engine does not read.
    pub echo: Echo,
    /// The client's own text for the new order.
    pub client_order_id: ClientOrderId,
}

/// Enter an order that asks for more than a plain one. With [`Instructions::NONE`] it does what
/// [`Command::Enter`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnterSpecial {
    /// What every order says.
    pub enter: EnterOrder,
    /// What it asks for besides.
    pub instructions: Instructions,
}

/// Put a new order with instructions of its own in an old one's place. (A plain [`Command::Replace`] keeps those of
/// the old order.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplaceSpecial {
    /// What every replacement says.
    pub replace: ReplaceOrder,
    /// What the new order asks for besides.
    pub instructions: Instructions,
}

/// Cancel every order that fits all that is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MassCancel {
    /// Who asks, with the session's own number of the request.
    pub owner: Owner,
    /// In this book; `None` for every book.
    pub instrument: Option<InstrumentId>,
    /// Orders of this session.
    pub session: Option<SessionId>,
    /// Orders of this account.
    pub account: Option<AccountId>,
    /// Orders of this side.
    pub side: Option<Side>,
}

/// A session and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionDefinition {
    /// The session.
    pub session: SessionId,
    /// The user that it belongs to.
    pub user: UserName,
    /// What it speaks.
    pub protocol: Protocol,
}

/// A request refused before it reached a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreRejected {
    /// Whose request.
    pub session: SessionId,
    /// The number that the request used up.
    pub client_ref: ClientRef,
    /// The client's own text.
    pub client_order_id: ClientOrderId,
    /// Why.
    pub reason: RejectReason,
}
