//! What a fuzzer runs: clients of a gateway that say anything, at any time, through real sockets, while the books behind it stand
//! still or go on, there is room or not, the gate opens or not, and the process dies and comes back.
//!
//! Whatever they do, the gateway must not panic; each client is told messages of its protocol only, under numbers without a gap,
//! each the same whenever it is told, and none that the gate holds back; another client, that behaves, is served in the end; and
//! nothing is left of a client that is gone.

mod fix;
mod line;
pub mod paused;
mod soup;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use domain::{Command, Nanos, SessionId};
use door::auth::{Proof, Protocol, User, canonical_name, canonical_password};
use journal::Position;
use wire::{fix::TimePrecision, soup::SessionName};

use self::{
    fix::Fix,
    line::Line,
    paused::{Execute, Paused, instruments},
    soup::Soup,
};
use crate::{FixVenue, Gateway, Limits, Sessions, Venue, fix::Settings};

/// Books that are to be executed: by index.
pub const BOOKS: usize = 2;
const SYMBOLS: [&str; BOOKS] = ["A", "B"];
/// Who may log in with [`PASSWORD`]: by index, their sessions.
const USERS: [&str; 2] = ["ONE", "TWO"];
const PASSWORD: &str = "LETMEIN";
/// The client that behaves, which speaks SoupBinTCP. Its password is none that an input finds.
const WITNESS: &str = "WITNES";
const WITNESS_PASSWORD: &str = "q7w)Ke2!zX";
/// What the venue is to clients that speak FIX.
const COMP_ID: &str = "VENUE";
/// Clients that an input may have at once.
const CLIENTS: usize = 2;
/// Of a step: which client's it is, that what it says comes in two segments, and that the next step comes with it.
const CLIENT: u8 = 0x80;
const SPLIT: u8 = 0x40;
const TOGETHER: u8 = 0x20;
/// Steps of one input.
const STEPS_MAX: usize = 500;
/// Nothing takes longer unless it never ends. No time is judged: a turn takes microseconds.
const HUNG: Duration = Duration::from_secs(20);
/// 2026-11-29 12:00 UTC.
const NOON: Nanos = Nanos(1_795_953_600_000_000_000);

/// Takes `data` for what clients do that speak SoupBinTCP: a byte for each step and by which client, and what that takes. `books`
/// makes [`BOOKS`] books in which nothing has happened.
///
/// # Panics
/// When the gateway is wrong.
pub fn soup_session<E: Execute>(data: &[u8], books: impl Fn() -> E) {
    run::<Soup, E>(data, Stage::new(&books, false));
}

/// The same of clients that speak FIX. A first byte that is odd makes the second of them one that is told of the orders of the
/// first and of the witness, and enters none.
///
/// # Panics
/// When the gateway is wrong.
pub fn fix_clients<E: Execute>(data: &[u8], books: impl Fn() -> E) {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    run::<Fix, E>(rest, Stage::new(&books, first % 2 == 1));
}

fn run<C: Client, E: Execute>(data: &[u8], mut stage: Stage<'_, C, E>) {
    let mut bytes = Bytes(data);
    for _ in 0..STEPS_MAX {
        let Some(step) = bytes.one() else { break };
        stage.step(step, &mut bytes);
    }
    stage.end();
}

/// The bytes of an input that have not been taken.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn one(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// As many as the next one says, or as there are.
    fn some(&mut self) -> &'a [u8] {
        let length = self.one().unwrap_or(0);
        let (some, rest) = self.0.split_at(usize::from(length).min(self.0.len()));
        self.0 = rest;
        some
    }
}

/// A client, in its protocol.
trait Client {
    const PROTOCOL: Protocol;

    fn new(line: Line) -> Self;

    fn line(&mut self) -> &mut Line;

    /// What it says in a step of this kind, from 0 to 6.
    fn what_is_said(&mut self, what: u8, bytes: &mut Bytes<'_>, known: &mut Known, venue: &Paused)
    -> Vec<u8>;

    /// Says it.
    fn say(&mut self, bytes: &[u8], venue: &Paused);

    /// Takes what is there, which must be right.
    fn hear(&mut self, known: &mut Known, venue: &Paused);

    /// Whether it has been told all that its session has been told, and again what it wanted again. Who was not let in is told
    /// nothing.
    fn has_all(&self, venue: &Paused, sessions: &Sessions) -> bool;
}

/// What is known of sessions, whoever speaks for them.
#[derive(Default)]
struct Known {
    /// What each has been told in which of its reports.
    told: BTreeMap<(SessionId, u64), Vec<u8>>,
    /// How many orders each has entered.
    references: BTreeMap<Option<SessionId>, u32>,
    /// How many messages each has sent, where these are numbered.
    sent: BTreeMap<Option<SessionId>, u64>,
}

impl Known {
    /// The number of a session's next order.
    fn reference(&mut self, session: Option<SessionId>) -> u32 {
        let reference = self.references.entry(session).or_default();
        *reference += 1;
        *reference
    }

    /// A report is told, as it always was.
    fn tell(&mut self, session: SessionId, number: u64, message: &[u8]) {
        let before = self.told.entry((session, number)).or_insert_with(|| message.to_vec());
        assert_eq!(
            String::from_utf8_lossy(before),
            String::from_utf8_lossy(message),
            "report {number} of session {session} is another one"
        );
    }
}

/// A gateway, what stands behind it, and who is connected.
struct Stage<'b, C, E> {
    books: &'b dyn Fn() -> E,
    users: Vec<User>,
    gateway: Gateway,
    /// Where clients of this protocol come.
    address: SocketAddr,
    venue: Paused,
    clients: [Option<C>; CLIENTS],
    witness: Soup,
    known: Known,
    receives: bool,
}

impl<'b, C: Client, E: Execute> Stage<'b, C, E> {
    fn new(books: &'b dyn Fn() -> E, copies: bool) -> Self {
        let mut sessions = Sessions::new();
        let mut venue = Paused::new(BOOKS, books());
        venue.now = NOON;
        let all = [
            (USERS[0], C::PROTOCOL, PASSWORD),
            (USERS[1], C::PROTOCOL, PASSWORD),
            (WITNESS, Protocol::Soup, WITNESS_PASSWORD),
        ];
        let mut users: Vec<User> = Vec::new();
        for (session, (name, protocol, password)) in (0..).map(SessionId).zip(all) {
            let name = canonical_name(protocol, name.as_bytes()).expect("a name");
            let proof = Proof::Plain(canonical_password(protocol, password.as_bytes()));
            users.push(User::new(name, protocol, session, proof));
            let speaks = match protocol {
                Protocol::Soup => domain::Protocol::Ouch,
                Protocol::Fix => domain::Protocol::Fix,
            };
            venue.define(session, name, speaks, &mut sessions);
        }
        if copies {
            users[1].drop_copy_of = vec![users[0].name, users[2].name];
        }
        for copy in sessions.copies_due(&users).expect("users who may be watched") {
            let command = venue.sequence(Command::DropCopy(copy));
            sessions.on_command(&command, |report| venue.log(report));
        }
        let (gateway, address) = gateway::<C>(&users, sessions);
        let witness = Soup::new(Line::new(gateway.address()));
        let mut stage = Self {
            books,
            users,
            gateway,
            address,
            venue,
            clients: [const { None }; CLIENTS],
            witness,
            known: Known::default(),
            receives: true,
        };
        stage.let_witness_in(1);
        stage
    }

    fn let_witness_in(&mut self, from: u64) {
        self.witness.say(&soup::login(WITNESS, WITNESS_PASSWORD, from), &self.venue);
        self.until("a login", |stage| stage.witness.next().is_some());
    }

    /// The process dies and comes back, and the witness with it.
    fn restart(&mut self, how: (bool, bool)) {
        self.clients = [const { None }; CLIENTS];
        let mut sessions = Sessions::new();
        self.venue.recover((self.books)(), how, &mut sessions);
        self.venue.gate = Position(u64::MAX);
        (self.gateway, self.address) = gateway::<C>(&self.users, sessions);
        self.receives = true;
        let from = self.witness.next().unwrap_or(1);
        self.witness = Soup::new(Line::new(self.gateway.address()));
        self.let_witness_in(from);
    }

    fn step(&mut self, step: u8, bytes: &mut Bytes<'_>) {
        let which = usize::from(step & CLIENT != 0);
        let mut client = self.clients[which].take().unwrap_or_else(|| {
            let mut client = C::new(Line::new(self.address));
            // Who comes while nothing is read is turned away.
            client.line().may_go |= !self.receives;
            client
        });
        let mut stays = true;
        match step & 0x0f {
            what @ 0..=6 => {
                let said = client.what_is_said(what, bytes, &mut self.known, &self.venue);
                let (first, rest) = said.split_at(if step & SPLIT == 0 { 0 } else { said.len() / 2 });
                if !first.is_empty() {
                    client.say(first, &self.venue);
                    self.turn();
                }
                client.say(rest, &self.venue);
            }
            7 => client.line().end(),
            8 => stays = false,
            9 => client.hear(&mut self.known, &self.venue),
            10 => self.execute_all(),
            11 => self.execute(which, usize::from(bytes.one().unwrap_or(1))),
            12 => {
                let how = bytes.one().unwrap_or(0);
                match how & 3 {
                    0 if how & 4 != 0 => {
                        self.restart((how & 8 != 0, how & 16 != 0));
                        stays = false;
                    }
                    0 => self.venue.has_room = !self.venue.has_room,
                    1 => self.venue.takes_orders = !self.venue.takes_orders,
                    2 => self.venue.full[which] = !self.venue.full[which],
                    _ => {
                        // Who has come is taken before.
                        self.turn();
                        self.receive(!self.receives);
                        for one in self.clients.iter_mut().flatten().chain([&mut client]) {
                            one.line().may_go |= one.line().session.is_none();
                        }
                    }
                }
            }
            13 => self.venue.now.0 += u64::from(bytes.one().unwrap_or(0)) * 50_000_000,
            // What has been said so far may be told, and nothing that is said from now on;
            14 => self.venue.gate = self.venue.end(),
            // or all of it.
            _ => self.venue.gate = Position(u64::MAX),
        }
        if stays {
            // Whoever logs in ends the session's other connection.
            let session = client.line().session;
            for other in self.clients.iter_mut().flatten() {
                let is_same = session.is_some() && other.line().session == session;
                other.line().may_go |= is_same;
                client.line().may_go |= is_same;
            }
            self.clients[which] = Some(client);
        }
        if step & TOGETHER == 0 {
            self.turn();
        }
    }

    fn receive(&mut self, receives: bool) {
        self.receives = receives;
        if receives { self.gateway.receive_again() } else { self.gateway.stop_receiving() }
    }

    fn turn(&mut self) {
        // Where the log ends may have been told to another node then.
        let is_ended = !self.receives && !self.gateway.is_holding();
        let before = (self.venue.commands.len(), self.venue.reports.len());
        self.gateway.poll(Some(Duration::ZERO)).expect("a poll");
        self.gateway.receive(&mut self.venue);
        let end = self.venue.end();
        let _ = self.gateway.send(&mut self.venue, end);
        let after = (self.venue.commands.len(), self.venue.reports.len());
        assert!(!is_ended || before == after, "the log goes on though nothing is received");
    }

    fn execute(&mut self, book: usize, most: usize) {
        for event in self.venue.execute(book, most) {
            let Self { gateway, venue, .. } = self;
            gateway.on_event(&event, &mut |report| venue.log(report));
        }
    }

    fn execute_all(&mut self) {
        (0..BOOKS).for_each(|book| self.execute(book, usize::MAX));
    }

    /// Turns, in which all listen and books execute, until it is so.
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let hung = Instant::now() + HUNG;
        while !is_so(self) {
            self.execute_all();
            self.turn();
            self.witness.hear(&mut self.known, &self.venue);
            for client in self.clients.iter_mut().flatten() {
                client.hear(&mut self.known, &self.venue);
            }
            assert!(Instant::now() < hung, "{what} never comes");
        }
    }

    /// Everything is open again: whoever behaves is served, and all is told.
    fn end(&mut self) {
        self.venue.has_room = true;
        self.venue.full.fill(false);
        self.venue.takes_orders = true;
        self.venue.gate = Position(u64::MAX);
        self.receive(true);
        let before = self.witness.next();
        self.witness.say(&soup::packet(b'U', &soup::order(1, &mut Bytes(b""))), &self.venue);
        self.until("an answer to the witness", |stage| stage.witness.next() > before);
        self.until("an end of what waits", |stage| {
            !stage.gateway.is_holding() && (0..BOOKS).all(|book| stage.venue.waiting(book) == 0)
        });
        self.until("what clients are to be told", |stage| {
            let Self { clients, venue, gateway, .. } = stage;
            let mut clients = clients.iter_mut().flatten();
            clients.all(|client| client.line().is_cut_off || client.has_all(venue, gateway.sessions()))
        });
        for client in self.clients.iter_mut().flatten() {
            let line = client.line();
            assert!(line.may_go || !line.is_cut_off, "session {:?} is cut off for nothing", line.session);
        }
        self.clients = [const { None }; CLIENTS];
        self.until("the end of connections", |stage| stage.gateway.stats().connections == 1);
        assert!(!self.witness.line().is_cut_off, "the witness is cut off");
        assert_eq!(self.gateway.stats().logged_in, 1);
    }
}

/// A gateway for these users, and where clients of this protocol come.
fn gateway<C: Client>(users: &[User], sessions: Sessions) -> (Gateway, SocketAddr) {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let name = SessionName::new("1").expect("a name");
    let instruments = instruments(&SYMBOLS);
    // What time brings is looked at in each turn.
    let limits = Limits { heartbeat: Duration::ZERO, silence_max: 2 * HUNG, ..Limits::default() };
    let mut gateway =
        Gateway::bind(anywhere, limits, name, users.to_vec(), instruments, sessions).expect("a port");
    let address = match C::PROTOCOL {
        Protocol::Soup => gateway.address(),
        Protocol::Fix => {
            let venue = FixVenue {
                comp_id: COMP_ID.into(),
                settings: Settings { heartbeat: (1, 60), precision: TimePrecision::Millis },
                orders_per_second: 0,
            };
            gateway.listen_fix(anywhere, venue, None).expect("a port")
        }
    };
    (gateway, address)
}
