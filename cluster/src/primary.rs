//! The primary's side of the replication link: one standby, from its hello until the link is down.
//!
//! 1. **Hello.** Version, cluster, ring and segments must fit. A standby that has promised a higher epoch deposes this
//!    primary: [`Action::StepDown`].
//! 2. **Where to begin.** The histories give a common prefix ([`History::common_prefix`]); the journal is asked for its
//!    mark there ([`Action::FindMark`]). If that is the standby's end its chain must be ours: *continue*. If it is less:
//!    *truncate*, and the standby compares. If our journal does not reach back so far: *snapshot*.
//! 3. **First ack.** The standby says that it is ready, and from where. Nothing is shipped before.
//! 4. **Stream.** [`Primary::next`] says what may be sent; acks say how far the standby is.
//! 5. **In sync** is a standby that has, again and again within `lag_nanos_max`, reached what had been committed at some
//!    moment, and is not more than `lag_bytes_max` behind.
//! 6. **Silence** of `silence_nanos` closes the link.
//!
//! A planned switch: [`hand_over`](Primary::hand_over) sends *prepare*; the standby syncs and says *ready*; input is
//! stopped ([`Action::StopInput`]) and the journal ended with a last commit ([`stopped`](Primary::stopped)); both nodes
//! stand still there, and the standby is asked what its books come to (*compare*); once it has said the same as ours and
//! has all of the journal on disk, this node promises the next epoch itself ([`Action::Keep`]), so that it can never lead
//! in this one again, and only then sends *hand-over*.

use std::borrow::Cow;
use std::collections::VecDeque;

use domain::{ClusterId, Epoch, Mark, Position};

use crate::NodeId;
use crate::frame::{Ack, Compare, HandOver, Heartbeat, Hello, Message, Reason, Refused, Start, Welcome};
use crate::gate::Remote;
use crate::history::{Divergence, History};

/// Times and bounds.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A heartbeat is sent so often.
    pub heartbeat_nanos: u64,
    /// A standby that says nothing for so long is lost.
    pub silence_nanos: u64,
    /// A standby may take so long to truncate, or to install a snapshot.
    pub prepare_nanos: u64,
    /// A standby that is further behind is not in sync.
    pub lag_bytes_max: u64,
    /// A standby that needs longer to reach what was committed at some moment is not in sync.
    pub lag_nanos_max: u64,
    /// So much may be on its way.
    pub window_bytes: u64,
    /// A planned switch that has not happened after this is called off, while it can be.
    pub hand_over_nanos: u64,
}

impl Default for Settings {
    /// Heartbeats each 100 ms, silence after 1 s, 64 MiB and 1 s of lag, 8 MiB on the way.
    fn default() -> Self {
        Self {
            heartbeat_nanos: 100_000_000,
            silence_nanos: 1_000_000_000,
            prepare_nanos: 60_000_000_000,
            lag_bytes_max: 64 << 20,
            lag_nanos_max: 1_000_000_000,
            window_bytes: 8 << 20,
            hand_over_nanos: 2_000_000_000,
        }
    }
}

/// What does not change while this node leads.
#[derive(Clone, Debug)]
pub struct Identity {
    /// This node.
    pub node: NodeId,
    /// Its journal.
    pub cluster: ClusterId,
    /// The epoch in which it leads, which has begun in its journal.
    pub epoch: Epoch,
    /// Its epochs, this one included.
    pub history: History,
    /// Bytes of its ring.
    pub ring_bytes: u64,
    /// Bytes of its segments.
    pub segment_bytes: u64,
}

/// What the driver has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this.
    Send(Message<'static>),
    /// Close the link once what was sent has left. The machine has forgotten the link already.
    Close,
    /// Look up the mark at this position and answer with [`Primary::mark_found`].
    FindMark {
        /// The position.
        position: Position,
    },
    /// Take the newest snapshot in hand, keep what the journal has behind it, and answer with
    /// [`Primary::snapshot_opened`].
    OpenSnapshot,
    /// Make this promise durable, with the log as complete ([`Kept`](crate::Kept)), and call [`Primary::kept`]. Under an
    /// election, [`resign`](crate::election::Elector::resign) with that call.
    Keep {
        /// The epoch.
        promised: Epoch,
    },
    /// Take no more input, let everything in flight be numbered and committed, and call [`Primary::stopped`].
    StopInput,
    /// The planned switch is off: take input again, if it was stopped.
    ResumeInput {
        /// Why.
        why: CalledOff,
    },
    /// Stop acknowledging now and for good in this epoch; go on as a standby.
    StepDown {
        /// The higher epoch that was heard of.
        epoch: Epoch,
    },
}

/// What may be sent now, in bytes of the journal or of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ship {
    /// Whole sealed batches from here on, about so many bytes: at least one batch, however long. Then
    /// [`Primary::batches_sent`].
    Batches {
        /// Where they begin.
        from: Position,
        /// How much there is room for.
        bytes: u64,
    },
    /// A piece of the snapshot. Then [`Primary::piece_sent`].
    Piece {
        /// Where it begins.
        offset: u64,
        /// What is left of the snapshot.
        bytes: u64,
    },
}

/// A snapshot that can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose state it is.
    pub mark: Mark,
    /// The beginning of the segment that `mark` lies in, or of one before it that is still there.
    pub from: Mark,
    /// Its bytes.
    pub length: u64,
}

/// Why a planned switch did not happen. This node leads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalledOff {
    /// It took longer than `hand_over_nanos`.
    #[error("the switch took too long and was called off")]
    TooLong,
    /// The standby's link went down.
    #[error("the standby's link was lost, and the switch called off")]
    LinkLost,
    /// The standby's books come to something else than the ones here, at the same place of the same journal.
    #[error(
        "at position {at} the books here have the state {ours:016x} and those of the standby {theirs:016x}: the switch was \
         called off, and the standby will not lead"
    )]
    Differs {
        /// Where.
        at: Position,
        /// The hash of the books here.
        ours: u64,
        /// The hash of the standby's.
        theirs: u64,
    },
    /// The standby has found before that its books are not those of the journal.
    #[error("the standby's books are not those of the journal, as it says itself: the switch was called off")]
    Unfit,
}

/// Why a planned switch cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotHandOver {
    /// There is no standby in sync.
    #[error("no standby is in sync")]
    NotInSync,
    /// One is under way.
    #[error("a planned switch is under way")]
    UnderWay,
    /// A higher epoch has been heard of.
    #[error("this primary is deposed: epoch {0} has begun")]
    Deposed(Epoch),
}

/// The primary's side of the link.
#[derive(Debug)]
pub struct Primary {
    settings: Settings,
    me: Identity,
    /// The first position that the journal still has.
    first: Position,
    committed: Position,
    durable: Position,
    link: Link,
    heard_nanos: u64,
    heartbeat_sent_nanos: u64,
    switch: Switch,
    /// A higher epoch that has been heard of, or to which has been handed over.
    deposed: Option<Epoch>,
    /// The driver has been told to step down.
    stepped_down: bool,
    actions: VecDeque<Action>,
}

/// The states of the link.
#[derive(Debug)]
enum Link {
    Down,
    /// Up; the hello has not come.
    Up,
    /// The journal is being asked for the mark at the end of the common prefix.
    Locating {
        hello: Hello,
    },
    /// A snapshot is being taken in hand.
    Opening {
        hello: Hello,
    },
    /// The welcome is sent; the standby gets ready.
    Greeted {
        start: Start,
        standby: NodeId,
    },
    /// The snapshot is being sent, then installed.
    Seeding {
        snapshot: Snapshot,
        sent: u64,
        standby: NodeId,
    },
    Streaming(Stream),
}

/// A standby that follows. `durable <= received <= sent <= committed`.
#[derive(Clone, Copy, Debug)]
struct Stream {
    standby: NodeId,
    sent: Position,
    received: Position,
    durable: Position,
    echo_nanos: u64,
    /// What was committed at `target_nanos`; reaching it proves that the standby keeps up.
    target: Position,
    target_nanos: u64,
    in_sync: bool,
}

/// The states of a planned switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    No,
    /// *Prepare* is sent.
    Preparing {
        since_nanos: u64,
    },
    /// Input is being stopped.
    Stopping {
        since_nanos: u64,
    },
    /// The journal has ended; the standby gets the rest, and is asked what its books come to.
    Draining {
        since_nanos: u64,
        end: Mark,
        /// Of the books here.
        state: u64,
        /// The standby's books come to the same.
        is_same: bool,
    },
    /// Our own promise is being written.
    Promising {
        end: Mark,
        next: Epoch,
    },
    /// *Hand-over* is sent, or was lost with its link: this epoch is over.
    Over {
        next: Epoch,
        since_nanos: u64,
    },
}

impl Primary {
    /// Of a primary whose epoch has begun. `first` is the first position that its journal has, `committed` its end.
    #[must_use]
    pub fn new(
        settings: Settings,
        me: Identity,
        first: Position,
        committed: Position,
        durable: Position,
    ) -> Self {
        Self {
            settings,
            me,
            first,
            committed,
            durable,
            link: Link::Down,
            heard_nanos: 0,
            heartbeat_sent_nanos: 0,
            switch: Switch::No,
            deposed: None,
            stepped_down: false,
            actions: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The epoch in which this node leads.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.me.epoch
    }

    /// Whether a higher epoch has been heard of, or this one has been handed over: nothing more may be acknowledged
    /// but what the successor has.
    #[must_use]
    pub const fn deposed(&self) -> Option<Epoch> {
        self.deposed
    }

    /// How far the standby is on the link that is up.
    #[must_use]
    pub const fn remote(&self) -> Option<Remote> {
        match &self.link {
            Link::Streaming(stream) => Some(Remote { received: stream.received, durable: stream.durable }),
            _ => None,
        }
    }

    /// The standby that is connected and has said who it is.
    #[must_use]
    pub const fn standby(&self) -> Option<NodeId> {
        match &self.link {
            Link::Down | Link::Up => None,
            Link::Locating { hello } | Link::Opening { hello } => Some(hello.node),
            Link::Greeted { standby, .. } | Link::Seeding { standby, .. } => Some(*standby),
            Link::Streaming(stream) => Some(stream.standby),
        }
    }

    /// Whether the standby keeps up: it may be promoted, and be in the in-sync set.
    #[must_use]
    pub const fn is_in_sync(&self) -> bool {
        matches!(&self.link, Link::Streaming(Stream { in_sync: true, .. }))
    }

    /// Our clock at the sending of the newest heartbeat that the standby has answered on this link; `None` before the
    /// first. Everything up to then it has followed this epoch.
    #[must_use]
    pub const fn echo_nanos(&self) -> Option<u64> {
        match &self.link {
            Link::Streaming(stream) if stream.echo_nanos != 0 => Some(stream.echo_nanos),
            _ => None,
        }
    }

    /// Whether new input may be taken: no planned switch has come so far as to stop it.
    #[must_use]
    pub const fn takes_input(&self) -> bool {
        matches!(self.switch, Switch::No | Switch::Preparing { .. }) && self.deposed.is_none()
    }

    /// More has been committed, or is on the disk.
    pub fn advanced(&mut self, committed: Position, durable: Position) {
        debug_assert!(committed >= self.committed && durable >= self.durable && durable <= committed);
        (self.committed, self.durable) = (committed, durable);
    }

    /// From where on the standby that is connected still needs the journal. Retention keeps that; one that does not
    /// costs the standby its link, and it begins again from a snapshot.
    #[must_use]
    pub const fn needs_from(&self) -> Option<Position> {
        match &self.link {
            Link::Greeted { start, .. } => Some(match start {
                Start::Continue { at: mark }
                | Start::Truncate { to: mark }
                | Start::Snapshot { from: mark, .. } => mark.position,
            }),
            Link::Seeding { snapshot, .. } => Some(snapshot.from.position),
            Link::Streaming(stream) => Some(stream.sent),
            Link::Down | Link::Up | Link::Locating { .. } | Link::Opening { .. } => None,
        }
    }

    /// The journal has let go of what is before `first`.
    pub fn retained(&mut self, first: Position) {
        self.first = first;
        if let Some(needed) = self.needs_from().filter(|needed| *needed < first) {
            let text = format!("the journal begins at {first} now, and {needed} was needed next");
            self.refuse(Reason::Failed, text);
        }
    }

    /// A standby has connected. What there was of another link is forgotten.
    pub fn link_up(&mut self, now_nanos: u64) {
        self.forget_link();
        self.link = Link::Up;
        self.heard_nanos = now_nanos;
        self.heartbeat_sent_nanos = now_nanos;
    }

    /// An epoch has been heard of on another way than this link: a primary without a standby asks its peer by a hello of
    /// its own whether it leads.
    pub fn heard_of(&mut self, epoch: Epoch) {
        if epoch > self.me.epoch {
            self.depose(epoch);
        }
    }

    /// The link is gone.
    pub fn link_down(&mut self) {
        self.forget_link();
    }

    /// A message has come. Messages on a link that was closed are ignored.
    pub fn on_message(&mut self, now_nanos: u64, message: &Message<'_>) {
        if matches!(self.link, Link::Down) {
            return;
        }
        self.heard_nanos = now_nanos;
        match message {
            Message::Hello(hello) if matches!(self.link, Link::Up) => self.on_hello(hello.clone()),
            Message::Ack(ack) => self.on_ack(now_nanos, ack),
            Message::Ready { epoch, .. } if *epoch == self.me.epoch => {
                if let Switch::Preparing { since_nanos } = self.switch {
                    self.switch = Switch::Stopping { since_nanos };
                    self.actions.push_back(Action::StopInput);
                }
            }
            Message::Compared { epoch, state } if *epoch == self.me.epoch => self.on_compared(*state),
            Message::Taken { epoch } if *epoch > self.me.epoch => self.depose(*epoch),
            Message::Refused(refused) => {
                if refused.promised > self.me.epoch {
                    self.depose(refused.promised);
                }
                self.close();
            }
            other => self.refuse(Reason::Protocol, format!("a {} is not expected now", other.name())),
        }
    }

    /// The journal's mark at the position that was asked for; `None` when no batch ends there.
    pub fn mark_found(&mut self, now_nanos: u64, position: Position, found: Option<Mark>) {
        let Link::Locating { hello } = &self.link else { return };
        if position < self.first {
            // It has been let go of meanwhile.
            self.link = Link::Opening { hello: hello.clone() };
            self.actions.push_back(Action::OpenSnapshot);
            return;
        }
        let standby = hello.node;
        let at_end = hello.cluster.is_some() && hello.end.position == position;
        let same_chain = found.is_some_and(|mark| mark.chain == hello.end.chain);
        let Some(mark) = found.filter(|_| same_chain || !at_end) else {
            let text =
                format!("no common prefix at {position}: the chains differ there; a fresh copy is needed");
            self.refuse(Reason::Diverged, text);
            return;
        };
        let start = if hello.cluster.is_none() || at_end {
            Start::Continue { at: mark }
        } else {
            Start::Truncate { to: mark }
        };
        self.welcome(now_nanos, start, standby);
    }

    /// The snapshot that was asked for; `None` when there is none.
    pub fn snapshot_opened(&mut self, now_nanos: u64, snapshot: Option<Snapshot>) {
        let Link::Opening { hello } = &self.link else { return };
        let standby = hello.node;
        match snapshot {
            Some(Snapshot { mark, from, length }) => {
                self.welcome(now_nanos, Start::Snapshot { mark, from, length }, standby);
            }
            None => {
                let text = format!("the journal begins at {} and there is no snapshot to send", self.first);
                self.refuse(Reason::NoSnapshot, text);
            }
        }
    }

    /// What may be sent now.
    #[must_use]
    pub fn next(&self) -> Option<Ship> {
        match &self.link {
            Link::Seeding { snapshot, sent, .. } if *sent < snapshot.length => {
                Some(Ship::Piece { offset: *sent, bytes: snapshot.length - *sent })
            }
            Link::Streaming(stream) => {
                let on_the_way = stream.sent.0 - stream.received.0;
                let room = self.settings.window_bytes.saturating_sub(on_the_way);
                let left = self.committed.0 - stream.sent.0;
                // A message carries no more than the ring, which is what the standby is ready to take.
                let bytes = room.min(left).min(self.me.ring_bytes);
                (room > 0 && left > 0).then_some(Ship::Batches { from: stream.sent, bytes })
            }
            _ => None,
        }
    }

    /// Batches up to `end` have been handed to the link.
    pub fn batches_sent(&mut self, end: Position) {
        if let Link::Streaming(stream) = &mut self.link {
            debug_assert!(end > stream.sent && end <= self.committed);
            stream.sent = end;
        }
    }

    /// So many bytes of the snapshot have been handed to the link.
    pub fn piece_sent(&mut self, bytes: u64) {
        if let Link::Seeding { snapshot, sent, .. } = &mut self.link {
            *sent += bytes;
            debug_assert!(*sent <= snapshot.length);
        }
    }

    /// Time passes: heartbeats, silence, a switch that takes too long. To be called at least every
    /// `heartbeat_nanos / 2`.
    pub fn tick(&mut self, now_nanos: u64) {
        self.keep_up(now_nanos);
        if matches!(self.link, Link::Greeted { .. } | Link::Seeding { .. } | Link::Streaming(_))
            && now_nanos.saturating_sub(self.heartbeat_sent_nanos) >= self.settings.heartbeat_nanos
        {
            self.heartbeat_sent_nanos = now_nanos;
            self.send(Message::Heartbeat(Heartbeat {
                epoch: self.me.epoch,
                committed: self.committed,
                durable: self.durable,
                sent_nanos: now_nanos,
            }));
        }
        let patience_nanos = match self.link {
            Link::Down => u64::MAX,
            Link::Up | Link::Streaming(_) => self.settings.silence_nanos,
            // Here it is our own journal that is slow, or the standby's, which has nothing to say meanwhile.
            Link::Locating { .. } | Link::Opening { .. } | Link::Greeted { .. } | Link::Seeding { .. } => {
                self.settings.prepare_nanos
            }
        };
        let silent_nanos = now_nanos.saturating_sub(self.heard_nanos);
        if silent_nanos > patience_nanos {
            self.refuse(Reason::Silent, format!("nothing was heard for {} ms", silent_nanos / 1_000_000));
        }
        self.give_up_switch(now_nanos);
    }

    /// Begins a planned switch to the standby. Under an election the caller has seen first that the standby is on record
    /// as in sync ([`Mode::Replicated`](crate::gate::Mode::Replicated)); else it could not be elected.
    ///
    /// # Errors
    /// When there is nobody to switch to, or one is under way.
    pub fn hand_over(&mut self, now_nanos: u64) -> Result<(), CannotHandOver> {
        if let Some(epoch) = self.deposed {
            return Err(CannotHandOver::Deposed(epoch));
        }
        if self.switch != Switch::No {
            return Err(CannotHandOver::UnderWay);
        }
        if !self.is_in_sync() {
            return Err(CannotHandOver::NotInSync);
        }
        self.switch = Switch::Preparing { since_nanos: now_nanos };
        self.send(Message::Prepare { epoch: self.me.epoch });
        Ok(())
    }

    /// Input has been stopped for a switch, `end` is where the journal ends, and `state` the hash of the books there.
    /// Reports up to there may still be released as the gate allows.
    pub fn stopped(&mut self, end: Mark, state: u64) {
        if let Switch::Stopping { since_nanos } = self.switch {
            self.switch = Switch::Draining { since_nanos, end, state, is_same: false };
            self.send(Message::Compare(Compare { epoch: self.me.epoch, at: end, state }));
        }
    }

    /// The promise that was asked for is on the disk.
    pub fn kept(&mut self, now_nanos: u64) {
        let Switch::Promising { end, next } = self.switch else { return };
        self.switch = Switch::Over { next, since_nanos: now_nanos };
        self.deposed = Some(next);
        // If the link is gone meanwhile, the switch is over all the same: whoever is promoted next takes a higher epoch.
        if matches!(self.link, Link::Streaming(_)) {
            self.send(Message::HandOver(HandOver { epoch: self.me.epoch, next, at: end }));
        } else {
            self.step_down(next);
        }
    }

    fn on_hello(&mut self, hello: Hello) {
        // First of all: the epochs of another journal say nothing about this one's.
        if let Some(theirs) = hello.cluster
            && theirs != self.me.cluster
        {
            self.refuse(Reason::ForeignCluster, format!("cluster {theirs} is not {}", self.me.cluster));
            return;
        }
        if hello.promised > self.me.epoch {
            self.depose(hello.promised);
            self.refuse(Reason::LowerEpoch, format!("epoch {} is over here", self.me.epoch));
            return;
        }
        if hello.node == self.me.node {
            self.refuse(Reason::Protocol, format!("node {} is this node", hello.node));
            return;
        }
        if hello.cluster.is_some() {
            let (ring, segment) = (self.me.ring_bytes, self.me.segment_bytes);
            if (hello.ring_bytes, hello.segment_bytes) != (ring, segment) {
                let text = format!(
                    "ring and segments of {} and {} bytes, and here {ring} and {segment}",
                    hello.ring_bytes, hello.segment_bytes
                );
                self.refuse(Reason::Geometry, text);
                return;
            }
        }
        // Whoever has no journal has an empty one.
        let their_end = hello.cluster.map_or(Position(0), |_| hello.end.position);
        match self.me.history.common_prefix(self.committed, &hello.history, their_end) {
            Ok(position) if position >= self.first => {
                self.link = Link::Locating { hello };
                self.actions.push_back(Action::FindMark { position });
            }
            Ok(_) | Err(Divergence::NothingInCommon { .. }) => {
                self.link = Link::Opening { hello };
                self.actions.push_back(Action::OpenSnapshot);
            }
            Err(contradiction) => self.refuse(Reason::Diverged, contradiction.to_string()),
        }
    }

    fn welcome(&mut self, now_nanos: u64, start: Start, standby: NodeId) {
        let welcome = Welcome {
            cluster: self.me.cluster,
            epoch: self.me.epoch,
            ring_bytes: self.me.ring_bytes,
            segment_bytes: self.me.segment_bytes,
            committed: self.committed,
            start,
            history: self.me.history.clone(),
        };
        self.heard_nanos = now_nanos;
        self.link = Link::Greeted { start, standby };
        self.send(Message::Welcome(welcome));
    }

    fn on_ack(&mut self, now_nanos: u64, ack: &Ack) {
        if ack.epoch != self.me.epoch {
            self.refuse(
                Reason::Protocol,
                format!("an ack of epoch {} in epoch {}", ack.epoch, self.me.epoch),
            );
            return;
        }
        match &mut self.link {
            Link::Greeted { start, standby } => {
                let (start, standby) = (*start, *standby);
                match start {
                    Start::Continue { at: mark } | Start::Truncate { to: mark } => {
                        self.begin_stream(now_nanos, ack, mark.position, standby);
                    }
                    Start::Snapshot { mark, from, length } => {
                        let snapshot = Snapshot { mark, from, length };
                        self.link = Link::Seeding { snapshot, sent: 0, standby };
                    }
                }
            }
            Link::Seeding { snapshot, sent, standby } if *sent == snapshot.length => {
                let (from, standby) = (snapshot.from.position, *standby);
                self.begin_stream(now_nanos, ack, from, standby);
            }
            Link::Streaming(stream) => {
                let is_possible = ack.received >= stream.received
                    && ack.received <= stream.sent
                    && ack.durable >= stream.durable
                    && ack.durable <= ack.received;
                if !is_possible {
                    let text = format!(
                        "an ack of {} and {} after {} and {}, with {} sent",
                        ack.received, ack.durable, stream.received, stream.durable, stream.sent
                    );
                    self.refuse(Reason::Protocol, text);
                    return;
                }
                (stream.received, stream.durable) = (ack.received, ack.durable);
                stream.echo_nanos = stream.echo_nanos.max(ack.echo_nanos);
                self.keep_up(now_nanos);
                self.go_on_with_switch();
            }
            _ => self.refuse(Reason::Protocol, "an ack is not expected now".into()),
        }
    }

    fn begin_stream(&mut self, now_nanos: u64, ack: &Ack, start: Position, standby: NodeId) {
        if ack.received != start {
            self.refuse(Reason::Protocol, format!("ready at {} and not at {start}", ack.received));
            return;
        }
        self.link = Link::Streaming(Stream {
            standby,
            sent: start,
            received: start,
            durable: ack.durable,
            echo_nanos: 0,
            target: self.committed,
            target_nanos: now_nanos,
            in_sync: false,
        });
        self.keep_up(now_nanos);
    }

    /// Judges whether the standby keeps up.
    fn keep_up(&mut self, now_nanos: u64) {
        let Link::Streaming(stream) = &mut self.link else { return };
        let lag = self.committed.0 - stream.received.0;
        if stream.received >= stream.target {
            stream.in_sync = lag <= self.settings.lag_bytes_max;
            (stream.target, stream.target_nanos) = (self.committed, now_nanos);
        }
        if lag > self.settings.lag_bytes_max
            || now_nanos.saturating_sub(stream.target_nanos) > self.settings.lag_nanos_max
        {
            stream.in_sync = false;
        }
    }

    /// What the standby's books come to where the journal ends; an answer that is too late is none.
    fn on_compared(&mut self, theirs: Option<u64>) {
        let Switch::Draining { end, state, is_same, .. } = &mut self.switch else { return };
        let (at, ours) = (end.position, *state);
        match theirs {
            Some(theirs) if theirs == ours => {
                *is_same = true;
                self.go_on_with_switch();
            }
            Some(theirs) => self.call_off(CalledOff::Differs { at, ours, theirs }),
            None => self.call_off(CalledOff::Unfit),
        }
    }

    fn call_off(&mut self, why: CalledOff) {
        self.switch = Switch::No;
        self.actions.push_back(Action::ResumeInput { why });
    }

    /// The next step of a switch, if its condition has come about.
    fn go_on_with_switch(&mut self) {
        let Switch::Draining { end, is_same: true, .. } = self.switch else { return };
        let Link::Streaming(stream) = &self.link else { return };
        if stream.durable >= end.position {
            let next = stream.standby.epoch_after(self.me.epoch);
            self.switch = Switch::Promising { end, next };
            self.actions.push_back(Action::Keep { promised: next });
        }
    }

    /// Calls a switch off that takes too long or has lost its link, as long as that can be: before our own promise.
    fn give_up_switch(&mut self, now_nanos: u64) {
        match self.switch {
            Switch::Preparing { since_nanos }
            | Switch::Stopping { since_nanos }
            | Switch::Draining { since_nanos, .. } => {
                if matches!(self.link, Link::Down) {
                    self.call_off(CalledOff::LinkLost);
                } else if now_nanos.saturating_sub(since_nanos) > self.settings.hand_over_nanos {
                    self.call_off(CalledOff::TooLong);
                }
            }
            // It cannot be taken back. Whether the standby leads is for it, or for whoever promotes next, to say.
            Switch::Over { next, since_nanos }
                if now_nanos.saturating_sub(since_nanos) > self.settings.hand_over_nanos =>
            {
                self.step_down(next);
            }
            Switch::No | Switch::Promising { .. } | Switch::Over { .. } => {}
        }
    }

    fn depose(&mut self, epoch: Epoch) {
        self.deposed = Some(self.deposed.map_or(epoch, |known| known.max(epoch)));
        self.step_down(epoch);
    }

    fn step_down(&mut self, epoch: Epoch) {
        if !self.stepped_down {
            self.stepped_down = true;
            self.actions.push_back(Action::StepDown { epoch });
        }
    }

    fn send(&mut self, message: Message<'static>) {
        self.actions.push_back(Action::Send(message));
    }

    fn refuse(&mut self, reason: Reason, text: String) {
        let promised = self.deposed.unwrap_or(self.me.epoch);
        self.send(Message::Refused(Refused { reason, promised, text: Cow::Owned(text) }));
        self.close();
    }

    fn close(&mut self) {
        self.actions.push_back(Action::Close);
        self.forget_link();
    }

    fn forget_link(&mut self) {
        self.link = Link::Down;
        if let Switch::Over { next, .. } = self.switch {
            // Nobody will say any more that it was taken.
            self.step_down(next);
        }
    }
}

#[cfg(test)]
mod tests;
