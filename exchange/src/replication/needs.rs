//! From where on the other node may still want this one's journal, for retention.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use journal::Position;

/// See the module. Written by the link, read by whoever removes segments.
#[derive(Debug, Default)]
pub(crate) struct PeerNeeds {
    /// What is before this is on the other node's disk, as it said last; 0 before it ever spoke.
    durable: AtomicU64,
    is_here: AtomicBool,
}

impl PeerNeeds {
    /// The other node is connected, and has what is before `durable` on its disk; `None` when it has not said.
    pub(super) fn here(&self, durable: Option<Position>) {
        if let Some(durable) = durable {
            self.durable.store(durable.0, Ordering::Release);
        }
        self.is_here.store(true, Ordering::Release);
    }

    /// The other node is not connected.
    pub(super) fn gone(&self) {
        self.is_here.store(false, Ordering::Release);
    }

    /// Whether the other node is connected.
    pub(crate) fn is_here(&self) -> bool {
        self.is_here.load(Ordering::Acquire)
    }

    /// What lies at this position and behind it is kept, of a journal that ends at `end`. For a node that is not here
    /// `absent_bytes` of the journal are kept at most, or all that it may lack: it begins with a snapshot then.
    pub(crate) fn floor(&self, end: Position, absent_bytes: Option<u64>) -> Position {
        let durable = Position(self.durable.load(Ordering::Acquire));
        match absent_bytes {
            Some(bytes) if !self.is_here() => durable.max(Position(end.0.saturating_sub(bytes))),
            _ => durable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_other_node_lacks_is_kept_and_for_one_that_is_gone_up_to_a_bound() {
        let (needs, end) = (PeerNeeds::default(), Position(1_000));
        let floors = |needs: &PeerNeeds| [None, Some(300)].map(|bound| needs.floor(end, bound).0);
        assert_eq!(floors(&needs), [0, 700], "never seen");
        needs.here(None);
        assert_eq!(floors(&needs), [0, 0], "it has not said how far it is");
        needs.here(Some(Position(200)));
        assert_eq!(floors(&needs), [200, 200]);
        needs.here(None);
        assert_eq!(floors(&needs), [200, 200]);
        needs.gone();
        assert_eq!(floors(&needs), [200, 700]);
        needs.here(Some(Position(900)));
        needs.gone();
        assert_eq!(floors(&needs), [900, 900], "the bound takes nothing more");
        assert_eq!(needs.floor(end, Some(2_000)), Position(900));
        // It has come back with less.
        needs.here(Some(Position(64)));
        assert_eq!(floors(&needs), [64, 64]);
    }
}
