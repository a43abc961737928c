//! The same in FIX: a new order is answered by an execution report that says New, a cancel by Canceled, a replacement by Replaced,
//! each with the fields that the exchange's reports have, copied from a template with the request's own ids written into it, and a
//! number and a checksum that are right. No session but that number, no dictionary.

use std::io;

use domain::Nanos;
use wire::fix::{Fields, Frame, Message, TimePrecision, Writer, checksum, frame};

/// The longest message taken.
const MESSAGE_MAX: usize = 8_192;
/// Digits of a number that is filled in.
const NUMBER: usize = 8;
/// Bytes of a ClOrdID that is filled in: the client's have as many.
const ID: usize = 14;
/// Digits of a quantity that is filled in.
const QUANTITY: usize = 6;

/// A connection that speaks FIX.
pub(super) struct Peer {
    answers: Option<Answers>,
    number: u64,
}

impl Peer {
    pub(super) fn new() -> Self {
        Self { answers: None, number: 0 }
    }

    /// Answers every whole message of `input`; how many bytes those have, and whether the client stays.
    pub(super) fn answer(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<(usize, bool)> {
        let mut at = 0;
        loop {
            match frame(&input[at..], MESSAGE_MAX).map_err(io::Error::other)? {
                Frame::Message(message, length) => {
                    at += length;
                    if !self.one(&message, out) {
                        return Ok((at, false));
                    }
                }
                Frame::Garbled(length) if length > 0 => at += length,
                Frame::Garbled(_) | Frame::Incomplete => return Ok((at, true)),
            }
        }
    }

    /// Answers a message; false after a goodbye.
    fn one(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> bool {
        let value = |tag: u32| {
            Fields::new(message.fields).find(|field| field.tag == tag).map_or(&b""[..], |field| field.value)
        };
        if message.msg_type == b"A" {
            self.number = 0;
            self.answers = Some(Answers::new(message.begin_string, value(56), value(49)));
        }
        let Some(answers) = &self.answers else { return false };
        let answer = match message.msg_type {
            b"A" => &answers.logon,
            b"D" => &answers.accepted,
            b"F" => &answers.canceled,
            b"G" => &answers.replaced,
            _ => return message.msg_type != b"5",
        };
        self.number += 1;
        answer.write(self.number, [value(11), value(41)], value(38), out);
        true
    }
}

/// Messages with gaps.
struct Answers {
    logon: Answer,
    accepted: Answer,
    canceled: Answer,
    replaced: Answer,
}

/// A message, and where its gaps are.
struct Answer {
    bytes: Vec<u8>,
    number: usize,
    /// ClOrdID and OrigClOrdID.
    ids: [Option<usize>; 2],
    /// OrderQty and LeavesQty.
    quantities: [Option<usize>; 2],
}

impl Answers {
    fn new(begin_string: &[u8], us: &[u8], them: &[u8]) -> Self {
        let mut writer = Writer::new(TimePrecision::Millis);
        // Any time will do; the clock is not looked at.
        let time = Nanos(1_795_953_600_000_000_000);
        let mut make = |msg_type: &[u8], state: Option<(u8, u8)>| {
            let mut bytes = Vec::new();
            let mut message = writer.begin(&mut bytes, begin_string, msg_type);
            message.text(34, &[b'0'; NUMBER]).text(49, us).time(52, time).text(56, them);
            match state {
                None => {
                    message.number(98, 0).number(108, 30).letter(141, b'Y');
                    if begin_string.starts_with(b"FIXT") {
                        message.letter(1137, b'9');
                    }
                }
                Some((exec_type, status)) => {
                    message.number(37, 1_234_567).number(17, 1_234_567).text(11, &[b'0'; ID]);
                    if exec_type != b'0' {
                        message.text(41, &[b'0'; ID]);
                    }
                    message.letter(150, exec_type).letter(39, status).text(55, b"ECHO").letter(54, b'1');
                    message.text(38, &[b'0'; QUANTITY]).letter(40, b'2').text(44, b"123.45").letter(59, b'0');
                    message.text(151, &[b'0'; QUANTITY]).number(14, 0).number(6, 0).time(60, time);
                }
            }
            message.end();
            let gap = |tag: u32| {
                let field = format!("\x01{tag}=").into_bytes();
                bytes.windows(field.len()).position(|window| window == field).map(|at| at + field.len())
            };
            let (number, ids, quantities) = (gap(34), [gap(11), gap(41)], [gap(38), gap(151)]);
            // What is canceled has nothing left.
            let quantities = if matches!(state, Some((b'4', _))) { [None, None] } else { quantities };
            Answer { number: number.unwrap_or(0), ids, quantities, bytes }
        };
        Self {
            logon: make(b"A", None),
            accepted: make(b"8", Some((b'0', b'0'))),
            canceled: make(b"8", Some((b'4', b'4'))),
            replaced: make(b"8", Some((b'5', b'0'))),
        }
    }
}

impl Answer {
    fn write(&self, number: u64, ids: [&[u8]; 2], quantity: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&self.bytes);
        let message = &mut out[begin..];
        put(&mut message[self.number..self.number + NUMBER], number);
        for (at, id) in self.ids.iter().zip(ids) {
            if let Some(at) = at
                && id.len() == ID
            {
                message[*at..at + ID].copy_from_slice(id);
            }
        }
        for at in self.quantities.iter().flatten() {
            if quantity.len() == QUANTITY {
                message[*at..at + QUANTITY].copy_from_slice(quantity);
            }
        }
        let end = message.len() - "10=000\x01".len();
        let sum = checksum(&message[..end]);
        put(&mut message[end + 3..end + 6], sum.into());
    }
}

/// The last digits of a number, as many as there is room for.
fn put(to: &mut [u8], mut number: u64) {
    for digit in to.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_gets_a_report_that_names_it() {
        let mut peer = Peer::new();
        let mut writer = Writer::new(TimePrecision::Millis);
        let mut asked = Vec::new();
        for (msg_type, body) in [
            ("A", "98=0|108=30|"),
            ("D", "11=RUNRUNR0000100|38=000500|"),
            ("G", "11=RUNRUNR0000101|41=RUNRUNR0000100|38=000400|"),
            ("F", "11=RUNRUNR000010z|41=RUNRUNR0000101|"),
            ("0", ""),
            ("5", ""),
        ] {
            let mut message = writer.begin(&mut asked, b"FIX.4.4", msg_type.as_bytes());
            message.text(49, b"DEV1").text(56, b"FULCRUM").fields(body.replace('|', "\x01").as_bytes());
            message.end();
        }
        let mut out = Vec::new();
        assert_eq!(peer.answer(&asked, &mut out).unwrap(), (asked.len(), false));
        let (mut rest, mut said) = (&out[..], Vec::new());
        while let Frame::Message(message, length) = frame(rest, MESSAGE_MAX).unwrap() {
            let of = |tag: u32| {
                let field = Fields::new(message.fields).find(|field| field.tag == tag);
                field.map_or(String::new(), |field| String::from_utf8_lossy(field.value).into_owned())
            };
            said.push([34, 49, 11, 41, 150, 38].map(of).join(" "));
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
        assert_eq!(
            said,
            [
                "00000001 FULCRUM    ",
                "00000002 FULCRUM RUNRUNR0000100  0 000500",
                "00000003 FULCRUM RUNRUNR0000101 RUNRUNR0000100 5 000400",
                "00000004 FULCRUM RUNRUNR000010z RUNRUNR0000101 4 000000",
            ]
        );
    }
}
