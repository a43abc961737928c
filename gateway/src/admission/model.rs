//! Admission as one would write it down: vectors, searched from their fronts, and every book asked every time.

use domain::{ClientRef, InstrumentId, Nanos, SessionId};

use super::{AdmissionLimits, Room, Turn, Verdict};

#[derive(Clone, Copy, Debug)]
struct Entry {
    item: u32,
    number: ClientRef,
    book: Option<InstrumentId>,
    since: u64,
    /// Its place among all orders that ever came.
    arrival: u64,
    verdict: Verdict,
    follows: bool,
    /// It has been put into its book's queue.
    joined: bool,
    /// It is the head and leaves.
    leaves: bool,
}

/// The naive admission.
pub(super) struct Naive {
    limits: AdmissionLimits,
    lines: Vec<Vec<Entry>>,
    /// By book: whose, and what.
    orders: Vec<Vec<(SessionId, u32)>>,
    cancels: Vec<Vec<(SessionId, u32)>>,
    /// Books in the order in which they are looked at, and those that a pass has still to look at.
    turns: Vec<usize>,
    look: Vec<usize>,
    /// Sessions whose heads leave, in turn.
    leaving: Vec<SessionId>,
    arrivals: u64,
}

impl Naive {
    pub(super) fn new(limits: AdmissionLimits, books: usize, sessions: usize) -> Self {
        Self {
            limits,
            lines: vec![Vec::new(); sessions],
            orders: vec![Vec::new(); books],
            cancels: vec![Vec::new(); books],
            turns: Vec::new(),
            look: Vec::new(),
            leaving: Vec::new(),
            arrivals: 0,
        }
    }

    pub(super) fn held(&self) -> (usize, usize) {
        (self.lines.iter().map(Vec::len).sum(), self.cancels.iter().map(Vec::len).sum())
    }

    pub(super) fn admits_order(&self, session: SessionId, book: InstrumentId, outstanding: u64) -> bool {
        let book = book.0 as usize;
        self.lines[session.0 as usize].is_empty()
            && self.orders[book].is_empty()
            && self.cancels[book].is_empty()
            && outstanding < u64::from(self.limits.window)
    }

    pub(super) fn admits_cancel(&self, book: InstrumentId, outstanding: u64) -> bool {
        self.cancels[book.0 as usize].is_empty() && outstanding < u64::from(self.limits.window)
    }

    pub(super) fn last_number(&self, session: SessionId) -> Option<ClientRef> {
        self.lines[session.0 as usize].last().map(|entry| entry.number)
    }

    pub(super) fn find(&self, session: SessionId, number: ClientRef) -> Option<(Option<InstrumentId>, &u32)> {
        let is_it =
            |entry: &&Entry| entry.number == number && !entry.follows && entry.verdict != Verdict::TakenBack;
        self.lines[session.0 as usize].iter().find(is_it).map(|entry| (entry.book, &entry.item))
    }

    pub(super) fn hold_cancel(&mut self, session: SessionId, book: InstrumentId, item: u32) -> bool {
        let of_session = self.cancels.iter().flatten().filter(|(whose, _)| *whose == session).count();
        if self.held().1 >= self.limits.held_max
            || of_session >= self.limits.session_max
            || self.cancels[book.0 as usize].len() >= self.limits.book_max
        {
            return false;
        }
        self.list(book);
        self.cancels[book.0 as usize].push((session, item));
        true
    }

    pub(super) fn room(&self, session: SessionId, book: Option<InstrumentId>) -> Room {
        let line = &self.lines[session.0 as usize];
        let full = self.held().0 >= self.limits.held_max || line.len() >= self.limits.session_max;
        let book_full = book.is_some_and(|book| self.is_full(book));
        if line.is_empty() {
            if full || book_full { Room::Refuse } else { Room::Hold }
        } else if !full {
            Room::Hold
        } else if line[0].leaves {
            Room::Later
        } else {
            Room::RefuseOldest
        }
    }

    pub(super) fn hold_order(
        &mut self,
        session: SessionId,
        number: ClientRef,
        book: Option<InstrumentId>,
        since: Nanos,
        item: u32,
    ) {
        // No earlier than anyone who waits and has not been settled.
        let unsettled =
            |entry: &&Entry| !entry.follows && !entry.leaves && entry.verdict != Verdict::TakenBack;
        let newest = self.lines.iter().flatten().filter(unsettled).max_by_key(|entry| entry.arrival);
        let since = newest.map_or(since.0, |entry| entry.since.max(since.0));
        self.push(session, number, book, since, item, false);
    }

    pub(super) fn hold_behind(&mut self, session: SessionId, book: Option<InstrumentId>, item: u32) -> bool {
        let line = &self.lines[session.0 as usize];
        if self.held().0 >= self.limits.held_max || line.len() >= self.limits.session_max {
            return false;
        }
        let number = self.last_number(session).unwrap_or_default();
        self.push(session, number, book, 0, item, true);
        true
    }

    fn push(
        &mut self,
        session: SessionId,
        number: ClientRef,
        book: Option<InstrumentId>,
        since: u64,
        item: u32,
        follows: bool,
    ) {
        self.arrivals += 1;
        let (arrival, verdict) = (self.arrivals, Verdict::Admit);
        let (joined, leaves) = (false, false);
        let entry = Entry { item, number, book, since, arrival, verdict, follows, joined, leaves };
        self.lines[session.0 as usize].push(entry);
        self.settle(session);
    }

    pub(super) fn take_back(&mut self, session: SessionId, number: ClientRef) -> bool {
        if self.find(session, number).is_none() {
            return false;
        }
        let line = &mut self.lines[session.0 as usize];
        let entry = line.iter_mut().find(|entry| entry.number == number && !entry.follows).unwrap();
        if entry.verdict != Verdict::Refuse {
            entry.verdict = Verdict::TakenBack;
        }
        if let (true, item, Some(book)) = (entry.joined, entry.item, entry.book) {
            self.orders[book.0 as usize].retain(|(_, queued)| *queued != item);
        }
        self.settle(session);
        true
    }

    pub(super) fn refuse_oldest(&mut self, session: SessionId) -> Option<u32> {
        let head = *self.lines[session.0 as usize].first()?;
        if head.leaves {
            return None;
        }
        Some(self.leave(session, Verdict::Refuse).item)
    }

    /// Everything that leaves in one pass; `outstanding`, by book, goes up with what is admitted.
    pub(super) fn pass(&mut self, now: Nanos, outstanding: &mut [u64]) -> Vec<Turn<u32>> {
        let mut left = Vec::new();
        let (orders, cancels) = (&self.orders, &self.cancels);
        self.turns.retain(|book| !orders[*book].is_empty() || !cancels[*book].is_empty());
        self.look = self.turns.clone();
        loop {
            if !self.leaving.is_empty() {
                let session = self.leaving.remove(0);
                let verdict = self.lines[session.0 as usize][0].verdict;
                left.push(self.leave(session, verdict));
            } else if let Some(&book) = self.look.first() {
                let empty = self.orders[book].is_empty() && self.cancels[book].is_empty();
                if empty || outstanding[book] >= u64::from(self.limits.window) {
                    self.look.remove(0);
                    continue;
                }
                outstanding[book] += 1;
                if self.cancels[book].is_empty() {
                    let (session, item) = self.orders[book][0];
                    left.push(self.leave(session, Verdict::Admit));
                    assert_eq!(left.last().unwrap().item, item);
                } else {
                    let (session, item) = self.cancels[book].remove(0);
                    let book = Some(InstrumentId(book as u32));
                    left.push(Turn { session, verdict: Verdict::Admit, book, item });
                }
            } else {
                let waits = |entry: &&Entry| !entry.follows && entry.verdict != Verdict::TakenBack;
                let orders = self.lines.iter().zip(0..).flat_map(|(line, session)| {
                    let ages =
                        line.iter().filter(waits).map(|entry| (entry.arrival, entry.since, entry.item));
                    ages.map(move |age| (age, SessionId(session)))
                });
                let Some(((_, since, item), session)) = orders.min() else { return left };
                if now.0.saturating_sub(since) <= self.limits.sojourn_nanos {
                    return left;
                }
                left.push(self.leave(session, Verdict::Refuse));
                assert_eq!(left.last().unwrap().item, item);
            }
        }
    }

    /// The head of a line leaves.
    fn leave(&mut self, session: SessionId, verdict: Verdict) -> Turn<u32> {
        let entry = self.lines[session.0 as usize].remove(0);
        if let Some(book) = entry.book {
            self.orders[book.0 as usize].retain(|(_, queued)| *queued != entry.item);
        }
        self.settle(session);
        Turn { session, verdict, book: entry.book, item: entry.item }
    }

    fn list(&mut self, book: InstrumentId) {
        let book = book.0 as usize;
        if self.orders[book].is_empty() && self.cancels[book].is_empty() {
            self.look.push(book);
        }
        if !self.turns.contains(&book) {
            self.turns.push(book);
        }
    }

    fn is_full(&self, book: InstrumentId) -> bool {
        self.orders[book.0 as usize].len() >= self.limits.book_max
    }

    /// Whoever can come to where it waits does.
    fn settle(&mut self, session: SessionId) {
        let index = session.0 as usize;
        while let Some(&head) = self.lines[index].first() {
            if let (true, Some(book)) = (head.follows, head.book) {
                self.lines[index].remove(0);
                self.list(book);
                self.cancels[book.0 as usize].push((session, head.item));
                continue;
            }
            let full = head.book.is_some_and(|book| self.is_full(book));
            let homeless = !head.joined && (head.book.is_none() || full);
            if !head.leaves && (head.verdict != Verdict::Admit || homeless) {
                let head = &mut self.lines[index][0];
                head.leaves = true;
                if head.book.is_some() && head.verdict == Verdict::Admit {
                    head.verdict = Verdict::Refuse;
                }
                self.leaving.push(session);
            }
            // The first that has not joined does, if all before it have joined the same book's queue.
            let line = &self.lines[index];
            let Some(at) = line.iter().position(|entry| !entry.joined) else { return };
            let entry = line[at];
            let same = line[..at].iter().all(|before| before.book == entry.book);
            let (Some(book), true) = (entry.book, same && !entry.follows && !entry.leaves) else { return };
            if entry.verdict != Verdict::Admit || self.is_full(book) {
                return;
            }
            self.list(book);
            self.lines[index][at].joined = true;
            self.orders[book.0 as usize].push((session, entry.item));
        }
    }
}
