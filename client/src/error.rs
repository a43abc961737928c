//! What can go wrong with a connection: what happened, with whom, and what to do.

use core::{fmt, time::Duration};
use std::net::SocketAddr;

use wire::soup::LoginRejected;

use crate::fix::Unsendable;

/// Why a connection cannot go on. All but [`Full`](Self::Full), [`Name`](Self::Name) and [`Field`](Self::Field) are final.
#[derive(Debug)]
pub enum ClientError {
    /// No connection came about.
    Connect {
        /// With whom.
        peer: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// A name that SoupBinTCP cannot carry.
    Name {
        /// Which, and how long it may be.
        what: &'static str,
        /// Whose.
        user: String,
    },
    /// The server refused the login.
    LoginRefused {
        /// The server.
        peer: SocketAddr,
        /// Who asked.
        user: String,
        /// Why.
        reason: LoginRejected,
    },
    /// A value that no FIX message can have. Nothing was sent.
    Field(Unsendable),
    /// The server refused the FIX Logon.
    LogonRefused {
        /// The server.
        peer: SocketAddr,
        /// Who asked.
        user: String,
        /// Why, in its words; empty if it closed the connection without any.
        text: String,
    },
    /// Nothing can be sent on a FIX session that is not logged on.
    NotLoggedOn {
        /// The server.
        peer: SocketAddr,
        /// Whose connection.
        user: String,
    },
    /// The server said Logout.
    LoggedOut {
        /// The server.
        peer: SocketAddr,
        /// Whose session.
        user: String,
        /// Why, in its words; empty if it did not say.
        text: String,
    },
    /// The server closed the connection.
    Closed {
        /// The server.
        peer: SocketAddr,
        /// Whose connection.
        user: String,
    },
    /// The server ended the session.
    EndOfSession {
        /// The server.
        peer: SocketAddr,
        /// Whose session.
        user: String,
    },
    /// The server said nothing for too long, not even a heartbeat.
    Silent {
        /// The server.
        peer: SocketAddr,
        /// Whose connection.
        user: String,
        /// For how long.
        silence: Duration,
    },
    /// Something that was waited for did not come.
    Timeout {
        /// The server.
        peer: SocketAddr,
        /// Whose connection.
        user: String,
        /// What.
        what: &'static str,
    },
    /// The server sent what no server may send.
    Protocol {
        /// The server.
        peer: SocketAddr,
        /// Whose connection.
        user: String,
        /// What.
        what: String,
    },
    /// The buffer is full because the server does not read; write first.
    Full {
        /// Bytes that wait.
        unwritten: usize,
    },
    /// The socket failed.
    Io {
        /// The server.
        peer: SocketAddr,
        /// Whose connection.
        user: String,
        /// Why.
        error: std::io::Error,
    },
}

impl ClientError {
    /// Whether the other side is gone: it closed, reset or never opened the connection. A client that waits for a
    /// restart tries again on these.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Closed { .. }
                | Self::EndOfSession { .. }
                | Self::LoggedOut { .. }
                | Self::Silent { .. }
        )
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { peer, error } => {
                write!(f, "cannot connect to {peer}: {error}; is the exchange running there?")
            }
            Self::Name { what, user } => write!(f, "user \"{user}\": SoupBinTCP cannot carry this {what}"),
            Self::LoginRefused { peer, user, reason: LoginRejected::NotAuthorized } => write!(
                f,
                "{peer} refused the login of {user}: not authorized; check the name and the password against the \
                 exchange's configuration"
            ),
            Self::LoginRefused { peer, user, reason: LoginRejected::SessionNotAvailable } => write!(
                f,
                "{peer} refused the login of {user}: session not available; leave the session blank, and make sure \
                 that no one else is logged in as {user}"
            ),
            Self::Field(field) => write!(f, "{field}"),
            Self::LogonRefused { peer, user, text } if text.is_empty() => write!(
                f,
                "{peer} closed the connection and did not answer the Logon of {user}; check CompIDs, user name and \
                 password against the exchange's configuration, and that no one else is logged on as {user}"
            ),
            Self::LogonRefused { peer, user, text } => {
                write!(f, "{peer} refused the Logon of {user}: {text}")
            }
            Self::NotLoggedOn { peer, user } => write!(f, "{user} is not logged on at {peer}; log on first"),
            Self::LoggedOut { peer, user, text } if text.is_empty() => {
                write!(f, "{peer} logged {user} out, and did not say why; its log does")
            }
            Self::LoggedOut { peer, user, text } => write!(f, "{peer} logged {user} out: {text}"),
            Self::Closed { peer, user } => {
                write!(f, "{peer} closed the connection of {user}; its log says why")
            }
            Self::EndOfSession { peer, user } => write!(f, "{peer} ended the session of {user}"),
            Self::Silent { peer, user, silence } => write!(
                f,
                "{peer} said nothing to {user} for {} s, not even a heartbeat; it hangs, or the network does",
                silence.as_secs()
            ),
            Self::Timeout { peer, user, what } => {
                write!(f, "{user} waited in vain for {what} from {peer}; is it the right port?")
            }
            Self::Protocol { peer, user, what } => {
                write!(f, "{peer} broke the protocol towards {user}: {what}")
            }
            Self::Full { unwritten } => {
                write!(f, "{unwritten} bytes wait to be written and the server does not read; flush first")
            }
            Self::Io { peer, user, error } => write!(f, "the connection of {user} to {peer} failed: {error}"),
        }
    }
}

impl core::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Connect { error, .. } | Self::Io { error, .. } => Some(error),
            Self::Field(field) => Some(field),
            _ => None,
        }
    }
}
