//! The status socket: `status.sock` in the data directory, to which the status goes as JSON, a line each quarter of a
//! second, for as long as somebody is connected.
//!
//! ```text
//!  client ──connect──▶ status thread: accept ──channel──▶ main thread: Clients ──lines──▶ client
//! ```
//!
//! Nothing is ever read from a client. Writes do not wait: a client that does not read in time misses lines, never parts
//! of one, and no one else notices. What a client may leave unread is one line here and what the kernel buffers. Only
//! the user that runs the exchange may connect.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    os::{
        fd::AsRawFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, bounded};
use log::warn;
use rustix::{
    fs::{Mode, fchmod},
    net::{
        AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, bind, listen, shutdown, socket_with,
    },
};

/// The socket's name in the data directory.
pub(crate) const NAME: &str = "status.sock";
/// Clients at once; further ones are closed at once.
const CLIENTS_MAX: usize = 8;
/// The longest path that a Unix socket's address holds, a zero at its end counted.
const PATH_MAX: usize = 108;

/// A path to a file of `dir` that is short enough for a socket's address. The directory stays open as long as the path
/// is used.
fn short_path(dir: &Path, name: &str) -> io::Result<(Option<File>, PathBuf)> {
    let path = dir.join(name);
    if path.as_os_str().len() < PATH_MAX {
        return Ok((None, path));
    }
    let open = File::open(dir)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())).join(name);
    Ok((Some(open), short))
}

/// Connects to the exchange that runs on a data directory.
///
/// # Errors
/// With `NotFound` or `ConnectionRefused` when none does.
pub(crate) fn connect(dir: &Path) -> io::Result<UnixStream> {
    connect_to(dir, NAME)
}

/// The same to another of its sockets.
pub(crate) fn connect_to(dir: &Path, name: &str) -> io::Result<UnixStream> {
    let (_open, path) = short_path(dir, name)?;
    UnixStream::connect(path)
}

/// The listening socket and the thread that accepts on it. Removed when dropped.
pub(crate) struct Endpoint {
    path: PathBuf,
    listener: UnixListener,
    thread: Option<JoinHandle<()>>,
    /// Those who have just connected.
    pub(crate) clients: Receiver<UnixStream>,
}

impl Endpoint {
    /// Listens in a data directory that this process holds: what a killed one has left there is replaced.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        Self::open_as(dir, NAME)
    }

    /// The same under another name.
    pub(crate) fn open_as(dir: &Path, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // Linux gives the socket's mode to the file that `bind` makes, so nobody else can ever connect.
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        let (_open, short) = short_path(dir, name)?;
        bind(&socket, &SocketAddrUnix::new(&short)?)?;
        listen(&socket, CLIENTS_MAX as i32)?;
        let listener = UnixListener::from(socket);
        let accepting = listener.try_clone()?;
        let (sender, clients) = bounded(CLIENTS_MAX);
        let thread =
            std::thread::Builder::new().name(name.trim_end_matches(".sock").into()).spawn(move || {
                loop {
                    match accepting.accept() {
                        Ok((client, _)) => {
                            // One that finds no room is closed here.
                            let _ = sender.try_send(client);
                        }
                        Err(error)
                            if matches!(
                                error.kind(),
                                ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                            ) => {}
                        // The endpoint was shut down, or the process is out of descriptors: it can do without.
                        Err(error) => {
                            if error.kind() != ErrorKind::InvalidInput {
                                warn!("no more clients for the status: {error}");
                            }
                            return;
                        }
                    }
                }
            })?;
        Ok(Self { path, listener, thread: Some(thread), clients })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Its thread's `accept` ends with "invalid input".
        let _ = shutdown(&self.listener, Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Those who are connected.
#[derive(Default)]
pub(crate) struct Clients {
    clients: Vec<Client>,
}

struct Client {
    stream: UnixStream,
    /// The rest of a line of which a part has been written.
    rest: Vec<u8>,
}

impl Clients {
    pub(crate) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    pub(crate) fn add(&mut self, stream: UnixStream) {
        // One that cannot be told not to wait could hold everything up.
        if self.clients.len() < CLIENTS_MAX && stream.set_nonblocking(true).is_ok() {
            self.clients.push(Client { stream, rest: Vec::new() });
        }
    }

    /// Sends a line, which ends in a line feed, to all who have read what came before. Who has gone is forgotten.
    pub(crate) fn send(&mut self, line: &[u8]) {
        self.clients.retain_mut(|client| client.send(line).is_ok());
    }
}

impl Client {
    fn send(&mut self, line: &[u8]) -> io::Result<()> {
        if self.rest.is_empty() {
            self.rest.extend_from_slice(line);
        }
        while !self.rest.is_empty() {
            match self.stream.write(&self.rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.rest.drain(..written);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read},
        os::unix::fs::PermissionsExt,
        time::Duration,
    };

    use super::*;

    const HUNG: Duration = Duration::from_secs(30);

    fn connected(endpoint: &Endpoint, dir: &Path) -> (UnixStream, UnixStream) {
        let client = connect(dir).unwrap();
        (client, endpoint.clients.recv_timeout(HUNG).unwrap())
    }

    #[test]
    fn only_the_owner_may_connect_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        // What a killed process leaves behind.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let endpoint = Endpoint::open(dir.path()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let _both = connected(&endpoint, dir.path());
        drop(endpoint);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_with_a_long_name_serves_too() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(200));
        std::fs::create_dir(&long).unwrap();
        let endpoint = Endpoint::open(&long).unwrap();
        let _both = connected(&endpoint, &long);
        drop(endpoint);
        assert!(!long.join(NAME).exists());
    }

    #[test]
    fn who_does_not_read_misses_lines_and_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::open(dir.path()).unwrap();
        let mut clients = Clients::default();
        let (lazy, server) = connected(&endpoint, dir.path());
        clients.add(server);
        let (eager, server) = connected(&endpoint, dir.path());
        clients.add(server);
        let mut eager = BufReader::new(eager);
        let long = "x".repeat(30_000);
        let mut line = String::new();
        for n in 0..200 {
            clients.send(format!("{n} {long}\n").as_bytes());
            line.clear();
            eager.read_line(&mut line).unwrap();
            assert_eq!(line, format!("{n} {long}\n"));
        }
        // The lazy one gets whole lines, the oldest that fitted and then the next that was sent.
        let mut lazy = BufReader::new(lazy);
        let mut read = |clients: &mut Clients, n: u32| {
            clients.send(format!("{n} {long}\n").as_bytes());
            line.clear();
            lazy.read_line(&mut line).unwrap();
            let (number, rest) = line.split_once(' ').unwrap();
            assert_eq!(rest.trim_end(), long);
            number.parse::<u32>().unwrap()
        };
        let mut numbers = vec![];
        for n in 200..300 {
            numbers.push(read(&mut clients, n));
        }
        assert_eq!(numbers[0], 0);
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(*numbers.last().unwrap() > 250 && !numbers.contains(&199), "{numbers:?}");
        // Who goes is forgotten.
        drop(lazy);
        drop(eager);
        clients.send(b"bye\n");
        assert!(clients.is_empty());
    }

    #[test]
    fn there_is_room_for_few() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::open(dir.path()).unwrap();
        let mut clients = Clients::default();
        let mut streams: Vec<_> = (0..CLIENTS_MAX)
            .map(|_| {
                let (client, server) = connected(&endpoint, dir.path());
                clients.add(server);
                client
            })
            .collect();
        let (mut late, server) = connected(&endpoint, dir.path());
        clients.add(server);
        assert_eq!(late.read(&mut [0; 8]).unwrap(), 0, "closed");
        clients.send(b"line\n");
        for stream in &mut streams {
            let mut bytes = [0; 5];
            stream.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"line\n");
        }
    }
}
