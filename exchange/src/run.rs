//! `exchange run`: puts the exchange together, says what it found and chose, and runs it until it is told to stop.

mod choices;
mod disk_alarm;
mod exposure;
mod feeding;
mod follows;
mod found;
mod leader;
mod quoting;
mod standby_watch;
mod stopper;
mod voice;
mod watch;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::{Receiver, bounded};
use door::auth::UsersFeed;
use engine::runtime::{PinOutcome, pin_current_thread};
use gateway::{FixVenue, Gateway, Venue, fix::Settings};
use journal::Recovery;
use log::warn;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use wire::soup::SessionName;

use self::{
    choices::Choices,
    disk_alarm::DiskAlarm,
    feeding::{Feeding, Readership},
    leader::{Leader, Leads},
    stopper::Stopper,
    voice::Voice,
    watch::Watch,
};
use crate::{
    balance_events::{EventFile, Stamped},
    books::HowToRun,
    cli, config,
    day::{DayEnd, RollOver},
    front::{Front, Input, Outside, Requests},
    keeping::Keeping,
    placement::Placed,
    recovery::{self, Recovered, recover},
    replication::{Node, electing::Coordinator, kept::KeptFile},
    status::{
        Counters, Fixed,
        socket::{self, Endpoint},
    },
    users::{
        self,
        watch::{Audience, UsersWatch, Watched},
    },
    wake::FrontWake,
};

/// The one trading session's name on the wire. A roll-over to another day will change it.
pub(crate) const SESSION_NAME: &str = "1";
/// Balance events that may wait for the main thread; what comes on top is lost, and counted.
const EVENTS_MAX: usize = 8_192;

/// Messages that clients who are behind are given in a second when there are more threads than cores: what they read competes with
/// those who trade for the cores, too.
const RESEND_ON_SHARED_CORES: u32 = 50_000;

/// File descriptors that the exchange wants besides its connections': the journal's, the poll's, standard ones, and some.
const DESCRIPTORS_BESIDE: u64 = 64;

/// Sees to it that connections, which take `descriptors` as `what` says, cannot take the file descriptors that are needed
/// besides: those of the journal's next segment, for one.
pub(crate) fn reserve_descriptors(descriptors: u64, what: &str) -> Result<(), String> {
    let wanted = descriptors + DESCRIPTORS_BESIDE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).map_err(|error| {
        format!(
            "{what}, which takes {wanted} file descriptors, and this process may have \
             {} (hard limit {}): {error}. Raise the limit (ulimit -n), or take fewer connections",
            limit.current.unwrap_or(u64::MAX),
            limit.maximum.unwrap_or(u64::MAX),
        )
    })
}

/// Runs the exchange, alone or as the node of a pair that leads.
pub(crate) fn run(args: &cli::Run) -> Result<(), String> {
    let node = args.pair.node.map(|number| node(args, number, args.pair.peer.clone())).transpose()?;
    Process::new(args, node)?.run(Role::Leads)
}

/// Runs a node of a pair that follows the other one.
pub(crate) fn standby(args: &cli::Standby) -> Result<(), String> {
    let number = args.run.pair.node.ok_or("--node says which of the two nodes this is: 1 or 2")?;
    let peers = [args.primary.clone(), args.run.pair.peer.clone()].concat();
    let node = node(&args.run, number, peers)?;
    Process::new(&args.run, Some(node))?.run(Role::Follows)
}

fn node(args: &cli::Run, number: u8, peers: Vec<std::net::SocketAddr>) -> Result<Node, String> {
    let keys = args
        .pair
        .keys
        .as_deref()
        .ok_or("--keys says where the keys of the pair are (exchange keys makes them)")?;
    let coordinator = (!args.pair.coordinator.is_empty())
        .then(|| Coordinator { endpoints: args.pair.coordinator.clone(), name: args.pair.cluster.clone() });
    Node::load(number, keys, args.pair.listen, peers, args.data.clone(), coordinator)
}

/// What a node does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Leads,
    Follows,
}

/// What lasts as long as the process, whatever the role.
struct Process<'a> {
    args: &'a cli::Run,
    node: Option<Node>,
    /// Among several pairs.
    placed: Option<Placed>,
    choices: Arc<Choices>,
    voice: Voice,
    stop: Arc<AtomicBool>,
    /// What the front is to say of a stop that is near.
    stop_news: Arc<AtomicU32>,
    /// This process leads, and has clients.
    trades: Arc<AtomicBool>,
    /// Whom a signal wakes.
    awake: Arc<Mutex<Option<Arc<FrontWake>>>>,
}

impl<'a> Process<'a> {
    fn new(args: &'a cli::Run, node: Option<Node>) -> Result<Self, String> {
        let choices = Arc::new(Choices::new(args)?);
        let connections = choices.config.limits.connections_max;
        let feed = &choices.config.feed;
        let quotes = quoting::descriptors(&choices.config);
        let beside = if feed.is_on() || quotes > 0 { feed.descriptors() + quotes } else { 0 };
        reserve_descriptors(connections as u64 + beside, &format!("limits.connections is {connections}"))?;
        if choices.config.embedded {
            warn!(
                "the embedded configuration: users DEV1 to DEV8 with password \"dev\", for development only"
            );
        }
        if choices.config.ack.is_replicated() && node.is_none() {
            return Err(format!(
                "ack policy {} needs a pair: say which node this is with --node, --keys and --listen, or use memory or disk",
                config::ack_name(choices.config.ack)
            ));
        }
        if !choices.config.ack.is_replicated() && node.as_ref().is_some_and(|node| node.coordinator.is_some())
        {
            return Err(format!(
                "under ack policy {} a node that takes over may lack what was acknowledged: with a coordinator use \
                 disk+replica or two-disks",
                config::ack_name(choices.config.ack)
            ));
        }
        let placed = Placed::of(&args.placed, &args.pair.coordinator, &args.data)?;
        let voice = Voice { json: args.json };
        Ok(Self {
            args,
            node,
            placed,
            choices,
            voice,
            stop: Arc::default(),
            stop_news: Arc::default(),
            trades: Arc::default(),
            awake: Arc::default(),
        })
    }

    /// Goes from role to role until it is told to stop.
    fn run(mut self, first: Role) -> Result<(), String> {
        // Before any thread starts, so that all inherit the mask and the signal is not lost while recovering.
        let signals =
            Signals::new([SIGTERM, SIGINT]).map_err(|error| format!("cannot watch signals: {error}"))?;
        let handle = signals.handle();
        let stopper = {
            let stopper = Stopper {
                stop: Arc::clone(&self.stop),
                news: Arc::clone(&self.stop_news),
                news_for: self.choices.config.fix.as_ref().map_or(Duration::ZERO, |fix| fix.stop_news),
                trades: Arc::clone(&self.trades),
                awake: Arc::clone(&self.awake),
            };
            std::thread::Builder::new()
                .name("signals".into())
                .spawn(move || stopper.run(signals))
                .map_err(|error| format!("no thread for signals: {error}"))?
        };
        let result = self.roles(first);
        handle.close();
        let joined = stopper.join().is_ok();
        result.and_then(|()| if joined { Ok(()) } else { Err("a thread died".into()) })
    }

    fn roles(&mut self, first: Role) -> Result<(), String> {
        let mut role = first;
        if self.node.as_ref().is_some_and(|node| node.coordinator.is_some()) {
            // Who leads is not ours to say.
            role = Role::Follows;
        }
        loop {
            self.trades.store(false, Ordering::Release);
            let wake = Arc::new(FrontWake::default());
            *self.awake.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&wake));
            let (recovered, leads) = match role {
                Role::Leads => match self.recover(&wake)? {
                    Some(recovered) => recovered,
                    None => {
                        role = Role::Follows;
                        continue;
                    }
                },
                Role::Follows => match self.follow(&wake, first)? {
                    Some(promoted) => promoted,
                    None => return Ok(()),
                },
            };
            let Some(epoch) = self.trade(recovered, leads, wake)? else { return Ok(()) };
            if self.node.as_ref().is_none_or(|node| node.peers.is_empty()) {
                return Err(format!(
                    "epoch {epoch} has begun on the other node: start this one as its standby (exchange standby --primary \
                     its address)"
                ));
            }
            role = Role::Follows;
        }
    }

    /// Recovers the directory, to lead with it. In a pair, in an epoch of its own; not when the other node leads.
    fn recover(&self, wake: &Arc<FrontWake>) -> Result<Option<(Recovered, Option<Leads>)>, String> {
        let (dir, config) = (&self.args.data, &self.choices.config);
        KeptFile::must_have_its_journal(dir)?;
        let mut kept = self.node.as_ref().map(|_| KeptFile::read_before_opening(dir)).transpose()?;
        let opened = recovery::open(dir, config, config.ack, wake)?;
        if let (Some(node), Some(kept)) = (&self.node, &mut kept) {
            if opened.found.cut.is_some() {
                kept.doubt(dir)?;
            }
            if leader::other_leads(node, kept, &opened)? {
                opened.appender.close().map_err(|error| format!("journal: {error}"))?;
                return Ok(None);
            }
        }
        let mut leads = None;
        let begin_epoch = |found: &Recovery| {
            let Some((node, kept)) = self.node.as_ref().zip(kept) else { return Ok(None) };
            let begun = Leads::begin(kept, node, found)?;
            let epoch = begun.epoch;
            leads = Some(begun);
            Ok(Some(epoch))
        };
        let how = how_to_run(&self.choices);
        let use_snapshots = !self.args.no_snapshot;
        let recovered = recover(opened, config, config.ack, &how, use_snapshots, wake, begin_epoch)?;
        Ok(Some((recovered, leads)))
    }

    /// Trades until it is told to stop. Gives the epoch that has begun on the other node, if that is why it ended.
    fn trade(
        &mut self,
        recovered: Recovered,
        leads: Option<Leads>,
        wake: Arc<FrontWake>,
    ) -> Result<Option<u32>, String> {
        let (args, choices, voice) = (self.args, &self.choices, &self.voice);
        found::say_what_was_found(voice, &args.data, choices, &recovered);
        let fixed = Fixed {
            symbols: recovered.instruments.as_slice().iter().map(|instrument| instrument.symbol).collect(),
            balance: choices.config.balance.name(),
            stealing_off: choices.stealing_off(),
        };
        // Before clients can come: what cannot be written to is said at once.
        let file = args.balance_events.as_deref().map(EventFile::open).transpose()?;
        let endpoint = status_socket(&args.data);
        let (outside, counters, events) = outside();
        let progress = recovered.sequencer.appender().progress();
        let (_, segment_bytes) = recovered.sequencer.appender().geometry();
        let disk = DiskAlarm::new({
            let progress = progress.clone();
            move || progress.longest_sync()
        });
        let mut recovered = recovered;
        let mut cancel_only = Duration::ZERO;
        let pair = match (leads, &self.node) {
            (Some(mut leads), Some(node)) => {
                cancel_only = leads.cancel_only;
                let asked = leads.asked.take();
                let epoch = leads.epoch;
                let pair = Leader::start(node, leads, choices.config.ack, &mut recovered, &wake)?;
                voice.say(
                    &format!(
                        "node {} leads in epoch {epoch}; its standby finds it at {}",
                        node.number, pair.address
                    ),
                    &json!({
                        "event": "leading",
                        "node": node.number,
                        "epoch": epoch.0,
                        "replication": pair.address.to_string(),
                    }),
                );
                Some((pair, asked, epoch))
            }
            _ => None,
        };
        let replica = pair.as_ref().map(|(pair, ..)| Arc::clone(&pair.replica));
        let epoch = pair.as_ref().map(|(_, _, epoch)| *epoch);
        let readership = Readership::of(choices)?;
        let feeding = Feeding::start(choices, readership, epoch, &mut recovered, voice)?;
        let (feeding, readers) = feeding.map_or((None, None), |(feeding, readers)| (Some(feeding), readers));
        let requests = Arc::new(Requests {
            stop: Arc::clone(&self.stop),
            stop_news: Arc::clone(&self.stop_news),
            ..Requests::default()
        });
        self.trades.store(true, Ordering::Release);
        let (mut front, Addresses { soup: address, fix }) =
            assemble(choices, recovered, &wake, outside, requests)?;
        front.replica = replica;
        front.feed_stats = feeding.as_ref().map(|feeding| Arc::clone(&feeding.stats));
        front.quote_stats = feeding.as_ref().and_then(|feeding| feeding.quotes.clone());
        if let Some(placed) = &self.placed {
            front.gateway.place(Arc::clone(&placed.feed));
        }
        if !cancel_only.is_zero() {
            front.sequencer.cancel_only = true;
            front.cancel_only_until = Some(std::time::Instant::now() + cancel_only);
        }
        let users_watch = self.watch_users(&mut front, readers)?;
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
            &ready(choices, address, fix),
            &json!({
                "event": "ready",
                "soup": address.to_string(),
                "tls": choices.tls.is_some(),
                "fix": fix.map(|fix| fix.to_string()),
            }),
        );
        if let Some((_, Some(asked), epoch)) = &pair {
            asked.done(json!({ "promoted": true, "epoch": epoch.0, "soup": address.to_string() }));
        }

        let keeper = Keeping {
            data: args.data.clone(),
            upkeep: choices.config.upkeep.clone(),
            segment_bytes,
            progress,
            peer: pair.as_ref().map(|(pair, ..)| Arc::clone(&pair.replica.needs)),
            leads: true,
            stop: Arc::clone(&self.stop),
        }
        .spawn()?;
        let watch = Watch {
            voice: Voice { json: args.json },
            fixed,
            every: self.status_each(),
            file,
            endpoint,
            requests,
            wake,
            counters,
            events,
            end,
            disk,
        };
        let (voice, result) = watch.run();
        self.voice = voice;
        drop(users_watch);
        let keeper_ended = keeper.end();
        let link_ended = pair.is_none_or(|(pair, ..)| pair.end());
        let joined = thread.join().is_ok() && keeper_ended && link_ended;
        // Its other end went with the front.
        let joined = feeding.is_none_or(Feeding::end) && joined;
        let ended = result.ok_or("the front died")??;
        if !joined {
            return Err("a thread died".into());
        }
        if let Some(epoch) = ended.deposed {
            self.voice.say(
                &format!("node {} leads no more: epoch {epoch} has begun on the other one", self.number()),
                &json!({ "event": "deposed", "epoch": epoch, "sequenced": ended.sequenced }),
            );
            return Ok(Some(epoch));
        }
        let state = ended.state();
        self.voice.say(
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
        Ok(None)
    }

    /// Tells the front of changes in the users file, from now on.
    fn watch_users(&self, front: &mut Front, readers: Option<Audience>) -> Result<UsersWatch, String> {
        let feed = Arc::new(UsersFeed::default());
        front.gateway.follow_users(Arc::clone(&feed));
        Watched {
            path: self.choices.users_file.clone(),
            plain: self.choices.config.users.clone(),
            sessions: front.gateway.sessions().iter().map(|(id, session)| (session.user, id)).collect(),
            feed,
            waker: front.gateway.waker(),
            readers,
        }
        .spawn()
    }

    /// How often the status is shown, if it is.
    fn status_each(&self) -> Option<Duration> {
        let each = self.args.status;
        (each > 0.0).then(|| Duration::try_from_secs_f64(each).unwrap_or(Duration::from_secs(1)))
    }

    fn number(&self) -> u8 {
        self.node.as_ref().map_or(0, |node| node.number)
    }
}

/// The status socket in a data directory that this process holds; without one the exchange goes on.
fn status_socket(data: &Path) -> Option<Endpoint> {
    Endpoint::open(data)
        .inspect_err(|error| {
            warn!("no status socket {}: {error}", data.join(socket::NAME).display());
        })
        .ok()
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

/// Where clients connect.
struct Addresses {
    soup: std::net::SocketAddr,
    fix: Option<std::net::SocketAddr>,
}

/// Where clients connect, and how.
fn ready(choices: &Choices, soup: std::net::SocketAddr, fix: Option<std::net::SocketAddr>) -> String {
    let config = &choices.config;
    let tls = Choices::tls_text(config.tls.as_ref());
    let mut text = format!("ready: SoupBinTCP and OUCH 5.0 on {soup}{tls}");
    if let (Some(address), Some(fix)) = (fix, &config.fix) {
        let tls = Choices::tls_text(fix.tls.as_ref());
        text += &format!("; FIX 4.4 and 5.0 SP2 on {address} as {}{tls}", fix.comp_id);
    }
    text
}

fn assemble(
    choices: &Choices,
    recovered: Recovered,
    wake: &Arc<FrontWake>,
    outside: Outside,
    requests: Arc<Requests>,
) -> Result<(Front, Addresses), String> {
    let config = &choices.config;
    let users = users::with_sessions(&config.users, &config.accounts, |name| {
        let mut sessions = recovered.sessions.iter();
        sessions.find(|(_, session)| session.user == name).map(|(id, _)| id)
    })?;
    let session_name = SessionName::new(SESSION_NAME).ok_or("the session's name is none")?;
    let mut limits = config.limits;
    if choices.shared_cores {
        limits.admission = limits.admission.on_shared_cores();
        if !config.resend_given {
            limits.resend_per_second = RESEND_ON_SHARED_CORES;
        }
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
    let mut gateway =
        Gateway::bind(config.soup, limits, session_name, users, recovered.instruments, recovered.sessions)
            .map_err(|error| format!("cannot listen on {}: {error}", config.soup))?;
    gateway.allow(config.allow.clone());
    if let Some(tls) = &choices.tls {
        gateway.serve_tls(Arc::clone(tls));
    }
    let fix = match &config.fix {
        None => None,
        Some(fix) => {
            let venue = FixVenue {
                comp_id: fix.comp_id.clone(),
                settings: Settings { heartbeat: fix.heartbeat, precision: fix.precision },
                orders_per_second: fix.orders_per_second,
            };
            let address = gateway
                .listen_fix(fix.address, venue, choices.fix_tls.clone())
                .map_err(|error| format!("cannot listen on {}: {error}", fix.address))?;
            Some(address)
        }
    };
    wake.set_waker(gateway.waker());
    let address = gateway.address();
    let mut sequencer = recovered.sequencer;
    let day_end = config.end_of_day.map(|time| DayEnd::new(time, sequencer.now()));
    let roll_over = config
        .fix
        .as_ref()
        .and_then(|fix| fix.roll_over.map(|time| RollOver::new(time, &fix.roll_over_news, sequencer.now())));
    let front = Front {
        gateway,
        sequencer,
        wake: Arc::clone(wake),
        requests,
        idle: config.idle,
        shared_cores: choices.shared_cores,
        day_end,
        roll_over,
        outside,
        replica: None,
        cancel_only_until: None,
        input: Input::Taken,
        feed_stats: None,
        quote_stats: None,
    };
    Ok((front, Addresses { soup: address, fix }))
}
