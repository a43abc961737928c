//! The link of a node that leads: it listens for the other node, and brings it what the front commits.
//!
//! One thread. Its turn: wait for sockets or for the front's batches; let peers in and read what the standby says
//! ([`peers`]); answer an operator ([`asked`]); ship what there is ([`shipping`]); let time pass; do what the rules ask for;
//! say how far the standby is.

mod asked;
mod peers;
mod shipping;

use std::{fs::File, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};

use cluster::{
    election::{Leading as Standing, Situation},
    frame::Message,
    gate::Mode,
    primary::{Action, Identity as Leader, Primary, Settings},
};
use domain::Epoch;
use journal::{Batches, Mark, Position, Progress};
use link::{Listener, ListenerLimits};
use log::{info, warn};
use mio::{Events, Poll, Token, Waker};
use serde_json::json;

use self::peers::{FIRST, Guest, LISTENER};
use super::{
    Node, boot_nanos,
    control::Asked,
    electing::{Election, Verdict},
    kept::KeptFile,
    replica::Replica,
};
use crate::wake::FrontWake;

const WAKER: Token = Token(1);
/// The longest wait: the rules want to know of time passing.
const TICK: Duration = Duration::from_millis(20);
/// The same while the disk is waited for.
const DISK: Duration = Duration::from_millis(1);

/// What the thread is made of.
pub(crate) struct Leading {
    pub(crate) node: Node,
    pub(crate) leader: Leader,
    pub(crate) settings: Settings,
    pub(crate) replica: Arc<Replica>,
    pub(crate) progress: Progress,
    /// The first position that the journal has.
    pub(crate) first: Position,
    pub(crate) kept: KeptFile,
    pub(crate) wake: Arc<FrontWake>,
    pub(crate) election: Option<Election>,
}

struct Driver {
    node: Node,
    dir: PathBuf,
    epoch: Epoch,
    cluster: journal::ClusterId,
    segment_bytes: u64,
    poll: Poll,
    listener: Listener,
    machine: Primary,
    replica: Arc<Replica>,
    progress: Progress,
    kept: KeptFile,
    wake: Arc<FrontWake>,
    election: Option<Election>,
    guests: Vec<Guest>,
    /// The standby's connection, and whether it is to be closed when all is sent.
    standby: Option<(Guest, bool)>,
    next_token: usize,
    /// What had been committed when that was last looked at.
    seen: Position,
    /// What is to be sent next is not in the queue any more, and not on the disk yet.
    waits_for_disk: bool,
    /// Where what has been sent ends; the way through the segments begins here.
    sent: Option<Mark>,
    segments: Option<Batches>,
    /// A mark that is asked for and lies in what the disk does not have yet.
    wanted_mark: Option<Position>,
    snapshot: Option<File>,
    /// Who waits for a switch.
    switching: Option<Asked>,
    /// Who waited for one that was called off, and why it was.
    called_off: Option<(Asked, String)>,
    in_sync_said: bool,
}

impl Leading {
    /// Listens and starts the thread. Gives the address, and the thread.
    pub(crate) fn spawn(self) -> Result<(std::net::SocketAddr, JoinHandle<()>), String> {
        let Self { node, leader, settings, replica, progress, first, kept, wake, election } = self;
        let listen = node.listen.ok_or("a node that leads needs an address to listen at for its standby")?;
        let wrong = |error: std::io::Error| format!("replication at {listen}: {error}");
        let poll = Poll::new().map_err(wrong)?;
        let mut listener =
            Listener::bind(listen, &node.identity, ListenerLimits::default()).map_err(wrong)?;
        listener.register(poll.registry(), LISTENER).map_err(wrong)?;
        let address = listener.address().map_err(wrong)?;
        replica.set_waker(Waker::new(poll.registry(), WAKER).map_err(wrong)?);
        let end = replica.end().position;
        let driver = Driver {
            dir: node.data.clone(),
            epoch: leader.epoch,
            cluster: leader.cluster,
            segment_bytes: leader.segment_bytes,
            machine: Primary::new(settings, leader, first, end, progress.durable().min(end)),
            node,
            poll,
            listener,
            replica,
            progress,
            kept,
            wake,
            election,
            guests: Vec::new(),
            standby: None,
            next_token: FIRST,
            seen: end,
            waits_for_disk: false,
            sent: None,
            segments: None,
            wanted_mark: None,
            snapshot: None,
            switching: None,
            called_off: None,
            in_sync_said: false,
        };
        let thread = std::thread::Builder::new()
            .name("replication".into())
            .spawn(move || driver.run())
            .map_err(|error| format!("no thread for replication: {error}"))?;
        Ok((address, thread))
    }
}

impl Driver {
    fn run(mut self) {
        let mut events = Events::with_capacity(64);
        let mut more = false;
        while !self.replica.must_stop() {
            self.replica.announce_sleep();
            let timeout = if more || self.has_news() {
                Duration::ZERO
            } else if self.waits_for_disk {
                DISK
            } else {
                TICK
            };
            if let Err(error) = self.poll.poll(&mut events, Some(timeout))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                warn!("replication: polling: {error}");
                return;
            }
            self.replica.awake();
            more = self.turn(&events);
        }
        if let Some((guest, _)) = &mut self.standby {
            let _ = guest.wire.stream.close();
        }
    }

    /// Whether the front has committed something that was not looked at.
    fn has_news(&self) -> bool {
        self.replica.end().position != self.seen || self.replica.must_stop()
    }

    /// Says whether there is more to do at once.
    fn turn(&mut self, events: &Events) -> bool {
        if events.iter().any(|event| event.token() == LISTENER) {
            self.accept();
        }
        let mut more = self.greet();
        more |= self.listen();
        let end = self.replica.end().position;
        self.seen = end;
        self.machine.advanced(end, self.progress.durable().min(end));
        if let Some((mark, state)) = self.replica.take_ended() {
            self.machine.stopped(mark, state.0);
        }
        if let Some((asked, why)) = self.called_off.take_if(|_| !self.replica.input_is_stopped()) {
            asked.refused(&why);
        }
        self.hear_wishes();
        more |= self.ship();
        self.machine.tick(boot_nanos());
        self.elect();
        self.look_up_mark();
        self.act();
        self.show();
        more | self.flush()
    }

    /// Does what the rules ask for.
    fn act(&mut self) {
        while let Some(action) = self.machine.poll() {
            match action {
                Action::Send(message) => {
                    if let Message::Welcome(welcome) = &message {
                        self.begin_way(welcome);
                    }
                    if let Message::Refused(refused) = &message {
                        warn!("replication: the standby is refused: {}", refused.text);
                    }
                    if let Some((guest, _)) = &mut self.standby
                        && let Err(why) = guest.wire.send(&message)
                    {
                        self.drop_standby(&why);
                    }
                }
                Action::Close => {
                    self.forget_way();
                    if let Some((guest, closing)) = &mut self.standby {
                        *closing = true;
                        if guest.wire.stream.close().is_err() {
                            self.standby = None;
                        }
                    }
                }
                Action::FindMark { position } => self.wanted_mark = Some(position),
                Action::OpenSnapshot => {
                    let found = self.open_snapshot();
                    self.machine.snapshot_opened(boot_nanos(), found);
                }
                Action::Keep { promised } => {
                    self.kept.kept.promised = promised;
                    match self.kept.write(&self.dir) {
                        Ok(()) => self.machine.kept(boot_nanos()),
                        Err(error) => warn!("replication: {error}: the switch does not happen"),
                    }
                }
                Action::StopInput => {
                    self.replica.stop_input();
                    self.wake.call();
                }
                Action::ResumeInput { why } => {
                    warn!("replication: {why}");
                    self.replica.resume_input();
                    self.wake.call();
                    // Whoever asked hears of it when clients can come again.
                    self.called_off = self.switching.take().map(|asked| (asked, why.to_string()));
                }
                Action::StepDown { epoch } => {
                    warn!("replication: epoch {epoch} has begun elsewhere: this node leads no more");
                    self.replica.depose(epoch.0);
                    if let Some((asked, why)) = self.called_off.take() {
                        asked.refused(&why);
                    }
                    if let Some(asked) = self.switching.take() {
                        asked.done(json!({ "switched": true, "epoch": epoch.0 }));
                    }
                    self.wake.call();
                }
            }
        }
        self.look_up_mark();
    }

    /// Keeps the lead, and who may have it next, on record with the coordinator.
    fn elect(&mut self) {
        let Some(election) = &mut self.election else { return };
        let now = boot_nanos();
        if self.machine.deposed().is_some() {
            // Whoever leads next must not have to wait for the lease to end.
            election.elector_mut().resign(now);
        }
        let standing = Standing {
            in_sync: self.machine.standby().filter(|_| self.machine.is_in_sync()),
            received: self.machine.remote().map_or(Position(0), |remote| remote.received),
            released: self.replica.released(),
            durable: self.progress.durable(),
        };
        for verdict in election.turn(now, &Situation::Leading(standing)) {
            match verdict {
                Verdict::Lost(epoch) => {
                    warn!("coordinator: epoch {epoch} has begun");
                    self.machine.heard_of(epoch);
                }
                Verdict::Won(_) => {}
            }
        }
        // Gates are told of what binds more first.
        self.replica.set_mode(election.elector().mode());
        if self.replica.set_ack_until(election.elector().ack_until_nanos()) {
            self.wake.on_progress();
        }
    }

    /// Lets the front know how far the standby is.
    fn show(&mut self) {
        let in_sync = self.machine.is_in_sync();
        if in_sync && self.kept.alone && self.election.is_none() {
            // From here on the standby must have what is released. That binds more than what is on record, so it may be
            // acted upon before.
            self.replica.set_mode(Mode::Replicated);
            self.kept.alone = false;
            if let Err(error) = self.kept.write(&self.dir) {
                warn!("replication: {error}");
                self.kept.alone = true;
            }
        }
        self.replica.show_in_sync(in_sync);
        if in_sync != self.in_sync_said {
            self.in_sync_said = in_sync;
            if in_sync {
                info!("replication: the standby is in sync");
            } else {
                warn!("replication: the standby is not in sync any more");
            }
        }
        if self.replica.show(self.machine.remote()) {
            self.wake.on_progress();
        }
        if self.standby.is_none() {
            self.replica.needs.gone();
        } else {
            // One that is about to begin has said from where, one that follows how far its disk is.
            let remote = self.machine.remote().map(|remote| remote.durable);
            self.replica.needs.here(remote.or_else(|| self.machine.needs_from()));
        }
    }
}
