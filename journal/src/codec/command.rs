//! Commands as payloads.
//!
//! | kind | detail | payload | bytes |
//! |---|---|---|---|
//! | Enter | | order 8, price 8, quantity 8, session 4, client ref 4, account 4, side 1, type 1, time in force 1, echo 5, client order id 20 | 64 |
//! | Cancel | reason | order 8, session 4, client ref 4 | 16 |
//! | Reduce | kind, side code | order 8, total 8, session 4, client ref 4 | 24 |
//! | Replace | priority | order 8, new order 8, price 8, total 8, original 4, session 4, client ref 4, type 1, time in force 1, echo 5, client order id 20, zero 1 | 72 |
//! | Rejected | reason | session 4, client ref 4, client order id 20 | 32 |
//! | EndOfDay | | | 0 |
//! | DefineInstrument | | symbol 8, largest quantity 8, highest price 8, id 4, tick 4, lot 4 | 40 |
//! | the same, bounded | | the same, zero 4, smallest quantity 8, smallest notional 8, largest notional 8 | 64 |
//! | DefineSession | | session 4, user 20 | 24 |
//! | EnterSpecial | | as Enter, instructions 48 | 112 |
//! | ReplaceSpecial | priority | as Replace, instructions 48 | 120 |
//! | MassCancel | what is given, side | session 4, client ref 4, instrument 4, session 4, account 4 | 24 |
//! | Advance | | instrument 4 | 8 |
//!
//! The instructions are in [`instructions`](super::instructions).

use domain::{
    AccountId, BookScopedId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, EnterOrder,
    EnterSpecial, Instrument, InstrumentId, MassCancel, OrderBounds, Owner, PreRejected, Quantity,
    ReduceKind, ReduceOrder, RejectReason, ReplaceOrder, ReplacePriority, ReplaceSpecial, SessionDefinition,
    SessionId, Side, Symbol, UserName,
};

use super::{Put, Take, echo, instructions, unused, value};
use crate::error::DecodeError;
use crate::record::RecordKind;

const ENTER: usize = 64;
const CANCEL: usize = 16;
const REDUCE: usize = 24;
const REPLACE: usize = 72;
const REJECTED: usize = 32;
const INSTRUMENT: usize = 40;
const BOUNDED_INSTRUMENT: usize = INSTRUMENT + 24;
const SESSION: usize = 24;
const ENTER_SPECIAL: usize = ENTER + instructions::BYTES;
const REPLACE_SPECIAL: usize = REPLACE + instructions::BYTES;
const MASS_CANCEL: usize = 24;
const ADVANCE: usize = 8;

const _: () = assert!(ENTER_SPECIAL == 112 && REPLACE_SPECIAL == 120 && BOUNDED_INSTRUMENT == 64);

// What a mass cancel names: bits of its first detail.
const NAMES_INSTRUMENT: u8 = 1;
const NAMES_SESSION: u8 = 2;
const NAMES_ACCOUNT: u8 = 4;
const NAMES_SIDE: u8 = 8;
const NAMES: u8 = NAMES_INSTRUMENT | NAMES_SESSION | NAMES_ACCOUNT | NAMES_SIDE;

/// The kind and the payload's length.
#[inline]
pub(crate) const fn shape(command: &Command) -> (RecordKind, usize) {
    match command {
        Command::Enter(_) => (RecordKind::Enter, ENTER),
        Command::Cancel(_) => (RecordKind::Cancel, CANCEL),
        Command::Reduce(_) => (RecordKind::Reduce, REDUCE),
        Command::Replace(_) => (RecordKind::Replace, REPLACE),
        Command::Rejected(_) => (RecordKind::Rejected, REJECTED),
        Command::EndOfDay => (RecordKind::EndOfDay, 0),
        Command::DefineInstrument(i) if is_unbounded(&i.bounds) => (RecordKind::DefineInstrument, INSTRUMENT),
        Command::DefineInstrument(_) => (RecordKind::DefineInstrument, BOUNDED_INSTRUMENT),
        Command::DefineSession(_) => (RecordKind::DefineSession, SESSION),
        Command::EnterSpecial(_) => (RecordKind::EnterSpecial, ENTER_SPECIAL),
        Command::ReplaceSpecial(_) => (RecordKind::ReplaceSpecial, REPLACE_SPECIAL),
        Command::MassCancel(_) => (RecordKind::MassCancel, MASS_CANCEL),
        Command::Advance(_) => (RecordKind::Advance, ADVANCE),
    }
}

/// Writes the payload, whose length is that of [`shape`], and gives the header's detail.
#[inline]
pub(crate) fn encode(command: &Command, payload: &mut [u8]) -> [u8; 3] {
    match command {
        Command::Enter(c) => {
            put_enter(Put::<ENTER>::new(payload), c).end();
            [0; 3]
        }
        Command::Cancel(c) => {
            Put::<CANCEL>::new(payload).u64(c.order.0).u32(c.owner.session.0).u32(c.owner.client_ref.0).end();
            [c.reason as u8, 0, 0]
        }
        Command::Reduce(c) => {
            Put::<REDUCE>::new(payload)
                .u64(c.order.0)
                .u64(c.total.0)
                .u32(c.owner.session.0)
                .u32(c.owner.client_ref.0)
                .end();
            match c.kind {
                ReduceKind::Cancel => [0; 3],
                ReduceKind::Modify { side_code } => [1, side_code, 0],
            }
        }
        Command::Replace(c) => {
            put_replace(Put::<REPLACE>::new(payload), c).end();
            [c.priority as u8, 0, 0]
        }
        Command::Rejected(c) => {
            Put::<REJECTED>::new(payload)
                .u32(c.session.0)
                .u32(c.client_ref.0)
                .bytes(c.client_order_id.0)
                .end();
            [c.reason as u8, 0, 0]
        }
        Command::EndOfDay => [0; 3],
        Command::DefineInstrument(i) => {
            // What makes no sense could not be read back.
            assert!(makes_sense(i), "an instrument is validated before it is defined");
            if is_unbounded(&i.bounds) {
                put_instrument(Put::<INSTRUMENT>::new(payload), i).end();
            } else {
                put_instrument(Put::<BOUNDED_INSTRUMENT>::new(payload), i)
                    .u32(0)
                    .u64(i.bounds.quantity_min.0)
                    .u64(i.bounds.notional_min)
                    .u64(i.bounds.notional_max)
                    .end();
            }
            [0; 3]
        }
        Command::DefineSession(c) => {
            Put::<SESSION>::new(payload).u32(c.session.0).bytes(c.user.0).end();
            [0; 3]
        }
        Command::EnterSpecial(c) => {
            let put = put_enter(Put::<ENTER_SPECIAL>::new(payload), &c.enter);
            instructions::put(put, &c.instructions).end();
            [0; 3]
        }
        Command::ReplaceSpecial(c) => {
            let put = put_replace(Put::<REPLACE_SPECIAL>::new(payload), &c.replace).bytes([0]);
            instructions::put(put, &c.instructions).end();
            [c.replace.priority as u8, 0, 0]
        }
        Command::MassCancel(c) => {
            Put::<MASS_CANCEL>::new(payload)
                .u32(c.owner.session.0)
                .u32(c.owner.client_ref.0)
                .u32(c.instrument.map_or(0, |id| id.0))
                .u32(c.session.map_or(0, |id| id.0))
                .u32(c.account.map_or(0, |id| id.0))
                .end();
            let names = [
                (c.instrument.is_some(), NAMES_INSTRUMENT),
                (c.session.is_some(), NAMES_SESSION),
                (c.account.is_some(), NAMES_ACCOUNT),
                (c.side.is_some(), NAMES_SIDE),
            ];
            let names = names.into_iter().filter(|(given, _)| *given).fold(0, |all, (_, bit)| all | bit);
            [names, c.side.map_or(0, |side| side as u8), 0]
        }
        Command::Advance(instrument) => {
            Put::<ADVANCE>::new(payload).u32(instrument.0).end();
            [0; 3]
        }
    }
}

#[inline(always)]
fn put_enter<'a, const N: usize>(put: Put<'a, N>, c: &EnterOrder) -> Put<'a, N> {
    put.u64(c.order.0)
        .u64(c.price.ticks() as u64)
        .u64(c.quantity.0)
        .u32(c.owner.session.0)
        .u32(c.owner.client_ref.0)
        .u32(c.account.0)
        .bytes([c.side as u8, c.order_type as u8, c.time_in_force as u8])
        .bytes(echo(&c.echo))
        .bytes(c.client_order_id.0)
}

#[inline(always)]
fn put_replace<'a, const N: usize>(put: Put<'a, N>, c: &ReplaceOrder) -> Put<'a, N> {
    put.u64(c.order.0)
        .u64(c.new_order.0)
        .u64(c.price.ticks() as u64)
        .u64(c.total.0)
        .u32(c.original.0)
        .u32(c.owner.session.0)
        .u32(c.owner.client_ref.0)
        .bytes([c.order_type as u8, c.time_in_force as u8])
        .bytes(echo(&c.echo))
        .bytes(c.client_order_id.0)
}

#[inline(always)]
fn put_instrument<'a, const N: usize>(put: Put<'a, N>, i: &Instrument) -> Put<'a, N> {
    put.bytes(i.symbol.padded())
        .u64(i.quantity_max.0)
        .u64(i.price_max.ticks() as u64)
        .u32(i.id.0)
        .u32(i.tick)
        .u32(i.lot)
}

/// The command of a record.
///
/// # Errors
/// When the kind is no command, the length is not the kind's, or a field holds a value that it cannot have.
/// The client's own text and the echo are kept as they are: the journal knows no orders' meaning.
#[inline]
pub(crate) fn decode(kind: RecordKind, detail: [u8; 3], payload: &[u8]) -> Result<Command, DecodeError> {
    let number = kind as u8;
    match kind {
        RecordKind::Enter => {
            unused(&detail)?;
            let mut t = Take::<ENTER>::new(number, payload)?;
            let enter = take_enter(&mut t)?;
            t.end()?;
            Ok(Command::Enter(enter))
        }
        RecordKind::Cancel => {
            unused(&detail[1..])?;
            let reason = CancelReason::from_u8(detail[0]).ok_or(value("cancel reason", detail[0]))?;
            let mut t = Take::<CANCEL>::new(number, payload)?;
            let order = BookScopedId(t.u64());
            let owner = owner(&mut t);
            t.end()?;
            Ok(Command::Cancel(CancelOrder { order, owner, reason }))
        }
        RecordKind::Reduce => {
            unused(&detail[2..])?;
            let kind = match detail {
                [0, 0, _] => ReduceKind::Cancel,
                [1, side_code, _] => ReduceKind::Modify { side_code },
                [n, ..] => return Err(value("reduce kind", n)),
            };
            let mut t = Take::<REDUCE>::new(number, payload)?;
            let order = BookScopedId(t.u64());
            let total = Quantity(t.u64());
            let owner = owner(&mut t);
            t.end()?;
            Ok(Command::Reduce(ReduceOrder { order, owner, total, kind }))
        }
        RecordKind::Replace => {
            unused(&detail[1..])?;
            let priority = priority(detail[0])?;
            let mut t = Take::<REPLACE>::new(number, payload)?;
            let replace = take_replace(&mut t, priority)?;
            t.end()?;
            Ok(Command::Replace(replace))
        }
        RecordKind::Rejected => {
            unused(&detail[1..])?;
            let reason = RejectReason::from_u8(detail[0]).ok_or(value("reject reason", detail[0]))?;
            let mut t = Take::<REJECTED>::new(number, payload)?;
            let Owner { session, client_ref } = owner(&mut t);
            let client_order_id = ClientOrderId(t.bytes());
            t.end()?;
            Ok(Command::Rejected(PreRejected { session, client_ref, client_order_id, reason }))
        }
        RecordKind::EndOfDay => {
            unused(&detail)?;
            Take::<0>::new(number, payload)?.end()?;
            Ok(Command::EndOfDay)
        }
        RecordKind::DefineInstrument => {
            unused(&detail)?;
            let instrument = if payload.len() == BOUNDED_INSTRUMENT {
                let mut t = Take::<BOUNDED_INSTRUMENT>::new(number, payload)?;
                let instrument = take_instrument(&mut t)?;
                t.zeros::<4>()?;
                let bounds = OrderBounds {
                    quantity_min: Quantity(t.u64()),
                    notional_min: t.u64(),
                    notional_max: t.u64(),
                };
                t.end()?;
                // What bounds nothing has the shorter payload, and no other.
                if is_unbounded(&bounds) {
                    return Err(DecodeError::Value { field: "bounds", value: bounds.quantity_min.0 });
                }
                Instrument { bounds, ..instrument }
            } else {
                let mut t = Take::<INSTRUMENT>::new(number, payload)?;
                let instrument = take_instrument(&mut t)?;
                t.end()?;
                instrument
            };
            if makes_sense(&instrument) {
                Ok(Command::DefineInstrument(instrument))
            } else {
                Err(DecodeError::Value { field: "instrument", value: u64::from(instrument.id.0) })
            }
        }
        RecordKind::DefineSession => {
            unused(&detail)?;
            let mut t = Take::<SESSION>::new(number, payload)?;
            let session = SessionId(t.u32());
            let user = UserName(t.bytes());
            t.end()?;
            Ok(Command::DefineSession(SessionDefinition { session, user }))
        }
        RecordKind::EnterSpecial => {
            unused(&detail)?;
            let mut t = Take::<ENTER_SPECIAL>::new(number, payload)?;
            let enter = take_enter(&mut t)?;
            let instructions = instructions::take(&mut t)?;
            t.end()?;
            Ok(Command::EnterSpecial(EnterSpecial { enter, instructions }))
        }
        RecordKind::ReplaceSpecial => {
            unused(&detail[1..])?;
            let priority = priority(detail[0])?;
            let mut t = Take::<REPLACE_SPECIAL>::new(number, payload)?;
            let replace = take_replace(&mut t, priority)?;
            t.zeros::<1>()?;
            let instructions = instructions::take(&mut t)?;
            t.end()?;
            Ok(Command::ReplaceSpecial(ReplaceSpecial { replace, instructions }))
        }
        RecordKind::MassCancel => {
            unused(&detail[2..])?;
            let mut t = Take::<MASS_CANCEL>::new(number, payload)?;
            let mass_cancel = take_mass_cancel(&mut t, detail[0], detail[1])?;
            t.end()?;
            Ok(Command::MassCancel(mass_cancel))
        }
        RecordKind::Advance => {
            unused(&detail)?;
            let mut t = Take::<ADVANCE>::new(number, payload)?;
            let instrument = instrument(t.u32())?;
            t.end()?;
            Ok(Command::Advance(instrument))
        }
        _ => Err(DecodeError::Kind(number)),
    }
}

#[inline(always)]
fn take_enter<const N: usize>(t: &mut Take<'_, N>) -> Result<EnterOrder, DecodeError> {
    let order = BookScopedId(t.u64());
    let price = t.price()?;
    let quantity = Quantity(t.u64());
    let owner = owner(t);
    let account = AccountId(t.u32());
    let side = side(t.u8())?;
    let order_type = t.order_type()?;
    let time_in_force = t.time_in_force()?;
    let echo = t.echo();
    let client_order_id = ClientOrderId(t.bytes());
    Ok(EnterOrder {
        order,
        owner,
        account,
        side,
        order_type,
        time_in_force,
        price,
        quantity,
        client_order_id,
        echo,
    })
}

#[inline(always)]
fn take_replace<const N: usize>(
    t: &mut Take<'_, N>,
    priority: ReplacePriority,
) -> Result<ReplaceOrder, DecodeError> {
    let order = BookScopedId(t.u64());
    let new_order = BookScopedId(t.u64());
    let price = t.price()?;
    let total = Quantity(t.u64());
    let original = ClientRef(t.u32());
    let owner = owner(t);
    let order_type = t.order_type()?;
    let time_in_force = t.time_in_force()?;
    let echo = t.echo();
    let client_order_id = ClientOrderId(t.bytes());
    Ok(ReplaceOrder {
        order,
        original,
        new_order,
        owner,
        order_type,
        time_in_force,
        price,
        total,
        priority,
        client_order_id,
        echo,
    })
}

/// An instrument without bounds.
fn take_instrument<const N: usize>(t: &mut Take<'_, N>) -> Result<Instrument, DecodeError> {
    let symbol = t.bytes();
    let symbol = Symbol::from_padded(symbol)
        .ok_or(DecodeError::Value { field: "symbol", value: u64::from_le_bytes(symbol) })?;
    let quantity_max = Quantity(t.u64());
    let price_max = t.price()?;
    let id = InstrumentId(t.u32());
    let tick = t.u32();
    let lot = t.u32();
    Ok(Instrument { id, symbol, tick, lot, quantity_max, price_max, bounds: OrderBounds::NONE })
}

fn take_mass_cancel<const N: usize>(
    t: &mut Take<'_, N>,
    names: u8,
    side_code: u8,
) -> Result<MassCancel, DecodeError> {
    if names & !NAMES != 0 {
        return Err(value("what a mass cancel names", names));
    }
    let owner = owner(t);
    // What is not named has no value.
    let mut named = |bit: u8, field: &'static str| match (names & bit != 0, t.u32()) {
        (true, n) => Ok(Some(n)),
        (false, 0) => Ok(None),
        (false, n) => Err(DecodeError::Value { field, value: u64::from(n) }),
    };
    let instrument = named(NAMES_INSTRUMENT, "instrument")?.map(instrument).transpose()?;
    let session = named(NAMES_SESSION, "session")?.map(SessionId);
    let account = named(NAMES_ACCOUNT, "account")?.map(AccountId);
    let side = match (names & NAMES_SIDE != 0, side_code) {
        (true, code) => Some(side(code)?),
        (false, 0) => None,
        (false, code) => return Err(value("side", code)),
    };
    Ok(MassCancel { owner, instrument, session, account, side })
}

fn priority(n: u8) -> Result<ReplacePriority, DecodeError> {
    match n {
        0 => Ok(ReplacePriority::KeepWherePossible),
        1 => Ok(ReplacePriority::Lose),
        n => Err(value("replace priority", n)),
    }
}

#[inline(always)]
fn side(n: u8) -> Result<Side, DecodeError> {
    Side::from_u8(n).ok_or(value("side", n))
}

fn instrument(n: u32) -> Result<InstrumentId, DecodeError> {
    if n < BookScopedId::INSTRUMENTS_MAX {
        Ok(InstrumentId(n))
    } else {
        Err(DecodeError::Value { field: "instrument", value: u64::from(n) })
    }
}

/// Whether the payload has no bounds.
const fn is_unbounded(bounds: &OrderBounds) -> bool {
    let OrderBounds { quantity_min, notional_min, notional_max } = bounds;
    let none = OrderBounds::NONE;
    quantity_min.0 == none.quantity_min.0
        && *notional_min == none.notional_min
        && *notional_max == none.notional_max
}

fn makes_sense(instrument: &Instrument) -> bool {
    instrument.id.0 < BookScopedId::INSTRUMENTS_MAX && instrument.validated().is_ok()
}

#[inline(always)]
fn owner<const N: usize>(t: &mut Take<'_, N>) -> Owner {
    Owner { session: SessionId(t.u32()), client_ref: ClientRef(t.u32()) }
}
