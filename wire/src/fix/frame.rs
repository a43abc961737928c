//! Where a message begins and ends, and whether it arrived as it was sent.
//!
//! ```text
//! 8=FIX.4.4␁ 9=LENGTH␁ 35=D␁ … ␁ 10=SUM␁
//!                      └─LENGTH─┘          SUM: all bytes before "10=", modulo 256, three digits
//! ```
//!
//! A message that is not so is *garbled*: it is passed over as if it had not been sent, and its number is missed later and
//! asked for. How far it goes nobody can know. It is taken to end with the first field 10 that does not lie within the
//! length that it claims, so that a wrong length costs at most the message behind it. Source: FIX 4.4 volume 2, and FIX
//! session layer test cases 2d, 2m, 2t, 3b and 3c, which say what is ignored.

use super::field::{SOH, digits};

/// The longest BeginString that is looked at; those in use have 7 and 8 bytes.
const BEGIN_STRING_MAX: usize = 16;
/// Digits of a BodyLength.
const LENGTH_DIGITS_MAX: usize = 7;
/// `10=nnn␁`
const TRAILER: usize = 7;

/// A message whose length and checksum are right, and whose first three fields are 8, 9 and 35.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The value of field 8.
    pub begin_string: &'a [u8],
    /// The value of field 35. Not empty.
    pub msg_type: &'a [u8],
    /// Everything behind field 35 and before field 10: whole fields, each with its SOH.
    pub fields: &'a [u8],
}

/// What stands at the beginning of the bytes that have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Not enough to know.
    Incomplete,
    /// A message of so many bytes.
    Message(Message<'a>, usize),
    /// So many bytes that are no message: to be passed over.
    Garbled(usize),
}

/// A message longer than may be: whoever sends it is not listened to any longer, for its end may never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl core::fmt::Display for TooLong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a message longer than is taken here, or no message at all")
    }
}

impl core::error::Error for TooLong {}

/// Looks for the message that begins `bytes`. `max`: how long a message may be, in bytes, from the 8 to the last SOH.
///
/// # Errors
/// When more than `max` bytes hold no whole message.
pub fn frame(bytes: &[u8], max: usize) -> Result<Frame<'_>, TooLong> {
    match whole(bytes, max) {
        Ok(frame) => Ok(frame),
        Err(Wrong { end_search }) => {
            let end = garbled_end(bytes, end_search);
            match end {
                Some(end) if end <= max => Ok(Frame::Garbled(end)),
                _ if bytes.len() >= max => Err(TooLong),
                _ => Ok(Frame::Incomplete),
            }
        }
    }
}

/// No message, and where its end is looked for.
struct Wrong {
    end_search: usize,
}

#[inline]
fn whole(bytes: &[u8], max: usize) -> Result<Frame<'_>, Wrong> {
    let incomplete = |needed: usize| {
        // What cannot become a message in time is not waited for.
        if needed > max { Err(Wrong { end_search: 0 }) } else { Ok(Frame::Incomplete) }
    };
    let wrong = Wrong { end_search: 0 };
    if !begins(bytes, b"8=") {
        // Bytes between messages: up to where one may begin.
        return Ok(Frame::Garbled(next_begin(bytes)));
    }
    if bytes.len() < 2 {
        return incomplete(bytes.len() + 1);
    }
    let window = &bytes[2..bytes.len().min(2 + BEGIN_STRING_MAX + 1)];
    let Some(length) = window.iter().position(|&byte| byte == SOH) else {
        return if window.len() > BEGIN_STRING_MAX { Err(wrong) } else { incomplete(bytes.len() + 1) };
    };
    let begin_string = &window[..length];
    let at = 2 + length + 1;
    let rest = &bytes[at..];
    if !begins(rest, b"9=") {
        return Err(wrong);
    }
    if rest.len() < 2 {
        return incomplete(bytes.len() + 1);
    }
    let window = &rest[2..rest.len().min(2 + LENGTH_DIGITS_MAX + 1)];
    let Some(count) = window.iter().position(|&byte| byte == SOH) else {
        return if window.len() > LENGTH_DIGITS_MAX { Err(wrong) } else { incomplete(bytes.len() + 1) };
    };
    let Some(body_length) = digits(&window[..count]) else { return Err(wrong) };
    let body = at + 2 + count + 1;
    let end = body + body_length as usize + TRAILER;
    if end > max {
        return Err(wrong);
    }
    let Some(message) = bytes.get(..end) else { return Ok(Frame::Incomplete) };
    let (before, trailer) = message.split_at(end - TRAILER);
    let within = &before[body..];
    let sealed = trailer.starts_with(b"10=") && trailer[TRAILER - 1] == SOH && within.last() == Some(&SOH);
    if !sealed {
        // Where the length leads to is no end.
        return Err(Wrong { end_search: (end - TRAILER).saturating_sub(1) });
    }
    // An own end from here on: whatever is wrong, it is wrong with this message alone.
    if digits(&trailer[3..6]) != Some(u32::from(checksum(before))) {
        return Ok(Frame::Garbled(end));
    }
    let Some(typed) = within.strip_prefix(b"35=") else { return Ok(Frame::Garbled(end)) };
    match typed.iter().position(|&byte| byte == SOH) {
        Some(length @ 1..) => {
            let message = Message { begin_string, msg_type: &typed[..length], fields: &typed[length + 1..] };
            Ok(Frame::Message(message, end))
        }
        _ => Ok(Frame::Garbled(end)),
    }
}

/// Whether bytes begin so, as far as they go.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    bytes.iter().zip(with).all(|(byte, wanted)| byte == wanted)
}

/// Where behind the first byte a message may begin: with `8=` behind an SOH. All of it, if nowhere.
fn next_begin(bytes: &[u8]) -> usize {
    (1..bytes.len()).find(|&at| bytes[at - 1] == SOH && begins(&bytes[at..], b"8=")).unwrap_or(bytes.len())
}

/// Behind the first field 10 that begins at `from` or later, if it has come.
fn garbled_end(bytes: &[u8], from: usize) -> Option<usize> {
    let searched = bytes.get(from..)?;
    let at = searched.windows(4).position(|window| window == b"\x0110=")? + from + 4;
    let rest = &bytes[at..];
    rest.iter().position(|&byte| byte == SOH).map(|end| at + end + 1)
}

/// The sum of all bytes, modulo 256.
#[inline]
#[must_use]
pub fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1_024;

    /// Bars for SOHs.
    fn raw(text: &str) -> Vec<u8> {
        text.replace('|', "\x01").into_bytes()
    }

    /// A whole message with these fields.
    fn sealed(fields: &str) -> Vec<u8> {
        let fields = raw(fields);
        let mut bytes = format!("8=FIX.4.4\x019={}\x01", fields.len()).into_bytes();
        bytes.extend_from_slice(&fields);
        let sum = checksum(&bytes);
        bytes.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
        bytes
    }

    #[test]
    fn a_message_is_found_once_it_is_whole() {
        let bytes = sealed("35=D|49=A|56=B|");
        for length in 0..bytes.len() {
            assert_eq!(frame(&bytes[..length], MAX), Ok(Frame::Incomplete), "{length}");
        }
        let (begin_string, msg_type, fields) = (&b"FIX.4.4"[..], &b"D"[..], &b"49=A\x0156=B\x01"[..]);
        let message = Message { begin_string, msg_type, fields };
        assert_eq!(frame(&bytes, MAX), Ok(Frame::Message(message, bytes.len())));
        let two = [&bytes[..], &bytes[..10]].concat();
        assert_eq!(frame(&two, MAX), Ok(Frame::Message(message, bytes.len())));
        // What it was computed by hand for: 8=FIX.4.4|9=5|35=0|10=163|
        let by_hand = raw("8=FIX.4.4|9=5|35=0|10=163|");
        assert_eq!(sealed("35=0|"), by_hand);
    }

    #[test]
    fn what_is_garbled_ends_with_its_own_trailer_or_the_next_one() {
        let good = sealed("35=0|");
        let garbled = |bytes: &str| {
            let bytes = raw(bytes);
            let all = [&bytes[..], &good[..]].concat();
            assert_eq!(
                frame(&all, MAX),
                Ok(Frame::Garbled(bytes.len())),
                "{}",
                String::from_utf8_lossy(&all)
            );
        };
        garbled("8=FIX.4.4|9=5|35=0|10=164|"); // the sum is another
        garbled("8=FIX.4.4|9=5|35=0|10=16x|");
        garbled("8=FIX.4.4|9=4|35=0|10=162|"); // too short by one
        garbled("8=FIX.4.4|35=0|9=5|10=163|"); // 9 is not the second field
        garbled("8=FIX.4.4|9=x|35=0|10=163|");
        garbled("8=FIX.4.4|9=|35=0|10=163|");
        garbled("8=FIX.4.4|9=12345678|35=0|10=163|");
        garbled("8=A STRING OF MANY LETTERS|9=5|35=0|10=163|");
        garbled("some words|and 18=others|"); // until a message may begin
        garbled("9=5|18=FI|");
        // A length that is too long reaches into the message behind it, and costs it.
        let long = [raw("8=FIX.4.4|9=9|35=0|10=167|"), good.clone()].concat();
        assert_eq!(frame(&[&long[..], &good[..]].concat(), MAX), Ok(Frame::Garbled(long.len())));
        assert_eq!(frame(&long[..long.len() - 1], MAX), Ok(Frame::Incomplete));
        // 35 comes third, and has a value.
        for fields in ["34=1|35=0|", "35=|34=1|"] {
            let bytes = sealed(fields);
            assert_eq!(frame(&bytes, MAX), Ok(Frame::Garbled(bytes.len())), "{fields}");
        }
    }

    #[test]
    fn nothing_is_waited_for_that_is_longer_than_it_may_be() {
        let bytes = sealed(&format!("35=0|58={}|", "x".repeat(MAX)));
        assert_eq!(frame(&bytes[..MAX - 1], MAX), Ok(Frame::Incomplete));
        assert_eq!(frame(&bytes[..MAX], MAX), Err(TooLong));
        assert_eq!(frame(&bytes, bytes.len()).map(|frame| matches!(frame, Frame::Message(..))), Ok(true));
        assert_eq!(frame(&bytes, bytes.len() - 1), Err(TooLong));
        // A length that cannot be kept, and an end that comes in time.
        let liar = raw("8=FIX.4.4|9=9999999|35=0|10=163|");
        assert_eq!(frame(&liar, MAX), Ok(Frame::Garbled(liar.len())));
    }
}
