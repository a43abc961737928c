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

use std::{
    collections::VecDeque,
    fmt, io,
    time::{Duration, Instant},
};

use domain::Symbol;
use journal::Position;
use wire::{
    ouch::{Elsewhere, Inbound, Outbound, outbound},
    soup::{self, ClientPacket, Frame, LoginAccepted, LoginRejected, LoginRequest, ServerPacket},
};

use super::{
    account::{Account, Accounts, User},
    link::{Link, Login, Query, Said, State},
    reasons,
    record::{Entry, Place, Slot, Window},
    router::Around,
    socket::{PAYLOAD_MAX, Socket},
};
use crate::placement::map::{PAIRS_MAX, PlacementMap};

/// How long a connection may take to log in.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long a login waits for pairs that do not answer, once another one has.
const OPENING: Duration = Duration::from_secs(3);
/// Bytes that wait for the client beyond which it gets no further messages and its requests are not read.
const OUT_MAX: usize = 256 * 1024;
/// A client that takes nothing for so long, while that much waits, is cut off.
const STUCK: Duration = Duration::from_secs(10);
/// Messages that one turn tells, at most.
const TURN_MESSAGES: usize = 512;
/// Account queries under way.
const ROUNDS_MAX: usize = 16;

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

    fn await_login(&mut self, accounts: &Accounts, around: &Around<'_>) -> Result<(), Close> {
        while let Some(packet) = self.client.packet().map_err(protocol)? {
            let frame = Frame { kind: packet.kind, payload: self.client.payload(packet), consumed: 0 };
            let decoded = ClientPacket::decode(&frame).map_err(protocol)?;
            match decoded {
                ClientPacket::LoginRequest(login) => {
                    self.client.use_up(packet);
                    return self.begin(login, accounts, around);
                }
                ClientPacket::Heartbeat | ClientPacket::Debug(_) => self.client.use_up(packet),
                ClientPacket::LogoutRequest => return Err(Close::Logout),
                ClientPacket::Unsequenced(_) => return Err(protocol("a request before the login")),
            }
        }
        Ok(())
    }

    /// A login: where in the session's stream it begins, and whom it needs for that.
    fn begin(&mut self, login: LoginRequest, accounts: &Accounts, around: &Around<'_>) -> Result<(), Close> {
        let account = accounts.get(login.username.canonical());
        let named = account.map(|account| account.record.session());
        if !login.session.is_blank() && Some(login.session) != named {
            return self.refuse_login(LoginRejected::SessionNotAvailable, "no such session");
        }
        // Who goes on must say with what: a session whose file was lost begins anew, under another name.
        if login.session.is_blank() && login.sequence > 1 {
            return self.refuse_login(
                LoginRejected::SessionNotAvailable,
                "it asks for a later message and does not say of which session",
            );
        }
        if let Some(account) = account {
            let told = if login.sequence == 0 { u64::MAX } else { login.sequence - 1 };
            self.cursor = account
                .record
                .place(told)
                .map_err(|error| Close::Fatal(format!("a session's file: {error}")))?;
        }
        let Some(map) = around.map else {
            return self.refuse_login(LoginRejected::SessionNotAvailable, "there is no placement map yet");
        };
        let known = account.map(|account| account.record.pairs()).unwrap_or_default();
        for name in known.iter().chain(map.pairs.keys().filter(|name| !known.contains(name))) {
            let addresses = map.pairs.get(name).cloned().unwrap_or_default();
            self.links.push(Link::new(self.links.len(), name.clone(), addresses, around.now));
        }
        if self.links.len() > PAIRS_MAX {
            return self.refuse_login(LoginRejected::SessionNotAvailable, "it has known too many pairs");
        }
        self.generation = map.generation;
        self.stage = Stage::Opening { deadline: around.now + OPENING, login };
        Ok(())
    }

    fn refuse_login(&mut self, reason: LoginRejected, why: &'static str) -> Result<(), Close> {
        reason.encode(self.client.outbox.buffer());
        self.client.outbox.mark(Position(0));
        // The peer may be gone already.
        let _ = self.client.flush(Position(0));
        Err(Close::Refused(why))
    }

    /// Whether enough is known of the pairs to let the client in.
    fn is_decided(&mut self, deadline: Instant, now: Instant) -> Result<bool, Close> {
        let all = self.links.iter().all(Link::is_decided);
        if !all && now < deadline {
            return Ok(false);
        }
        if self.links.iter().any(|link| link.state() != State::Down) {
            return Ok(true);
        }
        self.refuse_login(LoginRejected::SessionNotAvailable, "no pair can be reached").map(|()| false)
    }

    /// The client is in.
    fn open(
        &mut self,
        login: LoginRequest,
        accounts: &mut Accounts,
        around: &mut Around<'_>,
    ) -> Result<(), Close> {
        let user = login.username.canonical();
        let account = accounts.hold(user, around.index).map_err(Close::Fatal)?;
        // A login of the same user may have been quicker, and have written down other pairs.
        let known = account.record.pairs();
        if known.len() > self.links.len()
            || known.iter().zip(&self.links).any(|(name, link)| *name != link.name)
        {
            return self.refuse_login(LoginRejected::SessionNotAvailable, "another login was quicker");
        }
        for link in &self.links[known.len()..] {
            account.record.append(&Entry::Pair(link.name.clone()), &mut self.cursor);
        }
        self.synced = account.synced;
        LoginAccepted { session: account.record.session(), sequence: self.cursor.told + 1 }
            .encode(self.client.outbox.buffer());
        self.client.outbox.mark(Position(0));
        log::info!(
            "{} {}: logged in, next message {} of {}",
            self.client.peer(),
            login.username,
            self.cursor.told + 1,
            account.record.end().told + 1
        );
        self.stage = Stage::Open { login };
        for slot in 0..self.links.len() {
            if self.links[slot].state() == State::Asking {
                self.ask_anew(slot, account);
            }
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

    /// Acts on the client's requests, up to one that has to wait.
    fn requests(&mut self, account: &mut Account, around: &mut Around<'_>) -> Result<(), Close> {
        while self.client.outbox.len() < OUT_MAX
            && let Some(packet) = self.client.packet().map_err(protocol)?
        {
            let frame = Frame { kind: packet.kind, payload: self.client.payload(packet), consumed: 0 };
            match ClientPacket::decode(&frame).map_err(protocol)? {
                ClientPacket::Unsequenced(message) => {
                    let mut bytes = [0; PAYLOAD_MAX];
                    let length = message.len();
                    bytes[..length].copy_from_slice(message);
                    if !self.request(&bytes[..length], account, around)? {
                        return Ok(());
                    }
                }
                ClientPacket::Heartbeat | ClientPacket::Debug(_) => {}
                ClientPacket::LogoutRequest => return Err(Close::Logout),
                ClientPacket::LoginRequest(_) => return Err(protocol("a second login on one connection")),
            }
            self.client.use_up(packet);
        }
        Ok(())
    }

    /// Acts on one request. False when it has to wait.
    fn request(
        &mut self,
        bytes: &[u8],
        account: &mut Account,
        around: &mut Around<'_>,
    ) -> Result<bool, Close> {
        let inbound = match Inbound::decode(bytes) {
            Ok(inbound) => inbound,
            Err(error) => {
                // Tell the client what is wrong before the connection closes: it cannot be matched to an order.
                ServerPacket::Debug(error.to_string().as_bytes()).encode(self.client.outbox.buffer());
                self.client.outbox.mark(Position(0));
                let _ = self.client.flush(Position(self.synced));
                return Err(protocol(error));
            }
        };
        Ok(match inbound {
            Inbound::EnterOrder(enter) => {
                let order = (enter.user_ref, enter.client_order_id);
                match self.destination(enter.symbol, around) {
                    Ok(slot) => self.order(slot, order, bytes, account),
                    Err(_) if account.numbers.is_repetition(usize::MAX, enter.user_ref) => true,
                    Err(reason) => self.refuse(order, reason, account),
                }
            }
            Inbound::ReplaceOrder(replace) => {
                let order = (replace.user_ref, replace.client_order_id);
                match account.numbers.home(replace.original) {
                    Some(slot) => self.order(slot, order, bytes, account),
                    None => self.replace_anywhere(order, bytes, account),
                }
            }
            Inbound::CancelOrder(cancel) => self.reduce(cancel.user_ref, bytes, account),
            Inbound::ModifyOrder(modify) => self.reduce(modify.user_ref, bytes, account),
            Inbound::AccountQuery => self.query(account),
        })
    }

    /// The pair that an order for `symbol` goes to; or why it goes to none.
    fn destination(&self, symbol: [u8; 8], around: &Around<'_>) -> Result<Slot, u16> {
        let map: &PlacementMap = around.map.ok_or(reasons::STALE)?;
        let symbol = Symbol::from_padded(symbol).ok_or(reasons::UNKNOWN)?;
        let (pair, _) = map.home(symbol).ok_or(reasons::UNKNOWN)?;
        if around.stale.get(&symbol).is_some_and(|newer| *newer > map.generation) {
            return Err(reasons::STALE);
        }
        let link = self.links.iter().find(|link| link.name == *pair).ok_or(reasons::UNREACHABLE)?;
        Ok(link.slot)
    }

    /// Sends what uses up a number to its pair, or refuses it. False when it has to wait.
    fn order(&mut self, slot: Slot, order: (u32, [u8; 14]), bytes: &[u8], account: &mut Account) -> bool {
        let (user_ref, client_order_id) = order;
        if account.numbers.is_repetition(slot, user_ref) {
            return true;
        }
        let link = &mut self.links[slot];
        match link.state() {
            State::Down => return self.refuse(order, reasons::UNREACHABLE, account),
            State::Asking => return false,
            State::Ready => {}
        }
        if account.numbers.under_way(slot) >= super::numbers::UNDER_WAY_MAX || link.is_full() {
            if link.queries.is_empty() {
                let asked_behind = account.numbers.last_under_way(slot);
                link.ask(Query { asked_behind, round: None });
            }
            return false;
        }
        account.record.append(&Entry::Sent { slot, user_ref, client_order_id }, &mut self.cursor);
        account.numbers.sent(slot, user_ref, client_order_id);
        link.send(bytes);
        true
    }

    /// A replacement of an order whose pair is not remembered: the pair that has it will know it.
    fn replace_anywhere(&mut self, order: (u32, [u8; 14]), bytes: &[u8], account: &mut Account) -> bool {
        if account.numbers.is_repetition(usize::MAX, order.0) {
            return true;
        }
        if self.links.iter().any(|link| link.state() == State::Asking || link.is_full()) {
            return false;
        }
        if self.links.iter().any(|link| link.state() == State::Down) {
            return self.refuse(order, reasons::UNREACHABLE, account);
        }
        for link in &mut self.links {
            link.send(bytes);
        }
        true
    }

    /// A cancel or a modification goes to the pair of its order, or to all if that is not remembered.
    fn reduce(&mut self, user_ref: u32, bytes: &[u8], account: &mut Account) -> bool {
        let home = account.numbers.home(user_ref);
        let concerned = |link: &&mut Link| home.is_none_or(|slot| link.slot == slot);
        let waits = |link: &mut Link| link.state() == State::Asking || link.is_full();
        if self.links.iter_mut().filter(concerned).any(waits) {
            return false;
        }
        let mut down = false;
        for link in self.links.iter_mut().filter(concerned) {
            match link.state() {
                State::Ready => link.send(bytes),
                _ => down = true,
            }
        }
        if down {
            let mut message = Vec::with_capacity(outbound::CancelReject::LEN);
            outbound::CancelReject { timestamp: super::since_midnight(), user_ref }.encode(&mut message);
            self.say(message, account);
        }
        true
    }

    /// An account query goes to all pairs, and is answered once.
    fn query(&mut self, account: &mut Account) -> bool {
        let waits = |link: &Link| link.state() == State::Asking || link.is_full();
        if self.rounds.len() >= ROUNDS_MAX || self.links.iter().any(waits) {
            return false;
        }
        self.round_numbers += 1;
        let mut round = Round { number: self.round_numbers, waiting: 0, next: 1 };
        for link in &mut self.links {
            if link.state() == State::Ready {
                let asked_behind = account.numbers.last_under_way(link.slot);
                link.ask(Query { asked_behind, round: Some(round.number) });
                round.waiting |= 1 << link.slot;
            } else {
                round.next = round.next.max(account.numbers.next_after(link.slot));
            }
        }
        self.rounds.push_back(round);
        self.finish_rounds(account);
        true
    }

    /// Answers the account queries that every pair has answered.
    fn finish_rounds(&mut self, account: &mut Account) {
        while self.rounds.front().is_some_and(|round| round.waiting == 0)
            && let Some(round) = self.rounds.pop_front()
        {
            let next_user_ref = round.next.max(account.numbers.next_after_refused());
            let mut message = Vec::with_capacity(outbound::AccountQueryResponse::LEN);
            outbound::AccountQueryResponse { timestamp: super::since_midnight(), next_user_ref }
                .encode(&mut message);
            self.say(message, account);
        }
    }

    /// Refuses an order in the router's own name; its number is used up. True, for it is done.
    fn refuse(&mut self, order: (u32, [u8; 14]), reason: u16, account: &mut Account) -> bool {
        let (user_ref, client_order_id) = order;
        let mut message = Vec::with_capacity(outbound::Rejected::LEN);
        outbound::Rejected { timestamp: super::since_midnight(), user_ref, reason, client_order_id }
            .encode(&mut message);
        account.numbers.refuse(user_ref);
        self.say(message, account);
        true
    }

    /// Puts a message of the router's own at the end of the stream.
    fn say(&mut self, message: Vec<u8>, account: &mut Account) {
        let entry = Entry::Own(message);
        if account.record.append(&entry, &mut self.cursor)
            && let Entry::Own(message) = &entry
        {
            tell(&mut self.client, message, self.cursor.offset);
        }
    }

    /// Tells the client what its file says and what pairs say. Says whether there may be more to tell now.
    fn merge(&mut self, account: &mut Account, around: &mut Around<'_>) -> Result<bool, Close> {
        let broken = |error: io::Error| Close::Fatal(format!("a session's file: {error}"));
        for _ in 0..TURN_MESSAGES {
            if self.client.outbox.len() >= OUT_MAX {
                return Ok(false);
            }
            if self.cursor.offset < account.record.end().offset {
                let slot = match account.record.peek(&mut self.window, &self.cursor).map_err(broken)? {
                    Entry::Passed(slot) | Entry::Skipped(slot) => Some(slot),
                    _ => None,
                };
                let said = match slot {
                    None => None,
                    Some(slot) => match self.hear(slot, account, around) {
                        Some(said) => Some((slot, said)),
                        None => return Ok(false), // it is the next one, and no other may come before it
                    },
                };
                let entry = account.record.next(&mut self.window, &mut self.cursor).map_err(broken)?;
                match (entry, said) {
                    (Some(Entry::Passed(_)), Some((slot, said))) => {
                        tell(&mut self.client, said.bytes(), self.cursor.offset);
                        self.links[slot].use_up(&said);
                    }
                    (Some(Entry::Skipped(_)), Some((slot, said))) => self.links[slot].use_up(&said),
                    (Some(Entry::Own(message)), _) => tell(&mut self.client, &message, self.cursor.offset),
                    _ => {}
                }
                continue;
            }
            let links = self.links.len();
            let first = self.turn;
            let next = (0..links).map(|index| (first + index) % links).find_map(|slot| {
                let said = self.hear(slot, account, around)?;
                Some((slot, said))
            });
            let Some((slot, said)) = next else { return Ok(false) };
            self.turn = (slot + 1) % links;
            self.take(slot, &said, account);
        }
        Ok(true)
    }

    /// The next message of a pair; `None` when there is none yet.
    fn hear(&mut self, slot: Slot, account: &mut Account, around: &mut Around<'_>) -> Option<Said> {
        loop {
            let said = match self.links.get_mut(slot)?.next() {
                Ok(said) => said?,
                Err(why) => {
                    self.lose_of(slot, &why, account, around);
                    return None;
                }
            };
            let why = if said.is_message {
                match Outbound::decode(said.bytes()) {
                    Ok(_) => return Some(said),
                    Err(error) => format!("no message: {error}"),
                }
            } else {
                match Elsewhere::decode(said.bytes()) {
                    Ok(elsewhere) => {
                        around.refused_elsewhere(&elsewhere);
                        self.links[slot].use_up(&said);
                        continue;
                    }
                    Err(error) => format!("no message: {error}"),
                }
            };
            self.lose_of(slot, &why, account, around);
            return None;
        }
    }

    /// Takes a new message of a pair into the stream.
    fn take(&mut self, slot: Slot, said: &Said, account: &mut Account) {
        let number = self.cursor.taken_of(slot) + 1;
        self.links[slot].use_up(said);
        match Outbound::decode(said.bytes()) {
            Ok(Outbound::AccountQueryResponse(answer)) => {
                account.record.append(&Entry::Skipped(slot), &mut self.cursor);
                let link = &mut self.links[slot];
                // What an earlier connection has asked is answered to nobody.
                if number >= link.boundary
                    && let Some(query) = link.queries.pop_front()
                {
                    self.answered(slot, query, answer.next_user_ref, account);
                }
                return;
            }
            Ok(Outbound::Accepted(accepted)) => account.numbers.used(slot, accepted.user_ref),
            Ok(Outbound::Replaced(replaced)) => account.numbers.used(slot, replaced.user_ref),
            Ok(Outbound::Rejected(rejected)) => account.numbers.used(slot, rejected.user_ref),
            _ => {}
        }
        account.record.append(&Entry::Passed(slot), &mut self.cursor);
        tell(&mut self.client, said.bytes(), self.cursor.offset);
    }

    /// A pair has said which number is next.
    fn answered(&mut self, slot: Slot, query: Query, next: u32, account: &mut Account) {
        let left = account.numbers.next_is(slot, next, query.asked_behind);
        if std::mem::take(&mut self.links[slot].is_fresh) {
            for order in left {
                self.refuse((order.user_ref, order.client_order_id), reasons::UNREACHABLE, account);
            }
        }
        if let Some(number) = query.round
            && let Some(round) = self.rounds.iter_mut().find(|round| round.number == number)
        {
            round.waiting &= !(1 << slot);
            round.next = round.next.max(next);
        }
        self.finish_rounds(account);
    }
}

/// Gives the client a message, once the file is safe up to `offset`.
fn tell(client: &mut Socket, message: &[u8], offset: u64) {
    let Ok(()) = soup::sequenced(client.outbox.buffer(), |out| {
        out.extend_from_slice(message);
        Ok::<(), std::convert::Infallible>(())
    });
    client.outbox.mark(Position(offset));
}
