//! An elector before a store that is only answers.

use super::*;

const MS: u64 = 1_000_000;
const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const LEASE: LeaseId = LeaseId(7);

fn candidate() -> Situation {
    Situation::Candidate(Candidate {
        is_complete: true,
        is_durable: true,
        epoch: Epoch(3),
        end: Position(800),
        promised: Epoch(3),
    })
}

fn leading(in_sync: Option<NodeId>, received: u64, released: u64, durable: u64) -> Situation {
    let [received, released, durable] = [received, released, durable].map(Position);
    Situation::Leading(Leading { in_sync, received, released, durable })
}

/// What is asked now, keepalives aside.
fn asked(elector: &mut Elector) -> (RequestId, Request) {
    let mut requests = std::iter::from_fn(|| elector.poll()).filter_map(|action| match action {
        Action::Ask(id, request) if !matches!(request, Request::KeepAlive { .. }) => Some((id, request)),
        _ => None,
    });
    let request = requests.next().expect("a request");
    assert_eq!(requests.next(), None);
    request
}

fn is_quiet(elector: &mut Elector) -> bool {
    std::iter::from_fn(|| elector.poll())
        .all(|action| matches!(action, Action::Ask(_, Request::KeepAlive { .. })))
}

fn write(elector: &mut Elector) -> (RequestId, Write) {
    match asked(elector) {
        (id, Request::Write(write)) => (id, write),
        other => panic!("{other:?}"),
    }
}

fn record(epoch: u32, in_sync: &[NodeId], version: u64) -> Option<(Record, Version)> {
    Some((Record { epoch: Epoch(epoch), in_sync: in_sync.to_vec() }, Version(version)))
}

/// An elector with a lease from time 0, whose look is answered so.
fn looked(view: View, situation: &Situation) -> Elector {
    let mut elector = Elector::new(Settings::default(), ME, false);
    elector.tick(0, situation);
    let (id, request) = asked(&mut elector);
    assert!(matches!(request, Request::Grant { .. }));
    elector.reply(0, id, Reply::Granted { lease: LEASE });
    elector.tick(0, situation);
    let (id, request) = asked(&mut elector);
    assert_eq!(request, Request::Read);
    elector.reply(0, id, Reply::View(view));
    elector.tick(0, situation);
    elector
}

/// The leader of epoch 5, alone on record.
fn leader() -> Elector {
    let mut elector = looked(View { state: record(3, &[ME, OTHER], 5), ..View::default() }, &candidate());
    let (id, campaign) = write(&mut elector);
    assert_eq!(campaign.if_state, Some(Version(5)));
    assert_eq!(campaign.if_leader, Some(Version::ABSENT));
    assert_eq!(campaign.state, Some(Record { epoch: Epoch(5), in_sync: vec![ME] }));
    elector.reply(0, id, Reply::Written { version: Version(9) });
    assert_eq!(elector.poll(), Some(Action::Won(Epoch(5))));
    assert_eq!((elector.mode(), elector.leads()), (Mode::Alone, Some(Epoch(5))));
    elector
}

/// The same, with the standby on record.
fn leader_with_standby() -> Elector {
    let mut elector = leader();
    elector.tick(MS, &leading(Some(OTHER), 800, 800, 800));
    let (id, join) = write(&mut elector);
    assert_eq!(join.state, Some(Record { epoch: Epoch(5), in_sync: vec![ME, OTHER] }));
    assert_eq!((join.if_state, join.if_leader), (Some(Version(9)), Some(Version(9))));
    assert_eq!(elector.mode(), Mode::Either);
    elector.reply(MS, id, Reply::Written { version: Version(10) });
    assert_eq!(elector.mode(), Mode::Replicated);
    elector
}

#[test]
fn who_is_not_in_the_set_or_finds_a_leader_does_not_campaign() {
    let mut elector = looked(View { state: record(3, &[OTHER], 5), ..View::default() }, &candidate());
    assert!(is_quiet(&mut elector));
    let leader = Some((Leader { node: OTHER, epoch: Epoch(3) }, Version(5), LeaseId(1)));
    let view = View { state: record(3, &[ME, OTHER], 5), leader, ..View::default() };
    let mut elector = looked(view, &candidate());
    assert!(is_quiet(&mut elector));
    // And a cluster is founded only by whom the operator has told to.
    let mut elector = looked(View::default(), &candidate());
    assert!(is_quiet(&mut elector));
}

#[test]
fn a_lease_is_counted_from_the_sending_of_what_renewed_it() {
    let mut elector = leader();
    let settings = elector.settings;
    let last = settings.lease_nanos - settings.margin_nanos;
    assert!(elector.may_ack(last - 1));
    assert!(!elector.may_ack(last));
    elector.tick(500 * MS, &leading(None, 0, 0, 800));
    let Some(Action::Ask(id, Request::KeepAlive { lease: LEASE })) = elector.poll() else {
        panic!("a keepalive")
    };
    elector.reply(900 * MS, id, Reply::KeptAlive);
    assert!(elector.may_ack(500 * MS + last - 1));
    assert!(!elector.may_ack(500 * MS + last));
}

#[test]
fn alone_only_when_it_is_on_record_and_all_that_was_released_is_on_our_disk() {
    let mut elector = leader_with_standby();
    let lost = |durable| leading(None, 0, 900, durable);
    elector.tick(2 * MS, &lost(850));
    elector.tick(1_002 * MS, &lost(850));
    assert!(is_quiet(&mut elector), "the disk is behind what was released");
    assert_eq!(elector.mode(), Mode::Replicated);
    elector.tick(1_003 * MS, &lost(900));
    let (id, alone) = write(&mut elector);
    assert_eq!(alone.state, Some(Record { epoch: Epoch(5), in_sync: vec![ME] }));
    assert_eq!(elector.mode(), Mode::Either);
    elector.reply(1_004 * MS, id, Reply::Written { version: Version(11) });
    assert_eq!(elector.mode(), Mode::Alone);
}

#[test]
fn a_standby_that_lacks_what_was_released_does_not_join() {
    let mut elector = leader();
    elector.tick(MS, &leading(Some(OTHER), 792, 800, 800));
    assert!(is_quiet(&mut elector));
    assert_eq!(elector.mode(), Mode::Alone);
}

#[test]
fn a_write_without_an_answer_is_written_again_before_anything_counts() {
    let mut elector = leader();
    let standing = leading(Some(OTHER), 800, 800, 800);
    elector.tick(MS, &standing);
    let (id, _) = write(&mut elector);
    elector.reply(2 * MS, id, Reply::Unknown);
    assert_eq!(elector.mode(), Mode::Either);
    elector.tick(300 * MS, &standing);
    let (id, request) = asked(&mut elector);
    assert_eq!(request, Request::Read);
    // It has not been written, so far.
    let leader = Some((Leader { node: ME, epoch: Epoch(5) }, Version(9), LEASE));
    elector.reply(301 * MS, id, Reply::View(View { state: record(5, &[ME], 9), leader, ..View::default() }));
    assert_eq!(elector.mode(), Mode::Either);
    elector.tick(302 * MS, &leading(None, 0, 800, 800));
    let (id, again) = write(&mut elector);
    assert_eq!((again.if_state, again.if_leader), (Some(Version(9)), Some(Version(9))));
    assert_eq!(elector.mode(), Mode::Either);
    elector.reply(303 * MS, id, Reply::Written { version: Version(12) });
    assert_eq!(elector.mode(), Mode::Alone);
}

#[test]
fn a_lease_that_ran_out_is_taken_up_again_in_the_same_epoch_or_not_at_all() {
    for (epoch, comes_back) in [(5, true), (6, false)] {
        let mut elector = leader_with_standby();
        let standing = leading(Some(OTHER), 800, 800, 800);
        elector.tick(500 * MS, &standing);
        let Some(Action::Ask(id, Request::KeepAlive { .. })) = elector.poll() else { panic!("a keepalive") };
        elector.reply(501 * MS, id, Reply::LeaseGone);
        assert!(!elector.may_ack(501 * MS));
        elector.tick(502 * MS, &standing);
        let (id, request) = asked(&mut elector);
        assert!(matches!(request, Request::Grant { .. }));
        elector.reply(503 * MS, id, Reply::Granted { lease: LeaseId(8) });
        assert!(!elector.may_ack(503 * MS), "the leader key is not there");
        elector.tick(504 * MS, &standing);
        let (id, request) = asked(&mut elector);
        assert_eq!(request, Request::Read);
        let view = View { state: record(epoch, &[ME, OTHER], 20), ..View::default() };
        elector.reply(505 * MS, id, Reply::View(view));
        if comes_back {
            elector.tick(506 * MS, &standing);
            let (id, again) = write(&mut elector);
            assert_eq!((again.if_state, again.if_leader), (Some(Version(20)), Some(Version::ABSENT)));
            elector.reply(507 * MS, id, Reply::Written { version: Version(21) });
            assert!(elector.may_ack(507 * MS));
            assert_eq!(elector.mode(), Mode::Replicated);
        } else {
            assert_eq!(elector.poll(), Some(Action::Lost { epoch: Epoch(6) }));
            assert!(!elector.may_ack(507 * MS));
        }
    }
}

#[test]
fn of_two_that_lost_something_the_one_with_more_leads() {
    for (theirs, leads) in [((3, 792), true), ((3, 800), true), ((3, 808), false), ((4, 0), false)] {
        let situation = match candidate() {
            Situation::Candidate(candidate) => {
                Situation::Candidate(Candidate { is_complete: false, ..candidate })
            }
            other => other,
        };
        let state = record(3, &[ME, OTHER], 5);
        let mut elector = looked(View { state: state.clone(), ..View::default() }, &situation);
        let (id, announcement) = write(&mut elector);
        let ours = Announcement { version: Version(5), epoch: Epoch(3), end: Position(800) };
        assert_eq!(announcement.announce, Some((ME, ours, LEASE)));
        elector.reply(MS, id, Reply::Written { version: Version(6) });
        elector.tick(MS, &situation);
        let (id, _) = asked(&mut elector);
        // What was said under an older record does not count.
        let said = |version| Announcement {
            version: Version(version),
            epoch: Epoch(theirs.0),
            end: Position(theirs.1),
        };
        let mine = (ME, ours, Version(6));
        let announcements = vec![mine, (OTHER, said(4), Version(3))];
        elector.reply(
            2 * MS,
            id,
            Reply::View(View { state: state.clone(), announcements, ..View::default() }),
        );
        elector.tick(2 * MS, &situation);
        assert!(is_quiet(&mut elector));
        elector.tick(300 * MS, &situation);
        let (id, _) = asked(&mut elector);
        let announcements = vec![mine, (OTHER, said(5), Version(7))];
        elector.reply(
            301 * MS,
            id,
            Reply::View(View { state: state.clone(), announcements, ..View::default() }),
        );
        elector.tick(302 * MS, &situation);
        if leads {
            let (_, campaign) = write(&mut elector);
            assert_eq!(campaign.if_announcements, [(OTHER, Version(7))]);
        } else {
            assert!(is_quiet(&mut elector));
        }
    }
}

#[test]
fn who_resigns_deletes_its_key_and_holds_off() {
    let mut elector = leader_with_standby();
    elector.view.leader = Some((Leader { node: ME, epoch: Epoch(5) }, Version(10), LEASE));
    elector.resign(5 * MS);
    assert!(!elector.may_ack(5 * MS));
    elector.tick(5 * MS, &candidate());
    let (id, resignation) = write(&mut elector);
    assert_eq!((resignation.if_leader, resignation.leader), (Some(Version(10)), LeaderChange::Delete));
    elector.reply(6 * MS, id, Reply::Written { version: Version(11) });
    elector.tick(300 * MS, &candidate());
    let (id, _) = asked(&mut elector);
    elector.reply(301 * MS, id, Reply::View(View { state: record(5, &[ME, OTHER], 10), ..View::default() }));
    elector.tick(302 * MS, &candidate());
    assert!(is_quiet(&mut elector));
}

#[test]
fn values_are_read_as_they_are_written_and_nothing_else_is() {
    let record = Record { epoch: Epoch(6), in_sync: vec![ME, OTHER] };
    assert_eq!(record.to_string(), "epoch=6 in-sync=1,2");
    assert_eq!(record.to_string().parse(), Ok(record));
    let leader = Leader { node: OTHER, epoch: Epoch(6) };
    assert_eq!(leader.to_string().parse(), Ok(leader));
    let announcement = Announcement { version: Version(17), epoch: Epoch(6), end: Position(4096) };
    assert_eq!(announcement.to_string().parse(), Ok(announcement));
    for wrong in
        ["", "epoch=5", "epoch=5 in-sync=", "epoch=5 in-sync=2,1", "epoch=x in-sync=1", "epoch=5 in-sync=1 "]
    {
        assert!(wrong.parse::<Record>().is_err(), "{wrong:?}");
    }
    assert!("node=1".parse::<Leader>().is_err() && "node=1 epoch=2 end=3".parse::<Leader>().is_err());
    assert!("epoch=1 version=1 end=1".parse::<Announcement>().is_err());
}
