//! What the exchange says of orders.

use core::fmt;

use wire::fix::{Fields, value};

/// An ExecutionReport (8): views of its bytes. Prices are in ten-thousandths, quantities in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutionReport<'m> {
    /// ExecType (150): `0` new, `F` trade, `4` canceled, `5` replaced, `8` rejected, `C` expired, `I` status and so on.
    pub exec_type: u8,
    /// OrdStatus (39).
    pub status: u8,
    /// ClOrdID (11) of the order or of the request that is answered; empty if there is none.
    pub id: &'m [u8],
    /// OrigClOrdID (41); empty if there is none.
    pub original: &'m [u8],
    /// OrderID (37).
    pub order_id: &'m [u8],
    /// ExecID (17).
    pub exec_id: &'m [u8],
    /// Symbol (55).
    pub symbol: &'m [u8],
    /// Side (54).
    pub side: u8,
    /// OrderQty (38).
    pub quantity: Option<u64>,
    /// Price (44).
    pub price_e4: Option<i64>,
    /// LeavesQty (151): what may still be executed.
    pub leaves: u64,
    /// CumQty (14): what was executed.
    pub executed: u64,
    /// LastQty (32).
    pub last_quantity: Option<u64>,
    /// LastPx (31).
    pub last_price_e4: Option<i64>,
    /// Whether the trade found liquidity or gave it, LastLiquidityInd (851): 1 gave, 2 found.
    pub liquidity: Option<u8>,
    /// TrdMatchID (880), TradeID (1003), or in FIX 4.4 SecondaryExecID (527).
    pub trade: Option<u64>,
    /// OrdRejReason (103).
    pub reason: Option<u16>,
    /// Text (58); empty if there is none.
    pub text: &'m [u8],
}

/// An OrderCancelReject (9): a cancel or a replacement that did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CancelReject<'m> {
    /// ClOrdID (11) of the request.
    pub id: &'m [u8],
    /// OrigClOrdID (41) of the order.
    pub original: &'m [u8],
    /// OrdStatus (39) of the order.
    pub status: u8,
    /// CxlRejResponseTo (434): whether a replacement was asked for.
    pub is_replacement: bool,
    /// CxlRejReason (102).
    pub reason: Option<u16>,
    /// Text (58); empty if there is none.
    pub text: &'m [u8],
}

/// A report that says too little, or a value that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The field.
    pub tag: u32,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field {} is missing, or its value is none that it can have", self.tag)
    }
}

impl core::error::Error for Malformed {}

/// Units: whole, and not negative.
#[inline]
fn units(tag: u32, text: &[u8]) -> Result<u64, Malformed> {
    let whole = match text.iter().position(|&byte| byte == b'.') {
        Some(point) if text[point + 1..].iter().all(|&byte| byte == b'0') => &text[..point],
        Some(_) => return Err(Malformed { tag }),
        None => text,
    };
    value::int(whole).and_then(|number| u64::try_from(number).ok()).ok_or(Malformed { tag })
}

#[inline]
fn decimal(tag: u32, text: &[u8]) -> Result<i64, Malformed> {
    value::decimal(text).map_err(|_| Malformed { tag })
}

#[inline]
fn letter(tag: u32, text: &[u8]) -> Result<u8, Malformed> {
    if let [letter] = text { Ok(*letter) } else { Err(Malformed { tag }) }
}

fn small(tag: u32, text: &[u8]) -> Result<u16, Malformed> {
    value::int(text).and_then(|number| u16::try_from(number).ok()).ok_or(Malformed { tag })
}

impl<'m> ExecutionReport<'m> {
    /// Reads the fields behind the header. Those that are not looked at are passed over.
    ///
    /// # Errors
    /// When a field is no value of its kind, or ExecType, OrdStatus, OrderID or LeavesQty are missing.
    #[inline]
    pub fn read(body: &'m [u8]) -> Result<Self, Malformed> {
        let mut report = Self::default();
        let mut has_leaves = false;
        for field in Fields::new(body) {
            let (tag, text) = (field.tag, field.value);
            match tag {
                11 => report.id = text,
                14 => report.executed = units(tag, text)?,
                17 => report.exec_id = text,
                31 => report.last_price_e4 = Some(decimal(tag, text)?),
                32 => report.last_quantity = Some(units(tag, text)?),
                37 => report.order_id = text,
                38 => report.quantity = Some(units(tag, text)?),
                39 => report.status = letter(tag, text)?,
                41 => report.original = text,
                44 => report.price_e4 = Some(decimal(tag, text)?),
                54 => report.side = letter(tag, text)?,
                55 => report.symbol = text,
                58 => report.text = text,
                103 => report.reason = Some(small(tag, text)?),
                150 => report.exec_type = letter(tag, text)?,
                151 => {
                    report.leaves = units(tag, text)?;
                    has_leaves = true;
                }
                851 => report.liquidity = Some(letter(tag, text)?),
                // Identifiers are text; ours are numbers.
                527 | 880 | 1003 => {
                    report.trade = value::int(text).and_then(|number| u64::try_from(number).ok());
                }
                _ => {}
            }
        }
        let missing = [
            (150, report.exec_type == 0),
            (39, report.status == 0),
            (37, report.order_id.is_empty()),
            (151, !has_leaves),
        ];
        match missing.iter().find(|(_, is_missing)| *is_missing) {
            Some((tag, _)) => Err(Malformed { tag: *tag }),
            None => Ok(report),
        }
    }
}

impl<'m> CancelReject<'m> {
    /// Reads the fields behind the header. Those that are not looked at are passed over.
    ///
    /// # Errors
    /// When a field is no value of its kind, or ClOrdID, OrdStatus or CxlRejResponseTo are missing.
    pub fn read(body: &'m [u8]) -> Result<Self, Malformed> {
        let mut reject = Self::default();
        let mut response_to = 0;
        for field in Fields::new(body) {
            let (tag, text) = (field.tag, field.value);
            match tag {
                11 => reject.id = text,
                39 => reject.status = letter(tag, text)?,
                41 => reject.original = text,
                58 => reject.text = text,
                102 => reject.reason = Some(small(tag, text)?),
                434 => response_to = letter(tag, text)?,
                _ => {}
            }
        }
        reject.is_replacement = response_to == b'2';
        let missing = [
            (11, reject.id.is_empty()),
            (39, reject.status == 0),
            (434, !matches!(response_to, b'1' | b'2')),
        ];
        match missing.iter().find(|(_, is_missing)| *is_missing) {
            Some((tag, _)) => Err(Malformed { tag: *tag }),
            None => Ok(reject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Vec<u8> {
        text.replace('|', "\x01").into_bytes()
    }

    #[test]
    fn a_trade_is_read() {
        let body = raw(
            "37=77|17=E9|150=F|39=1|11=A1|55=AAPL|54=2|38=100|44=12.5|151=60.00|14=40|6=12.5|31=12.4999|32=40|851=2|\
             880=900|60=x|58=a text|",
        );
        let report = ExecutionReport::read(&body).unwrap();
        assert_eq!((report.exec_type, report.status, report.side), (b'F', b'1', b'2'));
        assert_eq!((report.id, report.order_id, report.exec_id), (&b"A1"[..], &b"77"[..], &b"E9"[..]));
        assert_eq!((report.quantity, report.leaves, report.executed), (Some(100), 60, 40));
        assert_eq!((report.last_quantity, report.last_price_e4), (Some(40), Some(124_999)));
        assert_eq!((report.liquidity, report.trade, report.text), (Some(b'2'), Some(900), &b"a text"[..]));
        let of_44 = raw("37=77|150=F|39=1|151=60|527=901|");
        assert_eq!(ExecutionReport::read(&of_44).unwrap().trade, Some(901));
        assert_eq!((report.price_e4, report.original, report.reason), (Some(125_000), &b""[..], None));
    }

    #[test]
    fn what_says_too_little_or_nonsense_is_named() {
        let whole = "37=1|150=0|39=0|151=1|";
        assert!(ExecutionReport::read(&raw(whole)).is_ok());
        for (text, tag) in [
            ("37=1|39=0|151=1|", 150),
            ("37=1|150=0|151=1|", 39),
            ("150=0|39=0|151=1|", 37),
            ("37=1|150=0|39=0|", 151),
            ("37=1|150=00|39=0|151=1|", 150),
            ("37=1|150=0|39=0|151=1.5|", 151),
            ("37=1|150=0|39=0|151=-1|", 151),
            ("37=1|150=0|39=0|151=1|31=x|", 31),
            ("37=1|150=0|39=0|151=1|103=70000|", 103),
        ] {
            assert_eq!(ExecutionReport::read(&raw(text)), Err(Malformed { tag }), "{text}");
        }
    }

    #[test]
    fn a_refused_cancel_is_read() {
        let body = raw("37=NONE|11=C1|41=A1|39=8|434=2|102=1|58=no such order|");
        let reject = CancelReject::read(&body).unwrap();
        assert_eq!((reject.id, reject.original, reject.status), (&b"C1"[..], &b"A1"[..], b'8'));
        assert_eq!((reject.is_replacement, reject.reason), (true, Some(1)));
        for (text, tag) in [("41=A|39=8|434=1|", 11), ("11=C|434=1|", 39), ("11=C|39=8|434=3|", 434)] {
            assert_eq!(CancelReject::read(&raw(text)), Err(Malformed { tag }), "{text}");
        }
    }
}
