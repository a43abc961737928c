//! One side of a book: its levels by price, in key space.
//!
//! **Key space.** A bid's key is its price, an ask's key is `!price` (bitwise not, which turns the order round).
//! So on both sides the larger key is the better price, and one code path serves both. A price limit in the
//! other side's key space is `!key`. Prices leave both extremes of an `i64` out, and so do keys: `i64::MIN` is
//! the best key of an empty side, which nothing crosses.
//!
//! **Near and far.** Levels near the best lie in a [`Window`]; the others, wherever they are, in an ordered map.
//! Where the window lies never changes what the side says, only how fast: operations on far levels are counted, and
//! when they have cost about as much as laying the window anew, that is done: where orders join now, as wide as the
//! levels and the keys used lately ask for. So neither a price that runs away nor orders a hundred dollars off make a side slow, and
//! the memory that somebody can pin is in proportion to the work he has paid for: at most 4 KiB of index for a
//! level or for 8 operations on far levels, 1 MiB in all.

use std::collections::BTreeMap;

use domain::{Price, Side};

use super::cells::{Cell, Cells, NIL};
use super::window::{WIDTH_MAX, WIDTH_MIN, Window};

/// The best key of an empty side.
pub(super) const EMPTY: i64 = i64::MIN;

/// The limit of an order that takes any price: every key crosses it, an empty side does not.
pub(super) const ANY: i64 = i64::MIN + 1;

/// Ticks of the window for each level, at most: 4 KiB of its index.
const WIDTH_PER_LEVEL: u64 = 1_024;

/// All ones for asks, all zeros for bids.
#[inline]
const fn mask(side: Side) -> i64 {
    -(side as i64)
}

/// A price in the key space of a side.
#[inline(always)]
pub(super) const fn key_of(side: Side, price: Price) -> i64 {
    price.ticks() ^ mask(side)
}

/// The price of a key.
#[inline(always)]
pub(super) fn price_of(side: Side, key: i64) -> Price {
    Price::new(key ^ mask(side)).expect("keys are made from prices, which leave the extremes out")
}

/// One side of a book: two lines. An order that joins a level, or leaves one that others stay in, needs the first.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct BookSide {
    /// The best key at which something could trade: of the levels and of what is unseen. [`EMPTY`] when there is
    /// none.
    best: i64,
    /// The best key of far levels and of what is unseen.
    outer: i64,
    /// Sum of all that is open on this side: levels, reserves, unseen and waiting orders. An order that would take it
    /// past a `u64` is refused.
    open: u64,
    /// Orders of all these kinds.
    count: u32,
    /// Orders that joined near levels since the window was laid.
    joins: u32,
    window: Window,
    /// The best key of unseen orders: hidden and all-or-none.
    unseen: i64,
    far: Option<Box<Far>>,
    /// Orders that make the levels' sums less than the whole truth: icebergs, unseen ones.
    veiled: u32,
}

const _: () = assert!(size_of::<BookSide>() == 128);

/// Levels outside the window, and how much they are used.
#[derive(Debug)]
struct Far {
    levels: BTreeMap<i64, u32>,
    /// Operations since the window was laid.
    work: u64,
    /// Of those, by [`length`].
    distances: [u32; LENGTHS],
    /// Of those, orders that joined; and the keys of the last of them.
    joins: u32,
    recent: [i64; RECENT],
}

/// Keys of orders that joined far levels.
const RECENT: usize = 32;

/// What [`length`] can say.
const LENGTHS: usize = 66;

impl BookSide {
    /// An empty side; allocates nothing.
    pub(super) fn new() -> Self {
        Self {
            best: EMPTY,
            outer: EMPTY,
            window: Window::default(),
            open: 0,
            count: 0,
            veiled: 0,
            joins: 0,
            unseen: EMPTY,
            far: None,
        }
    }

    /// The best key at which something could trade, seen or not; [`EMPTY`] when there is none.
    #[inline(always)]
    pub(super) const fn best(&self) -> i64 {
        self.best
    }

    /// The best key of unseen orders.
    #[inline(always)]
    pub(super) const fn unseen(&self) -> i64 {
        self.unseen
    }

    /// The best key of a level.
    pub(super) fn best_level(&self) -> i64 {
        self.window.best(EMPTY).max(self.best_far())
    }

    /// Sum of what is open.
    #[inline(always)]
    pub(super) const fn open(&self) -> u64 {
        self.open
    }

    /// Orders.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Whether the levels' sums are all that can trade.
    pub(super) const fn is_plain(&self) -> bool {
        self.veiled == 0
    }

    /// An order joins the side. The caller has made sure that there is room for what is open of it.
    #[inline(always)]
    pub(super) fn join(&mut self, open: u64) {
        self.open = self.open.checked_add(open).expect("room on the side is checked on entry");
        // An order takes a cell, and there are fewer than 2^32.
        self.count = self.count.wrapping_add(1);
    }

    /// An order leaves the side, with what was still open of it.
    #[inline(always)]
    pub(super) fn leave(&mut self, open: u64) {
        self.open -= open;
        self.count = self.count.wrapping_sub(1);
    }

    /// So many orders leave after having been filled, and so much was filled.
    #[inline(always)]
    pub(super) fn fill(&mut self, quantity: u64, gone: u32) {
        self.open -= quantity;
        self.count -= gone;
    }

    /// Something that is open is open no more; no order leaves.
    #[inline(always)]
    pub(super) fn shrink(&mut self, by: u64) {
        self.open -= by;
    }

    /// Orders whose shown quantity is not all of it.
    pub(super) const fn veiled(&self) -> u32 {
        self.veiled
    }

    /// One more, or one less, whose shown quantity is not all of it.
    pub(super) fn veil(&mut self, by: i32) {
        self.veiled = self.veiled.checked_add_signed(by).expect("as many as there are");
    }

    /// The best key of unseen orders has changed.
    pub(super) fn set_unseen(&mut self, best: i64) {
        self.unseen = best;
        self.find_outer();
        self.find_best();
    }

    /// The level of a key, `NIL` when there is none.
    #[inline(always)]
    pub(super) fn level(&self, key: i64) -> u32 {
        let place = self.window.place(key);
        if place < self.window.width() { self.window.get(place) } else { self.far_level(key) }
    }

    /// Makes room for an order in the queue of a key, last, showing so much; the level is made if there is none. Gives
    /// the cell before it and the level's; linking the order's own cell is left to the caller.
    #[inline(always)]
    pub(super) fn enqueue(&mut self, cells: &mut Cells, cell: u32, key: i64, shown: u64) -> (u32, u32) {
        let place = self.window.place(key);
        let level = if place < self.window.width() {
            self.joins = self.joins.saturating_add(1);
            let level = self.window.get(place);
            if level == NIL {
                let level = cells.take();
                cells[level] = Cell::level_of_one(level, key, cell, shown);
                self.window.set(place, level);
                self.best = self.best.max(key);
                return (level, level);
            }
            level
        } else {
            self.far_level_or_new(cells, key)
        };
        let queue = &mut cells[level];
        let tail = queue.prev;
        queue.prev = cell;
        // Cannot overflow: never more than the side's sum.
        queue.open += shown;
        queue.tally = queue.tally.wrapping_add(1);
        cells[tail].next = cell;
        (tail, level)
    }

    /// Frees a level that has no order any more.
    #[inline(always)]
    pub(super) fn remove_level(&mut self, cells: &mut Cells, level: u32) {
        let key = cells.put_back(level).key();
        let place = self.window.place(key);
        if place < self.window.width() {
            self.window.clear(place);
        } else {
            self.remove_far_level(cells, key);
        }
        self.find_best();
    }

    /// The levels' keys and cells, best first.
    pub(super) fn levels(&self) -> impl Iterator<Item = (i64, u32)> {
        let mut far = self.far.iter().flat_map(|far| far.levels.iter().rev()).peekable();
        let mut place = self.window.next_below(self.window.width());
        core::iter::from_fn(move || {
            let near = place.map(|place| (self.window.key(place), self.window.get(place)));
            match (near, far.peek()) {
                (Some(near), Some((key, _))) if **key > near.0 => {
                    far.next().map(|(key, level)| (*key, *level))
                }
                (Some(near), _) => {
                    place = place.and_then(|place| self.window.next_below(place));
                    Some(near)
                }
                (None, _) => far.next().map(|(key, level)| (*key, *level)),
            }
        })
    }

    /// The levels near the best: for a prefetch.
    #[inline(always)]
    pub(super) const fn window(&self) -> &Window {
        &self.window
    }

    #[inline(always)]
    fn find_best(&mut self) {
        self.best = self.window.best(EMPTY).max(self.outer);
    }

    fn best_far(&self) -> i64 {
        self.far.as_ref().and_then(|far| far.levels.last_key_value()).map_or(EMPTY, |(key, _)| *key)
    }

    #[cold]
    fn find_outer(&mut self) {
        self.outer = self.best_far().max(self.unseen);
    }

    #[cold]
    fn far_level(&self, key: i64) -> u32 {
        self.far.as_ref().and_then(|far| far.levels.get(&key)).copied().unwrap_or(NIL)
    }

    #[cold]
    #[inline(never)]
    fn far_level_or_new(&mut self, cells: &mut Cells, key: i64) -> u32 {
        if self.window.is_empty() && self.far.as_ref().is_none_or(|far| far.levels.is_empty()) {
            // Nothing to move, so the window goes where the first level is.
            if self.window.width() == 0 {
                self.window.lay(low_for(key, WIDTH_MIN), WIDTH_MIN);
            } else {
                self.window.slide(low_for(key, self.window.width()));
            }
            let level = new_level(cells, key);
            self.window.set(self.window.place(key), level);
            self.best = self.best.max(key);
            return level;
        }
        let mut level = self.far_level(key);
        if level == NIL {
            level = new_level(cells, key);
            self.far_mut().levels.insert(key, level);
            self.find_outer();
            self.find_best();
        }
        self.count_far_work(cells, key, true);
        level
    }

    #[cold]
    #[inline(never)]
    fn remove_far_level(&mut self, cells: &Cells, key: i64) {
        self.far_mut().levels.remove(&key);
        self.find_outer();
        self.count_far_work(cells, key, false);
    }

    fn far_mut(&mut self) -> &mut Far {
        self.far.get_or_insert_with(|| {
            Box::new(Far {
                levels: BTreeMap::new(),
                work: 0,
                distances: [0; LENGTHS],
                joins: 0,
                recent: [0; RECENT],
            })
        })
    }

    /// Where the window's keys are used most, as far as the side knows.
    fn focus(&self) -> i64 {
        self.window.key(self.window.width() / 4 * 3)
    }

    /// Counts an operation on a far level, and lays the window anew when there have been enough.
    fn count_far_work(&mut self, cells: &Cells, key: i64, joins: bool) {
        let (focus, width) = (self.focus(), self.window.width());
        let far = self.far_mut();
        far.work += 1;
        far.distances[length(focus, key)] += 1;
        if joins {
            far.recent[far.joins as usize % RECENT] = key;
            far.joins += 1;
        }
        if far.work > 32 + far.levels.len() as u64 + width / 256 {
            self.lay_window(cells);
        }
    }

    /// Lays the window anew: where it is, wider, when most orders still join near levels; where they join now when
    /// they do not. Levels and the keys used since it was laid say how wide.
    fn lay_window(&mut self, cells: &Cells) {
        let near = core::mem::take(&mut self.joins);
        let mut focus = self.focus();
        let far = self.far_mut();
        let mut distances = core::mem::replace(&mut far.distances, [0; LENGTHS]);
        let (work, joins) = (core::mem::take(&mut far.work), core::mem::take(&mut far.joins));
        if joins > near {
            let recent = &mut far.recent[..RECENT.min(joins as usize)];
            recent.sort_unstable();
            focus = recent[recent.len() / 2];
            distances = [0; LENGTHS];
            for key in &*recent {
                distances[length(focus, *key)] += 1;
            }
        }
        let mut levels = 0;
        for (key, _) in self.levels() {
            distances[length(focus, key)] += 1;
            levels += 1;
        }
        let now = self.window.width();
        let (wanted, most) = width_for(&distances, levels + work / 8);
        // Somewhat too wide does no harm, and saves asking for memory.
        let width = if (wanted..=wanted * 8).contains(&now) && now <= most { now } else { wanted };
        if width == now && self.window.place(focus) / (width / 8) == 6 {
            return; // It would lie where it lies, give or take an eighth.
        }
        let all: Vec<(i64, u32)> = self.levels().collect();
        self.window.lay(low_for(focus, width), width);
        self.far_mut().levels.clear();
        for (key, level) in all {
            debug_assert_eq!(cells[level].key(), key);
            let place = self.window.place(key);
            if place < width {
                self.window.set(place, level);
            } else {
                self.far_mut().levels.insert(key, level);
            }
        }
        self.find_outer();
        self.find_best();
    }

    /// What must hold of the side by itself; `unseen` is the best key of its unseen orders.
    pub(super) fn check(&self, unseen: i64) {
        self.window.check();
        assert_eq!(self.unseen, unseen, "the best unseen key is stale");
        assert_eq!(self.outer, self.best_far().max(unseen), "the best outer key is stale");
        assert_eq!(self.best, self.best_level().max(unseen), "the best key is stale");
        for key in self.far.iter().flat_map(|far| far.levels.keys()) {
            assert!(self.window.place(*key) >= self.window.width(), "far key {key} is in the window");
        }
    }
}

/// A level without orders.
#[inline(always)]
fn new_level(cells: &mut Cells, key: i64) -> u32 {
    let level = cells.take();
    cells[level] = Cell::level(level, key);
    level
}

/// How many bits the distance of a key from the focus takes. A key that is better counts twice as far, for the window
/// has less room above the focus than below it.
const fn length(focus: i64, key: i64) -> usize {
    let distance = focus.abs_diff(key);
    64 - distance.leading_zeros() as usize + (key > focus) as usize
}

/// Where a window starts that has its focus three quarters up: most prices come and go below the best, and the best
/// itself moves both ways.
fn low_for(focus: i64, width: u64) -> i64 {
    focus.saturating_sub((width / 4 * 3) as i64).clamp(i64::MIN + 1, i64::MAX - width as i64)
}

/// The narrowest window that covers nearly as much as the widest one allowed (seven eighths of it), and the widest. A
/// window of width `W` covers distances below `W / 2`.
fn width_for(distances: &[u32; LENGTHS], paid: u64) -> (u64, u64) {
    let most = (paid.saturating_mul(WIDTH_PER_LEVEL) + 1).next_power_of_two() / 2;
    let most = most.clamp(WIDTH_MIN, WIDTH_MAX);
    let covered = |width: u64| {
        let bits = width.trailing_zeros() as usize - 1;
        distances[..=bits].iter().map(|&n| u64::from(n)).sum::<u64>()
    };
    let enough = covered(most) - covered(most) / 8;
    let mut width = WIDTH_MIN;
    while width < most && covered(width) < enough {
        width *= 2;
    }
    (width, most)
}
