//! The placement map: which pair of exchanges each instrument lives on, and where the pairs are.
//!
//! ```json
//! {
//!   "version": 1,
//!   "generation": 7,
//!   "pairs": { "east": ["10.0.0.1:9000", "10.0.0.2:9000"], "west": ["10.0.1.1:9000", "10.0.1.2:9000"] },
//!   "instruments": { "AAPL": "east", "MSFT": "west" }
//! }
//! ```
//!
//! An instrument lives on one pair, for no name may stand twice. Of two maps the one of the higher generation is true, and
//! nobody who knows one goes back to a lower one.

use std::{collections::BTreeMap, fmt, net::SocketAddr};

use domain::Symbol;
use serde::{Deserialize, Deserializer, Serialize, de};

/// The one version of the format.
const VERSION: u32 = 1;
/// Bytes of a map, as JSON: less than an etcd takes by default, and enough for some 30,000 instruments.
pub(crate) const BYTES_MAX: usize = 1 << 20;
/// Pairs of a map.
pub(crate) const PAIRS_MAX: usize = 64;
/// Addresses of a pair: of two nodes, on two networks.
const ADDRESSES_MAX: usize = 4;

/// A pair's name: 1 to 16 lower-case letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PairName(String);

impl PairName {
    pub(crate) fn new(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ((1..=16).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As it stands in messages.
    pub(crate) fn padded(&self) -> [u8; 16] {
        let mut bytes = [b' '; 16];
        bytes[..self.0.len()].copy_from_slice(self.0.as_bytes());
        bytes
    }
}

impl fmt::Display for PairName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlacementMap {
    pub(crate) generation: u64,
    /// Where each pair's nodes let clients in.
    pub(crate) pairs: BTreeMap<PairName, Vec<SocketAddr>>,
    /// The pair that each instrument lives on, which is one of `pairs`.
    pub(crate) instruments: BTreeMap<Symbol, PairName>,
}

/// The map as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    generation: u64,
    pairs: Unique<Vec<SocketAddr>>,
    instruments: Unique<String>,
}

/// An object of JSON none of whose names stands twice; most readers would silently take the last.
struct Unique<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<V>(std::marker::PhantomData<V>);

        impl<'de, V: Deserialize<'de>> de::Visitor<'de> for Visitor<V> {
            type Value = Unique<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Unique<V>, A::Error> {
                let mut map = BTreeMap::new();
                while let Some((name, value)) = entries.next_entry::<String, V>()? {
                    if map.contains_key(&name) {
                        return Err(de::Error::custom(format_args!("{name} stands twice")));
                    }
                    map.insert(name, value);
                }
                Ok(Unique(map))
            }
        }

        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

impl PlacementMap {
    /// Reads a map from JSON.
    ///
    /// # Errors
    /// What is wrong with it, in words for an operator.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        if json.len() > BYTES_MAX {
            return Err(format!("{} bytes; a placement map has {BYTES_MAX} at most", json.len()));
        }
        let Written { version, generation, pairs, instruments } =
            serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if version != VERSION {
            return Err(format!("version {version}; this program reads version {VERSION}"));
        }
        if !(1..=PAIRS_MAX).contains(&pairs.0.len()) {
            return Err(format!("{} pairs; there are 1 to {PAIRS_MAX}", pairs.0.len()));
        }
        let mut known = BTreeMap::new();
        let mut taken = BTreeMap::new();
        for (text, addresses) in pairs.0 {
            let name = PairName::new(&text).ok_or_else(|| {
                format!("\"{text}\" is no pair's name: 1 to 16 lower-case letters, digits and hyphens")
            })?;
            if !(1..=ADDRESSES_MAX).contains(&addresses.len()) {
                return Err(format!(
                    "pair {name} has {} addresses; it has 1 to {ADDRESSES_MAX}",
                    addresses.len()
                ));
            }
            for address in &addresses {
                if let Some(other) = taken.insert(*address, name.clone()) {
                    return Err(format!("{address} stands twice, for {other} and for {name}"));
                }
            }
            known.insert(name, addresses);
        }
        let mut lives = BTreeMap::new();
        for (text, pair) in instruments.0 {
            let symbol = Symbol::new(&text).ok_or_else(|| format!("\"{text}\" is no instrument's name"))?;
            let name = PairName::new(&pair)
                .filter(|name| known.contains_key(name))
                .ok_or_else(|| format!("{symbol} is placed on \"{pair}\", which is none of the pairs"))?;
            lives.insert(symbol, name);
        }
        Ok(Self { generation, pairs: known, instruments: lives })
    }

    /// The map as JSON, in the one form that it has.
    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Shown<'a> {
            version: u32,
            generation: u64,
            pairs: BTreeMap<&'a str, &'a [SocketAddr]>,
            instruments: BTreeMap<&'a str, &'a str>,
        }
        let shown = Shown {
            version: VERSION,
            generation: self.generation,
            pairs: self.pairs.iter().map(|(name, at)| (name.as_str(), at.as_slice())).collect(),
            instruments: self.instruments.iter().map(|(symbol, on)| (symbol.as_str(), on.as_str())).collect(),
        };
        let mut text = serde_json::to_string_pretty(&shown).expect("text and numbers become JSON");
        text.push('\n');
        text
    }

    /// The pair that an instrument lives on, and where that is.
    pub(crate) fn home(&self, symbol: Symbol) -> Option<(&PairName, &[SocketAddr])> {
        let (name, addresses) = self.pairs.get_key_value(self.instruments.get(&symbol)?)?;
        Some((name, addresses))
    }

    /// Says what would be left behind if `next` took the place of this map: books cannot move.
    ///
    /// # Errors
    /// The first instrument that would leave its pair.
    pub(crate) fn leaves_no_book(&self, next: &Self) -> Result<(), String> {
        for (symbol, pair) in &self.instruments {
            let what = match next.instruments.get(symbol) {
                Some(same) if same == pair => continue,
                Some(other) => format!("move from {pair} to {other}"),
                None => format!("leave {pair}"),
            };
            return Err(format!(
                "{symbol} would {what}, and its book, with all its open orders, would stay behind: nothing of it crosses \
                 pairs. Cancel what is open there and give --leave-books-behind"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const GOOD: &str = r#"{"version":1,"generation":7,
        "pairs":{"east":["10.0.0.1:9000","10.0.0.2:9000"],"west":["[::1]:9000"]},
        "instruments":{"AAPL":"east","MSFT":"west"}}"#;

    #[test]
    fn a_map_is_read_as_it_is_written() {
        let map = PlacementMap::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(map.generation, 7);
        let (pair, addresses) = map.home(Symbol::new("AAPL").unwrap()).unwrap();
        assert_eq!((pair.as_str(), addresses.len()), ("east", 2));
        assert_eq!(map.home(Symbol::new("NVDA").unwrap()), None);
        assert_eq!(PlacementMap::parse(map.json().as_bytes()).unwrap(), map);
        assert_eq!(pair.padded(), *b"east            ");
    }

    #[test]
    fn what_could_mean_two_things_is_refused_by_name() {
        for (from, to, why) in [
            ("\"version\":1", "\"version\":2", "version 2"),
            ("\"generation\":7", "\"generation\":-7", "invalid value"),
            ("\"generation\":7", "\"generation\":7,\"generation\":8", "duplicate field"),
            ("\"generation\":7", "\"generation\":7,\"more\":8", "unknown field"),
            ("\"AAPL\":\"east\"", "\"AAPL\":\"east\",\"AAPL\":\"west\"", "AAPL stands twice"),
            ("\"west\":[", "\"east\":[\"1.2.3.4:1\"],\"west\":[", "east stands twice"),
            ("\"AAPL\":\"east\"", "\"AAPL\":\"north\"", "placed on \"north\""),
            ("\"AAPL\"", "\"TOO LONG A NAME\"", "no instrument's name"),
            ("[\"[::1]:9000\"]", "[]", "pair west has 0 addresses"),
            ("[\"[::1]:9000\"]", "[\"10.0.0.2:9000\"]", "10.0.0.2:9000 stands twice"),
            ("[\"[::1]:9000\"]", "[\"example.com:9000\"]", "invalid socket address"),
            ("\"west\":[", "\"West\":[", "\"West\" is no pair's name"),
            ("\"west\":[", "\"a-name-of-17-byte\":[", "is no pair's name"),
            ("{\"version\"", "[{\"version\"", "expected"),
        ] {
            let bad = GOOD.replacen(from, to, 1);
            assert_ne!(bad, GOOD, "{from}");
            let error = PlacementMap::parse(bad.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{to}: {error}");
        }
        for cut in 0..GOOD.len() {
            assert!(PlacementMap::parse(&GOOD.as_bytes()[..cut]).is_err(), "{cut} bytes");
        }
        let long = " ".repeat(BYTES_MAX) + GOOD;
        assert!(PlacementMap::parse(long.as_bytes()).unwrap_err().contains("at most"));
        let pairs: Vec<_> = (0..=PAIRS_MAX).map(|n| format!("\"p{n}\":[\"10.0.0.1:{}\"]", n + 1)).collect();
        let many = format!(
            "{{\"version\":1,\"generation\":1,\"pairs\":{{{}}},\"instruments\":{{}}}}",
            pairs.join(",")
        );
        assert!(PlacementMap::parse(many.as_bytes()).unwrap_err().contains("65 pairs"));
    }

    #[test]
    fn a_book_is_not_left_behind_unseen() {
        let map = PlacementMap::parse(GOOD.as_bytes()).unwrap();
        let next = |from: &str, to: &str| PlacementMap::parse(GOOD.replacen(from, to, 1).as_bytes()).unwrap();
        assert_eq!(map.leaves_no_book(&map), Ok(()));
        let more = next("\"AAPL\":\"east\"", "\"AAPL\":\"east\",\"NVDA\":\"west\"");
        assert_eq!(map.leaves_no_book(&more), Ok(()));
        let moved = next("\"AAPL\":\"east\"", "\"AAPL\":\"west\"");
        assert!(map.leaves_no_book(&moved).unwrap_err().contains("AAPL would move from east to west"));
        let removed = next("\"AAPL\":\"east\",", "");
        assert!(map.leaves_no_book(&removed).unwrap_err().contains("AAPL would leave east"));
    }
}
