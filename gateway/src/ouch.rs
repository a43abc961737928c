//! From a client's OUCH message to a command: the discipline of numbers, and the checks that need no book.
//!
//! | request | its number was used | the order it means is not open | it makes no sense | else |
//! |---|---|---|---|---|
//! | Enter | ignored | - | Rejected, number used up | Enter |
//! | Replace | ignored | ignored | the old order is canceled, number not used up | Replace |
//! | Cancel, Modify | - | ignored | ignored | Cancel or Reduce |
//!
//! An order waits where its book is busy ([`crate::admission`]); its number is used then, and it is judged again when its
//! turn has come.
//!
//! So whatever a client sends twice has its effect once. Source: Nasdaq, OUCH 5.0, the sections on UserRefNum and on
//! each message.

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Echo, EnterOrder, Instrument,
    InstrumentId, OrderId, OrderType, Owner, PreRejected, Price, Quantity, ReduceKind, ReduceOrder,
    RejectReason, ReplaceOrder, ReplacePriority, SessionId, Side, Symbol, TimeInForce,
};
use wire::ouch::{Appendage, Inbound, TagValue, codes, inbound};

use crate::{placement::Here, sessions::Session, venue::Instruments};

/// The largest quantity that may be entered, in units, exclusive: OUCH's own bound.
const UNITS_END: u32 = 1_000_000;

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing: a repetition, or it means an order that is not open.
    Ignore,
    /// Sequence this.
    Sequence(Command),
    /// Tell the session its next number.
    AccountQuery,
}

/// What a request is checked against.
#[derive(Clone, Copy)]
pub(crate) struct Checks<'a> {
    pub(crate) id: SessionId,
    pub(crate) session: &'a Session,
    pub(crate) instruments: &'a Instruments,
    /// Which of them live here; all, if there is no placement.
    pub(crate) here: Option<&'a Here>,
    /// Whether the venue takes new orders.
    pub(crate) takes_orders: bool,
    /// The most orders that a session may have open.
    pub(crate) open_orders_max: usize,
}

/// What a request's options ask for, as far as it matters: a minimum quantity, or what is not offered.
pub(crate) type Options = Result<Option<u32>, RejectReason>;

impl Checks<'_> {
    /// Decides what a request does, whose `options` have been looked at. `next_order` gives a book's next order id.
    #[inline]
    pub(crate) fn action(
        &self,
        message: &Inbound<'_>,
        options: Options,
        next_order: impl FnOnce(domain::InstrumentId) -> OrderId,
    ) -> Action {
        match message {
            Inbound::EnterOrder(enter) => self.enter(enter, options, next_order),
            Inbound::ReplaceOrder(replace) => self.replace(replace, options, next_order),
            Inbound::CancelOrder(cancel) => self.cancel(cancel),
            Inbound::ModifyOrder(modify) => self.modify(modify),
            Inbound::AccountQuery => Action::AccountQuery,
        }
    }

    fn enter(
        &self,
        enter: &inbound::EnterOrder<'_>,
        options: Options,
        next_order: impl FnOnce(domain::InstrumentId) -> OrderId,
    ) -> Action {
        let client_ref = ClientRef(enter.user_ref);
        if client_ref <= self.session.last_ref() {
            return Action::Ignore;
        }
        let client_order_id = client_order_id(enter.client_order_id);
        Action::Sequence(match self.checked(enter, options) {
            Ok(terms) => Command::Enter(EnterOrder {
                order: next_order(terms.instrument.id),
                owner: Owner { session: self.id, client_ref },
                account: AccountId(self.id.0),
                side: terms.side,
                order_type: terms.order_type,
                time_in_force: terms.time_in_force,
                price: terms.price,
                quantity: terms.quantity,
                client_order_id,
                echo: Echo {
                    side: enter.side,
                    display: enter.display,
                    capacity: enter.capacity,
                    intermarket_sweep: enter.intermarket_sweep,
                    cross: enter.cross,
                },
            }),
            Err(reason) => self.rejected(client_ref, client_order_id, reason),
        })
    }

    fn checked(&self, enter: &inbound::EnterOrder<'_>, options: Options) -> Result<Terms<'_>, RejectReason> {
        let instrument = self.instrument(enter).ok_or_else(|| self.not_found(enter))?;
        if !self.lives_here(instrument.id) {
            return Err(RejectReason::Elsewhere);
        }
        let side = codes::side(enter.side).ok_or(RejectReason::InvalidSide)?;
        let (quantity, order_type, price) = sized_and_priced(instrument, enter.quantity, enter.price)?;
        let min_quantity = options?;
        let time_in_force = codes::time_in_force(enter.time_in_force, min_quantity, enter.quantity)?;
        displayed(enter.display)?;
        if enter.cross != b'N' {
            return Err(RejectReason::Unsupported);
        }
        if !self.takes_orders {
            return Err(RejectReason::StorageFull);
        }
        if self.session.open_orders() >= self.open_orders_max {
            return Err(RejectReason::TooManyOrders);
        }
        Ok(Terms { instrument, side, order_type, time_in_force, price, quantity })
    }

    /// The instrument that an order is for.
    pub(crate) fn instrument(&self, enter: &inbound::EnterOrder<'_>) -> Option<&Instrument> {
        self.instruments.find(Symbol::from_padded(enter.symbol)?)
    }

    #[inline]
    fn lives_here(&self, instrument: InstrumentId) -> bool {
        self.here.is_none_or(|here| here.lives(instrument))
    }

    /// Why there is no such instrument here.
    #[cold]
    fn not_found(&self, enter: &inbound::EnterOrder<'_>) -> RejectReason {
        let symbol = Symbol::from_padded(enter.symbol);
        match self.here.zip(symbol) {
            Some((here, symbol)) if here.is_elsewhere(symbol) => RejectReason::Elsewhere,
            _ => RejectReason::UnknownInstrument,
        }
    }

    fn replace(
        &self,
        replace: &inbound::ReplaceOrder<'_>,
        options: Options,
        next_order: impl FnOnce(domain::InstrumentId) -> OrderId,
    ) -> Action {
        let client_ref = ClientRef(replace.user_ref);
        let original = ClientRef(replace.original);
        let Some(old) = self.session.order(original) else { return Action::Ignore };
        if client_ref <= self.session.last_ref() {
            return Action::Ignore;
        }
        let owner = Owner { session: self.id, client_ref };
        let client_order_id = client_order_id(replace.client_order_id);
        if !self.takes_orders {
            return Action::Sequence(self.rejected(client_ref, client_order_id, RejectReason::StorageFull));
        }
        if !self.lives_here(old.order.instrument()) {
            return Action::Sequence(self.rejected(client_ref, client_order_id, RejectReason::Elsewhere));
        }
        let terms = self
            .instruments
            .get(old.order.instrument())
            .ok_or(RejectReason::UnknownInstrument)
            .and_then(|instrument| sized_and_priced(instrument, replace.quantity, replace.price))
            .and_then(|terms| Ok((terms, options?)))
            .and_then(|(terms, min)| {
                displayed(replace.display)?;
                Ok((terms, codes::time_in_force(replace.time_in_force, min, replace.quantity)?))
            });
        Action::Sequence(match terms {
            Ok(((total, order_type, price), time_in_force)) => Command::Replace(ReplaceOrder {
                order: old.order,
                original,
                new_order: next_order(old.order.instrument()),
                owner,
                order_type,
                time_in_force,
                price,
                total,
                priority: ReplacePriority::Lose,
                client_order_id,
                echo: Echo {
                    display: replace.display,
                    intermarket_sweep: replace.intermarket_sweep,
                    ..old.echo
                },
            }),
            Err(_) => Command::Cancel(CancelOrder {
                order: old.order,
                owner: Owner { session: self.id, client_ref: original },
                reason: CancelReason::InvalidReplacement,
            }),
        })
    }

    fn cancel(&self, cancel: &inbound::CancelOrder) -> Action {
        let client_ref = ClientRef(cancel.user_ref);
        let Some(order) = self.session.order(client_ref) else { return Action::Ignore };
        let owner = Owner { session: self.id, client_ref };
        if cancel.quantity == 0 {
            let reason = CancelReason::Requested;
            return Action::Sequence(Command::Cancel(CancelOrder { order: order.order, owner, reason }));
        }
        self.reduce(order.order, owner, cancel.quantity, ReduceKind::Cancel)
    }

    fn modify(&self, modify: &inbound::ModifyOrder) -> Action {
        let client_ref = ClientRef(modify.user_ref);
        let Some(order) = self.session.order(client_ref) else { return Action::Ignore };
        let marks = (order.echo.side, modify.side);
        if marks.0 != marks.1 && !matches!(marks, (b'S', b'E' | b'T') | (b'E', b'T')) {
            return Action::Ignore;
        }
        let owner = Owner { session: self.id, client_ref };
        self.reduce(order.order, owner, modify.quantity, ReduceKind::Modify { side_code: modify.side })
    }

    /// A size that is off the lot cannot be meant; it is ignored like every superfluous request.
    fn reduce(&self, order: OrderId, owner: Owner, units: u32, kind: ReduceKind) -> Action {
        self.instruments
            .get(order.instrument())
            .and_then(|instrument| instrument.quantity_from_units(u64::from(units)))
            .map_or(Action::Ignore, |total| {
                Action::Sequence(Command::Reduce(ReduceOrder { order, owner, total, kind }))
            })
    }

    pub(crate) fn rejected(
        &self,
        client_ref: ClientRef,
        client_order_id: ClientOrderId,
        reason: RejectReason,
    ) -> Command {
        Command::Rejected(PreRejected { session: self.id, client_ref, client_order_id, reason })
    }
}

/// An order's terms, in the domain's words.
struct Terms<'a> {
    instrument: &'a Instrument,
    side: Side,
    order_type: OrderType,
    time_in_force: TimeInForce,
    price: Price,
    quantity: Quantity,
}

fn sized_and_priced(
    instrument: &Instrument,
    units: u32,
    price: u64,
) -> Result<(Quantity, OrderType, Price), RejectReason> {
    let quantity = (units < UNITS_END)
        .then(|| instrument.quantity_from_units(u64::from(units)))
        .flatten()
        .ok_or(RejectReason::InvalidQuantity)?;
    let order_type = codes::order_type(price);
    let price = match order_type {
        OrderType::Limit => instrument.price_from_e4(price).ok_or(RejectReason::InvalidPrice)?,
        OrderType::Market | OrderType::MarketToLimit => Price::default(),
    };
    instrument.check_bounds(order_type, price, quantity)?;
    Ok((quantity, order_type, price))
}

/// Looks at a request's options. Those that say nothing about how an order trades are taken and not acted on.
#[inline]
pub(crate) fn options(message: &Inbound<'_>) -> Options {
    match message {
        Inbound::EnterOrder(enter) => supported(enter.appendage),
        Inbound::ReplaceOrder(replace) => supported(replace.appendage),
        Inbound::CancelOrder(_) | Inbound::ModifyOrder(_) | Inbound::AccountQuery => Ok(None),
    }
}

fn supported(appendage: Appendage<'_>) -> Options {
    if appendage.is_empty() {
        return Ok(None);
    }
    let mut min_quantity = None;
    for option in appendage.iter() {
        match option {
            TagValue::MinQuantity(minimum) => min_quantity = Some(minimum),
            TagValue::Firm(_) | TagValue::CustomerType(_) => {}
            _ => return Err(RejectReason::Unsupported),
        }
    }
    Ok(min_quantity)
}

fn displayed(code: u8) -> Result<(), RejectReason> {
    if matches!(code, b'Y' | b'A') { Ok(()) } else { Err(RejectReason::InvalidDisplay) }
}

pub(crate) fn client_order_id(text: [u8; 14]) -> ClientOrderId {
    let mut padded = ClientOrderId::BLANK;
    padded.0[..14].copy_from_slice(&text);
    padded
}
