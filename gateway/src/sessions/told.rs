//! What a session is told of what books say.

use domain::{CancelReason, Protocol, ReportKind};

/// A report as a session that speaks this gets it; `None` when it gets none. This is the one place that decides: reports
/// that are not named here are told to every session.
pub(super) const fn told(protocol: Protocol, kind: ReportKind) -> Option<ReportKind> {
    match (protocol, kind) {
        // OUCH ignores superfluous requests in silence: the order is gone, and the client has been told when it went.
        (Protocol::PlainOuch | Protocol::Ouch, ReportKind::CancelRejected { .. }) => None,
        (
            Protocol::PlainOuch,
            ReportKind::Restated { .. }
            | ReportKind::Refreshed { .. }
            | ReportKind::Triggered { .. }
            | ReportKind::MassCanceled { .. },
        ) => None,
        // Part of it is gone, and the rest goes on: what a canceled part is to a client.
        (Protocol::PlainOuch, ReportKind::Decremented { client_ref, order, quantity, .. }) => {
            Some(ReportKind::Canceled { client_ref, order, quantity, reason: CancelReason::SelfTrade })
        }
        _ => Some(kind),
    }
}
