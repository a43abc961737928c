//! `exchange user`: adds users, lets them in and keeps them out, and gives them other secrets.

use std::path::PathBuf;

use door::auth::{
    Protocol, canonical_name, canonical_password, generate_password, hash_password, public_key_from_pem,
};
use serde_json::json;

use super::{
    file::{self, Account, change},
    prompt,
};
use crate::{
    cli::{NewSecret, User, UserCommand, UsersAt},
    config::Config,
    say::say,
};

/// The shortest password that is taken.
const PASSWORD_MIN: usize = 8;

/// The command.
pub(crate) fn user(args: &User) -> Result<(), String> {
    match &args.command {
        UserCommand::Add {
            name,
            protocol,
            secret,
            allow,
            cancel_on_disconnect,
            drop_copy_of,
            no_market_data,
            at,
        } => {
            let protocol = file::protocol(protocol)?;
            let path = path(at)?;
            let name = canonical_name(protocol, name.as_bytes()).ok_or_else(|| {
                let (kind, most) = (protocol.name(), protocol.name_max());
                format!("\"{name}\" is no name for {kind}: 1 to {most} printable ASCII characters")
            })?;
            let mut account = Account {
                name: name.to_string(),
                protocol: protocol.name().into(),
                hash: None,
                public_key: None,
                disabled: false,
                allow: allow.clone(),
                cancel_on_disconnect: *cancel_on_disconnect,
                drop_copy_of: drop_copy_of.clone(),
                market_data: !no_market_data,
            };
            // Before a password is asked for.
            let is_there = |users: &[Account]| users.iter().any(|user| user.name == account.name);
            let there =
                format!("user {name} is there already: `exchange user rotate` gives it another password");
            if is_there(&file::read(&path)?.unwrap_or_default()) {
                return Err(there);
            }
            let generated = secret.put_into(&mut account, protocol)?;
            let added = account.clone();
            change(&path, |users| {
                if users.iter().any(|user| user.name == added.name) {
                    return Err(there);
                }
                users.push(added);
                Ok(())
            })?;
            show(generated);
            say!(
                "user {name} added to {}; an exchange lets it in from its next start on, which gives it a session",
                path.display()
            );
        }
        UserCommand::Rotate { name, secret, at } => {
            let path = path(at)?;
            let users = file::read(&path)?.unwrap_or_default();
            let before = users.iter().find(|user| is_named(user, name)).ok_or_else(|| unknown(name))?;
            let mut after = before.clone();
            let generated = secret.put_into(&mut after, before.protocol()?)?;
            with(&path, name, |user| (user.hash, user.public_key) = (after.hash, after.public_key))?;
            show(generated);
            say!("user {name} has another secret; one that is connected stays so");
        }
        UserCommand::Disable { name, at } => {
            with(&path(at)?, name, |user| user.disabled = true)?;
            say!("user {name} may not log in any more; a running exchange closes its connection");
        }
        UserCommand::Enable { name, at } => {
            with(&path(at)?, name, |user| user.disabled = false)?;
            say!("user {name} may log in again");
        }
        UserCommand::List { json, at } => list(&path(at)?, *json)?,
    }
    Ok(())
}

/// Where the file is.
fn path(at: &UsersAt) -> Result<PathBuf, String> {
    if let Some(file) = &at.file {
        return Ok(file.clone());
    }
    let configured = at.config.as_deref().map(|config| Config::load(Some(config))).transpose()?;
    configured
        .and_then(|config| config.users_file)
        .or_else(|| at.data.as_ref().map(|data| data.join(file::NAME)))
        .ok_or_else(|| {
            "the configuration names no users_file: say with --data where the exchange's data directory is"
                .into()
        })
}

fn is_named(user: &Account, name: &str) -> bool {
    let protocol = user.protocol().unwrap_or(Protocol::Fix);
    canonical_name(protocol, name.as_bytes()).is_some_and(|name| name.trimmed() == user.name.as_bytes())
}

fn unknown(name: &str) -> String {
    format!("no user {name}: `exchange user list` shows who is there")
}

fn with(path: &std::path::Path, name: &str, edit: impl FnOnce(&mut Account)) -> Result<(), String> {
    change(path, |users| {
        let user = users.iter_mut().find(|user| is_named(user, name)).ok_or_else(|| unknown(name))?;
        edit(user);
        Ok(())
    })
}

/// A password that was made is shown this once.
fn show(generated: Option<String>) {
    if let Some(password) = generated {
        say!("password: {password}");
    }
}

impl NewSecret {
    /// Puts what was asked for into an account. Gives the password that was made, if one was.
    fn put_into(&self, account: &mut Account, protocol: Protocol) -> Result<Option<String>, String> {
        if let Some(path) = &self.public_key {
            if protocol == Protocol::Soup {
                return Err("--public-key: SoupBinTCP carries passwords, and no signatures".into());
            }
            let wrong = |error: &dyn std::fmt::Display| format!("--public-key {}: {error}", path.display());
            let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
            let key = public_key_from_pem(&pem).map_err(|error| wrong(&error))?;
            account.public_key = Some(key.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        if self.no_password {
            account.hash = None;
            return Ok(None);
        }
        let (password, generated) = if self.generate {
            let password = generate_password(protocol).map_err(|error| error.to_string())?;
            (password.clone(), Some(password))
        } else {
            (prompt::password(&account.name)?, None)
        };
        let most = protocol.password_max();
        let is_printable = password.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !is_printable
            || !(PASSWORD_MIN..=most).contains(&password.len())
            || password.trim_end() != password
        {
            return Err(format!(
                "a password for {} has {PASSWORD_MIN} to {most} printable ASCII characters, and no space at its end; \
                 --generate makes one",
                protocol.name()
            ));
        }
        account.hash = Some(hash_password(&canonical_password(protocol, password.as_bytes()))?);
        Ok(generated)
    }
}

fn list(path: &std::path::Path, as_json: bool) -> Result<(), String> {
    let users = file::read(path)?
        .ok_or_else(|| format!("there is no users file {}: `exchange user add` makes it", path.display()))?;
    for user in users {
        let Account {
            name,
            protocol,
            hash,
            public_key,
            disabled,
            allow,
            cancel_on_disconnect,
            drop_copy_of,
            market_data,
        } = user;
        if as_json {
            say!(
                "{}",
                json!({
                    "name": name, "protocol": protocol, "password": hash.is_some(), "public_key": public_key,
                    "disabled": disabled, "allow": allow, "cancel_on_disconnect": cancel_on_disconnect,
                    "drop_copy_of": drop_copy_of, "market_data": market_data,
                })
            );
            continue;
        }
        let mut what = vec![protocol];
        what.extend(hash.map(|_| "password".to_owned()));
        what.extend(public_key.map(|_| "public key".to_owned()));
        what.extend(cancel_on_disconnect.then(|| "cancel on disconnect".to_owned()));
        what.extend((!allow.is_empty()).then(|| format!("from {}", allow.join(" "))));
        what.extend((!drop_copy_of.is_empty()).then(|| format!("drop copy of {}", drop_copy_of.join(" "))));
        what.extend((!market_data).then(|| "no market data".to_owned()));
        what.extend(disabled.then(|| "DISABLED".to_owned()));
        say!("{name:<20} {}", what.join(", "));
    }
    Ok(())
}
