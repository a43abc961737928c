//! The mirror types: what stands in the body of a snapshot, in this order, and how each comes from and goes
//! to what it mirrors. A change of any needs a new [`VERSION`](journal::snapshot::VERSION), and the old rows beside
//! the new ([`v1`]); `docs/snapshot-format.md` has the bytes.

mod fix;
mod special;
mod v1;
mod v2;
mod v3;
mod v4;

use std::borrow::Cow;

use domain::{
    AccountId, BookScopedId, ClientOrderId, ClientRef, Echo, Instrument, InstrumentId, Nanos, OrderBounds,
    OrderType, Owner, Price, Protocol, Quantity, Report, Sequence, SessionId, Side, Symbol, TimeInForce,
    UserName,
};
use engine::book::{BookHeader, BookImage, Counters, LastTrade, RestingOrder};
use gateway::{LiveOrder, SessionImage, Traded};
use journal::{PackedReport, Position, session_log::SessionIndex};
use serde::{Deserialize, Serialize};

pub(super) use self::{fix::FixRow, special::SpecialRow, v1::BodyV1, v2::BodyV2, v3::BodyV3, v4::BodyV4};

#[derive(Serialize, Deserialize)]
pub(super) struct Body<'a> {
    pub(super) market_wide: u64,
    pub(super) market_wide_last: u64,
    pub(super) instruments: Vec<InstrumentRow>,
    /// As many as instruments, in their order.
    pub(super) books: Vec<BookRow>,
    pub(super) sessions: Vec<SessionRow<'a>>,
    /// Of each FIX session, rising.
    pub(super) fix: Vec<FixRow>,
    /// Who is told of whose orders: by who is watched, then by who watches, rising.
    pub(super) copies: Vec<CopyRow>,
    /// Reports that the books have caused and the journal does not have before the place.
    pub(super) owed: Vec<OwedRow>,
}

/// A report as its record would be, its number apart, which it does not have yet.
#[derive(Serialize, Deserialize)]
pub(super) struct OwedRow {
    pub(super) kind: u8,
    pub(super) detail: [u8; 3],
    pub(super) sequence: u64,
    pub(super) nanos: u64,
    pub(super) payload: Vec<u8>,
}

impl OwedRow {
    pub(super) fn of(report: &Report) -> Self {
        let PackedReport { kind, detail, sequence, nanos, payload } = PackedReport::of(report);
        Self { kind, detail, sequence, nanos, payload }
    }

    pub(super) fn report(self) -> Option<Report> {
        let Self { kind, detail, sequence, nanos, payload } = self;
        let report = PackedReport { kind, detail, sequence, nanos, payload }.report().ok()?;
        (report.number == 0 && report.sequence != Sequence::default()).then_some(report)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct InstrumentRow {
    pub(super) symbol: [u8; 8],
    pub(super) tick: u32,
    pub(super) lot: u32,
    pub(super) quantity_max: u64,
    pub(super) price_max: i64,
    pub(super) quantity_min: u64,
    pub(super) notional_min: u64,
    pub(super) notional_max: u64,
}

impl InstrumentRow {
    pub(super) fn of(instrument: &Instrument) -> Self {
        Self {
            symbol: instrument.symbol.padded(),
            tick: instrument.tick,
            lot: instrument.lot,
            quantity_max: instrument.quantity_max.lots(),
            price_max: instrument.price_max.ticks(),
            quantity_min: instrument.bounds.quantity_min.lots(),
            notional_min: instrument.bounds.notional_min,
            notional_max: instrument.bounds.notional_max,
        }
    }

    pub(super) fn instrument(&self, id: InstrumentId) -> Option<Instrument> {
        let instrument = Instrument {
            id,
            symbol: Symbol::from_padded(self.symbol)?,
            tick: self.tick,
            lot: self.lot,
            quantity_max: Quantity(self.quantity_max),
            price_max: Price::new(self.price_max)?,
            bounds: OrderBounds {
                quantity_min: Quantity(self.quantity_min),
                notional_min: self.notional_min,
                notional_max: self.notional_max,
            },
        };
        instrument.validated().ok()
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct BookRow {
    pub(super) last_sequence: u64,
    pub(super) next_order_number: u64,
    pub(super) commands: u64,
    pub(super) accepted: u64,
    pub(super) replaced: u64,
    pub(super) reduced: u64,
    pub(super) canceled: u64,
    pub(super) rejected: u64,
    pub(super) trades: u64,
    pub(super) traded: u128,
    pub(super) last_trade: Option<TradeRow>,
    pub(super) orders: Vec<OrderRow>,
    /// The stop orders that wait.
    pub(super) stops: Vec<OrderRow>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct TradeRow {
    pub(super) id: u64,
    pub(super) price: i64,
    pub(super) quantity: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OrderRow {
    pub(super) id: u64,
    pub(super) session: u32,
    pub(super) client_ref: u32,
    pub(super) account: u32,
    pub(super) side: u8,
    pub(super) time_in_force: u8,
    pub(super) price: i64,
    pub(super) leaves: u64,
    pub(super) executed: u64,
    pub(super) queued_by: u64,
    pub(super) queued_at: u64,
    pub(super) special: Option<SpecialRow>,
}

impl BookRow {
    pub(super) fn of(image: &BookImage) -> Self {
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
            stops: image.stops.iter().map(OrderRow::of).collect(),
        }
    }

    pub(super) fn image(self, instrument: InstrumentId) -> Option<BookImage> {
        let orders: Vec<_> = self.orders.iter().map(OrderRow::order).collect::<Option<_>>()?;
        let stops: Vec<_> = self.stops.iter().map(OrderRow::order).collect::<Option<_>>()?;
        let last_trade = match self.last_trade {
            None => None,
            Some(TradeRow { id, price, quantity }) => Some(LastTrade {
                trade: BookScopedId(id),
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
            resting: (orders.len() + stops.len()) as u64,
        };
        Some(BookImage { header, orders, stops })
    }
}

impl OrderRow {
    pub(super) fn of(order: &RestingOrder) -> Self {
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
            special,
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
            special: special.as_ref().map(SpecialRow::of),
        }
    }

    pub(super) fn order(&self) -> Option<RestingOrder> {
        Some(RestingOrder {
            order: BookScopedId(self.id),
            owner: Owner { session: SessionId(self.session), client_ref: ClientRef(self.client_ref) },
            account: AccountId(self.account),
            side: Side::from_u8(self.side)?,
            price: Price::new(self.price)?,
            leaves: Quantity(self.leaves),
            executed: Quantity(self.executed),
            time_in_force: TimeInForce::from_u8(self.time_in_force)?,
            queued_by: Sequence(self.queued_by),
            queued_at: Nanos(self.queued_at),
            special: match &self.special {
                None => None,
                Some(row) => Some(row.special()?),
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct SessionRow<'a> {
    pub(super) user: [u8; 20],
    pub(super) protocol: u8,
    pub(super) consumed: u32,
    pub(super) orders: Vec<LiveRow>,
    /// The index of its outbound messages, in the blocks of [`SessionIndex`].
    pub(super) log: Vec<BlockRow<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BlockRow<'a> {
    pub(super) base: u64,
    pub(super) offsets: Cow<'a, [u32]>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LiveRow {
    pub(super) client_ref: u32,
    pub(super) id: u64,
    pub(super) side: u8,
    pub(super) order_type: u8,
    pub(super) time_in_force: u8,
    pub(super) is_special: bool,
    pub(super) price: i64,
    pub(super) quantity: u64,
    /// Lots, and ticks × lots.
    pub(super) traded: (u64, i64),
    /// Side, display, capacity, intermarket sweep, cross: the wire's codes.
    pub(super) echo: [u8; 5],
    pub(super) client_order_id: [u8; 20],
}

#[derive(Serialize, Deserialize)]
pub(super) struct CopyRow {
    pub(super) watched: u32,
    pub(super) watcher: u32,
}

impl<'a> SessionRow<'a> {
    pub(super) fn of(image: &'a SessionImage<'_>) -> Self {
        Self {
            user: image.user.0,
            protocol: image.protocol as u8,
            consumed: image.consumed.0,
            orders: image.orders.iter().map(LiveRow::of).collect(),
            log: image
                .log
                .blocks()
                .map(|(Position(base), offsets)| BlockRow { base, offsets: Cow::Borrowed(offsets) })
                .collect(),
        }
    }

    pub(super) fn image(self) -> Option<SessionImage<'static>> {
        let blocks = self.log.into_iter().map(|block| (Position(block.base), block.offsets.into_owned()));
        Some(SessionImage {
            user: UserName(self.user),
            protocol: Protocol::from_u8(self.protocol)?,
            consumed: ClientRef(self.consumed),
            fix: None,
            watchers: Vec::new(),
            orders: self.orders.iter().map(LiveRow::order).collect::<Option<_>>()?,
            log: Cow::Owned(SessionIndex::from_blocks(blocks)?),
        })
    }
}

impl LiveRow {
    pub(super) fn of((client_ref, order): &(ClientRef, LiveOrder)) -> Self {
        let LiveOrder {
            order,
            side,
            order_type,
            time_in_force,
            is_special,
            price,
            quantity,
            traded: Traded { cumulative, notional },
            echo,
            client_order_id,
        } = *order;
        let Echo { side: mark, display, capacity, intermarket_sweep, cross } = echo;
        Self {
            client_ref: client_ref.0,
            id: order.0,
            side: side as u8,
            order_type: order_type as u8,
            time_in_force: time_in_force as u8,
            is_special,
            price: price.ticks(),
            quantity: quantity.lots(),
            traded: (cumulative, notional),
            echo: [mark, display, capacity, intermarket_sweep, cross],
            client_order_id: client_order_id.0,
        }
    }

    pub(super) fn order(&self) -> Option<(ClientRef, LiveOrder)> {
        let [side, display, capacity, intermarket_sweep, cross] = self.echo;
        let order = LiveOrder {
            order: BookScopedId(self.id),
            side: Side::from_u8(self.side)?,
            order_type: OrderType::from_u8(self.order_type)?,
            time_in_force: TimeInForce::from_u8(self.time_in_force)?,
            is_special: self.is_special,
            price: Price::new(self.price)?,
            quantity: Quantity(self.quantity),
            traded: Traded { cumulative: self.traded.0, notional: self.traded.1 },
            echo: Echo { side, display, capacity, intermarket_sweep, cross },
            client_order_id: ClientOrderId(self.client_order_id),
        };
        Some((ClientRef(self.client_ref), order))
    }
}
