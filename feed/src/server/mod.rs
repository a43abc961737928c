//! The feed's thread: publishes what the front leaves once the log is as safe as asked, and serves those who missed it.
//!
//! One turn: take batches → publish those that the gate lets through (market, messages, packets) → serve requests,
//! snapshots → sleep until a socket, the front or the next heartbeat. Nothing here waits for a client: what a client does
//! not take in time is dropped with it.

mod publisher;
mod requests;
mod snapshots;
mod stats;

use std::{
    collections::VecDeque,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use domain::{Instrument, Nanos, Position};
use log::{error, warn};
use mio::{Events, Poll, Token, Waker};
use wire::mold::Session;

use self::{publisher::Publisher, requests::Requests, snapshots::Snapshots};
use crate::{
    change::Change,
    itch::{Directory, Scribe},
    market::{Market, Standing},
    store::Store,
    tap::{Batch, Intake, Item},
};

pub use self::stats::{FeedStats, Stats};

const WAKE: Token = Token(0);
const REQUESTS: Token = Token(1);
const SNAPSHOTS: Token = Token(2);
/// Connections for snapshots have tokens from here on.
const SNAPSHOT_CLIENTS: usize = 1 << 16;

/// MoldUDP64: a heartbeat is due when nothing was sent for a second.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Where the feed is published and served, and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where packets go: groups or hosts.
    pub mold: Vec<SocketAddr>,
    /// The interface, by its address, from which packets to groups leave; `None`: the system's choice.
    pub interface: Option<Ipv4Addr>,
    /// Routers that packets to groups may pass, and one.
    pub ttl: u32,
    /// Where lost messages are asked for again.
    pub rerequest: Option<SocketAddr>,
    /// Where snapshots are given.
    pub snapshot: Option<SocketAddr>,
    /// Bytes of memory for messages that can be asked for again.
    pub keep_bytes: usize,
    /// Requests for lost messages answered to one address in a second.
    pub requests_per_second: u32,
    /// Clients taking a snapshot at once.
    pub snapshot_clients: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mold: Vec::new(),
            interface: None,
            ttl: 1,
            rerequest: None,
            snapshot: None,
            keep_bytes: 64 << 20,
            requests_per_second: 2_000,
            snapshot_clients: 16,
        }
    }
}

impl Settings {
    /// File descriptors that it takes.
    #[must_use]
    pub const fn descriptors(&self) -> u64 {
        // The poll, its waker, and what listens.
        8 + (self.mold.len() + self.snapshot_clients) as u64
    }

    /// Whether anything is published at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.mold.is_empty() || self.rerequest.is_some() || self.snapshot.is_some()
    }
}

/// What the feed begins with.
#[derive(Clone, Debug)]
pub struct Start {
    /// By index.
    pub instruments: Vec<Instrument>,
    /// The orders that stand in the books; see [`Market::stand`].
    pub standing: Vec<Standing>,
    /// They are what the log says up to here.
    pub position: Position,
    /// The time.
    pub nanos: Nanos,
    /// The session's name; another one for each start.
    pub session: Session,
}

/// Sockets that have been bound.
pub struct Server {
    poll: Poll,
    publisher: Publisher,
    requests: Option<Requests>,
    snapshots: Option<Snapshots>,
    keep_bytes: usize,
    stats: Arc<Stats>,
}

/// Where a server can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// For lost messages.
    pub rerequest: Option<SocketAddr>,
    /// For snapshots.
    pub snapshot: Option<SocketAddr>,
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
        Ok(Self {
            publisher,
            requests: requests.transpose()?,
            snapshots: snapshots.transpose()?,
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
        }
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

/// The thread's state.
struct Running {
    server: Server,
    intake: Intake,
    market: Market,
    scribe: Scribe,
    store: Store,
    /// What the gate has not let through.
    waiting: VecDeque<Batch>,
    start: Position,
    nanos: Nanos,
    has_begun: bool,
    unfit_said: bool,
}

impl Running {
    fn new(server: Server, start: Start, intake: Intake) -> Self {
        let Start { instruments, standing, position, nanos, session } = start;
        let scribe = Scribe::new(Directory::new(&instruments));
        let mut market = Market::new(instruments.len());
        standing.iter().for_each(|order| market.stand(order));
        let store = Store::new(session, server.keep_bytes);
        Self {
            server,
            intake,
            market,
            scribe,
            store,
            waiting: VecDeque::new(),
            start: position,
            nanos,
            has_begun: false,
            unfit_said: false,
        }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            // In this order: what came before the end is there when the end is seen.
            let has_ended = self.intake.has_ended();
            let worked = self.publish();
            let now = Instant::now();
            if has_ended && !worked {
                return self.end();
            }
            if self.has_begun {
                self.server.publisher.heartbeat(&self.store, now);
            }
            let owes = self.serve(&events, now);
            self.intake.announce();
            let look_again =
                worked || owes || self.intake.has_more() || self.intake.has_ended() || self.may_publish();
            let timeout = if look_again { Duration::ZERO } else { self.patience(now) };
            let polled = self.server.poll.poll(&mut events, Some(timeout));
            self.intake.retract();
            match polled {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    error!("feed: polling sockets: {error}");
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => {}
            }
        }
    }

    fn patience(&self, now: Instant) -> Duration {
        let heartbeat = self.server.publisher.heartbeat_in(now);
        self.server.snapshots.as_ref().map_or(heartbeat, |snapshots| heartbeat.min(snapshots.patience(now)))
    }

    /// Whether the gate lets something through that has not been published.
    fn may_publish(&self) -> bool {
        let gate = self.intake.gate();
        if self.has_begun {
            self.waiting.front().is_some_and(|batch| batch.position <= gate)
        } else {
            self.start <= gate
        }
    }

    /// Takes what the front left and publishes what the gate lets through. Says whether there was anything.
    fn publish(&mut self) -> bool {
        let mut worked = false;
        while let Some(batch) = self.intake.next() {
            self.waiting.push_back(batch);
        }
        let gate = self.intake.gate();
        if !self.has_begun {
            if self.start > gate {
                return false;
            }
            self.has_begun = true;
            worked = true;
            let Self { scribe, store, nanos, .. } = self;
            scribe.directory().open(*nanos, |message| store.push(&message));
            self.server.stats.messages.set(self.store.next() - 1);
            self.server.publisher.begin(&self.store);
        }
        while self.waiting.front().is_some_and(|batch| batch.position <= gate) {
            let Some(batch) = self.waiting.pop_front() else { break };
            self.apply(&batch);
            self.server.publisher.flush(&self.store);
            self.intake.published(batch);
            worked = true;
        }
        worked
    }

    fn apply(&mut self, batch: &Batch) {
        let Self { market, scribe, store, nanos, unfit_said, server, .. } = self;
        let stats = &server.stats;
        let mut say = |change: &Change| match scribe.message(change) {
            Ok(Some(message)) => store.push(&message),
            Ok(None) => {}
            Err(unfit) => {
                stats.unfit.add(1);
                if !core::mem::replace(unfit_said, true) {
                    error!("a change of instrument {} is not published: {unfit}", change.instrument);
                }
            }
        };
        for item in &batch.items {
            match item {
                Item::Event(event) => {
                    *nanos = event.nanos;
                    market.on_event(event, &mut say);
                }
                Item::Terms(terms) => market.on_terms(terms),
                Item::Silent(instrument, sequence) => market.on_silent(*instrument, *sequence),
            }
        }
        market.turn(batch.drained, batch.quiescent, &mut say);
        stats.messages.set(store.next() - 1);
    }

    /// Serves whoever asks. Says whether there is more to do at once.
    fn serve(&mut self, events: &Events, now: Instant) -> bool {
        let Self { server, store, market, scribe, nanos, has_begun, .. } = self;
        let directory = scribe.directory();
        for event in events {
            match event.token() {
                WAKE | REQUESTS => {}
                SNAPSHOTS => {
                    if let Some(snapshots) = &mut server.snapshots {
                        snapshots.accept(server.poll.registry(), now);
                    }
                }
                Token(token) if token >= SNAPSHOT_CLIENTS => {
                    if let Some(snapshots) = &mut server.snapshots {
                        snapshots.on_ready(Token(token), store.session(), now);
                    }
                }
                _ => {}
            }
        }
        let mut owes = false;
        if let Some(requests) = &mut server.requests {
            owes |= requests.serve(store, now);
        }
        if let Some(snapshots) = &mut server.snapshots {
            if *has_begun {
                snapshots.give(now, store, |say| {
                    directory.open(*nanos, &mut *say);
                    for (instrument, locate) in directory.entries() {
                        if locate.is_err() {
                            continue;
                        }
                        for side in [domain::Side::Buy, domain::Side::Sell] {
                            for order in market.orders(instrument.id, side) {
                                let add =
                                    directory.add(*nanos, order.order, side, order.price, order.quantity);
                                if let Ok(Some(add)) = add {
                                    say(add);
                                }
                            }
                        }
                    }
                });
            }
            owes |= snapshots.flush(server.poll.registry(), now);
        }
        owes
    }

    /// The front has ended: so does the session.
    fn end(mut self) {
        if !self.waiting.is_empty() {
            warn!("{} turns were never as safe as asked, and are not published", self.waiting.len());
        }
        if !self.has_begun {
            return;
        }
        let Self { store, nanos, server, .. } = &mut self;
        // The time goes on to where it is, but not backwards.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let now = Nanos(u64::try_from(now).unwrap_or(u64::MAX)).max(*nanos);
        Directory::close(now, |message| store.push(&message));
        server.publisher.flush(store);
        server.publisher.end(store);
    }
}
