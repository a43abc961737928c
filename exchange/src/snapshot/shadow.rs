//! `exchange snapshot`: a snapshot of an exchange that trades, without asking anything of it.
//!
//! State is a function of the journal, so whoever reads the journal can have it. This follows the journal from its newest
//! good snapshot to where it ends now, in a process of its own and with the lowest priority, and writes what it has come
//! to. The exchange does nothing for it: no pause, no copy, no cut through running threads. And each snapshot is a check
//! of all that lies behind it: the journal is read back from the disk, judged, and every report in it is held against what
//! the books say.

use std::{path::Path, sync::Arc, time::Instant};

use engine::runtime::{Placement, PlacementPolicy, RuntimeConfig};
use journal::Reader;
use log::warn;
use serde_json::json;

use super::{Loaded, Place, State, Writing, Written, write_at};
use crate::{
    books::HowToRun,
    cli,
    follower::{Followed, Follower},
    recovery::follow_from_newest,
    say::say,
    wake::FrontWake,
};

/// What was done.
pub(crate) struct Taken {
    pub(crate) written: Written,
    pub(crate) place: Place,
    /// Commands that were executed for it.
    pub(crate) commands: u64,
    /// Reports that the books had caused and the journal did not have.
    pub(crate) owed: usize,
    pub(crate) seconds: f64,
}

/// The command.
pub(crate) fn snapshot(args: &cli::Snapshot) -> Result<(), String> {
    // What trades beside it comes first. Where that is refused, it is only slower for others.
    if let Err(error) = rustix::process::nice(19) {
        warn!("running at the usual priority: {error}");
    }
    let taken = take(&args.data)?;
    let Taken { written, place, commands, owed, seconds } = &taken;
    if args.json {
        say!(
            "{}",
            json!({
                "event": "snapshot",
                "file": written.file,
                "position": place.mark.position.0,
                "sequence": place.last_sequence.0,
                "state": written.state.to_string(),
                "bytes": written.bytes,
                "commands": commands,
                "owed": owed,
                "seconds": seconds,
            })
        );
    } else {
        say!(
            "snapshot {} at sequence {}: {} bytes, {commands} commands executed for it in {seconds:.3} s, {owed} \
             reports owed\nstate {}",
            written.file.display(),
            place.last_sequence,
            written.bytes,
            written.state
        );
    }
    Ok(())
}

/// Takes a snapshot of the journal in `dir` as it is now, whether an exchange runs there or not.
pub(crate) fn take(dir: &Path) -> Result<Taken, String> {
    let started = Instant::now();
    let _writing = Writing::begin(dir)?;
    let reader = Reader::open(dir).map_err(|error| error.to_string())?;
    let snapshots = journal::snapshot::list(dir).map_err(|error| error.to_string())?;
    let (follower, _) = follow_from_newest(dir, &reader, &snapshots, None, &begin)?;
    let Followed { books, sessions, instruments, commands } = follower.end()?;
    let place = Place {
        cluster: reader.cluster(),
        mark: reader.mark().ok_or("the journal ends in damage before its first batch")?,
        last_sequence: books.last_sequence(),
        last_nanos: books.last_nanos(),
    };
    let market_wide = books.market_wide();
    let books = books.runtime.finish();
    let state = State { market_wide, instruments: &instruments, books: &books, sessions: &sessions };
    let written = write_at(dir, &place, &state)?;
    let owed = sessions.owed().count();
    Ok(Taken { written, place, commands, owed, seconds: started.elapsed().as_secs_f64() })
}

fn begin(snapshot: Option<Loaded>) -> Result<Follower, String> {
    // One worker: whoever trades needs the other cores.
    let how: Arc<HowToRun> = Arc::new(|instruments| {
        let count = u32::try_from(instruments.len()).map_err(|error| error.to_string())?;
        let placement = Placement::new(PlacementPolicy::RoundRobin, count, 1);
        Ok(RuntimeConfig { inline_max: 0, shared_cores: true, ..RuntimeConfig::new(placement) })
    });
    Follower::begin(how, &Arc::new(FrontWake::default()), snapshot)
}
