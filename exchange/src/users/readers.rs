//! Who may read market data, where clients of the feed must log in: whoever may log in at all, unless the users file says
//! otherwise.

use std::collections::{BTreeMap, BTreeSet};

use domain::{SessionId, UserName};
use door::auth::User;

use super::{file::Account, with_sessions};

/// Numbers for users, which stay theirs as long as the process. The feed has no sessions: nothing is numbered for anyone there.
#[derive(Default)]
pub(crate) struct Readers {
    numbers: BTreeMap<UserName, SessionId>,
}

impl Readers {
    /// The users, as the feed takes them. Who may not read is disabled there.
    ///
    /// # Errors
    /// When an account is not what it should be.
    pub(crate) fn of(
        &mut self,
        plain: &[crate::config::User],
        accounts: &[Account],
    ) -> Result<Vec<User>, String> {
        let mut barred = BTreeSet::new();
        for user in plain {
            self.number(user.name);
        }
        for account in accounts {
            let name = account.user_name()?;
            self.number(name);
            if !account.market_data {
                barred.insert(name);
            }
        }
        let mut users = with_sessions(plain, accounts, |name| self.numbers.get(&name).copied())?;
        for user in &mut users {
            user.disabled |= barred.contains(&user.name);
        }
        Ok(users)
    }

    fn number(&mut self, name: UserName) {
        let next = SessionId(u32::try_from(self.numbers.len()).unwrap_or(u32::MAX));
        self.numbers.entry(name).or_insert(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(text: &str) -> Account {
        let hash = door::auth::hash_password(b"SECRET").expect("a hash");
        toml::from_str(&format!("hash = \"{hash}\"\n{text}")).expect("an account")
    }

    #[test]
    fn everybody_reads_but_who_may_not_and_numbers_stay() {
        let mut readers = Readers::default();
        let (zoe, yan) = (account("name = \"ZOE\""), account("name = \"YAN\"\nmarket_data = false"));
        let users = readers.of(&[], &[zoe.clone(), yan.clone()]).expect("users");
        let seen: Vec<_> = users.iter().map(|user| (user.session.0, user.disabled)).collect();
        assert_eq!(seen, [(0, false), (1, true)]);
        // Another one before them, and one who is disabled.
        let amy = account("name = \"AMY\"\ndisabled = true");
        let users = readers.of(&[], &[amy, yan, zoe]).expect("users");
        let seen: Vec<_> = users.iter().map(|user| (user.session.0, user.disabled)).collect();
        assert_eq!(seen, [(2, true), (1, true), (0, false)]);
    }
}
