//! lobster: bids and asks in `BTreeMap`s, orders in an arena, ids in a hash map.
//!
//! It knows limit and market orders and cancels. An immediate order is a limit order whose rest is canceled at once. A
//! reduction is a cancel and a new order of the same id, which goes to the back of its queue, so later fills differ.

use benches::workload::{Fills, Op, Record};
use domain::Side;
use lobster::{OrderBook, OrderEvent, OrderType};

use crate::Peer;

pub(crate) struct Books(Vec<OrderBook>);

impl Peer for Books {
    const NAME: &'static str = "lobster";
    const DIFFERS: Option<&'static str> = Some("it has no reduction; a reduced order goes to the back");

    fn new(books: u32) -> Self {
        // Room for the orders of a hot book, shared out when there are many.
        let room = (1_000_000 / books as usize).max(1_000);
        Self((0..books).map(|_| OrderBook::new(room, 16, false)).collect())
    }

    fn play(&mut self, record: &Record, fills: &mut Fills) {
        let book = &mut self.0[record.symbol as usize];
        let id = u128::from(record.order);
        let limit = OrderType::Limit {
            id,
            side: if record.side == Side::Buy { lobster::Side::Bid } else { lobster::Side::Ask },
            qty: u64::from(record.quantity),
            price: u64::from(record.price.unsigned_abs()),
        };
        match record.op {
            Op::Add => hear(&book.execute(limit), fills),
            Op::Immediate => {
                let said = book.execute(limit);
                hear(&said, fills);
                if !matches!(said, OrderEvent::Filled { .. }) {
                    book.execute(OrderType::Cancel { id });
                }
            }
            Op::Cancel => hear(&book.execute(OrderType::Cancel { id }), fills),
            Op::Reduce => {
                book.execute(OrderType::Cancel { id });
                hear(&book.execute(limit), fills);
            }
        }
    }
}

fn hear(event: &OrderEvent, fills: &mut Fills) {
    if let OrderEvent::Filled { fills: list, .. } | OrderEvent::PartiallyFilled { fills: list, .. } = event {
        for fill in list {
            fills.add(fill.order_2 as u64, fill.order_1 as u64, fill.price as i32, fill.qty as u32);
        }
    }
}
