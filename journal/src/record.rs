//! Records: the unit of the stream, and the seal that closes a batch of them.
//!
//! ```text
//!  0        4        8                16               24   25      28      32
//!  ┌────────┬────────┬────────────────┬────────────────┬────┬───────┬───────┬─────────────┐
//!  │ length │ crc32c │ sequence       │ nanos          │kind│detail │ epoch │ payload ... │
//!  └────────┴────────┴────────────────┴────────────────┴────┴───────┴───────┴─────────────┘
//! ```
//!
//! All integers are little-endian. `length` counts the whole record and is a multiple of 8. The CRC starts
//! from the segment's salt and runs over the record's own position, then over the record with the CRC field
//! as zero: bytes that are stale, or that lie elsewhere than where they were written, never parse.

use core::fmt;

use crate::crc32c;

/// What a record is. The numbers are those of the format and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// `Command::Enter`.
    Enter = 1,
    /// `Command::Cancel`.
    Cancel = 2,
    /// `Command::Reduce`.
    Reduce = 3,
    /// `Command::Replace`.
    Replace = 4,
    /// `Command::Rejected`.
    Rejected = 5,
    /// `Command::EndOfDay`.
    EndOfDay = 6,
    /// `Command::DefineInstrument`.
    DefineInstrument = 7,
    /// `Command::DefineSession`.
    DefineSession = 8,
    /// `Command::EnterSpecial`.
    EnterSpecial = 9,
    /// `Command::ReplaceSpecial`.
    ReplaceSpecial = 10,
    /// `Command::MassCancel`.
    MassCancel = 11,
    /// `Command::Advance`.
    Advance = 12,
    /// `Command::EpochStart`.
    EpochStart = 13,
    /// `Command::FixRequest`.
    FixRequest = 14,
    /// `Command::DropCopy`.
    DropCopy = 15,
    /// `ReportKind::System`.
    ReportSystem = 64,
    /// `ReportKind::Accepted`.
    ReportAccepted = 65,
    /// `ReportKind::Replaced`.
    ReportReplaced = 66,
    /// `ReportKind::Canceled`.
    ReportCanceled = 67,
    /// `ReportKind::Executed`.
    ReportExecuted = 68,
    /// `ReportKind::Rejected`.
    ReportRejected = 69,
    /// `ReportKind::Modified`.
    ReportModified = 70,
    /// `ReportKind::AccountQuery`.
    ReportAccountQuery = 71,
    /// `ReportKind::Restated`.
    ReportRestated = 72,
    /// `ReportKind::Refreshed`.
    ReportRefreshed = 73,
    /// `ReportKind::Triggered`.
    ReportTriggered = 74,
    /// `ReportKind::Decremented`.
    ReportDecremented = 75,
    /// `ReportKind::CancelRejected`.
    ReportCancelRejected = 76,
    /// `ReportKind::MassCanceled`.
    ReportMassCanceled = 77,
    /// `ReportKind::Accepted` of an order with instructions.
    ReportAcceptedSpecial = 78,
    /// `ReportKind::Replaced` of an order with instructions.
    ReportReplacedSpecial = 79,
    /// `ReportKind::Order`.
    ReportOrder = 80,
    /// `ReportKind::Refused`.
    ReportRefused = 81,
    /// `ReportKind::Said`.
    ReportSaid = 82,
    /// `ReportKind::Copy`.
    ReportCopy = 83,
    /// Closes a batch.
    Seal = 128,
}

impl RecordKind {
    /// From the format's number.
    #[inline]
    #[must_use]
    pub const fn from_u8(n: u8) -> Option<Self> {
        Some(match n {
            1 => Self::Enter,
            2 => Self::Cancel,
            3 => Self::Reduce,
            4 => Self::Replace,
            5 => Self::Rejected,
            6 => Self::EndOfDay,
            7 => Self::DefineInstrument,
            8 => Self::DefineSession,
            9 => Self::EnterSpecial,
            10 => Self::ReplaceSpecial,
            11 => Self::MassCancel,
            12 => Self::Advance,
            13 => Self::EpochStart,
            14 => Self::FixRequest,
            15 => Self::DropCopy,
            64 => Self::ReportSystem,
            65 => Self::ReportAccepted,
            66 => Self::ReportReplaced,
            67 => Self::ReportCanceled,
            68 => Self::ReportExecuted,
            69 => Self::ReportRejected,
            70 => Self::ReportModified,
            71 => Self::ReportAccountQuery,
            72 => Self::ReportRestated,
            73 => Self::ReportRefreshed,
            74 => Self::ReportTriggered,
            75 => Self::ReportDecremented,
            76 => Self::ReportCancelRejected,
            77 => Self::ReportMassCanceled,
            78 => Self::ReportAcceptedSpecial,
            79 => Self::ReportReplacedSpecial,
            80 => Self::ReportOrder,
            81 => Self::ReportRefused,
            82 => Self::ReportSaid,
            83 => Self::ReportCopy,
            128 => Self::Seal,
            _ => return None,
        })
    }

    /// Whether it is a command, with a sequence of its own.
    #[inline]
    #[must_use]
    pub const fn is_command(self) -> bool {
        (self as u8) < 64
    }

    /// Whether it is a report.
    #[inline]
    #[must_use]
    pub const fn is_report(self) -> bool {
        (self as u8) >= 64 && (self as u8) < 128
    }
}

/// Bytes of a record's header.
pub(crate) const HEADER: usize = 32;
/// Bytes of a seal that is not stretched.
pub(crate) const SEAL: usize = HEADER + 32;
/// No record is longer.
pub(crate) const RECORD_MAX: usize = 4096;
/// A seal that would leave less than this before the end of its lap takes the rest itself, so that whatever
/// comes next always finds room for itself and its seal, or an empty lap.
pub(crate) const STRETCH: usize = 512;

// Header fields.
const LENGTH: usize = 0;
const CRC: usize = LENGTH + 4;
const SEQUENCE: usize = CRC + 4;
const NANOS: usize = SEQUENCE + 8;
const KIND: usize = NANOS + 8;
const DETAIL: usize = KIND + 1;
const EPOCH: usize = DETAIL + 3;

// Seal fields, from the start of the record. Whatever follows is zero.
const COUNT: usize = HEADER;
const BYTES: usize = COUNT + 4;
const DURABLE: usize = BYTES + 4;
const PREVIOUS: usize = DURABLE + 8;
const CHAIN: usize = PREVIOUS + 8;

const _: () = {
    assert!(CRC == 4 && SEQUENCE == 8 && NANOS == 16 && KIND == 24 && DETAIL == 25 && EPOCH == 28);
    assert!(EPOCH + 4 == HEADER && HEADER.is_multiple_of(8));
    assert!(COUNT == 32 && DURABLE == 40 && PREVIOUS == 48 && CHAIN == 56 && CHAIN + 8 == SEAL);
    // A stretched seal is still a record.
    assert!(SEAL + STRETCH <= RECORD_MAX);
};

/// A record's header without length and CRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) sequence: u64,
    pub(crate) nanos: u64,
    pub(crate) kind: RecordKind,
    /// Small codes whose meaning the kind gives; zero where it has none.
    pub(crate) detail: [u8; 3],
    pub(crate) epoch: u32,
}

/// What a seal says of the batch before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// Records in the batch, the seal not counted.
    pub(crate) count: u32,
    /// Their bytes: the batch begins this far before the seal.
    pub(crate) bytes: u32,
    /// Everything below this was on disk when the seal was written.
    pub(crate) durable: u64,
    /// The chain before this batch.
    pub(crate) previous: u64,
    /// xxh3-64 of the batch's bytes, seeded with `previous`.
    pub(crate) chain: u64,
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// Nothing was ever written here.
    Zero,
    /// The bytes end before the record does.
    Cut,
    /// A length that no record has.
    Length(u32),
    /// The CRC does not match.
    Crc { stored: u32, computed: u32 },
    /// A kind that the format does not know, under a good CRC.
    Kind(u8),
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("zeros"),
            Self::Cut => f.write_str("a record cut short"),
            Self::Length(n) => write!(f, "a record length of {n}"),
            Self::Crc { stored, computed } => {
                write!(f, "a record whose CRC is {stored:08x} and should be {computed:08x}")
            }
            Self::Kind(n) => write!(f, "a record of unknown kind {n}"),
        }
    }
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Writes a header over the first 32 bytes of `record`, whose payload is in place, and its CRC.
#[inline]
pub(crate) fn finish(record: &mut [u8], header: &Header, position: u64, salt: u32) {
    let length = record.len() as u32;
    let head: &mut [u8; HEADER] = record.first_chunk_mut().expect("a record has a header");
    head[LENGTH..CRC].copy_from_slice(&length.to_le_bytes());
    head[CRC..SEQUENCE].fill(0);
    head[SEQUENCE..NANOS].copy_from_slice(&header.sequence.to_le_bytes());
    head[NANOS..KIND].copy_from_slice(&header.nanos.to_le_bytes());
    // One store: the CRC reads these eight bytes as one word, right away.
    let [a, b, c] = header.detail;
    let low = u32::from_le_bytes([header.kind as u8, a, b, c]);
    head[KIND..HEADER].copy_from_slice(&(u64::from(low) | u64::from(header.epoch) << 32).to_le_bytes());
    let crc = crc32c::record(salt, position, length, &record[SEQUENCE..]);
    record[CRC..SEQUENCE].copy_from_slice(&crc.to_le_bytes());
}

/// Writes a seal over the whole of `record`, which is [`SEAL`] bytes long or, at the end of a lap, longer.
pub(crate) fn write_seal(record: &mut [u8], seal: &Seal, header: &Header, position: u64, salt: u32) {
    record[COUNT..BYTES].copy_from_slice(&seal.count.to_le_bytes());
    record[BYTES..DURABLE].copy_from_slice(&seal.bytes.to_le_bytes());
    record[DURABLE..PREVIOUS].copy_from_slice(&seal.durable.to_le_bytes());
    record[PREVIOUS..CHAIN].copy_from_slice(&seal.previous.to_le_bytes());
    record[CHAIN..SEAL].copy_from_slice(&seal.chain.to_le_bytes());
    record[SEAL..].fill(0);
    finish(record, header, position, salt);
}

/// The length that a header gives its record, if a record can have it.
#[inline]
pub(crate) fn size_of(head: &[u8; HEADER]) -> Option<usize> {
    let size = u32_at(head, LENGTH) as usize;
    ((HEADER..=RECORD_MAX).contains(&size) && size.is_multiple_of(8)).then_some(size)
}

/// Whether a header gives its record the kind of a seal.
#[inline]
pub(crate) fn is_seal(head: &[u8; HEADER]) -> bool {
    head[KIND] == RecordKind::Seal as u8
}

/// The record at the start of `bytes`, which is at `position` in the stream: its header and its length.
#[inline]
pub(crate) fn parse(bytes: &[u8], position: u64, salt: u32) -> Result<(Header, usize), Bad> {
    let Some(head) = bytes.first_chunk::<HEADER>() else {
        return Err(if bytes.iter().all(|b| *b == 0) { Bad::Zero } else { Bad::Cut });
    };
    let length = u32_at(head, LENGTH);
    let Some(size) = size_of(head) else {
        return Err(if head.iter().all(|b| *b == 0) { Bad::Zero } else { Bad::Length(length) });
    };
    let Some(record) = bytes.get(..size) else { return Err(Bad::Cut) };
    let stored = u32_at(head, CRC);
    let computed = crc32c::record(salt, position, length, &record[SEQUENCE..]);
    if stored != computed {
        return Err(Bad::Crc { stored, computed });
    }
    header_of(head).map(|header| (header, size))
}

/// The header of a record whose CRC has been checked.
#[inline]
pub(crate) fn header_of(head: &[u8; HEADER]) -> Result<Header, Bad> {
    let kind = RecordKind::from_u8(head[KIND]).ok_or(Bad::Kind(head[KIND]))?;
    Ok(Header {
        sequence: u64_at(head, SEQUENCE),
        nanos: u64_at(head, NANOS),
        kind,
        detail: [head[DETAIL], head[DETAIL + 1], head[DETAIL + 2]],
        epoch: u32_at(head, EPOCH),
    })
}

/// The length of a record whose CRC has been checked.
#[inline]
pub(crate) fn length_of(record: &[u8]) -> usize {
    u32_at(record, LENGTH) as usize
}

/// What the seal `record` says; `None` when it is too short to be one.
#[inline]
pub(crate) fn seal_of(record: &[u8]) -> Option<Seal> {
    let record: &[u8; SEAL] = record.first_chunk()?;
    Some(Seal {
        count: u32_at(record, COUNT),
        bytes: u32_at(record, BYTES),
        durable: u64_at(record, DURABLE),
        previous: u64_at(record, PREVIOUS),
        chain: u64_at(record, CHAIN),
    })
}

/// Whether a seal may begin here, by its length and kind alone: a cheap test before the CRC.
#[inline]
pub(crate) fn may_be_seal(bytes: &[u8]) -> bool {
    bytes.len() >= SEAL
        && bytes[KIND] == RecordKind::Seal as u8
        && (SEAL..=RECORD_MAX).contains(&(u32_at(bytes, LENGTH) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, Header) {
        let header = Header { sequence: 7, nanos: 9, kind: RecordKind::Cancel, detail: [1, 0, 0], epoch: 1 };
        let mut record = vec![0xA5; 48];
        finish(&mut record, &header, 4096, 77);
        (record, header)
    }

    #[test]
    fn a_record_parses_only_where_it_was_written() {
        let (record, header) = sample();
        assert_eq!(parse(&record, 4096, 77), Ok((header, 48)));
        assert!(matches!(parse(&record, 4104, 77), Err(Bad::Crc { .. })));
        assert!(matches!(parse(&record, 4096, 78), Err(Bad::Crc { .. })));
        assert_eq!(parse(&record[..40], 4096, 77), Err(Bad::Cut));
    }

    #[test]
    fn no_flipped_bit_goes_unseen() {
        let (record, header) = sample();
        for bit in 0..record.len() * 8 {
            let mut bytes = record.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(parse(&bytes, 4096, 77), Ok((header, 48)), "bit {bit}");
            assert!(parse(&bytes, 4096, 77).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn kinds_and_numbers_agree() {
        let known: Vec<u8> = (0..=255).filter(|n| RecordKind::from_u8(*n).is_some()).collect();
        assert_eq!(known.len(), 36);
        for n in known {
            let kind = RecordKind::from_u8(n).expect("known");
            assert_eq!(kind as u8, n);
            assert_eq!(
                [kind.is_command(), kind.is_report(), kind == RecordKind::Seal]
                    .iter()
                    .filter(|b| **b)
                    .count(),
                1
            );
        }
    }
}
