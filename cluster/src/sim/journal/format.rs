//! Bytes: records, batches, snapshots, the headers of segments.
//!
//! ```text
//!  0       4        8       12    16         24      32        40
//!  ┌───────┬────────┬───────┬─────┬──────────┬───────┬─────────┬───────────── ─ ─ ──┐
//!  │ magic │ length │ count │ crc │ previous │ chain │ durable │ records, zeros     │
//!  └───────┴────────┴───────┴─────┴──────────┴───────┴─────────┴───────────── ─ ─ ──┘
//! ```

use domain::{Epoch, EpochStart, Mark, Position};

use crate::history::History;

pub(crate) const SEGMENT: usize = 2048;
pub(crate) const RECORD: usize = 40;
pub(super) const BATCH_HEADER: usize = 40;
pub(super) const SEGMENT_HEADER: usize = 32;
pub(super) const MAGIC: u32 = 0x4854_4142;
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

pub(crate) fn genesis(cluster: u64) -> u64 {
    mix(cluster, 0x67)
}

pub(super) fn segment_header(cluster: u64, index: u64, previous: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(SEGMENT_HEADER);
    for part in [cluster, index, previous] {
        header.extend_from_slice(&part.to_le_bytes());
    }
    let check = hash(7, &header);
    header.extend_from_slice(&check.to_le_bytes());
    header
}

/// A cut has no cluster.
pub(super) fn intent(cluster: u64, position: u64, chain: u64) -> Vec<u8> {
    [cluster, position, chain].iter().flat_map(|part| part.to_le_bytes()).collect()
}

pub(super) struct Batch {
    pub(super) length: usize,
    pub(super) chain: u64,
    pub(super) durable: u64,
    pub(super) records: Vec<Record>,
}

impl Batch {
    /// The batch at the front of `bytes`, which must continue `end`.
    pub(super) fn parse(bytes: &[u8], end: Mark) -> Result<Self, &'static str> {
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
    pub(super) fn durable_of(bytes: &[u8], position: u64) -> Option<u64> {
        let length = u32_at(bytes, 4)? as usize;
        if u32_at(bytes, 0)? != MAGIC || !(BATCH_HEADER..=SEGMENT).contains(&length) {
            return None;
        }
        let batch = bytes.get(..length)?;
        (crc_of(position, batch) == u32_at(batch, 12)?).then(|| u64_at(batch, 32)).flatten()
    }
}

pub(super) fn chain_of(previous: u64, count: u32, body: &[u8]) -> u64 {
    hash(mix(previous, u64::from(count)), body)
}

/// Over the position and everything but the field itself.
pub(super) fn crc_of(position: u64, batch: &[u8]) -> u32 {
    let before = hash(position, &batch[..12]);
    (hash(before, &batch[16..]) >> 32) as u32
}

pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.rotate_left(23) ^ b.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(a);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub(super) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = mix(seed, bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = mix(state, u64::from_le_bytes(word));
    }
    state
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes)
}
