//! An order that comes in: what it trades with, and what becomes of what is left.

use domain::{
    CancelReason, Display, EventKind, Events, Execution, Liquidity, OrderId, OrderType, Price, Quantity,
    SelfTrade, SelfTradePolicy, Side, TimeInForce, TradeId,
};

use super::order::Order;
use super::{Doing, ReferenceBook};
use crate::book::LastTrade;

impl ReferenceBook {
    /// An order that is in no list comes in: a new one, one in another's place, a triggered one that has its turn, or
    /// an all-or-none order that is tried again.
    pub(super) fn come_in(&mut self, mut taker: Order, doing: &mut Doing<'_>) {
        let refused = match taker.instructions.execution {
            Execution::Minimum(minimum) if self.could_trade(&taker) < minimum.lots() => {
                Some(CancelReason::MinimumQuantity)
            }
            Execution::AllOrNone if self.could_trade(&taker) < taker.leaves => {
                return self.rest(taker, doing);
            }
            _ if taker.time_in_force == TimeInForce::FillOrKill
                && self.could_trade(&taker) < taker.leaves =>
            {
                Some(CancelReason::FillOrKill)
            }
            _ => None,
        };
        if let Some(reason) = refused {
            return self.say_canceled(&taker, reason, doing);
        }
        if taker.order_type == OrderType::MarketToLimit {
            // "Its limit is the best price of the other side when it comes in. With nothing there: NoLiquidity."
            let Some(limit) = self.best_for(&taker) else {
                return self.say_canceled(&taker, CancelReason::NoLiquidity, doing);
            };
            taker.price = limit;
        }
        self.take(&mut taker, doing);
        if taker.leaves == 0 {
            return;
        }
        if taker.order_type == OrderType::Market {
            self.say_canceled(&taker, CancelReason::NoLiquidity, doing);
        } else if taker.time_in_force == TimeInForce::ImmediateOrCancel {
            self.say_canceled(&taker, CancelReason::ImmediateOrCancel, doing);
        } else {
            if taker.order_type == OrderType::MarketToLimit {
                taker.order_type = OrderType::Limit;
                let Order { id: order, owner, price, .. } = taker;
                let leaves = Quantity(taker.leaves);
                self.say(EventKind::Restated { order, owner, price, leaves }, doing);
            }
            self.rest(taker, doing);
        }
    }

    /// "Exactly: how much would be traded if the order came in with neither of these": so it does, in a copy.
    fn could_trade(&self, taker: &Order) -> u64 {
        let mut taker = taker.clone();
        taker.instructions.execution = Execution::Any;
        // "Nothing behind the first that it would meet (CancelNewest, CancelBoth, Decrement)."
        if let Some(own) = &mut taker.instructions.self_trade
            && own.policy != SelfTradePolicy::CancelOldest
        {
            own.policy = SelfTradePolicy::CancelNewest;
        }
        let sides = self.sides.clone();
        let mut copy = Self { header: self.header, sides, stops: Vec::new(), turns: Vec::new() };
        if taker.order_type == OrderType::MarketToLimit {
            let Some(limit) = copy.best_for(&taker) else { return 0 };
            taker.price = limit;
        }
        let before = taker.executed;
        let mut events = Events::new();
        let (sequence, nanos) = (self.header.last_sequence, taker.queued_at);
        copy.take(&mut taker, &mut Doing { sequence, nanos, turns: 0, events: &mut events });
        taker.executed - before
    }

    /// Whether an order can trade with a resting one, but for prices: "an incoming order with less left passes an
    /// all-or-none order over".
    fn can_fill(taker: &Order, maker: &Order) -> bool {
        !maker.is_all_or_none() || taker.leaves >= maker.leaves
    }

    /// The best price at which an order could trade if it had no limit.
    pub(super) fn best_for(&self, taker: &Order) -> Option<Price> {
        let mut makers = self.sides[taker.side.opposite() as usize].iter();
        makers.find(|maker| Self::can_fill(taker, maker)).map(|maker| maker.price)
    }

    /// Where the resting order stands that an order would trade with next.
    fn next_for(&self, taker: &Order) -> Option<usize> {
        let within_limit = |maker: &Order| match (taker.order_type, taker.side) {
            (OrderType::Market, _) => true,
            (_, Side::Buy) => maker.price <= taker.price,
            (_, Side::Sell) => maker.price >= taker.price,
        };
        let makers = &self.sides[taker.side.opposite() as usize];
        makers.iter().position(|maker| within_limit(maker) && Self::can_fill(taker, maker))
    }

    /// "An incoming order trades with the other side's best order as long as both want to." Nothing is left of it
    /// afterwards when it was canceled.
    fn take(&mut self, taker: &mut Order, doing: &mut Doing<'_>) {
        while taker.leaves > 0
            && let Some(at) = self.next_for(taker)
        {
            let maker = &self.sides[taker.side.opposite() as usize][at];
            match (taker.instructions.self_trade, maker.instructions.self_trade) {
                (Some(own), Some(other)) if own.group == other.group => self.meet_own(own, taker, at, doing),
                _ => self.trade(taker, at, doing),
            }
        }
    }

    /// One trade with the resting order at `at`.
    fn trade(&mut self, taker: &mut Order, at: usize, doing: &mut Doing<'_>) {
        let side = taker.side.opposite();
        let trade = TradeId::new(self.header.instrument, self.header.counters.trades + 1);
        let maker = &mut self.sides[side as usize][at];
        let lots = taker.leaves.min(maker.within_reach());
        taker.leaves -= lots;
        taker.executed += lots;
        maker.executed += lots;
        Self::take_off(maker, lots);
        let (price, quantity) = (maker.price, Quantity(lots));
        let traded = EventKind::Traded {
            trade,
            price,
            quantity,
            taker_side: taker.side,
            maker: maker.id,
            maker_owner: maker.owner,
            maker_leaves: Quantity(maker.leaves),
            taker: taker.id,
            taker_owner: taker.owner,
            taker_leaves: Quantity(taker.leaves),
        };
        self.header.last_trade = Some(LastTrade { trade, price, quantity });
        self.say(traded, doing);
        self.traded_at(price, doing);
        self.settle(side, at, doing);
    }

    /// An order meets a resting one, at `at`, of its own group.
    fn meet_own(&mut self, own: SelfTrade, taker: &mut Order, at: usize, doing: &mut Doing<'_>) {
        let side = taker.side.opposite();
        let list = side as usize;
        let reason = CancelReason::SelfTrade;
        if own.policy == SelfTradePolicy::CancelOldest || own.policy == SelfTradePolicy::CancelBoth {
            let maker = self.sides[list].remove(at);
            self.say_canceled(&maker, reason, doing);
        }
        if own.policy == SelfTradePolicy::CancelNewest || own.policy == SelfTradePolicy::CancelBoth {
            self.say_canceled(taker, reason, doing);
            taker.leaves = 0;
        }
        if own.policy == SelfTradePolicy::Decrement {
            let maker = &mut self.sides[list][at];
            let lots = taker.leaves.min(maker.within_reach());
            taker.leaves -= lots;
            Self::take_off(maker, lots);
            let maker = maker.clone();
            self.say_decremented(&maker, lots, maker.price, Liquidity::Added, doing);
            self.say_decremented(taker, lots, maker.price, Liquidity::Removed, doing);
            self.settle(side, at, doing);
        }
    }

    fn take_off(maker: &mut Order, lots: u64) {
        maker.leaves -= lots;
        if maker.is_iceberg() {
            maker.part -= lots;
        }
    }

    /// "`Decremented` by q, or, when nothing is left of it, `Canceled` SelfTrade with quantity q."
    fn say_decremented(
        &mut self,
        order: &Order,
        lots: u64,
        price: Price,
        liquidity: Liquidity,
        doing: &mut Doing<'_>,
    ) {
        let (id, owner, quantity, leaves) = (order.id, order.owner, Quantity(lots), Quantity(order.leaves));
        self.say(
            if order.leaves == 0 {
                EventKind::Canceled { order: id, owner, quantity, reason: CancelReason::SelfTrade }
            } else {
                EventKind::Decremented { order: id, owner, quantity, leaves, price, liquidity }
            },
            doing,
        );
    }

    /// A resting order that lost something goes when nothing is left, and shows its next part when none is shown.
    fn settle(&mut self, side: Side, at: usize, doing: &mut Doing<'_>) {
        let maker = &self.sides[side as usize][at];
        if maker.leaves > 0 && maker.within_reach() > 0 {
            return;
        }
        let mut maker = self.sides[side as usize].remove(at);
        if maker.leaves > 0 {
            maker.refreshes = maker.refreshes.wrapping_add(1);
            maker.part = next_part(&maker);
            (maker.queued_by, maker.queued_at) = (doing.sequence, doing.nanos);
            let Order { id: order, owner, part, leaves, .. } = maker;
            let (shown, leaves) = (Quantity(part), Quantity(leaves));
            self.queue(maker);
            self.say(EventKind::Refreshed { order, owner, shown, leaves }, doing);
        }
    }

    /// What is left of an order comes to rest, last in its queue.
    fn rest(&mut self, mut order: Order, doing: &mut Doing<'_>) {
        let other_side = order.side.opposite();
        if let Execution::Minimum(_) = order.instructions.execution {
            order.instructions.execution = Execution::Any;
        }
        if let Display::Iceberg { peak, .. } = order.instructions.display {
            order.part = peak.lots().min(order.leaves);
        }
        (order.queued_by, order.queued_at) = (doing.sequence, doing.nanos);
        self.queue(order);
        // "The all-or-none orders of the other side are looked at in priority: the first that can now trade whole
        // does so as the incoming order; then they are looked at anew, until none can."
        while let Some(now_whole) = self.sides[other_side as usize]
            .iter()
            .find(|order| order.is_all_or_none() && self.could_trade(order) == order.leaves)
        {
            self.try_again(now_whole.id, doing);
        }
    }

    /// A resting all-or-none order trades whole, if it can now.
    pub(super) fn try_again(&mut self, id: OrderId, doing: &mut Doing<'_>) {
        let order = self.order(id).clone();
        if self.could_trade(&order) == order.leaves {
            self.remove(id);
            self.come_in(order, doing);
        }
    }
}

/// How much an iceberg shows next: "the peak; with a spread, peak - spread + r mod (2 x spread + 1); never more than
/// what is open".
fn next_part(order: &Order) -> u64 {
    let Display::Iceberg { peak, spread, seed } = order.instructions.display else {
        unreachable!("only icebergs show parts")
    };
    let state = u64::from(seed) + (u64::from(order.refreshes) << 32);
    let spread = u128::from(spread);
    let lots = u128::from(peak.lots()) - spread + u128::from(split_mix_64(state)) % (2 * spread + 1);
    u64::try_from(lots).unwrap_or(u64::MAX).min(order.leaves)
}

/// SplitMix64's output for a state (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn split_mix_64(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
