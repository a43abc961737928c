//! The engine: order books and matching, pure functions of their commands.
//!
//! A book knows no bytes, no sockets, no clock and no other book. It takes [`Sequenced`](domain::Sequenced)
//! commands and says [`Event`](domain::Event)s.

pub mod book;
pub mod hash;
#[cfg(feature = "reference")]
pub mod reference;
