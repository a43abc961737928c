//! Random commands: every kind, sensible and not, in several styles of market. The same seed gives the same
//! commands for ever: the generator's algorithm is specified (xoshiro256**).

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Echo, EnterOrder, Event,
    EventKind, Instructions, Nanos, OrderId, OrderType, Owner, Price, Quantity, ReduceKind, ReduceOrder,
    ReplaceOrder, ReplacePriority, Sequence, Sequenced, SessionId, Side, TimeInForce,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;

use crate::support::INSTRUMENT;

mod special;
mod styles;

pub(crate) use styles::{Prices, Quantities, SPECIAL_STYLES, STYLES, Style};

/// Makes commands, and learns from the events which orders rest.
pub(crate) struct Flow {
    rng: Xoshiro256StarStar,
    style: Style,
    commands: u64,
    sequence: u64,
    nanos: u64,
    orders: u64,
    client_refs: u32,
    middle: i64,
    /// In a hundred orders, how many buy; changes now and then, so that queues build up on either side.
    buyers: u32,
    /// The last trade's price.
    last: Option<Price>,
    /// The last order that was asked for, and its instructions.
    asked: Option<(OrderId, Instructions)>,
    /// Orders that rest or wait.
    resting: Vec<Known>,
    /// Some that no longer do, overwritten at random.
    gone: Vec<Known>,
}

/// What the flow knows of an order.
#[derive(Clone, Copy, Debug)]
struct Known {
    order: OrderId,
    owner: Owner,
    side: Side,
    price: Price,
    /// What was open when it came to rest.
    quantity: Quantity,
    /// What it asked for.
    instructions: Instructions,
}

/// How many past orders are remembered.
const GONE_MAX: usize = 64;

impl Flow {
    pub(crate) fn new(seed: u64, style: Style) -> Self {
        Self {
            rng: Xoshiro256StarStar::seed_from_u64(seed),
            style,
            commands: 0,
            sequence: 0,
            nanos: 1_700_000_000_000_000_000,
            orders: 0,
            client_refs: 0,
            middle: 0,
            buyers: 50,
            last: None,
            asked: None,
            resting: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// The next command.
    pub(crate) fn next(&mut self) -> Sequenced<Command> {
        self.sequence += 1 + self.rng.random_range(0..3);
        self.nanos += self.rng.random_range(0..2_000);
        self.commands += 1;
        if !self.gathers() && self.chance(10_000, self.style.specials.leaps) {
            self.nanos += 50_000;
        }
        self.middle += self.rng.random_range(-1..=1);
        if self.chance(400, 1) {
            self.buyers = [5, 20, 50, 50, 80, 95][self.rng.random_range(0..6)];
        }
        let command = self.command();
        Sequenced { sequence: Sequence(self.sequence), nanos: Nanos(self.nanos), command }
    }

    /// Whether it still lets stops gather.
    fn gathers(&self) -> bool {
        self.commands <= self.style.specials.gathers
    }

    fn command(&mut self) -> Command {
        if self.gathers() {
            if !self.chance(10, 1) {
                return self.enter();
            }
        } else if let Some(command) = self.rare() {
            return command;
        }
        if self.resting.len() > self.style.resting_max {
            return if self.chance(2, 1) { self.cancel() } else { self.replace() };
        }
        match self.rng.random_range(0..100) {
            0..55 => self.enter(),
            55..67 => self.cancel(),
            67..78 => self.reduce(),
            _ => self.replace(),
        }
    }

    /// A command that names no order, now and then.
    fn rare(&mut self) -> Option<Command> {
        if self.chance(10_000, self.style.ends) {
            Some(Command::EndOfDay)
        } else if self.chance(10_000, self.style.specials.advances) {
            Some(Command::Advance(INSTRUMENT))
        } else if self.chance(10_000, self.style.specials.mass_cancels) {
            Some(self.mass_cancel())
        } else {
            None
        }
    }

    /// Learns what became of a command.
    pub(crate) fn learn(&mut self, events: &[Event]) {
        for event in events {
            match event.kind {
                EventKind::Accepted { order, owner, side, price, quantity, .. } => {
                    let instructions = self.asked_for(order, Instructions::NONE);
                    self.resting.push(Known { order, owner, side, price, quantity, instructions });
                }
                EventKind::Replaced { old, order, owner, side, price, leaves, .. } => {
                    let kept = self.forget(old).instructions;
                    let instructions = self.asked_for(order, kept);
                    self.resting.push(Known { order, owner, side, price, quantity: leaves, instructions });
                }
                EventKind::Traded { price, maker, maker_leaves, taker, taker_leaves, .. } => {
                    self.last = Some(price);
                    for (order, leaves) in [(maker, maker_leaves), (taker, taker_leaves)] {
                        if leaves.is_zero() {
                            let _ = self.forget(order);
                        }
                    }
                }
                EventKind::Canceled { order, .. } => {
                    let _ = self.forget(order);
                }
                _ => {}
            }
        }
    }

    /// The instructions of an order: those that were asked for with it, or `others`.
    fn asked_for(&self, order: OrderId, others: Instructions) -> Instructions {
        self.asked.filter(|asked| asked.0 == order).map_or(others, |asked| asked.1)
    }

    fn forget(&mut self, order: OrderId) -> Known {
        // Takers are at the end, and so are most of those that go young.
        let at = self
            .resting
            .iter()
            .rposition(|known| known.order == order)
            .expect("events name orders that live");
        let known = self.resting.swap_remove(at);
        if self.gone.len() < GONE_MAX {
            self.gone.push(known);
        } else {
            let at = self.rng.random_range(0..GONE_MAX);
            self.gone[at] = known;
        }
        known
    }

    fn enter(&mut self) -> Command {
        let side = self.side();
        let (order_type, time_in_force) = self.kind();
        let enter = EnterOrder {
            order: self.next_order(),
            owner: self.next_owner(None),
            account: AccountId(self.rng.next_u32() % 5),
            side,
            order_type,
            time_in_force,
            price: self.price(side),
            quantity: Quantity(self.quantity()),
            client_order_id: ClientOrderId::BLANK,
            echo: Echo::default(),
        };
        let share = if self.gathers() { 1_000 } else { self.style.specials.orders };
        if self.chance(1_000, share) { self.enter_special(enter) } else { Command::Enter(enter) }
    }

    fn cancel(&mut self) -> Command {
        let Known { order, owner, .. } = self.target();
        let reason = CancelReason::ALL[self.rng.random_range(0..CancelReason::ALL.len())];
        Command::Cancel(CancelOrder { order, owner, reason })
    }

    fn reduce(&mut self) -> Command {
        let Known { order, owner, quantity, .. } = self.target();
        let side_code = self.rng.next_u32() as u8;
        let kind = if self.chance(2, 1) { ReduceKind::Cancel } else { ReduceKind::Modify { side_code } };
        Command::Reduce(ReduceOrder { order, owner, total: self.total(quantity), kind })
    }

    fn replace(&mut self) -> Command {
        let known = self.target();
        let Known { order, owner: original, side, price, quantity, instructions } = known;
        let (order_type, time_in_force) = self.kind();
        let replace = ReplaceOrder {
            order,
            original: original.client_ref,
            new_order: self.next_order(),
            owner: self.next_owner(Some(original.session)),
            order_type,
            time_in_force,
            price: if self.chance(2, 1) { price } else { self.price(side) },
            total: self.total(quantity),
            priority: if self.chance(4, 1) {
                ReplacePriority::Lose
            } else {
                ReplacePriority::KeepWherePossible
            },
            client_order_id: ClientOrderId::BLANK,
            echo: Echo::default(),
        };
        if self.chance(1_000, self.style.specials.orders) {
            self.replace_special(replace, side, instructions)
        } else {
            Command::Replace(replace)
        }
    }

    /// An order to do something to, as whoever does it names it: mostly one that rests, by its owner.
    fn target(&mut self) -> Known {
        let nobody = |number| Known {
            order: OrderId::new(INSTRUMENT, number),
            owner: Owner::default(),
            side: Side::Buy,
            price: Price::default(),
            quantity: Quantity(1),
            instructions: Instructions::NONE,
        };
        let mut known = match self.rng.random_range(0..100) {
            0..2 => nobody(0),
            2..4 => nobody(self.orders + self.rng.random_range(1..3_000_000_000)),
            4..8 if !self.gone.is_empty() => self.gone[self.rng.random_range(0..self.gone.len())],
            // The young more often than the old.
            8..40 if !self.resting.is_empty() => {
                let young = self.resting.len().div_ceil(3);
                self.resting[self.resting.len() - 1 - self.rng.random_range(0..young)]
            }
            _ if !self.resting.is_empty() => self.resting[self.rng.random_range(0..self.resting.len())],
            _ => nobody(self.orders),
        };
        match self.rng.random_range(0..100) {
            0..3 => known.owner.session.0 ^= 1,
            3..6 => known.owner.client_ref.0 += 1,
            _ => {}
        }
        known
    }

    /// A size to change an order to: about as large as it was, smaller, or any.
    fn total(&mut self, quantity: Quantity) -> Quantity {
        Quantity(match self.rng.random_range(0..4) {
            0 => quantity.lots().saturating_add(self.rng.random_range(0..3)),
            1 => quantity.lots().saturating_sub(self.rng.random_range(0..3)),
            2 => self.rng.random_range(0..=quantity.lots()),
            _ => self.quantity(),
        })
    }

    fn next_order(&mut self) -> OrderId {
        self.orders += 1;
        OrderId::new(INSTRUMENT, self.orders)
    }

    fn next_owner(&mut self, session: Option<SessionId>) -> Owner {
        self.client_refs += 1;
        let session = session.unwrap_or_else(|| SessionId(self.rng.next_u32() % 4));
        Owner { session, client_ref: ClientRef(self.client_refs) }
    }

    fn kind(&mut self) -> (OrderType, TimeInForce) {
        if !self.chance(1_000, self.style.takers) {
            let day = self.chance(10, 7);
            return (OrderType::Limit, if day { TimeInForce::Day } else { TimeInForce::GoodTillCancel });
        }
        let order_type = if self.chance(4, 1) { OrderType::Market } else { OrderType::Limit };
        let time_in_force = TimeInForce::from_u8(self.rng.random_range(0..4)).expect("there are four");
        (order_type, time_in_force)
    }

    fn side(&mut self) -> Side {
        if self.chance(100, self.buyers) { Side::Buy } else { Side::Sell }
    }

    fn price(&mut self, side: Side) -> Price {
        let ticks = match self.style.prices {
            Prices::Around { middle, ticks } => middle + self.rng.random_range(-ticks..=ticks),
            Prices::Walking { ticks } => {
                let away = self.rng.random_range(-3..=ticks);
                self.middle + if side == Side::Buy { -away } else { away }
            }
            Prices::Ends => {
                let (low, high) = (Price::MIN.ticks(), Price::MAX.ticks());
                let ends = [low, low + 1, low / 2, -1, 0, 1, high / 2, high - 1, high];
                ends[self.rng.random_range(0..ends.len())]
            }
        };
        Price::new(ticks).expect("styles leave the sentinels out")
    }

    fn quantity(&mut self) -> u64 {
        match self.style.quantities {
            Quantities::UpTo(most) => self.rng.random_range(0..=most),
            Quantities::Huge => {
                let of = [1, 1, 2, 3, 5, 9, 33, 1 << 62, u64::MAX][self.rng.random_range(0..9)];
                (u64::MAX / of).saturating_sub(self.rng.random_range(0..3))
            }
        }
    }

    /// True `times` in `of` times.
    fn chance(&mut self, of: u32, times: u32) -> bool {
        self.rng.random_range(0..of) < times
    }
}
