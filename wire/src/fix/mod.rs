//! FIX 4.4 and FIX 5.0 SP2 over FIXT 1.1: messages of tags and values.
//!
//! ```text
//! TCP bytes ──frame──▶ Message ──Checker::check──▶ Checked ──get(tag)──▶ values, borrowed from the bytes
//! TCP bytes ◀── MessageWriter ◀── Writer::begin
//! ```
//!
//! | where | what |
//! |---|---|
//! | [`frame()`] | where a message ends, and whether it arrived whole: BodyLength, CheckSum, the first three fields |
//! | [`Fields`] | field after field |
//! | [`Checker`] | whether it is a message of the dictionary; if not, the SessionRejectReason and the field |
//! | [`dictionary`] | messages, fields, groups; the same tables as XML for clients' engines |
//! | [`value`] | integers, decimals, times |
//! | [`Writer`] | messages, field by field |
//! | [`report`] | what becomes of orders, as ExecutionReport and OrderCancelReject |
//!
//! What is absent: sessions (logons, numbers, resends), and what an order means to a book.
//!
//! Source: FIX 4.4 with errata 20030618, FIX 5.0 SP2 and FIXT 1.1, FIX Trading Community.

mod check;
pub mod dictionary;
mod field;
mod frame;
pub mod report;
pub mod value;
mod writer;

pub use check::{Checked, Checker, ENTRIES_MAX, Fault, Named, RejectReason};
pub use field::{Field, Fields, SOH};
pub use frame::{Frame, Message, TooLong, checksum, frame};
pub use writer::{BODY_MAX, MessageWriter, TimePrecision, Writer};
