//! `exchange drill slow-consumer`: what it costs the others that some do not read what they are told.
//!
//! Both halves of a round have the same load and the same neighbours, who trade at a steady pace; only that in one half they
//! read what they are told and in the other they do not, and are cut off, and come back. Which half is first alternates.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use loadgen::{Mode, Outcome, Profile, Source, Stop, User};
use rand::RngExt;
use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
use serde_json::json;
use wire::{
    ouch::codes,
    soup::{self, ClientPacket},
};

use super::{
    ASKING, JOURNAL, PATIENCE, SESSIONS, Scene,
    client::{cheap_order, login_request},
    config_of, must_equal, put, text,
};
use crate::{child::Exchange, load::users};

/// What a client may leave unread, so little that a second of what a neighbour is told is more.
const UNSENT_KIB: u64 = 64;
/// Bytes that the kernel keeps for a neighbour that does not read.
const RECEIVE_BUFFER: usize = 4_096;
/// How many they are.
const NEIGHBOURS: usize = 1;
/// A neighbour sends so many orders each time, each of which is answered by two messages: within two seconds more than the
/// kernel keeps for one who does not read, which is some megabytes before the exchange keeps anything.
const ORDERS: u32 = 70;
const EACH: Duration = Duration::from_millis(5);

pub(super) fn config_text() -> Result<String, String> {
    let mut config = config_of(&JOURNAL)?;
    put(&mut config, "limits", &[("unsent_kib", UNSENT_KIB)])?;
    Ok(config.to_string())
}

pub(super) fn slow_consumer(scene: &mut Scene<'_>) -> Result<(), String> {
    let (data, arguments) = (scene.root.join("data"), scene.arguments());
    let exchange = Exchange::start(&data, &arguments)?;
    let mut next_refs = [1; NEIGHBOURS];
    let mut ratios = Vec::new();
    for round in 1..=scene.args.rounds {
        let mut p99 = [0; 2];
        let mut cuts = 0;
        for half in 0..2 {
            let reads = (round + half) % 2 == 0;
            let neighbours = Neighbours::start(scene, exchange.address, &next_refs, reads)?;
            let measured = measure(scene, exchange.address);
            // On a machine that is slow the measurement may be over before.
            let cut = if reads { Ok(()) } else { neighbours.wait_for_cuts(scene) };
            let ended = neighbours.end()?;
            let outcome = measured?;
            cut?;
            for (next_ref, (next, cut)) in next_refs.iter_mut().zip(&ended) {
                *next_ref = *next;
                cuts += cut;
                if reads && *cut > 0 {
                    return Err("a client that reads was cut off".into());
                }
            }
            p99[usize::from(reads)] = outcome.latency.intended().value_at_quantile(0.99);
            scene.hear(outcome.logs)?;
        }
        scene.audit(exchange.address)?;
        let [deaf, reading] = p99.map(|nanos| Duration::from_nanos(nanos).as_secs_f64() * 1e6);
        ratios.push(deaf / reading.max(1.0));
        let acknowledged = scene.acknowledged;
        scene.say(
            &format!(
                "  round {round}: acknowledged {acknowledged} · others' p99 {deaf:.0} us beside {NEIGHBOURS} that do not read, \
                 {reading:.0} us beside the same reading · {cuts} cut off"
            ),
            json!({
                "event": "round",
                "round": round,
                "acknowledged": acknowledged,
                "p99_us": deaf,
                "p99_us_reading": reading,
                "cut_off": cuts,
            }),
        );
    }
    let live = exchange.stop()?;
    must_equal("replay", &scene.replayed(&data)?, "live exchange", text(&live["state"]))?;
    scene.hashes_equal = true;
    ratios.sort_by(f64::total_cmp);
    let (least, median, most) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
    scene.say(
        &format!("  p99 beside those that do not read to p99 beside the same reading: {median:.2} (median; {least:.2} to {most:.2})"),
        json!({ "event": "ratio", "median": median, "least": least, "most": most }),
    );
    Ok(())
}

/// The load, and what it measures.
fn measure(scene: &mut Scene<'_>, address: SocketAddr) -> Result<Outcome, String> {
    let mut load = loadgen::Config::new(address, scene.config.instruments.clone());
    load.users = scene.users[..SESSIONS].to_vec();
    load.sessions = SESSIONS;
    load.source = Source::Profile(Profile::Hot { percent: 60.0, period: None });
    load.mode = Mode::OpenLoop { rate: scene.args.rate };
    load.stop = Stop::After(Duration::from_secs(scene.args.seconds));
    load.seed = scene.random.random();
    load.clean_up = false;
    load.keep_log = true;
    load.drain = PATIENCE;
    loadgen::run(&load, &mut ()).map_err(|error| format!("load: {error}"))
}

/// Clients that trade beside the load, each on a thread. Each gives the number of its next order, and how often it was cut
/// off.
struct Neighbours {
    over: Arc<AtomicBool>,
    /// How many have been cut off.
    cut: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Result<(u32, u32), String>>>,
}

impl Neighbours {
    fn start(
        scene: &Scene<'_>,
        address: SocketAddr,
        next_refs: &[u32; NEIGHBOURS],
        reads: bool,
    ) -> Result<Self, String> {
        let symbol = scene.config.instruments.last().ok_or("nothing can be traded")?.symbol.padded();
        let (over, cut) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let all = users(&scene.config);
        let mut threads = Vec::new();
        for (user, next_ref) in all.into_iter().skip(ASKING + 1).zip(*next_refs) {
            let (over, cut) = (Arc::clone(&over), Arc::clone(&cut));
            let neighbour = Neighbour { address, user, symbol, next_ref, reads, cuts: 0 };
            let thread = std::thread::Builder::new()
                .name("neighbour".into())
                .spawn(move || neighbour.trade(&over, &cut))
                .map_err(|error| format!("no thread for a neighbour: {error}"))?;
            threads.push(thread);
        }
        if threads.len() < NEIGHBOURS {
            return Err("the embedded configuration has too few users".into());
        }
        Ok(Self { over, cut, threads })
    }

    /// Waits until each of them has been cut off.
    fn wait_for_cuts(&self, scene: &Scene<'_>) -> Result<(), String> {
        scene.patience.eventually("who does not read is cut off", || {
            let is_over = self.threads.iter().any(JoinHandle::is_finished);
            Ok(is_over || self.cut.load(Ordering::Relaxed) == NEIGHBOURS)
        })
    }

    fn end(self) -> Result<Vec<(u32, u32)>, String> {
        self.over.store(true, Ordering::Relaxed);
        let join =
            |thread: JoinHandle<_>| thread.join().map_err(|_| "a neighbour's thread died".to_owned())?;
        self.threads.into_iter().map(join).collect()
    }
}

struct Neighbour {
    address: SocketAddr,
    user: User,
    symbol: [u8; 8],
    next_ref: u32,
    reads: bool,
    cuts: u32,
}

impl Neighbour {
    fn trade(mut self, over: &AtomicBool, cut: &AtomicUsize) -> Result<(u32, u32), String> {
        while !over.load(Ordering::Relaxed) {
            let mut stream = self.connect()?;
            let mut unwritten = self.login()?;
            let mut due = Instant::now();
            while !over.load(Ordering::Relaxed) {
                // Nothing is added to what the exchange does not take.
                if unwritten.is_empty() {
                    for _ in 0..ORDERS {
                        self.order(&mut unwritten);
                    }
                }
                if !self.exchange_bytes(&mut stream, &mut unwritten)? {
                    cut.fetch_add(usize::from(self.cuts == 0), Ordering::Relaxed);
                    self.cuts += 1;
                    break;
                }
                due += EACH;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
        Ok((self.next_ref, self.cuts))
    }

    fn connect(&self) -> Result<TcpStream, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", self.user.name);
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).map_err(|e| wrong(&e))?;
        sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER).map_err(|e| wrong(&e))?;
        connect(&socket, &self.address).map_err(|e| wrong(&e))?;
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(true).map_err(|e| wrong(&e))?;
        Ok(stream)
    }

    /// What it was never sent is all that it wants.
    fn login(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        ClientPacket::LoginRequest(login_request(&self.user, 0)?).encode(&mut bytes);
        Ok(bytes)
    }

    fn order(&mut self, out: &mut Vec<u8>) {
        let order = cheap_order(self.next_ref, self.symbol, codes::IMMEDIATE_OR_CANCEL);
        self.next_ref += 1;
        soup::unsequenced(out, |out| order.encode(out));
    }

    /// Sends what can be sent, and reads if it is one who reads. Whether the connection is still there.
    fn exchange_bytes(&self, stream: &mut TcpStream, unwritten: &mut Vec<u8>) -> Result<bool, String> {
        match stream.write(unwritten) {
            Ok(written) => {
                unwritten.drain(..written);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return self.is_gone(&error),
        }
        if self.reads { self.read(stream) } else { Ok(true) }
    }

    fn read(&self, stream: &mut TcpStream) -> Result<bool, String> {
        let mut bytes = [0; 16 << 10];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return self.is_gone(&error),
            }
        }
    }

    /// An end of the connection is none of this process.
    fn is_gone(&self, error: &std::io::Error) -> Result<bool, String> {
        match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Ok(false),
            _ => Err(format!("{}: {error}", self.user.name)),
        }
    }
}
