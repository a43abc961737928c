//! The client against a real etcd of three members: `scripts/check.sh etcd`.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use coordinator::{
    Answer, Client, Compare, Error, Lease, Operation, Options, Renewal, Revision, Tls,
    local::{LocalEtcd, LocalOptions},
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use tempfile::TempDir;

/// How long anything may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(120);

/// Three members, in a directory that goes away.
fn three() -> (TempDir, LocalEtcd) {
    let dir = tempfile::tempdir().expect("a directory");
    let etcd = LocalEtcd::start(dir.path(), LocalOptions::new(3)).expect("etcd comes up");
    (dir, etcd)
}

/// A client that is patient, for a slow machine.
fn patient(etcd: &LocalEtcd) -> Client {
    let options = Options { attempt: Duration::from_secs(5), call: Duration::from_secs(15), ..etcd.client() };
    Client::new(&options).expect("good options")
}

/// Asks until there is an answer; for reads and what may be asked twice.
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<T, Error>) -> T {
    let begin = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(begin.elapsed() < PATIENCE, "{what}: {error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until there is a leader.
fn leader(etcd: &LocalEtcd) -> usize {
    let begin = Instant::now();
    loop {
        if let Some(leader) = etcd.leader() {
            return leader;
        }
        assert!(begin.elapsed() < PATIENCE, "no leader");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_put_is_read_and_what_is_deleted_is_gone() {
    let (_dir, etcd) = three();
    let client = patient(&etcd);
    assert_eq!(client.get("k").unwrap(), None);
    let first = client.put("k", "one", None).unwrap();
    let second = client.put("k", vec![0_u8, 255, 10], None).unwrap();
    assert!(second > first);
    let key = client.get("k").unwrap().unwrap();
    assert_eq!((key.value.as_slice(), key.version, key.lease), (&[0_u8, 255, 10][..], 2, None));
    assert_eq!((key.create_revision, key.mod_revision), (first, second));

    for name in ["p/1", "p/2", "p/3", "q"] {
        client.put(name, name, None).unwrap();
    }
    let keys = |range: coordinator::Range| range.items.into_iter().map(|item| item.key).collect::<Vec<_>>();
    assert_eq!(keys(client.range("p/", 10).unwrap()), [b"p/1", b"p/2", b"p/3"]);
    let cut = client.range("p/", 2).unwrap();
    assert_eq!((cut.items.len(), cut.count), (2, 3));
    assert_eq!(keys(client.range("", 10).unwrap()).len(), 5, "every key has the empty prefix");

    assert!(client.delete("p/2").unwrap());
    assert!(!client.delete("p/2").unwrap());
    assert_eq!(client.get("p/2").unwrap(), None);
}

#[test]
fn a_transaction_does_one_list_or_the_other() {
    let (_dir, etcd) = three();
    let client = patient(&etcd);
    let write = [Operation::put("k", "v", None), Operation::get("k")];
    let read = [Operation::get("k"), Operation::delete("k")];
    let made = client.transaction(&[Compare::absent("k")], &write, &read).unwrap();
    assert!(made.succeeded);
    assert_eq!(made.answers[0], Answer::Put);
    let Answer::Got(Some(key)) = &made.answers[1] else { panic!("{made:?}") };
    assert_eq!((key.create_revision, key.mod_revision, key.version), (made.revision, made.revision, 1));

    // Each kind of condition, once as it is and once as it is not.
    let conditions = [
        (Compare::create_revision("k", made.revision), true),
        (Compare::create_revision("k", Revision(made.revision.0 + 1)), false),
        (Compare::mod_revision("k", made.revision), true),
        (Compare::mod_revision("k", Revision(1)), false),
        (Compare::version("k", 1), true),
        (Compare::version("k", 2), false),
        (Compare::value("k", "v"), true),
        (Compare::value("k", "w"), false),
        (Compare::absent("k"), false),
        (Compare::absent("other"), true),
    ];
    for (condition, holds) in conditions {
        let outcome = client.transaction(std::slice::from_ref(&condition), &[], &[]).unwrap();
        assert_eq!(outcome.succeeded, holds, "{condition:?}");
    }
    let both = [Compare::version("k", 1), Compare::value("k", "w")];
    let other = client.transaction(&both, &write, &read).unwrap();
    assert!(!other.succeeded);
    assert_eq!(other.answers[1], Answer::Deleted(1));
    // etcd refuses two writes of one key in a transaction, and nothing has happened.
    let error = client.transaction(&[], &[write[0].clone(), write[0].clone()], &[]).unwrap_err();
    assert!(matches!(&error, Error::Refused { code: 3, .. }), "{error:?}");
    assert_eq!(client.get("k").unwrap(), None);
}

#[test]
fn a_lease_expires_its_key_goes_and_a_keepalive_says_so() {
    let (_dir, etcd) = three();
    let client = patient(&etcd);
    let lease = client.lease_grant(2).unwrap();
    client.put("leader", "a", Some(lease.id)).unwrap();
    assert_eq!(client.get("leader").unwrap().unwrap().lease, Some(lease.id));

    // Kept alive for longer than it would live.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(u64::from(lease.ttl_seconds) + 2) {
        let renewal = client.lease_keepalive(lease.id).unwrap();
        assert_eq!(renewal, Renewal::Renewed { ttl_seconds: lease.ttl_seconds });
        thread::sleep(Duration::from_millis(200));
    }
    let left = client.lease_time_to_live(lease.id).unwrap().expect("it lives");
    assert_eq!(left.granted_seconds, lease.ttl_seconds);
    assert!(left.remaining_seconds <= lease.ttl_seconds);
    assert!(client.get("leader").unwrap().is_some());

    // Left alone.
    let begin = Instant::now();
    while client.get("leader").unwrap().is_some() {
        assert!(begin.elapsed() < PATIENCE, "the key outlives its lease");
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.lease_keepalive(lease.id).unwrap(), Renewal::Gone);
    assert_eq!(client.lease_time_to_live(lease.id).unwrap(), None);
    let error = client.put("leader", "a", Some(lease.id)).unwrap_err();
    assert!(matches!(error, Error::Refused { code: 5, .. }), "{error:?}");
    client.lease_revoke(lease.id).expect("revoking what is gone is fine");

    let lease = client.lease_grant(600).unwrap();
    client.put("leader", "b", Some(lease.id)).unwrap();
    client.lease_revoke(lease.id).unwrap();
    assert_eq!(client.get("leader").unwrap(), None, "revoked with its key");
}

#[test]
fn of_eight_that_compare_and_swap_one_wins_each_round() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 20;
    let (_dir, etcd) = three();
    let client = patient(&etcd);
    client.put("epoch", "0", None).unwrap();
    let barrier = Barrier::new(THREADS);
    let wins: Vec<AtomicUsize> = (0..ROUNDS).map(|_| AtomicUsize::new(0)).collect();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (client, barrier, wins) = (&client, &barrier, &wins);
            scope.spawn(move || {
                for won in wins {
                    let seen = client.get("epoch").unwrap().expect("it is there").mod_revision;
                    // All have read the same before any of them writes.
                    barrier.wait();
                    let put = [Operation::put("epoch", number.to_string(), None)];
                    let outcome =
                        client.transaction(&[Compare::mod_revision("epoch", seen)], &put, &[]).unwrap();
                    if outcome.succeeded {
                        won.fetch_add(1, Ordering::SeqCst);
                    }
                    barrier.wait();
                }
            });
        }
    });
    let wins: Vec<usize> = wins.into_iter().map(AtomicUsize::into_inner).collect();
    assert_eq!(wins, [1; ROUNDS]);
    assert_eq!(client.get("epoch").unwrap().unwrap().version, 1 + ROUNDS as i64);
}

#[test]
fn the_leader_is_killed_and_no_write_is_lost_or_said_to_be_what_it_is_not() {
    let (_dir, mut etcd) = three();
    let client = patient(&etcd);
    client.put("n", "0", None).unwrap();
    let lease = client.lease_grant(60).unwrap();
    client.put("owner", "a", Some(lease.id)).unwrap();
    // A counter raised by compare-and-swap: whoever is told that a raise failed for certain must not find it done.
    let mut value = 0_u64;
    let mut raise = |client: &Client| -> bool {
        let compares = [Compare::value("n", value.to_string())];
        let operations = [Operation::put("n", (value + 1).to_string(), None)];
        match client.transaction(&compares, &operations, &[]) {
            Ok(outcome) => {
                assert!(outcome.succeeded, "nobody else raises it");
                value += 1;
                true
            }
            Err(error) => {
                let key = eventually("a read after the kill", || client.get("n")).expect("it is there");
                let now: u64 = String::from_utf8(key.value).unwrap().parse().unwrap();
                assert!(now == value || now == value + 1, "{value}, and then {now}");
                assert!(now == value || error.may_have_happened(), "done, though said not to be: {error}");
                if error.may_have_happened() {
                    // It may still happen: a barrier makes it settle. Any write after it in the log will do.
                    eventually("a barrier", || client.put("barrier", "", None));
                    let key = client.get("n").unwrap().expect("it is there");
                    value = String::from_utf8(key.value).unwrap().parse().unwrap();
                }
                false
            }
        }
    };
    for _ in 0..2 {
        for _ in 0..20 {
            raise(&client);
        }
        let old = leader(&etcd);
        etcd.kill(old);
        let begin = Instant::now();
        while !raise(&client) {
            assert!(begin.elapsed() < PATIENCE, "two of three members do not go on");
        }
        assert_ne!(leader(&etcd), old);
        let renewal = eventually("a keepalive", || client.lease_keepalive(lease.id));
        assert_eq!(renewal, Renewal::Renewed { ttl_seconds: 60 }, "a lease outlives a leader");
        etcd.restart(old).unwrap();
        etcd.wait_ready().unwrap();
    }
    assert!(eventually("a read", || client.get("owner")).is_some());
}

/// Four clients write keys of their own, each once, while leaders are paused and killed at moments that the seed
/// decides. In the end what was said to be done is there, what was said not to be done is not, and only what was left
/// open may be either.
#[test]
fn what_writers_were_told_is_what_is_there_through_pauses_and_kills() {
    const WRITERS: usize = 4;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seeded::seed());
    let (_dir, mut etcd) = three();
    let stop = AtomicBool::new(false);
    let clients: Vec<Client> = (0..WRITERS)
        .map(|writer| {
            let mut endpoints = etcd.endpoints();
            endpoints.rotate_left(writer % 3);
            let (attempt, call) = (Duration::from_millis(200), Duration::from_millis(600));
            Client::new(&Options { endpoints, attempt, call, ..etcd.client() }).expect("good options")
        })
        .collect();
    let told: Vec<(String, Result<bool, bool>)> = thread::scope(|scope| {
        let writers: Vec<_> = clients
            .iter()
            .enumerate()
            .map(|(writer, client)| {
                let stop = &stop;
                scope.spawn(move || {
                    let mut told = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        let key = format!("w/{writer}/{:06}", told.len());
                        let put = [Operation::put(key.clone(), "", None)];
                        let outcome = client.transaction(&[Compare::absent(key.clone())], &put, &[]);
                        // Done or not, or else whether it may have been.
                        told.push((
                            key,
                            outcome
                                .map(|outcome| outcome.succeeded)
                                .map_err(|error| error.may_have_happened()),
                        ));
                    }
                    told
                })
            })
            .collect();
        for round in 0..4 {
            thread::sleep(Duration::from_millis(rng.random_range(100..700)));
            let old = leader(&etcd);
            if round % 2 == 0 {
                etcd.pause(old).unwrap();
                // Longer than an attempt, so that somebody waits in vain; perhaps long enough for another leader.
                thread::sleep(Duration::from_millis(rng.random_range(400..2_500)));
                etcd.resume(old).unwrap();
            } else {
                etcd.kill(old);
                thread::sleep(Duration::from_millis(rng.random_range(100..2_500)));
                etcd.restart(old).unwrap();
            }
            etcd.wait_ready().unwrap();
        }
        // Nobody at all for a while: what is written then reaches no one.
        (0..3).for_each(|member| etcd.kill(member));
        thread::sleep(Duration::from_millis(300));
        (0..3).for_each(|member| etcd.restart(member).unwrap());
        etcd.wait_ready().unwrap();
        thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::SeqCst);
        writers.into_iter().flat_map(|writer| writer.join().expect("it does not panic")).collect()
    });
    // Behind everything that was proposed before.
    let client = patient(&etcd);
    eventually("a barrier", || client.put("barrier", "", None));
    let there: BTreeSet<Vec<u8>> =
        client.range("w/", u32::MAX).unwrap().items.into_iter().map(|item| item.key).collect();
    let (mut done, mut not_done, mut open) = (0, 0, 0);
    for (key, outcome) in &told {
        let is_there = there.contains(key.as_bytes());
        match outcome {
            Ok(succeeded) => {
                assert!(*succeeded, "{key}: nobody else writes it");
                assert!(is_there, "{key} was done and is gone");
                done += 1;
            }
            Err(false) => {
                assert!(!is_there, "{key} was said not to be done");
                not_done += 1;
            }
            Err(true) => open += 1,
        }
    }
    println!("{done} done, {not_done} not done, {open} left open");
    assert!(done > 0 && not_done > 0 && open > 0, "{done} done, {not_done} not done, {open} left open");
    assert!(there.len() <= done + open, "{} are there", there.len());
}

#[test]
fn a_paused_leader_leaves_a_write_ambiguous_and_the_client_goes_on() {
    let (_dir, mut etcd) = three();
    let paused = leader(&etcd);
    // Begins with the leader, which takes the request and says nothing.
    let mut endpoints = etcd.endpoints();
    endpoints.rotate_left(paused);
    let hasty = Options {
        attempt: Duration::from_millis(300),
        call: Duration::from_millis(900),
        endpoints,
        ..etcd.client()
    };
    let hasty = Client::new(&hasty).unwrap();
    etcd.pause(paused).unwrap();
    let error = hasty.put("k", "v", None).unwrap_err();
    assert!(matches!(error, Error::Ambiguous(_)), "{error}");
    eventually("a write without the paused leader", || hasty.put("other", "v", None));
    etcd.resume(paused).unwrap();
    assert!(eventually("a read", || patient(&etcd).get("other")).is_some());
}

#[test]
fn without_a_majority_nothing_is_answered_and_all_down_is_unreachable_in_time() {
    let (_dir, mut etcd) = three();
    let client = patient(&etcd);
    client.put("k", "v", None).unwrap();
    let left = leader(&etcd);
    for member in (0..3).filter(|member| *member != left) {
        etcd.kill(member);
    }
    let hasty = Client::new(&Options {
        attempt: Duration::from_millis(300),
        call: Duration::from_millis(900),
        ..etcd.client()
    })
    .unwrap();
    // The one that is left may not answer a linearizable read, though it knows the key.
    let error = hasty.get("k").unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error}");

    etcd.kill(left);
    let begin = Instant::now();
    for _ in 0..3 {
        let error = hasty.put("k", "w", None).unwrap_err();
        assert!(matches!(error, Error::Unreachable(_)), "{error}");
        let text = error.to_string();
        assert!(etcd.endpoints().iter().all(|endpoint| text.contains(endpoint)), "{text}");
    }
    assert!(begin.elapsed() < Duration::from_secs(30), "took {:?}", begin.elapsed());

    for member in 0..3 {
        etcd.restart(member).unwrap();
    }
    etcd.wait_ready().unwrap();
    let key = eventually("a read", || client.get("k")).expect("what was written is there");
    assert_eq!(key.value, b"v", "and what could not be sent is not");
}

#[test]
fn members_stop_when_asked_to_and_a_used_directory_is_refused() {
    let (dir, mut etcd) = three();
    etcd.stop(1).unwrap();
    etcd.stop(1).expect("one that does not run is stopped");
    eventually("a write with two of three", || patient(&etcd).put("k", "v", None));
    let error = LocalEtcd::start(dir.path(), LocalOptions::new(3)).err().expect("it is in use");
    assert!(error.to_string().contains("is there already"), "{error}");
}

/// A CA, and a certificate with its key for `name`, as files; returns their paths.
fn certificate(dir: &Path, ca: &rcgen::Issuer<'_, rcgen::KeyPair>, name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, ca).unwrap();
    let file = |extension: &str, text: String| {
        let path = dir.join(format!("{name}.{extension}"));
        fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    (file("pem", certificate.pem()), file("key", key.serialize_pem()))
}

#[test]
fn tls_needs_the_right_ca_and_a_certificate_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let authority = |name: &str| {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        let path = dir.path().join(format!("{name}.pem"));
        fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
        (path, rcgen::Issuer::new(params, key))
    };
    let (ca, issuer) = authority("ca");
    let (foreign_ca, foreign_issuer) = authority("foreign");
    let (server, server_key) = certificate(dir.path(), &issuer, "server");
    let (ours, our_key) = certificate(dir.path(), &issuer, "ours");
    let (foreign, foreign_key) = certificate(dir.path(), &foreign_issuer, "foreign-node");
    let identity = |certificate: &str, key: &str| Some((certificate.into(), key.into()));

    let tls = Tls { ca: ca.clone(), identity: identity(&ours, &our_key) };
    let arguments = ["--client-cert-auth", "--cert-file", &server, "--key-file", &server_key]
        .into_iter()
        .map(str::to_owned)
        .chain(["--trusted-ca-file".to_owned(), ca.to_string_lossy().into_owned()])
        .collect();
    let options = LocalOptions { arguments, tls: Some(tls.clone()), ..LocalOptions::new(1) };
    let etcd = LocalEtcd::start(&dir.path().join("etcd"), options).expect("etcd comes up");
    let client = patient(&etcd);
    client.put("k", "v", None).unwrap();
    assert_eq!(client.get("k").unwrap().unwrap().value, b"v");

    let wrong = [
        Tls { ca: foreign_ca, identity: tls.identity },
        Tls { ca: ca.clone(), identity: None },
        Tls { ca, identity: identity(&foreign, &foreign_key) },
    ];
    for tls in wrong {
        let options = Options { tls: Some(tls.clone()), ..etcd.client() };
        let error = Client::new(&options).unwrap().get("k").unwrap_err();
        assert!(matches!(error, Error::Unreachable(_)), "{tls:?}: {error}");
    }
    let plain = etcd.endpoints().iter().map(|endpoint| endpoint.replace("https", "http")).collect();
    let options = Options { endpoints: plain, tls: None, ..etcd.client() };
    let answer = Client::new(&options).unwrap().get("k");
    assert!(answer.is_err(), "{answer:?}");
    let lease: Lease = client.lease_grant(60).unwrap();
    assert!(lease.ttl_seconds >= 60);
}
