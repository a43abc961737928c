//! One exchange: the machines of this crate, driven as the real drivers will drive them.
//!
//! What a node does with the world goes through [`Outside`]; what it does with its disk are steps that are carried out
//! one by one while it goes on, so that a crash may come between any two of them.

use std::collections::BTreeMap;

use domain::{ClusterId, Epoch, Mark, Position};

use super::books::Books;
use super::disk::{Step, Storage};
use super::journal::{self as log, Journal, Kind, Record, Recovered, Tail};
use crate::election::{self, Candidate, Elector, Leading, Request, RequestId, Situation};
use crate::frame::{self, Hello, Message, Reason, Refused};
use crate::gate::{Gate, Local, Mode, Policy};
use crate::mutation::{self, Mutation};
use crate::primary::{self, Identity, Primary, Ship};
use crate::standby::{self, Authority, CannotPromote, Standby, Work};
use crate::{Kept, NodeId};

const MS: u64 = 1_000_000;
/// What a message of the link may carry.
const BYTES_MAX: usize = 1 << 20;
const RING_BYTES: u64 = 1024;
const SEGMENT_BYTES: u64 = log::SEGMENT as u64;

/// A connection, as both of its ends call it.
pub(super) type Connection = u64;

/// What goes over a connection.
#[derive(Clone, Debug)]
pub(super) enum Packet {
    /// Bytes of the replication link.
    Link(Vec<u8>),
    /// A client's conversation.
    Client(Talk),
}

/// What clients and exchanges say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talk {
    Login {
        session: u32,
        next: u64,
    },
    /// The next report has this number.
    Welcome {
        next: u64,
    },
    Refused,
    Order {
        client_ref: u32,
        value: u64,
    },
    Report {
        number: u64,
        report: super::books::Report,
    },
}

/// What the disk has done.
#[derive(Clone, Debug)]
pub(super) enum Done {
    Opened,
    Kept(Kept),
    PromisedByPrimary(Kept),
    Durable(u64),
    Created(Mark),
    Truncated(u64),
    Installed(Box<Journal>),
    Retained(Box<log::Snapshot>),
}

/// What happened that somebody counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Note {
    Led(Epoch),
    Truncated,
    Seeding,
    Seeded,
    HandedOver,
    RanAlone,
    Joined,
    SteppedDown,
    LostTail,
    FinishedIntent,
    Retained,
}

/// The world, as a node sees it: clock, network, coordinator and disk.
pub(super) trait Outside {
    /// The clock that only goes forward.
    fn now_nanos(&self) -> u64;
    /// The clock that anybody may set.
    fn wall_nanos(&self) -> u64;
    /// A number below.
    fn draw(&mut self, below: u64) -> u64;
    fn send(&mut self, connection: Connection, packet: Packet);
    fn close(&mut self, connection: Connection);
    /// Connects to the other node; [`Node::connected`] comes if it works.
    fn dial(&mut self);
    fn ask(&mut self, id: RequestId, request: Request);
    /// Carries these steps out, behind those that were given before.
    fn carry_out(&mut self, steps: Vec<Step>, done: Done);
    fn storage(&self) -> &dyn Storage;
    /// The memory that outlives the process.
    fn tail(&mut self) -> &mut Option<Tail>;
    /// [`Node::turn`] is called after this time.
    fn turn_after(&mut self, nanos: u64);
    fn note(&mut self, note: Note);
    /// Reports up to here may have left, in this epoch.
    fn released(&mut self, epoch: Epoch, position: Position);
    /// Something that must never be.
    fn violation(&mut self, what: String);
}

/// How all nodes of a run are set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) policy: Policy,
    /// Whether there is a coordinator.
    pub(super) automatic: bool,
    pub(super) sessions: u32,
}

impl Setup {
    const fn primary() -> primary::Settings {
        primary::Settings {
            heartbeat_nanos: 50 * MS,
            silence_nanos: 300 * MS,
            prepare_nanos: 5_000 * MS,
            lag_bytes_max: 16 << 10,
            lag_nanos_max: 300 * MS,
            window_bytes: 4 << 10,
            hand_over_nanos: 1_000 * MS,
        }
    }

    const fn standby() -> standby::Settings {
        standby::Settings { silence_nanos: 300 * MS, greeting_nanos: 1_000 * MS, cancel_only_nanos: 30 * MS }
    }

    pub(super) const fn election() -> election::Settings {
        election::Settings {
            lease_nanos: 2_000 * MS,
            margin_nanos: 100 * MS,
            keepalive_nanos: 300 * MS,
            poll_nanos: 50 * MS,
            reply_nanos: 500 * MS,
            patience_nanos: 200 * MS,
            hold_off_nanos: 4_000 * MS,
        }
    }
}

/// A running process.
pub(super) struct Node {
    id: NodeId,
    setup: Setup,
    pub(super) journal: Option<Journal>,
    is_open: bool,
    /// What is on the disk.
    kept: Kept,
    /// The highest promise that was given to the disk.
    promised: Epoch,
    standby: Standby,
    elector: Option<Elector>,
    lead: Option<Lead>,
    link: Option<Link>,
    dial_at_nanos: u64,
    dialing: bool,
    snapshot_in: Vec<u8>,
    is_flushing: bool,
    /// The disk is being cut or swapped, or retention is at work: nothing else is written.
    restructuring: u32,
}

/// What only a primary has.
struct Lead {
    epoch: Epoch,
    primary: Primary,
    gate: Gate,
    books: Books,
    clients: BTreeMap<Connection, Client>,
    /// Only cancels until then; no client here ever cancels.
    open_at_nanos: u64,
    is_input_stopped: bool,
    held: Vec<(Connection, u32, u64)>,
    is_turn_due: bool,
    snapshot_out: Vec<u8>,
    nanos: u64,
    mode: Mode,
}

struct Client {
    session: u32,
    /// Reports that it has been sent.
    sent: u64,
}

struct Link {
    connection: Connection,
    inbound: Vec<u8>,
    /// A primary without a standby has dialed, to ask whether the other one leads.
    is_probe: bool,
}

impl Node {
    /// A process begins with what recovery found; the steps of recovery are carried out first.
    pub(super) fn new(id: NodeId, setup: Setup, found: Recovered, io: &mut dyn Outside) -> Self {
        let Recovered { journal, kept, steps, lost_tail, finished_intent, damage } = found;
        if let Some(damage) = damage {
            io.violation(format!("node {id} does not open its journal: {damage}"));
        }
        if lost_tail && journal.is_some() {
            io.note(Note::LostTail);
        }
        if finished_intent {
            io.note(Note::FinishedIntent);
        }
        io.carry_out(steps, Done::Opened);
        let founds = id == NodeId(1);
        let elector = setup.automatic.then(|| Elector::new(Setup::election(), id, founds));
        Self {
            id,
            setup,
            standby: Standby::new(Setup::standby(), id, journal.as_ref().map(describe), kept),
            journal,
            is_open: false,
            promised: kept.promised,
            kept,
            elector,
            lead: None,
            link: None,
            dial_at_nanos: 0,
            dialing: false,
            snapshot_in: Vec::new(),
            is_flushing: false,
            restructuring: 0,
        }
    }

    /// The epoch in which it leads.
    pub(super) fn leads(&self) -> Option<Epoch> {
        self.lead.as_ref().map(|lead| lead.epoch)
    }

    /// Whether it holds a lease under which it may acknowledge.
    pub(super) fn may_ack(&self, now_nanos: u64) -> bool {
        self.elector.as_ref().is_some_and(|elector| elector.may_ack(now_nanos))
    }

    /// Whether it leads and its standby has everything, on both disks.
    pub(super) fn is_settled(&self) -> bool {
        let (Some(lead), Some(journal)) = (&self.lead, &self.journal) else { return false };
        let end = journal.end().position;
        lead.gate.released() == end
            && journal.durable == end.0
            && lead.books.owed.is_empty()
            && journal.open.is_empty()
            && lead.primary.is_in_sync()
            && lead.primary.remote().is_some_and(|remote| remote.received == end && remote.durable == end)
    }

    /// Whether a client is connected to it as the primary.
    #[cfg(test)]
    pub(super) fn is_serving(&self) -> bool {
        self.lead.as_ref().is_some_and(|lead| !lead.clients.is_empty())
    }

    /// For an operator who looks: the log's last epoch and end, and whether it is whole.
    pub(super) fn standing(&self) -> Option<(Epoch, Position, bool)> {
        let nothing = (Epoch::NONE, Position(0), false);
        let of =
            |journal: &Journal| (journal.history.last(), journal.end().position, self.standby.is_complete());
        self.is_open.then(|| self.journal.as_ref().map_or(nothing, of))
    }

    pub(super) fn is_following(&self) -> bool {
        self.standby.follows().is_some()
    }

    /// How many reports a session has been given while it leads.
    pub(super) fn reports_of(&self, session: u32) -> u64 {
        self.lead.as_ref().map_or(0, |lead| lead.books.next_number(session) - 1)
    }

    /// The state of the books while it leads.
    pub(super) fn books_hash(&self) -> Option<u64> {
        self.lead.as_ref().map(|lead| lead.books.hash)
    }

    /// For a failure's message.
    pub(super) fn describe(&self) -> String {
        let end = self.journal.as_ref().map(|journal| (journal.end().position.0, journal.durable));
        let lead = self.lead.as_ref().map(|lead| {
            (
                lead.epoch,
                lead.gate.released(),
                lead.primary.remote(),
                lead.primary.is_in_sync(),
                lead.books.owed.len(),
            )
        });
        format!(
            "node {} open {} end {end:?} kept {:?} follows {:?} lead {lead:?} elector {:?}",
            self.id,
            self.is_open,
            self.kept,
            self.standby.follows(),
            self.elector,
        )
    }

    /// An operator begins a new exchange here.
    pub(super) fn found(&mut self, cluster: u64, io: &mut dyn Outside) {
        let from = Mark { position: Position(0), chain: log::genesis(cluster) };
        self.journal = Some(Journal::new(cluster, from, None, crate::history::History::new()));
        self.standby =
            Standby::new(Setup::standby(), self.id, self.journal.as_ref().map(describe), self.kept);
        self.reset_tail(io);
        io.carry_out(log::make_segment(cluster, 0, from.chain), Done::Created(from));
    }

    /// An operator promotes this node.
    pub(super) fn promote(&mut self, force: bool, io: &mut dyn Outside) -> Result<Epoch, CannotPromote> {
        if !self.is_open || self.restructuring > 0 {
            return Err(CannotPromote::NoJournal);
        }
        let result = self.standby.promote(io.now_nanos(), Authority::Operator { force });
        self.pump(io);
        result
    }

    /// An operator switches to the standby.
    pub(super) fn hand_over(&mut self, io: &mut dyn Outside) {
        let is_on_record = self.elector.as_ref().is_none_or(|elector| elector.mode() == Mode::Replicated);
        if let Some(lead) = self.lead.as_mut().filter(|_| is_on_record) {
            // Not in sync, or under way: the operator tries again another time.
            let _ = lead.primary.hand_over(io.now_nanos());
        }
        self.pump(io);
    }

    /// An operator has old segments taken away.
    pub(super) fn retain(&mut self, io: &mut dyn Outside) {
        let Some(journal) = &self.journal else { return };
        let Some(lead) = &self.lead else { return };
        // Not what was not released, and not while a snapshot is on its way.
        let upto = lead.gate.released().0.min(journal.durable);
        let is_seeding = self.link.is_some() && lead.primary.remote().is_none();
        // Mostly what a standby still needs; now and then an operator is hard.
        let needed = lead.primary.needs_from().map_or(upto, |needed| needed.0);
        let upto = if io.draw(4) == 0 { upto } else { upto.min(needed) };
        let Some(mark) = journal.mark_below(upto) else { return };
        if self.restructuring > 0 || is_seeding || mark.position.0 < journal.first + 2 * SEGMENT_BYTES {
            return;
        }
        let snapshot = journal.take_snapshot(mark);
        let steps = journal.retain_steps(&snapshot);
        self.restructuring += 1;
        io.carry_out(steps, Done::Retained(Box::new(snapshot)));
    }

    pub(super) fn tick(&mut self, io: &mut dyn Outside) {
        if !self.is_open {
            return;
        }
        let now = io.now_nanos();
        if let Some(lead) = &mut self.lead {
            lead.primary.tick(now);
        } else {
            self.standby.tick(now);
        }
        self.pump(io);
        let situation = self.situation();
        if let Some(elector) = &mut self.elector {
            elector.tick(now, &situation);
        }
        self.pump(io);
        if self.link.is_none() && !self.dialing && now >= self.dial_at_nanos {
            // A primary does so to hear whether there is another one; its coordinator would tell it, if it has one.
            let interval = if self.lead.is_none() { 100 } else { 400 };
            if self.lead.is_none() || !self.setup.automatic {
                self.dialing = true;
                io.dial();
            }
            self.dial_at_nanos = now + (interval + io.draw(interval)) * MS;
        }
    }

    /// The other node has answered our call.
    pub(super) fn connected(&mut self, connection: Connection, io: &mut dyn Outside) {
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

    pub(super) fn dial_failed(&mut self) {
        self.dialing = false;
    }

    /// The other node has called.
    pub(super) fn accepted(&mut self, connection: Connection, io: &mut dyn Outside) {
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

    pub(super) fn closed(&mut self, connection: Connection, io: &mut dyn Outside) {
        if self.link.as_ref().is_some_and(|link| link.connection == connection) {
            self.drop_link();
        } else if let Some(lead) = &mut self.lead {
            lead.clients.remove(&connection);
        }
        self.pump(io);
    }

    pub(super) fn received(&mut self, connection: Connection, packet: Packet, io: &mut dyn Outside) {
        match packet {
            Packet::Link(bytes) => self.on_link(connection, &bytes, io),
            Packet::Client(talk) => self.on_client(connection, talk, io),
        }
        self.pump(io);
    }

    pub(super) fn answered(&mut self, id: RequestId, reply: election::Reply, io: &mut dyn Outside) {
        if let Some(elector) = &mut self.elector {
            elector.reply(io.now_nanos(), id, reply);
        }
        self.pump(io);
        // What was learned is acted on at once.
        let situation = self.situation();
        if let Some(elector) = &mut self.elector {
            elector.tick(io.now_nanos(), &situation);
        }
        self.pump(io);
    }

    pub(super) fn disk_done(&mut self, done: Done, io: &mut dyn Outside) {
        match done {
            Done::Opened => {
                self.is_open = true;
                self.reset_tail(io);
                if let Some(journal) = &mut self.journal {
                    journal.durable = journal.end().position.0;
                }
                self.tell_durable();
            }
            Done::Kept(kept) => {
                self.kept = kept;
                self.standby.kept();
            }
            Done::PromisedByPrimary(kept) => {
                self.kept = kept;
                if let Some(lead) = &mut self.lead {
                    lead.primary.kept(io.now_nanos());
                    if let Some(elector) = &mut self.elector {
                        elector.resign(io.now_nanos());
                    }
                    io.note(Note::HandedOver);
                }
            }
            Done::Durable(end) => {
                self.is_flushing = false;
                if let Some(journal) = &mut self.journal {
                    journal.durable = journal.durable.max(end.min(journal.end().position.0));
                }
                self.tell_durable();
            }
            Done::Created(genesis) => self.standby.created(genesis),
            Done::Truncated(to) => {
                self.restructuring -= 1;
                self.cut_memory(to, io);
            }
            Done::Installed(journal) => {
                self.restructuring -= 1;
                self.journal = Some(*journal);
                self.reset_tail(io);
                io.note(Note::Seeded);
                self.standby.snapshot_installed(true);
                // The link may be gone meanwhile, and the log is what it is.
                if self.standby.follows().is_none() {
                    self.follow_again(io);
                }
            }
            Done::Retained(snapshot) => {
                self.restructuring -= 1;
                let first = snapshot.first_kept();
                if let Some(journal) = &mut self.journal {
                    journal.retain(*snapshot);
                }
                if let Some(lead) = &mut self.lead {
                    lead.primary.retained(Position(first));
                }
                self.reset_tail_if_before(first, io);
                io.note(Note::Retained);
            }
        }
        self.pump(io);
    }

    /// A turn of the front: books have spoken, reports are numbered, the batch is closed.
    pub(super) fn turn(&mut self, io: &mut dyn Outside) {
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

    fn on_client(&mut self, connection: Connection, talk: Talk, io: &mut dyn Outside) {
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

    fn order(&mut self, connection: Connection, client_ref: u32, value: u64, io: &mut dyn Outside) {
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

    fn on_link(&mut self, connection: Connection, bytes: &[u8], io: &mut dyn Outside) {
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

    fn on_message(&mut self, message: &Message<'_>, is_probe: bool, io: &mut dyn Outside) {
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

    /// Does what the machines ask for until none asks for more.
    fn pump(&mut self, io: &mut dyn Outside) {
        if !self.is_open {
            return;
        }
        loop {
            let mut is_quiet = true;
            while let Some(action) = self.standby.poll() {
                is_quiet = false;
                self.do_for_standby(action, io);
            }
            while let Some(action) = self.lead.as_mut().and_then(|lead| lead.primary.poll()) {
                is_quiet = false;
                self.do_for_primary(action, io);
            }
            while let Some(action) = self.elector.as_mut().and_then(Elector::poll) {
                is_quiet = false;
                self.do_for_elector(action, io);
            }
            if is_quiet {
                break;
            }
        }
        self.flush(io);
        self.lead_on(io);
        self.ship(io);
    }

    fn do_for_standby(&mut self, action: standby::Action, io: &mut dyn Outside) {
        match action {
            standby::Action::Send(message) => self.transmit(&message, io),
            standby::Action::Close => self.close_link(io),
            standby::Action::Keep(kept) => {
                self.promised = self.promised.max(kept.promised);
                io.carry_out(log::put_kept(kept), Done::Kept(kept));
            }
            standby::Action::Create { cluster, .. } => {
                let cluster = cluster.0 as u64;
                let genesis = Mark { position: Position(0), chain: log::genesis(cluster) };
                self.journal = Some(Journal::new(cluster, genesis, None, crate::history::History::new()));
                self.reset_tail(io);
                io.carry_out(log::make_segment(cluster, 0, genesis.chain), Done::Created(genesis));
            }
            standby::Action::Truncate { to } => {
                let Some(journal) = &self.journal else { return };
                if journal.mark_at(to.position.0) != Some(to) {
                    self.standby.truncated(None);
                    return;
                }
                io.note(Note::Truncated);
                if mutation::is(Mutation::LostTruncation) {
                    self.cut_memory(to.position.0, io);
                    return;
                }
                self.restructuring += 1;
                io.carry_out(journal.truncate_steps(to.position.0), Done::Truncated(to.position.0));
            }
            standby::Action::BeginSnapshot { .. } => {
                self.snapshot_in.clear();
                self.standby.snapshot_begun();
            }
            standby::Action::InstallSnapshot { cluster, mark, from, .. } => {
                match log::Snapshot::decode(&self.snapshot_in) {
                    Some(snapshot) if snapshot.mark == mark => {
                        let cluster = cluster.0 as u64;
                        let steps = log::install_steps(io.storage(), cluster, &self.snapshot_in, from);
                        let mut history = snapshot.history.clone();
                        history.truncate(from.position);
                        let journal = Journal::new(cluster, from, Some(snapshot), history);
                        self.restructuring += 1;
                        io.note(Note::Seeding);
                        io.carry_out(steps, Done::Installed(Box::new(journal)));
                    }
                    _ => {
                        io.violation("a snapshot did not arrive whole".into());
                        self.standby.snapshot_installed(false);
                    }
                }
            }
            standby::Action::GetReady => {}
            standby::Action::HandedOver { next } => match &mut self.elector {
                Some(elector) => elector.hurry(io.now_nanos()),
                None => {
                    // It was asked for what cannot be: the primary will not come back, an operator will.
                    let _ = self.standby.promote(io.now_nanos(), Authority::HandOver { next });
                }
            },
            standby::Action::Lead { epoch, cancel_only_nanos } => {
                self.begin_to_lead(epoch, cancel_only_nanos, io);
            }
        }
    }

    fn do_for_primary(&mut self, action: primary::Action, io: &mut dyn Outside) {
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
            primary::Action::ResumeInput => {
                let Some(lead) = &mut self.lead else { return };
                lead.is_input_stopped = false;
                for (connection, client_ref, value) in core::mem::take(&mut lead.held) {
                    self.order(connection, client_ref, value, io);
                }
            }
            primary::Action::StepDown { .. } => self.step_down(io),
        }
    }

    fn do_for_elector(&mut self, action: election::Action, io: &mut dyn Outside) {
        match action {
            election::Action::Ask(id, request) => io.ask(id, request),
            election::Action::Won(epoch) => {
                let now = io.now_nanos();
                let is_free = self.lead.is_none() && self.restructuring == 0;
                let is_promoted = is_free && self.standby.promote(now, Authority::Election { epoch }).is_ok();
                if let Some(elector) = self.elector.as_mut().filter(|_| !is_promoted) {
                    elector.resign(now);
                }
            }
            election::Action::Lost { .. } => {
                if self.lead.is_some() {
                    self.step_down(io);
                } else {
                    self.follow_again(io);
                }
            }
        }
    }

    fn begin_to_lead(&mut self, epoch: Epoch, cancel_only_nanos: u64, io: &mut dyn Outside) {
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
    fn lead_on(&mut self, io: &mut dyn Outside) {
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
            lead.primary.stopped(journal.end());
            while let Some(action) = self.lead.as_mut().and_then(|lead| lead.primary.poll()) {
                self.do_for_primary(action, io);
            }
        }
    }

    fn ship(&mut self, io: &mut dyn Outside) {
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

    fn flush(&mut self, io: &mut dyn Outside) {
        let Some(journal) = &mut self.journal else { return };
        let end = journal.end().position.0;
        if self.is_flushing || self.restructuring > 0 || journal.flushed >= end {
            return;
        }
        self.is_flushing = true;
        let steps = journal.flush();
        io.carry_out(steps, Done::Durable(end));
        if mutation::is(Mutation::AckBeforeDurable) {
            journal.durable = end;
            self.tell_durable();
        }
    }

    fn tell_durable(&mut self) {
        let Some(journal) = &self.journal else { return };
        let durable = Position(journal.durable);
        if let Some(lead) = &mut self.lead {
            lead.primary.advanced(journal.end().position, durable);
        } else {
            self.standby.durable(durable);
        }
    }

    fn step_down(&mut self, io: &mut dyn Outside) {
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

    fn follow_again(&mut self, io: &mut dyn Outside) {
        self.drop_link_and_close(io);
        let log = self.journal.as_ref().map(describe);
        let kept = Kept { promised: self.promised, ..self.kept };
        self.standby = Standby::new(Setup::standby(), self.id, log, kept);
    }

    fn situation(&self) -> Situation {
        let Some(journal) = &self.journal else { return Situation::Unfit };
        if let Some(lead) = &self.lead {
            let remote = lead.primary.remote().unwrap_or_default();
            return Situation::Leading(Leading {
                in_sync: lead.primary.standby().filter(|_| lead.primary.is_in_sync()),
                received: remote.received,
                released: lead.gate.released(),
                durable: Position(journal.durable),
            });
        }
        if !self.is_open || self.restructuring > 0 || !self.standby.is_fit() {
            return Situation::Unfit;
        }
        let end = journal.end().position;
        Situation::Candidate(Candidate {
            is_complete: self.standby.is_complete(),
            is_durable: journal.durable == end.0,
            epoch: journal.history.last(),
            end,
            promised: self.kept.promised,
        })
    }

    fn transmit(&self, message: &Message<'_>, io: &mut dyn Outside) {
        if let Some(link) = &self.link {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            io.send(link.connection, Packet::Link(bytes));
        }
    }

    /// The machine has closed the link, and forgotten it.
    fn close_link(&mut self, io: &mut dyn Outside) {
        if let Some(link) = self.link.take() {
            io.close(link.connection);
        }
    }

    fn drop_link(&mut self) {
        let Some(link) = self.link.take() else { return };
        if let Some(lead) = &mut self.lead {
            if !link.is_probe {
                lead.primary.link_down();
            }
        } else {
            self.standby.link_down();
        }
    }

    fn drop_link_and_close(&mut self, io: &mut dyn Outside) {
        if let Some(link) = self.link.take() {
            io.close(link.connection);
        }
    }

    fn cut_memory(&mut self, to: u64, io: &mut dyn Outside) {
        let Some(journal) = &mut self.journal else { return };
        journal.truncate(to);
        let end = journal.end();
        if let Some(tail) = io.tail() {
            tail.cut(to);
        }
        self.standby.truncated(Some(end));
    }

    /// A new tail, empty: everything is on the disk.
    fn reset_tail(&self, io: &mut dyn Outside) {
        let tail = self.journal.as_ref().map(|journal| Tail::new(journal.cluster, journal.end().position.0));
        *io.tail() = tail;
    }

    /// The tail begins where the journal does, at the earliest.
    fn reset_tail_if_before(&self, first: u64, io: &mut dyn Outside) {
        if let Some(tail) = io.tail()
            && tail.base < first
        {
            tail.bytes.drain(..((first - tail.base) as usize).min(tail.bytes.len()));
            tail.base = first;
        }
    }

    fn extend_tail(&self, io: &mut dyn Outside) {
        if let (Some(journal), Some(tail)) = (&self.journal, io.tail()) {
            let end = tail.base + tail.bytes.len() as u64;
            tail.bytes.extend_from_slice(journal.bytes_from(end));
        }
    }
}

/// A journal as a standby knows it.
fn describe(journal: &Journal) -> standby::Log {
    standby::Log {
        cluster: ClusterId(journal.cluster.into()),
        end: journal.end(),
        durable: Position(journal.durable),
        history: journal.history.clone(),
        ring_bytes: RING_BYTES,
        segment_bytes: SEGMENT_BYTES,
    }
}
