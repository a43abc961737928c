//! Who may come in, and what those who may not can do to the others: TLS, users and their passwords, guesses, crowds that
//! never log in. SECURITY.md names the test of each threat.

mod crowds;
mod feed;
mod fix;
mod guesses;
mod quoted;
mod tls;
mod users;

use std::{
    io::Write,
    process::{Output, Stdio},
};

use wire::soup::kind;

use crate::{
    client::{Raw, login_bytes},
    venue::{Home, Venue, exchange},
};

/// A user of the users file; none of the configuration has that name.
const ZOE: &str = "ZOE";

/// Runs `exchange user` on the home's data directory, with a password on its standard input.
fn user(home: &Home, args: &[&str], password: &str) -> Output {
    let mut command = exchange();
    command.arg("user").args(args).arg("--data").arg(home.data());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("its input is piped");
    // It may not want any.
    let _ = writeln!(stdin, "{password}");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// The same, for what must succeed.
pub(crate) fn done(home: &Home, args: &[&str], password: &str) {
    let output = user(home, args, password);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {}\n{stderr}", output.status);
}

/// What a login is answered with, and the connection.
fn log_in(venue: &Venue, user: &str, password: &str) -> (Option<u8>, Raw) {
    let mut raw = Raw::connect(venue.address);
    raw.write(&login_bytes(user, password, "", 0));
    let answer = raw.answer().map(|(kind, _)| kind);
    (answer, raw)
}

fn is_let_in(venue: &Venue, user: &str, password: &str) -> bool {
    match log_in(venue, user, password).0 {
        Some(kind::LOGIN_ACCEPTED) => true,
        Some(kind::LOGIN_REJECTED) => false,
        other => panic!("{user} is answered with {other:?}"),
    }
}
