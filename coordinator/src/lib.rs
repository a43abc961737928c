//! A client of etcd, by its JSON gateway over HTTP: leases, reads, compare-and-swap. Automatic failover rests on it.
//!
//! One call goes so:
//!
//! 1. The request is written as JSON, keys and values in base64, once for all attempts.
//! 2. It goes to the endpoint after the last that failed. Its own time-out is that of an attempt, or what is left of
//!    the call's.
//! 3. If no connection came about, or etcd has not been given the request's body, nothing has happened: the next
//!    endpoint is asked, each of them once.
//! 4. If the body has been given away and no answer came that can be relied on, a read is asked of the next endpoint. A
//!    write is not: it may have happened and may happen yet, and doing it twice is not doing it once. The caller is told
//!    so ([`Error::Ambiguous`]) and reads what has become of it.
//!
//! Reads are linearizable: etcd answers them through its leader, and without a majority not at all. There is no
//! watching by stream; who waits for a key reads it again and again, which for one key each 100 ms is nothing to
//! etcd.
//!
//! [`local`] starts an etcd of several members on this machine, for drills and tests.
//!
//! Absent here: what is in the keys, clocks that anyone else sees, threads, and retries beyond one round of the
//! endpoints.
#![forbid(unsafe_code)]

mod client;
mod error;
mod kv;
pub mod local;
mod tls;
mod transport;
mod wire;

pub use client::{Client, Lease, Options, Renewal, Status, TimeToLive};
pub use error::{Attempt, Attempts, Error, Failure, OptionsError};
pub use kv::{Answer, Compare, KeyValue, LeaseId, Operation, Outcome, Range, Revision};
pub use tls::Tls;
