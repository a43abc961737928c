//! An exchange under test: its directory, its configuration, its process.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;

/// What takes longer hangs.
pub(crate) const HUNG: Duration = Duration::from_secs(60);

/// The password of every user.
pub(crate) const PASSWORD: &str = "secret";

/// The users of every exchange under test. A session's index is its user's place here.
pub(crate) const USERS: [&str; 8] = ["ALICE", "BOB", "CAROL", "DAVE", "ERIN", "FRANK", "GRACE", "FENCE"];

/// The instruments of every exchange under test: `AAPL` and its like have a tick of a cent and a lot of one, `LOTS`
/// has a tick of five cents, a lot of 100, 50 lots at most and a highest price of 1000.
pub(crate) const INSTRUMENTS: [&str; 5] = ["AAPL", "MSFT", "NVDA", "AMZN", "LOTS"];

/// What may differ between two exchanges under test.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) ack: &'static str,
    pub(crate) tick: &'static str,
    /// Further keys of the instrument `NVDA`, each after a comma.
    pub(crate) nvda: &'static str,
    /// Further keys of the configuration, a line each.
    pub(crate) keys: &'static str,
    pub(crate) segment_mib: u64,
    pub(crate) tail_mib: u64,
    /// "": where the exchange puts it, mostly in shared memory.
    pub(crate) tail_dir: String,
    pub(crate) reserve_mib: u64,
    pub(crate) snapshot_mib: u64,
    /// Further keys of the section `[journal]`, a line each.
    pub(crate) journal: String,
    pub(crate) connections: usize,
    pub(crate) unsent_kib: usize,
    pub(crate) open_orders: usize,
    pub(crate) login_timeout_s: u64,
    pub(crate) silence_s: u64,
    /// Further keys of the section `[limits]`, a line each.
    pub(crate) limits: &'static str,
    /// Further sections.
    pub(crate) sections: String,
    /// Keys of the section `[admission]`.
    pub(crate) admission: &'static str,
    /// The command that runs the exchange.
    pub(crate) verb: &'static str,
    /// Further arguments of it.
    pub(crate) args: Vec<String>,
    /// What runs the exchange, with its arguments; nothing: the test itself.
    pub(crate) under: Vec<String>,
    /// Where the data directory is; `None`: among the test's own temporary files.
    pub(crate) data: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ack: "disk",
            tick: "0.01",
            nvda: "",
            keys: "",
            segment_mib: 4,
            tail_mib: 1,
            tail_dir: String::new(),
            reserve_mib: 1,
            // Only at stops, so that a test knows which there are.
            snapshot_mib: 0,
            journal: String::new(),
            connections: 64,
            unsent_kib: 4_096,
            open_orders: 100_000,
            login_timeout_s: 30,
            silence_s: 60,
            limits: "",
            sections: String::new(),
            // Whatever else the machine does meanwhile, nothing is refused for having waited or for want of room to wait.
            admission: "sojourn_us = 3600000000\nheld_book = 65536\nheld_session = 65536",
            verb: "run",
            args: vec!["--shards".into(), "2".into()],
            under: Vec::new(),
            data: None,
        }
    }
}

impl Settings {
    /// With other arguments of `run`.
    pub(crate) fn args(args: &[&str]) -> Self {
        Self { args: args.iter().map(ToString::to_string).collect(), ..Self::default() }
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> String {
        let mut text = format!(
            "soup = \"127.0.0.1:0\"\nack = \"{}\"\nshards = 0\nidle = \"backoff\"\nplacement = \"hash\"\npin = \"auto\"\n\
             {}instruments = [\n",
            self.ack, self.keys
        );
        for symbol in INSTRUMENTS {
            let more = match symbol {
                "LOTS" => r#", tick = "0.05", lot = 100, quantity_max = 50, price_max = "1000.00""#,
                "NVDA" => self.nvda,
                _ => "",
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "    {{ symbol = \"{symbol}\"{more} }},");
        }
        let _ = write!(
            text,
            "]\n[journal]\nsegment_mib = {}\ntail_mib = {}\ntail_dir = \"{}\"\nreserve_mib = {}\nsnapshot_mib = {}\n{}\
             [limits]\nconnections = {}\nunsent_kib = {}\nopen_orders = {}\nlogin_timeout_s = {}\nsilence_s = {}\n{}\n[admission]\n{}\n{}\n\
             [instrument_defaults]\ntick = \"{}\"\nlot = 1\nquantity_max = 999999\nprice_max = \"199999.99\"\n",
            self.segment_mib,
            self.tail_mib,
            self.tail_dir,
            self.reserve_mib,
            self.snapshot_mib,
            self.journal,
            self.connections,
            self.unsent_kib,
            self.open_orders,
            self.login_timeout_s,
            self.silence_s,
            self.limits,
            self.admission,
            self.sections,
            self.tick,
        );
        for user in USERS {
            let _ = write!(text, "[[users]]\nname = \"{user}\"\npassword = \"{PASSWORD}\"\n");
        }
        text
    }
}

/// A place for an exchange: its data directory, its configuration and its log.
pub(crate) struct Home {
    dir: TempDir,
    pub(crate) settings: Settings,
}

impl Home {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { dir: TempDir::new().expect("a temporary directory"), settings }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.settings.data.clone().unwrap_or_else(|| self.dir.path().join("data"))
    }

    /// A file of the test's own.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Everything that exchanges here have said on standard error.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).expect("the log")
    }

    /// The lines of the log that name `text`; the log may be a moment behind what a client saw.
    pub(crate) fn log_lines(&self, text: &str) -> Vec<String> {
        self.log().lines().filter(|line| line.contains(text)).map(ToOwned::to_owned).collect()
    }

    /// Where the tail is, when there is one.
    pub(crate) fn tail(&self) -> Option<PathBuf> {
        let info = journal::inspect::info(self.data()).expect("a whole journal");
        info.tail.map(|tail| tail.file)
    }

    fn command(&self) -> Command {
        let config = self.file("config.toml");
        std::fs::write(&config, self.settings.config()).expect("writing the configuration");
        let mut command = under(&self.settings.under);
        command.args([self.settings.verb, "--json", "--data"]).arg(self.data()).arg("--config").arg(config);
        command.args(&self.settings.args);
        command
    }

    /// Starts the exchange, and waits until it is ready.
    pub(crate) fn start(&self) -> Venue {
        let mut venue = self.launch();
        venue.ready();
        venue
    }

    /// Starts the exchange, and waits for nothing.
    pub(crate) fn launch(&self) -> Venue {
        self.launch_as(self.command())
    }

    /// Starts a command of the binary that says what it does, and waits for nothing.
    pub(crate) fn launch_as(&self, mut command: Command) -> Venue {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.file("log")).expect("a log");
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the exchange starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let (to, lines) = mpsc::channel();
        // It ends with the pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    return;
                }
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Venue {
            child,
            lines,
            recovered: Value::Null,
            feed: Value::Null,
            address,
            fix: None,
            sessions: Mutex::default(),
            log: self.file("log"),
        }
    }

    /// Starts an exchange that must refuse: returns what it says on standard error.
    pub(crate) fn refused(&self) -> String {
        let output = self.command().output().expect("the exchange starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "it had to refuse: {text}");
        text
    }

    /// `exchange replay --json` on the data directory.
    pub(crate) fn replay(&self, shards: u16) -> Value {
        replay(&self.data(), shards)
    }
}

impl Drop for Home {
    /// A killed exchange leaves its tail in shared memory for the next one, and here there is no next one.
    fn drop(&mut self) {
        if let Ok(info) = journal::inspect::verify(self.data())
            && let Some(tail) = info.info.tail
        {
            // Nothing depends on it any more.
            let _ = std::fs::remove_file(tail.file);
        }
    }
}

/// The binary.
pub(crate) fn exchange() -> Command {
    under(&[])
}

/// The binary, run by another program.
fn under(program: &[String]) -> Command {
    let own = env!("CARGO_BIN_EXE_exchange");
    let mut command = match program {
        [] => Command::new(own),
        [program, args @ ..] => {
            let mut command = Command::new(program);
            command.args(args).arg(own);
            command
        }
    };
    command.stdin(Stdio::null()).env("RUST_LOG", "info");
    command
}

/// Runs a command of the binary to its end.
pub(crate) fn output(args: &[&str]) -> Output {
    exchange().args(args).output().expect("the binary runs")
}

/// Runs a command that must succeed, and returns what it prints.
pub(crate) fn printed(args: &[&str]) -> String {
    let output = output(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// Runs a command that must succeed and print one JSON value.
pub(crate) fn json(args: &[&str]) -> Value {
    let text = printed(args);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
}

/// `exchange replay --json --per-instrument`.
pub(crate) fn replay(data: &Path, shards: u16) -> Value {
    let (data, shards) = (data.display().to_string(), shards.to_string());
    json(&["replay", "--data", &data, "--shards", &shards, "--per-instrument", "--json"])
}

/// A running exchange. It is killed when it is dropped.
pub(crate) struct Venue {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// What it said when it had recovered.
    pub(crate) recovered: Value,
    /// What it said of market data, if it publishes any.
    pub(crate) feed: Value,
    pub(crate) address: SocketAddr,
    /// Where it listens for FIX, if it does.
    pub(crate) fix: Option<SocketAddr>,
    /// The session that each user was in.
    pub(crate) sessions: Mutex<BTreeMap<&'static str, String>>,
    log: PathBuf,
}

impl Venue {
    /// The next line that tells of `event`; the status, and what balancing does, are shown in between.
    pub(crate) fn line(&mut self, event: &str) -> Value {
        loop {
            let value = self.any_line(event);
            if value["event"] == event {
                return value;
            }
            let between = [
                "status",
                "steal",
                "migration",
                "frozen",
                "thawed",
                "stalled",
                "resumed",
                "leading",
                "following",
                "feed",
            ];
            assert!(between.iter().any(|between| value["event"] == *between), "{value}");
            if value["event"] == "feed" {
                self.feed = value;
            }
        }
    }

    /// Where it tells of books by FIX, if it does.
    pub(crate) fn market_data(&self) -> Option<SocketAddr> {
        self.feed["fix"].as_str().and_then(|text| text.parse().ok())
    }

    /// Waits until it trades: at its start, or when it has taken over.
    pub(crate) fn ready(&mut self) {
        self.recovered = self.line("recovered");
        self.listens();
    }

    /// Waits until it listens.
    pub(crate) fn listens(&mut self) {
        let ready = self.line("ready");
        self.address = ready["soup"].as_str().and_then(|text| text.parse().ok()).expect("an address");
        self.fix = ready["fix"].as_str().and_then(|text| text.parse().ok());
    }

    fn any_line(&mut self, event: &str) -> Value {
        let line = self.lines.recv_timeout(HUNG).unwrap_or_else(|_| {
            let status = self.child.try_wait();
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            panic!("no line \"{event}\" (status {status:?}); its log:\n{log}")
        });
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The state that it recovered to.
    pub(crate) fn recovered_state(&self) -> String {
        text(&self.recovered, "state")
    }

    /// Logs in from the first message that was never sent on.
    pub(crate) fn client(&self, user: &'static str) -> Client {
        self.client_from(user, 0)
    }

    /// Logs in from message `from` on.
    pub(crate) fn client_from(&self, user: &'static str, from: u64) -> Client {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.entry(user).or_default();
        let client = Client::try_log_in(self.address, user, PASSWORD, session, from)
            .unwrap_or_else(|error| panic!("{user}: {error}"));
        session.clone_from(&client.session);
        client
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Whether a signal has stopped all of its threads: each of them goes on until it has seen it.
    pub(crate) fn stands_still(&self) -> bool {
        let tasks = format!("/proc/{}/task", self.pid().as_raw_nonzero());
        std::fs::read_dir(tasks).expect("its threads").flatten().all(|task| {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("State:\tT"))
        })
    }

    /// Whether the process lives.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// SIGKILL, and waits until it is dead.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it dies");
    }

    /// SIGTERM; waits for its end and returns what it said about it.
    pub(crate) fn stop(mut self) -> Value {
        kill_process(self.pid(), Signal::TERM).expect("it can be asked to stop");
        let stopped = self.line("stopped");
        let status = self.wait();
        assert!(status.success(), "{status}");
        stopped
    }

    /// SIGTERM; returns the state that it stopped in.
    pub(crate) fn stop_state(self) -> String {
        text(&self.stop(), "state")
    }

    /// Waits for the end that something else has caused.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + HUNG;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the exchange does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A text field of a JSON object.
pub(crate) fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

/// Tries until `done` says so.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + HUNG;
    while !done() {
        assert!(Instant::now() < deadline, "hung: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
