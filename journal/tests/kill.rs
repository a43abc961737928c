//! Processes that are killed. The child is this test binary once more, with its orders in the environment.
//!
//! A binary of its own: between fork and exec a child has the locks of every journal that is open in its parent, so that tests
//! beside it in one process would find their own journals in use.

#[path = "it/support.rs"]
#[allow(dead_code, reason = "the other tests' as well")]
mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use journal::{AckPolicy, Options};

use self::support::{Random, Source, append_patiently, open, options, read};

const DIR: &str = "JOURNAL_TEST_CHILD_DIR";
const POLICY: &str = "JOURNAL_TEST_CHILD_POLICY";

fn chosen(policy: &str) -> Options {
    let ack = if policy == "memory" { AckPolicy::Memory } else { AckPolicy::Disk };
    Options { ack, tail_bytes: 32 << 10, segment_bytes: 256 << 10, ..options() }
}

/// What the child does: goes on behind what is there, and says each count of records once it may be
/// acknowledged.
#[test]
fn child() {
    let (Ok(dir), Ok(policy)) = (std::env::var(DIR), std::env::var(POLICY)) else { return };
    let options = chosen(&policy);
    let (mut journal, recovery) = open(Path::new(&dir), &options);
    let mut records = recovery.commands + recovery.reports;
    let there = read(Path::new(&dir));
    assert_eq!(there.len() as u64, records);
    let mut source = Source::new().after(&there);
    let mut out = std::io::stdout().lock();
    loop {
        for _ in 0..=source.random.below(10) {
            append_patiently(&mut journal, &source.next());
            records += 1;
        }
        let end = journal.commit();
        if options.ack == AckPolicy::Disk {
            while journal.durable() < end {
                std::hint::spin_loop();
            }
        }
        writeln!(out, "\nacknowledged {records}").expect("the parent reads");
    }
}

/// Everything that was acknowledged is there after SIGKILL at any moment, and everything before it, in order:
/// each round goes on behind the last one's survivors, and the whole is checked by number.
#[test]
fn what_was_acknowledged_survives_sigkill() {
    let mut random = Random::seeded();
    for policy in ["memory", "disk"] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut before = Vec::new();
        for round in 0..12 {
            let mut child = Command::new(std::env::current_exe().expect("a path"))
                .args(["--exact", "child", "--nocapture", "--test-threads=1"])
                .env(DIR, dir.path())
                .env(POLICY, policy)
                .env("SEED", random.next().to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit())
                .spawn()
                .expect("starts");
            let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            let reader = std::thread::spawn(move || {
                lines
                    .map_while(Result::ok)
                    // The last line may be half of one.
                    .filter_map(|line| {
                        line.strip_prefix("acknowledged ").and_then(|n| n.parse::<usize>().ok())
                    })
                    .last()
            });
            // Sometimes in the middle of its recovery.
            let patience = if round % 4 == 3 { random.below(20_000) } else { 20_000 + random.below(150_000) };
            std::thread::sleep(Duration::from_micros(patience));
            child.kill().expect("kills");
            child.wait().expect("is gone");
            let acknowledged = reader.join().expect("no panic").unwrap_or(before.len());
            // What a reader sees is what an open finds.
            // The first may have died before it had made a journal.
            let there = match journal::Reader::open(dir.path()) {
                Err(journal::OpenError::Empty { .. }) if before.is_empty() => Vec::new(),
                _ => read(dir.path()),
            };
            assert!(there.len() >= acknowledged, "{policy}: {} of {acknowledged}", there.len());
            assert_eq!(there[..before.len()], before[..], "{policy}: the past changed");
            before = there;
            if before.is_empty() {
                continue;
            }
            let verify = journal::inspect::verify(dir.path()).expect("a journal");
            assert!(verify.problems.is_empty(), "{policy}: {:?}", verify.problems);
        }
        assert!(!before.is_empty());
        let (journal, recovery) = open(dir.path(), &chosen(policy));
        assert_eq!(recovery.commands + recovery.reports, before.len() as u64);
        journal.close().expect("closes");
        assert_eq!(read(dir.path()), before);
    }
}
