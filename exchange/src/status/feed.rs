//! What the status shows of market data.

use std::fmt::Write as _;

use feed::FeedStats;
use serde::{Deserialize, Serialize};

use super::Counters;

/// Market data, since the session's start; "lately" is since the line before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FeedStatus {
    pub(crate) messages: u64,
    pub(crate) messages_per_second: f64,
    pub(crate) packets: u64,
    /// Packets that the system did not take.
    pub(crate) unsent: u64,
    /// Changes that do not fit in a message.
    pub(crate) unfit: u64,
    pub(crate) requests: u64,
    pub(crate) requests_ignored: u64,
    pub(crate) requests_limited: u64,
    pub(crate) snapshots: u64,
    pub(crate) snapshots_cut: u64,
    pub(crate) snapshot_clients: u64,
    pub(crate) websocket_clients: u64,
    pub(crate) websocket_refused: u64,
    /// How often a WebSocket client that was behind was given snapshots instead of what it had missed.
    pub(crate) websocket_conflated: u64,
    pub(crate) websocket_cut: u64,
    /// Connections from where none may come, or from an address that has enough.
    #[serde(default)]
    pub(crate) turned_away: u64,
    /// Connections closed for others, or when it was time, for they had not logged in.
    #[serde(default)]
    pub(crate) not_logged_in: u64,
    /// Logins that succeeded, and that did not, where clients must log in.
    #[serde(default)]
    pub(crate) logins: u64,
    #[serde(default)]
    pub(crate) logins_refused: u64,
    /// Sessions that are told by FIX.
    #[serde(default)]
    pub(crate) fix_sessions: u64,
    #[serde(default)]
    pub(crate) fix_refused: u64,
    #[serde(default)]
    pub(crate) fix_requests: u64,
    #[serde(default)]
    pub(crate) fix_messages: u64,
    /// How often a FIX session that was behind in a book was given a snapshot instead of what it had missed.
    #[serde(default)]
    pub(crate) fix_conflated: u64,
    #[serde(default)]
    pub(crate) fix_cut: u64,
    /// Turns of the front in which events waited, because the feed was behind.
    pub(crate) held_back: u64,
    pub(crate) held_back_lately: u64,
}

impl FeedStatus {
    pub(super) fn between(before: &Counters, feed: &FeedStats, now: &Counters, seconds: f64) -> Self {
        let earlier = before.feed.unwrap_or_default();
        let messages = feed.messages.saturating_sub(earlier.messages);
        let quotes = now.quotes.unwrap_or_default();
        Self {
            messages: feed.messages,
            messages_per_second: super::rounded(messages as f64 / seconds),
            packets: feed.packets,
            unsent: feed.unsent,
            unfit: feed.unfit,
            requests: feed.requests,
            requests_ignored: feed.requests_ignored,
            requests_limited: feed.requests_limited,
            snapshots: feed.snapshots,
            snapshots_cut: feed.snapshots_cut,
            snapshot_clients: feed.snapshot_clients,
            websocket_clients: feed.web_clients,
            websocket_refused: feed.web_refused,
            websocket_conflated: feed.web_conflated,
            websocket_cut: feed.web_cut,
            turned_away: feed.turned_away,
            not_logged_in: feed.displaced + feed.late,
            logins: feed.logins,
            logins_refused: feed.logins_refused,
            fix_sessions: quotes.sessions,
            fix_refused: quotes.refused,
            fix_requests: quotes.requests,
            fix_messages: quotes.messages,
            fix_conflated: quotes.conflated,
            fix_cut: quotes.cut,
            held_back: now.feed_held_back,
            held_back_lately: now.feed_held_back.saturating_sub(before.feed_held_back),
        }
    }

    /// In a few words; what is as it should be is left out.
    pub(super) fn text(&self) -> String {
        let mut text = format!("feed {:.0} messages/s", self.messages_per_second);
        let mut put = |count: u64, what: &str| {
            if count > 0 {
                // Writing to a string cannot fail.
                let _ = write!(text, ", {count} {what}");
            }
        };
        put(self.unsent, "packets not sent");
        put(self.unfit, "changes that do not fit");
        put(self.requests_limited, "requests beyond the bound");
        put(self.snapshots_cut, "snapshots cut off");
        put(self.websocket_refused, "web clients without a place");
        put(self.websocket_cut, "web clients cut off");
        put(self.turned_away, "connections turned away");
        put(self.not_logged_in, "that did not log in");
        put(self.logins_refused, "logins refused");
        put(self.fix_refused, "FIX clients without a place");
        put(self.fix_cut, "FIX clients cut off");
        if self.held_back_lately > 0 {
            text += ", BEHIND: the front waits for it";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_stands_out() {
        let mut feed = FeedStatus { messages_per_second: 12.0, ..FeedStatus::default() };
        assert_eq!(feed.text(), "feed 12 messages/s");
        (feed.unsent, feed.snapshots_cut, feed.held_back_lately) = (3, 1, 2);
        assert_eq!(
            feed.text(),
            "feed 12 messages/s, 3 packets not sent, 1 snapshots cut off, BEHIND: the front waits for it"
        );
    }
}
