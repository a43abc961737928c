//! What makes an order special, as a snapshot holds it. Codes are those of `docs/journal-format.md`; a value that its
//! code does not use is 0.

use core::num::NonZeroU32;

use domain::{
    Display, Execution, Instructions, Nanos, OrderType, PostOnly, Price, Quantity, SelfTrade,
    SelfTradePolicy, Trigger,
};
use engine::book::{Special, Waiting};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(in crate::snapshot) struct SpecialRow {
    pub(in crate::snapshot) order_type: u8,
    pub(in crate::snapshot) trigger: u8,
    pub(in crate::snapshot) display: u8,
    pub(in crate::snapshot) execution: u8,
    pub(in crate::snapshot) policy: u8,
    /// 0 no, 1 for its trigger, 2 for its turn.
    pub(in crate::snapshot) waiting: u8,
    /// A stop's price or a trailing stop's distance, as 64 bits.
    pub(in crate::snapshot) trigger_value: u64,
    pub(in crate::snapshot) peak: u64,
    pub(in crate::snapshot) minimum: u64,
    pub(in crate::snapshot) expires: u64,
    pub(in crate::snapshot) spread: u32,
    pub(in crate::snapshot) seed: u32,
    pub(in crate::snapshot) group: u32,
    pub(in crate::snapshot) refreshes: u32,
    pub(in crate::snapshot) shown: u64,
    /// The price of the trigger that it waits for.
    pub(in crate::snapshot) reached_at: Option<i64>,
}

impl SpecialRow {
    pub(in crate::snapshot) fn of(special: &Special) -> Self {
        let Special { instructions, order_type, shown, refreshes, waiting } = *special;
        let Instructions { trigger, display, execution, self_trade, expires } = instructions;
        let (trigger, trigger_value) = match trigger {
            Trigger::None => (0, 0),
            Trigger::Stop(price) => (1, price.ticks() as u64),
            Trigger::Trailing { ticks } => (2, ticks),
        };
        let (display, peak, spread, seed) = match display {
            Display::Full => (0, 0, 0, 0),
            Display::Iceberg { peak, spread, seed } => (1, peak.lots(), spread, seed),
            Display::Hidden => (2, 0, 0, 0),
        };
        let (execution, minimum) = match execution {
            Execution::Any => (0, 0),
            Execution::Minimum(quantity) => (1, quantity.lots()),
            Execution::AllOrNone => (2, 0),
            Execution::PostOnly(PostOnly::Reject) => (3, 0),
            Execution::PostOnly(PostOnly::Slide) => (4, 0),
        };
        let (group, policy) = self_trade.map_or((0, 0), |of| (of.group.get(), of.policy as u8));
        let (waiting, reached_at) = match waiting {
            Waiting::No => (0, None),
            Waiting::ForTrigger(price) => (1, price.map(Price::ticks)),
            Waiting::ForTurn => (2, None),
        };
        Self {
            order_type: order_type as u8,
            trigger,
            display,
            execution,
            policy,
            waiting,
            trigger_value,
            peak,
            minimum,
            expires: expires.0,
            spread,
            seed,
            group,
            refreshes,
            shown: shown.lots(),
            reached_at,
        }
    }

    /// What it is of; `None` when it is of nothing, which is so when it is not what that would be written as.
    pub(in crate::snapshot) fn special(&self) -> Option<Special> {
        let trigger = match self.trigger {
            0 => Trigger::None,
            1 => Trigger::Stop(Price::new(self.trigger_value as i64)?),
            2 => Trigger::Trailing { ticks: self.trigger_value },
            _ => return None,
        };
        let display = match self.display {
            0 => Display::Full,
            1 => Display::Iceberg { peak: Quantity(self.peak), spread: self.spread, seed: self.seed },
            2 => Display::Hidden,
            _ => return None,
        };
        let execution = match self.execution {
            0 => Execution::Any,
            1 => Execution::Minimum(Quantity(self.minimum)),
            2 => Execution::AllOrNone,
            3 => Execution::PostOnly(PostOnly::Reject),
            4 => Execution::PostOnly(PostOnly::Slide),
            _ => return None,
        };
        let policy = SelfTradePolicy::from_u8(self.policy)?;
        let self_trade = NonZeroU32::new(self.group).map(|group| SelfTrade { group, policy });
        let waiting = match (self.waiting, self.reached_at) {
            (0, None) => Waiting::No,
            (1, None) => Waiting::ForTrigger(None),
            (1, Some(ticks)) => Waiting::ForTrigger(Some(Price::new(ticks)?)),
            (2, None) => Waiting::ForTurn,
            _ => return None,
        };
        let special = Special {
            instructions: Instructions {
                trigger,
                display,
                execution,
                self_trade,
                expires: Nanos(self.expires),
            },
            order_type: OrderType::from_u8(self.order_type)?,
            shown: Quantity(self.shown),
            refreshes: self.refreshes,
            waiting,
        };
        // A value that its code does not use is 0.
        let Self { trigger_value, peak, minimum, spread, seed, policy, .. } = Self::of(&special);
        let again = (trigger_value, peak, minimum, spread, seed, policy);
        let said = (self.trigger_value, self.peak, self.minimum, self.spread, self.seed, self.policy);
        (again == said).then_some(special)
    }
}
