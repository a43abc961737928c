//! Payloads: fixed little-endian layouts of commands and reports.
//!
//! Encoding writes straight into the tail; decoding checks every field that has a range.

pub(crate) mod command;
pub(crate) mod report;

use domain::{Echo, OrderType, Price, TimeInForce};

use crate::error::DecodeError;

/// Writes fields one after the other into a payload of fixed size.
struct Put<'a, const N: usize> {
    bytes: &'a mut [u8; N],
    at: usize,
}

impl<'a, const N: usize> Put<'a, N> {
    /// Takes a payload area, whose length the caller has from [`N`].
    #[inline(always)]
    fn new(payload: &'a mut [u8]) -> Self {
        Self { bytes: payload.try_into().expect("the caller gives this kind's length"), at: 0 }
    }

    #[inline(always)]
    fn bytes<const M: usize>(mut self, field: [u8; M]) -> Self {
        self.bytes[self.at..self.at + M].copy_from_slice(&field);
        self.at += M;
        self
    }

    #[inline(always)]
    fn u64(self, field: u64) -> Self {
        self.bytes(field.to_le_bytes())
    }

    #[inline(always)]
    fn u32(self, field: u32) -> Self {
        self.bytes(field.to_le_bytes())
    }

    /// Zeros what is left; less than 8 bytes.
    #[inline(always)]
    fn end(self) {
        debug_assert!(N - self.at < 8, "a payload is its fields and the padding to 8");
        self.bytes[self.at..].fill(0);
    }
}

/// Reads fields one after the other from a payload of fixed size.
struct Take<'a, const N: usize> {
    bytes: &'a [u8; N],
    at: usize,
}

impl<'a, const N: usize> Take<'a, N> {
    #[inline(always)]
    fn new(kind: u8, payload: &'a [u8]) -> Result<Self, DecodeError> {
        match payload.try_into() {
            Ok(bytes) => Ok(Self { bytes, at: 0 }),
            Err(_) => Err(DecodeError::Length { kind, found: payload.len(), expected: N }),
        }
    }

    #[inline(always)]
    fn bytes<const M: usize>(&mut self) -> [u8; M] {
        let field = self.bytes[self.at..self.at + M].try_into().expect("M bytes");
        self.at += M;
        field
    }

    #[inline(always)]
    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    #[inline(always)]
    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    #[inline(always)]
    fn u8(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    #[inline(always)]
    fn price(&mut self) -> Result<Price, DecodeError> {
        let ticks = i64::from_le_bytes(self.bytes());
        Price::new(ticks).ok_or(DecodeError::Value { field: "price", value: ticks as u64 })
    }

    #[inline(always)]
    fn order_type(&mut self) -> Result<OrderType, DecodeError> {
        let n = self.u8();
        OrderType::from_u8(n).ok_or(value("order type", n))
    }

    #[inline(always)]
    fn time_in_force(&mut self) -> Result<TimeInForce, DecodeError> {
        let n = self.u8();
        TimeInForce::from_u8(n).ok_or(value("time in force", n))
    }

    #[inline(always)]
    fn echo(&mut self) -> Echo {
        let [side, display, capacity, intermarket_sweep, cross] = self.bytes();
        Echo { side, display, capacity, intermarket_sweep, cross }
    }

    /// Checks that what is left is zero.
    #[inline(always)]
    fn end(self) -> Result<(), DecodeError> {
        match self.bytes[self.at..].iter().find(|b| **b != 0) {
            None => Ok(()),
            Some(byte) => Err(value("padding", *byte)),
        }
    }
}

fn value(field: &'static str, n: u8) -> DecodeError {
    DecodeError::Value { field, value: u64::from(n) }
}

/// The five codes of an echo, in the order of its fields.
fn echo(echo: &Echo) -> [u8; 5] {
    [echo.side, echo.display, echo.capacity, echo.intermarket_sweep, echo.cross]
}

/// Checks that the codes that a kind does not use are zero.
fn unused(detail: &[u8]) -> Result<(), DecodeError> {
    match detail.iter().find(|b| **b != 0) {
        None => Ok(()),
        Some(byte) => Err(value("unused detail", *byte)),
    }
}
