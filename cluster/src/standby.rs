//! The standby's side of the replication link, and how it becomes a primary.
//!
//! 1. **Hello** says what this node has: journal, end, epochs, and the epoch that it has promised.
//! 2. **Welcome** says from where to go on. The epoch is promised first, on the disk ([`Action::Keep`]); only then is
//!    anything done for it. What has to be cut is archived and cut ([`Action::Truncate`]), or a snapshot is taken
//!    ([`Action::BeginSnapshot`], [`Action::InstallSnapshot`]). Then the first *ack* says: ready.
//! 3. **Batches** must begin at this node's end and be of the link's epoch. They are appended at the same positions and
//!    acknowledged twice, as received and as durable.
//! 4. **The fence.** Nothing of an epoch lower than the promised one is acted on; the sender is told.
//!
//! [`Kept::complete`] says whether the log holds all that this node ever said to have received. It is `false` from a stop
//! that lost the tail, or from the beginning of a truncation, until the node has reached what its primary had committed
//! when it said so on this link. Whoever is not complete is not promoted without force.
//!
//! **Promotion**, by an operator, by an election that was won, or by a hand-over: the new epoch is promised on the disk,
//! then [`Action::Lead`] is given: begin the epoch in the journal, and take cancels only for a short time, so that
//! clients that find their orders in another state than they thought can get out first.

use std::borrow::Cow;
use std::collections::VecDeque;

use domain::{ClusterId, Epoch, EpochStart, Mark, Position};

use crate::frame::{
    Ack, Batch, Compare, HandOver, Heartbeat, Hello, Message, Reason, Refused, Start, Welcome,
};
use crate::history::History;
use crate::mutation::{self, Mutation};
use crate::{Kept, NodeId};

/// Times.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A primary that says nothing for so long is lost.
    pub silence_nanos: u64,
    /// A primary may take so long to answer a hello.
    pub greeting_nanos: u64,
    /// A new primary takes cancels only for so long.
    pub cancel_only_nanos: u64,
}

impl Default for Settings {
    /// Silence after 1 s, an answer within 10 s, 500 ms of cancels only.
    fn default() -> Self {
        Self { silence_nanos: 1_000_000_000, greeting_nanos: 10_000_000_000, cancel_only_nanos: 500_000_000 }
    }
}

/// A node's journal, as a standby needs to know it.
#[derive(Clone, Debug)]
pub struct Log {
    /// Which journal it is.
    pub cluster: ClusterId,
    /// Where it ends.
    pub end: Mark,
    /// What is on the disk.
    pub durable: Position,
    /// Its epochs.
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
    /// Write this, durably, and call [`Standby::kept`].
    Keep(Kept),
    /// Make a journal of this cluster, empty, with this geometry, and call [`Standby::created`].
    Create {
        /// Which journal.
        cluster: ClusterId,
        /// Bytes of its ring.
        ring_bytes: u64,
        /// Bytes of its segments.
        segment_bytes: u64,
    },
    /// Compare the chain at this mark; if it is the same, archive what is behind it and cut it, durably; then call
    /// [`Standby::truncated`].
    Truncate {
        /// The new end.
        to: Mark,
    },
    /// Get ready to write a snapshot of so many bytes, and call [`Standby::snapshot_begun`].
    BeginSnapshot {
        /// Its bytes.
        length: u64,
    },
    /// The snapshot is whole. Check it, archive the journal that there is, put the snapshot and an empty journal that
    /// begins at `from` in its place, durably, and call [`Standby::snapshot_installed`].
    InstallSnapshot {
        /// Which journal.
        cluster: ClusterId,
        /// Whose state the snapshot is.
        mark: Mark,
        /// Where the journal begins: at the base of a segment.
        from: Mark,
        /// Bytes of the ring.
        ring_bytes: u64,
        /// Bytes of a segment.
        segment_bytes: u64,
    },
    /// Bring the disk up to date soon and the books to the end of the log: a planned switch is coming.
    GetReady,
    /// The log ends at this mark for a switch. Bring the books there, hold them against `state`, the hash of the
    /// primary's, and call [`Standby::compared`]. Whoever differs must not lead.
    Compare {
        /// Where.
        at: Mark,
        /// What the primary's books come to there.
        state: u64,
    },
    /// The primary has handed over. Win the election for `next`, if there is one, and call [`Standby::promote`].
    HandedOver {
        /// The epoch to begin.
        next: Epoch,
    },
    /// Lead: begin this epoch at the end of the log, take cancels only for a while, then everything.
    Lead {
        /// The epoch.
        epoch: Epoch,
        /// So long are only cancels taken.
        cancel_only_nanos: u64,
    },
}

/// What came on the link for the journal or for the snapshot, to be carried out before the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work<'a> {
    /// Check and append these batches, and call [`Standby::appended`] or [`Standby::append_failed`].
    Append {
        /// Where they begin: at the end of the log.
        at: Position,
        /// The bytes of the stream.
        bytes: &'a [u8],
    },
    /// Write this piece of the snapshot.
    Piece {
        /// Where in the snapshot.
        offset: u64,
        /// Its bytes.
        bytes: &'a [u8],
    },
}

/// On whose word a standby is promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// An operator's, who has made sure that the old primary is gone. With `force` even if something may be lost.
    Operator {
        /// Whether what is not allowed is done all the same.
        force: bool,
    },
    /// The epoch was won with the coordinator.
    Election {
        /// The epoch.
        epoch: Epoch,
    },
    /// The primary handed over to this epoch.
    HandOver {
        /// The epoch.
        next: Epoch,
    },
}

/// Why a standby cannot be promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotPromote {
    /// It has no journal.
    #[error("this node has no journal")]
    NoJournal,
    /// It has promised a higher epoch, or leads already.
    #[error("epoch {asked} cannot begin here: epoch {promised} is promised")]
    EpochIsOver {
        /// The epoch that was to begin.
        asked: Epoch,
        /// What is promised.
        promised: Epoch,
    },
    /// Something that it had received may be lost, or it is being truncated or seeded.
    #[error("the log up to {end} may lack what this node had received; only force promotes it")]
    Incomplete {
        /// The end of the log.
        end: Position,
    },
    /// It was not in sync when it last heard of a primary.
    #[error("the log ends at {end} and the primary had committed {committed}; only force promotes it")]
    Behind {
        /// The end of the log.
        end: Position,
        /// What the primary had committed.
        committed: Position,
    },
    /// The primary is alive.
    #[error("the primary of epoch {epoch} was heard {heard_millis} ms ago; only force promotes another")]
    PrimaryAlive {
        /// Its epoch.
        epoch: Epoch,
        /// When.
        heard_millis: u64,
    },
    /// No hand-over to this epoch has come.
    #[error("no hand-over to epoch {0} has come")]
    NotHandedOver(Epoch),
}

/// The standby.
#[derive(Debug)]
pub struct Standby {
    settings: Settings,
    node: NodeId,
    log: Option<Log>,
    /// What is on the disk.
    kept: Kept,
    /// What is being written, one at a time; `kept` until then.
    keeping: Option<Kept>,
    link: Link,
    heard_nanos: u64,
    /// The epoch and the committed position that a primary last spoke of.
    contact: Option<(Epoch, Position)>,
    /// A switch was announced; *ready* is owed once this is durable.
    preparing: Option<Position>,
    /// The primary's books are to be compared with those here, once the log ends there.
    comparing: Option<Compare>,
    handed_over: Option<Epoch>,
    leading: Option<Leading>,
    actions: VecDeque<Action>,
}

/// The states of the link.
#[derive(Clone, Debug)]
enum Link {
    Down,
    /// The hello is sent.
    Greeting,
    /// The welcome's epoch is being promised.
    Promising(Welcome),
    /// A journal is being made, or cut.
    Preparing(Welcome),
    /// The snapshot's place is being made.
    Clearing(Welcome),
    /// Pieces are coming.
    Seeding {
        welcome: Welcome,
        received: u64,
    },
    Installing(Welcome),
    Following {
        epoch: Epoch,
        echo_nanos: u64,
    },
}

/// This node is to lead.
#[derive(Clone, Copy, Debug)]
struct Leading {
    epoch: Epoch,
    told: bool,
}

impl Standby {
    /// Of a node that has opened its journal, or has none. `kept` is what is on its disk.
    #[must_use]
    pub fn new(settings: Settings, node: NodeId, log: Option<Log>, kept: Kept) -> Self {
        Self {
            settings,
            node,
            log,
            kept,
            keeping: None,
            link: Link::Down,
            heard_nanos: 0,
            contact: None,
            preparing: None,
            comparing: None,
            handed_over: None,
            leading: None,
            actions: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What is on the disk besides the journal, as far as it is known to be.
    #[must_use]
    pub const fn on_disk(&self) -> Kept {
        self.kept
    }

    /// The journal.
    #[must_use]
    pub const fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }

    /// The epoch of the primary that is followed now.
    #[must_use]
    pub const fn follows(&self) -> Option<Epoch> {
        match &self.link {
            Link::Following { epoch, .. } => Some(*epoch),
            _ => None,
        }
    }

    /// The epoch and the committed position that a primary last spoke of.
    #[must_use]
    pub const fn contact(&self) -> Option<(Epoch, Position)> {
        self.contact
    }

    /// Whether this node has all that it ever said to have received, and is not being cut or seeded.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        mutation::is(Mutation::ForgetsWhatWasLost)
            || self.kept.complete && self.keeping.is_none_or(|keeping| keeping.complete)
    }

    /// Whether it could begin to lead: it has a journal, which is not being made, cut or seeded, and it does not lead.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.log.is_some()
            && self.leading.is_none()
            && matches!(self.link, Link::Down | Link::Greeting | Link::Following { .. })
    }

    /// Whether it had, when a primary last spoke, all that was committed then.
    #[must_use]
    pub fn was_in_sync(&self) -> bool {
        self.contact.is_some_and(|(_, committed)| self.end() >= committed)
    }

    /// A link to a primary, or to somebody who may be one, is up.
    pub fn link_up(&mut self, now_nanos: u64) {
        self.forget_link();
        if self.leading.is_some() {
            self.actions.push_back(Action::Close);
            return;
        }
        self.heard_nanos = now_nanos;
        self.link = Link::Greeting;
        let zero = Mark { position: Position(0), chain: 0 };
        let log = self.log.as_ref();
        self.send(Message::Hello(Hello {
            node: self.node,
            cluster: log.map(|log| log.cluster),
            end: log.map_or(zero, |log| log.end),
            promised: if mutation::is(Mutation::MissingFence) { Epoch::NONE } else { self.promised() },
            complete: self.is_complete(),
            ring_bytes: log.map_or(0, |log| log.ring_bytes),
            segment_bytes: log.map_or(0, |log| log.segment_bytes),
            history: log.map(|log| log.history.clone()).unwrap_or_default(),
        }));
    }

    /// The link is gone.
    pub fn link_down(&mut self) {
        self.forget_link();
    }

    /// A message has come; what it brings for the journal or the snapshot is to be done before the next call. Messages
    /// on a link that was closed are ignored.
    #[must_use]
    pub fn on_message<'a>(&mut self, now_nanos: u64, message: &Message<'a>) -> Option<Work<'a>> {
        if matches!(self.link, Link::Down) {
            return None;
        }
        let Some(epoch) = epoch_of(message) else {
            // A refusal may name a higher epoch; it is promised when a primary of it says welcome.
            if let Message::Refused(_) = message {
                self.close();
            } else {
                self.refuse(Reason::Protocol, format!("a {} is not expected now", message.name()));
            }
            return None;
        };
        if epoch < self.promised() && !mutation::is(Mutation::MissingFence) {
            self.refuse(Reason::LowerEpoch, format!("epoch {epoch} is over here"));
            return None;
        }
        self.heard_nanos = now_nanos;
        match message {
            Message::Welcome(welcome) if matches!(self.link, Link::Greeting) => {
                self.on_welcome(welcome);
                return None;
            }
            Message::Heartbeat(heartbeat) => {
                self.on_heartbeat(heartbeat);
                return None;
            }
            _ => {}
        }
        match (&mut self.link, message) {
            (Link::Seeding { welcome, received }, Message::SnapshotPiece(piece)) => {
                let Start::Snapshot { length, .. } = welcome.start else { return None };
                let end = received.saturating_add(piece.bytes.len() as u64);
                if piece.epoch != welcome.epoch || piece.offset != *received || end > length {
                    let text = format!("a piece at {} after {received} of {length} bytes", piece.offset);
                    self.refuse(Reason::Protocol, text);
                    return None;
                }
                *received = end;
                if end == length {
                    self.install();
                }
                Some(Work::Piece { offset: piece.offset, bytes: piece.bytes })
            }
            (Link::Following { epoch: followed, .. }, message) if epoch == *followed => {
                self.on_followed(message)
            }
            (_, other) => {
                let text = format!("a {} of epoch {epoch} is not expected now", other.name());
                self.refuse(Reason::Protocol, text);
                None
            }
        }
    }

    /// The batches that were given to append are in the tail; the log ends at `end`, and `starts` are the epochs that
    /// began in them.
    pub fn appended(&mut self, end: Mark, starts: &[EpochStart]) {
        let Some(log) = &mut self.log else { return };
        debug_assert!(end.position > log.end.position);
        log.end = end;
        for &start in starts {
            // The journal has checked that epochs do not go down; one that it tells again changes nothing.
            let _ = log.history.begin(start);
        }
        self.judge_completeness();
        self.ack();
        self.compare();
    }

    /// The batches were not what they should be: nothing of them is in the log.
    pub fn append_failed(&mut self, text: String) {
        self.refuse(Reason::Protocol, text);
    }

    /// What the books here come to where the log ends, as was asked; `None` when they are not those of the journal.
    pub fn compared(&mut self, state: Option<u64>) {
        if let Link::Following { epoch, .. } = self.link {
            self.send(Message::Compared { epoch, state });
        }
    }

    /// More is on the disk.
    pub fn durable(&mut self, durable: Position) {
        let Some(log) = &mut self.log else { return };
        log.durable = log.durable.max(durable.min(log.end.position));
        self.ack();
        self.be_ready();
    }

    /// What was to be kept is on the disk.
    pub fn kept(&mut self) {
        let Some(kept) = self.keeping.take() else { return };
        self.kept = kept;
        if let Some(Leading { epoch, told: false }) = self.leading {
            if self.kept.promised >= epoch {
                self.leading = Some(Leading { epoch, told: true });
                let cancel_only_nanos = self.settings.cancel_only_nanos;
                self.actions.push_back(Action::Lead { epoch, cancel_only_nanos });
            } else {
                self.keep_for(epoch);
            }
        }
        if let Link::Promising(welcome) = &self.link {
            let welcome = welcome.clone();
            self.promise_or_go_on(welcome);
        }
    }

    /// The empty journal that was asked for is there; `genesis` is its mark.
    pub fn created(&mut self, genesis: Mark) {
        let Link::Preparing(welcome) = &self.link else { return };
        let welcome = welcome.clone();
        if welcome.start != (Start::Continue { at: genesis }) {
            self.refuse(Reason::Diverged, "an empty journal does not begin so".into());
            return;
        }
        self.log = Some(Log {
            cluster: welcome.cluster,
            end: genesis,
            durable: genesis.position,
            history: History::new(),
            ring_bytes: welcome.ring_bytes,
            segment_bytes: welcome.segment_bytes,
        });
        self.follow(welcome.epoch);
    }

    /// What was to be cut is archived and cut, and the log ends at `end`; or the chain at the mark was another, and
    /// nothing was done.
    pub fn truncated(&mut self, end: Option<Mark>) {
        // Whatever became of the link, the log is what it is.
        if let (Some(log), Some(end)) = (&mut self.log, end) {
            log.end = end;
            log.durable = end.position;
            log.history.truncate(end.position);
        }
        let Link::Preparing(welcome) = &self.link else { return };
        let epoch = welcome.epoch;
        if end.is_some() {
            self.follow(epoch);
        } else {
            let text = "the chains differ at the common prefix: a fresh copy is needed";
            self.refuse(Reason::Diverged, text.into());
        }
    }

    /// Pieces of the snapshot may come.
    pub fn snapshot_begun(&mut self) {
        let Link::Clearing(welcome) = &self.link else { return };
        let welcome = welcome.clone();
        let epoch = welcome.epoch;
        self.link = Link::Seeding { welcome, received: 0 };
        let zero = Position(0);
        self.send(Message::Ack(Ack { epoch, received: zero, durable: zero, echo_nanos: 0 }));
    }

    /// The snapshot and the empty journal behind it are in place, or it was not what it should be, and the old journal
    /// is where it was.
    pub fn snapshot_installed(&mut self, good: bool) {
        let Link::Installing(welcome) = &self.link else { return };
        let welcome = welcome.clone();
        let Start::Snapshot { from, .. } = welcome.start else { return };
        if !good {
            self.refuse(Reason::Failed, "the snapshot did not arrive whole".into());
            return;
        }
        let mut history = welcome.history;
        history.truncate(from.position);
        self.log = Some(Log {
            cluster: welcome.cluster,
            end: from,
            durable: from.position,
            history,
            ring_bytes: welcome.ring_bytes,
            segment_bytes: welcome.segment_bytes,
        });
        self.follow(welcome.epoch);
    }

    /// Time passes: a primary that is silent is lost.
    pub fn tick(&mut self, now_nanos: u64) {
        let patience_nanos = match self.link {
            Link::Down => return,
            Link::Greeting => self.settings.greeting_nanos,
            // A heartbeat comes whatever we are busy with.
            _ => self.settings.silence_nanos,
        };
        let silent_nanos = now_nanos.saturating_sub(self.heard_nanos);
        if silent_nanos > patience_nanos {
            self.refuse(Reason::Silent, format!("nothing was heard for {} ms", silent_nanos / 1_000_000));
        }
    }

    /// Makes this node the primary of a new epoch: [`Action::Lead`] follows once the epoch is promised. The link is
    /// closed.
    ///
    /// # Errors
    /// When it must not, or cannot, be done; nothing is changed then.
    pub fn promote(&mut self, now_nanos: u64, authority: Authority) -> Result<Epoch, CannotPromote> {
        let Some(log) = &self.log else { return Err(CannotPromote::NoJournal) };
        let end = log.end.position;
        let promised = self.promised();
        let (epoch, force) = match authority {
            Authority::Operator { force } => (self.node.epoch_after(promised), force),
            // What speaks against it was asked before the epoch was competed for.
            Authority::Election { epoch } => (epoch, true),
            Authority::HandOver { next } if self.handed_over == Some(next) => (next, false),
            Authority::HandOver { next } => return Err(CannotPromote::NotHandedOver(next)),
        };
        if epoch <= promised || self.leading.is_some() {
            return Err(CannotPromote::EpochIsOver { asked: epoch, promised });
        }
        if !self.is_fit() && authority != (Authority::Operator { force: true }) {
            return Err(CannotPromote::Incomplete { end });
        }
        if !force {
            if !self.is_complete() {
                return Err(CannotPromote::Incomplete { end });
            }
            if let Some((_, committed)) = self.contact
                && end < committed
            {
                return Err(CannotPromote::Behind { end, committed });
            }
            let heard_nanos = now_nanos.saturating_sub(self.heard_nanos);
            if let (Some(epoch), Authority::Operator { .. }) = (self.follows(), authority)
                && heard_nanos <= self.settings.silence_nanos
            {
                return Err(CannotPromote::PrimaryAlive { epoch, heard_millis: heard_nanos / 1_000_000 });
            }
        }
        self.leading = Some(Leading { epoch, told: false });
        if let Authority::HandOver { .. } = authority {
            self.send(Message::Taken { epoch });
            self.close();
        } else if matches!(self.link, Link::Down) {
            self.forget_link();
        } else {
            self.refuse(Reason::LowerEpoch, format!("epoch {epoch} begins here"));
        }
        // Another promise may be on its way to the disk; this one follows it.
        if self.keeping.is_none() {
            self.keep_for(epoch);
        }
        Ok(epoch)
    }

    fn end(&self) -> Position {
        self.log.as_ref().map_or(Position(0), |log| log.end.position)
    }

    /// What is promised, be it still on its way to the disk. A log that was copied here may be of a later epoch than any
    /// promise.
    fn promised(&self) -> Epoch {
        let leading = self.leading.map_or(Epoch::NONE, |leading| leading.epoch);
        let newest = self.log.as_ref().map_or(Epoch::NONE, |log| log.history.last());
        self.keeping.map_or(self.kept.promised, |keeping| keeping.promised).max(leading).max(newest)
    }

    fn on_welcome(&mut self, welcome: &Welcome) {
        if let Some(log) = &self.log {
            if log.cluster != welcome.cluster {
                let text = format!("cluster {} is not {}", welcome.cluster, log.cluster);
                self.refuse(Reason::ForeignCluster, text);
                return;
            }
            let geometry = (log.ring_bytes, log.segment_bytes);
            if (welcome.ring_bytes, welcome.segment_bytes) != geometry {
                let text = format!(
                    "ring and segments of {} and {} bytes, and here {} and {}",
                    welcome.ring_bytes, welcome.segment_bytes, geometry.0, geometry.1
                );
                self.refuse(Reason::Geometry, text);
                return;
            }
            let is_possible = match welcome.start {
                Start::Continue { at } => at == log.end,
                Start::Truncate { to } => to.position < log.end.position,
                Start::Snapshot { .. } => true,
            };
            if !is_possible {
                let text = format!("the log ends at {} with chain {:016x}", log.end.position, log.end.chain);
                self.refuse(Reason::Diverged, text);
                return;
            }
        }
        self.promise_or_go_on(welcome.clone());
    }

    /// Promises the welcome's epoch, and that the log is not complete if it is about to be cut; then goes on.
    fn promise_or_go_on(&mut self, welcome: Welcome) {
        let cuts = self.log.is_some() && !matches!(welcome.start, Start::Continue { .. });
        let wanted = Kept { promised: welcome.epoch, complete: self.kept.complete && !cuts };
        if self.kept != wanted {
            self.link = Link::Promising(welcome);
            if self.keeping.is_none() {
                self.keep(wanted);
            }
            return;
        }
        let epoch = welcome.epoch;
        self.contact = Some((epoch, welcome.committed));
        match welcome.start {
            Start::Continue { .. } if self.log.is_none() => {
                self.actions.push_back(Action::Create {
                    cluster: welcome.cluster,
                    ring_bytes: welcome.ring_bytes,
                    segment_bytes: welcome.segment_bytes,
                });
                self.link = Link::Preparing(welcome);
            }
            Start::Continue { .. } => self.follow(epoch),
            Start::Truncate { to } => {
                self.actions.push_back(Action::Truncate { to });
                self.link = Link::Preparing(welcome);
            }
            Start::Snapshot { length, .. } => {
                self.actions.push_back(Action::BeginSnapshot { length });
                self.link = Link::Clearing(welcome);
            }
        }
    }

    fn install(&mut self) {
        let Link::Seeding { welcome, .. } = &self.link else { return };
        let welcome = welcome.clone();
        let Start::Snapshot { mark, from, .. } = welcome.start else { return };
        self.actions.push_back(Action::InstallSnapshot {
            cluster: welcome.cluster,
            mark,
            from,
            ring_bytes: welcome.ring_bytes,
            segment_bytes: welcome.segment_bytes,
        });
        self.link = Link::Installing(welcome);
    }

    fn follow(&mut self, epoch: Epoch) {
        self.link = Link::Following { epoch, echo_nanos: 0 };
        self.judge_completeness();
        self.ack();
    }

    fn on_heartbeat(&mut self, heartbeat: &Heartbeat) {
        if let Link::Following { epoch, echo_nanos } = &mut self.link
            && *epoch == heartbeat.epoch
        {
            *echo_nanos = heartbeat.sent_nanos;
            self.contact = Some((heartbeat.epoch, heartbeat.committed));
            self.judge_completeness();
            self.ack();
        }
    }

    /// What only somebody who follows gets.
    fn on_followed<'a>(&mut self, message: &Message<'a>) -> Option<Work<'a>> {
        let end = self.log.as_ref()?.end;
        match message {
            Message::Batch(Batch { at, bytes, .. }) => {
                if *at != end.position {
                    let text = format!("batches at {at}, and the log ends at {}", end.position);
                    self.refuse(Reason::Protocol, text);
                    return None;
                }
                return Some(Work::Append { at: *at, bytes });
            }
            Message::Prepare { .. } => {
                self.preparing = Some(end.position);
                self.actions.push_back(Action::GetReady);
                self.be_ready();
            }
            Message::Compare(compare) => {
                if compare.at.position < end.position {
                    let text = format!("the log ends at {} and not at {}", end.position, compare.at.position);
                    self.refuse(Reason::Protocol, text);
                    return None;
                }
                self.comparing = Some(*compare);
                self.compare();
            }
            Message::HandOver(HandOver { next, at, .. }) => {
                if *at != end || !self.is_complete() {
                    let text = format!("the log ends at {} and not at {}", end.position, at.position);
                    self.refuse(Reason::Protocol, text);
                    return None;
                }
                self.handed_over = Some(*next);
                self.contact = self.contact.map(|(epoch, _)| (epoch, at.position));
                self.actions.push_back(Action::HandedOver { next: *next });
            }
            other => self.refuse(Reason::Protocol, format!("a {} is not expected now", other.name())),
        }
        None
    }

    /// Says that a planned switch may be quick, once what there was at its announcement is on the disk.
    fn be_ready(&mut self) {
        let (Some(until), Some(epoch), Some(log)) = (self.preparing, self.follows(), &self.log) else {
            return;
        };
        if log.durable >= until {
            let durable = log.durable;
            self.preparing = None;
            self.send(Message::Ready { epoch, durable });
        }
    }

    /// Has the books compared, once the log ends where that was asked for.
    fn compare(&mut self) {
        let (Some(Compare { at, state, .. }), Some(log)) = (self.comparing, &self.log) else { return };
        if log.end.position < at.position {
            return; // batches are on their way
        }
        self.comparing = None;
        if log.end == at {
            self.actions.push_back(Action::Compare { at, state });
        } else if log.end.position == at.position {
            let text = format!("the chains differ at {}", at.position);
            self.refuse(Reason::Protocol, text);
        }
        // A log that goes on behind it is that of a primary which has called the switch off.
    }

    /// A log that has reached what was committed, on a link on which it was not cut any more, is complete again.
    fn judge_completeness(&mut self) {
        if !self.kept.complete
            && self.keeping.is_none()
            && matches!(self.link, Link::Following { .. })
            && self.was_in_sync()
        {
            self.keep(Kept { complete: true, ..self.kept });
        }
    }

    fn ack(&mut self) {
        let Link::Following { epoch, echo_nanos } = self.link else { return };
        let Some(log) = &self.log else { return };
        let (received, durable) = (log.end.position, log.durable);
        self.send(Message::Ack(Ack { epoch, received, durable, echo_nanos }));
    }

    /// The promise of a node that is to lead. What it has is from then on all there is: its log is complete.
    fn keep_for(&mut self, epoch: Epoch) {
        self.keep(Kept { promised: epoch, complete: true });
    }

    fn keep(&mut self, kept: Kept) {
        self.keeping = Some(kept);
        self.actions.push_back(Action::Keep(kept));
    }

    fn send(&mut self, message: Message<'static>) {
        self.actions.push_back(Action::Send(message));
    }

    fn refuse(&mut self, reason: Reason, text: String) {
        let refused = Refused { reason, promised: self.promised(), text: Cow::Owned(text) };
        self.send(Message::Refused(refused));
        self.close();
    }

    fn close(&mut self) {
        self.actions.push_back(Action::Close);
        self.forget_link();
    }

    fn forget_link(&mut self) {
        self.link = Link::Down;
        (self.preparing, self.comparing) = (None, None);
    }
}

/// The epoch of a message from a primary; `None` for a message that has none or does not come from one.
const fn epoch_of(message: &Message<'_>) -> Option<Epoch> {
    match message {
        Message::Welcome(welcome) => Some(welcome.epoch),
        Message::Batch(batch) => Some(batch.epoch),
        Message::SnapshotPiece(piece) => Some(piece.epoch),
        Message::Heartbeat(heartbeat) => Some(heartbeat.epoch),
        Message::Prepare { epoch } => Some(*epoch),
        Message::Compare(compare) => Some(compare.epoch),
        Message::HandOver(switch) => Some(switch.epoch),
        Message::Hello(_)
        | Message::Ack(_)
        | Message::Ready { .. }
        | Message::Compared { .. }
        | Message::Taken { .. }
        | Message::Refused(_) => None,
    }
}

#[cfg(test)]
mod tests;
