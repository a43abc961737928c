//! What a session speaks.

/// What a session is spoken to in, which decides what of its orders it is told. It is part of the session's definition,
/// so that the journal says the same of every report for ever. The numbers are those of the journal and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// OUCH as it was spoken while no special order could be entered through it: what happens to those only is not
    /// told, and what one loses within its own group is told as a cancel of a part. No session is defined so any more.
    PlainOuch = 0,
    /// OUCH.
    Ouch = 1,
    /// FIX 4.4, or 5.0 SP2 over FIXT 1.1.
    Fix = 2,
}

impl Protocol {
    /// From the journal's number.
    #[must_use]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::PlainOuch),
            1 => Some(Self::Ouch),
            2 => Some(Self::Fix),
            _ => None,
        }
    }
}
