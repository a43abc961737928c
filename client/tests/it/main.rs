//! The clients against servers of straw, and against the exchange's own session machine.

#[allow(dead_code)] // The load generator's tests have it do more.
mod server;
mod soup;
mod tls;
