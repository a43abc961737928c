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
    /// Those who speak FIX, by name: password and session.
    fix: BTreeMap<Vec<u8>, (Vec<u8>, SessionId)>,
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

    /// Adds a user who speaks FIX; in the place of the one of that name, if there is one.
    pub fn add_fix(&mut self, name: &[u8], password: &[u8], session: SessionId) {
        self.fix.insert(name.to_vec(), (password.to_vec(), session));
    }

    /// The session that this FIX logon opens.
    #[must_use]
    pub fn check_fix(&self, name: &[u8], password: &[u8], _from: std::net::IpAddr) -> Option<SessionId> {
        self.fix.get(name).filter(|(own, _)| own == password).map(|(_, session)| *session)
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

#[cfg(test)]
mod tests {
    use wire::soup::SessionName;

    use super::*;

    #[test]
    fn a_login_opens_its_own_users_session() {
        let name = |text: &str| Username::new(text).expect("a name");
        let password = |text: &str| Password::new(text).expect("a password");
        let mut users = Users::new();
        for (text, session) in [("ALICE", 0), ("BOB", 1), ("C00042", 2)] {
            users.add(name(text), password(&format!("of-{text}")), SessionId(session));
        }
        let check = |user: &str, with: &str| {
            let session = SessionName::new("").expect("blank");
            users.check(&LoginRequest {
                username: name(user),
                password: password(with),
                session,
                sequence: 1,
            })
        };
        assert_eq!(check("BOB", "of-BOB"), Some(SessionId(1)));
        assert_eq!(check("bob", "OF-bob"), Some(SessionId(1)));
        for (user, with) in
            [("BOB", "of-ALICE"), ("BOB", ""), ("DAVE", "of-DAVE"), ("DAVE", ""), ("", "of-BOB")]
        {
            assert_eq!(check(user, with), None, "{user} with \"{with}\"");
        }
    }
}
