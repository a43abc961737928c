//! What is remembered of a secret: a digest under a key that this process alone has, and that ends with it.

use std::io;

use domain::UserName;
use ring::{hmac, rand::SystemRandom};

use super::Protocol;

/// The key of this process.
pub(super) struct DigestKey(hmac::Key);

/// HMAC-SHA256 of a user and its secret.
#[derive(Clone, Copy)]
pub(super) struct Digest([u8; 32]);

impl DigestKey {
    pub(super) fn random() -> io::Result<Self> {
        hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map(Self)
            .map_err(|_| io::Error::other("the system has no random bytes"))
    }

    /// The digest of a secret as it is this user's: the same secret of another one has another.
    pub(super) fn digest(&self, protocol: Protocol, name: UserName, secret: &[u8]) -> Digest {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&[protocol as u8]);
        context.update(&name.0);
        context.update(secret);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        Digest(bytes)
    }
}

impl Digest {
    /// Whether the two are the same, in a time that does not depend on where they differ.
    pub(super) fn is_the_same(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(other.0).fold(0, |difference, (a, b)| difference | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}
