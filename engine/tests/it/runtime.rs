//! Threads must not show: whatever the number of shards, the idle policy, the size of the rings and who executes,
//! each book says the same events in the same order and ends up the same.

use std::{collections::BTreeMap, sync::Arc};

use domain::{Command, Event, Events, InstrumentId, OrderId, Sequence, Sequenced};
use engine::{
    book::{Book, HashedBooks},
    hash::{EventHash, StateHash, book_hash},
    runtime::{Idle, Placement, PlacementPolicy, Runtime, RuntimeConfig, Wake},
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;

use crate::flow::{Flow, STYLES};

pub(crate) const INSTRUMENTS: u32 = 20;

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// The same command for another instrument.
fn moved(command: Command, to: InstrumentId) -> Command {
    let id = |order: OrderId| OrderId::new(to, order.number());
    match command {
        Command::Enter(mut c) => {
            c.order = id(c.order);
            Command::Enter(c)
        }
        Command::Cancel(mut c) => {
            c.order = id(c.order);
            Command::Cancel(c)
        }
        Command::Reduce(mut c) => {
            c.order = id(c.order);
            Command::Reduce(c)
        }
        Command::Replace(mut c) => {
            c.order = id(c.order);
            c.new_order = id(c.new_order);
            Command::Replace(c)
        }
        other => other,
    }
}

/// Commands for many books, interleaved at random with one hot book, and now and then a command for all.
pub(crate) fn journal(seed: u64, commands: u64) -> Vec<Sequenced<Command>> {
    let mut rng = Xoshiro256StarStar::seed_from_u64(seed);
    let mut flows: Vec<_> = (0..INSTRUMENTS)
        .map(|index| {
            (Flow::new(seed ^ u64::from(index), STYLES[index as usize % STYLES.len()]), Events::new())
        })
        .collect();
    // The flows need to see what becomes of their orders.
    let mut books: Vec<_> = (0..INSTRUMENTS).map(|_| Book::new(crate::support::INSTRUMENT)).collect();
    let mut journal = Vec::new();
    let mut nanos = domain::Nanos(0);
    for sequence in 1..=commands {
        let index = if rng.random_range(0..3) == 0 { 3 } else { rng.random_range(0..INSTRUMENTS) };
        let (flow, events) = &mut flows[index as usize];
        let mut command = flow.next();
        while command.command.is_market_wide() {
            command = flow.next();
        }
        books[index as usize].apply(&command, events);
        flow.learn(events.as_slice());
        events.clear();
        nanos = nanos.max(command.nanos);
        let command = moved(command.command, InstrumentId(index));
        journal.push(Sequenced { sequence: Sequence(sequence), nanos, command });
    }
    // The flows do not know of this one, so it comes last.
    let sequence = Sequence(commands + 1);
    journal.push(Sequenced { sequence, nanos, command: Command::EndOfDay });
    journal
}

/// What each book says and ends up as.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    events: BTreeMap<InstrumentId, Vec<Event>>,
    states: Vec<StateHash>,
}

fn plain(journal: &[Sequenced<Command>]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut events = Events::new();
    for index in 0..INSTRUMENTS {
        let id = InstrumentId(index);
        let mut book = Book::new(id);
        for command in journal {
            if command.command.instrument() == Some(id) || command.command.is_market_wide() {
                book.apply(command, &mut events);
            }
        }
        outcome.events.insert(id, events.as_slice().to_vec());
        events.clear();
        outcome.states.push(book_hash(&book));
    }
    outcome
}

fn threaded(journal: &[Sequenced<Command>], config: &RuntimeConfig, batch: usize) -> Outcome {
    let wake: Arc<dyn Wake> = Arc::new(Nobody);
    let mut runtime = Runtime::start(config, &wake).unwrap();
    let mut outcome = Outcome::default();
    for id in 0..INSTRUMENTS {
        outcome.events.insert(InstrumentId(id), Vec::new());
    }
    let mut drain = |runtime: &mut Runtime| {
        runtime.drain(7, |event| {
            outcome.events.get_mut(&event.instrument).unwrap().push(*event);
            true
        })
    };
    for (n, command) in journal.iter().enumerate() {
        while !runtime.accepts_command(&command.command) {
            runtime.publish();
            if drain(&mut runtime) == 0 {
                std::thread::yield_now();
            }
        }
        runtime.route(command);
        if n % batch == 0 {
            runtime.publish();
        }
        drain(&mut runtime);
    }
    runtime.publish();
    while !runtime.is_quiescent() {
        if drain(&mut runtime) == 0 {
            std::thread::yield_now();
        }
    }
    outcome.states = runtime.hashes().iter().map(|book| book.state).collect();
    let executed: u64 = runtime.stats().iter().map(|shard| shard.commands).sum();
    let whole = journal.len() as u64 - 1 + u64::from(INSTRUMENTS);
    assert_eq!(executed, whole, "the market-wide command counts once a book");
    let books = runtime.finish();
    assert!(books.iter().map(book_hash).eq(outcome.states.iter().copied()), "hashes live and at the end");
    outcome
}

#[test]
fn threads_do_not_show() {
    let seed = seeded::seed();
    let commands =
        seeded::number("COMMANDS").map_or(if cfg!(debug_assertions) { 8_000 } else { 60_000 }, |n| n / 20);
    let journal = journal(seed, commands);
    let expected = plain(&journal);
    for shards in [1, 2, 4, 8] {
        for idle in Idle::ALL {
            for inline_max in [0, 5, 64] {
                for (command_slots, event_slots, batch) in [(1_024, 2_048, 50), (4, 2, 3)] {
                    let placement = Placement::new(PlacementPolicy::Hash, INSTRUMENTS, shards);
                    let config = RuntimeConfig {
                        idle,
                        inline_max,
                        command_slots,
                        event_slots,
                        shared_cores: true,
                        ..RuntimeConfig::new(placement)
                    };
                    let outcome = threaded(&journal, &config, batch);
                    assert!(
                        outcome == expected,
                        "SEED={seed}: {shards} shards, idle {idle}, inline {inline_max}, rings of {command_slots}"
                    );
                }
            }
        }
    }
}

#[test]
fn hashed_books_hash_what_books_say() {
    let seed = seeded::seed();
    let journal = journal(seed, 5_000);
    let expected = plain(&journal);
    // Of all books, and of some of them; one by one, and in batches.
    for (of, batch) in [(1, 1), (1, 256), (3, 7)] {
        let mut hashes = Vec::new();
        let mut events = 0;
        for at in 0..of {
            let mut books = HashedBooks::new();
            (0..INSTRUMENTS)
                .filter(|id| id % of == at)
                .for_each(|id| books.insert(Book::new(InstrumentId(id))));
            let ours =
                |command: &&Sequenced<Command>| command.command.instrument().is_none_or(|id| id.0 % of == at);
            let commands: Vec<_> = journal.iter().filter(ours).copied().collect();
            commands.chunks(batch).for_each(|batch| books.apply_batch(batch));
            hashes.extend(books.hashes());
            events += books.events();
        }
        hashes.sort_by_key(|book| book.instrument);
        assert_eq!(hashes.len(), INSTRUMENTS as usize);
        assert_eq!(events, expected.events.values().map(|events| events.len() as u64).sum::<u64>());
        for (book, (state, (id, events))) in hashes.iter().zip(expected.states.iter().zip(&expected.events)) {
            let mut hash = EventHash::default();
            events.iter().for_each(|event| hash.update(event));
            assert_eq!(
                (book.instrument, book.state, book.events),
                (*id, *state, hash),
                "SEED={seed}, one of {of}, batches of {batch}"
            );
        }
    }
}
