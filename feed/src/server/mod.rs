//! The feed's thread: publishes what the front leaves once the log is as safe as asked, and serves those who missed it.
//!
//! One turn: take batches → publish those that the gate lets through (market, messages, packets) → serve requests,
//! snapshots → sleep until a socket, the front or the next heartbeat. Nothing here waits for a client: what a client does
//! not take in time is dropped with it.

mod publisher;
mod requests;
mod running;
mod seen;
mod settings;
mod snapshots;
mod stats;
mod web;

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use mio::{Poll, Token, Waker};

use self::{publisher::Publisher, requests::Requests, running::Running, snapshots::Snapshots, web::Web};
use crate::tap::Intake;

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

/// Sockets that have been bound.
pub struct Server {
    poll: Poll,
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
            Snapshots::bind(
                address,
                settings.snapshot_clients,
                poll.registry(),
                SNAPSHOTS,
                Arc::clone(&stats),
            )
            .map_err(at("snapshot", address))
        });
        let web = settings.web.as_ref().map(|web| {
            Web::bind(web, poll.registry(), WEB, Arc::clone(&stats)).map_err(at("websocket", web.address))
        });
        Ok(Self {
            publisher,
            requests: requests.transpose()?,
            snapshots: snapshots.transpose()?,
            web: web.transpose()?,
            watchers: Vec::new(),
            poll,
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
        let waker = Waker::new(self.poll.registry(), WAKE);
        intake.set_waker(waker.map_err(|error| format!("feed: no waker: {error}"))?);
        std::thread::Builder::new()
            .name("feed".into())
            .spawn(move || Running::new(self, start, intake).run())
            .map_err(|error| format!("no thread for the feed: {error}"))
    }
}
