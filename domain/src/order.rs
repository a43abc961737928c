//! What an order says of itself. The numbers are those of the journal and never change.

/// Buy or sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Side {
    /// Bids.
    Buy = 0,
    /// Asks.
    Sell = 1,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// From the journal's number.
    #[must_use]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Buy),
            1 => Some(Self::Sell),
            _ => None,
        }
    }
}

/// How an order is priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum OrderType {
    /// Trades at its price or better.
    Limit = 0,
    /// Trades at any price and never rests: what the book cannot fill is canceled.
    Market = 1,
    /// At the best price of the other side; what is left becomes a limit order at that price.
    MarketToLimit = 2,
}

impl OrderType {
    /// From the journal's number.
    #[must_use]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Limit),
            1 => Some(Self::Market),
            2 => Some(Self::MarketToLimit),
            _ => None,
        }
    }
}

/// How long an order lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TimeInForce {
    /// Until it is canceled or the trading day ends ([`Command::EndOfDay`](crate::Command::EndOfDay)).
    Day = 0,
    /// Until it is canceled, across days.
    GoodTillCancel = 1,
    /// Fills what it can at once; the rest is canceled.
    ImmediateOrCancel = 2,
    /// Fills whole at once, or is canceled whole.
    FillOrKill = 3,
    /// Until its own date, see [`Instructions::expires`](crate::Instructions).
    GoodTillDate = 4,
}

impl TimeInForce {
    /// From the journal's number.
    #[must_use]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Day),
            1 => Some(Self::GoodTillCancel),
            2 => Some(Self::ImmediateOrCancel),
            3 => Some(Self::FillOrKill),
            4 => Some(Self::GoodTillDate),
            _ => None,
        }
    }

    /// Whether what is not filled at once may rest.
    #[must_use]
    pub const fn rests(self) -> bool {
        matches!(self, Self::Day | Self::GoodTillCancel | Self::GoodTillDate)
    }
}
