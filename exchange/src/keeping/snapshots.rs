//! Snapshots beside an exchange: `exchange snapshot` in a process of its own, each time that the journal has grown by so
//! much.
//!
//! A process rather than a thread: its memory, a second copy of all books, is given back when it ends, it has the lowest
//! priority, and whatever becomes of it, the exchange goes on. It is ended when the exchange stops, which writes its own.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use journal::{Position, snapshot};
use log::{info, warn};

use super::Ends;

/// The shortest time from one snapshot's end to the next one's begin: under the highest load the journal grows by a
/// gigabyte in seconds, and reading it back takes as long as writing it did.
const PAUSE: Duration = Duration::from_secs(30);

/// When snapshots are taken, and of what.
pub(super) struct Snapshots {
    data: PathBuf,
    /// Bytes of the journal from one to the next; 0 for none.
    every: u64,
    /// The place of the last one.
    last: Position,
    not_before: Instant,
}

impl Snapshots {
    /// Of a journal that is on the disk up to `durable`.
    pub(super) fn new(data: PathBuf, every: u64, durable: Position) -> Self {
        // One beyond the end is of a journal that was cut since.
        let places = snapshot::list(&data).unwrap_or_default();
        let last =
            places.iter().filter_map(|path| snapshot::position_of(path)).find(|place| *place <= durable);
        Self { data, every, last: last.unwrap_or(Position(0)), not_before: Instant::now() }
    }

    /// Takes one if it is time, and waits for it.
    pub(super) fn turn(&mut self, durable: Position, ends: &Ends) {
        if self.every == 0
            || durable.0.saturating_sub(self.last.0) < self.every
            || Instant::now() < self.not_before
        {
            return;
        }
        // Whatever comes of it: the next is tried when the journal has grown again.
        self.last = durable;
        match take(&self.data) {
            Ok(child) => wait(child, ends),
            Err(error) => warn!("no snapshot: {error}"),
        }
        self.not_before = Instant::now() + PAUSE;
    }
}

fn wait(mut child: Child, ends: &Ends) {
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
            Ok(None) if ends.have_come() => {
                // What it has written is no snapshot by its name.
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            Ok(None) => ends.wait(),
            Err(error) => {
                warn!("no snapshot: {error}");
                return;
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
