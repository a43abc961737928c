//! Reports as payloads. Sequence and time are in the record's header.
//!
//! Every payload begins with session 4, instrument 4 (all ones: none), index 4, client ref 4, number 8.
//!
//! | kind | detail | then | bytes |
//! |---|---|---|---|
//! | System | code | (client ref 0) | 24 |
//! | Accepted | | order 8, price 8, quantity 8, original 4 (zero), type 1, time in force 1, echo 5, client order id 20 | 80 |
//! | Replaced | | the same, with the original | 80 |
//! | Canceled | reason | order 8, quantity 8 | 40 |
//! | Executed | liquidity | order 8, trade 8, price 8, quantity 8, leaves 8 | 64 |
//! | Rejected | reason | client order id 20 | 48 |
//! | Modified | side code | order 8, quantity 8 | 40 |
//! | AccountQuery | | (client ref: the next) | 24 |
//! | Restated | | order 8, price 8, leaves 8 | 48 |
//! | Refreshed | | order 8, shown 8, leaves 8 | 48 |
//! | Triggered | | order 8, price 8 | 40 |
//! | Decremented | liquidity | order 8, quantity 8, leaves 8, price 8 | 56 |
//! | CancelRejected | reason | order 8 | 32 |
//! | MassCanceled | | canceled 4, zero 4 | 32 |
//! | AcceptedSpecial | | Accepted's 80, [instructions](super::instructions) 48 | 128 |
//! | ReplacedSpecial | | Replaced's 80, instructions 48 | 128 |
//!
//! Those of FIX sessions are in [`fix`](super::fix).

use domain::{
    BookScopedId, CancelReason, ClientOrderId, ClientRef, Echo, Instructions, InstrumentId, Liquidity, Nanos,
    OrderType, Price, Quantity, RejectReason, Report, ReportKind, Sequence, SessionId, SystemCode,
    TimeInForce,
};

use super::{Put, Take, echo, fix, instructions, unused, value};
use crate::error::DecodeError;
use crate::record::{Header, RecordKind};

pub(super) const COMMON: usize = 24;
const ORDER: usize = 80;
const SPECIAL_ORDER: usize = ORDER + instructions::BYTES;
const AMOUNT: usize = 40;
const EXECUTED: usize = 64;
const REJECTED: usize = 48;
const RESTATED: usize = 48;
const DECREMENTED: usize = 56;
const CANCEL_REJECTED: usize = 32;
const MASS_CANCELED: usize = 32;

/// Stands for no instrument; past every id that there can be.
const NO_INSTRUMENT: u32 = u32::MAX;
const _: () = assert!(BookScopedId::INSTRUMENTS_MAX < NO_INSTRUMENT);

/// A report as the log has it, without what places it there: for whoever keeps one elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedReport {
    /// The record's kind.
    pub kind: u8,
    /// The record's detail.
    pub detail: [u8; 3],
    /// The command that caused it.
    pub sequence: u64,
    /// That command's time.
    pub nanos: u64,
    /// The record's payload.
    pub payload: Vec<u8>,
}

impl PackedReport {
    /// Packs a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let (kind, length) = shape(&report.kind);
        let mut payload = vec![0; length];
        let detail = encode(report, &mut payload);
        Self { kind: kind as u8, detail, sequence: report.sequence.0, nanos: report.nanos.0, payload }
    }

    /// The report that was packed.
    ///
    /// # Errors
    /// When it is none.
    pub fn report(&self) -> Result<Report, DecodeError> {
        let kind = RecordKind::from_u8(self.kind).ok_or(DecodeError::Kind(self.kind))?;
        let header =
            Header { sequence: self.sequence, nanos: self.nanos, kind, detail: self.detail, epoch: 0 };
        decode(&header, &self.payload)
    }
}

/// The kind and the payload's length.
#[inline]
pub(crate) const fn shape(kind: &ReportKind) -> (RecordKind, usize) {
    match kind {
        ReportKind::System(_) => (RecordKind::ReportSystem, COMMON),
        ReportKind::Accepted { instructions: None, .. } => (RecordKind::ReportAccepted, ORDER),
        ReportKind::Replaced { instructions: None, .. } => (RecordKind::ReportReplaced, ORDER),
        ReportKind::Accepted { .. } => (RecordKind::ReportAcceptedSpecial, SPECIAL_ORDER),
        ReportKind::Replaced { .. } => (RecordKind::ReportReplacedSpecial, SPECIAL_ORDER),
        ReportKind::Canceled { .. } => (RecordKind::ReportCanceled, AMOUNT),
        ReportKind::Executed { .. } => (RecordKind::ReportExecuted, EXECUTED),
        ReportKind::Rejected { .. } => (RecordKind::ReportRejected, REJECTED),
        ReportKind::Modified { .. } => (RecordKind::ReportModified, AMOUNT),
        ReportKind::AccountQuery { .. } => (RecordKind::ReportAccountQuery, COMMON),
        ReportKind::Restated { .. } => (RecordKind::ReportRestated, RESTATED),
        ReportKind::Refreshed { .. } => (RecordKind::ReportRefreshed, RESTATED),
        ReportKind::Triggered { .. } => (RecordKind::ReportTriggered, AMOUNT),
        ReportKind::Decremented { .. } => (RecordKind::ReportDecremented, DECREMENTED),
        ReportKind::CancelRejected { .. } => (RecordKind::ReportCancelRejected, CANCEL_REJECTED),
        ReportKind::MassCanceled { .. } => (RecordKind::ReportMassCanceled, MASS_CANCELED),
        ReportKind::Order(_) => (RecordKind::ReportOrder, fix::ORDER_REPORT),
        ReportKind::Refused(_) => (RecordKind::ReportRefused, fix::REFUSED),
        ReportKind::Said(_) => (RecordKind::ReportSaid, fix::SAID),
        ReportKind::Copy(_) => (RecordKind::ReportCopy, fix::ORDER_COPY),
    }
}

/// Writes the payload, whose length is that of [`shape`], and gives the header's detail.
#[inline]
pub(crate) fn encode(report: &Report, payload: &mut [u8]) -> [u8; 3] {
    match report.kind {
        ReportKind::Order(ref order) => fix::put_order(report, order, payload),
        ReportKind::Refused(ref refused) => fix::put_refused(report, refused, payload),
        ReportKind::Said(ref said) => fix::put_said(report, said, payload),
        ReportKind::Copy(ref copy) => fix::put_copy(report, copy, payload),
        ReportKind::System(code) => {
            common::<COMMON>(report, ClientRef(0), payload).end();
            [code as u8, 0, 0]
        }
        ReportKind::Accepted {
            client_ref,
            order,
            order_type,
            time_in_force,
            price,
            quantity,
            instructions,
            echo,
            client_order_id,
        } => {
            let terms = Terms {
                original: ClientRef(0),
                order,
                order_type,
                time_in_force,
                price,
                quantity,
                echo,
                client_order_id,
            };
            put_terms(report, client_ref, &terms, instructions.as_ref(), payload);
            [0; 3]
        }
        ReportKind::Replaced {
            original,
            client_ref,
            order,
            order_type,
            time_in_force,
            price,
            quantity,
            instructions,
            echo,
            client_order_id,
        } => {
            let terms =
                Terms { original, order, order_type, time_in_force, price, quantity, echo, client_order_id };
            put_terms(report, client_ref, &terms, instructions.as_ref(), payload);
            [0; 3]
        }
        ReportKind::Canceled { client_ref, order, quantity, reason } => {
            common::<AMOUNT>(report, client_ref, payload).u64(order.0).u64(quantity.0).end();
            [reason as u8, 0, 0]
        }
        ReportKind::Executed { client_ref, order, trade, price, quantity, leaves, liquidity } => {
            common::<EXECUTED>(report, client_ref, payload)
                .u64(order.0)
                .u64(trade.0)
                .u64(price.ticks() as u64)
                .u64(quantity.0)
                .u64(leaves.0)
                .end();
            [liquidity as u8, 0, 0]
        }
        ReportKind::Rejected { client_ref, reason, client_order_id } => {
            common::<REJECTED>(report, client_ref, payload).bytes(client_order_id.0).end();
            [reason as u8, 0, 0]
        }
        ReportKind::Modified { client_ref, order, quantity, side_code } => {
            common::<AMOUNT>(report, client_ref, payload).u64(order.0).u64(quantity.0).end();
            [side_code, 0, 0]
        }
        ReportKind::AccountQuery { next } => {
            common::<COMMON>(report, next, payload).end();
            [0; 3]
        }
        ReportKind::Restated { client_ref, order, price, leaves } => {
            common::<RESTATED>(report, client_ref, payload)
                .u64(order.0)
                .u64(price.ticks() as u64)
                .u64(leaves.0)
                .end();
            [0; 3]
        }
        ReportKind::Refreshed { client_ref, order, shown, leaves } => {
            common::<RESTATED>(report, client_ref, payload).u64(order.0).u64(shown.0).u64(leaves.0).end();
            [0; 3]
        }
        ReportKind::Triggered { client_ref, order, price } => {
            common::<AMOUNT>(report, client_ref, payload).u64(order.0).u64(price.ticks() as u64).end();
            [0; 3]
        }
        ReportKind::Decremented { client_ref, order, quantity, leaves, price, liquidity } => {
            common::<DECREMENTED>(report, client_ref, payload)
                .u64(order.0)
                .u64(quantity.0)
                .u64(leaves.0)
                .u64(price.ticks() as u64)
                .end();
            [liquidity as u8, 0, 0]
        }
        ReportKind::CancelRejected { client_ref, order, reason } => {
            common::<CANCEL_REJECTED>(report, client_ref, payload).u64(order.0).end();
            [reason as u8, 0, 0]
        }
        ReportKind::MassCanceled { client_ref, canceled } => {
            common::<MASS_CANCELED>(report, client_ref, payload).u32(canceled).end();
            [0; 3]
        }
    }
}

#[inline(always)]
pub(super) fn common<'a, const N: usize>(
    report: &Report,
    client_ref: ClientRef,
    payload: &'a mut [u8],
) -> Put<'a, N> {
    // An id past the range could not be read back.
    let instrument = report.instrument.map_or(NO_INSTRUMENT, |i| {
        assert!(i.0 < BookScopedId::INSTRUMENTS_MAX, "instrument out of range");
        i.0
    });
    Put::<N>::new(payload)
        .u32(report.session.0)
        .u32(instrument)
        .u32(report.index)
        .u32(client_ref.0)
        .u64(report.number)
}

/// The report of a record.
///
/// # Errors
/// When the kind is no report, the length is not the kind's, or a field holds a value that it cannot have.
#[inline]
pub(crate) fn decode(header: &Header, payload: &[u8]) -> Result<Report, DecodeError> {
    let number = header.kind as u8;
    let detail = header.detail;
    match header.kind {
        RecordKind::ReportSystem => {
            unused(&detail[1..])?;
            let code = SystemCode::from_u8(detail[0]).ok_or(value("system code", detail[0]))?;
            let mut t = Take::<COMMON>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            if client_ref.0 != 0 {
                return Err(DecodeError::Value { field: "client ref", value: u64::from(client_ref.0) });
            }
            Ok(Report { kind: ReportKind::System(code), ..report })
        }
        RecordKind::ReportAccepted | RecordKind::ReportReplaced => {
            unused(&detail)?;
            let mut t = Take::<ORDER>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            let terms = take_terms(&mut t)?;
            t.end()?;
            let is_replaced = header.kind == RecordKind::ReportReplaced;
            Ok(Report { kind: terms.kind(is_replaced, client_ref, None)?, ..report })
        }
        RecordKind::ReportAcceptedSpecial | RecordKind::ReportReplacedSpecial => {
            unused(&detail)?;
            let mut t = Take::<SPECIAL_ORDER>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            let terms = take_terms(&mut t)?;
            t.zeros::<1>()?;
            let instructions = instructions::take(&mut t)?;
            t.end()?;
            let is_replaced = header.kind == RecordKind::ReportReplacedSpecial;
            Ok(Report { kind: terms.kind(is_replaced, client_ref, Some(instructions))?, ..report })
        }
        RecordKind::ReportCanceled => {
            unused(&detail[1..])?;
            let reason = CancelReason::from_u8(detail[0]).ok_or(value("cancel reason", detail[0]))?;
            let mut t = Take::<AMOUNT>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            let order = BookScopedId(t.u64());
            let quantity = Quantity(t.u64());
            Ok(Report { kind: ReportKind::Canceled { client_ref, order, quantity, reason }, ..report })
        }
        RecordKind::ReportExecuted => {
            unused(&detail[1..])?;
            let liquidity = Liquidity::from_u8(detail[0]).ok_or(value("liquidity", detail[0]))?;
            let mut t = Take::<EXECUTED>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            let order = BookScopedId(t.u64());
            let trade = BookScopedId(t.u64());
            let price = t.price()?;
            let quantity = Quantity(t.u64());
            let leaves = Quantity(t.u64());
            let kind = ReportKind::Executed { client_ref, order, trade, price, quantity, leaves, liquidity };
            Ok(Report { kind, ..report })
        }
        RecordKind::ReportRejected => {
            unused(&detail[1..])?;
            let reason = RejectReason::from_u8(detail[0]).ok_or(value("reject reason", detail[0]))?;
            let mut t = Take::<REJECTED>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            let client_order_id = ClientOrderId(t.bytes());
            t.end()?;
            Ok(Report { kind: ReportKind::Rejected { client_ref, reason, client_order_id }, ..report })
        }
        RecordKind::ReportModified => {
            unused(&detail[1..])?;
            let mut t = Take::<AMOUNT>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            let order = BookScopedId(t.u64());
            let quantity = Quantity(t.u64());
            let side_code = detail[0];
            Ok(Report { kind: ReportKind::Modified { client_ref, order, quantity, side_code }, ..report })
        }
        RecordKind::ReportAccountQuery => {
            unused(&detail)?;
            let mut t = Take::<COMMON>::new(number, payload)?;
            let (report, next) = said(header, &mut t)?;
            Ok(Report { kind: ReportKind::AccountQuery { next }, ..report })
        }
        RecordKind::ReportRestated => {
            unused(&detail)?;
            let mut t = Take::<RESTATED>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            let (order, price, leaves) = (BookScopedId(t.u64()), t.price()?, Quantity(t.u64()));
            Ok(Report { kind: ReportKind::Restated { client_ref, order, price, leaves }, ..report })
        }
        RecordKind::ReportRefreshed => {
            unused(&detail)?;
            let mut t = Take::<RESTATED>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            let (order, shown, leaves) = (BookScopedId(t.u64()), Quantity(t.u64()), Quantity(t.u64()));
            Ok(Report { kind: ReportKind::Refreshed { client_ref, order, shown, leaves }, ..report })
        }
        RecordKind::ReportTriggered => {
            unused(&detail)?;
            let mut t = Take::<AMOUNT>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            let (order, price) = (BookScopedId(t.u64()), t.price()?);
            Ok(Report { kind: ReportKind::Triggered { client_ref, order, price }, ..report })
        }
        RecordKind::ReportDecremented => {
            unused(&detail[1..])?;
            let liquidity = Liquidity::from_u8(detail[0]).ok_or(value("liquidity", detail[0]))?;
            let mut t = Take::<DECREMENTED>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            let order = BookScopedId(t.u64());
            let quantity = Quantity(t.u64());
            let leaves = Quantity(t.u64());
            let price = t.price()?;
            let kind = ReportKind::Decremented { client_ref, order, quantity, leaves, price, liquidity };
            Ok(Report { kind, ..report })
        }
        RecordKind::ReportCancelRejected => {
            unused(&detail[1..])?;
            let reason = RejectReason::from_u8(detail[0]).ok_or(value("reject reason", detail[0]))?;
            let mut t = Take::<CANCEL_REJECTED>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            let order = BookScopedId(t.u64());
            Ok(Report { kind: ReportKind::CancelRejected { client_ref, order, reason }, ..report })
        }
        RecordKind::ReportMassCanceled => {
            unused(&detail)?;
            let mut t = Take::<MASS_CANCELED>::new(number, payload)?;
            let (report, client_ref) = said(header, &mut t)?;
            let canceled = t.u32();
            t.end()?;
            Ok(Report { kind: ReportKind::MassCanceled { client_ref, canceled }, ..report })
        }
        RecordKind::ReportOrder => fix::take_order(header, payload),
        RecordKind::ReportCopy => fix::take_copy(header, payload),
        RecordKind::ReportRefused => fix::take_refused(header, payload),
        RecordKind::ReportSaid => fix::take_said(header, payload),
        _ => Err(DecodeError::Kind(number)),
    }
}

/// What an order that is in has been accepted with; `original` is 0 for one that replaces none.
struct Terms {
    original: ClientRef,
    order: BookScopedId,
    order_type: OrderType,
    time_in_force: TimeInForce,
    price: Price,
    quantity: Quantity,
    echo: Echo,
    client_order_id: ClientOrderId,
}

impl Terms {
    fn kind(
        self,
        is_replaced: bool,
        client_ref: ClientRef,
        instructions: Option<Instructions>,
    ) -> Result<ReportKind, DecodeError> {
        let Self { original, order, order_type, time_in_force, price, quantity, echo, client_order_id } =
            self;
        if is_replaced {
            return Ok(ReportKind::Replaced {
                original,
                client_ref,
                order,
                order_type,
                time_in_force,
                price,
                quantity,
                instructions,
                echo,
                client_order_id,
            });
        }
        if original.0 != 0 {
            return Err(DecodeError::Value { field: "original", value: u64::from(original.0) });
        }
        Ok(ReportKind::Accepted {
            client_ref,
            order,
            order_type,
            time_in_force,
            price,
            quantity,
            instructions,
            echo,
            client_order_id,
        })
    }
}

#[inline(always)]
fn put_terms(
    report: &Report,
    client_ref: ClientRef,
    terms: &Terms,
    instructions: Option<&Instructions>,
    payload: &mut [u8],
) {
    #[inline(always)]
    fn put<'a, const N: usize>(to: Put<'a, N>, terms: &Terms) -> Put<'a, N> {
        to.u64(terms.order.0)
            .u64(terms.price.ticks() as u64)
            .u64(terms.quantity.0)
            .u32(terms.original.0)
            .bytes([terms.order_type as u8, terms.time_in_force as u8])
            .bytes(echo(&terms.echo))
            .bytes(terms.client_order_id.0)
    }
    match instructions {
        None => put(common::<ORDER>(report, client_ref, payload), terms).end(),
        Some(instructions) => {
            let to = put(common::<SPECIAL_ORDER>(report, client_ref, payload), terms).bytes([0]);
            instructions::put(to, instructions).end();
        }
    }
}

#[inline(always)]
fn take_terms<const N: usize>(t: &mut Take<'_, N>) -> Result<Terms, DecodeError> {
    let order = BookScopedId(t.u64());
    let price = t.price()?;
    let quantity = Quantity(t.u64());
    let original = ClientRef(t.u32());
    let order_type = t.order_type()?;
    let time_in_force = t.time_in_force()?;
    let echo = t.echo();
    let client_order_id = ClientOrderId(t.bytes());
    Ok(Terms { original, order, order_type, time_in_force, price, quantity, echo, client_order_id })
}

/// The common part; the kind is put in by the caller.
#[inline(always)]
pub(super) fn said<const N: usize>(
    header: &Header,
    t: &mut Take<'_, N>,
) -> Result<(Report, ClientRef), DecodeError> {
    let session = SessionId(t.u32());
    let instrument = match t.u32() {
        NO_INSTRUMENT => None,
        n if n < BookScopedId::INSTRUMENTS_MAX => Some(InstrumentId(n)),
        n => return Err(DecodeError::Value { field: "instrument", value: u64::from(n) }),
    };
    let index = t.u32();
    let client_ref = ClientRef(t.u32());
    let report = Report {
        session,
        number: t.u64(),
        sequence: Sequence(header.sequence),
        instrument,
        index,
        nanos: Nanos(header.nanos),
        kind: ReportKind::AccountQuery { next: client_ref },
    };
    Ok((report, client_ref))
}
