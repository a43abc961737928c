//! The status of a node that follows: the same line, the same socket and the same `exchange top` as of one that leads,
//! from a thread beside it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded, never};
use journal::Progress;

use super::{Process, disk_alarm::DiskAlarm, status_socket, voice::Voice, watch::Watch};
use crate::{
    front::Requests,
    replication::following::Shown,
    status::{Counters, Fixed},
    wake::FrontWake,
};

/// The thread. It ends when the node follows no more.
pub(super) struct StandbyWatch {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

/// What a thread that watches is made of, before there is anything to watch.
pub(super) struct Prepared {
    requests: Arc<Requests>,
    counters: Receiver<Counters>,
    disk: Arc<Mutex<Option<Progress>>>,
}

impl Prepared {
    /// For the thread, and for what it watches.
    pub(super) fn new() -> (Self, Shown) {
        let requests = Arc::new(Requests::default());
        let (answers, counters) = bounded(1);
        let disk: Arc<Mutex<Option<Progress>>> = Arc::default();
        let shown = Shown { requests: Arc::clone(&requests), counters: answers, disk: Arc::clone(&disk) };
        (Self { requests, counters, disk }, shown)
    }

    /// Starts it, in a data directory that this process holds.
    pub(super) fn start(self, of: &Process<'_>, wake: &Arc<FrontWake>) -> Result<StandbyWatch, String> {
        let Self { requests, counters, disk } = self;
        let (end, ended) = bounded::<()>(0);
        let longest = move || {
            let disk = disk.lock().unwrap_or_else(PoisonError::into_inner);
            disk.as_ref().map_or(Duration::ZERO, Progress::longest_sync)
        };
        let watch = Watch {
            voice: Voice { json: of.args.json },
            fixed: Fixed {
                // Nothing is balanced here, so no book is ever named.
                symbols: Vec::new(),
                balance: of.choices.config.balance.name(),
                stealing_off: of.choices.stealing_off(),
            },
            every: of.status_each(),
            file: None,
            endpoint: status_socket(&of.args.data),
            requests,
            wake: Arc::clone(wake),
            counters,
            events: never(),
            end: ended,
            disk: DiskAlarm::new(longest),
        };
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || {
                watch.run();
            })
            .map_err(|error| format!("no thread for the status: {error}"))?;
        Ok(StandbyWatch { end, thread })
    }
}

impl StandbyWatch {
    /// Ends it: the socket is free for whoever is next. Says whether the thread was well.
    pub(super) fn end(self) -> bool {
        drop(self.end);
        self.thread.join().is_ok()
    }
}
