//! Who may log in.

use std::collections::BTreeMap;

use domain::SessionId;
use wire::soup::{LoginRequest, Password, Username};

/// One user, but for the name.
#[derive(Clone, Copy, Debug)]
struct User {
    /// As [`Password::canonical`] gives it.
    password: [u8; 10],
    session: SessionId,
}

/// Who may log in, and into which session.
#[derive(Clone, Debug, Default)]
pub struct Users {
    /// By name, as [`Username::canonical`] gives it. Thousands may come back at once: none of them looks at all others.
    by_name: BTreeMap<[u8; 6], User>,
}

impl Users {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a user; in the place of the one of that name, if there is one.
    pub fn add(&mut self, name: Username, password: Password, session: SessionId) {
        self.by_name.insert(name.canonical(), User { password: password.canonical(), session });
    }

    /// The session that this login opens; `None` when the user is unknown or the password wrong, which take the same
    /// time to find out: a password is compared in either case.
    #[must_use]
    pub fn check(&self, login: &LoginRequest) -> Option<SessionId> {
        let user = self.by_name.get(&login.username.canonical());
        let expected = user.map_or([0; 10], |user| user.password);
        let is_right = same(&expected, &login.password.canonical());
        user.filter(|_| is_right).map(|user| user.session)
    }
}

/// Whether two texts are the same, in a time that does not depend on where they differ.
fn same<const N: usize>(a: &[u8; N], b: &[u8; N]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0
}
