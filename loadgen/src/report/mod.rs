//! What is said of a run: a table for people, `summary.json` for programs, `.hgrm` files for HdrHistogram's
//! plotters, and one HTML page.

mod hgrm;
mod html;
mod summary;
mod table;

use core::time::Duration;
use std::{
    io,
    path::{Path, PathBuf},
};

use crate::Outcome;

/// The percentiles that are said.
const PERCENTILES: [(&str, f64); 8] = [
    ("50", 0.5),
    ("75", 0.75),
    ("90", 0.9),
    ("99", 0.99),
    ("99.9", 0.999),
    ("99.99", 0.9999),
    ("99.999", 0.99999),
    ("100", 1.0),
];

/// Writes the report's files into a directory, which is made when it is missing. On failure: which file, and why.
pub(crate) fn write(outcome: &Outcome, directory: &Path) -> Result<(), (PathBuf, io::Error)> {
    std::fs::create_dir_all(directory).map_err(|error| (directory.to_owned(), error))?;
    let files = [
        ("intended.hgrm", hgrm::text(&outcome.latency.intended())),
        ("service.hgrm", hgrm::text(&outcome.latency.service)),
        ("lateness.hgrm", hgrm::text(&outcome.latency.lateness)),
        ("summary.json", summary::json(outcome)),
        ("report.html", html::page(outcome)),
    ];
    for (name, text) in files {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| (path, error))?;
    }
    Ok(())
}

impl Outcome {
    /// What was measured, as plain text. The first line says whether the loop was open or closed.
    #[must_use]
    pub fn table(&self) -> String {
        table::text(self)
    }

    /// What was measured, as the JSON of `summary.json`.
    #[must_use]
    pub fn json(&self) -> String {
        summary::json(self)
    }
}

/// A time in the unit that keeps it short.
pub(crate) fn duration(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

/// A number with its thousands told apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in percent.
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1}%", part as f64 * 100.0 / whole as f64) }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// A rate, rounded to whole orders.
fn per_second(rate: f64) -> String {
    grouped(rate.round() as u64)
}

/// What was asked, line by line.
fn config_lines(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let config = &outcome.config;
    let source = match &config.source {
        crate::Source::Profile(profile) => format!("profile {profile}, seed {}", config.seed),
        crate::Source::Lobster(path) => {
            // The file's name says which recording; where it lies is nobody's business.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("recording {name}")
        }
    };
    let stop = match config.stop {
        crate::Stop::After(time) => format!("after {}", seconds(time)),
        crate::Stop::Count(u64::MAX) => "at the end".to_owned(),
        crate::Stop::Count(count) => format!("after {} orders", grouped(count)),
    };
    let wait = match config.wait {
        crate::Wait::Block => "asleep in the kernel (block)",
        crate::Wait::Spin => "spinning",
    };
    vec![
        ("mode", config.mode.to_string()),
        ("orders", source),
        ("stop", stop),
        ("sessions", config.sessions_used().to_string()),
        ("instruments", grouped(config.instruments.len() as u64)),
        ("generator", format!("1 thread, {wait}")),
        ("target", format!("{}, {}{}", config.target, config.protocol, tls(config))),
        ("machine", format!("{} cores, {}", outcome.machine.cores, outcome.machine.processor)),
    ]
}

/// A reason of a rejection, as the protocol's documents write it.
fn reason(config: &crate::Config, reason: u16) -> String {
    if config.protocol == crate::Protocol::Soup { format!("{reason:#04x}") } else { reason.to_string() }
}

/// What is added to the protocol's name.
fn tls(config: &crate::Config) -> &'static str {
    if config.tls.is_some() { " over TLS" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(duration(999), "999 ns");
        assert_eq!(duration(1_500), "1.5 µs");
        assert_eq!(duration(2_345_678), "2.35 ms");
        assert_eq!(duration(12_000_000_000), "12.00 s");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(percent(1, 8), "12.5%");
        assert_eq!(percent(1, 0), "-");
    }
}
