//! FIX sessions, without sockets and without orders: who is logged in, which number is next in each direction, what is missing,
//! and what has to be said about it.
//!
//! ```text
//! wire::fix::Message ──▶ Session ──▶ Application (logons, orders)
//!                          │  ▲
//!        bytes to be sent ◀┘  └── ticks of the clock, messages of the application, resends
//! ```

mod desk;
mod entry;
pub mod fuzz;
mod heard;
mod link;
mod securities;
mod session;
mod shown;
mod terms;
mod throttle;

pub(crate) use desk::{Act, Asked, Desk, MassAsked, MassCanceling};
pub use entry::Entry;
pub(crate) use link::Link;
pub use securities::{SECURITIES, security_list};
pub use session::{Application, Close, Identity, Logon, Refused, Session, Settings, Taken, Verdict};
pub use shown::Signed;
pub use throttle::Throttle;
