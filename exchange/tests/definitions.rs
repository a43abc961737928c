//! What the journal defines stays as it was defined, whatever becomes of the configuration: runs of the binary on one
//! data directory, with an edited configuration each.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{self, Stdio},
    sync::Arc,
};

use domain::{Command, Sequence, Sequenced};
use serde_json::Value;

/// A place for a data directory, a tail and a configuration.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The default configuration with other instruments, and a tail that goes with the directory.
    fn config(&self, instruments: &str) -> PathBuf {
        let output = exchange().arg("config").output().expect("the binary runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let (head, rest) = text.split_once("instruments = [").expect("instruments");
        let (_, tail) = rest.split_once("\n]").expect("the list's end");
        let text = format!("{head}instruments = [{instruments}]{tail}")
            .replace("tail_dir = \"\"", &format!("tail_dir = \"{}\"", self.dir.path().display()))
            .replace("segment_mib = 256", "segment_mib = 8")
            .replace("tail_mib = 32", "tail_mib = 1");
        let path = self.path("config.toml");
        fs::write(&path, text).expect("a configuration");
        path
    }

    /// Runs until it is ready, then stops it as an operator would. Gives what it said of its recovery, or, when it
    /// refused, what it wrote to standard error.
    fn run(&self, instruments: &str) -> Result<Value, String> {
        let mut child = exchange()
            .args(["run", "--json", "--soup", "127.0.0.1:0", "--shards", "2", "--data"])
            .arg(self.path("data"))
            .arg("--config")
            .arg(self.config(instruments))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut recovered = Value::Null;
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            let said: Value = serde_json::from_str(&line.expect("text")).expect("JSON, one object a line");
            match said["event"].as_str() {
                Some("recovered") => recovered = said,
                Some("ready") => terminate(child.id()),
                _ => {}
            }
        }
        let output = child.wait_with_output().expect("it ends");
        if output.status.success() {
            Ok(recovered)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// What a replay of the whole journal says.
    fn replay(&self) -> Value {
        let output = exchange()
            .args(["replay", "--json", "--per-instrument", "--data"])
            .arg(self.path("data"))
            .output()
            .expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The symbols that the journal defines, by index.
    fn defined(&self) -> Vec<String> {
        let said = self.replay();
        let books = said["books"].as_array().expect("books");
        books.iter().map(|book| book["symbol"].as_str().expect("a symbol").to_owned()).collect()
    }
}

fn exchange() -> process::Command {
    process::Command::new(env!("CARGO_BIN_EXE_exchange"))
}

fn terminate(pid: u32) {
    let status = process::Command::new("kill").args(["-TERM", &pid.to_string()]).status().expect("kill runs");
    assert!(status.success());
}

#[test]
fn an_edited_configuration_does_not_change_what_indexes_mean() {
    let place = Place::new();
    let two = r#"{ symbol = "AAA" }, { symbol = "BBB", tick = "0.05" }"#;
    let first = place.run(two).expect("a new directory");
    assert_eq!(first["created"], true);
    let second = place.run(two).expect("unchanged");
    assert_eq!(second["created"], false);

    // Another order, one gone, one new: what was defined keeps its place.
    place.run(r#"{ symbol = "CCC" }, { symbol = "BBB", tick = "0.05" }"#).expect("edited");
    assert_eq!(place.defined(), ["AAA", "BBB", "CCC"]);
    place.run(r#"{ symbol = "CCC" }, { symbol = "AAA" }"#).expect("edited again");
    assert_eq!(place.defined(), ["AAA", "BBB", "CCC"]);

    // A changed definition is refused, with its name and both ticks, in ten-thousandths.
    let refusal = place.run(r#"{ symbol = "DDD" }, { symbol = "BBB" }"#).expect_err("refused");
    assert!(
        ["instrument BBB", "tick 500", "says tick 100"].iter().all(|what| refusal.contains(what)),
        "{refusal}"
    );
    assert_eq!(place.defined(), ["AAA", "BBB", "CCC"], "a refusal defines nothing");
}

/// With bounds or without, from the journal alone or from a snapshot: a definition is what it was.
#[test]
fn bounds_are_part_of_the_definition() {
    let place = Place::new();
    let bounded = r#"{ symbol = "AAA", quantity_min = 5, notional_max = "1000" }, { symbol = "BBB" }"#;
    place.run(bounded).expect("a new directory");
    let again = place.run(bounded).expect("unchanged");
    assert!(again["snapshot_sequence"].is_u64(), "{again}");
    for (other, says) in [
        (r#"{ symbol = "AAA" }"#, "quantity_min 5, notional_max 100000, and the configuration says"),
        (r#"{ symbol = "AAA", quantity_min = 5, notional_max = "999.99" }"#, "notional_max 99999 "),
        (bounded.replace("}, {", r#", notional_min = "1" }, {"#).as_str(), "notional_min 100,"),
        (bounded.replace("\"BBB\"", r#""BBB", quantity_min = 2"#).as_str(), "instrument BBB"),
    ] {
        let refusal = place.run(other).expect_err("refused");
        assert!(refusal.contains(says), "{other}: {refusal}");
    }
    for snapshot in fs::read_dir(place.path("data")).expect("a directory") {
        let path = snapshot.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "snap") {
            fs::remove_file(path).expect("removes");
        }
    }
    let replayed = place.run(bounded).expect("unchanged");
    assert_eq!((&replayed["snapshot_sequence"], &replayed["state"]), (&Value::Null, &again["state"]));
}

/// All books of a replay see a market-wide command, those among them that were defined later. A book that joins those
/// of a snapshot must not show that it was not there.
#[test]
fn an_instrument_defined_after_the_end_of_a_day_is_the_same_with_a_snapshot() {
    let place = Place::new();
    place.run(r#"{ symbol = "AAA" }"#).expect("a new directory");
    let options = journal::Options {
        segment_bytes: 8 << 20,
        tail_bytes: 1 << 20,
        tail_dir: Some(place.path(".")),
        ..journal::Options::default()
    };
    let (mut log, found) =
        journal::Journal::open(place.path("data"), &options, Arc::new(|| {})).expect("opens");
    for n in 1..=2 {
        log.append_command(&Sequenced {
            sequence: Sequence(found.last_sequence.0 + n),
            nanos: found.last_nanos,
            command: Command::EndOfDay,
        })
        .expect("room");
    }
    log.close().expect("closes");

    // The snapshot knows AAA only; what came after it is replayed, and BBB is there from the start.
    let before = place.replay();
    let after = place.run(r#"{ symbol = "AAA" }, { symbol = "BBB" }"#).expect("with a new one");
    assert_eq!(after["snapshot_sequence"], found.last_sequence.0);
    assert_eq!(
        (&before["books"][0]["commands"], before["books"].as_array().map(Vec::len)),
        (&2.into(), Some(1))
    );
    assert_eq!(place.replay()["books"][1]["commands"], 2);

    // The next one knows both days, and CCC joins.
    for instruments in [
        r#"{ symbol = "AAA" }, { symbol = "BBB" }, { symbol = "CCC" }"#,
        r#"{ symbol = "AAA" }, { symbol = "BBB" }, { symbol = "CCC" }"#,
    ] {
        let recovered = place.run(instruments).expect("runs");
        assert!(recovered["snapshot_sequence"].is_u64(), "{recovered}");
        assert_eq!(recovered["state"], place.replay()["state"], "{recovered}");
    }
    assert_eq!(place.replay()["books"][2]["commands"], 2);
}
