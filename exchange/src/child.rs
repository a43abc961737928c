//! An exchange as a child process: started, watched, killed or stopped. For the demonstration, its proof, and drills.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
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
    /// Its configuration; without one, the embedded default.
    pub(crate) config: Option<PathBuf>,
    /// Which node of a pair it is, if it is one.
    pub(crate) node: Option<NodeArguments>,
}

/// How a node of a pair is run.
#[derive(Clone)]
pub(crate) struct NodeArguments {
    /// 1 or 2.
    pub(crate) number: u8,
    /// Where the pair's keys are.
    pub(crate) keys: PathBuf,
    /// Where it listens for the other node while it leads.
    pub(crate) listen: SocketAddr,
    /// Where it finds the other node while that one leads.
    pub(crate) peer: SocketAddr,
    /// The etcd that decides who leads, if one does, as `--coordinator` takes it.
    pub(crate) coordinator: Option<String>,
}

impl Arguments {
    /// Acknowledging from the disk, balanced, with a status twice a second.
    pub(crate) const fn new(shards: u16) -> Self {
        Self {
            shards,
            ack: "disk",
            balance: BalanceMode::Full,
            status_each: Duration::from_millis(500),
            config: None,
            node: None,
        }
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
        let mut exchange = Self::launch("run", data, arguments)?;
        exchange.wait_until_ready()?;
        Ok(exchange)
    }

    /// Starts `exchange standby` on a data directory, and waits until it looks for the node that leads.
    pub(crate) fn follow(data: &Path, arguments: &Arguments) -> Result<Self, String> {
        let exchange = Self::launch("standby", data, arguments)?;
        exchange.expect("following")?;
        Ok(exchange)
    }

    fn launch(verb: &str, data: &Path, arguments: &Arguments) -> Result<Self, String> {
        let program =
            std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let mut command = Command::new(program);
        command
            .args([verb, "--soup", "127.0.0.1:0", "--json", "--ack", arguments.ack])
            .args(["--balance", arguments.balance.name(), "--shards", &arguments.shards.to_string()])
            .args(["--status", &arguments.status_each.as_secs_f64().to_string()])
            .arg("--data")
            .arg(data);
        if let Some(config) = &arguments.config {
            command.arg("--config").arg(config);
        }
        if let Some(NodeArguments { number, keys, listen, peer, coordinator }) = &arguments.node {
            let peer_is = if verb == "standby" { "--primary" } else { "--peer" };
            command
                .args(["--node", &number.to_string(), "--listen", &listen.to_string()])
                .args([peer_is, &peer.to_string()])
                .arg("--keys")
                .arg(keys);
            if let Some(endpoints) = coordinator {
                command.args(["--coordinator", endpoints]);
            }
        }
        let mut child = command
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
                    } else if ["following", "recovered", "ready", "deposed", "stopped"].contains(&event)
                        && sender.send(value).is_err()
                    {
                        return;
                    }
                }
            })
            .map_err(|error| format!("no thread for the exchange's output: {error}"))?;
        Ok(Self {
            child,
            lines,
            status,
            fresh,
            recovered: Value::Null,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        })
    }

    /// Waits until clients may come: at its start, or when it was promoted.
    pub(crate) fn wait_until_ready(&mut self) -> Result<(), String> {
        self.recovered = self.expect("recovered")?;
        let ready = self.expect("ready")?;
        let address = ready["soup"].as_str().unwrap_or_default();
        self.address = address.parse().map_err(|error| format!("ready at \"{address}\": {error}"))?;
        Ok(())
    }

    /// Waits until it knows that another node leads in its stead.
    pub(crate) fn wait_until_deposed(&self) -> Result<(), String> {
        self.expect("deposed").map(|_| ())
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), String> {
        kill_process(self.pid(), signal).map_err(|error| format!("cannot signal the exchange: {error}"))
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Fails if it has ended.
    pub(crate) fn must_run(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("the exchange ended with {status}; see its error above")),
            Err(error) => Err(format!("nothing is known of the exchange: {error}")),
        }
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
        self.signal(Signal::TERM)?;
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
