//! The world of one run: events in the order of their times, all drawn from one seed; faults; clients; and what must
//! hold.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use domain::{Epoch, Position};
use rand::{RngExt, SeedableRng};

use super::books::{Books, Report};
use super::disk::{Disk, Step, Storage};
use super::journal::{self as log, Kind, Tail};
use super::node::{Connection, Done, Node, Note, Outside, Packet, Setup, Talk};
use super::store::Store;
use super::{Coverage, Random};
use crate::NodeId;
use crate::election::{Reply, Request, RequestId};
use crate::gate::Policy;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const CLIENTS: u32 = 3;
const CLUSTER: u64 = 0xC1;
/// Who is where in the network: the nodes 0 and 1, then the coordinator, then clients.
const STORE: usize = 2;

#[derive(Debug)]
enum Event {
    Tick(usize, u64),
    Turn(usize, u64),
    /// The next step of a node's disk.
    Disk(usize, u64),
    /// The front of what is on its way over a connection, to its second or its first end.
    Arrive(Connection, bool),
    /// A connection attempt of a node or a client arrives.
    Dialed(Connection, usize),
    DialAnswered(Connection, usize),
    Request(usize, u64, RequestId, Request),
    Reply(usize, u64, RequestId, Reply),
    Client(u32),
    Restart(usize),
    Kill(usize, bool),
    CutOff(usize, usize),
    Fault,
    Operator,
    Heal,
    EndOfCut(usize, usize),
}

/// A machine: what outlives the process on it.
struct Machine {
    disk: Disk,
    tail: Option<Tail>,
    node: Option<Node>,
    /// Counts processes, so that what was meant for an earlier one is dropped.
    incarnation: u64,
    queue: VecDeque<(Step, Option<Done>)>,
    dones: VecDeque<Done>,
    is_disk_busy: bool,
    slow_disk_until: u64,
    paused_until: u64,
    /// Its clock is ahead of true time by this.
    clock_offset: u64,
    wall_offset: i64,
    /// What its disk was said to have by the journal.
    said_durable: u64,
}

/// A connection between two places.
struct Wire {
    ends: [usize; 2],
    open: [bool; 2],
    /// On the way to the second end, and to the first.
    queues: [VecDeque<(u64, Option<Packet>)>; 2],
    last: [u64; 2],
}

struct Client {
    session: u32,
    next_ref: u32,
    unacknowledged: VecDeque<(u32, u64)>,
    received: Vec<Report>,
    acknowledged: Vec<(u32, u64)>,
    connection: Option<Connection>,
    is_in: bool,
    /// The number of the next report on this connection.
    next: u64,
    target: usize,
    heard: u64,
}

pub(super) struct World {
    now: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<(u64, u64), Event>,
    serial: u64,
    random: Random,
    setup: Setup,
    machines: Vec<Machine>,
    store: Store,
    store_down_until: u64,
    store_slow_until: u64,
    slow_replies_to: Option<(usize, u64)>,
    wires: BTreeMap<Connection, Wire>,
    connections: u64,
    cut: BTreeSet<(usize, usize)>,
    clients: Vec<Client>,
    is_over: bool,
    /// Nothing is late without a reason.
    is_calm: bool,
    leaderless_since: Option<u64>,
    /// The newest epoch in which something was released, and by whom it was led last.
    released: (Epoch, Position),
    last_leader: Option<usize>,
    pub(super) coverage: Coverage,
    pub(super) violations: Vec<String>,
    trace: Option<Vec<String>>,
}

/// What a node sees of the world.
struct Io<'a> {
    world: &'a mut World,
    me: usize,
}

impl Outside for Io<'_> {
    fn now_nanos(&self) -> u64 {
        self.world.now + self.world.machines[self.me].clock_offset
    }

    fn wall_nanos(&self) -> u64 {
        (self.world.now + 100_000 * SECOND).saturating_add_signed(self.world.machines[self.me].wall_offset)
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.world.random.random_range(0..below)
    }

    fn send(&mut self, connection: Connection, packet: Packet) {
        self.world.send(connection, self.me, Some(packet));
    }

    fn close(&mut self, connection: Connection) {
        self.world.close(connection, self.me);
    }

    fn dial(&mut self) {
        self.world.dial(self.me, 1 - self.me);
    }

    fn ask(&mut self, id: RequestId, request: Request) {
        let incarnation = self.world.machines[self.me].incarnation;
        let delay = self.world.delay_of_store();
        self.world.after(delay, Event::Request(self.me, incarnation, id, request));
    }

    fn carry_out(&mut self, steps: Vec<Step>, done: Done) {
        let machine = &mut self.world.machines[self.me];
        machine.queue.extend(steps.into_iter().map(|step| (step, None)));
        // A step of no work, so that the answer never comes from within the call.
        machine.queue.push_back((Step::Sync(String::new()), Some(done)));
        self.world.go_on_with_disk(self.me);
    }

    fn storage(&self) -> &dyn Storage {
        &self.world.machines[self.me].disk
    }

    fn tail(&mut self) -> &mut Option<Tail> {
        &mut self.world.machines[self.me].tail
    }

    fn turn_after(&mut self, nanos: u64) {
        let incarnation = self.world.machines[self.me].incarnation;
        self.world.after(nanos, Event::Turn(self.me, incarnation));
    }

    fn note(&mut self, note: Note) {
        self.world.noted(self.me, note);
    }

    fn released(&mut self, epoch: Epoch, position: Position) {
        let (newest, _) = self.world.released;
        if epoch < newest {
            let what =
                format!("D: {position} is released in epoch {epoch} after epoch {newest} had begun to");
            self.world.violations.push(what);
        }
        self.world.released = (epoch.max(newest), position);
    }

    fn violation(&mut self, what: String) {
        self.world.violations.push(what);
    }
}

impl World {
    pub(super) fn new(seed: u64, trace: bool) -> Self {
        let mut random = Random::seed_from_u64(seed);
        let policy = if random.random() { Policy::DiskReplica } else { Policy::TwoDisks };
        let automatic = random.random_range(0..4) > 0;
        let setup = Setup { policy, automatic, sessions: CLIENTS };
        let machine = |random: &mut Random| Machine {
            disk: Disk::default(),
            tail: None,
            node: None,
            incarnation: 0,
            queue: VecDeque::new(),
            dones: VecDeque::new(),
            is_disk_busy: false,
            slow_disk_until: 0,
            paused_until: 0,
            clock_offset: random.random_range(0..1_000 * SECOND),
            wall_offset: 0,
            said_durable: 0,
        };
        let machines = vec![machine(&mut random), machine(&mut random)];
        let clients = (0..CLIENTS).map(|session| Client {
            session,
            next_ref: 1,
            unacknowledged: VecDeque::new(),
            received: Vec::new(),
            acknowledged: Vec::new(),
            connection: None,
            is_in: false,
            next: 0,
            target: 0,
            heard: 0,
        });
        Self {
            now: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            serial: 0,
            setup,
            machines,
            store: Store::default(),
            store_down_until: 0,
            store_slow_until: 0,
            slow_replies_to: None,
            wires: BTreeMap::new(),
            connections: 0,
            cut: BTreeSet::new(),
            clients: clients.collect(),
            is_over: false,
            is_calm: false,
            leaderless_since: None,
            released: (Epoch::NONE, Position(0)),
            last_leader: None,
            coverage: Coverage::default(),
            violations: Vec::new(),
            trace: trace.then(Vec::new),
            random,
        }
    }

    /// Runs to the end; what was violated, if anything.
    pub(super) fn run(&mut self) -> Result<(), String> {
        self.begin();
        let chaos = self.random.random_range(4 * SECOND..10 * SECOND);
        self.after(chaos, Event::Heal);
        for _ in 0..self.random.random_range(2..10) {
            let at = self.random.random_range(600 * MS..chaos);
            self.after(at, Event::Fault);
        }
        let deadline = chaos + 60 * SECOND;
        while let Some(Reverse(key)) = self.queue.pop() {
            let Some(event) = self.events.remove(&key) else { continue };
            self.now = key.0;
            self.happen(event);
            if !self.violations.is_empty() {
                return Err(self.failure());
            }
            if self.is_over && self.is_settled() {
                self.check();
                return if self.violations.is_empty() { Ok(()) } else { Err(self.failure()) };
            }
            if self.now > deadline {
                let nodes = self
                    .machines
                    .iter()
                    .map(|machine| machine.node.as_ref().map_or("down".into(), Node::describe));
                let what = format!("it does not settle: {}", nodes.collect::<Vec<_>>().join("; "));
                self.violations.push(what);
                return Err(self.failure());
            }
        }
        Ok(())
    }

    /// A planned switch under load, without a fault: how long it takes from the word until the other node is open.
    #[cfg(test)]
    pub(super) fn switch(&mut self) -> Result<u64, String> {
        self.is_calm = true;
        self.begin();
        let mut begun = None;
        while let Some(Reverse(key)) = self.queue.pop() {
            let Some(event) = self.events.remove(&key) else { continue };
            self.now = key.0;
            self.happen(event);
            if !self.violations.is_empty() || self.now > 20 * SECOND {
                return Err(self.failure());
            }
            match begun {
                None if self.now > 2 * SECOND => {
                    begun = Some(self.now);
                    self.with_node(0, |node, io| node.hand_over(io));
                }
                Some(then) if self.machines[1].node.as_ref().is_some_and(|node| node.is_serving()) => {
                    return Ok(self.now - then);
                }
                _ => {}
            }
        }
        Err(self.failure())
    }

    fn failure(&self) -> String {
        let mut text = format!("at {} ms, {:?}: {}", self.now / MS, self.setup, self.violations.join("; "));
        for line in self.trace.iter().flatten() {
            text.push('\n');
            text.push_str(line);
        }
        text
    }

    fn begin(&mut self) {
        for me in 0..2 {
            self.start(me);
        }
        self.with_node(0, |node, io| node.found(CLUSTER, io));
        if !self.setup.automatic {
            self.after(50 * MS, Event::Operator);
        }
        for n in 0..CLIENTS {
            self.after(100 * MS, Event::Client(n));
        }
    }

    fn after(&mut self, nanos: u64, event: Event) {
        self.serial += 1;
        let key = (self.now + nanos, self.serial);
        self.queue.push(Reverse(key));
        self.events.insert(key, event);
    }

    fn trace(&mut self, text: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9} us {}", now / 1000, text()));
        }
    }

    /// Calls a running node, which then sees the world without itself.
    fn with_node(&mut self, me: usize, call: impl FnOnce(&mut Node, &mut Io<'_>)) {
        let Some(mut node) = self.machines[me].node.take() else { return };
        let incarnation = self.machines[me].incarnation;
        call(&mut node, &mut Io { world: self, me });
        debug_assert_eq!(self.machines[me].incarnation, incarnation);
        if let Some(journal) = &node.journal {
            let machine = &mut self.machines[me];
            machine.said_durable = journal.durable;
        }
        self.machines[me].node = Some(node);
    }

    fn happen(&mut self, event: Event) {
        // A stopped process does nothing until it goes on; the world goes on.
        let stopped = match &event {
            Event::Tick(me, _) | Event::Turn(me, _) | Event::Reply(me, ..) => Some(*me),
            Event::Arrive(connection, to_second) => {
                self.wires.get(connection).map(|wire| wire.ends[usize::from(*to_second)])
            }
            Event::Dialed(connection, _) => self.wires.get(connection).map(|wire| wire.ends[1]),
            Event::DialAnswered(_, from) => Some(*from),
            _ => None,
        };
        if let Some(me) = stopped.filter(|me| *me < 2) {
            let until = self.machines[me].paused_until;
            if until > self.now {
                self.after(until - self.now, event);
                return;
            }
        }
        match event {
            Event::Tick(me, incarnation) if self.is_alive(me, incarnation) => {
                let nanos = self.random.random_range(5 * MS..15 * MS);
                self.after(nanos, Event::Tick(me, incarnation));
                self.with_node(me, |node, io| node.tick(io));
                self.count_leases();
            }
            Event::Turn(me, incarnation) if self.is_alive(me, incarnation) => {
                self.with_node(me, |node, io| node.turn(io));
            }
            Event::Disk(me, incarnation) if self.machines[me].incarnation == incarnation => {
                self.disk_step(me);
            }
            Event::Arrive(connection, to_second) => self.arrive(connection, to_second),
            Event::Dialed(connection, from) => self.dialed(connection, from),
            Event::DialAnswered(connection, from) => self.dial_answered(connection, from),
            Event::Request(me, incarnation, id, request) => self.on_request(me, incarnation, id, &request),
            Event::Reply(me, incarnation, id, reply)
                if self.is_alive(me, incarnation) && !self.is_cut(STORE, me) =>
            {
                self.with_node(me, |node, io| node.answered(id, reply, io));
            }
            Event::Client(n) => self.client_acts(n),
            Event::Restart(me) => self.start(me),
            Event::Kill(me, machine) => self.kill(me, machine),
            Event::CutOff(me, other) => {
                self.cut_for(&[(me, other), (other, me), (me, STORE)], 4 * SECOND);
            }
            Event::Fault if !self.is_over => self.fault(),
            Event::Operator => self.operator(),
            Event::Heal => self.heal(),
            Event::EndOfCut(from, to) => {
                self.cut.remove(&(from, to));
            }
            _ => {}
        }
    }

    fn is_alive(&self, me: usize, incarnation: u64) -> bool {
        self.machines[me].incarnation == incarnation && self.machines[me].node.is_some()
    }

    // --- Processes and machines.

    fn start(&mut self, me: usize) {
        if self.machines[me].node.is_some() {
            return;
        }
        let machine = &mut self.machines[me];
        machine.incarnation += 1;
        let incarnation = machine.incarnation;
        let found = log::recover(&machine.disk, machine.tail.as_ref());
        if let Some(journal) = &found.journal {
            let end = journal.end().position.0;
            // A cut may be what was finished, and then the end is what was cut to.
            if end < machine.said_durable && !found.finished_intent {
                let what =
                    format!("node {} has {end} and had called {} durable", me + 1, machine.said_durable);
                self.violations.push(what);
            }
        }
        self.trace(|| {
            let end = found.journal.as_ref().map(|journal| journal.end().position);
            format!("node {} starts: {end:?} {:?} lost tail {}", me + 1, found.kept, found.lost_tail)
        });
        let setup = self.setup;
        let node = Node::new(NodeId(me as u64 + 1), setup, found, &mut Io { world: self, me });
        self.machines[me].node = Some(node);
        self.after(MS, Event::Tick(me, incarnation));
        // While it recovers, again and again.
        if self.now > 0 {
            self.kill_soon(me, 5);
        }
    }

    /// The process is killed; with `machine`, so is what is under it.
    fn kill(&mut self, me: usize, machine: bool) {
        self.trace(|| format!("node {} dies, machine {machine}", me + 1));
        let is_restructuring = !self.machines[me].queue.is_empty();
        let was_up = self.machines[me].node.take().is_some();
        self.coverage.kills += u64::from(was_up && !machine);
        self.coverage.power_losses += u64::from(machine);
        self.coverage.crashes_while_the_disk_worked += u64::from(was_up && is_restructuring);
        let this = &mut self.machines[me];
        this.incarnation += 1;
        this.queue.clear();
        this.dones.clear();
        this.is_disk_busy = false;
        this.paused_until = 0;
        if machine {
            this.tail = None;
            this.disk.lose_power(&mut self.random);
        }
        let connections: Vec<Connection> =
            self.wires.iter().filter(|(_, wire)| wire.ends.contains(&me)).map(|(id, _)| *id).collect();
        for connection in connections {
            self.close(connection, me);
        }
    }

    fn go_on_with_disk(&mut self, me: usize) {
        let (now, machine) = (self.now, &mut self.machines[me]);
        if machine.is_disk_busy {
            return;
        }
        let Some((step, _)) = machine.queue.front() else { return };
        machine.is_disk_busy = true;
        let incarnation = machine.incarnation;
        let is_slow = machine.slow_disk_until > now;
        let nanos = match step {
            Step::Sync(name) if name.is_empty() => 1_000,
            Step::Sync(_) | Step::SyncDirectory => self.random.random_range(50_000..600_000),
            _ => self.random.random_range(5_000..30_000),
        };
        self.after(if is_slow { nanos * 60 } else { nanos }, Event::Disk(me, incarnation));
    }

    fn disk_step(&mut self, me: usize) {
        let machine = &mut self.machines[me];
        machine.is_disk_busy = false;
        let Some((step, done)) = machine.queue.pop_front() else { return };
        match step {
            Step::CutTail(to) => {
                machine.tail.iter_mut().for_each(|tail| tail.cut(to));
                machine.said_durable = machine.said_durable.min(to);
            }
            Step::NewTail { cluster, base } => {
                machine.tail = Some(Tail::new(cluster, base));
                machine.said_durable = machine.said_durable.min(base);
            }
            step => machine.disk.step(&step),
        }
        if let Some(done) = done {
            if machine.paused_until > self.now {
                // The kernel has done it; the process hears of it later.
                let later = machine.paused_until - self.now;
                let incarnation = machine.incarnation;
                machine.queue.push_front((Step::Sync(String::new()), Some(done)));
                machine.is_disk_busy = true;
                self.after(later, Event::Disk(me, incarnation));
                return;
            }
            self.with_node(me, |node, io| node.disk_done(done, io));
        }
        self.go_on_with_disk(me);
    }

    fn noted(&mut self, me: usize, note: Note) {
        self.trace(|| format!("node {} {note:?}", me + 1));
        let coverage = &mut self.coverage;
        match note {
            Note::Led(_) => {
                if self.last_leader.is_some_and(|last| last != me) {
                    coverage.failovers += 1;
                }
                coverage.epochs += 1;
                self.last_leader = Some(me);
            }
            Note::Truncated => coverage.truncations += 1,
            Note::Seeding => {}
            Note::Seeded => coverage.snapshots += 1,
            Note::HandedOver => coverage.hand_overs += 1,
            Note::RanAlone => coverage.solo_runs += 1,
            Note::Joined => coverage.joins += 1,
            Note::SteppedDown => coverage.step_downs += 1,
            Note::LostTail => coverage.lost_tails += 1,
            Note::FinishedIntent => coverage.cuts_finished_by_recovery += 1,
            Note::Retained => coverage.retentions += 1,
        }
        // Where it hurts most: in the middle of a cut, of a swap, of a promotion.
        let one_in = match note {
            Note::Truncated | Note::Seeding => 3,
            Note::Led(_) | Note::HandedOver => 25,
            _ => return,
        };
        self.kill_soon(me, one_in);
    }

    /// Perhaps this node dies within the next milliseconds, and is back some time later.
    fn kill_soon(&mut self, me: usize, one_in: u32) {
        if self.is_over || self.is_calm || self.random.random_range(0..one_in) > 0 {
            return;
        }
        let soon = self.random.random_range(20_000..5 * MS);
        let machine = self.random.random_range(0..3) == 0;
        self.after(soon, Event::Kill(me, machine));
        let up = soon + self.random.random_range(MS..SECOND);
        self.after(up, Event::Restart(me));
    }

    /// At no moment may two nodes hold that they may acknowledge.
    fn count_leases(&mut self) {
        let holds = |machine: &Machine| {
            machine.node.as_ref().is_some_and(|node| node.may_ack(self.now + machine.clock_offset))
        };
        if self.machines.iter().all(holds) {
            self.violations.push("D: both nodes may acknowledge".into());
        }
    }

    // --- The network.

    fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.contains(&(from, to))
    }

    fn delay(&mut self) -> u64 {
        match self.random.random_range(0..50) {
            0 if !self.is_calm => self.random.random_range(MS..30 * MS),
            _ => self.random.random_range(20_000..200_000),
        }
    }

    fn dial(&mut self, from: usize, to: usize) -> Connection {
        self.connections += 1;
        let connection = self.connections;
        let wire = Wire { ends: [from, to], open: [true, true], queues: Default::default(), last: [0; 2] };
        self.wires.insert(connection, wire);
        let delay = self.delay();
        self.after(delay, Event::Dialed(connection, from));
        connection
    }

    fn dialed(&mut self, connection: Connection, from: usize) {
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

    fn dial_failed(&mut self, connection: Connection, from: usize) {
        if from < 2 {
            self.with_node(from, |node, _| node.dial_failed());
        } else if self.clients[from - STORE - 1].connection == Some(connection) {
            self.client_lost(from - STORE - 1);
        }
    }

    fn dial_answered(&mut self, connection: Connection, from: usize) {
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
    fn send(&mut self, connection: Connection, from: usize, packet: Option<Packet>) {
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

    fn close(&mut self, connection: Connection, by: usize) {
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

    fn arrive(&mut self, connection: Connection, to_second: bool) {
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

    // --- The coordinator.

    fn delay_of_store(&mut self) -> u64 {
        let slow = self.store_slow_until > self.now;
        match self.random.random_range(0..20) {
            0..8 if slow => self.random.random_range(10 * MS..1_500 * MS),
            0 if !self.is_calm => self.random.random_range(MS..450 * MS),
            _ => self.random.random_range(200_000..2 * MS),
        }
    }

    fn on_request(&mut self, me: usize, incarnation: u64, id: RequestId, request: &Request) {
        if self.store_down_until > self.now || self.is_cut(me, STORE) {
            return;
        }
        let before = self.store.view().leader.map(|(leader, ..)| leader);
        let reply = self.store.handle(self.now, request);
        let view = self.store.view();
        if before != view.leader.map(|(leader, ..)| leader) {
            self.trace(|| format!("coordinator: {:?} {:?}", view.state, view.leader));
        }
        // The answer may be lost, or late.
        if self.is_calm || self.random.random_range(0..100) != 0 {
            let is_slow = self.slow_replies_to.is_some_and(|(to, until)| to == me && until > self.now);
            let delay = match is_slow {
                true => self.random.random_range(200 * MS..480 * MS),
                false => self.delay_of_store(),
            };
            self.after(delay, Event::Reply(me, incarnation, id, reply));
        }
    }

    // --- Clients.

    fn client_acts(&mut self, n: u32) {
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

    fn client_lost(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.connection = None;
        client.is_in = false;
        client.target = 1 - client.target;
    }

    fn client_hears(&mut self, index: usize, connection: Connection, talk: Talk) {
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

    // --- Faults, operators, the end.

    fn fault(&mut self) {
        let me = self.random.random_range(0..2usize);
        let down = self.random.random_range(10 * MS..3 * SECOND);
        match self.random.random_range(0..19) {
            0 | 1 => {
                self.kill(me, false);
                self.after(down, Event::Restart(me));
            }
            2 | 3 => {
                self.kill(me, true);
                self.after(down, Event::Restart(me));
            }
            4 => {
                // The lights go out.
                for me in 0..2 {
                    self.kill(me, true);
                    let down = self.random.random_range(10 * MS..3 * SECOND);
                    self.after(down, Event::Restart(me));
                }
            }
            5 | 6 => {
                let until = self.now + self.random.random_range(MS..4 * SECOND);
                self.trace(|| format!("node {} stops until {}", me + 1, until / MS));
                self.machines[me].paused_until = until;
                self.coverage.pauses += 1;
            }
            7 | 8 => self.cut(&[(0, 1), (1, 0)]),
            9 => {
                let way = if self.random.random() { (0, 1) } else { (1, 0) };
                self.cut(&[way]);
            }
            10 => {
                // Alone with its clients, and with a coordinator or without.
                let other = 1 - me;
                self.cut(&[(me, other), (other, me), (me, STORE), (STORE, me)]);
            }
            11 => {
                if self.random.random() {
                    self.cut(&[(me, STORE), (STORE, me)]);
                } else {
                    self.cut(&[(STORE, me)]);
                }
            }
            12 => {
                let long = self.random.random_range(100 * MS..4 * SECOND);
                self.coverage.coordinator_faults += 1;
                match self.random.random_range(0..3) {
                    0 => self.store_down_until = self.now + long,
                    1 => self.store_slow_until = self.now + long,
                    _ => {
                        self.store_down_until = self.now + long / 4;
                        self.store.change_leader(self.now + long / 4);
                    }
                }
                self.trace(|| format!("coordinator in trouble for {} ms", long / MS));
            }
            13 => {
                let jump = self.random.random_range(-3_600_000_000_000i64..=3_600_000_000_000);
                self.machines[me].wall_offset = jump;
                self.coverage.clock_jumps += 1;
            }
            14 => {
                for me in 0..2 {
                    self.with_node(me, |node, io| node.hand_over(io));
                }
            }
            15 => {
                let long = self.random.random_range(100 * MS..2 * SECOND);
                self.machines[me].slow_disk_until = self.now + long;
                // Much is on its way to such a disk when the power goes.
                if self.random.random() {
                    let dies = self.random.random_range(0..long);
                    self.after(dies, Event::Kill(me, true));
                    self.after(dies + down, Event::Restart(me));
                }
            }
            18 => self.slow_way_back(),
            16 => self.usurper_dies(),
            _ => self.usurper_comes_back(),
        }
        if self.random.random_range(0..4) == 0 {
            for me in 0..2 {
                self.with_node(me, |node, io| node.retain(io));
            }
        }
        // Troubles like company.
        if self.random.random_range(0..3) == 0 {
            let soon = self.random.random_range(MS..700 * MS);
            self.after(soon, Event::Fault);
        }
    }

    /// The primary is cut off until the standby leads; that one dies, and when its lease is over the first is back.
    fn usurper_dies(&mut self) {
        let Some(me) = self.last_leader else { return };
        let other = 1 - me;
        let away = self.random.random_range(2_200 * MS..4 * SECOND);
        self.cut_for(&[(me, other), (other, me), (me, STORE), (STORE, me)], away);
        let dies = away.saturating_sub(self.random.random_range(MS..SECOND));
        let machine = self.random.random();
        self.after(dies, Event::Kill(other, machine));
        let comes_back = dies + self.random.random_range(2 * SECOND..5 * SECOND);
        self.after(comes_back, Event::Restart(other));
    }

    /// The coordinator's answers take long to the primary, then nothing comes through any more.
    fn slow_way_back(&mut self) {
        let Some(me) = self.last_leader else { return };
        let other = 1 - me;
        let slow = self.random.random_range(500 * MS..2 * SECOND);
        self.slow_replies_to = Some((me, self.now + slow));
        self.after(slow, Event::CutOff(me, other));
    }

    /// The primary is cut off until the standby leads; then the two see each other again, the first one still without
    /// its coordinator, and the second one begins anew.
    fn usurper_comes_back(&mut self) {
        let Some(me) = self.last_leader else { return };
        let other = 1 - me;
        let away = self.random.random_range(2_200 * MS..4 * SECOND);
        self.cut_for(&[(me, other), (other, me)], away);
        self.cut_for(&[(me, STORE), (STORE, me)], away + 2 * SECOND);
        let dies = away + self.random.random_range(0..20 * MS);
        self.after(dies, Event::Kill(other, false));
        let comes_back = dies + self.random.random_range(MS..50 * MS);
        self.after(comes_back, Event::Restart(other));
    }

    fn cut(&mut self, ways: &[(usize, usize)]) {
        let long = self.random.random_range(50 * MS..5 * SECOND);
        self.cut_for(ways, long);
    }

    fn cut_for(&mut self, ways: &[(usize, usize)], long: u64) {
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

    /// Where there is no coordinator: one who looks, and promotes what may be promoted.
    fn operator(&mut self) {
        let pause = self.random.random_range(100 * MS..400 * MS);
        self.after(pause, Event::Operator);
        let standing: Vec<_> = (0..2)
            .map(|me| {
                let is_stopped = self.machines[me].paused_until > self.now;
                self.machines[me].node.as_ref().filter(|_| !is_stopped).and_then(Node::standing)
            })
            .collect();
        let leads = |me: usize| self.machines[me].node.as_ref().is_some_and(|node| node.leads().is_some());
        if self.last_leader.is_none() {
            self.with_node(0, |node, io| {
                let _ = node.promote(false, io);
            });
            return;
        }
        let is_led = (0..2).any(|me| leads(me) && standing[me].is_some());
        if is_led {
            self.leaderless_since = None;
            // One who sees only that the standby has lost its primary, and does not look twice.
            let other = (0..2).find(|&me| standing[me].is_some() && !leads(me));
            if let Some(me) = other
                && !self.is_over
                && self.machines[me].node.as_ref().is_some_and(|node| !node.is_following())
                && self.random.random_range(0..6) == 0
            {
                self.trace(|| format!("operator promotes node {} in haste", me + 1));
                self.with_node(me, |node, io| {
                    let _ = node.promote(false, io);
                });
            }
            return;
        }
        let since = *self.leaderless_since.get_or_insert(self.now);
        if self.now - since < 600 * MS {
            return;
        }
        // Whoever has more; by force only when both can be seen.
        let both = standing.iter().all(Option::is_some);
        let has_journal = |me: usize| self.machines[me].node.as_ref().is_some_and(|n| n.journal.is_some());
        let longest = (0..2)
            .filter(|&me| standing[me].is_some() && has_journal(me))
            .max_by_key(|&me| standing[me].map(|(epoch, end, _)| (epoch, end)));
        let Some(me) = longest else { return };
        let is_complete = standing[me].is_some_and(|(_, _, complete)| complete);
        if is_complete || both {
            self.trace(|| format!("operator promotes node {}, complete {is_complete}", me + 1));
            self.with_node(me, |node, io| {
                let _ = node.promote(!is_complete, io);
            });
        }
    }

    /// Everything works again and nothing new is asked for.
    fn heal(&mut self) {
        self.trace(|| "all is well".into());
        self.is_over = true;
        self.cut.clear();
        self.store_down_until = 0;
        self.store_slow_until = 0;
        self.slow_replies_to = None;
        for me in 0..2 {
            self.machines[me].slow_disk_until = 0;
            if self.machines[me].node.is_none() {
                self.after(MS, Event::Restart(me));
            }
        }
    }

    fn is_settled(&self) -> bool {
        let nodes = || self.machines.iter().filter_map(|machine| machine.node.as_ref());
        if nodes().count() != self.machines.len() {
            return false;
        }
        let mut leaders = nodes().filter(|node| node.leads().is_some());
        let (Some(leader), None) = (leaders.next(), leaders.next()) else { return false };
        leader.is_settled()
            && self.clients.iter().all(|client| {
                client.is_in
                    && client.unacknowledged.is_empty()
                    && client.received.len() as u64 == leader.reports_of(client.session)
            })
    }

    /// What must hold in the end.
    fn check(&mut self) {
        let nodes: Vec<&Node> = self.machines.iter().filter_map(|machine| machine.node.as_ref()).collect();
        let mut violations = Vec::new();
        let mut hashes = Vec::new();
        for (n, node) in nodes.iter().enumerate() {
            hashes.extend(node.books_hash().map(|hash| (format!("node {} live", n + 1), hash)));
            let live = node.journal.iter().map(|journal| ("log", Some(journal.everything())));
            let machine = &self.machines[n];
            // What a process that is killed now, and a machine that is, would come back with.
            let of_disk = log::recover(&machine.disk, machine.tail.as_ref());
            let of_disk_alone = log::recover(&machine.disk, None);
            let from = |found: log::Recovered| found.journal.map(|journal| journal.everything());
            let kinds = live.chain([("disk and tail", from(of_disk)), ("disk", from(of_disk_alone))]);
            for (kind, records) in kinds {
                let Some(records) = records else {
                    violations.push(format!("B: node {} has no {kind}", n + 1));
                    continue;
                };
                let books = match Books::fold(CLIENTS, records.iter().copied()) {
                    Ok(books) => books,
                    Err(what) => {
                        violations.push(format!("node {} {kind}: {what}", n + 1));
                        continue;
                    }
                };
                hashes.push((format!("node {} {kind}", n + 1), books.hash));
                for client in &self.clients {
                    let session = books.sessions.get(&client.session).cloned().unwrap_or_default();
                    let reports: Vec<Report> = session.reports.iter().map(|(_, report)| *report).collect();
                    if reports != client.received {
                        violations.push(format!(
                            "C: session {} was sent {} reports, the {kind} of node {} has {}, and they differ from {:?} on",
                            client.session,
                            client.received.len(),
                            n + 1,
                            reports.len(),
                            reports.iter().zip(&client.received).position(|(a, b)| a != b)
                        ));
                    }
                    for (client_ref, value) in &client.acknowledged {
                        let times = records.iter().filter(|(_, record)| {
                            record.kind == Kind::Command
                                && (record.session, record.client_ref, record.value)
                                    == (client.session, *client_ref, *value)
                        });
                        let times = times.count();
                        if times != 1 {
                            violations.push(format!(
                                "A: order {client_ref} of session {} is {times} times in the {kind} of node {}",
                                client.session,
                                n + 1
                            ));
                        }
                    }
                }
                if !records.iter().map(|(_, record)| record.nanos).is_sorted() {
                    violations.push(format!("time goes back in the {kind} of node {}", n + 1));
                }
            }
        }
        if nodes.len() != 2 || !hashes.iter().all(|(_, hash)| *hash == hashes[0].1) {
            violations.push(format!("B: states differ: {hashes:?}"));
        }
        self.coverage.acknowledged +=
            self.clients.iter().map(|client| client.acknowledged.len() as u64).sum::<u64>();
        violations.truncate(4);
        self.violations.extend(violations);
    }
}
