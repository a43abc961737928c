//! A journal in parts that several threads judge and read at once.
//!
//! A seal says which chain its batch continues and which it ends with, so whether a batch is valid can be found out
//! apart from those before it, if whoever judges those finds that they end with that chain. [`Parts`] steps from header to
//! header, believes what it sees and cuts the stream behind a seal now and then; whoever takes a [`Part`] judges its batches
//! one by one, as [`Reader::records`] does.
//!
//! What is wrong first is found as it is by [`Reader::records`]. Up to the batch that is wrong all is as it says, so the
//! stepping was right: the part that has this batch begins with a batch, knows the chain that this one continues, and
//! does not end before it. What later parts make of bytes that no stepping should have reached is for nobody to ask: the
//! first part that ends with an error ends the journal.

use domain::Position;

use crate::error::ReadError;
use crate::reader::{Reader, Record, Records};
use crate::record::{self, HEADER, RecordKind};
use crate::recovery::Scan;
use crate::walk::{self, Piece};

/// The parts of a picture of a journal, from its beginning. There is one at least.
#[derive(Debug)]
pub struct Parts<'a> {
    reader: &'a Reader,
    /// Where the next part begins.
    at: u64,
    /// The chain that it continues, if what has been stepped over is valid.
    chain: Option<u64>,
    bytes_min: u64,
    done: bool,
}

/// Some batches in a row, all of one segment.
#[derive(Debug)]
pub struct Part<'a> {
    reader: &'a Reader,
    piece: Piece<'a>,
    begin: u64,
    chain: Option<u64>,
    /// Where it ends: behind a seal, or where the journal does.
    end: u64,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(reader: &'a Reader, bytes_min: u64) -> Self {
        let first = reader.first();
        Self { reader, at: first.base(), chain: Scan::from_segment(first).chain, bytes_min, done: false }
    }

    /// Steps behind the next seal that is far enough, or the segment's last. `None` at the journal's end, and where no
    /// record can be.
    fn step(&mut self, piece: &Piece<'_>) -> Option<u64> {
        let bytes = piece.from(self.at);
        let mut offset = 0;
        loop {
            let head = bytes.get(offset..)?.first_chunk::<HEADER>()?;
            let record = bytes.get(offset..offset + record::size_of(head)?)?;
            offset += record.len();
            if !record::is_seal(head) {
                continue;
            }
            let at = self.at + offset as u64;
            if offset as u64 >= self.bytes_min || offset == bytes.len() || at >= self.reader.end().0 {
                self.chain = Some(record::seal_of(record)?.chain);
                return Some(at).filter(|at| *at < self.reader.end().0);
            }
        }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if self.done {
            return None;
        }
        let (begin, chain) = (self.at, self.chain);
        let piece = self.reader.piece(begin).unwrap_or(Piece::EMPTY);
        let end = self.step(&piece);
        self.done = end.is_none();
        // The last one goes on to the journal's end, or to what is wrong.
        let end = end.unwrap_or(u64::MAX);
        self.at = end;
        Some(Part { reader: self.reader, piece, begin, chain, end })
    }
}

impl<'a> Part<'a> {
    /// Its records, out of batches that are judged as they are reached.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        Records::new(self.reader, self.begin, self.chain).until(self.end)
    }

    /// The record at `position`, which [`records`](Self::records) has shown.
    ///
    /// # Errors
    /// When there is none any more, or never was.
    #[inline]
    pub fn record(&self, position: Position) -> Result<Record<'a>, ReadError> {
        match walk::valid(self.piece.from(position.0)) {
            Some((header, payload)) if header.kind != RecordKind::Seal => {
                Ok(Record::new(position.0, header, payload))
            }
            _ => Err(ReadError::Bad { position, what: "a batch that changed while it was read".into() }),
        }
    }
}
