//! The coordinator: linearizable, with leases; slow, down, or generous with leases when its own leader changes.

use std::collections::BTreeMap;

use crate::NodeId;
use crate::election::{
    Announcement, Leader, LeaderChange, LeaseId, Record, Reply, Request, Version, View, Write,
};

/// The store's state, in true time.
#[derive(Debug, Default)]
pub(crate) struct Store {
    revision: u64,
    state: Option<(Record, Version)>,
    leader: Option<(Leader, Version, LeaseId)>,
    announcements: BTreeMap<NodeId, (Announcement, Version, LeaseId)>,
    /// How long each lease is granted for, and when it ends.
    leases: BTreeMap<LeaseId, (u64, u64)>,
    next_lease: u64,
}

impl Store {
    /// Its own leader changes: every lease begins anew, as etcd's do.
    pub(crate) fn change_leader(&mut self, now: u64) {
        self.expire(now);
        for (nanos, until) in self.leases.values_mut() {
            *until = now + *nanos;
        }
    }

    /// Does one operation, at one moment.
    pub(crate) fn handle(&mut self, now: u64, request: &Request) -> Reply {
        self.expire(now);
        match request {
            Request::Grant { nanos } => {
                self.next_lease += 1;
                let lease = LeaseId(self.next_lease);
                self.leases.insert(lease, (*nanos, now + nanos));
                Reply::Granted { lease }
            }
            Request::KeepAlive { lease } => match self.leases.get_mut(lease) {
                Some((nanos, until)) => {
                    *until = now + *nanos;
                    Reply::KeptAlive
                }
                None => Reply::LeaseGone,
            },
            Request::Read => Reply::View(self.view()),
            Request::Write(write) => self.write(write),
        }
    }

    pub(crate) fn view(&self) -> View {
        let announcements =
            self.announcements.iter().map(|(&node, &(said, version, _))| (node, said, version));
        View { state: self.state.clone(), leader: self.leader, announcements: announcements.collect() }
    }

    fn write(&mut self, write: &Write) -> Reply {
        let state = self.state.as_ref().map_or(Version::ABSENT, |(_, version)| *version);
        let leader = self.leader.map_or(Version::ABSENT, |(_, version, _)| version);
        let announcement =
            |node| self.announcements.get(node).map_or(Version::ABSENT, |(_, version, _)| *version);
        let holds = write.if_state.is_none_or(|wanted| wanted == state)
            && write.if_leader.is_none_or(|wanted| wanted == leader)
            && write.if_announcements.iter().all(|(node, wanted)| announcement(node) == *wanted);
        if !holds {
            return Reply::NotWritten(self.view());
        }
        let leases = [
            match write.leader {
                LeaderChange::Put(_, lease) => Some(lease),
                _ => None,
            },
            write.announce.map(|(_, _, lease)| lease),
        ];
        if leases.iter().flatten().any(|lease| !self.leases.contains_key(lease)) {
            return Reply::LeaseGone;
        }
        self.revision += 1;
        let version = Version(self.revision);
        if let Some(record) = &write.state {
            self.state = Some((record.clone(), version));
        }
        match write.leader {
            LeaderChange::Keep => {}
            LeaderChange::Put(leader, lease) => self.leader = Some((leader, version, lease)),
            LeaderChange::Delete => self.leader = None,
        }
        if let Some((node, announcement, lease)) = write.announce {
            self.announcements.insert(node, (announcement, version, lease));
        }
        Reply::Written { version }
    }

    fn expire(&mut self, now: u64) {
        self.leases.retain(|_, (_, until)| *until > now);
        let leases = &self.leases;
        if self.leader.is_some_and(|(_, _, lease)| !leases.contains_key(&lease)) {
            self.leader = None;
        }
        self.announcements.retain(|_, (_, _, lease)| leases.contains_key(lease));
    }
}
