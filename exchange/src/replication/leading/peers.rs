//! Who connects to a node that leads: handshakes, and the one connection of its standby.

use cluster::frame::{Message, Reason, Refused};
use link::Accepted;
use log::{info, warn};
use mio::Token;

use super::{
    super::{boot_nanos, wire::Wire},
    Driver,
};

pub(super) const LISTENER: Token = Token(0);
/// The first token of a connection.
pub(super) const FIRST: usize = 2;

/// A connection whose peer may not be known yet.
pub(super) struct Guest {
    pub(super) token: Token,
    pub(super) wire: Wire,
}

/// Lets a handshake go on. Says whether there is more to do at once.
fn shake_hands(guest: &mut Guest, now_nanos: u64) -> Result<bool, String> {
    let more = guest.wire.read()? | guest.wire.flush()?;
    guest.wire.stream.check_time(now_nanos).map_err(|error| error.to_string())?;
    match guest.wire.ended() {
        Some(why) if guest.wire.stream.is_handshaking() => Err(why.to_owned()),
        _ => Ok(more),
    }
}

impl Driver {
    pub(super) fn accept(&mut self) {
        loop {
            match self.listener.accept(boot_nanos()) {
                Ok(None) => return,
                Ok(Some(Accepted::Refused { address, why })) => {
                    warn!("replication: {address} is not let in: {why}");
                }
                Ok(Some(Accepted::Stream(mut stream))) => {
                    let token = Token(self.next_token);
                    self.next_token += 1;
                    if let Err(error) = stream.register(self.poll.registry(), token) {
                        warn!("replication: {}: {error}", stream.address());
                        continue;
                    }
                    self.guests.push(Guest { token, wire: Wire::new(*stream, 0) });
                }
                Err(error) => {
                    warn!("replication: accepting: {error}");
                    return;
                }
            }
        }
    }

    /// Lets handshakes go on. Whoever is verified and is the other node becomes the standby's connection.
    pub(super) fn greet(&mut self) -> bool {
        let now = boot_nanos();
        let mut more = false;
        let mut verified = None;
        self.guests.retain_mut(|guest| {
            let address = guest.wire.stream.address();
            match shake_hands(guest, now) {
                Err(error) => {
                    warn!("replication: {address}: {error}");
                    return false;
                }
                Ok(again) => more |= again,
            }
            if guest.wire.stream.is_handshaking() || verified.is_some() {
                return true;
            }
            verified = Some(guest.token);
            true
        });
        if let Some(token) = verified
            && let Some(at) = self.guests.iter().position(|guest| guest.token == token)
        {
            let guest = self.guests.swap_remove(at);
            more = true;
            self.meet(guest);
        }
        more
    }

    fn meet(&mut self, mut guest: Guest) {
        let (address, peer) =
            (guest.wire.stream.address(), guest.wire.stream.peer().unwrap_or_default().to_owned());
        if peer != self.node.peer() {
            warn!("replication: {address} is {peer}, and only {} follows this node", self.node.peer());
            let text = format!("{peer} does not follow {}", self.node.identity.node()).into();
            let refused = Refused { reason: Reason::Protocol, promised: self.epoch, text };
            let _ = guest.wire.send(&Message::Refused(refused));
            let _ = guest.wire.stream.close();
            return;
        }
        // A new connection of the same node: whatever the old one was, it is over.
        self.drop_standby("replaced by a new connection");
        info!("replication: {peer} has come from {address}");
        self.standby = Some((guest, false));
        // Retention works beside the exchange.
        if let Some(first) = journal::first_position(&self.dir) {
            self.machine.retained(first);
        }
        self.machine.link_up(boot_nanos());
    }

    pub(super) fn drop_standby(&mut self, why: &str) {
        if let Some((guest, _)) = self.standby.take() {
            info!("replication: {} is gone: {why}", guest.wire.stream.address());
            self.machine.link_down();
            self.forget_way();
        }
    }

    /// Reads what the standby says.
    pub(super) fn listen(&mut self) -> bool {
        let Some((guest, _)) = &mut self.standby else { return false };
        let mut more = false;
        let result = guest.wire.read().and_then(|again| {
            more = again;
            loop {
                let Some((message, bytes)) = guest.wire.peek()? else {
                    return guest.wire.ended().map_or(Ok(()), |why| Err(why.to_owned()));
                };
                self.machine.on_message(boot_nanos(), &message);
                guest.wire.taken(bytes);
            }
        });
        if let Err(why) = result {
            self.drop_standby(&why);
        }
        more
    }

    pub(super) fn flush(&mut self) -> bool {
        let Some((guest, closing)) = &mut self.standby else { return false };
        match guest.wire.flush() {
            Err(why) => {
                if *closing {
                    self.standby = None;
                } else {
                    self.drop_standby(&why);
                }
                false
            }
            Ok(more) => {
                if *closing && !guest.wire.stream.wants_write() {
                    self.standby = None;
                }
                more
            }
        }
    }
}
