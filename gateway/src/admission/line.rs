//! What one session has waiting that uses up its numbers, in turn.

use std::{cmp::Ordering, collections::VecDeque};

use domain::InstrumentId;

/// One session's line.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// By slot, first come first. Their numbers never go down.
    slots: VecDeque<u32>,
    /// The first so many are where they wait, or were taken back from there; `1 <= joined` while there is any.
    pub(super) joined: usize,
    /// The book in whose queue they are; `None` when the head needs none.
    pub(super) joined_book: Option<InstrumentId>,
    /// Cancels of this session in books' queues.
    pub(super) cancels: usize,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn first(&self) -> Option<u32> {
        self.slots.front().copied()
    }

    pub(super) fn last(&self) -> Option<u32> {
        self.slots.back().copied()
    }

    pub(super) fn next_to_join(&self) -> Option<u32> {
        self.slots.get(self.joined).copied()
    }

    pub(super) fn push(&mut self, slot: u32) {
        self.slots.push_back(slot);
    }

    pub(super) fn pop(&mut self) -> Option<u32> {
        self.joined = self.joined.saturating_sub(1);
        self.slots.pop_front()
    }

    /// The first whose number is the one looked for; `compare` compares a slot's with it.
    pub(super) fn find(&self, compare: impl Fn(u32) -> Ordering) -> Option<u32> {
        let at = self.slots.partition_point(|slot| compare(*slot) == Ordering::Less);
        self.slots.get(at).copied().filter(|slot| compare(*slot) == Ordering::Equal)
    }
}
