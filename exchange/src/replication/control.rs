//! What an operator asks of a running node: `control.sock` in its data directory. One request a connection, a line of
//! text; one answer, a line of JSON. Only the user that runs the exchange may connect.
//!
//! | request | |
//! |---|---|
//! | `switch` | lead no more: hand over to the standby |
//! | `alone` | put on record that this node leads without a standby |
//! | `promote`, `promote force` | lead, from a standby |
//! | `status` | role, epoch, positions |

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use crossbeam_channel::{Sender, bounded};
use log::warn;
use serde_json::{Value, json};

use crate::status::socket;

/// The socket's name in the data directory.
pub(crate) const NAME: &str = "control.sock";
/// The longest request.
const LINE_MAX: u64 = 256;
/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Switch,
    Alone,
    Promote { force: bool },
    Status,
}

impl Request {
    fn parse(line: &str) -> Option<Self> {
        Some(match line.trim_end() {
            "switch" => Self::Switch,
            "alone" => Self::Alone,
            "promote" => Self::Promote { force: false },
            "promote force" => Self::Promote { force: true },
            "status" => Self::Status,
            _ => return None,
        })
    }

    fn line(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Alone => "alone",
            Self::Promote { force: false } => "promote",
            Self::Promote { force: true } => "promote force",
            Self::Status => "status",
        }
    }
}

/// A request, and where its answer goes.
pub(crate) struct Asked {
    pub(crate) request: Request,
    answer: Sender<Value>,
}

impl Asked {
    pub(crate) fn done(&self, value: Value) {
        let _ = self.answer.try_send(value);
    }

    pub(crate) fn refused(&self, why: &str) {
        self.done(json!({ "error": why }));
    }
}

/// Asks the node that runs on `dir`.
///
/// # Errors
/// When none runs there, or it refuses.
pub(crate) fn ask(dir: &Path, request: Request) -> Result<Value, String> {
    let none = |error: std::io::Error| format!("no node of a pair runs on {} ({error})", dir.display());
    let mut stream = socket::connect_to(dir, NAME).map_err(none)?;
    stream.set_read_timeout(Some(ANSWER)).map_err(|error| error.to_string())?;
    writeln!(stream, "{}", request.line()).map_err(|error| error.to_string())?;
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .map_err(|error| format!("no answer to \"{}\": {error}", request.line()))?;
    let value: Value =
        serde_json::from_str(&answer).map_err(|_| format!("no answer to \"{}\"", request.line()))?;
    match value["error"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(value),
    }
}

/// Listens, and hands on what is asked.
///
/// Dropped, it listens no more; who waits for an answer still gets it, from whatever the node has become.
pub(crate) struct Control {
    _endpoint: socket::Endpoint,
}

impl Control {
    /// Listens in a data directory that this process holds.
    pub(crate) fn open(dir: &Path, take: impl Fn(Asked) + Send + 'static) -> Result<Self, String> {
        let path = dir.join(NAME);
        let endpoint =
            socket::Endpoint::open_as(dir, NAME).map_err(|error| format!("{}: {error}", path.display()))?;
        let clients = endpoint.clients.clone();
        std::thread::Builder::new()
            .name("control".into())
            .spawn(move || {
                for client in clients {
                    serve(client, &take);
                }
            })
            .map_err(|error| format!("no thread for the control socket: {error}"))?;
        Ok(Self { _endpoint: endpoint })
    }
}

/// One client after another: an operator's requests are few.
fn serve(stream: UnixStream, take: &impl Fn(Asked)) {
    let answer = answer(&stream, take).unwrap_or_else(|error| json!({ "error": error }));
    if let Err(error) = writeln!(&stream, "{answer}") {
        warn!("control socket: {error}");
    }
}

fn answer(stream: &UnixStream, take: &impl Fn(Asked)) -> Result<Value, String> {
    stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    let mut line = String::new();
    BufReader::new(stream.take(LINE_MAX)).read_line(&mut line).map_err(|error| error.to_string())?;
    let request = Request::parse(&line).ok_or_else(|| format!("no request \"{}\"", line.trim_end()))?;
    let (answer, answered) = bounded(1);
    take(Asked { request, answer });
    answered.recv_timeout(ANSWER).map_err(|_| format!("no answer within {} s", ANSWER.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_and_nonsense_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ask(dir.path(), Request::Status).unwrap_err().contains("no node of a pair runs"));
        let control = Control::open(dir.path(), |asked| match asked.request {
            Request::Promote { force } => asked.done(json!({ "force": force })),
            _ => asked.refused("not today"),
        })
        .unwrap();
        assert_eq!(ask(dir.path(), Request::Promote { force: true }), Ok(json!({ "force": true })));
        assert_eq!(ask(dir.path(), Request::Promote { force: false }), Ok(json!({ "force": false })));
        assert_eq!(ask(dir.path(), Request::Switch), Err("not today".into()));
        let mut stream = socket::connect_to(dir.path(), NAME).unwrap();
        writeln!(stream, "dance").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert!(line.contains("no request \\\"dance\\\""), "{line}");
        // A client that says nothing more than there is room for is answered, too.
        let mut stream = socket::connect_to(dir.path(), NAME).unwrap();
        let _ = stream.write_all(&[b'x'; 10_000]);
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line);
        drop(control);
        assert!(!dir.path().join(NAME).exists());
    }
}
