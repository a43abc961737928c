//! Where a benchmark runs.

use std::{fmt, fs, thread};

/// What a reader needs to judge the numbers.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Processors that we may use.
    pub cores: usize,
    /// The processor's name, as far as the system tells.
    pub processor: String,
    /// The kernel's version.
    pub kernel: String,
    /// Runnable threads over the last minute, before we started: what else the machine does.
    pub load: String,
    /// Whether the benchmark was built with optimisation.
    pub optimised: bool,
}

impl Machine {
    /// This one, now.
    #[must_use]
    pub fn here() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        let word = |path, index: usize| {
            let text = fs::read_to_string(path).ok()?;
            Some(text.split_ascii_whitespace().nth(index)?.to_owned())
        };
        let unknown = || "unknown".to_owned();
        Self {
            cores,
            processor: processor.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            kernel: word("/proc/sys/kernel/osrelease", 0).unwrap_or_else(unknown),
            load: word("/proc/loadavg", 0).unwrap_or_else(unknown),
            optimised: !cfg!(debug_assertions),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, kernel, load, optimised } = self;
        write!(f, "{cores} cores of {processor}, kernel {kernel}, load {load} before the start")?;
        if *optimised { Ok(()) } else { f.write_str("; NOT OPTIMISED: the numbers mean nothing") }
    }
}
