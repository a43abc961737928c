//! A market made of a book's events shows what the book shows.

use domain::Side;
use engine::book::Book;
use feed::{Market, Terms, may_be_silent};
use rand::RngExt;

use crate::support::{apply, commands, generator, shown, standing};

/// Holds a market against the book.
fn compare(market: &Market, book: &Book, context: &dyn std::fmt::Debug) {
    let instrument = book.instrument();
    for side in [Side::Buy, Side::Sell] {
        let is: Vec<_> = market.orders(instrument, side).collect();
        assert_eq!(is, shown(book, side), "{side:?} after {context:?}");
        let levels: Vec<_> = market
            .levels(instrument, side)
            .map(|level| (level.price, level.quantity, level.orders))
            .collect();
        let should_be: Vec<_> =
            book.levels(side).map(|level| (level.price, level.quantity, level.orders)).collect();
        assert_eq!(levels, should_be, "{side:?} after {context:?}");
    }
    let lives = book.resting(Side::Buy) + book.resting(Side::Sell);
    assert_eq!(market.known(), lives as usize, "after {context:?}");
    assert_eq!(market.pending(), 0, "after {context:?}");
}

/// A market that begins with what stands in a book.
fn market_of(book: &Book) -> Market {
    let mut market = Market::new(book.instrument().0 as usize + 1);
    standing(book).iter().for_each(|order| market.stand(order));
    market
}

/// Runs random commands. `cut`: the front's turns end anywhere, as when rings are full.
fn run(cut: bool) {
    let mut rng = generator();
    let (mut stops, mut all) = (0, 0);
    for _ in 0..seeded::iterations(300) {
        let (instrument, groups) = commands(&mut rng);
        let mut book = Book::new(instrument);
        let mut market = market_of(&book);
        for group in &groups {
            for command in group {
                if let Some(terms) = Terms::of(&command.command) {
                    market.on_terms(&terms);
                }
                if may_be_silent(&command.command) {
                    market.on_silent(command.command.instrument(), command.sequence);
                }
            }
            for command in group {
                for event in apply(&mut book, command) {
                    market.on_event(&event, |_| all += 1);
                    stops += u32::from(matches!(event.kind, domain::EventKind::Paused { .. }));
                    if cut && rng.random_range(0..3) == 0 {
                        market.turn(rng.random(), false, |_| ());
                    }
                }
                if rng.random() {
                    market.turn(rng.random(), false, |_| ());
                }
            }
            market.turn(true, true, |_| all += 1);
            compare(&market, &book, group);
            if rng.random_range(0..50) == 0 {
                market = market_of(&book);
                compare(&market, &book, &"a new beginning");
            }
        }
    }
    assert!(stops > 10 && all > 10_000, "{stops} pauses and {all} changes prove little");
}

#[test]
fn a_market_shows_what_the_book_shows() {
    run(false);
}

#[test]
fn a_market_shows_what_the_book_shows_though_turns_cut_commands_in_two() {
    run(true);
}
