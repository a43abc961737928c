//! Seeds, random commands, and what a book shows.

use domain::{Command, Events, InstrumentId, Sequenced, Side};
use engine::book::{Book, RestingOrder, Waiting};
use feed::{Shown, Shows, Standing, Waits};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator that every random test draws from.
pub(crate) fn generator() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seeded::seed())
}

/// Random commands of every kind for one book: orders of all types, mostly around a few prices, all above 0.
pub(crate) fn commands(rng: &mut impl Rng) -> (InstrumentId, Vec<Vec<Sequenced<Command>>>) {
    let mut bytes: Vec<u8> = (0..rng.random_range(200..3_000)).map(|_| rng.random()).collect();
    bytes[0] = 0;
    // At times crowds of stops with few triggers come first, on both sides, and a trade, so that books pause among them.
    if rng.random() {
        let mut crowds = Vec::new();
        for _ in 0..rng.random_range(3..10) {
            let (how, price, quantity) = (rng.random(), rng.random(), rng.random());
            let group = if rng.random() { 1 } else { 65 };
            crowds.extend([0xE3, how, price, quantity, 0, group, rng.random_range(2..7), rng.random()]);
            crowds.truncate(crowds.len() - usize::from(group == 1));
        }
        let price = rng.random_range(2..6);
        crowds.extend([0, 1, price, 31, 0, 0, 0, price, 31, 0]);
        bytes.splice(1..1, crowds);
    }
    let (instrument, stream) = engine::fuzz::command_stream(&bytes);
    (instrument, stream.collect())
}

/// What a book says to a command.
pub(crate) fn apply(book: &mut Book, command: &Sequenced<Command>) -> Vec<domain::Event> {
    let mut events = Events::new();
    book.apply(command, &mut events);
    events.as_slice().to_vec()
}

/// The orders that a book shows on a side, in priority.
pub(crate) fn shown(book: &Book, side: Side) -> Vec<Shown> {
    let mut all = Vec::new();
    book.visit(side, |order| {
        let quantity = order.special.map_or(order.leaves, |special| special.shown);
        if !quantity.is_zero() {
            all.push(Shown { order: order.order, price: order.price, quantity });
        }
    });
    all
}

/// Every order of a book, as a feed that begins now takes it.
pub(crate) fn standing(book: &Book) -> Vec<Standing> {
    let mut all = Vec::new();
    for side in [Side::Buy, Side::Sell] {
        book.visit(side, |order| all.push(stands(order)));
    }
    book.visit_stops(|order| all.push(stands(order)));
    all
}

fn stands(order: &RestingOrder) -> Standing {
    let special = order.special;
    Standing {
        order: order.order,
        side: order.side,
        price: order.price,
        leaves: order.leaves,
        shown: special.map_or(order.leaves, |special| special.shown),
        shows: special.map_or(Shows::All, |special| Shows::of(&special.instructions)),
        waits: match special.map_or(Waiting::No, |special| special.waiting) {
            Waiting::No => Waits::No,
            Waiting::ForTrigger(_) => Waits::Trigger,
            Waiting::ForTurn => Waits::Turn,
        },
        rests: special.is_none_or(|special| special.order_type == domain::OrderType::Limit),
    }
}
