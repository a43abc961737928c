//! A crowd: connections by the thousand on one thread, half of them logged in, each of those with one order that rests.
//!
//! Whenever there is an exchange, all who are not connected connect at once. Whoever logs in asks for what comes behind what
//! it was told; an exchange that has lost something of that, or numbers it otherwise, answers with another number.

use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use client::User;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use wire::{
    ouch::{Outbound, codes},
    soup::{self, ClientPacket, ServerPacket},
};

use super::client::{cheap_order, login_request};

/// That something went wrong in a crowd: [`Crowd::end`] says what.
pub(super) const GIVEN_UP: &str = "the crowd has given up";
/// The longest wait.
const TICK: Duration = Duration::from_millis(10);
/// A client that is in says so often that it lives.
const HEARTBEAT: Duration = Duration::from_secs(4);
/// Events taken at one time.
const EVENTS: usize = 1_024;
/// The longest packet that is taken.
const PAYLOAD_MAX: usize = 4_096;
/// The one order of each who logs in.
const ORDER: u32 = 1;

/// What the crowd and the drill tell each other.
#[derive(Default)]
struct Shared {
    /// Where the exchange is; `None`: there is none, and who is cut off has nothing to complain about.
    target: Mutex<Option<SocketAddr>>,
    over: AtomicBool,
    connected: AtomicUsize,
    /// Logged in, and its order is accepted.
    in_place: AtomicUsize,
}

/// The thread of a crowd.
pub(super) struct Crowd {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<(), String>>,
}

impl Crowd {
    /// So many connections, of which the first log in as `users`. They wait to be [led](Self::lead_to).
    pub(super) fn start(connections: usize, users: Vec<User>, symbol: [u8; 8]) -> Result<Self, String> {
        let shared = Arc::new(Shared::default());
        let mut users = users.into_iter();
        let members = (0..connections).map(|_| Member::new(users.next())).collect();
        let poll = Poll::new().map_err(|error| format!("no poll: {error}"))?;
        let run =
            Run { shared: Arc::clone(&shared), poll, members, symbol, scratch: Vec::new(), led_to: None };
        let thread = std::thread::Builder::new()
            .name("crowd".into())
            .spawn(move || run.run())
            .map_err(|error| format!("no thread for the crowd: {error}"))?;
        Ok(Self { shared, thread })
    }

    /// Where the exchange is from now on.
    pub(super) fn lead_to(&self, target: Option<SocketAddr>) {
        *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// Those connected, and those of them that are logged in with an order accepted.
    pub(super) fn there(&self) -> (usize, usize) {
        (self.shared.connected.load(Ordering::Acquire), self.shared.in_place.load(Ordering::Acquire))
    }

    /// Fails if something went wrong with one of them.
    pub(super) fn must_be_well(&self) -> Result<(), String> {
        // Why is said by the thread itself.
        if self.thread.is_finished() { Err(GIVEN_UP.into()) } else { Ok(()) }
    }

    /// Closes all connections. What went wrong, if anything did.
    pub(super) fn end(self) -> Result<(), String> {
        self.shared.over.store(true, Ordering::Release);
        self.thread.join().map_err(|_| "the crowd's thread died".to_owned())?
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Away,
    Connecting,
    Connected,
    /// Has asked to log in.
    Asking,
    In,
}

struct Member {
    user: Option<User>,
    stream: Option<TcpStream>,
    place: Place,
    /// Sequenced messages that it was told, over all connections.
    told: u64,
    is_accepted: bool,
    /// Bytes that are no whole packet yet.
    rest: Vec<u8>,
}

impl Member {
    fn new(user: Option<User>) -> Self {
        Self { user, stream: None, place: Place::Away, told: 0, is_accepted: false, rest: Vec::new() }
    }

    fn name(&self) -> &str {
        self.user.as_ref().map_or("one who is not logged in", |user| &user.name)
    }

    fn is_in_place(&self) -> bool {
        self.place == Place::In && self.is_accepted
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        match stream.write(bytes) {
            Ok(written) if written == bytes.len() => Ok(()),
            // A socket that has nothing to send takes some hundred bytes.
            Ok(written) => Err(format!("{}: {written} of {} bytes were taken", self.name(), bytes.len())),
            // Reading tells it as well, and whether that was to be expected.
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(format!("{}: {error}", self.name())),
        }
    }

    fn log_in(&mut self, scratch: &mut Vec<u8>) -> Result<(), String> {
        let Some(user) = &self.user else { return Ok(()) };
        let request = login_request(user, self.told + 1)?;
        scratch.clear();
        ClientPacket::LoginRequest(request).encode(scratch);
        self.place = Place::Asking;
        self.write(scratch)
    }

    fn order(&mut self, symbol: [u8; 8], scratch: &mut Vec<u8>) -> Result<(), String> {
        scratch.clear();
        let order = cheap_order(ORDER, symbol, codes::DAY);
        soup::unsequenced(scratch, |out| order.encode(out));
        self.write(scratch)
    }

    /// One packet of the exchange. Whether the order is to be sent.
    fn hear(&mut self, packet: &ServerPacket<'_>) -> Result<bool, String> {
        match packet {
            ServerPacket::LoginAccepted(accepted) => {
                if accepted.sequence != self.told + 1 {
                    return Err(format!(
                        "{} was told {} messages, and its session goes on with number {}",
                        self.name(),
                        self.told,
                        accepted.sequence
                    ));
                }
                self.place = Place::In;
                // One that was sent and not answered is sent again: the exchange takes it once.
                return Ok(!self.is_accepted);
            }
            ServerPacket::LoginRejected(reason) => {
                return Err(format!("{} was not let in: {reason:?}", self.name()));
            }
            ServerPacket::Sequenced(payload) => {
                self.told += 1;
                match Outbound::decode(payload) {
                    Ok(Outbound::Accepted(accepted)) if accepted.user_ref == ORDER && !self.is_accepted => {
                        self.is_accepted = true;
                    }
                    Ok(Outbound::SystemEvent(_)) => {}
                    other => return Err(format!("{} is told {other:?}", self.name())),
                }
            }
            _ => {}
        }
        Ok(false)
    }
}

struct Run {
    shared: Arc<Shared>,
    poll: Poll,
    members: Vec<Member>,
    symbol: [u8; 8],
    scratch: Vec<u8>,
    /// Where it was last led.
    led_to: Option<SocketAddr>,
}

impl Run {
    fn run(mut self) -> Result<(), String> {
        let mut events = Events::with_capacity(EVENTS);
        let mut heartbeat = Instant::now();
        while !self.shared.over.load(Ordering::Acquire) {
            let target = *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner);
            if target != self.led_to {
                self.led_to = target;
                if let Some(address) = target {
                    self.connect(address)?;
                }
            }
            self.poll.poll(&mut events, Some(TICK)).or_else(|error| match error.kind() {
                ErrorKind::Interrupted => Ok(()),
                _ => Err(format!("polling: {error}")),
            })?;
            for event in &events {
                self.attend(event.token().0)?;
            }
            if heartbeat.elapsed() > HEARTBEAT {
                heartbeat = Instant::now();
                self.scratch.clear();
                ClientPacket::Heartbeat.encode(&mut self.scratch);
                for member in self.members.iter_mut().filter(|member| member.place == Place::In) {
                    member.write(&self.scratch)?;
                }
            }
        }
        Ok(())
    }

    /// All who are away set out.
    fn connect(&mut self, address: SocketAddr) -> Result<(), String> {
        for (index, member) in self.members.iter_mut().enumerate() {
            if member.place != Place::Away {
                // What it is connected to is no more, and it has not looked since.
                leave(member, &self.shared);
            }
            let wrong = |error: std::io::Error| format!("connection {index} to {address}: {error}");
            let mut stream = TcpStream::connect(address).map_err(wrong)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(index), interest).map_err(wrong)?;
            member.stream = Some(stream);
            member.place = Place::Connecting;
        }
        Ok(())
    }

    fn attend(&mut self, index: usize) -> Result<(), String> {
        let Self { shared, members, symbol, scratch, .. } = self;
        let member = &mut members[index];
        let was_in_place = member.is_in_place();
        if member.place == Place::Connecting {
            let Some(stream) = &member.stream else { return Ok(()) };
            if let Some(error) = stream.take_error().ok().flatten() {
                return self.lost(index, &error.to_string());
            }
            if stream.peer_addr().is_err() {
                return Ok(());
            }
            member.place = Place::Connected;
            shared.connected.fetch_add(1, Ordering::AcqRel);
            member.log_in(scratch)?;
        }
        let mut bytes = [0; 4_096];
        loop {
            let Some(stream) = &mut member.stream else { return Ok(()) };
            let read = match stream.read(&mut bytes) {
                Ok(0) => return self.lost(index, "closed"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.lost(index, &error.to_string()),
            };
            let mut rest = std::mem::take(&mut member.rest);
            rest.extend_from_slice(&bytes[..read]);
            let mut taken = 0;
            while let Some(frame) = soup::frame(&rest[taken..], PAYLOAD_MAX)
                .map_err(|error| format!("{}: {error}", member.name()))?
            {
                let packet =
                    ServerPacket::decode(&frame).map_err(|error| format!("{}: {error}", member.name()))?;
                taken += frame.consumed;
                if member.hear(&packet)? {
                    member.order(*symbol, scratch)?;
                }
            }
            rest.drain(..taken);
            member.rest = rest;
        }
        if member.is_in_place() && !was_in_place {
            shared.in_place.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }

    /// A connection has ended: which is to be expected only where the exchange has.
    fn lost(&mut self, index: usize, why: &str) -> Result<(), String> {
        let member = &mut self.members[index];
        let text = format!("{} ({:?}): {why}, and the exchange lives", member.name(), member.place);
        leave(member, &self.shared);
        // What was led elsewhere since says nothing of where it was.
        let now = *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner);
        if self.led_to.is_some() && now == self.led_to { Err(text) } else { Ok(()) }
    }
}

fn leave(member: &mut Member, shared: &Shared) {
    if !matches!(member.place, Place::Away | Place::Connecting) {
        shared.connected.fetch_sub(1, Ordering::AcqRel);
    }
    if member.is_in_place() {
        shared.in_place.fetch_sub(1, Ordering::AcqRel);
    }
    member.place = Place::Away;
    member.stream = None;
    member.rest.clear();
}

fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected)
}
