//! A thread that looks at the file of users now and then, and leaves what is new in it for the gateway.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use domain::{SessionId, UserName};
use door::{Waker, auth::UsersFeed};
use log::{info, warn};

use super::{file, readers::Readers, with_sessions};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What is watched, and for whom.
pub(crate) struct Watched {
    pub(crate) path: PathBuf,
    /// The configuration's own users, who stay.
    pub(crate) plain: Vec<crate::config::User>,
    pub(crate) sessions: BTreeMap<UserName, SessionId>,
    pub(crate) feed: Arc<UsersFeed>,
    pub(crate) waker: Arc<Waker>,
    /// Who reads market data, where that is asked.
    pub(crate) readers: Option<Audience>,
}

/// Those who may read market data, and who is told of them.
pub(crate) struct Audience {
    pub(crate) readers: Readers,
    pub(crate) feed: Arc<UsersFeed>,
    pub(crate) wakers: Vec<Arc<Waker>>,
}

/// The thread. Dropped, it ends soon, and nobody waits for it.
pub(crate) struct UsersWatch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watched {
    /// Starts the thread.
    pub(crate) fn spawn(self) -> Result<UsersWatch, String> {
        let over = Arc::new(AtomicBool::new(false));
        let thread = {
            let over = Arc::clone(&over);
            std::thread::Builder::new()
                .name("users".into())
                .spawn(move || self.run(&over))
                .map_err(|error| format!("no thread for the users file: {error}"))?
        };
        Ok(UsersWatch { over, thread })
    }

    fn run(mut self, over: &AtomicBool) {
        // The file may have changed since it was read for the start.
        let mut seen = None;
        while !over.load(Ordering::Acquire) {
            let now = stamp(&self.path);
            if now.is_some() && now != seen {
                self.leave();
            } else if now.is_none() && seen.is_some() {
                warn!("the users file {} is gone: users stay as they were", self.path.display());
            }
            seen = now;
            std::thread::park_timeout(LOOK);
        }
    }

    /// Reads the file and leaves its users. What is wrong with it is said, and then nobody's rights change.
    fn leave(&mut self) {
        let users = file::read(&self.path).and_then(|accounts| {
            let accounts = accounts.unwrap_or_default();
            let users = with_sessions(&self.plain, &accounts, |name| self.sessions.get(&name).copied())?;
            let readers = self.readers.as_mut();
            let readers = readers.map(|audience| audience.readers.of(&self.plain, &accounts)).transpose()?;
            Ok((users, readers))
        });
        match users {
            Ok((users, readers)) => {
                let many = users.len();
                self.feed.leave(users);
                if let Err(error) = self.waker.wake() {
                    warn!("the front cannot be woken for new users: {error}");
                }
                if let (Some(audience), Some(readers)) = (&self.readers, readers) {
                    audience.feed.leave(readers);
                    for waker in &audience.wakers {
                        if let Err(error) = waker.wake() {
                            warn!("market data cannot be woken for new users: {error}");
                        }
                    }
                }
                // Not before it is so: from here on the next login is looked at by these.
                info!("{many} users may log in, as the configuration and {} say", self.path.display());
            }
            Err(error) => warn!("{error}; users stay as they were"),
        }
    }
}

/// What tells one state of the file from another: it is replaced as a whole.
fn stamp(path: &Path) -> Option<(u64, i64, i64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
}

impl Drop for UsersWatch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }
}
