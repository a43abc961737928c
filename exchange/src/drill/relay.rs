//! A relay between two nodes, which can go silent or close: the cable that somebody trips over.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// From one look at what the relay shall do to the next.
const LOOK: Duration = Duration::from_millis(10);
/// Bytes read at a time.
const PIECE: usize = 64 << 10;

/// What a relay does with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Way {
    /// Everything goes on.
    Open,
    /// Nothing goes on, and nobody is told: connections stay.
    Silent,
    /// Connections are closed, and new ones at once.
    Closed,
    /// There is no relay any more.
    Over,
}

impl Way {
    const ALL: [Self; 4] = [Self::Open, Self::Silent, Self::Closed, Self::Over];

    /// What a link is in it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Silent => "silent",
            Self::Closed => "closed",
            Self::Over => "missing",
        }
    }

    fn of(way: &AtomicU8) -> Self {
        Self::ALL[usize::from(way.load(Ordering::Acquire))]
    }
}

/// Dropped, it closes everything.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    way: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens on the loopback for what shall go to `to`.
    pub(super) fn start(to: SocketAddr) -> Result<Self, String> {
        let wrong = |error: std::io::Error| format!("the relay between the nodes: {error}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(wrong)?;
        listener.set_nonblocking(true).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let way = Arc::new(AtomicU8::new(Way::Open as u8));
        let thread = {
            let way = Arc::clone(&way);
            std::thread::Builder::new()
                .name("relay".into())
                .spawn(move || accept(&listener, to, &way))
                .map_err(wrong)?
        };
        Ok(Self { address, way, thread: Some(thread) })
    }

    /// From now on it does this. What it has in hand may still arrive for a moment.
    pub(super) fn turn(&self, way: Way) {
        self.way.store(way as u8, Ordering::Release);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.turn(Way::Over);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say at its end.
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, to: SocketAddr, way: &Arc<AtomicU8>) {
    loop {
        match Way::of(way) {
            Way::Over => return,
            // Whoever connects finds a peer that says nothing.
            Way::Silent => {}
            Way::Closed => drop(listener.accept()),
            Way::Open => {
                if let Ok((from, _)) = listener.accept()
                    && let Ok(there) = TcpStream::connect(to)
                {
                    // What cannot be relayed is closed, and the nodes try again.
                    let _ = join(from, there, way);
                    continue;
                }
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// A thread for each direction.
fn join(one: TcpStream, other: TcpStream, way: &Arc<AtomicU8>) -> std::io::Result<()> {
    for stream in [&one, &other] {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
    }
    for (from, to) in [(one.try_clone()?, other.try_clone()?), (other, one)] {
        let way = Arc::clone(way);
        std::thread::Builder::new().name("relay-way".into()).spawn(move || carry(from, to, &way))?;
    }
    Ok(())
}

fn carry(mut from: TcpStream, mut to: TcpStream, way: &AtomicU8) {
    let mut piece = vec![0; PIECE];
    loop {
        match Way::of(way) {
            Way::Open => {}
            Way::Silent => {
                std::thread::sleep(LOOK);
                continue;
            }
            Way::Closed | Way::Over => break,
        }
        let bytes = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(bytes) => bytes,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                continue;
            }
            Err(_) => break,
        };
        // What was read just before the cable was cut waits here, too.
        while Way::of(way) == Way::Silent {
            std::thread::sleep(LOOK);
        }
        if Way::of(way) != Way::Open || to.write_all(&piece[..bytes]).is_err() {
            break;
        }
    }
    // The other direction hears of it.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than a relay needs to notice, shorter than anyone's patience.
    const SHORT: Duration = Duration::from_millis(200);

    #[test]
    fn it_carries_falls_silent_goes_on_and_closes() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Relay::start(listener.local_addr().unwrap()).unwrap();
        let mut near = TcpStream::connect(relay.address).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let mut byte = [0];
        near.write_all(b"a").unwrap();
        far.read_exact(&mut byte).unwrap();
        far.write_all(b"b").unwrap();
        near.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"b");

        relay.turn(Way::Silent);
        std::thread::sleep(SHORT);
        near.write_all(b"c").unwrap();
        far.set_read_timeout(Some(SHORT)).unwrap();
        assert!(far.read(&mut byte).is_err(), "carried through a cut");
        relay.turn(Way::Open);
        far.set_read_timeout(None).unwrap();
        far.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"c");

        relay.turn(Way::Closed);
        assert_eq!(near.read(&mut byte).unwrap(), 0);
        assert_eq!(far.read(&mut byte).unwrap(), 0);
        let mut refused = TcpStream::connect(relay.address).unwrap();
        assert!(matches!(refused.read(&mut byte), Ok(0) | Err(_)));
        drop(relay);
    }
}
