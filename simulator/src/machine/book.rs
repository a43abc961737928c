//! A book as the machine sees it: where its commands wait, and who has it in hand.

use std::collections::VecDeque;

/// Nobody.
pub(super) const NOBODY: u16 = u16::MAX;

/// Commands of one book that arrived together, or what is left of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) at: u64,
    /// The first command's number in the flow.
    pub(super) first: u64,
    pub(super) book: u32,
    pub(super) count: u32,
}

impl Segment {
    /// Takes so many commands off the front.
    pub(super) fn split(&mut self, count: u32) -> Self {
        let head = Self { count, ..*self };
        self.first += u64::from(count);
        self.count -= count;
        head
    }
}

/// One book.
#[derive(Debug)]
pub(super) struct Book {
    /// Where the sequencer sends its commands.
    pub(super) route: u16,
    /// The shard that executes what was sent before the last change of route.
    pub(super) shard: u16,
    /// The worker that has it in hand.
    pub(super) holder: u16,
    /// It is among its shard's ready books.
    pub(super) ready: bool,
    /// Commands sent to `shard` that are not done.
    pub(super) outstanding: u32,
    /// Commands taken out of the ring of `shard`.
    pub(super) mailbox: VecDeque<Segment>,
    /// Commands sent to `route` since it changed: they wait until nothing is outstanding.
    pub(super) stash: VecDeque<Segment>,
    /// The core that ran it last, and that core's count of books run then.
    pub(super) last_core: u16,
    pub(super) last_visit: u64,
    /// The number after that of the last command executed: commands of a book are executed in order.
    pub(super) next: u64,
    /// Arrivals in this period.
    pub(super) arrivals: u32,
}

impl Book {
    pub(super) fn new(home: u16) -> Self {
        Self {
            route: home,
            shard: home,
            holder: NOBODY,
            ready: false,
            outstanding: 0,
            mailbox: VecDeque::new(),
            stash: VecDeque::new(),
            last_core: NOBODY,
            last_visit: 0,
            next: 0,
            arrivals: 0,
        }
    }

    pub(super) fn is_moving(&self) -> bool {
        self.route != self.shard
    }
}
