//! The audit: whether an exchange has kept everything that it said.
//!
//! Its evidence comes from four sides: what clients saw when it happened, what they are told when they ask for all of
//! it again, what the journal holds, and what the naive books make of the journal's commands. Nothing may be missing,
//! there twice, or different on any side. Each rule has a canary: evidence with that one thing wrong, which must be
//! found.

use std::collections::{BTreeMap, BTreeSet};

use domain::{ClientRef, Owner, SessionId};
use serde_json::Value;
use wire::ouch::Outbound;

use crate::{
    client::Said,
    reference::{Caused, Reference},
    venue::{Home, text},
};

/// What is known of an exchange, from all sides.
#[derive(Clone, Default)]
pub(crate) struct Evidence {
    /// By session: what its clients saw, when they saw it.
    pub(crate) seen: BTreeMap<SessionId, Vec<Said>>,
    /// By session: the numbers of the orders that its clients asked for.
    pub(crate) asked: BTreeMap<SessionId, BTreeSet<u32>>,
    /// By session: what a client is told that asks for everything.
    pub(crate) histories: BTreeMap<SessionId, Vec<Said>>,
    /// By session: what the journal says that it was told.
    pub(crate) logged: BTreeMap<SessionId, Vec<Said>>,
    /// The orders of the journal's commands.
    pub(crate) orders: Vec<Owner>,
    /// The reports that those commands cause, and those that are there.
    pub(crate) caused: Vec<Caused>,
    pub(crate) reported: Vec<Caused>,
    /// The hash of all books, by who says so.
    pub(crate) states: Vec<(String, String)>,
    /// The hash of all events, by who says so.
    pub(crate) events: Vec<(String, String)>,
}

impl Evidence {
    /// Adds what the journal holds, what the naive books make of it, and what replays make of it.
    pub(crate) fn add_journal(&mut self, home: &Home, shards: &[u16]) {
        let reference = Reference::of(&home.data());
        for session in self.histories.keys() {
            self.logged.insert(*session, reference.told[session.0 as usize].clone());
        }
        self.states.push(("the naive books".into(), reference.state()));
        self.events.push(("the naive books".into(), reference.events()));
        self.orders = reference.asked;
        self.caused = reference.caused;
        self.reported = reference.reported;
        for shards in shards {
            let replayed: Value = home.replay(*shards);
            let who = format!("a replay on {shards} shards");
            self.states.push((who.clone(), text(&replayed, "state")));
            self.events.push((who, text(&replayed, "events_hash")));
        }
    }
}

/// Looks for anything that is not as it must be, and names it.
pub(crate) fn audit(evidence: &Evidence) -> Result<(), String> {
    let mut orders: BTreeMap<Owner, u32> = BTreeMap::new();
    for owner in &evidence.orders {
        *orders.entry(*owner).or_default() += 1;
    }
    for (session, history) in &evidence.histories {
        let say = |what: String| Err(format!("session {session}: {what}"));
        for (said, number) in history.iter().zip(1..) {
            if said.number != number {
                return say(format!("message {} where {number} had to come", said.number));
            }
        }
        let logged = evidence.logged.get(session).ok_or("the journal does not know the session")?;
        if let Some(at) = difference(history, logged) {
            return say(format!("message {} is another one in the journal", at + 1));
        }
        for said in evidence.seen.get(session).into_iter().flatten() {
            match history.get(said.number as usize - 1) {
                None => return say(format!("message {} was seen and is gone", said.number)),
                Some(again) if again != said => {
                    return say(format!("message {} was seen and is another one now", said.number));
                }
                Some(_) => {}
            }
        }
        let acknowledged = acknowledged(history);
        for (user_ref, times) in &acknowledged {
            if *times != 1 {
                return say(format!("order {user_ref} was acknowledged {times} times"));
            }
            let owner = Owner { session: *session, client_ref: ClientRef(*user_ref) };
            let times = orders.get(&owner).copied().unwrap_or(0);
            if times != 1 {
                return say(format!("order {user_ref} was acknowledged and is in the journal {times} times"));
            }
            if !evidence.asked.get(session).is_some_and(|asked| asked.contains(user_ref)) {
                return say(format!("order {user_ref} was acknowledged and nobody asked for it"));
            }
        }
        for user_ref in self::acknowledged(evidence.seen.get(session).map_or(&[], Vec::as_slice)).keys() {
            if !acknowledged.contains_key(user_ref) {
                return say(format!("order {user_ref} was acknowledged and is forgotten"));
            }
        }
    }
    let (mut caused, mut reported) = (evidence.caused.clone(), evidence.reported.clone());
    caused.sort_unstable();
    reported.sort_unstable();
    if let Some(at) = difference(&caused, &reported) {
        return Err(format!(
            "reports do not follow from commands: {:?} had to be and {:?} is",
            caused.get(at),
            reported.get(at)
        ));
    }
    for hashes in [&evidence.states, &evidence.events] {
        for pair in hashes.windows(2) {
            if pair[0].1 != pair[1].1 {
                return Err(format!(
                    "{} says {}, and {} says {}",
                    pair[0].0, pair[0].1, pair[1].0, pair[1].1
                ));
            }
        }
    }
    Ok(())
}

/// How often each order was acknowledged.
fn acknowledged(history: &[Said]) -> BTreeMap<u32, u32> {
    let mut orders = BTreeMap::new();
    for said in history {
        let user_ref = match said.message() {
            Outbound::Accepted(accepted) => accepted.user_ref,
            Outbound::Replaced(replaced) => replaced.user_ref,
            _ => continue,
        };
        *orders.entry(user_ref).or_default() += 1;
    }
    orders
}

/// Where two lists differ first.
fn difference<T: PartialEq>(a: &[T], b: &[T]) -> Option<usize> {
    if a.len() == b.len() && a == b {
        return None;
    }
    Some(a.iter().zip(b).take_while(|(a, b)| a == b).count())
}
