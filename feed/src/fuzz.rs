//! What the fuzzers run: any bytes as what comes to the feed from outside, and to a client of it.

use core::cell::RefCell;

use domain::Side;
use wire::{
    itch::{AddOrder, Message, OrderCancel, OrderDelete, OrderExecuted, OrderReplace, Timestamp},
    mold::{Header, Packer, Session},
};

use crate::{
    KEEPS_PLACE,
    client::{Arbiter, Books, ClientOrder},
};

const SESSION: Session = *b"FUZZ      ";

/// Takes `data` for what a web client says: a request, and what stands in its request's `Authorization`.
///
/// # Panics
/// When what is read could not be.
pub fn web(data: &[u8]) {
    crate::server::fuzz_web(data);
}

/// Takes `data` for what the network does to a session's packets: three bytes say what comes, where, and how many messages
/// or bytes of it. Messages must be delivered once each and in the order of their numbers, and what is asked for again must
/// be what is missing; what is no packet, or another session's, must change nothing.
///
/// # Panics
/// When the client is wrong.
pub fn packets(data: &[u8]) {
    let mut arbiter = Arbiter::default();
    // The number of the message that must be delivered next.
    let due = RefCell::new(0);
    let deliver = |message: &[u8]| {
        let mut due = due.borrow_mut();
        assert_eq!(message, u64::to_be_bytes(*due), "delivered instead of message {due}");
        *due += 1;
    };
    let mut rest = data;
    let mut datagram = Vec::new();
    while let Some((&[what, place, count], after)) = rest.split_first_chunk::<3>() {
        rest = after;
        // Near where it stands: a place below 128 is before it.
        let near = |next: u64| next.saturating_add(place.into()).saturating_sub(128);
        datagram.clear();
        match what % 8 {
            // Whatever it is, it is none of the session's.
            0 => {
                let (bytes, after) = rest.split_at(usize::from(count).min(rest.len()));
                rest = after;
                datagram.extend_from_slice(bytes);
                if let Some(first) = datagram.first_mut() {
                    *first = (*first).max(b'G');
                }
                let before = (arbiter.next(), arbiter.missing());
                arbiter.on_datagram(&datagram, |_| panic!("a message of nobody's"));
                assert_eq!((arbiter.next(), arbiter.missing()), before);
            }
            // A snapshot is waited for, or is there.
            1 => {
                arbiter.expect(SESSION);
                assert_eq!(arbiter.missing(), None, "before anything is known");
            }
            2 => {
                let next = near(u64::from(count) * 64).max(1);
                due.replace(next);
                arbiter.begin(SESSION, next, deliver);
            }
            // What is missing comes.
            3 => {
                if let Some(missing) = arbiter.missing() {
                    assert!((1..u16::MAX).contains(&missing.count) && missing.sequence == arbiter.next());
                    pack(&mut datagram, missing.sequence, u64::from(missing.count));
                    arbiter.on_datagram(&datagram, deliver);
                    assert!(arbiter.next() > missing.sequence, "what was asked for came");
                }
            }
            // The end, with its number.
            4 => {
                Header { session: SESSION, sequence: near(*due.borrow()), count: u16::MAX }
                    .encode(&mut datagram);
                arbiter.on_datagram(&datagram, deliver);
            }
            // Messages, or none: a heartbeat.
            _ => {
                pack(&mut datagram, near(*due.borrow()), count.into());
                arbiter.on_datagram(&datagram, deliver);
            }
        }
        if arbiter.session().is_some() && arbiter.next() != u64::MAX {
            assert_eq!(arbiter.next(), *due.borrow());
            assert_eq!(arbiter.is_whole(), arbiter.missing().is_none());
        }
    }
}

/// A packet of messages, each its own number; as many as find room.
fn pack(out: &mut Vec<u8>, sequence: u64, count: u64) {
    let mut packer = Packer::begin(out, SESSION, sequence, 1_400);
    for number in sequence..sequence.saturating_add(count) {
        if !packer.push(&number.to_be_bytes()) {
            break;
        }
    }
    packer.end();
}

/// Takes `data` for messages of the feed: four bytes each for one about few orders, or any bytes. Books made of them must hold
/// each order once, and not change by a message that they refuse.
///
/// # Panics
/// When the client's books are wrong.
pub fn books(data: &[u8]) {
    let mut books = Books::default();
    let mut rest = data;
    let mut bytes = Vec::new();
    while let Some((&[what, order, price, count], after)) = rest.split_first_chunk::<4>() {
        rest = after;
        bytes.clear();
        let (order, other) = (u64::from(order % 16), u64::from(order / 16));
        let (price, shares) = (u32::from(price), u32::from(count));
        let (locate, tracking, timestamp) = (u16::from(what / 128), 0, Timestamp::new(0));
        let side = if what & 64 == 0 { b'B' } else { b'S' };
        match what % 8 {
            0 => {
                let (any, after) = rest.split_at(usize::from(count).min(rest.len()));
                rest = after;
                bytes.extend_from_slice(any);
            }
            1..4 => AddOrder { locate, tracking, timestamp, order, side, shares, stock: [b'A'; 8], price }
                .encode(&mut bytes),
            4 => OrderExecuted { locate, tracking, timestamp, order, shares, match_number: 1 }
                .encode(&mut bytes),
            5 => OrderCancel { locate, tracking, timestamp, order, shares }.encode(&mut bytes),
            6 => OrderDelete { locate, tracking, timestamp, order }.encode(&mut bytes),
            _ => {
                let tracking = if what & 32 == 0 { 0 } else { KEEPS_PLACE };
                OrderReplace { locate, tracking, timestamp, original: order, order: other, shares, price }
                    .encode(&mut bytes);
            }
        }
        let before = orders(&books);
        let heard = books.on_message(&bytes);
        let now = orders(&books);
        assert_eq!(now.len(), books.len(), "an order that is there twice, or in no book");
        match heard {
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert_eq!(now, before, "changed by what was refused: {error}");
            }
            Ok(Message::OrderReplace(m)) => {
                let of = |orders: &[Placed], order: u64| orders.iter().position(|at| at.2.order == order);
                assert!(
                    of(&now, m.order).is_some() && (m.order == m.original || of(&now, m.original).is_none())
                );
            }
            Ok(_) => {}
        }
    }
}

/// An order, and where it is.
type Placed = (u16, Side, ClientOrder);

/// Every order of every book, in priority.
fn orders(books: &Books) -> Vec<Placed> {
    let mut all = Vec::new();
    for (locate, book) in books.iter() {
        for side in [Side::Buy, Side::Sell] {
            let from = all.len();
            all.extend(book.orders(side).map(|order| (locate, side, *order)));
            let better = |a: u32, b: u32| if side == Side::Buy { a >= b } else { a <= b };
            assert!(all[from..].is_sorted_by(|a, b| better(a.2.price, b.2.price)), "the best price is first");
        }
    }
    all
}
