//! Who listens to the session of one connection: who may come in, and what a message asks for, while nothing is done yet.

use std::{collections::BTreeMap, net::IpAddr, time::Instant};

use domain::{Nanos, SessionId};
use door::auth::{Answer, Attempt, Credentials, Protocol, Refusal as Denied};
use gateway::{
    Instruments,
    fix::{Application, Identity, Logon, Refused, Shown, Signed, Taken, Throttle},
};
use log::info;
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
    /// Whose it is, once it is somebody's.
    pub(crate) id: Option<SessionId>,
    pub(crate) token: usize,
    pub(crate) peer: IpAddr,
    pub(crate) comp_id: &'a [u8],
    pub(crate) credentials: &'a mut Credentials,
    pub(crate) signed: &'a mut Signed,
    /// What came of the logon, which was being verified.
    pub(crate) verdict: Option<Result<SessionId, Denied>>,
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
    /// The logon is to be heard again, when it has been verified, or can be.
    pub(crate) waits: Option<Answer>,
    /// A request is to be heard again, when there are books.
    pub(crate) waits_for_books: bool,
}

impl Application for App<'_> {
    fn logon(&mut self, logon: &Checked<'_, '_>, is_reset: bool) -> Result<Logon, Refused> {
        let (theirs, ours) = (logon.get(49).unwrap_or_default(), logon.get(56).unwrap_or_default());
        if ours != self.comp_id {
            return Err(Refused::No);
        }
        // Who is logged in has shown who it is.
        let id = match self.id {
            Some(id) => id,
            None => {
                if logon.get(553).is_some_and(|user| user != theirs) {
                    return Err(Refused::No);
                }
                match self.verdict.take() {
                    Some(outcome) => outcome.map_err(|why| self.denied(theirs, why))?,
                    None => self.check(theirs, logon)?,
                }
            }
        };
        if self.id.is_none() && self.signed.is_used(id, logon) {
            info!("market data: {}: a signature that has been used", self.peer);
            return Err(Refused::No);
        }
        let other = self.by_session.get(&id).copied().filter(|other| *other != self.token);
        if other.is_some_and(|other| !(self.doubtful)(other)) {
            return Err(Refused::No);
        }
        if !is_reset {
            return Err(Refused::Because(
                "ResetSeqNumFlag (141) must be Y: numbers of market data begin anew with each logon",
            ));
        }
        if other.is_none() && self.id.is_none() && self.by_session.len() >= self.sessions_max {
            return Err(Refused::Because("as many sessions are there as may be"));
        }
        self.logon = Some(id);
        let identity = Identity { ours: ours.to_vec(), theirs: theirs.to_vec() };
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

impl App<'_> {
    /// Looks at who wants in: by a password, or by a signature of what its logon says of itself.
    fn check(&mut self, name: &[u8], logon: &Checked<'_, '_>) -> Result<SessionId, Refused> {
        let shown = Shown::of(logon).ok_or(Refused::No)?;
        let secret = shown.secret();
        let attempt = Attempt { protocol: Protocol::Fix, name, secret, from: self.peer, token: self.token };
        match self.credentials.check(&attempt, Instant::now()) {
            Answer::Accepted(id) => Ok(id),
            Answer::Refused(why) => Err(self.denied(name, why)),
            waits @ (Answer::Pending(_) | Answer::Later) => {
                self.waits = Some(waits);
                Err(Refused::Later)
            }
        }
    }

    /// Says why somebody is not let in, for whoever reads the log.
    fn denied(&self, name: &[u8], why: Denied) -> Refused {
        info!("market data: {}: user {}: {why}", self.peer, String::from_utf8_lossy(name));
        Refused::No
    }
}
