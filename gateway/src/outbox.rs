//! What a connection has to send, and how much of it may go.
//!
//! ```text
//!  bytes:   [ sent | may go | waits for the gate | being written ]
//!                  ^sent    ^free                ^last mark       ^end
//! ```
//!
//! Reports are encoded as soon as they are numbered, and wait here until their records have reached what the ack
//! policy asks. A mark says: up to here, when the log is safe up to there. One mark a turn is enough.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Write},
};

use journal::Position;

/// A connection's outbound bytes.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    /// Bytes of `bytes` that have been sent. `sent <= free <= bytes.len()`.
    sent: usize,
    /// Bytes of `bytes` that may go.
    free: usize,
    /// (end in `bytes`, log position that must be safe), both rising.
    marks: VecDeque<(usize, Position)>,
}

/// What came of an attempt to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// All that may go has gone.
    Done,
    /// The peer does not take more now.
    Blocked,
}

impl Outbox {
    /// Where to encode what is in the log; call [`mark`](Self::mark) afterwards.
    #[inline]
    #[must_use]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What has been encoded since the last mark may go once the log is safe up to `position`.
    #[inline]
    pub fn mark(&mut self, position: Position) {
        let end = self.bytes.len();
        if self.marks.back().map_or(self.free, |(end, _)| *end) < end {
            self.marks.push_back((end, position));
        }
    }

    /// Appends what is in no log: it may go as soon as what stands before it. What has been encoded and not been marked stays
    /// so, and this with it, for the gate of the one must not be opened for the other.
    pub fn ungated(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let is_marked = self.marks.back().map_or(self.free, |(end, _)| *end) == self.bytes.len();
        write(&mut self.bytes);
        if is_marked {
            self.mark(Position(0));
        }
    }

    /// Bytes that could go and have not gone: what the peer has not taken.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.free - self.sent
    }

    /// Bytes that have not gone, whatever the reason.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Whether bytes wait for the gate.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Lets go what the gate lets through. To be called also while the peer takes nothing: what it has not taken is
    /// counted from here.
    #[inline]
    pub fn release(&mut self, gate: Position) {
        while let Some((end, position)) = self.marks.front()
            && *position <= gate
        {
            self.free = *end;
            self.marks.pop_front();
        }
    }

    /// Sends what may go. Returns the number of bytes sent with what came of it.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn flush(&mut self, gate: Position, to: &mut impl Write) -> std::io::Result<(usize, Flush)> {
        self.release(gate);
        let before = self.sent;
        while self.sent < self.free {
            match to.write(&self.bytes[self.sent..self.free]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let moved = self.sent - before;
                    self.compact();
                    return Ok((moved, Flush::Blocked));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let moved = self.sent - before;
        self.compact();
        Ok((moved, Flush::Done))
    }

    /// Forgets what has been sent, when that is all or much.
    fn compact(&mut self) {
        const MUCH: usize = 64 * 1024;
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            // One burst must not keep its memory for ever.
            self.bytes.shrink_to(MUCH);
        } else if self.sent >= MUCH && self.sent * 2 >= self.bytes.len() {
            self.bytes.drain(..self.sent);
            for (end, _) in &mut self.marks {
                *end -= self.sent;
            }
        } else {
            return;
        }
        self.free -= self.sent;
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then would block.
    struct Narrow {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.room == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            let n = bytes.len().min(self.room);
            self.room -= n;
            self.taken.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_passes_a_closed_gate_and_order_is_kept() {
        let mut outbox = Outbox::default();
        let mut peer = Narrow { taken: Vec::new(), room: usize::MAX };
        outbox.buffer().extend_from_slice(b"one");
        outbox.mark(Position(10));
        outbox.buffer().extend_from_slice(b"two");
        outbox.mark(Position(20));
        assert_eq!(outbox.flush(Position(9), &mut peer).unwrap(), (0, Flush::Done));
        assert!(outbox.is_gated());
        assert_eq!(outbox.flush(Position(19), &mut peer).unwrap(), (3, Flush::Done));
        assert_eq!(outbox.flush(Position(20), &mut peer).unwrap(), (3, Flush::Done));
        assert_eq!(peer.taken, b"onetwo");
        assert!(outbox.is_empty() && !outbox.is_gated());
    }

    #[test]
    fn what_needs_no_gate_opens_none_for_what_stands_before_it() {
        let mut outbox = Outbox::default();
        let mut peer = Narrow { taken: Vec::new(), room: usize::MAX };
        let ungated = |outbox: &mut Outbox, text: &[u8]| outbox.ungated(|out| out.extend_from_slice(text));
        ungated(&mut outbox, b"hello ");
        assert_eq!(outbox.flush(Position(0), &mut peer).unwrap(), (6, Flush::Done), "nothing before it");
        outbox.buffer().extend_from_slice(b"report ");
        ungated(&mut outbox, b"text ");
        assert_eq!(outbox.flush(Position(9), &mut peer).unwrap(), (0, Flush::Done), "not marked yet");
        outbox.mark(Position(10));
        ungated(&mut outbox, b"more");
        assert_eq!(
            outbox.flush(Position(9), &mut peer).unwrap(),
            (0, Flush::Done),
            "marked, and behind the gate"
        );
        assert_eq!(outbox.flush(Position(10), &mut peer).unwrap(), (16, Flush::Done));
        assert_eq!(peer.taken, b"hello report text more");
        assert!(outbox.is_empty() && !outbox.is_gated());
    }

    #[test]
    fn what_a_blocked_peer_is_owed_grows_though_nothing_is_sent() {
        let mut outbox = Outbox::default();
        for round in 1..=10 {
            outbox.buffer().extend_from_slice(&[0; 100]);
            outbox.mark(Position(round));
            outbox.release(Position(round - 1));
            assert_eq!(outbox.unsent() as u64, (round - 1) * 100);
        }
        outbox.release(Position(10));
        assert_eq!(outbox.unsent(), 1_000);
        assert!(!outbox.is_gated());
    }

    #[test]
    fn a_slow_peer_gets_every_byte_once_through_compactions() {
        let mut outbox = Outbox::default();
        let mut peer = Narrow { taken: Vec::new(), room: 0 };
        let mut expected = Vec::new();
        for round in 0..2_000_u32 {
            let chunk = round.to_le_bytes().repeat(40);
            expected.extend_from_slice(&chunk);
            outbox.buffer().extend_from_slice(&chunk);
            outbox.mark(Position(u64::from(round)));
            peer.room = (round as usize * 37) % 300;
            outbox.flush(Position(u64::from(round.saturating_sub(3))), &mut peer).unwrap();
        }
        peer.room = usize::MAX;
        outbox.flush(Position(u64::MAX), &mut peer).unwrap();
        assert_eq!(peer.taken, expected);
        assert_eq!(outbox.unsent(), 0);
    }
}
