//! Reading a journal: any directory, at any time, without its lock.
//!
//! [`Reader::open`] takes a picture: the segments as they are, mapped, and a copy of what the tail holds
//! beyond them. The picture is a prefix of the stream that ends at a seal; a directory whose owner runs or
//! was killed gives its newest committed records too. Records are shown only out of batches that have been
//! found valid whole.
//!
//! A picture begins with the first segment that is there, which need not be the journal's first. A segment that is
//! removed while it is being looked at stays readable: it is mapped.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use domain::{ClusterId, Command, Epoch, InstrumentId, Mark, Nanos, Position, Report, Sequence, Sequenced};

use crate::codec;
use crate::error::{Damage, DecodeError, OpenError, ReadError};
use crate::map::Map;
use crate::parts::Parts;
use crate::record::{Header, RecordKind};
use crate::recovery::{self, Beyond, Scan, Segment, Verdict};
use crate::segment::{self, HEADER_BYTES, SegmentHeader};
use crate::tail;
use crate::walk::{self, Piece};

/// A record of a valid batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it begins.
    pub position: Position,
    /// What it is.
    pub kind: RecordKind,
    /// Of a command: its own. Of a report: that of the command that caused it.
    pub sequence: Sequence,
    /// Its time.
    pub nanos: Nanos,
    /// The epoch of the primary that wrote it.
    pub epoch: Epoch,
    /// What it says, encoded.
    pub payload: &'a [u8],
    header: Header,
}

impl<'a> Record<'a> {
    #[inline]
    pub(crate) fn new(position: u64, header: Header, payload: &'a [u8]) -> Self {
        Self {
            position: Position(position),
            kind: header.kind,
            sequence: Sequence(header.sequence),
            nanos: Nanos(header.nanos),
            epoch: Epoch(header.epoch),
            payload,
            header,
        }
    }

    /// The command that it is.
    ///
    /// # Errors
    /// When it is none, or its fields cannot be.
    #[inline]
    pub fn command(&self) -> Result<Sequenced<Command>, DecodeError> {
        let Self { sequence, nanos, .. } = *self;
        let sequenced = |command| Sequenced { sequence, nanos, command };
        codec::command::decode_into(self.kind, self.header.detail, self.payload, sequenced)
    }

    /// The instrument of the order that it is about, when it is a command about an order, without decoding the rest.
    #[inline]
    #[must_use]
    pub fn order_instrument(&self) -> Option<InstrumentId> {
        codec::command::order_instrument(self.kind, self.payload)
    }

    /// The report that it is.
    ///
    /// # Errors
    /// When it is none, or its fields cannot be.
    #[inline]
    pub fn report(&self) -> Result<Report, DecodeError> {
        codec::report::decode(&self.header, self.payload)
    }
}

/// A picture of a journal.
#[derive(Debug)]
pub struct Reader {
    segments: Vec<(Segment, Map)>,
    /// Every batch that begins here or later has been found valid when the picture was taken.
    judged_from: u64,
    /// Where the segments' part ends.
    segments_end: u64,
    beyond: Beyond,
    end: u64,
    /// The chain at `end`; `None` only when the picture ends with damage before its first batch.
    chain: Option<u64>,
    damage: Option<Damage>,
}

impl Reader {
    /// Opens the journal in `dir` for reading.
    ///
    /// # Errors
    /// When there is none, or its files are not what they should be. Damage inside the records is no error
    /// here: what is before it can be read, and [`records`](Self::records) ends with it.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        // While its owner runs, the disk can overtake the picture between its two halves; then a new one is
        // taken.
        const ATTEMPTS: u32 = 20;
        for _ in 1..ATTEMPTS {
            let (reader, complete) = Self::picture(dir.as_ref())?;
            if complete && reader.damage.is_none() {
                return Ok(reader);
            }
            if !tail::linked(dir.as_ref()).is_some_and(|(_, view)| view.is_ok_and(|v| v.in_use())) {
                return Ok(reader);
            }
        }
        Ok(Self::picture(dir.as_ref())?.0)
    }

    /// A picture, and whether the tail's half fits.
    fn picture(dir: &Path) -> Result<(Self, bool), OpenError> {
        let (segments, _) = recovery::load(dir)?;
        let mut mapped = Vec::with_capacity(segments.len());
        for segment in segments {
            let map = segment.map()?;
            mapped.push((segment, map));
        }
        let Some((last, map)) = mapped.last() else {
            return Err(OpenError::Empty { dir: dir.to_path_buf() });
        };
        // All segments before the last are whole, or `records` will say where they are not.
        let piece = last.piece(map);
        let like = last.header;
        let mut scan = Scan::from_segment(&like);
        if scan.chain.is_none()
            && let Some((before, map)) = mapped.iter().rev().nth(1)
        {
            // The last segment may have no batch yet; the one before it then ends the chain.
            let mut of_before = Scan::from_segment(&before.header);
            // `records` will say where it is not whole.
            let _ = of_before.walk(&before.piece(map));
            scan.chain = of_before.chain.filter(|_| of_before.end == scan.end);
        }
        let mut damage = None;
        if let Err(fault) = scan.walk(&piece)
            && let Verdict::Damage(found) = recovery::judge(last, &piece, true, &scan, &fault)
        {
            damage = Some(found);
        }
        let segments_end = scan.end;
        let mut beyond = Beyond::default();
        let mut complete = true;
        if damage.is_none()
            && let Some((_, Ok(view))) = tail::linked(dir)
            && view.header.cluster == like.cluster
        {
            complete = recovery::beyond(&view, &like, &mut scan, &mut beyond, |_, _| {}).is_ok();
        }
        // The last segment's first batch is judged again by whoever comes from the one before: its chain goes
        // on.
        let judged_from = if like.index == 0 { 0 } else { like.base() + 1 };
        let chain = scan.chain;
        if chain.is_none() && damage.is_none() && mapped.len() == 1 {
            return Err(OpenError::NoBeginning { file: mapped.swap_remove(0).0.path });
        }
        Ok((
            Self { segments: mapped, judged_from, segments_end, beyond, end: scan.end, chain, damage },
            complete,
        ))
    }

    /// Where the picture begins: at 0, or behind what retention has removed.
    #[must_use]
    pub fn begin(&self) -> Position {
        Position(self.first().base())
    }

    /// Where the picture ends.
    #[must_use]
    pub fn end(&self) -> Position {
        Position(self.end)
    }

    /// Where the picture ends, with the chain there; `None` when it ends with damage before its first batch.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        Some(Mark { position: Position(self.end), chain: self.chain? })
    }

    /// Which journal it is.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.segments[0].0.header.cluster
    }

    /// Bytes of the picture that are not in the segments yet but in the tail.
    #[must_use]
    pub fn in_tail(&self) -> u64 {
        self.beyond.bytes()
    }

    /// The header of the first segment.
    pub(crate) fn first(&self) -> &SegmentHeader {
        &self.segments[0].0.header
    }

    /// Every record from [`begin`](Self::begin) on.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records::new(self, self.begin().0, Scan::from_segment(self.first()).chain)
    }

    /// Every record from [`begin`](Self::begin) on, in parts for several threads, of so many bytes or a batch more.
    #[must_use]
    pub fn parts(&self, bytes_min: u64) -> Parts<'_> {
        Parts::new(self, bytes_min)
    }

    /// Every record, without judging what [`open`](Self::open) has not judged: for a second look at what
    /// [`records`](Self::records) has gone through without an error, or for a first one that something depends on only
    /// after such a look.
    #[must_use]
    pub fn records_unjudged(&self) -> Records<'_> {
        Records { judged: true, ..Records::new(self, self.begin().0, None) }
    }

    /// The records from the one at `position` on, which was given by an append or by another record.
    #[must_use]
    pub fn records_from(&self, position: Position) -> Records<'_> {
        Records::new(self, position.0, None)
    }

    /// The records from `mark` on, if the journal before it is the one that had that mark.
    ///
    /// # Errors
    /// When it is not: the journal begins later or is shorter, no batch begins there, or another chain ends there.
    pub fn records_after(&self, mark: Mark) -> Result<Records<'_>, ReadError> {
        let position = mark.position;
        if position.0 > self.end {
            return Err(ReadError::PastEnd(position));
        }
        if position.0 == self.end
            && let Some(chain) = self.chain
            && chain != mark.chain
        {
            let what = format!("the chain there is {chain:016x}, not {:016x}", mark.chain);
            return Err(ReadError::Bad { position, what });
        }
        let mut records = Records::new(self, position.0, Some(mark.chain));
        // However good this batch has been found, here is asked whose it is.
        if records.arrive()? {
            records.judge()?;
        }
        Ok(records)
    }

    /// The same again, after [`records_after`](Self::records_after) has gone through them to the end without
    /// an error: nothing is judged a second time.
    #[must_use]
    pub fn records_again_after(&self, mark: Mark) -> Records<'_> {
        Records { judged: true, ..Records::new(self, mark.position.0, None) }
    }

    /// The batch at `at`, which must continue `previous` if that is given, and what it lies in; `None` at the end.
    pub(crate) fn batch(
        &self,
        at: u64,
        previous: Option<u64>,
    ) -> Result<Option<(Piece<'_>, walk::Batch)>, ReadError> {
        let mut records = Records::new(self, at, previous);
        if !records.arrive()? {
            return Ok(None);
        }
        match walk::batch(&records.piece, at, previous) {
            Ok(batch) => Ok(Some((records.piece, batch))),
            Err(fault) => Err(ReadError::Corrupt(self.damage_at(&fault))),
        }
    }

    /// The chain before the batch at the segment boundary `at`, or at the end.
    pub(crate) fn chain_before(&self, at: u64) -> Result<Option<u64>, ReadError> {
        if at == 0 {
            return Ok(Some(segment::genesis(self.cluster())));
        }
        match self.batch(at, None)? {
            Some((_, batch)) => Ok(Some(batch.seal.previous)),
            None => Ok(self.chain.filter(|_| at == self.end)),
        }
    }

    /// Data bytes of a segment.
    pub(crate) fn capacity(&self) -> u64 {
        self.first().capacity
    }

    /// What holds `position`, up to where it is valid.
    pub(crate) fn piece(&self, position: u64) -> Option<Piece<'_>> {
        if position >= self.segments_end {
            return (0..self.beyond.pieces.len())
                .filter_map(|n| self.beyond.piece(n))
                .find(|piece| (piece.base..piece.end()).contains(&position));
        }
        let (segment, map) = self.segments.get(self.place(position)?)?;
        let piece = segment.piece(map);
        let valid = usize::try_from(self.segments_end - piece.base).unwrap_or(usize::MAX);
        Some(Piece { bytes: &piece.bytes[..piece.bytes.len().min(valid)], ..piece })
    }

    /// Which of `segments` has `position`, if any: `None` only before the first.
    fn place(&self, position: u64) -> Option<usize> {
        let first = self.first();
        (position / first.capacity).checked_sub(first.index).and_then(|place| usize::try_from(place).ok())
    }

    /// Says that a position before the first segment is not there any more.
    fn gone(&self, position: Position) -> ReadError {
        let first = &self.segments[0].0;
        let dir = first.path.parent().unwrap_or(Path::new(""));
        ReadError::Gone { position, file: segment::path(dir, position.0 / first.header.capacity) }
    }

    /// Names the place of a fault.
    fn damage_at(&self, fault: &walk::Fault) -> Damage {
        let capacity = self.first().capacity;
        let segment = self.place(fault.at).and_then(|place| self.segments.get(place));
        let file = segment.map_or_else(PathBuf::new, |(s, _)| s.path.clone());
        Damage {
            file,
            offset: HEADER_BYTES + fault.at % capacity,
            position: Position(fault.at),
            expected: fault.what.expected(),
            found: fault.what.to_string(),
            evidence: "valid records lie beyond".into(),
        }
    }
}

/// Records in order, out of valid batches. After an error it ends.
#[derive(Debug)]
pub struct Records<'a> {
    reader: &'a Reader,
    piece: Piece<'a>,
    /// The next record, or the seal.
    at: u64,
    /// Where the batch's seal begins, or what has been judged ends: `at <= seal_at`, or nothing has been
    /// entered yet.
    seal_at: u64,
    /// Where the next batch begins.
    next: u64,
    /// Where it ends if the journal does not end before: behind a seal.
    until: u64,
    chain: Option<u64>,
    /// What is ahead has been found valid before.
    judged: bool,
    done: bool,
}

impl<'a> Records<'a> {
    pub(crate) fn new(reader: &'a Reader, at: u64, chain: Option<u64>) -> Self {
        let (piece, until) = (Piece::EMPTY, u64::MAX);
        Self { reader, piece, at, seal_at: at, next: at, until, chain, judged: false, done: false }
    }

    /// Those before a position behind a seal.
    pub(crate) fn until(self, until: u64) -> Self {
        Self { until, ..self }
    }

    /// Goes on to the next batch; whether there is one.
    #[cold]
    fn enter(&mut self) -> Result<bool, ReadError> {
        if !self.arrive()? {
            return Ok(false);
        }
        // Whoever begins at a position of his own choice has his first batch judged: it may be the middle of
        // a record.
        if self.judged || (self.chain.is_some() && self.next >= self.reader.judged_from) {
            // All that is left of this piece at once; its seals are passed over.
            self.at = self.next;
            self.seal_at = self.piece.end().min(self.reader.end).min(self.until);
            self.next = self.seal_at;
        } else {
            self.judge()?;
        }
        Ok(true)
    }

    /// Finds the piece that the next batch lies in; whether there is one.
    fn arrive(&mut self) -> Result<bool, ReadError> {
        if self.next >= self.until {
            return Ok(false);
        }
        if self.next >= self.reader.end {
            return match &self.reader.damage {
                Some(damage) => Err(ReadError::Corrupt(damage.clone())),
                None => Ok(false),
            };
        }
        if !self.next.is_multiple_of(8) {
            let what = "records begin at multiples of 8".into();
            return Err(ReadError::Bad { position: Position(self.next), what });
        }
        if self.piece.from(self.next).is_empty() {
            if self.next < self.reader.begin().0 {
                return Err(self.reader.gone(Position(self.next)));
            }
            match self.reader.piece(self.next) {
                Some(piece) if !piece.from(self.next).is_empty() => self.piece = piece,
                // A segment that is not whole, with another behind it.
                _ => return Err(ReadError::PastEnd(Position(self.next))),
            }
        }
        Ok(true)
    }

    /// Enters the next batch if it is valid and goes on from the one before.
    fn judge(&mut self) -> Result<(), ReadError> {
        let batch = walk::batch(&self.piece, self.next, self.chain)
            .map_err(|fault| ReadError::Corrupt(self.reader.damage_at(&fault)))?;
        self.at = self.next;
        self.seal_at = batch.seal_at;
        self.next = batch.end;
        self.chain = Some(batch.seal.chain);
        Ok(())
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, ReadError>;

    // Always, for who goes through millions: a record that is handed over in memory waits there until it can be read.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        loop {
            while self.at >= self.seal_at {
                match self.enter() {
                    Ok(true) => {}
                    Ok(false) => {
                        self.done = true;
                        return None;
                    }
                    Err(e) => {
                        self.done = true;
                        return Some(Err(e));
                    }
                }
            }
            let at = self.at;
            // The batch has been found valid, so the record is there.
            let Some((header, payload)) = walk::valid(self.piece.from(at)) else {
                self.done = true;
                let what = "a batch that changed while it was read".into();
                return Some(Err(ReadError::Bad { position: Position(at), what }));
            };
            self.at = at + (crate::record::HEADER + payload.len()) as u64;
            if header.kind != RecordKind::Seal {
                return Some(Ok(Record::new(at, header, payload)));
            }
        }
    }
}

/// Segments that the appender keeps mapped for resends, the most recently used first.
#[derive(Debug)]
pub(crate) struct SegmentCache {
    dir: PathBuf,
    maps: Vec<(u64, Map)>,
}

impl SegmentCache {
    /// Segments that stay mapped.
    const MAPS_MAX: usize = 8;

    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, maps: Vec::new() }
    }

    /// The bytes of the segment from `position` on, which have been written: a file that is not there has been removed.
    pub(crate) fn bytes(&mut self, position: Position, like: &SegmentHeader) -> Result<&[u8], ReadError> {
        let index = position.0 / like.capacity;
        let offset = position.0 % like.capacity;
        let reaches = |map: &Map| (map.len() as u64).saturating_sub(HEADER_BYTES) > offset;
        match self.maps.iter().position(|(i, map)| *i == index && reaches(map)) {
            Some(0) => {}
            Some(place) => {
                let found = self.maps.remove(place);
                self.maps.insert(0, found);
            }
            None => {
                // A map of the same segment made while the file was shorter goes.
                self.maps.retain(|(i, _)| *i != index);
                self.maps.truncate(Self::MAPS_MAX - 1);
                let path = segment::path(&self.dir, index);
                let map = File::open(&path).and_then(|file| Map::of(&file));
                let map = map.map_err(|source| match source.kind() {
                    io::ErrorKind::NotFound => ReadError::Gone { position, file: path },
                    _ => ReadError::Io { path, source },
                })?;
                self.maps.insert(0, (index, map));
            }
        }
        let data = recovery::piece(&SegmentHeader { index, ..*like }, &self.maps[0].1);
        Ok(data.from(position.0))
    }
}
