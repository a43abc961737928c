//! The price levels near the best, found by index: a run of consecutive keys with a slot and a bit for each.
//!
//! ```text
//! top     1 word          bit k: word k of `upper` is not 0
//! upper   W/4096 words    bit j of word k: word 64k + j of `lower` is not 0
//! lower   W/64 words      bit i of word j: the tick 64j + i has a level
//! index   W slots         the level's cell
//! ```
//!
//! The bits are exact at every moment. Setting and clearing them takes no branch: whether a word has become 0 is
//! arithmetic, for whether a level was the last in its word is what no predictor can know. The best level is found
//! from the top by three counts of leading zeros.

use super::cells::NIL;

/// Ticks of the smallest window.
pub(super) const WIDTH_MIN: u64 = 128;
/// Ticks of the largest: 64 × 64 × 64.
pub(super) const WIDTH_MAX: u64 = 1 << 18;

/// The bit of a place in its word.
#[inline(always)]
const fn bit(place: u64) -> u64 {
    1u64.wrapping_shl(place as u32)
}

/// A run of keys. Without memory until it is laid somewhere.
#[derive(Debug, Default)]
#[repr(C)] // what finds a level comes first, what only makes and removes levels last
pub(super) struct Window {
    /// The lowest key.
    low: i64,
    top: u64,
    /// As many as keys; a power of two, or 0.
    index: Box<[u32]>,
    lower: Box<[u64]>,
    upper: Box<[u64]>,
}

impl Window {
    /// How many keys.
    #[inline(always)]
    pub(super) const fn width(&self) -> u64 {
        self.index.len() as u64
    }

    /// Where a key is in the window; past its width when it is not.
    #[inline(always)]
    pub(super) const fn place(&self, key: i64) -> u64 {
        key.wrapping_sub(self.low) as u64
    }

    /// The level of a place, `NIL` when there is none.
    #[inline(always)]
    pub(super) fn get(&self, place: u64) -> u32 {
        self.index[place as usize]
    }

    /// Where a key's slot is, or some address: for a prefetch.
    #[inline(always)]
    pub(super) fn address(&self, key: i64) -> *const u32 {
        self.index.as_ptr().wrapping_add(self.place(key) as usize & self.index.len().wrapping_sub(1))
    }

    /// The level of a key in the window, of some other or `NIL` for one outside: for a prefetch.
    #[inline(always)]
    pub(super) fn guess(&self, key: i64) -> u32 {
        let place = self.place(key) as usize & self.index.len().wrapping_sub(1);
        self.index.get(place).copied().unwrap_or(NIL)
    }

    /// A place gets a level.
    #[inline(always)]
    pub(super) fn set(&mut self, place: u64, level: u32) {
        let word = place as usize >> 6;
        self.index[place as usize] = level;
        self.lower[word] |= bit(place);
        self.upper[word >> 6] |= bit(place >> 6);
        self.top |= bit(place >> 12);
    }

    /// A place has no level any more.
    #[inline(always)]
    pub(super) fn clear(&mut self, place: u64) {
        let word = place as usize >> 6;
        self.index[place as usize] = NIL;
        let lower = &mut self.lower[word];
        *lower &= !bit(place);
        let emptied = if *lower == 0 { bit(place >> 6) } else { 0 };
        let upper = &mut self.upper[word >> 6];
        *upper &= !emptied;
        let emptied = if *upper == 0 { bit(place >> 12) } else { 0 };
        self.top &= !emptied;
    }

    /// The best key that has a level, `none` when none has.
    #[inline(always)]
    pub(super) fn best(&self, none: i64) -> i64 {
        if self.top == 0 {
            return none;
        }
        let k = self.top.ilog2() as usize;
        let j = k << 6 | (self.upper[k] | 1).ilog2() as usize;
        let i = j << 6 | (self.lower[j] | 1).ilog2() as usize;
        self.low + i as i64
    }

    /// The best place below a place (or below the end) that has a level.
    pub(super) fn next_below(&self, place: u64) -> Option<u64> {
        let below = |word: u64, bit: usize| {
            let word = word & ((1 << bit) - 1);
            (word != 0).then(|| 63 - word.leading_zeros() as usize)
        };
        let place = place as usize;
        let word = self.lower.get(place >> 6).copied().unwrap_or(0);
        if let Some(i) = below(word, place & 63) {
            return Some((place >> 6 << 6 | i) as u64);
        }
        let word = self.upper.get(place >> 12).copied().unwrap_or(0);
        let j = below(word, place >> 6 & 63).map(|j| place >> 12 << 6 | j).or_else(|| {
            let k = if place >> 12 > 63 {
                (self.top != 0).then(|| 63 - self.top.leading_zeros() as usize)
            } else {
                below(self.top, place >> 12)
            }?;
            Some(k << 6 | (63 - self.upper[k].leading_zeros() as usize))
        })?;
        Some((j << 6 | (63 - self.lower[j].leading_zeros() as usize)) as u64)
    }

    /// A place's key.
    pub(super) const fn key(&self, place: u64) -> i64 {
        self.low.wrapping_add(place as i64)
    }

    /// Whether it has no level.
    pub(super) const fn is_empty(&self) -> bool {
        self.top == 0
    }

    /// Forgets every level and covers `width` keys from `low` on. The same width costs no allocation.
    pub(super) fn lay(&mut self, low: i64, width: u64) {
        debug_assert!(width.is_power_of_two() && (WIDTH_MIN..=WIDTH_MAX).contains(&width));
        self.low = low;
        self.top = 0;
        let width = width as usize;
        if self.index.len() == width {
            self.index.fill(NIL);
            self.lower.fill(0);
            self.upper.fill(0);
        } else {
            self.index = vec![NIL; width].into();
            self.lower = vec![0; width >> 6].into();
            self.upper = vec![0; (width >> 12).max(1)].into();
        }
    }

    /// Covers other keys; it must be empty, so nothing has to be forgotten.
    #[inline]
    pub(super) fn slide(&mut self, low: i64) {
        debug_assert!(self.is_empty());
        self.low = low;
    }

    /// The bits and the index must say the same.
    pub(super) fn check(&self) {
        let width = self.index.len();
        for place in 0..width {
            let bit = self.lower[place >> 6] >> (place & 63) & 1;
            assert_eq!(bit == 1, self.index[place] != NIL, "the bit and the slot of place {place}");
        }
        for (j, word) in self.lower.iter().enumerate() {
            assert_eq!(self.upper[j >> 6] >> (j & 63) & 1 == 1, *word != 0, "the bit over word {j}");
        }
        for (k, word) in self.upper.iter().enumerate() {
            assert_eq!(self.top >> k & 1 == 1, *word != 0, "the top bit over word {k}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256StarStar;

    use super::*;

    #[test]
    fn a_window_agrees_with_a_map() {
        let seed = seeded::seed();
        let mut rng = Xoshiro256StarStar::seed_from_u64(seed);
        for width in [WIDTH_MIN, 4_096, 8_192, if cfg!(miri) { 16_384 } else { WIDTH_MAX }] {
            let mut window = Window::default();
            let low = rng.random_range(i64::MIN / 2..i64::MAX / 2);
            window.lay(low, width);
            let mut map = BTreeMap::new();
            for cell in 1..if cfg!(miri) { 200 } else { 4_000u32 } {
                let place = if rng.random_range(0..2) == 0 {
                    rng.random_range(0..width)
                } else {
                    rng.random_range(0..64) * (width / 64)
                };
                if map.remove(&place).is_some() {
                    window.clear(place);
                } else {
                    map.insert(place, cell);
                    window.set(place, cell);
                }
                let best = map.last_key_value().map_or(i64::MIN, |(place, _)| low + *place as i64);
                assert_eq!(window.best(i64::MIN), best, "SEED={seed}");
                let from = rng.random_range(0..=width);
                assert_eq!(
                    window.next_below(from),
                    map.range(..from).next_back().map(|(place, _)| *place),
                    "SEED={seed} below {from}"
                );
                let probe = rng.random_range(0..width);
                assert_eq!(window.get(probe), map.get(&probe).copied().unwrap_or(NIL), "SEED={seed}");
            }
            window.check();
            window.lay(low + 1, width);
            assert!(window.is_empty());
            window.check();
        }
    }

    #[test]
    fn keys_outside_are_past_the_width() {
        let mut window = Window::default();
        assert_eq!((window.width(), window.best(7)), (0, 7));
        window.lay(-10, WIDTH_MIN);
        assert_eq!((window.place(-10), window.place(117)), (0, 127));
        for key in [-11, 118, i64::MIN, i64::MAX] {
            assert!(window.place(key) >= window.width());
        }
        assert_eq!(window.key(3), -7);
    }
}
