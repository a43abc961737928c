//! Two nodes of one cluster.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use link::{Flush, Limits, LinkError, ListenerLimits, OutboxFull, Stream};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::support::{Cluster, End, accept, listen, meet, rng};

#[test]
fn both_learn_who_the_other_is_and_talk() {
    let cluster = Cluster::new();
    let (a, b) = meet(&cluster.a, &cluster.b, Limits::default());
    let (mut a, mut b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.stream.peer(), Some("b"));
    assert_eq!(b.stream.peer(), Some("a"));
    let talking = thread::spawn(move || {
        b.stream.queue(b"to a").unwrap();
        b.drive(|end| end.received == b"to b" && !end.stream.wants_write()).unwrap();
        b
    });
    a.stream.queue(b"to b").unwrap();
    a.drive(|end| end.received == b"to a" && !end.stream.wants_write()).unwrap();
    let mut b = talking.join().unwrap();

    // What is queued before a close goes before it; the other side may still answer.
    a.stream.queue(b"the last").unwrap();
    a.stream.close().unwrap();
    assert!(matches!(a.stream.queue(b"more"), Err(OutboxFull { room: 0, .. })));
    let closing = thread::spawn(move || {
        b.drive(|end| end.ended).unwrap();
        assert_eq!(b.received, b"to bthe last");
        b.stream.queue(b"goodbye").unwrap();
        b.stream.close().unwrap();
        b.drive(|end| !end.stream.wants_write()).unwrap();
        b
    });
    a.drive(|end| end.ended).unwrap();
    assert_eq!(a.received, b"to agoodbye");
    drop(closing.join().unwrap());
    // Asked again, it is still the end.
    assert_eq!(a.stream.read(|_| panic!("there is nothing")).unwrap(), link::Incoming::End);
}

#[test]
fn the_places_of_verified_peers_are_free_again() {
    let cluster = Cluster::new();
    let limits = ListenerLimits { handshaking_max: 1, ..ListenerLimits::default() };
    let (mut listener, address) = listen(&cluster.a, limits);
    let mut ends = Vec::new();
    for _ in 0..3 {
        let identity = cluster.b.clone();
        let dialing = thread::spawn(move || {
            let mut end = End::new(Stream::connect(address, &identity, "a", Limits::default(), 0).unwrap());
            end.shake_hands().unwrap();
            end
        });
        let mut end = End::new(accept(&mut listener));
        assert_eq!(listener.handshaking(), 1);
        end.shake_hands().unwrap();
        assert_eq!(listener.handshaking(), 0);
        ends.push((end, dialing.join().unwrap()));
    }
}

/// Sends so many bytes of a generator's in pieces, receives as many of another's, and compares as they come.
fn exchange(mut end: End, bytes: u64, sends: u64, receives: u64, mut sizes: Xoshiro256PlusPlus) {
    let (mut source, mut expected) =
        (Xoshiro256PlusPlus::seed_from_u64(sends), Xoshiro256PlusPlus::seed_from_u64(receives));
    let (mut sent, mut received) = (0, 0);
    let mut refused = 0_u64;
    let mut wanted = Vec::new();
    end.drive(|end| {
        while sent < bytes {
            let size = sizes.random_range(1..=40_000).min(bytes - sent) as usize;
            if size > end.stream.room() {
                assert!(end.stream.queue(&vec![0; size]).is_err());
                refused += 1;
                break;
            }
            let mut piece = vec![0; size];
            fill(&mut source, &mut piece);
            end.stream.queue(&piece).unwrap();
            sent += size as u64;
        }
        wanted.resize(end.received.len(), 0);
        fill(&mut expected, &mut wanted);
        assert!(wanted == end.received, "bytes after {received} differ");
        received += end.received.len() as u64;
        end.received.clear();
        sent == bytes && received == bytes && !end.stream.wants_write()
    })
    .unwrap();
    assert!(refused > 0, "the outbox was never full");
    // A close by turns, so that neither cuts the other off.
    end.stream.close().unwrap();
    end.drive(|end| end.ended && !end.stream.wants_write()).unwrap();
    assert!(end.received.is_empty());
}

/// Bytes that do not depend on the sizes of the pieces.
fn fill(source: &mut Xoshiro256PlusPlus, bytes: &mut [u8]) {
    for byte in bytes {
        *byte = (source.next_u64() >> 56) as u8;
    }
}

#[test]
fn sixty_four_mebibytes_each_way_arrive_as_they_were_sent() {
    const BYTES: u64 = 64 << 20;
    let mut rng = rng();
    let cluster = Cluster::new();
    let limits = Limits { outbox_bytes_max: 100_000, ..Limits::default() };
    let (a, b) = meet(&cluster.a, &cluster.b, limits);
    let (a, b) = (a.unwrap(), b.unwrap());
    let (from_a, from_b) = (rng.random(), rng.random());
    let mut sizes = || Xoshiro256PlusPlus::seed_from_u64(rng.random());
    let (sizes_a, sizes_b) = (sizes(), sizes());
    let other = thread::spawn(move || exchange(b, BYTES, from_b, from_a, sizes_b));
    exchange(a, BYTES, from_a, from_b, sizes_a);
    other.join().unwrap();
}

#[test]
fn a_peer_that_never_reads_costs_an_outbox_and_no_more() {
    let cluster = Cluster::new();
    let limits = Limits { outbox_bytes_max: 1 << 20, ..Limits::default() };
    let (a, b) = meet(&cluster.a, &cluster.b, limits);
    let (mut a, _silent) = (a.unwrap(), b.unwrap());
    let piece = [7; 10_000];
    let mut queued = 0_usize;
    // The socket and TLS take some; then the outbox fills, and stays full.
    let full = loop {
        match a.stream.queue(&piece) {
            Ok(()) => queued += piece.len(),
            Err(full) => match a.stream.flush().unwrap() {
                Flush::Blocked if a.stream.room() < piece.len() => break full,
                _ => {}
            },
        }
        assert!(queued < 1 << 30, "somebody takes it all");
    };
    assert_eq!(full.max, 1 << 20);
    assert!(a.stream.unsent() <= 1 << 20);
    for _ in 0..100 {
        assert!(a.stream.queue(&piece).is_err());
        assert_eq!(a.stream.flush().unwrap(), Flush::Blocked);
    }
    assert!(a.stream.wants_write());
    let all = vec![0; (1 << 20) + 1];
    assert_eq!(a.stream.queue(&all).unwrap_err().bytes, all.len());
}

#[test]
fn one_call_reads_and_sends_a_bounded_amount() {
    const BYTES: usize = 24 << 20;
    /// As much as one call may move beyond its bound: a read of the socket, or what TLS takes ahead.
    const SLACK: usize = 64 * 1024;
    let cluster = Cluster::new();
    let limits = Limits { outbox_bytes_max: BYTES, ..Limits::default() };
    let (a, b) = meet(&cluster.a, &cluster.b, limits);
    let (mut a, mut b) = (a.unwrap(), b.unwrap());
    let mut bytes = vec![0; BYTES];
    rng().fill_bytes(&mut bytes);
    a.stream.queue(&bytes).unwrap();
    assert_eq!(a.stream.room(), 0);
    let reading = thread::spawn(move || {
        let mut before = 0;
        b.drive(|end| {
            let now = end.received.len();
            assert!(now - before <= (512 << 10) + SLACK, "{} bytes in a call", now - before);
            before = now;
            now == BYTES
        })
        .unwrap();
        b.received
    });
    loop {
        let before = a.stream.unsent();
        let flush = a.stream.flush().unwrap();
        let moved = before - a.stream.unsent();
        assert!(moved <= (1 << 20) + SLACK, "{moved} bytes in a call");
        if flush == Flush::Done {
            break;
        }
        thread::yield_now();
    }
    assert!(reading.join().unwrap() == bytes, "the bytes differ");
}

/// Passes bytes between a listener and whoever comes, up to so many towards the one who came; then cuts.
fn cutting_proxy(to: SocketAddr, bytes_max: usize) -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let handle = thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(to).unwrap();
        let (mut client_in, mut server_out) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let up = thread::spawn(move || {
            // Ends when either side has had enough.
            let _ = std::io::copy(&mut client_in, &mut server_out);
        });
        let (mut server_in, mut client_out) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let mut left = bytes_max;
        let mut buffer = [0; 8_192];
        while left > 0 {
            let room = left.min(buffer.len());
            let Ok(count @ 1..) = server_in.read(&mut buffer[..room]) else { break };
            if client_out.write_all(&buffer[..count]).is_err() {
                break;
            }
            left -= count;
        }
        // An end without a reset: what has been passed on arrives, and nothing after it.
        let _ = client.shutdown(Shutdown::Write);
        thread::sleep(Duration::from_millis(20));
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
        up.join().unwrap();
    });
    (address, handle)
}

#[test]
fn a_connection_cut_at_any_byte_is_told_apart_from_a_close_and_what_came_is_a_prefix() {
    let mut rng = rng();
    let cluster = Cluster::new();
    let mut bytes = vec![0; 200_000];
    rng.fill_bytes(&mut bytes);
    // Handshake and all: a few hundred bytes to the whole.
    for round in 0..40 {
        let cut = if round < 20 { rng.random_range(1..3_000) } else { rng.random_range(1..200_000) };
        let (mut listener, address) = listen(&cluster.a, ListenerLimits::default());
        let (proxy, passing) = cutting_proxy(address, cut);
        let sent = bytes.clone();
        let sending = thread::spawn(move || {
            let mut end = End::new(accept(&mut listener));
            end.stream.queue(&sent).unwrap();
            // The proxy cuts both ways, at any moment; that it ends is enough.
            end.drive(|end| end.ended).unwrap_err()
        });
        let mut end = End::new(Stream::connect(proxy, &cluster.b, "a", Limits::default(), 0).unwrap());
        let error = end.drive(|end| end.ended).unwrap_err();
        assert!(matches!(error, LinkError::Cut | LinkError::Io(_)), "cut at {cut}: {error}");
        assert!(end.received.len() < bytes.len());
        assert!(bytes.starts_with(&end.received), "cut at {cut}");
        // Nothing more comes of it.
        assert!(matches!(end.stream.read(|_| panic!("nothing")), Err(LinkError::Closed)));
        assert!(matches!(end.stream.flush(), Err(LinkError::Closed)));
        assert!(end.stream.queue(b"x").is_err());
        drop(end);
        sending.join().unwrap();
        passing.join().unwrap();
    }
}

#[test]
fn where_nobody_listens_the_connection_fails() {
    let cluster = Cluster::new();
    let nobody = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 9), 0)).unwrap().local_addr().unwrap();
    let mut end = match Stream::connect(nobody, &cluster.b, "a", Limits::default(), 0) {
        Ok(stream) => End::new(stream),
        // Some systems say it at once.
        Err(error) => return assert!(matches!(error, LinkError::Io(_)), "{error}"),
    };
    let error = end.shake_hands().unwrap_err();
    assert!(matches!(error, LinkError::Io(_)), "{error}");
}
