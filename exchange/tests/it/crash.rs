//! SIGKILL at random moments under load, and what must be there after the restart: see `audit`.
//!
//! A round: clients trade for up to 0.3 s; the process is killed at a random moment of it, now and then once more
//! while it recovers; with ack disk the shared memory is now and then lost as well; it is started again on the same
//! directory and audited; clients send again what they are not sure of, and go on. Every few rounds it is also stopped
//! cleanly, and every few more all begins with a new directory and other settings. `CROUNDS` says how many rounds (50,
//! in debug builds 10), `SEED` repeats the choice of moments.

use std::{
    collections::{BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use client::ClientError;
use domain::SessionId;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;
use rustix::process::{Signal, kill_process};
use wire::ouch::{Inbound, Outbound, codes, inbound::ModifyOrder};

use crate::{
    audit::{Evidence, audit},
    client::{Client, Said, cancel, enter, replace},
    venue::{HUNG, Home, INSTRUMENTS, Settings, USERS, Venue, text},
};

/// Sessions that trade.
const TRADERS: usize = 4;
/// Rounds on one directory.
const ROUNDS_ON_ONE: u64 = 10;
/// Requests that a client sends again after a crash.
const AGAIN: usize = 64;
/// Orders that a client leaves open at most, or nearly.
const OPEN_MAX: usize = 100;
/// A client's ring of requests, in bytes, has room for another one.
const ROOM: usize = 256;

type Random = Xoshiro256StarStar;

/// A session that trades at random.
struct Trader {
    session: SessionId,
    user: &'static str,
    client: Client,
    /// What it has been told since it last asked for everything.
    seen: Vec<Said>,
    /// The numbers of the orders that it has asked for.
    asked: BTreeSet<u32>,
    next_ref: u32,
    /// Orders that may be open, oldest first.
    open: VecDeque<u32>,
    /// The last orders that it has sent.
    sent: VecDeque<Inbound<'static>>,
    gone: bool,
}

impl Trader {
    fn new(venue: &Venue, index: usize) -> Self {
        let user = USERS[index];
        Self {
            session: SessionId(u32::try_from(index).expect("few")),
            user,
            client: venue.client_from(user, 1),
            seen: Vec::new(),
            asked: BTreeSet::new(),
            next_ref: 1,
            open: VecDeque::new(),
            sent: VecDeque::new(),
            gone: false,
        }
    }

    /// Puts something that a client might send.
    fn put(&mut self, random: &mut Random) {
        if self.client.connection.room() < ROOM {
            return;
        }
        let request = match random.random_range(0..100) {
            _ if self.open.len() >= OPEN_MAX => {
                let oldest = self.open.pop_front().expect("many are open");
                cancel(oldest, 0)
            }
            0..60 => self.enter(random),
            60..75 if !self.open.is_empty() => {
                let at = random.random_range(0..self.open.len());
                cancel(self.open[at], random.random_range(0..150))
            }
            75..80 if !self.open.is_empty() => {
                let at = random.random_range(0..self.open.len());
                let side = b"BSTE"[random.random_range(0..4)];
                let quantity = random.random_range(1..150);
                Inbound::ModifyOrder(ModifyOrder { user_ref: self.open[at], side, quantity })
            }
            80..93 if !self.open.is_empty() => {
                let at = random.random_range(0..self.open.len());
                let original = self.open.remove(at).expect("it is there");
                let price = if random.random_bool(0.95) { near(random) } else { 1 };
                self.order(
                    |user_ref, random| replace(original, user_ref, random.random_range(1..200), price),
                    random,
                )
            }
            _ => Inbound::AccountQuery,
        };
        self.client.put(&request);
    }

    fn enter(&mut self, random: &mut Random) -> Inbound<'static> {
        let side = if random.random_bool(0.5) { b'B' } else { b'S' };
        let symbol = if random.random_bool(0.98) { INSTRUMENTS[random.random_range(0..4)] } else { "NONE" };
        let tif = [codes::DAY, codes::DAY, codes::GOOD_TILL_CANCEL, codes::IMMEDIATE_OR_CANCEL];
        let tif = tif[random.random_range(0..4)];
        let price = if random.random_bool(0.97) { near(random) } else { codes::PRICE_MARKET };
        self.order(
            |user_ref, random| enter(user_ref, side, random.random_range(1..150), symbol, price, tif),
            random,
        )
    }

    fn order(
        &mut self,
        make: impl FnOnce(u32, &mut Random) -> Inbound<'static>,
        random: &mut Random,
    ) -> Inbound<'static> {
        let user_ref = self.next_ref;
        self.next_ref += random.random_range(1..3);
        let request = make(user_ref, random);
        self.asked.insert(user_ref);
        self.open.push_back(user_ref);
        self.sent.push_back(request);
        if self.sent.len() > AGAIN {
            self.sent.pop_front();
        }
        request
    }

    /// Writes and reads what goes at once. Says whether anything came.
    fn turn(&mut self) -> bool {
        let before = self.seen.len();
        let written = self.client.connection.flush().map(|_| ());
        let read = self.client.connection.fill().map(|_| ());
        // What came before the end was seen as well.
        while let Ok(Some(message)) = self.client.connection.next() {
            self.seen.push(Said { number: message.sequence, bytes: message.bytes.to_vec() });
        }
        // When writing fails, reading will, once all that had come has been read.
        let _ = is_gone(written, self.user);
        self.gone = is_gone(read, self.user);
        self.seen.len() != before
    }

    /// Asks a restarted exchange for everything, and returns it.
    fn history(&mut self, venue: &Venue) -> Vec<Said> {
        let next = venue.client(self.user).connection.next_sequence();
        self.client = venue.client_from(self.user, 1);
        self.gone = false;
        let mut history = self.client.up_to(next - 1);
        let (more, next) = self.client.query();
        history.extend(more);
        // Numbers that were sent and never arrived are free again, but for a client that counts on it is simpler not
        // to use them.
        assert!(next <= self.next_ref, "{}: {next} is next, and {} never was", self.user, self.next_ref);
        history
    }
}

fn near(random: &mut Random) -> u64 {
    random.random_range(9_980..10_020) * 100
}

fn is_gone(result: Result<(), ClientError>, user: &str) -> bool {
    match result {
        Ok(()) => false,
        Err(error) if error.is_gone() => true,
        Err(error) => panic!("{user}: {error}"),
    }
}

/// Trades until `done` says so, or the exchange is gone.
fn trade(traders: &mut [Trader], random: &mut Random, mut done: impl FnMut() -> bool) {
    let hung = Instant::now() + HUNG;
    while !done() && traders.iter().any(|trader| !trader.gone) {
        let mut came = false;
        for trader in traders.iter_mut().filter(|trader| !trader.gone) {
            for _ in 0..random.random_range(0..5) {
                trader.put(random);
            }
            came |= trader.turn();
        }
        if !came {
            std::thread::sleep(Duration::from_micros(200));
        }
        assert!(Instant::now() < hung, "the exchange does not die");
    }
}

/// Asks the exchange, its journal and the replays for everything.
fn evidence(home: &Home, venue: &Venue, traders: &mut [Trader], shards: &[u16]) -> Evidence {
    let mut evidence = Evidence::default();
    evidence.states.push(("the recovery".into(), venue.recovered_state()));
    for trader in traders {
        evidence.seen.insert(trader.session, std::mem::take(&mut trader.seen));
        evidence.asked.insert(trader.session, trader.asked.clone());
        let history = trader.history(venue);
        trader.seen.clone_from(&history);
        evidence.histories.insert(trader.session, history);
    }
    evidence.add_journal(home, shards);
    evidence
}

/// One round's kill, restart and audit. Returns the restarted exchange and the state that it has. `tail_lost`: what only
/// the shared memory had is gone too, as when the machine dies; the disk must have all that was said.
fn kill_and_audit(
    home: &Home,
    venue: Venue,
    traders: &mut [Trader],
    random: &mut Random,
    tail_lost: bool,
) -> (Venue, String) {
    let after = Duration::from_micros(random.random_range(0..300_000));
    let pid = venue.pid();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(after);
            kill_process(pid, Signal::KILL).expect("it can be killed");
        });
        trade(traders, random, || false);
    });
    venue.kill();
    if tail_lost {
        std::fs::remove_file(home.tail().expect("a killed process leaves its tail"))
            .expect("removing the tail");
    }
    while random.random_bool(0.25) {
        let recovering = home.launch();
        std::thread::sleep(Duration::from_micros(random.random_range(0..20_000)));
        recovering.kill();
    }
    let venue = home.start();
    let evidence = evidence(home, &venue, traders, &[1, 2, 4, 8]);
    audit(&evidence).unwrap_or_else(|problem| {
        panic!("killed after {after:?}, tail lost: {tail_lost}: {problem}\nits log:\n{}", home.log())
    });
    let state = venue.recovered_state();
    (venue, state)
}

/// What clients do after a lost connection: send again what they are not sure of.
fn send_again(traders: &mut [Trader]) {
    for trader in traders {
        for request in &trader.sent {
            trader.client.put(request);
        }
        trader.client.flush();
    }
}

fn settings(ack: &'static str, random: &mut Random) -> Settings {
    let pick = |of: &[&'static str], random: &mut Random| of[random.random_range(0..of.len())];
    let args = [
        "--shards",
        pick(&["1", "2", "3"], random),
        "--idle",
        pick(&["backoff", "park"], random),
        "--inline",
        pick(&["0", "64"], random),
        "--placement",
        pick(&["hash", "round-robin"], random),
        // So that the kill is in the middle of moves.
        "--balance",
        pick(&["full", "drill", "drill"], random),
    ];
    // From never waiting to hardly ever being admitted at once.
    let admission =
        pick(&["window = 0", "", "window = 2\nsojourn_us = 2000", "window = 1\nsojourn_us = 100"], random);
    Settings { ack, admission, segment_mib: 1, ..Settings::args(&args) }
}

fn rounds_asked() -> u64 {
    seeded::number("CROUNDS").unwrap_or(if cfg!(debug_assertions) { 10 } else { 50 })
}

fn rounds(ack: &'static str, rounds: u64) {
    let mut random = Random::seed_from_u64(seeded::seed());
    let mut acknowledged = 0;
    let mut round = 0;
    while round < rounds {
        let home = Home::new(settings(ack, &mut random));
        let mut venue = home.start();
        let mut traders: Vec<_> = (0..TRADERS).map(|index| Trader::new(&venue, index)).collect();
        for _ in 0..ROUNDS_ON_ONE.min(rounds - round) {
            round += 1;
            let state;
            let tail_lost = ack == "disk" && random.random_bool(0.3);
            (venue, state) = kill_and_audit(&home, venue, &mut traders, &mut random, tail_lost);
            if random.random_bool(0.3) {
                // Nothing was traded since; a stop and another start change nothing.
                assert_eq!(venue.stop_state(), state, "round {round}");
                venue = home.start();
                assert_eq!(venue.recovered_state(), state, "round {round}");
                assert_eq!(
                    venue.recovered["reports_completed"], 0,
                    "round {round}: a clean stop left something"
                );
                for trader in &mut traders {
                    let seen = trader.history(&venue);
                    assert_eq!(seen[..trader.seen.len()], trader.seen, "round {round}");
                    trader.seen = seen;
                }
            }
            send_again(&mut traders);
        }
        acknowledged += traders.iter().map(|trader| trader.asked.len()).sum::<usize>();
        // What the last clean stop says is what a replay says.
        let deadline = Instant::now() + Duration::from_millis(100);
        trade(&mut traders, &mut random, || Instant::now() >= deadline);
        let stopped = venue.stop();
        let state = text(&stopped, "state");
        let args = &home.settings.args;
        if args.iter().any(|arg| arg == "drill") && args[1] != "1" {
            let moves = stopped["moves"].as_u64();
            assert!(moves.is_some_and(|moves| moves > 10), "books moved while they traded: {stopped}");
        }
        let mut evidence = Evidence::default();
        evidence.states.push(("the clean stop".into(), state));
        evidence.add_journal(&home, &[1, 2, 4, 8]);
        audit(&evidence).unwrap_or_else(|problem| panic!("after the clean stop: {problem}"));
    }
    println!("{rounds} rounds with ack {ack}, {acknowledged} orders");
}

#[test]
fn nothing_is_lost_doubled_or_changed_by_kills_with_ack_disk() {
    rounds("disk", rounds_asked());
}

#[test]
fn nothing_is_lost_doubled_or_changed_by_kills_with_ack_memory() {
    rounds("memory", rounds_asked().div_ceil(4));
}

/// Evidence of one round that passes the audit, for the canaries.
fn sound() -> Evidence {
    let mut random = Random::seed_from_u64(seeded::seed());
    let home = Home::new(settings("memory", &mut random));
    let venue = home.start();
    let mut traders: Vec<_> = (0..2).map(|index| Trader::new(&venue, index)).collect();
    let hung = Instant::now() + HUNG;
    let mut turns = 0;
    trade(&mut traders, &mut random, || {
        turns += 1;
        turns > 200 || Instant::now() > hung
    });
    venue.kill();
    let venue = home.start();
    let evidence = evidence(&home, &venue, &mut traders, &[2]);
    audit(&evidence).expect("nothing is wrong yet");
    evidence
}

/// The place of an acknowledgement that a client saw: one from the middle.
fn an_acknowledgement(evidence: &Evidence) -> (SessionId, usize) {
    let (session, seen) = evidence.seen.first_key_value().expect("a session");
    let accepted = |said: &&Said| matches!(said.message(), Outbound::Accepted(_));
    let all: Vec<_> = seen.iter().filter(accepted).collect();
    let number = all[all.len() / 2].number;
    (*session, usize::try_from(number - 1).expect("few"))
}

/// The audit of evidence that `spoil` has made wrong must name `problem`.
fn canary(problem: &str, spoil: impl FnOnce(&mut Evidence)) {
    let mut evidence = sound();
    spoil(&mut evidence);
    let found = audit(&evidence).expect_err("the audit has overlooked it");
    assert!(found.contains(problem), "{found}");
}

/// Gives a history numbers without a gap, as if nothing had happened.
fn renumber(history: &mut [Said]) {
    for (said, number) in history.iter_mut().zip(1..) {
        said.number = number;
    }
}

fn both<'a>(evidence: &'a mut Evidence, session: &SessionId) -> [&'a mut Vec<Said>; 2] {
    [
        evidence.histories.get_mut(session).expect("a history"),
        evidence.logged.get_mut(session).expect("a journal"),
    ]
}

#[test]
fn the_audit_finds_an_acknowledgement_that_is_dropped() {
    canary("had to come", |evidence| {
        let (session, at) = an_acknowledgement(evidence);
        evidence.histories.get_mut(&session).expect("a history").remove(at);
    });
}

#[test]
fn the_audit_finds_an_acknowledgement_that_is_dropped_without_a_trace() {
    canary("another one now", |evidence| {
        let (session, at) = an_acknowledgement(evidence);
        for history in both(evidence, &session) {
            history.remove(at);
            renumber(history);
        }
    });
}

#[test]
fn the_audit_finds_an_acknowledgement_that_is_doubled() {
    canary("was acknowledged 2 times", |evidence| {
        let (session, at) = an_acknowledgement(evidence);
        evidence.seen.clear();
        for history in both(evidence, &session) {
            history.insert(at, history[at].clone());
            renumber(history);
        }
    });
}

#[test]
fn the_audit_finds_a_number_that_is_altered() {
    canary("had to come", |evidence| {
        let (session, at) = an_acknowledgement(evidence);
        evidence.histories.get_mut(&session).expect("a history")[at].number += 1;
    });
}

#[test]
fn the_audit_finds_a_byte_that_is_altered() {
    canary("another one now", |evidence| {
        let (session, at) = an_acknowledgement(evidence);
        for history in both(evidence, &session) {
            history[at].bytes[3] ^= 1;
        }
    });
}

#[test]
fn the_audit_finds_the_end_of_a_history_that_is_cut_off() {
    canary("was seen and is gone", |evidence| {
        let (session, _) = an_acknowledgement(evidence);
        let last = evidence.seen[&session].last().expect("much").number;
        for history in both(evidence, &session) {
            history.truncate(usize::try_from(last - 1).expect("few"));
        }
    });
}

#[test]
fn the_audit_finds_an_order_that_is_not_in_the_journal() {
    canary("is in the journal 0 times", |evidence| {
        let (session, at) = an_acknowledgement(evidence);
        let said = evidence.histories[&session][at].clone();
        let Outbound::Accepted(accepted) = said.message() else { panic!("{said:?}") };
        evidence.orders.retain(|owner| (owner.session, owner.client_ref.0) != (session, accepted.user_ref));
    });
}

#[test]
fn the_audit_finds_an_order_that_nobody_asked_for() {
    canary("nobody asked for it", |evidence| {
        let (session, at) = an_acknowledgement(evidence);
        let said = evidence.histories[&session][at].clone();
        let Outbound::Accepted(accepted) = said.message() else { panic!("{said:?}") };
        evidence.asked.get_mut(&session).expect("a session").remove(&accepted.user_ref);
    });
}

#[test]
fn the_audit_finds_a_report_that_was_never_made() {
    canary("do not follow", |evidence| {
        let middle = evidence.reported.len() / 2;
        evidence.reported.remove(middle);
    });
}

#[test]
fn the_audit_finds_a_state_that_differs() {
    canary("the recovery says 0123456789abcdef", |evidence| {
        evidence.states[0].1 = "0123456789abcdef".into();
    });
}

#[test]
fn the_audit_finds_events_that_differ() {
    canary("the naive books says 0123456789abcdef", |evidence| {
        evidence.events[0].1 = "0123456789abcdef".into();
    });
}
