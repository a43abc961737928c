//! Snapshots over SoupBinTCP, as GLIMPSE gives them: a client logs in, gets every order that is shown and the number of the
//! feed's next message, and is closed.
//!
//! Those who log in at about the same time share one snapshot. A client that does not take its own in time is cut off.

mod client;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::SessionId;
use door::{
    auth::{Network, Verdict},
    lobby::LobbyLimits,
};
use log::info;
use mio::{Interest, Registry, Token};
use wire::{
    itch::{EndOfSnapshot, Message},
    mold::Session,
    soup::{self, LoginAccepted, ServerPacket, SessionName},
};

use self::client::{Client, Sent, State};
use super::{
    SNAPSHOT_CLIENTS,
    doors::{Doors, Entrance},
    settings::Settings,
    share::Share,
    stats::Stats,
};
use crate::store::Store;

/// A client that has not taken anything for so long is cut off.
const PATIENCE: Duration = Duration::from_secs(5);
/// A client that has not logged in for so long is cut off when others wait for a place.
const CROWDED: Duration = Duration::from_secs(1);

pub(super) struct Snapshots {
    entrance: Entrance,
    /// By token.
    clients: Vec<Option<Client>>,
    login_timeout: Duration,
    /// Taking snapshots is a part of the thread's work.
    share: Share,
    /// Clients were refused a place; whoever still waits in the listener is taken when there is one.
    may_wait: bool,
    stats: Arc<Stats>,
}

impl Snapshots {
    pub(super) fn bind(
        address: SocketAddr,
        settings: &Settings,
        registry: &Registry,
        token: Token,
        stats: Arc<Stats>,
    ) -> io::Result<Self> {
        let places = settings.snapshot_clients;
        let limits = LobbyLimits {
            of_address: settings.of_address,
            of_other_machine: places.div_ceil(2),
            // There are never more than places.
            unauthenticated: places + 1,
            unauthenticated_of_address: None,
            unauthenticated_of_other_machine: places + 1,
        };
        Ok(Self {
            entrance: Entrance::bind(address, limits, registry, token, Arc::clone(&stats))?,
            clients: (0..places).map(|_| None).collect(),
            login_timeout: settings.login_timeout,
            share: Share::new(Instant::now()),
            may_wait: false,
            stats,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.entrance.address()
    }

    pub(super) fn allow(&mut self, networks: Vec<Network>) {
        self.entrance.allow(networks);
    }

    /// Takes those who connect, as far as there are places; further ones wait with the system.
    pub(super) fn accept(&mut self, registry: &Registry, doors: &Doors, now: Instant) {
        loop {
            let Some(at) = self.clients.iter().position(Option::is_none) else {
                self.may_wait = true;
                return;
            };
            let Some((mut socket, peer)) = self.entrance.next(|| ()) else {
                self.may_wait = false;
                return;
            };
            let token = SNAPSHOT_CLIENTS + at;
            let interest = Interest::READABLE | Interest::WRITABLE;
            if registry.register(&mut socket, Token(token), interest).is_ok()
                && let Ok(transport) = doors.transport(socket)
            {
                let place = self.entrance.lobby.came(peer.ip(), token);
                self.clients[at] = Some(Client::new(transport, peer, place, now, now + self.login_timeout));
            }
        }
    }

    /// A client's socket can be read or written. Says whether it has to be looked at again at once.
    pub(super) fn on_ready(
        &mut self,
        token: Token,
        doors: &mut Doors,
        session: Session,
        now: Instant,
    ) -> bool {
        let at = token.0 - SNAPSHOT_CLIENTS;
        let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) else { return false };
        let more = client.hear(token.0, doors, session, now);
        self.look_after(at);
        more
    }

    /// A login has been verified.
    pub(super) fn on_verdict(&mut self, verdict: &Verdict, doors: &Doors, session: Session, now: Instant) {
        let at = verdict.token - SNAPSHOT_CLIENTS;
        let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) else { return };
        client.on_verdict(verdict, doors, session, now);
        self.look_after(at);
    }

    /// There is room for a login that waited to be verified, if it still does.
    pub(super) fn try_again(&mut self, token: usize, doors: &mut Doors, session: Session, now: Instant) {
        let at = token - SNAPSHOT_CLIENTS;
        let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) else { return };
        client.try_again(token, doors, session, now);
        self.look_after(at);
    }

    /// Cuts off those whose user may not read any more.
    pub(super) fn expel(&mut self, session: SessionId) {
        for at in 0..self.clients.len() {
            if let Some(client) = &self.clients[at]
                && client.session == Some(session)
            {
                info!("{}: market data: its user may not come in any more", client.peer);
                self.forget(at);
            }
        }
    }

    /// Lets go of a client that has gone, and takes one that is in out of the lobby.
    fn look_after(&mut self, at: usize) {
        let Some(client) = &self.clients[at] else { return };
        if matches!(client.state, State::Gone) {
            self.forget(at);
        } else if client.is_in {
            self.entrance.lobby.logged_in(client.place);
        }
    }

    fn forget(&mut self, at: usize) {
        if let Some(mut client) = self.clients[at].take() {
            self.entrance.lobby.left(client.peer.ip(), client.place);
            client.transport.say_end();
        }
    }

    /// Gives those who wait a snapshot of what has been published, which `show` says.
    pub(super) fn give(&mut self, now: Instant, store: &Store, show: impl FnOnce(&mut dyn FnMut(Message))) {
        let waits = |client: &&mut Client| matches!(client.state, State::Waits);
        if !self.share.may(now) || !self.clients.iter_mut().flatten().any(|client| waits(&client)) {
            return;
        }
        let begun = Instant::now();
        let mut bytes = Vec::new();
        let session = SessionName::new(&String::from_utf8_lossy(&store.session()));
        let session = session.unwrap_or(SessionName::BLANK);
        ServerPacket::LoginAccepted(LoginAccepted { session, sequence: 1 }).encode(&mut bytes);
        let mut say = |message: Message| {
            let Ok(()) = soup::sequenced(&mut bytes, |out| {
                message.encode(out);
                Ok::<(), core::convert::Infallible>(())
            });
        };
        show(&mut say);
        say(EndOfSnapshot::new(store.next()).into());
        ServerPacket::EndOfSession.encode(&mut bytes);
        let bytes = Arc::new(bytes);
        for client in self.clients.iter_mut().flatten().filter(waits) {
            client.state = State::Takes(Arc::clone(&bytes), 0);
            client.until = now + PATIENCE;
        }
        self.share.took(now, begun.elapsed());
    }

    /// Sends what clients take, and lets go of those who have all, or take nothing. Says whether somebody would take more.
    pub(super) fn flush(&mut self, registry: &Registry, doors: &Doors, now: Instant) -> bool {
        let (mut served, mut owes) = (0, false);
        for at in 0..self.clients.len() {
            let is_crowded = self.may_wait;
            let Some(client) = &mut self.clients[at] else { continue };
            let kept = match client.send(now) {
                Sent::All => {
                    self.stats.snapshots.add(u64::from(client.is_in));
                    client.leave(now)
                }
                Sent::Left => false,
                Sent::Turn => {
                    owes = true;
                    true
                }
                Sent::Blocked if now < client.due(is_crowded) => true,
                Sent::Blocked | Sent::Broken => {
                    if matches!(client.state, State::Login(_)) {
                        self.stats.late.add(1);
                        info!("{}: market data: no login in time", client.peer);
                    }
                    self.stats.snapshots_cut.add(u64::from(!matches!(client.state, State::Leaves)));
                    false
                }
            };
            if kept {
                served += 1;
            } else {
                self.forget(at);
            }
        }
        self.stats.snapshot_clients.set(served);
        if self.may_wait && self.clients.iter().any(Option::is_none) {
            self.accept(registry, doors, now);
        }
        owes
    }

    /// How long it is until there is something to do besides what sockets say.
    pub(super) fn patience(&self, now: Instant) -> Duration {
        let due = self.clients.iter().flatten().map(|client| match &client.state {
            State::Waits => self.share.next(),
            _ => client.due(self.may_wait),
        });
        due.min()
            .map_or(Duration::MAX, |due| due.saturating_duration_since(now).max(Duration::from_millis(1)))
    }
}
