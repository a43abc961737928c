//! Bodies of version 4, which kept what orders had traded of FIX sessions alone, and knew of no drop copies: read, and never
//! written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{BlockRow, Body, BookRow, FixRow, InstrumentRow, LiveRow, OwedRow, SessionRow, fix::IdRow};

#[derive(Deserialize)]
pub(in crate::snapshot) struct BodyV4 {
    market_wide: u64,
    market_wide_last: u64,
    instruments: Vec<InstrumentRow>,
    books: Vec<BookRow>,
    sessions: Vec<SessionV4>,
    fix: Vec<FixV4>,
    owed: Vec<OwedRow>,
}

#[derive(Deserialize)]
struct SessionV4 {
    user: [u8; 20],
    protocol: u8,
    consumed: u32,
    orders: Vec<LiveV4>,
    log: Vec<BlockRow<'static>>,
}

#[derive(Deserialize)]
struct LiveV4 {
    client_ref: u32,
    id: u64,
    side: u8,
    order_type: u8,
    time_in_force: u8,
    is_special: bool,
    price: i64,
    quantity: u64,
    echo: [u8; 5],
    client_order_id: [u8; 20],
}

#[derive(Deserialize)]
struct FixV4 {
    session: u32,
    out_base: u64,
    ref_base: u32,
    next_in: u64,
    traded: Vec<TradedV4>,
    ids: Vec<IdRow>,
}

#[derive(Deserialize)]
struct TradedV4 {
    client_ref: u32,
    cumulative: u64,
    notional: i64,
}

impl From<BodyV4> for Body<'static> {
    fn from(old: BodyV4) -> Self {
        let BodyV4 { market_wide, market_wide_last, instruments, books, sessions, fix, owed } = old;
        let mut traded = BTreeMap::new();
        let fix = fix.into_iter().map(|old| {
            let FixV4 { session, out_base, ref_base, next_in, traded: of_orders, ids } = old;
            for TradedV4 { client_ref, cumulative, notional } in of_orders {
                traded.insert((session, client_ref), (cumulative, notional));
            }
            // When it began was not kept: long ago.
            FixRow { session, out_base, ref_base, next_in, numbered_at: 0, ids }
        });
        let fix: Vec<_> = fix.collect();
        let sessions = (0..).zip(sessions).map(|(session, old)| {
            let SessionV4 { user, protocol, consumed, orders, log } = old;
            let orders = orders.into_iter().map(|old| {
                let traded = traded.get(&(session, old.client_ref)).copied().unwrap_or_default();
                old.with(traded)
            });
            SessionRow { user, protocol, consumed, orders: orders.collect(), log }
        });
        let sessions = sessions.collect();
        Self { market_wide, market_wide_last, instruments, books, sessions, owed, fix, copies: Vec::new() }
    }
}

impl LiveV4 {
    fn with(self, traded: (u64, i64)) -> LiveRow {
        let Self {
            client_ref,
            id,
            side,
            order_type,
            time_in_force,
            is_special,
            price,
            quantity,
            echo,
            client_order_id,
        } = self;
        LiveRow {
            client_ref,
            id,
            side,
            order_type,
            time_in_force,
            is_special,
            price,
            quantity,
            traded,
            echo,
            client_order_id,
        }
    }
}
