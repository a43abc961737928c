//! Users that are kept apart from the configuration: a file with hashes of their passwords ([`mod@file`]), the commands that change
//! it ([`command`]), the thread that tells a running exchange of a change ([`watch`]), and who may read market data ([`readers`]).

pub(crate) mod command;
pub(crate) mod file;
pub(crate) mod prompt;
pub(crate) mod readers;
pub(crate) mod watch;

use domain::{SessionId, UserName};
use door::auth::{Proof, Protocol, User, canonical_password};

use self::file::Account;
use crate::config::{Config, Login};

/// All who may log in, with the sessions that `session_of` knows. An account without one was added while the exchange ran.
///
/// # Errors
/// When an account is not what it should be.
pub(crate) fn with_sessions(
    plain: &[crate::config::User],
    accounts: &[Account],
    session_of: impl Fn(UserName) -> Option<SessionId>,
) -> Result<Vec<User>, String> {
    let mut users = Vec::with_capacity(plain.len() + accounts.len());
    for user in plain {
        let session = session_of(user.name).ok_or_else(|| format!("user {} has no session", user.name))?;
        let (protocol, password) = match &user.login {
            Login::Soup { password, .. } => {
                (Protocol::Soup, canonical_password(Protocol::Soup, &password.canonical()))
            }
            Login::Fix { password } => (Protocol::Fix, password.as_bytes().to_vec()),
        };
        users.push(User {
            cancel_on_disconnect: user.cancel_on_disconnect,
            drop_copy_of: user.drop_copy_of.clone(),
            ..User::new(user.name, protocol, session, Proof::Plain(password))
        });
    }
    for account in accounts {
        match session_of(account.user_name()?) {
            Some(session) => users.push(account.user(session)?),
            None => {
                log::info!("user {} can log in after the next start, which gives it a session", account.name);
            }
        }
    }
    Ok(users)
}

/// What a session speaks whose user speaks that.
pub(crate) const fn session_protocol(protocol: Protocol) -> domain::Protocol {
    match protocol {
        Protocol::Soup => domain::Protocol::Ouch,
        Protocol::Fix => domain::Protocol::Fix,
    }
}

/// Refuses a name that the configuration and the file both have: which password would count?
pub(crate) fn no_name_twice(config: &Config) -> Result<(), String> {
    for account in &config.accounts {
        let name = account.user_name()?;
        if config.users.iter().any(|user| user.name == name) {
            return Err(format!(
                "user {name} is in the configuration and in the users file: remove it from the configuration"
            ));
        }
    }
    Ok(())
}

/// Says, once, that plain passwords are for laptops and tests, and how they are moved.
pub(crate) fn warn_of_plain_passwords(config: &Config, file: &std::path::Path) {
    if !config.users.is_empty() && !config.embedded {
        log::warn!(
            "{} users have plain passwords in the configuration, for laptops and tests: `exchange user add NAME --file {}` keeps \
             a hash instead; then remove their [[users]]",
            config.users.len(),
            file.display()
        );
    }
}
