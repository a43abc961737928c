//! Books made of messages.

use core::fmt;
use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use domain::Side;
use wire::itch::Message;

use crate::itch::KEEPS_PLACE;

/// An order that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOrder {
    /// The venue's number of it.
    pub order: u64,
    /// Its price in ten-thousandths.
    pub price: u32,
    /// Units shown.
    pub shares: u32,
}

/// A trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTrade {
    /// Its number.
    pub match_number: u64,
    /// Its price in ten-thousandths.
    pub price: u32,
    /// Units traded.
    pub shares: u32,
}

/// One instrument's book.
#[derive(Clone, Debug, Default)]
pub struct ClientBook {
    /// Its name.
    pub symbol: String,
    /// Units traded, each trade counted once.
    pub volume: u64,
    /// The last trade.
    pub last: Option<ClientTrade>,
    /// Bids and asks: by price, best first, and place.
    sides: [BTreeMap<(i64, u64), ClientOrder>; 2],
}

impl ClientBook {
    /// The orders of a side, best price first, at one price in the order of the queue.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = &ClientOrder> {
        self.sides[side as usize].values()
    }

    /// The prices of a side with the units shown there, best first.
    #[must_use]
    pub fn levels(&self, side: Side, depth: usize) -> Vec<(u32, u64)> {
        let mut levels: Vec<(u32, u64)> = Vec::new();
        for order in self.orders(side) {
            let count = levels.len();
            match levels.last_mut() {
                Some((price, shares)) if *price == order.price => *shares += u64::from(order.shares),
                _ if count == depth => break,
                _ => levels.push((order.price, u64::from(order.shares))),
            }
        }
        levels
    }
}

/// A message that cannot be true of the books that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BookFault {
    /// It is no message of the feed.
    Message(wire::itch::DecodeError),
    /// No order has this number.
    NoOrder(u64),
    /// An order has this number already.
    Twice(u64),
    /// More than an order showed.
    TooMuch(u64),
    /// A side that is none.
    Side(u8),
}

impl fmt::Display for BookFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(error) => error.fmt(f),
            Self::NoOrder(order) => write!(f, "order {order} is not there"),
            Self::Twice(order) => write!(f, "order {order} is there already"),
            Self::TooMuch(order) => write!(f, "order {order} shows less than was taken from it"),
            Self::Side(found) => write!(f, "no side: {found:#04x}"),
        }
    }
}

impl std::error::Error for BookFault {}

/// Where an order stands.
#[derive(Clone, Copy, Debug)]
struct At {
    locate: u16,
    side: Side,
    key: (i64, u64),
}

/// The books of a feed.
#[derive(Debug, Default)]
pub struct Books {
    /// By locate.
    books: BTreeMap<u16, ClientBook>,
    orders: HashMap<u64, At>,
    last_place: u64,
}

impl Books {
    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The book of a locate.
    #[must_use]
    pub fn book(&self, locate: u16) -> Option<&ClientBook> {
        self.books.get(&locate)
    }

    /// All books, by locate.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &ClientBook)> {
        self.books.iter().map(|(locate, book)| (*locate, book))
    }

    /// Orders that are shown.
    #[must_use]
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether no order is shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// Takes a message.
    ///
    /// # Errors
    /// When it cannot be true: the books are not those of the feed, and a snapshot is needed. Nothing has changed then.
    pub fn on_message(&mut self, message: &[u8]) -> Result<Message, BookFault> {
        let message = Message::decode(message).map_err(BookFault::Message)?;
        match message {
            Message::StockDirectory(m) => {
                self.book_mut(m.locate).symbol =
                    String::from_utf8_lossy(m.stock.trim_ascii_end()).into_owned();
            }
            Message::AddOrder(m) => self.add(m.locate, m.side, m.order, m.price, m.shares)?,
            Message::AddOrderAttributed(m) => self.add(m.locate, m.side, m.order, m.price, m.shares)?,
            Message::OrderExecuted(m) => {
                let price = self.take(m.order, m.shares)?;
                self.traded(m.locate, m.match_number, price, m.shares);
            }
            Message::OrderExecutedWithPrice(m) => {
                self.take(m.order, m.shares)?;
                if m.printable == b'Y' {
                    self.traded(m.locate, m.match_number, m.price, m.shares);
                }
            }
            Message::OrderCancel(m) => {
                self.take(m.order, m.shares)?;
            }
            Message::OrderDelete(m) => {
                self.remove(m.order)?;
            }
            Message::OrderReplace(m) => {
                if m.order != m.original && self.orders.contains_key(&m.order) {
                    return Err(BookFault::Twice(m.order));
                }
                let (at, _) = self.remove(m.original)?;
                let place = if m.tracking == KEEPS_PLACE { at.key.1 } else { self.next_place() };
                self.insert(
                    at.locate,
                    at.side,
                    ClientOrder { order: m.order, price: m.price, shares: m.shares },
                    place,
                )?;
            }
            Message::Trade(m) => self.traded(m.locate, m.match_number, m.price, m.shares),
            Message::SystemEvent(_)
            | Message::TradingAction(_)
            | Message::ShortSaleRestriction(_)
            | Message::BrokenTrade(_)
            | Message::EndOfSnapshot(_) => {}
        }
        Ok(message)
    }

    fn book_mut(&mut self, locate: u16) -> &mut ClientBook {
        self.books.entry(locate).or_default()
    }

    fn next_place(&mut self) -> u64 {
        self.last_place += 1;
        self.last_place
    }

    fn add(&mut self, locate: u16, side: u8, order: u64, price: u32, shares: u32) -> Result<(), BookFault> {
        let side = match side {
            b'B' => Side::Buy,
            b'S' => Side::Sell,
            found => return Err(BookFault::Side(found)),
        };
        let place = self.next_place();
        self.insert(locate, side, ClientOrder { order, price, shares }, place)
    }

    fn insert(&mut self, locate: u16, side: Side, order: ClientOrder, place: u64) -> Result<(), BookFault> {
        let price = i64::from(order.price);
        let key = (if side == Side::Buy { -price } else { price }, place);
        match self.orders.entry(order.order) {
            Entry::Occupied(_) => return Err(BookFault::Twice(order.order)),
            Entry::Vacant(free) => free.insert(At { locate, side, key }),
        };
        self.book_mut(locate).sides[side as usize].insert(key, order);
        Ok(())
    }

    fn remove(&mut self, order: u64) -> Result<(At, ClientOrder), BookFault> {
        let at = self.orders.remove(&order).ok_or(BookFault::NoOrder(order))?;
        let removed = self.book_mut(at.locate).sides[at.side as usize].remove(&at.key);
        Ok((at, removed.ok_or(BookFault::NoOrder(order))?))
    }

    /// Takes units off an order. Gives its price.
    fn take(&mut self, order: u64, shares: u32) -> Result<u32, BookFault> {
        let at = *self.orders.get(&order).ok_or(BookFault::NoOrder(order))?;
        let side = &mut self.book_mut(at.locate).sides[at.side as usize];
        let shown = side.get_mut(&at.key).ok_or(BookFault::NoOrder(order))?;
        let price = shown.price;
        shown.shares = shown.shares.checked_sub(shares).ok_or(BookFault::TooMuch(order))?;
        if shown.shares == 0 {
            side.remove(&at.key);
            self.orders.remove(&order);
        }
        Ok(price)
    }

    fn traded(&mut self, locate: u16, match_number: u64, price: u32, shares: u32) {
        let book = self.book_mut(locate);
        book.volume += u64::from(shares);
        book.last = Some(ClientTrade { match_number, price, shares });
    }
}
