//! Who has failed too often: kept by address, and by address and name. Bounded: who has not been heard of for longest is
//! forgotten first.
//!
//! After [`FAILURES`] failures with one name from one address, that address is not heard with that name for a second, and for
//! twice as long after each further one; so is, after [`ADDRESS_FAILURES`] failures with whatever names, the address with any.
//! Attempts with a name that are under way count as failures until they turn out otherwise, so that many at once are no more
//! guesses than one after another. An attempt that is not heard counts for nothing: a client that tries again and again gets in with the right
//! password when the time is over.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use domain::UserName;

/// Failures with one name from one address before it has to wait.
pub(super) const FAILURES: u32 = 5;
/// Failures from one address, with whatever names, before it has to wait.
pub(super) const ADDRESS_FAILURES: u32 = 25;
/// The first wait.
const WAIT: Duration = Duration::from_secs(1);
/// The longest wait, and how long a failure is remembered.
const WAIT_MAX: Duration = Duration::from_secs(900);
/// What is kept at most.
const ENTRIES_MAX: usize = 16_384;

type Key = (IpAddr, Option<UserName>);

/// See the module.
pub(super) struct Guard {
    entries: BTreeMap<Key, Entry>,
    /// Keys by when they were last heard of.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    entries_max: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    failures: u32,
    /// Attempts under way.
    pending: u32,
    /// Not heard before this.
    until: Instant,
    last: Instant,
    used: u64,
}

impl Default for Guard {
    fn default() -> Self {
        Self::with_room(ENTRIES_MAX)
    }
}

impl Guard {
    fn with_room(entries_max: usize) -> Self {
        Self { entries: BTreeMap::new(), by_use: BTreeMap::new(), uses: 0, entries_max }
    }

    /// Whether an attempt is heard; else for how long not.
    pub(super) fn may_try(&mut self, from: IpAddr, name: UserName, now: Instant) -> Result<(), Duration> {
        for (key, most) in keys(from, name) {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            if now.duration_since(entry.last) > WAIT_MAX {
                entry.failures = 0;
            }
            let wait = entry.until.saturating_duration_since(now);
            if entry.failures >= most && !wait.is_zero() {
                return Err(wait);
            }
            // When the time is over there is one try, and not as many as come at once.
            if entry.pending > 0 && entry.failures + entry.pending >= most {
                return Err(WAIT);
            }
        }
        Ok(())
    }

    /// An attempt is under way. How many there are of an address is the queue's to bound.
    pub(super) fn begin(&mut self, from: IpAddr, name: UserName, now: Instant) {
        let [_, (key, _)] = keys(from, name);
        self.entry(key, now).pending += 1;
    }

    /// An attempt that was under way is over.
    pub(super) fn end(&mut self, from: IpAddr, name: UserName, is_right: bool, now: Instant) {
        let [_, (key, _)] = keys(from, name);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.pending = entry.pending.saturating_sub(1);
        }
        self.decided(from, name, is_right, now);
    }

    /// An attempt has been decided.
    pub(super) fn decided(&mut self, from: IpAddr, name: UserName, is_right: bool, now: Instant) {
        for (key, most) in keys(from, name) {
            if is_right {
                // One who may come in does not clear the address for what it does with other names.
                if let Some(entry) = self.entries.get_mut(&key).filter(|_| key.1.is_some()) {
                    entry.failures = 0;
                }
                continue;
            }
            let entry = self.entry(key, now);
            entry.failures = entry.failures.saturating_add(1);
            entry.last = now;
            if let Some(beyond) = entry.failures.checked_sub(most) {
                entry.until = now + WAIT.saturating_mul(1 << beyond.min(10)).min(WAIT_MAX);
            }
        }
    }

    fn entry(&mut self, key: Key, now: Instant) -> &mut Entry {
        self.uses += 1;
        if let Some(entry) = self.entries.get(&key) {
            self.by_use.remove(&entry.used);
        } else if self.entries.len() >= self.entries_max
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.by_use.insert(self.uses, key);
        let new = Entry { failures: 0, pending: 0, until: now, last: now, used: 0 };
        let entry = self.entries.entry(key).or_insert(new);
        entry.used = self.uses;
        entry
    }
}

/// What an attempt counts for, and what each may have.
fn keys(from: IpAddr, name: UserName) -> [(Key, u32); 2] {
    let from = match from {
        IpAddr::V4(_) => from,
        // Whoever has an IPv6 address has a network of them.
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    };
    [((from, None), ADDRESS_FAILURES), ((from, Some(name)), FAILURES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    fn name(text: &str) -> UserName {
        UserName::new(text.as_bytes()).expect("a name")
    }

    fn fail(guard: &mut Guard, from: IpAddr, name: UserName, now: Instant) {
        guard.may_try(from, name, now).expect("it is heard");
        guard.begin(from, name, now);
        guard.end(from, name, false, now);
    }

    #[test]
    fn after_five_failures_each_wait_is_twice_the_one_before() {
        let (mut guard, start) = (Guard::default(), Instant::now());
        for _ in 0..FAILURES {
            fail(&mut guard, address(1), name("A"), start);
        }
        let mut now = start;
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            let wait = wait * SECOND;
            assert_eq!(guard.may_try(address(1), name("A"), now), Err(wait));
            assert!(guard.may_try(address(1), name("A"), now + wait - SECOND / 2).is_err());
            // Others are heard: another address, another name from the same one.
            assert_eq!(guard.may_try(address(2), name("A"), now), Ok(()));
            assert_eq!(guard.may_try(address(1), name("B"), now), Ok(()));
            now += wait;
            fail(&mut guard, address(1), name("A"), now);
        }
    }

    #[test]
    fn success_and_time_forgive() {
        let (mut guard, start) = (Guard::default(), Instant::now());
        for _ in 1..ADDRESS_FAILURES {
            fail(&mut guard, address(1), name("A"), start);
            guard.decided(address(1), name("A"), true, start);
        }
        assert_eq!(guard.may_try(address(1), name("A"), start), Ok(()));
        // With the address it is another matter: a client that may come in could guess at others' passwords for ever.
        fail(&mut guard, address(1), name("A"), start);
        assert!(guard.may_try(address(1), name("B"), start).is_err());
        let later = start + WAIT_MAX + SECOND;
        assert_eq!(guard.may_try(address(1), name("B"), later), Ok(()));
    }

    #[test]
    fn guesses_at_once_are_no_more_than_one_after_another() {
        let (mut guard, now) = (Guard::default(), Instant::now());
        let heard = (0..100)
            .filter(|_| {
                let is_heard = guard.may_try(address(1), name("A"), now).is_ok();
                if is_heard {
                    guard.begin(address(1), name("A"), now);
                }
                is_heard
            })
            .count();
        assert_eq!(heard, FAILURES as usize);
        for _ in 0..heard {
            guard.end(address(1), name("A"), false, now);
        }
        // When the time is over, one is heard and not five.
        let now = now + 60 * SECOND;
        guard.may_try(address(1), name("A"), now).expect("one");
        guard.begin(address(1), name("A"), now);
        assert!(guard.may_try(address(1), name("A"), now).is_err());
    }

    #[test]
    fn an_address_that_goes_through_names_is_held_off_whole() {
        let (mut guard, now) = (Guard::default(), Instant::now());
        for n in 0..ADDRESS_FAILURES {
            fail(&mut guard, address(1), name(&format!("U{n}")), now);
        }
        assert!(guard.may_try(address(1), name("OTHER"), now).is_err());
        assert_eq!(guard.may_try(address(2), name("OTHER"), now), Ok(()));
        let v6 = |text: &str| text.parse::<IpAddr>().expect("an address");
        for n in 0..ADDRESS_FAILURES {
            fail(&mut guard, v6(&format!("2001:db8::{n:x}")), name(&format!("U{n}")), now);
        }
        assert!(
            guard.may_try(v6("2001:db8::ffff"), name("OTHER"), now).is_err(),
            "one network, many addresses"
        );
        assert_eq!(guard.may_try(v6("2001:db8:0:1::1"), name("OTHER"), now), Ok(()));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_stay() {
        let (mut guard, now) = (Guard::with_room(100), Instant::now());
        for n in 0..=255 {
            fail(&mut guard, address(n), name("A"), now);
            assert!(guard.entries.len() <= 100 && guard.by_use.len() == guard.entries.len());
        }
        for _ in 1..FAILURES {
            fail(&mut guard, address(255), name("A"), now);
        }
        assert!(guard.may_try(address(255), name("A"), now).is_err(), "forgotten too early");
    }
}
