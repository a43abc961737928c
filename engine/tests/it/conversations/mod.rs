//! The rules, as conversations that can be read; `script` says how. Both books, the fast one and the reference, go
//! through every one of them.

mod all_or_none;
mod cascades;
mod expiry;
mod hidden;
mod icebergs;
mod market_to_limit;
mod mass_cancel;
mod minimum;
mod plain;
mod post_only;
mod replace;
mod self_trade;
mod stops;

use domain::{
    CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Events, InstrumentId, Nanos, OrderId,
    Owner, PreRejected, RejectReason, Sequence, Sequenced, SessionId,
};
use engine::book::Book;
use engine::hash::{EventHash, StateHash, book_hash};
use engine::reference::ReferenceBook;

use crate::script::{hold, parse};
use crate::support::{INSTRUMENT, SpecialBook};
use plain::CONVERSATIONS;

/// What is special, by subject. (The plain ones apart: their hashes are pinned.)
const SPECIAL: &[&[(&str, &str)]] = &[
    stops::CONVERSATIONS,
    post_only::CONVERSATIONS,
    market_to_limit::CONVERSATIONS,
    minimum::CONVERSATIONS,
    icebergs::CONVERSATIONS,
    hidden::CONVERSATIONS,
    all_or_none::CONVERSATIONS,
    self_trade::CONVERSATIONS,
    expiry::CONVERSATIONS,
    mass_cancel::CONVERSATIONS,
    replace::CONVERSATIONS,
];

/// What all conversations together hash to, one book each: the rules and the hashes in 16 digits. A change here is
/// a change of what the exchange does, or of how it is hashed.
const SAID: &str = "747a14114432f2f4";
const HELD: &str = "e06d228552fe3e18";

#[test]
fn the_conversations_go_as_written() {
    for (title, text) in CONVERSATIONS {
        hold(title, text, Book::new(INSTRUMENT));
    }
    for (title, text) in SPECIAL.iter().copied().flatten() {
        hold(title, text, SpecialBook::new(INSTRUMENT));
    }
    for (title, text) in cascades::conversations() {
        hold(title, &text, SpecialBook::new(INSTRUMENT));
    }
}

#[test]
fn the_conversations_go_as_written_with_the_reference() {
    for (title, text) in CONVERSATIONS.iter().chain(SPECIAL.iter().copied().flatten()) {
        hold(title, text, ReferenceBook::new(INSTRUMENT));
    }
    for (title, text) in cascades::conversations() {
        hold(title, &text, ReferenceBook::new(INSTRUMENT));
    }
}

#[test]
fn the_conversations_hash_to_pinned_values() {
    let (mut said, mut held) = (EventHash::default(), StateHash::default());
    for (title, text) in CONVERSATIONS {
        let (said_here, held_here) = hold(title, text, Book::new(INSTRUMENT));
        said = said.combine(said_here);
        held = held.combine(held_here);
    }
    assert_eq!((said.to_string().as_str(), held.to_string().as_str()), (SAID, HELD));
}

#[test]
#[should_panic(expected = "says otherwise")]
fn a_conversation_that_goes_otherwise_is_caught() {
    hold("planted", "s1 buy 1 @ 1\n> accepted #2", Book::new(INSTRUMENT));
}

#[test]
#[should_panic(expected = "says otherwise")]
fn a_conversation_that_leaves_something_unsaid_is_caught() {
    hold("planted", "s1 buy 1 @ 1\n s1 cancel #1\n > canceled #1: 1, Requested", Book::new(INSTRUMENT));
}

#[test]
fn commands_that_touch_no_book_leave_no_trace() {
    let refused = PreRejected {
        session: SessionId(1),
        client_ref: ClientRef(1),
        client_order_id: ClientOrderId::BLANK,
        reason: RejectReason::InvalidPrice,
    };
    let command = Sequenced { sequence: Sequence(5), nanos: Nanos(5), command: Command::Rejected(refused) };
    let (mut book, mut events) = (Book::new(INSTRUMENT), Events::new());
    book.apply(&command, &mut events);
    assert_eq!(book_hash(&book), book_hash(&Book::new(INSTRUMENT)));
    assert!(events.as_slice().is_empty());
}

/// Applies commands to an empty book, which must panic.
fn misuse(commands: &[(u64, Command)]) {
    let (mut book, mut events) = (Book::new(INSTRUMENT), Events::new());
    for (sequence, command) in commands {
        let command = Sequenced { sequence: Sequence(*sequence), nanos: Nanos(0), command: *command };
        book.apply(&command, &mut events);
    }
}

#[test]
#[should_panic(expected = "in the book of")]
fn another_books_command_is_a_programmers_error() {
    let order = OrderId::new(InstrumentId(INSTRUMENT.0 + 1), 1);
    let cancel = CancelOrder { order, owner: Owner::default(), reason: CancelReason::Requested };
    misuse(&[(1, Command::Cancel(cancel))]);
}

#[test]
#[should_panic(expected = "not in sequence")]
fn a_command_applied_twice_is_a_programmers_error() {
    misuse(&[(1, Command::EndOfDay), (1, Command::EndOfDay)]);
}

#[test]
#[should_panic(expected = "not in sequence")]
fn an_order_number_given_twice_is_a_programmers_error() {
    let Command::Enter(enter) = parse("s1 buy 1 @ 1", 1) else { unreachable!("it is an entry") };
    misuse(&[(1, Command::Enter(enter)), (2, Command::Enter(enter))]);
}
