//! Replays a LOBSTER message file: recorded order flow of one NASDAQ book.
//!
//! A row is `time,type,order id,size,price,direction`: seconds after midnight; what happened; the resting order;
//! units; the resting order's price in ten-thousandths; 1 when the resting order buys, -1 when it sells. Source:
//! LOBSTER's description of its output (lobsterdata.com).
//!
//! | type | row | sent as |
//! |---|---|---|
//! | 1 | new order | a limit order for the day |
//! | 2 | partial cancel of `size` | a cancel down to the new whole size: what was entered, less all partial cancels |
//! | 3 | delete | a cancel |
//! | 4 | execution of a visible order | an immediate-or-cancel order of the other side, at the resting price and size |
//! | 5 | execution of a hidden order | not sent |
//! | 6 | cross trade | not sent |
//! | 7 | halt | not sent |
//!
//! Rows that name an order from before the file's first row cannot be sent either. The plan is made before the run:
//! every row is in it, or counted under the reason why not, exactly once. During the run an order may be gone that
//! the recording still has (our book filled it); what is then asked of it is sent, and gets no answer.

use core::fmt;
use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use domain::{Instrument, Side};
use flate2::read::MultiGzDecoder;
use serde::Serialize;

use crate::{
    request::{Ask, Number, Request},
    tracker::Answer,
    workload::{PRICE_E4_MAX, UNITS_BELOW},
};

/// The longest row that is read, in bytes; real ones have about 50.
const ROW_MAX: u64 = 256;
/// The most rows that are read: a full day of the most active symbol has a few million.
const ROWS_MAX: usize = 100_000_000;

/// Why a file could not be planned.
#[derive(Debug)]
pub enum LobsterError {
    /// It could not be read.
    Io(std::io::Error),
    /// A row is not one.
    Row {
        /// Its number, from 1.
        row: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl fmt::Display for LobsterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::Row { row, problem } => write!(
                f,
                "row {row}: {problem}; a row is time,type,order id,size,price,direction, as in \
                 34200.004241176,1,16113575,18,5853300,1"
            ),
        }
    }
}

impl core::error::Error for LobsterError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Row { .. } => None,
        }
    }
}

/// What became of the rows. Each is counted exactly once: the fields add up to `rows`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rows {
    /// Rows in the file.
    pub rows: u64,
    /// Sent: new orders.
    pub sent_new: u64,
    /// Sent: partial cancels.
    pub sent_partial_cancel: u64,
    /// Sent: deletes.
    pub sent_delete: u64,
    /// Sent: executions of visible orders.
    pub sent_execution: u64,
    /// Not sent: names an order from before the file's first row.
    pub skipped_order_from_before: u64,
    /// Not sent: execution of a hidden order.
    pub skipped_hidden: u64,
    /// Not sent: cross trade.
    pub skipped_cross: u64,
    /// Not sent: halt or its end.
    pub skipped_halt: u64,
    /// Not sent: the price is not one that this instrument can have.
    pub skipped_price: u64,
    /// Not sent: the size is not one that this instrument can have.
    pub skipped_size: u64,
    /// Not sent: names an order whose own row was not sent.
    pub skipped_order_not_sent: u64,
    /// Not sent: contradicts an earlier row (an order id used again, or more taken off an order than it had).
    pub skipped_contradiction: u64,
    /// Not sent: the run stopped before.
    pub not_reached: u64,
}

impl Rows {
    /// Rows sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent_new + self.sent_partial_cancel + self.sent_delete + self.sent_execution
    }

    /// Rows that are accounted for; equal to `rows`.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.sent() + self.skipped().iter().map(|(_, count)| count).sum::<u64>()
    }

    /// The reasons, in words, with how many rows each has.
    #[must_use]
    pub fn skipped(&self) -> [(&'static str, u64); 9] {
        [
            ("order from before the file", self.skipped_order_from_before),
            ("hidden execution", self.skipped_hidden),
            ("cross trade", self.skipped_cross),
            ("halt", self.skipped_halt),
            ("price off this instrument's ticks or limits", self.skipped_price),
            ("size off this instrument's lots or limits", self.skipped_size),
            ("order whose own row was not sent", self.skipped_order_not_sent),
            ("contradicts an earlier row", self.skipped_contradiction),
            ("not reached before the stop", self.not_reached),
        ]
    }
}

/// How far the exchange's fills agree with the recording. Each execution row that was sent is in exactly one of the
/// first five classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Rows filled whole against the recorded resting order.
    pub rows_recorded_order: u64,
    /// Rows filled whole at the recorded price, other orders taking part.
    pub rows_same_price: u64,
    /// Rows filled whole, some of it at a better price.
    pub rows_better_price: u64,
    /// Rows filled in part.
    pub rows_partly: u64,
    /// Rows not filled at all.
    pub rows_not: u64,
    /// Units in the execution rows that were sent.
    pub units_recorded: u64,
    /// Units filled against the recorded resting order.
    pub units_recorded_order: u64,
    /// Units filled against others at the recorded price.
    pub units_same_price: u64,
    /// Units filled at a better price.
    pub units_better_price: u64,
    /// Units that new orders traded on entry; in the recording these rested.
    pub units_on_entry: u64,
}

/// What a row becomes.
#[derive(Clone, Copy, Debug)]
struct Step {
    request: Request,
    kind: RowKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowKind {
    New,
    PartialCancel,
    Delete,
    Execution,
}

/// An execution row, and how it was filled.
#[derive(Clone, Copy, Debug)]
struct Execution {
    target: Number,
    price_e4: u64,
    size: u32,
    by_target: u32,
    same_price: u32,
    better_price: u32,
}

/// A report of one side of a trade.
#[derive(Clone, Copy, Debug)]
struct Half {
    trade: u64,
    number: Number,
    quantity: u32,
    price_e4: u64,
    removed: bool,
}

/// A file, planned, and the state of its replay.
#[derive(Debug)]
pub(crate) struct Replay {
    steps: Vec<Step>,
    next: usize,
    planned: Rows,
    executions: Vec<Execution>,
    /// By number: the index of its execution, or [`NO_EXECUTION`].
    execution_of: Vec<u32>,
    /// The half of a trade whose other half has not arrived. Both are of the same event, so they arrive one after
    /// the other.
    half: Option<Half>,
    units_on_entry: u64,
}

const NO_EXECUTION: u32 = u32::MAX;

/// An order as the recording has it.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    number: Number,
    /// As entered.
    size: u32,
    canceled: u32,
    executed: u32,
    /// Whether its own row was sent.
    sent: bool,
}

impl Recorded {
    fn open(&self) -> u32 {
        self.size - self.canceled - self.executed
    }
}

impl Replay {
    /// Reads and plans a file; gzipped when its name ends in `.gz`.
    pub(crate) fn load(path: &Path, instrument: &Instrument) -> Result<Self, LobsterError> {
        let file = File::open(path).map_err(LobsterError::Io)?;
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz")) {
            Self::plan(MultiGzDecoder::new(BufReader::new(file)), instrument)
        } else {
            Self::plan(file, instrument)
        }
    }

    /// Plans what `input` says.
    pub(crate) fn plan(input: impl Read, instrument: &Instrument) -> Result<Self, LobsterError> {
        let mut plan = Self {
            steps: Vec::new(),
            next: 0,
            planned: Rows::default(),
            executions: Vec::new(),
            execution_of: vec![NO_EXECUTION],
            half: None,
            units_on_entry: 0,
        };
        let mut orders = HashMap::new();
        let mut input = BufReader::with_capacity(1 << 16, input);
        let mut line = Vec::new();
        for row in 1.. {
            line.clear();
            // Bounded: neither a row nor the number of rows can take all memory.
            (&mut input).take(ROW_MAX).read_until(b'\n', &mut line).map_err(LobsterError::Io)?;
            if line.is_empty() {
                break;
            }
            if row > ROWS_MAX {
                return Err(LobsterError::Row { row, problem: "more rows than can be replayed" });
            }
            let fields = Row::parse(&line).map_err(|problem| LobsterError::Row { row, problem })?;
            plan.planned.rows += 1;
            if let Err(skip) = plan.row(&fields, instrument, &mut orders) {
                plan.skip(skip);
            }
        }
        Ok(plan)
    }

    /// Plans one row, or says why it cannot be sent.
    fn row(
        &mut self,
        row: &Row,
        instrument: &Instrument,
        orders: &mut HashMap<u64, Recorded>,
    ) -> Result<(), Skip> {
        match row.kind {
            1 => return self.new_order(row, instrument, orders),
            2..=4 => {}
            5 => return Err(Skip::Hidden),
            6 => return Err(Skip::Cross),
            _ => return Err(Skip::Halt),
        }
        let order = orders.get_mut(&row.order).ok_or(Skip::OrderFromBefore)?;
        let open = order.open();
        if open == 0 || row.size > open {
            return Err(Skip::Contradiction);
        }
        let recorded = *order;
        match row.kind {
            2 => order.canceled += row.size,
            3 => order.canceled += open,
            _ => order.executed += row.size,
        }
        if !recorded.sent {
            return Err(Skip::OrderNotSent);
        }
        let (kind, number, ask) = match row.kind {
            2 if order.open() == 0 => (RowKind::PartialCancel, recorded.number, Ask::Cancel),
            2 => {
                let total = recorded.size - order.canceled;
                sendable_size(total, instrument)?;
                (RowKind::PartialCancel, recorded.number, Ask::Reduce { total })
            }
            3 => (RowKind::Delete, recorded.number, Ask::Cancel),
            _ => {
                sendable_size(row.size, instrument)?;
                let price_e4 = sendable_price(row.price, instrument)?;
                let number = self.give_number(Some(Execution {
                    target: recorded.number,
                    price_e4,
                    size: row.size,
                    by_target: 0,
                    same_price: 0,
                    better_price: 0,
                }));
                let ask = Ask::Enter {
                    book: 0,
                    side: row.side.opposite(),
                    price_e4,
                    quantity: row.size,
                    immediate: true,
                };
                (RowKind::Execution, number, ask)
            }
        };
        self.steps.push(Step { request: Request { session: 0, number, ask }, kind });
        Ok(())
    }

    fn new_order(
        &mut self,
        row: &Row,
        instrument: &Instrument,
        orders: &mut HashMap<u64, Recorded>,
    ) -> Result<(), Skip> {
        if orders.contains_key(&row.order) {
            return Err(Skip::Contradiction);
        }
        let mut recorded = Recorded { number: 0, size: row.size, canceled: 0, executed: 0, sent: false };
        let sendable =
            sendable_size(row.size, instrument).and_then(|()| sendable_price(row.price, instrument));
        if let Ok(price_e4) = sendable {
            recorded.number = self.give_number(None);
            recorded.sent = true;
            let ask = Ask::Enter { book: 0, side: row.side, price_e4, quantity: row.size, immediate: false };
            self.steps.push(Step {
                request: Request { session: 0, number: recorded.number, ask },
                kind: RowKind::New,
            });
        }
        orders.insert(row.order, recorded);
        sendable.map(|_| ())
    }

    fn give_number(&mut self, execution: Option<Execution>) -> Number {
        self.execution_of.push(match execution {
            Some(execution) => {
                self.executions.push(execution);
                self.executions.len() as u32 - 1
            }
            None => NO_EXECUTION,
        });
        self.execution_of.len() as Number - 1
    }

    fn skip(&mut self, skip: Skip) {
        let rows = &mut self.planned;
        *match skip {
            Skip::OrderFromBefore => &mut rows.skipped_order_from_before,
            Skip::Hidden => &mut rows.skipped_hidden,
            Skip::Cross => &mut rows.skipped_cross,
            Skip::Halt => &mut rows.skipped_halt,
            Skip::Price => &mut rows.skipped_price,
            Skip::Size => &mut rows.skipped_size,
            Skip::OrderNotSent => &mut rows.skipped_order_not_sent,
            Skip::Contradiction => &mut rows.skipped_contradiction,
        } += 1;
    }

    /// How many orders the replay enters, immediate ones included.
    pub(crate) fn numbers(&self) -> usize {
        self.execution_of.len()
    }

    /// The next request; `None` after the last. The same one until [`advance`](Self::advance).
    pub(crate) fn peek(&self) -> Option<Request> {
        self.steps.get(self.next).map(|step| step.request)
    }

    /// The request was sent.
    pub(crate) fn advance(&mut self) {
        self.next += 1;
    }

    /// A message arrived: fills are compared with the recording.
    pub(crate) fn answered(&mut self, answer: &Answer) {
        let Answer::Executed { number, quantity, price_e4, removed, trade } = *answer else { return };
        let half = Half { trade, number, quantity, price_e4, removed };
        match self.half.take() {
            Some(other) if other.trade == trade && other.removed != removed => {
                let (taker, maker) = if removed { (half, other) } else { (other, half) };
                self.traded(&taker, Some(maker.number));
            }
            Some(other) => {
                self.alone(&other);
                self.half = Some(half);
            }
            None => self.half = Some(half),
        }
    }

    /// The other side of this trade was not ours.
    fn alone(&mut self, half: &Half) {
        if half.removed {
            self.traded(half, None);
        }
    }

    fn traded(&mut self, taker: &Half, maker: Option<Number>) {
        let index = self.execution_of.get(taker.number as usize).copied().unwrap_or(NO_EXECUTION);
        let Some(execution) = self.executions.get_mut(index as usize) else {
            self.units_on_entry += u64::from(taker.quantity);
            return;
        };
        *if maker == Some(execution.target) {
            &mut execution.by_target
        } else if taker.price_e4 == execution.price_e4 {
            &mut execution.same_price
        } else {
            &mut execution.better_price
        } += taker.quantity;
    }

    /// What became of the rows, as far as the replay came.
    pub(crate) fn rows(&self) -> Rows {
        let mut rows = self.planned;
        for step in &self.steps[..self.next] {
            *match step.kind {
                RowKind::New => &mut rows.sent_new,
                RowKind::PartialCancel => &mut rows.sent_partial_cancel,
                RowKind::Delete => &mut rows.sent_delete,
                RowKind::Execution => &mut rows.sent_execution,
            } += 1;
        }
        rows.not_reached = (self.steps.len() - self.next) as u64;
        rows
    }

    /// How far the fills agree, as far as the replay came.
    pub(crate) fn agreement(&mut self) -> Agreement {
        if let Some(half) = self.half.take() {
            self.alone(&half);
        }
        let mut agreement = Agreement { units_on_entry: self.units_on_entry, ..Agreement::default() };
        let sent = self.steps[..self.next].iter().filter(|step| step.kind == RowKind::Execution);
        for e in sent.map(|step| &self.executions[self.execution_of[step.request.number as usize] as usize]) {
            agreement.units_recorded += u64::from(e.size);
            agreement.units_recorded_order += u64::from(e.by_target);
            agreement.units_same_price += u64::from(e.same_price);
            agreement.units_better_price += u64::from(e.better_price);
            let filled = e.by_target + e.same_price + e.better_price;
            *if e.by_target == e.size {
                &mut agreement.rows_recorded_order
            } else if filled == 0 {
                &mut agreement.rows_not
            } else if filled < e.size {
                &mut agreement.rows_partly
            } else if e.better_price == 0 {
                &mut agreement.rows_same_price
            } else {
                &mut agreement.rows_better_price
            } += 1;
        }
        agreement
    }
}

/// Why a row is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    OrderFromBefore,
    Hidden,
    Cross,
    Halt,
    Price,
    Size,
    OrderNotSent,
    Contradiction,
}

fn sendable_size(size: u32, instrument: &Instrument) -> Result<(), Skip> {
    let size = u64::from(size);
    if size < UNITS_BELOW && instrument.quantity_from_units(size).is_some() {
        Ok(())
    } else {
        Err(Skip::Size)
    }
}

fn sendable_price(price: i64, instrument: &Instrument) -> Result<u64, Skip> {
    u64::try_from(price)
        .ok()
        .filter(|&e4| e4 <= PRICE_E4_MAX && instrument.price_from_e4(e4).is_some())
        .ok_or(Skip::Price)
}

/// A row as it stands in the file.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// 1 to 7.
    kind: u8,
    order: u64,
    size: u32,
    price: i64,
    side: Side,
}

impl Row {
    fn parse(line: &[u8]) -> Result<Self, &'static str> {
        if line.len() as u64 == ROW_MAX {
            return Err("it is longer than any row");
        }
        let text = core::str::from_utf8(line.trim_ascii()).map_err(|_| "it is not text")?;
        let mut fields = text.split(',');
        let mut field = || fields.next().ok_or("it has too few fields");
        let time = field()?;
        if time.is_empty() || !time.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err("the time is not a number");
        }
        let kind = match field()?.as_bytes() {
            &[digit @ b'1'..=b'7'] => digit - b'0',
            _ => return Err("the type is none of 1 to 7"),
        };
        let order = field()?.parse().map_err(|_| "the order id is not a number")?;
        let size = field()?.parse().map_err(|_| "the size is not a number")?;
        let price = field()?.parse().map_err(|_| "the price is not a number")?;
        let side = match field()? {
            "1" => Side::Buy,
            "-1" => Side::Sell,
            _ => return Err("the direction is neither 1 nor -1"),
        };
        if fields.next().is_some() {
            return Err("it has too many fields");
        }
        Ok(Self { kind, order, size, price, side })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use domain::{InstrumentId, Price, Quantity, Symbol};

    use super::*;

    fn instrument() -> Instrument {
        Instrument {
            id: InstrumentId(0),
            symbol: Symbol::new("TEST").unwrap(),
            tick: 100,
            lot: 1,
            quantity_max: Quantity(10_000),
            price_max: Price::new(1_000_000).unwrap(),
            bounds: domain::OrderBounds::NONE,
        }
    }

    /// Every type, every reason.
    const SAMPLE: &str = "\
34200.1,1,10,100,5000000,1
34200.2,1,11,50,5000000,1
34200.3,1,12,80,5001000,-1
34200.4,1,13,10,4999900,1
34200.5,4,10,40,5000000,1
34200.6,4,11,50,5000000,1
34200.7,2,10,20,5000000,1
34200.8,3,10,40,5000000,1
34200.9,3,99,40,5000000,1
34201.0,5,0,40,5000500,1
34201.1,6,0,40,5000500,1
34201.2,7,0,0,-1,-1
34201.3,1,14,10,5000050,1
34201.4,3,14,10,5000050,1
34201.5,1,15,20000,5000000,1
34201.6,1,12,5,5000000,1
34201.7,4,12,81,5001000,-1
34201.8,4,12,80,5001000,-1
34201.9,3,12,80,5001000,-1
34202.0,4,98,10,5000000,1
";

    /// A slow obvious book: price-time priority, everything from one session.
    #[derive(Default)]
    struct Book {
        /// In the order of arrival: number, side, price, open, executed.
        resting: Vec<(Number, Side, u64, u32, u32)>,
        trades: u64,
    }

    impl Book {
        fn play(&mut self, request: &Request) -> Vec<Answer> {
            let mut answers = vec![];
            match request.ask {
                Ask::Enter { side, price_e4, mut quantity, immediate, .. } => {
                    answers.push(Answer::Accepted { number: request.number, quantity });
                    while quantity > 0 {
                        let best = self
                            .resting
                            .iter()
                            .enumerate()
                            .filter(|(_, o)| o.1 != side && o.3 > 0)
                            .filter(
                                |(_, o)| if side == Side::Buy { o.2 <= price_e4 } else { o.2 >= price_e4 },
                            )
                            .min_by_key(|(i, o)| {
                                (if side == Side::Buy { o.2 as i64 } else { -(o.2 as i64) }, *i)
                            })
                            .map(|(i, _)| i);
                        let Some(best) = best else { break };
                        self.trades += 1;
                        let (trade, maker) = (self.trades, &mut self.resting[best]);
                        let traded = quantity.min(maker.3);
                        quantity -= traded;
                        maker.3 -= traded;
                        maker.4 += traded;
                        let report = |number, removed| Answer::Executed {
                            number,
                            quantity: traded,
                            price_e4: maker.2,
                            removed,
                            trade,
                        };
                        answers.push(report(maker.0, false));
                        answers.push(report(request.number, true));
                    }
                    if !immediate {
                        self.resting.push((request.number, side, price_e4, quantity, 0));
                    } else if quantity > 0 {
                        answers.push(Answer::Canceled { number: request.number, quantity, reason: b'I' });
                    }
                }
                Ask::Reduce { .. } | Ask::Cancel => {
                    let total = if let Ask::Reduce { total } = request.ask { total } else { 0 };
                    if let Some(order) = self.resting.iter_mut().find(|o| o.0 == request.number && o.3 > 0) {
                        let left = total.saturating_sub(order.4).min(order.3);
                        let quantity = order.3 - left;
                        order.3 = left;
                        if quantity > 0 {
                            answers.push(Answer::Canceled { number: request.number, quantity, reason: b'U' });
                        }
                    }
                }
                Ask::Replace { .. } => unreachable!("recordings have no replacements"),
            }
            answers
        }
    }

    fn run(replay: &mut Replay, steps: usize) -> crate::tracker::Counts {
        let mut tracker = crate::tracker::Tracker::new(1, replay.numbers());
        let mut book = Book::default();
        for _ in 0..steps {
            let Some(request) = replay.peek() else { break };
            replay.advance();
            tracker.sent(&request, false, 0, 0);
            for answer in book.play(&request) {
                tracker.answered(0, &answer, 1);
                replay.answered(&answer);
            }
        }
        tracker.counts.clone()
    }

    #[test]
    fn every_row_is_accounted_for_once() {
        let mut replay = Replay::plan(SAMPLE.as_bytes(), &instrument()).unwrap();
        let counts = run(&mut replay, usize::MAX);
        let rows = replay.rows();
        let expected = Rows {
            rows: 20,
            sent_new: 4,
            sent_partial_cancel: 1,
            sent_delete: 1,
            sent_execution: 3,
            skipped_order_from_before: 2,
            skipped_hidden: 1,
            skipped_cross: 1,
            skipped_halt: 1,
            skipped_price: 1,
            skipped_size: 1,
            skipped_order_not_sent: 1,
            skipped_contradiction: 3,
            not_reached: 0,
        };
        assert_eq!(rows, expected);
        assert_eq!(rows.accounted(), rows.rows);
        assert_eq!((counts.sent(), counts.in_flight(), counts.unexpected), (9, 0, 0));

        let mut replay = Replay::plan(SAMPLE.as_bytes(), &instrument()).unwrap();
        run(&mut replay, 3);
        assert_eq!((replay.rows().sent(), replay.rows().not_reached), (3, 6));
        assert_eq!(replay.rows().accounted(), 20);
    }

    #[test]
    fn fills_are_compared_with_the_recording() {
        let mut replay = Replay::plan(SAMPLE.as_bytes(), &instrument()).unwrap();
        run(&mut replay, usize::MAX);
        // 40 of order 10 as recorded; then 50 recorded against order 11, of which order 10 is ahead with 60; then 80
        // of order 12.
        let expected = Agreement {
            rows_recorded_order: 2,
            rows_same_price: 1,
            units_recorded: 170,
            units_recorded_order: 120,
            units_same_price: 50,
            ..Agreement::default()
        };
        assert_eq!(replay.agreement(), expected);
    }

    #[test]
    fn other_fills_have_their_classes() {
        // The bid at 5000100 is not hit in the recording, but it is the better price; nothing is left for the last.
        let rows = "\
1,1,1,10,5000000,1
1,1,2,30,5000100,1
1,4,1,10,5000000,1
1,1,3,25,5000100,-1
1,4,1,0,5000000,1
";
        let mut replay = Replay::plan(rows.as_bytes(), &instrument()).unwrap();
        run(&mut replay, usize::MAX);
        let agreement = replay.agreement();
        assert_eq!((agreement.rows_better_price, agreement.units_better_price), (1, 10));
        assert_eq!(agreement.units_on_entry, 20, "the ask at 5000100 met what was left of the bid");
        assert_eq!(replay.rows().skipped_contradiction, 1);

        let rows = "1,1,1,10,5000000,1\n1,1,2,10,5000000,-1\n1,4,1,10,5000000,1\n";
        let mut replay = Replay::plan(rows.as_bytes(), &instrument()).unwrap();
        run(&mut replay, usize::MAX);
        assert_eq!(replay.agreement().rows_not, 1);
    }

    #[test]
    fn a_trade_with_someone_else_is_told_by_its_price() {
        let rows = "1,1,1,10,5000000,1\n1,4,1,10,5000000,1\n";
        let mut replay = Replay::plan(rows.as_bytes(), &instrument()).unwrap();
        replay.advance();
        replay.advance();
        let fill = |trade, quantity, price_e4| Answer::Executed {
            number: 2,
            quantity,
            price_e4,
            removed: true,
            trade,
        };
        replay.answered(&fill(1, 4, 5_000_000));
        replay.answered(&fill(2, 6, 5_000_100));
        let agreement = replay.agreement();
        assert_eq!((agreement.units_same_price, agreement.units_better_price), (4, 6));
        assert_eq!(agreement.rows_better_price, 1);
    }

    #[test]
    fn gzipped_files_are_read_and_faulty_rows_named() {
        let path = std::env::temp_dir().join(format!("loadgen-lobster-{}.csv.gz", std::process::id()));
        let mut gz = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        gz.write_all(SAMPLE.as_bytes()).unwrap();
        gz.finish().unwrap();
        let replay = Replay::load(&path, &instrument());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(replay.unwrap().rows().rows, 20);

        let long = format!("1,1,1,{},1,1", "1".repeat(300));
        for (rows, row, problem) in [
            ("1,1,1,10,5000000,1\n\n", 2, "not a number"),
            ("1,8,1,10,5000000,1\n", 1, "none of 1 to 7"),
            ("1,1,1,10,5000000\n", 1, "too few"),
            ("1,1,1,10,5000000,1,1\n", 1, "too many"),
            ("1,1,1,10,5000000,2\n", 1, "neither 1 nor -1"),
            ("1,1,x,10,5000000,1\n", 1, "order id"),
            ("1,1,1,-10,5000000,1\n", 1, "size"),
            ("1,1,1,10,50.5,1\n", 1, "price"),
            (long.as_str(), 1, "longer than any row"),
        ] {
            let said = Replay::plan(rows.as_bytes(), &instrument()).unwrap_err().to_string();
            assert!(said.contains(&format!("row {row}:")) && said.contains(problem), "{said}");
        }
        let missing = Replay::load(Path::new("no-such-file.csv"), &instrument()).unwrap_err();
        assert!(missing.to_string().contains("cannot be read"));
    }
}
