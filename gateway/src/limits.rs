//! What bounds the gateway's clients, and what the gateway has counted.

use std::time::Duration;

use door::{
    auth::AuthStats,
    lobby::{LobbyLimits, LobbyStats},
};

use crate::admission::{AdmissionLimits, AdmissionStats};

/// What bounds the gateway's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; further ones are closed at once.
    pub connections_max: usize,
    /// Of those, how many of an address, and how many that have not logged in.
    pub lobby: LobbyLimits,
    /// Bytes that a client may leave unread before it is cut off.
    pub unsent_max: usize,
    /// Orders that a session may have open.
    pub open_orders_max: usize,
    /// Messages that clients who are behind are given in a second, all of them together; 0 for any number.
    pub resend_per_second: u32,
    /// How long a connection may take to log in.
    pub login_timeout: Duration,
    /// How long a client may be silent.
    pub silence_max: Duration,
    /// How long a client may be away before its orders are canceled, if it asked for that.
    pub absent: Duration,
    /// The same after a start or a takeover.
    pub absent_at_start: Duration,
    /// How long the server is silent before it sends a heartbeat.
    pub heartbeat: Duration,
    /// What waits before it is sequenced.
    pub admission: AdmissionLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            lobby: LobbyLimits::default(),
            unsent_max: 4 << 20,
            open_orders_max: 100_000,
            resend_per_second: 500_000,
            login_timeout: Duration::from_secs(30),
            silence_max: Duration::from_secs(15),
            absent: Duration::ZERO,
            absent_at_start: Duration::from_secs(30),
            heartbeat: Duration::from_secs(1),
            admission: AdmissionLimits::default(),
        }
    }
}

/// What the gateway has done, for whoever shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatewayStats {
    /// Connections now.
    pub connections: usize,
    /// Of those, logged in.
    pub logged_in: usize,
    /// Requests taken.
    pub requests: u64,
    /// Of those, ignored as the protocol asks.
    pub ignored: u64,
    /// Reports numbered.
    pub reports: u64,
    /// Of those, numbered as rejects.
    pub rejected: u64,
    /// Times that a request waited for room.
    pub stalled: u64,
    /// Connections closed for what their client did.
    pub cut_off: u64,
    /// What waited before it was sequenced.
    pub admission: AdmissionStats,
    /// Connections that were not opened, or not kept.
    pub lobby: LobbyStats,
    /// What has come of logins.
    pub auth: AuthStats,
}
