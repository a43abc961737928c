//! What somebody has who is told of books: the client's side, for tests and for whoever wants to begin with something.
//!
//! One view takes what comes under one MDReqID. A message that does not fit what came before is a fault: numbers with a gap, a
//! level that is new and there already, one that is gone and never was there. A snapshot is right after any fault.

use std::{collections::BTreeMap, fmt};

use domain::Side;
use wire::fix::{Field, Fields, value};

/// Levels by price in ten-thousandths: units, and orders.
pub type Levels = BTreeMap<i64, (u64, u64)>;

/// A book as it has been told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quoted {
    /// By `Side as usize`.
    pub sides: [Levels; 2],
    /// RptSeq of the last entry.
    pub number: u64,
}

/// A trade that was told: as a change, or as the last one in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traded {
    /// Its number.
    pub trade: u64,
    /// In ten-thousandths.
    pub price_e4: i64,
    /// How much.
    pub units: u64,
    /// It was told in a snapshot.
    pub is_old: bool,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A field is missing, or has no value that it can have.
    Malformed(u32),
    /// An entry has this number, and another one was next.
    Gap {
        /// What was next.
        next: u64,
        /// What was told.
        told: u64,
    },
    /// A change that cannot be: of a level in ten-thousandths.
    Contradiction(i64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(tag) => write!(f, "field {tag} is missing, or its value is none"),
            Self::Gap { next, told } => write!(f, "entry {told} is told, and {next} was next"),
            Self::Contradiction(price) => write!(f, "a change of {price} ten-thousandths that cannot be"),
        }
    }
}

impl std::error::Error for Fault {}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// By symbol.
    books: BTreeMap<Vec<u8>, Quoted>,
    /// As they were told.
    trades: Vec<Traded>,
}

/// An entry's fields.
#[derive(Default)]
struct Entry<'m> {
    fields: Vec<Field<'m>>,
}

impl<'m> Entry<'m> {
    fn get(&self, tag: u32) -> Result<&'m [u8], Fault> {
        let field = self.fields.iter().find(|field| field.tag == tag);
        field.map(|field| field.value).ok_or(Fault::Malformed(tag))
    }

    fn number(&self, tag: u32) -> Result<u64, Fault> {
        number(tag, self.get(tag)?)
    }

    fn price(&self) -> Result<i64, Fault> {
        value::decimal(self.get(270)?).map_err(|_| Fault::Malformed(270))
    }

    fn level(&self) -> Result<(u64, u64), Fault> {
        Ok((self.number(271)?, self.number(346)?))
    }

    /// Its side; `None` for a trade.
    fn side(&self) -> Result<Option<Side>, Fault> {
        match self.get(269)? {
            b"0" => Ok(Some(Side::Buy)),
            b"1" => Ok(Some(Side::Sell)),
            b"2" => Ok(None),
            _ => Err(Fault::Malformed(269)),
        }
    }

    fn trade(&self, is_old: bool) -> Result<Traded, Fault> {
        let trade = self.number(1003).or_else(|_| self.number(278))?;
        Ok(Traded { trade, price_e4: self.price()?, units: self.number(271)?, is_old })
    }
}

fn number(tag: u32, text: &[u8]) -> Result<u64, Fault> {
    value::int(text).and_then(|number| u64::try_from(number).ok()).ok_or(Fault::Malformed(tag))
}

/// The entries of a message: what comes behind the group's count, each beginning with field `first`.
fn entries(body: &[u8], first: u32) -> Result<Vec<Entry<'_>>, Fault> {
    let mut fields = Fields::new(body);
    let count = fields.find(|field| field.tag == 268).ok_or(Fault::Malformed(268))?;
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for field in fields {
        if field.tag == first {
            entries.push(Entry::default());
        }
        entries.last_mut().ok_or(Fault::Malformed(field.tag))?.fields.push(field);
    }
    if entries.len() as u64 == number(268, count.value)? { Ok(entries) } else { Err(Fault::Malformed(268)) }
}

impl View {
    /// The book of a symbol, if it has been told.
    #[must_use]
    pub fn book(&self, symbol: &str) -> Option<&Quoted> {
        self.books.get(symbol.as_bytes())
    }

    /// The trades that have been told since this was asked last.
    pub fn take_trades(&mut self) -> Vec<Traded> {
        std::mem::take(&mut self.trades)
    }

    /// Takes a MarketDataSnapshotFullRefresh or a MarketDataIncrementalRefresh. `body`: the fields behind the header, those of
    /// the trailer left out.
    ///
    /// # Errors
    /// When it is neither, or does not fit what came before.
    pub fn take(&mut self, msg_type: &[u8], body: &[u8]) -> Result<(), Fault> {
        match msg_type {
            b"W" => self.snapshot(body),
            b"X" => entries(body, 279)?.iter().try_for_each(|entry| self.change(entry)),
            _ => Err(Fault::Malformed(35)),
        }
    }

    fn snapshot(&mut self, body: &[u8]) -> Result<(), Fault> {
        let field = |tag| Fields::new(body).find(|field| field.tag == tag).map(|field| field.value);
        let symbol = field(55).ok_or(Fault::Malformed(55))?;
        let mut book =
            Quoted { number: field(83).map_or(Ok(0), |text| number(83, text))?, ..Quoted::default() };
        for entry in entries(body, 269)? {
            match entry.side()? {
                Some(side) => {
                    let price = entry.price()?;
                    if book.sides[side as usize].insert(price, entry.level()?).is_some() {
                        return Err(Fault::Contradiction(price));
                    }
                }
                None => self.trades.push(entry.trade(true)?),
            }
        }
        self.books.insert(symbol.to_vec(), book);
        Ok(())
    }

    fn change(&mut self, entry: &Entry<'_>) -> Result<(), Fault> {
        let book = self.books.get_mut(entry.get(55)?).ok_or(Fault::Malformed(55))?;
        let (next, told) = (book.number + 1, entry.number(83)?);
        book.number = told;
        if told != next {
            return Err(Fault::Gap { next, told });
        }
        let Some(side) = entry.side()? else {
            self.trades.push(entry.trade(false)?);
            return Ok(());
        };
        let (levels, price) = (&mut book.sides[side as usize], entry.price()?);
        let fits = match entry.get(279)? {
            b"0" => levels.insert(price, entry.level()?).is_none(),
            b"1" => {
                let level = entry.level()?;
                levels.insert(price, level).is_some_and(|before| before != level)
            }
            b"2" => levels.remove(&price).is_some(),
            _ => return Err(Fault::Malformed(279)),
        };
        if fits { Ok(()) } else { Err(Fault::Contradiction(price)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: &str = "262=r|55=A|83=5|268=2|269=0|270=10|271=3|346=1|269=1|270=10.5|271=4|346=2|";

    fn take(view: &mut View, msg_type: &str, body: &str) -> Result<(), Fault> {
        view.take(msg_type.as_bytes(), body.replace('|', "\x01").as_bytes())
    }

    #[test]
    fn what_does_not_fit_is_a_fault_and_a_snapshot_is_right_again() {
        for (body, fault) in [
            ("268=1|279=0|269=0|55=A|270=9|271=1|346=1|83=6|", None),
            ("268=1|279=1|269=0|55=A|270=10|271=1|346=1|83=6|", None),
            ("268=1|279=2|269=1|55=A|270=10.5|83=6|", None),
            ("268=1|279=0|269=2|55=A|270=10|271=1|278=7|83=6|", None),
            ("268=1|279=2|269=1|55=A|270=10.5|83=7|", Some(Fault::Gap { next: 6, told: 7 })),
            ("268=1|279=0|269=0|55=A|270=10|271=1|346=1|83=6|", Some(Fault::Contradiction(100_000))),
            ("268=1|279=1|269=0|55=A|270=10|271=3|346=1|83=6|", Some(Fault::Contradiction(100_000))),
            ("268=1|279=1|269=0|55=A|270=9|271=3|346=1|83=6|", Some(Fault::Contradiction(90_000))),
            ("268=1|279=2|269=0|55=A|270=9|83=6|", Some(Fault::Contradiction(90_000))),
            ("268=1|279=2|269=0|55=B|270=9|83=6|", Some(Fault::Malformed(55))),
            ("268=2|279=2|269=1|55=A|270=10.5|83=6|", Some(Fault::Malformed(268))),
            ("268=1|279=0|269=0|55=A|270=9|346=1|83=6|", Some(Fault::Malformed(271))),
            ("279=2|", Some(Fault::Malformed(268))),
        ] {
            let mut view = View::default();
            take(&mut view, "W", SNAPSHOT).unwrap();
            assert_eq!(take(&mut view, "X", body).err(), fault, "{body}");
            take(&mut view, "W", SNAPSHOT).unwrap();
            let book = view.book("A").unwrap();
            assert_eq!(book.sides, [Levels::from([(100_000, (3, 1))]), Levels::from([(105_000, (4, 2))])]);
        }
        assert_eq!(take(&mut View::default(), "W", "268=0|"), Err(Fault::Malformed(55)));
        assert_eq!(take(&mut View::default(), "Y", SNAPSHOT), Err(Fault::Malformed(35)));
    }
}
