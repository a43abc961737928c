//! The feed's thread: publishes what the front leaves once the log is as safe as asked, and serves those who missed it.
//!
//! One turn: take batches → publish those that the gate lets through (market, messages, packets) → serve requests,
//! snapshots → sleep until a socket, the front or the next heartbeat. Nothing here waits for a client: what a client does
//! not take in time is dropped with it.

mod publisher;
mod requests;
mod snapshots;
mod stats;
mod web;

use std::{
    collections::{BTreeSet, VecDeque},
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use domain::{Instrument, InstrumentId, Nanos, Position, Side};
use log::{error, warn};
use mio::{Events, Poll, Token, Waker};
use wire::mold::Session;

use self::{publisher::Publisher, requests::Requests, snapshots::Snapshots, web::Web};
use crate::{
    change::{Change, ChangeKind},
    depth::PublicTrade,
    itch::{Directory, Scribe},
    market::{Market, Standing},
    store::Store,
    tap::{Batch, Intake, Item},
};

pub use self::{
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
    /// The feed for web clients.
    pub web: Option<WebSettings>,
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
            web: None,
        }
    }
}

impl Settings {
    /// File descriptors that it takes.
    #[must_use]
    pub fn descriptors(&self) -> u64 {
        let web = self.web.as_ref().map_or(0, |web| web.clients);
        // The poll, its waker, and what listens.
        8 + (self.mold.len() + self.snapshot_clients + web) as u64
    }

    /// Whether anything is published at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.mold.is_empty() || self.rerequest.is_some() || self.snapshot.is_some() || self.web.is_some()
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
    web: Option<Web>,
    watchers: Vec<Box<dyn Watcher>>,
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
    /// For web clients.
    pub web: Option<SocketAddr>,
}

/// What a turn of the thread brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Books of which something else can be seen.
    pub changed: BTreeSet<InstrumentId>,
    /// Trades, of each book in their order.
    pub trades: Vec<PublicTrade>,
}

impl Seen {
    fn see(&mut self, change: &Change) {
        let (instrument, nanos) = (change.instrument, change.nanos);
        let trade = match change.kind {
            ChangeKind::Executed { counts: true, side, quantity, trade, at, .. } => {
                Some((side, quantity, trade, at))
            }
            ChangeKind::Traded { side, quantity, trade, price } => Some((side, quantity, trade, price)),
            _ => None,
        };
        if let Some((side, quantity, trade, price)) = trade {
            let taker_side = Side::opposite(side);
            self.trades.push(PublicTrade { instrument, nanos, trade, price, quantity, taker_side });
        }
        self.changed.insert(instrument);
    }

    fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }
}

/// Somebody else who makes something of what can be seen, on the feed's thread: a gateway of another protocol, for one. It
/// is told what has been published and nothing before, and must not wait for anyone.
pub trait Watcher: Send {
    /// What the last turn brought, and all books behind it.
    fn on_turn(&mut self, market: &Market, seen: &Seen);
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
    /// Of this turn, if anybody wants to know.
    seen: Seen,
    /// Web clients that have to be looked at.
    again: Vec<usize>,
}

impl Running {
    fn new(mut server: Server, start: Start, intake: Intake) -> Self {
        let Start { instruments, standing, position, nanos, session } = start;
        if let Some(web) = &mut server.web {
            web.list(&instruments);
        }
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
            seen: Seen::default(),
            again: Vec::new(),
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
        let snapshots = self.server.snapshots.as_ref().map(|snapshots| snapshots.patience(now));
        let web = self.server.web.as_ref().map(|web| web.patience(now));
        snapshots.into_iter().chain(web).fold(heartbeat, Duration::min)
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
            self.server.stats.position.set(self.start.0);
        }
        while self.waiting.front().is_some_and(|batch| batch.position <= gate) {
            let Some(batch) = self.waiting.pop_front() else { break };
            self.apply(&batch);
            self.server.publisher.flush(&self.store);
            self.server.stats.position.set(batch.position.0);
            self.intake.published(batch);
            worked = true;
        }
        self.tell();
        worked
    }

    /// Tells others than those of the feed itself what was published.
    fn tell(&mut self) {
        let Self { server, seen, market, .. } = self;
        if seen.is_empty() {
            return;
        }
        if let Some(web) = &mut server.web {
            web.publish(market, seen, Instant::now());
        }
        for watcher in &mut server.watchers {
            watcher.on_turn(market, seen);
        }
        seen.changed.clear();
        seen.trades.clear();
    }

    fn apply(&mut self, batch: &Batch) {
        let Self { market, scribe, store, nanos, unfit_said, server, seen, .. } = self;
        let is_watched = server.web.is_some() || !server.watchers.is_empty();
        let stats = &server.stats;
        let mut say = |change: &Change| {
            if is_watched {
                seen.see(change);
            }
            match scribe.message(change) {
                Ok(Some(message)) => store.push(&message),
                Ok(None) => {}
                Err(unfit) => {
                    stats.unfit.add(1);
                    if !core::mem::replace(unfit_said, true) {
                        error!("a change of instrument {} is not published: {unfit}", change.instrument);
                    }
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
        let Self { server, store, market, scribe, nanos, has_begun, again, .. } = self;
        let directory = scribe.directory();
        let mut owes = false;
        for event in events {
            match event.token() {
                WAKE | REQUESTS => {}
                SNAPSHOTS => {
                    if let Some(snapshots) = &mut server.snapshots {
                        snapshots.accept(server.poll.registry(), now);
                    }
                }
                WEB => {
                    if let Some(web) = &mut server.web {
                        web.accept(server.poll.registry(), now);
                    }
                }
                Token(token) if token >= WEB_CLIENTS => again.push(token),
                Token(token) if token >= SNAPSHOT_CLIENTS => {
                    if let Some(snapshots) = &mut server.snapshots {
                        snapshots.on_ready(Token(token), store.session(), now);
                    }
                }
                _ => {}
            }
        }
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
        if let Some(web) = &mut server.web {
            if *has_begun {
                again.sort_unstable();
                again.dedup();
                again.retain(|token| web.on_ready(Token(*token), market, now));
                owes |= !again.is_empty();
            }
            web.look(now);
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
        if let Some(web) = &mut server.web {
            web.end();
        }
    }
}
