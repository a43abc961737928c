//! What random commands got to: how often each event, each reason and each rare path was seen. A flow that silently
//! stopped covering something would prove nothing about it.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    CancelReason, Command, Display, Event, EventKind, Execution, Instructions, OrderId, OrderType, Quantity,
    RejectReason, Sequenced, TimeInForce, Trigger,
};
use engine::book::{BookView, RestingOrder, Waiting};
use engine::reference::ReferenceBook;

use crate::support::{orders, stops};

/// Everything that must be seen.
const SIGHTS: &[&str] = &[
    "accepted",
    "all-or-none: keeps its place",
    "all-or-none: stands at a crossing price",
    "all-or-none: trades as it comes in",
    "all-or-none: trades as it rests",
    "all-or-none: trades at once when it became smaller",
    "all-or-none: trades with another",
    "all-or-none: tried again, with success",
    "canceled: EndOfDay",
    "canceled: Expired",
    "canceled: FillOrKill",
    "canceled: ImmediateOrCancel",
    "canceled: InvalidReplacement",
    "canceled: MassCancel",
    "canceled: MinimumQuantity",
    "canceled: NoLiquidity",
    "canceled: Requested",
    "canceled: SelfTrade",
    "cancel rejected",
    "decremented",
    "expired: several at once",
    "expired: a stop",
    "hidden: keeps its place",
    "hidden: trades as it rests",
    "iceberg: decremented, and shows more",
    "iceberg: keeps its place",
    "iceberg: shows several parts in one command",
    "iceberg: shows what a spread drew",
    "market-to-limit: filled at once",
    "market-to-limit: immediate-or-cancel",
    "market-to-limit: restated",
    "market-to-limit: with nothing there",
    "mass cancel of nothing",
    "mass canceled",
    "minimum: met",
    "paused",
    "post-only: refused in a replacement",
    "post-only: slides",
    "post-only: slides in a replacement",
    "quantity above 2^63",
    "reduced",
    "refreshed",
    "rejected: Expired",
    "rejected: InvalidDisplay",
    "rejected: InvalidInstructions",
    "rejected: InvalidQuantity",
    "rejected: InvalidTimeInForce",
    "rejected: TooManyOrders",
    "rejected: TooManyStops",
    "rejected: WouldTrade",
    "replaced",
    "replace rejected: Expired",
    "replace rejected: InvalidDisplay",
    "replace rejected: InvalidInstructions",
    "replace rejected: InvalidQuantity",
    "replace rejected: InvalidTimeInForce",
    "replace rejected: TooManyOrders",
    "replace rejected: TooManyStops",
    "replace rejected: UnknownOrder",
    "restated",
    "self-trade: CancelBoth",
    "self-trade: CancelNewest",
    "self-trade: CancelOldest",
    "self-trade: Decrement",
    "stop: reduced",
    "stop: replaced",
    "stop: trailing, moved",
    "stop: trailing, replaced, goes on",
    "stop: trailing, triggered",
    "stop: trailing, without a trigger",
    "stop: triggered as it comes",
    "stop: triggered by a turn",
    "traded",
    "triggered",
    "turn: all-or-none",
    "turn: market-to-limit",
    "turn: owed from the command before",
    "waits for its turn: canceled",
    "waits for its turn: canceled at the end of the day or with many",
    "waits for its turn: expires",
    "waits for its turn: reduced",
    "waits for its turn: replaced",
];

/// Turns that a command gives: who stands further behind in the queue waits for the next.
const TURNS: usize = 128;

/// What the orders of one book asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    instructions: Instructions,
    order_type: OrderType,
    time_in_force: TimeInForce,
    triggered: bool,
}

/// How often each sight was seen, in many books.
#[derive(Clone, Debug)]
pub(crate) struct Coverage {
    pub(crate) commands: u64,
    seen: BTreeMap<&'static str, u64>,
    /// Of the book that is looked at.
    asked: BTreeMap<OrderId, Asked>,
    /// Who waited for a turn after the last command.
    turns: Vec<OrderId>,
    /// Where trailing stops had their triggers when last looked at.
    trailing: BTreeMap<OrderId, Waiting>,
}

impl Default for Coverage {
    fn default() -> Self {
        let seen = SIGHTS.iter().map(|&sight| (sight, 0)).collect();
        Self { commands: 0, seen, asked: BTreeMap::new(), turns: Vec::new(), trailing: BTreeMap::new() }
    }
}

impl Coverage {
    /// Looks at a new book from here on.
    pub(crate) fn begin(&mut self) {
        self.asked.clear();
        self.turns.clear();
        self.trailing.clear();
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.commands += other.commands;
        for (sight, times) in &other.seen {
            *self.seen.get_mut(sight).expect("all know the same sights") += times;
        }
    }

    pub(crate) fn unseen(&self) -> Vec<&'static str> {
        self.seen.iter().filter(|(_, times)| **times == 0).map(|(&sight, _)| sight).collect()
    }

    pub(crate) fn print(&self) {
        for (sight, times) in &self.seen {
            println!("{times:>10}  {sight}");
        }
    }

    fn saw(&mut self, sight: &str) {
        *self.seen.get_mut(sight).unwrap_or_else(|| panic!("{sight} is in no list")) += 1;
    }

    fn asked(&self, order: OrderId) -> Asked {
        self.asked[&order]
    }

    fn all_or_none(&self, order: OrderId) -> bool {
        self.asked[&order].instructions.execution == Execution::AllOrNone
    }

    /// Looks at a command, all that was said to it, and the book after it.
    pub(crate) fn look(&mut self, command: &Sequenced<Command>, events: &[Event], book: &ReferenceBook) {
        self.commands += 1;
        self.learn(&command.command);
        let mut parts: BTreeSet<OrderId> = BTreeSet::new();
        let mut expired = 0;
        for (index, event) in events.iter().enumerate() {
            let before = index.checked_sub(1).map(|before| events[before].kind);
            match event.kind {
                EventKind::Refreshed { order, .. } if !parts.insert(order) => {
                    self.saw("iceberg: shows several parts in one command");
                }
                EventKind::Canceled { reason: CancelReason::Expired, .. } => expired += 1,
                _ => {}
            }
            self.look_at(&command.command, &event.kind, before.as_ref(), events);
        }
        if expired > 1 {
            self.saw("expired: several at once");
        }
        if self.commands.is_multiple_of(16)
            || book.header().resting > 1_000 && self.commands.is_multiple_of(4)
        {
            self.look_at_book(book);
        }
        self.turns.clear();
        if let Some(EventKind::Paused { .. }) = events.last().map(|event| event.kind) {
            let waits = |order: &&RestingOrder| order.special.expect("it waits").waiting == Waiting::ForTurn;
            self.turns = stops(book).iter().filter(waits).map(|order| order.order).collect();
        }
    }

    /// Remembers what an order asks for.
    fn learn(&mut self, command: &Command) {
        let (order, order_type, time_in_force, instructions) = match command {
            Command::Enter(c) => (c.order, c.order_type, c.time_in_force, Instructions::NONE),
            Command::EnterSpecial(c) => {
                (c.enter.order, c.enter.order_type, c.enter.time_in_force, c.instructions)
            }
            Command::Replace(c) => {
                let kept = self.asked.get(&c.order).map_or(Instructions::NONE, |asked| asked.instructions);
                (c.new_order, c.order_type, c.time_in_force, kept)
            }
            Command::ReplaceSpecial(c) => {
                (c.replace.new_order, c.replace.order_type, c.replace.time_in_force, c.instructions)
            }
            _ => return,
        };
        self.asked.insert(order, Asked { instructions, order_type, time_in_force, triggered: false });
    }

    fn look_at(&mut self, command: &Command, kind: &EventKind, before: Option<&EventKind>, events: &[Event]) {
        // Whom no turn of this command can have reached.
        let waits = |order: OrderId| self.turns.iter().skip(TURNS).any(|&waits| waits == order);
        match *kind {
            EventKind::Accepted { order, price, quantity, .. } => {
                self.saw("accepted");
                if quantity > Quantity(1 << 63) {
                    self.saw("quantity above 2^63");
                }
                if let Command::EnterSpecial(special) = command
                    && special.enter.order == order
                    && special.enter.price != price
                {
                    self.saw("post-only: slides");
                }
            }
            EventKind::Rejected { reason, .. } => self.saw(&format!("rejected: {reason:?}")),
            EventKind::Traded { maker, taker, taker_leaves, .. } => {
                self.traded(command, maker, taker, taker_leaves, events);
            }
            EventKind::Canceled { order, reason, .. } => {
                let waits = waits(order);
                self.canceled(command, order, reason, waits);
            }
            EventKind::Reduced { order, .. } => {
                let waits = waits(order);
                self.saw("reduced");
                let asked = self.asked(order);
                if waits {
                    self.saw("waits for its turn: reduced");
                } else if asked.instructions.trigger != Trigger::None && !asked.triggered {
                    self.saw("stop: reduced");
                }
            }
            EventKind::Replaced { old, order, price, kept_priority, .. } => {
                let waits = waits(old);
                self.replaced(command, old, order, kept_priority);
                if waits {
                    self.saw("waits for its turn: replaced");
                }
                if let Command::ReplaceSpecial(special) = command
                    && special.replace.price != price
                {
                    self.saw("post-only: slides in a replacement");
                }
            }
            EventKind::ReplaceRejected { reason, .. } => match reason {
                RejectReason::WouldTrade => self.saw("post-only: refused in a replacement"),
                _ => self.saw(&format!("replace rejected: {reason:?}")),
            },
            EventKind::Triggered { order, .. } => {
                self.saw("triggered");
                let asked = self.asked.get_mut(&order).expect("it was asked for");
                asked.triggered = true;
                if let Trigger::Trailing { .. } = asked.instructions.trigger {
                    self.saw("stop: trailing, triggered");
                }
                match before {
                    Some(EventKind::Accepted { .. } | EventKind::Replaced { .. }) => {
                        self.saw("stop: triggered as it comes");
                    }
                    Some(EventKind::Traded { taker, .. }) if self.asked(*taker).triggered => {
                        self.saw("stop: triggered by a turn");
                    }
                    _ => {}
                }
            }
            EventKind::Refreshed { order, .. } => {
                self.saw("refreshed");
                if let Display::Iceberg { spread: 1.., .. } = self.asked(order).instructions.display {
                    self.saw("iceberg: shows what a spread drew");
                }
                match before {
                    Some(EventKind::Decremented { .. }) => self.saw("iceberg: decremented, and shows more"),
                    Some(EventKind::Canceled { reason: CancelReason::SelfTrade, .. }) => {
                        self.saw("iceberg: decremented, and shows more");
                    }
                    _ => {}
                }
            }
            EventKind::Restated { order, .. } => {
                self.saw("restated");
                self.saw("market-to-limit: restated");
                if self.asked(order).triggered {
                    self.saw("turn: market-to-limit");
                }
            }
            EventKind::Decremented { .. } => self.saw("decremented"),
            EventKind::MassCanceled { canceled: 0, .. } => self.saw("mass cancel of nothing"),
            EventKind::MassCanceled { .. } => self.saw("mass canceled"),
            EventKind::Paused { .. } => self.saw("paused"),
            EventKind::CancelRejected { .. } => self.saw("cancel rejected"),
        }
    }

    fn traded(
        &mut self,
        command: &Command,
        maker: OrderId,
        taker: OrderId,
        taker_leaves: Quantity,
        events: &[Event],
    ) {
        self.saw("traded");
        let Asked { instructions, order_type, triggered, .. } = self.asked(taker);
        if self.asked(maker).instructions.display == Display::Hidden {
            self.saw("hidden: trades as it rests");
        }
        if self.all_or_none(maker) {
            self.saw("all-or-none: trades as it rests");
            if self.all_or_none(taker) {
                self.saw("all-or-none: trades with another");
            }
        }
        if self.turns.contains(&taker) {
            self.saw("turn: owed from the command before");
        }
        if order_type == OrderType::MarketToLimit && taker_leaves.is_zero() {
            self.saw("market-to-limit: filled at once");
        }
        if let Execution::Minimum(_) = instructions.execution {
            self.saw("minimum: met");
        }
        if !self.all_or_none(taker) {
            return;
        }
        if triggered {
            self.saw("turn: all-or-none");
        } else if new_order(command) == Some(taker) {
            self.saw("all-or-none: trades as it comes in");
        } else {
            self.saw("all-or-none: tried again, with success");
        }
        let shrunk = events.iter().any(|event| match event.kind {
            EventKind::Reduced { order, .. } => order == taker,
            EventKind::Replaced { order, kept_priority, .. } => order == taker && kept_priority,
            _ => false,
        });
        if shrunk {
            self.saw("all-or-none: trades at once when it became smaller");
        }
    }

    fn canceled(&mut self, command: &Command, order: OrderId, reason: CancelReason, waits: bool) {
        let Asked { instructions, order_type, time_in_force, triggered } = self.asked(order);
        if let Command::Cancel(_) = command
            && reason != CancelReason::Expired
        {
            // The reason is the command's, and random.
            self.saw("canceled: Requested");
            if waits {
                self.saw("waits for its turn: canceled");
            }
            return;
        }
        self.saw(&format!("canceled: {reason:?}"));
        match reason {
            CancelReason::Expired if self.turns.contains(&order) => self.saw("waits for its turn: expires"),
            CancelReason::Expired if instructions.trigger != Trigger::None && !triggered => {
                self.saw("expired: a stop");
            }
            CancelReason::EndOfDay | CancelReason::MassCancel if waits => {
                self.saw("waits for its turn: canceled at the end of the day or with many");
            }
            CancelReason::NoLiquidity if order_type == OrderType::MarketToLimit => {
                self.saw("market-to-limit: with nothing there");
            }
            CancelReason::ImmediateOrCancel
                if order_type == OrderType::MarketToLimit
                    && time_in_force == TimeInForce::ImmediateOrCancel =>
            {
                self.saw("market-to-limit: immediate-or-cancel");
            }
            CancelReason::SelfTrade => {
                // Whose policy it was is clear where the incoming order is the command's own.
                let own = new_order(command).and_then(|order| self.asked(order).instructions.self_trade);
                if let Some(own) = own {
                    self.saw(&format!("self-trade: {:?}", own.policy));
                }
            }
            _ => {}
        }
    }

    fn replaced(&mut self, command: &Command, old: OrderId, new: OrderId, kept_priority: bool) {
        self.saw("replaced");
        let asked = self.asked(old);
        if asked.triggered {
            // What is spent is not kept.
            if let Command::Replace(_) = command {
                self.asked.get_mut(&new).expect("it was learned").instructions.trigger = Trigger::None;
            }
        } else if asked.instructions.trigger != Trigger::None {
            self.saw("stop: replaced");
            if let (Command::Replace(_), Trigger::Trailing { .. }) = (command, asked.instructions.trigger) {
                self.saw("stop: trailing, replaced, goes on");
            }
        }
        if kept_priority {
            match asked.instructions.display {
                Display::Full => {}
                Display::Iceberg { .. } => self.saw("iceberg: keeps its place"),
                Display::Hidden => self.saw("hidden: keeps its place"),
            }
            if self.all_or_none(old) {
                self.saw("all-or-none: keeps its place");
            }
        }
    }

    /// What is seen of a book and not of its events.
    fn look_at_book(&mut self, book: &ReferenceBook) {
        let [bids, asks] = [domain::Side::Buy, domain::Side::Sell].map(|side| orders(book, side));
        if let (Some(bid), Some(ask)) = (bids.first(), asks.first())
            && bid.price >= ask.price
        {
            self.saw("all-or-none: stands at a crossing price");
        }
        let mut trailing = BTreeMap::new();
        for stop in stops(book) {
            let special = stop.special.expect("it waits");
            if let Trigger::Trailing { .. } = special.instructions.trigger {
                if special.waiting == Waiting::ForTrigger(None) {
                    self.saw("stop: trailing, without a trigger");
                } else if self.trailing.get(&stop.order).is_some_and(|before| *before != special.waiting) {
                    self.saw("stop: trailing, moved");
                }
                trailing.insert(stop.order, special.waiting);
            }
        }
        self.trailing = trailing;
    }
}

/// The order that a command makes.
fn new_order(command: &Command) -> Option<OrderId> {
    match command {
        Command::Enter(enter) => Some(enter.order),
        Command::EnterSpecial(special) => Some(special.enter.order),
        Command::Replace(replace) => Some(replace.new_order),
        Command::ReplaceSpecial(special) => Some(special.replace.new_order),
        _ => None,
    }
}
