//! A flow shaped on real American equities.
//!
//! The figures were measured on one hour of AAPL on NASDAQ (21 June 2012, 91,997 messages; the public sample of LOBSTER,
//! which NASDAQ's TotalView-ITCH is behind) and on the inside updates of 8,172 symbols over one full NASDAQ ITCH 5.0 day.
//! No record of either is here or is needed. What was measured, and what is done with it:
//!
//! * *Of 100 messages 48 are new orders, 45 deletions, 4 executions, half of one a partial cancel; 6 of 100 are replaces,
//!   mostly by one tick.* Rounds of a new order, a deletion or, with 13 of 100 deletions, the deletion of an order and a
//!   new one a tick beside it, as the format has no replace; 9 of 200 are immediate orders, 1 of 200 a reduction.
//! * *Half of the orders die within 9 new orders of their birth, 90% within 119.* A deletion takes, by age in new orders
//!   of its book, one of the newest 9 with a half, one of the next 110 with 40%, otherwise any.
//! * *The price of a tenth of the buys is more than $1.36 from the middle, that of a hundredth $109 and more.* Distances
//!   from the touch: half within 2 ticks, a quarter within 10, 15% within 136, 9% spread evenly over the powers of two up
//!   to $109 (10,900 ticks), 1% beyond it.
//! * *The first symbol has 1.3% of a day's updates, the first 10 7.8%, 100 26%, 500 56%, 1,000 73%; but the hottest
//!   second and millisecond (300 updates) belong to cold names.* Symbols are drawn by that share and then keep the word
//!   for a burst: 1 to 8 commands, and one burst in 500 300, whichever the symbol.

use domain::Side;

use super::{
    Workload,
    maker::{Dice, Pen, Weighted},
};

/// Symbols of a rank's class, and the class's share of the updates in thousandths.
const CLASSES: [(u64, u64); 6] = [(1, 13), (9, 65), (90, 182), (400, 300), (500, 170), (7_172, 270)];
/// Where every middle begins, in ticks of a cent.
const MIDDLE: i32 = 58_500;
/// How far it may go either way.
const ROAM: i32 = 2_000;
/// $109.
const FAR: u32 = 10_900;
/// Resting orders of a book, about.
const DEPTH: u32 = 600;

struct Desk {
    middle: i32,
    /// Every order that was added, oldest first.
    added: Vec<u64>,
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
    let weights = CLASSES.iter().flat_map(|(symbols, share)| {
        std::iter::repeat_n(share * 1_000_000 / symbols, usize::try_from(*symbols).expect("a few thousand"))
    });
    let coldest = CLASSES.last().map_or(1, |(symbols, share)| share * 1_000_000 / symbols);
    let ranks = Weighted::new(weights.chain(std::iter::repeat(coldest)).take(books as usize));
    let mut desks: Vec<Desk> = (0..books).map(|_| Desk { middle: MIDDLE, added: Vec::new() }).collect();

    let mut pen = Pen::new(books, commands);
    let mut to_fill: Vec<u32> = (0..books).flat_map(|book| vec![book; DEPTH as usize]).collect();
    dice.shuffle(&mut to_fill);
    for book in to_fill {
        add(&mut pen, &mut dice, book, &mut desks[book as usize]);
    }
    pen.filled();
    let (mut book, mut burst, mut left) = (0, 0, commands);
    while left > 0 {
        if burst == 0 {
            book = by_rank[ranks.choose(&mut dice)];
            burst = if dice.below(500) == 0 { 300 } else { 1 + dice.below(8) };
        }
        burst -= 1;
        left -= step(&mut pen, &mut dice, book, &mut desks[book as usize], left);
    }
    pen.done(seed, books)
}

/// Writes one or two records, and says how many; never more than `left`.
fn step(pen: &mut Pen, dice: &mut Dice, book: u32, desk: &mut Desk, left: usize) -> usize {
    if dice.below(8) == 0 {
        let moved = desk.middle + if dice.side() == Side::Buy { 1 } else { -1 };
        desk.middle = moved.clamp(MIDDLE - ROAM, MIDDLE + ROAM);
    }
    let living = pen.matcher.living(book).len() as u32;
    let side = dice.side();
    match dice.below(200) {
        0..9 if pen.matcher.best(book, side.opposite()).is_some() => {
            let (through, quantity) = (dice.below(3), 1 + dice.below(120));
            pen.immediate(book, side, through.cast_signed(), quantity);
            1
        }
        9 if living > 0 => {
            let order = any(pen, dice, book);
            match pen.matcher.open(order) {
                1 => pen.cancel(book, order),
                open => {
                    let rest = 1 + dice.below(open - 1);
                    pen.reduce(book, order, rest);
                }
            }
            1
        }
        // As many deletions as new orders, but for what trades, and leaning towards the depth.
        kind if living > 2 && kind % 100 < if living > DEPTH { 55 } else { 46 } => {
            let order = victim(pen, dice, book, desk);
            let (side, price) = pen.matcher.at(order);
            pen.cancel(book, order);
            if left < 2 || dice.below(100) >= 13 {
                return 1;
            }
            let beside = if dice.side() == Side::Buy { price - 1 } else { price + 1 };
            let quantity = 1 + dice.below(100);
            desk.added.push(pen.add(book, side, beside, quantity));
            2
        }
        _ => {
            add(pen, dice, book, desk);
            1
        }
    }
}

fn add(pen: &mut Pen, dice: &mut Dice, book: u32, desk: &mut Desk) {
    let side = dice.side();
    let away = match dice.below(100) {
        0..50 => dice.below(3),
        50..75 => 3 + dice.below(8),
        75..90 => 11 + dice.below(126),
        90..99 => {
            let power = 128 << dice.below(7);
            (power + dice.below(power)).min(FAR)
        }
        _ => FAR + dice.below(2_000),
    };
    let away = 1 + away.cast_signed();
    // From the touch of its own side, while that is not far from the middle.
    let touch = pen.matcher.best(book, side).unwrap_or(desk.middle).clamp(desk.middle - 20, desk.middle + 20);
    let price = if side == Side::Buy { touch + 2 - away } else { touch - 2 + away };
    let quantity = 1 + dice.below(100);
    desk.added.push(pen.add(book, side, price, quantity));
}

/// An order to be deleted: mostly a young one.
fn victim(pen: &Pen, dice: &mut Dice, book: u32, desk: &Desk) -> u64 {
    let (from, to) = match dice.below(10) {
        0..5 => (0, 9),
        5..9 => (9, 119),
        _ => return any(pen, dice, book),
    };
    // The one drawn may be gone; some more draws, then any.
    for _ in 0..8 {
        let age = (from + dice.below(to - from)) as usize;
        let young = desk.added.len().checked_sub(1 + age).map(|at| desk.added[at]);
        if let Some(order) = young
            && pen.matcher.open(order) > 0
        {
            return order;
        }
    }
    any(pen, dice, book)
}

fn any(pen: &Pen, dice: &mut Dice, book: u32) -> u64 {
    let living = pen.matcher.living(book);
    u64::from(living[dice.below(living.len() as u32) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Op;

    #[test]
    fn the_shares_add_up() {
        assert_eq!(CLASSES.iter().map(|(_, share)| share).sum::<u64>(), 1_000);
        assert_eq!(CLASSES.iter().map(|(symbols, _)| symbols).sum::<u64>(), 8_172);
    }

    #[test]
    fn the_flow_has_the_measured_shape() {
        let workload = make(5, 100_000, 42);
        assert_eq!(workload, make(5, 100_000, 42));
        let records = [workload.fill.clone(), workload.commands.clone()].concat();
        assert_eq!(workload.commands.len(), 100_000);

        // Distances of the buys from the middle, which stays near where it began.
        let mut away: Vec<i32> = records
            .iter()
            .filter(|record| record.op == Op::Add && record.side == Side::Buy)
            .map(|record| MIDDLE - record.price)
            .collect();
        away.sort_unstable();
        let part = |percent: usize| away[away.len() * percent / 100];
        assert!((90..400).contains(&part(90)), "the 90th percentile lies at {} ticks", part(90));
        assert!((9_000..13_500).contains(&part(99)), "the 99th percentile lies at {} ticks", part(99));

        // Ages of the canceled, in new orders of their book.
        let mut added = [0_u32; 5];
        let mut born = vec![0; records.len() + 1];
        let mut ages = Vec::new();
        for record in &records {
            match record.op {
                Op::Add => {
                    added[record.symbol as usize] += 1;
                    born[record.order as usize] = added[record.symbol as usize];
                }
                Op::Cancel => ages.push(added[record.symbol as usize] - born[record.order as usize]),
                _ => {}
            }
        }
        ages.sort_unstable();
        let (half, most) = (ages[ages.len() / 2], ages[ages.len() * 9 / 10]);
        assert!((4..=20).contains(&half), "half die within {half} new orders");
        assert!((60..=800).contains(&most), "90% die within {most} new orders");

        let flow = workload.checked().unwrap();
        let thousandths = |op: Op| flow.mix[op as usize] * 1_000 / 100_000;
        assert!((440..=540).contains(&thousandths(Op::Add)), "{:?}", flow.mix);
        assert!((400..=500).contains(&thousandths(Op::Cancel)), "{:?}", flow.mix);
        assert!((30..=55).contains(&thousandths(Op::Immediate)), "{:?}", flow.mix);
    }
}
