//! `[[users]]`: who may log in with a password that stands in the configuration.

use std::collections::BTreeSet;

use domain::{Protocol, UserName};
use serde::Deserialize;
use wire::soup::{Password, Username};

fn soup() -> String {
    "soup".into()
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserFile {
    pub(super) name: String,
    pub(super) password: String,
    #[serde(default = "soup")]
    pub(super) protocol: String,
    #[serde(default)]
    pub(super) cancel_on_disconnect: bool,
    #[serde(default)]
    pub(super) drop_copy_of: Vec<String>,
}

impl std::fmt::Debug for UserFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserFile").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A user who may log in.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: UserName,
    pub(crate) login: Login,
    pub(crate) cancel_on_disconnect: bool,
    pub(crate) drop_copy_of: Vec<UserName>,
}

/// How a user logs in.
#[derive(Clone)]
pub(crate) enum Login {
    /// By SoupBinTCP.
    Soup { username: Username, password: Password },
    /// By FIX.
    Fix { password: String },
}

impl Login {
    pub(crate) const fn protocol(&self) -> Protocol {
        match self {
            Self::Soup { .. } => Protocol::Ouch,
            Self::Fix { .. } => Protocol::Fix,
        }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.protocol())
    }
}

pub(super) fn plain_users(list: &[UserFile]) -> Result<Vec<User>, String> {
    let mut seen = BTreeSet::new();
    let mut seen_fix = BTreeSet::new();
    list.iter()
        .map(|user| {
            let name = &user.name;
            match user.protocol.as_str() {
                "soup" => {}
                "fix" => return fix_user(user, &mut seen_fix),
                other => {
                    return Err(format!("user \"{name}\": no such protocol \"{other}\": use soup or fix"));
                }
            }
            let username = Username::new(name)
                .filter(|_| !name.is_empty())
                .ok_or_else(|| format!("user \"{name}\": a name has 1 to 6 printable ASCII characters"))?;
            if !seen.insert(username.canonical()) {
                return Err(format!("user \"{name}\" is there twice (case does not count)"));
            }
            let password =
                Password::new(&user.password).filter(|_| !user.password.is_empty()).ok_or_else(|| {
                    format!("user \"{name}\": a password has 1 to 10 printable ASCII characters")
                })?;
            let name = UserName::new(&username.canonical())
                .ok_or_else(|| format!("user \"{name}\": not printable ASCII"))?;
            Ok(User {
                name,
                login: Login::Soup { username, password },
                cancel_on_disconnect: user.cancel_on_disconnect,
                drop_copy_of: watched(user)?,
            })
        })
        .collect()
}

/// The users whose orders a user is told of.
fn watched(user: &UserFile) -> Result<Vec<UserName>, String> {
    let name_of = |name: &String| {
        UserName::new(name.as_bytes())
            .filter(|_| !name.is_empty())
            .ok_or_else(|| format!("user \"{}\": drop_copy_of: \"{name}\" is no user's name", user.name))
    };
    user.drop_copy_of.iter().map(name_of).collect()
}

/// A user who speaks FIX. Case counts there; the session is the user's, so one name is one session, whatever it speaks.
fn fix_user(user: &UserFile, seen: &mut BTreeSet<UserName>) -> Result<User, String> {
    let UserFile { name, password, .. } = user;
    let printable =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    let user_name = UserName::new(name.as_bytes())
        .filter(|_| printable(name, 20))
        .ok_or_else(|| format!("user \"{name}\": a name has 1 to 20 printable ASCII characters, no space"))?;
    if !printable(password, 64) {
        return Err(format!("user \"{name}\": a password has 1 to 64 printable ASCII characters, no space"));
    }
    if !seen.insert(user_name) {
        return Err(format!("user \"{name}\" is there twice"));
    }
    Ok(User {
        name: user_name,
        login: Login::Fix { password: password.clone() },
        cancel_on_disconnect: user.cancel_on_disconnect,
        drop_copy_of: watched(user)?,
    })
}
