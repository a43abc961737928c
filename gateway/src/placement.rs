//! Which instruments live here, when there are several pairs of exchanges and a placement map says where each lives.
//!
//! ```text
//!  whoever reads the map ──▶ PlacementFeed ──▶ Here (one flag for each instrument) ──▶ new orders are taken, or refused
//! ```
//!
//! A request is judged by what the gateway knows before it is sequenced, and what comes of it is in the journal: no replay
//! asks for a map. An order costs one flag; who lives where is looked up for a refusal only.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::{Instrument, InstrumentId, Symbol};
use wire::ouch::{Appendage, Elsewhere, TagValue};

use crate::venue::Instruments;

/// A pair of exchanges, as a client is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Its name, padded with spaces.
    pub pair: [u8; 16],
    /// Where its nodes listen, separated by commas; at most 254 bytes of printable text.
    pub addresses: String,
}

/// What a placement map means to one pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The map's generation; 0 before there is one, and then nothing lives here.
    pub generation: u64,
    /// What lives here.
    pub here: BTreeSet<Symbol>,
    /// What lives on another pair, and on which.
    pub elsewhere: BTreeMap<Symbol, Arc<Home>>,
}

/// The newest placement, left by whoever reads the map for whoever leads here.
#[derive(Debug, Default)]
pub struct PlacementFeed {
    /// The generation of `latest`, to be looked at without the lock. It publishes nothing: the lock does.
    generation: AtomicU64,
    latest: Mutex<Arc<Placement>>,
}

impl PlacementFeed {
    /// Leaves a newer placement. One that is not newer than the last is not taken.
    pub fn leave(&self, placement: Placement) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if placement.generation > latest.generation {
            self.generation.store(placement.generation, Ordering::Relaxed);
            *latest = Arc::new(placement);
        }
    }

    fn newer_than(&self, generation: u64) -> Option<Arc<Placement>> {
        if self.generation.load(Ordering::Relaxed) == generation {
            return None;
        }
        Some(Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Here {
    feed: Arc<PlacementFeed>,
    placement: Arc<Placement>,
    /// By instrument index: whether it lives here.
    lives: Vec<bool>,
}

impl Here {
    pub(crate) fn new(feed: Arc<PlacementFeed>, instruments: &Instruments) -> Self {
        let mut here =
            Self { feed, placement: Arc::default(), lives: vec![false; instruments.as_slice().len()] };
        here.look(instruments);
        here
    }

    /// Takes a newer placement, if there is one.
    #[inline]
    pub(crate) fn look(&mut self, instruments: &Instruments) {
        let Some(newer) = self.feed.newer_than(self.placement.generation) else { return };
        let lives = |instrument: &Instrument| newer.here.contains(&instrument.symbol);
        self.lives = instruments.as_slice().iter().map(lives).collect();
        log::info!(
            "placement map of generation {}: {} of the {} instruments here take orders",
            newer.generation,
            self.lives.iter().filter(|lives| **lives).count(),
            self.lives.len()
        );
        self.placement = newer;
    }

    /// Whether an instrument lives here.
    #[inline]
    pub(crate) fn lives(&self, instrument: InstrumentId) -> bool {
        self.lives.get(instrument.0 as usize).copied().unwrap_or(false)
    }

    /// Whether a symbol that is none of this pair's instruments lives on another pair.
    pub(crate) fn is_elsewhere(&self, symbol: Symbol) -> bool {
        self.placement.elsewhere.contains_key(&symbol)
    }

    /// Appends what a client is told whose order for `symbol` is refused for where that lives.
    pub(crate) fn tell(&self, user_ref: u32, symbol: Symbol, out: &mut Vec<u8>) {
        let home = self.placement.elsewhere.get(&symbol);
        let mut options = Vec::new();
        if let Some(home) = home {
            let value = home.addresses.as_bytes();
            TagValue::Unknown { tag: Elsewhere::ADDRESSES, value }.encode(&mut options);
        }
        Elsewhere {
            user_ref,
            generation: self.placement.generation,
            symbol: symbol.padded(),
            pair: home.map_or([b' '; 16], |home| home.pair),
            // What was just encoded makes sense.
            appendage: Appendage::decode(&options).unwrap_or_default(),
        }
        .encode(out);
    }
}

#[cfg(test)]
mod tests {
    use domain::{OrderBounds, Price, Quantity};

    use super::*;

    fn symbol(text: &str) -> Symbol {
        Symbol::new(text).unwrap()
    }

    fn instruments() -> Instruments {
        let mut instruments = Instruments::new();
        for (id, name) in ["A", "B", "C"].into_iter().enumerate() {
            instruments.define(Instrument {
                id: InstrumentId(id as u32),
                symbol: symbol(name),
                tick: 100,
                lot: 1,
                quantity_max: Quantity(1_000),
                price_max: Price::new(1_000).unwrap(),
                bounds: OrderBounds::default(),
            });
        }
        instruments
    }

    fn placement(generation: u64, here: &[&str], elsewhere: &[&str]) -> Placement {
        let home = Arc::new(Home { pair: *b"west            ", addresses: "10.0.0.1:9000".into() });
        Placement {
            generation,
            here: here.iter().map(|name| symbol(name)).collect(),
            elsewhere: elsewhere.iter().map(|name| (symbol(name), Arc::clone(&home))).collect(),
        }
    }

    #[test]
    fn nothing_lives_here_before_there_is_a_map_and_only_what_it_says_after() {
        let (feed, instruments) = (Arc::new(PlacementFeed::default()), instruments());
        let mut here = Here::new(Arc::clone(&feed), &instruments);
        let lives = |here: &Here| [0, 1, 2].map(|id| here.lives(InstrumentId(id)));
        assert_eq!(lives(&here), [false; 3]);
        feed.leave(placement(7, &["A", "C"], &["B", "D"]));
        assert_eq!(lives(&here), [false; 3], "it is taken in when it is looked for");
        here.look(&instruments);
        assert_eq!(lives(&here), [true, false, true]);
        assert!(here.is_elsewhere(symbol("D")) && !here.is_elsewhere(symbol("E")));
        // An older one, or another of the same generation, is none.
        feed.leave(placement(6, &["B"], &[]));
        feed.leave(placement(7, &["B"], &[]));
        here.look(&instruments);
        assert_eq!(lives(&here), [true, false, true]);
        feed.leave(placement(8, &["B"], &["A"]));
        here.look(&instruments);
        assert_eq!(lives(&here), [false, true, false]);
        // Whoever leads here later knows it at once.
        assert_eq!(lives(&Here::new(feed, &instruments)), [false, true, false]);
    }

    #[test]
    fn a_refusal_tells_where_and_by_which_map() {
        let (feed, instruments) = (Arc::new(PlacementFeed::default()), instruments());
        feed.leave(placement(7, &["A"], &["B"]));
        let here = Here::new(feed, &instruments);
        let told = |name| {
            let mut bytes = Vec::new();
            here.tell(5, symbol(name), &mut bytes);
            bytes
        };
        let bytes = told("B");
        let elsewhere = Elsewhere::decode(&bytes).unwrap();
        assert_eq!((elsewhere.user_ref, elsewhere.generation, elsewhere.symbol), (5, 7, *b"B       "));
        assert_eq!((elsewhere.pair_name().as_str(), elsewhere.addresses()), ("west", "10.0.0.1:9000"));
        // On none.
        let bytes = told("C");
        let elsewhere = Elsewhere::decode(&bytes).unwrap();
        assert_eq!((elsewhere.pair_name().as_str(), elsewhere.addresses()), ("", ""));
    }
}
