//! Order books: nanoseconds, instructions and bytes, on interleaved lifetimes and on a flow shaped on real equities.
//!
//! `docs/benchmarks.md` has what is inside each clock. A workload is made or read, checked against a slow matcher, and
//! played: once to hear every fill, then in turns without and with orders of rare types in the hot books.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use benches::{
    args::Args,
    clock::{Spread, ns_each},
    passes::{Arm, BATCH, footprint},
    report::Report,
    workload::{Flow, Workload, equity, interleaved, rare},
};
use clap::Parser;
use engine::runtime::{cores, pin_current_thread};
use serde_json::json;

/// The command line.
#[derive(Parser, Debug)]
#[command(about = "Order books on interleaved flow; docs/benchmarks.md says more", max_term_width = 110)]
struct Options {
    #[command(flatten)]
    common: Args,
    /// A PWL1 file to play instead of what is made here; may be repeated. $PWL, paths with colons between, does the
    /// same.
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Commands of a workload that is made here; 10,000,000, or 20,000 when quick.
    #[arg(long, value_name = "N")]
    commands: Option<usize>,
    /// Writes the workloads as PWL1 files there, for other engines to play, and does nothing else.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// Counts instructions instead of time, with valgrind's callgrind; use few commands.
    #[arg(long)]
    instructions: bool,
    /// In a process of its own: plays the file, and prints the books' resident bytes.
    #[arg(long, hide = true)]
    footprint: bool,
    /// Below valgrind: plays the file once.
    #[arg(long, hide = true)]
    once: bool,
}

/// A workload before it is there.
enum Source {
    File(PathBuf),
    Interleaved(u32),
    Equity(u32),
}

impl Source {
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            Self::Interleaved(books) => format!("interleaved-{books}"),
            Self::Equity(books) => format!("equity-{books}"),
        }
    }

    fn workload(&self, commands: usize, seed: u64) -> Result<Workload, String> {
        match self {
            Self::File(path) => Workload::read(path),
            Self::Interleaved(books) => Ok(interleaved::make(*books, commands, seed)),
            Self::Equity(books) => Ok(equity::make(*books, commands, seed)),
        }
    }
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    options.common = options.common.settled();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let args = &options.common;
    let mut files = options.file.clone();
    if let Some(paths) = env::var_os("PWL") {
        files.extend(env::split_paths(&paths));
    }
    if options.footprint {
        println!("{}", footprint(files.first().ok_or("no file")?)?);
        return Ok(());
    }
    let sources: Vec<Source> = if files.is_empty() {
        let few = if args.bench { 1_000 } else { 100 };
        let interleaved = [1, 1_000, 10_000].map(Source::Interleaved);
        let all = interleaved.into_iter().chain([1, few].map(Source::Equity));
        // Tests run it too, unoptimised: a few books show that it works.
        all.filter(|source| args.bench || !matches!(source, Source::Interleaved(10_000))).collect()
    } else {
        files.into_iter().map(Source::File).collect()
    };
    let sources: Vec<Source> = sources.into_iter().filter(|source| args.wants(&source.name())).collect();
    let commands = options.commands.unwrap_or(args.pick(10_000_000, 20_000));
    if let Some(directory) = &options.write {
        for source in &sources {
            let path = directory.join(format!("{}.pwl", source.name()));
            source.workload(commands, args.seed)?.write(&path)?;
            println!("{}", path.display());
        }
        return Ok(());
    }
    if options.once {
        for source in &sources {
            let flow = source.workload(commands, args.seed)?.checked()?;
            Arm { flow: &flow, rare_in: &[] }.profiled();
        }
        return Ok(());
    }
    if options.instructions {
        return sources.iter().try_for_each(|source| count_instructions(source, options, commands));
    }
    measure(&sources, args, commands)
}

fn measure(sources: &[Source], args: &Args, commands: usize) -> Result<(), String> {
    let repeats = args.pick(5, 1);
    let mut report = Report::start(
        "book",
        args,
        &format!(
            "see docs/benchmarks.md; a workload made here has {commands} commands; \"rare\": {} stops, icebergs and \
             hidden orders each in the {} hottest books, never reached",
            rare::EACH,
            rare::HOT
        ),
        &format!(
            "this thread's processor time over making commands of records and applying them in batches of {BATCH}, with \
             all events into a list; \"make\" is making alone; median [low..high] of {repeats}, arms in turns, each on \
             new books; \"one\" is the wall time of single commands, less the clock's own"
        ),
    );
    let core = pin_current_thread(cores().last().copied());
    println!("  pin:      {core}\n");
    println!(
        "{:<18} {:>8} {:>8} {:>20} {:>20} {:>7} {:>17} {:>20} {:>9} {:>9}  fills",
        "workload",
        "books",
        "resting",
        "ns/command",
        "with rare",
        "rare",
        "make",
        "one p50/99/99.9",
        "MiB",
        "trades"
    );
    for source in sources {
        let workload = source.workload(commands, args.seed)?;
        let bytes = books_bytes(source, &workload, args)?;
        let flow = workload.checked()?;
        measure_one(&source.name(), &flow, repeats, bytes, &mut report);
    }
    report.finish(args)
}

fn measure_one(name: &str, flow: &Flow, repeats: usize, bytes: u64, report: &mut Report) {
    let hot = rare::hot_books(&flow.workload);
    let (plain, rare) = (Arm { flow, rare_in: &[] }, Arm { flow, rare_in: &hot });
    let count = flow.workload.commands.len() as u64;
    let heard = plain.heard();
    assert_eq!(rare.heard().fills, heard.fills, "orders that nothing reaches change nothing");
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..repeats {
        times[0].push(ns_each(plain.played(), count));
        times[1].push(ns_each(rare.played(), count));
        times[2].push(ns_each(plain.made(), count));
    }
    let [plain_ns, rare_ns, make_ns] = times.map(|times| Spread::of(&times));
    let one = plain.latencies();
    let shown = |spread: Spread| format!("{:.1} [{:.1}..{:.1}]", spread.median, spread.low, spread.high);
    println!(
        "{name:<18} {:>8} {:>8} {:>20} {:>20} {:>6.1}% {:>17} {:>20} {:>9.1} {:>9}  {:016x}",
        flow.workload.books,
        flow.resting,
        shown(plain_ns),
        shown(rare_ns),
        (rare_ns.median / plain_ns.median - 1.0) * 100.0,
        shown(make_ns),
        format!("{}/{}/{} (-{})", one.p50, one.p99, one.p999, one.clock),
        bytes as f64 / f64::from(1 << 20),
        heard.fills.trades,
        heard.fills.hash,
    );
    let spread = |spread: Spread| json!({ "median": spread.median, "low": spread.low, "high": spread.high });
    report.row(json!({
        "workload": name,
        "seed": flow.workload.seed,
        "books": flow.workload.books,
        "commands": count,
        "mix": { "adds": flow.mix[0], "cancels": flow.mix[1], "reductions": flow.mix[2], "immediate": flow.mix[3] },
        "resting": flow.resting,
        "trades": heard.fills.trades,
        "fill_hash": format!("{:016x}", heard.fills.hash),
        "events": heard.events,
        "ns": spread(plain_ns),
        "rare_ns": spread(rare_ns),
        "make_ns": spread(make_ns),
        "one_ns": { "clock": one.clock, "p50": one.p50, "p99": one.p99, "p99.9": one.p999 },
        "books_bytes": bytes,
    }));
}

/// Resident bytes of the books at the end, from a process that holds nothing else.
fn books_bytes(source: &Source, workload: &Workload, args: &Args) -> Result<u64, String> {
    let scratch = args.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let path = file_of(source, workload, scratch.path())?;
    let output = this_program(&path).arg("--footprint").output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| format!("no footprint: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The workload's file, written if there is none.
fn file_of(source: &Source, workload: &Workload, scratch: &Path) -> Result<PathBuf, String> {
    if let Source::File(path) = source {
        return Ok(path.clone());
    }
    let path = scratch.join("workload.pwl");
    workload.write(&path)?;
    Ok(path)
}

fn this_program(file: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap_or_else(|_| "book".into()));
    command.env_remove("PWL").arg("--file").arg(file);
    command
}

/// Instructions a command of the two measured functions.
fn count_instructions(source: &Source, options: &Options, commands: usize) -> Result<(), String> {
    let workload = source.workload(commands, options.common.seed)?;
    let scratch = options.common.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let path = file_of(source, &workload, scratch.path())?;
    for (what, function) in [("make", "make_measured"), ("make and apply", "play_measured")] {
        let this = this_program(&path);
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(format!("--toggle-collect=*{function}*"))
            .arg(this.get_program())
            .args(this.get_args())
            .arg("--once")
            .env_remove("PWL")
            .output()
            .map_err(|error| format!("valgrind: {error}"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let collected = text
            .lines()
            .find_map(|line| line.split_once("Collected :")?.1.trim().parse::<u64>().ok())
            .filter(|count| *count > 0 && output.status.success())
            .ok_or_else(|| format!("valgrind counted nothing: {text}"))?;
        let each = collected as f64 / workload.commands.len() as f64;
        println!("{:<18} {what}: {each:.1} instructions a command (callgrind)", source.name());
    }
    Ok(())
}
