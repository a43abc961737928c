//! A user: what it is called, what it proves itself by, and what it may.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::{SessionId, UserName};
use ring::rand::{SecureRandom, SystemRandom};

use super::network::{Network, is_allowed};

/// What a user speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// SoupBinTCP: names of 6 characters, passwords of 10, neither with a case.
    Soup,
    /// FIX: names and passwords as they are spelled.
    Fix,
}

impl Protocol {
    /// Its name in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Soup => "soup",
            Self::Fix => "fix",
        }
    }

    /// The longest name of a user, in bytes.
    #[must_use]
    pub const fn name_max(self) -> usize {
        match self {
            Self::Soup => 6,
            Self::Fix => 20,
        }
    }

    /// The longest password, in bytes.
    #[must_use]
    pub const fn password_max(self) -> usize {
        match self {
            Self::Soup => 10,
            Self::Fix => 64,
        }
    }
}

/// What a password is held against.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// The password itself, as [`canonical_password`] has it: of a configuration for development.
    Plain(Vec<u8>),
    /// An argon2id hash in the PHC string format.
    Hash(Arc<str>),
    /// There is no password: it signs.
    Key,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain(..)",
            Self::Hash(_) => "Hash(..)",
            Self::Key => "Key",
        })
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As [`canonical_name`] has it.
    pub name: UserName,
    /// What it speaks.
    pub protocol: Protocol,
    /// The session that its logins open.
    pub session: SessionId,
    /// What its password is held against.
    pub proof: Proof,
    /// An Ed25519 key that its signatures are held against.
    pub public_key: Option<[u8; 32]>,
    /// It may not come in.
    pub disabled: bool,
    /// Where it may come from; empty: from anywhere.
    pub allow: Vec<Network>,
    /// Its orders are canceled when its connection ends.
    pub cancel_on_disconnect: bool,
    /// The users whose reports it is told as well.
    pub drop_copy_of: Vec<UserName>,
}

impl User {
    /// Who proves itself by that, and may come from anywhere.
    #[must_use]
    pub const fn new(name: UserName, protocol: Protocol, session: SessionId, proof: Proof) -> Self {
        Self {
            name,
            protocol,
            session,
            proof,
            public_key: None,
            disabled: false,
            allow: Vec::new(),
            cancel_on_disconnect: false,
            drop_copy_of: Vec::new(),
        }
    }

    /// Whether it may come in from there, if it is who it says.
    pub(super) fn may_come(&self, from: IpAddr) -> bool {
        !self.disabled && is_allowed(&self.allow, from)
    }
}

/// A user's name as it is kept: in capitals where case does not count. `None` when it is no name in this protocol.
#[must_use]
pub fn canonical_name(protocol: Protocol, name: &[u8]) -> Option<UserName> {
    let name = match protocol {
        Protocol::Soup => name.trim_ascii_end().to_ascii_uppercase(),
        Protocol::Fix => name.to_vec(),
    };
    let fits = (1..=protocol.name_max()).contains(&name.len()) && name.trim_ascii_end() == name;
    UserName::new(&name).filter(|_| fits)
}

/// A password as it is hashed: in capitals and without its padding where these do not count.
#[must_use]
pub fn canonical_password(protocol: Protocol, password: &[u8]) -> Vec<u8> {
    match protocol {
        Protocol::Soup => password.trim_ascii_end().to_ascii_uppercase(),
        Protocol::Fix => password.to_vec(),
    }
}

/// A password that nobody guesses, as far as the protocol has room: of 50 bits for SoupBinTCP, of 120 for FIX.
///
/// # Errors
/// When the system has no random bytes.
pub fn generate_password(protocol: Protocol) -> std::io::Result<String> {
    /// 32 characters, none of which is taken for another.
    const CHARACTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bytes = [0; 24];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| std::io::Error::other("the system has no random bytes"))?;
    let length = protocol.password_max().min(bytes.len());
    Ok(bytes[..length].iter().map(|byte| char::from(CHARACTERS[usize::from(byte % 32)])).collect())
}

/// The newest users, left by whoever reads their file for the gateway.
#[derive(Debug, Default)]
pub struct UsersFeed {
    /// How often users have been left, to be looked at without the lock. It publishes nothing: the lock does.
    generation: AtomicU64,
    latest: Mutex<Vec<User>>,
}

impl UsersFeed {
    /// Leaves users in the place of those that were left before. Wake the gateway after it.
    pub fn leave(&self, users: Vec<User>) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = users;
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// The users, if some have been left since `seen`, which then is now.
    pub fn newer_than(&self, seen: &mut u64) -> Option<Vec<User>> {
        let generation = self.generation.load(Ordering::Relaxed);
        if generation == *seen {
            return None;
        }
        *seen = generation;
        Some(self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
