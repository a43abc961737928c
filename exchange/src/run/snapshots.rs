//! Snapshots while the exchange trades: `exchange snapshot` in a process of its own, each time that the journal has grown
//! by so much.
//!
//! A process rather than a thread: its memory, a second copy of all books, is given back when it ends, it has the lowest
//! priority, and whatever becomes of it, the exchange goes on. It is ended when the exchange stops, which writes its own.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use journal::{Position, Progress};
use log::{info, warn};

/// How often the journal is looked at, and a process that takes a snapshot.
const LOOK: Duration = Duration::from_millis(100);
/// The shortest time from one snapshot's end to the next one's begin: under the highest load the journal grows by a
/// gigabyte in seconds, and reading it back takes as long as writing it did.
const PAUSE: Duration = Duration::from_secs(30);

/// When snapshots are taken, and of what.
pub(super) struct Snapshots {
    pub(super) data: PathBuf,
    /// Bytes of the journal from one to the next.
    pub(super) every: u64,
    pub(super) progress: Progress,
    /// The place of the last one.
    pub(super) last: Position,
    /// Any of these ends it.
    pub(super) stop: [Arc<AtomicBool>; 2],
}

impl Snapshots {
    /// Takes them in a thread, until the exchange is asked to stop.
    pub(super) fn spawn(self) -> Result<JoinHandle<()>, String> {
        std::thread::Builder::new()
            .name("snapshots".into())
            .spawn(move || self.run())
            .map_err(|error| format!("no thread for snapshots: {error}"))
    }

    fn run(mut self) {
        let mut not_before = Instant::now();
        while !self.must_stop() {
            let durable = self.progress.durable();
            if durable.0.saturating_sub(self.last.0) >= self.every && Instant::now() >= not_before {
                // Whatever comes of it: the next is tried when the journal has grown again.
                self.last = durable;
                match take(&self.data) {
                    Ok(child) => self.wait(child),
                    Err(error) => warn!("no snapshot: {error}"),
                }
                not_before = Instant::now() + PAUSE;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn must_stop(&self) -> bool {
        self.stop.iter().any(|stop| stop.load(Ordering::Acquire))
    }

    fn wait(&self, mut child: Child) {
        let begun = Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => {
                    info!("snapshot taken in {:.1} s", begun.elapsed().as_secs_f64());
                    return;
                }
                Ok(Some(status)) => {
                    warn!("no snapshot: its process ended with {status}");
                    return;
                }
                Ok(None) if self.must_stop() => {
                    // What it has written is no snapshot by its name.
                    let _ = child.kill();
                    let _ = child.wait();
                    return;
                }
                Ok(None) => std::thread::sleep(LOOK),
                Err(error) => {
                    warn!("no snapshot: {error}");
                    return;
                }
            }
        }
    }
}

/// Begins one.
fn take(data: &Path) -> Result<Child, String> {
    let program =
        std::env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    Command::new(&program)
        .args(["snapshot", "--json", "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))
}
