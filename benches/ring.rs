//! Handing commands from one thread to another: the engine's ring beside crossbeam-channel, in turns.
//!
//! * **Throughput**: a producer pushes batches and publishes each; a consumer takes what is visible and gives the slots
//!   back after each look. A channel knows no batches, so its column repeats the same loop with one send per item.
//! * **Round trip**: one item goes there through one ring and back through another; what a hand-off between two running
//!   threads costs, twice.
//!
//! Both sides spin and, after a while, yield; there are as many slots in the channel as in the ring.

use std::{
    hint::{black_box, spin_loop},
    process::ExitCode,
    sync::Barrier,
    thread,
    time::Instant,
};

use benches::{
    args::Args,
    clock::{Spread, ns_each},
    flow::{Plan, Stream},
    report::Report,
};
use crossbeam_channel::{Receiver, Sender, bounded};
use domain::{Command, Sequenced};
use engine::runtime::{
    cores, pin_current_thread,
    ring::{Consumer, Producer, ring},
};
use serde_json::json;

type Item = Sequenced<Command>;

/// Slots, as the runtime has them by default.
const SLOTS: usize = 4_096;
/// Looks without success before a thread yields: others may need the core.
const SPINS: u32 = 256;

/// A producing end.
trait Tx: Send {
    /// Stages or sends one; `false` when there is no room.
    fn push(&mut self, item: Item) -> bool;
    /// A batch ends.
    fn publish(&mut self);
}

/// A consuming end.
trait Rx: Send {
    fn pop(&mut self) -> Option<Item>;
    /// What is visible has been taken.
    fn release(&mut self);
}

impl Tx for Producer<Item> {
    fn push(&mut self, item: Item) -> bool {
        Self::push(self, item).is_ok()
    }

    fn publish(&mut self) {
        Self::publish(self);
    }
}

impl Rx for Consumer<Item> {
    fn pop(&mut self) -> Option<Item> {
        Self::pop(self)
    }

    fn release(&mut self) {
        Self::release(self);
    }
}

impl Tx for Sender<Item> {
    fn push(&mut self, item: Item) -> bool {
        self.try_send(item).is_ok()
    }

    fn publish(&mut self) {}
}

impl Rx for Receiver<Item> {
    fn pop(&mut self) -> Option<Item> {
        self.try_recv().ok()
    }

    fn release(&mut self) {}
}

fn main() -> ExitCode {
    let args = Args::parse();
    let items = args.pick(4_000_000, 100_000);
    let trips = args.pick(200_000, 5_000);
    let repeats = args.pick(7, 2);
    let mut report = Report::start(
        "ring",
        &args,
        &format!(
            "{items} items of {} bytes (Sequenced<Command>) from thread to thread through {SLOTS} slots, and {trips} \
             round trips of one; both threads spin, then yield",
            size_of::<Item>()
        ),
        "wall time from the moment both threads run until the consumer has the last item; median [low..high] of \
         repeats, ring and channel in turns. It needs two cores of its own: compare the columns, not two runs",
    );
    let stream = Stream::new(&Plan { books: 64, commands: 8_192, seed: args.seed }).commands;
    println!("{:>14} {:>26} {:>26}", "", "ring, ns/item", "crossbeam-channel, ns/item");
    for batch in [1, 4, 16, 64] {
        let name = format!("batch {batch}");
        if !args.wants(&name) {
            continue;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..repeats {
            let (tx, rx) = ring(SLOTS);
            ours.push(transfer(tx, rx, &stream, batch, items));
            let (tx, rx) = bounded(SLOTS);
            theirs.push(transfer(tx, rx, &stream, batch, items));
        }
        show(&mut report, &name, &ours, &theirs);
    }
    if args.wants("round trip") {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..repeats {
            ours.push(round_trips(ring(SLOTS), ring(SLOTS), &stream, trips));
            theirs.push(round_trips(bounded(SLOTS), bounded(SLOTS), &stream, trips));
        }
        show(&mut report, "round trip", &ours, &theirs);
    }
    match report.finish(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn show(report: &mut Report, case: &str, ours: &[f64], theirs: &[f64]) {
    let (ours, theirs) = (Spread::of(ours), Spread::of(theirs));
    let text = |s: Spread| format!("{:.1} [{:.1}..{:.1}]", s.median, s.low, s.high);
    println!("{case:>14} {:>26} {:>26}", text(ours), text(theirs));
    let value = |s: Spread| json!({ "median": s.median, "low": s.low, "high": s.high });
    report.row(json!({ "case": case, "ring_ns": value(ours), "crossbeam_ns": value(theirs) }));
}

/// Nanoseconds an item.
fn transfer(mut tx: impl Tx, mut rx: impl Rx, stream: &[Item], batch: u64, items: u64) -> f64 {
    let start = Barrier::new(2);
    let took = thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            pin(1);
            start.wait();
            let begun = Instant::now();
            let (mut taken, mut sum, mut idle) = (0, 0_u64, 0);
            while taken < items {
                let before = taken;
                while let Some(item) = rx.pop() {
                    sum = sum.wrapping_add(item.sequence.0);
                    taken += 1;
                }
                rx.release();
                wait(&mut idle, taken > before);
            }
            black_box(sum);
            begun.elapsed()
        });
        pin(0);
        start.wait();
        let (mut sent, mut idle) = (0, 0);
        while sent < items {
            let end = (sent + batch).min(items);
            while sent < end {
                let pushed = tx.push(stream[sent as usize % stream.len()]);
                if pushed {
                    sent += 1;
                } else {
                    tx.publish();
                }
                wait(&mut idle, pushed);
            }
            tx.publish();
        }
        consumer.join().expect("the consumer does not panic")
    });
    ns_each(took, items)
}

/// Nanoseconds a round trip.
fn round_trips(
    (mut there_tx, mut there_rx): (impl Tx, impl Rx),
    (mut back_tx, mut back_rx): (impl Tx, impl Rx),
    stream: &[Item],
    trips: u64,
) -> f64 {
    let start = Barrier::new(2);
    let took = thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            start.wait();
            for _ in 0..trips {
                let item = take(&mut there_rx);
                back_tx.push(item);
                back_tx.publish();
            }
        });
        pin(0);
        start.wait();
        let begun = Instant::now();
        let mut sum = 0_u64;
        for trip in 0..trips {
            there_tx.push(stream[trip as usize % stream.len()]);
            there_tx.publish();
            sum = sum.wrapping_add(take(&mut back_rx).sequence.0);
        }
        black_box(sum);
        begun.elapsed()
    });
    ns_each(took, trips)
}

fn take(rx: &mut impl Rx) -> Item {
    let mut idle = 0;
    loop {
        if let Some(item) = rx.pop() {
            rx.release();
            return item;
        }
        wait(&mut idle, false);
    }
}

fn wait(idle: &mut u32, worked: bool) {
    if worked {
        *idle = 0;
    } else if *idle < SPINS {
        *idle += 1;
        spin_loop();
    } else {
        thread::yield_now();
    }
}

/// To a core of its own, where there are two.
fn pin(thread: usize) {
    let cores = cores();
    if cores.len() > 1 {
        // Refused, it runs where the system likes: slower, and not wrong.
        let _ = pin_current_thread(Some(cores[cores.len() - 1 - thread]));
    }
}
