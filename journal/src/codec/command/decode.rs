//! Payloads as commands.

use domain::{
    AccountId, BookScopedId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, EnterOrder,
    EnterSpecial, Epoch, Instrument, InstrumentId, MassCancel, OrderBounds, Owner, PreRejected, Protocol,
    Quantity, ReduceKind, ReduceOrder, RejectReason, ReplaceOrder, ReplacePriority, ReplaceSpecial,
    SessionDefinition, SessionId, Side, Symbol, UserName,
};

use super::{
    ADVANCE, BOUNDED_INSTRUMENT, CANCEL, ENTER, ENTER_SPECIAL, EPOCH_START, INSTRUMENT, MASS_CANCEL, NAMES,
    NAMES_ACCOUNT, NAMES_INSTRUMENT, NAMES_SESSION, NAMES_SIDE, REDUCE, REJECTED, REPLACE, REPLACE_SPECIAL,
    SESSION, instructions, is_unbounded, makes_sense,
};
use crate::codec::{Take, fix, unused, value};
use crate::error::DecodeError;
use crate::record::RecordKind;

/// The instrument of the order that a command is about: its id comes first in all that are about one.
#[inline]
pub(crate) fn order_instrument(kind: RecordKind, payload: &[u8]) -> Option<InstrumentId> {
    match kind {
        RecordKind::Enter
        | RecordKind::Cancel
        | RecordKind::Reduce
        | RecordKind::Replace
        | RecordKind::EnterSpecial
        | RecordKind::ReplaceSpecial => {
            Some(BookScopedId(u64::from_le_bytes(*payload.first_chunk()?)).instrument())
        }
        _ => None,
    }
}

/// The command of a record.
///
/// # Errors
/// When the kind is no command, the length is not the kind's, or a field holds a value that it cannot have.
/// The client's own text and the echo are kept as they are: the journal knows no orders' meaning.
pub(crate) fn decode(kind: RecordKind, detail: [u8; 3], payload: &[u8]) -> Result<Command, DecodeError> {
    decode_into(kind, detail, payload, |command| command)
}

/// [`decode`] into what the command is part of: it is made where that is made, for a copy of what has just been written field
/// by field waits until all of it has reached the cache.
#[inline]
pub(crate) fn decode_into<T>(
    kind: RecordKind,
    detail: [u8; 3],
    payload: &[u8],
    of: impl FnOnce(Command) -> T,
) -> Result<T, DecodeError> {
    let number = kind as u8;
    match kind {
        RecordKind::Enter => {
            unused(&detail)?;
            let mut t = Take::<ENTER>::new(number, payload)?;
            let enter = take_enter(&mut t)?;
            t.end()?;
            Ok(of(Command::Enter(enter)))
        }
        RecordKind::Cancel => {
            unused(&detail[1..])?;
            let reason = CancelReason::from_u8(detail[0]).ok_or(value("cancel reason", detail[0]))?;
            let mut t = Take::<CANCEL>::new(number, payload)?;
            let order = BookScopedId(t.u64());
            let owner = owner(&mut t);
            t.end()?;
            Ok(of(Command::Cancel(CancelOrder { order, owner, reason })))
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
            Ok(of(Command::Reduce(ReduceOrder { order, owner, total, kind })))
        }
        RecordKind::Replace => {
            unused(&detail[1..])?;
            let priority = priority(detail[0])?;
            let mut t = Take::<REPLACE>::new(number, payload)?;
            let replace = take_replace(&mut t, priority)?;
            t.end()?;
            Ok(of(Command::Replace(replace)))
        }
        _ => decode_rare(kind, detail, payload).map(of),
    }
}

/// [`decode`] of what is not said all the time.
fn decode_rare(kind: RecordKind, detail: [u8; 3], payload: &[u8]) -> Result<Command, DecodeError> {
    let number = kind as u8;
    match kind {
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
            unused(&detail[1..])?;
            let protocol = Protocol::from_u8(detail[0]).ok_or(value("protocol", detail[0]))?;
            let mut t = Take::<SESSION>::new(number, payload)?;
            let session = SessionId(t.u32());
            let user = UserName(t.bytes());
            t.end()?;
            Ok(Command::DefineSession(SessionDefinition { session, user, protocol }))
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
        RecordKind::EpochStart => {
            unused(&detail)?;
            let mut t = Take::<EPOCH_START>::new(number, payload)?;
            let epoch = Epoch(t.u32());
            t.end()?;
            Ok(Command::EpochStart(epoch))
        }
        RecordKind::FixRequest => fix::take_request(detail, payload).map(Command::FixRequest),
        RecordKind::DropCopy => fix::take_drop_copy(detail, payload).map(Command::DropCopy),
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

#[inline(always)]
fn owner<const N: usize>(t: &mut Take<'_, N>) -> Owner {
    Owner { session: SessionId(t.u32()), client_ref: ClientRef(t.u32()) }
}
