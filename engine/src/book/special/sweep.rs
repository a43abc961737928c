//! Matching with everything that can stand in the way: unseen orders, orders that go whole or not at all, orders of the
//! taker's own group; what could trade at once; icebergs' next parts.

use core::num::NonZeroU32;

use domain::{
    CancelReason, Display, EventKind, EventSink, Liquidity, Price, Quantity, SelfTrade, SelfTradePolicy, Side,
};

use super::super::cells::NIL;
use super::super::matching::Taker;
use super::super::side::{EMPTY, key_of, price_of};
use super::super::{Book, Stands};
use super::Place;

/// All-or-none orders of a book, resting or waiting: each order that comes to rest may look at all of a side.
pub(super) const ALL_OR_NONE_MAX: usize = 128;

impl Book {
    /// How many all-or-none orders there are.
    pub(super) fn whole_orders(&self) -> usize {
        self.special.as_ref().map_or(0, |special| special.whole)
    }

    /// Trades until the order is filled, the other side has nothing left within the limit that it can trade with, or
    /// what is left of it was canceled: then nothing is.
    #[cold]
    #[inline(never)]
    pub(in super::super) fn careful_sweep<S: EventSink>(
        &mut self,
        taker: &mut Taker,
        limit: i64,
        group: Option<SelfTrade>,
        events: &mut S,
    ) {
        let side = taker.side.opposite();
        // The last all-or-none order that was too large: what is left of the taker only shrinks, so it stays too large.
        let mut passed = None;
        while taker.leaves > 0 {
            let Some(cell) = self.next_maker(side, limit, taker.leaves, &mut passed) else { return };
            match group {
                Some(group) if self.group(cell) == Some(group.group) => {
                    self.instead_of_trading(taker, cell, group.policy, events);
                }
                _ => self.fill(taker, cell, events),
            }
        }
    }

    /// The order that comes next in priority, for a taker with so much left.
    fn next_maker(
        &self,
        side: Side,
        limit: i64,
        leaves: u64,
        passed: &mut Option<(i64, u64)>,
    ) -> Option<u32> {
        let makers = &self.sides[side as usize];
        let shown = makers.best_level();
        let (mut hidden, mut whole) = ((EMPTY, NIL), (EMPTY, NIL));
        if let Some(special) = &self.special {
            hidden = special.hidden(side).next().unwrap_or(hidden);
            let map = &special.all_or_none[side as usize];
            let rest = passed.map_or_else(|| map.range(..), |passed| map.range(passed..));
            // `passed` is too large itself, so it is passed over again.
            for (&(key, rank), &cell) in rest {
                if !key < limit {
                    break;
                }
                if self.cells[cell].open <= leaves {
                    whole = (!key, cell);
                    break;
                }
                *passed = Some((key, rank));
            }
        }
        let best = shown.max(hidden.0).max(whole.0);
        if best < limit {
            None
        } else if best == shown {
            Some(self.cells[makers.level(best)].next)
        } else if best == hidden.0 {
            Some(hidden.1)
        } else {
            Some(whole.1)
        }
    }

    /// The best key at which an order with so much left could trade; [`EMPTY`] when there is none.
    pub(super) fn best_tradable(&self, side: Side, leaves: u64) -> i64 {
        let shown = self.sides[side as usize].best_level();
        let Some(special) = &self.special else { return shown };
        let hidden = special.hidden(side).next().map_or(EMPTY, |(key, _)| key);
        let whole = special.all_or_none(side).find(|(_, cell)| self.cells[*cell].open <= leaves);
        shown.max(hidden).max(whole.map_or(EMPTY, |(key, _)| key))
    }

    /// The self-trade group of an order.
    fn group(&self, cell: u32) -> Option<NonZeroU32> {
        if !self.cells[cell].is_special() {
            return None;
        }
        self.record(cell).instructions.self_trade.map(|self_trade| self_trade.group)
    }

    /// One trade, between the taker and the order that comes next.
    fn fill<S: EventSink>(&mut self, taker: &mut Taker, cell: u32, events: &mut S) {
        let quantity = self.cells[cell].open.min(taker.leaves);
        // Cannot overflow: leaves + executed, which fits, stays the same, on both sides.
        taker.leaves -= quantity;
        taker.executed += quantity;
        self.cells[cell].executed += quantity;
        let key = self.resting_key(cell).expect("a maker rests");
        self.take_off(cell, quantity);
        let price = price_of(taker.side.opposite(), key);
        let maker = &self.cells[cell];
        let (number, owner, leaves) = (maker.number(), maker.owner, self.open_of(cell));
        self.trade(taker, number, owner, leaves, price, quantity, events);
        self.after_fill(cell, events);
    }

    /// Takes something off what an order shows, or has open when it shows nothing.
    fn take_off(&mut self, cell: u32, quantity: u64) {
        let order = &mut self.cells[cell];
        order.open -= quantity;
        let (level, side) = (order.level, order.side());
        if level != NIL {
            self.cells[level].open -= quantity;
        }
        self.sides[side as usize].shrink(quantity);
    }

    /// An order that shows nothing any more shows its next part, or is gone.
    fn after_fill<S: EventSink>(&mut self, cell: u32, events: &mut S) {
        if self.cells[cell].open > 0 {
        } else if self.open_of(cell) > 0 {
            self.refresh(cell, events);
        } else if self.cells[cell].is_special() {
            self.remove_special(cell);
        } else {
            self.remove_plain(cell);
        }
    }

    /// An order has met one of its own group.
    fn instead_of_trading<S: EventSink>(
        &mut self,
        taker: &mut Taker,
        cell: u32,
        policy: SelfTradePolicy,
        events: &mut S,
    ) {
        let reason = CancelReason::SelfTrade;
        match policy {
            SelfTradePolicy::CancelNewest => {}
            SelfTradePolicy::CancelOldest => return self.cancel_cell(cell, reason, events),
            SelfTradePolicy::CancelBoth => self.cancel_cell(cell, reason, events),
            SelfTradePolicy::Decrement => return self.decrement(taker, cell, events),
        }
        self.cancel_rest(taker, reason, events);
        taker.leaves = 0;
    }

    fn decrement<S: EventSink>(&mut self, taker: &mut Taker, cell: u32, events: &mut S) {
        let quantity = self.cells[cell].open.min(taker.leaves);
        self.take_off(cell, quantity);
        taker.leaves -= quantity;
        let price = price_of(taker.side.opposite(), self.resting_key(cell).expect("a maker rests"));
        let (maker, owner, leaves) = (self.cells[cell].number(), self.cells[cell].owner, self.open_of(cell));
        let quantity = Quantity(quantity);
        let at = (price, Liquidity::Added);
        self.say_decremented(maker, owner, quantity, Quantity(leaves), at, events);
        let at = (price, Liquidity::Removed);
        self.say_decremented(taker.number, taker.owner, quantity, Quantity(taker.leaves), at, events);
        self.after_fill(cell, events);
    }

    fn say_decremented<S: EventSink>(
        &mut self,
        number: u64,
        owner: domain::Owner,
        quantity: Quantity,
        leaves: Quantity,
        (price, liquidity): (Price, Liquidity),
        events: &mut S,
    ) {
        let order = self.id(number);
        let kind = if leaves.is_zero() {
            EventKind::Canceled { order, owner, quantity, reason: CancelReason::SelfTrade }
        } else {
            EventKind::Decremented { order, owner, quantity, leaves, price, liquidity }
        };
        self.say(events, kind);
    }

    /// An iceberg shows its next part, behind the others at its price.
    #[cold]
    #[inline(never)]
    pub(in super::super) fn refresh<S: EventSink>(&mut self, cell: u32, events: &mut S) {
        let (now, by) = (self.now.0, self.last_sequence.0);
        let record = self.record_mut(cell);
        record.refreshes = record.refreshes.wrapping_add(1);
        let Display::Iceberg { peak, spread, seed } = record.instructions.display else {
            unreachable!("only icebergs have a reserve")
        };
        let part = part_size(peak.lots(), spread, seed, record.refreshes).min(record.reserve);
        record.reserve -= part;
        let order = &mut self.cells[cell];
        order.open = part;
        order.queued_by = by;
        order.queued_at = now;
        let (prev, next, level) = (order.prev, order.next, order.level);
        let (number, owner) = (order.number(), order.owner);
        self.cells.detach(prev, next);
        self.cells.append(level, cell);
        self.cells[level].open += part;
        let (order, leaves) = (self.id(number), Quantity(self.open_of(cell)));
        self.say(events, EventKind::Refreshed { order, owner, shown: Quantity(part), leaves });
    }

    /// Takes something off a special order: of what it does not show first.
    pub(in super::super) fn reduce_special(&mut self, cell: u32, by: u64) {
        let side = self.cells[cell].side();
        let record = self.record_mut(cell);
        let unseen = record.reserve.min(by);
        record.reserve -= unseen;
        self.sides[side as usize].shrink(unseen);
        self.take_off(cell, by - unseen);
    }

    /// How much of `wanted` would trade if an order for it, of this group, came in now: exactly.
    pub(in super::super) fn fillable(
        &self,
        side: Side,
        limit: i64,
        wanted: u64,
        group: Option<SelfTrade>,
    ) -> u64 {
        let mut count = Count { book: self, left: wanted, group, stopped: false };
        self.walk(side, |key, stands| {
            if key < limit {
                return false;
            }
            match stands {
                Stands::Level(level) => count.level(level),
                // Too large for what is left by then: passed over.
                Stands::Whole(cell) if self.cells[cell].open > count.left => {}
                Stands::Hidden(cell) | Stands::Whole(cell) => {
                    count.order(cell);
                }
            }
            count.left > 0 && !count.stopped
        });
        wanted - count.left
    }

    /// After something has come to rest on the other side: all-or-none orders that can trade whole now do.
    #[cold]
    #[inline(never)]
    pub(in super::super) fn retry_all_or_none<S: EventSink>(&mut self, side: Side, events: &mut S) {
        loop {
            let Some(special) = &self.special else { return };
            // In this side's key space the other side's best is !best; what is at or above that crosses it.
            let best = self.sides[side.opposite() as usize].best();
            let found = special
                .all_or_none(side)
                .take_while(|(key, _)| best != EMPTY && *key >= !best)
                .find(|(_, cell)| self.can_fill_whole(*cell));
            let Some((_, cell)) = found else { return };
            self.fill_whole(cell, events);
        }
    }

    /// After an order became smaller: if it is all-or-none, it may be able to trade now.
    #[cold]
    #[inline(never)]
    pub(in super::super) fn retry_reduced<S: EventSink>(&mut self, cell: u32, events: &mut S) {
        if self.record(cell).place == Place::AllOrNone && self.can_fill_whole(cell) {
            self.fill_whole(cell, events);
        }
    }

    fn can_fill_whole(&self, cell: u32) -> bool {
        let (record, open) = (self.record(cell), self.cells[cell].open);
        let makers = self.cells[cell].side().opposite();
        self.fillable(makers, !record.key, open, record.instructions.self_trade) == open
    }

    /// An all-or-none order that can be filled leaves its place and trades.
    fn fill_whole<S: EventSink>(&mut self, cell: u32, events: &mut S) {
        let (mut taker, record) = self.take_out(cell);
        debug_assert_eq!(key_of(taker.side, taker.price), record.key);
        self.sweep(&mut taker, !record.key, record.instructions.self_trade, events);
        assert_eq!(taker.leaves, 0, "what could trade whole did");
    }
}

/// What could trade, counted along the way that a sweep would go.
struct Count<'a> {
    book: &'a Book,
    left: u64,
    group: Option<SelfTrade>,
    /// An order of the own group ends it.
    stopped: bool,
}

impl Count<'_> {
    /// The orders of a level: what each shows, then what they do not.
    fn level(&mut self, level: u32) {
        let cells = &self.book.cells;
        let mut reserves = 0u64;
        let mut cell = cells[level].next;
        while cell != level && self.left > 0 && !self.stopped {
            if self.order(cell) {
                // Cannot overflow: part of the side's sum.
                reserves += self.book.open_of(cell) - cells[cell].open;
            }
            cell = cells[cell].next;
        }
        if !self.stopped {
            self.left = self.left.saturating_sub(reserves);
        }
    }

    /// What an order shows, or has open when it shows nothing. Says whether the order counts.
    fn order(&mut self, cell: u32) -> bool {
        if self.stopped {
            return false;
        }
        if let Some(group) = self.group
            && self.book.group(cell) == Some(group.group)
        {
            self.stopped = group.policy != SelfTradePolicy::CancelOldest;
            return false;
        }
        self.left = self.left.saturating_sub(self.book.cells[cell].open);
        true
    }
}

/// How much an iceberg shows the `refresh`-th time after the first. SplitMix64 (Steele, Lea and Flood, 2014) of the
/// order's seed and the count of its parts.
fn part_size(peak: u64, spread: u32, seed: u32, refresh: u32) -> u64 {
    if spread == 0 {
        return peak;
    }
    let state = u64::from(seed).wrapping_add(u64::from(refresh) << 32);
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let spread = u64::from(spread);
    // The spread is below the peak, so this is at least 1; a peak near the end of the range stays in it.
    (peak - spread).saturating_add(mixed % (2 * spread + 1))
}
