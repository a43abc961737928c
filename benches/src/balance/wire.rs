//! The exchange itself, with two shards, under a hot book that is another one every so often: `full` against `off`.
//!
//! Each arm is a process of its own on a new data directory, driven over loopback by `loadgen` in an open loop.

use std::{fs, path::PathBuf, process, thread, time::Duration};

use clap::Args as ClapArgs;
use engine::balance::BalanceMode;
use hdrhistogram::Histogram;
use loadgen::{Mode, Outcome, Profile, Source, Stop};
use serde_json::json;

use crate::{
    args::Args,
    clock::Spread,
    process::{MachineTime, ticks},
    report::Report,
    servers::{Server, Setup, configure, exchange_program},
};

/// How many books.
const BOOKS: u32 = 64;
/// A round is thrown away when others had more than this part of the machine.
const NOISY: f64 = 0.05;
/// How often a noisy round is repeated.
const REPEATS: usize = 3;

/// How the wire part is run.
#[derive(ClapArgs, Clone, Debug)]
pub struct WireOptions {
    /// Wire: the exchange's executable; by default the one beside this benchmark's.
    #[arg(long, value_name = "FILE")]
    exchange: Option<PathBuf>,
    /// Wire: where the load goes, as `exchange load` takes it.
    #[arg(long, value_name = "PROFILE", default_value = "hot:80%,hot-swap:100ms")]
    profile: String,
    /// Wire: requests a second.
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    rate: u64,
    /// Wire: seconds of each run; 3, or 0.3 when quick.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
}

/// A target: its name, what was measured, what was wanted, whether it was met.
pub type Target = (String, String, &'static str, bool);

/// One run.
struct Measured {
    /// By percentile: 50, 99, 99.9, in microseconds.
    us: [f64; 3],
    late: f64,
    others: f64,
}

/// Runs both modes in turns.
///
/// # Errors
/// When an exchange does not start, or the load does not run.
pub fn run(
    options: &WireOptions,
    args: &Args,
    scratch_dir: &str,
    rounds: usize,
    report: &mut Report,
) -> Result<Vec<Target>, String> {
    let program = match options.exchange.clone().map_or_else(exchange_program, Ok) {
        // `cargo test --benches` starts benchmarks too, and need not have built the exchange.
        Err(error) if !args.bench => {
            println!("\nwire: not run: {error}");
            return Ok(Vec::new());
        }
        program => program?,
    };
    let profile: Profile =
        options.profile.parse().map_err(|error: loadgen::ProfileError| error.to_string())?;
    let seconds = options.seconds.unwrap_or(args.pick(3.0, 0.3));
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| "--seconds: no such time")?;
    let rounds = rounds.min(args.pick(5, 1));
    let rate = args.pick(options.rate, options.rate.min(20_000));
    println!(
        "\nwire: {profile} over {BOOKS} books, {rate} requests/s in an open loop from 4 sessions, {seconds} s a run, {rounds} \
         rounds; the exchange with 2 shards, acknowledging from memory; client and exchange share the machine"
    );
    let scratch = args.scratch(scratch_dir)?;
    let config = scratch.path().join("books.toml");
    let instruments = configure(&program, &config, BOOKS)?;
    let modes = [BalanceMode::Off, BalanceMode::Full];
    let mut kept = [Vec::new(), Vec::new()];
    let mut rejected = 0;
    for round in 0..rounds {
        for arm in [round % 2, (round + 1) % 2] {
            for repeat in 0..=REPEATS {
                let data = scratch.path().join(format!("data-{round}-{arm}-{repeat}"));
                fs::create_dir(&data).map_err(|error| format!("cannot make {}: {error}", data.display()))?;
                let more = ["--shards", "2", "--balance", modes[arm].name()];
                let setup = Setup {
                    program: &program,
                    config: &config,
                    data: &data,
                    ack: "memory",
                    idle: "backoff",
                    more: &more,
                };
                let server = Server::exchange(&setup)?;
                let mut load = loadgen::Config::new(server.address, instruments.clone());
                load.sessions = 4;
                load.source = Source::Profile(profile);
                load.mode = Mode::OpenLoop { rate };
                load.clean_up = false;
                load.seed = args.seed + round as u64;
                let measured = measure(&server, &mut load, time)?;
                server.stop()?;
                if measured.others <= NOISY || args.quick {
                    kept[arm].push(measured);
                    break;
                }
                rejected += 1;
            }
        }
    }
    if kept.iter().any(Vec::is_empty) {
        return Err(format!(
            "wire: every run of an arm was noisy: others had more than {:.0}%",
            NOISY * 100.0
        ));
    }
    println!("{:>10} {:>24} {:>24} {:>24} {:>14}", "balance", "p50 us", "p99 us", "p99.9 us", "late p99 us");
    let mut p99 = Vec::new();
    for (mode, runs) in modes.iter().zip(&kept) {
        let spread = |of: &dyn Fn(&Measured) -> f64| Spread::of(&runs.iter().map(of).collect::<Vec<_>>());
        let us = [0, 1, 2].map(|part| spread(&|run| run.us[part]));
        let late = spread(&|run| run.late);
        let text = |s: Spread| format!("{:.0} [{:.0}..{:.0}]", s.median, s.low, s.high);
        println!(
            "{:>10} {:>24} {:>24} {:>24} {:>14.0}",
            mode.name(),
            text(us[0]),
            text(us[1]),
            text(us[2]),
            late.median
        );
        report.row(json!({
            "case": "wire", "balance": mode.name(), "profile": options.profile, "rate": rate, "whose": WHOSE,
            "p50_us": us[0].median, "p99_us": us[1].median, "p999_us": us[2].median, "late_p99_us": late.median,
            "rounds": runs.len(), "rejected": rejected,
        }));
        p99.push(us[1].median);
    }
    println!("  whose latency: {WHOSE}; rejected: {rejected} x others had more than {:.0}%", NOISY * 100.0);
    let ratio = p99[1] / p99[0];
    Ok(vec![(format!("wire: p99 of {WHOSE}, full / off"), format!("{ratio:.2}"), "< 1", ratio < 1.0)])
}

/// Warms up, and measures.
fn measure(server: &Server, load: &mut loadgen::Config, time: Duration) -> Result<Measured, String> {
    let say = |error: loadgen::LoadError| error.to_string();
    // The journal makes its next segment ready meanwhile.
    thread::sleep(Duration::from_millis(300));
    load.stop = Stop::After(Duration::from_millis(300));
    loadgen::run(load, &mut ()).map_err(say)?;
    load.stop = Stop::After(time);
    let own = process::id();
    let used = |server: &Server| ticks(own) + ticks(server.pid());
    let before = (MachineTime::now(), used(server));
    let outcome = loadgen::run(load, &mut ()).map_err(say)?;
    let after = (MachineTime::now(), used(server));
    let total = (after.0.total - before.0.total).max(1) as f64;
    let busy = (after.0.busy - before.0.busy) as f64;
    let others = ((busy - (after.1 - before.1) as f64) / total).max(0.0);
    let us = |nanos: u64| nanos as f64 / 1e3;
    let watched = watched(&outcome);
    Ok(Measured {
        us: [0.5, 0.99, 0.999].map(|part| us(watched.value_at_quantile(part))),
        late: us(outcome.latency.lateness.value_at_quantile(0.99)),
        others,
    })
}

/// Whose latency [`watched`] is.
const WHOSE: &str = "books that are not hot";

/// The latencies that the arms are held against each other by, from when a request was due. Under a profile that names no
/// hot book these are all.
fn watched(outcome: &Outcome) -> Histogram<u64> {
    outcome.latency.others.clone()
}
