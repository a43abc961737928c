//! ClOrdIDs: which order of which run, and which of the requests about it.
//!
//! ```text
//! RRRRRRRRR NNNNN VV      16 digits to the base 62
//! run       order request
//! ```
//!
//! A run is named by when it began, in microseconds since 1970 (nine digits last until 2398), so that no two runs of a user
//! share an id: each logs on before it sends, which takes longer than that. Hundredths of a second were too coarse, a short run
//! may be over in less. The order itself is request 0, its n-th change n; its cancel has the highest number.

use domain::Nanos;

use crate::request::Number;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Bytes of an id.
pub(super) const LENGTH: usize = 16;
const RUN: usize = 9;
const ORDER: usize = 5;
/// The highest number of an order: enough for two hours of 100,000 a second on one session.
pub(super) const ORDERS_MAX: u32 = 62_u32.pow(5) - 1;
/// The number of a cancel.
pub(super) const CANCEL: u16 = 62 * 62 - 1;
/// A microsecond.
const RUN_NANOS: u64 = 1_000;

/// The ids of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    run: [u8; RUN],
}

/// What an id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) number: Number,
    pub(super) request: u16,
}

impl Ids {
    pub(super) fn new(begin: Nanos) -> Self {
        let mut run = [0; RUN];
        put(&mut run, begin.0 / RUN_NANOS);
        Self { run }
    }

    /// The id as it is written.
    #[inline]
    pub(super) fn write(&self, id: Id) -> [u8; LENGTH] {
        let mut text = [0; LENGTH];
        text[..RUN].copy_from_slice(&self.run);
        put(&mut text[RUN..RUN + ORDER], id.number.into());
        put(&mut text[RUN + ORDER..], id.request.into());
        text
    }

    /// Reads an id; `None` for one of another run.
    #[inline]
    pub(super) fn read(&self, text: &[u8]) -> Option<Id> {
        let text: &[u8; LENGTH] = text.try_into().ok()?;
        if text[..RUN] != self.run {
            return None;
        }
        let number = take(&text[RUN..RUN + ORDER])?;
        let request = take(&text[RUN + ORDER..])?;
        Some(Id { number, request: request as u16 })
    }
}

#[inline]
fn put(to: &mut [u8], mut number: u64) {
    for digit in to.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
}

/// At most five digits.
#[inline]
fn take(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0_u32, |sum, &byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        Some(sum * 62 + u32::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let ids = Ids::new(Nanos(1_795_955_696_789_012_345));
        for number in [0, 1, 61, 62, 123_456, ORDERS_MAX] {
            for request in [0, 1, 61, 62, CANCEL] {
                let id = Id { number, request };
                assert_eq!(ids.read(&ids.write(id)), Some(id));
            }
        }
        assert_eq!(&ids.write(Id { number: 1, request: 0 })[RUN..], b"0000100");
        for other in [&b""[..], b"A1", b"1234567890123456", b"12345678901234567"] {
            assert_eq!(ids.read(other), None);
        }
    }
    #[test]
    fn runs_that_begin_a_microsecond_apart_share_no_id() {
        let begin = 1_795_955_696_789_012_345;
        let (ids, id) = (Ids::new(Nanos(begin)), Id { number: 1, request: 0 });
        for apart in [RUN_NANOS, 2 * RUN_NANOS, 9_000_000, 10_000_000, 40 * 86_400 * 1_000_000_000] {
            let later = Ids::new(Nanos(begin + apart));
            assert_eq!(later.read(&ids.write(id)), None, "{apart} ns later");
            assert_eq!(ids.read(&later.write(id)), None, "{apart} ns before");
        }
    }
}
