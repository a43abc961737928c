//! Who leads, by a coordinator: a small store whose operations are linearizable and whose leases expire (etcd).
//!
//! | key | under a lease | says |
//! |---|---|---|
//! | `state` | no | [`Record`]: the newest epoch, and the in-sync set: who may lead next |
//! | `leader` | the leader's | [`Leader`]: who leads, in which epoch |
//! | `end/NODE` | that node's | [`Announcement`]: where the log of a node without a leader ends |
//!
//! 1. **To lead**, a node that is in the in-sync set, has all that it ever acknowledged ([`Kept::complete`]) and has it
//!    on disk, finds no leader and writes in one transaction: the next epoch, itself alone as the in-sync set, and the
//!    leader key. Condition: nothing has changed since it looked.
//! 2. **To acknowledge**, the leader's lease must have time left: the lease's time, counted from the *sending* of the
//!    last keepalive that was answered, less a margin ([`Elector::may_ack`]).
//! 3. **A standby joins** the set once it is in sync and has everything that was released. From the moment this is asked
//!    for until it is known what came of it, the gate is the lower of both modes ([`Mode::Either`]).
//! 4. **To run alone**, the leader first has on its own disk all that was released, then takes the standby out of the
//!    set, and only when that is on record acknowledges alone. A standby that is not in the set does not lead.
//! 5. **An answer that does not come** may mean that the write was done, is done later, or never. Looking is not enough:
//!    the leader writes again, on the condition of the version that it saw. If that succeeds the old write cannot.
//! 6. **A lease that ran out** stops acknowledging and nothing else. If the epoch is still this node's and there is no
//!    other leader, it writes its leader key again, in the same epoch, and goes on.
//! 7. **After a stop that lost memory on both hosts** nobody is complete. Then each announces where its log ends, under
//!    the version of the record, and the one whose (epoch, end) is not less than that of every other in the set leads.
//!    Each may have lost what the other has on disk; the longer log has everything that was released.
//!
//! The elector, the primary and the gate belong to one thread: what [`Elector::mode`] says holds for the release that comes
//! next, and not longer.
//!
//! The lease is for liveness: it says when a standby may try. That nothing is acknowledged by two rests on the in-sync
//! set and on the fence ([`standby`](crate::standby)): under the replicated policies a leader acknowledges nothing
//! without the standby unless the standby can no longer be elected.

mod store;

use std::collections::VecDeque;

use domain::{Epoch, Position};

pub use self::store::{
    Announcement, Leader, LeaderChange, LeaseId, NotOurs, Record, Reply, Request, RequestId, Version, View,
    Write,
};
#[cfg(doc)]
use crate::Kept;
use crate::NodeId;
use crate::gate::Mode;
use crate::mutation::{self, Mutation};

/// Times.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a lease lasts without a keepalive.
    pub lease_nanos: u64,
    /// The leader stops acknowledging so long before its lease can end.
    pub margin_nanos: u64,
    /// A keepalive is sent so often.
    pub keepalive_nanos: u64,
    /// Who does not lead looks so often.
    pub poll_nanos: u64,
    /// An answer that has not come after this is not waited for any more.
    pub reply_nanos: u64,
    /// A standby that is not in sync for so long is taken out of the set.
    pub patience_nanos: u64,
    /// Who gave the lead away does not try to get it for so long.
    pub hold_off_nanos: u64,
}

impl Default for Settings {
    /// A lease of 2 s with a margin of 300 ms, kept alive each 400 ms.
    fn default() -> Self {
        Self {
            lease_nanos: 2_000_000_000,
            margin_nanos: 300_000_000,
            keepalive_nanos: 400_000_000,
            poll_nanos: 200_000_000,
            reply_nanos: 1_000_000_000,
            patience_nanos: 1_000_000_000,
            hold_off_nanos: 4_000_000_000,
        }
    }
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask this of the store and answer by [`Elector::reply`].
    Ask(RequestId, Request),
    /// The epoch is won: promote this node ([`Authority::Election`](crate::standby::Authority::Election)), or
    /// [`resign`](Elector::resign).
    Won(Epoch),
    /// Another epoch has begun: stop acknowledging for good in this one, and go on as a standby.
    Lost {
        /// The newest epoch.
        epoch: Epoch,
    },
}

/// What this node is at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// It cannot lead now: no journal, being cut, being seeded.
    Unfit,
    /// It does not lead.
    Candidate(Candidate),
    /// It leads in the epoch that was won.
    Leading(Leading),
}

/// A node that could lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Whether it has all that it ever said to have received.
    pub is_complete: bool,
    /// Whether its log is on its disk, to the end.
    pub is_durable: bool,
    /// The epoch of the log's last record.
    pub epoch: Epoch,
    /// The log's end.
    pub end: Position,
    /// What it has promised.
    pub promised: Epoch,
}

/// How a leader and its standby stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leading {
    /// The standby, if it is in sync.
    pub in_sync: Option<NodeId>,
    /// What it has received.
    pub received: Position,
    /// What has been released here.
    pub released: Position,
    /// What is on the disk here.
    pub durable: Position,
}

/// One node's part in the election.
#[derive(Debug)]
pub struct Elector {
    settings: Settings,
    node: NodeId,
    /// Whether this node may found a cluster of which nothing is on record.
    founds: bool,
    lease: Option<Lease>,
    keepalive: Option<Pending>,
    keepalive_sent_nanos: Option<u64>,
    control: Option<Pending>,
    next_id: u64,
    role: Role,
    /// No look or campaign before this.
    look_at_nanos: u64,
    campaign_at_nanos: u64,
    /// Until then it looks more often.
    hurry_until_nanos: u64,
    view: View,
    /// The view has not been campaigned on.
    is_view_new: bool,
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    id: LeaseId,
    /// It lasts at least until then.
    until_nanos: u64,
}

/// A request that has not been answered.
#[derive(Clone, Copy, Debug)]
struct Pending {
    id: RequestId,
    what: What,
    sent_nanos: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Grant,
    KeepAlive(LeaseId),
    Look,
    Campaign {
        epoch: Epoch,
        lease: LeaseId,
    },
    /// The leader puts this set on record, and its key under this lease.
    Hold {
        with: Option<NodeId>,
        lease: LeaseId,
    },
    Announce,
    Resign,
}

#[derive(Clone, Copy, Debug)]
enum Role {
    Follower,
    Leader {
        epoch: Epoch,
        /// The lease that holds the leader key, as far as is known.
        lease: LeaseId,
        state: Version,
        leader: Version,
        set: Set,
        /// The standby has not been in sync since then.
        behind_since_nanos: Option<u64>,
    },
    /// The leader key is being deleted.
    Resigning,
}

/// What the leader knows of the in-sync set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// On record: this node only.
    Alone,
    /// On record: this node and that one.
    With(NodeId),
    /// A change is asked for, or was and no answer came.
    Changing { to: Option<NodeId> },
    /// It must be looked up before it can be written again.
    Unknown,
}

impl Elector {
    /// Of a node that does not lead yet. `founds` says whether it may found a cluster of which nothing is on record: one
    /// node's operator says so, once.
    #[must_use]
    pub fn new(settings: Settings, node: NodeId, founds: bool) -> Self {
        Self {
            settings,
            node,
            founds,
            lease: None,
            keepalive: None,
            keepalive_sent_nanos: None,
            control: None,
            next_id: 0,
            role: Role::Follower,
            look_at_nanos: 0,
            campaign_at_nanos: 0,
            hurry_until_nanos: 0,
            view: View::default(),
            is_view_new: false,
            actions: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether this node may acknowledge anything now. The caller reads its clock for this, and not before.
    #[must_use]
    pub fn may_ack(&self, now_nanos: u64) -> bool {
        let (Role::Leader { lease: held, .. }, Some(lease)) = (self.role, self.lease) else { return false };
        held == lease.id && now_nanos.saturating_add(self.settings.margin_nanos) < lease.until_nanos
    }

    /// Until when [`may_ack`](Self::may_ack) says yes; 0 while it says no. For a thread that reads its clock itself.
    #[must_use]
    pub fn ack_until_nanos(&self) -> u64 {
        match (self.role, self.lease) {
            (Role::Leader { lease: held, .. }, Some(lease)) if held == lease.id => {
                lease.until_nanos.saturating_sub(self.settings.margin_nanos)
            }
            _ => 0,
        }
    }

    /// Who must hold what is released.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self.role {
            Role::Leader { set: Set::Alone, .. } => Mode::Alone,
            Role::Leader { set: Set::With(_), .. } => Mode::Replicated,
            Role::Leader { set: Set::Changing { to: None }, .. }
                if mutation::is(Mutation::AloneBeforeRecorded) =>
            {
                Mode::Alone
            }
            _ => Mode::Either,
        }
    }

    /// The epoch that this node has won and not lost.
    #[must_use]
    pub const fn leads(&self) -> Option<Epoch> {
        match self.role {
            Role::Leader { epoch, .. } => Some(epoch),
            Role::Follower | Role::Resigning => None,
        }
    }

    /// How the coordinator's keys stood when they were last seen.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Gives the lead away, or up: nothing is acknowledged any more, and for a time this node does not try to lead.
    pub fn resign(&mut self, now_nanos: u64) {
        if matches!(self.role, Role::Leader { .. }) {
            self.role = Role::Resigning;
            self.control = None;
            self.look_at_nanos = now_nanos;
            self.campaign_at_nanos = now_nanos.saturating_add(self.settings.hold_off_nanos);
        }
    }

    /// Another leads, or the node has stepped down for another reason: it may try to lead again when it can.
    pub fn stepped_down(&mut self, now_nanos: u64) {
        if matches!(self.role, Role::Leader { .. }) {
            self.role = Role::Resigning;
            self.control = None;
            self.look_at_nanos = now_nanos;
        }
    }

    /// The primary has handed over: looks at the next tick, and for a while as often as it is ticked, and campaigns as soon
    /// as it can be.
    pub fn hurry(&mut self, now_nanos: u64) {
        self.look_at_nanos = now_nanos;
        self.campaign_at_nanos = now_nanos;
        self.hurry_until_nanos = now_nanos.saturating_add(self.settings.reply_nanos);
    }

    /// Time passes. To be called at least each quarter of the margin, and whenever the situation has changed.
    pub fn tick(&mut self, now_nanos: u64, situation: &Situation) {
        self.give_up_waiting(now_nanos);
        self.keep_alive(now_nanos);
        if self.control.is_some() {
            return;
        }
        let Some(lease) = self.lease else {
            if now_nanos >= self.look_at_nanos {
                self.look_at_nanos = now_nanos + self.settings.poll_nanos;
                self.ask(now_nanos, What::Grant, Request::Grant { nanos: self.settings.lease_nanos });
            }
            return;
        };
        match (self.role, situation) {
            (Role::Resigning, _) => self.delete_leader(now_nanos),
            (Role::Leader { .. }, Situation::Leading(leading)) => self.hold(now_nanos, lease.id, leading),
            // Won, and not begun; or the driver has not heard yet.
            (Role::Leader { .. }, _) | (Role::Follower, Situation::Leading(_)) => {}
            (Role::Follower, Situation::Unfit) => self.look(now_nanos),
            (Role::Follower, Situation::Candidate(candidate)) => {
                if !self.campaign(now_nanos, lease.id, candidate) {
                    self.look(now_nanos);
                }
            }
        }
    }

    /// The store has answered, or will not. `is_complete` and the like are asked again at the next tick.
    pub fn reply(&mut self, now_nanos: u64, id: RequestId, reply: Reply) {
        if let Some(pending) = self.keepalive.filter(|pending| pending.id == id) {
            self.keepalive = None;
            self.on_keepalive(now_nanos, pending, &reply);
        } else if let Some(pending) = self.control.filter(|pending| pending.id == id) {
            self.control = None;
            self.on_control(now_nanos, pending, reply);
        }
        // Else it is too late: it is counted as unknown already.
    }

    fn on_keepalive(&mut self, now_nanos: u64, pending: Pending, reply: &Reply) {
        let What::KeepAlive(id) = pending.what else { return };
        let Some(lease) = self.lease.as_mut().filter(|lease| lease.id == id) else { return };
        match reply {
            Reply::KeptAlive => {
                let from =
                    if mutation::is(Mutation::LeaseFromReply) { now_nanos } else { pending.sent_nanos };
                lease.until_nanos = lease.until_nanos.max(from + self.settings.lease_nanos);
            }
            Reply::LeaseGone => self.lose_lease(now_nanos),
            _ => {}
        }
    }

    fn on_control(&mut self, now_nanos: u64, pending: Pending, reply: Reply) {
        match (pending.what, reply) {
            (What::Grant, Reply::Granted { lease }) => {
                let from =
                    if mutation::is(Mutation::LeaseFromReply) { now_nanos } else { pending.sent_nanos };
                self.lease = Some(Lease { id: lease, until_nanos: from + self.settings.lease_nanos });
                self.keepalive_sent_nanos = Some(pending.sent_nanos);
                self.look_at_nanos = now_nanos;
            }
            (What::Look, Reply::View(view)) => self.see(view),
            (What::Campaign { epoch, lease }, Reply::Written { version }) => {
                self.win(epoch, lease, version, version);
            }
            (What::Hold { with, lease: put_under }, Reply::Written { version }) => {
                if let Role::Leader { lease, state, leader, set, .. } = &mut self.role {
                    (*lease, *state, *leader) = (put_under, version, version);
                    *set = with.map_or(Set::Alone, Set::With);
                }
            }
            (What::Announce, Reply::Written { .. }) => self.look_at_nanos = now_nanos,
            (What::Resign, Reply::Written { .. }) => self.role = Role::Follower,
            (_, Reply::LeaseGone) => {
                self.doubt();
                self.lose_lease(now_nanos);
            }
            // It was not written, and since a version that it was conditional on is gone, it never will be.
            (_, Reply::NotWritten(view)) => self.see(view),
            (_, Reply::Unknown) | (_, _) => self.doubt(),
        }
    }

    /// What was asked last may have been done or may be done yet.
    fn doubt(&mut self) {
        if let Role::Leader { set, .. } = &mut self.role
            && matches!(set, Set::Changing { .. })
        {
            *set = Set::Unknown;
        }
    }

    fn lose_lease(&mut self, now_nanos: u64) {
        self.lease = None;
        self.keepalive = None;
        self.look_at_nanos = now_nanos;
        if let Role::Leader { set, .. } = &mut self.role {
            *set = Set::Unknown;
        }
    }

    /// Takes in how the keys stand.
    fn see(&mut self, view: View) {
        let record_epoch = view.state.as_ref().map_or(Epoch::NONE, |(record, _)| record.epoch);
        let ours = self.lease.map(|lease| lease.id);
        let held_by =
            view.leader.filter(|(leader, _, lease)| leader.node == self.node && Some(*lease) == ours);
        match &mut self.role {
            Role::Leader { epoch, state, leader, set, .. } => {
                let is_over = record_epoch != *epoch && !mutation::is(Mutation::WrongEpochCheck);
                let other = view.leader.filter(|(leader, ..)| leader.node != self.node);
                if is_over || other.is_some() {
                    self.role = Role::Follower;
                    self.actions.push_back(Action::Lost { epoch: record_epoch });
                } else {
                    *state = view.state.as_ref().map_or(Version::ABSENT, |(_, version)| *version);
                    *leader = view.leader.map_or(Version::ABSENT, |(_, version, _)| version);
                    // Known now, but a write that is on its way may change it: it is written again before it counts.
                    if *set == Set::Unknown {
                        *set = Set::Changing { to: None };
                    }
                }
            }
            Role::Follower => {
                // A campaign of which no answer came was won.
                if let (Some((leader, version, lease)), Some((_, state))) = (held_by, view.state.as_ref()) {
                    let state = *state;
                    self.win(leader.epoch, lease, state, version);
                }
            }
            Role::Resigning => {
                if view.leader.is_none_or(|(leader, ..)| leader.node != self.node) {
                    self.role = Role::Follower;
                }
            }
        }
        self.view = view;
        self.is_view_new = true;
    }

    fn win(&mut self, epoch: Epoch, lease: LeaseId, state: Version, leader: Version) {
        self.role = Role::Leader { epoch, lease, state, leader, set: Set::Alone, behind_since_nanos: None };
        self.actions.push_back(Action::Won(epoch));
    }

    fn give_up_waiting(&mut self, now_nanos: u64) {
        let is_late =
            |pending: &Pending| now_nanos.saturating_sub(pending.sent_nanos) > self.settings.reply_nanos;
        if self.keepalive.as_ref().is_some_and(is_late) {
            self.keepalive = None;
        }
        if let Some(pending) = self.control.filter(is_late) {
            self.control = None;
            self.on_control(now_nanos, pending, Reply::Unknown);
        }
    }

    fn keep_alive(&mut self, now_nanos: u64) {
        let Some(lease) = self.lease else { return };
        let is_due = self
            .keepalive_sent_nanos
            .is_none_or(|sent| now_nanos.saturating_sub(sent) >= self.settings.keepalive_nanos);
        if self.keepalive.is_none() && is_due {
            self.keepalive_sent_nanos = Some(now_nanos);
            self.ask(now_nanos, What::KeepAlive(lease.id), Request::KeepAlive { lease: lease.id });
        }
    }

    fn look(&mut self, now_nanos: u64) {
        if now_nanos >= self.look_at_nanos {
            let is_hurried = now_nanos < self.hurry_until_nanos;
            self.look_at_nanos = now_nanos + if is_hurried { 0 } else { self.settings.poll_nanos };
            self.ask(now_nanos, What::Look, Request::Read);
        }
    }

    fn delete_leader(&mut self, now_nanos: u64) {
        match self.view.leader {
            Some((leader, version, _)) if leader.node == self.node => {
                // If this is not what is there now, the answer says so.
                self.view.leader = None;
                let write =
                    Write { if_leader: Some(version), leader: LeaderChange::Delete, ..Write::nothing() };
                self.ask(now_nanos, What::Resign, Request::Write(write));
            }
            _ => self.look(now_nanos),
        }
    }

    /// The leader's part: what is on record is what it wants on record.
    fn hold(&mut self, now_nanos: u64, lease: LeaseId, standing: &Leading) {
        let node = self.node;
        let Role::Leader { epoch, lease: held, state, leader, set, behind_since_nanos } = &mut self.role
        else {
            return;
        };
        if *set == Set::Unknown {
            self.look(now_nanos);
            return;
        }
        // In sync, and with everything that was released: it may be elected.
        let fit = standing.in_sync.filter(|_| standing.received >= standing.released);
        let wanted = match *set {
            Set::With(peer) if fit != Some(peer) => {
                let since_nanos = *behind_since_nanos.get_or_insert(now_nanos);
                let is_patient = now_nanos.saturating_sub(since_nanos) < self.settings.patience_nanos;
                if is_patient { Some(peer) } else { fit }
            }
            _ => {
                *behind_since_nanos = None;
                fit
            }
        };
        let is_on_record = match *set {
            Set::Alone => wanted.is_none(),
            Set::With(peer) => wanted == Some(peer),
            Set::Changing { .. } | Set::Unknown => false,
        };
        if is_on_record && *held == lease {
            return;
        }
        // Alone only with everything that was released on our own disk: the standby's copy will not count any more.
        if wanted.is_none() && standing.durable < standing.released {
            return;
        }
        *set = Set::Changing { to: wanted };
        let mut in_sync = vec![node];
        in_sync.extend(wanted);
        in_sync.sort_unstable();
        let write = Write {
            if_state: Some(*state),
            if_leader: Some(*leader),
            state: Some(Record { epoch: *epoch, in_sync }),
            leader: LeaderChange::Put(Leader { node, epoch: *epoch }, lease),
            ..Write::nothing()
        };
        self.ask(now_nanos, What::Hold { with: wanted, lease }, Request::Write(write));
    }

    /// The candidate's part, with the keys as they were last seen; whether something was asked.
    fn campaign(&mut self, now_nanos: u64, lease: LeaseId, candidate: &Candidate) -> bool {
        if !self.is_view_new || now_nanos < self.campaign_at_nanos {
            return false;
        }
        let other = self.view.leader.filter(|(leader, ..)| leader.node != self.node);
        if other.is_some() {
            return false;
        }
        let leader = self.view.leader.map_or(Version::ABSENT, |(_, version, _)| version);
        let mut if_announcements = Vec::new();
        let (state, newest) = match &self.view.state {
            None if self.founds => (Version::ABSENT, Epoch::NONE),
            None => return false,
            Some((record, _)) if !record.in_sync.contains(&self.node) => return false,
            Some((record, version)) => {
                let (record_epoch, version) = (record.epoch, *version);
                // What was acknowledged alone is on this disk, whatever else was lost.
                if !candidate.is_complete && record.in_sync != [self.node] {
                    if self.announce(now_nanos, lease, candidate, version) {
                        return true;
                    }
                    let Some(versions) = self.is_longest(candidate) else { return false };
                    if_announcements = versions;
                }
                (version, record_epoch)
            }
        };
        if !candidate.is_durable {
            return false;
        }
        self.is_view_new = false;
        let epoch = self.node.epoch_after(newest.max(candidate.promised));
        let write = Write {
            if_state: Some(state),
            if_leader: Some(leader),
            if_announcements,
            state: Some(Record { epoch, in_sync: vec![self.node] }),
            leader: LeaderChange::Put(Leader { node: self.node, epoch }, lease),
            ..Write::nothing()
        };
        self.ask(now_nanos, What::Campaign { epoch, lease }, Request::Write(write));
        true
    }

    /// The versions of what the others in the set have announced, if they all have and none has more than this node; of
    /// two that are equal the one with the lower number counts as longer.
    fn is_longest(&self, candidate: &Candidate) -> Option<Vec<(NodeId, Version)>> {
        let (record, version) = self.view.state.as_ref()?;
        let mut versions = Vec::new();
        for &member in record.in_sync.iter().filter(|&&member| member != self.node) {
            let is_theirs = |(node, said, _): &&(NodeId, Announcement, Version)| {
                *node == member && said.version == *version
            };
            let (_, said, announced) = self.view.announcements.iter().find(is_theirs)?;
            let (ours, theirs) = ((candidate.epoch, candidate.end), (said.epoch, said.end));
            if ours < theirs || ours == theirs && self.node > member {
                return None;
            }
            versions.push((member, *announced));
        }
        Some(versions)
    }

    /// Says where this node's log ends, unless that is there; whether something was asked.
    fn announce(&mut self, now_nanos: u64, lease: LeaseId, candidate: &Candidate, version: Version) -> bool {
        let announcement = Announcement { version, epoch: candidate.epoch, end: candidate.end };
        // Seen there, and not only written once: a write of this node's last life may have come after it.
        let ours = (self.node, announcement);
        if self.view.announcements.iter().any(|(node, said, _)| (*node, *said) == ours) {
            return false;
        }
        let write = Write {
            if_state: Some(version),
            announce: Some((self.node, announcement, lease)),
            ..Write::nothing()
        };
        self.is_view_new = false;
        self.ask(now_nanos, What::Announce, Request::Write(write));
        true
    }

    fn ask(&mut self, now_nanos: u64, what: What, request: Request) {
        self.next_id += 1;
        let id = RequestId(self.next_id);
        let pending = Pending { id, what, sent_nanos: now_nanos };
        if matches!(what, What::KeepAlive(_)) {
            self.keepalive = Some(pending);
        } else {
            self.control = Some(pending);
        }
        self.actions.push_back(Action::Ask(id, request));
    }
}

#[cfg(test)]
mod tests;
