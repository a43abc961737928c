//! A node that follows: it takes the leader's batches into its own journal, says how far it is, runs every command through
//! its own books, and leads when it is told to.
//!
//! The gateway is shut meanwhile: nothing listens for clients. The books are warm, so that leading begins with what is
//! in flight and not with a recovery. Each report that the leader has numbered is held against what the books here say
//! ([`Follower`]); a node whose books say otherwise goes on keeping the journal, which is worth having, and is not
//! promoted.
//!
//! One thread. Its turn: wait for the link; look for a leader, or read what it says ([`link`]); answer an operator
//! ([`asked`]); stand for election; do what the rules ask for, much of it with the journal ([`own_journal`]).

mod asked;
mod link;
mod own_journal;

use std::{
    collections::VecDeque,
    fs::{self, File},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cluster::{
    election::{Candidate, Situation},
    gate::Policy,
    history::History,
    standby::{Action, Authority, Settings, Standby},
};
use crossbeam_channel::Sender;
use domain::Epoch;
use engine::hash::StateHash;
use journal::{Appender, Progress, Recovery};
use log::{error, info};
use mio::{Events, Poll, Token, Waker};

pub(crate) use self::own_journal::ARCHIVE;
use self::own_journal::{Open, log_of, open};
use super::{
    Node, boot_nanos,
    control::{Asked, Control},
    electing::{Election, Verdict},
    kept::KeptFile,
    needs::PeerNeeds,
    wire::Wire,
};
use crate::{
    books::HowToRun, config::Upkeep, follower::Follower, front::Requests, keeping::Keeper, status::Counters,
    wake::FrontWake,
};

const WAKER: Token = Token(0);
/// The longest wait.
const TICK: Duration = Duration::from_millis(20);

/// How a node stopped following.
pub(crate) enum Outcome {
    /// It leads from here on.
    Promoted(Box<Promotion>),
    /// It was told to stop.
    Stopped,
}

/// What a promoted node goes on with.
pub(crate) struct Promotion {
    pub(crate) appender: Appender,
    pub(crate) follower: Follower,
    pub(crate) found: Recovery,
    pub(crate) epoch: Epoch,
    pub(crate) cancel_only: Duration,
    pub(crate) kept: KeptFile,
    pub(crate) history: History,
    /// Whoever asked for it.
    pub(crate) asked: Option<Asked>,
    /// The election that was won.
    pub(crate) election: Option<Election>,
}

/// What following takes.
pub(crate) struct Following {
    pub(crate) node: Node,
    pub(crate) options: journal::Options,
    pub(crate) how: Arc<HowToRun>,
    pub(crate) wake: Arc<FrontWake>,
    pub(crate) settings: Settings,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) election: Option<Election>,
    /// Snapshots and retention.
    pub(crate) upkeep: Upkeep,
    /// The policy under which this node would lead.
    pub(crate) policy: Policy,
    pub(crate) shown: Shown,
    /// Nothing is on record of this cluster, and this node founds it: it begins a journal if it has none.
    pub(crate) founds: bool,
}

/// Where the status is asked for and left.
pub(crate) struct Shown {
    pub(crate) requests: Arc<Requests>,
    /// Answers to [`Requests::status_wanted`]; has room for one.
    pub(crate) counters: Sender<Counters>,
    /// The disk under the journal that is open.
    pub(crate) disk: Arc<Mutex<Option<Progress>>>,
}

struct Driver {
    of: Following,
    dir: PathBuf,
    poll: Poll,
    waker: Arc<Waker>,
    machine: Standby,
    journal: Option<Open>,
    /// What is done beside the journal that is open.
    keeper: Option<Keeper>,
    /// What the leader's disk has.
    needs: Arc<PeerNeeds>,
    kept: KeptFile,
    link: Option<Wire>,
    incoming: Option<File>,
    /// Which peer is tried next, and when.
    next_peer: usize,
    next_try_nanos: u64,
    wishes: Arc<Mutex<VecDeque<Asked>>>,
    promoting: Option<Asked>,
    /// The other node has handed over on purpose: what clients know of their orders is what is so.
    handed_over: bool,
    /// The rules have said that this node leads.
    leads: Option<Promotion>,
    said: Option<String>,
}

/// Follows until there is something else to do. `ready` is called when the journal is open and the node can be asked.
///
/// # Errors
/// When the node's own files or disk do not allow it.
pub(crate) fn follow(of: Following, ready: impl FnOnce()) -> Result<Outcome, String> {
    let dir = of.node.data.clone();
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut kept = KeptFile::read_before_opening(&dir)?;
    let poll = Poll::new().map_err(|error| format!("no poll: {error}"))?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(|error| format!("no waker: {error}"))?);
    let journal = open(&dir, &of, &waker, None)?;
    if let Some(open) = &journal
        && open.found.cut.is_some()
    {
        kept.doubt(&dir)?;
    }
    let log = journal.as_ref().map(log_of).transpose()?;
    let machine = Standby::new(of.settings, of.node.id(), log, kept.kept);
    let wishes: Arc<Mutex<VecDeque<Asked>>> = Arc::default();
    let control = {
        let (wishes, waker) = (Arc::clone(&wishes), Arc::clone(&waker));
        Control::open(&dir, move |asked| {
            lock(&wishes).push_back(asked);
            let _ = waker.wake();
        })?
    };
    let mut driver = Driver {
        of,
        dir,
        poll,
        waker,
        machine,
        journal,
        keeper: None,
        needs: Arc::default(),
        kept,
        link: None,
        incoming: None,
        next_peer: 0,
        next_try_nanos: 0,
        wishes,
        promoting: None,
        handed_over: false,
        leads: None,
        said: None,
    };
    driver.begin_keeping()?;
    ready();
    let outcome = driver.run();
    drop(control);
    outcome
}

impl Driver {
    fn run(mut self) -> Result<Outcome, String> {
        let mut events = Events::with_capacity(16);
        let mut more = false;
        info!("following as node {}; clients are not let in", self.of.node.number);
        loop {
            let timeout = if more { Duration::ZERO } else { TICK };
            if let Err(error) = self.poll.poll(&mut events, Some(timeout))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                return Err(format!("polling: {error}"));
            }
            if self.of.stop.load(Ordering::Acquire) {
                return self.stop();
            }
            self.connect();
            more = self.listen()?;
            self.hear_wishes();
            if self.of.shown.requests.status_wanted.swap(false, Ordering::Relaxed) {
                // No room: the last answer came too late to be taken, and whoever asks next clears it away.
                let _ = self.of.shown.counters.try_send(self.counters());
            }
            self.tell_durable()?;
            self.elect();
            self.machine.tick(boot_nanos());
            self.act()?;
            self.flush();
            if let Some(promotion) = self.leads.take() {
                return Ok(Outcome::Promoted(Box::new(promotion)));
            }
            if let Some(open) = &mut self.journal
                && open.differs.is_none()
                && let Err(why) = open.follower.drain()
            {
                open.say_differs(why);
            }
            if self.journal.as_ref().is_some_and(|open| open.differs.is_some()) {
                // What is there says how that came about: no snapshot of such books, and nothing is removed.
                self.keeper = None;
            }
        }
    }

    fn stop(mut self) -> Result<Outcome, String> {
        if let Some(wire) = &mut self.link {
            let _ = wire.stream.close();
        }
        self.close_journal()?;
        Ok(Outcome::Stopped)
    }

    /// Stands for election, where a coordinator decides.
    fn elect(&mut self) {
        let differs = self.journal.as_ref().is_none_or(|open| open.differs.is_some());
        let Some(election) = &mut self.of.election else { return };
        let situation = match self.machine.log() {
            Some(log) if !differs && self.machine.is_fit() => Situation::Candidate(Candidate {
                is_complete: self.machine.is_complete(),
                is_durable: log.durable >= log.end.position,
                epoch: log.history.last(),
                end: log.end.position,
                promised: self.machine.on_disk().promised,
            }),
            _ => Situation::Unfit,
        };
        let now = boot_nanos();
        for verdict in election.turn(now, &situation) {
            let Verdict::Won(epoch) = verdict else { continue };
            match self.machine.promote(now, Authority::Election { epoch }) {
                Ok(epoch) => info!("elected to lead in epoch {epoch}"),
                Err(error) => {
                    error!("elected, and not able to lead: {error}");
                    election.elector_mut().resign(now);
                }
            }
        }
    }

    /// Does what the rules ask for.
    fn act(&mut self) -> Result<(), String> {
        while let Some(action) = self.machine.poll() {
            match action {
                Action::Send(message) => {
                    if let Some(wire) = &mut self.link
                        && let Err(why) = wire.send(&message)
                    {
                        self.lose_link(&why);
                    }
                }
                Action::Close => self.close_link(),
                Action::Keep(kept) => {
                    self.kept.kept = kept;
                    self.kept.write(&self.dir)?;
                    self.machine.kept();
                }
                Action::Create { cluster, ring_bytes, segment_bytes } => {
                    self.make(cluster, ring_bytes, segment_bytes)?;
                    if let Some(open) = &self.journal {
                        self.machine.created(open.appender.mark());
                    }
                }
                Action::Truncate { to } if !self.can_begin_at(to) => self.start_over(to)?,
                Action::Truncate { to } => {
                    let end = self.truncate(to)?;
                    self.machine.truncated(end);
                }
                Action::BeginSnapshot { length } => {
                    self.begin_snapshot(length)?;
                    self.machine.snapshot_begun();
                }
                Action::InstallSnapshot { cluster, mark, from, ring_bytes, segment_bytes } => {
                    let good = self.install(cluster, mark, from, ring_bytes, segment_bytes)?;
                    self.machine.snapshot_installed(good);
                }
                Action::GetReady => self.catch_up(),
                Action::Compare { at, state } => {
                    let ours = self.compare(at, StateHash(state));
                    self.machine.compared(ours.map(|state| state.0));
                }
                Action::HandedOver { next } => self.take_over(next),
                Action::Lead { epoch, cancel_only_nanos } => self.lead(epoch, cancel_only_nanos)?,
            }
        }
        Ok(())
    }

    /// The other node hands over on purpose.
    fn take_over(&mut self, next: Epoch) {
        self.handed_over = true;
        let differs = self.journal.as_ref().and_then(|open| open.differs.clone());
        match (differs, &mut self.of.election) {
            (Some(why), _) => error!("handed over to, and not able to lead: {why}"),
            (None, Some(election)) => election.elector_mut().hurry(boot_nanos()),
            (None, None) => match self.machine.promote(boot_nanos(), Authority::HandOver { next }) {
                Ok(epoch) => info!("the other node hands over: epoch {epoch}"),
                Err(error) => error!("handed over to, and not able to lead: {error}"),
            },
        }
    }

    /// The rules say that this node leads: everything that it takes is given up.
    fn lead(&mut self, epoch: Epoch, cancel_only_nanos: u64) -> Result<(), String> {
        self.flush();
        let history = self.machine.log().map(|log| log.history.clone()).unwrap_or_default();
        let Some(Open { appender, found, follower, .. }) = self.journal.take() else {
            return Err("told to lead without a journal".into());
        };
        // Nobody waits for its end: it leaves the journal as it is.
        self.keeper = None;
        let cancel_only =
            if self.handed_over { Duration::ZERO } else { Duration::from_nanos(cancel_only_nanos) };
        let (kept, asked) = (self.kept, self.promoting.take());
        let election = self.of.election.take();
        self.leads =
            Some(Promotion { appender, follower, found, epoch, cancel_only, kept, history, asked, election });
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
