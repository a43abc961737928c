//! Networks that clients may come from.

use std::{fmt, net::IpAddr, str::FromStr};

/// A network: addresses that begin with the same bits. `10.1.0.0/16`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Bits beyond the prefix are zero.
    address: IpAddr,
    prefix: u8,
}

/// Whether an address is in one of the networks. No network at all: every address is.
#[must_use]
pub fn is_allowed(networks: &[Network], address: IpAddr) -> bool {
    networks.is_empty() || networks.iter().any(|network| network.contains(address))
}

impl Network {
    /// Whether an address is in it. An IPv4 address in the form of an IPv6 one is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.prefix) == Some(self.address)
    }
}

/// An address without the bits beyond the prefix; `None` when it has no so many.
fn masked(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let beyond = 32_u32.checked_sub(prefix.into())?;
            let mask = u32::MAX.checked_shl(beyond).unwrap_or(0);
            Some(IpAddr::V4((address.to_bits() & mask).into()))
        }
        IpAddr::V6(address) => {
            let beyond = 128_u32.checked_sub(prefix.into())?;
            let mask = u128::MAX.checked_shl(beyond).unwrap_or(0);
            Some(IpAddr::V6((address.to_bits() & mask).into()))
        }
    }
}

/// A text that names no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkError(String);

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is no network: write 10.1.0.0/16, 2001:db8::/32, or an address", self.0)
    }
}

impl std::error::Error for NetworkError {}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NetworkError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(whole), str::parse).map_err(|_| wrong())?;
        // Bits beyond the prefix are a slip: an address was meant, or another prefix.
        match masked(address, prefix) {
            Some(masked) if masked == address => Ok(Self { address, prefix }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_the_addresses_that_begin_as_they_do() {
        let has = |network: &str, address: &str| {
            let network: Network = network.parse().expect("a network");
            network.contains(address.parse().expect("an address"))
        };
        for (network, address) in [
            ("10.1.0.0/16", "10.1.255.3"),
            ("10.1.2.3", "10.1.2.3"),
            ("0.0.0.0/0", "255.255.255.255"),
            ("10.1.0.0/16", "::ffff:10.1.2.3"),
            ("2001:db8::/32", "2001:db8:ffff::1"),
            ("::/0", "2001:db8::1"),
        ] {
            assert!(has(network, address), "{network} {address}");
        }
        for (network, address) in [
            ("10.1.0.0/16", "10.2.0.0"),
            ("10.1.2.3", "10.1.2.4"),
            ("0.0.0.0/0", "::1"),
            ("2001:db8::/32", "2001:db9::"),
            ("::/0", "10.1.2.3"),
        ] {
            assert!(!has(network, address), "{network} {address}");
        }
        assert!(is_allowed(&[], "10.0.0.1".parse().expect("an address")));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "10.1.0.0/33", "10.1.0.1/16", "10.1/16", "::/129", "10.1.0.0/", "10.1.0.0/-1", "localhost"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        for text in ["10.1.0.0/16", "2001:db8::/32", "10.1.2.3/32"] {
            assert_eq!(text.parse::<Network>().expect("a network").to_string(), text);
        }
    }
}
