//! Idle workers take from others.

use std::cmp::Reverse;

use engine::balance::Backlog;

use super::Machine;

impl Machine {
    /// What an onlooker sees of a shard.
    fn backlog(&self, shard: u16) -> Backlog {
        let stuck = self.workers[usize::from(shard)].stuck_since;
        let shard = &self.shards[usize::from(shard)];
        Backlog {
            waiting: shard.waiting,
            ready_books: shard.ready.len() as u32,
            unmoved_nanos: stuck.map_or(0, |since| self.now.saturating_sub(since)),
        }
    }

    /// Whether an idle worker would take from a shard.
    pub(super) fn is_worth(&self, shard: u16) -> bool {
        self.rule.is_some_and(|rule| rule.is_worth(&self.backlog(shard)))
    }

    /// A worker with nothing to do takes books of the shard with most to do, if that is worth it. False when none is.
    pub(super) fn steal(&mut self, thief: u16) -> bool {
        let Some(rule) = self.rule else { return false };
        let worth = (0..self.shards.len() as u16)
            .filter(|shard| *shard != thief)
            .map(|shard| (shard, self.backlog(shard)))
            .filter(|(_, backlog)| rule.is_worth(backlog));
        // Whose backlog is longest; among equals the first.
        let Some((victim, _)) =
            worth.max_by_key(|(shard, backlog)| (backlog.ready_books + backlog.waiting, Reverse(*shard)))
        else {
            return false;
        };
        let mut start = self.now + self.costs.steal_nanos;
        if self.shards[usize::from(victim)].ready.is_empty() {
            start += self.publish(victim);
        }
        for _ in 0..rule.books_max {
            let Some((_, id)) = self.shards[usize::from(victim)].ready.pop_front() else { break };
            let book = &mut self.books[id as usize];
            book.ready = false;
            book.holder = thief;
            self.workers[usize::from(thief)].taken.push_back(id);
        }
        self.outcome.steals += 1;
        match self.workers[usize::from(thief)].taken.pop_front() {
            Some(id) => self.run_mailbox(thief, id, start),
            // All of it was of books that the home has in hand.
            None => self.occupy(thief, start),
        }
        true
    }

    /// Takes the visible backlog out of a ring into mailboxes. Says what it costs.
    fn publish(&mut self, victim: u16) -> u64 {
        let mut left = self.publish;
        let mut cost = 0;
        while left > 0 {
            let shard = &mut self.shards[usize::from(victim)];
            let Some(head) = shard.ring.front_mut() else { break };
            let segment = if head.count > left {
                head.split(left)
            } else {
                let segment = *head;
                shard.ring.pop_front();
                segment
            };
            shard.waiting -= segment.count;
            left -= segment.count;
            cost += self.deliver(segment);
        }
        cost
    }

    /// A shard has shown no progress for as long as thieves are patient.
    pub(super) fn unmoved(&mut self, shard: u16, step: u64) {
        if self.workers[usize::from(shard)].step == step {
            self.call(shard);
        }
    }
}
