//! What can be seen of one book. It keeps every order that lives, for what is not shown may be, later.

mod shown;
mod turns;

use std::collections::{HashMap, VecDeque};

use domain::{CancelReason, Event, EventKind, InstrumentId, Nanos, OrderId, Price, Quantity, Sequence, Side};

use self::shown::Fill;
use super::{
    Standing, Waits,
    queue::{Level, Queue, Shown, key_of},
};
use crate::{
    change::{Change, ChangeKind},
    terms::{Shows, Terms, rests},
};

/// Stops that one command of a book gives their turn, at most; the others wait for its next (docs/matching.md).
const TURNS_MAX: u32 = 128;

/// An order that lives.
#[derive(Clone, Copy, Debug)]
struct Order {
    side: Side,
    price: Price,
    leaves: u64,
    /// Lots shown now. `shown <= leaves`; 0 unless it is in its queue.
    shown: u64,
    shows: Shows,
    /// Whether it rests at its price once it has traded.
    rests: bool,
    waits_for_trigger: bool,
    /// It has been triggered, and is among `turns`.
    waits_for_turn: bool,
    /// Its place in the queue, if it is shown.
    place: u64,
}

/// One book.
#[derive(Debug, Default)]
pub(super) struct Book {
    orders: HashMap<u64, Order>,
    sides: [Queue; 2],
    /// The order that is coming in: it trades, rests or goes.
    in_hand: Option<u64>,
    /// Stops that have been triggered and, as far as is known, wait for their turn; and some that have gone since, or had it.
    turns: VecDeque<u64>,
    /// Those that wait.
    turns_waiting: usize,
    /// Those of this command that were taken to have had theirs without an event.
    silent: Vec<u64>,
    /// Turns that this command has given, while its own order has not come in.
    given: u32,
    /// What this command itself asks has begun.
    has_begun: bool,
    /// Stops that wait for the next command.
    paused: usize,
    /// What the last event took off an order that rested, so that it would not trade with its own group: what comes in
    /// has its say next.
    taken_off: Option<u64>,
    /// The command whose events come.
    sequence: Sequence,
    nanos: Nanos,
    /// A command that may say nothing, and has not been seen.
    silent_command: Sequence,
    last_place: u64,
    /// The front's turn in which the last event came.
    touched: u64,
    is_listed: bool,
}

/// Says what changes in one book.
struct Voice<'a> {
    instrument: InstrumentId,
    nanos: Nanos,
    say: &'a mut dyn FnMut(&Change),
}

impl Voice<'_> {
    fn say(&mut self, kind: ChangeKind) {
        (self.say)(&Change { instrument: self.instrument, nanos: self.nanos, kind });
    }

    fn id(&self, number: u64) -> OrderId {
        OrderId::of(self.instrument, number)
    }
}

impl Book {
    pub(super) fn stand(&mut self, standing: &Standing) {
        let Standing { order, side, price, leaves, shown, shows, waits, rests } = *standing;
        let number = order.number();
        self.last_place += 1;
        let order = Order {
            side,
            price,
            leaves: leaves.lots(),
            shown: shown.lots(),
            shows,
            rests,
            waits_for_trigger: waits == Waits::Trigger,
            waits_for_turn: waits == Waits::Turn,
            place: self.last_place,
        };
        self.orders.insert(number, order);
        if waits == Waits::Turn {
            self.turns.push_back(number);
            self.turns_waiting += 1;
            self.paused = self.turns_waiting;
        }
        if order.shown > 0 {
            self.enqueue(number, &order);
        }
    }

    pub(super) fn orders(&self, instrument: InstrumentId, side: Side) -> impl Iterator<Item = Shown> {
        self.sides[side as usize].numbers().map(move |number| {
            let order = &self.orders[&number];
            Shown {
                order: OrderId::of(instrument, number),
                price: order.price,
                quantity: Quantity(order.shown),
            }
        })
    }

    pub(super) fn levels(&self, side: Side) -> impl Iterator<Item = Level> {
        self.sides[side as usize].levels()
    }

    pub(super) fn level(&self, side: Side, price: Price) -> Option<Level> {
        self.sides[side as usize].level(key_of(side, price))
    }

    pub(super) fn known(&self) -> usize {
        self.orders.len()
    }

    pub(super) const fn touched(&self) -> u64 {
        self.touched
    }

    /// Whether it must be looked at when the front's turn ends.
    pub(super) fn is_open(&mut self) -> bool {
        self.is_listed =
            self.in_hand.is_some() || self.turns_waiting > self.paused || self.silent_command > self.sequence;
        self.is_listed
    }

    fn list(&mut self) -> bool {
        !core::mem::replace(&mut self.is_listed, true)
    }

    /// A command comes that may say nothing. Whether the book has to be listed for it.
    pub(super) fn on_silent(&mut self, sequence: Sequence, turn: u64) -> bool {
        if self.paused == 0 {
            return false;
        }
        self.silent_command = sequence;
        self.touched = turn;
        self.list()
    }

    /// What comes in has come to rest, if `hand`; those that were triggered have had their turn, if `turns`; what was
    /// sequenced has been executed, if `all`.
    pub(super) fn settle(
        &mut self,
        instrument: InstrumentId,
        hand: bool,
        turns: bool,
        all: bool,
        say: &mut dyn FnMut(&Change),
    ) {
        let voice = &mut Voice { instrument, nanos: self.nanos, say };
        if all && self.silent_command > self.sequence {
            self.end_command(voice);
            self.begin_command(self.silent_command, self.nanos);
        }
        if turns {
            self.end_command(voice);
        } else if hand {
            self.rest_hand(voice);
        }
    }

    /// Takes an event. Whether the book has to be listed for it.
    pub(super) fn on_event(
        &mut self,
        event: &Event,
        terms: &mut HashMap<OrderId, Terms>,
        turn: u64,
        say: &mut dyn FnMut(&Change),
    ) -> bool {
        let voice = &mut Voice { instrument: event.instrument, nanos: self.nanos, say };
        if event.sequence != self.sequence {
            self.end_command(voice);
            self.begin_command(event.sequence, event.nanos);
            voice.nanos = event.nanos;
        }
        self.touched = turn;
        let taken_off = self.taken_off.take();
        self.take(&event.kind, taken_off, terms, voice);
        (self.in_hand.is_some() || self.turns_waiting > self.paused) && self.list()
    }

    fn begin_command(&mut self, sequence: Sequence, nanos: Nanos) {
        self.sequence = sequence;
        self.nanos = nanos;
        self.silent.clear();
        self.given = 0;
        self.has_begun = false;
        self.paused = 0;
    }

    /// The command has ended: all have had their turns, but those that it said it leaves.
    fn end_command(&mut self, voice: &mut Voice<'_>) {
        self.rest_hand(voice);
        while self.turns_waiting > self.paused {
            self.pass_turn(voice);
        }
    }

    fn take(
        &mut self,
        kind: &EventKind,
        taken_off: Option<u64>,
        terms: &mut HashMap<OrderId, Terms>,
        voice: &mut Voice<'_>,
    ) {
        match *kind {
            EventKind::Accepted { order, side, order_type, time_in_force, price, quantity, .. } => {
                self.begin_own(voice);
                let terms = terms.remove(&order);
                let new = Order {
                    side,
                    price,
                    leaves: quantity.lots(),
                    shown: 0,
                    shows: terms.and_then(|terms| terms.shows).unwrap_or(Shows::All),
                    rests: rests(order_type, time_in_force),
                    waits_for_trigger: terms.and_then(|terms| terms.waits).unwrap_or(false),
                    waits_for_turn: false,
                    place: 0,
                };
                self.come_in(order.number(), new);
            }
            EventKind::Rejected { order, .. } | EventKind::ReplaceRejected { order, .. } => {
                self.begin_own(voice);
                terms.remove(&order);
            }
            EventKind::Traded {
                trade,
                price,
                quantity,
                taker_side,
                maker,
                maker_leaves,
                taker,
                taker_leaves,
                ..
            } => {
                self.see_taker(taker.number(), voice);
                self.see_maker(maker.number(), voice);
                let (at, quantity) = (price, quantity.lots());
                let fill = Fill { trade, at, quantity, leaves: maker_leaves.lots(), counts: true };
                if !self.fill(maker.number(), &fill, voice) {
                    let (side, quantity) = (taker_side.opposite(), Quantity(quantity));
                    voice.say(ChangeKind::Traded { side, price, quantity, trade });
                }
                let fill = Fill { trade, at, quantity, leaves: taker_leaves.lots(), counts: false };
                self.fill(taker.number(), &fill, voice);
            }
            EventKind::Canceled { order, reason, quantity, .. } => {
                if reason == CancelReason::SelfTrade && taken_off.is_none() {
                    self.taken_off = Some(quantity.lots());
                }
                match reason {
                    CancelReason::Requested
                    | CancelReason::EndOfDay
                    | CancelReason::InvalidReplacement
                    | CancelReason::MassCancel
                    | CancelReason::Disconnected => self.begin_own(voice),
                    CancelReason::Expired => {}
                    CancelReason::ImmediateOrCancel
                    | CancelReason::FillOrKill
                    | CancelReason::NoLiquidity
                    | CancelReason::SelfTrade
                    | CancelReason::MinimumQuantity => self.see_turn(order.number(), voice),
                }
                self.remove(order.number(), voice);
            }
            EventKind::Reduced { order, leaves, .. } => {
                self.begin_own(voice);
                self.shrink(order.number(), leaves.lots(), 0, voice);
            }
            EventKind::Decremented { order, quantity, leaves, .. } => {
                let (number, quantity, leaves) = (order.number(), quantity.lots(), leaves.lots());
                self.see_turn(number, voice);
                // First what rests, then what comes in.
                if taken_off == Some(quantity) {
                    self.see_taker(number, voice);
                    if let Some(order) = self.orders.get_mut(&number) {
                        order.leaves = leaves;
                    }
                } else {
                    self.taken_off = Some(quantity);
                    self.shrink(number, leaves, quantity, voice);
                }
            }
            EventKind::Replaced { old, order, side, price, leaves, kept_priority, .. } => {
                self.begin_own(voice);
                let terms = terms.remove(&order);
                if kept_priority {
                    return self.rename(old.number(), order.number(), leaves.lots(), voice);
                }
                let before = self.remove(old.number(), voice);
                let new = Order {
                    side,
                    price,
                    leaves: leaves.lots(),
                    shown: 0,
                    shows: terms
                        .and_then(|terms| terms.shows)
                        .or(before.map(|before| before.shows))
                        .unwrap_or(Shows::All),
                    rests: terms.is_none_or(|terms| terms.rests),
                    waits_for_trigger: terms
                        .and_then(|terms| terms.waits)
                        .or(before.map(|before| before.waits_for_trigger))
                        .unwrap_or(false),
                    waits_for_turn: false,
                    place: 0,
                };
                self.come_in(order.number(), new);
            }
            EventKind::Triggered { order, .. } => {
                let number = order.number();
                if let Some(order) = self.orders.get_mut(&number) {
                    order.waits_for_trigger = false;
                    order.waits_for_turn = true;
                    self.turns.push_back(number);
                    self.turns_waiting += 1;
                }
            }
            EventKind::Refreshed { order, shown, leaves, .. } => {
                self.hide(order.number(), voice);
                if let Some(order) = self.orders.get_mut(&order.number()) {
                    order.leaves = leaves.lots();
                }
                self.show(order.number(), shown.lots(), voice);
            }
            EventKind::Restated { order, price, leaves, .. } => {
                let number = order.number();
                self.see_turn(number, voice);
                self.hide(number, voice);
                if let Some(order) = self.orders.get_mut(&number) {
                    order.price = price;
                    order.leaves = leaves.lots();
                    order.rests = true;
                }
                self.in_hand = Some(number);
                self.rest_hand(voice);
            }
            EventKind::Paused { triggered } => self.pause(triggered as usize, voice),
            EventKind::MassCanceled { .. } | EventKind::CancelRejected { .. } => self.begin_own(voice),
        }
    }
}
