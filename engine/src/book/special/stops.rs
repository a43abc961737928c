//! Stop orders: they wait until a trade reaches their trigger, then for their turn.
//!
//! Triggers are kept in the key space of the order's side, where a trade at price `p` reaches all triggers up to `p`'s
//! key, on both sides. `Book::quiet` is the range of prices at which nothing happens, so that a trade costs two
//! comparisons in a book whose triggers are elsewhere.

use domain::{EventKind, EventSink, Instructions, Price, Side, Trigger};

use super::super::matching::Taker;
use super::super::side::key_of;
use super::super::{Book, QUIET};
use super::{Place, Record};

/// Trailing stops of a book: each trade at a new price may move all of them.
pub(super) const TRAILING_MAX: usize = 1_024;

/// Turns that one command gives.
const TURNS_MAX: u32 = 128;

/// The furthest trigger that is a price: `Price::MAX` for a buy, `Price::MIN` for a sell.
const FURTHEST: i64 = i64::MAX - 1;

/// A trailing stop's trigger after a trade at a key.
fn behind(key: i64, ticks: u64) -> i64 {
    key.saturating_add_unsigned(ticks).min(FURTHEST)
}

impl Book {
    /// How many trailing stops wait.
    pub(super) fn trailing_stops(&self) -> usize {
        self.special.as_ref().map_or(0, |special| special.trailing.iter().map(|set| set.len()).sum())
    }

    /// Whether an order is a trailing stop that waits for its trigger.
    pub(super) fn trails(&self, cell: u32) -> bool {
        let side = self.cells[cell].side() as usize;
        self.special.as_ref().is_some_and(|special| special.trailing[side].contains(&cell))
    }

    /// Where a trailing stop's trigger is, in key space.
    pub(in super::super) fn trigger(&self, cell: u32) -> Option<i64> {
        match self.trails(cell).then(|| self.record(cell).place) {
            Some(Place::Trigger(trigger)) => Some(trigger),
            _ => None,
        }
    }

    /// A stop order starts to wait; or it is reached at once, and waits for its turn.
    pub(super) fn wait<S: EventSink>(
        &mut self,
        taker: &Taker,
        instructions: &Instructions,
        trigger: Option<i64>,
        events: &mut S,
    ) {
        let last = (self.counters.trades > 0).then(|| key_of(taker.side, self.last_price));
        let trigger = match instructions.trigger {
            Trigger::Stop(price) => key_of(taker.side, price),
            Trigger::Trailing { ticks } => {
                trigger.unwrap_or_else(|| last.map_or(i64::MAX, |last| behind(last, ticks)))
            }
            Trigger::None => unreachable!("it has a trigger"),
        };
        if last.is_some_and(|last| trigger <= last) {
            let spent = Instructions { trigger: Trigger::None, ..*instructions };
            self.place(taker, &spent, Place::Turn);
            let (order, owner, price) = (self.id(taker.number), taker.owner, self.last_price);
            self.say(events, EventKind::Triggered { order, owner, price });
        } else {
            self.place(taker, instructions, Place::Trigger(trigger));
        }
    }

    /// A trade at a price that moves or reaches triggers.
    #[cold]
    #[inline(never)]
    pub(in super::super) fn reach<S: EventSink>(&mut self, price: Price, events: &mut S) {
        for side in [Side::Buy, Side::Sell] {
            self.move_trailing(side, key_of(side, price));
        }
        for side in [Side::Buy, Side::Sell] {
            let key = key_of(side, price);
            loop {
                let special = self.special.as_ref().expect("a trigger is somebody's");
                let first = special.triggers[side as usize].first_key_value();
                let Some((_, &cell)) = first.filter(|((trigger, _), _)| *trigger <= key) else { break };
                self.record_mut(cell).instructions.trigger = Trigger::None;
                self.move_to(cell, Place::Turn);
                let (order, owner) = (self.id(self.cells[cell].number()), self.cells[cell].owner);
                self.say(events, EventKind::Triggered { order, owner, price });
            }
        }
        self.find_quiet();
    }

    fn move_trailing(&mut self, side: Side, key: i64) {
        let at = side as usize;
        let special = self.special.as_mut().expect("a trigger is somebody's");
        for &cell in &special.trailing[at] {
            let record = &mut special.records[self.cells[cell].tally as usize];
            let (Trigger::Trailing { ticks }, Place::Trigger(trigger)) =
                (record.instructions.trigger, record.place)
            else {
                unreachable!("it trails")
            };
            let moved = trigger.min(behind(key, ticks));
            if moved != trigger {
                record.place = Place::Trigger(moved);
                special.triggers[at].remove(&(trigger, record.rank));
                special.triggers[at].insert((moved, record.rank), cell);
            }
        }
    }

    pub(super) fn find_quiet(&mut self) {
        self.quiet = self.quiet_range();
    }

    /// The open range of prices at which a trade reaches no trigger and moves none.
    pub(super) fn quiet_range(&self) -> (i64, i64) {
        let (mut low, mut high) = QUIET;
        let Some(special) = &self.special else { return QUIET };
        let first = |side: Side| special.triggers[side as usize].keys().next().map(|(trigger, _)| *trigger);
        // A buy is reached from its trigger up, a sell from its trigger down; a sell's key is !price.
        high = first(Side::Buy).map_or(high, |trigger| high.min(trigger));
        low = first(Side::Sell).map_or(low, |trigger| low.max(!trigger));
        // A trailing stop moves when a trade comes nearer than its ticks: for a buy below, for a sell above that.
        for side in [Side::Buy, Side::Sell] {
            for &cell in &special.trailing[side as usize] {
                let Record { instructions, place, .. } = special.records[self.cells[cell].tally as usize];
                let (Trigger::Trailing { ticks }, Place::Trigger(trigger)) = (instructions.trigger, place)
                else {
                    unreachable!("it trails")
                };
                if trigger == i64::MAX {
                    // The first trade, wherever it is, gives it its trigger.
                    return (i64::MAX, i64::MIN);
                }
                let nearest = trigger.saturating_sub_unsigned(ticks);
                match side {
                    Side::Buy => low = low.max(nearest),
                    Side::Sell => high = high.min(!nearest),
                }
            }
        }
        (low, high)
    }

    /// Triggered orders come in, first triggered first, up to a number of them for each command.
    #[cold]
    #[inline(never)]
    pub(in super::super) fn give_turns<S: EventSink>(&mut self, events: &mut S) {
        self.take_turns(events);
        if self.turns > 0 {
            self.say(events, EventKind::Paused { triggered: self.turns });
        }
    }

    pub(super) fn take_turns<S: EventSink>(&mut self, events: &mut S) {
        if self.turns_given.0 != self.last_sequence {
            self.turns_given = (self.last_sequence, 0);
        }
        while self.turns_given.1 < TURNS_MAX {
            let first = self.special.as_ref().and_then(|special| special.turns.values().next().copied());
            let Some(cell) = first else { return };
            self.turns_given.1 += 1;
            let (mut taker, record) = self.take_out(cell);
            self.execute_special(&mut taker, &record.instructions, events);
        }
    }

    /// Takes a special order out of the book, to come in as one that may trade.
    pub(super) fn take_out(&mut self, cell: u32) -> (Taker, Record) {
        let (order, record) = (self.cells[cell], *self.record(cell));
        let taker = Taker {
            number: order.number(),
            owner: order.owner,
            account: record.account,
            side: order.side(),
            order_type: record.order_type,
            time_in_force: order.time_in_force(),
            price: super::super::side::price_of(order.side(), record.key),
            leaves: order.open + record.reserve,
            executed: order.executed,
        };
        self.remove_special(cell);
        (taker, record)
    }
}
