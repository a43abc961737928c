//! A disk that is slow and one that fails, as the kernel would say it: strace lets the exchange's own syncs wait or fail.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rustix::process::Pid;
use wire::ouch::codes;

use crate::{
    client::enter,
    pair::{Pair, hear},
    party::{Party, Random, parties, trade},
    venue::{HUNG, Home, Settings, Venue, eventually},
};

/// What an exchange may take in memory besides what it took at first, whatever its disk does.
const MEMORY_BESIDE: u64 = 64 << 20;

/// strace beside the exchange (a child of it, so that the exchange is ours), which does so with its syncs.
fn syncs(fault: &str) -> Vec<String> {
    ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e"]
        .map(Into::into)
        .into_iter()
        .chain([format!("inject=fdatasync:{fault}")])
        .collect()
}

/// Bytes that a process has of its own.
fn memory(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).expect("it runs");
    let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux says so");
    kib.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// Orders without end, until there is nobody to take them. Keeps what it is told.
fn until_nobody_answers(party: &mut Party, venue: &Venue) {
    let mut client = venue.client_from(party.user, party.told.len() as u64 + 1);
    let mut sent = true;
    while sent {
        for _ in 0..5 {
            let order = enter(party.next(), b'B', 10, "AAPL", 999_900, codes::DAY);
            sent &= client.connection.send(&order).is_ok();
        }
        sent &= client.connection.drain(HUNG).is_ok();
        while let Ok(Some(message)) = client.connection.receive(Duration::from_millis(5)) {
            party.hears(message.sequence, message.bytes);
        }
    }
    party.told.extend(client.until_gone());
}

#[test]
fn ten_syncs_a_second_are_enough_to_be_right_and_worth_an_alarm() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let mut home = Home::new(Settings { under: syncs("delay_enter=100000"), ..Settings::default() });
    let mut parties = parties();
    let venue = home.start();
    let before = memory(venue.pid());
    for _ in 0..3 {
        trade(&venue, &mut parties, &mut random);
    }
    let grown = memory(venue.pid()).saturating_sub(before);
    assert!(grown < MEMORY_BESIDE, "SEED={seed}: {grown} bytes more for a slow disk");
    eventually("it is said", || {
        !home.log_lines("the disk is slow: a sync of the journal has taken").is_empty()
    });
    // With some on their way to the disk.
    let mut restless = parties[0].be_restless(&venue, &mut random);
    std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
    venue.kill();
    parties[0].told.extend(restless.until_gone());
    home.settings.under = Vec::new();
    let venue = home.start();
    hear(&parties, &venue);
    let state = venue.recovered_state();
    venue.stop();
    assert_eq!(home.replay(3)["state"], state, "SEED={seed}");
}

#[test]
fn a_sync_that_fails_ends_the_leader_and_the_standby_has_everything() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let mut pair = Pair::new(if random.random_bool(0.5) { "disk+replica" } else { "two-disks" });
    let mut parties = parties();
    pair.nodes[0].settings.under = syncs(&format!("error=EIO:when={}", random.random_range(20..60)));
    let mut venue = pair.lead(0);
    let mut standby = pair.follow(1);
    pair.wait_in_sync(0);
    until_nobody_answers(&mut parties[0], &venue);
    assert_eq!(venue.wait().code(), Some(1), "SEED={seed}");
    assert!(!pair.nodes[0].log_lines("os error 5").is_empty(), "{}", pair.nodes[0].log());
    eventually("the standby has noticed", || pair.status(1)["follows"].is_null());
    pair.promote(1, &mut standby);
    parties[0].come_back(&standby);
    hear(&parties, &standby);
    // With another disk, or this one mended, it comes back.
    pair.nodes[0].settings.under = Vec::new();
    let _rejoined = pair.follow(0);
    pair.wait_in_sync(1);
    eventually("clients may order again", || {
        !pair.nodes[1].log_lines("new orders are taken from now on").is_empty()
    });
    trade(&standby, &mut parties, &mut random);
    hear(&parties, &standby);
}

#[test]
fn a_sync_that_fails_is_final_without_a_standby_too() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let fault = format!("error=EIO:when={}", random.random_range(20..60));
    let mut home = Home::new(Settings { under: syncs(&fault), ..Settings::default() });
    let mut parties = parties();
    let mut venue = home.start();
    until_nobody_answers(&mut parties[0], &venue);
    assert_eq!(venue.wait().code(), Some(1), "SEED={seed}");
    home.settings.under = Vec::new();
    let venue = home.start();
    hear(&parties, &venue);
    let state = venue.recovered_state();
    venue.stop();
    assert_eq!(home.replay(3)["state"], state, "SEED={seed}");
}
