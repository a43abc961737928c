//! `[limits]` and `[admission]`: what bounds clients, and what waits before it is sequenced.

use door::lobby::LobbyLimits;
use gateway::AdmissionLimits;
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsFile {
    pub(super) connections: usize,
    pub(super) unsent_kib: usize,
    pub(super) open_orders: usize,
    pub(super) resend_per_s: Option<u32>,
    pub(super) login_timeout_s: u64,
    pub(super) silence_s: u64,
    #[serde(default)]
    pub(super) absent_ms: u64,
    pub(super) absent_at_start_ms: Option<u64>,
    pub(super) connections_per_address: Option<usize>,
    pub(super) unauthenticated: Option<usize>,
    pub(super) unauthenticated_per_address: Option<usize>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AdmissionFile {
    pub(super) window: Option<u32>,
    pub(super) sojourn_us: u64,
    pub(super) held_book: usize,
    pub(super) held_session: usize,
    pub(super) held: usize,
}

impl Default for AdmissionFile {
    fn default() -> Self {
        let limits = AdmissionLimits::default();
        Self {
            window: None,
            sojourn_us: limits.sojourn_nanos / 1_000,
            held_book: limits.book_max,
            held_session: limits.session_max,
            held: limits.held_max,
        }
    }
}

pub(super) fn lobby(file: &LimitsFile) -> Result<LobbyLimits, String> {
    /// Of a few connections all may wait: who logs in at once would be cut off by who comes next.
    const FEW: usize = 64;
    for (name, bound) in [
        ("connections_per_address", file.connections_per_address),
        ("unauthenticated", file.unauthenticated),
        ("unauthenticated_per_address", file.unauthenticated_per_address),
    ] {
        if bound == Some(0) {
            return Err(format!("limits.{name}: with 0 nobody could come in"));
        }
    }
    Ok(LobbyLimits {
        of_address: file.connections_per_address,
        unauthenticated: file.unauthenticated.unwrap_or_else(|| (file.connections / 2).max(FEW)),
        unauthenticated_of_address: file.unauthenticated_per_address,
        ..LobbyLimits::default()
    })
}

pub(super) fn admission(file: &AdmissionFile) -> Result<AdmissionLimits, String> {
    // Those that wait are numbered with 32 bits, orders and cancels together.
    for (name, bound) in
        [("held_book", file.held_book), ("held_session", file.held_session), ("held", file.held)]
    {
        if bound > 1 << 24 {
            return Err(format!("admission.{name}: {bound} is more than {}", 1 << 24));
        }
    }
    Ok(AdmissionLimits {
        window: match file.window {
            None => AdmissionLimits::default().window,
            Some(0) => u32::MAX,
            Some(window) => window,
        },
        sojourn_nanos: file
            .sojourn_us
            .checked_mul(1_000)
            .ok_or_else(|| format!("admission.sojourn_us: {} us is beyond any clock", file.sojourn_us))?,
        book_max: file.held_book,
        session_max: file.held_session,
        held_max: file.held,
    })
}
