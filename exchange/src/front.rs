//! The front: the one thread that polls sockets, sequences, journals, drains events and sends reports.
//!
//! One turn: poll → tell books of the time that are due → receive (decode, check, sequence, route) → let books run →
//! drain events (number, log, encode) → commit the log → send what the gate lets through. Nothing in a turn waits for
//! anything but the poll, and the poll waits no longer than until a book is due. Each turn also lets the runtime look at
//! how the load is spread, and leaves what balancing did for the main thread.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::Sender;
use domain::{Command, Nanos, Sequence};
use engine::{
    balance::BalanceEvent,
    hash::StateHash,
    runtime::{Backoff, BalanceStats, BookState, Idle, Step},
};
use gateway::{Gateway, Venue};
use journal::StorageState;
use log::{error, info, warn};

use crate::{
    balance_events::{Stamped, is_steal},
    clock,
    day::{DayEnd, RollOver},
    replication::replica::Replica,
    sequencer::{Sequencer, wall_clock},
    snapshot::{self, State},
    status::Counters,
    wake::FrontWake,
};

/// Events taken from one shard before the next shard's turn.
const DRAIN_MAX: usize = 1_024;
/// The longest sleep while a shard has something to do: one that makes no progress is noticed within 100 ms.
const WATCHFUL: Duration = Duration::from_millis(10);
/// The shortest wait that the system's poll knows.
const POLL_MIN: Duration = Duration::from_millis(1);
/// How long a stopping exchange waits for clients to take their last reports.
const FAREWELL: Duration = Duration::from_secs(2);

/// What other threads ask of the front.
#[derive(Default)]
pub(crate) struct Requests {
    /// Finish what is under way, and end.
    pub(crate) stop: Arc<AtomicBool>,
    /// Hand the counters over.
    pub(crate) status_wanted: AtomicBool,
    /// Hand steals over too.
    pub(crate) steals_wanted: AtomicBool,
    /// Tell FIX clients that the exchange stops in so many seconds; 0 when they have been told, or need not be.
    pub(crate) stop_news: Arc<AtomicU32>,
}

/// Where the front leaves what others want to know. It never waits there.
pub(crate) struct Outside {
    /// Answers to [`Requests::status_wanted`]; has room for one.
    pub(crate) counters: Sender<Counters>,
    pub(crate) events: Sender<Stamped>,
    /// Events that found no room.
    pub(crate) events_lost: u64,
}

impl Outside {
    /// Leaves an event for the main thread, a steal only when steals are wanted.
    fn leave(&mut self, event: &BalanceEvent, steals_wanted: bool, at: impl FnOnce() -> Nanos) {
        if steals_wanted || !is_steal(event) {
            let left = self.events.try_send(Stamped { at: at(), event: *event });
            self.events_lost += u64::from(left.is_err());
        }
    }
}

/// How the front ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The hash of every book, by instrument.
    pub(crate) books: Vec<BookState>,
    pub(crate) last_sequence: Sequence,
    pub(crate) sequenced: u64,
    /// How often a home changed, and a book was stolen.
    pub(crate) moves: u64,
    pub(crate) steals: u64,
    /// The epoch of the node that leads now, when this one gave up for that.
    pub(crate) deposed: Option<u32>,
}

impl Ended {
    /// The hash of all books.
    pub(crate) fn state(&self) -> StateHash {
        combined(self.books.iter().map(|book| book.state))
    }
}

/// The hash of all books.
pub(crate) fn combined(books: impl IntoIterator<Item = StateHash>) -> StateHash {
    books.into_iter().fold(StateHash::default(), StateHash::combine)
}

/// Whether input is taken. For a planned switch it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Taken,
    /// For this switch no more is taken; what had been taken is on its way.
    Stopping(u32),
    /// It has been said where the journal ends: nothing is sequenced behind it.
    Stopped(u32),
}

/// The front thread's state.
pub(crate) struct Front {
    pub(crate) gateway: Gateway,
    pub(crate) sequencer: Sequencer,
    pub(crate) wake: Arc<FrontWake>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) idle: Idle,
    /// More threads than cores.
    pub(crate) shared_cores: bool,
    pub(crate) day_end: Option<DayEnd>,
    /// When the numbers of FIX sessions begin anew, each day.
    pub(crate) roll_over: Option<RollOver>,
    pub(crate) outside: Outside,
    /// The standby, in a pair.
    pub(crate) replica: Option<Arc<Replica>>,
    /// Until when only cancels are taken: this node has just taken over.
    pub(crate) cancel_only_until: Option<Instant>,
    pub(crate) input: Input,
    /// What the feed counts, where there is one.
    pub(crate) feed_stats: Option<Arc<feed::Stats>>,
    /// What those count who are told of it by FIX, if any are.
    pub(crate) quote_stats: Option<Arc<quotes::Stats>>,
}

impl Front {
    /// Runs until it is asked to stop, and ends cleanly: what was sequenced is executed, reported and safe.
    ///
    /// # Errors
    /// When the journal fails, which is final, or the system's poll does.
    pub(crate) fn run(mut self) -> Result<Ended, String> {
        let mut backoff = Backoff::new(self.idle, self.shared_cores);
        let mut stopping = None;
        let mut cancel_only = false;
        loop {
            let worked = self.turn()?;
            if let Some(epoch) =
                self.replica.as_ref().map(|replica| replica.deposed()).filter(|epoch| *epoch != 0)
            {
                return Ok(self.give_up(epoch));
            }
            self.stop_input();
            if self.cancel_only_until.is_some_and(|until| Instant::now() >= until) {
                self.cancel_only_until = None;
                self.sequencer.cancel_only = false;
                warn!("new orders are taken from now on");
            }
            match self.sequencer.storage() {
                StorageState::Failed => {
                    let failure = self.sequencer.appender().failure().map(|failure| failure.to_string());
                    return Err(format!("journal: {}", failure.unwrap_or_default()));
                }
                state => {
                    let now = state == StorageState::CancelOnly;
                    if now != cancel_only {
                        cancel_only = now;
                        if now {
                            warn!("the disk is short of room: new orders are refused, cancels are taken");
                        } else {
                            warn!("the disk has room again: new orders are taken");
                        }
                    }
                }
            }
            if self.requests.status_wanted.swap(false, Ordering::Relaxed) {
                self.hand_over(cancel_only);
            }
            if self.requests.stop.load(Ordering::Acquire) {
                let since = *stopping.get_or_insert_with(|| {
                    self.gateway.say_goodbye("the exchange stops", &mut self.sequencer);
                    self.gateway.stop_receiving();
                    Instant::now()
                });
                let sent = !self.gateway.is_gated() && !self.gateway.has_work();
                // What has been read is answered: it goes on, or it has waited too long.
                if !self.gateway.is_holding()
                    && self.sequencer.books.runtime.is_quiescent()
                    && self.sequencer.is_safe()
                    && (sent || since.elapsed() > FAREWELL)
                {
                    return self.end();
                }
            }
            if worked {
                backoff.reset();
            }
            if self.must_look_again() {
                // Something is under way in a shard, on the disk or in a buffer that found no room.
                if worked {
                    self.poll(Some(Duration::ZERO))?;
                } else if backoff.snooze() == Step::Sleep {
                    if self.must_refuse_soon() {
                        std::thread::yield_now();
                        self.poll(Some(Duration::ZERO))?;
                    } else {
                        self.sleep()?;
                    }
                } else if self.idle == Idle::Spin {
                    self.poll(Some(Duration::ZERO))?;
                }
            } else if self.idle == Idle::Spin {
                backoff.snooze();
                self.poll(Some(Duration::ZERO))?;
            } else {
                self.sleep()?;
            }
        }
    }

    /// For a switch: takes no more input, and says where what had been taken ends, once all of it is committed. Or takes
    /// input again, when the switch is off.
    fn stop_input(&mut self) {
        let Some(replica) = &self.replica else { return };
        match (replica.wants_input_stopped(), self.input) {
            (None, Input::Taken) => {}
            (Some(switch), Input::Stopped(known)) if known == switch => {}
            // The one before may have been called off a moment ago.
            (Some(switch), _) => {
                self.input = Input::Stopping(switch);
                replica.input_is_taken(false);
                self.gateway.stop_receiving();
                if !self.gateway.is_holding()
                    && self.sequencer.books.runtime.is_quiescent()
                    && !self.sequencer.is_open()
                {
                    self.input = Input::Stopped(switch);
                    let books = self.sequencer.books.runtime.hashes();
                    let state = combined(books.iter().map(|book| book.state));
                    replica.input_stopped(switch, self.sequencer.appender().mark(), state);
                }
            }
            (None, Input::Stopping(_) | Input::Stopped(_)) => {
                self.input = Input::Taken;
                self.gateway.receive_again();
                replica.input_is_taken(true);
            }
        }
    }

    /// Whether it has been said where the journal ends.
    fn is_at_its_end(&self) -> bool {
        matches!(self.input, Input::Stopped(_))
    }

    /// Whether the replica waits for something that this thread has to do.
    fn is_called(&self) -> bool {
        let Some(replica) = &self.replica else { return false };
        let is_as_wanted = match (replica.wants_input_stopped(), self.input) {
            (None, input) => input == Input::Taken,
            (Some(switch), input) => input == Input::Stopped(switch),
        };
        !is_as_wanted || replica.deposed() != 0
    }

    /// Another node leads: nothing more is said to anyone, not even that the session ends, for it goes on there. The
    /// journal is left as it is, and nothing is added to its end, which the other one may not have.
    fn give_up(self, epoch: u32) -> Ended {
        Ended {
            books: Vec::new(),
            last_sequence: self.sequencer.last_sequence(),
            sequenced: self.sequencer.sequenced,
            moves: 0,
            steals: 0,
            deposed: Some(epoch),
        }
    }

    /// Everything but waiting. Says whether anything was done.
    fn turn(&mut self) -> Result<bool, String> {
        let is_at_its_end = self.is_at_its_end();
        if let Some(day_end) = &mut self.day_end
            && !is_at_its_end
        {
            let now = self.sequencer.now();
            if self.sequencer.has_room(None)
                && self.sequencer.books.runtime.accepts_command(&Command::EndOfDay)
                && day_end.is_due(now)
            {
                self.sequencer.sequence(Command::EndOfDay);
            }
        }
        if let Some(roll_over) = &mut self.roll_over
            && !is_at_its_end
        {
            let now = self.sequencer.now();
            if let Some(seconds) = roll_over.news_due(now) {
                let text = format!("numbers begin anew in {seconds} s: log on again then, with number 1");
                self.gateway.say_news("roll-over", &text);
            }
            if roll_over.due(now).is_some_and(|before| self.gateway.roll_over(before)) {
                info!("the numbers of FIX sessions begin anew");
            }
        }
        if self.requests.stop_news.load(Ordering::Relaxed) != 0 {
            let seconds = self.requests.stop_news.swap(0, Ordering::Relaxed);
            info!("told to stop: it stops in {seconds} s");
            self.gateway.say_news("the exchange stops", &format!("the exchange stops in {seconds} s"));
        }
        self.balance();
        let mut worked = !is_at_its_end && self.sequencer.advance_due() > 0;
        worked |= self.gateway.receive(&mut self.sequencer);
        self.sequencer.books.runtime.publish();
        worked |= self.drain() > 0;
        let committed = self.sequencer.commit();
        worked |= self.gateway.send(&mut self.sequencer, committed);
        self.sequencer.end_turn(committed);
        Ok(worked)
    }

    /// Lets the runtime balance, and passes on what it has done.
    fn balance(&mut self) {
        let Self { sequencer, outside, requests, .. } = self;
        sequencer.books.runtime.tick(clock::monotonic_nanos());
        let mut at = None;
        sequencer.books.runtime.take_balance_events(|event| {
            let wanted = requests.steals_wanted.load(Ordering::Relaxed);
            outside.leave(event, wanted, || *at.get_or_insert_with(wall_clock));
        });
    }

    fn drain(&mut self) -> usize {
        let Self { gateway, sequencer, .. } = self;
        sequencer.drain(DRAIN_MAX, |event, log| gateway.on_event(event, log))
    }

    /// Whether reports or market data wait for the log to get safer.
    fn is_gated(&self) -> bool {
        self.gateway.is_gated() || self.sequencer.feed_is_gated()
    }

    fn must_look_again(&self) -> bool {
        self.gateway.has_work()
            || self.gateway.is_holding()
            || self.is_gated()
            || self.sequencer.books.runtime.has_events()
            || !self.sequencer.books.runtime.is_quiescent()
            || self.sequencer.books.has_due()
    }

    /// Whether an order waits that must be refused before a sleep would end: the system's poll counts milliseconds.
    fn must_refuse_soon(&mut self) -> bool {
        let Some(deadline) = self.gateway.deadline() else { return false };
        // Without room in the log for the refusal, only the disk can help.
        self.sequencer.has_room(None)
            && u128::from(deadline.0.saturating_sub(self.sequencer.now().0)) < POLL_MIN.as_nanos()
    }

    fn poll(&mut self, timeout: Option<Duration>) -> Result<(), String> {
        self.gateway.poll(timeout).map_err(|error| {
            error!("poll: {error}");
            format!("polling sockets: {error}")
        })
    }

    /// Sleeps until a socket, a shard, the disk or a request needs the front.
    fn sleep(&mut self) -> Result<(), String> {
        let gate = self.sequencer.gate();
        let stalled = self.gateway.has_work()
            || self.gateway.is_holding()
            || (self.sequencer.books.runtime.has_events() && !self.sequencer.has_room_for_events());
        self.wake.announce(self.is_gated() || stalled);
        let must_not = (self.sequencer.books.runtime.has_events() && self.sequencer.has_room_for_events())
            || self.sequencer.gate() != gate
            || self.is_called()
            || self.requests.stop.load(Ordering::Acquire)
            || self.requests.status_wanted.load(Ordering::Relaxed);
        let timeout = if must_not {
            Duration::ZERO
        } else if stalled {
            // A full ring or window is emptied by its shard, a full tail by the disk thread; only the latter calls.
            POLL_MIN
        } else {
            // What is due and found no room is tried again soon.
            let due = self.sequencer.due_in().map_or(Duration::MAX, |due| due.max(POLL_MIN));
            let busy = !self.sequencer.books.runtime.is_quiescent() || self.cancel_only_until.is_some();
            let watchful = if busy { WATCHFUL } else { Duration::from_secs(1) };
            self.gateway.patience().min(watchful).min(due)
        };
        let result = self.poll(Some(timeout));
        self.wake.retract();
        result
    }

    fn hand_over(&self, cancel_only: bool) {
        let log = self.sequencer.appender().stats();
        let balance = self.sequencer.books.runtime.balance_stats();
        let counters = Counters {
            at: Instant::now(),
            sequenced: self.sequencer.sequenced,
            last_sequence: self.sequencer.last_sequence(),
            gateway: self.gateway.stats(),
            shards: self.sequencer.books.runtime.stats(),
            events_lost: self.outside.events_lost + balance.events_lost,
            balance,
            unsynced: log.behind,
            syncs: log.syncs,
            sync_nanos_max: log.sync_nanos_max,
            cancel_only,
            pair: self.replica.as_ref().map(|replica| replica.status()),
            feed: self.feed_stats.as_ref().map(|stats| stats.read()),
            quotes: self.quote_stats.as_ref().map(|stats| stats.read()),
            feed_held_back: self.sequencer.held_back_by_feed().unwrap_or_default(),
        };
        // No room: the last answer came too late to be taken, and whoever asks next clears it away.
        let _ = self.outside.counters.try_send(counters);
    }

    fn end(mut self) -> Result<Ended, String> {
        self.gateway.shut_down(&self.sequencer);
        // The log has become as safe as asked since the last turn.
        let committed = self.sequencer.appender().committed();
        self.sequencer.end_turn(committed);
        let last_sequence = self.sequencer.last_sequence();
        let sequenced = self.sequencer.sequenced;
        let (books, appender) = self.sequencer.into_parts();
        let (market_wide, runtime) = (books.market_wide(), books.runtime);
        let BalanceStats { moves, steals, .. } = runtime.balance_stats();
        let books = runtime.hashes();
        // Before the journal closes, which gives the directory up. A snapshot that gets ahead of what the disk has of
        // the journal is refused by the next start.
        let state = State {
            market_wide,
            instruments: self.gateway.instruments(),
            books: &runtime.finish(),
            sessions: self.gateway.sessions(),
        };
        match snapshot::write(&appender, &state) {
            Ok(bytes) => info!("snapshot of {bytes} bytes at sequence {last_sequence}"),
            Err(error) => warn!("no snapshot ({error}): the next start replays more"),
        }
        appender.close().map_err(|error| format!("journal: {error}"))?;
        Ok(Ended { books, last_sequence, sequenced, moves, steals, deposed: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_find_no_room_are_counted_and_unwanted_steals_are_not() {
        use domain::{InstrumentId, ShardId};
        use engine::balance::Why;

        let (counters, _asked) = crossbeam_channel::bounded(1);
        let (events, happened) = crossbeam_channel::bounded(2);
        let mut outside = Outside { counters, events, events_lost: 0 };
        let steal = BalanceEvent::Steal {
            book: InstrumentId(0),
            home: ShardId(0),
            thief: ShardId(1),
            why: Why::Backlog,
            commands: 1,
            still_nanos: 1,
        };
        for _ in 0..10 {
            outside.leave(&steal, false, || panic!("the clock is not read for nothing"));
        }
        assert!(happened.is_empty());
        for n in 1..=5 {
            outside.leave(&steal, true, || Nanos(n));
            outside.leave(&BalanceEvent::Thawed, false, || Nanos(n));
        }
        assert_eq!(outside.events_lost, 8);
        let left: Vec<_> = happened.try_iter().map(|stamped| (stamped.at, stamped.event)).collect();
        assert_eq!(left, [(Nanos(1), steal), (Nanos(1), BalanceEvent::Thawed)]);
    }
}
