//! Order books, matching, and the threads that run them.
//!
//! A book knows no bytes, no sockets, no clock and no other book. It takes [`Sequenced`](domain::Sequenced) commands
//! and says [`Event`](domain::Event)s, and what it says depends on its commands and on nothing else. The threads
//! decide where and when a book runs, never what it says.

pub mod balance;
pub mod book;
#[cfg(feature = "reference")]
pub mod fuzz;
pub mod hash;
pub mod prefetch;
#[cfg(feature = "reference")]
pub mod reference;
pub mod runtime;
mod schedule;
mod sync;
