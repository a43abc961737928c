//! Conversations of a primary with a standby that is only messages.

use domain::EpochStart;

use super::*;

const MS: u64 = 1_000_000;
const RING: u64 = 32 << 20;
const CLUSTER: ClusterId = ClusterId(7);

fn mark(position: u64) -> Mark {
    // The chain of the true journal; another one is made by `forked`.
    Mark { position: Position(position), chain: position + 1 }
}

fn forked(position: u64) -> Mark {
    Mark { chain: !0, ..mark(position) }
}

fn history(starts: &[(u32, u64)]) -> History {
    let start = |&(epoch, position)| EpochStart { epoch: Epoch(epoch), position: Position(position) };
    History::from_starts(starts.iter().map(start)).expect("in order")
}

/// A primary of epoch 3, which began at 400, whose journal has 100 to 1000.
fn primary() -> Primary {
    let me = Identity {
        node: NodeId(1),
        cluster: CLUSTER,
        epoch: Epoch(3),
        history: history(&[(1, 0), (3, 400)]),
        ring_bytes: RING,
        segment_bytes: 256,
    };
    Primary::new(Settings::default(), me, Position(104), Position(1000), Position(800))
}

fn hello(end: Mark, starts: &[(u32, u64)]) -> Hello {
    Hello {
        node: NodeId(2),
        cluster: Some(CLUSTER),
        end,
        promised: Epoch(1),
        complete: true,
        ring_bytes: RING,
        segment_bytes: 256,
        history: history(starts),
    }
}

fn ack(received: u64, durable: u64) -> Message<'static> {
    Message::Ack(Ack {
        epoch: Epoch(3),
        received: Position(received),
        durable: Position(durable),
        echo_nanos: 0,
    })
}

/// What the books here come to.
const STATE: u64 = 0x5EED;

fn compared(state: Option<u64>) -> Message<'static> {
    Message::Compared { epoch: Epoch(3), state }
}

fn actions(primary: &mut Primary) -> Vec<Action> {
    std::iter::from_fn(|| primary.poll()).collect()
}

/// The one refusal that was sent before the link was closed.
fn refusal(primary: &mut Primary) -> Reason {
    let actions = actions(primary);
    assert_eq!(actions.last(), Some(&Action::Close), "{actions:?}");
    let mut reasons = actions.iter().filter_map(|action| match action {
        Action::Send(Message::Refused(refused)) => Some(refused.reason),
        _ => None,
    });
    let reason = reasons.next().expect("a refusal");
    assert_eq!(reasons.next(), None);
    reason
}

/// How the standby is told to begin.
fn start(primary: &mut Primary, hello: Hello, found: Option<Mark>) -> Start {
    primary.link_up(0);
    primary.on_message(0, &Message::Hello(hello));
    let asked = actions(primary);
    let [Action::FindMark { position }] = asked[..] else { panic!("{asked:?}") };
    primary.mark_found(0, position, found);
    match &actions(primary)[..] {
        [Action::Send(Message::Welcome(welcome))] => welcome.start,
        other => panic!("{other:?}"),
    }
}

/// A primary with a standby that is at the end of its log.
fn streaming() -> Primary {
    let mut primary = primary();
    let begun = start(&mut primary, hello(mark(1000), &[(1, 0), (3, 400)]), Some(mark(1000)));
    assert_eq!(begun, Start::Continue { at: mark(1000) });
    primary.on_message(0, &ack(1000, 800));
    assert!(primary.is_in_sync());
    primary
}

#[test]
fn one_that_is_behind_goes_on_from_its_end() {
    let mut primary = primary();
    let begun = start(&mut primary, hello(mark(600), &[(1, 0), (3, 400)]), Some(mark(600)));
    assert_eq!(begun, Start::Continue { at: mark(600) });
    // Nothing is shipped before the standby says that it is ready.
    assert_eq!((primary.next(), primary.remote()), (None, None));
    primary.on_message(MS, &ack(600, 200));
    assert_eq!(primary.next(), Some(Ship::Batches { from: Position(600), bytes: 400 }));
    assert_eq!(primary.remote(), Some(Remote { received: Position(600), durable: Position(200) }));
    assert!(!primary.is_in_sync());
    primary.batches_sent(Position(1000));
    primary.on_message(MS, &ack(1000, 600));
    assert!(primary.is_in_sync());
}

#[test]
fn one_that_went_another_way_is_cut_where_it_left() {
    let mut primary = primary();
    let begun = start(&mut primary, hello(forked(700), &[(1, 0), (2, 304)]), Some(mark(304)));
    assert_eq!(begun, Start::Truncate { to: mark(304) });
    primary.on_message(0, &ack(304, 304));
    assert_eq!(primary.next(), Some(Ship::Batches { from: Position(304), bytes: 696 }));
}

#[test]
fn one_whose_chain_differs_at_its_end_is_refused() {
    let mut primary = primary();
    primary.link_up(0);
    primary.on_message(0, &Message::Hello(hello(forked(600), &[(1, 0), (3, 400)])));
    actions(&mut primary);
    primary.mark_found(0, Position(600), Some(mark(600)));
    assert_eq!(refusal(&mut primary), Reason::Diverged);
}

#[test]
fn one_that_needs_what_is_gone_gets_a_snapshot() {
    let mut primary = primary();
    primary.link_up(0);
    primary.on_message(0, &Message::Hello(hello(mark(96), &[(1, 0)])));
    assert_eq!(actions(&mut primary), [Action::OpenSnapshot]);
    let snapshot = Snapshot { mark: mark(800), from: mark(768), length: 50 };
    primary.snapshot_opened(0, Some(snapshot));
    assert!(matches!(
        &actions(&mut primary)[..],
        [Action::Send(Message::Welcome(Welcome { start: Start::Snapshot { length: 50, .. }, .. }))]
    ));
    primary.on_message(0, &ack(0, 0));
    assert_eq!(primary.next(), Some(Ship::Piece { offset: 0, bytes: 50 }));
    primary.piece_sent(30);
    assert_eq!(primary.next(), Some(Ship::Piece { offset: 30, bytes: 20 }));
    primary.piece_sent(20);
    assert_eq!(primary.next(), None);
    primary.on_message(0, &ack(768, 768));
    assert_eq!(primary.next(), Some(Ship::Batches { from: Position(768), bytes: 232 }));
}

#[test]
fn without_a_snapshot_it_is_refused_by_name() {
    let mut primary = primary();
    primary.link_up(0);
    let empty = Hello { cluster: None, history: History::new(), ..hello(mark(0), &[]) };
    primary.on_message(0, &Message::Hello(empty));
    assert_eq!(actions(&mut primary), [Action::OpenSnapshot]);
    primary.snapshot_opened(0, None);
    assert_eq!(refusal(&mut primary), Reason::NoSnapshot);
}

#[test]
fn who_does_not_belong_here_is_refused() {
    let good = hello(mark(600), &[(1, 0), (3, 400)]);
    for (hello, reason) in [
        (Hello { cluster: Some(ClusterId(8)), ..good.clone() }, Reason::ForeignCluster),
        (Hello { ring_bytes: 128, ..good.clone() }, Reason::Geometry),
        (Hello { node: NodeId(1), ..good.clone() }, Reason::Protocol),
        (Hello { history: history(&[(1, 0), (3, 408)]), ..good }, Reason::Diverged),
    ] {
        let mut primary = primary();
        primary.link_up(0);
        primary.on_message(0, &Message::Hello(hello));
        assert_eq!(refusal(&mut primary), reason);
        assert_eq!(primary.deposed(), None);
    }
}

#[test]
fn a_higher_promise_deposes() {
    let mut primary = streaming();
    primary.link_up(0);
    primary.on_message(
        0,
        &Message::Hello(Hello { promised: Epoch(4), ..hello(mark(600), &[(1, 0), (3, 400)]) }),
    );
    assert_eq!(primary.deposed(), Some(Epoch(4)));
    assert_eq!(primary.poll(), Some(Action::StepDown { epoch: Epoch(4) }));
    assert_eq!(refusal(&mut primary), Reason::LowerEpoch);
    assert!(!primary.takes_input());
}

#[test]
fn acks_that_cannot_be_close_the_link() {
    for wrong in [ack(1008, 800), ack(992, 800), ack(1000, 792)] {
        let mut primary = streaming();
        primary.on_message(0, &wrong);
        assert_eq!(refusal(&mut primary), Reason::Protocol, "{wrong:?}");
        assert_eq!(primary.remote(), None);
    }
    let mut primary = streaming();
    let of_another_epoch =
        Ack { epoch: Epoch(2), received: Position(1000), durable: Position(800), echo_nanos: 0 };
    primary.on_message(0, &Message::Ack(of_another_epoch));
    assert_eq!(refusal(&mut primary), Reason::Protocol);
}

#[test]
fn silence_closes_the_link_and_acks_do_not_hide_a_lag() {
    let mut primary = streaming();
    primary.advanced(Position(2000), Position(2000));
    primary.tick(600 * MS);
    assert!(matches!(actions(&mut primary)[..], [Action::Send(Message::Heartbeat(_))]));
    primary.on_message(900 * MS, &ack(1000, 1000));
    primary.tick(901 * MS);
    assert!(primary.is_in_sync(), "reached what was committed, less than a second ago");
    primary.on_message(1_800 * MS, &ack(1000, 1000));
    primary.tick(1_950 * MS);
    assert!(!primary.is_in_sync(), "alive, and does not get on");
    primary.batches_sent(Position(2000));
    primary.on_message(2_000 * MS, &ack(2000, 1000));
    assert!(primary.is_in_sync());
    actions(&mut primary);
    primary.tick(3_100 * MS);
    assert_eq!(refusal(&mut primary), Reason::Silent);
}

#[test]
fn the_window_bounds_what_is_on_the_way() {
    let mut primary = streaming();
    let window = primary.settings.window_bytes;
    primary.advanced(Position(1000 + 3 * window), Position(1000));
    assert_eq!(primary.next(), Some(Ship::Batches { from: Position(1000), bytes: window }));
    primary.batches_sent(Position(1000 + window));
    assert_eq!(primary.next(), None);
    primary.on_message(MS, &ack(1000 + window / 2, 1000));
    assert_eq!(primary.next(), Some(Ship::Batches { from: Position(1000 + window), bytes: window / 2 }));
}

#[test]
fn a_switch_goes_step_by_step() {
    let mut primary = streaming();
    primary.hand_over(0).expect("in sync");
    assert_eq!(actions(&mut primary), [Action::Send(Message::Prepare { epoch: Epoch(3) })]);
    assert!(primary.takes_input());
    primary.on_message(MS, &Message::Ready { epoch: Epoch(3), durable: Position(1000) });
    assert_eq!(actions(&mut primary), [Action::StopInput]);
    assert!(!primary.takes_input());
    primary.advanced(Position(1200), Position(1000));
    primary.stopped(mark(1200), STATE);
    let compare = Compare { epoch: Epoch(3), at: mark(1200), state: STATE };
    assert_eq!(actions(&mut primary), [Action::Send(Message::Compare(compare))]);
    primary.batches_sent(Position(1200));
    primary.on_message(2 * MS, &ack(1200, 1000));
    primary.on_message(2 * MS, &compared(Some(STATE)));
    assert_eq!(actions(&mut primary), [], "it must be on the standby's disk");
    primary.on_message(3 * MS, &ack(1200, 1200));
    assert_eq!(actions(&mut primary), [Action::Keep { promised: Epoch(4) }]);
    primary.kept(3 * MS);
    let switch = HandOver { epoch: Epoch(3), next: Epoch(4), at: mark(1200) };
    assert_eq!(actions(&mut primary), [Action::Send(Message::HandOver(switch))]);
    primary.on_message(4 * MS, &Message::Taken { epoch: Epoch(4) });
    assert_eq!(actions(&mut primary), [Action::StepDown { epoch: Epoch(4) }]);
    primary.link_down();
    assert_eq!(actions(&mut primary), [], "once");
}

#[test]
fn a_switch_that_does_not_come_about_is_called_off() {
    let mut primary = streaming();
    primary.hand_over(0).expect("in sync");
    primary.on_message(MS, &Message::Ready { epoch: Epoch(3), durable: Position(1000) });
    actions(&mut primary);
    primary.link_down();
    primary.tick(2 * MS);
    assert_eq!(actions(&mut primary), [Action::ResumeInput { why: CalledOff::LinkLost }]);
    assert!(primary.takes_input());
    assert_eq!(primary.hand_over(3 * MS), Err(CannotHandOver::NotInSync));
    // Whoever asked for it hears so, too, when the standby never gets ready.
    let mut primary = streaming();
    primary.hand_over(0).expect("in sync");
    actions(&mut primary);
    let late = primary.settings.hand_over_nanos + 1;
    primary.on_message(late - MS, &ack(1000, 1000));
    primary.tick(late);
    assert!(actions(&mut primary).contains(&Action::ResumeInput { why: CalledOff::TooLong }));
}

/// Everything is on the standby's disk, and yet nothing is handed over before its books have come to the same.
#[test]
fn nothing_is_handed_over_to_other_books() {
    let called_off = |state: Option<u64>| {
        let mut primary = streaming();
        primary.hand_over(0).expect("in sync");
        primary.on_message(MS, &Message::Ready { epoch: Epoch(3), durable: Position(1000) });
        primary.stopped(mark(1000), STATE);
        primary.on_message(MS, &ack(1000, 1000));
        assert!(!actions(&mut primary).contains(&Action::Keep { promised: Epoch(4) }));
        primary.on_message(2 * MS, &compared(state));
        let [Action::ResumeInput { why }] = actions(&mut primary)[..] else { panic!("not called off") };
        assert!(primary.takes_input() && primary.deposed().is_none());
        // A word that comes too late changes nothing.
        primary.on_message(3 * MS, &compared(Some(STATE)));
        assert_eq!(actions(&mut primary), []);
        primary.hand_over(4 * MS).expect("it may be tried again");
        why
    };
    let why = called_off(Some(STATE + 1));
    assert_eq!(why, CalledOff::Differs { at: Position(1000), ours: STATE, theirs: STATE + 1 });
    assert!(why.to_string().contains(&format!("{STATE:016x}")), "{why}");
    assert_eq!(called_off(None), CalledOff::Unfit);
}

#[test]
fn after_its_own_promise_a_primary_does_not_come_back() {
    let mut primary = streaming();
    primary.hand_over(0).expect("in sync");
    primary.on_message(MS, &Message::Ready { epoch: Epoch(3), durable: Position(1000) });
    primary.stopped(mark(1000), STATE);
    primary.on_message(MS, &compared(Some(STATE)));
    primary.on_message(MS, &ack(1000, 1000));
    primary.link_down();
    actions(&mut primary);
    primary.kept(3 * MS);
    assert_eq!(actions(&mut primary), [Action::StepDown { epoch: Epoch(4) }]);
    assert!(!primary.takes_input());
}

#[test]
fn retention_that_takes_what_is_needed_next_costs_the_link() {
    let mut primary = streaming();
    assert_eq!(primary.needs_from(), Some(Position(1000)));
    primary.retained(Position(1000));
    assert_eq!(actions(&mut primary), []);
    primary.advanced(Position(3000), Position(3000));
    primary.retained(Position(1024));
    assert_eq!(refusal(&mut primary), Reason::Failed);
}
