//! Who comes to the feed's TCP listeners, and as whom. Both have the same doors: TLS or none, networks, so many connections of
//! an address, and users where they are asked for.
//!
//! Passwords are verified on a thread of their own ([`door::auth`]), which wakes the feed's; a handshake of TLS goes on by one
//! step in a turn. So publishing waits for neither.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};

use domain::SessionId;
use door::{
    ServerConfig,
    auth::{
        Answer, Attempt, Credentials, Network, Protocol, Refusal, Secret, Ticket, User, UsersFeed, Verdict,
    },
    lobby::{Lobby, LobbyLimits, Turned},
    transport::Transport,
};
use log::info;
use mio::{
    Interest, Registry, Token, Waker,
    net::{TcpListener, TcpStream},
};

use super::stats::Stats;

/// What both listeners share.
pub(super) struct Doors {
    tls: Option<Arc<ServerConfig>>,
    /// `None`: nobody is asked who they are.
    credentials: Option<Credentials>,
    /// Where newer users are left, and how many times they had been when it was looked last.
    users: Option<(Arc<UsersFeed>, u64)>,
    /// Clients whose login waits for room among those that are verified, by their tokens.
    parked: VecDeque<usize>,
    /// A handshake has been gone on with in this turn.
    shook_hands: bool,
    /// The token of the client whose handshake went on last: those behind it are first in the next turn.
    shook_last: usize,
    stats: Arc<Stats>,
}

/// Who logs in, and where from.
pub(super) struct Login<'a> {
    /// `None`: that of the user who has the name.
    pub(super) protocol: Option<Protocol>,
    pub(super) name: &'a [u8],
    pub(super) password: &'a [u8],
    pub(super) peer: SocketAddr,
    pub(super) token: usize,
}

/// What a login comes to.
pub(super) enum Checked {
    /// It may read. Its session, if it is somebody's.
    In(Option<SessionId>),
    /// It may not, and the log knows why.
    Refused,
    /// It is being verified.
    Pending(Ticket),
    /// To be asked again when [`Doors::unpark`] says so.
    Parked,
}

impl Doors {
    pub(super) const fn new(stats: Arc<Stats>) -> Self {
        Self {
            tls: None,
            credentials: None,
            users: None,
            parked: VecDeque::new(),
            shook_hands: false,
            shook_last: 0,
            stats,
        }
    }

    pub(super) fn serve_tls(&mut self, config: Arc<ServerConfig>) {
        self.tls = Some(config);
    }

    pub(super) fn ask_for(
        &mut self,
        users: Vec<User>,
        feed: Arc<UsersFeed>,
        waker: Arc<Waker>,
    ) -> io::Result<()> {
        self.credentials = Some(Credentials::new(users, waker)?);
        self.users = Some((feed, 0));
        Ok(())
    }

    /// Whether clients must say who they are.
    pub(super) const fn ask(&self) -> bool {
        self.credentials.is_some()
    }

    /// The bytes of a client.
    pub(super) fn transport(&self, socket: TcpStream) -> io::Result<Transport> {
        match &self.tls {
            None => Ok(Transport::Plain(socket)),
            Some(config) => Transport::tls(socket, config),
        }
    }

    /// A turn begins. Gives the sessions whose users may not read any more.
    pub(super) fn begin_turn(&mut self) -> Vec<SessionId> {
        self.shook_hands = false;
        if let (Some(credentials), Some((feed, seen))) = (&mut self.credentials, &mut self.users)
            && let Some(users) = feed.newer_than(seen)
        {
            return credentials.replace(users);
        }
        Vec::new()
    }

    /// Whether a client may be read in this turn: one that shakes hands may not behind another that has.
    pub(super) fn may_go_on(&mut self, transport: &Transport, token: usize) -> bool {
        if !transport.is_handshaking() {
            return true;
        }
        if self.shook_hands {
            return false;
        }
        (self.shook_hands, self.shook_last) = (true, token);
        true
    }

    /// Puts clients, by their tokens, into the order in which they are heard: each once, and those first that are next to
    /// shake hands.
    pub(super) fn put_in_order(&self, tokens: &mut Vec<usize>) {
        tokens.sort_unstable();
        tokens.dedup();
        let behind = tokens.partition_point(|token| *token <= self.shook_last);
        tokens.rotate_left(behind);
    }

    /// Looks at what a client shows.
    pub(super) fn check(&mut self, login: &Login<'_>, now: Instant) -> Checked {
        let Some(credentials) = &mut self.credentials else { return Checked::In(None) };
        let attempt = Attempt {
            protocol: login.protocol.unwrap_or_else(|| credentials.protocol_of(login.name)),
            name: login.name,
            secret: Secret::Password(login.password),
            from: login.peer.ip(),
            token: login.token,
        };
        match credentials.check(&attempt, now) {
            Answer::Accepted(session) => {
                self.stats.logins.add(1);
                Checked::In(Some(session))
            }
            Answer::Refused(why) => {
                self.refused(login.peer, login.name, why);
                Checked::Refused
            }
            Answer::Pending(ticket) => Checked::Pending(ticket),
            Answer::Later => {
                self.parked.push_back(login.token);
                Checked::Parked
            }
        }
    }

    /// A login is refused.
    pub(super) fn refused(&self, peer: SocketAddr, name: &[u8], why: Refusal) {
        self.stats.logins_refused.add(1);
        // Whatever it is, it is one line and short.
        info!(
            "{peer}: market data: user {}: {why}",
            name[..name.len().min(20)].trim_ascii_end().escape_ascii()
        );
    }

    /// What came out of the next login that was pending, if one is through.
    pub(super) fn verdict(&mut self, now: Instant) -> Option<Verdict> {
        let verdict = self.credentials.as_mut()?.verdict(now)?;
        self.stats.logins.add(u64::from(verdict.outcome.is_ok()));
        Some(verdict)
    }

    /// The token of the next client whose login may be looked at again, now that there is room for one; for all, when nothing
    /// is being verified.
    pub(super) fn unpark(&mut self, has_room: bool) -> Option<usize> {
        let waiting = self.credentials.as_ref().map_or(0, |credentials| credentials.stats().waiting);
        if has_room || waiting == 0 { self.parked.pop_front() } else { None }
    }
}

/// A listener, and who comes to it.
pub(super) struct Entrance {
    listener: TcpListener,
    address: SocketAddr,
    pub(super) lobby: Lobby,
    stats: Arc<Stats>,
}

impl Entrance {
    pub(super) fn bind(
        address: SocketAddr,
        limits: LobbyLimits,
        registry: &Registry,
        token: Token,
        stats: Arc<Stats>,
    ) -> io::Result<Self> {
        let mut listener = TcpListener::bind(address)?;
        registry.register(&mut listener, token, Interest::READABLE)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, lobby: Lobby::new(limits), stats })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn allow(&mut self, networks: Vec<Network>) {
        self.lobby.allow(networks);
    }

    /// The next who has connected and may; `None` when there is none for now. `full` is called for each whose address has
    /// enough.
    pub(super) fn next(&mut self, mut full: impl FnMut()) -> Option<(TcpStream, SocketAddr)> {
        loop {
            match self.listener.accept() {
                Ok((socket, peer)) => match self.lobby.may_come(peer.ip()) {
                    Ok(()) => {
                        // Small messages go at once; without that they go later.
                        let _ = socket.set_nodelay(true);
                        return Some((socket, peer));
                    }
                    Err(turned) => {
                        self.stats.turned_away.add(1);
                        info!("{peer}: market data: closed, {turned}");
                        if matches!(turned, Turned::Enough { .. }) {
                            full();
                        }
                    }
                },
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use link::clients::{ServerFiles, create_trial, server_config};

    use super::*;

    #[test]
    fn one_handshake_goes_on_in_a_turn_and_each_client_has_its_turn() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = create_trial(&dir.path().join("tls"), "localhost", SystemTime::now()).expect("files");
        let (certificate, key) = files.server;
        let files = ServerFiles { certificate, key, client_ca: None };
        let mut doors = Doors::new(Arc::default());
        doors.serve_tls(server_config(&files, SystemTime::now()).expect("a listener's settings"));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("its address");
        let shaking = || {
            let socket = std::net::TcpStream::connect(address).expect("a connection");
            socket.set_nonblocking(true).expect("not blocking");
            doors.transport(TcpStream::from_std(socket)).expect("TLS")
        };
        let clients = [shaking(), shaking(), shaking()];
        let plain = Transport::Plain(TcpStream::connect(address).expect("a connection"));
        let mut went_on = Vec::new();
        for _ in 0..6 {
            assert_eq!(doors.begin_turn(), []);
            // As each of them says something in every turn.
            let mut tokens = vec![2, 0, 1, 0];
            doors.put_in_order(&mut tokens);
            assert_eq!(tokens.len(), 3);
            let may = tokens.into_iter().filter(|token| doors.may_go_on(&clients[*token], *token));
            went_on.push(may.collect::<Vec<_>>());
            assert!(doors.may_go_on(&plain, 9), "who shakes no hands waits for nobody");
        }
        assert_eq!(went_on, [[1], [2], [0], [1], [2], [0]]);
    }
}
