//! Conversations of a standby with a primary that is only messages.

use super::*;
use crate::frame::SnapshotPiece;

const MS: u64 = 1_000_000;
const CLUSTER: ClusterId = ClusterId(7);

fn mark(position: u64) -> Mark {
    Mark { position: Position(position), chain: position + 1 }
}

/// A standby whose log, all of epoch 1, ends at 600.
fn standby() -> Standby {
    let start = EpochStart { epoch: Epoch(1), position: Position(0) };
    let log = Log {
        cluster: CLUSTER,
        end: mark(600),
        durable: Position(600),
        history: History::from_starts([start]).expect("one"),
        ring_bytes: 64,
        segment_bytes: 256,
    };
    let kept = Kept { promised: Epoch(1), complete: true };
    Standby::new(Settings::default(), NodeId(2), Some(log), kept)
}

fn welcome(epoch: u32, start: Start) -> Message<'static> {
    let starts = [(1, 0), (epoch, 400)]
        .map(|(epoch, position)| EpochStart { epoch: Epoch(epoch), position: Position(position) });
    Message::Welcome(Welcome {
        cluster: CLUSTER,
        epoch: Epoch(epoch),
        ring_bytes: 64,
        segment_bytes: 256,
        committed: Position(800),
        start,
        history: History::from_starts(starts).expect("in order"),
    })
}

fn actions(standby: &mut Standby) -> Vec<Action> {
    std::iter::from_fn(|| standby.poll()).collect()
}

fn ack(epoch: u32, received: u64, durable: u64) -> Action {
    Action::Send(Message::Ack(Ack {
        epoch: Epoch(epoch),
        received: Position(received),
        durable: Position(durable),
        echo_nanos: 0,
    }))
}

fn refusal(standby: &mut Standby) -> Reason {
    match &actions(standby)[..] {
        [Action::Send(Message::Refused(refused)), Action::Close] => refused.reason,
        other => panic!("{other:?}"),
    }
}

fn batch(epoch: u32, at: u64) -> Message<'static> {
    Message::Batch(Batch { at: Position(at), epoch: Epoch(epoch), bytes: b"batches" })
}

fn heartbeat(epoch: u32, committed: u64) -> Message<'static> {
    Message::Heartbeat(Heartbeat {
        epoch: Epoch(epoch),
        committed: Position(committed),
        durable: Position(0),
        sent_nanos: 0,
    })
}

/// A standby that follows a primary of epoch 3 from its own end.
fn following() -> Standby {
    let mut standby = standby();
    standby.link_up(0);
    actions(&mut standby);
    assert_eq!(standby.on_message(0, &welcome(3, Start::Continue { at: mark(600) })), None);
    assert_eq!(actions(&mut standby), [Action::Keep(Kept { promised: Epoch(3), complete: true })]);
    assert_eq!(standby.follows(), None);
    standby.kept();
    assert_eq!(actions(&mut standby), [ack(3, 600, 600)]);
    assert_eq!(standby.follows(), Some(Epoch(3)));
    standby
}

#[test]
fn the_epoch_is_on_the_disk_before_anything_is_done_for_it() {
    let mut standby = standby();
    standby.link_up(0);
    assert!(matches!(&actions(&mut standby)[..], [Action::Send(Message::Hello(hello))]
        if hello.end == mark(600) && hello.promised == Epoch(1)));
    let _ = standby.on_message(0, &welcome(3, Start::Truncate { to: mark(400) }));
    // And that the log is about to be cut, with it.
    assert_eq!(actions(&mut standby), [Action::Keep(Kept { promised: Epoch(3), complete: false })]);
    standby.kept();
    assert_eq!(actions(&mut standby), [Action::Truncate { to: mark(400) }]);
    standby.truncated(Some(mark(400)));
    assert_eq!(actions(&mut standby), [ack(3, 400, 400)]);
    assert!(!standby.is_complete());
}

#[test]
fn a_chain_that_differs_where_it_should_not_cuts_nothing() {
    let mut standby = standby();
    standby.link_up(0);
    let _ = standby.on_message(0, &welcome(3, Start::Truncate { to: mark(400) }));
    standby.kept();
    actions(&mut standby);
    standby.truncated(None);
    assert_eq!(refusal(&mut standby), Reason::Diverged);
    assert_eq!(standby.log().map(|log| log.end), Some(mark(600)));
}

#[test]
fn nothing_of_a_lower_epoch_is_acted_on() {
    for message in [batch(2, 600), heartbeat(2, 600), welcome(2, Start::Continue { at: mark(600) })] {
        let mut standby = following();
        assert_eq!(standby.on_message(0, &message), None);
        assert_eq!(refusal(&mut standby), Reason::LowerEpoch, "{message:?}");
    }
    // Nor after the link has changed.
    let mut standby = following();
    standby.link_up(0);
    actions(&mut standby);
    let _ = standby.on_message(0, &welcome(2, Start::Continue { at: mark(600) }));
    assert_eq!(refusal(&mut standby), Reason::LowerEpoch);
}

#[test]
fn batches_begin_at_the_end_or_not_at_all() {
    let mut standby = following();
    let work = standby.on_message(0, &batch(3, 600));
    assert_eq!(work, Some(Work::Append { at: Position(600), bytes: b"batches" }));
    standby.appended(mark(700), &[EpochStart { epoch: Epoch(3), position: Position(600) }]);
    assert_eq!(actions(&mut standby), [ack(3, 700, 600)]);
    assert_eq!(standby.log().map(|log| log.history.last()), Some(Epoch(3)));
    standby.durable(Position(700));
    assert_eq!(actions(&mut standby), [ack(3, 700, 700)]);
    for at in [600, 608, 708] {
        let mut standby = following();
        standby.appended(mark(700), &[]);
        actions(&mut standby);
        assert_eq!(standby.on_message(0, &batch(3, at)), None);
        assert_eq!(refusal(&mut standby), Reason::Protocol, "{at}");
    }
}

#[test]
fn a_node_without_a_journal_makes_one_like_the_primarys() {
    let mut standby = Standby::new(Settings::default(), NodeId(2), None, Kept::NEW);
    standby.link_up(0);
    actions(&mut standby);
    let _ = standby.on_message(0, &welcome(3, Start::Continue { at: mark(0) }));
    standby.kept();
    let create = Action::Create { cluster: CLUSTER, ring_bytes: 64, segment_bytes: 256 };
    assert_eq!(actions(&mut standby)[1..], [create]);
    standby.created(mark(0));
    assert_eq!(actions(&mut standby), [ack(3, 0, 0)]);
}

#[test]
fn a_snapshot_is_taken_in_pieces_and_put_in_place_at_once() {
    let mut standby = standby();
    standby.link_up(0);
    let start = Start::Snapshot { mark: mark(800), from: mark(768), length: 10 };
    let _ = standby.on_message(0, &welcome(3, start));
    standby.kept();
    assert_eq!(actions(&mut standby)[2..], [Action::BeginSnapshot { length: 10 }]);
    standby.snapshot_begun();
    assert_eq!(actions(&mut standby), [ack(3, 0, 0)]);
    let piece = |offset, bytes| Message::SnapshotPiece(SnapshotPiece { epoch: Epoch(3), offset, bytes });
    assert_eq!(
        standby.on_message(0, &piece(0, b"123456")),
        Some(Work::Piece { offset: 0, bytes: b"123456" })
    );
    assert_eq!(standby.on_message(0, &piece(6, b"7890")), Some(Work::Piece { offset: 6, bytes: b"7890" }));
    assert!(matches!(actions(&mut standby)[..], [Action::InstallSnapshot { .. }]));
    standby.snapshot_installed(true);
    assert_eq!(actions(&mut standby), [ack(3, 768, 768)]);
    let log = standby.log().expect("a journal");
    assert_eq!((log.end, log.history.last()), (mark(768), Epoch(3)));
    assert!(!standby.is_complete());
}

#[test]
fn who_has_lost_something_is_whole_again_when_it_has_caught_up() {
    let mut standby = standby();
    standby.kept.complete = false;
    assert!(matches!(
        standby.promote(0, Authority::Operator { force: false }),
        Err(CannotPromote::Incomplete { .. })
    ));
    standby.link_up(0);
    let _ = standby.on_message(0, &welcome(3, Start::Continue { at: mark(600) }));
    standby.kept();
    actions(&mut standby);
    standby.appended(mark(792), &[]);
    assert_eq!(actions(&mut standby), [ack(3, 792, 600)], "800 was committed at the welcome");
    standby.appended(mark(800), &[]);
    let whole = Action::Keep(Kept { promised: Epoch(3), complete: true });
    assert_eq!(actions(&mut standby), [whole, ack(3, 800, 600)]);
    assert!(!standby.is_complete());
    standby.kept();
    assert!(standby.is_complete());
}

#[test]
fn an_operator_promotes_one_that_was_in_sync_and_whose_primary_is_gone() {
    let operator = Authority::Operator { force: false };
    let mut standby = following();
    assert!(matches!(standby.promote(0, operator), Err(CannotPromote::Behind { .. })));
    standby.appended(mark(800), &[EpochStart { epoch: Epoch(3), position: Position(600) }]);
    assert!(matches!(standby.promote(MS, operator), Err(CannotPromote::PrimaryAlive { .. })));
    standby.link_down();
    actions(&mut standby);
    assert_eq!(standby.promote(2 * MS, operator), Ok(Epoch(4)));
    assert_eq!(actions(&mut standby), [Action::Keep(Kept { promised: Epoch(4), complete: true })]);
    standby.kept();
    assert!(matches!(actions(&mut standby)[..], [Action::Lead { epoch: Epoch(4), .. }]));
    assert!(matches!(standby.promote(3 * MS, operator), Err(CannotPromote::EpochIsOver { .. })));
    // It follows nobody any more.
    standby.link_up(4 * MS);
    assert_eq!(actions(&mut standby), [Action::Close]);
}

#[test]
fn force_tells_the_old_primary_that_its_epoch_is_over() {
    let mut standby = following();
    assert_eq!(standby.promote(MS, Authority::Operator { force: true }), Ok(Epoch(4)));
    let actions = actions(&mut standby);
    let [Action::Send(Message::Refused(refused)), Action::Close, Action::Keep(_)] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((refused.reason, refused.promised), (Reason::LowerEpoch, Epoch(4)));
}

#[test]
fn a_hand_over_is_taken_at_exactly_the_end() {
    let mut standby = following();
    assert_eq!(
        standby.promote(0, Authority::HandOver { next: Epoch(4) }),
        Err(CannotPromote::NotHandedOver(Epoch(4)))
    );
    standby.appended(mark(800), &[EpochStart { epoch: Epoch(3), position: Position(600) }]);
    actions(&mut standby);
    let _ = standby.on_message(0, &Message::Prepare { epoch: Epoch(3) });
    assert_eq!(actions(&mut standby), [Action::GetReady]);
    standby.durable(Position(800));
    let ready = Action::Send(Message::Ready { epoch: Epoch(3), durable: Position(800) });
    assert_eq!(actions(&mut standby), [ack(3, 800, 800), ready]);
    let switch = HandOver { epoch: Epoch(3), next: Epoch(4), at: mark(800) };
    let _ = standby.on_message(0, &Message::HandOver(switch));
    assert_eq!(actions(&mut standby), [Action::HandedOver { next: Epoch(4) }]);
    assert_eq!(standby.promote(MS, Authority::HandOver { next: Epoch(4) }), Ok(Epoch(4)));
    assert_eq!(
        actions(&mut standby),
        [
            Action::Send(Message::Taken { epoch: Epoch(4) }),
            Action::Close,
            Action::Keep(Kept { promised: Epoch(4), complete: true })
        ]
    );
    let mut short = following();
    let _ = short.on_message(0, &Message::HandOver(switch));
    assert_eq!(refusal(&mut short), Reason::Protocol);
}

#[test]
fn books_are_compared_where_the_log_ends() {
    let mut standby = following();
    let compare = |at: Mark| Message::Compare(Compare { epoch: Epoch(3), at, state: 7 });
    // It is asked before the last batches are there.
    let _ = standby.on_message(0, &compare(mark(800)));
    assert_eq!(actions(&mut standby), []);
    standby.appended(mark(720), &[]);
    assert_eq!(actions(&mut standby), [ack(3, 720, 600)]);
    standby.appended(mark(800), &[]);
    assert_eq!(actions(&mut standby), [ack(3, 800, 600), Action::Compare { at: mark(800), state: 7 }]);
    standby.compared(Some(9));
    let said = Message::Compared { epoch: Epoch(3), state: Some(9) };
    assert_eq!(actions(&mut standby), [Action::Send(said)]);
    // A switch that is called off leaves a question behind; the log goes on.
    let _ = standby.on_message(0, &compare(mark(880)));
    standby.appended(mark(960), &[]);
    assert_eq!(actions(&mut standby), [ack(3, 960, 600)]);
    // One that stands at its end at once is answered at once; one of another log is none.
    let _ = standby.on_message(0, &compare(mark(960)));
    assert_eq!(actions(&mut standby), [Action::Compare { at: mark(960), state: 7 }]);
    let _ = standby.on_message(0, &compare(Mark { chain: 1, ..mark(960) }));
    assert_eq!(refusal(&mut standby), Reason::Protocol);
    let mut standby = following();
    let _ = standby.on_message(0, &compare(mark(400)));
    assert_eq!(refusal(&mut standby), Reason::Protocol);
}

#[test]
fn silence_closes_the_link() {
    let mut standby = following();
    let _ = standby.on_message(500 * MS, &heartbeat(3, 600));
    actions(&mut standby);
    standby.tick(1_400 * MS);
    assert_eq!(actions(&mut standby), []);
    standby.tick(1_501 * MS);
    assert_eq!(refusal(&mut standby), Reason::Silent);
}
