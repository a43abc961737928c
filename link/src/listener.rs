//! Where peers come in, and with them anyone who can reach the port.
//!
//! Whoever has not finished its handshake takes a place. There are few, and of those one address may have fewer, so
//! that connections of strangers that do nothing cost a bounded amount, and those of one stranger leave places for
//! the peer. A place is free again when the handshake is over, one way or the other, or its time is
//! ([`Stream::check_time`]).

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use mio::{Interest, Registry, Token, net::TcpListener};

use crate::{
    error::LinkError,
    identity::Identity,
    stream::{Limits, Stream},
};

/// The bounds of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections that have not finished the handshake.
    pub handshaking_max: usize,
    /// Of these, so many from one address. `<= handshaking_max`, or it bounds nothing.
    pub handshaking_per_address_max: usize,
    /// Of each stream.
    pub stream: Limits,
}

impl Default for ListenerLimits {
    /// 16, of which 4 from one address.
    fn default() -> Self {
        Self { handshaking_max: 16, handshaking_per_address_max: 4, stream: Limits::default() }
    }
}

/// What came in.
pub enum Accepted {
    /// A connection, to be registered and driven. It takes its place until it is verified or dropped.
    Stream(Box<Stream>),
    /// One that found no place, and has been closed.
    Refused {
        /// From where.
        address: SocketAddr,
        /// Why.
        why: Refusal,
    },
}

/// Why a connection found no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// All places are taken.
    #[error("{max} connections are shaking hands")]
    Full {
        /// All places.
        max: usize,
    },
    /// The places of its address are taken.
    #[error("{max} connections of its address are shaking hands")]
    FullForAddress {
        /// The places of an address.
        max: usize,
    },
}

/// A listening socket.
pub struct Listener {
    socket: TcpListener,
    identity: Identity,
    limits: ListenerLimits,
    places: Places,
}

impl Listener {
    /// Listens at `address`, with this identity.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn bind(address: SocketAddr, identity: &Identity, limits: ListenerLimits) -> io::Result<Self> {
        let socket = TcpListener::bind(address)?;
        Ok(Self { socket, identity: identity.clone(), limits, places: Places::default() })
    }

    /// Where it listens: of interest if the port was 0.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Enters the socket into a poll.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// Asks for its state anew: if somebody waits, that shows as an event again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn reregister(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.reregister(&mut self.socket, token, Interest::READABLE)
    }

    /// Takes it out of the poll.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.socket)
    }

    /// How many connections have not finished their handshake.
    pub fn handshaking(&self) -> usize {
        self.places.count()
    }

    /// The next connection; none if nobody waits. After an event, to be called until there is none.
    ///
    /// # Errors
    /// When the system refuses, for instance for want of file descriptors. Whoever waits goes on waiting, and no
    /// event tells: call it again some time later.
    pub fn accept(&mut self, now_nanos: u64) -> Result<Option<Accepted>, LinkError> {
        loop {
            let (socket, address) = match self.socket.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                // It was gone before we came, or a signal came first.
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) =>
                {
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let place = match self.places.take(address.ip(), &self.limits) {
                Ok(place) => place,
                Err(why) => return Ok(Some(Accepted::Refused { address, why })),
            };
            let (identity, limits) = (&self.identity, self.limits.stream);
            match Stream::accepted(socket, address, identity, limits, now_nanos, place) {
                Ok(stream) => return Ok(Some(Accepted::Stream(Box::new(stream)))),
                // The socket takes no options: this one was gone before we came, too.
                Err(LinkError::Io(_)) => {}
                Err(other) => return Err(other),
            }
        }
    }
}

/// Who has a place, by address. Shared with the streams, which may be driven by other threads; locked for a few
/// instructions.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<Vec<IpAddr>>>);

impl Places {
    fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take(&self, address: IpAddr, limits: &ListenerLimits) -> Result<Place, Refusal> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= limits.handshaking_max {
            return Err(Refusal::Full { max: limits.handshaking_max });
        }
        if taken.iter().filter(|other| **other == address).count() >= limits.handshaking_per_address_max {
            return Err(Refusal::FullForAddress { max: limits.handshaking_per_address_max });
        }
        taken.push(address);
        Ok(Place { address, places: self.clone() })
    }
}

/// A place. It is free again when this is dropped.
pub(crate) struct Place {
    address: IpAddr,
    places: Places,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = taken.iter().position(|other| *other == self.address) {
            taken.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_places_for_others_and_gives_its_own_back() {
        let limits =
            ListenerLimits { handshaking_max: 5, handshaking_per_address_max: 3, ..Default::default() };
        let places = Places::default();
        let [stranger, peer]: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let mut held: Vec<Place> = (0..3).map(|_| places.take(stranger, &limits).unwrap()).collect();
        assert_eq!(places.take(stranger, &limits).err(), Some(Refusal::FullForAddress { max: 3 }));
        held.push(places.take(peer, &limits).unwrap());
        held.push(places.take(peer, &limits).unwrap());
        assert_eq!(places.take(peer, &limits).err(), Some(Refusal::Full { max: 5 }));
        held.remove(0);
        assert_eq!(places.count(), 4);
        held.push(places.take(stranger, &limits).unwrap());
        held.clear();
        assert_eq!(places.count(), 0);
    }
}
