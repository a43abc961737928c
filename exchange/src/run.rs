//! `exchange run`: puts the exchange together, says what it found and chose, and runs it until it is told to stop.

use std::{
    io::Write,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use engine::runtime::{PinOutcome, Placement, RuntimeConfig, cores, pin_current_thread};
use gateway::{Gateway, Users, Venue};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use wire::soup::SessionName;

use crate::{
    cli,
    config::{self, Config},
    front::{DayEnd, Ended, Front, Requests, Status},
    recovery::{Recovered, recover},
    wake::FrontWake,
};

/// The one trading session's name on the wire. A roll-over to another day will change it.
const SESSION_NAME: &str = "1";

/// What the command line and the configuration make together.
struct Choices {
    config: Config,
    shards: u16,
    /// Cores that the process may use.
    cores: Vec<usize>,
    /// The core of each worker, if they are pinned.
    pins: Vec<usize>,
    front_core: Option<usize>,
    shared_cores: bool,
}

impl Choices {
    fn new(args: &cli::Run) -> Result<Self, String> {
        let mut config = Config::load(args.config.as_deref())?;
        if let Some(soup) = args.soup {
            config.soup = soup;
        }
        if let Some(ack) = &args.ack {
            config.ack = config::ack(ack)?;
        }
        if let Some(idle) = &args.idle {
            config.idle = idle.parse()?;
        }
        if let Some(placement) = &args.placement {
            config.placement = placement.parse()?;
        }
        let cores = cores();
        let spare = u16::try_from(cores.len().saturating_sub(2)).unwrap_or(u16::MAX);
        let shards = args.shards.or(config.shards).unwrap_or_else(|| spare.max(1));
        // The front and the disk thread want cores too.
        let shared_cores = usize::from(shards) + 2 > cores.len();
        let (pins, front_core) = if config.pin && !shared_cores {
            (cores[2..2 + usize::from(shards)].to_vec(), Some(cores[1]))
        } else {
            (Vec::new(), None)
        };
        Ok(Self { config, shards, cores, pins, front_core, shared_cores })
    }

    fn runtime(&self, placement: Placement, inline_max: usize) -> RuntimeConfig {
        RuntimeConfig {
            idle: self.config.idle,
            cores: self.pins.clone(),
            shared_cores: self.shared_cores,
            inline_max,
            ..RuntimeConfig::new(placement)
        }
    }
}

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

/// Says things, as text or as JSON, one a line.
struct Voice {
    json: bool,
}

impl Voice {
    fn say(&self, text: &str, event: &serde_json::Value) {
        let mut out = std::io::stdout().lock();
        // Nobody may be listening any more; the exchange goes on.
        let _ = if self.json { writeln!(out, "{event}") } else { writeln!(out, "{text}") };
        let _ = out.flush();
    }
}

/// Runs the exchange.
pub(crate) fn run(args: &cli::Run) -> Result<(), String> {
    let choices = Choices::new(args)?;
    reserve_descriptors(choices.config.limits.connections_max)?;
    let voice = Voice { json: args.json };
    if choices.config.embedded {
        log::warn!(
            "the embedded configuration: users DEV1 to DEV8 with password \"dev\", for development only"
        );
    }
    // Before any thread starts, so that all inherit the mask and the signal is not lost while recovering.
    let mut signals =
        Signals::new([SIGTERM, SIGINT]).map_err(|error| format!("cannot watch signals: {error}"))?;
    let wake = Arc::new(FrontWake::default());
    let recovered = recover(
        &args.data,
        &choices.config,
        choices.config.ack,
        |placement| choices.runtime(placement, args.inline),
        choices.shards,
        !args.no_snapshot,
        &wake,
    )?;
    say_what_was_found(&voice, &args.data, &choices, &recovered);
    let (front, address) = assemble(&choices, recovered, &wake)?;
    let requests = Arc::clone(&front.requests);
    let front_core = choices.front_core;
    let (ended, end) = crossbeam_channel::bounded(1);
    let thread = std::thread::Builder::new()
        .name("front".into())
        .spawn(move || {
            if let PinOutcome::Refused(core) = pin_current_thread(front_core) {
                log::warn!("the front could not be pinned to core {core}");
            }
            // The receiver lives until the answer is there.
            let _ = ended.send(front.run());
        })
        .map_err(|error| format!("no thread for the front: {error}"))?;
    voice.say(
        &format!("ready: SoupBinTCP and OUCH 5.0 on {address}"),
        &json!({ "event": "ready", "soup": address.to_string() }),
    );

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
    let result = watch(args.status, &voice, &requests, &wake, &end);
    handle.close();
    let joined = thread.join().is_ok() && stopper.join().is_ok();
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
            "state": state.to_string(),
        }),
    );
    Ok(())
}

fn assemble(
    choices: &Choices,
    recovered: Recovered,
    wake: &Arc<FrontWake>,
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
        if limits.admission != config.limits.admission {
            log::info!(
                "more threads than cores: an order waits for a busy book for 10 ms before it is refused"
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
    };
    Ok((front, address))
}

fn say_what_was_found(voice: &Voice, dir: &Path, choices: &Choices, recovered: &Recovered) {
    let config = &choices.config;
    let pins = recovered.sequencer.runtime.pins();
    let pinned = if pins.iter().all(|pin| matches!(pin, PinOutcome::Unpinned)) {
        if choices.shared_cores {
            format!("not pinned: {} cores for {} threads", choices.cores.len(), choices.shards + 2)
        } else {
            "not pinned: as configured".into()
        }
    } else {
        let list: Vec<_> = pins.iter().map(ToString::to_string).collect();
        format!("pinned: {}", list.join(", "))
    };
    let journal = &recovered.journal;
    let ack = config::ack_name(config.ack);
    let promise = match config.ack {
        journal::AckPolicy::Memory => "acknowledged orders survive the process",
        journal::AckPolicy::Disk => "acknowledged orders survive the machine",
    };
    let mut text = format!(
        "exchange {}: {} instruments, {} sessions, {} shards ({pinned})\n\
         ack {ack} ({promise}), idle {}, placement {}\n\
         journal {} ({}), tail {}",
        env!("CARGO_PKG_VERSION"),
        recovered.instruments.as_slice().len(),
        recovered.sessions.len(),
        choices.shards,
        config.idle,
        config.placement,
        dir.display(),
        if journal.created { "new" } else { "found" },
        recovered.sequencer.appender().tail_path().map(|path| path.display().to_string()).unwrap_or_default(),
    );
    if !journal.created {
        let rate = recovered.executed as f64 / recovered.took.as_secs_f64().max(1e-9);
        text += &format!(
            "\nrecovered {} commands ({}) in {:.3} s ({rate:.0}/s replayed), {} reports completed, {} bytes from the \
             tail{}",
            recovered.commands(),
            match recovered.snapshot {
                Some(sequence) => format!("{} from the snapshot at sequence {sequence}", sequence.0),
                None => "no snapshot".into(),
            },
            recovered.took.as_secs_f64(),
            recovered.reports_completed,
            journal.absorbed_from_tail,
            journal
                .cut
                .as_ref()
                .map(|cut| format!("; {} bytes cut off the end of {}", cut.bytes, cut.file.display()))
                .unwrap_or_default(),
        );
    }
    if let Some(tail) = &journal.tail_missing {
        log::warn!(
            "the tail {} is gone: the machine was restarted, or somebody removed it; what only it held is lost",
            tail.display()
        );
    }
    text += &format!("\nstate {}", recovered.state);
    voice.say(
        &text,
        &json!({
            "event": "recovered",
            "version": env!("CARGO_PKG_VERSION"),
            "instruments": recovered.instruments.as_slice().len(),
            "sessions": recovered.sessions.len(),
            "cores": choices.cores.len(),
            "shards": choices.shards,
            "pins": pins.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "ack": ack,
            "idle": config.idle.name(),
            "placement": config.placement.name(),
            "created": journal.created,
            "commands": recovered.commands(),
            "snapshot_sequence": recovered.snapshot.map(|sequence| sequence.0),
            "reports_completed": recovered.reports_completed,
            "absorbed_from_tail": journal.absorbed_from_tail,
            "seconds": recovered.took.as_secs_f64(),
            "state": recovered.state.to_string(),
        }),
    );
}

/// Waits for the front to end, and shows its status meanwhile.
fn watch(
    every: f64,
    voice: &Voice,
    requests: &Requests,
    wake: &FrontWake,
    end: &crossbeam_channel::Receiver<Result<Ended, String>>,
) -> Result<Ended, String> {
    let every = (every > 0.0).then(|| Duration::try_from_secs_f64(every).unwrap_or(Duration::from_secs(1)));
    let mut last = (Instant::now(), Status::default());
    loop {
        let answer = match every {
            None => end.recv().map_err(|_| crossbeam_channel::RecvTimeoutError::Disconnected),
            Some(every) => end.recv_timeout(every),
        };
        match answer {
            Ok(ended) => return ended,
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => return Err("the front died".into()),
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                requests.status_wanted.store(true, Ordering::Relaxed);
                wake.call();
                let status = requests.status.lock().map(|status| status.clone()).unwrap_or_default();
                show_status(voice, &last, &status);
                last = (Instant::now(), status);
            }
        }
    }
}

fn show_status(voice: &Voice, last: &(Instant, Status), status: &Status) {
    let seconds = last.0.elapsed().as_secs_f64().max(1e-9);
    let rate = (status.sequenced.saturating_sub(last.1.sequenced)) as f64 / seconds;
    let before = |index: usize| last.1.shards.get(index).map_or(0, |shard| shard.commands);
    let loads: Vec<u64> = status
        .shards
        .iter()
        .enumerate()
        .map(|(index, shard)| shard.commands.saturating_sub(before(index)))
        .collect();
    let whole: u64 = loads.iter().sum::<u64>().max(1);
    let shares: Vec<String> = loads.iter().map(|load| format!("{}%", load * 100 / whole)).collect();
    voice.say(
        &format!(
            "{} commands, {rate:.0}/s | shards {} | sessions {} | log {} B behind, {} syncs, longest {:.1} ms{}",
            status.sequenced,
            shares.join(" "),
            status.gateway.logged_in,
            status.unsynced,
            status.syncs,
            status.sync_nanos_max as f64 / 1e6,
            if status.cancel_only { " | DISK SHORT OF ROOM: cancels only" } else { "" },
        ),
        &json!({
            "event": "status",
            "sequenced": status.sequenced,
            "last_sequence": status.last_sequence.0,
            "per_second": rate,
            "connections": status.gateway.connections,
            "logged_in": status.gateway.logged_in,
            "requests": status.gateway.requests,
            "ignored": status.gateway.ignored,
            "reports": status.gateway.reports,
            "rejected": status.gateway.rejected,
            "stalled": status.gateway.stalled,
            "cut_off": status.gateway.cut_off,
            "admission": admission_json(&status.gateway.admission),
            "unsynced_bytes": status.unsynced,
            "syncs": status.syncs,
            "sync_us_max": status.sync_nanos_max / 1_000,
            "cancel_only": status.cancel_only,
            "shards": status.shards.iter().map(|shard| json!({
                "commands": shard.commands,
                "inline": shard.inline,
                "events": shard.events,
                "depth": shard.depth,
                "blocked": shard.blocked,
                "sleeps": shard.sleeps,
            })).collect::<Vec<_>>(),
        }),
    );
}

fn admission_json(stats: &gateway::AdmissionStats) -> serde_json::Value {
    json!({
        "held_orders": stats.held_orders,
        "held_cancels": stats.held_cancels,
        "admitted": stats.admitted,
        "refused": stats.refused,
        "taken_back": stats.taken_back,
        "overtook": stats.overtook,
    })
}
