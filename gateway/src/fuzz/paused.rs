//! What stands behind a gateway under test: books that execute when they are told to, a log in memory, a clock that is set, and
//! room that is there or not. What waits, and for how long, is so the same in every run.

use std::collections::VecDeque;

use domain::{
    Command, Event, Events, Instrument, InstrumentId, Nanos, OrderBounds, OrderId, Price, Protocol, Quantity,
    Report, Sequence, Sequenced, SessionDefinition, SessionId, Symbol, UserName,
};
use journal::{Position, ReadError};

use crate::{
    sessions::Sessions,
    venue::{Instruments, Venue},
};

/// Executes a command in the book with this index, and says what the book says.
pub trait Execute: FnMut(usize, &Sequenced<Command>, &mut Events) + 'static {}

impl<F: FnMut(usize, &Sequenced<Command>, &mut Events) + 'static> Execute for F {}

/// Instruments by these symbols: ticks of 100, lots of 1.
///
/// # Panics
/// When one is none, or comes twice.
#[must_use]
pub fn instruments(symbols: &[&str]) -> Instruments {
    let mut instruments = Instruments::new();
    for (id, symbol) in (0..).map(InstrumentId).zip(symbols) {
        instruments.define(Instrument {
            id,
            symbol: Symbol::new(symbol).expect("a symbol"),
            tick: 100,
            lot: 1,
            quantity_max: Quantity(999_999),
            price_max: Price::new(19_999_999).expect("a price"),
            bounds: OrderBounds::NONE,
        });
    }
    instruments
}

/// Where the report that stands at `place` lies in the log.
fn position(place: usize) -> Position {
    Position(64 * (place as u64 + 1))
}

/// A venue that stands still until it is told to go on.
pub struct Paused {
    execute: Box<dyn Execute>,
    /// By book: sequenced and not executed.
    routed: Vec<VecDeque<Sequenced<Command>>>,
    next_order: Vec<u64>,
    /// Of each command, how many reports stand before it in the log.
    reports_before: Vec<usize>,
    /// Everything that was sequenced.
    pub commands: Vec<Sequenced<Command>>,
    /// The session log. A report has 64 bytes, from position 64 on.
    pub reports: Vec<Report>,
    /// The time.
    pub now: Nanos,
    /// Whether orders are taken.
    pub takes_orders: bool,
    /// Whether there is room for anything.
    pub has_room: bool,
    /// By book: its ring is full.
    pub full: Vec<bool>,
    /// What lies below this may be sent.
    pub gate: Position,
}

impl Paused {
    /// Books, executed by `execute`; nothing has happened yet, and the time is one second.
    #[must_use]
    pub fn new(books: usize, execute: impl Execute) -> Self {
        Self {
            execute: Box::new(execute),
            routed: vec![VecDeque::new(); books],
            next_order: vec![1; books],
            reports_before: Vec::new(),
            commands: Vec::new(),
            reports: Vec::new(),
            now: Nanos(1_000_000_000),
            takes_orders: true,
            has_room: true,
            full: vec![false; books],
            gate: Position(u64::MAX),
        }
    }

    /// Defines a session.
    pub fn define(
        &mut self,
        session: SessionId,
        user: UserName,
        protocol: Protocol,
        sessions: &mut Sessions,
    ) {
        let definition = SessionDefinition { session, user, protocol };
        sessions.define(&definition);
        let command = self.sequence(Command::DefineSession(definition));
        sessions.on_command(&command, |report| self.log(report));
    }

    /// How many commands wait in a book.
    #[must_use]
    pub fn waiting(&self, book: usize) -> usize {
        self.routed[book].len()
    }

    /// Executes up to `most` commands of a book. Gives what it said.
    pub fn execute(&mut self, book: usize, most: usize) -> Vec<Event> {
        let mut events = Events::new();
        let mut said = Vec::new();
        for _ in 0..most {
            let Some(command) = self.routed[book].pop_front() else { break };
            (self.execute)(book, &command, &mut events);
            said.extend_from_slice(events.as_slice());
            events.clear();
        }
        said
    }

    /// The process dies: what is not below the gate is lost, and with `keeps_last` not the commands that stand where it ends. What
    /// is left, in the log's order, goes to `sessions`, which are new, and through `execute`, with what the books say heard at
    /// once or, with `late`, in the end. The sessions lead then.
    ///
    /// # Panics
    /// When the log is not what the books say.
    pub fn recover(
        &mut self,
        execute: impl Execute,
        (keeps_last, late): (bool, bool),
        sessions: &mut Sessions,
    ) {
        let left = (0..self.reports.len()).take_while(|at| self.may_tell(*at)).count();
        self.reports.truncate(left);
        let is_left = |before: &&usize| **before < left || (keeps_last && **before == left);
        self.commands.truncate(self.reports_before.iter().take_while(is_left).count());
        self.reports_before.truncate(self.commands.len());
        self.execute = Box::new(execute);
        self.routed.iter_mut().for_each(VecDeque::clear);
        self.next_order.fill(1);
        sessions.follow();
        let mut logged = 0;
        for at in 0..self.commands.len() {
            let command = self.commands[at];
            self.hear_log(&mut logged, self.reports_before[at], sessions);
            if let Command::DefineSession(definition) = &command.command {
                sessions.define(definition);
            }
            sessions.on_command(&command, |_| unreachable!("who follows a log adds nothing to it"));
            self.count_order(&command.command);
            self.route(&command);
            if !late {
                self.hear_books(sessions);
            }
        }
        self.hear_log(&mut logged, left, sessions);
        self.hear_books(sessions);
        sessions.lead(|report| self.log(report)).expect("the log is what the books say");
    }

    /// The reports of the log from `logged` up to `to` go to sessions that follow.
    fn hear_log(&self, logged: &mut usize, to: usize, sessions: &mut Sessions) {
        for at in *logged..to {
            sessions.on_logged(&self.reports[at], position(at)).expect("the log is what the books say");
        }
        *logged = to;
    }

    /// All that the books have to say goes to sessions that follow.
    fn hear_books(&mut self, sessions: &mut Sessions) {
        for book in 0..self.routed.len() {
            for event in self.execute(book, usize::MAX) {
                sessions.on_event(&event, |_| unreachable!("who follows a log adds nothing to it"));
            }
        }
    }

    /// A command that makes an order uses its number up.
    fn count_order(&mut self, command: &Command) {
        let made = match command {
            Command::Enter(enter) => Some(enter.order),
            Command::EnterSpecial(special) => Some(special.enter.order),
            Command::Replace(replace) => Some(replace.new_order),
            Command::ReplaceSpecial(special) => Some(special.replace.new_order),
            _ => None,
        };
        if let Some(order) = made {
            let next = &mut self.next_order[order.instrument().0 as usize];
            assert_eq!(order.number(), *next, "a book's orders are numbered without a gap");
            *next += 1;
        }
    }

    /// Lets a command's books have it.
    fn route(&mut self, command: &Sequenced<Command>) {
        if let Some(instrument) = command.command.instrument() {
            self.routed[instrument.0 as usize].push_back(*command);
        } else if command.command.is_market_wide() {
            self.routed.iter_mut().for_each(|routed| routed.push_back(*command));
        }
    }

    /// The number of a session's last report; 0 if it has none.
    #[must_use]
    pub fn last_number(&self, session: SessionId) -> u64 {
        self.reports.iter().rfind(|report| report.session == session).map_or(0, |report| report.number)
    }

    /// Where one of a session's reports stands among all of them.
    #[must_use]
    pub fn place(&self, session: SessionId, number: u64) -> Option<usize> {
        self.reports.iter().position(|report| report.session == session && report.number == number)
    }

    /// Whether the gate lets through what stands there.
    #[must_use]
    pub fn may_tell(&self, place: usize) -> bool {
        position(place) < self.gate
    }

    /// Where the log ends.
    #[must_use]
    pub fn end(&self) -> Position {
        position(self.reports.len())
    }
}

impl Venue for Paused {
    fn has_room(&mut self, instrument: Option<InstrumentId>) -> bool {
        self.has_room && !instrument.is_some_and(|book| self.full[book.0 as usize])
    }

    fn accepts(&mut self, command: &Command) -> bool {
        self.has_room(command.instrument()) && !(command.is_market_wide() && self.full.contains(&true))
    }

    fn outstanding(&mut self, instrument: InstrumentId) -> u64 {
        self.routed[instrument.0 as usize].len() as u64
    }

    fn publish(&mut self) {}

    fn takes_orders(&self) -> bool {
        self.takes_orders
    }

    fn next_order(&self, instrument: InstrumentId) -> OrderId {
        OrderId::new(instrument, self.next_order[instrument.0 as usize])
    }

    fn sequence(&mut self, command: Command) -> Sequenced<Command> {
        assert!(self.accepts(&command), "room was asked for");
        let sequence = Sequence(self.commands.len() as u64 + 1);
        let sequenced = Sequenced { sequence, nanos: self.now, command };
        self.commands.push(sequenced);
        self.reports_before.push(self.reports.len());
        self.count_order(&command);
        self.route(&sequenced);
        sequenced
    }

    fn log(&mut self, report: &Report) -> Position {
        let position = self.end();
        self.reports.push(*report);
        position
    }

    fn logged(&mut self, position: Position) -> Result<Report, ReadError> {
        Ok(self.reports[position.0 as usize / 64 - 1])
    }

    fn oldest(&self) -> Position {
        Position(0)
    }

    fn gate(&self) -> Position {
        self.gate
    }

    fn now(&mut self) -> Nanos {
        self.now
    }
}
