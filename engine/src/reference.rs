//! The reference book: what a book must do, written to be obviously right and in no way fast.
//!
//! Each side is one sorted list of orders, best first; everything is a linear search through it. It shares no
//! code with [`Book`](crate::book::Book), only the vocabulary and the form in which a book shows itself, so that
//! a mistake would have to be made twice, in two shapes, to go unseen. Behind the cargo feature `reference`, for
//! tests only. The rules are in `docs/matching.md`; the comments here quote them.

use domain::{
    AccountId, CancelOrder, CancelReason, ClientRef, Command, EnterOrder, EventKind, EventSink, Events,
    InstrumentId, OrderId, OrderType, Owner, Price, Quantity, ReduceOrder, RejectReason, ReplaceOrder,
    ReplacePriority, Sequenced, SessionId, Side, TimeInForce, TradeId,
};

use crate::book::{BookHeader, BookView, LastTrade, RestingOrder};

/// A deliberately naive order book.
#[derive(Clone, Debug)]
pub struct ReferenceBook {
    /// `resting` is filled in when asked for.
    header: BookHeader,
    /// Highest price first; at one price in the order of the queue.
    bids: Vec<RestingOrder>,
    /// Lowest price first; at one price in the order of the queue.
    asks: Vec<RestingOrder>,
}

/// An order looking for the other side.
#[derive(Clone, Copy)]
struct Taker {
    order: OrderId,
    owner: Owner,
    account: AccountId,
    side: Side,
    order_type: OrderType,
    time_in_force: TimeInForce,
    price: Price,
    leaves: u64,
    executed: u64,
}

impl ReferenceBook {
    /// An empty book.
    #[must_use]
    pub fn new(instrument: InstrumentId) -> Self {
        let header = BookHeader { instrument, next_order_number: 1, ..BookHeader::default() };
        Self { header, bids: Vec::new(), asks: Vec::new() }
    }

    /// The book that shows what another shows.
    #[must_use]
    pub fn showing(book: &impl BookView) -> Self {
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        book.visit(Side::Buy, |order| bids.push(*order));
        book.visit(Side::Sell, |order| asks.push(*order));
        Self { header: book.header(), bids, asks }
    }

    /// Applies one command and says what it did, as [`Book::apply`](crate::book::Book::apply) does.
    ///
    /// # Panics
    /// When the command is not this book's next.
    pub fn apply(&mut self, command: &Sequenced<Command>, events: &mut Events) {
        match command.command {
            Command::Rejected(_) | Command::DefineInstrument(_) | Command::DefineSession(_) => return,
            Command::EndOfDay => {}
            _ => assert_eq!(command.command.instrument(), Some(self.header.instrument)),
        }
        assert!(command.sequence > self.header.last_sequence);
        self.header.last_sequence = command.sequence;
        self.header.counters.commands += 1;
        events.begin(command.sequence, command.nanos, self.header.instrument);
        match &command.command {
            Command::Enter(enter) => self.enter(enter, command, events),
            Command::Cancel(cancel) => self.cancel(cancel, events),
            Command::Reduce(reduce) => self.reduce(reduce, events),
            Command::Replace(replace) => self.replace(replace, command, events),
            Command::EndOfDay => self.end_of_day(events),
            _ => {}
        }
    }

    fn enter(&mut self, enter: &EnterOrder, command: &Sequenced<Command>, events: &mut Events) {
        self.count_order(enter.order);
        let refused = if enter.quantity == Quantity::ZERO {
            true
        } else if self.would_rest(enter.order_type, enter.time_in_force) {
            // "The open quantity of a side never exceeds 2^64 - 1 lots."
            self.open(enter.side) + u128::from(enter.quantity.lots()) > u128::from(u64::MAX)
        } else {
            false
        };
        if refused {
            let EnterOrder { order, owner, .. } = *enter;
            let reason = RejectReason::InvalidQuantity;
            self.say(events, EventKind::Rejected { order, owner, reason });
            return;
        }
        let EnterOrder { order, owner, side, order_type, time_in_force, price, quantity, account, .. } =
            *enter;
        let accepted = EventKind::Accepted { order, owner, side, order_type, time_in_force, price, quantity };
        self.say(events, accepted);
        let leaves = quantity.lots();
        let taker =
            Taker { order, owner, account, side, order_type, time_in_force, price, leaves, executed: 0 };
        self.take(taker, command, events);
    }

    fn cancel(&mut self, cancel: &CancelOrder, events: &mut Events) {
        let CancelOrder { order, owner, reason } = *cancel;
        if let Some((side, at)) = self.find(order, owner.session, owner.client_ref) {
            let quantity = self.orders_of(side).remove(at).leaves;
            self.say(events, EventKind::Canceled { order, owner, quantity, reason });
        } else {
            let reason = RejectReason::UnknownOrder;
            self.say(events, EventKind::CancelRejected { order, owner, reason });
        }
    }

    fn reduce(&mut self, reduce: &ReduceOrder, events: &mut Events) {
        let ReduceOrder { order, owner, total, kind } = *reduce;
        let Some((side, at)) = self.find(order, owner.session, owner.client_ref) else {
            let reason = RejectReason::UnknownOrder;
            self.say(events, EventKind::CancelRejected { order, owner, reason });
            return;
        };
        let resting = self.orders_of(side)[at];
        // "The size asked for counts what has been executed, and that stays executed."
        let already = resting.executed.lots();
        let wanted = if total.lots() > already { total.lots() - already } else { 0 };
        if wanted >= resting.leaves.lots() {
            let reason = RejectReason::InvalidQuantity;
            self.say(events, EventKind::CancelRejected { order, owner, reason });
        } else if wanted == 0 {
            self.orders_of(side).remove(at);
            let (quantity, reason) = (resting.leaves, CancelReason::Requested);
            self.say(events, EventKind::Canceled { order, owner, quantity, reason });
        } else {
            self.orders_of(side)[at].leaves = Quantity(wanted);
            let (quantity, leaves) = (Quantity(resting.leaves.lots() - wanted), Quantity(wanted));
            self.say(events, EventKind::Reduced { order, owner, quantity, leaves, kind });
        }
    }

    fn replace(&mut self, replace: &ReplaceOrder, command: &Sequenced<Command>, events: &mut Events) {
        let old = replace.order;
        let (order, original, owner) = (replace.new_order, replace.original, replace.owner);
        let (order_type, time_in_force, price) = (replace.order_type, replace.time_in_force, replace.price);
        self.count_order(order);
        let Some((side, at)) = self.find(old, owner.session, original) else {
            let reason = RejectReason::UnknownOrder;
            self.say(events, EventKind::ReplaceRejected { old, original, order, owner, reason });
            return;
        };
        let resting = self.orders_of(side)[at];
        let executed = resting.executed.lots();
        let nothing_new = replace.total.lots() <= executed;
        let open_of_others = self.open(side) - u128::from(resting.leaves.lots());
        let too_much = !nothing_new
            && self.would_rest(order_type, time_in_force)
            && open_of_others + u128::from(replace.total.lots() - executed) > u128::from(u64::MAX);
        if nothing_new || too_much {
            self.orders_of(side).remove(at);
            let (quantity, reason) = (resting.leaves, CancelReason::InvalidReplacement);
            self.say(events, EventKind::Canceled { order: old, owner: resting.owner, quantity, reason });
            let reason = RejectReason::InvalidQuantity;
            self.say(events, EventKind::ReplaceRejected { old, original, order, owner, reason });
            return;
        }
        let leaves = replace.total.lots() - executed;

        // "The place in the queue is kept when the request allows it, the new order may rest, the price is the
        // same, and not more is open than before."
        let kept_priority = replace.priority == ReplacePriority::KeepWherePossible
            && self.would_rest(order_type, time_in_force)
            && price == resting.price
            && leaves <= resting.leaves.lots();
        let replaced = EventKind::Replaced {
            old,
            original,
            order,
            owner,
            side,
            price,
            leaves: Quantity(leaves),
            kept_priority,
        };
        self.say(events, replaced);
        if kept_priority {
            let place = &mut self.orders_of(side)[at];
            place.order = order;
            place.owner = owner;
            place.leaves = Quantity(leaves);
            place.time_in_force = time_in_force;
        } else {
            self.orders_of(side).remove(at);
            let account = resting.account;
            let taker =
                Taker { order, owner, account, side, order_type, time_in_force, price, leaves, executed };
            self.take(taker, command, events);
        }
    }

    fn end_of_day(&mut self, events: &mut Events) {
        for side in [Side::Buy, Side::Sell] {
            let (over, live): (Vec<_>, Vec<_>) =
                self.orders_of(side).iter().partition(|order| order.time_in_force == TimeInForce::Day);
            *self.orders_of(side) = live;
            for RestingOrder { order, owner, leaves: quantity, .. } in over {
                let reason = CancelReason::EndOfDay;
                self.say(events, EventKind::Canceled { order, owner, quantity, reason });
            }
        }
    }

    /// "An incoming order trades with the other side's best order as long as both want to; what is left rests,
    /// when it may, and is canceled otherwise."
    fn take(&mut self, mut taker: Taker, command: &Sequenced<Command>, events: &mut Events) {
        let Taker { order, owner, side, .. } = taker;
        let within_limit = |maker: &RestingOrder| match (taker.order_type, side) {
            (OrderType::Market | OrderType::MarketToLimit, _) => true,
            (OrderType::Limit, Side::Buy) => maker.price <= taker.price,
            (OrderType::Limit, Side::Sell) => maker.price >= taker.price,
        };

        if taker.time_in_force == TimeInForce::FillOrKill {
            let makers = self.orders_of(side.opposite()).iter();
            let available: u128 =
                makers.filter(|maker| within_limit(maker)).map(|maker| u128::from(maker.leaves.lots())).sum();
            if available < u128::from(taker.leaves) {
                let (quantity, reason) = (Quantity(taker.leaves), CancelReason::FillOrKill);
                self.say(events, EventKind::Canceled { order, owner, quantity, reason });
                return;
            }
        }

        while taker.leaves > 0 {
            let Some(maker) = self.orders_of(side.opposite()).first_mut() else { break };
            if !within_limit(maker) {
                break;
            }
            let lots = if taker.leaves < maker.leaves.lots() { taker.leaves } else { maker.leaves.lots() };
            taker.leaves -= lots;
            taker.executed += lots;
            maker.leaves = Quantity(maker.leaves.lots() - lots);
            maker.executed = Quantity(maker.executed.lots() + lots);
            let maker = *maker;
            if maker.leaves == Quantity::ZERO {
                self.orders_of(side.opposite()).remove(0);
            }
            let trade = TradeId::new(self.header.instrument, self.header.counters.trades + 1);
            let (price, quantity) = (maker.price, Quantity(lots));
            self.header.last_trade = Some(LastTrade { trade, price, quantity });
            let traded = EventKind::Traded {
                trade,
                price,
                quantity,
                taker_side: side,
                maker: maker.order,
                maker_owner: maker.owner,
                maker_leaves: maker.leaves,
                taker: order,
                taker_owner: owner,
                taker_leaves: Quantity(taker.leaves),
            };
            self.say(events, traded);
        }

        let quantity = Quantity(taker.leaves);
        if quantity == Quantity::ZERO {
            return;
        }
        if taker.order_type == OrderType::Market {
            let reason = CancelReason::NoLiquidity;
            self.say(events, EventKind::Canceled { order, owner, quantity, reason });
        } else if taker.time_in_force == TimeInForce::ImmediateOrCancel {
            let reason = CancelReason::ImmediateOrCancel;
            self.say(events, EventKind::Canceled { order, owner, quantity, reason });
        } else {
            self.rest(RestingOrder {
                order,
                owner,
                account: taker.account,
                side,
                price: taker.price,
                leaves: quantity,
                executed: Quantity(taker.executed),
                time_in_force: taker.time_in_force,
                queued_by: command.sequence,
                queued_at: command.nanos,
                special: None,
            });
        }
    }

    /// Puts an order behind all that are at its price or a better one.
    fn rest(&mut self, order: RestingOrder) {
        let orders = self.orders_of(order.side);
        let mut at = 0;
        while at < orders.len()
            && match order.side {
                Side::Buy => orders[at].price >= order.price,
                Side::Sell => orders[at].price <= order.price,
            }
        {
            at += 1;
        }
        orders.insert(at, order);
    }

    fn orders_of(&mut self, side: Side) -> &mut Vec<RestingOrder> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// Where an order rests, when it is that session's and the session calls it so.
    fn find(&mut self, order: OrderId, session: SessionId, client_ref: ClientRef) -> Option<(Side, usize)> {
        for side in [Side::Buy, Side::Sell] {
            for (at, resting) in self.orders_of(side).iter().enumerate() {
                if resting.order == order {
                    let its_owner =
                        resting.owner.session == session && resting.owner.client_ref == client_ref;
                    return its_owner.then_some((side, at));
                }
            }
        }
        None
    }

    /// What is open on a side.
    fn open(&mut self, side: Side) -> u128 {
        self.orders_of(side).iter().map(|order| u128::from(order.leaves.lots())).sum()
    }

    fn would_rest(&self, order_type: OrderType, time_in_force: TimeInForce) -> bool {
        order_type == OrderType::Limit
            && (time_in_force == TimeInForce::Day || time_in_force == TimeInForce::GoodTillCancel)
    }

    fn count_order(&mut self, order: OrderId) {
        assert_eq!(order, OrderId::new(self.header.instrument, self.header.next_order_number));
        self.header.next_order_number += 1;
    }

    fn say(&mut self, events: &mut Events, kind: EventKind) {
        let counters = &mut self.header.counters;
        match kind {
            EventKind::Accepted { .. } => counters.accepted += 1,
            EventKind::Replaced { .. } => counters.replaced += 1,
            EventKind::Reduced { .. } => counters.reduced += 1,
            EventKind::Canceled { .. } => counters.canceled += 1,
            EventKind::Rejected { .. } => counters.rejected += 1,
            EventKind::ReplaceRejected { .. } => counters.rejected += 1,
            EventKind::CancelRejected { .. } => counters.rejected += 1,
            EventKind::Traded { quantity, .. } => {
                counters.trades += 1;
                counters.traded += u128::from(quantity.lots());
            }
            _ => {}
        }
        events.push(kind);
    }
}

impl BookView for ReferenceBook {
    fn header(&self) -> BookHeader {
        BookHeader { resting: (self.bids.len() + self.asks.len()) as u64, ..self.header }
    }

    fn visit_stops(&self, _see: impl FnMut(&RestingOrder)) {}

    fn visit(&self, side: Side, see: impl FnMut(&RestingOrder)) {
        match side {
            Side::Buy => self.bids.iter().for_each(see),
            Side::Sell => self.asks.iter().for_each(see),
        }
    }
}
