//! Machines and the processes on them: starts, kills, losses of power, and a disk that does one step after the other.

use std::collections::VecDeque;

use rand::RngExt;

use super::{Event, Io, MS, SECOND, World};
use crate::NodeId;
use crate::sim::disk::{Disk, Step, Storage};
use crate::sim::journal::{self as log, Tail};
use crate::sim::node::{Connection, Done, Node, Note};

/// A machine: what outlives the process on it.
pub(super) struct Machine {
    pub(super) disk: Disk,
    pub(super) tail: Option<Tail>,
    pub(super) node: Option<Node>,
    /// Counts processes, so that what was meant for an earlier one is dropped.
    pub(super) incarnation: u64,
    pub(super) queue: VecDeque<(Step, Option<Done>)>,
    pub(super) dones: VecDeque<Done>,
    pub(super) is_disk_busy: bool,
    pub(super) slow_disk_until: u64,
    pub(super) paused_until: u64,
    /// Its clock is ahead of true time by this.
    pub(super) clock_offset: u64,
    pub(super) wall_offset: i64,
    /// What its disk was said to have by the journal.
    pub(super) said_durable: u64,
    /// Where its disk has been cut to, until the node has heard of it: what it still says of more is out of date.
    pub(super) cut_to: Option<u64>,
}

impl World {
    pub(super) fn start(&mut self, me: usize) {
        if self.machines[me].node.is_some() {
            return;
        }
        let machine = &mut self.machines[me];
        machine.incarnation += 1;
        machine.cut_to = None;
        let incarnation = machine.incarnation;
        let found = log::recover(&machine.disk, machine.tail.as_ref());
        if let Some(journal) = &found.journal {
            let end = journal.end().position.0;
            // A cut may be what was finished, and then the end is what was cut to.
            if end < machine.said_durable && !found.finished_intent {
                let what =
                    format!("node {} has {end} and had called {} durable", me + 1, machine.said_durable);
                self.violations.push(what);
            }
        }
        self.trace(|| {
            let end = found.journal.as_ref().map(|journal| journal.end().position);
            format!("node {} starts: {end:?} {:?} lost tail {}", me + 1, found.kept, found.lost_tail)
        });
        let setup = self.setup;
        let node = Node::new(NodeId(me as u64 + 1), setup, found, &mut Io { world: self, me });
        self.machines[me].node = Some(node);
        self.after(MS, Event::Tick(me, incarnation));
        // While it recovers, again and again.
        if self.now > 0 {
            self.kill_soon(me, 5);
        }
    }

    /// The process is killed; with `machine`, so is what is under it.
    pub(super) fn kill(&mut self, me: usize, machine: bool) {
        self.trace(|| format!("node {} dies, machine {machine}", me + 1));
        let is_restructuring = !self.machines[me].queue.is_empty();
        let was_up = self.machines[me].node.take().is_some();
        self.coverage.kills += u64::from(was_up && !machine);
        self.coverage.power_losses += u64::from(machine);
        self.coverage.crashes_while_the_disk_worked += u64::from(was_up && is_restructuring);
        let this = &mut self.machines[me];
        this.incarnation += 1;
        this.queue.clear();
        this.dones.clear();
        this.is_disk_busy = false;
        this.paused_until = 0;
        if machine {
            this.tail = None;
            this.disk.lose_power(&mut self.random);
        }
        let connections: Vec<Connection> =
            self.wires.iter().filter(|(_, wire)| wire.ends.contains(&me)).map(|(id, _)| *id).collect();
        for connection in connections {
            self.close(connection, me);
        }
    }

    pub(super) fn go_on_with_disk(&mut self, me: usize) {
        let (now, machine) = (self.now, &mut self.machines[me]);
        if machine.is_disk_busy {
            return;
        }
        let Some((step, _)) = machine.queue.front() else { return };
        machine.is_disk_busy = true;
        let incarnation = machine.incarnation;
        let is_slow = machine.slow_disk_until > now;
        let nanos = match step {
            Step::Sync(name) if name.is_empty() => 1_000,
            Step::Sync(_) | Step::SyncDirectory => self.random.random_range(50_000..600_000),
            _ => self.random.random_range(5_000..30_000),
        };
        self.after(if is_slow { nanos * 60 } else { nanos }, Event::Disk(me, incarnation));
    }

    pub(super) fn disk_step(&mut self, me: usize) {
        let machine = &mut self.machines[me];
        machine.is_disk_busy = false;
        let Some((step, done)) = machine.queue.pop_front() else { return };
        match step {
            Step::CutTail(to) => {
                machine.tail.iter_mut().for_each(|tail| tail.cut(to));
                machine.said_durable = machine.said_durable.min(to);
                machine.cut_to = Some(to);
            }
            Step::NewTail { cluster, base } => {
                machine.tail = Some(Tail::new(cluster, base));
                machine.said_durable = machine.said_durable.min(base);
                machine.cut_to = Some(base);
            }
            step => machine.disk.step(&step),
        }
        if let Some(done) = done {
            if machine.paused_until > self.now {
                // The kernel has done it; the process hears of it later.
                let later = machine.paused_until - self.now;
                let incarnation = machine.incarnation;
                machine.queue.push_front((Step::Sync(String::new()), Some(done)));
                machine.is_disk_busy = true;
                self.after(later, Event::Disk(me, incarnation));
                return;
            }
            self.machines[me].cut_to = None;
            self.with_node(me, |node, io| node.disk_done(done, io));
        }
        self.go_on_with_disk(me);
    }

    pub(super) fn noted(&mut self, me: usize, note: Note) {
        self.trace(|| format!("node {} {note:?}", me + 1));
        let coverage = &mut self.coverage;
        match note {
            Note::Led(_) => {
                if self.last_leader.is_some_and(|last| last != me) {
                    coverage.failovers += 1;
                }
                coverage.epochs += 1;
                self.last_leader = Some(me);
            }
            Note::Truncated => coverage.truncations += 1,
            Note::Seeding => {}
            Note::Seeded => coverage.snapshots += 1,
            Note::HandedOver => coverage.hand_overs += 1,
            Note::RanAlone => coverage.solo_runs += 1,
            Note::Joined => coverage.joins += 1,
            Note::SteppedDown => coverage.step_downs += 1,
            Note::LostTail => coverage.lost_tails += 1,
            Note::FinishedIntent => coverage.cuts_finished_by_recovery += 1,
            Note::Retained => coverage.retentions += 1,
        }
        // Where it hurts most: in the middle of a cut, of a swap, of a promotion.
        let one_in = match note {
            Note::Truncated | Note::Seeding => 3,
            Note::Led(_) | Note::HandedOver => 25,
            _ => return,
        };
        self.kill_soon(me, one_in);
    }

    /// Perhaps this node dies within the next milliseconds, and is back some time later.
    pub(super) fn kill_soon(&mut self, me: usize, one_in: u32) {
        if self.is_over || self.is_calm || self.random.random_range(0..one_in) > 0 {
            return;
        }
        let soon = self.random.random_range(20_000..5 * MS);
        let machine = self.random.random_range(0..3) == 0;
        self.after(soon, Event::Kill(me, machine));
        let up = soon + self.random.random_range(MS..SECOND);
        self.after(up, Event::Restart(me));
    }

    /// At no moment may two nodes hold that they may acknowledge.
    pub(super) fn count_leases(&mut self) {
        let holds = |machine: &Machine| {
            machine.node.as_ref().is_some_and(|node| node.may_ack(self.now + machine.clock_offset))
        };
        if self.machines.iter().all(holds) {
            self.violations.push("D: both nodes may acknowledge".into());
        }
    }
}
