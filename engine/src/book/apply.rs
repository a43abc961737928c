//! Commands to events: what every command goes through, and the plain ones. `docs/matching.md` has the rules in full.

use domain::{
    CancelOrder, CancelReason, Command, EnterOrder, EventKind, EventSink, Instructions, InstrumentId, Nanos,
    OrderType, Owner, Quantity, ReduceOrder, RejectReason, ReplaceOrder, Sequence, Sequenced, TimeInForce,
};

use super::Book;
use super::matching::{Taker, may_rest};

impl Book {
    /// Applies one command and says what it did. Total: whatever the command asks, the answer is events.
    /// Commands that touch no book (refused requests, definitions) are ignored and leave no trace.
    ///
    /// # Panics
    /// When the commands are not this book's, each once and in sequence, which is a programmer's error and
    /// checked in release builds too: a command for another instrument, a sequence that is not above the last,
    /// an order number that is not the next.
    #[inline]
    pub fn apply<S: EventSink>(&mut self, command: &Sequenced<Command>, events: &mut S) {
        let Sequenced { sequence, nanos, ref command } = *command;
        match command {
            Command::Enter(enter) => self.apply_enter(sequence, nanos, enter, events),
            Command::Cancel(cancel) => self.apply_cancel(sequence, nanos, cancel, events),
            Command::Reduce(reduce) => {
                self.begin(sequence, nanos, reduce.order.instrument(), events);
                self.reduce(reduce, events);
                self.finish(events);
            }
            Command::Replace(replace) => self.apply_replace(sequence, nanos, replace, events),
            _ => self.apply_rare(sequence, nanos, command, events),
        }
    }

    /// [`apply`](Self::apply) for a caller that knows which command it has.
    ///
    /// # Panics
    /// As [`apply`](Self::apply).
    #[inline(always)]
    pub fn apply_enter<S: EventSink>(
        &mut self,
        sequence: Sequence,
        nanos: Nanos,
        enter: &EnterOrder,
        events: &mut S,
    ) {
        self.begin(sequence, nanos, enter.order.instrument(), events);
        self.enter(enter, events);
        self.finish(events);
    }

    /// [`apply`](Self::apply) for a caller that knows which command it has.
    ///
    /// # Panics
    /// As [`apply`](Self::apply).
    #[inline(always)]
    pub fn apply_cancel<S: EventSink>(
        &mut self,
        sequence: Sequence,
        nanos: Nanos,
        cancel: &CancelOrder,
        events: &mut S,
    ) {
        self.begin(sequence, nanos, cancel.order.instrument(), events);
        self.cancel(cancel, events);
        self.finish(events);
    }

    /// [`apply`](Self::apply) for a caller that knows which command it has.
    ///
    /// # Panics
    /// As [`apply`](Self::apply).
    #[inline(always)]
    pub fn apply_replace<S: EventSink>(
        &mut self,
        sequence: Sequence,
        nanos: Nanos,
        replace: &ReplaceOrder,
        events: &mut S,
    ) {
        self.begin(sequence, nanos, replace.order.instrument(), events);
        self.replace(replace, events);
        self.finish(events);
    }

    /// Every other command, if it is one for a book.
    #[cold]
    #[inline(never)]
    fn apply_rare<S: EventSink>(
        &mut self,
        sequence: Sequence,
        nanos: Nanos,
        command: &Command,
        events: &mut S,
    ) {
        if command.instrument().is_none() && !command.is_market_wide() {
            return;
        }
        self.begin(sequence, nanos, command.instrument().unwrap_or(self.instrument), events);
        match command {
            Command::EnterSpecial(special) => {
                self.enter_special(&special.enter, &special.instructions, events);
            }
            Command::ReplaceSpecial(special) => {
                self.replace_special(&special.replace, Some(&special.instructions), events);
            }
            Command::MassCancel(cancel) => self.mass_cancel(cancel, events),
            Command::EndOfDay => {
                self.cancel_each(
                    CancelReason::EndOfDay,
                    |order| order.time_in_force == TimeInForce::Day,
                    events,
                );
            }
            Command::Advance(_) => {}
            Command::Enter(_)
            | Command::Cancel(_)
            | Command::Reduce(_)
            | Command::Replace(_)
            | Command::Rejected(_)
            | Command::DefineInstrument(_)
            | Command::DefineSession(_)
            | Command::EpochStart(_)
            | Command::FixRequest(_)
            | Command::DropCopy(_) => unreachable!("sorted out above"),
        }
        self.finish(events);
    }

    /// What comes before each command: it is checked, counted, and what is due is done.
    #[inline(always)]
    fn begin<S: EventSink>(
        &mut self,
        sequence: Sequence,
        nanos: Nanos,
        instrument: InstrumentId,
        events: &mut S,
    ) {
        assert!(
            instrument == self.instrument,
            "a command for {instrument} in the book of {}",
            self.instrument
        );
        assert!(
            sequence > self.last_sequence,
            "command {sequence} after {}: the book's commands are not in sequence",
            self.last_sequence
        );
        self.last_sequence = sequence;
        self.now = nanos;
        // 2^64 commands would take 2^64 sequences, which are counted with a check.
        self.counters.commands = self.counters.commands.wrapping_add(1);
        events.begin(sequence, nanos, self.instrument);
        if nanos >= self.due {
            self.catch_up(events);
        }
    }

    /// What comes after each command: stop orders that it triggered get their turns.
    #[inline(always)]
    fn finish<S: EventSink>(&mut self, events: &mut S) {
        if self.turns > 0 {
            self.give_turns(events);
        }
        if cfg!(debug_assertions) {
            self.check_now_and_then();
        }
    }

    #[inline(always)]
    fn enter<S: EventSink>(&mut self, enter: &EnterOrder, events: &mut S) {
        let is_limit = enter.order_type == OrderType::Limit;
        let is_common = matches!(enter.time_in_force, TimeInForce::Day | TimeInForce::GoodTillCancel);
        if !is_limit | !is_common {
            // A copy, so that nothing else has to be in memory for what is called here.
            return self.enter_other(&{ *enter }, events);
        }
        self.numbers.count(enter.order.number());
        if !self.has_room(enter, true) {
            return self.reject(&{ *enter }, RejectReason::InvalidQuantity, events);
        }
        self.accept(enter, events);
        self.execute_resting(&Taker::of(enter), events);
    }

    /// Every order but a limit order for the day or until it is canceled.
    #[inline(never)]
    fn enter_other<S: EventSink>(&mut self, enter: &EnterOrder, events: &mut S) {
        if enter.order_type == OrderType::MarketToLimit || enter.time_in_force == TimeInForce::GoodTillDate {
            return self.enter_special(enter, &Instructions::NONE, events);
        }
        self.numbers.count(enter.order.number());
        if !self.has_room(enter, may_rest(enter.order_type, enter.time_in_force)) {
            return self.reject(enter, RejectReason::InvalidQuantity, events);
        }
        self.accept(enter, events);
        self.execute(&mut Taker::of(enter), events);
    }

    /// Whether an order asks for something, and its side has room for all of it if it needs it. Checked against the
    /// whole order, before it trades, so that the answer does not depend on the other side of the book.
    #[inline(always)]
    pub(super) fn has_room(&self, enter: &EnterOrder, needs_room: bool) -> bool {
        let fits = self.sides[enter.side as usize].open().checked_add(enter.quantity.lots()).is_some();
        !enter.quantity.is_zero() && (fits || !needs_room)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn reject<S: EventSink>(&mut self, enter: &EnterOrder, reason: RejectReason, events: &mut S) {
        self.say(events, EventKind::Rejected { order: enter.order, owner: enter.owner, reason });
    }

    #[inline(always)]
    pub(super) fn accept<S: EventSink>(&mut self, enter: &EnterOrder, events: &mut S) {
        let accepted = EventKind::Accepted {
            order: enter.order,
            owner: enter.owner,
            side: enter.side,
            order_type: enter.order_type,
            time_in_force: enter.time_in_force,
            price: enter.price,
            quantity: enter.quantity,
        };
        self.say(events, accepted);
    }

    #[inline(always)]
    fn cancel<S: EventSink>(&mut self, cancel: &CancelOrder, events: &mut S) {
        match self.find_owned(cancel.order.number(), cancel.owner) {
            Some(cell) => self.cancel_cell(cell, cancel.reason, events),
            None => self.refuse_cancel(&{ *cancel }, events),
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse_cancel<S: EventSink>(&mut self, cancel: &CancelOrder, events: &mut S) {
        let CancelOrder { order, owner, .. } = *cancel;
        self.say(events, EventKind::CancelRejected { order, owner, reason: RejectReason::UnknownOrder });
    }

    #[inline(always)]
    fn reduce<S: EventSink>(&mut self, reduce: &ReduceOrder, events: &mut S) {
        let ReduceOrder { order, owner, total, kind } = *reduce;
        let Some(cell) = self.find_owned(order.number(), owner) else {
            let reason = RejectReason::UnknownOrder;
            return self.say(events, EventKind::CancelRejected { order, owner, reason });
        };
        let open = self.open_of(cell);
        let leaves = total.lots().saturating_sub(self.cells[cell].executed);
        if leaves >= open {
            let reason = RejectReason::InvalidQuantity;
            self.say(events, EventKind::CancelRejected { order, owner, reason });
        } else if leaves == 0 {
            self.cancel_cell(cell, CancelReason::Requested, events);
        } else {
            self.reduce_cell(cell, open - leaves);
            let (quantity, leaves) = (Quantity(open - leaves), Quantity(leaves));
            self.say(events, EventKind::Reduced { order, owner, quantity, leaves, kind });
            if self.cells[cell].is_special() {
                self.retry_reduced(cell, events);
            }
        }
    }

    /// Takes something off an order, which keeps its place and something open.
    #[inline(always)]
    pub(super) fn reduce_cell(&mut self, cell: u32, by: u64) {
        let order = &mut self.cells[cell];
        if order.is_special() {
            return self.reduce_special(cell, by);
        }
        order.open -= by;
        let (level, side) = (order.level, order.side());
        self.cells[level].open -= by;
        self.sides[side as usize].shrink(by);
    }

    /// Takes an order out of the book and says so.
    #[inline(always)]
    pub(super) fn cancel_cell<S: EventSink>(&mut self, cell: u32, reason: CancelReason, events: &mut S) {
        let order = &self.cells[cell];
        let (number, owner, mut open) = (order.number(), order.owner, order.open);
        if order.is_special() {
            open = self.remove_special(cell);
        } else {
            self.remove_plain(cell);
        }
        let (order, quantity) = (self.id(number), Quantity(open));
        self.say(events, EventKind::Canceled { order, owner, quantity, reason });
    }

    /// What is open of an order, shown or not.
    #[inline(always)]
    pub(super) fn open_of(&self, cell: u32) -> u64 {
        let order = &self.cells[cell];
        if order.is_special() { order.open + self.hidden_part(cell) } else { order.open }
    }

    /// The cell of an order, when it is the session's and has that number of the session's.
    #[inline(always)]
    pub(super) fn find_owned(&self, number: u64, owner: Owner) -> Option<u32> {
        self.numbers.find(number).filter(|&cell| self.cells[cell].owner == owner)
    }
}
