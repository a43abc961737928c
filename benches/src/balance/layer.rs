//! What handing a command to a worker costs: one producer, one worker, commands that do next to nothing.
//!
//! The same commands through the engine's ring, through a runtime with one shard, and through a crossbeam-channel. Each
//! worker applies them to the same books (`Advance`: a book counts it and says nothing). What that takes is measured on one
//! thread besides, and is the same in all columns; the differences are the scheduling layers.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::bounded;
use domain::{Command, Events, InstrumentId, Nanos, Sequence, Sequenced};
use engine::{
    balance::BalanceMode,
    book::{Book, Books},
    runtime::{
        Idle, Placement, PlacementPolicy, Runtime, RuntimeConfig, Wake, cores, pin_current_thread, ring::ring,
    },
};

use super::seat::nanos;
use crate::clock::{ns_each, thread_time};

/// Commands published, or sent in a row, at a time.
pub const BATCH: u64 = 64;
/// Slots, as the runtime has them by default.
const SLOTS: usize = 4_096;
const BOOKS: u32 = 64;

/// Through what commands go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Nothing: one thread applies them.
    None,
    /// The engine's ring.
    Ring,
    /// A runtime with one shard in this mode.
    Runtime(BalanceMode),
    /// A crossbeam-channel.
    Channel,
}

impl Layer {
    /// All that are compared.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::Ring,
        Self::Runtime(BalanceMode::Off),
        Self::Runtime(BalanceMode::Full),
        Self::Channel,
    ];

    /// What a reader calls it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::None => "books alone, one thread".to_owned(),
            Self::Ring => "plain ring".to_owned(),
            Self::Runtime(mode) => format!("runtime, balance {mode}"),
            Self::Channel => "crossbeam-channel".to_owned(),
        }
    }

    /// Nanoseconds a command, of so many.
    ///
    /// # Panics
    /// When a runtime does not start.
    #[must_use]
    pub fn ns(self, commands: u64) -> f64 {
        let measure = || match self {
            Self::None => alone(commands),
            Self::Ring => through_ring(commands),
            Self::Runtime(mode) => through_runtime(commands, mode),
            Self::Channel => through_channel(commands),
        };
        // On a thread of its own: the producer is pinned, and what comes later need not be.
        thread::scope(|scope| scope.spawn(measure).join().expect("the producer does not panic"))
    }
}

fn command(n: u64) -> Sequenced<Command> {
    let instrument = InstrumentId((n % u64::from(BOOKS)) as u32);
    Sequenced { sequence: Sequence(n + 1), nanos: Nanos(n), command: Command::Advance(instrument) }
}

fn books() -> Books {
    let mut books = Books::new();
    for book in 0..BOOKS {
        books.insert(Book::new(InstrumentId(book)));
    }
    books
}

/// The producer, or the worker, to a core of its own, where there are two.
fn pin(thread: usize) {
    let cores = cores();
    if cores.len() > 1 {
        // Refused, it runs where the system likes: slower, and not wrong.
        let _ = pin_current_thread(Some(cores[thread]));
    }
}

fn applied(books: &Books) -> u64 {
    books.iter().map(|book| book.counters().commands).sum()
}

fn alone(commands: u64) -> f64 {
    /// Commands made outside of the clock, at a time.
    const BLOCK: u64 = 1 << 14;
    let (mut books, mut events) = (books(), Events::new());
    let mut took = Duration::ZERO;
    let mut done = 0;
    while done < commands {
        let block: Vec<_> = (done..(done + BLOCK).min(commands)).map(command).collect();
        let before = thread_time();
        for batch in block.chunks(BATCH as usize) {
            books.apply_batch(batch, &mut events);
        }
        took += thread_time() - before;
        done += block.len() as u64;
    }
    assert_eq!(applied(&books), commands);
    ns_each(took, commands)
}

fn through_ring(commands: u64) -> f64 {
    let (mut tx, mut rx) = ring(SLOTS);
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            pin(1);
            let (mut books, mut events) = (books(), Events::new());
            start.wait();
            let begun = Instant::now();
            let mut done = 0;
            while done < commands {
                let batch = rx.readable(BATCH as usize);
                let taken = batch.len();
                if taken == 0 {
                    std::hint::spin_loop();
                    continue;
                }
                books.apply_batch(batch, &mut events);
                rx.take(taken);
                rx.release();
                done += taken as u64;
            }
            assert_eq!(applied(&books), commands);
            begun.elapsed()
        });
        pin(0);
        start.wait();
        let mut staged = 0;
        for n in 0..commands {
            while tx.push(command(n)).is_err() {
                tx.publish();
                std::hint::spin_loop();
            }
            staged += 1;
            if staged == BATCH {
                tx.publish();
                staged = 0;
            }
        }
        tx.publish();
        ns_each(worker.join().expect("the worker does not panic"), commands)
    })
}

fn through_channel(commands: u64) -> f64 {
    let (tx, rx) = bounded(SLOTS);
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            pin(1);
            let (mut books, mut events) = (books(), Events::new());
            start.wait();
            let begun = Instant::now();
            let mut done = 0;
            while done < commands {
                match rx.try_recv() {
                    Ok(command) => {
                        books.apply(&command, &mut events);
                        done += 1;
                    }
                    Err(_) => std::hint::spin_loop(),
                }
            }
            assert_eq!(applied(&books), commands);
            begun.elapsed()
        });
        pin(0);
        start.wait();
        for n in 0..commands {
            let mut command = command(n);
            while let Err(back) = tx.try_send(command) {
                command = back.into_inner();
                std::hint::spin_loop();
            }
        }
        ns_each(worker.join().expect("the worker does not panic"), commands)
    })
}

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

fn through_runtime(commands: u64, mode: BalanceMode) -> f64 {
    let config = RuntimeConfig {
        idle: Idle::Spin,
        cores: cores().into_iter().skip(1).take(1).collect(),
        shared_cores: cores().len() < 2,
        command_slots: SLOTS,
        inline_max: 0,
        balance: mode,
        clock: nanos,
        ..RuntimeConfig::new(Placement::new(PlacementPolicy::RoundRobin, BOOKS, 1))
    };
    let wake: Arc<dyn Wake> = Arc::new(Nobody);
    let mut runtime = Runtime::start(&config, &wake).expect("a runtime with one shard starts");
    pin(0);
    let begun = Instant::now();
    let mut staged = 0;
    for n in 0..commands {
        let command = command(n);
        while !runtime.accepts_command(&command.command) {
            runtime.publish();
            std::hint::spin_loop();
        }
        runtime.route(&command);
        staged += 1;
        if staged == BATCH {
            runtime.publish();
            staged = 0;
        }
    }
    runtime.publish();
    while !runtime.is_quiescent() {
        std::hint::spin_loop();
    }
    let took = begun.elapsed();
    let books = runtime.finish();
    assert_eq!(books.iter().map(|book| book.counters().commands).sum::<u64>(), commands);
    ns_each(took, commands)
}
