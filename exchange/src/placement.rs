//! Several pairs of exchanges: which of them an instrument lives on.
//!
//! [`map`] says what there is to say, [`source`] where it is kept, and [`follow`] how whoever needs it learns of changes:
//! a pair, whose gateway refuses what lives elsewhere, and a router (`exchange route`).

pub(crate) mod follow;
pub(crate) mod map;
pub(crate) mod source;

use std::{path::Path, sync::Arc};

use gateway::{Home, Placement, PlacementFeed};
use log::warn;

use self::{
    follow::Follow,
    map::{PairName, PlacementMap},
    source::Source,
};
use crate::{cli, say::say};

/// What the map means to the pair `here`.
fn placement_of(map: &PlacementMap, here: &PairName) -> Placement {
    let homes: std::collections::BTreeMap<_, _> = map
        .pairs
        .iter()
        .map(|(name, addresses)| {
            let addresses = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            (name, Arc::new(Home { pair: name.padded(), addresses }))
        })
        .collect();
    let mut placement = Placement { generation: map.generation, ..Placement::default() };
    for (symbol, name) in &map.instruments {
        if name == here {
            placement.here.insert(*symbol);
        } else if let Some(home) = homes.get(name) {
            placement.elsewhere.insert(*symbol, Arc::clone(home));
        }
    }
    placement
}

/// A pair's place in the map, for as long as the process lives.
pub(crate) struct Placed {
    pub(crate) feed: Arc<PlacementFeed>,
    _follow: Follow,
}

impl Placed {
    /// From the command line of a node; nothing when it names no pair.
    ///
    /// # Errors
    /// When the pair's name is none, or nothing says where the map is.
    pub(crate) fn of(args: &cli::Placed, endpoints: &[String], data: &Path) -> Result<Option<Self>, String> {
        let Some(text) = &args.name else { return Ok(None) };
        let here = PairName::new(text).ok_or_else(|| {
            format!("--pair \"{text}\" is no pair's name: 1 to 16 lower-case letters, digits and hyphens")
        })?;
        let source = Source::new(endpoints, args.map.as_ref())?;
        let feed = Arc::new(PlacementFeed::default());
        let to = Arc::clone(&feed);
        let follow = Follow::start(source, data, move |map| {
            if !map.pairs.contains_key(&here) {
                warn!(
                    "placement map of generation {}: there is no pair {here}, so no order is taken",
                    map.generation
                );
            }
            to.leave(placement_of(&map, &here));
        })?;
        Ok(Some(Self { feed, _follow: follow }))
    }
}

/// `exchange placement`.
pub(crate) fn placement(args: &cli::Placement) -> Result<(), String> {
    match &args.command {
        cli::PlacementCommand::Show { at } => {
            let source = Source::new(&at.coordinator, at.map.as_ref())?;
            let map = source
                .read()?
                .ok_or("there is no placement map yet: exchange placement set FILE sets one")?;
            say!("{}", map.json().trim_end());
            Ok(())
        }
        cli::PlacementCommand::Set { file, coordinator, expect, leave_books_behind } => {
            let source = Source::new(coordinator, None)?;
            let next = Source::File(file.clone()).read()?.ok_or("a file has a map")?;
            let expected = expect.unwrap_or(next.generation);
            let set = source.set(&next, expected, *leave_books_behind)?;
            say!("{}", serde_json::json!({ "generation": set.generation }));
            Ok(())
        }
    }
}
