//! From a numbered report to its session's bytes.

use std::collections::VecDeque;

use domain::{Nanos, Report, ReportKind, SessionId, UserName};
use journal::Position;
use wire::{fix::report, ouch, soup};

use crate::{
    connection::{Close, Connection, Stage},
    fix::Session,
    limits::GatewayStats,
    venue::Instruments,
};

/// What reports name by number.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) instruments: &'a Instruments,
    /// Of each session, by its index: whose it is.
    pub(crate) users: &'a [UserName],
}

impl Named<'_> {
    fn user(&self, session: SessionId) -> UserName {
        self.users.get(session.0 as usize).copied().unwrap_or_default()
    }
}

/// Where a numbered report goes once it is in the log: to its session's connection, if that has all before it.
pub(crate) struct Deliver<'a> {
    pub(crate) named: Named<'a>,
    pub(crate) connections: &'a mut [Option<Connection>],
    pub(crate) by_session: &'a [Option<usize>],
    pub(crate) dirty: &'a mut Vec<usize>,
    pub(crate) catching_up: &'a mut VecDeque<usize>,
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
        if let Some(link) = &mut connection.fix {
            // What its client must have first is read from the log in its turn, and this behind it.
            if link.is_current(cursor, report.number)
                && let Some(machine) = &mut link.session
            {
                let number = report.number - link.out_base;
                let out = connection.outbox.buffer();
                if encode_fix(report, self.named, machine, number, None, out).is_err() {
                    self.catching_up.push_back(token);
                    return position;
                }
                connection.stage = Stage::LoggedIn { session, cursor: cursor + 1 };
                connection.mark_dirty(token, self.dirty);
            }
            return position;
        }
        if cursor != report.number {
            return position; // the client is behind, and reads this from the log in its turn
        }
        if encode(report, self.named.instruments, connection.outbox.buffer()).is_err() {
            self.catching_up.push_back(token); // it will fail there again, and the connection is closed with the reason
            return position;
        }
        connection.stage = Stage::LoggedIn { session, cursor: cursor + 1 };
        connection.mark_dirty(token, self.dirty);
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

/// Appends a report as its FIX client gets it, under the number of its message. `again`: it may have been sent before, and is
/// sent again at this time.
#[inline]
pub(crate) fn encode_fix(
    report: &Report,
    named: Named<'_>,
    session: &mut Session,
    number: u64,
    again: Option<Nanos>,
    out: &mut Vec<u8>,
) -> Result<(), Close> {
    let instrument = report.instrument.and_then(|id| named.instruments.get(id));
    let start = out.len();
    let mut encoded = Ok(());
    let trade_id = session.dictionary().trade_id;
    let msg_type = match &report.kind {
        ReportKind::Refused(refused) => report::refused_type(refused),
        _ => b"8",
    };
    let body = |message: &mut wire::fix::MessageWriter<'_>| match &report.kind {
        ReportKind::Order(order) => {
            encoded = report::order_report(report, order, instrument, (false, trade_id), message);
        }
        ReportKind::Refused(refused) => report::refused(report, refused, message),
        ReportKind::Copy(copy) => {
            let of = named.user(copy.of);
            encoded = report::order_copy(report, copy, &of, instrument, trade_id, message);
        }
        _ => encoded = Err(report::EncodeError::Amount),
    };
    match again {
        Some(now) => session.resend(msg_type, (number, report.nanos), now, out, body),
        None => session.send_as(msg_type, number, report.nanos, out, body),
    }
    encoded.map_err(|error| {
        out.truncate(start);
        Close::Internal(format!("message {number} of session {}: {error}", report.session))
    })
}
