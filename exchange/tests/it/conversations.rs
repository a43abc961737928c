//! What clients say and are answered: logins, then conversations as text, as `script` writes them.

use std::time::Duration;

use client::ClientError;
use wire::{
    ouch::{Inbound, Outbound, codes},
    soup::{LoginRejected, kind},
};

use crate::{
    client::{Client, Raw, cancel, enter, login_bytes, packet_bytes, request_bytes},
    script::{play, written},
    venue::{Home, PASSWORD, Settings, eventually},
};

fn refusal(error: ClientError) -> LoginRejected {
    match error {
        ClientError::LoginRefused { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn logins_are_let_in_or_told_why_not() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let login = |user, password, session, from| {
        Client::try_log_in(venue.address, user, password, session, from)
            .map(|client| client.connection.next_sequence())
    };
    let refused = |result: Result<u64, ClientError>| refusal(result.expect_err("it must be refused"));

    assert_eq!(refused(login("ALICE", "guess", "", 1)), LoginRejected::NotAuthorized);
    assert_eq!(refused(login("NOBODY", PASSWORD, "", 1)), LoginRejected::NotAuthorized);
    assert_eq!(refused(login("ALICE", "", "", 1)), LoginRejected::NotAuthorized);
    assert_eq!(refused(login("ALICE", PASSWORD, "2", 1)), LoginRejected::SessionNotAvailable);
    // A wrong password is not told apart from a wrong session.
    assert_eq!(refused(login("ALICE", "guess", "2", 1)), LoginRejected::NotAuthorized);

    // The session's first message is its start of day, number 1.
    assert_eq!(login("ALICE", PASSWORD, "", 1).expect("in"), 1);
    assert_eq!(login("ALICE", PASSWORD, "1", 1).expect("in"), 1);
    assert_eq!(login("ALICE", PASSWORD, "", 0).expect("in"), 2);
    assert_eq!(login("ALICE", PASSWORD, "", 2).expect("in"), 2);
    // What lies in the future is taken for the next.
    assert_eq!(login("ALICE", PASSWORD, "", 1_000_000).expect("in"), 2);
    assert_eq!(login("ALICE", PASSWORD, "", u64::MAX).expect("in"), 2);
    assert_eq!(login("alice", "SECRET", "", 1).expect("in"), 1);
    assert_eq!(login("aLiCe", "sEcReT", "", 1).expect("in"), 1);
}

#[test]
fn a_refused_login_is_answered_by_one_packet_and_the_end() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    for (login, reason) in
        [(login_bytes("ALICE", "guess", "", 1), b'A'), (login_bytes("ALICE", PASSWORD, "NONE", 1), b'S')]
    {
        let mut raw = Raw::connect(venue.address);
        raw.write(&login);
        assert_eq!(raw.until_closed(), [(kind::LOGIN_REJECTED, vec![reason])]);
    }
}

#[test]
fn a_login_is_answered_with_the_session_and_its_next_number() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let mut raw = Raw::connect(venue.address);
    raw.write(&login_bytes("alice", "secret", "", 1));
    let (kind, payload) = raw.answer().expect("an answer");
    assert_eq!((kind, payload.as_slice()), (b'A', &b"         1                   1"[..]));
    let (kind, payload) = raw.answer().expect("the start of day");
    assert_eq!((kind, payload.len(), payload[0], payload[9]), (b'S', 10, b'S', b'S'));
}

#[test]
fn a_second_login_closes_the_first() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let mut first = venue.client("ALICE");
    first.ask(&enter(1, b'B', 10, "AAPL", 1_000_000, codes::DAY));
    first.next();
    let mut second = venue.client("ALICE");
    assert_eq!(first.until_closed(), []);
    // The order lives on, and the new connection has it.
    second.ask(&cancel(1, 0));
    assert_eq!(written(&second.next()).0, "C 1 10 U");
    eventually("the log says so", || home.log_lines("its session logged in again elsewhere").len() == 1);
}

#[test]
fn the_server_sends_heartbeats_while_nothing_happens() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let mut raw = Raw::connect(venue.address);
    raw.write(&login_bytes("ALICE", PASSWORD, "", 0));
    assert_eq!(raw.packet().expect("an answer").0, kind::LOGIN_ACCEPTED);
    for _ in 0..2 {
        assert_eq!(raw.packet().expect("a heartbeat"), (kind::SERVER_HEARTBEAT, vec![]));
    }
}

#[test]
fn who_is_silent_or_does_not_log_in_is_cut_off() {
    let home = Home::new(Settings { login_timeout_s: 1, silence_s: 1, ..Settings::default() });
    let venue = home.start();
    let mut mute = Raw::connect(venue.address);
    let mut silent = Raw::connect(venue.address);
    silent.write(&login_bytes("ALICE", PASSWORD, "", 0));
    let mut alive = Raw::connect(venue.address);
    alive.write(&login_bytes("BOB", PASSWORD, "", 0));
    for _ in 0..8 {
        assert!(!alive.ends_within(Duration::from_millis(200)));
        alive.write(&packet_bytes(kind::CLIENT_HEARTBEAT, b""));
    }
    assert_eq!(mute.until_closed(), []);
    silent.until_closed();
    eventually("the log says why", || {
        let has = |name: String, why: &str| home.log_lines(&name).iter().any(|line| line.contains(why));
        has(mute.name(), "no login in time") && has(silent.name(), "nothing heard for too long")
    });
}

#[test]
fn a_logout_closes_and_what_was_sent_before_it_counts() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let mut raw = Raw::connect(venue.address);
    raw.write(&login_bytes("ALICE", PASSWORD, "", 0));
    let order = request_bytes(&enter(1, b'B', 10, "AAPL", 1_000_000, codes::DAY));
    raw.write(&[order, packet_bytes(kind::LOGOUT_REQUEST, b"")].concat());
    raw.until_closed();
    // The order is in, and its report waits for whoever comes back.
    let mut client = venue.client_from("ALICE", 2);
    assert_eq!(written(&client.next()).0, "A 1 B 10 AAPL 100.0000 0 YPNN L 0-1");
}

#[test]
fn debug_packets_and_heartbeats_are_taken_and_not_answered() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let mut raw = Raw::connect(venue.address);
    raw.write(&packet_bytes(kind::DEBUG, b"hello"));
    raw.write(&login_bytes("ALICE", PASSWORD, "", 0));
    raw.write(&packet_bytes(kind::DEBUG, b"hello"));
    raw.write(&packet_bytes(kind::CLIENT_HEARTBEAT, b""));
    raw.write(&request_bytes(&Inbound::AccountQuery));
    assert_eq!(raw.answer().expect("an answer").0, kind::LOGIN_ACCEPTED);
    let (kind, payload) = raw.answer().expect("an answer");
    assert_eq!((kind, payload[0]), (b'S', b'Q'));
}

#[test]
fn both_sides_of_a_trade_hear_of_it_at_the_same_time_under_the_same_number() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let (mut maker, mut taker) = (venue.client("ALICE"), venue.client("BOB"));
    maker.ask(&enter(1, b'S', 100, "MSFT", 1_000_000, codes::DAY));
    maker.next();
    taker.ask(&enter(7, b'B', 30, "MSFT", 1_010_000, codes::DAY));
    let (accepted, taken, made) = (taker.next(), taker.next(), maker.next());
    let Outbound::Accepted(accepted) = accepted.message() else { panic!("{accepted:?}") };
    let (Outbound::Executed(taken), Outbound::Executed(made)) = (taken.message(), made.message()) else {
        panic!("{taken:?} {made:?}")
    };
    assert_eq!((accepted.timestamp, taken.timestamp), (taken.timestamp, made.timestamp));
    assert_eq!(taken.match_number, made.match_number);
    assert_eq!((made.liquidity, taken.liquidity), (b'A', b'R'));
    assert_eq!((made.user_ref, taken.user_ref), (1, 7));
    assert_eq!((made.price, taken.price), (1_000_000, 1_000_000));
}

/// Orders and replacements are held against the smallest and largest quantity and notional. A market order has no price,
/// and a cancel may leave less.
#[test]
fn what_an_order_is_worth_has_bounds() {
    let bounds =
        r#", quantity_min = 10, quantity_max = 500, notional_min = "5.00", notional_max = "20000.00""#;
    play(
        Settings { nvda: bounds, ..Settings::default() },
        "
        ALICE> O 1 B 9 NVDA 200.00 0
        ALICE> O 2 B 501 NVDA 10.00 0
        ALICE> O 3 B 10 NVDA 0.49 0
        ALICE> O 4 B 100 NVDA 200.01 0
        ALICE< J 1 0x13
        ALICE< J 2 0x13
        ALICE< J 3 0x06
        ALICE< J 4 0x1f
        ALICE> O 5 B 10 NVDA 0.50 0
        ALICE> O 6 B 100 NVDA 200.00 3
        ALICE> O 7 S 10 NVDA market 3
        ALICE< A 5 B 10 NVDA 0.5000 0 YPNN L 2-1
        ALICE< A 6 B 100 NVDA 200.0000 3 YPNN L 2-2
        ALICE< C 6 100 I
        ALICE< A 7 S 10 NVDA market 3 YPNN L 2-3
        ALICE< E 5 10 0.5000 A 2-1
        ALICE< E 7 10 0.5000 R 2-1
        ALICE> O 8 S 9 NVDA market 3
        ALICE< J 8 0x13
        ALICE> O 9 B 20 NVDA 100.00 G
        ALICE> X 9 1
        ALICE> U 9 10 15 100.00 G
        ALICE> U 10 11 14 0.35 G
        ALICE< A 9 B 20 NVDA 100.0000 G YPNN L 2-4
        ALICE< C 9 19 U
        ALICE< U 9 10 B 15 NVDA 100.0000 G YPNN L 2-5
        ALICE< C 10 15 Z
        # Bounds of others are their own.
        ALICE> O 13 B 1 AAPL 1.00 0
        ALICE< A 13 B 1 AAPL 1.0000 0 YPNN L 0-1
        ",
    );
}

#[test]
fn a_session_has_only_so_many_open_orders() {
    play(
        Settings { open_orders: 2, ..Settings::default() },
        "
        ALICE> O 1 B 10 AAPL 99.00 0
        ALICE< A 1 B 10 AAPL 99.0000 0 YPNN L 0-1
        ALICE> O 2 B 10 MSFT 99.00 0
        ALICE< A 2 B 10 MSFT 99.0000 0 YPNN L 1-1
        ALICE> O 3 B 10 AAPL 99.00 0 id=third
        ALICE< J 3 0x20 id=third
        # A replacement makes no more of them.
        ALICE> U 2 4 20 98.00 0
        ALICE< U 2 4 B 20 MSFT 98.0000 0 YPNN L 1-2
        # Others have their own.
        BOB> O 1 B 10 AAPL 99.00 0
        BOB< A 1 B 10 AAPL 99.0000 0 YPNN L 0-2
        ALICE> X 1 0
        ALICE< C 1 10 U
        ALICE> O 5 B 10 AAPL 99.00 0
        ALICE< A 5 B 10 AAPL 99.0000 0 YPNN L 0-3
        ",
    );
}

/// One test a conversation.
macro_rules! conversations {
    ($( $(#[$doc:meta])* $name:ident: $text:literal )*) => {
        $( $(#[$doc])* #[test] fn $name() { play(Settings::default(), $text); } )*
    };
}

conversations! {
    an_order_rests_and_is_canceled_once: "
        ALICE> O 1 B 100 AAPL 100.00 0 id=first
        ALICE< A 1 B 100 AAPL 100.0000 0 YPNN L 0-1 id=first
        ALICE> X 1 0
        ALICE< C 1 100 U
        ALICE> X 1 0
        ALICE> X 2 0
    "

    what_the_client_says_of_itself_is_repeated: "
        ALICE> O 1 S 100 AAPL 100.00 G id=ABCDEFGHIJKLMN echo=AOYN firm=FIRM customer=R
        ALICE< A 1 S 100 AAPL 100.0000 G AOYN L 0-1 id=ABCDEFGHIJKLMN
        ALICE> O 2 T 100 AAPL 100.01 0 echo=YAYN
        ALICE< A 2 T 100 AAPL 100.0100 0 YAYN L 0-2
        ALICE> O 3 E 100 AAPL 100.02 0 echo=YRNN
        ALICE< A 3 E 100 AAPL 100.0200 0 YRNN L 0-3
        # The replacement says display and sweep anew, and keeps side, capacity and cross.
        ALICE> U 3 4 100 100.03 G id=fourth echo=A-Y-
        ALICE< U 3 4 E 100 AAPL 100.0300 G ARYN L 0-4 id=fourth
    "

    two_sessions_trade_price_first_then_time: "
        ALICE> O 1 S 100 AAPL 100.00 0
        ALICE< A 1 S 100 AAPL 100.0000 0 YPNN L 0-1
        BOB> O 1 S 50 AAPL 100.00 0
        BOB< A 1 S 50 AAPL 100.0000 0 YPNN L 0-2
        BOB> O 2 S 50 AAPL 99.99 0
        BOB< A 2 S 50 AAPL 99.9900 0 YPNN L 0-3
        CAROL> O 1 B 170 AAPL 100.00 0
        CAROL< A 1 B 170 AAPL 100.0000 0 YPNN L 0-4
        CAROL< E 1 50 99.9900 R 0-1
        CAROL< E 1 100 100.0000 R 0-2
        CAROL< E 1 20 100.0000 R 0-3
        BOB< E 2 50 99.9900 A 0-1
        ALICE< E 1 100 100.0000 A 0-2
        BOB< E 1 20 100.0000 A 0-3
        # What is left of the maker is 30.
        BOB> X 1 0
        BOB< C 1 30 U
    "

    what_is_left_of_a_taker_rests: "
        ALICE> O 1 S 40 AAPL 100.00 0
        ALICE< A 1 S 40 AAPL 100.0000 0 YPNN L 0-1
        BOB> O 1 B 100 AAPL 101.00 0
        BOB< A 1 B 100 AAPL 101.0000 0 YPNN L 0-2
        BOB< E 1 40 100.0000 R 0-1
        ALICE< E 1 40 100.0000 A 0-1
        ALICE> O 2 S 60 AAPL 101.00 0
        ALICE< A 2 S 60 AAPL 101.0000 0 YPNN L 0-3
        ALICE< E 2 60 101.0000 R 0-2
        BOB< E 1 60 101.0000 A 0-2
    "

    a_session_may_trade_with_itself: "
        ALICE> O 1 S 40 AAPL 100.00 0
        ALICE< A 1 S 40 AAPL 100.0000 0 YPNN L 0-1
        ALICE> O 2 B 40 AAPL 100.00 0
        ALICE< A 2 B 40 AAPL 100.0000 0 YPNN L 0-2
        ALICE< E 1 40 100.0000 A 0-1
        ALICE< E 2 40 100.0000 R 0-1
    "

    books_are_apart: "
        ALICE> O 1 S 40 AAPL 100.00 0
        ALICE< A 1 S 40 AAPL 100.0000 0 YPNN L 0-1
        BOB> O 1 B 40 MSFT 100.00 0
        BOB< A 1 B 40 MSFT 100.0000 0 YPNN L 1-1
        BOB> O 2 B 40 AAPL 100.00 0
        BOB< A 2 B 40 AAPL 100.0000 0 YPNN L 0-2
        BOB< E 2 40 100.0000 R 0-1
        ALICE< E 1 40 100.0000 A 0-1
        ALICE> O 2 S 40 MSFT 100.00 0
        ALICE< A 2 S 40 MSFT 100.0000 0 YPNN L 1-2
        ALICE< E 2 40 100.0000 R 1-1
        BOB< E 1 40 100.0000 A 1-1
    "

    immediate_or_cancel_takes_what_is_there: "
        ALICE> O 1 S 40 AAPL 100.00 0
        ALICE< A 1 S 40 AAPL 100.0000 0 YPNN L 0-1
        ALICE> O 2 S 40 AAPL 100.01 0
        ALICE< A 2 S 40 AAPL 100.0100 0 YPNN L 0-2
        BOB> O 1 B 100 AAPL 100.00 3
        BOB< A 1 B 100 AAPL 100.0000 3 YPNN L 0-3
        BOB< E 1 40 100.0000 R 0-1
        BOB< C 1 60 I
        ALICE< E 1 40 100.0000 A 0-1
        BOB> O 2 B 100 AAPL 100.00 3
        BOB< A 2 B 100 AAPL 100.0000 3 YPNN L 0-4
        BOB< C 2 100 I
    "

    fill_or_kill_takes_all_or_nothing: "
        ALICE> O 1 S 40 AAPL 100.00 0
        ALICE< A 1 S 40 AAPL 100.0000 0 YPNN L 0-1
        ALICE> O 2 S 40 AAPL 100.01 0
        ALICE< A 2 S 40 AAPL 100.0100 0 YPNN L 0-2
        BOB> O 1 B 81 AAPL 100.01 3 min=81
        BOB< A 1 B 81 AAPL 100.0100 3 YPNN L 0-3 min=81
        BOB< C 1 81 I
        # There are 80, but not at this price.
        BOB> O 2 B 80 AAPL 100.00 3 min=80
        BOB< A 2 B 80 AAPL 100.0000 3 YPNN L 0-4 min=80
        BOB< C 2 80 I
        BOB> O 3 B 80 AAPL 100.01 3 min=80
        BOB< A 3 B 80 AAPL 100.0100 3 YPNN L 0-5 min=80
        BOB< E 3 40 100.0000 R 0-1
        BOB< E 3 40 100.0100 R 0-2
        ALICE< E 1 40 100.0000 A 0-1
        ALICE< E 2 40 100.0100 A 0-2
        # A minimum of nothing asks for nothing.
        BOB> O 4 B 80 AAPL 100.01 3 min=0
        BOB< A 4 B 80 AAPL 100.0100 3 YPNN L 0-6
        BOB< C 4 80 I
    "

    market_orders_trade_at_any_price_and_never_rest: "
        ALICE> O 1 S 40 AAPL 100.00 0
        ALICE< A 1 S 40 AAPL 100.0000 0 YPNN L 0-1
        ALICE> O 2 S 40 AAPL 199999.99 0
        ALICE< A 2 S 40 AAPL 199999.9900 0 YPNN L 0-2
        BOB> O 1 B 100 AAPL market 0
        BOB< A 1 B 100 AAPL market 0 YPNN L 0-3
        BOB< E 1 40 100.0000 R 0-1
        BOB< E 1 40 199999.9900 R 0-2
        BOB< C 1 20 I
        ALICE< E 1 40 100.0000 A 0-1
        ALICE< E 2 40 199999.9900 A 0-2
        # From 200,000.0000 up every price says market; what comes back is the customary one.
        BOB> O 2 S 10 AAPL 200000.0000 G
        BOB< A 2 S 10 AAPL market G YPNN L 0-4
        BOB< C 2 10 I
        BOB> O 3 S 10 AAPL market 3 min=10
        BOB< A 3 S 10 AAPL market 3 YPNN L 0-5 min=10
        BOB< C 3 10 I
    "

    good_till_cancel_and_day_orders_rest: "
        ALICE> O 1 S 40 AAPL 100.00 G
        ALICE< A 1 S 40 AAPL 100.0000 G YPNN L 0-1
        ALICE> O 2 S 40 AAPL 100.00 0
        ALICE< A 2 S 40 AAPL 100.0000 0 YPNN L 0-2
        BOB> O 1 B 80 AAPL 100.00 G
        BOB< A 1 B 80 AAPL 100.0000 G YPNN L 0-3
        BOB< E 1 40 100.0000 R 0-1
        BOB< E 1 40 100.0000 R 0-2
        ALICE< E 1 40 100.0000 A 0-1
        ALICE< E 2 40 100.0000 A 0-2
    "

    numbers_that_were_used_are_ignored_and_gaps_are_fine: "
        ALICE> Q
        ALICE< Q 1
        ALICE> O 5 B 100 AAPL 99.00 0
        ALICE< A 5 B 100 AAPL 99.0000 0 YPNN L 0-1
        # Repetitions, also with other contents, and numbers that were passed over.
        ALICE> O 5 B 100 AAPL 99.00 0
        ALICE> O 5 S 77 MSFT 12.00 3
        ALICE> O 4 B 100 AAPL 99.00 0
        ALICE> O 0 B 100 AAPL 99.00 0
        ALICE> Q
        ALICE< Q 6
        ALICE> O 1000 B 1 AAPL 99.00 0
        ALICE< A 1000 B 1 AAPL 99.0000 0 YPNN L 0-2
        ALICE> Q
        ALICE< Q 1001
        # Each session counts for itself.
        BOB> O 5 B 100 AAPL 99.00 0
        BOB< A 5 B 100 AAPL 99.0000 0 YPNN L 0-3
        # A refused order has used its number up.
        ALICE> O 1001 B 1 NONE 99.00 0
        ALICE< J 1001 0x17
        ALICE> O 1001 B 1 AAPL 99.00 0
        ALICE> Q
        ALICE< Q 1002
        ALICE> O 4294967295 B 1 AAPL 99.00 0
        ALICE< A 4294967295 B 1 AAPL 99.0000 0 YPNN L 0-4
        ALICE> O 4294967295 B 1 AAPL 99.00 0
        ALICE> X 4294967295 0
        ALICE< C 4294967295 1 U
    "

    number_zero_is_never_taken: "
        ALICE> O 0 B 100 AAPL 99.00 0
        ALICE> Q
        ALICE< Q 1
    "

    a_replacement_loses_its_place_and_keeps_what_was_executed: "
        ALICE> O 1 B 100 AAPL 100.00 0
        ALICE< A 1 B 100 AAPL 100.0000 0 YPNN L 0-1
        BOB> O 1 B 10 AAPL 100.00 0
        BOB< A 1 B 10 AAPL 100.0000 0 YPNN L 0-2
        CAROL> O 1 S 40 AAPL 100.00 3
        CAROL< A 1 S 40 AAPL 100.0000 3 YPNN L 0-3
        CAROL< E 1 40 100.0000 R 0-1
        ALICE< E 1 40 100.0000 A 0-1
        # The whole size is 100, of which 40 are done.
        ALICE> U 1 2 100 100.00 0 id=second
        ALICE< U 1 2 B 60 AAPL 100.0000 0 YPNN L 0-4 id=second
        # BOB is first now.
        CAROL> O 2 S 20 AAPL 100.00 3
        CAROL< A 2 S 20 AAPL 100.0000 3 YPNN L 0-5
        CAROL< E 2 10 100.0000 R 0-2
        CAROL< E 2 10 100.0000 R 0-3
        BOB< E 1 10 100.0000 A 0-2
        ALICE< E 2 10 100.0000 A 0-3
        # Through the chain: 50 of 100 are done.
        ALICE> U 2 9 51 100.00 0
        ALICE< U 2 9 B 1 AAPL 100.0000 0 YPNN L 0-6
        ALICE> Q
        ALICE< Q 10
    "

    a_replacement_may_trade_and_change_its_kind: "
        ALICE> O 1 S 100 AAPL 101.00 0
        ALICE< A 1 S 100 AAPL 101.0000 0 YPNN L 0-1
        BOB> O 1 B 30 AAPL 100.00 0
        BOB< A 1 B 30 AAPL 100.0000 0 YPNN L 0-2
        BOB> U 1 2 60 101.00 0
        BOB< U 1 2 B 60 AAPL 101.0000 0 YPNN L 0-3
        BOB< E 2 60 101.0000 R 0-1
        ALICE< E 1 60 101.0000 A 0-1
        # The rest goes to market, immediately, and finds nobody.
        ALICE> U 1 2 100 market 3
        ALICE< U 1 2 S 40 AAPL market 3 YPNN L 0-4
        ALICE< C 2 40 I
        # A fill or kill says the minimum of what is open.
        ALICE> O 3 S 10 AAPL 102.00 0
        ALICE< A 3 S 10 AAPL 102.0000 0 YPNN L 0-5
        ALICE> U 3 4 20 101.50 3 min=20
        ALICE< U 3 4 S 20 AAPL 101.5000 3 YPNN L 0-6 min=20
        ALICE< C 4 20 I
    "

    a_replacement_of_a_dead_order_is_ignored_and_its_number_stays_free: "
        ALICE> U 1 2 100 100.00 0
        ALICE> Q
        ALICE< Q 1
        ALICE> O 1 B 100 AAPL 100.00 0
        ALICE< A 1 B 100 AAPL 100.0000 0 YPNN L 0-1
        ALICE> X 1 0
        ALICE< C 1 100 U
        ALICE> U 1 2 100 100.00 0
        ALICE> Q
        ALICE< Q 2
        ALICE> O 2 B 10 AAPL 100.00 0
        ALICE< A 2 B 10 AAPL 100.0000 0 YPNN L 0-2
        # Another's order is no order of mine, whatever its number.
        BOB> U 2 3 100 100.00 0
        BOB> X 2 0
        BOB> M 2 B 1
        # A number that was used.
        ALICE> U 2 2 20 100.00 0
        ALICE> U 2 1 20 100.00 0
        ALICE> X 2 0
        ALICE< C 2 10 U
    "

    a_replacement_that_cannot_be_cancels: "
        ALICE> O 1 B 100 AAPL 100.00 0
        ALICE< A 1 B 100 AAPL 100.0000 0 YPNN L 0-1
        # Off the tick.
        ALICE> U 1 2 100 100.001 0
        ALICE< C 1 100 Z
        ALICE> Q
        ALICE< Q 2
        ALICE> O 2 B 100 AAPL 100.00 0
        ALICE< A 2 B 100 AAPL 100.0000 0 YPNN L 0-2
        ALICE> U 2 3 0 100.00 0
        ALICE< C 2 100 Z
        ALICE> O 3 B 100 AAPL 100.00 0
        ALICE< A 3 B 100 AAPL 100.0000 0 YPNN L 0-3
        ALICE> U 3 4 1000000 100.00 0
        ALICE< C 3 100 Z
        ALICE> O 4 B 100 AAPL 100.00 0
        ALICE< A 4 B 100 AAPL 100.0000 0 YPNN L 0-4
        ALICE> U 4 5 100 100.00 9
        ALICE< C 4 100 Z
        ALICE> O 5 B 100 AAPL 100.00 0
        ALICE< A 5 B 100 AAPL 100.0000 0 YPNN L 0-5
        ALICE> U 5 6 100 100.00 0 echo=X-N-
        ALICE< C 5 100 Z
        ALICE> O 6 B 100 AAPL 100.00 0
        ALICE< A 6 B 100 AAPL 100.0000 0 YPNN L 0-6
        ALICE> U 6 7 100 100.00 0 tag=77
        ALICE< C 6 100 Z
        ALICE> Q
        ALICE< Q 7
    "

    a_replacement_for_no_more_than_was_executed_cancels: "
        ALICE> O 1 B 100 AAPL 100.00 0
        ALICE< A 1 B 100 AAPL 100.0000 0 YPNN L 0-1
        BOB> O 1 S 40 AAPL 100.00 0
        BOB< A 1 S 40 AAPL 100.0000 0 YPNN L 0-2
        BOB< E 1 40 100.0000 R 0-1
        ALICE< E 1 40 100.0000 A 0-1
        ALICE> U 1 2 40 100.00 0
        ALICE< C 1 60 Z
        ALICE> Q
        ALICE< Q 2
    "

    cancels_behind_their_orders_in_one_segment: "
        ALICE> O 1 B 100 AAPL 100.00 0
        ALICE> X 1 0
        ALICE< A 1 B 100 AAPL 100.0000 0 YPNN L 0-1
        ALICE< C 1 100 U
        ALICE> O 2 B 100 AAPL 100.00 0
        ALICE> X 2 30
        ALICE> M 2 B 20
        ALICE> X 2 0
        ALICE< A 2 B 100 AAPL 100.0000 0 YPNN L 0-2
        ALICE< C 2 70 U
        ALICE< M 2 B 20
        ALICE< C 2 20 U
        # A chain of replacements, and the cancel of its end.
        ALICE> O 3 B 100 AAPL 100.00 0
        ALICE> U 3 4 90 100.01 0
        ALICE> U 4 5 80 100.02 0
        ALICE> X 5 0
        ALICE< A 3 B 100 AAPL 100.0000 0 YPNN L 0-3
        ALICE< U 3 4 B 90 AAPL 100.0100 0 YPNN L 0-4
        ALICE< U 4 5 B 80 AAPL 100.0200 0 YPNN L 0-5
        ALICE< C 5 80 U
    "

    two_orders_and_their_trade_in_one_segment: "
        ALICE> O 1 B 100 AAPL 100.00 0
        ALICE> O 2 S 60 AAPL 100.00 0
        ALICE> X 1 0
        ALICE> X 2 0
        ALICE< A 1 B 100 AAPL 100.0000 0 YPNN L 0-1
        ALICE< A 2 S 60 AAPL 100.0000 0 YPNN L 0-2
        ALICE< E 1 60 100.0000 A 0-1
        ALICE< E 2 60 100.0000 R 0-1
        ALICE< C 1 40 U
    "

    partial_cancels_count_from_the_whole_size: "
        ALICE> O 1 B 100 AAPL 100.00 0
        ALICE< A 1 B 100 AAPL 100.0000 0 YPNN L 0-1
        BOB> O 1 B 10 AAPL 100.00 0
        BOB< A 1 B 10 AAPL 100.0000 0 YPNN L 0-2
        ALICE> X 1 70
        ALICE< C 1 30 U
        # It is still first in the queue.
        CAROL> O 1 S 50 AAPL 100.00 3
        CAROL< A 1 S 50 AAPL 100.0000 3 YPNN L 0-3
        CAROL< E 1 50 100.0000 R 0-1
        ALICE< E 1 50 100.0000 A 0-1
        # Superfluous: not below its size now.
        ALICE> X 1 70
        ALICE> X 1 71
        ALICE> X 1 999999
        # 50 of 60 are done: 10 stay open.
        ALICE> X 1 60
        ALICE< C 1 10 U
        # Below what was executed: all that is left goes.
        ALICE> X 1 20
        ALICE< C 1 10 U
        ALICE> X 1 0
    "

    reducing_to_what_was_executed_cancels_the_rest: "
        ALICE> O 1 B 100 AAPL 100.00 0
        ALICE< A 1 B 100 AAPL 100.0000 0 YPNN L 0-1
        BOB> O 1 S 50 AAPL 100.00 0
        BOB< A 1 S 50 AAPL 100.0000 0 YPNN L 0-2
        BOB< E 1 50 100.0000 R 0-1
        ALICE< E 1 50 100.0000 A 0-1
        ALICE> M 1 B 50
        ALICE< C 1 50 U
    "

    modifications_shrink_and_mark_anew: "
        ALICE> O 1 S 100 AAPL 100.00 0
        ALICE< A 1 S 100 AAPL 100.0000 0 YPNN L 0-1
        ALICE> M 1 E 90
        ALICE< M 1 E 90
        ALICE> M 1 T 80
        ALICE< M 1 T 80
        # Not back, not to a buy, not the same size, not a larger one.
        ALICE> M 1 E 70
        ALICE> M 1 S 70
        ALICE> M 1 B 70
        ALICE> M 1 T 80
        ALICE> M 1 T 81
        ALICE> M 2 T 1
        BOB> O 1 B 30 AAPL 100.00 0
        BOB< A 1 B 30 AAPL 100.0000 0 YPNN L 0-2
        BOB< E 1 30 100.0000 R 0-1
        ALICE< E 1 30 100.0000 A 0-1
        # 30 of 60 are done.
        ALICE> M 1 T 60
        ALICE< M 1 T 30
        # The replacement has the mark of now.
        ALICE> U 1 2 60 101.00 0
        ALICE< U 1 2 T 30 AAPL 101.0000 0 YPNN L 0-3
        ALICE> M 2 T 5
        ALICE< C 2 30 U
    "

    /// The mark is a book's to change: what is sent behind a modification, before it is answered, has the new one.
    a_replacement_behind_a_modification_has_its_mark: "
        ALICE> O 1 S 100 AAPL 100.00 0
        ALICE> M 1 T 90
        ALICE> U 1 2 80 101.00 0
        ALICE> U 2 3 70 102.00 0
        ALICE< A 1 S 100 AAPL 100.0000 0 YPNN L 0-1
        ALICE< M 1 T 90
        ALICE< U 1 2 T 80 AAPL 101.0000 0 YPNN L 0-2
        ALICE< U 2 3 T 70 AAPL 102.0000 0 YPNN L 0-3
        ALICE> U 3 4 60 103.00 0
        ALICE< U 3 4 T 60 AAPL 103.0000 0 YPNN L 0-4
    "

    replacements_of_an_order_that_fills_before_they_arrive_come_to_nothing: "
        ALICE> O 1 S 100 AAPL 100.00 0
        ALICE< A 1 S 100 AAPL 100.0000 0 YPNN L 0-1
        # To the session the order is open while these are checked; to the book it is not.
        BOB> O 1 B 100 AAPL 100.00 0
        BOB> U 1 2 200 101.00 0
        BOB> U 2 3 300 102.00 0
        BOB> X 3 0
        BOB< A 1 B 100 AAPL 100.0000 0 YPNN L 0-2
        BOB< E 1 100 100.0000 R 0-1
        ALICE< E 1 100 100.0000 A 0-1
        # When this has been answered, so have the others been, in silence; their numbers are free.
        ALICE> O 2 S 1 AAPL 200.00 0
        ALICE< A 2 S 1 AAPL 200.0000 0 YPNN L 0-5
        BOB> Q
        BOB< Q 2
        BOB> O 2 B 1 AAPL 50.00 0
        BOB< A 2 B 1 AAPL 50.0000 0 YPNN L 0-6
        BOB> X 2 0
        BOB< C 2 1 U
    "

    lots_and_ticks_of_each_instrument_hold: "
        ALICE> O 1 B 200 LOTS 100.05 0
        ALICE< A 1 B 200 LOTS 100.0500 0 YPNN L 4-1
        ALICE> O 2 B 150 LOTS 100.05 0
        ALICE< J 2 0x13
        ALICE> O 3 B 5100 LOTS 100.05 0
        ALICE< J 3 0x13
        ALICE> O 4 B 100 LOTS 100.01 0
        ALICE< J 4 0x1d
        ALICE> O 5 B 100 LOTS 1000.05 0
        ALICE< J 5 0x1d
        ALICE> O 6 S 5000 LOTS 1000.00 0
        ALICE< A 6 S 5000 LOTS 1000.0000 0 YPNN L 4-2
        # A size that is off the lot cannot be meant.
        ALICE> X 1 150
        ALICE> X 1 100
        ALICE< C 1 100 U
        BOB> O 1 S 100 LOTS 100.05 3
        BOB< A 1 S 100 LOTS 100.0500 3 YPNN L 4-3
        BOB< E 1 100 100.0500 R 4-1
        ALICE< E 1 100 100.0500 A 4-1
    "

    every_reason_to_refuse_an_order_has_its_code: "
        ALICE> O 1 B 100 NONE 100.00 0 id=instrument
        ALICE< J 1 0x17 id=instrument
        ALICE> O 2 X 100 AAPL 100.00 0 id=side
        ALICE< J 2 0x09 id=side
        ALICE> O 3 B 0 AAPL 100.00 0 id=nothing
        ALICE< J 3 0x13 id=nothing
        ALICE> O 4 B 1000000 AAPL 100.00 0 id=much
        ALICE< J 4 0x13 id=much
        ALICE> O 5 B 100 AAPL 0 0 id=free
        ALICE< J 5 0x1d id=free
        ALICE> O 6 B 100 AAPL 100.001 0 id=tick
        ALICE< J 6 0x1d id=tick
        ALICE> O 7 B 100 AAPL 199999.9999 0 id=dear
        ALICE< J 7 0x1d id=dear
        ALICE> O 8 B 100 AAPL 100.00 0 tag=77 id=option
        ALICE< J 8 0x24 id=option
        ALICE> O 9 B 100 AAPL 100.00 5 id=tif
        ALICE< J 9 0x0f id=tif
        ALICE> O 10 B 100 AAPL 100.00 3 min=101 id=minimum
        ALICE< J 10 0x0d id=minimum
        ALICE> O 11 B 100 AAPL 100.00 0 min=10 aon=Y id=two
        ALICE< J 11 0x0d id=two
        ALICE> O 12 B 100 AAPL 100.00 0 echo=XPNN id=display
        ALICE< J 12 0x03 id=display
        ALICE> O 13 B 100 AAPL 100.00 0 echo=YPNO id=cross
        ALICE< J 13 0x24 id=cross
        ALICE> Q
        ALICE< Q 14
    "

    of_several_reasons_the_first_is_said: "
        ALICE> O 1 X 0 NONE 0 5 tag=77 echo=NPNO
        ALICE< J 1 0x17
        ALICE> O 2 X 0 AAPL 0 5 tag=77 echo=NPNO
        ALICE< J 2 0x09
        ALICE> O 3 B 0 AAPL 0 5 tag=77 echo=NPNO
        ALICE< J 3 0x13
        ALICE> O 4 B 1 AAPL 0 5 tag=77 echo=NPNO
        ALICE< J 4 0x1d
        ALICE> O 5 B 1 AAPL 1.00 5 tag=77 echo=NPNO
        ALICE< J 5 0x24
        ALICE> O 6 B 1 AAPL 1.00 5 echo=NPNO
        ALICE< J 6 0x0f
        ALICE> O 7 B 1 AAPL 1.00 0 echo=XPNO
        ALICE< J 7 0x03
        ALICE> O 8 B 1 AAPL 1.00 0 echo=NPNO
        ALICE< J 8 0x24
        ALICE> O 9 B 0 AAPL 0 5 tag=77 large=0 echo=XPNO
        ALICE< J 9 0x13
        ALICE> O 10 B 1 AAPL 1.00 6 stop=0.001 mtl=Y aon=Y min=2 policy=N echo=XPNO
        ALICE< J 10 0x0d
        ALICE> O 11 B 1 AAPL 1.00 6 stop=0.001 aon=Y min=2 policy=N echo=XPNO
        ALICE< J 11 0x1d
        ALICE> O 12 B 1 AAPL 1.00 6 aon=Y min=2 policy=N echo=XPNO
        ALICE< J 12 0x0f
        ALICE> O 13 B 1 AAPL 1.00 0 aon=Y min=2 policy=N echo=XPNO
        ALICE< J 13 0x0d
        ALICE> O 14 B 1 AAPL 1.00 0 aon=Y policy=N echo=XPNO
        ALICE< J 14 0x0d
        ALICE> O 15 B 1 AAPL 1.00 0 aon=Y echo=XPNO
        ALICE< J 15 0x03
    "
}
