//! What a book holds, and what it has said, in 64 bits each.
//!
//! * [`book_hash`]: XXH3-64 over a canonical string of bytes that lists all that a book holds, independent of how
//!   the book holds it. Two books with the same hash answer every further command alike.
//! * [`EventHash`]: a chain over every event of a book. Two runs with the same hash said the same.
//!
//! They find mistakes (a replay that differs, a standby that has drifted), not forgeries: XXH3 is no
//! cryptographic hash. It was taken because it is specified, gives the same value on every machine, has a
//! published test-vector suite, and takes a few nanoseconds for each order.
//!
//! The bytes are part of what operators compare between versions: `docs/state-hash.md` has them exactly, tests
//! pin values, and a change needs a new [`FORMAT`].

use core::fmt;

use domain::{
    Display, Event, EventKind, Execution, Instructions, Owner, PostOnly, ReduceKind, Side, Trigger,
};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::book::{BookHeader, BookView, RestingOrder, Special, Waiting};

/// The version of the bytes that are hashed; it is among them. What makes an order special stands behind the bytes that
/// every order has, so books and events without any have the bytes that they had before there were special orders.
pub const FORMAT: u32 = 1;

/// Bytes of the header.
const HEADER: usize = 128;
/// Bytes that every order has.
const ORDER: usize = 64;
/// Bytes that a special order has besides.
const SPECIAL: usize = 72;
/// Bytes of the longest event, a trade.
const EVENT_MAX: usize = 98;

/// The hash of what a book holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateHash(pub u64);

impl StateHash {
    /// The hash of two sets of books from those of each: the wrapping sum. Books may be added in any order, so
    /// the exchange's hash does not depend on which shard ran which book; of no books it is 0.
    #[must_use]
    pub const fn combine(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl fmt::Display for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The hash of all that a book holds.
#[must_use]
pub fn book_hash<B: BookView>(book: &B) -> StateHash {
    let mut hash = Xxh3::new();
    hash.update(header_bytes(&book.header()).as_slice());
    let mut add = |order: &RestingOrder| {
        hash.update(order_bytes(order).as_slice());
        if let Some(special) = &order.special {
            hash.update(special_bytes(special).as_slice());
        }
    };
    for side in [Side::Buy, Side::Sell] {
        book.visit(side, &mut add);
    }
    book.visit_stops(&mut add);
    StateHash(hash.digest())
}

/// The hash of all that a book has said, event by event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventHash(pub u64);

impl EventHash {
    /// Adds the book's next event: the hash so far is the seed of the next.
    pub fn update(&mut self, event: &Event) {
        self.0 = xxh3_64_with_seed(event_bytes(event).as_slice(), self.0);
    }

    /// The hash of two sets of books from those of each: the wrapping sum, as for [`StateHash::combine`].
    #[must_use]
    pub const fn combine(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl fmt::Display for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Little-endian bytes, one field behind the other, on the stack.
struct Bytes<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Bytes<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    #[inline]
    fn put<const M: usize>(&mut self, field: [u8; M]) -> &mut Self {
        self.bytes[self.len..self.len + M].copy_from_slice(&field);
        self.len += M;
        self
    }

    #[inline]
    fn u8(&mut self, n: u8) -> &mut Self {
        self.put([n])
    }

    #[inline]
    fn u32(&mut self, n: u32) -> &mut Self {
        self.put(n.to_le_bytes())
    }

    #[inline]
    fn u64(&mut self, n: u64) -> &mut Self {
        self.put(n.to_le_bytes())
    }

    #[inline]
    fn i64(&mut self, n: i64) -> &mut Self {
        self.put(n.to_le_bytes())
    }

    #[inline]
    fn owner(&mut self, owner: Owner) -> &mut Self {
        self.u32(owner.session.0).u32(owner.client_ref.0)
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn header_bytes(header: &BookHeader) -> Bytes<HEADER> {
    let counters = &header.counters;
    let (trade, price, quantity) =
        header.last_trade.map_or((0, 0, 0), |last| (last.trade.0, last.price.ticks(), last.quantity.lots()));
    let mut to = Bytes::new();
    to.u32(FORMAT).u32(header.instrument.0).u64(header.last_sequence.0).u64(header.next_order_number);
    to.u64(counters.commands).u64(counters.accepted).u64(counters.replaced).u64(counters.reduced);
    to.u64(counters.canceled).u64(counters.rejected).u64(counters.trades).put(counters.traded.to_le_bytes());
    to.u64(trade).i64(price).u64(quantity).u64(header.resting);
    to
}

fn order_bytes(order: &RestingOrder) -> Bytes<ORDER> {
    let mut to = Bytes::new();
    to.u64(order.order.0).owner(order.owner).u32(order.account.0);
    to.u8(order.side as u8).u8(order.time_in_force as u8).u8(u8::from(order.special.is_some())).u8(0);
    to.i64(order.price.ticks()).u64(order.leaves.lots()).u64(order.executed.lots());
    to.u64(order.queued_by.0).u64(order.queued_at.0);
    to
}

fn special_bytes(special: &Special) -> Bytes<SPECIAL> {
    let Special { instructions, order_type, shown, refreshes, waiting } = *special;
    let Instructions { trigger, display, execution, self_trade, expires } = instructions;
    let (trigger, trigger_value) = match trigger {
        Trigger::None => (0, 0),
        Trigger::Stop(price) => (1, price.ticks()),
        Trigger::Trailing { ticks } => (2, ticks as i64),
    };
    let (display, peak, spread, seed) = match display {
        Display::Full => (0, 0, 0, 0),
        Display::Iceberg { peak, spread, seed } => (1, peak.lots(), spread, seed),
        Display::Hidden => (2, 0, 0, 0),
    };
    let (execution, minimum) = match execution {
        Execution::Any => (0, 0),
        Execution::Minimum(quantity) => (1, quantity.lots()),
        Execution::AllOrNone => (2, 0),
        Execution::PostOnly(PostOnly::Reject) => (3, 0),
        Execution::PostOnly(PostOnly::Slide) => (4, 0),
    };
    let (group, policy) = self_trade.map_or((0, 0), |of| (of.group.get(), of.policy as u8));
    let (waiting, reached_at) = match waiting {
        Waiting::No => (0, None),
        Waiting::ForTrigger(price) => (1, price),
        Waiting::ForTurn => (2, None),
    };
    let mut to = Bytes::new();
    to.u8(order_type as u8).u8(trigger).u8(display).u8(execution).u8(policy);
    to.u8(waiting).u8(u8::from(reached_at.is_some())).u8(0);
    to.i64(trigger_value).u64(peak).u64(minimum).u64(expires.0).u32(spread).u32(seed).u32(group);
    to.u32(refreshes).u64(shown.lots()).i64(reached_at.map_or(0, |price| price.ticks()));
    to
}

fn event_bytes(event: &Event) -> Bytes<EVENT_MAX> {
    let mut to = Bytes::new();
    to.u64(event.sequence.0).u64(event.nanos.0).u32(event.instrument.0).u32(event.index);
    match event.kind {
        EventKind::Accepted { order, owner, side, order_type, time_in_force, price, quantity } => {
            to.u8(1).u64(order.0).owner(owner).u8(side as u8).u8(order_type as u8).u8(time_in_force as u8);
            to.i64(price.ticks()).u64(quantity.lots());
        }
        EventKind::Rejected { order, owner, reason } => {
            to.u8(2).u64(order.0).owner(owner).u8(reason as u8);
        }
        EventKind::Traded {
            trade,
            price,
            quantity,
            taker_side,
            maker,
            maker_owner,
            maker_leaves,
            taker,
            taker_owner,
            taker_leaves,
        } => {
            to.u8(3).u64(trade.0).i64(price.ticks()).u64(quantity.lots()).u8(taker_side as u8);
            to.u64(maker.0).owner(maker_owner).u64(maker_leaves.lots());
            to.u64(taker.0).owner(taker_owner).u64(taker_leaves.lots());
        }
        EventKind::Canceled { order, owner, quantity, reason } => {
            to.u8(4).u64(order.0).owner(owner).u64(quantity.lots()).u8(reason as u8);
        }
        EventKind::Reduced { order, owner, quantity, leaves, kind } => {
            to.u8(5).u64(order.0).owner(owner).u64(quantity.lots()).u64(leaves.lots());
            match kind {
                ReduceKind::Cancel => to.u8(0).u8(0),
                ReduceKind::Modify { side_code } => to.u8(1).u8(side_code),
            };
        }
        EventKind::Replaced { old, original, order, owner, side, price, leaves, kept_priority } => {
            to.u8(6).u64(old.0).u32(original.0).u64(order.0).owner(owner).u8(side as u8);
            to.i64(price.ticks()).u64(leaves.lots()).u8(u8::from(kept_priority));
        }
        EventKind::ReplaceRejected { old, original, order, owner, reason } => {
            to.u8(7).u64(old.0).u32(original.0).u64(order.0).owner(owner).u8(reason as u8);
        }
        EventKind::CancelRejected { order, owner, reason } => {
            to.u8(8).u64(order.0).owner(owner).u8(reason as u8);
        }
        EventKind::Triggered { order, owner, price } => {
            to.u8(9).u64(order.0).owner(owner).i64(price.ticks());
        }
        EventKind::Refreshed { order, owner, shown, leaves } => {
            to.u8(10).u64(order.0).owner(owner).u64(shown.lots()).u64(leaves.lots());
        }
        EventKind::Restated { order, owner, price, leaves } => {
            to.u8(11).u64(order.0).owner(owner).i64(price.ticks()).u64(leaves.lots());
        }
        // At which price, and which of the two it was, follows from what has been hashed.
        EventKind::Decremented { order, owner, quantity, leaves, price: _, liquidity: _ } => {
            to.u8(12).u64(order.0).owner(owner).u64(quantity.lots()).u64(leaves.lots());
        }
        EventKind::MassCanceled { owner, canceled } => {
            to.u8(13).owner(owner).u32(canceled);
        }
        EventKind::Paused { triggered } => {
            to.u8(14).u32(triggered);
        }
    }
    to
}
