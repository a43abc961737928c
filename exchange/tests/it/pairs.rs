//! Several pairs of exchanges on addresses of the loopback network, and a router before them.
//!
//! What a router has told a client is compared with what each pair says itself: the pairs' streams, each whole and in its
//! order, and between them nothing but what the router says in its own name.

#[cfg(feature = "etcd-tests")]
mod elected;
mod hostile;
mod router;

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::PoisonError,
};

use client::ClientError;
use wire::{
    ouch::{Elsewhere, Outbound, codes},
    soup,
};

use crate::{
    client::{Raw, Said, cancel, enter, login_bytes, replace, request_bytes},
    venue::{HUNG, Home, PASSWORD, Settings, Venue, eventually, exchange},
};

const UNREACHABLE: u16 = 0x01;
const STALE: u16 = 0x16;
const UNKNOWN: u16 = 0x17;
const ELSEWHERE: u16 = 0x1C;

/// A port that is free now, on an address of the loopback network that is this node's alone.
fn address(pair: u8, node: u8) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, pair, node), 0)).expect("a free port");
    listener.local_addr().expect("it is bound")
}

/// A placement map in a file.
struct Map {
    home: Home,
    east: Vec<SocketAddr>,
    west: Vec<SocketAddr>,
}

impl Map {
    fn new(east: &[SocketAddr], west: &[SocketAddr]) -> Self {
        Self { home: Home::new(Settings::default()), east: east.to_vec(), west: west.to_vec() }
    }

    fn file(&self) -> PathBuf {
        self.home.file("placement.json")
    }

    /// Writes a map in which `east` has these instruments, and `west` those.
    fn write(&self, generation: u64, east: &[&str], west: &[&str]) {
        let placed = |symbols: &[&str], pair: &str| {
            symbols.iter().map(|symbol| (symbol.to_string(), pair.into())).collect::<Vec<_>>()
        };
        let instruments: serde_json::Map<String, serde_json::Value> =
            [placed(east, "east"), placed(west, "west")].concat().into_iter().collect();
        let map = serde_json::json!({
            "version": 1,
            "generation": generation,
            "pairs": { "east": self.east, "west": self.west },
            "instruments": instruments,
        });
        let draft = self.home.file("draft");
        fs::write(&draft, map.to_string()).expect("a file");
        fs::rename(draft, self.file()).expect("a file");
    }

    /// The arguments of a node of the pair `name`.
    fn args(&self, name: &str) -> Vec<String> {
        vec!["--pair".into(), name.into(), "--placement-map".into(), self.file().display().to_string()]
    }
}

/// A router's directory and log.
struct Router {
    home: Home,
    map: Vec<String>,
}

impl Router {
    fn new(map: &Map) -> Self {
        Self::with(vec!["--placement-map".into(), map.file().display().to_string()])
    }

    fn with(map: Vec<String>) -> Self {
        Self { home: Home::new(Settings::default()), map }
    }

    fn start(&self) -> Venue {
        let mut command = exchange();
        command.args(["route", "--json", "--soup", "127.0.0.1:0", "--data"]);
        command.arg(self.home.file("route")).args(&self.map);
        let mut venue = self.home.launch_as(command);
        venue.listens();
        venue
    }

    /// Starts it again, for clients that know their sessions.
    fn start_again(&self, sessions: &BTreeMap<&'static str, String>) -> Venue {
        let venue = self.start();
        *venue.sessions.lock().unwrap_or_else(PoisonError::into_inner) = sessions.clone();
        venue
    }

    fn says(&self, what: &str) {
        eventually(what, || !self.home.log_lines(what).is_empty());
    }
}

/// Two exchanges without standbys, and the map that places them.
struct Two {
    map: Map,
    homes: [Home; 2],
}

impl Two {
    fn new() -> Self {
        let addresses = [address(1, 1), address(2, 1)];
        let map = Map::new(&addresses[..1], &addresses[1..]);
        let homes = [("east", addresses[0]), ("west", addresses[1])].map(|(name, address)| {
            let more = ["--shards".into(), "2".into(), "--soup".into(), address.to_string()];
            Home::new(Settings { args: [&more[..], &map.args(name)].concat(), ..Settings::default() })
        });
        Self { map, homes }
    }

    fn start(&self) -> [Venue; 2] {
        [self.homes[0].start(), self.homes[1].start()]
    }

    /// Waits until both go by the map of this generation.
    fn takes_in(&self, generation: u64) {
        for home in &self.homes {
            let what = format!("placement map of generation {generation}:");
            eventually(&what, || !home.log_lines(&what).is_empty());
        }
    }
}

fn rejected(said: &Said) -> (u32, u16) {
    match said.message() {
        Outbound::Rejected(rejected) => (rejected.user_ref, rejected.reason),
        other => panic!("{other:?}"),
    }
}

fn accepted(said: &Said) -> u32 {
    match said.message() {
        Outbound::Accepted(accepted) => accepted.user_ref,
        other => panic!("{other:?}"),
    }
}

fn order(user_ref: u32, symbol: &str) -> wire::ouch::Inbound<'static> {
    enter(user_ref, b'B', 10, symbol, 10_000, codes::DAY)
}

/// Everything that a user has been told.
fn all_told(venue: &Venue, user: &'static str) -> Vec<Said> {
    let next = venue.client(user).connection.next_sequence();
    let mut told = Vec::new();
    // A router that has not seen yet that its client is gone takes the session back.
    eventually("nobody else has the session", || {
        let mut client = venue.client_from(user, 1);
        told.clear();
        while client.connection.next_sequence() < next {
            match client.connection.receive(HUNG) {
                Ok(Some(message)) => {
                    told.push(Said { number: message.sequence, bytes: message.bytes.to_vec() });
                }
                Ok(None) => panic!("{user} is told nothing"),
                Err(ClientError::Closed { .. }) => return false,
                Err(error) => panic!("{user}: {error}"),
            }
        }
        true
    });
    told
}

/// Everything that a pair has told a user, but answers to account queries, which a router asks and does not pass on.
fn told_by(venue: &Venue, user: &'static str) -> Vec<Vec<u8>> {
    all_told(venue, user)
        .into_iter()
        .filter(|said| !matches!(said.message(), Outbound::AccountQueryResponse(_)))
        .map(|said| said.bytes)
        .collect()
}

/// What a router told is what the pairs told: all of it, once, each pair's in its order. Gives what the router said itself.
fn compare(told: &[Said], pairs: &[&Venue], user: &'static str) -> Vec<Said> {
    let streams: Vec<_> = pairs.iter().map(|venue| told_by(venue, user)).collect();
    let mut at = vec![0; streams.len()];
    let mut own = Vec::new();
    for said in told {
        match (0..streams.len()).find(|pair| streams[*pair].get(at[*pair]) == Some(&said.bytes)) {
            Some(pair) => at[pair] += 1,
            None => own.push(said.clone()),
        }
    }
    for (pair, stream) in streams.iter().enumerate() {
        assert_eq!(at[pair], stream.len(), "{user}: the rest of pair {pair} was not told");
    }
    for said in &own {
        let is_own = match said.message() {
            Outbound::AccountQueryResponse(_) | Outbound::CancelReject(_) => true,
            Outbound::Rejected(rejected) => [UNREACHABLE, STALE, UNKNOWN].contains(&rejected.reason),
            _ => false,
        };
        assert!(is_own, "{user}: no pair has said {:?}", said.message());
    }
    own
}

#[test]
fn a_pair_says_where_an_instrument_lives_that_does_not_live_there() {
    let two = Two::new();
    let [east, _west] = two.start();
    // Before there is a map nothing lives anywhere.
    let mut client = east.client("ALICE");
    client.ask(&order(1, "AAPL"));
    assert_eq!(rejected(&client.next()), (1, ELSEWHERE));
    two.map.write(3, &["AAPL", "AMZN"], &["MSFT", "NVDA"]);
    two.takes_in(3);
    let mut raw = Raw::connect(east.address);
    raw.write(&login_bytes("BOB", PASSWORD, "", 0));
    assert_eq!(raw.answer().expect("an answer").0, soup::kind::LOGIN_ACCEPTED);
    let mut ask = |request: &wire::ouch::Inbound<'_>| {
        raw.write(&request_bytes(request));
        let (kind, bytes) = raw.answer().expect("an answer");
        if kind == soup::kind::SEQUENCED {
            return (None, Said { number: 0, bytes });
        }
        assert_eq!(kind, soup::kind::UNSEQUENCED);
        let (kind, message) = raw.answer().expect("an answer");
        assert_eq!(kind, soup::kind::SEQUENCED);
        (Some(bytes), Said { number: 0, bytes: message })
    };
    let (None, said) = ask(&order(1, "AAPL")) else { panic!("it lives here") };
    assert_eq!(accepted(&said), 1);
    for (user_ref, symbol, pair) in [(2, "MSFT", "west"), (3, "LOTS", "")] {
        let (Some(bytes), said) = ask(&order(user_ref, symbol)) else { panic!("nobody says where") };
        assert_eq!(rejected(&said), (user_ref, ELSEWHERE));
        let elsewhere = Elsewhere::decode(&bytes).expect("where it lives");
        assert_eq!((elsewhere.user_ref, elsewhere.generation), (user_ref, 3));
        assert_eq!(elsewhere.pair_name(), pair);
        let addresses = if pair.is_empty() { String::new() } else { two.map.west[0].to_string() };
        assert_eq!(elsewhere.addresses(), addresses);
        assert_eq!(elsewhere.symbol.trim_ascii_end(), symbol.as_bytes());
    }
    // The map knows it and no exchange does; and nobody does.
    let (None, said) = ask(&order(4, "NONE")) else { panic!("nobody knows it") };
    assert_eq!(rejected(&said), (4, UNKNOWN));
    // It moves away, and its book does not: what is open can be canceled, and nothing comes to it.
    two.map.write(4, &["AMZN"], &["MSFT", "NVDA", "AAPL"]);
    two.takes_in(4);
    let (Some(bytes), said) = ask(&order(100, "AAPL")) else { panic!("it lives elsewhere now") };
    assert_eq!(rejected(&said), (100, ELSEWHERE));
    assert_eq!(Elsewhere::decode(&bytes).expect("where it lives").generation, 4);
    let (Some(bytes), said) = ask(&replace(1, 101, 10, 10_100)) else { panic!("it lives elsewhere now") };
    assert_eq!(rejected(&said), (101, ELSEWHERE));
    assert_eq!(Elsewhere::decode(&bytes).expect("where it lives").pair_name(), "west");
    let (None, said) = ask(&cancel(1, 0)) else { panic!("a cancel is taken") };
    assert!(matches!(said.message(), Outbound::Canceled(canceled) if canceled.user_ref == 1));
    // What was decided by the map is in the journal; a replay asks for none.
    drop(raw);
    let state = east.stop_state();
    assert_eq!(two.homes[0].replay(3)["state"], state);
}
