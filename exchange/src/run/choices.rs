//! What the command line and the configuration make together, on this machine.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use domain::Instrument;
use door::ServerConfig;
use engine::{
    balance::{BalanceMode, Placement},
    runtime::{RuntimeConfig, cores},
};
use link::clients::{ServerFiles, server_config};

use super::exposure;
use crate::{
    cli, clock,
    config::{self, Config},
    topology::{Plan, SYSTEM, Topology},
    users,
};

/// Threads that want a core besides the shards': the front and the disk thread.
const BESIDE: u16 = 2;

/// What was chosen.
pub(super) struct Choices {
    pub(super) config: Config,
    /// What the SoupBinTCP listener shows its clients, read and checked.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// What the FIX listener shows its clients.
    pub(super) fix_tls: Option<Arc<ServerConfig>>,
    /// What the listeners of the feed show theirs.
    pub(super) feed_tls: Option<Arc<ServerConfig>>,
    /// Where the users are that are not in the configuration; there may be none.
    pub(super) users_file: PathBuf,
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
        let users_file = config.read_accounts(&args.data)?;
        users::warn_of_plain_passwords(&config, &users_file);
        exposure::warn(&config);
        let tls = tls_of("tls", config.tls.as_ref())?;
        let fix_tls = tls_of("fix.tls", config.fix.as_ref().and_then(|fix| fix.tls.as_ref()))?;
        let feed_tls = tls_of("feed.tls", config.feed_doors.tls.as_ref())?;
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
        Ok(Self {
            config,
            tls,
            fix_tls,
            feed_tls,
            users_file,
            shards,
            cores,
            pins,
            domains,
            front_core,
            shared_cores,
            inline_max: args.inline,
        })
    }

    /// How clients come, as it is said behind the listener's address.
    pub(super) fn tls_text(tls: Option<&ServerFiles>) -> &'static str {
        match tls {
            None => "",
            Some(tls) if tls.client_ca.is_none() => ", by TLS",
            Some(_) => ", by TLS, from clients with a certificate",
        }
    }

    /// How the books of these instruments are run.
    ///
    /// # Errors
    /// When the hints cannot all be kept.
    pub(super) fn runtime(&self, instruments: &[Instrument]) -> Result<RuntimeConfig, String> {
        let config = &self.config.hints;
        let hints = config.resolve(instruments);
        let weights = config.weights(instruments);
        let placement = Placement::with(self.config.placement, &weights, &hints, self.shards)
            .map_err(|error| format!("placement: {error}"))?;
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
        (self.config.balance.steals() && self.config.balance != BalanceMode::Drill && self.shared_cores)
            .then(|| format!("{} cores for {} threads", self.cores.len(), self.shards + BESIDE))
    }
}

/// What a listener shows its clients, read and checked.
fn tls_of(section: &str, files: Option<&ServerFiles>) -> Result<Option<Arc<ServerConfig>>, String> {
    files
        .map(|files| server_config(files, SystemTime::now()))
        .transpose()
        .map_err(|error| format!("{section}: {error}"))
}
