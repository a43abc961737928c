//! Who may log in, and how that is found out without anyone else waiting.
//!
//! 1. [`Credentials::check`] looks at what a client shows. A user whose secret has been verified before is told apart by a
//!    keyed digest, in microseconds; so is one with a plain password. Who has failed too often is refused unheard.
//! 2. Anything else goes to a thread of its own (`auth`), through a bounded queue: argon2id takes tens of milliseconds, on
//!    purpose. The connection waits for it, and nobody else does.
//! 3. The thread wakes the gateway, which asks for what came out ([`Credentials::verdict`]).
//!
//! Names that nobody has, users who are disabled and clients that come from elsewhere than they may take the same way as a
//! wrong password, so that neither an answer nor its time tells them apart. Until a login has succeeded nothing of a session
//! changes.
//!
//! Secrets are not logged, and not kept: what is remembered of one is its HMAC under a key of this process, for as long as the
//! user's record stays as it is.

mod digest;
mod guard;
mod network;
mod user;
mod verify;

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{SessionId, UserName};
use mio::Waker;

use self::{
    digest::{Digest, DigestKey},
    guard::Guard,
    verify::{Job, Verifier, Work},
};
pub use self::{
    network::{Network, is_allowed},
    user::{Proof, Protocol, User, UsersFeed, canonical_name, canonical_password, generate_password},
    verify::{check_hash, hash_password, public_key_from_pem},
};

/// What a client shows.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// A password, as its protocol carries it.
    Password(&'a [u8]),
    /// An Ed25519 signature, and what it must be of. What keeps it from being used twice (a time, a number) is in there, and
    /// for the protocol to judge.
    Signature {
        /// The bytes that were signed.
        of: &'a [u8],
        /// The signature: 64 bytes.
        signature: &'a [u8],
    },
}

/// A client's attempt to log in.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// What it speaks: a user has one protocol, and is unknown in the others.
    pub protocol: Protocol,
    /// The name that it gives, padded or not.
    pub name: &'a [u8],
    /// The proof.
    pub secret: Secret<'a>,
    /// Where it comes from.
    pub from: IpAddr,
    /// The connection, to be found again by.
    pub token: usize,
}

/// An attempt whose verification is under way. Never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// What an attempt comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is who it says; this is its session.
    Accepted(SessionId),
    /// It is not let in.
    Refused(Refusal),
    /// It is being looked at: [`Credentials::verdict`] will say.
    Pending(Ticket),
    /// Too many wait to be looked at, or too many from its address: to be asked again when one of them is through.
    Later,
}

/// Why a client is not let in. For the log: the client is told that it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such user, a wrong secret, disabled, or from elsewhere than it may.
    Wrong,
    /// Too many failures, for so long from now.
    HeldOff(Duration),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wrong => f.write_str("not one who may come in, or not with this"),
            Self::HeldOff(time) => {
                write!(f, "unheard for {:.1} s more, after too many failures", time.as_secs_f64())
            }
        }
    }
}

/// What came out of an attempt that was pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The connection that it was for, as the attempt said. It may be another one's by now: the ticket tells.
    pub token: usize,
    /// The attempt.
    pub ticket: Ticket,
    /// Its session, or why not.
    pub outcome: Result<SessionId, Refusal>,
}

/// What has come of logins, for whoever shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthStats {
    /// Attempts that wait for the `auth` thread.
    pub waiting: usize,
    /// Logins that succeeded.
    pub accepted: u64,
    /// Of those, known again by a digest.
    pub remembered: u64,
    /// Attempts that failed.
    pub refused: u64,
    /// Attempts refused unheard, after too many failures.
    pub held_off: u64,
    /// Attempts that found no room among those that wait, and were asked again.
    pub later: u64,
}

/// See the module.
pub struct Credentials {
    users: BTreeMap<(Protocol, UserName), Known>,
    /// Whether a hash or a key is verified by the thread for anyone, so that it must be for names that nobody has.
    any_hashed: bool,
    key: DigestKey,
    guard: Guard,
    verifier: Verifier,
    /// Rises: tickets and versions of records.
    next: u64,
    stats: AuthStats,
}

/// A user, and what is remembered of its secret.
struct Known {
    user: User,
    /// Tells the record from the one that was in its place.
    version: u64,
    remembered: Option<Digest>,
}

impl Credentials {
    /// These users. `waker` is called when a verdict is there.
    ///
    /// # Errors
    /// When the system gives no thread or no random bytes.
    pub fn new(users: Vec<User>, waker: Arc<Waker>) -> io::Result<Self> {
        let mut credentials = Self {
            users: BTreeMap::new(),
            any_hashed: false,
            key: DigestKey::random()?,
            guard: Guard::default(),
            verifier: Verifier::spawn(waker)?,
            next: 0,
            stats: AuthStats::default(),
        };
        credentials.replace(users);
        Ok(credentials)
    }

    /// Takes other users in the place of those that there are; who stays as it was is remembered. Gives the sessions whose
    /// users may not be in any more: disabled, or gone.
    pub fn replace(&mut self, users: Vec<User>) -> Vec<SessionId> {
        let mut before = std::mem::take(&mut self.users);
        self.any_hashed = users.iter().any(|user| !matches!(user.proof, Proof::Plain(_)));
        let mut out = Vec::new();
        for user in users {
            if user.disabled {
                out.push(user.session);
            }
            let key = (user.protocol, user.name);
            let known = match before.remove(&key) {
                Some(known) if known.user == user => known,
                _ => {
                    self.next += 1;
                    let remembered = match &user.proof {
                        Proof::Plain(password) => Some(self.key.digest(user.protocol, user.name, password)),
                        Proof::Hash(_) | Proof::Key => None,
                    };
                    Known { user, version: self.next, remembered }
                }
            };
            self.users.insert(key, known);
        }
        out.extend(before.values().map(|known| known.user.session));
        out
    }

    /// The sessions whose orders are canceled when their connection ends.
    pub fn who_cancels(&self) -> impl Iterator<Item = SessionId> {
        let users = self.users.values().map(|known| &known.user);
        users.filter(|user| user.cancel_on_disconnect).map(|user| user.session)
    }

    /// Whether a session's orders are canceled when its connection ends.
    #[must_use]
    pub fn cancels(&self, session: SessionId) -> bool {
        self.who_cancels().any(|id| id == session)
    }

    /// All of them.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values().map(|known| &known.user)
    }

    /// The user of a session.
    #[must_use]
    pub fn user_of(&self, session: SessionId) -> Option<&User> {
        self.users.values().map(|known| &known.user).find(|user| user.session == session)
    }

    /// What a user speaks who logs in where that does not matter. A name that nobody has is taken as one of a protocol that it
    /// fits.
    #[must_use]
    pub fn protocol_of(&self, name: &[u8]) -> Protocol {
        let has = |protocol| {
            canonical_name(protocol, name).is_some_and(|name| self.users.contains_key(&(protocol, name)))
        };
        // Where case counts first: it says more.
        if has(Protocol::Fix) {
            return Protocol::Fix;
        }
        let fits = canonical_name(Protocol::Soup, name).is_some();
        if fits { Protocol::Soup } else { Protocol::Fix }
    }

    /// What has come of logins.
    #[must_use]
    pub fn stats(&self) -> AuthStats {
        AuthStats { waiting: self.verifier.waiting(), ..self.stats }
    }

    /// Looks at an attempt.
    pub fn check(&mut self, attempt: &Attempt<'_>, now: Instant) -> Answer {
        let from = attempt.from.to_canonical();
        // What cannot be a name is one that nobody has.
        let name = canonical_name(attempt.protocol, attempt.name).unwrap_or(UserName::BLANK);
        if let Err(time) = self.guard.may_try(from, name, now) {
            self.stats.held_off += 1;
            return Answer::Refused(Refusal::HeldOff(time));
        }
        let known = self.users.get(&(attempt.protocol, name));
        let password = match attempt.secret {
            Secret::Password(password) => Some(canonical_password(attempt.protocol, password)),
            Secret::Signature { .. } => None,
        };
        let digest = password.as_ref().map(|password| self.key.digest(attempt.protocol, name, password));
        if let (Some(known), Some(digest)) = (known, &digest)
            && known.remembered.as_ref().is_some_and(|remembered| remembered.is_the_same(digest))
            && known.user.may_come(from)
        {
            let session = known.user.session;
            self.guard.decided(from, name, true, now);
            self.stats.accepted += 1;
            self.stats.remembered += 1;
            return Answer::Accepted(session);
        }
        let is_plain = known.is_some_and(|known| matches!(known.user.proof, Proof::Plain(_)));
        if is_plain || (known.is_none() && !self.any_hashed) {
            // There is nothing to verify that takes longer.
            self.guard.decided(from, name, false, now);
            self.stats.refused += 1;
            return Answer::Refused(Refusal::Wrong);
        }
        if !self.verifier.has_room(from) {
            self.stats.later += 1;
            return Answer::Later;
        }
        let work = match attempt.secret {
            Secret::Password(_) => Work::Password {
                hash: known.and_then(|known| match &known.user.proof {
                    Proof::Hash(hash) => Some(Arc::clone(hash)),
                    Proof::Plain(_) | Proof::Key => None,
                }),
                password: password.unwrap_or_default(),
            },
            Secret::Signature { of, signature } => Work::Signature {
                key: known.and_then(|known| known.user.public_key),
                of: of.into(),
                signature: signature.into(),
            },
        };
        self.next += 1;
        let ticket = Ticket(self.next);
        let job = Job {
            ticket,
            token: attempt.token,
            from,
            user: (attempt.protocol, name),
            version: known.map_or(0, |known| known.version),
            digest,
            work,
        };
        self.verifier.take(job);
        self.guard.begin(from, name, now);
        Answer::Pending(ticket)
    }

    /// What came out of the next attempt that was pending, if one is through. Costs nothing while none is.
    pub fn verdict(&mut self, now: Instant) -> Option<Verdict> {
        let done = self.verifier.done()?;
        let (job, is_right) = (done.job, done.is_right);
        let known = self.users.get_mut(&job.user).filter(|known| known.version == job.version);
        let session = match known {
            Some(known) if is_right && known.user.may_come(job.from) => {
                if job.digest.is_some() {
                    known.remembered = job.digest;
                }
                Some(known.user.session)
            }
            // The record is another one by now, or the user may not.
            _ => None,
        };
        self.guard.end(job.from, job.user.1, session.is_some(), now);
        let outcome = session.ok_or(Refusal::Wrong);
        match outcome {
            Ok(_) => self.stats.accepted += 1,
            Err(_) => self.stats.refused += 1,
        }
        Some(Verdict { token: job.token, ticket: job.ticket, outcome })
    }
}

#[cfg(test)]
#[path = "auth/tests.rs"]
mod tests;
