//! Following a log: what books cause, held against what the log says.
//!
//! Whoever follows a log (a recovery, a standby, whoever makes a snapshot) runs its commands, and reads in the same log
//! which reports the exchange that wrote it has numbered. For each book both come in the same order, and either may be
//! ahead: the log, while a command waits for its book, and the book, while its report has not been read yet or was
//! never written. So each book has a line of reports that wait for the other side. What meets must be equal: a report
//! in the log that is not what the books here say of the same event means that the two exchanges are not the same.
//! What the books are ahead by in the end is *owed*: it was caused and never numbered, hence never sent.

use std::collections::VecDeque;

use domain::{InstrumentId, Refused, Report, ReportKind};

/// What waits for the other side, of one book. At most one of the two holds anything.
#[derive(Debug, Default)]
struct Line {
    /// Caused by the book, not in the log yet.
    owed: VecDeque<Report>,
    /// In the log, not caused by the book yet.
    ahead: VecDeque<Report>,
}

/// The lines of all books, and of what no book causes.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// First the answers without a book, then by instrument.
    lines: Vec<Line>,
    /// The first difference between the log and the books.
    differs: Option<Box<Differs>>,
}

/// A report in the log that is not what the books say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differs {
    /// In the log.
    pub logged: Report,
    /// Caused here, and not numbered.
    pub caused: Report,
}

impl Following {
    fn line(&mut self, instrument: Option<InstrumentId>) -> &mut Line {
        let at = instrument.map_or(0, |id| id.0 as usize + 1);
        if at >= self.lines.len() {
            self.lines.resize_with(at + 1, Line::default);
        }
        &mut self.lines[at]
    }

    /// The log has this report.
    pub(super) fn logged(&mut self, report: &Report) -> Result<(), Box<Differs>> {
        let line = self.line(report.instrument);
        match line.owed.pop_front() {
            Some(caused) => self.meet(report, &caused),
            None => line.ahead.push_back(*report),
        }
        self.check()
    }

    /// The books have caused this report.
    pub(super) fn caused(&mut self, report: &Report) {
        let line = self.line(report.instrument);
        match line.ahead.pop_front() {
            Some(logged) => self.meet(&logged, report),
            None => line.owed.push_back(*report),
        }
    }

    fn meet(&mut self, logged: &Report, caused: &Report) {
        if comparable(logged) != comparable(caused) {
            self.differs.get_or_insert_with(|| Box::new(Differs { logged: *logged, caused: *caused }));
        }
    }

    /// Whether the log and the books agree so far.
    pub(super) fn check(&self) -> Result<(), Box<Differs>> {
        self.differs.clone().map_or(Ok(()), Err)
    }

    /// A report in the log that no book has caused.
    pub(super) fn ahead(&self) -> Option<&Report> {
        self.lines.iter().find_map(|line| line.ahead.front())
    }

    /// What is owed, book by book, each in its order.
    pub(super) fn owed(&self) -> impl Iterator<Item = &Report> {
        self.lines.iter().flat_map(|line| &line.owed)
    }
}

/// What must be equal: all but the number, and what of a report depends on when its writer heard of what.
fn comparable(report: &Report) -> Report {
    let kind = match report.kind {
        ReportKind::Refused(refused) => {
            ReportKind::Refused(Refused { request: refused.request.without_status(), ..refused })
        }
        kind => kind,
    };
    Report { number: 0, kind, ..*report }
}
