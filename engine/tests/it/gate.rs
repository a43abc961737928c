//! The shapes that a public conformance gate for matching engines asks about (flash1-dev/matching-engine-benchmark,
//! 34 cases that random flow hardly ever makes), written anew in our own words and numbers. Each is a table in the form
//! of `script`: a command, all that the book says to it, and behind `~` what is shown then, best price first. Both
//! books go through all of them.

use domain::{Events, Nanos, Price, Quantity, Sequence, Sequenced, Side};
use engine::book::{Book, PriceLevel};
use engine::reference::ReferenceBook;

use crate::script::{hold, parse, told};
use crate::support::{INSTRUMENT, Subject, levels};

/// The shapes but one: a sweep of thousands is below.
const SHAPES: [(&str, &str); 33] = [
    (
        "a cancel from the middle of a queue loses nobody behind it",
        "s1 buy 7 @ 50
         > accepted #1
         ~ 7x1@50 |
         s2 buy 7 @ 50
         > accepted #2
         ~ 14x2@50 |
         s3 buy 7 @ 50
         > accepted #3
         ~ 21x3@50 |
         s2 cancel #2
         > canceled #2: 7, Requested
         ~ 14x2@50 |
         s4 sell 14 @ 50 ioc
         > accepted #4
         > trade 1: 7 @ 50, #1 leaves 0, #4 leaves 7
         > trade 2: 7 @ 50, #3 leaves 0, #4 leaves 0
         ~ |",
    ),
    (
        "a cancel of the first in a queue loses nobody behind it",
        "s1 buy 7 @ 50
         > accepted #1
         ~ 7x1@50 |
         s2 buy 7 @ 50
         > accepted #2
         ~ 14x2@50 |
         s3 buy 7 @ 50
         > accepted #3
         ~ 21x3@50 |
         s1 cancel #1
         > canceled #1: 7, Requested
         ~ 14x2@50 |
         s4 sell 14 @ 50 ioc
         > accepted #4
         > trade 1: 7 @ 50, #2 leaves 0, #4 leaves 7
         > trade 2: 7 @ 50, #3 leaves 0, #4 leaves 0
         ~ |",
    ),
    (
        "a sweep takes three prices, the best first",
        "s1 sell 4 @ 63
         > accepted #1
         ~ | 4x1@63
         s1 sell 5 @ 62
         > accepted #2
         ~ | 5x1@62 4x1@63
         s1 sell 6 @ 61
         > accepted #3
         ~ | 6x1@61 5x1@62 4x1@63
         s2 buy 15 @ 63 ioc
         > accepted #4
         > trade 1: 6 @ 61, #3 leaves 0, #4 leaves 9
         > trade 2: 5 @ 62, #2 leaves 0, #4 leaves 4
         > trade 3: 4 @ 63, #1 leaves 0, #4 leaves 0
         ~ |",
    ),
    (
        "a replacement that reaches the other side trades",
        "s1 sell 8 @ 71
         > accepted #1
         ~ | 8x1@71
         s2 buy 8 @ 70
         > accepted #2
         ~ 8x1@70 | 8x1@71
         s2 replace #2 by 8 @ 71
         > replaced #2 by #3: 8 @ 71
         > trade 1: 8 @ 71, #1 leaves 0, #3 leaves 0
         ~ |",
    ),
    (
        "what is left of an order filled in part can be canceled",
        "s1 sell 9 @ 80
         > accepted #1
         ~ | 9x1@80
         s2 buy 5 @ 80
         > accepted #2
         > trade 1: 5 @ 80, #1 leaves 4, #2 leaves 0
         ~ | 4x1@80
         s1 cancel #1
         > canceled #1: 4, Requested
         ~ |",
    ),
    (
        "an order filled whole can no longer be canceled",
        "s1 sell 9 @ 80
         > accepted #1
         ~ | 9x1@80
         s2 buy 9 @ 80
         > accepted #2
         > trade 1: 9 @ 80, #1 leaves 0, #2 leaves 0
         ~ |
         s1 cancel #1
         > cancel rejected #1: unknown order
         ~ |",
    ),
    (
        "of two at one price the first is taken",
        "s1 buy 6 @ 33
         > accepted #1
         ~ 6x1@33 |
         s2 buy 6 @ 33
         > accepted #2
         ~ 12x2@33 |
         s3 sell 6 @ 33
         > accepted #3
         > trade 1: 6 @ 33, #1 leaves 0, #3 leaves 0
         ~ 6x1@33 |",
    ),
    (
        "a long queue keeps its order when gaps are cut into it",
        "s1 buy 3 @ 20
         > accepted #1
         ~ 3x1@20 |
         s2 buy 3 @ 20
         > accepted #2
         ~ 6x2@20 |
         s3 buy 3 @ 20
         > accepted #3
         ~ 9x3@20 |
         s4 buy 3 @ 20
         > accepted #4
         ~ 12x4@20 |
         s5 buy 3 @ 20
         > accepted #5
         ~ 15x5@20 |
         s6 buy 3 @ 20
         > accepted #6
         ~ 18x6@20 |
         s7 buy 3 @ 20
         > accepted #7
         ~ 21x7@20 |
         s8 buy 3 @ 20
         > accepted #8
         ~ 24x8@20 |
         s3 cancel #3
         > canceled #3: 3, Requested
         ~ 21x7@20 |
         s5 cancel #5
         > canceled #5: 3, Requested
         ~ 18x6@20 |
         s6 cancel #6
         > canceled #6: 3, Requested
         ~ 15x5@20 |
         s9 sell 15 @ 20 ioc
         > accepted #9
         > trade 1: 3 @ 20, #1 leaves 0, #9 leaves 12
         > trade 2: 3 @ 20, #2 leaves 0, #9 leaves 9
         > trade 3: 3 @ 20, #4 leaves 0, #9 leaves 6
         > trade 4: 3 @ 20, #7 leaves 0, #9 leaves 3
         > trade 5: 3 @ 20, #8 leaves 0, #9 leaves 0
         ~ |",
    ),
    (
        "what is left of a sweep is the new best price, and can be taken",
        "s1 sell 4 @ 10
         > accepted #1
         ~ | 4x1@10
         s1 sell 4 @ 11
         > accepted #2
         ~ | 4x1@10 4x1@11
         s1 sell 4 @ 12
         > accepted #3
         ~ | 4x1@10 4x1@11 4x1@12
         s2 buy 15 @ 12
         > accepted #4
         > trade 1: 4 @ 10, #1 leaves 0, #4 leaves 11
         > trade 2: 4 @ 11, #2 leaves 0, #4 leaves 7
         > trade 3: 4 @ 12, #3 leaves 0, #4 leaves 3
         ~ 3x1@12 |
         s3 sell 2 @ 12 ioc
         > accepted #5
         > trade 4: 2 @ 12, #4 leaves 1, #5 leaves 0
         ~ 1x1@12 |",
    ),
    (
        "what is left of an order filled in part can be replaced, and taken at its new price",
        "s1 sell 10 @ 40
         > accepted #1
         ~ | 10x1@40
         s2 buy 3 @ 40
         > accepted #2
         > trade 1: 3 @ 40, #1 leaves 7, #2 leaves 0
         ~ | 7x1@40
         s1 replace #1 by 10 @ 42
         > replaced #1 by #3: 7 @ 42
         ~ | 7x1@42
         s2 buy 7 @ 42 ioc
         > accepted #4
         > trade 2: 7 @ 42, #3 leaves 0, #4 leaves 0
         ~ |",
    ),
    (
        "an order filled whole can no longer be replaced",
        "s1 sell 9 @ 40
         > accepted #1
         ~ | 9x1@40
         s2 buy 9 @ 40
         > accepted #2
         > trade 1: 9 @ 40, #1 leaves 0, #2 leaves 0
         ~ |
         s1 replace #1 by 4 @ 41
         > replace rejected #1 by #3: unknown order
         ~ |",
    ),
    (
        "a client's number that a cancel set free finds the new order",
        "s1 buy 6 @ 15 as 77
         > accepted #1
         ~ 6x1@15 |
         s1 cancel #1 as 77
         > canceled #1: 6, Requested
         ~ |
         s1 sell 6 @ 30 as 77
         > accepted #2
         ~ | 6x1@30
         s2 buy 6 @ 30 ioc
         > accepted #3
         > trade 1: 6 @ 30, #2 leaves 0, #3 leaves 0
         ~ |
         s1 cancel #2 as 77
         > cancel rejected #2: unknown order
         ~ |",
    ),
    (
        "a seller takes the highest bid first, and at each price who is left",
        "s1 buy 5 @ 90
         > accepted #1
         ~ 5x1@90 |
         s2 buy 5 @ 90
         > accepted #2
         ~ 10x2@90 |
         s3 buy 5 @ 91
         > accepted #3
         ~ 5x1@91 10x2@90 |
         s4 buy 5 @ 91
         > accepted #4
         ~ 10x2@91 10x2@90 |
         s1 cancel #1
         > canceled #1: 5, Requested
         ~ 10x2@91 5x1@90 |
         s4 cancel #4
         > canceled #4: 5, Requested
         ~ 5x1@91 5x1@90 |
         s5 sell 10 @ 90 ioc
         > accepted #5
         > trade 1: 5 @ 91, #3 leaves 0, #5 leaves 5
         > trade 2: 5 @ 90, #2 leaves 0, #5 leaves 0
         ~ |",
    ),
    (
        "a sweep for exactly what three prices have leaves nothing on either side",
        "s1 sell 2 @ 55
         > accepted #1
         ~ | 2x1@55
         s1 sell 4 @ 56
         > accepted #2
         ~ | 2x1@55 4x1@56
         s1 sell 8 @ 57
         > accepted #3
         ~ | 2x1@55 4x1@56 8x1@57
         s2 buy 14 @ 57 ioc
         > accepted #4
         > trade 1: 2 @ 55, #1 leaves 0, #4 leaves 12
         > trade 2: 4 @ 56, #2 leaves 0, #4 leaves 8
         > trade 3: 8 @ 57, #3 leaves 0, #4 leaves 0
         ~ |",
    ),
    (
        "trades are at the resting price, whoever comes in",
        "s1 sell 5 @ 60
         > accepted #1
         ~ | 5x1@60
         s2 buy 5 @ 66 ioc
         > accepted #2
         > trade 1: 5 @ 60, #1 leaves 0, #2 leaves 0
         ~ |
         s1 buy 5 @ 160
         > accepted #3
         ~ 5x1@160 |
         s2 sell 5 @ 151 ioc
         > accepted #4
         > trade 2: 5 @ 160, #3 leaves 0, #4 leaves 0
         ~ |",
    ),
    (
        "one order takes two at one price in two trades, and what is left of it is there",
        "s1 sell 20 @ 8
         > accepted #1
         ~ | 20x1@8
         s2 sell 25 @ 8
         > accepted #2
         ~ | 45x2@8
         s3 buy 60 @ 8
         > accepted #3
         > trade 1: 20 @ 8, #1 leaves 0, #3 leaves 40
         > trade 2: 25 @ 8, #2 leaves 0, #3 leaves 15
         ~ 15x1@8 |
         s4 sell 15 @ 8 ioc
         > accepted #4
         > trade 3: 15 @ 8, #3 leaves 0, #4 leaves 0
         ~ |",
    ),
    (
        "a price that a sweep emptied can be used again",
        "s1 sell 3 @ 24
         > accepted #1
         ~ | 3x1@24
         s1 sell 3 @ 25
         > accepted #2
         ~ | 3x1@24 3x1@25
         s1 sell 3 @ 26
         > accepted #3
         ~ | 3x1@24 3x1@25 3x1@26
         s2 buy 9 @ 26 ioc
         > accepted #4
         > trade 1: 3 @ 24, #1 leaves 0, #4 leaves 6
         > trade 2: 3 @ 25, #2 leaves 0, #4 leaves 3
         > trade 3: 3 @ 26, #3 leaves 0, #4 leaves 0
         ~ |
         s1 sell 2 @ 25
         > accepted #5
         ~ | 2x1@25
         s2 buy 2 @ 25 ioc
         > accepted #6
         > trade 4: 2 @ 25, #5 leaves 0, #6 leaves 0
         ~ |
         s1 sell 2 @ 27
         > accepted #7
         ~ | 2x1@27
         s2 buy 2 @ 27 ioc
         > accepted #8
         > trade 5: 2 @ 27, #7 leaves 0, #8 leaves 0
         ~ |",
    ),
    (
        "the better price goes first, not the earlier order",
        "s1 sell 4 @ 48
         > accepted #1
         ~ | 4x1@48
         s2 sell 4 @ 44
         > accepted #2
         ~ | 4x1@44 4x1@48
         s3 buy 4 @ 48 ioc
         > accepted #3
         > trade 1: 4 @ 44, #2 leaves 0, #3 leaves 0
         ~ | 4x1@48
         s1 buy 6 @ 30
         > accepted #4
         ~ 6x1@30 | 4x1@48
         s2 buy 6 @ 36
         > accepted #5
         ~ 6x1@36 6x1@30 | 4x1@48
         s3 buy 6 @ 33
         > accepted #6
         ~ 6x1@36 6x1@33 6x1@30 | 4x1@48
         s4 sell 18 @ 30 ioc
         > accepted #7
         > trade 2: 6 @ 36, #5 leaves 0, #7 leaves 12
         > trade 3: 6 @ 33, #6 leaves 0, #7 leaves 6
         > trade 4: 6 @ 30, #4 leaves 0, #7 leaves 0
         ~ | 4x1@48",
    ),
    (
        "a canceled best bid is gone, for who comes next too",
        "s1 buy 9 @ 52
         > accepted #1
         ~ 9x1@52 |
         s2 buy 4 @ 51
         > accepted #2
         ~ 9x1@52 4x1@51 |
         s1 cancel #1
         > canceled #1: 9, Requested
         ~ 4x1@51 |
         s3 sell 4 @ 51 ioc
         > accepted #3
         > trade 1: 4 @ 51, #2 leaves 0, #3 leaves 0
         ~ |",
    ),
    (
        "what immediate-or-cancel could not fill does not rest",
        "s1 sell 6 @ 70
         > accepted #1
         ~ | 6x1@70
         s2 buy 10 @ 70 ioc
         > accepted #2
         > trade 1: 6 @ 70, #1 leaves 0, #2 leaves 4
         > canceled #2: 4, ImmediateOrCancel
         ~ |
         s3 sell 3 @ 70 ioc
         > accepted #3
         > canceled #3: 3, ImmediateOrCancel
         ~ |",
    ),
    (
        "an order stops at its own limit and rests there",
        "s1 sell 3 @ 31
         > accepted #1
         ~ | 3x1@31
         s1 sell 9 @ 36
         > accepted #2
         ~ | 3x1@31 9x1@36
         s2 buy 7 @ 33
         > accepted #3
         > trade 1: 3 @ 31, #1 leaves 0, #3 leaves 4
         ~ 4x1@33 | 9x1@36
         s3 sell 4 @ 33 ioc
         > accepted #4
         > trade 2: 4 @ 33, #3 leaves 0, #4 leaves 0
         ~ | 9x1@36",
    ),
    (
        "what is left is counted down to nothing, exactly",
        "s1 sell 11 @ 19
         > accepted #1
         ~ | 11x1@19
         s2 buy 4 @ 19 ioc
         > accepted #2
         > trade 1: 4 @ 19, #1 leaves 7, #2 leaves 0
         ~ | 7x1@19
         s2 buy 7 @ 19 ioc
         > accepted #3
         > trade 2: 7 @ 19, #1 leaves 0, #3 leaves 0
         ~ |
         s2 buy 2 @ 19 ioc
         > accepted #4
         > canceled #4: 2, ImmediateOrCancel
         ~ |",
    ),
    (
        "the first keeps its place from one incoming order to the next",
        "s1 buy 6 @ 45
         > accepted #1
         ~ 6x1@45 |
         s2 buy 6 @ 45
         > accepted #2
         ~ 12x2@45 |
         s3 buy 6 @ 45
         > accepted #3
         ~ 18x3@45 |
         s4 buy 6 @ 45
         > accepted #4
         ~ 24x4@45 |
         s5 sell 9 @ 45 ioc
         > accepted #5
         > trade 1: 6 @ 45, #1 leaves 0, #5 leaves 3
         > trade 2: 3 @ 45, #2 leaves 3, #5 leaves 0
         ~ 15x3@45 |
         s5 sell 9 @ 45 ioc
         > accepted #6
         > trade 3: 3 @ 45, #2 leaves 0, #6 leaves 6
         > trade 4: 6 @ 45, #3 leaves 0, #6 leaves 0
         ~ 6x1@45 |",
    ),
    (
        "a client's number that a fill set free finds the new order",
        "s1 buy 6 @ 15 as 77
         > accepted #1
         ~ 6x1@15 |
         s2 sell 6 @ 15
         > accepted #2
         > trade 1: 6 @ 15, #1 leaves 0, #2 leaves 0
         ~ |
         s1 sell 6 @ 30 as 77
         > accepted #3
         ~ | 6x1@30
         s2 buy 6 @ 30 ioc
         > accepted #4
         > trade 2: 6 @ 30, #3 leaves 0, #4 leaves 0
         ~ |",
    ),
    (
        "an order that never was is neither canceled nor replaced",
        "s1 cancel #4000
         > cancel rejected #4000: unknown order
         ~ |
         s1 replace #4000 by 6 @ 15
         > replace rejected #4000 by #1: unknown order
         ~ |",
    ),
    (
        "a canceled order is canceled once, and not replaced",
        "s1 buy 6 @ 15
         > accepted #1
         ~ 6x1@15 |
         s1 cancel #1
         > canceled #1: 6, Requested
         ~ |
         s1 cancel #1
         > cancel rejected #1: unknown order
         ~ |
         s1 replace #1 by 3 @ 16
         > replace rejected #1 by #2: unknown order
         ~ |",
    ),
    (
        "a price far out is kept whole",
        "s1 sell 6 @ 4611686018427387905
         > accepted #1
         ~ | 6x1@4611686018427387905
         s2 buy 6 @ 4611686018427387905 ioc
         > accepted #2
         > trade 1: 6 @ 4611686018427387905, #1 leaves 0, #2 leaves 0
         ~ |",
    ),
    (
        "a number far out is unknown and nothing worse",
        "s1 cancel #17592186044415
         > cancel rejected #17592186044415: unknown order
         ~ |",
    ),
    (
        "an order that the first of two fills does not touch the second",
        "s1 sell 4 @ 88
         > accepted #1
         ~ | 4x1@88
         s2 sell 4 @ 88
         > accepted #2
         ~ | 8x2@88
         s3 buy 4 @ 88 ioc
         > accepted #3
         > trade 1: 4 @ 88, #1 leaves 0, #3 leaves 0
         ~ | 4x1@88",
    ),
    (
        "a canceled best ask is gone, for who comes next too",
        "s1 sell 9 @ 51
         > accepted #1
         ~ | 9x1@51
         s2 sell 4 @ 52
         > accepted #2
         ~ | 9x1@51 4x1@52
         s1 cancel #1
         > canceled #1: 9, Requested
         ~ | 4x1@52
         s3 buy 4 @ 52 ioc
         > accepted #3
         > trade 1: 4 @ 52, #2 leaves 0, #3 leaves 0
         ~ |",
    ),
    (
        "a side that was emptied fills again",
        "s1 buy 6 @ 29
         > accepted #1
         ~ 6x1@29 |
         s1 cancel #1
         > canceled #1: 6, Requested
         ~ |
         s1 buy 5 @ 27
         > accepted #2
         ~ 5x1@27 |
         s2 sell 5 @ 27 ioc
         > accepted #3
         > trade 1: 5 @ 27, #2 leaves 0, #3 leaves 0
         ~ |",
    ),
    (
        "who shares a price with an order that is replaced stays",
        "s1 buy 6 @ 29
         > accepted #1
         ~ 6x1@29 |
         s2 buy 6 @ 29
         > accepted #2
         ~ 12x2@29 |
         s1 replace #1 by 6 @ 28
         > replaced #1 by #3: 6 @ 28
         ~ 6x1@29 6x1@28 |
         s3 sell 6 @ 29 ioc
         > accepted #4
         > trade 1: 6 @ 29, #2 leaves 0, #4 leaves 0
         ~ 6x1@28 |",
    ),
    (
        "a replacement past the other side trades at the resting price, both ways",
        "s1 sell 8 @ 71
         > accepted #1
         ~ | 8x1@71
         s2 buy 8 @ 60
         > accepted #2
         ~ 8x1@60 | 8x1@71
         s2 replace #2 by 8 @ 77
         > replaced #2 by #3: 8 @ 77
         > trade 1: 8 @ 71, #1 leaves 0, #3 leaves 0
         ~ |
         s1 buy 8 @ 171
         > accepted #4
         ~ 8x1@171 |
         s2 sell 8 @ 180
         > accepted #5
         ~ 8x1@171 | 8x1@180
         s2 replace #5 by 8 @ 166
         > replaced #5 by #6: 8 @ 166
         > trade 2: 8 @ 171, #4 leaves 0, #6 leaves 0
         ~ |",
    ),
];

#[test]
fn the_shapes_go_as_written() {
    for (title, text) in SHAPES {
        hold(title, text, Book::new(INSTRUMENT));
    }
}

#[test]
fn the_shapes_go_as_written_with_the_reference() {
    for (title, text) in SHAPES {
        hold(title, text, ReferenceBook::new(INSTRUMENT));
    }
}

/// What is shown is said after every command of a table.
#[test]
fn every_step_of_a_shape_says_what_is_shown() {
    for (title, text) in SHAPES {
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.starts_with('>')).collect();
        let (steps, rest) = lines.as_chunks::<2>();
        assert!(rest.is_empty() && !steps.is_empty(), "{title}");
        for [command, shown] in steps {
            assert!(!command.starts_with('~') && shown.starts_with('~'), "{title}: {command}, {shown}");
        }
    }
}

/// The last shape: one order takes five thousand of a lot each, in the order in which they came.
fn thousands(mut book: impl Subject) {
    const ORDERS: u64 = 5_000;
    let level = |orders: u64| {
        let price = Price::new(64).expect("a price");
        let level = PriceLevel { price, quantity: Quantity(orders), orders: orders as u32 };
        if orders == 0 { vec![] } else { vec![level] }
    };
    let mut events = Events::new();
    let mut told_to = |book: &mut _, line: &str, number: u64| -> Vec<String> {
        events.clear();
        let command = parse(line, number);
        let (sequence, nanos) = (Sequence(number), Nanos(number));
        Subject::apply(book, &Sequenced { sequence, nanos, command }, &mut events);
        events.as_slice().iter().map(|event| told(&command, event)).collect()
    };
    for number in 1..=ORDERS {
        assert_eq!(told_to(&mut book, "s1 sell 1 @ 64", number), [format!("accepted #{number}")]);
        if number % 500 == 0 {
            book.check();
            assert_eq!(levels(&book, Side::Sell), level(number));
        }
    }
    let taker = ORDERS + 1;
    let mut expected = vec![format!("accepted #{taker}")];
    expected.extend((1..=ORDERS).map(|number| {
        format!("trade {number}: 1 @ 64, #{number} leaves 0, #{taker} leaves {}", ORDERS - number)
    }));
    assert_eq!(told_to(&mut book, "s2 buy 5000 @ 64 ioc", taker), expected);
    book.check();
    assert_eq!((levels(&book, Side::Buy), levels(&book, Side::Sell)), (vec![], level(0)));
    assert_eq!(book.header().resting, 0);
}

#[test]
fn one_order_takes_thousands() {
    thousands(Book::new(INSTRUMENT));
}

#[test]
fn one_order_takes_thousands_with_the_reference() {
    thousands(ReferenceBook::new(INSTRUMENT));
}
