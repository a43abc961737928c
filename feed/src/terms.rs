//! What a command says of an order and no event repeats: how much of it is shown, whether it waits, and whether it may
//! rest.

use domain::{
    Command, Display, EnterSpecial, Execution, Instructions, OrderId, OrderType, Quantity, ReplaceSpecial,
    TimeInForce, Trigger,
};

/// How much of a resting order is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// All that is open.
    All,
    /// A part, or all when less is open.
    Part(Quantity),
    /// Nothing.
    Nothing,
}

impl Shows {
    /// What instructions say of it. An all-or-none order is never shown.
    #[must_use]
    pub fn of(instructions: &Instructions) -> Self {
        match (instructions.execution, instructions.display) {
            (Execution::AllOrNone, _) | (_, Display::Hidden) => Self::Nothing,
            (_, Display::Iceberg { peak, .. }) => Self::Part(peak),
            (_, Display::Full) => Self::All,
        }
    }
}

/// What there is to know of an order before its `Accepted` or `Replaced` comes, besides what that says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The order.
    pub order: OrderId,
    /// How much of it is shown; `None`: as much as of the order that it replaces.
    pub shows: Option<Shows>,
    /// Whether it waits for a trigger; `None`: when the order that it replaces does.
    pub waits: Option<bool>,
    /// Whether what is left of it rests at the price that it was given.
    pub rests: bool,
}

impl Terms {
    /// What a command says. `None` when the event says it all: of a plain order, and of a plain replacement that rests.
    #[inline]
    #[must_use]
    pub fn of(command: &Command) -> Option<Self> {
        match command {
            Command::EnterSpecial(EnterSpecial { enter, instructions }) => {
                let rests = rests(enter.order_type, enter.time_in_force);
                Some(Self::new(enter.order, instructions, rests))
            }
            Command::ReplaceSpecial(ReplaceSpecial { replace, instructions }) => {
                let rests = rests(replace.order_type, replace.time_in_force);
                Some(Self::new(replace.new_order, instructions, rests))
            }
            Command::Replace(replace) if !rests(replace.order_type, replace.time_in_force) => {
                Some(Self { order: replace.new_order, shows: None, waits: None, rests: false })
            }
            _ => None,
        }
    }

    fn new(order: OrderId, instructions: &Instructions, rests: bool) -> Self {
        let waits = instructions.trigger != Trigger::None;
        Self { order, shows: Some(Shows::of(instructions)), waits: Some(waits), rests }
    }
}

/// Whether what is left of such an order rests at the price that it was given.
pub(crate) const fn rests(order_type: OrderType, time_in_force: TimeInForce) -> bool {
    matches!(order_type, OrderType::Limit) && time_in_force.rests()
}
