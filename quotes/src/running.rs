//! The thread: its turns.
//!
//! One turn: what the feed left → changes to those who watch → what sessions say → snapshots to those who are owed one and
//! have room → what sockets take → sleep until a socket, the feed, a verdict or the next tick. Nothing here waits for a client.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use domain::Nanos;
use door::{lobby::Lobby, transport::Transport};
use gateway::fix::Signed;
use log::{error, info, warn};
use mio::{Events, Interest, Token, net::TcpStream};
use wire::fix::Checker;

use crate::{
    book::Book,
    channel::Channels,
    client::{Client, Ends, READ_MAX, Stage},
    server::{BySession, LISTENER, Server, WAKE},
    stats::add,
};

/// How often time is looked at.
const TICK: Duration = Duration::from_millis(250);
/// How often those are told a whole book again who asked for that, at most.
const REFRESH: Duration = Duration::from_millis(100);
/// How long the thread sleeps when nobody is there.
const NOBODY: Duration = Duration::from_secs(5);

/// The thread's state.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) lobby: Lobby,
    pub(crate) signed: Signed,
    pub(crate) checker: Box<Checker>,
    /// By token.
    pub(crate) clients: Vec<Option<Client>>,
    pub(crate) by_session: BySession,
    /// Connections whose logon waits for room among those that are verified.
    pub(crate) parked: VecDeque<usize>,
    /// How many times users had been left when it was looked last.
    pub(crate) users_seen: u64,
    /// By instrument.
    pub(crate) books: Vec<Book>,
    /// The books are there.
    pub(crate) has_begun: bool,
    pub(crate) channels: Channels,
    scratch: Box<[u8; READ_MAX]>,
    /// A handshake has been gone on with in this turn.
    shook_hands: bool,
    /// Who is heard first in this turn.
    first: usize,
    ticked: Instant,
    refreshed: Instant,
    accept_again: bool,
}

/// The time.
pub(crate) fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

impl Running {
    pub(crate) fn new(server: Server) -> Self {
        let mut lobby = Lobby::new(server.settings.lobby);
        lobby.allow(server.settings.allow.clone());
        let books = vec![Book::default(); server.instruments.as_slice().len()];
        let clients = (0..server.settings.connections()).map(|_| None).collect();
        Self {
            server,
            lobby,
            signed: Signed::default(),
            checker: Box::default(),
            clients,
            by_session: BySession::new(),
            parked: VecDeque::new(),
            users_seen: 0,
            books,
            has_begun: false,
            channels: Channels::default(),
            scratch: Box::new([0; READ_MAX]),
            shook_hands: false,
            first: 0,
            ticked: Instant::now(),
            refreshed: Instant::now(),
            accept_again: false,
        }
    }

    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            // In this order: what came before the end is there when the end is seen.
            let has_ended = self.server.takes.has_ended();
            self.publish();
            if has_ended {
                return self.end();
            }
            self.look_at_logins();
            let mut more = false;
            self.shook_hands = false;
            self.first = (self.first + 1) % self.clients.len().max(1);
            for token in (self.first..self.clients.len()).chain(0..self.first) {
                more |= self.serve(token);
            }
            let instant = Instant::now();
            if instant.duration_since(self.refreshed) >= REFRESH {
                self.refreshed = instant;
                self.clients.iter_mut().flatten().for_each(|client| client.desk.refresh());
            }
            for token in 0..self.clients.len() {
                self.give(token);
                more |= self.flush(token, instant);
            }
            if instant.duration_since(self.ticked) >= TICK {
                self.ticked = instant;
                self.tick(instant);
            }
            let timeout = if more { Duration::ZERO } else { self.patience(instant) };
            match self.server.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    error!("market data by FIX: polling sockets: {error}");
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => {}
            }
            let mut accept = self.accept_again;
            for event in &events {
                match event.token() {
                    WAKE => {}
                    LISTENER => accept = true,
                    Token(token) => {
                        if let Some(client) = self.clients.get_mut(token).and_then(Option::as_mut) {
                            // The end may come in the event of the last bytes, and makes no other.
                            client.hung_up |= event.is_read_closed();
                            client.readable |=
                                event.is_readable() || event.is_read_closed() || event.is_error();
                        }
                    }
                }
            }
            if accept {
                self.accept();
            }
        }
    }

    /// How long it is until there is something to do besides what wakes the thread.
    fn patience(&self, now: Instant) -> Duration {
        if self.clients.iter().all(Option::is_none) {
            return if self.accept_again { TICK } else { NOBODY };
        }
        let tick = TICK.saturating_sub(now.duration_since(self.ticked));
        if self.clients.iter().flatten().any(|client| client.desk.has_fresh()) {
            tick.min(REFRESH.saturating_sub(now.duration_since(self.refreshed)))
        } else {
            tick
        }
    }

    /// Takes those who connect; who finds no place is closed at once.
    fn accept(&mut self) {
        self.accept_again = false;
        loop {
            match self.server.listener.accept() {
                Ok((socket, peer)) => {
                    if let Err(turned) = self.lobby.may_come(peer.ip()) {
                        info!("market data: {peer}: closed, {turned}");
                        add(&self.server.stats.refused, 1);
                        continue;
                    }
                    if let Some(token) = self.lobby.displaced_by(peer.ip()) {
                        self.close(token, &Ends::Displaced);
                    }
                    let Some(token) = self.clients.iter().position(Option::is_none) else {
                        warn!("market data: {peer}: closed, {} are there already", self.clients.len());
                        add(&self.server.stats.refused, 1);
                        continue;
                    };
                    if let Err(error) = self.open(token, socket, peer) {
                        warn!("market data: {peer}: closed, {error}");
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    // For want of file descriptors, most likely. Whoever waits is announced only once.
                    warn!("market data: no further connection for now: {error}");
                    self.accept_again = true;
                    return;
                }
            }
        }
    }

    fn open(
        &mut self,
        token: usize,
        mut socket: TcpStream,
        peer: std::net::SocketAddr,
    ) -> std::io::Result<()> {
        socket.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.server.poll.registry().register(&mut socket, Token(token), interest)?;
        let transport = match &self.server.settings.tls {
            None => Transport::Plain(socket),
            Some(config) => Transport::tls(socket, config)?,
        };
        let place = self.lobby.came(peer.ip(), token);
        self.clients[token] = Some(Client::new(transport, peer, place, Instant::now()));
        Ok(())
    }

    pub(crate) fn close(&mut self, token: usize, why: &Ends) {
        let Some(mut client) = self.clients.get_mut(token).and_then(Option::take) else { return };
        self.lobby.left(client.peer.ip(), client.place);
        client.transport.say_end();
        // It goes with the socket if it cannot be taken out.
        let _ = self.server.poll.registry().deregister(client.transport.socket());
        self.leave_all(token, &mut client);
        if let Some(id) = client.id()
            && self.by_session.get(&id) == Some(&token)
        {
            self.by_session.remove(&id);
            self.count_sessions();
        }
        let user = client.id().and_then(|id| self.server.credentials.user_of(id)).map(|user| user.name);
        info!("market data: {} {}: {why}", client.peer, user.unwrap_or_default().to_string().trim_end());
        if !matches!(why, Ends::ByPeer | Ends::LoggedOut) {
            add(&self.server.stats.cut, 1);
        }
    }

    pub(crate) fn count_sessions(&self) {
        self.server.stats.sessions.store(self.by_session.len() as u64, std::sync::atomic::Ordering::Relaxed);
    }

    /// Nothing that it asked for lives any more.
    pub(crate) fn leave_all(&mut self, token: usize, client: &mut Client) {
        for (number, subscription) in client.desk.close_all() {
            for book in subscription.books {
                self.channels.leave((token, number), book, subscription.depth);
            }
        }
    }

    /// Hears one client. Says whether there is more to hear.
    fn serve(&mut self, token: usize) -> bool {
        let Some(client) = self.clients[token].as_mut() else { return false };
        if !client.is_heard() {
            return false;
        }
        // A step of a handshake takes as long as many messages, so a turn has one, each client's in turn.
        if client.readable
            && client.transport.is_handshaking()
            && std::mem::replace(&mut self.shook_hands, true)
        {
            return true;
        }
        let read = client.read(&mut self.scratch);
        match read.and_then(|()| self.use_messages(token)) {
            Ok(()) => {}
            Err(why) => self.close(token, &why),
        }
        let Some(client) = self.clients[token].as_ref() else { return false };
        let more = client.has_more();
        if client.ended && client.closing.is_none() && !more && !matches!(client.stage, Stage::Verifying(_)) {
            self.close(token, &Ends::ByPeer);
            return false;
        }
        more
    }

    /// Sends what the socket takes, and ends what has ended. Says whether the client can be told more at once.
    fn flush(&mut self, token: usize, now: Instant) -> bool {
        let Some(client) = self.clients[token].as_mut() else { return false };
        if let Err(why) = client.flush(now) {
            self.close(token, &why);
            return false;
        }
        if client.closing.is_some() {
            if client.outbox.is_empty()
                && let Some((why, _)) = client.closing.take()
            {
                self.close(token, &why);
            }
            return false;
        }
        client.takes_snapshots()
    }

    /// What time brings.
    fn tick(&mut self, instant: Instant) {
        self.look_at_users();
        let time = now();
        for token in 0..self.clients.len() {
            let Some(client) = self.clients[token].as_mut() else { continue };
            if client.closing.as_ref().is_some_and(|(_, until)| *until <= instant)
                && let Some((why, _)) = client.closing.take()
            {
                self.close(token, &why);
                continue;
            }
            if client.is_stuck(instant) {
                let unsent = client.outbox.len();
                self.close(token, &Ends::Stuck(unsent));
                continue;
            }
            if client.id().is_none() {
                // Who waits to be verified has said what it has to say.
                if client.closing.is_none()
                    && client.stage == Stage::Expected
                    && instant.duration_since(client.opened) >= self.server.settings.login_timeout
                {
                    self.close(token, &Ends::NoLogonInTime);
                }
                continue;
            }
            if client.closing.is_none()
                && let Some(session) = &mut client.session
                && let Err(ends) = session.tick(time, client.outbox.buffer())
            {
                let what = match ends {
                    gateway::fix::Close::Silent(what) => what,
                    _ => "its time is over",
                };
                self.close(token, &Ends::Silent(what));
            }
        }
    }

    /// The feed has ended: so do the sessions.
    fn end(mut self) {
        let (time, instant) = (now(), Instant::now());
        for client in self.clients.iter_mut().flatten().filter(|client| client.id().is_some()) {
            if let Some(session) = &mut client.session {
                session.leave("the exchange stops", time, client.outbox.buffer());
            }
            // Who does not take it finds the connection closed.
            let _ = client.flush(instant);
            client.transport.say_end();
        }
    }
}
