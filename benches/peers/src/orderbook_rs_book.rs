//! orderbook-rs: concurrent maps of price levels, here driven by one thread.

use benches::workload::{Fills, Op, Record};
use domain::Side;
use orderbook_rs::OrderBook;
use pricelevel::{Id, OrderUpdate, Quantity, TimeInForce};

use crate::Peer;

pub(crate) struct Books(Vec<OrderBook<()>>);

impl Peer for Books {
    const NAME: &'static str = "orderbook-rs";
    const DIFFERS: Option<&'static str> = None;

    fn new(books: u32) -> Self {
        Self((0..books).map(|book| OrderBook::new(&format!("B{book}"))).collect())
    }

    fn play(&mut self, record: &Record, fills: &mut Fills) {
        let book = &self.0[record.symbol as usize];
        let id = Id::Sequential(record.order);
        let (price, quantity) = (u128::from(record.price.unsigned_abs()), u64::from(record.quantity));
        let side = if record.side == Side::Buy { pricelevel::Side::Buy } else { pricelevel::Side::Sell };
        match record.op {
            Op::Add => {
                book.add_limit_order(id, price, quantity, side, TimeInForce::Gtc, None).expect("it is taken");
            }
            Op::Immediate => {
                let matched =
                    book.match_limit_order(id, quantity, side, price).expect("there is a price to meet");
                for trade in matched.trades().as_vec() {
                    let Id::Sequential(maker) = trade.maker_order_id() else {
                        unreachable!("all ids are numbers")
                    };
                    let (price, quantity) =
                        (trade.price().as_u128() as i32, trade.quantity().as_u64() as u32);
                    fills.add(maker, record.order, price, quantity);
                }
            }
            Op::Cancel => {
                book.cancel_order(id).expect("it is there");
            }
            Op::Reduce => {
                let update =
                    OrderUpdate::UpdateQuantity { order_id: id, new_quantity: Quantity::new(quantity) };
                book.update_order(update).expect("it is there");
            }
        }
    }
}
