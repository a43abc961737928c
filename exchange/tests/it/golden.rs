//! Journals that a version of the format has written, kept for ever: whatever comes after must read them, and come to the
//! state and the events that they came to then.
//!
//! `tests/golden/journal-N` has the segments of one that format N wrote, the last cut to what is in it, the snapshots of
//! that time, and `expected.json`: what that time's own `exchange replay` said. There is no format 3, 5 or 6. To write the one of
//! the newest format, when it is new: `GOLDEN=write`.
//!
//! | format | written by the last program of that format | has |
//! |---|---|---|
//! | 1 | commit aeae255 | two loads of three sessions, a kill between them |
//! | 2 | commit d9c0745 | the same; bounds of an instrument; every kind of special order, mass cancels, expiries |
//! | 4 | commit 9968953 | trade, special orders, the start of an epoch |
//! | 7 | commit bf13c5b | the same, with the reports of special orders |
//! | 8 | the program that made it | the same, with a session that is told of two others' orders |

use std::{
    fs,
    path::{Path, PathBuf},
};

use rand::SeedableRng;
use serde_json::{Value, json};

use crate::{
    desk::{Desk, any_command},
    party::{Random, parties, trade},
    venue::{Home, Settings, json as asked, text},
};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The configuration that the journal of a format was written with.
fn settings(place: &Path) -> Settings {
    let bounds = r#", quantity_min = 2, notional_min = "1.00", notional_max = "5000000.00""#;
    Settings { nvda: if place.ends_with("journal-2") { bounds } else { "" }, ..Settings::default() }
}

/// What there is to compare.
fn found(data: &Path, shards: &str) -> Value {
    let replay = asked(&["replay", "--json", "--data", &data.display().to_string(), "--shards", shards]);
    json!({
        "commands": replay["commands"],
        "events": replay["events"],
        "state": replay["state"],
        "events_hash": replay["events_hash"],
        "end": journal::inspect::info(data).expect("a journal").end.0,
    })
}

/// Trade, special orders, two epochs' worth of starts and stops, all from one seed but for the times.
fn write(place: &Path) {
    let mut random = Random::seed_from_u64(20_261_129);
    let sections = "[fix]\naddress = \"127.0.0.1:0\"\n[[users]]\nname = \"RISK\"\npassword = \"a-secret\"\nprotocol = \"fix\"\n\
                    drop_copy_of = [\"ALICE\", \"BOB\"]\n";
    let home = Home::new(Settings { segment_mib: 1, sections: sections.into(), ..Settings::default() });
    let mut parties = parties();
    let venue = home.start();
    trade(&venue, &mut parties, &mut random);
    venue.stop();
    let mut desk = Desk::open(&home);
    for _ in 0..300 {
        desk.nanos += 1_000;
        let command = any_command(&desk, &mut random);
        desk.put(command);
    }
    desk.put(domain::Command::EpochStart(domain::Epoch(1)));
    desk.close();
    home.start().stop();
    fs::create_dir_all(place).expect("a directory");
    let info = journal::inspect::info(home.data()).expect("a journal");
    for (number, segment) in info.segments.iter().enumerate() {
        let mut bytes = fs::read(&segment.file).expect("a segment");
        if number + 1 == info.segments.len() {
            bytes.truncate(4_096 + (info.end.0 - segment.base.0) as usize);
        }
        fs::write(place.join(segment.file.file_name().expect("a name")), bytes).expect("writing");
    }
    let expected = serde_json::to_string_pretty(&found(&home.data(), "2")).expect("JSON");
    fs::write(place.join("expected.json"), expected + "\n").expect("writing");
}

/// Puts a golden journal and its snapshots into a data directory. Whether there are snapshots.
fn put(place: &Path, home: &Home) -> bool {
    fs::create_dir_all(home.data()).expect("a directory");
    let mut has_snapshot = false;
    for file in fs::read_dir(place).expect("a directory") {
        let file = file.expect("an entry").path();
        let is_snapshot = file.extension().is_some_and(|extension| extension == "snap");
        has_snapshot |= is_snapshot;
        if is_snapshot || file.extension().is_some_and(|extension| extension == "seg") {
            fs::copy(&file, home.data().join(file.file_name().expect("a name"))).expect("copying");
        }
    }
    has_snapshot
}

#[test]
fn journals_of_every_format_come_to_what_they_came_to() {
    let newest = golden().join(format!("journal-{}", journal::FORMAT_VERSION));
    if std::env::var("GOLDEN").is_ok_and(|what| what == "write") {
        write(&newest);
    }
    let mut formats = Vec::new();
    for entry in fs::read_dir(golden()).expect("golden journals") {
        let place = entry.expect("an entry").path();
        formats.push(place.file_name().expect("a name").to_string_lossy().into_owned());
        let expected = fs::read_to_string(place.join("expected.json")).expect("what it came to");
        let expected: Value = serde_json::from_str(&expected).expect("JSON");
        // It goes on: every report in it is what the books say today, without that time's snapshot and from it.
        for arguments in [&["--shards", "2", "--no-snapshot"][..], &["--shards", "2"]] {
            let args = arguments.iter().map(ToString::to_string).collect();
            let home = Home::new(Settings { args, ..settings(&place) });
            let has_snapshot = put(&place, &home);
            for shards in ["1", "4"] {
                assert_eq!(found(&home.data(), shards), expected, "{} on {shards} shards", place.display());
            }
            let venue = home.start();
            let is_used = has_snapshot && arguments.len() == 2;
            let recovered = &venue.recovered;
            assert_eq!(
                recovered["snapshot_sequence"].is_u64(),
                is_used,
                "{}: {}",
                place.display(),
                home.log()
            );
            assert_eq!(recovered["state"], expected["state"], "{}", place.display());
            assert_eq!(recovered["reports_completed"], 0);
            assert_eq!(text(&venue.stop(), "state"), text(&expected, "state"));
            let found = journal::inspect::verify(home.data()).expect("readable");
            assert_eq!((found.problems, found.info.format), (vec![], journal::FORMAT_VERSION));
        }
    }
    formats.sort();
    // One is there from the day on that its format is new. There never was a format 3, 5 or 6.
    assert_eq!(formats, ["journal-1", "journal-2", "journal-4", "journal-7", "journal-8"]);
}
