//! What the gateway needs of the exchange behind it.

use std::collections::HashMap;

use domain::{Command, Instrument, InstrumentId, Nanos, OrderId, Report, Sequenced, Symbol};
use journal::{Position, ReadError};

/// The exchange, as the gateway sees it: a place that sequences commands, keeps reports, and says what may be sent.
pub trait Venue {
    /// Whether a command for this book (or for none) and the reports that it may cause find room now. While it says
    /// no, the gateway leaves the request in its connection's buffer and reads no more from there.
    fn has_room(&mut self, instrument: Option<InstrumentId>) -> bool;

    /// Whether all books that this command is for take it now, and the journal has room.
    fn accepts(&mut self, command: &Command) -> bool;

    /// How many commands for this book have been sequenced and not executed yet; never too few.
    fn outstanding(&mut self, instrument: InstrumentId) -> u64;

    /// Lets books begin with what has been sequenced, ahead of the turn's end.
    fn publish(&mut self);

    /// Whether new orders are taken; when not, only what makes the book smaller is.
    fn takes_orders(&self) -> bool;

    /// The id that the book's next order gets.
    fn next_order(&self, instrument: InstrumentId) -> OrderId;

    /// Gives a command its place and its time, journals it and hands it to its book.
    fn sequence(&mut self, command: Command) -> Sequenced<Command>;

    /// Keeps a report in the session log.
    fn log(&mut self, report: &Report) -> Position;

    /// Reads a report back from the session log.
    ///
    /// # Errors
    /// When the log cannot be read there.
    fn logged(&mut self, position: Position) -> Result<Report, ReadError>;

    /// The first position that the log still has: what was said before it cannot be said again.
    fn oldest(&self) -> Position;

    /// What lies below this in the log may be sent: it has reached what the ack policy asks.
    fn gate(&self) -> Position;

    /// The time, in sequenced time.
    fn now(&mut self) -> Nanos;
}

/// The instruments, by index and by name.
#[derive(Clone, Debug, Default)]
pub struct Instruments {
    list: Vec<Instrument>,
    by_symbol: HashMap<Symbol, InstrumentId>,
}

impl Instruments {
    /// No instrument yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    ///
    /// # Panics
    /// When its index is not the next one or its name is taken: both are checked before an instrument is defined.
    pub fn define(&mut self, instrument: Instrument) {
        assert_eq!(instrument.id.0 as usize, self.list.len(), "instruments are defined in turn");
        let before = self.by_symbol.insert(instrument.symbol, instrument.id);
        assert_eq!(before, None, "{} is defined once", instrument.symbol);
        self.list.push(instrument);
    }

    /// One instrument.
    #[inline]
    #[must_use]
    pub fn get(&self, id: InstrumentId) -> Option<&Instrument> {
        self.list.get(id.0 as usize)
    }

    /// The instrument of this name.
    #[inline]
    #[must_use]
    pub fn find(&self, symbol: Symbol) -> Option<&Instrument> {
        self.get(*self.by_symbol.get(&symbol)?)
    }

    /// All of them, by index.
    #[must_use]
    pub fn as_slice(&self) -> &[Instrument] {
        &self.list
    }
}
