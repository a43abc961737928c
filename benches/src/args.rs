//! The command line of the benchmarks that have a main of their own.

use std::path::PathBuf;

use clap::Parser;

/// What can be typed behind `cargo bench -p benches --bench NAME --`.
#[derive(Parser, Clone, Debug)]
#[command(about = "A benchmark of Fulcrum; docs/benchmarks.md says what it measures", max_term_width = 110)]
pub struct Args {
    /// A small workload and few repeats: to see that it works, not how fast.
    #[arg(long)]
    pub quick: bool,
    /// What the workload is drawn from.
    #[arg(long, default_value_t = 42, value_name = "N")]
    pub seed: u64,
    /// Write the results as JSON there.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Only cases whose name contains this.
    #[arg(value_name = "FILTER")]
    pub filter: Option<String>,
    /// Cargo says so when it runs benchmarks; without it (`cargo test --all-targets`) everything is quick.
    #[arg(long, hide = true)]
    pub bench: bool,
}

impl Args {
    /// Reads the command line; ends the process when it makes no sense.
    #[must_use]
    pub fn parse() -> Self {
        let mut args = <Self as Parser>::parse();
        args.quick |= !args.bench;
        args
    }

    /// `full`, or `quick` when asked to be.
    #[must_use]
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Whether a case is asked for.
    #[must_use]
    pub fn wants(&self, case: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| case.contains(filter.as_str()))
    }
}
