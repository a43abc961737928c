//! What a node sees of the world: clocks, network, coordinator and disk.

use domain::{Epoch, Position};
use rand::RngExt;

use super::{Event, SECOND, World};
use crate::election::{Request, RequestId};
use crate::sim::disk::{Step, Storage};
use crate::sim::journal::Tail;
use crate::sim::node::{Connection, Done, Note, Outside, Packet};

/// What a node sees of the world.
pub(super) struct Io<'a> {
    pub(super) world: &'a mut World,
    pub(super) me: usize,
}

impl Outside for Io<'_> {
    fn now_nanos(&self) -> u64 {
        self.world.now + self.world.machines[self.me].clock_offset
    }

    fn wall_nanos(&self) -> u64 {
        (self.world.now + 100_000 * SECOND).saturating_add_signed(self.world.machines[self.me].wall_offset)
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.world.random.random_range(0..below)
    }

    fn send(&mut self, connection: Connection, packet: Packet) {
        self.world.send(connection, self.me, Some(packet));
    }

    fn close(&mut self, connection: Connection) {
        self.world.close(connection, self.me);
    }

    fn dial(&mut self) {
        self.world.dial(self.me, 1 - self.me);
    }

    fn ask(&mut self, id: RequestId, request: Request) {
        let incarnation = self.world.machines[self.me].incarnation;
        let delay = self.world.delay_of_store();
        self.world.after(delay, Event::Request(self.me, incarnation, id, request));
    }

    fn carry_out(&mut self, steps: Vec<Step>, done: Done) {
        let machine = &mut self.world.machines[self.me];
        machine.queue.extend(steps.into_iter().map(|step| (step, None)));
        // A step of no work, so that the answer never comes from within the call.
        machine.queue.push_back((Step::Sync(String::new()), Some(done)));
        self.world.go_on_with_disk(self.me);
    }

    fn storage(&self) -> &dyn Storage {
        &self.world.machines[self.me].disk
    }

    fn tail(&mut self) -> &mut Option<Tail> {
        &mut self.world.machines[self.me].tail
    }

    fn turn_after(&mut self, nanos: u64) {
        let incarnation = self.world.machines[self.me].incarnation;
        self.world.after(nanos, Event::Turn(self.me, incarnation));
    }

    fn note(&mut self, note: Note) {
        self.world.noted(self.me, note);
    }

    fn released(&mut self, epoch: Epoch, position: Position) {
        let (newest, _) = self.world.released;
        if epoch < newest {
            let what =
                format!("D: {position} is released in epoch {epoch} after epoch {newest} had begun to");
            self.world.violations.push(what);
        }
        self.world.released = (epoch.max(newest), position);
    }

    fn violation(&mut self, what: String) {
        self.world.violations.push(what);
    }
}
