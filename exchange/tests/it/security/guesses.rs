//! Who guesses, and who waits for it.

use std::{fs, io::ErrorKind, os::unix::fs::OpenOptionsExt, time::Duration};

use wire::soup::kind;

use super::{ZOE, done, is_let_in, log_in};
use crate::{
    client::{Raw, login_bytes},
    venue::{HUNG, Home, PASSWORD, Settings, eventually},
};

const SECRET: &str = "zoe's word";

#[test]
fn guesses_are_not_heard_for_longer_and_longer_and_nobody_else_suffers() {
    let home = Home::new(Settings::args(&["--shards", "2", "--status", "0.1"]));
    done(&home, &["add", ZOE], SECRET);
    done(&home, &["add", "YAN"], "yan's word");
    let mut venue = home.start();
    let mut bystander = venue.client("BOB");
    assert!(is_let_in(&venue, ZOE, SECRET));
    for guess in 0..5 {
        assert!(!is_let_in(&venue, ZOE, &format!("guess {guess}")));
        bystander.round_trip(guess + 1, "MSFT");
    }
    // Right, and known: it is not heard all the same. Another user from the same address is.
    assert!(!is_let_in(&venue, ZOE, SECRET), "a guess more was heard");
    assert!(is_let_in(&venue, "YAN", "yan's word"));
    assert!(is_let_in(&venue, "ALICE", PASSWORD));
    eventually("the log says so", || home.log().contains("user ZOE: unheard for"));
    let deadline = std::time::Instant::now() + HUNG;
    loop {
        let status = venue.line("status");
        let security = &status["security"];
        if security["held_off"].as_u64() >= Some(1) && security["refused"].as_u64() >= Some(5) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{status}");
    }
    eventually("it is heard again", || is_let_in(&venue, ZOE, SECRET));
    bystander.round_trip(6, "MSFT");
}

/// A hash that costs as much as any that is taken, some seconds; of no password that anybody knows.
fn slow_hash() -> String {
    format!("$argon2id$v=19$m=262144,t=16,p=1$c2FsdHNhbHRzYWx0c2FsdA${}", "A".repeat(43))
}

fn with_slow(settings: Settings) -> Home {
    let home = Home::new(settings);
    fs::create_dir_all(home.data()).expect("a directory");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(home.data().join("users.toml"))
        .expect("a file");
    let text = format!("[[users]]\nname = \"SLOW\"\nhash = \"{}\"\n", slow_hash());
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("a file");
    home
}

#[test]
fn a_wrong_password_pushes_nobody_out() {
    let home = Home::new(Settings::default());
    done(&home, &["add", ZOE], SECRET);
    let venue = home.start();
    let (_, mut zoe) = log_in(&venue, ZOE, SECRET);
    let mut alice = venue.client("ALICE");
    for n in 0..3 {
        assert!(!is_let_in(&venue, ZOE, &format!("guess {n}")) && !is_let_in(&venue, "ALICE", "guess"));
        alice.round_trip(n + 1, "AAPL");
        assert!(!zoe.ends_within(Duration::from_millis(10)), "pushed out by a guess");
    }
    // The right one does.
    assert!(is_let_in(&venue, ZOE, SECRET));
    assert!(zoe.ends_within(HUNG), "two connections of one session");
}

#[test]
fn nobody_waits_while_a_password_is_verified() {
    let home = with_slow(Settings::default());
    let venue = home.start();
    let mut bystander = venue.client("BOB");
    let mut slow = Raw::connect(venue.address);
    slow.write(&login_bytes("SLOW", "whatever", "", 0));
    for user_ref in 1..=100 {
        bystander.round_trip(user_ref, "MSFT");
    }
    // Others log in meanwhile.
    assert!(is_let_in(&venue, "ALICE", PASSWORD));
    slow.stream.set_nonblocking(true).expect("a socket");
    let answer = slow.stream.peek(&mut [0]);
    assert!(
        answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
        "{answer:?}: it was verified before a hundred orders were answered"
    );
    slow.stream.set_nonblocking(false).expect("a socket");
    assert_eq!(slow.answer().expect("an answer").0, kind::LOGIN_REJECTED);
}

#[test]
fn a_login_that_is_verified_for_too_long_is_cut_off_and_its_place_is_nobody_elses() {
    let home = with_slow(Settings { login_timeout_s: 1, ..Settings::default() });
    let venue = home.start();
    let mut slow = Raw::connect(venue.address);
    let name = slow.name();
    slow.write(&login_bytes("SLOW", "whatever", "", 0));
    assert!(slow.ends_within(HUNG), "it is not cut off");
    eventually("the log says so", || {
        home.log_lines(&name).iter().any(|line| line.contains("no login in time"))
    });
    // The next connection has its token, and not its verdict.
    let mut bystander = venue.client("BOB");
    eventually("the verdict is there", || {
        bystander.is_silent_for(Duration::from_millis(100));
        home.log_lines("SLOW").is_empty()
    });
    bystander.round_trip(1, "MSFT");
}

#[test]
fn more_logins_than_are_verified_at_once_wait_and_all_get_in() {
    let home = Home::new(Settings::default());
    let names: Vec<String> = (0..20).map(|n| format!("Z{n}")).collect();
    for name in &names {
        done(&home, &["add", name], SECRET);
    }
    let venue = home.start();
    // All at once, after a start that remembers nobody.
    let mut all: Vec<Raw> = names
        .iter()
        .map(|name| {
            let mut raw = Raw::connect(venue.address);
            raw.write(&login_bytes(name, SECRET, "", 0));
            raw
        })
        .collect();
    for (raw, name) in all.iter_mut().zip(&names) {
        assert_eq!(raw.answer().expect("an answer").0, kind::LOGIN_ACCEPTED, "{name}");
    }
    // And again, known.
    for name in &names {
        assert_eq!(log_in(&venue, name, SECRET).0, Some(kind::LOGIN_ACCEPTED));
    }
}

#[test]
fn an_address_that_goes_through_names_is_not_heard_with_any() {
    let home = Home::new(Settings::default());
    done(&home, &["add", ZOE], SECRET);
    let venue = home.start();
    let mut bystander = venue.client("BOB");
    for n in 0..25 {
        assert!(!is_let_in(&venue, &format!("N{n}"), "guess"));
    }
    assert!(!is_let_in(&venue, ZOE, SECRET), "heard after 25 failures of its address");
    eventually("the log says so", || home.log().contains("user ZOE: unheard for"));
    // Who is in stays in.
    bystander.round_trip(1, "MSFT");
}
