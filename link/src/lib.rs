//! The way between two exchanges of a cluster: mutual TLS 1.3 over TCP, driven by the caller's poll and the caller's
//! clock.
//!
//! 1. [`identity::create`] makes a CA for the cluster and a certificate for each node; [`Identity::load`] reads a
//!    node's and refuses what could not serve. Whose certificate that CA has not signed is a stranger, to both ends.
//! 2. One node listens ([`Listener`]), the other dials ([`Stream::connect`]) and names the node that it expects.
//! 3. Both shake hands. Until the peer is verified nothing that was queued is sent and nothing that came is handed
//!    out; the caller's clock says how long that may take ([`Stream::check_time`]).
//! 4. Then bytes flow: [`Stream::queue`] into a bounded outbox, [`Stream::flush`], [`Stream::read`].
//! 5. [`Stream::close`] says so to the peer, so that an end is told apart from a cut.
//!
//! [`clients`] is apart from all that: the TLS between an exchange and its clients, which has CAs of its own.
//!
//! Absent here: what the bytes mean, threads, waiting, clocks other than the one that certificates are checked by,
//! and any weaker way to connect.
#![forbid(unsafe_code)]

pub mod clients;
mod error;
pub mod identity;
mod listener;
mod stream;

pub use error::{LinkError, OutboxFull};
pub use identity::Identity;
pub use listener::{Accepted, Listener, ListenerLimits, Refusal};
pub use stream::{Flush, Incoming, Limits, Stream};
