//! Sans-IO codecs, bytes to typed messages and back: SoupBinTCP 4.00 frames and OUCH 5.0 order entry; ITCH 5.0 market
//! data and the MoldUDP64 packets that it travels in; FIX messages.
//!
//! ```text
//! TCP bytes ──soup::frame──▶ Frame ──ClientPacket──▶ payload ──ouch::Inbound──▶ typed request
//! TCP bytes ◀────── soup::sequenced ◀────── ouch::encode_report ◀────── domain::Report
//! UDP bytes ◀────── mold::Packer ◀── itch::Message
//! ```
//!
//! What is absent: sockets, clocks, buffers of its own, sequence numbers (a session counts them) and the rules of
//! the venue. Decoding borrows from the caller's bytes and allocates nothing; encoding appends to the caller's
//! vector. Bytes from the network never panic here: what cannot be decoded is an error that says what was found.
//!
//! All numbers are big-endian. Text is printable ASCII (0x20 to 0x7E), padded with spaces.

#![forbid(unsafe_code)]

#[macro_use]
mod message;

mod field;
pub mod fix;
pub mod fuzz;
pub mod itch;
pub mod mold;
pub mod ouch;
pub mod soup;
