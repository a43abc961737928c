//! Mass cancels: sequenced when their books have room, and not more often than a book can bear.
//!
//! A mass cancel looks at every order of a book, whoever's they are, so it costs what all clients together have entered.
//! Each session has one a while; a sooner one is refused. None waits where orders do: until there is room for it, it stays
//! unread, and its session's later requests behind it.

use domain::{ClientOrderId, Command, InstrumentId, MassCancel, Nanos, PreRejected, RejectReason, SessionId};

use super::{Gateway, requests::outstanding};
use crate::{ouch::Action, venue::Venue};

/// At most one of a session in this time.
pub(crate) const MASS_CANCEL_INTERVAL: Nanos = Nanos(100_000_000);

impl Gateway {
    /// Sequences a mass cancel that has been judged good. False when there is no room for it now.
    #[cold]
    pub(super) fn mass_cancel<V: Venue>(&mut self, id: SessionId, cancel: MassCancel, venue: &mut V) -> bool {
        let window = self.limits.admission.window;
        let is_admitted = cancel.instrument.is_none_or(|book| {
            self.admission.admits_cancel(book, || outstanding(venue, &mut self.unpublished, book, window))
        });
        if !is_admitted || !venue.accepts(&Command::MassCancel(cancel)) {
            return false;
        }
        let command = match self.refusal(id, cancel.instrument, venue.now()) {
            None => Command::MassCancel(cancel),
            Some(reason) => Command::Rejected(PreRejected {
                session: id,
                client_ref: cancel.owner.client_ref,
                client_order_id: ClientOrderId::BLANK,
                reason,
            }),
        };
        self.stats.requests += 1;
        self.perform(id, &Action::Sequence(command), venue);
        true
    }

    /// Why a mass cancel is refused, if it is.
    fn refusal(&mut self, id: SessionId, book: Option<InstrumentId>, now: Nanos) -> Option<RejectReason> {
        // Of every book, none would say anything.
        if book.is_none() && self.sessions.get(id).is_none_or(|session| session.open_orders() == 0) {
            return Some(RejectReason::UnknownOrder);
        }
        let next = self.mass_cancel_next.entry(id).or_default();
        if now < *next {
            return Some(RejectReason::Busy);
        }
        *next = Nanos(now.0.saturating_add(MASS_CANCEL_INTERVAL.0));
        None
    }
}
