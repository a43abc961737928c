//! Market data, while this process leads: its sockets, its thread, and what it begins with.

use std::{sync::Arc, thread::JoinHandle};

use domain::{Epoch, OrderType};
use door::auth::{User, UsersFeed};
use engine::book::{BookImage, RestingOrder, Waiting};
use feed::{Server, Shows, Standing, Start, Stats, Waits, tap};
use gateway::Venue;
use log::warn;
use serde_json::json;

use super::{choices::Choices, quoting, voice::Voice};
use crate::{
    recovery::Recovered,
    users::{readers::Readers, watch::Audience},
};

/// Instruments that are named when they are not published.
const NAMED_MAX: usize = 8;

/// Who may read what is served, where that is asked.
pub(super) struct Readership {
    readers: Readers,
    users: Vec<User>,
}

impl Readership {
    /// `None` where nobody has to log in.
    ///
    /// # Errors
    /// When an account is not what it should be.
    pub(super) fn of(choices: &Choices) -> Result<Option<Self>, String> {
        if !choices.config.feed_doors.login && choices.config.quotes.is_none() {
            return Ok(None);
        }
        let mut readers = Readers::default();
        let users = readers.of(&choices.config.users, &choices.config.accounts)?;
        Ok(Some(Self { readers, users }))
    }
}

/// The feed of a process that leads.
pub(super) struct Feeding {
    pub(super) stats: Arc<Stats>,
    pub(super) quotes: Option<Arc<quotes::Stats>>,
    threads: Vec<JoinHandle<()>>,
}

impl Feeding {
    /// Binds the sockets and begins with what has been recovered. `None` when nothing is to be published. With whom changes of
    /// users are to be told, if any.
    ///
    /// # Errors
    /// When an address cannot be had.
    pub(super) fn start(
        choices: &Choices,
        readership: Option<Readership>,
        epoch: Option<Epoch>,
        recovered: &mut Recovered,
        voice: &Voice,
    ) -> Result<Option<(Self, Option<Audience>)>, String> {
        let settings = &choices.config.feed;
        if !settings.is_on() && choices.config.quotes.is_none() {
            return Ok(None);
        }
        let mut server = Server::bind(settings)?;
        server.allow(&choices.config.feed_doors.allow);
        if let Some(tls) = &choices.feed_tls {
            server.serve_tls(Arc::clone(tls));
        }
        let mut quoting = None;
        let audience = match readership {
            None => None,
            Some(Readership { readers, users }) => {
                let feed = Arc::new(UsersFeed::default());
                let mut wakers = Vec::new();
                quoting = quoting::bind(choices, &users, &recovered.instruments)?;
                if let Some(quotes) = &mut quoting {
                    quotes.follow_users(Arc::clone(&feed));
                    wakers.push(quotes.waker());
                    quotes.watcher().into_iter().for_each(|watcher| server.watch(watcher));
                }
                if choices.config.feed_doors.login {
                    server.ask_for_users(users, Arc::clone(&feed))?;
                    wakers.push(server.waker());
                }
                Some(Audience { readers, feed, wakers })
            }
        };
        let (bound, stats) = (server.bound(), server.stats());
        let sequencer = &mut recovered.sequencer;
        let nanos = sequencer.now();
        let appender = sequencer.appender();
        let session = session_name(&[
            appender.cluster().0 as u64,
            u64::from(epoch.unwrap_or_default().0),
            appender.last_sequence().0,
            nanos.0,
        ]);
        let instruments = recovered.instruments.as_slice().to_vec();
        let directory = feed::Directory::new(&instruments);
        let unfit: Vec<_> = directory
            .entries()
            .filter_map(|(instrument, locate)| Some((instrument.symbol, locate.err()?)))
            .collect();
        for (symbol, why) in unfit.iter().take(NAMED_MAX) {
            warn!("market data of {symbol} is not published: {why}");
        }
        if unfit.len() > NAMED_MAX {
            warn!("nor is that of {} others", unfit.len() - NAMED_MAX);
        }
        let start = Start {
            instruments,
            standing: sequencer.books.runtime.images().iter().flat_map(standing).collect(),
            position: appender.committed(),
            nanos,
            session,
        };
        let (tap, intake) = tap();
        let mut threads = vec![server.spawn(start, intake)?];
        let quoted = quoting.as_ref().map(|quotes| (quotes.address(), quotes.stats()));
        if let Some(quotes) = quoting {
            threads.push(quotes.spawn().map_err(|error| format!("no thread for feed.fix: {error}"))?);
        }
        sequencer.publish_through(tap);
        let name = String::from_utf8_lossy(&session).into_owned();
        let text = |address: Option<std::net::SocketAddr>| address.map(|address| address.to_string());
        let mold: Vec<_> = settings.mold.iter().map(ToString::to_string).collect();
        let mut said = format!("market data: session {name}");
        if !mold.is_empty() {
            said += &format!(", ITCH 5.0 over MoldUDP64 to {}", mold.join(", "));
        }
        if let Some(address) = bound.rerequest {
            said += &format!(", re-requests at {address}");
        }
        let doors = &choices.config.feed_doors;
        let how = Choices::tls_text(doors.tls.as_ref());
        let who = if doors.login { ", for users" } else { "" };
        if let Some(address) = bound.snapshot {
            said += &format!(", snapshots at {address}{how}{who}");
        }
        if let Some(address) = bound.web {
            said += &format!(", WebSocket at {address}{how}{who}");
        }
        if let Some((address, _)) = &quoted {
            said += &format!(", FIX 4.4 and 5.0 SP2 at {address}{how}, for users");
        }
        voice.say(
            &said,
            &json!({
                "event": "feed",
                "session": name,
                "mold": mold,
                "rerequest": text(bound.rerequest),
                "snapshot": text(bound.snapshot),
                "websocket": text(bound.web),
                "fix": text(quoted.as_ref().map(|(address, _)| *address)),
                "tls": doors.tls.is_some(),
                "login": doors.login,
                "unpublished": unfit.len(),
            }),
        );
        let quotes = quoted.map(|(_, stats)| stats);
        Ok(Some((Self { stats, quotes, threads }, audience)))
    }

    /// Waits until what may be published has been. The front has ended. Says whether the threads were well.
    pub(super) fn end(self) -> bool {
        self.threads.into_iter().map(JoinHandle::join).all(|joined| joined.is_ok())
    }
}

/// The orders of a book, as the feed takes them.
fn standing(image: &BookImage) -> impl Iterator<Item = Standing> {
    image.orders.iter().chain(&image.stops).map(stands)
}

fn stands(order: &RestingOrder) -> Standing {
    let RestingOrder { order, side, price, leaves, special, .. } = *order;
    Standing {
        order,
        side,
        price,
        leaves,
        shown: special.map_or(leaves, |special| special.shown),
        shows: special.map_or(Shows::All, |special| Shows::of(&special.instructions)),
        waits: match special.map_or(Waiting::No, |special| special.waiting) {
            Waiting::No => Waits::No,
            Waiting::ForTrigger(_) => Waits::Trigger,
            Waiting::ForTurn => Waits::Turn,
        },
        rests: special.is_none_or(|special| special.order_type == OrderType::Limit),
    }
}

/// Ten letters and digits, drawn from what tells one start from every other.
fn session_name(of: &[u64]) -> [u8; 10] {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    // SplitMix64's finish after each.
    let mut drawn = of.iter().fold(0_u64, |state, word| {
        let mut mixed = (state ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    });
    [(); 10].map(|()| {
        let digit = DIGITS[(drawn % 36) as usize];
        drawn /= 36;
        digit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_differs_makes_another_name() {
        let of = [7, 1, 1_000, 1_700_000_000_000_000_000];
        let name = session_name(&of);
        assert_eq!(name, session_name(&of));
        assert!(name.iter().all(u8::is_ascii_alphanumeric));
        for at in 0..of.len() {
            let mut other = of;
            other[at] += 1;
            assert_ne!(name, session_name(&other));
        }
    }
}
