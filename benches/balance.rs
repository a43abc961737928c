//! What balancing gains and what it costs: arms that differ in `--balance` alone, in turns, in one run.
//!
//! 1. **Layer**: handing a command that does next to nothing to a worker: plain ring, runtime, crossbeam-channel.
//! 2. **No skew**: throughput in a closed loop, and latency at 80% load, of `full` against `off`.
//! 3. **Skew**: latency and finish / span at 80% load, 70/30, Zipf and 90/10 over two shards, in every mode.
//! 4. **Crowd**: one book with twice what it can do for 5 ms, with and without admission control.
//! 5. **Wire**: the exchange itself under a moving hot book, `full` against `off`.
//!
//! `docs/benchmarks.md` says what is in each clock. Two workers, each spinning on a core of its own; where there is no third
//! core, the front has none (`benches::balance::seat` says how, and what that is wrong by).

use std::process::ExitCode;

use benches::{
    args::Args,
    balance::{
        admission::Bounds,
        arms::Arms,
        crowd::{CALM, CROWD},
        layer::{BATCH, Layer},
        paced::{Pace, seed_of},
        quiet::Quiet,
        seat::Layout,
        trial::{CrowdTrial, Trial, WINDOW, crowd_trial, trial},
        wire,
        workload::{BOOKS, SHARDS, Shape, Workload},
    },
    clock::Spread,
    report::Report,
};
use clap::Parser;
use engine::balance::BalanceMode;
use serde_json::json;

/// The command line.
#[derive(Parser, Debug)]
#[command(about = "Balancing: arms in turns; docs/benchmarks.md says more", max_term_width = 110)]
struct Options {
    #[command(flatten)]
    common: Args,
    /// How often each arm runs; 15, or once when quick.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Load of both workers together, of what they can do without pause.
    #[arg(long, value_name = "PART", default_value_t = 0.8)]
    load: f64,
    /// Milliseconds of arrivals in the skewed runs; each is a table of its own.
    #[arg(long, value_name = "MS", value_delimiter = ',', default_value = "2,20")]
    spans: Vec<f64>,
    /// Nanoseconds that a command takes; by default it is measured first.
    #[arg(long, value_name = "NS")]
    service: Option<f64>,
    /// A long command to each so many others, for what a command takes on average; 4, or 1 where the front has no core of
    /// its own, so that its part of the workers' time is smaller.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    long: Option<u32>,
    /// Commands of the hot book under way at most, in the crowd.
    #[arg(long, value_name = "N", default_value_t = 32)]
    window: u64,
    /// How long a new order may wait in the crowd, in microseconds.
    #[arg(long, value_name = "US", default_value_t = 100)]
    sojourn: u64,
    /// Keep disturbed runs, too; they are still counted.
    #[arg(long)]
    keep_all: bool,
    #[command(flatten)]
    wire: wire::WireOptions,
}

fn main() -> ExitCode {
    match Bench::new(Options::parse()).and_then(Bench::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("balance: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Bench {
    options: Options,
    layout: Layout,
    quiet: Quiet,
    report: Report,
    rounds: usize,
    keep_all: bool,
    /// A long command to each so many others.
    long: u32,
    /// What was to be reached, and what was.
    checks: Vec<Check>,
    rejected: usize,
}

struct Check {
    name: String,
    measured: String,
    target: &'static str,
    met: bool,
}

impl Bench {
    fn new(mut options: Options) -> Result<Self, String> {
        options.common = options.common.settled();
        let args = options.common.clone();
        if !(0.01..1.0).contains(&options.load) {
            return Err(format!("--load {}: a part of what the workers can do, as 0.8", options.load));
        }
        let layout = Layout::here(usize::from(SHARDS));
        let rounds = options.rounds.unwrap_or(args.pick(15, 1)).max(1);
        let long = options.long.unwrap_or(if layout == Layout::Own { 4 } else { 1 });
        let report = Report::start(
            "balance",
            &args,
            &format!(
                "{SHARDS} shards, {BOOKS} books of about 160 orders: orders, cancels, reductions, immediate orders, and to \
                 each {} of them a command that looks at its whole book; Poisson arrivals; {rounds} rounds, each with a new runtime \
                 and all arms in turn; {}",
                long,
                layout.name()
            ),
            "wall time from when a command was due (open loop) until the front has taken its first event; closed loop: \
             from the first routed to the last taken. Median [low..high] of the rounds' own values",
        );
        // A debug build or a quick run shows that it works, and judges nothing.
        let keep_all = options.keep_all || args.quick;
        let (quiet, checks) = (Quiet::new(), Vec::new());
        Ok(Self { options, layout, quiet, report, rounds, keep_all, long, checks, rejected: 0 })
    }

    fn run(mut self) -> Result<(), String> {
        let args = self.options.common.clone();
        if args.wants("layer") {
            self.layer();
        }
        if ["no skew", "skew", "crowd"].iter().any(|case| args.wants(case)) {
            let service = match self.options.service {
                Some(service) => service,
                None => self.service(Shape::even(), 2.0)?,
            };
            if args.wants("no skew") {
                self.no_skew(service)?;
            }
            if args.wants("skew") {
                let spans = self.options.spans.clone();
                for span in spans.into_iter().take(args.pick(usize::MAX, 1)) {
                    let span = args.pick(span, span.min(2.0));
                    self.skewed(Shape::zipf(), service, span, 10.0)?;
                    self.skewed(Shape::split("70/30", 0.7), service, span, 10.0)?;
                    self.skewed(Shape::split("90/10", 0.9), service, span, 30.0)?;
                }
            }
            if args.wants("crowd") {
                self.crowd(service)?;
            }
        }
        if args.wants("wire") {
            let checks = wire::run(
                &self.options.wire,
                &args,
                env!("CARGO_TARGET_TMPDIR"),
                self.rounds,
                &mut self.report,
            )?;
            self.checks.extend(checks.into_iter().map(|(name, measured, target, met)| Check {
                name,
                measured,
                target,
                met,
            }));
        }
        self.finish()
    }

    fn check(&mut self, name: impl Into<String>, measured: String, target: &'static str, met: bool) {
        self.checks.push(Check { name: name.into(), measured, target, met });
    }

    /// Part 1.
    fn layer(&mut self) {
        let commands = self.options.common.pick(2_000_000, 20_000);
        println!(
            "\nlayer: {commands} commands that do nothing, published in {BATCH}s, one producer, one worker"
        );
        let mut ns = vec![Vec::new(); Layer::ALL.len()];
        for _ in 0..self.rounds {
            for (layer, ns) in Layer::ALL.iter().zip(&mut ns) {
                ns.push(layer.ns(commands));
            }
        }
        let of = |layer| Layer::ALL.iter().position(|other| *other == layer).map(|at| &ns[at]);
        let above = |these: &[f64], base: Layer| {
            let base = of(base).into_iter().flatten();
            Spread::of(&these.iter().zip(base).map(|(this, base)| this - base).collect::<Vec<_>>())
        };
        println!(
            "{:>26} {:>22} {:>22} {:>22}",
            "", "ns a command", "above the plain ring", "above books alone"
        );
        let mut alone = Vec::new();
        for (layer, ns) in Layer::ALL.into_iter().zip(&ns) {
            let (ring, books) = (above(ns, Layer::Ring), above(ns, Layer::None));
            println!(
                "{:>26} {:>22} {:>22} {:>22}",
                layer.name(),
                text(Spread::of(ns)),
                text(ring),
                text(books)
            );
            self.report.row(json!({
                "case": "layer", "layer": layer.name(), "ns": ns, "above_ring_ns": ring.median,
                "above_books_ns": books.median,
            }));
            alone.push((layer, ring.median, books.median));
        }
        let medians =
            |layer| alone.iter().find(|(other, ..)| *other == layer).map_or((0.0, 0.0), |(_, r, b)| (*r, *b));
        let (_, channel) = medians(Layer::Channel);
        for mode in [BalanceMode::Off, BalanceMode::Full] {
            let (ring, books) = medians(Layer::Runtime(mode));
            // Below half a nanosecond the difference is noise, and a ratio to it says nothing.
            let cheaper = channel / books.max(0.5);
            let name = format!("layer, balance {mode}");
            self.check(
                format!("{name}: above a plain ring"),
                format!("{ring:.1} ns"),
                "<= 5 ns",
                ring <= 5.0,
            );
            self.check(
                format!("{name}: cheaper than a channel"),
                format!("{cheaper:.1} x"),
                ">= 4 x",
                cheaper >= 4.0,
            );
        }
    }

    /// What a command takes of a worker's time, in nanoseconds: both shards, or one, without pause.
    fn service(&mut self, shape: Shape, workers: f64) -> Result<f64, String> {
        let name = shape.name;
        let count = self.options.common.pick(200_000, 1_000);
        let workload = Workload::new(shape, count, self.long, seed_of(self.options.common.seed, 1));
        let alone = workload.alone();
        let layout = self.layout;
        let arms = Arms::run(1, self.rounds, self.keep_all, &mut self.quiet, |_, _, quiet| {
            trial(layout, &workload, BalanceMode::Off, Pace::Closed(WINDOW), quiet)
        })?;
        self.rejected += arms.rejected.len();
        // On a core of its own the front takes nothing from the workers.
        let shared = layout == Layout::Floating;
        let service = arms.spread(0, |trial| trial.service(workers, shared));
        let (rate, front) = (arms.spread(0, Trial::rate), arms.spread(0, |trial| trial.front_share));
        println!(
            "\nservice, {name}: {} ns of a worker's time a command ({alone:.0} ns of processor time for the books alone on one \
             thread); closed loop, {WINDOW} under way, balance off: {:.2} M/s, \
             of which the front had {:.1}% of {SHARDS} cores; rejected: {}",
            text(service),
            rate.median / 1e6,
            front.median * 100.0,
            arms.reasons()
        );
        self.report.row(json!({
            "case": "service", "shape": name, "service_ns": service.median, "books_alone_ns": alone, "per_second": rate.median,
            "front_share": front.median, "rejected": arms.rejected.len(),
        }));
        Ok(service.median)
    }

    /// Part 2.
    fn no_skew(&mut self, service: f64) -> Result<(), String> {
        let count = self.options.common.pick(400_000, 1_000);
        let workload = Workload::new(Shape::even(), count, self.long, seed_of(self.options.common.seed, 2));
        let modes = [BalanceMode::Off, BalanceMode::Full];
        let layout = self.layout;
        println!("\nno skew, throughput: 50/50, {count} commands, closed loop, {WINDOW} under way");
        let arms = Arms::run(2, self.rounds, self.keep_all, &mut self.quiet, |arm, _, quiet| {
            trial(layout, &workload, modes[arm], Pace::Closed(WINDOW), quiet)
        })?;
        let rates = [0, 1].map(|arm| arms.spread(arm, |trial| trial.rate() / 1e6));
        for (mode, rate) in modes.iter().zip(rates) {
            println!("{:>10} {:>28} M/s", mode.name(), text(rate));
        }
        println!("  rejected: {}", arms.reasons());
        self.rejected += arms.rejected.len();
        self.report.row(json!({
            "case": "no skew, throughput", "off_m_per_s": rates[0].median, "full_m_per_s": rates[1].median,
            "rejected": arms.rejected.len(),
        }));
        let ratio = rates[1].median / rates[0].median;
        self.check("no skew: throughput, full / off", format!("{ratio:.3}"), ">= 0.98", ratio >= 0.98);
        let p99 = self.open(Shape::even(), service, 20.0, &modes)?;
        let ratio = p99[1].p99 / p99[0].p99;
        self.check("no skew: p99, full / off", format!("{ratio:.2}"), "<= 1.1", ratio <= 1.1);
        Ok(())
    }

    /// Part 3, of one shape.
    fn skewed(&mut self, shape: Shape, service: f64, span: f64, better: f64) -> Result<(), String> {
        let name = format!("{}, {span} ms", shape.name);
        let heavy = better > 20.0;
        let modes = self.open(shape, service, span, &BalanceMode::ALL)?;
        let (off, full) = (&modes[0], &modes[3]);
        let gain = off.p99 / full.p99;
        let target = if heavy { "off / 30" } else { "off / 10" };
        self.check(format!("{name}: p99"), format!("off / {gain:.1}"), target, gain >= better);
        if heavy {
            let gain = off.finish / full.finish;
            self.check(format!("{name}: throughput"), format!("{gain:.2} x off"), ">= 1.35 x", gain >= 1.35);
        } else {
            let over = full.over;
            self.check(format!("{name}: finish / span"), format!("{over:.3}"), "<= 1.02", over <= 1.02);
        }
        Ok(())
    }

    /// Open loop at the load asked for; what each mode showed.
    fn open(
        &mut self,
        shape: Shape,
        service: f64,
        span: f64,
        modes: &[BalanceMode],
    ) -> Result<Vec<Open>, String> {
        let args = self.options.common.clone();
        let gap = service / (self.options.load * f64::from(SHARDS));
        let count = (args.pick(span, span.min(1.0)) * 1e6 / gap) as usize;
        println!(
            "\n{}: open loop, {count} commands over {span} ms, {:.0}% of two workers at {service:.0} ns",
            shape.name,
            self.options.load * 100.0
        );
        let workload = Workload::new(shape, count, self.long, seed_of(args.seed, 3));
        let layout = self.layout;
        let arms =
            Arms::run(modes.len(), self.rounds, self.keep_all, &mut self.quiet, |arm, round, quiet| {
                // Other arrivals in each round, the same for each arm.
                trial(
                    layout,
                    &workload,
                    modes[arm],
                    Pace::poisson(count, gap, seed_of(args.seed, 100 + round)),
                    quiet,
                )
            })?;
        println!(
            "{:>10} {:>9} {:>22} {:>9} {:>9} {:>18} {:>8} {:>7} {:>9} {:>6} {:>7} {:>7}",
            "balance",
            "p50 us",
            "p99 us",
            "p99.9 us",
            "max us",
            "finish / span",
            "late p99",
            "front",
            "published",
            "moves",
            "steals",
            "stolen"
        );
        let mut all = Vec::new();
        for (arm, mode) in modes.iter().enumerate() {
            let us = |part: usize| arms.spread(arm, |trial| trial.latency[part] as f64 / 1e3);
            let over = arms.spread(arm, Trial::finish_over_span);
            let late = arms.spread(arm, |trial| trial.late_p99 as f64 / 1e3);
            let front = arms.spread(arm, |trial| trial.front_share);
            let sum = |of: fn(&engine::runtime::ShardStats) -> u64| {
                arms.spread(arm, |trial| trial.shards.iter().map(of).sum::<u64>() as f64).median
            };
            let (published, stolen) = (sum(|shard| shard.published), sum(|shard| shard.stolen));
            let moves = arms.spread(arm, |trial| trial.balance.moves as f64).median;
            let steals = arms.spread(arm, |trial| trial.balance.steals as f64).median;
            let starved: u64 = arms.kept[arm].iter().map(|trial| trial.starved).sum();
            let full: u64 = arms.kept[arm].iter().map(|trial| trial.full).sum();
            println!(
                "{:>10} {:>9.1} {:>22} {:>9.1} {:>9.1} {:>18} {:>8.1} {:>6.1}% {published:>9.0} {moves:>6.0} {steals:>7.0} \
                 {stolen:>7.0}",
                mode.name(),
                us(0).median,
                text(us(1)),
                us(2).median,
                us(3).median,
                format!("{:.3} [{:.2}..{:.2}]", over.median, over.low, over.high),
                late.median,
                front.median * 100.0,
            );
            if starved > 0 || full > 0 {
                println!("{:>10} the front starved {starved} times, and found {full} times a ring full", "");
            }
            self.report.row(json!({
                "case": "open loop", "shape": workload.shape.name, "span_ms": span, "balance": mode.name(),
                "commands": count, "service_ns": service, "load": self.options.load,
                "p50_us": us(0).median, "p99_us": us(1).median, "p99_us_low": us(1).low, "p99_us_high": us(1).high,
                "p999_us": us(2).median, "max_us": us(3).median, "finish_over_span": over.median,
                "late_p99_us": late.median, "front_share": front.median, "published": published, "moves": moves,
                "steals": steals, "stolen": stolen, "starved": starved, "rings_full": full,
                "rounds": arms.kept[arm].len(), "rejected": arms.rejected.len(),
            }));
            let finish = arms.spread(arm, |trial| trial.finish as f64).median;
            all.push(Open { p99: us(1).median, over: over.median, finish });
        }
        println!("  rejected: {}", arms.reasons());
        self.rejected += arms.rejected.len();
        Ok(all)
    }

    /// Part 4.
    fn crowd(&mut self, service: f64) -> Result<(), String> {
        let args = self.options.common.clone();
        let hot = match self.options.service {
            Some(service) => service,
            None => self.service(Shape::one(), 1.0)?,
        };
        let calm_gap = service / (0.2 * f64::from(SHARDS));
        let gaps = (hot / 2.0, calm_gap);
        let spare = ((CALM + CROWD + CALM) as f64 / calm_gap * 1.2) as usize + 100;
        let workload = Workload::new(Shape::all_but_one(), spare, self.long, seed_of(args.seed, 4));
        let bounds = Bounds { window: self.options.window, sojourn: self.options.sojourn * 1_000 };
        let arms = [
            ("off, untreated", BalanceMode::Off, Bounds::NONE),
            ("full, untreated", BalanceMode::Full, Bounds::NONE),
            ("off, admission", BalanceMode::Off, bounds),
            ("full, admission", BalanceMode::Full, bounds),
        ];
        println!(
            "\ncrowd: one book gets a request each {:.0} ns for {} ms, twice what it can do, and all others together one each \
             {calm_gap:.0} ns; window {}, sojourn {} us",
            hot / 2.0,
            CROWD / 1_000_000,
            bounds.window,
            self.options.sojourn
        );
        let (layout, long) = (self.layout, self.long);
        let done =
            Arms::run(arms.len(), self.rounds, self.keep_all, &mut self.quiet, |arm, round, quiet| {
                let (_, mode, bounds) = arms[arm];
                crowd_trial(
                    layout,
                    &workload,
                    mode,
                    gaps,
                    bounds,
                    long,
                    seed_of(args.seed, 200 + round),
                    quiet,
                )
            })?;
        println!(
            "{:>16} {:>22} {:>13} {:>13} {:>9} {:>13} {:>20} {:>9} {:>7}",
            "arm",
            "cancels p99 us",
            "p50 us",
            "orders p99 us",
            "refused",
            "calm p99 us",
            "recovery us",
            "sequenced",
            "front"
        );
        for (arm, (name, ..)) in arms.iter().enumerate() {
            let spread = |of: fn(&CrowdTrial) -> f64| done.spread(arm, of);
            let cancels = spread(|t| t.cancels[1] as f64 / 1e3);
            let recovery = spread(|t| t.recovery as f64 / 1e3);
            let median = |of: fn(&CrowdTrial) -> f64| spread(of).median;
            let (p50, orders) = (median(|t| t.cancels[0] as f64 / 1e3), median(|t| t.others[1] as f64 / 1e3));
            let (calm, refused) = (median(|t| t.calm[1] as f64 / 1e3), median(|t| t.refused_share));
            let (sequenced, front) = (median(|t| t.sequenced as f64), median(|t| t.front_share));
            println!(
                "{name:>16} {:>22} {p50:>13.1} {orders:>13.1} {:>8.1}% {calm:>13.1} {:>20} {sequenced:>9.0} {:>6.1}%",
                text(cancels),
                refused * 100.0,
                text(recovery),
                front * 100.0
            );
            self.report.row(json!({
                "case": "crowd", "arm": name, "cancels_p50_us": p50, "cancels_p99_us": cancels.median,
                "orders_p99_us": orders, "refused": refused, "calm_p99_us": calm, "recovery_us": recovery.median,
                "sequenced": sequenced, "front_share": front, "window": bounds.window,
                "sojourn_us": self.options.sojourn, "hot_gap_ns": hot / 2.0, "calm_gap_ns": calm_gap,
                "rounds": done.kept[arm].len(), "rejected": done.rejected.len(),
            }));
            if *name == "full, admission" {
                let (p99, back) = (cancels.median, recovery.median);
                self.check("crowd: cancels' p99", format!("{p99:.1} us"), "<= 10 us", p99 <= 10.0);
                self.check("crowd: recovery", format!("{back:.0} us"), "<= 200 us", back <= 200.0);
            }
        }
        println!("  nothing sequenced was lost (every run is checked); rejected: {}", done.reasons());
        self.rejected += done.rejected.len();
        Ok(())
    }

    /// The table of targets.
    fn finish(mut self) -> Result<(), String> {
        let judged = !self.options.common.quick && !cfg!(debug_assertions);
        println!("\n{:<52} {:>14} {:>12}", "target", "measured", "wanted");
        for Check { name, measured, target, met } in &self.checks {
            let verdict = if !judged {
                "not judged"
            } else if *met {
                "met"
            } else {
                "NOT MET"
            };
            println!("{name:<52} {measured:>14} {target:>12}  {verdict}");
            self.report.row(json!({
                "case": "target", "name": name, "measured": measured, "target": target,
                "met": judged.then_some(*met),
            }));
        }
        println!("\n{} runs were disturbed and thrown away", self.rejected);
        self.report.finish(&self.options.common)
    }
}

/// What the medians of a mode's rounds are.
struct Open {
    p99: f64,
    over: f64,
    finish: f64,
}

fn text(spread: Spread) -> String {
    format!("{:.1} [{:.1}..{:.1}]", spread.median, spread.low, spread.high)
}
