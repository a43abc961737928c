//! Who logs on by FIX.

use ::client::{
    ClientError, Tls, User,
    fix::{Connection, Memory, Settings as Session, Store},
};

use super::{done, tls::Trial};
use crate::venue::{HUNG, Home, Settings, Venue};

const BROKER: &str = "Broker-1";
const SECRET: &str = "Correct horse battery staple";

fn home(sections: &str) -> Home {
    let home = Home::new(Settings {
        sections: format!("[fix]\naddress = \"127.0.0.1:0\"\n{sections}"),
        ..Settings::default()
    });
    done(&home, &["add", BROKER, "--protocol", "fix"], SECRET);
    home
}

fn log_on(
    venue: &Venue,
    tls: Option<&Tls>,
    (name, password): (&str, &str),
    reset: bool,
    store: Memory,
) -> Result<Connection, ClientError> {
    let user = User { name: name.to_owned(), password: password.to_owned() };
    let settings = Session { reset, ..Session::new(user, "FULCRUM") };
    let mut connection = Connection::open(venue.fix.expect("a listener"), tls, settings, store, HUNG)?;
    connection.logon(HUNG).map(|()| connection)
}

#[test]
fn no_number_of_a_session_changes_before_its_user_has_shown_who_it_is() {
    let home = home("");
    let venue = home.start();
    let right = (BROKER, SECRET);
    let mut store = Memory::new(1 << 20);
    for _ in 0..3 {
        let mut broker = log_on(&venue, None, right, false, store).expect("a logon");
        broker.logout(HUNG).expect("a logout");
        store = broker.into_store();
    }
    let next = store.next();
    assert_eq!(next, (7, 7));
    for (name, password) in [(BROKER, "correct horse battery staple"), (BROKER, ""), ("BROKER-1", SECRET)] {
        // With 141=Y, which begins a session anew.
        let refused = log_on(&venue, None, (name, password), true, Memory::new(1 << 20));
        assert!(matches!(refused, Err(ClientError::LogonRefused { .. })), "{name} {password}: {refused:?}");
    }
    // A session that had begun anew would answer with number 1.
    let again = log_on(&venue, None, right, false, store);
    let mut broker = again.unwrap_or_else(|error| panic!("{error}: {}", home.log()));
    broker.logout(HUNG).expect("a logout");
    assert_eq!(broker.into_store().next(), (8 + 1, 8 + 1));
    let log = home.log();
    assert!(log.contains("user Broker-1: not one who may come in") && !log.contains(SECRET), "{log}");
}

#[test]
fn guesses_by_fix_are_not_heard_either() {
    let home = home("");
    let venue = home.start();
    for guess in 0..5 {
        let guess = format!("guess number {guess}");
        log_on(&venue, None, (BROKER, &guess), false, Memory::new(1 << 20)).expect_err("a guess");
    }
    log_on(&venue, None, (BROKER, SECRET), false, Memory::new(1 << 20)).expect_err("one more was heard");
    assert!(home.log().contains("user Broker-1: unheard for"), "{}", home.log());
    let deadline = std::time::Instant::now() + HUNG;
    while log_on(&venue, None, (BROKER, SECRET), false, Memory::new(1 << 20)).is_err() {
        assert!(std::time::Instant::now() < deadline, "never heard again");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_fix_session_comes_by_tls_and_by_nothing_else_where_that_is_asked_for() {
    let trial = Trial::new();
    let home = home(&trial.section_of("fix.tls", None));
    let venue = home.start();
    let tls = Tls::from_ca_file(trial.file("ca.pem"), Some("localhost")).expect("a CA");
    let broker = log_on(&venue, Some(&tls), (BROKER, SECRET), false, Memory::new(1 << 20));
    broker.expect("a logon by TLS").logout(HUNG).expect("a logout");
    let plain = log_on(&venue, None, (BROKER, SECRET), false, Memory::new(1 << 20));
    plain.expect_err("a logon without TLS");
    // The other listener has no certificate, and needs none.
    venue.client("ALICE").round_trip(1, "AAPL");
}
