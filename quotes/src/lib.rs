//! Market data by FIX: sessions of their own, without orders, that ask for books and are told of them.
//!
//! ```text
//!  feed's thread ── Leaves ──▶ News ──▶ Book ──▶ Channel ──▶ parts ──▶ X of every session that watches the same
//!                   (what changed, conflated)     └──────────────────▶ W of whoever begins, or was behind
//! ```
//!
//! The feed's thread leaves which levels and trades are new and waits for nobody; a thread of this crate keeps the levels of
//! all books and serves the sessions. What of a book a session wants (sides or trades, how deep) is shared with those who want
//! the same: what changed is found and written once for all of them.
//!
//! A session's numbers begin anew with each logon, and nothing is said again: who misses something asks for the book anew.
//! `docs/fix/rules.md` has what clients need to know.
//!
//! Absent here: orders, reports, the journal, and anything that would have to survive this process.
#![forbid(unsafe_code)]

mod app;
mod book;
mod channel;
mod client;
mod desk;
mod entries;
pub mod fuzz;
mod handover;
mod hear;
mod request;
mod running;
mod server;
mod stats;
mod telling;
pub mod view;

#[cfg(test)]
mod tests;

pub use server::{Server, Settings};
pub use stats::{QuoteStats, Stats};
