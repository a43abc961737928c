//! `exchange simulate`: what it prints, writes, reads and refuses.

use std::fs;

use serde_json::Value;

use crate::venue::{json, output, printed};

/// What a short run prints.
fn report(args: &[&str]) -> Value {
    json(&[&["simulate", "--quick", "--commands", "20000", "--json"], args].concat())
}

/// The p99 of a policy in the first table, in nanoseconds.
fn p99(report: &Value, policy: &str) -> u64 {
    let rows = report["tables"][0]["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["name"] == policy).unwrap_or_else(|| panic!("{policy} in {report}"));
    row["cells"][1].as_u64().expect("a time")
}

#[test]
fn policies_are_compared_with_the_ideal_and_one_seed_is_one_result() {
    let args = ["--cores", "4", "--books", "500", "--load", "80", "--seed", "7"];
    let one = report(&args);
    assert!(p99(&one, "ideal") < p99(&one, "full") && p99(&one, "full") < p99(&one, "static hash"), "{one}");
    assert_eq!(one, report(&args));
    assert_ne!(one, report(&["--cores", "4", "--books", "500", "--load", "80", "--seed", "8"]));
}

#[test]
fn one_policy_can_be_named() {
    let one = report(&["--placement", "lpt", "--policy", "steal", "--zipf", "0.8"]);
    let names: Vec<_> =
        one["tables"][0]["rows"].as_array().expect("rows").iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["ideal", "steal"]);
}

#[test]
fn costs_and_rates_come_from_files_and_a_page_goes_to_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("a name in UTF-8").to_owned();
    let (costs, rates, page) = (path("costs"), path("rates.csv"), path("page.html"));
    fs::write(&costs, "service_nanos = 100\n").expect("written");
    let day: String = (0..50).map(|n| format!("S{n},{},2,{}\n", 100_000 / (n + 1), 40 + n)).collect();
    fs::write(&rates, format!("symbol,inside_updates,p99_per_s,max_per_s\n{day}")).expect("written");
    let one = report(&["--costs", &costs, "--rates", &rates, "--html", &page]);
    assert!(one["facts"]["costs"].as_str().expect("a text").starts_with("a command 100 ns"), "{one}");
    assert_eq!(one["title"], "8 cores, 50 books");
    let page = fs::read_to_string(page).expect("a page");
    assert!(page.contains("<svg") && !page.contains("://"), "it needs no other file");
}

#[test]
fn calibration_writes_costs_that_can_be_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("costs");
    let file = file.to_str().expect("a name in UTF-8");
    let said = printed(&["simulate", "--calibrate", "--quick", "--save", file]);
    assert!(said.contains("refill_nanos"), "{said}");
    let one = report(&["--costs", file]);
    assert!(p99(&one, "ideal") > 0);
}

#[test]
fn what_cannot_be_simulated_is_refused_with_its_reason() {
    for (args, says) in [
        (&["--profile", "storm"][..], "no profile \"storm\""),
        (&["--load", "0"], "--load 0"),
        (&["--period", "1ns"], "--period 1ns"),
        (&["--row", "20"], "--row from 1 to --burst"),
        (&["--costs", "/nowhere/costs"], "cannot read /nowhere/costs"),
        (&["--rates", "/nowhere/rates"], "cannot read /nowhere/rates"),
    ] {
        let output = output(&[&["simulate"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?} does not say {says}: {said}");
    }
    assert_eq!(output(&["simulate", "--cores", "129"]).status.code(), Some(2));
}
