//! Commands of the flow in 32 bytes: the front's share of the measured cores should be its work, and not waiting for the
//! memory that the workload lies in.

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Echo, EnterOrder, InstrumentId,
    MassCancel, Nanos, OrderId, OrderType, Owner, Price, Quantity, ReduceKind, ReduceOrder, Sequence,
    Sequenced, Side, TimeInForce,
};

use super::workload::NOBODY;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Enter(Side, TimeInForce),
    Cancel,
    Reduce,
    /// A look at every order of the book.
    Look,
    Advance,
}

/// A command without its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Of a command that is about a book alone, any order of it.
    order: OrderId,
    owner: Owner,
    /// Ticks, which the flow keeps small.
    price: i32,
    lots: u32,
    kind: Kind,
}

/// Commands in a row.
#[derive(Clone, Debug)]
pub struct PackedRun {
    first: Sequence,
    commands: Vec<Packed>,
}

impl PackedRun {
    /// Commands with sequences in a row.
    ///
    /// # Panics
    /// When one is none of the flow's, or none that it makes.
    #[must_use]
    pub fn new(commands: &[Sequenced<Command>]) -> Self {
        let first = commands.first().map_or(Sequence(1), |command| command.sequence);
        let run = Self { first, commands: commands.iter().map(|command| pack(&command.command)).collect() };
        for (at, command) in commands.iter().enumerate() {
            assert_eq!(run.get(at).sequence, command.sequence);
            assert_eq!(run.get(at).command, command.command);
        }
        run
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The first one's sequence.
    #[must_use]
    pub const fn first(&self) -> Sequence {
        self.first
    }

    /// One of them, a microsecond behind the one before.
    #[inline]
    #[must_use]
    pub fn get(&self, at: usize) -> Sequenced<Command> {
        let sequence = self.first.0 + at as u64;
        let nanos = Nanos(1_700_000_000_000_000_000 + sequence * 1_000);
        Sequenced { sequence: Sequence(sequence), nanos, command: unpack(&self.commands[at]) }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Sequenced<Command>> {
        (0..self.len()).map(|at| self.get(at))
    }
}

fn pack(command: &Command) -> Packed {
    let packed = |kind, order, owner| Packed { order, owner, price: 0, lots: 0, kind };
    let of_book = |book: InstrumentId| OrderId::new(book, 0);
    match command {
        Command::Enter(c) => Packed {
            price: i32::try_from(c.price.ticks()).expect("the flow keeps near its middle"),
            lots: c.quantity.lots() as u32,
            ..packed(Kind::Enter(c.side, c.time_in_force), c.order, c.owner)
        },
        Command::Cancel(c) => packed(Kind::Cancel, c.order, c.owner),
        Command::Reduce(c) => {
            Packed { lots: c.total.lots() as u32, ..packed(Kind::Reduce, c.order, c.owner) }
        }
        Command::MassCancel(MassCancel { instrument: Some(book), owner, .. }) => {
            packed(Kind::Look, of_book(*book), *owner)
        }
        Command::Advance(book) => packed(Kind::Advance, of_book(*book), Owner::default()),
        command => unreachable!("the flow has no {command:?}"),
    }
}

#[inline]
fn unpack(packed: &Packed) -> Command {
    let Packed { order, owner, price, lots, kind } = *packed;
    match kind {
        Kind::Enter(side, time_in_force) => Command::Enter(EnterOrder {
            order,
            owner,
            account: AccountId(owner.session.0),
            side,
            order_type: OrderType::Limit,
            time_in_force,
            price: Price::new(i64::from(price)).expect("it was one"),
            quantity: Quantity(u64::from(lots)),
            client_order_id: ClientOrderId::BLANK,
            echo: Echo { side: b'B', display: b'Y', capacity: b'P', intermarket_sweep: b'N', cross: b'N' },
        }),
        Kind::Cancel => Command::Cancel(CancelOrder { order, owner, reason: CancelReason::Requested }),
        Kind::Reduce => {
            let total = Quantity(u64::from(lots));
            Command::Reduce(ReduceOrder { order, owner, total, kind: ReduceKind::Cancel })
        }
        Kind::Look => look_at_all(order.instrument()),
        Kind::Advance => Command::Advance(order.instrument()),
    }
}

/// A look at every order of a book: a mass cancel for a session that has none.
#[must_use]
pub fn look_at_all(book: InstrumentId) -> Command {
    Command::MassCancel(MassCancel {
        owner: Owner { session: NOBODY, client_ref: ClientRef(1) },
        instrument: Some(book),
        session: Some(NOBODY),
        account: None,
        side: None,
    })
}

const _: () = assert!(size_of::<Packed>() == 32);
