//! A record as a row: every field of every kind of command and report, under one set of names.
//!
//! A kind of record fills the columns that it has and leaves the others empty. Names and values are written down in
//! `docs/export.md`; they are for programs of others, so they do not change.

use std::fmt::{self, Debug, Write};

use domain::{
    ClientRef, Command, Display, Echo, EnterOrder, Execution, FixAsk, FixRequest, Instructions, Instrument,
    InstrumentId, MassCancel, OrderId, OrderReport, OrderReportKind, Owner, PostOnly, Price, ReduceKind,
    RefusedRequest, RejectReason, ReplaceOrder, ReplacePriority, Report, ReportKind, Side, Trigger,
};
use journal::Record;

/// Makes the columns: each one's name in an export.
macro_rules! columns {
    ($($column:ident $name:literal,)*) => {
        /// A column.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Column {
            $($column,)*
        }

        /// The names of all columns, in order.
        pub(super) const NAMES: [&str; [$(Column::$column),*].len()] = [$($name),*];
    };
}

columns! {
    Position "position",
    Sequence "sequence",
    Nanos "nanos",
    Epoch "epoch",
    Family "family",
    Kind "kind",
    Session "session",
    Number "number",
    Index "index",
    Instrument "instrument",
    ClientRef "client_ref",
    OriginalRef "original_ref",
    NextRef "next_ref",
    Order "order",
    NewOrder "new_order",
    Trade "trade",
    Account "account",
    Side "side",
    Type "type",
    TimeInForce "time_in_force",
    Price "price",
    Quantity "quantity",
    Total "total",
    Leaves "leaves",
    Liquidity "liquidity",
    Reason "reason",
    Code "code",
    Request "request",
    Priority "priority",
    SideCode "side_code",
    ClientOrderId "client_order_id",
    EchoSide "echo_side",
    EchoDisplay "echo_display",
    EchoCapacity "echo_capacity",
    EchoIntermarketSweep "echo_intermarket_sweep",
    EchoCross "echo_cross",
    Trigger "trigger",
    TriggerPrice "trigger_price",
    TriggerDistance "trigger_distance",
    Display "display",
    Peak "peak",
    Spread "spread",
    Seed "seed",
    Execution "execution",
    Minimum "minimum",
    SelfTradeGroup "self_trade_group",
    SelfTradePolicy "self_trade_policy",
    Expires "expires",
    OfSession "of_session",
    Symbol "symbol",
    Tick "tick",
    Lot "lot",
    QuantityMin "quantity_min",
    QuantityMax "quantity_max",
    PriceMax "price_max",
    NotionalMin "notional_min",
    NotionalMax "notional_max",
    User "user",
    Protocol "protocol",
    Shown "shown",
    Canceled "canceled",
    Ask "ask",
    OriginalId "original_id",
    Status "status",
    Units "units",
    Event "event",
    Cumulative "cumulative",
    Notional "notional",
    TradePrice "trade_price",
    Traded "traded",
    Numbering "numbering",
    NextIn "next_in",
    RefBase "ref_base",
}

/// What is in a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Cell {
    /// The record has no such field.
    #[default]
    Empty,
    Unsigned(u64),
    Signed(i64),
    /// Printable ASCII; other bytes are escaped.
    Text(String),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Unsigned(n) => fmt::Display::fmt(n, f),
            Self::Signed(n) => fmt::Display::fmt(n, f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A record's fields.
#[derive(Clone, Debug)]
pub(super) struct Row {
    cells: [Cell; NAMES.len()],
}

impl Row {
    /// The fields of a record.
    ///
    /// # Errors
    /// When its fields cannot be; says where it is.
    pub(super) fn of(record: &Record<'_>) -> Result<Self, String> {
        let place = |error: &dyn fmt::Display| format!("at position {}: {error}", record.position);
        let mut row = Self { cells: [const { Cell::Empty }; NAMES.len()] };
        row.number(Column::Position, record.position.0);
        row.number(Column::Sequence, record.sequence.0);
        row.number(Column::Nanos, record.nanos.0);
        row.number(Column::Epoch, u64::from(record.epoch.0));
        row.name(Column::Kind, record.kind);
        if record.kind.is_command() {
            row.word(Column::Family, "command");
            row.command(&record.command().map_err(|error| place(&error))?.command);
        } else {
            row.word(Column::Family, "report");
            row.report(&record.report().map_err(|error| place(&error))?);
        }
        Ok(row)
    }

    /// The cells with their names, in the order of the columns.
    pub(super) fn cells(&self) -> impl Iterator<Item = (&'static str, &Cell)> {
        NAMES.iter().copied().zip(&self.cells)
    }

    fn set(&mut self, column: Column, cell: Cell) {
        let place = &mut self.cells[column as usize];
        debug_assert_eq!(*place, Cell::Empty, "{column:?} is set once");
        *place = cell;
    }

    fn number(&mut self, column: Column, n: u64) {
        self.set(column, Cell::Unsigned(n));
    }

    /// A code, under the name that it has in the vocabulary.
    fn name(&mut self, column: Column, code: impl Debug) {
        self.set(column, Cell::Text(format!("{code:?}")));
    }

    fn word(&mut self, column: Column, word: &str) {
        self.set(column, Cell::Text(word.to_owned()));
    }

    /// A code of the wire.
    fn code(&mut self, column: Column, code: u8) {
        self.set(column, Cell::Text(escaped(&[code])));
    }

    fn price(&mut self, column: Column, price: Price) {
        self.set(column, Cell::Signed(price.ticks()));
    }

    /// Text padded with blanks, which may hold any bytes.
    fn text(&mut self, column: Column, padded: &[u8]) {
        self.set(column, Cell::Text(escaped(padded.trim_ascii_end())));
    }

    fn side(&mut self, side: Side) {
        self.name(Column::Side, side);
    }

    fn instrument(&mut self, instrument: InstrumentId) {
        self.number(Column::Instrument, u64::from(instrument.0));
    }

    fn order(&mut self, order: OrderId) {
        self.number(Column::Order, order.0);
    }

    fn owner(&mut self, owner: Owner) {
        self.number(Column::Session, u64::from(owner.session.0));
        self.number(Column::ClientRef, u64::from(owner.client_ref.0));
    }

    fn echo(&mut self, echo: &Echo) {
        let Echo { side, display, capacity, intermarket_sweep, cross } = *echo;
        for (column, code) in [
            (Column::EchoSide, side),
            (Column::EchoDisplay, display),
            (Column::EchoCapacity, capacity),
            (Column::EchoIntermarketSweep, intermarket_sweep),
            (Column::EchoCross, cross),
        ] {
            self.code(column, code);
        }
    }

    fn command(&mut self, command: &Command) {
        if let Some(instrument) = command.instrument() {
            self.instrument(instrument);
        }
        match command {
            Command::Enter(c) => self.enter(c),
            Command::EnterSpecial(c) => {
                self.enter(&c.enter);
                self.instructions(&c.instructions);
            }
            Command::Cancel(c) => {
                self.owner(c.owner);
                self.order(c.order);
                self.name(Column::Reason, c.reason);
            }
            Command::Reduce(c) => {
                self.owner(c.owner);
                self.order(c.order);
                self.number(Column::Total, c.total.0);
                match c.kind {
                    ReduceKind::Cancel => self.word(Column::Request, "Cancel"),
                    ReduceKind::Modify { side_code } => {
                        self.word(Column::Request, "Modify");
                        self.code(Column::SideCode, side_code);
                    }
                }
            }
            Command::Replace(c) => self.replace(c),
            Command::ReplaceSpecial(c) => {
                self.replace(&c.replace);
                self.instructions(&c.instructions);
            }
            Command::Rejected(c) => {
                self.owner(Owner { session: c.session, client_ref: c.client_ref });
                self.name(Column::Reason, c.reason);
                self.text(Column::ClientOrderId, &c.client_order_id.0);
            }
            Command::MassCancel(c) => self.mass_cancel(c),
            Command::DefineInstrument(instrument) => self.definition(instrument),
            Command::DefineSession(c) => {
                self.number(Column::Session, u64::from(c.session.0));
                self.text(Column::User, &c.user.0);
                self.name(Column::Protocol, c.protocol);
            }
            Command::FixRequest(c) => self.fix_request(c),
            Command::DropCopy(c) => {
                self.number(Column::Session, u64::from(c.watcher.0));
                self.number(Column::OfSession, u64::from(c.watched.0));
                self.word(Column::Ask, if c.is_on { "CopyOn" } else { "CopyOff" });
            }
            // All that they say is said by now; the epoch that starts is that of the record.
            Command::Advance(_) | Command::EndOfDay | Command::EpochStart(_) => {}
        }
    }

    fn enter(&mut self, c: &EnterOrder) {
        self.owner(c.owner);
        self.order(c.order);
        self.number(Column::Account, u64::from(c.account.0));
        self.side(c.side);
        self.name(Column::Type, c.order_type);
        self.name(Column::TimeInForce, c.time_in_force);
        self.price(Column::Price, c.price);
        self.number(Column::Quantity, c.quantity.0);
        self.text(Column::ClientOrderId, &c.client_order_id.0);
        self.echo(&c.echo);
    }

    fn replace(&mut self, c: &ReplaceOrder) {
        self.owner(c.owner);
        self.order(c.order);
        self.number(Column::NewOrder, c.new_order.0);
        self.number(Column::OriginalRef, u64::from(c.original.0));
        self.name(Column::Type, c.order_type);
        self.name(Column::TimeInForce, c.time_in_force);
        self.price(Column::Price, c.price);
        self.number(Column::Total, c.total.0);
        match c.priority {
            ReplacePriority::KeepWherePossible => self.word(Column::Priority, "Keep"),
            ReplacePriority::Lose => self.word(Column::Priority, "Lose"),
        }
        self.text(Column::ClientOrderId, &c.client_order_id.0);
        self.echo(&c.echo);
    }

    fn mass_cancel(&mut self, c: &MassCancel) {
        // The instrument, if it names one, is there already.
        let MassCancel { owner, instrument: _, session, account, side } = *c;
        self.owner(owner);
        if let Some(session) = session {
            self.number(Column::OfSession, u64::from(session.0));
        }
        if let Some(account) = account {
            self.number(Column::Account, u64::from(account.0));
        }
        if let Some(side) = side {
            self.side(side);
        }
    }

    fn definition(&mut self, instrument: &Instrument) {
        let Instrument { id, symbol, tick, lot, quantity_max, price_max, bounds } = instrument;
        self.instrument(*id);
        self.text(Column::Symbol, &symbol.padded());
        self.number(Column::Tick, u64::from(*tick));
        self.number(Column::Lot, u64::from(*lot));
        self.number(Column::QuantityMin, bounds.quantity_min.0);
        self.number(Column::QuantityMax, quantity_max.0);
        self.price(Column::PriceMax, *price_max);
        self.number(Column::NotionalMin, bounds.notional_min);
        self.number(Column::NotionalMax, bounds.notional_max);
    }

    fn instructions(&mut self, instructions: &Instructions) {
        let Instructions { trigger, display, execution, self_trade, expires } = *instructions;
        match trigger {
            Trigger::None => {}
            Trigger::Stop(price) => {
                self.word(Column::Trigger, "Stop");
                self.price(Column::TriggerPrice, price);
            }
            Trigger::Trailing { ticks } => {
                self.word(Column::Trigger, "Trailing");
                self.number(Column::TriggerDistance, ticks);
            }
        }
        match display {
            Display::Full => {}
            Display::Iceberg { peak, spread, seed } => {
                self.word(Column::Display, "Iceberg");
                self.number(Column::Peak, peak.0);
                self.number(Column::Spread, u64::from(spread));
                self.number(Column::Seed, u64::from(seed));
            }
            Display::Hidden => self.word(Column::Display, "Hidden"),
        }
        match execution {
            Execution::Any => {}
            Execution::Minimum(minimum) => {
                self.word(Column::Execution, "Minimum");
                self.number(Column::Minimum, minimum.0);
            }
            Execution::AllOrNone => self.word(Column::Execution, "AllOrNone"),
            Execution::PostOnly(PostOnly::Reject) => {
                self.word(Column::Execution, "PostOnlyReject");
            }
            Execution::PostOnly(PostOnly::Slide) => {
                self.word(Column::Execution, "PostOnlySlide");
            }
        }
        if let Some(of) = self_trade {
            self.number(Column::SelfTradeGroup, u64::from(of.group.get()));
            self.name(Column::SelfTradePolicy, of.policy);
        }
        if expires.0 > 0 {
            self.number(Column::Expires, expires.0);
        }
    }

    fn report(&mut self, report: &Report) {
        self.number(Column::Session, u64::from(report.session.0));
        self.number(Column::Number, report.number);
        self.number(Column::Index, u64::from(report.index));
        if let Some(instrument) = report.instrument {
            self.instrument(instrument);
        }
        match report.kind {
            ReportKind::System(code) => self.name(Column::Code, code),
            ReportKind::Accepted {
                client_ref,
                order,
                order_type,
                time_in_force,
                price,
                quantity,
                instructions,
                echo,
                client_order_id,
            } => {
                self.refers(client_ref, order);
                self.name(Column::Type, order_type);
                self.name(Column::TimeInForce, time_in_force);
                self.price(Column::Price, price);
                self.number(Column::Quantity, quantity.0);
                if let Some(instructions) = &instructions {
                    self.instructions(instructions);
                }
                self.echo(&echo);
                self.text(Column::ClientOrderId, &client_order_id.0);
            }
            ReportKind::Replaced {
                original,
                client_ref,
                order,
                order_type,
                time_in_force,
                price,
                quantity,
                instructions,
                echo,
                client_order_id,
            } => {
                self.number(Column::OriginalRef, u64::from(original.0));
                self.refers(client_ref, order);
                self.name(Column::Type, order_type);
                self.name(Column::TimeInForce, time_in_force);
                self.price(Column::Price, price);
                self.number(Column::Quantity, quantity.0);
                if let Some(instructions) = &instructions {
                    self.instructions(instructions);
                }
                self.echo(&echo);
                self.text(Column::ClientOrderId, &client_order_id.0);
            }
            ReportKind::Canceled { client_ref, order, quantity, reason } => {
                self.refers(client_ref, order);
                self.number(Column::Quantity, quantity.0);
                self.name(Column::Reason, reason);
            }
            ReportKind::Executed { client_ref, order, trade, price, quantity, leaves, liquidity } => {
                self.refers(client_ref, order);
                self.number(Column::Trade, trade.0);
                self.price(Column::Price, price);
                self.number(Column::Quantity, quantity.0);
                self.number(Column::Leaves, leaves.0);
                self.name(Column::Liquidity, liquidity);
            }
            ReportKind::Rejected { client_ref, reason, client_order_id } => {
                self.number(Column::ClientRef, u64::from(client_ref.0));
                self.name(Column::Reason, reason);
                self.text(Column::ClientOrderId, &client_order_id.0);
            }
            ReportKind::Modified { client_ref, order, quantity, side_code } => {
                self.refers(client_ref, order);
                self.number(Column::Quantity, quantity.0);
                self.code(Column::SideCode, side_code);
            }
            ReportKind::AccountQuery { next } => self.number(Column::NextRef, u64::from(next.0)),
            ReportKind::Restated { client_ref, order, price, leaves } => {
                self.refers(client_ref, order);
                self.price(Column::Price, price);
                self.number(Column::Leaves, leaves.0);
            }
            ReportKind::Refreshed { client_ref, order, shown, leaves } => {
                self.refers(client_ref, order);
                self.number(Column::Shown, shown.0);
                self.number(Column::Leaves, leaves.0);
            }
            ReportKind::Triggered { client_ref, order, price } => {
                self.refers(client_ref, order);
                self.price(Column::Price, price);
            }
            ReportKind::Decremented { client_ref, order, quantity, leaves, price, liquidity } => {
                self.refers(client_ref, order);
                self.price(Column::Price, price);
                self.number(Column::Quantity, quantity.0);
                self.number(Column::Leaves, leaves.0);
                self.name(Column::Liquidity, liquidity);
            }
            ReportKind::CancelRejected { client_ref, order, reason } => {
                self.refers(client_ref, order);
                self.name(Column::Reason, reason);
            }
            ReportKind::MassCanceled { client_ref, canceled } => {
                self.number(Column::ClientRef, u64::from(client_ref.0));
                self.number(Column::Canceled, u64::from(canceled));
            }
            ReportKind::Order(order) => self.order_report(&order),
            ReportKind::Copy(copy) => {
                self.number(Column::OfSession, u64::from(copy.of.0));
                self.order_report(&copy.order);
            }
            ReportKind::Refused(refused) => {
                self.number(Column::ClientRef, u64::from(refused.client_ref.0));
                self.refused(&refused.request, refused.reason);
                self.text(Column::ClientOrderId, &refused.client_order_id.0);
                self.text(Column::OriginalId, &refused.original_id.0);
            }
            ReportKind::Said(said) => {
                self.name(Column::Numbering, said.numbering);
                self.number(Column::NextIn, said.next_in);
                self.number(Column::RefBase, u64::from(said.ref_base.0));
            }
        }
    }

    fn order_report(&mut self, order: &OrderReport) {
        self.refers(order.client_ref, order.order);
        match order.kind {
            OrderReportKind::New => self.word(Column::Event, "New"),
            OrderReportKind::Trade { trade, price, quantity, liquidity } => {
                self.word(Column::Event, "Trade");
                self.number(Column::Trade, trade.0);
                self.price(Column::TradePrice, price);
                self.number(Column::Traded, quantity.0);
                self.name(Column::Liquidity, liquidity);
            }
            OrderReportKind::Canceled(reason) => {
                self.word(Column::Event, "Canceled");
                self.name(Column::Reason, reason);
            }
            OrderReportKind::Replaced => self.word(Column::Event, "Replaced"),
            OrderReportKind::Rejected(reason) => {
                self.word(Column::Event, "Rejected");
                self.name(Column::Reason, reason);
            }
            OrderReportKind::Restated(why) => {
                self.word(Column::Event, "Restated");
                self.name(Column::Reason, why);
            }
            OrderReportKind::Triggered => self.word(Column::Event, "Triggered"),
        }
        self.name(Column::Status, order.status);
        self.name(Column::TimeInForce, order.time_in_force);
        self.price(Column::Price, order.price);
        self.number(Column::Quantity, order.quantity.0);
        self.number(Column::Cumulative, order.cumulative.0);
        self.number(Column::Leaves, order.leaves.0);
        self.cells[Column::Notional as usize] = Cell::Signed(order.notional);
        self.echo(&order.echo);
        self.text(Column::ClientOrderId, &order.client_order_id.0);
        self.text(Column::OriginalId, &order.original_id.0);
    }

    fn fix_request(&mut self, c: &FixRequest) {
        self.owner(Owner { session: c.session, client_ref: c.client_ref });
        match &c.ask {
            FixAsk::Cancel { original } => {
                self.word(Column::Ask, "Cancel");
                self.number(Column::OriginalRef, u64::from(original.0));
            }
            FixAsk::Replace => self.word(Column::Ask, "Replace"),
            FixAsk::MassCancel => self.word(Column::Ask, "MassCancel"),
            FixAsk::Refused(request, reason) => self.refused(request, *reason),
        }
        self.text(Column::ClientOrderId, &c.client_order_id.0);
        self.text(Column::OriginalId, &c.original_id.0);
    }

    fn refused(&mut self, request: &RefusedRequest, reason: RejectReason) {
        self.name(Column::Reason, reason);
        match *request {
            RefusedRequest::Order { symbol, side_code, units } => {
                self.word(Column::Ask, "RefusedOrder");
                self.text(Column::Symbol, &symbol.padded());
                self.code(Column::SideCode, side_code);
                self.number(Column::Units, units);
            }
            RefusedRequest::Cancel { order, status } => {
                self.word(Column::Ask, "RefusedCancel");
                self.order(order);
                self.name(Column::Status, status);
            }
            RefusedRequest::Replace { order, status } => {
                self.word(Column::Ask, "RefusedReplace");
                self.order(order);
                self.name(Column::Status, status);
            }
        }
    }

    fn refers(&mut self, client_ref: ClientRef, order: OrderId) {
        self.number(Column::ClientRef, u64::from(client_ref.0));
        self.order(order);
    }
}

/// Bytes as printable ASCII: a backslash is doubled, and what cannot be printed is `\x` and two digits. Nothing is lost.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            // Writing to a string cannot fail.
            _ => _ = write!(text, "\\x{byte:02x}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_names_of_their_own() {
        for (place, name) in NAMES.iter().enumerate() {
            assert!(!NAMES[..place].contains(name), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        }
        assert_eq!(NAMES[Column::Position as usize], "position");
        assert_eq!(NAMES[Column::RefBase as usize], "ref_base");
        assert_eq!(NAMES.len(), Column::RefBase as usize + 1);
        // All of them are written down.
        let documented = include_str!("../../../docs/export.md");
        for name in NAMES {
            assert!(documented.contains(&format!("`{name}`")), "{name} is not documented");
        }
    }

    #[test]
    fn any_byte_can_be_told_from_any_other() {
        let all: Vec<String> = (0..=255).map(|byte| escaped(&[byte])).collect();
        for (byte, text) in all.iter().enumerate() {
            assert!(!all[..byte].contains(text), "{byte}");
            assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{byte}");
        }
        assert_eq!(escaped(b"A \\1\xff\n"), "A \\\\1\\xff\\x0a");
    }
}
