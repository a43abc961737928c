//! Greedy rebalancing: the heaviest shard gives the unit that evens it out best with the lightest, again and again, until
//! no shard has more than its share by the slack, or nothing that may move helps.
//!
//! Only units that had arrivals in the last period are looked at, and only those on shards that have too much.

use domain::{InstrumentId, ShardId};

use super::{Budget, Decision, Freeze, Metrics, Move, Rates, Stay, Tuning, Unit, Why, hints::Bonds};

/// Reasons to stay that are told, at most, for each period.
const STAYS_MAX: usize = 8;

/// A unit that may leave its shard.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    shard: ShardId,
    weight: u64,
    unit: Unit,
    moved: bool,
}

/// What the greedy solver works with, kept so that a period allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Rebalance {
    candidates: Vec<Candidate>,
    /// Of each shard, what it weighs with the moves decided so far.
    load: Vec<u64>,
    /// Shards that have given all they can.
    spent: Vec<bool>,
}

/// What a rebalancing may use.
pub(super) struct Means<'a> {
    pub(super) tuning: &'a Tuning,
    pub(super) bonds: &'a Bonds,
    pub(super) rates: &'a mut Rates,
    pub(super) budget: &'a mut Budget,
    pub(super) freeze: &'a mut Freeze,
    /// Busy share of the time, in thousandths.
    pub(super) busy: u32,
}

impl Rebalance {
    /// Decides moves. While `frozen` it decides none and says what would have moved.
    pub(super) fn run(
        &mut self,
        metrics: &Metrics<'_>,
        means: &mut Means<'_>,
        frozen: bool,
        decision: &mut Decision,
    ) {
        let open =
            |shard: usize| !metrics.shards[shard].stalled && !means.bonds.is_reserved(ShardId(shard as u16));
        let shards = metrics.shards.len();
        let (mut total, mut count) = (0, 0);
        for shard in (0..shards).filter(|shard| open(*shard)) {
            total += means.rates.shards()[shard];
            count += 1;
        }
        if count < 2 || total == 0 {
            return;
        }
        let mean = total / count;
        let limit = mean + mean / 1_000 * slack(means.tuning, means.busy);
        self.load.clear();
        self.load.extend_from_slice(means.rates.shards());
        self.spent.clear();
        self.spent.extend((0..shards).map(|shard| !open(shard)));
        if !(0..shards).any(|shard| open(shard) && self.load[shard] > limit) {
            return;
        }
        self.gather(metrics, means, limit);
        while let Some(from) = self.heaviest(limit) {
            let range = self.range_of(from);
            let room = means.budget.has_room() && !frozen;
            let step = self.step(metrics, means, from, range.clone(), decision);
            match step {
                Some((index, to)) if room => {
                    let Candidate { unit, weight, .. } = self.candidates[index];
                    means.budget.take();
                    means.freeze.note(unit, means.rates);
                    means.rates.moves(unit);
                    decision.moves.push(Move { unit, from, to, why: Why::Load });
                    self.candidates[index].moved = true;
                    self.load[usize::from(from.0)] -= weight;
                    self.load[usize::from(to.0)] += weight;
                }
                Some((index, _)) => {
                    let why = if frozen { Stay::Frozen } else { Stay::Budget };
                    stay(decision, self.candidates[index].unit, why);
                    self.spent[usize::from(from.0)] = true;
                }
                None => {
                    if let Some(hottest) = self.candidates[range].iter().find(|c| !c.moved) {
                        let why = if !means.bonds.may_move(hottest.unit, from, metrics.placement, &[])
                            || means.bonds.pin(hottest.unit).is_some()
                        {
                            Stay::Hint
                        } else if hottest.weight >= mean {
                            Stay::Alone
                        } else {
                            Stay::Gain
                        };
                        stay(decision, hottest.unit, why);
                    }
                    self.spent[usize::from(from.0)] = true;
                }
            }
        }
    }

    /// Collects what may leave the shards above the limit: by shard, the heaviest first.
    fn gather(&mut self, metrics: &Metrics<'_>, means: &Means<'_>, limit: u64) {
        self.candidates.clear();
        for &unit in means.rates.touched() {
            let shard = metrics.placement.shard_of(InstrumentId(unit.0));
            if self.load[usize::from(shard.0)] > limit && !self.spent[usize::from(shard.0)] {
                let weight = means.rates.weight(unit);
                self.candidates.push(Candidate { shard, weight, unit, moved: false });
            }
        }
        self.candidates.sort_unstable_by(|one, other| {
            (one.shard, other.weight, one.unit).cmp(&(other.shard, one.weight, other.unit))
        });
    }

    /// The heaviest shard above the limit that can still give something.
    fn heaviest(&self, limit: u64) -> Option<ShardId> {
        let shards = (0..self.load.len()).filter(|shard| !self.spent[*shard] && self.load[*shard] > limit);
        shards.max_by_key(|shard| (self.load[*shard], usize::MAX - shard)).map(|shard| ShardId(shard as u16))
    }

    fn range_of(&self, shard: ShardId) -> std::ops::Range<usize> {
        let begin = self.candidates.partition_point(|c| c.shard < shard);
        let end = self.candidates.partition_point(|c| c.shard <= shard);
        begin..end
    }

    /// The candidate in the range whose move to the lightest shard evens the two out best, if any improves them.
    fn step(
        &self,
        metrics: &Metrics<'_>,
        means: &Means<'_>,
        from: ShardId,
        range: std::ops::Range<usize>,
        decision: &Decision,
    ) -> Option<(usize, ShardId)> {
        let to = (0..self.load.len())
            .filter(|shard| !self.excluded(metrics, means, *shard))
            .min_by_key(|shard| (self.load[*shard], *shard))?;
        let gap = self.load[usize::from(from.0)].saturating_sub(self.load[to]);
        let to = ShardId(to as u16);
        let settle = u64::from(means.tuning.periods(means.tuning.settle_nanos));
        let floor = means.rates.steady(means.tuning.arrivals_min);
        // From the best fit, half the gap, to both sides: what is heavier must still leave both lighter than the
        // giver was by a quarter of what moves; what is lighter is tried after it, down to what is too cold to pay.
        let fit = range.start + self.candidates[range.clone()].partition_point(|c| c.weight > gap / 2);
        let may = |index: usize| {
            let candidate = &self.candidates[index];
            !candidate.moved
                && candidate.weight >= floor
                && !means.rates.moved_within(candidate.unit, settle)
                && means.bonds.may_move(candidate.unit, to, metrics.placement, &decision.moves)
        };
        let heavier = (range.start..fit)
            .rev()
            .take_while(|index| self.candidates[*index].weight < gap / 5 * 4)
            .find(|index| may(*index));
        let lighter = (fit..range.end)
            .take_while(|index| self.candidates[*index].weight >= floor)
            .find(|index| may(*index));
        let off = |index: usize| self.candidates[index].weight.abs_diff(gap / 2);
        let best = match (heavier, lighter) {
            (Some(one), Some(other)) => Some(if off(one) < off(other) { one } else { other }),
            (one, other) => one.or(other),
        };
        best.filter(|_| gap > 0).map(|index| (index, to))
    }

    /// Whether nothing moves to this shard.
    fn excluded(&self, metrics: &Metrics<'_>, means: &Means<'_>, shard: usize) -> bool {
        metrics.shards[shard].stalled || means.bonds.is_reserved(ShardId(shard as u16))
    }
}

/// By how many thousandths a shard may be above the mean: a part of the room that the load leaves, within bounds.
///
/// A shard at the mean load ρ with slack s works ρ(1 + s) of its time; with s = c(1 - ρ)/ρ that is ρ + c(1 - ρ).
fn slack(tuning: &Tuning, busy: u32) -> u64 {
    let busy = busy.clamp(1, 1_000);
    let slack = u64::from(tuning.slack_of_idle) * u64::from(1_000 - busy) / u64::from(busy);
    slack.clamp(tuning.slack_min.into(), tuning.slack_max.max(tuning.slack_min).into())
}

fn stay(decision: &mut Decision, unit: Unit, why: Stay) {
    if decision.stays.len() < STAYS_MAX {
        decision.stays.push((unit, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slack_shrinks_as_the_load_grows() {
        let tuning = Tuning::default();
        assert_eq!(slack(&tuning, 0), 300);
        assert_eq!(slack(&tuning, 800), 82);
        assert_eq!(slack(&tuning, 1_000), 40);
    }
}
