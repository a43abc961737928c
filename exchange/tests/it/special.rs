//! Special orders through journal, recovery, snapshots and the running exchange. They are put into the journal of a
//! stopped exchange as commands that it died over: the next start executes and reports them, and goes on with what time
//! makes due. (How clients enter them is in `options`.)

use std::{num::NonZeroU32, time::Duration};

use domain::{
    Command, Display, EnterOrder, Execution, Instructions, InstrumentId, MassCancel, OrderType, PostOnly,
    Price, Quantity, SelfTrade, SelfTradePolicy, SessionId, Side, TimeInForce, Trigger,
};
use journal::{Reader, RecordKind};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar as Random;
use wire::ouch::codes;

use crate::{
    client::enter as ouch_enter,
    desk::{Desk, SECOND, any_command, now, price, special, till},
    reference::Reference,
    script::written,
    venue::{Home, INSTRUMENTS, Settings, Venue, eventually, printed, replay, text},
};

/// How many records of a kind the journal has.
fn count(home: &Home, kind: RecordKind) -> usize {
    let reader = Reader::open(home.data()).expect("a journal");
    reader.records().filter(|record| record.as_ref().is_ok_and(|record| record.kind == kind)).count()
}

/// A running exchange's state by replay on several numbers of shards and by the naive books, which must all agree; every
/// report follows from the commands, and each is there once.
fn agreed(home: &Home) -> String {
    let reference = Reference::of(&home.data());
    for shards in [1, 2, 4] {
        let replayed = replay(&home.data(), shards);
        assert_eq!(text(&replayed, "state"), reference.state(), "{shards} shards");
        assert_eq!(text(&replayed, "events_hash"), reference.events(), "{shards} shards");
    }
    let (mut caused, mut reported) = (reference.caused.clone(), reference.reported.clone());
    caused.sort_unstable();
    reported.sort_unstable();
    assert!(caused == reported, "reports do not follow from commands");
    reference.state()
}

/// A new exchange that has defined its instruments and sessions.
fn home(settings: Settings) -> Home {
    let home = Home::new(settings);
    home.start().stop();
    home
}

fn shards(count: &str) -> Settings {
    Settings::args(&["--shards", count])
}

/// What a session has been told from its second message on, as text.
fn told(venue: &Venue, user: &'static str, messages: u64) -> Vec<String> {
    venue.client_from(user, 2).up_to(messages + 1).iter().map(|said| written(said).0).collect()
}

#[test]
fn they_mean_the_same_on_any_number_of_shards_after_kills_and_from_snapshots() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut home = home(shards("2"));
    for (round, count) in ["1", "2", "4"].into_iter().enumerate() {
        let mut desk = Desk::open(&home);
        for _ in 0..4_000 {
            desk.nanos += random.random_range(0..200_000);
            let command = any_command(&desk, &mut random);
            desk.put(command);
        }
        let over = desk.nanos + SECOND / 5;
        desk.close();
        // What the commands come to, and that it is reported, by a start that finds no snapshot, or one from before.
        let state = Reference::of(&home.data()).state();
        home.settings = shards(count);
        let venue = home.start();
        assert_eq!(venue.recovered_state(), state);
        assert!(venue.recovered["snapshot_sequence"].is_u64(), "round {round}");
        assert!(venue.recovered["reports_completed"].as_u64().is_some_and(|n| n > 3_000));
        // Meanwhile all that has an expiry comes to its end; what is asked behind that is answered behind it.
        eventually("expiries have come", || now() > over);
        let mut client = venue.client("FENCE");
        let (_, next) = client.query();
        for (symbol, user_ref) in INSTRUMENTS[..4].iter().zip(next..) {
            client.round_trip(user_ref, symbol);
        }
        venue.kill();
        let state = agreed(&home);
        home.settings = shards(["4", "1", "2"][round]);
        let venue = home.start();
        assert_eq!(venue.recovered_state(), state);
        assert_eq!(venue.recovered["reports_completed"], 0);
        // A clean stop leaves a snapshot, from which the next start comes to the same, and without it as well.
        let stopped = venue.stop();
        assert_eq!(text(&stopped, "state"), agreed(&home));
        for args in [&["--shards", "2"][..], &["--shards", "3", "--no-snapshot"]] {
            home.settings = Settings::args(args);
            let venue = home.start();
            assert_eq!(venue.recovered["snapshot_sequence"].is_u64(), args.len() == 2);
            assert_eq!(venue.recovered_state(), text(&stopped, "state"), "{args:?}");
            venue.kill();
        }
    }
}

#[test]
fn an_order_ends_at_its_date_though_nobody_asks_for_anything() {
    let mut home = home(shards("1"));
    let mut desk = Desk::open(&home);
    let soon = desk.nanos + 2 * SECOND;
    let order = |desk: &Desk, instrument| EnterOrder {
        time_in_force: TimeInForce::GoodTillDate,
        ..desk.order(instrument, 0, Side::Buy)
    };
    // Two in one book that end together, one of another book that ends later, one that never ends.
    for (instrument, expires) in [(0, soon), (0, soon), (1, soon + 2 * SECOND)] {
        desk.put(special(order(&desk, instrument), till(expires)));
    }
    desk.put(Command::Enter(desk.order(1, 0, Side::Buy)));
    desk.close();

    let venue = home.start();
    let accepted = |user_ref: u32, symbol: &str, tif: char, order: &str| {
        format!("A {user_ref} B 10 {symbol} 100.0000 {tif} YPNN L {order}")
    };
    let mut expected = vec![
        accepted(1, "AAPL", '6', "0-1 expire=2"),
        accepted(2, "AAPL", '6', "0-2 expire=2"),
        accepted(3, "MSFT", '6', "1-1 expire=4"),
        accepted(4, "MSFT", 'G', "1-2"),
    ];
    expected.extend(["C 1 10 T", "C 2 10 T"].map(ToOwned::to_owned));
    assert_eq!(told(&venue, "ALICE", 6), expected);
    assert!(now() >= soon);
    assert_eq!(count(&home, RecordKind::Advance), 1);

    // From a snapshot, on other shards, it is known what is due; and with none.
    venue.stop();
    home.settings = shards("2");
    let venue = home.start();
    assert!(venue.recovered["snapshot_sequence"].is_u64());
    expected.push("C 3 10 T".into());
    assert_eq!(told(&venue, "ALICE", 7), expected);
    assert!(now() >= soon + 2 * SECOND);
    assert_eq!(count(&home, RecordKind::Advance), 2);
    // A second later nothing more has come of it.
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(count(&home, RecordKind::Advance), 2);
    venue.kill();
    agreed(&home);
}

#[test]
fn another_command_of_the_book_does_what_is_due_as_well() {
    let home = home(shards("1"));
    let mut desk = Desk::open(&home);
    let soon = desk.nanos + SECOND;
    let order = EnterOrder { time_in_force: TimeInForce::GoodTillDate, ..desk.order(0, 0, Side::Buy) };
    desk.put(special(order, till(soon)));
    // It would trade with it, and comes too late.
    desk.nanos = soon;
    desk.put(Command::Enter(desk.order(0, 1, Side::Sell)));
    desk.close();
    let venue = home.start();
    assert_eq!(told(&venue, "ALICE", 2)[1], "C 1 10 T");
    assert_eq!(told(&venue, "BOB", 1)[0], "A 1 S 10 AAPL 100.0000 G YPNN L 0-2");
    // The front had nothing to do for it.
    venue.client("CAROL").round_trip(1, "AAPL");
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(count(&home, RecordKind::Advance), 0);
    venue.stop();
    agreed(&home);
}

/// 300 stops that one trade reaches: a command gives 128 turns, so two more are needed, which the front asks for.
#[test]
fn a_paused_book_is_gone_on_with() {
    let mut home = home(shards("1"));
    let mut desk = Desk::open(&home);
    for _ in 0..300 {
        let stop = Instructions { trigger: Trigger::Stop(price(10_000)), ..Instructions::NONE };
        // They find nobody to trade with, and rest below the trade.
        let order = EnterOrder { price: price(9_000), ..desk.order(0, 0, Side::Buy) };
        desk.put(special(order, stop));
    }
    desk.put(Command::Enter(desk.order(0, 1, Side::Sell)));
    desk.put(Command::Enter(desk.order(0, 2, Side::Buy)));
    desk.close();

    // As if the process had died between the trade and what follows it.
    let venue = home.start();
    eventually("all have had their turns", || count(&home, RecordKind::Advance) == 2);
    venue.client("CAROL").round_trip(100, "AAPL");
    assert_eq!(count(&home, RecordKind::Advance), 2);
    venue.kill();
    let state = agreed(&home);
    home.settings = shards("4");
    let venue = home.start();
    assert_eq!(venue.recovered_state(), state);
    // All of them rest now, where an order finds them: each trades once.
    let mut bob = venue.client("BOB");
    bob.ask(&ouch_enter(50, b'S', 3_001, "AAPL", 900_000, codes::IMMEDIATE_OR_CANCEL));
    let said: Vec<_> = (0..302).map(|_| written(&bob.next()).0).collect();
    assert!(said[1..301].iter().all(|said| said.starts_with("E 50 10 90.0000 R ")), "{said:?}");
    assert_eq!(said[301], "C 50 1 I");
    venue.stop();
    agreed(&home);
}

#[test]
fn a_mass_cancel_takes_what_it_names_whoever_asked() {
    let home = home(shards("2"));
    let mut desk = Desk::open(&home);
    let all = |desk: &Desk, session| MassCancel {
        owner: desk.owner(session),
        instrument: None,
        session: None,
        account: None,
        side: None,
    };
    for session in 0..2 {
        for (instrument, side, ticks) in
            [(0, Side::Buy, 9_000), (0, Side::Sell, 11_000), (1, Side::Buy, 9_000)]
        {
            desk.put(Command::Enter(EnterOrder {
                price: price(ticks),
                ..desk.order(instrument, session, side)
            }));
        }
    }
    // BOB's, by CAROL: those that buy AAPL, then all.
    let bob = Some(SessionId(1));
    let narrow = MassCancel { instrument: Some(InstrumentId(0)), side: Some(Side::Buy), ..all(&desk, 2) };
    desk.put(Command::MassCancel(MassCancel { session: bob, ..narrow }));
    desk.put(Command::MassCancel(MassCancel { session: bob, ..all(&desk, 2) }));
    desk.close();

    let venue = home.start();
    let bob: Vec<_> = told(&venue, "BOB", 6).into_iter().filter(|said| said.starts_with('C')).collect();
    // Two books speak in whatever order, each in its own.
    let place = |said: &str| bob.iter().position(|other| other == said).expect("it is told");
    assert!(place("C 1 10 U") < place("C 2 10 U") && place("C 3 10 U") < 3, "{bob:?}");
    // CAROL is told how many it were, by each book in which there were any; her numbers are used up.
    let mut carol = told(&venue, "CAROL", 3);
    carol.sort();
    assert_eq!(carol, ["L 1 AAPL 1", "L 2 AAPL 1", "L 2 MSFT 1"]);
    // ALICE's are there.
    let mut alice = venue.client("ALICE");
    let (said, next) = alice.query();
    assert_eq!((said.len(), next, said[0].number), (1, 4, 5));
    let (said, next) = venue.client("CAROL").query();
    assert_eq!((said.len(), next, said[0].number), (1, 3, 5));
    venue.stop();
    agreed(&home);
}

#[test]
fn what_an_order_loses_within_its_group_is_told_and_the_rest_goes_on() {
    let home = home(shards("1"));
    let mut desk = Desk::open(&home);
    let group = NonZeroU32::new(7).expect("not zero");
    let own = |policy| Instructions { self_trade: Some(SelfTrade { group, policy }), ..Instructions::NONE };
    desk.put(special(desk.order(0, 0, Side::Sell), own(SelfTradePolicy::CancelNewest)));
    let larger = EnterOrder { quantity: Quantity(25), ..desk.order(0, 0, Side::Buy) };
    desk.put(special(larger, own(SelfTradePolicy::Decrement)));
    desk.close();
    let venue = home.start();
    assert_eq!(told(&venue, "ALICE", 4)[2..], ["C 1 10 Q", "D 2 10 Q 10 100.0000 R D"]);
    // What is open is what it counts to: 15.
    let mut bob = venue.client("BOB");
    bob.ask(&ouch_enter(1, b'S', 20, "AAPL", 1_000_000, codes::IMMEDIATE_OR_CANCEL));
    let said: Vec<_> = (0..3).map(|_| written(&bob.next()).0).collect();
    assert_eq!(said[1..], ["E 1 15 100.0000 R 0-1", "C 1 5 I"]);
    venue.stop();
    agreed(&home);
}

/// Post-only that slides shows the limit that it got; a market-to-limit order rests at the best price that it found.
#[test]
fn limits_that_books_choose_are_told_and_kept() {
    let mut home = home(shards("1"));
    let mut desk = Desk::open(&home);
    desk.put(Command::Enter(desk.order(0, 1, Side::Sell)));
    let slide = Instructions { execution: Execution::PostOnly(PostOnly::Slide), ..Instructions::NONE };
    desk.put(special(EnterOrder { price: price(10_005), ..desk.order(0, 0, Side::Buy) }, slide));
    let to_limit = EnterOrder {
        order_type: OrderType::MarketToLimit,
        price: Price::default(),
        quantity: Quantity(30),
        ..desk.order(0, 0, Side::Buy)
    };
    desk.put(Command::Enter(to_limit));
    desk.close();
    let venue = home.start();
    let expected = [
        "A 1 B 10 AAPL 99.9900 G YPNN L 0-2 post=S",
        "A 2 B 30 AAPL market G YPNN L 0-3 mtl=Y",
        "E 2 10 100.0000 R 0-1",
        "R 2 P limit=100.0000",
    ];
    assert_eq!(told(&venue, "ALICE", 4), expected);
    venue.stop();
    // And again from the snapshot.
    home.settings = shards("2");
    let venue = home.start();
    let mut bob = venue.client("BOB");
    bob.ask(&ouch_enter(9, b'S', 25, "AAPL", 999_900, codes::DAY));
    let said: Vec<_> = (0..3).map(|_| written(&bob.next()).0).collect();
    assert_eq!(said[1..], ["E 9 20 100.0000 R 0-2", "E 9 5 99.9900 R 0-3"]);
    venue.stop();
    agreed(&home);
}

#[test]
fn a_dump_shows_them() {
    let home = home(shards("1"));
    let mut desk = Desk::open(&home);
    let display = Display::Iceberg { peak: Quantity(3), spread: 1, seed: 77 };
    let before = desk.sequence.0;
    desk.put(special(desk.order(0, 0, Side::Buy), Instructions { display, ..Instructions::NONE }));
    desk.put(Command::Advance(InstrumentId(2)));
    desk.close();
    let from = (before + 1).to_string();
    let data = home.data().display().to_string();
    let dump = printed(&["journal", "dump", "--data", &data, "--from", &from]);
    let lines: Vec<_> = dump.lines().collect();
    assert_eq!(lines.len(), 2, "{dump}");
    for part in ["EnterSpecial", "Iceberg", "peak: Quantity(3)", "seed: 77"] {
        assert!(lines[0].contains(part), "{part}: {dump}");
    }
    assert!(lines[1].contains("Advance(InstrumentId(2))"), "{dump}");
    let info = printed(&["journal", "info", "--data", &data]);
    let format = format!("(format {}, ", journal::FORMAT_VERSION);
    assert!(info.contains(&format) && info.contains("1 EnterSpecial"), "{info}");
}
