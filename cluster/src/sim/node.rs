//! One exchange: the machines of this crate, driven as the real drivers will drive them.
//!
//! What a node does with the world goes through [`Outside`]; what it does with its disk are steps that are carried out
//! one by one while it goes on, so that a crash may come between any two of them.

mod disk;
mod follower;
mod leader;
mod link;
mod outside;

use domain::{ClusterId, Epoch, Mark, Position};

use self::leader::Lead;
use self::link::Link;
pub(super) use self::outside::{Connection, Done, Note, Outside, Packet, Setup, Talk};
use super::journal::{self as log, Journal, Recovered};
use crate::election::{self, Candidate, Elector, Leading, RequestId, Situation};
use crate::gate::Mode;
use crate::standby::{self, Authority, CannotPromote, Standby};
use crate::{Kept, NodeId};

const MS: u64 = 1_000_000;
const RING_BYTES: u64 = 1024;
const SEGMENT_BYTES: u64 = log::SEGMENT as u64;

/// A running process.
pub(super) struct Node {
    id: NodeId,
    setup: Setup,
    pub(super) journal: Option<Journal>,
    is_open: bool,
    /// What is on the disk.
    kept: Kept,
    /// The highest promise that was given to the disk.
    promised: Epoch,
    standby: Standby,
    elector: Option<Elector>,
    lead: Option<Lead>,
    link: Option<Link>,
    dial_at_nanos: u64,
    dialing: bool,
    snapshot_in: Vec<u8>,
    is_flushing: bool,
    /// The disk is being cut or swapped, or retention is at work: nothing else is written.
    restructuring: u32,
}

impl Node {
    /// A process begins with what recovery found; the steps of recovery are carried out first.
    pub(super) fn new(id: NodeId, setup: Setup, found: Recovered, io: &mut dyn Outside) -> Self {
        let Recovered { journal, kept, steps, lost_tail, finished_intent, damage } = found;
        if let Some(damage) = damage {
            io.violation(format!("node {id} does not open its journal: {damage}"));
        }
        if lost_tail && journal.is_some() {
            io.note(Note::LostTail);
        }
        if finished_intent {
            io.note(Note::FinishedIntent);
        }
        io.carry_out(steps, Done::Opened);
        let founds = id == NodeId(1);
        let elector = setup.automatic.then(|| Elector::new(Setup::election(), id, founds));
        Self {
            id,
            setup,
            standby: Standby::new(Setup::standby(), id, journal.as_ref().map(describe), kept),
            journal,
            is_open: false,
            promised: kept.promised,
            kept,
            elector,
            lead: None,
            link: None,
            dial_at_nanos: 0,
            dialing: false,
            snapshot_in: Vec::new(),
            is_flushing: false,
            restructuring: 0,
        }
    }

    /// The epoch in which it leads.
    pub(super) fn leads(&self) -> Option<Epoch> {
        self.lead.as_ref().map(|lead| lead.epoch)
    }

    /// Whether it holds a lease under which it may acknowledge.
    pub(super) fn may_ack(&self, now_nanos: u64) -> bool {
        self.elector.as_ref().is_some_and(|elector| elector.may_ack(now_nanos))
    }

    /// Whether it leads and its standby has everything, on both disks.
    pub(super) fn is_settled(&self) -> bool {
        let (Some(lead), Some(journal)) = (&self.lead, &self.journal) else { return false };
        let end = journal.end().position;
        lead.gate.released() == end
            && journal.durable == end.0
            && lead.books.owed.is_empty()
            && journal.open.is_empty()
            && lead.primary.is_in_sync()
            && lead.primary.remote().is_some_and(|remote| remote.received == end && remote.durable == end)
    }

    /// Whether a client is connected to it as the primary.
    #[cfg(test)]
    pub(super) fn is_serving(&self) -> bool {
        self.lead.as_ref().is_some_and(|lead| !lead.clients.is_empty())
    }

    /// For an operator who looks: the log's last epoch and end, and whether it is whole.
    pub(super) fn standing(&self) -> Option<(Epoch, Position, bool)> {
        let nothing = (Epoch::NONE, Position(0), false);
        let of =
            |journal: &Journal| (journal.history.last(), journal.end().position, self.standby.is_complete());
        self.is_open.then(|| self.journal.as_ref().map_or(nothing, of))
    }

    pub(super) fn is_following(&self) -> bool {
        self.standby.follows().is_some()
    }

    /// How many reports a session has been given while it leads.
    pub(super) fn reports_of(&self, session: u32) -> u64 {
        self.lead.as_ref().map_or(0, |lead| lead.books.next_number(session) - 1)
    }

    /// The state of the books while it leads.
    pub(super) fn books_hash(&self) -> Option<u64> {
        self.lead.as_ref().map(|lead| lead.books.hash)
    }

    /// For a failure's message.
    pub(super) fn describe(&self) -> String {
        let end = self.journal.as_ref().map(|journal| (journal.end().position.0, journal.durable));
        let lead = self.lead.as_ref().map(|lead| {
            (
                lead.epoch,
                lead.gate.released(),
                lead.primary.remote(),
                lead.primary.is_in_sync(),
                lead.books.owed.len(),
            )
        });
        format!(
            "node {} open {} end {end:?} kept {:?} follows {:?} lead {lead:?} elector {:?}",
            self.id,
            self.is_open,
            self.kept,
            self.standby.follows(),
            self.elector,
        )
    }

    /// An operator begins a new exchange here.
    pub(super) fn found(&mut self, cluster: u64, io: &mut dyn Outside) {
        let from = Mark { position: Position(0), chain: log::genesis(cluster) };
        self.journal = Some(Journal::new(cluster, from, None, crate::history::History::new()));
        self.standby =
            Standby::new(Setup::standby(), self.id, self.journal.as_ref().map(describe), self.kept);
        self.reset_tail(io);
        io.carry_out(log::make_segment(cluster, 0, from.chain), Done::Created(from));
    }

    /// An operator promotes this node.
    pub(super) fn promote(&mut self, force: bool, io: &mut dyn Outside) -> Result<Epoch, CannotPromote> {
        if !self.is_open || self.restructuring > 0 {
            return Err(CannotPromote::NoJournal);
        }
        let result = self.standby.promote(io.now_nanos(), Authority::Operator { force });
        self.pump(io);
        result
    }

    /// An operator switches to the standby.
    pub(super) fn hand_over(&mut self, io: &mut dyn Outside) {
        let is_on_record = self.elector.as_ref().is_none_or(|elector| elector.mode() == Mode::Replicated);
        if let Some(lead) = self.lead.as_mut().filter(|_| is_on_record) {
            // Not in sync, or under way: the operator tries again another time.
            let _ = lead.primary.hand_over(io.now_nanos());
        }
        self.pump(io);
    }

    /// An operator has old segments taken away.
    pub(super) fn retain(&mut self, io: &mut dyn Outside) {
        let Some(journal) = &self.journal else { return };
        let Some(lead) = &self.lead else { return };
        // Not what was not released, and not while a snapshot is on its way.
        let upto = lead.gate.released().0.min(journal.durable);
        let is_seeding = self.link.is_some() && lead.primary.remote().is_none();
        // Mostly what a standby still needs; now and then an operator is hard.
        let needed = lead.primary.needs_from().map_or(upto, |needed| needed.0);
        let upto = if io.draw(4) == 0 { upto } else { upto.min(needed) };
        let Some(mark) = journal.mark_below(upto) else { return };
        if self.restructuring > 0 || is_seeding || mark.position.0 < journal.first + 2 * SEGMENT_BYTES {
            return;
        }
        let snapshot = journal.take_snapshot(mark);
        let steps = journal.retain_steps(&snapshot);
        self.restructuring += 1;
        io.carry_out(steps, Done::Retained(Box::new(snapshot)));
    }

    pub(super) fn tick(&mut self, io: &mut dyn Outside) {
        if !self.is_open {
            return;
        }
        let now = io.now_nanos();
        if let Some(lead) = &mut self.lead {
            lead.primary.tick(now);
        } else {
            self.standby.tick(now);
        }
        self.pump(io);
        let situation = self.situation();
        if let Some(elector) = &mut self.elector {
            elector.tick(now, &situation);
        }
        self.pump(io);
        if self.link.is_none() && !self.dialing && now >= self.dial_at_nanos {
            // A primary does so to hear whether there is another one; its coordinator would tell it, if it has one.
            let interval = if self.lead.is_none() { 100 } else { 400 };
            if self.lead.is_none() || !self.setup.automatic {
                self.dialing = true;
                io.dial();
            }
            self.dial_at_nanos = now + (interval + io.draw(interval)) * MS;
        }
    }

    pub(super) fn answered(&mut self, id: RequestId, reply: election::Reply, io: &mut dyn Outside) {
        if let Some(elector) = &mut self.elector {
            elector.reply(io.now_nanos(), id, reply);
        }
        self.pump(io);
        // What was learned is acted on at once.
        let situation = self.situation();
        if let Some(elector) = &mut self.elector {
            elector.tick(io.now_nanos(), &situation);
        }
        self.pump(io);
    }

    /// Does what the machines ask for until none asks for more.
    fn pump(&mut self, io: &mut dyn Outside) {
        if !self.is_open {
            return;
        }
        loop {
            let mut is_quiet = true;
            while let Some(action) = self.standby.poll() {
                is_quiet = false;
                self.do_for_standby(action, io);
            }
            while let Some(action) = self.lead.as_mut().and_then(|lead| lead.primary.poll()) {
                is_quiet = false;
                self.do_for_primary(action, io);
            }
            while let Some(action) = self.elector.as_mut().and_then(Elector::poll) {
                is_quiet = false;
                self.do_for_elector(action, io);
            }
            if is_quiet {
                break;
            }
        }
        self.flush(io);
        self.lead_on(io);
        self.ship(io);
    }

    fn do_for_elector(&mut self, action: election::Action, io: &mut dyn Outside) {
        match action {
            election::Action::Ask(id, request) => io.ask(id, request),
            election::Action::Won(epoch) => {
                let now = io.now_nanos();
                let is_free = self.lead.is_none() && self.restructuring == 0;
                let is_promoted = is_free && self.standby.promote(now, Authority::Election { epoch }).is_ok();
                if let Some(elector) = self.elector.as_mut().filter(|_| !is_promoted) {
                    elector.resign(now);
                }
            }
            election::Action::Lost { .. } => {
                if self.lead.is_some() {
                    self.step_down(io);
                } else {
                    self.follow_again(io);
                }
            }
        }
    }

    fn situation(&self) -> Situation {
        let Some(journal) = &self.journal else { return Situation::Unfit };
        if let Some(lead) = &self.lead {
            let remote = lead.primary.remote().unwrap_or_default();
            return Situation::Leading(Leading {
                in_sync: lead.primary.standby().filter(|_| lead.primary.is_in_sync()),
                received: remote.received,
                released: lead.gate.released(),
                durable: Position(journal.durable),
            });
        }
        if !self.is_open || self.restructuring > 0 || !self.standby.is_fit() {
            return Situation::Unfit;
        }
        let end = journal.end().position;
        Situation::Candidate(Candidate {
            is_complete: self.standby.is_complete(),
            is_durable: journal.durable == end.0,
            epoch: journal.history.last(),
            end,
            promised: self.kept.promised,
        })
    }
}

/// A journal as a standby knows it.
fn describe(journal: &Journal) -> standby::Log {
    standby::Log {
        cluster: ClusterId(journal.cluster.into()),
        end: journal.end(),
        durable: Position(journal.durable),
        history: journal.history.clone(),
        ring_bytes: RING_BYTES,
        segment_bytes: SEGMENT_BYTES,
    }
}
