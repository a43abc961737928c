//! The doors of an exchange: the bytes of a connection with or without TLS, who may open one, and who may log in.
//!
//! Every listener has them, whatever is spoken behind: a [`transport::Transport`] for a connection's bytes, a [`lobby::Lobby`] that counts
//! connections before and after the login, and [`auth::Credentials`] that say whose a login is.
//!
//! Absent here: protocols, sessions and polls. The one thread is the one that verifies passwords ([`auth`]).
#![forbid(unsafe_code)]

pub mod auth;
pub mod lobby;
pub mod transport;

pub use mio::Waker;
pub use rustls::ServerConfig;
