//! Who listens to the session of one connection: who may come in, and what a message asks for, while nothing is done yet.

use domain::{Command, Nanos, SessionId};
use wire::fix::Checked;

use super::FixVenue;
use crate::{
    fix::{Act, Application, Desk, Entry, Identity, Logon, Refused, Taken, Throttle},
    gateway::requests,
    placement::Here,
    sessions::Sessions,
    venue::{Instruments, Venue},
};

/// Who listens to the session of one connection.
pub(super) struct App<'a, V> {
    pub(super) entry: Entry<'a>,
    pub(super) venue_is: &'a FixVenue,
    pub(super) sessions: &'a Sessions,
    pub(super) instruments: &'a Instruments,
    pub(super) here: Option<&'a Here>,
    pub(super) by_session: &'a [Option<usize>],
    /// Connections whose clients may be gone.
    pub(super) doubtful: &'a dyn Fn(usize) -> bool,
    pub(super) open_orders_max: usize,
    pub(super) window: u32,
    /// Nanoseconds that an order may wait.
    pub(super) patience: u64,
    pub(super) read_at: Nanos,
    pub(super) now: Nanos,
    pub(super) venue: &'a mut V,
    pub(super) unpublished: &'a mut bool,
    pub(super) throttle: &'a mut Throttle,
    pub(super) act: Option<Act>,
    pub(super) logon: Option<(SessionId, bool)>,
}

impl<V: Venue> Application for App<'_, V> {
    fn logon(&mut self, logon: &Checked<'_, '_>, is_reset: bool) -> Result<Logon, Refused> {
        let id = self.entry.whose(logon)?;
        let session = self.sessions.get(id).ok_or(Refused::No)?;
        let fix = session.fix().ok_or(Refused::No)?;
        let other = self.by_session[id.0 as usize].filter(|other| *other != self.entry.token);
        if other.is_some_and(|other| !(self.doubtful)(other)) {
            return Err(Refused::No);
        }
        self.logon = Some((id, is_reset));
        let name = |tag| logon.get(tag).unwrap_or_default().to_vec();
        let identity = Identity { ours: name(56), theirs: name(49) };
        Ok(Logon { identity, next: (fix.next_in(), session.next_number() - fix.out_base()) })
    }

    fn message(&mut self, message: &Checked<'_, '_>, number: u64, is_again: bool) -> Taken {
        let Some(id) = self.entry.id else { return Taken::No { reason: 6, text: "not logged on" } };
        let Some(session) = self.sessions.get(id) else { return Taken::Later };
        let Some(fix) = session.fix() else { return Taken::Later };
        let desk = Desk {
            id,
            session,
            fix,
            instruments: self.instruments,
            here: self.here,
            takes_orders: self.venue.takes_orders(),
            open_orders_max: self.open_orders_max,
            now: self.now,
        };
        // A copy, or one that the client says it may have sent before.
        let is_again = is_again || message.is_set(43);
        let mut act = match desk.act(message, number, is_again, |book| self.venue.next_order(book)) {
            Ok(act) => act,
            Err(taken) => return taken,
        };
        if let Act::Sequence(_, Some(command)) | Act::MassCancel(_, command, _) = &act
            && !self.has_room(command)
        {
            if self.now.0.saturating_sub(self.read_at.0) <= self.patience {
                return Taken::Later;
            }
            match desk.busy(message, number) {
                Some(refusal) => act = refusal,
                None => return Taken::Later,
            }
        }
        // What makes books smaller always goes.
        if matches!(message.message().msg_type, b"D" | b"G")
            && act != Act::Nothing
            && !self.throttle.lets(self.venue_is.orders_per_second, self.now)
        {
            return Taken::No {
                reason: 0,
                text: "throttled: more orders in a second than the session may send",
            };
        }
        if matches!(act, Act::MassCancel(..)) && !self.throttle.lets_mass_cancel(self.now) {
            return Taken::No { reason: 0, text: "throttled: one mass cancel in 100 ms" };
        }
        self.act = Some(act);
        Taken::Yes
    }
}

impl<V: Venue> App<'_, V> {
    /// Whether a command finds room now. An order waits while its book's window is full, a cancel only for its ring.
    fn has_room(&mut self, command: &Command) -> bool {
        let Some(book) = command.instrument() else { return self.venue.accepts(command) };
        if !self.venue.has_room(Some(book)) {
            return false;
        }
        matches!(command, Command::Cancel(_) | Command::MassCancel(_))
            || requests::outstanding(self.venue, self.unpublished, book, self.window) < u64::from(self.window)
    }
}
