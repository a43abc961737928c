//! What a directory holds: the checks of its segments, the walk to its end, and the verdict on what lies
//! beyond.
//!
//! Nothing here writes. [`open`](crate::open) acts on what is found, and does so only after everything has
//! been judged.
//!
//! A journal whose oldest segments [`retention`](crate::retention) has removed begins with the first segment that is
//! there. What came before it is known by what that segment repeats: the chain that its first batch continues, and
//! the sequence before its first command. So there must be a batch in it.
//!
//! The walk ends at the first spot that is not valid. Everything is then decided by what is known of that
//! spot:
//!
//! | beyond the spot | verdict |
//! |---|---|
//! | a later segment (made only once all before it was on disk) | damage: refuse |
//! | a valid seal that says that the spot was durable | damage: refuse |
//! | the CRCs are good and the batch is not (a wrong chain, count, sequence, an unknown kind) | damage: refuse |
//! | valid seals, none of which says so | never synced: cut |
//! | other bytes | torn: cut |
//! | zeros | the end |

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use domain::{ClusterId, Epoch, EpochStart, Nanos, Position, Sequence};

use crate::error::{Damage, OpenError};
use crate::map::Map;
use crate::record::Bad;
use crate::segment::{self, HEADER_BYTES, SegmentHeader, io_error};
use crate::tail::{self, TailView};
use crate::walk::{self, Batch, Fault, Piece, What};

/// What opening a journal found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// There was no journal; this is a new one.
    pub created: bool,
    /// Which journal it is.
    pub cluster: ClusterId,
    /// Where the stream ends, and goes on.
    pub end: Position,
    /// The last command's sequence; 0 when there is none.
    pub last_sequence: Sequence,
    /// The last command's time.
    pub last_nanos: Nanos,
    /// The epoch of the last record; 1 when there is none.
    pub epoch: Epoch,
    /// The epochs in the segments that are there: each one's first record there.
    pub epochs: Vec<EpochStart>,
    /// Older segments are gone: the first of `epochs` may have begun in them.
    pub begins_within: bool,
    /// Commands in the segments that are there.
    pub commands: u64,
    /// Reports in the segments that are there.
    pub reports: u64,
    /// Segments that are there.
    pub segments: u64,
    /// Bytes that were committed but not in the segments, taken from the tail of a process that died.
    pub absorbed_from_tail: u64,
    /// A tail that the directory names and that is not there: the machine was restarted, or somebody removed
    /// it. What only it held, under `AckPolicy::Memory`, is lost.
    pub tail_missing: Option<PathBuf>,
    /// What was cut off the end.
    pub cut: Option<Cut>,
}

/// The epochs that a walk has come through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Epochs(pub(crate) Vec<EpochStart>);

impl Epochs {
    /// Looks at a batch that is valid.
    pub(crate) fn see(&mut self, piece: &Piece<'_>, (first, batch): (u64, &Batch)) {
        let last = |epochs: &Self| epochs.0.last().map_or(0, |start| start.epoch.0);
        if batch.sealed.epoch <= last(self) {
            return;
        }
        for (at, header, _) in walk::records(*piece, first, batch) {
            if header.epoch > last(self) {
                self.0.push(EpochStart { epoch: Epoch(header.epoch), position: Position(at) });
            }
        }
    }
}

/// What was cut off the end of a journal: bytes that no seal closes, or that were never vouched for as
/// durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub file: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// Where in the stream.
    pub at: Position,
    /// How many bytes, up to the last that was not zero.
    pub bytes: u64,
    /// Why.
    pub cause: CutCause,
}

/// Why an end was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutCause {
    /// A batch was being written when the writer stopped.
    Torn,
    /// Several batches were being written and the disk took them out of order: whole ones lie beyond a broken
    /// one, none of them known to have been synced.
    Unsynced,
}

/// A segment whose header has been checked.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) header: SegmentHeader,
    /// Data bytes that the file has; all of them except in the last segment.
    pub(crate) data_bytes: u64,
}

impl Segment {
    /// Maps it. An empty file cannot be mapped, but a segment has a header.
    pub(crate) fn map(&self) -> Result<Map, OpenError> {
        Map::of(&self.file).map_err(|e| io_error("map", &self.path, e))
    }

    /// Its data in `map`.
    pub(crate) fn piece<'a>(&self, map: &'a Map) -> Piece<'a> {
        piece(&self.header, map)
    }
}

/// The data of the mapped segment `header`.
pub(crate) fn piece<'a>(header: &SegmentHeader, map: &'a [u8]) -> Piece<'a> {
    let data = map.get(HEADER_BYTES as usize..).unwrap_or(&[]);
    let most = usize::try_from(header.capacity).unwrap_or(usize::MAX);
    // Records are whole words; a file that was cut may not be.
    let length = data.len().min(most) & !7;
    Piece { bytes: &data[..length], base: header.base(), salt: header.salt() }
}

/// The segments of a directory, in order, with every header checked. The first may have any index; from there on none
/// is missing.
pub(crate) fn load(dir: &Path) -> Result<(Vec<Segment>, Vec<PathBuf>), OpenError> {
    load_with(dir, || segment::list(dir))
}

/// The same, by lists that `list` makes.
fn load_with(
    dir: &Path,
    mut list: impl FnMut() -> Result<(Vec<u64>, Vec<PathBuf>), OpenError>,
) -> Result<(Vec<Segment>, Vec<PathBuf>), OpenError> {
    // Whoever is slow may find that the owner's retention has removed all of a list. There are others by then.
    const ATTEMPTS: u32 = 20;
    let mut attempt = 1;
    loop {
        let (indexes, spares) = list()?;
        let segments = load_listed(dir, &indexes)?;
        if indexes.is_empty() || !segments.is_empty() || attempt == ATTEMPTS {
            return Ok((segments, spares));
        }
        attempt += 1;
    }
}

/// Opens the segments of a list: all of them, or those from the first on that is still there.
fn load_listed(dir: &Path, indexes: &[u64]) -> Result<Vec<Segment>, OpenError> {
    let mut segments: Vec<Segment> = Vec::with_capacity(indexes.len());
    for (place, index) in indexes.iter().copied().enumerate() {
        let path = segment::path(dir, index);
        let file = match File::open(&path) {
            Ok(file) => file,
            // Removed by the owner's retention since the directory was listed; it removes the oldest first.
            Err(e) if e.kind() == io::ErrorKind::NotFound && segments.iter().all(|s| !s.path.exists()) => {
                segments.clear();
                continue;
            }
            Err(e) => return Err(io_error("open", &path, e)),
        };
        if let Some(before) = segments.last()
            && index != before.header.index + 1
        {
            return Err(OpenError::Missing { file: segment::path(dir, before.header.index + 1) });
        }
        let header = SegmentHeader::read(&file, &path)?;
        if let Some(first) = segments.first() {
            if header.cluster != first.header.cluster {
                let (found, expected) = (header.cluster, first.header.cluster);
                return Err(OpenError::Foreign { file: path, found, expected });
            }
            if header.capacity != first.header.capacity {
                let what = format!(
                    "capacity {}, and the first segment has {}",
                    header.capacity, first.header.capacity
                );
                return Err(OpenError::BadHeader { file: path, what });
            }
        }
        if header.index != index {
            return Err(OpenError::Misplaced { file: path, found: header.index, expected: index });
        }
        let found = file.metadata().map_err(|e| io_error("look at", &path, e))?.len();
        let expected = header.file_bytes();
        if found > expected || (found < expected && place + 1 < indexes.len()) {
            return Err(OpenError::Short { file: path, found, expected });
        }
        let data_bytes = segment::data_bytes(found, header.capacity);
        segments.push(Segment { path, file, header, data_bytes });
    }
    Ok(segments)
}

/// How far a walk has come, and what it has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    /// The end of the last valid batch.
    pub(crate) end: u64,
    /// The chain there; `None` when the walk began in the middle and has seen no batch.
    pub(crate) chain: Option<u64>,
    /// The last command's, which every seal repeats; `None` when the walk began in the middle and has seen no batch.
    pub(crate) last_sequence: Option<u64>,
    pub(crate) last_nanos: u64,
    /// Of the last batch; 0 before the first.
    pub(crate) epoch: u32,
    pub(crate) commands: u64,
    pub(crate) reports: u64,
    pub(crate) batches: u64,
}

impl Scan {
    /// From the beginning of a journal.
    pub(crate) fn from_start(cluster: ClusterId) -> Self {
        Self { chain: Some(segment::genesis(cluster)), last_sequence: Some(0), ..Self::from(0) }
    }

    /// From a batch in the middle of one.
    pub(crate) fn from(position: u64) -> Self {
        Self {
            end: position,
            chain: None,
            last_sequence: None,
            last_nanos: 0,
            epoch: 0,
            commands: 0,
            reports: 0,
            batches: 0,
        }
    }

    /// From the beginning of the segment `first`: a journal's beginning, or the middle of one.
    pub(crate) fn from_segment(first: &SegmentHeader) -> Self {
        if first.index == 0 { Self::from_start(first.cluster) } else { Self::from(first.base()) }
    }

    /// Walks valid batches to the end of the piece, or to the first spot that is not one.
    pub(crate) fn walk(&mut self, piece: &Piece<'_>) -> Result<(), Fault> {
        self.walk_with(piece, |_, _| {})
    }

    /// The same, showing each batch to `see`.
    pub(crate) fn walk_with(
        &mut self,
        piece: &Piece<'_>,
        mut see: impl FnMut(&Piece<'_>, (u64, &Batch)),
    ) -> Result<(), Fault> {
        while self.end < piece.end() {
            let first = self.end;
            let batch = walk::batch(piece, first, self.chain)?;
            let mut next = *self;
            for (at, header, _) in walk::records(*piece, first, &batch) {
                // Within a batch it has been looked at already.
                if header.epoch < self.epoch {
                    return Err(Fault { at, what: What::Epoch { found: header.epoch, before: self.epoch } });
                }
                if header.kind.is_command() {
                    if let Some(last) = next.last_sequence
                        && header.sequence != last.wrapping_add(1)
                    {
                        let what = What::Sequence { found: header.sequence, expected: last.wrapping_add(1) };
                        return Err(Fault { at, what });
                    }
                    next.last_sequence = Some(header.sequence);
                    next.last_nanos = header.nanos;
                    next.commands += 1;
                } else {
                    next.reports += 1;
                }
            }
            if batch.sealed.epoch < self.epoch {
                let what = What::Epoch { found: batch.sealed.epoch, before: self.epoch };
                return Err(Fault { at: batch.seal_at, what });
            }
            if next.last_sequence.is_none() {
                (next.last_sequence, next.last_nanos) = (Some(batch.sealed.sequence), batch.sealed.nanos);
            }
            see(piece, (first, &batch));
            next.epoch = batch.sealed.epoch;
            next.batches += 1;
            next.end = batch.end;
            next.chain = Some(batch.seal.chain);
            *self = next;
        }
        Ok(())
    }
}

/// What a walk's end means.
pub(crate) enum Verdict {
    /// Only zeros follow.
    End,
    Cut(Cut),
    Damage(Damage),
}

/// Judges the spot at which the walk of `segment` ended.
pub(crate) fn judge(
    segment: &Segment,
    piece: &Piece<'_>,
    is_last: bool,
    scan: &Scan,
    fault: &Fault,
) -> Verdict {
    let damage = |evidence: String| {
        Verdict::Damage(Damage {
            file: segment.path.clone(),
            offset: HEADER_BYTES + (fault.at - piece.base),
            position: Position(fault.at),
            expected: fault.what.expected(),
            found: fault.what.to_string(),
            evidence,
        })
    };
    // A kind that is not known, under a good CRC, comes from a newer program: nothing of it may be cut off.
    if !matches!(fault.what, What::Record(bad) if !matches!(bad, Bad::Kind(_))) {
        return damage("its CRCs are good, so it was written so".into());
    }
    if !is_last {
        return damage("a later segment exists, and is made only when all before it is on disk".into());
    }
    let end = walk::end_of_data(piece, scan.end);
    let beyond = walk::seals_between(piece, fault.at, end);
    if let Some((at, durable)) = beyond
        && durable > fault.at
    {
        return damage(format!("the seal at position {at} says that all below {durable} was on disk"));
    }
    if end == scan.end && fault.what == What::Record(Bad::Zero) {
        return Verdict::End;
    }
    Verdict::Cut(Cut {
        file: segment.path.clone(),
        offset: HEADER_BYTES + (scan.end - piece.base),
        at: Position(scan.end),
        bytes: end - scan.end,
        cause: if beyond.is_some() { CutCause::Unsynced } else { CutCause::Torn },
    })
}

/// What the tail holds beyond the segments.
#[derive(Debug, Default)]
pub(crate) struct Beyond {
    /// The bytes from the segments' end on, cut at segment boundaries: index and bytes.
    pub(crate) pieces: Vec<(SegmentHeader, u64, Vec<u8>)>,
}

impl Beyond {
    pub(crate) fn piece(&self, number: usize) -> Option<Piece<'_>> {
        let (header, base, bytes) = self.pieces.get(number)?;
        Some(Piece { bytes, base: *base, salt: header.salt() })
    }

    /// How many bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.pieces.iter().map(|(_, _, bytes)| bytes.len() as u64).sum()
    }
}

/// Takes from the tail what is committed there beyond `scan.end`, and walks it. An error says what is wrong
/// with it; `scan` and the result then hold the part before.
pub(crate) fn beyond(
    view: &TailView,
    like: &SegmentHeader,
    scan: &mut Scan,
    found: &mut Beyond,
    mut see: impl FnMut(&Piece<'_>, (u64, &Batch)),
) -> Result<(), String> {
    if view.header.cluster != like.cluster {
        return Err(format!(
            "it belongs to cluster {}, and the journal is {}",
            view.header.cluster, like.cluster
        ));
    }
    let committed = view.committed().map_err(|e| e.to_string())?;
    let from = scan.end;
    if committed <= from {
        return Ok(());
    }
    let floor = view.header.base.max(committed.saturating_sub(view.header.ring_bytes));
    if from < floor {
        return Err(format!("it begins at {floor}"));
    }
    if !from.is_multiple_of(8) || !committed.is_multiple_of(8) {
        return Err(format!("its committed end, {committed}, is no end of a record"));
    }
    let bytes = view.copy(from, committed).map_err(|e| e.to_string())?;
    let mut rest = bytes.as_slice();
    let mut at = from;
    while !rest.is_empty() {
        let header = like.sibling(at / like.capacity);
        let room = header.base() + like.capacity - at;
        let (head, after) = rest.split_at(rest.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        let piece = Piece { bytes: head, base: at, salt: header.salt() };
        let walked = scan.walk_with(&piece, &mut see);
        let good = (scan.end - at) as usize;
        if good > 0 {
            found.pieces.push((header, at, head[..good].to_vec()));
        }
        if let Err(fault) = walked {
            return Err(format!(
                "at position {}: expected {}, found {}",
                fault.at,
                fault.what.expected(),
                fault.what
            ));
        }
        at += head.len() as u64;
        rest = after;
    }
    Ok(())
}

/// What there is, and how it ends; nothing has been changed.
pub(crate) struct Found {
    pub(crate) segments: Vec<Segment>,
    pub(crate) spares: Vec<PathBuf>,
    pub(crate) scan: Scan,
    pub(crate) cut: Option<Cut>,
    /// Where the segments' valid part ends, before the tail's.
    pub(crate) segments_end: u64,
    pub(crate) beyond: Beyond,
    pub(crate) tail_missing: Option<PathBuf>,
    /// What begins in the first segment that is there may have begun before it, unless that is segment 0.
    pub(crate) epochs: Epochs,
    /// Older segments are gone: the first of `epochs` may have begun in them.
    pub(crate) begins_within: bool,
}

/// Judges a whole directory.
///
/// # Errors
/// Every reason to refuse it.
pub(crate) fn examine(dir: &Path) -> Result<Found, OpenError> {
    let (segments, spares) = load(dir)?;
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
        return Err(OpenError::Empty { dir: dir.to_path_buf() });
    };
    // What goes on goes on from the last.
    let like = last.header;
    let (begin, first_index) = (first.path.clone(), first.header.index);
    let mut scan = Scan::from_segment(&first.header);
    let mut cut = None;
    let mut epochs = Epochs::default();
    for (number, segment) in segments.iter().enumerate() {
        let is_last = number + 1 == segments.len();
        let map = segment.map()?;
        let piece = segment.piece(&map);
        if let Err(fault) = scan.walk_with(&piece, |piece, batch| epochs.see(piece, batch)) {
            match judge(segment, &piece, is_last, &scan, &fault) {
                Verdict::End => {}
                Verdict::Cut(c) => cut = Some(c),
                Verdict::Damage(damage) => return Err(OpenError::Corrupt(damage)),
            }
        }
    }
    let segments_end = scan.end;
    let mut beyond = Beyond::default();
    let mut tail_missing = None;
    match tail::linked(dir) {
        None => {}
        Some((path, Err(what))) => {
            if path.exists() {
                return Err(OpenError::Tail { file: path, at: Position(scan.end), what });
            }
            tail_missing = Some(path);
        }
        // The tail of the directory that this one was copied from, still in use there. Whose it is decides,
        // and the lock only for others': we hold this directory, so nobody else can use its tail, but a
        // reader may be looking at it.
        Some((_, Ok(view))) if !view.is_of(dir) && view.in_use() => {}
        Some((path, Ok(view))) => {
            let at = Position(scan.end);
            if let Err(what) = self::beyond(&view, &like, &mut scan, &mut beyond, |piece, batch| epochs.see(piece, batch))
                // After a restart of the machine a tail on disk is as old as the kernel left it: its valid
                // part is welcome, the rest is not missed. In the same boot it is exact, so something else is
                // wrong.
                && (view.header.boot == tail::boot_id() || view.header.cluster != like.cluster)
            {
                return Err(OpenError::Tail { file: path, at, what });
            }
        }
    }
    if scan.chain.is_none() {
        return Err(OpenError::NoBeginning { file: begin });
    }
    let begins_within = first_index > 0 && !epochs.0.is_empty();
    Ok(Found { segments, spares, scan, cut, segments_end, beyond, tail_missing, epochs, begins_within })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::{self, HEADER, Header, RecordKind, SEAL, Seal};

    /// A batch of records without payload, each with its kind, sequence and epoch; its seal is of the last one's epoch.
    pub(crate) fn batch(
        stream: &mut Vec<u8>,
        base: u64,
        salt: u32,
        previous: u64,
        records: &[(RecordKind, u64, u32)],
    ) -> u64 {
        let first = stream.len();
        let header =
            |kind, sequence, epoch| Header { sequence, nanos: sequence, kind, detail: [0; 3], epoch };
        for (kind, sequence, epoch) in records {
            let at = stream.len();
            stream.resize(at + HEADER, 0);
            record::finish(&mut stream[at..], &header(*kind, *sequence, *epoch), base + at as u64, salt);
        }
        let at = stream.len();
        let chain = walk::chain(&stream[first..], previous);
        let (count, bytes) = (records.len() as u32, (at - first) as u32);
        let (_, sequence, epoch) = *records.last().expect("a record");
        stream.resize(at + SEAL, 0);
        let seal = Seal { count, bytes, durable: 0, previous, chain };
        let header = header(RecordKind::Seal, sequence, epoch);
        record::write_seal(&mut stream[at..], &seal, &header, base + at as u64, salt);
        chain
    }

    #[test]
    fn a_list_of_what_has_all_been_removed_is_made_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let (cluster, version) = (ClusterId(5), segment::FORMAT_VERSION);
        let header = SegmentHeader { version, cluster, epoch: 1, index: 7, capacity: 4_096, created: 9 };
        std::fs::write(segment::path(dir.path(), 7), header.encode()).expect("a segment");
        let found = |lists: &mut dyn Iterator<Item = Vec<u64>>| -> Vec<u64> {
            let list = || Ok((lists.next().expect("no further list"), Vec::new()));
            let (segments, _) = load_with(dir.path(), list).expect("it opens");
            segments.iter().map(|segment| segment.header.index).collect()
        };
        assert_eq!(found(&mut [vec![1, 2], vec![3, 4, 5], vec![6, 7]].into_iter()), [7]);
        assert_eq!(found(&mut [vec![]].into_iter()), [0; 0], "there are none");
        assert_eq!(found(&mut (0..20).map(|list| vec![100 + list])), [0; 0], "it ends");
    }

    #[test]
    fn epochs_never_go_down() {
        const END: RecordKind = RecordKind::EndOfDay;
        let walk = |batches: &[&[(RecordKind, u64, u32)]]| {
            let (mut bytes, mut chain) = (Vec::new(), segment::genesis(ClusterId(3)));
            for records in batches {
                chain = batch(&mut bytes, 0, 5, chain, records);
            }
            let mut scan = Scan::from_start(ClusterId(3));
            let fault = scan.walk(&Piece { bytes: &bytes, base: 0, salt: 5 }).err();
            (scan.batches, scan.epoch, fault.map(|fault| fault.what))
        };
        assert_eq!(walk(&[&[(END, 1, 1)], &[(END, 2, 1), (END, 3, 2)], &[(END, 4, 7)]]), (3, 7, None));
        let down = What::Epoch { found: 1, before: 2 };
        assert_eq!(walk(&[&[(END, 1, 1)], &[(END, 2, 2), (END, 3, 1)]]), (1, 1, Some(down)));
        assert_eq!(walk(&[&[(END, 1, 2)], &[(END, 2, 1), (END, 3, 2)]]), (1, 2, Some(down)));
        assert_eq!(walk(&[&[(END, 1, 2)], &[(END, 2, 2)], &[(END, 3, 1)]]), (2, 2, Some(down)));
    }
}
