//! The sequencer: gives each command its place and its time, journals it, and hands it to its book.
//!
//! It runs inline on the front thread. Per command: (1) the gateway has asked for room, so nothing below can fail;
//! (2) sequence and time are given; (3) the record goes into the journal's tail; (4) the command goes into its
//! shard's ring. [`Sequencer::commit`] closes the batch once a turn.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::{
    Command, EnterSpecial, Event, InstrumentId, Nanos, OrderId, ReplaceSpecial, Report, Sequence, Sequenced,
};
use engine::runtime::Runtime;
use gateway::Venue;
use journal::{AckPolicy, Appender, Position, ReadError, StorageState};

use crate::{agenda::Agenda, snapshot::MarketWide};

/// Bytes of the log that a turn keeps free beyond a command: the reports that books may say before the front looks
/// again are refused no room. One event causes at most two reports, and no record is longer than 160 bytes.
const ROOM_MIN: u64 = 4 * 1024;

/// Books that are told of the time in one turn; the others have theirs in the next.
const ADVANCES_MAX: usize = 64;

/// Where a sequencer goes on.
pub(crate) struct Past {
    /// The last command in the journal.
    pub(crate) last_sequence: Sequence,
    pub(crate) last_nanos: Nanos,
    /// By instrument index: where the book stands from which the journal is read on.
    pub(crate) lines: Vec<Line>,
    /// What all books have been told where they stand.
    pub(crate) market_wide: MarketWide,
    /// What is due in them.
    pub(crate) agenda: Agenda,
}

/// What has been sequenced for one book.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// The number that its next order gets.
    pub(crate) next_order: u64,
    /// Its last command, market-wide ones perhaps not counted.
    pub(crate) last_sequence: Sequence,
    /// That command's time; 0 when it is not known, for what came before a snapshot.
    pub(crate) last_nanos: Nanos,
}

/// The sequencer, the journal's writing end and the books' front end.
pub(crate) struct Sequencer {
    pub(crate) runtime: Runtime,
    appender: Appender,
    ack: AckPolicy,
    last_sequence: Sequence,
    last_nanos: Nanos,
    /// By instrument index.
    lines: Vec<Line>,
    market_wide: MarketWide,
    /// Time of the last market-wide command since the start.
    market_wide_nanos: Nanos,
    agenda: Agenda,
    /// Commands given a place since the start, those of the recovery excepted.
    pub(crate) sequenced: u64,
    /// Something has been appended since the last commit.
    appended: bool,
}

impl Sequencer {
    pub(crate) fn new(runtime: Runtime, appender: Appender, ack: AckPolicy, past: Past) -> Self {
        let Past { last_sequence, last_nanos, lines, market_wide, agenda } = past;
        Self {
            runtime,
            appender,
            ack,
            last_sequence,
            last_nanos,
            lines,
            market_wide,
            market_wide_nanos: Nanos(0),
            agenda,
            sequenced: 0,
            appended: false,
        }
    }

    /// Hands a command that the journal already holds to its book.
    pub(crate) fn replay(&mut self, command: &Sequenced<Command>) {
        self.count(command);
        self.runtime.route(command);
    }

    /// Tells books of the time that need to know it: an expiry has come, or they paused. Returns how many.
    #[inline]
    pub(crate) fn advance_due(&mut self) -> usize {
        if self.agenda.is_empty() { 0 } else { self.advance() }
    }

    fn advance(&mut self) -> usize {
        let now = self.now();
        let Self { agenda, lines, market_wide_nanos, .. } = self;
        agenda.look(now, |id| lines[id.0 as usize].last_nanos.max(*market_wide_nanos));
        let ready: Vec<_> = self.agenda.ready().take(ADVANCES_MAX).collect();
        let mut told = 0;
        for instrument in ready {
            if self.has_room(Some(instrument)) {
                self.sequence(Command::Advance(instrument));
                told += 1;
            }
        }
        told
    }

    /// How long it is until a book needs to be told of the time; `None` when none does.
    pub(crate) fn due_in(&mut self) -> Option<Duration> {
        let next = self.agenda.next()?;
        Some(Duration::from_nanos(next.0.saturating_sub(self.now().0)))
    }

    /// Whether books need to be told of the time now, for whom there was no room or no turn.
    pub(crate) fn has_due(&self) -> bool {
        self.agenda.ready().next().is_some()
    }

    /// How many instruments there are.
    pub(crate) fn instruments(&self) -> usize {
        self.lines.len()
    }

    /// Whether the log has room for the reports of an event.
    #[inline]
    pub(crate) fn log_has_room(&mut self) -> bool {
        self.appender.room() >= ROOM_MIN / 2
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
        let Self { runtime, appender, appended, agenda, lines, market_wide, .. } = self;
        if appender.room() < ROOM_MIN / 2 {
            return 0;
        }
        runtime.drain(max, |event| {
            agenda.on_event(event, || {
                let line = &lines[event.instrument.0 as usize];
                event.sequence >= line.last_sequence.max(market_wide.last)
            });
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

    pub(crate) fn storage(&self) -> StorageState {
        self.appender.state()
    }

    pub(crate) fn appender(&self) -> &Appender {
        &self.appender
    }

    pub(crate) const fn last_sequence(&self) -> Sequence {
        self.last_sequence
    }

    pub(crate) const fn market_wide(&self) -> MarketWide {
        self.market_wide
    }

    /// The parts, when the front is done with them.
    pub(crate) fn into_parts(self) -> (Runtime, Appender) {
        (self.runtime, self.appender)
    }

    #[inline]
    fn count(&mut self, sequenced: &Sequenced<Command>) {
        let Sequenced { sequence, nanos, ref command } = *sequenced;
        self.agenda.on_command(command);
        let order = match command {
            Command::Enter(enter) | Command::EnterSpecial(EnterSpecial { enter, .. }) => Some(enter.order),
            Command::Replace(replace) | Command::ReplaceSpecial(ReplaceSpecial { replace, .. }) => {
                Some(replace.new_order)
            }
            _ => None,
        };
        if let Some(instrument) = command.instrument() {
            let line = &mut self.lines[instrument.0 as usize];
            line.last_sequence = sequence;
            line.last_nanos = nanos;
            if let Some(order) = order {
                assert!(order.instrument() == instrument, "a replacement in another instrument");
                assert_eq!(order.number(), line.next_order, "order numbers are given in turn");
                line.next_order += 1;
            }
        } else if command.is_market_wide() {
            self.market_wide = MarketWide { commands: self.market_wide.commands + 1, last: sequence };
            self.market_wide_nanos = nanos;
        }
    }
}

impl Venue for Sequencer {
    #[inline]
    fn has_room(&mut self, instrument: Option<InstrumentId>) -> bool {
        self.appender.room() >= ROOM_MIN
            && instrument.is_none_or(|instrument| self.runtime.accepts(instrument))
    }

    #[inline]
    fn outstanding(&mut self, instrument: InstrumentId) -> u64 {
        self.runtime.outstanding(instrument)
    }

    fn publish(&mut self) {
        self.runtime.publish();
    }

    #[inline]
    fn takes_orders(&self) -> bool {
        self.appender.state() == StorageState::Ok
    }

    #[inline]
    fn next_order(&self, instrument: InstrumentId) -> OrderId {
        OrderId::new(instrument, self.lines[instrument.0 as usize].next_order)
    }

    #[inline]
    fn sequence(&mut self, command: Command) -> Sequenced<Command> {
        self.last_sequence = self.last_sequence.next();
        let sequenced = Sequenced { sequence: self.last_sequence, nanos: self.now(), command };
        self.count(&sequenced);
        self.appender.append_command(&sequenced).expect("room was asked for");
        self.appended = true;
        self.runtime.route(&sequenced);
        self.sequenced += 1;
        sequenced
    }

    #[inline]
    fn log(&mut self, report: &Report) -> Position {
        self.appended = true;
        append_report(&mut self.appender, report)
    }

    fn logged(&mut self, position: Position) -> Result<Report, ReadError> {
        self.appender.read_report(position)
    }

    #[inline]
    fn gate(&self) -> Position {
        match self.ack {
            AckPolicy::Memory => self.appender.committed(),
            AckPolicy::Disk => self.appender.durable(),
        }
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
