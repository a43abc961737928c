//! The vocabulary of the exchange: one word for one thing, shared by every room and depending on none.
//!
//! A [`Command`] is an intent (what a session asks), an [`Event`] is a fact (what a book did), a [`Report`] is
//! one session's view of a fact, with that session's outbound number. Prices are integer ticks, quantities
//! integer lots; nothing here is a float, reads a clock or iterates a hash map.
#![forbid(unsafe_code)]

mod command;
mod event;
mod fix;
mod id;
mod instructions;
mod instrument;
mod order;
mod price;
mod protocol;
mod reject;
mod report;
mod stream;
mod time;

pub use command::{
    CancelOrder, Command, EnterOrder, EnterSpecial, MassCancel, PreRejected, ReduceKind, ReduceOrder,
    ReplaceOrder, ReplacePriority, ReplaceSpecial, Sequenced, SessionDefinition,
};
pub use event::{CancelReason, Event, EventKind, EventSink, Events, NextEvent};
pub use fix::{
    DropCopy, FixAsk, FixRequest, OrderCopy, OrderReport, OrderReportKind, OrderStatus, Refused,
    RefusedRequest, Restatement,
};
pub use id::{
    AccountId, BookScopedId, ClientOrderId, ClientRef, Epoch, InstrumentId, OrderId, Owner, Sequence,
    SessionId, ShardId, TradeId, UserName,
};
pub use instructions::{Display, Execution, Instructions, PostOnly, SelfTrade, SelfTradePolicy, Trigger};
pub use instrument::{Instrument, InstrumentError, OrderBounds, Symbol};
pub use order::{OrderType, Side, TimeInForce};
pub use price::{Price, Quantity};
pub use protocol::Protocol;
pub use reject::RejectReason;
pub use report::{Echo, Liquidity, Numbering, Report, ReportKind, Said, SystemCode};
pub use stream::{ClusterId, EpochStart, Mark, Position};
pub use time::Nanos;
