//! What clients see of admission: orders that wait for a busy book, and all that may happen meanwhile.
//!
//! The conversations run against books that execute when the test says so (`paused`), so that who waits is not left to
//! chance. `HOT` is at its window of two wherever a test begins with [`busy`].

use std::collections::BTreeMap;

use domain::{ClientRef, Command, SessionId};
use gateway::AdmissionLimits;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;
use wire::ouch::{
    Inbound, Outbound, codes,
    inbound::{CancelOrder, ModifyOrder, ReplaceOrder},
};

use crate::{
    client::{cancel, enter, replace},
    paused::{SYMBOLS, Stage},
    venue::{Home, Settings, USERS, seed},
};

const LIMITS: AdmissionLimits =
    AdmissionLimits { window: 2, sojourn_nanos: 100_000, book_max: 16, session_max: 8, held_max: 32 };
const HOT: usize = 0;
const COLD: usize = 1;

/// A bid of ten for 100 that stays.
fn bid(user_ref: u32, book: usize) -> Inbound<'static> {
    enter(user_ref, b'B', 10, SYMBOLS[book], 1_000_000, codes::DAY)
}

/// Bob has filled the window of the hot book with his orders 1 and 2.
fn busy() -> Stage {
    let mut stage = Stage::new(LIMITS);
    stage.say("BOB", &[bid(1, HOT), bid(2, HOT)]);
    assert_eq!((stage.venue.waiting(HOT), stage.gateway.is_holding()), (2, false));
    stage
}

fn accepted(user_ref: u32, book: usize, order: u64) -> String {
    format!("A {user_ref} B 10 {} 100.0000 0 YPNN L {book}-{order}", SYMBOLS[book])
}

#[test]
fn who_waits_long_enough_is_refused_and_who_does_not_goes_on() {
    let mut stage = busy();
    stage.say("ALICE", &[bid(1, HOT), bid(2, HOT), bid(3, HOT)]);
    stage.wait(100_000);
    assert_eq!(stage.stats().admission.held_orders, 3);
    stage.execute(HOT, 1);
    // One went on; the others have waited for too long at the next moment.
    stage.wait(1);
    assert_eq!(stage.hears("ALICE"), ["J 2 0x28", "J 3 0x28"]);
    stage.settle();
    assert_eq!(stage.hears("ALICE"), [accepted(1, HOT, 3)]);
    let stats = stage.stats().admission;
    assert_eq!((stats.admitted, stats.refused, stats.held_orders), (1, 2, 0));
    // Refused is refused: the numbers are used up.
    stage.say("ALICE", &[bid(2, HOT), Inbound::AccountQuery]);
    assert_eq!(stage.hears("ALICE"), ["Q 4"]);
}

#[test]
fn cancels_go_before_orders_that_wait() {
    let mut stage = Stage::new(LIMITS);
    stage.say("ALICE", &[bid(1, HOT)]);
    stage.settle();
    stage.say("BOB", &[bid(1, HOT), bid(2, HOT), bid(3, HOT), bid(4, HOT)]);
    stage.say("ALICE", &[bid(2, HOT), cancel(1, 5), cancel(1, 0)]);
    assert_eq!(stage.stats().admission.held_cancels, 2);
    stage.execute(HOT, 2);
    assert_eq!(stage.venue.waiting(HOT), 2);
    stage.execute(HOT, 2);
    stage.hears("BOB");
    assert_eq!(stage.hears("ALICE"), [accepted(1, HOT, 1).as_str(), "C 1 5 U", "C 1 5 U"]);
    stage.settle();
    assert_eq!(stage.hears("BOB"), [accepted(3, HOT, 4), accepted(4, HOT, 5)]);
    assert_eq!(stage.hears("ALICE"), [accepted(2, HOT, 6)]);
    assert_eq!(stage.stats().admission.overtook, 2);
}

#[test]
fn an_order_that_waits_can_be_canceled_and_its_number_is_used() {
    let mut stage = busy();
    stage.say("ALICE", &[bid(1, HOT), bid(2, HOT), bid(3, HOT), cancel(2, 0)]);
    // Its turn has not come: its session's numbers are used up in turn.
    assert_eq!(stage.hears("ALICE"), [""; 0]);
    stage.say("ALICE", &[cancel(1, 0), cancel(1, 0)]);
    assert_eq!(stage.hears("ALICE"), ["J 1 0x28", "J 2 0x28"]);
    stage.settle();
    assert_eq!(stage.hears("ALICE"), [accepted(3, HOT, 3)]);
    let stats = stage.stats();
    assert_eq!((stats.admission.taken_back, stats.admission.refused, stats.ignored), (2, 0, 1));
}

#[test]
fn an_order_that_waits_can_be_made_smaller_or_marked_otherwise() {
    let mut stage = busy();
    let sell = enter(1, b'S', 10, "HOT", 2_000_000, codes::DAY);
    let modify = Inbound::ModifyOrder(ModifyOrder { user_ref: 1, side: b'T', quantity: 8 });
    stage.say("ALICE", &[sell, modify, cancel(1, 7), bid(2, COLD)]);
    // It all goes on in the order in which it came, and the other book's order after it.
    assert_eq!((stage.venue.waiting(HOT), stage.venue.waiting(COLD)), (2, 0));
    stage.settle();
    let first = "A 1 S 10 HOT 200.0000 0 YPNN L 0-3";
    // Books answer in their own time.
    let told = stage.hears("ALICE");
    let hot: Vec<_> = told.iter().filter(|text| !text.contains("COLD")).collect();
    assert_eq!(hot, [first, "M 1 T 8", "C 1 1 U"]);
    assert!(told.contains(&accepted(2, COLD, 1)));
    // Of an order that is refused, nothing is made smaller.
    let mut stage = busy();
    stage.say("ALICE", &[bid(1, HOT), cancel(1, 5), bid(2, COLD)]);
    stage.wait(100_001);
    assert_eq!(stage.hears("ALICE"), ["J 1 0x28"]);
    stage.settle();
    assert_eq!(stage.hears("ALICE"), [accepted(2, COLD, 1)]);
}

#[test]
fn replacements_wait_for_the_order_that_they_replace() {
    let mut stage = busy();
    stage.say("ALICE", &[bid(1, HOT), replace(1, 2, 20, 1_010_000), replace(2, 3, 30, 1_020_000)]);
    stage.settle();
    assert_eq!(
        stage.hears("ALICE"),
        [
            accepted(1, HOT, 3).as_str(),
            "U 1 2 B 20 HOT 101.0000 0 YPNN L 0-4",
            "U 2 3 B 30 HOT 102.0000 0 YPNN L 0-5",
        ]
    );
    // Without the order there is nothing to replace: ignored, and the number is free.
    let mut stage = busy();
    stage.say("ALICE", &[bid(1, HOT), replace(1, 2, 20, 1_010_000), replace(2, 3, 30, 1_020_000)]);
    stage.say("ALICE", &[cancel(1, 0), Inbound::AccountQuery]);
    stage.settle();
    assert_eq!(stage.hears("ALICE"), ["J 1 0x28", "Q 2"]);
}

#[test]
fn a_replacement_that_waited_too_long_leaves_the_old_order_as_it_was() {
    let mut stage = Stage::new(LIMITS);
    stage.say("ALICE", &[bid(1, HOT)]);
    stage.settle();
    stage.say("BOB", &[bid(1, HOT), bid(2, HOT)]);
    stage.say("ALICE", &[replace(1, 2, 20, 1_010_000)]);
    stage.wait(100_001);
    assert_eq!(stage.hears("ALICE"), [accepted(1, HOT, 1).as_str(), "J 2 0x28"]);
    stage.say("ALICE", &[cancel(1, 0)]);
    stage.settle();
    assert_eq!(stage.hears("ALICE"), ["C 1 10 U"]);
}

#[test]
fn canceling_a_replacement_that_waits_leaves_nothing_open() {
    let mut stage = Stage::new(LIMITS);
    stage.say("ALICE", &[bid(1, HOT)]);
    stage.settle();
    stage.say("BOB", &[bid(1, HOT), bid(2, HOT)]);
    stage.say("ALICE", &[replace(1, 2, 20, 1_010_000), replace(2, 3, 30, 1_020_000), cancel(3, 0)]);
    stage.say("ALICE", &[Inbound::AccountQuery]);
    stage.settle();
    // As if it had been replaced by nothing; the numbers are free.
    assert_eq!(stage.hears("ALICE"), [accepted(1, HOT, 1).as_str(), "Q 2", "C 1 10 Z"]);
    stage.say("ALICE", &[bid(2, HOT)]);
    stage.settle();
    assert_eq!(stage.hears("ALICE"), [accepted(2, HOT, 4)]);
}

#[test]
fn a_cancel_of_an_order_goes_before_its_replacement_that_waits() {
    let mut stage = Stage::new(LIMITS);
    stage.say("ALICE", &[bid(1, HOT)]);
    stage.settle();
    stage.say("BOB", &[bid(1, HOT), bid(2, HOT)]);
    stage.say("ALICE", &[replace(1, 2, 20, 1_010_000), cancel(1, 0)]);
    stage.settle();
    assert_eq!(stage.hears("ALICE"), [accepted(1, HOT, 1).as_str(), "C 1 10 U"]);
    stage.say("ALICE", &[Inbound::AccountQuery]);
    assert_eq!(stage.hears("ALICE"), ["Q 2"]);
}

#[test]
fn a_replacement_that_cannot_be_waits_in_its_turn_too() {
    let mut stage = Stage::new(LIMITS);
    stage.say("ALICE", &[bid(1, HOT)]);
    stage.settle();
    stage.say("BOB", &[bid(1, HOT), bid(2, HOT)]);
    // Off the tick. (Books answer in their own time.) The number after it would be above its own if it were used first.
    stage.say("ALICE", &[replace(1, 2, 20, 1), bid(3, COLD)]);
    assert_eq!(stage.venue.waiting(COLD), 0);
    stage.settle();
    assert_eq!(stage.hears("ALICE"), [accepted(1, HOT, 1).as_str(), &accepted(3, COLD, 1), "C 1 10 Z"]);
}

#[test]
fn a_repetition_is_ignored_while_the_first_waits() {
    let mut stage = busy();
    let all = [bid(3, HOT), replace(3, 4, 20, 1_010_000), bid(5, COLD)];
    stage.say("ALICE", &all);
    stage.say("ALICE", &all);
    stage.say("ALICE", &[bid(1, COLD), bid(5, HOT)]);
    assert_eq!(stage.stats().ignored, 5);
    stage.settle();
    let second = "U 3 4 B 20 HOT 101.0000 0 YPNN L 0-4";
    assert_eq!(stage.hears("ALICE"), [&accepted(5, COLD, 1), &accepted(3, HOT, 3), second]);
}

#[test]
fn a_session_keeps_its_order_across_books_and_holds_nobody_else_up() {
    let mut stage = busy();
    let nonsense = enter(3, b'B', 10, "NONE", 1_000_000, codes::DAY);
    stage.say("ALICE", &[bid(1, HOT), bid(2, COLD), nonsense, Inbound::AccountQuery, bid(4, COLD)]);
    stage.say("CAROL", &[bid(1, COLD)]);
    stage.execute(COLD, 1);
    assert_eq!((stage.hears("ALICE"), stage.hears("CAROL")), (vec![], vec![accepted(1, COLD, 1)]));
    stage.wait(100_001);
    stage.settle();
    // What waited only for its session has not waited too long.
    assert_eq!(
        stage.hears("ALICE"),
        ["J 1 0x28", "J 3 0x17", "Q 4", &accepted(2, COLD, 2), &accepted(4, COLD, 3)]
    );
}

#[test]
fn what_a_connection_left_waiting_is_answered_to_the_next() {
    let mut stage = busy();
    stage.log_in("ALICE", 0);
    stage.say("ALICE", &[bid(1, HOT), bid(2, HOT)]);
    stage.hang_up("ALICE");
    stage.log_in("ALICE", 2);
    stage.say("ALICE", &[bid(1, HOT), bid(2, HOT), bid(3, HOT)]);
    stage.log_out("ALICE");
    stage.settle();
    stage.log_in("ALICE", 2);
    assert_eq!(stage.hears("ALICE"), (1..4).map(|n| accepted(n, HOT, u64::from(n) + 2)).collect::<Vec<_>>());
}

#[test]
fn a_second_login_finds_what_waits() {
    let mut stage = busy();
    stage.say("ALICE", &[bid(1, HOT)]);
    stage.log_in("ALICE", 0);
    stage.say("ALICE", &[bid(1, HOT), cancel(1, 0)]);
    assert_eq!(stage.hears("ALICE"), ["J 1 0x28"]);
}

#[test]
fn an_order_is_judged_when_its_turn_comes() {
    let mut stage = busy();
    stage.say("ALICE", &[bid(1, HOT)]);
    stage.venue.takes_orders = false;
    // Cancels are taken all the same, and what comes now waits for its turn behind the other.
    stage.say("ALICE", &[bid(2, COLD)]);
    stage.say("BOB", &[cancel(1, 0)]);
    stage.settle();
    assert_eq!(stage.hears("ALICE"), ["J 1 0x02", "J 2 0x02"]);
    assert_eq!(stage.hears("BOB"), [&accepted(1, HOT, 1), &accepted(2, HOT, 2), "C 1 10 U"]);
}

#[test]
fn without_room_in_the_log_everyone_waits() {
    let mut stage = busy();
    stage.say("ALICE", &[bid(1, HOT), bid(2, HOT)]);
    stage.venue.has_room = false;
    stage.wait(1_000_000);
    stage.say("CAROL", &[bid(1, COLD)]);
    assert_eq!((stage.venue.commands.len(), stage.stats().admission.held_orders), (USERS.len() + 2, 2));
    stage.venue.has_room = true;
    stage.turn();
    assert_eq!(stage.hears("ALICE"), ["J 1 0x28", "J 2 0x28"]);
    stage.settle();
    assert_eq!(stage.hears("CAROL"), [accepted(1, COLD, 1)]);
}

#[test]
fn a_session_that_sends_too_much_harms_itself_alone() {
    let mut stage = busy();
    let flood: Vec<_> = (1..=20).map(|n| bid(n, HOT)).collect();
    stage.say("ALICE", &flood);
    // Its oldest made room for its newest, in turn.
    let refused: Vec<_> = (1..=12).map(|n| format!("J {n} 0x28")).collect();
    assert_eq!(stage.hears("ALICE"), refused);
    stage.say("CAROL", &[bid(1, HOT)]);
    // Cancels have room of their own, and beyond that wait in their connection alone.
    let cancels: Vec<_> = std::iter::repeat_n(cancel(1, 0), 10).collect();
    stage.say("BOB", &cancels);
    let stats = stage.stats();
    assert_eq!((stats.admission.held_orders, stats.admission.held_cancels), (9, 8));
    assert!(stats.stalled > 0);
    stage.say("CAROL", &[cancel(1, 0)]);
    assert_eq!(stage.hears("CAROL"), ["J 1 0x28"]);
    stage.settle();
    assert_eq!(stage.hears("ALICE").len(), 8);
    assert_eq!(stage.hears("BOB").last().expect("an answer"), "C 1 10 U");
}

#[test]
fn a_full_queue_refuses_at_once() {
    let mut stage = busy();
    for (user, orders) in [("ALICE", 8), ("CAROL", 8)] {
        let orders: Vec<_> = (1..=orders).map(|n| bid(n, HOT)).collect();
        stage.say(user, &orders);
    }
    stage.say("DAVE", &[bid(1, HOT), bid(2, COLD)]);
    stage.settle();
    assert_eq!(stage.hears("DAVE"), ["J 1 0x28", &accepted(2, COLD, 1)]);
    assert_eq!((stage.hears("ALICE").len(), stage.hears("CAROL").len()), (8, 8));
}

#[test]
fn a_stop_answers_what_waits() {
    let mut stage = busy();
    stage.say("ALICE", &[bid(1, HOT), bid(2, HOT), cancel(1, 0)]);
    stage.gateway.stop_receiving();
    stage.settle();
    assert_eq!(stage.hears("ALICE"), ["J 1 0x28", &accepted(2, HOT, 3)]);
    assert!(!stage.gateway.is_holding());
}

/// Anything at any time, and now and then the process dies: what was sequenced is there after it, and every request has
/// exactly one answer, those included that had none when it died and are sent again as the protocol says.
#[test]
fn every_request_has_one_answer_and_nothing_sequenced_is_lost() {
    let seed = seed();
    let (mut admission, mut deaths) = (gateway::AdmissionStats::default(), 0);
    for round in 0..20 {
        let mut flow = Flow::new(seed.wrapping_add(round));
        flow.run(400);
        deaths += flow.deaths;
        admission.admitted += flow.admission.admitted;
        admission.refused += flow.admission.refused;
        admission.taken_back += flow.admission.taken_back;
        admission.overtook += flow.admission.overtook;
    }
    println!("{admission:?}, {deaths} deaths");
    for count in [admission.admitted, admission.refused, admission.taken_back, admission.overtook, deaths] {
        assert!(count > 20, "the runs say too little");
    }
}

const TRADERS: [&str; 4] = ["ALICE", "BOB", "CAROL", "DAVE"];

/// One user's side of a random flow.
#[derive(Default)]
struct Trader {
    next_ref: u32,
    /// What uses up numbers, by number, in the order in which it was sent.
    sent: BTreeMap<u32, Inbound<'static>>,
    /// By number: how often it was accepted or rejected, or came to be by a replacement.
    answered: BTreeMap<u32, u32>,
    /// By number: units open.
    open: BTreeMap<u32, u32>,
}

struct Flow {
    stage: Stage,
    random: Xoshiro256StarStar,
    limits: AdmissionLimits,
    traders: [Trader; 4],
    admission: gateway::AdmissionStats,
    deaths: u64,
}

impl Flow {
    fn new(seed: u64) -> Self {
        let mut random = Xoshiro256StarStar::seed_from_u64(seed);
        let limits = AdmissionLimits {
            window: random.random_range(1..5),
            sojourn_nanos: random.random_range(1_000..200_000),
            book_max: random.random_range(2..20),
            session_max: random.random_range(2..20),
            held_max: random.random_range(4..40),
        };
        let mut stage = Stage::new(limits);
        for user in TRADERS {
            stage.log_in(user, 0);
        }
        let (traders, admission) = (Default::default(), gateway::AdmissionStats::default());
        Self { stage, random, limits, traders, admission, deaths: 0 }
    }

    fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            match self.random.random_range(0..100) {
                0..55 => self.say(),
                55..75 => {
                    let (book, most) = (self.random.random_range(0..3), self.random.random_range(0..6));
                    self.stage.execute(book, most);
                }
                75..90 => {
                    let nanos = self.random.random_range(0..self.limits.sojourn_nanos);
                    self.stage.wait(nanos);
                }
                90..93 => self.stage.venue.takes_orders ^= true,
                93..95 => {
                    self.stage.venue.has_room = false;
                    self.say();
                    self.stage.wait(1_000);
                    self.stage.venue.has_room = true;
                }
                95 => self.die(),
                _ => _ = self.hear(),
            }
            for book in 0..3 {
                assert!(self.stage.venue.waiting(book) <= self.limits.window as usize);
            }
        }
        self.stage.venue.takes_orders = true;
        // What the sockets have not delivered yet is before the last order of its session.
        for (user, trader) in TRADERS.into_iter().zip(&mut self.traders) {
            trader.next_ref += 1;
            let last = bid(trader.next_ref, COLD);
            trader.sent.insert(trader.next_ref, last);
            self.stage.say(user, &[last]);
        }
        while self.traders.iter().any(|trader| !trader.answered.contains_key(&trader.next_ref)) {
            self.stage.settle();
            self.hear();
        }
        self.count();
        self.check();
    }

    fn say(&mut self) {
        let at = self.random.random_range(0..TRADERS.len());
        let mut requests = Vec::new();
        for _ in 0..self.random.random_range(1..6) {
            requests.push(self.request(at));
            if self.random.random_bool(0.1) {
                requests.push(*requests.last().expect("one"));
            }
        }
        self.stage.say(TRADERS[at], &requests);
    }

    fn request(&mut self, at: usize) -> Inbound<'static> {
        let (trader, random) = (&mut self.traders[at], &mut self.random);
        let recent = random.random_range(0..6).min(trader.next_ref);
        let user_ref = trader.next_ref - recent;
        match random.random_range(0..10) {
            0..5 => {
                trader.next_ref += random.random_range(1..3);
                let book = random.random_range(0..4_usize).saturating_sub(1);
                let side = if random.random_bool(0.5) { b'B' } else { b'S' };
                let price = 1_000_000 + 10_000 * random.random_range(0..3);
                let symbol = if random.random_bool(0.03) { "NONE" } else { SYMBOLS[book] };
                let request =
                    enter(trader.next_ref, side, random.random_range(1..50), symbol, price, codes::DAY);
                trader.sent.insert(trader.next_ref, request);
                request
            }
            5..7 => Inbound::CancelOrder(CancelOrder { user_ref, quantity: 0 }),
            7 => {
                let quantity = random.random_range(1..50);
                Inbound::CancelOrder(CancelOrder { user_ref, quantity })
            }
            8 => {
                trader.next_ref += 1;
                let price = if random.random_bool(0.1) { 1 } else { 1_000_000 };
                let request = replace(user_ref, trader.next_ref, random.random_range(1..50), price);
                trader.sent.insert(trader.next_ref, request);
                request
            }
            _ => Inbound::AccountQuery,
        }
    }

    /// Every trader reads what is there, and keeps its accounts.
    fn hear(&mut self) -> [u32; 4] {
        let mut next = [0; 4];
        for (at, user) in TRADERS.into_iter().enumerate() {
            for said in self.stage.heard(user) {
                let trader = &mut self.traders[at];
                match said.message() {
                    Outbound::Accepted(m) => {
                        *trader.answered.entry(m.user_ref).or_default() += 1;
                        trader.open.insert(m.user_ref, m.quantity);
                    }
                    Outbound::Rejected(m) => *trader.answered.entry(m.user_ref).or_default() += 1,
                    Outbound::Replaced(m) => {
                        *trader.answered.entry(m.user_ref).or_default() += 1;
                        trader.open.remove(&m.original);
                        trader.open.insert(m.user_ref, m.quantity);
                    }
                    Outbound::Executed(m) => trader.smaller(m.user_ref, m.quantity),
                    Outbound::Canceled(m) => trader.smaller(m.user_ref, m.quantity),
                    Outbound::AccountQueryResponse(m) => next[at] = m.next_user_ref,
                    other => panic!("{user}: {other:?}"),
                }
            }
        }
        next
    }

    /// The process dies, with all that waits. Everyone comes back, asks, and sends again what it must.
    fn die(&mut self) {
        self.deaths += 1;
        self.hear();
        self.count();
        // What was executed and not said before it died is said after.
        let told: Vec<u64> = (0..4).map(|session| self.stage.told(SessionId(session))).collect();
        self.stage.restart(self.limits);
        for (at, user) in TRADERS.into_iter().enumerate() {
            self.stage.log_in(user, told[at] + 1);
            self.stage.say(user, &[Inbound::AccountQuery]);
        }
        let next = self.hear();
        for (at, user) in TRADERS.into_iter().enumerate() {
            assert!(next[at] > 0, "{user} is told its next number");
            let again: Vec<_> =
                self.traders[at].sent.range(next[at]..).map(|(_, request)| *request).collect();
            for requests in again.chunks(5) {
                self.stage.say(user, requests);
            }
        }
    }

    fn count(&mut self) {
        let stats = self.stage.stats().admission;
        self.admission.admitted += stats.admitted;
        self.admission.refused += stats.refused;
        self.admission.taken_back += stats.taken_back;
        self.admission.overtook += stats.overtook;
    }

    fn check(&self) {
        for (session, trader) in (0..).map(SessionId).zip(&self.traders) {
            let mut gone = 0;
            for (number, request) in &trader.sent {
                let answers = trader.answered.get(number).copied().unwrap_or(0);
                match request {
                    // In a replacement's place may stand silence, when there was nothing to replace, or a Canceled.
                    Inbound::ReplaceOrder(ReplaceOrder { .. }) => {
                        assert!(answers <= 1);
                        gone += u32::from(answers == 0);
                    }
                    _ => assert_eq!(answers, 1, "{}: order {number}", TRADERS[session.0 as usize]),
                }
            }
            assert!(trader.answered.len() + gone as usize == trader.sent.len());
            // The numbers were used up in turn.
            let used: Vec<ClientRef> =
                self.stage.venue.commands.iter().filter_map(|c| uses(&c.command, session)).collect();
            assert!(used.is_sorted_by(|a, b| a < b), "{session}: {used:?}");
            // Both sides agree on what is open.
            let open = self.stage.gateway.sessions().get(session).expect("a session");
            let theirs: Vec<u32> = open.orders.iter().map(|(number, _)| number.0).collect();
            let ours: Vec<u32> = trader.open.keys().copied().collect();
            assert_eq!(ours, theirs, "{session}");
        }
    }
}

impl Trader {
    fn smaller(&mut self, user_ref: u32, quantity: u32) {
        let open = self.open.get_mut(&user_ref).expect("an open order");
        *open -= quantity;
        if *open == 0 {
            self.open.remove(&user_ref);
        }
    }
}

/// The number that a command uses up for sure.
fn uses(command: &Command, session: SessionId) -> Option<ClientRef> {
    let (whose, number) = match command {
        Command::Enter(enter) => (enter.owner.session, enter.owner.client_ref),
        Command::Rejected(rejected) => (rejected.session, rejected.client_ref),
        _ => return None,
    };
    (whose == session).then_some(number)
}

/// The real exchange with next to no patience: much is refused, everyone is answered once, and the journal means the same.
#[test]
fn an_exchange_that_refuses_much_answers_everyone_once() {
    const ORDERS: u32 = 2_000;
    let admission = "window = 1\nsojourn_us = 20\nheld_session = 256";
    let args = ["--shards", "2", "--inline", "0", "--status", "0.05"];
    let home = Home::new(Settings { ack: "memory", admission, ..Settings::args(&args) });
    let mut venue = home.start();
    let mut clients: Vec<_> = USERS[..4].iter().map(|user| venue.client(user)).collect();
    for first in (1..ORDERS).step_by(50) {
        for client in &mut clients {
            for user_ref in first..first + 50 {
                client.put(&enter(user_ref, b'B', 10, "AAPL", 1_000_000, codes::DAY));
            }
            client.flush();
        }
    }
    let (mut accepted, mut refused) = (0, 0);
    for client in &mut clients {
        let (mut told, next) = client.query();
        assert_eq!(next, ORDERS + 1, "a query is answered after all that came before it");
        let mut answers = vec![0; ORDERS as usize + 1];
        let mut answered = 0;
        loop {
            for said in told.drain(..) {
                let user_ref = match said.message() {
                    Outbound::Accepted(m) => {
                        accepted += 1;
                        m.user_ref
                    }
                    Outbound::Rejected(m) => {
                        assert_eq!(m.reason, 0x28);
                        refused += 1;
                        m.user_ref
                    }
                    Outbound::AccountQueryResponse(_) => continue,
                    other => panic!("{other:?}"),
                };
                answers[user_ref as usize] += 1;
                answered += 1;
            }
            if answered == ORDERS {
                break;
            }
            told.push(client.next());
        }
        assert!(answers[1..].iter().all(|times| *times == 1));
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(accepted > 0 && refused > 0, "nothing was at stake");
    let mut status = venue.line("status");
    while status["admission"]["refused"] != refused {
        status = venue.line("status");
    }
    assert_eq!(status["admission"]["held_orders"], 0);
    let state = venue.stop_state();
    assert_eq!(state, home.replay(1)["state"].as_str().expect("a state"));
}
