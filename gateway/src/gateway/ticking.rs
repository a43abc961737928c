//! What time brings to connections: heartbeats and deadlines.
//!
//! Each connection is looked at four times in the interval of SoupBinTCP's heartbeats, in pieces: a heartbeat is a call of the
//! system, and those of thousands at once would keep everybody else waiting.

use std::time::Instant;

use journal::Position;
use wire::soup::ServerPacket;

use super::Gateway;
use crate::{
    connection::{Close, Stage},
    venue::Venue,
};

/// Connections that one turn looks at.
const CONNECTIONS_MAX: usize = 256;
/// Of those, how many may have had something said to them.
const SAID_MAX: usize = 8;

impl Gateway {
    /// Begins to look at all connections when it is time to, or goes on with that.
    pub(super) fn tick<V: Venue>(&mut self, now: Instant, venue: &mut V) {
        if self.ticking.is_none() {
            if now.duration_since(self.last_tick) < self.limits.heartbeat / 4 {
                return;
            }
            self.last_tick = now;
            if self.accept_again {
                self.accept();
            }
            // Connections that could not be accepted for want of file descriptors make no second event.
            self.accept();
        }
        let first = self.ticking.take().unwrap_or(0);
        let mut said = 0;
        for token in first..self.connections.len() {
            if token - first == CONNECTIONS_MAX || said == SAID_MAX {
                self.ticking = Some(token);
                break;
            }
            said += usize::from(self.look_at_time(token, now, venue));
        }
    }

    /// Does what is due on a connection. Says whether something has been said.
    fn look_at_time<V: Venue>(&mut self, token: usize, now: Instant, venue: &mut V) -> bool {
        let Some(connection) = self.connections[token].as_mut() else { return false };
        let is_fix = connection.fix.is_some();
        let mut said = false;
        let reason = match connection.stage {
            Stage::AwaitingLogin | Stage::Authenticating { .. }
                if now.duration_since(connection.opened) > self.limits.login_timeout =>
            {
                Some(Close::LoginTimeout)
            }
            Stage::LoggedIn { .. } if is_fix => {
                self.tick_fix(token, venue);
                said = self.connections[token].as_ref().is_some_and(|connection| connection.dirty);
                None
            }
            Stage::LoggedIn { .. } if now.duration_since(connection.heard) > self.limits.silence_max => {
                Some(Close::Silent)
            }
            Stage::LoggedIn { .. } if now.duration_since(connection.sent) >= self.limits.heartbeat => {
                if connection.outbox.is_empty() {
                    said = true;
                    connection.outbox.ungated(|out| ServerPacket::Heartbeat.encode(out));
                    connection.flush(Position(0), now).err()
                } else {
                    None
                }
            }
            _ => None,
        };
        if let Some(reason) = reason {
            self.close(token, &reason);
            return true;
        }
        said
    }
}
