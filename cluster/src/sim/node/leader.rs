//! A node that leads: clients, turns of the front, what may be released and what is shipped.

use std::collections::BTreeMap;

use domain::{ClusterId, Epoch, Position};

use super::{Connection, Done, Node, Note, Outside, Packet, RING_BYTES, SEGMENT_BYTES, Setup, Talk};
use crate::Kept;
use crate::election::Elector;
use crate::frame::{self, Message};
use crate::gate::{Gate, Local, Mode};
use crate::primary::{self, Identity, Primary, Ship};
use crate::sim::books::Books;
use crate::sim::journal::{self as log, Kind, Record};

/// What only a primary has.
pub(super) struct Lead {
    pub(super) epoch: Epoch,
    pub(super) primary: Primary,
    pub(super) gate: Gate,
    pub(super) books: Books,
    pub(super) clients: BTreeMap<Connection, Client>,
    /// Only cancels until then; no client here ever cancels.
    pub(super) open_at_nanos: u64,
    pub(super) is_input_stopped: bool,
    pub(super) held: Vec<(Connection, u32, u64)>,
    pub(super) is_turn_due: bool,
    pub(super) snapshot_out: Vec<u8>,
    pub(super) nanos: u64,
    pub(super) mode: Mode,
}

pub(super) struct Client {
    pub(super) session: u32,
    /// Reports that it has been sent.
    pub(super) sent: u64,
}

impl Node {
    pub(super) fn on_client(&mut self, connection: Connection, talk: Talk, io: &mut dyn Outside) {
        let now = io.now_nanos();
        let may_ack = self.elector.as_ref().is_none_or(|elector| elector.may_ack(now));
        let Some(lead) = self.lead.as_mut().filter(|_| may_ack) else {
            io.send(connection, Packet::Client(Talk::Refused));
            io.close(connection);
            return;
        };
        match talk {
            Talk::Login { session, next } => {
                if now < lead.open_at_nanos || !lead.primary.takes_input() {
                    io.send(connection, Packet::Client(Talk::Refused));
                    io.close(connection);
                    return;
                }
                let next = next.min(lead.books.next_number(session));
                lead.clients.insert(connection, Client { session, sent: next - 1 });
                io.send(connection, Packet::Client(Talk::Welcome { next }));
            }
            Talk::Order { client_ref, value } if lead.is_input_stopped => {
                lead.held.push((connection, client_ref, value));
            }
            Talk::Order { client_ref, value } => self.order(connection, client_ref, value, io),
            other => io.violation(format!("a client says {other:?}")),
        }
    }

    pub(super) fn order(
        &mut self,
        connection: Connection,
        client_ref: u32,
        value: u64,
        io: &mut dyn Outside,
    ) {
        let (Some(lead), Some(journal)) = (&mut self.lead, &mut self.journal) else { return };
        let Some(client) = lead.clients.get(&connection) else { return };
        let last = lead.books.sessions.get(&client.session).map_or(0, |session| session.last_ref);
        if client_ref <= last {
            return;
        }
        lead.nanos = lead.nanos.max(io.wall_nanos());
        let record = Record {
            kind: Kind::Command,
            epoch: lead.epoch,
            session: client.session,
            client_ref,
            number: 0,
            value,
            nanos: lead.nanos,
        };
        journal.open.push(record);
        if let Err(what) = lead.books.apply(0, &record) {
            io.violation(what);
        }
    }

    /// A turn of the front: books have spoken, reports are numbered, the batch is closed.
    pub(in crate::sim) fn turn(&mut self, io: &mut dyn Outside) {
        let (Some(lead), Some(journal)) = (&mut self.lead, &mut self.journal) else { return };
        lead.is_turn_due = false;
        // Which books have spoken is a matter of threads: any of the first few, but all when input has stopped.
        let mut numbers: BTreeMap<u32, u64> = BTreeMap::new();
        for (session, report) in &lead.books.owed {
            if !lead.is_input_stopped && io.draw(4) == 0 {
                continue;
            }
            let next = lead.books.next_number(*session);
            let number = *numbers.entry(*session).and_modify(|n| *n += 1).or_insert(next);
            journal.open.push(Record {
                kind: Kind::Report,
                epoch: lead.epoch,
                session: *session,
                client_ref: report.client_ref,
                number,
                value: report.value,
                nanos: lead.nanos,
            });
        }
        let known = journal.records.len();
        journal.commit();
        for (position, record) in &journal.records[known..] {
            // Commands were applied when they were sequenced.
            if record.kind == Kind::Report
                && let Err(what) = lead.books.apply(*position, record)
            {
                io.violation(what);
            }
        }
        self.extend_tail(io);
        self.pump(io);
    }

    pub(super) fn do_for_primary(&mut self, action: primary::Action, io: &mut dyn Outside) {
        let now = io.now_nanos();
        match action {
            primary::Action::Send(message) => self.transmit(&message, io),
            primary::Action::Close => self.close_link(io),
            primary::Action::FindMark { position } => {
                let found = self.journal.as_ref().and_then(|journal| journal.mark_at(position.0));
                if let Some(lead) = &mut self.lead {
                    lead.primary.mark_found(now, position, found);
                }
            }
            primary::Action::OpenSnapshot => {
                let (Some(lead), Some(journal)) = (&mut self.lead, &self.journal) else { return };
                let opened =
                    journal.snapshot.as_ref().filter(|_| self.restructuring == 0).and_then(|snapshot| {
                        lead.snapshot_out = snapshot.encode();
                        let from = journal.mark_at(journal.first)?;
                        let length = lead.snapshot_out.len() as u64;
                        Some(primary::Snapshot { mark: snapshot.mark, from, length })
                    });
                lead.primary.snapshot_opened(now, opened);
            }
            primary::Action::Keep { promised } => {
                let kept = Kept { promised, complete: true };
                self.promised = promised;
                io.carry_out(log::put_kept(kept), Done::PromisedByPrimary(kept));
            }
            primary::Action::StopInput => {
                if let Some(lead) = &mut self.lead {
                    lead.is_input_stopped = true;
                }
            }
            primary::Action::ResumeInput { .. } => {
                let Some(lead) = &mut self.lead else { return };
                lead.is_input_stopped = false;
                for (connection, client_ref, value) in core::mem::take(&mut lead.held) {
                    self.order(connection, client_ref, value, io);
                }
            }
            primary::Action::StepDown { .. } => self.step_down(io),
        }
    }

    pub(super) fn begin_to_lead(&mut self, epoch: Epoch, cancel_only_nanos: u64, io: &mut dyn Outside) {
        if self.elector.as_ref().is_some_and(|elector| elector.leads() != Some(epoch)) {
            // Won, and lost again while the promise was being written.
            self.follow_again(io);
            return;
        }
        let Some(journal) = &mut self.journal else { return };
        let books = match Books::fold(self.setup.sessions, journal.everything()) {
            Ok(books) => books,
            Err(what) => {
                io.violation(what);
                return;
            }
        };
        let nanos = journal.records.iter().map(|(_, record)| record.nanos).max().unwrap_or(0);
        let (first, start) = (journal.first, journal.end().position);
        journal.open.push(Record {
            kind: Kind::EpochStart,
            epoch,
            session: 0,
            client_ref: 0,
            number: 0,
            value: 0,
            nanos,
        });
        journal.commit();
        let me = Identity {
            node: self.id,
            cluster: ClusterId(journal.cluster.into()),
            epoch,
            history: journal.history.clone(),
            ring_bytes: RING_BYTES,
            segment_bytes: SEGMENT_BYTES,
        };
        debug_assert!(journal.history.starts().iter().any(|begun| begun.position == start));
        let (end, durable) = (journal.end().position, Position(journal.durable));
        self.lead = Some(Lead {
            epoch,
            primary: Primary::new(Setup::primary(), me, Position(first), end, durable),
            gate: Gate::new(self.setup.policy),
            books,
            clients: BTreeMap::new(),
            open_at_nanos: io.now_nanos() + cancel_only_nanos,
            is_input_stopped: false,
            held: Vec::new(),
            is_turn_due: false,
            snapshot_out: Vec::new(),
            nanos,
            mode: Mode::Replicated,
        });
        self.drop_link_and_close(io);
        self.extend_tail(io);
        io.note(Note::Led(epoch));
    }

    /// What a primary does whenever something has changed.
    pub(super) fn lead_on(&mut self, io: &mut dyn Outside) {
        let now = io.now_nanos();
        let (Some(lead), Some(journal)) = (&mut self.lead, &self.journal) else { return };
        let local = Local { committed: journal.end().position, durable: Position(journal.durable) };
        lead.primary.advanced(local.committed, local.durable);
        let mode = self.elector.as_ref().map_or(Mode::Replicated, Elector::mode);
        if mode != lead.mode {
            lead.mode = mode;
            match mode {
                Mode::Alone => io.note(Note::RanAlone),
                Mode::Replicated => io.note(Note::Joined),
                Mode::Either => {}
            }
        }
        if self.elector.as_ref().is_none_or(|elector| elector.may_ack(now)) {
            let before = lead.gate.released();
            let released = lead.gate.advance(local, lead.primary.remote(), mode);
            if released > before {
                io.released(lead.epoch, released);
            }
            for (connection, client) in &mut lead.clients {
                let Some(session) = lead.books.sessions.get(&client.session) else { continue };
                while let Some((position, report)) = session.reports.get(client.sent as usize) {
                    if *position >= released.0 {
                        break;
                    }
                    client.sent += 1;
                    let talk = Talk::Report { number: client.sent, report: *report };
                    io.send(*connection, Packet::Client(talk));
                }
            }
        }
        let is_idle = lead.books.owed.is_empty() && journal.open.is_empty();
        if !is_idle && !lead.is_turn_due {
            lead.is_turn_due = true;
            let nanos = 50_000 + io.draw(1_000_000);
            io.turn_after(nanos);
        }
        if is_idle && lead.is_input_stopped {
            lead.primary.stopped(journal.end(), lead.books.hash);
            while let Some(action) = self.lead.as_mut().and_then(|lead| lead.primary.poll()) {
                self.do_for_primary(action, io);
            }
        }
    }

    pub(super) fn ship(&mut self, io: &mut dyn Outside) {
        loop {
            let (Some(lead), Some(journal), Some(link)) = (&mut self.lead, &self.journal, &self.link) else {
                return;
            };
            let mut bytes = Vec::new();
            match lead.primary.next() {
                Some(Ship::Batches { from, bytes: room }) => {
                    let (batches, end) = journal.batches(from.0, room);
                    let batch = frame::Batch { at: from, epoch: lead.epoch, bytes: batches };
                    Message::Batch(batch).encode(&mut bytes);
                    lead.primary.batches_sent(Position(end));
                }
                Some(Ship::Piece { offset, bytes: left }) => {
                    let from = offset as usize;
                    let to = from + (left as usize).min(700);
                    let piece = frame::SnapshotPiece {
                        epoch: lead.epoch,
                        offset,
                        bytes: &lead.snapshot_out[from..to],
                    };
                    Message::SnapshotPiece(piece).encode(&mut bytes);
                    lead.primary.piece_sent((to - from) as u64);
                }
                None => return,
            }
            io.send(link.connection, Packet::Link(bytes));
        }
    }

    pub(super) fn step_down(&mut self, io: &mut dyn Outside) {
        let Some(lead) = self.lead.take() else { return };
        io.note(Note::SteppedDown);
        for connection in lead.clients.keys() {
            io.close(*connection);
        }
        if let Some(journal) = &mut self.journal {
            // Sequenced and never committed: it was told to nobody.
            journal.open.clear();
        }
        if let Some(elector) = &mut self.elector {
            elector.stepped_down(io.now_nanos());
        }
        self.follow_again(io);
    }
}
