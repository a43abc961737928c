//! A slow and obvious matcher: price and time, and nothing else. It says what a workload leads to.

use std::collections::{BTreeMap, VecDeque};

use domain::Side;

use super::{Fills, Op, Record};

/// An order that has been entered.
#[derive(Clone, Copy, Debug)]
struct Order {
    symbol: u32,
    price: i32,
    /// 0: it does not rest.
    open: u32,
    executed: u32,
    side: Side,
    /// Its place among its book's living orders.
    place: u32,
}

/// A queue. Orders that are gone stay in it until they come first.
#[derive(Clone, Debug, Default)]
struct Queue {
    orders: VecDeque<u32>,
    /// How many are not gone; above 0.
    living: u32,
}

#[derive(Clone, Debug, Default)]
struct Book {
    /// By `Side as usize`, then by how good the price is: the lowest key is the best.
    sides: [BTreeMap<i64, Queue>; 2],
    /// In no order.
    living: Vec<u32>,
}

/// Books by symbol, orders by id.
#[derive(Clone, Debug)]
pub struct Matcher {
    books: Vec<Book>,
    /// By id; 0 is none.
    orders: Vec<Order>,
    fills: Fills,
}

fn key(side: Side, price: i32) -> i64 {
    match side {
        Side::Buy => -i64::from(price),
        Side::Sell => i64::from(price),
    }
}

impl Matcher {
    /// Empty books.
    #[must_use]
    pub fn new(books: u32) -> Self {
        let nobody = Order { symbol: 0, price: 0, open: 0, executed: 0, side: Side::Buy, place: 0 };
        Self { books: vec![Book::default(); books as usize], orders: vec![nobody], fills: Fills::default() }
    }

    /// What has been filled.
    #[must_use]
    pub const fn fills(&self) -> Fills {
        self.fills
    }

    /// The highest id so far.
    #[must_use]
    pub fn orders(&self) -> u64 {
        self.orders.len() as u64 - 1
    }

    /// How many orders rest, in all books.
    #[must_use]
    pub fn resting(&self) -> u64 {
        self.books.iter().map(|book| book.living.len() as u64).sum()
    }

    /// The orders that rest in a book, in no order.
    #[must_use]
    pub fn living(&self, symbol: u32) -> &[u32] {
        &self.books[symbol as usize].living
    }

    /// The best price of a side.
    #[must_use]
    pub fn best(&self, symbol: u32, side: Side) -> Option<i32> {
        let (key, _) = self.books[symbol as usize].sides[side as usize].first_key_value()?;
        i32::try_from(if side == Side::Buy { -key } else { *key }).ok()
    }

    /// What is open of an order; 0 when it does not rest.
    #[must_use]
    pub fn open(&self, order: u64) -> u32 {
        self.orders[order as usize].open
    }

    /// Side and price of an order.
    #[must_use]
    pub fn at(&self, order: u64) -> (Side, i32) {
        let order = &self.orders[order as usize];
        (order.side, order.price)
    }

    /// Does what a record asks. Of a reduction, the order's new whole size, with what was executed.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn play(&mut self, record: &Record) -> Result<Option<u32>, &'static str> {
        let Record { order, symbol, price, quantity, op, side } = *record;
        if symbol as usize >= self.books.len() {
            return Err("no such book");
        }
        match op {
            Op::Add | Op::Immediate => {
                if order != self.orders.len() as u64 || u32::try_from(order).is_err() {
                    return Err("ids are not dense");
                }
                if quantity == 0 {
                    return Err("an order of nothing");
                }
                let crosses = self
                    .best(symbol, side.opposite())
                    .is_some_and(|best| key(side, price) <= key(side, best));
                if op == Op::Add && crosses {
                    return Err("an added order must not trade");
                }
                self.orders.push(Order { symbol, price, open: 0, executed: 0, side, place: 0 });
                if op == Op::Add {
                    self.rest(order as u32, quantity);
                } else {
                    self.trade(order as u32, quantity);
                }
                Ok(None)
            }
            Op::Cancel | Op::Reduce => {
                let resting = self.orders.get_mut(order as usize).ok_or("no such order")?;
                if resting.open == 0 || (resting.symbol, resting.price, resting.side) != (symbol, price, side)
                {
                    return Err("it does not rest there");
                }
                if op == Op::Cancel {
                    self.remove(order as u32);
                    return Ok(None);
                }
                if quantity == 0 || quantity >= resting.open {
                    return Err("no reduction");
                }
                resting.open = quantity;
                Ok(Some(resting.executed + quantity))
            }
        }
    }

    fn rest(&mut self, id: u32, quantity: u32) {
        let order = &mut self.orders[id as usize];
        let book = &mut self.books[order.symbol as usize];
        order.open = quantity;
        order.place = book.living.len() as u32;
        book.living.push(id);
        let queue = book.sides[order.side as usize].entry(key(order.side, order.price)).or_default();
        queue.orders.push_back(id);
        queue.living += 1;
    }

    /// Takes an order that rests out of its book.
    fn remove(&mut self, id: u32) {
        let Order { symbol, side, price, place, .. } = self.orders[id as usize];
        self.orders[id as usize].open = 0;
        let book = &mut self.books[symbol as usize];
        book.living.swap_remove(place as usize);
        if let Some(moved) = book.living.get(place as usize) {
            self.orders[*moved as usize].place = place;
        }
        let levels = &mut book.sides[side as usize];
        let queue = levels.get_mut(&key(side, price)).expect("an order that rests has a queue");
        queue.living -= 1;
        if queue.living == 0 {
            levels.remove(&key(side, price));
        }
    }

    /// Trades what can be traded; the rest is gone.
    fn trade(&mut self, taker: u32, mut quantity: u32) {
        let Order { symbol, side, price: limit, .. } = self.orders[taker as usize];
        let maker_side = side.opposite();
        while quantity > 0 {
            let levels = &mut self.books[symbol as usize].sides[maker_side as usize];
            let Some((&best, queue)) = levels.iter_mut().next() else { return };
            if best > key(maker_side, limit) {
                return;
            }
            let Some(&maker) = queue.orders.front() else { unreachable!("a level has orders") };
            let order = &mut self.orders[maker as usize];
            if order.open == 0 {
                queue.orders.pop_front();
                continue;
            }
            let filled = quantity.min(order.open);
            quantity -= filled;
            order.executed += filled;
            self.fills.add(u64::from(maker), u64::from(taker), order.price, filled);
            if filled == order.open {
                self.remove(maker);
            } else {
                order.open -= filled;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(op: Op, order: u64, side: Side, price: i32, quantity: u32) -> Record {
        Record { order, symbol: 0, price, quantity, op, side }
    }

    #[test]
    fn price_goes_before_time_and_time_before_nothing() {
        let mut matcher = Matcher::new(1);
        let mut expected = Fills::default();
        for (id, price) in [(1, 11), (2, 10), (3, 10), (4, 10), (5, 12)] {
            matcher.play(&record(Op::Add, id, Side::Sell, price, 5)).unwrap();
        }
        matcher.play(&record(Op::Cancel, 3, Side::Sell, 10, 0)).unwrap();
        assert_eq!(matcher.play(&record(Op::Reduce, 4, Side::Sell, 10, 2)), Ok(Some(2)));
        matcher.play(&record(Op::Immediate, 6, Side::Buy, 11, 100)).unwrap();
        for (maker, price, quantity) in [(2, 10, 5), (4, 10, 2), (1, 11, 5)] {
            expected.add(maker, 6, price, quantity);
        }
        assert_eq!(matcher.fills(), expected);
        assert_eq!((matcher.best(0, Side::Sell), matcher.resting()), (Some(12), 1));
        matcher.play(&record(Op::Immediate, 7, Side::Buy, 12, 2)).unwrap();
        assert_eq!(matcher.play(&record(Op::Reduce, 5, Side::Sell, 12, 1)), Ok(Some(3)), "two were executed");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut matcher = Matcher::new(1);
        matcher.play(&record(Op::Add, 1, Side::Sell, 10, 5)).unwrap();
        for bad in [
            record(Op::Add, 3, Side::Sell, 10, 5),
            record(Op::Add, 2, Side::Buy, 10, 5),
            record(Op::Add, 2, Side::Sell, 10, 0),
            record(Op::Reduce, 1, Side::Sell, 10, 5),
            record(Op::Cancel, 1, Side::Sell, 11, 0),
            record(Op::Cancel, 2, Side::Sell, 10, 0),
            Record { symbol: 1, ..record(Op::Add, 2, Side::Sell, 10, 5) },
        ] {
            assert!(matcher.play(&bad).is_err(), "{bad:?}");
        }
        assert_eq!(matcher.resting(), 1);
    }
}
