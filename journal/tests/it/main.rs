//! The journal from outside: what survives what.

mod copies;
mod faults;
mod fuzz;
mod live;
mod log;
mod parts;
mod recovery;
mod retention;
mod standby;
mod support;
