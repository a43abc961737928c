//! A pair whose leader a real etcd of three members decides.

use std::time::{Duration, Instant};

use coordinator::local::{LocalEtcd, LocalOptions};
use rand::{RngExt, SeedableRng};
use rustix::process::{Signal, kill_process};
use wire::ouch::codes;

use crate::{
    client::enter,
    pair::{Pair, hear},
    party::{Random, parties, trade},
    venue::{Venue, eventually, json, output, text},
};

pub(crate) fn etcd(dir: &tempfile::TempDir) -> LocalEtcd {
    LocalEtcd::start(dir.path(), LocalOptions::new(3)).expect("three members")
}

fn pair(etcd: &LocalEtcd) -> Pair {
    let mut pair = Pair::new("disk+replica");
    pair.more = vec!["--coordinator".into(), etcd.endpoints().join(",")];
    pair
}

/// Waits until the standby may be elected.
pub(crate) fn wait_elected_next(pair: &Pair, leader: usize) {
    pair.wait_in_sync(leader);
    eventually("it is on record", || pair.status(leader)["alone"] == false);
    eventually("the leader may acknowledge", || pair.status(leader)["may_ack"] == true);
}

pub(crate) fn wait_open(pair: &Pair, node: usize, times: usize) {
    eventually("clients may order again", || {
        pair.nodes[node].log_lines("new orders are taken from now on").len() >= times
    });
}

#[test]
fn a_leader_that_is_killed_is_replaced_without_anybody_s_word() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("a directory");
    let etcd = etcd(&dir);
    let mut pair = pair(&etcd);
    let mut parties = parties();
    let mut venue = pair.found(0);
    venue.ready();
    let mut standby = pair.follow(1);
    let (mut leader, mut other) = (0, 1);
    wait_open(&pair, 0, 1);
    for round in 0..3 {
        wait_elected_next(&pair, leader);
        trade(&venue, &mut parties, &mut random);
        let mut restless = parties[0].be_restless(&venue, &mut random);
        std::thread::sleep(Duration::from_micros(random.random_range(0..3_000)));
        let opened = pair.nodes[other].log_lines("new orders are taken from now on").len();
        let begun = Instant::now();
        venue.kill();
        parties[0].told.extend(restless.until_gone());
        standby.ready();
        parties[0].come_back(&standby);
        wait_open(&pair, other, opened + 1);
        println!("SEED={seed} round {round}: open again after {:?}", begun.elapsed());
        hear(&parties, &standby);
        let rejoined = pair.follow(leader);
        (venue, standby) = (standby, rejoined);
        (leader, other) = (other, leader);
    }
    wait_elected_next(&pair, leader);
    // On purpose it is quick: nothing has to run out.
    let switched = json(&["switch", "--data", &pair.data(leader)]);
    assert_eq!(switched["switched"], true);
    standby.ready();
    wait_elected_next(&pair, other);
    trade(&standby, &mut parties, &mut random);
    hear(&parties, &standby);
    venue.line("deposed");
    venue.stop();
    eventually("it is alone on record", || pair.status(other)["alone"] == true);
    let state = text(&standby.stop(), "state");
    assert_eq!(pair.nodes[other].replay(3)["state"], state);
}

#[test]
fn a_leader_that_was_stopped_beyond_its_lease_says_nothing_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let etcd = etcd(&dir);
    let mut pair = pair(&etcd);
    let mut first = pair.found(0);
    first.ready();
    let mut second = pair.follow(1);
    wait_open(&pair, 0, 1);
    wait_elected_next(&pair, 0);
    let mut client = first.client("ALICE");
    client.round_trip(1, "AAPL");
    // The process stands still, and does not know it.
    kill_process(first.pid(), Signal::STOP).expect("a signal");
    second.ready();
    client.ask(&enter(2, b'B', 10, "AAPL", 1_000_000, codes::DAY));
    kill_process(first.pid(), Signal::CONT).expect("a signal");
    // What it was asked meanwhile is not acknowledged by it, ever.
    assert!(client.until_gone().is_empty());
    first.line("deposed");
    wait_open(&pair, 1, 1);
    wait_elected_next(&pair, 1);
    let mut again = second.client_from("ALICE", 1);
    assert_eq!(again.query().1, 2, "the order that nobody acknowledged is not there");
}

#[test]
fn without_the_coordinator_a_leader_stops_acknowledging_and_goes_on_when_it_is_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut etcd = etcd(&dir);
    let mut pair = pair(&etcd);
    let mut venue: Venue = pair.found(0);
    venue.ready();
    let _standby = pair.follow(1);
    wait_open(&pair, 0, 1);
    wait_elected_next(&pair, 0);
    let mut client = venue.client("ALICE");
    client.round_trip(1, "AAPL");
    (0..3).for_each(|member| etcd.kill(member));
    eventually("it may not acknowledge", || pair.status(0)["may_ack"] == false);
    client.ask(&enter(2, b'B', 10, "AAPL", 1_000_000, codes::DAY));
    assert!(client.is_silent_for(Duration::from_millis(500)));
    (0..3).for_each(|member| etcd.restart(member).expect("it starts"));
    client.next();
    client.round_trip(3, "AAPL");
    // An operator has no say where a coordinator has.
    for (args, why) in [
        (["promote", "--data", &pair.data(1)], "the coordinator decides"),
        (["alone", "--data", &pair.data(0)], "coordinator"),
    ] {
        let refused = output(&args);
        assert!(String::from_utf8_lossy(&refused.stderr).contains(why), "{args:?}");
    }
}
