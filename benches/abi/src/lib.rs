//! The exchange's order book behind the C ABI of flash1-dev/matching-engine-benchmark, the public referee.
//!
//! ```text
//!  referee ──▶ ffi ──▶ session ──▶ Book::apply ──▶ session's sink ──▶ outlet ──▶ referee's drainer
//!          messages   ids: client id -> order           reports      ring, or the referee's queue
//! ```
//!
//! * `message` is what goes over the boundary, field by field as the referee's header has it.
//! * `session` does what the session layer of the exchange does: it resolves the client's own ids (`ids`), makes
//!   commands, and makes a report of each event. The book is the production book; it knows nothing of this crate.
//! * `outlet` is where reports go: into a ring of ours (`ring`), or through the queue that the referee brings.
//!   `FULCRUM_REPORT_QUEUE` in the environment chooses: a number is the slots of our ring (4,194,304 when nothing is
//!   said), `referee` is the referee's queue.
//! * `ffi` has the exported functions. Unsafe code is there and in `ring`.
//!
//! Messages are handled one by one, with no look at a later one, also within a batch. `engine_prebuild` is not
//! exported: everything is done inside the referee's clock.

mod ffi;
mod ids;
mod message;
mod outlet;
mod ring;
mod session;
