//! What admission is told, and what it says.

use domain::{InstrumentId, SessionId};

/// How much waits, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Commands that a book may have outstanding. [`u32::MAX`] for any number: then nothing ever waits.
    pub window: u32,
    /// Nanoseconds that a new order may wait.
    pub sojourn_nanos: u64,
    /// Orders, and apart from them cancels, that may wait for one book.
    pub book_max: usize,
    /// Orders, and apart from them cancels, of one session that may wait.
    pub session_max: usize,
    /// Orders, and apart from them cancels, that may wait in all.
    pub held_max: usize,
}

impl Default for AdmissionLimits {
    /// 32 commands are about 8 us of matching.
    fn default() -> Self {
        Self { window: 32, sojourn_nanos: 100_000, book_max: 4_096, session_max: 1_024, held_max: 65_536 }
    }
}

impl AdmissionLimits {
    /// For a machine with more threads than cores: a book whose worker has not got its turn looks busy, and turns are
    /// milliseconds there. Orders wait for 10 ms at least.
    #[must_use]
    pub fn on_shared_cores(self) -> Self {
        Self { sojourn_nanos: self.sojourn_nanos.max(10_000_000), ..self }
    }
}

/// What admission has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdmissionStats {
    /// New orders that wait now, and what waits behind them in their sessions.
    pub held_orders: usize,
    /// Cancels that wait now.
    pub held_cancels: usize,
    /// Requests that waited and went on.
    pub admitted: u64,
    /// Orders refused because they waited too long, or found no room to wait.
    pub refused: u64,
    /// Orders that their session canceled while they waited.
    pub taken_back: u64,
    /// Cancels that went on while orders waited for the same book.
    pub overtook: u64,
}

/// What becomes of a request that was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on: sequence it, before anything else is admitted.
    Admit,
    /// It has waited too long, or its book's queue was full when its turn came: refuse it.
    Refuse,
    /// Its session took it back: refuse it.
    TakenBack,
}

/// A request that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn<T> {
    /// Whose it is.
    pub session: SessionId,
    /// What becomes of it.
    pub verdict: Verdict,
    /// The book whose window it uses, if it is admitted and needs one.
    pub book: Option<InstrumentId>,
    /// The request.
    pub item: T,
}

/// Where a new order finds itself when it cannot go on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It may wait.
    Hold,
    /// There is no room, and nothing of its session is before it: refuse it at once.
    Refuse,
    /// There is no room, and its session's numbers are used up in turn: refuse the session's oldest
    /// ([`Admission::refuse_oldest`](super::Admission::refuse_oldest)) and it may wait in its place.
    RefuseOldest,
    /// What is before it leaves at the next [`Admission::next`](super::Admission::next): ask again after that.
    Later,
}
