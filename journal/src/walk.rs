//! Walking the stream batch by batch: the one place that decides what is valid.
//!
//! A batch is valid when every record up to its seal parses, the seal's count and length say the same, its
//! chain goes on from the batch before, and the hash of the bytes is what it says. Nothing that is not in a
//! valid batch is ever shown.

use core::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::record::{self, Bad, HEADER, Header, RecordKind, Seal};

/// Bytes of the stream within one segment: `bytes[0]` is at position `base`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) base: u64,
    /// Of the segment.
    pub(crate) salt: u32,
}

impl<'a> Piece<'a> {
    /// Nothing, nowhere.
    pub(crate) const EMPTY: Self = Self { bytes: &[], base: 0, salt: 0 };

    /// The position after its last byte.
    pub(crate) fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// The bytes from `position` on; empty when it is outside.
    #[inline]
    pub(crate) fn from(&self, position: u64) -> &'a [u8] {
        let offset = position.checked_sub(self.base).and_then(|o| usize::try_from(o).ok());
        offset.and_then(|o| self.bytes.get(o..)).unwrap_or(&[])
    }
}

/// A valid batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    /// Where its seal begins, and its records end.
    pub(crate) seal_at: u64,
    /// Where the next batch begins.
    pub(crate) end: u64,
    pub(crate) seal: Seal,
    /// The seal's own header, which repeats the last command's sequence and time.
    pub(crate) sealed: Header,
}

/// Why there is no valid batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The position of the record that is wrong.
    pub(crate) at: u64,
    pub(crate) what: What,
}

/// What is wrong with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A record does not parse.
    Record(Bad),
    /// The seal counts otherwise.
    Count { said: u32, found: u32 },
    /// The seal's length does not reach back to the batch's first record.
    Bytes { said: u32, found: u64 },
    /// It does not go on from the batch before.
    Previous { said: u64, expected: u64 },
    /// The bytes are not those that it closed.
    Chain { said: u64, computed: u64 },
    /// A command does not follow the one before.
    Sequence { found: u64, expected: u64 },
    /// The epoch went down.
    Epoch { found: u32, before: u32 },
}

impl What {
    /// What should be there.
    pub(crate) fn expected(&self) -> String {
        match self {
            Self::Record(_) => "a record".into(),
            Self::Count { found, .. } => format!("a seal of {found} records"),
            Self::Bytes { found, .. } => format!("a seal of {found} bytes"),
            Self::Previous { expected, .. } => format!("a batch that continues chain {expected:016x}"),
            Self::Chain { computed, .. } => format!("a seal with chain {computed:016x}"),
            Self::Sequence { expected, .. } => format!("the command with sequence {expected}"),
            Self::Epoch { before, .. } => format!("epoch {before} or later"),
        }
    }
}

/// What is there.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(bad) => fmt::Display::fmt(bad, f),
            Self::Count { said, .. } => write!(f, "one of {said} records"),
            Self::Bytes { said, .. } => write!(f, "one of {said} bytes"),
            Self::Previous { said, .. } => write!(f, "one that continues {said:016x}"),
            Self::Chain { said, .. } => write!(f, "one with chain {said:016x}"),
            Self::Sequence { found, .. } => write!(f, "the one with sequence {found}"),
            Self::Epoch { found, .. } => write!(f, "epoch {found}"),
        }
    }
}

/// The hash that closes a batch of these bytes after `previous`.
#[inline]
pub(crate) fn chain(bytes: &[u8], previous: u64) -> u64 {
    xxh3_64_with_seed(bytes, previous)
}

/// The batch at `at`, which must continue `previous`. With no `previous`, `at` may be any record of a batch,
/// and the chain begins with what its seal says.
pub(crate) fn batch(piece: &Piece<'_>, at: u64, previous: Option<u64>) -> Result<Batch, Fault> {
    let bytes = piece.from(at);
    let mut offset = 0;
    let mut count = 0u32;
    let mut epoch = 0;
    loop {
        let here = at + offset as u64;
        let fault = |what| Fault { at: here, what };
        let (header, size) =
            record::parse(&bytes[offset..], here, piece.salt).map_err(|bad| fault(What::Record(bad)))?;
        if header.epoch < epoch {
            return Err(fault(What::Epoch { found: header.epoch, before: epoch }));
        }
        epoch = header.epoch;
        if header.kind != RecordKind::Seal {
            offset += size;
            count += 1;
            continue;
        }
        let seal = record::seal_of(&bytes[offset..offset + size])
            .ok_or_else(|| fault(What::Record(Bad::Length(size as u32))))?;
        let first = here.checked_sub(u64::from(seal.bytes));
        let found = here - at;
        let reaches = match previous {
            Some(_) => first == Some(at),
            None => first.is_some_and(|first| (piece.base..=at).contains(&first)),
        };
        let (Some(first), true) = (first, reaches) else {
            return Err(fault(What::Bytes { said: seal.bytes, found }));
        };
        if first == at && seal.count != count {
            return Err(fault(What::Count { said: seal.count, found: count }));
        }
        if let Some(expected) = previous
            && expected != seal.previous
        {
            return Err(fault(What::Previous { said: seal.previous, expected }));
        }
        let computed = chain(&piece.from(first)[..seal.bytes as usize], seal.previous);
        if computed != seal.chain {
            return Err(fault(What::Chain { said: seal.chain, computed }));
        }
        return Ok(Batch { seal_at: here, end: here + size as u64, seal, sealed: header });
    }
}

/// The records of a valid batch from `at` on: each one's position, header and payload.
pub(crate) fn records<'a>(
    piece: Piece<'a>,
    at: u64,
    batch: &Batch,
) -> impl Iterator<Item = (u64, Header, &'a [u8])> + use<'a> {
    let (mut at, end) = (at, batch.seal_at);
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let (header, payload) = valid(piece.from(at))?;
        let here = at;
        at += (HEADER + payload.len()) as u64;
        Some((here, header, payload))
    })
}

/// The record at the start of `bytes`, which has been found valid before.
#[inline]
pub(crate) fn valid(bytes: &[u8]) -> Option<(Header, &[u8])> {
    let header = record::header_of(bytes.first_chunk()?).ok()?;
    let payload = bytes.get(HEADER..record::length_of(bytes))?;
    Some((header, payload))
}

/// The valid seals that lie anywhere in `from..to`: where the last one is, and the most that any of them says
/// was durable. `None` when there is none.
pub(crate) fn seals_between(piece: &Piece<'_>, from: u64, to: u64) -> Option<(u64, u64)> {
    let bytes = piece.from(from);
    let end = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX).min(bytes.len());
    let mut found: Option<(u64, u64)> = None;
    for offset in (0..end).step_by(8) {
        let rest = &bytes[offset..];
        let here = from + offset as u64;
        if record::may_be_seal(rest)
            && let Ok((header, _)) = record::parse(rest, here, piece.salt)
            && header.kind == RecordKind::Seal
            && let Some(seal) = record::seal_of(rest)
        {
            found = Some((here, found.map_or(seal.durable, |(_, most)| most.max(seal.durable))));
        }
    }
    found
}

/// The position after the last byte that is not zero, at or after `from`; `from` when there is none.
pub(crate) fn end_of_data(piece: &Piece<'_>, from: u64) -> u64 {
    let bytes = piece.from(from);
    // Forwards, as disks read ahead, and a page at a time, without a branch in it: nearly all of it is zeros,
    // and a start waits.
    let mut last_page = 0..0;
    for (number, page) in bytes.chunks(4096).enumerate() {
        let (words, rest) = page.as_chunks::<8>();
        let any = words.iter().fold(0, |any, word| any | u64::from_ne_bytes(*word));
        if any != 0 || rest.iter().any(|b| *b != 0) {
            last_page = number * 4096..number * 4096 + page.len();
        }
    }
    let within = bytes[last_page.clone()].iter().rposition(|b| *b != 0);
    within.map_or(from, |at| from + (last_page.start + at + 1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_data_is_after_the_last_byte_that_is_not_zero() {
        let mut bytes = vec![0u8; 20_001];
        let end = |bytes: &[u8], from| {
            end_of_data(&Piece { bytes, base: 1 << 20, salt: 1 }, (1 << 20) + from) - (1 << 20)
        };
        assert_eq!(end(&bytes, 0), 0);
        assert_eq!(end(&bytes, 777), 777);
        for at in [0, 7, 8, 4095, 4096, 12_345, 19_999, 20_000] {
            bytes[at] = 1;
            assert_eq!(end(&bytes, 0), at as u64 + 1);
            assert_eq!(end(&bytes, at as u64), at as u64 + 1);
            assert_eq!(end(&bytes, at as u64 + 1), at as u64 + 1);
        }
        assert_eq!(end(&bytes, 30_000), 30_000);
    }
}
