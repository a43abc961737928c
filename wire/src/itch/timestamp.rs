//! Time as ITCH writes it.

use crate::field::Field;

/// Nanoseconds since midnight, in 48 bits: a day has 47.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp([u8; 6]);

impl Timestamp {
    /// The low 48 bits of a number of nanoseconds since midnight.
    #[must_use]
    pub const fn new(nanos: u64) -> Self {
        let [_, _, a, b, c, d, e, f] = nanos.to_be_bytes();
        Self([a, b, c, d, e, f])
    }

    /// Nanoseconds since midnight.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

impl Field for Timestamp {
    #[inline(always)]
    fn read(bytes: &[u8]) -> Self {
        Self(Field::read(bytes))
    }

    #[inline(always)]
    fn write(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn is_valid(_: &[u8]) -> bool {
        true
    }

    #[inline(always)]
    fn may_be_written(self) -> bool {
        true
    }
}
