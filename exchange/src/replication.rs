//! A pair of exchanges: one leads, the other follows and can take over.
//!
//! ```text
//!  front ── batches ──▶ Replica (feed) ──▶ leading ══ mutual TLS ══▶ following ──▶ journal, Follower
//!    ▲                     │                  │                         │
//!    └──── gate ◀── how far the standby is ◀──┘                         └──▶ promoted: it leads
//! ```
//!
//! The rules are in the crate `cluster`, which knows no sockets; the way there is in the crate `link`, which knows no
//! rules. Here both are driven: [`leading`] beside a front that trades, [`following`] in its place. Before it
//! leads on its own word a node asks the other one ([`asking`]). What a node must not
//! forget is in [`kept`], and what an operator asks of it comes through [`control`].

pub(crate) mod asking;
pub(crate) mod control;
pub(crate) mod electing;
pub(crate) mod following;
pub(crate) mod kept;
pub(crate) mod leading;
pub(crate) mod needs;
pub(crate) mod replica;
mod wire;

use std::{net::SocketAddr, path::PathBuf, time::SystemTime};

use cluster::{NodeId, history::History};
use journal::Recovery;
use link::{Identity, identity::Files};

use rustix::time::{ClockId, clock_gettime};

use self::electing::Coordinator;

/// Nanoseconds of the clock that goes on while the machine sleeps, and that nobody sets.
pub(crate) fn boot_nanos() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    // 2^64 ns are 584 years.
    u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000)
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// A node of a pair.
#[derive(Clone)]
pub(crate) struct Node {
    /// 1 or 2.
    pub(crate) number: u8,
    pub(crate) identity: Identity,
    /// Where this node listens for a standby while it leads.
    pub(crate) listen: Option<SocketAddr>,
    /// Where the other node may be found when it leads.
    pub(crate) peers: Vec<SocketAddr>,
    /// The data directory.
    pub(crate) data: PathBuf,
    /// Who decides which node leads; an operator, if there is none.
    pub(crate) coordinator: Option<Coordinator>,
}

impl Node {
    /// Reads the node's keys.
    ///
    /// # Errors
    /// When they are not there or could not serve.
    pub(crate) fn load(
        number: u8,
        keys: &std::path::Path,
        listen: Option<SocketAddr>,
        peers: Vec<SocketAddr>,
        data: PathBuf,
        coordinator: Option<Coordinator>,
    ) -> Result<Self, String> {
        let name = name_of(number);
        let identity = Identity::load(&Files::of(keys, &name), &name, SystemTime::now())
            .map_err(|error| format!("keys of {name} in {}: {error}", keys.display()))?;
        Ok(Self { number, identity, listen, peers, data, coordinator })
    }

    pub(crate) fn id(&self) -> NodeId {
        NodeId(u64::from(self.number))
    }

    /// The other node's name.
    pub(crate) fn peer(&self) -> String {
        name_of(3 - self.number)
    }
}

/// The name in a node's certificate.
pub(crate) fn name_of(number: u8) -> String {
    format!("node-{number}")
}

/// The epochs of a journal that has been opened.
pub(crate) fn history_of(found: &Recovery) -> Result<History, String> {
    let history = History::from_starts(found.epochs.iter().copied()).map_err(|error| error.to_string())?;
    Ok(if found.begins_within { history.beginning_within() } else { history })
}
