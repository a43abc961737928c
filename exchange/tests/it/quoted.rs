//! Market data by FIX of a running exchange: what a client makes of it is the exchange's books, as the naive books make them of
//! the journal, through kills, restarts and a change of leader; who is slow, and who may not come in.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use domain::{Nanos, Side};
use quotes::view::{Levels, View};
use rand::{RngExt, SeedableRng};
use wire::fix::{
    Checker, Fields, Frame, TimePrecision, Writer,
    dictionary::{Dictionary, FIX44, FIX50SP2},
    frame,
};

use crate::{
    pair::Pair,
    party::{Party, Random, parties, trade},
    reference::Reference,
    venue::{HUNG, Home, INSTRUMENTS, Settings, Venue, eventually},
};

const PASSWORD: &str = "a-secret";

/// The section, and users.
fn sections(more: &str) -> String {
    let mut sections = format!("[feed.fix]\naddress = \"127.0.0.1:0\"\n{more}\n");
    for name in ["WATCH1", "WATCH2", "WATCH3"] {
        sections += &format!("[[users]]\nname = \"{name}\"\npassword = \"{PASSWORD}\"\nprotocol = \"fix\"\n");
    }
    sections
}

/// A client of market data.
struct Watch {
    stream: TcpStream,
    name: &'static str,
    dictionary: &'static Dictionary,
    inbox: Vec<u8>,
    /// The next number to be said, and to be heard.
    next: (u64, u64),
    checker: Checker,
    /// By MDReqID.
    views: BTreeMap<Vec<u8>, View>,
    /// Snapshots that have come.
    snapshots: u64,
    /// What came besides: type and fields.
    others: Vec<(String, String)>,
    is_closed: bool,
    /// What it asks for is not kept.
    is_random: bool,
}

fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    Nanos(u64::try_from(since.as_nanos()).expect("before 2554"))
}

impl Watch {
    fn connect(venue: &Venue, name: &'static str, dictionary: &'static Dictionary) -> Self {
        let stream = TcpStream::connect(venue.market_data().expect("it listens")).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self {
            stream,
            name,
            dictionary,
            inbox: Vec::new(),
            next: (1, 1),
            checker: Checker::default(),
            views: BTreeMap::new(),
            snapshots: 0,
            others: Vec::new(),
            is_closed: false,
            is_random: false,
        }
    }

    /// Logs on, as soon as an earlier connection of the session is seen to be gone.
    fn log_on(venue: &Venue, name: &'static str, dictionary: &'static Dictionary) -> Self {
        let version = if dictionary.begin_string == FIX44.begin_string { "" } else { "1137=9|" };
        let begun = Instant::now();
        loop {
            let mut watch = Self::connect(venue, name, dictionary);
            watch.say("A", &format!("98=0|108=60|141=Y|554={PASSWORD}|{version}"));
            let answer = watch.next_other();
            if answer.0 == "A" {
                return watch;
            }
            assert!(answer.0.is_empty() && begun.elapsed() < HUNG, "{name}: {answer:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn say(&mut self, msg_type: &str, body: &str) {
        assert!(self.is_taken(msg_type, body.as_bytes()), "{} is gone", self.name);
    }

    /// Says a message, if somebody hears it.
    fn is_taken(&mut self, msg_type: &str, body: &[u8]) -> bool {
        let mut out = Vec::new();
        let mut writer = Writer::new(TimePrecision::Millis);
        let begin_string = self.dictionary.begin_string.as_bytes();
        let mut message = writer.begin(&mut out, begin_string, msg_type.as_bytes());
        message.number(34, self.next.0).text(49, self.name.as_bytes()).time(52, now());
        message.text(56, b"FULCRUM-MD").fields(&bars(body));
        message.end();
        self.next.0 += 1;
        self.stream.write_all(&out).is_ok()
    }

    /// Asks for all instruments, and whatever changes.
    fn subscribe(&mut self, id: &str, depth: usize, types: &[u8]) {
        let types: String = types.iter().map(|&of| format!("269={}|", char::from(of))).collect();
        let symbols: String = INSTRUMENTS.iter().map(|symbol| format!("55={symbol}|")).collect();
        let (many, all) = (types.len() / 6, INSTRUMENTS.len());
        self.say("V", &format!("262={id}|263=1|264={depth}|265=1|267={many}|{types}146={all}|{symbols}"));
        self.views.insert(id.as_bytes().to_vec(), View::default());
    }

    /// Reads what comes within a while. Says whether anything came.
    fn turn(&mut self, patience: Duration) -> bool {
        self.stream.set_read_timeout(Some(patience)).expect("a timeout");
        let mut bytes = [0; 1 << 16];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.is_closed = true,
            Ok(read) => self.inbox.extend_from_slice(&bytes[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(_) => self.is_closed = true,
        }
        let inbox = std::mem::take(&mut self.inbox);
        let mut used = 0;
        while let Ok(Frame::Message(message, length)) = frame(&inbox[used..], 100_000) {
            let checked = self.checker.check(self.dictionary, &message);
            let text = || String::from_utf8_lossy(message.fields).replace('\x01', "|");
            let checked = checked.unwrap_or_else(|fault| panic!("{fault:?}: {}", text()));
            // What fills a gap has the number of what it stands for.
            if !checked.is_set(43) {
                assert_eq!(checked.int(34), Some(self.next.1 as i64), "{}", text());
                self.next.1 += 1;
            }
            used += length;
            let msg_type = String::from_utf8_lossy(message.msg_type).into_owned();
            match msg_type.as_str() {
                "W" | "X" if !self.is_random => {
                    self.snapshots += u64::from(msg_type == "W");
                    let id = checked.get(262).expect("an MDReqID");
                    let view = self.views.get_mut(id).expect("a request of ours");
                    // Behind the header.
                    let mut body = Fields::new(message.fields);
                    let mut behind = body;
                    while body.next().is_some_and(|field| field.tag != 262) {
                        behind = body;
                    }
                    view.take(message.msg_type, behind.rest())
                        .unwrap_or_else(|fault| panic!("{fault}: {}", text()));
                }
                _ => self.others.push((msg_type, text())),
            }
        }
        self.inbox = inbox[used..].to_vec();
        true
    }

    /// The next message that is no market data.
    fn next_other(&mut self) -> (String, String) {
        let begun = Instant::now();
        while self.others.is_empty() && !self.is_closed {
            self.turn(Duration::from_millis(100));
            assert!(begun.elapsed() < HUNG, "nothing comes");
        }
        if self.others.is_empty() { (String::new(), String::new()) } else { self.others.remove(0) }
    }

    /// What of one request is not as in the books.
    fn differs(&self, id: &str, depth: usize, reference: &Reference) -> Option<String> {
        let view = &self.views[id.as_bytes()];
        for (instrument, symbol) in INSTRUMENTS.iter().enumerate() {
            let Some(book) = view.book(symbol) else { return Some(format!("{id}: no {symbol} yet")) };
            for side in [Side::Buy, Side::Sell] {
                let mut levels: Vec<(i64, (u64, u64))> = Vec::new();
                for (_, price, units) in reference.shown(instrument, side) {
                    match levels.last_mut() {
                        Some((last, (all, orders))) if *last == i64::from(price) => {
                            *all += u64::from(units);
                            *orders += 1;
                        }
                        _ => levels.push((i64::from(price), (u64::from(units), 1))),
                    }
                }
                let should_be: Levels = levels.into_iter().take(depth).collect();
                let is = &book.sides[side as usize];
                if *is != should_be {
                    return Some(format!("{id}: {symbol}, {side:?}: {is:?} should be {should_be:?}"));
                }
            }
        }
        None
    }

    /// Hears what there is, until its books are those of an exchange at which nothing happens now.
    fn catch_up(&mut self, home: &Home, requests: &[(&str, usize)]) {
        let reference = Reference::of(&home.data());
        let begun = Instant::now();
        loop {
            if self.turn(Duration::from_millis(20)) {
                continue;
            }
            let difference = requests.iter().find_map(|(id, depth)| self.differs(id, *depth, &reference));
            let Some(difference) = difference else { return };
            assert!(begun.elapsed() < HUNG, "{difference}\n{}", home.log());
        }
    }
}

/// With an SOH for each bar.
fn bars(text: &[u8]) -> Vec<u8> {
    text.iter().map(|&byte| if byte == b'|' { 1 } else { byte }).collect()
}

const ALL: usize = 500;

fn come_back(parties: &mut [Party], venue: &Venue) {
    parties.iter_mut().for_each(|party| party.come_back(venue));
}

#[test]
fn a_fix_clients_books_are_the_exchanges_through_kills_and_restarts() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let home = Home::new(Settings { sections: sections(""), ..Settings::default() });
    let mut parties = parties();
    for round in 0..seeded::number("ROUNDS").unwrap_or(3) {
        let venue = home.start();
        come_back(&mut parties, &venue);
        // Before there is much, and in the middle of it.
        let mut first = Watch::log_on(&venue, "WATCH1", &FIX44);
        first.subscribe("all", 0, b"012");
        first.subscribe("three", 3, b"01");
        trade(&venue, &mut parties, &mut random);
        let mut second = Watch::log_on(&venue, "WATCH2", &FIX50SP2);
        second.subscribe("top", 1, b"10");
        trade(&venue, &mut parties, &mut random);
        first.catch_up(&home, &[("all", ALL), ("three", 3)]);
        second.catch_up(&home, &[("top", 1)]);
        let again = random.random_bool(0.5);
        if again {
            // A request that ends, and another one under its name.
            second.say("V", "262=top|263=2|264=1|");
            second.subscribe("top", 2, b"01");
        }
        trade(&venue, &mut parties, &mut random);
        first.catch_up(&home, &[("all", ALL), ("three", 3)]);
        second.catch_up(&home, &[("top", if again { 2 } else { 1 })]);
        let trades = first.views.get_mut(&b"all"[..]).map(View::take_trades).unwrap_or_default();
        println!("SEED={seed} round {round}: {} snapshots, {} trades", first.snapshots, trades.len());
        assert!(trades.iter().any(|trade| !trade.is_old), "no trade was told");
        if random.random_bool(0.5) {
            venue.kill();
        } else {
            venue.stop();
            let (msg_type, text) = first.next_other();
            assert!(msg_type == "5" && text.contains("58=the exchange stops"), "{msg_type} {text}");
        }
    }
}

#[test]
fn a_fix_clients_books_are_the_exchanges_after_the_other_node_has_taken_over() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let mut pair = Pair::new("disk+replica");
    for node in &mut pair.nodes {
        node.settings.sections = sections("");
    }
    let mut parties = parties();
    let venue = pair.lead(0);
    let mut standby = pair.follow(1);
    pair.wait_in_sync(0);
    let mut watch = Watch::log_on(&venue, "WATCH1", &FIX44);
    watch.subscribe("all", 0, b"01");
    trade(&venue, &mut parties, &mut random);
    watch.catch_up(&pair.nodes[0], &[("all", ALL)]);
    assert!(standby.market_data().is_none(), "who follows tells nobody of books");
    venue.kill();
    eventually("the standby has noticed", || pair.status(1)["follows"].is_null());
    pair.promote(1, &mut standby);
    eventually("clients may order again", || {
        !pair.nodes[1].log_lines("new orders are taken from now on").is_empty()
    });
    let mut watch = Watch::log_on(&standby, "WATCH1", &FIX44);
    watch.subscribe("all", 0, b"01");
    watch.catch_up(&pair.nodes[1], &[("all", ALL)]);
    come_back(&mut parties, &standby);
    trade(&standby, &mut parties, &mut random);
    watch.catch_up(&pair.nodes[1], &[("all", ALL)]);
}

#[test]
fn a_fix_client_that_does_not_read_is_told_the_books_anew_or_cut_off_and_holds_nobody_up() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let mut settings = Settings::args(&["--shards", "2", "--status", "0.2"]);
    settings.sections = sections("");
    let home = Home::new(settings);
    let mut venue = home.start();
    let mut parties = parties();
    let mut good = Watch::log_on(&venue, "WATCH1", &FIX44);
    good.subscribe("all", 0, b"012");
    // As much as one may ask for.
    let ids: Vec<String> = (0..256 / INSTRUMENTS.len()).map(|at| format!("r{at}")).collect();
    let greedy = |name| {
        let mut watch = Watch::log_on(&venue, name, &FIX44);
        ids.iter().for_each(|id| watch.subscribe(id, 0, b"01"));
        watch
    };
    let (mut slow, dead) = (greedy("WATCH2"), greedy("WATCH3"));
    let conflated =
        |venue: &mut Venue| venue.line("status")["feed"]["fix_conflated"].as_u64().expect("a number");
    while conflated(&mut venue) < 2 {
        for _ in 0..5 {
            trade(&venue, &mut parties, &mut random);
        }
        good.catch_up(&home, &[("all", ALL)]);
    }
    let requests: Vec<(&str, usize)> = ids.iter().map(|id| (id.as_str(), ALL)).collect();
    slow.catch_up(&home, &requests);
    let first = (ids.len() * INSTRUMENTS.len()) as u64;
    println!("SEED={seed}: {} snapshots", slow.snapshots);
    // The other one is cut off after a while, and nobody else is.
    let mut cut = 0;
    eventually("who never reads is cut off", || {
        trade(&venue, &mut parties, &mut random);
        slow.turn(Duration::from_millis(1));
        good.turn(Duration::from_millis(1));
        cut = venue.line("status")["feed"]["fix_cut"].as_u64().expect("a number");
        cut > 0
    });
    assert_eq!(cut, 1);
    slow.catch_up(&home, &requests);
    good.catch_up(&home, &[("all", ALL)]);
    assert!(slow.snapshots > first, "it was never behind");
    assert!(home.log().contains("WATCH3: does not read"), "{}", home.log());
    drop(dead);
}

/// What a client may say, to be bent.
const SAID: [(&str, &str); 9] = [
    ("V", "262=a|263=1|264=0|265=1|267=3|269=0|269=1|269=2|146=2|55=AAPL|55=MSFT|"),
    ("V", "262=b|263=1|264=5|265=0|267=2|269=0|269=1|146=1|55=NVDA|"),
    ("V", "262=c|263=0|264=1|267=1|269=2|146=5|55=AAPL|55=MSFT|55=NVDA|55=AMZN|55=LOTS|"),
    ("V", "262=a|263=2|264=0|"),
    ("x", "320=l|559=4|"),
    ("1", "112=there|"),
    ("2", "7=1|16=0|"),
    ("A", "98=0|108=60|141=Y|"),
    ("D", "11=o|55=AAPL|54=1|60=20261129-12:00:00|38=100|40=2|44=10|"),
];

#[test]
fn bent_requests_break_nothing_and_are_answered_by_messages_of_the_dictionary() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let home = Home::new(Settings { sections: sections(""), ..Settings::default() });
    let mut venue = home.start();
    let mut parties = parties();
    let mut good = Watch::log_on(&venue, "WATCH1", &FIX44);
    good.subscribe("all", 0, b"012");
    let (mut logons, mut answers) = (0, 0);
    for round in 0..seeded::number("ROUNDS").unwrap_or(20) {
        let mut bent = Watch::log_on(&venue, "WATCH2", [&FIX44, &FIX50SP2][usize::from(round % 2 == 1)]);
        bent.is_random = true;
        logons += 1;
        for _ in 0..40 {
            let (msg_type, body) = SAID[random.random_range(0..SAID.len())];
            let mut body = body.as_bytes().to_vec();
            for _ in 0..random.random_range(0..3) {
                let (at, other) = (random.random_range(0..body.len()), random.random_range(0..body.len()));
                match random.random_range(0..4) {
                    0 => body[at] = random.random_range(2..=255),
                    1 => body[at] = b"0123456789=|"[random.random_range(0..12)],
                    2 => _ = body.remove(at),
                    _ => body.extend_from_within(at.min(other)..at.max(other)),
                }
                if body.is_empty() || body.last() != Some(&b'|') {
                    body.push(b'|');
                }
            }
            // Now and then with a number that is not the next.
            bent.next.0 += u64::from(random.random_range(0..30) == 0);
            if !bent.is_taken(msg_type, &body) || bent.is_closed {
                break;
            }
            // A logon begins anew in both directions.
            if msg_type == "A" {
                break;
            }
            bent.turn(Duration::from_millis(1));
        }
        trade(&venue, &mut parties, &mut random);
        good.catch_up(&home, &[("all", ALL)]);
        answers += bent.others.len();
        assert!(venue.is_alive());
    }
    println!("SEED={seed}: {answers} answers in {logons} sessions");
    assert!(answers > 30, "{answers} answers prove little");
    venue.stop();
}
