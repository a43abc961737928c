//! `exchange demo`: everything at once, and the proof that it holds.
//!
//! First the same load on an exchange that balances and on one that does not ([`compare`]). Then load, a SIGKILL in the middle of it, a recovery, an audit of every acknowledged order over the wire, more load, a
//! clean stop; then the state hashes of the live run, of a replay on another number of shards, and of another
//! recovery, which must be the same. Anything that disagrees ends it with an error.

mod compare;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use client::soup::MessageLog;
use loadgen::{LoadError, Mode, Outcome, Profile, Progress, Snapshot, Source, Stop};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;
use serde_json::Value;

use crate::{
    audit::{Audited, audit},
    child::{Arguments, Exchange},
    cli,
    config::Config,
    load::{micros, users},
    replay::replay_dir,
    say::say,
};

/// Sessions of the load.
const SESSIONS: usize = 4;

/// Shows the load as it runs, with what the exchange says of its shards.
struct Live {
    status: Arc<Mutex<Value>>,
    before: Vec<u64>,
}

impl Progress for Live {
    fn snapshot(&mut self, snapshot: &Snapshot) {
        let status = self.status.lock().map(|status| status.clone()).unwrap_or_default();
        let done: Vec<u64> = status["shards"]
            .as_array()
            .map(|shards| shards.iter().filter_map(|shard| shard["commands"].as_u64()).collect())
            .unwrap_or_default();
        self.before.resize(done.len(), 0);
        let loads: Vec<u64> =
            done.iter().zip(&self.before).map(|(now, before)| now.saturating_sub(*before)).collect();
        self.before = done;
        let whole = loads.iter().sum::<u64>().max(1);
        let bars: Vec<String> = loads
            .iter()
            .enumerate()
            .map(|(shard, load)| {
                format!("shard {shard} {:<10} {:>3}%", bar(load * 10 / whole), load * 100 / whole)
            })
            .collect();
        say!(
            "  {:4.1} s  {:>8.0} orders/s   p50 {:>9}  p99 {:>9}   {}",
            snapshot.elapsed.as_secs_f64(),
            snapshot.rate,
            micros(snapshot.p50),
            micros(snapshot.p99),
            bars.join("  "),
        );
    }
}

fn bar(tenths: u64) -> String {
    "#".repeat(usize::try_from(tenths.min(10)).unwrap_or(10))
}

/// The command.
pub(crate) fn demo(args: &cli::Demo) -> Result<(), String> {
    let temporary;
    let root: PathBuf = match &args.data {
        Some(dir) => dir.clone(),
        None => {
            temporary = tempfile::Builder::new()
                .prefix("exchange-demo-")
                .tempdir()
                .map_err(|error| format!("cannot make a temporary directory: {error}"))?;
            temporary.path().to_owned()
        }
    };
    let data = root.join("data");
    if data.exists() {
        return Err(format!("{} is there already: give --data a new directory", data.display()));
    }
    // The report outlives the temporary directory.
    let report = match &args.data {
        Some(dir) => dir.join("report"),
        None => std::env::temp_dir().join(format!("exchange-demo-report-{}", std::process::id())),
    };
    let profile: Profile = args.profile.parse().map_err(|error| format!("--profile: {error}"))?;
    let config = Config::load(None)?;
    compare::compare(args, &config, &root)?;
    say!(
        "Now an exchange on {} shards, journal synced to disk before any answer, and {} orders/s from {SESSIONS} sessions \
         ({profile}, seed {}).\n",
        args.shards,
        args.rate,
        args.seed
    );

    say!("2. Load, and a kill without warning in the middle of it");
    let exchange = Exchange::start(&data, &Arguments::new(args.shards))?;
    let logs = load_until_killed(args, &config, profile, exchange)?;
    let acknowledged: usize = logs.iter().map(|log| log.acknowledged().len()).sum();
    say!("  killed. {acknowledged} orders had been acknowledged to their sessions.\n");

    say!("3. Recovery, and an audit over the wire");
    let exchange = Exchange::start(&data, &Arguments::new(args.shards))?;
    let recovered = exchange.recovered.clone();
    say!(
        "  recovered {} commands in {:.3} s, state {}",
        recovered["commands"],
        recovered["seconds"].as_f64().unwrap_or_default(),
        text(&recovered["state"]),
    );
    let other = args.shards + 1;
    let replayed = replay_dir(&data, other)?.state().to_string();
    must_equal("replay after the kill", &replayed, "recovery", text(&recovered["state"]))?;
    say!("  a replay on {other} shards gives the same state");
    let told = logs.into_iter().map(|log| vec![log]).collect();
    let audited = audit(exchange.address, &users(&config)[..SESSIONS], told, None)?;
    audited.must_be_whole()?;
    say!(
        "  every one of the {} acknowledged orders is there exactly once; {} messages, no gap, none changed\n",
        audited.orders,
        audited.messages
    );

    say!("4. More load, on the exchange that was killed");
    let outcome = run_load(args, &config, profile, &exchange, Some(report.clone()), args.seed + 1)?
        .map_err(|error| error.to_string())?;
    let stopped = exchange.stop()?;
    let live = text(&stopped["state"]);
    say!("  stopped: {} commands in all, state {live}\n", stopped["last_sequence"]);

    say!("5. The same state, three ways");
    let replay = replay_dir(&data, other)?;
    let replayed = replay.state().to_string();
    say!(
        "  live, {} shards      {live}\n  replay, {other} shards    {replayed}   ({} commands in {:.2} s)",
        args.shards,
        replay.commands,
        replay.seconds
    );
    must_equal("replay", &replayed, "live", live)?;
    let again = Exchange::start(&data, &Arguments::new(args.shards))?;
    let recovered = text(&again.recovered["state"]).to_owned();
    say!("  recovery, {} shards  {recovered}\n", args.shards);
    must_equal("recovery", &recovered, "live", live)?;
    again.stop()?;

    summary(args, &audited, &outcome, &report, &data);
    Ok(())
}

fn summary(args: &cli::Demo, audited: &Audited, outcome: &Outcome, report: &Path, data: &Path) {
    say!(
        "acknowledged before the kill {} · lost {} · duplicated {} · hashes equal\n\
         {:.0} orders/s, open loop: p50 {}, p99 {}, p99.9 {} from the intended send time",
        audited.orders,
        audited.lost,
        audited.duplicated,
        outcome.done_rate(),
        micros(outcome.latency.intended().value_at_quantile(0.5)),
        micros(outcome.latency.intended().value_at_quantile(0.99)),
        micros(outcome.latency.intended().value_at_quantile(0.999)),
    );
    for warning in &outcome.warnings {
        say!("note: {warning}");
    }
    say!("report: {}", report.join("report.html").display());
    if args.data.is_some() {
        say!("data:   {} (try `exchange journal info --data` on it)", data.display());
    }
}

/// Runs load, and kills the exchange at a moment that the seed decides. Gives what each session had been told.
fn load_until_killed(
    args: &cli::Demo,
    config: &Config,
    profile: Profile,
    exchange: Exchange,
) -> Result<Vec<MessageLog>, String> {
    let whole = Duration::from_secs(args.seconds);
    let share = Xoshiro256StarStar::seed_from_u64(args.seed).random_range(0.5..0.9);
    let (killed, address, status) = {
        let mut exchange = exchange;
        let (address, status) = (exchange.address, Arc::clone(&exchange.status));
        let killed = std::thread::Builder::new()
            .name("killer".into())
            .spawn(move || {
                std::thread::sleep(whole.mul_f64(share));
                exchange.kill()
            })
            .map_err(|error| format!("no thread for the kill: {error}"))?;
        (killed, address, status)
    };
    let load = load_config(args, config, profile, address, None, args.seed);
    let result = loadgen::run(&load, &mut Live { status, before: Vec::new() });
    killed.join().map_err(|_| "the killer died")??;
    match result {
        Err(LoadError::Interrupted { partial, .. }) => Ok(partial.logs),
        Err(error) => Err(format!("load: {error}")),
        Ok(_) => Err("the load ended before the kill".into()),
    }
}

fn run_load(
    args: &cli::Demo,
    config: &Config,
    profile: Profile,
    exchange: &Exchange,
    report: Option<PathBuf>,
    seed: u64,
) -> Result<Result<Outcome, LoadError>, String> {
    let load = load_config(args, config, profile, exchange.address, report, seed);
    Ok(loadgen::run(&load, &mut Live { status: Arc::clone(&exchange.status), before: Vec::new() }))
}

fn load_config(
    args: &cli::Demo,
    config: &Config,
    profile: Profile,
    address: std::net::SocketAddr,
    report: Option<PathBuf>,
    seed: u64,
) -> loadgen::Config {
    let mut load = loadgen::Config::new(address, config.instruments.clone());
    load.users = users(config);
    load.sessions = SESSIONS;
    load.source = Source::Profile(profile);
    load.mode = Mode::OpenLoop { rate: args.rate };
    load.stop = Stop::After(Duration::from_secs(args.seconds));
    load.seed = seed;
    // What rests stays: the state that is compared at the end shall not be an empty one.
    load.clean_up = false;
    load.keep_log = true;
    load.report = report;
    load.cancel = Arc::new(AtomicBool::new(false));
    load
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
