//! Who wants in, and whether it is who it says: the same at each listener for FIX, whatever its sessions are for.

use std::{net::IpAddr, time::Instant};

use domain::SessionId;
use door::auth::{Answer, Attempt, Credentials, Protocol, Refusal};
use log::info;
use wire::fix::Checked;

use super::{
    Refused,
    shown::{Shown, Signed},
};

/// A connection at the door of a listener.
pub struct Entry<'a> {
    /// Whose session the connection is, once it is somebody's.
    pub id: Option<SessionId>,
    /// The connection.
    pub token: usize,
    /// Where it comes from.
    pub peer: IpAddr,
    /// What stands before what the log is told.
    pub log_prefix: &'static str,
    /// What clients say in TargetCompID.
    pub comp_id: &'a [u8],
    /// Who may come.
    pub credentials: &'a mut Credentials,
    /// The signatures that have been used.
    pub signed: &'a mut Signed,
    /// What came of the logon, which was being verified.
    pub verdict: Option<Result<SessionId, Refusal>>,
    /// The logon is to be heard again, when it has been verified, or can be.
    pub waits: Option<Answer>,
}

impl Entry<'_> {
    /// Whose logon this is: by a password, or by a signature of what the logon says of itself. Who is logged in has shown who it is.
    ///
    /// # Errors
    /// When it is nobody's, or not known yet: then [`waits`](Self::waits) says what for.
    pub fn whose(&mut self, logon: &Checked<'_, '_>) -> Result<SessionId, Refused> {
        let (theirs, ours) = (logon.get(49).unwrap_or_default(), logon.get(56).unwrap_or_default());
        if ours != self.comp_id {
            return Err(Refused::No);
        }
        if let Some(id) = self.id {
            return Ok(id);
        }
        if logon.get(553).is_some_and(|user| user != theirs) {
            return Err(Refused::No);
        }
        let id = match self.verdict.take() {
            Some(outcome) => outcome.map_err(|why| self.refused(theirs, why))?,
            None => self.check(theirs, logon)?,
        };
        if self.signed.is_used(id, logon) {
            info!("{}{}: a signature that has been used", self.log_prefix, self.peer);
            return Err(Refused::No);
        }
        Ok(id)
    }

    fn check(&mut self, name: &[u8], logon: &Checked<'_, '_>) -> Result<SessionId, Refused> {
        let shown = Shown::of(logon).ok_or(Refused::No)?;
        let secret = shown.secret();
        let attempt = Attempt { protocol: Protocol::Fix, name, secret, from: self.peer, token: self.token };
        match self.credentials.check(&attempt, Instant::now()) {
            Answer::Accepted(id) => Ok(id),
            Answer::Refused(why) => Err(self.refused(name, why)),
            waits @ (Answer::Pending(_) | Answer::Later) => {
                self.waits = Some(waits);
                Err(Refused::Later)
            }
        }
    }

    /// Says why somebody is not let in, for whoever reads the log.
    fn refused(&self, name: &[u8], why: Refusal) -> Refused {
        info!("{}{}: user {}: {why}", self.log_prefix, self.peer, String::from_utf8_lossy(name));
        Refused::No
    }
}
