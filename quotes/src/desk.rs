//! What one session has asked for, and what of it it has still to be told.

use std::collections::{BTreeMap, BTreeSet};

use domain::InstrumentId;

use crate::request::{Kind, Refusal, Types, Wanted};

/// Books that a session may watch at once, each request's counted.
pub(crate) const BOOKS_MAX: usize = 256;

/// A request that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// MDReqID.
    pub(crate) id: Box<[u8]>,
    pub(crate) kind: Kind,
    pub(crate) depth: usize,
    pub(crate) types: Types,
    pub(crate) books: BTreeSet<InstrumentId>,
}

/// A book of a request.
pub(crate) type Place = (u64, InstrumentId);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// By number, which rises.
    subscriptions: BTreeMap<u64, Subscription>,
    last: u64,
    /// Books of all of them: `books <= BOOKS_MAX`.
    books: usize,
    /// Books of which a snapshot has to be told. Changes are not, until it has been.
    owed: BTreeSet<Place>,
    /// Those of them that are told again and again, and have changed.
    fresh: BTreeSet<Place>,
    /// The SecurityReqID of a list of instruments that is being told, and how many have been.
    pub(crate) securities: Option<(Box<[u8]>, usize)>,
}

impl Desk {
    /// Takes a request. All of its books are owed. Gives its number.
    pub(crate) fn open(&mut self, id: Box<[u8]>, wanted: &Wanted) -> Result<u64, Refusal> {
        if self.subscriptions.values().any(|other| other.id == id) {
            return Err(Refusal(b'1', "MDReqID (262) is that of a request that lives".into()));
        }
        if self.books + wanted.books.len() > BOOKS_MAX {
            let text = format!("more than {BOOKS_MAX} books at once, those of every request counted");
            return Err(Refusal(b'2', text));
        }
        self.last += 1;
        self.books += wanted.books.len();
        let Wanted { kind, depth, types, .. } = *wanted;
        let books: BTreeSet<_> = wanted.books.iter().copied().collect();
        self.owed.extend(books.iter().map(|book| (self.last, *book)));
        self.subscriptions.insert(self.last, Subscription { id, kind, depth, types, books });
        Ok(self.last)
    }

    /// Ends a request. Gives it, with its number, if there is one.
    pub(crate) fn close(&mut self, id: &[u8]) -> Option<(u64, Subscription)> {
        let number = self.subscriptions.iter().find(|(_, subscription)| *subscription.id == *id)?.0;
        let number = *number;
        self.remove(number)
    }

    fn remove(&mut self, number: u64) -> Option<(u64, Subscription)> {
        let subscription = self.subscriptions.remove(&number)?;
        self.books -= subscription.books.len();
        for book in &subscription.books {
            self.owed.remove(&(number, *book));
            self.fresh.remove(&(number, *book));
        }
        Some((number, subscription))
    }

    /// Ends every request.
    pub(crate) fn close_all(&mut self) -> BTreeMap<u64, Subscription> {
        std::mem::take(self).subscriptions
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Subscription> {
        self.subscriptions.get(&number)
    }

    pub(crate) fn owes(&self, place: Place) -> bool {
        self.owed.contains(&place)
    }

    pub(crate) fn owe(&mut self, place: Place) {
        self.owed.insert(place);
    }

    /// It has changed, and is told again when it is time.
    pub(crate) fn has_changed(&mut self, place: Place) {
        self.fresh.insert(place);
    }

    /// It is time to tell again what has changed.
    pub(crate) fn refresh(&mut self) {
        self.owed.append(&mut self.fresh);
    }

    pub(crate) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    pub(crate) fn has_owed(&self) -> bool {
        !self.owed.is_empty() || self.securities.is_some()
    }

    /// The next book that a snapshot is told of.
    pub(crate) fn next_owed(&mut self) -> Option<Place> {
        self.owed.pop_first()
    }

    /// A snapshot has been told. What was asked for once has been told then.
    pub(crate) fn has_told(&mut self, (number, book): Place) {
        let Some(subscription) = self.subscriptions.get_mut(&number) else { return };
        if subscription.kind == Kind::Once && subscription.books.remove(&book) {
            self.books -= 1;
            if subscription.books.is_empty() {
                self.subscriptions.remove(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(kind: Kind, books: std::ops::Range<u32>) -> Wanted {
        Wanted { kind, depth: 1, types: Types::BIDS, books: books.map(InstrumentId).collect() }
    }

    fn id(text: &str) -> Box<[u8]> {
        text.as_bytes().into()
    }

    #[test]
    fn a_session_watches_so_many_books_and_each_name_is_one_requests() {
        let mut desk = Desk::default();
        let most = BOOKS_MAX as u32;
        let first = desk.open(id("a"), &wanted(Kind::Incremental, 0..most - 1)).unwrap();
        assert_eq!(desk.open(id("a"), &wanted(Kind::Once, 0..1)).unwrap_err().0, b'1');
        assert_eq!(desk.open(id("b"), &wanted(Kind::Once, 0..2)).unwrap_err().0, b'2');
        assert_eq!(desk.books, BOOKS_MAX - 1, "what is refused takes nothing");
        let second = desk.open(id("b"), &wanted(Kind::Once, 0..1)).unwrap();
        assert!(second > first && desk.owes((second, InstrumentId(0))));
        let (closed, subscription) = desk.close(b"a").unwrap();
        assert_eq!((closed, subscription.books.len()), (first, BOOKS_MAX - 1));
        assert!(desk.close(b"a").is_none());
        assert_eq!(desk.next_owed(), Some((second, InstrumentId(0))), "a's are owed no more");
        assert!(!desk.has_owed());
        desk.open(id("a"), &wanted(Kind::Once, 0..1)).unwrap();
    }

    #[test]
    fn what_is_asked_for_once_is_over_when_all_of_it_has_been_told() {
        let mut desk = Desk::default();
        desk.open(id("a"), &wanted(Kind::Once, 3..5)).unwrap();
        for left in [1, 0] {
            let place = desk.next_owed().unwrap();
            assert!(desk.get(place.0).is_some());
            desk.has_told(place);
            assert_eq!(desk.books, left);
        }
        assert!(desk.close(b"a").is_none() && !desk.has_owed());
        // What is told again is owed when it is time, once however often it has changed.
        let number = desk.open(id("r"), &wanted(Kind::Refresh, 3..4)).unwrap();
        let place = desk.next_owed().unwrap();
        desk.has_told(place);
        (0..3).for_each(|_| desk.has_changed((number, InstrumentId(3))));
        assert!(desk.has_fresh() && !desk.has_owed());
        desk.refresh();
        assert_eq!((desk.next_owed(), desk.next_owed()), (Some(place), None));
        desk.has_changed(place);
        assert_eq!(desk.close_all().len(), 1);
        assert!(!desk.has_fresh() && desk.books == 0);
    }
}
