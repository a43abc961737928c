//! How much balancing an operator wants.

use std::{fmt, str::FromStr};

/// What may happen to where books run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BalanceMode {
    /// Nothing: the placement at start stays.
    Off,
    /// Idle workers steal.
    Steal,
    /// Homes change.
    Migrate,
    /// Both.
    #[default]
    Full,
    /// Books move all the time, for no reason, whatever their hints say, and are stolen where anything waits: for
    /// drills and tests.
    Drill,
}

impl BalanceMode {
    /// Every mode that is of use.
    pub const ALL: [Self; 4] = [Self::Off, Self::Steal, Self::Migrate, Self::Full];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Steal => "steal",
            Self::Migrate => "migrate",
            Self::Full => "full",
            Self::Drill => "drill",
        }
    }

    /// Whether idle workers steal.
    #[must_use]
    pub const fn steals(self) -> bool {
        matches!(self, Self::Steal | Self::Full | Self::Drill)
    }

    /// Whether homes change.
    #[must_use]
    pub const fn migrates(self) -> bool {
        matches!(self, Self::Migrate | Self::Full | Self::Drill)
    }
}

impl fmt::Display for BalanceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BalanceMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .chain([Self::Drill])
            .find(|mode| mode.name() == text)
            .ok_or_else(|| format!("no balance \"{text}\": use off, steal, migrate or full"))
    }
}
