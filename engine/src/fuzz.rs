//! What a fuzzer runs: any bytes are a stream of commands, of every kind, to a book and to the reference; both must say
//! the same and hold the same. Behind the cargo feature `reference`, for tests only.
//!
//! The first bytes say where prices and sizes lie; then each command takes a byte for its kind and one or a few for
//! each choice, so that a small change of the bytes is a small change of the commands. Orders are named by how long
//! ago they came, mostly by their owner.

use core::num::NonZeroU32;

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Display, Echo, EnterOrder,
    EnterSpecial, Events, Execution, Instructions, InstrumentId, MassCancel, Nanos, OrderId, OrderType,
    Owner, PostOnly, Price, Quantity, ReduceKind, ReduceOrder, ReplaceOrder, ReplacePriority, ReplaceSpecial,
    SelfTrade, SelfTradePolicy, Sequence, Sequenced, SessionId, Side, TimeInForce, Trigger,
};

use crate::book::{Book, BookImage};
use crate::hash::book_hash;
use crate::reference::ReferenceBook;

/// The book's instrument.
const INSTRUMENT: InstrumentId = InstrumentId(3);
/// Commands of one input. A byte can ask for many.
const COMMANDS_MAX: u64 = 2_000;

/// Takes `data` for commands.
///
/// # Panics
/// When the book and the reference differ, or the book's invariants do not hold.
pub fn commands(data: &[u8]) {
    let mut stream = Stream::new(data);
    let (mut book, mut reference) = (Book::new(INSTRUMENT), ReferenceBook::new(INSTRUMENT));
    let (mut said, mut expected) = (Events::new(), Events::new());
    while let Some(commands) = stream.next() {
        for command in &commands {
            said.clear();
            expected.clear();
            book.apply(command, &mut said);
            reference.apply(command, &mut expected);
            assert_eq!(said.as_slice(), expected.as_slice(), "to {command:?}");
        }
        book.check_invariants();
        let (is, should_be) = (BookImage::of(&book), BookImage::of(&reference));
        assert_eq!(is, should_be, "after {commands:?}");
        assert_eq!(book_hash(&book), book_hash(&reference));
        if stream.sequence.is_multiple_of(16) {
            book = Book::restore(&is).expect("a book shows what a book can be");
            assert_eq!(BookImage::of(&book), is, "after {commands:?}");
        }
        if stream.sequence >= COMMANDS_MAX {
            return;
        }
    }
}

/// The commands that `data` is, for whoever tests what listens to a book: of one instrument, all above 0 in price when
/// `data` begins with 0. Each item is what comes before the next look at the book.
pub fn command_stream(data: &[u8]) -> (InstrumentId, impl Iterator<Item = Vec<Sequenced<Command>>>) {
    let mut stream = Stream::new(data);
    (INSTRUMENT, core::iter::from_fn(move || stream.next()))
}

/// Books with the indexes from 0 on, for whoever tests what stands before them: executes a command in one of them.
pub fn books(count: usize) -> impl FnMut(usize, &Sequenced<Command>, &mut Events) {
    let mut books: Vec<_> = (0..count).map(|book| Book::new(InstrumentId(book as u32))).collect();
    move |book, command, events| books[book].apply(command, events)
}

/// Bytes as commands.
struct Stream<'a> {
    bytes: &'a [u8],
    sequence: u64,
    nanos: u64,
    /// Around which prices lie.
    middle: i64,
    /// What sizes are counted in. Peaks are, too, so that no order has more parts than a byte can count.
    unit: u64,
    /// Every order number given so far, with the owner that it was given to.
    owners: Vec<Owner>,
}

impl<'a> Stream<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut stream = Self { bytes, sequence: 0, nanos: 1_000, middle: 0, unit: 1, owners: Vec::new() };
        let middles = [100, 0, 1, -3, Price::MAX.ticks() - 2, Price::MIN.ticks() + 2];
        let first = stream.byte().unwrap_or_default();
        stream.middle = middles[usize::from(first) % middles.len()];
        stream.unit = if first >= 192 { 1 << 56 } else { 1 };
        stream
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    /// The next commands: one, or many alike.
    fn next(&mut self) -> Option<Vec<Sequenced<Command>>> {
        let kind = self.byte()?;
        // Time hardly passes, or a little, or a lot.
        self.nanos += [0, 1, 1, 7, 7, 7, 50, 400][usize::from(kind >> 5)];
        let command = match kind % 16 {
            0..3 => Command::Enter(self.enter()?),
            3..7 => {
                let enter = self.enter()?;
                let instructions = self.instructions(enter.side)?;
                let mut special = EnterSpecial { enter, instructions };
                let mut commands = vec![self.sequenced(Command::EnterSpecial(special))];
                if kind >= 224 {
                    // Long queues, and stops enough for more turns than a command gives.
                    for _ in 0..64 {
                        (special.enter.order, special.enter.owner) = self.new_order(enter.owner.session);
                        commands.push(self.sequenced(Command::EnterSpecial(special)));
                    }
                }
                return Some(commands);
            }
            7 => {
                let (order, owner) = self.order()?;
                Command::Cancel(CancelOrder { order, owner, reason: CancelReason::Requested })
            }
            8 => {
                let (order, owner) = self.order()?;
                let total = self.quantity()?;
                Command::Reduce(ReduceOrder { order, owner, total, kind: ReduceKind::Cancel })
            }
            9..11 => Command::Replace(self.replace()?),
            11..13 => {
                let replace = self.replace()?;
                // Triggers lie on either side anyway.
                let instructions = self.instructions(Side::Buy)?;
                Command::ReplaceSpecial(ReplaceSpecial { replace, instructions })
            }
            13 => self.mass_cancel()?,
            14 => Command::Advance(INSTRUMENT),
            _ => Command::EndOfDay,
        };
        Some(vec![self.sequenced(command)])
    }

    fn sequenced(&mut self, command: Command) -> Sequenced<Command> {
        self.sequence += 1;
        Sequenced { sequence: Sequence(self.sequence), nanos: Nanos(self.nanos), command }
    }

    fn new_order(&mut self, session: SessionId) -> (OrderId, Owner) {
        let number = self.owners.len() as u32 + 1;
        let owner = Owner { session, client_ref: ClientRef(number) };
        self.owners.push(owner);
        (OrderId::new(INSTRUMENT, u64::from(number)), owner)
    }

    /// An order and how whoever asks calls it: its owner and rightly, but for a few bytes.
    fn order(&mut self) -> Option<(OrderId, Owner)> {
        let byte = self.byte()?;
        let number = (self.owners.len() as u64 + 1).saturating_sub(u64::from(byte % 64) + 1);
        let mut owner = match number {
            0 => Owner::default(),
            _ => self.owners[number as usize - 1],
        };
        match byte >> 6 {
            2 if byte.is_multiple_of(8) => owner.session.0 ^= 1,
            3 if byte.is_multiple_of(8) => owner.client_ref.0 ^= 1,
            _ => {}
        }
        Some((OrderId::new(INSTRUMENT, number), owner))
    }

    fn enter(&mut self) -> Option<EnterOrder> {
        let (how, price, quantity) = (self.byte()?, self.price()?, self.quantity()?);
        let (order_type, time_in_force) = self.kind()?;
        let session = SessionId(u32::from(how >> 1) % 3);
        let (order, owner) = self.new_order(session);
        Some(EnterOrder {
            order,
            owner,
            account: AccountId(u32::from(how >> 3) % 3),
            side: if how % 2 == 0 { Side::Buy } else { Side::Sell },
            order_type,
            time_in_force,
            price,
            quantity,
            client_order_id: ClientOrderId::BLANK,
            echo: Echo::default(),
        })
    }

    fn replace(&mut self) -> Option<ReplaceOrder> {
        let ((order, original), price, total) = (self.order()?, self.price()?, self.quantity()?);
        let (order_type, time_in_force) = self.kind()?;
        let (new_order, owner) = self.new_order(original.session);
        let keep = self.byte()? % 4 != 0;
        Some(ReplaceOrder {
            order,
            original: original.client_ref,
            new_order,
            owner,
            order_type,
            time_in_force,
            price,
            total,
            priority: if keep { ReplacePriority::KeepWherePossible } else { ReplacePriority::Lose },
            client_order_id: ClientOrderId::BLANK,
            echo: Echo::default(),
        })
    }

    fn kind(&mut self) -> Option<(OrderType, TimeInForce)> {
        let byte = self.byte()?;
        let order_type = OrderType::from_u8(byte % 16).unwrap_or(OrderType::Limit);
        let time_in_force = TimeInForce::from_u8((byte >> 4) % 8).unwrap_or(TimeInForce::Day);
        Some((order_type, time_in_force))
    }

    fn price(&mut self) -> Option<Price> {
        let away = i64::from(self.byte()? % 8) - 4;
        Some(Price::new(self.middle.saturating_add(away)).unwrap_or_default())
    }

    fn quantity(&mut self) -> Option<Quantity> {
        Some(Quantity(u64::from(self.byte()? % 32) * self.unit))
    }

    fn mass_cancel(&mut self) -> Option<Command> {
        let byte = self.byte()?;
        let owner = Owner { session: SessionId(0), client_ref: ClientRef(u32::from(byte)) };
        Some(Command::MassCancel(MassCancel {
            owner,
            instrument: byte.is_multiple_of(2).then_some(INSTRUMENT),
            session: (byte & 2 != 0).then_some(SessionId(u32::from(byte >> 2) % 4)),
            account: (byte & 16 != 0).then_some(AccountId(u32::from(byte >> 5) % 4)),
            side: if byte & 128 == 0 { None } else { Side::from_u8(byte >> 5 & 1) },
        }))
    }

    fn instructions(&mut self, side: Side) -> Option<Instructions> {
        let which = self.byte()?;
        let mut asked = Instructions::NONE;
        match which % 4 {
            1 => {
                let away = self.byte()?;
                asked.trigger = match away >> 4 {
                    15 => Trigger::Trailing { ticks: u64::MAX >> (away % 4) },
                    8..15 => Trigger::Trailing { ticks: u64::from(away % 8) },
                    _ => {
                        let away = i64::from(away % 16) - 4;
                        let away = if side == Side::Buy { away } else { -away };
                        Trigger::Stop(Price::new(self.middle.saturating_add(away)).unwrap_or_default())
                    }
                };
            }
            2 => {
                let byte = self.byte()?;
                let spread = if byte >= 128 { u32::from(byte >> 4) % 8 } else { 0 };
                let peak = Quantity(u64::from(byte % 16) * self.unit);
                asked.display = Display::Iceberg { peak, spread, seed: u32::from(byte) };
            }
            3 if which & 4 != 0 => asked.display = Display::Hidden,
            _ => {}
        }
        match which >> 3 & 7 {
            1 => asked.execution = Execution::Minimum(self.quantity()?),
            2 | 3 => asked.execution = Execution::AllOrNone,
            4 => asked.execution = Execution::PostOnly(PostOnly::Reject),
            5 => asked.execution = Execution::PostOnly(PostOnly::Slide),
            _ => {}
        }
        if which & 64 != 0 {
            let byte = self.byte()?;
            let group = NonZeroU32::new(1 + u32::from(byte >> 2) % 2).expect("from 1");
            let policy = SelfTradePolicy::from_u8(byte % 4).expect("there are four");
            asked.self_trade = Some(SelfTrade { group, policy });
        }
        if which & 128 != 0 {
            asked.expires = Nanos(self.nanos + u64::from(self.byte()?) * 4);
        }
        Some(asked)
    }
}
