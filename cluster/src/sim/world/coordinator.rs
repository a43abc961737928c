//! The way to the coordinator and back: slow, lost, or not there.

use rand::RngExt;

use super::{Event, MS, STORE, World};
use crate::election::{Request, RequestId};

impl World {
    pub(super) fn delay_of_store(&mut self) -> u64 {
        let slow = self.store_slow_until > self.now;
        match self.random.random_range(0..20) {
            0..8 if slow => self.random.random_range(10 * MS..1_500 * MS),
            0 if !self.is_calm => self.random.random_range(MS..450 * MS),
            _ => self.random.random_range(200_000..2 * MS),
        }
    }

    pub(super) fn on_request(&mut self, me: usize, incarnation: u64, id: RequestId, request: &Request) {
        if self.store_down_until > self.now || self.is_cut(me, STORE) {
            return;
        }
        let before = self.store.view().leader.map(|(leader, ..)| leader);
        let reply = self.store.handle(self.now, request);
        let view = self.store.view();
        if before != view.leader.map(|(leader, ..)| leader) {
            self.trace(|| format!("coordinator: {:?} {:?}", view.state, view.leader));
        }
        // The answer may be lost, or late.
        if self.is_calm || self.random.random_range(0..100) != 0 {
            let is_slow = self.slow_replies_to.is_some_and(|(to, until)| to == me && until > self.now);
            let delay = match is_slow {
                true => self.random.random_range(200 * MS..480 * MS),
                false => self.delay_of_store(),
            };
            self.after(delay, Event::Reply(me, incarnation, id, reply));
        }
    }
}
