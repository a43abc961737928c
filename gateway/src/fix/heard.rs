//! Messages that came too early: they wait until those before them are there.

use std::collections::BTreeMap;

/// Bytes that may wait. What does not fit is let go, and asked for again when its turn comes.
const BYTES_MAX: usize = 256 << 10;

/// A message as it stood on the wire, by its number.
#[derive(Debug, Default)]
pub(super) struct Early {
    messages: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
}

impl Early {
    /// Keeps a message, if there is room; the first with its number.
    pub(super) fn keep(&mut self, number: u64, message: &[u8]) {
        if self.bytes + message.len() <= BYTES_MAX && !self.messages.contains_key(&number) {
            self.bytes += message.len();
            self.messages.insert(number, message.to_vec());
        }
    }

    /// Takes the message of a number; those of lower ones are let go.
    pub(super) fn take(&mut self, number: u64) -> Option<Vec<u8>> {
        while let Some(first) = self.messages.first_entry() {
            if *first.key() > number {
                return None;
            }
            let (at, message) = first.remove_entry();
            self.bytes -= message.len();
            if at == number {
                return Some(message);
            }
        }
        None
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.messages.contains_key(&number)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_in_their_order_and_not_beyond_what_there_is_room_for() {
        let mut early = Early::default();
        early.keep(7, b"seven");
        early.keep(5, b"five");
        early.keep(5, b"another");
        early.keep(9, &vec![0; BYTES_MAX]);
        assert_eq!(early.take(4), None);
        assert_eq!(early.take(5), Some(b"five".to_vec()));
        early.keep(6, b"six");
        assert_eq!(early.take(7), Some(b"seven".to_vec()), "what is lower is over");
        assert_eq!((early.bytes, early.messages.len()), (0, 0));
        early.keep(9, &vec![0; BYTES_MAX]);
        early.keep(10, b"x");
        assert_eq!(early.messages.len(), 1);
        early.clear();
        assert_eq!(early.take(9), None);
    }
}
