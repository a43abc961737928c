//! Commands as payloads.
//!
//! | kind | detail | payload | bytes |
//! |---|---|---|---|
//! | Enter | | order 8, price 8, quantity 8, session 4, client ref 4, account 4, side 1, type 1, time in force 1, echo 5, client order id 20 | 64 |
//! | Cancel | reason | order 8, session 4, client ref 4 | 16 |
//! | Reduce | kind, side code | order 8, total 8, session 4, client ref 4 | 24 |
//! | Replace | priority | order 8, new order 8, price 8, total 8, original 4, session 4, client ref 4, type 1, time in force 1, echo 5, client order id 20 | 72 |
//! | Rejected | reason | session 4, client ref 4, client order id 20 | 32 |
//! | EndOfDay | | | 0 |
//! | DefineInstrument | | symbol 8, largest quantity 8, highest price 8, id 4, tick 4, lot 4 | 40 |
//! | DefineSession | | session 4, user 20 | 24 |

use domain::{
    AccountId, BookScopedId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, EnterOrder,
    Instrument, InstrumentId, Owner, PreRejected, Quantity, ReduceKind, ReduceOrder, RejectReason,
    ReplaceOrder, ReplacePriority, SessionDefinition, SessionId, Side, Symbol, UserName,
};

use super::{Put, Take, echo, unused, value};
use crate::error::DecodeError;
use crate::record::RecordKind;

const ENTER: usize = 64;
const CANCEL: usize = 16;
const REDUCE: usize = 24;
const REPLACE: usize = 72;
const REJECTED: usize = 32;
const INSTRUMENT: usize = 40;
const SESSION: usize = 24;

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
        Command::DefineInstrument(_) => (RecordKind::DefineInstrument, INSTRUMENT),
        Command::DefineSession(_) => (RecordKind::DefineSession, SESSION),
    }
}

/// Writes the payload, whose length is that of [`shape`], and gives the header's detail.
#[inline]
pub(crate) fn encode(command: &Command, payload: &mut [u8]) -> [u8; 3] {
    match command {
        Command::Enter(c) => {
            Put::<ENTER>::new(payload)
                .u64(c.order.0)
                .u64(c.price.ticks() as u64)
                .u64(c.quantity.0)
                .u32(c.owner.session.0)
                .u32(c.owner.client_ref.0)
                .u32(c.account.0)
                .bytes([c.side as u8, c.order_type as u8, c.time_in_force as u8])
                .bytes(echo(&c.echo))
                .bytes(c.client_order_id.0)
                .end();
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
            Put::<REPLACE>::new(payload)
                .u64(c.order.0)
                .u64(c.new_order.0)
                .u64(c.price.ticks() as u64)
                .u64(c.total.0)
                .u32(c.original.0)
                .u32(c.owner.session.0)
                .u32(c.owner.client_ref.0)
                .bytes([c.order_type as u8, c.time_in_force as u8])
                .bytes(echo(&c.echo))
                .bytes(c.client_order_id.0)
                .end();
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
            Put::<INSTRUMENT>::new(payload)
                .bytes(i.symbol.padded())
                .u64(i.quantity_max.0)
                .u64(i.price_max.ticks() as u64)
                .u32(i.id.0)
                .u32(i.tick)
                .u32(i.lot)
                .end();
            [0; 3]
        }
        Command::DefineSession(c) => {
            Put::<SESSION>::new(payload).u32(c.session.0).bytes(c.user.0).end();
            [0; 3]
        }
    }
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
            let order = BookScopedId(t.u64());
            let price = t.price()?;
            let quantity = Quantity(t.u64());
            let owner = owner(&mut t);
            let account = AccountId(t.u32());
            let side = t.u8();
            let side = Side::from_u8(side).ok_or(value("side", side))?;
            let order_type = t.order_type()?;
            let time_in_force = t.time_in_force()?;
            let echo = t.echo();
            let client_order_id = ClientOrderId(t.bytes());
            t.end()?;
            Ok(Command::Enter(EnterOrder {
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
            }))
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
            let priority = match detail[0] {
                0 => ReplacePriority::KeepWherePossible,
                1 => ReplacePriority::Lose,
                n => return Err(value("replace priority", n)),
            };
            let mut t = Take::<REPLACE>::new(number, payload)?;
            let order = BookScopedId(t.u64());
            let new_order = BookScopedId(t.u64());
            let price = t.price()?;
            let total = Quantity(t.u64());
            let original = ClientRef(t.u32());
            let owner = owner(&mut t);
            let order_type = t.order_type()?;
            let time_in_force = t.time_in_force()?;
            let echo = t.echo();
            let client_order_id = ClientOrderId(t.bytes());
            t.end()?;
            Ok(Command::Replace(ReplaceOrder {
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
            }))
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
            let mut t = Take::<INSTRUMENT>::new(number, payload)?;
            let symbol = t.bytes();
            let symbol = Symbol::from_padded(symbol)
                .ok_or(DecodeError::Value { field: "symbol", value: u64::from_le_bytes(symbol) })?;
            let quantity_max = Quantity(t.u64());
            let price_max = t.price()?;
            let id = InstrumentId(t.u32());
            let tick = t.u32();
            let lot = t.u32();
            t.end()?;
            let instrument = Instrument { id, symbol, tick, lot, quantity_max, price_max };
            if makes_sense(&instrument) {
                Ok(Command::DefineInstrument(instrument))
            } else {
                Err(DecodeError::Value { field: "instrument", value: u64::from(id.0) })
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
        _ => Err(DecodeError::Kind(number)),
    }
}

fn makes_sense(instrument: &Instrument) -> bool {
    instrument.id.0 < BookScopedId::INSTRUMENTS_MAX && instrument.validated().is_ok()
}

#[inline(always)]
fn owner<const N: usize>(t: &mut Take<'_, N>) -> Owner {
    Owner { session: SessionId(t.u32()), client_ref: ClientRef(t.u32()) }
}
