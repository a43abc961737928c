//! `exchange route`: a front of several pairs of exchanges. Clients log in here; each order goes to the pair where its
//! instrument lives, and what all pairs say comes back in one numbered stream.
//!
//! ```text
//!           ┌─ session ─ link ──▶ pair east (whichever node leads)
//! client ──▶│      │  └─ link ──▶ pair west
//!           │      └──── file: which pair's message came when
//!           └─ … (one loop for all; threads: placement map, syncing, signals)
//! ```
//!
//! * [`record`] is the order of a session's messages, in a file; [`numbers`] its UserRefNums: logic, tested by itself.
//! * [`link`] gets a session into a pair and keeps it there; [`session`] routes requests and merges answers.
//! * [`router`] polls; [`account`] has the sessions of all users; [`syncs`] makes files safe.
//!
//! Absent here: books, orders, prices, and any knowledge of users: the pairs let them in or do not.

mod account;
mod link;
mod numbers;
mod record;
mod router;
mod session;
mod socket;
mod syncs;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use domain::Nanos;
use mio::Waker;
use serde_json::json;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use self::{
    account::Accounts,
    router::{Newest, Router},
};
use crate::{
    cli,
    placement::{follow::Follow, source::Source},
    run::reserve_descriptors,
    say::say,
};

/// Why the router itself refuses an order: codes of OUCH that no pair uses, but for the first.
mod reasons {
    use domain::RejectReason;
    use wire::ouch::codes;

    /// The placement map has no such instrument.
    pub(super) const UNKNOWN: u16 = codes::reject_reason(RejectReason::UnknownInstrument);
    /// The pair cannot be reached, or could not before it had taken the order. OUCH: quote unavailable.
    pub(super) const UNREACHABLE: u16 = 0x01;
    /// The placement map that is known here is out of date for the instrument. OUCH: routing not allowed.
    pub(super) const STALE: u16 = 0x16;
}

/// The time for messages of the router's own: nanoseconds since midnight UTC.
fn since_midnight() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(u64::try_from(since.as_nanos()).unwrap_or(0)).since_midnight()
}

/// Runs a router until it is told to stop.
pub(crate) fn route(args: &cli::Route) -> Result<(), String> {
    // Before any thread starts, so that all inherit the mask.
    let mut signals =
        Signals::new([SIGTERM, SIGINT]).map_err(|error| format!("cannot watch signals: {error}"))?;
    // A client's, those of its pairs, and its file.
    let of_each = 2 + u64::from(args.pairs);
    reserve_descriptors(
        u64::from(args.connections) * of_each,
        &format!("--connections is {} and --pairs {}", args.connections, args.pairs),
    )?;
    let connections = args.connections as usize;
    let accounts = Accounts::open(&args.data)?;
    let source = Source::new(&args.at.coordinator, args.at.map.as_ref())?;
    let newest = Arc::new(Newest::default());
    let waker: Arc<OnceLock<Arc<Waker>>> = Arc::default();
    let follow = {
        let (newest, waker) = (Arc::clone(&newest), Arc::clone(&waker));
        Follow::start(source, &args.data, move |map| {
            newest.leave(map);
            if let Some(waker) = waker.get() {
                // The loop looks at each tick anyway.
                let _ = waker.wake();
            }
        })?
    };
    let stop = Arc::new(AtomicBool::new(false));
    let (router, address, wakes) =
        Router::bind(args.soup, connections, accounts, newest, follow, Arc::clone(&stop))?;
    let _ = waker.set(Arc::clone(&wakes));
    let handle = signals.handle();
    let stopper = std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if signals.forever().next().is_some() {
                stop.store(true, Ordering::Release);
                let _ = wakes.wake();
            }
        })
        .map_err(|error| format!("no thread for signals: {error}"))?;
    if args.json {
        say!("{}", json!({ "event": "ready", "soup": address.to_string() }));
    } else {
        say!("ready: SoupBinTCP and OUCH 5.0 on {address}");
    }
    let result = router.run();
    handle.close();
    if stopper.join().is_err() {
        return Err("a thread died".into());
    }
    result?;
    if args.json {
        say!("{}", json!({ "event": "stopped" }));
    } else {
        say!("stopped");
    }
    Ok(())
}
