//! A book made from an image goes on as the one that showed it, and what is no book's image is refused.

use domain::{Events, InstrumentId, OrderId, Price, Quantity, Sequence, Side, TimeInForce, TradeId};
use engine::book::{Book, BookHeader, BookImage, RestingOrder, RestoreError};
use engine::hash::{EventHash, book_hash};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;

use crate::flow::{Flow, STYLES};
use crate::support::{INSTRUMENT, Subject};

#[test]
fn a_restored_book_goes_on_alike() {
    let seed = seeded::seed();
    let mut random = Xoshiro256StarStar::seed_from_u64(seed);
    for style in STYLES {
        let mut flow = Flow::new(seed, style);
        let (mut book, mut events) = (Book::new(INSTRUMENT), Events::new());
        let (mut restored, mut said) = (Book::new(INSTRUMENT), Events::new());
        let (mut hash, mut restored_hash) = (EventHash::default(), EventHash::default());
        for step in 0..20_000 {
            // Mostly a long way from one to the next, so that the restored book gets old; now and then at
            // once.
            if random.random_range(0..400) == 0 || random.random_range(0..4_000) < 3 {
                let image = BookImage::of(&book);
                restored = Book::restore(&image)
                    .unwrap_or_else(|error| panic!("SEED={seed}, {}, step {step}: {error}", style.name));
                assert_eq!(BookImage::of(&restored), image, "SEED={seed}, {}", style.name);
                restored.check();
            }
            let command = flow.next();
            events.clear();
            said.clear();
            book.apply(&command, &mut events);
            restored.apply(&command, &mut said);
            assert_eq!(said.as_slice(), events.as_slice(), "SEED={seed}, {}, step {step}", style.name);
            events.as_slice().iter().for_each(|event| hash.update(event));
            said.as_slice().iter().for_each(|event| restored_hash.update(event));
            if step % 64 == 0 {
                assert_eq!(book_hash(&restored), book_hash(&book), "SEED={seed}, {}", style.name);
                restored.check();
            }
            flow.learn(events.as_slice());
        }
        assert_eq!((restored_hash, book_hash(&restored)), (hash, book_hash(&book)), "SEED={seed}");
    }
}

/// An image with orders on both sides and some history.
fn sample(seed: u64) -> BookImage {
    let mut flow = Flow::new(seed, STYLES[2]);
    let (mut book, mut events) = (Book::new(INSTRUMENT), Events::new());
    while book.counters().commands < 2_000
        || book.last_trade().is_none()
        || book.resting(Side::Buy) < 3
        || book.resting(Side::Sell) < 3
    {
        events.clear();
        book.apply(&flow.next(), &mut events);
        flow.learn(events.as_slice());
    }
    BookImage::of(&book)
}

#[test]
fn what_no_book_shows_is_refused() {
    let image = sample(seeded::seed());
    assert!(Book::restore(&image).is_ok());
    let refused = |what: &str, spoil: &dyn Fn(&mut BookImage)| {
        let mut image = image.clone();
        spoil(&mut image);
        let error = Book::restore(&image).expect_err(what);
        assert!(error.to_string().contains(what), "{error}, and not {what}");
    };
    let header =
        |what: &str, spoil: &dyn Fn(&mut BookHeader)| refused(what, &|image| spoil(&mut image.header));
    let order = |what: &str, spoil: &dyn Fn(&mut RestingOrder)| {
        for at in [0, image.orders.len() - 1] {
            refused(what, &|image| spoil(&mut image.orders[at]));
        }
    };

    header("out of range", &|h| h.instrument = InstrumentId(OrderId::INSTRUMENTS_MAX));
    header("another book's", &|h| {
        h.instrument = InstrumentId(8);
        h.last_trade = h.last_trade.map(|last| engine::book::LastTrade {
            trade: TradeId::new(InstrumentId(8), last.trade.number()),
            ..last
        });
    });
    header("next order's number", &|h| h.next_order_number = 0);
    header("next order's number", &|h| h.next_order_number = (1 << 44) + 1);
    header("more commands than sequences", &|h| h.last_sequence = Sequence(1));
    header("more order numbers than commands", &|h| h.next_order_number = h.counters.commands + 2);
    header("more orders than order numbers", &|h| h.counters.accepted = u64::MAX);
    header("more orders than order numbers", &|h| h.counters.replaced = h.next_order_number);
    header("more reductions", &|h| h.counters.reduced = u64::MAX);
    header("more refusals", &|h| h.counters.rejected = u64::MAX);
    header("more orders rest", &|h| h.counters.canceled = u64::MAX);
    header("more orders rest", &|h| h.counters.accepted = 3);
    header("another number of orders", &|h| h.resting += 1);
    header("trades are out of range", &|h| h.counters.trades = u64::MAX);
    header("trades are out of range", &|h| h.counters.trades = 1 << 44);
    header("more was traded", &|h| h.counters.traded = u128::MAX);
    header("last trade", &|h| h.counters.trades += 1);
    header("last trade", &|h| h.last_trade = None);

    order("another book's", &|o| o.order = OrderId::new(InstrumentId(8), o.order.number()));
    order("not been given", &|o| o.order = OrderId::new(INSTRUMENT, (1 << 44) - 1));
    order("not been given", &|o| o.order = OrderId::new(INSTRUMENT, 0));
    order("nothing is open", &|o| o.leaves = Quantity(0));
    order("do not fit", &|o| o.executed = Quantity(u64::MAX));
    order("sum would not fit", &|o| {
        o.leaves = Quantity(u64::MAX);
        o.executed = Quantity(0);
    });
    order("time in force", &|o| o.time_in_force = TimeInForce::ImmediateOrCancel);
    order("has not seen", &|o| o.queued_by = Sequence(0));
    order("has not seen", &|o| o.queued_by = Sequence(u64::MAX));
    refused("there twice", &|image| image.orders[1].order = image.orders[0].order);
    refused("queued after it", &|image| {
        image.orders[1].price = image.orders[0].price;
        image.orders[1].side = image.orders[0].side;
        image.orders[1].queued_by = Sequence(image.orders[0].queued_by.0 - 1);
    });
    refused("best bid", &|image| image.orders[0].price = Price::MAX);
}

/// Whatever is done to an image, it is refused or gives a book whose invariants hold.
#[test]
fn a_spoilt_image_is_refused_or_is_a_book() {
    let seed = seeded::seed();
    let mut random = Xoshiro256StarStar::seed_from_u64(seed);
    let image = sample(seed);
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..20_000 {
        let mut spoilt = image.clone();
        for _ in 0..random.random_range(1..4) {
            let wild =
                [0, 1, 2, u64::MAX, u64::MAX - 1, 1 << 44, random.random(), random.random_range(0..5_000)];
            let wild = wild[random.random_range(0..wild.len())];
            let count = spoilt.orders.len();
            let (a, b) = (random.random_range(0..count), random.random_range(0..count));
            let (header, order) = (&mut spoilt.header, &mut spoilt.orders[a]);
            match random.random_range(0..18) {
                0 => header.last_sequence = Sequence(wild),
                1 => header.next_order_number = wild,
                2 => header.counters.commands = wild,
                3 => header.counters.accepted = wild,
                4 => header.counters.replaced = wild,
                5 => header.counters.reduced = wild,
                6 => header.counters.canceled = wild,
                7 => header.counters.rejected = wild,
                8 => header.counters.trades = wild,
                9 => header.counters.traded = wild.into(),
                10 => order.order.0 ^= wild,
                11 => order.side = order.side.opposite(),
                12 => order.price = Price::new(wild.cast_signed()).unwrap_or_default(),
                13 => order.leaves = Quantity(wild),
                14 => order.executed = Quantity(wild),
                15 => order.queued_by = Sequence(wild),
                16 => spoilt.orders.swap(a, b),
                _ => {
                    spoilt.orders[a] = image.orders[b];
                    header.resting = wild;
                }
            }
        }
        match Book::restore(&spoilt) {
            Err(RestoreError::Instrument(_)) => panic!("SEED={seed}: the instrument is as it was"),
            Err(_) => refused += 1,
            Ok(book) => {
                taken += 1;
                book.check();
            }
        }
    }
    assert!(refused > 1_000 && taken > 1_000, "SEED={seed}: {refused} refused, {taken} taken");
}
