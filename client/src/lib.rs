//! A client of the exchange, for the two protocols that take orders: SoupBinTCP with OUCH 5.0, and FIX.
//!
//! ```text
//! soup::Connection ─┐            ┌─ TCP
//!                   ├─▶ socket ──┤
//! fix::Connection ──┘            └─ TLS (a CA file)
//!       │
//! fix::Session: logons, numbers, resends; bytes in, bytes out
//! ```
//!
//! * A [`soup::Connection`] or a [`fix::Connection`] is one socket with bounded buffers and no thread of its own. One thread can
//!   drive many with a poller, since all but the calls that say so return at once; or one, with those calls.
//! * [`fix::Session`] is the initiator's side of FIX as a machine without sockets and clocks, for whoever has sockets already.
//!
//! What is absent: any knowledge of the server but its protocols.
#![forbid(unsafe_code)]

mod error;
pub mod fix;
mod pipe;
mod socket;
pub mod soup;
mod tls;

use core::fmt;

pub use error::ClientError;
pub use tls::{Tls, TlsError};

/// Who logs in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// SoupBinTCP carries up to 6 characters. In FIX it is the CompID and the user name.
    pub name: String,
    /// SoupBinTCP carries up to 10 characters.
    pub password: String,
}

impl fmt::Debug for User {
    /// Leaves the password out: configurations are printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_printed() {
        let user = User { name: "DEV1".into(), password: "hunter2".into() };
        assert!(!format!("{user:?}").contains("hunter2"));
    }
}
