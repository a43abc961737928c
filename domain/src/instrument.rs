//! What can be traded, and in which steps.

use core::fmt;

use crate::{InstrumentId, OrderType, Price, Quantity, RejectReason};

/// An instrument's name: up to 8 bytes of printable ASCII without spaces, padded with spaces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Symbol([u8; 8]);

impl Symbol {
    /// From its text; `None` when it is empty, longer than 8 bytes, or holds anything but printable ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [b' '; 8];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Self::from_padded(bytes)
    }

    /// From its padded form on the wire, under the same rules.
    #[must_use]
    pub fn from_padded(bytes: [u8; 8]) -> Option<Self> {
        let text = bytes.trim_ascii_end();
        (!text.is_empty() && text.iter().all(u8::is_ascii_graphic)).then_some(Self(bytes))
    }

    /// The padded form on the wire.
    #[must_use]
    pub const fn padded(self) -> [u8; 8] {
        self.0
    }

    /// The text without its padding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.0.trim_ascii_end()).unwrap_or_default()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({self})")
    }
}

/// One instrument. A tick is `tick` ten-thousandths of the currency unit, a lot is `lot` units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Its index in the table.
    pub id: InstrumentId,
    /// Its name.
    pub symbol: Symbol,
    /// Ten-thousandths of the currency unit in a tick; above 0. A cent is 100.
    pub tick: u32,
    /// Units in a lot; above 0. A share is 1.
    pub lot: u32,
    /// The largest order, in lots; above 0.
    pub quantity_max: Quantity,
    /// The highest price an order may carry; the lowest is one tick.
    pub price_max: Price,
    /// How small an order may be, and how much it may be worth.
    pub bounds: OrderBounds,
}

/// Bounds of an order besides the largest quantity and the highest price. They hold for what is entered and for
/// what a replacement asks for as its whole size; a reduction, and what trading leaves, may fall below them.
///
/// Notional is price × quantity, in ticks × lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBounds {
    /// The smallest order, in lots; above 0, at most the largest.
    pub quantity_min: Quantity,
    /// The smallest notional; 0 bounds nothing.
    pub notional_min: u64,
    /// The largest notional; above 0, not below the smallest. `u64::MAX` bounds nothing.
    pub notional_max: u64,
}

impl OrderBounds {
    /// One lot, and any notional.
    pub const NONE: Self = Self { quantity_min: Quantity(1), notional_min: 0, notional_max: u64::MAX };
}

impl Default for OrderBounds {
    fn default() -> Self {
        Self::NONE
    }
}

/// Why an instrument's definition makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstrumentError {
    /// A tick of nothing.
    ZeroTick,
    /// A lot of nothing.
    ZeroLot,
    /// No order could be entered.
    ZeroQuantityMax,
    /// No price could be entered.
    PriceMaxNotPositive,
    /// `price_max` × `quantity_max` does not fit in an `i64`, so notionals could overflow.
    NotionalOverflow,
    /// The smallest quantity is 0, or above the largest.
    QuantityMin,
    /// The largest notional is 0, or below the smallest.
    NotionalMax,
    /// No order can be worth the smallest notional.
    NotionalMin,
}

impl fmt::Display for InstrumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroTick => "the tick must be above 0",
            Self::ZeroLot => "the lot must be above 0",
            Self::ZeroQuantityMax => "the largest quantity must be above 0",
            Self::PriceMaxNotPositive => "the highest price must be at least one tick",
            Self::NotionalOverflow => "the highest price times the largest quantity must fit in 63 bits",
            Self::QuantityMin => "the smallest quantity must be above 0 and at most the largest",
            Self::NotionalMax => "the largest notional must be above 0 and not below the smallest",
            Self::NotionalMin => {
                "the smallest notional must be at most the highest price times the largest quantity"
            }
        })
    }
}

impl core::error::Error for InstrumentError {}

impl Instrument {
    /// Checks the definition.
    ///
    /// # Errors
    /// Says which field makes no sense.
    pub fn validated(self) -> Result<Self, InstrumentError> {
        if self.tick == 0 {
            return Err(InstrumentError::ZeroTick);
        }
        if self.lot == 0 {
            return Err(InstrumentError::ZeroLot);
        }
        if self.quantity_max.is_zero() {
            return Err(InstrumentError::ZeroQuantityMax);
        }
        if self.price_max.ticks() < 1 {
            return Err(InstrumentError::PriceMaxNotPositive);
        }
        let largest = i64::try_from(self.quantity_max.lots())
            .ok()
            .and_then(|lots| lots.checked_mul(self.price_max.ticks()))
            .ok_or(InstrumentError::NotionalOverflow)?;
        let OrderBounds { quantity_min, notional_min, notional_max } = self.bounds;
        if quantity_min.is_zero() || quantity_min > self.quantity_max {
            return Err(InstrumentError::QuantityMin);
        }
        if notional_max == 0 || notional_max < notional_min {
            return Err(InstrumentError::NotionalMax);
        }
        if notional_min > largest.unsigned_abs() {
            return Err(InstrumentError::NotionalMin);
        }
        Ok(self)
    }

    /// Holds what an order asks for against the bounds. Only a `Limit` order has a notional: the price of any other
    /// is not known until it trades, so its quantity alone is checked. A stop-limit order has its limit's.
    ///
    /// # Errors
    /// `InvalidQuantity`, `NotionalTooSmall` or `NotionalTooLarge`, the first that holds.
    #[inline]
    pub fn check_bounds(
        &self,
        order_type: OrderType,
        price: Price,
        quantity: Quantity,
    ) -> Result<(), RejectReason> {
        let OrderBounds { quantity_min, notional_min, notional_max } = self.bounds;
        if quantity < quantity_min || quantity > self.quantity_max {
            return Err(RejectReason::InvalidQuantity);
        }
        if order_type == OrderType::Limit {
            // A price below 0 is worth as much to whom it is paid.
            match price.ticks().unsigned_abs().checked_mul(quantity.lots()) {
                Some(notional) if notional < notional_min => return Err(RejectReason::NotionalTooSmall),
                Some(notional) if notional <= notional_max => {}
                Some(_) | None => return Err(RejectReason::NotionalTooLarge),
            }
        }
        Ok(())
    }

    /// Ticks of a price in ten-thousandths; `None` when it is off the tick, not positive or above the highest.
    #[must_use]
    pub fn price_from_e4(&self, e4: u64) -> Option<Price> {
        let tick = u64::from(self.tick);
        if !e4.is_multiple_of(tick) {
            return None;
        }
        let price = Price::new(i64::try_from(e4 / tick).ok()?)?;
        (price.ticks() >= 1 && price <= self.price_max).then_some(price)
    }

    /// A price in ten-thousandths; `None` when it is negative or too large for a `u64`.
    #[must_use]
    pub fn price_to_e4(&self, price: Price) -> Option<u64> {
        u64::try_from(price.ticks()).ok()?.checked_mul(u64::from(self.tick))
    }

    /// Lots of a number of units; `None` when it is zero, not a multiple of the lot, or above the largest. (What an
    /// order may be at least is [`check_bounds`](Self::check_bounds)' to say: a reduction may go below.)
    #[must_use]
    pub fn quantity_from_units(&self, units: u64) -> Option<Quantity> {
        let lot = u64::from(self.lot);
        if !units.is_multiple_of(lot) {
            return None;
        }
        let quantity = Quantity(units / lot);
        (!quantity.is_zero() && quantity <= self.quantity_max).then_some(quantity)
    }

    /// Units of a number of lots; `None` when they overflow a `u64`.
    #[must_use]
    pub fn quantity_to_units(&self, quantity: Quantity) -> Option<u64> {
        quantity.lots().checked_mul(u64::from(self.lot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cent() -> Instrument {
        Instrument {
            id: InstrumentId(0),
            symbol: Symbol::new("AAPL").unwrap(),
            tick: 100,
            lot: 10,
            quantity_max: Quantity(1_000),
            price_max: Price::new(19_999_999).unwrap(),
            bounds: OrderBounds::NONE,
        }
    }

    #[test]
    fn prices_off_the_tick_or_out_of_range_are_refused() {
        let i = cent();
        assert_eq!(i.price_from_e4(5_853_300), Price::new(58_533));
        assert_eq!(i.price_from_e4(5_853_301), None);
        assert_eq!(i.price_from_e4(0), None);
        assert_eq!(i.price_from_e4(2_000_000_000), None);
        assert_eq!(i.price_to_e4(Price::new(58_533).unwrap()), Some(5_853_300));
        assert_eq!(i.price_to_e4(Price::new(-1).unwrap()), None);
    }

    #[test]
    fn quantities_off_the_lot_or_out_of_range_are_refused() {
        let i = cent();
        assert_eq!(i.quantity_from_units(10), Some(Quantity(1)));
        assert_eq!(i.quantity_from_units(15), None);
        assert_eq!(i.quantity_from_units(0), None);
        assert_eq!(i.quantity_from_units(10_010), None);
    }

    #[test]
    fn definitions_that_make_no_sense_are_named() {
        assert!(cent().validated().is_ok());
        assert_eq!(Instrument { tick: 0, ..cent() }.validated(), Err(InstrumentError::ZeroTick));
        assert_eq!(Instrument { lot: 0, ..cent() }.validated(), Err(InstrumentError::ZeroLot));
        assert_eq!(
            Instrument { quantity_max: Quantity(u64::MAX), ..cent() }.validated(),
            Err(InstrumentError::NotionalOverflow)
        );
    }

    #[test]
    fn bounds_that_make_no_sense_are_named() {
        let with = |quantity_min, notional_min, notional_max| {
            let bounds = OrderBounds { quantity_min: Quantity(quantity_min), notional_min, notional_max };
            Instrument { bounds, ..cent() }.validated().map(|_| ())
        };
        assert_eq!(with(1_000, 19_999_999_000, 19_999_999_000), Ok(()));
        assert_eq!(with(0, 0, u64::MAX), Err(InstrumentError::QuantityMin));
        assert_eq!(with(1_001, 0, u64::MAX), Err(InstrumentError::QuantityMin));
        assert_eq!(with(1, 0, 0), Err(InstrumentError::NotionalMax));
        assert_eq!(with(1, 6, 5), Err(InstrumentError::NotionalMax));
        assert_eq!(with(1, 19_999_999_001, u64::MAX), Err(InstrumentError::NotionalMin));
    }

    #[test]
    fn orders_out_of_bounds_are_refused() {
        let bounds = OrderBounds { quantity_min: Quantity(5), notional_min: 100, notional_max: 1_000 };
        let check = |order_type, ticks, lots| {
            Instrument { bounds, ..cent() }.check_bounds(
                order_type,
                Price::new(ticks).unwrap(),
                Quantity(lots),
            )
        };
        assert_eq!(check(OrderType::Limit, 20, 5), Ok(()));
        assert_eq!(check(OrderType::Limit, 200, 5), Ok(()));
        assert_eq!(check(OrderType::Limit, 20, 4), Err(RejectReason::InvalidQuantity));
        assert_eq!(check(OrderType::Limit, 1, 1_001), Err(RejectReason::InvalidQuantity));
        assert_eq!(check(OrderType::Limit, 19, 5), Err(RejectReason::NotionalTooSmall));
        assert_eq!(check(OrderType::Limit, 201, 5), Err(RejectReason::NotionalTooLarge));
        assert_eq!(check(OrderType::Limit, -200, 5), Ok(()));
        assert_eq!(check(OrderType::Limit, i64::MAX - 1, 1_000), Err(RejectReason::NotionalTooLarge));
        // Without a price there is no notional.
        for order_type in [OrderType::Market, OrderType::MarketToLimit] {
            assert_eq!(check(order_type, 0, 5), Ok(()));
            assert_eq!(check(order_type, 0, 4), Err(RejectReason::InvalidQuantity));
        }
        let unbounded = Instrument { bounds: OrderBounds::NONE, quantity_max: Quantity(u64::MAX), ..cent() };
        assert_eq!(
            unbounded.check_bounds(OrderType::Limit, Price::MAX, Quantity(u64::MAX)),
            Err(RejectReason::NotionalTooLarge)
        );
    }

    #[test]
    fn symbols_are_checked() {
        assert_eq!(Symbol::new("AAPL").map(|s| s.to_string()), Some("AAPL".into()));
        assert_eq!(Symbol::new(""), None);
        assert_eq!(Symbol::new("TOOLONGNAME"), None);
        assert_eq!(Symbol::new("A B"), None);
        assert_eq!(Symbol::new("Ä"), None);
    }
}
