//! What the system says of processes: processor time, and memory beside mapped files. Linux's /proc, read as text.

use std::{fs, path::Path};

/// Processor time of the whole machine, in ticks of the system, since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineTime {
    /// All of it, idle time included.
    pub total: u64,
    /// Time in which a processor worked, for us or for anyone, steal included.
    pub busy: u64,
    /// Time that the hypervisor gave to other machines.
    pub steal: u64,
}

impl MachineTime {
    /// Now; zeros where the system does not say.
    #[must_use]
    pub fn now() -> Self {
        fs::read_to_string("/proc/stat").ok().and_then(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        // user nice system idle iowait irq softirq steal; guest time, behind them, is in user time already.
        let ticks: Vec<u64> = line.split_ascii_whitespace().take(8).map_while(|n| n.parse().ok()).collect();
        let total = ticks.iter().sum();
        Some(Self { total, busy: total - ticks.get(3)? - ticks.get(4)?, steal: *ticks.get(7)? })
    }
}

/// Ticks that a process has had, of all its threads; 0 where the system does not say.
#[must_use]
pub fn ticks(pid: u32) -> u64 {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|text| parse_ticks(&text)).unwrap_or(0)
}

fn parse_ticks(text: &str) -> Option<u64> {
    // The name, in parentheses, may hold anything; utime and stime are fields 14 and 15, the 12th and 13th behind it.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Nanoseconds of processor time of a process's living threads, by the scheduler's own count; `None` where the system
/// does not say.
#[must_use]
pub fn nanos(pid: u32) -> Option<u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    tasks
        .map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_ascii_whitespace().next()?.parse::<u64>().ok()
        })
        .sum()
}

/// Resident memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// Of mappings of the files that were asked about.
    pub files: u64,
    /// Of everything else: heap, stacks, the program itself.
    pub rest: u64,
}

/// Resident memory of a process, apart for files below one of `dirs`.
///
/// # Errors
/// When the system does not say.
pub fn resident(pid: u32, dirs: &[&Path]) -> Result<Resident, String> {
    let path = format!("/proc/{pid}/smaps");
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    Ok(parse_smaps(&text, dirs))
}

fn parse_smaps(text: &str, dirs: &[&Path]) -> Resident {
    let mut resident = Resident::default();
    let mut of_file = false;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        if first == "Rss:" {
            let bytes = words.next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10;
            *(if of_file { &mut resident.files } else { &mut resident.rest }) += bytes;
        } else if !first.ends_with(':') {
            // A mapping begins: range, rights, offset, device, inode, and a file's name.
            of_file =
                words.nth(4).is_some_and(|name| dirs.iter().any(|dir| Path::new(name).starts_with(dir)));
        }
    }
    resident
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4194560 9 0 0 0 120 30 0 0 20 0 4 0 100 1 2";
        assert_eq!(parse_ticks(text), Some(150));
        assert!(ticks(std::process::id()) < u64::MAX);
    }

    #[test]
    fn busy_is_all_but_idle_and_waiting() {
        let time = MachineTime::parse("cpu  10 1 5 100 20 2 3 4 7 0\ncpu0 1").unwrap();
        assert_eq!(time, MachineTime { total: 145, busy: 25, steal: 4 });
    }

    #[test]
    fn memory_of_the_journal_is_apart() {
        let text = "7f00-7f10 rw-s 00000000 00:1a 3 /data/x/segment-0\nSize: 64 kB\nRss: 40 kB\nPss: 40 kB\n\
                    7f10-7f20 rw-p 00000000 00:00 0\nSize: 64 kB\nRss: 8 kB\n\
                    7f20-7f30 r-xp 00000000 00:1a 4 /bin/exchange\nRss: 2 kB\nVmFlags: rd ex\n";
        let resident = parse_smaps(text, &[Path::new("/data")]);
        assert_eq!(resident, Resident { files: 40 << 10, rest: 10 << 10 });
    }
}
