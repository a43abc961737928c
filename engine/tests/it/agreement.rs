//! The fast book and the reference must agree on every event and on all that they hold, command by command.
//!
//! `SEED=` replays a run, `COMMANDS=` sets how many commands all styles get together.

use domain::{
    AccountId, CancelOrder, Command, EnterOrder, Events, Quantity, ReduceOrder, ReplaceOrder,
    ReplacePriority, Sequenced, Side, TimeInForce,
};
use engine::book::{Book, BookHeader, BookView, RestingOrder};
use engine::hash::{EventHash, book_hash};
use engine::reference::ReferenceBook;

use crate::flow::{Flow, STYLES, Style};
use crate::support::{INSTRUMENT, Pair, Subject};

/// How many commands for all styles together.
fn commands() -> u64 {
    seeded::number("COMMANDS").unwrap_or(if cfg!(debug_assertions) { 120_000 } else { 3_000_000 })
}

/// Runs a flow against a subject and the reference; what differed, or the counters at the end.
fn run<S: Subject>(subject: S, style: Style, seed: u64, commands: u64) -> Result<Pair<S>, String> {
    let mut flow = Flow::new(seed, style);
    let mut pair = Pair::new(subject);
    for _ in 0..commands {
        let command = flow.next();
        let events = pair.apply(&command)?;
        flow.learn(events);
    }
    pair.compare_state()?;
    Ok(pair)
}

#[test]
fn the_book_agrees_with_the_reference() {
    let seed = seeded::seed();
    let share = commands() / STYLES.len() as u64;
    for style in STYLES {
        let pair = run(Book::new(INSTRUMENT), style, seed, share)
            .unwrap_or_else(|difference| panic!("SEED={seed}, {}: {difference}", style.name));
        let counters = pair.subject.counters();
        println!("{}: {counters:?}", style.name);
        if share >= 10_000 {
            // A flow that never got to some of the rules would prove nothing about them.
            let each = [
                counters.accepted,
                counters.replaced,
                counters.reduced,
                counters.canceled,
                counters.rejected,
                counters.trades,
            ];
            assert!(each.iter().all(|&count| count > share / 1_000), "{}: {counters:?}", style.name);
        }
    }
}

#[test]
fn the_same_commands_give_the_same_hashes() {
    let seed = seeded::seed();
    for style in STYLES {
        let hashes = || {
            let (mut book, mut events, mut said) =
                (Book::new(INSTRUMENT), Events::new(), EventHash::default());
            let mut flow = Flow::new(seed, style);
            for _ in 0..2_000 {
                events.clear();
                book.apply(&flow.next(), &mut events);
                flow.learn(events.as_slice());
                events.as_slice().iter().for_each(|event| said.update(event));
            }
            (book_hash(&book), said)
        };
        assert_eq!(hashes(), hashes(), "SEED={seed}, {}", style.name);
    }
}

/// What a book shows, and so what is hashed, is all that it is: a book made from it goes on alike.
#[test]
fn a_book_is_what_it_shows() {
    let seed = seeded::seed();
    for style in STYLES {
        let mut flow = Flow::new(seed, style);
        let mut pair = Pair::new(Book::new(INSTRUMENT));
        for step in 0..5_000 {
            let command = flow.next();
            let events = pair
                .apply(&command)
                .unwrap_or_else(|difference| panic!("SEED={seed}, {}: {difference}", style.name));
            flow.learn(events);
            if step % 50 == 0 {
                pair.reference = ReferenceBook::showing(&pair.subject);
            }
        }
    }
}

/// One thing to misunderstand: how a command is read, or what the book says of itself.
struct Mistake {
    name: &'static str,
    command: fn(&mut Command),
    header: fn(&mut BookHeader),
}

const NONE: Mistake = Mistake { name: "none", command: |_| {}, header: |_| {} };

const MISTAKES: [Mistake; 8] = [
    Mistake {
        name: "an order is a lot short",
        command: |command| {
            if let Command::Enter(EnterOrder { quantity, .. }) = command {
                *quantity = Quantity(quantity.lots().saturating_sub(1));
            }
        },
        ..NONE
    },
    Mistake {
        name: "a replacement loses its place",
        command: |command| {
            if let Command::Replace(ReplaceOrder { priority, .. }) = command {
                *priority = ReplacePriority::Lose;
            }
        },
        ..NONE
    },
    Mistake {
        name: "an order is not for who it is for (seen in the state only)",
        command: |command| {
            if let Command::Enter(EnterOrder { account, .. }) = command {
                *account = AccountId(account.0 ^ 8);
            }
        },
        ..NONE
    },
    Mistake {
        name: "a replacement lives longer than it should (seen in the state only)",
        command: |command| {
            if let Command::Replace(ReplaceOrder { time_in_force, .. }) = command
                && *time_in_force == TimeInForce::Day
            {
                *time_in_force = TimeInForce::GoodTillCancel;
            }
        },
        ..NONE
    },
    Mistake {
        name: "two sessions are taken for one",
        command: |command| {
            if let Command::Cancel(CancelOrder { owner, .. }) = command {
                owner.session.0 &= !1;
            }
        },
        ..NONE
    },
    Mistake {
        name: "a reduction is off by one",
        command: |command| {
            if let Command::Reduce(ReduceOrder { total, .. }) = command {
                *total = Quantity(total.lots().saturating_sub(1));
            }
        },
        ..NONE
    },
    Mistake {
        name: "every other trade is not counted",
        header: |header| header.counters.trades &= !1,
        ..NONE
    },
    Mistake { name: "the last trade is forgotten", header: |header| header.last_trade = None, ..NONE },
];

/// A book that makes a mistake.
struct Mistaken {
    book: Book,
    mistake: Mistake,
}

impl BookView for Mistaken {
    fn header(&self) -> BookHeader {
        let mut header = self.book.header();
        (self.mistake.header)(&mut header);
        header
    }

    fn visit(&self, side: Side, see: impl FnMut(&RestingOrder)) {
        self.book.visit(side, see);
    }

    fn visit_stops(&self, see: impl FnMut(&RestingOrder)) {
        self.book.visit_stops(see);
    }
}

impl Subject for Mistaken {
    fn apply(&mut self, command: &Sequenced<Command>, events: &mut Events) {
        let mut command = *command;
        (self.mistake.command)(&mut command.command);
        self.book.apply(&command, events);
    }

    fn again(&mut self) {
        self.book.again();
    }
}

#[test]
fn the_comparison_catches_planted_mistakes() {
    let seed = seeded::seed();
    let agrees = |mistake| {
        let mistaken = Mistaken { book: Book::new(INSTRUMENT), mistake };
        run(mistaken, STYLES[0], seed, 20_000).is_ok()
    };
    assert!(agrees(NONE), "SEED={seed}: a right book is called wrong");
    for mistake in MISTAKES {
        let name = mistake.name;
        assert!(!agrees(mistake), "SEED={seed}: unseen: {name}");
    }
}
