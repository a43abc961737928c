//! Stops, icebergs and hidden orders far from where a workload trades: they are there, and nothing ever reaches them.

use domain::{
    AccountId, ClientOrderId, ClientRef, Command, Display, Echo, EnterOrder, EnterSpecial, Instructions,
    InstrumentId, OrderId, OrderType, Owner, Price, Quantity, Sequenced, SessionId, Side, TimeInForce,
    Trigger,
};

use super::{Workload, session::Session};

/// Of each kind in each hot book.
pub const EACH: u32 = 1_000;
/// The books that get them: those with the most commands.
pub const HOT: usize = 10;
/// A session that has no other orders.
const SESSION: SessionId = SessionId(1_000);
/// Beyond every price of a workload.
const HIGH: i64 = 1_000_000;
/// Below every price of a workload.
const LOW: i64 = 1;

/// The books with the most commands, hottest first.
#[must_use]
pub fn hot_books(workload: &Workload) -> Vec<InstrumentId> {
    let mut counts = vec![(0_u64, 0_u32); workload.books as usize];
    for (book, count) in (0..).zip(&mut counts) {
        count.1 = book;
    }
    for record in &workload.commands {
        counts[record.symbol as usize].0 += 1;
    }
    counts.sort_by_key(|(count, book)| (u64::MAX - count, *book));
    counts.iter().take(HOT).map(|(_, book)| InstrumentId(*book)).collect()
}

/// Commands that enter them into some books.
#[must_use]
pub fn commands(books: &[InstrumentId], session: &mut Session) -> Vec<Sequenced<Command>> {
    let mut commands = Vec::new();
    for book in books {
        for n in 0..EACH {
            for instructions in kinds(n) {
                let order = session.next_order(*book);
                let enter = special(order, n, instructions);
                commands.push(session.sequenced(enter));
            }
        }
    }
    commands
}

/// The instructions of the `n`th of each kind.
fn kinds(n: u32) -> [Instructions; 3] {
    let plain = Instructions::NONE;
    let (_, _, trigger) = place(n, true);
    [
        Instructions { trigger: Trigger::Stop(trigger), ..plain },
        Instructions { display: Display::Iceberg { peak: Quantity(10), spread: 2, seed: n }, ..plain },
        Instructions { display: Display::Hidden, ..plain },
    ]
}

/// Side, limit and trigger of the `n`th: buys below everything, sells above, triggers the other way round.
fn place(n: u32, stop: bool) -> (Side, Price, Price) {
    let away = i64::from(n) / 2;
    let (side, limit, trigger) = if n.is_multiple_of(2) {
        (Side::Buy, LOW + away, HIGH + away)
    } else {
        (Side::Sell, HIGH + away, LOW + away)
    };
    // A stop that is reached shall be able to trade.
    let limit = if stop { trigger } else { limit };
    let price = |ticks| Price::new(ticks).expect("far from the extremes");
    (side, price(limit), price(trigger))
}

fn special(order: OrderId, n: u32, instructions: Instructions) -> Command {
    let (side, price, _) = place(n, instructions.trigger != Trigger::None);
    Command::EnterSpecial(EnterSpecial {
        enter: EnterOrder {
            order,
            owner: Owner { session: SESSION, client_ref: ClientRef(n) },
            account: AccountId(SESSION.0),
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            price,
            quantity: Quantity(1_000),
            client_order_id: ClientOrderId::BLANK,
            echo: Echo::default(),
        },
        instructions,
    })
}
