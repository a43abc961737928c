//! What a client is told: what its file says as far as that goes, then what the pairs say as it comes.

use std::io;

use journal::Position;
use wire::{
    ouch::{Elsewhere, Outbound},
    soup,
};

use super::{Close, OUT_MAX, Session};
use crate::route::{
    account::Account,
    link::{Query, Said},
    reasons,
    record::{Entry, Slot},
    router::Around,
    socket::Socket,
};

/// Messages that one turn tells, at most.
const TURN_MESSAGES: usize = 512;

impl Session {
    /// Puts a message of the router's own at the end of the stream.
    pub(super) fn say(&mut self, message: Vec<u8>, account: &mut Account) {
        let entry = Entry::Own(message);
        if account.record.append(&entry, &mut self.cursor)
            && let Entry::Own(message) = &entry
        {
            tell(&mut self.client, message, self.cursor.offset);
        }
    }

    /// Tells the client what its file says and what pairs say. Says whether there may be more to tell now.
    pub(super) fn merge(&mut self, account: &mut Account, around: &mut Around<'_>) -> Result<bool, Close> {
        let broken = |error: io::Error| Close::Fatal(format!("a session's file: {error}"));
        for _ in 0..TURN_MESSAGES {
            if self.client.outbox.len() >= OUT_MAX {
                return Ok(false);
            }
            if self.cursor.offset < account.record.end().offset {
                let slot = match account.record.peek(&mut self.window, &self.cursor).map_err(broken)? {
                    Entry::Passed(slot) | Entry::Skipped(slot) => Some(slot),
                    _ => None,
                };
                let said = match slot {
                    None => None,
                    Some(slot) => match self.hear(slot, account, around) {
                        Some(said) => Some((slot, said)),
                        None => return Ok(false), // it is the next one, and no other may come before it
                    },
                };
                let entry = account.record.next(&mut self.window, &mut self.cursor).map_err(broken)?;
                match (entry, said) {
                    (Some(Entry::Passed(_)), Some((slot, said))) => {
                        tell(&mut self.client, said.bytes(), self.cursor.offset);
                        self.links[slot].use_up(&said);
                    }
                    (Some(Entry::Skipped(_)), Some((slot, said))) => self.links[slot].use_up(&said),
                    (Some(Entry::Own(message)), _) => tell(&mut self.client, &message, self.cursor.offset),
                    _ => {}
                }
                continue;
            }
            let links = self.links.len();
            let first = self.turn;
            let next = (0..links).map(|index| (first + index) % links).find_map(|slot| {
                let said = self.hear(slot, account, around)?;
                Some((slot, said))
            });
            let Some((slot, said)) = next else { return Ok(false) };
            self.turn = (slot + 1) % links;
            self.take(slot, &said, account);
        }
        Ok(true)
    }

    /// The next message of a pair; `None` when there is none yet.
    fn hear(&mut self, slot: Slot, account: &mut Account, around: &mut Around<'_>) -> Option<Said> {
        loop {
            let said = match self.links.get_mut(slot)?.next() {
                Ok(said) => said?,
                Err(why) => {
                    self.lose_of(slot, &why, account, around);
                    return None;
                }
            };
            let why = if said.is_message {
                match Outbound::decode(said.bytes()) {
                    Ok(_) => return Some(said),
                    Err(error) => format!("no message: {error}"),
                }
            } else {
                match Elsewhere::decode(said.bytes()) {
                    Ok(elsewhere) => {
                        around.refused_elsewhere(&elsewhere);
                        self.links[slot].use_up(&said);
                        continue;
                    }
                    Err(error) => format!("no message: {error}"),
                }
            };
            self.lose_of(slot, &why, account, around);
            return None;
        }
    }

    /// Takes a new message of a pair into the stream.
    fn take(&mut self, slot: Slot, said: &Said, account: &mut Account) {
        let number = self.cursor.taken_of(slot) + 1;
        self.links[slot].use_up(said);
        match Outbound::decode(said.bytes()) {
            Ok(Outbound::AccountQueryResponse(answer)) => {
                account.record.append(&Entry::Skipped(slot), &mut self.cursor);
                let link = &mut self.links[slot];
                // What an earlier connection has asked is answered to nobody.
                if number >= link.boundary
                    && let Some(query) = link.queries.pop_front()
                {
                    self.answered(slot, query, answer.next_user_ref, account);
                }
                return;
            }
            Ok(Outbound::Accepted(accepted)) => account.numbers.used(slot, accepted.user_ref),
            Ok(Outbound::Replaced(replaced)) => account.numbers.used(slot, replaced.user_ref),
            Ok(Outbound::Rejected(rejected)) => account.numbers.used(slot, rejected.user_ref),
            Ok(Outbound::MassCanceled(done)) => account.numbers.used(slot, done.user_ref),
            _ => {}
        }
        account.record.append(&Entry::Passed(slot), &mut self.cursor);
        tell(&mut self.client, said.bytes(), self.cursor.offset);
    }

    /// A pair has said which number is next.
    fn answered(&mut self, slot: Slot, query: Query, next: u32, account: &mut Account) {
        let left = account.numbers.next_is(slot, next, query.asked_behind);
        if std::mem::take(&mut self.links[slot].is_fresh) {
            for order in left {
                self.refuse((order.user_ref, order.client_order_id), reasons::UNREACHABLE, account);
            }
        }
        if let Some(number) = query.round
            && let Some(round) = self.rounds.iter_mut().find(|round| round.number == number)
        {
            round.waiting &= !(1 << slot);
            round.next = round.next.max(next);
        }
        self.finish_rounds(account);
    }
}

/// Gives the client a message, once the file is safe up to `offset`.
fn tell(client: &mut Socket, message: &[u8], offset: u64) {
    let Ok(()) = soup::sequenced(client.outbox.buffer(), |out| {
        out.extend_from_slice(message);
        Ok::<(), std::convert::Infallible>(())
    });
    client.outbox.mark(Position(offset));
}
