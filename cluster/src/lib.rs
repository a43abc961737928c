//! Primary and standby: how a second machine gets the journal, when a report may leave, and who may lead.
//!
//! ```text
//!            coordinator (etcd): leader key under a lease, record of epoch and in-sync set
//!                 ▲ requests, replies                              ▲
//!            election::Elector                                election::Elector
//!                 │ may_ack, mode of the gate                      │ lead at epoch e
//!   journal ─▶ primary::Primary ◀── frames (Hello, Ack) ───── standby::Standby ─▶ journal
//!                 │            ──── frames (Welcome, Batch) ─▶
//!             gate::Gate ─▶ reports may leave up to here
//! ```
//!
//! Every machine here is without IO: bytes, messages and times come in, actions go out, and a driver carries them out
//! and says when they are done. Times are nanoseconds of the machine's monotonic clock that goes on while it sleeps
//! (`CLOCK_BOOTTIME`); the wall clock has no say.
//!
//! **A driver**, one thread of a node:
//!
//! 1. reads [`Kept`], opens the journal, and if the tail was lost writes `complete: false` before it goes on; makes a
//!    [`standby::Standby`], and with a coordinator an [`election::Elector`];
//! 2. hands in what comes: `link_up`, `on_message` for what [`frame::decode`] cuts off the link, `link_down`, `reply`, and
//!    `tick` every few milliseconds; then carries out what `poll` gives until it gives nothing;
//! 3. on [`standby::Action::Lead`] appends the epoch's start, makes a [`primary::Primary`] and a [`gate::Gate`], and takes
//!    clients; ships what [`primary::Primary::next`] says; before each release asks
//!    [`may_ack`](election::Elector::may_ack) with the time that it is, and then
//!    [`advance`](gate::Gate::advance) with [`mode`](election::Elector::mode);
//! 4. on [`primary::Action::StepDown`] or [`election::Action::Lost`] drops the clients and is a standby again.
//!
//! The simulator's `node` is such a driver.
//!
//! What it rests on: one primary an epoch; each batch is sealed and chained, so a [`domain::Mark`] identifies all that
//! is before it; two logs that have an epoch in common agree up to where the shorter of them leaves it. The protocol,
//! the states and what each policy promises are in `docs/replication.md`.
//!
//! What is absent: sockets, files, threads, clocks, random numbers, and what an order means.

#![forbid(unsafe_code)]

pub mod election;
pub mod frame;
pub mod fuzz;
pub mod gate;
pub mod history;
mod id;
mod mutation;
pub mod primary;
#[cfg(test)]
mod random;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod standby;

pub use id::{Kept, NodeId};
