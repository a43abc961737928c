//! What a client asks, and which pair it goes to.

use domain::Symbol;
use journal::Position;
use wire::{
    ouch::{Inbound, outbound},
    soup::{ClientPacket, Frame, ServerPacket},
};

use super::{Close, OUT_MAX, Round, Session, protocol};
use crate::{
    placement::map::PlacementMap,
    route::{
        account::Account,
        link::{Link, Query, State},
        numbers::UNDER_WAY_MAX,
        reasons,
        record::{Entry, Slot},
        router::Around,
        since_midnight,
        socket::PAYLOAD_MAX,
    },
};

/// Account queries under way.
const ROUNDS_MAX: usize = 16;

impl Session {
    /// Acts on the client's requests, up to one that has to wait.
    pub(super) fn requests(&mut self, account: &mut Account, around: &mut Around<'_>) -> Result<(), Close> {
        while self.client.outbox.len() < OUT_MAX
            && let Some(packet) = self.client.packet().map_err(protocol)?
        {
            let frame = Frame { kind: packet.kind, payload: self.client.payload(packet), consumed: 0 };
            match ClientPacket::decode(&frame).map_err(protocol)? {
                ClientPacket::Unsequenced(message) => {
                    let mut bytes = [0; PAYLOAD_MAX];
                    let length = message.len();
                    bytes[..length].copy_from_slice(message);
                    if !self.request(&bytes[..length], account, around)? {
                        return Ok(());
                    }
                }
                ClientPacket::Heartbeat | ClientPacket::Debug(_) => {}
                ClientPacket::LogoutRequest => return Err(Close::Logout),
                ClientPacket::LoginRequest(_) => return Err(protocol("a second login on one connection")),
            }
            self.client.use_up(packet);
        }
        Ok(())
    }

    /// Acts on one request. False when it has to wait.
    fn request(
        &mut self,
        bytes: &[u8],
        account: &mut Account,
        around: &mut Around<'_>,
    ) -> Result<bool, Close> {
        let inbound = match Inbound::decode(bytes) {
            Ok(inbound) => inbound,
            Err(error) => {
                // Tell the client what is wrong before the connection closes: it cannot be matched to an order.
                ServerPacket::Debug(error.to_string().as_bytes()).encode(self.client.outbox.buffer());
                self.client.outbox.mark(Position(0));
                let _ = self.client.flush(Position(self.synced));
                return Err(protocol(error));
            }
        };
        Ok(match inbound {
            Inbound::EnterOrder(enter) => {
                let order = (enter.user_ref, enter.client_order_id);
                match self.destination(enter.symbol, around) {
                    Ok(slot) => self.order(slot, order, bytes, account),
                    Err(_) if account.numbers.is_repetition(usize::MAX, enter.user_ref) => true,
                    Err(reason) => self.refuse(order, reason, account),
                }
            }
            Inbound::ReplaceOrder(replace) => {
                let order = (replace.user_ref, replace.client_order_id);
                match account.numbers.home(replace.original) {
                    Some(slot) => self.order(slot, order, bytes, account),
                    None => self.everywhere(order, bytes, account),
                }
            }
            Inbound::CancelOrder(cancel) => self.reduce(cancel.user_ref, bytes, account),
            Inbound::ModifyOrder(modify) => self.reduce(modify.user_ref, bytes, account),
            Inbound::MassCancel(cancel) => {
                let request = (cancel.user_ref, [b' '; 14]);
                if cancel.symbol == [b' '; 8] {
                    return Ok(self.everywhere(request, bytes, account));
                }
                match self.destination(cancel.symbol, around) {
                    Ok(slot) => self.order(slot, request, bytes, account),
                    Err(_) if account.numbers.is_repetition(usize::MAX, cancel.user_ref) => true,
                    Err(reason) => self.refuse(request, reason, account),
                }
            }
            Inbound::AccountQuery => self.query(account),
        })
    }

    /// The pair that an order for `symbol` goes to; or why it goes to none.
    fn destination(&self, symbol: [u8; 8], around: &Around<'_>) -> Result<Slot, u16> {
        let map: &PlacementMap = around.map.ok_or(reasons::STALE)?;
        let symbol = Symbol::from_padded(symbol).ok_or(reasons::UNKNOWN)?;
        let (pair, _) = map.home(symbol).ok_or(reasons::UNKNOWN)?;
        if around.stale.get(&symbol).is_some_and(|newer| *newer > map.generation) {
            return Err(reasons::STALE);
        }
        let link = self.links.iter().find(|link| link.name == *pair).ok_or(reasons::UNREACHABLE)?;
        Ok(link.slot)
    }

    /// Sends what uses up a number to its pair, or refuses it. False when it has to wait.
    fn order(&mut self, slot: Slot, order: (u32, [u8; 14]), bytes: &[u8], account: &mut Account) -> bool {
        let (user_ref, client_order_id) = order;
        if account.numbers.is_repetition(slot, user_ref) {
            return true;
        }
        let link = &mut self.links[slot];
        match link.state() {
            State::Down => return self.refuse(order, reasons::UNREACHABLE, account),
            State::Asking => return false,
            State::Ready => {}
        }
        if account.numbers.under_way(slot) >= UNDER_WAY_MAX || link.is_full() {
            if link.queries.is_empty() {
                let asked_behind = account.numbers.last_under_way(slot);
                link.ask(Query { asked_behind, round: None });
            }
            return false;
        }
        account.record.append(&Entry::Sent { slot, user_ref, client_order_id }, &mut self.cursor);
        account.numbers.sent(slot, user_ref, client_order_id);
        link.send(bytes);
        true
    }

    /// A replacement of an order whose pair is not remembered: the pair that has it will know it. And a mass cancel of
    /// every instrument.
    fn everywhere(&mut self, order: (u32, [u8; 14]), bytes: &[u8], account: &mut Account) -> bool {
        if account.numbers.is_repetition(usize::MAX, order.0) {
            return true;
        }
        if self.links.iter().any(|link| link.state() == State::Asking || link.is_full()) {
            return false;
        }
        if self.links.iter().any(|link| link.state() == State::Down) {
            return self.refuse(order, reasons::UNREACHABLE, account);
        }
        for link in &mut self.links {
            link.send(bytes);
        }
        true
    }

    /// A cancel or a modification goes to the pair of its order, or to all if that is not remembered.
    fn reduce(&mut self, user_ref: u32, bytes: &[u8], account: &mut Account) -> bool {
        let home = account.numbers.home(user_ref);
        let concerned = |link: &&mut Link| home.is_none_or(|slot| link.slot == slot);
        let waits = |link: &mut Link| link.state() == State::Asking || link.is_full();
        if self.links.iter_mut().filter(concerned).any(waits) {
            return false;
        }
        let mut down = false;
        for link in self.links.iter_mut().filter(concerned) {
            match link.state() {
                State::Ready => link.send(bytes),
                _ => down = true,
            }
        }
        if down {
            let mut message = Vec::with_capacity(outbound::CancelReject::LEN);
            outbound::CancelReject { timestamp: since_midnight(), user_ref }.encode(&mut message);
            self.say(message, account);
        }
        true
    }

    /// An account query goes to all pairs, and is answered once.
    fn query(&mut self, account: &mut Account) -> bool {
        let waits = |link: &Link| link.state() == State::Asking || link.is_full();
        if self.rounds.len() >= ROUNDS_MAX || self.links.iter().any(waits) {
            return false;
        }
        self.round_numbers += 1;
        let mut round = Round { number: self.round_numbers, waiting: 0, next: 1 };
        for link in &mut self.links {
            if link.state() == State::Ready {
                let asked_behind = account.numbers.last_under_way(link.slot);
                link.ask(Query { asked_behind, round: Some(round.number) });
                round.waiting |= 1 << link.slot;
            } else {
                round.next = round.next.max(account.numbers.next_after(link.slot));
            }
        }
        self.rounds.push_back(round);
        self.finish_rounds(account);
        true
    }

    /// Answers the account queries that every pair has answered.
    pub(super) fn finish_rounds(&mut self, account: &mut Account) {
        while self.rounds.front().is_some_and(|round| round.waiting == 0)
            && let Some(round) = self.rounds.pop_front()
        {
            let next_user_ref = round.next.max(account.numbers.next_after_refused());
            let mut message = Vec::with_capacity(outbound::AccountQueryResponse::LEN);
            outbound::AccountQueryResponse { timestamp: since_midnight(), next_user_ref }
                .encode(&mut message);
            self.say(message, account);
        }
    }

    /// Refuses an order in the router's own name; its number is used up. True, for it is done.
    pub(super) fn refuse(&mut self, order: (u32, [u8; 14]), reason: u16, account: &mut Account) -> bool {
        let (user_ref, client_order_id) = order;
        let mut message = Vec::with_capacity(outbound::Rejected::LEN);
        outbound::Rejected { timestamp: since_midnight(), user_ref, reason, client_order_id }
            .encode(&mut message);
        account.numbers.refuse(user_ref);
        self.say(message, account);
        true
    }
}
