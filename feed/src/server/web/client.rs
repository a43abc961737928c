//! One client of the WebSocket feed: its connection, and what it has subscribed to.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Write},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{InstrumentId, SessionId};
use door::{auth::Ticket, lobby::Place, transport::Transport};
use log::info;
use tungstenite::{
    Error, HandshakeError, Message, Utf8Bytes, WebSocket,
    handshake::{MidHandshake, server::ServerHandshake},
    protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
};

use super::{
    stream::Stream,
    text::{self, Channel},
    upgrade::{Shown, Upgrade, WebLogin},
};
use crate::server::doors::Doors;

/// A client that has been told to go has so long for it.
const LEAVING: Duration = Duration::from_secs(5);
/// A client is asked whether it is there, so often.
const PING: Duration = Duration::from_secs(20);
/// A client that has said nothing for so long, or taken nothing of what waits, is cut off.
const SILENCE: Duration = Duration::from_secs(60);
const STUCK: Duration = Duration::from_secs(10);
/// Bytes of a message from a client.
const MESSAGE_MAX: usize = 16 << 10;
/// Bytes that wait for a client that does not take them; what comes on top it misses.
const UNSENT_MAX: usize = 1 << 20;
enum State {
    /// That of TLS, if there is TLS, and then that of HTTP.
    Handshake(Box<MidHandshake<ServerHandshake<Stream, Upgrade>>>, Shown),
    Open(Box<WebSocket<Stream>>),
    Gone,
}

/// How far a client's login got.
pub(super) enum Entry {
    /// Nobody yet. With what it showed while it connected, if it did.
    Outside(Option<WebLogin>),
    /// What it showed is being verified. Nothing more of it is read until that is over.
    Verifying(Ticket, WebLogin),
    /// The same, when its turn comes.
    Parked(WebLogin),
    /// It may read. The session of its user, if it is asked who it is.
    In(Option<SessionId>),
    /// It has been told that it may not, or not any more; what it still says is read, so that closing takes nothing back.
    Leaves,
}

/// What came of reading.
pub(super) enum Heard {
    /// A text.
    Text(Utf8Bytes),
    /// The connection is open now.
    Opened,
    /// Something that is nobody's business; there may be more.
    Nothing,
    /// All that there was. Whether there may be more without another event.
    Drained(bool),
}

pub(super) struct Client {
    state: State,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
    pub(super) entry: Entry,
    /// By instrument: the bits of the channels.
    pub(super) subscriptions: BTreeMap<InstrumentId, u8>,
    /// The same of those that it is to be shown as they are. Changes are not told until it has been.
    pub(super) owed: BTreeMap<InstrumentId, u8>,
    /// Messages that it has said since clients were looked at.
    pub(super) said: usize,
    /// It has missed something, and gets snapshots once it has taken what waits.
    pub(super) is_behind: bool,
    /// When it is cut off if it has not logged in, or not gone, by then.
    pub(super) until: Instant,
    heard: Instant,
    pinged: Instant,
    /// Since when something waits for it, and it takes nothing of it; with the bytes that it had taken by then.
    waits: Option<(Instant, u64)>,
}

impl Client {
    pub(super) fn new(
        transport: Transport,
        peer: SocketAddr,
        place: Place,
        origins: Arc<[String]>,
        now: Instant,
        until: Instant,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            .write_buffer_size(0)
            .max_write_buffer_size(UNSENT_MAX)
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(MESSAGE_MAX));
        let shown = Shown::default();
        let upgrade = Upgrade::new(origins, &shown);
        let handshake = ServerHandshake::start(Stream::new(transport), upgrade, Some(config));
        Self {
            state: State::Handshake(Box::new(handshake), shown),
            peer,
            place,
            entry: Entry::Outside(None),
            subscriptions: BTreeMap::new(),
            owed: BTreeMap::new(),
            said: 0,
            is_behind: false,
            until,
            heard: now,
            pinged: now,
            waits: None,
        }
    }

    /// It is to be shown a book as it is, on the channels that show books.
    pub(super) fn owe(&mut self, id: InstrumentId, bits: u8) {
        let bits = bits & (Channel::Depth.bit() | Channel::Top.bit());
        // One that is behind is shown all of them when it has caught up.
        if bits != 0 && !self.is_behind {
            *self.owed.entry(id).or_default() |= bits;
        }
    }

    /// It does not want to be shown a book any more.
    pub(super) fn owe_no_more(&mut self, id: InstrumentId, bits: u8) {
        if let Some(owed) = self.owed.get_mut(&id) {
            *owed &= !bits;
            if *owed == 0 {
                self.owed.remove(&id);
            }
        }
    }

    /// Whether changes are told to it: it has subscribed, and has been shown what changes.
    pub(super) fn is_told(&self, id: InstrumentId, channel: Channel) -> bool {
        let has =
            |bits: &BTreeMap<InstrumentId, u8>| bits.get(&id).is_some_and(|bits| bits & channel.bit() != 0);
        has(&self.subscriptions) && !has(&self.owed)
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    pub(super) const fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Goes on with the handshake, or reads one message.
    pub(super) fn receive(&mut self, token: usize, doors: &mut Doors, now: Instant) -> Heard {
        if let State::Handshake(..) = self.state {
            return self.shake_hands(token, doors);
        }
        let State::Open(socket) = &mut self.state else { return Heard::Drained(false) };
        match socket.read() {
            Ok(message) => {
                self.heard = now;
                self.said += 1;
                match message {
                    Message::Text(text) => Heard::Text(text),
                    Message::Ping(_) | Message::Pong(_) => Heard::Nothing,
                    // Nothing else means anything here; a close has been answered.
                    Message::Close(_) | Message::Binary(_) | Message::Frame(_) => {
                        let _ = socket.close(None);
                        let _ = socket.flush();
                        self.state = State::Gone;
                        Heard::Drained(false)
                    }
                }
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                Heard::Drained(socket.get_ref().has_more)
            }
            Err(_) => {
                self.state = State::Gone;
                Heard::Drained(false)
            }
        }
    }

    fn shake_hands(&mut self, token: usize, doors: &mut Doors) -> Heard {
        let State::Handshake(mut handshake, shown) = core::mem::replace(&mut self.state, State::Gone) else {
            return Heard::Drained(false);
        };
        if !doors.may_go_on(handshake.get_ref().get_ref().transport(), token) {
            self.state = State::Handshake(handshake, shown);
            return Heard::Drained(true);
        }
        // TLS may have something left to say of its own handshake.
        let _ = handshake.get_mut().get_mut().flush();
        match handshake.handshake() {
            Ok(socket) => {
                self.state = State::Open(Box::new(socket));
                self.entry = Entry::Outside(shown.take());
                Heard::Opened
            }
            Err(HandshakeError::Interrupted(handshake)) => {
                let has_more = handshake.get_ref().get_ref().has_more;
                self.state = State::Handshake(Box::new(handshake), shown);
                Heard::Drained(has_more)
            }
            Err(HandshakeError::Failure(error)) => {
                info!("{}: market data: no WebSocket: {error}", self.peer);
                Heard::Drained(false)
            }
        }
    }

    /// Whether nothing is to be done with what it says until its login has been verified.
    pub(super) const fn waits_for_verdict(&self) -> bool {
        matches!(self.entry, Entry::Verifying(..) | Entry::Parked(_))
    }

    /// Tells it why it cannot stay, and waits a while for it to go.
    pub(super) fn turn_away(&mut self, why: &str, now: Instant) {
        self.send(text::refusal(why).into(), now);
        let State::Open(socket) = &mut self.state else { return };
        let code = CloseCode::Policy;
        // What does not go now goes when there is room.
        let _ = socket.close(Some(CloseFrame { code, reason: Utf8Bytes::from(why) }));
        self.entry = Entry::Leaves;
        self.until = now + LEAVING;
    }

    /// Sends a message, or leaves it out when too much waits already: then the client is behind.
    pub(super) fn send(&mut self, text: Utf8Bytes, now: Instant) {
        let State::Open(socket) = &mut self.state else { return };
        if matches!(self.entry, Entry::Leaves) {
            return;
        }
        match socket.write(Message::Text(text)) {
            Ok(()) => {}
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => self.waits_for_room(now),
            Err(Error::WriteBufferFull(_)) => {
                self.is_behind = true;
                self.waits_for_room(now);
            }
            Err(_) => self.state = State::Gone,
        }
    }

    /// Something waits for it. It is given time as long as it takes any.
    fn waits_for_room(&mut self, now: Instant) {
        let State::Open(socket) = &self.state else { return };
        let taken = socket.get_ref().taken;
        if self.waits.is_none_or(|(_, before)| before != taken) {
            self.waits = Some((now, taken));
        }
    }

    /// Sends what waits. Says whether all has gone.
    pub(super) fn flush(&mut self, now: Instant) -> bool {
        let State::Open(socket) = &mut self.state else { return false };
        match socket.flush() {
            Ok(()) => {
                self.waits = None;
                true
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                self.waits_for_room(now);
                false
            }
            Err(_) => {
                self.state = State::Gone;
                false
            }
        }
    }

    /// Whether it must be cut off; it is asked whether it is there when that is due.
    pub(super) fn is_late(&mut self, now: Instant) -> bool {
        if !matches!(self.entry, Entry::In(_)) {
            return now >= self.until;
        }
        let silent = now.duration_since(self.heard);
        let State::Open(socket) = &mut self.state else { return false };
        if now.duration_since(self.pinged) >= PING {
            self.pinged = now;
            let _ = socket.send(Message::Ping(Vec::new().into()));
        }
        silent >= SILENCE || self.waits.is_some_and(|(since, _)| now.duration_since(since) >= STUCK)
    }

    /// Tells it that the session ends.
    pub(super) fn end(&mut self) {
        if let State::Open(socket) = &mut self.state {
            let _ = socket.close(None);
            let _ = socket.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use door::lobby::{Lobby, LobbyLimits};
    use tungstenite::protocol::Role;

    use super::*;

    /// A connection that is not waited for on the one side.
    fn connection() -> (Transport, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let reader =
            std::net::TcpStream::connect(listener.local_addr().expect("its address")).expect("a way");
        let (socket, _) = listener.accept().expect("a connection");
        socket.set_nonblocking(true).expect("no waiting");
        (Transport::Plain(mio::net::TcpStream::from_std(socket)), reader)
    }

    /// Time is the test's own, and goes on for a minute.
    #[test]
    fn who_takes_some_of_what_waits_in_ten_seconds_is_not_cut_off_and_who_takes_none_is() {
        let begin = Instant::now();
        let (transport, mut reader) = connection();
        let peer = reader.local_addr().expect("an address");
        let place = Lobby::new(LobbyLimits::default()).came(peer.ip(), 0);
        // The handshake is not what this is about.
        let mut client = Client::new(connection().0, peer, place, Arc::new([]), begin, begin);
        client.state =
            State::Open(Box::new(WebSocket::from_raw_socket(Stream::new(transport), Role::Server, None)));
        client.entry = Entry::In(None);
        let mut some = vec![0; 8 << 20];
        let mut time = Duration::ZERO;
        reader.set_nonblocking(true).expect("no waiting");
        for _ in 0..7 {
            // Until the system takes no more, whatever it has room for.
            while client.waits.is_none_or(|(since, _)| since < begin + time) {
                client.send("x".repeat(64 << 10).into(), begin + time);
            }
            assert!(!client.is_late(begin + time));
            time += STUCK - Duration::from_millis(1);
            assert!(!client.is_late(begin + time), "{time:?}");
            client.heard = begin + time;
            // It takes what is there, and the system has room for more.
            while client.waits.is_some_and(|(since, _)| since < begin + time) {
                let _ = reader.read(&mut some);
                client.flush(begin + time);
            }
        }
        // The system may find room for a little more when it has sent what it had.
        let mut before = None;
        while client.waits.is_none() || client.waits != before {
            while client.waits.is_none() {
                client.send("x".repeat(1 << 20).into(), begin + time);
            }
            before = client.waits;
            std::thread::sleep(Duration::from_millis(20));
            client.flush(begin + time);
        }
        let (since, _) = client.waits.expect("something waits");
        assert!(!client.flush(since + STUCK / 2), "an attempt in between is no progress");
        assert!(!client.is_late(since + STUCK - Duration::from_nanos(1)));
        assert!(client.is_late(since + STUCK));
    }
}
