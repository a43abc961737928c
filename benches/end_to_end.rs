//! The exchange as its clients see it, held against an echo server in the same run.
//!
//! 1. **One in flight**: one session asks, waits for the answer, and asks again. In turns: the echo server, the exchange
//!    that acknowledges from memory, the exchange that acknowledges from the disk; once with everybody blocking, once
//!    with everybody spinning. By default the exchange spins for some 2 us before it blocks, which the echo server does
//!    not; a row of its own (`memory, park`) shows it blocking at once.
//! 2. **Pipelined**: four sessions with 64 and with 1,024 requests in flight each, from memory and from the disk.
//! 3. **Open loop**: four sessions at half of what 4 x 64 could do. Latency counts from when a request was due.
//! 4. **FIX**: one session with one request in flight, blocking, on the echo server and on the exchange that acknowledges from
//!    memory; then four sessions pipelined, from memory.
//! 5. **At rest**: processor time and resident memory with 64 books, and memory with 10,000.
//!
//! The client is `loadgen` everywhere, the network is loopback, every server is a process of its own, and every exchange
//! starts on a new data directory. What else the machine did meanwhile is measured and printed with each number.

use std::{
    env, fs,
    path::PathBuf,
    process::{self, ExitCode},
    thread,
    time::Duration,
};

use benches::{
    args::Args,
    clock::{Spread, quantile},
    disk, echo,
    process::{MachineTime, nanos, resident, ticks},
    report::Report,
    servers::{ECHO, Server, Setup, configure, exchange_program, fix_users},
};
use clap::Parser;
use domain::Instrument;
use hdrhistogram::Histogram;
use loadgen::{Mode, Outcome, Protocol, Stop, Version, Wait};
use serde_json::json;
use tempfile::TempDir;

/// Processor time that others may take while a number is measured before it is called noisy.
const NOISY: f64 = 0.05;

/// How the exchange idles unless it is told otherwise.
const DEFAULT_IDLE: &str = "backoff";

/// The command line.
#[derive(Parser, Debug)]
#[command(about = "The exchange against an echo server; docs/benchmarks.md says more", max_term_width = 110)]
struct Options {
    #[command(flatten)]
    common: Args,
    /// Seconds of each measurement; 2, or 0.5 when quick.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// How often each measurement is repeated, in turns; 3, or once when quick.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// The exchange's executable; by default the one beside this benchmark's.
    #[arg(long, value_name = "FILE")]
    exchange: Option<PathBuf>,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).take(2).collect();
    let result = if words.first().is_some_and(|word| word == ECHO) {
        echo::serve(words.get(1).is_some_and(|how| how == "spin"), |address| println!("{address}"))
            .map_err(|error| error.to_string())
    } else {
        run(Options::parse())
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("end_to_end: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut options: Options) -> Result<(), String> {
    options.common = options.common.settled();
    let args = options.common.clone();
    let program = match options.exchange.map_or_else(exchange_program, Ok) {
        // `cargo test --all-targets` starts benchmarks too, and need not have built the exchange.
        Err(error) if !args.bench => {
            println!("end_to_end: not run: {error}");
            return Ok(());
        }
        program => program?,
    };
    if !args.bench && cfg!(debug_assertions) {
        println!("end_to_end: not run: this is a debug build");
        return Ok(());
    }
    let scratch = args.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let config = scratch.path().join("64.toml");
    let instruments = configure(&program, &config, 64)?;
    let seconds = options.seconds.unwrap_or(args.pick(2.0, 0.5));
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| "--seconds: no such time")?;
    let rounds = options.rounds.unwrap_or(args.pick(3, 1)).max(1);
    let report = Report::start(
        "end_to_end",
        &args,
        &format!(
            "loadgen's zipf:1 over 64 books, 48% new orders, 43% cancels, 4% changes, 5% immediate; {rounds} rounds of \
             {seconds} s each, behind 0.3 s of warm-up; loopback; requests of 50, 43 and 12 bytes with their frames, \
             answers of 67, 71 and 21"
        ),
        "from before a request is encoded until the read that holds its answer has returned, on the client; in the \
         open loop from when it was due. One client thread, no think time",
    );
    let mut bench = Bench {
        args,
        program,
        scratch,
        config,
        instruments,
        time,
        rounds,
        report,
        checks: Vec::new(),
        directories: 0,
        protocol: Protocol::Soup,
    };
    if bench.args.wants("one in flight") {
        bench.one_in_flight(Wait::Block)?;
        bench.one_in_flight(Wait::Spin)?;
    }
    if bench.args.wants("pipelined") {
        let (memory, disk) = (bench.pipelined("memory")?, bench.pipelined("disk")?);
        println!("\nopen loop at half of 4 x 64, from when a request was due");
        bench.open_loop("memory", memory / 2.0)?;
        bench.open_loop("disk", disk / 2.0)?;
    }
    if bench.args.wants("fix") {
        bench.protocol = Protocol::Fix { target: "FULCRUM".into(), version: Version::Fix44 };
        bench.fix_one_in_flight()?;
        bench.fix_pipelined()?;
        bench.protocol = Protocol::Soup;
    }
    if bench.args.wants("at rest") {
        bench.at_rest()?;
    }
    bench.finish()
}

struct Bench {
    args: Args,
    program: PathBuf,
    scratch: TempDir,
    /// With 64 instruments.
    config: PathBuf,
    instruments: Vec<Instrument>,
    /// Of one measurement.
    time: Duration,
    rounds: usize,
    report: Report,
    checks: Vec<Check>,
    /// Data directories made so far.
    directories: usize,
    /// What clients speak.
    protocol: Protocol,
}

/// What was to be reached, and what was.
struct Check {
    name: String,
    measured: String,
    target: String,
    /// `None`: it cannot be judged here.
    met: Option<bool>,
}

/// One load run.
struct Measured {
    outcome: Outcome,
    /// Share of the machine's processor time that neither we nor the server had.
    others: f64,
    /// Share that the server had, of one core.
    server: f64,
}

/// One server's rounds.
struct System {
    name: &'static str,
    /// Empty for the echo server.
    ack: &'static str,
    idle: &'static str,
    all: Histogram<u64>,
    /// Of each round, in nanoseconds.
    p50: Vec<f64>,
    others: f64,
}

impl Bench {
    /// Part 1.
    fn one_in_flight(&mut self, wait: Wait) -> Result<(), String> {
        let waiting = if wait == Wait::Spin { "spinning" } else { "blocking" };
        println!("\none in flight, everybody {waiting}");
        let idle = if wait == Wait::Spin { "spin" } else { DEFAULT_IDLE };
        let cases = [
            ("echo", "", ""),
            ("memory", "memory", idle),
            ("disk", "disk", idle),
            ("memory, park", "memory", "park"),
        ];
        let mut systems: Vec<System> = cases
            .into_iter()
            .map(|(name, ack, idle)| System {
                name,
                ack,
                idle,
                all: Histogram::new_with_bounds(1, 600_000_000_000, 3)
                    .expect("the bounds are constants that fit"),
                p50: Vec::new(),
                others: 0.0,
            })
            .take(if wait == Wait::Spin { 3 } else { 4 })
            .collect();
        let (mut floors, mut floor_p50) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            let floor = disk::floor(self.scratch.path(), self.args.pick(500, 50))
                .map_err(|error| format!("cannot measure fdatasync: {error}"))?;
            floor_p50.push(quantile(&floor, 0.5) as f64);
            floors.extend(floor);
            for system in &mut systems {
                let server = match system.ack {
                    "" => Server::echo(wait == Wait::Spin)?,
                    ack => self.exchange(ack, system.idle)?,
                };
                let mode = Mode::ClosedLoop { in_flight: 1 };
                let measured = self.load(&server, mode, 1, wait, round as u64)?;
                let latency = measured.outcome.latency.intended();
                system.p50.push(latency.value_at_quantile(0.5) as f64);
                system.all.add(&latency).map_err(|error| error.to_string())?;
                system.others = system.others.max(measured.others);
                if !system.ack.is_empty() {
                    server.stop()?;
                }
            }
        }
        floors.sort_unstable();
        println!(
            "{:>18} {:>10} {:>10} {:>10} {:>10} {:>8} {:>8}",
            "server", "p50 us", "p99 us", "p99.9 us", "requests", "x echo", "others"
        );
        let [echo, memory, disk, ..] = systems.as_slice() else { unreachable!("there are at least three") };
        for system in &systems {
            let all = &system.all;
            let ratio = ratio(&system.p50, &echo.p50);
            let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|part| us(all.value_at_quantile(part)));
            println!(
                "{:>18} {p50:>10.1} {p99:>10.1} {p999:>10.1} {:>10} {ratio:>8.2} {:>7.0}%",
                system.name,
                all.len(),
                system.others * 100.0
            );
            self.report.row(json!({
                "case": "one in flight", "wait": waiting, "server": system.name, "p50_us": p50, "p99_us": p99,
                "p999_us": p999, "requests": all.len(), "times_echo": ratio, "others": system.others,
                "p50_ns_of_rounds": system.p50,
            }));
        }
        let [f50, f99] = [0.5, 0.99].map(|part| us(quantile(&floors, part)));
        println!("{:>18} {f50:>10.1} {f99:>10.1} {:>10.1}", "fdatasync 4 KiB", us(quantile(&floors, 0.999)));
        self.report
            .row(json!({ "case": "fdatasync floor", "p50_us": f50, "p99_us": f99, "writes": floors.len() }));

        let times = ratio(&memory.p50, &echo.p50);
        // How many syncs the disk adds to the echo, round by round.
        let syncs: Vec<f64> =
            disk.p50.iter().zip(&echo.p50).zip(&floor_p50).map(|((d, e), f)| (d - e) / f).collect();
        let syncs = Spread::of(&syncs).median;
        let p99 = us(disk.all.value_at_quantile(0.99));
        // The client, the server's front and its worker all want a core of their own when they spin, and the disk
        // thread some time on another.
        let judged = wait == Wait::Block || cores() >= 4;
        let mut check = |name: &str, measured: String, target: &str, met: bool| {
            self.checks.push(Check {
                name: format!("one in flight, {waiting}: {name}"),
                measured,
                target: if judged { target.into() } else { format!("{target} (with 4 cores)") },
                met: judged.then_some(met),
            });
        };
        check("memory p50 / echo p50", format!("{times:.2}"), "<= 1.6", times <= 1.6);
        check("disk p50 - echo p50, in fdatasyncs", format!("{syncs:.2}"), "<= 1.4", syncs <= 1.4);
        check("disk p99", format!("{p99:.0} us"), "<= 500 us", p99 <= 500.0);
        Ok(())
    }

    /// Part 2; the throughput of 4 x 64.
    fn pipelined(&mut self, ack: &'static str) -> Result<f64, String> {
        println!("\npipelined, 4 sessions, acknowledged from {ack}");
        println!(
            "{:>10} {:>28} {:>10} {:>10} {:>12} {:>14} {:>8}",
            "in flight", "requests/s", "p50 us", "p99 us", "server cores", "client ns each", "others"
        );
        let mut of_64 = 0.0;
        for in_flight in [64, 1_024] {
            let (mut rates, mut p50, mut p99) = (Vec::new(), Vec::new(), Vec::new());
            let (mut others, mut server_cores, mut client) = (0.0_f64, 0.0_f64, 0.0_f64);
            for round in 0..self.rounds {
                let server = self.exchange(ack, DEFAULT_IDLE)?;
                let mode = Mode::ClosedLoop { in_flight };
                let measured = self.load(&server, mode, 4, Wait::Block, round as u64)?;
                let latency = measured.outcome.latency.intended();
                rates.push(measured.outcome.done_rate());
                p50.push(us(latency.value_at_quantile(0.5)));
                p99.push(us(latency.value_at_quantile(0.99)));
                others = others.max(measured.others);
                server_cores = server_cores.max(measured.server);
                client = client.max(measured.outcome.processor_ns_per_order());
                server.stop()?;
            }
            let rate = Spread::of(&rates);
            let (p50, p99) = (Spread::of(&p50).median, Spread::of(&p99).median);
            println!(
                "{:>10} {:>28} {p50:>10.1} {p99:>10.1} {server_cores:>12.2} {client:>14.0} {:>7.0}%",
                format!("4 x {in_flight}"),
                format!("{:.0} [{:.0}..{:.0}]", rate.median, rate.low, rate.high),
                others * 100.0
            );
            self.report.row(json!({
                "case": "pipelined", "ack": ack, "sessions": 4, "in_flight": in_flight, "per_second": rates,
                "p50_us": p50, "p99_us": p99, "others": others, "server_cores": server_cores,
                "client_ns_per_request": client,
            }));
            let least = match (in_flight, ack) {
                (64, _) => 500_000.0,
                (_, "memory") => 1_200_000.0,
                _ => 1_000_000.0,
            };
            self.checks.push(Check {
                name: format!("pipelined 4 x {in_flight}, {ack}"),
                measured: format!("{:.0}/s", rate.median),
                target: format!(">= {least:.0}/s"),
                met: Some(rate.median >= least),
            });
            if in_flight == 64 {
                of_64 = rate.median;
            }
        }
        Ok(of_64)
    }

    /// Part 3.
    fn open_loop(&mut self, ack: &'static str, rate: f64) -> Result<(), String> {
        let rate = (rate as u64).max(1);
        let server = self.exchange(ack, DEFAULT_IDLE)?;
        let measured = self.load(&server, Mode::OpenLoop { rate }, 4, Wait::Block, 0)?;
        server.stop()?;
        let latency = measured.outcome.latency.intended();
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|part| us(latency.value_at_quantile(part)));
        let late = us(measured.outcome.latency.lateness.value_at_quantile(0.99));
        println!(
            "{ack:>18} {rate:>8}/s  p50 {p50:.1}  p99 {p99:.1}  p99.9 {p999:.1} us;  sent {:.0}/s, the client late by \
             {late:.1} us at its p99; others {:.0}%",
            measured.outcome.sent_rate(),
            measured.others * 100.0
        );
        self.report.row(json!({
            "case": "open loop", "ack": ack, "rate": rate, "sent_per_second": measured.outcome.sent_rate(),
            "p50_us": p50, "p99_us": p99, "p999_us": p999, "client_late_p99_us": late, "others": measured.others,
        }));
        Ok(())
    }

    /// Part 4, one in flight.
    fn fix_one_in_flight(&mut self) -> Result<(), String> {
        println!(
            "\nFIX 4.4, one in flight, everybody blocking; requests of about 160 to 200 bytes, answers of about 210"
        );
        println!(
            "{:>18} {:>10} {:>10} {:>10} {:>8} {:>8}",
            "server", "p50 us", "p99 us", "requests", "x echo", "others"
        );
        let mode = Mode::ClosedLoop { in_flight: 1 };
        let mut p50 = [Vec::new(), Vec::new()];
        let mut lines = Vec::new();
        for round in 0..self.rounds {
            for (is_exchange, p50) in p50.iter_mut().enumerate() {
                let server = if is_exchange == 0 {
                    Server::echo(false)?
                } else {
                    self.exchange("memory", DEFAULT_IDLE)?
                };
                let measured = self.load(&server, mode, 1, Wait::Block, round as u64)?;
                let latency = measured.outcome.latency.intended();
                p50.push(latency.value_at_quantile(0.5) as f64);
                lines.push((is_exchange, latency, measured.others));
                if is_exchange == 1 {
                    server.stop()?;
                }
            }
        }
        let times = ratio(&p50[1], &p50[0]);
        for (is_exchange, latency, others) in lines {
            let (name, ratio) = if is_exchange == 0 { ("echo", 1.0) } else { ("memory", times) };
            let [p50, p99] = [0.5, 0.99].map(|part| us(latency.value_at_quantile(part)));
            println!(
                "{name:>18} {p50:>10.1} {p99:>10.1} {:>10} {ratio:>8.2} {:>7.0}%",
                latency.len(),
                others * 100.0
            );
            self.report.row(json!({
                "case": "fix, one in flight", "server": name, "p50_us": p50, "p99_us": p99,
                "requests": latency.len(), "times_echo": ratio, "others": others,
            }));
        }
        self.checks.push(Check {
            name: "FIX, one in flight, blocking: memory p50 / echo p50".into(),
            measured: format!("{times:.2}"),
            target: "<= 1.7".into(),
            met: Some(times <= 1.7),
        });
        Ok(())
    }

    /// Part 4, pipelined.
    fn fix_pipelined(&mut self) -> Result<(), String> {
        println!("\nFIX 4.4, pipelined, 4 sessions, acknowledged from memory");
        let mut best = 0.0_f64;
        for in_flight in [64, 1_024] {
            let (mut rates, mut client, mut others) = (Vec::new(), 0.0_f64, 0.0_f64);
            for round in 0..self.rounds {
                let server = self.exchange("memory", DEFAULT_IDLE)?;
                let mode = Mode::ClosedLoop { in_flight };
                let measured = self.load(&server, mode, 4, Wait::Block, round as u64)?;
                rates.push(measured.outcome.done_rate());
                client = client.max(measured.outcome.processor_ns_per_order());
                others = others.max(measured.others);
                server.stop()?;
            }
            let rate = Spread::of(&rates);
            best = best.max(rate.median);
            println!(
                "{:>10} {:.0}/s [{:.0}..{:.0}], the client {client:.0} ns each; others {:.0}%",
                format!("4 x {in_flight}"),
                rate.median,
                rate.low,
                rate.high,
                others * 100.0
            );
            self.report.row(json!({
                "case": "fix, pipelined", "sessions": 4, "in_flight": in_flight, "per_second": rates,
                "client_ns_per_request": client, "others": others,
            }));
        }
        self.checks.push(Check {
            name: "FIX, pipelined, memory".into(),
            measured: format!("{best:.0}/s"),
            target: ">= 200000/s".into(),
            met: Some(best >= 200_000.0),
        });
        Ok(())
    }

    /// Part 5.
    fn at_rest(&mut self) -> Result<(), String> {
        println!("\nat rest, no client");
        let time = Duration::from_secs(self.args.pick(5, 1));
        let server = self.exchange("disk", DEFAULT_IDLE)?;
        // Segments are still being made ready.
        thread::sleep(time);
        let before = (nanos(server.pid()), ticks(server.pid()));
        thread::sleep(time);
        let after = (nanos(server.pid()), ticks(server.pid()));
        let used = match (before.0, after.0) {
            (Some(before), Some(after)) => after.saturating_sub(before) as f64,
            // A tick is a hundredth of a second wherever Linux runs.
            _ => (after.1 - before.1) as f64 * 1e7,
        };
        let percent = used / time.as_nanos() as f64 * 100.0;
        let small = resident(server.pid(), &server.journal_dirs())?;
        server.stop()?;
        let config = self.scratch.path().join("10000.toml");
        configure(&self.program, &config, 10_000)?;
        let usual = std::mem::replace(&mut self.config, config);
        let server = self.exchange("disk", DEFAULT_IDLE)?;
        let large = resident(server.pid(), &server.journal_dirs())?;
        let started_in = server.started_in;
        server.stop()?;
        self.config = usual;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!("  64 books: {percent:.3}% of one core over {} s", time.as_secs());
        for (books, resident) in [(64, small), (10_000, large)] {
            let (rest, files) = (mib(resident.rest), mib(resident.files));
            println!(
                "  {books} books: {rest:.1} MiB resident beside mapped journal files, {files:.1} MiB of those"
            );
            let most = if books == 64 { 64.0 } else { 512.0 };
            self.report
                .row(json!({ "case": "resident", "books": books, "beside_mib": rest, "mapped_mib": files }));
            self.checks.push(Check {
                name: format!("resident beside mappings, {books} books"),
                measured: format!("{rest:.1} MiB"),
                target: format!("< {most:.0} MiB"),
                met: Some(rest < most),
            });
        }
        println!(
            "  10000 books: ready {:.2} s behind the start on a new directory",
            started_in.as_secs_f64()
        );
        self.report.row(json!({
            "case": "idle", "books": 64, "percent_of_a_core": percent, "seconds": time.as_secs(),
            "ready_with_10000_books_s": started_in.as_secs_f64(),
        }));
        self.checks.push(Check {
            name: "idle, 64 books".into(),
            measured: format!("{percent:.3}% of a core"),
            target: "<= 2%".into(),
            met: Some(percent <= 2.0),
        });
        Ok(())
    }

    /// An exchange on a new directory that has come to rest.
    fn exchange(&mut self, ack: &str, idle: &str) -> Result<Server, String> {
        self.directories += 1;
        let data = self.scratch.path().join(format!("data-{}", self.directories));
        fs::create_dir(&data).map_err(|error| format!("cannot make {}: {error}", data.display()))?;
        let setup = Setup { program: &self.program, config: &self.config, data: &data, ack, idle, more: &[] };
        let server = Server::exchange(&setup)?;
        // The journal makes its next segment ready meanwhile.
        thread::sleep(Duration::from_millis(self.args.pick(1_500, 300)));
        Ok(server)
    }

    /// Warms up, and measures.
    fn load(
        &self,
        server: &Server,
        mode: Mode,
        sessions: usize,
        wait: Wait,
        round: u64,
    ) -> Result<Measured, String> {
        let mut config = loadgen::Config::new(server.address, self.instruments.clone());
        if self.protocol != Protocol::Soup {
            config.target = server.fix.ok_or("the server does not listen for FIX")?;
            config.users = fix_users();
            config.protocol = self.protocol.clone();
        }
        config.sessions = sessions;
        config.mode = mode;
        config.wait = wait;
        config.clean_up = false;
        config.seed = self.args.seed + round;
        config.stop = Stop::After(Duration::from_millis(300));
        let say = |error: loadgen::LoadError| error.to_string();
        loadgen::run(&config, &mut ()).map_err(say)?;
        config.stop = Stop::After(self.time);
        let own = process::id();
        let before = (MachineTime::now(), ticks(own), ticks(server.pid()));
        let outcome = loadgen::run(&config, &mut ()).map_err(say)?;
        let after = (MachineTime::now(), ticks(own), ticks(server.pid()));
        for warning in &outcome.warnings {
            println!("  warning: {warning}");
        }
        let total = (after.0.total - before.0.total).max(1) as f64;
        let served = (after.2 - before.2) as f64;
        let ours = (after.1 - before.1) as f64 + served;
        let busy = (after.0.busy - before.0.busy) as f64;
        // The two are counted apart, a tick here or there.
        let others = ((busy - ours) / total).max(0.0);
        Ok(Measured { outcome, others, server: served / total * cores() as f64 })
    }

    /// The table of targets.
    fn finish(mut self) -> Result<(), String> {
        println!("\n{:<66} {:>18} {:>24}", "target", "measured", "wanted");
        for Check { name, measured, target, met } in &self.checks {
            let verdict = match met {
                Some(true) => "met",
                Some(false) => "NOT MET",
                None => "not judged",
            };
            println!("{name:<66} {measured:>18} {target:>24}  {verdict}");
            self.report.row(json!({
                "case": "target", "name": name, "measured": measured, "target": target, "met": met,
            }));
        }
        println!(
            "\nnumbers beside more than {:.0}% of others are noisy: say so when they are told",
            NOISY * 100.0
        );
        self.report.finish(&self.args)
    }
}

/// The median of the rounds' own ratios.
fn ratio(of: &[f64], to: &[f64]) -> f64 {
    let ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| of / to).collect();
    Spread::of(&ratios).median
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn us(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}
