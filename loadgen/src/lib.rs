//! The load generator.
#![forbid(unsafe_code)]

mod book_choice;
pub mod client;
mod config;
mod latency;
mod lobster;
mod profile;
mod request;
mod schedule;
mod tracker;
mod workload;

pub use config::{Config, Mode, Source, Stop, User, Wait};
pub use profile::{Profile, ProfileError};
