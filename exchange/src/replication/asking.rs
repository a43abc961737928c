//! Before a node leads on nobody's word but its own, it asks the other one whether that one leads.
//!
//! It says hello as a standby does, with its journal, and goes away with the answer. The hello promises nothing, so nobody
//! is deposed by a question. A node that does not answer may be dead, cut off, or following: only somebody who sees both
//! can tell, which here is the operator.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use cluster::frame::{Hello, Message, Reason};
use domain::Epoch;
use link::{Limits, Stream};
use mio::{Events, Poll, Token};

use super::{Node, boot_nanos, wire::Wire};

/// How long an answer may take, of each address.
const PATIENCE: Duration = Duration::from_secs(2);
const LINK: Token = Token(0);

/// What the other node says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It leads in this epoch, or has heard of that one.
    Leads(Epoch),
    /// It leads another journal.
    Foreign(String),
    /// Nobody listens where it would if it led.
    Absent,
    /// It cannot be reached, or makes no sense.
    Silent(String),
}

/// Asks at each address of the other node, until one has an answer.
pub(crate) fn ask(node: &Node, hello: &Hello) -> Answer {
    let mut answer = Answer::Absent;
    for address in &node.peers {
        match ask_at(*address, node, hello) {
            Answer::Absent => {}
            Answer::Silent(why) => answer = Answer::Silent(format!("{address}: {why}")),
            said @ (Answer::Leads(_) | Answer::Foreign(_)) => return said,
        }
    }
    answer
}

fn ask_at(address: SocketAddr, node: &Node, hello: &Hello) -> Answer {
    match converse(address, node, hello) {
        Ok(answer) => answer,
        Err(why) => Answer::Silent(why),
    }
}

fn converse(address: SocketAddr, node: &Node, hello: &Hello) -> Result<Answer, String> {
    let say = |error: &dyn std::fmt::Display| error.to_string();
    let begun = Instant::now();
    let mut poll = Poll::new().map_err(|error| say(&error))?;
    let mut events = Events::with_capacity(4);
    let mut stream = Stream::connect(address, &node.identity, &node.peer(), Limits::default(), boot_nanos())
        .map_err(|error| say(&error))?;
    stream.register(poll.registry(), LINK).map_err(|error| say(&error))?;
    // No batch and no piece of a snapshot is ever asked for.
    let mut wire = Wire::new(stream, 0);
    let mut has_asked = false;
    loop {
        let more = wire.read()?;
        let flushed = if wire.ended().is_some() { Ok(false) } else { wire.flush() };
        if wire.nobody_listens() {
            return Ok(Answer::Absent);
        }
        let more = flushed? | more;
        if !has_asked && !wire.stream.is_handshaking() {
            has_asked = true;
            wire.send(&Message::Hello(hello.clone()))?;
            continue;
        }
        if let Some((message, _)) = wire.peek()? {
            let answer = answer(&message).ok_or_else(|| format!("it answers with a {}", message.name()));
            let _ = wire.stream.close();
            return answer;
        }
        if let Some(why) = wire.ended() {
            return Err(why.to_owned());
        }
        let left = PATIENCE.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(format!("no answer within {} s", PATIENCE.as_secs()));
        }
        let wait = if more { Duration::ZERO } else { left };
        if let Err(error) = poll.poll(&mut events, Some(wait))
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(format!("polling: {error}"));
        }
    }
}

/// What a message says of the node that sends it, if it can be an answer.
fn answer(message: &Message<'_>) -> Option<Answer> {
    match message {
        Message::Welcome(welcome) => Some(Answer::Leads(welcome.epoch)),
        Message::Refused(refused) if refused.reason == Reason::ForeignCluster => {
            Some(Answer::Foreign(refused.text.to_string()))
        }
        // Whatever it does not like: whoever listens leads.
        Message::Refused(refused) => Some(Answer::Leads(refused.promised)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use cluster::frame::Refused;

    use super::*;

    #[test]
    fn whoever_answers_leads_unless_it_leads_something_else() {
        let refused =
            |reason| answer(&Message::Refused(Refused { reason, promised: Epoch(4), text: "no".into() }));
        assert_eq!(refused(Reason::NoSnapshot), Some(Answer::Leads(Epoch(4))));
        assert_eq!(refused(Reason::Diverged), Some(Answer::Leads(Epoch(4))));
        assert_eq!(refused(Reason::ForeignCluster), Some(Answer::Foreign("no".into())));
        assert_eq!(answer(&Message::Taken { epoch: Epoch(4) }), None);
    }
}
