//! What a node keeps besides its journal: a file of one line in the data directory, written whole before anything that
//! follows from it is done.
//!
//! ```text
//! promised=5 complete=true alone=false
//! ```

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
};

use cluster::Kept;
use domain::Epoch;
use log::warn;

const NAME: &str = "pair";

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeptFile {
    pub(crate) kept: Kept,
    /// An operator has put on record that this node leads alone: the other one must not be promoted.
    pub(crate) alone: bool,
}

impl KeptFile {
    /// Reads what is kept in `dir`; what a node has before it ever kept anything when there is no such file.
    pub(crate) fn read(dir: &Path) -> Result<Self, String> {
        let path = dir.join(NAME);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).ok_or_else(|| {
                format!(
                    "{}: \"{}\" is not what a node keeps. Without it nothing says which epochs this node has promised; \
                     make a fresh copy from the other node",
                    path.display(),
                    text.trim_end()
                )
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self { kept: Kept::NEW, alone: false }),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Reads it before the journal in `dir` is opened, which makes a new tail: what only a lost tail held may have been
    /// acknowledged as received, and that goes on record first.
    pub(crate) fn read_before_opening(dir: &Path) -> Result<Self, String> {
        let mut kept = Self::read(dir)?;
        if kept.kept.complete && journal::lost_its_tail(dir) {
            warn!("this machine was restarted without a clean stop: what only the tail held is lost");
            kept.doubt(dir)?;
        }
        Ok(kept)
    }

    /// A node of a pair that has no journal any more, put away for a snapshot that never came for instance, must not lead with a
    /// new one, which would be another history under its clients' sessions.
    pub(crate) fn must_have_its_journal(dir: &Path) -> Result<(), String> {
        if journal::is_there(dir) || Self::read(dir)?.kept == Kept::NEW {
            return Ok(());
        }
        Err(format!(
            "{} has been a node of a pair, and its journal is not there or is being put away: start it as the standby of the \
             other node, which sends it everything (exchange standby). Only if all is to begin anew, use another directory",
            dir.display()
        ))
    }

    /// Puts on record, if it is not yet, that this node may lack what it has acknowledged.
    pub(crate) fn doubt(&mut self, dir: &Path) -> Result<(), String> {
        if !self.kept.complete {
            return Ok(());
        }
        self.kept.complete = false;
        self.write(dir)
    }

    /// Writes it, durably.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), String> {
        let path = dir.join(NAME);
        let draft = dir.join("pair.tmp");
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&draft)?;
            file.write_all(self.line().as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(dir)?.sync_all()
        };
        write().map_err(|error| format!("{}: {error}", path.display()))
    }

    fn line(&self) -> String {
        let Self { kept: Kept { promised, complete }, alone } = self;
        format!("promised={promised} complete={complete} alone={alone}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_suffix('\n')?.split(' ');
        let mut value = |key: &str| words.next()?.strip_prefix(key)?.strip_prefix('=');
        let promised = Epoch(value("promised")?.parse().ok()?);
        let complete = value("complete")?.parse().ok()?;
        let alone = value("alone")?.parse().ok()?;
        words.next().is_none().then_some(Self { kept: Kept { promised, complete }, alone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let new = KeptFile { kept: Kept::NEW, alone: false };
        assert_eq!(KeptFile::read(dir.path()), Ok(new));
        for (promised, complete, alone) in [(0, true, false), (7, false, true), (u32::MAX, true, true)] {
            let kept = KeptFile { kept: Kept { promised: Epoch(promised), complete }, alone };
            kept.write(dir.path()).unwrap();
            assert_eq!(KeptFile::read(dir.path()), Ok(kept));
        }
        let good = "promised=7 complete=false alone=true\n";
        assert!(KeptFile::parse(good).is_some());
        for bad in [
            "",
            "\n",
            "promised=7 complete=false alone=true",
            "promised=7 complete=false alone=true more\n",
            "promised=-7 complete=false alone=true\n",
            "complete=false promised=7 alone=true\n",
            "promised=7 complete=no alone=true\n",
        ] {
            assert_eq!(KeptFile::parse(bad), None, "{bad:?}");
        }
        fs::write(dir.path().join(NAME), "nonsense").unwrap();
        assert!(KeptFile::read(dir.path()).unwrap_err().contains("fresh copy"));
    }
}
