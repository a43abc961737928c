//! What the feed counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread writes.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Release);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Release);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Counters that the feed's thread writes and anyone may read.
#[derive(Debug, Default)]
pub struct Stats {
    pub(crate) position: Count,
    pub(crate) messages: Count,
    pub(crate) packets: Count,
    pub(crate) unsent: Count,
    pub(crate) unfit: Count,
    pub(crate) requests: Count,
    pub(crate) requests_ignored: Count,
    pub(crate) requests_limited: Count,
    pub(crate) snapshots: Count,
    pub(crate) snapshots_cut: Count,
    pub(crate) snapshot_clients: Count,
    pub(crate) web_clients: Count,
    pub(crate) web_refused: Count,
    pub(crate) web_conflated: Count,
    pub(crate) web_cut: Count,
    pub(crate) turned_away: Count,
    pub(crate) displaced: Count,
    pub(crate) late: Count,
    pub(crate) logins: Count,
    pub(crate) logins_refused: Count,
}

/// What they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedStats {
    /// What lies below this in the log has been published.
    pub position: u64,
    /// Messages of this session.
    pub messages: u64,
    /// Packets sent, each destination's counted.
    pub packets: u64,
    /// Packets that the system did not take, which are lost.
    pub unsent: u64,
    /// Changes that do not fit in a message.
    pub unfit: u64,
    /// Requests for lost messages that were answered.
    pub requests: u64,
    /// Requests that ask for nothing that there is, or from where nobody may ask.
    pub requests_ignored: u64,
    /// Requests beyond what an address may ask for.
    pub requests_limited: u64,
    /// Snapshots given.
    pub snapshots: u64,
    /// Clients cut off before they had their snapshot.
    pub snapshots_cut: u64,
    /// Clients that are being served.
    pub snapshot_clients: u64,
    /// WebSocket clients that are there.
    pub web_clients: u64,
    /// Those who found no place.
    pub web_refused: u64,
    /// How often one that was behind was given snapshots instead.
    pub web_conflated: u64,
    /// Those cut off because they said, or took, nothing.
    pub web_cut: u64,
    /// Connections from where none may come, or from an address that has enough.
    pub turned_away: u64,
    /// Connections closed for others, for they had not logged in.
    pub displaced: u64,
    /// Connections closed because they had not logged in when it was time.
    pub late: u64,
    /// Logins that succeeded, where clients must log in.
    pub logins: u64,
    /// Logins that did not.
    pub logins_refused: u64,
}

impl Stats {
    /// What they are now.
    #[must_use]
    pub fn read(&self) -> FeedStats {
        FeedStats {
            // First: what is counted below has been counted when this was set.
            position: self.position.get(),
            messages: self.messages.get(),
            packets: self.packets.get(),
            unsent: self.unsent.get(),
            unfit: self.unfit.get(),
            requests: self.requests.get(),
            requests_ignored: self.requests_ignored.get(),
            requests_limited: self.requests_limited.get(),
            snapshots: self.snapshots.get(),
            snapshots_cut: self.snapshots_cut.get(),
            snapshot_clients: self.snapshot_clients.get(),
            web_clients: self.web_clients.get(),
            web_refused: self.web_refused.get(),
            web_conflated: self.web_conflated.get(),
            web_cut: self.web_cut.get(),
            turned_away: self.turned_away.get(),
            displaced: self.displaced.get(),
            late: self.late.get(),
            logins: self.logins.get(),
            logins_refused: self.logins_refused.get(),
        }
    }
}
