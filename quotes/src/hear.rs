//! What clients say: logons, and requests.

use std::time::{Duration, Instant};

use domain::SessionId;
use door::auth::Answer;
use gateway::fix::{self, Entry, Session, Verdict};
use log::info;
use wire::fix::{
    Frame, Message,
    dictionary::{Dictionary, FIX44, FIX50SP2},
    frame,
};

use crate::{
    app::{Act, App},
    client::{Client, Ends, MESSAGE_MAX, Stage},
    request::{Asked, Kind, Refusal, Request},
    running::{Running, now},
    stats::add,
};

/// Messages of one client that are used in a turn.
const MESSAGES_MAX: usize = 16;
/// How long a last message may take to go out.
const FAREWELL: Duration = Duration::from_secs(2);

/// The dictionary of the version that a first message asks for.
fn dictionary(begin_string: &[u8]) -> Option<&'static Dictionary> {
    [&FIX44, &FIX50SP2].into_iter().find(|dictionary| dictionary.begin_string.as_bytes() == begin_string)
}

impl Running {
    /// Uses whole messages, some in a turn.
    pub(crate) fn use_messages(&mut self, token: usize) -> Result<(), Ends> {
        let Some(client) = self.clients[token].as_mut() else { return Ok(()) };
        let inbox = std::mem::take(&mut client.inbox);
        let (mut used, mut result) = (0, Ok(()));
        for _ in 0..MESSAGES_MAX {
            let Some(client) = self.clients[token].as_mut().filter(|client| client.is_heard()) else { break };
            // Those that came too early are before all that is here.
            if client.session.as_ref().is_some_and(Session::has_early) {
                self.hear(token, None)?;
                continue;
            }
            match frame(&inbox[used..], MESSAGE_MAX) {
                Ok(Frame::Incomplete) => break,
                Ok(Frame::Garbled(length)) if client.id().is_some() => used += length,
                Ok(Frame::Garbled(_)) => {
                    result = Err(Ends::Protocol("the first message is garbled".into()));
                    break;
                }
                Ok(Frame::Message(message, length)) => {
                    match self.hear(token, Some((&message, &inbox[used..used + length]))) {
                        Ok(Verdict::Later) => break,
                        Ok(_) => used += length,
                        Err(why) => {
                            result = Err(why);
                            break;
                        }
                    }
                }
                Err(error) => {
                    result = Err(Ends::Protocol(error.to_string()));
                    break;
                }
            }
        }
        if let Some(client) = self.clients[token].as_mut() {
            client.inbox = inbox;
            client.inbox.drain(..used);
        }
        result
    }

    /// Hears one message, or the next of those that came too early.
    fn hear(&mut self, token: usize, message: Option<(&Message<'_>, &[u8])>) -> Result<Verdict, Ends> {
        let time = now();
        let Some(mut client) = self.clients[token].take() else { return Ok(Verdict::Done) };
        if client.session.is_none() {
            let version = message.and_then(|(message, _)| dictionary(message.begin_string));
            let settings = self.server.settings.session;
            client.session = version.map(|version| Session::new(version, settings, time));
        }
        let Some(mut session) = client.session.take() else {
            self.clients[token] = Some(client);
            return Err(Ends::Protocol("neither FIX.4.4 nor FIXT.1.1".into()));
        };
        let clients = &self.clients;
        let doubtful = |other: usize| {
            clients.get(other).and_then(Option::as_ref).is_none_or(|other| {
                other.closing.is_some() || other.session.as_ref().is_none_or(Session::is_doubtful)
            })
        };
        let mut app = App {
            entry: Entry {
                id: client.id(),
                token,
                peer: client.peer.ip(),
                log_prefix: "market data: ",
                comp_id: self.server.settings.comp_id.as_bytes(),
                credentials: &mut self.server.credentials,
                signed: &mut self.signed,
                verdict: client.verdict.take(),
                waits: None,
            },
            by_session: &self.by_session,
            sessions_max: self.server.settings.sessions,
            doubtful: &doubtful,
            instruments: &self.server.instruments,
            has_begun: self.has_begun,
            throttle: &mut client.throttle,
            now: time,
            act: None,
            logon: None,
            waits_for_books: false,
        };
        let out = client.outbox.buffer();
        let heard = match message {
            Some((message, raw)) => session.hear(message, raw, time, &mut self.checker, &mut app, out),
            None => session
                .hear_early(time, &mut self.checker, &mut app, out)
                .map(|verdict| verdict.unwrap_or(Verdict::Done)),
        };
        let App { act, logon, waits_for_books, entry: Entry { waits, verdict, .. }, .. } = app;
        client.waits_for_books = waits_for_books;
        client.verdict = verdict; // it is for the logon, and this may have been something else
        match waits {
            Some(Answer::Pending(ticket)) => client.stage = Stage::Verifying(ticket),
            Some(Answer::Later) => {
                client.stage = Stage::Parked;
                self.parked.push_back(token);
            }
            _ => {}
        }
        if let Some(id) = logon {
            self.log_on(token, &mut client, id);
        }
        let heard = match heard {
            // Nothing of it is worth being told again: whoever misses a book asks for it anew.
            Ok(Verdict::Resend(first, last)) => {
                session.fill_gap(first, last + 1, time, client.outbox.buffer());
                Ok(Verdict::Done)
            }
            Ok(verdict) => Ok(verdict),
            Err(fix::Close::NoLogon(what)) => Err(Ends::Refused(what.into())),
            Err(close) => {
                let why = match close {
                    fix::Close::Breach(text) => Ends::Protocol(text),
                    fix::Close::Silent(what) => Ends::Silent(what),
                    fix::Close::LoggedOut | fix::Close::NoLogon(_) => Ends::LoggedOut,
                };
                client.closing = Some((why, Instant::now() + FAREWELL));
                Ok(Verdict::Done)
            }
        };
        match act {
            Some(Act::Securities(id)) => client.desk.securities = Some((id, 0)),
            Some(Act::MarketData(request)) => {
                add(&self.server.stats.requests, 1);
                self.market_data(token, &mut client, &mut session, request);
            }
            None => {}
        }
        client.session = Some(session);
        self.clients[token] = Some(client);
        heard
    }

    /// The connection becomes its session's. What an earlier logon on it asked for is over.
    fn log_on(&mut self, token: usize, client: &mut Client, id: SessionId) {
        self.leave_all(token, client);
        if client.id().is_some() {
            return;
        }
        if let Some(old) = self.by_session.get(&id).copied().filter(|old| *old != token) {
            self.close(old, &Ends::Superseded);
        }
        self.by_session.insert(id, token);
        self.lobby.logged_in(client.place);
        client.stage = Stage::LoggedOn(id);
        let user = self.server.credentials.user_of(id).map(|user| user.name).unwrap_or_default();
        info!("market data: {} {}: logged on", client.peer, user.to_string().trim_end());
        self.count_sessions();
    }

    fn market_data(&mut self, token: usize, client: &mut Client, session: &mut Session, request: Request) {
        let Request { id, asked } = request;
        let refusal = match asked {
            Asked::Subscribe(Ok(wanted)) => match client.desk.open(id.clone(), &wanted) {
                Ok(number) => {
                    if wanted.kind != Kind::Once {
                        for book in &wanted.books {
                            let now = &self.books[book.0 as usize];
                            self.channels.watch((token, number), *book, wanted.depth, now);
                        }
                    }
                    return;
                }
                Err(refusal) => refusal,
            },
            Asked::Subscribe(Err(refusal)) => refusal,
            Asked::Unsubscribe => match client.desk.close(&id) {
                Some((number, subscription)) => {
                    for book in subscription.books {
                        self.channels.leave((token, number), book, subscription.depth);
                    }
                    return;
                }
                // The standard has no reason for it; the text says it.
                None => Refusal(0, "no request with this MDReqID (262) lives".into()),
            },
        };
        let Refusal(reason, text) = refusal;
        session.send(b"Y", now(), client.outbox.buffer(), |message| {
            message.text(262, &id);
            if reason != 0 {
                message.letter(281, reason);
            }
            message.text(58, text.as_bytes());
        });
    }

    /// Looks at what has come of logons that were being verified.
    pub(crate) fn look_at_logins(&mut self) {
        while let Some(verdict) = self.server.credentials.verdict(Instant::now()) {
            self.unpark_one();
            let Some(client) = self.clients.get_mut(verdict.token).and_then(Option::as_mut) else { continue };
            // The one that asked may be gone, and another one in its place.
            if client.stage == Stage::Verifying(verdict.ticket) {
                client.stage = Stage::Expected;
                client.verdict = Some(verdict.outcome);
            }
        }
        if !self.parked.is_empty() && self.server.credentials.stats().waiting == 0 {
            while self.unpark_one() {}
        }
    }

    /// Lets one go on that is parked. Says whether there was one.
    fn unpark_one(&mut self) -> bool {
        while let Some(token) = self.parked.pop_front() {
            let client = self.clients.get_mut(token).and_then(Option::as_mut);
            if let Some(client) = client.filter(|client| client.stage == Stage::Parked) {
                client.stage = Stage::Expected;
                return true;
            }
        }
        false
    }

    /// Takes other users, if there are some.
    pub(crate) fn look_at_users(&mut self) {
        let Some(users) = self.server.users.as_ref().and_then(|feed| feed.newer_than(&mut self.users_seen))
        else {
            return;
        };
        for session in self.server.credentials.replace(users) {
            if let Some(token) = self.by_session.get(&session).copied() {
                self.close(token, &Ends::Disabled);
            }
        }
    }
}
