//! The books' front end: what has been sequenced for each, where its commands go, and what comes back.
//!
//! Whoever has commands in their order holds one: the sequencer, which gives them their order, and a follower, which
//! reads it in a log.

use std::{sync::Arc, time::Duration};

use domain::{
    Command, EnterSpecial, Event, Instrument, InstrumentId, Nanos, OrderId, ReplaceSpecial, Sequence,
    Sequenced,
};
use engine::{
    book::Book,
    runtime::{Runtime, RuntimeConfig, Wake},
};

use crate::{agenda::Agenda, snapshot::MarketWide, wake::FrontWake};

/// Says how the books of these instruments are run.
pub(crate) type HowToRun = dyn Fn(&[Instrument]) -> Result<RuntimeConfig, String> + Send + Sync;

/// What has been sequenced for one book.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// The number that its next order gets.
    next_order: u64,
    /// Its last command, market-wide ones perhaps not counted.
    last_sequence: Sequence,
    /// That command's time; 0 when it is not known, for what came before a snapshot.
    last_nanos: Nanos,
}

impl Line {
    fn of(book: &Book) -> Self {
        Self {
            next_order: book.next_order_number(),
            last_sequence: book.last_sequence(),
            last_nanos: Nanos(0),
        }
    }
}

/// See the module.
pub(crate) struct Books {
    pub(crate) runtime: Runtime,
    /// By instrument index.
    lines: Vec<Line>,
    /// What all books have been told.
    market_wide: MarketWide,
    /// Time of the last market-wide command since the start.
    market_wide_nanos: Nanos,
    /// What is due in them.
    agenda: Agenda,
    last_sequence: Sequence,
    last_nanos: Nanos,
}

impl Books {
    /// Books that go on, by instrument index, behind the command `last_sequence`.
    pub(crate) fn resume(
        how: &RuntimeConfig,
        wake: &Arc<FrontWake>,
        books: Vec<Book>,
        market_wide: MarketWide,
        (last_sequence, last_nanos): (Sequence, Nanos),
    ) -> Result<Self, String> {
        let lines = books.iter().map(Line::of).collect();
        let agenda = Agenda::of(&books);
        let runtime = start(how, wake, books)?;
        Ok(Self {
            runtime,
            lines,
            market_wide,
            market_wide_nanos: Nanos(0),
            agenda,
            last_sequence,
            last_nanos,
        })
    }

    /// The same with more books: those of `how` that are not there yet begin as if they had been told what all have
    /// been told. Nothing may be under way.
    pub(crate) fn grown(
        self,
        how: &RuntimeConfig,
        wake: &Arc<FrontWake>,
        count: usize,
    ) -> Result<Self, String> {
        let Self { runtime, mut lines, market_wide, .. } = self;
        debug_assert!(runtime.is_quiescent());
        let mut books = runtime.finish();
        for instrument in (books.len()..count).map(|index| InstrumentId(index as u32)) {
            let book = market_wide.book(instrument)?;
            lines.push(Line::of(&book));
            books.push(book);
        }
        Ok(Self { runtime: start(how, wake, books)?, lines, ..self })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Counts a command that has its place, and hands it to its book, or to all, or to none.
    #[inline]
    pub(crate) fn route(&mut self, command: &Sequenced<Command>) {
        self.count(command);
        self.runtime.route(command);
    }

    #[inline]
    fn count(&mut self, sequenced: &Sequenced<Command>) {
        let Sequenced { sequence, nanos, ref command } = *sequenced;
        self.last_sequence = sequence;
        self.last_nanos = nanos;
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

    /// Takes up to `max` events, each book's in its order, until `take` says that it has enough. Returns how many.
    pub(crate) fn drain(&mut self, max: usize, mut take: impl FnMut(&Event) -> bool) -> usize {
        let Self { runtime, agenda, lines, market_wide, .. } = self;
        runtime.drain(max, |event| {
            agenda.on_event(event, || {
                let line = &lines[event.instrument.0 as usize];
                event.sequence >= line.last_sequence.max(market_wide.last)
            });
            take(event)
        })
    }

    /// The last command that has been counted.
    pub(crate) const fn last_sequence(&self) -> Sequence {
        self.last_sequence
    }

    /// Its time.
    pub(crate) const fn last_nanos(&self) -> Nanos {
        self.last_nanos
    }

    /// What all books have been told.
    pub(crate) const fn market_wide(&self) -> MarketWide {
        self.market_wide
    }

    /// The id that the book's next order gets.
    #[inline]
    pub(crate) fn next_order(&self, instrument: InstrumentId) -> OrderId {
        OrderId::new(instrument, self.lines[instrument.0 as usize].next_order)
    }

    /// Whether no book will ever need to be told of the time.
    #[inline]
    pub(crate) fn never_due(&self) -> bool {
        self.agenda.is_empty()
    }

    /// The books that need to be told of the time now, so many at most.
    pub(crate) fn due(&mut self, now: Nanos, max: usize) -> Vec<InstrumentId> {
        let Self { agenda, lines, market_wide_nanos, .. } = self;
        agenda.look(now, |id| lines[id.0 as usize].last_nanos.max(*market_wide_nanos));
        agenda.ready().take(max).collect()
    }

    /// How long it is from `now` until a book needs to be told of the time; `None` when none does.
    pub(crate) fn due_in(&self, now: Nanos) -> Option<Duration> {
        Some(Duration::from_nanos(self.agenda.next()?.0.saturating_sub(now.0)))
    }

    /// Whether books need to be told of the time now, for whom there was no room or no turn.
    pub(crate) fn has_due(&self) -> bool {
        self.agenda.ready().next().is_some()
    }
}

fn start(how: &RuntimeConfig, wake: &Arc<FrontWake>, books: Vec<Book>) -> Result<Runtime, String> {
    let wake: Arc<dyn Wake> = Arc::clone(wake) as Arc<dyn Wake>;
    Runtime::resume(how, &wake, books).map_err(|error| error.to_string())
}
