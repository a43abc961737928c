//! The feed's thread: publishes what the front leaves once the log is as safe as asked, and serves those who missed it.
//!
//! One turn: take batches → publish those that the gate lets through (market, messages, packets) → serve requests,
//! snapshots → sleep until a socket, the front or the next heartbeat. Nothing here waits for a client: what a client does
//! not take in time is dropped with it.

mod clients;
mod doors;
mod publisher;
mod requests;
mod running;
mod seen;
mod settings;
mod share;
mod snapshots;
mod stats;
mod web;

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use door::{
    ServerConfig,
    auth::{Network, User, UsersFeed},
};
use mio::{Poll, Token, Waker};

use self::{
    doors::Doors, publisher::Publisher, requests::Requests, running::Running, snapshots::Snapshots, web::Web,
};
use crate::tap::Intake;

pub(crate) use self::web::fuzz as fuzz_web;
pub use self::{
    seen::{Seen, Watcher},
    settings::{Bound, Settings, Start},
    stats::{FeedStats, Stats},
    web::WebSettings,
};

const WAKE: Token = Token(0);
const REQUESTS: Token = Token(1);
const SNAPSHOTS: Token = Token(2);
const WEB: Token = Token(3);
/// Connections for snapshots have tokens from here on.
const SNAPSHOT_CLIENTS: usize = 1 << 16;
/// And WebSocket clients from here on.
const WEB_CLIENTS: usize = 1 << 20;

/// MoldUDP64: a heartbeat is due when nothing was sent for a second.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A client waits so long for its login to be verified, at most: some seconds of work stand before it, at worst.
const VERIFYING: Duration = Duration::from_secs(30);

/// Sockets that have been bound.
pub struct Server {
    poll: Poll,
    waker: Arc<Waker>,
    doors: Doors,
    publisher: Publisher,
    requests: Option<Requests>,
    snapshots: Option<Snapshots>,
    web: Option<Web>,
    watchers: Vec<Box<dyn Watcher>>,
    keep_bytes: usize,
    stats: Arc<Stats>,
}

impl Server {
    /// Binds what the settings say.
    ///
    /// # Errors
    /// Says which address, and what is wrong with it.
    pub fn bind(settings: &Settings) -> Result<Self, String> {
        let poll = Poll::new().map_err(|error| format!("feed: no poll: {error}"))?;
        let waker = Waker::new(poll.registry(), WAKE);
        let waker = Arc::new(waker.map_err(|error| format!("feed: no waker: {error}"))?);
        let stats = Arc::new(Stats::default());
        let publisher = Publisher::bind(settings, Arc::clone(&stats))?;
        let at = |what: &str, address: SocketAddr| {
            let what = what.to_owned();
            move |error: std::io::Error| format!("feed.{what}: cannot listen on {address}: {error}")
        };
        let requests = settings.rerequest.map(|address| {
            Requests::bind(
                address,
                settings.requests_per_second,
                poll.registry(),
                REQUESTS,
                Arc::clone(&stats),
            )
            .map_err(at("rerequest", address))
        });
        let snapshots = settings.snapshot.map(|address| {
            Snapshots::bind(address, settings, poll.registry(), SNAPSHOTS, Arc::clone(&stats))
                .map_err(at("snapshot", address))
        });
        let web = settings.web.as_ref().map(|web| {
            Web::bind(web, settings, poll.registry(), WEB, Arc::clone(&stats))
                .map_err(at("websocket", web.address))
        });
        Ok(Self {
            publisher,
            requests: requests.transpose()?,
            snapshots: snapshots.transpose()?,
            web: web.transpose()?,
            watchers: Vec::new(),
            poll,
            waker,
            doors: Doors::new(Arc::clone(&stats)),
            keep_bytes: settings.keep_bytes,
            stats,
        })
    }

    /// Where it can be reached.
    #[must_use]
    pub fn bound(&self) -> Bound {
        Bound {
            rerequest: self.requests.as_ref().map(Requests::address),
            snapshot: self.snapshots.as_ref().map(Snapshots::address),
            web: self.web.as_ref().map(Web::address),
        }
    }

    /// Takes clients of snapshots and of the web by TLS only.
    pub fn serve_tls(&mut self, config: Arc<ServerConfig>) {
        self.doors.serve_tls(config);
    }

    /// Opens their connections, and answers re-requests, only for who comes from these networks; for whoever comes, if there are
    /// none.
    pub fn allow(&mut self, networks: &[Network]) {
        if let Some(requests) = &mut self.requests {
            requests.allow(networks.to_vec());
        }
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.allow(networks.to_vec());
        }
        if let Some(web) = &mut self.web {
            web.allow(networks.to_vec());
        }
    }

    /// Lets them read only when they have logged in as one of these users, of whatever protocol, or of those that are left in
    /// `feed` later. The users' sessions are numbers of the caller's: no two users have the same, and a user keeps its own.
    ///
    /// # Errors
    /// When the system gives no thread or no random bytes.
    pub fn ask_for_users(&mut self, users: Vec<User>, feed: Arc<UsersFeed>) -> Result<(), String> {
        self.doors
            .ask_for(users, feed, Arc::clone(&self.waker))
            .map_err(|error| format!("feed: logins cannot be verified: {error}"))
    }

    /// Wakes the thread, once there is one: after users have been left.
    #[must_use]
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Lets somebody watch, from the beginning.
    pub fn watch(&mut self, watcher: Box<dyn Watcher>) {
        self.watchers.push(watcher);
    }

    /// What it counts.
    #[must_use]
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Starts the thread. It ends when the front's end is dropped, once all that may be published has been.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(self, start: Start, intake: Intake) -> Result<JoinHandle<()>, String> {
        intake.set_waker(Arc::clone(&self.waker));
        std::thread::Builder::new()
            .name("feed".into())
            .spawn(move || Running::new(self, start, intake).run())
            .map_err(|error| format!("no thread for the feed: {error}"))
    }
}
