//! A server on loopback that treats each connection as it is told to, and counts the requests that it was given.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use coordinator::{Client, Options};

/// What the server does with a connection, once it has read a request with its body.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// Answers so, as JSON of that status, and goes on with the next request.
    Json(u16, String),
    /// Writes these bytes and closes.
    Raw(Vec<u8>),
    /// Writes that beginning, then such bytes for ever, until the client has had enough.
    Endless(Vec<u8>),
    /// Writes one byte of an answer each 20 ms for ever.
    Drip,
    /// Says nothing and keeps the connection.
    Silent,
    /// Closes at once, without reading the request.
    CloseUnread,
}

pub(crate) struct Server {
    pub(crate) endpoint: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        // Ends with the test's process.
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (script, counted) = (script.clone(), Arc::clone(&counted));
                // A client that goes away in the middle is part of the script.
                thread::spawn(move || drop(serve(socket, &script, &counted)));
            }
        });
        Self { endpoint, requests }
    }

    /// Whole requests that came.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// An endpoint where nobody listens: an address of the loopback that no server here binds, so that none gets the port.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 9), 0)).expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

/// A client of these endpoints that is patient, for a slow machine: what must be quick says so itself.
pub(crate) fn client(endpoints: &[&str]) -> Client {
    let options = Options {
        attempt: Duration::from_secs(20),
        call: Duration::from_secs(60),
        answer_bytes_max: 64 * 1024,
        ..Options::new(endpoints.iter().copied())
    };
    Client::new(&options).expect("good options")
}

/// A client that waits 200 ms for an endpoint.
pub(crate) fn hasty(endpoints: &[&str]) -> Client {
    let attempt = Duration::from_millis(200);
    let call = attempt * u32::try_from(endpoints.len()).expect("a few");
    Client::new(&Options { attempt, call, ..Options::new(endpoints.iter().copied()) }).expect("good options")
}

fn serve(mut socket: TcpStream, script: &Script, requests: &AtomicUsize) -> std::io::Result<()> {
    loop {
        if matches!(script, Script::CloseUnread) {
            return Ok(());
        }
        if !read_request(&mut socket)? {
            return Ok(());
        }
        requests.fetch_add(1, Ordering::SeqCst);
        match script {
            Script::Json(status, body) => {
                let length = body.len();
                write!(
                    socket,
                    "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                )?;
            }
            Script::Raw(bytes) => return socket.write_all(bytes),
            Script::Endless(begin) => {
                socket.write_all(begin)?;
                loop {
                    socket.write_all(&[b'x'; 4096])?;
                }
            }
            Script::Drip => {
                socket.write_all(b"HTTP/1.1 200 OK\r\nx: ")?;
                loop {
                    socket.write_all(b"x")?;
                    thread::sleep(Duration::from_millis(20));
                }
            }
            Script::Silent => drop(socket.read(&mut [0])?),
            Script::CloseUnread => unreachable!("closed above"),
        }
    }
}

/// Reads a head and the body that it announces; false at the connection's end.
fn read_request(socket: &mut TcpStream) -> std::io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if socket.read(&mut byte)? == 0 {
            return Ok(false);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse().ok())
        .expect("the client announces its body");
    socket.read_exact(&mut vec![0; length])?;
    Ok(true)
}
