//! Placement hints of the configuration: by symbol there, by instrument for the engine.
//!
//! What can be wrong is found in two places: what contradicts itself when the file is read, and what does not fit the
//! number of shards when that is known.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Instrument, ShardId, Symbol};
use engine::balance::Hints;

/// Wishes for where books live, as the configuration has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfiguredHints {
    /// How much a book is expected to get, against the others; 1 where nothing is said.
    weights: BTreeMap<Symbol, u32>,
    pins: BTreeMap<Symbol, ShardId>,
    together: Vec<Vec<Symbol>>,
    apart: Vec<Vec<Symbol>>,
    reserved: Vec<ShardId>,
}

/// What the file says of one instrument.
pub(crate) struct Wish {
    pub(crate) symbol: Symbol,
    pub(crate) weight: Option<u32>,
    pub(crate) pin: Option<u16>,
}

impl ConfiguredHints {
    /// Parses lists of symbols, and checks that nothing contradicts itself.
    ///
    /// # Errors
    /// Says which key and which symbol.
    pub(crate) fn new(
        wishes: &[Wish],
        together: &[Vec<String>],
        apart: &[Vec<String>],
        reserved: &[u16],
    ) -> Result<Self, String> {
        let mut hints = Self { reserved: reserved.iter().copied().map(ShardId).collect(), ..Self::default() };
        for wish in wishes {
            if let Some(weight) = wish.weight {
                if weight == 0 {
                    return Err(format!("instrument \"{}\": weight must be above 0", wish.symbol));
                }
                hints.weights.insert(wish.symbol, weight);
            }
            if let Some(shard) = wish.pin {
                hints.pins.insert(wish.symbol, ShardId(shard));
            }
        }
        let known: BTreeSet<Symbol> = wishes.iter().map(|wish| wish.symbol).collect();
        hints.together = lists("together", together, &known)?;
        hints.apart = lists("apart", apart, &known)?;
        hints.check()?;
        Ok(hints)
    }

    fn check(&self) -> Result<(), String> {
        let mut group = BTreeMap::new();
        for (index, list) in self.together.iter().enumerate() {
            for symbol in list {
                if group.insert(*symbol, index).is_some() {
                    return Err(format!("together: \"{symbol}\" is in two lists: make them one"));
                }
            }
            let mut pins = list.iter().filter_map(|symbol| Some((symbol, self.pins.get(symbol)?)));
            if let Some((one, shard)) = pins.next()
                && let Some((other, elsewhere)) = pins.find(|(_, other)| *other != shard)
            {
                return Err(format!(
                    "together: \"{one}\" is pinned to shard {shard} and \"{other}\" to shard {elsewhere}"
                ));
            }
        }
        // A book of a list of together is where its list is pinned.
        let pin = |symbol: &Symbol| match group.get(symbol) {
            Some(index) => self.together[*index].iter().find_map(|symbol| self.pins.get(symbol)),
            None => self.pins.get(symbol),
        };
        for list in &self.apart {
            for (index, one) in list.iter().enumerate() {
                for other in &list[index + 1..] {
                    if group.get(one).is_some_and(|list| group.get(other) == Some(list)) {
                        return Err(format!("apart: \"{one}\" and \"{other}\" are in one list of together"));
                    }
                    if let (Some(shard), Some(elsewhere)) = (pin(one), pin(other))
                        && shard == elsewhere
                    {
                        return Err(format!(
                            "apart: \"{one}\" and \"{other}\" are both pinned to shard {shard}"
                        ));
                    }
                }
            }
        }
        let mut seen = BTreeSet::new();
        match self.reserved.iter().find(|shard| !seen.insert(**shard)) {
            Some(shard) => Err(format!("reserved_shards: {shard} is there twice")),
            None => Ok(()),
        }
    }

    /// Whether so many shards can do what is wished.
    ///
    /// # Errors
    /// Says which wish they cannot.
    pub(crate) fn fits(&self, shards: u16) -> Result<(), String> {
        let last = shards.saturating_sub(1);
        if let Some((symbol, shard)) = self.pins.iter().find(|(_, shard)| shard.0 >= shards) {
            return Err(format!(
                "instrument \"{symbol}\": pin = {shard}, and there are {shards} shards, 0 to {last}"
            ));
        }
        if let Some(shard) = self.reserved.iter().find(|shard| shard.0 >= shards) {
            return Err(format!("reserved_shards: {shard}, and there are {shards} shards, 0 to {last}"));
        }
        if self.reserved.len() >= usize::from(shards) {
            return Err(format!(
                "reserved_shards: all {shards} shards are reserved: leave one for books that are not pinned"
            ));
        }
        Ok(())
    }

    /// How much each of these books is expected to get, against the others.
    pub(crate) fn weights(&self, instruments: &[Instrument]) -> Vec<u64> {
        let weight =
            |known: &Instrument| self.weights.get(&known.symbol).map_or(1, |weight| u64::from(*weight));
        instruments.iter().map(weight).collect()
    }

    /// The same for instruments by their ids, which the journal decides.
    pub(crate) fn resolve(&self, instruments: &[Instrument]) -> Hints {
        let ids: BTreeMap<_, _> = instruments.iter().map(|known| (known.symbol, known.id)).collect();
        // Every symbol here is an instrument of the configuration, and each of those is defined by now.
        let resolve = |lists: &[Vec<Symbol>]| {
            lists
                .iter()
                .map(|list| list.iter().filter_map(|symbol| ids.get(symbol).copied()).collect())
                .collect()
        };
        Hints {
            pins: self.pins.iter().filter_map(|(symbol, shard)| Some((*ids.get(symbol)?, *shard))).collect(),
            together: resolve(&self.together),
            apart: resolve(&self.apart),
            reserved: self.reserved.clone(),
        }
    }
}

/// Parses a key's lists: each has two or more symbols of the configuration, none twice.
fn lists(key: &str, lists: &[Vec<String>], known: &BTreeSet<Symbol>) -> Result<Vec<Vec<Symbol>>, String> {
    lists
        .iter()
        .map(|list| {
            if list.len() < 2 {
                return Err(format!("{key}: a list has two symbols or more, and one is {list:?}"));
            }
            let mut seen = BTreeSet::new();
            list.iter()
                .map(|text| {
                    let symbol = Symbol::new(text)
                        .filter(|symbol| known.contains(symbol))
                        .ok_or_else(|| format!("{key}: \"{text}\" is not among the instruments"))?;
                    if !seen.insert(symbol) {
                        return Err(format!("{key}: \"{text}\" is there twice in one list"));
                    }
                    Ok(symbol)
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use domain::InstrumentId;

    use super::*;
    use crate::config::{Config, DEFAULT};

    /// The default configuration with these keys, and these of an instrument.
    fn parse(keys: &str, aapl: &str, msft: &str) -> Result<Config, String> {
        let text = DEFAULT
            .replacen("together = []\napart = []\n", "", 1)
            .replacen("reserved_shards = []\n", &format!("{keys}\n"), 1)
            .replacen("{ symbol = \"AAPL\" }", &format!("{{ symbol = \"AAPL\"{aapl} }}"), 1)
            .replacen("{ symbol = \"MSFT\" }", &format!("{{ symbol = \"MSFT\"{msft} }}"), 1);
        Config::parse(&text)
    }

    #[test]
    fn hints_are_read_and_resolved_by_what_the_journal_says() {
        assert_eq!(Config::load(None).unwrap().hints, ConfiguredHints::default());
        let keys = "together = [[\"SPY\", \"AAPL\"]]\napart = [[\"AAPL\", \"MSFT\", \"NVDA\"]]\nreserved_shards = [2]";
        let config = parse(keys, ", pin = 2, weight = 30", "").unwrap();
        // The journal has defined them in another order.
        let mut defined = config.instruments.clone();
        defined.reverse();
        for (id, instrument) in (0..).zip(&mut defined) {
            instrument.id = InstrumentId(id);
        }
        let id = |symbol: &str| defined.iter().find(|i| i.symbol == Symbol::new(symbol).unwrap()).unwrap().id;
        let hints = config.hints.resolve(&defined);
        assert_eq!(hints.pins, [(id("AAPL"), ShardId(2))]);
        assert_eq!(hints.together, [[id("SPY"), id("AAPL")]]);
        assert_eq!(hints.apart, [[id("AAPL"), id("MSFT"), id("NVDA")]]);
        assert_eq!(hints.reserved, [ShardId(2)]);
        let weights = config.hints.weights(&defined);
        assert_eq!((weights[id("AAPL").0 as usize], weights[id("SPY").0 as usize]), (30, 1));
        assert_eq!(weights.iter().sum::<u64>(), 64 - 1 + 30);
        assert_eq!(config.hints.fits(3), Ok(()));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (keys, aapl, msft, says) in [
            ("", ", weight = 0", "", "instrument \"AAPL\": weight must be above 0"),
            ("", ", weight = -1", "", "weight"),
            ("", ", pin = 70000", "", "pin"),
            ("together = [[\"AAPL\"]]", "", "", "together: a list has two symbols or more"),
            ("together = [[\"AAPL\", \"APPL\"]]", "", "", "together: \"APPL\" is not among the instruments"),
            ("apart = [[\"AAPL\", \"AAPL\"]]", "", "", "apart: \"AAPL\" is there twice in one list"),
            ("together = [[\"AAPL\", \"SPY\"], [\"MSFT\", \"SPY\"]]", "", "", "\"SPY\" is in two lists"),
            (
                "together = [[\"AAPL\", \"MSFT\"]]",
                ", pin = 0",
                ", pin = 1",
                "together: \"AAPL\" is pinned to shard 0 and \"MSFT\" to shard 1",
            ),
            ("apart = [[\"SPY\", \"MSFT\", \"AAPL\"]]", ", pin = 1", ", pin = 1", "both pinned to shard 1"),
            (
                "together = [[\"AAPL\", \"SPY\"]]\napart = [[\"SPY\", \"MSFT\"]]",
                ", pin = 1",
                ", pin = 1",
                "apart: \"SPY\" and \"MSFT\" are both pinned to shard 1",
            ),
            (
                "together = [[\"AAPL\", \"MSFT\"]]\napart = [[\"MSFT\", \"SPY\", \"AAPL\"]]",
                "",
                "",
                "\"MSFT\" and \"AAPL\" are in one list of together",
            ),
            ("reserved_shards = [1, 1]", "", "", "reserved_shards: 1 is there twice"),
        ] {
            let said = parse(keys, aapl, msft).unwrap_err();
            assert!(said.contains(says), "{keys} {aapl} {msft}: {said}");
        }
    }

    #[test]
    fn what_does_not_fit_the_shards_is_named() {
        let config = parse("reserved_shards = [0, 1]", ", pin = 3", "").unwrap();
        assert_eq!(config.hints.fits(4), Ok(()));
        let said = config.hints.fits(3).unwrap_err();
        assert_eq!(said, "instrument \"AAPL\": pin = 3, and there are 3 shards, 0 to 2");
        let config = parse("reserved_shards = [0, 1]", "", "").unwrap();
        assert!(config.hints.fits(1).unwrap_err().contains("reserved_shards: 1, and there are 1 shards"));
        assert!(config.hints.fits(2).unwrap_err().contains("all 2 shards are reserved"));
    }
}
