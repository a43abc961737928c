//! The same results on any number of shards, however threads wait, wherever books live, with more threads than cores.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::Value;
use wire::ouch::codes;

use crate::{
    client::enter,
    reference::Reference,
    venue::{Home, Settings, Venue, exchange, replay, text},
};

/// Orders from the load generator on all instruments, left in the books. Returns its summary.
fn load(home: &Home, venue: &Venue, profile: &str, orders: u32, seed: u32) -> Value {
    let config = home.file("config.toml");
    let output = exchange()
        .args(["load", "--json", "--leave", "--sessions", "4", "--closed-loop", "32", "--profile", profile])
        .args(["--count", &orders.to_string(), "--seed", &seed.to_string()])
        .args(["--target", &venue.address.to_string(), "--config"])
        .arg(config)
        .output()
        .expect("the load generator runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let requests = &summary["requests"];
    assert_eq!(requests["sent"], orders, "{requests}");
    assert_eq!(
        (&requests["unanswered"], &requests["unexpected_messages"]),
        (&0.into(), &0.into()),
        "{requests}"
    );
    summary
}

/// Every number of shards, and the naive books, make the same of a journal: book by book.
fn same_for_all(data: &Path, state: &str) -> Value {
    let reference = Reference::of(data);
    assert_eq!(reference.state(), state);
    let one = replay(data, 1);
    assert_eq!(text(&one, "events_hash"), reference.events());
    for shards in [1, 2, 4, 8] {
        let replayed = replay(data, shards);
        assert_eq!(replayed["state"], state, "{shards} shards");
        for what in ["commands", "events", "last_sequence", "events_hash", "books"] {
            assert_eq!(replayed[what], one[what], "{what} on {shards} shards");
        }
    }
    one
}

#[test]
fn a_journal_means_the_same_on_any_number_of_shards() {
    let home = Home::new(Settings { ack: "memory", ..Settings::default() });
    let venue = home.start();
    let summary = load(&home, &venue, "zipf:1", 20_000, 7);
    assert!(summary["requests"]["execution_reports"].as_u64().is_some_and(|n| n > 1_000), "{summary}");
    // The same while it runs, after it stopped, and after another load on top.
    let running = same_for_all(&home.data(), &text(&home.replay(1), "state"));
    let state = venue.stop_state();
    assert_eq!(same_for_all(&home.data(), &state)["books"], running["books"]);
    let venue = home.start();
    assert_eq!(venue.recovered_state(), state);
    load(&home, &venue, "hot:60%", 5_000, 8);
    let more = venue.stop_state();
    assert_ne!(more, state);
    same_for_all(&home.data(), &more);
}

#[test]
fn every_arrangement_of_threads_trades_and_stops() {
    // 8 shards and more are more threads than most machines under test have cores.
    let arrangements: [&[&str]; 18] = [
        &["--shards", "2", "--balance", "off"],
        &["--shards", "2", "--balance", "steal"],
        &["--shards", "2", "--balance", "migrate"],
        &["--shards", "2", "--balance", "drill"],
        &["--shards", "4", "--balance", "drill", "--idle", "park"],
        &["--shards", "8", "--balance", "drill", "--inline", "0"],
        &["--shards", "1", "--idle", "spin"],
        &["--shards", "2", "--idle", "spin"],
        &["--shards", "4", "--idle", "spin"],
        &["--shards", "1", "--idle", "backoff"],
        &["--shards", "2", "--idle", "backoff", "--placement", "round-robin"],
        &["--shards", "4", "--idle", "backoff", "--inline", "0"],
        &["--shards", "8", "--idle", "backoff"],
        &["--shards", "1", "--idle", "park"],
        &["--shards", "2", "--idle", "park", "--inline", "0"],
        &["--shards", "4", "--idle", "park", "--placement", "round-robin"],
        &["--shards", "8", "--idle", "park", "--inline", "1000000"],
        &["--shards", "32", "--idle", "park", "--inline", "0"],
    ];
    for (args, ack) in arrangements.into_iter().zip(["memory", "disk"].into_iter().cycle()) {
        let mut home = Home::new(Settings { ack, ..Settings::args(args) });
        let venue = home.start();
        assert_eq!(venue.recovered["shards"].to_string(), args[1]);
        load(&home, &venue, "zipf:1", 1_000, 3);
        let stopped = venue.stop();
        let state = text(&stopped, "state");
        let reference = Reference::of(&home.data());
        assert_eq!(reference.state(), state, "{args:?}");
        assert_eq!(reference.reported.len(), reference.caused.len(), "{args:?}");
        assert_eq!(stopped["last_sequence"], reference.sequence.0, "{args:?}");
        // Another arrangement continues where this one stopped.
        home.settings = Settings::args(&["--shards", "3"]);
        let venue = home.start();
        assert_eq!(venue.recovered_state(), state, "{args:?}");
        assert_eq!(venue.stop_state(), state, "{args:?}");
    }
}

#[test]
fn it_stops_while_clients_send_and_loses_nothing_of_what_it_said() {
    for idle in ["backoff", "spin"] {
        let home = Home::new(Settings::args(&["--shards", "2", "--idle", idle]));
        let venue = home.start();
        let stopping = AtomicBool::new(false);
        let mut clients: Vec<_> = ["ALICE", "BOB", "CAROL"].map(|user| venue.client_from(user, 1)).into();
        let (seen, state) = std::thread::scope(|scope| {
            let traders: Vec<_> = clients
                .iter_mut()
                .map(|client| {
                    let stopping = &stopping;
                    scope.spawn(move || {
                        let mut seen = Vec::new();
                        let mut user_ref = 0;
                        loop {
                            for _ in 0..20 {
                                user_ref += 1;
                                let side = if user_ref % 2 == 0 { b'B' } else { b'S' };
                                if client.connection.room() > 256 {
                                    client.put(&enter(user_ref, side, 10, "AAPL", 1_000_000, codes::DAY));
                                }
                            }
                            let mut alive = client.connection.flush().is_ok();
                            alive &= client.connection.fill().is_ok();
                            while let Ok(Some(message)) = client.connection.next() {
                                seen.push((message.sequence, message.bytes.to_vec()));
                            }
                            if !alive {
                                assert!(stopping.load(Ordering::Relaxed), "cut off before the stop");
                                return seen;
                            }
                            std::thread::sleep(std::time::Duration::from_micros(100));
                        }
                    })
                })
                .collect();
            std::thread::sleep(std::time::Duration::from_millis(200));
            stopping.store(true, Ordering::Relaxed);
            let state = venue.stop_state();
            let seen: Vec<_> = traders.into_iter().map(|trader| trader.join().expect("a trader")).collect();
            (seen, state)
        });
        let reference = Reference::of(&home.data());
        assert_eq!(reference.state(), state);
        for (seen, told) in seen.iter().zip(&reference.told) {
            for (number, bytes) in seen {
                assert_eq!(told[usize::try_from(number - 1).expect("few")].bytes, *bytes);
            }
        }
        // Nothing is left to be completed.
        assert_eq!(home.start().recovered["reports_completed"], 0);
    }
}
