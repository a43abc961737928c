//! A standby's way of writing: whole batches that another host sealed, taken over as they are.
//!
//! Each batch is judged before any of it is written, as a recovery would judge it: every record's CRC, the seal's
//! count and bytes, the chain, the sequence of commands, the epoch. What is written is the same, byte for byte, but for
//! one field: a seal says what was durable *here*, since that is what the next start on this disk must go by. The
//! seal's own bytes are not in the chain, so the copies have the same marks.

use domain::Position;

use crate::appender::Appender;
use crate::reader::Record;
use crate::record::{self, Header, RecordKind, SEAL, Seal};
use crate::walk::{self, Batch, Piece};

/// Why a batch was not taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// It begins elsewhere than where this journal ends.
    #[error("a batch at position {found}, and this journal ends at {expected}")]
    Place {
        /// Where it begins.
        found: Position,
        /// Where it had to begin.
        expected: Position,
    },
    /// It is no batch that continues this journal.
    #[error("at position {at}: {found}, where {expected} had to come")]
    Batch {
        /// The record that is wrong.
        at: Position,
        /// What had to be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// It does not lie in one lap of this journal's tail: the other host's tail is larger.
    #[error(
        "a batch of {bytes} bytes at position {at} crosses a lap of this tail: make tail_mib at least the primary's"
    )]
    Lap {
        /// Where it begins.
        at: Position,
        /// Its length, with its seal.
        bytes: u64,
    },
}

impl Appender {
    /// Takes over the batches at the start of `bytes`, which begin at position `at` of another copy of this journal,
    /// as long as the tail has room, and shows each record to `take`. Gives the bytes taken: less than all when the
    /// tail is full, and then the rest is to be offered again.
    ///
    /// # Errors
    /// When something is no batch that continues this journal. What came before it has been taken.
    ///
    /// # Panics
    /// When records of this host's own wait for their commit: a standby has none.
    pub fn append_copies(
        &mut self,
        at: Position,
        bytes: &[u8],
        mut take: impl FnMut(&Record<'_>),
    ) -> Result<usize, CopyError> {
        assert!(
            self.count == 0 && self.batch_first == self.tail.at(),
            "a standby appends nothing of its own"
        );
        if at.0 != self.tail.at() {
            return Err(CopyError::Place { found: at, expected: Position(self.tail.at()) });
        }
        let mut done = 0;
        while done < bytes.len() {
            let piece = Piece { bytes: &bytes[done..], base: self.tail.at(), salt: self.salt };
            let batch = self.judge(&piece)?;
            let length = batch.end - piece.base;
            if batch.end > self.lap_end {
                return Err(CopyError::Lap { at: Position(piece.base), bytes: length });
            }
            if batch.end > self.tail.freed() {
                self.stats.full += 1;
                self.shared.wake_disk(true);
                break;
            }
            self.take_over(&piece, &batch);
            for (at, header, payload) in walk::records(piece, piece.base, &batch) {
                take(&Record::new(at, header, payload));
            }
            done += length as usize;
        }
        if done > 0 {
            self.shared.wake_disk(true);
        }
        Ok(done)
    }

    /// The batch at the start of `piece`, if it continues this journal.
    fn judge(&self, piece: &Piece<'_>) -> Result<Batch, CopyError> {
        let bad = |at: u64, what: &walk::What| CopyError::Batch {
            at: Position(at),
            expected: what.expected(),
            found: what.to_string(),
        };
        let batch =
            walk::batch(piece, piece.base, Some(self.chain)).map_err(|fault| bad(fault.at, &fault.what))?;
        let (mut sequence, mut is_known, mut epoch) =
            (self.last_sequence, self.sequence_is_known, self.epoch);
        for (at, header, _) in walk::records(*piece, piece.base, &batch) {
            if header.kind.is_command() {
                let expected = sequence.wrapping_add(1);
                if header.sequence != expected && is_known {
                    return Err(bad(at, &walk::What::Sequence { found: header.sequence, expected }));
                }
                (sequence, is_known) = (header.sequence, true);
            }
            if header.epoch < epoch {
                return Err(bad(at, &walk::What::Epoch { found: header.epoch, before: epoch }));
            }
            epoch = header.epoch;
        }
        Ok(batch)
    }

    /// Writes a judged batch and publishes it.
    fn take_over(&mut self, piece: &Piece<'_>, batch: &Batch) {
        let records = (batch.seal_at - piece.base) as usize;
        self.tail.area(records).copy_from_slice(&piece.bytes[..records]);
        self.tail.advance(records);
        for (_, header, _) in walk::records(*piece, piece.base, batch) {
            if header.kind.is_command() {
                (self.last_sequence, self.last_nanos) = (header.sequence, header.nanos);
                self.stats.commands += 1;
            } else {
                self.stats.reports += 1;
            }
            self.epoch = header.epoch;
        }
        if !self.sequence_is_known {
            // A batch without a command says so as well: every seal repeats the last one.
            (self.last_sequence, self.last_nanos) = (batch.sealed.sequence, batch.sealed.nanos);
            self.sequence_is_known = true;
        }
        let length = (batch.end - batch.seal_at) as usize;
        debug_assert!(length >= SEAL);
        let seal = Seal { durable: self.shared.durable(), ..batch.seal };
        let header = Header {
            sequence: self.last_sequence,
            nanos: self.last_nanos,
            kind: RecordKind::Seal,
            detail: [0; 3],
            epoch: self.epoch,
        };
        record::write_seal(self.tail.area(length), &seal, &header, batch.seal_at, self.salt);
        self.tail.advance(length);
        self.publish(batch.seal.chain);
    }
}

/// How far the batches at the start of `bytes` reach that are whole: for whoever must cut a stream of them into
/// messages. Nothing is judged but lengths and kinds.
#[must_use]
pub fn whole_batches(bytes: &[u8]) -> usize {
    let (mut at, mut whole) = (0, 0);
    while let Some(rest) = bytes.get(at..)
        && rest.len() >= record::HEADER
    {
        let length = record::length_of(rest);
        if !(record::HEADER..=rest.len()).contains(&length) {
            break;
        }
        let is_seal = record::may_be_seal(rest);
        at += length;
        if is_seal {
            whole = at;
        }
    }
    whole
}
