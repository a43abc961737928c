//! Idle workers take from others.

use std::cmp::Reverse;

use engine::balance::{Backlog, StealRule};

use super::{
    Machine,
    book::{Book, NOBODY},
};

/// Ready books among which a thief looks for one that is worth it.
const CHOICE: usize = 16;

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
        let start = self.now + self.costs.steal_nanos;
        let stuck = self.backlog(victim).unmoved_nanos >= rule.unmoved_nanos;
        let start = if stuck {
            self.take_any(thief, victim, rule, start)
        } else {
            match self.take_one(thief, victim, rule) {
                Some(cost) => start + cost,
                None => return false,
            }
        };
        self.outcome.steals += 1;
        match self.workers[usize::from(thief)].taken.pop_front() {
            Some(id) => self.run_mailbox(thief, id, start),
            // All of it was of books that the home has in hand.
            None => self.occupy(thief, start),
        }
        true
    }

    /// Takes ready books of a home that is stuck; if there is none, what its ring shows is made ready first. Says when
    /// that is done.
    fn take_any(&mut self, thief: u16, victim: u16, rule: StealRule, mut start: u64) -> u64 {
        if self.shards[usize::from(victim)].ready.is_empty() {
            start += self.publish(victim);
        }
        for _ in 0..rule.books_max {
            let Some((_, id)) = self.shards[usize::from(victim)].ready.pop_front() else { break };
            self.hold(thief, id);
        }
        start
    }

    fn hold(&mut self, thief: u16, id: u32) {
        let book = &mut self.books[id as usize];
        book.ready = false;
        book.holder = thief;
        self.workers[usize::from(thief)].taken.push_back(id);
    }

    /// Takes one book that has enough waiting, or is warm in the thief's cache: a ready one, or the one that has most
    /// in the part of the ring that is looked through. Says what it costs; `None` when there is no such book.
    fn take_one(&mut self, thief: u16, victim: u16, rule: StealRule) -> Option<u64> {
        let is_worth = |book: &Book, waiting: u32| waiting >= rule.commands_min || book.last_core == thief;
        let shard = &self.shards[usize::from(victim)];
        let ready = shard.ready.iter().take(CHOICE).position(|(_, id)| {
            let book = &self.books[*id as usize];
            is_worth(book, book.mailbox.iter().map(|segment| segment.count).sum())
        });
        if let Some(at) = ready {
            let (_, id) = self.shards[usize::from(victim)].ready.remove(at).expect("it is there");
            self.hold(thief, id);
            return Some(0);
        }
        // In the order of their first commands, so that the first of several is the same in every run.
        let mut waiting: Vec<(u32, u32)> = Vec::new();
        let mut seen = 0;
        for segment in &shard.ring {
            let count = segment.count.min(self.publish - seen);
            match waiting.iter_mut().find(|(id, _)| *id == segment.book) {
                Some((_, sum)) => *sum += count,
                None => waiting.push((segment.book, count)),
            }
            seen += count;
            if seen == self.publish {
                break;
            }
        }
        waiting.retain(|(id, _)| {
            let book = &self.books[*id as usize];
            book.holder == NOBODY && book.mailbox.is_empty()
        });
        let (id, count) = waiting.into_iter().rev().max_by_key(|(_, count)| *count)?;
        if !is_worth(&self.books[id as usize], count) {
            return None;
        }
        let mut cost = 0;
        let mut left = count;
        let mut at = 0;
        while left > 0 {
            let shard = &mut self.shards[usize::from(victim)];
            if shard.ring[at].book != id {
                at += 1;
                continue;
            }
            let segment = if shard.ring[at].count > left {
                shard.ring[at].split(left)
            } else {
                shard.ring.remove(at).expect("it is there")
            };
            shard.waiting -= segment.count;
            left -= segment.count;
            self.books[id as usize].mailbox.push_back(segment);
            self.outcome.published += u64::from(segment.count);
            cost += self.costs.publish_nanos * u64::from(segment.count);
        }
        self.hold(thief, id);
        Some(cost)
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
