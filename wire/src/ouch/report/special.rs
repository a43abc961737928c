//! What happens to special orders, as an OUCH client is told.

use domain::{
    Display, Execution, Instructions, Instrument, OrderType, Quantity, Report, ReportKind, SelfTrade,
    TimeInForce, Trigger,
};

use super::{EncodeError, Units};
use crate::ouch::{
    Appendage, TagValue, codes,
    outbound::{AiqCanceled, CancelReject, MassCanceled, Restated},
};

/// Appends the message of an order that is in and has asked for options.
#[cold]
pub(super) fn encode_order(report: &Report, units: &Units<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let (ReportKind::Accepted { quantity, .. } | ReportKind::Replaced { quantity, .. }) = report.kind else {
        return Ok(());
    };
    let mut bytes = Vec::new();
    let appendage = options(report, units, &mut bytes)?;
    super::encode_order(report, units, units.quantity(quantity)?, appendage, out)
}

/// What an order that is in has asked for, as options; `out` is empty and has them afterwards.
fn options<'a>(
    report: &Report,
    units: &Units<'_>,
    out: &'a mut Vec<u8>,
) -> Result<Appendage<'a>, EncodeError> {
    let (ReportKind::Accepted { order_type, time_in_force, quantity, instructions, .. }
    | ReportKind::Replaced { order_type, time_in_force, quantity, instructions, .. }) = report.kind
    else {
        return Ok(Appendage::EMPTY);
    };
    let Instructions { trigger, display, execution, self_trade, expires } = instructions.unwrap_or_default();
    match execution {
        Execution::Any if time_in_force == TimeInForce::FillOrKill => {
            TagValue::MinQuantity(units.quantity(quantity)?).encode(out);
        }
        Execution::Any => {}
        Execution::Minimum(minimum) => TagValue::MinQuantity(units.quantity(minimum)?).encode(out),
        Execution::AllOrNone => TagValue::AllOrNone(codes::YES).encode(out),
        Execution::PostOnly(what) => TagValue::PostOnly(codes::post_only_code(what)).encode(out),
    }
    if let Display::Iceberg { peak, spread, seed: _ } = display {
        TagValue::MaxFloor(units.quantity(peak)?).encode(out);
        if spread > 0 {
            TagValue::RandomReserves(units.quantity(Quantity(u64::from(spread)))?).encode(out);
        }
    }
    if expires.0 > 0 {
        // It was given as seconds from a moment before the one at which the order got its place.
        let seconds = expires.0.saturating_sub(report.nanos.0).div_ceil(1_000_000_000);
        TagValue::ExpireTime(u32::try_from(seconds).unwrap_or(u32::MAX)).encode(out);
    }
    if let Some(SelfTrade { group, policy }) = self_trade {
        TagValue::GroupId(codes::own_group(group)).encode(out);
        TagValue::SelfTradePolicy(codes::self_trade_policy_code(policy)).encode(out);
    }
    match trigger {
        Trigger::None => {}
        Trigger::Stop(price) => TagValue::StopPrice(units.price(price)?).encode(out),
        Trigger::Trailing { ticks } => {
            let distance =
                ticks.checked_mul(u64::from(units.0.tick)).ok_or(EncodeError::Distance { ticks })?;
            TagValue::TrailingDistance(distance).encode(out);
        }
    }
    if order_type == OrderType::MarketToLimit {
        TagValue::MarketToLimit(codes::YES).encode(out);
    }
    Ok(Appendage::decode(out).expect("each option once, of its own length"))
}

/// Appends the message. Its kinds are those that [`encode_report`](super::encode_report) leaves to this.
#[cold]
pub(super) fn encode(
    report: &Report,
    instrument: Option<&Instrument>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let timestamp = report.nanos.since_midnight();
    let units = Units::of(report, instrument)?;
    let (user_ref, reason, option) = match report.kind {
        ReportKind::Restated { client_ref, price, .. } => {
            (client_ref.0, codes::RESTATED_PRICE, TagValue::DisplayPrice(units.price(price)?))
        }
        ReportKind::Refreshed { client_ref, shown, .. } => {
            (client_ref.0, codes::RESTATED_REFRESH, TagValue::DisplayQuantity(units.quantity(shown)?))
        }
        ReportKind::Triggered { client_ref, price, .. } => {
            (client_ref.0, codes::RESTATED_TRIGGERED, TagValue::StopPrice(units.price(price)?))
        }
        ReportKind::Decremented { client_ref, quantity, price, liquidity, .. } => {
            let quantity = units.quantity(quantity)?;
            AiqCanceled {
                timestamp,
                user_ref: client_ref.0,
                quantity,
                reason: codes::SELF_TRADE,
                prevented: quantity,
                price: units.price(price)?,
                liquidity: codes::liquidity(liquidity),
                strategy: codes::STRATEGY_DECREMENT,
            }
            .encode(out);
            return Ok(());
        }
        ReportKind::CancelRejected { client_ref, .. } => {
            CancelReject { timestamp, user_ref: client_ref.0 }.encode(out);
            return Ok(());
        }
        ReportKind::MassCanceled { client_ref, canceled } => {
            let symbol = units.0.symbol.padded();
            MassCanceled { timestamp, user_ref: client_ref.0, symbol, canceled }.encode(out);
            return Ok(());
        }
        ReportKind::System(_)
        | ReportKind::Accepted { .. }
        | ReportKind::Replaced { .. }
        | ReportKind::Canceled { .. }
        | ReportKind::Executed { .. }
        | ReportKind::Rejected { .. }
        | ReportKind::Order(_)
        | ReportKind::Copy(_)
        | ReportKind::Refused(_)
        | ReportKind::Said(_)
        | ReportKind::Modified { .. }
        | ReportKind::AccountQuery { .. } => {
            unreachable!("every order's reports are encoded where they are hot")
        }
    };
    let mut options = Vec::with_capacity(10);
    option.encode(&mut options);
    let appendage = Appendage::decode(&options).expect("one option, of its own length");
    Restated { timestamp, user_ref, reason, appendage }.encode(out);
    Ok(())
}
