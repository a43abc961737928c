//! `exchange drill`: each drill, shortly, and what it says when it finds something wrong.
//!
//! The canaries: a drill that is told to pretend something (EXCHANGE_DRILL_CANARY) must fail, and say so.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::venue::exchange;

/// A drill that has run.
struct Drilled {
    output: Output,
    /// Where it may put its directories.
    dir: TempDir,
}

impl Drilled {
    fn run(args: &[&str], canary: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = exchange();
        command.arg("drill").args(args).args(["--rate", "500", "--seed", &seeded::seed().to_string()]);
        if let Some(canary) = canary {
            command.env("EXCHANGE_DRILL_CANARY", canary);
        }
        let output = command.env("TMPDIR", dir.path()).output().expect("it runs");
        let drilled = Self { output, dir };
        println!("{}{}", drilled.stdout(), drilled.stderr());
        drilled
    }

    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    fn last_line(&self) -> String {
        self.stdout().lines().last().expect("it says something").to_owned()
    }

    /// How many directories it has left behind.
    fn left(&self) -> usize {
        fs::read_dir(self.dir.path()).expect("a directory").count()
    }

    /// It found everything as it must be, in so many rounds.
    fn must_pass(&self, rounds: usize) {
        assert_eq!(self.output.status.code(), Some(0));
        let line = self.last_line();
        let acknowledged: u64 = line
            .strip_prefix("acknowledged ")
            .and_then(|rest| rest.split(' ').next())
            .and_then(|number| number.parse().ok())
            .expect("a number");
        assert!(acknowledged > 0, "{line}");
        assert!(line.contains(" · lost 0 · duplicated 0 · open again in "), "{line}");
        assert!(line.ends_with(" · hashes equal"), "{line}");
        let lines = self.stdout().lines().filter(|line| line.starts_with("  round ")).count();
        assert_eq!(lines, rounds);
        assert_eq!(self.left(), 0, "it leaves something behind");
    }

    /// It found this wrong.
    fn must_fail(&self, why: &str) {
        assert_eq!(self.output.status.code(), Some(1));
        let line = self.last_line();
        assert!(
            line.starts_with("acknowledged ") && line.contains("FAILED: ") && line.contains(why),
            "{line}"
        );
        assert!(!line.contains("hashes equal"), "{line}");
        let kept = fs::read_dir(self.dir.path()).expect("a directory").next().expect("it is kept");
        let kept = kept.expect("an entry").path().display().to_string();
        assert!(self.stderr().contains(&kept), "{}", self.stderr());
    }
}

#[test]
fn drill_crash_kills_an_exchange_and_finds_everything_again() {
    Drilled::run(&["crash", "--seconds", "1", "--rounds", "2"], None).must_pass(2);
}

#[test]
fn drill_failover_goes_from_node_to_node_and_back() {
    Drilled::run(&["failover", "--seconds", "1", "--rounds", "2"], None).must_pass(2);
}

#[test]
fn drill_partition_is_silent_while_the_link_is_cut() {
    // Long enough for both nodes to notice, in the second round of the other way to cut it.
    Drilled::run(&["partition", "--seconds", "3", "--rounds", "2"], None).must_pass(2);
}

#[test]
fn drill_outage_kills_both_and_either_leads() {
    Drilled::run(&["outage", "--seconds", "1", "--rounds", "2"], None).must_pass(2);
}

/// With a real etcd: it runs where one is (see scripts/check.sh, step etcd).
#[cfg(feature = "etcd-tests")]
mod elected {
    use super::Drilled;

    #[test]
    fn drill_failover_needs_nobody_where_an_etcd_decides() {
        Drilled::run(&["failover", "--etcd", "--seconds", "1", "--rounds", "2"], None).must_pass(2);
    }

    #[test]
    fn drill_partition_goes_alone_on_record_and_takes_over_from_who_is_cut_off() {
        Drilled::run(&["partition", "--etcd", "--seconds", "1", "--rounds", "2"], None).must_pass(2);
    }

    #[test]
    fn drill_partition_with_an_etcd_says_what_is_lost() {
        let drilled = Drilled::run(&["partition", "--etcd", "--seconds", "1", "--rounds", "1"], Some("lost"));
        drilled.must_fail("1 lost, 0 duplicated");
    }
}

#[test]
fn drill_slow_disk_waits_for_a_standby_that_does_not_answer() {
    Drilled::run(&["slow-disk", "--seconds", "2", "--rounds", "1"], None).must_pass(1);
}

#[test]
fn drill_storm_brings_a_crowd_back_at_once() {
    // As many as a machine may have: `exchange drill storm`.
    let drilled = Drilled::run(&["storm", "--connections", "1000", "--seconds", "1", "--rounds", "2"], None);
    drilled.must_pass(2);
    assert!(drilled.stdout().contains("  1000 connections, 500 of them logged in"), "it says how many");
}

#[test]
fn drill_slow_consumer_cuts_off_who_does_not_read_and_nobody_else() {
    let drilled = Drilled::run(&["slow-consumer", "--seconds", "1", "--rounds", "1"], None);
    assert_eq!(drilled.output.status.code(), Some(0));
    let said = drilled.stdout();
    assert_eq!(said.lines().filter(|line| line.contains(" us beside 1 that do not read, ")).count(), 1);
    assert!(said.contains("to p99 beside the same reading: "), "it compares");
    let line = drilled.last_line();
    assert!(line.contains(" · lost 0 · duplicated 0") && line.ends_with(" · hashes equal"), "{line}");
    assert_eq!(drilled.left(), 0, "it leaves something behind");
}

#[test]
fn drill_disk_full_refuses_orders_and_takes_cancels() {
    let drilled = Drilled::run(&["disk-full", "--seconds", "1", "--rounds", "2"], None);
    drilled.must_pass(2);
    assert!(drilled.stdout().contains("  its disk is "), "it says what its disk is");
}

#[test]
fn drill_disk_full_needs_no_tmpfs() {
    let drilled = Drilled::run(&["disk-full", "--seconds", "1", "--rounds", "1", "--no-mount"], None);
    drilled.must_pass(1);
    assert!(drilled.stdout().contains("MiB shall stay free"), "it says what it did");
}

#[test]
fn drill_says_the_same_in_json() {
    let drilled = Drilled::run(&["crash", "--seconds", "1", "--rounds", "1", "--json"], None);
    assert_eq!(drilled.output.status.code(), Some(0));
    let lines: Vec<Value> =
        drilled.stdout().lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().expect("a name")).collect();
    assert_eq!(events, ["drill", "round", "result"]);
    let result = &lines[2];
    assert!(result["acknowledged"].as_u64() > Some(0), "{result}");
    assert_eq!((&result["lost"], &result["duplicated"]), (&0.into(), &0.into()));
    assert_eq!((&result["hashes_equal"], &result["failure"]), (&true.into(), &Value::Null));
    assert!(result["open_again_ms"].is_u64(), "{result}");
}

#[test]
fn drill_canaries_make_it_fail() {
    let crash = ["crash", "--seconds", "1", "--rounds", "1"];
    let lost = Drilled::run(&crash, Some("lost"));
    lost.must_fail("1 lost, 0 duplicated");
    assert!(lost.last_line().contains(" · lost 1 · duplicated 0 · "), "{}", lost.last_line());
    let duplicated = Drilled::run(&crash, Some("duplicated"));
    duplicated.must_fail("0 lost, 1 duplicated");
    assert!(duplicated.last_line().contains(" · lost 0 · duplicated 1 · "), "{}", duplicated.last_line());
    Drilled::run(&crash, Some("other-state")).must_fail("they must be equal");
    // An exchange that promises more than it keeps.
    for what in ["partition", "slow-disk"] {
        let drilled = Drilled::run(&[what, "--seconds", "1", "--rounds", "1"], Some("weaker-ack"));
        drilled.must_fail("was acknowledged, and the standby cannot have it");
    }
}

#[test]
fn drill_refuses_what_makes_no_sense() {
    let dir = tempfile::tempdir().expect("a directory");
    let there = dir.path().display().to_string();
    for (args, canary, says) in [
        (&["partition", "--ack", "disk"][..], None, "drill partition takes disk+replica or two-disks"),
        (&["failover", "--etcd", "--ack", "disk"], None, "drill failover takes disk+replica or two-disks"),
        (&["crash", "--etcd"], None, "nobody is elected in drill crash"),
        (&["crash", "--ack", "two-disks"], None, "drill crash takes memory or disk"),
        (&["crash", "--data", &there], None, "is there already"),
        (&["crash"], Some("gold"), "nothing is called \"gold\""),
    ] {
        let drilled = Drilled::run(args, canary);
        assert_eq!(drilled.output.status.code(), Some(1), "{args:?}");
        assert!(drilled.stderr().contains(says), "{args:?}: {}", drilled.stderr());
        assert_eq!((drilled.stdout().as_str(), drilled.left()), ("", 0), "{args:?}");
    }
}

#[test]
fn drill_puts_everything_away_when_it_is_interrupted() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = exchange()
        .args(["drill", "disk-full", "--seconds", "3600"])
        .env("TMPDIR", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    while !line.contains("its disk is") {
        line.clear();
        assert!(out.read_line(&mut line).expect("text") > 0, "it ended");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it can be asked to stop");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    assert!(rest.trim_end().ends_with("FAILED: interrupted"), "{rest}");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0, "it leaves something behind");
}
