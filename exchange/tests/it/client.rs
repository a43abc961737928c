//! Clients of an exchange under test: one that speaks the protocol, and one that writes any bytes.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use client::{ClientError, User, soup::Connection};
use wire::{
    ouch::{
        Appendage, Inbound, Outbound, codes,
        inbound::{CancelOrder, EnterOrder, ReplaceOrder},
    },
    soup::{self, LoginRequest, Password, SessionName, Username},
};

use crate::venue::HUNG;

/// A message with its number, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Said {
    pub(crate) fn message(&self) -> Outbound<'_> {
        Outbound::decode(&self.bytes).expect("an OUCH message")
    }
}

/// A session's connection, logged in.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) user: &'static str,
    /// The session that it is in.
    pub(crate) session: String,
}

impl Client {
    pub(crate) fn try_log_in(
        address: SocketAddr,
        user: &'static str,
        password: &str,
        session: &str,
        from: u64,
    ) -> Result<Self, ClientError> {
        let mut connection = Connection::open(address, HUNG)?;
        let login = User { name: user.to_owned(), password: password.to_owned() };
        let accepted = connection.login(&login, session, from, HUNG)?;
        Ok(Self { connection, user, session: accepted.session.to_string() })
    }

    /// Puts a request behind those that wait to be sent.
    pub(crate) fn put(&mut self, request: &Inbound<'_>) {
        self.connection.send(request).unwrap_or_else(|error| panic!("{}: {error}", self.user));
    }

    /// Sends what waits, in one write as long as the socket takes it.
    pub(crate) fn flush(&mut self) {
        self.connection.drain(HUNG).unwrap_or_else(|error| panic!("{}: {error}", self.user));
    }

    /// Sends a request at once.
    pub(crate) fn ask(&mut self, request: &Inbound<'_>) {
        self.put(request);
        self.flush();
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> Said {
        match self.connection.receive(HUNG) {
            Ok(Some(message)) => Said { number: message.sequence, bytes: message.bytes.to_vec() },
            Ok(None) => panic!("{} is told nothing", self.user),
            Err(error) => panic!("{}: {error}", self.user),
        }
    }

    /// Messages up to the answer of an account query, and the number that it says.
    pub(crate) fn query(&mut self) -> (Vec<Said>, u32) {
        self.ask(&Inbound::AccountQuery);
        let mut all = Vec::new();
        loop {
            let said = self.next();
            let answer = match said.message() {
                Outbound::AccountQueryResponse(answer) => Some(answer.next_user_ref),
                _ => None,
            };
            all.push(said);
            if let Some(next) = answer {
                return (all, next);
            }
        }
    }

    /// Messages up to and with number `last`.
    pub(crate) fn up_to(&mut self, last: u64) -> Vec<Said> {
        let mut all = Vec::new();
        while self.connection.next_sequence() <= last {
            all.push(self.next());
        }
        all
    }

    /// Reads until the server closes the connection; returns the messages before that.
    pub(crate) fn until_closed(&mut self) -> Vec<Said> {
        let mut all = Vec::new();
        let deadline = Instant::now() + HUNG;
        loop {
            match self.connection.receive(HUNG) {
                Ok(Some(message)) => {
                    all.push(Said { number: message.sequence, bytes: message.bytes.to_vec() });
                }
                Ok(None) => panic!("{} is not cut off", self.user),
                Err(ClientError::Closed { .. } | ClientError::EndOfSession { .. }) => return all,
                Err(error) => panic!("{}: {error}", self.user),
            }
            assert!(Instant::now() < deadline, "{} is not cut off", self.user);
        }
    }

    /// Whether nothing is said for so long.
    pub(crate) fn is_silent_for(&mut self, time: Duration) -> bool {
        self.connection.receive(time).unwrap_or_else(|error| panic!("{}: {error}", self.user)).is_none()
    }

    /// What still comes from a server that is gone.
    pub(crate) fn until_gone(&mut self) -> Vec<Said> {
        let mut all = Vec::new();
        while let Ok(Some(message)) = self.connection.receive(HUNG) {
            all.push(Said { number: message.sequence, bytes: message.bytes.to_vec() });
        }
        all
    }

    /// One order in and out of `symbol`'s book: two messages.
    pub(crate) fn round_trip(&mut self, user_ref: u32, symbol: &str) {
        self.ask(&enter(user_ref, b'B', 1, symbol, 1_00, codes::DAY));
        assert!(matches!(self.next().message(), Outbound::Accepted(m) if m.user_ref == user_ref));
        self.ask(&cancel(user_ref, 0));
        assert!(matches!(self.next().message(), Outbound::Canceled(m) if m.user_ref == user_ref));
    }
}

/// An order without options; `price` is in ten-thousandths.
pub(crate) fn enter(
    user_ref: u32,
    side: u8,
    quantity: u32,
    symbol: &str,
    price: u64,
    tif: u8,
) -> Inbound<'static> {
    Inbound::EnterOrder(EnterOrder {
        user_ref,
        side,
        quantity,
        symbol: padded(symbol),
        price,
        time_in_force: tif,
        display: b'Y',
        capacity: b'P',
        intermarket_sweep: b'N',
        cross: b'N',
        client_order_id: *b"              ",
        appendage: Appendage::EMPTY,
    })
}

pub(crate) fn cancel(user_ref: u32, quantity: u32) -> Inbound<'static> {
    Inbound::CancelOrder(CancelOrder { user_ref, quantity })
}

/// A day order in another's place, without options.
pub(crate) fn replace(original: u32, user_ref: u32, quantity: u32, price: u64) -> Inbound<'static> {
    Inbound::ReplaceOrder(ReplaceOrder {
        original,
        user_ref,
        quantity,
        price,
        time_in_force: codes::DAY,
        display: b'Y',
        intermarket_sweep: b'N',
        client_order_id: *b"              ",
        appendage: Appendage::EMPTY,
    })
}

/// Text with the padding of the wire.
pub(crate) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [b' '; N];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// The bytes of a login.
pub(crate) fn login_bytes(user: &str, password: &str, session: &str, from: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    LoginRequest {
        username: Username::new(user).expect("a user"),
        password: Password::new(password).expect("a password"),
        session: SessionName::new(session).expect("a session"),
        sequence: from,
    }
    .encode(&mut bytes);
    bytes
}

/// The bytes of a request, in its packet.
pub(crate) fn request_bytes(request: &Inbound<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    soup::unsequenced(&mut bytes, |out| request.encode(out));
    bytes
}

/// A packet of any type and payload.
pub(crate) fn packet_bytes(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 1).expect("a packet");
    [&length.to_be_bytes()[..], &[kind], payload].concat()
}

/// A socket that writes any bytes and takes packets apart.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    inbox: Vec<u8>,
}

impl Raw {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("a connection"))
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(HUNG)).expect("a timeout");
        Self { stream, inbox: Vec::new() }
    }

    /// How the exchange's log names this connection.
    pub(crate) fn name(&self) -> String {
        self.stream.local_addr().expect("an address").to_string()
    }

    /// Writes; the other side may be gone already.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next packet's type and payload; `None` when the connection has ended.
    pub(crate) fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            let length = self.inbox.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
            if let Some(length) = length
                && self.inbox.len() >= 2 + length
            {
                let packet: Vec<u8> = self.inbox.drain(..2 + length).collect();
                return Some((packet[2], packet[3..].to_vec()));
            }
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(n) => self.inbox.extend_from_slice(&bytes[..n]),
                Err(error) if is_timeout(&error) => panic!("hung: neither an answer nor a closed connection"),
                // A reset is an end.
                Err(_) => return None,
            }
        }
    }

    /// The next packet that is no heartbeat.
    pub(crate) fn answer(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            match self.packet() {
                Some((soup::kind::SERVER_HEARTBEAT, _)) => {}
                packet => return packet,
            }
        }
    }

    /// All packets but heartbeats, until the other side closes.
    pub(crate) fn until_closed(&mut self) -> Vec<(u8, Vec<u8>)> {
        std::iter::from_fn(|| self.answer()).collect()
    }

    /// Whether the connection has ended, or is still open after `patience`.
    pub(crate) fn ends_within(&mut self, patience: Duration) -> bool {
        self.stream.set_read_timeout(Some(patience)).expect("a timeout");
        let mut bytes = [0; 16 * 1024];
        let ended = loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) if is_timeout(&error) => break false,
                Err(_) => break true,
            }
        };
        self.stream.set_read_timeout(Some(HUNG)).expect("a timeout");
        ended
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}
