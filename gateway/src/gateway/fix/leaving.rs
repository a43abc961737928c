//! What time brings to a session, and how it ends: silence, goodbyes, a new day.

use std::time::Instant;

use domain::{Nanos, Numbering, SessionId};

use crate::{connection::Close, gateway::Gateway, sessions::Session, venue::Venue};

impl Gateway {
    /// What time brings to a session.
    pub(in crate::gateway) fn tick_fix<V: Venue>(&mut self, token: usize, venue: &mut V) {
        let instant = Instant::now();
        let Some(connection) = self.connections[token].as_mut() else { return };
        let Some(link) = connection.fix.as_mut() else { return };
        if let Some((_, until)) = &link.closing {
            if *until <= instant
                && let Some((reason, _)) = link.closing.take()
            {
                self.close(token, &reason);
            }
            return;
        }
        if !self.accepting || !venue.has_room(None) {
            return;
        }
        let (id, now) = (self.session_of(token), venue.now());
        let next = id.map(|id| self.next_message(id));
        let mut out = std::mem::take(&mut self.fix_out);
        out.clear();
        if let Some(session) = self.session_mut(token) {
            if let Some(next) = next {
                session.go_on_at(next);
            }
            let before = session.next().1;
            let ticked = session.tick(now, &mut out);
            let (next_in, next_out) = session.next();
            let said = (next_out - before, Numbering::GoesOn);
            if let Err(reason) = self.heard(token, ticked.map(|()| None), said, next_in, &out, venue) {
                self.close(token, &reason);
            }
        }
        self.fix_out = out;
    }

    /// The numbers of every FIX session begin anew that began before this time, a session or more in each turn. Who is there is
    /// logged out. Says whether there is any.
    pub fn roll_over(&mut self, before: Nanos) -> bool {
        let is_due = |session: &Session| session.fix().is_some_and(|fix| fix.numbered_at() < before);
        let any = self.sessions.iter().any(|(_, session)| is_due(session));
        if any {
            self.rolling_over = Some((SessionId(0), before));
        }
        any
    }

    /// Goes on with a roll-over. Says whether anything was done.
    pub(in crate::gateway) fn go_on_rolling<V: Venue>(&mut self, venue: &mut V) -> bool {
        let Some((SessionId(first), before)) = self.rolling_over else { return false };
        for id in first.. {
            let Some(session) = self.sessions.get(SessionId(id)) else {
                self.rolling_over = None;
                return true;
            };
            if session.fix().is_none_or(|fix| fix.numbered_at() >= before) {
                continue;
            }
            if !venue.has_room(None) {
                self.rolling_over = Some((SessionId(id), before));
                return id > first;
            }
            let id = SessionId(id);
            if let Some(token) = self.by_session[id.0 as usize] {
                self.leave(token, "the numbers begin anew: log on again", venue);
                self.close_behind(token, Close::Logout);
            }
            let now = venue.now();
            self.sessions.fix_said(id, (Numbering::RollsOver, 1), now, |report| venue.log(report));
        }
        true
    }

    /// Says goodbye to everybody who speaks FIX, and why. What they answer is not waited for.
    pub fn say_goodbye<V: Venue>(&mut self, text: &str, venue: &mut V) {
        for token in 0..self.connections.len() {
            self.leave(token, text, venue);
        }
    }

    fn leave<V: Venue>(&mut self, token: usize, text: &str, venue: &mut V) {
        let Some(id) = self.session_of(token) else { return };
        let (now, next) = (venue.now(), self.next_message(id));
        let mut out = std::mem::take(&mut self.fix_out);
        out.clear();
        if venue.has_room(None)
            && let Some(session) = self.session_mut(token)
        {
            session.go_on_at(next);
            session.leave(text, now, &mut out);
            let said = session.next().1 - next;
            self.say(token, id, (said, Numbering::GoesOn, 1), &out, venue);
        }
        self.fix_out = out;
    }

    /// Connections whose last word has gone out.
    pub(in crate::gateway) fn said_all(&self, token: usize) -> bool {
        self.connections[token].as_ref().is_some_and(|connection| {
            connection.outbox.is_empty() && connection.fix.as_ref().is_some_and(|link| link.closing.is_some())
        })
    }

    pub(in crate::gateway) fn take_closing(&mut self, token: usize) -> Option<Close> {
        let link = self.connections[token].as_mut()?.fix.as_mut()?;
        link.closing.take().map(|(reason, _)| reason)
    }
}
