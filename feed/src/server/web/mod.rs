//! The WebSocket feed, for web clients: best prices, depth with a sequence and a checksum, trades; as JSON.
//!
//! What changed since the last turn of the thread is told in one message for each book, however much happened in between. A
//! client that does not take what it is told misses what comes on top, and gets snapshots when it has caught up; one that
//! does not catch up is cut off.

mod client;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{Instrument, InstrumentId};
use mio::{Interest, Registry, Token, net::TcpListener};
use tungstenite::Utf8Bytes;

use self::{
    client::{Client, Origins},
    text::{Asked, Channel},
};
use super::{Seen, WEB_CLIENTS, stats::Stats};
use crate::{depth::Depth, market::Market};

/// Symbols that one client may subscribe to. Snapshots of all of them find room in what may wait for it.
const SUBSCRIPTIONS_MAX: usize = 256;
/// How often clients are looked at for those who have gone.
const LOOK_EACH: Duration = Duration::from_secs(1);

/// What the WebSocket feed is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    /// Where it listens.
    pub address: SocketAddr,
    /// Levels of each side.
    pub depth: usize,
    /// Clients at once; one address may have half of them.
    pub clients: usize,
    /// Pages that browsers may come from; none: all.
    pub origins: Vec<String>,
}

/// A book that somebody watches.
#[derive(Default)]
struct Watched {
    depth: Depth,
    /// Places of the clients.
    clients: BTreeSet<usize>,
}

pub(super) struct Web {
    listener: TcpListener,
    address: SocketAddr,
    settings: WebSettings,
    origins: Origins,
    /// By token.
    clients: Vec<Option<Client>>,
    books: BTreeMap<InstrumentId, Watched>,
    symbols: HashMap<String, InstrumentId>,
    instruments: Vec<Instrument>,
    looked: Instant,
    stats: Arc<Stats>,
}

impl Web {
    pub(super) fn bind(
        settings: &WebSettings,
        registry: &Registry,
        token: Token,
        stats: Arc<Stats>,
    ) -> io::Result<Self> {
        let mut listener = TcpListener::bind(settings.address)?;
        registry.register(&mut listener, token, Interest::READABLE)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            origins: Origins(settings.origins.clone().into()),
            clients: (0..settings.clients).map(|_| None).collect(),
            settings: settings.clone(),
            books: BTreeMap::new(),
            symbols: HashMap::new(),
            instruments: Vec::new(),
            looked: Instant::now(),
            stats,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What there is to subscribe to.
    pub(super) fn list(&mut self, instruments: &[Instrument]) {
        self.instruments = instruments.to_vec();
        self.symbols = instruments.iter().map(|entry| (entry.symbol.as_str().to_owned(), entry.id)).collect();
    }

    /// Takes those who connect; who finds no place is closed at once.
    pub(super) fn accept(&mut self, registry: &Registry, now: Instant) {
        loop {
            match self.listener.accept() {
                Ok((mut stream, from)) => {
                    let from = from.ip();
                    let of_address =
                        self.clients.iter().flatten().filter(|client| client.from == from).count();
                    let place = self.clients.iter().position(Option::is_none);
                    let Some(at) = place.filter(|_| of_address < self.clients.len().div_ceil(2)) else {
                        self.stats.web_refused.add(1);
                        continue;
                    };
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    let token = Token(WEB_CLIENTS + at);
                    // Small messages go at once.
                    let _ = stream.set_nodelay(true);
                    if registry.register(&mut stream, token, interest).is_ok() {
                        self.clients[at] = Some(Client::new(stream, from, self.origins.clone(), now));
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// A client's socket can be read or written. Says whether it has to be looked at again at once.
    pub(super) fn on_ready(&mut self, token: Token, market: &Market, now: Instant) -> bool {
        let at = token.0 - WEB_CLIENTS;
        let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) else { return false };
        let mut said = Vec::new();
        let more = client.receive(now, &mut said);
        for text in said {
            self.on_text(at, &text, market, now);
        }
        self.catch_up(at, now);
        self.forget_if_gone(at);
        more
    }

    fn on_text(&mut self, at: usize, text: &str, market: &Market, now: Instant) {
        let answer = match serde_json::from_str(text) {
            Ok(Asked::Subscribe { symbols, channels }) => {
                self.subscribe(at, &symbols, &channels, market, now)
            }
            Ok(Asked::Unsubscribe { symbols, channels }) => self.unsubscribe(at, &symbols, &channels),
            Err(error) => Err(format!("no request: {error}")),
        };
        let answer = match answer {
            Ok(Some(done)) => done,
            Ok(None) => return,
            Err(why) => text::refusal(&why),
        };
        if let Some(client) = &mut self.clients[at] {
            client.send(answer.into(), now);
        }
    }

    fn find(&self, symbols: &[String]) -> Result<Vec<InstrumentId>, String> {
        let find = |symbol: &String| self.symbols.get(symbol).copied().ok_or(format!("no symbol {symbol}"));
        symbols.iter().map(find).collect()
    }

    /// Subscribes, all or none. The answer comes before the snapshots.
    fn subscribe(
        &mut self,
        at: usize,
        symbols: &[String],
        channels: &[Channel],
        market: &Market,
        now: Instant,
    ) -> Result<Option<String>, String> {
        let found = self.find(symbols)?;
        let bits = channels.iter().fold(0, |bits, channel| bits | channel.bit());
        let Some(client) = &mut self.clients[at] else { return Ok(None) };
        let new = found.iter().filter(|id| !client.subscriptions.contains_key(id)).count();
        if bits == 0 || client.subscriptions.len() + new > SUBSCRIPTIONS_MAX {
            return Err(format!("at least one channel, and at most {SUBSCRIPTIONS_MAX} symbols"));
        }
        client.send(text::done("subscribed", found.len()).into(), now);
        for id in found {
            *client.subscriptions.entry(id).or_default() |= bits;
            let watched = self.books.entry(id).or_default();
            if watched.clients.is_empty() {
                // Nobody has looked for a while.
                watched.depth.look(|side| market.levels(id, side).take(self.settings.depth));
            }
            watched.clients.insert(at);
            show(client, &self.instruments[id.0 as usize], &watched.depth, bits, now);
        }
        Ok(None)
    }

    fn unsubscribe(
        &mut self,
        at: usize,
        symbols: &[String],
        channels: &[Channel],
    ) -> Result<Option<String>, String> {
        let found = self.find(symbols)?;
        let bits = channels.iter().fold(0, |bits, channel| bits | channel.bit());
        let Some(client) = &mut self.clients[at] else { return Ok(None) };
        for id in &found {
            if let Some(kept) = client.subscriptions.get_mut(id) {
                *kept &= !bits;
                if *kept == 0 {
                    client.subscriptions.remove(id);
                    if let Some(watched) = self.books.get_mut(id) {
                        watched.clients.remove(&at);
                    }
                }
            }
        }
        Ok(Some(text::done("unsubscribed", found.len())))
    }

    /// Tells what has changed.
    pub(super) fn publish(&mut self, market: &Market, seen: &Seen, now: Instant) {
        let Self { clients, books, instruments, settings, .. } = self;
        if books.is_empty() {
            return;
        }
        let mut tell = |watched: &BTreeSet<usize>, id: InstrumentId, channel: Channel, text: String| {
            let text = Utf8Bytes::from(text);
            for at in watched {
                if let Some(client) = &mut clients[*at]
                    && !client.is_behind
                    && client.subscriptions.get(&id).is_some_and(|bits| bits & channel.bit() != 0)
                {
                    client.send(text.clone(), now);
                }
            }
        };
        for trade in &seen.trades {
            if let Some(watched) = books.get(&trade.instrument).filter(|watched| !watched.clients.is_empty())
            {
                let text = text::trade(&instruments[trade.instrument.0 as usize], trade);
                tell(&watched.clients, trade.instrument, Channel::Trades, text);
            }
        }
        for id in &seen.changed {
            let Some(watched) = books.get_mut(id).filter(|watched| !watched.clients.is_empty()) else {
                continue;
            };
            let levels = |side| market.levels(*id, side).take(settings.depth);
            let Some(change) = watched.depth.look(levels) else { continue };
            let instrument = &instruments[id.0 as usize];
            let text = text::change(instrument, &change, &watched.depth);
            tell(&watched.clients, *id, Channel::Depth, text);
            if change.top {
                tell(&watched.clients, *id, Channel::Top, text::top(instrument, &watched.depth));
            }
        }
    }

    /// Sends what waits, and looks for those who have gone, now and then.
    pub(super) fn look(&mut self, now: Instant) {
        let is_due = now.duration_since(self.looked) >= LOOK_EACH;
        if is_due {
            self.looked = now;
        }
        let mut open = 0;
        for at in 0..self.clients.len() {
            if let Some(client) = &mut self.clients[at] {
                open += u64::from(client.is_open());
                if is_due && client.is_late(now) {
                    self.stats.web_cut.add(1);
                    self.forget(at);
                } else {
                    self.forget_if_gone(at);
                }
            }
        }
        self.stats.web_clients.set(open);
    }

    /// How long it is until clients have to be looked at.
    pub(super) fn patience(&self, now: Instant) -> Duration {
        if self.clients.iter().all(Option::is_none) {
            return Duration::MAX;
        }
        LOOK_EACH.saturating_sub(now.duration_since(self.looked))
    }

    /// One that was behind has taken what waited: it gets snapshots.
    fn catch_up(&mut self, at: usize, now: Instant) {
        let Some(client) = &mut self.clients[at] else { return };
        if !client.flush(now) || !core::mem::take(&mut client.is_behind) {
            return;
        }
        self.stats.web_conflated.add(1);
        let subscriptions = client.subscriptions.clone();
        for (id, bits) in subscriptions {
            if let Some(watched) = self.books.get(&id) {
                show(client, &self.instruments[id.0 as usize], &watched.depth, bits, now);
            }
        }
    }

    fn forget_if_gone(&mut self, at: usize) {
        if self.clients[at].as_ref().is_some_and(Client::is_gone) {
            self.forget(at);
        }
    }

    fn forget(&mut self, at: usize) {
        let Some(client) = self.clients[at].take() else { return };
        for id in client.subscriptions.keys() {
            if let Some(watched) = self.books.get_mut(id) {
                watched.clients.remove(&at);
            }
        }
    }

    /// The session ends.
    pub(super) fn end(&mut self) {
        self.clients.iter_mut().flatten().for_each(Client::end);
    }
}

/// Shows a client a book as it is.
fn show(client: &mut Client, instrument: &Instrument, depth: &Depth, bits: u8, now: Instant) {
    if bits & Channel::Depth.bit() != 0 {
        client.send(text::snapshot(instrument, depth).into(), now);
    }
    if bits & Channel::Top.bit() != 0 {
        client.send(text::top(instrument, depth).into(), now);
    }
}
