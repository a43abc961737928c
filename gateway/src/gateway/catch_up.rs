//! Clients that are behind: what they missed, or want again, is read from the log, a few messages in each turn.
//!
//! However many they are and however much they miss, a turn reads so many messages for all of them, and whoever had some is the
//! last in the next one. So what others wait for it is bounded by what a turn does, and is the same for one client and for all.

use std::time::Instant;

use journal::Position;

use super::Gateway;
use crate::{
    connection::{Close, Stage},
    egress::encode,
    venue::Venue,
};

/// Messages that one turn reads from the log, and gives as answers.
pub(super) const MESSAGES_MAX: usize = 8;
/// Unsent bytes from which on a client that is behind is given nothing more.
pub(super) const RESEND_MAX: usize = 64 * 1024;

/// What a client that is behind has been given in a turn.
pub(super) struct Given {
    /// Messages of the log that were looked at for it.
    pub(super) messages: usize,
    /// It has all.
    pub(super) is_all: bool,
}

impl Gateway {
    /// Gives clients that are behind what they missed, in bounded pieces. Says whether any was given something and misses more.
    pub(super) fn catch_up<V: Venue>(&mut self, venue: &mut V, gate: Position) -> bool {
        if self.catching_up.is_empty() {
            return false;
        }
        let may = self.pace.may(Instant::now(), MESSAGES_MAX);
        let (mut left, mut goes_on) = (may, false);
        for _ in 0..self.catching_up.len() {
            if left == 0 {
                break; // the others are first in the next turn
            }
            let Some(token) = self.catching_up.pop_front() else { break };
            let is_fix = self.connections[token].as_ref().is_some_and(|connection| connection.fix.is_some());
            let given = if is_fix {
                self.resend_fix(token, left, venue, gate)
            } else {
                self.resend(token, left, venue, gate)
            };
            match given {
                Ok(given) => {
                    left = left.saturating_sub(given.messages);
                    if !given.is_all {
                        goes_on |= given.messages > 0;
                        self.catching_up.push_back(token);
                    }
                }
                Err(reason) => self.close(token, &reason),
            }
        }
        self.pace.gave(may - left);
        goes_on
    }

    /// Gives a client so many of the messages that it misses, or fewer.
    fn resend<V: Venue>(
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
        let start = connection.outbox.buffer().len();
        let mut messages = 0;
        while cursor < session.next_number() && messages < messages_max {
            if connection.outbox.unsent() + connection.outbox.buffer().len() - start >= RESEND_MAX {
                break;
            }
            let Some(position) = session.position_of(cursor).filter(|position| *position < gate) else {
                break;
            };
            let report = venue
                .logged(position)
                .map_err(|error| Close::Internal(format!("message {cursor} of session {id}: {error}")))?;
            encode(&report, &self.instruments, connection.outbox.buffer())?;
            cursor += 1;
            messages += 1;
        }
        connection.stage = Stage::LoggedIn { session: id, cursor };
        let is_all = cursor == session.next_number();
        if messages > 0 {
            // All of it is below the gate.
            connection.outbox.mark(gate);
            self.mark_dirty(token);
        }
        Ok(Given { messages, is_all })
    }
}
