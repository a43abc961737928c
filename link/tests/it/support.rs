//! Clusters in temporary directories, and ends that drive themselves.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use link::{
    Accepted, Flush, Identity, Incoming, Limits, LinkError, Listener, ListenerLimits, Stream,
    identity::{Files, create},
};
use mio::{Events, Poll, Token};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use tempfile::TempDir;

/// How long anything may take before it counts as hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Of one test's seed.
pub(crate) fn rng() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seeded::seed())
}

/// A cluster of the nodes a and b.
pub(crate) struct Cluster {
    pub(crate) dir: TempDir,
    pub(crate) a: Identity,
    pub(crate) b: Identity,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::made_at(SystemTime::now())
    }

    /// One that was made then, with identities that were loaded then.
    pub(crate) fn made_at(then: SystemTime) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        create(dir.path(), &["a", "b"], then).expect("an identity each");
        let load = |node| load(dir.path(), node, then);
        let (a, b) = (load("a"), load("b"));
        Self { dir, a, b }
    }
}

pub(crate) fn load(dir: &Path, node: &str, now: SystemTime) -> Identity {
    Identity::load(&Files::of(dir, node), node, now).expect("a good identity")
}

/// A listener on a free port, and where it is.
pub(crate) fn listen(identity: &Identity, limits: ListenerLimits) -> (Listener, SocketAddr) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = Listener::bind(any, identity, limits).expect("a free port");
    let address = listener.address().expect("it has one");
    (listener, address)
}

/// Waits for the next connection.
pub(crate) fn accept(listener: &mut Listener) -> Stream {
    match accept_any(listener) {
        Accepted::Stream(stream) => *stream,
        Accepted::Refused { address, why } => panic!("{address} was refused: {why}"),
    }
}

pub(crate) fn accept_any(listener: &mut Listener) -> Accepted {
    let begin = Instant::now();
    loop {
        if let Some(accepted) = listener.accept(0).expect("the system lets us accept") {
            return accepted;
        }
        assert!(begin.elapsed() < PATIENCE, "nobody comes");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A stream with a poll of its own.
pub(crate) struct End {
    poll: Poll,
    events: Events,
    pub(crate) stream: Stream,
    /// All that has come, unless a test takes it.
    pub(crate) received: Vec<u8>,
    /// The peer has closed.
    pub(crate) ended: bool,
}

impl End {
    pub(crate) fn new(mut stream: Stream) -> Self {
        let poll = Poll::new().expect("a poll");
        stream.register(poll.registry(), Token(0)).expect("a place in it");
        Self { poll, events: Events::with_capacity(8), stream, received: Vec::new(), ended: false }
    }

    /// Turns until `done`, as an exchange's thread would.
    pub(crate) fn drive(&mut self, mut done: impl FnMut(&mut Self) -> bool) -> Result<(), LinkError> {
        let begin = Instant::now();
        let mut again = true;
        loop {
            assert!(begin.elapsed() < PATIENCE, "hangs after {} bytes", self.received.len());
            let wait = if again { Duration::ZERO } else { Duration::from_millis(5) };
            self.poll.poll(&mut self.events, Some(wait)).expect("a poll that works");
            again = false;
            if !self.ended {
                match self.stream.read(|bytes| self.received.extend_from_slice(bytes))? {
                    Incoming::More => again = true,
                    Incoming::Drained => {}
                    Incoming::End => self.ended = true,
                }
            }
            if done(self) {
                return Ok(());
            }
            if self.stream.wants_write() {
                again |= self.stream.flush()? == Flush::More;
            }
            if done(self) {
                return Ok(());
            }
        }
    }

    /// Until the peer is verified and everything is sent.
    pub(crate) fn shake_hands(&mut self) -> Result<(), LinkError> {
        self.drive(|end| !end.stream.is_handshaking() && !end.stream.wants_write())
    }
}

/// Connects b to a, each end in a thread of its own, and lets both shake hands. What the node b meets is the second.
pub(crate) fn meet(
    a: &Identity,
    b: &Identity,
    limits: Limits,
) -> (Result<End, LinkError>, Result<End, LinkError>) {
    let (mut listener, address) = listen(a, ListenerLimits { stream: limits, ..ListenerLimits::default() });
    std::thread::scope(|scope| {
        let dialing = scope.spawn(move || {
            let mut end = End::new(Stream::connect(address, b, "a", limits, 0)?);
            end.shake_hands()?;
            Ok(end)
        });
        let mut end = End::new(accept(&mut listener));
        let accepted = end.shake_hands().map(|()| end);
        (accepted, dialing.join().expect("it does not panic"))
    })
}
