//! An audit over the wire: whether an exchange still says everything that it has said.
//!
//! 1. Each session logs in again, from its first message, and asks something: the answer comes behind everything that
//!    was said before.
//! 2. What it is told must be, number by number, what was kept of it when it happened.
//! 3. Each order that was acknowledged must be acknowledged there once.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use client::{
    User,
    soup::{Connection, MessageLog},
};

/// How long one answer of the exchange may take before it counts as missing.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an audit went through.
pub(crate) struct Audited {
    /// Orders that had been acknowledged.
    pub(crate) orders: usize,
    /// Of those, not in the history.
    pub(crate) lost: usize,
    /// Acknowledgements in the history beyond one for each order.
    pub(crate) duplicated: usize,
    pub(crate) messages: u64,
    /// By session: all that it has been told.
    pub(crate) histories: Vec<MessageLog>,
    /// The first session of which something is lost or duplicated, and what.
    wrong: Option<String>,
}

impl Audited {
    /// Fails if anything is lost or duplicated.
    pub(crate) fn must_be_whole(&self) -> Result<(), String> {
        self.wrong.clone().map_or(Ok(()), Err)
    }
}

/// What an audit pretends to find, to show that it would say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canary {
    /// An acknowledged order of the first session is not in its history.
    Lost,
    /// One is there twice.
    Duplicated,
}

/// Audits these sessions at an exchange. `told` is, by session, what was kept of what it was told; each piece may begin
/// at any message.
///
/// # Errors
/// When a message is another one than it was, or the history does not come to its end. Orders that are lost or
/// duplicated are counted instead.
pub(crate) fn audit(
    address: SocketAddr,
    users: &[User],
    told: Vec<Vec<MessageLog>>,
    canary: Option<Canary>,
) -> Result<Audited, String> {
    let mut audited =
        Audited { orders: 0, lost: 0, duplicated: 0, messages: 0, histories: Vec::new(), wrong: None };
    for (index, (user, told)) in users.iter().zip(told).enumerate() {
        let name = &user.name;
        let say = |error: &dyn std::fmt::Display| format!("audit of {name}: {error}");
        let seen = told.iter().map(MessageLog::next_sequence).max().unwrap_or(0);
        let acknowledged: BTreeSet<u32> =
            told.iter().flat_map(MessageLog::acknowledged).map(|order| order.user_ref).collect();
        let mut history = MessageLog::new();
        let mut compared = told;
        let mut connection = Connection::open(address, PATIENCE).map_err(|error| say(&error))?;
        connection.login(user, "", 1, PATIENCE).map_err(|error| say(&error))?;
        // The answer to a question asked now comes behind everything that was said before.
        connection.send(&wire::ouch::Inbound::AccountQuery).map_err(|error| say(&error))?;
        loop {
            let message = connection
                .receive(PATIENCE)
                .map_err(|error| say(&error))?
                .ok_or_else(|| say(&"the history does not come to its end"))?;
            history.observe(&message).map_err(|error| say(&error))?;
            for log in compared.iter_mut().filter(|log| log.next_sequence() > message.sequence) {
                log.observe(&message).map_err(|error| say(&error))?;
            }
            if matches!(message.message, wire::ouch::Outbound::AccountQueryResponse(_))
                && message.sequence >= seen
            {
                break;
            }
        }
        let mut there: Vec<u32> = history.acknowledged().iter().map(|order| order.user_ref).collect();
        match canary.filter(|_| index == 0) {
            Some(Canary::Lost) => there.retain(|order| Some(order) != acknowledged.last()),
            Some(Canary::Duplicated) => there.extend(there.last().copied()),
            None => {}
        }
        let once: BTreeSet<u32> = there.iter().copied().collect();
        let lost = acknowledged.difference(&once).count();
        let duplicated = there.len() - once.len();
        if lost + duplicated > 0 && audited.wrong.is_none() {
            audited.wrong = Some(say(&format!("acknowledged orders: {lost} lost, {duplicated} duplicated")));
        }
        audited.lost += lost;
        audited.duplicated += duplicated;
        audited.orders += acknowledged.len();
        audited.messages += history.next_sequence() - 1;
        audited.histories.push(history);
        connection.logout().map_err(|error| say(&error))?;
    }
    Ok(audited)
}
