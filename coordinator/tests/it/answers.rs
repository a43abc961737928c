//! What the client makes of each kind of answer, and of none.

use std::time::{Duration, Instant};

use coordinator::{Compare, Error, Failure, LeaseId, Operation, Renewal, Revision};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::server::{Script, Server, client, hasty, nobody};

const HEADER: &str = r#""header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"7","raft_term":"2"}"#;

fn found() -> Script {
    let kv =
        r#"{"key":"aw==","create_revision":"3","mod_revision":"5","version":"2","value":"dg==","lease":"9"}"#;
    Script::Json(200, format!(r#"{{{HEADER},"kvs":[{kv}],"count":"1"}}"#))
}

fn lease(id: i64) -> LeaseId {
    LeaseId::new(id).expect("a number")
}

#[test]
fn an_answer_is_read() {
    let server = Server::start(found());
    let client = client(&[&server.endpoint]);
    let key = client.get("k").unwrap().unwrap();
    assert_eq!((key.key, key.value), (b"k".to_vec(), b"v".to_vec()));
    assert_eq!((key.create_revision, key.mod_revision, key.version), (Revision(3), Revision(5), 2));
    assert_eq!(key.lease, LeaseId::new(9));
}

#[test]
fn garbage_is_malformed_and_a_write_may_have_happened() {
    let wrong = [
        Script::Raw(b"\x16\x03\x01 this is no HTTP\r\n\r\n".to_vec()),
        Script::Raw(b"HTTP/9.9 abc\r\n\r\n".to_vec()),
        Script::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n".to_vec()),
        Script::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzzzz\r\n".to_vec()),
        Script::Json(200, "<html>".to_owned()),
        Script::Json(200, String::new()),
        Script::Json(200, "[]".to_owned()),
        Script::Json(200, "{}".to_owned()),
        Script::Json(200, "[".repeat(20_000)),
        Script::Json(200, r#"{"header":{"revision":"-3"}}"#.to_owned()),
        Script::Json(200, r#"{"header":{"revision":[]}}"#.to_owned()),
        Script::Json(404, "Not Found".to_owned()),
        Script::Json(307, format!("{{{HEADER}}}")),
        Script::Json(500, "{}".to_owned()),
    ];
    for script in wrong {
        let server = Server::start(script.clone());
        let client = client(&[&server.endpoint]);
        let error = client.get("k").unwrap_err();
        assert!(
            matches!(error, Error::Malformed { may_have_happened: false, .. }),
            "{script:?}: {error} ({error:?})"
        );
        let error = client.put("k", "v", None).unwrap_err();
        assert!(
            matches!(error, Error::Malformed { may_have_happened: true, .. }),
            "{script:?}: {error} ({error:?})"
        );
        assert!(error.may_have_happened());
        assert_eq!(server.requests(), 2, "{script:?}: a write is sent once");
    }
}

#[test]
fn nobody_is_led_elsewhere() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::start(found());
        let to = format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {}/v3/kv/range\r\ncontent-length: 0\r\n\r\n",
            elsewhere.endpoint
        );
        let server = Server::start(Script::Raw(to.into_bytes()));
        let error = client(&[&server.endpoint]).get("k").unwrap_err();
        assert!(error.to_string().contains(&format!("HTTP status {status}")), "{error}");
        assert_eq!(elsewhere.requests(), 0);
    }
}

#[test]
fn answers_without_end_are_cut_off() {
    let body = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n".to_vec();
    let chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffff\r\n".to_vec();
    let until_close = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    for begin in [body, chunk, until_close] {
        let server = Server::start(Script::Endless(begin));
        let error = client(&[&server.endpoint]).get("k").unwrap_err();
        assert!(error.to_string().contains("more than 65536 bytes"), "{error}");
    }
    let server = Server::start(Script::Endless(b"HTTP/1.1 200 OK\r\nx: ".to_vec()));
    let error = client(&[&server.endpoint]).get("k").unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

#[test]
fn a_connection_closed_early_is_lost_and_a_write_ambiguous() {
    let early: [&[u8]; 4] = [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"header\"",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n50\r\n{\"header\"",
    ];
    for bytes in early {
        let server = Server::start(Script::Raw(bytes.to_vec()));
        let client = client(&[&server.endpoint]);
        let Error::Unreachable(attempts) = client.get("k").unwrap_err() else { panic!("{bytes:?}") };
        assert!(matches!(attempts.0[0].failure, Failure::Lost(_)), "{attempts}");
        let error = client.put("k", "v", None).unwrap_err();
        assert!(matches!(error, Error::Ambiguous(_)) && error.may_have_happened(), "{error}");
    }
}

#[test]
fn time_is_bounded_whatever_the_server_does() {
    for script in [Script::Silent, Script::Drip] {
        let server = Server::start(script.clone());
        let client = hasty(&[&server.endpoint]);
        let begin = Instant::now();
        let Error::Unreachable(attempts) = client.get("k").unwrap_err() else { panic!("{script:?}") };
        assert!(matches!(attempts.0[0].failure, Failure::TimedOut { .. }), "{attempts}");
        let error = client.transaction(&[], &[Operation::delete("k")], &[]).unwrap_err();
        assert!(error.may_have_happened(), "{script:?}: {error}");
        // Generous: it must end, and not when the server likes.
        assert!(begin.elapsed() < Duration::from_secs(30), "{script:?} took {:?}", begin.elapsed());
    }
}

#[test]
fn where_nobody_listens_nothing_has_happened() {
    let (one, other) = (nobody(), nobody());
    let error = hasty(&[&one, &other]).put("k", "v", None).unwrap_err();
    assert!(!error.may_have_happened());
    let text = error.to_string();
    assert!(text.contains(&one) && text.contains(&other), "{text}");
    let Error::Unreachable(attempts) = error else { panic!("{text}") };
    assert!(attempts.0.iter().all(|attempt| matches!(attempt.failure, Failure::NotSent(_))), "{attempts}");
}

#[test]
fn the_next_endpoint_is_asked_and_remembered() {
    let (silent, good) = (Server::start(Script::Silent), Server::start(found()));
    let client = hasty(&[&nobody(), &silent.endpoint, &good.endpoint]);
    assert!(client.get("k").unwrap().is_some());
    assert_eq!((silent.requests(), good.requests()), (1, 1));
    assert!(client.get("k").unwrap().is_some());
    assert_eq!((silent.requests(), good.requests()), (1, 2), "the one that answered is asked first");
}

#[test]
fn a_write_goes_to_the_next_endpoint_only_if_the_one_before_was_not_given_it() {
    let put = || Server::start(Script::Json(200, format!("{{{HEADER}}}")));
    let good = put();
    assert_eq!(client(&[&nobody(), &good.endpoint]).put("k", "v", None).unwrap(), Revision(7));
    assert_eq!(good.requests(), 1);

    let (silent, good) = (Server::start(Script::Silent), put());
    let client = hasty(&[&silent.endpoint, &good.endpoint]);
    let error = client.put("k", "v", None).unwrap_err();
    assert!(matches!(error, Error::Ambiguous(_)), "{error}");
    assert_eq!((silent.requests(), good.requests()), (1, 0), "not sent twice");
    assert_eq!(client.put("k", "v", None).unwrap(), Revision(7), "another call begins elsewhere");
}

#[test]
fn a_server_that_closes_without_reading_never_has_a_write_done_twice() {
    // Whether the body was taken before the close showed is a race; either answer is right, two requests are not.
    for _ in 0..50 {
        let closing = Server::start(Script::CloseUnread);
        let good = Server::start(Script::Json(200, format!("{{{HEADER}}}")));
        match client(&[&closing.endpoint, &good.endpoint]).put("k", "v", None) {
            Ok(_) => assert_eq!(good.requests(), 1),
            Err(error) => {
                assert!(matches!(error, Error::Ambiguous(_)), "{error}");
                assert_eq!(good.requests(), 0);
            }
        }
    }
}

#[test]
fn refusals_are_told_apart_by_what_they_leave_open() {
    let refusal =
        |code: i64| format!(r#"{{"error":"etcdserver: why","code":{code},"message":"etcdserver: why"}}"#);
    // Invalid argument, failed precondition, no space: nothing was done.
    for code in [3, 9, 8, 11, 16] {
        let server = Server::start(Script::Json(400, refusal(code)));
        let error = client(&[&server.endpoint]).put("k", "v", None).unwrap_err();
        let message = "etcdserver: why".to_owned();
        assert_eq!(error, Error::Refused { endpoint: server.endpoint.clone(), code, message });
        assert!(!error.may_have_happened());
    }
    // Time-out inside, no leader, leader lost: it may have been proposed.
    for code in [2, 4, 13, 14] {
        let server = Server::start(Script::Json(503, refusal(code)));
        let client = client(&[&server.endpoint]);
        assert!(client.put("k", "v", None).unwrap_err().may_have_happened(), "code {code}");
        let Error::Unreachable(attempts) = client.get("k").unwrap_err() else { panic!("code {code}") };
        assert!(matches!(attempts.0[0].failure, Failure::Unavailable { .. }), "{attempts}");
    }
}

#[test]
fn a_read_goes_on_from_a_member_without_a_leader() {
    let alone = Server::start(Script::Json(
        503,
        r#"{"error":"etcdserver: no leader","code":14,"message":"etcdserver: no leader"}"#.to_owned(),
    ));
    let good = Server::start(found());
    assert!(client(&[&alone.endpoint, &good.endpoint]).get("k").unwrap().is_some());
    assert_eq!((alone.requests(), good.requests()), (1, 1));
}

#[test]
fn a_lease_that_is_gone_is_said_to_be_gone() {
    let renewal = |body: &str| {
        let server = Server::start(Script::Json(200, body.to_owned()));
        client(&[&server.endpoint]).lease_keepalive(lease(5))
    };
    let renewed = format!(r#"{{"result":{{{HEADER},"ID":"5","TTL":"10"}}}}"#);
    assert_eq!(renewal(&renewed).unwrap(), Renewal::Renewed { ttl_seconds: 10 });
    assert_eq!(renewal(&format!(r#"{{"result":{{{HEADER},"ID":"5"}}}}"#)).unwrap(), Renewal::Gone);
    let refused =
        r#"{"error":{"grpc_code":5,"http_code":404,"message":"etcdserver: requested lease not found"}}"#;
    assert_eq!(renewal(refused).unwrap(), Renewal::Gone);
    // Another lease's answer, or a time that is none, renews nothing.
    assert!(matches!(renewal(&renewed.replace("\"5\"", "\"6\"")), Err(Error::Malformed { .. })));
    assert!(matches!(renewal(&renewed.replace("\"10\"", "\"-10\"")), Err(Error::Malformed { .. })));
    assert!(matches!(renewal(&renewed.replace("\"10\"", "\"99999999999\"")), Err(Error::Malformed { .. })));
}

#[test]
fn a_transaction_that_only_reads_may_be_asked_twice() {
    let silent = Server::start(Script::Silent);
    let good = Server::start(Script::Json(
        200,
        format!(
            r#"{{{HEADER},"succeeded":true,"responses":[{{"response_range":{{"header":{{"revision":"7"}}}}}}]}}"#
        ),
    ));
    let client = hasty(&[&silent.endpoint, &good.endpoint]);
    let outcome = client.transaction(&[Compare::absent("k")], &[Operation::get("k")], &[]).unwrap();
    assert!(outcome.succeeded);
    assert_eq!(outcome.answers, [coordinator::Answer::Got(None)]);
}

/// Good answers with bytes changed, put in and cut out, and plain noise: an error or an answer, never a panic, and a
/// write is given away once at most.
#[test]
fn wild_answers_end_in_an_error_or_an_answer() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seeded::seed());
    let whole = format!(
        r#"{{{HEADER},"succeeded":true,"responses":[{{"response_put":{{}}}},{{"response_delete_range":{{"deleted":"1"}}}}]}}"#
    );
    let mut read = 0;
    for _ in 0..300 {
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{whole}", whole.len()).into_bytes();
        if rng.random_ratio(1, 10) {
            bytes = vec![0; rng.random_range(0..3_000)];
            rng.fill_bytes(&mut bytes);
        }
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(0..bytes.len().max(1));
            match rng.random_range(0..3) {
                0 if !bytes.is_empty() => bytes[at] = rng.random(),
                1 => bytes.insert(at, rng.random()),
                _ => bytes.truncate(at),
            }
        }
        let server = Server::start(Script::Raw(bytes));
        let client = client(&[&server.endpoint, &server.endpoint]);
        let operations = [Operation::put("k", "v", None), Operation::delete("d")];
        match client.transaction(&[], &operations, &operations) {
            Ok(outcome) => {
                read += 1;
                assert_eq!(outcome.answers.len(), 2);
            }
            Err(Error::Refused { .. }) => {}
            Err(error) => assert!(error.may_have_happened(), "{error}"),
        }
        assert_eq!(server.requests(), 1);
    }
    assert!(read > 0, "some are good as they are");
}
