//! Order flow for books, in a form that any engine can play: records, with the number of trades and a hash over every
//! fill that they must lead to.
//!
//! ```text
//!  file (PWL1) ─┐
//!  interleaved ─┼─▶ Workload ──check: matcher──▶ Flow ──session──▶ commands
//!  equity ──────┘    records    trades, hash      records, reductions as clients ask for them
//! ```
//!
//! A workload is checked against [`matcher::Matcher`], a slow and obvious book, before it is used, whether it was
//! read or made. So what it expects is known to be right, and a reduction's total, which is what a client says, is
//! known without asking the book that is measured.

pub mod equity;
pub mod file;
pub mod interleaved;
mod maker;
pub mod matcher;
pub mod rare;
pub mod session;

use domain::Side;
use matcher::Matcher;

/// What a record asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// A limit order until canceled, that meets nothing.
    Add = 0,
    /// Cancels an order that rests.
    Cancel = 1,
    /// Makes an order that rests smaller, at its place.
    Reduce = 2,
    /// An immediate-or-cancel limit order.
    Immediate = 3,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Dense from 1, over all books. The order's own, or that of the order to be canceled or reduced.
    pub order: u64,
    /// The book.
    pub symbol: u32,
    /// Ticks.
    pub price: i32,
    /// Lots; of a reduction, what shall be open, in a [`Flow`] the total with what was executed; 0 of a cancel.
    pub quantity: u32,
    /// What it asks.
    pub op: Op,
    /// The order's side.
    pub side: Side,
}

/// What a workload leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fills {
    /// How many.
    pub trades: u64,
    /// Over maker, taker, price and quantity of each, in order.
    pub hash: u64,
}

impl Fills {
    /// One more.
    #[inline]
    pub fn add(&mut self, maker: u64, taker: u64, price: i32, quantity: u32) {
        self.trades += 1;
        self.hash = self.hash.wrapping_add(maker).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ (taker << 20)
            ^ (u64::from(price.cast_unsigned()) << 44)
            ^ u64::from(quantity);
    }
}

/// Requests for many books, and what must come of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What it was drawn from.
    pub seed: u64,
    /// How many books.
    pub books: u32,
    /// New orders that fill the books; nobody times them.
    pub fill: Vec<Record>,
    /// What is measured.
    pub commands: Vec<Record>,
    /// The highest order id.
    pub orders: u64,
    /// What it leads to.
    pub fills: Fills,
}

/// A workload that has been checked, as its clients would send it.
#[derive(Clone, Debug)]
pub struct Flow {
    /// With totals in the reductions.
    pub workload: Workload,
    /// Orders that rest behind the last command.
    pub resting: u64,
    /// How many commands of each kind, by `Op as usize`.
    pub mix: [u64; 4],
}

impl Workload {
    /// Plays it through the slow book.
    ///
    /// # Errors
    /// When a record asks for what cannot be, or the fills are not those that it says.
    pub fn checked(mut self) -> Result<Flow, String> {
        let mut matcher = Matcher::new(self.books);
        let mut mix = [0; 4];
        let fill = self.fill.len();
        for (at, record) in self.fill.iter_mut().chain(&mut self.commands).enumerate() {
            let total = matcher.play(record).map_err(|error| format!("record {at}, {record:?}: {error}"))?;
            if let Some(total) = total {
                record.quantity = total;
            }
            if at >= fill {
                mix[record.op as usize] += 1;
            }
        }
        if matcher.fills() != self.fills {
            return Err(format!("it says {:?}, and the slow book {:?}", self.fills, matcher.fills()));
        }
        if matcher.orders() != self.orders {
            return Err(format!("it says {} orders, and there are {}", self.orders, matcher.orders()));
        }
        let resting = matcher.resting();
        Ok(Flow { workload: self, resting, mix })
    }
}
