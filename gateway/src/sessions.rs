//! Sessions: durable, numbered conversations, folded from commands and events.
//!
//! A session's state is a function of the commands and events that concern it, so a recovery folds the journal
//! through the same two functions as live trading does: [`Sessions::on_command`] when a command has been sequenced,
//! [`Sessions::on_event`] when a book has spoken. Reports get their numbers here, and nowhere else.

mod copies;
mod fix;
mod following;
mod image;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;

use domain::{
    ClientRef, Command, EnterOrder, EnterSpecial, Event, EventKind, Instructions, InstrumentId, Liquidity,
    MassCancel, Nanos, OrderId, OrderReport, OrderType, Owner, PreRejected, Protocol, Quantity, ReduceKind,
    ReplaceOrder, ReplaceSpecial, Report, ReportKind, Sequence, Sequenced, SessionDefinition, SessionId,
    SystemCode, UserName,
};
use journal::{Position, session_log::SessionIndex};

use self::{copies::Watcher, fix::Fill, following::Following};
pub use self::{
    fix::{FixImage, FixState, RECENT_IDS, Standing},
    following::Differs,
    image::{ImageError, SessionImage},
};
use crate::orders::{LiveOrder, OrderTable, Traded};

/// One session.
#[derive(Debug)]
pub struct Session {
    /// Whose it is.
    pub user: UserName,
    /// What it speaks.
    pub protocol: Protocol,
    /// Its live orders.
    pub orders: OrderTable,
    /// Replacements that have been sequenced and not answered, by their number and id.
    replacing: BTreeMap<(ClientRef, OrderId), LiveOrder>,
    /// What orders that have been sequenced and not answered ask for besides, by their number and id. What a book has
    /// accepted has been told, and is not remembered.
    asked: BTreeMap<(ClientRef, OrderId), Instructions>,
    /// The highest number that an order has used up for sure.
    consumed: ClientRef,
    /// Where each of its outbound messages stands in the log; the first is number 1.
    log: SessionIndex,
    /// Who is told as well what its orders do, rising.
    watchers: Vec<Watcher>,
    /// Of how many sessions' orders it is told.
    watches: u32,
    /// What a FIX session has besides.
    fix: Option<Box<FixState>>,
}

impl Session {
    fn new(user: UserName, protocol: Protocol) -> Self {
        Self {
            user,
            protocol,
            orders: OrderTable::default(),
            replacing: BTreeMap::new(),
            asked: BTreeMap::new(),
            consumed: ClientRef(0),
            log: SessionIndex::default(),
            watchers: Vec::new(),
            watches: 0,
            fix: (protocol == Protocol::Fix).then(|| Box::new(FixState::new())),
        }
    }

    /// What a FIX session has besides.
    #[must_use]
    pub fn fix(&self) -> Option<&FixState> {
        self.fix.as_deref()
    }

    /// The number of its next outbound message.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.log.len() + 1
    }

    /// Where an outbound message stands in the log.
    #[must_use]
    pub fn position_of(&self, number: u64) -> Option<Position> {
        self.log.get(number)
    }

    /// The highest number in use. A replacement in flight counts, and stops counting if it comes to nothing.
    #[must_use]
    pub fn last_ref(&self) -> ClientRef {
        let replacing =
            self.replacing.last_key_value().map_or(ClientRef(0), |((client_ref, _), _)| *client_ref);
        self.consumed.max(replacing)
    }

    /// The order that a request means: live, or about to be.
    #[must_use]
    pub fn order(&self, client_ref: ClientRef) -> Option<&LiveOrder> {
        self.orders.get(client_ref).or_else(|| {
            let newest = (client_ref, OrderId::default())..=(client_ref, domain::BookScopedId(u64::MAX));
            self.replacing.range(newest).next_back().map(|(_, order)| order)
        })
    }

    /// Remembers what an order asks for besides, until it is told.
    fn ask(&mut self, client_ref: ClientRef, order: OrderId, instructions: &Instructions) {
        if *instructions != Instructions::NONE && self.protocol == Protocol::Ouch {
            self.asked.insert((client_ref, order), *instructions);
        }
    }

    /// What an order that is answered now has asked for besides.
    #[inline]
    fn take_asked(&mut self, client_ref: ClientRef, order: OrderId) -> Option<Instructions> {
        if self.asked.is_empty() {
            return None;
        }
        self.asked.remove(&(client_ref, order))
    }

    /// An order that lives, if it is this one.
    fn live_mut(&mut self, client_ref: ClientRef, order: OrderId) -> Option<&mut LiveOrder> {
        self.orders.get_mut(client_ref).filter(|live| live.order == order)
    }

    /// An order of a session that does not speak FIX has traded. Gives what is told to those who watch it.
    fn bare_traded(&mut self, owner: Owner, fill: &Fill) -> Option<OrderReport> {
        let live = if fill.leaves.is_zero() {
            let mut live = self.orders.remove(owner.client_ref, fill.order)?;
            live.trade(fill.quantity, fill.price);
            live
        } else {
            let live = self.live_mut(owner.client_ref, fill.order)?;
            live.trade(fill.quantity, fill.price);
            *live
        };
        self.bare_fill(owner, &live, fill)
    }

    /// Orders that live or are about to.
    #[must_use]
    pub fn open_orders(&self) -> usize {
        self.orders.len() + self.replacing.len()
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    /// By session index.
    sessions: Vec<Session>,
    /// While a log is followed: nothing is numbered here then, for the log has the numbers.
    following: Option<Box<Following>>,
}

impl Sessions {
    /// No session yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One session.
    #[must_use]
    pub fn get(&self, session: SessionId) -> Option<&Session> {
        self.sessions.get(session.0 as usize)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        (0..).map(SessionId).zip(&self.sessions)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// A session exists from here on. Its first message is numbered when the command that defines it is folded.
    ///
    /// # Panics
    /// When its index is not the next one.
    pub fn define(&mut self, definition: &SessionDefinition) {
        assert_eq!(definition.session.0 as usize, self.sessions.len(), "sessions are defined in turn");
        self.sessions.push(Session::new(definition.user, definition.protocol));
    }

    /// A log is followed from here on: [`on_command`](Self::on_command) and [`on_event`](Self::on_event) fold and
    /// number nothing, and [`on_logged`](Self::on_logged) says which numbers were given.
    pub fn follow(&mut self) {
        self.following.get_or_insert_default();
    }

    /// The log that is followed has a report.
    ///
    /// # Errors
    /// When the report's number does not follow its session's last, its session does not exist, or the books here say
    /// otherwise: the log is not what an exchange like this one wrote.
    pub fn on_logged(&mut self, report: &Report, position: Position) -> Result<(), LogError> {
        let expected = self.get(report.session).map(Session::next_number);
        if expected != Some(report.number) {
            return Err(LogError::Gap { session: report.session, expected, found: report.number });
        }
        let session = &mut self.sessions[report.session.0 as usize];
        session.log.push(position);
        if let ReportKind::Said(said) = &report.kind {
            session.fix_was_said(report.number, report.nanos, said);
        }
        // An account query is answered without a cause.
        if report.sequence != Sequence::default()
            && let Some(following) = &mut self.following
        {
            following.logged(report).map_err(LogError::Differs)?;
        }
        Ok(())
    }

    /// A report is owed from before, as [`owed`](Self::owed) gave it when the snapshot was made.
    pub fn owe(&mut self, report: &Report) {
        self.following.get_or_insert_default().caused(report);
    }

    /// What books have caused and the log that is followed does not have: book by book, each in its order.
    pub fn owed(&self) -> impl Iterator<Item = &Report> {
        self.following.iter().flat_map(|following| following.owed())
    }

    /// Whether the log that is followed and the books agree so far.
    ///
    /// # Errors
    /// When they do not.
    pub fn agree(&self) -> Result<(), LogError> {
        self.following.as_ref().map_or(Ok(()), |following| following.check()).map_err(LogError::Differs)
    }

    /// Whether the books have caused every report of the log that is followed: not so while commands wait for their
    /// books.
    ///
    /// # Errors
    /// Names a report that they have not caused.
    pub fn caught_up(&self) -> Result<(), LogError> {
        let ahead = self.following.as_ref().and_then(|following| following.ahead());
        ahead.map_or(Ok(()), |report| Err(LogError::Uncaused(Box::new(*report))))
    }

    /// The log ends here and is ours to write from now on: what is owed gets its numbers. Returns how many reports that
    /// were.
    ///
    /// # Errors
    /// When the log and the books do not agree.
    pub fn lead(&mut self, mut log: impl FnMut(&Report) -> Position) -> Result<u64, LogError> {
        self.agree()?;
        self.caught_up()?;
        let Some(following) = self.following.take() else { return Ok(0) };
        let mut owed = 0;
        for report in following.owed() {
            owed += 1;
            self.number(*report, &mut log);
        }
        Ok(owed)
    }

    /// A command has been sequenced. `log` takes the reports that it causes without a book's doing.
    pub fn on_command(&mut self, command: &Sequenced<Command>, mut log: impl FnMut(&Report) -> Position) {
        match &command.command {
            Command::Enter(enter) => self.enter(enter, &Instructions::NONE),
            Command::EnterSpecial(EnterSpecial { enter, instructions }) => self.enter(enter, instructions),
            Command::Replace(replace) => self.replace(replace, None),
            Command::ReplaceSpecial(ReplaceSpecial { replace, instructions }) => {
                self.replace(replace, Some(instructions));
            }
            // It uses up its number. The orders that it takes go when their books say so, whoever's they are.
            Command::MassCancel(MassCancel { owner, .. }) => {
                let session = self.of(*owner);
                session.consumed = session.consumed.max(owner.client_ref);
            }
            Command::Rejected(PreRejected { session, client_ref, client_order_id, reason }) => {
                let id = *session;
                let session = self.session(id);
                session.consumed = session.consumed.max(*client_ref);
                let kind = ReportKind::Rejected {
                    client_ref: *client_ref,
                    reason: *reason,
                    client_order_id: *client_order_id,
                };
                self.number_command(command, id, kind, &mut log);
            }
            Command::FixRequest(request) => self.fix_request(command, request, &mut log),
            Command::DropCopy(copy) => self.on_drop_copy(copy, command.sequence),
            Command::DefineSession(SessionDefinition { protocol: Protocol::Fix, session, .. }) => {
                self.fix_begins(*session, command.nanos);
            }
            Command::DefineSession(definition) => {
                let kind = ReportKind::System(SystemCode::StartOfDay);
                self.number_command(command, definition.session, kind, &mut log);
            }
            Command::Cancel(_)
            | Command::Reduce(_)
            | Command::DefineInstrument(_)
            | Command::EndOfDay
            | Command::Advance(_)
            | Command::EpochStart(_) => {}
        }
    }

    /// An order is about to be; it lives from here on, as far as its session goes.
    fn enter(&mut self, enter: &EnterOrder, instructions: &Instructions) {
        let session = self.of(enter.owner);
        session.consumed = session.consumed.max(enter.owner.client_ref);
        let is_fix = session.fix.is_some();
        session.ask(enter.owner.client_ref, enter.order, instructions);
        session.orders.insert(
            enter.owner.client_ref,
            LiveOrder {
                order: enter.order,
                side: enter.side,
                order_type: enter.order_type,
                time_in_force: enter.time_in_force,
                is_special: *instructions != Instructions::NONE,
                price: enter.price,
                quantity: enter.quantity,
                traded: Traded::default(),
                echo: enter.echo,
                client_order_id: enter.client_order_id,
            },
        );
        if is_fix {
            self.fix_named(enter.owner, enter.client_order_id);
        }
    }

    /// Without instructions of its own the new order has those of the old one.
    fn replace(&mut self, replace: &ReplaceOrder, instructions: Option<&Instructions>) {
        let session = self.of(replace.owner);
        // The old order may have died since the request was checked; its book will say so.
        let Some(old) = session.order(replace.original) else { return };
        let new = LiveOrder {
            order: replace.new_order,
            side: old.side,
            order_type: replace.order_type,
            time_in_force: replace.time_in_force,
            is_special: instructions
                .map_or(old.is_special, |instructions| *instructions != Instructions::NONE),
            price: replace.price,
            quantity: replace.total,
            traded: Traded::default(),
            echo: domain::Echo { side: old.echo.side, ..replace.echo },
            client_order_id: replace.client_order_id,
        };
        session.replacing.insert((replace.owner.client_ref, replace.new_order), new);
        if let Some(instructions) = instructions {
            session.ask(replace.owner.client_ref, replace.new_order, instructions);
        }
    }

    /// A session asked which number it may use next. The answer is numbered, and caused by no command.
    pub fn on_account_query(
        &mut self,
        session: SessionId,
        nanos: Nanos,
        mut log: impl FnMut(&Report) -> Position,
    ) {
        let next = ClientRef(self.session(session).last_ref().0.saturating_add(1));
        let report = Report {
            session,
            number: 0,
            sequence: Sequence::default(),
            instrument: None,
            index: 0,
            nanos,
            kind: ReportKind::AccountQuery { next },
        };
        self.number(report, &mut log);
    }

    /// A book has spoken: at most two sessions have something to hear. The resting order's session hears first.
    pub fn on_event(&mut self, event: &Event, mut log: impl FnMut(&Report) -> Position) {
        let cause = Cause::of(event);
        if let Some(owner) = event.kind.owner()
            && self.sessions[owner.session.0 as usize].fix.is_some()
        {
            return self.on_fix_event(event, owner, &mut log);
        }
        let copy = self.bare(&event.kind);
        match event.kind {
            EventKind::Accepted { order, owner, order_type, time_in_force, price, quantity, .. } => {
                let session = self.of(owner);
                let instructions = session.take_asked(owner.client_ref, order);
                let Some(live) = session.orders.get_mut(owner.client_ref) else { return };
                // A tick or more away from the limit asked for, when a post-only order slid.
                live.price = price;
                let (echo, client_order_id) = (live.echo, live.client_order_id);
                let kind = ReportKind::Accepted {
                    client_ref: owner.client_ref,
                    order,
                    order_type,
                    time_in_force,
                    price,
                    quantity,
                    instructions,
                    echo,
                    client_order_id,
                };
                self.number_event(&cause, owner.session, kind, &mut log);
            }
            EventKind::Rejected { order, owner, reason } => {
                let session = self.of(owner);
                session.take_asked(owner.client_ref, order);
                let Some(dead) = session.orders.remove(owner.client_ref, order) else { return };
                let kind = ReportKind::Rejected {
                    client_ref: owner.client_ref,
                    reason,
                    client_order_id: dead.client_order_id,
                };
                self.number_event(&cause, owner.session, kind, &mut log);
            }
            EventKind::Traded {
                trade,
                price,
                quantity,
                maker,
                maker_owner,
                maker_leaves,
                taker,
                taker_owner,
                taker_leaves,
                ..
            } => {
                for (order, owner, leaves, liquidity) in [
                    (maker, maker_owner, maker_leaves, Liquidity::Added),
                    (taker, taker_owner, taker_leaves, Liquidity::Removed),
                ] {
                    let fill = Fill { order, trade, price, quantity, leaves, liquidity };
                    if self.of(owner).fix.is_some() {
                        if let Some(kind) = self.of(owner).fix_traded(owner, &fill) {
                            self.number_event(&cause, owner.session, kind, &mut log);
                        }
                        continue;
                    }
                    let copy = self.of(owner).bare_traded(owner, &fill);
                    let client_ref = owner.client_ref;
                    let kind =
                        ReportKind::Executed { client_ref, order, trade, price, quantity, leaves, liquidity };
                    self.number_event(&cause, owner.session, kind, &mut log);
                    if let Some(order) = copy {
                        self.copy(&cause, owner.session, &order, &mut log);
                    }
                }
            }
            EventKind::Canceled { order, owner, quantity, reason } => {
                self.of(owner).orders.remove(owner.client_ref, order);
                let kind = ReportKind::Canceled { client_ref: owner.client_ref, order, quantity, reason };
                self.number_event(&cause, owner.session, kind, &mut log);
            }
            EventKind::Reduced { order, owner, quantity, leaves, kind } => {
                let client_ref = owner.client_ref;
                if let Some(live) = self.of(owner).live_mut(client_ref, order) {
                    live.quantity = fix::less(live.quantity, quantity);
                }
                let kind = match kind {
                    ReduceKind::Cancel => ReportKind::Canceled {
                        client_ref,
                        order,
                        quantity,
                        reason: domain::CancelReason::Requested,
                    },
                    ReduceKind::Modify { side_code } => {
                        if let Some(live) = self.of(owner).orders.get_mut(client_ref) {
                            live.echo.side = side_code;
                        }
                        ReportKind::Modified { client_ref, order, quantity: leaves, side_code }
                    }
                };
                self.number_event(&cause, owner.session, kind, &mut log);
            }
            EventKind::Replaced { old, original, order, owner, price, leaves, .. } => {
                let session = self.of(owner);
                let replaced = session.orders.remove(original, old);
                session.consumed = session.consumed.max(owner.client_ref);
                let instructions = session.take_asked(owner.client_ref, order);
                let Some(mut live) = session.replacing.remove(&(owner.client_ref, order)) else { return };
                if let Some(replaced) = replaced {
                    // Modified, perhaps, after the replacement was sequenced and before this.
                    live.echo.side = replaced.echo.side;
                    live.traded = replaced.traded;
                }
                live.quantity = Quantity(leaves.lots().saturating_add(live.traded.cumulative));
                live.price = price;
                session.orders.insert(owner.client_ref, live);
                let kind = ReportKind::Replaced {
                    original,
                    client_ref: owner.client_ref,
                    order,
                    order_type: live.order_type,
                    time_in_force: live.time_in_force,
                    price,
                    quantity: leaves,
                    instructions,
                    echo: live.echo,
                    client_order_id: live.client_order_id,
                };
                self.number_event(&cause, owner.session, kind, &mut log);
            }
            // OUCH ignores it in silence: the order is gone, and the client has been told when it went.
            EventKind::ReplaceRejected { order, owner, .. } => {
                let session = self.of(owner);
                session.replacing.remove(&(owner.client_ref, order));
                session.take_asked(owner.client_ref, order);
            }
            EventKind::CancelRejected { order, owner, reason } => {
                let kind = ReportKind::CancelRejected { client_ref: owner.client_ref, order, reason };
                self.tell(&cause, owner, kind, &mut log);
            }
            EventKind::Decremented { order, owner, quantity, leaves, price, liquidity } => {
                let client_ref = owner.client_ref;
                if let Some(live) = self.of(owner).live_mut(client_ref, order) {
                    live.quantity = fix::less(live.quantity, quantity);
                }
                let kind = ReportKind::Decremented { client_ref, order, quantity, leaves, price, liquidity };
                self.tell(&cause, owner, kind, &mut log);
            }
            EventKind::Restated { order, owner, price, leaves } => {
                if let Some(live) = self.of(owner).live_mut(owner.client_ref, order) {
                    live.order_type = OrderType::Limit;
                    live.price = price;
                }
                let kind = ReportKind::Restated { client_ref: owner.client_ref, order, price, leaves };
                self.tell(&cause, owner, kind, &mut log);
            }
            EventKind::Triggered { order, owner, price } => {
                let kind = ReportKind::Triggered { client_ref: owner.client_ref, order, price };
                self.tell(&cause, owner, kind, &mut log);
            }
            EventKind::Refreshed { order, owner, shown, leaves } => {
                let kind = ReportKind::Refreshed { client_ref: owner.client_ref, order, shown, leaves };
                self.tell(&cause, owner, kind, &mut log);
            }
            EventKind::MassCanceled { owner, canceled } => {
                let kind = ReportKind::MassCanceled { client_ref: owner.client_ref, canceled };
                self.tell(&cause, owner, kind, &mut log);
            }
            // No order's, and nobody asked.
            EventKind::Paused { .. } => {}
        }
        if let (Some(order), Some(owner)) = (copy, event.kind.owner()) {
            self.copy(&cause, owner.session, &order, &mut log);
        }
    }

    /// A session that a command or an event names.
    ///
    /// # Panics
    /// When it does not exist: sessions are defined before anything names them.
    fn session(&mut self, session: SessionId) -> &mut Session {
        &mut self.sessions[session.0 as usize]
    }

    fn of(&mut self, owner: Owner) -> &mut Session {
        self.session(owner.session)
    }

    /// Numbers a report of an event, if it is told to a session that speaks what this one does.
    #[cold]
    fn tell(
        &mut self,
        cause: &Cause,
        owner: Owner,
        kind: ReportKind,
        log: &mut impl FnMut(&Report) -> Position,
    ) {
        if let Some(kind) = told::told(self.of(owner).protocol, kind) {
            self.number_event(cause, owner.session, kind, log);
        }
    }

    fn number_command(
        &mut self,
        command: &Sequenced<Command>,
        session: SessionId,
        kind: ReportKind,
        log: &mut impl FnMut(&Report) -> Position,
    ) {
        let cause = Cause { sequence: command.sequence, nanos: command.nanos, instrument: None, index: 0 };
        self.number_event(&cause, session, kind, log);
    }

    /// Numbers one report of an event; while a log is followed, holds it against the log.
    fn number_event(
        &mut self,
        cause: &Cause,
        session: SessionId,
        kind: ReportKind,
        log: &mut impl FnMut(&Report) -> Position,
    ) {
        let report = Report {
            session,
            number: 0,
            sequence: cause.sequence,
            instrument: cause.instrument,
            index: cause.index,
            nanos: cause.nanos,
            kind,
        };
        match &mut self.following {
            Some(following) => following.caused(&report),
            None => self.number(report, log),
        }
        if let ReportKind::Order(order) = &report.kind {
            self.copy(cause, session, order, log);
        }
    }

    fn number(&mut self, mut report: Report, log: &mut impl FnMut(&Report) -> Position) {
        let session = self.session(report.session);
        report.number = session.next_number();
        let position = log(&report);
        session.log.push(position);
    }
}

/// What a report is caused by.
struct Cause {
    sequence: Sequence,
    nanos: Nanos,
    instrument: Option<InstrumentId>,
    index: u32,
}

impl Cause {
    const fn of(event: &Event) -> Self {
        Self {
            sequence: event.sequence,
            nanos: event.nanos,
            instrument: Some(event.instrument),
            index: event.index,
        }
    }
}

/// The log that is followed is not what an exchange like this one wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogError {
    /// A session's numbers do not go on where they stopped.
    Gap {
        /// Whose numbers.
        session: SessionId,
        /// The number that had to come; `None` when the session does not exist.
        expected: Option<u64>,
        /// The number that came.
        found: u64,
    },
    /// A report is not what the books here say of the same event.
    Differs(Box<Differs>),
    /// The log ends, and has a report that the books here have not caused.
    Uncaused(Box<Report>),
}

impl std::fmt::Display for LogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gap { session, expected: Some(expected), found } => write!(
                f,
                "session {session}: outbound number {found} in the log where {expected} had to come"
            ),
            Self::Gap { session, expected: None, .. } => {
                write!(f, "the log has a report for session {session}, which was never defined")
            }
            Self::Differs(differs) => {
                let Differs { logged, caused } = &**differs;
                write!(
                    f,
                    "the log and the books do not agree: the log has {logged:?}, and the books say {caused:?}"
                )
            }
            Self::Uncaused(report) => write!(f, "the log has {report:?}, and no book has caused it"),
        }
    }
}

impl std::error::Error for LogError {}
