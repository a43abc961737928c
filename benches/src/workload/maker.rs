//! What the generators share: dice, and a pen that writes only what the slow book can do.

use domain::Side;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{Op, Record, Workload, matcher::Matcher};

/// Random whole numbers from a generator whose sequence is specified. No float is used, so a seed means the same flow
/// on every machine.
#[derive(Clone, Debug)]
pub(super) struct Dice(Xoshiro256PlusPlus);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// From 0, below `n`.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        (((self.0.next_u64() >> 32) * u64::from(n)) >> 32) as u32
    }

    /// From 0, below `n`, which may be large.
    pub(super) fn below_wide(&mut self, n: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64
    }

    pub(super) fn side(&mut self) -> Side {
        if self.0.next_u64() >> 63 == 0 { Side::Buy } else { Side::Sell }
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}

/// Writes records and plays each at once.
pub(super) struct Pen {
    pub(super) matcher: Matcher,
    records: Vec<Record>,
    /// How many of them fill the books.
    fill: usize,
}

impl Pen {
    pub(super) fn new(books: u32, commands: usize) -> Self {
        Self { matcher: Matcher::new(books), records: Vec::with_capacity(commands), fill: 0 }
    }

    /// What was written so far fills the books; what follows is measured.
    pub(super) fn filled(&mut self) {
        self.fill = self.records.len();
    }

    fn write(&mut self, record: Record) {
        self.matcher.play(&record).expect("the generator asks for what can be");
        self.records.push(record);
    }

    /// An order at a price that is moved away from the other side if it would trade. Gives its id.
    pub(super) fn add(&mut self, symbol: u32, side: Side, price: i32, quantity: u32) -> u64 {
        let price = match (side, self.matcher.best(symbol, side.opposite())) {
            (Side::Buy, Some(ask)) => price.min(ask - 1),
            (Side::Sell, Some(bid)) => price.max(bid + 1),
            (_, None) => price,
        };
        let order = self.matcher.orders() + 1;
        self.write(Record { order, symbol, price, quantity, op: Op::Add, side });
        order
    }

    pub(super) fn cancel(&mut self, symbol: u32, order: u64) {
        let (side, price) = self.matcher.at(order);
        self.write(Record { order, symbol, price, quantity: 0, op: Op::Cancel, side });
    }

    /// Leaves `open`, which is less than is open now.
    pub(super) fn reduce(&mut self, symbol: u32, order: u64, open: u32) {
        let (side, price) = self.matcher.at(order);
        self.write(Record { order, symbol, price, quantity: open, op: Op::Reduce, side });
    }

    /// An order that reaches `through` ticks into the other side, which must not be empty.
    pub(super) fn immediate(&mut self, symbol: u32, side: Side, through: i32, quantity: u32) {
        let best = self.matcher.best(symbol, side.opposite()).expect("there is another side");
        let price = if side == Side::Buy { best + through } else { best - through };
        let order = self.matcher.orders() + 1;
        self.write(Record { order, symbol, price, quantity, op: Op::Immediate, side });
    }

    pub(super) fn done(mut self, seed: u64, books: u32) -> Workload {
        let commands = self.records.split_off(self.fill);
        Workload {
            seed,
            books,
            fill: self.records,
            commands,
            orders: self.matcher.orders(),
            fills: self.matcher.fills(),
        }
    }
}

/// Chooses by weights.
pub(super) struct Weighted {
    /// Sums of the weights up to each, itself included.
    sums: Vec<u64>,
}

impl Weighted {
    /// At least one weight, all above 0.
    pub(super) fn new(weights: impl Iterator<Item = u64>) -> Self {
        let sums = weights
            .scan(0_u64, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        Self { sums }
    }

    pub(super) fn choose(&self, dice: &mut Dice) -> usize {
        let at = dice.below_wide(*self.sums.last().expect("at least one weight"));
        self.sums.partition_point(|sum| *sum <= at)
    }
}
