//! Snapshots: the whole state at a clean stop, so that the next start replays only what came after it.
//!
//! Writing ([`write`]): nothing is in flight, so the state is what the journal's [mark](journal::Mark) stands for:
//! instruments, books, sessions, and how many market-wide commands there were.
//!
//! Reading ([`load`]), each step a reason to do without the snapshot:
//!
//! 1. The file is whole, of this version and of this journal's cluster ([`journal::snapshot`]).
//! 2. The body decodes, within a limit, to its end.
//! 3. Every instrument, book and session is one that could be.
//! 4. The books hash to the state in the header.
//! 5. Books and sessions agree on every live order.
//!
//! That the journal has the mark is for the recovery to check, which reads on from there.
//!
//! The body is encoded by bincode from the mirror types below, which are numbers and bytes only, so that neither the
//! domain nor the engine knows a serializer, and a change of a domain type is no change of the format.
//! `docs/snapshot-format.md` has the bytes.

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use domain::{
    AccountId, ClientOrderId, ClientRef, Echo, Instrument, InstrumentId, Nanos, OrderId, OrderType, Owner,
    Price, Quantity, Sequence, SessionId, Side, Symbol, TimeInForce, UserName,
};
use engine::{
    book::{Book, BookHeader, BookImage, Counters, LastTrade, RestingOrder},
    hash::{StateHash, book_hash},
};
use gateway::{Instruments, LiveOrder, SessionImage, Sessions};
use journal::{
    Appender, ClusterId, Mark, Position, StorageState,
    session_log::SessionIndex,
    snapshot::{self, Header},
};
use serde::{Deserialize, Serialize};

/// No body is longer, in either direction. The larger part of one is 4 bytes for each report ever numbered.
const BODY_MAX: usize = 8 << 30;

/// Fixed widths, little-endian: the layout can be written down, and no value changes another's place.
const CODEC: Configuration<LittleEndian, Fixint, Limit<BODY_MAX>> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<BODY_MAX>();

/// What every book has been told, those among them that were not there yet: a book that is defined later begins as if
/// it had been, so that a replay from the start, which makes all books at once, gives the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MarketWide {
    /// Market-wide commands.
    pub(crate) commands: u64,
    /// The last of them; 0 when there is none.
    pub(crate) last: Sequence,
}

impl MarketWide {
    /// A book that has been told nothing else.
    pub(crate) fn book(self, instrument: InstrumentId) -> Result<Book, String> {
        let header = BookHeader {
            instrument,
            last_sequence: self.last,
            next_order_number: 1,
            counters: Counters { commands: self.commands, ..Counters::default() },
            ..BookHeader::default()
        };
        Book::restore(&BookImage { header, orders: Vec::new() }).map_err(|error| error.to_string())
    }
}

/// A snapshot that has been read.
pub(crate) struct Loaded {
    pub(crate) mark: Mark,
    pub(crate) last_sequence: Sequence,
    pub(crate) last_nanos: Nanos,
    pub(crate) market_wide: MarketWide,
    pub(crate) instruments: Instruments,
    /// By instrument index.
    pub(crate) books: Vec<Book>,
    pub(crate) sessions: Sessions,
}

/// All that is written.
pub(crate) struct State<'a> {
    pub(crate) market_wide: MarketWide,
    pub(crate) instruments: &'a Instruments,
    /// By instrument index, with nothing left to execute.
    pub(crate) books: &'a [Book],
    pub(crate) sessions: &'a Sessions,
}

/// Writes a snapshot of the state that the journal's end stands for. Returns its size in bytes.
///
/// # Errors
/// When something is in flight, or the disk refuses. The exchange needs no snapshot; the caller says so and goes on.
pub(crate) fn write(appender: &Appender, state: &State<'_>) -> Result<u64, String> {
    if appender.state() != StorageState::Ok {
        return Err("the disk is short of room".into());
    }
    if state.books.len() != state.instruments.as_slice().len() {
        return Err(format!(
            "{} books for {} instruments",
            state.books.len(),
            state.instruments.as_slice().len()
        ));
    }
    let images = state.sessions.images().map_err(|error| error.to_string())?;
    let body = Body {
        market_wide: state.market_wide.commands,
        market_wide_last: state.market_wide.last.0,
        instruments: state.instruments.as_slice().iter().map(InstrumentRow::of).collect(),
        books: state.books.iter().map(|book| BookRow::of(&BookImage::of(book))).collect(),
        sessions: images.iter().map(SessionRow::of).collect(),
    };
    let bytes = bincode::serde::encode_to_vec(&body, CODEC).map_err(|error| error.to_string())?;
    if bytes.len() > BODY_MAX {
        return Err(format!("it would have {} bytes, and at most {BODY_MAX} are taken", bytes.len()));
    }
    let header = Header {
        cluster: appender.cluster(),
        mark: appender.mark(),
        last_sequence: appender.last_sequence(),
        last_nanos: appender.last_nanos(),
        state: hash_of(state.books).0,
    };
    snapshot::write(&appender.dir(), &header, &bytes).map_err(|error| error.to_string())?;
    Ok(bytes.len() as u64)
}

/// Reads a snapshot of the journal `cluster`.
///
/// # Errors
/// When it is anything but what a clean stop of that journal's exchange wrote; says what.
pub(crate) fn load(path: &Path, cluster: ClusterId) -> Result<Loaded, String> {
    let (header, bytes) =
        snapshot::read(path, cluster, BODY_MAX as u64).map_err(|error| error.to_string())?;
    let (body, read): (Body<'static>, usize) =
        bincode::serde::decode_from_slice(&bytes, CODEC).map_err(|error| format!("its body: {error}"))?;
    if read != bytes.len() {
        return Err(format!("its body says all in {read} of {} bytes", bytes.len()));
    }
    drop(bytes);
    let market_wide = MarketWide { commands: body.market_wide, last: Sequence(body.market_wide_last) };
    let mut instruments = Instruments::new();
    for (row, id) in body.instruments.iter().zip((0..).map(InstrumentId)) {
        let instrument = row.instrument(id).ok_or_else(|| format!("instrument {id} cannot be"))?;
        if instruments.find(instrument.symbol).is_some() {
            return Err(format!("instrument {} is there twice", instrument.symbol));
        }
        instruments.define(instrument);
    }
    if body.books.len() != instruments.as_slice().len() {
        return Err(format!("{} books for {} instruments", body.books.len(), instruments.as_slice().len()));
    }
    let mut books = Vec::with_capacity(body.books.len());
    for (row, id) in body.books.into_iter().zip((0..).map(InstrumentId)) {
        let image = row.image(id).ok_or_else(|| format!("the book of {id} cannot be"))?;
        if image.header.last_sequence > header.last_sequence {
            return Err(format!("the book of {id} is ahead of the journal"));
        }
        books.push(Book::restore(&image).map_err(|error| error.to_string())?);
    }
    let state = hash_of(&books);
    if state.0 != header.state {
        return Err(format!("its books' state is {state} and should be {}", StateHash(header.state)));
    }
    let images = body.sessions.into_iter().zip((0..).map(SessionId));
    let images: Vec<_> = images
        .map(|(row, id)| row.image().ok_or_else(|| format!("session {id} cannot be")))
        .collect::<Result<_, _>>()?;
    let sessions = Sessions::restore(images).map_err(|error| error.to_string())?;
    agree(&books, &sessions)?;
    let Header { mark, last_sequence, last_nanos, .. } = header;
    let beyond = |(_, session): (SessionId, &gateway::Session)| {
        session.position_of(session.next_number() - 1).is_some_and(|last| last >= mark.position)
    };
    if sessions.iter().any(beyond) {
        return Err("a report of it is beyond its own position".into());
    }
    if market_wide.last > last_sequence {
        return Err("a market-wide command of it is beyond its own sequence".into());
    }
    Ok(Loaded { mark, last_sequence, last_nanos, market_wide, instruments, books, sessions })
}

fn hash_of(books: &[Book]) -> StateHash {
    books.iter().fold(StateHash::default(), |sum, book| sum.combine(book_hash(book)))
}

/// With nothing in flight, an order rests in a book exactly when it lives in its session.
fn agree(books: &[Book], sessions: &Sessions) -> Result<(), String> {
    let mut live: BTreeMap<OrderId, Owner> = BTreeMap::new();
    for (id, session) in sessions.iter() {
        for (client_ref, order) in session.orders.iter() {
            live.insert(order.order, Owner { session: id, client_ref });
        }
    }
    let of_sessions: usize = sessions.iter().map(|(_, session)| session.orders.len()).sum();
    let mut resting = 0;
    let mut stranger = None;
    for book in books {
        for side in [Side::Buy, Side::Sell] {
            book.visit(side, |order| {
                resting += 1;
                if live.get(&order.order) != Some(&order.owner) {
                    stranger.get_or_insert(order.order);
                }
            });
        }
    }
    match stranger {
        Some(order) => Err(format!("order {order} rests, and its session does not know it")),
        None if resting != of_sessions => {
            Err(format!("{resting} orders rest, and sessions know of {of_sessions}"))
        }
        None => Ok(()),
    }
}

// The mirror types: what stands in the body, in this order. A change of any needs a new `snapshot::VERSION`.

#[derive(Serialize, Deserialize)]
struct Body<'a> {
    market_wide: u64,
    market_wide_last: u64,
    instruments: Vec<InstrumentRow>,
    /// As many as instruments, in their order.
    books: Vec<BookRow>,
    sessions: Vec<SessionRow<'a>>,
}

#[derive(Serialize, Deserialize)]
struct InstrumentRow {
    symbol: [u8; 8],
    tick: u32,
    lot: u32,
    quantity_max: u64,
    price_max: i64,
}

impl InstrumentRow {
    fn of(instrument: &Instrument) -> Self {
        Self {
            symbol: instrument.symbol.padded(),
            tick: instrument.tick,
            lot: instrument.lot,
            quantity_max: instrument.quantity_max.lots(),
            price_max: instrument.price_max.ticks(),
        }
    }

    fn instrument(&self, id: InstrumentId) -> Option<Instrument> {
        let instrument = Instrument {
            id,
            symbol: Symbol::from_padded(self.symbol)?,
            tick: self.tick,
            lot: self.lot,
            quantity_max: Quantity(self.quantity_max),
            price_max: Price::new(self.price_max)?,
        };
        instrument.validated().ok()
    }
}

#[derive(Serialize, Deserialize)]
struct BookRow {
    last_sequence: u64,
    next_order_number: u64,
    commands: u64,
    accepted: u64,
    replaced: u64,
    reduced: u64,
    canceled: u64,
    rejected: u64,
    trades: u64,
    traded: u128,
    last_trade: Option<TradeRow>,
    orders: Vec<OrderRow>,
}

#[derive(Serialize, Deserialize)]
struct TradeRow {
    id: u64,
    price: i64,
    quantity: u64,
}

#[derive(Serialize, Deserialize)]
struct OrderRow {
    id: u64,
    session: u32,
    client_ref: u32,
    account: u32,
    side: u8,
    time_in_force: u8,
    price: i64,
    leaves: u64,
    executed: u64,
    queued_by: u64,
    queued_at: u64,
}

impl BookRow {
    fn of(image: &BookImage) -> Self {
        let BookHeader { instrument: _, last_sequence, next_order_number, counters, last_trade, resting: _ } =
            image.header;
        let Counters { commands, accepted, replaced, reduced, canceled, rejected, trades, traded } = counters;
        Self {
            last_sequence: last_sequence.0,
            next_order_number,
            commands,
            accepted,
            replaced,
            reduced,
            canceled,
            rejected,
            trades,
            traded,
            last_trade: last_trade.map(|LastTrade { trade, price, quantity }| TradeRow {
                id: trade.0,
                price: price.ticks(),
                quantity: quantity.lots(),
            }),
            orders: image.orders.iter().map(OrderRow::of).collect(),
        }
    }

    fn image(self, instrument: InstrumentId) -> Option<BookImage> {
        let orders: Vec<_> = self.orders.iter().map(OrderRow::order).collect::<Option<_>>()?;
        let last_trade = match self.last_trade {
            None => None,
            Some(TradeRow { id, price, quantity }) => Some(LastTrade {
                trade: domain::BookScopedId(id),
                price: Price::new(price)?,
                quantity: Quantity(quantity),
            }),
        };
        let counters = Counters {
            commands: self.commands,
            accepted: self.accepted,
            replaced: self.replaced,
            reduced: self.reduced,
            canceled: self.canceled,
            rejected: self.rejected,
            trades: self.trades,
            traded: self.traded,
        };
        let header = BookHeader {
            instrument,
            last_sequence: Sequence(self.last_sequence),
            next_order_number: self.next_order_number,
            counters,
            last_trade,
            resting: orders.len() as u64,
        };
        Some(BookImage { header, orders })
    }
}

impl OrderRow {
    fn of(order: &RestingOrder) -> Self {
        let RestingOrder {
            order,
            owner: Owner { session, client_ref },
            account,
            side,
            price,
            leaves,
            executed,
            time_in_force,
            queued_by,
            queued_at,
        } = *order;
        Self {
            id: order.0,
            session: session.0,
            client_ref: client_ref.0,
            account: account.0,
            side: side as u8,
            time_in_force: time_in_force as u8,
            price: price.ticks(),
            leaves: leaves.lots(),
            executed: executed.lots(),
            queued_by: queued_by.0,
            queued_at: queued_at.0,
        }
    }

    fn order(&self) -> Option<RestingOrder> {
        Some(RestingOrder {
            order: domain::BookScopedId(self.id),
            owner: Owner { session: SessionId(self.session), client_ref: ClientRef(self.client_ref) },
            account: AccountId(self.account),
            side: Side::from_u8(self.side)?,
            price: Price::new(self.price)?,
            leaves: Quantity(self.leaves),
            executed: Quantity(self.executed),
            time_in_force: TimeInForce::from_u8(self.time_in_force)?,
            queued_by: Sequence(self.queued_by),
            queued_at: Nanos(self.queued_at),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct SessionRow<'a> {
    user: [u8; 20],
    consumed: u32,
    orders: Vec<LiveRow>,
    /// The index of its outbound messages, in the blocks of [`SessionIndex`].
    log: Vec<BlockRow<'a>>,
}

#[derive(Serialize, Deserialize)]
struct BlockRow<'a> {
    base: u64,
    offsets: Cow<'a, [u32]>,
}

#[derive(Serialize, Deserialize)]
struct LiveRow {
    client_ref: u32,
    id: u64,
    side: u8,
    order_type: u8,
    time_in_force: u8,
    price: i64,
    quantity: u64,
    /// Side, display, capacity, intermarket sweep, cross: the wire's codes.
    echo: [u8; 5],
    client_order_id: [u8; 20],
}

impl<'a> SessionRow<'a> {
    fn of(image: &'a SessionImage<'_>) -> Self {
        Self {
            user: image.user.0,
            consumed: image.consumed.0,
            orders: image.orders.iter().map(LiveRow::of).collect(),
            log: image
                .log
                .blocks()
                .map(|(Position(base), offsets)| BlockRow { base, offsets: Cow::Borrowed(offsets) })
                .collect(),
        }
    }

    fn image(self) -> Option<SessionImage<'static>> {
        let blocks = self.log.into_iter().map(|block| (Position(block.base), block.offsets.into_owned()));
        Some(SessionImage {
            user: UserName(self.user),
            consumed: ClientRef(self.consumed),
            orders: self.orders.iter().map(LiveRow::order).collect::<Option<_>>()?,
            log: Cow::Owned(SessionIndex::from_blocks(blocks)?),
        })
    }
}

impl LiveRow {
    fn of((client_ref, order): &(ClientRef, LiveOrder)) -> Self {
        let LiveOrder { order, side, order_type, time_in_force, price, quantity, echo, client_order_id } =
            *order;
        let Echo { side: mark, display, capacity, intermarket_sweep, cross } = echo;
        Self {
            client_ref: client_ref.0,
            id: order.0,
            side: side as u8,
            order_type: order_type as u8,
            time_in_force: time_in_force as u8,
            price: price.ticks(),
            quantity: quantity.lots(),
            echo: [mark, display, capacity, intermarket_sweep, cross],
            client_order_id: client_order_id.0,
        }
    }

    fn order(&self) -> Option<(ClientRef, LiveOrder)> {
        let [side, display, capacity, intermarket_sweep, cross] = self.echo;
        let order = LiveOrder {
            order: domain::BookScopedId(self.id),
            side: Side::from_u8(self.side)?,
            order_type: OrderType::from_u8(self.order_type)?,
            time_in_force: TimeInForce::from_u8(self.time_in_force)?,
            price: Price::new(self.price)?,
            quantity: Quantity(self.quantity),
            echo: Echo { side, display, capacity, intermarket_sweep, cross },
            client_order_id: ClientOrderId(self.client_order_id),
        };
        Some((ClientRef(self.client_ref), order))
    }
}
