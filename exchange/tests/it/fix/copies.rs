//! Copies of what orders do that were not entered by FIX, and of who is told when that changes while the exchange runs.

use std::fs;

use wire::ouch::codes;

use super::{home, home_with, play_on};
use crate::{
    client::{cancel, enter, replace},
    security::done,
    venue::{Venue, eventually},
};

fn said(who: &str, msg_type: &str, number: u64, body: &str) -> String {
    format!("I8=FIX.4.4|35={msg_type}|34={number}|49={who}|52=<TIME>|56=EXCH|{body}")
}

fn told(who: &str, msg_type: &str, number: u64, body: &str) -> String {
    format!("E8=FIX.4.4|35={msg_type}|34={number}|49=EXCH|52=*|56={who}|{body}")
}

/// Logs on behind so many messages, and has them told again.
fn has_missed(who: &str, missed: u64) -> [String; 4] {
    [
        "iCONNECT".into(),
        said(who, "A", 1, &format!("98=0|108=30|553={who}|554=a-secret|")),
        told(who, "A", missed + 1, "98=0|108=30|"),
        said(who, "2", 2, &format!("7=1|16={missed}|")),
    ]
}

fn copy(who: &str, number: u64, body: &str) -> String {
    told(who, "8", number, &format!("43=Y|122=*|115=ALICE|37=*|17=*|55=AAPL|54=1|40=2|59=0|60=*|{body}"))
}

/// An order of a session that speaks OUCH, from its first report to its last, by the same fields as any.
#[test]
fn what_is_entered_by_ouch_is_told_by_fix() {
    let home = home();
    let venue = home.start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    alice.ask(&enter(1, b'B', 10, "AAPL", 10_00_00, codes::DAY));
    alice.up_to(2);
    bob.ask(&enter(1, b'S', 4, "AAPL", 10_00_00, codes::DAY));
    alice.up_to(3);
    alice.ask(&cancel(1, 8));
    alice.up_to(4);
    alice.ask(&replace(1, 2, 20, 11_00_00));
    alice.up_to(5);
    bob.ask(&enter(2, b'S', 16, "AAPL", 11_00_00, codes::DAY));
    alice.up_to(6);
    // What is refused before a book sees it is not copied.
    alice.ask(&enter(3, b'B', 10, "NONE", 10_00_00, codes::DAY));
    alice.up_to(7);
    let mut lines = has_missed("RISK", 5).to_vec();
    lines.push(copy("RISK", 1, "150=0|39=0|38=10|44=10|151=10|14=0|6=0|528=P|"));
    lines.push(copy("RISK", 2, "150=F|39=1|38=10|44=10|32=4|31=10|527=*|851=1|151=6|14=4|6=10|528=P|"));
    lines.push(copy("RISK", 3, "150=D|39=1|38=8|44=10|151=4|14=4|6=10|378=5|58=reduced|528=P|"));
    lines.push(copy("RISK", 4, "150=5|39=1|38=20|44=11|151=16|14=4|6=10|528=P|"));
    lines.push(copy("RISK", 5, "150=F|39=2|38=20|44=11|32=16|31=11|527=*|851=1|151=0|14=20|6=10.8|528=P|"));
    play_on(&home, venue, &lines).stop();
    assert_eq!(home.replay(1)["state"], home.replay(3)["state"]);
}

/// The users file says who is told; while the exchange runs, too, and what it says is in the journal.
#[test]
fn who_is_told_may_change_while_the_exchange_runs() {
    let home = home_with("");
    done(&home, &["add", "WATCH", "--protocol", "fix", "--drop-copy-of", "ALICE"], "a-secret");
    let path = home.data().join("users.toml");
    let say = |copies: &str| {
        let text = fs::read_to_string(&path).expect("the users");
        let kept = text.lines().filter(|line| !line.starts_with("drop_copy_of"));
        let text: String = kept.flat_map(|line| [line, "\n"]).collect();
        fs::write(&path, text + copies).expect("a file");
    };
    let read = |times: usize| {
        eventually("the exchange reads them", || {
            home.log_lines("may log in, as the configuration and").len() == times
        });
    };
    let order = |venue: &Venue, number: u32| {
        let mut alice = venue.client_from("ALICE", 0);
        alice.ask(&enter(number, b'B', number, "AAPL", 10_00_00, codes::DAY));
        alice.next();
    };
    let venue = home.start();
    read(1);
    order(&venue, 1);
    say("");
    read(2);
    order(&venue, 2);
    // It cannot be: nothing changes.
    say("drop_copy_of = [\"NOBODY\"]\n");
    read(3);
    eventually("the log says so", || home.log().contains("drop copies stay as they are: user WATCH"));
    order(&venue, 3);
    say("drop_copy_of = [\"ALICE\"]\n");
    read(4);
    order(&venue, 4);
    venue.kill();
    let mut lines = has_missed("WATCH", 3).to_vec();
    for (number, lots) in [(1, 1), (2, 4), (3, 5)] {
        let terms = "150=0|39=0|44=10|14=0|6=0|528=P|";
        lines.push(copy("WATCH", number, &format!("{terms}38={lots}|151={lots}|")));
    }
    let venue = home.start();
    order(&venue, 5);
    play_on(&home, venue, &lines).stop();
    // Nobody is told of a user who is not there.
    say("drop_copy_of = [\"NOBODY\"]\n");
    let why = home.refused();
    assert!(why.contains("user WATCH: drop_copy_of: no user NOBODY has a session"), "{why}");
    say("drop_copy_of = [\"WATCH\"]\n");
    let why = home.refused();
    assert!(why.contains("nobody is told of its own orders twice"), "{why}");
}
