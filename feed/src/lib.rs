//! Market data: what can be seen of the books, published as it changes.
//!
//! ```text
//!  front ── Tap ──▶ Intake ──gate──▶ Market ──▶ Change ──▶ itch ──▶ Store ──▶ MoldUDP64, re-requests
//!                                      │                             └─────▶ (snapshot, sequence) over SoupBinTCP
//! ```
//!
//! A [`Market`] makes of events what everyone may see: displayed orders, and trades. What it says is published once
//! the log is as safe as the ack policy asks, the same rule as for reports: nothing that a crash could take back.
//! `docs/market-data.md` has the bytes and the rules for clients.
//!
//! Absent here: books and how they match (events say it), files, and the rules of the venue.
#![forbid(unsafe_code)]

mod change;
pub mod client;
mod depth;
pub mod fuzz;
mod itch;
mod market;
mod server;
mod store;
mod tap;
mod terms;

pub use change::{Change, ChangeKind};
pub use depth::{Depth, DepthChange, LevelChange, PublicTrade};
pub use itch::{Directory, KEEPS_PLACE, Scribe, Unfit};
pub use market::{Ladder, Level, Market, Shown, Standing, Waits, may_be_silent};
pub use server::{Bound, FeedStats, Seen, Server, Settings, Start, Stats, Watcher, WebSettings};
pub use store::{PACKET_MAX, Store};
pub use tap::{Batch, Intake, Item, Tap, tap};
pub use terms::{Shows, Terms};
