//! A worker: the thread that runs one shard.
//!
//! 1. It takes the shard's lock and executes until there is nothing to do, backing off as its idle policy says.
//! 2. Before it sleeps it lets go of the lock, announces itself, and looks once more ([`Parking`]).
//! 3. While it sleeps, the front may take the lock and execute a short backlog itself: at low load that saves two
//!    thread hops, and with more threads than cores it saves the wait for a core. The books cannot tell.
//! 4. Control messages (hash, stop) are handled between commands, by the worker, in the order sent.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crossbeam_channel::{Receiver, Sender};
use domain::{Command, Event, Sequenced, ShardId};

use crate::runtime::{
    idle::{Backoff, Idle, Step},
    parking::Parking,
    pin::{PinOutcome, pin_current_thread},
    ring::Probe,
    shard::{BookHashes, Progress, Shard, ShardCounters},
};

/// Called when a shard has said something, from the shard's thread. Must be cheap when nobody sleeps.
pub trait Wake: Send + Sync {
    /// The front has events to take.
    fn wake(&self);
}

/// What the front asks of a worker.
pub(crate) enum Control {
    /// Hash every book between two commands.
    Hash(Sender<Vec<BookHashes>>),
    /// Stop between two commands.
    Stop,
}

/// What a worker and the front share.
pub(crate) struct Shared {
    /// The shard. Its worker holds it while awake.
    pub(crate) shard: Mutex<Shard>,
    pub(crate) parking: Parking,
    /// The shard stopped on a full event ring; cleared by whoever runs it next.
    pub(crate) blocked: AtomicBool,
    pub(crate) counters: ShardCounters,
    pub(crate) commands: Probe<Sequenced<Command>>,
    /// `None` when events do not leave the shard.
    pub(crate) events: Option<Probe<Event>>,
}

impl Shared {
    /// Whether the shard could do something now.
    pub(crate) fn has_work(&self) -> bool {
        if self.blocked.load(Ordering::Acquire) {
            return self.events.as_ref().is_none_or(Probe::has_room);
        }
        self.commands.has_items()
    }

    /// Runs a shard that the caller holds.
    pub(crate) fn run(&self, shard: &mut Shard, max: usize) -> Progress {
        let progress = shard.run(max, &self.counters);
        self.blocked.store(progress.blocked, Ordering::Release);
        progress
    }

    /// The shard, even if a thread died with it: the process is going down then, and a hash or a stop may still read.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shard> {
        self.shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a worker runs.
pub(crate) struct WorkerSetup {
    pub(crate) id: ShardId,
    pub(crate) idle: Idle,
    /// More threads than cores.
    pub(crate) shared_cores: bool,
    pub(crate) core: Option<usize>,
    pub(crate) control: Receiver<Control>,
    pub(crate) pinned: Sender<(ShardId, PinOutcome)>,
}

/// Commands executed between two looks at the control channel.
const BATCH: usize = 64;

pub(crate) fn spawn(
    setup: WorkerSetup,
    shared: Arc<Shared>,
    wake: Arc<dyn Wake>,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(format!("shard-{}", setup.id)).spawn(move || {
        // The front waits for this answer, so a closed channel means that it is gone, and so are we soon.
        let _ = setup.pinned.send((setup.id, pin_current_thread(setup.core)));
        run(&setup, &shared, &*wake);
    })
}

fn run(setup: &WorkerSetup, shared: &Shared, wake: &dyn Wake) {
    let mut backoff = Backoff::new(setup.idle, setup.shared_cores);
    loop {
        let mut shard = shared.lock();
        loop {
            let progress = shared.run(&mut shard, BATCH);
            if progress.events {
                wake.wake();
            }
            match setup.control.try_recv() {
                Ok(Control::Hash(reply)) => {
                    // The asker may have given up.
                    let _ = reply.send(shard.hashes());
                }
                Ok(Control::Stop) => return,
                Err(_) => {}
            }
            if progress.commands > 0 || progress.events {
                backoff.reset();
            } else if backoff.snooze() == Step::Sleep {
                break;
            }
        }
        drop(shard);
        shared.parking.announce();
        if !shared.has_work() && setup.control.is_empty() {
            shared.counters.sleeps.fetch_add(1, Ordering::Relaxed);
            thread::park();
        }
        shared.parking.retract();
        backoff.reset();
    }
}
