//! Two sessions that trade at random and remember everything that they have been told.

use rand::RngExt;
use rand_xoshiro::Xoshiro256StarStar;
use wire::ouch::{
    Appendage, Inbound, TagValue, codes,
    inbound::{EnterOrder, MassCancel, ReplaceOrder},
};

use crate::{
    client::{Client, Said, cancel, enter, padded, replace},
    venue::{INSTRUMENTS, Venue},
};

pub(crate) type Random = Xoshiro256StarStar;

/// A session that trades at random.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) user: &'static str,
    next_ref: u32,
    /// Orders that may be open.
    pub(crate) open: Vec<u32>,
    /// Everything that it has been told, from number 1 on.
    pub(crate) told: Vec<Said>,
}

impl Party {
    pub(crate) fn new(user: &'static str) -> Self {
        Self { user, next_ref: 1, open: Vec::new(), told: Vec::new() }
    }

    /// Sends so many requests, and hears what there is to hear by then: no number twice, none left out.
    pub(crate) fn trade(&mut self, venue: &Venue, random: &mut Random, requests: u32) {
        let mut client = venue.client_from(self.user, self.told.len() as u64 + 1);
        for _ in 0..requests {
            let price = random.random_range(9_980..10_020) * 100;
            let options = any_options(random);
            let request = match random.random_range(0..10) {
                0..2 if !self.open.is_empty() => {
                    cancel(self.open[random.random_range(0..self.open.len())], random.random_range(0..50))
                }
                2..4 if !self.open.is_empty() => {
                    let original = self.open.swap_remove(random.random_range(0..self.open.len()));
                    replace(original, self.next(), random.random_range(1..200), price)
                }
                _ => {
                    let side = if random.random_bool(0.5) { b'B' } else { b'S' };
                    let symbol = INSTRUMENTS[random.random_range(0..4)];
                    let tif = if random.random_bool(0.5) { codes::DAY } else { codes::GOOD_TILL_CANCEL };
                    enter(self.next(), side, random.random_range(1..150), symbol, price, tif)
                }
            };
            client.put(&with_options(&request, &options, random));
            if random.random_bool(0.01) {
                let side = [b' ', b'B', b'S'][random.random_range(0..3)];
                let symbol = padded(["", INSTRUMENTS[random.random_range(0..4)]][random.random_range(0..2)]);
                self.next_ref += 1;
                client.put(&Inbound::MassCancel(MassCancel { user_ref: self.next_ref - 1, symbol, side }));
            }
            if random.random_bool(0.1) {
                client.flush();
            }
        }
        let (told, next) = client.query();
        assert!(next <= self.next_ref, "{}: {next} is next, and {} never was", self.user, self.next_ref);
        self.told.extend(told);
        assert!(self.told.iter().zip(1..).all(|(said, number)| said.number == number), "{}", self.user);
    }

    /// It is told this.
    #[cfg(feature = "strace-tests")]
    pub(crate) fn hears(&mut self, number: u64, bytes: &[u8]) {
        self.told.push(Said { number, bytes: bytes.to_vec() });
    }

    /// The exchange says which number is next: what had higher ones has never been.
    pub(crate) fn go_on_at(&mut self, next: u32) {
        assert!(next <= self.next_ref, "{}: {next} is next, and {} never was", self.user, self.next_ref);
        self.next_ref = next;
        self.open.retain(|user_ref| *user_ref < next);
    }

    /// Sends some orders, and hears none of the answers.
    pub(crate) fn be_restless(&mut self, venue: &Venue, random: &mut Random) -> Client {
        let mut client = venue.client_from(self.user, self.told.len() as u64 + 1);
        for _ in 0..random.random_range(1..50) {
            client.put(&enter(self.next(), b'B', 10, "AAPL", 999_900, codes::DAY));
        }
        client.flush();
        client
    }

    /// Comes back to another venue: what had no answer may be there or not, and is known from here on.
    pub(crate) fn come_back(&mut self, venue: &Venue) {
        let (told, next) = venue.client_from(self.user, self.told.len() as u64 + 1).query();
        self.told.extend(told);
        self.go_on_at(next);
    }

    /// The number of a new order.
    pub(crate) fn next(&mut self) -> u32 {
        self.next_ref += 1;
        self.open.push(self.next_ref - 1);
        self.next_ref - 1
    }

    /// Numbers below `next` have been used by somebody else.
    pub(crate) fn skip_to(&mut self, next: u32) {
        self.next_ref = self.next_ref.max(next);
    }

    /// Hears what has come since.
    pub(crate) fn catch_up(&mut self, venue: &Venue) {
        let (told, next) = venue.client_from(self.user, self.told.len() as u64 + 1).query();
        self.told.extend(told);
        assert!(next <= self.next_ref, "{}: {next} is next, and {} never was", self.user, self.next_ref);
    }

    /// Asks for everything again, and compares.
    pub(crate) fn hear_again(&self, venue: &Venue) {
        let again = venue.client_from(self.user, 1).up_to(self.told.len() as u64);
        assert_eq!(again, self.told, "{}", self.user);
    }
}

/// Options that somebody might send with an order, most of them such as make sense; half of the time none. No order ends at
/// a date: an exchange that is compared with its journal, perhaps years later, must not go on by itself.
fn any_options(random: &mut Random) -> Vec<u8> {
    let mut options = Vec::new();
    if random.random_bool(0.5) {
        return options;
    }
    let e4 = u64::from(random.random_range(9_980..10_020_u32)) * 100;
    match random.random_range(0..7) {
        0 => TagValue::StopPrice(e4).encode(&mut options),
        1 => TagValue::TrailingDistance(e4 % 2_000 + 100).encode(&mut options),
        2 => TagValue::MaxFloor(random.random_range(1..40)).encode(&mut options),
        3 => {
            TagValue::MaxFloor(random.random_range(4..40)).encode(&mut options);
            TagValue::RandomReserves(random.random_range(1..4)).encode(&mut options);
        }
        _ => {}
    }
    match random.random_range(0..7) {
        0 => TagValue::MinQuantity(random.random_range(1..60)).encode(&mut options),
        1 => TagValue::AllOrNone(codes::YES).encode(&mut options),
        2 => TagValue::PostOnly(b"PSN"[random.random_range(0..3)]).encode(&mut options),
        _ => {}
    }
    if random.random_bool(0.3) {
        TagValue::GroupId(random.random_range(1..3)).encode(&mut options);
        TagValue::SelfTradePolicy(b"NOBD"[random.random_range(0..4)]).encode(&mut options);
    }
    options
}

/// The same request with these options, hidden now and then.
fn with_options<'a>(request: &Inbound<'_>, options: &'a [u8], random: &mut Random) -> Inbound<'a> {
    let appendage = Appendage::decode(options).expect("options");
    let is_hidden = !options.is_empty() && random.random_bool(0.1);
    match *request {
        Inbound::EnterOrder(enter) => {
            let display = if is_hidden { b'N' } else { enter.display };
            Inbound::EnterOrder(EnterOrder { appendage, display, ..enter })
        }
        Inbound::ReplaceOrder(replace) => {
            let display = if is_hidden { b'N' } else { replace.display };
            Inbound::ReplaceOrder(ReplaceOrder { appendage, display, ..replace })
        }
        Inbound::CancelOrder(cancel) => Inbound::CancelOrder(cancel),
        Inbound::ModifyOrder(modify) => Inbound::ModifyOrder(modify),
        Inbound::MassCancel(cancel) => Inbound::MassCancel(cancel),
        Inbound::AccountQuery => Inbound::AccountQuery,
    }
}

/// A little of everything, from both.
pub(crate) fn trade(venue: &Venue, parties: &mut [Party], random: &mut Random) {
    for _ in 0..3 {
        for party in &mut *parties {
            let requests = random.random_range(1..150);
            party.trade(venue, random, requests);
        }
    }
}

pub(crate) fn parties() -> [Party; 2] {
    ["ALICE", "BOB"].map(Party::new)
}
