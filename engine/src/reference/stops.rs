//! Stops: what they wait for, and their turns.

use domain::{EventKind, Price, Side, Trigger};

use super::order::Order;
use super::{Doing, ReferenceBook};

/// Turns that one command gives.
const TURNS_MAX: u32 = 128;

/// Whether a trade at `price` reaches a trigger: "a buy is reached by a trade at or above its trigger, a sell by
/// one at or below".
fn reaches(price: Price, side: Side, trigger: Price) -> bool {
    match side {
        Side::Buy => price >= trigger,
        Side::Sell => price <= trigger,
    }
}

/// Where a trade at `price` puts a trailing stop's trigger: "plus (buy) or minus (sell) its ticks, cut at the range
/// of prices".
fn trailed(price: Price, side: Side, ticks: u64) -> Price {
    let (price, ticks) = (i128::from(price.ticks()), i128::from(ticks));
    let trigger = match side {
        Side::Buy => (price + ticks).min(i128::from(Price::MAX.ticks())),
        Side::Sell => (price - ticks).max(i128::from(Price::MIN.ticks())),
    };
    i64::try_from(trigger).ok().and_then(Price::new).expect("it was cut")
}

impl ReferenceBook {
    /// A new stop: it waits, or is triggered at once.
    pub(super) fn wait(&mut self, mut stop: Order, follows: Option<Option<Price>>, doing: &mut Doing<'_>) {
        (stop.queued_by, stop.queued_at) = (doing.sequence, doing.nanos);
        let last = self.header.last_trade.map(|last| last.price);
        match stop.instructions.trigger {
            Trigger::None => unreachable!("it has a trigger"),
            Trigger::Stop(trigger) => {
                stop.trigger = Some(trigger);
                match last {
                    Some(price) if reaches(price, stop.side, trigger) => self.triggered(stop, price, doing),
                    _ => self.stops.push(stop),
                }
            }
            Trigger::Trailing { ticks } => {
                let fresh = last.map(|price| trailed(price, stop.side, ticks));
                stop.trigger = follows.unwrap_or(fresh);
                self.stops.push(stop);
            }
        }
    }

    /// "Each trade moves triggers first and then reaches them."
    pub(super) fn traded_at(&mut self, price: Price, doing: &mut Doing<'_>) {
        for stop in &mut self.stops {
            if let Trigger::Trailing { ticks } = stop.instructions.trigger {
                let here = trailed(price, stop.side, ticks);
                stop.trigger = Some(match (stop.trigger, stop.side) {
                    (None, _) => here,
                    (Some(trigger), Side::Buy) => trigger.min(here),
                    (Some(trigger), Side::Sell) => trigger.max(here),
                });
            }
        }
        for stop in self.stops_by_trigger() {
            if stop.trigger.is_some_and(|trigger| reaches(price, stop.side, trigger)) {
                self.stops.retain(|other| other.id != stop.id);
                self.triggered(stop, price, doing);
            }
        }
    }

    fn triggered(&mut self, mut stop: Order, price: Price, doing: &mut Doing<'_>) {
        stop.instructions.trigger = Trigger::None;
        stop.trigger = None;
        self.say(EventKind::Triggered { order: stop.id, owner: stop.owner, price }, doing);
        self.turns.push(stop);
    }

    /// Stops that wait for their trigger: "buys, lowest trigger first, then sells, highest first; at one trigger the
    /// one that came first"; those without one behind those of their side.
    pub(super) fn stops_by_trigger(&self) -> Vec<Order> {
        let mut stops = self.stops.clone();
        // A stable sort: they are held in the order in which they came.
        stops.sort_by_key(|stop| {
            let ticks = stop.trigger.map_or(0, Price::ticks);
            let ticks = if stop.side == Side::Buy { ticks } else { -ticks };
            (stop.side, stop.trigger.is_none(), ticks)
        });
        stops
    }

    /// "The triggered orders take their turns, first triggered first served."
    pub(super) fn give_turns(&mut self, doing: &mut Doing<'_>) {
        while doing.turns < TURNS_MAX && !self.turns.is_empty() {
            doing.turns += 1;
            let order = self.turns.remove(0);
            self.come_in(order, doing);
        }
    }
}
