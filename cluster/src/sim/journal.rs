//! A journal in the manner of the real one, small: batches that are sealed and chained, in segments, behind a tail that
//! the death of a process does not touch.
//!
//! No batch crosses a segment's end; the last one of a segment is stretched to it. The chain does not cover `durable`.
//!
//! Files: `seg-N`, `kept` ([`Kept`]), `snap` (what retention took away, as records), and `intent`: a cut or a swap that
//! has begun and is finished by whoever opens the journal next. Without that file a crash in the middle of a cut would
//! look like damage, since the batches behind the hole say that what is in the hole was on the disk.

mod format;
mod recovery;

use std::collections::BTreeMap;

use domain::{EpochStart, Mark, Position};

use self::format::{
    BATCH_HEADER, Batch, MAGIC, SEGMENT_HEADER, chain_of, crc_of, intent, segment_header, u32_at,
};
pub(crate) use self::format::{Kind, RECORD, Record, SEGMENT, Snapshot, genesis, mix};
pub(crate) use self::recovery::{Recovered, install_steps, recover};
use super::disk::Step;
use crate::Kept;
use crate::history::History;
use crate::mutation::{self, Mutation};

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

fn segment_name(index: u64) -> String {
    format!("seg-{index:05}")
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
