//! What the front leaves for the feed's thread, and what it is told by it: only whether there is room.
//!
//! 1. The front puts events, and what commands say of orders, into a batch.
//! 2. At its turn's end it sends the batch with the position of the log that the turn was committed up to.
//! 3. The feed's thread publishes a batch once the gate, which the front shows, has passed that position.
//!
//! The front never waits here. What is on its way is bounded, in items; when there is no room the front takes no more
//! events from the books, which holds clients back like a full log ([`Tap::has_room`]).

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use domain::{Command, Event, InstrumentId, Position, Sequence, Sequenced};
use log::error;
use mio::Waker;

use crate::{market::may_be_silent, terms::Terms};

/// Items on their way, at most; a batch that is begun below that is finished. Some 60 MB.
const ITEMS_MAX: usize = 1 << 19;
/// Batches that are kept to be used again.
const BATCHES_KEPT: usize = 64;

/// What the front passes on.
#[derive(Clone, Copy, Debug)]
pub enum Item {
    /// A book said something.
    Event(Event),
    /// A command says something of an order, ahead of its events.
    Terms(Terms),
    /// A command that may cause no event.
    Silent(Option<InstrumentId>, Sequence),
}

/// What one turn of the front brought.
#[derive(Debug, Default)]
pub struct Batch {
    /// In order.
    pub items: Vec<Item>,
    /// When the log is safe up to here, all of it may be published.
    pub position: Position,
    /// No event was left in the rings.
    pub drained: bool,
    /// And no command unexecuted.
    pub quiescent: bool,
}

/// What both sides share.
#[derive(Debug, Default)]
struct Shared {
    /// Items that were sent and have not been published.
    items: AtomicUsize,
    /// What lies below this in the log may be published.
    gate: AtomicU64,
    asleep: AtomicBool,
    ended: AtomicBool,
    waker: OnceLock<Arc<Waker>>,
}

impl Shared {
    /// What was stored before this is seen by a thread that goes to sleep, or it is woken.
    fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed)
            && self.asleep.swap(false, Ordering::Relaxed)
            && let Some(waker) = self.waker.get()
            && let Err(error) = waker.wake()
        {
            error!("the feed cannot be woken: {error}");
        }
    }
}

/// The front's end.
#[derive(Debug)]
pub struct Tap {
    batch: Batch,
    to: Sender<Batch>,
    used: Receiver<Batch>,
    shared: Arc<Shared>,
    /// The gate as it was shown last.
    gate: Position,
    /// Up to where the log has what was sent.
    sent: Position,
    /// Whether the last turn left events in the rings.
    owes_turn: bool,
    /// Turns in which there was no room.
    held_back: u64,
}

/// The feed's end.
#[derive(Debug)]
pub struct Intake {
    from: Receiver<Batch>,
    used: Sender<Batch>,
    shared: Arc<Shared>,
}

/// Both ends.
#[must_use]
pub fn tap() -> (Tap, Intake) {
    // Bounded by `ITEMS_MAX`: no batch is empty but one behind one that is not.
    let (to, from) = unbounded();
    let (used, again) = bounded(BATCHES_KEPT);
    let shared = Arc::new(Shared::default());
    let tap = Tap {
        batch: Batch::default(),
        to,
        used: again,
        shared: Arc::clone(&shared),
        gate: Position(0),
        sent: Position(0),
        owes_turn: false,
        held_back: 0,
    };
    (tap, Intake { from, used, shared })
}

impl Tap {
    /// A command has got its place.
    #[inline]
    pub fn on_command(&mut self, command: &Sequenced<Command>) {
        if let Some(terms) = Terms::of(&command.command) {
            self.batch.items.push(Item::Terms(terms));
        } else if may_be_silent(&command.command) {
            self.batch.items.push(Item::Silent(command.command.instrument(), command.sequence));
        }
    }

    /// A book said something.
    #[inline]
    pub fn on_event(&mut self, event: &Event) {
        self.batch.items.push(Item::Event(*event));
    }

    /// Whether events may be taken.
    #[inline]
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.shared.items.load(Ordering::Relaxed) < ITEMS_MAX
    }

    /// Counts that events were left in the rings for want of room.
    #[cold]
    pub const fn hold_back(&mut self) {
        self.held_back += 1;
    }

    /// The front's turn has ended: what it brought is in the log up to `committed`, which is safe up to `gate`.
    pub fn turn(
        &mut self,
        committed: Position,
        gate: Position,
        drained: bool,
        quiescent: impl FnOnce() -> bool,
    ) {
        let has_items = !self.batch.items.is_empty();
        let mut wake = false;
        if has_items || (self.owes_turn && drained) {
            self.owes_turn = !drained || !quiescent();
            self.batch.position = committed;
            self.batch.drained = drained;
            self.batch.quiescent = !self.owes_turn;
            self.shared.items.fetch_add(self.batch.items.len(), Ordering::Relaxed);
            let next = self.used.try_recv().unwrap_or_default();
            // The other end is gone when its thread has died, which ends the process.
            let _ = self.to.send(core::mem::replace(&mut self.batch, next));
            self.sent = committed;
            wake = gate >= committed;
        }
        if gate > self.gate {
            self.gate = gate;
            self.shared.gate.store(gate.0, Ordering::Release);
            wake = true;
        }
        if wake {
            self.shared.wake();
        }
    }

    /// Whether something that was sent waits for the gate.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        self.sent > self.gate
    }

    /// Turns in which events were left in the rings, because the feed had no room.
    #[must_use]
    pub const fn held_back(&self) -> u64 {
        self.held_back
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.shared.wake();
    }
}

impl Intake {
    /// Who wakes the thread out of its poll.
    pub(crate) fn set_waker(&self, waker: Arc<Waker>) {
        // Set once: where the poll is made.
        let _ = self.shared.waker.set(waker);
    }

    /// The next batch, if there is one.
    pub(crate) fn next(&self) -> Option<Batch> {
        self.from.try_recv().ok()
    }

    /// A batch has been published: there is room for as many items.
    pub(crate) fn published(&self, mut batch: Batch) {
        self.shared.items.fetch_sub(batch.items.len(), Ordering::Relaxed);
        batch.items.clear();
        // What finds no room is given back to the system.
        let _ = self.used.try_send(batch);
    }

    /// What lies below this in the log may be published.
    pub(crate) fn gate(&self) -> Position {
        Position(self.shared.gate.load(Ordering::Acquire))
    }

    /// Whether the front has ended: nothing more comes.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }

    /// About to sleep; look for work once more after this.
    pub(crate) fn announce(&self) {
        self.shared.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Awake.
    pub(crate) fn retract(&self) {
        self.shared.asleep.store(false, Ordering::Relaxed);
    }

    /// Whether a batch is there.
    pub(crate) fn has_more(&self) -> bool {
        !self.from.is_empty()
    }
}
