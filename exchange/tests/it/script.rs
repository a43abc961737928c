//! Conversations as text: what each user sends, and exactly what each is answered.
//!
//! ```text
//! ALICE> O 1 B 100 AAPL 100.00 0 id=first     a request; those that follow each other go in one segment
//! ALICE< A 1 B 100 AAPL 100.0000 0 YPNN L 0-1 id=first
//! ```
//!
//! | request | is |
//! |---|---|
//! | `O ref side quantity symbol price tif` | Enter Order |
//! | `U original ref quantity price tif` | Replace Order |
//! | `X ref quantity` | Cancel Order |
//! | `M ref side quantity` | Modify Order |
//! | `L ref symbol side` | Mass Cancel; `-` for every one |
//! | `Q` | Account Query |
//!
//! Options of `O` and `U`: `id=` ClOrdID, `min=` MinQty, `firm=`, `customer=`, `tag=` any tag with an empty value,
//! `peak=` MaxFloor, `spread=` RandomReserves, `post=` PostOnly, `expire=` ExpireTime, `group=` GroupID, `policy=`
//! SelfTradePolicy, `stop=` StopPrice, `trail=` TrailingDistance, `aon=`, `mtl=`, `large=` LargeQuantity, `now=` TradeNow,
//! `echo=` display, capacity, sweep, cross (`YPNN`). A price is in currency units or `market`.
//!
//! An answer is written with all its fields but its time:
//!
//! | answer | is |
//! |---|---|
//! | `A ref side quantity symbol price tif echo state order` | Accepted; `id=` and `min=` where there are such |
//! | `U original ref side quantity symbol price tif echo state order` | Replaced; the same |
//! | `C ref quantity reason` | Canceled |
//! | `E ref quantity price liquidity match` | Executed |
//! | `J ref reason` | Rejected; `id=` |
//! | `M ref side quantity` | Modified |
//! | `D ref quantity reason prevented price liquidity strategy` | AIQ Canceled |
//! | `R ref reason` | Restated; `shown=`, `limit=`, `stop=` |
//! | `L ref symbol canceled` | Mass Canceled |
//! | `Q next` | Account Query Response |
//! | `S event` | System Event |
//!
//! Orders and matches are written `instrument-number`. When a conversation is over, an order has gone through every
//! book and come back, and then every user's query must be answered by its answer alone: nothing was said that is
//! not in the text. Times of a session never go back.

use std::collections::BTreeMap;

use domain::BookScopedId;
use wire::ouch::{
    Appendage, Inbound, Outbound, TagValue, codes,
    inbound::{EnterOrder, MassCancel, ModifyOrder, ReplaceOrder},
};

use crate::{
    client::{Client, Said, cancel, enter, padded},
    venue::{Home, INSTRUMENTS, Settings, Venue},
};

/// Plays a conversation on a new exchange.
pub(crate) fn play(settings: Settings, text: &str) {
    let home = Home::new(settings);
    let venue = home.start();
    Play { venue: &venue, users: BTreeMap::new() }.run(text);
    let state = venue.stop_state();
    assert_eq!(state, home.replay(1)["state"].as_str().expect("a state"));
}

struct Play<'a> {
    venue: &'a Venue,
    users: BTreeMap<String, User>,
}

struct User {
    client: Client,
    /// The last message's time.
    time: u64,
    unsent: bool,
}

impl User {
    /// The next message as text; its time and number are checked.
    fn hears(&mut self) -> String {
        let number = self.client.connection.next_sequence();
        let said = self.client.next();
        assert_eq!(said.number, number);
        let (text, time) = written(&said);
        assert!(time >= self.time, "{text}: its time {time} is before {}", self.time);
        self.time = time;
        text
    }
}

impl Play<'_> {
    fn user(&mut self, name: &'static str) -> &mut User {
        self.users.entry(name.to_owned()).or_insert_with(|| {
            let client = self.venue.client(name);
            User { client, time: 0, unsent: false }
        })
    }

    fn run(mut self, text: &str) {
        for (line, at) in text.lines().map(str::trim).zip(1..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let end = line.find(['<', '>']).unwrap_or_else(|| panic!("line {at}: {line}"));
            let name = crate::venue::USERS.into_iter().find(|user| *user == &line[..end]);
            let name = name.unwrap_or_else(|| panic!("line {at}: no such user: {line}"));
            let what = line[end + 1..].trim();
            if line.as_bytes()[end] == b'>' {
                let user = self.user(name);
                put(&mut user.client, what);
                user.unsent = true;
            } else {
                self.flush();
                let heard = self.user(name).hears();
                assert_eq!(heard, what, "line {at}: {line}");
            }
        }
        self.flush();
        self.fence();
        for (name, user) in &mut self.users {
            user.client.ask(&Inbound::AccountQuery);
            let heard = user.hears();
            assert!(heard.starts_with("Q "), "{name} was also told: {heard}");
        }
    }

    fn flush(&mut self) {
        for user in self.users.values_mut() {
            if std::mem::take(&mut user.unsent) {
                user.client.flush();
            }
        }
    }

    /// Whatever came before, in every book, has been answered after this: books and sockets keep order. What the
    /// sockets have not delivered yet is behind a query of its own session, which is answered here too.
    fn fence(&mut self) {
        let names: Vec<String> = self.users.keys().cloned().collect();
        for name in &names {
            let user = self.users.get_mut(name).expect("a user");
            user.client.ask(&Inbound::AccountQuery);
            let heard = user.hears();
            assert!(heard.starts_with("Q "), "{name} was also told: {heard}");
        }
        let mut fence = self.venue.client("FENCE");
        for (symbol, user_ref) in INSTRUMENTS.into_iter().zip(1..) {
            // Nothing is at this price or better.
            fence.ask(&enter(user_ref, b'B', 100, symbol, 500, codes::IMMEDIATE_OR_CANCEL));
            assert!(matches!(fence.next().message(), Outbound::Accepted(_)));
            assert!(matches!(fence.next().message(), Outbound::Canceled(_)));
        }
    }
}

/// Puts the request that `text` writes.
fn put(client: &mut Client, text: &str) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let bad = || -> ! { panic!("no request: {text}") };
    let word = |at: usize| *words.get(at).unwrap_or_else(|| bad());
    let number = |at: usize| word(at).parse::<u32>().unwrap_or_else(|_| bad());
    let letter = |at: usize| word(at).as_bytes()[0];
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let echo = option("echo").unwrap_or("YPNN").as_bytes();
    let client_order_id = padded(option("id").unwrap_or(""));
    let mut options = Vec::new();
    if let Some(firm) = option("firm") {
        TagValue::Firm(padded(firm)).encode(&mut options);
    }
    if let Some(customer) = option("customer") {
        TagValue::CustomerType(customer.as_bytes()[0]).encode(&mut options);
    }
    if let Some(min) = option("min") {
        TagValue::MinQuantity(min.parse().unwrap_or_else(|_| bad())).encode(&mut options);
    }
    let units = |text: &str| text.parse().unwrap_or_else(|_| bad());
    let code = |text: &str| text.as_bytes()[0];
    for (name, value) in words.iter().filter_map(|word| word.split_once('=')) {
        let option = match name {
            "peak" => TagValue::MaxFloor(units(value)),
            "spread" => TagValue::RandomReserves(units(value)),
            "post" => TagValue::PostOnly(code(value)),
            "expire" => TagValue::ExpireTime(units(value)),
            "group" => TagValue::GroupId(value.parse().unwrap_or_else(|_| bad())),
            "policy" => TagValue::SelfTradePolicy(code(value)),
            "stop" => TagValue::StopPrice(price(value)),
            "trail" => TagValue::TrailingDistance(price(value)),
            "aon" => TagValue::AllOrNone(code(value)),
            "mtl" => TagValue::MarketToLimit(code(value)),
            "large" => TagValue::LargeQuantity(value.parse().unwrap_or_else(|_| bad())),
            "now" => TagValue::TradeNow(code(value)),
            _ => continue,
        };
        option.encode(&mut options);
    }
    if let Some(tag) = option("tag") {
        TagValue::Unknown { tag: tag.parse().unwrap_or_else(|_| bad()), value: &[] }.encode(&mut options);
    }
    let appendage = Appendage::decode(&options).unwrap_or_else(|error| panic!("{text}: {error}"));
    let request = match word(0) {
        "O" => Inbound::EnterOrder(EnterOrder {
            user_ref: number(1),
            side: letter(2),
            quantity: number(3),
            symbol: padded(word(4)),
            price: price(word(5)),
            time_in_force: letter(6),
            display: echo[0],
            capacity: echo[1],
            intermarket_sweep: echo[2],
            cross: echo[3],
            client_order_id,
            appendage,
        }),
        "U" => Inbound::ReplaceOrder(ReplaceOrder {
            original: number(1),
            user_ref: number(2),
            quantity: number(3),
            price: price(word(4)),
            time_in_force: letter(5),
            display: echo[0],
            intermarket_sweep: echo[2],
            client_order_id,
            appendage,
        }),
        "X" => cancel(number(1), number(2)),
        "M" => {
            Inbound::ModifyOrder(ModifyOrder { user_ref: number(1), side: letter(2), quantity: number(3) })
        }
        "L" => Inbound::MassCancel(MassCancel {
            user_ref: number(1),
            symbol: padded(word(2).trim_matches('-')),
            side: if word(3) == "-" { b' ' } else { letter(3) },
        }),
        "Q" => Inbound::AccountQuery,
        _ => bad(),
    };
    client.put(&request);
}

fn price(text: &str) -> u64 {
    if text == "market" {
        return codes::PRICE_MARKET;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<4}").parse().unwrap_or_else(|_| panic!("no price: {text}"))
}

/// A message as text, and its time.
pub(crate) fn written(said: &Said) -> (String, u64) {
    let letter = char::from;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let money = |price: u64| match price {
        codes::PRICE_MARKET => "market".to_owned(),
        price => format!("{}.{:04}", price / 10_000, price % 10_000),
    };
    let id = |bytes: &[u8; 14]| match text(bytes) {
        id if id.is_empty() => id,
        id => format!(" id={id}"),
    };
    let options = |appendage: Appendage<'_>| {
        let write = |option| match option {
            TagValue::MinQuantity(min) => format!(" min={min}"),
            TagValue::MaxFloor(peak) => format!(" peak={peak}"),
            TagValue::RandomReserves(spread) => format!(" spread={spread}"),
            TagValue::PostOnly(code) => format!(" post={}", letter(code)),
            TagValue::ExpireTime(seconds) => format!(" expire={seconds}"),
            TagValue::GroupId(group) => format!(" group={group}"),
            TagValue::SelfTradePolicy(code) => format!(" policy={}", letter(code)),
            TagValue::TrailingDistance(distance) => format!(" trail={}", money(distance)),
            TagValue::AllOrNone(code) => format!(" aon={}", letter(code)),
            TagValue::MarketToLimit(code) => format!(" mtl={}", letter(code)),
            TagValue::DisplayQuantity(shown) => format!(" shown={shown}"),
            TagValue::DisplayPrice(price) => format!(" limit={}", money(price)),
            TagValue::StopPrice(price) => format!(" stop={}", money(price)),
            other => format!(" {other:?}"),
        };
        appendage.iter().map(write).collect::<String>()
    };
    match said.message() {
        Outbound::SystemEvent(m) => (format!("S {}", letter(m.event)), m.timestamp),
        Outbound::Accepted(m) => (
            format!(
                "A {} {} {} {} {} {} {}{}{}{} {} {}{}{}",
                m.user_ref,
                letter(m.side),
                m.quantity,
                text(&m.symbol),
                money(m.price),
                letter(m.time_in_force),
                letter(m.display),
                letter(m.capacity),
                letter(m.intermarket_sweep),
                letter(m.cross),
                letter(m.state),
                BookScopedId(m.order_reference),
                id(&m.client_order_id),
                options(m.appendage),
            ),
            m.timestamp,
        ),
        Outbound::Replaced(m) => (
            format!(
                "U {} {} {} {} {} {} {} {}{}{}{} {} {}{}{}",
                m.original,
                m.user_ref,
                letter(m.side),
                m.quantity,
                text(&m.symbol),
                money(m.price),
                letter(m.time_in_force),
                letter(m.display),
                letter(m.capacity),
                letter(m.intermarket_sweep),
                letter(m.cross),
                letter(m.state),
                BookScopedId(m.order_reference),
                id(&m.client_order_id),
                options(m.appendage),
            ),
            m.timestamp,
        ),
        Outbound::Canceled(m) => {
            (format!("C {} {} {}", m.user_ref, m.quantity, letter(m.reason)), m.timestamp)
        }
        Outbound::Executed(m) => (
            format!(
                "E {} {} {} {} {}{}",
                m.user_ref,
                m.quantity,
                money(m.price),
                letter(m.liquidity),
                BookScopedId(m.match_number),
                options(m.appendage),
            ),
            m.timestamp,
        ),
        Outbound::Rejected(m) => {
            (format!("J {} {:#04x}{}", m.user_ref, m.reason, id(&m.client_order_id)), m.timestamp)
        }
        Outbound::Modified(m) => (format!("M {} {} {}", m.user_ref, letter(m.side), m.quantity), m.timestamp),
        Outbound::AiqCanceled(m) => (
            format!(
                "D {} {} {} {} {} {} {}",
                m.user_ref,
                m.quantity,
                letter(m.reason),
                m.prevented,
                money(m.price),
                letter(m.liquidity),
                letter(m.strategy),
            ),
            m.timestamp,
        ),
        Outbound::Restated(m) => {
            (format!("R {} {}{}", m.user_ref, letter(m.reason), options(m.appendage)), m.timestamp)
        }
        Outbound::MassCanceled(m) => {
            (format!("L {} {} {}", m.user_ref, text(&m.symbol), m.canceled), m.timestamp)
        }
        Outbound::AccountQueryResponse(m) => (format!("Q {}", m.next_user_ref), m.timestamp),
        other => panic!("the exchange does not say {other:?}"),
    }
}
