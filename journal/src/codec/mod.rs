//! Payloads: fixed little-endian layouts of commands and reports.
//!
//! Encoding writes straight into the tail; decoding checks every field that has a range.

pub(crate) mod command;
mod fix;
mod instructions;
pub(crate) mod report;
#[cfg(test)]
mod tests;

use domain::{Echo, OrderType, Price, TimeInForce};

use crate::error::DecodeError;

/// Writes fields one after the other into a payload of fixed size.
///
/// Fields are put together in a register and stored eight bytes at a time: the CRC reads the record back in words of eight
/// at once, and a processor cannot forward several narrow stores to one wide load; it waits until they have reached the
/// cache. Everything but the fields is known when this is compiled, so nothing of it is left but shifts and stores.
struct Put<'a, const N: usize> {
    bytes: &'a mut [u8; N],
    /// Bytes stored; a multiple of 8.
    at: usize,
    /// What is not stored yet, from the low end, and how many bits that is; below 64.
    word: u64,
    bits: u32,
}

impl<'a, const N: usize> Put<'a, N> {
    /// Takes a payload area, whose length the caller has from [`N`].
    #[inline(always)]
    fn new(payload: &'a mut [u8]) -> Self {
        let bytes = payload.try_into().expect("the caller gives this kind's length");
        Self { bytes, at: 0, word: 0, bits: 0 }
    }

    /// `field` has no bits above `bits`, which is at most 64.
    #[inline(always)]
    fn put(mut self, field: u64, bits: u32) -> Self {
        self.word |= field << self.bits;
        if self.bits + bits < 64 {
            self.bits += bits;
            return self;
        }
        self.bytes[self.at..self.at + 8].copy_from_slice(&self.word.to_le_bytes());
        self.at += 8;
        let stored = 64 - self.bits;
        self.word = if stored == 64 { 0 } else { field >> stored };
        self.bits = bits - stored;
        self
    }

    #[inline(always)]
    fn bytes<const M: usize>(mut self, field: [u8; M]) -> Self {
        let (words, rest) = field.as_chunks::<8>();
        for word in words {
            self = self.put(u64::from_le_bytes(*word), 64);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        if rest.is_empty() { self } else { self.put(u64::from_le_bytes(last), 8 * rest.len() as u32) }
    }

    #[inline(always)]
    fn u64(self, field: u64) -> Self {
        self.put(field, 64)
    }

    #[inline(always)]
    fn u32(self, field: u32) -> Self {
        self.put(u64::from(field), 32)
    }

    /// Zeros what is left; at most 8 bytes.
    #[inline(always)]
    fn end(self) {
        debug_assert!(N - self.at <= 8, "a payload is its fields and the padding to 8");
        if self.at < N {
            self.bytes[self.at..].copy_from_slice(&self.word.to_le_bytes());
        }
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

    /// Checks that the next bytes are zero.
    #[inline(always)]
    fn zeros<const M: usize>(&mut self) -> Result<(), DecodeError> {
        match self.bytes::<M>().into_iter().find(|b| *b != 0) {
            None => Ok(()),
            Some(byte) => Err(value("padding", byte)),
        }
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
