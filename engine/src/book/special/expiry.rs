//! Orders with a date.

use domain::{CancelReason, EventSink, Instructions, Nanos};

use super::super::Book;
use super::{Place, Record};

impl Book {
    /// What is due before a command: orders expire, then triggered ones that a pause left waiting get their turns.
    #[cold]
    #[inline(never)]
    pub(in super::super) fn catch_up<S: EventSink>(&mut self, events: &mut S) {
        loop {
            let special = self.special.as_ref().expect("somebody's time has come");
            let first = special.expiries.first().filter(|(expires, _)| *expires <= self.now);
            let Some(&(_, number)) = first else { break };
            let cell = self.numbers.find(number).expect("what expires is in the book");
            self.cancel_cell(cell, CancelReason::Expired, events);
        }
        self.take_turns(events);
    }

    /// An order that has been given its place expires at its date, if it has one.
    pub(super) fn add_expiry(&mut self, cell: u32) {
        let expires = self.record(cell).instructions.expires;
        if expires != Instructions::NONE.expires {
            let number = self.cells[cell].number();
            self.specials().expiries.insert((expires, number));
            self.find_due();
        }
    }

    /// An order is about to go, or to change its number or its date.
    pub(in super::super) fn drop_expiry(&mut self, cell: u32) {
        if !self.cells[cell].is_special() {
            return;
        }
        let expires = self.record(cell).instructions.expires;
        if expires != Instructions::NONE.expires {
            let number = self.cells[cell].number();
            self.specials().expiries.remove(&(expires, number));
            self.find_due();
        }
    }

    /// Gives a resting order another date, or none: a plain order may become special by it, and a special one plain.
    pub(in super::super) fn set_expiry(&mut self, cell: u32, expires: Nanos) {
        let is_special = self.cells[cell].is_special();
        let instructions = Instructions { expires, ..self.instructions(cell) };
        match (is_special, instructions == Instructions::NONE) {
            (false, true) => return,
            (true, false) => self.record_mut(cell).instructions = instructions,
            (true, true) => {
                let (account, tally) = (self.record(cell).account, self.cells[cell].tally);
                self.specials().free.push(tally);
                self.cells[cell].make_plain(account.0);
                return;
            }
            (false, false) => {
                let (account, key) = (self.account(cell), self.resting_key(cell).expect("it rests"));
                let special = self.special.get_or_insert_default();
                let record = Record {
                    instructions,
                    account,
                    order_type: domain::OrderType::Limit,
                    key,
                    reserve: 0,
                    refreshes: 0,
                    rank: special.next_rank(),
                    place: Place::Level,
                };
                let tally = special.add_record(record);
                self.cells[cell].make_special(tally);
            }
        }
        self.add_expiry(cell);
    }
}
