//! The command line: exit codes, errors that say what and where, JSON that parses, help that names every option.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use wire::ouch::codes;

use crate::{
    client::enter,
    reference::Reference,
    venue::{Home, INSTRUMENTS, Settings, USERS, Venue, eventually, exchange, json, output, printed, text},
};

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Some orders of two sessions, some of which trade.
fn trade(venue: &Venue) {
    for (user, side) in [("ALICE", b'B'), ("BOB", b'S')] {
        let mut client = venue.client(user);
        let (_, next) = client.query();
        for user_ref in next..next + 50 {
            client.put(&enter(user_ref, side, user_ref, "AAPL", 1_000_000, codes::DAY));
        }
        client.flush();
        for _ in 0..50 {
            client.next();
        }
    }
}

#[test]
fn what_cannot_be_parsed_exits_with_2_and_says_how() {
    for (args, says) in [
        (&[][..], "Usage"),
        (&["jog"], "unrecognized subcommand 'jog'"),
        (&["run"], "--data <DIR>"),
        (&["run", "--data", "x", "--shards", "0"], "--shards"),
        (&["run", "--data", "x", "--shards", "many"], "--shards"),
        (&["run", "--data", "x", "--ack", "tape"], "memory, disk"),
        (&["run", "--data", "x", "--idle", "nap"], "spin, backoff, park"),
        (&["run", "--data", "x", "--placement", "heap"], "hash, round-robin"),
        (&["run", "--data", "x", "--balance", "half"], "off, steal, migrate, full"),
        (&["top"], "--data <DIR>"),
        (&["watch", "--snapshot", "127.0.0.1:1"], "--mold <ADDR>"),
        (&["watch", "--mold", "127.0.0.1:0"], "--snapshot <ADDR>"),
        (&["run", "--data", "x", "--soup", "nowhere"], "--soup"),
        (&["run", "--data", "x", "--fast"], "--fast"),
        (&["load"], "--target <ADDR>"),
        (&["load", "--target", "127.0.0.1:1", "--rate", "1", "--closed-loop", "1"], "cannot be used with"),
        (&["replay"], "--data <DIR>"),
        (&["replay", "--data", "x", "--shards", "0"], "--shards"),
        (&["keys"], "--dir <DIR>"),
        (&["keys", "--dir", "x"], "--node <NAME>"),
        (&["journal"], "Usage"),
        (&["journal", "eat"], "unrecognized subcommand 'eat'"),
        (&["journal", "dump", "--data", "x", "--from=-1"], "--from"),
        (&["journal", "diff"], "--data <DIR>"),
        (&["journal", "diff", "--data", "x"], "two directories are compared, and 1 are given"),
        (&["journal", "diff", "--data", "x", "--data", "y", "--data", "z"], "and 3 are given"),
        (&["journal", "export", "--data", "x"], "--format <FORMAT>"),
        (&["journal", "export", "--data", "x", "--format", "xml"], "csv, jsonl"),
        (
            &["journal", "export", "--data", "x", "--format", "csv", "--what", "some"],
            "commands, reports, all",
        ),
        (&["repair", "--data", "x"], "--from <DIR>"),
        (&["completions", "csh"], "csh"),
    ] {
        let output = output(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(says), "{args:?} does not say {says}: {}", stderr(&output));
    }
}

#[test]
fn what_fails_exits_with_1_and_says_what_and_where() {
    let home = Home::new(Settings::default());
    let nothing = home.file("nothing").display().to_string();
    let file = home.file("a-file");
    fs::write(&file, "no configuration").expect("writing");
    let file = file.display().to_string();
    let empty = home.file("empty");
    fs::create_dir(&empty).expect("a directory");
    let empty = empty.display().to_string();
    let beneath = format!("{file}/data");
    for (args, says) in [
        (&["replay", "--data", &nothing][..], nothing.as_str()),
        (&["replay", "--data", &empty], &empty),
        (&["journal", "info", "--data", &nothing], &nothing),
        (&["journal", "verify", "--data", &empty], &empty),
        (&["journal", "dump", "--data", &nothing], &nothing),
        (&["journal", "diff", "--data", &nothing, "--data", &empty], &nothing),
        (&["journal", "export", "--data", &nothing, "--format", "csv"], &nothing),
        (&["repair", "--data", &nothing, "--from", &empty], &nothing),
        (&["repair", "--data", &empty, "--from", &empty], "is both the damaged directory and the copy"),
        (&["run", "--data", &beneath, "--soup", "127.0.0.1:0"], &beneath),
        (&["run", "--data", &nothing, "--config", &empty], "cannot read configuration"),
        (&["run", "--data", &nothing, "--config", &file], "`exchange config` prints a commented default"),
        (&["load", "--target", "127.0.0.1:1", "--count", "1"], "is the exchange running there?"),
        (&["load", "--target", "127.0.0.1:1", "--duration", "soon"], "\"soon\" is no duration"),
        (&["load", "--target", "127.0.0.1:1", "--protocol", "fix"], "no user who speaks fix"),
        (&["load", "--target", "127.0.0.1:1", "--tls-ca", &nothing], "cannot read it"),
        (&["load", "--target", "127.0.0.1:1", "--profile", "lumpy"], "lumpy"),
        (
            &["load", "--target", "127.0.0.1:1", "--profile", "hot:80%,calm"],
            "only hot:K% and hot-swap:T go together",
        ),
        (&["top", "--data", &nothing, "--once"], "no exchange runs on"),
        (
            &["watch", "--mold", "127.0.0.1:0", "--snapshot", "127.0.0.1:1", "--every", "inf"],
            "--every inf: seconds, from 0",
        ),
        (&["top", "--data", &nothing], "print one frame with --once"),
        (&["load", "--target", "127.0.0.1:1", "--lobster", &nothing], "--symbol"),
        (&["load", "--target", "127.0.0.1:1", "--lobster", &nothing, "--symbol", "AAPL"], &nothing),
    ] {
        let output = output(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains(says), "{args:?} does not say {says}: {said}");
        assert!(said.contains("exchange: "), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
    assert!(!home.file("nothing").exists(), "looking made a directory");
}

#[test]
fn help_names_every_option() {
    let subcommands: [(&[&str], &[&str]); 22] = [
        (&["keys"], &["--dir", "--node", "--json"]),
        (&["snapshot"], &["--data", "--json"]),
        (&["standby"], &["--primary", "--node", "--keys", "--listen", "--peer", "--data", "--ack"]),
        (&["promote"], &["--data", "--force"]),
        (&["switch"], &["--data"]),
        (&["alone"], &["--data"]),
        (&["node"], &["--data"]),
        (&["top"], &["--data", "--once"]),
        (&["watch"], &["--mold", "--rerequest", "--snapshot", "--symbol", "--depth", "--once", "--json"]),
        (
            &["drill"],
            &[
                "failover",
                "crash",
                "disk-full",
                "slow-disk",
                "partition",
                "--rate",
                "--seconds",
                "--rounds",
                "--ack",
                "--seed",
                "--no-mount",
                "--data",
                "--json",
            ],
        ),
        (&["demo"], &["--data", "--rate", "--profile", "--shards", "--seconds", "--seed"]),
        (
            &["run"],
            &[
                "--data",
                "--config",
                "--shards",
                "--soup",
                "--ack",
                "--idle",
                "--placement",
                "--balance",
                "--balance-events",
                "--inline",
                "--status",
                "--json",
            ],
        ),
        (
            &["load"],
            &[
                "--target",
                "--config",
                "--profile",
                "--lobster",
                "--symbol",
                "--rate",
                "--closed-loop",
                "--duration",
                "--count",
                "--sessions",
                "--seed",
                "--wait",
                "--leave",
                "--report",
                "--json",
            ],
        ),
        (&["replay"], &["--data", "--shards", "--per-instrument", "--json"]),
        (&["journal", "info"], &["--data", "--json"]),
        (&["journal", "verify"], &["--data", "--json"]),
        (&["journal", "dump"], &["--data", "--from", "--count", "--json"]),
        (&["journal", "diff"], &["--data", "--json"]),
        (&["journal", "export"], &["--data", "--format", "--what", "--from", "--to", "--out"]),
        (&["repair"], &["--data", "--from", "--dry-run"]),
        (&["config"], &[]),
        (&["completions"], &["bash", "zsh", "fish"]),
    ];
    let overview = printed(&["--help"]);
    let manual = printed(&["man"]);
    for (subcommand, options) in subcommands {
        assert!(overview.contains(subcommand[0]) && manual.contains(subcommand[0]), "{subcommand:?}");
        let help = printed(&[subcommand, &["--help"]].concat());
        for option in options {
            assert!(help.contains(option), "{subcommand:?} --help does not name {option}:\n{help}");
        }
    }
    assert!(printed(&["journal", "--help"]).contains("verify"));
    assert!(printed(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_and_the_manual_are_there() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        assert!(script.contains("exchange") && script.contains("replay"), "{shell}");
    }
    let manual = printed(&["man"]);
    assert!(manual.contains(".TH exchange 1") && manual.contains(".SH SYNOPSIS"), "{manual}");
}

#[test]
fn the_printed_configuration_runs() {
    let home = Home::new(Settings::default());
    let config = home.file("printed.toml");
    fs::write(&config, printed(&["config"])).expect("writing");
    let mut child = exchange()
        .args(["run", "--soup", "127.0.0.1:0", "--ack", "memory", "--data"])
        .arg(home.data())
        .arg("--config")
        .arg(&config)
        .stdout(fs::File::create(home.file("out")).expect("a file"))
        .stderr(fs::File::create(home.file("log")).expect("a file"))
        .spawn()
        .expect("it starts");
    let out = || fs::read_to_string(home.file("out")).expect("its output");
    eventually("it is ready", || out().contains("ready: SoupBinTCP and OUCH 5.0 on 127.0.0.1:"));
    // Interrupted from the keyboard, it stops as cleanly.
    kill_process(Pid::from_child(&child), Signal::INT).expect("it can be asked to stop");
    assert!(child.wait().expect("a child").success());
    let out = out();
    let states: Vec<_> = out.lines().filter_map(|line| line.strip_prefix("state ")).collect();
    assert_eq!(states.len(), 2, "{out}");
    assert_eq!(states[0], states[1]);
    assert_eq!(home.replay(1)["state"], states[0]);
}

#[test]
fn the_embedded_configuration_warns_of_its_users() {
    let home = Home::new(Settings::default());
    let mut child = exchange()
        .args(["run", "--soup", "127.0.0.1:0", "--data"])
        .arg(home.data())
        .stdout(Stdio::null())
        .stderr(fs::File::create(home.file("log")).expect("a file"))
        .spawn()
        .expect("it starts");
    eventually("it warns", || home.log().contains("for development only"));
    child.kill().expect("it can be killed");
    child.wait().expect("it dies");
}

#[test]
fn what_it_says_as_json_parses_and_is_true() {
    let home = Home::new(Settings::args(&["--shards", "2", "--status", "0.05"]));
    let mut venue = home.start();
    assert_eq!(venue.recovered["created"], true);
    assert_eq!(venue.recovered["shards"], 2);
    assert_eq!(venue.recovered["ack"], "disk");
    trade(&venue);
    let mut status = Value::Null;
    eventually("the status says so", || {
        status = venue.line("status");
        status["requests"] == 102
    });
    // The orders, and what the configuration defines: in a new directory that is sequenced first.
    let sequenced = 100 + INSTRUMENTS.len() + USERS.len();
    assert_eq!(status["sequenced"], sequenced, "{status}");
    assert_eq!(status["rejected"], 0, "{status}");
    assert_eq!(status["cancel_only"], false, "{status}");
    let of_shards: u64 = status["shards"]
        .as_array()
        .expect("shards")
        .iter()
        .map(|shard| shard["commands"].as_u64().expect("a count"))
        .sum();
    assert_eq!(of_shards, 100, "{status}");
    let stopped = venue.stop();
    assert_eq!(stopped["sequenced"], sequenced);
    let venue = home.start();
    assert_eq!(venue.recovered["created"], false);
    assert_eq!(venue.recovered["commands"], stopped["last_sequence"]);
    assert_eq!(venue.recovered["state"], stopped["state"]);
}

/// Every command that reads a journal, on this directory.
fn journal_commands_agree(home: &Home, what: &str) {
    let data = home.data().display().to_string();
    let reference = Reference::of(&home.data());
    let reports: u64 = reference.told.iter().map(|told| told.len() as u64).sum();
    let check = |info: &Value| {
        assert_eq!(info["commands"], reference.commands, "{what}: {info}");
        assert_eq!(info["reports"], reports, "{what}: {info}");
        assert_eq!(info["last_sequence"], reference.sequence.0, "{what}: {info}");
    };
    check(&json(&["journal", "info", "--data", &data, "--json"]));
    let verified = json(&["journal", "verify", "--data", &data, "--json"]);
    check(&verified["info"]);
    assert_eq!(verified["problems"], Value::Array(vec![]), "{what}");
    let said = printed(&["journal", "verify", "--data", &data]);
    assert!(said.contains("whole"), "{what}: {said}");
    let said = printed(&["journal", "info", "--data", &data]);
    assert!(said.contains(&format!("{} commands", reference.commands)), "{what}: {said}");

    let lines = printed(&["journal", "dump", "--data", &data, "--json"]);
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(records.len() as u64, reference.commands + reports, "{what}");
    let positions: Vec<_> =
        records.iter().map(|record| record["position"].as_u64().expect("a place")).collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "{what}");
    assert_eq!(printed(&["journal", "dump", "--data", &data]).lines().count(), records.len(), "{what}");
    let few = printed(&["journal", "dump", "--data", &data, "--json", "--from", "20", "--count", "5"]);
    assert_eq!(few.lines().count(), 5, "{what}");
    for line in few.lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        assert!(record["sequence"].as_u64().is_some_and(|sequence| sequence >= 20), "{what}: {line}");
    }

    let replayed = json(&["replay", "--data", &data, "--json"]);
    assert_eq!(text(&replayed, "state"), reference.state(), "{what}");
    assert_eq!(replayed["commands"], reference.commands, "{what}");
    let said = printed(&["replay", "--data", &data, "--per-instrument"]);
    assert!(
        said.contains(&format!("state {}", reference.state())) && said.contains("AAPL"),
        "{what}: {said}"
    );
}

#[test]
fn journals_can_be_looked_at_while_they_are_written_and_after_a_kill_and_after_a_stop() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    trade(&venue);
    let before = home.replay(1)["state"].clone();
    journal_commands_agree(&home, "running");
    venue.kill();
    journal_commands_agree(&home, "killed");
    let venue = home.start();
    assert_eq!(venue.recovered["state"], before);
    trade(&venue);
    venue.stop();
    journal_commands_agree(&home, "stopped");
}

#[test]
fn keys_are_made_once_and_said_where() {
    let home = Home::new(Settings::default());
    let dir = home.file("keys").display().to_string();
    let keys = |more: &[&str]| output(&[&["keys", "--dir", &dir], more].concat());
    let made = keys(&["--node", "a", "--node", "b"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let said = String::from_utf8(made.stdout).expect("text");
    for part in ["a new cluster", "node a: give it ca.pem, a.pem and a.key (valid until 20", "ca.key"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for (file, mode) in [("ca.key", 0o600), ("a.key", 0o600), ("b.key", 0o600), ("a.pem", 0o644)] {
        let found = fs::metadata(home.file("keys").join(file)).expect("it is made").permissions().mode();
        assert_eq!(found & 0o777, mode, "{file}");
    }
    let again = keys(&["--node", "a"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("a.pem is there already"), "{}", stderr(&again));
    let bad = keys(&["--node", "../c"]);
    assert!(stderr(&bad).contains("cannot be a node's name"), "{}", stderr(&bad));
    let added = json(&["keys", "--dir", &dir, "--node", "c", "--json"]);
    assert_eq!((&added["ca_is_new"], &added["nodes"][0]["node"]), (&false.into(), &"c".into()));
}

#[test]
fn whoever_stops_reading_a_dump_is_no_error() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    for _ in 0..20 {
        trade(&venue);
    }
    venue.stop();
    let mut child = exchange()
        .args(["journal", "dump", "--data"])
        .arg(home.data())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{}: {}", output.status, stderr(&output));
}

#[test]
fn a_load_run_says_what_it_did() {
    let home = Home::new(Settings { ack: "memory", ..Settings::default() });
    let venue = home.start();
    let report = home.file("report");
    let run = |more: &[&str]| {
        let output = exchange()
            .args(["load", "--target", &venue.address.to_string(), "--config"])
            .arg(home.file("config.toml"))
            .args(more)
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    let said = run(&["--count", "500", "--closed-loop", "8", "--report", &report.display().to_string()]);
    assert!(said.contains("closed loop"), "{said}");
    for file in ["summary.json", "report.html", "intended.hgrm", "service.hgrm"] {
        assert!(fs::metadata(report.join(file)).is_ok_and(|file| file.len() > 100), "{file}");
    }
    let summary: Value =
        serde_json::from_str(&run(&["--rate", "5000", "--duration", "200ms", "--json"])).expect("JSON");
    assert_eq!(summary["requests"]["unanswered"], 0, "{summary}");
    assert_eq!(summary["loop_kind"], "open", "{summary}");
    // Nothing rests when it has cleaned up.
    let data = home.data();
    venue.stop();
    let last = Reference::of(&data);
    assert_eq!(last.resting(), 0);
}
