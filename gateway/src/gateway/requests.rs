//! Requests: judged, then sequenced at once, held until their book has room, or refused.
//!
//! A request that is held is, for everything behind this module, one that has not arrived yet: it is judged again when
//! its turn comes, against the session and the venue as they are then. What must be known of it before that is known
//! here alone: its number counts as used, and what names its order finds it.

use domain::{
    CancelReason, ClientRef, Command, InstrumentId, MassCancel, Nanos, PreRejected, RejectReason, SessionId,
    Symbol,
};
use wire::{
    ouch::{
        Appendage, Inbound,
        inbound::{CancelOrder, EnterOrder, ReplaceOrder},
    },
    soup::{self, ServerPacket},
};

use super::{Gateway, protocol};
use crate::{
    admission::{Room, Turn, Verdict},
    connection::Close,
    egress::{Deliver, Named},
    ouch::{self, Action, Checks, Options},
    venue::Venue,
};

/// Requests that have waited and leave in one turn, at most: the next turn goes on where this one ends.
const LEAVE_MAX: usize = 1_024;

/// A request, judged as far as it can be without its session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    message: Inbound<'a>,
    options: Options,
    /// It cancels an order whose replacement has been canceled before it was sequenced: a replacement by nothing.
    by_nothing: bool,
}

impl<'a> Request<'a> {
    #[inline]
    fn new(message: Inbound<'a>) -> Self {
        Self { message, options: ouch::options(&message), by_nothing: false }
    }

    /// To be held: without the options' bytes, which have been looked at.
    fn to_hold(self) -> Request<'static> {
        let appendage = Appendage::EMPTY;
        let message = match self.message {
            Inbound::EnterOrder(enter) => Inbound::EnterOrder(EnterOrder { appendage, ..enter }),
            Inbound::ReplaceOrder(replace) => Inbound::ReplaceOrder(ReplaceOrder { appendage, ..replace }),
            Inbound::CancelOrder(cancel) => Inbound::CancelOrder(cancel),
            Inbound::ModifyOrder(modify) => Inbound::ModifyOrder(modify),
            Inbound::MassCancel(cancel) => Inbound::MassCancel(cancel),
            Inbound::AccountQuery => Inbound::AccountQuery,
        };
        Request { message, options: self.options, by_nothing: self.by_nothing }
    }

    /// The number of the order that it replaces.
    fn original(&self) -> Option<ClientRef> {
        match self.message {
            Inbound::ReplaceOrder(replace) => Some(ClientRef(replace.original)),
            _ => None,
        }
    }

    /// The number that it uses up, and the client's own text.
    fn numbered(&self) -> Option<(ClientRef, [u8; 14])> {
        match self.message {
            Inbound::EnterOrder(enter) => Some((ClientRef(enter.user_ref), enter.client_order_id)),
            Inbound::ReplaceOrder(replace) => Some((ClientRef(replace.user_ref), replace.client_order_id)),
            _ => None,
        }
    }
}

/// How a command waits for its book.
enum Class {
    /// It uses up a number of its session: in turn.
    Order(Option<InstrumentId>),
    /// It only makes the book smaller: before all orders.
    Cancel(InstrumentId),
    /// It only makes books smaller, and uses up a number.
    MassCancel(MassCancel),
}

impl Class {
    /// What uses up a number waits in turn, also a replacement that only cancels; a request that is refused needs no book.
    fn of(message: &Inbound<'_>, command: &Command) -> Self {
        match (message, command.instrument()) {
            (Inbound::CancelOrder(_) | Inbound::ModifyOrder(_), Some(book)) => Self::Cancel(book),
            (_, book) => match command {
                Command::MassCancel(cancel) => Self::MassCancel(*cancel),
                _ => Self::Order(book),
            },
        }
    }
}

impl Gateway {
    /// Acts on one request. False when it finds no room now.
    #[inline]
    pub(super) fn request<V: Venue>(
        &mut self,
        token: usize,
        id: SessionId,
        message: &[u8],
        venue: &mut V,
    ) -> Result<bool, Close> {
        let inbound = match Inbound::decode(message) {
            Ok(inbound) => inbound,
            Err(error) => {
                // Tell the client what is wrong before the connection closes: it cannot be matched to an order.
                if let Some(connection) = self.connections[token].as_mut() {
                    let text = error.to_string();
                    connection.outbox.ungated(|out| ServerPacket::Debug(text.as_bytes()).encode(out));
                    let _ = connection.flush(venue.gate(), connection.heard);
                }
                return Err(protocol(error));
            }
        };
        let request = &Request::new(inbound);
        if self.admission.has_line(id) {
            return self.request_in_line(token, id, request, venue);
        }
        let action = self.judge(id, request, venue)?;
        let window = self.limits.admission.window;
        match &action {
            Action::Ignore => {
                self.stats.ignored += 1;
                return Ok(true);
            }
            Action::Sequence(command) => {
                let class = Class::of(&request.message, command);
                let goes = match class {
                    Class::Order(None) => true,
                    Class::Order(Some(book)) => self
                        .admission
                        .admits_order(id, book, || outstanding(venue, &mut self.unpublished, book, window)),
                    Class::Cancel(book) => self
                        .admission
                        .admits_cancel(book, || outstanding(venue, &mut self.unpublished, book, window)),
                    Class::MassCancel(cancel) => return Ok(self.mass_cancel(id, cancel, venue)),
                };
                if !goes {
                    return Ok(self.hold(token, id, class, request, venue));
                }
                if !venue.has_room(command.instrument()) {
                    return Ok(false);
                }
            }
            Action::AccountQuery if !venue.has_room(None) => return Ok(false),
            Action::AccountQuery => {}
        }
        self.stats.requests += 1;
        self.say_where(id, &action, &request.message);
        self.perform(id, &action, venue);
        Ok(true)
    }

    /// Acts on one request of a session some of whose orders wait. What uses up a number comes after them, and what
    /// names an order may name one of them.
    fn request_in_line<V: Venue>(
        &mut self,
        token: usize,
        id: SessionId,
        request: &Request<'_>,
        venue: &mut V,
    ) -> Result<bool, Close> {
        // It takes what was sent before it, so it comes after that.
        if let Inbound::MassCancel(_) = request.message {
            return Ok(false);
        }
        let last = self.admission.last_number(id).unwrap_or_default();
        let number = match request.message {
            Inbound::EnterOrder(enter) => Some(enter.user_ref),
            Inbound::ReplaceOrder(replace) => Some(replace.user_ref),
            _ => None,
        };
        if number.is_some_and(|number| ClientRef(number) <= last) {
            self.stats.ignored += 1;
            return Ok(true);
        }
        let named = match request.message {
            Inbound::ReplaceOrder(replace) => Some(replace.original),
            Inbound::CancelOrder(cancel) => Some(cancel.user_ref),
            Inbound::ModifyOrder(modify) => Some(modify.user_ref),
            Inbound::EnterOrder(_) | Inbound::MassCancel(_) | Inbound::AccountQuery => None,
        };
        let held = named.map(ClientRef).and_then(|named| {
            let (book, _) = self.admission.find(id, named)?;
            Some((named, book))
        });
        match (request.message, held) {
            (Inbound::CancelOrder(cancel), Some((named, _))) if cancel.quantity == 0 => {
                return self.cancel_waiting(token, id, named, venue);
            }
            (Inbound::ReplaceOrder(_), Some((_, Some(book)))) => {
                return Ok(self.hold(token, id, Class::Order(Some(book)), request, venue));
            }
            (Inbound::CancelOrder(_) | Inbound::ModifyOrder(_), Some((_, Some(book)))) => {
                let held = self.admission.hold_behind(id, Some(book), request.to_hold()).is_ok();
                self.stats.requests += u64::from(held);
                return Ok(held);
            }
            // The order that it names waits to be refused: it has no book.
            (_, Some((_, None))) => {
                self.stats.ignored += 1;
                return Ok(true);
            }
            _ => {}
        }
        let action = self.judge(id, request, venue)?;
        let window = self.limits.admission.window;
        match &action {
            Action::Ignore => {
                self.stats.ignored += 1;
                Ok(true)
            }
            Action::Sequence(command) => {
                let class = match Class::of(&request.message, command) {
                    // As it is judged now; it may be judged otherwise when its turn has come.
                    Class::Order(None) => Class::Order(self.book_of(id, &request.message, venue)),
                    class => class,
                };
                if let Class::Cancel(book) = class
                    && self
                        .admission
                        .admits_cancel(book, || outstanding(venue, &mut self.unpublished, book, window))
                {
                    if !venue.has_room(Some(book)) {
                        return Ok(false);
                    }
                    self.stats.requests += 1;
                    self.perform(id, &action, venue);
                    return Ok(true);
                }
                Ok(self.hold(token, id, class, request, venue))
            }
            // It shall count what was sent before it, and say nothing of what has not been sequenced.
            Action::AccountQuery => {
                let held = self.admission.hold_behind(id, None, request.to_hold()).is_ok();
                self.stats.requests += u64::from(held);
                Ok(held)
            }
        }
    }

    /// Cancels an order that waits. With a replacement goes what it was to replace, down to an order that waits or one
    /// that is open, which is so replaced by nothing. False when there is no room for that now.
    fn cancel_waiting<V: Venue>(
        &mut self,
        token: usize,
        id: SessionId,
        named: ClientRef,
        venue: &mut V,
    ) -> Result<bool, Close> {
        let mut root = named;
        let mut waits = true;
        while waits && let Some(original) = self.admission.find(id, root).and_then(|(_, it)| it.original()) {
            root = original;
            waits = self.admission.find(id, root).is_some();
        }
        if waits {
            self.stats.requests += 1;
        } else {
            let message = Inbound::CancelOrder(CancelOrder { user_ref: root.0, quantity: 0 });
            let cancel = Request { message, options: Ok(None), by_nothing: true };
            if !self.request_in_line(token, id, &cancel, venue)? {
                return Ok(false);
            }
        }
        let mut next = Some(named);
        while let Some(number) = next {
            next = self.admission.find(id, number).and_then(|(_, it)| it.original());
            self.admission.take_back(id, number);
        }
        Ok(true)
    }

    /// Lets go on what has waited for a book that has room again, and refuses what has waited too long. Says whether
    /// anything left.
    pub(super) fn admit<V: Venue>(&mut self, venue: &mut V) -> bool {
        if self.admission.is_empty() {
            return false;
        }
        if std::mem::take(&mut self.unpublished) {
            venue.publish();
        }
        let now = venue.now();
        if !self.admitting {
            self.admission.begin();
            self.admitting = true;
        }
        let mut left = 0;
        while left < LEAVE_MAX && venue.has_room(None) {
            let turn = self.admission.next(now, |book| {
                // A full ring is a full window.
                if venue.has_room(Some(book)) { venue.outstanding(book) } else { u64::MAX }
            });
            let Some(Turn { session, verdict, item, .. }) = turn else {
                self.admitting = false;
                break;
            };
            left += 1;
            match verdict {
                Verdict::Admit => match self.judge(session, &item, venue) {
                    Ok(Action::Ignore) => self.stats.ignored += 1,
                    Ok(action) => {
                        self.say_where(session, &action, &item.message);
                        self.perform(session, &action, venue);
                    }
                    Err(error) => log::error!("a request that waited: {error}"),
                },
                Verdict::Refuse | Verdict::TakenBack => self.refuse(session, &item, verdict, venue),
            }
        }
        left > 0
    }

    /// Holds a request for its book, or refuses it if there is no room. False when neither can be done now.
    fn hold<V: Venue>(
        &mut self,
        token: usize,
        id: SessionId,
        class: Class,
        request: &Request<'_>,
        venue: &mut V,
    ) -> bool {
        let waiting = request.to_hold();
        let book = match class {
            Class::Cancel(book) => {
                let held = self.admission.hold_cancel(id, book, waiting).is_ok();
                self.stats.requests += u64::from(held);
                return held;
            }
            Class::Order(book) => book,
            // It stays unread.
            Class::MassCancel(_) => return false,
        };
        let (Some((number, _)), Some(connection)) = (waiting.numbered(), &self.connections[token]) else {
            return true;
        };
        let since = connection.read_at;
        loop {
            match self.admission.room(id, book) {
                Room::Hold => {
                    self.admission.hold_order(id, number, book, since, waiting);
                    break;
                }
                _ if !venue.has_room(None) => return false,
                Room::Refuse => {
                    self.admission.count_refusal();
                    self.refuse(id, &waiting, Verdict::Refuse, venue);
                    break;
                }
                Room::RefuseOldest => {
                    let Some(oldest) = self.admission.refuse_oldest(id) else { return false };
                    self.refuse(id, &oldest, Verdict::Refuse, venue);
                }
                Room::Later => return false,
            }
        }
        self.stats.requests += 1;
        true
    }

    /// Refuses an order that has waited, or cannot.
    fn refuse<V: Venue>(&mut self, id: SessionId, waiting: &Request<'_>, verdict: Verdict, venue: &mut V) {
        let Some((client_ref, client_order_id)) = waiting.numbered() else { return };
        // A replacement of what is not open is ignored, as ever; and so is one that was taken back: it became one by
        // nothing, or what it was to replace waited itself and is answered.
        if let Some(original) = waiting.original() {
            let is_open = self.sessions.get(id).is_some_and(|session| session.order(original).is_some());
            if !is_open || verdict == Verdict::TakenBack {
                self.stats.ignored += 1;
                return;
            }
        }
        let client_order_id = ouch::client_order_id(client_order_id);
        let reason = RejectReason::Busy;
        let command = Command::Rejected(PreRejected { session: id, client_ref, client_order_id, reason });
        self.perform(id, &Action::Sequence(command), venue);
    }

    /// The book that an order would go to.
    fn book_of<V: Venue>(&self, id: SessionId, message: &Inbound<'_>, venue: &V) -> Option<InstrumentId> {
        match message {
            Inbound::EnterOrder(enter) => {
                self.checks(id, venue).ok()?.instrument(enter).map(|instrument| instrument.id)
            }
            Inbound::ReplaceOrder(replace) => {
                let order = self.sessions.get(id)?.order(ClientRef(replace.original))?;
                Some(order.order.instrument())
            }
            _ => None,
        }
    }

    #[inline]
    fn checks<V: Venue>(&self, id: SessionId, venue: &V) -> Result<Checks<'_>, Close> {
        let Some(session) = self.sessions.get(id) else {
            return Err(Close::Internal(format!("no session {id}")));
        };
        Ok(Checks {
            id,
            session,
            instruments: &self.instruments,
            here: self.here.as_ref(),
            takes_orders: venue.takes_orders(),
            open_orders_max: self.limits.open_orders_max,
            now: Nanos(0),
        })
    }

    #[inline]
    fn judge<V: Venue>(&self, id: SessionId, request: &Request<'_>, venue: &mut V) -> Result<Action, Close> {
        // Telling the time is not free.
        let is_dated = matches!(&request.options, Ok(Some(asked)) if asked.is_dated());
        let now = if is_dated { venue.now() } else { Nanos(0) };
        let checks = Checks { now, ..self.checks(id, venue)? };
        let mut action = checks.action(&request.message, request.options, |book| venue.next_order(book));
        if request.by_nothing
            && let Action::Sequence(Command::Cancel(cancel)) = &mut action
        {
            cancel.reason = CancelReason::InvalidReplacement;
        }
        Ok(action)
    }

    /// Tells a client whose order is refused for where its instrument lives where that is.
    #[inline]
    fn say_where(&mut self, id: SessionId, action: &Action, message: &Inbound<'_>) {
        if let Action::Sequence(Command::Rejected(rejected)) = action
            && rejected.reason == RejectReason::Elsewhere
        {
            self.say_elsewhere(id, rejected.client_ref, message);
        }
    }

    #[cold]
    fn say_elsewhere(&mut self, id: SessionId, client_ref: ClientRef, message: &Inbound<'_>) {
        let symbol = match message {
            Inbound::EnterOrder(enter) => Symbol::from_padded(enter.symbol),
            Inbound::ReplaceOrder(replace) => self
                .sessions
                .get(id)
                .and_then(|session| session.order(ClientRef(replace.original)))
                .and_then(|old| self.instruments.get(old.order.instrument()))
                .map(|instrument| instrument.symbol),
            _ => None,
        };
        let token = self.by_session.get(id.0 as usize).copied().flatten();
        let (Some(here), Some(symbol), Some(token)) = (&self.here, symbol, token) else { return };
        let Some(connection) = self.connections[token].as_mut() else { return };
        let tell = |out: &mut Vec<u8>| here.tell(client_ref.0, symbol, out);
        connection.outbox.ungated(|out| soup::unsequenced(out, tell));
        connection.mark_dirty(token, &mut self.dirty);
    }

    /// Does what was decided; room was asked for.
    #[inline]
    pub(super) fn perform<V: Venue>(&mut self, id: SessionId, action: &Action, venue: &mut V) {
        let mut deliver = Deliver {
            named: Named { instruments: &self.instruments, users: &self.names },
            connections: &mut self.connections,
            by_session: &self.by_session,
            dirty: &mut self.dirty,
            catching_up: &mut self.catching_up,
            stats: &mut self.stats,
        };
        match action {
            Action::Ignore => {}
            Action::Sequence(command) => {
                let sequenced = venue.sequence(*command);
                self.unpublished = true;
                self.sessions.on_command(&sequenced, |report| deliver.report(report, venue.log(report)));
            }
            Action::AccountQuery => {
                let now = venue.now();
                self.sessions.on_account_query(id, now, |report| deliver.report(report, venue.log(report)));
            }
        }
    }
}

/// What a book has outstanding; if that fills its window, it gets to see what it has not seen.
#[inline]
pub(super) fn outstanding<V: Venue>(
    venue: &mut V,
    unpublished: &mut bool,
    book: InstrumentId,
    window: u32,
) -> u64 {
    let outstanding = venue.outstanding(book);
    if outstanding < u64::from(window) || !std::mem::take(unpublished) {
        return outstanding;
    }
    venue.publish();
    venue.outstanding(book)
}
