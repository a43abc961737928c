//! ITCH 5.0: market data, order by order. Messages travel in MoldUDP64 packets and, in a snapshot, in sequenced
//! SoupBinTCP packets.
//!
//! | message | bytes | says |
//! |---|---|---|
//! | `S` [`SystemEvent`] | 12 | the feed's day began or ended |
//! | `R` [`StockDirectory`] | 39 | which instrument a locate stands for |
//! | `H` [`TradingAction`] | 25 | whether it trades |
//! | `Y` [`ShortSaleRestriction`] | 20 | whether short sales are restricted |
//! | `A` [`AddOrder`], `F` [`AddOrderAttributed`] | 36, 40 | an order is shown |
//! | `E` [`OrderExecuted`], `C` [`OrderExecutedWithPrice`] | 31, 36 | some or all of it traded |
//! | `X` [`OrderCancel`], `D` [`OrderDelete`] | 23, 19 | some or all of it is gone |
//! | `U` [`OrderReplace`] | 35 | another order stands in its place |
//! | `P` [`Trade`] | 44 | an order that is not shown traded |
//! | `B` [`BrokenTrade`] | 19 | a trade did not happen after all |
//! | `G` [`EndOfSnapshot`] | 21 | of a snapshot, not of ITCH: with which message the feed goes on |
//!
//! Each but `G` begins with its type, the instrument's locate, a tracking number and the time. A message has exactly its
//! length. Codes are raw letters here.
//!
//! Source: Nasdaq, TotalView-ITCH 5.0; `G` is that of GLIMPSE 5.0.

mod messages;
mod timestamp;

pub use messages::{
    AddOrder, AddOrderAttributed, BrokenTrade, EndOfSnapshot, Message, OrderCancel, OrderDelete,
    OrderExecuted, OrderExecutedWithPrice, OrderReplace, ShortSaleRestriction, StockDirectory, SystemEvent,
    Trade, TradingAction,
};
pub use timestamp::Timestamp;

pub use crate::ouch::DecodeError;
