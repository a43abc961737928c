//! A worker that does not go on: it is noticed, said, and others serve its books until it comes back.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use domain::{Command, InstrumentId, Sequenced, ShardId};
use engine::{
    balance::{BalanceEvent, BalanceMode, Placement, PlacementPolicy},
    runtime::{Idle, Runtime, RuntimeConfig, Wake},
};

use crate::runtime::{INSTRUMENTS, journal};

const SHARDS: u16 = 2;

static TIME: AtomicU64 = AtomicU64::new(1);

fn clock() -> u64 {
    TIME.load(Ordering::Relaxed)
}

/// Keeps shard 0's thread where it is while the gate is shut.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
    caught: AtomicU64,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

impl Wake for Gate {
    fn wake(&self) {
        if thread::current().name() != Some("shard-0") {
            return;
        }
        let mut shut = self.shut.lock().unwrap();
        if *shut {
            self.caught.fetch_add(1, Ordering::SeqCst);
        }
        while *shut {
            shut = self.opened.wait(shut).unwrap();
        }
    }
}

/// Lets a millisecond pass, and takes what is said.
fn pass(runtime: &mut Runtime, events: &mut Vec<BalanceEvent>) -> usize {
    let now = TIME.fetch_add(1_000_000, Ordering::Relaxed);
    runtime.tick(now);
    runtime.publish();
    thread::sleep(Duration::from_micros(100));
    runtime.take_balance_events(|event| events.push(*event));
    runtime.drain(1_000, |_| true)
}

fn route(runtime: &mut Runtime, command: &Sequenced<Command>) {
    while !runtime.accepts_command(&command.command) {
        thread::yield_now();
    }
    runtime.route(command);
}

#[test]
fn books_of_a_stalled_worker_are_served_elsewhere_and_it_comes_back() {
    let seed = seeded::seed();
    for mode in BalanceMode::ALL {
        let gate = Arc::new(Gate::default());
        let wake: Arc<dyn Wake> = Arc::<Gate>::clone(&gate);
        let placement = Placement::new(PlacementPolicy::RoundRobin, INSTRUMENTS, SHARDS);
        let config = RuntimeConfig {
            idle: Idle::Backoff,
            inline_max: 0,
            balance: mode,
            clock,
            ..RuntimeConfig::new(placement)
        };
        let mut runtime = Runtime::start(&config, &wake).unwrap();
        let journal = journal(seed, 20_000);
        let mut commands = journal.iter();
        let mut events = Vec::new();
        pass(&mut runtime, &mut events);
        gate.set(true);
        // Until its worker is caught, which it is when its books have said something.
        while gate.caught.load(Ordering::SeqCst) == 0 {
            route(&mut runtime, commands.next().unwrap());
            pass(&mut runtime, &mut events);
        }
        let mut waited = 0;
        while !events.iter().any(|event| matches!(event, BalanceEvent::Stalled { shard: ShardId(0), .. })) {
            pass(&mut runtime, &mut events);
            waited += 1;
            assert!(waited <= 100, "{mode}: noticed within 100 ms; SEED={seed}");
        }
        assert!(runtime.stats()[0].stalled);
        for _ in 0..500 {
            route(&mut runtime, commands.next().unwrap());
        }
        // Everything is served although its worker does nothing.
        let mut passes = 0;
        while !runtime.is_quiescent() {
            pass(&mut runtime, &mut events);
            passes += 1;
            assert!(passes < 50_000, "{mode}: served by others; SEED={seed}; {:?}", runtime.stats());
        }
        assert!((0..INSTRUMENTS).all(|book| runtime.outstanding(InstrumentId(book)) == 0));
        gate.set(false);
        let mut passes = 0;
        while !events.iter().any(|event| matches!(event, BalanceEvent::Recovered { shard: ShardId(0), .. })) {
            pass(&mut runtime, &mut events);
            passes += 1;
            assert!(passes < 50_000, "{mode}: it comes back; SEED={seed}");
        }
        assert!(!runtime.stats()[0].stalled);
        for _ in 0..100 {
            route(&mut runtime, commands.next().unwrap());
        }
        while !runtime.is_quiescent() {
            pass(&mut runtime, &mut events);
        }
    }
}
