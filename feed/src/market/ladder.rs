//! The levels of one book without its orders: what somebody keeps who is told of levels.

use std::collections::BTreeMap;

use domain::{Price, Side};

use super::queue::{Level, key_of};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    /// By `Side as usize`.
    sides: [BTreeMap<i64, Level>; 2],
}

impl Ladder {
    /// What is shown at a price now; `None` for nothing.
    pub fn set(&mut self, side: Side, price: Price, level: Option<Level>) {
        let (levels, key) = (&mut self.sides[side as usize], key_of(side, price));
        match level {
            Some(level) => levels.insert(key, level),
            None => levels.remove(&key),
        };
    }

    /// The levels of a side, best price first.
    pub fn side(&self, side: Side) -> impl Iterator<Item = Level> {
        self.sides[side as usize].values().copied()
    }
}

#[cfg(test)]
mod tests {
    use domain::Quantity;

    use super::*;

    #[test]
    fn the_best_price_is_first_and_what_is_gone_is_gone() {
        let mut ladder = Ladder::default();
        let price = |ticks| Price::new(ticks).unwrap();
        for (side, ticks, lots) in [
            (Side::Buy, 9, 1),
            (Side::Buy, 10, 2),
            (Side::Sell, 12, 3),
            (Side::Sell, 11, 4),
            (Side::Buy, 9, 5),
        ] {
            let level = Level { price: price(ticks), quantity: Quantity(lots), orders: 1 };
            ladder.set(side, level.price, Some(level));
        }
        let said = |ladder: &Ladder, side| -> Vec<_> {
            ladder.side(side).map(|level| (level.price.ticks(), level.quantity.lots())).collect()
        };
        assert_eq!(said(&ladder, Side::Buy), [(10, 2), (9, 5)]);
        assert_eq!(said(&ladder, Side::Sell), [(11, 4), (12, 3)]);
        ladder.set(Side::Buy, price(10), None);
        ladder.set(Side::Buy, price(8), None);
        assert_eq!(said(&ladder, Side::Buy), [(9, 5)]);
    }
}
