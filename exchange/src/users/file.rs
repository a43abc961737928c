//! The file of users: TOML, mode 0600, replaced as a whole by a rename, so that whoever reads it sees one state or the next.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use domain::{SessionId, UserName};
use door::auth::{Network, Proof, Protocol, User, canonical_name, check_hash};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// Its name in a data directory.
pub(crate) const NAME: &str = "users.toml";
/// No file of users is larger: 100,000 of them fit.
const BYTES_MAX: u64 = 32 << 20;
/// What stands at its head.
const HEAD: &str = "# The users of an exchange. `exchange user` changes it, and a running exchange notices. Nobody but its owner may read \
                    it.\n\n";

/// A user as the file has it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    /// In capitals where its protocol knows no case.
    pub(crate) name: String,
    #[serde(default = "soup")]
    pub(crate) protocol: String,
    /// argon2id, in the PHC string format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<String>,
    /// An Ed25519 key, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public_key: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) disabled: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) cancel_on_disconnect: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) drop_copy_of: Vec<String>,
    /// Whether it may read market data, where that takes a login.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub(crate) market_data: bool,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

const fn yes() -> bool {
    true
}

fn soup() -> String {
    Protocol::Soup.name().into()
}

/// A protocol by its name.
pub(crate) fn protocol(name: &str) -> Result<Protocol, String> {
    [Protocol::Soup, Protocol::Fix]
        .into_iter()
        .find(|protocol| protocol.name() == name)
        .ok_or_else(|| format!("no protocol \"{name}\": use soup or fix"))
}

impl Account {
    pub(crate) fn protocol(&self) -> Result<Protocol, String> {
        protocol(&self.protocol).map_err(|error| self.say(&error))
    }

    /// Its name as sessions have it.
    pub(crate) fn user_name(&self) -> Result<UserName, String> {
        let protocol = self.protocol()?;
        canonical_name(protocol, self.name.as_bytes())
            .filter(|name| name.trimmed() == self.name.as_bytes())
            .ok_or_else(|| {
                let most = protocol.name_max();
                let case = if protocol == Protocol::Soup { ", in capitals" } else { "" };
                self.say(&format!("a name has 1 to {most} printable ASCII characters{case}"))
            })
    }

    /// What it means to the gateway, with its session.
    ///
    /// # Errors
    /// Says what is wrong with which user.
    pub(crate) fn user(&self, session: SessionId) -> Result<User, String> {
        let public_key =
            self.public_key.as_deref().map(key_from_hex).transpose().map_err(|error| self.say(&error))?;
        let proof = match &self.hash {
            Some(hash) => {
                check_hash(hash).map_err(|error| self.say(&format!("hash: {error}")))?;
                Proof::Hash(hash.as_str().into())
            }
            None if public_key.is_some() => Proof::Key,
            None => return Err(self.say("neither a hash nor a public_key: nobody could log in as it")),
        };
        let networks = self.allow.iter().map(|text| text.parse::<Network>());
        let names = self.drop_copy_of.iter().map(|name| {
            UserName::new(name.as_bytes())
                .filter(|_| !name.is_empty())
                .ok_or_else(|| self.say(&format!("drop_copy_of: \"{name}\" is no user's name")))
        });
        Ok(User {
            public_key,
            disabled: self.disabled,
            allow: networks
                .collect::<Result<_, _>>()
                .map_err(|error| self.say(&format!("allow: {error}")))?,
            cancel_on_disconnect: self.cancel_on_disconnect,
            drop_copy_of: names.collect::<Result<_, _>>()?,
            ..User::new(self.user_name()?, self.protocol()?, session, proof)
        })
    }

    fn say(&self, what: &str) -> String {
        format!("user \"{}\": {what}", self.name)
    }
}

fn key_from_hex(text: &str) -> Result<[u8; 32], String> {
    let wrong = || "public_key: not the 64 hexadecimal digits of an Ed25519 key".to_owned();
    let mut key = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(key)
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    users: Vec<Account>,
}

/// Reads the users in a file, and checks all of them. `None`: there is no such file.
///
/// # Errors
/// Says what is wrong, and with what.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<Account>>, String> {
    let say = |what: &dyn std::fmt::Display| format!("users file {}: {what}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(say(&error)),
    };
    // Asked of the open file: the one at this path may be another by now.
    let mode = file.metadata().map_err(|error| say(&error))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(say(&format!(
            "mode {mode:04o}: others than its owner can get at it. Run chmod 600 {}; if others may have read it, rotate \
             the passwords",
            path.display()
        )));
    }
    let mut text = String::new();
    file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| say(&error))?;
    if text.len() as u64 > BYTES_MAX {
        return Err(say(&format!("more than {BYTES_MAX} bytes")));
    }
    // A parser's message shows the line that it is about, and a hash may be on it.
    let Text { users } = toml::from_str(&text).map_err(|error: toml::de::Error| say(&error.message()))?;
    let mut seen = BTreeSet::new();
    for account in &users {
        let user = account.user(SessionId(0)).map_err(|error| say(&error))?;
        if !seen.insert(user.name) {
            return Err(say(&account.say("it is there twice")));
        }
    }
    Ok(Some(users))
}

/// Changes the users in a file, which is made if it is not there: one change after another, whoever makes them.
///
/// # Errors
/// When the file is not what it should be, `change` refuses, or the file cannot be written; then nothing has changed.
pub(crate) fn change(
    path: &Path,
    change: impl FnOnce(&mut Vec<Account>) -> Result<(), String>,
) -> Result<(), String> {
    let io = |what: &str, path: &Path| {
        let place = format!("cannot {what} {}", path.display());
        move |error: std::io::Error| format!("{place}: {error}")
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("make", dir))?;
    // Held until the change is done. It is of no use to anyone else, and stays.
    let lock_path = beside(path, ".lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&lock_path)
        .map_err(io("open", &lock_path))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| io("lock", &lock_path)(error.into()))?;

    let mut users = read(path)?.unwrap_or_default();
    change(&mut users)?;
    let body = toml::to_string(&Text { users }).map_err(|error| error.to_string())?;
    let new = beside(path, ".new");
    // Left over from one that was killed.
    let _ = fs::remove_file(&new);
    let mut file =
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new).map_err(io("write", &new))?;
    file.write_all(HEAD.as_bytes())
        .and_then(|()| file.write_all(body.as_bytes()))
        .and_then(|()| file.sync_all())
        .map_err(io("write", &new))?;
    // What the next start would refuse does not get there.
    read(&new)?;
    fs::rename(&new, path).map_err(io("replace", path))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("sync", dir))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use door::auth::hash_password;

    use super::*;

    fn account(name: &str) -> Account {
        let text = format!("name = \"{name}\"\nhash = \"{}\"", hash_password(b"SECRET").unwrap());
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_and_is_its_owners() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/users.toml");
        assert_eq!(read(&path).unwrap(), None);
        let full = Account {
            protocol: "fix".into(),
            public_key: Some("0f".repeat(32)),
            disabled: true,
            allow: vec!["10.0.0.0/8".into()],
            cancel_on_disconnect: true,
            drop_copy_of: vec!["ALICE".into()],
            market_data: false,
            ..account("Broker One")
        };
        let users = vec![account("ALICE"), full.clone()];
        change(&path, |there| {
            there.clone_from(&users);
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap(), Some(users));
        let user = full.user(SessionId(4)).unwrap();
        assert_eq!((user.session, user.disabled, user.cancel_on_disconnect), (SessionId(4), true, true));
        assert_eq!(user.public_key, Some([0x0f; 32]));
        assert_eq!(user.drop_copy_of, [UserName::new(b"ALICE").unwrap()]);

        // A change that is refused leaves all as it was.
        let before = fs::read(&path).unwrap();
        change(&path, |_| Err("no".into())).unwrap_err();
        let twice = change(&path, |users| {
            users.push(account("ALICE"));
            Ok(())
        });
        assert!(twice.unwrap_err().contains("it is there twice"));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn changes_at_once_are_all_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let hash = account("A").hash;
        std::thread::scope(|scope| {
            for n in 0..16 {
                let (path, hash) = (&path, &hash);
                scope.spawn(move || {
                    change(path, |users| {
                        users.push(Account {
                            hash: hash.clone(),
                            name: format!("U{n}"),
                            ..account_without()
                        });
                        Ok(())
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(read(&path).unwrap().unwrap().len(), 16);
    }

    fn account_without() -> Account {
        toml::from_str("name = \"X\"").unwrap()
    }

    #[test]
    fn what_is_wrong_is_named_and_hashes_are_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let hash = account("A").hash.unwrap();
        let refused = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = read(&path).expect_err(text);
            assert!(error.contains("users.toml") && !error.contains("$argon2"), "{error}");
            error
        };
        let user = |more: &str| format!("[[users]]\nname = \"ALICE\"\n{more}");
        assert!(refused(&user("")).contains("\"ALICE\": neither a hash nor a public_key"));
        assert!(refused(&user("hash = \"secret\"")).contains("\"ALICE\": hash: no hash"));
        assert!(refused(&user(&format!("hash = \"{hash}\"\nhush = 1"))).contains("hush"));
        assert!(refused(&user(&format!("hash = \"{hash}\nx"))).contains("users file"));
        let with = |more: &str| user(&format!("hash = \"{hash}\"\n{more}"));
        assert!(refused(&with("protocol = \"ftp\"")).contains("no protocol \"ftp\""));
        assert!(refused(&with("allow = [\"10.0.0.1/8\"]")).contains("allow: \"10.0.0.1/8\" is no network"));
        assert!(refused(&with("public_key = \"abc\"")).contains("64 hexadecimal digits"));
        assert!(refused(&with("drop_copy_of = [\"\"]")).contains("drop_copy_of"));
        for name in ["alice", "", "TOOLONG"] {
            let error = refused(&with("").replace("ALICE", name));
            assert!(error.contains("1 to 6 printable ASCII characters"), "{error}");
        }
        fs::write(&path, with("")).unwrap();
        read(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(&path).unwrap_err().contains("mode 0640"));
    }
}
