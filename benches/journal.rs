//! The journal: what an appended record costs the thread that appends it.
//!
//! A round appends 4,096 records, commits behind each batch, and then, outside the clock, waits until all of it is on
//! the disk, so that no append ever finds the tail full. The disk thread works meanwhile, on another core if there is
//! one. In the same run: what one pwrite and fdatasync of 4 KiB takes here, and what reading it all back takes.

use std::{path::Path, process::ExitCode, sync::Arc, thread, time::Duration, time::Instant};

use benches::{
    args::Args,
    clock::{ns_each, quantile, thread_time},
    disk,
    flow::{Plan, Stream},
    report::Report,
};
use domain::{
    ClientOrderId, Command, Echo, Nanos, OrderType, Report as SessionReport, ReportKind, Sequence, Sequenced,
    SessionId, TimeInForce,
};
use journal::{AckPolicy, Appender, Journal, Options, Reader, StorageState};
use serde_json::json;

/// Records of a round.
const ROUND: usize = 4_096;
/// The target: nanoseconds of processor time for an appended command and its share of the commit, at batch 16.
const TARGET_NS: f64 = 25.0;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("journal: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let rounds = args.pick(400, 10);
    let mut report = Report::start(
        "journal",
        args,
        &format!(
            "{rounds} rounds of {ROUND} records: commands of the stream of `book` over 64 books, or reports of \
             accepted orders; segments of 64 MiB, a tail of 32 MiB"
        ),
        "the appending thread, from the first append of a round to behind its last commit: processor time, and wall \
         time; median [tenth..ninetieth percentile] of the rounds, a record. Not in it: the disk thread's work, and \
         the wait for the disk between rounds",
    );
    let scratch = args.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let floor = disk::floor(scratch.path(), args.pick(2_000, 100))
        .map_err(|error| format!("cannot measure fdatasync: {error}"))?;
    let (p50, p99) = (quantile(&floor, 0.5), quantile(&floor, 0.99));
    println!("pwrite + fdatasync of 4 KiB, zero-filled file: p50 {:.1} us, p99 {:.1} us\n", us(p50), us(p99));
    report.row(json!({ "case": "fdatasync floor", "p50_ns": p50, "p99_ns": p99, "writes": floor.len() }));

    let commands = Stream::new(&Plan { books: 64, commands: ROUND, seed: args.seed }).commands;
    println!(
        "{:>8} {:>7} {:>6} {:>22} {:>24} {:>8} {:>8}",
        "records", "ack", "batch", "processor, ns/record", "wall, ns/record", "bytes", "syncs"
    );
    for (ack, ack_name) in [(AckPolicy::Memory, "memory"), (AckPolicy::Disk, "disk")] {
        for batch in [1, 16, 256] {
            for kind in ["command", "report"] {
                if !args.wants(&format!("{kind} {ack_name} {batch}")) {
                    continue;
                }
                let dir = scratch.path().join(format!("{kind}-{ack_name}-{batch}"));
                let mut writer = Writer::open(&dir, ack, &commands)?;
                let times = (0..rounds)
                    .map(|_| if kind == "command" { writer.commands(batch) } else { writer.reports(batch) })
                    .collect::<Result<Vec<_>, _>>()?;
                let stats = writer.appender.stats();
                writer.appender.close().map_err(|error| error.to_string())?;
                let records = (rounds * ROUND) as u64;
                let bytes = stats.bytes as f64 / records as f64;
                let (cpu, wall) = (sorted(&times, |t| t.0), sorted(&times, |t| t.1));
                println!(
                    "{kind:>8} {ack_name:>7} {batch:>6} {:>22} {:>24} {bytes:>8.1} {:>8}",
                    text(&cpu),
                    text(&wall),
                    stats.syncs
                );
                let median = middle(&cpu)[1];
                let judged = kind == "command" && batch == 16 && !cfg!(debug_assertions);
                report.row(json!({
                    "case": format!("{kind} {ack_name} {batch}"),
                    "processor_ns": middle(&cpu), "wall_ns": middle(&wall), "quantiles": [0.1, 0.5, 0.9],
                    "bytes_per_record": bytes, "syncs": stats.syncs,
                    "target_ns": judged.then_some(TARGET_NS), "met": judged.then_some(median <= TARGET_NS),
                }));
                if judged {
                    let met = if median <= TARGET_NS { "met" } else { "NOT MET" };
                    println!("{:>23} target: at most {TARGET_NS} ns of processor time: {met}", "");
                }
                read_back(&mut report, &dir, kind, batch, ack)?;
                std::fs::remove_dir_all(&dir).map_err(|error| error.to_string())?;
            }
        }
    }
    report.finish(args)
}

/// Reads what was written, once for each kind of record.
fn read_back(
    report: &mut Report,
    dir: &Path,
    kind: &str,
    batch: usize,
    ack: AckPolicy,
) -> Result<(), String> {
    if batch != 16 || ack != AckPolicy::Memory {
        return Ok(());
    }
    let reader = Reader::open(dir).map_err(|error| error.to_string())?;
    let mut count = 0_u64;
    let (cpu, before) = (thread_time(), Instant::now());
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let decoded = if kind == "command" {
            record.command().map(|command| command.sequence.0)
        } else {
            record.report().map(|report| report.number)
        };
        count += u64::from(decoded.map_err(|error| error.to_string())? > 0);
    }
    let (wall, cpu) = (before.elapsed(), thread_time() - cpu);
    let (wall, cpu) = (ns_each(wall, count), ns_each(cpu, count));
    println!(
        "{kind:>8} read back, checked and decoded: {cpu:.1} ns/record of processor, {wall:.1} wall ({count})"
    );
    report.row(json!({ "case": format!("{kind} read back"), "processor_ns": cpu, "wall_ns": wall, "records": count }));
    Ok(())
}

struct Writer {
    appender: Appender,
    commands: Vec<Sequenced<Command>>,
    reports: Vec<SessionReport>,
    sequence: u64,
}

impl Writer {
    fn open(dir: &Path, ack: AckPolicy, commands: &[Sequenced<Command>]) -> Result<Self, String> {
        let options = Options { ack, segment_bytes: 64 << 20, reserve_bytes: 0, ..Options::default() };
        let (appender, _) = Journal::open(dir, &options, Arc::new(|| {}))
            .map_err(|error| format!("cannot open a journal: {error}"))?;
        let reports = commands.iter().map(report_of).collect();
        Ok(Self { appender, commands: commands.to_vec(), reports, sequence: 0 })
    }

    /// One round; processor and wall nanoseconds a record.
    fn commands(&mut self, batch: usize) -> Result<(f64, f64), String> {
        for command in &mut self.commands {
            self.sequence += 1;
            command.sequence = Sequence(self.sequence);
            command.nanos = Nanos(self.sequence * 1_000);
        }
        let (cpu, wall) = (thread_time(), Instant::now());
        for batch in self.commands.chunks(batch) {
            for command in batch {
                self.appender.append_command(command).map_err(|full| full.to_string())?;
            }
            self.appender.commit();
        }
        let (wall, cpu) = (wall.elapsed(), thread_time() - cpu);
        self.settle()?;
        Ok((ns_each(cpu, ROUND as u64), ns_each(wall, ROUND as u64)))
    }

    /// The same with reports.
    fn reports(&mut self, batch: usize) -> Result<(f64, f64), String> {
        for report in &mut self.reports {
            self.sequence += 1;
            report.number = self.sequence;
        }
        let (cpu, wall) = (thread_time(), Instant::now());
        for batch in self.reports.chunks(batch) {
            for report in batch {
                self.appender.append_report(report).map_err(|full| full.to_string())?;
            }
            self.appender.commit();
        }
        let (wall, cpu) = (wall.elapsed(), thread_time() - cpu);
        self.settle()?;
        Ok((ns_each(cpu, ROUND as u64), ns_each(wall, ROUND as u64)))
    }

    /// Waits until all of it is on the disk.
    fn settle(&self) -> Result<(), String> {
        while self.appender.durable() < self.appender.committed() {
            if self.appender.state() == StorageState::Failed {
                return Err("the disk failed".into());
            }
            thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }
}

/// The report that an accepted order gets.
fn report_of(command: &Sequenced<Command>) -> SessionReport {
    let kind = match &command.command {
        Command::Enter(c) => ReportKind::Accepted {
            client_ref: c.owner.client_ref,
            order: c.order,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Day,
            price: c.price,
            quantity: c.quantity,
            instructions: None,
            echo: Echo { side: b'B', display: b'Y', capacity: b'P', intermarket_sweep: b'N', cross: b'N' },
            client_order_id: ClientOrderId::BLANK,
        },
        Command::Cancel(c) => ReportKind::Canceled {
            client_ref: c.owner.client_ref,
            order: c.order,
            quantity: domain::Quantity(100),
            reason: c.reason,
        },
        Command::Reduce(c) => ReportKind::Canceled {
            client_ref: c.owner.client_ref,
            order: c.order,
            quantity: c.total,
            reason: domain::CancelReason::Requested,
        },
        command => unreachable!("the stream has no {command:?}"),
    };
    SessionReport {
        session: SessionId(1),
        number: 0,
        sequence: Sequence(1),
        instrument: command.command.instrument(),
        index: 0,
        nanos: Nanos(1_000),
        kind,
    }
}

fn sorted(times: &[(f64, f64)], of: impl Fn(&(f64, f64)) -> f64) -> Vec<f64> {
    let mut values: Vec<f64> = times.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The tenth, fiftieth and ninetieth percentile.
fn middle(sorted: &[f64]) -> [f64; 3] {
    [1, 5, 9].map(|tenth| sorted[(sorted.len() * tenth / 10).min(sorted.len() - 1)])
}

fn text(sorted: &[f64]) -> String {
    let [low, median, high] = middle(sorted);
    format!("{median:.1} [{low:.1}..{high:.1}]")
}

fn us(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}
