//! MoldUDP64: packets to all destinations, as soon as there is something to send, and a heartbeat when there is not.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use wire::mold::{END_OF_SESSION, Header};

use super::{HEARTBEAT, Settings, stats::Stats};
use crate::store::Store;

/// How often the end of a session is said: packets may be lost.
const FAREWELLS: u32 = 3;

pub(super) struct Publisher {
    /// A destination and the socket for it.
    destinations: Vec<(SocketAddr, UdpSocket)>,
    /// The number of the next message to send.
    sent: u64,
    last: Instant,
    packet: Vec<u8>,
    stats: Arc<Stats>,
}

impl Publisher {
    pub(super) fn bind(settings: &Settings, stats: Arc<Stats>) -> Result<Self, String> {
        let open = |to: &SocketAddr| {
            socket(*to, settings).map_err(|error| format!("feed.mold: cannot send to {to}: {error}"))
        };
        let destinations =
            settings.mold.iter().map(|to| Ok((*to, open(to)?))).collect::<Result<_, String>>()?;
        Ok(Self { destinations, sent: 1, last: Instant::now(), packet: Vec::new(), stats })
    }

    /// The session begins.
    pub(super) fn begin(&mut self, store: &Store) {
        // Of what comes before the first order, the oldest may be more than is kept.
        self.sent = store.first();
        self.flush(store);
    }

    /// Sends what has not been sent.
    pub(super) fn flush(&mut self, store: &Store) {
        while self.sent < store.next() {
            self.packet.clear();
            let from = self.sent.max(store.first());
            self.sent = from + u64::from(store.pack(from, u64::MAX, &mut self.packet));
            self.send();
        }
    }

    /// Says that it is there, when nothing else was said for long.
    pub(super) fn heartbeat(&mut self, store: &Store, now: Instant) {
        if now.duration_since(self.last) >= HEARTBEAT {
            self.say(store, 0);
        }
    }

    pub(super) fn heartbeat_in(&self, now: Instant) -> Duration {
        HEARTBEAT.saturating_sub(now.duration_since(self.last))
    }

    /// Says that the session has ended.
    pub(super) fn end(&mut self, store: &Store) {
        for _ in 0..FAREWELLS {
            self.say(store, END_OF_SESSION);
        }
    }

    fn say(&mut self, store: &Store, count: u16) {
        self.packet.clear();
        Header { session: store.session(), sequence: store.next(), count }.encode(&mut self.packet);
        self.send();
    }

    fn send(&mut self) {
        self.last = Instant::now();
        for (to, socket) in &self.destinations {
            match socket.send_to(&self.packet, to) {
                Ok(_) => self.stats.packets.add(1),
                // Nobody listens, or the system has no room: a packet that is lost, as packets are.
                Err(_) => self.stats.unsent.add(1),
            }
        }
    }
}

fn socket(to: SocketAddr, settings: &Settings) -> std::io::Result<UdpSocket> {
    let any = match to.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    match to.ip() {
        IpAddr::V4(group) if group.is_multicast() => {
            socket.set_multicast_ttl_v4(settings.ttl)?;
            if let Some(interface) = settings.interface {
                rustix::net::sockopt::set_ip_multicast_if(&socket, &interface)?;
            }
        }
        _ => {}
    }
    Ok(socket)
}
