//! OUCH 5.0: order entry. Requests travel in unsequenced SoupBinTCP packets, answers in sequenced ones.
//!
//! | where | what |
//! |---|---|
//! | [`inbound`] | the six requests of a client, [`Inbound`] |
//! | [`outbound`] | the fifteen answers of a venue, [`Outbound`] |
//! | [`Appendage`] | the optional fields behind a message |
//! | [`codes`] | which letter and number stands for which word of the domain |
//! | [`encode_report`] | a report of the exchange, as the client gets it |
//! | [`Elsewhere`] | where an instrument lives, beside a reject that says that it does not live here; Fulcrum's own |
//!
//! A message is its type byte and fields at fixed offsets, then, for some, a 2-byte length and an appendage of so
//! many bytes. A message has exactly its length: one byte more or less is an error. Codes are raw letters here:
//! whether the venue offers what they ask is its own decision, and gets a reject, not a decode error.
//!
//! Source: Nasdaq, OUCH 5.0 Order Entry Specification, April 2023.

mod appendage;
pub mod codes;
mod elsewhere;
mod error;
pub mod inbound;
pub mod outbound;
mod report;

pub use appendage::{Appendage, TagValue, TagValues, min_quantity};
pub use elsewhere::Elsewhere;
pub use error::{AppendageFault, DecodeError};
pub use inbound::Inbound;
pub use outbound::Outbound;
pub use report::{EncodeError, encode_report};
