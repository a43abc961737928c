//! Any number of shards, and parts of any size, against one look at the journal.

use std::{fmt::Write, sync::Arc};

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Echo, EnterOrder, InstrumentId,
    MassCancel, Nanos, OrderBounds, OrderId, OrderType, Owner, PreRejected, Price, Quantity, RejectReason,
    Report, ReportKind, Sequenced, SessionId, Side, Symbol, SystemCode, TimeInForce,
};
use engine::book::{Book, HashedBooks};
use journal::{Appender, Journal};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;

use super::*;

/// Writes commands of several books, some of which are defined late, and reports.
struct Writer {
    random: Xoshiro256StarStar,
    appender: Appender,
    sequence: u64,
    /// By instrument: the number of its next order.
    next_orders: Vec<u64>,
    reports: u64,
}

impl Writer {
    fn new(dir: &Path, seed: u64) -> Self {
        let options = journal::Options { ack: journal::AckPolicy::Memory, ..journal::Options::small() };
        let (appender, _) = Journal::open(dir, &options, Arc::new(|| {})).expect("opens");
        let random = Xoshiro256StarStar::seed_from_u64(seed);
        Self { random, appender, sequence: 0, next_orders: Vec::new(), reports: 0 }
    }

    fn put(&mut self, command: Command) {
        self.sequence += 1;
        let sequenced =
            Sequenced { sequence: Sequence(self.sequence), nanos: Nanos(10 * self.sequence), command };
        while self.appender.append_command(&sequenced).is_err() {
            self.appender.commit();
            thread::yield_now();
        }
    }

    fn define(&mut self) {
        let id = self.next_orders.len() as u32;
        self.next_orders.push(1);
        self.put(Command::DefineInstrument(Instrument {
            id: InstrumentId(id),
            symbol: Symbol::new(&format!("I{id}")).expect("a symbol"),
            tick: 100,
            lot: 1,
            quantity_max: Quantity(1_000),
            price_max: Price::new(5_000).expect("a price"),
            bounds: OrderBounds::NONE,
        }));
    }

    fn owner(&mut self) -> Owner {
        Owner {
            session: SessionId(self.random.random_range(0..3)),
            client_ref: ClientRef(self.sequence as u32 + 1),
        }
    }

    fn enter(&mut self, instrument: InstrumentId, number: u64) {
        let enter = EnterOrder {
            order: OrderId::new(instrument, number),
            owner: self.owner(),
            account: AccountId(3),
            side: if self.random.random() { Side::Buy } else { Side::Sell },
            order_type: OrderType::Limit,
            time_in_force: if self.random.random() { TimeInForce::Day } else { TimeInForce::GoodTillCancel },
            price: Price::new(self.random.random_range(690..710)).expect("a price"),
            quantity: Quantity(self.random.random_range(1..50)),
            client_order_id: ClientOrderId::new(b"mine").expect("a text"),
            echo: Echo { side: b'B', display: b'Y', capacity: b'P', intermarket_sweep: b'N', cross: b'N' },
        };
        self.put(Command::Enter(enter));
    }

    fn step(&mut self) {
        let instrument = InstrumentId(self.random.random_range(0..self.next_orders.len() as u32));
        let owner = self.owner();
        match self.random.random_range(0..100) {
            0 if self.next_orders.len() < 9 => self.define(),
            1 => self.put(Command::EndOfDay),
            2..5 => {
                let one = self.random.random_bool(0.5).then_some(instrument);
                let session = Some(owner.session);
                self.put(Command::MassCancel(MassCancel {
                    owner,
                    instrument: one,
                    session,
                    account: None,
                    side: None,
                }));
            }
            5 => self.put(Command::Rejected(PreRejected {
                session: owner.session,
                client_ref: owner.client_ref,
                client_order_id: ClientOrderId::new(b"no").expect("a text"),
                reason: RejectReason::InvalidQuantity,
            })),
            6 => self.put(Command::Advance(instrument)),
            7..30 => {
                let number = self.random.random_range(1..=self.next_orders[instrument.0 as usize]);
                let order = OrderId::new(instrument, number);
                self.put(Command::Cancel(CancelOrder { order, owner, reason: CancelReason::Requested }));
            }
            30..60 => {
                self.reports += 1;
                let report = Report {
                    session: SessionId(0),
                    number: self.reports,
                    sequence: Sequence(self.sequence),
                    instrument: None,
                    index: 0,
                    nanos: Nanos(10 * self.sequence),
                    kind: ReportKind::System(SystemCode::EndOfDay),
                };
                while self.appender.append_report(&report).is_err() {
                    self.appender.commit();
                    thread::yield_now();
                }
            }
            _ => {
                let number = self.next_orders[instrument.0 as usize];
                self.next_orders[instrument.0 as usize] += 1;
                self.enter(instrument, number);
            }
        }
        if self.random.random_range(0..5) == 0 {
            self.appender.commit();
        }
    }

    fn close(self) {
        self.appender.close().expect("closes");
    }
}

/// What a replay found, in words.
fn words(replayed: Result<Replayed, String>) -> String {
    let Replayed { instruments, books, commands, events, last_sequence, .. } = match replayed {
        Ok(replayed) => replayed,
        Err(why) => return why,
    };
    let mut text = format!("{commands} commands, {events} events, last {last_sequence}\n");
    for instrument in &instruments {
        writeln!(text, "{instrument:?}").expect("into a string");
    }
    for book in &books {
        writeln!(text, "{book:?}").expect("into a string");
    }
    text
}

/// One look at the journal, one command after the other.
fn plainly(dir: &Path, commands_max: u64) -> Result<Replayed, String> {
    let reader = Reader::open(dir).map_err(|error| error.to_string())?;
    let (mut commands, mut last_sequence, mut instruments) = (0, Sequence::default(), Vec::new());
    let (mut books, mut for_all) = (HashedBooks::new(), Vec::new());
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        if !record.kind.is_command() {
            continue;
        }
        if commands == commands_max {
            break;
        }
        let wrong = |what: String| format!("at position {}: {what}", record.position);
        let command = record.command().map_err(|error| wrong(error.to_string()))?;
        commands += 1;
        last_sequence = command.sequence;
        if let Command::DefineInstrument(instrument) = command.command {
            if instrument.id.0 as usize != instruments.len() {
                let next = instruments.len();
                return Err(wrong(format!(
                    "instrument {} is defined where {next} is the next",
                    instrument.id
                )));
            }
            instruments.push(instrument);
            // An empty book says nothing of what it hears but of a mass cancel in itself.
            let mut book = Book::new(instrument.id);
            for command in &for_all {
                book.apply(command, &mut domain::Events::new());
            }
            books.insert(book);
        }
        if let Some(id) = command.command.instrument()
            && id.0 as usize >= instruments.len()
        {
            return Err(wrong(format!("instrument {id} was never defined")));
        }
        if command.command.is_market_wide() {
            for_all.push(command);
        }
        books.apply_batch(&[command]);
    }
    let (books, events) = (books.hashes(), books.events());
    Ok(Replayed { instruments, books, commands, events, last_sequence, seconds: 0.0 })
}

/// Holds replays of every kind against one look.
fn same(dir: &Path, commands_max: u64, what: &str) -> String {
    let expected = words(plainly(dir, commands_max));
    for shards in [1, 2, 3, 8] {
        for part_bytes in [1, 1_000, PART_BYTES] {
            let replayed = words(replay_parts(dir, shards, commands_max, part_bytes));
            assert_eq!(replayed, expected, "{what}, {shards} shards, parts of {part_bytes} bytes");
        }
    }
    expected
}

#[test]
fn shards_do_not_show() {
    let seed = seeded::seed();
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::new(dir.path(), seed);
    writer.define();
    for _ in 0..3_000 {
        writer.step();
    }
    let (commands, books) = (writer.sequence, writer.next_orders.len());
    assert!(books > 3, "{books}");
    // While its owner runs, and when it is closed.
    writer.appender.commit();
    let running = same(dir.path(), u64::MAX, "running");
    writer.close();
    assert_eq!(same(dir.path(), u64::MAX, "closed"), running);
    let mut random = Xoshiro256StarStar::seed_from_u64(!seed);
    for max in [0, 1, commands - 1, commands, commands + 1, random.random_range(2..commands)] {
        let cut = same(dir.path(), max, &format!("{max} commands"));
        assert!(cut.starts_with(&format!("{} commands", max.min(commands))), "{cut}");
        assert_eq!(cut == running, max >= commands);
    }
}

#[test]
fn what_is_wrong_first_is_said() {
    let seed = seeded::seed();
    let mut random = Xoshiro256StarStar::seed_from_u64(seed);
    for round in 0..12 {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = Writer::new(dir.path(), random.random());
        writer.define();
        let stop = random.random_range(1..600);
        let mut wrong = 0;
        for step in 0..800 {
            writer.step();
            // From there on now and then: for whichever shard it is, the first counts.
            if step >= stop && random.random_range(0..20) == 0 {
                wrong += 1;
                let unknown = InstrumentId(random.random_range(9..30));
                match random.random_range(0..2) {
                    0 => writer.enter(unknown, 1),
                    _ => writer.put(Command::Advance(unknown)),
                }
            }
        }
        let commands = writer.sequence;
        writer.close();
        assert!(wrong > 0, "SEED={seed}");
        let what = format!("SEED={seed}, round {round}");
        let said = same(dir.path(), u64::MAX, &what);
        assert!(said.starts_with("at position") && said.ends_with("was never defined"), "{what}: {said}");
        same(dir.path(), random.random_range(0..commands), &what);
        // And a bit that is wrong, before or behind.
        let file = dir.path().join("0000000000.seg");
        let mut bytes = std::fs::read(&file).expect("a segment");
        let end = Reader::open(dir.path()).expect("opens").end().0;
        for _ in 0..4 {
            let at = 4096 + random.random_range(0..end) as usize;
            bytes[at] ^= 4;
            std::fs::write(&file, &bytes).expect("writes");
            let said = same(dir.path(), u64::MAX, &format!("{what}, byte {at}"));
            assert!(!said.contains("commands, "), "{what}, byte {at}: {said}");
            bytes[at] ^= 4;
        }
    }
}
