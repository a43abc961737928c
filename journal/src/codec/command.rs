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
//! | DefineSession | protocol | session 4, user 20 | 24 |
//! | EnterSpecial | | as Enter, instructions 48 | 112 |
//! | ReplaceSpecial | priority | as Replace, instructions 48 | 120 |
//! | MassCancel | what is given, side | session 4, client ref 4, instrument 4, session 4, account 4 | 24 |
//! | Advance | | instrument 4 | 8 |
//! | EpochStart | | epoch 4 | 8 |
//!
//! The instructions are in [`instructions`](super::instructions), what FIX sessions ask in [`fix`](super::fix).

mod decode;

use domain::{BookScopedId, Command, EnterOrder, Instrument, OrderBounds, ReduceKind, ReplaceOrder};

pub(crate) use self::decode::{decode, decode_into, order_instrument};
use super::{Put, echo, fix, instructions};
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
const EPOCH_START: usize = 8;

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
        Command::EpochStart(_) => (RecordKind::EpochStart, EPOCH_START),
        Command::FixRequest(_) => (RecordKind::FixRequest, fix::REQUEST),
        Command::DropCopy(_) => (RecordKind::DropCopy, fix::DROP_COPY),
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
            [c.protocol as u8, 0, 0]
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
        Command::EpochStart(epoch) => {
            Put::<EPOCH_START>::new(payload).u32(epoch.0).end();
            [0; 3]
        }
        Command::FixRequest(c) => fix::put_request(c, payload),
        Command::DropCopy(c) => fix::put_drop_copy(c, payload),
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
