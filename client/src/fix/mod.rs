//! FIX 4.4, and FIX 5.0 SP2 over FIXT 1.1, as an initiator.
//!
//! ```text
//! Request ──▶ Session ──▶ bytes ──▶ socket        Connection: a Session on a socket
//!                │ ▲
//!              Store: numbers, and what may be asked for again
//!                │ ▼
//! Incoming ◀── Session ◀── wire::fix::Message ◀── socket
//!    └─▶ ExecutionReport, CancelReject
//! ```
//!
//! * [`Session`] logs on, counts, asks for what it missed, answers tests and resend requests, and hands out the application's
//!   messages in their order, each once. It has no socket and no clock.
//! * [`Connection`] is a session on a socket. Between connections the [`Store`] is kept: a session is longer than a connection.
//! * Only what the session layer needs of a message is checked. A client's engine that wants the dictionary's checks has
//!   [`wire::fix::Checker`].

mod connection;
pub mod fuzz;
mod report;
mod request;
mod session;
mod store;

pub use connection::{Connection, REQUEST_MAX};
pub use report::{CancelReject, ExecutionReport, Malformed};
pub use request::{
    Cancel, MassCancel, MassStatus, NewOrder, Replace, Request, Scope, Status, TimeInForce, Unsendable,
};
pub use session::{End, Incoming, NotNow, Session, Settings, Version};
pub use store::{Kept, Memory, Store};
