//! Faults that a test can put into the protocols, to see that the models would have found them.
//!
//! A fault is wanted by the environment variable `MUTATION`, so that it is the same test, in a process of its own, that
//! must then fail. In every build but loom's and shuttle's tests the functions here are constants, and what is compiled is the protocol as it stands.

use crate::sync::Ordering;

/// A step of a protocol, done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(all(test, any(loom, shuttle))),
    expect(dead_code, reason = "some are made by the models only")
)]
pub(crate) enum Mutation {
    /// The lock is taken without Acquire.
    LockIsTaken,
    /// The lock is given back without Release.
    LockIsFreed,
    /// A book's epoch is read without Acquire.
    EpochIsRead,
    /// A book's epoch is written without Release.
    EpochIsWritten,
    /// Who goes to sleep does not fence between announcing it and looking once more.
    SleeperHasNoFence,
    /// Who wakes does not fence between publishing and looking for sleepers.
    CallerHasNoFence,
    /// Slots of a claim are given back to the producer before the claim is.
    ClaimIsReleasedEarly,
    /// Who gives a book back does not look whether more has come for it.
    MailboxIsNotLookedAt,
    /// A thief that gives books back does not look whether their home has something to do.
    ThiefWakesNobody,
    /// A home that hands a book over does not wake the next home.
    HandOverWakesNobody,
}

/// Whether this fault is wanted.
#[cfg(not(all(test, any(loom, shuttle))))]
#[inline(always)]
pub(crate) const fn is(_: Mutation) -> bool {
    false
}

/// The ordering, or none if this fault is wanted.
#[cfg(not(all(test, any(loom, shuttle))))]
#[inline(always)]
pub(crate) const fn ordering(_: Mutation, ordering: Ordering) -> Ordering {
    ordering
}

#[cfg(all(test, any(loom, shuttle)))]
pub(crate) use wanted::{VARIABLE, is, ordering};

#[cfg(all(test, any(loom, shuttle)))]
mod wanted {
    use std::sync::OnceLock;

    use super::{Mutation, Ordering};

    /// The environment variable that names the fault wanted, as the variants are called.
    pub(crate) const VARIABLE: &str = "MUTATION";

    pub(crate) fn is(mutation: Mutation) -> bool {
        static WANTED: OnceLock<Option<String>> = OnceLock::new();
        let wanted = WANTED.get_or_init(|| std::env::var(VARIABLE).ok());
        wanted.as_ref().is_some_and(|wanted| *wanted == format!("{mutation:?}"))
    }

    pub(crate) fn ordering(mutation: Mutation, ordering: Ordering) -> Ordering {
        if is(mutation) { Ordering::Relaxed } else { ordering }
    }
}
