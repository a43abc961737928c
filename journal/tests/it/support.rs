//! What the tests share: seeded random commands and reports, a journal's contents as data, ways to break
//! files.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Display, DropCopy, Echo,
    EnterOrder, EnterSpecial, Epoch, Execution, FixAsk, FixRequest, Instructions, Instrument, InstrumentId,
    Liquidity, MassCancel, Nanos, OrderBounds, OrderCopy, OrderId, OrderReport, OrderReportKind, OrderStatus,
    OrderType, Owner, PostOnly, PreRejected, Price, Protocol, Quantity, ReduceKind, ReduceOrder, Refused,
    RefusedRequest, RejectReason, ReplaceOrder, ReplacePriority, ReplaceSpecial, Report, ReportKind,
    Restatement, SelfTrade, SelfTradePolicy, Sequence, Sequenced, SessionDefinition, SessionId, Side, Symbol,
    SystemCode, TimeInForce, Trigger, UserName,
};
use journal::{AckPolicy, Appender, Full, Journal, Options, Position, Reader, Recovery};

/// Bytes before a segment's data.
pub(crate) const SEGMENT_HEADER: u64 = 4096;

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same seed, everywhere.
pub(crate) struct Random(u64);

impl Random {
    /// Of the test's seed.
    pub(crate) fn seeded() -> Self {
        Self(seeded::seed())
    }

    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn flip(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn order(&mut self) -> OrderId {
        OrderId::new(InstrumentId(self.below(1 << 20) as u32), self.below(1 << 44))
    }

    fn price(&mut self) -> Price {
        Price::new(self.next() as i64).unwrap_or(Price::MAX)
    }

    fn owner(&mut self) -> Owner {
        Owner { session: SessionId(self.next() as u32), client_ref: ClientRef(self.next() as u32) }
    }

    fn text(&mut self) -> ClientOrderId {
        let mut text = [b' '; 20];
        let length = self.below(21) as usize;
        for byte in &mut text[..length] {
            *byte = b'!' + self.below(94) as u8;
        }
        ClientOrderId(text)
    }

    fn echo(&mut self) -> Echo {
        let [side, display, capacity, intermarket_sweep, cross, ..] = self.next().to_le_bytes();
        Echo { side, display, capacity, intermarket_sweep, cross }
    }

    fn order_type(&mut self) -> OrderType {
        OrderType::from_u8(self.below(3) as u8).expect("three of them")
    }

    fn time_in_force(&mut self) -> TimeInForce {
        TimeInForce::from_u8(self.below(5) as u8).expect("five of them")
    }

    fn enter(&mut self) -> EnterOrder {
        EnterOrder {
            order: self.order(),
            owner: self.owner(),
            account: AccountId(self.next() as u32),
            side: self.side(),
            order_type: self.order_type(),
            time_in_force: self.time_in_force(),
            price: self.price(),
            quantity: Quantity(self.next()),
            client_order_id: self.text(),
            echo: self.echo(),
        }
    }

    fn replace(&mut self) -> ReplaceOrder {
        ReplaceOrder {
            order: self.order(),
            original: ClientRef(self.next() as u32),
            new_order: self.order(),
            owner: self.owner(),
            order_type: self.order_type(),
            time_in_force: self.time_in_force(),
            price: self.price(),
            total: Quantity(self.next()),
            priority: if self.flip() { ReplacePriority::Lose } else { ReplacePriority::KeepWherePossible },
            client_order_id: self.text(),
            echo: self.echo(),
        }
    }

    fn side(&mut self) -> Side {
        if self.flip() { Side::Buy } else { Side::Sell }
    }

    fn instructions(&mut self) -> Instructions {
        Instructions {
            trigger: match self.below(3) {
                0 => Trigger::None,
                1 => Trigger::Stop(self.price()),
                _ => Trigger::Trailing { ticks: self.next() },
            },
            display: match self.below(3) {
                0 => Display::Full,
                1 => Display::Iceberg {
                    peak: Quantity(self.next()),
                    spread: self.next() as u32,
                    seed: self.next() as u32,
                },
                _ => Display::Hidden,
            },
            execution: match self.below(5) {
                0 => Execution::Any,
                1 => Execution::Minimum(Quantity(self.next())),
                2 => Execution::AllOrNone,
                3 => Execution::PostOnly(PostOnly::Reject),
                _ => Execution::PostOnly(PostOnly::Slide),
            },
            self_trade: NonZeroU32::new(self.below(5) as u32).map(|group| SelfTrade {
                group,
                policy: SelfTradePolicy::from_u8(self.below(4) as u8).expect("four of them"),
            }),
            expires: Nanos(self.next()),
        }
    }

    fn bounds(&mut self) -> OrderBounds {
        if self.flip() {
            return OrderBounds::NONE;
        }
        let notional_min = self.below(2) * self.below(1 << 20);
        OrderBounds {
            quantity_min: Quantity(1 + self.below(1 << 20)),
            notional_min,
            notional_max: notional_min.max(1) + self.below(1 << 40),
        }
    }

    pub(crate) fn command(&mut self) -> Command {
        match self.below(19) {
            0..5 => Command::Enter(self.enter()),
            5 | 6 => Command::Cancel(CancelOrder {
                order: self.order(),
                owner: self.owner(),
                reason: CancelReason::ALL[self.below(11) as usize],
            }),
            7 => Command::Reduce(ReduceOrder {
                order: self.order(),
                owner: self.owner(),
                total: Quantity(self.next()),
                kind: if self.flip() {
                    ReduceKind::Cancel
                } else {
                    ReduceKind::Modify { side_code: self.next() as u8 }
                },
            }),
            8 => Command::Replace(self.replace()),
            9 => Command::Rejected(PreRejected {
                session: SessionId(self.next() as u32),
                client_ref: ClientRef(self.next() as u32),
                client_order_id: self.text(),
                reason: RejectReason::ALL[self.below(16) as usize],
            }),
            10 if self.flip() => Command::DefineInstrument(Instrument {
                id: InstrumentId(self.below(1 << 20) as u32),
                symbol: Symbol::new(["A", "ABC", "ABCDEFGH"][self.below(3) as usize]).expect("a symbol"),
                tick: self.below(u64::from(u32::MAX)) as u32 + 1,
                lot: self.below(u64::from(u32::MAX)) as u32 + 1,
                quantity_max: Quantity((1 << 20) + self.below(1 << 31)),
                price_max: Price::new(1 + self.below(1 << 31) as i64).expect("a price"),
                bounds: self.bounds(),
            }),
            10 => Command::DefineSession(SessionDefinition {
                session: SessionId(self.next() as u32),
                user: UserName(self.text().0),
                protocol: [Protocol::PlainOuch, Protocol::Ouch, Protocol::Fix][self.below(3) as usize],
            }),
            11 => {
                Command::EnterSpecial(EnterSpecial { enter: self.enter(), instructions: self.instructions() })
            }
            12 => Command::ReplaceSpecial(ReplaceSpecial {
                replace: self.replace(),
                instructions: self.instructions(),
            }),
            13 => Command::MassCancel(MassCancel {
                owner: self.owner(),
                instrument: self.flip().then(|| InstrumentId(self.below(1 << 20) as u32)),
                session: self.flip().then(|| SessionId(self.next() as u32)),
                account: self.flip().then(|| AccountId(self.next() as u32)),
                side: self.flip().then(|| self.side()),
            }),
            14 => Command::Advance(InstrumentId(self.below(1 << 20) as u32)),
            15 => Command::EpochStart(Epoch(self.next() as u32)),
            16 => Command::FixRequest(FixRequest {
                session: SessionId(self.next() as u32),
                client_ref: ClientRef(self.next() as u32),
                ask: match self.below(4) {
                    0 => FixAsk::Cancel { original: ClientRef(self.next() as u32) },
                    1 => FixAsk::MassCancel,
                    2 => FixAsk::Replace,
                    _ => FixAsk::Refused(self.refused_request(), RejectReason::ALL[self.below(20) as usize]),
                },
                client_order_id: self.text(),
                original_id: self.text(),
            }),
            17 => Command::DropCopy(DropCopy {
                watcher: SessionId(self.next() as u32),
                watched: SessionId(self.next() as u32),
                is_on: self.flip(),
            }),
            _ => Command::EndOfDay,
        }
    }

    fn order_status(&mut self) -> OrderStatus {
        OrderStatus::from_u8(self.below(7) as u8).expect("one of seven")
    }

    fn refused_request(&mut self) -> RefusedRequest {
        match self.below(3) {
            0 => RefusedRequest::Order {
                symbol: Symbol::new(["A", "ABC", "ABCDEFGH"][self.below(3) as usize]).expect("a symbol"),
                side_code: self.next() as u8,
                units: self.next(),
            },
            1 => RefusedRequest::Cancel { order: self.order(), status: self.order_status() },
            _ => RefusedRequest::Replace { order: self.order(), status: self.order_status() },
        }
    }

    fn order_report(&mut self) -> OrderReport {
        let kind = match self.below(7) {
            0 => OrderReportKind::New,
            1 => OrderReportKind::Trade {
                trade: self.order(),
                price: self.price(),
                quantity: Quantity(self.next()),
                liquidity: if self.flip() { Liquidity::Added } else { Liquidity::Removed },
            },
            2 => OrderReportKind::Canceled(CancelReason::ALL[self.below(11) as usize]),
            3 => OrderReportKind::Replaced,
            4 => OrderReportKind::Rejected(RejectReason::ALL[self.below(20) as usize]),
            5 => OrderReportKind::Restated(Restatement::from_u8(self.below(4) as u8).expect("one of four")),
            _ => OrderReportKind::Triggered,
        };
        OrderReport {
            kind,
            status: self.order_status(),
            client_ref: ClientRef(self.next() as u32),
            order: self.order(),
            echo: self.echo(),
            time_in_force: self.time_in_force(),
            price: self.price(),
            quantity: Quantity(self.next()),
            cumulative: Quantity(self.next()),
            leaves: Quantity(self.next()),
            notional: self.next() as i64,
            client_order_id: self.text(),
            original_id: self.text(),
        }
    }

    pub(crate) fn report_kind(&mut self) -> ReportKind {
        let client_ref = ClientRef(self.next() as u32);
        let order = self.order();
        match self.below(18) {
            0 => ReportKind::System(if self.flip() { SystemCode::StartOfDay } else { SystemCode::EndOfDay }),
            1 => ReportKind::Accepted {
                client_ref,
                order,
                order_type: self.order_type(),
                time_in_force: self.time_in_force(),
                price: self.price(),
                quantity: Quantity(self.next()),
                instructions: self.flip().then(|| self.instructions()),
                echo: self.echo(),
                client_order_id: self.text(),
            },
            2 => ReportKind::Replaced {
                original: ClientRef(self.next() as u32),
                client_ref,
                order,
                order_type: self.order_type(),
                time_in_force: self.time_in_force(),
                price: self.price(),
                quantity: Quantity(self.next()),
                instructions: self.flip().then(|| self.instructions()),
                echo: self.echo(),
                client_order_id: self.text(),
            },
            3 => ReportKind::Canceled {
                client_ref,
                order,
                quantity: Quantity(self.next()),
                reason: CancelReason::ALL[self.below(11) as usize],
            },
            4 => ReportKind::Executed {
                client_ref,
                order,
                trade: self.order(),
                price: self.price(),
                quantity: Quantity(self.next()),
                leaves: Quantity(self.next()),
                liquidity: if self.flip() { Liquidity::Added } else { Liquidity::Removed },
            },
            5 => ReportKind::Rejected {
                client_ref,
                reason: RejectReason::ALL[self.below(16) as usize],
                client_order_id: self.text(),
            },
            6 => ReportKind::Modified {
                client_ref,
                order,
                quantity: Quantity(self.next()),
                side_code: self.next() as u8,
            },
            7 => {
                ReportKind::Restated { client_ref, order, price: self.price(), leaves: Quantity(self.next()) }
            }
            8 => ReportKind::Refreshed {
                client_ref,
                order,
                shown: Quantity(self.next()),
                leaves: Quantity(self.next()),
            },
            9 => ReportKind::Triggered { client_ref, order, price: self.price() },
            10 => ReportKind::Decremented {
                client_ref,
                order,
                quantity: Quantity(self.next()),
                leaves: Quantity(self.next()),
                price: self.price(),
                liquidity: if self.flip() { Liquidity::Added } else { Liquidity::Removed },
            },
            11 => ReportKind::CancelRejected {
                client_ref,
                order,
                reason: RejectReason::ALL[self.below(16) as usize],
            },
            12 => ReportKind::MassCanceled { client_ref, canceled: self.next() as u32 },
            13 => ReportKind::Order(self.order_report()),
            14 => ReportKind::Refused(Refused {
                request: self.refused_request(),
                reason: RejectReason::ALL[self.below(20) as usize],
                client_ref,
                client_order_id: self.text(),
                original_id: self.text(),
            }),
            15 => ReportKind::Said(domain::Said {
                numbering: domain::Numbering::from_u8(self.below(3) as u8).expect("one of three"),
                next_in: self.next(),
                ref_base: ClientRef(self.next() as u32),
            }),
            16 => {
                ReportKind::Copy(OrderCopy { of: SessionId(self.next() as u32), order: self.order_report() })
            }
            _ => ReportKind::AccountQuery { next: client_ref },
        }
    }
}

/// What was appended, or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Command(Sequenced<Command>),
    Report(Report),
}

/// Makes commands in sequence, and reports numbered per session.
pub(crate) struct Source {
    pub(crate) random: Random,
    sequence: u64,
    numbers: [u64; 3],
}

impl Source {
    pub(crate) fn new() -> Self {
        Self::of(Random::seeded())
    }

    pub(crate) fn of(random: Random) -> Self {
        Self { random, sequence: 0, numbers: [0; 3] }
    }

    /// Goes on behind what a journal holds already.
    pub(crate) fn after(mut self, said: &[(Position, Said)]) -> Self {
        for (_, said) in said {
            match said {
                Said::Command(c) => self.sequence = c.sequence.0,
                Said::Report(r) => self.numbers[r.session.0 as usize] = r.number,
            }
        }
        self
    }

    pub(crate) fn next(&mut self) -> Said {
        if self.sequence == 0 || self.random.below(5) < 3 {
            self.sequence += 1;
            Said::Command(Sequenced {
                sequence: Sequence(self.sequence),
                nanos: Nanos(1_000 * self.sequence),
                command: self.random.command(),
            })
        } else {
            let session = self.random.below(3) as usize;
            self.numbers[session] += 1;
            let instrument = self.random.below(1 << 20) as u32;
            Said::Report(Report {
                session: SessionId(session as u32),
                number: self.numbers[session],
                sequence: Sequence(self.sequence),
                instrument: self.random.flip().then_some(InstrumentId(instrument)),
                index: self.random.next() as u32,
                nanos: Nanos(1_000 * self.sequence),
                kind: self.random.report_kind(),
            })
        }
    }
}

pub(crate) fn append(journal: &mut Appender, said: &Said) -> Result<Position, Full> {
    match said {
        Said::Command(command) => journal.append_command(command),
        Said::Report(report) => journal.append_report(report),
    }
}

/// Appends until it is in; gives up after a while.
pub(crate) fn append_patiently(journal: &mut Appender, said: &Said) -> Position {
    let start = Instant::now();
    loop {
        match append(journal, said) {
            Ok(position) => return position,
            Err(Full) => {
                assert!(start.elapsed() < Duration::from_secs(30), "no room in 30 s: {journal:?}");
                std::thread::sleep(Duration::from_micros(100));
            }
        }
    }
}

/// Appends `count` records in batches of random length; gives what and where.
pub(crate) fn write(journal: &mut Appender, source: &mut Source, count: usize) -> Vec<(Position, Said)> {
    let mut written = Vec::with_capacity(count);
    for _ in 0..count {
        let said = source.next();
        written.push((append_patiently(journal, &said), said));
        if source.random.below(7) == 0 {
            journal.commit();
        }
    }
    journal.commit();
    written
}

/// Waits until everything committed is durable.
pub(crate) fn drain(journal: &Appender) {
    wait("everything durable", || journal.durable() >= journal.committed());
}

/// Waits for something that must come.
pub(crate) fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited 30 s for: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

pub(crate) fn options() -> Options {
    Options { ack: AckPolicy::Disk, ..Options::small() }
}

pub(crate) fn open(dir: &Path, options: &Options) -> (Appender, Recovery) {
    Journal::open(dir, options, Arc::new(|| {})).expect("opens")
}

/// Everything that a reader sees.
pub(crate) fn read(dir: &Path) -> Vec<(Position, Said)> {
    said(&Reader::open(dir).expect("opens for reading"))
}

pub(crate) fn said(reader: &Reader) -> Vec<(Position, Said)> {
    reader
        .records()
        .map(|record| {
            let record = record.expect("a good record");
            let said = if record.kind.is_command() {
                Said::Command(record.command().expect("decodes"))
            } else {
                Said::Report(record.report().expect("decodes"))
            };
            (record.position, said)
        })
        .collect()
}

pub(crate) fn segment(dir: &Path, index: u64) -> PathBuf {
    dir.join(format!("{index:010}.seg"))
}

/// A directory that holds the same segments and nothing else.
pub(crate) fn copy_segments(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("creates");
    for entry in std::fs::read_dir(from).expect("lists") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "seg") {
            std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copies");
        }
    }
}

/// Removes the tail of a journal that was abandoned, as a restart of the machine does.
pub(crate) fn lose_tail(dir: &Path) {
    let link = dir.join("tail");
    let tail = std::fs::read_link(&link).expect("there is a tail");
    std::fs::remove_file(tail).expect("removes the tail");
    std::fs::remove_file(link).expect("removes the link");
}

/// The names of the tails in a directory.
pub(crate) fn tails(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir)
        .expect("lists")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "tail"))
        .collect()
}
