//! Journals that a version of the format has written, kept for ever: whatever comes after must read them, and come to the
//! state and the events that they came to then.
//!
//! `tests/golden/journal-N` has the segments of one that format N wrote, the last cut to what is in it, and
//! `expected.json`. To write the one of the newest format, when it is new: `GOLDEN=write`.

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
    let home = Home::new(Settings { segment_mib: 1, ..Settings::default() });
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

#[test]
fn journals_of_every_format_come_to_what_they_came_to() {
    let newest = golden().join(format!("journal-{}", journal::FORMAT_VERSION));
    if std::env::var("GOLDEN").is_ok_and(|what| what == "write") {
        write(&newest);
    }
    assert!(newest.is_dir(), "{} is there from the day on that the format is new", newest.display());
    for entry in fs::read_dir(golden()).expect("golden journals") {
        let place = entry.expect("an entry").path();
        let expected = fs::read_to_string(place.join("expected.json")).expect("what it came to");
        let expected: Value = serde_json::from_str(&expected).expect("JSON");
        let home = Home::new(Settings::default());
        fs::create_dir_all(home.data()).expect("a directory");
        for file in fs::read_dir(&place).expect("a directory") {
            let file = file.expect("an entry").path();
            if file.extension().is_some_and(|extension| extension == "seg") {
                fs::copy(&file, home.data().join(file.file_name().expect("a name"))).expect("copying");
            }
        }
        for shards in ["1", "4"] {
            assert_eq!(found(&home.data(), shards), expected, "{} on {shards} shards", place.display());
        }
        // It goes on: every report in it is what the books say today.
        let venue = home.start();
        assert_eq!(venue.recovered["state"], expected["state"], "{}", place.display());
        assert_eq!(venue.recovered["reports_completed"], 0);
        assert_eq!(text(&venue.stop(), "state"), text(&expected, "state"));
        assert_eq!(journal::inspect::verify(home.data()).expect("readable").problems, []);
    }
}
