//! Market data of a running exchange: a subscriber behind a network that loses and reorders has the exchange's books, as
//! the naive books make them of the journal, through kills, restarts and a change of leader.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use domain::Side;
use feed::client::{Addresses, Subscriber};
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::{
    desk::{Desk, any_command},
    pair::Pair,
    party::{Party, Random, parties, trade},
    proxy::Proxy,
    reference::Reference,
    venue::{HUNG, Home, INSTRUMENTS, Settings, Venue, eventually, output, printed},
};

fn free_tcp() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn free_udp() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Where an exchange publishes and serves.
#[derive(Clone, Copy)]
struct Published {
    rerequest: SocketAddr,
    snapshot: SocketAddr,
}

impl Published {
    fn anywhere() -> Self {
        Self { rerequest: free_udp(), snapshot: free_tcp() }
    }

    /// The section of the configuration.
    fn section(&self, mold: SocketAddr) -> String {
        let Self { rerequest, snapshot } = self;
        format!(
            "[feed]\nmold = [\"{mold}\"]\nrerequest = \"{rerequest}\"\nsnapshot = \"{snapshot}\"\nkeep_mib = 1\n"
        )
    }

    fn addresses(&self, mold: SocketAddr) -> Addresses {
        Addresses { mold, interface: None, rerequest: Some(self.rerequest), snapshot: self.snapshot }
    }
}

/// The books of a journal and of a subscriber, compared.
fn differs(subscriber: &Subscriber, reference: &Reference) -> Option<String> {
    for (instrument, symbol) in INSTRUMENTS.iter().enumerate() {
        let Some(book) = subscriber.books().book(instrument as u16 + 1) else {
            return Some(format!("{symbol} is not there"));
        };
        assert_eq!(book.symbol, *symbol);
        for side in [Side::Buy, Side::Sell] {
            let is: Vec<_> =
                book.orders(side).map(|order| (order.order, order.price, order.shares)).collect();
            let should_be = reference.shown(instrument, side);
            if is != should_be {
                return Some(format!("{symbol}, {side:?}: {is:?} should be {should_be:?}"));
            }
        }
    }
    None
}

/// Lets the subscriber catch up with an exchange at which nothing happens now.
fn catch_up(subscriber: &mut Subscriber, home: &Home) {
    let reference = Reference::of(&home.data());
    let begun = Instant::now();
    let mut looked = Instant::now();
    loop {
        let came = subscriber.turn().unwrap();
        if subscriber.whole_up_to().is_some() && (!came || looked.elapsed() > Duration::from_millis(100)) {
            let difference = differs(subscriber, &reference);
            let Some(difference) = difference else { return };
            assert!(begun.elapsed() < HUNG, "{difference}\n{:?}\n{}", subscriber.stats(), home.log());
            looked = Instant::now();
        }
        assert!(begun.elapsed() < HUNG, "{:?}\n{}", subscriber.stats(), home.log());
        if !came {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Special orders of every kind, which the next start of a stopped exchange executes, and finds in its books.
fn put_special_orders(home: &Home, random: &mut Random, count: u32) {
    let mut desk = Desk::open(home);
    for _ in 0..count {
        desk.nanos += random.random_range(0..200_000);
        let command = any_command(&desk, random);
        desk.put(command);
    }
    desk.close();
}

/// What `exchange watch` prints is what the naive books show.
fn watched(published: &Published, home: &Home) {
    let snapshot = published.snapshot.to_string();
    let args = ["watch", "--mold", "127.0.0.1:0", "--snapshot", &snapshot, "--once"];
    let reference = Reference::of(&home.data());
    let lines = printed(&[&args[..], &["--json", "--depth", "1"]].concat());
    let mut books = 0;
    for line in lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
        let Some(symbol) = line["symbol"].as_str() else { continue };
        let instrument = INSTRUMENTS.iter().position(|known| *known == symbol).expect("one of ours");
        for (name, side) in [("bids", Side::Buy), ("asks", Side::Sell)] {
            let shown = reference.shown(instrument, side);
            let units = shown.first().map(|(_, best, _)| {
                shown
                    .iter()
                    .filter(|(_, price, _)| price == best)
                    .map(|(.., units)| u64::from(*units))
                    .sum::<u64>()
            });
            assert_eq!(line[name][0][1].as_u64(), units, "{line}");
        }
        books += 1;
    }
    assert_eq!(books, INSTRUMENTS.len());
    let text = printed(&[&args[..], &["--symbol", "AAPL"]].concat());
    assert!(
        text.starts_with("session ") && text.lines().nth(1).is_some_and(|line| line.starts_with("AAPL")),
        "{text}"
    );
    let unknown = output(&[&args[..], &["--symbol", "NONE"]].concat());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("the feed has no NONE"));
}

/// Special orders may have used numbers of a session.
fn hear_what_is_next(party: &mut Party, venue: &Venue) {
    let (told, next) = venue.client_from(party.user, party.told.len() as u64 + 1).query();
    party.told.extend(told);
    party.skip_to(next);
}

#[test]
fn a_subscribers_books_are_the_exchanges_through_losses_kills_and_restarts() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let (mold, published) = (free_udp(), Published::anywhere());
    let proxy = Proxy::start(mold, seed);
    let settings = Settings { sections: published.section(proxy.address), ..Settings::default() };
    let home = Home::new(settings);
    let mut subscriber = Subscriber::new(published.addresses(mold)).unwrap();
    let mut parties = parties();
    let mut sessions = Vec::new();
    for round in 0..seeded::number("ROUNDS").unwrap_or(4) {
        let venue = home.start();
        sessions.push(venue.feed["session"].clone());
        for party in &mut parties {
            hear_what_is_next(party, &venue);
        }
        for _ in 0..random.random_range(1..4) {
            trade(&venue, &mut parties, &mut random);
            // Not always in time for what is kept.
            if random.random_bool(0.7) {
                catch_up(&mut subscriber, &home);
            }
        }
        catch_up(&mut subscriber, &home);
        if random.random_bool(0.5) {
            venue.kill();
        } else {
            venue.stop();
            let begun = Instant::now();
            while !subscriber.has_ended() && begun.elapsed() < Duration::from_secs(2) {
                subscriber.turn().unwrap();
            }
        }
        if random.random_bool(0.5) {
            put_special_orders(&home, &mut random, 400);
        }
        println!("SEED={seed} round {round}: {:?}", subscriber.stats());
    }
    let venue = home.start();
    for party in &mut parties {
        hear_what_is_next(party, &venue);
    }
    // Packets hold many messages, so some of them are needed.
    let is_bad = || proxy.lost.load(Ordering::Relaxed) > 2 && proxy.late.load(Ordering::Relaxed) > 2;
    for _ in 0..100 {
        trade(&venue, &mut parties, &mut random);
        catch_up(&mut subscriber, &home);
        if is_bad() {
            break;
        }
    }
    watched(&published, &home);
    sessions.sort_by_key(ToString::to_string);
    sessions.dedup();
    assert_eq!(
        sessions.len() as u64,
        seeded::number("ROUNDS").unwrap_or(4),
        "each start has a session of its own"
    );
    let stats = subscriber.stats();
    assert!(stats.snapshots > 4 && stats.faults == 0, "{stats:?}");
    assert!(is_bad(), "a network that loses nothing proves nothing");
}

#[test]
fn a_subscribers_books_are_the_exchanges_after_the_other_node_has_taken_over() {
    let seed = seeded::seed();
    let mut random = Random::seed_from_u64(seed);
    let mut pair = Pair::new("disk+replica");
    let mold = free_udp();
    let proxy = Proxy::start(mold, seed);
    let published = [Published::anywhere(), Published::anywhere()];
    for (node, published) in pair.nodes.iter_mut().zip(published) {
        node.settings.sections = published.section(proxy.address);
    }
    let mut subscriber = Subscriber::new(published[0].addresses(mold)).unwrap();
    let mut parties = parties();
    let mut venue = pair.lead(0);
    let mut standby = pair.follow(1);
    for (leader, other) in [(0, 1), (1, 0)] {
        pair.wait_in_sync(leader);
        trade(&venue, &mut parties, &mut random);
        catch_up(&mut subscriber, &pair.nodes[leader]);
        let mut restless = parties[0].be_restless(&venue, &mut random);
        std::thread::sleep(Duration::from_micros(random.random_range(0..3_000)));
        venue.kill();
        parties[0].told.extend(restless.until_gone());
        eventually("the standby has noticed", || pair.status(other)["follows"].is_null());
        pair.promote(other, &mut standby);
        // Another session, at the other node's address.
        subscriber.take_snapshots_from(published[other].snapshot);
        parties[0].come_back(&standby);
        catch_up(&mut subscriber, &pair.nodes[other]);
        let rejoined = pair.follow(leader);
        (venue, standby) = (standby, rejoined);
    }
    pair.wait_in_sync(0);
    eventually("clients may order again", || {
        !pair.nodes[0].log_lines("new orders are taken from now on").is_empty()
    });
    trade(&venue, &mut parties, &mut random);
    catch_up(&mut subscriber, &pair.nodes[0]);
    assert_eq!(subscriber.stats().faults, 0, "{:?}", subscriber.stats());
}
