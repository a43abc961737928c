//! Bodies of version 1, which had no special orders and no bounds but the largest: read, and never written.

use serde::Deserialize;

use super::{Body, BookRow, InstrumentRow, OrderRow, TradeRow, v3::SessionV3};

#[derive(Deserialize)]
pub(in crate::snapshot) struct BodyV1 {
    market_wide: u64,
    market_wide_last: u64,
    instruments: Vec<InstrumentV1>,
    books: Vec<BookV1>,
    sessions: Vec<SessionV3>,
}

#[derive(Deserialize)]
struct InstrumentV1 {
    symbol: [u8; 8],
    tick: u32,
    lot: u32,
    quantity_max: u64,
    price_max: i64,
}

#[derive(Deserialize)]
struct BookV1 {
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
    orders: Vec<OrderV1>,
}

#[derive(Deserialize)]
struct OrderV1 {
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

impl From<BodyV1> for Body<'static> {
    fn from(old: BodyV1) -> Self {
        let BodyV1 { market_wide, market_wide_last, instruments, books, sessions } = old;
        Self {
            owed: Vec::new(),
            fix: Vec::new(),
            copies: Vec::new(),
            market_wide,
            market_wide_last,
            instruments: instruments.into_iter().map(InstrumentRow::from).collect(),
            books: books.into_iter().map(BookRow::from).collect(),
            sessions: sessions.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<InstrumentV1> for InstrumentRow {
    fn from(old: InstrumentV1) -> Self {
        let InstrumentV1 { symbol, tick, lot, quantity_max, price_max } = old;
        let domain::OrderBounds { quantity_min, notional_min, notional_max } = domain::OrderBounds::NONE;
        let quantity_min = quantity_min.lots();
        Self { symbol, tick, lot, quantity_max, price_max, quantity_min, notional_min, notional_max }
    }
}

impl From<BookV1> for BookRow {
    fn from(old: BookV1) -> Self {
        Self {
            last_sequence: old.last_sequence,
            next_order_number: old.next_order_number,
            commands: old.commands,
            accepted: old.accepted,
            replaced: old.replaced,
            reduced: old.reduced,
            canceled: old.canceled,
            rejected: old.rejected,
            trades: old.trades,
            traded: old.traded,
            last_trade: old.last_trade,
            orders: old.orders.into_iter().map(OrderRow::from).collect(),
            stops: Vec::new(),
        }
    }
}

impl From<OrderV1> for OrderRow {
    fn from(old: OrderV1) -> Self {
        Self {
            id: old.id,
            session: old.session,
            client_ref: old.client_ref,
            account: old.account,
            side: old.side,
            time_in_force: old.time_in_force,
            price: old.price,
            leaves: old.leaves,
            executed: old.executed,
            queued_by: old.queued_by,
            queued_at: old.queued_at,
            special: None,
        }
    }
}
