//! The configuration file: TOML, every key documented in `config/default.toml`, unknown keys refused.

mod feed;
mod quotes;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use cluster::gate::Policy;
use domain::{
    BookScopedId, Instrument, InstrumentId, OrderBounds, Price, Protocol, Quantity, Symbol, UserName,
};
use door::{auth::Network, lobby::LobbyLimits};
use engine::{
    balance::{BalanceMode, PlacementPolicy},
    runtime::Idle,
};
use gateway::{AdmissionLimits, fix::Settings};
use link::clients::ServerFiles;
use serde::Deserialize;
use wire::{
    fix::TimePrecision,
    soup::{Password, Username},
};

pub(crate) use self::{feed::FeedDoors, quotes::Quotes};
use self::{feed::FeedFile, quotes::QuotesFile};
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

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FixFile {
    #[serde(default)]
    address: String,
    #[serde(default = "fulcrum")]
    comp_id: String,
    #[serde(default = "intervals")]
    heartbeat_s: [u32; 2],
    #[serde(default = "millis")]
    times: String,
    #[serde(default)]
    roll_over_utc: String,
    #[serde(default = "notices")]
    roll_over_news_s: Vec<u32>,
    #[serde(default)]
    stop_news_s: u32,
    #[serde(default)]
    orders_per_s: u32,
    #[serde(default)]
    tls: TlsFile,
}

impl Default for FixFile {
    fn default() -> Self {
        Self {
            address: String::new(),
            comp_id: fulcrum(),
            heartbeat_s: intervals(),
            times: millis(),
            roll_over_utc: String::new(),
            roll_over_news_s: notices(),
            stop_news_s: 0,
            orders_per_s: 0,
            tls: TlsFile::default(),
        }
    }
}

fn notices() -> Vec<u32> {
    vec![600, 60, 10]
}

fn fulcrum() -> String {
    "FULCRUM".into()
}

const fn intervals() -> [u32; 2] {
    [1, 300]
}

fn millis() -> String {
    "ms".into()
}

fn soup() -> String {
    "soup".into()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalFile {
    segment_mib: u64,
    tail_mib: u64,
    tail_dir: String,
    reserve_mib: u64,
    #[serde(default = "snapshot_mib")]
    snapshot_mib: u64,
    #[serde(default = "both")]
    snapshots_on: String,
    #[serde(default = "all")]
    retain: String,
    #[serde(default)]
    archive: String,
    #[serde(default)]
    retain_absent_mib: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsFile {
    connections: usize,
    unsent_kib: usize,
    open_orders: usize,
    resend_per_s: Option<u32>,
    login_timeout_s: u64,
    silence_s: u64,
    #[serde(default)]
    absent_ms: u64,
    absent_at_start_ms: Option<u64>,
    connections_per_address: Option<usize>,
    unauthenticated: Option<usize>,
    unauthenticated_per_address: Option<usize>,
}

/// How a listener does TLS; the same for every listener. Empty texts: it does none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TlsFile {
    certificate: String,
    key: String,
    client_ca: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AdmissionFile {
    window: Option<u32>,
    sojourn_us: u64,
    held_book: usize,
    held_session: usize,
    held: usize,
}

impl Default for AdmissionFile {
    fn default() -> Self {
        let limits = AdmissionLimits::default();
        Self {
            window: None,
            sojourn_us: limits.sojourn_nanos / 1_000,
            held_book: limits.book_max,
            held_session: limits.session_max,
            held: limits.held_max,
        }
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserFile {
    name: String,
    password: String,
    #[serde(default = "soup")]
    protocol: String,
    #[serde(default)]
    cancel_on_disconnect: bool,
    #[serde(default)]
    drop_copy_of: Vec<String>,
}

impl std::fmt::Debug for UserFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserFile").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InstrumentDefaults {
    tick: String,
    lot: u32,
    quantity_max: u64,
    price_max: String,
    #[serde(default = "one_lot")]
    quantity_min: u64,
    #[serde(default)]
    notional_min: String,
    #[serde(default)]
    notional_max: String,
}

const fn snapshot_mib() -> u64 {
    1_024
}

fn both() -> String {
    "both".into()
}

fn all() -> String {
    "all".into()
}

const fn one_lot() -> u64 {
    1
}

fn full() -> String {
    BalanceMode::Full.name().into()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InstrumentFile {
    symbol: String,
    tick: Option<String>,
    lot: Option<u32>,
    quantity_max: Option<u64>,
    price_max: Option<String>,
    quantity_min: Option<u64>,
    notional_min: Option<String>,
    notional_max: Option<String>,
    weight: Option<u32>,
    pin: Option<u16>,
}

/// A user who may log in.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: UserName,
    pub(crate) login: Login,
    pub(crate) cancel_on_disconnect: bool,
    pub(crate) drop_copy_of: Vec<UserName>,
}

/// How a user logs in.
#[derive(Clone)]
pub(crate) enum Login {
    /// By SoupBinTCP.
    Soup { username: Username, password: Password },
    /// By FIX.
    Fix { password: String },
}

impl Login {
    pub(crate) const fn protocol(&self) -> Protocol {
        match self {
            Self::Soup { .. } => Protocol::Ouch,
            Self::Fix { .. } => Protocol::Fix,
        }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.protocol())
    }
}

/// Where clients that speak FIX come, and how.
#[derive(Clone, Debug)]
pub(crate) struct Fix {
    pub(crate) address: SocketAddr,
    pub(crate) comp_id: String,
    /// The lowest and the highest HeartBtInt, in seconds.
    pub(crate) heartbeat: (u32, u32),
    pub(crate) precision: TimePrecision,
    /// When the sessions' numbers begin anew, each day, since midnight UTC.
    pub(crate) roll_over: Option<Duration>,
    /// How long before that clients are told.
    pub(crate) roll_over_news: Vec<Duration>,
    /// How long clients are told of a stop before it begins.
    pub(crate) stop_news: Duration,
    /// 0 for any number.
    pub(crate) orders_per_second: u32,
    pub(crate) tls: Option<ServerFiles>,
}

/// What is done for the data directory beside the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upkeep {
    /// Bytes of the journal from one snapshot to the next while the exchange runs; 0 for none but at a stop.
    pub(crate) snapshot_bytes: u64,
    /// A node that leads takes none while a standby is connected.
    pub(crate) only_on_standby: bool,
    /// `None`: every segment stays.
    pub(crate) retain: Option<Retain>,
}

/// How segments that no start needs are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retain {
    /// Where each is copied first.
    pub(crate) archive: Option<PathBuf>,
    /// What is kept at most for a node of the pair that is not there; `None`: all that it may lack.
    pub(crate) absent_bytes: Option<u64>,
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

fn lobby(file: &LimitsFile) -> Result<LobbyLimits, String> {
    /// Of a few connections all may wait: who logs in at once would be cut off by who comes next.
    const FEW: usize = 64;
    for (name, bound) in [
        ("connections_per_address", file.connections_per_address),
        ("unauthenticated", file.unauthenticated),
        ("unauthenticated_per_address", file.unauthenticated_per_address),
    ] {
        if bound == Some(0) {
            return Err(format!("limits.{name}: with 0 nobody could come in"));
        }
    }
    Ok(LobbyLimits {
        of_address: file.connections_per_address,
        unauthenticated: file.unauthenticated.unwrap_or_else(|| (file.connections / 2).max(FEW)),
        unauthenticated_of_address: file.unauthenticated_per_address,
        ..LobbyLimits::default()
    })
}

fn admission(file: &AdmissionFile) -> Result<AdmissionLimits, String> {
    // Those that wait are numbered with 32 bits, orders and cancels together.
    for (name, bound) in
        [("held_book", file.held_book), ("held_session", file.held_session), ("held", file.held)]
    {
        if bound > 1 << 24 {
            return Err(format!("admission.{name}: {bound} is more than {}", 1 << 24));
        }
    }
    Ok(AdmissionLimits {
        window: match file.window {
            None => AdmissionLimits::default().window,
            Some(0) => u32::MAX,
            Some(window) => window,
        },
        sojourn_nanos: file
            .sojourn_us
            .checked_mul(1_000)
            .ok_or_else(|| format!("admission.sojourn_us: {} us is beyond any clock", file.sojourn_us))?,
        book_max: file.held_book,
        session_max: file.held_session,
        held_max: file.held,
    })
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

/// A number of bytes in the journal's section.
fn mib(name: &str, mib: u64) -> Result<u64, String> {
    mib.checked_mul(1 << 20).ok_or_else(|| format!("journal.{name}: {mib} MiB is beyond any disk"))
}

fn upkeep(file: &JournalFile) -> Result<Upkeep, String> {
    let archive = (!file.archive.is_empty()).then(|| PathBuf::from(&file.archive));
    let absent = mib("retain_absent_mib", file.retain_absent_mib)?;
    let absent_bytes = (absent > 0).then_some(absent);
    let retain = match file.retain.as_str() {
        "all" if archive.is_some() => {
            return Err(
                "journal.archive: with retain = \"all\" nothing is removed, so nothing is archived: use retain = \
                 \"snapshots\", or archive = \"\""
                    .into(),
            );
        }
        "all" => None,
        "snapshots" => Some(Retain { archive, absent_bytes }),
        other => return Err(format!("journal.retain: no such choice \"{other}\": use all or snapshots")),
    };
    Ok(Upkeep {
        snapshot_bytes: mib("snapshot_mib", file.snapshot_mib)?,
        only_on_standby: match file.snapshots_on.as_str() {
            "both" => false,
            "standby" => true,
            other => {
                return Err(format!("journal.snapshots_on: no such choice \"{other}\": use both or standby"));
            }
        },
        retain,
    })
}

fn journal_options(file: &JournalFile) -> Result<journal::Options, String> {
    Ok(journal::Options {
        segment_bytes: mib("segment_mib", file.segment_mib)?,
        tail_bytes: mib("tail_mib", file.tail_mib)?,
        tail_dir: (!file.tail_dir.is_empty()).then(|| PathBuf::from(&file.tail_dir)),
        reserve_bytes: mib("reserve_mib", file.reserve_mib)?,
        ..journal::Options::default()
    })
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

fn plain_users(list: &[UserFile]) -> Result<Vec<User>, String> {
    let mut seen = BTreeSet::new();
    let mut seen_fix = BTreeSet::new();
    list.iter()
        .map(|user| {
            let name = &user.name;
            match user.protocol.as_str() {
                "soup" => {}
                "fix" => return fix_user(user, &mut seen_fix),
                other => {
                    return Err(format!("user \"{name}\": no such protocol \"{other}\": use soup or fix"));
                }
            }
            let username = Username::new(name)
                .filter(|_| !name.is_empty())
                .ok_or_else(|| format!("user \"{name}\": a name has 1 to 6 printable ASCII characters"))?;
            if !seen.insert(username.canonical()) {
                return Err(format!("user \"{name}\" is there twice (case does not count)"));
            }
            let password =
                Password::new(&user.password).filter(|_| !user.password.is_empty()).ok_or_else(|| {
                    format!("user \"{name}\": a password has 1 to 10 printable ASCII characters")
                })?;
            let name = UserName::new(&username.canonical())
                .ok_or_else(|| format!("user \"{name}\": not printable ASCII"))?;
            Ok(User {
                name,
                login: Login::Soup { username, password },
                cancel_on_disconnect: user.cancel_on_disconnect,
                drop_copy_of: watched(user)?,
            })
        })
        .collect()
}

/// The users whose orders a user is told of.
fn watched(user: &UserFile) -> Result<Vec<UserName>, String> {
    let name_of = |name: &String| {
        UserName::new(name.as_bytes())
            .filter(|_| !name.is_empty())
            .ok_or_else(|| format!("user \"{}\": drop_copy_of: \"{name}\" is no user's name", user.name))
    };
    user.drop_copy_of.iter().map(name_of).collect()
}

/// A user who speaks FIX. Case counts there; the session is the user's, so one name is one session, whatever it speaks.
fn fix_user(user: &UserFile, seen: &mut BTreeSet<UserName>) -> Result<User, String> {
    let UserFile { name, password, .. } = user;
    let printable =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    let user_name = UserName::new(name.as_bytes())
        .filter(|_| printable(name, 20))
        .ok_or_else(|| format!("user \"{name}\": a name has 1 to 20 printable ASCII characters, no space"))?;
    if !printable(password, 64) {
        return Err(format!("user \"{name}\": a password has 1 to 64 printable ASCII characters, no space"));
    }
    if !seen.insert(user_name) {
        return Err(format!("user \"{name}\" is there twice"));
    }
    Ok(User {
        name: user_name,
        login: Login::Fix { password: password.clone() },
        cancel_on_disconnect: user.cancel_on_disconnect,
        drop_copy_of: watched(user)?,
    })
}

fn fix(file: &FixFile) -> Result<Option<Fix>, String> {
    if file.address.is_empty() {
        return Ok(None);
    }
    let address = file.address.parse().map_err(|_| {
        format!("fix.address: \"{}\" is no address and port, such as 127.0.0.1:9002", file.address)
    })?;
    comp_id("fix.comp_id", &file.comp_id)?;
    let Settings { heartbeat, precision } = fix_session(file)?;
    let tls = tls("fix.tls", &file.tls)?;
    let roll_over = time_of_day("fix.roll_over_utc", &file.roll_over_utc)?;
    if file.roll_over_news_s.len() > 16
        || file.roll_over_news_s.iter().any(|before| *before == 0 || *before >= 86_400)
    {
        return Err("fix.roll_over_news_s: up to 16 times of 1 s to a day before the roll-over".into());
    }
    let seconds = |seconds: &u32| Duration::from_secs(u64::from(*seconds));
    if file.stop_news_s > 3_600 {
        return Err(format!("fix.stop_news_s: {} s is more than an hour", file.stop_news_s));
    }
    Ok(Some(Fix {
        address,
        comp_id: file.comp_id.clone(),
        heartbeat,
        precision,
        roll_over,
        roll_over_news: file.roll_over_news_s.iter().map(seconds).collect(),
        stop_news: seconds(&file.stop_news_s),
        orders_per_second: file.orders_per_s,
        tls,
    }))
}

/// How FIX sessions are driven.
fn fix_session(file: &FixFile) -> Result<Settings, String> {
    let [least, most] = file.heartbeat_s;
    if least == 0 || most < least {
        return Err(format!("fix.heartbeat_s: [{least}, {most}] holds no interval of 1 s or more"));
    }
    let precision = match file.times.as_str() {
        "s" => TimePrecision::Seconds,
        "ms" => TimePrecision::Millis,
        "us" => TimePrecision::Micros,
        "ns" => TimePrecision::Nanos,
        other => return Err(format!("fix.times: no such choice \"{other}\": use s, ms, us or ns")),
    };
    Ok(Settings { heartbeat: (least, most), precision })
}

/// That a name can stand in a CompID.
fn comp_id(key: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{key}: printable ASCII characters, no space"));
    }
    Ok(())
}

fn instruments(defaults: &InstrumentDefaults, list: &[InstrumentFile]) -> Result<Vec<Instrument>, String> {
    if list.len() > BookScopedId::INSTRUMENTS_MAX as usize {
        return Err(format!(
            "{} instruments; at most {} are taken",
            list.len(),
            BookScopedId::INSTRUMENTS_MAX
        ));
    }
    let mut seen = BTreeSet::new();
    list.iter()
        .zip(0..)
        .map(|(entry, index)| {
            let name = &entry.symbol;
            let say = |what: String| format!("instrument \"{name}\": {what}");
            let symbol = Symbol::new(name)
                .ok_or_else(|| say("a symbol has 1 to 8 printable ASCII characters, no space".into()))?;
            if !seen.insert(symbol) {
                return Err(say("it is there twice".into()));
            }
            let tick_text = entry.tick.as_ref().unwrap_or(&defaults.tick);
            let tick = decimal_e4(tick_text)
                .and_then(|e4| u32::try_from(e4).ok())
                .ok_or_else(|| say(format!("tick \"{tick_text}\" is no price with up to 4 decimals")))?;
            let price_text = entry.price_max.as_ref().unwrap_or(&defaults.price_max);
            let price_max = decimal_e4(price_text)
                .and_then(|e4| e4.checked_div(u64::from(tick)))
                .and_then(|ticks| Price::new(i64::try_from(ticks).ok()?))
                .ok_or_else(|| {
                    say(format!("price_max \"{price_text}\" is no price with up to 4 decimals"))
                })?;
            let lot = entry.lot.unwrap_or(defaults.lot);
            // What one tick times one lot is worth, in ten-thousandths; an order is worth a multiple of it.
            let worth = u64::from(tick).saturating_mul(u64::from(lot)).max(1);
            let notional = |key: &str, text: &str, none: u64, round: fn(u64, u64) -> u64| match text {
                "" => Ok(none),
                text => decimal_e4(text)
                    .map(|e4| round(e4, worth))
                    .ok_or_else(|| say(format!("{key} \"{text}\" is no amount with up to 4 decimals"))),
            };
            let text = entry.notional_min.as_ref().unwrap_or(&defaults.notional_min);
            let none = OrderBounds::NONE;
            let notional_min = notional("notional_min", text, none.notional_min, u64::div_ceil)?;
            let text = entry.notional_max.as_ref().unwrap_or(&defaults.notional_max);
            let notional_max = notional("notional_max", text, none.notional_max, |e4, worth| e4 / worth)?;
            let instrument = Instrument {
                id: InstrumentId(index),
                symbol,
                tick,
                lot,
                quantity_max: Quantity(entry.quantity_max.unwrap_or(defaults.quantity_max)),
                price_max,
                bounds: OrderBounds {
                    quantity_min: Quantity(entry.quantity_min.unwrap_or(defaults.quantity_min)),
                    notional_min,
                    notional_max,
                },
            };
            let units = instrument.quantity_to_units(instrument.quantity_max);
            if units.is_none_or(|units| units > u64::from(u32::MAX)) {
                return Err(say(
                    "quantity_max times lot must be at most 4294967295, what OUCH can say".into()
                ));
            }
            if instrument.price_to_e4(price_max).is_none_or(|e4| e4 >= 2_000_000_000) {
                return Err(say("price_max must stay below 200000, from where OUCH says market".into()));
            }
            instrument.validated().map_err(|error| say(error.to_string()))
        })
        .collect()
}

/// Ten-thousandths of a decimal text with up to four decimals.
fn decimal_e4(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 4 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<4}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(10_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_has_what_the_readme_says() {
        let config = Config::load(None).unwrap();
        assert_eq!(config.instruments.len(), 64);
        let aapl = config.instruments.iter().find(|i| i.symbol == Symbol::new("AAPL").unwrap()).unwrap();
        assert_eq!((aapl.tick, aapl.lot), (100, 1));
        assert_eq!(config.users.len(), 8);
        assert!(config.embedded);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |from: &str, to: &str| {
            assert!(DEFAULT.contains(from), "{from}");
            Config::parse(&DEFAULT.replacen(from, to, 1)).unwrap_err()
        };
        assert!(with("held = 65536", "held = 99999999").contains("admission.held: 99999999"));
        assert!(with("held = 65536", "hold = 65536").contains("hold"));
        assert!(with("soup = ", "soap = ").contains("soap"));
        assert!(
            with("allow = []", "allow = [\"10.0.0.1/8\"]").contains("allow: \"10.0.0.1/8\" is no network")
        );
        assert!(
            with("silence_s = 15", "silence_s = 15\nunauthenticated = 0")
                .contains("limits.unauthenticated: with 0")
        );
        assert!(with("certificate = \"\"", "certificate = \"a.pem\"").contains("tls.key: "));
        assert!(with("\nkey = \"\"", "\nkey = \"a.key\"").contains("tls.certificate: "));
        assert!(with("client_ca = \"\"", "client_ca = \"ca.pem\"").contains("tls.client_ca: "));
        assert!(with("ack = \"disk\"", "ack = \"tape\"").contains("use memory or disk"));
        assert!(with("idle = \"backoff\"", "idle = \"nap\"").contains("idle: "));
        assert!(
            with("placement = \"hash\"", "placement = \"heap\"").contains("placement: no placement \"heap\"")
        );
        let balance = with("balance = \"full\"", "balance = \"half\"");
        assert!(balance.contains("balance: no balance \"half\": use off, steal, migrate or full"));
        assert!(with("\"AAPL\"", "\"A PL\"").contains("A PL"));
        assert!(with("\"MSFT\"", "\"AAPL\"").contains("twice"));
        assert!(with("name = \"DEV2\"", "name = \"dev1\"").contains("twice"));
        assert!(with("tick = \"0.01\"", "tick = \"0.00001\"").contains("0.00001"));
        assert!(with("end_of_day_utc = \"\"", "end_of_day_utc = \"24:00\"").contains("21:00"));
        assert!(with("retain = \"all\"", "retain = \"some\"").contains("use all or snapshots"));
        assert!(with("archive = \"\"", "archive = \"old\"").contains("nothing is removed"));
        assert!(with("snapshots_on = \"both\"", "snapshots_on = \"1\"").contains("use both or standby"));
        let bounded =
            |bounds: &str| with("{ symbol = \"NVDA\" }", &format!("{{ symbol = \"NVDA\", {bounds} }}"));
        for (bounds, says) in [
            ("quantity_min = 0", "smallest quantity must be above 0"),
            ("quantity_min = 1000000", "at most the largest"),
            ("notional_min = \"1,5\"", "notional_min \"1,5\" is no amount"),
            ("notional_max = \"many\"", "notional_max \"many\" is no amount"),
            ("notional_max = \"0.009\"", "largest notional must be above 0"),
            ("notional_min = \"10.01\", notional_max = \"10\"", "not below the smallest"),
            ("notional_min = \"200000000000\"", "highest price times the largest quantity"),
        ] {
            let said = bounded(bounds);
            assert!(said.contains("instrument \"NVDA\"") && said.contains(says), "{bounds}: {said}");
        }
    }

    #[test]
    fn notionals_are_counted_in_ticks_times_lots() {
        // The bounds in the defaults, and how they stand in the file.
        let lines = "quantity_min = 1\n";
        let notionals = "notional_min = \"\"\nnotional_max = \"\"\n";
        assert!(DEFAULT.contains(lines) && DEFAULT.contains(notionals));
        let nvda = "{ symbol = \"NVDA\" }";
        let with = |instrument: &str, defaults: [&str; 2]| {
            let text = DEFAULT.replace(lines, defaults[0]).replace(notionals, defaults[1]);
            let config = Config::parse(&text.replace(nvda, instrument)).unwrap();
            let found = config.instruments.iter().find(|i| i.symbol == Symbol::new("NVDA").unwrap());
            found.unwrap().bounds
        };
        assert_eq!(with(nvda, [lines, notionals]), OrderBounds::NONE);
        // They may be left out.
        assert_eq!(with(nvda, ["", ""]), OrderBounds::NONE);
        // Ticks of five cents, lots of 10: half a unit of currency each. Bounds between two multiples exclude both.
        let lots = "{ symbol = \"NVDA\", tick = \"0.05\", lot = 10, quantity_max = 9, notional_min = \"1.01\", \
                    notional_max = \"2.99\", quantity_min = 2 }";
        let bounds = OrderBounds { quantity_min: Quantity(2), notional_min: 3, notional_max: 5 };
        assert_eq!(with(lots, ["", ""]), bounds);
        // An instrument says otherwise than the defaults, also that there is no bound.
        let defaults = ["quantity_min = 5\n", "notional_min = \"3\"\nnotional_max = \"7.5\"\n"];
        let bounds = OrderBounds { quantity_min: Quantity(5), notional_min: 300, notional_max: 750 };
        assert_eq!(with(nvda, defaults), bounds);
        let unbounded = "{ symbol = \"NVDA\", quantity_min = 1, notional_min = \"\", notional_max = \"\" }";
        assert_eq!(with(unbounded, defaults), OrderBounds::NONE);
    }

    #[test]
    fn the_journal_is_kept_whole_unless_the_file_says_otherwise() {
        let keys = [
            "snapshots_on = \"both\"\n",
            "retain = \"all\"\n",
            "archive = \"\"\n",
            "retain_absent_mib = 0\n",
        ];
        let without = keys.iter().fold(DEFAULT.to_owned(), |text, key| {
            assert!(text.contains(key), "{key}");
            text.replacen(key, "", 1)
        });
        let upkeep = |text: &str| Config::parse(text).unwrap().upkeep;
        let all = Upkeep { snapshot_bytes: 1 << 30, only_on_standby: false, retain: None };
        assert_eq!((upkeep(DEFAULT), upkeep(&without)), (all.clone(), all));
        let text = DEFAULT.replacen(keys[0], "snapshots_on = \"standby\"\n", 1);
        let text = text.replacen(keys[1], "retain = \"snapshots\"\n", 1);
        let retain = Retain { archive: None, absent_bytes: None };
        let some = Upkeep { snapshot_bytes: 1 << 30, only_on_standby: true, retain: Some(retain) };
        assert_eq!(upkeep(&text), some);
        let text =
            text.replacen(keys[2], "archive = \"/old\"\n", 1).replacen(keys[3], "retain_absent_mib = 3\n", 1);
        let retain = Retain { archive: Some("/old".into()), absent_bytes: Some(3 << 20) };
        assert_eq!(upkeep(&text).retain, Some(retain));
    }

    #[test]
    fn admission_may_be_left_out_and_switched_off() {
        let start = DEFAULT.find("[admission]").unwrap();
        let end = start + DEFAULT[start..].find("# Who may log in").unwrap();
        let with = |section: &str| {
            let text = format!("{}{section}{}", &DEFAULT[..start], &DEFAULT[end..]);
            Config::parse(&text).unwrap().limits.admission
        };
        // The file says what is built in.
        assert_eq!(Config::parse(DEFAULT).unwrap().limits.admission, AdmissionLimits::default());
        assert_eq!(with(""), AdmissionLimits::default());
        let limits = with("[admission]\nwindow = 0\nsojourn_us = 7\n");
        assert_eq!((limits.window, limits.sojourn_nanos), (u32::MAX, 7_000));
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal_e4("0.01"), Some(100));
        assert_eq!(decimal_e4("199999.99"), Some(1_999_999_900));
        assert_eq!(decimal_e4("5"), Some(50_000));
        for wrong in ["", ".5", "1.00001", "-1", "1e3", "1,5", " 1"] {
            assert_eq!(decimal_e4(wrong), None, "{wrong}");
        }
    }
}
