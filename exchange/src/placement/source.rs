//! Where the placement map is kept: one key of an etcd, or a file.

use std::{io::Read, path::PathBuf};

use coordinator::{Answer, Client, Compare, Operation, Options, Revision};

use super::map::{BYTES_MAX, PlacementMap};

/// The key. Keys of the pairs themselves lie under `fulcrum/NAME/`.
const KEY: &str = "fulcrum/placement";

/// Where the map is.
pub(crate) enum Source {
    Etcd(Box<Client>),
    File(PathBuf),
}

impl Source {
    /// From what was typed: an etcd's endpoints or a file, and not both.
    pub(crate) fn new(endpoints: &[String], file: Option<&PathBuf>) -> Result<Self, String> {
        match (endpoints, file) {
            (_, Some(file)) => Ok(Self::File(file.clone())),
            ([], None) => {
                Err("where is the placement map? --coordinator names an etcd that has it, --placement-map a \
                               file"
                    .into())
            }
            (endpoints, None) => {
                let client = Client::new(&Options::new(endpoints.iter().cloned()))
                    .map_err(|error| format!("coordinator: {error}"))?;
                Ok(Self::Etcd(Box::new(client)))
            }
        }
    }

    /// Reads the map; `None` when nobody has set one yet.
    ///
    /// # Errors
    /// When it cannot be read or is none, in words that name the place.
    pub(crate) fn read(&self) -> Result<Option<PlacementMap>, String> {
        match self {
            Self::Etcd(client) => read_key(client).map(|found| found.map(|(map, _)| map)),
            Self::File(path) => {
                let named = |error: String| format!("placement map {}: {error}", path.display());
                let file = std::fs::File::open(path).map_err(|error| named(error.to_string()))?;
                let mut bytes = Vec::new();
                // One byte more than may be, which is enough to refuse it.
                file.take(BYTES_MAX as u64 + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|error| named(error.to_string()))?;
                PlacementMap::parse(&bytes).map(Some).map_err(named)
            }
        }
    }

    /// Makes `next` the map, in the generation after `expected`, if that is the one that is there.
    ///
    /// # Errors
    /// Another generation is there, books would be left behind and must not be, or the etcd does not take it.
    pub(crate) fn set(
        &self,
        next: &PlacementMap,
        expected: u64,
        leave_books_behind: bool,
    ) -> Result<PlacementMap, String> {
        let Self::Etcd(client) = self else {
            return Err("a placement map in a file is changed by writing the file, whole and with a higher generation".into());
        };
        let there = read_key(client)?;
        let (generation, revision) =
            there.as_ref().map_or((0, Revision(0)), |(map, revision)| (map.generation, *revision));
        if generation != expected {
            return Err(format!(
                "generation {generation} is there, and {expected} was expected: look at it (exchange placement show), and \
                 change that one"
            ));
        }
        if let (Some((map, _)), false) = (&there, leave_books_behind) {
            map.leaves_no_book(next)?;
        }
        let generation = expected.checked_add(1).ok_or("there is no higher generation")?;
        let next = PlacementMap { generation, ..next.clone() };
        let json = next.json();
        if json.len() > BYTES_MAX {
            return Err(format!("{} bytes; a placement map has {BYTES_MAX} at most", json.len()));
        }
        let condition = [Compare::mod_revision(KEY, revision)];
        let outcome =
            client.transaction(&condition, &[Operation::put(KEY, json, None)], &[Operation::get(KEY)]);
        match outcome {
            Ok(outcome) if outcome.succeeded => Ok(next),
            Ok(outcome) => {
                let found = outcome.answers.into_iter().next().and_then(|answer| match answer {
                    Answer::Got(found) => found,
                    _ => None,
                });
                let generation = found.and_then(|found| PlacementMap::parse(&found.value).ok());
                Err(format!(
                    "somebody else has just changed it{}: look at it, and change that one",
                    generation.map(|map| format!(", to generation {}", map.generation)).unwrap_or_default()
                ))
            }
            // It may have happened: what is there says so.
            Err(error) if error.may_have_happened() => match read_key(client) {
                Ok(Some((map, _))) if map == next => Ok(next),
                _ => Err(format!("{error}. Look at what is there (exchange placement show)")),
            },
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The map that an etcd has, and the revision that it was put at.
fn read_key(client: &Client) -> Result<Option<(PlacementMap, Revision)>, String> {
    let Some(found) = client.get(KEY).map_err(|error| format!("placement map: {error}"))? else {
        return Ok(None);
    };
    let map = PlacementMap::parse(&found.value)
        .map_err(|error| format!("placement map: what the etcd has at {KEY} is none: {error}"))?;
    Ok(Some((map, found.mod_revision)))
}
