//! What is done beside an exchange for its data directory, while it trades or follows: snapshots ([`snapshots`]), and
//! the removal of segments that nobody needs any more ([`retention`]).
//!
//! One thread at the lowest priority, which shares nothing with the way of an order but the position up to which the
//! disk is. What it does may be cut off at any step, by its own end or by a kill.

mod retention;
mod snapshots;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use journal::Progress;
use log::warn;

use self::{retention::Retaining, snapshots::Snapshots};
use crate::{config::Upkeep, replication::needs::PeerNeeds};

/// How often the journal is looked at, and a process that takes a snapshot.
const LOOK: Duration = Duration::from_millis(100);

/// What is looked after.
pub(crate) struct Keeping {
    pub(crate) data: PathBuf,
    /// What the configuration asks for.
    pub(crate) upkeep: Upkeep,
    pub(crate) segment_bytes: u64,
    pub(crate) progress: Progress,
    /// The other node, in a pair.
    pub(crate) peer: Option<Arc<PeerNeeds>>,
    /// Whether this node leads, or is alone in the world.
    pub(crate) leads: bool,
    /// The exchange has been asked to stop.
    pub(crate) stop: Arc<AtomicBool>,
}

/// The thread. Dropped, it ends as soon as it can, and nobody waits for it.
pub(crate) struct Keeper {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeping {
    /// Starts the thread, if there is anything to do.
    pub(crate) fn spawn(self) -> Result<Keeper, String> {
        let over = Arc::new(AtomicBool::new(false));
        if self.upkeep.snapshot_bytes == 0 && self.upkeep.retain.is_none() {
            return Ok(Keeper { over, thread: None });
        }
        let ends = Ends { stop: Arc::clone(&self.stop), over: Arc::clone(&over) };
        let thread = std::thread::Builder::new()
            .name("keeping".into())
            .spawn(move || self.run(&ends))
            .map_err(|error| format!("no thread for snapshots and retention: {error}"))?;
        Ok(Keeper { over, thread: Some(thread) })
    }

    fn run(self, ends: &Ends) {
        // Of this thread alone.
        if let Err(error) = rustix::process::nice(19) {
            warn!("snapshots and retention run at the usual priority: {error}");
        }
        let Self { data, upkeep, segment_bytes, progress, peer, leads, .. } = self;
        let mut snapshots = Snapshots::new(data.clone(), upkeep.snapshot_bytes, progress.durable());
        let mut retaining = upkeep.retain.map(|retain| Retaining::new(data, retain, segment_bytes));
        while !ends.have_come() {
            let durable = progress.durable();
            // Where the standby takes them, as long as there is one.
            let left_to_peer =
                leads && upkeep.only_on_standby && peer.as_ref().is_some_and(|peer| peer.is_here());
            if !left_to_peer {
                snapshots.turn(durable, ends);
            }
            if let Some(retaining) = &mut retaining {
                retaining.turn(durable, peer.as_deref(), &ends.over);
            }
            ends.wait();
        }
    }
}

/// What ends the thread.
struct Ends {
    stop: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Ends {
    fn have_come(&self) -> bool {
        self.stop.load(Ordering::Acquire) || self.over.load(Ordering::Acquire)
    }

    /// Waits until it is time to look again, or until the thread is to end.
    fn wait(&self) {
        if !self.have_come() {
            std::thread::park_timeout(LOOK);
        }
    }
}

impl Keeper {
    fn call_off(&self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Ends it, and waits until nothing of it touches the directory any more. Says whether the thread was well.
    pub(crate) fn end(mut self) -> bool {
        self.call_off();
        self.thread.take().is_none_or(|thread| thread.join().is_ok())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.call_off();
    }
}
