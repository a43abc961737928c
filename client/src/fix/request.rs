//! What a client asks for: orders and questions about them.

use core::fmt;

use domain::{Nanos, Side};
use wire::fix::{MessageWriter, SOH};

/// A request, to be sent by [`Connection::request`](super::Connection::request). Prices are in ten-thousandths of the currency
/// unit, quantities in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// NewOrderSingle (D).
    New(NewOrder<'a>),
    /// OrderCancelRequest (F).
    Cancel(Cancel<'a>),
    /// OrderCancelReplaceRequest (G).
    Replace(Replace<'a>),
    /// OrderStatusRequest (H).
    Status(Status<'a>),
    /// OrderMassCancelRequest (q).
    MassCancel(MassCancel<'a>),
    /// OrderMassStatusRequest (AF).
    MassStatus(MassStatus<'a>),
}

/// A new order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder<'a> {
    /// ClOrdID, which the session has not used before.
    pub id: &'a str,
    /// What is traded.
    pub symbol: &'a str,
    /// Whether it buys.
    pub side: Side,
    /// Units.
    pub quantity: u64,
    /// The worst price, in ten-thousandths; `None`: a market order.
    pub limit_e4: Option<i64>,
    /// How long it stays.
    pub time_in_force: TimeInForce,
    /// Further fields, for instance ExecInst (18). They come last.
    pub more: &'a [(u32, &'a str)],
}

/// TimeInForce (59).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TimeInForce {
    /// Until the day ends.
    Day = b'0',
    /// Until it is canceled.
    GoodTillCancel = b'1',
    /// What is not executed at once is canceled.
    ImmediateOrCancel = b'3',
    /// All at once or nothing.
    FillOrKill = b'4',
    /// Until a time, which is ExpireTime (126) among the further fields.
    GoodTillDate = b'6',
}

/// Nothing more of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancel<'a> {
    /// ClOrdID of the cancel itself.
    pub id: &'a str,
    /// ClOrdID of the order, or of its latest replacement.
    pub original: &'a str,
    /// As the order has it.
    pub symbol: &'a str,
    /// As the order has it.
    pub side: Side,
}

/// Another order in the place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replace<'a> {
    /// ClOrdID of the order to be replaced, or of its latest replacement.
    pub original: &'a str,
    /// The new order. Its quantity counts what was executed of the old one.
    pub order: NewOrder<'a>,
}

/// What has become of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// ClOrdID of the order.
    pub id: &'a str,
    /// As the order has it.
    pub symbol: &'a str,
    /// As the order has it.
    pub side: Side,
}

/// Nothing more of many orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MassCancel<'a> {
    /// ClOrdID of the request.
    pub id: &'a str,
    /// Of which.
    pub scope: Scope<'a>,
}

/// What has become of many orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MassStatus<'a> {
    /// MassStatusReqID.
    pub id: &'a str,
    /// Of which.
    pub scope: Scope<'a>,
}

/// Which of the session's orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Those of a symbol.
    Symbol(&'a str),
    /// All.
    All,
}

/// A field whose value no message can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsendable {
    /// Its tag.
    pub tag: u32,
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "field {}: a value is one to 256 bytes long, none of them 0x01, and a tag is not 0",
            self.tag
        )
    }
}

impl core::error::Error for Unsendable {}

/// That a message can have this value. Long ones would not fit the room that is kept for a request.
pub(super) fn sendable(tag: u32, value: &str) -> Result<(), Unsendable> {
    let fine = tag != 0 && (1..=256).contains(&value.len()) && !value.as_bytes().contains(&SOH);
    if fine { Ok(()) } else { Err(Unsendable { tag }) }
}

/// Further fields of a request, at most.
const MORE_MAX: usize = 8;

impl Request<'_> {
    /// MsgType.
    #[must_use]
    pub const fn msg_type(&self) -> &'static [u8] {
        match self {
            Self::New(_) => b"D",
            Self::Cancel(_) => b"F",
            Self::Replace(_) => b"G",
            Self::Status(_) => b"H",
            Self::MassCancel(_) => b"q",
            Self::MassStatus(_) => b"AF",
        }
    }

    /// That a message can say it.
    ///
    /// # Errors
    /// The first field that it cannot have. One of more than eight further fields is one.
    pub fn check(&self) -> Result<(), Unsendable> {
        let order = |order: &NewOrder<'_>| {
            sendable(11, order.id)?;
            sendable(55, order.symbol)?;
            if let Some((tag, _)) = order.more.get(MORE_MAX) {
                return Err(Unsendable { tag: *tag });
            }
            order.more.iter().try_for_each(|(tag, value)| sendable(*tag, value))
        };
        let scope = |scope: &Scope<'_>| match scope {
            Scope::Symbol(symbol) => sendable(55, symbol),
            Scope::All => Ok(()),
        };
        match self {
            Self::New(new) => order(new),
            Self::Cancel(cancel) => {
                sendable(11, cancel.id)?;
                sendable(41, cancel.original)?;
                sendable(55, cancel.symbol)
            }
            Self::Replace(replace) => {
                sendable(41, replace.original)?;
                order(&replace.order)
            }
            Self::Status(status) => {
                sendable(11, status.id)?;
                sendable(55, status.symbol)
            }
            Self::MassCancel(cancel) => {
                sendable(11, cancel.id)?;
                scope(&cancel.scope)
            }
            Self::MassStatus(status) => {
                sendable(584, status.id)?;
                scope(&status.scope)
            }
        }
    }

    /// Writes its fields behind the header. `now` is TransactTime.
    pub fn write(&self, now: Nanos, message: &mut MessageWriter<'_>) {
        match self {
            Self::New(new) => order(new, now, message),
            Self::Replace(Replace { original, order: new }) => {
                message.text(41, original.as_bytes());
                order(new, now, message);
            }
            Self::Cancel(Cancel { id, original, symbol, side: of }) => {
                message.text(11, id.as_bytes()).text(41, original.as_bytes()).letter(54, side(*of));
                message.text(55, symbol.as_bytes()).time(60, now);
            }
            Self::Status(Status { id, symbol, side: of }) => {
                message.text(11, id.as_bytes()).letter(54, side(*of)).text(55, symbol.as_bytes());
            }
            Self::MassCancel(MassCancel { id, scope }) => {
                message.text(11, id.as_bytes()).time(60, now);
                match scope {
                    Scope::Symbol(symbol) => {
                        message.letter(530, b'1').text(55, symbol.as_bytes());
                    }
                    Scope::All => _ = message.letter(530, b'7'),
                }
            }
            Self::MassStatus(MassStatus { id, scope }) => {
                message.text(584, id.as_bytes());
                match scope {
                    Scope::Symbol(symbol) => {
                        message.letter(585, b'1').text(55, symbol.as_bytes());
                    }
                    Scope::All => _ = message.letter(585, b'7'),
                }
            }
        }
    }
}

fn order(order: &NewOrder<'_>, now: Nanos, message: &mut MessageWriter<'_>) {
    message.text(11, order.id.as_bytes()).number(38, order.quantity);
    match order.limit_e4 {
        Some(limit) => _ = message.letter(40, b'2').decimal(44, limit),
        None => _ = message.letter(40, b'1'),
    }
    message.letter(54, side(order.side)).text(55, order.symbol.as_bytes());
    message.letter(59, order.time_in_force as u8).time(60, now);
    for (tag, value) in order.more {
        message.text(*tag, value.as_bytes());
    }
}

/// Side (54).
const fn side(side: Side) -> u8 {
    match side {
        Side::Buy => b'1',
        Side::Sell => b'2',
    }
}

#[cfg(test)]
mod tests {
    use wire::fix::{
        Checker, Frame, TimePrecision, Writer,
        dictionary::{FIX44, FIX50SP2},
        frame,
    };

    use super::*;

    #[test]
    fn every_request_is_a_message_of_both_dictionaries() {
        let new = NewOrder {
            id: "A1",
            symbol: "AAPL",
            side: Side::Buy,
            quantity: 100,
            limit_e4: Some(1_234_500),
            time_in_force: TimeInForce::GoodTillDate,
            more: &[(18, "6"), (126, "20270101-00:00:00")],
        };
        let (id, symbol, side) = ("C1", "AAPL", Side::Sell);
        for (request, expected) in [
            (
                Request::New(new),
                "11=A1|38=100|40=2|44=123.45|54=1|55=AAPL|59=6|60=T|18=6|126=20270101-00:00:00|",
            ),
            (
                Request::New(NewOrder { limit_e4: None, side, more: &[], ..new }),
                "11=A1|38=100|40=1|54=2|55=AAPL|59=6|60=T|",
            ),
            (
                Request::Replace(Replace { original: "A0", order: NewOrder { more: &[], ..new } }),
                "41=A0|11=A1|38=100|40=2|44=123.45|54=1|55=AAPL|59=6|60=T|",
            ),
            (Request::Cancel(Cancel { id, original: "A1", symbol, side }), "11=C1|41=A1|54=2|55=AAPL|60=T|"),
            (Request::Status(Status { id, symbol, side }), "11=C1|54=2|55=AAPL|"),
            (Request::MassCancel(MassCancel { id, scope: Scope::All }), "11=C1|60=T|530=7|"),
            (
                Request::MassCancel(MassCancel { id, scope: Scope::Symbol(symbol) }),
                "11=C1|60=T|530=1|55=AAPL|",
            ),
            (Request::MassStatus(MassStatus { id, scope: Scope::All }), "584=C1|585=7|"),
            (Request::MassStatus(MassStatus { id, scope: Scope::Symbol(symbol) }), "584=C1|585=1|55=AAPL|"),
        ] {
            request.check().unwrap();
            for dictionary in [&FIX44, &FIX50SP2] {
                let (mut out, mut writer) = (Vec::new(), Writer::new(TimePrecision::Millis));
                let begin_string = dictionary.begin_string.as_bytes();
                let mut message = writer.begin(&mut out, begin_string, request.msg_type());
                message.number(34, 1).text(49, b"C").time(52, Nanos(0)).text(56, b"V");
                request.write(Nanos(0), &mut message);
                message.end();
                let Ok(Frame::Message(message, _)) = frame(&out, 4_096) else { panic!("{request:?}") };
                let text = String::from_utf8_lossy(message.fields).replace('\x01', "|");
                let body = text.split_once("56=V|").unwrap().1.replace("19700101-00:00:00.000", "T");
                assert_eq!(body, expected);
                Checker::default()
                    .check(dictionary, &message)
                    .unwrap_or_else(|fault| panic!("{fault:?}: {body}"));
            }
        }
    }

    #[test]
    fn what_would_break_a_message_is_refused() {
        let long = "x".repeat(257);
        let cancel = Cancel { id: "C", original: "O", symbol: "S", side: Side::Buy };
        for wrong in ["", "a\x01b=", &long] {
            for (request, tag) in [
                (Request::Cancel(Cancel { id: wrong, ..cancel }), 11),
                (Request::Cancel(Cancel { original: wrong, ..cancel }), 41),
                (Request::MassCancel(MassCancel { id: "M", scope: Scope::Symbol(wrong) }), 55),
                (Request::MassStatus(MassStatus { id: wrong, scope: Scope::All }), 584),
            ] {
                assert_eq!(request.check(), Err(Unsendable { tag }), "{wrong:?}");
            }
        }
        let many = [(18, "6"); 9];
        let new = NewOrder {
            id: "A",
            symbol: "S",
            side: Side::Buy,
            quantity: 1,
            limit_e4: None,
            time_in_force: TimeInForce::Day,
            more: &many,
        };
        assert_eq!(Request::New(new).check(), Err(Unsendable { tag: 18 }));
        assert_eq!(Request::New(NewOrder { more: &[(0, "x")], ..new }).check(), Err(Unsendable { tag: 0 }));
    }
}
