//! Clients: they ask, remember what they were told, and go to the other node when one is silent.

use std::collections::VecDeque;

use rand::RngExt;

use super::{Event, MS, STORE, World};
use crate::sim::books::Report;
use crate::sim::node::{Connection, Packet, Talk};

pub(super) struct Client {
    pub(super) session: u32,
    pub(super) next_ref: u32,
    pub(super) unacknowledged: VecDeque<(u32, u64)>,
    pub(super) received: Vec<Report>,
    pub(super) acknowledged: Vec<(u32, u64)>,
    pub(super) connection: Option<Connection>,
    pub(super) is_in: bool,
    /// The number of the next report on this connection.
    pub(super) next: u64,
    pub(super) target: usize,
    pub(super) heard: u64,
}

impl World {
    pub(super) fn client_acts(&mut self, n: u32) {
        let index = n as usize;
        let pause = self.random.random_range(5 * MS..40 * MS);
        self.after(pause, Event::Client(n));
        let now = self.now;
        let client = &mut self.clients[index];
        match client.connection {
            None => {
                let target = client.target;
                client.heard = now;
                client.is_in = false;
                let connection = self.dial(STORE + 1 + index, target);
                self.clients[index].connection = Some(connection);
            }
            Some(connection) => {
                // A client cannot tell a slow exchange from a dead one.
                if now - client.heard > 800 * MS && (!client.is_in || !client.unacknowledged.is_empty()) {
                    self.close(connection, STORE + 1 + index);
                    self.client_lost(index);
                } else if client.is_in && client.unacknowledged.len() < 6 && !self.is_over {
                    let order = (client.next_ref, self.random.random());
                    client.next_ref += self.random.random_range(1..3);
                    client.unacknowledged.push_back(order);
                    if client.unacknowledged.len() == 1 {
                        client.heard = now;
                    }
                    let talk = Talk::Order { client_ref: order.0, value: order.1 };
                    self.send(connection, STORE + 1 + index, Some(Packet::Client(talk)));
                }
            }
        }
    }

    pub(super) fn client_lost(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.connection = None;
        client.is_in = false;
        client.target = 1 - client.target;
    }

    pub(super) fn client_hears(&mut self, index: usize, connection: Connection, talk: Talk) {
        let now = self.now;
        let client = &mut self.clients[index];
        if client.connection != Some(connection) {
            return;
        }
        client.heard = now;
        match talk {
            Talk::Refused => {
                self.close(connection, STORE + 1 + index);
                self.client_lost(index);
            }
            Talk::Welcome { next } => {
                if next < client.next {
                    // It knows less than was sent already: not the one to talk to.
                    self.close(connection, STORE + 1 + index);
                    self.client_lost(index);
                    return;
                }
                client.is_in = true;
                let again: Vec<(u32, u64)> = client.unacknowledged.iter().copied().collect();
                for (client_ref, value) in again {
                    let talk = Talk::Order { client_ref, value };
                    self.send(connection, STORE + 1 + index, Some(Packet::Client(talk)));
                }
            }
            Talk::Report { number, report } => {
                if number != client.next {
                    let what = format!("C: session {index} gets number {number} after {}", client.next - 1);
                    self.violations.push(what);
                    return;
                }
                client.next += 1;
                match client.received.get(number as usize - 1) {
                    Some(known) if *known != report => {
                        let what =
                            format!("C: session {index} was sent {known:?} and then {report:?} as {number}");
                        self.violations.push(what);
                    }
                    Some(_) => {}
                    None => {
                        client.received.push(report);
                        if let Some(at) =
                            client.unacknowledged.iter().position(|(known, _)| *known == report.client_ref)
                        {
                            let order = client.unacknowledged.remove(at).expect("it is there");
                            client.acknowledged.push(order);
                        }
                    }
                }
            }
            other => self.violations.push(format!("a node says {other:?}")),
        }
    }
}
