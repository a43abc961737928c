//! What special orders leave in a session, and what it is told of them.

use domain::{
    AccountId, CancelReason, ClientOrderId, Echo, Execution, Instructions, PostOnly, Price, Protocol,
    Quantity, RejectReason, ReplacePriority, Side, TimeInForce,
};

use super::*;

/// Two sessions, and what they have been told.
struct Desk {
    sessions: Sessions,
    told: Vec<Report>,
    sequence: u64,
}

fn order(number: u64) -> OrderId {
    OrderId::new(InstrumentId(0), number)
}

fn owner(session: u32, client_ref: u32) -> Owner {
    Owner { session: SessionId(session), client_ref: ClientRef(client_ref) }
}

fn price(ticks: i64) -> Price {
    Price::new(ticks).unwrap()
}

impl Desk {
    fn new() -> Self {
        Self::speaking(Protocol::Ouch)
    }

    fn speaking(protocol: Protocol) -> Self {
        let mut desk = Self { sessions: Sessions::new(), told: Vec::new(), sequence: 0 };
        for (session, name) in [(0, &b"ALICE"[..]), (1, b"BOB")] {
            let user = UserName::new(name).unwrap();
            let definition = SessionDefinition { session: SessionId(session), user, protocol };
            desk.sessions.define(&definition);
            desk.command(Command::DefineSession(definition));
        }
        desk
    }

    fn command(&mut self, command: Command) {
        self.sequence += 1;
        let sequenced = Sequenced { sequence: Sequence(self.sequence), nanos: Nanos(self.sequence), command };
        let told = &mut self.told;
        self.sessions.on_command(&sequenced, |report| {
            told.push(*report);
            Position(64 * told.len() as u64)
        });
    }

    /// What is told of an event.
    fn event(&mut self, kind: EventKind) -> Vec<(SessionId, ReportKind)> {
        let (sequence, nanos) = (Sequence(self.sequence), Nanos(self.sequence));
        let event = Event { sequence, nanos, instrument: InstrumentId(0), index: 0, kind };
        let before = self.told.len();
        let told = &mut self.told;
        self.sessions.on_event(&event, |report| {
            told.push(*report);
            Position(64 * told.len() as u64)
        });
        self.told[before..].iter().map(|report| (report.session, report.kind)).collect()
    }

    /// An order of ten for 100, accepted.
    fn enter(&mut self, session: u32, client_ref: u32, order_type: OrderType) -> OrderId {
        let id = order(u64::from(client_ref));
        let enter = EnterOrder {
            order: id,
            owner: owner(session, client_ref),
            account: AccountId(session),
            side: Side::Buy,
            order_type,
            time_in_force: TimeInForce::Day,
            price: price(100),
            quantity: Quantity(10),
            client_order_id: ClientOrderId::BLANK,
            echo: Echo { side: b'B', ..Echo::default() },
        };
        let execution = Execution::PostOnly(PostOnly::Slide);
        let instructions = Instructions { execution, ..Instructions::NONE };
        self.command(Command::EnterSpecial(EnterSpecial { enter, instructions }));
        id
    }

    fn accept(
        &mut self,
        session: u32,
        id: OrderId,
        order_type: OrderType,
        limit: i64,
    ) -> Vec<(SessionId, ReportKind)> {
        self.event(EventKind::Accepted {
            order: id,
            owner: owner(session, u32::try_from(id.number()).unwrap()),
            side: Side::Buy,
            order_type,
            time_in_force: TimeInForce::Day,
            price: price(limit),
            quantity: Quantity(10),
        })
    }

    fn session(&self, session: u32) -> &Session {
        self.sessions.get(SessionId(session)).unwrap()
    }
}

#[test]
fn an_order_that_slid_lives_at_the_limit_that_it_got() {
    let mut desk = Desk::new();
    let id = desk.enter(0, 5, OrderType::Limit);
    assert_eq!((desk.session(0).open_orders(), desk.session(0).last_ref()), (1, ClientRef(5)));
    let told = desk.accept(0, id, OrderType::Limit, 99);
    assert!(
        matches!(told[..], [(SessionId(0), ReportKind::Accepted { price: limit, .. })] if limit == price(99))
    );
    assert_eq!(desk.session(0).order(ClientRef(5)).unwrap().price, price(99));
}

#[test]
fn a_replacement_with_instructions_is_one_like_any_other() {
    let mut desk = Desk::new();
    let old = desk.enter(0, 5, OrderType::Limit);
    desk.accept(0, old, OrderType::Limit, 100);
    let replace = |client_ref: u32| ReplaceOrder {
        order: old,
        original: ClientRef(5),
        new_order: order(u64::from(client_ref)),
        owner: owner(0, client_ref),
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        price: price(101),
        total: Quantity(20),
        priority: ReplacePriority::Lose,
        client_order_id: ClientOrderId::BLANK,
        echo: Echo::default(),
    };
    let special = |client_ref| {
        let instructions = Instructions::NONE;
        Command::ReplaceSpecial(ReplaceSpecial { replace: replace(client_ref), instructions })
    };
    // One that its book refuses, whose number is free again, and one that it makes.
    desk.command(special(6));
    assert_eq!((desk.session(0).open_orders(), desk.session(0).last_ref()), (2, ClientRef(6)));
    let (original, reason) = (ClientRef(5), RejectReason::WouldTrade);
    let refused = EventKind::ReplaceRejected { old, original, order: order(6), owner: owner(0, 6), reason };
    assert_eq!(desk.event(refused), []);
    assert_eq!((desk.session(0).open_orders(), desk.session(0).last_ref()), (1, ClientRef(5)));
    desk.command(special(7));
    let told = desk.event(EventKind::Replaced {
        old,
        original,
        order: order(7),
        owner: owner(0, 7),
        side: Side::Buy,
        price: price(98),
        leaves: Quantity(20),
        kept_priority: false,
    });
    assert!(
        matches!(told[..], [(SessionId(0), ReportKind::Replaced { price: limit, .. })] if limit == price(98))
    );
    let session = desk.session(0);
    assert_eq!(
        (session.open_orders(), session.last_ref(), session.order(ClientRef(5))),
        (1, ClientRef(7), None)
    );
    let live = session.order(ClientRef(7)).unwrap();
    assert_eq!(
        (live.price, live.time_in_force, live.echo.side),
        (price(98), TimeInForce::GoodTillCancel, b'B')
    );
}

#[test]
fn a_market_to_limit_order_becomes_a_limit_order() {
    let mut desk = Desk::new();
    let id = desk.enter(0, 5, OrderType::MarketToLimit);
    desk.accept(0, id, OrderType::MarketToLimit, 100);
    let restated =
        |order| EventKind::Restated { order, owner: owner(0, 5), price: price(42), leaves: Quantity(3) };
    // Another order than the one that lives under the number changes nothing.
    for (order, order_type, limit) in [(order(4), OrderType::MarketToLimit, 100), (id, OrderType::Limit, 42)]
    {
        let (client_ref, leaves) = (ClientRef(5), Quantity(3));
        let kind = ReportKind::Restated { client_ref, order, price: price(42), leaves };
        assert_eq!(desk.event(restated(order)), [(SessionId(0), kind)]);
        let live = desk.session(0).order(ClientRef(5)).unwrap();
        assert_eq!((live.order_type, live.price), (order_type, price(limit)));
    }
}

#[test]
fn what_is_lost_within_a_group_is_told_and_in_plain_ouch_as_a_cancel_of_a_part() {
    for protocol in [Protocol::PlainOuch, Protocol::Ouch] {
        let mut desk = Desk::speaking(protocol);
        let id = desk.enter(0, 5, OrderType::Limit);
        desk.accept(0, id, OrderType::Limit, 100);
        let (quantity, leaves, price, liquidity) = (Quantity(4), Quantity(6), price(98), Liquidity::Removed);
        let (order, owner, client_ref) = (id, owner(0, 5), ClientRef(5));
        let decremented = EventKind::Decremented { order, owner, quantity, leaves, price, liquidity };
        let reason = CancelReason::SelfTrade;
        let canceled = |quantity| ReportKind::Canceled { client_ref, order, quantity, reason };
        let kind = match protocol {
            Protocol::PlainOuch => canceled(quantity),
            Protocol::Ouch | Protocol::Fix => {
                ReportKind::Decremented { client_ref, order, quantity, leaves, price, liquidity }
            }
        };
        assert_eq!(desk.event(decremented), [(SessionId(0), kind)]);
        assert_eq!(desk.session(0).open_orders(), 1);
        let told = desk.event(EventKind::Canceled { order, owner, quantity: leaves, reason });
        assert_eq!(told, [(SessionId(0), canceled(leaves))]);
        assert_eq!(desk.session(0).open_orders(), 0);
    }
}

#[test]
fn a_mass_cancel_uses_up_its_asker_s_number_and_takes_the_orders_of_others() {
    let mut desk = Desk::new();
    let id = desk.enter(0, 5, OrderType::Limit);
    desk.accept(0, id, OrderType::Limit, 100);
    let by_bob = owner(1, 9);
    desk.command(Command::MassCancel(MassCancel {
        owner: by_bob,
        instrument: None,
        session: Some(SessionId(0)),
        account: None,
        side: None,
    }));
    assert_eq!((desk.session(0).last_ref(), desk.session(1).last_ref()), (ClientRef(5), ClientRef(9)));
    let (quantity, reason) = (Quantity(10), CancelReason::MassCancel);
    let told = desk.event(EventKind::Canceled { order: id, owner: owner(0, 5), quantity, reason });
    let kind = ReportKind::Canceled { client_ref: ClientRef(5), order: id, quantity, reason };
    assert_eq!(told, [(SessionId(0), kind)]);
    let done = ReportKind::MassCanceled { client_ref: ClientRef(9), canceled: 1 };
    let told = desk.event(EventKind::MassCanceled { owner: by_bob, canceled: 1 });
    assert_eq!(told, [(SessionId(1), done)]);
    assert_eq!((desk.session(0).open_orders(), desk.session(1).open_orders()), (0, 0));
}

#[test]
fn what_changes_no_order_is_told_and_changes_nothing() {
    for protocol in [Protocol::PlainOuch, Protocol::Ouch] {
        let mut desk = Desk::speaking(protocol);
        let id = desk.enter(0, 5, OrderType::Limit);
        desk.accept(0, id, OrderType::Limit, 100);
        let live = *desk.session(0).order(ClientRef(5)).unwrap();
        desk.command(Command::Advance(InstrumentId(0)));
        let (order, owner, client_ref) = (id, owner(0, 5), ClientRef(5));
        let (price, shown, leaves) = (price(1), Quantity(1), Quantity(2));
        let reason = RejectReason::UnknownOrder;
        for (event, report) in [
            (
                EventKind::Triggered { order, owner, price },
                Some(ReportKind::Triggered { client_ref, order, price }),
            ),
            (
                EventKind::Refreshed { order, owner, shown, leaves },
                Some(ReportKind::Refreshed { client_ref, order, shown, leaves }),
            ),
            (
                EventKind::MassCanceled { owner, canceled: 0 },
                Some(ReportKind::MassCanceled { client_ref, canceled: 0 }),
            ),
            // The client knows that its order is gone.
            (EventKind::CancelRejected { order, owner, reason }, None),
            (EventKind::Paused { triggered: 3 }, None),
        ] {
            let told: Vec<_> = report
                .filter(|_| protocol == Protocol::Ouch)
                .map(|kind| (SessionId(0), kind))
                .into_iter()
                .collect();
            assert_eq!(desk.event(event), told, "{protocol:?}");
        }
        assert_eq!(desk.session(0).order(ClientRef(5)), Some(&live));
        assert_eq!((desk.session(0).open_orders(), desk.session(0).last_ref()), (1, ClientRef(5)));
    }
}

#[test]
fn an_order_is_special_for_as_long_as_it_has_instructions() {
    let mut desk = Desk::new();
    let old = desk.enter(0, 5, OrderType::Limit);
    desk.accept(0, old, OrderType::Limit, 100);
    assert!(desk.session(0).order(ClientRef(5)).unwrap().is_special);
    let replace = |original: u32, client_ref: u32| ReplaceOrder {
        order: order(u64::from(original)),
        original: ClientRef(original),
        new_order: order(u64::from(client_ref)),
        owner: owner(0, client_ref),
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Day,
        price: price(101),
        total: Quantity(10),
        priority: ReplacePriority::Lose,
        client_order_id: ClientOrderId::BLANK,
        echo: Echo::default(),
    };
    // A plain replacement keeps them, one with none of its own does not.
    desk.command(Command::Replace(replace(5, 6)));
    assert!(desk.session(0).order(ClientRef(6)).unwrap().is_special);
    let instructions = Instructions::NONE;
    desk.command(Command::ReplaceSpecial(ReplaceSpecial { replace: replace(6, 7), instructions }));
    assert!(!desk.session(0).order(ClientRef(7)).unwrap().is_special);
}

/// A follower of what a desk has logged, with the log and the books each ahead in turn.
fn follower(desk: &Desk) -> Sessions {
    let mut follower = Sessions::new();
    for (session, Session { user, protocol, .. }) in desk.sessions.iter() {
        follower.define(&SessionDefinition { session, user: *user, protocol: *protocol });
    }
    follower.follow();
    follower
}

fn unnumbered(report: &Report) -> Position {
    panic!("a follower numbers nothing: {report:?}")
}

#[test]
fn a_follower_takes_the_log_s_numbers_and_owes_what_it_lacks() {
    let mut desk = Desk::new();
    let commands = |follower: &mut Sessions| {
        for (sequence, session, name) in [(1, 0, &b"ALICE"[..]), (2, 1, b"BOB")] {
            let user = UserName::new(name).unwrap();
            let command = Command::DefineSession(SessionDefinition {
                session: SessionId(session),
                user,
                protocol: Protocol::Ouch,
            });
            let sequenced = Sequenced { sequence: Sequence(sequence), nanos: Nanos(sequence), command };
            follower.on_command(&sequenced, unnumbered);
        }
    };
    let rejected = PreRejected {
        session: SessionId(1),
        client_ref: ClientRef(1),
        client_order_id: ClientOrderId::BLANK,
        reason: RejectReason::ALL[0],
    };
    desk.command(Command::Rejected(rejected));
    assert_eq!(desk.told.len(), 3);
    let third = Sequenced { sequence: Sequence(3), nanos: Nanos(3), command: Command::Rejected(rejected) };

    // The log is ahead of the commands, then behind them: one report of three is owed.
    let mut ahead = follower(&desk);
    ahead.on_logged(&desk.told[0], Position(64)).unwrap();
    assert!(matches!(ahead.caught_up(), Err(LogError::Uncaused(report)) if *report == desk.told[0]));
    commands(&mut ahead);
    ahead.on_command(&third, unnumbered);
    assert_eq!((ahead.caught_up(), ahead.owed().count()), (Ok(()), 2));
    ahead.on_logged(&desk.told[1], Position(128)).unwrap();
    let owed: Vec<_> = ahead.owed().copied().collect();
    assert_eq!(owed, [Report { number: 0, ..desk.told[2] }]);
    // Who takes the log over numbers it as the one before would have done.
    let mut logged = Vec::new();
    let completed = ahead.lead(|report| {
        logged.push(*report);
        Position(192)
    });
    assert_eq!((completed, logged), (Ok(1), vec![desk.told[2]]));
    assert_eq!(ahead.get(SessionId(1)).unwrap().next_number(), 3);

    // A log that says otherwise is not followed: a field of a report, its number, one too many.
    let mut other = follower(&desk);
    commands(&mut other);
    let wrong = Report { kind: ReportKind::System(SystemCode::EndOfDay), ..desk.told[0] };
    assert!(matches!(other.on_logged(&wrong, Position(64)), Err(LogError::Differs(_))));
    assert!(matches!(other.agree(), Err(LogError::Differs(_))), "it stays so");
    assert!(other.lead(unnumbered).is_err());
    let mut gap = follower(&desk);
    let wrong = gap.on_logged(&Report { number: 2, ..desk.told[0] }, Position(64));
    assert_eq!(wrong, Err(LogError::Gap { session: SessionId(0), expected: Some(1), found: 2 }));
    let mut more = follower(&desk);
    desk.told.iter().zip(1..).for_each(|(report, at)| more.on_logged(report, Position(64 * at)).unwrap());
    commands(&mut more);
    assert!(matches!(more.lead(unnumbered), Err(LogError::Uncaused(report)) if *report == desk.told[2]));
}
