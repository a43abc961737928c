//! What the command line and the configuration make together, on this machine.

use std::path::Path;

use domain::Instrument;
use engine::{
    balance::{Hints, Placement, PlacementPolicy},
    runtime::{RuntimeConfig, cores},
};

use crate::{
    cli, clock,
    config::{self, Config},
    topology::{Plan, SYSTEM, Topology},
};

/// Threads that want a core besides the shards': the front and the disk thread.
const BESIDE: u16 = 2;

/// What was chosen.
pub(super) struct Choices {
    pub(super) config: Config,
    pub(super) shards: u16,
    /// Cores that the process may use.
    pub(super) cores: Vec<usize>,
    /// The core of each worker, if they are pinned.
    pub(super) pins: Vec<usize>,
    /// The L3 of each worker, if they are pinned.
    pub(super) domains: Vec<u16>,
    pub(super) front_core: Option<usize>,
    /// More threads than cores.
    pub(super) shared_cores: bool,
    inline_max: usize,
}

impl Choices {
    pub(super) fn new(args: &cli::Run) -> Result<Self, String> {
        let mut config = Config::load(args.config.as_deref())?;
        if let Some(soup) = args.soup {
            config.soup = soup;
        }
        if let Some(ack) = &args.ack {
            config.ack = config::ack(ack)?;
        }
        if let Some(idle) = &args.idle {
            config.idle = idle.parse()?;
        }
        if let Some(placement) = args.placement {
            config.placement = placement;
        }
        if let Some(balance) = args.balance {
            config.balance = balance;
        }
        let cores = cores();
        let spare = u16::try_from(cores.len().saturating_sub(usize::from(BESIDE))).unwrap_or(u16::MAX);
        let shards = args.shards.or(config.shards).unwrap_or_else(|| spare.max(1));
        config.hints.fits(shards)?;
        let shared_cores = usize::from(shards) + usize::from(BESIDE) > cores.len();
        let plan = if config.pin && !shared_cores {
            Topology::read(Path::new(SYSTEM), &cores).plan(shards.into())
        } else {
            None
        };
        let (front_core, pins, domains) = match plan {
            Some(Plan { front, shards, domains }) => (Some(front), shards, domains),
            None => Default::default(),
        };
        Ok(Self { config, shards, cores, pins, domains, front_core, shared_cores, inline_max: args.inline })
    }

    /// How the books of these instruments are run.
    ///
    /// # Errors
    /// When the hints cannot all be kept.
    pub(super) fn runtime(&self, instruments: &[Instrument]) -> Result<RuntimeConfig, String> {
        let config = &self.config.hints;
        let hints = config.resolve(instruments);
        let placement = place(self.config.placement, &config.weights(instruments), &hints, self.shards)?;
        Ok(RuntimeConfig {
            idle: self.config.idle,
            cores: self.pins.clone(),
            shared_cores: self.shared_cores,
            inline_max: self.inline_max,
            balance: self.config.balance,
            hints,
            domains: self.domains.clone(),
            clock: clock::monotonic_nanos,
            ..RuntimeConfig::new(placement)
        })
    }

    /// Why nobody steals although the mode says so: with fewer cores than threads a thief takes the core of the one it
    /// would help.
    pub(super) fn stealing_off(&self) -> Option<String> {
        (self.config.balance.steals() && self.shared_cores)
            .then(|| format!("{} cores for {} threads", self.cores.len(), self.shards + BESIDE))
    }
}

/// Spreads books over shards, one for each weight, pinned ones where they are pinned.
fn place(policy: PlacementPolicy, weights: &[u64], hints: &Hints, shards: u16) -> Result<Placement, String> {
    let books = u32::try_from(weights.len()).map_err(|error| error.to_string())?;
    let mut placement = Placement::new(policy, books, shards);
    for (book, shard) in &hints.pins {
        placement.set(*book, *shard);
    }
    Ok(placement)
}

#[cfg(test)]
mod tests {
    use domain::{InstrumentId, ShardId};

    use super::*;

    #[test]
    fn a_pinned_book_lives_where_it_is_pinned() {
        for policy in PlacementPolicy::ALL {
            for shard in (0..4).map(ShardId) {
                let hints = Hints { pins: vec![(InstrumentId(7), shard)], ..Hints::default() };
                let placement = place(policy, &[1; 64], &hints, 4).unwrap();
                assert_eq!(placement.shard_of(InstrumentId(7)), shard, "{policy}");
                assert_eq!((placement.instruments(), placement.shards()), (64, 4));
            }
        }
    }
}
