//! Users of the users file: hashed at rest, changed while the exchange runs.

use std::{fs, os::unix::fs::PermissionsExt};

use wire::{ouch::codes, soup::kind};

use super::{ZOE, done, is_let_in, log_in, user};
use crate::{
    client::{enter, request_bytes},
    venue::{HUNG, Home, PASSWORD, Settings, eventually, exchange},
};

const SECRET: &str = "zoe's word";

fn with_zoe(settings: Settings) -> Home {
    let home = Home::new(settings);
    done(&home, &["add", ZOE], SECRET);
    home
}

#[test]
fn a_password_is_nowhere_but_with_its_user() {
    let home = with_zoe(Settings::default());
    let path = home.data().join("users.toml");
    let text = fs::read_to_string(&path).expect("the users");
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    assert!(text.contains("$argon2id$") && !text.to_lowercase().contains(SECRET), "{text}");
    let venue = home.start();
    assert!(is_let_in(&venue, "zoe", &SECRET.to_uppercase()));
    assert!(is_let_in(&venue, ZOE, SECRET));
    for (name, password) in [(ZOE, "another"), (ZOE, ""), (ZOE, PASSWORD), ("NOBODY", SECRET)] {
        assert!(!is_let_in(&venue, name, password), "{name} {password}");
    }
    assert!(is_let_in(&venue, "ALICE", PASSWORD), "a user of the configuration");
    let log = home.log().to_lowercase();
    assert!(
        !log.contains(SECRET) && !log.contains("another") && !log.contains("$argon2"),
        "a secret is in the log"
    );
    assert!(log.contains("have plain passwords in the configuration"), "no word of plain passwords");
    // It has its session after a restart, too.
    venue.stop();
    let venue = home.start();
    let (answer, mut zoe) = log_in(&venue, ZOE, SECRET);
    assert_eq!(answer, Some(kind::LOGIN_ACCEPTED));
    zoe.write(&request_bytes(&enter(1, b'B', 1, "AAPL", 1_00, codes::DAY)));
    assert_eq!(zoe.answer().expect("an answer").0, kind::SEQUENCED);
}

#[test]
fn a_password_is_asked_for_and_never_an_argument() {
    let home = Home::new(Settings::default());
    for (args, password, why) in [
        (&["add", ZOE][..], "short", "8 to 10 printable ASCII characters"),
        (&["add", ZOE], "longer than ten", "8 to 10 printable ASCII characters"),
        (&["add", ZOE], "", "no password on standard input"),
        (&["add", "SEVENTH"], SECRET, "is no name for soup"),
        (&["add", ZOE, "--allow", "10.0.0.1/8"], SECRET, "is no network"),
        (&["add", ZOE, "--public-key", "/nowhere.pem"], SECRET, "passwords, and no signatures"),
        (&["disable", ZOE], "", "no user ZOE"),
        (&["rotate", ZOE], SECRET, "no user ZOE"),
        (&["list"], "", "there is no users file"),
    ] {
        let output = user(&home, args, password);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(stderr.contains(why), "{args:?}: {stderr}");
        assert!(password.is_empty() || !stderr.contains(password), "a password is shown: {stderr}");
    }
    let output = user(&home, &["add", ZOE, "--password", SECRET], "");
    assert_eq!(output.status.code(), Some(2), "a password was taken from the command line");
    let output = exchange().args(["user", "list"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2), "which users?");

    done(&home, &["add", "zoe"], SECRET);
    let again = user(&home, &["add", ZOE], SECRET);
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"));
    let made =
        user(&home, &["add", "YAN", "--generate", "--cancel-on-disconnect", "--allow", "127.0.0.0/8"], "");
    let printed = String::from_utf8_lossy(&made.stdout).into_owned();
    let password = printed.lines().find_map(|line| line.strip_prefix("password: ")).expect("a password");
    let listed = user(&home, &["list", "--json"], "");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(!listed.contains("$argon2") && !listed.contains(password), "{listed}");
    let rows: Vec<serde_json::Value> =
        listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[1]["name"], &rows[1]["cancel_on_disconnect"]), (&"YAN".into(), &true.into()));
    let venue = home.start();
    assert!(is_let_in(&venue, "YAN", password), "with the password that was made");
}

#[test]
fn a_user_that_is_added_comes_in_from_the_next_start_on() {
    let home = with_zoe(Settings::default());
    let venue = home.start();
    done(&home, &["add", "YAN"], "yan's word");
    eventually("the exchange has noticed", || {
        home.log().contains("user YAN can log in after the next start")
    });
    assert!(!is_let_in(&venue, "YAN", "yan's word"), "it has no session yet");
    assert!(is_let_in(&venue, ZOE, SECRET));
    venue.stop();
    let venue = home.start();
    assert!(is_let_in(&venue, "YAN", "yan's word"));
}

#[test]
fn who_is_disabled_is_cut_off_and_finds_its_session_as_it_was() {
    let home = with_zoe(Settings::default());
    let venue = home.start();
    let mut bystander = venue.client("BOB");
    let (answer, mut zoe) = log_in(&venue, ZOE, SECRET);
    assert_eq!(answer, Some(kind::LOGIN_ACCEPTED));
    zoe.write(&request_bytes(&enter(1, b'B', 1, "AAPL", 1_00, codes::DAY)));
    assert_eq!(zoe.answer().expect("an answer").0, kind::SEQUENCED);
    done(&home, &["disable", ZOE], "");
    assert!(zoe.ends_within(HUNG), "it is not cut off");
    eventually("the log says so", || home.log().contains("ZOE: its user may not come in any more"));
    // Remembered or not, it does not come in; and it is told what a wrong password is told.
    let (answer, mut refused) = log_in(&venue, ZOE, SECRET);
    assert_eq!((answer, refused.until_closed().len()), (Some(kind::LOGIN_REJECTED), 0));
    bystander.round_trip(1, "MSFT");
    done(&home, &["enable", ZOE], "");
    eventually("it comes in again", || is_let_in(&venue, ZOE, SECRET));
    let (_, mut zoe) = log_in(&venue, ZOE, SECRET);
    zoe.write(&request_bytes(&enter(2, b'B', 1, "AAPL", 1_00, codes::DAY)));
    assert_eq!(zoe.answer().expect("an answer").0, kind::SEQUENCED);
    let state = venue.stop_state();
    assert_eq!(home.replay(1)["state"], state);
}

#[test]
fn a_rotated_password_is_needed_for_the_next_login() {
    let home = with_zoe(Settings::default());
    let venue = home.start();
    let (answer, mut zoe) = log_in(&venue, ZOE, SECRET);
    assert_eq!(answer, Some(kind::LOGIN_ACCEPTED));
    let read = |times: usize| {
        eventually("the exchange reads them", || {
            home.log_lines("may log in, as the configuration and").len() == times
        });
    };
    read(1);
    done(&home, &["rotate", ZOE], "new word 2");
    read(2);
    // One that is connected stays, until its session is somebody else's.
    zoe.write(&request_bytes(&enter(1, b'B', 1, "AAPL", 1_00, codes::DAY)));
    assert_eq!(zoe.answer().expect("an answer").0, kind::SEQUENCED);
    assert!(!is_let_in(&venue, ZOE, SECRET), "with the old one");
    assert!(is_let_in(&venue, ZOE, "new word 2"));
}

#[test]
fn a_file_that_is_wrong_ends_the_start_and_changes_nothing_while_it_runs() {
    let home = with_zoe(Settings::default());
    let path = home.data().join("users.toml");
    let right = fs::read_to_string(&path).expect("the users");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
    assert!(home.refused().contains("mode 0644"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    fs::write(&path, right.replace("name = \"ZOE\"", "name = \"ALICE\"")).expect("a file");
    assert!(home.refused().contains("user ALICE is in the configuration and in the users file"));
    fs::write(&path, "[[users]]\nname = \"ZOE\"\n").expect("a file");
    assert!(home.refused().contains("neither a hash nor a public_key"));
    let elsewhere = Settings { keys: "users_file = \"/nowhere/users.toml\"\n", ..Settings::default() };
    assert!(Home::new(elsewhere).refused().contains("users_file: there is no /nowhere/users.toml"));

    fs::write(&path, &right).expect("a file");
    let venue = home.start();
    assert!(is_let_in(&venue, ZOE, SECRET));
    fs::write(&path, "[[users]]\nname = \"ZOE\"\n").expect("a file");
    eventually("the log says so", || home.log().contains("users stay as they were"));
    assert!(is_let_in(&venue, ZOE, SECRET));
    // Who is not in the file any more is out.
    let (_, mut zoe) = log_in(&venue, ZOE, SECRET);
    fs::write(&path, "").expect("a file");
    assert!(zoe.ends_within(HUNG), "it is not cut off");
    assert!(!is_let_in(&venue, ZOE, SECRET));
    assert!(is_let_in(&venue, "ALICE", PASSWORD), "a user of the configuration stays");
}

#[test]
fn who_comes_from_elsewhere_than_it_may_is_refused() {
    let home = with_zoe(Settings::default());
    done(&home, &["add", "YAN", "--allow", "10.0.0.0/8"], "yan's word");
    let venue = home.start();
    assert!(!is_let_in(&venue, "YAN", "yan's word"));
    assert!(is_let_in(&venue, ZOE, SECRET));
}
