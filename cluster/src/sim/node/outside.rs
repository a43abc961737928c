//! The world as a node sees it, what goes between the two, and how all nodes of a run are set up.

use domain::{Epoch, Mark, Position};

use super::MS;
use crate::Kept;
use crate::election::{self, Request, RequestId};
use crate::gate::Policy;
use crate::primary;
use crate::sim::books::Report;
use crate::sim::disk::{Step, Storage};
use crate::sim::journal::{self as log, Journal, Tail};
use crate::standby;

/// A connection, as both of its ends call it.
pub(in crate::sim) type Connection = u64;

/// What goes over a connection.
#[derive(Clone, Debug)]
pub(in crate::sim) enum Packet {
    /// Bytes of the replication link.
    Link(Vec<u8>),
    /// A client's conversation.
    Client(Talk),
}

/// What clients and exchanges say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Talk {
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
        report: Report,
    },
}

/// What the disk has done.
#[derive(Clone, Debug)]
pub(in crate::sim) enum Done {
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
pub(in crate::sim) enum Note {
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
pub(in crate::sim) trait Outside {
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
pub(in crate::sim) struct Setup {
    pub(in crate::sim) policy: Policy,
    /// Whether there is a coordinator.
    pub(in crate::sim) automatic: bool,
    pub(in crate::sim) sessions: u32,
}

impl Setup {
    pub(super) const fn primary() -> primary::Settings {
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

    pub(super) const fn standby() -> standby::Settings {
        standby::Settings { silence_nanos: 300 * MS, greeting_nanos: 1_000 * MS, cancel_only_nanos: 30 * MS }
    }

    pub(in crate::sim) const fn election() -> election::Settings {
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
