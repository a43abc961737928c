//! What the disk is given to do, and what follows when it has done it.

use domain::Position;

use super::{Done, Node, Note, Outside};
use crate::mutation::{self, Mutation};
use crate::sim::journal::Tail;

impl Node {
    pub(in crate::sim) fn disk_done(&mut self, done: Done, io: &mut dyn Outside) {
        match done {
            Done::Opened => {
                self.is_open = true;
                self.reset_tail(io);
                if let Some(journal) = &mut self.journal {
                    journal.durable = journal.end().position.0;
                }
                self.tell_durable();
            }
            Done::Kept(kept) => {
                self.kept = kept;
                self.standby.kept();
            }
            Done::PromisedByPrimary(kept) => {
                self.kept = kept;
                if let Some(lead) = &mut self.lead {
                    lead.primary.kept(io.now_nanos());
                    if let Some(elector) = &mut self.elector {
                        elector.resign(io.now_nanos());
                    }
                    io.note(Note::HandedOver);
                }
            }
            Done::Durable(end) => {
                self.is_flushing = false;
                if let Some(journal) = &mut self.journal {
                    journal.durable = journal.durable.max(end.min(journal.end().position.0));
                }
                self.tell_durable();
            }
            Done::Created(genesis) => self.standby.created(genesis),
            Done::Truncated(to) => {
                self.restructuring -= 1;
                self.cut_memory(to, io);
            }
            Done::Installed(journal) => {
                self.restructuring -= 1;
                self.journal = Some(*journal);
                self.reset_tail(io);
                io.note(Note::Seeded);
                self.standby.snapshot_installed(true);
                // The link may be gone meanwhile, and the log is what it is.
                if self.standby.follows().is_none() {
                    self.follow_again(io);
                }
            }
            Done::Retained(snapshot) => {
                self.restructuring -= 1;
                let first = snapshot.first_kept();
                if let Some(journal) = &mut self.journal {
                    journal.retain(*snapshot);
                }
                if let Some(lead) = &mut self.lead {
                    lead.primary.retained(Position(first));
                }
                self.reset_tail_if_before(first, io);
                io.note(Note::Retained);
            }
        }
        self.pump(io);
    }

    pub(super) fn flush(&mut self, io: &mut dyn Outside) {
        let Some(journal) = &mut self.journal else { return };
        let end = journal.end().position.0;
        if self.is_flushing || self.restructuring > 0 || journal.flushed >= end {
            return;
        }
        self.is_flushing = true;
        let steps = journal.flush();
        io.carry_out(steps, Done::Durable(end));
        if mutation::is(Mutation::AckBeforeDurable) {
            journal.durable = end;
            self.tell_durable();
        }
    }

    pub(super) fn tell_durable(&mut self) {
        let Some(journal) = &self.journal else { return };
        let durable = Position(journal.durable);
        if let Some(lead) = &mut self.lead {
            lead.primary.advanced(journal.end().position, durable);
        } else {
            self.standby.durable(durable);
        }
    }

    pub(super) fn cut_memory(&mut self, to: u64, io: &mut dyn Outside) {
        let Some(journal) = &mut self.journal else { return };
        journal.truncate(to);
        let end = journal.end();
        if let Some(tail) = io.tail() {
            tail.cut(to);
        }
        self.standby.truncated(Some(end));
    }

    /// A new tail, empty: everything is on the disk.
    pub(super) fn reset_tail(&self, io: &mut dyn Outside) {
        let tail = self.journal.as_ref().map(|journal| Tail::new(journal.cluster, journal.end().position.0));
        *io.tail() = tail;
    }

    /// The tail begins where the journal does, at the earliest.
    pub(super) fn reset_tail_if_before(&self, first: u64, io: &mut dyn Outside) {
        if let Some(tail) = io.tail()
            && tail.base < first
        {
            tail.bytes.drain(..((first - tail.base) as usize).min(tail.bytes.len()));
            tail.base = first;
        }
    }

    pub(super) fn extend_tail(&self, io: &mut dyn Outside) {
        if let (Some(journal), Some(tail)) = (&self.journal, io.tail()) {
            let end = tail.base + tail.bytes.len() as u64;
            tail.bytes.extend_from_slice(journal.bytes_from(end));
        }
    }
}
