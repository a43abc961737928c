//! `exchange drill`: breaks an exchange on purpose, under load, and holds what clients were told against what is there
//! afterwards.
//!
//! A round of each drill:
//!
//! 1. load runs, and what each session is told is kept ([`traffic`]);
//! 2. at a moment that the seed decides something breaks, and is brought back;
//! 3. a client finds out when that is over ([`client`]): the first order accepted, or the answer that had to wait;
//! 4. every session is audited from its first message ([`audit`](crate::audit)).
//!
//! At the end live books, a replay of every directory and, where there is one exchange, a recovery must have the same
//! state. A drill in which nothing was acknowledged before it broke has shown nothing, and fails.

mod client;
mod crash;
mod crowd;
mod disk_full;
mod failover;
mod isolation;
mod outage;
mod pair;
mod partition;
mod relay;
mod slow_consumer;
mod slow_disk;
mod storm;
mod traffic;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ::client::{User, soup::MessageLog};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};

use self::client::Client;
use crate::{
    audit::{Audited, Canary, audit},
    child::Arguments,
    cli::{self, Disaster},
    config::{self, Config},
    load::users,
    replay::replay_dir,
    say::say,
};

/// Sessions of the load.
const SESSIONS: usize = 4;
/// The session that asks, beside the load, whether orders are answered.
const ASKING: usize = SESSIONS;
/// What takes longer counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);
/// From one look to the next.
const LOOK: Duration = Duration::from_millis(2);
/// A signal is noticed within this.
const PAUSE: Duration = Duration::from_millis(50);
const INTERRUPTED: &str = "interrupted";
/// Shards of an exchange, and of the replays that its state is compared with.
const SHARDS: u16 = 2;
const SHARDS_REPLAYED: u16 = 3;
/// What of the journal's configuration is other than the embedded one: each cut of a journal keeps copies of its
/// segments, and temporary directories are small.
const JOURNAL: [(&str, u64); 2] = [("segment_mib", 16), ("tail_mib", 8)];
/// Names what the drill shall pretend to find wrong, to show that it would say so: see [`Pretended`].
const CANARY: &str = "EXCHANGE_DRILL_CANARY";

/// What [`CANARY`] may say.
#[derive(Clone, Copy)]
enum Pretended {
    /// What the audit finds.
    Audit(Canary),
    /// A replay comes to another state.
    OtherState,
    /// Exchanges are run with a weaker acknowledgement policy than is said.
    WeakerAck,
}

/// The command.
pub(crate) fn drill(args: &cli::Drill) -> Result<(), String> {
    let ack = ack_of(args)?;
    if args.etcd && !matches!(args.what, Disaster::Failover | Disaster::Partition) {
        return Err(format!("--etcd: nobody is elected in drill {}", name_of(args.what)));
    }
    let mut temporary = None;
    let root: PathBuf = match &args.data {
        Some(dir) if dir.exists() => {
            return Err(format!("{} is there already: give --data a new directory", dir.display()));
        }
        Some(dir) => dir.clone(),
        None => temporary
            .insert(
                tempfile::Builder::new()
                    .prefix("exchange-drill-")
                    .tempdir()
                    .map_err(|error| format!("cannot make a temporary directory: {error}"))?,
            )
            .path()
            .to_owned(),
    };
    std::fs::create_dir_all(&root).map_err(|error| format!("{}: {error}", root.display()))?;
    let mut scene = Scene::new(args, ack, root)?;
    let mut done = match args.what {
        Disaster::Crash => crash::crash(&mut scene),
        Disaster::Failover => failover::failover(&mut scene),
        Disaster::Outage => outage::outage(&mut scene),
        Disaster::Partition if args.etcd => isolation::isolation(&mut scene),
        Disaster::Partition => partition::partition(&mut scene),
        Disaster::DiskFull => disk_full::disk_full(&mut scene),
        Disaster::SlowDisk => slow_disk::slow_disk(&mut scene),
        Disaster::Storm => storm::storm(&mut scene),
        Disaster::SlowConsumer => slow_consumer::slow_consumer(&mut scene),
    };
    if scene.patience.is_over() {
        // Whatever else it says: the exchanges heard the signal, too.
        done = Err(INTERRUPTED.into());
    }
    scene.say_result(&done);
    done.map_err(|_| match temporary {
        Some(dir) if !scene.patience.is_over() => {
            format!("drill {} failed; its directories are kept in {}", scene.name(), dir.keep().display())
        }
        _ => format!("drill {} failed", scene.name()),
    })
}

/// Waiting, until a signal says that it is enough.
#[derive(Clone)]
struct Patience(Arc<AtomicBool>);

impl Patience {
    /// The first signal ends the drill, with everything put away; the second the process.
    fn new() -> Result<Self, String> {
        let over = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&over))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&over)))
                .map_err(|error| format!("cannot watch signals: {error}"))?;
        }
        Ok(Self(over))
    }

    fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Looks until it is so.
    fn eventually(&self, what: &str, mut is: impl FnMut() -> Result<bool, String>) -> Result<(), String> {
        let begin = Instant::now();
        while !is()? {
            if begin.elapsed() > PATIENCE {
                return Err(format!("waited {} s in vain: {what}", PATIENCE.as_secs()));
            }
            self.pause(LOOK)?;
        }
        Ok(())
    }

    /// Lets so much time pass.
    fn pause(&self, time: Duration) -> Result<(), String> {
        let begin = Instant::now();
        while let Some(left) = time.checked_sub(begin.elapsed()) {
            if self.is_over() {
                return Err(INTERRUPTED.into());
            }
            std::thread::sleep(left.min(PAUSE));
        }
        Ok(())
    }
}

/// What every drill has: its arguments, and what has been found so far.
struct Scene<'a> {
    args: &'a cli::Drill,
    ack: &'static str,
    config: Config,
    config_path: PathBuf,
    /// Those that trade, by session.
    users: Vec<User>,
    root: PathBuf,
    random: Xoshiro256StarStar,
    patience: Patience,
    pretended: Option<Pretended>,
    /// By session: what it was told. After an audit, all of it in one piece.
    told: Vec<Vec<MessageLog>>,
    /// Of the last audit: orders that had been acknowledged until then.
    acknowledged: usize,
    lost: usize,
    duplicated: usize,
    /// By round.
    open_again: Vec<Duration>,
    hashes_equal: bool,
}

impl<'a> Scene<'a> {
    fn new(args: &'a cli::Drill, ack: &'static str, root: PathBuf) -> Result<Self, String> {
        let config_path = root.join("config.toml");
        let text = match args.what {
            Disaster::Storm => storm::config_text(args)?,
            Disaster::SlowConsumer => slow_consumer::config_text()?,
            _ => config_of(&JOURNAL)?.to_string(),
        };
        let config = Config::parse(&text)?;
        let users: Vec<User> = users(&config).into_iter().take(SESSIONS + 1).collect();
        let pretended = match std::env::var(CANARY).as_deref() {
            Err(_) => None,
            Ok("lost") => Some(Pretended::Audit(Canary::Lost)),
            Ok("duplicated") => Some(Pretended::Audit(Canary::Duplicated)),
            Ok("other-state") => Some(Pretended::OtherState),
            Ok("weaker-ack") => Some(Pretended::WeakerAck),
            Ok(other) => return Err(format!("{CANARY}: nothing is called \"{other}\"")),
        };
        std::fs::write(&config_path, text).map_err(|error| format!("{}: {error}", config_path.display()))?;
        let scene = Self {
            args,
            ack,
            config,
            config_path,
            told: vec![Vec::new(); users.len()],
            users,
            root,
            random: Xoshiro256StarStar::seed_from_u64(args.seed),
            patience: Patience::new()?,
            pretended,
            acknowledged: 0,
            lost: 0,
            duplicated: 0,
            open_again: Vec::new(),
            hashes_equal: false,
        };
        scene.say(
            &format!(
                "drill {}: {} rounds, {} orders/s from {SESSIONS} sessions, ack {}{}, seed {}",
                scene.name(),
                args.rounds,
                args.rate,
                scene.ack,
                if args.etcd { ", an etcd decides who leads" } else { "" },
                args.seed
            ),
            json!({
                "event": "drill",
                "drill": scene.name(),
                "rounds": args.rounds,
                "rate": args.rate,
                "ack": scene.ack,
                "etcd": args.etcd,
                "seed": args.seed,
            }),
        );
        Ok(scene)
    }

    fn name(&self) -> &'static str {
        name_of(self.args.what)
    }

    /// How an exchange is run here.
    fn arguments(&self) -> Arguments {
        let ack = if matches!(self.pretended, Some(Pretended::WeakerAck)) { "disk" } else { self.ack };
        Arguments {
            ack,
            status_each: Duration::from_millis(100),
            config: Some(self.config_path.clone()),
            ..Arguments::new(SHARDS)
        }
    }

    /// A moment of the load at which something breaks.
    fn moment(&mut self) -> Duration {
        let share = self.random.random_range(0.5..1.0);
        Duration::from_secs(self.args.seconds).mul_f64(share)
    }

    /// The session that asks, logged in where it was.
    fn asking(&mut self, address: SocketAddr) -> Result<Client, String> {
        self.client(address, ASKING)
    }

    fn client(&mut self, address: SocketAddr, session: usize) -> Result<Client, String> {
        let told = self.told[session].pop().unwrap_or_default();
        let symbol = self.config.instruments.first().ok_or("nothing can be traded")?.symbol;
        Client::come_back(address, &self.users[session], symbol.padded(), told)
    }

    /// The sessions of the load come back, each where it was, and the first of them orders until it is accepted.
    /// Returns when that was, and how many orders were refused before.
    fn come_back(&mut self, address: SocketAddr) -> Result<(Instant, u32), String> {
        let mut accepted = None;
        for session in 0..SESSIONS {
            let mut client = self.client(address, session)?;
            if accepted.is_none() {
                let refused = client.until_accepted()?;
                accepted = Some((Instant::now(), refused));
            }
            self.told[session].push(client.leave());
        }
        accepted.ok_or_else(|| "no session came back".into())
    }

    /// Keeps what the sessions of the load were told.
    fn hear(&mut self, logs: Vec<MessageLog>) -> Result<(), String> {
        if logs.iter().all(|log| log.acknowledged().is_empty()) {
            return Err("the load was not acknowledged a single order, so nothing was drilled".into());
        }
        for (told, log) in self.told.iter_mut().zip(logs) {
            told.push(log);
        }
        Ok(())
    }

    /// Asks for everything again, and counts.
    fn audit(&mut self, address: SocketAddr) -> Result<(), String> {
        let told = std::mem::take(&mut self.told);
        let canary = match self.pretended {
            Some(Pretended::Audit(canary)) => Some(canary),
            _ => None,
        };
        let audited: Audited = audit(address, &self.users, told, canary)?;
        self.acknowledged = audited.orders;
        self.lost += audited.lost;
        self.duplicated += audited.duplicated;
        audited.must_be_whole()?;
        self.told = audited.histories.into_iter().map(|history| vec![history]).collect();
        Ok(())
    }

    /// Says how a round went; `more` is what is particular to the drill.
    fn say_round(&mut self, round: u32, open_again: Duration, more: &str, mut fields: Value) {
        self.open_again.push(open_again);
        let (acknowledged, millis) = (self.acknowledged, millis(open_again));
        fields["event"] = "round".into();
        fields["round"] = round.into();
        fields["acknowledged"] = acknowledged.into();
        fields["open_again_ms"] = millis.into();
        self.say(
            &format!("  round {round}: acknowledged {acknowledged} · open again in {millis} ms{more}"),
            fields,
        );
    }

    fn say(&self, text: &str, fields: Value) {
        if self.args.json {
            say!("{fields}");
        } else {
            say!("{text}");
        }
    }

    /// The last line.
    fn say_result(&self, done: &Result<(), String>) {
        let Self { acknowledged, lost, duplicated, hashes_equal, .. } = *self;
        let (median, maximum) = (median(&self.open_again), self.open_again.iter().max().copied());
        let open = match (median, maximum) {
            (Some(median), Some(maximum)) if self.open_again.len() > 1 => {
                format!(" · open again in {} ms (median; at most {} ms)", millis(median), millis(maximum))
            }
            (Some(one), _) => format!(" · open again in {} ms", millis(one)),
            _ => String::new(),
        };
        let end = match done {
            Ok(()) => "hashes equal".into(),
            Err(error) => format!("FAILED: {error}"),
        };
        self.say(
            &format!("acknowledged {acknowledged} · lost {lost} · duplicated {duplicated}{open} · {end}"),
            json!({
                "event": "result",
                "drill": self.name(),
                "acknowledged": acknowledged,
                "lost": lost,
                "duplicated": duplicated,
                "open_again_ms": median.map(millis),
                "open_again_ms_max": maximum.map(millis),
                "hashes_equal": hashes_equal,
                "failure": done.as_ref().err(),
            }),
        );
    }

    /// The state of a directory, replayed from its start on another number of shards.
    fn replayed(&self, dir: &Path) -> Result<String, String> {
        Ok(self.spoiled(replay_dir(dir, SHARDS_REPLAYED)?.state().to_string()))
    }

    /// A replay's state, if nothing is pretended.
    fn spoiled(&self, state: String) -> String {
        if matches!(self.pretended, Some(Pretended::OtherState)) {
            return "0123456789abcdef".into();
        }
        state
    }
}

fn name_of(what: Disaster) -> &'static str {
    match what {
        Disaster::Failover => "failover",
        Disaster::Crash => "crash",
        Disaster::Outage => "outage",
        Disaster::DiskFull => "disk-full",
        Disaster::SlowDisk => "slow-disk",
        Disaster::Partition => "partition",
        Disaster::Storm => "storm",
        Disaster::SlowConsumer => "slow-consumer",
    }
}

/// The policy that was asked for or is the drill's own, if the drill can mean something under it.
fn ack_of(args: &cli::Drill) -> Result<&'static str, String> {
    const ALL: [&str; 4] = ["memory", "disk", "disk+replica", "two-disks"];
    const REPLICATED: &[&str] = &["disk+replica", "two-disks"];
    let (default, sensible): (&str, &[&str]) = match args.what {
        Disaster::Crash | Disaster::DiskFull | Disaster::Storm | Disaster::SlowConsumer => {
            ("disk", &["memory", "disk"])
        }
        Disaster::Failover if args.etcd => ("disk+replica", REPLICATED),
        Disaster::Failover => ("disk+replica", &ALL),
        Disaster::Outage | Disaster::Partition => ("disk+replica", REPLICATED),
        Disaster::SlowDisk => ("two-disks", REPLICATED),
    };
    let asked = args.ack.as_deref().unwrap_or(default);
    ALL.into_iter().find(|ack| *ack == asked && sensible.contains(ack)).ok_or_else(|| {
        format!(
            "--ack {asked}: drill {} takes {}, where there is something to be seen",
            name_of(args.what),
            sensible.join(" or ")
        )
    })
}

/// The embedded configuration, with other values in its section on the journal.
fn config_of(values: &[(&str, u64)]) -> Result<toml::Table, String> {
    let mut config: toml::Table = config::DEFAULT
        .parse()
        .map_err(|wrong: toml::de::Error| format!("the embedded configuration: {wrong}"))?;
    put(&mut config, "journal", values)?;
    Ok(config)
}

/// Puts other values into a section of a configuration.
fn put(config: &mut toml::Table, section: &str, values: &[(&str, u64)]) -> Result<(), String> {
    let table = config
        .get_mut(section)
        .and_then(toml::Value::as_table_mut)
        .ok_or_else(|| format!("the embedded configuration has no section [{section}]"))?;
    for (key, value) in values {
        let value = i64::try_from(*value).map_err(|wrong| format!("{section}.{key}: {wrong}"))?;
        table.insert((*key).into(), value.into());
    }
    Ok(())
}

/// Of an even number of times, the mean of the two in the middle.
fn median(times: &[Duration]) -> Option<Duration> {
    let mut times = times.to_vec();
    times.sort_unstable();
    let upper = *times.get(times.len() / 2)?;
    let lower = times[(times.len() - 1) / 2];
    Some((lower + upper) / 2)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn must_equal(what: &str, found: &str, expected_of: &str, expected: &str) -> Result<(), String> {
    if found == expected && !found.is_empty() {
        return Ok(());
    }
    Err(format!("the {what} gives state {found}, and the {expected_of} gave {expected}: they must be equal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_has_a_configuration_that_differs_where_it_says() {
        let of =
            |values: &[(&str, u64)]| Config::parse(&config_of(values).unwrap().to_string()).unwrap().journal;
        let (default, other) = (of(&[]), of(&[("reserve_mib", 1_234), ("segment_mib", 32)]));
        assert_eq!((other.reserve_bytes, other.segment_bytes), (1_234 << 20, 32 << 20));
        assert_eq!((other.tail_bytes, of(&JOURNAL).segment_bytes), (default.tail_bytes, 16 << 20));
    }

    #[test]
    fn a_median_lies_in_the_middle() {
        let of = |millis: &[u64]| {
            median(&millis.iter().map(|millis| Duration::from_millis(*millis)).collect::<Vec<_>>())
                .map(super::millis)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some(7));
        assert_eq!(of(&[9, 1]), Some(5));
        assert_eq!(of(&[9, 1, 2]), Some(2));
    }
}
