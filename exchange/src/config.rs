//! The configuration file: TOML, every key documented in `config/default.toml`, unknown keys refused.

mod feed;
mod fix;
mod instruments;
mod journaling;
mod limits;
mod plain_users;
mod quotes;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use cluster::gate::Policy;
use domain::{Instrument, Protocol, UserName};
use door::auth::Network;
use engine::{
    balance::{BalanceMode, PlacementPolicy},
    runtime::Idle,
};
use link::clients::ServerFiles;
use serde::Deserialize;

pub(crate) use self::{
    feed::FeedDoors,
    fix::Fix,
    journaling::{Retain, Upkeep},
    plain_users::{Login, User},
    quotes::Quotes,
};
use self::{
    feed::FeedFile,
    fix::{FixFile, comp_id, fix, fix_session},
    instruments::{InstrumentDefaults, InstrumentFile, instruments},
    journaling::{JournalFile, journal_options, upkeep},
    limits::{AdmissionFile, LimitsFile, admission, lobby},
    plain_users::{UserFile, plain_users},
    quotes::QuotesFile,
};
use crate::{
    hints::{ConfiguredHints, Wish},
    users::{self, file::Account},
};

/// The commented default, as `exchange config` prints it.
pub(crate) const DEFAULT: &str = include_str!("../config/default.toml");

/// What the file says, as it stands there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    soup: SocketAddr,
    #[serde(default)]
    fix: FixFile,
    ack: String,
    shards: u16,
    idle: String,
    placement: String,
    #[serde(default = "full")]
    balance: String,
    #[serde(default)]
    together: Vec<Vec<String>>,
    #[serde(default)]
    apart: Vec<Vec<String>>,
    #[serde(default)]
    reserved_shards: Vec<u16>,
    pin: String,
    #[serde(default)]
    end_of_day_utc: String,
    journal: JournalFile,
    limits: LimitsFile,
    #[serde(default)]
    admission: AdmissionFile,
    #[serde(default)]
    feed: FeedFile,
    #[serde(default)]
    tls: TlsFile,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    users_file: String,
    #[serde(default)]
    users: Vec<UserFile>,
    instrument_defaults: InstrumentDefaults,
    instruments: Vec<InstrumentFile>,
}

/// How a listener does TLS; the same for every listener. Empty texts: it does none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TlsFile {
    certificate: String,
    key: String,
    client_ca: String,
}

fn full() -> String {
    BalanceMode::Full.name().into()
}

/// What the file means.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) soup: SocketAddr,
    /// `None`: nobody comes by FIX.
    pub(crate) fix: Option<Fix>,
    pub(crate) ack: Policy,
    /// `None`: as many as the machine has cores for.
    pub(crate) shards: Option<u16>,
    pub(crate) idle: Idle,
    pub(crate) placement: PlacementPolicy,
    pub(crate) balance: BalanceMode,
    pub(crate) hints: ConfiguredHints,
    /// Pin workers where there are cores for all threads.
    pub(crate) pin: bool,
    /// When Day orders end, as time since midnight UTC; never if `None`.
    pub(crate) end_of_day: Option<Duration>,
    pub(crate) journal: journal::Options,
    pub(crate) upkeep: Upkeep,
    pub(crate) limits: gateway::Limits,
    /// Whether the file says how many commands a book may have outstanding, so that the machine does not.
    pub(crate) window_given: bool,
    /// The configuration says how fast clients are given what they missed.
    pub(crate) resend_given: bool,
    /// What the SoupBinTCP listener shows its clients; `None`: they come without TLS.
    pub(crate) tls: Option<ServerFiles>,
    /// Where market data goes.
    pub(crate) feed: ::feed::Settings,
    /// Whom its listeners let in.
    pub(crate) feed_doors: FeedDoors,
    /// Where it is told by FIX; `None`: nowhere.
    pub(crate) quotes: Option<Quotes>,
    /// Where connections may come from; empty: from anywhere.
    pub(crate) allow: Vec<Network>,
    /// Where the users are that are not in here; `None`: in the data directory.
    pub(crate) users_file: Option<PathBuf>,
    /// Who is in here, with plain passwords.
    pub(crate) users: Vec<User>,
    /// Who is in the users file, once it has been read.
    pub(crate) accounts: Vec<Account>,
    /// Their ids are their places in the file; what counts is what the journal has defined.
    pub(crate) instruments: Vec<Instrument>,
    /// Whether this is the embedded default, with its development users.
    pub(crate) embedded: bool,
}

impl Config {
    /// Reads the users file of an exchange on this data directory, into `accounts`. Gives its path.
    ///
    /// # Errors
    /// When it is not what it should be, or the configuration names one that is not there.
    pub(crate) fn read_accounts(&mut self, data: &Path) -> Result<PathBuf, String> {
        let path = self.users_file.clone().unwrap_or_else(|| data.join(users::file::NAME));
        match users::file::read(&path)? {
            Some(accounts) => self.accounts = accounts,
            None if self.users_file.is_some() => {
                return Err(format!(
                    "users_file: there is no {}: `exchange user add` makes it",
                    path.display()
                ));
            }
            None => {}
        }
        users::no_name_twice(self)?;
        Ok(path)
    }

    /// The users that have a session, and what it speaks.
    pub(crate) fn sessions(&self) -> Result<Vec<(UserName, Protocol)>, String> {
        let mut sessions: Vec<_> = self.users.iter().map(|user| (user.name, user.login.protocol())).collect();
        for account in &self.accounts {
            sessions.push((account.user_name()?, users::session_protocol(account.protocol()?)));
        }
        Ok(sessions)
    }

    /// Reads the file, or the embedded default.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, String> {
        let Some(path) = path else {
            let mut config =
                Self::parse(DEFAULT).map_err(|error| format!("the embedded configuration: {error}"))?;
            config.embedded = true;
            return Ok(config);
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read configuration {}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| {
            format!("configuration {}: {error}\n`exchange config` prints a commented default", path.display())
        })
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let instruments = instruments(&file.instrument_defaults, &file.instruments)?;
        let allow = networks("allow", &file.allow)?;
        let wishes: Vec<_> = file
            .instruments
            .iter()
            .zip(&instruments)
            .map(|(entry, instrument)| Wish {
                symbol: instrument.symbol,
                weight: entry.weight,
                pin: entry.pin,
            })
            .collect();
        Ok(Self {
            soup: file.soup,
            fix: fix(&file.fix)?,
            ack: ack(&file.ack)?,
            shards: (file.shards > 0).then_some(file.shards),
            idle: file.idle.parse().map_err(|error| format!("idle: {error}"))?,
            placement: file.placement.parse().map_err(|error| format!("placement: {error}"))?,
            balance: file.balance.parse().map_err(|error| format!("balance: {error}"))?,
            hints: ConfiguredHints::new(&wishes, &file.together, &file.apart, &file.reserved_shards)?,
            pin: match file.pin.as_str() {
                "auto" => true,
                "off" => false,
                other => return Err(format!("pin: no such choice \"{other}\": use auto or off")),
            },
            end_of_day: time_of_day("end_of_day_utc", &file.end_of_day_utc)?,
            journal: journal_options(&file.journal)?,
            upkeep: upkeep(&file.journal)?,
            window_given: file.admission.window.is_some(),
            resend_given: file.limits.resend_per_s.is_some(),
            limits: gateway::Limits {
                connections_max: file.limits.connections,
                lobby: lobby(&file.limits)?,
                unsent_max: file.limits.unsent_kib << 10,
                open_orders_max: file.limits.open_orders,
                resend_per_second: file
                    .limits
                    .resend_per_s
                    .unwrap_or(gateway::Limits::default().resend_per_second),
                login_timeout: Duration::from_secs(file.limits.login_timeout_s),
                silence_max: Duration::from_secs(file.limits.silence_s),
                absent: Duration::from_millis(file.limits.absent_ms),
                absent_at_start: file
                    .limits
                    .absent_at_start_ms
                    .map_or(gateway::Limits::default().absent_at_start, Duration::from_millis),
                admission: admission(&file.admission)?,
                ..gateway::Limits::default()
            },
            tls: tls("tls", &file.tls)?,
            feed: file.feed.settings()?,
            feed_doors: file.feed.doors(&allow)?,
            quotes: file.feed.fix.quotes(&file.fix)?,
            allow,
            users_file: (!file.users_file.is_empty()).then(|| PathBuf::from(&file.users_file)),
            users: plain_users(&file.users)?,
            accounts: Vec::new(),
            instruments,
            embedded: false,
        })
    }
}

/// The networks that a key lists.
fn networks(key: &str, texts: &[String]) -> Result<Vec<Network>, String> {
    texts.iter().map(|text| text.parse().map_err(|error| format!("{key}: {error}"))).collect()
}

/// An ack policy by its name.
pub(crate) fn ack(text: &str) -> Result<Policy, String> {
    match text {
        "memory" => Ok(Policy::Memory),
        "disk" => Ok(Policy::Disk),
        "disk+replica" => Ok(Policy::DiskReplica),
        "two-disks" => Ok(Policy::TwoDisks),
        other => Err(format!(
            "no ack policy \"{other}\": use memory or disk, or in a pair disk+replica or two-disks"
        )),
    }
}

/// The name of an ack policy.
pub(crate) const fn ack_name(ack: Policy) -> &'static str {
    match ack {
        Policy::Memory => "memory",
        Policy::Disk => "disk",
        Policy::DiskReplica => "disk+replica",
        Policy::TwoDisks => "two-disks",
    }
}

/// How soon anyone waits for the disk under it.
pub(crate) const fn journal_ack(ack: Policy) -> journal::AckPolicy {
    match ack {
        Policy::Memory => journal::AckPolicy::Memory,
        Policy::Disk | Policy::DiskReplica | Policy::TwoDisks => journal::AckPolicy::Disk,
    }
}

/// A time of day, since midnight; `None` for never.
fn time_of_day(key: &str, text: &str) -> Result<Option<Duration>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || {
        format!(
            "{key}: \"{text}\" is no time of day: write it as \"21:00\" or \"21:00:30\", or \"\" for never"
        )
    };
    let parts: Vec<u64> = text.split(':').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes] => (hours, minutes, 0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return Err(wrong()),
    };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return Err(wrong());
    }
    Ok(Some(Duration::from_secs(hours * 3_600 + minutes * 60 + seconds)))
}

fn tls(section: &str, file: &TlsFile) -> Result<Option<ServerFiles>, String> {
    let TlsFile { certificate, key, client_ca } = file;
    let client_ca = (!client_ca.is_empty()).then(|| PathBuf::from(client_ca));
    match (certificate.is_empty(), key.is_empty()) {
        (true, true) if client_ca.is_some() => Err(format!(
            "{section}.client_ca: clients show certificates by TLS, which takes {section}.certificate and {section}.key"
        )),
        (true, true) => Ok(None),
        (false, false) => {
            Ok(Some(ServerFiles { certificate: certificate.into(), key: key.into(), client_ca }))
        }
        (true, false) => Err(format!("{section}.certificate: there is a key, and no certificate for it")),
        (false, true) => Err(format!("{section}.key: there is a certificate, and no key for it")),
    }
}

#[cfg(test)]
mod tests;
