//! Clients that come back: each message that they missed, under its number, byte for byte as it was sent the first time.

use std::{sync::Arc, time::Duration};

use domain::{Command, Nanos, Sequenced};
use journal::{Journal, Reader, RecordKind};
use wire::ouch::codes;

use crate::{
    client::{Client, Said, cancel, enter, replace},
    reference::Reference,
    script::written,
    venue::{Home, Settings, json},
};

/// The messages of one wave of orders, of which half trade with each other.
fn wave(client: &mut Client, first_ref: u32, orders: u32) -> Vec<Said> {
    let from = client.connection.next_sequence();
    for user_ref in first_ref..first_ref + orders {
        let side = if user_ref % 2 == 0 { b'B' } else { b'S' };
        client.put(&enter(user_ref, side, 10, "AAPL", 1_000_000, codes::DAY));
        if user_ref % 50 == 0 {
            client.flush();
        }
    }
    client.flush();
    // Each order is accepted and executed.
    client.up_to(from + u64::from(orders) * 2 - 1)
}

#[test]
fn whatever_was_missed_is_told_again_byte_for_byte() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let mut client = venue.client_from("ALICE", 1);
    let mut live = client.up_to(1);
    live.extend(wave(&mut client, 1, 3_000));
    let all = live.len() as u64;
    assert_eq!(all, 6_001);
    drop(client);

    // From every kind of place.
    for from in [1, 2, 3, 64, 4_095, 4_096, 4_097, all - 1, all] {
        let told = venue.client_from("ALICE", from).up_to(all);
        assert_eq!(told, live[usize::try_from(from - 1).expect("few")..], "from {from}");
    }
    // From the next on: nothing but what is new.
    let mut client = venue.client_from("ALICE", all + 1);
    let (told, _) = client.query();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].number, all + 1);
    live.extend(told);
    drop(client);

    // After a kill.
    venue.kill();
    let venue = home.start();
    assert_eq!(venue.client_from("ALICE", 1).up_to(all + 1), live);
    assert_eq!(venue.client_from("ALICE", 2_500).up_to(all + 1), live[2_499..]);
    // And it goes on from there.
    let mut client = venue.client("ALICE");
    assert_eq!(client.connection.next_sequence(), all + 2);
    live.extend(wave(&mut client, 3_001, 100));
    drop(client);

    // After a clean stop.
    venue.stop();
    let venue = home.start();
    assert_eq!(venue.client_from("ALICE", 1).up_to(live.len() as u64), live);
    venue.stop();
}

#[test]
fn what_happens_to_an_absent_session_waits_for_it() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let mut alice = venue.client("ALICE");
    alice.ask(&enter(1, b'S', 100, "AAPL", 1_000_000, codes::GOOD_TILL_CANCEL));
    assert_eq!(alice.next().number, 2);
    drop(alice);
    let mut bob = venue.client("BOB");
    bob.ask(&enter(1, b'B', 30, "AAPL", 1_000_000, codes::DAY));
    bob.up_to(3);
    // It is there also when the exchange dies before the session comes back.
    venue.kill();
    let venue = home.start();
    let mut bob = venue.client("BOB");
    bob.ask(&enter(2, b'B', 30, "AAPL", 1_000_000, codes::DAY));
    bob.up_to(5);
    let mut alice = venue.client_from("ALICE", 3);
    let told: Vec<_> = alice.up_to(4).iter().map(|said| written(said).0).collect();
    assert_eq!(told, ["E 1 30 100.0000 A 0-1", "E 1 30 100.0000 A 0-2"]);
    // What is left of it is 40.
    alice.ask(&cancel(1, 0));
    assert_eq!(written(&alice.next()).0, "C 1 40 U");
}

#[test]
fn a_session_catches_up_while_others_trade_and_while_it_trades_itself() {
    let home = Home::new(Settings { ack: "memory", ..Settings::default() });
    let venue = home.start();
    let mut alice = venue.client_from("ALICE", 1);
    let mut live = alice.up_to(1);
    live.extend(wave(&mut alice, 1, 4_000));
    drop(alice);
    std::thread::scope(|scope| {
        let mut bob = venue.client("BOB");
        scope.spawn(move || {
            for user_ref in 1..300 {
                bob.round_trip(user_ref, "MSFT");
            }
        });
        for round in 0..10 {
            let mut alice = venue.client_from("ALICE", 1);
            // New messages are behind the old ones, though they are made before those have been sent.
            let user_ref = 4_001 + round;
            alice.ask(&enter(user_ref, b'B', 1, "NVDA", 1_000_000, codes::DAY));
            let told = alice.up_to(live.len() as u64 + 1);
            assert_eq!(told[..live.len()], live, "round {round}");
            let new = told.last().expect("the new one");
            assert!(written(new).0.starts_with(&format!("A {user_ref} B 1 NVDA ")), "{new:?}");
            live.push(new.clone());
        }
    });
    // Someone who reads slowly gets the same.
    let mut slow = venue.client_from("ALICE", 1);
    for said in &live {
        assert_eq!(slow.next(), *said);
        if said.number % 500 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn sending_everything_again_after_a_crash_changes_nothing() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let mut alice = venue.client("ALICE");
    let requests: Vec<_> =
        (1..=200).map(|n| enter(n, b'B', n, "AAPL", 900_000 + u64::from(n) * 100, codes::DAY)).collect();
    for request in &requests {
        alice.put(request);
    }
    alice.flush();
    // It sees some of the answers.
    let mut live = alice.up_to(50);
    venue.kill();
    let venue = home.start();
    let mut alice = venue.client_from("ALICE", 51);
    for request in &requests {
        alice.put(request);
    }
    alice.flush();
    live.extend(alice.up_to(201));
    for (said, user_ref) in live.iter().zip(1_u64..) {
        assert_eq!(said.number, user_ref + 1);
        let order = format!("A {user_ref} B {user_ref} AAPL ");
        assert!(written(said).0.starts_with(&order), "{said:?} is not {order}");
    }
    let (told, next) = alice.query();
    assert_eq!((told.len(), next), (1, 201));
    assert_eq!(venue.client_from("ALICE", 2).up_to(201), live);
}

/// A process may die when a command is in the journal and none of its reports is. Here that command ends the day.
#[test]
fn a_day_that_ended_in_the_last_moment_is_reported_by_the_recovery() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    alice.ask(&enter(1, b'B', 10, "AAPL", 1_000_000, codes::DAY));
    alice.ask(&enter(2, b'B', 20, "AAPL", 1_000_000, codes::GOOD_TILL_CANCEL));
    alice.ask(&enter(3, b'B', 30, "AAPL", 1_000_100, codes::DAY));
    alice.up_to(4);
    bob.ask(&enter(1, b'S', 40, "MSFT", 2_000_000, codes::DAY));
    bob.up_to(2);
    venue.stop();

    let sequence = Reference::of(&home.data()).sequence.next();
    let options = journal::Options { tail_bytes: 1 << 20, ..journal::Options::default() };
    let (mut appender, _) = Journal::open(home.data(), &options, Arc::new(|| {})).expect("the journal");
    let nanos = Nanos(u64::MAX / 2);
    appender.append_command(&Sequenced { sequence, nanos, command: Command::EndOfDay }).expect("room");
    appender.close().expect("it is on disk");

    let venue = home.start();
    assert_eq!(venue.recovered["reports_completed"], 3);
    let mut alice = venue.client_from("ALICE", 5);
    let told: Vec<_> = alice.up_to(6).iter().map(|said| written(said).0).collect();
    // Best price first.
    assert_eq!(told, ["C 3 30 E", "C 1 10 E"]);
    assert_eq!(written(&venue.client_from("BOB", 3).next()).0, "C 1 40 E");
    alice.ask(&cancel(1, 0));
    alice.ask(&cancel(2, 0));
    assert_eq!(written(&alice.next()).0, "C 2 20 U");
    let state = venue.stop_state();
    let reference = Reference::of(&home.data());
    assert_eq!(reference.state(), state);
    assert_eq!(reference.resting(), 0);
    for shards in [1, 2, 4, 8] {
        assert_eq!(home.replay(shards)["state"], state);
    }
    // Every report is there now.
    assert_eq!(home.start().recovered["reports_completed"], 0);
}

/// The log may end between any two records: after a command and before its reports, and between the two reports of one
/// trade. Whatever is missing, the recovery completes it to the same numbers and bytes.
#[test]
fn a_log_that_ends_anywhere_is_completed_to_the_same_messages() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    for user_ref in 1..=3 {
        alice.ask(&enter(user_ref, b'S', 10, "AAPL", 1_000_000, codes::DAY));
        alice.next();
    }
    bob.ask(&enter(1, b'B', 25, "AAPL", 1_000_000, codes::DAY));
    bob.up_to(5);
    alice.up_to(7);
    alice.ask(&enter(4, b'B', 10, "AAPL", 1_000_000, codes::DAY)); // with itself
    alice.up_to(10);
    alice.ask(&replace(4, 5, 20, 990_000));
    alice.ask(&cancel(5, 12));
    alice.ask(&cancel(5, 0));
    alice.up_to(13);
    venue.stop();

    let whole = Reference::of(&home.data());
    let reader = Reader::open(home.data()).expect("a journal");
    let records: Vec<_> = reader.records().map(|record| record.expect("a whole journal")).collect();
    let last_definition = records
        .iter()
        .rposition(|record| matches!(record.kind, RecordKind::DefineInstrument | RecordKind::DefineSession));
    let options =
        journal::Options { tail_bytes: 1 << 20, segment_bytes: 4 << 20, ..journal::Options::default() };
    let mut completed = 0;
    for end in last_definition.expect("definitions") + 1..=records.len() {
        let home = Home::new(Settings::default());
        let (mut appender, _) = Journal::open(home.data(), &options, Arc::new(|| {})).expect("a new journal");
        let mut commands = domain::Sequence(0);
        for record in &records[..end] {
            if record.kind.is_command() {
                appender.append_command(&record.command().expect("a command")).expect("room");
                commands = record.sequence;
            } else if record.kind.is_report() {
                appender.append_report(&record.report().expect("a report")).expect("room");
            }
        }
        appender.close().expect("it is on disk");
        // A snapshot of such a log owes what is missing, and the start that it serves completes the same.
        let owed = (end % 2 == 0).then(|| {
            let snapshot = json(&["snapshot", "--json", "--data", &home.data().display().to_string()]);
            snapshot["owed"].clone()
        });
        let venue = home.start();
        if let Some(owed) = owed {
            assert_eq!(venue.recovered["reports_completed"], owed, "{end} records");
            assert_eq!(venue.recovered["snapshot_sequence"], commands.0, "{end} records");
        }
        completed += venue.recovered["reports_completed"].as_u64().expect("a count");
        venue.stop();
        let again = Reference::of(&home.data());
        assert_eq!(again.sequence, commands, "{end} records");
        for (session, (again, whole)) in again.told.iter().zip(&whole.told).enumerate() {
            assert_eq!(*again, whole[..again.len()], "session {session} after {end} records");
        }
        assert_eq!(again.reported.len(), again.caused.len(), "{end} records");
    }
    assert!(completed > 20, "{completed} reports were completed: nothing was missing");
}
