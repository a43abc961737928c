//! Threads that make sessions' files safe, so that a disk that is slow with one holds up no other session.

use std::{fs::File, sync::Arc, thread::JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

/// As many files at a time.
const THREADS: usize = 4;

/// A file to be synced.
pub(super) struct Job {
    /// Whose.
    pub(super) serial: u64,
    pub(super) index: usize,
    pub(super) file: Arc<File>,
    /// Bytes that are written, and safe afterwards.
    pub(super) written: u64,
}

/// One that is.
pub(super) struct Synced {
    pub(super) serial: u64,
    pub(super) index: usize,
    pub(super) written: u64,
    pub(super) result: std::io::Result<()>,
}

/// See the module. Each session has at most one job here, so there are no more than connections.
pub(super) struct Syncs {
    /// `None` when it is being ended.
    jobs: Option<Sender<Job>>,
    pub(super) done: Receiver<Synced>,
    threads: Vec<JoinHandle<()>>,
}

impl Syncs {
    /// Starts the threads; each calls `wake` when it has synced something.
    pub(super) fn start(wake: &Arc<mio::Waker>) -> Result<Self, String> {
        let (jobs, inbox) = unbounded::<Job>();
        let (to, done) = unbounded();
        let threads = (0..THREADS)
            .map(|number| {
                let (inbox, to, wake) = (inbox.clone(), to.clone(), Arc::clone(wake));
                std::thread::Builder::new().name(format!("sync-{number}")).spawn(move || {
                    for Job { serial, index, file, written } in inbox {
                        let result = file.sync_data();
                        if to.send(Synced { serial, index, written, result }).is_err() || wake.wake().is_err()
                        {
                            return;
                        }
                    }
                })
            })
            .collect::<Result<_, _>>()
            .map_err(|error| format!("no thread for syncing: {error}"))?;
        Ok(Self { jobs: Some(jobs), done, threads })
    }

    /// Has a file synced.
    pub(super) fn sync(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The threads take jobs for as long as this lives.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Syncs {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
