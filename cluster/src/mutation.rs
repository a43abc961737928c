//! Faults that the simulator can put into the machines, to see that it would have found them.
//!
//! A fault is wanted by the environment variable `MUTATION`, or for the runs of one thread. In every build without the
//! simulator [`is`] is a constant, and what is compiled is the protocol as it stands.

/// A rule, broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(test, feature = "sim")),
    expect(dead_code, unreachable_pub, reason = "some are made by the simulator only, which exports them")
)]
pub enum Mutation {
    /// The journal calls durable what it has written and not synced.
    AckBeforeDurable,
    /// A standby acts on frames of an epoch lower than it has promised.
    MissingFence,
    /// A standby that was told to truncate says that it has, and has not.
    LostTruncation,
    /// An election takes any record for its own epoch's: the epoch is not compared.
    WrongEpochCheck,
    /// A new segment's name is not synced into its directory.
    SkippedDirectorySync,
    /// A lease is counted from the reply to a keepalive.
    LeaseFromReply,
    /// A primary acknowledges alone once it has asked for it, before it is on record.
    AloneBeforeRecorded,
    /// A standby acknowledges, and promotes itself, as if nothing had been lost when its machine stopped.
    ForgetsWhatWasLost,
    /// A standby keeps what the primary's seals say of the primary's disk.
    VerbatimSeals,
    /// A cut is begun without saying so first.
    CutWithoutIntent,
}

/// Whether this fault is wanted.
#[cfg(not(any(test, feature = "sim")))]
#[inline(always)]
pub(crate) const fn is(_: Mutation) -> bool {
    false
}

#[cfg(any(test, feature = "sim"))]
pub(crate) use wanted::{is, want};

#[cfg(any(test, feature = "sim"))]
mod wanted {
    use std::cell::Cell;

    use super::Mutation;

    thread_local! {
        static WANTED: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// From here on this thread's runs have this fault, or none.
    pub(crate) fn want(mutation: Option<Mutation>) {
        WANTED.set(mutation);
    }

    pub(crate) fn is(mutation: Mutation) -> bool {
        WANTED.get() == Some(mutation)
    }
}
