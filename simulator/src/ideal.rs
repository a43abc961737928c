//! The ideal: one queue of all commands in the order of their arrival; a core that is free takes the first whose book no
//! other core is running. No costs. Nothing that keeps the commands of a book in order does better by more than the
//! order in which it chooses among books.

use std::{cmp::Reverse, collections::BinaryHeap, collections::VecDeque};

use crate::{Outcome, Scenario, Service, flow::Burst};

/// Commands of one book that arrived together.
#[derive(Clone, Copy, Debug)]
struct Segment {
    at: u64,
    first: u64,
    count: u32,
}

#[derive(Debug, Default)]
struct Book {
    waiting: VecDeque<Segment>,
    running: bool,
}

struct Ideal<'a> {
    books: Vec<Book>,
    /// Books that wait and do not run, by the number of their first command, which is the order of arrival.
    ready: BinaryHeap<Reverse<(u64, u32)>>,
    /// Busy cores: when they are done, and with which book.
    running: BinaryHeap<Reverse<(u64, u32)>>,
    free: u16,
    service: &'a Service,
    measured_from: u64,
    outcome: Outcome,
}

impl Ideal<'_> {
    fn arrive(&mut self, burst: Burst, first: u64) {
        let book = &mut self.books[burst.book as usize];
        if book.waiting.is_empty() && !book.running {
            self.ready.push(Reverse((first, burst.book)));
        }
        book.waiting.push_back(Segment { at: burst.at, first, count: burst.commands });
        self.begin(burst.at);
    }

    fn begin(&mut self, now: u64) {
        while self.free > 0 {
            let Some(Reverse((command, id))) = self.ready.pop() else { return };
            let book = &mut self.books[id as usize];
            let head = book.waiting.front_mut().expect("what is ready has commands");
            debug_assert_eq!(head.first, command);
            let nanos = self.service.nanos(command);
            self.outcome.record(head.at, nanos, now + nanos, command >= self.measured_from);
            self.outcome.busy += nanos;
            (head.first, head.count) = (head.first + 1, head.count - 1);
            if head.count == 0 {
                book.waiting.pop_front();
            }
            book.running = true;
            self.free -= 1;
            self.running.push(Reverse((now + nanos, id)));
        }
    }

    fn end(&mut self, now: u64, id: u32) {
        self.free += 1;
        let book = &mut self.books[id as usize];
        book.running = false;
        if let Some(head) = book.waiting.front() {
            self.ready.push(Reverse((head.first, id)));
        }
        self.begin(now);
    }
}

/// Runs a scenario on the ideal machine.
#[must_use]
pub fn ideal(scenario: &Scenario) -> Outcome {
    let service = Service::new(scenario.service, scenario.costs.service_nanos, scenario.seed);
    let mut flow = scenario.flow();
    let mut ideal = Ideal {
        books: (0..scenario.books).map(|_| Book::default()).collect(),
        ready: BinaryHeap::new(),
        running: BinaryHeap::new(),
        free: scenario.cores,
        service: &service,
        measured_from: scenario.measured_from(),
        outcome: Outcome::new(),
    };
    let mut arrived = 0;
    let mut next = flow.next_burst();
    loop {
        let arriving = arrived < scenario.commands;
        match ideal.running.peek().map(|Reverse(first)| *first) {
            Some((done, book)) if !arriving || done <= next.at => {
                ideal.running.pop();
                ideal.end(done, book);
            }
            None if !arriving => break,
            _ => {
                ideal.arrive(next, arrived);
                arrived += u64::from(next.commands);
                ideal.outcome.span = next.at;
                next = flow.next_burst();
            }
        }
    }
    assert_eq!(ideal.outcome.executed, arrived, "each command is executed once");
    ideal.outcome
}
