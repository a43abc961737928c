//! Who came in and who did not.

use door::{auth::AuthStats, lobby::LobbyStats};
use serde::{Deserialize, Serialize};

/// Connections that were not opened or not kept, and logins. Counted since the start, but for those that are said to be now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecurityStatus {
    /// Connections that have not logged in, now.
    pub(crate) unauthenticated: usize,
    /// Logins that are being verified, now.
    pub(crate) verifying: usize,
    /// Logins that succeeded.
    pub(crate) accepted: u64,
    /// Of those, known again by a digest.
    pub(crate) remembered: u64,
    /// Logins that failed.
    pub(crate) refused: u64,
    /// Logins that were not looked at, after too many failures.
    pub(crate) held_off: u64,
    /// Times that a login waited for room to be verified.
    pub(crate) later: u64,
    /// Connections from where none may come.
    pub(crate) not_allowed: u64,
    /// Connections from an address that had enough.
    pub(crate) address_full: u64,
    /// Connections closed, for they had not logged in when others came.
    pub(crate) displaced: u64,
}

impl SecurityStatus {
    pub(crate) fn new(lobby: LobbyStats, auth: AuthStats) -> Self {
        let LobbyStats { unauthenticated, not_allowed, of_address, displaced } = lobby;
        let AuthStats { waiting, accepted, remembered, refused, held_off, later } = auth;
        Self {
            unauthenticated,
            verifying: waiting,
            accepted,
            remembered,
            refused,
            held_off,
            later,
            not_allowed,
            address_full: of_address,
            displaced,
        }
    }
}
