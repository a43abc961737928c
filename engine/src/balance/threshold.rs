//! θ, the backlog that is worth a steal, by the measured load.
//!
//! A steal costs the thief some hundred nanoseconds and a warm book its refill. While cores idle that is free, so a
//! thief comes for little; when nearly all time is busy it is taken from somebody's work, so the backlog must be worth
//! it.

use super::{Metrics, StealRule, Tuning};

/// Follows the load and says when to steal.
#[derive(Debug)]
pub(super) struct Threshold {
    calm: StealRule,
    busy: StealRule,
    load_calm: u32,
    load_busy: u32,
    /// Busy share of the time in 2^-8 thousandths, smoothed over four periods; `None` before the first.
    load: Option<u32>,
}

impl Threshold {
    pub(super) fn new(tuning: &Tuning) -> Self {
        Self {
            calm: tuning.steal_calm,
            busy: tuning.steal_busy,
            load_calm: tuning.load_calm,
            load_busy: tuning.load_busy.max(tuning.load_calm + 1),
            load: None,
        }
    }

    /// Takes in a period.
    pub(super) fn observe(&mut self, metrics: &Metrics<'_>) {
        let (mut busy, mut time) = (0_u64, 0_u64);
        // A stalled worker's time is no measure of the work there is.
        for shard in metrics.shards.iter().filter(|shard| !shard.stalled) {
            busy += shard.busy_nanos.min(metrics.period_nanos);
            time += metrics.period_nanos;
        }
        if time == 0 {
            return;
        }
        let now =
            u32::try_from(u128::from(busy) * (1_000 << 8) / u128::from(time)).expect("at most the whole");
        self.load = Some(self.load.map_or(now, |before| (3 * before + now) / 4));
    }

    /// The busy share of the time, in thousandths.
    pub(super) fn load(&self) -> u32 {
        (self.load.unwrap_or(0) + 128) >> 8
    }

    /// The rule for this load.
    pub(super) fn rule(&self) -> StealRule {
        let width = self.load_busy - self.load_calm;
        let part = self.load().saturating_sub(self.load_calm).min(width);
        let between = |calm: u64, busy: u64| {
            let (calm_part, part, width) = (u64::from(width - part), u64::from(part), u64::from(width));
            (calm * calm_part + busy * part) / width
        };
        let count = |calm: u32, busy: u32| between(calm.into(), busy.into()) as u32;
        StealRule {
            waiting_min: count(self.calm.waiting_min, self.busy.waiting_min),
            unmoved_nanos: between(self.calm.unmoved_nanos, self.busy.unmoved_nanos),
            books_max: count(self.calm.books_max, self.busy.books_max).max(1),
            commands_min: count(self.calm.commands_min, self.busy.commands_min).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{Placement, PlacementPolicy, ShardLoad};

    fn settled(busy_nanos: &[u64]) -> Threshold {
        let placement = Placement::new(PlacementPolicy::RoundRobin, 1, busy_nanos.len() as u16);
        let shards: Vec<_> =
            busy_nanos.iter().map(|busy| ShardLoad { busy_nanos: *busy, ..ShardLoad::default() }).collect();
        let mut threshold = Threshold::new(&Tuning::default());
        for _ in 0..50 {
            threshold.observe(&Metrics {
                now_nanos: 0,
                period_nanos: 1_000,
                shards: &shards,
                books: &[],
                placement: &placement,
            });
        }
        threshold
    }

    #[test]
    fn the_threshold_rises_with_the_load() {
        let tuning = Tuning::default();
        assert_eq!(settled(&[100, 900]).rule(), tuning.steal_calm);
        assert_eq!(settled(&[1_000, 1_000]).rule(), tuning.steal_busy);
        assert_eq!(settled(&[5_000, 5_000]).load(), 1_000, "busy is at most all the time");
        let half_way = settled(&[850, 850]).rule();
        assert_eq!(
            half_way.waiting_min,
            u32::midpoint(tuning.steal_calm.waiting_min, tuning.steal_busy.waiting_min)
        );
    }
}
