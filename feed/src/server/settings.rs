//! What the feed is to do, and what it begins with.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use domain::{Instrument, Nanos, Position};
use wire::mold::Session;

use super::web::WebSettings;
use crate::market::Standing;

/// Where the feed is published and served, and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where packets go: groups or hosts.
    pub mold: Vec<SocketAddr>,
    /// The interface, by its address, from which packets to groups leave; `None`: the system's choice.
    pub interface: Option<Ipv4Addr>,
    /// Routers that packets to groups may pass, and one.
    pub ttl: u32,
    /// Where lost messages are asked for again.
    pub rerequest: Option<SocketAddr>,
    /// Where snapshots are given.
    pub snapshot: Option<SocketAddr>,
    /// Bytes of memory for messages that can be asked for again.
    pub keep_bytes: usize,
    /// Requests for lost messages answered to one address in a second.
    pub requests_per_second: u32,
    /// Clients taking a snapshot at once.
    pub snapshot_clients: usize,
    /// The feed for web clients.
    pub web: Option<WebSettings>,
    /// How long a client of snapshots or of the web may take to log in, what TLS and HTTP take included.
    pub login_timeout: Duration,
    /// Connections that one address may have, for snapshots and as web clients, each. `None`: half of the places, and for
    /// snapshots to this machine all.
    pub of_address: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mold: Vec::new(),
            interface: None,
            ttl: 1,
            rerequest: None,
            snapshot: None,
            keep_bytes: 64 << 20,
            requests_per_second: 2_000,
            snapshot_clients: 16,
            web: None,
            login_timeout: Duration::from_secs(5),
            of_address: None,
        }
    }
}

impl Settings {
    /// File descriptors that it takes.
    #[must_use]
    pub fn descriptors(&self) -> u64 {
        let web = self.web.as_ref().map_or(0, |web| web.clients);
        // The poll, its waker, and what listens.
        8 + (self.mold.len() + self.snapshot_clients + web) as u64
    }

    /// Whether anything is published at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.mold.is_empty() || self.rerequest.is_some() || self.snapshot.is_some() || self.web.is_some()
    }
}

/// What the feed begins with.
#[derive(Clone, Debug)]
pub struct Start {
    /// By index.
    pub instruments: Vec<Instrument>,
    /// The orders that stand in the books; see [`Market::stand`](crate::Market::stand).
    pub standing: Vec<Standing>,
    /// They are what the log says up to here.
    pub position: Position,
    /// The time.
    pub nanos: Nanos,
    /// The session's name; another one for each start.
    pub session: Session,
}

/// Where a server can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// For lost messages.
    pub rerequest: Option<SocketAddr>,
    /// For snapshots.
    pub snapshot: Option<SocketAddr>,
    /// For web clients.
    pub web: Option<SocketAddr>,
}
