//! Whole runs over FIX.

use std::{collections::HashMap, io::Write, time::Duration};

use loadgen::{Config, LoadError, Mode, Outcome, Profile, Protocol, Source, Stop, Version, Wait};

use crate::{
    host::{HOST, Host, Kept, Manner},
    instruments,
};

fn config(host: &Host, version: Version) -> Config {
    Config {
        protocol: Protocol::Fix { target: HOST.into(), version },
        sessions: 2,
        mode: Mode::Flood { window: 256 },
        stop: Stop::Count(10_000),
        drain: Duration::from_secs(20),
        ..Config::new(host.address, instruments(20))
    }
}

/// Everything sent is accounted for, and the host has heard it.
fn check(outcome: &Outcome, sent: u64, heard: &HashMap<String, Kept>) {
    let counts = &outcome.counts;
    assert_eq!(counts.sent(), sent);
    assert_eq!((counts.in_flight(), counts.unexpected), (0, 0), "{counts:?}");
    assert_eq!(counts.answered + counts.superfluous, sent);
    assert_eq!(outcome.latency.intended().len(), counts.answered);
    let of_all = |count: fn(&Kept) -> u64| heard.values().map(count).sum::<u64>();
    assert_eq!(of_all(|kept| kept.orders), counts.entered + counts.immediate);
    assert_eq!(of_all(|kept| kept.replacements), counts.replacements + counts.reductions);
    let cleaned_up = outcome.cleaned_up.unwrap_or(0);
    assert_eq!(of_all(|kept| kept.cancels), counts.cancels + cleaned_up);
    assert!(heard.values().all(|kept| kept.ids.values().all(|times| *times == 1)), "each id once");
}

fn run(
    manner: Manner,
    version: Version,
    change: impl FnOnce(&mut Config),
) -> (Outcome, HashMap<String, Kept>) {
    let host = Host::start(manner);
    let mut config = config(&host, version);
    change(&mut config);
    let outcome = loadgen::run(&config, &mut ()).unwrap();
    (outcome, host.stop())
}

#[test]
fn every_profile_and_mode_accounts_for_every_request() {
    for (version, profile, mode, wait) in [
        (Version::Fix44, Profile::Calm, Mode::Flood { window: 256 }, Wait::Block),
        (Version::Fix50Sp2, Profile::Zipf { exponent: 1.0 }, Mode::ClosedLoop { in_flight: 3 }, Wait::Spin),
        (Version::Fix44, Profile::Burst, Mode::OpenLoop { rate: 10_000 }, Wait::Block),
    ] {
        let (outcome, heard) = run(Manner::Good, version, |config| {
            config.source = Source::Profile(profile);
            config.mode = mode;
            config.wait = wait;
        });
        check(&outcome, 10_000, &heard);
        let counts = &outcome.counts;
        assert!(counts.reductions > 0 && counts.replacements > 0 && counts.cancels > 0, "{counts:?}");
        assert_eq!((counts.superfluous, counts.rejects.total()), (0, 0), "the host fills nothing");
        assert!(outcome.cleaned_up.is_some_and(|canceled| canceled > 0));
        assert!(outcome.table().contains("FIX"), "{}", outcome.table());
    }
}

#[test]
fn one_run_follows_another_on_the_same_sessions() {
    let host = Host::start(Manner::Good);
    let mut config = config(&host, Version::Fix44);
    config.stop = Stop::Count(1_000);
    for _ in 0..3 {
        let outcome = loadgen::run(&config, &mut ()).unwrap();
        assert_eq!((outcome.counts.in_flight(), outcome.counts.unexpected), (0, 0));
        assert_eq!(outcome.counts.rejects.total(), 0);
    }
    assert!(host.stop().values().all(|kept| kept.ids.values().all(|times| *times == 1)), "each id once");
}

#[test]
fn what_comes_too_late_is_superfluous_though_it_is_refused() {
    let (outcome, heard) = run(Manner::Fills, Version::Fix44, |_| {});
    check(&outcome, 10_000, &heard);
    let counts = &outcome.counts;
    assert_eq!(counts.superfluous, counts.cancels + counts.reductions + counts.replacements);
    assert_eq!(counts.executions, counts.entered + counts.immediate);
    assert_eq!(counts.rejects.total(), 0, "a refusal of what is over answers nothing");
}

#[test]
fn rejects_are_answers_and_are_counted_with_their_reason() {
    let (outcome, heard) = run(Manner::Rejects, Version::Fix50Sp2, |_| {});
    check(&outcome, 10_000, &heard);
    let counts = &outcome.counts;
    let orders = counts.entered + counts.immediate;
    assert_eq!(counts.rejects.by_reason().collect::<Vec<_>>(), [(99, orders)]);
    let json: serde_json::Value = serde_json::from_str(&outcome.json()).unwrap();
    assert_eq!(json["rejects_by_reason"][0], serde_json::json!({ "fix_reason": 99, "count": orders }));
    assert!(json["protocol"].as_str().is_some_and(|protocol| protocol.starts_with("FIX")));
}

#[test]
fn a_recording_with_many_reductions_is_replayed() {
    let path = std::env::temp_dir().join(format!("loadgen-fix-{}.csv", std::process::id()));
    let mut file = std::fs::File::create(&path).unwrap();
    for i in 0..200 {
        let price = 1_000_000 + i % 7 * 100;
        writeln!(file, "34200.{i},1,{i},100,{price},1").unwrap();
        for _ in 0..i % 5 {
            writeln!(file, "34200.{i},2,{i},10,{price},1").unwrap();
        }
        writeln!(file, "34200.{i},3,{i},{},{price},1", 100 - i % 5 * 10).unwrap();
    }
    drop(file);
    let (outcome, heard) = run(Manner::Good, Version::Fix44, |config| {
        config.source = Source::Lobster(path.clone());
        config.mode = Mode::Flood { window: 64 };
        config.stop = Stop::Count(u64::MAX);
    });
    std::fs::remove_file(&path).unwrap();
    check(&outcome, 800, &heard);
    assert_eq!(outcome.counts.reductions, 400);
    assert_eq!(outcome.counts.superfluous, 0);
}

#[test]
fn a_host_that_cuts_the_connection_off_leaves_what_was_measured() {
    let host = Host::start(Manner::CutsAt(1_000));
    let error = loadgen::run(&config(&host, Version::Fix44), &mut ()).unwrap_err();
    let said = error.to_string();
    let LoadError::Interrupted { partial, .. } = error else { panic!("{said}") };
    assert!(partial.counts.answered > 0 && partial.counts.sent() < 10_000, "{said}");
}

#[test]
fn what_cannot_be_is_said_before_anything_is_sent() {
    let host = Host::start(Manner::Good);
    let good = config(&host, Version::Fix44);
    let said = |config: Config| loadgen::run(&config, &mut ()).unwrap_err().to_string();
    assert!(said(Config { keep_log: true, ..good.clone() }).contains("SoupBinTCP"));
    let other = Protocol::Fix { target: "OTHER".into(), version: Version::Fix44 };
    assert!(said(Config { protocol: other, ..good.clone() }).contains("CompIDs"));
    let broken = Protocol::Fix { target: "A\x01B".into(), version: Version::Fix44 };
    assert!(said(Config { protocol: broken, ..good }).contains("field 56"));
}
