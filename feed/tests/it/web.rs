//! The WebSocket feed: depth from snapshots and changes, slow clients, and those who misbehave.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use domain::{InstrumentId, Side};
use engine::book::Book;
use feed::{Depth, Ladder, Market, Seen, Server, Settings, Watcher, WebSettings};
use rand::RngExt;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, client::IntoClientRequest};

use crate::{
    served::{HUNG, Venue, local, much},
    support::generator,
};

const DEPTH: usize = 3;

pub(crate) fn settings(clients: usize) -> Settings {
    let web = WebSettings {
        address: local(0),
        depth: DEPTH,
        clients,
        origins: vec!["https://trader.example".into()],
    };
    Settings { web: Some(web), keep_bytes: 1 << 20, ..Settings::default() }
}

pub(crate) fn open(address: SocketAddr) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HUNG)).unwrap();
    tungstenite::client(format!("ws://{address}/"), stream).unwrap().0
}

pub(crate) fn ask<S: Read + Write>(socket: &mut WebSocket<S>, value: &Value) {
    socket.send(Message::text(value.to_string())).unwrap();
}

pub(crate) fn next<S: Read + Write>(socket: &mut WebSocket<S>) -> Value {
    let begun = Instant::now();
    loop {
        // It may be asked whether it is there, for ever.
        assert!(begun.elapsed() < HUNG, "nothing is told");
        if let Message::Text(text) = socket.read().unwrap() {
            return serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        }
    }
}

/// CRC-32, a bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
    })
}

/// A client's depth.
#[derive(Default)]
pub(crate) struct Web {
    /// Best first: bids by negative price, asks by price, in ten-thousandths; with what was said.
    sides: [BTreeMap<i64, (String, u64)>; 2],
    sequence: u64,
    snapshots: u64,
    gaps: u64,
    trades: Vec<(String, u64)>,
    top: [Option<(String, u64)>; 2],
}

impl Web {
    fn hear(&mut self, value: &Value) {
        match value["type"].as_str().unwrap() {
            "snapshot" => {
                self.snapshots += 1;
                self.sides = Default::default();
                self.depth(value);
            }
            "depth" => {
                let sequence = value["sequence"].as_u64().unwrap();
                self.gaps += u64::from(sequence != self.sequence + 1);
                self.depth(value);
            }
            "top" => {
                for (side, name) in ["bid", "ask"].into_iter().enumerate() {
                    let level = &value[name];
                    self.top[side] = level
                        .is_array()
                        .then(|| (level[0].as_str().unwrap().to_owned(), level[1].as_u64().unwrap()));
                }
            }
            "trade" => {
                let quantity = value["quantity"].as_u64().unwrap();
                self.trades.push((value["trade"].as_str().unwrap().to_owned(), quantity));
            }
            "subscribed" | "unsubscribed" => {}
            other => panic!("{other}: {value}"),
        }
    }

    fn depth(&mut self, value: &Value) {
        self.sequence = value["sequence"].as_u64().unwrap();
        for (side, name) in ["bids", "asks"].into_iter().enumerate() {
            for level in value[name].as_array().unwrap() {
                let (text, quantity) = (level[0].as_str().unwrap(), level[1].as_u64().unwrap());
                let e4 = (text.parse::<f64>().unwrap() * 1e4).round() as i64;
                let key = if side == 0 { -e4 } else { e4 };
                if quantity == 0 {
                    self.sides[side].remove(&key).expect("it was there");
                } else {
                    self.sides[side].insert(key, (text.to_owned(), quantity));
                }
            }
        }
        let texts: Vec<String> =
            self.sides.iter().flatten().map(|(_, (price, quantity))| format!("{price}:{quantity}")).collect();
        assert_eq!(value["checksum"], crc32(texts.join(":").as_bytes()), "{value}");
    }

    fn levels(&self) -> [Vec<(i64, u64)>; 2] {
        let side = |side: usize| {
            self.sides[side].iter().map(|(key, (_, quantity))| (key.abs(), *quantity)).collect()
        };
        [side(0), side(1)]
    }
}

/// The best levels of a book: a tick is 5 cents, a lot 10 units.
fn best(book: &Book) -> [Vec<(i64, u64)>; 2] {
    [Side::Buy, Side::Sell].map(|side| {
        let levels = book.levels(side).take(DEPTH);
        levels.map(|level| (level.price.ticks() * 500, level.quantity.lots() * 10)).collect()
    })
}

/// Reads until the client has the book's best levels.
pub(crate) fn catch_up<S: Read + Write>(socket: &mut WebSocket<S>, web: &mut Web, book: &Book) {
    let begun = Instant::now();
    while web.levels() != best(book) {
        assert!(begun.elapsed() < HUNG, "{:?} should be {:?}", web.levels(), best(book));
        web.hear(&next(socket));
    }
}

#[test]
fn snapshots_and_changes_make_the_exchanges_depth() {
    let mut rng = generator();
    for _ in 0..seeded::iterations(5) {
        let (instrument, groups) = much(&mut rng);
        let symbol = format!("S{}", instrument.0);
        let mut venue = Venue::start(Book::new(instrument), *b"SESSION001", &settings(4));
        let mut socket = open(venue.bound.web.unwrap());
        let mut web = Web::default();
        let begin = rng.random_range(0..groups.len() / 2);
        groups[..begin].iter().for_each(|group| venue.turn(group, &mut rng));
        venue.release();
        let before = venue.book.counters().traded;
        // What is published is known before it is asked for.
        let begun = Instant::now();
        while venue.published().is_none() {
            assert!(begun.elapsed() < HUNG);
        }
        ask(
            &mut socket,
            &json!({"op": "subscribe", "symbols": [symbol], "channels": ["top", "depth", "trades"]}),
        );
        assert_eq!(next(&mut socket)["type"], "subscribed");
        for (at, group) in groups[begin..].iter().enumerate() {
            venue.turn(group, &mut rng);
            if at.is_multiple_of(25) {
                venue.release();
                catch_up(&mut socket, &mut web, &venue.book);
            }
        }
        venue.release();
        catch_up(&mut socket, &mut web, &venue.book);
        assert_eq!((web.snapshots, web.gaps), (1, 0));
        // The best prices and the trades may be told a moment later; what is asked last is answered last.
        ask(&mut socket, &json!({"op": "unsubscribe", "symbols": [symbol], "channels": ["top", "depth"]}));
        loop {
            let value = next(&mut socket);
            if value["type"] == "unsubscribed" {
                break;
            }
            web.hear(&value);
        }
        let [bids, asks] = best(&venue.book);
        let top = [bids, asks].map(|side| side.first().map(|(_, quantity)| *quantity));
        assert_eq!([0, 1].map(|side| web.top[side].as_ref().map(|(_, quantity)| *quantity)), top);
        let traded: u64 = web.trades.iter().map(|(_, quantity)| *quantity).sum();
        assert_eq!(u128::from(traded), (venue.book.counters().traded - before) * 10);
        let mut ids: Vec<_> = web.trades.iter().map(|(id, _)| id.clone()).collect();
        ids.dedup();
        assert_eq!(ids.len(), web.trades.len(), "each trade is told once");
        venue.end();
        assert!(matches!(socket.read(), Ok(Message::Close(_)) | Err(_)), "the session has ended");
    }
}

/// A socket that takes little ahead of what is read: not less than the loopback network sends at once, though, or each piece
/// waits for a timer.
pub(crate) fn narrow_socket(address: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, 128 << 10).unwrap();
    connect(&socket, &address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(HUNG)).unwrap();
    stream
}

#[test]
fn a_client_that_does_not_read_misses_what_comes_on_top_and_gets_a_snapshot() {
    a_slow_client_gets_a_snapshot(Server::bind(&settings(4)).unwrap(), |stream| {
        tungstenite::client("ws://localhost/", stream).unwrap().0
    });
}

/// `open` makes a WebSocket of a socket that takes little.
pub(crate) fn a_slow_client_gets_a_snapshot<S: Read + Write>(
    server: Server,
    open: impl FnOnce(TcpStream) -> WebSocket<S>,
) {
    let mut rng = generator();
    let (instrument, groups) = much(&mut rng);
    let mut venue = Venue::start_with(Book::new(instrument), *b"SESSION001", server);
    let mut socket = open(narrow_socket(venue.bound.web.unwrap()));
    let symbol = format!("S{}", instrument.0);
    ask(&mut socket, &json!({"op": "subscribe", "symbols": [symbol], "channels": ["depth", "trades"]}));
    let mut web = Web::default();
    assert_eq!(next(&mut socket)["type"], "subscribed");
    web.hear(&next(&mut socket));
    groups.iter().for_each(|group| venue.turn(group, &mut rng));
    let template = groups.iter().flatten().find_map(|command| match command.command {
        domain::Command::Enter(enter) => Some(enter),
        _ => None,
    });
    let enter = template.expect("a plain order");
    let mut sequence = groups.last().and_then(|group| group.last()).unwrap().sequence;
    let mut number = venue.book.next_order_number();
    // Each pair of orders trades, and each trade is a message: more than the system and the feed keep for a client.
    for round in 0..600 {
        let mut pairs = Vec::new();
        for half in 0..200 {
            sequence = sequence.next();
            let entered = domain::EnterOrder {
                order: domain::OrderId::new(instrument, number),
                quantity: domain::Quantity(1 + round % 5),
                price: domain::Price::new(1_000).unwrap(),
                side: if half % 2 == 0 { Side::Sell } else { Side::Buy },
                order_type: domain::OrderType::Limit,
                time_in_force: domain::TimeInForce::Day,
                ..enter
            };
            number += 1;
            let command = domain::Command::Enter(entered);
            pairs.push(domain::Sequenced { sequence, nanos: domain::Nanos(u64::MAX / 2), command });
        }
        venue.turn(&pairs, &mut rng);
    }
    venue.release();
    // It reads nothing before all has been published, more than is kept for it.
    let begun = Instant::now();
    while venue.published().is_none() {
        assert!(begun.elapsed() < HUNG, "not everything is published");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    catch_up(&mut socket, &mut web, &venue.book);
    while web.snapshots < 2 {
        web.hear(&next(&mut socket));
    }
    assert_eq!(web.levels(), best(&venue.book));
    assert!(venue.stats.read().web_conflated > 0);
    assert!(web.trades.len() < 60_000, "it has missed nothing");
    venue.end();
}

#[test]
fn those_who_misuse_the_websocket_feed_hold_nobody_up() {
    let mut rng = generator();
    let (instrument, groups) = much(&mut rng);
    let mut venue = Venue::start(Book::new(instrument), *b"SESSION001", &settings(8));
    let address = venue.bound.web.unwrap();
    let mut good = open(address);
    // What is no request is refused, by name, and the client stays.
    for (asked, says) in [
        ("hello", "no request"),
        ("{\"op\":\"subscribe\",\"symbols\":[\"NONE\"],\"channels\":[\"top\"]}", "no symbol NONE"),
        ("{\"op\":\"subscribe\",\"symbols\":[\"S1\"],\"channels\":[]}", "at least one channel"),
        ("{\"op\":\"trade\",\"symbols\":[]}", "no request"),
    ] {
        good.send(Message::text(asked)).unwrap();
        let refused = next(&mut good);
        assert!(
            refused["type"] == "error" && refused["reason"].as_str().unwrap().contains(says),
            "{refused}"
        );
    }
    // What is no message of the protocol ends a client.
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"POST / HTTP/1.1\r\nConnection: Upgrade\r\n\r\n",
        &[0xFF; 300],
        &[b'A'; 100_000],
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(HUNG)).unwrap();
        let _ = stream.write_all(bytes);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(!said.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&said));
    }
    for message in [Message::text("x".repeat(20_000)), Message::binary(vec![1, 2, 3])] {
        let mut socket = open(address);
        let _ = socket.send(message);
        while let Ok(message) = socket.read() {
            assert!(matches!(message, Message::Close(_)), "{message:?}");
        }
    }
    // A page of somebody else's may not come, one that is known may.
    for (origin, may) in [("https://evil.example", false), ("https://trader.example", true)] {
        let mut request = format!("ws://{address}/").into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(HUNG)).unwrap();
        assert_eq!(tungstenite::client(request, stream).is_ok(), may, "{origin}");
    }
    // One address has half of the places, and no more.
    let mut crowd = Vec::new();
    let begun = Instant::now();
    while venue.stats.read().web_refused == 0 {
        crowd.push(TcpStream::connect(address).unwrap());
        std::thread::sleep(Duration::from_millis(2));
        assert!(begun.elapsed() < HUNG);
    }
    assert!(crowd.len() <= 5, "{} found a place", crowd.len());
    // Whoever was there is served as before.
    let symbol = format!("S{}", instrument.0);
    ask(&mut good, &json!({"op": "subscribe", "symbols": [symbol], "channels": ["depth"]}));
    let mut web = Web::default();
    groups.iter().for_each(|group| venue.turn(group, &mut rng));
    venue.release();
    catch_up(&mut good, &mut web, &venue.book);
    venue.end();
}

#[test]
fn who_asks_for_a_book_again_and_again_is_shown_it_at_a_pace_and_then_turned_away() {
    let mut rng = generator();
    let (instrument, groups) = much(&mut rng);
    let mut venue = Venue::start(Book::new(instrument), *b"SESSION001", &settings(8));
    let address = venue.bound.web.unwrap();
    let symbol = format!("S{}", instrument.0);
    let request =
        |op: &str, times: usize| json!({"op": op, "symbols": vec![&*symbol; times], "channels": ["depth"]});
    let mut good = open(address);
    ask(&mut good, &request("subscribe", 1));
    groups.iter().for_each(|group| venue.turn(group, &mut rng));
    venue.release();
    catch_up(&mut good, &mut Web::default(), &venue.book);

    // A book that is named often is one book, and shown once however often it is asked for before that.
    let mut greedy = open(address);
    for _ in 0..20 {
        ask(&mut greedy, &request("subscribe", 500));
    }
    let mut shown = 0;
    let mut answers = 0;
    while answers < 20 || shown == 0 {
        let said = next(&mut greedy);
        if said["type"] == "snapshot" {
            shown += 1;
        } else {
            assert_eq!((&said["type"], &said["symbols"]), (&json!("subscribed"), &json!(1)), "{said}");
            answers += 1;
        }
    }
    assert!(shown <= 20, "{shown} snapshots for 20 requests");
    // What is not wanted any more is not shown, whenever that was asked for.
    ask(&mut greedy, &request("unsubscribe", 500));
    while next(&mut greedy)["type"] != "unsubscribed" {}

    // More messages than anybody needs, as fast as they go, are the end; pings count.
    for number in 0..5_000 {
        let message = if number % 2 == 0 {
            Message::Ping(vec![b'?'; 100].into())
        } else {
            Message::text(request("subscribe", 500).to_string())
        };
        if greedy.send(message).is_err() {
            break;
        }
    }
    let end = loop {
        match greedy.read() {
            Ok(Message::Close(end)) => break end.expect("it is told why"),
            Ok(_) => {}
            Err(error) => panic!("cut off without a word: {error}"),
        }
    };
    assert_eq!((u16::from(end.code), &*end.reason), (1008, "more than 100 messages in a second"));
    // Whoever was there is served as before.
    ask(&mut good, &request("subscribe", 1));
    catch_up(&mut good, &mut Web::default(), &venue.book);
    venue.end();
}

/// Keeps depth, and all levels, as a gateway of another protocol would.
struct Keeper {
    instrument: InstrumentId,
    kept: Arc<Mutex<(Depth, Ladder)>>,
}

impl Watcher for Keeper {
    fn on_begin(&mut self, market: &Market) {
        let (_, ladder) = &mut *self.kept.lock().unwrap();
        for side in [Side::Buy, Side::Sell] {
            market.levels(self.instrument, side).for_each(|level| ladder.set(side, level.price, Some(level)));
        }
    }

    fn on_turn(&mut self, market: &Market, seen: &Seen) {
        let (depth, ladder) = &mut *self.kept.lock().unwrap();
        if seen.changed.contains(&self.instrument) {
            let before = depth.sequence();
            if let Some(change) = depth.look(|side| market.levels(self.instrument, side).take(DEPTH)) {
                assert_eq!(change.sequence, before + 1);
            }
        }
        for (instrument, side, price) in &seen.prices {
            ladder.set(*side, *price, market.level(*instrument, *side, *price));
        }
    }
}

#[test]
fn whoever_watches_on_the_feeds_thread_sees_what_is_published() {
    let mut rng = generator();
    let (instrument, groups) = much(&mut rng);
    let (before, behind) = groups.split_at(groups.len() / 4);
    let mut venue = Venue::start(Book::new(instrument), *b"SESSION001", &Settings::default());
    before.iter().for_each(|group| venue.turn(group, &mut rng));
    venue.release();
    // Orders stand in the book when the watcher begins.
    let book = venue.end();
    let mut server = Server::bind(&Settings::default()).unwrap();
    let kept = Arc::new(Mutex::new((Depth::default(), Ladder::default())));
    server.watch(Box::new(Keeper { instrument, kept: Arc::clone(&kept) }));
    let mut venue = Venue::start_with(book, *b"SESSION002", server);
    behind.iter().for_each(|group| venue.turn(group, &mut rng));
    venue.release();
    let book = venue.end();
    let (depth, ladder) = &*kept.lock().unwrap();
    for side in [Side::Buy, Side::Sell] {
        let should_be: Vec<_> = book.levels(side).map(|level| (level.price, level.quantity)).collect();
        let is: Vec<_> = ladder.side(side).map(|level| (level.price, level.quantity)).collect();
        assert_eq!(is, should_be, "{side:?}");
        let is: Vec<_> = depth.side(side).iter().map(|level| (level.price, level.quantity)).collect();
        assert_eq!(is, should_be[..DEPTH.min(should_be.len())], "{side:?}");
    }
}
