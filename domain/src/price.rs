//! Prices in ticks and quantities in lots. Both are integers; arithmetic that could overflow is checked.

use core::fmt;

/// A price in ticks of its instrument. Any `i64` but the two extremes, which books use as sentinels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Price(i64);

impl Price {
    /// The lowest price there is.
    pub const MIN: Self = Self(i64::MIN + 1);
    /// The highest price there is.
    pub const MAX: Self = Self(i64::MAX - 1);

    /// A price of `ticks`; `None` for the two sentinels.
    #[must_use]
    pub const fn new(ticks: i64) -> Option<Self> {
        if ticks == i64::MIN || ticks == i64::MAX { None } else { Some(Self(ticks)) }
    }

    /// The number of ticks.
    #[must_use]
    pub const fn ticks(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A number of lots. Zero means "none left"; what may be entered is bounded by the instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Quantity(pub u64);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The number of lots.
    #[must_use]
    pub const fn lots(self) -> u64 {
        self.0
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` on overflow.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` when `other` is larger.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentinels_are_not_prices() {
        assert_eq!(Price::new(i64::MIN), None);
        assert_eq!(Price::new(i64::MAX), None);
        assert_eq!(Price::new(i64::MIN + 1), Some(Price::MIN));
        assert_eq!(Price::new(i64::MAX - 1), Some(Price::MAX));
    }

    #[test]
    fn quantities_never_wrap() {
        assert_eq!(Quantity(u64::MAX).checked_add(Quantity(1)), None);
        assert_eq!(Quantity(1).checked_sub(Quantity(2)), None);
        assert_eq!(Quantity(3).checked_sub(Quantity(2)), Some(Quantity(1)));
    }
}
