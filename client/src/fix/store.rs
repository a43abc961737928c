//! What outlives a connection: the next numbers, and messages that may be asked for again.

use std::collections::VecDeque;

use domain::Nanos;

/// Where a session keeps what the next connection needs. One that survives the process writes through to a file.
pub trait Store {
    /// The next number to come, and the next to be sent.
    fn next(&self) -> (u64, u64);

    /// Both have changed.
    fn set_next(&mut self, next: (u64, u64));

    /// An application's message was sent. `body`: its fields behind the header, each with its SOH.
    fn keep(&mut self, number: u64, sent: Nanos, msg_type: &[u8], body: &[u8]);

    /// The first message from this number on that is still kept.
    fn kept(&self, from: u64) -> Option<Kept<'_>>;

    /// A new session begins: both numbers are 1, and nothing is kept.
    fn reset(&mut self);
}

/// A message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept<'a> {
    /// Under this number.
    pub number: u64,
    /// When.
    pub sent: Nanos,
    /// Its type.
    pub msg_type: &'a [u8],
    /// Its fields behind the header, each with its SOH.
    pub body: &'a [u8],
}

/// Keeps everything in memory, and of messages the latest.
#[derive(Debug)]
pub struct Memory {
    next: (u64, u64),
    /// Ascending.
    messages: VecDeque<Message>,
    /// Of all types and bodies; at most `bytes_max`.
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Message {
    number: u64,
    sent: Nanos,
    msg_type: Box<[u8]>,
    body: Box<[u8]>,
}

impl Message {
    fn bytes(&self) -> usize {
        self.msg_type.len() + self.body.len()
    }
}

impl Memory {
    /// A new session, of which messages of so many bytes are kept.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { next: (1, 1), messages: VecDeque::new(), bytes: 0, bytes_max }
    }
}

impl Default for Memory {
    /// Some thousands of orders.
    fn default() -> Self {
        Self::new(1 << 20)
    }
}

impl Store for Memory {
    #[inline]
    fn next(&self) -> (u64, u64) {
        self.next
    }

    #[inline]
    fn set_next(&mut self, next: (u64, u64)) {
        self.next = next;
    }

    fn keep(&mut self, number: u64, sent: Nanos, msg_type: &[u8], body: &[u8]) {
        let message = Message { number, sent, msg_type: msg_type.into(), body: body.into() };
        self.bytes += message.bytes();
        self.messages.push_back(message);
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.messages.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    fn kept(&self, from: u64) -> Option<Kept<'_>> {
        let at = self.messages.partition_point(|message| message.number < from);
        self.messages.get(at).map(|Message { number, sent, msg_type, body }| Kept {
            number: *number,
            sent: *sent,
            msg_type,
            body,
        })
    }

    fn reset(&mut self) {
        *self = Self::new(self.bytes_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_messages_are_kept() {
        let mut store = Memory::new(10);
        for number in [3, 5, 6] {
            store.keep(number, Nanos(number), b"D", b"x=y\x01");
        }
        let number = |from| store.kept(from).map(|kept| kept.number);
        assert_eq!([number(1), number(5), number(6), number(7)], [Some(5), Some(5), Some(6), None]);
        store.keep(7, Nanos(7), b"D", &[b'x'; 10]);
        assert_eq!(store.kept(1), None, "longer than all that is kept");
        store.set_next((4, 8));
        store.reset();
        assert_eq!((store.next(), store.bytes), ((1, 1), 0));
    }
}
