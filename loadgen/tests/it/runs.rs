//! Whole runs.

use std::{
    collections::HashMap,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use loadgen::{Config, LoadError, Mode, Outcome, Profile, Progress, Snapshot, Source, Stop, Wait};

use crate::{
    instruments,
    server::{Heard, Manner, Server},
};

/// Flood, so that a run takes as long as it must and no longer.
fn config(server: &Server) -> Config {
    Config {
        sessions: 2,
        mode: Mode::Flood { window: 256 },
        stop: Stop::Count(20_000),
        drain: Duration::from_secs(20),
        ..Config::new(server.address, instruments(20))
    }
}

/// Everything sent is accounted for.
fn check(outcome: &Outcome, sent: u64) {
    let counts = &outcome.counts;
    assert_eq!(counts.sent(), sent);
    assert_eq!((counts.in_flight(), counts.unexpected), (0, 0), "{counts:?}");
    assert_eq!(counts.answered + counts.superfluous, sent);
    assert_eq!(outcome.latency.intended().len(), counts.answered);
    assert_eq!(outcome.latency.service.len(), counts.answered);
    assert_eq!(outcome.latency.hot.len() + outcome.latency.others.len(), counts.answered);
    assert_eq!(outcome.latency.lateness.len(), sent);
    let points = &outcome.series.points;
    assert_eq!(points.iter().map(|p| p.sent).sum::<u64>(), sent);
    assert_eq!(points.iter().map(|p| p.done).sum::<u64>(), sent);
}

fn flood(change: impl FnOnce(&mut Config)) -> (Outcome, HashMap<String, Heard>) {
    let server = Server::start(Manner::Good);
    let mut config = config(&server);
    change(&mut config);
    let outcome = loadgen::run(&config, &mut ()).unwrap();
    (outcome, server.stop())
}

#[test]
fn every_profile_and_mode_accounts_for_every_request() {
    for (profile, mode, wait) in [
        (Profile::Calm, Mode::Flood { window: 256 }, Wait::Block),
        (Profile::Zipf { exponent: 1.0 }, Mode::Flood { window: 1 }, Wait::Block),
        (Profile::Hot { percent: 80.0, period: None }, Mode::ClosedLoop { in_flight: 3 }, Wait::Spin),
        (Profile::HotSwap { period: Duration::from_millis(1) }, Mode::OpenLoop { rate: 50_000 }, Wait::Block),
        (Profile::Burst, Mode::OpenLoop { rate: 20_000 }, Wait::Spin),
    ] {
        let (outcome, heard) = flood(|c| {
            c.source = Source::Profile(profile);
            c.mode = mode;
            c.wait = wait;
            c.stop = Stop::Count(5_000);
        });
        check(&outcome, 5_000);
        let canceled = outcome.cleaned_up.expect("the clean-up ended well");
        assert_eq!(heard.values().map(|h| h.count).sum::<u64>(), 5_000 + canceled);
        assert!(heard.values().all(|h| h.logouts == 1));
        let table = outcome.table();
        let first = table.lines().next().unwrap();
        let open = matches!(mode, Mode::OpenLoop { .. });
        assert!(first.starts_with(if open { "open loop" } else { "closed loop" }), "{first}");
    }
}

#[test]
fn hot_books_and_others_are_told_apart() {
    let run = |profile: &str, mode| {
        let (outcome, _) = flood(|c| {
            c.source = Source::Profile(profile.parse().unwrap());
            c.mode = mode;
        });
        check(&outcome, 20_000);
        let table = outcome.table();
        let json: serde_json::Value = serde_json::from_str(&outcome.json()).unwrap();
        let latency = &json["latency_ns"];
        assert_eq!(latency["hot_books_from_due_time"]["count"], outcome.latency.hot.len());
        assert_eq!(latency["other_books_from_due_time"]["count"], outcome.latency.others.len());
        assert_eq!(
            table.contains("hot books") && table.contains("other books"),
            !outcome.latency.hot.is_empty()
        );
        outcome.latency.hot.len() as f64 / outcome.counts.answered as f64
    };
    let flood = Mode::Flood { window: 256 };
    assert!(run("calm", flood).abs() < 1e-9);
    let zipf = run("zipf:1", flood);
    assert!((0.2..0.35).contains(&zipf), "{zipf}: one of 20 books has 28% of the requests");
    for (profile, mode) in [
        ("hot:80%", flood),
        ("hot:80%,hot-swap:20ms", Mode::OpenLoop { rate: 100_000 }),
        ("hot:80%,hot-swap:1ms", flood),
    ] {
        let share = run(profile, mode);
        assert!((0.75..0.85).contains(&share), "{profile}: {share}");
    }
}

#[test]
fn one_seed_sends_the_same_bytes() {
    let run = |seed, mode| {
        let (outcome, heard) = flood(|c| {
            c.seed = seed;
            c.mode = mode;
            c.clean_up = false;
            c.source = Source::Profile(Profile::Zipf { exponent: 1.0 });
        });
        check(&outcome, 20_000);
        (heard["DEV1"].requests.clone(), heard["DEV2"].requests.clone())
    };
    let wide = run(7, Mode::Flood { window: 1_024 });
    assert!(wide == run(7, Mode::Flood { window: 10 }), "the stream does not hang on the pace");
    assert!(wide == run(7, Mode::OpenLoop { rate: 200_000 }), "nor on the mode");
    assert!(wide != run(8, Mode::Flood { window: 1_024 }));
}

#[test]
fn a_session_goes_on_with_the_numbers_it_has_not_used() {
    let server = Server::start(Manner::Good);
    for _ in 0..3 {
        let outcome = loadgen::run(&config(&server), &mut ()).unwrap();
        check(&outcome, 20_000);
    }
}

#[test]
fn cancels_of_filled_orders_are_superfluous_not_lost() {
    let server = Server::start(Manner::Fills);
    let outcome = loadgen::run(&config(&server), &mut ()).unwrap();
    check(&outcome, 20_000);
    let counts = &outcome.counts;
    assert_eq!(counts.superfluous, counts.cancels + counts.reductions + counts.replacements);
    assert_eq!(counts.executions, counts.entered + counts.immediate);
    assert_eq!(outcome.cleaned_up, Some(0));
}

#[test]
fn rejects_are_answers_and_are_counted_with_their_reason() {
    let server = Server::start(Manner::Rejects);
    let outcome = loadgen::run(&config(&server), &mut ()).unwrap();
    check(&outcome, 20_000);
    let reasons: Vec<_> = outcome.counts.rejects.by_reason().collect();
    assert_eq!(reasons, [(0x17, outcome.counts.entered + outcome.counts.immediate)]);
    assert!(outcome.table().contains("reason 0x17"));
    assert!(outcome.warnings.iter().any(|w| w.contains("rejected")));
}

#[test]
fn lost_answers_are_told() {
    let server = Server::start(Manner::ForgetsCancels);
    let config = Config { drain: Duration::from_millis(50), stop: Stop::Count(200), ..config(&server) };
    let outcome = loadgen::run(&config, &mut ()).unwrap();
    assert_eq!(outcome.counts.in_flight(), outcome.counts.cancels + outcome.counts.reductions);
    assert!(outcome.warnings.iter().any(|w| w.contains("had no answer")), "{:?}", outcome.warnings);
    assert_eq!(outcome.cleaned_up, None);
}

#[test]
fn a_server_that_closes_leaves_what_was_measured() {
    for manner in [Manner::ClosesAt(3_000), Manner::EndsAt(3_000), Manner::BabblesAt(3_000)] {
        let server = Server::start(manner);
        let config = Config { keep_log: true, ..config(&server) };
        let error = loadgen::run(&config, &mut ()).unwrap_err();
        let said = error.to_string();
        let LoadError::Interrupted { partial, .. } = error else { panic!("{said}") };
        assert!(partial.counts.answered > 0 && partial.counts.sent() < 20_000);
        assert!(said.contains(&partial.counts.answered.to_string()), "{said}");
        assert_eq!(partial.logs.len(), 2);
        assert!(!partial.logs[0].acknowledged().is_empty());
    }
}

#[test]
fn a_refused_login_ends_the_run_before_it_begins() {
    let server = Server::start(Manner::RefusesLogin);
    let error = loadgen::run(&config(&server), &mut ()).unwrap_err();
    assert!(matches!(error, LoadError::Start(_)), "{error}");
}

#[test]
fn too_many_sessions_are_an_error_that_says_so() {
    let server = Server::start(Manner::Good);
    let config = Config { sessions: 9, ..config(&server) };
    let said = loadgen::run(&config, &mut ()).unwrap_err().to_string();
    assert!(said.contains("9 sessions need as many users, and there are 8"), "{said}");
}

/// Lets the stalled server go on at the second snapshot.
struct GoOn(Arc<AtomicBool>, u32);

impl Progress for GoOn {
    fn snapshot(&mut self, snapshot: &Snapshot) {
        self.1 += 1;
        assert!(snapshot.answered + snapshot.superfluous <= snapshot.sent);
        if self.1 == 2 {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

#[test]
fn a_stall_is_seen_by_every_order_that_it_delays() {
    let go_on = Arc::new(AtomicBool::new(false));
    let server = Server::start(Manner::StallsAt(1_000, Arc::clone(&go_on)));
    let config = Config {
        sessions: 1,
        mode: Mode::OpenLoop { rate: 50_000 },
        stop: Stop::After(Duration::from_secs(3)),
        ..config(&server)
    };
    let outcome = loadgen::run(&config, &mut GoOn(go_on, 0)).unwrap();
    // Every order that was due was sent, though late: none was left out.
    check(&outcome, 150_000);
    assert!(outcome.stalls > 0, "the ring of orders bounds what is unanswered");
    let (intended, service) = (outcome.latency.intended(), &outcome.latency.service);
    for quantile in [0.5, 0.9, 0.99] {
        assert!(intended.value_at_quantile(quantile) >= service.value_at_quantile(quantile));
    }
    assert!(outcome.warnings.iter().any(|w| w.contains("itself was late")), "{:?}", outcome.warnings);
    assert!(outcome.table().contains("WARNING"));
}

#[test]
fn a_run_can_be_canceled() {
    struct Cancel(Arc<AtomicBool>);
    impl Progress for Cancel {
        fn snapshot(&mut self, _: &Snapshot) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let server = Server::start(Manner::Good);
    let config = Config {
        mode: Mode::OpenLoop { rate: 1_000 },
        stop: Stop::After(Duration::from_secs(3_600)),
        ..config(&server)
    };
    let outcome = loadgen::run(&config, &mut Cancel(Arc::clone(&config.cancel))).unwrap();
    check(&outcome, outcome.counts.sent());
}

#[test]
fn a_recording_is_replayed_and_accounted_for() {
    let directory = std::env::temp_dir().join(format!("loadgen-replay-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("small.csv");
    let mut file = std::fs::File::create(&path).unwrap();
    for i in 0..2_000 {
        let price = 1_000_000 + i % 7 * 100;
        writeln!(file, "34200.{i},1,{i},100,{price},1").unwrap();
        match i % 4 {
            0 => writeln!(file, "34200.{i},3,{i},100,{price},1").unwrap(),
            1 => writeln!(file, "34200.{i},2,{i},40,{price},1").unwrap(),
            2 => writeln!(file, "34200.{i},4,{i},100,{price},1").unwrap(),
            _ => writeln!(file, "34200.{i},5,0,100,{price},1").unwrap(),
        }
    }
    drop(file);
    for mode in [Mode::Flood { window: 1_024 }, Mode::OpenLoop { rate: 100_000 }] {
        let report = directory.join("report");
        let (outcome, heard) = flood(|c| {
            c.source = Source::Lobster(path.clone());
            c.mode = mode;
            c.stop = Stop::Count(u64::MAX);
            c.report = Some(report.clone());
        });
        check(&outcome, 3_500);
        assert_eq!(heard.len(), 1, "one session");
        let (rows, agreement) = outcome.recording.unwrap();
        assert_eq!((rows.rows, rows.accounted(), rows.sent()), (4_000, 4_000, 3_500));
        // The straw server fills nothing.
        assert_eq!((agreement.rows_not, agreement.units_recorded), (500, 50_000));
        let json: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(report.join("summary.json")).unwrap()).unwrap();
        assert_eq!(json["recording"]["rows"]["sent_execution"], 500);
        assert_eq!(json["requests"]["sent"], 3_500);
        assert_eq!(json["requests"]["unanswered"], 0);
        assert_eq!(json["source"], "lobster:small.csv");
    }
    let missing = Config {
        source: Source::Lobster(directory.join("missing.csv")),
        ..Config::new(([127, 0, 0, 1], 1).into(), instruments(1))
    };
    let said = loadgen::run(&missing, &mut ()).unwrap_err().to_string();
    assert!(said.contains("missing.csv") && said.contains("cannot be read"), "{said}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_report_is_written_and_stands_alone() {
    let directory = std::env::temp_dir().join(format!("loadgen-report-{}", std::process::id()));
    let (outcome, _) = flood(|c| {
        c.mode = Mode::OpenLoop { rate: 50_000 };
        c.report = Some(directory.clone());
    });
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let html = read("report.html");
    for part in [
        "<svg",
        "other books",
        "prefers-color-scheme",
        "zipf:1",
        "seed",
        "cores",
        "open loop at 50000 orders/s",
    ] {
        assert!(html.contains(part), "{part}");
    }
    for resource in ["http://", "https://", "src=", "@import", "url("] {
        let uses = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!uses.contains(resource), "the page needs nothing from elsewhere: {resource}");
    }
    let json: serde_json::Value = serde_json::from_str(&read("summary.json")).unwrap();
    assert_eq!(json["loop_kind"], "open");
    assert_eq!(json["asked_orders_per_s"], 50_000);
    assert_eq!(json["latency_ns"]["from_due_time"]["count"], outcome.counts.answered);
    for name in ["intended.hgrm", "service.hgrm", "lateness.hgrm"] {
        assert!(read(name).trim_start().starts_with("Value"), "{name}");
    }
    std::fs::remove_dir_all(&directory).unwrap();

    // A directory that cannot be made is named, and the measurement is not lost.
    let server = Server::start(Manner::Good);
    let file = std::env::temp_dir().join(format!("loadgen-file-{}", std::process::id()));
    std::fs::write(&file, "").unwrap();
    let config = Config { report: Some(file.join("report")), stop: Stop::Count(100), ..config(&server) };
    let error = loadgen::run(&config, &mut ()).unwrap_err();
    std::fs::remove_file(&file).unwrap();
    let LoadError::Report { outcome, .. } = error else { panic!("{error}") };
    assert_eq!(outcome.counts.sent(), 100);
}
