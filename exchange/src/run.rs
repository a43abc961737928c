//! `exchange run`: puts the exchange together, says what it found and chose, and runs it until it is told to stop.

mod choices;
mod found;
mod snapshots;
mod voice;
mod watch;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crossbeam_channel::{Receiver, bounded};
use engine::runtime::{PinOutcome, pin_current_thread};
use gateway::{Gateway, Users, Venue};
use log::warn;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use wire::soup::SessionName;

use self::{choices::Choices, snapshots::Snapshots, voice::Voice, watch::Watch};
use crate::{
    balance_events::{EventFile, Stamped},
    books::HowToRun,
    cli,
    front::{DayEnd, Front, Outside, Requests},
    recovery::{Recovered, recover},
    status::{
        Counters, Fixed,
        socket::{self, Endpoint},
    },
    wake::FrontWake,
};

/// The one trading session's name on the wire. A roll-over to another day will change it.
const SESSION_NAME: &str = "1";
/// Balance events that may wait for the main thread; what comes on top is lost, and counted.
const EVENTS_MAX: usize = 8_192;

/// File descriptors that the exchange wants besides its connections': the journal's, the poll's, standard ones, and some.
const DESCRIPTORS_BESIDE: u64 = 64;

/// Sees to it that connections cannot take the file descriptors that the journal needs for its next segment.
fn reserve_descriptors(connections_max: usize) -> Result<(), String> {
    let wanted = connections_max as u64 + DESCRIPTORS_BESIDE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).map_err(|error| {
        format!(
            "limits.connections is {connections_max}, which takes {wanted} file descriptors, and this process may have \
             {} (hard limit {}): {error}. Raise the limit (ulimit -n), or take fewer connections",
            limit.current.unwrap_or(u64::MAX),
            limit.maximum.unwrap_or(u64::MAX),
        )
    })
}

/// Runs the exchange.
pub(crate) fn run(args: &cli::Run) -> Result<(), String> {
    let choices = Arc::new(Choices::new(args)?);
    reserve_descriptors(choices.config.limits.connections_max)?;
    let voice = Voice { json: args.json };
    if choices.config.embedded {
        warn!("the embedded configuration: users DEV1 to DEV8 with password \"dev\", for development only");
    }
    // Before any thread starts, so that all inherit the mask and the signal is not lost while recovering.
    let mut signals =
        Signals::new([SIGTERM, SIGINT]).map_err(|error| format!("cannot watch signals: {error}"))?;
    let wake = Arc::new(FrontWake::default());
    let recovered = recover(
        &args.data,
        &choices.config,
        choices.config.ack,
        how_to_run(&choices),
        !args.no_snapshot,
        &wake,
    )?;
    found::say_what_was_found(&voice, &args.data, &choices, &recovered);
    let fixed = Fixed {
        symbols: recovered.instruments.as_slice().iter().map(|instrument| instrument.symbol).collect(),
        balance: choices.config.balance.name(),
        stealing_off: choices.stealing_off(),
    };
    // Before clients can come: what cannot be written to is said at once.
    let file = args.balance_events.as_deref().map(EventFile::open).transpose()?;
    let endpoint = Endpoint::open(&args.data)
        .inspect_err(|error| {
            warn!("no status socket {}: {error}", args.data.join(socket::NAME).display());
        })
        .ok();
    let (outside, counters, events) = outside();
    let (progress, last) = (recovered.sequencer.appender().progress(), recovered.snapshot_at);
    let (front, address) = assemble(&choices, recovered, &wake, outside)?;
    let requests = Arc::clone(&front.requests);
    let front_core = choices.front_core;
    let (ended, end) = bounded(1);
    let thread = std::thread::Builder::new()
        .name("front".into())
        .spawn(move || {
            if let PinOutcome::Refused(core) = pin_current_thread(front_core) {
                warn!("the front could not be pinned to core {core}");
            }
            // The receiver lives until the answer is there.
            let _ = ended.send(front.run());
        })
        .map_err(|error| format!("no thread for the front: {error}"))?;
    voice.say(
        &format!("ready: SoupBinTCP and OUCH 5.0 on {address}"),
        &json!({ "event": "ready", "soup": address.to_string() }),
    );

    let snapshots = (choices.config.snapshot_bytes > 0)
        .then(|| {
            let (data, every) = (args.data.clone(), choices.config.snapshot_bytes);
            Snapshots { data, every, progress, last, requests: Arc::clone(&requests) }.spawn()
        })
        .transpose()?;
    let handle = signals.handle();
    let stopper = {
        let (requests, wake) = (Arc::clone(&requests), Arc::clone(&wake));
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                if signals.forever().next().is_some() {
                    requests.stop.store(true, Ordering::Release);
                    wake.call();
                }
            })
            .map_err(|error| format!("no thread for signals: {error}"))?
    };
    let watch = Watch {
        voice,
        fixed,
        every: (args.status > 0.0)
            .then(|| Duration::try_from_secs_f64(args.status).unwrap_or(Duration::from_secs(1))),
        file,
        endpoint,
        requests,
        wake,
        counters,
        events,
        end,
    };
    let asked = Arc::clone(&watch.requests);
    let (voice, result) = watch.run();
    handle.close();
    // It may have ended by itself.
    asked.stop.store(true, Ordering::Release);
    let snapshots_ended = snapshots.is_none_or(|thread| thread.join().is_ok());
    let joined = thread.join().is_ok() && stopper.join().is_ok() && snapshots_ended;
    let ended = result?;
    if !joined {
        return Err("a thread died".into());
    }
    let state = ended.state();
    voice.say(
        &format!(
            "stopped: {} commands sequenced in this run, the last is {}; the journal is complete\nstate {state}",
            ended.sequenced, ended.last_sequence
        ),
        &json!({
            "event": "stopped",
            "sequenced": ended.sequenced,
            "last_sequence": ended.last_sequence.0,
            "moves": ended.moves,
            "steals": ended.steals,
            "state": state.to_string(),
        }),
    );
    Ok(())
}

/// How the choices run whatever books there are.
fn how_to_run(choices: &Arc<Choices>) -> Arc<HowToRun> {
    let choices = Arc::clone(choices);
    Arc::new(move |instruments| choices.runtime(instruments))
}

/// What the front leaves for the main thread, and where the main thread finds it.
fn outside() -> (Outside, Receiver<Counters>, Receiver<Stamped>) {
    let (counters, asked) = bounded(1);
    let (events, happened) = bounded(EVENTS_MAX);
    (Outside { counters, events, events_lost: 0 }, asked, happened)
}

fn assemble(
    choices: &Choices,
    recovered: Recovered,
    wake: &Arc<FrontWake>,
    outside: Outside,
) -> Result<(Front, std::net::SocketAddr), String> {
    let config = &choices.config;
    let mut users = Users::new();
    for user in &config.users {
        let session = recovered
            .sessions
            .iter()
            .find(|(_, session)| session.user == user.name)
            .map(|(id, _)| id)
            .ok_or_else(|| format!("user {} has no session", user.name))?;
        users.add(user.username, user.password, session);
    }
    let session_name = SessionName::new(SESSION_NAME).ok_or("the session's name is none")?;
    let mut limits = config.limits;
    if choices.shared_cores {
        limits.admission = limits.admission.on_shared_cores();
        if config.window_given {
            log::info!("more threads than cores: an order waits for a busy book for 10 ms at least");
        } else {
            // A book whose worker has not got its turn looks busy, and a turn of the front brings more than a window.
            limits.admission.window = u32::MAX;
            log::info!(
                "more threads than cores: no window for books; clients are held back when a ring is full"
            );
        }
    }
    let gateway =
        Gateway::bind(config.soup, limits, session_name, users, recovered.instruments, recovered.sessions)
            .map_err(|error| format!("cannot listen on {}: {error}", config.soup))?;
    wake.set_waker(gateway.waker());
    let address = gateway.address();
    let mut sequencer = recovered.sequencer;
    let day_end = config.end_of_day.map(|time| DayEnd::new(time, sequencer.now()));
    let front = Front {
        gateway,
        sequencer,
        wake: Arc::clone(wake),
        requests: Arc::new(Requests::default()),
        idle: config.idle,
        shared_cores: choices.shared_cores,
        day_end,
        outside,
    };
    Ok((front, address))
}
