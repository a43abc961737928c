//! The command line of the benchmarks that have a main of their own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use tempfile::TempDir;

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
    /// Where files are written: on the disk that is to be measured. By default below the build's target directory.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
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
        <Self as Parser>::parse().settled()
    }

    /// Makes everything quick that cargo did not start as a benchmark.
    #[must_use]
    pub fn settled(mut self) -> Self {
        self.quick |= !self.bench;
        self
    }

    /// `full`, or `quick` when asked to be.
    #[must_use]
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// A directory that goes away when it is dropped, on the disk that is to be measured. `target` is the build's
    /// own directory for such things.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn scratch(&self, target: &str) -> Result<TempDir, String> {
        let parent = self.dir.as_deref().unwrap_or_else(|| Path::new(target));
        fs::create_dir_all(parent)
            .and_then(|()| tempfile::Builder::new().prefix("bench-").tempdir_in(parent))
            .map_err(|error| format!("cannot make a directory in {}: {error}", parent.display()))
    }

    /// Whether a case is asked for.
    #[must_use]
    pub fn wants(&self, case: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| case.contains(filter.as_str()))
    }
}
