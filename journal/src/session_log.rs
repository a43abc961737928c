//! Where a session's reports lie: from outbound number to position, four bytes a report.
//!
//! The reports themselves stay in the journal; a resend reads them back. Rebuilt at start from the journal's
//! reports.

use domain::Position;

/// Positions are multiples of this.
const UNIT: u64 = 8;
/// Reports in a block: a block keeps one base for all of them.
const BLOCK: usize = 4096;

/// One session's reports: number to position. Numbers begin at 1 and have no gap.
///
/// Blocks of up to 4096 reports; each has the number of its first, a base position and one `u32` a report:
/// the distance from the base in units of 8 bytes, which spans 32 GiB. A report further away begins a new
/// block.
#[derive(Clone, Debug, Default)]
pub struct SessionIndex {
    blocks: Vec<Block>,
    /// Reports in all blocks.
    count: u64,
}

#[derive(Clone, Debug)]
struct Block {
    /// The number of its first report.
    first: u64,
    base: u64,
    /// `offsets[i] * UNIT + base` is where report `first + i` lies; ascending.
    offsets: Vec<u32>,
}

impl SessionIndex {
    /// An index of no reports.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next report, numbered `len() + 1`.
    ///
    /// # Panics
    /// When `position` is not after the last one, or not one that an append gave.
    pub fn push(&mut self, position: Position) {
        assert!(position.0.is_multiple_of(UNIT), "records begin at multiples of {UNIT}");
        let number = self.count + 1;
        self.count = number;
        if let Some(block) = self.blocks.last_mut() {
            let last = block.base + block.offsets.last().map_or(0, |o| u64::from(*o) * UNIT);
            assert!(position.0 > last, "reports are indexed in the order of the journal");
            if block.offsets.len() < BLOCK
                && let Ok(offset) = u32::try_from((position.0 - block.base) / UNIT)
            {
                block.offsets.push(offset);
                return;
            }
        }
        self.blocks.push(Block { first: number, base: position.0, offsets: vec![0] });
    }

    /// Where report `number` lies; `None` when there is none of that number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Position> {
        let after = self.blocks.partition_point(|block| block.first <= number);
        let block = self.blocks.get(after.checked_sub(1)?)?;
        let offset = block.offsets.get(usize::try_from(number - block.first).ok()?)?;
        Some(Position(block.base + u64::from(*offset) * UNIT))
    }

    /// Reports indexed: also the number of the last one.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// The blocks, in order: each one's base and, for each of its reports, the distance from there in units of 8 bytes.
    /// [`from_blocks`](Self::from_blocks) takes them back.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = (Position, &[u32])> {
        self.blocks.iter().map(|block| (Position(block.base), block.offsets.as_slice()))
    }

    /// The index of these blocks; `None` when no index has them. They may come from anywhere.
    #[must_use]
    pub fn from_blocks(blocks: impl IntoIterator<Item = (Position, Vec<u32>)>) -> Option<Self> {
        let mut index = Self::new();
        let mut after = None;
        for (Position(base), offsets) in blocks {
            let rising = offsets.first() == Some(&0) && offsets.is_sorted_by(|a, b| a < b);
            let last = base.checked_add(u64::from(*offsets.last()?) * UNIT)?;
            if !rising || offsets.len() > BLOCK || !base.is_multiple_of(UNIT) || Some(base) <= after {
                return None;
            }
            after = Some(last);
            let first = index.count + 1;
            index.count += offsets.len() as u64;
            index.blocks.push(Block { first, base, offsets });
        }
        Some(index)
    }

    /// Where the last report lies.
    #[must_use]
    pub fn last(&self) -> Option<Position> {
        self.get(self.count)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_finds_its_position() {
        let mut index = SessionIndex::new();
        assert_eq!(index.get(1), None);
        let mut positions = Vec::new();
        let mut at = 1 << 41;
        for n in 0..20_000u64 {
            // Now and then further than a block can span.
            at += if n % 3000 == 1 { 40 << 30 } else { 72 + (n % 5) * 8 };
            positions.push(Position(at));
            index.push(Position(at));
        }
        assert_eq!(index.len(), 20_000);
        for (n, position) in positions.iter().enumerate() {
            assert_eq!(index.get(n as u64 + 1), Some(*position));
        }
        assert_eq!((index.get(0), index.get(20_001), index.get(u64::MAX)), (None, None, None));
        assert_eq!(index.last(), positions.last().copied());

        // From its blocks it is the same, and goes on alike.
        let blocks = || index.blocks().map(|(base, offsets)| (base, offsets.to_vec()));
        let mut again = SessionIndex::from_blocks(blocks()).unwrap();
        again.push(Position(at + 8));
        assert_eq!(again.len(), 20_001);
        for (n, position) in positions.iter().enumerate() {
            assert_eq!(again.get(n as u64 + 1), Some(*position));
        }
        assert_eq!(again.last(), Some(Position(at + 8)));
    }

    #[test]
    fn blocks_that_no_index_has_are_refused() {
        let refused = |blocks: &[(u64, &[u32])]| {
            let blocks = blocks.iter().map(|(base, offsets)| (Position(*base), offsets.to_vec()));
            SessionIndex::from_blocks(blocks).is_none()
        };
        assert!(!refused(&[(8, &[0, 1, 5]), (56, &[0])]));
        assert!(refused(&[(8, &[])]));
        assert!(refused(&[(8, &[1, 2])]));
        assert!(refused(&[(8, &[0, 2, 2])]));
        assert!(refused(&[(9, &[0, 2])]));
        assert!(refused(&[(8, &[0, 1, 5]), (48, &[0])]));
        assert!(refused(&[(u64::MAX - 7, &[0, 1])]));
        assert!(refused(&[(8, &(0..4097).collect::<Vec<_>>())]));
    }

    #[test]
    #[should_panic(expected = "order of the journal")]
    fn a_position_before_the_last_is_refused() {
        let mut index = SessionIndex::new();
        index.push(Position(16));
        index.push(Position(16));
    }
}
