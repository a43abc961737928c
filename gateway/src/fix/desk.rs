//! From a client's FIX message to commands: what the fields mean, and the checks that need no book.
//!
//! | message | what it means is not there, or used already | it makes no sense | else |
//! |---|---|---|---|
//! | D | - ; 103=6 | ExecutionReport 150=8 | Enter |
//! | G | OrderCancelReject 102=1, or 102=0 if it was there; 102=6 | OrderCancelReject 102=99 | Replace |
//! | F | the same | - | Cancel |
//! | H, AF | ExecutionReport 150=I 39=8 | | ExecutionReport 150=I |
//! | q | BusinessMessageReject 380=2 | | OrderMassCancelReport, then an ExecutionReport for each |
//!
//! A message that is said again (PossDup under a number that is missing here, or PossResend) and has been acted on is passed
//! over. What a message lacks that it must have is told by BusinessMessageReject 380=5, what the dictionary wants by Reject.
//! Each request has a number of the session's: that of its message, counted from the session's `ref_base`.
//!
//! Source: FIX 4.4 volume 4 and FIX 5.0 SP2, the messages' pages; what is not offered is in docs/fix/rules.md.

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, EnterOrder, EnterSpecial,
    FixAsk, FixRequest, Instructions, Instrument, InstrumentId, MassCancel, Nanos, OrderId, OrderReport,
    OrderStatus, Owner, RefusedRequest, RejectReason, ReplaceOrder, ReplacePriority, ReplaceSpecial,
    SessionId, Side, Symbol,
};
use wire::fix::{Checked, RejectReason as SessionReject};

use super::{Taken, terms::whole};
use crate::{
    placement::Here,
    sessions::{FixState, Session, Standing},
    venue::Instruments,
};

/// What a request is checked against.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) id: SessionId,
    pub(crate) session: &'a Session,
    pub(crate) fix: &'a FixState,
    pub(crate) instruments: &'a Instruments,
    /// Which of them live here; all, if there is no placement.
    pub(crate) here: Option<&'a Here>,
    /// Whether the venue takes new orders.
    pub(crate) takes_orders: bool,
    /// The most orders that a session may have open.
    pub(crate) open_orders_max: usize,
    /// The time.
    pub(crate) now: Nanos,
}

/// What a message does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// Nothing: it has been acted on before.
    Nothing,
    /// Sequence these, one behind the other.
    Sequence(Option<FixRequest>, Option<Command>),
    /// Sequence these, and say that many orders are being canceled.
    MassCancel(FixRequest, Command, MassCanceling),
    /// Tell how an order stands.
    Status(Asked),
    /// Tell how all of these stand.
    MassStatus(MassAsked),
    /// Tell which instruments there are.
    SecurityList(Vec<u8>),
    /// Tell whether trading is open.
    TradingStatus(Vec<u8>),
    /// Tell whether an instrument is traded.
    SecurityStatus(Vec<u8>, InstrumentId),
}

/// What an OrderMassCancelReport repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MassCanceling {
    pub(crate) scope: u8,
    pub(crate) client_order_id: ClientOrderId,
    pub(crate) symbol: Option<Symbol>,
}

/// A question after one order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// How it stands, if it lives.
    pub(crate) order: Option<OrderReport>,
    /// How it stands if not.
    pub(crate) status: OrderStatus,
    pub(crate) client_order_id: ClientOrderId,
    pub(crate) symbol: Vec<u8>,
    pub(crate) side_code: u8,
    /// OrdStatusReqID.
    pub(crate) id: Vec<u8>,
}

/// A question after many.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MassAsked {
    /// MassStatusReqID.
    pub(crate) id: Vec<u8>,
    pub(crate) orders: Vec<ClientRef>,
}

fn lacks(text: &'static str) -> Taken {
    Taken::No { reason: 5, text }
}

/// A text of the client's that is kept with an order.
fn name(message: &Checked<'_, '_>, tag: u16) -> Result<ClientOrderId, Taken> {
    let text = message.get(tag).unwrap_or_default();
    ClientOrderId::new(text)
        .filter(|id| *id != ClientOrderId::BLANK && text.first() != Some(&b' ') && text.last() != Some(&b' '))
        .ok_or(Taken::Reject(SessionReject::ValueIncorrect, tag))
}

impl<'a> Desk<'a> {
    /// Decides what a message does. `number`: its own. `is_again`: it may have been said before.
    pub(crate) fn act(
        &self,
        message: &Checked<'_, '_>,
        number: u64,
        is_again: bool,
        next_order: impl FnOnce(InstrumentId) -> OrderId,
    ) -> Result<Act, Taken> {
        if self.session.is_watching() && matches!(message.message().msg_type, b"D" | b"G") {
            return Err(Taken::No {
                reason: 6,
                text: "this session is told of others' orders and enters none",
            });
        }
        match message.message().msg_type {
            b"D" => self.order(message, self.reference(number)?, is_again, next_order),
            b"G" => self.replace(message, self.reference(number)?, is_again, next_order),
            b"F" => self.cancel(message, self.reference(number)?, is_again),
            b"q" => self.mass_cancel(message, self.reference(number)?, is_again),
            b"H" => self.status(message),
            b"AF" => self.mass_status(message),
            b"x" => Ok(Act::SecurityList(message.get(320).unwrap_or_default().to_vec())),
            b"g" => Ok(Act::TradingStatus(message.get(335).unwrap_or_default().to_vec())),
            b"e" => {
                let instrument = self.instrument(message)?;
                Ok(Act::SecurityStatus(message.get(324).unwrap_or_default().to_vec(), instrument.id))
            }
            _ => Err(Taken::No { reason: 3, text: "Unsupported Message Type" }),
        }
    }

    /// Refuses an order or a replacement that has waited for its book too long; `None` for what is neither.
    pub(crate) fn busy(&self, message: &Checked<'_, '_>, number: u64) -> Option<Act> {
        let client_ref = self.reference(number).ok()?;
        let client_order_id = name(message, 11).ok()?;
        let (request, original_id) = match message.message().msg_type {
            b"D" => {
                let symbol = symbol(message.get(55)?)?;
                let units = message.get(38).and_then(whole).unwrap_or(0);
                let side_code = message.letter(54)?;
                (RefusedRequest::Order { symbol, side_code, units }, ClientOrderId::BLANK)
            }
            b"G" => {
                let original_id = name(message, 41).ok()?;
                let (original, order) = self.named(message, original_id).ok()?;
                let status = self.session.order_report(original)?.status;
                (RefusedRequest::Replace { order, status }, original_id)
            }
            _ => return None,
        };
        Some(self.refused(client_ref, request, RejectReason::Busy, (client_order_id, original_id)))
    }

    /// The session's number of a request.
    fn reference(&self, number: u64) -> Result<ClientRef, Taken> {
        let base = u64::from(self.fix.ref_base().0);
        let reference = base.checked_add(number).and_then(|number| u32::try_from(number).ok());
        reference.map(ClientRef).ok_or(Taken::No {
            reason: 4,
            text: "the session has used up its numbers: ask the venue for another",
        })
    }

    /// The instrument that a message names.
    fn instrument(&self, message: &Checked<'_, '_>) -> Result<&'a Instrument, Taken> {
        let text = message.get(55).ok_or(lacks("Symbol (55) is missing"))?;
        symbol(text)
            .and_then(|symbol| self.instruments.find(symbol))
            .ok_or(Taken::No { reason: 2, text: "unknown symbol" })
    }

    fn order(
        &self,
        message: &Checked<'_, '_>,
        client_ref: ClientRef,
        is_again: bool,
        next_order: impl FnOnce(InstrumentId) -> OrderId,
    ) -> Result<Act, Taken> {
        let client_order_id = name(message, 11)?;
        let known = self.fix.find(&client_order_id).is_some();
        if known && is_again {
            return Ok(Act::Nothing);
        }
        let text = message.get(55).ok_or(lacks("Symbol (55) is missing"))?;
        let Some(symbol) = symbol(text) else {
            return Err(Taken::No { reason: 2, text: "a symbol has 1 to 8 letters" });
        };
        let units = message.get(38).ok_or(lacks("OrderQty (38) is missing"))?;
        let side_code = message.letter(54).unwrap_or(b'1');
        let terms = if known {
            Err(RejectReason::DuplicateClientOrderId)
        } else {
            self.found(symbol).and_then(|instrument| {
                let terms = self.terms(message, instrument, side_code)?;
                if !self.takes_orders {
                    return Err(RejectReason::StorageFull);
                }
                if self.session.open_orders() >= self.open_orders_max {
                    return Err(RejectReason::TooManyOrders);
                }
                Ok((instrument, terms))
            })
        };
        let (instrument, terms) = match terms {
            Ok(terms) => terms,
            Err(reason) => {
                let units = whole(units).unwrap_or(0);
                let request = RefusedRequest::Order { symbol, side_code, units };
                let original = ClientOrderId::BLANK;
                return Ok(self.refused(client_ref, request, reason, (client_order_id, original)));
            }
        };
        let enter = EnterOrder {
            order: next_order(instrument.id),
            owner: Owner { session: self.id, client_ref },
            account: AccountId(self.id.0),
            side: terms.side,
            order_type: terms.order_type,
            time_in_force: terms.time_in_force,
            price: terms.price,
            quantity: terms.quantity,
            client_order_id,
            echo: terms.echo,
        };
        let instructions = terms.instructions;
        let command = if instructions == Instructions::NONE {
            Command::Enter(enter)
        } else {
            Command::EnterSpecial(EnterSpecial { enter, instructions })
        };
        Ok(Act::Sequence(None, Some(command)))
    }

    /// An instrument that is traded here.
    fn found(&self, symbol: Symbol) -> Result<&'a Instrument, RejectReason> {
        let Some(instrument) = self.instruments.find(symbol) else {
            let elsewhere = self.here.is_some_and(|here| here.is_elsewhere(symbol));
            return Err(if elsewhere { RejectReason::Elsewhere } else { RejectReason::UnknownInstrument });
        };
        if self.here.is_some_and(|here| !here.lives(instrument.id)) {
            return Err(RejectReason::Elsewhere);
        }
        Ok(instrument)
    }

    fn refused(
        &self,
        client_ref: ClientRef,
        request: RefusedRequest,
        reason: RejectReason,
        (client_order_id, original_id): (ClientOrderId, ClientOrderId),
    ) -> Act {
        let ask = FixAsk::Refused(request, reason);
        let request = FixRequest { session: self.id, client_ref, ask, client_order_id, original_id };
        Act::Sequence(Some(request), None)
    }

    /// The order that a cancel or a replacement names: the session's number of it, and ours; or why there is none.
    fn named(
        &self,
        message: &Checked<'_, '_>,
        original: ClientOrderId,
    ) -> Result<(ClientRef, OrderId), (RejectReason, OrderStatus)> {
        let unknown = Err((RejectReason::UnknownOrder, OrderStatus::Rejected));
        let (client_ref, standing) = if original == ClientOrderId::BLANK {
            // FIX 5.0 lets a cancel name the order by our number alone.
            let order = message.int(37).and_then(|order| u64::try_from(order).ok());
            let Some(found) =
                order.and_then(|order| self.session.orders.iter().find(|(_, live)| live.order.0 == order))
            else {
                return unknown;
            };
            (found.0, Standing::Live)
        } else {
            match self.fix.find(&original) {
                Some(found) => found,
                None => return unknown,
            }
        };
        match standing {
            Standing::NoOrder => unknown,
            Standing::Over(OrderStatus::Rejected) => unknown,
            Standing::Over(status) => Err((RejectReason::TooLate, status)),
            Standing::Live => match self.session.order(client_ref) {
                Some(live) => Ok((client_ref, live.order)),
                None => unknown,
            },
        }
    }

    fn replace(
        &self,
        message: &Checked<'_, '_>,
        client_ref: ClientRef,
        is_again: bool,
        next_order: impl FnOnce(InstrumentId) -> OrderId,
    ) -> Result<Act, Taken> {
        let ids = (name(message, 11)?, name(message, 41)?);
        let known = self.fix.find(&ids.0).is_some();
        if known && is_again {
            return Ok(Act::Nothing);
        }
        if message.get(38).is_none() {
            return Err(lacks("OrderQty (38) is missing"));
        }
        let named = self.named(message, ids.1);
        let (order, status) = match named {
            Ok((original, order)) => (order, self.session.order_report(original).map(|order| order.status)),
            Err((_, status)) => (OrderId::NONE, Some(status)),
        };
        let status = status.unwrap_or(OrderStatus::New);
        let refuse = |reason| {
            let request = RefusedRequest::Replace { order, status };
            Ok(self.refused(client_ref, request, reason, ids))
        };
        if known {
            return refuse(RejectReason::DuplicateClientOrderId);
        }
        let (original, order) = match named {
            Ok(named) => named,
            Err((reason, _)) => return refuse(reason),
        };
        let Some(old) = self.session.order(original) else { return refuse(RejectReason::UnknownOrder) };
        let Some(instrument) = self.instruments.get(order.instrument()) else {
            return refuse(RejectReason::UnknownInstrument);
        };
        if !self.takes_orders {
            return refuse(RejectReason::StorageFull);
        }
        if self.here.is_some_and(|here| !here.lives(instrument.id)) {
            return refuse(RejectReason::Elsewhere);
        }
        let same_symbol = message.get(55).is_none_or(|text| text == instrument.symbol.as_str().as_bytes());
        if !same_symbol || message.letter(54) != Some(old.echo.side) {
            return refuse(RejectReason::InvalidInstructions);
        }
        let terms = match self.terms(message, instrument, old.echo.side) {
            Ok(terms) => terms,
            Err(reason) => return refuse(reason),
        };
        let replace = ReplaceOrder {
            order,
            original,
            new_order: next_order(instrument.id),
            owner: Owner { session: self.id, client_ref },
            order_type: terms.order_type,
            time_in_force: terms.time_in_force,
            price: terms.price,
            total: terms.quantity,
            priority: ReplacePriority::KeepWherePossible,
            client_order_id: ids.0,
            echo: terms.echo,
        };
        let instructions = terms.instructions;
        let command = if instructions == Instructions::NONE {
            Command::Replace(replace)
        } else {
            Command::ReplaceSpecial(ReplaceSpecial { replace, instructions })
        };
        let (client_order_id, original_id) = ids;
        let ask = FixAsk::Replace;
        let request = FixRequest { session: self.id, client_ref, ask, client_order_id, original_id };
        Ok(Act::Sequence(Some(request), Some(command)))
    }

    fn cancel(&self, message: &Checked<'_, '_>, client_ref: ClientRef, is_again: bool) -> Result<Act, Taken> {
        let client_order_id = name(message, 11)?;
        let mut original_id =
            if message.get(41).is_some() { name(message, 41)? } else { ClientOrderId::BLANK };
        if original_id == ClientOrderId::BLANK && message.get(37).is_none() {
            return Err(lacks("OrigClOrdID (41) or OrderID (37) is missing"));
        }
        let known = self.fix.find(&client_order_id).is_some();
        if known && is_again {
            return Ok(Act::Nothing);
        }
        let named = self.named(message, original_id);
        if let Ok((original, _)) = named
            && let Some(live) = self.session.order(original)
        {
            original_id = live.client_order_id;
        }
        let refuse = |order, status, reason| {
            let request = RefusedRequest::Cancel { order, status };
            Ok(self.refused(client_ref, request, reason, (client_order_id, original_id)))
        };
        match named {
            Ok((original, order)) if known => {
                let status = self.session.order_report(original).map(|order| order.status);
                refuse(order, status.unwrap_or(OrderStatus::New), RejectReason::DuplicateClientOrderId)
            }
            Err((_, status)) if known => refuse(OrderId::NONE, status, RejectReason::DuplicateClientOrderId),
            Err((reason, status)) => refuse(OrderId::NONE, status, reason),
            Ok((original, order)) => {
                let owner = Owner { session: self.id, client_ref: original };
                let cancel = CancelOrder { order, owner, reason: CancelReason::Requested };
                let ask = FixAsk::Cancel { original };
                let request = FixRequest { session: self.id, client_ref, ask, client_order_id, original_id };
                Ok(Act::Sequence(Some(request), Some(Command::Cancel(cancel))))
            }
        }
    }

    /// The side that a request is limited to, if to one.
    fn side(message: &Checked<'_, '_>) -> Result<Option<Side>, Taken> {
        match message.letter(54) {
            None => Ok(None),
            Some(b'1') => Ok(Some(Side::Buy)),
            Some(b'2') => Ok(Some(Side::Sell)),
            Some(_) => Err(Taken::Reject(SessionReject::ValueIncorrect, 54)),
        }
    }

    fn mass_cancel(
        &self,
        message: &Checked<'_, '_>,
        client_ref: ClientRef,
        is_again: bool,
    ) -> Result<Act, Taken> {
        let client_order_id = name(message, 11)?;
        if self.fix.find(&client_order_id).is_some() {
            return if is_again {
                Ok(Act::Nothing)
            } else {
                Err(Taken::No { reason: 0, text: "duplicate ClOrdID" })
            };
        }
        let scope = message.letter(530).unwrap_or(b'7');
        let instrument = if scope == b'1' { Some(self.instrument(message)?) } else { None };
        let command = Command::MassCancel(MassCancel {
            owner: Owner { session: self.id, client_ref },
            instrument: instrument.map(|instrument| instrument.id),
            session: Some(self.id),
            account: None,
            side: Self::side(message)?,
        });
        let original_id = ClientOrderId::BLANK;
        let request = FixRequest {
            session: self.id,
            client_ref,
            ask: FixAsk::MassCancel,
            client_order_id,
            original_id,
        };
        let symbol = instrument.map(|instrument| instrument.symbol);
        Ok(Act::MassCancel(request, command, MassCanceling { scope, client_order_id, symbol }))
    }

    fn status(&self, message: &Checked<'_, '_>) -> Result<Act, Taken> {
        let client_order_id = name(message, 11)?;
        let symbol = message.get(55).ok_or(lacks("Symbol (55) is missing"))?.to_vec();
        let side_code = message.letter(54).unwrap_or(b'1');
        let id = message.get(790).unwrap_or_default().to_vec();
        let (order, status) = match self.fix.find(&client_order_id) {
            Some((client_ref, Standing::Live)) => {
                (self.session.order_report(client_ref), OrderStatus::Rejected)
            }
            Some((_, Standing::Over(status))) => (None, status),
            Some((_, Standing::NoOrder)) | None => (None, OrderStatus::Rejected),
        };
        Ok(Act::Status(Asked { order, status, client_order_id, symbol, side_code, id }))
    }

    fn mass_status(&self, message: &Checked<'_, '_>) -> Result<Act, Taken> {
        let id = message.get(584).unwrap_or_default().to_vec();
        let side = Self::side(message)?;
        let instrument = match message.int(585) {
            Some(1) => Some(self.instrument(message)?.id),
            Some(7) => None,
            _ => {
                return Err(Taken::No {
                    reason: 0,
                    text: "MassStatusReqType (585) must be 1, a security, or 7, all",
                });
            }
        };
        let orders = self
            .session
            .orders
            .iter()
            .filter(|(_, live)| instrument.is_none_or(|instrument| live.order.instrument() == instrument))
            .filter(|(_, live)| side.is_none_or(|side| live.side == side))
            .map(|(client_ref, _)| client_ref)
            .collect();
        Ok(Act::MassStatus(MassAsked { id, orders }))
    }
}

fn symbol(text: &[u8]) -> Option<Symbol> {
    core::str::from_utf8(text).ok().and_then(Symbol::new)
}
