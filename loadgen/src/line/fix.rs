//! FIX: each request from a template, and of each report as much as the answer takes.
//!
//! A partial cancel is a replacement by the same order with less of it, under an id of its own: the order goes on under the new
//! id. What a later request must say of the order (its id, symbol and side) is remembered, in a ring found by the order's number.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::{
    ClientError, User,
    fix::{Connection, Incoming, Memory, Settings, Version},
};
use domain::{Nanos, Side};
use wire::fix::{Fields, TimePrecision, Writer, value};

use super::{
    Heard, Way,
    ids::{self, Id, Ids},
    template::{Blanks, Shape, TIME, Template},
};
use crate::{
    request::{Ask, Number, Request},
    tracker::{Answer, Asked, REQUESTED},
};

const MILLI: u64 = 1_000_000;

/// A session over FIX.
#[derive(Debug)]
pub(crate) struct FixLine {
    pub(super) connection: Connection,
    ids: Ids,
    new: Template,
    replace: Template,
    cancel: Template,
    /// By the index of the book.
    symbols: Box<[Box<[u8]>]>,
    /// `number % orders.len()`, a power of two.
    orders: Box<[Sent]>,
    clock: Clock,
}

/// What is remembered of an order.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    price_e4: u64,
    number: Number,
    book: u32,
    /// Which request gave it its present id.
    request: u16,
    side: u8,
}

/// The time as it is written, which changes once a millisecond.
#[derive(Debug)]
struct Clock {
    writer: Writer,
    milli: u64,
    text: [u8; TIME],
    scratch: Vec<u8>,
}

impl Clock {
    fn new() -> Self {
        let writer = Writer::new(TimePrecision::Millis);
        Self { writer, milli: u64::MAX, text: [0; TIME], scratch: Vec::new() }
    }

    #[inline]
    fn text(&mut self, now: Nanos) -> &[u8; TIME] {
        if now.0 / MILLI != self.milli {
            self.write(now);
        }
        &self.text
    }

    #[cold]
    fn write(&mut self, now: Nanos) {
        self.milli = now.0 / MILLI;
        self.scratch.clear();
        let mut message = self.writer.begin(&mut self.scratch, b"", b"0");
        message.time(52, now);
        message.end();
        // What stands before the trailer and its field's end.
        let end = self.scratch.len() - 8;
        self.text.copy_from_slice(&self.scratch[end - TIME..end]);
    }
}

impl FixLine {
    pub(super) fn open(
        way: &Way<'_>,
        user: &User,
        target: &str,
        version: Version,
    ) -> Result<Self, ClientError> {
        let begin = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let settings = Settings {
            version,
            // The numbers of an earlier run are forgotten with it.
            reset: true,
            // Late orders would not be the ones that are measured.
            resend_within: Duration::ZERO,
            ..Settings::new(user.clone(), target)
        };
        let begin_string = version.begin_string();
        let template = |shape| Template::new(shape, begin_string, &user.name, target);
        let (new, replace, cancel) =
            (template(Shape::New), template(Shape::Replace), template(Shape::Cancel));
        let mut connection = Connection::open(way.target, way.tls, settings, Memory::new(0), way.timeout)?;
        connection.logon(way.timeout)?;
        let symbol = |text: &str| text.as_bytes().into();
        Ok(Self {
            connection,
            ids: Ids::new(Nanos(u64::try_from(begin.as_nanos()).unwrap_or(u64::MAX))),
            new,
            replace,
            cancel,
            symbols: way.instruments.iter().map(|instrument| symbol(instrument.symbol.as_str())).collect(),
            orders: vec![Sent::default(); way.orders.next_power_of_two()].into_boxed_slice(),
            clock: Clock::new(),
        })
    }

    fn place(&self, number: Number) -> usize {
        number as usize & (self.orders.len() - 1)
    }

    pub(super) fn encode(&mut self, request: &Request, now: Nanos) -> Result<(), ClientError> {
        let number = request.number;
        if number > ids::ORDERS_MAX {
            let what = format!("the run is too long: an id names one of {} orders", ids::ORDERS_MAX);
            return Err(self.fault(what));
        }
        let at = self.place(number);
        let original = |of: &Sent| Id { number: of.number, request: of.request };
        let (template, order, id, original, quantity) = match request.ask {
            Ask::Enter { book, side, price_e4, quantity, .. } => {
                let side = if side == Side::Buy { b'1' } else { b'2' };
                let order = Sent { price_e4, number, book: book as u32, request: 0, side };
                self.orders[at] = order;
                (&self.new, order, Id { number, request: 0 }, original(&order), quantity)
            }
            Ask::Cancel => {
                let order = self.orders[at];
                let id = Id { number, request: ids::CANCEL };
                (&self.cancel, order, id, original(&order), 0)
            }
            Ask::Reduce { total } => {
                let before = self.orders[at];
                let order = Sent { request: (before.request + 1).min(ids::CANCEL - 1), ..before };
                self.orders[at] = order;
                (&self.replace, order, Id { number, request: order.request }, original(&before), total)
            }
            Ask::Replace { original: old, price_e4, quantity } => {
                let before = self.orders[self.place(old)];
                let order = Sent { price_e4, number, request: 0, ..before };
                self.orders[at] = order;
                (&self.replace, order, Id { number, request: 0 }, original(&before), quantity)
            }
        };
        let blanks = Blanks {
            time: self.clock.text(now),
            id: self.ids.write(id),
            original: self.ids.write(original),
            quantity,
            price_e4: order.price_e4,
            side: order.side,
            time_in_force: if matches!(request.ask, Ask::Enter { immediate: true, .. }) {
                b'3'
            } else {
                b'0'
            },
            symbol: &self.symbols[order.book as usize],
        };
        self.connection.write(now, |number, out| template.write(number, &blanks, out))
    }

    pub(super) fn next(&mut self) -> Result<Option<Heard<'_>>, ClientError> {
        let Some(incoming) = self.connection.next()? else { return Ok(None) };
        match answer(&self.ids, &incoming) {
            Ok(answer) => Ok(Some(Heard { answer, message: None })),
            Err(what) => Err(self.fault(what)),
        }
    }

    #[cold]
    fn fault(&self, what: String) -> ClientError {
        let user = self.connection.session().settings().sender.clone();
        ClientError::Protocol { peer: self.connection.peer(), user, what }
    }
}

/// Fields of a report that say what it answers, as they stand there.
#[derive(Default)]
struct Raw<'m> {
    id: &'m [u8],
    original: &'m [u8],
    price: &'m [u8],
    quantity: &'m [u8],
    text: &'m [u8],
    reason: &'m [u8],
    leaves: &'m [u8],
    business_id: &'m [u8],
    response_to: u8,
    exec_type: u8,
    liquidity: u8,
    trade: &'m [u8],
}

impl<'m> Raw<'m> {
    #[inline]
    fn read(body: &'m [u8]) -> Self {
        let mut raw = Self::default();
        for field in Fields::new(body) {
            let text = field.value;
            let letter = || text.first().copied().unwrap_or(0);
            match field.tag {
                11 => raw.id = text,
                31 => raw.price = text,
                32 => raw.quantity = text,
                41 => raw.original = text,
                58 => raw.text = text,
                102 | 103 => raw.reason = text,
                150 => raw.exec_type = letter(),
                151 => raw.leaves = text,
                379 => raw.business_id = text,
                434 => raw.response_to = letter(),
                851 => raw.liquidity = letter(),
                // FIX 4.4 has no TradeID: there it is SecondaryExecID.
                527 | 880 | 1003 => raw.trade = text,
                _ => {}
            }
        }
        raw
    }
}

/// What a message means for an order of the run; `None` when it is about none.
fn answer(ids: &Ids, incoming: &Incoming<'_>) -> Result<Option<Answer>, String> {
    let raw = Raw::read(incoming.body);
    let units = |text: &[u8]| {
        value::decimal(text).ok().and_then(|e4| u32::try_from(e4 / 10_000).ok()).ok_or_else(|| {
            format!("message {}: \"{}\" is no quantity", incoming.number, String::from_utf8_lossy(text))
        })
    };
    let reason = || value::int(raw.reason).and_then(|reason| u16::try_from(reason).ok()).unwrap_or(99);
    let says = |what: &str| {
        Err(format!("{what}, in message {}: {}", incoming.number, String::from_utf8_lossy(raw.text)))
    };
    let asked = |id: Id| match id.request {
        ids::CANCEL => Asked::Cancel,
        0 => Asked::Order,
        _ => Asked::Reduce,
    };
    match incoming.msg_type {
        b"8" => {}
        b"9" => {
            return Ok(ids.read(raw.id).map(|id| Answer::Refused {
                number: id.number,
                asked: asked(id),
                reason: reason(),
            }));
        }
        b"j" => {
            let Some(id) = ids.read(raw.business_id) else {
                return says("it refuses a message");
            };
            return Ok(Some(Answer::Refused { number: id.number, asked: asked(id), reason: reason() }));
        }
        b"3" => return says("it rejects a message"),
        _ => return Ok(None),
    }
    let Some(Id { number, request }) = ids.read(raw.id) else { return Ok(None) };
    Ok(Some(match raw.exec_type {
        b'0' => Answer::Accepted { number, quantity: units(raw.leaves)? },
        b'8' => Answer::Rejected { number, reason: reason() },
        b'5' if request != 0 => Answer::Reduced { number, leaves: units(raw.leaves)? },
        b'5' => {
            let Some(original) = ids.read(raw.original) else {
                return says("a replacement without the order that it replaces");
            };
            Answer::Replaced { original: original.number, number, quantity: units(raw.leaves)? }
        }
        b'4' if request == ids::CANCEL => Answer::Canceled { number, quantity: u32::MAX, reason: REQUESTED },
        // Nobody asked for it: its time is over, or the exchange's rules have it so.
        b'4' | b'C' | b'3' => Answer::Canceled { number, quantity: u32::MAX, reason: 0 },
        b'F' => Answer::Executed {
            number,
            quantity: units(raw.quantity)?,
            price_e4: value::decimal(raw.price)
                .ok()
                .and_then(|price| u64::try_from(price).ok())
                .ok_or_else(|| format!("message {}: an execution without a price", incoming.number))?,
            removed: raw.liquidity == b'2',
            trade: value::int(raw.trade).and_then(|trade| u64::try_from(trade).ok()).unwrap_or(0),
        },
        _ => return Ok(None),
    }))
}
