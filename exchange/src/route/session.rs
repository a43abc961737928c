//! One client: its connection, its ways to the pairs, and the stream that it is told.
//!
//! ```text
//! client ── requests ──▶ where does it go? ──▶ file (Sent) ──▶ link ──▶ pair
//! client ◀── synced? ◀── file (Passed, Skipped, Own) ◀── merge ◀── link ◀── pair
//! ```
//!
//! The client is told what the session's file says, in that order: a reader goes through the file, and at its end messages
//! are taken from the pairs as they come, and written down. A client that comes back begins somewhere before the end, and
//! gets the same messages, asked of the pairs again.

mod merging;
mod opening;
mod requests;

use std::{
    collections::VecDeque,
    fmt, io,
    time::{Duration, Instant},
};

use journal::Position;
use wire::soup::{LoginRejected, LoginRequest, ServerPacket};

use super::{
    account::{Account, Accounts, User},
    link::{Link, Login, Query, State},
    record::{Entry, Place, Slot, Window},
    router::Around,
    socket::Socket,
};
use crate::placement::map::PAIRS_MAX;

/// How long a connection may take to log in.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Bytes that wait for the client beyond which it gets no further messages and its requests are not read.
const OUT_MAX: usize = 256 * 1024;
/// A client that takes nothing for so long, while that much waits, is cut off.
const STUCK: Duration = Duration::from_secs(10);

/// Why a connection is closed.
#[derive(Debug)]
pub(super) enum Close {
    ByPeer,
    Logout,
    LoginTimeout,
    Silent,
    SlowConsumer(usize),
    Protocol(String),
    Refused(&'static str),
    Superseded,
    Shutdown,
    Io(io::Error),
    /// The router itself cannot go on.
    Fatal(String),
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByPeer => f.write_str("closed by the client"),
            Self::Logout => f.write_str("logged out"),
            Self::LoginTimeout => f.write_str("closed, no login in time"),
            Self::Silent => f.write_str("closed, silent for too long"),
            Self::SlowConsumer(unsent) => write!(f, "cut off, {unsent} bytes wait and it takes none"),
            Self::Protocol(what) => write!(f, "closed, {what}"),
            Self::Refused(what) => write!(f, "login refused: {what}"),
            Self::Superseded => f.write_str("closed, the same user has logged in elsewhere"),
            Self::Shutdown => f.write_str("closed, the router stops"),
            Self::Io(error) => write!(f, "closed, {error}"),
            Self::Fatal(what) => f.write_str(what),
        }
    }
}

fn protocol(error: impl fmt::Display) -> Close {
    Close::Protocol(error.to_string())
}

/// How far its login got.
enum Stage {
    AwaitingLogin,
    /// The pairs are asked.
    Opening {
        deadline: Instant,
        login: LoginRequest,
    },
    Open {
        login: LoginRequest,
    },
}

/// An account query of the client's, as it goes through the pairs.
struct Round {
    number: u64,
    /// Pairs that have not answered, a bit each.
    waiting: u64,
    /// The highest answer so far.
    next: u32,
}

/// What a turn leaves to do.
pub(super) enum Turn {
    /// Nothing until something is announced.
    Done,
    /// More of the same.
    Again,
    /// This session has to be closed first: the same user has logged in here.
    Supersede(usize),
}

/// See the module.
pub(super) struct Session {
    pub(super) client: Socket,
    stage: Stage,
    opened: Instant,
    /// By slot.
    links: Vec<Link>,
    /// The generation of the placement map that `links` are of.
    generation: u64,
    /// How far the client is told.
    cursor: Place,
    window: Window,
    rounds: VecDeque<Round>,
    round_numbers: u64,
    /// The link whose turn it is.
    turn: usize,
    /// Bytes of the session's file that are safe, and those that are being made so.
    pub(super) synced: u64,
    syncing: u64,
}

impl Session {
    pub(super) fn new(client: Socket, now: Instant) -> Self {
        Self {
            client,
            stage: Stage::AwaitingLogin,
            opened: now,
            links: Vec::new(),
            generation: 0,
            cursor: Place::START,
            window: Window::default(),
            rounds: VecDeque::new(),
            round_numbers: 0,
            turn: 0,
            synced: 0,
            syncing: 0,
        }
    }

    /// Who is logged in, or wants to be.
    pub(super) fn user(&self) -> Option<User> {
        match &self.stage {
            Stage::AwaitingLogin => None,
            Stage::Opening { login, .. } | Stage::Open { login } => Some(login.username.canonical()),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open { .. })
    }

    /// The system announces something of the client's connection (0), or of a link's (its slot and 1).
    pub(super) fn announced(&mut self, which: usize, readable: bool, writable: bool) {
        match which.checked_sub(1) {
            None => self.client.announced(readable, writable),
            Some(slot) => {
                if let Some(link) = self.links.get_mut(slot) {
                    link.announced(readable, writable);
                }
            }
        }
    }

    /// Ends everything.
    pub(super) fn close(mut self, registry: &mio::Registry) {
        for link in &mut self.links {
            link.close(registry);
        }
        self.client.close(registry);
    }

    /// Tells the client that the session ends here, as far as it takes it.
    pub(super) fn farewell(&mut self) {
        if self.is_open() {
            ServerPacket::EndOfSession.encode(self.client.outbox.buffer());
            self.client.outbox.mark(Position(0));
            // The peer may be gone already.
            let _ = self.client.flush(Position(self.synced));
        }
    }

    /// Does what there is to do.
    ///
    /// # Errors
    /// Why the client's connection ends.
    pub(super) fn turn(&mut self, accounts: &mut Accounts, around: &mut Around<'_>) -> Result<Turn, Close> {
        let mut again = self.client.read(around.scratch).map_err(Close::Io)?;
        if matches!(self.stage, Stage::AwaitingLogin) {
            self.await_login(accounts, around)?;
        }
        for slot in 0..self.links.len() {
            again |= self.serve_link(slot, accounts, around)?;
        }
        if let Stage::Opening { deadline, login } = self.stage {
            let user = login.username.canonical();
            if self.links.iter().any(|link| link.state() != State::Down)
                && let Some(other) = accounts.holder(user).filter(|other| *other != around.index)
            {
                return Ok(Turn::Supersede(other));
            }
            if self.is_decided(deadline, around.now)? {
                self.open(login, accounts, around)?;
                again = true;
            }
        }
        if let Stage::Open { login } = self.stage
            && let Some(account) = accounts.get_mut(login.username.canonical())
        {
            self.follow_map(account, around);
            self.requests(account, around)?;
            again |= self.merge(account, around)?;
            account.record.write().map_err(|error| Close::Fatal(format!("a session's file: {error}")))?;
            let written = account.record.written();
            if self.synced < written && self.syncing <= self.synced {
                self.syncing = written;
                around.sync(account.record.file(), written);
            }
        }
        for slot in 0..self.links.len() {
            if let Err(error) = self.links[slot].flush() {
                self.lose(slot, &error.to_string(), accounts, around);
            }
        }
        let gone = self.client.ended && self.client.packet().is_ok_and(|packet| packet.is_none());
        let was_full = self.client.outbox.len() >= OUT_MAX;
        self.client.flush(Position(self.synced)).map_err(Close::Io)?;
        again |= was_full && self.client.outbox.len() < OUT_MAX;
        if gone {
            return Err(Close::ByPeer);
        }
        again |= self.client.can_read() && self.client.packet().is_ok_and(|packet| packet.is_none());
        Ok(if again { Turn::Again } else { Turn::Done })
    }

    /// Heartbeats and deadlines.
    ///
    /// # Errors
    /// The client's deadline that has passed.
    pub(super) fn tick(&mut self, accounts: &mut Accounts, around: &mut Around<'_>) -> Result<(), Close> {
        let now = around.now;
        let waited = |since: Instant| now.saturating_duration_since(since);
        for slot in 0..self.links.len() {
            if let Err(why) = self.links[slot].tick(now) {
                self.lose(slot, &why, accounts, around);
            }
        }
        if !self.is_open() {
            return if waited(self.opened) > LOGIN_TIMEOUT { Err(Close::LoginTimeout) } else { Ok(()) };
        }
        if waited(self.client.heard) > SILENCE_MAX && self.client.is_drained() {
            return Err(Close::Silent);
        }
        let unsent = self.client.outbox.unsent();
        if unsent >= OUT_MAX && waited(self.client.sent()) > STUCK {
            return Err(Close::SlowConsumer(unsent));
        }
        if self.client.is_quiet(now) {
            ServerPacket::Heartbeat.encode(self.client.outbox.buffer());
            self.client.outbox.mark(Position(0));
        }
        Ok(())
    }

    /// Takes in a newer placement map: pairs that are new, and new addresses.
    fn follow_map(&mut self, account: &mut Account, around: &Around<'_>) {
        let Some(map) = around.map.filter(|map| map.generation != self.generation) else { return };
        self.generation = map.generation;
        for link in &mut self.links {
            link.addresses = map.pairs.get(&link.name).cloned().unwrap_or_default();
        }
        for (name, addresses) in &map.pairs {
            if self.links.iter().any(|link| link.name == *name) || self.links.len() == PAIRS_MAX {
                continue;
            }
            account.record.append(&Entry::Pair(name.clone()), &mut self.cursor);
            self.links.push(Link::new(self.links.len(), name.clone(), addresses.clone(), around.now));
        }
    }

    /// Reads a link and goes on with its login. Says whether anything was done.
    fn serve_link(
        &mut self,
        slot: Slot,
        accounts: &mut Accounts,
        around: &mut Around<'_>,
    ) -> Result<bool, Close> {
        let (Stage::Opening { login, .. } | Stage::Open { login }) = self.stage else { return Ok(false) };
        let taken = self.cursor.taken_of(slot);
        let token = around.token(1 + slot);
        let link = &mut self.links[slot];
        link.connect(around.registry, token, around.now);
        let came = match link.read(around.scratch) {
            Ok(came) => came,
            Err(error) => {
                self.lose(slot, &error.to_string(), accounts, around);
                return Ok(true);
            }
        };
        match link.advance(&login, taken, around.registry, token, around.now) {
            Ok(Login::UnderWay) => Ok(came || link.can_read()),
            Ok(Login::In) => {
                if self.is_open()
                    && let Some(account) = accounts.get_mut(login.username.canonical())
                {
                    self.ask_anew(slot, account);
                }
                Ok(true)
            }
            Ok(Login::Refused(reason)) if !self.is_open() => {
                let why = match reason {
                    LoginRejected::NotAuthorized => "a pair does not know the user or the password",
                    LoginRejected::SessionNotAvailable => "a pair has not got the messages any more",
                };
                log::warn!("pair {}: refuses a login: {why}", self.links[slot].name);
                self.refuse_login(reason, why).map(|()| false)
            }
            Ok(Login::Refused(reason)) => {
                self.lose(slot, &format!("refuses the login: {reason:?}"), accounts, around);
                Ok(true)
            }
            Err(why) => {
                self.lose(slot, &why, accounts, around);
                Ok(true)
            }
        }
    }

    /// A link that is logged in anew asks what of the orders that were under way has been taken.
    fn ask_anew(&mut self, slot: Slot, account: &Account) {
        let asked_behind = account.numbers.last_under_way(slot);
        self.links[slot].ask(Query { asked_behind, round: None });
    }

    /// A link is down.
    fn lose(&mut self, slot: Slot, why: &str, accounts: &mut Accounts, around: &Around<'_>) {
        match self.stage {
            Stage::Open { login } => {
                if let Some(account) = accounts.get_mut(login.username.canonical()) {
                    self.lose_of(slot, why, account, around);
                }
            }
            _ => self.links[slot].fail(around.registry, around.now, why),
        }
    }

    /// The same of a client that is in: account queries do not wait for it.
    fn lose_of(&mut self, slot: Slot, why: &str, account: &mut Account, around: &Around<'_>) {
        let link = &mut self.links[slot];
        link.fail(around.registry, around.now, why);
        link.queries.clear();
        let next = account.numbers.next_after(slot);
        for round in &mut self.rounds {
            if round.waiting & (1 << slot) != 0 {
                round.waiting &= !(1 << slot);
                round.next = round.next.max(next);
            }
        }
        self.finish_rounds(account);
    }
}
