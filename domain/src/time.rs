//! Time as data: read once, by the sequencer, and carried by the command from then on.

use core::fmt;

/// Nanoseconds since 1970-01-01T00:00:00Z. The sequencer never lets it go backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Nanoseconds in a day.
    pub const PER_DAY: u64 = 86_400_000_000_000;

    /// Nanoseconds since midnight UTC, as binary protocols stamp their messages.
    #[must_use]
    pub const fn since_midnight(self) -> u64 {
        self.0 % Self::PER_DAY
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
