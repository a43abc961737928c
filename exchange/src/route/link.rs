//! A session's way to one pair: whichever node of it lets the session in, again after a failover.
//!
//! 1. Connect to an address. A node that does not lead does not listen: the next address.
//! 2. Log in for what is new only. The answer says which message is next, the *boundary*: what has a lower number was said
//!    before this connection. If that is lower than what has been taken, this node does not lead any more: the next address.
//! 3. If messages below the boundary are missing, log in once more, from the first of them. A pair closes the older
//!    connection of a session by itself, so what was under way on that one has come to rest.
//! 4. Ask for the next UserRefNum. The answer that is not below the boundary tells what of the orders under way has never
//!    been; until it is there nothing is sent.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use journal::Position;
use mio::{Registry, Token, net::TcpStream};
use wire::{
    ouch::Inbound,
    soup::{self, ClientPacket, Frame, LoginRejected, LoginRequest, ServerPacket, SessionName},
};

use super::{record::Slot, socket::Socket};
use crate::placement::map::PairName;

/// How long a connection may take to come about, and a login to be answered.
const PATIENCE: Duration = Duration::from_secs(2);
/// A pair that has said nothing for so long, not even a heartbeat, is gone. It sends one each second.
const SILENCE: Duration = Duration::from_secs(5);
/// From one round of the addresses to the next.
const AGAIN: Duration = Duration::from_millis(100);
/// Bytes that may wait for the pair to take them.
const OUT_MAX: usize = 256 * 1024;

/// A question for the next UserRefNum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    /// The last order that was under way before it.
    pub(super) asked_behind: u32,
    /// The client's question that it is a part of; none for one of the router's own.
    pub(super) round: Option<u64>,
}

/// How far it has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Until then.
    Resting(Instant),
    Connecting,
    /// The login for what is new only is under way.
    Probing,
    /// The login from the first missing message is under way, or is about to be when it is connected.
    Missing {
        connected: bool,
    },
    LoggedIn,
}

/// What a session may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Down,
    /// Logged in, and not asked yet how far the pair is: soon.
    Asking,
    Ready,
}

/// What a login came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    UnderWay,
    In,
    /// The pair does not want this user, or does not have what is missing any more.
    Refused(LoginRejected),
}

/// See the module.
pub(super) struct Link {
    pub(super) slot: Slot,
    pub(super) name: PairName,
    /// Of the pair's nodes; none when the placement map does not know it any more.
    pub(super) addresses: Vec<SocketAddr>,
    /// The next one to be tried.
    at: usize,
    stage: Stage,
    since: Instant,
    socket: Option<Socket>,
    /// Messages below it were said before this connection.
    pub(super) boundary: u64,
    /// Questions without an answer.
    pub(super) queries: VecDeque<Query>,
    /// The first question of this connection has no answer yet.
    pub(super) is_fresh: bool,
    /// Addresses tried in vain since the last login.
    failed: usize,
}

impl Link {
    pub(super) fn new(slot: Slot, name: PairName, addresses: Vec<SocketAddr>, now: Instant) -> Self {
        Self {
            slot,
            name,
            addresses,
            at: 0,
            stage: Stage::Resting(now),
            since: now,
            socket: None,
            boundary: 0,
            queries: VecDeque::new(),
            is_fresh: false,
            failed: 0,
        }
    }

    pub(super) fn state(&self) -> State {
        match self.stage {
            Stage::LoggedIn if self.is_fresh => State::Asking,
            Stage::LoggedIn => State::Ready,
            _ => State::Down,
        }
    }

    /// Whether the pair has let the session in, or each of its addresses has been tried in vain.
    pub(super) fn is_decided(&self) -> bool {
        self.stage == Stage::LoggedIn || self.failed >= self.addresses.len()
    }

    pub(super) fn announced(&mut self, readable: bool, writable: bool) {
        if let Some(socket) = &mut self.socket {
            socket.announced(readable, writable);
        }
    }

    /// Begins to connect, if it is time.
    pub(super) fn connect(&mut self, registry: &Registry, token: Token, now: Instant) {
        let Stage::Resting(until) = self.stage else { return };
        let Some(&address) = self.addresses.get(self.at % self.addresses.len().max(1)) else { return };
        if now < until {
            return;
        }
        self.open(address, registry, token, now, Stage::Connecting);
    }

    fn open(&mut self, address: SocketAddr, registry: &Registry, token: Token, now: Instant, stage: Stage) {
        let connected =
            TcpStream::connect(address).and_then(|stream| Socket::new(stream, address, registry, token));
        match connected {
            Ok(socket) => {
                self.socket = Some(socket);
                (self.stage, self.since) = (stage, now);
            }
            Err(error) => self.fail(registry, now, &format!("{address}: {error}")),
        }
    }

    /// Gives the connection up; the next address is tried. Questions are left to the caller.
    pub(super) fn fail(&mut self, registry: &Registry, now: Instant, why: &str) {
        if let Some(socket) = self.socket.take() {
            socket.close(registry);
        }
        // Once for each address; that it is still so is no news.
        if self.failed <= self.addresses.len() {
            log::info!("pair {}: {why}", self.name);
        }
        self.at = (self.at + 1) % self.addresses.len().max(1);
        self.failed = self.failed.saturating_add(1);
        let rounds_over = self.failed.is_multiple_of(self.addresses.len().max(1));
        self.stage = Stage::Resting(if rounds_over { now + AGAIN } else { now });
    }

    /// Ends it.
    pub(super) fn close(&mut self, registry: &Registry) {
        if let Some(socket) = self.socket.take() {
            socket.close(registry);
        }
    }

    /// Reads once. Says whether anything came.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        self.socket.as_mut().map_or(Ok(false), |socket| socket.read(scratch))
    }

    pub(super) fn can_read(&self) -> bool {
        self.socket.as_ref().is_some_and(Socket::can_read)
    }

    /// Goes on with connecting and logging in. `taken`: messages of the pair that the client has.
    ///
    /// # Errors
    /// Why this connection serves no more.
    pub(super) fn advance(
        &mut self,
        user: &LoginRequest,
        taken: u64,
        registry: &Registry,
        token: Token,
        now: Instant,
    ) -> Result<Login, String> {
        loop {
            let Some(socket) = &mut self.socket else { return Ok(Login::UnderWay) };
            let address = socket.peer();
            let named = |what: &str| format!("{address}: {what}");
            match self.stage {
                Stage::Resting(_) | Stage::LoggedIn => return Ok(Login::UnderWay),
                Stage::Connecting | Stage::Missing { connected: false } => {
                    if !socket.is_connected().map_err(|error| named(&error.to_string()))? {
                        return Ok(Login::UnderWay);
                    }
                    let (sequence, stage) = match self.stage {
                        Stage::Connecting => (0, Stage::Probing),
                        _ => (taken + 1, Stage::Missing { connected: true }),
                    };
                    LoginRequest { session: SessionName::BLANK, sequence, ..*user }
                        .encode(socket.outbox.buffer());
                    socket.outbox.mark(Position(0));
                    self.stage = stage;
                }
                Stage::Probing | Stage::Missing { connected: true } => {
                    let Some(packet) = socket.packet().map_err(|error| named(&error.to_string()))? else {
                        return if socket.ended {
                            Err(named("it closes the connection"))
                        } else {
                            Ok(Login::UnderWay)
                        };
                    };
                    let frame = Frame { kind: packet.kind, payload: socket.payload(packet), consumed: 0 };
                    let accepted =
                        match ServerPacket::decode(&frame).map_err(|error| named(&error.to_string()))? {
                            ServerPacket::LoginAccepted(accepted) => accepted,
                            ServerPacket::LoginRejected(reason) => return Ok(Login::Refused(reason)),
                            ServerPacket::Heartbeat | ServerPacket::Debug(_) => {
                                socket.use_up(packet);
                                continue;
                            }
                            _ => return Err(named("another answer than one to a login")),
                        };
                    socket.use_up(packet);
                    let probed = self.stage == Stage::Probing;
                    if probed {
                        self.boundary = accepted.sequence;
                    }
                    if accepted.sequence == taken + 1 {
                        if self.failed > self.addresses.len() {
                            log::info!("pair {}: {address} lets the session in again", self.name);
                        }
                        (self.stage, self.is_fresh, self.failed) = (Stage::LoggedIn, true, 0);
                        self.queries.clear();
                        return Ok(Login::In);
                    }
                    if accepted.sequence <= taken || !probed {
                        return Err(named(&format!(
                            "it goes on with message {} of the session, of which {taken} are known: it does not lead",
                            accepted.sequence
                        )));
                    }
                    if let Some(socket) = self.socket.take() {
                        socket.close(registry);
                    }
                    self.open(address, registry, token, now, Stage::Missing { connected: false });
                }
            }
        }
    }

    /// The next message of the session, or what else the pair says; `None` when there is nothing yet. What it lends is
    /// [used up](Self::use_up) by its length.
    ///
    /// # Errors
    /// Why this connection serves no more.
    pub(super) fn next(&mut self) -> Result<Option<Said>, String> {
        if self.stage != Stage::LoggedIn {
            return Ok(None);
        }
        let Some(socket) = &mut self.socket else { return Ok(None) };
        let address = socket.peer();
        let named = |what: &str| format!("{address}: {what}");
        loop {
            let Some(packet) = socket.packet().map_err(|error| named(&error.to_string()))? else {
                return if socket.ended { Err(named("it closes the connection")) } else { Ok(None) };
            };
            let payload = |socket: &Socket| {
                let mut bytes = [0; super::socket::PAYLOAD_MAX];
                let said = socket.payload(packet);
                bytes[..said.len()].copy_from_slice(said);
                (bytes, said.len())
            };
            match packet.kind {
                soup::kind::SEQUENCED => {
                    let (bytes, length) = payload(socket);
                    return Ok(Some(Said { packet, is_message: true, bytes, length }));
                }
                soup::kind::UNSEQUENCED => {
                    let (bytes, length) = payload(socket);
                    return Ok(Some(Said { packet, is_message: false, bytes, length }));
                }
                soup::kind::SERVER_HEARTBEAT | soup::kind::DEBUG => socket.use_up(packet),
                soup::kind::END_OF_SESSION => return Err(named("it stops")),
                kind => return Err(named(&format!("a packet of type {kind:#04x}, after the login"))),
            }
        }
    }

    /// Goes on behind what was said.
    pub(super) fn use_up(&mut self, said: &Said) {
        if let Some(socket) = &mut self.socket {
            socket.use_up(said.packet);
        }
    }

    /// Whether as much waits for the pair as may.
    pub(super) fn is_full(&self) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.outbox.len() >= OUT_MAX)
    }

    /// Sends a request as it stands.
    pub(super) fn send(&mut self, message: &[u8]) {
        if let Some(socket) = &mut self.socket {
            soup::unsequenced(socket.outbox.buffer(), |out| out.extend_from_slice(message));
            socket.outbox.mark(Position(0));
        }
    }

    /// Asks which number is next.
    pub(super) fn ask(&mut self, query: Query) {
        let mut message = Vec::with_capacity(1);
        Inbound::AccountQuery.encode(&mut message);
        self.send(&message);
        self.queries.push_back(query);
    }

    /// Sends what there is to send.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.socket.as_mut().map_or(Ok(()), |socket| socket.flush(Position(0)).map(|_| ()))
    }

    /// Heartbeats and deadlines.
    ///
    /// # Errors
    /// The deadline that has passed.
    pub(super) fn tick(&mut self, now: Instant) -> Result<(), String> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        let waited = |since: Instant| now.saturating_duration_since(since);
        match self.stage {
            Stage::LoggedIn => {
                // What is read and not used yet is no silence.
                if waited(socket.heard) > SILENCE
                    && socket.is_drained()
                    && matches!(socket.packet(), Ok(None))
                {
                    return Err(format!("{}: it is silent", socket.peer()));
                }
                if socket.is_quiet(now) {
                    ClientPacket::Heartbeat.encode(socket.outbox.buffer());
                    socket.outbox.mark(Position(0));
                }
            }
            Stage::Resting(_) => {}
            _ if waited(self.since) > PATIENCE => {
                return Err(format!("{}: no answer", socket.peer()));
            }
            _ => {}
        }
        Ok(())
    }
}

/// What a pair said.
pub(super) struct Said {
    packet: super::socket::Packet,
    /// It has a number; else it has none.
    pub(super) is_message: bool,
    bytes: [u8; super::socket::PAYLOAD_MAX],
    length: usize,
}

impl Said {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
