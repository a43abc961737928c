//! What is remembered of FIX sessions: numbers in both directions, what their orders have traded, and the names that they have
//! used; and what is said to them, which is all of an order each time.
//!
//! Numbers. A report's number counts for ever; a message's number is what it is ahead of the report before its numbering. The
//! session's number of a request is the number of the message that made it, ahead of what was used before its numbering. So
//! both survive with the log, and neither is ever given twice.
//!
//! Whoever follows a log may hear what books say earlier or later, against commands, than whoever wrote it. So what a report
//! says comes from the commands that it answers and from what its own book has said before. The one exception is how an
//! order stands that a refused request names: that is not compared.

use std::collections::{BTreeMap, HashMap, VecDeque};

use domain::{
    CancelReason, ClientOrderId, ClientRef, Event, EventKind, FixAsk, FixRequest, Liquidity, Nanos,
    Numbering, OrderId, OrderReport, OrderReportKind, OrderStatus, OrderType, Owner, Price, Quantity,
    Refused, RefusedRequest, RejectReason, Report, ReportKind, Restatement, Said, Sequence, Sequenced,
    SessionId,
};
use journal::Position;

use super::{Cause, Session, Sessions};
use crate::orders::LiveOrder;

/// Names that a session has used most recently, and may not use again. Those of live orders are kept besides.
pub const RECENT_IDS: usize = 16_384;

/// What a name that a session has used stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// An order that lives, or is about to.
    Live,
    /// An order that lives no more.
    Over(OrderStatus),
    /// A request that was no order.
    NoOrder,
}

/// The names that a session has used, with its numbers of what they stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    /// Never iterated.
    by_text: HashMap<ClientOrderId, (ClientRef, Standing)>,
    /// In the order of use, so by rising number.
    recent: VecDeque<(ClientOrderId, ClientRef)>,
}

impl Ids {
    fn get(&self, id: &ClientOrderId) -> Option<(ClientRef, Standing)> {
        self.by_text.get(id).copied()
    }

    fn put(&mut self, id: ClientOrderId, client_ref: ClientRef, standing: Standing) {
        if self.recent.len() == RECENT_IDS
            && let Some((oldest, number)) = self.recent.pop_front()
            && self.by_text.get(&oldest).is_some_and(|(of, it)| *of == number && *it != Standing::Live)
        {
            self.by_text.remove(&oldest);
        }
        self.by_text.insert(id, (client_ref, standing));
        self.recent.push_back((id, client_ref));
    }

    /// An order lives no more.
    fn end(&mut self, id: &ClientOrderId, client_ref: ClientRef, status: OrderStatus) {
        let is_recent = self.recent.front().is_some_and(|(_, oldest)| client_ref >= *oldest);
        if is_recent {
            if let Some((of, standing)) = self.by_text.get_mut(id)
                && *of == client_ref
            {
                *standing = Standing::Over(status);
            }
        } else if self.by_text.get(id).is_some_and(|(of, _)| *of == client_ref) {
            self.by_text.remove(id);
        }
    }

    /// The name under which something of this number is known.
    fn name_of(&self, client_ref: ClientRef) -> Option<ClientOrderId> {
        let at = self.recent.binary_search_by_key(&client_ref, |(_, number)| *number).ok()?;
        Some(self.recent[at].0)
    }
}

/// A cancel or a replacement that its book has not answered.
#[derive(Clone, Copy, Debug)]
struct Asked {
    client_ref: ClientRef,
    client_order_id: ClientOrderId,
    original_id: ClientOrderId,
}

/// See the module.
#[derive(Debug, Default)]
pub struct FixState {
    /// Reports before the present numbering.
    out_base: u64,
    ref_base: ClientRef,
    next_in: u64,
    /// When the present numbering began.
    numbered_at: Nanos,
    /// By the number of the order that each is for, in turn.
    canceling: BTreeMap<ClientRef, VecDeque<Asked>>,
    /// By the number of the request.
    replacing: BTreeMap<ClientRef, Asked>,
    ids: Ids,
}

impl FixState {
    pub(super) fn new() -> Self {
        Self { next_in: 1, ..Self::default() }
    }

    /// The number that is expected next from the client.
    #[must_use]
    pub const fn next_in(&self) -> u64 {
        self.next_in
    }

    /// When the present numbering began: in sequenced time.
    #[must_use]
    pub const fn numbered_at(&self) -> Nanos {
        self.numbered_at
    }

    /// Reports before the present numbering: a report's message number is its own less this.
    #[must_use]
    pub const fn out_base(&self) -> u64 {
        self.out_base
    }

    /// What a message's number is counted from, to give the session's number of its request.
    #[must_use]
    pub const fn ref_base(&self) -> ClientRef {
        self.ref_base
    }

    /// What a name stands for.
    #[must_use]
    pub fn find(&self, id: &ClientOrderId) -> Option<(ClientRef, Standing)> {
        self.ids.get(id)
    }

    /// A message of the client has been dealt with, all before it included.
    fn heard(&mut self, client_ref: ClientRef) {
        let number = u64::from(client_ref.0.saturating_sub(self.ref_base.0));
        self.next_in = self.next_in.max(number + 1);
    }

    fn status(&self, session_order: Option<&LiveOrder>, client_ref: ClientRef) -> OrderStatus {
        match session_order {
            Some(live) if live.traded.cumulative > 0 => OrderStatus::PartiallyFilled,
            Some(_) => OrderStatus::New,
            None => {
                let standing = self.ids.name_of(client_ref).and_then(|id| self.ids.get(&id));
                match standing {
                    Some((_, Standing::Over(status))) => status,
                    // Too long ago to be known.
                    _ => OrderStatus::Rejected,
                }
            }
        }
    }

    /// The image of what is at rest; `None` when something is in flight.
    pub(super) fn image(&self) -> Option<FixImage> {
        (self.canceling.is_empty() && self.replacing.is_empty()).then(|| FixImage {
            out_base: self.out_base,
            ref_base: self.ref_base,
            next_in: self.next_in,
            numbered_at: self.numbered_at,
            ids: self
                .ids
                .recent
                .iter()
                .filter_map(|(id, number)| {
                    let (of, standing) = self.ids.get(id)?;
                    (of == *number).then_some((*id, *number, standing))
                })
                .collect(),
        })
    }

    /// The state that was imaged. `orders`: the live ones.
    pub(super) fn restore<'a>(
        image: FixImage,
        orders: impl Iterator<Item = (ClientRef, &'a LiveOrder)>,
    ) -> Self {
        let mut ids = Ids::default();
        for (number, order) in orders {
            ids.by_text.insert(order.client_order_id, (number, Standing::Live));
        }
        for (id, number, standing) in image.ids {
            ids.by_text.insert(id, (number, standing));
            ids.recent.push_back((id, number));
        }
        Self {
            out_base: image.out_base,
            ref_base: image.ref_base,
            next_in: image.next_in,
            numbered_at: image.numbered_at,
            canceling: BTreeMap::new(),
            replacing: BTreeMap::new(),
            ids,
        }
    }
}

/// What a snapshot has of a FIX session besides what it has of any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixImage {
    /// Reports before the present numbering.
    pub out_base: u64,
    /// See [`FixState::ref_base`].
    pub ref_base: ClientRef,
    /// See [`FixState::next_in`].
    pub next_in: u64,
    /// See [`FixState::numbered_at`].
    pub numbered_at: Nanos,
    /// Names used most recently, by the number of what they stand for, rising.
    pub ids: Vec<(ClientOrderId, ClientRef, Standing)>,
}

impl Session {
    /// How an order of a FIX session stands, as a report says it.
    #[must_use]
    pub fn order_report(&self, client_ref: ClientRef) -> Option<OrderReport> {
        let fix = self.fix.as_deref()?;
        let live = self.order(client_ref)?;
        let status = fix.status(Some(live), client_ref);
        Some(report(OrderReportKind::New, status, client_ref, live, live.leaves()))
    }
}

pub(super) fn report(
    kind: OrderReportKind,
    status: OrderStatus,
    client_ref: ClientRef,
    live: &LiveOrder,
    leaves: Quantity,
) -> OrderReport {
    OrderReport {
        kind,
        status,
        client_ref,
        order: live.order,
        echo: live.echo,
        time_in_force: live.time_in_force,
        price: live.price,
        quantity: live.quantity,
        cumulative: Quantity(live.traded.cumulative),
        leaves,
        notional: live.traded.notional,
        client_order_id: live.client_order_id,
        original_id: ClientOrderId::BLANK,
    }
}

/// How an order stands that was canceled for this reason.
pub(super) fn canceled(reason: CancelReason) -> OrderStatus {
    match reason {
        CancelReason::ImmediateOrCancel
        | CancelReason::FillOrKill
        | CancelReason::NoLiquidity
        | CancelReason::MinimumQuantity
        | CancelReason::EndOfDay
        | CancelReason::Expired => OrderStatus::Expired,
        CancelReason::Requested
        | CancelReason::InvalidReplacement
        | CancelReason::SelfTrade
        | CancelReason::MassCancel
        | CancelReason::Disconnected => OrderStatus::Canceled,
    }
}

/// A book has let go of the order before the request came to it.
fn too_late(reason: RejectReason) -> RejectReason {
    if reason == RejectReason::UnknownOrder { RejectReason::TooLate } else { reason }
}

impl Sessions {
    /// A FIX session has been defined: its numbering begins.
    pub(super) fn fix_begins(&mut self, id: SessionId, nanos: Nanos) {
        if let Some(fix) = &mut self.session(id).fix {
            fix.numbered_at = nanos;
        }
    }

    /// A FIX session's order has been sequenced: its name is used, and its message dealt with.
    pub(super) fn fix_named(&mut self, owner: Owner, id: ClientOrderId) {
        if let Some(fix) = &mut self.session(owner.session).fix {
            fix.ids.put(id, owner.client_ref, Standing::Live);
            fix.heard(owner.client_ref);
        }
    }

    /// A FIX session asked for something.
    pub(super) fn fix_request(
        &mut self,
        command: &Sequenced<domain::Command>,
        request: &FixRequest,
        log: &mut impl FnMut(&Report) -> Position,
    ) {
        let FixRequest { session: id, client_ref, ask, client_order_id, original_id } = *request;
        let session = self.session(id);
        session.consumed = session.consumed.max(client_ref);
        let Some(fix) = &mut session.fix else { return };
        fix.heard(client_ref);
        let is_duplicate = matches!(ask, FixAsk::Refused(_, RejectReason::DuplicateClientOrderId));
        if !is_duplicate {
            let standing = match ask {
                FixAsk::Refused(RefusedRequest::Order { .. }, _) => Standing::Over(OrderStatus::Rejected),
                FixAsk::Replace => Standing::Live,
                _ => Standing::NoOrder,
            };
            fix.ids.put(client_order_id, client_ref, standing);
        }
        let asked = Asked { client_ref, client_order_id, original_id };
        match ask {
            FixAsk::Cancel { original } => fix.canceling.entry(original).or_default().push_back(asked),
            FixAsk::Replace => _ = fix.replacing.insert(client_ref, asked),
            FixAsk::MassCancel => {}
            FixAsk::Refused(request, reason) => {
                let refused = Refused { request, reason, client_ref, client_order_id, original_id };
                self.number_command(command, id, ReportKind::Refused(refused), log);
            }
        }
    }

    /// A message has been heard that no command stands for.
    pub(crate) fn fix_heard(&mut self, session: SessionId, next_in: u64) {
        if let Some(fix) = &mut self.session(session).fix {
            fix.next_in = fix.next_in.max(next_in);
        }
    }

    /// A message has been said that is not said again, or a numbering begins. `next_in`: the number that is expected from the client
    /// then. Gives its report's number.
    pub(crate) fn fix_said(
        &mut self,
        id: SessionId,
        (numbering, next_in): (Numbering, u64),
        nanos: Nanos,
        mut log: impl FnMut(&Report) -> Position,
    ) -> u64 {
        let session = self.session(id);
        let last_ref = session.last_ref();
        let number = session.next_number();
        let Some(fix) = &session.fix else { return number };
        let (next_in, ref_base) = match numbering {
            Numbering::GoesOn => (fix.next_in.max(next_in), fix.ref_base),
            Numbering::Resets | Numbering::RollsOver => (next_in, last_ref),
        };
        let said = Said { numbering, next_in, ref_base };
        let report = Report {
            session: id,
            number: 0,
            sequence: Sequence::default(),
            instrument: None,
            index: 0,
            nanos,
            kind: ReportKind::Said(said),
        };
        self.number(report, &mut log);
        self.session(id).fix_was_said(number, nanos, &said);
        number
    }

    /// A book has spoken of an order of a FIX session, other than by a trade.
    pub(super) fn on_fix_event(
        &mut self,
        event: &Event,
        owner: Owner,
        log: &mut impl FnMut(&Report) -> Position,
    ) {
        let session = self.session(owner.session);
        let kind = match event.kind {
            EventKind::Accepted { price, quantity, .. } => session.fix_accepted(owner, price, quantity),
            EventKind::Rejected { order, reason, .. } => {
                let kind = OrderReportKind::Rejected(reason);
                session.fix_over(owner, order, kind, OrderStatus::Rejected)
            }
            EventKind::Canceled { order, reason, .. } => session.fix_canceled(owner, order, reason),
            EventKind::Replaced { old, original, order, price, leaves, .. } => {
                session.fix_replaced(owner, (original, old), (order, price, leaves))
            }
            EventKind::ReplaceRejected { old, original, order, reason, .. } => {
                session.fix_not_replaced(owner, (original, old), order, reason)
            }
            EventKind::CancelRejected { order, reason, .. } => session.fix_not_canceled(owner, order, reason),
            EventKind::Triggered { order, .. } => {
                session.fix_goes_on(owner, order, OrderReportKind::Triggered, |_| {})
            }
            EventKind::Refreshed { order, .. } => {
                let kind = OrderReportKind::Restated(Restatement::Refreshed);
                session.fix_goes_on(owner, order, kind, |_| {})
            }
            EventKind::Restated { order, price, .. } => {
                let kind = OrderReportKind::Restated(Restatement::Priced);
                session.fix_goes_on(owner, order, kind, |live| {
                    (live.order_type, live.price) = (OrderType::Limit, price);
                    live.echo.display = b'2';
                })
            }
            EventKind::Decremented { order, quantity, .. } => {
                let kind = OrderReportKind::Restated(Restatement::Decremented);
                session.fix_goes_on(owner, order, kind, |live| live.quantity = less(live.quantity, quantity))
            }
            EventKind::Reduced { order, quantity, .. } => {
                let kind = OrderReportKind::Restated(Restatement::Reduced);
                session.fix_goes_on(owner, order, kind, |live| live.quantity = less(live.quantity, quantity))
            }
            EventKind::Traded { .. } | EventKind::MassCanceled { .. } | EventKind::Paused { .. } => None,
        };
        if let Some(kind) = kind {
            self.number_event(&Cause::of(event), owner.session, kind, log);
        }
    }
}

pub(super) fn less(quantity: Quantity, by: Quantity) -> Quantity {
    Quantity(quantity.lots().saturating_sub(by.lots()))
}

/// What a book says to one side of a trade.
#[derive(Clone, Copy)]
pub(super) struct Fill {
    pub(super) order: OrderId,
    pub(super) trade: domain::TradeId,
    pub(super) price: Price,
    pub(super) quantity: Quantity,
    pub(super) leaves: Quantity,
    pub(super) liquidity: Liquidity,
}

impl Session {
    /// A report is in the log that says how the numbers stand.
    pub(super) fn fix_was_said(&mut self, number: u64, nanos: Nanos, said: &Said) {
        let Some(fix) = &mut self.fix else { return };
        if said.numbering != Numbering::GoesOn {
            fix.numbered_at = nanos;
        }
        match said.numbering {
            Numbering::GoesOn => {}
            Numbering::Resets => fix.out_base = number - 1,
            Numbering::RollsOver => fix.out_base = number,
        }
        (fix.next_in, fix.ref_base) = (said.next_in, said.ref_base);
    }

    fn fix_accepted(&mut self, owner: Owner, price: Price, quantity: Quantity) -> Option<ReportKind> {
        let live = self.orders.get_mut(owner.client_ref)?;
        live.price = price;
        let (kind, status) = (OrderReportKind::New, OrderStatus::New);
        let report = report(kind, status, owner.client_ref, live, quantity);
        Some(ReportKind::Order(report))
    }

    /// What an order says when it has traded.
    pub(super) fn fix_traded(&mut self, owner: Owner, fill: &Fill) -> Option<ReportKind> {
        let fix = self.fix.as_deref_mut()?;
        let Fill { order, trade, price, quantity, leaves, liquidity } = *fill;
        let live = self.orders.get_mut(owner.client_ref).filter(|live| live.order == order)?;
        live.trade(quantity, price);
        let live = *live;
        let kind = OrderReportKind::Trade { trade, price, quantity, liquidity };
        let status = if leaves.is_zero() { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        let report = report(kind, status, owner.client_ref, &live, leaves);
        if leaves.is_zero() {
            fix.ids.end(&live.client_order_id, owner.client_ref, status);
            self.orders.remove(owner.client_ref, order);
        }
        Some(ReportKind::Order(report))
    }

    /// An order is over without having been filled.
    fn fix_over(
        &mut self,
        owner: Owner,
        order: OrderId,
        kind: OrderReportKind,
        status: OrderStatus,
    ) -> Option<ReportKind> {
        let fix = self.fix.as_deref_mut()?;
        let live = self.orders.remove(owner.client_ref, order)?;
        fix.ids.end(&live.client_order_id, owner.client_ref, status);
        let report = report(kind, status, owner.client_ref, &live, Quantity(0));
        Some(ReportKind::Order(report))
    }

    fn fix_canceled(&mut self, owner: Owner, order: OrderId, reason: CancelReason) -> Option<ReportKind> {
        // Two commands can ask for it; the cancel that the client asked for is answered with its own text.
        let asked = if reason == CancelReason::Requested { self.fix_answered(owner) } else { None };
        let kind = self.fix_over(owner, order, OrderReportKind::Canceled(reason), canceled(reason))?;
        let ReportKind::Order(mut report) = kind else { return Some(kind) };
        if let Some(asked) = asked {
            report.original_id = report.client_order_id;
            report.client_order_id = asked.client_order_id;
        }
        Some(ReportKind::Order(report))
    }

    /// The first of an order's cancels, which its book has answered.
    fn fix_answered(&mut self, owner: Owner) -> Option<Asked> {
        let fix = self.fix.as_deref_mut()?;
        let waiting = fix.canceling.get_mut(&owner.client_ref)?;
        let first = waiting.pop_front();
        if waiting.is_empty() {
            fix.canceling.remove(&owner.client_ref);
        }
        first
    }

    fn fix_not_canceled(&mut self, owner: Owner, order: OrderId, reason: RejectReason) -> Option<ReportKind> {
        let asked = self.fix_answered(owner)?;
        let status = self.fix.as_deref()?.status(self.order(owner.client_ref), owner.client_ref);
        Some(ReportKind::Refused(Refused {
            request: RefusedRequest::Cancel { order, status },
            reason: too_late(reason),
            client_ref: asked.client_ref,
            client_order_id: asked.client_order_id,
            original_id: asked.original_id,
        }))
    }

    fn fix_replaced(
        &mut self,
        owner: Owner,
        (original, old): (ClientRef, OrderId),
        (order, price, leaves): (OrderId, Price, Quantity),
    ) -> Option<ReportKind> {
        let replaced = self.orders.remove(original, old);
        self.consumed = self.consumed.max(owner.client_ref);
        let mut live = self.replacing.remove(&(owner.client_ref, order))?;
        live.price = price;
        let fix = self.fix.as_deref_mut()?;
        let original_id = fix.replacing.remove(&owner.client_ref)?.original_id;
        live.traded = replaced.map(|replaced| replaced.traded).unwrap_or_default();
        // What a reduction has taken off is off the new order too.
        live.quantity = Quantity(leaves.lots().saturating_add(live.traded.cumulative));
        if let Some(replaced) = replaced {
            fix.ids.end(&replaced.client_order_id, original, OrderStatus::Replaced);
        }
        self.orders.insert(owner.client_ref, live);
        let status = self.fix.as_deref()?.status(Some(&live), owner.client_ref);
        let report = report(OrderReportKind::Replaced, status, owner.client_ref, &live, leaves);
        Some(ReportKind::Order(OrderReport { original_id, ..report }))
    }

    fn fix_not_replaced(
        &mut self,
        owner: Owner,
        (original, old): (ClientRef, OrderId),
        order: OrderId,
        reason: RejectReason,
    ) -> Option<ReportKind> {
        self.replacing.remove(&(owner.client_ref, order));
        self.consumed = self.consumed.max(owner.client_ref);
        let status = self.fix.as_deref()?.status(self.order(original), original);
        let fix = self.fix.as_deref_mut()?;
        let asked = fix.replacing.remove(&owner.client_ref)?;
        fix.ids.end(&asked.client_order_id, owner.client_ref, OrderStatus::Rejected);
        Some(ReportKind::Refused(Refused {
            request: RefusedRequest::Replace { order: old, status },
            reason: too_late(reason),
            client_ref: owner.client_ref,
            client_order_id: asked.client_order_id,
            original_id: asked.original_id,
        }))
    }

    /// An order goes on, and says something else of itself.
    fn fix_goes_on(
        &mut self,
        owner: Owner,
        order: OrderId,
        kind: OrderReportKind,
        change: impl FnOnce(&mut LiveOrder),
    ) -> Option<ReportKind> {
        let fix = self.fix.as_deref()?;
        let live = self.orders.get_mut(owner.client_ref).filter(|live| live.order == order)?;
        change(live);
        let live = *live;
        let status = fix.status(Some(&live), owner.client_ref);
        Some(ReportKind::Order(report(kind, status, owner.client_ref, &live, live.leaves())))
    }
}
