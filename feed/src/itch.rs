//! Changes as ITCH messages.

use core::fmt;
use std::collections::HashSet;

use domain::{Instrument, Nanos, OrderId, Price, Quantity, Side};
use wire::itch::{
    AddOrder, Message, OrderCancel, OrderDelete, OrderExecuted, OrderExecutedWithPrice, OrderReplace,
    StockDirectory, SystemEvent, Timestamp, Trade, TradingAction,
};

use crate::change::{Change, ChangeKind};

/// Tracking number of an `U` whose new order keeps the old one's place in the queue.
pub const KEEPS_PLACE: u16 = 1;

/// Why an instrument is not published in ITCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Locates have 16 bits, and one of them stands for none.
    Locate,
    /// Its highest price does not fit in 32 bits of ten-thousandths.
    Price,
    /// Its largest quantity does not fit in 32 bits of units.
    Quantity,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Locate => "ITCH has locates for 65,534 instruments",
            Self::Price => "its highest price is above 429,496.7295, the highest that ITCH has",
            Self::Quantity => "its largest quantity is above 4,294,967,295 units, the largest that ITCH has",
        })
    }
}

/// What is published of each instrument, and how it is called.
#[derive(Clone, Debug)]
pub struct Directory {
    /// By instrument index.
    entries: Vec<(Instrument, Result<u16, Unfit>)>,
}

/// The highest locate.
const LOCATE_MAX: u16 = u16::MAX - 1;

impl Directory {
    /// The directory of these instruments, by index.
    #[must_use]
    pub fn new(instruments: &[Instrument]) -> Self {
        let locate = |instrument: &Instrument| {
            let locate = u16::try_from(instrument.id.0 + 1).ok().filter(|locate| *locate <= LOCATE_MAX);
            let fits = |units: Option<u64>| units.is_some_and(|units| u32::try_from(units).is_ok());
            let locate = locate.ok_or(Unfit::Locate)?;
            if !fits(instrument.price_to_e4(instrument.price_max)) {
                return Err(Unfit::Price);
            }
            if !fits(instrument.quantity_to_units(instrument.quantity_max)) {
                return Err(Unfit::Quantity);
            }
            Ok(locate)
        };
        Self { entries: instruments.iter().map(|instrument| (*instrument, locate(instrument))).collect() }
    }

    /// How many instruments there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every instrument, with its locate or why it has none.
    pub fn entries(&self) -> impl Iterator<Item = &(Instrument, Result<u16, Unfit>)> {
        self.entries.iter()
    }

    /// Says what the feed, or a snapshot, begins with: which instruments there are, and that they trade.
    pub fn open(&self, nanos: Nanos, mut say: impl FnMut(Message)) {
        say(system_event(nanos, b'O'));
        for (instrument, locate) in &self.entries {
            let Ok(locate) = *locate else { continue };
            let (stock, timestamp) = (instrument.symbol.padded(), timestamp(nanos));
            let directory = StockDirectory {
                locate,
                tracking: 0,
                timestamp,
                stock,
                market: b' ',
                financial_status: b' ',
                round_lot: instrument.lot,
                round_lots_only: b'Y',
                classification: b'Q',
                sub_type: *b"Z ",
                authenticity: b'P',
                short_sale_threshold: b' ',
                ipo: b' ',
                price_tier: b' ',
                etp: b' ',
                etp_leverage: 0,
                inverse: b'N',
            };
            say(directory.into());
            let action = TradingAction {
                locate,
                tracking: 0,
                timestamp,
                stock,
                state: b'T',
                reserved: b' ',
                reason: *b"    ",
            };
            say(action.into());
        }
        say(system_event(nanos, b'Q'));
    }

    /// What the feed ends with.
    pub fn close(nanos: Nanos, mut say: impl FnMut(Message)) {
        say(system_event(nanos, b'M'));
        say(system_event(nanos, b'C'));
    }

    /// A change, if its instrument is published. `Err`: it should be, and a number in it does not fit.
    ///
    /// # Errors
    /// Never, as long as orders keep to their instrument's bounds.
    pub fn message(&self, change: &Change) -> Result<Option<Message>, Unfit> {
        let Some((instrument, Ok(locate))) = self.entries.get(change.instrument.0 as usize) else {
            return Ok(None);
        };
        let entry = Entry { instrument, locate: *locate, timestamp: timestamp(change.nanos) };
        entry.message(&change.kind).map(Some)
    }

    /// The message that shows an order in a snapshot.
    ///
    /// # Errors
    /// As [`message`](Self::message).
    pub fn add(
        &self,
        nanos: Nanos,
        order: OrderId,
        side: Side,
        price: Price,
        quantity: Quantity,
    ) -> Result<Option<Message>, Unfit> {
        let kind = ChangeKind::Added { order, side, price, quantity };
        self.message(&Change { instrument: order.instrument(), nanos, kind })
    }
}

/// Changes that come one after the other, as messages: an order that does not fit is withheld, and with it everything that
/// becomes of it.
#[derive(Debug)]
pub struct Scribe {
    directory: Directory,
    withheld: HashSet<OrderId>,
}

impl Scribe {
    /// Writes what this directory publishes.
    #[must_use]
    pub fn new(directory: Directory) -> Self {
        Self { directory, withheld: HashSet::new() }
    }

    /// The directory.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// A change, if it is published.
    ///
    /// # Errors
    /// When it should be, and a number in it does not fit: never, as long as orders keep to their instrument's bounds.
    pub fn message(&mut self, change: &Change) -> Result<Option<Message>, Unfit> {
        if !self.withheld.is_empty() && self.withholds(change) {
            return Ok(None);
        }
        let message = self.directory.message(change);
        if message.is_err()
            && let ChangeKind::Added { order, .. } = change.kind
        {
            self.withheld.insert(order);
        }
        message
    }

    /// Whether a change is of an order that is withheld.
    fn withholds(&mut self, change: &Change) -> bool {
        match change.kind {
            ChangeKind::Added { .. } | ChangeKind::Traded { .. } => false,
            ChangeKind::Executed { order, left, .. } => {
                self.withheld.contains(&order) && (!left.is_zero() || self.withheld.remove(&order))
            }
            ChangeKind::Shrunk { order, .. } => self.withheld.contains(&order),
            ChangeKind::Removed { order, .. } => self.withheld.remove(&order),
            ChangeKind::Renamed { old, order, .. } => {
                self.withheld.remove(&old) && self.withheld.insert(order)
            }
        }
    }
}

/// One published instrument at one time.
struct Entry<'a> {
    instrument: &'a Instrument,
    locate: u16,
    timestamp: Timestamp,
}

impl Entry<'_> {
    fn message(&self, kind: &ChangeKind) -> Result<Message, Unfit> {
        let (locate, tracking, timestamp) = (self.locate, 0, self.timestamp);
        let stock = self.instrument.symbol.padded();
        Ok(match *kind {
            ChangeKind::Added { order, side, price, quantity } => AddOrder {
                locate,
                tracking,
                timestamp,
                order: order.0,
                side: letter(side),
                shares: self.shares(quantity)?,
                stock,
                price: self.price(price)?,
            }
            .into(),
            ChangeKind::Executed { order, price, quantity, trade, at, counts, .. } => {
                let (order, shares, match_number) = (order.0, self.shares(quantity)?, trade.0);
                if counts && price == at {
                    OrderExecuted { locate, tracking, timestamp, order, shares, match_number }.into()
                } else {
                    let printable = if counts { b'Y' } else { b'N' };
                    let price = self.price(at)?;
                    OrderExecutedWithPrice {
                        locate,
                        tracking,
                        timestamp,
                        order,
                        shares,
                        match_number,
                        printable,
                        price,
                    }
                    .into()
                }
            }
            ChangeKind::Traded { side, price, quantity, trade } => Trade {
                locate,
                tracking,
                timestamp,
                order: 0,
                side: letter(side),
                shares: self.shares(quantity)?,
                stock,
                price: self.price(price)?,
                match_number: trade.0,
            }
            .into(),
            ChangeKind::Shrunk { order, quantity, .. } => {
                let (order, shares) = (order.0, self.shares(quantity)?);
                OrderCancel { locate, tracking, timestamp, order, shares }.into()
            }
            ChangeKind::Removed { order, .. } => {
                OrderDelete { locate, tracking, timestamp, order: order.0 }.into()
            }
            ChangeKind::Renamed { old, order, price, quantity, .. } => OrderReplace {
                locate,
                tracking: KEEPS_PLACE,
                timestamp,
                original: old.0,
                order: order.0,
                shares: self.shares(quantity)?,
                price: self.price(price)?,
            }
            .into(),
        })
    }

    fn shares(&self, quantity: Quantity) -> Result<u32, Unfit> {
        let units = self.instrument.quantity_to_units(quantity);
        units.and_then(|units| u32::try_from(units).ok()).ok_or(Unfit::Quantity)
    }

    fn price(&self, price: Price) -> Result<u32, Unfit> {
        let e4 = self.instrument.price_to_e4(price);
        e4.and_then(|e4| u32::try_from(e4).ok()).ok_or(Unfit::Price)
    }
}

const fn timestamp(nanos: Nanos) -> Timestamp {
    Timestamp::new(nanos.since_midnight())
}

fn system_event(nanos: Nanos, event: u8) -> Message {
    SystemEvent { locate: 0, tracking: 0, timestamp: timestamp(nanos), event }.into()
}

const fn letter(side: Side) -> u8 {
    match side {
        Side::Buy => b'B',
        Side::Sell => b'S',
    }
}

#[cfg(test)]
mod tests {
    use domain::{InstrumentId, OrderBounds, Symbol};

    use super::*;

    fn instrument(index: u32) -> Instrument {
        Instrument {
            id: InstrumentId(index),
            symbol: Symbol::new("ABC").unwrap(),
            tick: 100,
            lot: 10,
            quantity_max: Quantity(1_000),
            price_max: Price::new(42_949_672).unwrap(),
            bounds: OrderBounds::NONE,
        }
    }

    #[test]
    fn what_does_not_fit_is_not_published_and_says_why() {
        let locate = |instrument| Directory::new(&[instrument]).entries[0].1;
        assert_eq!(locate(instrument(0)), Ok(1));
        assert_eq!(locate(instrument(65_533)), Ok(65_534));
        assert_eq!(locate(instrument(65_534)), Err(Unfit::Locate));
        assert_eq!(locate(instrument(1 << 19)), Err(Unfit::Locate));
        let price_max = Price::new(42_949_673).unwrap();
        assert_eq!(locate(Instrument { price_max, ..instrument(0) }), Err(Unfit::Price));
        let quantity_max = Quantity(429_496_730);
        assert_eq!(locate(Instrument { quantity_max, ..instrument(0) }), Err(Unfit::Quantity));
        assert_eq!(locate(Instrument { quantity_max: Quantity(429_496_729), ..instrument(0) }), Ok(1));
        let directory = Directory::new(&[Instrument { price_max, ..instrument(0) }]);
        let (order, price) = (OrderId::new(InstrumentId(0), 1), Price::new(5).unwrap());
        assert_eq!(directory.add(Nanos(0), order, Side::Buy, price, Quantity(1)), Ok(None));
        let mut said = Vec::new();
        directory.open(Nanos(7), |message| said.push(message));
        assert_eq!(said.len(), 2, "only that the day begins");
    }

    #[test]
    fn ticks_and_lots_become_ten_thousandths_and_units() {
        let directory = Directory::new(&[instrument(0)]);
        let (order, price) = (OrderId::new(InstrumentId(0), 7), Price::new(12_345).unwrap());
        let Ok(Some(Message::AddOrder(add))) =
            directory.add(Nanos(Nanos::PER_DAY + 5), order, Side::Sell, price, Quantity(3))
        else {
            panic!("it is published");
        };
        assert_eq!((add.locate, add.order, add.side), (1, 7, b'S'));
        assert_eq!((add.price, add.shares, add.timestamp.nanos()), (1_234_500, 30, 5));
        let negative = Price::new(-1).unwrap();
        let mut scribe = Scribe::new(directory.clone());
        let other = OrderId::new(InstrumentId(0), 8);
        let (side, quantity, left) = (Side::Buy, Quantity(1), Quantity(2));
        let kinds = [
            (ChangeKind::Added { order, side, price: negative, quantity: Quantity(4) }, false),
            (ChangeKind::Added { order: other, side, price, quantity: Quantity(4) }, true),
            (ChangeKind::Shrunk { order, side, price: negative, quantity, left }, false),
            (ChangeKind::Shrunk { order: other, side, price, quantity, left }, true),
            (
                ChangeKind::Renamed {
                    old: order,
                    order: OrderId::new(InstrumentId(0), 9),
                    side,
                    price: negative,
                    before: left,
                    quantity,
                },
                false,
            ),
            (
                ChangeKind::Removed {
                    order: OrderId::new(InstrumentId(0), 9),
                    side,
                    price: negative,
                    quantity,
                },
                false,
            ),
            (ChangeKind::Added { order, side, price, quantity }, true),
            (ChangeKind::Removed { order, side, price, quantity }, true),
        ];
        for (kind, is_published) in kinds {
            let change = Change { instrument: InstrumentId(0), nanos: Nanos(0), kind };
            assert_eq!(matches!(scribe.message(&change), Ok(Some(_))), is_published, "{kind:?}");
        }
        assert!(scribe.withheld.is_empty());
        assert_eq!(directory.add(Nanos(0), order, Side::Buy, negative, Quantity(1)), Err(Unfit::Price));
    }
}
