//! `instruments` and `[instrument_defaults]`: what is traded.

use std::collections::BTreeSet;

use domain::{BookScopedId, Instrument, InstrumentId, OrderBounds, Price, Quantity, Symbol};
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstrumentDefaults {
    pub(super) tick: String,
    pub(super) lot: u32,
    pub(super) quantity_max: u64,
    pub(super) price_max: String,
    #[serde(default = "one_lot")]
    pub(super) quantity_min: u64,
    #[serde(default)]
    pub(super) notional_min: String,
    #[serde(default)]
    pub(super) notional_max: String,
}

const fn one_lot() -> u64 {
    1
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstrumentFile {
    pub(super) symbol: String,
    pub(super) tick: Option<String>,
    pub(super) lot: Option<u32>,
    pub(super) quantity_max: Option<u64>,
    pub(super) price_max: Option<String>,
    pub(super) quantity_min: Option<u64>,
    pub(super) notional_min: Option<String>,
    pub(super) notional_max: Option<String>,
    pub(super) weight: Option<u32>,
    pub(super) pin: Option<u16>,
}

pub(super) fn instruments(
    defaults: &InstrumentDefaults,
    list: &[InstrumentFile],
) -> Result<Vec<Instrument>, String> {
    if list.len() > BookScopedId::INSTRUMENTS_MAX as usize {
        return Err(format!(
            "{} instruments; at most {} are taken",
            list.len(),
            BookScopedId::INSTRUMENTS_MAX
        ));
    }
    let mut seen = BTreeSet::new();
    list.iter()
        .zip(0..)
        .map(|(entry, index)| {
            let name = &entry.symbol;
            let say = |what: String| format!("instrument \"{name}\": {what}");
            let symbol = Symbol::new(name)
                .ok_or_else(|| say("a symbol has 1 to 8 printable ASCII characters, no space".into()))?;
            if !seen.insert(symbol) {
                return Err(say("it is there twice".into()));
            }
            let tick_text = entry.tick.as_ref().unwrap_or(&defaults.tick);
            let tick = decimal_e4(tick_text)
                .and_then(|e4| u32::try_from(e4).ok())
                .ok_or_else(|| say(format!("tick \"{tick_text}\" is no price with up to 4 decimals")))?;
            let price_text = entry.price_max.as_ref().unwrap_or(&defaults.price_max);
            let price_max = decimal_e4(price_text)
                .and_then(|e4| e4.checked_div(u64::from(tick)))
                .and_then(|ticks| Price::new(i64::try_from(ticks).ok()?))
                .ok_or_else(|| {
                    say(format!("price_max \"{price_text}\" is no price with up to 4 decimals"))
                })?;
            let lot = entry.lot.unwrap_or(defaults.lot);
            // What one tick times one lot is worth, in ten-thousandths; an order is worth a multiple of it.
            let worth = u64::from(tick).saturating_mul(u64::from(lot)).max(1);
            let notional = |key: &str, text: &str, none: u64, round: fn(u64, u64) -> u64| match text {
                "" => Ok(none),
                text => decimal_e4(text)
                    .map(|e4| round(e4, worth))
                    .ok_or_else(|| say(format!("{key} \"{text}\" is no amount with up to 4 decimals"))),
            };
            let text = entry.notional_min.as_ref().unwrap_or(&defaults.notional_min);
            let none = OrderBounds::NONE;
            let notional_min = notional("notional_min", text, none.notional_min, u64::div_ceil)?;
            let text = entry.notional_max.as_ref().unwrap_or(&defaults.notional_max);
            let notional_max = notional("notional_max", text, none.notional_max, |e4, worth| e4 / worth)?;
            let instrument = Instrument {
                id: InstrumentId(index),
                symbol,
                tick,
                lot,
                quantity_max: Quantity(entry.quantity_max.unwrap_or(defaults.quantity_max)),
                price_max,
                bounds: OrderBounds {
                    quantity_min: Quantity(entry.quantity_min.unwrap_or(defaults.quantity_min)),
                    notional_min,
                    notional_max,
                },
            };
            let units = instrument.quantity_to_units(instrument.quantity_max);
            if units.is_none_or(|units| units > u64::from(u32::MAX)) {
                return Err(say(
                    "quantity_max times lot must be at most 4294967295, what OUCH can say".into()
                ));
            }
            if instrument.price_to_e4(price_max).is_none_or(|e4| e4 >= 2_000_000_000) {
                return Err(say("price_max must stay below 200000, from where OUCH says market".into()));
            }
            instrument.validated().map_err(|error| say(error.to_string()))
        })
        .collect()
}

/// Ten-thousandths of a decimal text with up to four decimals.
pub(super) fn decimal_e4(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 4 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<4}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(10_000)?.checked_add(fraction)
}
