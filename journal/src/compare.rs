//! Two copies of one journal, side by side: how far they are the same, and what differs first.
//!
//! The chain at a position is a hash of everything before it, so most of both is never looked at:
//! 1. the chains at the beginnings of segments that both have are compared, by bisection: up to the last at which they
//!    agree, all is the same;
//! 2. from there on both are walked batch by batch, to the first that differs or to the end of one;
//! 3. in that batch the records are compared.
//!
//! The chain covers records and not seals, so what a seal says of a copy's own disk is no difference.

use std::fmt;

use domain::{ClusterId, Mark, Position};

use crate::error::ReadError;
use crate::reader::{Reader, Record, Records};
use crate::walk::{self, Batch, Piece};

/// Which of two journals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The first.
    One,
    /// The second.
    Other,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "the first",
            Self::Other => "the second",
        })
    }
}

/// What comparing found.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// Where both are there from.
    pub from: Position,
    /// Up to here they are the same: the end of the last batch that both have.
    pub common: Mark,
    /// How they go on.
    pub then: Then<'a>,
}

/// How two journals go on behind what they have in common.
#[derive(Clone, Copy, Debug)]
pub enum Then<'a> {
    /// Both end there.
    Same,
    /// One ends there; the other goes on.
    Longer {
        /// The one that goes on.
        which: Which,
        /// By so many bytes,
        bytes: u64,
        /// commands
        commands: u64,
        /// and reports.
        reports: u64,
    },
    /// Both go on, and not alike. At this position the first record that differs begins in each; `None` where its batch
    /// ends instead.
    Differ {
        /// Where.
        position: Position,
        /// What the first has there.
        one: Option<Record<'a>>,
        /// What the second has there.
        other: Option<Record<'a>>,
    },
}

/// Why two journals cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// They are no copies of one journal.
    #[error("they are different journals: cluster {one} and cluster {other}")]
    Foreign {
        /// The first's.
        one: ClusterId,
        /// The second's.
        other: ClusterId,
    },
    /// Positions would not mean the same.
    #[error(
        "segments of the first have {one} data bytes and of the second {other}: they are no copies of each other"
    )]
    Capacity {
        /// The first's.
        one: u64,
        /// The second's.
        other: u64,
    },
    /// One ends before the other begins.
    #[error("{ends} ends at position {end}, and the other begins at {begin}: there is nothing to compare")]
    Apart {
        /// The one that ends.
        ends: Which,
        /// Its end.
        end: Position,
        /// The other's beginning.
        begin: Position,
    },
    /// They differ in what one of them has not any more.
    #[error(
        "they differ before position {from}, where the younger segments begin that both have: chain {one:016x} and {other:016x}"
    )]
    Before {
        /// Where both are there from.
        from: Position,
        /// The first's chain there.
        one: u64,
        /// The second's chain there.
        other: u64,
    },
    /// One cannot be read.
    #[error("{which}: {source}")]
    Read {
        /// Which.
        which: Which,
        /// What is wrong.
        source: Box<ReadError>,
    },
}

fn read(which: Which) -> impl Fn(ReadError) -> CompareError {
    move |source| CompareError::Read { which, source: Box::new(source) }
}

/// Compares two pictures.
///
/// # Errors
/// When they are no copies of one journal, have no position in common, differ before all that both have, or are
/// damaged where they are looked at.
pub fn compare<'a>(one: &'a Reader, other: &'a Reader) -> Result<Comparison<'a>, CompareError> {
    let (cluster_one, cluster_other) = (one.cluster(), other.cluster());
    if cluster_one != cluster_other {
        return Err(CompareError::Foreign { one: cluster_one, other: cluster_other });
    }
    let capacity = one.capacity();
    if capacity != other.capacity() {
        return Err(CompareError::Capacity { one: capacity, other: other.capacity() });
    }
    let from = one.begin().max(other.begin());
    for (which, reader) in [(Which::One, one), (Which::Other, other)] {
        if reader.end() < from {
            return Err(CompareError::Apart { ends: which, end: reader.end(), begin: from });
        }
    }
    // The last beginning of a segment at which they agree.
    let agree = |at: u64| -> Result<Result<u64, (u64, u64)>, CompareError> {
        let a = one.chain_before(at).map_err(read(Which::One))?;
        let b = other.chain_before(at).map_err(read(Which::Other))?;
        // There is a batch, or an end with its chain, wherever this is asked.
        let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
        Ok(if a == b { Ok(a) } else { Err((a, b)) })
    };
    let mut chain = agree(from.0)?.map_err(|(one, other)| CompareError::Before { from, one, other })?;
    let last = one.end().min(other.end()).0.saturating_sub(1).max(from.0);
    let (mut same, mut differ) = (from.0 / capacity, last / capacity + 1);
    while differ - same > 1 {
        let middle = same + (differ - same) / 2;
        match agree(middle * capacity)? {
            Ok(there) => (same, chain) = (middle, there),
            Err(_) => differ = middle,
        }
    }
    let mut at = same * capacity;
    loop {
        let common = Mark { position: Position(at), chain };
        let a = one.batch(at, Some(chain)).map_err(read(Which::One))?;
        let b = other.batch(at, Some(chain)).map_err(read(Which::Other))?;
        let then = match (a, b) {
            (Some((_, a)), Some((_, b))) if a.end == b.end && a.seal.chain == b.seal.chain => {
                (at, chain) = (a.end, a.seal.chain);
                continue;
            }
            (Some(a), Some(b)) => first_difference(at, a, b),
            (None, None) => Then::Same,
            (Some(_), None) => longer(Which::One, one, common)?,
            (None, Some(_)) => longer(Which::Other, other, common)?,
        };
        return Ok(Comparison { from, common, then });
    }
}

/// The first record in which two batches at the same place differ.
fn first_difference<'a>(at: u64, a: (Piece<'a>, Batch), b: (Piece<'a>, Batch)) -> Then<'a> {
    let mut a = walk::records(a.0, at, &a.1);
    let mut b = walk::records(b.0, at, &b.1);
    let mut position = at;
    loop {
        let (one, other) = (a.next(), b.next());
        if let (Some((_, header, payload)), Some((_, other_header, other_payload))) = (one, other)
            && header == other_header
            && payload == other_payload
        {
            position += (crate::record::HEADER + payload.len()) as u64;
            continue;
        }
        let record = |(at, header, payload)| Record::new(at, header, payload);
        return Then::Differ { position: Position(position), one: one.map(record), other: other.map(record) };
    }
}

/// What `reader` has behind `common`.
fn longer<'a>(which: Which, reader: &'a Reader, common: Mark) -> Result<Then<'a>, CompareError> {
    let (mut commands, mut reports) = (0, 0);
    for record in Records::new(reader, common.position.0, Some(common.chain)) {
        let record = record.map_err(read(which))?;
        if record.kind.is_command() {
            commands += 1;
        } else {
            reports += 1;
        }
    }
    Ok(Then::Longer { which, bytes: reader.end().0 - common.position.0, commands, reports })
}
