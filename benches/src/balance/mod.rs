//! What `balance` measures with: load for several shards in one process, and who runs what on how many cores.
//!
//! ```text
//!  workload ──▶ Feed (front: pushes what is due, drains, ticks) ──▶ Runtime ──▶ workers
//!                 │ seat: on whose thread the front runs
//!  quiet ── what else the machine did meanwhile: the run is repeated, and counted as rejected
//! ```
//!
//! * [`seat`]: the front on a core of its own, or without one, on the workers' threads.
//! * [`workload`]: books, shares and commands; [`packed`]: these in little memory; [`paced`]: when they arrive, and how long each took.
//! * [`crowd`]: one book with twice what it can do, behind [`admission`].
//! * [`layer`]: what handing over a command costs. [`trial`]: one run of one arm. [`arms`]: arms in turns, and tables.

pub mod admission;
pub mod arms;
pub mod crowd;
pub mod layer;
pub mod paced;
pub mod packed;
pub mod quiet;
pub mod seat;
pub mod trial;
pub mod wire;
pub mod workload;
