//! Entries of MarketDataSnapshotFullRefresh and MarketDataIncrementalRefresh.
//!
//! What changed is written once for all who watch the same: as the entries alone, which each session's message takes in behind
//! its own header. Prices are in the currency, quantities are units, as in orders.

use domain::{Instrument, Price, Quantity, Side};
use feed::{DepthChange, Level, LevelChange, PublicTrade};
use wire::fix::{MessageWriter, TimePrecision, Writer};

use crate::{book::Book, request::Types};

/// Entries of one message, at most: the longest of them fit into a body.
const PART_MAX: u64 = 500;

/// Entries that go into one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) count: u64,
    pub(crate) fields: Vec<u8>,
}

/// How a version tells of trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trades {
    /// FIX 4.4: by MDEntryID.
    Entry,
    /// FIX 5.0 SP2: by TradeID, with the side of the order that came in.
    Trade,
}

/// A message's sides, by what asks for them and by their MDEntryType.
const SIDES: [(Side, Types, u8); 2] = [(Side::Buy, Types::BIDS, b'0'), (Side::Sell, Types::OFFERS, b'1')];

/// How many entries a change makes.
pub(crate) fn count(change: Option<&DepthChange>, trades: usize, types: Types) -> u64 {
    let levels = change.map_or(0, |change| {
        SIDES
            .iter()
            .filter(|(_, of, _)| types.has(*of))
            .map(|(side, ..)| change.sides[*side as usize].len())
            .sum()
    });
    (levels + if types.has(Types::TRADES) { trades } else { 0 }) as u64
}

/// Writes what changed: trades, then levels. `number`: that of the entry before the first (RptSeq).
pub(crate) fn changes(
    instrument: &Instrument,
    (change, trades): (Option<&DepthChange>, &[PublicTrade]),
    types: Types,
    version: Trades,
    precision: TimePrecision,
    mut number: u64,
) -> Vec<Part> {
    let mut writer = Writer::new(precision);
    let mut parts: Vec<Part> = Vec::new();
    let mut put = |action: u8, kind: u8, rest: &dyn Fn(&mut MessageWriter<'_>)| {
        if parts.last().is_none_or(|part| part.count == PART_MAX) {
            parts.push(Part::default());
        }
        let Some(part) = parts.last_mut() else { return };
        part.count += 1;
        number += 1;
        let mut fields = writer.part(&mut part.fields);
        fields.letter(279, action).letter(269, kind).text(55, instrument.symbol.as_str().as_bytes());
        rest(&mut fields);
        fields.number(83, number);
    };
    if types.has(Types::TRADES) {
        for trade in trades {
            put(b'0', b'2', &|fields| put_trade(fields, instrument, trade, version));
        }
    }
    for (side, of, kind) in SIDES {
        let Some(change) = change.filter(|_| types.has(of)) else { continue };
        for level in &change.sides[side as usize] {
            match level {
                LevelChange::New(level) => put(b'0', kind, &|fields| put_level(fields, instrument, level)),
                LevelChange::Changed(level) => {
                    put(b'1', kind, &|fields| put_level(fields, instrument, level));
                }
                LevelChange::Gone(level) => {
                    put(b'2', kind, &|fields| _ = fields.decimal(270, price(instrument, level.price)));
                }
            }
        }
    }
    parts
}

/// Writes the body of a snapshot. `number`: that of the last entry that it has taken in; `None` where nothing follows it.
pub(crate) fn snapshot(
    message: &mut MessageWriter<'_>,
    instrument: &Instrument,
    book: &Book,
    (id, depth, types): (&[u8], usize, Types),
    version: Trades,
    number: Option<u64>,
) {
    let levels = SIDES.map(|(side, of, kind)| {
        let depth = if types.has(of) { depth } else { 0 };
        (kind, book.best(side, depth).collect::<Vec<_>>())
    });
    let trade = book.last_trade.filter(|_| types.has(Types::TRADES));
    message.text(262, id).text(55, instrument.symbol.as_str().as_bytes());
    if let Some(number) = number {
        message.number(83, number);
    }
    let many = levels.iter().map(|(_, levels)| levels.len()).sum::<usize>() + usize::from(trade.is_some());
    message.number(268, many as u64);
    for (kind, levels) in &levels {
        for level in levels {
            message.letter(269, *kind);
            put_level(message, instrument, level);
        }
    }
    if let Some(trade) = trade {
        message.letter(269, b'2');
        put_trade(message, instrument, &trade, version);
    }
}

fn put_level(fields: &mut MessageWriter<'_>, instrument: &Instrument, level: &Level) {
    fields
        .decimal(270, price(instrument, level.price))
        .number(271, units(instrument, level.quantity))
        .number(346, level.orders.into());
}

fn put_trade(fields: &mut MessageWriter<'_>, instrument: &Instrument, trade: &PublicTrade, version: Trades) {
    fields
        .decimal(270, price(instrument, trade.price))
        .number(271, units(instrument, trade.quantity))
        .day_and_time((272, 273), trade.nanos);
    match version {
        Trades::Entry => fields.number(278, trade.trade.0),
        Trades::Trade => {
            let side = if trade.taker_side == Side::Buy { b'1' } else { b'2' };
            fields.number(1003, trade.trade.0).letter(2446, side)
        }
    };
}

/// In ten-thousandths. An instrument whose prices do not fit could not be ordered by FIX either.
fn price(instrument: &Instrument, price: Price) -> i64 {
    price.ticks().saturating_mul(instrument.tick.into())
}

fn units(instrument: &Instrument, quantity: Quantity) -> u64 {
    quantity.lots().saturating_mul(instrument.lot.into())
}
