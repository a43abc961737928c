//! Pinning threads to cores, and saying what came of it.

use std::fmt;

/// What came of an attempt to pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinOutcome {
    /// Not asked to.
    Unpinned,
    /// The thread runs on this core only.
    Pinned(usize),
    /// The system refused: the core does not exist, or the process may not use it.
    Refused(usize),
}

impl fmt::Display for PinOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpinned => f.write_str("not pinned"),
            Self::Pinned(core) => write!(f, "core {core}"),
            Self::Refused(core) => write!(f, "core {core} refused"),
        }
    }
}

/// The cores that this process may use, by the system's numbers; empty when the system does not say.
#[must_use]
pub fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Pins the calling thread.
#[must_use]
pub fn pin_current_thread(core: Option<usize>) -> PinOutcome {
    match core {
        None => PinOutcome::Unpinned,
        Some(id) if core_affinity::set_for_current(core_affinity::CoreId { id }) => PinOutcome::Pinned(id),
        Some(id) => PinOutcome::Refused(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_does_not_exist_is_reported() {
        assert_eq!(pin_current_thread(None), PinOutcome::Unpinned);
        assert_eq!(pin_current_thread(Some(1_000)), PinOutcome::Refused(1_000));
    }

    #[test]
    fn an_own_core_can_be_pinned() {
        let Some(core) = cores().first().copied() else { panic!("the system names no core") };
        // On a thread of its own: the pin lasts as long as the thread.
        let outcome = std::thread::spawn(move || pin_current_thread(Some(core))).join().unwrap();
        assert_eq!(outcome, PinOutcome::Pinned(core));
    }
}
