//! What the exchange is held against: a server that answers each request with as many bytes as the exchange would, and
//! does nothing else.
//!
//! It runs in a process of its own, as the exchange does, on a mio loop that blocks or spins. It speaks just enough of
//! SoupBinTCP and OUCH for the same client to drive both: a new order is answered by 64 bytes that say it is accepted,
//! a cancel by 18, a replacement by 68, each in its frame, copied from a template with the request's own number written
//! into it. No book, no journal, no session, no checks. A client whose first byte is FIX's gets the same in FIX.

mod fix;

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::Duration,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use wire::{
    ouch::{
        Appendage, codes,
        outbound::{Accepted, AccountQueryResponse, Canceled, Replaced},
    },
    soup::{self, LoginAccepted, SessionName, kind},
};

const LISTENER: Token = Token(0);
/// Bytes that are read ahead of what is answered; many frames long.
const INPUT: usize = 1 << 17;
/// The longest payload taken.
const PAYLOAD_MAX: usize = 4_096;

/// Serves for ever on a free port of the loopback interface; `ready` hears which. With `spin` it never sleeps.
///
/// # Errors
/// When sockets or the poller fail.
pub fn serve(spin: bool, ready: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    ready(listener.local_addr()?);
    let answers = Answers::new();
    let mut peers: BTreeMap<usize, Peer> = BTreeMap::new();
    let mut events = Events::with_capacity(256);
    let mut next = 1;
    let timeout = spin.then_some(Duration::ZERO);
    loop {
        match poll.poll(&mut events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    poll.registry().register(
                        &mut stream,
                        Token(next),
                        Interest::READABLE | Interest::WRITABLE,
                    )?;
                    let input = vec![0; INPUT].into_boxed_slice();
                    peers.insert(next, Peer { stream, input, held: 0, output: Vec::new(), fix: None });
                    next += 1;
                }
            } else if let Some(peer) = peers.get_mut(&event.token().0)
                && !peer.turn(&answers).unwrap_or(false)
            {
                peers.remove(&event.token().0);
            }
        }
    }
}

struct Peer {
    stream: TcpStream,
    /// `INPUT` bytes, of which the first `held` are read and not answered: less than a frame.
    input: Box<[u8]>,
    held: usize,
    /// Not yet with the kernel.
    output: Vec<u8>,
    /// It speaks FIX.
    fix: Option<fix::Peer>,
}

impl Peer {
    /// Reads and answers until there is nothing more to read; false when the client is gone.
    fn turn(&mut self, answers: &Answers) -> io::Result<bool> {
        loop {
            let room = &mut self.input[self.held..];
            let asked = room.len();
            match self.stream.read(room) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.held += read;
                    if !self.answer(answers)? {
                        return Ok(false);
                    }
                    self.flush()?;
                    // A short read has emptied the socket.
                    if read < asked {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.flush()?;
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers every whole frame; false after a goodbye.
    fn answer(&mut self, answers: &Answers) -> io::Result<bool> {
        // SoupBinTCP begins with a length, which is never so long.
        if self.fix.is_none() && self.input[..self.held].starts_with(b"8=FIX") {
            self.fix = Some(fix::Peer::new());
        }
        if let Some(peer) = &mut self.fix {
            let (taken, stays) = peer.answer(&self.input[..self.held], &mut self.output)?;
            self.input.copy_within(taken..self.held, 0);
            self.held -= taken;
            return Ok(stays);
        }
        let mut at = 0;
        while let Some(frame) =
            soup::frame(&self.input[at..self.held], PAYLOAD_MAX).map_err(io::Error::other)?
        {
            match frame.kind {
                kind::UNSEQUENCED => answers.answer(frame.payload, &mut self.output),
                kind::LOGIN_REQUEST => answers.login.encode(&mut self.output),
                kind::LOGOUT_REQUEST => return Ok(false),
                _ => {}
            }
            at += frame.consumed;
        }
        self.input.copy_within(at..self.held, 0);
        self.held -= at;
        Ok(true)
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(written) => drop(self.output.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whole frames, with gaps for what the request says.
struct Answers {
    login: LoginAccepted,
    accepted: Vec<u8>,
    canceled: Vec<u8>,
    replaced: Vec<u8>,
    query: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let framed = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = Vec::new();
            let Ok(()) = soup::sequenced(&mut bytes, |out| {
                write(out);
                Ok::<(), core::convert::Infallible>(())
            });
            bytes
        };
        let accepted = Accepted {
            timestamp: 0,
            user_ref: 0,
            side: b'B',
            quantity: 0,
            symbol: *b"ECHO    ",
            price: 10_000,
            time_in_force: codes::DAY,
            display: b'Y',
            order_reference: 0,
            capacity: b'P',
            intermarket_sweep: b'N',
            cross: b'N',
            state: codes::STATE_LIVE,
            client_order_id: [b' '; 14],
            appendage: Appendage::EMPTY,
        };
        let replaced = Replaced {
            timestamp: 0,
            original: 0,
            user_ref: 0,
            side: b'B',
            quantity: 0,
            symbol: *b"ECHO    ",
            price: 10_000,
            time_in_force: codes::DAY,
            display: b'Y',
            order_reference: 0,
            capacity: b'P',
            intermarket_sweep: b'N',
            cross: b'N',
            state: codes::STATE_LIVE,
            client_order_id: [b' '; 14],
            appendage: Appendage::EMPTY,
        };
        let canceled = Canceled { timestamp: 0, user_ref: 0, quantity: 0, reason: b'U' };
        let query = AccountQueryResponse { timestamp: 0, next_user_ref: 1 };
        Self {
            login: LoginAccepted {
                session: SessionName::new("1").unwrap_or(SessionName::BLANK),
                sequence: 1,
            },
            accepted: framed(&|out| accepted.encode(out)),
            canceled: framed(&|out| canceled.encode(out)),
            replaced: framed(&|out| replaced.encode(out)),
            query: framed(&|out| query.encode(out)),
        }
    }

    /// Appends the answer to a request; nothing for what the benchmarks never ask.
    fn answer(&self, request: &[u8], out: &mut Vec<u8>) {
        let start = out.len() + soup::HEADER_LEN;
        let mut copy = |template: &[u8], fields: &[(usize, &[u8])]| {
            out.extend_from_slice(template);
            for (at, bytes) in fields {
                out[start + at..start + at + bytes.len()].copy_from_slice(bytes);
            }
        };
        // Offsets are those of OUCH: the answer's on the left, the request's on the right.
        match (request.first(), request.len()) {
            (Some(b'O'), 47..) => copy(&self.accepted, &[(9, &request[1..5]), (14, &request[6..10])]),
            (Some(b'U'), 40..) => {
                copy(&self.replaced, &[(9, &request[1..5]), (13, &request[5..9]), (18, &request[9..13])]);
            }
            (Some(b'X'), 9) => {
                // All that is left, whatever that is; or, for a reduction, as good as nothing.
                let quantity: u32 = if request[5..9] == [0; 4] { u32::MAX } else { 0 };
                copy(&self.canceled, &[(9, &request[1..5]), (13, &quantity.to_be_bytes())]);
            }
            (Some(b'Q'), _) => copy(&self.query, &[]),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::{
        ouch::{
            Inbound, Outbound,
            inbound::{CancelOrder, EnterOrder, ReplaceOrder},
        },
        soup::ServerPacket,
    };

    use super::*;

    #[test]
    fn each_request_gets_an_answer_that_names_it() {
        let answers = Answers::new();
        let answer = |request: &Inbound<'_>| {
            let (mut bytes, mut out) = (Vec::new(), Vec::new());
            request.encode(&mut bytes);
            answers.answer(&bytes, &mut out);
            out
        };
        let check = |bytes: &[u8], check: &dyn Fn(&Outbound<'_>)| {
            let frame = soup::frame(bytes, PAYLOAD_MAX).unwrap().unwrap();
            assert_eq!(frame.consumed, bytes.len());
            let ServerPacket::Sequenced(message) = ServerPacket::decode(&frame).unwrap() else {
                panic!("sequenced")
            };
            check(&Outbound::decode(message).unwrap());
        };
        let enter = EnterOrder {
            user_ref: 77,
            side: b'B',
            quantity: 500,
            symbol: *b"AAPL    ",
            price: 10_000,
            time_in_force: codes::DAY,
            display: b'Y',
            capacity: b'P',
            intermarket_sweep: b'N',
            cross: b'N',
            client_order_id: [b' '; 14],
            appendage: Appendage::EMPTY,
        };
        check(&answer(&Inbound::EnterOrder(enter)), &|said| {
            assert!(
                matches!(said, Outbound::Accepted(m) if m.user_ref == 77 && m.quantity == 500),
                "{said:?}"
            );
        });
        let replace = ReplaceOrder {
            original: 77,
            user_ref: 78,
            quantity: 400,
            price: 10_000,
            time_in_force: codes::DAY,
            display: b'Y',
            intermarket_sweep: b'N',
            client_order_id: [b' '; 14],
            appendage: Appendage::EMPTY,
        };
        check(&answer(&Inbound::ReplaceOrder(replace)), &|said| {
            assert!(
                matches!(said, Outbound::Replaced(m) if (m.original, m.user_ref, m.quantity) == (77, 78, 400)),
                "{said:?}"
            );
        });
        check(&answer(&Inbound::CancelOrder(CancelOrder { user_ref: 78, quantity: 0 })), &|said| {
            assert!(
                matches!(said, Outbound::Canceled(m) if (m.user_ref, m.quantity) == (78, u32::MAX)),
                "{said:?}"
            );
        });
    }
}
