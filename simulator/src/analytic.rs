//! Formulas that the event engine is held against.

/// The probability that an arrival waits in M/M/c (Erlang's second formula; A. K. Erlang, 1917), by the recursion of
/// his first: `B(0) = 1`, `B(k) = a B(k-1) / (k + a B(k-1))`, `C = c B / (c - a (1 - B))`, for the offered load
/// `a = λ E[S]` below `c`.
#[must_use]
pub fn erlang_c(servers: u32, offered: f64) -> f64 {
    let blocking = (1..=servers).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b));
    let c = f64::from(servers);
    c * blocking / (c - offered * (1.0 - blocking))
}

/// The mean wait in M/M/c, in the unit of `service`.
#[must_use]
pub fn mmc_wait(servers: u32, load: f64, service: f64) -> f64 {
    let c = f64::from(servers);
    erlang_c(servers, load * c) * service / (c * (1.0 - load))
}

/// The mean wait in M/G/1 (Pollaczek, 1930; Khinchine, 1932): `λ E[S²] / (2 (1 - ρ))`, with `λ` in arrivals for each
/// unit of time.
#[must_use]
pub fn mg1_wait(rate: f64, mean: f64, second_moment: f64) -> f64 {
    rate * second_moment / (2.0 * (1.0 - rate * mean))
}

/// The mean wait of a command in M^X/G/1, for bursts of geometric size with mean `burst`: a burst is one arrival whose
/// service is the sum of its commands', and a command waits also for those of its burst before it (Burke, "Delays in
/// single-server queues with batch input", 1975). With `E[X] = b` and `E[X(X-1)] = 2 b (b-1)`:
/// `(λ (b E[S²] + 2 b (b-1) E[S]²)) / (2 (1 - ρ)) + (b - 1) E[S]`, `λ` in bursts.
#[must_use]
pub fn batch_mg1_wait(bursts: f64, burst: f64, mean: f64, second_moment: f64) -> f64 {
    let pairs = 2.0 * burst * (burst - 1.0);
    let squared = burst * second_moment + pairs * mean * mean;
    bursts * squared / (2.0 * (1.0 - bursts * burst * mean)) + pairs / (2.0 * burst) * mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert!(
            (erlang_c(1, 0.7) - 0.7).abs() < 1e-12,
            "one server is busy with the probability of its load"
        );
        // Two servers at 75%: 4.5 / (1 + 1.5 + 4.5), from a^c/c! c/(c - a) over the sum of the states' weights.
        assert!((erlang_c(2, 1.5) - 9.0 / 14.0).abs() < 1e-12);
        // Deterministic service waits half as long as exponential.
        assert!((mg1_wait(0.8, 1.0, 2.0) - mmc_wait(1, 0.8, 1.0)).abs() < 1e-12);
        assert!((mg1_wait(0.8, 1.0, 1.0) * 2.0 - mmc_wait(1, 0.8, 1.0)).abs() < 1e-12);
        assert!((batch_mg1_wait(0.8, 1.0, 1.0, 2.0) - mg1_wait(0.8, 1.0, 2.0)).abs() < 1e-12);
    }
}
