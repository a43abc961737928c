//! What an exchange shows of itself, and what it says of what it was asked to do about its load.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    process::{Child, ExitStatus},
    sync::mpsc,
    time::Duration,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::Value;
use wire::ouch::codes;

use crate::{
    client::enter,
    venue::{HUNG, Home, INSTRUMENTS, Settings, Venue, eventually, exchange, output, printed},
};

/// Orders on one book, each answered.
fn trade(venue: &Venue, orders: u32) {
    let mut client = venue.client("ALICE");
    for user_ref in 1..=orders {
        client.put(&enter(user_ref, b'B', 10, "AAPL", 1_000_000, codes::DAY));
        client.flush();
        client.next();
    }
}

/// A line of the status socket.
fn read(reader: &mut impl BufRead) -> Value {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn the_start_says_what_balancing_can_do_here() {
    let home = Home::new(Settings::args(&["--shards", "200", "--balance", "steal"]));
    let venue = home.start();
    assert_eq!(venue.recovered["balance"], "steal");
    let why =
        venue.recovered["stealing_off"].as_str().expect("no machine has a core for each of 202 threads");
    assert!(why.ends_with(" cores for 202 threads"), "{why}");
    assert_eq!(venue.recovered["domains"], serde_json::json!([]), "nothing is pinned");
    venue.stop();
    for mode in ["off", "migrate"] {
        let home = Home::new(Settings::args(&["--shards", "200", "--balance", mode]));
        let venue = home.start();
        assert_eq!(venue.recovered["balance"], mode);
        assert_eq!(venue.recovered["stealing_off"], Value::Null, "nobody wanted to steal");
    }
    // The configuration's choice, and its default.
    for (keys, mode) in [("balance = \"migrate\"\n", "migrate"), ("", "full")] {
        let home = Home::new(Settings { keys, ..Settings::default() });
        assert_eq!(home.start().recovered["balance"], mode);
    }
}

#[test]
fn hints_are_held_against_the_shards_there_are() {
    let keys = "together = [[\"AAPL\", \"MSFT\"]]\napart = [[\"MSFT\", \"NVDA\"]]\nreserved_shards = [1]\n";
    let settings = Settings { keys, nvda: ", pin = 1, weight = 3", ..Settings::default() };
    let home = Home::new(Settings { args: vec!["--shards".into(), "1".into()], ..settings.clone() });
    let said = home.refused();
    assert!(said.contains("instrument \"NVDA\": pin = 1, and there are 1 shards, 0 to 0"), "{said}");
    assert!(!home.data().exists(), "what cannot be is said before anything is made");
    let home = Home::new(settings);
    let venue = home.start();
    trade(&venue, 10);
    venue.stop();
    let unknown = Settings { keys: "apart = [[\"AAPL\", \"APPL\"]]\n", ..Settings::default() };
    let said = Home::new(unknown).refused();
    assert!(said.contains("apart: \"APPL\" is not among the instruments"), "{said}");
}

#[test]
fn the_status_socket_tells_all_who_ask_and_waits_for_none() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let path = home.data().join("status.sock");
    assert_eq!(std::fs::metadata(&path).expect("a socket").permissions().mode() & 0o777, 0o600);
    // One that never reads, one that talks instead of listening, and one as it should be.
    let _silent = UnixStream::connect(&path).expect("it listens");
    let mut talks = UnixStream::connect(&path).expect("it listens");
    talks.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it may be written to");
    let stream = UnixStream::connect(&path).expect("it listens");
    stream.set_read_timeout(Some(HUNG)).expect("a timeout");
    let mut reader = BufReader::new(stream);
    let first = read(&mut reader);
    trade(&venue, 100);
    let mut second = read(&mut reader);
    eventually("the orders are seen", || {
        second = read(&mut reader);
        second["sequenced"].as_u64() >= first["sequenced"].as_u64().map(|before| before + 100)
    });
    for key in ["per_second", "logged_in", "unsynced_bytes", "cancel_only"] {
        assert!(!second[key].is_null(), "{key}: {second}");
    }
    let shards = second["shards"].as_array().expect("shards");
    assert_eq!(shards.len(), 2);
    for key in [
        "arrived",
        "commands",
        "load",
        "done",
        "depth",
        "lag_us",
        "published_share",
        "steals",
        "stolen",
        "given",
        "moved_in",
        "moved_out",
        "books",
        "busy",
        "stalled",
    ] {
        assert!(shards.iter().all(|shard| !shard[key].is_null()), "{key}: {second}");
    }
    let arrived: u64 = shards.iter().filter_map(|shard| shard["arrived"].as_u64()).sum();
    assert!(arrived >= 100, "{second}");
    for key in ["mode", "moves", "steals", "imbalance", "one_book_bounds", "frozen", "hottest", "events_lost"]
    {
        assert!(!second["balance"][key].is_null(), "{key}: {second}");
    }
    // A killed exchange leaves its socket; the next one on the directory puts its own there.
    venue.kill();
    assert!(path.exists());
    let venue = home.start();
    assert_eq!(read(&mut BufReader::new(UnixStream::connect(&path).expect("it listens")))["event"], "status");
    venue.stop();
    assert!(!path.exists());
}

#[test]
fn top_prints_a_frame_of_a_running_exchange() {
    let home = Home::new(Settings::default());
    let data = home.data().display().to_string();
    let venue = home.start();
    trade(&venue, 50);
    let frame = printed(&["top", "--once", "--data", &data]);
    assert!(frame.lines().count() <= 24 && frame.lines().all(|line| line.chars().count() <= 80), "{frame}");
    for part in
        ["commands/s", "balance full", " shards ", "busy", "hottest books", "what happened", "q quits"]
    {
        assert!(frame.contains(part), "{part}: {frame}");
    }
    assert!(frame.lines().any(|line| line.starts_with("1  ")), "the second shard: {frame}");
    venue.stop();
    let after = output(&["top", "--once", "--data", &data]);
    assert_eq!(after.status.code(), Some(1));
    let said = String::from_utf8_lossy(&after.stderr);
    assert!(said.contains("no exchange runs on"), "{said}");
}

/// A terminal of 80 by 24, with `exchange top` in it.
struct Screen {
    master: File,
    child: Child,
    bytes: mpsc::Receiver<Vec<u8>>,
    /// Everything that was written to it.
    shown: String,
}

impl Screen {
    fn top(data: &str) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).expect("its permissions");
        unlockpt(&master).expect("it can be opened");
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).expect("a size");
        let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("text");
        let open = || File::options().read(true).write(true).open(&name).expect("its other end");
        let child = exchange()
            .args(["top", "--data", data])
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .spawn()
            .expect("it starts");
        let master = File::from(master);
        let mut reader = master.try_clone().expect("a second handle");
        let (to, bytes) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            // Linux answers with an error when the other end is closed.
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if to.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { master, child, bytes, shown: String::new() }
    }

    /// Waits until `text` has been shown. Only words are drawn in one go: what is blank stays as it is.
    fn until(&mut self, text: &str) {
        while !self.shown.contains(text) {
            match self.bytes.recv_timeout(HUNG) {
                Ok(bytes) => self.shown += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("{error} before {text} was shown: {:?}", self.shown),
            }
        }
    }

    /// Waits for the end; what was shown is whole then.
    fn end(mut self) -> (ExitStatus, String) {
        self.until(GIVEN_BACK);
        while let Ok(bytes) = self.bytes.recv_timeout(HUNG) {
            self.shown += &String::from_utf8_lossy(&bytes);
        }
        (self.child.wait().expect("it ends"), self.shown)
    }
}

/// What takes the whole screen, and what gives it back.
const TAKEN: &str = "\u{1b}[?1049h";
const GIVEN_BACK: &str = "\u{1b}[?1049l";

#[test]
fn top_draws_until_it_is_told_to_stop_and_gives_the_terminal_back() {
    let home = Home::new(Settings::default());
    let data = home.data().display().to_string();
    let venue = home.start();
    for key in [b"q", b"\x03"] {
        let mut screen = Screen::top(&data);
        screen.until(TAKEN);
        screen.until("hottest");
        screen.master.write_all(key).expect("a key");
        let (status, _) = screen.end();
        assert!(status.success(), "{status}");
    }
    // A signal does the same.
    let mut screen = Screen::top(&data);
    screen.until("hottest");
    kill_process(Pid::from_child(&screen.child), Signal::TERM).expect("it can be told");
    assert!(screen.end().0.success());
    // The end of the exchange is an error that says so, on a terminal that is as it was.
    let mut screen = Screen::top(&data);
    screen.until("hottest");
    venue.stop();
    let (status, shown) = screen.end();
    assert_eq!(status.code(), Some(1));
    let (_, after) = shown.rsplit_once(GIVEN_BACK).expect("the screen was given back");
    assert!(after.contains("exchange: the exchange has ended"), "{after:?}");
}

#[test]
fn the_status_line_comes_as_often_as_asked() {
    let args = ["--shards", "2", "--status", "0.05"];
    let home = Home::new(Settings::args(&args));
    let mut venue = home.start();
    let first = venue.line("status");
    trade(&venue, 20);
    eventually("the line shows the orders", || {
        let status = venue.line("status");
        status["sequenced"].as_u64() >= first["sequenced"].as_u64().map(|before| before + 20)
    });
    assert_eq!(first["recent"], Value::Null, "events have lines of their own here");
    venue.stop();
}

#[test]
fn the_file_for_events_is_there_from_the_start_or_the_exchange_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("events").display().to_string();
    let home = Home::new(Settings::args(&["--shards", "2", "--balance-events", &file]));
    let venue = home.start();
    assert!(std::fs::metadata(&file).is_ok());
    venue.stop();
    for line in std::fs::read_to_string(&file).expect("the file").lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        assert!(event["event"].is_string() && event["time_us"].is_u64(), "{line}");
    }
    let nowhere = dir.path().join("none/events").display().to_string();
    let home = Home::new(Settings::args(&["--shards", "2", "--balance-events", &nowhere]));
    let said = home.refused();
    assert!(said.contains("cannot write balance events to") && said.contains(&nowhere), "{said}");
}

#[test]
fn every_steal_is_told_and_every_book_that_arrives() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("events").display().to_string();
    let args = ["--shards", "2", "--balance", "full", "--balance-events", &file];
    let home = Home::new(Settings { ack: "memory", ..Settings::args(&args) });
    let venue = home.start();
    let target = venue.address.to_string();
    let config = home.file("config.toml").display().to_string();
    // Three hot books in turn, as fast as it goes.
    for seed in ["1", "2", "3"] {
        let load =
            ["load", "--profile", "hot:80%,hot-swap:50ms", "--closed-loop", "64", "--duration", "500ms"];
        printed(&[&load[..], &["--json", "--target", &target, "--config", &config, "--seed", seed]].concat());
    }
    let counts =
        |status: &Value| ["steals", "moves", "events_lost"].map(|key| status["balance"][key].clone());
    // Lines on standard output may be old by now, those of the socket are not.
    let stream = UnixStream::connect(home.data().join("status.sock")).expect("it listens");
    let mut reader = BufReader::new(stream);
    let mut last = read(&mut reader);
    eventually("it comes to rest", || {
        let status = read(&mut reader);
        let rests = status["per_second"] == 0.0 && counts(&status) == counts(&last);
        last = status;
        rests
    });
    venue.stop();
    let text = std::fs::read_to_string(&file).expect("the file");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told = |name: &str| events.iter().filter(|event| event["event"] == name).count() as u64;
    let [steals, moves, lost] = counts(&last).map(|count| count.as_u64().expect("a count"));
    let (told_steals, told_moves) = (told("steal"), told("migration"));
    println!("{steals} steals and {moves} moves; {told_steals} and {told_moves} told, {lost} lost");
    if lost == 0 {
        assert_eq!(told_steals, steals);
        // A book that is sent on before it has arrived arrives once.
        assert!(told_moves <= moves && (told_moves > 0) == (moves > 0));
    } else {
        assert!(told_steals + lost >= steals && told_moves <= moves);
    }
    for event in
        events.iter().filter(|event| ["steal", "migration"].iter().any(|name| event["event"] == *name))
    {
        assert_ne!(event["from"], event["to"], "{event}");
        let book = event["book"].as_str().expect("a symbol");
        assert!(INSTRUMENTS.contains(&book), "{event}");
    }
}

#[test]
fn watching_wakes_an_idle_exchange_only_while_somebody_watches() {
    let home = Home::new(Settings::default());
    let venue = home.start();
    let switches = || {
        let mut all = 0;
        for task in
            std::fs::read_dir(format!("/proc/{}/task", venue.pid().as_raw_nonzero())).expect("a process")
        {
            let status =
                std::fs::read_to_string(task.expect("a thread").path().join("status")).expect("text");
            let line =
                status.lines().find(|line| line.starts_with("voluntary")).expect("the kernel counts them");
            all += line.split_whitespace().last().and_then(|n| n.parse::<u64>().ok()).expect("a number");
        }
        all
    };
    std::thread::sleep(Duration::from_millis(300));
    let before = switches();
    std::thread::sleep(Duration::from_secs(2));
    let idle = switches() - before;
    assert!(idle <= 20, "{idle} wake-ups in two idle seconds");
    let mut reader =
        BufReader::new(UnixStream::connect(home.data().join("status.sock")).expect("it listens"));
    read(&mut reader);
    read(&mut reader);
    drop(reader);
    // It is noticed at the next line, and then all is quiet again.
    std::thread::sleep(Duration::from_millis(800));
    let before = switches();
    std::thread::sleep(Duration::from_secs(2));
    let idle = switches() - before;
    assert!(idle <= 20, "{idle} wake-ups in two idle seconds after somebody watched");
    venue.stop();
}
