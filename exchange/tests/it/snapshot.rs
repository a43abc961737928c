//! Snapshots: a start from one is the same as a start without, and any doubt about one means without.
//!
//! Two clients trade at random; whatever they were told, they are told again; what the exchange recovers to
//! is what a replay of the whole journal, which knows no snapshots, comes to.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use journal::Reader;
use rand::{RngExt, SeedableRng};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::{
    party::{Party, Random, parties, trade},
    venue::{Home, Settings, Venue, json, text},
};

/// Small segments, so that snapshots lie in several.
fn settings(random: &mut Random) -> Settings {
    let ack = if random.random_bool(0.5) { "disk" } else { "memory" };
    let shards = random.random_range(1..4).to_string();
    Settings { ack, segment_mib: 1, ..Settings::args(&["--shards", &shards]) }
}

/// The snapshots of a data directory, the newest first.
fn snapshots(data: &Path) -> Vec<PathBuf> {
    journal::snapshot::list(data).expect("a directory")
}

/// What the recovery must be, whatever served: the state of a replay of the whole journal.
fn check(home: &Home, venue: &Venue, parties: &[Party], snapshot: Option<&Value>) {
    let replayed = home.replay(2);
    assert_eq!(venue.recovered["state"], replayed["state"]);
    assert_eq!(venue.recovered["commands"], replayed["commands"]);
    assert_eq!(&venue.recovered["snapshot_sequence"], snapshot.unwrap_or(&Value::Null));
    for party in parties {
        party.hear_again(venue);
    }
}

#[test]
fn rounds_of_stops_and_kills_are_as_if_nothing_had_been() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut home = Home::new(settings(&mut random));
    let mut parties = parties();
    let mut venue = home.start();
    let mut last_stop: Option<Value> = None;
    for round in 0..12 {
        trade(&venue, &mut parties, &mut random);
        let mut in_stop = false;
        if random.random_bool(0.3) {
            venue.kill();
        } else if random.random_bool(0.3) {
            // Killed somewhere in its stop: there is a snapshot of it, or there is none.
            kill_process(venue.pid(), Signal::TERM).expect("it can be asked to stop");
            std::thread::sleep(Duration::from_micros(random.random_range(0..20_000)));
            venue.kill();
            in_stop = true;
        } else {
            let stopped = venue.stop();
            assert_eq!(stopped["state"], home.replay(1)["state"], "round {round}");
            let kept = snapshots(&home.data()).len();
            assert!(kept == 2 || kept == 1 && last_stop.is_none(), "round {round}: {kept} kept");
            last_stop = Some(stopped["last_sequence"].clone());
        }
        // Another number of shards each time; now and then in doubt about snapshots.
        home.settings.args = settings(&mut random).args;
        let doubt = !in_stop && random.random_bool(0.2);
        if doubt {
            home.settings.args.push("--no-snapshot".into());
        }
        venue = home.start();
        let served = &venue.recovered["snapshot_sequence"];
        if in_stop && !served.is_null() {
            last_stop = Some(served.clone());
        }
        check(&home, &venue, &parties, last_stop.as_ref().filter(|_| !doubt));
    }
    assert_eq!(home.log_lines("is not used"), [""; 0]);
}

/// Nobody asks the exchange anything: its journal says all. Between a command and the reports that it causes there is
/// always something in flight, so some of these snapshots owe reports.
#[test]
fn snapshots_are_taken_while_an_exchange_trades_and_serve_after_a_kill() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let mut home = Home::new(settings(&mut random));
    let mut parties = parties();
    let mut venue = home.start();
    let (mut taken, mut owed) = (0, 0);
    for round in 0..6 {
        let data = home.data().display().to_string();
        let trading = std::sync::atomic::AtomicBool::new(true);
        let last = std::thread::scope(|scope| {
            let snapshots = scope.spawn(|| {
                let mut last = None;
                while trading.load(std::sync::atomic::Ordering::Relaxed) {
                    let snapshot = json(&["snapshot", "--json", "--data", &data]);
                    taken += 1;
                    owed += snapshot["owed"].as_u64().expect("a number");
                    last = Some(snapshot);
                }
                last.expect("one at least")
            });
            for _ in 0..4 {
                trade(&venue, &mut parties, &mut random);
            }
            trading.store(false, std::sync::atomic::Ordering::Relaxed);
            snapshots.join().expect("all could be taken")
        });
        let file = PathBuf::from(last["file"].as_str().expect("a path"));
        assert_eq!(snapshots(&home.data())[0], file, "round {round}");
        venue.kill();
        home.settings.args = settings(&mut random).args;
        venue = home.start();
        check(&home, &venue, &parties, Some(&last["sequence"]));
    }
    venue.stop();
    // One of a directory where nothing runs is of its end, and says what the stop said.
    let last = json(&["snapshot", "--json", "--data", &home.data().display().to_string()]);
    assert_eq!((&last["state"], &last["owed"]), (&home.replay(3)["state"], &0.into()));
    println!("SEED={seed}: {taken} taken, {owed} reports owed in them");
    assert_eq!(home.log_lines("is not used"), [""; 0]);
}

/// When its journal has grown by as much as the configuration says, it has one taken by itself.
#[test]
fn an_exchange_that_trades_has_snapshots_taken() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let home = Home::new(Settings { snapshot_mib: 1, ..settings(&mut random) });
    let mut parties = parties();
    let mut venue = home.start();
    let begun = std::time::Instant::now();
    while snapshots(&home.data()).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no snapshot: {}", home.log());
        trade(&venue, &mut parties, &mut random);
    }
    trade(&venue, &mut parties, &mut random);
    venue.kill();
    venue = home.start();
    let served = venue.recovered["snapshot_sequence"].clone();
    assert!(served.as_u64().is_some_and(|sequence| sequence > 1_000), "{served}");
    check(&home, &venue, &parties, Some(&served));
    // A stop in the middle of one ends it, and is as clean as any.
    trade(&venue, &mut parties, &mut random);
    let stopped = venue.stop();
    assert_eq!(stopped["state"], home.replay(1)["state"]);
    assert_eq!(
        position_of(&snapshots(&home.data())[0]),
        Reader::open(home.data()).expect("a journal").end().0 - 64
    );
}

/// A directory with two snapshots and something after them, its exchange killed.
fn traded(random: &mut Random, parties: &mut [Party]) -> (Home, Vec<Value>) {
    let home = Home::new(settings(random));
    let mut stops = Vec::new();
    for _ in 0..2 {
        let venue = home.start();
        trade(&venue, parties, random);
        stops.insert(0, venue.stop()["last_sequence"].clone());
    }
    let venue = home.start();
    trade(&venue, parties, random);
    venue.kill();
    (home, stops)
}

#[test]
fn what_is_not_as_it_was_written_is_done_without() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut parties = parties();
    let (home, stops) = traded(&mut random, &mut parties);
    let (other, _) = traded(&mut random, &mut self::parties());
    let files = snapshots(&home.data());
    let good: Vec<_> = files.iter().map(|path| fs::read(path).expect("a snapshot")).collect();
    let foreign = fs::read(&snapshots(&other.data())[0]).expect("a snapshot");

    let mut lines = 0;
    // What to make of a snapshot, and what the log then says of it.
    type Spoil<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x10;
        bytes
    };
    let in_header = random.random_range(12..124);
    let in_body = random.random_range(128..good[0].len().min(good[1].len()));
    println!("bits flipped in bytes {in_header} and {in_body}");
    let cases: [(Spoil<'_>, &str); 9] = [
        (&|bytes| bytes[..bytes.len() / 2].to_vec(), "and its header says"),
        (&|bytes| bytes[..100].to_vec(), "it has 100 bytes"),
        (&|_| Vec::new(), "it has 0 bytes"),
        (&|bytes| [bytes, b"more"].concat(), "and its header says"),
        (&|bytes| flipped(bytes, 3), "does not begin as a snapshot"),
        (&|bytes| flipped(bytes, in_header), "the header's CRC"),
        (&|bytes| flipped(bytes, in_body), "the body's CRC"),
        (&|bytes| [&bytes[..8], &6_u32.to_le_bytes(), &bytes[12..]].concat(), "its version is 6"),
        (&|_| foreign.clone(), "of another journal"),
    ];
    for (spoil, why) in cases {
        // The newest is bad, and the older one serves; then both are.
        for bad in 1..=2 {
            for (path, bytes) in files.iter().zip(&good).take(bad) {
                fs::write(path, spoil(bytes)).expect("writing");
            }
            let venue = home.start();
            check(&home, &venue, &parties, stops.get(bad));
            // Killed, so that it writes no good one.
            venue.kill();
            lines += bad;
            let said = home.log_lines("is not used");
            assert_eq!(said.len(), lines, "{said:?}");
            assert!(said[lines - bad..].iter().all(|line| line.contains(why)), "not {why}: {said:?}");
            for (path, bytes) in files.iter().zip(&good) {
                fs::write(path, bytes).expect("writing");
            }
        }
    }
    let venue = home.start();
    check(&home, &venue, &parties, stops.first());
}

/// Copies a data directory whose exchange was stopped.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copying");
    }
}

#[test]
fn a_snapshot_of_a_history_that_did_not_happen_is_done_without() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let home = Home::new(settings(&mut random));
    let mut parties = parties();
    let venue = home.start();
    trade(&venue, &mut parties, &mut random);
    let early = venue.stop()["last_sequence"].clone();
    // From here on there are two histories of one journal.
    let data = home.file("copy");
    copy(&home.data(), &data);
    let copied = Home::new(Settings { data: Some(data.clone()), ..settings(&mut random) });
    let mut others = parties.clone();
    let venue = home.start();
    trade(&venue, &mut parties, &mut random);
    venue.stop();
    let strange = snapshots(&home.data()).remove(0);
    fs::copy(&strange, data.join(strange.file_name().expect("a name"))).expect("copying");

    // The copy ends before the snapshot ...
    let mut venue = copied.start();
    check(&copied, &venue, &others, Some(&early));
    let said = copied.log_lines("is not used");
    assert!(said.len() == 1 && said[0].contains("past the end of the journal"), "{said:?}");
    // ... and later goes past it, with other orders.
    let position = position_of(&strange);
    while journal::inspect::info(&data).expect("a journal").end.0 < position + 10_000 {
        trade(&venue, &mut others, &mut random);
    }
    venue.kill();
    venue = copied.start();
    check(&copied, &venue, &others, Some(&early));
    let said = copied.log_lines("is not used");
    assert!(said.len() == 2 && said[1].contains("does not go on from it"), "{said:?}");

    // A clean stop leaves the true ones, and the next start has nothing to say.
    let stopped = venue.stop();
    let venue = copied.start();
    check(&copied, &venue, &others, Some(&stopped["last_sequence"]));
    assert_eq!(text(&venue.recovered, "state"), text(&stopped, "state"));
    assert_eq!(copied.log_lines("is not used").len(), 2);
}

/// The position in a snapshot's name.
fn position_of(path: &Path) -> u64 {
    let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
    name.rsplit('-').next().and_then(|digits| digits.parse().ok()).expect("a position")
}
