//! The pair of a drill: two data directories, keys, and places where the nodes find each other.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::SystemTime,
};

use coordinator::local::{LocalEtcd, LocalOptions};
use journal::{
    Reader,
    compare::{Then, compare},
};
use serde_json::Value;

use super::{Patience, Scene, must_equal, text};
use crate::{
    child::{Arguments, Exchange, NodeArguments},
    replication::{
        control::{Request, ask},
        following::ARCHIVE,
        name_of,
    },
};

/// Two nodes, numbered from 0 here.
pub(super) struct Pair {
    data: [PathBuf; 2],
    keys: PathBuf,
    /// Where each node listens for the other one while it leads.
    listen: [SocketAddr; 2],
    /// Where each node is found by the other one.
    found: [SocketAddr; 2],
    /// Where each node finds the members of the etcd that decides who leads, if one does.
    coordinator: [Vec<String>; 2],
    /// That etcd; it ends with this pair.
    etcd: Option<LocalEtcd>,
    patience: Patience,
}

/// Where the nodes listen for each other: not where clients and etcd are, so that who wants to disturb the link, in a
/// network namespace for instance, can tell its packets by their addresses.
const LINKS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];

/// Members of the etcd of a drill: one may be lost.
const MEMBERS: usize = 3;

impl Pair {
    /// Makes keys, chooses places, and starts an etcd if the drill shall have one.
    pub(super) fn new(scene: &Scene<'_>) -> Result<Self, String> {
        let keys = scene.root.join("keys");
        link::identity::create(&keys, &[name_of(1), name_of(2)], SystemTime::now())
            .map_err(|error| error.to_string())?;
        let listen = [free(LINKS[0])?, free(LINKS[1])?];
        let data = [scene.root.join("node-1"), scene.root.join("node-2")];
        let etcd = (scene.args.etcd)
            .then(|| LocalEtcd::start(&scene.root.join("etcd"), LocalOptions::new(MEMBERS)))
            .transpose()
            .map_err(|error| error.to_string())?;
        let endpoints = etcd.as_ref().map(LocalEtcd::endpoints).unwrap_or_default();
        let coordinator = [endpoints.clone(), endpoints];
        Ok(Self { data, keys, listen, found: listen, coordinator, etcd, patience: scene.patience.clone() })
    }

    /// Whether an etcd decides who leads.
    pub(super) const fn is_elected(&self) -> bool {
        self.etcd.is_some()
    }

    /// Where a node finds the members of the etcd.
    pub(super) fn members(&self, node: usize) -> &[String] {
        &self.coordinator[node]
    }

    /// Lets a node find them elsewhere.
    pub(super) fn find_members_at(&mut self, node: usize, endpoints: Vec<String>) {
        self.coordinator[node] = endpoints;
    }

    /// Where a node listens for the other one.
    pub(super) fn listens(&self, node: usize) -> SocketAddr {
        self.listen[node]
    }

    /// Lets a node be found elsewhere than where it listens.
    pub(super) fn find_at(&mut self, node: usize, address: SocketAddr) {
        self.found[node] = address;
    }

    /// Starts a node that leads.
    pub(super) fn lead(&self, scene: &Scene<'_>, node: usize) -> Result<Exchange, String> {
        Exchange::start(self.data(node), &self.arguments(scene, node))
            .map_err(|why| format!("node {} does not lead: {why}", node + 1))
    }

    /// Starts a node that follows the other one.
    pub(super) fn follow(&self, scene: &Scene<'_>, node: usize) -> Result<Exchange, String> {
        Exchange::follow(self.data(node), &self.arguments(scene, node))
    }

    fn arguments(&self, scene: &Scene<'_>, node: usize) -> Arguments {
        let number = if node == 0 { 1 } else { 2 };
        let (keys, listen, peer) = (self.keys.clone(), self.listen[node], self.found[1 - node]);
        let coordinator = self.is_elected().then(|| self.coordinator[node].join(","));
        Arguments {
            node: Some(NodeArguments { number, keys, listen, peer, coordinator }),
            ..scene.arguments()
        }
    }

    /// What a node says of itself.
    pub(super) fn status(&self, node: usize) -> Result<Value, String> {
        ask(self.data(node), Request::Status)
    }

    /// Whether a node that leads has a standby which has all, or nearly.
    pub(super) fn is_in_sync(&self, leader: usize) -> Result<bool, String> {
        Ok(self.status(leader)?["standby"]["in_sync"] == true)
    }

    /// Waits until the standby has what it needs to take over, and the node that leads counts on it.
    pub(super) fn wait_in_sync(&self, leader: usize) -> Result<(), String> {
        self.patience.eventually("the standby is in sync", || {
            let status = self.status(leader)?;
            Ok(status["standby"]["in_sync"] == true && status["alone"] == false && status["may_ack"] == true)
        })
    }

    /// Stops both nodes, and compares what they have: hashes of the live books and of a replay of each directory, and
    /// the two journals.
    pub(super) fn end(
        &self,
        scene: &mut Scene<'_>,
        leader: usize,
        leading: Exchange,
        following: Exchange,
    ) -> Result<(), String> {
        self.wait_in_sync(leader)?;
        let stopped = leading.stop()?;
        self.patience.eventually("the standby has everything", || {
            Ok(self.status(1 - leader)?["last_sequence"] == stopped["last_sequence"])
        })?;
        let differs = self.status(1 - leader)?["differs"].clone();
        if let Some(differs) = differs.as_str() {
            return Err(format!("the standby's books are not those of its journal: {differs}"));
        }
        following.stop()?;
        for node in [0, 1] {
            let what = format!("replay of node {}", node + 1);
            must_equal(&what, &scene.replayed(self.data(node))?, "live exchange", text(&stopped["state"]))?;
        }
        let open = |node| Reader::open(self.data(node)).map_err(|error| error.to_string());
        match compare(&open(0)?, &open(1)?).map_err(|error| error.to_string())?.then {
            Then::Differ { position, .. } => {
                return Err(format!("the journals differ at position {}", position.0));
            }
            Then::Same | Then::Longer { .. } => {}
        }
        scene.hashes_equal = true;
        Ok(())
    }

    /// Segments that a node has put away because they were cut.
    pub(super) fn archived(&self, node: usize) -> usize {
        std::fs::read_dir(self.data[node].join(ARCHIVE)).map_or(0, Iterator::count)
    }

    pub(super) fn data(&self, node: usize) -> &Path {
        &self.data[node]
    }
}

/// A port of an address of the loopback that is free now.
fn free(address: Ipv4Addr) -> Result<SocketAddr, String> {
    TcpListener::bind((address, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("no free port on the loopback: {error}"))
}
