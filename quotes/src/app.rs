//! Who listens to the session of one connection: who may come in, and what a message asks for, while nothing is done yet.

use std::collections::BTreeMap;

use domain::{Nanos, SessionId};
use gateway::{
    Instruments,
    fix::{Application, Entry, Identity, Logon, Refused, Taken, Throttle},
};
use wire::fix::Checked;

use crate::request::{Asked, Refusal, Request};

/// Requests that a session may send in a second, and at once.
const REQUESTS_PER_SECOND: u32 = 100;

/// What a message asks for.
pub(crate) enum Act {
    /// Market data.
    MarketData(Request),
    /// The instruments, with this SecurityReqID.
    Securities(Box<[u8]>),
}

/// Who listens to the session of one connection.
pub(crate) struct App<'a> {
    pub(crate) entry: Entry<'a>,
    pub(crate) by_session: &'a BTreeMap<SessionId, usize>,
    pub(crate) sessions_max: usize,
    /// Connections whose clients may be gone.
    pub(crate) doubtful: &'a dyn Fn(usize) -> bool,
    pub(crate) instruments: &'a Instruments,
    /// Whether there are books yet.
    pub(crate) has_begun: bool,
    pub(crate) throttle: &'a mut Throttle,
    pub(crate) now: Nanos,
    pub(crate) act: Option<Act>,
    pub(crate) logon: Option<SessionId>,
    /// A request is to be heard again, when there are books.
    pub(crate) waits_for_books: bool,
}

impl Application for App<'_> {
    fn logon(&mut self, logon: &Checked<'_, '_>, is_reset: bool) -> Result<Logon, Refused> {
        let id = self.entry.whose(logon)?;
        let other = self.by_session.get(&id).copied().filter(|other| *other != self.entry.token);
        if other.is_some_and(|other| !(self.doubtful)(other)) {
            return Err(Refused::No);
        }
        if !is_reset {
            return Err(Refused::Because(
                "ResetSeqNumFlag (141) must be Y: numbers of market data begin anew with each logon",
            ));
        }
        if other.is_none() && self.entry.id.is_none() && self.by_session.len() >= self.sessions_max {
            return Err(Refused::Because("as many sessions are there as may be"));
        }
        self.logon = Some(id);
        let name = |tag| logon.get(tag).unwrap_or_default().to_vec();
        let identity = Identity { ours: name(56), theirs: name(49) };
        Ok(Logon { identity, next: (1, 1) })
    }

    fn message(&mut self, message: &Checked<'_, '_>, _: u64, _: bool) -> Taken {
        let act = match message.message().msg_type {
            b"V" if !self.has_begun => {
                self.waits_for_books = true;
                return Taken::Later;
            }
            b"V" => match Request::of(message, self.instruments) {
                Ok(mut request) => {
                    // What ends something always goes.
                    if request.asked != Asked::Unsubscribe
                        && !self.throttle.lets(REQUESTS_PER_SECOND, self.now)
                    {
                        let text = format!("more than {REQUESTS_PER_SECOND} requests in a second");
                        request.asked = Asked::Subscribe(Err(Refusal(b'2', text)));
                    }
                    Act::MarketData(request)
                }
                Err(taken) => return taken,
            },
            b"x" => Act::Securities(message.get(320).unwrap_or_default().into()),
            _ => return Taken::No { reason: 3, text: "Unsupported Message Type" },
        };
        self.act = Some(act);
        Taken::Yes
    }
}
