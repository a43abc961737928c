//! The listener, and what it is started with.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use door::{
    ServerConfig, Waker,
    auth::{Credentials, Network, User, UsersFeed},
    lobby::LobbyLimits,
};
use feed::Watcher;
use gateway::{Instruments, fix};
use mio::{Interest, Poll, Token, net::TcpListener};

use crate::{
    handover::{Leaves, Takes, handover},
    running::Running,
    stats::Stats,
};

pub(crate) const WAKE: Token = Token(usize::MAX);
pub(crate) const LISTENER: Token = Token(usize::MAX - 1);

/// Where sessions connect, and within which bounds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub address: SocketAddr,
    /// What clients say in TargetCompID. Not that of a listener for orders: a signature for the one would do for the other.
    pub comp_id: String,
    /// How sessions are driven.
    pub session: fix::Settings,
    /// Sessions at once.
    pub sessions: usize,
    /// Besides, how many connections may wait that have not logged on; and how many there may be of an address.
    pub lobby: LobbyLimits,
    /// Where connections may come from; empty: from anywhere.
    pub allow: Vec<Network>,
    /// How long a connection may take to log on.
    pub login_timeout: Duration,
    /// What it shows its clients; `None`: they come without TLS.
    pub tls: Option<Arc<ServerConfig>>,
}

impl Settings {
    /// Connections at once, whoever they are.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.sessions + self.lobby.unauthenticated
    }
}

/// A listener that is bound, and its users.
pub struct Server {
    pub(crate) settings: Settings,
    pub(crate) poll: Poll,
    pub(crate) listener: TcpListener,
    pub(crate) credentials: Credentials,
    pub(crate) instruments: Instruments,
    /// Where newer users are left.
    pub(crate) users: Option<Arc<UsersFeed>>,
    pub(crate) takes: Takes,
    pub(crate) stats: Arc<Stats>,
    leaves: Option<Leaves>,
    address: SocketAddr,
    waker: Arc<Waker>,
}

impl Server {
    /// Listens, for these users.
    ///
    /// # Errors
    /// When the address cannot be had, or the system gives no thread or no random bytes for logons.
    pub fn bind(settings: Settings, users: Vec<User>, instruments: Instruments) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(settings.address)?;
        let address = listener.local_addr()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let credentials = Credentials::new(users, Arc::clone(&waker))?;
        let (leaves, takes) = handover(Arc::clone(&waker));
        Ok(Self {
            settings,
            poll,
            listener,
            credentials,
            instruments,
            users: None,
            takes,
            stats: Arc::default(),
            leaves: Some(leaves),
            address,
            waker,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it counts.
    #[must_use]
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Wakes its thread.
    #[must_use]
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Takes other users when some are left in `feed`.
    pub fn follow_users(&mut self, feed: Arc<UsersFeed>) {
        self.users = Some(feed);
    }

    /// Who watches the feed for it; to be given to [`feed::Server::watch`]. There is one.
    #[must_use]
    pub fn watcher(&mut self) -> Option<Box<dyn Watcher>> {
        self.leaves.take().map(|leaves| Box::new(leaves) as Box<dyn Watcher>)
    }

    /// Starts the thread. It ends when the feed has: sessions are told so.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(self) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("quotes".into()).spawn(move || Running::new(self).run())
    }
}

/// The connection of each session that has one.
pub(crate) type BySession = BTreeMap<domain::SessionId, usize>;
