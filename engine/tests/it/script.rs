//! Conversations with a book, as text. Each is a title and lines of three sorts:
//!
//! ```text
//! s1 buy 10 @ 100            a command of session 1; Day unless it says gtc, ioc or fok; `@ market`
//! s1 cancel #1               order 1 is the first entered; its owner calls it by the same number
//! s1 cancel #1 as 9          ... or wrongly by another
//! s1 reduce #1 to 5          (or `modify`)
//! s1 replace #1 by 5 @ 101   (`keeping` at the end: the place in the queue, where possible)
//! end of day
//! > accepted #1              what the book says to that, all of it, in order
//! = 10@100#1 | 5@101#2       what rests: bids | asks, each in priority
//! ```

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Echo, EnterOrder, Event,
    EventKind, Events, Nanos, OrderId, OrderType, Owner, Price, Quantity, ReduceKind, ReduceOrder,
    ReplaceOrder, ReplacePriority, Sequence, Sequenced, SessionId, Side, TimeInForce,
};
use engine::book::{BookView, RestingOrder};
use engine::hash::{EventHash, StateHash, book_hash};

use crate::support::{INSTRUMENT, Subject, orders};

/// Holds a conversation; the hash of what was said and of what is held at the end.
pub(crate) fn hold(title: &str, text: &str, mut book: impl Subject) -> (EventHash, StateHash) {
    let mut said = EventHash::default();
    let mut events = Events::new();
    let mut lines = text.lines().map(str::trim).peekable();
    let mut sequence = 0;
    while let Some(line) = lines.next() {
        if let Some(expected) = line.strip_prefix('=') {
            assert_eq!(resting(&book), expected.trim(), "\"{title}\" holds otherwise");
            continue;
        }
        sequence += 1;
        let command = parse(line, book.header().next_order_number);
        events.clear();
        let at = Nanos(sequence * 1_000);
        book.apply(&Sequenced { sequence: Sequence(sequence), nanos: at, command }, &mut events);
        book.check();
        let mut expected = Vec::new();
        while let Some(answer) = lines.next_if(|line| line.starts_with('>')) {
            expected.push(answer[1..].trim());
        }
        let answers: Vec<_> = events.as_slice().iter().map(told).collect();
        assert_eq!(answers, expected, "\"{title}\" says otherwise to: {line}");
        events.as_slice().iter().for_each(|event| said.update(event));
    }
    (said, book_hash(&book))
}

/// A line to its command. `next` is the number of the next order.
pub(crate) fn parse(line: &str, next: u64) -> Command {
    if line == "end of day" {
        return Command::EndOfDay;
    }
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_else(|| panic!("unfinished: {line}"));
    let session = SessionId(number(word().trim_start_matches('s')) as u32);
    let owner_of = |order: u64| Owner { session, client_ref: ClientRef(order as u32) };
    let verb = word();
    match verb {
        "buy" | "sell" => {
            let (quantity, _) = (Quantity(number(word())), word());
            let (order_type, price) = price_of(word());
            Command::Enter(EnterOrder {
                order: OrderId::new(INSTRUMENT, next),
                owner: owner_of(next),
                account: AccountId(session.0 * 10),
                side: if verb == "buy" { Side::Buy } else { Side::Sell },
                order_type,
                time_in_force: time_in_force(words.next()),
                price,
                quantity,
                client_order_id: ClientOrderId::BLANK,
                echo: Echo::default(),
            })
        }
        "cancel" => {
            let order = number(word());
            let called = words.nth(1).map_or(order, number);
            Command::Cancel(CancelOrder {
                order: OrderId::new(INSTRUMENT, order),
                owner: owner_of(called),
                reason: CancelReason::Requested,
            })
        }
        "reduce" | "modify" => {
            let (order, _, total) = (number(word()), word(), number(word()));
            let modify = ReduceKind::Modify { side_code: b'T' };
            Command::Reduce(ReduceOrder {
                order: OrderId::new(INSTRUMENT, order),
                owner: owner_of(order),
                total: Quantity(total),
                kind: if verb == "modify" { modify } else { ReduceKind::Cancel },
            })
        }
        "replace" => {
            let (old, _, total, _) = (number(word()), word(), number(word()), word());
            let (order_type, price) = price_of(word());
            let rest: Vec<_> = words.collect();
            let (keeping, rest) = match rest.split_last() {
                Some((&"keeping", rest)) => (true, rest),
                _ => (false, rest.as_slice()),
            };
            Command::Replace(ReplaceOrder {
                order: OrderId::new(INSTRUMENT, old),
                original: ClientRef(old as u32),
                new_order: OrderId::new(INSTRUMENT, next),
                owner: owner_of(next),
                order_type,
                time_in_force: time_in_force(rest.first().copied()),
                price,
                total: Quantity(total),
                priority: if keeping { ReplacePriority::KeepWherePossible } else { ReplacePriority::Lose },
                client_order_id: ClientOrderId::BLANK,
                echo: Echo::default(),
            })
        }
        _ => panic!("what is {line}?"),
    }
}

fn number(word: &str) -> u64 {
    word.trim_start_matches('#').parse().unwrap_or_else(|_| panic!("{word} is not a number"))
}

fn price_of(word: &str) -> (OrderType, Price) {
    if word == "market" {
        return (OrderType::Market, Price::default());
    }
    let price = word.parse().ok().and_then(Price::new);
    (OrderType::Limit, price.unwrap_or_else(|| panic!("{word} is not a price")))
}

fn time_in_force(word: Option<&str>) -> TimeInForce {
    match word {
        None => TimeInForce::Day,
        Some("gtc") => TimeInForce::GoodTillCancel,
        Some("ioc") => TimeInForce::ImmediateOrCancel,
        Some("fok") => TimeInForce::FillOrKill,
        Some(word) => panic!("{word} is no time in force"),
    }
}

/// What a book said, in a line.
fn told(event: &Event) -> String {
    match event.kind {
        EventKind::Accepted { order, .. } => format!("accepted #{}", order.number()),
        EventKind::Rejected { order, reason, .. } => format!("rejected #{}: {reason}", order.number()),
        EventKind::Traded { trade, price, quantity, maker, maker_leaves, taker, taker_leaves, .. } => {
            format!(
                "trade {}: {quantity} @ {price}, #{} leaves {maker_leaves}, #{} leaves {taker_leaves}",
                trade.number(),
                maker.number(),
                taker.number()
            )
        }
        EventKind::Canceled { order, quantity, reason, .. } => {
            format!("canceled #{}: {quantity}, {reason:?}", order.number())
        }
        EventKind::Reduced { order, quantity, leaves, kind, .. } => {
            let mark = match kind {
                ReduceKind::Cancel => String::new(),
                ReduceKind::Modify { side_code } => format!(", side {}", char::from(side_code)),
            };
            format!("reduced #{} by {quantity} to {leaves}{mark}", order.number())
        }
        EventKind::Replaced { old, order, price, leaves, kept_priority, .. } => {
            let place = if kept_priority { ", in its place" } else { "" };
            format!("replaced #{} by #{}: {leaves} @ {price}{place}", old.number(), order.number())
        }
        EventKind::ReplaceRejected { old, order, reason, .. } => {
            format!("replace rejected #{} by #{}: {reason}", old.number(), order.number())
        }
        EventKind::CancelRejected { order, reason, .. } => {
            format!("cancel rejected #{}: {reason}", order.number())
        }
    }
}

/// What rests, in a line.
fn resting(book: &impl BookView) -> String {
    let side = |side| {
        let shown =
            |order: &RestingOrder| format!("{}@{}#{}", order.leaves, order.price, order.order.number());
        orders(book, side).iter().map(shown).collect::<Vec<_>>().join(" ")
    };
    format!("{} | {}", side(Side::Buy), side(Side::Sell)).trim().to_owned()
}
