//! Where units go that cannot stay, whatever the load: away from a stalled worker, and back to where they are pinned.

use domain::{InstrumentId, ShardId};

use super::{Budget, Decision, Metrics, Move, Rates, Unit, Why, hints::Bonds};

/// Books of a stalled shard that are looked for, at most, for each period: those without arrivals are found by going
/// through all books.
const SEARCH: u32 = 4_096;

/// Where the search for books of stalled shards stands.
#[derive(Debug, Default)]
pub(super) struct Evacuation {
    /// The next book to look at, and how many are left of the round.
    next: u32,
    left: u32,
    /// Which shards were stalled last time.
    stalled: Vec<bool>,
}

impl Evacuation {
    /// Moves units with arrivals first, because their clients wait; then all others, some of them each period.
    pub(super) fn run(
        &mut self,
        metrics: &Metrics<'_>,
        bonds: &Bonds,
        rates: &mut Rates,
        budget: &mut Budget,
        decision: &mut Decision,
    ) {
        self.stalled.resize(metrics.shards.len(), false);
        let mut any = false;
        for (before, shard) in self.stalled.iter_mut().zip(metrics.shards) {
            if shard.stalled && !*before {
                self.left = metrics.placement.instruments();
            }
            any |= shard.stalled;
            *before = shard.stalled;
        }
        let is_stalled = |shard: ShardId| metrics.shards[usize::from(shard.0)].stalled;
        if !any {
            self.left = 0;
            return;
        }
        let mut spread = Spread { metrics, bonds, begin: decision.moves.len() };
        for index in 0..rates.touched().len() {
            let unit = rates.touched()[index];
            if is_stalled(metrics.placement.shard_of(InstrumentId(unit.0)))
                && !spread.flee(unit, rates, budget, decision)
            {
                break;
            }
        }
        for _ in 0..self.left.min(SEARCH) {
            let book = InstrumentId(self.next % metrics.placement.instruments());
            let leads = metrics.placement.unit_of(book).0 == book.0;
            if leads && is_stalled(metrics.placement.shard_of(book)) {
                // Also what stays for want of budget is looked at again: the round begins anew.
                if !budget.has_room() {
                    self.left = metrics.placement.instruments();
                    break;
                }
                spread.flee(Unit(book.0), rates, budget, decision);
            }
            self.next = (book.0 + 1) % metrics.placement.instruments();
            self.left -= 1;
        }
    }
}

/// Spreads units over the shards that work.
struct Spread<'a> {
    metrics: &'a Metrics<'a>,
    bonds: &'a Bonds,
    /// Moves of the decision before this one's begin.
    begin: usize,
}

impl Spread<'_> {
    /// Moves a unit to the lightest shard that may have it. False when the budget is used up.
    fn flee(&mut self, unit: Unit, rates: &mut Rates, budget: &mut Budget, decision: &mut Decision) -> bool {
        let placement = self.metrics.placement;
        let from = placement.shard_of(InstrumentId(unit.0));
        let moves = &decision.moves[self.begin..];
        // A unit that is decided on already is still found on its old shard.
        if moves.iter().rev().any(|made| made.unit == unit) {
            return true;
        }
        let may = |shard: &ShardId| {
            !self.metrics.shards[usize::from(shard.0)].stalled
                && self.bonds.may_flee(unit, *shard, placement, &decision.moves)
        };
        // A unit that weighs nothing goes where fewest went, so that cold units spread as well.
        let given = |shard: ShardId| moves.iter().filter(|made| made.to == shard).count();
        let cold = rates.weight(unit) < rates.steady(1) / 16;
        let weighs = |shard: ShardId| if cold { 0 } else { rates.shards()[usize::from(shard.0)] };
        let all = (0..placement.shards()).map(ShardId);
        let key = |shard: &ShardId| (weighs(*shard), given(*shard), *shard);
        let Some(to) = all.filter(may).min_by_key(key) else { return true };
        if !budget.take() {
            return false;
        }
        rates.moves(unit);
        // The sums see it at once, so that the next unit goes elsewhere.
        rates.follow(unit, to);
        decision.moves.push(Move { unit, from, to, why: Why::Stalled });
        true
    }
}

/// Moves pinned units that are elsewhere, as after a stall, back to their shards.
pub(super) fn send_home(
    metrics: &Metrics<'_>,
    bonds: &Bonds,
    rates: &mut Rates,
    budget: &mut Budget,
    decision: &mut Decision,
) {
    for (unit, to) in bonds.pins() {
        let from = metrics.placement.shard_of(InstrumentId(unit.0));
        if from != to && !metrics.shards[usize::from(to.0)].stalled {
            if !budget.take() {
                return;
            }
            rates.moves(unit);
            decision.moves.push(Move { unit, from, to, why: Why::Hint });
        }
    }
}
