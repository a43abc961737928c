//! Logins: what a client shows is looked at, perhaps by another thread, and then its session is its connection's.

use std::time::Instant;

use domain::SessionId;
use door::auth::{Answer, Attempt, Protocol, Refusal, Secret};
use log::info;
use wire::soup::{LoginAccepted, LoginRejected, LoginRequest, SessionName};

use super::Gateway;
use crate::{
    connection::{Close, SoupLogin, Stage},
    venue::Venue,
};

impl Gateway {
    /// Looks at what a client shows. `false`: there is no room to have it verified now; the login stays where it is, and the
    /// connection is parked.
    pub(super) fn log_in<V: Venue>(
        &mut self,
        token: usize,
        login: &LoginRequest,
        venue: &V,
    ) -> Result<bool, Close> {
        let Some(connection) = self.connections[token].as_mut() else { return Ok(true) };
        let attempt = Attempt {
            protocol: Protocol::Soup,
            name: &login.username.canonical(),
            secret: Secret::Password(&login.password.canonical()),
            from: connection.peer.ip(),
            token,
        };
        match self.credentials.check(&attempt, Instant::now()) {
            Answer::Accepted(id) => self.let_in(token, id, login.session, login.sequence, venue)?,
            Answer::Refused(why) => {
                let what = refused(login.username.as_str(), why);
                return Err(self.turn_away(token, LoginRejected::NotAuthorized, what, venue));
            }
            Answer::Pending(ticket) => {
                let LoginRequest { username: user, session, sequence: wanted, .. } = *login;
                let asked = Some(SoupLogin { user, session, wanted });
                connection.stage = Stage::Authenticating { ticket, asked };
            }
            Answer::Later => {
                self.park(token);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes other users, if there are some, and what has come out of logins that were being verified.
    pub(super) fn look_at_logins<V: Venue>(&mut self, venue: &V) {
        if let Some((feed, seen)) = &mut self.users
            && let Some(users) = feed.newer_than(seen)
        {
            self.copies_due = true;
            for session in self.credentials.replace(users) {
                if let Some(token) = self.by_session.get(session.0 as usize).copied().flatten() {
                    self.close(token, &Close::Disabled);
                }
            }
        }
        // While nothing is read nobody is let in; what has come out stays where it is.
        if !self.accepting {
            return;
        }
        while let Some(verdict) = self.credentials.verdict(Instant::now()) {
            self.unpark_one();
            let token = verdict.token;
            let Some(connection) = self.connections.get_mut(token).and_then(Option::as_mut) else { continue };
            let Stage::Authenticating { ticket, asked } = connection.stage else { continue };
            if ticket != verdict.ticket {
                continue; // the one that asked is gone, and another one is in its place
            }
            connection.stage = Stage::AwaitingLogin;
            let result = match (asked, verdict.outcome) {
                (Some(SoupLogin { session, wanted, .. }), Ok(id)) => {
                    self.let_in(token, id, session, wanted, venue)
                }
                (Some(SoupLogin { user, .. }), Err(why)) => {
                    let what = refused(user.as_str(), why);
                    Err(self.turn_away(token, LoginRejected::NotAuthorized, what, venue))
                }
                (None, outcome) => {
                    if let Some(link) = connection.fix.as_mut() {
                        link.verdict = Some(outcome);
                    }
                    Ok(())
                }
            };
            match result {
                Ok(()) => self.list(token),
                Err(reason) => self.close(token, &reason),
            }
        }
    }

    /// A connection's login waits where it is until one of those that are being verified is through.
    pub(super) fn park(&mut self, token: usize) {
        if let Some(connection) = self.connections[token].as_mut() {
            connection.is_parked = true;
            self.parked.push_back(token);
        }
    }

    /// Lets all go on that are parked, when nothing is being verified that would do so.
    pub(super) fn unpark(&mut self) {
        if !self.parked.is_empty() && self.credentials.stats().waiting == 0 {
            while self.unpark_one() {}
        }
    }

    /// Lets one go on that is parked. Says whether there was one.
    fn unpark_one(&mut self) -> bool {
        while let Some(token) = self.parked.pop_front() {
            // It may be gone, and another one in its place.
            let connection = self.connections.get_mut(token).and_then(Option::as_mut);
            if let Some(connection) = connection.filter(|connection| connection.is_parked) {
                connection.is_parked = false;
                self.list(token);
                return true;
            }
        }
        false
    }

    /// What came of it meanwhile is used in its turn.
    fn list(&mut self, token: usize) {
        if let Some(connection) = self.connections[token].as_mut().filter(|connection| !connection.listed) {
            connection.listed = true;
            self.to_serve.push_back(token);
        }
    }

    /// A client is who it says. It is let in, if what it asks for is there.
    fn let_in<V: Venue>(
        &mut self,
        token: usize,
        id: SessionId,
        session: SessionName,
        wanted: u64,
        venue: &V,
    ) -> Result<(), Close> {
        let what = if session.is_blank() || session == self.session_name {
            match self.gone(id, wanted, venue) {
                None => return self.open_session(token, id, wanted, Instant::now()),
                // A client that got less than it asked for could not know that there was more.
                Some(what) => what,
            }
        } else {
            format!("session {session}")
        };
        Err(self.turn_away(token, LoginRejected::SessionNotAvailable, what, venue))
    }

    /// Tells a client that it is not let in, as the last thing. Gives why, for the log.
    fn turn_away<V: Venue>(&mut self, token: usize, answer: LoginRejected, what: String, venue: &V) -> Close {
        if let Some(connection) = self.connections[token].as_mut() {
            connection.outbox.ungated(|out| answer.encode(out));
            // The peer may be gone already.
            let _ = connection.flush(venue.gate(), Instant::now());
        }
        Close::Refused(what)
    }

    /// Says so when a session's message lies in what the log has let go of.
    fn gone<V: Venue>(&self, id: SessionId, wanted: u64, venue: &V) -> Option<String> {
        let session = self.sessions.get(id)?;
        if wanted == 0 || wanted >= session.next_number() {
            return None;
        }
        let oldest = venue.oldest();
        let is_there = |number: u64| session.position_of(number).is_some_and(|position| position >= oldest);
        if is_there(wanted) {
            return None;
        }
        let first = (wanted..session.next_number()).find(|number| is_there(*number));
        Some(format!(
            "session {id} asks for message {wanted}, and the log has them from {} on",
            first.unwrap_or(session.next_number())
        ))
    }

    /// The connection becomes its session's, from message `wanted` on.
    fn open_session(&mut self, token: usize, id: SessionId, wanted: u64, now: Instant) -> Result<(), Close> {
        let Some(session) = self.sessions.get(id) else {
            return Err(Close::Internal("a user without a session".into()));
        };
        // 0 asks for what is new only; beyond the next there is nothing yet.
        let next = session.next_number();
        let cursor = if wanted == 0 { next } else { wanted.min(next) };
        let user = session.user;
        if let Some(old) = self.by_session[id.0 as usize] {
            self.close(old, &Close::Superseded);
        }
        self.by_session[id.0 as usize] = Some(token);
        self.is_present(id);
        let Some(connection) = self.connections[token].as_mut() else { return Ok(()) };
        self.lobby.logged_in(connection.place);
        connection.stage = Stage::LoggedIn { session: id, cursor };
        connection.heard = now;
        let accepted = LoginAccepted { session: self.session_name, sequence: cursor };
        connection.outbox.ungated(|out| accepted.encode(out));
        connection.mark_dirty(token, &mut self.dirty);
        if cursor < next {
            self.catching_up.push_back(token);
        }
        info!(
            "{} {}: logged in, next message {cursor} of {next}",
            connection.peer,
            user.to_string().trim_end()
        );
        Ok(())
    }
}

/// Who was refused, and why, for the log.
fn refused(user: &str, why: Refusal) -> String {
    format!("user {user}: {why}")
}
