//! Who reads market data of an exchange that asks for it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{ZOE, done, is_let_in, tls::Trial};
use crate::venue::{Home, Settings, Venue, eventually, exchange};

const SECRET: &str = "zoe's word";
const YAN: &str = "YAN";

/// What `exchange watch` says, and whether it came to its end.
struct Watched {
    stdout: String,
    stderr: String,
    is_done: bool,
}

/// `exchange watch --once` on a venue's snapshots, with the password in the environment.
fn watch(venue: &Venue, args: &[&str], password: Option<&str>) -> Watched {
    let snapshot = venue.feed["snapshot"].as_str().expect("an address");
    let mut command = exchange();
    command.args(["watch", "--once", "--mold", "127.0.0.1:0", "--snapshot", snapshot]).args(args);
    command.env_remove("EXCHANGE_PASSWORD");
    if let Some(password) = password {
        command.env("EXCHANGE_PASSWORD", password);
    }
    let output = command.output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Watched { stdout: text(&output.stdout), stderr: text(&output.stderr), is_done: output.status.success() }
}

fn sections(tls: &str) -> String {
    format!("[feed]\nsnapshot = \"127.0.0.1:0\"\nwebsocket = \"127.0.0.1:0\"\nlogin = true\n{tls}")
}

fn file(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    path
}

#[test]
fn market_data_is_for_users_who_come_by_tls_where_that_is_asked_for() {
    let trial = Trial::new();
    let home = Home::new(Settings {
        sections: sections(&trial.section_of("feed.tls", None)),
        ..Settings::default()
    });
    done(&home, &["add", ZOE], SECRET);
    done(&home, &["add", YAN, "--no-market-data"], SECRET);
    let venue = home.start();
    assert_eq!((&venue.feed["tls"], &venue.feed["login"]), (&true.into(), &true.into()));
    let ca = trial.file("ca.pem").display().to_string();
    let zoe = ["--tls-ca", &ca, "--user", ZOE];
    let seen = watch(&venue, &zoe, Some(SECRET));
    assert!(seen.is_done && seen.stdout.contains("AAPL"), "{}", seen.stderr);
    let dir = tempfile::tempdir().expect("a directory");
    let kept = file(dir.path(), "word", &format!("{SECRET}\nand more\n"), 0o600).display().to_string();
    assert!(watch(&venue, &[&zoe[..], &["--password-file", &kept]].concat(), None).is_done);

    let open = file(dir.path(), "open", SECRET, 0o644).display().to_string();
    let nobody = &zoe[..2];
    let yan = ["--tls-ca", &ca, "--user", YAN];
    for (args, password, why) in [
        (&zoe[..], Some("another"), "login"),
        (&zoe[..], None, "EXCHANGE_PASSWORD"),
        (nobody, None, "--user says as whom"),
        (&yan[..], Some(SECRET), "login"),
        (&[&zoe[..], &["--password-file", &open]].concat()[..], None, "mode 0644"),
        (&["--user", ZOE], Some(SECRET), "no snapshot from"),
    ] {
        let seen = watch(&venue, args, password);
        assert!(!seen.is_done && seen.stderr.contains(why), "{args:?}: {}", seen.stderr);
        assert!(!seen.stdout.contains("AAPL") && !seen.stderr.contains(SECRET), "{args:?}: {}", seen.stdout);
    }
    assert!(is_let_in(&venue, YAN, SECRET), "orders are another matter");
    let log = home.log();
    assert!(log.contains("market data: user ZOE: not one who may come in"), "{log}");
    assert!(!log.to_lowercase().contains(SECRET) && !log.contains("another"), "a secret is in the log");
}

#[test]
fn who_is_added_reads_market_data_at_once_and_who_is_disabled_does_not() {
    let home = Home::new(Settings { sections: sections(""), ..Settings::default() });
    done(&home, &["add", ZOE], SECRET);
    let venue = home.start();
    let may = |name: &str| watch(&venue, &["--user", name], Some(SECRET)).is_done;
    assert!(may(ZOE) && !may(YAN));
    done(&home, &["add", YAN], SECRET);
    // It has no session yet, and needs none to read.
    eventually("the exchange has noticed", || may(YAN));
    done(&home, &["disable", ZOE], "");
    eventually("the exchange has noticed", || !may(ZOE));
    assert!(may(YAN));
}

#[test]
fn files_of_the_feeds_listeners_that_cannot_serve_end_the_start() {
    let trial = Trial::new();
    let tls = trial.section_of("feed.tls", Some(Path::new("/nowhere/ca.pem")));
    let text = Home::new(Settings { sections: sections(&tls), ..Settings::default() }).refused();
    assert!(text.contains("feed.tls: cannot open /nowhere/ca.pem"), "{text}");
}
