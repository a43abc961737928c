//! One client of the WebSocket feed: its connection, and what it has subscribed to.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::InstrumentId;
use mio::net::TcpStream;
use tungstenite::{
    Error, HandshakeError, Message, Utf8Bytes, WebSocket,
    handshake::{
        MidHandshake,
        server::{Callback, ErrorResponse, Request, Response, ServerHandshake},
    },
    http::StatusCode,
    protocol::WebSocketConfig,
};

/// A client that has not finished its handshake by then is cut off.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// A client is asked whether it is there, so often.
const PING: Duration = Duration::from_secs(20);
/// A client that has said nothing for so long, or taken nothing of what waits, is cut off.
const SILENCE: Duration = Duration::from_secs(60);
const STUCK: Duration = Duration::from_secs(10);
/// Bytes of a message from a client.
const MESSAGE_MAX: usize = 16 << 10;
/// Bytes that wait for a client that does not take them; what comes on top it misses.
const UNSENT_MAX: usize = 1 << 20;
/// Messages read from one client in a turn.
const READ_MAX: usize = 16;

/// Which pages a browser may come from.
#[derive(Clone, Debug)]
pub(super) struct Origins(pub(super) Arc<[String]>);

impl Callback for Origins {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        // What is no browser names no page. Without a list, all may come: there is nothing secret here.
        let origin = request.headers().get("origin");
        let may = self.0.is_empty()
            || origin.is_none_or(|origin| self.0.iter().any(|known| known.as_bytes() == origin.as_bytes()));
        if may {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        Err(refusal)
    }
}

enum State {
    Handshake(Box<MidHandshake<ServerHandshake<TcpStream, Origins>>>),
    Open(Box<WebSocket<TcpStream>>),
    Gone,
}

pub(super) struct Client {
    state: State,
    pub(super) from: IpAddr,
    /// By instrument: the bits of the channels.
    pub(super) subscriptions: BTreeMap<InstrumentId, u8>,
    /// It has missed something, and gets snapshots once it has taken what waits.
    pub(super) is_behind: bool,
    heard: Instant,
    pinged: Instant,
    /// Since when something waits for it.
    waits: Option<Instant>,
}

impl Client {
    pub(super) fn new(stream: TcpStream, from: IpAddr, origins: Origins, now: Instant) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            .write_buffer_size(0)
            .max_write_buffer_size(UNSENT_MAX)
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(MESSAGE_MAX));
        Self {
            state: State::Handshake(Box::new(ServerHandshake::start(stream, origins, Some(config)))),
            from,
            subscriptions: BTreeMap::new(),
            is_behind: false,
            heard: now,
            pinged: now,
            waits: None,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    pub(super) const fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Goes on with the handshake, or reads. Gives what was said; says whether more may be there.
    pub(super) fn receive(&mut self, now: Instant, said: &mut Vec<Utf8Bytes>) -> bool {
        if let State::Handshake(_) = self.state {
            let State::Handshake(handshake) = core::mem::replace(&mut self.state, State::Gone) else {
                return false;
            };
            match handshake.handshake() {
                Ok(socket) => self.state = State::Open(Box::new(socket)),
                Err(HandshakeError::Interrupted(handshake)) => {
                    self.state = State::Handshake(Box::new(handshake));
                }
                Err(HandshakeError::Failure(_)) => {}
            }
        }
        let State::Open(socket) = &mut self.state else { return false };
        for _ in 0..READ_MAX {
            match socket.read() {
                Ok(message) => {
                    self.heard = now;
                    match message {
                        Message::Text(text) => said.push(text),
                        Message::Ping(_) | Message::Pong(_) => {}
                        // Nothing else means anything here; a close has been answered.
                        Message::Close(_) | Message::Binary(_) | Message::Frame(_) => {
                            let _ = socket.close(None);
                            let _ = socket.flush();
                            self.state = State::Gone;
                            return false;
                        }
                    }
                }
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => {
                    self.state = State::Gone;
                    return false;
                }
            }
        }
        true
    }

    /// Sends a message, or leaves it out when too much waits already: then the client is behind.
    pub(super) fn send(&mut self, text: Utf8Bytes, now: Instant) {
        let State::Open(socket) = &mut self.state else { return };
        match socket.write(Message::Text(text)) {
            Ok(()) => {}
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                self.waits.get_or_insert(now);
            }
            Err(Error::WriteBufferFull(_)) => {
                self.is_behind = true;
                self.waits.get_or_insert(now);
            }
            Err(_) => self.state = State::Gone,
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
                self.waits.get_or_insert(now);
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
        let silent = now.duration_since(self.heard);
        let State::Open(socket) = &mut self.state else { return silent >= HANDSHAKE };
        if now.duration_since(self.pinged) >= PING {
            self.pinged = now;
            let _ = socket.send(Message::Ping(Vec::new().into()));
        }
        silent >= SILENCE || self.waits.is_some_and(|since| now.duration_since(since) >= STUCK)
    }

    /// Tells it that the session ends.
    pub(super) fn end(&mut self) {
        if let State::Open(socket) = &mut self.state {
            let _ = socket.close(None);
            let _ = socket.flush();
        }
    }
}
