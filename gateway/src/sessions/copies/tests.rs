use domain::{
    AccountId, CancelReason, ClientOrderId, ClientRef, Command, EnterOrder, Event, InstrumentId, Liquidity,
    Nanos, OrderId, Price, Protocol, RejectReason, Sequence, Sequenced, SessionDefinition, TimeInForce,
    TradeId, UserName,
};

use door::auth;

use super::*;

const FIX: SessionId = SessionId(0);
const OUCH: SessionId = SessionId(1);
const RISK: SessionId = SessionId(2);
const DESK: SessionId = SessionId(3);

struct Venue {
    sessions: Sessions,
    told: Vec<Report>,
    sequence: u64,
}

impl Venue {
    fn new() -> Self {
        let mut venue = Self { sessions: Sessions::new(), told: Vec::new(), sequence: 0 };
        let sessions: [(SessionId, &[u8], Protocol); 4] = [
            (FIX, b"FIX", Protocol::Fix),
            (OUCH, b"OUCH", Protocol::Ouch),
            (RISK, b"RISK", Protocol::Fix),
            (DESK, b"DESK", Protocol::Fix),
        ];
        for (session, name, protocol) in sessions {
            let user = UserName::new(name).unwrap();
            venue.sessions.define(&SessionDefinition { session, user, protocol });
        }
        venue
    }

    fn command(&mut self, command: Command) {
        self.sequence += 1;
        let sequenced = Sequenced { sequence: Sequence(self.sequence), nanos: Nanos(1), command };
        let told = &mut self.told;
        self.sessions.on_command(&sequenced, |report| {
            told.push(*report);
            domain::Position(64 * told.len() as u64)
        });
    }

    fn copies(&mut self, watcher: SessionId, watched: SessionId, is_on: bool) {
        self.command(Command::DropCopy(DropCopy { watcher, watched, is_on }));
    }

    /// What is told of what a book says of the next command, whichever that is.
    fn event(&mut self, kind: EventKind) -> Vec<Report> {
        self.sequence += 1;
        self.event_of(self.sequence, kind)
    }

    /// What is told of what a book says of this command.
    fn event_of(&mut self, sequence: u64, kind: EventKind) -> Vec<Report> {
        let event = Event {
            sequence: Sequence(sequence),
            nanos: Nanos(1),
            instrument: InstrumentId(0),
            index: 0,
            kind,
        };
        let (before, told) = (self.told.len(), &mut self.told);
        self.sessions.on_event(&event, |report| {
            told.push(*report);
            domain::Position(64 * told.len() as u64)
        });
        self.told[before..].to_vec()
    }

    /// Ten lots for a hundred, in the book.
    fn enter(&mut self, owner: Owner) -> (OrderId, Vec<Report>) {
        let order = OrderId::new(InstrumentId(0), u64::from(owner.session.0 * 100 + owner.client_ref.0));
        let (order_type, time_in_force) = (OrderType::Limit, TimeInForce::Day);
        let (price, quantity) = (Price::new(100).unwrap(), Quantity(10));
        self.command(Command::Enter(EnterOrder {
            order,
            owner,
            account: AccountId(0),
            side: Side::Sell,
            order_type,
            time_in_force,
            price,
            quantity,
            client_order_id: ClientOrderId::new(b"name").unwrap(),
            echo: Echo { side: b'T', display: b'Y', capacity: b'O', ..Echo::default() },
        }));
        let side = Side::Sell;
        let accepted = EventKind::Accepted { order, owner, side, order_type, time_in_force, price, quantity };
        (order, self.event(accepted))
    }
}

fn owner(session: SessionId, client_ref: u32) -> Owner {
    Owner { session, client_ref: ClientRef(client_ref) }
}

/// The reports of one session, without their numbers.
fn of(session: SessionId, reports: &[Report]) -> Vec<ReportKind> {
    reports.iter().filter(|report| report.session == session).map(|report| report.kind).collect()
}

fn copied(reports: &[Report], watcher: SessionId) -> Vec<OrderReport> {
    let copies = reports.iter().filter(|report| report.session == watcher);
    copies
        .map(|report| match report.kind {
            ReportKind::Copy(copy) => copy.order,
            kind => panic!("{kind:?} is no copy"),
        })
        .collect()
}

#[test]
fn who_watches_a_fix_session_is_told_what_it_is_told_behind_it() {
    let mut venue = Venue::new();
    venue.copies(RISK, FIX, true);
    venue.copies(DESK, FIX, true);
    venue.copies(DESK, FIX, true); // said twice, it is the same
    let (order, told) = venue.enter(owner(FIX, 5));
    let [ReportKind::Order(report)] = of(FIX, &told)[..] else { panic!("{told:?}") };
    let copy = ReportKind::Copy(OrderCopy { of: FIX, order: report });
    let who: Vec<_> = told.iter().map(|report| (report.session, report.number)).collect();
    assert_eq!(who, [(FIX, 1), (RISK, 1), (DESK, 1)]);
    assert_eq!((of(RISK, &told), of(DESK, &told)), (vec![copy], vec![copy]));

    venue.copies(RISK, FIX, false);
    let reason = CancelReason::Requested;
    let told =
        venue.event(EventKind::Canceled { order, owner: owner(FIX, 5), quantity: Quantity(10), reason });
    assert_eq!(told.iter().map(|report| report.session).collect::<Vec<_>>(), [FIX, DESK]);
    let is_watching = |session| venue.sessions.get(session).unwrap().is_watching();
    assert_eq!([FIX, OUCH, RISK, DESK].map(is_watching), [false, false, false, true]);
}

/// A book may speak of a command behind what stands behind that command: what counts is where they stand.
#[test]
fn who_is_told_of_a_command_s_doing_was_to_be_told_there() {
    let mut venue = Venue::new();
    venue.copies(RISK, FIX, true);
    let (order, _) = venue.enter(owner(FIX, 5));
    let before = venue.sequence;
    venue.copies(RISK, FIX, false);
    venue.copies(DESK, FIX, true);
    venue.command(Command::EndOfDay);
    let between = venue.sequence;
    venue.copies(RISK, FIX, true);
    let behind = venue.sequence;
    for (sequence, who) in [(before, vec![RISK]), (behind + 1, vec![RISK, DESK]), (between, vec![DESK])] {
        let triggered = EventKind::Triggered { order, owner: owner(FIX, 5), price: Price::new(1).unwrap() };
        let told = venue.event_of(sequence, triggered);
        let copies: Vec<_> = told.iter().skip(1).map(|report| report.session).collect();
        assert_eq!(copies, who, "command {sequence}");
    }
}

#[test]
fn what_ouch_says_barely_is_told_whole() {
    let mut venue = Venue::new();
    venue.copies(RISK, OUCH, true);
    let (order, told) = venue.enter(owner(OUCH, 5));
    let [new] = copied(&told, RISK)[..] else { panic!("{told:?}") };
    // A short sale, by FIX's code; OUCH's `other` has none.
    assert_eq!(
        (new.kind, new.echo.side, new.echo.display, new.echo.capacity),
        (OrderReportKind::New, b'5', b'2', b' ')
    );
    assert_eq!((new.quantity, new.leaves, new.cumulative), (Quantity(10), Quantity(10), Quantity(0)));
    assert_eq!(new.client_order_id, ClientOrderId::new(b"name").unwrap());

    let price = Price::new(101).unwrap();
    let trade = |quantity: u64, leaves: u64| EventKind::Traded {
        trade: TradeId::new(InstrumentId(0), 1),
        price,
        quantity: Quantity(quantity),
        maker: order,
        maker_owner: owner(OUCH, 5),
        maker_leaves: Quantity(leaves),
        taker: OrderId::new(InstrumentId(0), 9),
        taker_owner: owner(DESK, 1),
        taker_leaves: Quantity(1),
        taker_side: Side::Buy,
    };
    let told = venue.event(trade(4, 6));
    let [fill] = copied(&told, RISK)[..] else { panic!("{told:?}") };
    assert_eq!(
        (fill.status, fill.leaves, fill.cumulative),
        (OrderStatus::PartiallyFilled, Quantity(6), Quantity(4))
    );
    assert_eq!((fill.notional, fill.quantity), (404, Quantity(10)));
    assert!(matches!(
        fill.kind,
        OrderReportKind::Trade { liquidity: Liquidity::Added, quantity: Quantity(4), .. }
    ));

    let (owner, quantity) = (owner(OUCH, 5), Quantity(1));
    let liquidity = Liquidity::Added;
    let decremented =
        EventKind::Decremented { order, owner, quantity, leaves: Quantity(5), price, liquidity };
    let [smaller] = copied(&venue.event(decremented), RISK)[..] else { panic!("no copy") };
    assert_eq!(smaller.kind, OrderReportKind::Restated(Restatement::Decremented));
    assert_eq!(
        (smaller.quantity, smaller.leaves, smaller.cumulative),
        (Quantity(9), Quantity(5), Quantity(4))
    );
    let [triggered] = copied(&venue.event(EventKind::Triggered { order, owner, price }), RISK)[..] else {
        panic!("no copy")
    };
    assert_eq!((triggered.kind, triggered.leaves), (OrderReportKind::Triggered, Quantity(5)));

    // It is told of no answers to requests, and not twice of an order that is gone.
    let reason = RejectReason::UnknownOrder;
    assert_eq!(copied(&venue.event(EventKind::CancelRejected { order, owner, reason }), RISK), []);
    let told = venue.event(trade(5, 0));
    let [last] = copied(&told, RISK)[..] else { panic!("{told:?}") };
    assert_eq!((last.status, last.leaves, last.cumulative), (OrderStatus::Filled, Quantity(0), Quantity(9)));
    assert_eq!(last.notional, 9 * 101);
    let reason = CancelReason::Requested;
    assert_eq!(copied(&venue.event(EventKind::Canceled { order, owner, quantity, reason }), RISK), []);
}

#[test]
fn who_watches_is_in_the_image() {
    let mut venue = Venue::new();
    venue.copies(RISK, OUCH, true);
    let (order, _) = venue.enter(owner(OUCH, 5));
    venue.sessions = Sessions::restore(venue.sessions.images().unwrap()).unwrap();
    assert!(venue.sessions.get(RISK).unwrap().is_watching());
    assert_eq!(venue.sessions.get(OUCH).unwrap().watchers().collect::<Vec<_>>(), [RISK]);
    let reason = CancelReason::Requested;
    let told =
        venue.event(EventKind::Canceled { order, owner: owner(OUCH, 5), quantity: Quantity(10), reason });
    assert_eq!(copied(&told, RISK).len(), 1);
}

#[test]
fn what_is_due_is_the_difference_and_nothing_else() {
    let mut venue = Venue::new();
    venue.copies(RISK, OUCH, true);
    venue.copies(DESK, OUCH, true);
    let user = |session: SessionId, name: &[u8], protocol, of: &[&[u8]]| {
        let name = UserName::new(name).unwrap();
        let drop_copy_of = of.iter().map(|name| UserName::new(name).unwrap()).collect();
        auth::User { drop_copy_of, ..auth::User::new(name, protocol, session, auth::Proof::Key) }
    };
    let fix = auth::Protocol::Fix;
    let users = [user(RISK, b"RISK", fix, &[b"FIX", b"OUCH", b"FIX"]), user(DESK, b"DESK", fix, &[])];
    let due = venue.sessions.copies_due(&users).unwrap();
    let off = DropCopy { watcher: DESK, watched: OUCH, is_on: false };
    let on = DropCopy { watcher: RISK, watched: FIX, is_on: true };
    assert_eq!(due, [off, on]);
    for copy in due {
        venue.command(Command::DropCopy(copy));
    }
    assert_eq!(venue.sessions.copies_due(&users).unwrap(), []);

    for (wrong, why) in [
        (user(RISK, b"RISK", fix, &[b"NOBODY"]), "no user NOBODY has a session"),
        (user(RISK, b"RISK", fix, &[b"RISK"]), "nobody is told of its own orders twice"),
        (user(OUCH, b"OUCH", auth::Protocol::Soup, &[b"FIX"]), "copies are for users that speak FIX"),
    ] {
        let error = venue.sessions.copies_due(&[wrong]).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
