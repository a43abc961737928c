//! Simulates shards, books and workers, to find out what a balancing policy is worth on machines that we do not have.
//!
//! Discrete events, whole nanoseconds, everything random from a seed: one scenario and one seed give one result. The
//! policies are the engine's own; what the machine around them costs is given by [`Costs`]. Next to each result stands
//! [`ideal`], what no machine can do better. docs/balance-simulation.md says what is modelled and what came of it.
#![forbid(unsafe_code)]

pub mod analytic;
mod costs;
mod flow;
mod ideal;
mod machine;
mod outcome;
pub mod report;
mod scenario;
mod service;
pub mod study;
pub mod table;

pub use self::{
    costs::Costs,
    flow::{
        Burst, Bursts, Flow, HOT_SET, SECOND_COMMANDS, Shape, SymbolRates, known_rates, read_rates,
        synthetic_rates,
    },
    ideal::ideal,
    machine::{CORES_MAX, simulate},
    outcome::Outcome,
    scenario::{Arm, Scenario},
    service::{Service, ServiceShape},
};
