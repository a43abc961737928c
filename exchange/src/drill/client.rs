//! A client that knows what it was told, comes back where it was, and sees when orders are answered.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use client::{
    ClientError, User,
    soup::{Connection, MessageLog},
};
use wire::{
    ouch::{
        Appendage, Inbound, Outbound, codes,
        inbound::{CancelOrder, EnterOrder},
    },
    soup::{LoginRequest, Password, SessionName, Username},
};

use super::PATIENCE;
use crate::run::SESSION_NAME;

/// From a refusal to the next order.
const AGAIN: Duration = Duration::from_millis(2);
/// What its orders would pay, in ten-thousandths: so little that nobody sells.
const PRICE_E4: u64 = 10_000;

/// An order of a drill: it buys one, for so little that nobody sells.
pub(super) fn cheap_order(user_ref: u32, symbol: [u8; 8], time_in_force: u8) -> Inbound<'static> {
    Inbound::EnterOrder(EnterOrder {
        user_ref,
        side: b'B',
        quantity: 1,
        symbol,
        price: PRICE_E4,
        time_in_force,
        display: b'Y',
        capacity: b'P',
        intermarket_sweep: b'N',
        cross: b'N',
        client_order_id: [b' '; 14],
        appendage: Appendage::EMPTY,
    })
}

/// A login into the exchange's one session, from message `sequence` on; 0 for what is new only.
pub(super) fn login_request(user: &User, sequence: u64) -> Result<LoginRequest, String> {
    let cannot = || format!("{} cannot be a user's name or password", user.name);
    Ok(LoginRequest {
        username: Username::new(&user.name).ok_or_else(cannot)?,
        password: Password::new(&user.password).ok_or_else(cannot)?,
        session: SessionName::new(SESSION_NAME).ok_or_else(cannot)?,
        sequence,
    })
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    /// Nothing is taken but cancels.
    CancelsOnly,
}

/// One session, logged in.
pub(super) struct Client {
    name: String,
    connection: Connection,
    symbol: [u8; 8],
    next_ref: u32,
    told: MessageLog,
}

impl Client {
    /// Logs in for what comes behind what it was told, and hears all of it. What it is told and what it was told must fit
    /// together.
    pub(super) fn come_back(
        address: SocketAddr,
        user: &User,
        symbol: [u8; 8],
        told: MessageLog,
    ) -> Result<Self, String> {
        let error = |error: ClientError| error.to_string();
        let mut connection = Connection::open(address, PATIENCE).map_err(error)?;
        connection.login(user, SESSION_NAME, told.next_sequence().max(1), PATIENCE).map_err(error)?;
        let name = user.name.clone();
        let mut client = Self { name, connection, symbol, next_ref: 1, told };
        // Asked twice: an answer that an earlier connection left behind may come first, and be out of date.
        for _ in 0..2 {
            client.send(&Inbound::AccountQuery)?;
            let next = client.wait_for(PATIENCE, |message| match message {
                Outbound::AccountQueryResponse(answer) => Some(answer.next_user_ref),
                _ => None,
            })?;
            client.next_ref =
                next.ok_or_else(|| format!("{}'s account query was not answered", user.name))?;
        }
        Ok(client)
    }

    /// Sends an order that will rest; returns its number.
    pub(super) fn order(&mut self) -> Result<u32, String> {
        let user_ref = self.next_ref;
        self.next_ref += 1;
        self.send(&cheap_order(user_ref, self.symbol, codes::DAY))?;
        Ok(user_ref)
    }

    /// What an order is answered.
    pub(super) fn answer(&mut self, user_ref: u32) -> Result<Answer, String> {
        self.answer_within(user_ref, PATIENCE)?
            .ok_or_else(|| format!("order {user_ref} of {} was not answered", self.name))
    }

    /// What an order is answered so soon, if it is.
    pub(super) fn answer_within(&mut self, user_ref: u32, time: Duration) -> Result<Option<Answer>, String> {
        let no_room = codes::reject_reason(domain::RejectReason::StorageFull);
        let name = self.name.clone();
        self.wait_for(time, |message| match message {
            Outbound::Accepted(accepted) if accepted.user_ref == user_ref => Some(Ok(Answer::Accepted)),
            Outbound::Rejected(rejected) if rejected.user_ref == user_ref && rejected.reason == no_room => {
                Some(Ok(Answer::CancelsOnly))
            }
            Outbound::Rejected(rejected) if rejected.user_ref == user_ref => {
                Some(Err(format!("order {user_ref} of {name} was refused: reason {:#04x}", rejected.reason)))
            }
            _ => None,
        })?
        .transpose()
    }

    /// Sends orders, one after another, until one is accepted. Returns how many were refused before.
    pub(super) fn until_accepted(&mut self) -> Result<u32, String> {
        let deadline = Instant::now() + PATIENCE;
        let mut refused = 0;
        while Instant::now() < deadline {
            let order = self.order()?;
            if self.answer(order)? == Answer::Accepted {
                return Ok(refused);
            }
            refused += 1;
            std::thread::sleep(AGAIN);
        }
        Err(format!("{} was refused {refused} orders in {} s", self.name, PATIENCE.as_secs()))
    }

    /// Takes an order back, and waits for the answer.
    pub(super) fn cancel(&mut self, user_ref: u32) -> Result<(), String> {
        self.send(&Inbound::CancelOrder(CancelOrder { user_ref, quantity: 0 }))?;
        self.wait_for(PATIENCE, |message| match message {
            Outbound::Canceled(canceled) if canceled.user_ref == user_ref => Some(()),
            _ => None,
        })?
        .ok_or_else(|| format!("the cancel of order {user_ref} of {} was not answered", self.name))
    }

    /// Says goodbye, and gives all that it was told.
    pub(super) fn leave(mut self) -> MessageLog {
        // What it was told is with it: how the goodbye fares changes nothing.
        let _ = self.connection.logout();
        self.told
    }

    fn send(&mut self, request: &Inbound<'_>) -> Result<(), String> {
        self.connection.send(request).map_err(|error| error.to_string())?;
        self.connection.drain(PATIENCE).map_err(|error| error.to_string())
    }

    /// Hears messages, and keeps them, until one is what is waited for.
    fn wait_for<T>(
        &mut self,
        time: Duration,
        mut is: impl FnMut(&Outbound<'_>) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(message) = self.connection.receive(left).map_err(|error| error.to_string())? else {
                return Ok(None);
            };
            self.told.observe(&message).map_err(|error| format!("{}: {error}", self.name))?;
            if let Some(found) = is(&message.message) {
                return Ok(Some(found));
            }
        }
    }
}
