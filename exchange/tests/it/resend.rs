//! A FIX session with many unread reports asks for all of them after a SIGKILL, and reads slowly, while others trade.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{SystemTime, UNIX_EPOCH},
};

use client::fix::{Connection, Memory, NewOrder, Request, TimeInForce, Version};
use domain::{Nanos, Side};
use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
use wire::fix::{Fields, Frame, TimePrecision, Writer, frame, value};

use crate::{
    fix_client::{PASSWORD, home, logged_on, order, says},
    venue::{HUNG, Venue},
};

/// Reports that it has not read.
const REPORTS: u64 = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
/// Orders on their way while they are made.
const WINDOW: u64 = 256;
/// What it reads for each order of the other session.
const PIECE: usize = 16 << 10;
/// Bytes that the kernel keeps for it.
const RECEIVE_BUFFER: usize = 4_096;
/// Who reads slowly, and what it has been told.
struct Reader {
    stream: TcpStream,
    inbox: Vec<u8>,
    writer: Writer,
    /// Of its next message.
    number: u64,
    /// Of the next message to it, once it has asked.
    next: u64,
    /// By the last report.
    executed: u64,
    /// Messages that are said again end before this one.
    live_from: u64,
    /// First and next numbers.
    gaps: Vec<(u64, u64)>,
}

impl Reader {
    fn connect(venue: &Venue, number: u64) -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER).expect("a small buffer");
        connect(&socket, &venue.fix.expect("it listens for FIX")).expect("a connection");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(HUNG)).expect("a timeout");
        let writer = Writer::new(TimePrecision::Millis);
        Self {
            stream,
            inbox: Vec::new(),
            writer,
            number,
            next: 1,
            executed: 0,
            live_from: 0,
            gaps: Vec::new(),
        }
    }

    fn say(&mut self, msg_type: &[u8], fields: &[(u32, &str)]) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos();
        let mut out = Vec::new();
        let mut message = self.writer.begin(&mut out, b"FIX.4.4", msg_type);
        message.number(34, self.number).text(49, b"TRADER1");
        message.time(52, Nanos(u64::try_from(since).expect("a time"))).text(56, b"FULCRUM");
        for (tag, text) in fields {
            message.text(*tag, text.as_bytes());
        }
        message.end();
        self.number += 1;
        self.stream.write_all(&out).expect("it is taken");
    }

    /// Reads once.
    fn fill(&mut self) {
        let mut bytes = [0; PIECE];
        let read = self.stream.read(&mut bytes).expect("more comes");
        assert!(read > 0, "the exchange has closed the connection");
        self.inbox.extend_from_slice(&bytes[..read]);
    }

    /// Takes the next message, if it is there whole: its type and what it has behind that.
    fn take(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        match frame(&self.inbox, 8 << 10).expect("no message is that long") {
            Frame::Message(message, length) => {
                let taken = (message.msg_type.to_vec(), message.fields.to_vec());
                self.inbox.drain(..length);
                Some(taken)
            }
            Frame::Incomplete => None,
            Frame::Garbled(_) => panic!("garbled: {}", String::from_utf8_lossy(&self.inbox)),
        }
    }

    /// Logs on without a reset. Gives the number of the answer.
    fn log_on(&mut self) -> u64 {
        self.say(b"A", &[(98, "0"), (108, "60"), (553, "TRADER1"), (554, PASSWORD)]);
        loop {
            if let Some((msg_type, fields)) = self.take() {
                assert_eq!(msg_type, b"A", "{}", String::from_utf8_lossy(&fields));
                return number(&fields, 34);
            }
            self.fill();
        }
    }

    /// Hears what is there: each message is the next one, and each report the next one of its order.
    fn hear(&mut self) {
        while let Some((msg_type, fields)) = self.take() {
            let shown = String::from_utf8_lossy(&fields).replace('\x01', "|");
            assert_eq!(number(&fields, 34), self.next, "{shown}");
            let is_again = self.next < self.live_from;
            assert_eq!(field(&fields, 43) == Some(b"Y"), is_again, "{shown}");
            assert_eq!(field(&fields, 122).is_some(), is_again, "{shown}");
            match &msg_type[..] {
                b"8" => {
                    let exec_type: &[u8] = if self.next == 2 { b"0" } else { b"F" };
                    assert_eq!(field(&fields, 150), Some(exec_type), "{shown}");
                    self.executed += u64::from(exec_type == b"F");
                    assert_eq!(number(&fields, 14), self.executed, "{shown}");
                    self.next += 1;
                }
                b"4" => {
                    assert_eq!(field(&fields, 123), Some(&b"Y"[..]), "{shown}");
                    self.gaps.push((self.next, number(&fields, 36)));
                    self.next = number(&fields, 36);
                }
                // It lasts longer than the heartbeat's interval on a machine that is slow.
                b"0" => self.next += 1,
                other => panic!("{}: {shown}", String::from_utf8_lossy(other)),
            }
        }
    }
}

fn field(fields: &[u8], tag: u32) -> Option<&[u8]> {
    Fields::new(fields).find(|field| field.tag == tag).map(|field| field.value)
}

fn number(fields: &[u8], tag: u32) -> u64 {
    let text = field(fields, tag).unwrap_or_else(|| panic!("no field {tag}"));
    value::int(text).and_then(|number| u64::try_from(number).ok()).expect("a number")
}

/// Buys one of what the reader sells.
fn buy(connection: &mut Connection, id: &str) {
    let order =
        NewOrder { time_in_force: TimeInForce::ImmediateOrCancel, ..order(id, Side::Buy, 1, 1_000_000) };
    connection.request(&Request::New(order)).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn many_unread_reports_are_told_again_after_a_kill_while_others_trade() {
    let home = home("disk");
    let venue = home.start();
    let mut one = logged_on(&venue, "TRADER1", Memory::default(), Version::Fix44);
    one.request(&Request::New(order("A1", Side::Sell, 999_999, 1_000_000))).unwrap();
    says(&mut one, &["00 A1 999999+0"]);
    drop(one);
    // What happens while it is away.
    let mut two = logged_on(&venue, "TRADER2", Memory::default(), Version::Fix44);
    let mut bought = 0;
    for done in 0..REPORTS {
        while bought < REPORTS.min(done + WINDOW) {
            buy(&mut two, &format!("B{bought}"));
            bought += 1;
        }
        says(&mut two, &[&format!("00 B{done} 1+0"), &format!("F2 B{done} 0+1")]);
    }
    let store = two.into_store();
    venue.kill();

    let venue = home.start();
    let mut two = logged_on(&venue, "TRADER2", store, Version::Fix44);
    let mut reader = Reader::connect(&venue, 3);
    let answer = reader.log_on();
    assert_eq!(answer, REPORTS + 3, "two before the kill, the reports, and this one");
    reader.live_from = answer + 1;
    reader.say(b"2", &[(7, "1"), (16, "0")]);
    // It reads a piece for each order of the other session, and each is answered before it reads another.
    let mut live = 0;
    while reader.next < reader.live_from {
        reader.fill();
        reader.hear();
        buy(&mut two, &format!("C{live}"));
        says(&mut two, &[&format!("00 C{live} 1+0"), &format!("F2 C{live} 0+1")]);
        live += 1;
    }
    assert!(live > REPORTS / 200, "{live} orders are too few for so much to be read in pieces");
    // What was traded meanwhile is behind it, once, and under the next numbers.
    while reader.executed < REPORTS + live {
        reader.fill();
        reader.hear();
    }
    assert_eq!(reader.gaps, [(1, 2), (answer, answer + 1)], "the two logons, and nothing else");
    venue.stop();
}
