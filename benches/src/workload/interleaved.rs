//! The flow on which engines are compared: many books, and lifetimes that interleave.
//!
//! * **Books** by Zipf's law: the book of rank `k` gets a share of 1/k; which book has which rank is drawn.
//! * **Depth**: the book of rank `k` is filled to `10,000 / k` resting orders, at least 50, all books in one random
//!   order, and is held about there.
//! * **Mix**: 5% reductions, 5% immediate orders; of the rest about as many new orders as cancels, leaning towards the
//!   depth. One book's shares come out at 48% new, 42% canceled.
//! * **Who is canceled or reduced**: one of the 64 newest orders of the book, or any of its orders, as often the one as
//!   the other.
//! * **Prices**: half of the new orders within 4 ticks of a middle that moves a tick with every fiftieth command of its
//!   book, 30% within 16, 15% within 64, 5% within 512; none trades. Everything fits in 16 bits.
//! * **Sizes**: 1 to 100 lots; immediate orders 1 to 120, up to 4 ticks through the touch.

use domain::Side;

use super::{
    Workload,
    maker::{Dice, Pen, Weighted},
};

/// Resting orders of the hottest book, and of the coldest.
const DEPTH: u32 = 10_000;
const DEPTH_MIN: u32 = 50;
/// How far the middle may go.
const MIDDLE: core::ops::RangeInclusive<i32> = 28_000..=32_000;
/// The newest orders, of which every other cancel takes one.
const NEWEST: u32 = 64;

struct Desk {
    middle: i32,
    depth: u32,
}

/// Makes a flow.
///
/// # Panics
/// When there is no book.
#[must_use]
pub fn make(books: u32, commands: usize, seed: u64) -> Workload {
    let mut dice = Dice::new(seed);
    let mut by_rank: Vec<u32> = (0..books).collect();
    dice.shuffle(&mut by_rank);
    let ranks = Weighted::new((1..=u64::from(books)).map(|rank| (1 << 32) / rank));
    let mut desks: Vec<Desk> = (0..books).map(|_| Desk { middle: 30_000, depth: DEPTH_MIN }).collect();
    for (rank, book) in (1..).zip(&by_rank) {
        desks[*book as usize].depth = (DEPTH / rank).max(DEPTH_MIN);
    }

    let mut pen = Pen::new(books, commands);
    let mut to_fill: Vec<u32> =
        (0..books).flat_map(|book| vec![book; desks[book as usize].depth as usize]).collect();
    dice.shuffle(&mut to_fill);
    for book in to_fill {
        add(&mut pen, &mut dice, book, desks[book as usize].middle);
    }
    pen.filled();
    for _ in 0..commands {
        let book = by_rank[ranks.choose(&mut dice)];
        step(&mut pen, &mut dice, book, &mut desks[book as usize]);
    }
    pen.done(seed, books)
}

fn step(pen: &mut Pen, dice: &mut Dice, book: u32, desk: &mut Desk) {
    if dice.below(50) == 0 {
        let moved = desk.middle + if dice.side() == Side::Buy { 1 } else { -1 };
        desk.middle = moved.clamp(*MIDDLE.start(), *MIDDLE.end());
    }
    let living = pen.matcher.living(book).len() as u32;
    let kind = dice.below(100);
    let side = dice.side();
    match kind {
        0..5 if living >= 4 => {
            let order = pick(pen, dice, book);
            match pen.matcher.open(order) {
                1 => pen.cancel(book, order),
                open => {
                    let left = 1 + dice.below(open - 1);
                    pen.reduce(book, order, left);
                }
            }
        }
        5..10 if pen.matcher.best(book, side.opposite()).is_some() => {
            let (through, quantity) = (dice.below(5), 1 + dice.below(120));
            pen.immediate(book, side, through.cast_signed(), quantity);
        }
        _ => {
            // Percent of adds: 50 at the depth, a point more for each percent below it.
            let missing = (i64::from(desk.depth) - i64::from(living)) * 100 / i64::from(desk.depth);
            let adds = (50 + missing).clamp(30, 70);
            if living < 4 || i64::from(dice.below(100)) < adds {
                add(pen, dice, book, desk.middle);
            } else {
                let order = pick(pen, dice, book);
                pen.cancel(book, order);
            }
        }
    }
}

fn add(pen: &mut Pen, dice: &mut Dice, book: u32, middle: i32) {
    let side = dice.side();
    let away = match dice.below(100) {
        0..50 => dice.below(4),
        50..80 => dice.below(16),
        80..95 => dice.below(64),
        _ => dice.below(512),
    };
    let away = 1 + away.cast_signed();
    let price = if side == Side::Buy { middle - away } else { middle + away };
    let quantity = 1 + dice.below(100);
    pen.add(book, side, price, quantity);
}

fn pick(pen: &Pen, dice: &mut Dice, book: u32) -> u64 {
    let living = pen.matcher.living(book);
    let count = living.len() as u32;
    let newest = count > NEWEST && dice.below(2) == 0;
    let at = if newest { count - 1 - dice.below(NEWEST) } else { dice.below(count) };
    u64::from(living[at as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Op;

    #[test]
    fn a_seed_is_a_flow_and_the_mix_is_as_said() {
        let workload = make(20, 50_000, 42);
        assert_eq!(workload, make(20, 50_000, 42));
        assert_ne!(workload, make(20, 50_000, 43));
        let depth: u32 = (1..=20).map(|rank| (DEPTH / rank).max(DEPTH_MIN)).sum();
        assert_eq!(workload.fill.len(), depth as usize);
        let prices = workload.fill.iter().chain(&workload.commands).map(|record| record.price);
        assert!(prices.clone().min().unwrap() > 0 && prices.max().unwrap() < 1 << 16);
        let flow = workload.checked().unwrap();
        let share = |op: Op| flow.mix[op as usize] * 100 / 50_000;
        assert!(
            (44..=52).contains(&share(Op::Add)) && (38..=46).contains(&share(Op::Cancel)),
            "{:?}",
            flow.mix
        );
        assert!((4..=5).contains(&share(Op::Reduce)) && (4..=5).contains(&share(Op::Immediate)));
        assert!((u64::from(depth) * 9 / 10..u64::from(depth) * 11 / 10).contains(&flow.resting));
    }
}
