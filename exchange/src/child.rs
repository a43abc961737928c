//! An exchange as a child process: started, watched, killed or stopped. For the demonstration and its proof.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, unbounded};
use engine::balance::BalanceMode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long an answer may take before the exchange counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// How an exchange is run.
pub(crate) struct Arguments {
    pub(crate) shards: u16,
    pub(crate) ack: &'static str,
    pub(crate) balance: BalanceMode,
    /// How often it says how it is doing.
    pub(crate) status_each: Duration,
}

impl Arguments {
    /// Acknowledging from the disk, balanced, with a status twice a second.
    pub(crate) const fn new(shards: u16) -> Self {
        Self { shards, ack: "disk", balance: BalanceMode::Full, status_each: Duration::from_millis(500) }
    }
}

/// A running exchange.
pub(crate) struct Exchange {
    child: Child,
    lines: Receiver<Value>,
    /// The last status line.
    pub(crate) status: Arc<Mutex<Value>>,
    /// Each status line, for who waits for the next; has room for one.
    fresh: Receiver<()>,
    /// What it said when it had recovered.
    pub(crate) recovered: Value,
    pub(crate) address: SocketAddr,
}

impl Exchange {
    /// Starts `exchange run` on a data directory, on a free port of the loopback, and waits until it is ready.
    pub(crate) fn start(data: &Path, arguments: &Arguments) -> Result<Self, String> {
        let program =
            std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let mut child = Command::new(program)
            .args(["run", "--soup", "127.0.0.1:0", "--json", "--ack", arguments.ack])
            .args(["--balance", arguments.balance.name(), "--shards", &arguments.shards.to_string()])
            .args(["--status", &arguments.status_each.as_secs_f64().to_string()])
            .arg("--data")
            .arg(data)
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the exchange: {error}"))?;
        let stdout = child.stdout.take().ok_or("the exchange has no output")?;
        let status = Arc::new(Mutex::new(Value::Null));
        let (sender, lines) = unbounded();
        let (refresh, fresh) = bounded(1);
        let shown = Arc::clone(&status);
        std::thread::Builder::new()
            .name("exchange-output".into())
            .spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
                    let event = value["event"].as_str().unwrap_or_default();
                    if event == "status" {
                        if let Ok(mut status) = shown.lock() {
                            *status = value;
                        }
                        // The one before may not have been waited for.
                        let _ = refresh.try_send(());
                    // The others are what balancing does, move by move: the status counts it.
                    } else if ["recovered", "ready", "stopped"].contains(&event)
                        && sender.send(value).is_err()
                    {
                        return;
                    }
                }
            })
            .map_err(|error| format!("no thread for the exchange's output: {error}"))?;
        let mut exchange = Self {
            child,
            lines,
            status,
            fresh,
            recovered: Value::Null,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        exchange.recovered = exchange.expect("recovered")?;
        let ready = exchange.expect("ready")?;
        let address = ready["soup"].as_str().unwrap_or_default();
        exchange.address = address.parse().map_err(|error| format!("ready at \"{address}\": {error}"))?;
        Ok(exchange)
    }

    /// A status of a moment after this call.
    pub(crate) fn status_from_now(&self) -> Result<Value, String> {
        while self.fresh.try_recv().is_ok() {}
        // The first to come may have been under way.
        for _ in 0..2 {
            self.fresh.recv_timeout(PATIENCE).map_err(|_| "the exchange shows no status")?;
        }
        self.status.lock().map(|status| status.clone()).map_err(|_| "the exchange's output is lost".into())
    }

    /// Kills it without warning.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        self.child.kill().map_err(|error| format!("cannot kill the exchange: {error}"))?;
        self.child.wait().map_err(|error| format!("the exchange does not die: {error}"))?;
        Ok(())
    }

    /// Asks it to stop, and gives what it says at the end.
    pub(crate) fn stop(mut self) -> Result<Value, String> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).map_err(|error| format!("cannot stop the exchange: {error}"))?;
        let stopped = self.expect("stopped")?;
        let status = self.child.wait().map_err(|error| format!("the exchange does not end: {error}"))?;
        if !status.success() {
            return Err(format!("the exchange ended with {status}"));
        }
        Ok(stopped)
    }

    fn expect(&self, event: &str) -> Result<Value, String> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(value) if value["event"] == event => return Ok(value),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("the exchange did not say \"{event}\" within {PATIENCE:?}"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!(
                        "the exchange ended before it said \"{event}\"; see its error above"
                    ));
                }
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
