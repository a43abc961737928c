//! What clients of the WebSocket feed are told, and say, as JSON. `docs/market-data.md` has it.

use std::fmt::Write as _;

use domain::{Instrument, Price, Quantity, Side};
use serde::Deserialize;

use super::upgrade::Password;
use crate::{
    depth::{Depth, DepthChange, LevelChange, PublicTrade},
    market::Level,
};

/// What a client asks.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Asked {
    /// To be let in.
    Login { user: String, password: Password },
    /// To be told of these from here on.
    Subscribe { symbols: Vec<String>, channels: Vec<Channel> },
    /// Not to be told any more.
    Unsubscribe { symbols: Vec<String>, channels: Vec<Channel> },
}

impl Asked {
    /// Reads a request. Each symbol is in it once.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut asked = serde_json::from_str(text).map_err(|error| format!("no request: {error}"))?;
        if let Self::Subscribe { symbols, .. } | Self::Unsubscribe { symbols, .. } = &mut asked {
            symbols.sort_unstable();
            symbols.dedup();
        }
        Ok(asked)
    }
}

/// What there is to be told.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Channel {
    Top,
    Depth,
    Trades,
}

impl Channel {
    pub(super) const fn bit(self) -> u8 {
        match self {
            Self::Top => 1,
            Self::Depth => 2,
            Self::Trades => 4,
        }
    }
}

/// All levels of a book that are published.
pub(super) fn snapshot(instrument: &Instrument, depth: &Depth) -> String {
    let mut text = head("snapshot", instrument, depth.sequence());
    put_sides(&mut text, instrument, [Side::Buy, Side::Sell].map(|side| depth.side(side).iter()));
    finish(text, instrument, depth)
}

/// Levels that changed; `depth` is what they are now.
pub(super) fn change(instrument: &Instrument, change: &DepthChange, depth: &Depth) -> String {
    let mut text = head("depth", instrument, change.sequence);
    let [bids, asks] = &change.sides;
    put_sides(&mut text, instrument, [bids, asks].map(|side| side.iter().map(LevelChange::level)));
    finish(text, instrument, depth)
}

/// The best levels.
pub(super) fn top(instrument: &Instrument, depth: &Depth) -> String {
    let mut text = head("top", instrument, depth.sequence());
    for (name, side) in [("bid", Side::Buy), ("ask", Side::Sell)] {
        let _ = write!(text, ",\"{name}\":");
        match depth.best(side) {
            Some(level) => put_level(&mut text, instrument, &level),
            None => text += "null",
        }
    }
    text + "}"
}

/// A trade.
pub(super) fn trade(instrument: &Instrument, trade: &PublicTrade) -> String {
    let PublicTrade { nanos, trade, price, quantity, taker_side, .. } = *trade;
    let side = if taker_side == Side::Buy { "buy" } else { "sell" };
    format!(
        "{{\"type\":\"trade\",\"symbol\":{},\"trade\":\"{}\",\"price\":\"{}\",\"quantity\":{},\"side\":\"{side}\",\"time\":\"{nanos}\"}}",
        quoted(instrument),
        trade.0,
        decimal(instrument, price),
        units(instrument, quantity),
    )
}

/// The answer to a login that succeeds.
pub(super) const LOGGED_IN: &str = "{\"type\":\"logged_in\"}";

/// The answer to a request.
pub(super) fn done(what: &str, symbols: usize) -> String {
    format!("{{\"type\":\"{what}\",\"symbols\":{symbols}}}")
}

/// The refusal of a request.
pub(super) fn refusal(why: &str) -> String {
    format!("{{\"type\":\"error\",\"reason\":{}}}", serde_json::Value::from(why))
}

fn head(kind: &str, instrument: &Instrument, sequence: u64) -> String {
    format!("{{\"type\":\"{kind}\",\"symbol\":{},\"sequence\":{sequence}", quoted(instrument))
}

fn put_sides<'a>(text: &mut String, instrument: &Instrument, sides: [impl Iterator<Item = &'a Level>; 2]) {
    for (name, levels) in ["bids", "asks"].into_iter().zip(sides) {
        // Writing to a string cannot fail, here and below.
        let _ = write!(text, ",\"{name}\":[");
        for (at, level) in levels.enumerate() {
            if at > 0 {
                text.push(',');
            }
            put_level(text, instrument, level);
        }
        text.push(']');
    }
}

fn finish(mut text: String, instrument: &Instrument, depth: &Depth) -> String {
    let _ = write!(text, ",\"checksum\":{}}}", checksum(instrument, depth));
    text
}

fn put_level(text: &mut String, instrument: &Instrument, level: &Level) {
    let (price, units) = (decimal(instrument, level.price), units(instrument, level.quantity));
    let _ = write!(text, "[\"{price}\",{units}]");
}

/// A symbol may hold a quotation mark.
fn quoted(instrument: &Instrument) -> String {
    serde_json::Value::from(instrument.symbol.as_str()).to_string()
}

/// CRC-32 of `price:quantity` of every level, bids then asks, each from the best, joined by colons.
fn checksum(instrument: &Instrument, depth: &Depth) -> u32 {
    let mut text = String::new();
    for side in [Side::Buy, Side::Sell] {
        for level in depth.side(side) {
            if !text.is_empty() {
                text.push(':');
            }
            let (price, units) = (decimal(instrument, level.price), units(instrument, level.quantity));
            let _ = write!(text, "{price}:{units}");
        }
    }
    crc32(text.as_bytes())
}

/// A price in the currency, with four decimals less the zeros at its end, but two at least.
pub(super) fn decimal(instrument: &Instrument, price: Price) -> String {
    let e4 = i128::from(price.ticks()) * i128::from(instrument.tick);
    let (sign, e4) = (if e4 < 0 { "-" } else { "" }, e4.unsigned_abs());
    let (whole, fraction) = (e4 / 10_000, e4 % 10_000);
    if fraction.is_multiple_of(100) {
        format!("{sign}{whole}.{:02}", fraction / 100)
    } else if fraction.is_multiple_of(10) {
        format!("{sign}{whole}.{:03}", fraction / 10)
    } else {
        format!("{sign}{whole}.{fraction:04}")
    }
}

fn units(instrument: &Instrument, quantity: Quantity) -> u128 {
    u128::from(quantity.lots()) * u128::from(instrument.lot)
}

/// CRC-32 as in zip and Ethernet: reflected, polynomial 0xEDB88320.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(!0, |crc, byte| (crc >> 8) ^ TABLE[((crc ^ u32::from(*byte)) & 0xFF) as usize])
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut crc = n as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use domain::{InstrumentId, Nanos, OrderBounds, Symbol, TradeId};

    use super::*;

    fn instrument(tick: u32) -> Instrument {
        Instrument {
            id: InstrumentId(0),
            symbol: Symbol::new("A\"B").unwrap(),
            tick,
            lot: 10,
            quantity_max: Quantity(1_000),
            price_max: Price::new(1_000_000).unwrap(),
            bounds: OrderBounds::NONE,
        }
    }

    #[test]
    fn prices_are_exact() {
        for (tick, ticks, text) in [
            (100, 58_533, "585.33"),
            (1, 1, "0.0001"),
            (10, 3, "0.003"),
            (10_000, 7, "7.00"),
            (500, 21, "1.05"),
        ] {
            assert_eq!(decimal(&instrument(tick), Price::new(ticks).unwrap()), text);
        }
        assert_eq!(decimal(&instrument(100), Price::new(-5).unwrap()), "-0.05");
    }

    #[test]
    fn the_checksum_is_everyones_crc32() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn requests_are_read_or_refused() {
        let read = Asked::read;
        let symbols = vec!["AAPL".to_owned(), "MSFT".to_owned()];
        let channels = vec![Channel::Top, Channel::Trades];
        assert_eq!(
            read(
                "{\"op\":\"subscribe\",\"symbols\":[\"MSFT\",\"AAPL\",\"MSFT\"],\"channels\":[\"top\",\"trades\"]}"
            ),
            Ok(Asked::Subscribe { symbols, channels })
        );
        for wrong in [
            "",
            "{}",
            "[]",
            "{\"op\":\"buy\"}",
            "{\"op\":\"subscribe\",\"symbols\":[],\"channels\":[\"all\"]}",
        ] {
            assert!(read(wrong).is_err_and(|why| why.starts_with("no request: ")), "{wrong}");
        }
    }

    #[test]
    fn what_is_told_is_json() {
        let trade = PublicTrade {
            instrument: InstrumentId(0),
            nanos: Nanos(5),
            trade: TradeId::new(InstrumentId(0), 3),
            price: Price::new(12).unwrap(),
            quantity: Quantity(2),
            taker_side: Side::Sell,
        };
        for text in [
            super::trade(&instrument(100), &trade),
            snapshot(&instrument(100), &Depth::default()),
            top(&instrument(100), &Depth::default()),
            refusal("no \"such\" thing"),
            done("subscribed", 3),
        ] {
            let value: serde_json::Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert!(value["type"].is_string());
        }
    }
}
