//! Bodies of version 3, whose sessions spoke one protocol, and knew of no order whether it was a special one: read, and
//! never written.

use domain::Protocol;
use serde::Deserialize;

use super::{BlockRow, Body, BookRow, InstrumentRow, LiveRow, OwedRow, SessionRow};

#[derive(Deserialize)]
pub(in crate::snapshot) struct BodyV3 {
    market_wide: u64,
    market_wide_last: u64,
    instruments: Vec<InstrumentRow>,
    books: Vec<BookRow>,
    sessions: Vec<SessionV3>,
    owed: Vec<OwedRow>,
}

#[derive(Deserialize)]
pub(super) struct SessionV3 {
    user: [u8; 20],
    consumed: u32,
    orders: Vec<LiveV3>,
    log: Vec<BlockRow<'static>>,
}

#[derive(Deserialize)]
struct LiveV3 {
    client_ref: u32,
    id: u64,
    side: u8,
    order_type: u8,
    time_in_force: u8,
    price: i64,
    quantity: u64,
    echo: [u8; 5],
    client_order_id: [u8; 20],
}

impl From<BodyV3> for Body<'static> {
    fn from(old: BodyV3) -> Self {
        let BodyV3 { market_wide, market_wide_last, instruments, books, sessions, owed } = old;
        let sessions = sessions.into_iter().map(Into::into).collect();
        Self {
            market_wide,
            market_wide_last,
            instruments,
            books,
            sessions,
            owed,
            fix: Vec::new(),
            copies: Vec::new(),
        }
    }
}

impl From<SessionV3> for SessionRow<'static> {
    fn from(old: SessionV3) -> Self {
        let SessionV3 { user, consumed, orders, log } = old;
        let orders = orders.into_iter().map(Into::into).collect();
        Self { user, protocol: Protocol::PlainOuch as u8, consumed, orders, log }
    }
}

impl From<LiveV3> for LiveRow {
    fn from(old: LiveV3) -> Self {
        let LiveV3 {
            client_ref,
            id,
            side,
            order_type,
            time_in_force,
            price,
            quantity,
            echo,
            client_order_id,
        } = old;
        Self {
            client_ref,
            id,
            side,
            order_type,
            time_in_force,
            is_special: false,
            price,
            quantity,
            // It was not kept for such orders.
            traded: (0, 0),
            echo,
            client_order_id,
        }
    }
}
