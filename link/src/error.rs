//! What ends a link.

use std::{io, time::Duration};

/// Why a stream is of no use any more. Whatever it is, the stream is to be dropped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The socket failed.
    #[error("the link's socket: {0}")]
    Io(#[from] io::Error),
    /// The connection ended without the peer having said that it closes: it died, or somebody cut it.
    #[error("the link was cut: the connection ended, and the peer had not closed it")]
    Cut,
    /// The peer's bytes are not TLS, or its certificate is none of this cluster's, or ours is none to the peer.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The peer is of this cluster, and yet no node that can be talked to.
    #[error("the peer's certificate: {0}")]
    Peer(String),
    /// The handshake is not over in time.
    #[error("no handshake within {} ms", .limit.as_millis())]
    HandshakeTimeout {
        /// What it is allowed.
        limit: Duration,
    },
    /// It has ended before, or been closed on our side.
    #[error("the link is closed")]
    Closed,
}

/// There is no room in the outbox for all of this; none of it was taken. The peer is behind: hold back, or cut it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the link's outbox is full: {bytes} bytes do not fit into {room} of {max}")]
pub struct OutboxFull {
    /// So many were to be queued.
    pub bytes: usize,
    /// So many would have fitted.
    pub room: usize,
    /// All that fits into an empty outbox.
    pub max: usize,
}
