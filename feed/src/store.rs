//! The messages of a session, by their numbers: the latest of them, as many as there is room for.

use wire::{
    itch::Message,
    mold::{Packer, Session},
};

/// Bytes of a packet, header and all, at most: with those of UDP and IP it fits an Ethernet frame, and then some.
pub const PACKET_MAX: usize = 1_400;

/// Bytes that a message takes here: its length, and as many as the longest has.
const SLOT: usize = 48;

/// See the module.
pub struct Store {
    session: Session,
    /// A ring: message `n` lies in slot `n % slots.len()`.
    slots: Box<[[u8; SLOT]]>,
    /// The number of the next message; the first is 1.
    next: u64,
    scratch: Vec<u8>,
}

impl Store {
    /// An empty one that takes so much memory, and has room for at least one packet.
    #[must_use]
    pub fn new(session: Session, bytes: usize) -> Self {
        let slots = (bytes / SLOT).max(PACKET_MAX / 2);
        Self { session, slots: vec![[0; SLOT]; slots].into(), next: 1, scratch: Vec::with_capacity(SLOT) }
    }

    /// The session's name.
    #[must_use]
    pub const fn session(&self) -> Session {
        self.session
    }

    /// The number of the next message.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The number of the oldest message that is kept.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.next.saturating_sub(self.slots.len() as u64).max(1)
    }

    /// Adds a message.
    pub fn push(&mut self, message: &Message) {
        self.scratch.clear();
        message.encode(&mut self.scratch);
        let at = self.at(self.next);
        let slot = &mut self.slots[at];
        // No message is longer.
        slot[0] = self.scratch.len() as u8;
        slot[1..=self.scratch.len()].copy_from_slice(&self.scratch);
        self.next += 1;
    }

    /// A message that is kept.
    #[must_use]
    pub fn message(&self, number: u64) -> Option<&[u8]> {
        if number < self.first() || number >= self.next {
            return None;
        }
        let slot = &self.slots[self.at(number)];
        Some(&slot[1..=usize::from(slot[0])])
    }

    /// Appends one packet of messages from this number on, as many as there are, fit and are wanted. Returns how many.
    pub fn pack(&self, from: u64, count_max: u64, out: &mut Vec<u8>) -> u16 {
        let mut packer = Packer::begin(out, self.session, from, PACKET_MAX);
        let until = self.next.min(from.saturating_add(count_max));
        for number in from..until {
            if !self.message(number).is_some_and(|message| packer.push(message)) {
                break;
            }
        }
        packer.end()
    }

    #[expect(clippy::cast_possible_truncation, reason = "below the number of slots, which is a usize")]
    fn at(&self, number: u64) -> usize {
        (number % self.slots.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use wire::{
        itch::{OrderDelete, Timestamp},
        mold::Packet,
    };

    use super::*;

    fn message(order: u64) -> Message {
        OrderDelete { locate: 1, tracking: 0, timestamp: Timestamp::new(order), order }.into()
    }

    #[test]
    fn the_latest_are_kept_and_packed() {
        let mut store = Store::new(*b"SESSION001", 0);
        assert_eq!((store.first(), store.next(), store.message(1)), (1, 1, None));
        let kept = store.slots.len() as u64;
        for n in 1..=3 * kept {
            store.push(&message(n));
            let first = (n + 1).saturating_sub(kept).max(1);
            assert_eq!((store.first(), store.next()), (first, n + 1));
            assert_eq!(store.message(first - 1), None);
            let mut bytes = Vec::new();
            message(first).encode(&mut bytes);
            assert_eq!(store.message(first), Some(&bytes[..]));
        }
        let from = store.first();
        let mut data = Vec::new();
        let count = store.pack(from, u64::MAX, &mut data);
        let packet = Packet::decode(&data).unwrap();
        assert_eq!(
            (packet.header.sequence, packet.header.count, packet.header.session),
            (from, count, *b"SESSION001")
        );
        assert!(data.len() <= PACKET_MAX && data.len() + 21 > PACKET_MAX, "{} bytes", data.len());
        for (n, bytes) in (from..).zip(packet.messages()) {
            assert_eq!(Message::decode(bytes), Ok(message(n)));
        }
        data.clear();
        assert_eq!(store.pack(store.next() - 2, 1, &mut data), 1);
        data.clear();
        assert_eq!(store.pack(store.next(), 5, &mut data), 0, "a heartbeat");
        data.clear();
        assert_eq!(store.pack(from - 1, 5, &mut data), 0, "it is not kept");
    }
}
