//! What an exchange does for its data directory by itself: old segments go when no start and no standby needs them, and a
//! standby takes snapshots.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use journal::Position;
use rand::{RngExt, SeedableRng};

use crate::{
    pair::Pair,
    party::{Party, Random, parties, trade},
    venue::{Home, Settings, Venue, eventually, json, replay, text},
};

const RETAIN: &str = "retain = \"snapshots\"\n";

/// Where the journal of a directory begins.
fn begin(data: &Path) -> Position {
    journal::first_position(data).expect("a journal")
}

/// How many snapshots there are.
fn snapshots(data: &Path) -> usize {
    journal::snapshot::list(data).expect("a directory").len()
}

fn snapshot(data: &Path) {
    json(&["snapshot", "--json", "--data", &data.display().to_string()]);
}

/// Trades until the journal has a segment more.
fn fill(data: &Path, venue: &Venue, parties: &mut [Party], random: &mut Random) {
    // Of 1 MiB, and a little, so that a snapshot at the end lies behind a segment's.
    let end = journal::inspect::info(data).expect("a journal").end.0 + (1 << 20) + (1 << 16);
    while journal::inspect::info(data).expect("a journal").end.0 < end {
        trade(venue, parties, random);
    }
}

/// The archive and the directory are the whole journal.
fn whole(home: &Home, archive: &Path) -> PathBuf {
    let whole = home.file("whole");
    let _ = fs::remove_dir_all(&whole);
    fs::create_dir_all(&whole).expect("a directory");
    for dir in [archive, &home.data()] {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "seg") {
                fs::copy(&path, whole.join(path.file_name().expect("a name"))).expect("copying");
            }
        }
    }
    whole
}

#[test]
fn old_segments_go_into_the_archive_whenever_it_is_killed() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let mut home = Home::new(Settings { segment_mib: 1, ..Settings::default() });
    let archive = home.file("old");
    home.settings.journal = format!("{RETAIN}archive = \"{}\"\n", archive.display());
    let mut parties = parties();
    let mut venue = home.start();
    let mut begun = Position(0);
    for round in 0..5 {
        fill(&home.data(), &venue, &mut parties, &mut random);
        snapshot(&home.data());
        if random.random_bool(0.7) {
            // Somewhere on the way, or when all is done.
            std::thread::sleep(Duration::from_millis(random.random_range(0..1_500)));
            venue.kill();
            venue = home.start();
            assert!(!venue.recovered["snapshot_sequence"].is_null());
        }
        if round >= 1 {
            eventually("segments go", || begin(&home.data()) > begun);
            begun = begin(&home.data());
        }
        trade(&venue, &mut parties, &mut random);
    }
    assert!(!home.log_lines("archived now in").is_empty());
    let stopped = venue.stop();
    let state = text(&stopped, "state");
    assert_eq!(replay(&whole(&home, &archive), 3)["state"], state);
    // What is left is enough for a start, and for whoever is not too far behind.
    let venue = home.start();
    assert_eq!(venue.recovered_state(), state);
    for party in &parties {
        let last = party.told.len() as u64;
        let again = venue.client_from(party.user, last - 10).up_to(last);
        assert_eq!(again, party.told[party.told.len() - 11..]);
    }
}

#[test]
fn without_being_asked_nothing_goes() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let home = Home::new(Settings { segment_mib: 1, ..Settings::default() });
    let mut parties = parties();
    let venue = home.start();
    for _ in 0..2 {
        fill(&home.data(), &venue, &mut parties, &mut random);
        snapshot(&home.data());
    }
    // Longer than it takes to look.
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(begin(&home.data()), Position(0));
}

#[test]
fn in_a_pair_segments_stay_until_the_standby_has_them() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut pair = Pair::new("disk");
    for node in &mut pair.nodes {
        node.settings.journal = RETAIN.into();
    }
    let (first, second) = (pair.nodes[0].data(), pair.nodes[1].data());
    let mut parties = parties();
    let mut venue = pair.lead(0);
    // A standby that has never been seen may need everything.
    let held = |pair: &Pair, times| {
        eventually("it is held", || pair.nodes[0].log_lines("are kept for the other node").len() == times);
        assert_eq!(begin(&first), Position(0));
    };
    for _ in 0..2 {
        fill(&first, &venue, &mut parties, &mut random);
        snapshot(&first);
    }
    held(&pair, 1);
    // One that follows has everything soon.
    let standby = pair.follow(1);
    pair.wait_in_sync(0);
    eventually("segments go", || begin(&first) > Position(0));
    let begun = begin(&first);
    // Nobody needs those of the standby either, once it has snapshots of its own.
    assert_eq!(begin(&second), Position(0));
    for _ in 0..2 {
        fill(&first, &venue, &mut parties, &mut random);
        pair.wait_in_sync(0);
        eventually("it has them", || {
            let end = |data: &Path| journal::inspect::info(data).expect("a journal").end;
            end(&second) >= end(&first)
        });
        snapshot(&second);
    }
    eventually("the standby's go", || begin(&second) > Position(0));
    // One that is gone needs what it has not got.
    standby.kill();
    eventually("it is missed", || pair.status(0)["standby"].is_null());
    let had = journal::inspect::info(&second).expect("a journal").end;
    for _ in 0..2 {
        fill(&first, &venue, &mut parties, &mut random);
        snapshot(&first);
    }
    eventually("it is held", || pair.nodes[0].log_lines("are kept for the other node").len() == 2);
    assert!(begin(&first) <= had, "what the standby lacks is gone");
    // It catches up from what was kept for it, not from a snapshot.
    let standby = pair.follow(1);
    pair.wait_in_sync(0);
    eventually("segments go", || begin(&first) > had);
    assert!(begin(&first) > begun);
    assert_eq!(pair.nodes[1].log_lines("receiving a snapshot"), [""; 0]);
    // What is left of both is enough to start from, and to lead with.
    trade(&venue, &mut parties, &mut random);
    let state = venue.stop_state();
    venue = pair.lead(0);
    assert_eq!(venue.recovered_state(), state);
    pair.wait_in_sync(0);
    trade(&venue, &mut parties, &mut random);
    pair.wait_in_sync(0);
    venue.kill();
    eventually("the standby has noticed", || pair.status(1)["follows"].is_null());
    standby.kill();
    let mut standby = pair.follow(1);
    assert_eq!(pair.nodes[1].log_lines("begins with the snapshot at sequence").len(), 2);
    pair.promote(1, &mut standby);
    for party in &mut parties {
        let mut client = standby.client_from(party.user, party.told.len() as u64 + 1);
        party.told.extend(client.query().0);
    }
}

#[test]
fn a_standby_that_is_gone_for_good_holds_back_no_more_than_was_said() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut pair = Pair::new("disk");
    for node in &mut pair.nodes {
        node.settings.journal = format!("{RETAIN}retain_absent_mib = 1\n");
    }
    let first = pair.nodes[0].data();
    let mut parties = parties();
    let venue = pair.lead(0);
    for _ in 0..2 {
        fill(&first, &venue, &mut parties, &mut random);
        snapshot(&first);
    }
    fill(&first, &venue, &mut parties, &mut random);
    eventually("segments go", || begin(&first) > Position(0));
    // When it comes after all, it begins with a snapshot.
    let standby = pair.follow(1);
    pair.wait_in_sync(0);
    assert_eq!(pair.nodes[1].log_lines("begins with the snapshot at position").len(), 1);
    trade(&venue, &mut parties, &mut random);
    let stopped = venue.stop();
    eventually("the standby has all", || pair.status(1)["last_sequence"] == stopped["last_sequence"]);
    standby.stop();
    let mut standby = pair.follow(1);
    pair.promote(1, &mut standby);
    assert_eq!(standby.recovered_state(), text(&stopped, "state"));
}

#[test]
fn a_standby_takes_snapshots_by_itself_and_the_leader_may_leave_them_to_it() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut pair = Pair::new("disk+replica");
    for node in &mut pair.nodes {
        node.settings.journal = "snapshots_on = \"standby\"\n".into();
        node.settings.snapshot_mib = 1;
    }
    let (first, second) = (pair.nodes[0].data(), pair.nodes[1].data());
    let mut parties = parties();
    let mut standby = pair.follow(1);
    let venue = pair.lead(0);
    pair.wait_in_sync(0);
    fill(&first, &venue, &mut parties, &mut random);
    eventually("the standby has taken one", || snapshots(&second) == 1);
    assert_eq!(snapshots(&first), 0);
    // It starts again from there, and the leader takes one when it is alone.
    standby.kill();
    eventually("the leader has taken one", || snapshots(&first) == 1);
    standby = pair.follow(1);
    pair.wait_in_sync(0);
    assert_eq!(pair.nodes[1].log_lines("begins with the snapshot at sequence").len(), 1);
    trade(&venue, &mut parties, &mut random);
    pair.wait_in_sync(0);
    venue.kill();
    eventually("the standby has noticed", || pair.status(1)["follows"].is_null());
    pair.promote(1, &mut standby);
    for party in &parties {
        party.hear_again(&standby);
    }
    let state = standby.stop_state();
    assert_eq!(pair.nodes[1].replay(2)["state"], state);
}

/// It acknowledged alone, removed what a start did not need, and another leads on from where it was long ago.
#[test]
fn a_node_that_cannot_be_cut_as_far_back_as_it_must_begins_anew() {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut pair = Pair::new("disk");
    for node in &mut pair.nodes {
        node.settings.journal = format!("{RETAIN}retain_absent_mib = 1\n");
    }
    let (first, second) = (pair.nodes[0].data(), pair.nodes[1].data());
    let mut parties = parties();
    let venue = pair.lead(0);
    let standby = pair.follow(1);
    pair.wait_in_sync(0);
    trade(&venue, &mut parties, &mut random);
    standby.kill();
    eventually("it is missed", || pair.status(0)["standby"].is_null());
    for _ in 0..2 {
        fill(&first, &venue, &mut parties, &mut random);
        snapshot(&first);
    }
    fill(&first, &venue, &mut parties, &mut random);
    eventually("segments go", || begin(&first) > Position(0));
    venue.kill();
    let mut leader = pair.follow(1);
    json(&["promote", "--force", "--data", &second.display().to_string()]);
    leader.ready();
    eventually("clients may order again", || {
        !pair.nodes[1].log_lines("new orders are taken from now on").is_empty()
    });
    leader.client("CAROL").round_trip(1, "AAPL");
    let follower = pair.follow(0);
    pair.wait_in_sync(1);
    assert_eq!(pair.nodes[0].log_lines("this node begins anew").len(), 1);
    // What it alone had is kept.
    let kept = fs::read_dir(first.join("archive")).expect("an archive");
    let kept: Vec<_> = kept.map(|entry| entry.expect("an entry").path()).collect();
    assert!(kept.len() == 1 && snapshots(&kept[0]) == 2 && begin(&kept[0]) > Position(0), "{kept:?}");
    let stopped = leader.stop();
    eventually("it has all", || pair.status(0)["last_sequence"] == stopped["last_sequence"]);
    follower.stop();
    assert_eq!(pair.nodes[0].replay(2)["state"], text(&stopped, "state"));
}
