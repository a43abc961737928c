//! What a session asks for: the little that a stream of orders decides, before it is bytes.

use domain::Side;

/// Orders that all sessions together may have planned or unanswered: 12 MiB in all, so that what is touched again
/// soon is still in the processor's caches.
const ORDERS: usize = 1 << 17;

/// Room for the orders that each session may have planned or unanswered; older ones make room for new ones. A power
/// of two.
pub(crate) fn orders_per_session(sessions: usize) -> usize {
    (ORDERS / sessions.max(1)).next_power_of_two().clamp(1 << 10, 1 << 16)
}

/// A session's own number for an order within one run, from 1. The connection adds what the session had used up
/// before the run.
pub(crate) type Number = u32;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The session's index.
    pub(crate) session: usize,
    /// The order that is entered, changed or canceled.
    pub(crate) number: Number,
    /// What is asked.
    pub(crate) ask: Ask,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A new limit order.
    Enter {
        /// The book's index.
        book: usize,
        side: Side,
        /// Ten-thousandths of the currency unit.
        price_e4: u64,
        /// Units.
        quantity: u32,
        /// Immediate or cancel; otherwise for the day.
        immediate: bool,
    },
    /// A smaller whole size, counting what was executed.
    Reduce { total: u32 },
    /// Nothing more of it.
    Cancel,
    /// `number` in the place of `original`.
    Replace { original: Number, price_e4: u64, quantity: u32 },
}
