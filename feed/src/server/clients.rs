//! The clients of both TCP listeners, by token: who has something to say, and whose login has been verified.

use std::time::Instant;

use mio::Token;
use wire::mold::Session;

use super::{Server, WEB_CLIENTS};
use crate::market::Market;

impl Server {
    /// Takes other users, if there are some, and what has come out of logins that were being verified. Who is to be looked at
    /// after it is put into `again`.
    pub(super) fn look_at_logins(&mut self, session: Session, again: &mut Vec<usize>, now: Instant) {
        for out in self.doors.begin_turn() {
            if let Some(snapshots) = &mut self.snapshots {
                snapshots.expel(out);
            }
            if let Some(web) = &mut self.web {
                web.expel(out, now);
            }
        }
        while let Some(verdict) = self.doors.verdict(now) {
            if verdict.token < WEB_CLIENTS {
                if let Some(snapshots) = &mut self.snapshots {
                    snapshots.on_verdict(&verdict, &self.doors, session, now);
                }
            } else if let Some(web) = &mut self.web {
                web.on_verdict(&verdict, &self.doors, now);
                // What it has said meanwhile is not announced again.
                again.push(verdict.token);
            }
            self.unpark(true, session, again, now);
        }
        while self.unpark(false, session, again, now) {}
    }

    /// Lets one go on whose login waits to be verified. Says whether there was one.
    fn unpark(&mut self, has_room: bool, session: Session, again: &mut Vec<usize>, now: Instant) -> bool {
        let Some(token) = self.doors.unpark(has_room) else { return false };
        if token < WEB_CLIENTS {
            if let Some(snapshots) = &mut self.snapshots {
                snapshots.try_again(token, &mut self.doors, session, now);
            }
        } else if let Some(web) = &mut self.web {
            web.try_again(token, &mut self.doors, now);
            again.push(token);
        }
        true
    }

    /// Reads of clients that have something to say, each a bounded piece, and leaves in `again` who may have more. Says
    /// whether somebody does.
    pub(super) fn hear(
        &mut self,
        again: &mut Vec<usize>,
        has_begun: bool,
        session: Session,
        market: &Market,
        now: Instant,
    ) -> bool {
        let Self { doors, snapshots, web, .. } = self;
        doors.put_in_order(again);
        again.retain(|token| {
            if *token < WEB_CLIENTS {
                let snapshots = snapshots.as_mut();
                return snapshots
                    .is_some_and(|snapshots| snapshots.on_ready(Token(*token), doors, session, now));
            }
            // Before there is something published there is nothing to subscribe to.
            !has_begun || web.as_mut().is_some_and(|web| web.on_ready(Token(*token), doors, market, now))
        });
        has_begun && !again.is_empty()
    }
}
