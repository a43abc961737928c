//! Retention by itself: old segments go as soon as both snapshots are beyond them.
//!
//! In a pair the other node must have on its disk what lies before the older snapshot, too. So it finds here whatever it
//! still lacks; and should this journal ever be cut to what the other one has, the older snapshot is left to begin with.
//!
//! [`journal::retention`] decides and does it, and can be killed at every step. Here it is only asked at the right time:
//! a look at names and positions says whether there may be something to do, which is so once a segment at most.

use std::{
    path::PathBuf,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use journal::{
    Position,
    retention::{Retained, Retention},
    snapshot::{self, KEPT},
};
use log::{info, warn};

use crate::{config::Retain, replication::needs::PeerNeeds};

/// How often names are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// After an error, and after a turn that found less to do than names had promised: so long until the next.
const AGAIN: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Retaining {
    data: PathBuf,
    retain: Retain,
    segment_bytes: u64,
    retention: Retention,
    not_before: Instant,
    /// It has been said that the other node holds segments back.
    held_said: bool,
}

impl Retaining {
    pub(super) fn new(data: PathBuf, retain: Retain, segment_bytes: u64) -> Self {
        let retention = Retention::new(data.clone(), retain.archive.clone());
        Self { data, retain, segment_bytes, retention, not_before: Instant::now(), held_said: false }
    }

    /// Removes what may go. `stop` ends it soon.
    pub(super) fn turn(&mut self, durable: Position, peer: Option<&PeerNeeds>, stop: &AtomicBool) {
        let now = Instant::now();
        if now < self.not_before {
            return;
        }
        self.not_before = now + LOOK;
        let needed = peer.map(|peer| peer.floor(durable, self.retain.absent_bytes));
        let (Some(first), Some(older)) = (journal::first_position(&self.data), self.older_snapshot()) else {
            return;
        };
        // A machine that stops now may lose its place: nothing would be left to begin with.
        if older > durable {
            return;
        }
        if first.0.saturating_add(self.segment_bytes) >= older.0 {
            return;
        }
        if let Some(needed) = needed
            && needed < older
        {
            if !self.held_said {
                info!(
                    "retention: segments from position {first} on are kept for the other node, whose disk has what is before \
                     {needed}, until it has what is before the snapshot at {older}"
                );
                self.held_said = true;
            }
            return;
        }
        self.held_said = false;
        match self.retention.run(needed.as_slice(), stop) {
            Ok(Retained { removed: 0, stopped, .. }) => {
                if !stopped {
                    warn!(
                        "retention: {}: of the two newest snapshots one is not good, so nothing is removed",
                        self.data.display()
                    );
                    self.not_before = Instant::now() + AGAIN;
                }
            }
            Ok(Retained { removed, archived, bytes, begin, .. }) => {
                let archive = match &self.retain.archive {
                    Some(archive) => format!(", {archived} of them archived now in {}", archive.display()),
                    None => String::new(),
                };
                info!(
                    "retention: {removed} segments removed ({bytes} bytes){archive}; the journal begins at position {begin}"
                );
            }
            Err(error) => {
                warn!("retention: {error}");
                self.not_before = Instant::now() + AGAIN;
            }
        }
    }

    /// The place of the older of the snapshots that are kept, by its name.
    fn older_snapshot(&self) -> Option<Position> {
        let files = snapshot::list(&self.data).ok()?;
        snapshot::position_of(files.get(KEPT - 1)?)
    }
}
