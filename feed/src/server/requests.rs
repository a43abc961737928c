//! Requests for messages that were lost: each is answered with one packet, or not at all.
//!
//! A request names its sender, and that can be forged: so an answer is one packet at most, an address gets so many in a
//! second and no more, and so do all addresses together; and where there is a list of networks, others' are not answered.

use std::{
    collections::HashMap,
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use door::auth::{Network, is_allowed};
use mio::{Interest, Registry, Token, net::UdpSocket};
use wire::mold::{HEADER_LEN, Header};

use super::stats::Stats;
use crate::store::Store;

/// Requests looked at in one turn, so that publishing goes on.
const TURN: usize = 64;
/// Addresses that are counted apart; further ones wait for the next second.
const ADDRESSES_MAX: usize = 4_096;
/// All addresses together get so many times what one gets.
const ALL: u32 = 16;
const SECOND: Duration = Duration::from_secs(1);

pub(super) struct Requests {
    socket: UdpSocket,
    address: SocketAddr,
    per_second: u32,
    /// Whose are answered; everybody's if it is empty.
    allow: Vec<Network>,
    /// Answers given since `since`, by address, and in all.
    given: HashMap<IpAddr, u32>,
    given_all: u32,
    since: Instant,
    packet: Vec<u8>,
    stats: Arc<Stats>,
}

impl Requests {
    pub(super) fn bind(
        address: SocketAddr,
        per_second: u32,
        registry: &Registry,
        token: Token,
        stats: Arc<Stats>,
    ) -> io::Result<Self> {
        let mut socket = UdpSocket::bind(address)?;
        registry.register(&mut socket, token, Interest::READABLE)?;
        let address = socket.local_addr()?;
        let given = HashMap::new();
        let since = Instant::now();
        Ok(Self {
            socket,
            address,
            per_second,
            allow: Vec::new(),
            given,
            given_all: 0,
            since,
            packet: Vec::new(),
            stats,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers only who asks from these networks; whoever asks, if there are none.
    pub(super) fn allow(&mut self, networks: Vec<Network>) {
        self.allow = networks;
    }

    /// Answers what has come, up to a bound. Says whether more may be there, which is not announced again.
    pub(super) fn serve(&mut self, store: &Store, now: Instant) -> bool {
        // One byte more, so that a longer datagram is seen to be none.
        let mut data = [0; HEADER_LEN + 1];
        for _ in 0..TURN {
            match self.socket.recv_from(&mut data) {
                Ok((length, from)) => self.answer(&data[..length], from, store, now),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    fn answer(&mut self, data: &[u8], from: SocketAddr, store: &Store, now: Instant) {
        let may_ask = is_allowed(&self.allow, from.ip().to_canonical());
        let wanted = Header::decode_request(data).ok().filter(|wanted| {
            may_ask
                && wanted.session == store.session()
                && wanted.count > 0
                && (store.first()..store.next()).contains(&wanted.sequence)
        });
        let Some(wanted) = wanted else { return self.stats.requests_ignored.add(1) };
        if !self.may(from.ip(), now) {
            return self.stats.requests_limited.add(1);
        }
        self.packet.clear();
        store.pack(wanted.sequence, u64::from(wanted.count), &mut self.packet);
        if self.socket.send_to(&self.packet, from).is_ok() {
            self.stats.requests.add(1);
        }
    }

    fn may(&mut self, from: IpAddr, now: Instant) -> bool {
        if now.duration_since(self.since) >= SECOND {
            self.since = now;
            self.given.clear();
            self.given_all = 0;
        }
        let is_known = self.given.contains_key(&from);
        if self.given_all >= self.per_second.saturating_mul(ALL)
            || (!is_known && self.given.len() >= ADDRESSES_MAX)
        {
            return false;
        }
        let given = self.given.entry(from).or_default();
        if *given >= self.per_second {
            return false;
        }
        *given += 1;
        self.given_all += 1;
        true
    }
}
