//! Looking at a directory: what it holds, and everything that is wrong with it. Changes nothing, needs no
//! lock.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use domain::{ClusterId, Nanos, Position, Sequence, SessionId};

use crate::codec;
use crate::error::{Damage, OpenError};
use crate::reader::Reader;
use crate::record::{Header, RecordKind};
use crate::recovery::{self, Beyond, Cut, Scan, Verdict};
use crate::segment::HEADER_BYTES;
use crate::snapshot;
use crate::tail;
use crate::walk::{self, Batch, Piece};

/// What a journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Which journal it is.
    pub cluster: ClusterId,
    /// The version of its format.
    pub format: u32,
    /// The epoch of its last segment.
    pub epoch: u32,
    /// Data bytes of a segment.
    pub capacity: u64,
    /// Its segments, in order.
    pub segments: Vec<SegmentInfo>,
    /// Complete or incomplete segments prepared for later.
    pub spares: Vec<PathBuf>,
    /// Its tail, when there is one.
    pub tail: Option<TailInfo>,
    /// The snapshots beside it, the newest first.
    pub snapshots: Vec<SnapshotInfo>,
    /// Where it begins: at 0, or behind what retention has removed.
    pub begin: Position,
    /// Where the valid part ends, the tail's included.
    pub end: Position,
    /// The last command's sequence.
    pub last_sequence: Sequence,
    /// The last command's time.
    pub last_nanos: Nanos,
    /// Commands.
    pub commands: u64,
    /// Reports.
    pub reports: u64,
    /// Batches, each with its seal.
    pub batches: u64,
    /// How many records of each kind there are, seals not counted.
    pub kinds: BTreeMap<RecordKind, u64>,
    /// The epochs of its records, in order.
    pub epochs: Vec<EpochInfo>,
    /// What an open would cut off the end.
    pub cut: Option<Cut>,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its file.
    pub file: PathBuf,
    /// Its index.
    pub index: u64,
    /// The position of its first byte.
    pub base: Position,
    /// Data bytes that its file has; the last one's may still grow.
    pub bytes: u64,
    /// When it was made.
    pub created: Nanos,
}

/// An epoch: the term of one primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochInfo {
    /// Its number.
    pub epoch: u32,
    /// Its first record, as far as the journal is kept.
    pub first_position: Position,
    /// Its first command, as far as the journal is kept; `None` when it has none yet.
    pub first_sequence: Option<Sequence>,
}

/// A snapshot beside the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its file.
    pub file: PathBuf,
    /// The position in its name.
    pub position: Position,
    /// What it says of itself; `None` when its header says nothing that can be believed.
    pub header: Option<snapshot::Header>,
    /// Why a recovery could not begin with it; `None` when its header and CRCs are good and the journal has its place.
    /// Whether its body makes sense is for its writer to say.
    pub problem: Option<String>,
}

/// A tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailInfo {
    /// Its file.
    pub file: PathBuf,
    /// The ring's size.
    pub ring_bytes: u64,
    /// Its committed cursor.
    pub committed: Position,
    /// Whether a process holds it.
    pub in_use: bool,
    /// Committed bytes that the segments do not have.
    pub beyond_segments: u64,
}

/// Everything that is wrong with a journal.
#[derive(Clone, Debug)]
pub struct Verify {
    /// What it holds, as far as it could be read.
    pub info: Info,
    /// What is wrong, in order. Empty: nothing.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Bytes are not what they were; nothing after them was looked at.
    Damage(Damage),
    /// A record's fields cannot be.
    Undecodable(Damage),
    /// A command's time is before that of the one before it.
    TimeBackwards(Damage),
    /// A session's outbound numbers have a gap or a repetition.
    ReportNumber {
        /// The session.
        session: SessionId,
        /// The number that is next.
        expected: u64,
        /// Where, and what was found.
        place: Damage,
    },
    /// The tail does not continue the segments.
    Tail {
        /// The tail.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A snapshot is not what was written, or not of this journal.
    Snapshot {
        /// The snapshot.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The journal's first segments have been removed, and no good snapshot says what was in them: it cannot be
    /// recovered from.
    NoStart {
        /// Where it begins.
        begin: Position,
    },
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Damage(d) | Self::Undecodable(d) | Self::TimeBackwards(d) => d.fmt(f),
            Self::ReportNumber { session, place, .. } => write!(f, "session {session}: {place}"),
            Self::Tail { file, what } => write!(f, "tail {}: {what}", file.display()),
            Self::Snapshot { file, what } => write!(f, "snapshot {}: {what}", file.display()),
            Self::NoStart { begin } => write!(
                f,
                "the journal begins at position {begin}, and no snapshot at or beyond it is good: no exchange can start \
                 from it. Put a snapshot back, or the segments before it from the archive"
            ),
        }
    }
}

/// Problems named before the rest is only counted.
const PROBLEMS_MAX: usize = 1000;

/// What the journal in `dir` holds. Reads all of it, checking CRCs and chain.
///
/// # Errors
/// When it is no journal, or damaged: [`verify`] then says more.
pub fn info(dir: impl AsRef<Path>) -> Result<Info, OpenError> {
    let verify = run(dir.as_ref(), false)?;
    match verify.problems.into_iter().next() {
        Some(Problem::Damage(damage)) => Err(OpenError::Corrupt(damage)),
        _ => Ok(verify.info),
    }
}

/// Checks everything: every CRC, the chain, that commands are numbered without a gap, that time does not go
/// backwards, that each session's reports are numbered without a gap, that every record decodes; of snapshots, their
/// header, their CRCs and that the journal has their place.
///
/// # Errors
/// When the files themselves are not a journal's. Damage inside them is a [`Problem`].
pub fn verify(dir: impl AsRef<Path>) -> Result<Verify, OpenError> {
    run(dir.as_ref(), true)
}

/// What is kept from record to record.
struct Checks {
    deep: bool,
    kinds: BTreeMap<RecordKind, u64>,
    epochs: Vec<EpochInfo>,
    /// The first segments are not there, so a session's first report may have any number.
    begins_later: bool,
    /// The last outbound number of each session.
    numbers: BTreeMap<SessionId, u64>,
    last_nanos: u64,
    problems: Vec<Problem>,
}

impl Checks {
    fn batch(&mut self, file: &Path, offset: u64, piece: &Piece<'_>, at: u64, batch: &Batch) {
        for (at, header, payload) in walk::records(*piece, at, batch) {
            *self.kinds.entry(header.kind).or_default() += 1;
            self.epoch(at, &header);
            if !self.deep {
                continue;
            }
            let place = |expected: String, found: String| Damage {
                file: file.to_path_buf(),
                offset: offset + (at - piece.base),
                position: Position(at),
                expected,
                found,
                evidence: String::new(),
            };
            if header.kind.is_command() {
                if let Err(e) = codec::command::decode(header.kind, header.detail, payload) {
                    self.say(Problem::Undecodable(place("a command".into(), e.to_string())));
                }
                if header.nanos < self.last_nanos {
                    let expected = format!("a time of {} or later", self.last_nanos);
                    self.say(Problem::TimeBackwards(place(expected, header.nanos.to_string())));
                }
                self.last_nanos = header.nanos;
                continue;
            }
            match codec::report::decode(&header, payload) {
                Err(e) => self.say(Problem::Undecodable(place("a report".into(), e.to_string()))),
                Ok(report) => {
                    let last = self.numbers.insert(report.session, report.number);
                    let expected = match last {
                        None if self.begins_later => report.number,
                        last => last.unwrap_or(0).saturating_add(1),
                    };
                    if report.number != expected {
                        let found = place(format!("report {expected}"), format!("report {}", report.number));
                        self.say(Problem::ReportNumber { session: report.session, expected, place: found });
                    }
                }
            }
        }
    }

    /// Keeps the history of epochs.
    fn epoch(&mut self, at: u64, header: &Header) {
        let sequence = header.kind.is_command().then_some(Sequence(header.sequence));
        match self.epochs.last_mut() {
            Some(last) if last.epoch == header.epoch => {
                last.first_sequence = last.first_sequence.or(sequence);
            }
            _ => self.epochs.push(EpochInfo {
                epoch: header.epoch,
                first_position: Position(at),
                first_sequence: sequence,
            }),
        }
    }

    fn say(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

fn run(dir: &Path, deep: bool) -> Result<Verify, OpenError> {
    let (segments, spares) = recovery::load(dir)?;
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
        return Err(OpenError::Empty { dir: dir.to_path_buf() });
    };
    let like = last.header;
    let begin = Position(first.header.base());
    let mut scan = Scan::from_segment(&first.header);
    let mut checks = Checks {
        deep,
        kinds: BTreeMap::new(),
        epochs: Vec::new(),
        begins_later: begin > Position(0),
        numbers: BTreeMap::new(),
        last_nanos: 0,
        problems: Vec::new(),
    };
    let mut cut = None;
    let mut damaged = false;
    for (number, segment) in segments.iter().enumerate() {
        let map = segment.map()?;
        let piece = segment.piece(&map);
        let walked = scan.walk_with(&piece, |piece, (at, batch)| {
            checks.batch(&segment.path, HEADER_BYTES, piece, at, batch);
        });
        let Err(fault) = walked else { continue };
        match recovery::judge(segment, &piece, number + 1 == segments.len(), &scan, &fault) {
            Verdict::End => {}
            Verdict::Cut(c) => cut = Some(c),
            Verdict::Damage(damage) => {
                checks.say(Problem::Damage(damage));
                damaged = true;
                break;
            }
        }
    }
    let tail = match tail::linked(dir) {
        None => None,
        Some((file, Err(what))) => {
            checks.say(Problem::Tail { file, what });
            None
        }
        Some((file, Ok(view))) => {
            let segments_end = scan.end;
            let mut beyond = Beyond::default();
            let in_use = view.in_use();
            if !damaged {
                // A running owner may overtake this look at it; that is no problem of the journal's.
                if let Err(what) = recovery::beyond(&view, &like, &mut scan, &mut beyond, |_, _| {})
                    && !in_use
                {
                    checks.say(Problem::Tail { file: file.clone(), what });
                }
                let mut at = segments_end;
                for piece in (0..beyond.pieces.len()).filter_map(|n| beyond.piece(n)) {
                    while at < piece.end() {
                        let Ok(batch) = walk::batch(&piece, at, None) else { break };
                        checks.batch(&file, 0, &piece, at, &batch);
                        at = batch.end;
                    }
                }
            }
            let committed = Position(view.committed().unwrap_or(0));
            let ring_bytes = view.header.ring_bytes;
            Some(TailInfo { file, ring_bytes, committed, in_use, beyond_segments: scan.end - segments_end })
        }
    };
    if scan.chain.is_none() && !damaged {
        return Err(OpenError::NoBeginning { file: first.path.clone() });
    }
    let snapshots = if damaged { Vec::new() } else { self::snapshots(dir, like.cluster) };
    for of in &snapshots {
        if let Some(what) = of.problem.clone() {
            checks.say(Problem::Snapshot { file: of.file.clone(), what });
        }
    }
    let starts = |of: &SnapshotInfo| of.problem.is_none() && of.position >= begin;
    if begin > Position(0) && !damaged && !snapshots.iter().any(starts) {
        checks.say(Problem::NoStart { begin });
    }
    let info = Info {
        cluster: like.cluster,
        format: last.header.version,
        epoch: last.header.epoch,
        capacity: like.capacity,
        segments: segments
            .iter()
            .map(|s| SegmentInfo {
                file: s.path.clone(),
                index: s.header.index,
                base: Position(s.header.base()),
                bytes: s.data_bytes,
                created: Nanos(s.header.created),
            })
            .collect(),
        spares,
        tail,
        snapshots,
        begin,
        end: Position(scan.end),
        last_sequence: Sequence(scan.last_sequence.unwrap_or(0)),
        last_nanos: Nanos(scan.last_nanos),
        commands: scan.commands,
        reports: scan.reports,
        batches: scan.batches,
        kinds: checks.kinds,
        epochs: checks.epochs,
        cut,
    };
    Ok(Verify { info, problems: checks.problems })
}

/// The snapshots in `dir`, held against the journal there.
fn snapshots(dir: &Path, cluster: ClusterId) -> Vec<SnapshotInfo> {
    let files = snapshot::list(dir).unwrap_or_default();
    if files.is_empty() {
        return Vec::new();
    }
    // A picture of its own: what a running owner has written since the walk is in it.
    let reader = Reader::open(dir);
    let look = |file: PathBuf| {
        let position = snapshot::position_of(&file)?;
        let (header, problem) = match snapshot::check(&file, cluster) {
            // Pruned since the directory was listed.
            Err(snapshot::SnapshotError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return None;
            }
            Err(error) => (None, Some(error.to_string())),
            Ok(header) => {
                let has = reader.as_ref().map_err(ToString::to_string).and_then(|reader| {
                    reader.records_after(header.mark).map(drop).map_err(|error| error.to_string())
                });
                (Some(header), has.err().map(|what| format!("the journal does not go on from it: {what}")))
            }
        };
        Some(SnapshotInfo { file, position, header, problem })
    };
    files.into_iter().filter_map(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::tests::batch;
    use crate::segment::genesis;

    #[test]
    fn the_history_of_epochs_is_kept() {
        const COMMAND: RecordKind = RecordKind::EndOfDay;
        const REPORT: RecordKind = RecordKind::ReportSystem;
        let mut bytes = Vec::new();
        let chain = batch(&mut bytes, 0, 5, genesis(ClusterId(3)), &[(REPORT, 0, 1), (COMMAND, 1, 1)]);
        let second = bytes.len() as u64 + 32;
        let chain = batch(&mut bytes, 0, 5, chain, &[(COMMAND, 2, 1), (COMMAND, 3, 4)]);
        let third = bytes.len() as u64;
        batch(&mut bytes, 0, 5, chain, &[(REPORT, 3, 5)]);
        let mut checks = Checks {
            deep: false,
            kinds: BTreeMap::new(),
            epochs: Vec::new(),
            begins_later: false,
            numbers: BTreeMap::new(),
            last_nanos: 0,
            problems: Vec::new(),
        };
        let piece = Piece { bytes: &bytes, base: 0, salt: 5 };
        let walked = Scan::from_start(ClusterId(3)).walk_with(&piece, |piece, (at, batch)| {
            checks.batch(Path::new("x"), 0, piece, at, batch);
        });
        assert_eq!(walked, Ok(()));
        let epoch = |epoch, first_position, first_sequence: Option<u64>| EpochInfo {
            epoch,
            first_position: Position(first_position),
            first_sequence: first_sequence.map(Sequence),
        };
        assert_eq!(checks.epochs, [epoch(1, 0, Some(1)), epoch(4, second, Some(3)), epoch(5, third, None)]);
    }
}
