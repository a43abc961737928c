//! An independent replay: a journal's commands through the naive books of `engine::reference`.

use std::path::Path;

use domain::{
    ClientRef, Command, EnterSpecial, EventKind, Events, Instrument, InstrumentId, Owner, ReduceKind,
    ReplaceSpecial, Report, ReportKind, Sequence, Sequenced, SessionId, Side,
};
use engine::{
    book::BookView,
    hash::{EventHash, StateHash, book_hash},
    reference::ReferenceBook,
};
use journal::Reader;
use wire::ouch::encode_report;

use crate::client::Said;

/// A report that must be, or is: by whom it is caused, whom it is for, and which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Caused {
    pub(crate) sequence: Sequence,
    pub(crate) instrument: Option<InstrumentId>,
    pub(crate) index: u32,
    pub(crate) session: SessionId,
    pub(crate) client_ref: ClientRef,
    /// As on the wire.
    pub(crate) letter: char,
}

/// What a journal holds, and what follows from it.
#[derive(Default)]
pub(crate) struct Reference {
    books: Vec<ReferenceBook>,
    events: Vec<EventHash>,
    pub(crate) instruments: Vec<Instrument>,
    /// Commands in the journal.
    pub(crate) commands: u64,
    pub(crate) sequence: Sequence,
    /// The orders that were asked for: Enter and Replace commands, in sequence.
    pub(crate) asked: Vec<Owner>,
    /// The reports that the commands cause, in their order.
    pub(crate) caused: Vec<Caused>,
    /// The reports of the journal that something has caused, in their order.
    pub(crate) reported: Vec<Caused>,
    /// By session: its reports as its client is told.
    pub(crate) told: Vec<Vec<Said>>,
}

impl Reference {
    /// Reads a whole journal, of an exchange that runs, was stopped or was killed.
    pub(crate) fn of(data: &Path) -> Self {
        let mut reference = Self::default();
        let reader = Reader::open(data).expect("a journal");
        for record in reader.records() {
            let record = record.expect("a whole journal");
            if record.kind.is_command() {
                reference.apply(&record.command().expect("a command"));
            } else if record.kind.is_report() {
                reference.report(&record.report().expect("a report"));
            }
        }
        reference
    }

    /// The hash of what all books hold.
    pub(crate) fn state(&self) -> String {
        self.books.iter().map(book_hash).fold(StateHash::default(), StateHash::combine).to_string()
    }

    /// The orders of a side that are shown, in priority, as market data has them: number, price in ten-thousandths, units.
    pub(crate) fn shown(&self, instrument: usize, side: Side) -> Vec<(u64, u32, u32)> {
        let Instrument { tick, lot, .. } = self.instruments[instrument];
        let mut all = Vec::new();
        self.books[instrument].visit(side, |order| {
            let shown = order.special.map_or(order.leaves, |special| special.shown).lots() as u32;
            // What a client could not have asked for has no price that fits.
            if shown > 0 && order.price.ticks() > 0 {
                all.push((order.order.0, order.price.ticks() as u32 * tick, shown * lot));
            }
        });
        all
    }

    /// Orders that rest, in all books.
    pub(crate) fn resting(&self) -> u64 {
        self.books.iter().map(|book| book.header().resting).sum()
    }

    /// The hash of what all books have said.
    pub(crate) fn events(&self) -> String {
        self.events.iter().copied().fold(EventHash::default(), EventHash::combine).to_string()
    }

    fn apply(&mut self, command: &Sequenced<Command>) {
        assert_eq!(command.sequence, self.sequence.next(), "commands are numbered without a gap");
        self.sequence = command.sequence;
        self.commands += 1;
        match command.command {
            Command::DefineInstrument(instrument) => {
                assert_eq!(instrument.id.0 as usize, self.instruments.len());
                self.instruments.push(instrument);
                self.books.push(ReferenceBook::new(instrument.id));
                self.events.push(EventHash::default());
            }
            Command::DefineSession(definition) => {
                assert_eq!(definition.session.0 as usize, self.told.len());
                self.told.push(Vec::new());
                self.cause(command, None, 0, definition.session, ClientRef(0), 'S');
            }
            Command::Rejected(rejected) => {
                self.cause(command, None, 0, rejected.session, rejected.client_ref, 'J');
            }
            Command::Enter(enter) | Command::EnterSpecial(EnterSpecial { enter, .. }) => {
                self.asked.push(enter.owner);
            }
            Command::Replace(replace) | Command::ReplaceSpecial(ReplaceSpecial { replace, .. }) => {
                self.asked.push(replace.owner);
            }
            Command::Cancel(_)
            | Command::Reduce(_)
            | Command::EndOfDay
            | Command::MassCancel(_)
            | Command::Advance(_)
            | Command::EpochStart(_)
            | Command::FixRequest(_)
            | Command::DropCopy(_) => {}
        }
        if let Some(instrument) = command.command.instrument() {
            self.run(instrument.0 as usize, command);
        } else if command.command.is_market_wide() {
            for book in 0..self.books.len() {
                self.run(book, command);
            }
        }
    }

    fn run(&mut self, book: usize, command: &Sequenced<Command>) {
        let mut events = Events::new();
        self.books[book].apply(command, &mut events);
        for event in events.as_slice() {
            self.events[book].update(event);
            let mut said = |owner: Owner, letter| {
                self.caused.push(Caused {
                    sequence: event.sequence,
                    instrument: Some(event.instrument),
                    index: event.index,
                    session: owner.session,
                    client_ref: owner.client_ref,
                    letter,
                });
            };
            match event.kind {
                EventKind::Accepted { owner, .. } => said(owner, 'A'),
                EventKind::Rejected { owner, .. } => said(owner, 'J'),
                EventKind::Traded { maker_owner, taker_owner, .. } => {
                    said(maker_owner, 'E');
                    said(taker_owner, 'E');
                }
                EventKind::Canceled { owner, .. } => said(owner, 'C'),
                EventKind::Reduced { owner, kind: ReduceKind::Cancel, .. } => said(owner, 'C'),
                EventKind::Reduced { owner, kind: ReduceKind::Modify { .. }, .. } => said(owner, 'M'),
                EventKind::Replaced { owner, .. } => said(owner, 'U'),
                EventKind::Decremented { owner, .. } => said(owner, 'D'),
                EventKind::Triggered { owner, .. }
                | EventKind::Refreshed { owner, .. }
                | EventKind::Restated { owner, .. } => said(owner, 'R'),
                EventKind::MassCanceled { owner, .. } => said(owner, 'L'),
                // OUCH does not speak of these.
                EventKind::ReplaceRejected { .. }
                | EventKind::CancelRejected { .. }
                | EventKind::Paused { .. } => {}
            }
        }
    }

    fn cause(
        &mut self,
        command: &Sequenced<Command>,
        instrument: Option<InstrumentId>,
        index: u32,
        session: SessionId,
        client_ref: ClientRef,
        letter: char,
    ) {
        let sequence = command.sequence;
        self.caused.push(Caused { sequence, instrument, index, session, client_ref, letter });
    }

    fn report(&mut self, report: &Report) {
        let instrument = report.instrument.map(|id| &self.instruments[id.0 as usize]);
        let mut bytes = Vec::new();
        encode_report(report, instrument, &mut bytes).expect("what OUCH can say");
        self.told[report.session.0 as usize].push(Said { number: report.number, bytes });
        let (client_ref, letter) = match report.kind {
            ReportKind::System(_) => (ClientRef(0), 'S'),
            ReportKind::Accepted { client_ref, .. } => (client_ref, 'A'),
            ReportKind::Replaced { client_ref, .. } => (client_ref, 'U'),
            ReportKind::Canceled { client_ref, .. } => (client_ref, 'C'),
            ReportKind::Executed { client_ref, .. } => (client_ref, 'E'),
            ReportKind::Rejected { client_ref, .. } => (client_ref, 'J'),
            ReportKind::Modified { client_ref, .. } => (client_ref, 'M'),
            ReportKind::Restated { client_ref, .. }
            | ReportKind::Refreshed { client_ref, .. }
            | ReportKind::Triggered { client_ref, .. } => (client_ref, 'R'),
            ReportKind::Decremented { client_ref, .. } => (client_ref, 'D'),
            ReportKind::CancelRejected { client_ref, .. } => (client_ref, 'I'),
            ReportKind::MassCanceled { client_ref, .. } => (client_ref, 'L'),
            // No command causes it.
            ReportKind::AccountQuery { .. }
            | ReportKind::Order(_)
            | ReportKind::Copy(_)
            | ReportKind::Refused(_)
            | ReportKind::Said(_) => return,
        };
        let Report { sequence, instrument, index, session, .. } = *report;
        self.reported.push(Caused { sequence, instrument, index, session, client_ref, letter });
    }
}
