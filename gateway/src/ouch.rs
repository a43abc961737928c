//! From a client's OUCH message to a command: the discipline of numbers, and the checks that need no book.
//!
//! | request | its number was used | the order it means is not open | it makes no sense | else |
//! |---|---|---|---|---|
//! | Enter | ignored | - | Rejected, number used up | Enter |
//! | Replace | ignored | ignored | the old order is canceled, number not used up | Replace |
//! | Cancel, Modify | - | ignored | ignored | Cancel or Reduce |
//! | Mass Cancel | ignored | - | Rejected, number used up | MassCancel |
//!
//! An order waits where its book is busy ([`crate::admission`]); its number is used then, and it is judged again when its
//! turn has come.
//!
//! So whatever a client sends twice has its effect once. Source: Nasdaq, OUCH 5.0, the sections on UserRefNum and on
//! each message.

mod special;

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Echo, EnterOrder, EnterSpecial,
    Instructions, Instrument, InstrumentId, MassCancel, Nanos, OrderId, OrderType, Owner, PreRejected, Price,
    Quantity, ReduceKind, ReduceOrder, RejectReason, ReplaceOrder, ReplacePriority, ReplaceSpecial,
    SessionId, Side, Symbol, TimeInForce,
};
use wire::ouch::{Appendage, Inbound, codes, inbound};

pub(crate) use self::special::Asked;
use self::special::Fields;
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
    /// What time it is; only known for a request that asks for one ([`Asked::is_dated`]).
    pub(crate) now: Nanos,
}

/// What a request's options ask for, if it has any; or what is not offered.
pub(crate) type Options = Result<Option<Asked>, RejectReason>;

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
            Inbound::MassCancel(cancel) => self.mass_cancel(cancel),
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
        let checked = match options {
            Ok(None) if enter.display != HIDDEN => self.checked(enter),
            options => return Action::Sequence(self.enter_special(enter, options, next_order)),
        };
        Action::Sequence(match checked {
            Ok((id, side, terms)) => Command::Enter(self.order(enter, next_order(id), side, &terms)),
            Err(reason) => self.rejected(client_ref, client_order_id(enter.client_order_id), reason),
        })
    }

    /// A plain order's instrument, side and terms.
    #[inline]
    fn checked(&self, enter: &inbound::EnterOrder<'_>) -> Result<(InstrumentId, Side, Terms), RejectReason> {
        let (instrument, side) = self.placed(enter)?;
        let terms = plain(instrument, &enter_fields(enter))?;
        self.takes(enter)?;
        Ok((instrument.id, side, terms))
    }

    /// An order with options, or hidden, becomes a plain one if they ask for nothing that one does not have.
    #[cold]
    fn enter_special(
        &self,
        enter: &inbound::EnterOrder<'_>,
        options: Options,
        next_order: impl FnOnce(InstrumentId) -> OrderId,
    ) -> Command {
        let checked = self.placed(enter).and_then(|(instrument, side)| {
            let options = options.map(Option::unwrap_or_default);
            let (terms, instructions) =
                enter_fields(enter).special(instrument, self.id, self.now, options)?;
            self.takes(enter)?;
            Ok((instrument.id, side, terms, instructions))
        });
        match checked {
            Ok((id, side, terms, instructions)) => {
                let order = self.order(enter, next_order(id), side, &terms);
                if instructions == Instructions::NONE {
                    return Command::Enter(order);
                }
                let instructions = special::seeded(instructions, order.order);
                Command::EnterSpecial(EnterSpecial { enter: order, instructions })
            }
            Err(reason) => {
                let client_order_id = client_order_id(enter.client_order_id);
                self.rejected(ClientRef(enter.user_ref), client_order_id, reason)
            }
        }
    }

    #[inline(always)]
    fn order(
        &self,
        enter: &inbound::EnterOrder<'_>,
        order: OrderId,
        side: Side,
        terms: &Terms,
    ) -> EnterOrder {
        EnterOrder {
            order,
            owner: Owner { session: self.id, client_ref: ClientRef(enter.user_ref) },
            account: AccountId(self.id.0),
            side,
            order_type: terms.order_type,
            time_in_force: terms.time_in_force,
            price: terms.price,
            quantity: terms.quantity,
            client_order_id: client_order_id(enter.client_order_id),
            echo: Echo {
                side: enter.side,
                display: enter.display,
                capacity: enter.capacity,
                intermarket_sweep: enter.intermarket_sweep,
                cross: enter.cross,
            },
        }
    }

    /// Where an order goes, and on which side.
    #[inline(always)]
    fn placed(&self, enter: &inbound::EnterOrder<'_>) -> Result<(&Instrument, Side), RejectReason> {
        let instrument = self.instrument(enter).ok_or_else(|| self.not_found(enter.symbol))?;
        if !self.lives_here(instrument.id) {
            return Err(RejectReason::Elsewhere);
        }
        let side = codes::side(enter.side).ok_or(RejectReason::InvalidSide)?;
        Ok((instrument, side))
    }

    /// Whether an order whose terms are good is taken now.
    #[inline(always)]
    fn takes(&self, enter: &inbound::EnterOrder<'_>) -> Result<(), RejectReason> {
        if enter.cross != b'N' {
            return Err(RejectReason::Unsupported);
        }
        if !self.takes_orders {
            return Err(RejectReason::StorageFull);
        }
        if self.session.open_orders() >= self.open_orders_max {
            return Err(RejectReason::TooManyOrders);
        }
        Ok(())
    }

    /// Cancels all orders of the session that fit, and of no other. It is taken also when orders are not.
    #[cold]
    fn mass_cancel(&self, cancel: &inbound::MassCancel) -> Action {
        let client_ref = ClientRef(cancel.user_ref);
        if client_ref <= self.session.last_ref() {
            return Action::Ignore;
        }
        let instrument = if cancel.symbol == EVERY_INSTRUMENT {
            Ok(None)
        } else {
            self.instrument_of(cancel.symbol)
                .map(|instrument| Some(instrument.id))
                .ok_or_else(|| self.not_found(cancel.symbol))
        };
        let side = match cancel.side {
            BOTH_SIDES => Ok(None),
            code => codes::side(code).map(Some).ok_or(RejectReason::InvalidSide),
        };
        Action::Sequence(match instrument.and_then(|instrument| Ok((instrument, side?))) {
            Ok((instrument, side)) => Command::MassCancel(MassCancel {
                owner: Owner { session: self.id, client_ref },
                instrument,
                session: Some(self.id),
                account: None,
                side,
            }),
            Err(reason) => self.rejected(client_ref, ClientOrderId::BLANK, reason),
        })
    }

    /// The instrument that an order is for.
    pub(crate) fn instrument(&self, enter: &inbound::EnterOrder<'_>) -> Option<&Instrument> {
        self.instrument_of(enter.symbol)
    }

    #[inline(always)]
    fn instrument_of(&self, symbol: [u8; 8]) -> Option<&Instrument> {
        self.instruments.find(Symbol::from_padded(symbol)?)
    }

    #[inline]
    fn lives_here(&self, instrument: InstrumentId) -> bool {
        self.here.is_none_or(|here| here.lives(instrument))
    }

    /// Why there is no such instrument here.
    #[cold]
    fn not_found(&self, symbol: [u8; 8]) -> RejectReason {
        let symbol = Symbol::from_padded(symbol);
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
        let fields = replace_fields(replace);
        let terms =
            self.instruments.get(old.order.instrument()).ok_or(RejectReason::UnknownInstrument).and_then(
                |instrument| match options {
                    Ok(None) if replace.display != HIDDEN => {
                        plain(instrument, &fields).map(|terms| (terms, Instructions::NONE))
                    }
                    options => {
                        let options = options.map(Option::unwrap_or_default);
                        fields.special(instrument, self.id, self.now, options)
                    }
                },
            );
        let Ok((terms, instructions)) = terms else {
            return Action::Sequence(Command::Cancel(CancelOrder {
                order: old.order,
                owner: Owner { session: self.id, client_ref: original },
                reason: CancelReason::InvalidReplacement,
            }));
        };
        let Terms { order_type, time_in_force, price, quantity: total } = terms;
        let replace = ReplaceOrder {
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
            echo: Echo { display: replace.display, intermarket_sweep: replace.intermarket_sweep, ..old.echo },
        };
        // A request says the whole new order: what it does not ask for anew, the new order does not have.
        Action::Sequence(if old.is_special || instructions != Instructions::NONE {
            let instructions = special::seeded(instructions, replace.new_order);
            Command::ReplaceSpecial(ReplaceSpecial { replace, instructions })
        } else {
            Command::Replace(replace)
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

/// The symbol of a mass cancel of every instrument.
const EVERY_INSTRUMENT: [u8; 8] = [b' '; 8];
/// The side of a mass cancel of both.
const BOTH_SIDES: u8 = b' ';
/// The display code of an order that is not shown.
const HIDDEN: u8 = b'N';

/// An order's terms, in the domain's words.
struct Terms {
    order_type: OrderType,
    time_in_force: TimeInForce,
    price: Price,
    quantity: Quantity,
}

#[inline(always)]
const fn enter_fields(enter: &inbound::EnterOrder<'_>) -> Fields {
    let inbound::EnterOrder { quantity, price, time_in_force, display, .. } = *enter;
    Fields { quantity, price, time_in_force, display }
}

#[inline(always)]
const fn replace_fields(replace: &inbound::ReplaceOrder<'_>) -> Fields {
    let inbound::ReplaceOrder { quantity, price, time_in_force, display, .. } = *replace;
    Fields { quantity, price, time_in_force, display }
}

/// The terms of an order without options.
#[inline]
fn plain(instrument: &Instrument, fields: &Fields) -> Result<Terms, RejectReason> {
    let quantity = (fields.quantity < UNITS_END)
        .then(|| instrument.quantity_from_units(u64::from(fields.quantity)))
        .flatten()
        .ok_or(RejectReason::InvalidQuantity)?;
    let order_type = codes::order_type(fields.price);
    let price = match order_type {
        OrderType::Limit => instrument.price_from_e4(fields.price).ok_or(RejectReason::InvalidPrice)?,
        OrderType::Market | OrderType::MarketToLimit => Price::default(),
    };
    instrument.check_bounds(order_type, price, quantity)?;
    let time_in_force = match codes::time_in_force(fields.time_in_force) {
        // Without an ExpireTime it has no date.
        None | Some(TimeInForce::GoodTillDate) => return Err(RejectReason::InvalidTimeInForce),
        Some(time_in_force) => time_in_force,
    };
    if !matches!(fields.display, b'Y' | b'A') {
        return Err(RejectReason::InvalidDisplay);
    }
    Ok(Terms { order_type, time_in_force, price, quantity })
}

/// Looks at a request's options.
#[inline]
pub(crate) fn options(message: &Inbound<'_>) -> Options {
    match message {
        Inbound::EnterOrder(enter) => read(enter.appendage),
        Inbound::ReplaceOrder(replace) => read(replace.appendage),
        Inbound::CancelOrder(_)
        | Inbound::ModifyOrder(_)
        | Inbound::MassCancel(_)
        | Inbound::AccountQuery => Ok(None),
    }
}

#[inline]
fn read(appendage: Appendage<'_>) -> Options {
    if appendage.is_empty() { Ok(None) } else { Asked::read(appendage).map(Some) }
}

pub(crate) fn client_order_id(text: [u8; 14]) -> ClientOrderId {
    let mut padded = ClientOrderId::BLANK;
    padded.0[..14].copy_from_slice(&text);
    padded
}
