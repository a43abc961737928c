//! Recorded order flow through `exchange load --lobster`: every row is accounted for, and the books are those that the
//! naive book makes of the journal.
//!
//! The recording is made here. `LOBSTER_FILE` names a real one to do the same with.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;
use serde_json::Value;

use crate::{
    reference::Reference,
    venue::{Home, INSTRUMENTS, Settings, exchange},
};

/// A resting order of the recording.
#[derive(Clone, Copy)]
struct Resting {
    id: u64,
    buy: bool,
    price: u64,
    size: u64,
}

/// A recording as LOBSTER writes it: time, type, order, size, price, direction. Executions are of the order that is
/// first in priority, as they would have been.
fn recording(random: &mut Xoshiro256StarStar, rows: usize) -> String {
    let mut text = String::new();
    let mut book: Vec<Resting> = Vec::new();
    let (mut id, mut nanos) = (16_113_575, 34_200_000_000_000_u64);
    for _ in 0..rows {
        nanos += random.random_range(1..2_000_000);
        let mut row = |kind: u8, order: Resting, size: u64| {
            let time = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
            let direction = if order.buy { 1 } else { -1 };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{time},{kind},{},{size},{},{direction}", order.id, order.price);
        };
        let choice = random.random_range(0..100);
        if choice < 50 || book.is_empty() {
            let buy = random.random_bool(0.5);
            let away = random.random_range(0..40) * 100;
            let price = if buy { 5_853_300 - away } else { 5_853_400 + away };
            id += random.random_range(1..9);
            let order = Resting { id, buy, price, size: random.random_range(1..300) };
            row(1, order, order.size);
            book.push(order);
            continue;
        }
        let at = random.random_range(0..book.len());
        match choice {
            50..60 if book[at].size > 1 => {
                let size = random.random_range(1..book[at].size);
                book[at].size -= size;
                row(2, book[at], size);
            }
            50..78 => {
                let order = book.remove(at);
                row(3, order, order.size);
            }
            78..94 => {
                let buy = book[at].buy;
                let first = (0..book.len()).filter(|n| book[*n].buy == buy).min_by_key(|n| {
                    let price = book[*n].price;
                    if buy { u64::MAX - price } else { price }
                });
                let first = first.expect("one of that side is there");
                let size = random.random_range(1..=book[first].size);
                row(4, book[first], size);
                book[first].size -= size;
                if book[first].size == 0 {
                    book.remove(first);
                }
            }
            94..96 => row(5, Resting { id: 0, buy: true, price: 5_853_350, size: 100 }, 100),
            96..98 => row(3, Resting { id: 7, buy: false, price: 5_860_000, size: 10 }, 10),
            98 => row(6, Resting { id: 0, buy: true, price: 5_853_300, size: 100 }, 500),
            _ => row(7, Resting { id: 0, buy: false, price: 0, size: 0 }, 0),
        }
    }
    text
}

/// Plays a recording, and returns the summary.
fn play(home: &Home, file: &Path, symbol: &str) -> Value {
    let venue = home.start();
    let output = exchange()
        .args(["load", "--json", "--symbol", symbol, "--target", &venue.address.to_string(), "--lobster"])
        .arg(file)
        .arg("--config")
        .arg(home.file("config.toml"))
        .output()
        .expect("the load generator runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let state = venue.stop_state();
    let reference = Reference::of(&home.data());
    assert_eq!(reference.state(), state);
    let replayed = home.replay(4);
    assert_eq!((&replayed["state"], &replayed["events_hash"]), (&state.into(), &reference.events().into()));
    // Everything that was sent and not superfluous is in the journal, and no answer is missing.
    let requests = &summary["requests"];
    assert_eq!(
        (&requests["unanswered"], &requests["unexpected_messages"]),
        (&0.into(), &0.into()),
        "{requests}"
    );
    assert_eq!(requests["rejected"], 0, "{requests}");
    summary
}

/// Each row is sent or counted under the reason why not; returns the rows.
fn all_rows_are_accounted_for(summary: &Value) -> u64 {
    let rows = summary["recording"]["rows"].as_object().expect("rows");
    let count = |value: &Value| value.as_u64().expect("a count");
    let whole = count(&rows["rows"]);
    let parts: u64 = rows.iter().filter(|(name, _)| *name != "rows").map(|(_, n)| count(n)).sum();
    assert_eq!(parts, whole, "{rows:?}");
    let sent: u64 = rows.iter().filter(|(name, _)| name.starts_with("sent_")).map(|(_, n)| count(n)).sum();
    assert_eq!(summary["requests"]["sent"], sent, "{rows:?}");
    assert_eq!(count(&rows["not_reached"]), 0, "{rows:?}");
    whole
}

#[test]
fn a_recording_is_played_row_by_row() {
    let mut random = Xoshiro256StarStar::seed_from_u64(seeded::seed());
    let home = Home::new(Settings { ack: "memory", ..Settings::default() });
    let file = home.file("AAPL_2012-06-21_34200000_57600000_message_1.csv");
    let rows = 5_000;
    std::fs::write(&file, recording(&mut random, rows)).expect("writing the recording");
    let summary = play(&home, &file, "AAPL");
    assert_eq!(all_rows_are_accounted_for(&summary), rows as u64);
    // The recording keeps price and time, so its executions are ours.
    let agreement = &summary["recording"]["agreement"];
    let sent = summary["recording"]["rows"]["sent_execution"].as_u64().expect("a count");
    assert!(sent > 300, "{sent}");
    assert_eq!(agreement["rows_recorded_order"], sent, "{agreement}");
}

#[test]
fn a_real_recording_named_by_the_environment_is_played_the_same_way() {
    let Some(file) = std::env::var_os("LOBSTER_FILE").map(PathBuf::from) else {
        println!("LOBSTER_FILE names none");
        return;
    };
    let name = file.file_name().expect("a file").to_string_lossy().into_owned();
    let symbol = name.split('_').next().filter(|symbol| INSTRUMENTS.contains(symbol)).unwrap_or("AAPL");
    let home = Home::new(Settings { ack: "memory", segment_mib: 64, tail_mib: 16, ..Settings::default() });
    let summary = play(&home, &file, symbol);
    let rows = all_rows_are_accounted_for(&summary);
    println!("{rows} rows, {}", summary["recording"]["agreement"]);
    assert!(rows > 0);
}
