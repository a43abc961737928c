use domain::{InstrumentId, ShardId};

use super::*;
use crate::balance::{
    BookLoad, Decision, Metrics, Move, Placement, PlacementPolicy, ShardLoad, Stay, Unit, Why,
};

const MILLISECOND: u64 = 1_000_000;

/// A policy and a placement that does what it says, period by period.
struct Table {
    policy: Box<dyn Policy>,
    placement: Placement,
    shards: Vec<ShardLoad>,
    decision: Decision,
    now: u64,
    moves: Vec<(u64, Move)>,
}

impl Table {
    fn new(mode: BalanceMode, tuning: Tuning, hints: &Hints, books: u32, shards: u16) -> Self {
        let rates = vec![1; books as usize];
        let placement = Placement::with(PlacementPolicy::RoundRobin, &rates, hints, shards).unwrap();
        let idle = ShardLoad { busy_nanos: 800_000, ..ShardLoad::default() };
        Self {
            policy: policy(mode, tuning, hints),
            placement,
            shards: vec![idle; usize::from(shards)],
            decision: Decision::default(),
            now: 0,
            moves: Vec::new(),
        }
    }

    /// Plays a millisecond with these arrivals.
    fn play(&mut self, arrivals: impl IntoIterator<Item = (u32, u32)>) {
        let books: Vec<_> = arrivals
            .into_iter()
            .map(|(book, arrivals)| BookLoad { book: InstrumentId(book), arrivals })
            .collect();
        self.now += MILLISECOND;
        self.decision = Decision::default();
        let metrics = Metrics {
            now_nanos: self.now,
            period_nanos: MILLISECOND,
            shards: &self.shards,
            books: &books,
            placement: &self.placement,
        };
        self.policy.decide(&metrics, &mut self.decision);
        for made in self.decision.moves.clone() {
            assert_eq!(self.placement.shard_of(InstrumentId(made.unit.0)), made.from);
            for book in self.placement.books_of_unit(made.unit).to_vec() {
                self.placement.set(book, made.to);
            }
            self.moves.push((self.now, made));
        }
    }

    fn home(&self, book: u32) -> u16 {
        self.placement.shard_of(InstrumentId(book)).0
    }

    /// Of each shard, the arrivals that these would bring it.
    fn given(&self, arrivals: &[(u32, u32)]) -> Vec<u32> {
        let mut given = vec![0; self.shards.len()];
        for (book, count) in arrivals {
            given[usize::from(self.home(*book))] += count;
        }
        given
    }
}

fn plain(mode: BalanceMode, books: u32, shards: u16) -> Table {
    Table::new(mode, Tuning::default(), &Hints::default(), books, shards)
}

#[test]
fn each_mode_does_what_it_is_named_for() {
    let skewed: Vec<_> = (0..100).map(|book| (book, if book % 4 == 0 { 400 } else { 40 })).collect();
    for mode in BalanceMode::ALL {
        let mut table = plain(mode, 100, 4);
        for _ in 0..50 {
            table.play(skewed.clone());
        }
        assert_eq!(table.decision.steal.is_some(), mode.steals(), "{mode}");
        assert_eq!(!table.moves.is_empty(), mode.migrates(), "{mode}");
    }
}

#[test]
fn skew_that_stays_is_evened_out_and_then_nothing_moves() {
    let skewed: Vec<_> = (0..100).map(|book| (book, if book % 4 == 0 { 400 } else { 40 })).collect();
    let mut table = plain(BalanceMode::Full, 100, 4);
    assert_eq!(table.given(&skewed), [10_000, 1_000, 1_000, 1_000]);
    for _ in 0..30 {
        table.play(skewed.clone());
    }
    let given = table.given(&skewed);
    let mean = given.iter().sum::<u32>() / 4;
    assert!(given.iter().all(|n| *n < mean + mean / 10), "{given:?}");
    let before = table.moves.len();
    for _ in 0..100 {
        table.play(skewed.clone());
    }
    assert_eq!(table.moves.len(), before);
    assert!(table.moves.iter().all(|(_, made)| made.why == Why::Load));
}

#[test]
fn a_hot_book_that_fills_a_shard_is_left_alone_and_said_to_be() {
    let mut table = plain(BalanceMode::Full, 40, 4);
    let flow: Vec<_> = (0..40).map(|book| (book, if book == 0 { 9_000 } else { 100 })).collect();
    for _ in 0..60 {
        table.play(flow.clone());
    }
    let home = table.home(0);
    let neighbours = (1..40).filter(|book| table.home(*book) == home).count();
    assert_eq!(neighbours, 0, "all others have left");
    assert!(table.decision.stays.contains(&(Unit(0), Stay::Alone)), "{:?}", table.decision.stays);
}

#[test]
fn the_budget_holds_whoever_plays() {
    let tuning = Tuning { moves_per_second: 50, moves_burst: 10, ..Tuning::default() };
    for adversary in [1, 2, 7] {
        let mut table = Table::new(BalanceMode::Full, tuning, &Hints::default(), 1_000, 4);
        // A shard stalls now and then as well.
        for period in 0..3_000_u32 {
            table.shards[3].stalled = period % 500 > 400;
            let hot = period / adversary * 8 % 1_000;
            table.play((0..8).map(|n| ((hot + n * 4) % 1_000, 2_000)).chain([(1, 50), (2, 50), (3, 50)]));
        }
        let times: Vec<u64> = table.moves.iter().map(|(at, _)| *at).collect();
        assert!(!times.is_empty());
        for (index, from) in times.iter().enumerate() {
            let within = times[index..].iter().take_while(|at| **at - from < 1_000 * MILLISECOND).count();
            assert!(within <= 60, "{within} moves within a second of {from}");
        }
    }
}

#[test]
fn who_swaps_the_hot_books_to_provoke_moves_freezes_them_for_longer_and_longer() {
    let mut table = plain(BalanceMode::Full, 400, 4);
    let (mut frozen, mut froze) = (Vec::new(), None);
    for period in 0..4_000_u32 {
        // Every 12 ms eight other books of one shard are hot.
        let first = period / 12 * 32 % 400;
        let hot = (0..8).map(|n| (first + n * 4) % 400);
        table.play(hot.map(|book| (book, 1_500)).chain((0..4).map(|book| (book, 200))));
        let until = table.decision.frozen_until;
        if until.is_some() {
            assert!(table.decision.moves.is_empty(), "nothing moves for load while frozen");
            assert!(table.decision.steal.is_some(), "stealing goes on");
        }
        if until != froze {
            if let Some(until) = until {
                frozen.push(until - table.now);
            }
            froze = until;
        }
    }
    assert!(frozen.len() >= 4, "{frozen:?}");
    assert!(frozen.windows(2).all(|two| two[1] >= two[0]), "{frozen:?}");
    assert!(*frozen.last().unwrap() >= 8 * frozen[0], "{frozen:?}");
}

#[test]
fn skew_that_stays_freezes_nothing() {
    // Bursts: each book has all of its arrivals in one of four periods, in turn.
    let mut table = plain(BalanceMode::Full, 400, 4);
    for period in 0..2_000_u32 {
        table.play(
            (0..400).filter(|b| (b / 4 + period) % 4 == 0).map(|b| (b, if b % 4 == 0 { 32 } else { 8 })),
        );
        assert_eq!(table.decision.frozen_until, None, "period {period}");
    }
}

fn pinned() -> Hints {
    Hints {
        pins: vec![(InstrumentId(0), ShardId(0)), (InstrumentId(4), ShardId(0))],
        together: vec![vec![InstrumentId(8), InstrumentId(12)]],
        apart: vec![vec![InstrumentId(16), InstrumentId(17)]],
        reserved: vec![ShardId(3)],
    }
}

#[test]
fn hints_are_never_broken_for_load() {
    let mut table = Table::new(BalanceMode::Full, Tuning::default(), &pinned(), 100, 4);
    for period in 0..500_u32 {
        let hot = period / 50;
        table.play((0..100).map(|book| (book, if (book + hot) % 3 == 0 { 500 } else { 30 })));
        assert_eq!([table.home(0), table.home(4)], [0, 0]);
        assert_eq!(table.home(8), table.home(12));
        assert_ne!(table.home(16), table.home(17));
        assert!((0..100).all(|book| table.home(book) != 3), "a reserved shard has no guests");
    }
    assert!(table.moves.len() > 10, "it was tried");
    let hot_pins: Vec<_> = [(0, 9_000), (4, 9_000)].into_iter().chain((5..50).map(|b| (b, 50))).collect();
    for _ in 0..20 {
        table.play(hot_pins.clone());
    }
    assert!(table.decision.stays.contains(&(Unit(0), Stay::Hint)), "{:?}", table.decision.stays);
}

#[test]
fn a_stalled_shard_is_left_by_all_and_pins_return() {
    let hints = Hints { pins: vec![(InstrumentId(1), ShardId(1))], ..Hints::default() };
    let mut table = Table::new(BalanceMode::Full, Tuning::default(), &hints, 1_000, 4);
    table.shards[1].stalled = true;
    let flow: Vec<_> = (0..100).map(|book| (book, 50)).collect();
    for _ in 0..40 {
        table.play(flow.clone());
        assert!(table.decision.moves.iter().all(|made| made.to != ShardId(1)), "nothing goes there");
    }
    assert!(table.placement.books_of(ShardId(1)).next().is_none(), "also those without arrivals have left");
    let (first, last) = (table.moves[0].1, table.moves.last().unwrap().1);
    assert!(first.unit.0 < 100 && last.unit.0 >= 100, "those whose clients wait go first");
    let counts = [0, 2, 3].map(|shard| table.placement.books_of(ShardId(shard)).count());
    assert!(counts.iter().all(|n| (280..=390).contains(n)), "spread over the others: {counts:?}");
    table.shards[1].stalled = false;
    table.play(flow);
    assert_eq!(table.home(1), 1, "a pin returns when the shard does");
    let back = table.moves.iter().find(|(_, made)| made.why == Why::Hint).unwrap().1;
    assert_eq!(back.unit, Unit(1));
}

#[test]
fn a_hundred_thousand_books_cost_what_is_touched() {
    let mut table = plain(BalanceMode::Full, 100_000, 16);
    // Shard 0 has too much, so the solver runs.
    for period in 0..200_u32 {
        table.play((0..50).map(|n| ((n * 16 + period / 50 * 1_600) % 100_000, 40)));
        assert!(table.decision.moves.len() <= Tuning::default().moves_per_period as usize);
    }
    assert!(table.moves.iter().all(|(_, made)| made.unit.0 < 10_000), "only books that were touched move");
}
