//! What happens to special orders, as an OUCH client is told.

use domain::{Instrument, Report, ReportKind};

use super::{EncodeError, Units};
use crate::ouch::{
    Appendage, TagValue, codes,
    outbound::{AiqCanceled, CancelReject, MassCanceled, Restated},
};

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
