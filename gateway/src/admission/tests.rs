//! The rules of admission, one by one, and all at once against the naive model.

use super::{model::Naive, *};

const LIMITS: AdmissionLimits =
    AdmissionLimits { window: 2, sojourn_nanos: 100, book_max: 8, session_max: 6, held_max: 20 };
const BOOK: InstrumentId = InstrumentId(0);
const OTHER: InstrumentId = InstrumentId(1);
const ALICE: SessionId = SessionId(0);
const BOB: SessionId = SessionId(1);

fn admission() -> Admission<u32> {
    Admission::new(LIMITS, 4, 4)
}

fn order(admission: &mut Admission<u32>, session: SessionId, number: u32, book: InstrumentId, since: u64) {
    admission.hold_order(session, ClientRef(number), Some(book), Nanos(since), number);
}

/// What leaves at this time, with so many commands outstanding in each book before.
fn pass(admission: &mut Admission<u32>, now: u64, mut outstanding: [u64; 4]) -> Vec<(Verdict, u32)> {
    let mut left = Vec::new();
    admission.begin();
    while let Some(turn) = admission.next(Nanos(now), |book| outstanding[book.0 as usize]) {
        left.push((turn.verdict, turn.item));
        if let (Verdict::Admit, Some(book)) = (turn.verdict, turn.book) {
            outstanding[book.0 as usize] += 1;
        }
    }
    left
}

const BUSY: [u64; 4] = [2; 4];
use Verdict::{Admit, Refuse, TakenBack};

#[test]
fn a_book_below_its_window_is_asked_once_a_window() {
    let mut admission = Admission::<u32>::new(AdmissionLimits { window: 4, ..LIMITS }, 1, 1);
    let mut asked = 0;
    for _ in 0..3 {
        for _ in 0..4 {
            assert!(admission.admits_order(ALICE, BOOK, || {
                asked += 1;
                0
            }));
        }
    }
    assert_eq!(asked, 3);
    // Three are not executed: one more, then none.
    assert!(admission.admits_cancel(BOOK, || 3));
    assert!(!admission.admits_cancel(BOOK, || 4));
    assert!(!admission.admits_order(ALICE, BOOK, || 9));
}

#[test]
fn cancels_go_before_orders_and_both_in_turn() {
    let mut admission = admission();
    order(&mut admission, ALICE, 1, BOOK, 0);
    order(&mut admission, BOB, 2, BOOK, 0);
    admission.hold_cancel(BOB, BOOK, 11).unwrap();
    admission.hold_cancel(ALICE, BOOK, 12).unwrap();
    assert_eq!(pass(&mut admission, 1, BUSY), []);
    assert_eq!(pass(&mut admission, 2, [1, 2, 2, 2]), [(Admit, 11)]);
    // What comes now waits behind its like, though the book has room.
    assert!(!admission.admits_cancel(BOOK, || 0) && !admission.admits_order(SessionId(2), BOOK, || 0));
    assert_eq!(pass(&mut admission, 3, [0; 4]), [(Admit, 12), (Admit, 1)]);
    assert!(admission.admits_cancel(BOOK, || 0), "a cancel goes before an order that waits");
    assert_eq!(pass(&mut admission, 4, BUSY), []);
    assert_eq!(pass(&mut admission, 5, [1; 4]), [(Admit, 2)]);
    assert!(admission.is_empty());
    assert_eq!((admission.stats().admitted, admission.stats().overtook), (4, 3));
}

#[test]
fn a_session_keeps_its_order_across_books_and_others_do_not_wait_for_it() {
    let mut admission = admission();
    order(&mut admission, ALICE, 1, BOOK, 0);
    order(&mut admission, ALICE, 2, OTHER, 0);
    order(&mut admission, ALICE, 3, BOOK, 0);
    assert!(!admission.admits_order(ALICE, InstrumentId(2), || 0));
    assert!(admission.admits_order(BOB, OTHER, || 1), "nobody waits for the other book itself");
    assert_eq!(pass(&mut admission, 1, [2, 0, 0, 0]), []);
    assert_eq!(pass(&mut admission, 2, [0, 0, 0, 0]), [(Admit, 1), (Admit, 2), (Admit, 3)]);
}

#[test]
fn who_waits_too_long_is_refused_and_who_waited_for_him_goes_on() {
    let mut admission = admission();
    order(&mut admission, ALICE, 1, BOOK, 0);
    order(&mut admission, ALICE, 2, OTHER, 0);
    order(&mut admission, BOB, 3, BOOK, 50);
    admission.hold_cancel(BOB, BOOK, 11).unwrap();
    assert_eq!(admission.deadline(), Some(Nanos(100)));
    assert_eq!(pass(&mut admission, 100, BUSY), []);
    assert_eq!(pass(&mut admission, 101, [2, 0, 0, 0]), [(Refuse, 1), (Admit, 2)]);
    assert_eq!(admission.deadline(), Some(Nanos(150)));
    // With room for it, it is not too late.
    assert_eq!(pass(&mut admission, 1_000, [0; 4]), [(Admit, 11), (Admit, 3)]);
    assert_eq!((admission.deadline(), admission.stats().refused), (None, 1));
}

#[test]
fn what_was_read_earlier_behind_another_counts_from_the_others_time() {
    let mut admission = admission();
    order(&mut admission, ALICE, 1, BOOK, 500);
    order(&mut admission, BOB, 2, BOOK, 0);
    assert_eq!(pass(&mut admission, 600, BUSY), []);
    assert_eq!(pass(&mut admission, 601, BUSY), [(Refuse, 1), (Refuse, 2)]);
}

#[test]
fn an_order_taken_back_leaves_in_its_turn_and_needs_no_book() {
    let mut admission = admission();
    for (number, book) in [(1, BOOK), (2, BOOK), (3, BOOK), (4, OTHER)] {
        order(&mut admission, ALICE, number, book, 0);
    }
    assert!(admission.take_back(ALICE, ClientRef(2)) && !admission.take_back(ALICE, ClientRef(2)));
    assert!(!admission.take_back(ALICE, ClientRef(9)) && !admission.take_back(BOB, ClientRef(1)));
    assert_eq!(admission.find(ALICE, ClientRef(2)), None);
    assert_eq!(admission.find(ALICE, ClientRef(4)), Some((Some(OTHER), &4)));
    assert_eq!(pass(&mut admission, 1, BUSY), [], "the first waits still");
    assert!(admission.take_back(ALICE, ClientRef(1)) && admission.take_back(ALICE, ClientRef(4)));
    assert_eq!(pass(&mut admission, 2, BUSY), [(TakenBack, 1), (TakenBack, 2)]);
    assert_eq!(pass(&mut admission, 3, [0, 2, 2, 2]), [(Admit, 3), (TakenBack, 4)]);
    assert_eq!((admission.is_empty(), admission.stats().taken_back), (true, 3));
}

#[test]
fn what_makes_an_order_smaller_that_waits_comes_behind_it_as_a_cancel() {
    let mut admission = admission();
    order(&mut admission, BOB, 7, BOOK, 0);
    order(&mut admission, ALICE, 1, BOOK, 0);
    admission.hold_behind(ALICE, Some(BOOK), 11).unwrap();
    order(&mut admission, ALICE, 2, BOOK, 0);
    assert_eq!(admission.last_number(ALICE), Some(ClientRef(2)));
    assert_eq!(pass(&mut admission, 1, [0; 4]), [(Admit, 7), (Admit, 1)]);
    assert_eq!(pass(&mut admission, 2, [0; 4]), [(Admit, 11), (Admit, 2)]);
    // When the order is refused, the caller gets what was behind it all the same.
    order(&mut admission, ALICE, 3, BOOK, 0);
    admission.hold_behind(ALICE, Some(BOOK), 13).unwrap();
    assert_eq!(pass(&mut admission, 500, BUSY), [(Refuse, 3)]);
    assert_eq!(pass(&mut admission, 501, [1; 4]), [(Admit, 13)]);
}

#[test]
fn without_room_a_sessions_oldest_makes_room_for_its_newest() {
    let mut admission = admission();
    for number in 1..=6 {
        assert_eq!(admission.room(ALICE, Some(BOOK)), Room::Hold);
        order(&mut admission, ALICE, number, BOOK, 0);
    }
    assert_eq!(admission.room(ALICE, Some(OTHER)), Room::RefuseOldest);
    assert_eq!(admission.hold_behind(ALICE, Some(BOOK), 9), Err(9));
    assert_eq!(admission.refuse_oldest(ALICE), Some(1));
    order(&mut admission, ALICE, 7, OTHER, 0);
    // The oldest leaves anyway: its place is free after that.
    assert!(admission.take_back(ALICE, ClientRef(2)));
    assert_eq!((admission.room(ALICE, Some(BOOK)), admission.refuse_oldest(ALICE)), (Room::Later, None));
    assert_eq!(pass(&mut admission, 1, BUSY), [(TakenBack, 2)]);
    assert_eq!(admission.room(ALICE, Some(BOOK)), Room::Hold);
    // A book's queue is full for whoever has nothing waiting; cancels have room of their own.
    for number in 1..=4 {
        order(&mut admission, BOB, number, BOOK, 0);
    }
    assert_eq!(admission.room(SessionId(2), Some(BOOK)), Room::Refuse);
    assert_eq!(admission.room(SessionId(2), Some(OTHER)), Room::Hold);
    for item in 0..6 {
        admission.hold_cancel(BOB, BOOK, item).unwrap();
    }
    assert_eq!(admission.hold_cancel(BOB, OTHER, 6), Err(6), "so many of a session");
    admission.hold_cancel(ALICE, BOOK, 7).unwrap();
    admission.hold_cancel(ALICE, BOOK, 8).unwrap();
    assert_eq!(admission.hold_cancel(ALICE, BOOK, 9), Err(9), "so many for a book");
}

#[test]
fn agrees_with_the_naive_model() {
    let seed = seeded::seed();
    let mut totals = AdmissionStats::default();
    for round in 0..200 {
        let stats = Both::new(seed + round).run(1_500);
        totals.admitted += stats.admitted;
        totals.refused += stats.refused;
        totals.taken_back += stats.taken_back;
        totals.overtook += stats.overtook;
    }
    println!("{totals:?}");
    for count in [totals.admitted, totals.refused, totals.taken_back, totals.overtook] {
        assert!(count > 2_000, "the runs say too little: {totals:?}");
    }
}

struct Both {
    state: u64,
    limits: AdmissionLimits,
    admission: Admission<u32>,
    naive: Naive,
    /// By book: not executed yet.
    outstanding: Vec<u64>,
    /// By session: its last number.
    numbers: Vec<u32>,
    /// What is held: by item, how often it has left.
    left: Vec<u32>,
    now: u64,
}

impl Both {
    fn new(seed: u64) -> Self {
        let mut both = Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            limits: LIMITS,
            admission: admission(),
            naive: Naive::new(LIMITS, 0, 0),
            outstanding: vec![0; 4],
            numbers: vec![0; 4],
            left: Vec::new(),
            now: 1_000,
        };
        let limits = AdmissionLimits {
            window: 1 + both.below(5) as u32,
            sojourn_nanos: 20 + both.below(200),
            book_max: 2 + both.below(10) as usize,
            session_max: 2 + both.below(10) as usize,
            held_max: 4 + both.below(30) as usize,
        };
        both.limits = limits;
        both.admission = Admission::new(limits, 4, 4);
        both.naive = Naive::new(limits, 4, 4);
        both
    }

    fn below(&mut self, n: u64) -> u64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % n
    }

    fn item(&mut self) -> u32 {
        self.left.push(0);
        self.left.len() as u32 - 1
    }

    fn run(mut self, steps: u32) -> AdmissionStats {
        for _ in 0..steps {
            self.step();
            let stats = self.admission.stats();
            assert_eq!((stats.held_orders, stats.held_cancels), self.naive.held());
            assert!(stats.held_orders <= self.limits.held_max);
            for outstanding in &self.outstanding {
                assert!(*outstanding <= u64::from(self.limits.window));
            }
        }
        // Everything leaves in the end, each once.
        for _ in 0..1_000 {
            self.outstanding = vec![0; 4];
            self.pass();
        }
        assert!(self.admission.is_empty());
        assert!(self.left.iter().all(|times| *times == 1));
        self.admission.stats()
    }

    fn step(&mut self) {
        self.now += self.below(8);
        let session = SessionId(self.below(4) as u32);
        // The first book is hot.
        let book = InstrumentId(self.below(4).saturating_sub(1) as u32);
        match self.below(16) {
            0..6 => self.order(session, book),
            6..9 => self.cancel(session, book),
            9 => self.bookless(session),
            10 => self.named(session),
            11..14 => {
                let at = self.below(4) as usize;
                let most = self.outstanding[at];
                self.outstanding[at] -= self.below(most + 1);
            }
            _ => self.pass(),
        }
    }

    fn order(&mut self, session: SessionId, book: InstrumentId) {
        let at = book.0 as usize;
        let outstanding = self.outstanding[at];
        let goes = self.admission.admits_order(session, book, || outstanding);
        assert_eq!(goes, self.naive.admits_order(session, book, outstanding));
        if goes {
            self.outstanding[at] += 1;
        } else {
            self.hold(session, Some(book));
        }
    }

    fn bookless(&mut self, session: SessionId) {
        if self.admission.has_line(session) {
            self.hold(session, None);
        }
    }

    fn hold(&mut self, session: SessionId, book: Option<InstrumentId>) {
        // Readers are not always in turn.
        let since = Nanos(self.now - self.below(30));
        self.numbers[session.0 as usize] += 1 + self.below(2) as u32;
        let number = ClientRef(self.numbers[session.0 as usize]);
        loop {
            let room = self.admission.room(session, book);
            assert_eq!(room, self.naive.room(session, book));
            match room {
                Room::Hold => {
                    let item = self.item();
                    self.admission.hold_order(session, number, book, since, item);
                    self.naive.hold_order(session, number, book, since, item);
                    return;
                }
                Room::RefuseOldest => {
                    let oldest = self.admission.refuse_oldest(session);
                    assert_eq!(oldest, self.naive.refuse_oldest(session));
                    self.left[oldest.expect("it is not about to leave") as usize] += 1;
                }
                Room::Refuse | Room::Later => return,
            }
        }
    }

    fn cancel(&mut self, session: SessionId, book: InstrumentId) {
        let at = book.0 as usize;
        let outstanding = self.outstanding[at];
        let goes = self.admission.admits_cancel(book, || outstanding);
        assert_eq!(goes, self.naive.admits_cancel(book, outstanding));
        if goes {
            self.outstanding[at] += 1;
            return;
        }
        let item = self.item();
        let held = self.admission.hold_cancel(session, book, item).is_ok();
        assert_eq!(held, self.naive.hold_cancel(session, book, item));
        if !held {
            self.left.pop();
        }
    }

    /// Takes an order back, or makes it smaller.
    fn named(&mut self, session: SessionId) {
        let last = self.numbers[session.0 as usize];
        let number = ClientRef(last.saturating_sub(self.below(8) as u32));
        assert_eq!(self.admission.last_number(session), self.naive.last_number(session));
        let found = self.admission.find(session, number);
        assert_eq!(found, self.naive.find(session, number));
        let found = found.map(|(book, _)| book);
        match found {
            Some(Some(book)) if self.below(2) == 0 => {
                let book = Some(book).filter(|_| self.below(4) > 0);
                let item = self.item();
                let held = self.admission.hold_behind(session, book, item).is_ok();
                assert_eq!(held, self.naive.hold_behind(session, book, item));
                if !held {
                    self.left.pop();
                }
            }
            _ => {
                let taken = self.admission.take_back(session, number);
                assert_eq!(taken, self.naive.take_back(session, number));
            }
        }
    }

    fn pass(&mut self) {
        let mut outstanding = self.outstanding.clone();
        let now = Nanos(self.now);
        let expected = self.naive.pass(now, &mut self.outstanding);
        let mut left = Vec::new();
        self.admission.begin();
        while let Some(turn) = self.admission.next(now, |book| outstanding[book.0 as usize]) {
            if let (Verdict::Admit, Some(book)) = (turn.verdict, turn.book) {
                outstanding[book.0 as usize] += 1;
            }
            self.left[turn.item as usize] += 1;
            left.push(turn);
        }
        assert_eq!(left, expected);
        assert_eq!(outstanding, self.outstanding);
        // Whoever is left waits for a book at its window, and not too long.
        assert!(self.admission.deadline().is_none_or(|deadline| now <= deadline));
    }
}
