//! An exchange of straw. It accepts every order, fills none, and answers as the protocol asks; or it misbehaves in
//! one chosen way.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use wire::{
    ouch::{
        Appendage, Inbound, Outbound,
        outbound::{Accepted, AccountQueryResponse, Canceled, Executed, Rejected, Replaced},
    },
    soup::{self, ClientPacket, LoginAccepted, LoginRejected, ServerPacket, SessionName},
};

/// What is wrong with the server.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Nothing.
    Good,
    /// It refuses every login.
    RefusesLogin,
    /// It closes the connection at the session's so-many-th request.
    ClosesAt(u64),
    /// It ends the session at the so-many-th request.
    EndsAt(u64),
    /// It sends bytes of no protocol at the so-many-th request.
    BabblesAt(u64),
    /// It reads nothing more after the so-many-th request, until told.
    StallsAt(u64, Arc<AtomicBool>),
    /// It rejects every order.
    Rejects,
    /// It fills every new order at once, whole, so that every cancel comes too late.
    Fills,
    /// It accepts, but answers no cancel.
    ForgetsCancels,
}

/// What a session said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Its requests' bytes, account queries left out.
    pub(crate) requests: Vec<u8>,
    pub(crate) count: u64,
    pub(crate) heartbeats: u64,
    pub(crate) logouts: u64,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// By user, in capitals.
    heard: Arc<Mutex<HashMap<String, Heard>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(HashMap::new()));
        let last_refs = Arc::new(Mutex::new(HashMap::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (all, stopped) = (Arc::clone(&heard), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut sessions = vec![];
            while let Ok((stream, _)) = listener.accept() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let (manner, all, stopped) = (manner.clone(), Arc::clone(&all), Arc::clone(&stopped));
                let last_refs = Arc::clone(&last_refs);
                sessions.push(std::thread::spawn(move || {
                    let (user, heard) = Session::new(stream, manner, stopped, last_refs).serve();
                    all.lock().unwrap().insert(user, heard);
                }));
            }
            for session in sessions {
                session.join().unwrap();
            }
        });
        Self { address, heard, stop, thread: Some(thread) }
    }

    /// Stops, and says what each user said.
    pub(crate) fn stop(mut self) -> HashMap<String, Heard> {
        self.shut_down();
        std::mem::take(&mut self.heard.lock().unwrap())
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

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}

struct Session {
    stream: TcpStream,
    manner: Manner,
    stop: Arc<AtomicBool>,
    user: String,
    heard: Heard,
    /// What is left of each live order.
    live: HashMap<u32, u32>,
    last_ref: u32,
    /// By user, from earlier connections: a session is longer than a connection.
    last_refs: Arc<Mutex<HashMap<String, u32>>>,
    out: Vec<u8>,
}

impl Session {
    fn new(
        stream: TcpStream,
        manner: Manner,
        stop: Arc<AtomicBool>,
        last_refs: Arc<Mutex<HashMap<String, u32>>>,
    ) -> Self {
        stream.set_nodelay(true).unwrap();
        // Only so that a stop is noticed.
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self {
            stream,
            manner,
            stop,
            user: String::new(),
            heard: Heard::default(),
            live: HashMap::new(),
            last_ref: 0,
            last_refs,
            out: vec![],
        }
    }

    fn serve(mut self) -> (String, Heard) {
        let mut input = vec![];
        let mut chunk = vec![0; 1 << 16];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(bytes) => input.extend_from_slice(&chunk[..bytes]),
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    if self.stop.load(Ordering::SeqCst) {
                        break;
                    }
                    ServerPacket::Heartbeat.encode(&mut self.out);
                }
                Err(_) => break,
            }
            let mut at = 0;
            let mut goes_on = true;
            while goes_on && let Some(frame) = soup::frame(&input[at..], 256).unwrap() {
                at += frame.consumed;
                goes_on = self.packet(&ClientPacket::decode(&frame).unwrap());
            }
            input.drain(..at);
            if !self.user.is_empty() {
                self.last_refs.lock().unwrap().insert(self.user.clone(), self.last_ref);
            }
            if self.stream.write_all(&self.out).is_err() || !goes_on {
                break;
            }
            self.out.clear();
        }
        (self.user, self.heard)
    }

    /// False when the connection is to be closed.
    fn packet(&mut self, packet: &ClientPacket<'_>) -> bool {
        match packet {
            ClientPacket::LoginRequest(login) => {
                self.user = login.username.to_string().trim().to_ascii_uppercase();
                if matches!(self.manner, Manner::RefusesLogin) {
                    LoginRejected::NotAuthorized.encode(&mut self.out);
                    return false;
                }
                self.last_ref = self.last_refs.lock().unwrap().get(&self.user).copied().unwrap_or(0);
                let session = SessionName::new("STRAW").unwrap();
                LoginAccepted { session, sequence: login.sequence.max(1) }.encode(&mut self.out);
            }
            ClientPacket::Unsequenced(message) => {
                let inbound = Inbound::decode(message).unwrap();
                if !matches!(inbound, Inbound::AccountQuery) {
                    self.heard.requests.extend_from_slice(message);
                    self.heard.count += 1;
                    match &self.manner {
                        Manner::ClosesAt(n) if self.heard.count == *n => return false,
                        Manner::EndsAt(n) if self.heard.count == *n => {
                            ServerPacket::EndOfSession.encode(&mut self.out);
                            return false;
                        }
                        Manner::BabblesAt(n) if self.heard.count == *n => {
                            self.out.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                            return false;
                        }
                        Manner::StallsAt(n, go_on) if self.heard.count == *n => {
                            while !go_on.load(Ordering::SeqCst) && !self.stop.load(Ordering::SeqCst) {
                                std::thread::sleep(Duration::from_millis(5));
                            }
                        }
                        _ => {}
                    }
                }
                self.request(&inbound);
            }
            ClientPacket::Heartbeat => self.heard.heartbeats += 1,
            ClientPacket::LogoutRequest => {
                self.heard.logouts += 1;
                return false;
            }
            ClientPacket::Debug(_) => {}
        }
        true
    }

    fn request(&mut self, inbound: &Inbound<'_>) {
        match *inbound {
            Inbound::EnterOrder(o) => {
                assert!(o.user_ref > self.last_ref, "numbers ascend");
                self.last_ref = o.user_ref;
                if matches!(self.manner, Manner::Rejects) {
                    let rejected = Rejected {
                        timestamp: 1,
                        user_ref: o.user_ref,
                        reason: 0x17,
                        client_order_id: o.client_order_id,
                    };
                    return self.say(&Outbound::Rejected(rejected));
                }
                self.say(&Outbound::Accepted(Accepted {
                    timestamp: 1,
                    user_ref: o.user_ref,
                    side: o.side,
                    quantity: o.quantity,
                    symbol: o.symbol,
                    price: o.price,
                    time_in_force: o.time_in_force,
                    display: o.display,
                    order_reference: u64::from(o.user_ref),
                    capacity: o.capacity,
                    intermarket_sweep: o.intermarket_sweep,
                    cross: o.cross,
                    state: b'L',
                    client_order_id: o.client_order_id,
                    appendage: Appendage::EMPTY,
                }));
                if matches!(self.manner, Manner::Fills) {
                    self.say(&Outbound::Executed(Executed {
                        timestamp: 1,
                        user_ref: o.user_ref,
                        quantity: o.quantity,
                        price: o.price,
                        liquidity: b'R',
                        match_number: u64::from(o.user_ref),
                        appendage: Appendage::EMPTY,
                    }));
                } else if o.time_in_force == b'3' {
                    self.canceled(o.user_ref, o.quantity, b'I');
                } else {
                    self.live.insert(o.user_ref, o.quantity);
                }
            }
            Inbound::CancelOrder(x) => {
                if matches!(self.manner, Manner::ForgetsCancels) {
                    return;
                }
                let Some(open) = self.live.remove(&x.user_ref) else { return };
                let left = x.quantity.min(open);
                if left > 0 {
                    self.live.insert(x.user_ref, left);
                }
                if open > left {
                    self.canceled(x.user_ref, open - left, b'U');
                }
            }
            Inbound::ReplaceOrder(u) => {
                if self.live.remove(&u.original).is_none() || u.user_ref <= self.last_ref {
                    return;
                }
                self.last_ref = u.user_ref;
                self.live.insert(u.user_ref, u.quantity);
                self.say(&Outbound::Replaced(Replaced {
                    timestamp: 1,
                    original: u.original,
                    user_ref: u.user_ref,
                    side: b'B',
                    quantity: u.quantity,
                    symbol: *b"SYM     ",
                    price: u.price,
                    time_in_force: u.time_in_force,
                    display: u.display,
                    order_reference: u64::from(u.user_ref),
                    capacity: b'P',
                    intermarket_sweep: u.intermarket_sweep,
                    cross: b'N',
                    state: b'L',
                    client_order_id: u.client_order_id,
                    appendage: Appendage::EMPTY,
                }));
            }
            Inbound::AccountQuery => {
                let answer = AccountQueryResponse { timestamp: 1, next_user_ref: self.last_ref + 1 };
                self.say(&Outbound::AccountQueryResponse(answer));
            }
            Inbound::ModifyOrder(_) | Inbound::MassCancel(_) => {
                panic!("the load generator modifies nothing, and cancels one by one")
            }
        }
    }

    fn canceled(&mut self, user_ref: u32, quantity: u32, reason: u8) {
        self.say(&Outbound::Canceled(Canceled { timestamp: 1, user_ref, quantity, reason }));
    }

    fn say(&mut self, message: &Outbound<'_>) {
        let Ok(()) = soup::sequenced(&mut self.out, |out| {
            message.encode(out);
            Ok::<(), std::convert::Infallible>(())
        });
    }
}
