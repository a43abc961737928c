//! The load generator against exchanges of straw: threads that speak SoupBinTCP and OUCH, or FIX, and accept everything.

mod fix_runs;
#[allow(dead_code)] // The client's tests have it do more.
#[path = "../../../client/tests/it/host.rs"]
mod host;
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
