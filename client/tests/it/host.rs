//! An exchange of straw that speaks FIX: the exchange's own session machine on sockets, and behind it no book but a list of
//! orders. It accepts every order, fills market orders and no others, and answers as the protocol asks; or it misbehaves in one
//! chosen way.

use std::{
    collections::{BTreeMap, HashMap},
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use domain::Nanos;
use gateway::fix::{Application, Identity, Logon, Refused, Session, Settings, Taken, Verdict};
use wire::fix::{
    Checked, Checker, Frame, TimePrecision,
    dictionary::{FIX44, FIX50SP2},
    frame,
};

/// How the host is called.
pub(crate) const HOST: &str = "FULCRUM";
/// The password of everybody.
pub(crate) const PASSWORD: &str = "dev";

/// What is wrong with the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Nothing.
    Good,
    /// A session's reports 2 to 4 of its first connection are lost on their way.
    LosesReports,
    /// It asks for everything again at a session's third order.
    AsksAgain,
    /// It cuts the connection off at a session's so-many-th order, which it has taken.
    CutsAt(u64),
    /// It rejects every order.
    Rejects,
    /// It fills every order at once, whole, so that every cancel comes too late.
    Fills,
}

/// A session: what outlives its connections.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) next: (u64, u64),
    /// What was sent, by number: type, time and body.
    sent: BTreeMap<u64, (&'static [u8], Nanos, Vec<u8>)>,
    /// Live orders by ClOrdID.
    live: BTreeMap<Vec<u8>, Order>,
    pub(crate) orders: u64,
    pub(crate) cancels: u64,
    pub(crate) replacements: u64,
    pub(crate) resends: u64,
    /// ClOrdIDs of orders, with how often each came.
    pub(crate) ids: BTreeMap<Vec<u8>, u32>,
    /// Number of the last ExecID.
    executions: u64,
}

#[derive(Clone, Debug)]
struct Order {
    order_id: u64,
    symbol: Vec<u8>,
    side: u8,
    quantity: i64,
    price: Vec<u8>,
}

type Sessions = Arc<Mutex<HashMap<String, Kept>>>;

pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    sessions: Sessions,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sessions = Sessions::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (all, stopped) = (Arc::clone(&sessions), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut connections = vec![];
            while let Ok((stream, _)) = listener.accept() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let (all, stopped) = (Arc::clone(&all), Arc::clone(&stopped));
                connections.push(std::thread::spawn(move || serve(stream, manner, &all, &stopped)));
            }
            for connection in connections {
                connection.join().unwrap();
            }
        });
        Self { address, sessions, stop, thread: Some(thread) }
    }

    /// Stops, and says what there was of each session.
    pub(crate) fn stop(mut self) -> HashMap<String, Kept> {
        self.shut_down();
        std::mem::take(&mut self.sessions.lock().unwrap())
    }

    fn shut_down(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accept.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn now() -> Nanos {
    Nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64)
}

fn serve(mut stream: TcpStream, manner: Manner, sessions: &Sessions, stop: &AtomicBool) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let settings = Settings { heartbeat: (1, 60), precision: TimePrecision::Millis };
    let mut session: Option<Session> = None;
    let mut checker = Checker::default();
    let mut straw =
        Straw { manner, sessions: Arc::clone(sessions), client: String::new(), reports: vec![], cut: false };
    let (mut input, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    let mut goes_on = true;
    while goes_on && !stop.load(Ordering::SeqCst) {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(bytes) => input.extend_from_slice(&chunk[..bytes]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        let mut out = Vec::new();
        let mut at = 0;
        while goes_on && let Frame::Message(message, length) = frame(&input[at..], 8_192).unwrap() {
            let raw = &input[at..at + length];
            at += length;
            let session = session.get_or_insert_with(|| {
                let is_44 = message.begin_string == FIX44.begin_string.as_bytes();
                Session::new(if is_44 { &FIX44 } else { &FIX50SP2 }, settings, now())
            });
            let mut heard = session.hear(&message, raw, now(), &mut checker, &mut straw, &mut out).map(Some);
            loop {
                match heard {
                    Ok(None) => break,
                    Ok(Some(Verdict::Done)) => {}
                    Ok(Some(Verdict::Later)) => unreachable!("nobody asked for that"),
                    Ok(Some(Verdict::Resend(first, last))) => straw.resend(session, (first, last), &mut out),
                    Err(_) => {
                        goes_on = false;
                        break;
                    }
                }
                heard = session.hear_early(now(), &mut checker, &mut straw, &mut out);
            }
            straw.report(session, &mut out);
            goes_on &= !straw.cut;
        }
        input.drain(..at);
        if let Some(session) = &mut session {
            goes_on &= session.tick(now(), &mut out).is_ok();
            straw.note(session);
        }
        if (straw.cut && goes_on) || stream.write_all(&out).is_err() {
            break;
        }
    }
}

/// The application of one connection.
struct Straw {
    manner: Manner,
    sessions: Sessions,
    client: String,
    /// What is to be said: types and bodies.
    reports: Vec<(&'static [u8], Vec<u8>)>,
    cut: bool,
}

impl Application for Straw {
    fn logon(&mut self, logon: &Checked<'_, '_>, is_reset: bool) -> Result<Logon, Refused> {
        let (ours, theirs) = (logon.get(56).ok_or(Refused::No)?, logon.get(49).ok_or(Refused::No)?);
        if ours != HOST.as_bytes()
            || logon.get(554) != Some(PASSWORD.as_bytes())
            || logon.get(553) != Some(theirs)
        {
            return Err(Refused::No);
        }
        self.client = String::from_utf8_lossy(theirs).into_owned();
        let mut sessions = self.sessions.lock().unwrap();
        let kept = sessions.entry(self.client.clone()).or_insert(Kept { next: (1, 1), ..Kept::default() });
        if is_reset {
            kept.next = (1, 1);
            kept.sent.clear();
        }
        let identity = Identity { ours: ours.to_vec(), theirs: theirs.to_vec() };
        Ok(Logon { identity, next: kept.next })
    }

    fn message(&mut self, message: &Checked<'_, '_>, _: u64, is_again: bool) -> Taken {
        assert!(!is_again, "the client repeats nothing under another number");
        let sessions = Arc::clone(&self.sessions);
        let mut sessions = sessions.lock().unwrap();
        let kept = sessions.get_mut(&self.client).expect("it is logged on");
        let text = |tag| message.get(tag).unwrap_or_default().to_vec();
        let id = text(11);
        match message.message().msg_type {
            b"D" => {
                kept.orders += 1;
                *kept.ids.entry(id.clone()).or_default() += 1;
                let order = Order {
                    order_id: kept.orders,
                    symbol: text(55),
                    side: message.letter(54).unwrap(),
                    quantity: message.int(38).unwrap(),
                    price: text(44),
                };
                let cuts = self.manner == Manner::CutsAt(kept.orders);
                if self.manner == Manner::Rejects {
                    self.say(kept, &order, &id, "150=8|39=8", 0, "103=99|58=no|");
                    return Taken::Yes;
                }
                self.say(kept, &order, &id, "150=0|39=0", order.quantity, "");
                if message.letter(40) == Some(b'1') || self.manner == Manner::Fills {
                    let price = if order.price.is_empty() { b"1".to_vec() } else { order.price.clone() };
                    let price = String::from_utf8(price).unwrap();
                    let fill = format!("31={price}|32={}|851=2|880={}|", order.quantity, order.order_id);
                    self.say(kept, &order, &id, "150=F|39=2", 0, &fill);
                } else if message.letter(59) == Some(b'3') {
                    self.say(kept, &order, &id, "150=4|39=4", 0, "");
                } else {
                    kept.live.insert(id, order);
                }
                if cuts {
                    self.cut = true;
                }
            }
            b"F" | b"G" => {
                let is_replacement = message.message().msg_type == b"G";
                if is_replacement {
                    kept.replacements += 1;
                } else {
                    kept.cancels += 1;
                }
                let original = text(41);
                let Some(mut order) = kept.live.remove(&original) else {
                    let [id, original] = [id, original].map(|id| String::from_utf8(id).unwrap());
                    let to = if is_replacement { 2 } else { 1 };
                    let body = format!("37=NONE|11={id}|41={original}|39=8|102=1|434={to}|");
                    self.reports.push((b"9", body.replace('|', "\x01").into_bytes()));
                    return Taken::Yes;
                };
                let at = format!("41={}|", String::from_utf8(original).unwrap());
                if is_replacement {
                    order.quantity = message.int(38).unwrap();
                    self.say(kept, &order, &id, "150=5|39=0", order.quantity, &at);
                    kept.live.insert(id, order);
                } else {
                    self.say(kept, &order, &id, "150=4|39=4", 0, &at);
                }
            }
            b"H" => match kept.live.get(&id).cloned() {
                Some(order) => self.say(kept, &order, &id, "150=I|39=0", order.quantity, ""),
                None => return Taken::No { reason: 1, text: "Unknown ID" },
            },
            b"AF" => {
                for (id, order) in kept.live.clone() {
                    self.say(kept, &order, &id, "150=I|39=0", order.quantity, "");
                }
            }
            b"q" => {
                let live = std::mem::take(&mut kept.live);
                let body = format!("37=M|11={}|530=7|531=7|", String::from_utf8(id).unwrap());
                self.reports.push((b"r", body.replace('|', "\x01").into_bytes()));
                for (id, order) in live {
                    self.say(kept, &order, &id, "150=4|39=4", 0, "");
                }
            }
            _ => return Taken::No { reason: 3, text: "Unsupported Message Type" },
        }
        Taken::Yes
    }
}

impl Straw {
    /// An ExecutionReport.
    fn say(&mut self, kept: &mut Kept, order: &Order, id: &[u8], state: &str, leaves: i64, more: &str) {
        kept.executions += 1;
        let Order { order_id, symbol, side, quantity, .. } = order;
        let [id, symbol] = [id, symbol].map(|text| String::from_utf8(text.to_vec()).unwrap());
        let filled = if state.contains("150=F") { *quantity } else { 0 };
        let side = char::from(*side);
        let body = format!(
            "37={order_id}|17={}|{state}|11={id}|55={symbol}|54={side}|38={quantity}|151={leaves}|14={filled}|6=0|{more}",
            kept.executions
        );
        self.reports.push((b"8", body.replace('|', "\x01").into_bytes()));
    }

    /// Sends what is to be said, and keeps it.
    fn report(&mut self, session: &mut Session, out: &mut Vec<u8>) {
        if self.reports.is_empty() {
            return;
        }
        let mut sessions = self.sessions.lock().unwrap();
        let kept = sessions.get_mut(&self.client).expect("it is logged on");
        let asks = self.manner == Manner::AsksAgain && kept.orders == 3 && kept.resends == 0;
        for (msg_type, body) in self.reports.drain(..) {
            let (before, now) = (out.len(), now());
            let number = session.send(msg_type, now, out, |message| _ = message.fields(&body));
            kept.sent.insert(number, (msg_type, now, body));
            if self.manner == Manner::LosesReports && (2..=4).contains(&kept.sent.len()) {
                out.truncate(before);
            }
        }
        if asks {
            kept.resends += 1;
            session.send(b"2", now(), out, |message| _ = message.number(7, 1).number(16, 0));
        }
    }

    /// Sends again what was sent.
    fn resend(&mut self, session: &mut Session, (first, last): (u64, u64), out: &mut Vec<u8>) {
        let mut sessions = self.sessions.lock().unwrap();
        let kept = sessions.get_mut(&self.client).expect("it is logged on");
        kept.resends += 1;
        let mut next = first;
        for (number, (msg_type, then, body)) in kept.sent.range(first..=last) {
            if *number > next {
                session.fill_gap(next, *number, now(), out);
            }
            session.resend(msg_type, (*number, *then), now(), out, |message| _ = message.fields(body));
            next = number + 1;
        }
        if next <= last {
            session.fill_gap(next, last + 1, now(), out);
        }
    }

    /// Keeps the numbers.
    fn note(&mut self, session: &Session) {
        if let Some(kept) = self.sessions.lock().unwrap().get_mut(&self.client) {
            kept.next = session.next();
        }
    }
}
