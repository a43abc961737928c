//! Repair: segments that are damaged or missing, restored from another copy of the same journal.
//!
//! The copy may be a standby's data directory or an archive. Its seals may say other things of its own disk, so the
//! two are held together by their chains, which are hashes of the records.
//!
//! [`plan`] decides, and changes nothing:
//! 1. the directory is locked, so nobody is running on it;
//! 2. every segment that should be there is walked; those that are bad are named;
//! 3. for each, the copy must have a good one of the same journal, whose chain goes on from the segment before and is
//!    gone on from by the one behind. Of the last segment, which nothing lies behind, the copy must have the last batch
//!    that can still be made out in the damaged file. All that the copy has of it is taken, since more of it may have
//!    been there than can be made out; but where the directory has a tail that goes on from that batch, up to there.
//!
//! [`Plan::carry_out`] does it:
//! 4. all good segments are written beside the bad ones, under other names, synced, and walked again;
//! 5. one by one, the bad file gets a second name, `NAME.damaged`, and the good one takes its place, in one step;
//! 6. the whole journal is verified.
//!
//! Up to step 5 nothing of the journal has changed; in it, each name has the bad or the good file at any moment.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use domain::{ClusterId, Position};

use crate::copy::{self, Walked};
use crate::error::{Damage, OpenError};
use crate::inspect::{self, Verify};
use crate::map::Map;
use crate::open::DirLock;
use crate::record;
use crate::recovery::{self, Verdict, piece};
use crate::segment::{self, HEADER_BYTES, SegmentHeader};
use crate::storage::{Storage, sync_parent};
use crate::tail;
use crate::walk;

/// Why a journal is not repaired. Nothing has been changed, except where a variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// The directory cannot be used: it is locked, it is not there, its format is newer.
    #[error(transparent)]
    Open(Box<OpenError>),
    /// Both are the same directory.
    #[error("{dir} is both the damaged directory and the copy")]
    Same {
        /// The directory.
        dir: PathBuf,
    },
    /// There is no segment, or none of which anything is left.
    #[error("nothing in {dir} says which journal it was. Take the copy itself for the data directory")]
    NothingLeft {
        /// The directory.
        dir: PathBuf,
    },
    /// The copy is of another journal.
    #[error("{file} is of another journal: cluster {found}, and the damaged one is {expected}")]
    Foreign {
        /// The copy's file.
        file: PathBuf,
        /// Its cluster.
        found: ClusterId,
        /// The damaged journal's.
        expected: ClusterId,
    },
    /// The copy does not have a segment that is needed.
    #[error("{damaged} is bad ({what}), and {file} is not there")]
    Absent {
        /// The bad file.
        damaged: PathBuf,
        /// What is wrong with it.
        what: String,
        /// The file that should be in the copy.
        file: PathBuf,
    },
    /// What the copy has is damaged, too.
    #[error("{damaged} is bad, and so is the copy: {what}")]
    CopyDamaged {
        /// The bad file.
        damaged: PathBuf,
        /// What is wrong with the copy's.
        what: String,
    },
    /// The copy does not reach as far as the damaged file did.
    #[error(
        "{file} ends at position {end}, and {damaged} had batches to position {needed}: what lies between would be lost. Stop the exchange that runs there, if one does, so that all that it has is in its segments"
    )]
    Behind {
        /// The bad file.
        damaged: PathBuf,
        /// The copy's file.
        file: PathBuf,
        /// Where it ends.
        end: Position,
        /// Where the last batch ends that can be made out in the bad file.
        needed: Position,
    },
    /// The copy is another history of this journal.
    #[error(
        "{file} is another history of this journal: at position {at} its chain is {found:016x}, and here it is {expected:016x}"
    )]
    Differs {
        /// The copy's file.
        file: PathBuf,
        /// Where they should agree.
        at: Position,
        /// The copy's chain.
        found: u64,
        /// The damaged journal's.
        expected: u64,
    },
    /// What was written beside the bad file is not what was copied.
    #[error("{file} is not what was copied into it: {what}. The journal has not been changed")]
    Draft {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// An operation of the filesystem failed. Files that have been replaced by then are good; the same command goes on
    /// from there.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<OpenError> for RepairError {
    fn from(error: OpenError) -> Self {
        Self::Open(Box::new(error))
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RepairError {
    move |source| RepairError::Io { action, path: path.to_path_buf(), source }
}

/// A bad segment, and the good one that takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The bad file, or where it should be.
    pub file: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// The good file.
    pub source: PathBuf,
    /// Up to where it is taken.
    pub until: Position,
}

/// What is to be done. The directory is locked while this is there.
#[derive(Debug)]
pub struct Plan {
    dir: PathBuf,
    replacements: Vec<Replacement>,
    /// Each one's file, the chain that it goes on from, and the chain at its end.
    sources: Vec<(File, u64, u64)>,
    _lock: DirLock,
}

/// What was done.
#[derive(Debug)]
pub struct Repaired {
    /// The journal, verified after the repair. Problems that are left are of another kind.
    pub verify: Verify,
    /// Where the bad files are now.
    pub damaged: Vec<PathBuf>,
}

/// Finds what is damaged in `dir`, and what `from` has to replace it. Changes nothing but the lock file.
///
/// # Errors
/// Every reason to refuse; see [`RepairError`].
pub fn plan(dir: &Path, from: &Path) -> Result<Plan, RepairError> {
    let real = |dir: &Path| std::fs::canonicalize(dir).map_err(|e| io_error("find", dir)(e));
    let (dir, from) = (real(dir)?, real(from)?);
    if dir == from {
        return Err(RepairError::Same { dir });
    }
    let (indexes, _) = segment::list(&dir)?;
    let (Some(first), Some(last)) = (indexes.first().copied(), indexes.last().copied()) else {
        return Err(RepairError::NothingLeft { dir });
    };
    let lock = DirLock::take(&dir)?;
    let like = identify(&dir, &from, &indexes)?;
    let found = (first..=last).map(|index| Found::look(&dir, &like, index, index == last));
    let mut found = found.collect::<Result<Vec<_>, _>>()?;
    for place in 1..found.len() {
        let end = found[place - 1].good().and_then(Walked::whole);
        let before = found[place].good().and_then(|walked| walked.before);
        if let (Some(end), Some(before)) = (end, before)
            && end != before
        {
            // The copy says which of the two is wrong.
            let copy = copy::walk(&segment::path(&from, first + place as u64 - 1)).ok();
            let (wrong, what) = if copy.and_then(|copy| copy.whole()) == Some(before) {
                let what =
                    format!("it ends with chain {end:016x}, and the segment behind continues {before:016x}");
                (place - 1, what)
            } else {
                (
                    place,
                    format!("it continues chain {before:016x}, and the segment before ends with {end:016x}"),
                )
            };
            found[wrong].bad = Some(what);
        }
    }

    let mut replacements = Vec::new();
    let mut sources = Vec::new();
    // Where the segment before ends, good or to be replaced.
    let mut left: Option<u64> = None;
    for (place, of) in found.iter().enumerate() {
        let index = first + place as u64;
        let Some(what) = of.bad.clone() else {
            left = of.good().and_then(Walked::whole);
            continue;
        };
        let file = segment::path(&dir, index);
        let source = source(&from, &like, index, &file, &what)?;
        let (before, until, chain) = if index == last {
            let has_more = segment::path(&from, index + 1).exists();
            of_the_last(&file, &source, Tail::of(&dir, like.cluster), has_more)?
        } else {
            whole(&file, &source)?
        };
        let expect = |expected: Option<u64>, found: u64, at: u64| match expected {
            Some(expected) if expected != found => {
                let file = source.segment.path.clone();
                Err(RepairError::Differs { file, at: Position(at), found, expected })
            }
            _ => Ok(()),
        };
        expect(left, before, source.segment.header.base())?;
        let right = found.get(place + 1).and_then(|next| next.good()).and_then(|next| next.before);
        expect(right, chain, until)?;
        left = Some(chain);
        let until = Position(until);
        replacements.push(Replacement { file, what, source: source.segment.path.clone(), until });
        sources.push((source.segment.file, before, chain));
    }
    Ok(Plan { dir, replacements, sources, _lock: lock })
}

impl Plan {
    /// What is to be replaced, in order. Nothing: the segments are good.
    #[must_use]
    pub fn replacements(&self) -> &[Replacement] {
        &self.replacements
    }

    /// Does it, and verifies the journal.
    ///
    /// # Errors
    /// When the filesystem refuses; until the first file is replaced, the journal is then as it was.
    pub fn carry_out(self, storage: &dyn Storage) -> Result<Repaired, RepairError> {
        let drafts = self.write_drafts(storage);
        if drafts.is_err() {
            for of in &self.replacements {
                // Nothing knows these by their names.
                let _ = std::fs::remove_file(copy::draft_path(&of.file));
            }
        }
        drafts?;
        let mut damaged = Vec::new();
        for of in &self.replacements {
            if of.file.try_exists().map_err(io_error("look at", &of.file))? {
                let aside = free_name(&of.file)?;
                std::fs::hard_link(&of.file, &aside).map_err(io_error("link as", &aside))?;
                sync_parent(&aside).map_err(io_error("sync the directory of", &aside))?;
                damaged.push(aside);
            }
            storage.rename(&copy::draft_path(&of.file), &of.file).map_err(io_error("replace", &of.file))?;
        }
        Ok(Repaired { verify: inspect::verify(&self.dir)?, damaged })
    }

    fn write_drafts(&self, storage: &dyn Storage) -> Result<(), RepairError> {
        for (of, (source, before, chain)) in self.replacements.iter().zip(&self.sources) {
            let draft = copy::draft_path(&of.file);
            let header = SegmentHeader::read(source, &of.source)?;
            let bytes = HEADER_BYTES + (of.until.0 - header.base());
            copy::copy(storage, source, &draft, bytes, false, &|| true).map_err(io_error("write", &draft))?;
            let written = copy::walk(&draft)?;
            let same = (written.before, written.scan.chain) == (Some(*before), Some(*chain));
            // Nothing of it may be taken, where a tail has all.
            let nothing = of.until.0 == header.base();
            if written.fault.is_some() || written.scan.end != of.until.0 || !(same || nothing) {
                return Err(RepairError::Draft { file: draft, what: written.damage().to_string() });
            }
        }
        Ok(())
    }
}

/// A segment of the damaged directory.
#[derive(Debug)]
struct Found {
    walked: Option<Walked>,
    /// What is wrong with it.
    bad: Option<String>,
}

impl Found {
    /// Looks at the segment `index` of a journal like `like`.
    fn look(dir: &Path, like: &SegmentHeader, index: u64, is_last: bool) -> Result<Self, RepairError> {
        let path = segment::path(dir, index);
        let bad = |what: String| Ok(Self { walked: None, bad: Some(what) });
        let walked = match copy::walk(&path) {
            Ok(walked) => walked,
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return bad("it is missing".into());
            }
            Err(error @ (OpenError::Io { .. } | OpenError::NewerFormat { .. })) => return Err(error.into()),
            Err(OpenError::BadHeader { what, .. }) => return bad(format!("bad segment header: {what}")),
            Err(error) => return bad(error.to_string()),
        };
        let header = &walked.segment.header;
        if (header.cluster, header.capacity, header.index) != (like.cluster, like.capacity, index) {
            return bad(format!(
                "by its header it is segment {} of cluster {}, with {} data bytes",
                header.index, header.cluster, header.capacity
            ));
        }
        let length = walked.segment.file.metadata().map_err(io_error("look at", &path))?.len();
        let expected = header.file_bytes();
        if length > expected || (length < expected && !is_last) {
            return bad(format!("it has {length} bytes, expected {expected}"));
        }
        if let Some(fault) = walked.fault {
            let map = walked.segment.map()?;
            let verdict =
                recovery::judge(&walked.segment, &walked.segment.piece(&map), is_last, &walked.scan, &fault);
            if let Verdict::Damage(Damage { position, expected, found, .. }) = verdict {
                return bad(format!("at position {position}: expected {expected}, found {found}"));
            }
        }
        Ok(Self { walked: Some(walked), bad: None })
    }

    fn good(&self) -> Option<&Walked> {
        self.walked.as_ref().filter(|_| self.bad.is_none())
    }
}

/// A header of the damaged journal: what most of its segments say; if no header is good, the copy's, if something in
/// a damaged file is of it.
fn identify(dir: &Path, from: &Path, indexes: &[u64]) -> Result<SegmentHeader, RepairError> {
    let mut votes: BTreeMap<(ClusterId, u64), (u64, SegmentHeader)> = BTreeMap::new();
    for index in indexes {
        let path = segment::path(dir, *index);
        let file = File::open(&path).map_err(io_error("open", &path))?;
        match SegmentHeader::read(&file, &path) {
            Ok(header) => votes.entry((header.cluster, header.capacity)).or_insert((0, header)).0 += 1,
            Err(error @ OpenError::NewerFormat { .. }) => return Err(error.into()),
            Err(_) => {}
        }
    }
    if let Some((_, header)) = votes.into_values().max_by_key(|(votes, _)| *votes) {
        return Ok(header);
    }
    for index in indexes {
        let (path, copy) = (segment::path(dir, *index), segment::path(from, *index));
        let Ok(header) = File::open(&copy).map(|file| SegmentHeader::read(&file, &copy)) else { continue };
        let Ok(header) = header else { continue };
        if last_seal(&path, &header)?.is_some() {
            return Ok(header);
        }
    }
    Err(RepairError::NothingLeft { dir: dir.to_path_buf() })
}

/// The copy's segment `index`, walked: of the same journal, and good at its beginning.
fn source(
    from: &Path,
    like: &SegmentHeader,
    index: u64,
    damaged: &Path,
    what: &str,
) -> Result<Walked, RepairError> {
    let file = segment::path(from, index);
    let copy_damaged = |what: String| RepairError::CopyDamaged { damaged: damaged.to_path_buf(), what };
    let walked = match copy::walk(&file) {
        Ok(walked) => walked,
        Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let (damaged, what) = (damaged.to_path_buf(), what.to_owned());
            return Err(RepairError::Absent { damaged, what, file });
        }
        Err(error) => return Err(copy_damaged(error.to_string())),
    };
    let header = &walked.segment.header;
    if header.cluster != like.cluster {
        return Err(RepairError::Foreign { file, found: header.cluster, expected: like.cluster });
    }
    if (header.capacity, header.index) != (like.capacity, index) {
        return Err(copy_damaged(format!(
            "{} is segment {} with {} data bytes, and those here have {}",
            file.display(),
            header.index,
            header.capacity,
            like.capacity
        )));
    }
    Ok(walked)
}

/// All of a source: the chain before it, its end, and the chain there.
fn whole(damaged: &Path, source: &Walked) -> Result<(u64, u64, u64), RepairError> {
    match (source.before, source.whole()) {
        (Some(before), Some(chain)) => Ok((before, source.scan.end, chain)),
        _ => Err(RepairError::CopyDamaged {
            damaged: damaged.to_path_buf(),
            what: source.damage().to_string(),
        }),
    }
}

/// A source of the last segment. It must have the last batch that can still be made out in the damaged file, and is taken
/// to its end; where a tail goes on from that batch, to there. `has_more` says that the copy has a later segment.
fn of_the_last(
    damaged: &Path,
    source: &Walked,
    tail: Option<Tail>,
    has_more: bool,
) -> Result<(u64, u64, u64), RepairError> {
    let header = &source.segment.header;
    let copy_damaged = |what: String| RepairError::CopyDamaged { damaged: damaged.to_path_buf(), what };
    let map = source.segment.map()?;
    let piece = source.segment.piece(&map);
    if let Some(fault) = source.fault
        && let Verdict::Damage(damage) =
            recovery::judge(&source.segment, &piece, !has_more, &source.scan, &fault)
    {
        return Err(copy_damaged(damage.to_string()));
    }
    let Some(before) = source.before else { return Err(copy_damaged(source.damage().to_string())) };
    let seal = last_seal(damaged, header)?;
    let needed = seal.map_or(header.base(), |seal| seal.end);
    let limit = match tail {
        None => u64::MAX,
        Some(tail) if needed >= tail.floor => needed,
        Some(tail) => tail.committed.max(needed),
    };
    let (mut at, mut chain) = (header.base(), before);
    // Walked before, up to there.
    while at < source.scan.end
        && let Ok(batch) = walk::batch(&piece, at, Some(chain))
        && batch.end <= limit
    {
        if let Some(seal) = seal
            && at < seal.end
            && batch.end >= seal.end
            && (batch.seal_at, batch.seal.chain) != (seal.at, seal.chain)
        {
            let (file, at, found) = (source.segment.path.clone(), Position(seal.end), batch.seal.chain);
            return Err(RepairError::Differs { file, at, found, expected: seal.chain });
        }
        (at, chain) = (batch.end, batch.seal.chain);
    }
    if at < needed {
        let (damaged, file) = (damaged.to_path_buf(), source.segment.path.clone());
        return Err(RepairError::Behind { damaged, file, end: Position(at), needed: Position(needed) });
    }
    Ok((before, at, chain))
}

/// What the tail of the damaged directory has, from where to where.
#[derive(Clone, Copy, Debug)]
struct Tail {
    floor: u64,
    committed: u64,
}

impl Tail {
    /// The directory's own, if it has one.
    fn of(dir: &Path, cluster: ClusterId) -> Option<Self> {
        let (_, Ok(view)) = tail::linked(dir)? else { return None };
        let committed = view.committed().ok()?;
        let floor = view.header.base.max(committed.saturating_sub(view.header.ring_bytes));
        (view.is_of(dir) && view.header.cluster == cluster).then_some(Self { floor, committed })
    }
}

/// A seal that was found.
#[derive(Clone, Copy, Debug)]
struct FoundSeal {
    at: u64,
    end: u64,
    chain: u64,
}

/// The last valid seal anywhere in the file `path`, read as the segment `header`.
fn last_seal(path: &Path, header: &SegmentHeader) -> Result<Option<FoundSeal>, RepairError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_error("open", path)(e)),
    };
    if file.metadata().map_err(io_error("look at", path))?.len() <= HEADER_BYTES {
        return Ok(None);
    }
    let map = Map::of(&file).map_err(io_error("map", path))?;
    let piece = piece(header, &map);
    let Some((at, _)) = walk::seals_between(&piece, piece.base, piece.end()) else { return Ok(None) };
    let bytes = piece.from(at);
    let seal = record::seal_of(bytes);
    let end = at + record::length_of(bytes) as u64;
    Ok(seal.map(|seal| FoundSeal { at, end, chain: seal.chain }))
}

/// A name for a bad file that nothing has yet.
fn free_name(path: &Path) -> Result<PathBuf, RepairError> {
    for number in 0u32.. {
        let mut name = path.as_os_str().to_owned();
        name.push(".damaged");
        if number > 0 {
            name.push(format!(".{number}"));
        }
        let name = PathBuf::from(name);
        if !name.try_exists().map_err(io_error("look at", &name))? {
            return Ok(name);
        }
    }
    unreachable!("a directory has fewer names than that")
}
