//! Messages that are copied and filled in: what an order costs to write is a copy of some 170 bytes, a few numbers, and a sum.
//!
//! ```text
//! 8=FIX.4.4|9=_____|35=D|34=__________|49=DEV1|52=_____________________|56=FULCRUM|11=______________|… |55= + SYMBOL| + 10=___|
//! ```
//!
//! Numbers have leading zeros, which FIX allows, so that every blank has its place. The symbol alone has no fixed length, and
//! comes last.

use wire::fix::{SOH, checksum};

use super::ids;

/// `YYYYMMDD-HH:MM:SS.mmm`
pub(super) const TIME: usize = 21;
const NUMBER: usize = 10;
const QUANTITY: usize = 6;
/// `nnnnnn.nnnn`
const PRICE: usize = 11;
const LENGTH: usize = 5;

/// Which request a template is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// NewOrderSingle.
    New,
    /// OrderCancelReplaceRequest.
    Replace,
    /// OrderCancelRequest.
    Cancel,
}

/// A message with blanks, which stand at these places.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// Up to and with `55=`.
    bytes: Vec<u8>,
    length: usize,
    /// Where the body begins.
    body: usize,
    number: usize,
    sent: usize,
    id: usize,
    side: usize,
    transacted: usize,
    original: Option<usize>,
    terms: Option<Terms>,
}

/// Where an order says what it wants.
#[derive(Clone, Copy, Debug)]
struct Terms {
    quantity: usize,
    price: usize,
    time_in_force: usize,
}

/// What fills the blanks. Those that a shape does not have are not looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blanks<'a> {
    pub(super) time: &'a [u8; TIME],
    pub(super) id: [u8; ids::LENGTH],
    pub(super) original: [u8; ids::LENGTH],
    /// Below a million.
    pub(super) quantity: u32,
    /// Below ten thousand millions.
    pub(super) price_e4: u64,
    pub(super) side: u8,
    pub(super) time_in_force: u8,
    pub(super) symbol: &'a [u8],
}

impl Template {
    pub(super) fn new(shape: Shape, begin_string: &str, sender: &str, target: &str) -> Self {
        let mut new = Self::default();
        new.text(8, begin_string);
        new.length = new.blank(9, LENGTH);
        new.body = new.bytes.len();
        new.text(
            35,
            match shape {
                Shape::New => "D",
                Shape::Replace => "G",
                Shape::Cancel => "F",
            },
        );
        new.number = new.blank(34, NUMBER);
        new.text(49, sender);
        new.sent = new.blank(52, TIME);
        new.text(56, target);
        new.id = new.blank(11, ids::LENGTH);
        if shape != Shape::New {
            new.original = Some(new.blank(41, ids::LENGTH));
        }
        if shape != Shape::Cancel {
            let quantity = new.blank(38, QUANTITY);
            new.text(40, "2");
            let price = new.blank(44, PRICE);
            new.bytes[price + PRICE - 5] = b'.';
            let time_in_force = new.blank(59, 1);
            new.terms = Some(Terms { quantity, price, time_in_force });
        }
        new.side = new.blank(54, 1);
        new.transacted = new.blank(60, TIME);
        new.bytes.extend_from_slice(b"55=");
        new
    }

    fn text(&mut self, tag: u32, value: &str) {
        self.bytes.extend_from_slice(format!("{tag}={value}\x01").as_bytes());
    }

    /// A field of so many zeros; where they are.
    fn blank(&mut self, tag: u32, width: usize) -> usize {
        self.bytes.extend_from_slice(format!("{tag}=").as_bytes());
        let at = self.bytes.len();
        self.bytes.resize(at + width, b'0');
        self.bytes.push(SOH);
        at
    }

    /// Appends the message with this number.
    #[inline]
    pub(super) fn write(&self, number: u64, blanks: &Blanks<'_>, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&self.bytes);
        out.extend_from_slice(blanks.symbol);
        out.push(SOH);
        let message = &mut out[begin..];
        let length = message.len() - self.body;
        put(&mut message[self.length..self.length + LENGTH], length as u64);
        put(&mut message[self.number..self.number + NUMBER], number);
        message[self.sent..self.sent + TIME].copy_from_slice(blanks.time);
        message[self.transacted..self.transacted + TIME].copy_from_slice(blanks.time);
        message[self.id..self.id + ids::LENGTH].copy_from_slice(&blanks.id);
        message[self.side] = blanks.side;
        if let Some(at) = self.original {
            message[at..at + ids::LENGTH].copy_from_slice(&blanks.original);
        }
        if let Some(Terms { quantity, price, time_in_force }) = self.terms {
            put(&mut message[quantity..quantity + QUANTITY], blanks.quantity.into());
            put(&mut message[price..price + PRICE - 5], blanks.price_e4 / 10_000);
            put(&mut message[price + PRICE - 4..price + PRICE], blanks.price_e4 % 10_000);
            message[time_in_force] = blanks.time_in_force;
        }
        let sum = checksum(message);
        let mut trailer = *b"10=000\x01";
        put(&mut trailer[3..6], sum.into());
        out.extend_from_slice(&trailer);
    }
}

/// The last digits of a number, as many as there is room for.
#[inline]
fn put(to: &mut [u8], mut number: u64) {
    for digit in to.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use wire::fix::{
        Checker, Frame,
        dictionary::{FIX44, FIX50SP2},
        frame,
    };

    use super::*;

    #[test]
    fn every_shape_is_a_message_of_both_dictionaries() {
        let (id, original) = (*b"RUNRUNRUN0000100", *b"RUNRUNRUN0000101");
        let order = "38=012345|40=2|44=000123.0450|59=3|";
        for (shape, expected) in [
            (Shape::New, format!("11=RUNRUNRUN0000100|{order}")),
            (Shape::Replace, format!("11=RUNRUNRUN0000100|41=RUNRUNRUN0000101|{order}")),
            (Shape::Cancel, "11=RUNRUNRUN0000100|41=RUNRUNRUN0000101|".to_owned()),
        ] {
            for dictionary in [&FIX44, &FIX50SP2] {
                for symbol in [&b"A"[..], b"LONGNAME"] {
                    let template = Template::new(shape, dictionary.begin_string, "DEV1", "FULCRUM");
                    let mut out = b"before".to_vec();
                    let blanks = Blanks {
                        time: b"20261129-12:00:00.123",
                        id,
                        original,
                        quantity: 12_345,
                        price_e4: 1_230_450,
                        side: b'2',
                        time_in_force: b'3',
                        symbol,
                    };
                    template.write(4_000_000_007, &blanks, &mut out);
                    let Ok(Frame::Message(message, length)) = frame(&out[6..], 1_000) else {
                        panic!("{}", String::from_utf8_lossy(&out))
                    };
                    assert_eq!(length, out.len() - 6);
                    let text = String::from_utf8_lossy(message.fields).replace('\x01', "|");
                    let symbol = String::from_utf8_lossy(symbol);
                    let expected = format!(
                        "34=4000000007|49=DEV1|52=20261129-12:00:00.123|56=FULCRUM|{expected}54=2|\
                         60=20261129-12:00:00.123|55={symbol}|"
                    );
                    assert_eq!(text, expected);
                    Checker::default()
                        .check(dictionary, &message)
                        .unwrap_or_else(|f| panic!("{f:?}: {text}"));
                }
            }
        }
    }
}
