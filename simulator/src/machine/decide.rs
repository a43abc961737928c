//! What happens once a period: the policy decides, and homes change.

use domain::InstrumentId;
use engine::balance::{BookLoad, Metrics, Move, ShardLoad};

use super::Machine;
use crate::{Arm, Scenario};

impl Machine {
    /// Asks the policy, and does what it says.
    pub(super) fn decide(&mut self, period: u64) {
        for ((load, shard), worker) in
            self.shard_loads.iter_mut().zip(&mut self.shards).zip(&mut self.workers)
        {
            *load = ShardLoad {
                arrived: std::mem::take(&mut shard.arrived),
                waiting: shard.outstanding,
                busy_nanos: std::mem::take(&mut worker.busy_nanos),
                stalled: false,
            };
        }
        self.ask(period);
        let moves = std::mem::take(&mut self.decision.moves);
        for made in &moves {
            if self.move_unit(made) {
                self.outcome.moves += 1;
            }
        }
        self.decision.moves = moves;
        self.outcome.frozen += u64::from(self.decision.frozen_until.is_some());
        if self.rule != self.decision.steal {
            self.rule = self.decision.steal;
            for shard in 0..self.shards.len() as u16 {
                if self.idle != 0 && self.is_worth(shard) {
                    self.call(shard);
                }
            }
        }
    }

    fn ask(&mut self, period: u64) {
        self.loads.clear();
        for id in self.touched.drain(..) {
            let arrivals = std::mem::take(&mut self.books[id as usize].arrivals);
            self.loads.push(BookLoad { book: InstrumentId(id), arrivals });
        }
        self.decision.moves.clear();
        self.decision.stays.clear();
        self.decision.steal = None;
        self.decision.frozen_until = None;
        self.policy.decide(
            &Metrics {
                now_nanos: self.epoch + self.now,
                period_nanos: period,
                shards: &self.shard_loads,
                books: &self.loads,
                placement: &self.placement,
            },
            &mut self.decision,
        );
    }

    /// Changes a route. False when the unit is still moving.
    fn move_unit(&mut self, made: &Move) -> bool {
        let units = self.placement.books_of_unit(made.unit);
        if units.iter().any(|book| self.books[book.0 as usize].is_moving()) {
            return false;
        }
        for index in 0..units.len() {
            let id = self.placement.books_of_unit(made.unit)[index];
            self.placement.set(id, made.to);
            let book = &mut self.books[id.0 as usize];
            book.route = made.to.0;
            if book.outstanding == 0 {
                book.shard = made.to.0;
            }
        }
        true
    }

    /// All that was sent to the old home is done: what has waited at the new one is ready.
    pub(super) fn arrive_home(&mut self, id: u32) {
        let book = &mut self.books[id as usize];
        debug_assert!(book.mailbox.is_empty(), "all of it was executed");
        book.shard = book.route;
        std::mem::swap(&mut book.mailbox, &mut book.stash);
        book.outstanding = book.mailbox.iter().map(|segment| segment.count).sum();
        let home = book.shard;
        self.make_ready(id);
        // Its worker is another than the one that is between two steps here.
        if self.books[id as usize].ready && self.is_idle(home) {
            self.begin(home);
        }
    }

    /// Lets the policy watch the flow for a while before the clock starts: homes change at once, nothing is executed,
    /// and workers are taken to be as busy as the load says.
    pub(super) fn warm_up(&mut self, scenario: &Scenario, arm: &Arm) {
        let period = arm.tuning.period_nanos;
        let mut flow = scenario.flow_before();
        let mut next = flow.next_burst();
        let busy = (scenario.load * scenario.width() / f64::from(scenario.cores) * period as f64) as u64;
        for tick in 1..=u64::from(arm.warm_up) {
            while next.at < tick * period {
                let book = &mut self.books[next.book as usize];
                if book.arrivals == 0 {
                    self.touched.push(next.book);
                }
                book.arrivals += next.commands;
                self.shards[usize::from(book.route)].arrived += u64::from(next.commands);
                next = flow.next_burst();
            }
            self.now = tick * period;
            for (load, shard) in self.shard_loads.iter_mut().zip(&mut self.shards) {
                let arrived = std::mem::take(&mut shard.arrived);
                *load = ShardLoad { arrived, busy_nanos: busy, ..ShardLoad::default() };
            }
            self.ask(period);
            let moves = std::mem::take(&mut self.decision.moves);
            for made in &moves {
                self.outcome.moves_before += u64::from(self.move_unit(made));
            }
            self.decision.moves = moves;
            self.rule = self.decision.steal;
        }
        // The clock starts anew, the policy's goes on.
        self.epoch = self.now;
        self.now = 0;
    }
}
