//! `exchange drill storm`: an exchange with a crowd of connections, killed under load; all come back at once.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use client::User;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use super::{
    ASKING, JOURNAL, PATIENCE, SESSIONS, Scene,
    client::Answer,
    config_of,
    crowd::{Crowd, GIVEN_UP},
    millis, must_equal, put,
    slow_disk::memory,
    text,
    traffic::Traffic,
};
use crate::{
    child::{Arguments, Exchange},
    cli,
    load::users,
};

/// File descriptors that this process wants besides those of the crowd: the load, the exchange's output, and some. The
/// exchange wants as many besides its connections.
const DESCRIPTORS_BESIDE: u64 = 64;
/// Connections of others that the exchange has room for: the load, whoever asks, an audit.
const CONNECTIONS_BESIDE: u32 = 64;
/// Seconds that a connection may stay without logging in: half of the crowd never does.
const LOGIN_TIMEOUT_S: u64 = 3_600;
/// What a connection that does nothing may cost the exchange: its buffers, its session's index, its order.
const BYTES_EACH: u64 = 16 << 10;
/// What an exchange may take besides.
const MEMORY_BESIDE: u64 = 64 << 20;
/// The exchange is looked at so often while all come back.
const LOOK: Duration = Duration::from_millis(5);

/// How many connections there are to be, as far as this process and the exchange may have them.
fn connections(args: &cli::Drill) -> u32 {
    const BESIDE: u64 = DESCRIPTORS_BESIDE + CONNECTIONS_BESIDE as u64;
    let allowed = getrlimit(Resource::Nofile).maximum.map_or(u64::MAX, |most| most.saturating_sub(BESIDE));
    args.connections.min(u32::try_from(allowed).unwrap_or(u32::MAX))
}

/// The embedded configuration, with room for the crowd, and users for half of it.
pub(super) fn config_text(args: &cli::Drill) -> Result<String, String> {
    let connections = connections(args);
    let mut config = config_of(&JOURNAL)?;
    let room = u64::from(connections + CONNECTIONS_BESIDE);
    let limits = [("connections", room), ("unauthenticated", room), ("login_timeout_s", LOGIN_TIMEOUT_S)];
    put(&mut config, "limits", &limits)?;
    let users = config.get_mut("users").and_then(toml::Value::as_array_mut);
    let users = users.ok_or("the embedded configuration has no [[users]]")?;
    for number in 0..connections / 2 {
        let user = [("name", format!("C{number:05}")), ("password", "crowd".into())];
        users.push(toml::Table::from_iter(user.map(|(key, value)| (key.into(), value.into()))).into());
    }
    Ok(config.to_string())
}

/// Lets this process have a file descriptor for each.
fn raise_descriptors(connections: u32) -> Result<(), String> {
    let wanted = u64::from(connections) + DESCRIPTORS_BESIDE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).map_err(|error| {
        format!("{wanted} file descriptors for {connections} connections: {error}; take fewer")
    })
}

/// What stays the same from round to round.
struct Stage {
    data: PathBuf,
    arguments: Arguments,
    crowd: Crowd,
    /// Connections of the crowd, and those of them that log in.
    all: (usize, usize),
    /// Memory of an exchange before the crowd came, and what it may take for all.
    memory: u64,
    bound: u64,
}

pub(super) fn storm(scene: &mut Scene<'_>) -> Result<(), String> {
    let connections = connections(scene.args);
    raise_descriptors(connections)?;
    let of_crowd: Vec<User> =
        users(&scene.config).into_iter().filter(|user| user.name.starts_with('C')).collect();
    let all = (connections as usize, of_crowd.len());
    scene.say(
        &format!("  {} connections, {} of them logged in", all.0, all.1),
        json!({ "event": "crowd", "connections": all.0, "logged_in": all.1 }),
    );
    let (data, arguments) = (scene.root.join("data"), scene.arguments());
    let symbol = scene.config.instruments.first().ok_or("nothing can be traded")?.symbol.padded();
    let exchange = Exchange::start(&data, &arguments)?;
    let stage = Stage {
        data,
        arguments,
        crowd: Crowd::start(all.0, of_crowd, symbol)?,
        all,
        memory: memory(exchange.pid())?,
        bound: u64::from(connections) * BYTES_EACH
            + (SESSIONS as u64 + 1) * scene.config.limits.unsent_max as u64
            + MEMORY_BESIDE,
    };
    let done = stage.rounds(scene, exchange);
    stage.crowd.lead_to(None);
    // With an exchange that is gone the crowd has lost its connections; what it lost before says more than that it did.
    let exchange = match (done, stage.crowd.end()) {
        (Err(error), _) if error != GIVEN_UP => return Err(error),
        (_, Err(error)) => return Err(error),
        (done, Ok(())) => done?,
    };
    let stopped = exchange.stop()?;
    must_equal("replay", &scene.replayed(&stage.data)?, "live exchange", text(&stopped["state"]))?;
    scene.hashes_equal = true;
    Ok(())
}

impl Stage {
    /// The crowd comes, and comes back each time that the exchange was killed. Gives the exchange that runs in the end.
    fn rounds(&self, scene: &mut Scene<'_>, mut exchange: Exchange) -> Result<Exchange, String> {
        self.crowd.lead_to(Some(exchange.address));
        let what = format!("{:?} connections and sessions of the crowd are there", self.all);
        scene.patience.eventually(&what, || self.are_all_there())?;
        for round in 1..=scene.args.rounds {
            let traffic = Traffic::start(scene, &exchange)?;
            let moment = scene.moment();
            scene.patience.pause(moment)?;
            self.crowd.must_be_well()?;
            self.crowd.lead_to(None);
            let killed = Instant::now();
            exchange.kill()?;
            exchange = Exchange::start(&self.data, &self.arguments)?;
            let storm = Instant::now();
            self.crowd.lead_to(Some(exchange.address));
            scene.hear(traffic.killed()?)?;
            let (open, refused) = scene.come_back(exchange.address)?;
            if refused > 0 {
                return Err(format!("{refused} orders were refused after the restart"));
            }
            let longest = millis(self.trade_meanwhile(scene, &exchange)?);
            // A connection is there for its client before the exchange has heard of it.
            scene.patience.eventually("the exchange knows of all of them", || {
                let status = exchange.status_from_now()?;
                let is = |name: &str, least: usize| status[name].as_u64() >= Some(least as u64);
                Ok(is("connections", self.all.0) && is("logged_in", self.all.1))
            })?;
            let back = millis(storm.elapsed());
            let grown = memory(exchange.pid())?.saturating_sub(self.memory);
            if grown > self.bound {
                let bound = self.bound;
                return Err(format!("the exchange took {grown} bytes for them, and {bound} are its bound"));
            }
            scene.audit(exchange.address)?;
            let (mib, mib_max) = (grown >> 20, self.bound >> 20);
            scene.say_round(
                round,
                open.duration_since(killed),
                &format!(
                    " · all back {back} ms after the start, an order waited {longest} ms at most meanwhile, memory {mib} MiB \
                     of {mib_max} MiB"
                ),
                json!({
                    "back_ms": back,
                    "order_ms_max": longest,
                    "memory_kib": grown >> 10,
                    "memory_kib_max": self.bound >> 10,
                }),
            );
        }
        Ok(exchange)
    }

    fn are_all_there(&self) -> Result<bool, String> {
        self.crowd.must_be_well()?;
        Ok(self.crowd.there() == self.all)
    }

    /// Trades, an order after another, until all of the crowd are back. The longest that one was not answered.
    fn trade_meanwhile(&self, scene: &mut Scene<'_>, exchange: &Exchange) -> Result<Duration, String> {
        let mut client = scene.asking(exchange.address)?;
        let mut longest = Duration::ZERO;
        let begin = Instant::now();
        loop {
            let sent = Instant::now();
            let order = client.order()?;
            if client.answer(order)? != Answer::Accepted {
                return Err(format!("order {order} was refused while the crowd came back"));
            }
            longest = longest.max(sent.elapsed());
            if self.are_all_there()? {
                break;
            }
            if begin.elapsed() > PATIENCE {
                let (all, there) = (self.all, self.crowd.there());
                return Err(format!("of {all:?} connections and sessions only {there:?} came back"));
            }
            scene.patience.pause(LOOK)?;
        }
        scene.told[ASKING].push(client.leave());
        Ok(longest)
    }
}
