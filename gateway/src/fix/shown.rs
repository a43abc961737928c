//! What a logon shows of who it is: a password, or a signature of what it says of itself.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use domain::{Nanos, SessionId};
use door::auth::Secret;
use wire::fix::{Checked, SOH, value};

/// Bytes of an Ed25519 signature.
const SIGNATURE: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) enum Shown<'m> {
    /// A password.
    Password(&'m [u8]),
    /// A signature.
    Signature {
        /// What was signed: MsgType, SenderCompID, TargetCompID, MsgSeqNum and SendingTime, with an SOH between each.
        of: Vec<u8>,
        /// The signature.
        signature: [u8; SIGNATURE],
    },
}

impl<'m> Shown<'m> {
    /// What a logon shows; `None` when it is a signature that is none.
    #[must_use]
    pub(super) fn of(logon: &Checked<'_, 'm>) -> Option<Self> {
        let Some(text) = logon.get(96) else {
            return Some(Self::Password(logon.get(554).unwrap_or_default()));
        };
        let mut signature = [0; SIGNATURE];
        if Base64::decode(text, &mut signature).map(<[u8]>::len) != Ok(SIGNATURE) {
            return None;
        }
        let fields = [49, 56, 34, 52].map(|tag| logon.get(tag).unwrap_or_default());
        let of = [b"A".as_slice()].into_iter().chain(fields).collect::<Vec<_>>().join(&SOH);
        Some(Self::Signature { of, signature })
    }

    /// To be looked at.
    #[must_use]
    pub(super) fn secret(&self) -> Secret<'_> {
        match self {
            Self::Password(password) => Secret::Password(password),
            Self::Signature { of, signature } => Secret::Signature { of, signature },
        }
    }
}

/// When the last logon was sent that each session was let in for by a signature. A signature is good once: the logon that it was
/// heard in cannot be said again by whoever has listened.
#[derive(Debug, Default)]
pub struct Signed(BTreeMap<SessionId, Nanos>);

impl Signed {
    /// Whether this logon was not sent after the last one that a signature was good for. One without a signature is not looked
    /// at.
    pub fn is_used(&mut self, id: SessionId, logon: &Checked<'_, '_>) -> bool {
        let sent = logon.get(96).and_then(|_| logon.get(52)).and_then(value::utc_timestamp);
        sent.is_some_and(|sent| self.0.insert(id, sent).is_some_and(|last| last >= sent))
    }
}
