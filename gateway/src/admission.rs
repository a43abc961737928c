//! Admission: what waits before it is sequenced, and in which order it goes on.
//!
//! A book has at most a *window* of commands outstanding: sequenced and not executed. While it is at its window, what
//! else comes for it is held here. Nothing that has been sequenced ever passes through here.
//!
//! ```text
//!                    ┌──────────── per session ────────────┐    ┌────────── per book ───────────┐
//!  order ──────────▶ │ line: what uses up its numbers, in  │ ──▶│ orders                        │─┐
//!                    │ turn; its head run has joined a book│    └───────────────────────────────┘ │ while the
//!                    └─────────────────────────────────────┘    ┌───────────────────────────────┐ ├─ window has
//!  cancel ─────────────────────────────────────────────────────▶│ cancels: before all orders    │─┘ room
//!                                                               └───────────────────────────────┘
//! ```
//!
//! The rules:
//! 1. **Cancels first**: per book, what only makes it smaller goes before all new orders, first come first served
//!    among itself. It is never refused.
//! 2. **Orders in turn**: per book in the order in which they joined it, and per session in the order in which they
//!    came, *whatever book they are for*. A session's numbers are so used up in turn, and a request that is held is for
//!    everyone else one that has not arrived yet.
//! 3. **Sojourn**: an order that has waited longer than the limit, while its book still has no room for it, is refused.
//! 4. **Bounds**: so many orders, and apart from them so many cancels, for each book, for each session and in all.
//!
//! A pure structure: time is passed in, what a book has outstanding is asked for, and what is held is the caller's. It
//! allocates only when more is held than ever before. Without anything held, a request costs a comparison and a
//! decrement: a book is asked what it has outstanding once for each window's worth of commands.

mod line;
#[cfg(test)]
mod model;
#[cfg(test)]
mod overload;
mod slots;
mod terms;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use domain::{ClientRef, InstrumentId, Nanos, SessionId};

pub use self::terms::{AdmissionLimits, AdmissionStats, Room, Turn, Verdict};
use self::{
    line::Line,
    slots::{AGE, LANE, List, Place, Slot, Slots},
};

/// What waits for one book.
#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    /// Commands that may be sequenced before the book has to be asked again: its window was so far from full.
    credit: u32,
    /// In the list of books to look at.
    listed: bool,
    cancels: List,
    orders: List,
}

impl Queue {
    const fn is_empty(&self) -> bool {
        self.cancels.is_empty() && self.orders.is_empty()
    }
}

/// Requests that wait, each with what the caller keeps of it.
#[derive(Debug)]
pub struct Admission<T> {
    limits: AdmissionLimits,
    slots: Slots<T>,
    /// By instrument index.
    books: Vec<Queue>,
    /// By session index.
    lines: Vec<Line>,
    /// Orders in a line, oldest first, but those whose end is settled. Its head is its line's head and in a book's
    /// queue, whenever `ready` is empty.
    ages: List,
    /// Heads of their lines that need no book: to be refused, taken back, or for no book at all.
    ready: VecDeque<u32>,
    /// Books with something in their queues, and perhaps some without.
    listed: Vec<InstrumentId>,
    /// Books that the pass under way has not looked at.
    look: VecDeque<InstrumentId>,
    /// Requests in lines and in queues of cancels.
    orders: usize,
    cancels: usize,
    admitted: u64,
    refused: u64,
    taken_back: u64,
    overtook: u64,
}

impl<T> Admission<T> {
    /// Nothing waits yet. There are so many books and sessions.
    ///
    /// # Panics
    /// When the window is 0: nothing could ever be sequenced.
    #[must_use]
    pub fn new(limits: AdmissionLimits, books: usize, sessions: usize) -> Self {
        assert!(limits.window > 0, "a window of nothing");
        Self {
            limits,
            slots: Slots::new(),
            books: vec![Queue::default(); books],
            lines: (0..sessions).map(|_| Line::default()).collect(),
            ages: List::default(),
            ready: VecDeque::new(),
            listed: Vec::new(),
            look: VecDeque::new(),
            orders: 0,
            cancels: 0,
            admitted: 0,
            refused: 0,
            taken_back: 0,
            overtook: 0,
        }
    }

    /// Whether nothing waits.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.orders + self.cancels == 0
    }

    /// What has been done.
    #[must_use]
    pub const fn stats(&self) -> AdmissionStats {
        AdmissionStats {
            held_orders: self.orders,
            held_cancels: self.cancels,
            admitted: self.admitted,
            refused: self.refused,
            taken_back: self.taken_back,
            overtook: self.overtook,
        }
    }

    /// When the order that has waited longest has waited too long; `None` when none waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        let oldest = self.ages.head()?;
        Some(Nanos(self.slots[oldest].since.0.saturating_add(self.limits.sojourn_nanos)))
    }

    /// Whether a new order goes on at once. If so, the caller sequences it before anything else. `outstanding` says how
    /// many commands the book has not executed, and never too few.
    #[inline]
    pub fn admits_order(
        &mut self,
        session: SessionId,
        book: InstrumentId,
        outstanding: impl FnOnce() -> u64,
    ) -> bool {
        let free = self.is_empty() || (!self.has_line(session) && self.books[book.0 as usize].is_empty());
        free && self.takes(book, outstanding)
    }

    /// Whether a cancel goes on at once, as [`admits_order`](Self::admits_order).
    #[inline]
    pub fn admits_cancel(&mut self, book: InstrumentId, outstanding: impl FnOnce() -> u64) -> bool {
        if self.is_empty() {
            return self.takes(book, outstanding);
        }
        let queue = &self.books[book.0 as usize];
        let overtakes = !queue.orders.is_empty();
        let goes = queue.cancels.is_empty() && self.takes(book, outstanding);
        self.overtook += u64::from(goes && overtakes);
        goes
    }

    /// Whether orders of this session wait, and its numbers with them.
    #[inline]
    #[must_use]
    pub fn has_line(&self, session: SessionId) -> bool {
        !self.lines[session.0 as usize].is_empty()
    }

    /// The highest number of the session that waits.
    #[must_use]
    pub fn last_number(&self, session: SessionId) -> Option<ClientRef> {
        self.lines[session.0 as usize].last().map(|slot| self.slots[slot].number)
    }

    /// The order that waits under this number and has not been taken back, with its book if it has one.
    #[must_use]
    pub fn find(&self, session: SessionId, number: ClientRef) -> Option<(Option<InstrumentId>, &T)> {
        let slot = &self.slots[self.position(session, number)?];
        slot.item.as_ref().map(|item| (slot.book, item))
    }

    /// Holds a cancel.
    ///
    /// # Errors
    /// Gives it back when there is no room for it.
    pub fn hold_cancel(&mut self, session: SessionId, book: InstrumentId, item: T) -> Result<(), T> {
        let line = &mut self.lines[session.0 as usize];
        let queue = &self.books[book.0 as usize];
        if self.cancels >= self.limits.held_max
            || line.cancels >= self.limits.session_max
            || queue.cancels.len() >= self.limits.book_max
        {
            return Err(item);
        }
        let slot = self.slots.add(session, ClientRef(0), Some(book), Nanos(0), item);
        self.join_cancels(slot, book);
        Ok(())
    }

    /// Whether a new order may wait.
    #[must_use]
    pub fn room(&self, session: SessionId, book: Option<InstrumentId>) -> Room {
        let line = &self.lines[session.0 as usize];
        let full = self.orders >= self.limits.held_max || line.len() >= self.limits.session_max;
        match line.first() {
            None if full || book.is_some_and(|book| self.is_full(book)) => Room::Refuse,
            Some(_) if !full => Room::Hold,
            None => Room::Hold,
            Some(first) if self.slots[first].place == Place::Ready => Room::Later,
            Some(_) => Room::RefuseOldest,
        }
    }

    /// Holds a new order, for no book if it will be refused without one. It was read at `since`.
    ///
    /// # Panics
    /// When there is no [`room`](Self::room), or its number is not above the session's last that waits.
    pub fn hold_order(
        &mut self,
        session: SessionId,
        number: ClientRef,
        book: Option<InstrumentId>,
        since: Nanos,
        item: T,
    ) {
        assert_eq!(self.room(session, book), Room::Hold, "room was asked for");
        assert!(self.last_number(session).is_none_or(|last| last < number), "numbers rise");
        // Reads take turns and a reader may have been held back: who comes behind someone counts from no earlier.
        let since = self.ages.tail().map_or(since, |tail| self.slots[tail].since.max(since));
        let slot = self.slots.add(session, number, book, since, item);
        self.slots.push(AGE, &mut self.ages, slot);
        self.stand_in_line(session, slot);
    }

    /// Holds a request that uses up no number and still comes after what its session has sent before it. With a book, it
    /// makes an order smaller that waits itself, and then goes the way of cancels.
    ///
    /// # Errors
    /// Gives it back when there is no room for it.
    pub fn hold_behind(&mut self, session: SessionId, book: Option<InstrumentId>, item: T) -> Result<(), T> {
        let line = &self.lines[session.0 as usize];
        if self.orders >= self.limits.held_max || line.len() >= self.limits.session_max {
            return Err(item);
        }
        let number = self.last_number(session).unwrap_or_default();
        let slot = self.slots.add(session, number, book, Nanos(0), item);
        self.slots[slot].follows = true;
        self.stand_in_line(session, slot);
        Ok(())
    }

    /// Takes an order back that waits; it leaves, in its session's turn, to be refused. Whether it was there.
    pub fn take_back(&mut self, session: SessionId, number: ClientRef) -> bool {
        let Some(slot) = self.position(session, number) else { return false };
        match self.slots[slot].place {
            Place::Queue => {
                self.leave_queue(slot);
                self.slots[slot].place = Place::Line;
            }
            Place::Line => self.slots.remove(AGE, &mut self.ages, slot),
            Place::Ready => {}
        }
        if self.slots[slot].verdict == Verdict::Admit {
            self.slots[slot].verdict = Verdict::TakenBack;
        }
        self.advance(session);
        true
    }

    /// Refuses the oldest order of this session, to make room; `None` when there is none or it leaves anyway.
    pub fn refuse_oldest(&mut self, session: SessionId) -> Option<T> {
        let first = self.lines[session.0 as usize].first()?;
        if self.slots[first].place == Place::Ready {
            return None;
        }
        self.slots[first].verdict = Verdict::Refuse;
        self.leave_queue(first);
        Some(self.leave_line(first).item)
    }

    /// An order found no [`room`](Self::room) and was refused at once.
    pub fn count_refusal(&mut self) {
        self.refused += 1;
    }

    /// Begins a pass over what waits.
    pub fn begin(&mut self) {
        let Self { listed, books, look, .. } = self;
        listed.retain(|book| {
            let queue = &mut books[book.0 as usize];
            queue.listed = !queue.is_empty();
            queue.listed
        });
        look.clear();
        look.extend(listed.iter().copied());
    }

    /// The next request that leaves in this pass; `None` when the pass is over. One that is admitted to a book is
    /// sequenced by the caller before it asks again. The caller may stop in the middle of a pass. `outstanding` is asked
    /// before each admission, and may say [`u64::MAX`] for a book that can take nothing now for other reasons.
    #[inline]
    pub fn next(&mut self, now: Nanos, mut outstanding: impl FnMut(InstrumentId) -> u64) -> Option<Turn<T>> {
        loop {
            // What needs no book leaves first, so that whoever is then at the head of a line is in a queue.
            if let Some(slot) = self.ready.pop_front() {
                return Some(self.leave_line(slot));
            }
            let Some(&book) = self.look.front() else {
                let oldest = self.ages.head()?;
                let Slot { since, book, .. } = self.slots[oldest];
                if now.0.saturating_sub(since.0) <= self.limits.sojourn_nanos {
                    return None;
                }
                // Its book may have executed something since the pass looked at it.
                let book = book.expect("in a book's queue");
                if self.ask(book, outstanding(book)) {
                    self.look.push_back(book);
                    continue;
                }
                self.slots[oldest].verdict = Verdict::Refuse;
                self.leave_queue(oldest);
                return Some(self.leave_line(oldest));
            };
            let queue = &self.books[book.0 as usize];
            if queue.is_empty() || !self.ask(book, outstanding(book)) {
                self.look.pop_front();
                continue;
            }
            self.admitted += 1;
            let queue = &mut self.books[book.0 as usize];
            queue.credit -= 1;
            if let Some(slot) = queue.cancels.head() {
                self.overtook += u64::from(!queue.orders.is_empty());
                self.slots.remove(LANE, &mut queue.cancels, slot);
                self.cancels -= 1;
                let (session, item) = self.slots.free(slot);
                self.lines[session.0 as usize].cancels -= 1;
                return Some(Turn { session, verdict: Verdict::Admit, book: Some(book), item });
            }
            if let Some(slot) = queue.orders.head() {
                self.leave_queue(slot);
                return Some(self.leave_line(slot));
            }
        }
    }

    /// Whether the book's window has room for one more, which is then used up.
    #[inline]
    fn takes(&mut self, book: InstrumentId, outstanding: impl FnOnce() -> u64) -> bool {
        if self.books[book.0 as usize].credit == 0 && !self.ask(book, outstanding()) {
            return false;
        }
        self.books[book.0 as usize].credit -= 1;
        true
    }

    /// Whether the book's window has room, by what it has outstanding now.
    fn ask(&mut self, book: InstrumentId, outstanding: u64) -> bool {
        let open = u64::from(self.limits.window).saturating_sub(outstanding);
        self.books[book.0 as usize].credit = u32::try_from(open).unwrap_or(u32::MAX);
        open > 0
    }

    fn is_full(&self, book: InstrumentId) -> bool {
        self.books[book.0 as usize].orders.len() >= self.limits.book_max
    }

    /// The slot of an order that has not been taken back.
    fn position(&self, session: SessionId, number: ClientRef) -> Option<u32> {
        let slot = self.lines[session.0 as usize].find(|slot| self.slots[slot].number.cmp(&number))?;
        let found = &self.slots[slot];
        (!found.follows && found.verdict != Verdict::TakenBack).then_some(slot)
    }

    fn list(&mut self, book: InstrumentId) {
        let queue = &mut self.books[book.0 as usize];
        if queue.is_empty() {
            // A pass that is under way has not looked at it, or found it empty.
            self.look.push_back(book);
        }
        if !queue.listed {
            queue.listed = true;
            self.listed.push(book);
        }
    }

    fn join_cancels(&mut self, slot: u32, book: InstrumentId) {
        self.list(book);
        self.slots.push(LANE, &mut self.books[book.0 as usize].cancels, slot);
        self.slots[slot].place = Place::Queue;
        self.lines[self.slots[slot].session.0 as usize].cancels += 1;
        self.cancels += 1;
    }

    fn stand_in_line(&mut self, session: SessionId, slot: u32) {
        self.orders += 1;
        self.lines[session.0 as usize].push(slot);
        self.advance(session);
    }

    fn make_ready(&mut self, slot: u32) {
        self.slots[slot].place = Place::Ready;
        self.ready.push_back(slot);
    }

    /// An order leaves its book's queue and the list of ages: its end is settled.
    fn leave_queue(&mut self, slot: u32) {
        let book = self.slots[slot].book.expect("in a book's queue");
        self.slots.remove(LANE, &mut self.books[book.0 as usize].orders, slot);
        self.slots.remove(AGE, &mut self.ages, slot);
    }

    /// The head of a line leaves, and who is behind it comes up.
    fn leave_line(&mut self, slot: u32) -> Turn<T> {
        let Slot { verdict, book, .. } = self.slots[slot];
        let (session, item) = self.slots.free(slot);
        assert_eq!(self.lines[session.0 as usize].pop(), Some(slot), "a session's orders leave in turn");
        self.orders -= 1;
        match verdict {
            Verdict::Admit => {}
            Verdict::Refuse => self.refused += 1,
            Verdict::TakenBack => self.taken_back += 1,
        }
        self.advance(session);
        Turn { session, verdict, book, item }
    }

    /// Brings those of a line to where they wait whose turn it is: its head, and behind a head in a book's queue
    /// whoever is for the same book.
    fn advance(&mut self, session: SessionId) {
        let index = session.0 as usize;
        if let Some(first) = self.lines[index].first()
            && self.lines[index].joined > 0
            && self.slots[first].place == Place::Line
        {
            self.make_ready(first); // taken back out of the queue while others were before it
        }
        while let Some(slot) = self.lines[index].next_to_join() {
            let line = &mut self.lines[index];
            let is_head = line.joined == 0;
            let found = &mut self.slots[slot];
            if let (true, true, Some(book)) = (found.follows, is_head, found.book) {
                line.pop();
                self.orders -= 1;
                self.join_cancels(slot, book);
                continue;
            }
            let waits_for = found.book.filter(|_| found.verdict == Verdict::Admit && !found.follows);
            if let Some(book) = waits_for {
                if !is_head && line.joined_book != Some(book) {
                    return;
                }
                if self.books[book.0 as usize].orders.len() < self.limits.book_max {
                    line.joined += 1;
                    line.joined_book = Some(book);
                    found.place = Place::Queue;
                    self.list(book);
                    self.slots.push(LANE, &mut self.books[book.0 as usize].orders, slot);
                    continue;
                }
                if !is_head {
                    return;
                }
                found.verdict = Verdict::Refuse;
            } else if !is_head {
                return;
            }
            // Taken back already, or to be judged without a book.
            if self.slots[slot].verdict != Verdict::TakenBack && !self.slots[slot].follows {
                self.slots.remove(AGE, &mut self.ages, slot);
            }
            let line = &mut self.lines[index];
            line.joined = 1;
            line.joined_book = None;
            self.make_ready(slot);
            return;
        }
    }
}
