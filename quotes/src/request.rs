//! A MarketDataRequest: what it asks for, or why it is refused.
//!
//! | it | is answered by |
//! |---|---|
//! | is not as the dictionary has it | Reject, before it comes here |
//! | lacks what each request must have | Reject 373=1 |
//! | lacks what this one must have | BusinessMessageReject 380=5 |
//! | asks for what is not offered, or not there | MarketDataRequestReject with MDReqRejReason (281) |
//!
//! A request is taken as a whole or not at all: a MarketDataRequestReject names the request, and has no field for a part of it.
//!
//! Source: FIX 4.4 and FIX 5.0 SP2, the pages of MarketDataRequest and of MDReqRejReason.

use domain::{InstrumentId, Symbol};
use gateway::{Instruments, fix::Taken};
use wire::fix::{Checked, RejectReason};

/// Levels of a side, at most: a whole book fits into one message.
pub(crate) const DEPTH_MAX: usize = 500;
/// Bytes of an MDReqID.
pub(crate) const ID_MAX: usize = 64;

/// What of a book somebody wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types(pub(crate) u8);

impl Types {
    pub(crate) const BIDS: Self = Self(1);
    pub(crate) const OFFERS: Self = Self(2);
    pub(crate) const TRADES: Self = Self(4);
    /// How many there may be, none included.
    pub(crate) const COUNT: usize = 8;

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// How often it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Once.
    Once,
    /// Once, and then whatever changes.
    Incremental,
    /// Whole, again and again while it changes.
    Refresh,
}

/// What a session wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) kind: Kind,
    /// Levels of a side.
    pub(crate) depth: usize,
    pub(crate) types: Types,
    /// As they were named, each once.
    pub(crate) books: Vec<InstrumentId>,
}

/// Why a request is refused: MDReqRejReason, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u8, pub(crate) String);

/// What a request comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Subscribe(Result<Wanted, Refusal>),
    Unsubscribe,
}

/// A request, with its MDReqID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: Box<[u8]>,
    pub(crate) asked: Asked,
}

impl Request {
    /// Reads a request that is as the dictionary has it.
    pub(crate) fn of(message: &Checked<'_, '_>, instruments: &Instruments) -> Result<Self, Taken> {
        let id = message.get(262).unwrap_or_default();
        if id.len() > ID_MAX {
            return Err(Taken::Reject(RejectReason::ValueIncorrect, 262));
        }
        let id = id.into();
        let kind = match (message.letter(263), message.int(265)) {
            (Some(b'0'), _) => Kind::Once,
            (Some(b'1'), Some(0)) => Kind::Refresh,
            (Some(b'1'), Some(_)) => Kind::Incremental,
            (Some(b'1'), None) => {
                return Err(Taken::No { reason: 5, text: "MDUpdateType (265) is missing" });
            }
            _ => return Ok(Self { id, asked: Asked::Unsubscribe }),
        };
        for group in [267, 146] {
            match message.int(group) {
                None => return Err(Taken::Reject(RejectReason::RequiredTagMissing, group)),
                Some(0) => return Err(Taken::Reject(RejectReason::ValueIncorrect, group)),
                Some(_) => {}
            }
        }
        Ok(Self { id, asked: Asked::Subscribe(wanted(message, kind, instruments)) })
    }
}

/// The values of the first field of each entry of a group, which the dictionary's checks have found to be there.
fn firsts<'m>(message: &Checked<'_, 'm>, group: u16, first: u32) -> impl Iterator<Item = &'m [u8]> {
    let count = message.int(group).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    message.behind(group).filter(move |field| field.tag == first).take(count).map(|field| field.value)
}

fn wanted(message: &Checked<'_, '_>, kind: Kind, instruments: &Instruments) -> Result<Wanted, Refusal> {
    let refusal = |reason, text: &str| Refusal(reason, text.to_owned());
    let depth = match message.int(264) {
        Some(0) => DEPTH_MAX,
        Some(depth) => usize::try_from(depth)
            .ok()
            .filter(|depth| *depth <= DEPTH_MAX)
            .ok_or_else(|| Refusal(b'5', format!("MarketDepth (264) is 0 or from 1 to {DEPTH_MAX}")))?,
        None => return Err(refusal(b'5', "MarketDepth (264) is no number")),
    };
    if message.get(266) == Some(b"N") {
        return Err(refusal(b'7', "books are given by price (266=Y)"));
    }
    if message.is_set(547) {
        return Err(refusal(b'C', "what leaves the depth is deleted by name (547=N)"));
    }
    if firsts(message, 386, 336).any(|session| session != b"DAY") {
        return Err(refusal(b'9', "the trading session is DAY"));
    }
    let mut types = Types::default();
    for entry in firsts(message, 267, 269) {
        types.0 |= match entry {
            b"0" => Types::BIDS.0,
            b"1" => Types::OFFERS.0,
            b"2" => Types::TRADES.0,
            _ => return Err(refusal(b'8', "MDEntryType (269) is 0, 1 or 2")),
        };
    }
    if kind == Kind::Refresh && types.has(Types::TRADES) {
        return Err(refusal(b'6', "trades are told one by one (265=1)"));
    }
    let mut books = Vec::new();
    let mut named = std::collections::BTreeSet::new();
    for text in firsts(message, 146, 55) {
        let symbol = core::str::from_utf8(text).ok().and_then(Symbol::new);
        let Some(instrument) = symbol.and_then(|symbol| instruments.find(symbol)) else {
            // A text of the client's may hold anything but an SOH, and be long.
            let shown: String = String::from_utf8_lossy(text).chars().take(16).collect();
            return Err(Refusal(b'0', format!("no symbol {shown}")));
        };
        if named.insert(instrument.id) {
            books.push(instrument.id);
        }
    }
    Ok(Wanted { kind, depth, types, books })
}

#[cfg(test)]
mod tests {
    use domain::{Instrument, OrderBounds, Price, Quantity};
    use wire::fix::{Checker, Frame, TimePrecision, Writer, dictionary::FIX44, frame};

    use super::*;
    use crate::fuzz::{self, Came};

    fn instruments() -> Instruments {
        let mut instruments = Instruments::new();
        for (at, symbol) in ["A", "B", "C"].into_iter().enumerate() {
            instruments.define(Instrument {
                id: InstrumentId(at.try_into().unwrap()),
                symbol: Symbol::new(symbol).unwrap(),
                tick: 100,
                lot: 1,
                quantity_max: Quantity(1_000),
                price_max: Price::new(1_000_000).unwrap(),
                bounds: OrderBounds::NONE,
            });
        }
        instruments
    }

    fn read(fields: &str) -> Result<Request, Taken> {
        let mut raw = Vec::new();
        let mut writer = Writer::new(TimePrecision::Millis);
        let mut message = writer.begin(&mut raw, b"FIX.4.4", b"V");
        let header = "49=C|56=V|34=2|52=20261129-12:00:00|";
        message.fields(format!("{header}{fields}").replace('|', "\x01").as_bytes());
        message.end();
        let Ok(Frame::Message(message, _)) = frame(&raw, raw.len()) else { panic!("{fields}") };
        let mut checker = Checker::default();
        let checked = checker.check(&FIX44, &message).unwrap_or_else(|fault| panic!("{fields}: {fault:?}"));
        Request::of(&checked, &instruments())
    }

    /// What a good request for bids and offers of A and C says, after one of these was replaced by the other.
    fn but(what: &str, with: &str) -> Result<Request, Taken> {
        let good = "262=r|263=1|264=5|265=1|267=2|269=1|269=0|146=2|55=C|55=A|";
        assert!(good.contains(what), "{what}");
        read(&good.replacen(what, with, 1))
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let wanted = |kind, depth, types, books: &[_]| {
            let books = books.iter().copied().map(InstrumentId).collect();
            let asked = Asked::Subscribe(Ok(Wanted { kind, depth, types: Types(types), books }));
            Ok(Request { id: (*b"r").into(), asked })
        };
        for (what, with, is) in [
            ("", "", wanted(Kind::Incremental, 5, 3, &[2, 0])),
            ("265=1", "265=0", wanted(Kind::Refresh, 5, 3, &[2, 0])),
            ("263=1", "263=0", wanted(Kind::Once, 5, 3, &[2, 0])),
            ("263=1|264=5|265=1", "263=0|264=0", wanted(Kind::Once, DEPTH_MAX, 3, &[2, 0])),
            ("267=2|269=1|269=0", "267=1|269=2", wanted(Kind::Incremental, 5, 4, &[2, 0])),
            ("267=2|269=1|269=0", "267=3|269=1|269=0|269=1", wanted(Kind::Incremental, 5, 3, &[2, 0])),
            ("146=2|55=C|55=A", "146=3|55=C|207=XNAS|55=A|55=C", wanted(Kind::Incremental, 5, 3, &[2, 0])),
            ("264=5", "264=500|266=Y|547=N|386=1|336=DAY", wanted(Kind::Incremental, 500, 3, &[2, 0])),
        ] {
            assert_eq!(but(what, with), is, "{with}");
        }
        let end = Ok(Request { id: (*b"r").into(), asked: Asked::Unsubscribe });
        assert_eq!(but("263=1", "263=2"), end);
        assert_eq!(read("262=r|263=2|264=0|"), end);
    }

    #[test]
    fn what_is_not_offered_is_refused_as_a_whole_and_with_its_reason() {
        for (what, with, reason, text) in [
            ("55=A", "55=NONE", b'0', "no symbol NONE"),
            ("55=A", "55=A-NAME-THAT-IS-LONG", b'0', "no symbol A-NAME-THAT-IS-L"),
            ("264=5", "264=-1", b'5', "MarketDepth (264) is 0 or from 1 to 500"),
            ("264=5", "264=501", b'5', "MarketDepth (264) is 0 or from 1 to 500"),
            ("265=1|267=2|269=1", "265=0|267=2|269=2", b'6', "trades are told one by one (265=1)"),
            ("264=5", "264=5|266=N", b'7', "books are given by price (266=Y)"),
            ("269=1", "269=4", b'8', "MDEntryType (269) is 0, 1 or 2"),
            ("264=5", "264=5|386=1|336=NIGHT", b'9', "the trading session is DAY"),
            ("264=5", "264=5|547=Y", b'C', "what leaves the depth is deleted by name (547=N)"),
        ] {
            let asked = Asked::Subscribe(Err(Refusal(reason, text.to_owned())));
            assert_eq!(but(what, with), Ok(Request { id: (*b"r").into(), asked }), "{with}");
        }
    }

    /// `ITERATIONS` requests, bent; `SEED` repeats a run.
    #[test]
    fn smoke_of_bent_requests() {
        use rand::{RngExt, SeedableRng};
        let mut random = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(seeded::seed());
        let (mut read, mut refused) = (0, 0);
        for _ in 0..seeded::iterations(20_000) {
            let mut body =
                b"262=r|263=1|264=5|265=1|266=Y|547=N|267=2|269=1|269=0|146=2|55=C|48=x|55=A|386=1|336=DAY|"
                    .to_vec();
            for _ in 0..random.random_range(0..4) {
                let (at, other) = (random.random_range(0..body.len()), random.random_range(0..body.len()));
                match random.random_range(0..4) {
                    0 => body[at] = random.random_range(2..=255),
                    1 => body[at] = b"0123456789-.ABC="[random.random_range(0..16)],
                    2 => _ = body.drain(at.min(other)..at.max(other)),
                    _ => body.extend_from_within(at.min(other)..at.max(other)),
                }
                if body.last() != Some(&b'|') {
                    body.push(b'|');
                }
            }
            let body: Vec<_> = body.iter().map(|&byte| if byte == b'|' { 1 } else { byte }).collect();
            match fuzz::request(&body) {
                Came::Read => read += 1,
                Came::Refused => refused += 1,
                Came::Neither => {}
            }
        }
        assert!(read > 100 && refused > 100, "{read} read and {refused} refused prove little");
    }

    #[test]
    fn what_is_missing_is_named() {
        use RejectReason::{RequiredTagMissing, ValueIncorrect};
        for (what, with, taken) in [
            ("265=1|", "", Taken::No { reason: 5, text: "MDUpdateType (265) is missing" }),
            ("267=2|269=1|269=0|", "", Taken::Reject(RequiredTagMissing, 267)),
            ("146=2|55=C|55=A|", "", Taken::Reject(RequiredTagMissing, 146)),
            ("146=2|55=C|55=A|", "146=0|", Taken::Reject(ValueIncorrect, 146)),
            ("267=2|269=1|269=0|", "267=0|", Taken::Reject(ValueIncorrect, 267)),
        ] {
            assert_eq!(but(what, with), Err(taken), "{with}");
        }
        let long = format!("262={}", "x".repeat(ID_MAX + 1));
        assert_eq!(but("262=r", &long), Err(Taken::Reject(ValueIncorrect, 262)));
        assert!(but("262=r", &long[..long.len() - 1]).is_ok());
    }
}
