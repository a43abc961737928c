//! Sockets, sessions and their orders' numbers; requests in, reports out.
//!
//! The gateway decodes and checks what needs no book, and hands commands to a [`Venue`]; it numbers what books say
//! ([`Sessions`]), keeps it in the session log, and sends it once the log is as safe as the ack policy asks.
//!
//! Absent here: books, the order of commands, and files. One thread drives one gateway; the only other one verifies passwords
//! ([`door::auth`]).
#![forbid(unsafe_code)]

mod admission;
mod connection;
mod egress;
pub mod fix;
pub mod fuzz;
mod gateway;
mod limits;
mod orders;
mod ouch;
mod outbox;
mod placement;
mod sessions;
mod venue;

pub use admission::{Admission, AdmissionLimits, AdmissionStats, Room, Turn, Verdict};
pub use gateway::{FixVenue, Gateway};
pub use limits::{GatewayStats, Limits};
pub use orders::{LiveOrder, OrderTable, Traded};
pub use outbox::{Flush, Outbox};
pub use placement::{Home, Placement, PlacementFeed};
pub use sessions::{
    Differs, FixImage, FixState, ImageError, LogError, RECENT_IDS, Session, SessionImage, Sessions, Standing,
};
pub use venue::{Instruments, Venue};
