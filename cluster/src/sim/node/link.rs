//! The link to the other node: who calls whom, and messages cut out of bytes.

use super::{Connection, Node, Outside, Packet, describe};
use crate::frame::{self, Hello, Message, Reason, Refused};
use crate::standby::Work;

/// What a message of the link may carry.
const BYTES_MAX: usize = 1 << 20;

pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) inbound: Vec<u8>,
    /// A primary without a standby has dialed, to ask whether the other one leads.
    pub(super) is_probe: bool,
}

impl Node {
    /// The other node has answered our call.
    pub(in crate::sim) fn connected(&mut self, connection: Connection, io: &mut dyn Outside) {
        self.dialing = false;
        if !self.is_open || self.link.is_some() {
            io.close(connection);
            return;
        }
        let is_probe = self.lead.is_some();
        self.link = Some(Link { connection, inbound: Vec::new(), is_probe });
        if let Some(lead) = &self.lead {
            let log = self.journal.as_ref().map(describe).expect("a primary has a journal");
            let hello = Hello {
                node: self.id,
                cluster: Some(log.cluster),
                end: log.end,
                promised: lead.epoch,
                complete: true,
                ring_bytes: log.ring_bytes,
                segment_bytes: log.segment_bytes,
                history: log.history,
            };
            self.transmit(&Message::Hello(hello), io);
        } else {
            self.standby.link_up(io.now_nanos());
        }
        self.pump(io);
    }

    pub(in crate::sim) fn dial_failed(&mut self) {
        self.dialing = false;
    }

    /// The other node has called.
    pub(in crate::sim) fn accepted(&mut self, connection: Connection, io: &mut dyn Outside) {
        let is_leading = self.is_open && self.lead.is_some();
        if !is_leading {
            let refused = Refused {
                reason: Reason::NotPrimary,
                promised: self.kept.promised,
                text: "this node does not lead".into(),
            };
            let mut bytes = Vec::new();
            Message::Refused(refused).encode(&mut bytes);
            io.send(connection, Packet::Link(bytes));
            io.close(connection);
            return;
        }
        // A standby that lost its link without our knowing comes again.
        if let Some(old) = self.link.replace(Link { connection, inbound: Vec::new(), is_probe: false }) {
            io.close(old.connection);
        }
        if let Some(lead) = &mut self.lead {
            lead.primary.link_up(io.now_nanos());
        }
        self.pump(io);
    }

    pub(in crate::sim) fn closed(&mut self, connection: Connection, io: &mut dyn Outside) {
        if self.link.as_ref().is_some_and(|link| link.connection == connection) {
            self.drop_link();
        } else if let Some(lead) = &mut self.lead {
            lead.clients.remove(&connection);
        }
        self.pump(io);
    }

    pub(in crate::sim) fn received(&mut self, connection: Connection, packet: Packet, io: &mut dyn Outside) {
        match packet {
            Packet::Link(bytes) => self.on_link(connection, &bytes, io),
            Packet::Client(talk) => self.on_client(connection, talk, io),
        }
        self.pump(io);
    }

    pub(super) fn on_link(&mut self, connection: Connection, bytes: &[u8], io: &mut dyn Outside) {
        let Some(link) = self.link.as_mut().filter(|link| link.connection == connection) else { return };
        link.inbound.extend_from_slice(bytes);
        let mut buffer = core::mem::take(&mut link.inbound);
        let is_probe = link.is_probe;
        let mut taken = 0;
        loop {
            match frame::decode(&buffer[taken..], BYTES_MAX) {
                Ok(Some((message, length))) => {
                    taken += length;
                    self.on_message(&message, is_probe, io);
                    self.pump(io);
                }
                Ok(None) => break,
                Err(error) => {
                    io.violation(format!("the link brings nonsense: {error}"));
                    break;
                }
            }
            if self.link.as_ref().is_none_or(|link| link.connection != connection) {
                return;
            }
        }
        buffer.drain(..taken);
        if let Some(link) = &mut self.link {
            link.inbound = buffer;
        }
    }

    pub(super) fn on_message(&mut self, message: &Message<'_>, is_probe: bool, io: &mut dyn Outside) {
        let now = io.now_nanos();
        if is_probe {
            let epoch = match message {
                Message::Welcome(welcome) => welcome.epoch,
                Message::Refused(refused) => refused.promised,
                _ => return,
            };
            if let Some(link) = self.link.take() {
                io.close(link.connection);
            }
            if let Some(lead) = &mut self.lead {
                lead.primary.heard_of(epoch);
            }
            return;
        }
        if let Some(lead) = &mut self.lead {
            lead.primary.on_message(now, message);
            return;
        }
        match self.standby.on_message(now, message) {
            Some(Work::Append { at, bytes }) => {
                let Some(journal) = &mut self.journal else { return };
                match journal.append_of_primary(at.0, bytes) {
                    Ok(starts) => {
                        let end = journal.end();
                        self.extend_tail(io);
                        self.standby.appended(end, &starts);
                    }
                    Err(what) => self.standby.append_failed(what),
                }
            }
            Some(Work::Piece { bytes, .. }) => self.snapshot_in.extend_from_slice(bytes),
            None => {}
        }
    }

    pub(super) fn transmit(&self, message: &Message<'_>, io: &mut dyn Outside) {
        if let Some(link) = &self.link {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            io.send(link.connection, Packet::Link(bytes));
        }
    }

    /// The machine has closed the link, and forgotten it.
    pub(super) fn close_link(&mut self, io: &mut dyn Outside) {
        if let Some(link) = self.link.take() {
            io.close(link.connection);
        }
    }

    pub(super) fn drop_link(&mut self) {
        let Some(link) = self.link.take() else { return };
        if let Some(lead) = &mut self.lead {
            if !link.is_probe {
                lead.primary.link_down();
            }
        } else {
            self.standby.link_down();
        }
    }

    pub(super) fn drop_link_and_close(&mut self, io: &mut dyn Outside) {
        if let Some(link) = self.link.take() {
            io.close(link.connection);
        }
    }
}
