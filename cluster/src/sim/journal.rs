//! A journal in the manner of the real one, small: batches that are sealed and chained, in segments, behind a tail that
//! the death of a process does not touch.
//!
//! ```text
//!  0       4        8       12    16         24      32        40
//!  ┌───────┬────────┬───────┬─────┬──────────┬───────┬─────────┬───────────── ─ ─ ──┐
//!  │ magic │ length │ count │ crc │ previous │ chain │ durable │ records, zeros     │
//!  └───────┴────────┴───────┴─────┴──────────┴───────┴─────────┴───────────── ─ ─ ──┘
//! ```
//!
//! No batch crosses a segment's end; the last one of a segment is stretched to it. The chain does not cover `durable`.
//!
//! Files: `seg-N`, `kept` ([`Kept`]), `snap` (what retention took away, as records), and `intent`: a cut or a swap that
//! has begun and is finished by whoever opens the journal next. Without that file a crash in the middle of a cut would
//! look like damage, since the batches behind the hole say that what is in the hole was on the disk.

use std::collections::BTreeMap;

use domain::{Epoch, EpochStart, Mark, Position};

use super::disk::{Step, Storage};
use crate::Kept;
use crate::history::History;
use crate::mutation::{self, Mutation};

pub(crate) const SEGMENT: usize = 2048;
pub(crate) const RECORD: usize = 40;
const BATCH_HEADER: usize = 40;
const SEGMENT_HEADER: usize = 32;
const MAGIC: u32 = 0x4854_4142;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Command = 1,
    Report = 2,
    EpochStart = 3,
}

/// A record. In a command `value` is what the client said; in a report it is what the books made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) epoch: Epoch,
    pub(crate) session: u32,
    /// The session's own number of the order.
    pub(crate) client_ref: u32,
    /// Of a report: the outbound number.
    pub(crate) number: u64,
    pub(crate) value: u64,
    pub(crate) nanos: u64,
}

impl Record {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for part in [self.kind as u32, self.epoch.0, self.session, self.client_ref] {
            out.extend_from_slice(&part.to_le_bytes());
        }
        for part in [self.number, self.value, self.nanos] {
            out.extend_from_slice(&part.to_le_bytes());
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let kind = match u32_at(bytes, 0)? {
            1 => Kind::Command,
            2 => Kind::Report,
            3 => Kind::EpochStart,
            _ => return None,
        };
        Some(Self {
            kind,
            epoch: Epoch(u32_at(bytes, 4)?),
            session: u32_at(bytes, 8)?,
            client_ref: u32_at(bytes, 12)?,
            number: u64_at(bytes, 16)?,
            value: u64_at(bytes, 24)?,
            nanos: u64_at(bytes, 32)?,
        })
    }
}

/// What retention took away: everything before `mark`, as records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) mark: Mark,
    pub(crate) records: Vec<Record>,
    pub(crate) history: History,
}

impl Snapshot {
    /// The base of the segment that holds the last batch before the mark: one segment always stays.
    pub(crate) fn first_kept(&self) -> u64 {
        self.mark.position.0.saturating_sub(1) / SEGMENT as u64 * SEGMENT as u64
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for part in [self.mark.position.0, self.mark.chain, self.records.len() as u64] {
            out.extend_from_slice(&part.to_le_bytes());
        }
        out.extend_from_slice(&(self.history.starts().len() as u64).to_le_bytes());
        for start in self.history.starts() {
            out.extend_from_slice(&u64::from(start.epoch.0).to_le_bytes());
            out.extend_from_slice(&start.position.0.to_le_bytes());
        }
        for record in &self.records {
            record.encode(&mut out);
        }
        let check = hash(0, &out);
        out.extend_from_slice(&check.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, check) = bytes.split_last_chunk::<8>()?;
        if hash(0, body) != u64::from_le_bytes(*check) {
            return None;
        }
        let mark = Mark { position: Position(u64_at(body, 0)?), chain: u64_at(body, 8)? };
        let starts = u64_at(body, 24)? as usize;
        let start = |n: usize| {
            let epoch = Epoch(u64_at(body, 32 + n * 16)? as u32);
            Some(EpochStart { epoch, position: Position(u64_at(body, 40 + n * 16)?) })
        };
        let history = History::from_starts((0..starts).map(start).collect::<Option<Vec<_>>>()?).ok()?;
        let rest = body.get(32 + starts * 16..)?;
        let records = rest.chunks(RECORD).map(Record::decode).collect::<Option<Vec<_>>>()?;
        (records.len() as u64 == u64_at(body, 16)?).then_some(Self { mark, records, history })
    }
}

/// The newest part of the stream, in memory that only the machine's stop clears.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    pub(crate) cluster: u64,
    pub(crate) base: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Tail {
    pub(crate) const fn new(cluster: u64, base: u64) -> Self {
        Self { cluster, base, bytes: Vec::new() }
    }

    /// What is before the tail is on the disk; what is in it may not be.
    pub(crate) fn cut(&mut self, to: u64) {
        self.bytes.truncate(to.saturating_sub(self.base) as usize);
        self.base = self.base.min(to);
    }
}

/// An open journal.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    pub(crate) cluster: u64,
    pub(crate) snapshot: Option<Snapshot>,
    /// Where `bytes` begins: the base of a segment.
    pub(crate) first: u64,
    bytes: Vec<u8>,
    /// Ends of batches with their chains, the beginning included.
    marks: BTreeMap<u64, u64>,
    pub(crate) records: Vec<(u64, Record)>,
    pub(crate) history: History,
    pub(crate) durable: u64,
    /// Given to the disk.
    pub(crate) flushed: u64,
    /// Records of the batch that is open.
    pub(crate) open: Vec<Record>,
}

/// What recovery found.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) journal: Option<Journal>,
    pub(crate) kept: Kept,
    /// What must be done to the disk before the journal is used.
    pub(crate) steps: Vec<Step>,
    /// The machine had stopped and the tail is gone.
    pub(crate) lost_tail: bool,
    pub(crate) finished_intent: bool,
    /// Something is wrong that no crash explains.
    pub(crate) damage: Option<String>,
}

pub(crate) fn genesis(cluster: u64) -> u64 {
    mix(cluster, 0x67)
}

fn segment_name(index: u64) -> String {
    format!("seg-{index:05}")
}

fn segment_header(cluster: u64, index: u64, previous: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(SEGMENT_HEADER);
    for part in [cluster, index, previous] {
        header.extend_from_slice(&part.to_le_bytes());
    }
    let check = hash(7, &header);
    header.extend_from_slice(&check.to_le_bytes());
    header
}

/// A segment is made under another name and gets its own when it is whole.
pub(crate) fn make_segment(cluster: u64, index: u64, previous: u64) -> Vec<Step> {
    let (spare, name) = (format!("spare-{index:05}"), segment_name(index));
    let mut steps = vec![
        Step::Create(spare.clone()),
        Step::Write { name: spare.clone(), at: 0, bytes: segment_header(cluster, index, previous) },
        Step::Write { name: spare.clone(), at: SEGMENT_HEADER, bytes: vec![0; SEGMENT] },
        Step::Sync(spare.clone()),
        Step::Rename { from: spare, to: name },
    ];
    if !mutation::is(Mutation::SkippedDirectorySync) {
        steps.push(Step::SyncDirectory);
    }
    steps
}

/// Puts a small file in place, whole or not at all.
pub(crate) fn put_file(name: &str, bytes: Vec<u8>) -> Vec<Step> {
    let temporary = format!("{name}.tmp");
    vec![
        Step::Create(temporary.clone()),
        Step::Write { name: temporary.clone(), at: 0, bytes },
        Step::Sync(temporary.clone()),
        Step::Rename { from: temporary, to: name.into() },
        Step::SyncDirectory,
    ]
}

pub(crate) fn put_kept(kept: Kept) -> Vec<Step> {
    let mut bytes = kept.promised.0.to_le_bytes().to_vec();
    bytes.push(u8::from(kept.complete));
    put_file("kept", bytes)
}

fn read_kept(disk: &dyn Storage) -> Kept {
    let Some(bytes) = disk.read("kept") else { return Kept::NEW };
    Kept { promised: Epoch(u32_at(bytes, 0).unwrap_or(0)), complete: bytes.get(4) == Some(&1) }
}

impl Journal {
    /// Empty, beginning at `from`.
    pub(crate) fn new(cluster: u64, from: Mark, snapshot: Option<Snapshot>, history: History) -> Self {
        let first = from.position.0;
        Self {
            cluster,
            snapshot,
            first,
            bytes: Vec::new(),
            marks: BTreeMap::from([(first, from.chain)]),
            records: Vec::new(),
            history,
            durable: first,
            flushed: first,
            open: Vec::new(),
        }
    }

    pub(crate) fn end(&self) -> Mark {
        let (&position, &chain) = self.marks.last_key_value().expect("the beginning is a mark");
        Mark { position: Position(position), chain }
    }

    pub(crate) fn mark_at(&self, position: u64) -> Option<Mark> {
        let chain = *self.marks.get(&position)?;
        Some(Mark { position: Position(position), chain })
    }

    /// The greatest mark at or below.
    pub(crate) fn mark_below(&self, position: u64) -> Option<Mark> {
        let (&position, &chain) = self.marks.range(..=position).next_back()?;
        Some(Mark { position: Position(position), chain })
    }

    /// Everything that was ever said, oldest first: the snapshot's records, then the log's behind its mark.
    pub(crate) fn everything(&self) -> Vec<(u64, Record)> {
        let mark = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.mark.position.0);
        let before = self.snapshot.iter().flat_map(|snapshot| snapshot.records.iter().map(|r| (0, *r)));
        before.chain(self.records.iter().filter(|(at, _)| *at >= mark).copied()).collect()
    }

    /// Closes the open batch; the records that it made visible are those from the returned index on.
    pub(crate) fn commit(&mut self) {
        let open = core::mem::take(&mut self.open);
        let mut left = &open[..];
        while !left.is_empty() {
            let at = self.end().position.0;
            let room = SEGMENT - at as usize % SEGMENT - BATCH_HEADER;
            let count = left.len().min(room / RECORD);
            let (now, later) = left.split_at(count);
            left = later;
            let mut length = BATCH_HEADER + count * RECORD;
            // What is left must hold the next batch's header and a record.
            if room - count * RECORD < BATCH_HEADER + RECORD {
                length = BATCH_HEADER + room;
            }
            let batch = self.seal(now, length);
            self.append(at, &batch).expect("its own batch");
        }
    }

    fn seal(&self, records: &[Record], length: usize) -> Vec<u8> {
        let end = self.end();
        let mut body = Vec::new();
        for record in records {
            record.encode(&mut body);
        }
        body.resize(length - BATCH_HEADER, 0);
        let chain = chain_of(end.chain, records.len() as u32, &body);
        let mut batch = Vec::with_capacity(length);
        for part in [MAGIC, length as u32, records.len() as u32, 0] {
            batch.extend_from_slice(&part.to_le_bytes());
        }
        for part in [end.chain, chain, self.durable] {
            batch.extend_from_slice(&part.to_le_bytes());
        }
        batch.extend_from_slice(&body);
        let crc = crc_of(end.position.0, &batch);
        batch[12..16].copy_from_slice(&crc.to_le_bytes());
        batch
    }

    /// Appends whole batches that begin at `at`; the epochs that began in them. If one is bad nothing is appended.
    pub(crate) fn append(&mut self, at: u64, bytes: &[u8]) -> Result<Vec<EpochStart>, String> {
        if at != self.end().position.0 {
            return Err(format!("batches at {at}, and the log ends at {}", self.end().position));
        }
        let (mut end, mut epoch, mut starts) = (self.end(), self.history.last(), Vec::new());
        let (mut marks, mut records) = (Vec::new(), Vec::new());
        let mut rest = bytes;
        while !rest.is_empty() {
            let batch = Batch::parse(rest, end).map_err(|what| format!("at {}: {what}", end.position))?;
            for (n, record) in batch.records.iter().enumerate() {
                let position = end.position.0 + (BATCH_HEADER + n * RECORD) as u64;
                if record.epoch < epoch || (record.epoch > epoch) != (record.kind == Kind::EpochStart) {
                    return Err(format!("epoch {} after {epoch} at {position}", record.epoch));
                }
                if record.kind == Kind::EpochStart {
                    epoch = record.epoch;
                    starts.push(EpochStart { epoch, position: end.position });
                }
                records.push((position, *record));
            }
            end = Mark { position: Position(end.position.0 + batch.length as u64), chain: batch.chain };
            marks.push(end);
            rest = &rest[batch.length..];
        }
        for &start in &starts {
            self.history.begin(start).map_err(|error| error.to_string())?;
        }
        self.bytes.extend_from_slice(bytes);
        self.marks.extend(marks.iter().map(|mark| (mark.position.0, mark.chain)));
        self.records.extend(records);
        Ok(starts)
    }

    /// Appends batches of a primary. Each seal says what was durable where it was written; here that is this node's own
    /// matter, so it is stamped anew: else a crash here would be judged by what was on the primary's disk.
    pub(crate) fn append_of_primary(&mut self, at: u64, bytes: &[u8]) -> Result<Vec<EpochStart>, String> {
        if mutation::is(Mutation::VerbatimSeals) {
            return self.append(at, bytes);
        }
        let mut own = bytes.to_vec();
        let mut offset = 0;
        while offset < own.len() {
            let position = at + offset as u64;
            let length = u32_at(&own, offset + 4).unwrap_or(0) as usize;
            if Batch::durable_of(&own[offset..], position).is_none() {
                return Err(format!("no batch at {position}"));
            }
            let batch = &mut own[offset..offset + length];
            batch[32..40].copy_from_slice(&self.durable.to_le_bytes());
            let crc = crc_of(position, batch);
            batch[12..16].copy_from_slice(&crc.to_le_bytes());
            offset += length;
        }
        self.append(at, &own)
    }

    /// Whole batches from `from` on, about so many bytes.
    pub(crate) fn batches(&self, from: u64, bytes: u64) -> (&[u8], u64) {
        let wanted = from + bytes;
        let end = self
            .marks
            .range(..=wanted)
            .next_back()
            .map(|(&end, _)| end)
            .filter(|&end| end > from)
            .or_else(|| self.marks.range(from + 1..).next().map(|(&end, _)| end))
            .unwrap_or(from);
        (&self.bytes[(from - self.first) as usize..(end - self.first) as usize], end)
    }

    /// Everything from `base` on, for the tail.
    pub(crate) fn bytes_from(&self, base: u64) -> &[u8] {
        &self.bytes[(base - self.first) as usize..]
    }

    /// The steps that bring the disk from `flushed` to the end.
    pub(crate) fn flush(&mut self) -> Vec<Step> {
        let end = self.end().position.0;
        let steps = self.write_out(self.flushed, end);
        self.flushed = end;
        steps
    }

    /// Writes a stretch: each segment is synced before the next one is there.
    fn write_out(&self, from: u64, to: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut at = from;
        while at < to {
            let (index, offset) = (at / SEGMENT as u64, at as usize % SEGMENT);
            if offset == 0 {
                let previous = self.marks.get(&at).copied().expect("a segment begins with a batch");
                steps.extend(make_segment(self.cluster, index, previous));
            }
            let end = to.min((index + 1) * SEGMENT as u64);
            let bytes = self.bytes[(at - self.first) as usize..(end - self.first) as usize].to_vec();
            let name = segment_name(index);
            steps.push(Step::Write { name: name.clone(), at: SEGMENT_HEADER + offset, bytes });
            steps.push(Step::Sync(name));
            at = end;
        }
        steps
    }

    /// Cuts what is behind `to`; the steps do the same to the disk, by way of an intent.
    pub(crate) fn truncate_steps(&self, to: u64) -> Vec<Step> {
        let archived = self.bytes_from(to).to_vec();
        let mut steps = put_file(&format!("archive-{to}"), archived);
        if !mutation::is(Mutation::CutWithoutIntent) {
            steps.extend(put_file("intent", intent(0, to, 0)));
        }
        steps.extend(self.cut_steps(to));
        steps
    }

    fn cut_steps(&self, to: u64) -> Vec<Step> {
        let last = self.end().position.0.max(self.flushed).div_ceil(SEGMENT as u64);
        // The first segment stays, empty: it says which journal this is.
        let from = to.div_ceil(SEGMENT as u64).max(self.first / SEGMENT as u64 + 1);
        let mut steps: Vec<Step> = (from..=last).rev().map(|n| Step::Remove(segment_name(n))).collect();
        steps.push(Step::SyncDirectory);
        if to == self.first || !to.is_multiple_of(SEGMENT as u64) {
            let name = segment_name(to / SEGMENT as u64);
            let offset = to as usize % SEGMENT;
            let (at, bytes) = (SEGMENT_HEADER + offset, vec![0; SEGMENT - offset]);
            steps.push(Step::Write { name: name.clone(), at, bytes });
            steps.push(Step::Sync(name));
        }
        steps.push(Step::CutTail(to));
        steps.push(Step::Remove("intent".into()));
        steps.push(Step::SyncDirectory);
        steps
    }

    /// The same in memory.
    pub(crate) fn truncate(&mut self, to: u64) {
        self.bytes.truncate((to - self.first) as usize);
        self.marks.split_off(&(to + 1));
        self.records.retain(|(at, _)| *at < to);
        self.history.truncate(Position(to));
        self.durable = self.durable.min(to);
        self.flushed = self.flushed.min(to);
    }

    /// What retention does: everything on the disk up to `mark` becomes a snapshot, and segments wholly before it go.
    pub(crate) fn retain_steps(&self, snapshot: &Snapshot) -> Vec<Step> {
        let mut steps = put_file("snap", snapshot.encode());
        let keep_from = snapshot.first_kept() / SEGMENT as u64;
        for index in self.first / SEGMENT as u64..keep_from {
            steps.push(Step::Remove(segment_name(index)));
            steps.push(Step::SyncDirectory);
        }
        steps
    }

    pub(crate) fn take_snapshot(&self, mark: Mark) -> Snapshot {
        let records = self.everything();
        let before = records.into_iter().filter(|(at, _)| *at < mark.position.0).map(|(_, r)| r).collect();
        let mut history = self.history.clone();
        history.truncate(mark.position);
        Snapshot { mark, records: before, history }
    }

    /// The same in memory.
    pub(crate) fn retain(&mut self, snapshot: Snapshot) {
        let first = snapshot.first_kept();
        self.bytes.drain(..(first - self.first) as usize);
        self.marks = self.marks.split_off(&first);
        self.records.retain(|(at, _)| *at >= first);
        self.first = first;
        self.snapshot = Some(snapshot);
    }
}

/// The steps that put a snapshot and an empty journal in the place of what is there, by way of an intent.
pub(crate) fn install_steps(disk: &dyn Storage, cluster: u64, snapshot: &[u8], from: Mark) -> Vec<Step> {
    let mut steps = put_file("snap.new", snapshot.to_vec());
    steps.extend(put_file("intent", intent(cluster, from.position.0, from.chain)));
    steps.extend(swap_steps(disk, cluster, from));
    steps
}

fn swap_steps(disk: &dyn Storage, cluster: u64, from: Mark) -> Vec<Step> {
    let mut steps: Vec<Step> =
        disk.names().into_iter().filter(|name| name.starts_with("seg-")).map(Step::Remove).collect();
    steps.push(Step::Rename { from: "snap.new".into(), to: "snap".into() });
    steps.push(Step::SyncDirectory);
    steps.extend(make_segment(cluster, from.position.0 / SEGMENT as u64, from.chain));
    steps.push(Step::NewTail { cluster, base: from.position.0 });
    steps.push(Step::Remove("intent".into()));
    steps.push(Step::SyncDirectory);
    steps
}

/// A cut has no cluster.
fn intent(cluster: u64, position: u64, chain: u64) -> Vec<u8> {
    [cluster, position, chain].iter().flat_map(|part| part.to_le_bytes()).collect()
}

/// Judges what is on a disk and in a tail.
pub(crate) fn recover(disk: &dyn Storage, tail: Option<&Tail>) -> Recovered {
    let kept = read_kept(disk);
    let mut found = Recovered {
        journal: None,
        kept,
        steps: Vec::new(),
        lost_tail: tail.is_none(),
        finished_intent: false,
        damage: None,
    };
    let intent = disk.read("intent").map(|bytes| [0, 8, 16].map(|at| u64_at(bytes, at).unwrap_or(0)));
    if intent.is_some() {
        // It may be there for the kernel only; nothing that follows from it may reach the disk before it.
        found.steps.push(Step::SyncDirectory);
    }
    if let Some([cluster, position, chain]) = intent
        && cluster != 0
    {
        // A swap: it is begun again, whatever had been done of it.
        let from = Mark { position: Position(position), chain };
        let bytes = disk.read("snap.new").or_else(|| disk.read("snap"));
        let Some(snapshot) = bytes.and_then(Snapshot::decode) else {
            found.damage = Some("a swap has begun and the snapshot is not there".into());
            return found;
        };
        found.steps.extend(put_kept(Kept { complete: false, ..kept }));
        found.kept.complete = false;
        found.steps.extend(swap_steps(disk, cluster, from));
        found.finished_intent = true;
        let mut history = snapshot.history.clone();
        history.truncate(from.position);
        found.journal = Some(Journal::new(cluster, from, Some(snapshot), history));
        return found;
    }
    let Some((mut journal, mut damage)) = read_segments(disk, tail) else {
        return found;
    };
    if let Some([_, to, _]) = intent {
        // A cut: whatever is behind it does not count, and its holes are no damage.
        found.finished_intent = true;
        damage = None;
        // It may end before the cut already, if what was cut had never been synced.
        if to < journal.end().position.0 {
            if journal.mark_at(to).is_none() {
                found.damage = Some(format!("a cut to {to} has begun and no batch ends there"));
                return found;
            }
            journal.truncate(to);
        }
    }
    if damage.is_some() {
        found.damage = damage;
        return found;
    }
    if found.lost_tail && kept.complete {
        found.kept.complete = false;
        found.steps.extend(put_kept(found.kept));
    }
    // Zeros behind the end, segments beyond it gone, and everything of the tail written.
    let end = journal.end().position.0;
    let base = tail.map_or(end, |tail| tail.base.clamp(journal.first, end));
    let names = disk.names();
    for name in names.iter().rev().filter(|name| name.starts_with("seg-")) {
        if *name >= segment_name(end.div_ceil(SEGMENT as u64))
            && *name > segment_name(journal.first / SEGMENT as u64)
        {
            found.steps.push(Step::Remove(name.clone()));
        }
    }
    found.steps.push(Step::SyncDirectory);
    let offset = end as usize % SEGMENT;
    // What is in the last segment is written again with what comes behind it.
    let from = if tail.is_some() { base } else { end };
    let whole = from / SEGMENT as u64 * SEGMENT as u64;
    if from < end || offset != 0 {
        let mut steps = journal.write_out(whole.max(journal.first), end);
        // Those that are there need not be made; they are whole, and their names synced above.
        let is_there = |step: &Step| match step {
            Step::Create(name) => names.contains(&name.replace("spare", "seg")),
            Step::Rename { to, .. } => names.contains(to),
            Step::Write { name, .. } | Step::Sync(name) if name.starts_with("spare") => {
                names.contains(&name.replace("spare", "seg"))
            }
            _ => false,
        };
        steps.retain(|step| !is_there(step));
        found.steps.extend(steps);
        if offset != 0 {
            let name = segment_name(end / SEGMENT as u64);
            let at = SEGMENT_HEADER + offset;
            found.steps.push(Step::Write { name: name.clone(), at, bytes: vec![0; SEGMENT - offset] });
            found.steps.push(Step::Sync(name));
        }
    }
    found.steps.push(Step::NewTail { cluster: journal.cluster, base: end });
    found.steps.push(Step::Remove("intent".into()));
    found.steps.push(Step::SyncDirectory);
    // What is in the tail is on the disk once the steps are done.
    journal.durable = from;
    journal.flushed = end;
    found.journal = Some(journal);
    found
}

/// The segments walked, and the tail behind them; and what no crash explains.
fn read_segments(disk: &dyn Storage, tail: Option<&Tail>) -> Option<(Journal, Option<String>)> {
    let names: Vec<String> = disk.names().into_iter().filter(|name| name.starts_with("seg-")).collect();
    let first_name = names.first()?;
    let header = |name: &str| {
        let header = disk.read(name)?.get(..SEGMENT_HEADER)?;
        (hash(7, &header[..24]) == u64_at(header, 24)?).then_some([
            u64_at(header, 0)?,
            u64_at(header, 8)?,
            u64_at(header, 16)?,
        ])
    };
    let [cluster, first_index, previous] = header(first_name)?;
    let snapshot = disk.read("snap").and_then(Snapshot::decode);
    let from = Mark { position: Position(first_index * SEGMENT as u64), chain: previous };
    let mut history = snapshot.as_ref().map(|snapshot| snapshot.history.clone()).unwrap_or_default();
    history.truncate(from.position);
    let mut damage = None;
    if first_index > 0 && snapshot.as_ref().is_none_or(|snapshot| snapshot.mark.position < from.position) {
        damage = Some(format!("the journal begins at {} and no snapshot reaches it", from.position));
    }
    let mut journal = Journal::new(cluster, from, snapshot, history);
    let mut evidence = 0;
    let mut is_over = false;
    for (n, name) in names.iter().enumerate() {
        let index = first_index + n as u64;
        if *name != segment_name(index) || header(name).is_none() {
            is_over = true;
        }
        let bytes = disk.read(name).and_then(|bytes| bytes.get(SEGMENT_HEADER..)).unwrap_or(&[]);
        let mut at = 0;
        while at < bytes.len() && !is_over {
            let Ok(batch) = Batch::parse(&bytes[at..], journal.end()) else { break };
            let length = batch.length;
            if journal.append(journal.end().position.0, &bytes[at..at + length]).is_err() {
                break;
            }
            evidence = evidence.max(batch.durable);
            at += length;
        }
        // What lies behind the spot may still say what had been on the disk.
        let base = index * SEGMENT as u64;
        for behind in (at..bytes.len()).step_by(8) {
            if let Some(durable) = Batch::durable_of(&bytes[behind..], base + behind as u64) {
                evidence = evidence.max(durable);
            }
        }
        is_over |= at < SEGMENT;
    }
    if let Some(tail) = tail.filter(|tail| tail.cluster == cluster) {
        let end = journal.end().position.0;
        if tail.base <= end {
            // The page cache and the tail are of one process: where they overlap they are the same.
            if tail.base >= journal.first && journal.mark_at(tail.base).is_some() {
                journal.truncate(tail.base);
                if let Err(what) = journal.append(tail.base, &tail.bytes) {
                    damage = Some(format!("the tail does not continue the journal: {what}"));
                }
            }
        } else {
            damage = Some(format!("the tail begins at {} and the segments end at {end}", tail.base));
        }
    }
    let end = journal.end().position.0;
    if evidence > end {
        damage = Some(format!("the log ends at {end} and {evidence} had been on the disk"));
    }
    Some((journal, damage))
}

struct Batch {
    length: usize,
    chain: u64,
    durable: u64,
    records: Vec<Record>,
}

impl Batch {
    /// The batch at the front of `bytes`, which must continue `end`.
    fn parse(bytes: &[u8], end: Mark) -> Result<Self, &'static str> {
        let length = u32_at(bytes, 4).unwrap_or(0) as usize;
        let durable = Self::durable_of(bytes, end.position.0).ok_or("no batch")?;
        let count = u32_at(bytes, 8).unwrap_or(0);
        let (previous, chain) = (u64_at(bytes, 16).unwrap_or(0), u64_at(bytes, 24).unwrap_or(0));
        let body = &bytes[BATCH_HEADER..length];
        if previous != end.chain || chain_of(previous, count, body) != chain {
            return Err("another chain");
        }
        let records = body.get(..count as usize * RECORD).ok_or("too many records")?;
        let records = records.chunks(RECORD).map(Record::decode).collect::<Option<_>>().ok_or("no record")?;
        Ok(Self { length, chain, durable, records })
    }

    /// What a batch with a good CRC that begins here says was durable.
    fn durable_of(bytes: &[u8], position: u64) -> Option<u64> {
        let length = u32_at(bytes, 4)? as usize;
        if u32_at(bytes, 0)? != MAGIC || !(BATCH_HEADER..=SEGMENT).contains(&length) {
            return None;
        }
        let batch = bytes.get(..length)?;
        (crc_of(position, batch) == u32_at(batch, 12)?).then(|| u64_at(batch, 32)).flatten()
    }
}

fn chain_of(previous: u64, count: u32, body: &[u8]) -> u64 {
    hash(mix(previous, u64::from(count)), body)
}

/// Over the position and everything but the field itself.
fn crc_of(position: u64, batch: &[u8]) -> u32 {
    let before = hash(position, &batch[..12]);
    (hash(before, &batch[16..]) >> 32) as u32
}

pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.rotate_left(23) ^ b.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(a);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = mix(seed, bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = mix(state, u64::from_le_bytes(word));
    }
    state
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes)
}
