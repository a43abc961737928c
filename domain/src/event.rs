//! Events: facts, said by a book, in that book's order.

use crate::{
    ClientRef, InstrumentId, Liquidity, Nanos, OrderId, OrderType, Owner, Price, Quantity, ReduceKind,
    RejectReason, Sequence, Side, TimeInForce, TradeId,
};

/// What a book did because of one command. `(sequence, instrument, index)` names it for ever: replay gives the
/// same events under the same names, however many shards run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The command that caused it.
    pub sequence: Sequence,
    /// That command's time.
    pub nanos: Nanos,
    /// The book that says so.
    pub instrument: InstrumentId,
    /// Its place among the events of this command in this book, from 0.
    pub index: u32,
    /// What happened.
    pub kind: EventKind,
}

/// What happened in a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// An order entered the book; trades and a cancel of the rest may follow.
    Accepted {
        /// Its id.
        order: OrderId,
        /// Whose it is.
        owner: Owner,
        /// Buy or sell.
        side: Side,
        /// How it is priced.
        order_type: OrderType,
        /// How long it lives.
        time_in_force: TimeInForce,
        /// Its limit; no meaning for a market order.
        price: Price,
        /// How much.
        quantity: Quantity,
    },
    /// An order did not enter the book.
    Rejected {
        /// The id that it would have had.
        order: OrderId,
        /// Whose it is.
        owner: Owner,
        /// Why.
        reason: RejectReason,
    },
    /// Two orders traded, at the resting order's price.
    Traded {
        /// The trade's id.
        trade: TradeId,
        /// The resting order's price.
        price: Price,
        /// How much.
        quantity: Quantity,
        /// The incoming order's side.
        taker_side: Side,
        /// The resting order.
        maker: OrderId,
        /// Whose it is.
        maker_owner: Owner,
        /// What is left of it.
        maker_leaves: Quantity,
        /// The incoming order.
        taker: OrderId,
        /// Whose it is.
        taker_owner: Owner,
        /// What is left of it.
        taker_leaves: Quantity,
    },
    /// What was left of an order is gone from the book.
    Canceled {
        /// Which order.
        order: OrderId,
        /// Whose it is.
        owner: Owner,
        /// How much was left, and is canceled now.
        quantity: Quantity,
        /// Why.
        reason: CancelReason,
    },
    /// An order became smaller and kept its place.
    Reduced {
        /// Which order.
        order: OrderId,
        /// Whose it is.
        owner: Owner,
        /// How much was taken off.
        quantity: Quantity,
        /// What is left; above 0.
        leaves: Quantity,
        /// Which request it was.
        kind: ReduceKind,
    },
    /// A new order took an old one's place; trades and a cancel of the rest may follow.
    Replaced {
        /// The order that is gone.
        old: OrderId,
        /// The session's number of the order that is gone.
        original: ClientRef,
        /// The new order.
        order: OrderId,
        /// Whose it is, with the new order's number.
        owner: Owner,
        /// Buy or sell.
        side: Side,
        /// The new limit.
        price: Price,
        /// What is open now.
        leaves: Quantity,
        /// Whether the new order stands where the old one stood.
        kept_priority: bool,
    },
    /// A replacement did not happen; the old order, if it lives, is as it was. When the request asked for nothing
    /// more than has been executed already, a `Canceled` of the old order stands before this.
    ReplaceRejected {
        /// The order that was to be replaced.
        old: OrderId,
        /// The session's number of that order.
        original: ClientRef,
        /// The id that the new order would have had.
        order: OrderId,
        /// Whose it is, with the number that the new order would have had.
        owner: Owner,
        /// Why.
        reason: RejectReason,
    },
    /// A stop order's price was reached. It trades, or waits for its turn to, from here on.
    Triggered {
        /// Which order.
        order: OrderId,
        /// Whose it is.
        owner: Owner,
        /// The trade that reached it.
        price: Price,
    },
    /// The next part of an iceberg is shown, last at its price.
    Refreshed {
        /// Which order.
        order: OrderId,
        /// Whose it is.
        owner: Owner,
        /// Lots shown now; above 0.
        shown: Quantity,
        /// What is open, shown or not.
        leaves: Quantity,
    },
    /// A market-to-limit order has taken the best price, and what is left of it is a limit order now.
    Restated {
        /// Which order.
        order: OrderId,
        /// Whose it is.
        owner: Owner,
        /// Its limit from here on.
        price: Price,
        /// What is open.
        leaves: Quantity,
    },
    /// An order became smaller instead of trading within its own group.
    Decremented {
        /// Which order.
        order: OrderId,
        /// Whose it is.
        owner: Owner,
        /// How much was taken off.
        quantity: Quantity,
        /// What is left; above 0.
        leaves: Quantity,
        /// At which price it would have traded: the resting order's.
        price: Price,
        /// Which of the two it was.
        liquidity: Liquidity,
    },
    /// A mass cancel has been done in this book; its `Canceled` events stand before this.
    MassCanceled {
        /// Who asked, with the session's number of the request.
        owner: Owner,
        /// Orders canceled.
        canceled: u32,
    },
    /// More stop orders were triggered than one command may execute. The book's next command goes on with them.
    Paused {
        /// Stop orders that wait for their turn.
        triggered: u32,
    },
    /// A cancel or a reduction did not happen.
    CancelRejected {
        /// Which order.
        order: OrderId,
        /// Whose it is.
        owner: Owner,
        /// Why.
        reason: RejectReason,
    },
}

impl EventKind {
    /// The one session that it concerns; `None` for a trade, which concerns two, and for what concerns none.
    #[inline]
    #[must_use]
    pub const fn owner(&self) -> Option<Owner> {
        match self {
            Self::Traded { .. } | Self::Paused { .. } => None,
            Self::Accepted { owner, .. }
            | Self::Rejected { owner, .. }
            | Self::Canceled { owner, .. }
            | Self::Reduced { owner, .. }
            | Self::Replaced { owner, .. }
            | Self::ReplaceRejected { owner, .. }
            | Self::Triggered { owner, .. }
            | Self::Refreshed { owner, .. }
            | Self::Restated { owner, .. }
            | Self::Decremented { owner, .. }
            | Self::MassCanceled { owner, .. }
            | Self::CancelRejected { owner, .. } => Some(*owner),
        }
    }
}

/// Why an order left the book without being filled. The numbers are those of the journal and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CancelReason {
    /// Its owner asked.
    Requested = 1,
    /// Immediate-or-cancel, and no more could be filled.
    ImmediateOrCancel = 2,
    /// Fill-or-kill, and not all of it could be filled.
    FillOrKill = 3,
    /// A market order, and the other side of the book is empty.
    NoLiquidity = 4,
    /// Its day is over.
    EndOfDay = 5,
    /// Its owner asked to replace it with something that cannot be, or with nothing.
    InvalidReplacement = 6,
    /// It would have traded within its own group.
    SelfTrade = 7,
    /// Less than its minimum could be filled at once.
    MinimumQuantity = 8,
    /// Its date has come.
    Expired = 9,
    /// One of many canceled at once.
    MassCancel = 10,
    /// Its owner is not connected, and asked that nothing stays in the books then.
    Disconnected = 11,
}

impl CancelReason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 11] = [
        Self::Requested,
        Self::ImmediateOrCancel,
        Self::FillOrKill,
        Self::NoLiquidity,
        Self::EndOfDay,
        Self::InvalidReplacement,
        Self::SelfTrade,
        Self::MinimumQuantity,
        Self::Expired,
        Self::MassCancel,
        Self::Disconnected,
    ];

    /// From the journal's number.
    #[must_use]
    pub fn from_u8(n: u8) -> Option<Self> {
        Self::ALL.get(usize::from(n).checked_sub(1)?).copied()
    }
}

/// Where a book says what it did. Whoever listens gets every event of every command, in order.
pub trait EventSink {
    /// The events that follow are caused by this command in this book.
    fn begin(&mut self, sequence: Sequence, nanos: Nanos, instrument: InstrumentId);

    /// Says what happened.
    fn push(&mut self, kind: EventKind);
}

/// The next event of a command in a book, but for its kind: for sinks that make [`Event`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextEvent {
    sequence: Sequence,
    nanos: Nanos,
    instrument: InstrumentId,
    index: u32,
}

impl NextEvent {
    /// The first of a command.
    #[inline(always)]
    #[must_use]
    pub const fn first(sequence: Sequence, nanos: Nanos, instrument: InstrumentId) -> Self {
        Self { sequence, nanos, instrument, index: 0 }
    }

    /// The event of this kind; behind it comes the next.
    #[inline(always)]
    pub const fn take(&mut self, kind: EventKind) -> Event {
        let Self { sequence, nanos, instrument, index } = *self;
        // A command says fewer than 2^32 events: each needs an order, which needs a cell.
        self.index = index.wrapping_add(1);
        Event { sequence, nanos, instrument, index, kind }
    }
}

/// Keeps what a book says in a list. One buffer serves many commands: a shard clears it when it has passed its
/// events on.
#[derive(Debug, Default)]
pub struct Events {
    list: Vec<Event>,
    next: NextEvent,
}

impl Events {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been said since the last [`clear`](Self::clear).
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[Event] {
        &self.list
    }

    /// Forgets what has been said; keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.list.clear();
    }
}

impl EventSink for Events {
    #[inline]
    fn begin(&mut self, sequence: Sequence, nanos: Nanos, instrument: InstrumentId) {
        self.next = NextEvent::first(sequence, nanos, instrument);
    }

    #[inline]
    fn push(&mut self, kind: EventKind) {
        self.list.push(self.next.take(kind));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_numbered_within_their_command() {
        let kind = EventKind::CancelRejected {
            order: OrderId::new(InstrumentId(3), 1),
            owner: Owner::default(),
            reason: RejectReason::UnknownOrder,
        };
        let mut events = Events::new();
        events.begin(Sequence(5), Nanos(7), InstrumentId(3));
        events.push(kind);
        events.push(kind);
        events.begin(Sequence(6), Nanos(8), InstrumentId(3));
        events.push(kind);
        let names: Vec<_> = events.as_slice().iter().map(|e| (e.sequence.0, e.index)).collect();
        assert_eq!(names, [(5, 0), (5, 1), (6, 0)]);
    }

    #[test]
    fn numbers_and_reasons_agree() {
        for (index, reason) in CancelReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index + 1);
            assert_eq!(CancelReason::from_u8(reason as u8), Some(reason));
        }
        assert_eq!(CancelReason::from_u8(0), None);
    }
}
