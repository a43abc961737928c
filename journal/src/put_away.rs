//! Moving a journal and its snapshots out of the way on purpose: a standby whose past its primary has no more begins
//! anew with a snapshot, and nothing of what it had is thrown away.
//!
//! Half of a journal is none: segments without the snapshot that stands for their beginning cannot be started from. So
//! what is to be done is put on record first, and from then on the directory counts as one without a journal:
//!
//! 1. the place is made, and its names brought to the disk;
//! 2. the file `put-away` with the place's path from the directory is written, synced, and gets its name;
//! 3. segments and snapshots are moved there one by one, the directories synced after each;
//! 4. the file is removed.
//!
//! A stop after 2 is mended by whoever opens the journal or puts it away again: 3 and 4 are done to their end.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::copy;
use crate::error::OpenError;
use crate::open::DirLock;
use crate::segment::io_error;
use crate::storage::{Files, Storage, write_all};
use crate::{segment, snapshot};

/// The name of the record of what is being done.
const RECORD: &str = "put-away";

/// Moves the segments and snapshots in `dir` to `place`, a path from there, which is made when it is not there. The journal
/// must be closed. What an earlier call has begun goes to the place that was named then.
///
/// # Errors
/// When the directory is in use, or the filesystem refuses. The call may be repeated.
pub fn put_away(dir: &Path, place: &Path) -> Result<(), OpenError> {
    let _lock = DirLock::take(dir)?;
    put_away_with(dir, place, &Files)
}

fn put_away_with(dir: &Path, place: &Path, storage: &dyn Storage) -> Result<(), OpenError> {
    finish(dir, storage)?;
    let made = dir.join(place);
    storage.make_dir(&made).map_err(|error| io_error("create", &made, error))?;
    let record = record_of(dir);
    write_record(&record, place, storage).map_err(|error| io_error("write", &record, error))?;
    finish(dir, storage)
}

/// Whether the journal in `dir` is being put away: it is none any more.
pub(crate) fn has_begun(dir: &Path) -> bool {
    record_of(dir).exists()
}

/// Does the rest of what is on record, if anything.
pub(crate) fn finish(dir: &Path, storage: &dyn Storage) -> Result<(), OpenError> {
    let record = record_of(dir);
    let place = match fs::read(&record) {
        Ok(path) => dir.join(OsString::from_vec(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("read", &record, error)),
    };
    for file in files(dir)? {
        let to = place.join(file.file_name().unwrap_or_default());
        storage.rename(&file, &to).map_err(|error| io_error("move", &file, error))?;
    }
    storage.remove(&record).map_err(|error| io_error("remove", &record, error))
}

fn record_of(dir: &Path) -> PathBuf {
    dir.join(RECORD)
}

fn write_record(record: &Path, place: &Path, storage: &dyn Storage) -> io::Result<()> {
    let draft = copy::draft_path(record);
    let file = storage.create(&draft)?;
    write_all(storage, &file, place.as_os_str().as_bytes(), 0)?;
    storage.sync(&file)?;
    storage.rename(&draft, record)
}

/// The journal's files, and the snapshots.
fn files(dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let mut files: Vec<PathBuf> =
        segment::list(dir)?.0.into_iter().map(|index| segment::path(dir, index)).collect();
    let snapshots =
        snapshot::list(dir).map_err(|error| io_error("list", dir, io::Error::other(error.to_string())))?;
    files.extend(snapshots);
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use domain::{ClusterId, Command, Mark, Nanos, Position, Sequence, Sequenced};

    use super::*;
    use crate::power::{self, Mutation, Power};
    use crate::{Appender, Journal, Options, is_there};

    fn open(dir: &Path) -> Result<(Appender, bool), String> {
        let options = Options { segment_bytes: 32 << 10, tail_bytes: 8 << 10, ..Options::small() };
        let (appender, found) =
            Journal::open(dir, &options, Arc::new(|| {})).map_err(|error| error.to_string())?;
        Ok((appender, found.created))
    }

    /// A journal of several segments with two snapshots, closed.
    fn fill(dir: &Path) {
        let (mut journal, _) = open(dir).expect("opens");
        while journal.mark().position.0 < 80 << 10 {
            let (sequence, nanos) = (journal.last_sequence().next(), Nanos(journal.last_nanos().0 + 1));
            if journal.append_command(&Sequenced { sequence, nanos, command: Command::EndOfDay }).is_ok() {
                journal.commit();
            }
        }
        journal.close().expect("closes");
        for position in [8 << 10, 64 << 10] {
            let header = snapshot::Header {
                version: snapshot::VERSION,
                cluster: ClusterId(1),
                mark: Mark { position: Position(position), chain: 0 },
                last_sequence: Sequence(1),
                last_nanos: Nanos(1),
                state: 0,
            };
            snapshot::write(dir, &header, &[7; 3_000]).expect("writes");
        }
    }

    type Contents = BTreeMap<PathBuf, Vec<u8>>;

    /// Segments and snapshots, by their names.
    fn contents(dir: &Path) -> Result<Contents, String> {
        let files = if dir.is_dir() { files(dir).map_err(|error| error.to_string())? } else { Vec::new() };
        let read = |path: PathBuf| {
            let bytes = fs::read(&path).map_err(|error| error.to_string())?;
            Ok((path.file_name().unwrap_or_default().into(), bytes))
        };
        files.into_iter().map(read).collect()
    }

    /// Whether a directory whose journal was being put away is as it must be: it has all of it, or counts as one without;
    /// putting away again comes to the end; and all is in the places that were named.
    fn is_well(dir: &Path, all: &Contents, again: bool) -> Result<(), String> {
        if is_there(dir) && contents(dir)? != *all {
            return Err("half a journal counts as one".into());
        }
        let had_begun = has_begun(dir);
        let (first, second) = (dir.join("archive/first"), dir.join("archive/second"));
        if again {
            put_away(dir, Path::new("archive/second")).map_err(|error| error.to_string())?;
        }
        let (journal, created) = open(dir)?;
        journal.close().map_err(|error| error.to_string())?;
        let kept: Contents = contents(&first)?.into_iter().chain(contents(&second)?).collect();
        if created {
            if kept == *all { Ok(()) } else { Err(format!("{:?} are kept", kept.keys())) }
        } else if again || had_begun {
            Err("it is still there".into())
        } else {
            Ok(())
        }
    }

    fn try_it(mutation: Option<Mutation>) -> (usize, Option<String>) {
        let dir = power::place();
        fill(dir.path());
        let all = contents(dir.path()).expect("reads");
        assert!(all.len() >= 5, "{:?}", all.keys());
        let power = Power::of(dir.path(), mutation);
        put_away_with(dir.path(), Path::new("archive/first"), &power).expect("is put away");
        let (mut outcomes, mut wrong) = (0, None);
        power.outcomes(|tree, made| {
            outcomes += 1;
            for again in [false, true] {
                if wrong.is_none() {
                    let left = power::place();
                    tree.make(left.path());
                    wrong = is_well(left.path(), &all, again)
                        .err()
                        .map(|what| format!("after {made} calls: {what}"));
                }
            }
        });
        (outcomes, wrong)
    }

    #[test]
    fn a_journal_is_there_or_put_away_wherever_the_process_or_the_power_went() {
        let (outcomes, wrong) = try_it(None);
        assert_eq!(wrong, None);
        assert!(outcomes > 12, "{outcomes} outcomes");
    }

    #[test]
    fn a_directory_that_is_not_synced_is_found() {
        let (_, wrong) = try_it(Some(Mutation::SkippedDirectorySync));
        assert!(wrong.is_some());
    }

    #[test]
    fn a_record_that_is_named_before_it_is_on_the_disk_is_found() {
        let (_, wrong) = try_it(Some(Mutation::RenameBeforeSync));
        assert!(wrong.is_some());
    }
}
