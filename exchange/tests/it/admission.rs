//! What clients see of admission: orders that wait for a busy book, and all that may happen meanwhile.
//!
//! The conversations run against books that execute when the test says so (`paused`), so that who waits is not left to
//! chance. `HOT` is at its window of two wherever a test begins with [`busy`].

mod flow;

use gateway::AdmissionLimits;
use serde_json::Value;
use wire::ouch::{
    Inbound, Outbound, codes,
    inbound::{self, ModifyOrder},
};

use crate::{
    client::{cancel, enter, padded, replace},
    paused::{SYMBOLS, Stage},
    venue::{Home, Settings, USERS},
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
fn a_full_ring_is_a_full_window() {
    let mut stage = busy();
    stage.say("ALICE", &[bid(1, HOT), bid(2, COLD)]);
    // The cold book has said that it has room for two.
    stage.say("CAROL", &[bid(1, COLD)]);
    stage.venue.full[COLD] = true;
    stage.execute(HOT, 2);
    assert_eq!((stage.venue.waiting(HOT), stage.venue.waiting(COLD)), (1, 1));
    stage.say("CAROL", &[cancel(1, 0)]);
    assert!(stage.stats().stalled > 0);
    stage.venue.full[COLD] = false;
    stage.settle();
    assert_eq!(stage.hears("ALICE"), [accepted(1, HOT, 3), accepted(2, COLD, 2)]);
    assert_eq!(stage.hears("CAROL"), [&accepted(1, COLD, 1), "C 1 10 U"]);
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

/// The real exchange with next to no patience: much is refused, everyone is answered once, and the journal means the same.
#[test]
fn an_exchange_that_refuses_much_answers_everyone_once() {
    const ORDERS: u32 = 2_000;
    let admission = "window = 1\nsojourn_us = 20\nheld_session = 16";
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
    // Lines of earlier moments come first: the last refusal may be behind orders that are still held, and accepted later.
    let settled = |status: &Value| {
        (&status["admission"]["refused"], &status["admission"]["held_orders"]) == (&refused.into(), &0.into())
    };
    while !settled(&venue.line("status")) {}
    let state = venue.stop_state();
    assert_eq!(state, home.replay(1)["state"].as_str().expect("a state"));
}

/// It comes after what its session sent before it, when its book has room, and each session has one in a while.
#[test]
fn a_mass_cancel_stays_unread_until_it_can_go() {
    let mass_cancel = |user_ref: u32, symbol: &str, side: u8| {
        Inbound::MassCancel(inbound::MassCancel { user_ref, symbol: padded(symbol), side })
    };
    let mut stage = busy();
    stage.say("ALICE", &[bid(1, HOT), mass_cancel(2, "HOT", b' '), bid(3, HOT)]);
    assert_eq!((stage.stats().admission.held_orders, stage.venue.commands.len()), (1, USERS.len() + 2));
    // The order goes, then the book is full again; then all of it goes in turn.
    stage.execute(HOT, 1);
    assert_eq!(stage.venue.commands.len(), USERS.len() + 3);
    stage.settle();
    assert_eq!(stage.hears("ALICE"), [&accepted(1, HOT, 3), "C 1 10 U", "L 2 HOT 1", &accepted(3, HOT, 4)]);
    // Another one too soon is refused, in time it is not; another session's own is its own.
    stage.say("ALICE", &[mass_cancel(4, "HOT", b'B')]);
    stage.say("BOB", &[mass_cancel(9, "HOT", b'S')]);
    stage.settle();
    assert_eq!(stage.hears("ALICE"), ["J 4 0x28"]);
    assert_eq!(stage.hears("BOB").last().expect("an answer"), "L 9 HOT 0");
    stage.wait(100_000_000);
    stage.say("ALICE", &[mass_cancel(4, "HOT", b'B'), mass_cancel(5, "HOT", b'B')]);
    stage.settle();
    assert_eq!(stage.hears("ALICE"), ["C 3 10 U", "L 5 HOT 1"]);
    // A ring that is full stalls one of every book, and nobody else.
    stage.say("ALICE", &[bid(6, HOT)]);
    stage.settle();
    stage.hears("ALICE");
    stage.wait(100_000_000);
    stage.venue.full[COLD] = true;
    let before = stage.venue.commands.len();
    stage.say("ALICE", &[mass_cancel(7, "", b' ')]);
    assert_eq!(stage.venue.commands.len(), before);
    stage.say("BOB", &[bid(10, HOT)]);
    assert_eq!(stage.venue.commands.len(), before + 1);
    stage.venue.full[COLD] = false;
    stage.turn();
    let last = stage.venue.commands.last().expect("a command").command;
    assert!(last.is_market_wide(), "{last:?}");
}
