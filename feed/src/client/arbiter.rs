//! Packets, put in order.

use std::collections::BTreeMap;

use wire::mold::{Header, Packet, Session};

/// Messages held for those before them, at most. What is beyond is dropped, and asked for when its turn comes.
const HELD_MAX: usize = 1 << 16;
/// Bytes of a message that is held; no message of ITCH is longer.
const MESSAGE_MAX: usize = 64;
/// The number of the next message, until a snapshot says it. No message has it.
const UNKNOWN: u64 = u64::MAX;

/// What a packet brought besides messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A packet of the session.
    Session,
    /// It is no packet.
    Garbage,
    /// Another session has begun, or no session is known yet: a snapshot is needed.
    Another(Session),
    /// The session has ended, and all its messages have come.
    Ended,
}

/// Puts the messages of one session in order.
#[derive(Debug, Default)]
pub struct Arbiter {
    session: Option<Session>,
    /// The number of the message that comes next.
    next: u64,
    /// Messages that came too soon, by number.
    held: BTreeMap<u64, Vec<u8>>,
    /// The number of the next message that the sender will send, as far as is known.
    known: u64,
    has_ended: bool,
    /// Messages that came twice.
    pub repeated: u64,
    /// Messages that came when others before them were missing.
    pub early: u64,
}

impl Arbiter {
    /// Goes on in this session with this message: what a snapshot says. A number that no message can have is taken for the
    /// last that one can.
    pub fn begin(&mut self, session: Session, next: u64, mut deliver: impl FnMut(&[u8])) {
        if self.session != Some(session) {
            self.held.clear();
            self.known = next;
            self.session = Some(session);
            self.has_ended = false;
        }
        let next = next.min(UNKNOWN - u64::from(u16::MAX));
        self.next = next;
        self.known = self.known.max(next);
        self.held = self.held.split_off(&next);
        self.deliver_held(&mut deliver);
    }

    /// The session, once there is one.
    #[must_use]
    pub const fn session(&self) -> Option<Session> {
        self.session
    }

    /// The number of the message that comes next.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Whether every message that is known of has been delivered.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.next >= self.known
    }

    /// Holds what comes in this session until a snapshot says where to begin.
    pub fn expect(&mut self, session: Session) {
        self.held.clear();
        (self.session, self.next, self.known, self.has_ended) = (Some(session), UNKNOWN, 0, false);
    }

    /// Takes a datagram. Delivers the messages whose turn has come, each once, in order.
    pub fn on_datagram(&mut self, data: &[u8], mut deliver: impl FnMut(&[u8])) -> Heard {
        let Ok(packet) = Packet::decode(data) else { return Heard::Garbage };
        let Header { session, sequence, .. } = packet.header;
        // So many that no number is beyond those that there are.
        if sequence > UNKNOWN - u64::from(u16::MAX) || sequence == 0 {
            return Heard::Garbage;
        }
        if self.session != Some(session) {
            return Heard::Another(session);
        }
        let waits_for_snapshot = self.next == UNKNOWN;
        let mut number = sequence;
        for message in packet.messages() {
            if number == self.next {
                deliver(message);
                self.next += 1;
            } else if number < self.next && !waits_for_snapshot {
                self.repeated += 1;
            } else if self.held.len() < HELD_MAX && message.len() <= MESSAGE_MAX {
                self.early += 1;
                self.held.insert(number, message.to_vec());
            }
            number += 1;
        }
        self.known = self.known.max(number);
        self.has_ended |= packet.is_end();
        self.deliver_held(&mut deliver);
        if self.has_ended && self.is_whole() { Heard::Ended } else { Heard::Session }
    }

    /// What to ask for: the first messages that are missing.
    #[must_use]
    pub fn missing(&self) -> Option<Header> {
        let session = self.session?;
        if self.is_whole() {
            return None;
        }
        let until = self.held.keys().next().copied().unwrap_or(self.known);
        let count = until.saturating_sub(self.next);
        // The number that ends a session is no count.
        let count = u16::try_from(count).unwrap_or(u16::MAX).min(u16::MAX - 1);
        Some(Header { session, sequence: self.next, count })
    }

    fn deliver_held(&mut self, deliver: &mut impl FnMut(&[u8])) {
        while let Some(entry) = self.held.first_entry() {
            if *entry.key() > self.next {
                return;
            }
            let (number, message) = entry.remove_entry();
            if number == self.next {
                deliver(&message);
                self.next += 1;
            }
        }
    }
}
