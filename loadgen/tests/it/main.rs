//! The load generator against an exchange of straw: a thread that speaks SoupBinTCP and OUCH and accepts everything.

mod runs;
#[path = "../../../client/tests/it/server.rs"]
mod server;

use domain::{Instrument, InstrumentId, Price, Quantity, Symbol};

/// So many instruments in cents.
fn instruments(count: u32) -> Vec<Instrument> {
    (0..count)
        .map(|i| Instrument {
            id: InstrumentId(i),
            symbol: Symbol::new(&format!("SYM{i}")).unwrap(),
            tick: 100,
            lot: 1,
            quantity_max: Quantity(999_999),
            price_max: Price::new(19_999_999).unwrap(),
            bounds: domain::OrderBounds::NONE,
        })
        .collect()
}
