//! SoupBinTCP and OUCH.

use client::{ClientError, User, soup::Connection};
use wire::ouch::{
    Appendage, Inbound, Outbound, codes,
    inbound::{CancelOrder, EnterOrder, ReplaceOrder},
};

use super::{Heard, Way};
use crate::{
    request::{Ask, Number, Request},
    tracker::Answer,
};

/// A session over SoupBinTCP.
#[derive(Debug)]
pub(crate) struct SoupLine {
    pub(super) connection: Connection,
    /// The last number that was used up before the run.
    base: u32,
    /// What goes into an order for each book: the symbol.
    symbols: Box<[[u8; 8]]>,
}

impl SoupLine {
    pub(super) fn open(way: &Way<'_>, user: &User) -> Result<Self, ClientError> {
        let mut connection = Connection::open_with(way.target, way.tls, way.timeout)?;
        connection.login(user, "", 0, way.timeout)?;
        // Asked twice: an answer that an earlier connection left behind may come first, and be out of date.
        connection.next_user_ref(way.timeout)?;
        let next = connection.next_user_ref(way.timeout)?;
        let symbols = way.instruments.iter().map(|instrument| instrument.symbol.padded()).collect();
        Ok(Self { connection, base: next.saturating_sub(1), symbols })
    }

    pub(super) fn encode(&mut self, request: &Request) -> Result<(), ClientError> {
        let number = |number: Number| self.base.wrapping_add(number);
        let user_ref = number(request.number);
        let inbound = match request.ask {
            Ask::Enter { book, side, price_e4, quantity, immediate } => Inbound::EnterOrder(EnterOrder {
                user_ref,
                side: if side == domain::Side::Buy { b'B' } else { b'S' },
                quantity,
                symbol: self.symbols[book],
                price: price_e4,
                time_in_force: if immediate { codes::IMMEDIATE_OR_CANCEL } else { codes::DAY },
                display: b'Y',
                capacity: b'P',
                intermarket_sweep: b'N',
                cross: b'N',
                client_order_id: [b' '; 14],
                appendage: Appendage::EMPTY,
            }),
            Ask::Reduce { total } => Inbound::CancelOrder(CancelOrder { user_ref, quantity: total }),
            Ask::Cancel => Inbound::CancelOrder(CancelOrder { user_ref, quantity: 0 }),
            Ask::Replace { original, price_e4, quantity } => Inbound::ReplaceOrder(ReplaceOrder {
                original: number(original),
                user_ref,
                quantity,
                price: price_e4,
                time_in_force: codes::DAY,
                display: b'Y',
                intermarket_sweep: b'N',
                client_order_id: [b' '; 14],
                appendage: Appendage::EMPTY,
            }),
        };
        self.connection.send(&inbound)
    }

    pub(super) fn next(&mut self) -> Result<Option<Heard<'_>>, ClientError> {
        let message = self.connection.next()?;
        Ok(message.map(|message| Heard { answer: read(&message.message, self.base), message: Some(message) }))
    }
}

/// Reads a message; `None` when it is about no order of this run. `base` is the session's last number before the run.
fn read(message: &Outbound<'_>, base: u32) -> Option<Answer> {
    let own = |user_ref: u32| user_ref.checked_sub(base).filter(|&number| number > 0);
    Some(match message {
        Outbound::Accepted(m) => Answer::Accepted { number: own(m.user_ref)?, quantity: m.quantity },
        Outbound::Replaced(m) => {
            Answer::Replaced { original: own(m.original)?, number: own(m.user_ref)?, quantity: m.quantity }
        }
        Outbound::Canceled(m) => {
            Answer::Canceled { number: own(m.user_ref)?, quantity: m.quantity, reason: m.reason }
        }
        Outbound::Executed(m) => Answer::Executed {
            number: own(m.user_ref)?,
            quantity: m.quantity,
            price_e4: m.price,
            removed: m.liquidity == b'R',
            trade: m.match_number,
        },
        Outbound::Rejected(m) => Answer::Rejected { number: own(m.user_ref)?, reason: m.reason },
        _ => return None,
    })
}
