//! The poll loop: connections in, requests to the venue, reports out.
//!
//! One turn, driven by the owner of the front thread:
//! 1. [`Gateway::poll`] waits for sockets (or for the waker) and notes which are ready;
//! 2. [`Gateway::receive`] reads ready connections in turn, each once, and sequences what is in there, until the turn has
//!    enough; then what waits for a busy book goes on, or is refused, as [`crate::admission`] says;
//! 3. the owner lets the books run, and gives each event to [`Gateway::on_event`], which numbers and encodes;
//! 4. the owner commits the log, and [`Gateway::send`] sends what the gate lets through.
//!
//! A request that finds no room in a ring, in the log or among those that wait stays in its connection's buffer, and the
//! connection is not read until it fits: back-pressure reaches the client through TCP, and no other connection waits.

mod absent;
mod catch_up;
mod copies;
mod fix;
mod login;
mod mass_cancel;
mod pace;
mod requests;
mod ticking;

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{Event, Nanos, Report, SessionId, UserName};
use door::{
    ServerConfig,
    auth::{Credentials, Network, User, UsersFeed},
    lobby::Lobby,
    transport::{Incoming, Transport},
};
use journal::Position;
use log::{info, warn};
use mio::{
    Events, Interest, Poll, Token, Waker,
    net::{TcpListener, TcpStream},
};
use wire::soup::{self, ClientPacket, ServerPacket, SessionName};

pub use self::fix::FixVenue;
use self::requests::Request;
pub(crate) use self::{fix::has_message, mass_cancel::MASS_CANCEL_INTERVAL};
use crate::{
    admission::Admission,
    connection::{Close, Connection, Stage},
    egress::{Deliver, Named},
    limits::{GatewayStats, Limits},
    placement::{Here, PlacementFeed},
    sessions::Sessions,
    venue::{Instruments, Venue},
};

/// The largest payload that a client may send: the longest request with every option is well below it.
const PAYLOAD_MAX: usize = 512;
/// Bytes that one read takes at most.
const READ_MAX: usize = 128 * 1024;
/// Unused bytes beyond which a connection is not read.
const INBOX_MAX: usize = 128 * 1024;
/// Bytes that are taken of a client that has not logged in: a login, and what it sends right behind.
const BEFORE_LOGIN_MAX: usize = 4 * 1024;

/// Requests after which a turn takes no further connection: what it has is executed, committed and answered first, and
/// the disk works on it while the next turn runs.
const TURN_REQUESTS: u64 = 48;

const LISTENER: Token = Token(usize::MAX);
const FIX_LISTENER: Token = Token(usize::MAX - 2);
const WAKER: Token = Token(usize::MAX - 1);

/// Sockets and sessions.
pub struct Gateway {
    poll: Poll,
    ready: Events,
    waker: Arc<Waker>,
    listener: TcpListener,
    address: SocketAddr,
    /// What the listener shows its clients, if they come by TLS.
    tls: Option<Arc<ServerConfig>>,
    /// A handshake has been gone on with in this turn.
    shook_hands: bool,
    /// Where clients that speak FIX come, and what the venue is to them.
    fix_listener: Option<TcpListener>,
    fix_venue: Option<Arc<FixVenue>>,
    /// The next session whose numbers begin anew if they began before this time, while that is under way.
    rolling_over: Option<(SessionId, Nanos)>,
    /// What those who speak FIX are being told, the oldest first.
    news: VecDeque<fix::News>,
    signed: crate::fix::Signed,
    /// Who is away and wants nothing in the books then.
    absent: BTreeMap<domain::SessionId, absent::Absent>,
    /// As `tls`.
    fix_tls: Option<Arc<ServerConfig>>,
    accepting: bool,
    /// The last attempt to accept failed, for want of file descriptors most likely. Whoever waits is announced only
    /// once, so the next attempt is ours to make.
    accept_again: bool,
    limits: Limits,
    session_name: SessionName,
    credentials: Credentials,
    /// Where newer users are left, and how many times they had been when it was looked last.
    users: Option<(Arc<UsersFeed>, u64)>,
    lobby: Lobby,
    /// Connections whose login waits for room among those that are verified.
    parked: VecDeque<usize>,
    instruments: Instruments,
    /// Which instruments live here; all, if there is no placement.
    here: Option<Here>,
    sessions: Sessions,
    /// Of each session, by its index: whose it is.
    names: Vec<UserName>,
    /// Who is told of whose orders may not be as the users have it.
    copies_due: bool,
    /// By token.
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Requests that wait for their books. They are their sessions', whatever becomes of a connection.
    admission: Admission<Request<'static>>,
    /// A pass over what waits is under way, for it had no room or no time left in the last turn.
    admitting: bool,
    /// Something has been sequenced that books may not see yet.
    unpublished: bool,
    /// From when on a session that has had a mass cancel may have another one.
    mass_cancel_next: BTreeMap<SessionId, Nanos>,
    /// The connection of each session that has one.
    by_session: Vec<Option<usize>>,
    /// Connections with something to read or to use, in turn.
    to_serve: VecDeque<usize>,
    /// Connections with something new in the outbox.
    dirty: Vec<usize>,
    /// Connections whose client is behind and reads the log.
    catching_up: VecDeque<usize>,
    /// Connections whose client has asked for more than one message says, and is answered in pieces.
    answering: VecDeque<usize>,
    /// How fast they are given it.
    pace: pace::Pace,
    scratch: Vec<u8>,
    /// What a FIX session says, for as long as it takes to number it.
    fix_out: Vec<u8>,
    checker: Box<wire::fix::Checker>,
    last_tick: Instant,
    /// The next connection to be looked at for what time brings, while that is under way.
    ticking: Option<usize>,
    stats: GatewayStats,
}

impl Gateway {
    /// Listens at `address`, for these users.
    ///
    /// # Errors
    /// When the address cannot be had, or the system gives no thread or no random bytes for logins.
    pub fn bind(
        address: SocketAddr,
        limits: Limits,
        session_name: SessionName,
        users: Vec<User>,
        instruments: Instruments,
        sessions: Sessions,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = listen(address, &limits)?;
        let address = listener.local_addr()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let credentials = Credentials::new(users, Arc::clone(&waker))?;
        let by_session = vec![None; sessions.len()];
        let admission = Admission::new(limits.admission, instruments.as_slice().len(), sessions.len());
        let mut gateway = Self {
            poll,
            ready: Events::with_capacity(1_024),
            waker,
            listener,
            address,
            tls: None,
            shook_hands: false,
            fix_listener: None,
            fix_venue: None,
            rolling_over: None,
            news: VecDeque::new(),
            signed: crate::fix::Signed::default(),
            absent: BTreeMap::new(),
            fix_tls: None,
            accepting: true,
            accept_again: false,
            limits,
            session_name,
            credentials,
            users: None,
            lobby: Lobby::new(limits.lobby),
            parked: VecDeque::new(),
            instruments,
            here: None,
            names: sessions.iter().map(|(_, session)| session.user).collect(),
            copies_due: false,
            sessions,
            connections: Vec::new(),
            free: Vec::new(),
            admission,
            admitting: false,
            unpublished: false,
            mass_cancel_next: BTreeMap::new(),
            by_session,
            to_serve: VecDeque::new(),
            dirty: Vec::new(),
            catching_up: VecDeque::new(),
            answering: VecDeque::new(),
            pace: pace::Pace::new(limits.resend_per_second, Instant::now()),
            scratch: vec![0; READ_MAX],
            fix_out: Vec::new(),
            checker: Box::default(),
            last_tick: Instant::now(),
            ticking: None,
            stats: GatewayStats::default(),
        };
        gateway.all_are_absent();
        Ok(gateway)
    }

    /// Listens for clients that speak FIX at `address` too. Gives where.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn listen_fix(
        &mut self,
        address: SocketAddr,
        venue: FixVenue,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<SocketAddr> {
        let mut listener = listen(address, &self.limits)?;
        let address = listener.local_addr()?;
        self.poll.registry().register(&mut listener, FIX_LISTENER, Interest::READABLE)?;
        self.fix_listener = Some(listener);
        self.fix_venue = Some(Arc::new(venue));
        self.fix_tls = tls;
        Ok(address)
    }

    /// Takes orders only for instruments that live here, by what is left in `feed`.
    pub fn place(&mut self, feed: Arc<PlacementFeed>) {
        self.here = Some(Here::new(feed, &self.instruments));
    }

    /// Takes clients by TLS only, from now on.
    pub fn serve_tls(&mut self, config: Arc<ServerConfig>) {
        self.tls = Some(config);
    }

    /// Opens connections only for who comes from these networks; for whoever comes, if there are none.
    pub fn allow(&mut self, networks: Vec<Network>) {
        self.lobby.allow(networks);
    }

    /// Takes other users when some are left in `feed`.
    pub fn follow_users(&mut self, feed: Arc<UsersFeed>) {
        self.users = Some((feed, 0));
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends a [`poll`](Self::poll) from any thread.
    #[must_use]
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// What has been done.
    #[must_use]
    pub fn stats(&self) -> GatewayStats {
        let connections = self.connections.iter().flatten().count();
        let logged_in = self.by_session.iter().flatten().count();
        GatewayStats {
            connections,
            logged_in,
            admission: self.admission.stats(),
            lobby: self.lobby.stats(),
            auth: self.credentials.stats(),
            ..self.stats
        }
    }

    /// The sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The instruments.
    #[must_use]
    pub fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    /// Whether there is something to do without waiting for a socket.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.to_serve.is_empty()
            || (self.is_behind() && self.pace.wait(Instant::now()).is_zero())
            || (self.accepting && (self.rolling_over.is_some() || !self.news.is_empty()))
            || self.ticking.is_some()
    }

    /// Whether a client is to be given more than it has been given so far.
    fn is_behind(&self) -> bool {
        !self.catching_up.is_empty() || (self.accepting && !self.answering.is_empty())
    }

    /// Whether requests wait for their books.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        !self.admission.is_empty()
    }

    /// When the order that has waited longest has waited too long; `None` when none waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        self.admission.deadline()
    }

    /// Whether bytes wait for the gate.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        !self.dirty.is_empty() // after `send`, only what waits for the gate is left there
    }

    /// The longest that a [`poll`](Self::poll) may wait, for heartbeats and deadlines to be kept.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let patience = if self.connections.iter().any(Option::is_some) {
            self.limits.heartbeat / 4
        } else {
            Duration::from_secs(5)
        };
        let absent = self.next_absent().map(|due| due.saturating_duration_since(Instant::now()));
        let behind = self.is_behind().then(|| self.pace.wait(Instant::now()));
        // The system's poll counts milliseconds.
        let due = [absent, behind].into_iter().flatten().min();
        due.map_or(patience, |due| patience.min(due.max(Duration::from_millis(1))))
    }

    /// Waits for a socket or the waker; `None` waits for as long as it takes.
    ///
    /// # Errors
    /// When the system's poll fails.
    pub fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.ready, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        let mut accept = false;
        for event in &self.ready {
            match event.token() {
                LISTENER | FIX_LISTENER => accept = true,
                WAKER => {}
                Token(token) => {
                    let Some(connection) = self.connections.get_mut(token).and_then(Option::as_mut) else {
                        continue;
                    };
                    // The end may come in the event of the last bytes, and makes no other: it is read for until it is seen.
                    connection.hung_up |= event.is_read_closed();
                    if event.is_readable() || event.is_read_closed() || event.is_error() {
                        connection.readable = true;
                        if !connection.listed {
                            connection.listed = true;
                            self.to_serve.push_back(token);
                        }
                    }
                    if event.is_writable() && !connection.writable {
                        connection.writable = true;
                        connection.mark_dirty(token, &mut self.dirty);
                    }
                }
            }
        }
        if accept {
            self.accept();
        }
        Ok(())
    }

    /// Reads ready connections in turn, each at most once, and sequences what came. After so many requests (48) the others wait
    /// for the next turn, where they are first. Then lets those go on that waited. Says whether anything was done.
    pub fn receive<V: Venue>(&mut self, venue: &mut V) -> bool {
        if let Some(here) = &mut self.here {
            here.look(&self.instruments);
        }
        self.look_at_logins(venue);
        self.follow_copies(venue);
        let received = self.serve_ready(venue) | self.go_on_saying(venue) | self.cancel_for_absent(venue);
        self.unpark();
        self.admit(venue) || received
    }

    /// Goes on with what takes several turns to say.
    fn go_on_saying<V: Venue>(&mut self, venue: &mut V) -> bool {
        self.accepting
            && (self.go_on_with_news(venue) | self.go_on_rolling(venue) | self.go_on_answering(venue))
    }

    fn serve_ready<V: Venue>(&mut self, venue: &mut V) -> bool {
        if !self.accepting {
            // Sockets go on to be announced; what they hold is not read any more.
            self.to_serve.clear();
            return false;
        }
        let mut done = false;
        let enough = self.stats.requests + TURN_REQUESTS;
        self.shook_hands = false;
        for _ in 0..self.to_serve.len() {
            // A step of a handshake takes as long as many requests (100 us and more), so a turn has one at most.
            if self.stats.requests >= enough || self.shook_hands {
                break; // the others are first in the next turn
            }
            let Some(token) = self.to_serve.pop_front() else { break };
            match self.serve(token, venue) {
                Ok(progress) => {
                    done |= progress;
                    let Some(connection) = self.connections[token].as_mut() else { continue };
                    // A request that found no room waits in the inbox; a complete packet cannot be there otherwise.
                    connection.listed =
                        !connection.waits_for_verdict() && (connection.readable || connection.has_whole());
                    if connection.listed {
                        self.to_serve.push_back(token);
                    }
                }
                Err(reason) => self.close(token, &reason),
            }
        }
        done
    }

    /// A book has spoken. `log` keeps a report in the session log.
    #[inline]
    pub fn on_event(&mut self, event: &Event, log: &mut dyn FnMut(&Report) -> Position) {
        let mut deliver = Deliver {
            named: Named { instruments: &self.instruments, users: &self.names },
            connections: &mut self.connections,
            by_session: &self.by_session,
            dirty: &mut self.dirty,
            catching_up: &mut self.catching_up,
            stats: &mut self.stats,
        };
        self.sessions.on_event(event, |report| deliver.report(report, log(report)));
    }

    /// Sends what the gate lets through. `committed` is the end of the log that has been committed: everything that
    /// was encoded before this call is below it. Says whether the next turn has something to go on with.
    pub fn send<V: Venue>(&mut self, venue: &mut V, committed: Position) -> bool {
        let now = Instant::now();
        let gate = venue.gate();
        let goes_on = self.catch_up(venue, gate);
        let mut broken = Vec::new();
        for at in 0..self.dirty.len() {
            let token = self.dirty[at];
            let Some(connection) = self.connections[token].as_mut() else { continue };
            connection.outbox.mark(committed);
            connection.outbox.release(gate);
            let result = if connection.writable { connection.flush(gate, now) } else { Ok(()) };
            let unsent = connection.outbox.unsent();
            match result {
                Ok(()) if unsent > self.limits.unsent_max => {
                    broken.push((token, Close::SlowConsumer { unsent }));
                }
                Ok(()) if self.said_all(token) => broken.push((token, Close::Logout)),
                Ok(()) => {}
                Err(reason) => broken.push((token, reason)),
            }
        }
        for (token, reason) in broken {
            let reason = self.take_closing(token).unwrap_or(reason);
            self.close(token, &reason);
        }
        // What waits for the gate stays listed; what waits for the socket comes back with its event.
        let connections = &mut self.connections;
        self.dirty.retain(|token| {
            let Some(connection) = connections[*token].as_mut() else { return false };
            connection.dirty = connection.outbox.is_gated();
            connection.dirty
        });
        self.tick(now, venue);
        goes_on || self.ticking.is_some()
    }

    /// Tells every client that the session ends, and closes.
    pub fn shut_down<V: Venue>(&mut self, venue: &V) {
        for token in 0..self.connections.len() {
            if let Some(connection) = self.connections[token].as_mut() {
                if connection.fix.is_none() && matches!(connection.stage, Stage::LoggedIn { .. }) {
                    connection.outbox.ungated(|out| ServerPacket::EndOfSession.encode(out));
                    // The peer may be gone already.
                    let _ = connection.flush(venue.gate(), Instant::now());
                }
                self.close(token, &Close::Shutdown);
            }
        }
    }

    /// Takes no further connection, reads no further request and says nothing of its own: where the log ends may have been told
    /// to another node, which numbers what comes next. What has been said goes out.
    pub fn stop_receiving(&mut self) {
        self.accepting = false;
        self.to_serve.clear();
    }

    /// Goes on as before [`stop_receiving`](Self::stop_receiving): every connection is read again.
    pub fn receive_again(&mut self) {
        self.accepting = true;
        self.to_serve.clear();
        for (token, connection) in self.connections.iter_mut().enumerate() {
            if let Some(connection) = connection {
                // What was announced meanwhile is not announced again.
                (connection.readable, connection.listed) = (true, true);
                self.to_serve.push_back(token);
            }
        }
        self.accept();
    }

    fn accept(&mut self) {
        self.accept_at(false);
        if self.fix_listener.is_some() && !self.accept_again {
            self.accept_at(true);
        }
    }

    fn accept_at(&mut self, fix: bool) {
        loop {
            let listener = if fix { self.fix_listener.as_ref() } else { Some(&self.listener) };
            let Some(listener) = listener else { return };
            match listener.accept() {
                Ok((socket, peer)) => {
                    if !self.accepting {
                        info!("{peer}: closed, {}", Close::Shutdown);
                        continue;
                    }
                    if self.connections.len() - self.free.len() >= self.limits.connections_max {
                        warn!("{peer}: closed, {} connections are open already", self.limits.connections_max);
                        continue;
                    }
                    if let Err(turned) = self.lobby.may_come(peer.ip()) {
                        info!("{peer}: closed, {turned}");
                        continue;
                    }
                    if let Some(token) = self.lobby.displaced_by(peer.ip()) {
                        self.close(token, &Close::Displaced);
                    }
                    if let Err(error) = self.open(socket, peer, fix) {
                        warn!("{peer}: closed, {error}");
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.accept_again = false;
                    return;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    // Those that are open go on.
                    if !self.accept_again {
                        warn!("no further connection for now: {error}");
                    }
                    self.accept_again = true;
                    return;
                }
            }
        }
    }

    fn open(&mut self, mut socket: TcpStream, peer: SocketAddr, fix: bool) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let token = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        if let Err(error) =
            self.poll.registry().register(&mut socket, Token(token), Interest::READABLE | Interest::WRITABLE)
        {
            self.free.push(token);
            return Err(error);
        }
        let tls = if fix { &self.fix_tls } else { &self.tls };
        let transport = match tls {
            None => Transport::Plain(socket),
            Some(config) => match Transport::tls(socket, config) {
                Ok(transport) => transport,
                Err(error) => {
                    self.free.push(token);
                    return Err(error);
                }
            },
        };
        let place = self.lobby.came(peer.ip(), token);
        let mut connection = Connection::new(transport, peer, place, fix, Instant::now());
        connection.listed = true;
        self.connections[token] = Some(connection);
        self.to_serve.push_back(token);
        Ok(())
    }

    fn close(&mut self, token: usize, reason: &Close) {
        let Some(mut connection) = self.connections.get_mut(token).and_then(Option::take) else { return };
        self.lobby.left(connection.peer.ip(), connection.place);
        connection.transport.say_end();
        let _ = self.poll.registry().deregister(connection.transport.socket());
        if let Stage::LoggedIn { session, .. } = connection.stage {
            if self.by_session[session.0 as usize] == Some(token) {
                self.by_session[session.0 as usize] = None;
                if !matches!(reason, Close::Shutdown) {
                    self.is_absent(session);
                }
            }
            let user = self.sessions.get(session).map(|session| session.user).unwrap_or_default();
            info!("{} {}: {reason}", connection.peer, user.to_string().trim_end());
        } else if !matches!(reason, Close::ByPeer | Close::Shutdown) {
            info!("{}: {reason}", connection.peer);
        }
        if matches!(
            reason,
            Close::LoginTimeout
                | Close::Silent
                | Close::SlowConsumer { .. }
                | Close::Protocol(_)
                | Close::Refused(_)
                | Close::Displaced
                | Close::Disabled
        ) {
            self.stats.cut_off += 1;
        }
        self.to_serve.retain(|listed| *listed != token);
        self.dirty.retain(|listed| *listed != token);
        self.catching_up.retain(|listed| *listed != token);
        self.answering.retain(|listed| *listed != token);
        self.free.push(token);
    }

    /// Reads once, and uses what is there.
    fn serve<V: Venue>(&mut self, token: usize, venue: &mut V) -> Result<bool, Close> {
        let Some(connection) = self.connections[token].as_mut() else { return Ok(false) };
        if connection.waits_for_verdict() {
            return Ok(false);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut ended = false;
        let mut came = 0;
        // While a request waits in the inbox for room, what is read would count from a later time than it does.
        let wanted = connection.inbox.len() < INBOX_MAX && !connection.has_whole();
        let is_in = matches!(connection.stage, Stage::LoggedIn { .. });
        let room = if is_in { READ_MAX } else { BEFORE_LOGIN_MAX.saturating_sub(connection.before_login) };
        let result = if connection.readable && !connection.ended && wanted && room > 0 {
            self.shook_hands |= connection.transport.is_handshaking();
            match connection.read(&mut scratch[..room]) {
                Ok(Incoming::More(n)) => {
                    came = n;
                    Ok(())
                }
                Ok(Incoming::Drained(n)) => {
                    connection.readable = connection.hung_up && n > 0;
                    came = n;
                    Ok(())
                }
                Ok(Incoming::End) => {
                    connection.readable = false;
                    ended = true;
                    Ok(())
                }
                Err(reason) => Err(reason),
            }
        } else {
            Ok(())
        };
        let result = result.and_then(|()| self.take_in(token, &scratch[..came], venue));
        self.scratch = scratch;
        let used = result?;
        if let Some(connection) = self.connections[token].as_mut() {
            if !is_in {
                connection.before_login += came;
                let is_spent = connection.before_login >= BEFORE_LOGIN_MAX;
                if is_spent && connection.stage == Stage::AwaitingLogin && !connection.is_parked {
                    return Err(Close::Protocol(format!("{BEFORE_LOGIN_MAX} bytes and no login")));
                }
            }
            connection.ended |= ended;
            // What the client sent before it closed is still used, once there is room for it.
            if connection.ended && !connection.has_whole() {
                return Err(Close::ByPeer);
            }
        }
        Ok(used > 0 || came > 0)
    }

    /// Uses new bytes behind those that are left over, and leaves over what cannot be used yet.
    fn take_in<V: Venue>(&mut self, token: usize, new: &[u8], venue: &mut V) -> Result<usize, Close> {
        let Some(connection) = self.connections[token].as_mut() else { return Ok(0) };
        if !new.is_empty() {
            connection.heard = Instant::now();
            connection.read_at = venue.now();
        }
        if connection.inbox.is_empty() {
            let used = self.use_packets(token, new, venue)?;
            if let Some(connection) = self.connections[token].as_mut() {
                connection.inbox.extend_from_slice(&new[used..]);
            }
            return Ok(used);
        }
        let mut inbox = std::mem::take(&mut connection.inbox);
        inbox.extend_from_slice(new);
        let used = self.use_packets(token, &inbox, venue)?;
        inbox.drain(..used);
        if inbox.is_empty() {
            inbox = Vec::new(); // a slow start must not keep memory for ever
        }
        if let Some(connection) = self.connections[token].as_mut() {
            connection.inbox = inbox;
        }
        Ok(used)
    }

    /// Uses whole packets, up to the first that finds no room. Returns the bytes used.
    fn use_packets<V: Venue>(&mut self, token: usize, bytes: &[u8], venue: &mut V) -> Result<usize, Close> {
        if self.connections[token].as_ref().is_some_and(|connection| connection.fix.is_some()) {
            return self.use_messages(token, bytes, venue);
        }
        let mut used = 0;
        while let Some(frame) = soup::frame(&bytes[used..], PAYLOAD_MAX).map_err(protocol)? {
            let Some(connection) = self.connections[token].as_mut() else { return Ok(used) };
            if connection.waits_for_verdict() {
                return Ok(used);
            }
            let packet = ClientPacket::decode(&frame).map_err(protocol)?;
            match (packet, connection.stage) {
                (ClientPacket::Unsequenced(message), Stage::LoggedIn { session, .. }) => {
                    if !self.request(token, session, message, venue)? {
                        self.stats.stalled += 1;
                        return Ok(used);
                    }
                }
                (ClientPacket::LoginRequest(login), Stage::AwaitingLogin) => {
                    if !self.log_in(token, &login, venue)? {
                        return Ok(used);
                    }
                }
                (ClientPacket::Heartbeat | ClientPacket::Debug(_), _) => {}
                (ClientPacket::LogoutRequest, _) => return Err(Close::Logout),
                (ClientPacket::Unsequenced(_), _) => {
                    return Err(Close::Protocol("a request before the login".into()));
                }
                (ClientPacket::LoginRequest(_), _) => {
                    return Err(Close::Protocol("a second login on one connection".into()));
                }
            }
            used += frame.consumed;
        }
        Ok(used)
    }
}

fn listen(address: SocketAddr, limits: &Limits) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    // With the usual 128 places, most of a crowd that comes back at once would find none and try again after 1, 2, 4 and
    // so on seconds. The kernel takes no more than net.core.somaxconn.
    let places = i32::try_from(limits.connections_max).unwrap_or(i32::MAX);
    rustix::net::listen(&listener, places.max(128))?;
    Ok(listener)
}

pub(crate) fn has_packet(bytes: &[u8]) -> bool {
    matches!(soup::frame(bytes, PAYLOAD_MAX), Ok(Some(_)))
}

fn protocol(error: impl std::fmt::Display) -> Close {
    Close::Protocol(error.to_string())
}
