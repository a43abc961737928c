//! Connections that speak FIX: messages in, judged and sequenced; what their session says, numbered and sent; what is sent
//! again.
//!
//! Whatever a session says has a number, and the number is in the log before it goes out: a report's, or that of a message
//! that is not said again. So a restart and another node go on with the same numbers.

mod answers;
mod app;
mod leaving;
mod news;
mod resends;

use std::time::{Duration, Instant};

use domain::{Numbering, SessionId};
use door::auth::Answer;
use log::info;
use wire::fix::{
    Frame, Message, MessageWriter,
    dictionary::{Dictionary, FIX44, FIX50SP2},
    frame,
};

use self::app::App;
pub(super) use self::news::News;
use super::Gateway;
use crate::{
    connection::{Close, Stage},
    fix::{self, Entry, Link, Session, Settings, Verdict},
    venue::Venue,
};

/// The longest message that a client may send, in bytes.
pub(super) const MESSAGE_MAX: usize = 8 * 1024;
/// How long a last message may take to go out.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the venue is to clients that speak FIX.
#[derive(Clone, Debug)]
pub struct FixVenue {
    /// What clients say in TargetCompID.
    pub comp_id: String,
    /// How sessions are driven.
    pub settings: Settings,
    /// New orders and replacements that a session may send in a second; 0 for any number.
    pub orders_per_second: u32,
}

/// The dictionary of the version that a first message asks for.
fn dictionary(begin_string: &[u8]) -> Option<&'static Dictionary> {
    [&FIX44, &FIX50SP2].into_iter().find(|dictionary| dictionary.begin_string.as_bytes() == begin_string)
}

/// Whether a message is there, or what is to be passed over.
pub(crate) fn has_message(bytes: &[u8]) -> bool {
    !bytes.is_empty() && !matches!(frame(bytes, MESSAGE_MAX), Ok(Frame::Incomplete))
}

impl Gateway {
    /// Uses whole messages, up to the first that finds no room. Returns the bytes used.
    pub(super) fn use_messages<V: Venue>(
        &mut self,
        token: usize,
        bytes: &[u8],
        venue: &mut V,
    ) -> Result<usize, Close> {
        let mut used = 0;
        loop {
            let Some(connection) = self.connections[token].as_mut() else { return Ok(used) };
            let Some(link) = connection.fix.as_ref() else { return Ok(used) };
            if link.closing.is_some() {
                return Ok(bytes.len()); // what comes behind a goodbye is not for us
            }
            if !venue.has_room(None) {
                self.stats.stalled += 1;
                return Ok(used);
            }
            // Those that came too early are before all that is here.
            if link.session.as_ref().is_some_and(Session::has_early) {
                match self.hear(token, None, venue)? {
                    Some(Verdict::Later) => return Ok(used),
                    Some(_) => continue,
                    None => {}
                }
            }
            match frame(&bytes[used..], MESSAGE_MAX).map_err(|error| Close::Protocol(error.to_string()))? {
                Frame::Incomplete => return Ok(used),
                Frame::Garbled(length) => {
                    if self.session_of(token).is_none() {
                        return Err(Close::Protocol("the first message is garbled".into()));
                    }
                    used += length;
                }
                Frame::Message(message, length) => {
                    let raw = &bytes[used..used + length];
                    if self.hear(token, Some((&message, raw)), venue)? == Some(Verdict::Later) {
                        self.stats.stalled += 1;
                        return Ok(used);
                    }
                    used += length;
                }
            }
        }
    }

    /// Hears one message, or the next of those that came too early; `None` when there is none of these.
    fn hear<V: Venue>(
        &mut self,
        token: usize,
        message: Option<(&Message<'_>, &[u8])>,
        venue: &mut V,
    ) -> Result<Option<Verdict>, Close> {
        let Some(venue_is) = self.fix_venue.clone() else { return Ok(None) };
        let id = self.session_of(token);
        let Some(connection) = self.connections[token].as_mut() else { return Ok(None) };
        let Some(mut link) = connection.fix.take() else { return Ok(None) };
        let (peer, read_at) = (connection.peer.ip(), connection.read_at);
        let now = venue.now();
        if link.session.is_none() {
            let version = message.and_then(|(message, _)| dictionary(message.begin_string));
            link.session = version.map(|version| Session::new(version, venue_is.settings, now));
        }
        let Some(mut session) = link.session.take() else {
            self.put_back(token, link);
            return if message.is_none() {
                Ok(None)
            } else {
                Err(Close::Protocol("neither FIX.4.4 nor FIXT.1.1".into()))
            };
        };
        if let Some(id) = id {
            session.go_on_at(self.next_message(id));
        }
        let before = session.next().1;
        let mut out = std::mem::take(&mut self.fix_out);
        out.clear();
        let connections = &self.connections;
        let doubtful = |other: usize| {
            let link = connections[other].as_ref().and_then(|connection| connection.fix.as_ref());
            link.is_none_or(|link| {
                link.closing.is_some() || link.session.as_ref().is_none_or(Session::is_doubtful)
            })
        };
        let mut app = App {
            entry: Entry {
                id,
                token,
                peer,
                log_prefix: "",
                comp_id: venue_is.comp_id.as_bytes(),
                credentials: &mut self.credentials,
                signed: &mut self.signed,
                verdict: link.verdict.take(),
                waits: None,
            },
            venue_is: &venue_is,
            sessions: &self.sessions,
            instruments: &self.instruments,
            here: self.here.as_ref(),
            by_session: &self.by_session,
            doubtful: &doubtful,
            open_orders_max: self.limits.open_orders_max,
            window: self.limits.admission.window,
            patience: self.limits.admission.sojourn_nanos,
            read_at,
            now,
            venue: &mut *venue,
            unpublished: &mut self.unpublished,
            throttle: &mut link.throttle,
            act: None,
            logon: None,
        };
        let checker = &mut self.checker;
        let heard = match message {
            Some((message, raw)) => session.hear(message, raw, now, checker, &mut app, &mut out).map(Some),
            None => session.hear_early(now, checker, &mut app, &mut out),
        };
        let App { act, logon, entry: Entry { waits, verdict, .. }, .. } = app;
        link.verdict = verdict; // it is for the logon, and this may have been something else
        let (next_in, next_out) = session.next();
        link.session = Some(session);
        self.put_back(token, link);
        self.wait_for_verdict(token, waits);
        let numbering = match logon {
            Some((_, true)) => Numbering::Resets,
            _ => Numbering::GoesOn,
        };
        let said = match logon {
            Some((id, is_reset)) => {
                let first = if is_reset { 1 } else { self.next_message(id) };
                self.open_fix(token, id);
                next_out - first
            }
            None => next_out - before,
        };
        let done = self.heard(token, heard, (said, numbering), next_in, &out, venue);
        self.fix_out = out;
        if let (Ok(_), Some(act), Some(id)) = (&done, act, id) {
            self.stats.requests += 1;
            self.act(token, id, act, venue);
        }
        done
    }

    /// What came of a message: what the session said to it is numbered, and goes out.
    fn heard<V: Venue>(
        &mut self,
        token: usize,
        heard: Result<Option<Verdict>, fix::Close>,
        (said, numbering): (u64, Numbering),
        next_in: u64,
        out: &[u8],
        venue: &mut V,
    ) -> Result<Option<Verdict>, Close> {
        let Some(id) = self.session_of(token) else {
            return heard.map_err(|close| Close::Refused(said_of(&close)));
        };
        self.say(token, id, (said, numbering, next_in), out, venue);
        self.sessions.fix_heard(id, next_in);
        match heard {
            Ok(Some(Verdict::Resend(first, last))) => {
                self.send_again(token, first, last, venue);
                Ok(Some(Verdict::Done))
            }
            Ok(verdict) => Ok(verdict),
            Err(close) => {
                let reason = match close {
                    fix::Close::LoggedOut => Close::Logout,
                    fix::Close::NoLogon(_) => Close::Refused(said_of(&close)),
                    fix::Close::Breach(_) => Close::Protocol(said_of(&close)),
                    fix::Close::Silent(_) => Close::Silent,
                };
                self.close_behind(token, reason);
                Ok(Some(Verdict::Done))
            }
        }
    }

    /// The logon stays where it is until it has been verified, or there is room to have it verified.
    fn wait_for_verdict(&mut self, token: usize, waits: Option<Answer>) {
        let Some(connection) = self.connections[token].as_mut() else { return };
        match waits {
            Some(Answer::Pending(ticket)) => connection.stage = Stage::Authenticating { ticket, asked: None },
            Some(Answer::Later) => self.park(token),
            _ => {}
        }
    }

    fn put_back(&mut self, token: usize, link: Box<Link>) {
        if let Some(connection) = self.connections[token].as_mut() {
            connection.fix = Some(link);
        }
    }

    fn session_of(&self, token: usize) -> Option<SessionId> {
        match self.connections[token].as_ref()?.stage {
            Stage::LoggedIn { session, .. } => Some(session),
            Stage::AwaitingLogin | Stage::Authenticating { .. } => None,
        }
    }

    /// The number of a session's next message.
    fn next_message(&self, id: SessionId) -> u64 {
        self.sessions
            .get(id)
            .and_then(|session| Some(session.next_number() - session.fix()?.out_base()))
            .unwrap_or(1)
    }

    /// The connection ends when all that has been said has gone out.
    fn close_behind(&mut self, token: usize, reason: Close) {
        if let Some(connection) = self.connections[token].as_mut()
            && let Some(link) = connection.fix.as_mut()
        {
            link.closing.get_or_insert((reason, Instant::now() + FAREWELL));
            self.mark_dirty(token);
        }
    }

    pub(super) fn mark_dirty(&mut self, token: usize) {
        if let Some(connection) = self.connections[token].as_mut() {
            connection.mark_dirty(token, &mut self.dirty);
        }
    }

    /// The connection becomes its session's.
    fn open_fix(&mut self, token: usize, id: SessionId) {
        let Some(session) = self.sessions.get(id) else { return };
        let (next, user) = (session.next_number(), session.user);
        let out_base = session.fix().map_or(0, |fix| fix.out_base());
        if let Some(old) = self.by_session[id.0 as usize].filter(|old| *old != token) {
            self.close(old, &Close::Superseded);
        }
        self.by_session[id.0 as usize] = Some(token);
        self.is_present(id);
        let Some(connection) = self.connections[token].as_mut() else { return };
        if matches!(connection.stage, Stage::LoggedIn { .. }) {
            return; // it begins anew on the same connection
        }
        self.lobby.logged_in(connection.place);
        connection.stage = Stage::LoggedIn { session: id, cursor: next };
        connection.heard = Instant::now();
        if let Some(link) = connection.fix.as_mut() {
            link.begin(out_base);
        }
        info!(
            "{} {}: logged on, next message {}",
            connection.peer,
            user.to_string().trim_end(),
            next - out_base
        );
    }

    /// Numbers what a session has said, and sends it in its turn.
    fn say<V: Venue>(
        &mut self,
        token: usize,
        id: SessionId,
        (said, numbering, next_in): (u64, Numbering, u64),
        out: &[u8],
        venue: &mut V,
    ) {
        if said == 0 {
            return;
        }
        let now = venue.now();
        let mut first = None;
        for at in 0..said {
            let numbering = if at == 0 { numbering } else { Numbering::GoesOn };
            let number = self.sessions.fix_said(id, (numbering, next_in), now, |report| venue.log(report));
            first.get_or_insert(number);
        }
        let first = first.unwrap_or(0);
        let Some(connection) = self.connections[token].as_mut() else { return };
        let Stage::LoggedIn { session, mut cursor } = connection.stage else { return };
        let Some(link) = connection.fix.as_mut() else { return };
        if numbering == Numbering::Resets {
            link.begin(first - 1);
            cursor = first;
        }
        if link.is_current(cursor, first) {
            connection.outbox.buffer().extend_from_slice(out);
            cursor += said;
        } else {
            link.hold(first, said, out);
        }
        connection.stage = Stage::LoggedIn { session, cursor };
        self.mark_dirty(token);
    }

    /// Says one message of the venue's own.
    fn tell<V: Venue>(
        &mut self,
        token: usize,
        msg_type: &[u8],
        venue: &mut V,
        body: impl FnOnce(&mut MessageWriter<'_>),
    ) {
        let Some(id) = self.session_of(token) else { return };
        let (now, next) = (venue.now(), self.next_message(id));
        let mut out = std::mem::take(&mut self.fix_out);
        out.clear();
        if let Some(session) = self.session_mut(token) {
            session.go_on_at(next);
            session.send(msg_type, now, &mut out, body);
            self.say(token, id, (1, Numbering::GoesOn, 1), &out, venue);
        }
        self.fix_out = out;
    }

    fn link_mut(&mut self, token: usize) -> Option<&mut Link> {
        self.connections[token].as_mut()?.fix.as_deref_mut()
    }

    fn session_mut(&mut self, token: usize) -> Option<&mut Session> {
        self.link_mut(token)?.session.as_mut()
    }
}

fn said_of(close: &fix::Close) -> String {
    match close {
        fix::Close::NoLogon(what) | fix::Close::Silent(what) => (*what).into(),
        fix::Close::LoggedOut => "logged out".into(),
        fix::Close::Breach(text) => text.clone(),
    }
}
