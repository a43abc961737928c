//! Reports of the exchange, as an OUCH client gets them.

use core::fmt;

use domain::{
    ClientOrderId, Instrument, InstrumentId, OrderType, Price, Quantity, Report, ReportKind, TimeInForce,
};

mod special;

use super::outbound::{
    Accepted, AccountQueryResponse, Canceled, Executed, Modified, Rejected, Replaced, SystemEvent,
};
use super::{Appendage, DecodeError, codes, min_quantity};

/// Why a report cannot be said in OUCH. What the exchange took from an OUCH client always can; these tell of a
/// caller's mistake, or of an order that came another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The report speaks of a book, and its instrument was not given or is another one.
    Instrument {
        /// The report's.
        expected: Option<InstrumentId>,
        /// The one given.
        found: Option<InstrumentId>,
    },
    /// The price is negative or overflows; or it is a limit that OUCH reads as "market".
    Price(Price),
    /// The quantity does not fit in 32 bits of units.
    Quantity(Quantity),
    /// The distance does not fit in 64 bits of ten-thousandths.
    Distance {
        /// In ticks.
        ticks: u64,
    },
    /// A code or text of the client's that is not printable ASCII.
    Text {
        /// The field.
        field: &'static str,
        /// The first such byte.
        found: u8,
    },
    /// The report is one of a FIX session.
    Fix,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instrument { expected, found } => {
                write!(f, "a report of instrument {expected:?} with instrument {found:?}")
            }
            Self::Price(price) => write!(f, "OUCH cannot say a price of {price} ticks"),
            Self::Quantity(quantity) => write!(f, "OUCH cannot say a quantity of {quantity} lots"),
            Self::Fix => f.write_str("a report of a FIX session"),
            Self::Distance { ticks } => write!(f, "OUCH cannot say a distance of {ticks} ticks"),
            Self::Text { field, found } => write!(f, "{field} cannot hold byte {found:#04x}"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Appends the OUCH message that says this report. The same report always gives the same bytes, so that a resend
/// is a read and an encode. `instrument` is the report's; it may be `None` for system events, rejects and account
/// queries. After an error `out` is as it was.
///
/// The timestamp is the report's sequenced time since midnight UTC, the order reference number its
/// [`OrderId`](domain::OrderId), the match number its [`TradeId`](domain::TradeId), and the ClOrdID the first 14
/// bytes of the client's text.
///
/// # Errors
/// What OUCH has no room for, or an instrument that is not the report's.
#[inline]
pub fn encode_report(
    report: &Report,
    instrument: Option<&Instrument>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let timestamp = report.nanos.since_midnight();
    match report.kind {
        ReportKind::System(code) => SystemEvent { timestamp, event: codes::system_event(code) }.encode(out),
        ReportKind::Accepted { order_type, time_in_force, quantity, instructions, .. }
        | ReportKind::Replaced { order_type, time_in_force, quantity, instructions, .. } => {
            let units = Units::of(report, instrument)?;
            if order_type == OrderType::MarketToLimit || instructions.is_some() {
                return special::encode_order(report, &units, out);
            }
            let quantity = units.quantity(quantity)?;
            let minimum = min_quantity(quantity);
            encode_order(report, &units, quantity, appendage(time_in_force, &minimum), out)?;
        }
        ReportKind::Canceled { client_ref, order: _, quantity, reason } => {
            let units = Units::of(report, instrument)?;
            Canceled {
                timestamp,
                user_ref: client_ref.0,
                quantity: units.quantity(quantity)?,
                reason: codes::cancel_reason(reason),
            }
            .encode(out);
        }
        ReportKind::Executed { client_ref, order: _, trade, price, quantity, leaves: _, liquidity } => {
            let units = Units::of(report, instrument)?;
            Executed {
                timestamp,
                user_ref: client_ref.0,
                quantity: units.quantity(quantity)?,
                price: units.price(price)?,
                liquidity: codes::liquidity(liquidity),
                match_number: trade.0,
                appendage: Appendage::EMPTY,
            }
            .encode(out);
        }
        ReportKind::Rejected { client_ref, reason, client_order_id } => {
            Rejected {
                timestamp,
                user_ref: client_ref.0,
                reason: codes::reject_reason(reason),
                client_order_id: first_14(client_order_id),
            }
            .encode_checked(out)
            .map_err(text_error)?;
        }
        ReportKind::Modified { client_ref, order: _, quantity, side_code } => {
            let units = Units::of(report, instrument)?;
            Modified {
                timestamp,
                user_ref: client_ref.0,
                side: side_code,
                quantity: units.quantity(quantity)?,
            }
            .encode_checked(out)
            .map_err(text_error)?;
        }
        ReportKind::AccountQuery { next } => {
            AccountQueryResponse { timestamp, next_user_ref: next.0 }.encode(out);
        }
        ReportKind::Restated { .. }
        | ReportKind::Refreshed { .. }
        | ReportKind::Triggered { .. }
        | ReportKind::Decremented { .. }
        | ReportKind::CancelRejected { .. }
        | ReportKind::MassCanceled { .. } => special::encode(report, instrument, out)?,
        ReportKind::Order(_) | ReportKind::Copy(_) | ReportKind::Refused(_) | ReportKind::Said(_) => {
            return Err(EncodeError::Fix);
        }
    }
    Ok(())
}

/// Appends the message of an order that is in, of so many units; every other report has none of this kind.
#[inline(always)]
fn encode_order(
    report: &Report,
    units: &Units<'_>,
    units_open: u32,
    appendage: Appendage<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let timestamp = report.nanos.since_midnight();
    match report.kind {
        ReportKind::Accepted {
            client_ref,
            order,
            order_type,
            time_in_force,
            price,
            quantity: _,
            instructions: _,
            echo,
            client_order_id,
        } => Accepted {
            timestamp,
            user_ref: client_ref.0,
            side: echo.side,
            quantity: units_open,
            symbol: units.0.symbol.padded(),
            price: units.limit(order_type, price)?,
            time_in_force: codes::time_in_force_code(time_in_force),
            display: echo.display,
            order_reference: order.0,
            capacity: echo.capacity,
            intermarket_sweep: echo.intermarket_sweep,
            cross: echo.cross,
            state: codes::STATE_LIVE,
            client_order_id: first_14(client_order_id),
            appendage,
        }
        .encode_checked(out)
        .map_err(text_error),
        ReportKind::Replaced {
            original,
            client_ref,
            order,
            order_type,
            time_in_force,
            price,
            quantity: _,
            instructions: _,
            echo,
            client_order_id,
        } => Replaced {
            timestamp,
            original: original.0,
            user_ref: client_ref.0,
            side: echo.side,
            quantity: units_open,
            symbol: units.0.symbol.padded(),
            price: units.limit(order_type, price)?,
            time_in_force: codes::time_in_force_code(time_in_force),
            display: echo.display,
            order_reference: order.0,
            capacity: echo.capacity,
            intermarket_sweep: echo.intermarket_sweep,
            cross: echo.cross,
            state: codes::STATE_LIVE,
            client_order_id: first_14(client_order_id),
            appendage,
        }
        .encode_checked(out)
        .map_err(text_error),
        _ => Ok(()),
    }
}

/// Ticks and lots of one instrument, as OUCH counts them.
struct Units<'a>(&'a Instrument);

impl<'a> Units<'a> {
    #[inline]
    fn of(report: &Report, instrument: Option<&'a Instrument>) -> Result<Self, EncodeError> {
        match instrument {
            // Prices in another instrument's ticks would be wrong, and nobody would see it.
            Some(i) if report.instrument == Some(i.id) => Ok(Self(i)),
            other => Err(EncodeError::Instrument { expected: report.instrument, found: other.map(|i| i.id) }),
        }
    }

    #[inline]
    fn price(&self, price: Price) -> Result<u64, EncodeError> {
        self.0.price_to_e4(price).ok_or(EncodeError::Price(price))
    }

    #[inline]
    fn limit(&self, order_type: OrderType, price: Price) -> Result<u64, EncodeError> {
        match order_type {
            // A market-to-limit order has no limit yet when this is said.
            OrderType::Market | OrderType::MarketToLimit => Ok(codes::PRICE_MARKET),
            OrderType::Limit => {
                let e4 = self.price(price)?;
                if e4 < codes::PRICE_MARKET_MIN { Ok(e4) } else { Err(EncodeError::Price(price)) }
            }
        }
    }

    #[inline]
    fn quantity(&self, quantity: Quantity) -> Result<u32, EncodeError> {
        let units = self.0.quantity_to_units(quantity);
        units.and_then(|u| u32::try_from(u).ok()).ok_or(EncodeError::Quantity(quantity))
    }
}

/// Fill or kill is said by a MinQty of the whole quantity; no other plain order needs an appendage.
#[inline]
fn appendage(time_in_force: TimeInForce, minimum: &[u8; 6]) -> Appendage<'_> {
    match time_in_force {
        TimeInForce::FillOrKill => Appendage::min_quantity_of(minimum),
        _ => Appendage::EMPTY,
    }
}

#[inline]
fn first_14(id: ClientOrderId) -> [u8; 14] {
    let mut text = [b' '; 14];
    text.copy_from_slice(&id.0[..14]);
    text
}

/// What a decoder would find wrong: only ever the text, since type and lengths are ours.
#[cold]
fn text_error(error: DecodeError) -> EncodeError {
    match error {
        DecodeError::Text { field, found, .. } => EncodeError::Text { field, found },
        other => unreachable!("{other}"),
    }
}
