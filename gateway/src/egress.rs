//! From a numbered report to its session's bytes.

use domain::{Report, ReportKind};
use journal::Position;
use wire::{ouch, soup};

use crate::{
    connection::{Close, Connection, Stage},
    limits::GatewayStats,
    venue::Instruments,
};

/// Where a numbered report goes once it is in the log: to its session's connection, if that has all before it.
pub(crate) struct Deliver<'a> {
    pub(crate) instruments: &'a Instruments,
    pub(crate) connections: &'a mut [Option<Connection>],
    pub(crate) by_session: &'a [Option<usize>],
    pub(crate) dirty: &'a mut Vec<usize>,
    pub(crate) catching_up: &'a mut Vec<usize>,
    pub(crate) stats: &'a mut GatewayStats,
}

impl Deliver<'_> {
    #[inline]
    pub(crate) fn report(&mut self, report: &Report, position: Position) -> Position {
        self.stats.reports += 1;
        if matches!(report.kind, ReportKind::Rejected { .. }) {
            self.stats.rejected += 1;
        }
        let token = self.by_session.get(report.session.0 as usize).copied().flatten();
        let Some(token) = token else { return position };
        let Some(connection) = self.connections[token].as_mut() else { return position };
        let Stage::LoggedIn { session, cursor } = connection.stage else { return position };
        if cursor != report.number {
            return position; // the client is behind, and reads this from the log in its turn
        }
        if encode(report, self.instruments, connection.outbox.buffer()).is_err() {
            self.catching_up.push(token); // it will fail there again, and the connection is closed with the reason
            return position;
        }
        connection.stage = Stage::LoggedIn { session, cursor: cursor + 1 };
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(token);
        }
        position
    }
}

/// Appends a report as its client gets it.
pub(crate) fn encode(report: &Report, instruments: &Instruments, out: &mut Vec<u8>) -> Result<(), Close> {
    let instrument = report.instrument.and_then(|id| instruments.get(id));
    soup::sequenced(out, |out| ouch::encode_report(report, instrument, out)).map_err(|error| {
        Close::Internal(format!("message {} of session {}: {error}", report.number, report.session))
    })
}
