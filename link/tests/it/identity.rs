//! Making identities and loading them.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    time::{Duration, SystemTime},
};

use link::{
    Identity,
    identity::{Files, IdentityError, NODE_DAYS, create},
};
use rand::{Rng, RngExt};

use crate::support::{load, rng};

const DAY: Duration = Duration::from_secs(86_400);

fn made(nodes: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    create(dir.path(), nodes, SystemTime::now()).unwrap();
    dir
}

/// What loading says.
fn refusal(dir: &Path, node: &str, now: SystemTime) -> String {
    Identity::load(&Files::of(dir, node), node, now).expect_err("it is refused").to_string()
}

#[test]
fn keys_are_their_owners_and_certificates_anyones() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("new/keys");
    let now = SystemTime::now();
    let created = create(&inside, &["a", "b-2"], now).unwrap();
    assert!(created.new_ca);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&inside), 0o700);
    for (name, certificate, key) in &created.nodes {
        assert_eq!((mode(certificate), mode(key)), (0o644, 0o600), "{name}");
        let identity = load(&inside, name, now);
        assert_eq!(identity.node(), name);
        let lives = identity.expires().duration_since(now).unwrap();
        assert!(lives > DAY * (NODE_DAYS - 1) && lives <= DAY * NODE_DAYS, "{lives:?}");
        assert!(format!("{identity:?}").starts_with(&format!("Identity({name}, expires 20")));
    }
    assert_eq!((mode(&created.ca.0), mode(&created.ca.1)), (0o644, 0o600));
    assert_eq!(fs::read_dir(&inside).unwrap().count(), 6);
}

#[test]
fn a_node_is_added_by_the_same_ca_and_nothing_is_overwritten() {
    let dir = made(&["a"]);
    let before = fs::read(dir.path().join("a.key")).unwrap();
    let now = SystemTime::now();
    let error = create(dir.path(), &["c", "a"], now).unwrap_err();
    assert!(matches!(error, IdentityError::Exists(_)), "{error}");
    assert!(!dir.path().join("c.key").exists(), "nothing is made if something is in the way");
    let created = create(dir.path(), &["c"], now).unwrap();
    assert!(!created.new_ca);
    load(dir.path(), "c", now);
    load(dir.path(), "a", now);
    assert_eq!(fs::read(dir.path().join("a.key")).unwrap(), before);
}

#[test]
fn a_directory_with_half_a_ca_or_another_ones_key_makes_nothing() {
    let now = SystemTime::now();
    let dir = made(&["a"]);
    let key = dir.path().join("ca.key");
    let saved = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let error = create(dir.path(), &["b"], now).unwrap_err();
    assert!(matches!(error, IdentityError::HalfCa { .. }), "{error}");
    // Another cluster's key beside our certificate.
    fs::copy(made(&["x"]).path().join("ca.key"), &key).unwrap();
    let error = create(dir.path(), &["b"], now).unwrap_err();
    assert!(matches!(error, IdentityError::OtherCa { .. }), "{error}");
    fs::write(&key, &saved).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let error = create(dir.path(), &["b"], now).unwrap_err();
    assert!(matches!(error, IdentityError::Exposed { mode: 0o640, .. }), "{error}");
    assert!(!dir.path().join("b.key").exists() && !dir.path().join("b.pem").exists());
    fs::remove_file(dir.path().join("ca.pem")).unwrap();
    assert!(matches!(create(dir.path(), &["b"], now), Err(IdentityError::HalfCa { .. })));
}

#[test]
fn names_that_cannot_be_a_nodes_are_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let long = "a".repeat(64);
    for bad in ["", "A", "a b", "a.b", "-a", "a-", "1", "1a", "../a", "a/b", "ca", "\u{fc}", &long] {
        assert!(matches!(create(dir.path(), &["ok", bad], now), Err(IdentityError::Name { .. })), "{bad:?}");
    }
    assert!(matches!(create(dir.path(), &["a", "b", "a"], now), Err(IdentityError::Name { .. })));
    assert!(matches!(create(dir.path(), &[] as &[&str], now), Err(IdentityError::NoNodes)));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    create(dir.path(), &[&long[..63], "a-1"], now).unwrap();
}

#[test]
fn a_key_that_others_can_get_at_is_refused() {
    let dir = made(&["a"]);
    let key = dir.path().join("a.key");
    for mode in [0o604, 0o640, 0o620, 0o602, 0o610, 0o666] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let text = refusal(dir.path(), "a", SystemTime::now());
        assert!(text.contains(&format!("mode {mode:04o}")) && text.contains("chmod 600"), "{text}");
    }
    for mode in [0o600, 0o400, 0o700] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        load(dir.path(), "a", SystemTime::now());
    }
}

#[test]
fn a_certificate_is_refused_before_its_time_and_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    create(dir.path(), &["a"], now).unwrap();
    let text = refusal(dir.path(), "a", now + DAY * (NODE_DAYS + 1));
    assert!(text.contains("a.pem expired on 20") && text.contains("exchange keys"), "{text}");
    let text = refusal(dir.path(), "a", now - DAY);
    assert!(text.contains("a.pem is valid from 20") && text.contains("clock"), "{text}");
    load(dir.path(), "a", now + DAY * (NODE_DAYS - 1));
}

#[test]
fn what_does_not_belong_together_is_refused_by_name() {
    let (ours, theirs) = (made(&["a", "b"]), made(&["a"]));
    let now = SystemTime::now();
    let (certificate, key) = (ours.path().join("a.pem"), ours.path().join("a.key"));
    let (good_certificate, good_key) = (fs::read(&certificate).unwrap(), fs::read(&key).unwrap());

    fs::write(&certificate, fs::read(theirs.path().join("a.pem")).unwrap()).unwrap();
    let text = refusal(ours.path(), "a", now);
    assert!(text.contains("a.pem is not of the CA in"), "{text}");

    fs::write(&certificate, fs::read(ours.path().join("b.pem")).unwrap()).unwrap();
    let text = refusal(ours.path(), "a", now);
    assert!(text.contains("is of node \"b\", and this node is \"a\""), "{text}");

    // The CA's own certificate names no node.
    fs::write(&certificate, fs::read(ours.path().join("ca.pem")).unwrap()).unwrap();
    refusal(ours.path(), "a", now);

    fs::write(&certificate, &good_certificate).unwrap();
    fs::write(&key, fs::read(ours.path().join("b.key")).unwrap()).unwrap();
    let text = refusal(ours.path(), "a", now);
    assert!(text.contains("a.key is not the key of"), "{text}");

    fs::write(&key, &good_key).unwrap();
    load(ours.path(), "a", now);
    // A node's certificate is no CA, though it is a certificate.
    fs::write(ours.path().join("ca.pem"), &good_certificate).unwrap();
    refusal(ours.path(), "a", now);
}

#[test]
fn files_that_are_missing_or_no_pem_are_refused_with_their_names() {
    for file in ["ca.pem", "a.pem", "a.key"] {
        let dir = made(&["a"]);
        let path = dir.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        let long = "x".repeat(100_000);
        for bad in ["", "no PEM", "-----BEGIN CERTIFICATE-----\n", &text[..text.len() / 2], &long] {
            fs::write(&path, bad).unwrap();
            let said = refusal(dir.path(), "a", SystemTime::now());
            assert!(said.contains(file), "{said}");
        }
        fs::write(&path, text.repeat(40)).unwrap();
        if file != "a.key" {
            assert!(refusal(dir.path(), "a", SystemTime::now()).contains("40 certificates"));
        }
        fs::remove_file(&path).unwrap();
        let said = refusal(dir.path(), "a", SystemTime::now());
        assert!(said.contains(file) && said.contains("No such file"), "{said}");
    }
}

#[test]
fn files_with_changed_bytes_are_refused_or_good_and_never_a_panic() {
    let mut rng = rng();
    let dir = made(&["a"]);
    let mut refused = 0;
    for _ in 0..600 {
        let file = ["ca.pem", "a.pem", "a.key"][rng.random_range(0..3)];
        let path = dir.path().join(file);
        let good = fs::read(&path).unwrap();
        let mut bytes = good.clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            // Base64 letters mostly, so that what is inside changes and not the envelope.
            bytes[at] = if rng.random_ratio(4, 5) { b'A' + rng.random_range(0..26) } else { rng.random() };
        }
        fs::write(&path, &bytes).unwrap();
        refused += u32::from(Identity::load(&Files::of(dir.path(), "a"), "a", SystemTime::now()).is_err());
        fs::write(&path, &good).unwrap();
    }
    assert!(refused > 300, "{refused} of 600");
    // Bytes of no kind at all.
    for _ in 0..100 {
        let mut noise = vec![0; rng.random_range(0..2_000)];
        rng.fill_bytes(&mut noise);
        fs::write(dir.path().join("a.pem"), &noise).unwrap();
        refusal(dir.path(), "a", SystemTime::now());
    }
}
