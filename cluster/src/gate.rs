//! The gate: up to which position reports may leave.
//!
//! | policy | with a standby in the in-sync set | alone, on record |
//! |---|---|---|
//! | memory | committed | committed |
//! | disk | durable here | durable here |
//! | disk and replica | received there, and durable on one of the two | durable here |
//! | two disks | durable on both | durable here |
//!
//! Two steps lie between "with a standby" and "alone": while it is not known which of the two is on record, the gate is
//! the lower of both. A standby that is not connected, or has not caught up, does not make the gate go back; it makes
//! it stand.
//!
//! **What has been released stays released.** Clients have it; there is no taking it back. Under the replicated policies
//! this is where a standby that comes back with less (its machine stopped, its memory is gone) has to be thought about:
//! for a time one host alone holds something that clients were promised two hosts hold. Nothing is lost by that, since
//! the primary has it; a second failure in that time may lose it. The gate cannot prevent that; promotion can: a standby
//! that came back with less knows so ([`Kept::complete`](crate::Kept)), and does not promote itself until it has caught
//! up. And nothing *new* is released until it has.

use domain::Position;

/// What must be true of a report before a client may see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// It is in the tail here. Survives the process.
    Memory,
    /// It is on the disk here. Survives the machine, if the disk does.
    #[default]
    Disk,
    /// Two hosts hold it, and one of them has it on disk.
    DiskReplica,
    /// Two hosts have it on disk.
    TwoDisks,
}

impl Policy {
    /// Whether an acknowledgement needs the standby. Only then may a standby promote itself.
    #[must_use]
    pub const fn is_replicated(self) -> bool {
        matches!(self, Self::DiskReplica | Self::TwoDisks)
    }
}

/// How far this node's own journal is. `durable <= committed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Local {
    /// In the tail, sealed.
    pub committed: Position,
    /// On the disk.
    pub durable: Position,
}

/// How far the standby says it is. `durable <= received`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// In its tail.
    pub received: Position,
    /// On its disk.
    pub durable: Position,
}

/// Who must hold something before it is released: what is on record with the coordinator, or with the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The standby is in the in-sync set, and may be promoted.
    Replicated,
    /// It is being put in or taken out, and the answer is not there yet.
    Either,
    /// It is on record that this node runs alone: the standby will not be promoted.
    Alone,
}

/// Says up to where reports may leave, for one epoch of one primary.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    policy: Policy,
    released: Position,
}

impl Gate {
    /// At the start of an epoch. Nothing has been released in it; what earlier ones released is released again, since it
    /// is behind the same gate.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self { policy, released: Position(0) }
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Up to where reports may have left.
    #[must_use]
    pub const fn released(&self) -> Position {
        self.released
    }

    /// Moves the gate as far as it may go now, and says where it is. `remote` is what the standby said on the link
    /// that is up, `None` without one.
    ///
    /// Who runs under an election asks [`may_ack`](crate::election::Elector::may_ack) first.
    pub fn advance(&mut self, local: Local, remote: Option<Remote>, mode: Mode) -> Position {
        self.released = self.released.max(self.allowed(local, remote, mode));
        self.released
    }

    /// What the policy allows of itself, without looking at what was released.
    fn allowed(&self, local: Local, remote: Option<Remote>, mode: Mode) -> Position {
        let replicated = || {
            let Some(remote) = remote else { return Position(0) };
            let position = match self.policy {
                Policy::TwoDisks => local.durable.min(remote.durable),
                _ => remote.received.min(local.durable.max(remote.durable)),
            };
            // A standby cannot have more than it was sent; one that says so is not believed.
            position.min(local.committed)
        };
        match (self.policy, mode) {
            (Policy::Memory, _) => local.committed,
            (Policy::Disk, _) | (_, Mode::Alone) => local.durable,
            (_, Mode::Replicated) => replicated(),
            (_, Mode::Either) => replicated().min(local.durable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(policy: Policy, local: (u64, u64), remote: Option<(u64, u64)>, mode: Mode) -> u64 {
        let local = Local { committed: Position(local.0), durable: Position(local.1) };
        let remote = remote
            .map(|(received, durable)| Remote { received: Position(received), durable: Position(durable) });
        Gate::new(policy).advance(local, remote, mode).0
    }

    #[test]
    fn each_policy_waits_for_what_it_says() {
        let (local, remote) = ((100, 50), Some((80, 60)));
        assert_eq!(at(Policy::Memory, local, remote, Mode::Replicated), 100);
        assert_eq!(at(Policy::Disk, local, remote, Mode::Replicated), 50);
        assert_eq!(at(Policy::DiskReplica, local, remote, Mode::Replicated), 60);
        assert_eq!(at(Policy::DiskReplica, (100, 90), remote, Mode::Replicated), 80);
        assert_eq!(at(Policy::TwoDisks, local, remote, Mode::Replicated), 50);
        assert_eq!(at(Policy::TwoDisks, (100, 90), remote, Mode::Replicated), 60);
    }

    #[test]
    fn without_a_standby_the_replicated_policies_stand_until_alone_is_on_record() {
        for policy in [Policy::DiskReplica, Policy::TwoDisks] {
            assert_eq!(at(policy, (100, 90), None, Mode::Replicated), 0);
            assert_eq!(at(policy, (100, 90), None, Mode::Either), 0);
            assert_eq!(at(policy, (100, 90), None, Mode::Alone), 90);
        }
        assert_eq!(at(Policy::Memory, (100, 90), None, Mode::Replicated), 100);
        assert_eq!(at(Policy::Disk, (100, 90), None, Mode::Replicated), 90);
    }

    #[test]
    fn while_it_is_not_known_which_the_lower_of_both_counts() {
        assert_eq!(at(Policy::DiskReplica, (100, 50), Some((80, 70)), Mode::Either), 50);
        assert_eq!(at(Policy::DiskReplica, (100, 90), Some((80, 70)), Mode::Either), 80);
        assert_eq!(at(Policy::TwoDisks, (100, 90), Some((80, 70)), Mode::Either), 70);
    }

    #[test]
    fn what_was_released_stays_released_and_nothing_more_is() {
        let mut gate = Gate::new(Policy::DiskReplica);
        let local = Local { committed: Position(100), durable: Position(100) };
        let remote = |n| Some(Remote { received: Position(n), durable: Position(0) });
        assert_eq!(gate.advance(local, remote(80), Mode::Replicated), Position(80));
        assert_eq!(gate.advance(local, remote(30), Mode::Replicated), Position(80));
        assert_eq!(gate.advance(local, remote(81), Mode::Replicated), Position(81));
    }

    #[test]
    fn a_standby_that_claims_too_much_is_not_believed() {
        assert_eq!(at(Policy::DiskReplica, (100, 90), Some((500, 500)), Mode::Replicated), 100);
        assert_eq!(at(Policy::TwoDisks, (100, 90), Some((500, 500)), Mode::Replicated), 90);
    }
}
