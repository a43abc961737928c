//! A node that follows: it appends, cuts, and begins from snapshots, as the standby's rules say.

use domain::{Mark, Position};

use super::{Done, Node, Note, Outside, Setup, describe};
use crate::Kept;
use crate::mutation::{self, Mutation};
use crate::sim::books::Books;
use crate::sim::journal::{self as log, Journal};
use crate::standby::{self, Authority, Standby};

impl Node {
    pub(super) fn do_for_standby(&mut self, action: standby::Action, io: &mut dyn Outside) {
        match action {
            standby::Action::Send(message) => self.transmit(&message, io),
            standby::Action::Close => self.close_link(io),
            standby::Action::Keep(kept) => {
                self.promised = self.promised.max(kept.promised);
                io.carry_out(log::put_kept(kept), Done::Kept(kept));
            }
            standby::Action::Create { cluster, .. } => {
                let cluster = cluster.0 as u64;
                let genesis = Mark { position: Position(0), chain: log::genesis(cluster) };
                self.journal = Some(Journal::new(cluster, genesis, None, crate::history::History::new()));
                self.reset_tail(io);
                io.carry_out(log::make_segment(cluster, 0, genesis.chain), Done::Created(genesis));
            }
            standby::Action::Truncate { to } => {
                let Some(journal) = &self.journal else { return };
                if journal.mark_at(to.position.0) != Some(to) {
                    self.standby.truncated(None);
                    return;
                }
                io.note(Note::Truncated);
                if mutation::is(Mutation::LostTruncation) {
                    self.cut_memory(to.position.0, io);
                    return;
                }
                self.restructuring += 1;
                io.carry_out(journal.truncate_steps(to.position.0), Done::Truncated(to.position.0));
            }
            standby::Action::BeginSnapshot { .. } => {
                self.snapshot_in.clear();
                self.standby.snapshot_begun();
            }
            standby::Action::InstallSnapshot { cluster, mark, from, .. } => {
                match log::Snapshot::decode(&self.snapshot_in) {
                    Some(snapshot) if snapshot.mark == mark => {
                        let cluster = cluster.0 as u64;
                        let steps = log::install_steps(io.storage(), cluster, &self.snapshot_in, from);
                        let mut history = snapshot.history.clone();
                        history.truncate(from.position);
                        let journal = Journal::new(cluster, from, Some(snapshot), history);
                        self.restructuring += 1;
                        io.note(Note::Seeding);
                        io.carry_out(steps, Done::Installed(Box::new(journal)));
                    }
                    _ => {
                        io.violation("a snapshot did not arrive whole".into());
                        self.standby.snapshot_installed(false);
                    }
                }
            }
            standby::Action::GetReady => {}
            standby::Action::Compare { state, .. } => {
                let Some(journal) = &self.journal else { return };
                match Books::fold(self.setup.sessions, journal.everything()) {
                    Ok(books) => {
                        if books.hash != state {
                            io.violation("the standby's books are not the primary's".into());
                        }
                        self.standby.compared(Some(books.hash));
                    }
                    Err(what) => io.violation(what),
                }
            }
            standby::Action::HandedOver { next } => match &mut self.elector {
                Some(elector) => elector.hurry(io.now_nanos()),
                None => {
                    // It was asked for what cannot be: the primary will not come back, an operator will.
                    let _ = self.standby.promote(io.now_nanos(), Authority::HandOver { next });
                }
            },
            standby::Action::Lead { epoch, cancel_only_nanos } => {
                self.begin_to_lead(epoch, cancel_only_nanos, io);
            }
        }
    }

    pub(super) fn follow_again(&mut self, io: &mut dyn Outside) {
        self.drop_link_and_close(io);
        let log = self.journal.as_ref().map(describe);
        let kept = Kept { promised: self.promised, ..self.kept };
        self.standby = Standby::new(Setup::standby(), self.id, log, kept);
    }
}
