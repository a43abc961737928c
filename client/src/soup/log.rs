//! What a session was told, kept for an audit: after a crash or a failover the exchange must say the same again
//! under the same numbers, and must know every order that it acknowledged.

use core::fmt;

use wire::ouch::Outbound;

use super::Message;

/// An order that the exchange said it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The number of the message that said so.
    pub sequence: u64,
    /// The client's number of the order.
    pub user_ref: u32,
}

/// A session's messages, each as a digest, and the orders they acknowledged. It grows by 8 bytes a message and 16
/// an acknowledged order.
#[derive(Clone, Debug, Default)]
pub struct MessageLog {
    /// The number of the first message.
    first: u64,
    /// By number, from `first`.
    digests: Vec<u64>,
    acknowledged: Vec<Acknowledged>,
}

/// A message that is not what its number said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The number was another message.
    Differs {
        /// The number.
        sequence: u64,
    },
    /// A number was left out.
    Gap {
        /// The number expected.
        expected: u64,
        /// The number found.
        found: u64,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { sequence } => {
                write!(f, "message {sequence} is not what it was before: an outbound number was used twice")
            }
            Self::Gap { expected, found } => {
                write!(f, "message {found} came where {expected} was due: an outbound number was left out")
            }
        }
    }
}

impl core::error::Error for Mismatch {}

impl MessageLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a message: a new one is added, one that is here already is compared.
    ///
    /// # Errors
    /// When it is not the message that had this number, or leaves a gap.
    pub fn observe(&mut self, message: &Message<'_>) -> Result<(), Mismatch> {
        let digest = digest(message.bytes);
        if self.digests.is_empty() {
            self.first = message.sequence;
        }
        let place = message.sequence.checked_sub(self.first).and_then(|n| usize::try_from(n).ok());
        match place {
            Some(place) if place < self.digests.len() => {
                if self.digests[place] == digest {
                    return Ok(());
                }
                return Err(Mismatch::Differs { sequence: message.sequence });
            }
            Some(place) if place == self.digests.len() => {}
            // Messages from before the log began cannot be compared.
            None => return Ok(()),
            Some(_) => {
                return Err(Mismatch::Gap { expected: self.next_sequence(), found: message.sequence });
            }
        }
        self.digests.push(digest);
        let user_ref = match message.message {
            Outbound::Accepted(m) => m.user_ref,
            Outbound::Replaced(m) => m.user_ref,
            _ => return Ok(()),
        };
        self.acknowledged.push(Acknowledged { sequence: message.sequence, user_ref });
        Ok(())
    }

    /// The number of the first message here; 0 when there is none.
    #[must_use]
    pub fn first_sequence(&self) -> u64 {
        self.first
    }

    /// The number of the next message; 0 when there is none.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.first + self.digests.len() as u64
    }

    /// The orders that were acknowledged, in order.
    #[must_use]
    pub fn acknowledged(&self) -> &[Acknowledged] {
        &self.acknowledged
    }
}

/// FNV-1a, 64 bits: it tells messages apart, not attackers.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use wire::ouch::outbound::Rejected;

    use super::*;

    fn with(sequence: u64, user_ref: u32, check: impl FnOnce(&Message<'_>)) {
        let rejected = Rejected { timestamp: 1, user_ref, reason: 0x17, client_order_id: *b"              " };
        let mut bytes = vec![];
        rejected.encode(&mut bytes);
        check(&Message { sequence, message: Outbound::Rejected(rejected), bytes: &bytes });
    }

    #[test]
    fn the_same_again_is_fine_and_anything_else_is_named() {
        let mut log = MessageLog::new();
        for sequence in 5..9 {
            with(sequence, sequence as u32, |m| assert_eq!(log.observe(m), Ok(())));
        }
        with(6, 6, |m| assert_eq!(log.observe(m), Ok(())));
        with(6, 7, |m| assert_eq!(log.observe(m), Err(Mismatch::Differs { sequence: 6 })));
        with(10, 10, |m| assert_eq!(log.observe(m), Err(Mismatch::Gap { expected: 9, found: 10 })));
        with(4, 4, |m| assert_eq!(log.observe(m), Ok(())));
        assert_eq!((log.first_sequence(), log.next_sequence()), (5, 9));
    }
}
