//! Snapshots over SoupBinTCP, as GLIMPSE gives them: a client logs in, gets every order that is shown and the number of the
//! feed's next message, and is closed.
//!
//! Those who log in at about the same time share one snapshot. Anyone may have one; a client that does not take its own
//! in time is cut off.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{
    Interest, Registry, Token,
    net::{TcpListener, TcpStream},
};
use wire::{
    itch::{EndOfSnapshot, Message},
    mold::Session,
    soup::{self, ClientPacket, LoginAccepted, LoginRejected, LoginRequest, ServerPacket, SessionName},
};

use super::{SNAPSHOT_CLIENTS, stats::Stats};
use crate::store::Store;

/// A client that has not logged in, or not taken anything, for so long is cut off.
const PATIENCE: Duration = Duration::from_secs(5);
/// A login, and nothing longer.
const INPUT_MAX: usize = soup::HEADER_LEN + LoginRequest::LEN;
/// Taking snapshots may take this part of the thread's time, at most.
const SHARE: u32 = 10;
/// Bytes given to one client in a turn, so that publishing goes on.
const TURN_BYTES: usize = 1 << 20;

enum State {
    /// What has come of its login.
    Login(Vec<u8>),
    /// It has logged in.
    Waits,
    /// It gets these bytes, from there on.
    Takes(Arc<Vec<u8>>, usize),
    /// It has everything: what it still says is read, so that closing takes nothing back.
    Leaves,
    /// It has gone, or said what nobody asked for.
    Gone,
}

struct Client {
    stream: TcpStream,
    state: State,
    /// When it is cut off.
    until: Instant,
}

pub(super) struct Snapshots {
    listener: TcpListener,
    address: SocketAddr,
    /// By token.
    clients: Vec<Option<Client>>,
    /// When the next snapshot may be taken.
    next: Instant,
    /// Clients were refused a place; whoever still waits in the listener is taken when there is one.
    may_wait: bool,
    stats: Arc<Stats>,
}

impl Snapshots {
    pub(super) fn bind(
        address: SocketAddr,
        clients_max: usize,
        registry: &Registry,
        token: Token,
        stats: Arc<Stats>,
    ) -> io::Result<Self> {
        let mut listener = TcpListener::bind(address)?;
        registry.register(&mut listener, token, Interest::READABLE)?;
        let address = listener.local_addr()?;
        let clients = (0..clients_max).map(|_| None).collect();
        Ok(Self { listener, address, clients, next: Instant::now(), may_wait: false, stats })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes those who connect, as far as there are places; further ones wait with the system.
    pub(super) fn accept(&mut self, registry: &Registry, now: Instant) {
        loop {
            let Some(at) = self.clients.iter().position(Option::is_none) else {
                self.may_wait = true;
                return;
            };
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    let token = Token(SNAPSHOT_CLIENTS + at);
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    if registry.register(&mut stream, token, interest).is_ok() {
                        let state = State::Login(Vec::new());
                        self.clients[at] = Some(Client { stream, state, until: now + PATIENCE });
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.may_wait = false;
                    return;
                }
            }
        }
    }

    /// A client's socket can be read or written.
    pub(super) fn on_ready(&mut self, token: Token, session: Session, now: Instant) {
        let Some(slot) = self.clients.get_mut(token.0 - SNAPSHOT_CLIENTS) else { return };
        if let Some(client) = slot
            && let State::Login(_) = client.state
        {
            client.log_in(session, now);
            if matches!(client.state, State::Gone) {
                *slot = None;
            }
        }
    }

    /// Gives those who wait a snapshot of what has been published, which `show` says.
    pub(super) fn give(&mut self, now: Instant, store: &Store, show: impl FnOnce(&mut dyn FnMut(Message))) {
        let waits = |client: &&mut Client| matches!(client.state, State::Waits);
        if now < self.next || !self.clients.iter_mut().flatten().any(|client| waits(&client)) {
            return;
        }
        let begun = Instant::now();
        let mut bytes = Vec::new();
        let session = SessionName::new(&String::from_utf8_lossy(&store.session()));
        let session = session.unwrap_or(SessionName::BLANK);
        ServerPacket::LoginAccepted(LoginAccepted { session, sequence: 1 }).encode(&mut bytes);
        let mut say = |message: Message| {
            let Ok(()) = soup::sequenced(&mut bytes, |out| {
                message.encode(out);
                Ok::<(), core::convert::Infallible>(())
            });
        };
        show(&mut say);
        say(EndOfSnapshot::new(store.next()).into());
        ServerPacket::EndOfSession.encode(&mut bytes);
        let bytes = Arc::new(bytes);
        for client in self.clients.iter_mut().flatten().filter(waits) {
            client.state = State::Takes(Arc::clone(&bytes), 0);
            client.until = now + PATIENCE;
        }
        self.next = now + begun.elapsed() * SHARE;
    }

    /// Sends what clients take, and lets go of those who have all, or take nothing. Says whether somebody would take more.
    pub(super) fn flush(&mut self, registry: &Registry, now: Instant) -> bool {
        let (mut served, mut owes) = (0, false);
        for slot in &mut self.clients {
            let Some(client) = slot else { continue };
            let kept = match client.send(now) {
                Sent::All => {
                    self.stats.snapshots.add(1);
                    client.state = State::Leaves;
                    client.until = now + PATIENCE;
                    client.stream.shutdown(Shutdown::Write).is_ok()
                }
                Sent::Left => false,
                Sent::Turn => {
                    owes = true;
                    true
                }
                Sent::Blocked if now < client.until => true,
                Sent::Blocked | Sent::Broken => {
                    self.stats.snapshots_cut.add(u64::from(!matches!(client.state, State::Leaves)));
                    false
                }
            };
            if kept {
                served += 1;
            } else {
                *slot = None;
            }
        }
        self.stats.snapshot_clients.set(served);
        if self.may_wait && self.clients.iter().any(Option::is_none) {
            self.accept(registry, now);
        }
        owes
    }

    /// How long it is until there is something to do besides what sockets say.
    pub(super) fn patience(&self, now: Instant) -> Duration {
        let due = self.clients.iter().flatten().map(|client| match &client.state {
            State::Waits => self.next,
            State::Login(_) | State::Takes(..) | State::Leaves | State::Gone => client.until,
        });
        due.min()
            .map_or(Duration::MAX, |due| due.saturating_duration_since(now).max(Duration::from_millis(1)))
    }
}

/// What came of sending.
enum Sent {
    /// It has everything.
    All,
    /// It takes more, when its turn comes.
    Turn,
    /// It has nothing to take, or takes nothing now.
    Blocked,
    /// It had everything, and has closed.
    Left,
    Broken,
}

impl Client {
    fn log_in(&mut self, session: Session, now: Instant) {
        let State::Login(input) = &mut self.state else { return };
        let mut bytes = [0; INPUT_MAX];
        loop {
            let room = INPUT_MAX - input.len();
            match self.stream.read(&mut bytes[..room]) {
                Ok(0) => {
                    self.state = State::Gone;
                    return;
                }
                Ok(read) => input.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.state = State::Gone;
                    return;
                }
            }
            let packet = soup::frame(input, LoginRequest::LEN)
                .map(|frame| frame.map(|frame| (frame.consumed, ClientPacket::decode(&frame).ok())));
            match packet {
                Ok(None) => {}
                Ok(Some((_, Some(ClientPacket::LoginRequest(login))))) => {
                    let name = String::from_utf8_lossy(&session).into_owned();
                    let is_ours = login.session.is_blank() || login.session.as_str() == name.trim();
                    self.state = State::Waits;
                    self.until = now + PATIENCE;
                    if !is_ours {
                        let mut refusal = Vec::new();
                        LoginRejected::SessionNotAvailable.encode(&mut refusal);
                        self.state = State::Takes(Arc::new(refusal), 0);
                    }
                    return;
                }
                // Heartbeats and debug text may come before; anything else may not.
                Ok(Some((length, Some(ClientPacket::Heartbeat | ClientPacket::Debug(_))))) => {
                    input.drain(..length);
                }
                Ok(Some(_)) | Err(_) => {
                    self.state = State::Gone;
                    return;
                }
            }
        }
    }

    fn send(&mut self, now: Instant) -> Sent {
        let (bytes, sent) = match &mut self.state {
            State::Takes(bytes, sent) => (bytes, sent),
            State::Leaves => return self.hear_out(),
            State::Login(_) | State::Waits | State::Gone => return Sent::Blocked,
        };
        let until = bytes.len().min(*sent + TURN_BYTES);
        while *sent < until {
            match self.stream.write(&bytes[*sent..until]) {
                Ok(0) => return Sent::Broken,
                Ok(written) => {
                    *sent += written;
                    self.until = now + PATIENCE;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Sent::Blocked,
                Err(_) => return Sent::Broken,
            }
        }
        if *sent == bytes.len() { Sent::All } else { Sent::Turn }
    }

    fn hear_out(&mut self) -> Sent {
        let mut ignored = [0; 256];
        loop {
            match self.stream.read(&mut ignored) {
                Ok(0) => return Sent::Left,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Sent::Blocked,
                Err(_) => return Sent::Left,
            }
        }
    }
}
