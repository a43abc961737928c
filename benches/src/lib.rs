//! What the benchmarks share.
//!
//! Each benchmark says where it ran, on which seeded workload, and what is inside its clock, before it says a number.
//! Times are judged by nobody here but `end_to_end`, whose targets are ratios to what the same machine did in the same
//! run where they can be. `docs/benchmarks.md` has how to run them.
#![forbid(unsafe_code)]

pub mod args;
pub mod balance;
pub mod clock;
pub mod disk;
pub mod echo;
pub mod flow;
pub mod machine;
pub mod passes;
pub mod process;
pub mod report;
pub mod servers;
pub mod workload;
