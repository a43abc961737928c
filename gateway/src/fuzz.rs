//! What a fuzzer runs: clients of a gateway that say anything, at any time, through real sockets, while the books behind it stand
//! still or go on, there is room or not, and the gate opens or not.
//!
//! Whatever they do, the gateway must not panic; each client is told packets of SoupBinTCP and messages of OUCH only, under
//! numbers without a gap, each the same whenever it is told, and none that the gate holds back; another client, that behaves, is
//! served in the end; and nothing is left of a client that is gone.

pub mod paused;

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use domain::{Instrument, InstrumentId, OrderBounds, Price, Quantity, SessionId, Symbol, UserName};
use door::auth::{Proof, Protocol, User, canonical_name, canonical_password};
use journal::Position;
use wire::{
    ouch::{Appendage, Inbound, Outbound, codes, inbound::*},
    soup::{self, LoginRequest, Password, ServerPacket, SessionName, Username},
};

use self::paused::{Execute, Paused};
use crate::{Gateway, Instruments, Limits, Sessions, Venue};

/// Books that are to be executed: by index.
pub const BOOKS: usize = 2;
const SYMBOLS: [&str; BOOKS] = ["A", "B"];
/// Who may log in with [`PASSWORD`]: by index, their sessions.
const USERS: [&str; 2] = ["ONE", "TWO"];
const PASSWORD: &str = "LET ME IN";
/// The client that behaves. Its password is none that an input finds.
const WITNESS: &str = "WITNES";
const WITNESS_PASSWORD: &str = "q7w)Ke2!zX";
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

/// Takes `data` for steps: a byte for what is done and by which client, and what that takes.
///
/// # Panics
/// When the gateway is wrong.
pub fn soup_session(data: &[u8], execute: impl Execute) {
    let mut stage = Stage::new(execute);
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

/// A gateway, what stands behind it, and who is connected.
struct Stage {
    gateway: Gateway,
    venue: Paused,
    clients: [Option<Client>; CLIENTS],
    witness: Client,
    told: Told,
    /// How many orders each user has entered.
    references: BTreeMap<Option<UserName>, u32>,
    receives: bool,
}

/// What each user has been told under which number.
type Told = BTreeMap<(UserName, u64), Vec<u8>>;

impl Stage {
    fn new(execute: impl Execute) -> Self {
        let mut sessions = Sessions::new();
        let mut venue = Paused::new(BOOKS, execute);
        let mut users = Vec::new();
        for (session, name) in (0..).map(SessionId).zip(USERS.into_iter().chain([WITNESS])) {
            let password = if name == WITNESS { WITNESS_PASSWORD } else { PASSWORD };
            let name = user_name(name);
            let proof = Proof::Plain(canonical_password(Protocol::Soup, password.as_bytes()));
            users.push(User::new(name, Protocol::Soup, session, proof));
            venue.define(session, name, &mut sessions);
        }
        let mut instruments = Instruments::new();
        for (id, symbol) in (0..).map(InstrumentId).zip(SYMBOLS) {
            instruments.define(Instrument {
                id,
                symbol: Symbol::new(symbol).expect("a symbol"),
                tick: 100,
                lot: 1,
                quantity_max: Quantity(999_999),
                price_max: Price::new(19_999_999).expect("a price"),
                bounds: OrderBounds::NONE,
            });
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let session = SessionName::new("1").expect("a name");
        let gateway =
            Gateway::bind(address, Limits::default(), session, users, instruments, sessions).expect("a port");
        let mut stage = Self {
            witness: Client::new(gateway.address(), false),
            clients: [const { None }; CLIENTS],
            venue,
            told: Told::new(),
            references: BTreeMap::new(),
            receives: true,
            gateway,
        };
        stage.witness.say(&login(WITNESS, WITNESS_PASSWORD, 1), &stage.venue);
        stage.until("a login", |stage| stage.witness.next.is_some());
        stage
    }

    fn step(&mut self, step: u8, bytes: &mut Bytes<'_>) {
        let which = usize::from(step & CLIENT != 0);
        let mut client = self.clients[which].take().unwrap_or_else(|| {
            // Who comes while nothing is read is turned away.
            Client::new(self.gateway.address(), !self.receives)
        });
        let mut stays = true;
        match step & 0x0f {
            what @ 0..=6 => {
                let said = self.what_is_said(what, &client, bytes);
                client.may_go |= match what {
                    0 | 1 | 6 => true,
                    5 => client.user.is_some(),
                    _ => client.user.is_none() || Inbound::decode(&said[soup::HEADER_LEN..]).is_err(),
                };
                let (first, rest) = said.split_at(if step & SPLIT == 0 { 0 } else { said.len() / 2 });
                if !first.is_empty() {
                    client.say(first, &self.venue);
                    self.turn();
                }
                client.say(rest, &self.venue);
            }
            7 => {
                client.may_go = true;
                client.end();
            }
            8 => stays = false,
            9 => client.hear(&mut self.told, &self.venue),
            10 => (0..BOOKS).for_each(|book| self.execute(book, usize::MAX)),
            11 => self.execute(which, usize::from(bytes.one().unwrap_or(1))),
            12 => match bytes.one().unwrap_or(0) & 3 {
                0 => self.venue.has_room = !self.venue.has_room,
                1 => self.venue.takes_orders = !self.venue.takes_orders,
                2 => self.venue.full[which] = !self.venue.full[which],
                _ => {
                    self.receive(!self.receives);
                    // One may not have been taken yet.
                    for one in self.clients.iter_mut().flatten().chain([&mut client]) {
                        one.may_go |= one.next.is_none();
                    }
                }
            },
            13 => self.venue.now.0 += u64::from(bytes.one().unwrap_or(0)) * 50_000_000,
            // What has been said so far may be told, and nothing that is said from now on;
            14 => self.venue.gate = self.venue.end(),
            // or all of it.
            _ => self.venue.gate = Position(u64::MAX),
        }
        if stays {
            // Whoever logs in ends the user's other connection.
            for other in self.clients.iter_mut().flatten() {
                let is_same = client.user.is_some() && other.user == client.user;
                other.may_go |= is_same;
                client.may_go |= is_same;
            }
            self.clients[which] = Some(client);
        }
        if step & TOGETHER == 0 {
            self.turn();
        }
    }

    fn what_is_said(&mut self, what: u8, client: &Client, bytes: &mut Bytes<'_>) -> Vec<u8> {
        match what {
            // Anything, a packet of any kind, any request, one that makes sense,
            0 => bytes.some().to_vec(),
            1 => packet(bytes.one().unwrap_or(0), bytes.some()),
            2 => packet(b'U', bytes.some()),
            3 => packet(b'U', &order(self.reference(client), bytes)),
            4 => packet(b'U', &change(self.reference(client), bytes)),
            // a login, and the end of it.
            5 => {
                let from = bytes.one().unwrap_or(0);
                login(USERS[usize::from(from >> 7)], PASSWORD, u64::from(from & 0x7f))
            }
            _ => packet(b'O', b""),
        }
    }

    /// The number of the next order of whoever speaks there.
    fn reference(&mut self, client: &Client) -> u32 {
        let reference = self.references.entry(client.user).or_insert(0);
        *reference += 1;
        *reference
    }

    fn receive(&mut self, receives: bool) {
        self.receives = receives;
        if receives { self.gateway.receive_again() } else { self.gateway.stop_receiving() }
    }

    fn turn(&mut self) {
        self.gateway.poll(Some(Duration::ZERO)).expect("a poll");
        self.gateway.receive(&mut self.venue);
        self.send();
    }

    fn send(&mut self) {
        let end = self.venue.end();
        let _ = self.gateway.send(&mut self.venue, end);
    }

    fn execute(&mut self, book: usize, most: usize) {
        for event in self.venue.execute(book, most) {
            let Self { gateway, venue, .. } = self;
            gateway.on_event(&event, &mut |report| venue.log(report));
        }
    }

    /// Turns, until it is so.
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let hung = Instant::now() + HUNG;
        while !is_so(self) {
            self.turn();
            self.witness.hear(&mut self.told, &self.venue);
            for client in self.clients.iter_mut().flatten() {
                client.hear(&mut self.told, &self.venue);
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
        let before = self.witness.next;
        self.witness.say(&packet(b'U', &order(1, &mut Bytes(b""))), &self.venue);
        self.until("an answer to the witness", |stage| {
            (0..BOOKS).for_each(|book| stage.execute(book, usize::MAX));
            stage.witness.next > before
        });
        self.until("an end of what waits", |stage| {
            (0..BOOKS).for_each(|book| stage.execute(book, usize::MAX));
            !stage.gateway.is_holding() && (0..BOOKS).all(|book| stage.venue.waiting(book) == 0)
        });
        self.until("what clients are to be told", |stage| {
            stage.clients.iter().flatten().all(|client| client.is_cut_off || client.has_all(&stage.venue))
        });
        for client in self.clients.iter().flatten() {
            assert!(client.may_go || !client.is_cut_off, "{:?} is cut off for nothing", client.user);
        }
        self.clients = [const { None }; CLIENTS];
        self.until("the end of connections", |stage| stage.gateway.stats().connections == 1);
        assert!(!self.witness.is_cut_off, "the witness is cut off");
        assert_eq!(self.gateway.stats().logged_in, 1);
    }
}

/// One end of a connection.
struct Client {
    stream: TcpStream,
    /// What has been said and is no whole packet yet.
    saying: Vec<u8>,
    inbox: Vec<u8>,
    /// Who it said to be first,
    user: Option<UserName>,
    /// and from which message on it wanted to be told.
    wanted: u64,
    /// How many reports there were when it was let in, or before.
    reports_before: usize,
    /// The number of the next message, once it is let in.
    next: Option<u64>,
    /// It has done something for which it is cut off, or another connection has, or may have.
    may_go: bool,
    is_cut_off: bool,
}

impl Client {
    fn new(address: SocketAddr, may_go: bool) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        stream.set_nonblocking(true).expect("no waiting");
        Self {
            stream,
            saying: Vec::new(),
            inbox: Vec::new(),
            user: None,
            wanted: 0,
            reports_before: 0,
            next: None,
            may_go,
            is_cut_off: false,
        }
    }

    /// What finds no room is not said: the gateway reads nothing more then.
    fn say(&mut self, bytes: &[u8], venue: &Paused) {
        let said = self.stream.write(bytes).unwrap_or(0);
        self.saying.extend_from_slice(&bytes[..said]);
        if self.user.is_none() {
            self.reports_before = venue.reports.len();
        }
        while self.user.is_none()
            && let Ok(Some(frame)) = soup::frame(&self.saying, soup::PAYLOAD_MAX)
        {
            if let Ok(soup::ClientPacket::LoginRequest(login)) = soup::ClientPacket::decode(&frame) {
                self.user = canonical_name(Protocol::Soup, &login.username.canonical());
                self.wanted = login.sequence;
            }
            let consumed = frame.consumed;
            self.saying.drain(..consumed);
        }
    }

    /// Says that nothing more comes, and reads on.
    fn end(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Takes what is there.
    fn hear(&mut self, told: &mut Told, venue: &Paused) {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    self.is_cut_off = true;
                    break;
                }
                Ok(n) => self.inbox.extend_from_slice(&bytes[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.is_cut_off = true;
                    break;
                }
            }
        }
        let inbox = std::mem::take(&mut self.inbox);
        let mut used = 0;
        while let Some(frame) = soup::frame(&inbox[used..], soup::PAYLOAD_MAX).expect("packets") {
            used += frame.consumed;
            self.packet(ServerPacket::decode(&frame).expect("a packet of a server"), told, venue);
        }
        self.inbox.extend_from_slice(&inbox[used..]);
    }

    fn packet(&mut self, packet: ServerPacket<'_>, told: &mut Told, venue: &Paused) {
        match (packet, self.next) {
            (ServerPacket::LoginAccepted(accepted), None) => {
                // As asked for. Who wants what is new, or more than there is, gets the next that is said.
                let next = accepted.sequence;
                assert!(
                    next > 0 && (self.wanted == 0 || next <= self.wanted),
                    "{accepted:?}, not {}",
                    self.wanted
                );
                if next != self.wanted
                    && let Some(at) = self.place(next, venue)
                {
                    assert!(at >= self.reports_before, "{accepted:?}, not {}", self.wanted);
                }
                self.next = Some(next);
            }
            (ServerPacket::LoginRejected(_), None) => self.may_go = true,
            (ServerPacket::Heartbeat | ServerPacket::Debug(_), Some(_)) => {}
            (ServerPacket::Sequenced(message), Some(number)) => {
                let user = self.user.expect("who is let in has said who it is");
                Outbound::decode(message).expect("a message of OUCH");
                let before = told.entry((user, number)).or_insert_with(|| message.to_vec());
                assert_eq!(before, message, "message {number} of {user} is another one");
                self.next = Some(number + 1);
                let at = self.place(number, venue).expect("what is told is in the log") as u64;
                assert!(64 * (at + 1) < venue.gate.0, "message {number} of {user} is told before its gate");
            }
            (packet, _) => panic!("{packet:?} while the next number is {:?}", self.next),
        }
    }

    /// Its session. Whoever is none of those that an input may be is the witness.
    fn session(&self) -> SessionId {
        let at = USERS.iter().position(|name| Some(user_name(name)) == self.user);
        SessionId(at.unwrap_or(USERS.len()) as u32)
    }

    /// Where one of its messages stands among all reports.
    fn place(&self, number: u64, venue: &Paused) -> Option<usize> {
        let session = self.session();
        venue.reports.iter().position(|report| report.session == session && report.number == number)
    }

    /// Whether it has been told all that its session has been told. Who was not let in is told nothing.
    fn has_all(&self, venue: &Paused) -> bool {
        let session = self.session();
        let of_session = venue.reports.iter().filter(|report| report.session == session);
        let last = of_session.map(|report| report.number).max().unwrap_or(0);
        self.next.is_none_or(|next| next > last)
    }
}

/// Resets the connection, so that no port is kept waiting for what may come late.
impl Drop for Client {
    fn drop(&mut self) {
        let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }
}

fn user_name(name: &str) -> UserName {
    canonical_name(Protocol::Soup, name.as_bytes()).expect("a name")
}

fn login(user: &str, password: &str, sequence: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    LoginRequest {
        username: Username::new(user).expect("a user"),
        password: Password::new(password).expect("a password"),
        session: SessionName::new("").expect("a session"),
        sequence,
    }
    .encode(&mut bytes);
    bytes
}

fn packet(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ((payload.len() + 1) as u16).to_be_bytes().to_vec();
    bytes.push(kind);
    bytes.extend_from_slice(payload);
    bytes
}

/// An order, made of a few bytes: a plain one without them.
fn order(user_ref: u32, bytes: &mut Bytes<'_>) -> Vec<u8> {
    let (how, price, quantity) =
        (bytes.one().unwrap_or(0), bytes.one().unwrap_or(50), bytes.one().unwrap_or(1));
    let times = [b'0', b'3', b'5', b'6', b'E', b'0', b'0', b'0'];
    let mut out = Vec::new();
    Inbound::EnterOrder(EnterOrder {
        user_ref,
        side: if how & 1 == 0 { b'B' } else { b'S' },
        quantity: u32::from(quantity),
        symbol: *[b"A       ", b"B       "][usize::from(how >> 1 & 1)],
        price: if how & 4 == 0 { 100 * u64::from(price) } else { codes::PRICE_MARKET_MIN },
        time_in_force: times[usize::from(how >> 5)],
        display: if how & 8 == 0 { b'Y' } else { b'N' },
        capacity: b'A',
        intermarket_sweep: b'N',
        cross: b'N',
        client_order_id: *b"FUZZ          ",
        appendage: Appendage::default(),
    })
    .encode(&mut out);
    if how & 16 != 0 {
        // Options, as they are written. Their length stands before them.
        let options = bytes.some();
        out.truncate(out.len() - 2);
        out.extend_from_slice(&(options.len() as u16).to_be_bytes());
        out.extend_from_slice(options);
    }
    out
}

/// Something that is asked of an order, or of all.
fn change(user_ref: u32, bytes: &mut Bytes<'_>) -> Vec<u8> {
    let (how, back, quantity) =
        (bytes.one().unwrap_or(0), bytes.one().unwrap_or(0), bytes.one().unwrap_or(0));
    let (original, quantity) = (user_ref.saturating_sub(u32::from(back)), u32::from(quantity));
    let side = [b'B', b'S', b'T', b' '][usize::from(how >> 6)];
    let mut out = Vec::new();
    match how & 7 {
        0 | 1 => Inbound::CancelOrder(CancelOrder { user_ref: original, quantity }),
        2 => Inbound::ModifyOrder(ModifyOrder { user_ref: original, side, quantity }),
        3 => {
            let symbol = *[b"A       ", b"        "][usize::from(how >> 5 & 1)];
            Inbound::MassCancel(MassCancel { user_ref, symbol, side })
        }
        4 => Inbound::AccountQuery,
        _ => Inbound::ReplaceOrder(ReplaceOrder {
            original,
            user_ref,
            quantity,
            price: 100 * u64::from(how >> 3),
            time_in_force: b'0',
            display: b'Y',
            intermarket_sweep: b'N',
            client_order_id: *b"ZZUF          ",
            appendage: Appendage::default(),
        }),
    }
    .encode(&mut out);
    out
}
