//! One client that wants a snapshot: its login, and what it has taken.

use std::{
    io::{ErrorKind, Write},
    net::{Shutdown, SocketAddr},
    sync::Arc,
    time::Instant,
};

use domain::SessionId;
use door::{
    auth::{Protocol, Ticket, Verdict},
    lobby::Place,
    transport::{Incoming, ReadError, Transport},
};
use log::info;
use wire::{
    mold::Session,
    soup::{self, ClientPacket, LoginRejected, LoginRequest},
};

use super::{CROWDED, PATIENCE};
use crate::server::{
    VERIFYING,
    doors::{Checked, Doors, Login},
};

/// A login, and nothing longer.
const INPUT_MAX: usize = soup::HEADER_LEN + LoginRequest::LEN;
/// Bytes that are taken of a client before its login is there: heartbeats, and debug text.
const BEFORE_LOGIN_MAX: usize = 4 * 1024;
/// Bytes given to one client in a turn, so that publishing goes on.
const TURN_BYTES: usize = 1 << 20;
/// Pieces of what a client still says that are read in a turn, before it has closed.
const LAST_WORDS_MAX: usize = 64;

pub(super) enum State {
    /// What has come of its login.
    Login(Vec<u8>),
    /// It is being verified.
    Verifying { ticket: Ticket, login: LoginRequest },
    /// It waits for its turn to be verified.
    Parked(LoginRequest),
    /// It has logged in.
    Waits,
    /// It gets these bytes, from there on.
    Takes(Arc<Vec<u8>>, usize),
    /// It has everything: what it still says is read, so that closing takes nothing back.
    Leaves,
    /// It has gone, or said what nobody asked for.
    Gone,
}

pub(super) struct Client {
    pub(super) transport: Transport,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
    pub(super) state: State,
    /// It has been let in.
    pub(super) is_in: bool,
    /// Its user's, if it has logged in as one.
    pub(super) session: Option<SessionId>,
    /// When it is cut off.
    pub(super) until: Instant,
    opened: Instant,
    /// Bytes that came before its login.
    came: usize,
}

/// What came of sending.
pub(super) enum Sent {
    /// It has everything.
    All,
    /// It takes more, when its turn comes.
    Turn,
    /// It has nothing to take, or takes nothing now.
    Blocked,
    /// It had everything, and has closed.
    Left,
    Broken,
}

impl Client {
    pub(super) const fn new(
        transport: Transport,
        peer: SocketAddr,
        place: Place,
        opened: Instant,
        until: Instant,
    ) -> Self {
        let state = State::Login(Vec::new());
        Self { transport, peer, place, state, is_in: false, session: None, until, opened, came: 0 }
    }

    /// When it is cut off, if others wait for its place or do not.
    pub(super) fn due(&self, is_crowded: bool) -> Instant {
        match self.state {
            State::Login(_) if is_crowded => self.until.min(self.opened + CROWDED),
            _ => self.until,
        }
    }

    /// Reads what there is of its login. Says whether there may be more without another event.
    pub(super) fn hear(&mut self, token: usize, doors: &mut Doors, session: Session, now: Instant) -> bool {
        let State::Login(input) = &mut self.state else { return false };
        if !doors.may_go_on(&self.transport, token) {
            return true;
        }
        let mut bytes = [0; INPUT_MAX];
        let login = loop {
            let room = INPUT_MAX - input.len();
            match self.transport.read(&mut bytes[..room]) {
                Ok(Incoming::Drained(0)) => return false,
                Ok(Incoming::More(0)) => return true,
                Ok(Incoming::More(n) | Incoming::Drained(n)) => {
                    input.extend_from_slice(&bytes[..n]);
                    self.came += n;
                }
                Ok(Incoming::End) | Err(ReadError::Io(_)) => {
                    self.state = State::Gone;
                    return false;
                }
                Err(ReadError::Tls(error)) => {
                    info!("{}: market data: TLS: {error}", self.peer);
                    self.state = State::Gone;
                    return false;
                }
            }
            let packet = soup::frame(input, LoginRequest::LEN)
                .map(|frame| frame.map(|frame| (frame.consumed, ClientPacket::decode(&frame).ok())));
            match packet {
                Ok(Some((_, Some(ClientPacket::LoginRequest(login))))) => break login,
                Ok(None) => {}
                // Heartbeats and debug text may come before; anything else may not.
                Ok(Some((length, Some(ClientPacket::Heartbeat | ClientPacket::Debug(_))))) => {
                    input.drain(..length);
                }
                Ok(Some(_)) | Err(_) => {
                    self.state = State::Gone;
                    return false;
                }
            }
            if self.came >= BEFORE_LOGIN_MAX {
                self.state = State::Gone;
                return false;
            }
        };
        self.log_in(login, token, doors, session, now);
        false
    }

    /// There is room for its login to be verified, if it waits for that.
    pub(super) fn try_again(&mut self, token: usize, doors: &mut Doors, session: Session, now: Instant) {
        if let State::Parked(login) = self.state {
            self.log_in(login, token, doors, session, now);
        }
    }

    /// A login has been verified, which may be another's by now.
    pub(super) fn on_verdict(&mut self, verdict: &Verdict, doors: &Doors, session: Session, now: Instant) {
        let State::Verifying { ticket, login } = self.state else { return };
        if ticket != verdict.ticket {
            return;
        }
        match verdict.outcome {
            Ok(id) => self.let_in(Some(id), &login, session, now),
            Err(why) => {
                doors.refused(self.peer, login.username.as_str().as_bytes(), why);
                self.turn_away(LoginRejected::NotAuthorized, now);
            }
        }
    }

    fn log_in(
        &mut self,
        login: LoginRequest,
        token: usize,
        doors: &mut Doors,
        session: Session,
        now: Instant,
    ) {
        let shown = Login {
            protocol: Some(Protocol::Soup),
            name: &login.username.canonical(),
            password: &login.password.canonical(),
            peer: self.peer,
            token,
        };
        match doors.check(&shown, now) {
            Checked::In(id) => self.let_in(id, &login, session, now),
            Checked::Refused => self.turn_away(LoginRejected::NotAuthorized, now),
            Checked::Pending(ticket) => {
                self.state = State::Verifying { ticket, login };
                self.until = now + VERIFYING;
            }
            Checked::Parked => {
                self.state = State::Parked(login);
                self.until = self.until.max(self.opened + VERIFYING);
            }
        }
    }

    /// It is who it says. It gets a snapshot, if the session is the one that it asked for.
    fn let_in(&mut self, id: Option<SessionId>, login: &LoginRequest, session: Session, now: Instant) {
        let name = String::from_utf8_lossy(&session).into_owned();
        if login.session.is_blank() || login.session.as_str() == name.trim() {
            self.is_in = true;
            self.session = id;
            self.state = State::Waits;
            self.until = now + PATIENCE;
        } else {
            self.turn_away(LoginRejected::SessionNotAvailable, now);
        }
    }

    fn turn_away(&mut self, answer: LoginRejected, now: Instant) {
        let mut refusal = Vec::new();
        answer.encode(&mut refusal);
        self.state = State::Takes(Arc::new(refusal), 0);
        self.until = now + PATIENCE;
    }

    pub(super) fn send(&mut self, now: Instant) -> Sent {
        // Its part of a handshake may wait, too.
        if self.transport.push().is_err() {
            return Sent::Broken;
        }
        let (bytes, sent) = match &mut self.state {
            State::Takes(bytes, sent) => (bytes, sent),
            State::Leaves => return self.hear_out(),
            _ => return Sent::Blocked,
        };
        let until = bytes.len().min(*sent + TURN_BYTES);
        while *sent < until {
            match self.transport.write(&bytes[*sent..until]) {
                Ok(0) => return Sent::Broken,
                Ok(written) => {
                    *sent += written;
                    self.until = now + PATIENCE;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Sent::Blocked,
                Err(_) => return Sent::Broken,
            }
        }
        if *sent < bytes.len() {
            return Sent::Turn;
        }
        self.transport.say_end();
        if self.transport.wants_write() { Sent::Blocked } else { Sent::All }
    }

    /// It has everything. Says whether it is there to hear that.
    pub(super) fn leave(&mut self, now: Instant) -> bool {
        self.state = State::Leaves;
        self.until = now + PATIENCE;
        self.transport.socket().shutdown(Shutdown::Write).is_ok()
    }

    fn hear_out(&mut self) -> Sent {
        let mut ignored = [0; 256];
        for _ in 0..LAST_WORDS_MAX {
            match self.transport.read(&mut ignored) {
                Ok(Incoming::Drained(0)) => return Sent::Blocked,
                Ok(Incoming::More(_) | Incoming::Drained(_)) => {}
                Ok(Incoming::End) | Err(_) => return Sent::Left,
            }
        }
        Sent::Blocked
    }
}
