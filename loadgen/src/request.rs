//! What a session asks for: the little that a stream of orders decides, before it is bytes.

use domain::Side;

/// Room for the orders that each session may have planned or unanswered; older ones make room for new ones. A power
/// of two. All sessions together have 32 for each book, and at least 32,768, of about 100 bytes: enough for the
/// lifetimes of the workload, and so few that for some dozens of books they stay in the processor's caches.
pub(crate) fn orders_per_session(sessions: usize, books: usize) -> usize {
    let orders = books.saturating_mul(32).clamp(1 << 15, 1 << 20);
    (orders / sessions.max(1)).next_power_of_two().clamp(1 << 10, 1 << 17)
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
