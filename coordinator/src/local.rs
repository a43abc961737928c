//! An etcd of several members on this machine, for drills and tests: the `etcd` on the PATH, on free ports of the
//! loopback, each member with a directory and a log of its own.
//!
//! Members can be killed, stopped, paused and started again. Whoever drops the [`LocalEtcd`] kills them all; their
//! directories stay, and are the caller's to remove. If the caller itself is killed, its members go on.

use std::{
    collections::hash_map::RandomState,
    fs::{self, File},
    hash::BuildHasher,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Client, Options};

/// How long members may take to have a leader, or to end when asked to.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often ports are chosen anew because someone else took one in between.
const STARTS_MAX: u32 = 5;

/// How the members are run.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// How many. `1 <= members <= 9`
    pub members: usize,
    /// A follower that hears nothing for so long starts an election. It also bounds leases from below: etcd grants none
    /// shorter than one and a half times this, in whole seconds.
    pub election: Duration,
    /// What every member gets as arguments besides, for instance certificates.
    pub arguments: Vec<String>,
    /// Clients come by HTTPS; the arguments name the certificates, and this how to check them.
    pub tls: Option<crate::Tls>,
}

impl LocalOptions {
    /// So many members, with etcd's own election time-out of a second.
    pub fn new(members: usize) -> Self {
        Self { members, election: Duration::from_secs(1), arguments: Vec::new(), tls: None }
    }
}

/// What can go wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// There is no etcd to be started.
    #[error("cannot start etcd: {0}. To install it: apt-get install etcd-server")]
    NoEtcd(std::io::Error),
    /// A number of members that is none.
    #[error("{0} members; between 1 and 9 can be run")]
    Members(usize),
    /// Someone else's members have been there.
    #[error("{0} is there already: another directory, or remove it")]
    Occupied(PathBuf),
    /// An operation of the system failed.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A member ended by itself.
    #[error("member {member} of etcd ended by itself; the end of {log}:\n{tail}")]
    Ended {
        /// Which.
        member: usize,
        /// Its log.
        log: PathBuf,
        /// The last of what it says.
        tail: String,
    },
    /// Members do not come to have a leader.
    #[error("etcd has no leader after {0:?}: {1}")]
    NotReady(Duration, String),
}

/// Several members of an etcd, which end with this value.
pub struct LocalEtcd {
    options: LocalOptions,
    members: Vec<Member>,
}

struct Member {
    dir: PathBuf,
    client_port: u16,
    peer_port: u16,
    /// None: it has been killed or stopped.
    child: Option<Child>,
}

impl LocalEtcd {
    /// Starts members whose directories lie in `dir`, and waits until they have a leader. `dir` is made when it is
    /// not there; members of an earlier run must not be in it.
    ///
    /// # Errors
    /// When etcd is not installed, or does not come up.
    pub fn start(dir: &Path, options: LocalOptions) -> Result<Self, LocalError> {
        if !(1..=9).contains(&options.members) {
            return Err(LocalError::Members(options.members));
        }
        for index in 0..options.members {
            let member = member_dir(dir, index);
            if member.exists() {
                return Err(LocalError::Occupied(member));
            }
        }
        let mut attempt = 1;
        loop {
            match Self::start_once(dir, &options) {
                // Someone else took a port between our choosing it and the member's binding it.
                Err(LocalError::Ended { tail, .. })
                    if attempt < STARTS_MAX && tail.contains("address already in use") =>
                {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    fn start_once(dir: &Path, options: &LocalOptions) -> Result<Self, LocalError> {
        let ports = free_ports(2 * options.members)
            .map_err(|source| LocalError::Io { action: "find free ports".to_owned(), source })?;
        let members = (0..options.members)
            .map(|index| Member {
                dir: member_dir(dir, index),
                client_port: ports[2 * index],
                peer_port: ports[2 * index + 1],
                child: None,
            })
            .collect();
        let mut etcd = Self { options: options.clone(), members };
        for index in 0..options.members {
            let member = &etcd.members[index].dir;
            // Of an attempt before this one, whose ports were taken.
            if member.exists() {
                let action = format!("remove {}", member.display());
                fs::remove_dir_all(member).map_err(|source| LocalError::Io { action, source })?;
            }
            etcd.restart(index)?;
        }
        etcd.wait_ready()?;
        Ok(etcd)
    }

    /// How many members there are, running or not.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// Where clients find the members, as [`Options::endpoints`] takes them.
    pub fn endpoints(&self) -> Vec<String> {
        (0..self.members()).map(|member| self.endpoint(member)).collect()
    }

    /// Options for a client of this etcd.
    pub fn client(&self) -> Options {
        Options { tls: self.options.tls.clone(), ..Options::new(self.endpoints()) }
    }

    /// Kills a member, as a crash would. One that does not run stays so.
    pub fn kill(&mut self, member: usize) {
        if let Some(mut child) = self.members[member].child.take() {
            // It may have ended by itself; either way it is gone afterwards.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks a member to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not within a minute. It is killed then.
    pub fn stop(&mut self, member: usize) -> Result<(), LocalError> {
        self.signal(member, Signal::TERM)?;
        let begin = Instant::now();
        while let Some(child) = &mut self.members[member].child {
            match child.try_wait() {
                Ok(Some(_)) => self.members[member].child = None,
                Ok(None) if begin.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(10)),
                _ => {
                    self.kill(member);
                    let action = format!("stop member {member} of etcd");
                    return Err(LocalError::Io { action, source: std::io::ErrorKind::TimedOut.into() });
                }
            }
        }
        Ok(())
    }

    /// Stops a member's clock, so to say: it is there, takes connections, and does nothing (SIGSTOP).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn pause(&mut self, member: usize) -> Result<(), LocalError> {
        self.signal(member, Signal::STOP)
    }

    /// Lets a paused member go on (SIGCONT).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn resume(&mut self, member: usize) -> Result<(), LocalError> {
        self.signal(member, Signal::CONT)
    }

    /// Starts a member that does not run, on what it left behind. Does not wait until it takes part.
    ///
    /// # Errors
    /// When etcd cannot be started.
    pub fn restart(&mut self, member: usize) -> Result<(), LocalError> {
        self.kill(member);
        let cluster: Vec<String> = (0..self.members())
            .map(|index| format!("m{index}=http://127.0.0.1:{}", self.members[index].peer_port))
            .collect();
        let own = &self.members[member];
        let io = |action: String| move |source| LocalError::Io { action, source };
        fs::create_dir_all(&own.dir).map_err(io(format!("make {}", own.dir.display())))?;
        let log = own.log();
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(io(format!("open {}", log.display())))?;
        let errors = output.try_clone().map_err(io(format!("open {}", log.display())))?;
        let client = self.endpoint(member);
        let peer = format!("http://127.0.0.1:{}", own.peer_port);
        let election = self.options.election.as_millis();
        let mut command = Command::new("etcd");
        command
            .args(["--name", &format!("m{member}")])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &cluster.join(","), "--initial-cluster-state", "new"])
            .args(["--initial-cluster-token", "fulcrum-local"])
            .args(["--election-timeout", &election.to_string()])
            .args(["--heartbeat-interval", &(election / 10).to_string()])
            .args(&self.options.arguments)
            .arg("--data-dir")
            .arg(own.dir.join("data"))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        // Settings of another etcd in the environment would become settings of this one.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("ETCD_") && text != "ETCD_UNSUPPORTED_ARCH" {
                command.env_remove(name);
            }
        }
        let child = command.spawn().map_err(LocalError::NoEtcd)?;
        self.members[member].child = Some(child);
        Ok(())
    }

    /// Which member leads, in the view of one that runs and answers; none while there is no leader.
    pub fn leader(&self) -> Option<usize> {
        let views: Vec<_> = (0..self.members())
            .map(|member| {
                let one = Options { endpoints: vec![self.endpoint(member)], ..self.client() };
                Client::new(&one).ok()?.status().ok()
            })
            .collect();
        // A member that has lost touch may name one that leads no more; the leader itself must say so, too.
        views.iter().position(|view| view.as_ref().is_some_and(|status| status.leader == Some(status.member)))
    }

    /// Waits until reads are answered, hence until there is a leader.
    ///
    /// # Errors
    /// When a member that should run has ended, or after a minute.
    pub fn wait_ready(&mut self) -> Result<(), LocalError> {
        let begin = Instant::now();
        let client = Client::new(&self.client())
            .map_err(|error| LocalError::NotReady(begin.elapsed(), error.to_string()))?;
        loop {
            self.check_running()?;
            match client.get("ready") {
                Ok(_) => return Ok(()),
                Err(error) if begin.elapsed() > PATIENCE => {
                    return Err(LocalError::NotReady(begin.elapsed(), error.to_string()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn endpoint(&self, member: usize) -> String {
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.members[member].client_port)
    }

    fn signal(&self, member: usize, signal: Signal) -> Result<(), LocalError> {
        // Our own child that has not been waited for: its id is nobody else's.
        let Some(child) = &self.members[member].child else { return Ok(()) };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process's id");
        kill_process(pid, signal).map_err(|errno| LocalError::Io {
            action: format!("send a signal to member {member} of etcd"),
            source: errno.into(),
        })
    }

    /// Whether those that were started and neither killed nor stopped are there.
    fn check_running(&mut self) -> Result<(), LocalError> {
        for (member, own) in self.members.iter_mut().enumerate() {
            let ended = own.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
            if ended {
                own.child = None;
                let log = own.log();
                let text = fs::read(&log).unwrap_or_default();
                let tail = &text[text.len().saturating_sub(2_000)..];
                return Err(LocalError::Ended {
                    member,
                    log,
                    tail: String::from_utf8_lossy(tail).into_owned(),
                });
            }
        }
        Ok(())
    }
}

impl Drop for LocalEtcd {
    fn drop(&mut self) {
        for member in 0..self.members() {
            self.kill(member);
        }
    }
}

impl Member {
    fn log(&self) -> PathBuf {
        self.dir.join("etcd.log")
    }
}

fn member_dir(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("etcd-{index}"))
}

/// Ports that nobody had a moment ago, all different. They lie below those that the system gives to outgoing
/// connections, so that a member that was killed finds its own free when it is started again.
fn free_ports(count: usize) -> std::io::Result<Vec<u16>> {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    // Anywhere: others on this machine may be choosing, too.
    let begin = (RandomState::new().hash_one(count) % u64::from(COUNT)) as u16;
    let mut taken = Vec::with_capacity(count);
    for offset in 0..COUNT {
        let port = FIRST + (begin + offset) % COUNT;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            taken.push((port, listener));
        }
        if taken.len() == count {
            return Ok(taken.into_iter().map(|(port, _)| port).collect());
        }
    }
    Err(std::io::ErrorKind::AddrInUse.into())
}
