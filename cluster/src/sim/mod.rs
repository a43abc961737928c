//! A deterministic simulation of a whole cluster: two nodes that run the machines of this crate, a coordinator, clients,
//! disks, a network; everything that happens is drawn from one seed.
//!
//! | part | what it does |
//! |---|---|
//! | `disk` | loses, keeps and tears what was not synced, names included |
//! | `journal` | sealed and chained batches in segments behind a tail, recovery, cuts, snapshots, retention |
//! | `books` | a fold of commands into a hash, and of reports into sessions |
//! | `node` | drives the machines |
//! | `store` | the coordinator |
//! | `world` | events, faults, clients, operators |
//!
//! **Faults:** a process or a machine dies at any moment, also while it recovers, cuts or is promoted, or both at once;
//! a process stops for seconds while its clock goes on; the network is cut, one way or both; the coordinator is slow,
//! down, or changes its own leader; wall clocks jump by an hour; disks are slow; an operator promotes in haste, switches,
//! and has old segments taken away.
//!
//! **After each run** everything is healed, the clients get what they have asked for, and it is checked that
//!
//! * **A** every acknowledged order is there exactly once,
//! * **B** the state of the primary as it is, of both logs, and of what both disks would give back is one and the same,
//! * **C** no session was ever told two things under one number, and its numbers have no gap,
//! * **D** nothing was released in an epoch once something had been in a later one,
//!
//! that no disk lost what its journal called durable, no journal refused to open, and that it came to this at all.
//!
//! `SEED=` runs one seed and prints what happened; `RUNS=` sets how many seeds are run, `SOAK=` for how many minutes.

mod books;
mod disk;
mod journal;
mod node;
mod store;
mod world;

use rand_xoshiro::Xoshiro256PlusPlus;

#[doc(inline)]
pub use crate::mutation::Mutation;

/// The generator of a run.
type Random = Xoshiro256PlusPlus;

/// What runs have seen, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Epochs that began.
    pub epochs: u64,
    /// Those of another node than the one before.
    pub failovers: u64,
    /// Planned switches.
    pub hand_overs: u64,
    /// Primaries that heard of a later epoch.
    pub step_downs: u64,
    /// Logs that were cut to a common prefix.
    pub truncations: u64,
    /// Cuts and swaps that a crash interrupted and recovery finished.
    pub cuts_finished_by_recovery: u64,
    /// Standbys that began from a snapshot.
    pub snapshots: u64,
    /// Journals that let old segments go.
    pub retentions: u64,
    /// Times that a primary ran alone, on record.
    pub solo_runs: u64,
    /// Times that a standby came into the in-sync set.
    pub joins: u64,
    /// Processes killed.
    pub kills: u64,
    /// Machines that lost their power.
    pub power_losses: u64,
    /// Processes that died with work at the disk.
    pub crashes_while_the_disk_worked: u64,
    /// Journals opened without their tails.
    pub lost_tails: u64,
    /// Processes stopped for a time.
    pub pauses: u64,
    /// Cuts of the network.
    pub cuts: u64,
    /// Troubles of the coordinator.
    pub coordinator_faults: u64,
    /// Wall clocks set.
    pub clock_jumps: u64,
    /// Orders that were acknowledged.
    pub acknowledged: u64,
}

impl Coverage {
    /// Adds what another run has seen.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.fields_mut().into_iter().zip(other.fields()) {
            *sum.1 += more.1;
        }
    }

    /// Each count with its name.
    #[must_use]
    pub fn fields(&self) -> [(&'static str, u64); 19] {
        let mut copy = *self;
        copy.fields_mut().map(|(name, count)| (name, *count))
    }

    fn fields_mut(&mut self) -> [(&'static str, &mut u64); 19] {
        [
            ("epochs", &mut self.epochs),
            ("failovers", &mut self.failovers),
            ("hand-overs", &mut self.hand_overs),
            ("step-downs", &mut self.step_downs),
            ("truncations", &mut self.truncations),
            ("cuts finished by recovery", &mut self.cuts_finished_by_recovery),
            ("snapshots", &mut self.snapshots),
            ("retentions", &mut self.retentions),
            ("solo runs", &mut self.solo_runs),
            ("joins", &mut self.joins),
            ("kills", &mut self.kills),
            ("power losses", &mut self.power_losses),
            ("crashes while the disk worked", &mut self.crashes_while_the_disk_worked),
            ("lost tails", &mut self.lost_tails),
            ("pauses", &mut self.pauses),
            ("cuts", &mut self.cuts),
            ("coordinator faults", &mut self.coordinator_faults),
            ("clock jumps", &mut self.clock_jumps),
            ("acknowledged", &mut self.acknowledged),
        ]
    }
}

/// One run.
///
/// # Errors
/// When something did not hold: what, and with `trace` what happened before.
pub fn run(seed: u64, mutation: Option<Mutation>, trace: bool) -> Result<Coverage, String> {
    crate::mutation::want(mutation);
    let mut world = world::World::new(seed, trace);
    let result = world.run();
    crate::mutation::want(None);
    result.map(|()| world.coverage)
}

#[cfg(test)]
mod tests;
