//! What is counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that the thread writes and anyone may read.
#[derive(Debug, Default)]
pub struct Stats {
    pub(crate) sessions: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) conflated: AtomicU64,
    pub(crate) cut: AtomicU64,
}

/// What they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuoteStats {
    /// Sessions that are logged on.
    pub sessions: u64,
    /// Connections that found no place.
    pub refused: u64,
    /// Requests for market data.
    pub requests: u64,
    /// Snapshots and changes told.
    pub messages: u64,
    /// How often a session that was behind in a book was told a snapshot instead of what it had missed.
    pub conflated: u64,
    /// Connections cut off for what their clients did, or did not do.
    pub cut: u64,
}

pub(crate) fn add(counter: &AtomicU64, many: u64) {
    counter.fetch_add(many, Ordering::Relaxed);
}

impl Stats {
    /// What they are now.
    #[must_use]
    pub fn read(&self) -> QuoteStats {
        let Self { sessions, refused, requests, messages, conflated, cut } = self;
        let [sessions, refused, requests, messages, conflated, cut] =
            [sessions, refused, requests, messages, conflated, cut]
                .map(|counter| counter.load(Ordering::Relaxed));
        QuoteStats { sessions, refused, requests, messages, conflated, cut }
    }
}
