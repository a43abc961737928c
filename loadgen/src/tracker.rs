//! Which request is answered by which message, and which never will be.
//!
//! Numbers within a session are dense, so an order's state lives in a ring, found by its number without hashing.
//! An order has one entry, any number of reductions, and one cancel or replacement; a replacement's times are kept
//! with the new order. Of reductions of one order that wait for their answers at the same time, all are timed from
//! the first: only recordings have such, and few.
//!
//! OUCH answers no cancel or replacement of an order that is gone; FIX refuses it, behind the report that says that it is gone,
//! and counts alike: such a request is superfluous, and the refusal no answer. The reports say when an order is gone, and they
//! arrive in order, so each request ends as exactly one of: answered; superfluous (its order was filled or canceled
//! first); unanswered when the run ended, which is a loss.

use crate::{
    latency::{Kind, Latency},
    request::{Ask, Number, Request},
};

/// A message from the exchange, with numbers counted from the run's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted {
        number: Number,
        quantity: u32,
    },
    Replaced {
        original: Number,
        number: Number,
        quantity: u32,
    },
    Canceled {
        number: Number,
        quantity: u32,
        reason: u8,
    },
    Executed {
        number: Number,
        quantity: u32,
        price_e4: u64,
        removed: bool,
        trade: u64,
    },
    Rejected {
        number: Number,
        reason: u16,
    },
    /// So much is left of the order, as was asked (FIX alone; OUCH says what is gone).
    Reduced {
        number: Number,
        leaves: u32,
    },
    /// A request is refused (FIX alone: it answers what comes too late as well).
    Refused {
        number: Number,
        asked: Asked,
        reason: u16,
    },
}

/// Which request about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The one that made it: an entry, or a replacement of another order.
    Order,
    /// For less of it.
    Reduce,
    /// For nothing more of it.
    Cancel,
}

/// Cancel reason: the owner asked.
pub(crate) const REQUESTED: u8 = b'U';
/// Cancel reason: a replacement of a live order with something that cannot be.
const INVALID_REPLACEMENT: u8 = b'Z';

/// What an order still waits for.
mod pending {
    /// The answer to its entry, or to the replacement that made it.
    pub(super) const ENTRY: u8 = 1;
    /// The answer to its reduction.
    pub(super) const REDUCE: u8 = 2;
    /// The answer to its cancel.
    pub(super) const CANCEL: u8 = 4;
    /// The answer to its replacement, which is kept with the successor.
    pub(super) const REPLACE: u8 = 8;
    /// Any.
    pub(super) const ANY: u8 = ENTRY | REDUCE | CANCEL | REPLACE;
    /// It came from a replacement.
    pub(super) const REPLACEMENT: u8 = 16;
    /// Nothing is left of it.
    pub(super) const GONE: u8 = 32;
}

/// An order that was sent: one cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Tracked {
    entry: Times,
    reduce: Times,
    cancel: Times,
    number: Number,
    leaves: u32,
    successor: Number,
    /// Reductions that wait behind the first.
    more_reductions: u16,
    /// Which of its requests were for a hot book: the bits of [`pending`].
    hot: u8,
}

const _: () = assert!(size_of::<Tracked>() == 64);

impl Tracked {
    /// An order just entered.
    fn new(entry: Times, number: Number, leaves: u32, hot: bool) -> Self {
        let mut order = Self { entry, number, leaves, ..Self::default() };
        order.set_hot(pending::ENTRY, hot);
        order
    }

    fn set_hot(&mut self, flag: u8, hot: bool) {
        self.hot = if hot { self.hot | flag } else { self.hot & !flag };
    }
}

/// When a request was due and when it was sent, in nanoseconds since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    due: u64,
    sent: u64,
}

/// What a run did so far. Every request sent is in exactly one of answered, superfluous and in flight.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// New orders for the day.
    pub entered: u64,
    /// Immediate-or-cancel orders.
    pub immediate: u64,
    /// Cancels of all that is left.
    pub cancels: u64,
    /// Partial cancels.
    pub reductions: u64,
    /// Replacements.
    pub replacements: u64,
    /// Requests that got their answer, rejects included.
    pub answered: u64,
    /// Cancels and changes whose order was gone: the protocol answers none.
    pub superfluous: u64,
    /// Rejects, by the protocol's reason; the last entry counts all from there up.
    pub rejects: Rejects,
    /// Reports of executions; a trade between two of our orders has two.
    pub executions: u64,
    /// Units in those reports.
    pub executed_units: u64,
    /// Messages that answer nothing we asked; a correct exchange sends none.
    pub unexpected: u64,
}

/// Rejects by the protocol's numeric reason.
#[derive(Clone, Debug)]
pub struct Rejects([u64; 128]);

impl Default for Rejects {
    fn default() -> Self {
        Self([0; 128])
    }
}

impl Rejects {
    fn count(&mut self, reason: u16) {
        self.0[usize::from(reason).min(127)] += 1;
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that occurred, with how often; 127 stands for itself and all above.
    pub fn by_reason(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.0
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(reason, count)| (reason as u16, *count))
    }
}

impl Counts {
    /// Requests sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.entered + self.immediate + self.cancels + self.reductions + self.replacements
    }

    /// Requests that still wait for their answer.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.sent() - self.answered - self.superfluous
    }
}

/// Matches requests and answers.
#[derive(Debug)]
pub(crate) struct Tracker {
    /// `session * per_session + number % per_session`.
    orders: Vec<Tracked>,
    /// What each waits for; see [`pending`]. Apart, so that asking for room reads a byte that is cached, not a line
    /// that was last used long ago.
    flags: Vec<u8>,
    /// A power of two.
    per_session: usize,
    pub(crate) counts: Counts,
    pub(crate) latency: Latency,
}

impl Tracker {
    /// Room for `per_session` orders of each session, rounded up to a power of two.
    pub(crate) fn new(sessions: usize, per_session: usize) -> Self {
        let per_session = per_session.next_power_of_two();
        Self {
            orders: vec![Tracked::default(); sessions * per_session],
            flags: vec![0; sessions * per_session],
            per_session,
            counts: Counts::default(),
            latency: Latency::new(),
        }
    }

    fn at(&self, session: usize, number: Number) -> usize {
        session * self.per_session + (number as usize & (self.per_session - 1))
    }

    /// The order, if the ring still holds it.
    fn find(&mut self, session: usize, number: Number) -> Option<usize> {
        let at = self.at(session, number);
        if self.orders[at].number == number {
            Some(at)
        } else {
            self.counts.unexpected += 1;
            None
        }
    }

    /// Whether the ring has room: the order that the new one would overwrite waits for nothing.
    #[inline]
    pub(crate) fn has_room(&self, request: &Request) -> bool {
        match request.ask {
            Ask::Enter { .. } | Ask::Replace { .. } => {
                self.flags[self.at(request.session, request.number)] & pending::ANY == 0
            }
            Ask::Reduce { .. } | Ask::Cancel => true,
        }
    }

    /// A request is sent; `hot` says whether its book was hot. Times are nanoseconds since the start.
    #[inline]
    pub(crate) fn sent(&mut self, request: &Request, hot: bool, due: u64, now: u64) {
        self.latency.sent(due, now);
        let at = self.at(request.session, request.number);
        let times = Times { due, sent: now };
        match request.ask {
            Ask::Enter { quantity, immediate, .. } => {
                if immediate {
                    self.counts.immediate += 1;
                } else {
                    self.counts.entered += 1;
                }
                self.orders[at] = Tracked::new(times, request.number, quantity, hot);
                self.flags[at] = pending::ENTRY;
            }
            Ask::Reduce { .. } => {
                self.counts.reductions += 1;
                self.follow(at, request.number, times, hot, pending::REDUCE);
            }
            Ask::Cancel => {
                self.counts.cancels += 1;
                self.follow(at, request.number, times, hot, pending::CANCEL);
            }
            Ask::Replace { original, quantity, .. } => {
                self.counts.replacements += 1;
                let old = self.at(request.session, original);
                let gone = self.orders[old].number != original || self.flags[old] & pending::GONE != 0;
                if !gone {
                    self.flags[old] |= pending::REPLACE;
                    self.orders[old].successor = request.number;
                }
                self.orders[at] = Tracked::new(times, request.number, quantity, hot);
                self.flags[at] = pending::REPLACEMENT | if gone { pending::GONE } else { pending::ENTRY };
                self.counts.superfluous += u64::from(gone);
                // Until it is answered nothing is known to be left of it, and a rejection must find the old order.
                self.orders[at].leaves = original;
            }
        }
    }

    /// A request about an order that was sent before.
    fn follow(&mut self, at: usize, number: Number, times: Times, hot: bool, flag: u8) {
        let (order, flags) = (&mut self.orders[at], &mut self.flags[at]);
        if order.number != number || *flags & pending::GONE != 0 {
            self.counts.superfluous += 1;
            return;
        }
        let waited = *flags & flag != 0;
        *flags |= flag;
        if flag == pending::REDUCE && waited {
            order.more_reductions = order.more_reductions.checked_add(1).expect("2^16 unanswered reductions");
        } else if flag == pending::REDUCE {
            order.reduce = times;
            order.set_hot(flag, hot);
        } else {
            order.cancel = times;
            order.set_hot(flag, hot);
        }
    }

    /// A cancel of the first order from place `next` on that still rests; `next` is its place then. `None` when
    /// none does.
    pub(crate) fn next_open(&self, next: &mut usize) -> Option<Request> {
        let rests = |(o, f): (&Tracked, &u8)| o.number > 0 && f & (pending::GONE | pending::CANCEL) == 0;
        *next += self.orders.get(*next..)?.iter().zip(&self.flags[*next..]).position(rests)?;
        let number = self.orders[*next].number;
        Some(Request { session: *next / self.per_session, number, ask: Ask::Cancel })
    }

    /// A message arrived.
    #[inline]
    pub(crate) fn answered(&mut self, session: usize, answer: &Answer, now: u64) {
        match *answer {
            Answer::Accepted { number, quantity } => {
                let Some(at) = self.find(session, number) else { return };
                self.orders[at].leaves = quantity;
                self.entered(at, now);
            }
            Answer::Rejected { number, reason } => {
                let Some(at) = self.find(session, number) else { return };
                self.counts.rejects.count(reason);
                self.keeps_original(session, at);
                self.entered(at, now);
                self.gone(session, at);
            }
            Answer::Replaced { original, number, quantity } => {
                if let Some(at) = self.find(session, original) {
                    self.flags[at] &= !pending::REPLACE;
                    self.gone(session, at);
                }
                let Some(at) = self.find(session, number) else { return };
                self.orders[at].leaves = quantity;
                self.entered(at, now);
            }
            Answer::Canceled { number, quantity, reason } => {
                let Some(at) = self.find(session, number) else { return };
                self.canceled(session, at, reason, now);
                self.smaller(session, at, quantity);
            }
            Answer::Reduced { number, leaves } => {
                let Some(at) = self.find(session, number) else { return };
                self.canceled(session, at, REQUESTED, now);
                self.orders[at].leaves = leaves;
                if leaves == 0 {
                    self.gone(session, at);
                }
            }
            Answer::Refused { number, asked, reason } => self.refused(session, number, asked, reason, now),
            Answer::Executed { number, quantity, .. } => {
                self.counts.executions += 1;
                self.counts.executed_units += u64::from(quantity);
                let Some(at) = self.find(session, number) else { return };
                self.smaller(session, at, quantity);
            }
        }
    }

    /// A request came to nothing. If the order is gone it was counted when that became known.
    fn refused(&mut self, session: usize, number: Number, asked: Asked, reason: u16, now: u64) {
        let at = self.at(session, number);
        if self.orders[at].number != number || self.flags[at] & pending::GONE != 0 {
            return;
        }
        self.counts.rejects.count(reason);
        let (order, flags) = (&mut self.orders[at], &mut self.flags[at]);
        let (flag, kind, times) = match asked {
            Asked::Order => {
                self.keeps_original(session, at);
                self.entered(at, now);
                self.gone(session, at);
                return;
            }
            Asked::Reduce => (pending::REDUCE, Kind::Change, order.reduce),
            Asked::Cancel => (pending::CANCEL, Kind::Cancel, order.cancel),
        };
        if *flags & flag == 0 {
            self.counts.unexpected += 1;
            return;
        }
        if flag == pending::REDUCE && order.more_reductions > 0 {
            order.more_reductions -= 1;
        } else {
            *flags &= !flag;
        }
        self.counts.answered += 1;
        self.latency.answered(kind, order.hot & flag != 0, times.due, times.sent, now);
    }

    /// The request at `at` is rejected: if it was a replacement, the old order is as it was.
    fn keeps_original(&mut self, session: usize, at: usize) {
        const WAITS: u8 = pending::REPLACEMENT | pending::ENTRY;
        if self.flags[at] & WAITS == WAITS {
            let old = self.at(session, self.orders[at].leaves);
            if self.orders[old].number == self.orders[at].leaves
                && self.orders[old].successor == self.orders[at].number
            {
                self.flags[old] &= !pending::REPLACE;
            }
        }
    }

    /// The entry at `at` got its answer.
    fn entered(&mut self, at: usize, now: u64) {
        let flags = &mut self.flags[at];
        if *flags & pending::ENTRY == 0 {
            self.counts.unexpected += 1;
            return;
        }
        *flags &= !pending::ENTRY;
        let kind = if *flags & pending::REPLACEMENT != 0 { Kind::Change } else { Kind::Enter };
        let order = &self.orders[at];
        let (Times { due, sent }, hot) = (order.entry, order.hot & pending::ENTRY != 0);
        self.counts.answered += 1;
        self.latency.answered(kind, hot, due, sent, now);
    }

    /// Which request a Canceled answers.
    fn canceled(&mut self, session: usize, at: usize, reason: u8, now: u64) {
        let (order, flags) = (&mut self.orders[at], &mut self.flags[at]);
        if reason == REQUESTED {
            let (flag, kind, times) = if *flags & pending::REDUCE != 0 {
                (pending::REDUCE, Kind::Change, order.reduce)
            } else if *flags & pending::CANCEL != 0 {
                (pending::CANCEL, Kind::Cancel, order.cancel)
            } else {
                self.counts.unexpected += 1;
                return;
            };
            if flag == pending::REDUCE && order.more_reductions > 0 {
                order.more_reductions -= 1;
            } else {
                *flags &= !flag;
            }
            self.counts.answered += 1;
            self.latency.answered(kind, order.hot & flag != 0, times.due, times.sent, now);
        } else if reason == INVALID_REPLACEMENT && *flags & pending::REPLACE != 0 {
            *flags &= !pending::REPLACE;
            let successor = order.successor;
            if let Some(at) = self.find(session, successor) {
                self.entered(at, now);
                self.gone(session, at);
            }
        }
    }

    /// So many units fewer.
    fn smaller(&mut self, session: usize, at: usize, quantity: u32) {
        let order = &mut self.orders[at];
        order.leaves = order.leaves.saturating_sub(quantity);
        if order.leaves == 0 {
            self.gone(session, at);
        }
    }

    /// Nothing is left of the order: what it still waits for will not be answered, and neither will a replacement
    /// of it, nor what was asked of that replacement.
    fn gone(&mut self, session: usize, mut at: usize) {
        loop {
            let (order, flags) = (&mut self.orders[at], &mut self.flags[at]);
            let unanswered = *flags & (pending::ENTRY | pending::REDUCE | pending::CANCEL);
            let more = core::mem::take(&mut order.more_reductions);
            self.counts.superfluous += u64::from(unanswered.count_ones()) + u64::from(more);
            let replaced = *flags & pending::REPLACE != 0;
            *flags = (*flags & !pending::ANY) | pending::GONE;
            if !replaced {
                return;
            }
            let successor = order.successor;
            at = self.at(session, successor);
            if self.orders[at].number != successor {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Side;

    use super::*;

    fn enter(number: Number) -> Request {
        let ask = Ask::Enter { book: 0, side: Side::Buy, price_e4: 100, quantity: 100, immediate: false };
        Request { session: 0, number, ask }
    }

    fn cancel(number: Number) -> Request {
        Request { session: 0, number, ask: Ask::Cancel }
    }

    fn replace(original: Number, number: Number) -> Request {
        Request { session: 0, number, ask: Ask::Replace { original, price_e4: 200, quantity: 100 } }
    }

    fn executed(number: Number, quantity: u32) -> Answer {
        Answer::Executed { number, quantity, price_e4: 100, removed: false, trade: 1 }
    }

    /// Sends, then hears, at times 10, 20, …; gives (answered, superfluous, in flight, unexpected).
    fn play(requests: &[Request], answers: &[Answer]) -> (u64, u64, u64, u64) {
        let mut tracker = Tracker::new(1, 16);
        let mut now = 0;
        for request in requests {
            now += 10;
            tracker.sent(request, false, now - 5, now);
        }
        for answer in answers {
            now += 10;
            tracker.answered(0, answer, now);
        }
        let c = &tracker.counts;
        (c.answered, c.superfluous, c.in_flight(), c.unexpected)
    }

    #[test]
    fn every_request_ends_once() {
        let accepted = |number| Answer::Accepted { number, quantity: 100 };
        let canceled = |number, quantity| Answer::Canceled { number, quantity, reason: REQUESTED };
        let reduce = Request { session: 0, number: 1, ask: Ask::Reduce { total: 40 } };
        assert_eq!(play(&[enter(1), cancel(1)], &[accepted(1), canceled(1, 100)]), (2, 0, 0, 0));
        assert_eq!(play(&[enter(1), cancel(1)], &[accepted(1)]), (1, 0, 1, 0));
        assert_eq!(play(&[enter(1), cancel(1)], &[accepted(1), executed(1, 60)]), (1, 0, 1, 0));
        assert_eq!(
            play(&[enter(1), cancel(1)], &[accepted(1), executed(1, 60), executed(1, 40)]),
            (1, 1, 0, 0)
        );
        assert_eq!(
            play(&[enter(1), cancel(1)], &[accepted(1), executed(1, 60), canceled(1, 40)]),
            (2, 0, 0, 0)
        );
        // The reduction found more executed than it left room for: it took all, and the cancel came too late.
        assert_eq!(
            play(&[enter(1), reduce, cancel(1)], &[accepted(1), executed(1, 60), canceled(1, 40)]),
            (2, 1, 0, 0)
        );
        assert_eq!(
            play(&[enter(1), reduce, cancel(1)], &[accepted(1), canceled(1, 60), canceled(1, 40)]),
            (3, 0, 0, 0)
        );
        assert_eq!(
            play(&[enter(1), cancel(1)], &[Answer::Rejected { number: 1, reason: 0x17 }]),
            (1, 1, 0, 0),
            "nothing answers the cancel of a refused order"
        );
    }

    #[test]
    fn reductions_may_wait_together() {
        let reduce = |total| Request { session: 0, number: 1, ask: Ask::Reduce { total } };
        let requests = [enter(1), reduce(80), reduce(50), reduce(20), cancel(1)];
        let accepted = Answer::Accepted { number: 1, quantity: 100 };
        let canceled = |quantity| Answer::Canceled { number: 1, quantity, reason: REQUESTED };
        let answers = [accepted, canceled(20), canceled(30), canceled(30), canceled(20)];
        assert_eq!(play(&requests, &answers), (5, 0, 0, 0));
        assert_eq!(play(&requests, &answers[..3]), (3, 0, 2, 0));
        assert_eq!(play(&requests, &[accepted, canceled(20), executed(1, 80)]), (2, 3, 0, 0));
    }

    #[test]
    fn a_replacement_of_a_filled_order_takes_its_followers_with_it() {
        let accepted = Answer::Accepted { number: 1, quantity: 100 };
        let replaced = |original, number| Answer::Replaced { original, number, quantity: 100 };
        let chain = [enter(1), replace(1, 2), replace(2, 3), cancel(3)];
        assert_eq!(play(&chain, &[accepted]), (1, 0, 3, 0));
        assert_eq!(play(&chain, &[accepted, executed(1, 100)]), (1, 3, 0, 0));
        assert_eq!(play(&chain, &[accepted, replaced(1, 2), executed(2, 100)]), (2, 2, 0, 0));
        assert_eq!(play(&chain, &[accepted, replaced(1, 2), replaced(2, 3)]), (3, 0, 1, 0));
        let refused = Answer::Canceled { number: 1, quantity: 100, reason: INVALID_REPLACEMENT };
        assert_eq!(play(&chain, &[accepted, refused]), (2, 2, 0, 0));
    }

    #[test]
    fn what_is_asked_of_a_gone_order_is_superfluous_at_once() {
        let mut tracker = Tracker::new(1, 16);
        tracker.sent(&enter(1), false, 0, 0);
        tracker.answered(0, &Answer::Accepted { number: 1, quantity: 100 }, 1);
        tracker.answered(0, &executed(1, 100), 1);
        tracker.sent(&replace(1, 2), false, 2, 2);
        tracker.sent(&cancel(2), false, 2, 2);
        assert_eq!((tracker.counts.superfluous, tracker.counts.in_flight()), (2, 0));
    }

    #[test]
    fn messages_that_answer_nothing_are_counted() {
        let accepted = Answer::Accepted { number: 1, quantity: 100 };
        assert_eq!(play(&[enter(1)], &[accepted, accepted]), (1, 0, 0, 1));
        assert_eq!(play(&[enter(1)], &[Answer::Accepted { number: 2, quantity: 1 }]), (0, 0, 1, 1));
    }

    #[test]
    fn a_rejected_replacement_leaves_the_old_order_as_it_was() {
        let requests = [enter(1), replace(1, 2)];
        let answers =
            [Answer::Accepted { number: 1, quantity: 100 }, Answer::Rejected { number: 2, reason: 0x28 }];
        assert_eq!(play(&requests, &answers), (2, 0, 0, 0));
        // Nothing of it waits any more: its place may be used again.
        let mut tracker = Tracker::new(1, 2);
        tracker.sent(&requests[0], false, 0, 0);
        tracker.answered(0, &answers[0], 1);
        tracker.sent(&requests[1], false, 2, 2);
        assert!(!tracker.has_room(&enter(3)), "its place waits for the replacement");
        tracker.answered(0, &answers[1], 3);
        assert!(tracker.has_room(&enter(3)));
    }

    #[test]
    fn refusals_answer_what_still_waits_and_nothing_else() {
        let accepted = Answer::Accepted { number: 1, quantity: 100 };
        let refused = |number, asked| Answer::Refused { number, asked, reason: 1 };
        let reduce = Request { session: 0, number: 1, ask: Ask::Reduce { total: 40 } };
        // The order was filled first: what was asked of it is superfluous, and its refusal says nothing new.
        let answers = [accepted, executed(1, 100), refused(1, Asked::Reduce), refused(1, Asked::Cancel)];
        assert_eq!(play(&[enter(1), reduce, cancel(1)], &answers), (1, 2, 0, 0));
        // The order lives: the refusal is the answer.
        let answers = [accepted, refused(1, Asked::Reduce), refused(1, Asked::Cancel)];
        assert_eq!(play(&[enter(1), reduce, cancel(1)], &answers), (3, 0, 0, 0));
        assert_eq!(play(&[enter(1)], &[accepted, refused(1, Asked::Cancel)]), (1, 0, 0, 1));
        // A replacement that is refused leaves the old order, and takes with it what was asked of the new one.
        let requests = [enter(1), replace(1, 2), cancel(2)];
        let answers = [accepted, refused(2, Asked::Order), refused(2, Asked::Cancel)];
        assert_eq!(play(&requests, &answers), (2, 1, 0, 0));
        // A reduction says what is left, which may be nothing.
        let reduced = |leaves| Answer::Reduced { number: 1, leaves };
        let canceled = Answer::Canceled { number: 1, quantity: u32::MAX, reason: REQUESTED };
        assert_eq!(play(&[enter(1), reduce, cancel(1)], &[accepted, reduced(40), canceled]), (3, 0, 0, 0));
        let answers = [accepted, executed(1, 60), reduced(0), refused(1, Asked::Cancel)];
        assert_eq!(play(&[enter(1), reduce, cancel(1)], &answers), (2, 1, 0, 0));
    }

    #[test]
    fn what_still_rests_is_found() {
        let mut tracker = Tracker::new(1, 8);
        for number in 1..=4 {
            tracker.sent(&enter(number), false, 0, 0);
            tracker.answered(0, &Answer::Accepted { number, quantity: 100 }, 1);
        }
        tracker.sent(&cancel(2), false, 0, 0);
        tracker.answered(0, &executed(3, 100), 1);
        let mut next = 0;
        let mut found = vec![];
        while let Some(request) = tracker.next_open(&mut next) {
            assert_eq!(request.ask, Ask::Cancel);
            found.push(request.number);
            next += 1;
        }
        assert_eq!(found, [1, 4]);
    }

    #[test]
    fn the_ring_keeps_what_waits() {
        let mut tracker = Tracker::new(1, 4);
        assert!(tracker.has_room(&enter(1)));
        tracker.sent(&enter(1), false, 0, 0);
        assert!(!tracker.has_room(&enter(5)));
        tracker.answered(0, &Answer::Accepted { number: 1, quantity: 100 }, 1);
        assert!(tracker.has_room(&enter(5)));
    }

    /// An exchange as OUCH describes it, of one session, that fills what it likes.
    #[derive(Default)]
    struct Exchange {
        /// By number: what is open, and what was executed on the order and on those that it replaced.
        live: std::collections::BTreeMap<Number, (u32, u32)>,
        answers: std::collections::VecDeque<Answer>,
    }

    impl Exchange {
        fn ask(&mut self, request: &Request) {
            let number = request.number;
            match request.ask {
                Ask::Enter { quantity, immediate, .. } => {
                    self.answers.push_back(Answer::Accepted { number, quantity });
                    if immediate {
                        self.answers.push_back(Answer::Canceled { number, quantity, reason: b'I' });
                    } else {
                        self.live.insert(number, (quantity, 0));
                    }
                }
                Ask::Reduce { .. } | Ask::Cancel => {
                    let total = if let Ask::Reduce { total } = request.ask { total } else { 0 };
                    let Some((open, executed)) = self.live.remove(&number) else { return };
                    let left = open.min(total.saturating_sub(executed));
                    if left > 0 {
                        self.live.insert(number, (left, executed));
                    }
                    if left < open {
                        let quantity = open - left;
                        self.answers.push_back(Answer::Canceled { number, quantity, reason: REQUESTED });
                    }
                }
                Ask::Replace { original, quantity, .. } => {
                    let Some((open, executed)) = self.live.remove(&original) else { return };
                    if quantity <= executed {
                        let reason = INVALID_REPLACEMENT;
                        self.answers.push_back(Answer::Canceled { number: original, quantity: open, reason });
                        return;
                    }
                    let left = quantity - executed;
                    self.live.insert(number, (left, executed));
                    self.answers.push_back(Answer::Replaced { original, number, quantity: left });
                }
            }
        }

        /// Fills some or all of some order.
        fn fill(&mut self, draw: u32) {
            let Some(place) = (draw as usize).checked_rem(self.live.len()) else { return };
            let (&number, &(open, executed)) = self.live.iter().nth(place).expect("it is below the length");
            let quantity = if draw & 0x1000 == 0 { open } else { 1 + (draw >> 16) % open };
            self.live.remove(&number);
            if quantity < open {
                self.live.insert(number, (open - quantity, executed + quantity));
            }
            self.answers.push_back(super::tests::executed(number, quantity));
        }
    }

    /// Whatever is filled and however long answers take, each request ends as answered or superfluous, and no answer
    /// is unexpected. `SEED=` replays.
    #[test]
    fn no_request_is_lost_and_none_is_answered_twice() {
        use rand::{Rng, SeedableRng};
        let seed = seeded::seed();
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(seed);
        for round in 0..20 {
            let instruments = crate::workload::instruments(1 + rng.next_u32() % 4);
            let mut workload = crate::workload::Workload::new(&instruments, 1, seed ^ round);
            let mut tracker = Tracker::new(1, crate::request::orders_per_session(1, instruments.len()));
            let mut exchange = Exchange::default();
            let lag = rng.next_u32() % 300;
            for now in 0..5_000_u64 {
                let request = workload.next(rng.next_u32() as usize % instruments.len());
                assert!(tracker.has_room(&request));
                tracker.sent(&request, false, now, now);
                exchange.ask(&request);
                if rng.next_u32().is_multiple_of(8) {
                    exchange.fill(rng.next_u32());
                }
                while exchange.answers.len() > lag as usize {
                    let answer = exchange.answers.pop_front().expect("it is not empty");
                    tracker.answered(0, &answer, now);
                }
            }
            for answer in &exchange.answers {
                tracker.answered(0, answer, 5_000);
            }
            let counts = &tracker.counts;
            assert_eq!((counts.in_flight(), counts.unexpected), (0, 0), "round {round}: {counts:?}");
            assert_eq!(tracker.latency.intended().len(), counts.answered);
            let mut next = 0;
            let mut open = vec![];
            while let Some(request) = tracker.next_open(&mut next) {
                open.push(request.number);
                next += 1;
            }
            open.sort_unstable();
            assert!(open.iter().eq(exchange.live.keys()), "what rests is known");
        }
    }

    #[test]
    fn each_request_counts_for_the_class_that_its_book_was_in() {
        let mut tracker = Tracker::new(1, 8);
        let accepted = |number| Answer::Accepted { number, quantity: 100 };
        let canceled = |number| Answer::Canceled { number, quantity: 100, reason: REQUESTED };
        // Entered while the book was hot, canceled when it was not any more; and the other way round.
        for (number, hot) in [(1, true), (2, false)] {
            tracker.sent(&enter(number), hot, 0, 0);
            tracker.answered(0, &accepted(number), 10);
            tracker.sent(&cancel(number), !hot, 10, 10);
            tracker.answered(0, &canceled(number), 1_010);
        }
        let at = |h: &hdrhistogram::Histogram<u64>| (h.len(), h.min(), h.max());
        assert_eq!(at(&tracker.latency.hot), (2, 10, 1_000));
        assert_eq!(at(&tracker.latency.others), (2, 10, 1_000));
        // A place of the ring that is used again forgets.
        tracker.sent(&enter(9), false, 0, 0);
        tracker.answered(0, &accepted(9), 10);
        assert_eq!((tracker.latency.hot.len(), tracker.latency.others.len()), (2, 3));
    }

    #[test]
    fn latencies_count_from_due_and_from_sent() {
        let mut tracker = Tracker::new(1, 4);
        tracker.sent(&enter(1), false, 100, 400);
        tracker.answered(0, &Answer::Accepted { number: 1, quantity: 100 }, 1_000);
        let at = |h: &hdrhistogram::Histogram<u64>| (h.len(), h.max());
        assert_eq!(at(&tracker.latency.intended()), (1, 900));
        assert_eq!(at(&tracker.latency.service), (1, 600));
        assert_eq!(at(&tracker.latency.lateness), (1, 300));
    }
}
