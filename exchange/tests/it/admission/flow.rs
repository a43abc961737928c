//! A random flow before paused books, with deaths of the process.

use std::collections::BTreeMap;

use domain::{ClientRef, Command, SessionId};
use gateway::AdmissionLimits;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;
use wire::ouch::{
    Inbound, Outbound, codes,
    inbound::{CancelOrder, ReplaceOrder},
};

use super::{COLD, bid};
use crate::{
    client::{enter, replace},
    paused::{SYMBOLS, Stage},
};

/// Anything at any time, and now and then the process dies: what was sequenced is there after it, and every request has
/// exactly one answer, those included that had none when it died and are sent again as the protocol says.
#[test]
fn every_request_has_one_answer_and_nothing_sequenced_is_lost() {
    let seed = seeded::seed();
    let (mut admission, mut deaths) = (gateway::AdmissionStats::default(), 0);
    for round in 0..20 {
        let mut flow = Flow::new(seed.wrapping_add(round));
        flow.run(400);
        deaths += flow.deaths;
        admission.admitted += flow.admission.admitted;
        admission.refused += flow.admission.refused;
        admission.taken_back += flow.admission.taken_back;
        admission.overtook += flow.admission.overtook;
    }
    println!("{admission:?}, {deaths} deaths");
    for count in [admission.admitted, admission.refused, admission.taken_back, admission.overtook, deaths] {
        assert!(count > 20, "the runs say too little");
    }
}

const TRADERS: [&str; 4] = ["ALICE", "BOB", "CAROL", "DAVE"];

/// One user's side of a random flow.
#[derive(Default)]
struct Trader {
    next_ref: u32,
    /// What uses up numbers, by number, in the order in which it was sent.
    sent: BTreeMap<u32, Inbound<'static>>,
    /// By number: how often it was accepted or rejected, or came to be by a replacement.
    answered: BTreeMap<u32, u32>,
    /// By number: units open.
    open: BTreeMap<u32, u32>,
}

struct Flow {
    stage: Stage,
    random: Xoshiro256StarStar,
    limits: AdmissionLimits,
    traders: [Trader; 4],
    admission: gateway::AdmissionStats,
    deaths: u64,
}

impl Flow {
    fn new(seed: u64) -> Self {
        let mut random = Xoshiro256StarStar::seed_from_u64(seed);
        let limits = AdmissionLimits {
            window: random.random_range(1..5),
            sojourn_nanos: random.random_range(1_000..200_000),
            book_max: random.random_range(2..20),
            session_max: random.random_range(2..20),
            held_max: random.random_range(4..40),
        };
        let mut stage = Stage::new(limits);
        for user in TRADERS {
            stage.log_in(user, 0);
        }
        let (traders, admission) = (Default::default(), gateway::AdmissionStats::default());
        Self { stage, random, limits, traders, admission, deaths: 0 }
    }

    fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            match self.random.random_range(0..100) {
                0..55 => self.say(),
                55..75 => {
                    let (book, most) = (self.random.random_range(0..3), self.random.random_range(0..6));
                    self.stage.execute(book, most);
                }
                75..90 => {
                    let nanos = self.random.random_range(0..self.limits.sojourn_nanos);
                    self.stage.wait(nanos);
                }
                90..93 => self.stage.venue.takes_orders ^= true,
                93..95 => {
                    let full = self.random.random_range(0..6);
                    self.stage.venue.has_room = full >= 3;
                    self.stage.venue.full = [3, 4, 5].map(|book| full == book).into();
                    self.say();
                    self.stage.execute(self.random.random_range(0..3), 2);
                    self.stage.wait(1_000);
                    self.stage.venue.has_room = true;
                    self.stage.venue.full.fill(false);
                }
                95 => self.die(),
                _ => _ = self.hear(),
            }
            for book in 0..3 {
                assert!(self.stage.venue.waiting(book) <= self.limits.window as usize);
            }
        }
        self.stage.venue.takes_orders = true;
        // What the sockets have not delivered yet is before the last order of its session.
        for (user, trader) in TRADERS.into_iter().zip(&mut self.traders) {
            trader.next_ref += 1;
            let last = bid(trader.next_ref, COLD);
            trader.sent.insert(trader.next_ref, last);
            self.stage.say(user, &[last]);
        }
        while self.traders.iter().any(|trader| !trader.answered.contains_key(&trader.next_ref)) {
            self.stage.settle();
            self.hear();
        }
        self.count();
        self.check();
    }

    fn say(&mut self) {
        let at = self.random.random_range(0..TRADERS.len());
        let mut requests = Vec::new();
        for _ in 0..self.random.random_range(1..6) {
            requests.push(self.request(at));
            if self.random.random_bool(0.1) {
                requests.push(*requests.last().expect("one"));
            }
        }
        self.stage.say(TRADERS[at], &requests);
    }

    fn request(&mut self, at: usize) -> Inbound<'static> {
        let (trader, random) = (&mut self.traders[at], &mut self.random);
        let recent = random.random_range(0..6).min(trader.next_ref);
        let user_ref = trader.next_ref - recent;
        match random.random_range(0..10) {
            0..5 => {
                trader.next_ref += random.random_range(1..3);
                let book = random.random_range(0..4_usize).saturating_sub(1);
                let side = if random.random_bool(0.5) { b'B' } else { b'S' };
                let price = 1_000_000 + 10_000 * random.random_range(0..3);
                let symbol = if random.random_bool(0.03) { "NONE" } else { SYMBOLS[book] };
                let request =
                    enter(trader.next_ref, side, random.random_range(1..50), symbol, price, codes::DAY);
                trader.sent.insert(trader.next_ref, request);
                request
            }
            5..7 => Inbound::CancelOrder(CancelOrder { user_ref, quantity: 0 }),
            7 => {
                let quantity = random.random_range(1..50);
                Inbound::CancelOrder(CancelOrder { user_ref, quantity })
            }
            8 => {
                trader.next_ref += 1;
                let price = if random.random_bool(0.1) { 1 } else { 1_000_000 };
                let request = replace(user_ref, trader.next_ref, random.random_range(1..50), price);
                trader.sent.insert(trader.next_ref, request);
                request
            }
            _ => Inbound::AccountQuery,
        }
    }

    /// Every trader reads what is there, and keeps its accounts.
    fn hear(&mut self) -> [u32; 4] {
        let mut next = [0; 4];
        for (at, user) in TRADERS.into_iter().enumerate() {
            for said in self.stage.heard(user) {
                let trader = &mut self.traders[at];
                match said.message() {
                    Outbound::Accepted(m) => {
                        *trader.answered.entry(m.user_ref).or_default() += 1;
                        trader.open.insert(m.user_ref, m.quantity);
                    }
                    Outbound::Rejected(m) => *trader.answered.entry(m.user_ref).or_default() += 1,
                    Outbound::Replaced(m) => {
                        *trader.answered.entry(m.user_ref).or_default() += 1;
                        trader.open.remove(&m.original);
                        trader.open.insert(m.user_ref, m.quantity);
                    }
                    Outbound::Executed(m) => trader.smaller(m.user_ref, m.quantity),
                    Outbound::Canceled(m) => trader.smaller(m.user_ref, m.quantity),
                    Outbound::AccountQueryResponse(m) => next[at] = m.next_user_ref,
                    other => panic!("{user}: {other:?}"),
                }
            }
        }
        next
    }

    /// The process dies, with all that waits. Everyone comes back, asks, and sends again what it must.
    fn die(&mut self) {
        self.deaths += 1;
        self.hear();
        self.count();
        // What was executed and not said before it died is said after.
        let told: Vec<u64> = (0..4).map(|session| self.stage.told(SessionId(session))).collect();
        self.stage.restart(self.limits);
        for (at, user) in TRADERS.into_iter().enumerate() {
            self.stage.log_in(user, told[at] + 1);
            self.stage.say(user, &[Inbound::AccountQuery]);
        }
        let next = self.hear();
        for (at, user) in TRADERS.into_iter().enumerate() {
            assert!(next[at] > 0, "{user} is told its next number");
            let again: Vec<_> =
                self.traders[at].sent.range(next[at]..).map(|(_, request)| *request).collect();
            for requests in again.chunks(5) {
                self.stage.say(user, requests);
            }
        }
    }

    fn count(&mut self) {
        let stats = self.stage.stats().admission;
        self.admission.admitted += stats.admitted;
        self.admission.refused += stats.refused;
        self.admission.taken_back += stats.taken_back;
        self.admission.overtook += stats.overtook;
    }

    fn check(&self) {
        for (session, trader) in (0..).map(SessionId).zip(&self.traders) {
            let mut gone = 0;
            for (number, request) in &trader.sent {
                let answers = trader.answered.get(number).copied().unwrap_or(0);
                match request {
                    // In a replacement's place may stand silence, when there was nothing to replace, or a Canceled.
                    Inbound::ReplaceOrder(ReplaceOrder { .. }) => {
                        assert!(answers <= 1);
                        gone += u32::from(answers == 0);
                    }
                    _ => assert_eq!(answers, 1, "{}: order {number}", TRADERS[session.0 as usize]),
                }
            }
            assert!(trader.answered.len() + gone as usize == trader.sent.len());
            // The numbers were used up in turn.
            let used: Vec<ClientRef> =
                self.stage.venue.commands.iter().filter_map(|c| uses(&c.command, session)).collect();
            assert!(used.is_sorted_by(|a, b| a < b), "{session}: {used:?}");
            // Both sides agree on what is open.
            let open = self.stage.gateway.sessions().get(session).expect("a session");
            let theirs: Vec<u32> = open.orders.iter().map(|(number, _)| number.0).collect();
            let ours: Vec<u32> = trader.open.keys().copied().collect();
            assert_eq!(ours, theirs, "{session}");
        }
    }
}

impl Trader {
    fn smaller(&mut self, user_ref: u32, quantity: u32) {
        let open = self.open.get_mut(&user_ref).expect("an open order");
        *open -= quantity;
        if *open == 0 {
            self.open.remove(&user_ref);
        }
    }
}

/// The number that a command uses up for sure.
fn uses(command: &Command, session: SessionId) -> Option<ClientRef> {
    let (whose, number) = match command {
        Command::Enter(enter) => (enter.owner.session, enter.owner.client_ref),
        Command::Rejected(rejected) => (rejected.session, rejected.client_ref),
        _ => return None,
    };
    (whose == session).then_some(number)
}
