use std::net::Ipv4Addr;

use mio::{Poll, Token};
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::*;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const HUNG: Duration = Duration::from_secs(60);

struct Desk {
    credentials: Credentials,
    now: Instant,
    // The waker needs it.
    _poll: Poll,
}

impl Desk {
    fn new(users: Vec<User>) -> Self {
        let poll = Poll::new().expect("a poll");
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).expect("a waker"));
        Self {
            credentials: Credentials::new(users, waker).expect("a thread"),
            now: Instant::now(),
            _poll: poll,
        }
    }

    fn ask_from(&mut self, protocol: Protocol, name: &str, secret: Secret<'_>, from: IpAddr) -> Answer {
        let attempt = Attempt { protocol, name: name.as_bytes(), secret, from, token: 7 };
        self.credentials.check(&attempt, self.now)
    }

    fn ask(&mut self, name: &str, password: &str) -> Answer {
        self.ask_from(Protocol::Soup, name, Secret::Password(password.as_bytes()), HOME)
    }

    fn ask_fix(&mut self, name: &str, password: &str) -> Answer {
        self.ask_from(Protocol::Fix, name, Secret::Password(password.as_bytes()), HOME)
    }

    /// What comes out of an attempt that must take its time.
    fn verified(&mut self, answer: Answer) -> Result<SessionId, Refusal> {
        let Answer::Pending(ticket) = answer else { panic!("{answer:?} at once") };
        let deadline = Instant::now() + HUNG;
        loop {
            if let Some(verdict) = self.credentials.verdict(self.now) {
                assert_eq!((verdict.ticket, verdict.token), (ticket, 7));
                return verdict.outcome;
            }
            assert!(Instant::now() < deadline, "hung");
            std::thread::yield_now();
        }
    }
}

fn plain(name: &str, password: &str, session: u32) -> User {
    let name = canonical_name(Protocol::Soup, name.as_bytes()).expect("a name");
    let password = canonical_password(Protocol::Soup, password.as_bytes());
    User::new(name, Protocol::Soup, SessionId(session), Proof::Plain(password))
}

fn hashed(protocol: Protocol, name: &str, password: &str, session: u32) -> User {
    let name = canonical_name(protocol, name.as_bytes()).expect("a name");
    let hash = hash_password(&canonical_password(protocol, password.as_bytes())).expect("a hash");
    User::new(name, protocol, SessionId(session), Proof::Hash(hash.into()))
}

const WRONG: Result<SessionId, Refusal> = Err(Refusal::Wrong);

#[test]
fn a_plain_password_opens_its_own_users_session_at_once() {
    let mut desk = Desk::new(vec![plain("ALICE", "of-ALICE", 0), plain("BOB", "of-BOB", 1)]);
    assert_eq!(desk.ask("BOB", "of-BOB"), Answer::Accepted(SessionId(1)));
    assert_eq!(desk.ask("bob  ", "OF-bob    "), Answer::Accepted(SessionId(1)));
    let cases = [("BOB", "of-ALICE"), ("BOB", ""), ("DAVE", "of-DAVE"), ("DAVE", ""), ("", "of-BOB")];
    for (user, with) in cases {
        assert_eq!(desk.ask(user, with), Answer::Refused(Refusal::Wrong), "{user} with \"{with}\"");
    }
    // In another protocol it is nobody.
    assert_eq!(desk.ask_fix("BOB", "of-BOB"), Answer::Refused(Refusal::Wrong));
}

#[test]
fn a_hash_is_verified_once_and_remembered_until_the_record_changes() {
    let alice = hashed(Protocol::Soup, "ALICE", "secret", 0);
    let mut desk = Desk::new(vec![alice.clone()]);
    let answer = desk.ask("alice", "Secret");
    assert_eq!(desk.verified(answer), Ok(SessionId(0)));
    assert_eq!(desk.ask("ALICE", "SECRET    "), Answer::Accepted(SessionId(0)));
    let answer = desk.ask("ALICE", "guess");
    assert_eq!(desk.verified(answer), WRONG);
    // The same record is no change.
    assert_eq!(desk.credentials.replace(vec![alice]), []);
    assert_eq!(desk.ask("ALICE", "secret"), Answer::Accepted(SessionId(0)));
    let rotated = hashed(Protocol::Soup, "ALICE", "newer", 0);
    assert_eq!(desk.credentials.replace(vec![rotated]), []);
    let answer = desk.ask("ALICE", "secret");
    assert_eq!(desk.verified(answer), WRONG);
    let answer = desk.ask("ALICE", "newer");
    assert_eq!(desk.verified(answer), Ok(SessionId(0)));
    let stats = desk.credentials.stats();
    assert_eq!((stats.accepted, stats.remembered, stats.refused, stats.waiting), (4, 2, 2, 0));
}

#[test]
fn what_is_right_by_a_record_that_is_gone_is_wrong() {
    let mut desk = Desk::new(vec![hashed(Protocol::Soup, "ALICE", "secret", 0)]);
    let answer = desk.ask("ALICE", "secret");
    desk.credentials.replace(vec![hashed(Protocol::Soup, "ALICE", "newer", 0)]);
    assert_eq!(desk.verified(answer), WRONG);
    let answer = desk.ask("ALICE", "newer");
    assert_eq!(desk.credentials.replace(Vec::new()), [SessionId(0)]);
    assert_eq!(desk.verified(answer), WRONG);
}

#[test]
fn who_is_disabled_or_comes_from_elsewhere_is_not_told_so() {
    let alice = hashed(Protocol::Soup, "ALICE", "secret", 0);
    let mut desk = Desk::new(vec![alice.clone()]);
    let answer = desk.ask("ALICE", "secret");
    assert_eq!(desk.verified(answer), Ok(SessionId(0)));
    let disabled = User { disabled: true, ..alice.clone() };
    assert_eq!(desk.credentials.replace(vec![disabled]), [SessionId(0)]);
    let answer = desk.ask("ALICE", "secret");
    assert_eq!(desk.verified(answer), WRONG);
    let elsewhere = User { allow: vec!["192.168.0.0/16".parse().expect("a network")], ..alice };
    desk.credentials.replace(vec![elsewhere]);
    // It takes as long as a wrong password does.
    let answer = desk.ask("ALICE", "secret");
    assert_eq!(desk.verified(answer), WRONG);
    let there = IpAddr::from([192, 168, 3, 4]);
    let answer = desk.ask_from(Protocol::Soup, "ALICE", Secret::Password(b"secret"), there);
    assert_eq!(desk.verified(answer), Ok(SessionId(0)));
    // Remembered, and still not from elsewhere.
    let answer = desk.ask("ALICE", "secret");
    assert_eq!(desk.verified(answer), WRONG);
}

#[test]
fn names_that_nobody_has_take_the_same_way_as_wrong_passwords() {
    let mut desk = Desk::new(vec![hashed(Protocol::Soup, "ALICE", "secret", 0)]);
    for name in ["NOBODY", "", "      ", "longer than a name"] {
        let answer = desk.ask(name, "nobody");
        assert_eq!(desk.verified(answer), WRONG, "{name}");
    }
    let answer = desk.ask_fix("NOBODY", "nobody");
    assert_eq!(desk.verified(answer), WRONG);
    let signature = Secret::Signature { of: b"words", signature: &[0; 64] };
    let answer = desk.ask_from(Protocol::Fix, "NOBODY", signature, HOME);
    assert_eq!(desk.verified(answer), WRONG);
}

#[test]
fn in_fix_case_counts() {
    let mut desk = Desk::new(vec![hashed(Protocol::Fix, "Broker One", "Correct horse battery", 3)]);
    for (name, password) in [
        ("BROKER ONE", "Correct horse battery"),
        ("Broker One", "correct horse battery"),
        ("Broker One ", "Correct horse battery"),
        ("Broker One", "Correct horse battery "),
    ] {
        let answer = desk.ask_fix(name, password);
        assert_eq!(desk.verified(answer), WRONG, "{name} {password}");
    }
    let answer = desk.ask_fix("Broker One", "Correct horse battery");
    assert_eq!(desk.verified(answer), Ok(SessionId(3)));
}

#[test]
fn a_signature_is_of_these_bytes_by_this_key() {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).expect("a key");
    let name = canonical_name(Protocol::Fix, b"SIGNER").expect("a name");
    let signer = User {
        public_key: key.public_key().as_ref().try_into().ok(),
        ..User::new(name, Protocol::Fix, SessionId(2), Proof::Key)
    };
    let mut desk = Desk::new(vec![signer]);
    let mut ask = |of: &[u8], signature: &[u8]| {
        let answer = desk.ask_from(Protocol::Fix, "SIGNER", Secret::Signature { of, signature }, HOME);
        desk.verified(answer)
    };
    assert_eq!(ask(b"logon 1", key.sign(b"logon 1").as_ref()), Ok(SessionId(2)));
    // It is verified each time: there is nothing to remember.
    assert_eq!(ask(b"logon 2", key.sign(b"logon 2").as_ref()), Ok(SessionId(2)));
    assert_eq!(ask(b"logon 2", key.sign(b"logon 1").as_ref()), WRONG);
    assert_eq!(ask(b"logon 1", other.sign(b"logon 1").as_ref()), WRONG);
    assert_eq!(ask(b"logon 1", b"short"), WRONG);
    let answer = desk.ask_fix("SIGNER", "");
    assert_eq!(desk.verified(answer), WRONG);
}

#[test]
fn after_too_many_guesses_the_right_password_is_not_heard_either() {
    let mut desk = Desk::new(vec![
        hashed(Protocol::Soup, "ALICE", "secret", 0),
        hashed(Protocol::Soup, "BOB", "bobs", 1),
    ]);
    let answer = desk.ask("ALICE", "secret");
    assert_eq!(desk.verified(answer), Ok(SessionId(0)));
    for guess in 0..guard::FAILURES {
        let answer = desk.ask("ALICE", &format!("guess{guess}"));
        assert_eq!(desk.verified(answer), WRONG);
    }
    // It is known, and would tell whoever guesses that it is right.
    let held_off = desk.ask("ALICE", "secret");
    assert_eq!(held_off, Answer::Refused(Refusal::HeldOff(Duration::from_secs(1))));
    let elsewhere = IpAddr::from([10, 0, 0, 2]);
    let answer = desk.ask_from(Protocol::Soup, "ALICE", Secret::Password(b"secret"), elsewhere);
    assert_eq!(answer, Answer::Accepted(SessionId(0)));
    let answer = desk.ask("BOB", "bobs");
    assert_eq!(desk.verified(answer), Ok(SessionId(1)));
    desk.now += Duration::from_secs(1);
    assert_eq!(desk.ask("ALICE", "secret"), Answer::Accepted(SessionId(0)));
    assert_eq!(desk.credentials.stats().held_off, 1);
}

#[test]
fn what_waits_to_be_verified_is_bounded_for_each_address_and_in_all() {
    let mut desk = Desk::new(vec![hashed(Protocol::Soup, "ALICE", "secret", 0)]);
    let (mut pending, mut later) = (0, 0);
    for n in 0..200_u32 {
        let from = IpAddr::from([10, 0, 1, u8::try_from(n / 20).expect("few")]);
        match desk.ask_from(Protocol::Soup, &format!("U{n}"), Secret::Password(b"guess"), from) {
            Answer::Pending(_) => pending += 1,
            Answer::Later => later += 1,
            other => panic!("{other:?}"),
        }
        let waiting = desk.credentials.stats().waiting;
        assert_eq!(waiting, pending);
    }
    // 8 of each of ten addresses: no verdict has been asked for, so none has gone.
    assert_eq!((pending, later), (80, 120));
    let (mut n, mut is_full) = (0_u32, false);
    while !is_full {
        let from = IpAddr::from((0x0B00_0000 + n).to_be_bytes());
        is_full = desk.ask_from(Protocol::Soup, "U", Secret::Password(b"guess"), from) == Answer::Later;
        n += 1;
        assert!(n < 10_000, "any number waits");
    }
    assert_eq!(desk.credentials.stats().waiting, 256);
    // Each is answered once, and there is room again.
    let deadline = Instant::now() + HUNG;
    while desk.credentials.stats().waiting > 200 {
        assert!(Instant::now() < deadline, "hung");
        if desk.credentials.verdict(desk.now).is_none() {
            std::thread::yield_now();
        }
    }
    let answer =
        desk.ask_from(Protocol::Soup, "ALICE", Secret::Password(b"secret"), IpAddr::from([12, 0, 0, 1]));
    assert!(matches!(answer, Answer::Pending(_)), "{answer:?}");
}

#[test]
fn hashes_that_are_none_or_cost_too_much_are_refused() {
    let hash = hash_password(b"secret").expect("a hash");
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert_ne!(hash, hash_password(b"secret").expect("a hash"), "the same salt twice");
    check_hash(&hash).expect("our own");
    for (text, why) in [
        (String::new(), "no hash"),
        ("secret".into(), "no hash"),
        (hash.replace("argon2id", "argon2i"), "argon2id is taken"),
        (hash.replace("m=19456", "m=1048576"), "at most"),
        (hash.replace("t=2", "t=17"), "at most"),
        (hash.replace("p=1", "p=5"), "at most"),
        ("$argon2id$v=19$m=19456,t=2,p=1".into(), "without a hash"),
    ] {
        let error = check_hash(&text).expect_err(&text);
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let text = format!("{:?} {:?}", plain("ALICE", "hunter2", 0), hashed(Protocol::Fix, "BOB", "hunter2", 1));
    assert!(!text.to_lowercase().contains("hunter2") && !text.contains("argon2"), "{text}");
}

#[test]
fn generated_passwords_fit_and_differ() {
    for protocol in [Protocol::Soup, Protocol::Fix] {
        let (one, other) = (generate_password(protocol), generate_password(protocol));
        let (one, other) = (one.expect("a password"), other.expect("a password"));
        assert!(one != other && one.len() >= 10 && one.len() <= protocol.password_max(), "{one} {other}");
    }
}

#[test]
fn a_public_key_is_read_from_pem() {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let mut der = vec![0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00];
    der.extend_from_slice(key.public_key().as_ref());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(&der));
    assert_eq!(public_key_from_pem(pem.as_bytes()).expect("a key"), key.public_key().as_ref());
    assert!(public_key_from_pem(b"words").expect_err("words").contains("PEM"));
    der[8] = 0x71; // Ed448
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(&der));
    assert!(public_key_from_pem(pem.as_bytes()).expect_err("another curve").contains("Ed25519"));
}

/// What PEM has inside.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit > chunk.len() { '=' } else { char::from(DIGITS[index as usize]) });
        }
    }
    text
}
