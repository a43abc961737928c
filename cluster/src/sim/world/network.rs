//! Connections between nodes and clients: bytes take time, come in order, arrive in pieces, and wait behind a cut.

use std::collections::VecDeque;

use rand::RngExt;

use super::{Event, MS, SECOND, STORE, World};
use crate::sim::node::{Connection, Packet, Talk};

/// A connection between two places.
pub(super) struct Wire {
    pub(super) ends: [usize; 2],
    pub(super) open: [bool; 2],
    /// On the way to the second end, and to the first.
    pub(super) queues: [VecDeque<(u64, Option<Packet>)>; 2],
    pub(super) last: [u64; 2],
}

impl World {
    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.contains(&(from, to))
    }

    pub(super) fn delay(&mut self) -> u64 {
        match self.random.random_range(0..50) {
            0 if !self.is_calm => self.random.random_range(MS..30 * MS),
            _ => self.random.random_range(20_000..200_000),
        }
    }

    pub(super) fn dial(&mut self, from: usize, to: usize) -> Connection {
        self.connections += 1;
        let connection = self.connections;
        let wire = Wire { ends: [from, to], open: [true, true], queues: Default::default(), last: [0; 2] };
        self.wires.insert(connection, wire);
        let delay = self.delay();
        self.after(delay, Event::Dialed(connection, from));
        connection
    }

    pub(super) fn dialed(&mut self, connection: Connection, from: usize) {
        let Some(wire) = self.wires.get(&connection) else {
            self.dial_failed(connection, from);
            return;
        };
        let to = wire.ends[1];
        let is_refused = self.machines[to].node.is_none() || self.is_cut(from, to) || self.is_cut(to, from);
        if is_refused {
            self.wires.remove(&connection);
            self.dial_failed(connection, from);
            return;
        }
        // What a client says is all that its connection brings.
        if from < 2 {
            self.with_node(to, |node, io| node.accepted(connection, io));
        }
        let delay = self.delay();
        self.after(delay, Event::DialAnswered(connection, from));
    }

    pub(super) fn dial_failed(&mut self, connection: Connection, from: usize) {
        if from < 2 {
            self.with_node(from, |node, _| node.dial_failed());
        } else if self.clients[from - STORE - 1].connection == Some(connection) {
            self.client_lost(from - STORE - 1);
        }
    }

    pub(super) fn dial_answered(&mut self, connection: Connection, from: usize) {
        if !self.wires.contains_key(&connection) {
            self.dial_failed(connection, from);
            return;
        }
        if from < 2 {
            self.with_node(from, |node, io| node.connected(connection, io));
        } else {
            let n = from - STORE - 1;
            let client = &mut self.clients[n];
            if client.connection != Some(connection) {
                return;
            }
            // Now and then it wants to hear again what it has heard.
            let have = client.received.len() as u64;
            let back =
                if self.random.random_range(0..4) == 0 { self.random.random_range(0..=have) } else { 0 };
            client.next = have + 1 - back;
            let talk = Talk::Login { session: client.session, next: client.next };
            self.send(connection, from, Some(Packet::Client(talk)));
        }
    }

    /// Nothing is the end of the connection.
    pub(super) fn send(&mut self, connection: Connection, from: usize, packet: Option<Packet>) {
        let delay = self.delay();
        let now = self.now;
        let Some(wire) = self.wires.get_mut(&connection) else { return };
        let side = usize::from(wire.ends[0] == from);
        if !wire.open[1 - side] {
            return;
        }
        let at = (now + delay).max(wire.last[side] + 1);
        wire.last[side] = at;
        // A link's bytes arrive in pieces.
        match packet {
            Some(Packet::Link(bytes)) if self.random.random_range(0..8) == 0 && bytes.len() > 1 => {
                let split = self.random.random_range(1..bytes.len());
                let (first, second) = bytes.split_at(split);
                wire.queues[side].push_back((at, Some(Packet::Link(first.to_vec()))));
                wire.queues[side].push_back((at, Some(Packet::Link(second.to_vec()))));
                self.after(at - now, Event::Arrive(connection, side == 1));
            }
            packet => wire.queues[side].push_back((at, packet)),
        }
        self.after(at - now, Event::Arrive(connection, side == 1));
    }

    pub(super) fn close(&mut self, connection: Connection, by: usize) {
        self.send(connection, by, None);
        if let Some(wire) = self.wires.get_mut(&connection) {
            // What still comes for whoever closed is dropped.
            let side = usize::from(wire.ends[0] == by);
            wire.open[1 - side] = false;
            if wire.open == [false; 2] && wire.queues.iter().all(VecDeque::is_empty) {
                self.wires.remove(&connection);
            }
        }
    }

    pub(super) fn arrive(&mut self, connection: Connection, to_second: bool) {
        let side = usize::from(to_second);
        let Some(wire) = self.wires.get(&connection) else { return };
        let (from, to) = (wire.ends[1 - side], wire.ends[side]);
        if self.is_cut(from, to) {
            // TCP sends it again until it gets through.
            self.after(20 * MS, Event::Arrive(connection, to_second));
            return;
        }
        let now = self.now;
        let Some(wire) = self.wires.get_mut(&connection) else { return };
        match wire.queues[side].front() {
            Some((at, _)) if *at <= now => {}
            _ => return,
        }
        let Some((_, packet)) = wire.queues[side].pop_front() else { return };
        let is_open = wire.open[side];
        match packet {
            Some(packet) if is_open => match (to, packet) {
                (0 | 1, packet) => self.with_node(to, |node, io| node.received(connection, packet, io)),
                (_, Packet::Client(talk)) => self.client_hears(to - STORE - 1, connection, talk),
                (_, Packet::Link(_)) => self.violations.push("a client hears the replication link".into()),
            },
            Some(_) => {}
            None => {
                self.wires.remove(&connection);
                if is_open && to < 2 {
                    self.with_node(to, |node, io| node.closed(connection, io));
                } else if is_open && self.clients[to - STORE - 1].connection == Some(connection) {
                    self.client_lost(to - STORE - 1);
                }
            }
        }
    }

    pub(super) fn cut(&mut self, ways: &[(usize, usize)]) {
        let long = self.random.random_range(50 * MS..5 * SECOND);
        self.cut_for(ways, long);
    }

    pub(super) fn cut_for(&mut self, ways: &[(usize, usize)], long: u64) {
        self.trace(|| format!("cut {ways:?} for {} ms", long / MS));
        self.coverage.cuts += 1;
        for &(from, to) in ways {
            self.cut.insert((from, to));
            self.after(long, Event::EndOfCut(from, to));
        }
        // Some connections break, others wait.
        if self.random.random() {
            let broken: Vec<(Connection, [usize; 2])> = self
                .wires
                .iter()
                .filter(|(_, wire)| ways.contains(&(wire.ends[0], wire.ends[1])))
                .map(|(connection, wire)| (*connection, wire.ends))
                .collect();
            for (connection, ends) in broken {
                self.wires.remove(&connection);
                for end in ends.into_iter().filter(|end| *end < 2) {
                    self.with_node(end, |node, io| node.closed(connection, io));
                }
            }
        }
    }
}
