//! A client that speaks SoupBinTCP, and OUCH in it.

use domain::{SessionId, UserName};
use door::auth::{Protocol, canonical_name};
use wire::{
    ouch::{Appendage, Inbound, Outbound, codes, inbound::*},
    soup::{self, ClientPacket, LoginRequest, Password, ServerPacket, SessionName, Username},
};

use super::{Bytes, Client, Known, Line, PASSWORD, USERS, paused::Paused};
use crate::Sessions;

/// See the module.
pub(super) struct Soup {
    line: Line,
    /// What has been said and is no whole packet yet, until it has said who it is.
    saying: Vec<u8>,
    /// From which message on it wanted to be told.
    wanted: u64,
    /// How many reports there were when it said so.
    reports_before: usize,
    /// The number of the next message, once it is let in.
    next: Option<u64>,
}

impl Client for Soup {
    const PROTOCOL: Protocol = Protocol::Soup;

    fn new(line: Line) -> Self {
        Self { line, saying: Vec::new(), wanted: 0, reports_before: 0, next: None }
    }

    fn line(&mut self) -> &mut Line {
        &mut self.line
    }

    fn what_is_said(&mut self, what: u8, bytes: &mut Bytes<'_>, known: &mut Known, _: &Paused) -> Vec<u8> {
        let mut reference = || known.reference(self.line.session);
        let said = match what {
            // Anything, a packet of any kind, any request, one that makes sense,
            0 => bytes.some().to_vec(),
            1 => packet(bytes.one().unwrap_or(0), bytes.some()),
            2 => packet(b'U', bytes.some()),
            3 => packet(b'U', &order(reference(), bytes)),
            4 => packet(b'U', &change(reference(), bytes)),
            // a login, and the end of it.
            5 => {
                let from = bytes.one().unwrap_or(0);
                login(USERS[usize::from(from >> 7)], PASSWORD, u64::from(from & 0x7f))
            }
            _ => packet(b'O', b""),
        };
        self.line.may_go |= match what {
            0 | 1 | 6 => true,
            5 => self.line.session.is_some(),
            _ => self.line.session.is_none() || Inbound::decode(&said[soup::HEADER_LEN..]).is_err(),
        };
        said
    }

    fn say(&mut self, bytes: &[u8], venue: &Paused) {
        let said = self.line.say(bytes);
        if self.line.session.is_some() {
            return;
        }
        self.reports_before = venue.reports.len();
        self.saying.extend_from_slice(&bytes[..said]);
        while let Ok(Some(frame)) = soup::frame(&self.saying, soup::PAYLOAD_MAX) {
            if let Ok(ClientPacket::LoginRequest(login)) = ClientPacket::decode(&frame) {
                self.line.session = session(canonical_name(Protocol::Soup, &login.username.canonical()));
                self.wanted = login.sequence;
                return;
            }
            let consumed = frame.consumed;
            self.saying.drain(..consumed);
        }
    }

    fn hear(&mut self, known: &mut Known, venue: &Paused) {
        self.line.take();
        let inbox = std::mem::take(&mut self.line.inbox);
        let mut used = 0;
        while let Some(frame) = soup::frame(&inbox[used..], soup::PAYLOAD_MAX).expect("packets") {
            used += frame.consumed;
            self.packet(ServerPacket::decode(&frame).expect("a packet of a server"), known, venue);
        }
        self.line.inbox.extend_from_slice(&inbox[used..]);
    }

    fn has_all(&self, venue: &Paused, _: &Sessions) -> bool {
        self.next.is_none_or(|next| self.line.session.is_none_or(|session| next > venue.last_number(session)))
    }
}

impl Soup {
    /// The number of the next message, once it is let in.
    pub(super) fn next(&self) -> Option<u64> {
        self.next
    }

    fn packet(&mut self, packet: ServerPacket<'_>, known: &mut Known, venue: &Paused) {
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
                    && let Some(at) = venue.place(self.session(), next)
                {
                    assert!(at >= self.reports_before, "{accepted:?}, not {}", self.wanted);
                }
                self.next = Some(next);
            }
            (ServerPacket::LoginRejected(_), None) => self.line.may_go = true,
            (ServerPacket::Heartbeat | ServerPacket::Debug(_), Some(_)) => {}
            (ServerPacket::Sequenced(message), Some(number)) => {
                Outbound::decode(message).expect("a message of OUCH");
                let session = self.session();
                known.tell(session, number, message);
                let at = venue.place(session, number).expect("what is told is in the log");
                assert!(venue.may_tell(at), "message {number} of session {session} is told before its gate");
                self.next = Some(number + 1);
            }
            (packet, _) => panic!("{packet:?} while the next number is {:?}", self.next),
        }
    }

    fn session(&self) -> SessionId {
        self.line.session.expect("who is let in has said who it is")
    }
}

/// Whose a name is. Whoever is none of those that an input may be is the witness.
fn session(name: Option<UserName>) -> Option<SessionId> {
    let is = |user: &&str| name == canonical_name(Protocol::Soup, user.as_bytes());
    Some(SessionId(USERS.iter().position(is).unwrap_or(USERS.len()) as u32))
}

pub(super) fn login(user: &str, password: &str, sequence: u64) -> Vec<u8> {
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

pub(super) fn packet(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ((payload.len() + 1) as u16).to_be_bytes().to_vec();
    bytes.push(kind);
    bytes.extend_from_slice(payload);
    bytes
}

/// An order, made of a few bytes: a plain one without them.
pub(super) fn order(user_ref: u32, bytes: &mut Bytes<'_>) -> Vec<u8> {
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
