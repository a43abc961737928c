//! What the gate holds back stays back, whatever a client is told besides that needs no gate.

use std::{collections::BTreeSet, sync::Arc};

use gateway::{AdmissionLimits, Home, Placement, PlacementFeed};
use journal::Position;
use wire::ouch::codes;

use crate::{
    client::{enter, packet_bytes, request_bytes},
    paused::{SYMBOLS, Stage},
};

/// One whose log is as safe as it is now, and will not be safer. Alice is in, and has been told all.
fn gated() -> Stage {
    let mut stage = Stage::new(AdmissionLimits::default());
    stage.log_in("ALICE", 0);
    stage.hears("ALICE");
    stage.venue.gate = stage.venue.end();
    stage
}

/// An order for nothing is refused before any book sees it, and the answer is in the log; what stands behind it is no request,
/// so the connection ends. The words about that went at once, and took the answer with them (found by fuzzing).
#[test]
fn words_about_a_fault_take_no_report_with_them() {
    let mut stage = gated();
    let refused = enter(1, b'B', 0, SYMBOLS[0], 1_000_000, codes::DAY);
    let bytes = [request_bytes(&refused), packet_bytes(b'U', b"?")].concat();
    stage.write("ALICE", &bytes);
    stage.wait_until(|stage| stage.stats().connections == 0);
    assert_eq!(stage.told(domain::SessionId(0)), 2, "its day has begun, and the order is refused");
    assert_eq!(stage.rest("ALICE"), [], "nothing of the log");
    // It is told when it may be.
    stage.venue.gate = Position(u64::MAX);
    stage.log_in("ALICE", 2);
    assert_eq!(stage.hears("ALICE"), ["J 1 0x13"]);
}

/// Where an instrument lives is said ahead of the refusal, and is in no log. The next such words must not take the first refusal
/// with them.
#[test]
fn words_about_another_pair_take_no_report_with_them() {
    let mut stage = gated();
    let feed = Arc::new(PlacementFeed::default());
    let symbol = domain::Symbol::new(SYMBOLS[0]).expect("a symbol");
    let home = Arc::new(Home { pair: *b"other           ", addresses: "192.0.2.1:9000".into() });
    feed.leave(Placement { generation: 1, here: BTreeSet::new(), elsewhere: [(symbol, home)].into() });
    stage.gateway.place(feed);
    let bid = |user_ref: u32| enter(user_ref, b'B', 10, SYMBOLS[0], 1_000_000, codes::DAY);
    stage.say("ALICE", &[bid(1), bid(2)]);
    assert_eq!(stage.told(domain::SessionId(0)), 3, "its day has begun, and both orders are refused");
    let kinds =
        |stage: &mut Stage| -> Vec<_> { stage.rest("ALICE").into_iter().map(|(kind, _)| kind).collect() };
    assert_eq!(kinds(&mut stage), [b'U'], "where the first lives");
    stage.venue.gate = Position(u64::MAX);
    stage.turn();
    assert_eq!(kinds(&mut stage), [b'S', b'U', b'S'], "its refusal, and the same of the second");
}
