//! The clients against servers of straw, one of which has the exchange's own FIX session machine.

mod fix;
#[allow(dead_code)] // The load generator's tests have it do more.
mod host;
#[allow(dead_code)] // As above.
mod server;
mod soup;
mod tls;
