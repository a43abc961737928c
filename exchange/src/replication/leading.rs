//! The link of a node that leads: it listens for the other node, and brings it what the front commits.
//!
//! One thread. Its turn: wait for sockets or for the front's batches; let peers in; read what the standby says; ship what
//! there is; let time pass; do what the rules ask for; say how far the standby is.

use std::{fs::File, os::unix::fs::FileExt, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};

use cluster::{
    election::{Leading as Standing, Situation},
    frame::{Message, Reason, Refused},
    gate::Mode,
    primary::{Action, Identity as Leader, Primary, Settings, Ship, Snapshot},
};
use domain::Epoch;
use journal::{Batches, Mark, Position, Progress, mark_at};
use link::{Accepted, Listener, ListenerLimits};
use log::{info, warn};
use mio::{Events, Poll, Token, Waker};
use serde_json::json;

use super::{
    Node, boot_nanos,
    control::{Asked, Request},
    electing::{Election, Verdict},
    kept::KeptFile,
    replica::Replica,
    wire::Wire,
};
use crate::wake::FrontWake;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST: usize = 2;
/// Bytes of batches, or of a snapshot, in one message.
const SHIP_MAX: usize = 1 << 20;
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

/// A connection whose peer may not be known yet.
struct Guest {
    token: Token,
    wire: Wire,
}

/// Lets a handshake go on. Says whether there is more to do at once.
fn shake_hands(guest: &mut Guest, now_nanos: u64) -> Result<bool, String> {
    let more = guest.wire.read()? | guest.wire.flush()?;
    guest.wire.stream.check_time(now_nanos).map_err(|error| error.to_string())?;
    match guest.wire.ended() {
        Some(why) if guest.wire.stream.is_handshaking() => Err(why.to_owned()),
        _ => Ok(more),
    }
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

    fn can_send(&self) -> bool {
        self.standby.as_ref().is_some_and(|(guest, _)| guest.wire.stream.room() > 2 * SHIP_MAX)
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
        self.hear_wishes();
        more |= self.ship();
        self.machine.tick(boot_nanos());
        self.elect();
        self.look_up_mark();
        self.act();
        self.show();
        more | self.flush()
    }

    fn accept(&mut self) {
        loop {
            match self.listener.accept(boot_nanos()) {
                Ok(None) => return,
                Ok(Some(Accepted::Refused { address, why })) => {
                    warn!("replication: {address} is not let in: {why}");
                }
                Ok(Some(Accepted::Stream(mut stream))) => {
                    let token = Token(self.next_token);
                    self.next_token += 1;
                    if let Err(error) = stream.register(self.poll.registry(), token) {
                        warn!("replication: {}: {error}", stream.address());
                        continue;
                    }
                    self.guests.push(Guest { token, wire: Wire::new(*stream, 0) });
                }
                Err(error) => {
                    warn!("replication: accepting: {error}");
                    return;
                }
            }
        }
    }

    /// Lets handshakes go on. Whoever is verified and is the other node becomes the standby's connection.
    fn greet(&mut self) -> bool {
        let now = boot_nanos();
        let mut more = false;
        let mut verified = None;
        self.guests.retain_mut(|guest| {
            let address = guest.wire.stream.address();
            match shake_hands(guest, now) {
                Err(error) => {
                    warn!("replication: {address}: {error}");
                    return false;
                }
                Ok(again) => more |= again,
            }
            if guest.wire.stream.is_handshaking() || verified.is_some() {
                return true;
            }
            verified = Some(guest.token);
            true
        });
        if let Some(token) = verified
            && let Some(at) = self.guests.iter().position(|guest| guest.token == token)
        {
            let guest = self.guests.swap_remove(at);
            more = true;
            self.meet(guest);
        }
        more
    }

    fn meet(&mut self, mut guest: Guest) {
        let (address, peer) =
            (guest.wire.stream.address(), guest.wire.stream.peer().unwrap_or_default().to_owned());
        if peer != self.node.peer() {
            warn!("replication: {address} is {peer}, and only {} follows this node", self.node.peer());
            let text = format!("{peer} does not follow {}", self.node.identity.node()).into();
            let refused = Refused { reason: Reason::Protocol, promised: self.epoch, text };
            let _ = guest.wire.send(&Message::Refused(refused));
            let _ = guest.wire.stream.close();
            return;
        }
        // A new connection of the same node: whatever the old one was, it is over.
        self.drop_standby("replaced by a new connection");
        info!("replication: {peer} has come from {address}");
        self.standby = Some((guest, false));
        // Retention works beside the exchange.
        if let Some(first) = journal::first_position(&self.dir) {
            self.machine.retained(first);
        }
        self.machine.link_up(boot_nanos());
    }

    fn drop_standby(&mut self, why: &str) {
        if let Some((guest, _)) = self.standby.take() {
            info!("replication: {} is gone: {why}", guest.wire.stream.address());
            self.machine.link_down();
            self.forget_way();
        }
    }

    /// Nothing is on its way to anyone.
    fn forget_way(&mut self) {
        self.replica.want(false);
        (self.sent, self.segments, self.wanted_mark, self.snapshot) = (None, None, None, None);
    }

    /// Reads what the standby says.
    fn listen(&mut self) -> bool {
        let Some((guest, _)) = &mut self.standby else { return false };
        let mut more = false;
        let result = guest.wire.read().and_then(|again| {
            more = again;
            loop {
                let Some((message, bytes)) = guest.wire.peek()? else {
                    return guest.wire.ended().map_or(Ok(()), |why| Err(why.to_owned()));
                };
                self.machine.on_message(boot_nanos(), &message);
                guest.wire.taken(bytes);
            }
        });
        if let Err(why) = result {
            self.drop_standby(&why);
        }
        more
    }

    /// Ships what the rules and the outbox let through. Says whether there is more.
    fn ship(&mut self) -> bool {
        self.waits_for_disk = false;
        while self.can_send() {
            let Some(ship) = self.machine.next() else { return false };
            let shipped = match ship {
                Ship::Batches { from, bytes } => self.ship_batches(from, bytes.min(SHIP_MAX as u64) as usize),
                Ship::Piece { offset, bytes } => self.ship_piece(offset, bytes.min(SHIP_MAX as u64) as usize),
            };
            match shipped {
                Ok(true) => {}
                Ok(false) => {
                    self.waits_for_disk = true;
                    return false;
                }
                Err(why) => {
                    warn!("replication: {why}");
                    self.drop_standby(&why);
                    return false;
                }
            }
        }
        false
    }

    /// Sends batches from the queue, or from the segments while they are not in it. `false` when the disk does not have
    /// them yet.
    fn ship_batches(&mut self, from: Position, bytes: usize) -> Result<bool, String> {
        let Some((guest, _)) = &mut self.standby else { return Ok(false) };
        match self.replica.take(from, bytes) {
            Ok(chunks) => {
                let pieces: Vec<&[u8]> = chunks.iter().map(|chunk| chunk.bytes.as_slice()).collect();
                guest.wire.send_batches(from, self.epoch, &pieces)?;
                self.segments = None;
                self.sent = chunks.last().map(|chunk| chunk.end);
            }
            Err(oldest) => {
                let mark = self
                    .sent
                    .filter(|mark| mark.position == from)
                    .ok_or("the way through the journal is lost")?;
                let durable = self.progress.durable();
                let limit = oldest.map_or(durable, |oldest| durable.min(oldest));
                if limit <= from {
                    return Ok(false);
                }
                let dir = &self.dir;
                let wrong =
                    |error: journal::ReadError| format!("reading the journal for the standby: {error}");
                if self.segments.as_ref().is_none_or(|segments| segments.at() != mark) {
                    self.segments = Some(Batches::after(dir, mark).map_err(wrong)?);
                }
                let Some(segments) = &mut self.segments else { return Ok(false) };
                let batches = segments.next(limit, bytes).map_err(wrong)?;
                if batches.is_empty() {
                    return Ok(false);
                }
                guest.wire.send_batches(from, self.epoch, &[batches])?;
                self.sent = Some(segments.at());
            }
        }
        if let Some(sent) = self.sent {
            self.machine.batches_sent(sent.position);
        }
        Ok(true)
    }

    fn ship_piece(&mut self, offset: u64, bytes: usize) -> Result<bool, String> {
        let (Some((guest, _)), Some(file)) = (&mut self.standby, &self.snapshot) else { return Ok(false) };
        let mut piece = vec![0; bytes];
        file.read_exact_at(&mut piece, offset).map_err(|error| format!("reading the snapshot: {error}"))?;
        let message = Message::SnapshotPiece(cluster::frame::SnapshotPiece {
            epoch: self.epoch,
            offset,
            bytes: &piece,
        });
        guest.wire.send(&message)?;
        self.machine.piece_sent(bytes as u64);
        Ok(true)
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
                    self.replica.set_stop_input(true);
                    self.wake.call();
                }
                Action::ResumeInput { why } => {
                    warn!("replication: {why}");
                    self.replica.set_stop_input(false);
                    self.wake.call();
                    if let Some(asked) = self.switching.take() {
                        asked.refused(&why.to_string());
                    }
                }
                Action::StepDown { epoch } => {
                    warn!("replication: epoch {epoch} has begun elsewhere: this node leads no more");
                    self.replica.depose(epoch.0);
                    if let Some(asked) = self.switching.take() {
                        asked.done(json!({ "switched": true, "epoch": epoch.0 }));
                    }
                    self.wake.call();
                }
            }
        }
        self.look_up_mark();
    }

    /// The standby gets batches from here on; those that are committed meanwhile are kept for it.
    fn begin_way(&mut self, welcome: &cluster::frame::Welcome) {
        use cluster::frame::Start;
        let from = match welcome.start {
            Start::Continue { at: mark }
            | Start::Truncate { to: mark }
            | Start::Snapshot { from: mark, .. } => mark,
        };
        info!("replication: the standby goes on from position {}", from.position);
        self.sent = Some(from);
        self.segments = None;
        self.replica.want(true);
    }

    /// Answers a question for a mark, as soon as that can be.
    fn look_up_mark(&mut self) {
        let Some(position) = self.wanted_mark else { return };
        let end = self.replica.end();
        let found = if position == end.position {
            Some(end)
        } else if position < self.progress.durable() {
            match mark_at(&self.dir, self.segment_bytes, position) {
                Ok(found) => found,
                Err(error) => {
                    warn!("replication: looking for position {position}: {error}");
                    None
                }
            }
        } else {
            return; // the disk will have it
        };
        self.wanted_mark = None;
        self.machine.mark_found(boot_nanos(), position, found);
    }

    /// Takes the newest snapshot in hand.
    fn open_snapshot(&mut self) -> Option<Snapshot> {
        let found = journal::snapshot::list(&self.dir).ok()?.into_iter().find_map(|path| {
            let header = journal::snapshot::check(&path, self.cluster).ok()?;
            let file = File::open(&path).ok()?;
            let length = file.metadata().ok()?.len();
            let base = header.mark.position.0 / self.segment_bytes * self.segment_bytes;
            let from = mark_at(&self.dir, self.segment_bytes, Position(base)).ok()??;
            Some((file, Snapshot { mark: header.mark, from, length }))
        });
        let (file, snapshot) = found?;
        self.snapshot = Some(file);
        Some(snapshot)
    }

    fn hear_wishes(&mut self) {
        while let Some(asked) = self.replica.next_wish() {
            match asked.request {
                Request::Status => asked.done(self.status()),
                Request::Promote { .. } => asked.refused("this node leads already"),
                Request::Switch if self.replica.mode() != Mode::Replicated => {
                    asked.refused("no standby is on record as having everything");
                }
                Request::Switch => match self.machine.hand_over(boot_nanos()) {
                    Ok(()) => self.switching = Some(asked),
                    Err(error) => asked.refused(&error.to_string()),
                },
                Request::Alone => {
                    if self.election.is_some() {
                        asked.refused(
                            "the coordinator has that on record, as soon as the standby is gone for a while",
                        );
                        continue;
                    }
                    if self.machine.is_in_sync() {
                        asked.refused("a standby is in sync: stop it first");
                        continue;
                    }
                    // On record first, then acted upon.
                    self.kept.alone = true;
                    match self.kept.write(&self.dir) {
                        Ok(()) => {
                            self.replica.set_mode(Mode::Alone);
                            self.wake.on_progress();
                            warn!("replication: this node leads alone from here on, which is on record");
                            asked.done(self.status());
                        }
                        Err(error) => asked.refused(&error),
                    }
                }
            }
        }
    }

    fn status(&self) -> serde_json::Value {
        let remote = self.machine.remote();
        let end = self.replica.end();
        json!({
            "role": "primary",
            "node": self.node.number,
            "epoch": self.epoch.0,
            "committed": end.position.0,
            "durable": self.progress.durable().0,
            "standby": remote.map(|remote| json!({
                "received": remote.received.0,
                "durable": remote.durable.0,
                "in_sync": self.machine.is_in_sync(),
            })),
            "alone": self.replica.mode() == Mode::Alone,
            "may_ack": self.replica.may_ack(),
        })
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

    fn flush(&mut self) -> bool {
        let Some((guest, closing)) = &mut self.standby else { return false };
        match guest.wire.flush() {
            Err(why) => {
                if *closing {
                    self.standby = None;
                } else {
                    self.drop_standby(&why);
                }
                false
            }
            Ok(more) => {
                if *closing && !guest.wire.stream.wants_write() {
                    self.standby = None;
                }
                more
            }
        }
    }
}
