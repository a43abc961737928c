//! The WebSocket feed, for web clients: best prices, depth with a sequence and a checksum, trades; as JSON.
//!
//! What changed since the last turn of the thread is told in one message for each book, however much happened in between. A
//! client that does not take what it is told misses what comes on top, and gets snapshots when it has caught up; one that
//! does not catch up is cut off.

mod client;
mod entry;
mod stream;
mod text;
mod upgrade;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{Instrument, InstrumentId};
use door::{auth::Network, lobby::LobbyLimits};
use log::info;
use mio::{Interest, Registry, Token};
use tungstenite::Utf8Bytes;

use self::{
    client::{Client, Entry, Heard},
    text::{Asked, Channel},
    upgrade::WebLogin,
};
use super::{
    Seen, WEB_CLIENTS,
    doors::{Doors, Entrance},
    settings::Settings,
    share::Share,
    stats::Stats,
};
use crate::{depth::Depth, market::Market};

/// Symbols that one client may subscribe to. Snapshots of all of them find room in what may wait for it.
const SUBSCRIPTIONS_MAX: usize = 256;
/// How often clients are looked at for those who have gone.
const LOOK_EACH: Duration = Duration::from_secs(1);
/// Messages that a client may say in that time, pings among them.
const SAID_MAX: usize = 100;
const TOO_MANY: &str = "more than 100 messages in a second";
/// Books are shown for so long in one turn.
const SHOWING: Duration = Duration::from_millis(1);
/// Messages read from one client in a turn.
const READ_MAX: usize = 16;

/// What the WebSocket feed is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    /// Where it listens.
    pub address: SocketAddr,
    /// Levels of each side.
    pub depth: usize,
    /// Clients at once; one address may have half of them, unless the settings say how many.
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
    entrance: Entrance,
    settings: WebSettings,
    origins: Arc<[String]>,
    login_timeout: Duration,
    /// By token.
    clients: Vec<Option<Client>>,
    books: BTreeMap<InstrumentId, Watched>,
    symbols: HashMap<String, InstrumentId>,
    instruments: Vec<Instrument>,
    /// Clients that are to be shown books, in turns.
    owing: VecDeque<usize>,
    /// Showing books is a part of the thread's work, for whoever subscribes again and again.
    share: Share,
    looked: Instant,
    stats: Arc<Stats>,
}

impl Web {
    pub(super) fn bind(
        web: &WebSettings,
        settings: &Settings,
        registry: &Registry,
        token: Token,
        stats: Arc<Stats>,
    ) -> io::Result<Self> {
        let limits = LobbyLimits {
            of_address: Some(settings.of_address.unwrap_or(web.clients.div_ceil(2))),
            unauthenticated: web.clients,
            unauthenticated_of_other_machine: web.clients,
            ..LobbyLimits::default()
        };
        Ok(Self {
            entrance: Entrance::bind(web.address, limits, registry, token, Arc::clone(&stats))?,
            origins: web.origins.clone().into(),
            login_timeout: settings.login_timeout,
            clients: (0..web.clients).map(|_| None).collect(),
            settings: web.clone(),
            books: BTreeMap::new(),
            symbols: HashMap::new(),
            instruments: Vec::new(),
            owing: VecDeque::new(),
            share: Share::new(Instant::now()),
            looked: Instant::now(),
            stats,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.entrance.address()
    }

    pub(super) fn allow(&mut self, networks: Vec<Network>) {
        self.entrance.allow(networks);
    }

    /// What there is to subscribe to.
    pub(super) fn list(&mut self, instruments: &[Instrument]) {
        self.instruments = instruments.to_vec();
        self.symbols = instruments.iter().map(|entry| (entry.symbol.as_str().to_owned(), entry.id)).collect();
    }

    /// Takes those who connect. Who finds no place takes that of the one who has waited longest for its login, or is closed at
    /// once where all have logged in.
    pub(super) fn accept(&mut self, registry: &Registry, doors: &Doors, now: Instant) {
        loop {
            let refused = &self.stats.web_refused;
            let Some((mut socket, peer)) = self.entrance.next(|| refused.add(1)) else { return };
            let free = self.clients.iter().position(Option::is_none);
            let Some(at) = free.or_else(|| self.make_place()) else {
                self.stats.web_refused.add(1);
                continue;
            };
            let interest = Interest::READABLE | Interest::WRITABLE;
            let token = WEB_CLIENTS + at;
            if registry.register(&mut socket, Token(token), interest).is_ok()
                && let Ok(transport) = doors.transport(socket)
            {
                let place = self.entrance.lobby.came(peer.ip(), token);
                let (origins, until) = (Arc::clone(&self.origins), now + self.login_timeout);
                self.clients[at] = Some(Client::new(transport, peer, place, origins, now, until));
            }
        }
    }

    fn make_place(&mut self) -> Option<usize> {
        let at = self.entrance.lobby.displaced_for_want_of_places()? - WEB_CLIENTS;
        self.stats.displaced.add(1);
        self.forget(at);
        Some(at)
    }

    /// A client's socket can be read or written. Says whether it has to be looked at again at once.
    pub(super) fn on_ready(
        &mut self,
        token: Token,
        doors: &mut Doors,
        market: &Market,
        now: Instant,
    ) -> bool {
        let at = token.0 - WEB_CLIENTS;
        let mut more = true;
        for _ in 0..READ_MAX {
            let client = self.clients.get_mut(at).and_then(Option::as_mut);
            let Some(client) = client.filter(|client| !client.waits_for_verdict()) else {
                more = false;
                break;
            };
            let heard = client.receive(token.0, doors, now);
            if client.said > SAID_MAX && !matches!(client.entry, Entry::Leaves) {
                client.turn_away(TOO_MANY, now);
                self.unsubscribe_all(at);
                continue;
            }
            match heard {
                Heard::Text(text) => self.on_text(at, &text, doors, market, now),
                Heard::Opened => self.on_opened(at, doors, now),
                Heard::Nothing => {}
                Heard::Drained(has_more) => {
                    more = has_more;
                    break;
                }
            }
        }
        self.catch_up(at, now);
        self.forget_if_gone(at);
        more
    }

    fn on_text(&mut self, at: usize, text: &str, doors: &mut Doors, market: &Market, now: Instant) {
        let Some(client) = &mut self.clients[at] else { return };
        let is_in = match client.entry {
            Entry::In(_) => true,
            Entry::Leaves => return,
            _ => false,
        };
        let answer = match Asked::read(text) {
            Ok(Asked::Login { .. }) if is_in && doors.ask() => Err("it has logged in".to_owned()),
            // Where nobody is asked anybody is let in.
            Ok(Asked::Login { .. }) if is_in => Ok(Some(text::LOGGED_IN.to_owned())),
            Ok(Asked::Login { user, password }) => {
                return self.log_in(at, WebLogin { user, password }, doors, now);
            }
            _ if !is_in => {
                return client.turn_away(
                    "not logged in: {\"op\":\"login\",\"user\":\"...\",\"password\":\"...\"} comes first",
                    now,
                );
            }
            Ok(Asked::Subscribe { symbols, channels }) => {
                self.subscribe(at, &symbols, &channels, market, now)
            }
            Ok(Asked::Unsubscribe { symbols, channels }) => self.unsubscribe(at, &symbols, &channels),
            Err(why) => Err(why),
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
            client.owe(id, bits);
        }
        self.is_owing(at);
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
            client.owe_no_more(*id, bits);
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
                    && client.is_told(id, channel)
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
        self.show_some(now);
        let is_due = now.duration_since(self.looked) >= LOOK_EACH;
        if is_due {
            self.looked = now;
        }
        let mut open = 0;
        for at in 0..self.clients.len() {
            if let Some(client) = &mut self.clients[at] {
                open += u64::from(client.is_open());
                if is_due {
                    client.said = 0;
                }
                if is_due && client.is_late(now) {
                    self.stats.web_cut.add(1);
                    if matches!(client.entry, Entry::Outside(_)) {
                        self.stats.late.add(1);
                        info!("{}: market data: no login in time", client.peer);
                    }
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
        let look = LOOK_EACH.saturating_sub(now.duration_since(self.looked));
        if self.owing.is_empty() { look } else { look.min(self.share.next().duration_since(now)) }
    }

    /// One that was behind has taken what waited: it gets snapshots.
    fn catch_up(&mut self, at: usize, now: Instant) {
        let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) else { return };
        if !client.flush(now) || !core::mem::take(&mut client.is_behind) {
            return;
        }
        self.stats.web_conflated.add(1);
        for (id, bits) in client.subscriptions.clone() {
            client.owe(id, bits);
        }
        self.is_owing(at);
    }

    /// A client may have to be shown books.
    fn is_owing(&mut self, at: usize) {
        if self.clients[at].as_ref().is_some_and(|client| !client.owed.is_empty())
            && !self.owing.contains(&at)
        {
            self.owing.push_back(at);
        }
    }

    /// Shows books to those who have not seen them as they are: one to each in turn, for a while.
    fn show_some(&mut self, now: Instant) {
        if self.owing.is_empty() || !self.share.may(now) {
            return;
        }
        let begun = Instant::now();
        let mut took = Duration::ZERO;
        while took < SHOWING {
            let Some(at) = self.owing.pop_front() else { break };
            let Some(client) = &mut self.clients[at] else { continue };
            let Some((id, bits)) = client.owed.pop_first() else { continue };
            if let Some(watched) = self.books.get(&id) {
                show(client, &self.instruments[id.0 as usize], &watched.depth, bits, now);
            }
            if client.is_behind {
                // It is shown all of them when it has taken what waits.
                client.owed.clear();
            } else if !client.owed.is_empty() {
                self.owing.push_back(at);
            }
            took = begun.elapsed();
        }
        self.share.took(now, took);
    }

    fn forget_if_gone(&mut self, at: usize) {
        if self.clients.get(at).and_then(Option::as_ref).is_some_and(Client::is_gone) {
            self.forget(at);
        }
    }

    fn forget(&mut self, at: usize) {
        self.unsubscribe_all(at);
        if let Some(client) = self.clients[at].take() {
            self.entrance.lobby.left(client.peer.ip(), client.place);
        }
    }

    fn unsubscribe_all(&mut self, at: usize) {
        let Some(client) = &mut self.clients[at] else { return };
        client.owed.clear();
        for id in core::mem::take(&mut client.subscriptions).keys() {
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

/// Takes `data` for what a client says: a request, and what stands in its `Authorization`.
///
/// # Panics
/// When what is read could not be.
pub(crate) fn fuzz(data: &[u8]) {
    if let Some(login) = upgrade::basic(data) {
        assert!(!login.user.contains(':'), "a colon ends the user");
        assert!(login.user.len() + login.password.0.len() < data.len());
    }
    let Ok(text) = core::str::from_utf8(data) else { return };
    match Asked::read(text) {
        Ok(Asked::Login { .. }) => {}
        Ok(Asked::Subscribe { symbols, .. } | Asked::Unsubscribe { symbols, .. }) => {
            assert!(symbols.is_sorted_by(|a, b| a < b), "{symbols:?}");
        }
        Err(why) => {
            let refusal = text::refusal(&why);
            let told: serde_json::Value = serde_json::from_str(&refusal).expect("a refusal is JSON");
            assert_eq!(told["reason"], why.as_str());
        }
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
