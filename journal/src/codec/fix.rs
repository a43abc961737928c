//! What FIX sessions ask and are told, as payloads.
//!
//! | kind | detail | payload | bytes |
//! |---|---|---|---|
//! | FixRequest | ask, reason, side or status | session 4, client ref 4, original 4, zero 4, order 8, units 8, symbol 8, client order id 20, original id 20 | 80 |
//! | ReportOrder | kind, reason | common 24, order 8, price 8, quantity 8, cumulative 8, leaves 8, notional 8, trade 8, trade price 8, traded 8, echo 5, time in force 1, status 1, client order id 20, original id 20 | 144 |
//! | ReportRefused | ask, reason, side or status | common 24, order 8, units 8, symbol 8, client order id 20, original id 20 | 88 |
//! | ReportCopy | as ReportOrder | ReportOrder's 144, the session that the order is of 4, zero 4 | 152 |
//! | DropCopy | 1 on, 0 off | who is told 4, of whose orders 4 | 8 |
//! | ReportSaid | numbering | common 24, next in 8, ref base 4 | 40 |
//!
//! Asks: 1 cancel, 2 mass cancel, 6 replace; refused: 3 order, 4 cancel, 5 replace. Kinds of what became of an order: 0 new, 1 trade (reason:
//! liquidity), 2 canceled, 3 replaced, 4 rejected, 5 restated, 6 triggered. What a payload's ask or kind does not use is zero.

use domain::{
    BookScopedId, CancelReason, ClientOrderId, ClientRef, DropCopy, FixAsk, FixRequest, Liquidity, Numbering,
    OrderCopy, OrderId, OrderReport, OrderReportKind, OrderStatus, Price, Quantity, Refused, RefusedRequest,
    RejectReason, Report, ReportKind, Restatement, Said, SessionId, Symbol,
};

use super::{
    Put, Take, echo,
    report::{COMMON, common, said},
    unused, value,
};
use crate::{
    error::DecodeError,
    record::{Header, RecordKind},
};

pub(super) const REQUEST: usize = 80;
pub(super) const ORDER_REPORT: usize = COMMON + 120;
pub(super) const ORDER_COPY: usize = ORDER_REPORT + 8;
pub(super) const DROP_COPY: usize = 8;
pub(super) const REFUSED: usize = COMMON + 64;
pub(super) const SAID: usize = COMMON + 16;

const CANCEL: u8 = 1;
const MASS_CANCEL: u8 = 2;
const REPLACE: u8 = 6;
const REFUSED_ORDER: u8 = 3;
const REFUSED_CANCEL: u8 = 4;
const REFUSED_REPLACE: u8 = 5;

/// What a refused request names, as fields: the ask, side or status, order, units, symbol.
type Named = (u8, u8, u64, u64, [u8; 8]);

fn named(request: &RefusedRequest) -> Named {
    match *request {
        RefusedRequest::Order { symbol, side_code, units } => {
            (REFUSED_ORDER, side_code, 0, units, symbol.padded())
        }
        RefusedRequest::Cancel { order, status } => (REFUSED_CANCEL, status as u8, order.0, 0, [0; 8]),
        RefusedRequest::Replace { order, status } => (REFUSED_REPLACE, status as u8, order.0, 0, [0; 8]),
    }
}

fn refused((ask, code, order, units, symbol): Named) -> Result<RefusedRequest, DecodeError> {
    if ask == REFUSED_ORDER {
        let number = u64::from_le_bytes(symbol);
        let symbol = Symbol::from_padded(symbol);
        let symbol = symbol.ok_or(DecodeError::Value { field: "symbol", value: number })?;
        return if order == 0 {
            Ok(RefusedRequest::Order { symbol, side_code: code, units })
        } else {
            Err(DecodeError::Value { field: "unused order", value: order })
        };
    }
    let status = OrderStatus::from_u8(code).ok_or(value("order status", code))?;
    let order = BookScopedId(order);
    if units != 0 || symbol != [0; 8] {
        return Err(DecodeError::Value { field: "unused units or symbol", value: units });
    }
    match ask {
        REFUSED_CANCEL => Ok(RefusedRequest::Cancel { order, status }),
        REFUSED_REPLACE => Ok(RefusedRequest::Replace { order, status }),
        n => Err(value("ask", n)),
    }
}

fn reject_reason(n: u8) -> Result<RejectReason, DecodeError> {
    RejectReason::from_u8(n).ok_or(value("reject reason", n))
}

pub(super) fn put_request(c: &FixRequest, payload: &mut [u8]) -> [u8; 3] {
    let (detail, original, (_, _, order, units, symbol)) = match &c.ask {
        FixAsk::Cancel { original } => ([CANCEL, 0, 0], original.0, (0, 0, 0, 0, [0; 8])),
        FixAsk::MassCancel => ([MASS_CANCEL, 0, 0], 0, (0, 0, 0, 0, [0; 8])),
        FixAsk::Replace => ([REPLACE, 0, 0], 0, (0, 0, 0, 0, [0; 8])),
        FixAsk::Refused(request, reason) => {
            let named = named(request);
            ([named.0, *reason as u8, named.1], 0, named)
        }
    };
    Put::<REQUEST>::new(payload)
        .u32(c.session.0)
        .u32(c.client_ref.0)
        .u32(original)
        .u32(0)
        .u64(order)
        .u64(units)
        .bytes(symbol)
        .bytes(c.client_order_id.0)
        .bytes(c.original_id.0)
        .end();
    detail
}

pub(super) fn take_request(detail: [u8; 3], payload: &[u8]) -> Result<FixRequest, DecodeError> {
    let mut t = Take::<REQUEST>::new(RecordKind::FixRequest as u8, payload)?;
    let session = SessionId(t.u32());
    let client_ref = ClientRef(t.u32());
    let original = ClientRef(t.u32());
    t.zeros::<4>()?;
    let (order, units, symbol) = (t.u64(), t.u64(), t.bytes());
    let client_order_id = ClientOrderId(t.bytes());
    let original_id = ClientOrderId(t.bytes());
    t.end()?;
    let names_nothing = || match (order, units, symbol) {
        (0, 0, [0, 0, 0, 0, 0, 0, 0, 0]) => unused(&detail[1..]),
        _ => Err(DecodeError::Value { field: "unused order", value: order }),
    };
    let ask = match detail {
        [CANCEL, ..] => names_nothing().map(|()| FixAsk::Cancel { original })?,
        [MASS_CANCEL, ..] => names_nothing().map(|()| FixAsk::MassCancel)?,
        [REPLACE, ..] => names_nothing().map(|()| FixAsk::Replace)?,
        [ask, reason, code] => {
            FixAsk::Refused(refused((ask, code, order, units, symbol))?, reject_reason(reason)?)
        }
    };
    if original.0 != 0 && !matches!(ask, FixAsk::Cancel { .. }) {
        return Err(DecodeError::Value { field: "original", value: u64::from(original.0) });
    }
    Ok(FixRequest { session, client_ref, ask, client_order_id, original_id })
}

pub(super) fn put_drop_copy(c: &DropCopy, payload: &mut [u8]) -> [u8; 3] {
    Put::<DROP_COPY>::new(payload).u32(c.watcher.0).u32(c.watched.0).end();
    [u8::from(c.is_on), 0, 0]
}

pub(super) fn take_drop_copy(detail: [u8; 3], payload: &[u8]) -> Result<DropCopy, DecodeError> {
    unused(&detail[1..])?;
    let is_on = match detail[0] {
        0 => false,
        1 => true,
        n => return Err(value("drop copy", n)),
    };
    let mut t = Take::<DROP_COPY>::new(RecordKind::DropCopy as u8, payload)?;
    let (watcher, watched) = (SessionId(t.u32()), SessionId(t.u32()));
    t.end()?;
    Ok(DropCopy { watcher, watched, is_on })
}

pub(super) fn put_order(report: &Report, o: &OrderReport, payload: &mut [u8]) -> [u8; 3] {
    let (put, detail) = put_terms::<ORDER_REPORT>(report, o, payload);
    put.end();
    detail
}

pub(super) fn put_copy(report: &Report, copy: &OrderCopy, payload: &mut [u8]) -> [u8; 3] {
    let (put, detail) = put_terms::<ORDER_COPY>(report, &copy.order, payload);
    put.bytes([0]).u32(copy.of.0).end();
    detail
}

fn put_terms<'a, const N: usize>(
    report: &Report,
    o: &OrderReport,
    payload: &'a mut [u8],
) -> (Put<'a, N>, [u8; 3]) {
    let none = (BookScopedId(0), Price::default(), Quantity(0));
    let (kind, reason, (trade, price, traded)) = match o.kind {
        OrderReportKind::New => (0, 0, none),
        OrderReportKind::Trade { trade, price, quantity, liquidity } => {
            (1, liquidity as u8, (trade, price, quantity))
        }
        OrderReportKind::Canceled(reason) => (2, reason as u8, none),
        OrderReportKind::Replaced => (3, 0, none),
        OrderReportKind::Rejected(reason) => (4, reason as u8, none),
        OrderReportKind::Restated(why) => (5, why as u8, none),
        OrderReportKind::Triggered => (6, 0, none),
    };
    let put = common::<N>(report, o.client_ref, payload)
        .u64(o.order.0)
        .u64(o.price.ticks() as u64)
        .u64(o.quantity.0)
        .u64(o.cumulative.0)
        .u64(o.leaves.0)
        .u64(o.notional as u64)
        .u64(trade.0)
        .u64(price.ticks() as u64)
        .u64(traded.0)
        .bytes(echo(&o.echo))
        .bytes([o.time_in_force as u8, o.status as u8])
        .bytes(o.client_order_id.0)
        .bytes(o.original_id.0);
    (put, [kind, reason, 0])
}

pub(super) fn take_order(header: &Header, payload: &[u8]) -> Result<Report, DecodeError> {
    let mut t = Take::<ORDER_REPORT>::new(header.kind as u8, payload)?;
    let (report, order) = take_terms(header, &mut t)?;
    t.end()?;
    Ok(Report { kind: ReportKind::Order(order), ..report })
}

pub(super) fn take_copy(header: &Header, payload: &[u8]) -> Result<Report, DecodeError> {
    let mut t = Take::<ORDER_COPY>::new(header.kind as u8, payload)?;
    let (report, order) = take_terms(header, &mut t)?;
    t.zeros::<1>()?;
    let of = SessionId(t.u32());
    t.end()?;
    Ok(Report { kind: ReportKind::Copy(OrderCopy { of, order }), ..report })
}

fn take_terms<const N: usize>(
    header: &Header,
    t: &mut Take<'_, N>,
) -> Result<(Report, OrderReport), DecodeError> {
    unused(&header.detail[2..])?;
    let (report, client_ref) = said(header, t)?;
    let order: OrderId = BookScopedId(t.u64());
    let price = t.price()?;
    let [quantity, cumulative, leaves] = [t.u64(), t.u64(), t.u64()].map(Quantity);
    let notional = t.u64() as i64;
    let trade = BookScopedId(t.u64());
    let trade_price = t.price()?;
    let traded = Quantity(t.u64());
    let echo = t.echo();
    let time_in_force = t.time_in_force()?;
    let status_code = t.u8();
    let status = OrderStatus::from_u8(status_code).ok_or(value("order status", status_code))?;
    let client_order_id = ClientOrderId(t.bytes());
    let original_id = ClientOrderId(t.bytes());
    let code = header.detail[1];
    let nothing_besides = || unused(&[code]);
    let kind = match header.detail[0] {
        0 => nothing_besides().map(|()| OrderReportKind::New)?,
        1 => {
            let liquidity = Liquidity::from_u8(code).ok_or(value("liquidity", code))?;
            OrderReportKind::Trade { trade, price: trade_price, quantity: traded, liquidity }
        }
        2 => OrderReportKind::Canceled(CancelReason::from_u8(code).ok_or(value("cancel reason", code))?),
        3 => nothing_besides().map(|()| OrderReportKind::Replaced)?,
        4 => OrderReportKind::Rejected(reject_reason(code)?),
        5 => OrderReportKind::Restated(Restatement::from_u8(code).ok_or(value("restatement", code))?),
        6 => nothing_besides().map(|()| OrderReportKind::Triggered)?,
        n => return Err(value("order report kind", n)),
    };
    let trades = matches!(kind, OrderReportKind::Trade { .. });
    if !trades && (trade.0, traded.0, trade_price) != (0, 0, Price::default()) {
        return Err(DecodeError::Value { field: "unused trade", value: trade.0 });
    }
    let order = OrderReport {
        kind,
        status,
        client_ref,
        order,
        echo,
        time_in_force,
        price,
        quantity,
        cumulative,
        leaves,
        notional,
        client_order_id,
        original_id,
    };
    Ok((report, order))
}

pub(super) fn put_refused(report: &Report, refused: &Refused, payload: &mut [u8]) -> [u8; 3] {
    let (ask, code, order, units, symbol) = named(&refused.request);
    common::<REFUSED>(report, refused.client_ref, payload)
        .u64(order)
        .u64(units)
        .bytes(symbol)
        .bytes(refused.client_order_id.0)
        .bytes(refused.original_id.0)
        .end();
    [ask, refused.reason as u8, code]
}

pub(super) fn take_refused(header: &Header, payload: &[u8]) -> Result<Report, DecodeError> {
    let mut t = Take::<REFUSED>::new(header.kind as u8, payload)?;
    let (report, client_ref) = said(header, &mut t)?;
    let (order, units, symbol) = (t.u64(), t.u64(), t.bytes());
    let client_order_id = ClientOrderId(t.bytes());
    let original_id = ClientOrderId(t.bytes());
    t.end()?;
    let [ask, reason, code] = header.detail;
    let request = refused((ask, code, order, units, symbol))?;
    let refused =
        Refused { request, reason: reject_reason(reason)?, client_ref, client_order_id, original_id };
    Ok(Report { kind: ReportKind::Refused(refused), ..report })
}

pub(super) fn put_said(report: &Report, said: &Said, payload: &mut [u8]) -> [u8; 3] {
    common::<SAID>(report, ClientRef(0), payload).u64(said.next_in).u32(said.ref_base.0).end();
    [said.numbering as u8, 0, 0]
}

pub(super) fn take_said(header: &Header, payload: &[u8]) -> Result<Report, DecodeError> {
    unused(&header.detail[1..])?;
    let mut t = Take::<SAID>::new(header.kind as u8, payload)?;
    let (report, client_ref) = said(header, &mut t)?;
    let next_in = t.u64();
    let ref_base = ClientRef(t.u32());
    t.end()?;
    let numbering = header.detail[0];
    let numbering = Numbering::from_u8(numbering).ok_or(value("numbering", numbering))?;
    if client_ref.0 != 0 {
        return Err(DecodeError::Value { field: "client ref", value: u64::from(client_ref.0) });
    }
    Ok(Report { kind: ReportKind::Said(Said { numbering, next_in, ref_base }), ..report })
}
