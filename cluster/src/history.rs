//! Epochs and where they begin: what a rejoining follower has in common with its primary.
//!
//! The rule is that of Kafka's leader epochs (KIP-101, as amended by KIP-279): logs are compared by epochs, not by
//! their lengths. In an epoch one primary writes, and it begins the epoch with a record of its own behind everything
//! that it holds. So two logs in which the same epoch begins agree before that place, and go on to agree until the
//! first of them leaves the epoch:
//!
//! ```text
//!   ours    │ epoch 1 ───────│ epoch 3 ─────│ epoch 5 ──▶
//!   theirs  │ epoch 1 ───────│ epoch 3 ──────────│ epoch 4 ──▶
//!                                           ▲
//!                            common prefix: the newest epoch that both have, up to its nearer end
//! ```
//!
//! What is found so is a claim; the chain at that place, which is a hash of everything before, confirms it. Where the
//! chains differ the two are not copies of one journal, whatever they say: nothing is truncated and the follower needs
//! a fresh copy.

use domain::{Epoch, EpochStart, Position};

/// The newest epochs of a log, with the exact place where each begins. Older ones fall out; what stands before the
/// first entry is of an epoch that is not told. Of a log whose beginning is gone the first entry may be the first record
/// that is there of an epoch that began before it: it still says which primary wrote from there on.
///
/// Invariant: at most [`History::MAX`] entries; epochs and positions strictly increase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    starts: Vec<EpochStart>,
    /// The first entry's epoch may have begun before its position. Never without an entry.
    begins_within: bool,
}

/// Why an epoch does not fit behind the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("epoch {epoch} at {position} cannot follow epoch {last} at {last_position}", epoch = .next.epoch, position = .next.position, last = .last.epoch, last_position = .last.position)]
pub struct OutOfOrder {
    /// The newest epoch that was there.
    pub last: EpochStart,
    /// What was to follow it.
    pub next: EpochStart,
}

/// Why two logs have no common prefix that could be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Divergence {
    /// An epoch begins at two places: two primaries had it, or these are two journals.
    #[error("epoch {epoch} begins at {ours} here and at {theirs} there: these are not copies of one journal")]
    Contradiction {
        /// The epoch.
        epoch: Epoch,
        /// Where it begins here.
        ours: Position,
        /// Where it begins there.
        theirs: Position,
    },
    /// None of the epochs that are told is in both. They may have older ones in common; a fresh copy is sure.
    #[error("no epoch in common: {ours} to {ours_last} are told here, {theirs} to {theirs_last} there")]
    NothingInCommon {
        /// The oldest epoch told here.
        ours: Epoch,
        /// The newest here.
        ours_last: Epoch,
        /// The oldest told there.
        theirs: Epoch,
        /// The newest there.
        theirs_last: Epoch,
    },
}

impl History {
    /// Epochs that are kept and told.
    pub const MAX: usize = 64;

    /// Of a journal in which nothing has been written.
    #[must_use]
    pub const fn new() -> Self {
        Self { starts: Vec::new(), begins_within: false }
    }

    /// From entries, oldest first; the newest [`MAX`](Self::MAX) are kept.
    ///
    /// # Errors
    /// When an epoch or a position does not increase.
    pub fn from_starts(starts: impl IntoIterator<Item = EpochStart>) -> Result<Self, OutOfOrder> {
        let mut history = Self::new();
        for start in starts {
            history.begin(start)?;
        }
        Ok(history)
    }

    /// The same of a log whose beginning is gone: the first entry's epoch may have begun before its position.
    #[must_use]
    pub fn beginning_within(mut self) -> Self {
        self.begins_within = !self.starts.is_empty();
        self
    }

    /// Whether the first entry's epoch may have begun before its position.
    #[must_use]
    pub const fn begins_within(&self) -> bool {
        self.begins_within
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn starts(&self) -> &[EpochStart] {
        &self.starts
    }

    /// The newest epoch; [`Epoch::NONE`] when nothing is told.
    #[must_use]
    pub fn last(&self) -> Epoch {
        self.starts.last().map_or(Epoch::NONE, |start| start.epoch)
    }

    /// A new epoch begins.
    ///
    /// # Errors
    /// When it, or its position, does not follow the newest.
    pub fn begin(&mut self, next: EpochStart) -> Result<(), OutOfOrder> {
        if let Some(&last) = self.starts.last()
            && (next.epoch <= last.epoch || next.position <= last.position)
        {
            return Err(OutOfOrder { last, next });
        }
        if self.starts.len() == Self::MAX {
            self.starts.remove(0);
            self.begins_within = false;
        }
        self.starts.push(next);
        Ok(())
    }

    /// The log has been cut: what begins at or behind `end` was never.
    pub fn truncate(&mut self, end: Position) {
        self.starts.retain(|start| start.position < end);
        self.begins_within &= !self.starts.is_empty();
    }

    /// Up to where a log with this history that ends at `our_end` and one with `theirs` that ends at `their_end`
    /// agree: the end of a batch in both. To be confirmed by the chain there.
    ///
    /// # Errors
    /// When that cannot be told from the histories.
    pub fn common_prefix(
        &self,
        our_end: Position,
        theirs: &Self,
        their_end: Position,
    ) -> Result<Position, Divergence> {
        // An empty log is a prefix of every other.
        if our_end == Position(0) || their_end == Position(0) {
            return Ok(Position(0));
        }
        let mut common = None;
        for ours in &self.starts {
            let Some(there) = theirs.starts.iter().find(|start| start.epoch == ours.epoch) else { continue };
            // An epoch that is there from its start cannot begin behind a record of it.
            let agree = match (self.is_start(ours), theirs.is_start(there)) {
                (true, true) => ours.position == there.position,
                (true, false) => ours.position <= there.position,
                (false, true) => there.position <= ours.position,
                (false, false) => true,
            };
            if !agree {
                return Err(Divergence::Contradiction {
                    epoch: ours.epoch,
                    ours: ours.position,
                    theirs: there.position,
                });
            }
            common = Some(ours.epoch);
        }
        let Some(epoch) = common else {
            let first = |history: &Self| history.starts.first().map_or(Epoch::NONE, |start| start.epoch);
            return Err(Divergence::NothingInCommon {
                ours: first(self),
                ours_last: self.last(),
                theirs: first(theirs),
                theirs_last: theirs.last(),
            });
        };
        Ok(self.end_of(epoch, our_end).min(theirs.end_of(epoch, their_end)))
    }

    /// Whether an entry is where its epoch begins, and not only where the log does.
    fn is_start(&self, entry: &EpochStart) -> bool {
        !(self.begins_within && self.starts.first() == Some(entry))
    }

    /// Where the log leaves an epoch: where the next begins, or its end.
    fn end_of(&self, epoch: Epoch, end: Position) -> Position {
        self.starts.iter().find(|start| start.epoch > epoch).map_or(end, |start| start.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(starts: &[(u32, u64)]) -> History {
        let start = |&(epoch, position)| EpochStart { epoch: Epoch(epoch), position: Position(position) };
        History::from_starts(starts.iter().map(start)).expect("in order")
    }

    fn common(ours: &[(u32, u64)], our_end: u64, theirs: &[(u32, u64)], their_end: u64) -> u64 {
        let (ours, theirs) = (history(ours), history(theirs));
        let found = ours.common_prefix(Position(our_end), &theirs, Position(their_end)).expect("a prefix");
        let back = theirs.common_prefix(Position(their_end), &ours, Position(our_end)).expect("a prefix");
        assert_eq!(found, back, "it does not matter who asks");
        found.0
    }

    #[test]
    fn one_that_is_behind_in_the_same_epoch_keeps_all() {
        assert_eq!(common(&[(1, 0)], 500, &[(1, 0)], 300), 300);
    }

    #[test]
    fn a_deposed_primary_keeps_what_its_successor_had() {
        // The successor took over at 300; the old primary had written up to 500 in epoch 1.
        assert_eq!(common(&[(1, 0), (2, 300)], 900, &[(1, 0)], 500), 300);
    }

    #[test]
    fn epochs_that_only_one_of_them_saw_are_stepped_over() {
        assert_eq!(common(&[(1, 0), (3, 300), (5, 700)], 900, &[(1, 0), (3, 300), (4, 800)], 950), 700);
        assert_eq!(common(&[(1, 0), (5, 200)], 900, &[(1, 0), (3, 300), (4, 800)], 950), 200);
    }

    #[test]
    fn an_empty_log_is_a_prefix() {
        assert_eq!(common(&[(1, 0), (2, 300)], 900, &[], 0), 0);
    }

    #[test]
    fn an_epoch_at_two_places_is_a_contradiction() {
        let (ours, theirs) = (history(&[(1, 0), (2, 300)]), history(&[(1, 0), (2, 400)]));
        let found = ours.common_prefix(Position(900), &theirs, Position(900));
        assert_eq!(
            found,
            Err(Divergence::Contradiction { epoch: Epoch(2), ours: Position(300), theirs: Position(400) })
        );
    }

    #[test]
    fn a_log_that_begins_within_an_epoch_is_known_by_it() {
        let common = |ours: &History, our_end: u64, theirs: &History, their_end: u64| {
            let found = ours.common_prefix(Position(our_end), theirs, Position(their_end));
            assert_eq!(found, theirs.common_prefix(Position(their_end), ours, Position(our_end)));
            found.map(|position| position.0)
        };
        // Both are in epoch 1, whose start one of them, or both, have let go of.
        let (whole, cut) = (history(&[(1, 0)]), history(&[(1, 800)]).beginning_within());
        assert_eq!(common(&whole, 2_000, &cut, 1_500), Ok(1_500));
        assert_eq!(common(&history(&[(1, 400)]).beginning_within(), 2_000, &cut, 1_500), Ok(1_500));
        // A successor took over meanwhile, and the cut log has written on.
        assert_eq!(common(&history(&[(1, 0), (2, 1_200)]), 2_000, &cut, 1_500), Ok(1_200));
        let both = history(&[(1, 400), (2, 1_200)]).beginning_within();
        assert_eq!(
            common(&both, 2_000, &history(&[(1, 400), (3, 1_400)]).beginning_within(), 1_500),
            Ok(1_200)
        );
        // A start behind a record of its epoch is none.
        assert!(history(&[(1, 808)]).common_prefix(Position(2_000), &cut, Position(1_500)).is_err());
        let later = history(&[(2, 1_200)]);
        assert_eq!(common(&later, 2_000, &history(&[(2, 1_300)]).beginning_within(), 1_500), Ok(1_500));
        assert!(later.common_prefix(Position(2_000), &cut, Position(1_500)).is_err(), "nothing in common");
    }

    #[test]
    fn what_falls_out_or_is_cut_off_takes_the_doubt_with_it() {
        let mut history = history(&[(1, 800), (2, 900)]).beginning_within();
        assert!(history.begins_within());
        history.truncate(Position(900));
        assert!(history.begins_within());
        history.truncate(Position(800));
        assert_eq!(history, History::new());
        assert_eq!(History::new().beginning_within(), History::new());
        let mut history = self::history(&[(1, 800)]).beginning_within();
        for n in 2..=History::MAX as u32 + 1 {
            history
                .begin(EpochStart { epoch: Epoch(n), position: Position(800 + u64::from(n)) })
                .expect("in order");
        }
        assert!(!history.begins_within());
    }

    #[test]
    fn nothing_in_common_is_not_guessed_at() {
        let (ours, theirs) = (history(&[(7, 5_000), (8, 6_000)]), history(&[(2, 300)]));
        let found = ours.common_prefix(Position(9_000), &theirs, Position(900));
        assert!(matches!(found, Err(Divergence::NothingInCommon { .. })), "{found:?}");
    }

    #[test]
    fn the_oldest_epochs_fall_out() {
        let all = (1..=100).map(|n| EpochStart { epoch: Epoch(n), position: Position(u64::from(n) * 64) });
        let history = History::from_starts(all).expect("in order");
        assert_eq!(history.starts().len(), History::MAX);
        assert_eq!(history.starts()[0].epoch, Epoch(37));
        assert_eq!(history.last(), Epoch(100));
    }

    #[test]
    fn a_cut_takes_back_the_epochs_behind_it() {
        let mut cut = history(&[(1, 0), (2, 300), (3, 400)]);
        cut.truncate(Position(400));
        assert_eq!(cut, history(&[(1, 0), (2, 300)]));
    }

    #[test]
    fn epochs_and_positions_only_go_up() {
        let mut history = history(&[(1, 0), (3, 300)]);
        assert!(history.begin(EpochStart { epoch: Epoch(3), position: Position(400) }).is_err());
        assert!(history.begin(EpochStart { epoch: Epoch(4), position: Position(300) }).is_err());
        assert!(history.begin(EpochStart { epoch: Epoch(4), position: Position(364) }).is_ok());
    }
}
