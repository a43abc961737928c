//! The journal: one log in which everything that the exchange must not forget is written once, in order.
//!
//! Two families of records share one stream and one address space: **commands** (what was sequenced) and
//! **reports** (what was said to whom under which number). One sync therefore covers both, and every state
//! that a recovery can reach is a prefix of both at the same point.
//!
//! ```text
//!   front thread                       disk thread                      readers
//!   append ──▶ tail (mapped ring) ──▶ pwrite + fdatasync ──▶ segments ──▶ recovery, resend, inspect
//!      │            │                        │                  ▲
//!   commit ─▶ committed ────────────▶ written, durable          │
//!                                                        preparer: zero-fills the next segment
//! ```
//!
//! [`Journal::open`] recovers the directory and gives the one [`Appender`]. [`Reader`] reads any directory,
//! also that of a process that runs or was killed. [`inspect`] looks at a directory and names what is wrong
//! with it. [`snapshot`] keeps files beside the log that say what everything before a [`Mark`] came to; what they
//! say is not the journal's business. With two of them, [`retention`] may remove the segments that nobody needs any
//! more; until it does, the journal never needs them.
//!
//! The format, and every rule of recovery, is in `docs/journal-format.md`.

mod appender;
mod batches;
mod codec;
pub mod compare;
mod copy;
mod crc32c;
mod direct;
mod disk;
mod error;
pub mod fuzz;
pub mod inspect;
mod map;
mod open;
mod options;
mod parts;
#[cfg(test)]
mod power;
mod preparer;
mod put_away;
mod reader;
mod record;
mod recovery;
pub mod repair;
pub mod retention;
mod segment;
pub mod session_log;
mod shared;
pub mod snapshot;
pub mod storage;
mod syncing;
mod tail;
mod truncate;
mod wake;
mod walk;

pub use appender::{Appender, CopyError, OnBatch, Progress, Stats, whole_batches};
pub use batches::{Batches, mark_at};
pub use codec::report::PackedReport;
// Places and ids that every interface here speaks of.
pub use domain::{ClusterId, EpochStart, Mark, Position};
pub use error::{CloseError, Damage, DecodeError, Full, OpenError, ReadError, StorageFailure};
pub use open::Journal;
pub use options::{AckPolicy, Begin, Options};
pub use parts::{Part, Parts};
pub use put_away::put_away;
pub use reader::{Reader, Record, Records};
pub use record::RecordKind;
pub use recovery::{Cut, CutCause, Recovery};
pub use segment::{FORMAT_VERSION, first_position, is_there};
pub use shared::StorageState;
pub use tail::lost_its_tail;
pub use truncate::{TruncateError, Truncated, truncate};
