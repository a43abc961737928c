//! Who is told of whose orders, when the users change while the exchange runs.

use domain::{Command, SessionId};
use log::warn;

use super::Gateway;
use crate::{ouch::Action, venue::Venue};

impl Gateway {
    /// Sequences what has changed, as soon as there is room.
    pub(super) fn follow_copies<V: Venue>(&mut self, venue: &mut V) {
        if !self.copies_due || !self.accepting {
            return;
        }
        let users: Vec<_> = self.credentials.users().cloned().collect();
        let due = match self.sessions.copies_due(&users) {
            Ok(due) => due,
            Err(error) => {
                warn!("drop copies stay as they are: {error}");
                self.copies_due = false;
                return;
            }
        };
        for copy in due {
            if !venue.has_room(None) {
                return; // what is left is found again in the next turn
            }
            self.perform(SessionId::default(), &Action::Sequence(Command::DropCopy(copy)), venue);
        }
        self.copies_due = false;
    }
}
