//! How long commands take: a body, and a Pareto tail for deep sweeps.
//!
//! 99 in 100 commands are spread evenly over [0.53, 1.19] of the mean; 1 in 100 has a Pareto tail of shape 1.5 from
//! 4.26 times the mean on, cut off at a hundred times its begin. By the quantile function of the bounded Pareto
//! distribution, with u even in [0, 1): `x = L (1 - u (1 - (L/H)^a))^(-1/a)`; its mean is
//! `L a/(a-1) (1 - (L/H)^(a-1)) / (1 - (L/H)^a)`.
//!
//! The times of a run are a function of its seed and the command's number, so every policy, and the ideal, has the
//! same work to do.

/// Entries of the table of quantiles.
const STEPS: usize = 1 << 16;
/// Share of the tail.
const TAIL_SHARE: f64 = 0.01;
/// Shape of the tail.
const TAIL_SHAPE: f64 = 1.5;
/// Where the tail begins, in means.
const TAIL_BEGIN: f64 = 4.26;
/// Where it ends, in its begin.
const TAIL_SPAN: f64 = 100.0;
/// Half the width of the body, in means.
const BODY_HALF: f64 = 0.33;

/// Which kind of service time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceShape {
    /// A body with a Pareto tail.
    #[default]
    Pareto,
    /// Exponential: for the comparison with Erlang's formula.
    Exponential,
}

/// Service times by quantile.
#[derive(Clone, Debug)]
pub struct Service {
    table: Vec<u32>,
    seed: u64,
}

impl Service {
    /// Times with this mean, in nanoseconds.
    #[must_use]
    pub fn new(shape: ServiceShape, mean_nanos: u64, seed: u64) -> Self {
        let mean = mean_nanos as f64;
        let table = (0..STEPS).map(|step| {
            let u = (step as f64 + 0.5) / STEPS as f64;
            let time = match shape {
                ServiceShape::Pareto => mean * relative(u),
                ServiceShape::Exponential => -mean * (1.0 - u).ln(),
            };
            time.round().max(1.0) as u32
        });
        Self { table: table.collect(), seed }
    }

    /// The time of a command, in nanoseconds.
    #[inline]
    #[must_use]
    pub fn nanos(&self, command: u64) -> u64 {
        u64::from(self.table[(mix(command ^ self.seed) >> 48) as usize])
    }

    /// The mean of the table, in nanoseconds.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.table.iter().map(|nanos| f64::from(*nanos)).sum::<f64>() / STEPS as f64
    }

    /// The mean of the squares of the table.
    #[must_use]
    pub fn second_moment(&self) -> f64 {
        self.table.iter().map(|nanos| f64::from(*nanos).powi(2)).sum::<f64>() / STEPS as f64
    }
}

/// The quantile function for a mean of 1.
fn relative(u: f64) -> f64 {
    let (a, cut) = (TAIL_SHAPE, TAIL_SPAN.recip());
    let tail_mean = TAIL_BEGIN * a / (a - 1.0) * (1.0 - cut.powf(a - 1.0)) / (1.0 - cut.powf(a));
    let body_mean = (1.0 - TAIL_SHARE * tail_mean) / (1.0 - TAIL_SHARE);
    let body_share = 1.0 - TAIL_SHARE;
    if u < body_share {
        body_mean + BODY_HALF * (2.0 * u / body_share - 1.0)
    } else {
        let v = (u - body_share) / TAIL_SHARE;
        TAIL_BEGIN * (1.0 - v * (1.0 - cut.powf(a))).powf(-1.0 / a)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014) after a
/// step of its sequence.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_mean_and_a_tail() {
        for shape in [ServiceShape::Pareto, ServiceShape::Exponential] {
            let service = Service::new(shape, 235, 7);
            assert!((service.mean() / 235.0 - 1.0).abs() < 0.005, "{shape:?} {}", service.mean());
            let drawn = (0..1_000_000).map(|n| service.nanos(n)).sum::<u64>() as f64 / 1e6;
            assert!((drawn / service.mean() - 1.0).abs() < 0.01, "{shape:?} {drawn}");
        }
        let pareto = Service::new(ServiceShape::Pareto, 235, 7);
        let longest = (0..1_000_000).map(|n| pareto.nanos(n)).max().unwrap();
        assert!((30_000..=101_000).contains(&longest), "{longest}");
        assert!((0..1_000).map(|n| pareto.nanos(n)).min().unwrap() > 90);
    }
}
