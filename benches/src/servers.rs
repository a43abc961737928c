//! The servers that `end_to_end` drives, each a process of its own: the exchange, and the echo server.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use domain::{Instrument, InstrumentId, Price, Quantity, Symbol};
use loadgen::User;
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The word that makes a benchmark's own executable an echo server.
pub const ECHO: &str = "serve-echo";
/// Where the journal keeps its tail when it finds room there.
const TAIL_DIR: &str = "/dev/shm";

/// A process that serves, until it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where those connect that speak FIX.
    pub fix: Option<SocketAddr>,
    /// Until it was ready.
    pub started_in: Duration,
    /// Kept open: a process that writes into a closed pipe dies.
    _out: BufReader<ChildStdout>,
    data: Option<PathBuf>,
}

/// How to run the exchange.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The executable.
    pub program: &'a Path,
    /// The configuration file.
    pub config: &'a Path,
    /// Its data directory; removed when the server is dropped.
    pub data: &'a Path,
    /// `memory` or `disk`.
    pub ack: &'a str,
    /// `spin`, `backoff` or `park`.
    pub idle: &'a str,
    /// Further words of its command line.
    pub more: &'a [&'a str],
}

impl Server {
    /// Starts the exchange.
    ///
    /// # Errors
    /// When it does not say that it is ready.
    pub fn exchange(setup: &Setup<'_>) -> Result<Self, String> {
        let mut command = Command::new(setup.program);
        command
            .args(["run", "--json", "--soup", "127.0.0.1:0", "--ack", setup.ack, "--idle", setup.idle])
            .args(setup.more)
            .arg("--data")
            .arg(setup.data)
            .arg("--config")
            .arg(setup.config)
            .env("RUST_LOG", "error");
        Self::start(command, Some(setup.data.to_owned()), |line| {
            let event: serde_json::Value = serde_json::from_str(line).ok()?;
            let address = |protocol: &str| event[protocol].as_str()?.parse().ok();
            (event["event"] == "ready").then(|| Some((address("soup")?, address("fix")))).flatten()
        })
        .map_err(|error| format!("the exchange: {error}"))
    }

    /// Starts the echo server, which is this executable under another word.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub fn echo(spin: bool) -> Result<Self, String> {
        let program = env::current_exe().map_err(|error| format!("cannot find myself: {error}"))?;
        let mut command = Command::new(program);
        command.args([ECHO, if spin { "spin" } else { "block" }]);
        // It speaks both in one place.
        Self::start(command, None, |line| line.trim().parse().ok().map(|address| (address, Some(address))))
            .map_err(|error| format!("the echo server: {error}"))
    }

    fn start(
        mut command: Command,
        data: Option<PathBuf>,
        ready: impl Fn(&str) -> Option<(SocketAddr, Option<SocketAddr>)> + Send + 'static,
    ) -> Result<Self, String> {
        let before = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", command.get_program().display()))?;
        let out = child.stdout.take().map(BufReader::new).ok_or("it has no standard output")?;
        // A read has no timeout: another thread reads, and is given up with the process when nothing comes.
        let (tell, told) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut out = out;
            let mut line = String::new();
            while out.read_line(&mut line).unwrap_or(0) > 0 {
                if let Some(addresses) = ready(&line) {
                    let _ = tell.send((addresses, out));
                    return;
                }
                line.clear();
            }
        });
        match told.recv_timeout(PATIENCE) {
            Ok(((address, fix), out)) => {
                Ok(Self { child, address, fix, started_in: before.elapsed(), _out: out, data })
            }
            Err(_) => {
                let _ = child.kill();
                let status = child.wait();
                let _ = reader.join();
                Err(format!("it was not ready; its end: {status:?}"))
            }
        }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the exchange to end and waits for it: it must end well.
    ///
    /// # Errors
    /// When it does not.
    pub fn stop(mut self) -> Result<(), String> {
        match self.end(PATIENCE)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("the exchange ended badly: {status}")),
            None => Err("the exchange did not end".into()),
        }
    }

    /// Asks it to end; how it did, if it did in time.
    fn end(&mut self, patience: Duration) -> Result<Option<ExitStatus>, String> {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).ok_or("its process has no number")?;
        let deadline = Instant::now() + patience;
        let mut asked = false;
        loop {
            match self.child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => return Ok(Some(status)),
                None if Instant::now() > deadline => return Ok(None),
                None if asked => thread::sleep(Duration::from_millis(5)),
                // Not reaped yet, so the number is still its own.
                None => kill_process(pid, Signal::TERM)
                    .map_err(|error| format!("cannot ask it to end: {error}"))?,
            }
            asked = true;
        }
    }

    /// Directories whose mapped files are the journal's.
    #[must_use]
    pub fn journal_dirs(&self) -> Vec<&Path> {
        self.data.as_deref().into_iter().chain([Path::new(TAIL_DIR)]).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The exchange takes its files in shared memory with it when it is asked; the echo server has none.
        if self.data.is_some() {
            let _ = self.end(Duration::from_secs(5));
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(data) = &self.data {
            let _ = fs::remove_dir_all(data);
        }
    }
}

/// The exchange's executable, beside the benchmark's own.
///
/// # Errors
/// When it is not there: with the line that builds it.
pub fn exchange_program() -> Result<PathBuf, String> {
    let own = env::current_exe().map_err(|error| format!("cannot find myself: {error}"))?;
    let dir = own.parent().and_then(Path::parent).ok_or("this executable lies in no target directory")?;
    let program = dir.join("exchange");
    if program.is_file() {
        Ok(program)
    } else {
        Err(format!("there is no {}; build it first: cargo build --release -p exchange", program.display()))
    }
}

/// Writes the exchange's own default configuration with `count` instruments of ours, and gives those.
///
/// # Errors
/// When the exchange does not print a configuration, or it has not the shape that this knows.
pub fn configure(program: &Path, file: &Path, count: u32) -> Result<Vec<Instrument>, String> {
    let mut child = Command::new(program)
        .arg("config")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let mut text = String::new();
    if let Some(out) = &mut child.stdout {
        out.read_to_string(&mut text).map_err(|error| error.to_string())?;
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("`exchange config` ended badly: {status}"));
    }
    let mut table: toml::Table =
        text.parse().map_err(|error| format!("`exchange config` is no TOML: {error}"))?;
    let instruments: Vec<Instrument> = (0..count).map(instrument).collect();
    let list = instruments.iter().map(|i| {
        let symbol = toml::Value::String(i.symbol.as_str().to_owned());
        toml::Value::Table([("symbol".to_owned(), symbol)].into_iter().collect())
    });
    table.insert("instruments".into(), toml::Value::Array(list.collect()));
    let defaults = table
        .get_mut("instrument_defaults")
        .and_then(toml::Value::as_table_mut)
        .ok_or("`exchange config` has no [instrument_defaults]")?;
    defaults.insert("tick".into(), "0.01".into());
    defaults.insert("lot".into(), 1.into());
    defaults.insert("quantity_max".into(), 999_999.into());
    defaults.insert("price_max".into(), "199999.99".into());
    let listener = [("address".to_owned(), "127.0.0.1:0".into())].into_iter().collect();
    table.insert("fix".into(), toml::Value::Table(listener));
    let users = table.get_mut("users").and_then(toml::Value::as_array_mut);
    let users = users.ok_or("`exchange config` has no [[users]]")?;
    for User { name, password } in fix_users() {
        let fields = [("name", name), ("password", password), ("protocol", "fix".to_owned())];
        let user = fields.into_iter().map(|(key, value)| (key.to_owned(), value.into()));
        users.push(toml::Value::Table(user.collect()));
    }
    fs::write(file, table.to_string())
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    Ok(instruments)
}

/// Users of that configuration who speak FIX.
#[must_use]
pub fn fix_users() -> Vec<User> {
    (1..=4).map(|number| User { name: format!("FIX{number}"), password: "benchmark".into() }).collect()
}

/// A share in cents, as the configuration above says.
fn instrument(index: u32) -> Instrument {
    Instrument {
        id: InstrumentId(index),
        symbol: Symbol::new(&format!("B{index:05}")).expect("a letter and digits"),
        tick: 100,
        lot: 1,
        quantity_max: Quantity(999_999),
        price_max: Price::new(19_999_999).expect("far from the ends"),
        bounds: domain::OrderBounds::NONE,
    }
}
