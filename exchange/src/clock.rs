//! The one clock for measuring: who is busy, what stands still. Time that means something to an order is the
//! sequencer's.

use std::{sync::LazyLock, time::Instant};

/// When somebody first asked.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the first call in this process. The same for all threads, and never goes back.
pub(crate) fn monotonic_nanos() -> u64 {
    // 2^64 ns are 584 years.
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_for_every_thread_alike() {
        let before = monotonic_nanos();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let other = std::thread::spawn(monotonic_nanos).join().unwrap();
        assert!(other >= before + 2_000_000, "{before} {other}");
        assert!(monotonic_nanos() >= other);
    }
}
