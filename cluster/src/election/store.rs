//! What the coordinator's store holds of a cluster, as values and as text, and what is asked of it.

use core::fmt;
use core::str::FromStr;

use domain::{Epoch, Position};

#[cfg(doc)]
use super::Elector;
use crate::NodeId;

/// What is on record of the cluster. As text: `epoch=5 in-sync=1,2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The newest epoch.
    pub epoch: Epoch,
    /// Who may lead next, in order; whoever led last is one of them.
    pub in_sync: Vec<NodeId>,
}

/// Who leads. As text: `node=1 epoch=5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Who.
    pub node: NodeId,
    /// In which epoch.
    pub epoch: Epoch,
}

/// Where the log of a node without a leader ends. As text: `version=17 epoch=5 end=4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The version of the record when this was said; under another record it says nothing.
    pub version: Version,
    /// The epoch of the log's last record.
    pub epoch: Epoch,
    /// Its end.
    pub end: Position,
}

/// The version of a key, which changes whenever the key is written (etcd: `mod_revision`); 0 when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Version(pub u64);

impl Version {
    /// There is no such key.
    pub const ABSENT: Self = Self(0);
}

/// A lease of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct LeaseId(pub u64);

/// Names a request, to tell its answer by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RequestId(pub u64);

/// All keys, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The record and its version; `None` before a cluster was ever led.
    pub state: Option<(Record, Version)>,
    /// The leader, its key's version, and the lease that holds it.
    pub leader: Option<(Leader, Version, LeaseId)>,
    /// What nodes without a leader have announced, with the keys' versions.
    pub announcements: Vec<(NodeId, Announcement, Version)>,
}

/// What is asked of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A lease of so long. Answer: [`Reply::Granted`].
    Grant {
        /// Its time.
        nanos: u64,
    },
    /// The lease's time begins anew. Answer: [`Reply::KeptAlive`] or [`Reply::LeaseGone`].
    KeepAlive {
        /// The lease.
        lease: LeaseId,
    },
    /// All keys, linearizably. Answer: [`Reply::View`].
    Read,
    /// One transaction. Answer: [`Reply::Written`], [`Reply::NotWritten`] with a view, or [`Reply::LeaseGone`].
    Write(Write),
}

/// A transaction: if every condition holds, every change is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The version that the record must have.
    pub if_state: Option<Version>,
    /// The version that the leader key must have.
    pub if_leader: Option<Version>,
    /// The versions that announcements must have.
    pub if_announcements: Vec<(NodeId, Version)>,
    /// The record to put.
    pub state: Option<Record>,
    /// The leader key to put or to delete.
    pub leader: LeaderChange,
    /// What to announce for this node, under this lease.
    pub announce: Option<(NodeId, Announcement, LeaseId)>,
}

/// What becomes of the leader key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaderChange {
    /// Nothing.
    Keep,
    /// It is put, under this lease.
    Put(Leader, LeaseId),
    /// It is deleted.
    Delete,
}

/// What the store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A lease was granted.
    Granted {
        /// Its id.
        lease: LeaseId,
    },
    /// The lease lives.
    KeptAlive,
    /// There is no such lease any more.
    LeaseGone,
    /// All keys.
    View(View),
    /// The conditions held and the changes were made; every key that was put has this version.
    Written {
        /// The version.
        version: Version,
    },
    /// A condition did not hold; nothing was changed; this is how it stands.
    NotWritten(View),
    /// No answer that says what was done: a time-out, a refused connection, a lost one. A write may still be done.
    Unknown,
}

impl Write {
    /// No condition, no change.
    pub(super) const fn nothing() -> Self {
        Self {
            if_state: None,
            if_leader: None,
            if_announcements: Vec::new(),
            state: None,
            leader: LeaderChange::Keep,
            announce: None,
        }
    }
}

/// Why a value of the store is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value of the coordinator is not what it should be: expected {expected}")]
pub struct NotOurs {
    /// Its form.
    pub expected: &'static str,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch={} in-sync=", self.epoch)?;
        for (n, node) in self.in_sync.iter().enumerate() {
            write!(f, "{}{node}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Record {
    type Err = NotOurs;

    fn from_str(text: &str) -> Result<Self, NotOurs> {
        let parse = || {
            let [epoch, in_sync] = fields(text, ["epoch", "in-sync"])?;
            // As many as a cluster can have, so that a wrong value does not cost memory.
            let nodes = in_sync.split(',').take(64).map(|node| node.parse().ok().map(NodeId));
            let record = Self { epoch: Epoch(epoch.parse().ok()?), in_sync: nodes.collect::<Option<_>>()? };
            record.in_sync.is_sorted_by(|a, b| a < b).then_some(record)
        };
        parse().ok_or(NotOurs { expected: "epoch=NUMBER in-sync=NODE,NODE" })
    }
}

impl fmt::Display for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node={} epoch={}", self.node, self.epoch)
    }
}

impl FromStr for Leader {
    type Err = NotOurs;

    fn from_str(text: &str) -> Result<Self, NotOurs> {
        let parse = || {
            let [node, epoch] = fields(text, ["node", "epoch"])?;
            Some(Self { node: NodeId(node.parse().ok()?), epoch: Epoch(epoch.parse().ok()?) })
        };
        parse().ok_or(NotOurs { expected: "node=NUMBER epoch=NUMBER" })
    }
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version={} epoch={} end={}", self.version.0, self.epoch, self.end)
    }
}

impl FromStr for Announcement {
    type Err = NotOurs;

    fn from_str(text: &str) -> Result<Self, NotOurs> {
        let parse = || {
            let [version, epoch, end] = fields(text, ["version", "epoch", "end"])?;
            Some(Self {
                version: Version(version.parse().ok()?),
                epoch: Epoch(epoch.parse().ok()?),
                end: Position(end.parse().ok()?),
            })
        };
        parse().ok_or(NotOurs { expected: "version=NUMBER epoch=NUMBER end=NUMBER" })
    }
}

/// The values of exactly these fields, in this order, each as `name=value`.
fn fields<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<[&'a str; N]> {
    let mut values = [""; N];
    let mut parts = text.split(' ');
    for (value, name) in values.iter_mut().zip(names) {
        *value = parts.next()?.strip_prefix(name)?.strip_prefix('=')?;
    }
    parts.next().is_none().then_some(values)
}
