//! Special orders on their way in: what makes no sense, what must not trade, what trades at once or not at all, and
//! how what is left comes to rest.

use domain::{
    CancelReason, Display, EnterOrder, EventKind, EventSink, Execution, Instructions, OrderType, PostOnly,
    Price, Quantity, RejectReason, Sequence, Side, TimeInForce, Trigger,
};

use super::super::cells::NIL;
use super::super::matching::{Taker, limit_of, may_rest, why_not_rest};
use super::super::side::{EMPTY, key_of, price_of};
use super::super::{Book, Special, Waiting};
use super::stops::TRAILING_MAX;
use super::sweep::ALL_OR_NONE_MAX;
use super::{Place, Record, unspent};

/// Parts that an iceberg may have if all were of the smallest size: what one command may have to show anew.
const PARTS_MAX: u64 = 1_024;

impl Taker {
    /// Whether its side must have room for all of it: it may rest, or waits.
    pub(in super::super) fn needs_room(&self, instructions: &Instructions) -> bool {
        may_rest(self.order_type, self.time_in_force) || instructions.trigger != Trigger::None
    }
}

impl Book {
    #[cold]
    #[inline(never)]
    pub(in super::super) fn enter_special<S: EventSink>(
        &mut self,
        enter: &EnterOrder,
        instructions: &Instructions,
        events: &mut S,
    ) {
        self.numbers.count(enter.order.number());
        let mut taker = Taker::of(enter);
        if !self.has_room(enter, taker.needs_room(instructions)) {
            return self.reject(enter, RejectReason::InvalidQuantity, events);
        }
        let refused = self
            .check_instructions(&taker, instructions, None)
            .and_then(|()| self.post(&mut taker, instructions));
        if let Err(reason) = refused {
            return self.reject(enter, reason, events);
        }
        self.accept(&EnterOrder { price: taker.price, ..*enter }, events);
        self.come_in(&mut taker, instructions, None, events);
    }

    /// Whether instructions make sense, in the order of the table in `docs/matching.md`. `replaced` is the order
    /// that would go.
    pub(in super::super) fn check_instructions(
        &self,
        taker: &Taker,
        instructions: &Instructions,
        replaced: Option<u32>,
    ) -> Result<(), RejectReason> {
        let Instructions { trigger, display, execution, expires, .. } = *instructions;
        let tif = taker.time_in_force;
        let has_date = expires.0 != 0;
        let is_limit = taker.order_type == OrderType::Limit;
        let may_rest = may_rest(taker.order_type, tif);
        let is_fill_or_kill = tif == TimeInForce::FillOrKill;
        if has_date != (tif == TimeInForce::GoodTillDate) {
            return Err(RejectReason::InvalidTimeInForce);
        }
        if has_date && expires <= self.now {
            return Err(RejectReason::Expired);
        }
        if trigger != Trigger::None && !tif.rests() {
            return Err(RejectReason::InvalidTimeInForce);
        }
        let display_is_wrong = match display {
            Display::Full => false,
            Display::Iceberg { peak, spread, .. } => {
                let smallest = peak.lots().saturating_sub(u64::from(spread));
                smallest == 0 || taker.leaves.div_ceil(smallest) > PARTS_MAX || !may_rest || !is_limit
            }
            Display::Hidden => !may_rest || !is_limit,
        };
        if display_is_wrong {
            return Err(RejectReason::InvalidDisplay);
        }
        if taker.order_type == OrderType::MarketToLimit && is_fill_or_kill {
            return Err(RejectReason::InvalidTimeInForce);
        }
        let execution_is_wrong = match execution {
            Execution::Any => false,
            Execution::Minimum(minimum) => {
                minimum.is_zero() || minimum.lots() > taker.leaves || is_fill_or_kill
            }
            Execution::AllOrNone => !is_limit || !may_rest || display != Display::Full,
            Execution::PostOnly(_) => !is_limit || !may_rest || trigger != Trigger::None,
        };
        if execution_is_wrong {
            return Err(RejectReason::InvalidInstructions);
        }
        if execution == Execution::AllOrNone {
            let going = replaced.is_some_and(|cell| self.instructions(cell).execution == execution);
            if self.whole_orders() - usize::from(going) >= ALL_OR_NONE_MAX {
                return Err(RejectReason::TooManyOrders);
            }
        }
        if let Trigger::Trailing { ticks } = trigger {
            if ticks == 0 {
                return Err(RejectReason::InvalidInstructions);
            }
            let going = replaced.is_some_and(|cell| self.trails(cell));
            if self.trailing_stops() - usize::from(going) >= TRAILING_MAX {
                return Err(RejectReason::TooManyStops);
            }
        }
        Ok(())
    }

    /// An order that must not take what rests, and would, is refused or its limit moved.
    pub(in super::super) fn post(
        &self,
        taker: &mut Taker,
        instructions: &Instructions,
    ) -> Result<(), RejectReason> {
        let Execution::PostOnly(what) = instructions.execution else { return Ok(()) };
        let best = self.best_tradable(taker.side.opposite(), taker.leaves);
        if best < limit_of(taker.order_type, taker.side, taker.price) {
            return Ok(());
        }
        // One tick short of the other side's best: in this side's key space that best is !best.
        let slid = Price::new((!best - 1) ^ -(taker.side as i64));
        let wanted = taker.price.ticks();
        match (what, slid) {
            (PostOnly::Slide, Some(price)) if price.ticks() > 0 || wanted <= 0 => {
                taker.price = price;
                Ok(())
            }
            _ => Err(RejectReason::WouldTrade),
        }
    }

    /// An order comes in: it waits for its trigger, or trades. `trigger` is where it stands already, in key space.
    pub(in super::super) fn come_in<S: EventSink>(
        &mut self,
        taker: &mut Taker,
        instructions: &Instructions,
        trigger: Option<i64>,
        events: &mut S,
    ) {
        if instructions.trigger == Trigger::None {
            self.execute_special(taker, instructions, events);
        } else {
            self.wait(taker, instructions, trigger, events);
        }
    }

    /// What [`execute`](Book::execute) does, with all that instructions can ask for.
    #[inline(never)]
    pub(in super::super) fn execute_special<S: EventSink>(
        &mut self,
        taker: &mut Taker,
        instructions: &Instructions,
        events: &mut S,
    ) {
        let makers = taker.side.opposite();
        let is_market_to_limit = taker.order_type == OrderType::MarketToLimit;
        if is_market_to_limit {
            let best = self.best_tradable(makers, taker.leaves);
            if best == EMPTY {
                let reason = match instructions.execution {
                    Execution::Minimum(_) => CancelReason::MinimumQuantity,
                    _ => CancelReason::NoLiquidity,
                };
                return self.cancel_rest(taker, reason, events);
            }
            taker.order_type = OrderType::Limit;
            taker.price = price_of(makers, best);
        }
        let limit = limit_of(taker.order_type, taker.side, taker.price);
        let is_fill_or_kill = taker.time_in_force == TimeInForce::FillOrKill;
        let at_once = match instructions.execution {
            Execution::Minimum(minimum) => minimum.lots(),
            Execution::AllOrNone => taker.leaves,
            Execution::Any | Execution::PostOnly(_) if is_fill_or_kill => taker.leaves,
            Execution::Any | Execution::PostOnly(_) => 0,
        };
        if at_once > 0 && !self.can_trade(makers, limit, taker.leaves, at_once, instructions) {
            match instructions.execution {
                Execution::Minimum(_) => self.cancel_rest(taker, CancelReason::MinimumQuantity, events),
                Execution::AllOrNone => {
                    self.rest_special(taker, instructions);
                    self.retry_all_or_none(makers, events);
                }
                _ => self.cancel_rest(taker, CancelReason::FillOrKill, events),
            }
            return;
        }
        self.sweep(taker, limit, instructions.self_trade, events);
        if taker.leaves == 0 {
            return;
        }
        if !may_rest(taker.order_type, taker.time_in_force) {
            return self.cancel_rest(taker, why_not_rest(taker.order_type), events);
        }
        if is_market_to_limit {
            let (order, owner, price) = (self.id(taker.number), taker.owner, taker.price);
            self.say(events, EventKind::Restated { order, owner, price, leaves: Quantity(taker.leaves) });
        }
        self.rest_special(taker, instructions);
        self.retry_all_or_none(makers, events);
    }

    /// Whether so much of what an order has left could trade at once.
    fn can_trade(
        &self,
        makers: Side,
        limit: i64,
        leaves: u64,
        at_once: u64,
        instructions: &Instructions,
    ) -> bool {
        // Counted up to all that is left, not to what is asked: an all-or-none order on the other side may be too large
        // for the latter and not for the former.
        self.fillable(makers, limit, leaves, instructions.self_trade) >= at_once
    }

    /// What is left of an order comes to rest, with what of its instructions is not spent.
    fn rest_special(&mut self, taker: &Taker, instructions: &Instructions) {
        let instructions = unspent(instructions);
        if instructions == Instructions::NONE {
            return self.rest(taker);
        }
        let place = match (instructions.execution, instructions.display) {
            (Execution::AllOrNone, _) => Place::AllOrNone,
            (_, Display::Hidden) => Place::Hidden,
            _ => Place::Level,
        };
        self.place(taker, &instructions, place);
    }

    /// Gives an order a cell, a record and a place.
    pub(super) fn place(&mut self, taker: &Taker, instructions: &Instructions, place: Place) {
        self.place_as_of(taker, instructions, place, self.last_sequence);
    }

    /// The same, for an order that came with a command that may have been an earlier one.
    fn place_as_of(&mut self, taker: &Taker, instructions: &Instructions, place: Place, came_by: Sequence) {
        let shown = match instructions.display {
            Display::Iceberg { peak, .. } if place == Place::Level => peak.lots().min(taker.leaves),
            _ => taker.leaves,
        };
        let special = self.special.get_or_insert_default();
        let record = Record {
            instructions: *instructions,
            account: taker.account,
            order_type: taker.order_type,
            key: key_of(taker.side, taker.price),
            reserve: taker.leaves - shown,
            refreshes: 0,
            rank: match place {
                // A command brings one order at most, so this is a rank, and one that a restored book knows too.
                Place::Trigger(_) => came_by.0,
                _ => special.next_rank(),
            },
            place,
        };
        let tally = special.add_record(record);
        special.whole += usize::from(instructions.execution == Execution::AllOrNone);
        let cell = self.cells.take();
        if place == Place::Level {
            self.queue(cell, taker, shown, tally, true);
        } else {
            self.cells[cell] = self.filled_cell(taker, shown, tally, true);
            debug_assert_eq!(self.cells[cell].level, NIL);
        }
        let side = taker.side as usize;
        self.sides[side].join(taker.leaves);
        self.sides[side].veil(i32::from(record.is_veiled()));
        self.numbers.insert(taker.number, cell);
        self.stand(cell, &record, taker.side);
        self.add_expiry(cell);
    }

    /// Puts a special order into the map of its place.
    fn stand(&mut self, cell: u32, record: &Record, side: Side) {
        let special = self.special.as_mut().expect("a special order in a book that has specials");
        let at = side as usize;
        match record.place {
            Place::Level => {}
            Place::Hidden | Place::AllOrNone => {
                special.unseen_mut(record.place, side).insert((!record.key, record.rank), cell);
                let unseen = special.unseen(side);
                self.sides[at].set_unseen(unseen);
            }
            Place::Trigger(trigger) => {
                special.triggers[at].insert((trigger, record.rank), cell);
                if matches!(record.instructions.trigger, Trigger::Trailing { .. }) {
                    special.trailing[at].insert(cell);
                }
                self.find_quiet();
            }
            Place::Turn => {
                special.turns.insert(record.rank, cell);
                self.turns += 1;
                self.find_due();
            }
        }
    }

    /// Puts an order that was taken from one place into another.
    pub(super) fn move_to(&mut self, cell: u32, place: Place) {
        let side = self.cells[cell].side();
        let record = *self.record(cell);
        self.leave_place(cell, &record, side);
        let rank = self.specials().next_rank();
        let moved = self.record_mut(cell);
        moved.place = place;
        moved.rank = rank;
        let record = *moved;
        self.stand(cell, &record, side);
    }

    /// Puts a special order where it once stood, as it was.
    pub(in super::super) fn put_special(
        &mut self,
        taker: &Taker,
        special: &Special,
        came_by: Sequence,
    ) -> Result<(), &'static str> {
        let instructions = &special.instructions;
        let place = match (special.waiting, instructions.execution, instructions.display) {
            (Waiting::ForTurn, ..) => Place::Turn,
            (Waiting::ForTrigger(at), ..) => {
                Place::Trigger(at.map_or(i64::MAX, |price| key_of(taker.side, price)))
            }
            (Waiting::No, Execution::AllOrNone, _) => Place::AllOrNone,
            (Waiting::No, _, Display::Hidden) => Place::Hidden,
            (Waiting::No, ..) => Place::Level,
        };
        let trails = matches!(instructions.trigger, Trigger::Trailing { .. });
        if trails && self.trailing_stops() >= TRAILING_MAX {
            return Err("too many trailing stops wait");
        }
        if instructions.execution == Execution::AllOrNone && self.whole_orders() >= ALL_OR_NONE_MAX {
            return Err("too many all-or-none orders are there");
        }
        self.place_as_of(taker, instructions, place, came_by);
        let cell = self.numbers.find(taker.number).expect("it has just got a cell");
        let record = self.record_mut(cell);
        record.refreshes = special.refreshes;
        if place == Place::Level {
            record.reserve = taker.leaves - special.shown.lots();
            let order = &mut self.cells[cell];
            let (level, before) = (order.level, order.open);
            order.open = special.shown.lots();
            self.cells[level].open -= before;
            // Cannot overflow: never more than the side's sum.
            self.cells[level].open += special.shown.lots();
        }
        Ok(())
    }
}
