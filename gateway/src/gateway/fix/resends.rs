//! What a client misses: what it wants again, and behind that what has been said meanwhile, in bounded pieces.

use domain::ReportKind;
use journal::Position;

use crate::{
    connection::{Close, Stage},
    egress::{Named, encode_fix},
    gateway::{
        Gateway,
        catch_up::{Given, RESEND_MAX},
    },
    venue::Venue,
};

impl Gateway {
    /// The client wants these messages again, by their numbers.
    pub(super) fn send_again<V: Venue>(&mut self, token: usize, first: u64, last: u64, venue: &V) {
        let Some(connection) = self.connections[token].as_mut() else { return };
        let Stage::LoggedIn { cursor, .. } = connection.stage else { return };
        let Some(link) = connection.fix.as_mut() else { return };
        let base = link.out_base;
        if link.wants_again(base + first, base + last, cursor, venue.oldest()) {
            self.catch_up_later(token);
        }
    }

    /// What a client misses is given in the turns to come.
    fn catch_up_later(&mut self, token: usize) {
        if !self.catching_up.contains(&token) {
            self.catching_up.push_back(token);
        }
    }

    /// Goes on with what a client misses: what it wants again, then what has been said meanwhile. Looks at so many messages of
    /// the log, or fewer.
    pub(in crate::gateway) fn resend_fix<V: Venue>(
        &mut self,
        token: usize,
        messages_max: usize,
        venue: &mut V,
        gate: Position,
    ) -> Result<Given, Close> {
        let nothing = Given { messages: 0, is_all: true };
        let Some(connection) = self.connections[token].as_mut() else { return Ok(nothing) };
        let Stage::LoggedIn { session: id, mut cursor } = connection.stage else { return Ok(nothing) };
        let Some(session) = self.sessions.get(id) else { return Ok(nothing) };
        let Some(link) = connection.fix.as_mut() else { return Ok(nothing) };
        let (base, now) = (link.out_base, venue.now());
        let named = Named { instruments: &self.instruments, users: &self.names };
        let start = connection.outbox.buffer().len();
        let unsent = connection.outbox.len();
        let out = connection.outbox.buffer();
        let (mut stopped, mut messages) = (false, 0);
        while messages < messages_max && unsent + out.len() - start < RESEND_MAX {
            let number = match &link.resend {
                Some(resend) if resend.next > resend.last => {
                    let gap = resend.gap;
                    let next = resend.next;
                    link.resend = None;
                    if let (Some(gap), Some(machine)) = (gap, link.session.as_mut()) {
                        machine.fill_gap(gap - base, next - base, now, out);
                    }
                    continue;
                }
                Some(resend) => resend.next,
                None => cursor,
            };
            if number >= session.next_number() {
                break;
            }
            if link.resend.is_none()
                && let Some(held) = link.take_held(number)
            {
                out.extend_from_slice(&held.bytes);
                cursor += held.count;
                continue;
            }
            let position = session.position_of(number).unwrap_or(Position(0));
            if position >= gate {
                stopped = true;
                break;
            }
            messages += 1;
            // What the log has let go of cannot be said again.
            let report =
                if link.resend.as_ref().is_some_and(|resend| position < resend.oldest) {
                    None
                } else {
                    let report = venue.logged(position);
                    Some(report.map_err(|error| {
                        Close::Internal(format!("message {number} of session {id}: {error}"))
                    })?)
                };
            let report = report.filter(|report| !matches!(report.kind, ReportKind::Said(_)));
            let Some(machine) = link.session.as_mut() else { break };
            match (&mut link.resend, report) {
                (Some(resend), Some(report)) => {
                    if let Some(gap) = resend.gap.take() {
                        machine.fill_gap(gap - base, number - base, now, out);
                    }
                    encode_fix(&report, named, machine, number - base, Some(now), out)?;
                    resend.next += 1;
                }
                (Some(resend), None) => {
                    resend.gap.get_or_insert(number);
                    resend.next += 1;
                }
                (None, Some(report)) => {
                    encode_fix(&report, named, machine, number - base, None, out)?;
                    cursor += 1;
                }
                (None, None) => {
                    machine.pass_over(number - base, number - base + 1, now, out);
                    cursor += 1;
                }
            }
        }
        let wrote = out.len() > start;
        let done = link.resend.is_none() && cursor == session.next_number() && !stopped;
        connection.stage = Stage::LoggedIn { session: id, cursor };
        if wrote {
            self.mark_dirty(token);
        }
        Ok(Given { messages, is_all: done })
    }
}
