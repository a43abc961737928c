//! An order of the reference book.

use domain::{
    AccountId, Display, EnterOrder, Execution, Instructions, Nanos, OrderId, OrderType, Owner, Price,
    Quantity, ReplaceOrder, Sequence, Side, TimeInForce, Trigger,
};

use crate::book::{RestingOrder, Special, Waiting};

/// An order: on its way in, resting, or waiting.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) id: OrderId,
    pub(super) owner: Owner,
    pub(super) account: AccountId,
    pub(super) side: Side,
    pub(super) order_type: OrderType,
    pub(super) time_in_force: TimeInForce,
    /// As given; the limit of a Limit order.
    pub(super) price: Price,
    pub(super) leaves: u64,
    pub(super) executed: u64,
    /// Those that are not spent.
    pub(super) instructions: Instructions,
    /// What is shown of an iceberg that rests; no meaning for any other order.
    pub(super) part: u64,
    pub(super) refreshes: u32,
    /// Where a stop that waits is triggered; `None` for a trailing one that has not seen a trade.
    pub(super) trigger: Option<Price>,
    pub(super) queued_by: Sequence,
    pub(super) queued_at: Nanos,
}

impl Order {
    /// What an Enter asks for.
    pub(super) fn entered(enter: &EnterOrder, instructions: Instructions) -> Self {
        Self {
            id: enter.order,
            owner: enter.owner,
            account: enter.account,
            side: enter.side,
            order_type: enter.order_type,
            time_in_force: enter.time_in_force,
            price: enter.price,
            leaves: enter.quantity.lots(),
            executed: 0,
            instructions,
            part: 0,
            refreshes: 0,
            trigger: None,
            queued_by: Sequence(0),
            queued_at: Nanos(0),
        }
    }

    /// What a Replace asks for: "side and account of the old". Its total is above what has been executed.
    pub(super) fn replacing(old: &Self, replace: &ReplaceOrder, instructions: Instructions) -> Self {
        Self {
            id: replace.new_order,
            owner: replace.owner,
            order_type: replace.order_type,
            time_in_force: replace.time_in_force,
            price: replace.price,
            leaves: replace.total.lots() - old.executed,
            instructions,
            part: 0,
            refreshes: 0,
            trigger: None,
            ..old.clone()
        }
    }

    pub(super) fn may_rest(&self) -> bool {
        let type_rests = self.order_type == OrderType::Limit || self.order_type == OrderType::MarketToLimit;
        let rests = [TimeInForce::Day, TimeInForce::GoodTillCancel, TimeInForce::GoodTillDate];
        type_rests && rests.contains(&self.time_in_force)
    }

    pub(super) fn is_all_or_none(&self) -> bool {
        self.instructions.execution == Execution::AllOrNone
    }

    pub(super) fn is_iceberg(&self) -> bool {
        matches!(self.instructions.display, Display::Iceberg { .. })
    }

    pub(super) fn waits_for_trigger(&self) -> bool {
        self.instructions.trigger != Trigger::None
    }

    /// "Displayed orders, then hidden orders, then all-or-none orders."
    fn kind(&self) -> u8 {
        if self.is_all_or_none() {
            2
        } else if self.instructions.display == Display::Hidden {
            1
        } else {
            0
        }
    }

    /// Whether it, which comes last, still stands before another order of its side.
    pub(super) fn comes_before(&self, other: &Self) -> bool {
        let better = match self.side {
            Side::Buy => self.price > other.price,
            Side::Sell => self.price < other.price,
        };
        better || (self.price == other.price && self.kind() < other.kind())
    }

    /// What an incoming order can take of it, resting, before it has to show more.
    pub(super) fn within_reach(&self) -> u64 {
        if self.is_iceberg() { self.part } else { self.leaves }
    }

    /// Makes it smaller, "from what is not shown first".
    pub(super) fn shrink_to(&mut self, leaves: u64) {
        self.leaves = leaves;
        self.part = self.part.min(leaves);
    }

    /// How a book shows it.
    pub(super) fn shown(&self, waits: bool) -> RestingOrder {
        let waiting = match (waits, self.waits_for_trigger()) {
            (false, _) => Waiting::No,
            (true, true) => Waiting::ForTrigger(self.trigger),
            (true, false) => Waiting::ForTurn,
        };
        let shown = if waits || self.kind() > 0 { 0 } else { self.within_reach() };
        let special = (waits || self.instructions != Instructions::NONE).then_some(Special {
            instructions: self.instructions,
            order_type: self.order_type,
            shown: Quantity(shown),
            refreshes: self.refreshes,
            waiting,
        });
        RestingOrder {
            order: self.id,
            owner: self.owner,
            account: self.account,
            side: self.side,
            price: self.price,
            leaves: Quantity(self.leaves),
            executed: Quantity(self.executed),
            time_in_force: self.time_in_force,
            queued_by: self.queued_by,
            queued_at: self.queued_at,
            special,
        }
    }

    /// The order that is shown so.
    pub(super) fn showing(shown: &RestingOrder) -> Self {
        let (instructions, order_type, part, refreshes, waiting) = match shown.special {
            None => (Instructions::NONE, OrderType::Limit, Quantity::ZERO, 0, Waiting::No),
            Some(s) => (s.instructions, s.order_type, s.shown, s.refreshes, s.waiting),
        };
        Self {
            id: shown.order,
            owner: shown.owner,
            account: shown.account,
            side: shown.side,
            order_type,
            time_in_force: shown.time_in_force,
            price: shown.price,
            leaves: shown.leaves.lots(),
            executed: shown.executed.lots(),
            instructions,
            part: part.lots(),
            refreshes,
            trigger: if let Waiting::ForTrigger(trigger) = waiting { trigger } else { None },
            queued_by: shown.queued_by,
            queued_at: shown.queued_at,
        }
    }
}
