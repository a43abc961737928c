//! How clients of the WebSocket feed come in: what they show is looked at, perhaps by another thread, and then they may read.

use std::time::Instant;

use domain::SessionId;
use door::auth::Verdict;
use log::info;

use super::{Web, client::Entry, text, upgrade::WebLogin};
use crate::server::{
    VERIFYING, WEB_CLIENTS,
    doors::{Checked, Doors, Login},
};

/// What is said to whom a login does not let in, whatever is wrong with it.
const REFUSED: &str = "login refused";

impl Web {
    /// Its handshake is done.
    pub(super) fn on_opened(&mut self, at: usize, doors: &mut Doors, now: Instant) {
        let Some(client) = &mut self.clients[at] else { return };
        let Entry::Outside(shown) = &mut client.entry else { return };
        if !doors.ask() {
            self.let_in(at, None);
        } else if let Some(login) = shown.take() {
            self.log_in(at, login, doors, now);
        }
    }

    fn let_in(&mut self, at: usize, session: Option<SessionId>) {
        if let Some(client) = &mut self.clients[at] {
            client.entry = Entry::In(session);
            self.entrance.lobby.logged_in(client.place);
        }
    }

    /// Looks at what a client shows.
    pub(super) fn log_in(&mut self, at: usize, login: WebLogin, doors: &mut Doors, now: Instant) {
        let Some(client) = &mut self.clients[at] else { return };
        let shown = Login {
            protocol: None,
            name: login.user.as_bytes(),
            password: login.password.0.as_bytes(),
            peer: client.peer,
            token: WEB_CLIENTS + at,
        };
        match doors.check(&shown, now) {
            Checked::In(session) => self.welcome(at, session, now),
            Checked::Refused => client.turn_away(REFUSED, now),
            Checked::Pending(ticket) => {
                client.entry = Entry::Verifying(ticket, login);
                client.until = now + VERIFYING;
            }
            Checked::Parked => {
                client.entry = Entry::Parked(login);
                client.until = client.until.max(now + VERIFYING);
            }
        }
    }

    fn welcome(&mut self, at: usize, session: Option<SessionId>, now: Instant) {
        self.let_in(at, session);
        if let Some(client) = &mut self.clients[at] {
            client.send(text::LOGGED_IN.into(), now);
        }
    }

    /// A login has been verified, which may be another's by now. What its client has said meanwhile has to be looked at.
    pub(in crate::server) fn on_verdict(&mut self, verdict: &Verdict, doors: &Doors, now: Instant) {
        let at = verdict.token - WEB_CLIENTS;
        let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) else { return };
        let Entry::Verifying(ticket, login) = &client.entry else { return };
        if *ticket != verdict.ticket {
            return;
        }
        match verdict.outcome {
            Ok(session) => self.welcome(at, Some(session), now),
            Err(why) => {
                doors.refused(client.peer, login.user.as_bytes(), why);
                client.turn_away(REFUSED, now);
            }
        }
    }

    /// There is room for a login that waited to be verified, if it still does.
    pub(in crate::server) fn try_again(&mut self, token: usize, doors: &mut Doors, now: Instant) {
        let at = token - WEB_CLIENTS;
        let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) else { return };
        if let Entry::Parked(_) = client.entry
            && let Entry::Parked(login) = core::mem::replace(&mut client.entry, Entry::Outside(None))
        {
            self.log_in(at, login, doors, now);
        }
    }

    /// Closes those whose user may not read any more.
    pub(in crate::server) fn expel(&mut self, session: SessionId, now: Instant) {
        for at in 0..self.clients.len() {
            if let Some(client) = &mut self.clients[at]
                && matches!(client.entry, Entry::In(Some(its)) if its == session)
            {
                info!("{}: market data: its user may not come in any more", client.peer);
                client.turn_away("its user may not come in any more", now);
                self.unsubscribe_all(at);
            }
        }
    }
}
