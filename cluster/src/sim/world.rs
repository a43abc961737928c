//! The world of one run: events in the order of their times, all drawn from one seed; faults; clients; and what must
//! hold.

mod audit;
mod clients;
mod coordinator;
mod faults;
mod io;
mod machines;
mod network;
mod operator;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use domain::{Epoch, Position};
use rand::{RngExt, SeedableRng};

use self::clients::Client;
use self::io::Io;
use self::machines::Machine;
use self::network::Wire;
use super::disk::Disk;
use super::node::{Connection, Node, Setup};
use super::store::Store;
use super::{Coverage, Random};
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
            cut_to: None,
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
            machine.said_durable = machine.cut_to.map_or(journal.durable, |to| journal.durable.min(to));
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
}
