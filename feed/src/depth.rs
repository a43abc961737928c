//! The best prices of one book, and how they change: what a subscriber to depth gets.

use domain::{InstrumentId, Nanos, Price, Quantity, Side, TradeId};

use crate::market::Level;

/// A trade that everyone may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicTrade {
    /// The book.
    pub instrument: InstrumentId,
    /// The time of the command that caused it.
    pub nanos: Nanos,
    /// Its id.
    pub trade: TradeId,
    /// Its price.
    pub price: Price,
    /// Lots.
    pub quantity: Quantity,
    /// The side of the order that came in.
    pub taker_side: Side,
}

/// The best prices of both sides, up to a depth, as they were looked at last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// By `Side as usize`, best first.
    sides: [Vec<Level>; 2],
    /// Counts the changes: the number of the last.
    sequence: u64,
}

/// What became of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelChange {
    /// It was not there.
    New(Level),
    /// It shows something else.
    Changed(Level),
    /// It is gone; of what it was the price is left, with 0 lots.
    Gone(Level),
}

impl LevelChange {
    /// The level as it is now; with 0 lots when it is gone.
    #[must_use]
    pub const fn level(&self) -> &Level {
        match self {
            Self::New(level) | Self::Changed(level) | Self::Gone(level) => level,
        }
    }
}

/// What differs between two looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthChange {
    /// The number of the change; one above the last one's.
    pub sequence: u64,
    /// By `Side as usize`, from the best price.
    pub sides: [Vec<LevelChange>; 2],
    /// Whether the best price of either side, or what is shown there, is another.
    pub top: bool,
}

impl Depth {
    /// The levels of a side, best first.
    #[must_use]
    pub fn side(&self, side: Side) -> &[Level] {
        &self.sides[side as usize]
    }

    /// The best level of a side.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.side(side).first().copied()
    }

    /// The number of the last change.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Looks at a book: `levels` gives the best levels of a side, as many as there are to be. Says what differs, if anything
    /// does.
    pub fn look<L: Iterator<Item = Level>>(&mut self, levels: impl Fn(Side) -> L) -> Option<DepthChange> {
        let mut top = false;
        let sides = [Side::Buy, Side::Sell].map(|side| {
            let now: Vec<Level> = levels(side).collect();
            let before = core::mem::replace(&mut self.sides[side as usize], now);
            let now = &self.sides[side as usize];
            top |= before.first() != now.first();
            difference(side, &before, now)
        });
        if sides.iter().all(Vec::is_empty) {
            return None;
        }
        self.sequence += 1;
        Some(DepthChange { sequence: self.sequence, sides, top })
    }
}

/// Levels of `now` that `before` does not have alike, and those of `before` whose price `now` does not have.
fn difference(side: Side, before: &[Level], now: &[Level]) -> Vec<LevelChange> {
    let is_better = |a: &Level, b: &Level| match side {
        Side::Buy => a.price > b.price,
        Side::Sell => a.price < b.price,
    };
    let (mut before, mut now) = (before.iter().peekable(), now.iter().peekable());
    let mut changed = Vec::new();
    loop {
        match (before.peek(), now.peek()) {
            (None, None) => return changed,
            (Some(old), None) => {
                changed.push(gone(old));
                before.next();
            }
            (None, Some(new)) => {
                changed.push(LevelChange::New(**new));
                now.next();
            }
            (Some(old), Some(new)) if is_better(old, new) => {
                changed.push(gone(old));
                before.next();
            }
            (Some(old), Some(new)) if is_better(new, old) => {
                changed.push(LevelChange::New(**new));
                now.next();
            }
            (Some(old), Some(new)) => {
                if old != new {
                    changed.push(LevelChange::Changed(**new));
                }
                before.next();
                now.next();
            }
        }
    }
}

const fn gone(level: &Level) -> LevelChange {
    LevelChange::Gone(Level { price: level.price, quantity: Quantity::ZERO, orders: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(list: &[(i64, u64)]) -> Vec<Level> {
        let level = |&(price, quantity)| Level {
            price: Price::new(price).unwrap(),
            quantity: Quantity(quantity),
            orders: 1,
        };
        list.iter().map(level).collect()
    }

    #[test]
    fn what_differs_is_said_and_nothing_else() {
        let (bids, asks) = ([(10, 5), (9, 5), (7, 1)], [(11, 5), (12, 5), (14, 1)]);
        for (side, before, now, changed) in [
            (Side::Buy, &bids[..], &bids[..], &[][..]),
            (Side::Buy, &[], &bids, &[('n', 10, 5), ('n', 9, 5), ('n', 7, 1)]),
            (Side::Buy, &bids, &[], &[('g', 10, 0), ('g', 9, 0), ('g', 7, 0)]),
            (
                Side::Buy,
                &bids,
                &[(11, 1), (9, 5), (8, 2)],
                &[('n', 11, 1), ('g', 10, 0), ('n', 8, 2), ('g', 7, 0)],
            ),
            (Side::Sell, &asks, &[(11, 4), (12, 5), (13, 3)], &[('c', 11, 4), ('n', 13, 3), ('g', 14, 0)]),
        ] {
            let said: Vec<_> = difference(side, &levels(before), &levels(now))
                .iter()
                .map(|change| {
                    let kind = match change {
                        LevelChange::New(_) => 'n',
                        LevelChange::Changed(_) => 'c',
                        LevelChange::Gone(_) => 'g',
                    };
                    (kind, change.level().price.ticks(), change.level().quantity.lots())
                })
                .collect();
            assert_eq!(said, changed, "{before:?} {now:?}");
        }
    }
}
