//! One book gets twice what it can do, for 5 ms, on top of calm load for all.
//!
//! ```text
//!            |<- calm ->|<------ crowd ------>|<- calm ->|
//!  book 0    |          |  2 x its capacity   |          |   Waiting ─▶ window ─▶ Runtime
//!  others    |   a fifth of both workers' capacity       |   ───────────────────▶ Runtime
//! ```
//!
//! Of the requests for the hot book there is a long one to each `long` others; of those 47 in a hundred are new orders that
//! rest, 37 cancel one of those (half of them one of the newest; some have traded meanwhile, and the book says so), and 16 are immediate orders, which trade. Orders are numbered when they are sequenced, so a refusal
//! leaves no hole. A cancel of an order that still waits does not occur here.

use std::sync::Arc;

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Echo, EnterOrder, Event, Events,
    InstrumentId, Nanos, OrderId, OrderType, Owner, Price, Quantity, Sequence, Sequenced, SessionId, Side,
    TimeInForce,
};
use engine::{book::Book, runtime::Runtime};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{
    admission::{Bounds, Outcome, Waiting},
    paced::{LEAD_IN, poisson},
    packed::{PackedRun, look_at_all},
    seat::{Feed, Next, nanos},
};

/// The hot book.
pub const HOT: InstrumentId = InstrumentId(0);
/// How long the crowd stays, in nanoseconds.
pub const CROWD: u64 = 5_000_000;
/// Calm load before and after it, in nanoseconds.
pub const CALM: u64 = 2_000_000;
/// Requests taken in in one turn, at most.
const TAKEN_MAX: usize = 256;
/// Events taken from each shard in one turn, at most.
const DRAINED_MAX: usize = 1_024;
/// From how many of the newest orders every other cancel takes one.
const NEWEST: usize = 16;
/// Orders that rest in the hot book when the crowd comes.
const RESTING: u64 = 32;
/// Around which its prices lie.
const MIDDLE: i64 = 20_000;
/// Sessions that own the orders.
const SESSIONS: u32 = 8;

/// What a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// A command of the calm load, by its place.
    Calm(u32),
    New,
    Immediate,
    Cancel,
    Long,
}

/// One request.
#[derive(Clone, Copy, Debug)]
struct Request {
    ask: Ask,
    /// When it arrives, in nanoseconds from the start.
    due: u64,
}

/// Whose requests a number is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Cancels in the hot book.
    Cancels,
    /// Everything else in the hot book.
    Others,
    /// Requests for other books.
    Calm,
}

/// When an answer came.
#[derive(Clone, Copy, Debug)]
enum Answer {
    None,
    Executed(u64),
    Refused(u64),
}

/// What arrives, and what became of it.
pub struct Crowd {
    calm: Arc<PackedRun>,
    requests: Vec<Request>,
    answers: Vec<Answer>,
    waiting: Waiting<u32>,
    hot: HotBook,
    start: u64,
    arrived: usize,
    answered: usize,
    /// By sequence, counted from `first`: which request.
    sequenced: Vec<u32>,
    first: u64,
    nanos: u64,
    /// The most that waited in front of the hot book.
    pub waited_max: usize,
    waits: usize,
    /// Calm requests that found a ring full, and were late for it.
    pub full: u64,
    /// A calm request that arrived and found no room yet.
    held: Option<u32>,
}

/// The hot book before the crowd, and what its clients know.
pub struct HotBook {
    rng: Xoshiro256PlusPlus,
    /// By order number: whose it is.
    owners: Vec<Owner>,
    /// Orders that were sequenced to rest and that nobody has asked to cancel. Some have traded meanwhile.
    live: Vec<OrderId>,
}

/// What is known of one class, of requests that arrived while the crowd was there.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// From arrival to executed, in nanoseconds, ascending.
    pub executed: Vec<u64>,
    /// How many were refused.
    pub refused: u64,
}

impl Crowd {
    /// A crowd in front of the hot book, one request each `hot_gap` nanoseconds on average, and calm load, one of the
    /// commands of `calm` each `calm_gap` nanoseconds. What is sequenced is numbered from the first of those on.
    ///
    /// # Panics
    /// When there are not calm commands enough, or some are for the hot book.
    #[must_use]
    pub fn new(
        calm: &Arc<PackedRun>,
        (hot_gap, calm_gap): (f64, f64),
        bounds: Bounds,
        long: u32,
        mut hot: HotBook,
    ) -> Self {
        let rng = &mut hot.rng;
        let end = CALM + CROWD + CALM;
        let mut requests: Vec<Request> = poisson(rng, calm_gap)
            .take_while(|due| *due < end)
            .zip(0..)
            .map(|(due, at)| Request { ask: Ask::Calm(at), due })
            .collect();
        assert!(requests.len() <= calm.len(), "{} calm commands for {}", calm.len(), requests.len());
        assert!(calm.iter().all(|command| command.command.instrument() != Some(HOT)));
        let crowd: Vec<u64> = poisson(rng, hot_gap).take_while(|due| *due < CROWD).collect();
        for due in crowd {
            requests.push(Request { ask: ask(rng, long), due: CALM + due });
        }
        requests.sort_by_key(|request| request.due);
        let count = requests.len();
        Self {
            calm: Arc::clone(calm),
            requests,
            answers: vec![Answer::None; count],
            waiting: Waiting::new(bounds),
            hot,
            start: 0,
            arrived: 0,
            answered: 0,
            sequenced: Vec::with_capacity(count),
            first: calm.first().0,
            nanos: 1_800_000_000_000_000_000,
            waited_max: 0,
            waits: 0,
            full: 0,
            held: None,
        }
    }

    /// How many commands were sequenced.
    #[must_use]
    pub fn sequenced(&self) -> u64 {
        self.sequenced.len() as u64
    }

    /// What became of a class's requests that arrived while the crowd was there.
    #[must_use]
    pub fn seen(&self, class: Class) -> Seen {
        let mut seen = Seen::default();
        for (request, answer) in self.requests.iter().zip(&self.answers) {
            if class_of(request.ask) != class || !(CALM..CALM + CROWD).contains(&request.due) {
                continue;
            }
            match answer {
                Answer::Executed(at) => seen.executed.push(at - request.due),
                Answer::Refused(_) => seen.refused += 1,
                Answer::None => unreachable!("the feed was done"),
            }
        }
        seen.executed.sort_unstable();
        seen
    }

    /// From when the crowd had gone until everything that had arrived by then was answered, in nanoseconds.
    #[must_use]
    pub fn recovery(&self) -> u64 {
        let end = CALM + CROWD;
        let answers = self.requests.iter().zip(&self.answers).filter(|(request, _)| request.due < end);
        let at = |answer: &Answer| match answer {
            Answer::Executed(at) | Answer::Refused(at) => *at,
            Answer::None => u64::MAX,
        };
        answers.map(|(_, answer)| at(answer)).max().unwrap_or(0).saturating_sub(end)
    }

    /// Gives a command its sequence and routes it; there is room.
    fn route(&mut self, runtime: &mut Runtime, request: u32, command: Command) {
        let sequence = Sequence(self.first + self.sequenced.len() as u64);
        self.nanos += 1_000;
        runtime.route(&Sequenced { sequence, nanos: Nanos(self.nanos), command });
        self.sequenced.push(request);
    }

    /// Takes in what has arrived.
    fn arrive(&mut self, runtime: &mut Runtime, now: u64) {
        for _ in 0..TAKEN_MAX {
            let at = if let Some(held) = self.held.take() {
                held
            } else {
                let due = self.requests.get(self.arrived).is_some_and(|request| request.due <= now);
                if !due {
                    break;
                }
                self.arrived += 1;
                (self.arrived - 1) as u32
            };
            let Request { ask, due } = self.requests[at as usize];
            let Ask::Calm(place) = ask else {
                self.waiting.arrive(at, ask == Ask::Cancel, due);
                self.waits += 1;
                self.waited_max = self.waited_max.max(self.waits);
                continue;
            };
            let command = self.calm.get(place as usize).command;
            if !runtime.accepts_command(&command) {
                self.full += 1;
                self.held = Some(at);
                break;
            }
            self.route(runtime, at, command);
        }
    }

    /// Sequences what waits for the hot book, as far as its window goes, and refuses what has waited too long.
    fn admit(&mut self, runtime: &mut Runtime, now: u64) {
        if self.waiting.is_empty() {
            return;
        }
        let mut under_way = runtime.outstanding(HOT);
        while runtime.accepts(HOT) {
            let Some(next) = self.waiting.next(under_way, now) else { break };
            self.waits -= 1;
            match next {
                Outcome::Refused(at) => {
                    self.answers[at as usize] = Answer::Refused(now);
                    self.answered += 1;
                }
                Outcome::Admitted(at) => {
                    let command = self.hot.command(self.requests[at as usize].ask);
                    self.route(runtime, at, command);
                    under_way += 1;
                }
            }
        }
    }

    fn learn(&mut self, event: &Event, now: u64) {
        if event.index == 0 {
            let request = self.sequenced[(event.sequence.0 - self.first) as usize];
            let before = std::mem::replace(&mut self.answers[request as usize], Answer::Executed(now));
            assert!(matches!(before, Answer::None), "one answer to a request");
            self.answered += 1;
        }
    }
}

impl HotBook {
    /// Commands that it has applied at the start.
    pub const COMMANDS: u64 = RESTING;

    /// A book with its resting orders, and who knows of them.
    #[must_use]
    pub fn new(seed: u64) -> (Book, Self) {
        // Numbers begin at 1.
        let owners = vec![Owner::default()];
        let mut hot = Self { rng: Xoshiro256PlusPlus::seed_from_u64(seed), owners, live: Vec::new() };
        let (mut book, mut said) = (Book::new(HOT), Events::new());
        for n in 1..=RESTING {
            let command = hot.enter(TimeInForce::Day);
            book.apply(&Sequenced { sequence: Sequence(n), nanos: Nanos(n), command }, &mut said);
        }
        (book, hot)
    }

    /// The command of a request for the hot book, as it is when it is sequenced.
    fn command(&mut self, ask: Ask) -> Command {
        match ask {
            Ask::New => self.enter(TimeInForce::Day),
            Ask::Immediate => self.enter(TimeInForce::ImmediateOrCancel),
            Ask::Cancel => {
                let among = if self.rng.random() { self.live.len().min(NEWEST) } else { self.live.len() };
                if among == 0 {
                    // All were asked for: it comes too late for one that is gone, as cancels in a crowd do.
                    let order = OrderId::new(HOT, 1);
                    let owner = self.owners[1];
                    return Command::Cancel(CancelOrder { order, owner, reason: CancelReason::Requested });
                }
                let at = self.live.len() - 1 - self.rng.random_range(0..among);
                let order = self.live.swap_remove(at);
                let owner = self.owners[order.number() as usize];
                Command::Cancel(CancelOrder { order, owner, reason: CancelReason::Requested })
            }
            Ask::Long | Ask::Calm(_) => look_at_all(HOT),
        }
    }

    fn enter(&mut self, time_in_force: TimeInForce) -> Command {
        let side = if self.rng.random() { Side::Buy } else { Side::Sell };
        // New orders wait on their own side of the middle; immediate ones reach across.
        let away = 1 + self.rng.random_range(0..16_i64);
        let rests = time_in_force.rests();
        let below = (side == Side::Buy) == rests;
        let price = if below { MIDDLE - away } else { MIDDLE + away };
        let session = self.rng.random_range(0..SESSIONS);
        let number = self.owners.len();
        let owner = Owner { session: SessionId(session), client_ref: ClientRef(number as u32) };
        self.owners.push(owner);
        let order = OrderId::new(HOT, number as u64);
        if rests {
            self.live.push(order);
        }
        Command::Enter(EnterOrder {
            order,
            owner,
            account: AccountId(session),
            side,
            order_type: OrderType::Limit,
            time_in_force,
            price: Price::new(price).expect("far from the ends"),
            quantity: Quantity(self.rng.random_range(1..=if rests { 100 } else { 150 })),
            client_order_id: ClientOrderId::BLANK,
            echo: Echo { side: b'B', display: b'Y', capacity: b'P', intermarket_sweep: b'N', cross: b'N' },
        })
    }
}

impl Feed for Crowd {
    fn turn(&mut self, runtime: &mut Runtime, now: u64) -> Next {
        if self.start == 0 {
            self.start = now + LEAD_IN;
        }
        let Some(now) = now.checked_sub(self.start) else { return Next::Soon };
        // The hot book's worker may wait for this.
        self.admit(runtime, now);
        runtime.publish();
        self.arrive(runtime, now);
        self.admit(runtime, now);
        runtime.publish();
        let seen = nanos();
        runtime.drain(DRAINED_MAX, |event| {
            self.learn(event, seen - self.start);
            true
        });
        runtime.tick(seen);
        if self.answered == self.requests.len() {
            Next::Never
        } else if self.waiting.is_empty() {
            Next::Soon
        } else {
            Next::AtOnce
        }
    }
}

fn class_of(ask: Ask) -> Class {
    match ask {
        Ask::Calm(_) => Class::Calm,
        Ask::Cancel => Class::Cancels,
        Ask::New | Ask::Immediate | Ask::Long => Class::Others,
    }
}

fn ask(rng: &mut Xoshiro256PlusPlus, long: u32) -> Ask {
    // As many orders come as go, so that the book, and what a long command takes, stays what it is.
    match rng.random_range(0..100 * (long + 1)) {
        n if n < 100 => Ask::Long,
        n => match n % 100 {
            0..37 => Ask::Cancel,
            37..53 => Ask::Immediate,
            _ => Ask::New,
        },
    }
}
