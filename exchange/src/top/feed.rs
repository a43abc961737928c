//! Lines of an exchange's status socket, read on a thread of their own.

use std::{
    io::{BufRead, BufReader, ErrorKind},
    path::Path,
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::status::{Status, socket};

/// How long the first line may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A line is some hundred bytes a shard, of which there are at most 1,024; what is longer comes from something else.
const LINE_MAX: u64 = 4 << 20;

/// Why there is no more to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FeedError {
    /// The exchange has closed the connection: it has ended.
    Ended,
    /// What it says cannot be understood.
    Strange(String),
}

/// Connects, and reads for as long as the receiver lives.
pub(super) fn open(dir: &Path) -> Result<Receiver<Result<Status, FeedError>>, String> {
    let stream = socket::connect(dir).map_err(|error| {
        let path = dir.join(socket::NAME);
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => format!(
                "no exchange runs on {}: nobody listens on {} ({error}); start one with `exchange run --data {}`",
                dir.display(),
                path.display(),
                dir.display()
            ),
            ErrorKind::PermissionDenied => {
                format!("{}: {error}; only the user that runs the exchange may watch it", path.display())
            }
            _ => format!("{}: {error}", path.display()),
        }
    })?;
    let (sender, lines) = bounded(1);
    std::thread::Builder::new()
        .name("feed".into())
        .spawn(move || {
            let mut reader = BufReader::new(stream);
            loop {
                let line = next(&mut reader);
                let last = line.is_err();
                if sender.send(line).is_err() || last {
                    return;
                }
            }
        })
        .map_err(|error| format!("no thread for the status: {error}"))?;
    Ok(lines)
}

/// The first line.
pub(super) fn first(lines: &Receiver<Result<Status, FeedError>>) -> Result<Status, String> {
    match lines.recv_timeout(PATIENCE) {
        Ok(line) => line.map_err(|error| error.to_string()),
        Err(RecvTimeoutError::Disconnected) => Err(FeedError::Ended.to_string()),
        Err(RecvTimeoutError::Timeout) => Err(format!(
            "the exchange is there and has said nothing for {PATIENCE:?}: it hangs, or is still starting"
        )),
    }
}

fn next(reader: &mut impl BufRead) -> Result<Status, FeedError> {
    let mut line = String::new();
    match std::io::Read::take(&mut *reader, LINE_MAX).read_line(&mut line) {
        Ok(_) if line.ends_with('\n') => {}
        _ => return Err(FeedError::Ended),
    }
    serde_json::from_str(&line).map_err(|error| FeedError::Strange(error.to_string()))
}

impl std::fmt::Display for FeedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended => f.write_str("the exchange has ended"),
            Self::Strange(error) => {
                write!(
                    f,
                    "the exchange says what this program does not understand ({error}): is it of another version?"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_none_runs_it_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let said = open(dir.path()).err().unwrap();
        assert!(said.contains("no exchange runs on") && said.contains("status.sock"), "{said}");
        // One that was killed leaves its socket.
        drop(std::os::unix::net::UnixListener::bind(dir.path().join(socket::NAME)).unwrap());
        let said = open(dir.path()).err().unwrap();
        assert!(said.contains("no exchange runs on"), "{said}");
        assert!(open(&dir.path().join("nowhere")).err().unwrap().contains("no exchange runs on"));
    }

    #[test]
    fn lines_end_with_the_exchange() {
        let half = b"{\"event\":\"sta";
        assert_eq!(next(&mut &half[..]), Err(FeedError::Ended));
        assert_eq!(next(&mut &b""[..]), Err(FeedError::Ended));
        let Err(FeedError::Strange(error)) = next(&mut &b"{\"event\":\"other\"}\n"[..]) else { panic!() };
        assert!(!error.is_empty());
    }
}
