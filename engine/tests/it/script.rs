//! Conversations with a book, as text. Each is a title and lines of these sorts:
//!
//! ```text
//! s1 buy 10 @ 100            a command of session 1; Day unless it says gtc, ioc, fok or `gtd 9000` (nanoseconds);
//!                            `@ market`, or `@ best` for market-to-limit; `as 7`: what the owner calls it
//! s1 cancel #1               order 1 is the first entered; its owner calls it by the same number
//! s1 cancel #1 as 9          ... or wrongly by another
//! s1 reduce #1 to 5          (or `modify`)
//! s1 replace #1 by 5 @ 101   (`keeping` at the end: the place in the queue, where possible)
//! s1 mass cancel buy         in this book, or `everywhere`; orders that are `buy` or `sell`, of `session 2`, of
//!                            `account 10`; session 1 trades for account 10, and so on
//! advance                    time passes
//! end of day
//! again                      no command: the book is made anew from what it shows
//! at 9000 s1 buy 10 @ 100    the same at a time; else the first command is at 1000, the second at 2000 and so on
//! > accepted #1              what the book says to that, all of it, in order
//! = 10@100#1 | 5@101#2       what rests: bids | asks, each in priority; `5(2)` when 2 of 5 are shown
//! = | | 5#3>=107             ... | stops, when some wait: for 107 or more, for a first trade (`?`), for a turn (`!`)
//! ~ 15x2@100 | 5x1@101       what is shown: lots x orders @ price, best first
//! ```
//!
//! Behind its price an order may have instructions: `stop 105`, `trailing 5`, `iceberg 3`, `spread 1 seed 7`,
//! `hidden`, `minimum 5`, `aon`, `post`, `slide`, `group 4 newest` (or `oldest`, `both`, `decrement`). A replacement has its own
//! when it says `with`, before them or before nothing.

use core::num::NonZeroU32;

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Display, Echo, EnterOrder,
    EnterSpecial, Event, EventKind, Events, Execution, Instructions, Liquidity, MassCancel, Nanos, OrderId,
    OrderType, Owner, PostOnly, Price, Quantity, ReduceKind, ReduceOrder, ReplaceOrder, ReplacePriority,
    ReplaceSpecial, SelfTrade, SelfTradePolicy, Sequence, Sequenced, SessionId, Side, TimeInForce, Trigger,
};
use engine::book::{BookView, RestingOrder, Waiting};
use engine::hash::{EventHash, StateHash, book_hash};

use crate::support::{INSTRUMENT, Subject, levels, orders, stops};

/// Holds a conversation; the hash of what was said and of what is held at the end.
pub(crate) fn hold(title: &str, text: &str, mut book: impl Subject) -> (EventHash, StateHash) {
    let mut said = EventHash::default();
    let mut events = Events::new();
    let mut lines = text.lines().map(str::trim).peekable();
    let mut sequence = 0;
    while let Some(line) = lines.next() {
        if let Some(expected) = line.strip_prefix('=') {
            assert_eq!(
                resting(&book),
                expected.trim(),
                "\"{title}\" holds otherwise after {sequence} commands"
            );
            continue;
        }
        if let Some(expected) = line.strip_prefix('~') {
            assert_eq!(
                shown(&book),
                expected.trim(),
                "\"{title}\" shows otherwise after {sequence} commands"
            );
            continue;
        }
        if line == "again" {
            book.again();
            continue;
        }
        sequence += 1;
        let (nanos, asked) = timed(line, sequence * 1_000);
        let command = parse(asked, book.header().next_order_number);
        events.clear();
        book.apply(&Sequenced { sequence: Sequence(sequence), nanos, command }, &mut events);
        book.check();
        let mut expected = Vec::new();
        while let Some(answer) = lines.next_if(|line| line.starts_with('>')) {
            expected.push(answer[1..].trim());
        }
        let answers: Vec<_> = events.as_slice().iter().map(|event| told(&command, event)).collect();
        assert_eq!(answers, expected, "\"{title}\" says otherwise to: {line}");
        events.as_slice().iter().for_each(|event| said.update(event));
    }
    (said, book_hash(&book))
}

/// When a line is said, and what.
fn timed(line: &str, usual: u64) -> (Nanos, &str) {
    match line.strip_prefix("at ").and_then(|rest| rest.split_once(' ')) {
        Some((nanos, asked)) => (Nanos(number(nanos)), asked),
        None => (Nanos(usual), line),
    }
}

/// A line to its command. `next` is the number of the next order.
pub(crate) fn parse(line: &str, next: u64) -> Command {
    match line {
        "end of day" => return Command::EndOfDay,
        "advance" => return Command::Advance(INSTRUMENT),
        _ => {}
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
            let asked = Asked::read(words);
            let enter = EnterOrder {
                order: OrderId::new(INSTRUMENT, next),
                owner: owner_of(asked.called.unwrap_or(next)),
                account: AccountId(session.0 * 10),
                side: if verb == "buy" { Side::Buy } else { Side::Sell },
                order_type,
                time_in_force: asked.time_in_force,
                price,
                quantity,
                client_order_id: ClientOrderId::BLANK,
                echo: Echo::default(),
            };
            if asked.special {
                Command::EnterSpecial(EnterSpecial { enter, instructions: asked.instructions })
            } else {
                Command::Enter(enter)
            }
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
            let asked = Asked::read(words);
            let replace = ReplaceOrder {
                order: OrderId::new(INSTRUMENT, old),
                original: ClientRef(old as u32),
                new_order: OrderId::new(INSTRUMENT, next),
                owner: owner_of(next),
                order_type,
                time_in_force: asked.time_in_force,
                price,
                total: Quantity(total),
                priority: asked.priority,
                client_order_id: ClientOrderId::BLANK,
                echo: Echo::default(),
            };
            if asked.own {
                Command::ReplaceSpecial(ReplaceSpecial { replace, instructions: asked.instructions })
            } else {
                assert!(!asked.special, "instructions of its own come after \"with\": {line}");
                Command::Replace(replace)
            }
        }
        "mass" => {
            let mut mass = MassCancel {
                owner: owner_of(next),
                instrument: Some(INSTRUMENT),
                session: None,
                account: None,
                side: None,
            };
            assert_eq!(word(), "cancel");
            while let Some(word) = words.next() {
                let mut operand =
                    || number(words.next().unwrap_or_else(|| panic!("unfinished: {line}"))) as u32;
                match word {
                    "everywhere" => mass.instrument = None,
                    "buy" => mass.side = Some(Side::Buy),
                    "sell" => mass.side = Some(Side::Sell),
                    "session" => mass.session = Some(SessionId(operand())),
                    "account" => mass.account = Some(AccountId(operand())),
                    _ => panic!("what is {word} in {line}?"),
                }
            }
            Command::MassCancel(mass)
        }
        _ => panic!("what is {line}?"),
    }
}

/// What stands behind the price of an order.
struct Asked {
    time_in_force: TimeInForce,
    priority: ReplacePriority,
    called: Option<u64>,
    instructions: Instructions,
    /// Whether there are instructions.
    special: bool,
    /// Whether a replacement has its own, or none by intent.
    own: bool,
}

impl Asked {
    fn read<'a>(mut words: impl Iterator<Item = &'a str>) -> Self {
        let mut asked = Self {
            time_in_force: TimeInForce::Day,
            priority: ReplacePriority::Lose,
            called: None,
            instructions: Instructions::NONE,
            special: false,
            own: false,
        };
        let Instructions { trigger, display, execution, self_trade, expires } = &mut asked.instructions;
        while let Some(word) = words.next() {
            let mut operand = || words.next().unwrap_or_else(|| panic!("{word} what?"));
            match word {
                "gtc" => asked.time_in_force = TimeInForce::GoodTillCancel,
                "ioc" => asked.time_in_force = TimeInForce::ImmediateOrCancel,
                "fok" => asked.time_in_force = TimeInForce::FillOrKill,
                "undated" => asked.time_in_force = TimeInForce::GoodTillDate,
                "gtd" => {
                    asked.time_in_force = TimeInForce::GoodTillDate;
                    *expires = Nanos(number(operand()));
                }
                "until" => *expires = Nanos(number(operand())),
                "keeping" => asked.priority = ReplacePriority::KeepWherePossible,
                "as" => asked.called = Some(number(operand())),
                "with" => asked.own = true,
                "stop" => *trigger = Trigger::Stop(price_of(operand()).1),
                "trailing" => *trigger = Trigger::Trailing { ticks: number(operand()) },
                "hidden" => *display = Display::Hidden,
                "iceberg" => {
                    *display = Display::Iceberg { peak: Quantity(number(operand())), spread: 0, seed: 0 };
                }
                "spread" | "seed" => {
                    let Display::Iceberg { spread, seed, .. } = display else { panic!("{word} of what?") };
                    *(if word == "spread" { spread } else { seed }) = number(operand()) as u32;
                }
                "minimum" => *execution = Execution::Minimum(Quantity(number(operand()))),
                "aon" => *execution = Execution::AllOrNone,
                "post" => *execution = Execution::PostOnly(PostOnly::Reject),
                "slide" => *execution = Execution::PostOnly(PostOnly::Slide),
                "group" => {
                    let group = NonZeroU32::new(number(operand()) as u32).expect("groups count from 1");
                    let policy = match operand() {
                        "newest" => SelfTradePolicy::CancelNewest,
                        "oldest" => SelfTradePolicy::CancelOldest,
                        "both" => SelfTradePolicy::CancelBoth,
                        "decrement" => SelfTradePolicy::Decrement,
                        policy => panic!("{policy} is no policy"),
                    };
                    *self_trade = Some(SelfTrade { group, policy });
                }
                _ => panic!("what is {word}?"),
            }
        }
        asked.special = asked.instructions != Instructions::NONE;
        asked
    }
}

fn number(word: &str) -> u64 {
    word.trim_start_matches('#').parse().unwrap_or_else(|_| panic!("{word} is not a number"))
}

fn price_of(word: &str) -> (OrderType, Price) {
    match word {
        "market" => return (OrderType::Market, Price::default()),
        "best" => return (OrderType::MarketToLimit, Price::default()),
        _ => {}
    }
    let price = word.parse().ok().and_then(Price::new);
    (OrderType::Limit, price.unwrap_or_else(|| panic!("{word} is not a price")))
}

/// The limit that a command names.
fn asked_price(command: &Command) -> Option<Price> {
    match command {
        Command::Enter(enter) => Some(enter.price),
        Command::EnterSpecial(special) => Some(special.enter.price),
        _ => None,
    }
}

/// What a book said, in a line. The limit of an accepted order only when it is another than asked.
pub(crate) fn told(command: &Command, event: &Event) -> String {
    match event.kind {
        EventKind::Accepted { order, price, .. } if asked_price(command) == Some(price) => {
            format!("accepted #{}", order.number())
        }
        EventKind::Accepted { order, price, .. } => format!("accepted #{} at {price}", order.number()),
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
        EventKind::Triggered { order, price, .. } => format!("triggered #{} at {price}", order.number()),
        EventKind::Refreshed { order, shown, leaves, .. } => {
            format!("refreshed #{}: {shown} of {leaves}", order.number())
        }
        EventKind::Restated { order, price, leaves, .. } => {
            format!("restated #{}: {leaves} @ {price}", order.number())
        }
        EventKind::Decremented { order, quantity, leaves, price, liquidity, .. } => {
            let there = match liquidity {
                Liquidity::Added => "there first",
                Liquidity::Removed => "came",
            };
            format!("decremented #{} by {quantity} to {leaves} @ {price}, {there}", order.number())
        }
        EventKind::MassCanceled { canceled, .. } => format!("mass canceled {canceled}"),
        EventKind::Paused { triggered } => format!("paused, {triggered} to go"),
    }
}

/// What rests and waits, in a line.
fn resting(book: &impl BookView) -> String {
    let side = |side| {
        let shown = |order: &RestingOrder| {
            let part = order.special.map_or(order.leaves, |special| special.shown);
            let part = if part == order.leaves { String::new() } else { format!("({part})") };
            format!("{}{part}@{}#{}", order.leaves, order.price, order.order.number())
        };
        orders(book, side).iter().map(shown).collect::<Vec<_>>().join(" ")
    };
    let stop = |order: &RestingOrder| {
        let reached = if order.side == Side::Buy { ">=" } else { "<=" };
        let waits = match order.special.expect("it waits").waiting {
            Waiting::No => panic!("it waits"),
            Waiting::ForTurn => "!".to_owned(),
            Waiting::ForTrigger(None) => format!("{reached}?"),
            Waiting::ForTrigger(Some(trigger)) => format!("{reached}{trigger}"),
        };
        format!("{}#{}{waits}", order.leaves, order.order.number())
    };
    let stops = stops(book).iter().map(stop).collect::<Vec<_>>().join(" ");
    let stops = if stops.is_empty() { stops } else { format!(" | {stops}") };
    format!("{} | {}{stops}", side(Side::Buy), side(Side::Sell)).trim().replace("|  |", "| |")
}

/// What is shown of each price, in a line.
fn shown(book: &impl BookView) -> String {
    let side = |side| {
        let level = levels(book, side);
        let level = level.iter().map(|level| format!("{}x{}@{}", level.quantity, level.orders, level.price));
        level.collect::<Vec<_>>().join(" ")
    };
    format!("{} | {}", side(Side::Buy), side(Side::Sell)).trim().to_owned()
}
