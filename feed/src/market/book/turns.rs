//! The order in hand, and the turns of stops that have been triggered: who has come to rest, though nothing says so.

use super::{Book, Order, TURNS_MAX, Voice};
use crate::terms::Shows;

impl Book {
    /// What the command itself asks begins: stops that the one before left have had their turns, as many as there are for
    /// a command.
    pub(super) fn begin_own(&mut self, voice: &mut Voice<'_>) {
        if !core::mem::replace(&mut self.has_begun, true) {
            self.rest_hand(voice);
            while self.given < TURNS_MAX && self.turns_waiting > 0 {
                self.pass_turn(voice);
            }
        }
    }

    pub(super) fn come_in(&mut self, number: u64, order: Order) {
        self.orders.insert(number, order);
        if !order.waits_for_trigger {
            self.in_hand = Some(number);
        }
    }

    /// An order trades as one that comes in: those before it are done.
    pub(super) fn see_taker(&mut self, number: u64, voice: &mut Voice<'_>) {
        if self.in_hand != Some(number) {
            self.rest_hand(voice);
            self.see_turn(number, voice);
            self.in_hand = Some(number);
        }
    }

    /// An order trades as one that rests.
    pub(super) fn see_maker(&mut self, number: u64, voice: &mut Voice<'_>) {
        if self.waits_for_turn(number) {
            while self.pass_turn(voice).is_some_and(|passed| passed != number) {}
        }
    }

    /// If the order has been triggered, its turn has come.
    pub(super) fn see_turn(&mut self, number: u64, voice: &mut Voice<'_>) {
        if !self.waits_for_turn(number) {
            return;
        }
        self.rest_hand(voice);
        while let Some(next) = self.take_turn() {
            self.in_hand = Some(next);
            if next == number {
                return;
            }
            self.silent.push(next);
            self.rest_hand(voice);
        }
    }

    pub(super) fn waits_for_turn(&self, number: u64) -> bool {
        self.turns_waiting > 0 && self.orders.get(&number).is_some_and(|order| order.waits_for_turn)
    }

    /// The next turn is given.
    pub(super) fn take_turn(&mut self) -> Option<u64> {
        loop {
            let number = self.turns.pop_front()?;
            if let Some(order) = self.orders.get_mut(&number)
                && core::mem::take(&mut order.waits_for_turn)
            {
                self.turns_waiting -= 1;
                self.given += 1;
                return Some(number);
            }
        }
    }

    /// The next that was triggered has had its turn without an event: it rests.
    pub(super) fn pass_turn(&mut self, voice: &mut Voice<'_>) -> Option<u64> {
        self.rest_hand(voice);
        let number = self.take_turn()?;
        self.silent.push(number);
        self.in_hand = Some(number);
        self.rest_hand(voice);
        Some(number)
    }

    /// So many still wait for their turn, those that were triggered last.
    pub(super) fn pause(&mut self, waiting: usize, voice: &mut Voice<'_>) {
        self.rest_hand(voice);
        // Some may have been taken to have had theirs too soon.
        while self.turns_waiting < waiting
            && let Some(number) = self.silent.pop()
        {
            self.hide(number, voice);
            if let Some(order) = self.orders.get_mut(&number) {
                order.waits_for_turn = true;
                self.turns.push_front(number);
                self.turns_waiting += 1;
            }
        }
        while self.turns_waiting > waiting {
            self.pass_turn(voice);
        }
        self.paused = waiting;
    }

    /// What came in has come to rest, if it may.
    pub(super) fn rest_hand(&mut self, voice: &mut Voice<'_>) {
        let Some(number) = self.in_hand.take() else { return };
        let Some(order) = self.orders.get(&number) else { return };
        let shown = match order.shows {
            _ if !order.rests => 0,
            Shows::All => order.leaves,
            Shows::Part(peak) => peak.lots().min(order.leaves),
            Shows::Nothing => 0,
        };
        // One that was taken to rest too soon shows something already.
        if order.shown != shown {
            self.hide(number, voice);
            self.show(number, shown, voice);
        }
    }
}
