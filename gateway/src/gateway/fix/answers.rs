//! What messages ask for is done: commands are sequenced, questions are answered, in pieces where the answer is long.

use std::time::Instant;

use domain::{
    ClientOrderId, Command, Nanos, OrderReport, OrderReportKind, OrderStatus, Report, ReportKind, SessionId,
};
use wire::fix::report;

use crate::{
    fix::{Act, Asked, Link, MassAsked, MassCanceling, SECURITIES, security_list},
    gateway::{
        Gateway,
        catch_up::{Given, MESSAGES_MAX, RESEND_MAX},
    },
    ouch::Action,
    venue::Venue,
};

impl Gateway {
    /// Does what a message asks for; room was asked for.
    pub(super) fn act<V: Venue>(&mut self, token: usize, id: SessionId, act: Act, venue: &mut V) {
        match act {
            Act::Nothing => self.stats.ignored += 1,
            Act::Sequence(request, command) => {
                let commands = [request.map(Command::FixRequest), command];
                for command in commands.into_iter().flatten() {
                    self.perform(id, &Action::Sequence(command), venue);
                }
            }
            Act::MassCancel(request, command, canceling) => {
                self.perform(id, &Action::Sequence(Command::FixRequest(request)), venue);
                self.tell_mass_cancel(token, &canceling, request.client_ref.0, venue);
                self.perform(id, &Action::Sequence(command), venue);
            }
            Act::Status(asked) => self.tell_status(token, &asked, None, venue),
            Act::MassStatus(asked) if asked.orders.is_empty() => {
                let status = Asked {
                    order: None,
                    status: OrderStatus::Rejected,
                    client_order_id: ClientOrderId::BLANK,
                    symbol: b"NONE".to_vec(),
                    side_code: b'1',
                    id: Vec::new(),
                };
                self.tell_status(token, &status, Some((&asked.id, 0, true)), venue);
            }
            Act::MassStatus(asked) => self.answer_later(token, |link| link.mass_status = Some((asked, 0))),
            Act::SecurityList(id) => self.answer_later(token, |link| link.securities = Some((id, 0))),
            Act::TradingStatus(id) => {
                let is_open = venue.takes_orders();
                self.tell(token, b"h", venue, |message| {
                    message.text(335, &id).text(336, b"DAY").number(340, if is_open { 2 } else { 1 });
                });
            }
            Act::SecurityStatus(id, instrument) => {
                let Some(symbol) = self.instruments.get(instrument).map(|instrument| instrument.symbol)
                else {
                    return;
                };
                let state = if venue.takes_orders() { 17 } else { 18 };
                self.tell(token, b"f", venue, |message| {
                    message.text(324, &id).text(55, symbol.as_str().as_bytes()).number(326, state);
                });
            }
        }
    }

    /// Leaves answers to be given in pieces.
    fn answer_later(&mut self, token: usize, leave: impl FnOnce(&mut Link)) {
        if let Some(link) = self.link_mut(token) {
            leave(link);
            if !self.answering.contains(&token) {
                self.answering.push_back(token);
            }
        }
    }

    /// Goes on with long answers, in turn. They are new messages: each has its number in the log before that is committed, so this
    /// belongs where messages are heard, not where they are sent. Says whether anything was said.
    pub(in crate::gateway) fn go_on_answering<V: Venue>(&mut self, venue: &mut V) -> bool {
        if self.answering.is_empty() {
            return false;
        }
        let may = self.pace.may(Instant::now(), MESSAGES_MAX);
        let mut left = may;
        for _ in 0..self.answering.len() {
            if left == 0 {
                break; // the others are first in the next turn
            }
            let Some(token) = self.answering.pop_front() else { break };
            let given = self.answer_some(token, left, venue);
            left -= given.messages;
            if !given.is_all {
                self.answering.push_back(token);
            }
        }
        self.pace.gave(may - left);
        left < may
    }

    fn tell_mass_cancel<V: Venue>(
        &mut self,
        token: usize,
        canceling: &MassCanceling,
        client_ref: u32,
        venue: &mut V,
    ) {
        let now = venue.now();
        self.tell(token, b"r", venue, |message| {
            message.number(37, client_ref.into()).text(11, canceling.client_order_id.trimmed());
            message.letter(530, canceling.scope).letter(531, canceling.scope);
            if let Some(symbol) = canceling.symbol {
                message.text(55, symbol.as_str().as_bytes());
            }
            message.time(60, now);
        });
    }

    /// Tells how an order stands. `of`: the MassStatusReqID that it answers, of how many, and whether it is the last.
    fn tell_status<V: Venue>(
        &mut self,
        token: usize,
        asked: &Asked,
        of: Option<(&[u8], u64, bool)>,
        venue: &mut V,
    ) {
        let now = venue.now();
        let instrument =
            asked.order.and_then(|order| self.instruments.get(order.order.instrument())).copied();
        let session = self.session_of(token).unwrap_or_default();
        let trade_id = self.session_mut(token).map_or(0, |session| session.dictionary().trade_id);
        self.tell(token, b"8", venue, |message| {
            let answer = answer(session, asked.order.as_ref(), now);
            let told = match (&asked.order, &answer) {
                (Some(order), Some(answer)) => {
                    report::order_report(answer, order, instrument.as_ref(), (true, trade_id), message)
                        .is_ok()
                }
                _ => false,
            };
            if !told {
                message.text(37, b"NONE");
                if !asked.client_order_id.trimmed().is_empty() {
                    message.text(11, asked.client_order_id.trimmed());
                }
                message.number(17, 0).letter(150, b'I').letter(39, report::status(asked.status));
                message.text(55, &asked.symbol).letter(54, asked.side_code);
                message.number(151, 0).number(14, 0).number(6, 0);
                let text: &[u8] = match asked.status {
                    OrderStatus::Rejected => b"no such order works",
                    _ => b"the order lives no more",
                };
                message.text(58, text);
            }
            if !asked.id.is_empty() {
                message.text(790, &asked.id);
            }
            if let Some((id, many, is_last)) = of {
                message.text(584, id).number(911, many).letter(912, if is_last { b'Y' } else { b'N' });
            }
        });
    }

    /// Gives so many of the answers that were asked for, or fewer.
    fn answer_some<V: Venue>(&mut self, token: usize, messages_max: usize, venue: &mut V) -> Given {
        for messages in 0..messages_max {
            let all = Given { messages, is_all: true };
            let Some(connection) = self.connections[token].as_mut() else { return all };
            let Some(link) = connection.fix.as_mut().filter(|link| link.has_answers()) else { return all };
            // What it misses comes first.
            let is_behind = link.resend.is_some() || self.catching_up.contains(&token);
            if is_behind || connection.outbox.len() >= RESEND_MAX || !venue.has_room(None) {
                return Given { messages, is_all: false };
            }
            if let Some((asked, at)) = link.mass_status.take() {
                let next = at + 1;
                self.tell_one_of(token, &asked, at, venue);
                if next < asked.orders.len()
                    && let Some(link) = self.link_mut(token)
                {
                    link.mass_status = Some((asked, next));
                }
            } else if let Some((id, at)) = link.securities.take() {
                let next = at + SECURITIES;
                self.tell_securities(token, &id, at, venue);
                if next < self.instruments.as_slice().len()
                    && let Some(link) = self.link_mut(token)
                {
                    link.securities = Some((id, next));
                }
            }
        }
        let is_all = self.link_mut(token).is_none_or(|link| !link.has_answers());
        Given { messages: messages_max, is_all }
    }

    fn tell_one_of<V: Venue>(&mut self, token: usize, asked: &MassAsked, at: usize, venue: &mut V) {
        let Some(session) = self.session_of(token).and_then(|id| self.sessions.get(id)) else { return };
        let client_ref = asked.orders[at];
        let order = session.order_report(client_ref);
        // Gone since it was asked after.
        let symbol = b"NONE".to_vec();
        let status = Asked {
            order,
            status: OrderStatus::Rejected,
            client_order_id: ClientOrderId::BLANK,
            symbol,
            side_code: b'1',
            id: Vec::new(),
        };
        let many = asked.orders.len() as u64;
        self.tell_status(token, &status, Some((&asked.id, many, at + 1 == asked.orders.len())), venue);
    }

    fn tell_securities<V: Venue>(&mut self, token: usize, id: &[u8], at: usize, venue: &mut V) {
        let all = self.instruments.as_slice();
        let some: Vec<_> = all.iter().skip(at).take(SECURITIES).copied().collect();
        let of = (at, all.len());
        self.tell(token, b"y", venue, |message| security_list(message, id, &some, of));
    }
}

/// A report that answers a question after an order.
fn answer(session: SessionId, order: Option<&OrderReport>, now: Nanos) -> Option<Report> {
    let order = *order?;
    Some(Report {
        session,
        number: 0,
        sequence: domain::Sequence::default(),
        instrument: Some(order.order.instrument()),
        index: 0,
        nanos: now,
        kind: ReportKind::Order(OrderReport { kind: OrderReportKind::New, ..order }),
    })
}
