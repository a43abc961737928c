//! What lasts of a user's session from one connection to the next, and from one run to the next.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use log::{info, warn};
use wire::soup::SessionName;

use super::{
    numbers::Numbers,
    record::{Record, file_name, user_of},
};

/// A user's name, in capitals and padded.
pub(super) type User = [u8; 6];

/// One user's session.
pub(super) struct Account {
    pub(super) record: Record,
    pub(super) numbers: Numbers,
    /// Bytes of the file that are known to be safe.
    pub(super) synced: u64,
    /// The connection that has it.
    holder: Option<usize>,
}

/// All of them, in a directory that is this router's alone.
pub(super) struct Accounts {
    dir: PathBuf,
    all: BTreeMap<User, Account>,
    /// Held while this lives.
    _lock: File,
}

impl Accounts {
    /// Opens the directory, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be used, or another router uses it.
    pub(super) fn open(dir: &Path) -> Result<Self, String> {
        let named = |error: io::Error| format!("{}: {error}", dir.display());
        fs::create_dir_all(dir).map_err(named)?;
        let lock = File::create(dir.join("lock")).map_err(named)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!("{}: another router uses it", dir.display()));
            }
            Err(TryLockError::Error(error)) => return Err(named(error)),
        }
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(named)? {
            let path = entry.map_err(named)?.path();
            let Some(user) = user_of(&path) else { continue };
            let mut numbers = Numbers::default();
            match Record::open(&path, user, |entry| numbers.note(entry)) {
                Ok(record) => {
                    let synced = record.written();
                    all.insert(user, Account { record, numbers, synced, holder: None });
                }
                Err(error) => put_aside(&path, &error).map_err(named)?,
            }
        }
        info!("{}: {} sessions", dir.display(), all.len());
        Ok(Self { dir: dir.to_owned(), all, _lock: lock })
    }

    pub(super) fn get(&self, user: User) -> Option<&Account> {
        self.all.get(&user)
    }

    pub(super) fn get_mut(&mut self, user: User) -> Option<&mut Account> {
        self.all.get_mut(&user)
    }

    /// The connection that has a user's session.
    pub(super) fn holder(&self, user: User) -> Option<usize> {
        self.all.get(&user)?.holder
    }

    /// Gives a user's session to a connection; it begins, if there is none. Only for who has been let in by a pair.
    ///
    /// # Errors
    /// When its file cannot be made.
    pub(super) fn hold(&mut self, user: User, connection: usize) -> Result<&mut Account, String> {
        if !self.all.contains_key(&user) {
            let path = self.dir.join(file_name(user));
            let session = new_name()?;
            let record = Record::create(&path, session, user)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            let synced = record.written();
            info!("session {session} of {} begins", String::from_utf8_lossy(user.trim_ascii_end()));
            self.all.insert(user, Account { record, numbers: Numbers::default(), synced, holder: None });
        }
        let account = self.all.get_mut(&user).ok_or("a session that was just made")?;
        account.holder = Some(connection);
        Ok(account)
    }

    /// A connection has a user's session no more.
    pub(super) fn release(&mut self, user: User, connection: usize) {
        if let Some(account) = self.all.get_mut(&user).filter(|account| account.holder == Some(connection)) {
            account.holder = None;
        }
    }
}

/// A file that is none any more: whoever it was of begins a new session.
fn put_aside(path: &Path, why: &str) -> io::Result<()> {
    let mut aside = path.with_extension("merge.damaged");
    let mut number = 1;
    while aside.exists() {
        number += 1;
        aside = path.with_extension(format!("merge.damaged-{number}"));
    }
    warn!("{why}. It is put aside as {}, and a session of another name begins", aside.display());
    fs::rename(path, aside)
}

/// A name that no session has had: the time, in microseconds, in base 36. It lasts until 2085.
fn new_name() -> Result<SessionName, String> {
    let since =
        SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| format!("the clock: {error}"))?;
    let mut rest = since.as_micros();
    let mut text = Vec::new();
    while rest > 0 {
        text.push(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(rest % 36) as usize]);
        rest /= 36;
    }
    text.reverse();
    std::str::from_utf8(&text)
        .ok()
        .and_then(SessionName::new)
        .ok_or_else(|| "the clock is too far ahead for a session's name".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: User = *b"ALICE ";

    #[test]
    fn a_session_goes_on_with_its_file_and_begins_anew_without_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut accounts = Accounts::open(dir.path()).unwrap();
        assert!(Accounts::open(dir.path()).err().unwrap().contains("another router"));
        let name = accounts.hold(ALICE, 3).unwrap().record.session();
        assert_eq!(accounts.holder(ALICE), Some(3));
        accounts.release(ALICE, 4);
        assert_eq!(accounts.holder(ALICE), Some(3));
        accounts.release(ALICE, 3);
        assert_eq!(accounts.holder(ALICE), None);
        drop(accounts);
        let accounts = Accounts::open(dir.path()).unwrap();
        assert_eq!(accounts.get(ALICE).map(|account| account.record.session()), Some(name));
        drop(accounts);
        for round in 0..2 {
            fs::write(dir.path().join(file_name(ALICE)), "nonsense").unwrap();
            let mut accounts = Accounts::open(dir.path()).unwrap();
            assert!(accounts.get(ALICE).is_none(), "round {round}");
            assert_ne!(accounts.hold(ALICE, 0).unwrap().record.session(), name);
        }
        let aside = fs::read_dir(dir.path()).unwrap();
        let aside =
            aside.filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().contains("damaged"));
        assert_eq!(aside.count(), 2);
    }
}
