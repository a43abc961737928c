//! The other end: what a client of the feed needs. Nothing here knows the exchange; logins and TLS are those of `client`.
//!
//! 1. [`Arbiter`] puts packets in order, whatever the network did to them, and says what is missing.
//! 2. [`Books`] makes books of messages.
//! 3. [`Subscriber`] has the sockets: it listens, takes a snapshot, asks again for what was lost, and takes another
//!    snapshot when that does not help or another session begins.

mod arbiter;
mod books;
mod subscriber;

pub use arbiter::{Arbiter, Heard};
pub use books::{BookFault, Books, ClientBook, ClientOrder, ClientTrade};
pub use subscriber::{Access, Addresses, Subscriber, SubscriberStats};
