//! From a login to a session that is open: where in its stream it begins, and which pairs let it in.

use std::time::{Duration, Instant};

use journal::Position;
use wire::soup::{ClientPacket, Frame, LoginAccepted, LoginRejected, LoginRequest};

use super::{Close, Session, Stage, protocol};
use crate::{
    placement::map::PAIRS_MAX,
    route::{
        account::Accounts,
        link::{Link, State},
        record::Entry,
        router::Around,
    },
};

/// How long a login waits for pairs that do not answer, once another one has.
const OPENING: Duration = Duration::from_secs(3);

impl Session {
    pub(super) fn await_login(&mut self, accounts: &Accounts, around: &Around<'_>) -> Result<(), Close> {
        while let Some(packet) = self.client.packet().map_err(protocol)? {
            let frame = Frame { kind: packet.kind, payload: self.client.payload(packet), consumed: 0 };
            let decoded = ClientPacket::decode(&frame).map_err(protocol)?;
            match decoded {
                ClientPacket::LoginRequest(login) => {
                    self.client.use_up(packet);
                    return self.begin(login, accounts, around);
                }
                ClientPacket::Heartbeat | ClientPacket::Debug(_) => self.client.use_up(packet),
                ClientPacket::LogoutRequest => return Err(Close::Logout),
                ClientPacket::Unsequenced(_) => return Err(protocol("a request before the login")),
            }
        }
        Ok(())
    }

    /// A login: where in the session's stream it begins, and whom it needs for that.
    fn begin(&mut self, login: LoginRequest, accounts: &Accounts, around: &Around<'_>) -> Result<(), Close> {
        let account = accounts.get(login.username.canonical());
        let named = account.map(|account| account.record.session());
        if !login.session.is_blank() && Some(login.session) != named {
            return self.refuse_login(LoginRejected::SessionNotAvailable, "no such session");
        }
        // Who goes on must say with what: a session whose file was lost begins anew, under another name.
        if login.session.is_blank() && login.sequence > 1 {
            return self.refuse_login(
                LoginRejected::SessionNotAvailable,
                "it asks for a later message and does not say of which session",
            );
        }
        if let Some(account) = account {
            let told = if login.sequence == 0 { u64::MAX } else { login.sequence - 1 };
            self.cursor = account
                .record
                .place(told)
                .map_err(|error| Close::Fatal(format!("a session's file: {error}")))?;
        }
        let Some(map) = around.map else {
            return self.refuse_login(LoginRejected::SessionNotAvailable, "there is no placement map yet");
        };
        let known = account.map(|account| account.record.pairs()).unwrap_or_default();
        for name in known.iter().chain(map.pairs.keys().filter(|name| !known.contains(name))) {
            let addresses = map.pairs.get(name).cloned().unwrap_or_default();
            self.links.push(Link::new(self.links.len(), name.clone(), addresses, around.now));
        }
        if self.links.len() > PAIRS_MAX {
            return self.refuse_login(LoginRejected::SessionNotAvailable, "it has known too many pairs");
        }
        self.generation = map.generation;
        self.stage = Stage::Opening { deadline: around.now + OPENING, login };
        Ok(())
    }

    pub(super) fn refuse_login(&mut self, reason: LoginRejected, why: &'static str) -> Result<(), Close> {
        reason.encode(self.client.outbox.buffer());
        self.client.outbox.mark(Position(0));
        // The peer may be gone already.
        let _ = self.client.flush(Position(0));
        Err(Close::Refused(why))
    }

    /// Whether enough is known of the pairs to let the client in.
    pub(super) fn is_decided(&mut self, deadline: Instant, now: Instant) -> Result<bool, Close> {
        let all = self.links.iter().all(Link::is_decided);
        if !all && now < deadline {
            return Ok(false);
        }
        if self.links.iter().any(|link| link.state() != State::Down) {
            return Ok(true);
        }
        self.refuse_login(LoginRejected::SessionNotAvailable, "no pair can be reached").map(|()| false)
    }

    /// The client is in.
    pub(super) fn open(
        &mut self,
        login: LoginRequest,
        accounts: &mut Accounts,
        around: &mut Around<'_>,
    ) -> Result<(), Close> {
        let user = login.username.canonical();
        let account = accounts.hold(user, around.index).map_err(Close::Fatal)?;
        // A login of the same user may have been quicker, and have written down other pairs.
        let known = account.record.pairs();
        if known.len() > self.links.len()
            || known.iter().zip(&self.links).any(|(name, link)| *name != link.name)
        {
            return self.refuse_login(LoginRejected::SessionNotAvailable, "another login was quicker");
        }
        for link in &self.links[known.len()..] {
            account.record.append(&Entry::Pair(link.name.clone()), &mut self.cursor);
        }
        self.synced = account.synced;
        LoginAccepted { session: account.record.session(), sequence: self.cursor.told + 1 }
            .encode(self.client.outbox.buffer());
        self.client.outbox.mark(Position(0));
        log::info!(
            "{} {}: logged in, next message {} of {}",
            self.client.peer(),
            login.username,
            self.cursor.told + 1,
            account.record.end().told + 1
        );
        self.stage = Stage::Open { login };
        for slot in 0..self.links.len() {
            if self.links[slot].state() == State::Asking {
                self.ask_anew(slot, account);
            }
        }
        Ok(())
    }
}
