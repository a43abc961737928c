//! Requests in slots that are used again, threaded by lists through the slots themselves: a request joins and leaves
//! a list, also from its middle, without a search and without memory of its own.

use std::ops::{Index, IndexMut};

use domain::{ClientRef, InstrumentId, Nanos, SessionId};

use super::Verdict;

/// No slot.
const NONE: u32 = u32::MAX;

/// The links of a book's queue.
pub(super) const LANE: usize = 0;
/// The links of the list by age.
pub(super) const AGE: usize = 1;

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In its session's line only.
    Line,
    /// In a book's queue.
    Queue,
    /// About to leave.
    Ready,
}

/// One request.
#[derive(Debug)]
pub(super) struct Slot<T> {
    /// `None` when the slot is free.
    pub(super) item: Option<T>,
    pub(super) session: SessionId,
    /// The session's number; of what uses none up, the number before it in the line.
    pub(super) number: ClientRef,
    pub(super) book: Option<InstrumentId>,
    /// When it was read.
    pub(super) since: Nanos,
    pub(super) place: Place,
    /// What becomes of it, as far as is settled.
    pub(super) verdict: Verdict,
    /// It uses up no number, and comes after what is before it in its line.
    pub(super) follows: bool,
    links: [Link; 2],
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
}

const UNLINKED: Link = Link { previous: NONE, next: NONE };

/// A list of slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    head: u32,
    tail: u32,
    len: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { head: NONE, tail: NONE, len: 0 }
    }
}

impl List {
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) const fn head(&self) -> Option<u32> {
        if self.head == NONE { None } else { Some(self.head) }
    }

    pub(super) const fn tail(&self) -> Option<u32> {
        if self.tail == NONE { None } else { Some(self.tail) }
    }
}

/// All slots, used or free.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// A request, in no list.
    pub(super) fn add(
        &mut self,
        session: SessionId,
        number: ClientRef,
        book: Option<InstrumentId>,
        since: Nanos,
        item: T,
    ) -> u32 {
        let slot = Slot {
            item: Some(item),
            session,
            number,
            book,
            since,
            place: Place::Line,
            verdict: Verdict::Admit,
            follows: false,
            links: [UNLINKED; 2],
        };
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = slot;
            return index;
        }
        let index = u32::try_from(self.slots.len()).expect("fewer slots than that");
        self.slots.push(slot);
        index
    }

    /// Takes a request out that is in no list.
    pub(super) fn free(&mut self, index: u32) -> (SessionId, T) {
        self.free.push(index);
        let slot = &mut self[index];
        (slot.session, slot.item.take().expect("a slot in use"))
    }

    /// Puts a request at the end of a list that uses these links.
    pub(super) fn push(&mut self, links: usize, list: &mut List, index: u32) {
        self[index].links[links] = Link { previous: list.tail, next: NONE };
        match list.tail() {
            Some(tail) => self[tail].links[links].next = index,
            None => list.head = index,
        }
        list.tail = index;
        list.len += 1;
    }

    /// Takes a request out of the list that it is in.
    pub(super) fn remove(&mut self, links: usize, list: &mut List, index: u32) {
        let Link { previous, next } = std::mem::replace(&mut self[index].links[links], UNLINKED);
        if previous == NONE {
            list.head = next;
        } else {
            self[previous].links[links].next = next;
        }
        if next == NONE {
            list.tail = previous;
        } else {
            self[next].links[links].previous = previous;
        }
        list.len -= 1;
    }
}

impl<T> Index<u32> for Slots<T> {
    type Output = Slot<T>;

    fn index(&self, index: u32) -> &Slot<T> {
        &self.slots[index as usize]
    }
}

impl<T> IndexMut<u32> for Slots<T> {
    fn index_mut(&mut self, index: u32) -> &mut Slot<T> {
        &mut self.slots[index as usize]
    }
}
