//! The sequencer: gives each command its place and its time, journals it, and hands it to its book.
//!
//! It runs inline on the front thread. Per command: (1) the gateway has asked for room, so nothing below can fail;
//! (2) sequence and time are given; (3) the record goes into the journal's tail; (4) the command goes into its
//! shard's ring. [`Sequencer::commit`] closes the batch once a turn.

use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cluster::gate::{Gate, Local, Mode, Policy};
use domain::{Command, Epoch, Event, InstrumentId, Nanos, OrderId, Report, Sequence, Sequenced};
use feed::Tap;
use gateway::Venue;
use journal::{Appender, Position, ReadError, StorageState};

use crate::{books::Books, replication::replica::Replica};

/// Bytes of the log that a turn keeps free beyond a command: the reports that books may say before the front looks
/// again are refused no room. One event causes at most two reports, and no record is longer than 176 bytes.
const ROOM_MIN: u64 = 4 * 1024;

/// Books that are told of the time in one turn; the others have theirs in the next.
const ADVANCES_MAX: usize = 64;

/// The sequencer, the journal's writing end and the books' front end.
pub(crate) struct Sequencer {
    pub(crate) books: Books,
    appender: Appender,
    gate: Cell<Gate>,
    /// The standby, where there may be one.
    replica: Option<Arc<Replica>>,
    /// Only what makes books smaller is taken: this node has just taken over.
    pub(crate) cancel_only: bool,
    /// The time, as far as it has come.
    last_nanos: Nanos,
    /// Commands given a place since the start, those of the recovery excepted.
    pub(crate) sequenced: u64,
    /// Something has been appended since the last commit.
    appended: bool,
    /// Market data, where it is published.
    feed: Option<Box<Tap>>,
}

impl Sequencer {
    /// Goes on behind what the books have been told, which is all that the journal has.
    pub(crate) fn new(books: Books, appender: Appender, policy: Policy) -> Self {
        let last_nanos = books.last_nanos();
        Self {
            books,
            appender,
            gate: Cell::new(Gate::new(policy)),
            replica: None,
            cancel_only: false,
            last_nanos,
            sequenced: 0,
            appended: false,
            feed: None,
        }
    }

    /// What books say is published from here on.
    pub(crate) fn publish_through(&mut self, tap: Tap) {
        self.feed = Some(Box::new(tap));
    }

    /// A standby gets what is committed from here on.
    pub(crate) fn replicate(&mut self, replica: Arc<Replica>) {
        self.appender.show_batches(replica.feed());
        self.replica = Some(replica);
    }

    /// Begins an epoch in the journal. Gives the position of its first record.
    pub(crate) fn begin_epoch(&mut self, epoch: Epoch) -> Position {
        if epoch > self.appender.epoch() {
            self.appender.begin_epoch(epoch);
        }
        self.place(Command::EpochStart(epoch)).1
    }

    /// Gives a command its place, its time and its record, and hands it to its book.
    #[inline]
    fn place(&mut self, command: Command) -> (Sequenced<Command>, Position) {
        let sequence = self.books.last_sequence().next();
        let sequenced = Sequenced { sequence, nanos: self.now(), command };
        let position = self.appender.append_command(&sequenced).expect("room was asked for");
        self.appended = true;
        self.books.route(&sequenced);
        if let Some(feed) = &mut self.feed {
            feed.on_command(&sequenced);
        }
        self.sequenced += 1;
        (sequenced, position)
    }

    /// Tells books of the time that need to know it: an expiry has come, or they paused. Returns how many.
    #[inline]
    pub(crate) fn advance_due(&mut self) -> usize {
        if self.books.never_due() { 0 } else { self.advance() }
    }

    fn advance(&mut self) -> usize {
        let now = self.now();
        let mut told = 0;
        for instrument in self.books.due(now, ADVANCES_MAX) {
            if self.has_room(Some(instrument)) {
                self.sequence(Command::Advance(instrument));
                told += 1;
            }
        }
        told
    }

    /// How long it is until a book needs to be told of the time; `None` when none does.
    pub(crate) fn due_in(&mut self) -> Option<Duration> {
        if self.books.never_due() {
            return None;
        }
        let now = self.now();
        self.books.due_in(now)
    }

    /// Whether the log has room for the reports of an event, and the feed for the event.
    #[inline]
    pub(crate) fn has_room_for_events(&mut self) -> bool {
        self.appender.room() >= ROOM_MIN / 2 && self.feed.as_ref().is_none_or(|feed| feed.has_room())
    }

    /// The turn has ended, with the log committed up to `committed`: what it brought may be published when that is safe.
    #[inline]
    pub(crate) fn end_turn(&mut self, committed: Position) {
        if self.feed.is_some() {
            self.end_published_turn(committed);
        }
    }

    fn end_published_turn(&mut self, committed: Position) {
        let gate = self.gate();
        let runtime = &self.books.runtime;
        if let Some(feed) = &mut self.feed {
            feed.turn(committed, gate, !runtime.has_events(), || runtime.is_quiescent());
        }
    }

    /// Whether market data waits for the gate.
    pub(crate) fn feed_is_gated(&self) -> bool {
        self.feed.as_ref().is_some_and(|feed| feed.is_gated())
    }

    /// Turns in which events waited for room in the feed; `None` without one.
    pub(crate) fn held_back_by_feed(&self) -> Option<u64> {
        self.feed.as_ref().map(|feed| feed.held_back())
    }

    /// Closes the batch: what has been appended becomes visible to the disk thread and, by the ack policy, sendable.
    pub(crate) fn commit(&mut self) -> Position {
        if !self.appended {
            return self.appender.committed();
        }
        self.appended = false;
        self.appender.commit()
    }

    /// Takes events from the shards while there is room for their reports.
    pub(crate) fn drain(
        &mut self,
        max: usize,
        mut take: impl FnMut(&Event, &mut dyn FnMut(&Report) -> Position),
    ) -> usize {
        let Self { books, appender, appended, feed, .. } = self;
        if appender.room() < ROOM_MIN / 2 {
            return 0;
        }
        if let Some(feed) = feed
            && !feed.has_room()
        {
            feed.hold_back();
            return 0;
        }
        books.drain(max, |event| {
            if let Some(feed) = feed {
                feed.on_event(event);
            }
            take(event, &mut |report| {
                *appended = true;
                append_report(appender, report)
            });
            appender.room() >= ROOM_MIN / 2
        })
    }

    /// Whether the log is as safe as asked up to its end.
    pub(crate) fn is_safe(&self) -> bool {
        !self.appended && self.gate() >= self.appender.committed()
    }

    /// Whether something has been appended and not committed.
    pub(crate) const fn is_open(&self) -> bool {
        self.appended
    }

    pub(crate) fn storage(&self) -> StorageState {
        self.appender.state()
    }

    pub(crate) fn appender(&self) -> &Appender {
        &self.appender
    }

    pub(crate) const fn last_sequence(&self) -> Sequence {
        self.books.last_sequence()
    }

    /// The parts, when the front is done with them.
    pub(crate) fn into_parts(self) -> (Books, Appender) {
        (self.books, self.appender)
    }
}

impl Venue for Sequencer {
    #[inline]
    fn has_room(&mut self, instrument: Option<InstrumentId>) -> bool {
        self.appender.room() >= ROOM_MIN
            && instrument.is_none_or(|instrument| self.books.runtime.accepts(instrument))
    }

    fn accepts(&mut self, command: &Command) -> bool {
        self.appender.room() >= ROOM_MIN && self.books.runtime.accepts_command(command)
    }

    #[inline]
    fn outstanding(&mut self, instrument: InstrumentId) -> u64 {
        self.books.runtime.outstanding(instrument)
    }

    fn publish(&mut self) {
        self.books.runtime.publish();
    }

    #[inline]
    fn takes_orders(&self) -> bool {
        self.appender.state() == StorageState::Ok && !self.cancel_only
    }

    #[inline]
    fn next_order(&self, instrument: InstrumentId) -> OrderId {
        self.books.next_order(instrument)
    }

    #[inline]
    fn sequence(&mut self, command: Command) -> Sequenced<Command> {
        self.place(command).0
    }

    #[inline]
    fn log(&mut self, report: &Report) -> Position {
        self.appended = true;
        append_report(&mut self.appender, report)
    }

    fn logged(&mut self, position: Position) -> Result<Report, ReadError> {
        self.appender.read_report(position)
    }

    fn oldest(&self) -> Position {
        // Read anew: retention works beside the exchange, and logins that ask for the past are few.
        journal::first_position(&self.appender.dir()).unwrap_or(Position(0))
    }

    #[inline]
    fn gate(&self) -> Position {
        let mut gate = self.gate.get();
        let local = Local { committed: self.appender.committed(), durable: self.appender.durable() };
        let released = match &self.replica {
            None => gate.advance(local, None, Mode::Alone),
            // A node that has been told of a higher epoch says nothing more.
            Some(replica) if replica.deposed() != 0 => gate.released(),
            Some(replica) => {
                let (remote, mode) = (replica.remote(), replica.mode());
                if replica.may_ack() {
                    gate.advance(local, remote, mode);
                    replica.set_released(gate.released());
                }
                gate.released()
            }
        };
        self.gate.set(gate);
        released
    }

    #[inline]
    fn now(&mut self) -> Nanos {
        // A clock that was set back stands still here until it has caught up.
        self.last_nanos = self.last_nanos.max(wall_clock());
        self.last_nanos
    }
}

/// What the system's clock says.
#[inline]
pub(crate) fn wall_clock() -> Nanos {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    // 2^64 ns reach the year 2554.
    Nanos(u64::try_from(since_epoch).unwrap_or(u64::MAX))
}

#[inline]
fn append_report(appender: &mut Appender, report: &Report) -> Position {
    appender.append_report(report).expect("room was asked for")
}
