//! Who may open a connection, and how many wait there without having logged in.
//!
//! A connection costs a file descriptor, some memory and, with TLS, the work of a handshake, before anyone knows whose it is.
//! So an address may have so many, and of those that have not logged in there are so many, from an address and in all: when one
//! more comes, the one that has waited longest goes. A client that logs in at once is not the one that has waited longest for
//! long; a crowd that never does displaces itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::auth::{Network, is_allowed};

/// How many connections there may be. Where nothing is said for every address, there is a number for those of other machines;
/// what is on this machine is then bounded by the rest alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LobbyLimits {
    /// From one address, wherever it is.
    pub of_address: Option<usize>,
    /// From one address of another machine, if `of_address` says nothing.
    pub of_other_machine: usize,
    /// That have not logged in, in all.
    pub unauthenticated: usize,
    /// That have not logged in, from one address, wherever it is.
    pub unauthenticated_of_address: Option<usize>,
    /// That have not logged in, from one address of another machine, if `unauthenticated_of_address` says nothing.
    pub unauthenticated_of_other_machine: usize,
}

impl Default for LobbyLimits {
    fn default() -> Self {
        Self {
            of_address: None,
            of_other_machine: 256,
            unauthenticated: 512,
            unauthenticated_of_address: None,
            unauthenticated_of_other_machine: 64,
        }
    }
}

/// Connections that were not opened, or were closed for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LobbyStats {
    /// That have not logged in, now.
    pub unauthenticated: usize,
    /// From where nobody may come.
    pub not_allowed: u64,
    /// From an address that has enough.
    pub of_address: u64,
    /// Closed because others came while they had not logged in.
    pub displaced: u64,
}

/// Why a connection is not opened. For the log; the client sees that it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// Its address is not on the list.
    NotAllowed,
    /// Its address has so many already.
    Enough {
        /// What an address may have.
        of_address: usize,
    },
}

impl std::fmt::Display for Turned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("its address is not in the configuration's allow"),
            Self::Enough { of_address } => write!(f, "its address has {of_address} connections already"),
        }
    }
}

/// A connection's place: rises with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

/// See the module.
pub struct Lobby {
    limits: LobbyLimits,
    allow: Vec<Network>,
    addresses: BTreeMap<IpAddr, Address>,
    /// The tokens of those that have not logged in, and their addresses; the longest-waiting first.
    waiting: BTreeMap<Place, (usize, IpAddr)>,
    next: u64,
    stats: LobbyStats,
}

#[derive(Default)]
struct Address {
    connections: usize,
    waiting: BTreeSet<Place>,
}

impl Lobby {
    /// Nobody is there, and whoever comes may, within `limits`.
    #[must_use]
    pub const fn new(limits: LobbyLimits) -> Self {
        Self {
            limits,
            allow: Vec::new(),
            addresses: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next: 0,
            stats: LobbyStats { unauthenticated: 0, not_allowed: 0, of_address: 0, displaced: 0 },
        }
    }

    /// Lets in only who comes from these networks; whoever comes, if there are none.
    pub fn allow(&mut self, networks: Vec<Network>) {
        self.allow = networks;
    }

    /// Who waits, and who was turned away.
    #[must_use]
    pub fn stats(&self) -> LobbyStats {
        LobbyStats { unauthenticated: self.waiting.len(), ..self.stats }
    }

    /// Whether a connection from there is opened.
    ///
    /// # Errors
    /// Says why it is not.
    pub fn may_come(&mut self, from: IpAddr) -> Result<(), Turned> {
        let from = from.to_canonical();
        if !is_allowed(&self.allow, from) {
            self.stats.not_allowed += 1;
            return Err(Turned::NotAllowed);
        }
        let most = most(self.limits.of_address, self.limits.of_other_machine, from);
        if self.addresses.get(&from).map_or(0, |address| address.connections) >= most {
            self.stats.of_address += 1;
            return Err(Turned::Enough { of_address: most });
        }
        Ok(())
    }

    /// The connection that must go so that one more can wait from there; it must be taken [out](Self::left).
    pub fn displaced_by(&mut self, from: IpAddr) -> Option<usize> {
        let from = from.to_canonical();
        let others = self.limits.unauthenticated_of_other_machine;
        let most = most(self.limits.unauthenticated_of_address, others, from);
        let of_address = self.addresses.get(&from).filter(|address| address.waiting.len() >= most);
        let place = match of_address.and_then(|address| address.waiting.first()) {
            Some(place) => Some(*place),
            None if self.waiting.len() >= self.limits.unauthenticated => {
                self.waiting.first_key_value().map(|(place, _)| *place)
            }
            None => None,
        }?;
        self.stats.displaced += 1;
        self.waiting.get(&place).map(|(token, _)| *token)
    }

    /// The connection that has waited longest, and must go so that another one has a place at all; it must be taken
    /// [out](Self::left). `None`: all have logged in.
    pub fn displaced_for_want_of_places(&mut self) -> Option<usize> {
        let token = self.waiting.first_key_value().map(|(_, (token, _))| *token)?;
        self.stats.displaced += 1;
        Some(token)
    }

    /// A connection is there, and has not logged in.
    pub fn came(&mut self, from: IpAddr, token: usize) -> Place {
        let from = from.to_canonical();
        self.next += 1;
        let place = Place(self.next);
        self.waiting.insert(place, (token, from));
        let address = self.addresses.entry(from).or_default();
        address.connections += 1;
        address.waiting.insert(place);
        place
    }

    /// It has logged in.
    pub fn logged_in(&mut self, place: Place) {
        if let Some((_, from)) = self.waiting.remove(&place)
            && let Some(address) = self.addresses.get_mut(&from)
        {
            address.waiting.remove(&place);
        }
    }

    /// It is gone.
    pub fn left(&mut self, from: IpAddr, place: Place) {
        self.logged_in(place);
        let from = from.to_canonical();
        let Some(address) = self.addresses.get_mut(&from) else { return };
        address.connections -= 1;
        if address.connections == 0 {
            self.addresses.remove(&from);
        }
    }
}

/// What holds for an address: what was said of all, or else of other machines.
const fn most(said: Option<usize>, others: usize, from: IpAddr) -> usize {
    match said {
        Some(most) => most,
        None if from.is_loopback() => usize::MAX,
        None => others,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    fn lobby(of_address: usize, unauthenticated: usize, unauthenticated_of_address: usize) -> Lobby {
        Lobby::new(LobbyLimits {
            of_address: Some(of_address),
            unauthenticated,
            unauthenticated_of_address: Some(unauthenticated_of_address),
            ..LobbyLimits::default()
        })
    }

    #[test]
    fn who_has_waited_longest_goes_first_of_its_address_then_of_all() {
        let mut lobby = lobby(100, 5, 3);
        let come = |lobby: &mut Lobby, n: u8, token: usize| {
            lobby.may_come(address(n)).expect("room");
            let displaced = lobby.displaced_by(address(n));
            (displaced, lobby.came(address(n), token))
        };
        let mut places = Vec::new();
        for token in 0..3 {
            let (displaced, place) = come(&mut lobby, 1, token);
            assert_eq!(displaced, None);
            places.push(place);
        }
        // A fourth of the address displaces its first, and nobody else's.
        assert_eq!(lobby.displaced_by(address(1)), Some(0));
        lobby.left(address(1), places[0]);
        assert_eq!(come(&mut lobby, 1, 3).0, None);
        // Once logged in it does not count.
        lobby.logged_in(places[1]);
        assert_eq!(come(&mut lobby, 1, 4).0, None);
        assert_eq!(come(&mut lobby, 2, 5).0, None);
        assert_eq!(come(&mut lobby, 2, 6).0, None);
        assert_eq!(lobby.stats().unauthenticated, 5);
        // A sixth in all displaces the oldest, whosever it is.
        assert_eq!(lobby.displaced_by(address(3)), Some(2));
        lobby.left(address(1), places[2]);
        assert_eq!(come(&mut lobby, 3, 7).0, None);
        assert_eq!(lobby.stats().displaced, 2);
    }

    #[test]
    fn an_address_has_so_many_and_gets_places_back() {
        let mut lobby = lobby(2, 100, 100);
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().expect("an address");
        let first = lobby.came(address(1), 0);
        let second = lobby.came(mapped, 1);
        lobby.logged_in(second);
        assert_eq!(lobby.may_come(address(1)), Err(Turned::Enough { of_address: 2 }));
        assert_eq!(lobby.may_come(address(2)), Ok(()));
        lobby.left(address(1), first);
        assert_eq!(lobby.may_come(mapped), Ok(()));
        lobby.left(mapped, second);
        assert!(lobby.addresses.is_empty() && lobby.waiting.is_empty(), "something of who is gone is kept");
    }

    #[test]
    fn only_who_is_allowed_comes_and_this_machine_has_no_number_of_its_own() {
        let mut lobby = Lobby::new(LobbyLimits::default());
        lobby.allow(vec!["10.0.0.0/24".parse().expect("a network")]);
        assert_eq!(lobby.may_come(IpAddr::from([10, 0, 1, 1])), Err(Turned::NotAllowed));
        assert_eq!(lobby.may_come(address(1)), Ok(()));
        lobby.allow(Vec::new());
        let here = IpAddr::from([127, 0, 0, 1]);
        for (from, most) in [(here, 1_000), (address(1), LobbyLimits::default().of_other_machine)] {
            for token in 0..most {
                assert_eq!(lobby.may_come(from), Ok(()), "{token} from {from}");
                let place = lobby.came(from, token);
                lobby.logged_in(place);
            }
            assert_eq!(lobby.may_come(from).is_ok(), from == here);
        }
    }
}
