//! Cancels of many orders by one command: bids, asks, then stop orders that wait.

use domain::{CancelReason, EventKind, EventSink, MassCancel, Side};

use super::{Book, RestingOrder};

impl Book {
    /// Cancels every order that `fits`, and says how many there were.
    pub(super) fn cancel_each<S: EventSink>(
        &mut self,
        reason: CancelReason,
        fits: impl Fn(&RestingOrder) -> bool,
        events: &mut S,
    ) -> u32 {
        let mut found = Vec::new();
        let mut see = |cell: u32| {
            if fits(&self.shown(cell)) {
                found.push(cell);
            }
        };
        self.each_resting(Side::Buy, &mut see);
        self.each_resting(Side::Sell, &mut see);
        self.each_waiting(&mut see);
        for cell in &found {
            self.cancel_cell(*cell, reason, events);
        }
        // A book has fewer than 2^31 cells.
        found.len() as u32
    }

    pub(super) fn mass_cancel<S: EventSink>(&mut self, cancel: &MassCancel, events: &mut S) {
        let MassCancel { owner, instrument, session, account, side } = *cancel;
        let fits = |order: &RestingOrder| {
            session.is_none_or(|session| order.owner.session == session)
                && account.is_none_or(|account| order.account == account)
                && side.is_none_or(|side| order.side == side)
        };
        let canceled = self.cancel_each(CancelReason::MassCancel, fits, events);
        if canceled > 0 || instrument.is_some() {
            self.say(events, EventKind::MassCanceled { owner, canceled });
        }
    }
}
