//! What a thread does when it has nothing to do.
//!
//! The engine reads no clock, so the spin is counted: a PAUSE takes 20 to 140 cycles on the cores of the last ten
//! years, and 64 of them about 2 µs on most.

use std::{fmt, str::FromStr};

/// What a thread does when it has nothing to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// Spins: lowest latency, a whole core for each thread.
    Spin,
    /// Spins for about 2 µs, yields a few times, then sleeps until it is woken.
    #[default]
    Backoff,
    /// Sleeps at once.
    Park,
}

impl Idle {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Spin, Self::Backoff, Self::Park];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Backoff => "backoff",
            Self::Park => "park",
        }
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Idle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|idle| idle.name() == text)
            .ok_or_else(|| format!("no idle policy \"{text}\": use spin, backoff or park"))
    }
}

/// How long a thread has had nothing to do, and what it does next.
#[derive(Debug)]
pub struct Backoff {
    idle: Idle,
    /// More threads than cores: a spinning thread must let the one it waits for run.
    shared_cores: bool,
    step: u32,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Look again.
    Again,
    /// Sleep until woken.
    Sleep,
}

impl Backoff {
    const SPINS: u32 = 64;
    const YIELDS: u32 = 4;

    /// A thread that has just had something to do.
    #[must_use]
    pub const fn new(idle: Idle, shared_cores: bool) -> Self {
        Self { idle, shared_cores, step: 0 }
    }

    /// There was something to do.
    #[inline]
    pub fn reset(&mut self) {
        self.step = 0;
    }

    /// There was nothing to do: spins or yields, or says that it is time to sleep.
    #[inline]
    pub fn snooze(&mut self) -> Step {
        self.step = self.step.saturating_add(1);
        match self.idle {
            Idle::Park => return Step::Sleep,
            Idle::Spin if self.step <= Self::SPINS || !self.shared_cores => std::hint::spin_loop(),
            Idle::Spin => std::thread::yield_now(),
            Idle::Backoff if self.step <= Self::SPINS => std::hint::spin_loop(),
            Idle::Backoff if self.step <= Self::SPINS + Self::YIELDS => std::thread::yield_now(),
            Idle::Backoff => return Step::Sleep,
        }
        Step::Again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_others_are_refused() {
        for idle in Idle::ALL {
            assert_eq!(idle.name().parse(), Ok(idle));
        }
        assert!("nap".parse::<Idle>().unwrap_err().contains("spin, backoff or park"));
    }

    #[test]
    fn only_spin_never_sleeps() {
        let sleeps_after = |idle| {
            let mut backoff = Backoff::new(idle, false);
            (1..1_000).find(|_| backoff.snooze() == Step::Sleep)
        };
        assert_eq!(sleeps_after(Idle::Park), Some(1));
        assert_eq!(sleeps_after(Idle::Backoff), Some(Backoff::SPINS + Backoff::YIELDS + 1));
        assert_eq!(sleeps_after(Idle::Spin), None);
    }
}
