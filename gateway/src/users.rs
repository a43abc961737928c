//! Who may log in.

use domain::SessionId;
use wire::soup::{LoginRequest, Password, Username};

/// One user.
#[derive(Clone, Debug)]
struct User {
    name: Username,
    password: Password,
    session: SessionId,
}

/// Who may log in, and into which session.
#[derive(Clone, Debug, Default)]
pub struct Users {
    list: Vec<User>,
}

impl Users {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a user.
    pub fn add(&mut self, name: Username, password: Password, session: SessionId) {
        self.list.push(User { name, password, session });
    }

    /// The session that this login opens; `None` when the user is unknown or the password wrong, which take the same
    /// time to find out.
    #[must_use]
    pub fn check(&self, login: &LoginRequest) -> Option<SessionId> {
        let mut session = None;
        for user in &self.list {
            let name = same(&user.name.canonical(), &login.username.canonical());
            let password = same(&user.password.canonical(), &login.password.canonical());
            if name & password {
                session = Some(user.session);
            }
        }
        session
    }
}

/// Whether two texts are the same, in a time that does not depend on where they differ.
fn same<const N: usize>(a: &[u8; N], b: &[u8; N]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0
}
