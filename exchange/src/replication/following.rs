//! A node that follows: it takes the leader's batches into its own journal, says how far it is, runs every command through
//! its own books, and leads when it is told to.
//!
//! The gateway is shut meanwhile: nothing listens for clients. The books are warm, so that leading begins with what is
//! in flight and not with a recovery. Each report that the leader has numbered is held against what the books here say
//! ([`Follower`]); a node whose books say otherwise goes on keeping the journal, which is worth having, and is not
//! promoted.

use std::{
    collections::VecDeque,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use cluster::{
    election::{Candidate, Situation},
    frame::Message,
    gate::Policy,
    history::History,
    standby::{Action, Authority, Log, Settings, Standby, Work},
};
use crossbeam_channel::Sender;
use domain::{Epoch, EpochStart, Sequence};
use engine::{hash::StateHash, runtime::BalanceStats};
use gateway::GatewayStats;
use journal::{
    AckPolicy, Appender, Begin, Journal, Mark, OpenError, Position, Progress, Recovery, StorageState,
    TruncateError,
};
use link::{Limits, Stream};
use log::{error, info, warn};
use mio::{Events, Poll, Token, Waker};
use serde_json::json;

use super::{
    Node, boot_nanos,
    control::{Asked, Control, Request},
    electing::{Election, Verdict},
    kept::KeptFile,
    needs::PeerNeeds,
    wire::Wire,
};
use crate::{
    books::HowToRun,
    config::{Upkeep, ack_name},
    follower::Follower,
    front::Requests,
    keeping::{Keeper, Keeping},
    recovery, snapshot,
    status::{
        Counters,
        pair::{PairStatus, Role},
    },
    wake::FrontWake,
};

const WAKER: Token = Token(0);
const LINK: Token = Token(1);
/// The longest wait.
const TICK: Duration = Duration::from_millis(20);
/// From one attempt to find a leader to the next.
const RETRY_NANOS: u64 = 200_000_000;
/// Bytes of batches that a message may carry: those of a larger ring are refused by their geometry before.
const BYTES_MAX: usize = 1 << 30;
/// Where what is cut or replaced is kept.
pub(crate) const ARCHIVE: &str = "archive";
/// Where a snapshot is received, and its name until it is whole.
const INCOMING: &str = "incoming";
const DRAFT: &str = "snapshot.tmp";

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

/// The journal, open, with what follows it.
struct Open {
    appender: Appender,
    found: Recovery,
    follower: Follower,
    /// The follower has everything before.
    apply_from: Position,
    /// Why the books here are not those of the leader.
    differs: Option<String>,
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
            wishes.lock().unwrap_or_else(PoisonError::into_inner).push_back(asked);
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

/// Opens the journal that is there and goes to its end, or makes the copy `begin`; nothing when there is neither.
fn open(
    dir: &Path,
    of: &Following,
    waker: &Arc<Waker>,
    begin: Option<(Begin, journal::Options)>,
) -> Result<Option<Open>, String> {
    if begin.is_none() && !journal::is_there(dir) && !of.founds {
        return Ok(None);
    }
    let options = match begin {
        Some((begin, options)) => journal::Options { begin: Some(begin), ..options },
        None => of.options.clone(),
    };
    let (appender, found) = match open_journal(dir, options, waker) {
        Ok(opened) => opened,
        Err(OpenError::NoBeginning { file }) => {
            warn!("{}: a copy that had not begun: it is put away", file.display());
            put_away(dir, "unbegun")?;
            return Ok(None);
        }
        Err(error) => return Err(error.to_string()),
    };
    let (follower, mark) = recovery::follow(dir, &found, &of.how, true, &of.wake)?;
    let apply_from = mark.map_or(Position(0), |(mark, _)| mark.position);
    if let Some((_, sequence)) = mark {
        info!("begins with the snapshot at sequence {sequence} and {} commands behind it", {
            found.last_sequence.0.saturating_sub(sequence.0)
        });
    }
    Ok(Some(Open { appender, found, follower, apply_from, differs: None }))
}

/// Opens the journal as a follower does: what it says it has is on its disk.
fn open_journal(
    dir: &Path,
    options: journal::Options,
    waker: &Arc<Waker>,
) -> Result<(Appender, Recovery), OpenError> {
    let options = journal::Options { ack: AckPolicy::Disk, ..options };
    let waker = Arc::clone(waker);
    let on_progress = Arc::new(move || {
        let _ = waker.wake();
    });
    Journal::open(dir, &options, on_progress)
}

/// The epochs of a journal that has been opened.
pub(crate) fn history_of(found: &Recovery) -> Result<History, String> {
    let history = History::from_starts(found.epochs.iter().copied()).map_err(|error| error.to_string())?;
    Ok(if found.begins_within { history.beginning_within() } else { history })
}

fn log_of(open: &Open) -> Result<Log, String> {
    let (ring_bytes, segment_bytes) = open.appender.geometry();
    Ok(Log {
        cluster: open.appender.cluster(),
        end: open.appender.mark(),
        durable: open.appender.durable(),
        history: history_of(&open.found)?,
        ring_bytes,
        segment_bytes,
    })
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
                say_differs(open, why);
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

    /// Has snapshots of the journal that is open taken, and its old segments removed.
    fn begin_keeping(&mut self) -> Result<(), String> {
        let Some(Open { appender, .. }) = &self.journal else { return Ok(()) };
        let (_, segment_bytes) = appender.geometry();
        *lock(&self.of.shown.disk) = Some(appender.progress());
        let keeping = Keeping {
            data: self.dir.clone(),
            upkeep: self.of.upkeep.clone(),
            segment_bytes,
            progress: appender.progress(),
            peer: Some(Arc::clone(&self.needs)),
            leads: false,
            stop: Arc::clone(&self.of.stop),
        };
        self.keeper = Some(keeping.spawn()?);
        Ok(())
    }

    /// Closes the journal, if one is open, with nothing left that reads or changes it.
    fn close_journal(&mut self) -> Result<(), String> {
        if let Some(keeper) = self.keeper.take()
            && !keeper.end()
        {
            return Err("a thread died".into());
        }
        if let Some(Open { appender, follower, .. }) = self.journal.take() {
            drop(follower);
            appender.close().map_err(|error| format!("journal: {error}"))?;
        }
        Ok(())
    }

    /// Looks for a leader, one peer after another.
    fn connect(&mut self) {
        let now = boot_nanos();
        if self.link.is_some() || now < self.next_try_nanos || self.of.node.peers.is_empty() {
            return;
        }
        self.next_try_nanos = now + RETRY_NANOS;
        let address = self.of.node.peers[self.next_peer % self.of.node.peers.len()];
        self.next_peer += 1;
        let stream =
            Stream::connect(address, &self.of.node.identity, &self.of.node.peer(), Limits::default(), now);
        let registered = stream.map_err(|error| error.to_string()).and_then(|mut stream| {
            stream.register(self.poll.registry(), LINK).map_err(|error| error.to_string())?;
            Ok(stream)
        });
        match registered {
            Ok(stream) => self.link = Some(Wire::new(stream, BYTES_MAX)),
            Err(why) => self.say(format!("{address}: {why}")),
        }
    }

    /// Says something once, until something else is to be said.
    fn say(&mut self, text: String) {
        if self.said.as_ref() != Some(&text) {
            warn!("replication: {text}");
            self.said = Some(text);
        }
    }

    /// Reads what the leader says, and does what it brings. Says whether there may be more at once.
    fn listen(&mut self) -> Result<bool, String> {
        let Some(wire) = &mut self.link else { return Ok(false) };
        let was_handshaking = wire.stream.is_handshaking();
        let now = boot_nanos();
        let step = wire
            .stream
            .check_time(now)
            .map_err(|error| error.to_string())
            .and_then(|()| wire.read())
            .and_then(
                |again| if was_handshaking { wire.flush().map(|more| again | more) } else { Ok(again) },
            );
        let more = match step {
            Ok(more) => more,
            Err(why) => {
                self.lose_link(&why);
                return Ok(false);
            }
        };
        if was_handshaking && !wire.stream.is_handshaking() {
            let address = wire.stream.address();
            self.said = None;
            info!("replication: {} answers at {address}", self.of.node.peer());
            self.handed_over = false;
            self.machine.link_up(now);
            self.act()?;
        }
        while let Self { link: Some(wire), machine, journal, incoming, .. } = self {
            let bytes = match wire.peek() {
                Ok(None) => {
                    if let Some(why) = wire.ended().map(ToOwned::to_owned) {
                        self.lose_link(&why);
                    }
                    break;
                }
                Ok(Some((message, bytes))) => {
                    if let Message::Refused(refused) = &message {
                        let text = format!("refused by the other node: {}", refused.text);
                        if self.said.as_ref() != Some(&text) {
                            warn!("replication: {text}");
                            self.said = Some(text);
                        }
                    }
                    match machine.on_message(boot_nanos(), &message) {
                        None => {}
                        Some(Work::Append { at, bytes }) => append(journal, machine, at, bytes)?,
                        Some(Work::Piece { offset, bytes }) => {
                            if let Some(file) = incoming
                                && let Err(error) = file.write_all_at(bytes, offset)
                            {
                                return Err(format!("writing the snapshot that is being received: {error}"));
                            }
                        }
                    }
                    if let Message::Heartbeat(heartbeat) = &message
                        && machine.follows() == Some(heartbeat.epoch)
                    {
                        self.needs.here(Some(heartbeat.durable));
                    }
                    bytes
                }
                Err(why) => {
                    self.lose_link(&why);
                    break;
                }
            };
            wire.taken(bytes);
            self.act()?;
        }
        Ok(more)
    }

    fn lose_link(&mut self, why: &str) {
        if let Some(wire) = self.link.take() {
            self.say(format!("{}: {why}", wire.stream.address()));
            self.needs.gone();
            self.machine.link_down();
            self.next_try_nanos = boot_nanos() + RETRY_NANOS;
        }
    }

    fn tell_durable(&mut self) -> Result<(), String> {
        let Some(open) = &self.journal else { return Ok(()) };
        if let Some(failure) = open.appender.failure() {
            return Err(format!("journal: {failure}"));
        }
        let durable = open.appender.durable();
        if self.machine.log().is_some_and(|log| durable > log.durable) {
            self.machine.durable(durable);
        }
        Ok(())
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

    fn flush(&mut self) {
        if let Some(wire) = &mut self.link
            && let Err(why) = wire.flush()
        {
            self.lose_link(&why);
        }
    }

    fn hear_wishes(&mut self) {
        loop {
            let asked = self.wishes.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(asked) = asked else { return };
            match asked.request {
                Request::Status => asked.done(self.status()),
                Request::Switch => asked.refused("this node does not lead: ask the one that does to switch"),
                Request::Alone => asked.refused("this node does not lead"),
                Request::Promote { .. } if self.of.election.is_some() => {
                    asked.refused("the coordinator decides who leads; to hand over on purpose, ask the one that leads to switch");
                }
                Request::Promote { force } => {
                    let differs = self.journal.as_ref().and_then(|open| open.differs.clone());
                    if let Some(differs) = differs {
                        asked.refused(&format!("the books here are not those of the journal: {differs}"));
                        continue;
                    }
                    match self.machine.promote(boot_nanos(), Authority::Operator { force }) {
                        Ok(epoch) => {
                            info!("promoted by the operator, to epoch {epoch}");
                            self.promoting = Some(asked);
                        }
                        Err(error) => asked.refused(&error.to_string()),
                    }
                }
            }
        }
    }

    fn status(&self) -> serde_json::Value {
        let log = self.machine.log();
        json!({
            "role": "standby",
            "node": self.of.node.number,
            "follows": self.machine.follows().map(|epoch| epoch.0),
            "promised": self.machine.on_disk().promised.0,
            "complete": self.machine.is_complete(),
            "in_sync": self.machine.was_in_sync(),
            "received": log.map(|log| log.end.position.0),
            "durable": log.map(|log| log.durable.0),
            "last_sequence": self.journal.as_ref().map(|open| open.appender.last_sequence().0),
            "differs": self.journal.as_ref().and_then(|open| open.differs.clone()),
        })
    }

    /// What the status line and `exchange top` show.
    fn counters(&self) -> Counters {
        let open = self.journal.as_ref();
        let log = open.map(|open| open.appender.stats()).unwrap_or_default();
        Counters {
            at: Instant::now(),
            sequenced: open.map_or(0, |open| open.follower.commands()),
            last_sequence: open.map_or(Sequence(0), |open| open.appender.last_sequence()),
            gateway: GatewayStats::default(),
            shards: open.map_or_else(Vec::new, |open| open.follower.shards()),
            balance: BalanceStats::default(),
            events_lost: 0,
            unsynced: log.behind,
            syncs: log.syncs,
            sync_nanos_max: log.sync_nanos_max,
            cancel_only: open.is_some_and(|open| open.appender.state() == StorageState::CancelOnly),
            pair: Some(self.pair_status()),
        }
    }

    fn pair_status(&self) -> PairStatus {
        let epoch = self.machine.follows();
        let committed = self.machine.contact().filter(|_| epoch.is_some()).map(|(_, committed)| committed);
        let behind = |position: Option<Position>| {
            committed.zip(position).map(|(committed, position)| committed.0.saturating_sub(position.0))
        };
        let log = self.machine.log();
        PairStatus {
            node: self.of.node.number,
            role: Role::Standby,
            epoch: epoch.map(|epoch| epoch.0),
            policy: ack_name(self.of.policy).into(),
            acks: None,
            connected: epoch.is_some(),
            in_sync: epoch.is_some() && self.machine.was_in_sync(),
            behind: behind(log.map(|log| log.end.position)),
            behind_on_disk: behind(log.map(|log| log.durable)),
            differs: self.journal.as_ref().and_then(|open| open.differs.clone()),
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
                Action::Close => {
                    if let Some(mut wire) = self.link.take() {
                        self.needs.gone();
                        // What was queued is sent if it can be at once; the peer does without otherwise.
                        let _ = wire.stream.close();
                        self.next_try_nanos = boot_nanos() + RETRY_NANOS;
                    }
                }
                Action::Keep(kept) => {
                    self.kept.kept = kept;
                    self.kept.write(&self.dir)?;
                    self.machine.kept();
                }
                Action::Create { cluster, ring_bytes, segment_bytes } => {
                    let begin = Begin::from_start(cluster);
                    self.journal = self.make(begin, ring_bytes, segment_bytes)?;
                    self.begin_keeping()?;
                    if let Some(open) = &self.journal {
                        self.machine.created(open.appender.mark());
                    }
                }
                Action::Truncate { to } => {
                    let end = self.truncate(to)?;
                    self.machine.truncated(end);
                }
                Action::BeginSnapshot { length } => {
                    let folder = self.dir.join(INCOMING);
                    let file = fs::create_dir_all(&folder)
                        .and_then(|()| File::create(folder.join(DRAFT)))
                        .map_err(|error| format!("{}: {error}", folder.display()))?;
                    info!("receiving a snapshot of {length} bytes");
                    self.incoming = Some(file);
                    self.machine.snapshot_begun();
                }
                Action::InstallSnapshot { cluster, mark, from, ring_bytes, segment_bytes } => {
                    let good = self.install(cluster, mark, from, ring_bytes, segment_bytes)?;
                    self.machine.snapshot_installed(good);
                }
                Action::GetReady => {
                    if let Some(open) = &mut self.journal
                        && open.differs.is_none()
                        && let Err(why) = open.follower.settle()
                    {
                        say_differs(open, why);
                    }
                }
                Action::Compare { at, state } => {
                    let ours = self.compare(at, StateHash(state));
                    self.machine.compared(ours.map(|state| state.0));
                }
                Action::HandedOver { next } => {
                    self.handed_over = true;
                    let differs = self.journal.as_ref().and_then(|open| open.differs.clone());
                    match (differs, &mut self.of.election) {
                        (Some(why), _) => error!("handed over to, and not able to lead: {why}"),
                        (None, Some(election)) => election.elector_mut().hurry(boot_nanos()),
                        (None, None) => {
                            match self.machine.promote(boot_nanos(), Authority::HandOver { next }) {
                                Ok(epoch) => info!("the other node hands over: epoch {epoch}"),
                                Err(error) => error!("handed over to, and not able to lead: {error}"),
                            }
                        }
                    }
                }
                Action::Lead { epoch, cancel_only_nanos } => {
                    self.flush();
                    let history = self.machine.log().map(|log| log.history.clone()).unwrap_or_default();
                    let Some(Open { appender, found, follower, .. }) = self.journal.take() else {
                        return Err("told to lead without a journal".into());
                    };
                    // Nobody waits for its end: it leaves the journal as it is.
                    self.keeper = None;
                    let cancel_only = if self.handed_over {
                        Duration::ZERO
                    } else {
                        Duration::from_nanos(cancel_only_nanos)
                    };
                    let (kept, asked) = (self.kept, self.promoting.take());
                    let election = self.of.election.take();
                    self.leads = Some(Promotion {
                        appender,
                        follower,
                        found,
                        epoch,
                        cancel_only,
                        kept,
                        history,
                        asked,
                        election,
                    });
                }
            }
        }
        Ok(())
    }

    /// Brings the books to the log's end, and holds them against those of the leader, which stands still there. Gives what
    /// they come to, unless they are known not to be those of the journal.
    fn compare(&mut self, at: Mark, theirs: StateHash) -> Option<StateHash> {
        let open = self.journal.as_mut().filter(|open| open.differs.is_none())?;
        // Instruments that no command has followed have their books there.
        if let Err(why) = open.follower.grow(&[]) {
            say_differs(open, why);
            return None;
        }
        let ours = open.follower.state();
        if ours != theirs {
            let why = format!(
                "at position {} their state is {ours} and that of the node that leads {theirs}",
                at.position
            );
            say_differs(open, why);
        }
        Some(ours)
    }

    /// Makes an empty copy.
    fn make(&self, begin: Begin, ring_bytes: u64, segment_bytes: u64) -> Result<Option<Open>, String> {
        let options = journal::Options { tail_bytes: ring_bytes, segment_bytes, ..self.of.options.clone() };
        open(&self.dir, &self.of, &self.waker, Some((begin, options)))
    }

    /// Cuts the journal, and goes to its new end. `None` when the mark is not this journal's: nothing is changed then.
    fn truncate(&mut self, to: Mark) -> Result<Option<Mark>, String> {
        if self.journal.is_none() {
            return Ok(None);
        }
        self.close_journal()?;
        let archive = self.dir.join(ARCHIVE);
        let done = match journal::truncate(&self.dir, to, &archive) {
            Ok(truncated) => {
                warn!(
                    "the journal was cut at position {}: {} bytes that no other node has are kept in {}",
                    to.position,
                    truncated.bytes,
                    archive.display()
                );
                true
            }
            Err(TruncateError::Mark { .. }) => false,
            Err(error) => return Err(error.to_string()),
        };
        self.journal = open(&self.dir, &self.of, &self.waker, None)?;
        self.begin_keeping()?;
        Ok(done.then_some(to))
    }

    /// Puts the snapshot that has come and an empty copy behind it in the place of what there was.
    fn install(
        &mut self,
        cluster: journal::ClusterId,
        mark: Mark,
        from: Mark,
        ring_bytes: u64,
        segment_bytes: u64,
    ) -> Result<bool, String> {
        let Some(file) = self.incoming.take() else { return Ok(false) };
        // A snapshot's name is part of what is checked.
        let path = journal::snapshot::path_at(&self.dir.join(INCOMING), mark.position);
        let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
        file.sync_all().map_err(wrong)?;
        fs::rename(self.dir.join(INCOMING).join(DRAFT), &path).map_err(wrong)?;
        match journal::snapshot::check(&path, cluster) {
            Ok(header) if header.mark == mark => {}
            Ok(header) => {
                warn!(
                    "the snapshot that came is of position {}, not {}",
                    header.mark.position, mark.position
                );
                return Ok(false);
            }
            Err(error) => {
                warn!("the snapshot that came: {error}");
                return Ok(false);
            }
        }
        self.close_journal()?;
        put_away(&self.dir, &format!("replaced-by-{:020}", mark.position.0))?;
        let place = journal::snapshot::path_at(&self.dir, mark.position);
        fs::rename(&path, &place).and_then(|()| File::open(&self.dir)?.sync_all()).map_err(wrong)?;
        let loaded = snapshot::load(&place, cluster)?;
        let options = journal::Options { tail_bytes: ring_bytes, segment_bytes, ..self.of.options.clone() };
        let begin = Begin { cluster, mark: from, last_sequence: None };
        let options = journal::Options { begin: Some(begin), ..options };
        let (appender, found) =
            open_journal(&self.dir, options, &self.waker).map_err(|error| error.to_string())?;
        let follower = Follower::begin(Arc::clone(&self.of.how), &self.of.wake, Some(loaded))?;
        info!("begins with the snapshot at position {}", mark.position);
        self.journal = Some(Open { appender, found, follower, apply_from: mark.position, differs: None });
        self.begin_keeping()?;
        Ok(true)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn say_differs(open: &mut Open, why: String) {
    error!("the books here are not those of the journal, so this node will not lead: {why}");
    open.differs = Some(why);
}

/// Takes batches into the journal, and their records into the books.
fn append(
    journal: &mut Option<Open>,
    machine: &mut Standby,
    at: Position,
    bytes: &[u8],
) -> Result<(), String> {
    let Some(Open { appender, follower, apply_from, differs, .. }) = journal else {
        machine.append_failed("there is no journal to append to".into());
        return Ok(());
    };
    let mut starts = Vec::new();
    let mut newest = machine.log().map_or(Epoch::NONE, |log| log.history.last());
    let mut done = 0;
    let mut failed = None;
    while done < bytes.len() {
        let taken = appender.append_copies(Position(at.0 + done as u64), &bytes[done..], |record| {
            if record.epoch > newest {
                newest = record.epoch;
                starts.push(EpochStart { epoch: newest, position: record.position });
            }
            if record.position >= *apply_from
                && differs.is_none()
                && let Err(why) = follower.on_record(record)
            {
                error!("the books here are not those of the journal, so this node will not lead: {why}");
                *differs = Some(why);
            }
        });
        match taken {
            Ok(0) => {
                if let Some(failure) = appender.failure() {
                    return Err(format!("journal: {failure}"));
                }
                // The disk is behind by a whole tail: the leader waits meanwhile.
                std::thread::sleep(Duration::from_micros(200));
            }
            Ok(taken) => done += taken,
            Err(error) => {
                failed = Some(error.to_string());
                break;
            }
        }
    }
    if done > 0 {
        machine.appended(appender.mark(), &starts);
    }
    if let Some(why) = failed {
        machine.append_failed(why);
    }
    Ok(())
}

/// Moves the journal and its snapshots out of the way, into a folder of the archive.
fn put_away(dir: &Path, name: &str) -> Result<(), String> {
    let archive = Path::new(ARCHIVE);
    let mut place = archive.join(name);
    let mut number = 1;
    while dir.join(&place).exists() {
        number += 1;
        place = archive.join(format!("{name}-{number}"));
    }
    journal::put_away(dir, &place).map_err(|error| error.to_string())?;
    info!("what was there is kept in {}", dir.join(place).display());
    Ok(())
}
