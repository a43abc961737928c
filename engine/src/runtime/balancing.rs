//! The front's part in balancing: counts arrivals, asks the policy, changes homes, watches over workers.

use std::sync::{Arc, atomic::Ordering};

use domain::{InstrumentId, ShardId};

use crate::{
    balance::{
        BalanceEvent, BalanceMode, BookLoad, Decision, Metrics, Placement, Policy, ShardLoad, Unit, Why,
        policy,
    },
    runtime::{BalanceStats, HotBook, Runtime, RuntimeConfig, floor::Floor, lane::Lane, worker::Note},
    schedule::Item,
};

/// A worker that has not gone on for so long, though awake, is stalled. Half of what an operator is promised.
const STALLED_NANOS: u64 = 50_000_000;
/// How often workers are looked at.
const WATCH_NANOS: u64 = 10_000_000;
/// How long the window is over which the hottest books are found.
const WINDOW_NANOS: u64 = 1_000_000_000;
/// How many of the hottest books are shown.
const HOTTEST: usize = 10;
/// Balance events kept for who asks for them; more are counted and dropped.
const EVENTS_MAX: usize = 8_192;

/// A change of home that is under way.
#[derive(Clone, Copy, Debug)]
struct Moving {
    unit: Unit,
    from: ShardId,
    to: ShardId,
    why: Why,
    /// Books that have not arrived.
    missing: usize,
    commands: u32,
    still_nanos: u64,
}

/// What is known of one worker's health.
#[derive(Clone, Copy, Debug, Default)]
struct Health {
    beats: u64,
    /// When it was seen to go on, or asleep.
    since: u64,
    stalled_since: Option<u64>,
}

/// The front's part in balancing.
pub(super) struct Balancing {
    pub(super) placement: Placement,
    /// Books with arrivals since the policy was asked last.
    pub(super) touched: Vec<InstrumentId>,
    policy: Box<dyn Policy>,
    period_nanos: u64,
    /// When the policy was asked last; `None` before the first tick.
    asked: Option<u64>,
    watched: u64,
    /// By shard: commands routed, and time busy, when the policy was asked last.
    before: Vec<(u64, u64)>,
    health: Vec<Health>,
    moving: Vec<Moving>,
    moves: u64,
    events: Vec<BalanceEvent>,
    events_lost: u64,
    frozen_until: u64,
    decision: Decision,
    loads: Vec<ShardLoad>,
    books: Vec<BookLoad>,
    /// Not where threads outnumber cores, or there is one shard.
    may_steal: bool,
    /// Whose turn it is to be woken for help.
    helper: usize,
    window: Window,
}

/// Who is hot: over the last full window.
struct Window {
    began: u64,
    /// By book, commands routed at its beginning.
    numbers: Vec<u64>,
    /// By shard.
    routed: Vec<u64>,
    shown: BalanceStats,
}

impl Balancing {
    pub(super) fn new(config: &RuntimeConfig, placement: Placement, floor: &Arc<Floor>) -> Self {
        let shards = usize::from(placement.shards());
        let books = placement.instruments() as usize;
        Self {
            touched: Vec::with_capacity(books),
            policy: policy(config.balance, config.tuning, &config.hints),
            period_nanos: config.tuning.period_nanos.max(1),
            asked: None,
            watched: 0,
            before: vec![(0, 0); shards],
            health: vec![Health::default(); shards],
            moving: Vec::new(),
            moves: 0,
            events: Vec::new(),
            events_lost: 0,
            frozen_until: 0,
            decision: Decision::default(),
            loads: Vec::with_capacity(shards),
            books: Vec::with_capacity(books),
            may_steal: shards > 1 && (!config.shared_cores || config.balance == BalanceMode::Drill),
            helper: 0,
            window: Window {
                began: 0,
                numbers: vec![0; books],
                routed: vec![0; floor.shards.len()],
                shown: BalanceStats::default(),
            },
            placement,
        }
    }

    /// A backlog has grown beyond what one worker should have: wakes another if one sleeps.
    #[inline]
    pub(super) fn call_for_help(&mut self, floor: &Floor, at: usize, lane: &mut Lane) {
        let Some(rule) = floor.rule.get() else { return };
        if lane.commands.len_seen() >= rule.waiting_min as usize
            && lane.commands.len() >= rule.waiting_min as usize
        {
            self.wake_helper(floor, at);
        }
    }

    /// Wakes one sleeping worker, if there is one, that could take from this shard.
    fn wake_helper(&mut self, floor: &Floor, at: usize) {
        let shards = floor.shards.len();
        for _ in 0..shards {
            self.helper = (self.helper + 1) % shards;
            let (helper, shard) = (&floor.shards[self.helper], &floor.shards[at]);
            if self.helper != at
                && (helper.domain == shard.domain || shard.stalled.load(Ordering::Relaxed))
                && floor.wake(self.helper)
            {
                return;
            }
        }
    }

    fn say(&mut self, event: BalanceEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push(event);
        } else {
            self.events_lost += 1;
        }
    }
}

impl Runtime {
    /// Looks at the load and lets the policy decide, if its period is over. Call it every turn; `now_nanos` comes from
    /// the clock that the runtime was given.
    #[inline]
    pub fn tick(&mut self, now_nanos: u64) {
        let Some(asked) = self.balancing.asked else {
            self.begin_ticking(now_nanos);
            return;
        };
        if now_nanos.saturating_sub(asked) >= self.balancing.period_nanos {
            self.ask_policy(now_nanos);
        }
    }

    fn begin_ticking(&mut self, now: u64) {
        let balancing = &mut self.balancing;
        balancing.asked = Some(now);
        balancing.watched = now;
        balancing.window.began = now;
        balancing.health.iter_mut().for_each(|health| health.since = now);
    }

    fn ask_policy(&mut self, now: u64) {
        assert!(!self.floor.dead.load(Ordering::Acquire), "a shard's thread died");
        if now.saturating_sub(self.balancing.watched) >= WATCH_NANOS {
            self.balancing.watched = now;
            self.watch(now);
        }
        let Self { lanes, floor, routes, balancing, .. } = self;
        let period_nanos = now - balancing.asked.replace(now).unwrap_or(now);
        balancing.loads.clear();
        for ((lane, shard), before) in lanes.iter().zip(&floor.shards).zip(&mut balancing.before) {
            let stats = lane.stats(shard);
            balancing.loads.push(ShardLoad {
                arrived: lane.routed() - before.0,
                waiting: stats.depth as u64,
                busy_nanos: stats.busy_nanos.saturating_sub(before.1).min(period_nanos),
                stalled: stats.stalled,
            });
            *before = (lane.routed(), stats.busy_nanos);
        }
        balancing.books.clear();
        for book in balancing.touched.drain(..) {
            let arrivals = core::mem::take(&mut routes[book.0 as usize].arrivals);
            balancing.books.push(BookLoad { book, arrivals });
        }
        let mut decision = core::mem::take(&mut balancing.decision);
        decision.moves.clear();
        decision.stays.clear();
        decision.frozen_until = None;
        balancing.policy.decide(
            &Metrics {
                now_nanos: now,
                period_nanos,
                shards: &balancing.loads,
                books: &balancing.books,
                placement: &balancing.placement,
            },
            &mut decision,
        );
        let frozen_until = decision.frozen_until.unwrap_or(0);
        if frozen_until > balancing.frozen_until.max(now) {
            balancing.say(BalanceEvent::Frozen { for_nanos: frozen_until - now });
        } else if balancing.frozen_until > 0 && frozen_until == 0 {
            balancing.say(BalanceEvent::Thawed);
        }
        balancing.frozen_until = frozen_until;
        floor.rule.set(decision.steal.filter(|_| balancing.may_steal));
        for change in &decision.moves {
            self.move_unit(change.unit, change.to, change.why);
        }
        if !decision.moves.is_empty() {
            self.publish();
        }
        self.take_notes();
        self.balancing.decision = decision;
        if now.saturating_sub(self.balancing.window.began) >= WINDOW_NANOS {
            self.close_window(now);
        }
    }

    /// Looks whether every worker goes on.
    fn watch(&mut self, now: u64) {
        let Self { floor, balancing, .. } = self;
        let mut any = false;
        for at in 0..floor.shards.len() {
            let shard = &floor.shards[at];
            let beats = shard.counters.beats();
            let health = &mut balancing.health[at];
            if beats != health.beats || shard.parking.is_announced() {
                health.beats = beats;
                health.since = now;
                if let Some(since) = health.stalled_since.take() {
                    shard.stalled.store(false, Ordering::Relaxed);
                    let after_nanos = now - since;
                    balancing.say(BalanceEvent::Recovered { shard: ShardId(at as u16), after_nanos });
                }
            } else if health.stalled_since.is_none() && now - health.since >= STALLED_NANOS {
                health.stalled_since = Some(health.since);
                let for_nanos = now - health.since;
                shard.stalled.store(true, Ordering::Relaxed);
                balancing.say(BalanceEvent::Stalled { shard: ShardId(at as u16), for_nanos });
            }
            if balancing.health[at].stalled_since.is_some() {
                any = true;
                if !shard.commands.is_empty() || shard.glance.ready() > 0 {
                    balancing.wake_helper(floor, at);
                }
            } else if !shard.commands.is_empty() && floor.rule.get().is_some() {
                // A short backlog behind something long: nobody else would come for it.
                balancing.wake_helper(floor, at);
            }
        }
        floor.any_stalled.store(any, Ordering::Relaxed);
    }

    /// Asks for another home for a unit; false when it lives there already, is under way, or finds no room in a ring.
    /// Visible to the workers with the next [`publish`](Self::publish).
    ///
    /// # Panics
    /// When there is no such unit or shard.
    pub fn move_unit(&mut self, unit: Unit, to: ShardId, why: Why) -> bool {
        let Self { lanes, floor, routes, balancing, .. } = self;
        let Balancing { placement, moving, moves, .. } = balancing;
        let books = placement.books_of_unit(unit);
        let from = placement.shard_of(books[0]).0;
        let (old, new) = (usize::from(from), usize::from(to.0));
        let is_under_way = |book: &InstrumentId| floor.slots.epoch(book.0) != routes[book.0 as usize].epoch;
        if old == new
            || lanes[old].commands.room() < books.len()
            || lanes[new].commands.room() < books.len()
            || books.iter().any(is_under_way)
        {
            return false;
        }
        let nanos = (floor.clock)();
        for &InstrumentId(book) in books {
            let route = &mut routes[book as usize];
            route.epoch = route.epoch.wrapping_add(1);
            route.home = to.0;
            let epoch = route.epoch;
            lanes[old].control_item(Item::Depart { book, to: to.0, epoch });
            lanes[new].control_item(Item::Arrive { book, epoch, nanos });
        }
        let count = books.len() as u32;
        lanes[old].moved_out += u64::from(count);
        lanes[old].books -= count;
        lanes[new].moved_in += u64::from(count);
        lanes[new].books += count;
        *moves += 1;
        // Of an earlier move, whose end nobody has told.
        moving.retain(|moving| moving.unit != unit);
        let missing = books.len();
        moving.push(Moving { unit, from: ShardId(from), to, why, missing, commands: 0, still_nanos: 0 });
        placement.set_unit(unit, to);
        true
    }

    /// Takes what the workers have to say of balancing.
    fn take_notes(&mut self) {
        let Self { lanes, balancing, .. } = self;
        for lane in lanes {
            while let Some(note) = lane.notes.pop() {
                match note {
                    Note::Event(event) => balancing.say(event),
                    Note::Arrived { book, commands, still_nanos } => {
                        balancing.arrived(book, commands, still_nanos);
                    }
                }
            }
            lane.notes.release();
        }
    }

    /// Hands on what balancing has done since the last call.
    pub fn take_balance_events(&mut self, take: impl FnMut(&BalanceEvent)) {
        self.take_notes();
        self.balancing.events.iter().for_each(take);
        self.balancing.events.clear();
    }

    /// How the load is spread, and what balancing does about it: over the last full second that
    /// [`tick`](Self::tick) has seen.
    #[must_use]
    pub fn balance_stats(&self) -> BalanceStats {
        let Self { lanes, floor, balancing, .. } = self;
        BalanceStats {
            steal: floor.rule.get(),
            frozen: balancing.frozen_until > 0,
            moves: balancing.moves,
            steals: floor.shards.iter().map(|shard| shard.counters.steals.load(Ordering::Relaxed)).sum(),
            events_lost: balancing.events_lost + floor.notes_lost.load(Ordering::Relaxed),
            one_book_bounds: balancing
                .window
                .shown
                .hottest
                .first()
                .is_some_and(|hot| lanes.len() > 1 && hot.share_permille as usize * lanes.len() > 1_000),
            ..balancing.window.shown.clone()
        }
    }

    /// Ends a window: finds the busiest books and shards of it.
    fn close_window(&mut self, now: u64) {
        let Self { lanes, routes, balancing, .. } = self;
        let Balancing { window, decision, placement, .. } = balancing;
        window.began = now;
        let mut hottest: Vec<(u64, u32)> = Vec::with_capacity(HOTTEST + 1);
        let mut whole = 0;
        for (book, (route, before)) in routes.iter().zip(&mut window.numbers).enumerate() {
            let arrivals = route.number - core::mem::replace(before, route.number);
            whole += arrivals;
            if arrivals > 0 && (hottest.len() < HOTTEST || hottest[HOTTEST - 1].0 < arrivals) {
                let at = hottest.partition_point(|(more, _)| *more >= arrivals);
                hottest.insert(at, (arrivals, book as u32));
                hottest.truncate(HOTTEST);
            }
        }
        let stay_of = |unit: Unit| decision.stays.iter().find(|(it, _)| *it == unit).map(|(_, stay)| *stay);
        window.shown.hottest = hottest
            .iter()
            .map(|(arrivals, book)| HotBook {
                book: InstrumentId(*book),
                home: placement.shard_of(InstrumentId(*book)),
                share_permille: (arrivals * 1_000 / whole.max(1)) as u32,
                stay: stay_of(placement.unit_of(InstrumentId(*book))),
            })
            .collect();
        let mut most = 0;
        let mut sum = 0;
        for (lane, before) in lanes.iter().zip(&mut window.routed) {
            let arrived = lane.routed() - core::mem::replace(before, lane.routed());
            most = most.max(arrived);
            sum += arrived;
        }
        let shards = lanes.len() as u64;
        window.shown.imbalance_permille = (most * shards * 1_000).checked_div(sum).unwrap_or(0) as u32;
    }
}

impl Balancing {
    /// A book has arrived; its unit may be complete.
    fn arrived(&mut self, book: InstrumentId, commands: u32, still_nanos: u64) {
        let unit = self.placement.unit_of(book);
        let Some(at) = self.moving.iter().position(|moving| moving.unit == unit) else { return };
        let moving = &mut self.moving[at];
        moving.missing -= 1;
        moving.commands += commands;
        moving.still_nanos = moving.still_nanos.max(still_nanos);
        if moving.missing == 0 {
            let Moving { unit, from, to, why, commands, still_nanos, .. } = self.moving.swap_remove(at);
            self.say(BalanceEvent::Migration { unit, book, from, to, why, commands, still_nanos });
        }
    }
}
