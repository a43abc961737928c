//! Crowds that never log in, and whoever must not come at all.

use std::time::{Duration, Instant};

use wire::soup::kind;

use super::is_let_in;
use crate::{
    client::{Raw, login_bytes, packet_bytes},
    venue::{HUNG, Home, PASSWORD, Settings, eventually},
};

#[test]
fn a_crowd_that_never_logs_in_displaces_itself_and_nobody_who_trades() {
    let settings = Settings {
        connections: 1_000,
        limits: "unauthenticated = 40\nunauthenticated_per_address = 16\n",
        args: ["--shards", "2", "--status", "0.1"].map(ToOwned::to_owned).to_vec(),
        ..Settings::default()
    };
    let home = Home::new(settings);
    let mut venue = home.start();
    let mut bystander = venue.client("BOB");
    let mut crowd = Vec::new();
    for n in 0..200 {
        crowd.push(Raw::connect(venue.address));
        if n % 10 == 0 {
            bystander.round_trip(n / 10 + 1, "MSFT");
        }
        // Whoever logs in at once gets in.
        if n % 50 == 49 {
            assert!(is_let_in(&venue, "ALICE", PASSWORD), "kept out by {n} who do not log in");
        }
    }
    let newest = crowd.split_off(crowd.len() - 16);
    for (mut raw, n) in crowd.into_iter().zip(0..) {
        assert!(raw.ends_within(HUNG), "the {n}. of them is still there");
    }
    // Those that logged in had displaced some, too.
    let open =
        newest.into_iter().map(|mut raw| raw.ends_within(Duration::from_millis(1))).filter(|ended| !ended);
    assert!(open.count() >= 15, "more were displaced than had to be");
    eventually("the log says so", || !home.log_lines("had not logged in when others came").is_empty());
    let deadline = Instant::now() + HUNG;
    loop {
        let status = venue.line("status");
        if status["security"]["displaced"].as_u64() >= Some(184) {
            break;
        }
        assert!(Instant::now() < deadline, "{status}");
    }
    bystander.round_trip(100, "MSFT");
}

#[test]
fn an_address_has_so_many_connections() {
    let settings = Settings { limits: "connections_per_address = 4\n", ..Settings::default() };
    let home = Home::new(settings);
    let venue = home.start();
    let mut bystander = venue.client("BOB");
    let mut others: Vec<Raw> = (0..3).map(|_| Raw::connect(venue.address)).collect();
    let mut fifth = Raw::connect(venue.address);
    assert!(fifth.ends_within(HUNG), "a fifth is served");
    eventually("the log says so", || home.log().contains("its address has 4 connections already"));
    others.pop();
    eventually("there is room again", || {
        let mut raw = Raw::connect(venue.address);
        raw.write(&login_bytes("ALICE", PASSWORD, "", 0));
        raw.answer().is_some_and(|(kind, _)| kind == kind::LOGIN_ACCEPTED)
    });
    bystander.round_trip(1, "MSFT");
}

#[test]
fn who_is_not_on_the_list_is_not_let_as_far_as_a_login() {
    let settings = Settings { keys: "allow = [\"10.0.0.0/8\", \"2001:db8::/32\"]\n", ..Settings::default() };
    let home = Home::new(settings);
    let mut venue = home.start();
    let mut raw = Raw::connect(venue.address);
    raw.write(&login_bytes("ALICE", PASSWORD, "", 0));
    assert_eq!(raw.until_closed(), []);
    eventually("the log says so", || home.log().contains("its address is not in the configuration's allow"));
    assert!(!home.log().contains("ALICE: logged in") && venue.is_alive());
    // On the list.
    let settings = Settings { keys: "allow = [\"127.0.0.0/8\"]\n", ..Settings::default() };
    let home = Home::new(settings);
    assert!(is_let_in(&home.start(), "ALICE", PASSWORD));
}

#[test]
fn what_may_come_before_a_login_is_bounded() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let mut bystander = venue.client("BOB");
    let chatter = packet_bytes(kind::DEBUG, &[b'x'; 500]);
    for pieces in [1, 100] {
        let mut raw = Raw::connect(venue.address);
        let name = raw.name();
        let mut bytes = chatter.repeat(9);
        bytes.extend_from_slice(&login_bytes("ALICE", PASSWORD, "", 0));
        for piece in bytes.chunks(bytes.len() / pieces) {
            // It may be closed already.
            raw.write(piece);
        }
        assert_eq!(raw.until_closed(), []);
        eventually("the log says so", || {
            home.log_lines(&name).iter().any(|line| line.contains("4096 bytes and no login"))
        });
        bystander.round_trip(pieces.try_into().expect("few"), "MSFT");
    }
    assert!(!home.log().contains("ALICE: logged in"));
}
