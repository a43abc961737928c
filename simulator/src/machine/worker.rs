//! A worker's steps on its own shard, and the ends of all steps.

use super::{
    Event, Machine,
    book::{NOBODY, Segment},
};

impl Machine {
    /// A worker that has nothing in hand looks for its next step.
    pub(super) fn begin(&mut self, core: u16) {
        if let Some(id) = self.workers[usize::from(core)].taken.pop_front() {
            self.run_mailbox(core, id, self.now);
        } else if let Some((_, id)) = self.shards[usize::from(core)].ready.pop_front() {
            let book = &mut self.books[id as usize];
            book.ready = false;
            book.holder = core;
            self.run_mailbox(core, id, self.now);
        } else if self.shards[usize::from(core)].waiting > 0 {
            self.run_batch(core);
        } else if !self.steal(core) {
            self.workers[usize::from(core)].busy = false;
            self.idle |= 1 << core;
        }
    }

    /// A step has ended: its books are free.
    pub(super) fn done(&mut self, core: u16) {
        let worker = &mut self.workers[usize::from(core)];
        worker.step += 1;
        worker.stuck_since = None;
        let mut running = std::mem::take(&mut worker.running);
        for &(id, executed) in &running {
            self.release(id, executed);
        }
        // A home goes on with what it has in its cache before others see it.
        self.begin(core);
        for &(id, _) in &running {
            let book = &self.books[id as usize];
            if book.ready {
                self.call(book.shard);
            }
        }
        running.clear();
        // Its memory is of use again, unless the next step has begun to use its own.
        let worker = &mut self.workers[usize::from(core)];
        if worker.running.capacity() == 0 {
            worker.running = running;
        }
    }

    /// Nobody has a book in hand any more.
    fn release(&mut self, id: u32, executed: u32) {
        let book = &mut self.books[id as usize];
        book.holder = NOBODY;
        book.outstanding -= executed;
        let shard = book.shard;
        self.shards[usize::from(shard)].outstanding -= u64::from(executed);
        if book.outstanding == 0 && book.is_moving() {
            self.arrive_home(id);
        } else {
            self.make_ready(id);
        }
    }

    /// Runs all that is in a book's mailbox, from `start` on.
    pub(super) fn run_mailbox(&mut self, core: u16, id: u32, start: u64) {
        let mut now = start + self.refill(core, id);
        let mut executed = 0;
        let mut mailbox = std::mem::take(&mut self.books[id as usize].mailbox);
        for segment in mailbox.drain(..) {
            executed += segment.count;
            now = self.execute(segment, now, |_| {});
        }
        // Its memory is of use again.
        self.books[id as usize].mailbox = mailbox;
        if self.books[id as usize].shard != core {
            self.outcome.stolen += u64::from(executed);
        }
        self.workers[usize::from(core)].running.push((id, executed));
        self.occupy(core, now);
    }

    /// Claims up to a batch of commands from the ring and runs them in order.
    fn run_batch(&mut self, core: u16) {
        let mut now = self.now;
        let mut left = self.batch;
        // The first stretch without progress that a thief would notice.
        let patience = self.rule.map(|rule| rule.unmoved_nanos);
        let mut stuck_at = None;
        let mut progress = now;
        while left > 0 {
            let Some(head) = self.shards[usize::from(core)].ring.front_mut() else { break };
            let segment = if head.count > left { head.split(left) } else { *head };
            let whole = head.first == segment.first;
            if whole {
                self.shards[usize::from(core)].ring.pop_front();
            }
            self.shards[usize::from(core)].waiting -= segment.count;
            left -= segment.count;
            let id = segment.book;
            let book = &mut self.books[id as usize];
            if book.holder == core || (book.holder == NOBODY && book.mailbox.is_empty()) {
                if book.holder == NOBODY {
                    book.holder = core;
                    now += self.refill(core, id);
                    self.workers[usize::from(core)].running.push((id, 0));
                }
                now = self.execute(segment, now, |done| {
                    if stuck_at.is_none() && patience.is_some_and(|patience| done - progress > patience) {
                        stuck_at = Some(progress);
                    }
                    progress = done;
                });
                let running = &mut self.workers[usize::from(core)].running;
                running.iter_mut().find(|(book, _)| *book == id).expect("it is in hand").1 += segment.count;
            } else {
                now += self.deliver(segment);
            }
        }
        if let (Some(since), Some(patience)) = (stuck_at, patience) {
            let worker = &mut self.workers[usize::from(core)];
            worker.stuck_since = Some(since);
            let step = worker.step;
            self.schedule(since + patience, Event::Unmoved(core, step));
        }
        self.occupy(core, now);
    }

    /// Puts commands of a ring into their book's mailbox. Says what it costs.
    pub(super) fn deliver(&mut self, segment: Segment) -> u64 {
        self.books[segment.book as usize].mailbox.push_back(segment);
        self.make_ready(segment.book);
        self.outcome.published += u64::from(segment.count);
        self.costs.publish_nanos * u64::from(segment.count)
    }

    /// A worker turns to a book. Says what it costs to have it in the cache.
    fn refill(&mut self, core: u16, id: u32) -> u64 {
        let book = &mut self.books[id as usize];
        let last = book.last_core;
        let warm_elsewhere = last != NOBODY
            && last != core
            && self.workers[usize::from(last)].visits - book.last_visit < u64::from(self.costs.warm_books);
        let worker = &mut self.workers[usize::from(core)];
        worker.visits += 1;
        book.last_core = core;
        book.last_visit = worker.visits;
        if warm_elsewhere {
            self.outcome.refills += 1;
            self.costs.refill_nanos
        } else {
            0
        }
    }

    /// Executes commands one after the other from `now` on. Says when the last is done; `each` learns of every one.
    fn execute(&mut self, segment: Segment, mut now: u64, mut each: impl FnMut(u64)) -> u64 {
        let book = &mut self.books[segment.book as usize];
        assert!(book.next <= segment.first, "commands of a book are executed in order");
        book.next = segment.first + u64::from(segment.count);
        for command in segment.first..book.next {
            let service = self.service.nanos(command);
            now += service + self.costs.scheduling_nanos;
            self.outcome.record(segment.at, service, now, command >= self.measured_from);
            each(now);
        }
        now
    }
}
