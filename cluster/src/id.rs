//! What names a node and gives it its epochs, and what a node keeps besides its journal.

use core::fmt;

use domain::Epoch;

/// One of the exchanges of a cluster; the operator numbers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The first epoch after `epoch` that is this node's to begin. The two nodes of a cluster have an odd and an even
    /// number, and begin odd and even epochs: so no epoch ever has two primaries, whoever promotes them, and whether or
    /// not there is a coordinator to ask.
    ///
    /// # Panics
    /// When 2^32 epochs have been, which is a programmer's error.
    #[must_use]
    pub const fn epoch_after(self, epoch: Epoch) -> Epoch {
        let step = if (epoch.0 as u64 + 1) % 2 == self.0 % 2 { 1 } else { 2 };
        Epoch(epoch.0.checked_add(step).expect("epoch space exhausted"))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a node keeps on its disk besides the journal. It is written whole (temporary file, sync, rename, directory
/// sync) before anything that follows from it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// No frame of a lower epoch is acted on, ever again.
    pub promised: Epoch,
    /// The log holds everything that this node has ever said to have received. A node whose machine stopped without a
    /// clean close writes `false` before it opens its journal, since the tail is gone; so does one that is about to
    /// truncate. It becomes `true` again when the node has caught up with a primary.
    pub complete: bool,
}

impl Kept {
    /// What a node has before it ever kept anything: it has said nothing to anyone.
    pub const NEW: Self = Self { promised: Epoch::NONE, complete: true };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_epoch_is_both_nodes() {
        let (one, two) = (NodeId(1), NodeId(2));
        for epoch in 0..10 {
            let (odd, even) = (one.epoch_after(Epoch(epoch)), two.epoch_after(Epoch(epoch)));
            assert!(odd.0 % 2 == 1 && even.0 % 2 == 0, "{odd} and {even}");
            assert!(odd > Epoch(epoch) && even > Epoch(epoch) && odd.0.abs_diff(even.0) == 1);
        }
    }
}
