//! What the front of a leading node and its link to the standby share: the batches on their way there, and how far the
//! standby is.
//!
//! The front never waits here. Batches go into a bounded queue; when the standby is so far behind that the oldest fall
//! out, the link reads them from the segments instead, where they are by then: the queue holds more than the tail does,
//! and what is in neither cannot be.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
};

use cluster::gate::{Mode, Policy, Remote};
use domain::Epoch;
use engine::hash::StateHash;
use journal::{Mark, OnBatch, Position};
use mio::Waker;

use super::needs::PeerNeeds;
use crate::{
    config::ack_name,
    status::pair::{Acks, PairStatus, Role},
};

// Modes, as an atomic holds them.
const REPLICATED: u8 = 0;
const EITHER: u8 = 1;
const ALONE: u8 = 2;

/// A batch as the front committed it.
pub(super) struct Chunk {
    pub(super) at: Position,
    pub(super) bytes: Vec<u8>,
    pub(super) end: Mark,
}

/// The queue.
#[derive(Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// Batches are of interest: somebody follows.
    wanted: bool,
    end: Option<Mark>,
}

/// Who leads, and under which policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeadOf {
    /// 1 or 2.
    pub(crate) node: u8,
    pub(crate) epoch: Epoch,
    pub(crate) policy: Policy,
}

/// See the module.
pub(crate) struct Replica {
    queue: Mutex<Queue>,
    /// What the queue holds at most.
    bytes_max: usize,
    waker: OnceLock<Waker>,
    /// The link waits in its poll, or is about to.
    sleeps: AtomicBool,
    /// How far the standby is. `durable` is loaded before `received`, so that it is never more.
    received: AtomicU64,
    durable: AtomicU64,
    is_up: AtomicBool,
    /// Whether the standby keeps up.
    in_sync: AtomicBool,
    of: LeadOf,
    /// Who must hold what is released: see `mode_of`.
    mode: AtomicU8,
    /// Nothing is acknowledged at or after this time, on the boot-time clock; all ones without an election.
    ack_until_nanos: AtomicU64,
    /// Up to where the front has released.
    released: AtomicU64,
    /// The front shall take no more input, commit what is under way, and say where that ends.
    /// The number of the switch for it; 0 for none.
    stop_input: AtomicU32,
    /// Switches so far.
    switches: AtomicU32,
    /// The front takes none.
    input_is_stopped: AtomicBool,
    ended: Mutex<Option<(u32, Mark, StateHash)>>,
    /// A higher epoch: this node leads no more.
    deposed: AtomicU32,
    stop: AtomicBool,
    /// What the standby may still want of the journal.
    pub(crate) needs: Arc<PeerNeeds>,
    /// An operator's wishes, with whom to answer.
    wishes: Mutex<VecDeque<super::control::Asked>>,
}

impl Replica {
    /// `tail_bytes` is how far the disk may be behind.
    /// `elected`: a coordinator says how long this node may acknowledge anything.
    pub(crate) fn new(of: LeadOf, tail_bytes: u64, alone: bool, elected: bool, end: Mark) -> Arc<Self> {
        Arc::new(Self {
            of,
            in_sync: AtomicBool::new(false),
            queue: Mutex::new(Queue { end: Some(end), ..Queue::default() }),
            bytes_max: usize::try_from(tail_bytes.saturating_mul(2)).unwrap_or(usize::MAX),
            waker: OnceLock::new(),
            sleeps: AtomicBool::new(false),
            received: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            is_up: AtomicBool::new(false),
            mode: AtomicU8::new(if alone { ALONE } else { REPLICATED }),
            ack_until_nanos: AtomicU64::new(if elected { 0 } else { u64::MAX }),
            released: AtomicU64::new(0),
            stop_input: AtomicU32::new(0),
            switches: AtomicU32::new(0),
            input_is_stopped: AtomicBool::new(false),
            ended: Mutex::new(None),
            deposed: AtomicU32::new(0),
            stop: AtomicBool::new(false),
            needs: Arc::default(),
            wishes: Mutex::default(),
        })
    }

    /// What the appender shows its batches to.
    pub(crate) fn feed(self: &Arc<Self>) -> OnBatch {
        let replica = Arc::clone(self);
        Box::new(move |bytes, end| replica.push(bytes, end))
    }

    fn push(&self, bytes: &[u8], end: Mark) {
        {
            let mut queue = self.queue();
            queue.end = Some(end);
            if queue.wanted {
                let at = Position(end.position.0 - bytes.len() as u64);
                queue.bytes += bytes.len();
                queue.chunks.push_back(Chunk { at, bytes: bytes.to_vec(), end });
                while queue.bytes > self.bytes_max
                    && let Some(oldest) = queue.chunks.pop_front()
                {
                    queue.bytes -= oldest.bytes.len();
                }
            }
        }
        self.wake();
    }

    /// Wakes the link if it sleeps.
    fn wake(&self) {
        if self.sleeps.swap(false, Ordering::AcqRel)
            && let Some(waker) = self.waker.get()
            && let Err(error) = waker.wake()
        {
            log::error!("the replication link cannot be woken: {error}");
        }
    }

    // --- The front's side.

    /// How far the standby is, if one follows.
    #[inline]
    pub(crate) fn remote(&self) -> Option<Remote> {
        if !self.is_up.load(Ordering::Acquire) {
            return None;
        }
        let durable = Position(self.durable.load(Ordering::Acquire));
        Some(Remote { received: Position(self.received.load(Ordering::Acquire)), durable })
    }

    /// Who must hold something before it is released.
    #[inline]
    pub(crate) fn mode(&self) -> Mode {
        match self.mode.load(Ordering::Acquire) {
            ALONE => Mode::Alone,
            EITHER => Mode::Either,
            _ => Mode::Replicated,
        }
    }

    /// Whether anything may be acknowledged now. Whoever asks reads the clock for this and not before.
    #[inline]
    pub(crate) fn may_ack(&self) -> bool {
        let until = self.ack_until_nanos.load(Ordering::Acquire);
        until == u64::MAX || super::boot_nanos() < until
    }

    /// The front has released up to here.
    #[inline]
    pub(crate) fn set_released(&self, released: Position) {
        self.released.store(released.0, Ordering::Release);
    }

    /// How the pair is.
    pub(crate) fn status(&self) -> PairStatus {
        let LeadOf { node, epoch, policy } = self.of;
        let end = self.end().position;
        let remote = self.remote();
        let behind = |position: fn(&Remote) -> Position| {
            remote.as_ref().map(|remote| end.0.saturating_sub(position(remote).0))
        };
        let acks =
            if !self.may_ack() || policy.is_replicated() && self.mode() != Mode::Alone && remote.is_none() {
                Acks::Wait
            } else if policy.is_replicated() && self.mode() == Mode::Alone {
                Acks::Alone
            } else {
                Acks::Kept
            };
        PairStatus {
            node,
            role: Role::Primary,
            epoch: Some(epoch.0),
            policy: ack_name(policy).into(),
            acks: Some(acks),
            connected: self.needs.is_here(),
            in_sync: self.in_sync.load(Ordering::Acquire),
            behind: behind(|remote| remote.received),
            behind_on_disk: behind(|remote| remote.durable),
            differs: None,
        }
    }

    /// Whether input is to be stopped, for a switch.
    #[inline]
    pub(crate) fn wants_input_stopped(&self) -> Option<u32> {
        let switch = self.stop_input.load(Ordering::Acquire);
        (switch != 0).then_some(switch)
    }

    /// Input is not taken any more, or again.
    pub(crate) fn input_is_taken(&self, is_taken: bool) {
        self.input_is_stopped.store(!is_taken, Ordering::Release);
        self.wake();
    }

    /// Input is stopped, and everything is committed up to here, where the books come to `state`.
    pub(crate) fn input_stopped(&self, switch: u32, end: Mark, state: StateHash) {
        *lock(&self.ended) = Some((switch, end, state));
        self.wake();
    }

    /// The higher epoch that has begun elsewhere; 0 for none.
    #[inline]
    pub(crate) fn deposed(&self) -> u32 {
        self.deposed.load(Ordering::Acquire)
    }

    /// The exchange stops.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.sleeps.store(true, Ordering::Release);
        self.wake();
    }

    /// An operator asks for something.
    pub(crate) fn ask(&self, asked: super::control::Asked) {
        lock(&self.wishes).push_back(asked);
        self.sleeps.store(true, Ordering::Release);
        self.wake();
    }

    // --- The link's side.

    pub(super) fn set_waker(&self, waker: Waker) {
        let _ = self.waker.set(waker);
    }

    /// The link is about to wait; it looks once more after this.
    pub(super) fn announce_sleep(&self) {
        self.sleeps.store(true, Ordering::SeqCst);
    }

    pub(super) fn awake(&self) {
        self.sleeps.store(false, Ordering::Release);
    }

    pub(super) fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Batches are wanted from now on, or no longer.
    pub(super) fn want(&self, wanted: bool) {
        let mut queue = self.queue();
        queue.wanted = wanted;
        queue.chunks.clear();
        queue.bytes = 0;
    }

    /// Where what has been committed ends.
    pub(super) fn end(&self) -> Mark {
        self.queue().end.expect("known from the start")
    }

    /// The batches from `at` on, about so many bytes, if the queue has them; else where the oldest in it begins.
    pub(super) fn take(&self, at: Position, bytes_max: usize) -> Result<Vec<Chunk>, Option<Position>> {
        let mut queue = self.queue();
        while let Some(oldest) = queue.chunks.front()
            && oldest.end.position <= at
        {
            queue.bytes -= oldest.bytes.len();
            queue.chunks.pop_front();
        }
        match queue.chunks.front() {
            Some(oldest) if oldest.at == at => {}
            other => return Err(other.map(|oldest| oldest.at)),
        }
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(next) = queue.chunks.front()
            && (taken.is_empty() || bytes + next.bytes.len() <= bytes_max)
        {
            bytes += next.bytes.len();
            queue.bytes -= next.bytes.len();
            taken.extend(queue.chunks.pop_front());
        }
        Ok(taken)
    }

    /// Says whether the standby keeps up.
    pub(super) fn show_in_sync(&self, in_sync: bool) {
        self.in_sync.store(in_sync, Ordering::Release);
    }

    /// Says how far the standby is; whether that lets anything move.
    pub(super) fn show(&self, remote: Option<Remote>) -> bool {
        let before = (
            self.is_up.load(Ordering::Relaxed),
            self.received.load(Ordering::Relaxed),
            self.durable.load(Ordering::Relaxed),
        );
        let now =
            remote.map_or((false, before.1, before.2), |remote| (true, remote.received.0, remote.durable.0));
        if remote.is_some() {
            self.received.store(now.1, Ordering::Release);
            self.durable.store(now.2, Ordering::Release);
        }
        self.is_up.store(now.0, Ordering::Release);
        before != now
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        let mode = match mode {
            Mode::Replicated => REPLICATED,
            Mode::Either => EITHER,
            Mode::Alone => ALONE,
        };
        self.mode.store(mode, Ordering::Release);
    }

    /// Says how long acknowledging is allowed; whether that lets anything move.
    pub(super) fn set_ack_until(&self, nanos: u64) -> bool {
        self.ack_until_nanos.swap(nanos, Ordering::AcqRel) == 0 && nanos != 0
    }

    pub(super) fn released(&self) -> Position {
        Position(self.released.load(Ordering::Acquire))
    }

    /// No more input shall be taken, for a switch that begins now.
    pub(super) fn stop_input(&self) {
        let switch = self.switches.fetch_add(1, Ordering::Relaxed) + 1;
        self.stop_input.store(switch, Ordering::Release);
    }

    /// Input shall be taken again.
    pub(super) fn resume_input(&self) {
        self.stop_input.store(0, Ordering::Release);
    }

    /// Whether the front takes none.
    pub(super) fn input_is_stopped(&self) -> bool {
        self.input_is_stopped.load(Ordering::Acquire)
    }

    /// Where what had been taken ends, as the front has said for the switch that is under way, and what its books come to.
    pub(super) fn take_ended(&self) -> Option<(Mark, StateHash)> {
        let (switch, end, state) = lock(&self.ended).take()?;
        // What was said for an earlier one is not so any more.
        (self.stop_input.load(Ordering::Acquire) == switch).then_some((end, state))
    }

    pub(super) fn depose(&self, epoch: u32) {
        self.deposed.store(epoch, Ordering::Release);
    }

    pub(super) fn next_wish(&self) -> Option<super::control::Asked> {
        lock(&self.wishes).pop_front()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

/// Nobody leaves anything half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: LeadOf = LeadOf { node: 1, epoch: Epoch(3), policy: Policy::DiskReplica };

    fn mark(position: u64) -> Mark {
        Mark { position: Position(position), chain: position }
    }

    fn ends(taken: Result<Vec<Chunk>, Option<Position>>) -> Result<Vec<u64>, Option<u64>> {
        taken
            .map(|chunks| chunks.iter().map(|chunk| chunk.end.position.0).collect())
            .map_err(|at| at.map(|at| at.0))
    }

    #[test]
    fn batches_are_queued_while_somebody_follows_and_the_oldest_fall_out() {
        let replica = Replica::new(OF, 500, false, false, mark(100));
        let mut feed = replica.feed();
        feed(&[1; 100], mark(200));
        assert_eq!(ends(replica.take(Position(100), 1_000)), Err(None));
        assert_eq!(replica.end(), mark(200));
        replica.want(true);
        for end in [300, 400, 500] {
            feed(&[2; 100], mark(end));
        }
        // What is before the queue must be read elsewhere; what was had already is passed over.
        assert_eq!(ends(replica.take(Position(200 - 64), 1_000)), Err(Some(200)));
        assert_eq!(ends(replica.take(Position(200), 250)), Ok(vec![300, 400]));
        assert_eq!(ends(replica.take(Position(400), 1)), Ok(vec![500]));
        assert_eq!(ends(replica.take(Position(500), 1)), Err(None));
        for end in (600..2_000).step_by(100) {
            feed(&[3; 100], mark(end));
        }
        assert_eq!(ends(replica.take(Position(500), 1)), Err(Some(900)));
        assert_eq!(ends(replica.take(Position(1_800), 1_000)), Ok(vec![1_900]));
        replica.want(false);
        assert_eq!(ends(replica.take(Position(1_900), 1)), Err(None));
    }

    #[test]
    fn what_the_standby_has_shows_while_it_is_there() {
        let replica = Replica::new(OF, 500, true, false, mark(0));
        assert_eq!((replica.remote(), replica.mode()), (None, Mode::Alone));
        let remote = Remote { received: Position(64), durable: Position(32) };
        assert!(replica.show(Some(remote)));
        assert!(!replica.show(Some(remote)));
        assert_eq!(replica.remote(), Some(remote));
        assert!(replica.show(None));
        for mode in [Mode::Replicated, Mode::Either, Mode::Alone] {
            replica.set_mode(mode);
            assert_eq!((replica.remote(), replica.mode()), (None, mode));
        }
    }

    #[test]
    fn the_status_says_what_acknowledgements_wait_for() {
        let replica = Replica::new(OF, 500, false, false, mark(1_000));
        let status = replica.status();
        assert_eq!((status.acks, status.connected, status.behind), (Some(Acks::Wait), false, None));
        replica.needs.here(None);
        replica.show(Some(Remote { received: Position(900), durable: Position(200) }));
        replica.show_in_sync(true);
        let status = replica.status();
        assert_eq!((status.acks, status.connected, status.in_sync), (Some(Acks::Kept), true, true));
        assert_eq!((status.behind, status.behind_on_disk), (Some(100), Some(800)));
        replica.set_mode(Mode::Alone);
        assert_eq!(replica.status().acks, Some(Acks::Alone));
        // Under an election nothing is said before the lease is known.
        assert_eq!(Replica::new(OF, 500, true, true, mark(0)).status().acks, Some(Acks::Wait));
        // What this disk alone answers for needs nobody.
        let disk = Replica::new(LeadOf { policy: Policy::Disk, ..OF }, 500, false, false, mark(0));
        assert_eq!(disk.status().acks, Some(Acks::Kept));
    }

    #[test]
    fn what_is_said_of_a_switch_that_was_called_off_is_not_taken_for_the_next() {
        let replica = Replica::new(OF, 500, false, false, mark(0));
        assert_eq!(replica.wants_input_stopped(), None);
        replica.stop_input();
        let first = replica.wants_input_stopped().unwrap();
        replica.input_is_taken(false);
        replica.resume_input();
        assert_eq!((replica.wants_input_stopped(), replica.input_is_stopped()), (None, true));
        replica.stop_input();
        let second = replica.wants_input_stopped().unwrap();
        assert_ne!(first, second);
        replica.input_stopped(first, mark(100), StateHash(1));
        assert_eq!(replica.take_ended(), None);
        replica.input_stopped(second, mark(200), StateHash(2));
        assert_eq!(replica.take_ended(), Some((mark(200), StateHash(2))));
        assert_eq!(replica.take_ended(), None, "once");
        replica.resume_input();
        replica.input_is_taken(true);
        assert!(!replica.input_is_stopped());
    }

    #[test]
    fn under_an_election_nothing_is_acknowledged_beyond_the_lease() {
        assert!(Replica::new(OF, 500, false, false, mark(0)).may_ack());
        let replica = Replica::new(OF, 500, false, true, mark(0));
        assert!(!replica.may_ack());
        let now = super::super::boot_nanos();
        assert!(replica.set_ack_until(now + 3_600_000_000_000));
        assert!(replica.may_ack());
        assert!(!replica.set_ack_until(now), "it was allowed before");
        assert!(!replica.may_ack());
    }
}
