//! Data directories: compared, exported, repaired, and started from when their oldest segments are gone.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Output,
    sync::atomic::AtomicBool,
};

use journal::{
    Reader,
    retention::{Retained, Retention},
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;
use serde_json::Value;
use wire::ouch::codes;

use crate::{
    client::enter,
    venue::{Home, INSTRUMENTS, Settings, Venue, json, output, printed, replay, text},
};

type Random = Xoshiro256StarStar;

/// Bytes before a segment's data, and of its data.
const HEADER: u64 = 4096;
const SEGMENT: u64 = 1 << 20;

/// An exchange with the smallest segments.
fn home() -> Home {
    Home::new(Settings { ack: "memory", segment_mib: 1, ..Settings::default() })
}

/// Orders of two sessions, some of which trade, until the journal has grown by so many bytes.
fn trade(venue: &Venue, data: &Path, random: &mut Random, bytes: u64) {
    let size = || Reader::open(data).expect("a journal").end().0;
    let until = size() + bytes;
    while size() < until {
        for (user, side) in [("ALICE", b'B'), ("BOB", b'S')] {
            let mut client = venue.client(user);
            let (_, next) = client.query();
            for user_ref in next..next + 500 {
                let price = random.random_range(9_990..10_010) * 100;
                let symbol = INSTRUMENTS[random.random_range(0..4)];
                client.put(&enter(user_ref, side, random.random_range(1..100), symbol, price, codes::DAY));
            }
            client.query();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "seg" || e == "snap") {
            fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copying");
        }
    }
}

fn segment(dir: &Path, index: u64) -> PathBuf {
    dir.join(format!("{index:010}.seg"))
}

fn flip(file: &Path, offset: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(file).expect("a file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("reading");
    file.write_all_at(&[byte[0] ^ 4], offset).expect("writing");
}

/// What a command says that must fail.
fn fails(args: &[&str]) -> String {
    let Output { status, stderr, stdout } = output(args);
    assert_eq!(status.code(), Some(1), "{args:?}");
    let both = [stdout, stderr].concat();
    let said = String::from_utf8(both).expect("text");
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn path(dir: &Path) -> &str {
    dir.to_str().expect("text")
}

#[test]
fn what_lies_beside_the_records_is_shown_and_verified() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let home = home();
    let data = home.data();
    let mut stops = Vec::new();
    for _ in 0..2 {
        let venue = home.start();
        trade(&venue, &data, &mut random, 1);
        stops.insert(0, venue.stop());
    }
    let info = json(&["journal", "info", "--data", path(&data), "--json"]);
    assert_eq!(info["begin"], 0);
    // The only epoch there is so far.
    assert_eq!(info["epochs"].as_array().map(Vec::len), Some(1), "{info}");
    assert_eq!(info["epochs"][0]["epoch"], 1);
    assert_eq!(
        (&info["epochs"][0]["first_position"], &info["epochs"][0]["first_sequence"]),
        (&0.into(), &1.into())
    );
    let snapshots = info["snapshots"].as_array().expect("a list");
    assert_eq!(snapshots.len(), 2);
    for (snapshot, stopped) in snapshots.iter().zip(&stops) {
        assert_eq!(
            (&snapshot["sequence"], &snapshot["state"]),
            (&stopped["last_sequence"], &stopped["state"])
        );
        assert_eq!(snapshot["problem"], Value::Null);
    }
    let said = printed(&["journal", "info", "--data", path(&data)]);
    assert!(said.contains("epoch     1 from position 0, sequence 1"), "{said}");
    assert!(said.contains(&format!("state {}: good", text(&stops[0], "state"))), "{said}");
    let said = printed(&["journal", "verify", "--data", path(&data)]);
    assert!(said.contains("2 snapshots: whole"), "{said}");

    // A bit of a body, of a header; and a body that is as written and makes no state.
    let file = PathBuf::from(text(&snapshots[0], "file"));
    let good = fs::read(&file).expect("a snapshot");
    let in_body = random.random_range(128..good.len() as u64);
    let crafted = {
        let cluster = Reader::open(&data).expect("a journal").cluster();
        let (header, _) = journal::snapshot::read(&file, cluster, 1 << 30).expect("a snapshot");
        let elsewhere = home.file("elsewhere");
        fs::create_dir(&elsewhere).expect("a directory");
        let written = journal::snapshot::write(&elsewhere, &header, &[0; 16]).expect("writing");
        fs::read(written).expect("a snapshot")
    };
    for (spoil, what) in
        [(Some(in_body), "the body's CRC"), (Some(70), "the header's CRC"), (None, "its body")]
    {
        match spoil {
            Some(offset) => flip(&file, offset),
            None => fs::write(&file, &crafted).expect("writing"),
        }
        let said = fails(&["journal", "verify", "--data", path(&data)]);
        assert!(said.contains(what) && said.contains("1 problems"), "not {what}: {said}");
        let info = json(&["journal", "info", "--data", path(&data), "--json"]);
        assert_eq!(info["snapshots"][0]["problem"].is_null(), spoil.is_none(), "{info}");
        assert_eq!(info["snapshots"][1]["problem"], Value::Null);
        fs::write(&file, &good).expect("writing");
    }
    printed(&["journal", "verify", "--data", path(&data)]);
}

#[test]
fn copies_are_compared() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let home = home();
    let (data, other) = (home.data(), home.file("copy"));
    let venue = home.start();
    trade(&venue, &data, &mut random, SEGMENT);
    let early = venue.stop();
    copy(&data, &other);
    let diff = |one: &Path, other: &Path| {
        output(&["journal", "diff", "--data", path(one), "--data", path(other), "--json"])
    };
    let value = |output: &Output| -> Value { serde_json::from_slice(&output.stdout).expect("JSON") };
    let same = diff(&data, &other);
    assert!(same.status.success());
    assert_eq!(value(&same)["then"]["same"], true);
    let early_end = value(&same)["common"].as_u64().expect("a position");
    assert_eq!(early_end, Reader::open(&other).expect("a journal").end().0);

    // One goes on: also while it runs.
    let venue = home.start();
    trade(&venue, &data, &mut random, 1);
    let longer = diff(&other, &data);
    assert!(longer.status.success());
    let found = value(&longer);
    assert_eq!(text(&found["then"], "longer"), path(&data), "{found}");
    assert_eq!(found["common"], early_end);
    let commands = Reader::open(&data)
        .expect("a journal")
        .records()
        .filter(|r| r.as_ref().is_ok_and(|r| r.kind.is_command()))
        .count() as u64;
    assert_eq!(found["then"]["commands"], commands - early["last_sequence"].as_u64().expect("a number"));
    venue.stop();

    // The other goes on otherwise.
    let copied = Home::new(Settings { data: Some(other.clone()), ..home.settings.clone() });
    let venue = copied.start();
    trade(&venue, &other, &mut random, 1);
    venue.stop();
    let differ = diff(&data, &other);
    assert_eq!(differ.status.code(), Some(1));
    let found = value(&differ);
    let at = found["then"]["differ_at"].as_u64().expect("a position");
    assert!(found["common"].as_u64().is_some_and(|common| (early_end..=at).contains(&common)), "{found}");
    for (side, dir) in [("first", &data), ("second", &other)] {
        let record = &found["then"][side];
        if !record.is_null() {
            assert_eq!(record["position"], at);
            let reader = Reader::open(dir).expect("a journal");
            let there =
                reader.records_from(journal::Position(at)).next().expect("a record").expect("a good one");
            assert_eq!(record["sequence"], there.sequence.0);
        }
    }
    let said = fails(&["journal", "diff", "--data", path(&data), "--data", path(&other)]);
    assert!(said.contains(&format!("they differ from position {at} on:")), "{said}");
    let stranger = self::home();
    stranger.start().stop();
    let said = fails(&["journal", "diff", "--data", path(&data), "--data", path(&stranger.data())]);
    assert!(said.contains("different journals"), "{said}");
}

#[test]
fn an_export_has_every_record() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let home = home();
    let data = home.data();
    let venue = home.start();
    trade(&venue, &data, &mut random, SEGMENT / 4);
    let out = home.file("out.jsonl");
    // While it runs, and after a kill.
    printed(&["journal", "export", "--data", path(&data), "--format", "jsonl", "--out", path(&out)]);
    let running = fs::read_to_string(&out).expect("an export");
    venue.kill();
    let args = ["journal", "export", "--data", path(&data), "--format", "jsonl"];
    let killed = printed(&args);
    assert!(killed.starts_with(&running));
    assert_eq!(printed(&args), killed, "the same again");
    let rows: Vec<Value> = killed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let reader = Reader::open(&data).expect("a journal");
    assert_eq!(rows.len(), reader.records().count());
    for (row, record) in rows.iter().zip(reader.records()) {
        let record = record.expect("a good record");
        assert_eq!(row["position"], record.position.0);
        assert_eq!(row["sequence"], record.sequence.0);
        assert_eq!(row["nanos"], record.nanos.0);
        assert_eq!(row["kind"], format!("{:?}", record.kind));
        match record.report() {
            Ok(report) => assert_eq!(
                (&row["session"], &row["number"]),
                (&report.session.0.into(), &report.number.into()),
                "{row}"
            ),
            Err(_) => assert_eq!(row["family"], "command"),
        }
    }
    // The table has the same cells.
    let csv = printed(&["journal", "export", "--data", path(&data), "--format", "csv"]);
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    for (line, row) in lines.by_ref().zip(&rows) {
        // Nobody here uses a comma.
        for (name, cell) in header.iter().zip(line.split(',')) {
            let expected = match &row[*name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                number => number.to_string(),
            };
            assert_eq!(cell, expected, "{name} of {row}");
        }
    }
    assert_eq!(csv.lines().count(), rows.len() + 1);

    // What cannot be finished is not there. (After a clean stop: until then the tail would heal it.)
    home.start().stop();
    flip(&segment(&data, 0), HEADER + 2_000);
    fs::remove_file(&out).expect("removing");
    let said = fails(&["journal", "export", "--data", path(&data), "--format", "csv", "--out", path(&out)]);
    assert!(said.contains("damaged"), "{said}");
    let nowhere = home.file("no/where");
    let said =
        fails(&["journal", "export", "--data", path(&data), "--format", "csv", "--out", path(&nowhere)]);
    assert!(said.contains("cannot write"), "{said}");
    let left: Vec<_> =
        fs::read_dir(home.file("")).expect("a directory").map(|e| e.expect("an entry").file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("out.")), "{left:?}");
}

#[test]
fn a_damaged_directory_is_repaired_from_a_copy() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let home = home();
    let (data, standby) = (home.data(), home.file("standby"));
    let venue = home.start();
    trade(&venue, &data, &mut random, 3 * SEGMENT);
    let state = venue.stop_state();
    copy(&data, &standby);
    let first = fs::read(segment(&data, 0)).expect("a segment");
    let offset = HEADER + random.random_range(0..SEGMENT);
    println!("byte {offset} of segment 0");
    flip(&segment(&data, 0), offset);
    fs::remove_file(segment(&data, 1)).expect("removing");
    assert!(home.refused().contains("missing"));

    let said = printed(&["repair", "--data", path(&data), "--from", path(&standby), "--dry-run"]);
    assert!(said.contains("it is missing") && said.contains("would be replaced"), "{said}");
    assert!(!segment(&data, 1).exists());
    // Another journal's directory, and one that does not have it.
    let stranger = self::home();
    stranger.start().stop();
    let said = fails(&["repair", "--data", path(&data), "--from", path(&stranger.data())]);
    assert!(said.contains("of another journal"), "{said}");
    fs::rename(segment(&standby, 1), home.file("away")).expect("renaming");
    let said = fails(&["repair", "--data", path(&data), "--from", path(&standby)]);
    assert!(said.contains("0000000001.seg is not there") && said.contains("not changed"), "{said}");
    fs::rename(home.file("away"), segment(&standby, 1)).expect("renaming");
    assert!(!segment(&data, 1).exists());

    let said = printed(&["repair", "--data", path(&data), "--from", path(&standby)]);
    assert!(said.contains("repaired, and whole"), "{said}");
    assert_eq!(fs::read(segment(&data, 0)).expect("a segment"), first);
    assert!(data.join("0000000000.seg.damaged").exists());
    let said = printed(&["repair", "--data", path(&data), "--from", path(&standby)]);
    assert!(said.contains("nothing to repair"), "{said}");
    assert_eq!(text(&home.replay(2), "state"), state);
    let venue = home.start();
    assert_eq!(venue.recovered_state(), state);
    // Nobody repairs under a running exchange.
    let said = fails(&["repair", "--data", path(&data), "--from", path(&standby)]);
    assert!(said.contains("is in use by process"), "{said}");
}

/// Retention as an exchange does it, from outside.
fn shed(data: &Path, archive: Option<&Path>) -> Retained {
    let retention = Retention::new(data.to_path_buf(), archive.map(Path::to_path_buf));
    retention.run(&[], &AtomicBool::new(false)).expect("it can")
}

#[test]
fn without_its_past_an_exchange_starts_from_a_snapshot_and_from_nothing_else() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut home = home();
    let (data, archive) = (home.data(), home.file("archive"));
    for _ in 0..2 {
        let venue = home.start();
        trade(&venue, &data, &mut random, 2 * SEGMENT);
        venue.stop();
    }
    let venue = home.start();
    trade(&venue, &data, &mut random, SEGMENT / 2);
    venue.kill();
    let before = home.replay(2);
    let sequence = before["last_sequence"].clone();

    // Beneath an exchange that runs.
    let venue = home.start();
    let shed = shed(&data, Some(&archive));
    assert!(shed.removed >= 2 && shed.archived == shed.removed, "{shed:?}");
    assert!(!segment(&data, 0).exists());
    venue.kill();
    let info = json(&["journal", "info", "--data", path(&data), "--json"]);
    assert_eq!((&info["begin"], &info["last_sequence"]), (&shed.begin.0.into(), &sequence), "{info}");
    assert!(printed(&["journal", "verify", "--data", path(&data)]).contains("whole"));

    // From either of its snapshots, on any number of shards.
    for shards in ["1", "3"] {
        home.settings.args = vec!["--shards".into(), shards.into()];
        let venue = home.start();
        assert_eq!(venue.recovered["state"], before["state"]);
        assert!(venue.recovered["snapshot_sequence"].is_u64());
        venue.kill();
    }
    let newest = journal::snapshot::list(&data).expect("a directory").remove(0);
    let good = fs::read(&newest).expect("a snapshot");
    flip(&newest, 200);
    let venue = home.start();
    assert_eq!(venue.recovered["state"], before["state"]);
    venue.kill();

    // Without any it says what is missing.
    let older = journal::snapshot::list(&data).expect("a directory").remove(1);
    fs::rename(&older, home.file("older")).expect("renaming");
    let begin = format!("begins at position {}", shed.begin);
    let said = home.refused();
    assert!(said.contains(&begin) && said.contains("snapshot-*.snap"), "{said}");
    assert!(fails(&["journal", "verify", "--data", path(&data)]).contains(&begin));
    fs::write(&newest, &good).expect("writing");
    home.settings.args.push("--no-snapshot".into());
    assert!(home.refused().contains(&begin));
    let said = fails(&["replay", "--data", path(&data)]);
    assert!(said.contains(&begin) && said.contains("archive"), "{said}");
    home.settings.args.pop();
    let venue = home.start();
    assert_eq!(venue.recovered["state"], before["state"]);
    venue.kill();

    // With the archive's segments it is whole again.
    copy(&archive, &data);
    assert_eq!(replay(&data, 1)["state"], before["state"]);
    home.settings.args.push("--no-snapshot".into());
    let venue = home.start();
    assert_eq!(venue.recovered["state"], before["state"]);
}
