//! From records to commands: the session layer's and the sequencer's part of the work, as cheap as it can be.

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Echo, EnterOrder, EventKind,
    EventSink, InstrumentId, Nanos, OrderId, OrderType, Owner, Price, Quantity, ReduceKind, ReduceOrder,
    Sequence, Sequenced, SessionId, TimeInForce,
};

use super::{Fills, Op, Record};

/// Sessions that the orders are dealt to.
const SESSIONS: u64 = 8;
/// The sessions' and the exchange's clock: this many nanoseconds a command.
const NANOS: u64 = 100;

/// What has to be known to make commands of records.
#[derive(Clone, Debug)]
pub struct Session {
    /// By the record's order id.
    orders: Vec<OrderId>,
    /// By book, the number that its next order gets.
    next: Vec<u64>,
    sequence: u64,
}

/// Whose an order of a record is. The lower half is the order's id, so events bring it back.
fn owner_of(order: u64) -> Owner {
    Owner { session: SessionId((order % SESSIONS) as u32), client_ref: ClientRef(order as u32) }
}

impl Session {
    /// For books that have seen no command, and orders up to an id.
    #[must_use]
    pub fn new(books: u32, orders: u64) -> Self {
        // Not zeros, which the system would promise and not provide: the memory shall be there before a clock starts.
        let nobody = OrderId::new(InstrumentId(0), (1 << OrderId::NUMBER_BITS) - 1);
        Self { orders: vec![nobody; orders as usize + 1], next: vec![1; books as usize], sequence: 0 }
    }

    /// The exchange's id of a record's order.
    #[must_use]
    pub fn order(&self, record: &Record) -> OrderId {
        self.orders[record.order as usize]
    }

    /// Gives a command its place and its time.
    #[inline]
    pub fn sequenced(&mut self, command: Command) -> Sequenced<Command> {
        self.sequence += 1;
        Sequenced { sequence: Sequence(self.sequence), nanos: Nanos(self.sequence * NANOS), command }
    }

    /// The id that a book's next order gets.
    #[inline]
    pub fn next_order(&mut self, instrument: InstrumentId) -> OrderId {
        let next = &mut self.next[instrument.0 as usize];
        let order = OrderId::new(instrument, *next);
        *next += 1;
        order
    }

    /// The command that a record asks for; of a reduction, its quantity is the total.
    #[must_use]
    pub fn command(&mut self, record: &Record) -> Sequenced<Command> {
        let mut one = Vec::with_capacity(1);
        self.push_command(record, &mut one);
        one[0]
    }

    /// Puts the command that a record asks for behind others. Each kind is made where it shall lie: made in one place
    /// and then moved, all would be as large as the largest.
    #[inline(always)]
    pub fn push_command(&mut self, record: &Record, commands: &mut Vec<Sequenced<Command>>) {
        self.sequence += 1;
        let (sequence, nanos) = (Sequence(self.sequence), Nanos(self.sequence * NANOS));
        let owner = owner_of(record.order);
        match record.op {
            Op::Add | Op::Immediate => {
                let order = self.next_order(InstrumentId(record.symbol));
                self.orders[record.order as usize] = order;
                let enter = EnterOrder {
                    order,
                    owner,
                    account: AccountId(owner.session.0),
                    side: record.side,
                    order_type: OrderType::Limit,
                    time_in_force: if record.op == Op::Add {
                        TimeInForce::GoodTillCancel
                    } else {
                        TimeInForce::ImmediateOrCancel
                    },
                    price: Price::new(i64::from(record.price)).unwrap_or_default(),
                    quantity: Quantity(u64::from(record.quantity)),
                    client_order_id: ClientOrderId(*b"ORDER OF A BENCHMARK"),
                    echo: Echo {
                        side: b'B',
                        display: b'Y',
                        capacity: b'A',
                        intermarket_sweep: b'N',
                        cross: b'N',
                    },
                };
                commands.push(Sequenced { sequence, nanos, command: Command::Enter(enter) });
            }
            Op::Cancel => {
                let order = self.orders[record.order as usize];
                let cancel = CancelOrder { order, owner, reason: CancelReason::Requested };
                commands.push(Sequenced { sequence, nanos, command: Command::Cancel(cancel) });
            }
            Op::Reduce => {
                let order = self.orders[record.order as usize];
                let total = Quantity(u64::from(record.quantity));
                let reduce = ReduceOrder { order, owner, total, kind: ReduceKind::Cancel };
                commands.push(Sequenced { sequence, nanos, command: Command::Reduce(reduce) });
            }
        }
    }
}

/// Hears what books say, and hashes the fills.
#[derive(Clone, Copy, Debug, Default)]
pub struct FillHash {
    /// So far.
    pub fills: Fills,
    /// Events of every kind.
    pub events: u64,
    /// Commands refused. None should be.
    pub refused: u64,
}

impl EventSink for FillHash {
    fn begin(&mut self, _: Sequence, _: Nanos, _: InstrumentId) {}

    fn push(&mut self, kind: EventKind) {
        self.events += 1;
        match kind {
            EventKind::Traded { price, quantity, maker_owner, taker_owner, .. } => self.fills.add(
                u64::from(maker_owner.client_ref.0),
                u64::from(taker_owner.client_ref.0),
                price.ticks() as i32,
                quantity.lots() as u32,
            ),
            EventKind::Rejected { .. }
            | EventKind::CancelRejected { .. }
            | EventKind::ReplaceRejected { .. } => {
                self.refused += 1;
            }
            _ => {}
        }
    }
}
