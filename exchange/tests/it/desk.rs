//! Commands, among them such as no client can send, put into the journal of a stopped exchange, and a random flow of them.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Display, Echo, EnterOrder,
    EnterSpecial, Execution, Instructions, InstrumentId, MassCancel, Nanos, OrderId, OrderType, Owner,
    PostOnly, Price, Quantity, ReduceKind, ReduceOrder, ReplaceOrder, ReplacePriority, ReplaceSpecial,
    SelfTrade, SelfTradePolicy, Sequence, Sequenced, SessionId, Side, TimeInForce, Trigger,
};
use journal::{Appender, Journal, Reader};
use rand::RngExt;
use rand_xoshiro::Xoshiro256StarStar;

use crate::venue::{Home, INSTRUMENTS};

pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) fn now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since_epoch.as_nanos()).expect("before 2554")
}

/// A stopped exchange's journal, open for commands.
pub(crate) struct Desk {
    appender: Appender,
    pub(crate) sequence: Sequence,
    pub(crate) nanos: u64,
    /// By instrument: the number of the next order.
    next_order: Vec<u64>,
    /// By session: the number of the next order.
    next_ref: Vec<u32>,
    /// Orders entered, the newest last: some have gone since.
    entered: Vec<(OrderId, Owner)>,
}

impl Desk {
    /// Opens the journal; numbers go on behind what is there.
    pub(crate) fn open(home: &Home) -> Self {
        let mut desk = Self {
            sequence: Sequence::default(),
            nanos: now(),
            next_order: vec![1; INSTRUMENTS.len()],
            next_ref: vec![1; 8],
            entered: Vec::new(),
            appender: {
                let options = journal::Options { tail_bytes: 1 << 20, ..journal::Options::default() };
                Journal::open(home.data(), &options, Arc::new(|| {})).expect("the journal").0
            },
        };
        let reader = Reader::open(home.data()).expect("a journal");
        for record in reader.records().map(|record| record.expect("a whole journal")) {
            if record.kind.is_command() {
                let command = record.command().expect("a command");
                desk.sequence = command.sequence;
                desk.nanos = desk.nanos.max(command.nanos.0);
                desk.count(&command.command);
            }
        }
        desk
    }

    fn count(&mut self, command: &Command) {
        let (order, owner) = match command {
            Command::Enter(enter) | Command::EnterSpecial(EnterSpecial { enter, .. }) => {
                (enter.order, enter.owner)
            }
            Command::Replace(replace) | Command::ReplaceSpecial(ReplaceSpecial { replace, .. }) => {
                (replace.new_order, replace.owner)
            }
            Command::MassCancel(MassCancel { owner, .. }) => {
                self.next_ref[owner.session.0 as usize] = owner.client_ref.0 + 1;
                return;
            }
            _ => return,
        };
        self.next_order[order.instrument().0 as usize] += 1;
        self.next_ref[owner.session.0 as usize] = owner.client_ref.0 + 1;
        self.entered.push((order, owner));
    }

    pub(crate) fn put(&mut self, command: Command) {
        self.sequence = self.sequence.next();
        self.count(&command);
        let sequenced = Sequenced { sequence: self.sequence, nanos: Nanos(self.nanos), command };
        while self.appender.append_command(&sequenced).is_err() {
            self.appender.commit();
            std::thread::sleep(Duration::from_micros(200));
        }
        if self.sequence.0.is_multiple_of(64) {
            self.appender.commit();
        }
    }

    pub(crate) fn close(self) {
        self.appender.close().expect("it is on disk");
    }

    pub(crate) fn owner(&self, session: u32) -> Owner {
        Owner { session: SessionId(session), client_ref: ClientRef(self.next_ref[session as usize]) }
    }

    /// An order for 10 at 100.00, good till it is canceled, with the session as its account.
    pub(crate) fn order(&self, instrument: u32, session: u32, side: Side) -> EnterOrder {
        EnterOrder {
            order: OrderId::new(InstrumentId(instrument), self.next_order[instrument as usize]),
            owner: self.owner(session),
            account: AccountId(session),
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            price: price(10_000),
            quantity: Quantity(10),
            client_order_id: ClientOrderId::BLANK,
            echo: Echo {
                side: if side == Side::Buy { b'B' } else { b'S' },
                display: b'Y',
                capacity: b'P',
                intermarket_sweep: b'N',
                cross: b'N',
            },
        }
    }
}

pub(crate) fn price(ticks: i64) -> Price {
    Price::new(ticks).expect("a price")
}

pub(crate) const fn special(enter: EnterOrder, instructions: Instructions) -> Command {
    Command::EnterSpecial(EnterSpecial { enter, instructions })
}

pub(crate) fn till(expires: u64) -> Instructions {
    Instructions { expires: Nanos(expires), ..Instructions::NONE }
}

type Random = Xoshiro256StarStar;

/// A command that somebody might send, of every kind, near 100.00 in four books.
pub(crate) fn any_command(desk: &Desk, random: &mut Random) -> Command {
    let instrument = random.random_range(0..4);
    let session = random.random_range(0..4);
    let side = if random.random_bool(0.5) { Side::Buy } else { Side::Sell };
    // The newest are the ones most likely to be there.
    let known = (!desk.entered.is_empty()).then(|| {
        let newest = desk.entered.len() - 1;
        desk.entered[newest - random.random_range(0..=newest.min(60))]
    });
    match (random.random_range(0..100), known) {
        (0..12, Some((order, owner))) => {
            Command::Cancel(CancelOrder { order, owner, reason: CancelReason::Requested })
        }
        (12..22, Some((order, owner))) => {
            let total = Quantity(random.random_range(0..60));
            let kind =
                [ReduceKind::Cancel, ReduceKind::Modify { side_code: b'S' }][random.random_range(0..2)];
            Command::Reduce(ReduceOrder { order, owner, total, kind })
        }
        (22..36, Some((order, owner))) => {
            let index = order.instrument().0;
            let replace = ReplaceOrder {
                order,
                original: owner.client_ref,
                new_order: OrderId::new(order.instrument(), desk.next_order[index as usize]),
                owner: desk.owner(owner.session.0),
                order_type: order_type(random),
                time_in_force: time_in_force(random),
                price: price(random.random_range(9_990..10_010)),
                total: Quantity(random.random_range(1..80)),
                priority: if random.random_bool(0.5) {
                    ReplacePriority::Lose
                } else {
                    ReplacePriority::KeepWherePossible
                },
                client_order_id: ClientOrderId::BLANK,
                echo: desk.order(index, 0, side).echo,
            };
            if random.random_bool(0.4) {
                return Command::Replace(replace);
            }
            let instructions = instructions(desk, random, replace.time_in_force);
            Command::ReplaceSpecial(ReplaceSpecial { replace, instructions })
        }
        (36, _) if random.random_bool(0.15) => Command::MassCancel(MassCancel {
            owner: desk.owner(session),
            instrument: random.random_bool(0.7).then_some(InstrumentId(instrument)),
            session: random.random_bool(0.7).then(|| SessionId(random.random_range(0..4))),
            account: random.random_bool(0.3).then(|| AccountId(random.random_range(0..4))),
            side: random.random_bool(0.5).then_some(side),
        }),
        (37, _) => Command::Advance(InstrumentId(instrument)),
        (38, _) if random.random_bool(0.05) => Command::EndOfDay,
        _ => {
            let enter = EnterOrder {
                order_type: order_type(random),
                time_in_force: time_in_force(random),
                price: price(random.random_range(9_990..10_010)),
                quantity: Quantity(random.random_range(1..80)),
                ..desk.order(instrument, session, side)
            };
            if random.random_bool(0.5) {
                return Command::Enter(enter);
            }
            special(enter, instructions(desk, random, enter.time_in_force))
        }
    }
}

fn order_type(random: &mut Random) -> OrderType {
    match random.random_range(0..10) {
        0 => OrderType::Market,
        1 => OrderType::MarketToLimit,
        _ => OrderType::Limit,
    }
}

fn time_in_force(random: &mut Random) -> TimeInForce {
    TimeInForce::from_u8(random.random_range(0..5)).expect("five of them")
}

/// Mostly such as make sense.
fn instructions(desk: &Desk, random: &mut Random, time_in_force: TimeInForce) -> Instructions {
    let dated = time_in_force == TimeInForce::GoodTillDate && random.random_bool(0.95);
    Instructions {
        trigger: match random.random_range(0..10) {
            0..2 => Trigger::Stop(price(random.random_range(9_990..10_010))),
            2 => Trigger::Trailing { ticks: random.random_range(1..8) },
            _ => Trigger::None,
        },
        display: match random.random_range(0..10) {
            0..2 => Display::Iceberg {
                peak: Quantity(random.random_range(2..20)),
                spread: random.random_range(0..2),
                seed: random.random(),
            },
            2 => Display::Hidden,
            _ => Display::Full,
        },
        execution: match random.random_range(0..10) {
            0 => Execution::Minimum(Quantity(random.random_range(1..20))),
            1 => Execution::AllOrNone,
            2 => Execution::PostOnly(PostOnly::Reject),
            3 => Execution::PostOnly(PostOnly::Slide),
            _ => Execution::Any,
        },
        self_trade: NonZeroU32::new(random.random_range(0..4)).map(|group| SelfTrade {
            group,
            policy: SelfTradePolicy::from_u8(random.random_range(0..4)).expect("four of them"),
        }),
        expires: Nanos(if dated { desk.nanos + random.random_range(1..20) * 1_000_000 } else { 0 }),
    }
}
