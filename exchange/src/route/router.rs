//! The poll loop: connections in, each session's turn when something is announced for it, deadlines a few times a second.
//!
//! A session's sockets share a range of tokens: the client's is the first, and those of its links follow by slot. Nothing in
//! a turn waits for anything but the poll; files are synced by other threads.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::ErrorKind,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use domain::Symbol;
use log::{info, warn};
use mio::{Events, Interest, Poll, Registry, Token, Waker, net::TcpListener};
use wire::ouch::Elsewhere;

use super::{
    account::Accounts,
    session::{Close, Session, Turn},
    socket::Socket,
    syncs::{Job, Syncs},
};
use crate::placement::{follow::Follow, map::PlacementMap};

/// Tokens of a session: its client's, and one for each pair that it may know.
const STRIDE: usize = 128;
const _: () = assert!(STRIDE > crate::placement::map::PAIRS_MAX);
const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
/// From one look at deadlines to the next.
const TICK: Duration = Duration::from_millis(50);
/// Bytes that one read takes at most.
const READ_MAX: usize = 32 * 1024;

/// The newest placement map, as the thread that follows it leaves it.
#[derive(Default)]
pub(super) struct Newest {
    map: Mutex<Option<Arc<PlacementMap>>>,
    changed: AtomicBool,
}

impl Newest {
    pub(super) fn leave(&self, map: Arc<PlacementMap>) {
        *self.map.lock().unwrap_or_else(PoisonError::into_inner) = Some(map);
        self.changed.store(true, Ordering::Release);
    }

    fn take(&self) -> Option<Arc<PlacementMap>> {
        if !self.changed.swap(false, Ordering::Acquire) {
            return None;
        }
        self.map.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a session finds around itself in its turn.
pub(super) struct Around<'a> {
    pub(super) index: usize,
    serial: u64,
    pub(super) now: Instant,
    pub(super) registry: &'a Registry,
    pub(super) scratch: &'a mut [u8],
    pub(super) map: Option<&'a PlacementMap>,
    /// Instruments of which a pair has said that a newer map places them elsewhere, and that map's generation.
    pub(super) stale: &'a mut BTreeMap<Symbol, u64>,
    syncs: &'a Syncs,
    follow: &'a Follow,
}

impl Around<'_> {
    /// The token of the client's socket (0) or of a link's (its slot and 1).
    pub(super) fn token(&self, which: usize) -> Token {
        Token(self.index * STRIDE + which)
    }

    /// Has the session's file synced.
    pub(super) fn sync(&self, file: Arc<File>, written: u64) {
        self.syncs.sync(Job { serial: self.serial, index: self.index, file, written });
    }

    /// A pair has refused an order for where its instrument lives. If it goes by a newer map than this router, no further
    /// order for that instrument is routed until that map, or a newer one, is here.
    pub(super) fn refused_elsewhere(&mut self, elsewhere: &Elsewhere<'_>) {
        let Some((map, symbol)) = self.map.zip(Symbol::from_padded(elsewhere.symbol)) else { return };
        if elsewhere.generation <= map.generation || !map.instruments.contains_key(&symbol) {
            return;
        }
        let newer = self.stale.entry(symbol).or_default();
        if *newer < elsewhere.generation {
            *newer = elsewhere.generation;
            warn!(
                "{symbol}: a pair goes by generation {} of the placement map, and {} is known here: no order for it is \
                 routed until the newer one is here",
                elsewhere.generation, map.generation
            );
        }
        self.follow.look_now();
    }
}

/// A session with the number that tells it from those that had its place before.
struct Seat {
    serial: u64,
    session: Session,
}

/// See the module.
pub(super) struct Router {
    poll: Poll,
    listener: TcpListener,
    accounts: Accounts,
    connections_max: usize,
    newest: Arc<Newest>,
    map: Option<Arc<PlacementMap>>,
    stale: BTreeMap<Symbol, u64>,
    follow: Follow,
    syncs: Syncs,
    seats: Vec<Option<Seat>>,
    free: Vec<usize>,
    serials: u64,
    /// Sessions that have something to do.
    busy: BTreeSet<usize>,
    scratch: Vec<u8>,
    last_tick: Instant,
    stop: Arc<AtomicBool>,
}

impl Router {
    /// Listens at `address`. Gives the router, where it listens, and what ends its poll.
    ///
    /// # Errors
    /// When the address cannot be had, or a thread.
    pub(super) fn bind(
        address: SocketAddr,
        connections_max: usize,
        accounts: Accounts,
        newest: Arc<Newest>,
        follow: Follow,
        stop: Arc<AtomicBool>,
    ) -> Result<(Self, SocketAddr, Arc<Waker>), String> {
        let named = |error: std::io::Error| format!("cannot listen on {address}: {error}");
        let poll = Poll::new().map_err(named)?;
        let mut listener = TcpListener::bind(address).map_err(named)?;
        let bound = listener.local_addr().map_err(named)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(named)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(named)?);
        let syncs = Syncs::start(&waker)?;
        let router = Self {
            poll,
            listener,
            accounts,
            connections_max,
            newest,
            map: None,
            stale: BTreeMap::new(),
            follow,
            syncs,
            seats: Vec::new(),
            free: Vec::new(),
            serials: 0,
            busy: BTreeSet::new(),
            scratch: vec![0; READ_MAX],
            last_tick: Instant::now(),
            stop,
        };
        Ok((router, bound, waker))
    }

    /// Runs until it is asked to stop.
    ///
    /// # Errors
    /// When the system's poll fails, or a session's file.
    pub(super) fn run(mut self) -> Result<(), String> {
        let mut events = Events::with_capacity(1_024);
        while !self.stop.load(Ordering::Acquire) {
            let timeout = if self.busy.is_empty() { TICK } else { Duration::ZERO };
            match self.poll.poll(&mut events, Some(timeout)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("polling sockets: {error}")),
            }
            let mut accept = false;
            for event in &events {
                match event.token() {
                    LISTENER => accept = true,
                    WAKER => {}
                    Token(token) => {
                        let (index, which) = (token / STRIDE, token % STRIDE);
                        if let Some(Some(seat)) = self.seats.get_mut(index) {
                            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
                            let writable = event.is_writable() || event.is_write_closed() || event.is_error();
                            seat.session.announced(which, readable, writable);
                            self.busy.insert(index);
                        }
                    }
                }
            }
            self.take_map();
            self.take_synced()?;
            if self.last_tick.elapsed() >= TICK {
                self.last_tick = Instant::now();
                self.tick()?;
                // Who could not be accepted for want of file descriptors is not announced again.
                accept = true;
            }
            if accept {
                self.accept();
            }
            for index in std::mem::take(&mut self.busy) {
                self.turn(index)?;
            }
        }
        for seat in self.seats.iter_mut().flatten() {
            seat.session.farewell();
        }
        for index in 0..self.seats.len() {
            self.close(index, &Close::Shutdown)?;
        }
        Ok(())
    }

    fn accept(&mut self) {
        loop {
            let (stream, peer) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // What is wrong for now is tried again with the next event or tick.
                Err(_) => return,
            };
            if self.seats.len() - self.free.len() >= self.connections_max {
                warn!("{peer}: closed, {} connections are open already", self.connections_max);
                continue;
            }
            let index = self.free.pop().unwrap_or_else(|| {
                self.seats.push(None);
                self.seats.len() - 1
            });
            let opened = stream
                .set_nodelay(true)
                .and_then(|()| Socket::new(stream, peer, self.poll.registry(), Token(index * STRIDE)));
            match opened {
                Ok(client) => {
                    self.serials += 1;
                    let session = Session::new(client, Instant::now());
                    self.seats[index] = Some(Seat { serial: self.serials, session });
                }
                Err(error) => {
                    warn!("{peer}: closed, {error}");
                    self.free.push(index);
                }
            }
        }
    }

    fn take_map(&mut self) {
        let Some(map) = self.newest.take() else { return };
        self.stale.retain(|_, newer| *newer > map.generation);
        self.map = Some(map);
        self.busy.extend((0..self.seats.len()).filter(|index| self.seats[*index].is_some()));
    }

    fn take_synced(&mut self) -> Result<(), String> {
        while let Ok(synced) = self.syncs.done.try_recv() {
            synced.result.map_err(|error| format!("syncing a session's file: {error}"))?;
            let Some(Some(seat)) = self.seats.get_mut(synced.index) else { continue };
            if seat.serial != synced.serial {
                continue;
            }
            seat.session.synced = synced.written;
            if let Some(account) = seat.session.user().and_then(|user| self.accounts.get_mut(user)) {
                account.synced = account.synced.max(synced.written);
            }
            self.busy.insert(synced.index);
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), String> {
        for index in 0..self.seats.len() {
            if self.seats[index].is_some() {
                self.with(index, |session, accounts, around| {
                    session.tick(accounts, around).map(|()| Turn::Again)
                })?;
            }
        }
        Ok(())
    }

    fn turn(&mut self, index: usize) -> Result<(), String> {
        self.with(index, Session::turn)
    }

    /// Lets a session do something, and does what comes of it.
    fn with(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Session, &mut Accounts, &mut Around<'_>) -> Result<Turn, Close>,
    ) -> Result<(), String> {
        let Some(Some(Seat { serial, session })) = self.seats.get_mut(index) else { return Ok(()) };
        let mut around = Around {
            index,
            serial: *serial,
            now: Instant::now(),
            registry: self.poll.registry(),
            scratch: &mut self.scratch,
            map: self.map.as_deref(),
            stale: &mut self.stale,
            syncs: &self.syncs,
            follow: &self.follow,
        };
        match act(session, &mut self.accounts, &mut around) {
            Ok(Turn::Done) => Ok(()),
            Ok(Turn::Again) => {
                self.busy.insert(index);
                Ok(())
            }
            Ok(Turn::Supersede(other)) => {
                self.busy.insert(index);
                self.close(other, &Close::Superseded)
            }
            Err(reason) => self.close(index, &reason),
        }
    }

    fn close(&mut self, index: usize, reason: &Close) -> Result<(), String> {
        let Some(Seat { session, .. }) = self.seats.get_mut(index).and_then(Option::take) else {
            return Ok(());
        };
        let user = session.user();
        let name = user.map(|user| String::from_utf8_lossy(user.trim_ascii_end()).into_owned());
        if name.is_some() || !matches!(reason, Close::ByPeer | Close::Shutdown) {
            info!("{} {}: {reason}", session.client.peer(), name.unwrap_or_default());
        }
        if let Some(user) = user {
            self.accounts.release(user, index);
        }
        session.close(self.poll.registry());
        self.busy.remove(&index);
        self.free.push(index);
        match reason {
            Close::Fatal(why) => Err(why.clone()),
            _ => Ok(()),
        }
    }
}
