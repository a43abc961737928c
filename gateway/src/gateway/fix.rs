//! Connections that speak FIX: messages in, judged and sequenced; what their session says, numbered and sent; what is sent
//! again.
//!
//! Whatever a session says has a number, and the number is in the log before it goes out: a report's, or that of a message
//! that is not said again. So a restart and another node go on with the same numbers.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use base64ct::{Base64, Encoding};
use domain::{
    Command, Nanos, Numbering, OrderReport, OrderReportKind, OrderStatus, Report, ReportKind, SessionId,
};
use journal::Position;
use log::info;
use wire::fix::{
    Checked, Checker, Frame, Message, MessageWriter, SOH,
    dictionary::{Dictionary, FIX44, FIX50SP2},
    frame, report, value,
};

use super::{
    Gateway,
    catch_up::{Given, RESEND_MAX},
};
use crate::{
    auth::{Answer, Attempt, Credentials, Protocol, Refusal, Secret},
    connection::{Close, Stage},
    egress::encode_fix,
    fix::{
        self, Act, Application, Asked, Desk, Identity, Link, Logon, MassAsked, MassCanceling, Refused,
        Resend, Session, Settings, Taken, Throttle, Verdict,
    },
    ouch::Action,
    placement::Here,
    sessions::Sessions,
    venue::{Instruments, Venue},
};

/// The longest message that a client may send, in bytes.
pub(super) const MESSAGE_MAX: usize = 8 * 1024;
/// Bytes of an Ed25519 signature.
const SIGNATURE: usize = 64;
/// How long a last message may take to go out.
const FAREWELL: Duration = Duration::from_secs(2);
/// Instruments in one SecurityList.
const SECURITIES: usize = 50;

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

/// Who listens to the session of one connection.
struct App<'a, V> {
    /// Whose it is, once it is somebody's.
    id: Option<SessionId>,
    token: usize,
    peer: IpAddr,
    venue_is: &'a FixVenue,
    credentials: &'a mut Credentials,
    /// When the last logon was sent that each session was let in for by a signature.
    signed: &'a mut BTreeMap<SessionId, Nanos>,
    /// What came of the logon, which was being verified.
    verdict: Option<Result<SessionId, Refusal>>,
    sessions: &'a Sessions,
    instruments: &'a Instruments,
    here: Option<&'a Here>,
    by_session: &'a [Option<usize>],
    /// Connections whose clients may be gone.
    doubtful: &'a dyn Fn(usize) -> bool,
    open_orders_max: usize,
    window: u32,
    /// Nanoseconds that an order may wait.
    patience: u64,
    read_at: Nanos,
    now: Nanos,
    venue: &'a mut V,
    unpublished: &'a mut bool,
    throttle: &'a mut Throttle,
    act: Option<Act>,
    logon: Option<(SessionId, bool)>,
    /// The logon is to be heard again, when it has been verified, or can be.
    waits: Option<Answer>,
}

impl<V: Venue> Application for App<'_, V> {
    fn logon(&mut self, logon: &Checked<'_, '_>, is_reset: bool) -> Result<Logon, Refused> {
        let (theirs, ours) = (logon.get(49).unwrap_or_default(), logon.get(56).unwrap_or_default());
        if ours != self.venue_is.comp_id.as_bytes() {
            return Err(Refused::No);
        }
        // Who is logged in has shown who it is.
        let id = match self.id {
            Some(id) => id,
            None => {
                if logon.get(553).is_some_and(|user| user != theirs) {
                    return Err(Refused::No);
                }
                match self.verdict.take() {
                    Some(outcome) => outcome.map_err(|why| self.refused(theirs, why))?,
                    None => self.check(theirs, logon)?,
                }
            }
        };
        // A signature is good once: the logon that it was heard in cannot be said again by whoever has listened.
        let signed = logon.get(96).and_then(|_| logon.get(52)).and_then(value::utc_timestamp);
        if let Some(sent) = signed.filter(|_| self.id.is_none())
            && self.signed.insert(id, sent).is_some_and(|last| last >= sent)
        {
            info!("{}: a signature that has been used", self.peer);
            return Err(Refused::No);
        }
        let session = self.sessions.get(id).ok_or(Refused::No)?;
        let fix = session.fix().ok_or(Refused::No)?;
        let other = self.by_session[id.0 as usize].filter(|other| *other != self.token);
        if other.is_some_and(|other| !(self.doubtful)(other)) {
            return Err(Refused::No);
        }
        self.logon = Some((id, is_reset));
        let identity = Identity { ours: ours.to_vec(), theirs: theirs.to_vec() };
        Ok(Logon { identity, next: (fix.next_in(), session.next_number() - fix.out_base()) })
    }

    fn message(&mut self, message: &Checked<'_, '_>, number: u64, is_again: bool) -> Taken {
        let Some(id) = self.id else { return Taken::No { reason: 6, text: "not logged on" } };
        let Some(session) = self.sessions.get(id) else { return Taken::Later };
        let Some(fix) = session.fix() else { return Taken::Later };
        let desk = Desk {
            id,
            session,
            fix,
            instruments: self.instruments,
            here: self.here,
            takes_orders: self.venue.takes_orders(),
            open_orders_max: self.open_orders_max,
            now: self.now,
        };
        // A copy, or one that the client says it may have sent before.
        let is_again = is_again || message.is_set(43);
        let mut act = match desk.act(message, number, is_again, |book| self.venue.next_order(book)) {
            Ok(act) => act,
            Err(taken) => return taken,
        };
        if let Act::Sequence(_, Some(command)) | Act::MassCancel(_, command, _) = &act
            && !self.has_room(command)
        {
            if self.now.0.saturating_sub(self.read_at.0) <= self.patience {
                return Taken::Later;
            }
            match desk.busy(message, number) {
                Some(refusal) => act = refusal,
                None => return Taken::Later,
            }
        }
        // What makes books smaller always goes.
        if matches!(message.message().msg_type, b"D" | b"G")
            && act != Act::Nothing
            && !self.throttle.lets(self.venue_is.orders_per_second, self.now)
        {
            return Taken::No {
                reason: 0,
                text: "throttled: more orders in a second than the session may send",
            };
        }
        if matches!(act, Act::MassCancel(..)) && !self.throttle.lets_mass_cancel(self.now) {
            return Taken::No { reason: 0, text: "throttled: one mass cancel in 100 ms" };
        }
        self.act = Some(act);
        Taken::Yes
    }
}

impl<V: Venue> App<'_, V> {
    /// Looks at who wants in: by a password, or by a signature of what its logon says of itself.
    fn check(&mut self, name: &[u8], logon: &Checked<'_, '_>) -> Result<SessionId, Refused> {
        let mut signature = [0; SIGNATURE];
        let signed: Vec<u8>;
        let secret = match logon.get(96) {
            None => Secret::Password(logon.get(554).unwrap_or_default()),
            Some(text) => {
                if Base64::decode(text, &mut signature).map(<[u8]>::len) != Ok(SIGNATURE) {
                    return Err(Refused::No);
                }
                let fields = [49, 56, 34, 52].map(|tag| logon.get(tag).unwrap_or_default());
                signed = [b"A".as_slice()].into_iter().chain(fields).collect::<Vec<_>>().join(&SOH);
                Secret::Signature { of: &signed, signature: &signature }
            }
        };
        let attempt = Attempt { protocol: Protocol::Fix, name, secret, from: self.peer, token: self.token };
        match self.credentials.check(&attempt, Instant::now()) {
            Answer::Accepted(id) => Ok(id),
            Answer::Refused(why) => Err(self.refused(name, why)),
            waits @ (Answer::Pending(_) | Answer::Later) => {
                self.waits = Some(waits);
                Err(Refused::Later)
            }
        }
    }

    /// Says why somebody is not let in, for whoever reads the log.
    fn refused(&self, name: &[u8], why: Refusal) -> Refused {
        info!("{}: user {}: {why}", self.peer, String::from_utf8_lossy(name));
        Refused::No
    }

    /// Whether a command finds room now. An order waits while its book's window is full, a cancel only for its ring.
    fn has_room(&mut self, command: &Command) -> bool {
        let Some(book) = command.instrument() else { return self.venue.accepts(command) };
        if !self.venue.has_room(Some(book)) {
            return false;
        }
        matches!(command, Command::Cancel(_) | Command::MassCancel(_))
            || super::requests::outstanding(self.venue, self.unpublished, book, self.window)
                < u64::from(self.window)
    }
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
            match self.hear(token, None, venue)? {
                Some(Verdict::Later) => return Ok(used),
                Some(_) => continue,
                None => {}
            }
            match frame(&bytes[used..], MESSAGE_MAX).map_err(|error| Close::Protocol(error.to_string()))? {
                Frame::Incomplete => return Ok(used),
                Frame::Garbled(length) => {
                    if !self.is_logged_in(token) {
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

    fn is_logged_in(&self, token: usize) -> bool {
        self.connections[token]
            .as_ref()
            .is_some_and(|connection| matches!(connection.stage, Stage::LoggedIn { .. }))
    }

    /// Hears one message, or the next of those that came too early; `None` when there is none of these.
    fn hear<V: Venue>(
        &mut self,
        token: usize,
        message: Option<(&Message<'_>, &[u8])>,
        venue: &mut V,
    ) -> Result<Option<Verdict>, Close> {
        let Some(venue_is) = self.fix_venue.clone() else { return Ok(None) };
        let Some(connection) = self.connections[token].as_mut() else { return Ok(None) };
        let Some(mut link) = connection.fix.take() else { return Ok(None) };
        let (stage, peer, read_at) = (connection.stage, connection.peer.ip(), connection.read_at);
        let id = match stage {
            Stage::LoggedIn { session, .. } => Some(session),
            Stage::AwaitingLogin | Stage::Authenticating { .. } => None,
        };
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
            id,
            token,
            peer,
            venue_is: &venue_is,
            credentials: &mut self.credentials,
            signed: &mut self.signed,
            verdict: link.verdict.take(),
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
            waits: None,
        };
        let checker = &mut self.checker;
        let heard = match message {
            Some((message, raw)) => session.hear(message, raw, now, checker, &mut app, &mut out).map(Some),
            None => session.hear_early(now, checker, &mut app, &mut out),
        };
        let App { act, logon, waits, verdict, .. } = app;
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
        if let Some(connection) = self.connections[token].as_mut()
            && !connection.dirty
        {
            connection.dirty = true;
            self.dirty.push(token);
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

    fn session_mut(&mut self, token: usize) -> Option<&mut Session> {
        self.connections[token].as_mut()?.fix.as_mut()?.session.as_mut()
    }

    /// Does what a message asks for; room was asked for.
    fn act<V: Venue>(&mut self, token: usize, id: SessionId, act: Act, venue: &mut V) {
        match act {
            Act::Nothing => self.stats.ignored += 1,
            Act::Sequence(request, command) => {
                let commands = [request.map(Command::FixRequest), command];
                for command in commands.into_iter().flatten() {
                    self.perform(id, &Action::Sequence(command), venue);
                }
            }
            Act::MassCancel(request, command, canceling) => {
                self.perform(id, &Action::Sequence(Command::FixRequest(request)), venue);
                self.tell_mass_cancel(token, &canceling, request.client_ref.0, venue);
                self.perform(id, &Action::Sequence(command), venue);
            }
            Act::Status(asked) => self.tell_status(token, &asked, None, venue),
            Act::MassStatus(asked) if asked.orders.is_empty() => {
                let status = Asked {
                    order: None,
                    status: OrderStatus::Rejected,
                    client_order_id: domain::ClientOrderId::BLANK,
                    symbol: b"NONE".to_vec(),
                    side_code: b'1',
                    id: Vec::new(),
                };
                self.tell_status(token, &status, Some((&asked.id, 0, true)), venue);
            }
            Act::MassStatus(asked) => self.answer_later(token, |link| link.mass_status = Some((asked, 0))),
            Act::SecurityList(id) => self.answer_later(token, |link| link.securities = Some((id, 0))),
            Act::TradingStatus(id) => {
                let is_open = venue.takes_orders();
                self.tell(token, b"h", venue, |message| {
                    message.text(335, &id).text(336, b"DAY").number(340, if is_open { 2 } else { 1 });
                });
            }
            Act::SecurityStatus(id, instrument) => {
                let Some(symbol) = self.instruments.get(instrument).map(|instrument| instrument.symbol)
                else {
                    return;
                };
                let state = if venue.takes_orders() { 17 } else { 18 };
                self.tell(token, b"f", venue, |message| {
                    message.text(324, &id).text(55, symbol.as_str().as_bytes()).number(326, state);
                });
            }
        }
    }

    fn link_mut(&mut self, token: usize) -> Option<&mut Link> {
        self.connections[token].as_mut()?.fix.as_deref_mut()
    }

    /// Leaves answers to be given in pieces.
    fn answer_later(&mut self, token: usize, leave: impl FnOnce(&mut Link)) {
        if let Some(link) = self.link_mut(token) {
            leave(link);
            if !self.catching_up.contains(&token) {
                self.catching_up.push_back(token);
            }
        }
    }

    fn tell_mass_cancel<V: Venue>(
        &mut self,
        token: usize,
        canceling: &MassCanceling,
        client_ref: u32,
        venue: &mut V,
    ) {
        let now = venue.now();
        self.tell(token, b"r", venue, |message| {
            message.number(37, client_ref.into()).text(11, canceling.client_order_id.trimmed());
            message.letter(530, canceling.scope).letter(531, canceling.scope);
            if let Some(symbol) = canceling.symbol {
                message.text(55, symbol.as_str().as_bytes());
            }
            message.time(60, now);
        });
    }

    /// Tells how an order stands. `of`: the MassStatusReqID that it answers, of how many, and whether it is the last.
    fn tell_status<V: Venue>(
        &mut self,
        token: usize,
        asked: &Asked,
        of: Option<(&[u8], u64, bool)>,
        venue: &mut V,
    ) {
        let now = venue.now();
        let instrument =
            asked.order.and_then(|order| self.instruments.get(order.order.instrument())).copied();
        let session = self.session_of(token).unwrap_or_default();
        let trade_id = self.session_mut(token).map_or(0, |session| session.dictionary().trade_id);
        self.tell(token, b"8", venue, |message| {
            let answer = answer(session, asked.order.as_ref(), now);
            let told = match (&asked.order, &answer) {
                (Some(order), Some(answer)) => {
                    report::order_report(answer, order, instrument.as_ref(), (true, trade_id), message)
                        .is_ok()
                }
                _ => false,
            };
            if !told {
                message.text(37, b"NONE");
                if !asked.client_order_id.trimmed().is_empty() {
                    message.text(11, asked.client_order_id.trimmed());
                }
                message.number(17, 0).letter(150, b'I').letter(39, report::status(asked.status));
                message.text(55, &asked.symbol).letter(54, asked.side_code);
                message.number(151, 0).number(14, 0).number(6, 0);
                let text: &[u8] = match asked.status {
                    OrderStatus::Rejected => b"no such order works",
                    _ => b"the order lives no more",
                };
                message.text(58, text);
            }
            if !asked.id.is_empty() {
                message.text(790, &asked.id);
            }
            if let Some((id, many, is_last)) = of {
                message.text(584, id).number(911, many).letter(912, if is_last { b'Y' } else { b'N' });
            }
        });
    }

    /// Gives so many of the answers that were asked for, or fewer.
    fn answer_some<V: Venue>(&mut self, token: usize, messages_max: usize, venue: &mut V) -> Given {
        for messages in 0..messages_max {
            let all = Given { messages, is_all: true };
            let Some(connection) = self.connections[token].as_mut() else { return all };
            let Some(link) = connection.fix.as_mut().filter(|link| link.has_answers()) else { return all };
            if connection.outbox.len() >= RESEND_MAX || !venue.has_room(None) {
                return Given { messages, is_all: false };
            }
            if let Some((asked, at)) = link.mass_status.take() {
                let next = at + 1;
                self.tell_one_of(token, &asked, at, venue);
                if next < asked.orders.len()
                    && let Some(link) = self.link_mut(token)
                {
                    link.mass_status = Some((asked, next));
                }
            } else if let Some((id, at)) = link.securities.take() {
                let next = at + SECURITIES;
                self.tell_securities(token, &id, at, venue);
                if next < self.instruments.as_slice().len()
                    && let Some(link) = self.link_mut(token)
                {
                    link.securities = Some((id, next));
                }
            }
        }
        let is_all = self.link_mut(token).is_none_or(|link| !link.has_answers());
        Given { messages: messages_max, is_all }
    }

    fn tell_one_of<V: Venue>(&mut self, token: usize, asked: &MassAsked, at: usize, venue: &mut V) {
        let Some(session) = self.session_of(token).and_then(|id| self.sessions.get(id)) else { return };
        let client_ref = asked.orders[at];
        let order = session.order_report(client_ref);
        // Gone since it was asked after.
        let symbol = b"NONE".to_vec();
        let status = Asked {
            order,
            status: OrderStatus::Rejected,
            client_order_id: domain::ClientOrderId::BLANK,
            symbol,
            side_code: b'1',
            id: Vec::new(),
        };
        let many = asked.orders.len() as u64;
        self.tell_status(token, &status, Some((&asked.id, many, at + 1 == asked.orders.len())), venue);
    }

    fn tell_securities<V: Venue>(&mut self, token: usize, id: &[u8], at: usize, venue: &mut V) {
        let all = self.instruments.as_slice();
        let some: Vec<_> = all.iter().skip(at).take(SECURITIES).map(|instrument| instrument.symbol).collect();
        let (many, is_last) = (all.len() as u64, at + some.len() >= all.len());
        self.tell(token, b"y", venue, |message| {
            message.text(320, id).text(322, id).number(560, 0);
            message.number(393, many).letter(893, if is_last { b'Y' } else { b'N' });
            message.number(146, some.len() as u64);
            for symbol in &some {
                message.text(55, symbol.as_str().as_bytes());
            }
        });
    }

    /// The client wants these messages again, by their numbers.
    fn send_again<V: Venue>(&mut self, token: usize, first: u64, last: u64, venue: &V) {
        let Some(link) = self.connections[token].as_mut().and_then(|connection| connection.fix.as_mut())
        else {
            return;
        };
        let base = link.out_base;
        let oldest = venue.oldest();
        link.resend = Some(Resend { next: base + first, last: base + last, gap: None, oldest });
        if !self.catching_up.contains(&token) {
            self.catching_up.push_back(token);
        }
    }

    /// Goes on with what a client misses: what it wants again, then what has been said meanwhile, then answers. Looks at so
    /// many messages of the log, or fewer.
    pub(super) fn resend_fix<V: Venue>(
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
                    encode_fix(&report, &self.instruments, machine, number - base, Some(now), out)?;
                    resend.next += 1;
                }
                (Some(resend), None) => {
                    resend.gap.get_or_insert(number);
                    resend.next += 1;
                }
                (None, Some(report)) => {
                    encode_fix(&report, &self.instruments, machine, number - base, None, out)?;
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
        if !done {
            return Ok(Given { messages, is_all: false });
        }
        let answered = self.answer_some(token, messages_max - messages, venue);
        Ok(Given { messages: messages + answered.messages, is_all: answered.is_all })
    }

    /// What time brings to a session.
    pub(super) fn tick_fix<V: Venue>(&mut self, token: usize, venue: &mut V) {
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
        if !venue.has_room(None) {
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

    /// The numbers of every FIX session begin anew, from here on, a session or more in each turn. Who is there is logged out.
    pub fn roll_over(&mut self) {
        self.rolling_over.get_or_insert(SessionId(0));
    }

    /// Goes on with a roll-over. Says whether anything was done.
    pub(super) fn go_on_rolling<V: Venue>(&mut self, venue: &mut V) -> bool {
        let Some(SessionId(first)) = self.rolling_over else { return false };
        for id in first.. {
            let Some(session) = self.sessions.get(SessionId(id)) else {
                self.rolling_over = None;
                return true;
            };
            if session.fix().is_none() {
                continue;
            }
            if !venue.has_room(None) {
                self.rolling_over = Some(SessionId(id));
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
    pub(super) fn said_all(&self, token: usize) -> bool {
        self.connections[token].as_ref().is_some_and(|connection| {
            connection.outbox.is_empty() && connection.fix.as_ref().is_some_and(|link| link.closing.is_some())
        })
    }

    pub(super) fn take_closing(&mut self, token: usize) -> Option<Close> {
        let link = self.connections[token].as_mut()?.fix.as_mut()?;
        link.closing.take().map(|(reason, _)| reason)
    }
}

/// A report that answers a question after an order.
fn answer(session: SessionId, order: Option<&OrderReport>, now: Nanos) -> Option<Report> {
    let order = *order?;
    Some(Report {
        session,
        number: 0,
        sequence: domain::Sequence::default(),
        instrument: Some(order.order.instrument()),
        index: 0,
        nanos: now,
        kind: ReportKind::Order(OrderReport { kind: OrderReportKind::New, ..order }),
    })
}

fn said_of(close: &fix::Close) -> String {
    match close {
        fix::Close::NoLogon(what) | fix::Close::Silent(what) => (*what).into(),
        fix::Close::LoggedOut => "logged out".into(),
        fix::Close::Breach(text) => text.clone(),
    }
}

/// The checker that all connections share.
pub(super) fn checker() -> Box<Checker> {
    Box::default()
}
