//! Reports as FIX messages: the fields behind the header.
//!
//! | report | message | ExecType | OrdStatus |
//! |---|---|---|---|
//! | an order is in | 8 | 0 | 0 |
//! | it traded | 8 | F | 1, with the last of it 2 |
//! | its rest is gone: its owner or the venue canceled it | 8 | 4 | 4 |
//! | its rest is gone: its time is over | 8 | C | C |
//! | replaced | 8 | 5 | 0, or 1 if some has traded |
//! | refused | 8 | 8 | 8 |
//! | says something else of itself | 8 | D | 0 or 1 |
//! | its stop price was reached | 8 | L | 0 or 1 |
//! | a cancel or a replacement came to nothing | 9 | | as the order stands |
//! | an answer to a question | 8 | I | as the order stands |
//!
//! A copy of another session's report says the same, and whose order it is in OnBehalfOfCompID; ExecID is the copy's own.
//!
//! ExecID is the number of the session's report, which is never given twice. Quantities are in units. LeavesQty + CumQty =
//! OrderQty while an order lives; LeavesQty is 0 when it does not. The same report always gives the same bytes.
//!
//! Source: FIX 4.4, appendix D, and the values of the fields.

use core::fmt;

use domain::{
    CancelReason, Instrument, InstrumentId, Liquidity, OrderCopy, OrderId, OrderReport, OrderReportKind,
    OrderStatus, Price, Quantity, Refused, RefusedRequest, RejectReason, Report, Restatement, TimeInForce,
    UserName,
};

use super::writer::MessageWriter;

/// What FIX cannot say, or an instrument that is not the report's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The report speaks of a book, and its instrument was not given or is another one.
    Instrument {
        /// The report's.
        expected: Option<InstrumentId>,
        /// The one given.
        found: Option<InstrumentId>,
    },
    /// A price or an amount overflows.
    Amount,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instrument { expected, found } => {
                write!(f, "a report of instrument {expected:?} with instrument {found:?}")
            }
            Self::Amount => f.write_str("an amount that overflows"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// The code of how an order stands: OrdStatus.
#[must_use]
pub const fn status(status: OrderStatus) -> u8 {
    match status {
        OrderStatus::New => b'0',
        OrderStatus::PartiallyFilled => b'1',
        OrderStatus::Filled => b'2',
        OrderStatus::Canceled => b'4',
        OrderStatus::Expired => b'C',
        OrderStatus::Rejected => b'8',
        OrderStatus::Replaced => b'5',
    }
}

/// The code of how long an order lives: TimeInForce.
#[must_use]
pub const fn time_in_force(time_in_force: TimeInForce) -> u8 {
    match time_in_force {
        TimeInForce::Day => b'0',
        TimeInForce::GoodTillCancel => b'1',
        TimeInForce::ImmediateOrCancel => b'3',
        TimeInForce::FillOrKill => b'4',
        TimeInForce::GoodTillDate => b'6',
    }
}

/// The code of why an order was refused: OrdRejReason. The reason's own words are in Text.
#[must_use]
pub const fn order_reject_reason(reason: RejectReason) -> u64 {
    match reason {
        RejectReason::UnknownInstrument => 1,
        RejectReason::StorageFull | RejectReason::Elsewhere => 2,
        RejectReason::NotionalTooLarge | RejectReason::NotionalTooSmall | RejectReason::TooManyOrders => 3,
        RejectReason::UnknownOrder => 5,
        RejectReason::DuplicateClientOrderId => 6,
        RejectReason::InvalidSide
        | RejectReason::InvalidTimeInForce
        | RejectReason::InvalidDisplay
        | RejectReason::Unsupported
        | RejectReason::InvalidInstructions => 11,
        RejectReason::InvalidQuantity => 13,
        RejectReason::InvalidPrice => 18,
        RejectReason::WouldTrade
        | RejectReason::TooManyStops
        | RejectReason::Expired
        | RejectReason::Busy
        | RejectReason::TooLate => 99,
    }
}

/// The code of why a cancel or a replacement came to nothing: CxlRejReason.
#[must_use]
pub const fn cancel_reject_reason(reason: RejectReason) -> u64 {
    match reason {
        RejectReason::TooLate => 0,
        RejectReason::UnknownOrder => 1,
        RejectReason::DuplicateClientOrderId => 6,
        _ => 99,
    }
}

/// Ticks and lots of one instrument, as FIX counts them.
#[derive(Clone, Copy)]
struct Units<'a>(&'a Instrument);

impl<'a> Units<'a> {
    fn of(report: &Report, instrument: Option<&'a Instrument>) -> Result<Self, EncodeError> {
        match instrument {
            Some(i) if report.instrument == Some(i.id) => Ok(Self(i)),
            other => Err(EncodeError::Instrument { expected: report.instrument, found: other.map(|i| i.id) }),
        }
    }

    /// Ten-thousandths.
    #[inline]
    fn price(self, price: Price) -> Result<i64, EncodeError> {
        price.ticks().checked_mul(i64::from(self.0.tick)).ok_or(EncodeError::Amount)
    }

    #[inline]
    fn units(self, quantity: Quantity) -> Result<u64, EncodeError> {
        self.0.quantity_to_units(quantity).ok_or(EncodeError::Amount)
    }

    /// What a lot has cost on average, in ten-thousandths, rounded half away from zero; 0 when nothing has traded.
    #[inline]
    fn average(self, notional: i64, lots: u64) -> Result<i64, EncodeError> {
        if lots == 0 {
            return Ok(0);
        }
        let (total, lots) = (i128::from(notional) * i128::from(self.0.tick), i128::from(lots));
        let half = if total < 0 { -(lots / 2) } else { lots / 2 };
        i64::try_from((total + half) / lots).map_err(|_| EncodeError::Amount)
    }
}

/// Which message a report is: ExecutionReport, or OrderCancelReject.
#[must_use]
pub const fn refused_type(refused: &Refused) -> &'static [u8] {
    match refused.request {
        RefusedRequest::Order { .. } => b"8",
        RefusedRequest::Cancel { .. } | RefusedRequest::Replace { .. } => b"9",
    }
}

#[inline]
fn order_id(message: &mut MessageWriter<'_>, order: OrderId) {
    if order == OrderId::NONE {
        message.text(37, b"NONE");
    } else {
        message.number(37, order.0);
    }
}

#[inline]
fn text(message: &mut MessageWriter<'_>, tag: u32, text: &[u8]) {
    if !text.is_empty() {
        message.text(tag, text);
    }
}

/// What a report of an order says, behind the header. `is_answer`: to a question; then nothing has happened. `trade_id`: the
/// [field](super::dictionary::Dictionary::trade_id) of a trade's number.
///
/// # Errors
/// What FIX cannot say. The message is to be given up then: amounts are looked at before anything is written.
#[inline]
pub fn order_report(
    report: &Report,
    order: &OrderReport,
    instrument: Option<&Instrument>,
    (is_answer, trade_id): (bool, u32),
    message: &mut MessageWriter<'_>,
) -> Result<(), EncodeError> {
    let units = Units::of(report, instrument)?;
    let (quantity, leaves) = (units.units(order.quantity)?, units.units(order.leaves)?);
    let cumulative = units.units(order.cumulative)?;
    let average = units.average(order.notional, order.cumulative.lots())?;
    let price = units.price(order.price)?;
    let fill = match order.kind {
        OrderReportKind::Trade { trade, price, quantity, liquidity } => {
            Some((trade, units.price(price)?, units.units(quantity)?, liquidity))
        }
        _ => None,
    };
    message.number(37, order.order.0);
    // Only an order of a session that does not speak FIX may have none.
    text(message, 11, order.client_order_id.trimmed());
    text(message, 41, order.original_id.trimmed());
    message.number(17, if is_answer { 0 } else { report.number });
    message.letter(150, if is_answer { b'I' } else { exec_type(order) });
    message.letter(39, status(order.status));
    message.text(55, units.0.symbol.as_str().as_bytes()).letter(54, order.echo.side);
    message.number(38, quantity).letter(40, order.echo.display);
    // A market order has no limit, and a stop order without one neither.
    if !matches!(order.echo.display, b'1' | b'3' | b'K') {
        message.decimal(44, price);
    }
    message.letter(59, time_in_force(order.time_in_force));
    if order.echo.capacity.is_ascii_uppercase() {
        message.letter(528, order.echo.capacity);
    }
    if let Some((trade, price, quantity, liquidity)) = fill {
        let liquidity = match liquidity {
            Liquidity::Added => b'1',
            Liquidity::Removed => b'2',
        };
        message.number(32, quantity).decimal(31, price).number(trade_id, trade.0).letter(851, liquidity);
    }
    message.number(151, leaves).number(14, cumulative).decimal(6, average).time(60, report.nanos);
    why(order, message);
    Ok(())
}

/// What a report of another session's order says, behind the header: that report, with whose it is in OnBehalfOfCompID, which is
/// a field of the header and so comes first.
///
/// # Errors
/// As for [`order_report`].
pub fn order_copy(
    report: &Report,
    copy: &OrderCopy,
    of: &UserName,
    instrument: Option<&Instrument>,
    trade_id: u32,
    message: &mut MessageWriter<'_>,
) -> Result<(), EncodeError> {
    message.text(115, of.trimmed());
    order_report(report, &copy.order, instrument, (false, trade_id), message)
}

#[inline]
fn exec_type(order: &OrderReport) -> u8 {
    match order.kind {
        OrderReportKind::New => b'0',
        OrderReportKind::Trade { .. } => b'F',
        OrderReportKind::Canceled(_) if order.status == OrderStatus::Expired => b'C',
        OrderReportKind::Canceled(_) => b'4',
        OrderReportKind::Replaced => b'5',
        OrderReportKind::Rejected(_) => b'8',
        OrderReportKind::Restated(_) => b'D',
        OrderReportKind::Triggered => b'L',
    }
}

/// The reason, in FIX's codes and in words.
#[inline]
fn why(order: &OrderReport, message: &mut MessageWriter<'_>) {
    match order.kind {
        OrderReportKind::New
        | OrderReportKind::Trade { .. }
        | OrderReportKind::Replaced
        | OrderReportKind::Triggered
        | OrderReportKind::Canceled(CancelReason::Requested) => {}
        OrderReportKind::Canceled(reason) => {
            message.text(58, canceled_text(reason));
        }
        OrderReportKind::Rejected(reason) => {
            message.number(103, order_reject_reason(reason)).text(58, reject_text(reason).as_bytes());
        }
        OrderReportKind::Restated(why) => {
            let (code, text): (u64, &[u8]) = match why {
                Restatement::Priced => (3, b"limit at the best price taken"),
                Restatement::Refreshed => (99, b"next part shown"),
                Restatement::Decremented => (5, b"smaller instead of trading within its own group"),
                Restatement::Reduced => (5, b"reduced"),
            };
            message.number(378, code).text(58, text);
        }
    }
}

const fn canceled_text(reason: CancelReason) -> &'static [u8] {
    match reason {
        CancelReason::Requested => b"requested",
        CancelReason::ImmediateOrCancel => b"immediate or cancel: no more at once",
        CancelReason::FillOrKill => b"fill or kill: not all at once",
        CancelReason::NoLiquidity => b"market order: the other side is empty",
        CancelReason::EndOfDay => b"end of day",
        CancelReason::InvalidReplacement => b"replaced by nothing",
        CancelReason::SelfTrade => b"would have traded within its own group",
        CancelReason::MinimumQuantity => b"minimum quantity not at once",
        CancelReason::Expired => b"its date has come",
        CancelReason::MassCancel => b"mass cancel",
        CancelReason::Disconnected => b"not connected",
    }
}

/// What [`RejectReason`] says, as text that lives.
#[must_use]
pub const fn reject_text(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::UnknownInstrument => "unknown symbol",
        RejectReason::InvalidPrice => "price off the tick or out of range",
        RejectReason::InvalidQuantity => "quantity off the lot or out of range",
        RejectReason::InvalidSide => "side not offered",
        RejectReason::InvalidTimeInForce => "time in force not offered",
        RejectReason::InvalidDisplay => "display instruction not offered",
        RejectReason::Unsupported => "instruction not offered",
        RejectReason::UnknownOrder => "unknown order",
        RejectReason::StorageFull => "only cancels are taken for now",
        RejectReason::NotionalTooLarge => "price times quantity too large",
        RejectReason::TooManyOrders => "too many open orders",
        RejectReason::WouldTrade => "post-only order would trade",
        RejectReason::InvalidInstructions => "instructions contradict each other",
        RejectReason::TooManyStops => "too many trailing stops",
        RejectReason::Expired => "its date has passed",
        RejectReason::NotionalTooSmall => "price times quantity too small",
        RejectReason::Busy => "the book is busy",
        RejectReason::Elsewhere => "the symbol is traded elsewhere",
        RejectReason::DuplicateClientOrderId => "duplicate ClOrdID",
        RejectReason::TooLate => "the order lives no more",
    }
}

/// What a refusal says, behind the header: of the message that [`refused_type`] names.
#[inline]
pub fn refused(report: &Report, refused: &Refused, message: &mut MessageWriter<'_>) {
    let text_of = reject_text(refused.reason).as_bytes();
    match refused.request {
        RefusedRequest::Order { symbol, side_code, units } => {
            order_id(message, OrderId::NONE);
            text(message, 11, refused.client_order_id.trimmed());
            message.number(17, report.number).letter(150, b'8').letter(39, b'8');
            message.text(55, symbol.as_str().as_bytes()).letter(54, side_code).number(38, units);
            message.number(151, 0).number(14, 0).number(6, 0).time(60, report.nanos);
            message.number(103, order_reject_reason(refused.reason)).text(58, text_of);
        }
        RefusedRequest::Cancel { order, status: stands }
        | RefusedRequest::Replace { order, status: stands } => {
            let to = if matches!(refused.request, RefusedRequest::Cancel { .. }) { b'1' } else { b'2' };
            order_id(message, order);
            text(message, 11, refused.client_order_id.trimmed());
            text(message, 41, refused.original_id.trimmed());
            message.letter(39, status(stands)).letter(434, to).time(60, report.nanos);
            message.number(102, cancel_reject_reason(refused.reason)).text(58, text_of);
        }
    }
}
