//! What happens at a time of day: the end of a trading day, and numbers that begin anew.

use std::time::Duration;

use domain::Nanos;

/// When a day ends: the next time.
pub(crate) struct DayEnd {
    since_midnight: u64,
    next: Nanos,
}

impl DayEnd {
    /// Ends each day at this time of day, from now on.
    pub(crate) fn new(time_of_day: Duration, now: Nanos) -> Self {
        let since_midnight = u64::try_from(time_of_day.as_nanos()).unwrap_or(0);
        let today = now.0 - now.since_midnight() + since_midnight;
        let next = if now.0 < today { today } else { today + Nanos::PER_DAY };
        Self { since_midnight, next: Nanos(next) }
    }

    /// When the last one ended, that of today or of yesterday.
    fn before(&self) -> Nanos {
        Nanos(self.next.0 - Nanos::PER_DAY)
    }

    /// Whether it is time, once each day.
    pub(crate) fn is_due(&mut self, now: Nanos) -> bool {
        if now < self.next {
            return false;
        }
        *self = Self::new(Duration::from_nanos(self.since_midnight), now);
        true
    }
}

/// The numbers of FIX sessions begin anew each day, and before that clients are told so.
pub(crate) struct RollOver {
    end: DayEnd,
    /// It has not been looked whether one was missed.
    begins: bool,
    /// How many seconds before, and when.
    news: Vec<(u64, DayEnd)>,
}

impl RollOver {
    /// Each day at this time of day, from now on, and so long before it the news.
    pub(crate) fn new(time_of_day: Duration, news: &[Duration], now: Nanos) -> Self {
        const DAY: Duration = Duration::from_nanos(Nanos::PER_DAY);
        let before = |before: &Duration| {
            let time =
                time_of_day.checked_sub(*before).unwrap_or((time_of_day + DAY).saturating_sub(*before));
            (before.as_secs(), DayEnd::new(time, now))
        };
        Self { end: DayEnd::new(time_of_day, now), begins: true, news: news.iter().map(before).collect() }
    }

    /// The news that is due, as seconds that are left.
    pub(crate) fn news_due(&mut self, now: Nanos) -> Option<u64> {
        self.news.iter_mut().filter_map(|(before, when)| when.is_due(now).then_some(*before)).min()
    }

    /// Whether it is time, once each day, and at the start for the one that may have been missed. Gives when it was: numbers that began
    /// before that begin anew.
    pub(crate) fn due(&mut self, now: Nanos) -> Option<Nanos> {
        let is_due = self.end.is_due(now) | core::mem::take(&mut self.begins);
        is_due.then(|| self.end.before())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    #[test]
    fn what_comes_each_day_comes_once_each_day() {
        let day = 20_000 * Nanos::PER_DAY;
        let mut end = DayEnd::new(Duration::from_secs(3_600), Nanos(day + HOUR));
        assert!(!end.is_due(Nanos(day + 2 * HOUR)), "that of today was over when it began");
        assert!(!end.is_due(Nanos(day + Nanos::PER_DAY + HOUR - 1)));
        assert!(end.is_due(Nanos(day + Nanos::PER_DAY + HOUR)));
        assert!(!end.is_due(Nanos(day + Nanos::PER_DAY + HOUR + 1)));
        // Days that nobody has seen are not made up for.
        assert!(end.is_due(Nanos(day + 5 * Nanos::PER_DAY)));
        assert!(!end.is_due(Nanos(day + 5 * Nanos::PER_DAY + HOUR - 1)));
    }

    #[test]
    fn news_comes_before_it_and_before_midnight_if_need_be() {
        let day = 20_000 * Nanos::PER_DAY;
        let second = |s: u64| Nanos(day + s * 1_000_000_000);
        let news = [60, 10].map(Duration::from_secs);
        let mut roll_over = RollOver::new(Duration::from_secs(30), &news, Nanos(day - HOUR));
        assert_eq!(roll_over.news_due(Nanos(day - 31_000_000_000)), None);
        assert_eq!(roll_over.news_due(Nanos(day - 30_000_000_000)), Some(60));
        assert_eq!(roll_over.news_due(second(19)), None);
        // The one before it began may have been missed.
        assert_eq!(roll_over.due(second(19)), Some(Nanos(second(30).0 - Nanos::PER_DAY)));
        assert_eq!((roll_over.news_due(second(20)), roll_over.due(second(20))), (Some(10), None));
        assert_eq!((roll_over.news_due(second(30)), roll_over.due(second(30))), (None, Some(second(30))));
        assert_eq!(roll_over.due(second(31)), None);
        // What was missed at once is said once.
        assert_eq!(roll_over.news_due(Nanos(second(20).0 + 2 * Nanos::PER_DAY)), Some(10));
    }
}
