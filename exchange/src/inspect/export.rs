//! `exchange journal export`: every record with all its fields, for the programs of others.
//!
//! One record is in memory at a time. The same journal gives the same bytes.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use journal::{Reader, Record};

use super::fields::{Cell, NAMES, Row};
use crate::cli::{ExportArgs, ExportFormat, ExportWhat};

/// The command.
pub(super) fn export(args: &ExportArgs) -> Result<(), String> {
    let reader = Reader::open(&args.data).map_err(|error| error.to_string())?;
    let Some(path) = &args.out else {
        let mut out = BufWriter::new(io::stdout().lock());
        return match write(&reader, args, &mut out).and_then(|_| out.flush().map_err(Failed::from)) {
            // The reader of our output has had enough.
            Err(Failed::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(Failed::Write(error)) => Err(format!("cannot write: {error}")),
            Err(Failed::Read(error)) => Err(error),
            Ok(()) => Ok(()),
        };
    };
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    let written = write_file(&reader, args, &draft).and_then(|rows| {
        fs::rename(&draft, path)?;
        Ok(rows)
    });
    match written {
        Ok(rows) => {
            eprintln!("{rows} records in {}", path.display());
            Ok(())
        }
        Err(error) => {
            // Half an export is none.
            let _ = fs::remove_file(&draft);
            match error {
                Failed::Write(error) => Err(format!("cannot write {}: {error}", path.display())),
                Failed::Read(error) => Err(error),
            }
        }
    }
}

/// Why an export ends early.
enum Failed {
    Write(io::Error),
    Read(String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

fn write_file(reader: &Reader, args: &ExportArgs, path: &Path) -> Result<u64, Failed> {
    let mut out = BufWriter::new(File::create(path)?);
    let rows = write(reader, args, &mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(rows)
}

/// Writes the records that are asked for; how many.
fn write(reader: &Reader, args: &ExportArgs, out: &mut impl Write) -> Result<u64, Failed> {
    if args.format == ExportFormat::Csv {
        writeln!(out, "{}", NAMES.join(","))?;
    }
    let asked = |record: &Record<'_>| {
        (args.from..=args.to).contains(&record.sequence.0)
            && match args.what {
                ExportWhat::Commands => record.kind.is_command(),
                ExportWhat::Reports => record.kind.is_report(),
                ExportWhat::All => true,
            }
    };
    let mut rows = 0;
    let mut line = String::new();
    for record in reader.records() {
        let record = record.map_err(|error| Failed::Read(error.to_string()))?;
        if !asked(&record) {
            continue;
        }
        let row = Row::of(&record).map_err(Failed::Read)?;
        line.clear();
        match args.format {
            ExportFormat::Csv => csv(&row, &mut line),
            ExportFormat::Jsonl => json(&row, &mut line),
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
        rows += 1;
    }
    Ok(rows)
}

/// As RFC 4180 has it: what holds a comma or a quotation mark is put in quotation marks, and those in it are doubled.
fn csv(row: &Row, line: &mut String) {
    use std::fmt::Write as _;
    for (place, (_, cell)) in row.cells().enumerate() {
        if place > 0 {
            line.push(',');
        }
        match cell {
            Cell::Text(text) if text.contains([',', '"']) => {
                line.push('"');
                line.push_str(&text.replace('"', "\"\""));
                line.push('"');
            }
            // Writing to a string cannot fail.
            cell => _ = write!(line, "{cell}"),
        }
    }
}

fn json(row: &Row, line: &mut String) {
    use std::fmt::Write as _;
    line.push('{');
    let mut separator = "";
    for (name, cell) in row.cells() {
        // Writing to a string cannot fail.
        match cell {
            Cell::Empty => continue,
            // What is escaped already is printable ASCII, of which JSON escapes two.
            Cell::Text(text) => {
                let text = text.replace('\\', "\\\\").replace('"', "\\\"");
                _ = write!(line, "{separator}\"{name}\":\"{text}\"");
            }
            cell => _ = write!(line, "{separator}\"{name}\":{cell}"),
        }
        separator = ",";
    }
    line.push('}');
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, sync::Arc};

    use domain::*;
    use journal::{Journal, Options};

    use super::*;

    /// One command of each kind, and more where fields depend on a code.
    fn commands() -> Vec<Command> {
        let order = |number| OrderId::new(InstrumentId(3), number);
        let owner = Owner { session: SessionId(4), client_ref: ClientRef(5) };
        let price = |ticks| Price::new(ticks).expect("a price");
        let echo = Echo { side: b'T', display: b'Y', capacity: b'"', intermarket_sweep: b',', cross: 0 };
        let enter = EnterOrder {
            order: order(1),
            owner,
            price: price(-12),
            quantity: Quantity(u64::MAX),
            account: AccountId(6),
            side: Side::Sell,
            order_type: OrderType::MarketToLimit,
            time_in_force: TimeInForce::GoodTillDate,
            echo,
            client_order_id: ClientOrderId(*b"a,\"b\"\\\xff           \x00 "),
        };
        let replace = ReplaceOrder {
            order: order(1),
            new_order: order(2),
            owner,
            price: price(13),
            total: Quantity(14),
            original: ClientRef(15),
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Day,
            priority: ReplacePriority::Lose,
            echo,
            client_order_id: ClientOrderId::BLANK,
        };
        let instructions = Instructions {
            trigger: Trigger::Stop(price(16)),
            display: Display::Iceberg { peak: Quantity(17), spread: 18, seed: 19 },
            execution: Execution::Minimum(Quantity(20)),
            self_trade: NonZeroU32::new(21)
                .map(|group| SelfTrade { group, policy: SelfTradePolicy::CancelBoth }),
            expires: Nanos(22),
        };
        let others = Instructions {
            trigger: Trigger::Trailing { ticks: 23 },
            display: Display::Hidden,
            execution: Execution::PostOnly(PostOnly::Slide),
            ..Instructions::NONE
        };
        let instrument = Instrument {
            id: InstrumentId(3),
            symbol: Symbol::new("A,B").expect("a symbol"),
            tick: 24,
            lot: 25,
            quantity_max: Quantity(26),
            price_max: price(27),
            bounds: OrderBounds { quantity_min: Quantity(2), notional_min: 28, notional_max: 29 },
        };
        let everybody = MassCancel { owner, instrument: None, session: None, account: None, side: None };
        let reduce =
            |kind| Command::Reduce(ReduceOrder { order: order(1), owner, total: Quantity(30), kind });
        let request = |ask| {
            let client_order_id = ClientOrderId::new(b"C1").expect("text");
            let original_id = ClientOrderId::new(b"O1").expect("text");
            let (session, client_ref) = (SessionId(4), ClientRef(5));
            Command::FixRequest(FixRequest { session, client_ref, ask, client_order_id, original_id })
        };
        vec![
            Command::DefineInstrument(instrument),
            Command::DefineSession(SessionDefinition {
                protocol: domain::Protocol::Fix,
                session: SessionId(4),
                user: UserName::new(b"ALICE").expect("a name"),
            }),
            Command::DropCopy(DropCopy { watcher: SessionId(4), watched: SessionId(31), is_on: true }),
            request(FixAsk::Cancel { original: ClientRef(4) }),
            request(FixAsk::Replace),
            request(FixAsk::MassCancel),
            request(FixAsk::Refused(
                RefusedRequest::Order {
                    symbol: Symbol::new("NONE").expect("a symbol"),
                    side_code: b'1',
                    units: 33,
                },
                RejectReason::UnknownInstrument,
            )),
            request(FixAsk::Refused(
                RefusedRequest::Cancel { order: order(1), status: OrderStatus::Filled },
                RejectReason::TooLate,
            )),
            Command::Enter(enter),
            Command::Cancel(CancelOrder { order: order(1), owner, reason: CancelReason::Requested }),
            reduce(ReduceKind::Cancel),
            reduce(ReduceKind::Modify { side_code: b'E' }),
            Command::Replace(replace),
            Command::Rejected(PreRejected {
                session: SessionId(4),
                client_ref: ClientRef(5),
                client_order_id: ClientOrderId::new(b"no").expect("text"),
                reason: RejectReason::Busy,
            }),
            Command::EndOfDay,
            Command::EnterSpecial(EnterSpecial { enter, instructions }),
            Command::ReplaceSpecial(ReplaceSpecial { replace, instructions: others }),
            Command::MassCancel(everybody),
            Command::MassCancel(MassCancel {
                instrument: Some(InstrumentId(3)),
                session: Some(SessionId(31)),
                account: Some(AccountId(32)),
                side: Some(Side::Buy),
                ..everybody
            }),
            Command::Advance(InstrumentId(3)),
        ]
    }

    /// One report of each kind.
    fn reports() -> Vec<ReportKind> {
        let (client_ref, order) = (ClientRef(5), OrderId::new(InstrumentId(3), 1));
        let (order_type, time_in_force) = (OrderType::Market, TimeInForce::ImmediateOrCancel);
        let (price, quantity) = (Price::new(40).expect("a price"), Quantity(41));
        let echo = Echo { side: b'B', display: b'A', capacity: b'P', intermarket_sweep: b'N', cross: b'N' };
        let client_order_id = ClientOrderId::new(b"id").expect("text");
        let report = |kind| OrderReport {
            kind,
            status: OrderStatus::PartiallyFilled,
            client_ref,
            order,
            echo,
            time_in_force,
            price,
            quantity,
            cumulative: Quantity(45),
            leaves: Quantity(46),
            notional: 47,
            client_order_id,
            original_id: ClientOrderId::BLANK,
        };
        let of = |kind| ReportKind::Order(report(kind));
        vec![
            ReportKind::System(SystemCode::StartOfDay),
            ReportKind::Accepted {
                client_ref,
                order,
                order_type,
                time_in_force,
                price,
                quantity,
                instructions: None,
                echo,
                client_order_id,
            },
            ReportKind::Replaced {
                original: ClientRef(4),
                client_ref,
                order,
                order_type,
                time_in_force,
                price,
                quantity,
                instructions: Some(Instructions { trigger: Trigger::Stop(price), ..Instructions::NONE }),
                echo,
                client_order_id,
            },
            ReportKind::Canceled { client_ref, order, quantity, reason: CancelReason::SelfTrade },
            ReportKind::Executed {
                client_ref,
                order,
                trade: TradeId::new(InstrumentId(3), 9),
                price,
                quantity,
                leaves: Quantity(42),
                liquidity: Liquidity::Added,
            },
            ReportKind::Rejected { client_ref, reason: RejectReason::InvalidPrice, client_order_id },
            ReportKind::Modified { client_ref, order, quantity, side_code: b'S' },
            ReportKind::AccountQuery { next: ClientRef(43) },
            ReportKind::Restated { client_ref, order, price, leaves: Quantity(44) },
            ReportKind::Refreshed { client_ref, order, shown: Quantity(45), leaves: Quantity(46) },
            ReportKind::Triggered { client_ref, order, price },
            ReportKind::Decremented {
                client_ref,
                order,
                quantity,
                leaves: Quantity(47),
                price,
                liquidity: Liquidity::Removed,
            },
            ReportKind::CancelRejected { client_ref, order, reason: RejectReason::UnknownOrder },
            ReportKind::MassCanceled { client_ref, canceled: 48 },
            of(OrderReportKind::New),
            of(OrderReportKind::Trade {
                trade: TradeId::new(InstrumentId(3), 9),
                price,
                quantity,
                liquidity: Liquidity::Removed,
            }),
            of(OrderReportKind::Canceled(CancelReason::Expired)),
            of(OrderReportKind::Replaced),
            of(OrderReportKind::Rejected(RejectReason::WouldTrade)),
            of(OrderReportKind::Restated(Restatement::Refreshed)),
            of(OrderReportKind::Triggered),
            ReportKind::Copy(OrderCopy { of: SessionId(31), order: report(OrderReportKind::New) }),
            ReportKind::Refused(Refused {
                request: RefusedRequest::Replace { order, status: OrderStatus::New },
                reason: RejectReason::TooLate,
                client_ref,
                client_order_id,
                original_id: client_order_id,
            }),
            ReportKind::Said(Said { numbering: Numbering::Resets, next_in: 1, ref_base: ClientRef(44) }),
        ]
    }

    /// What is exported of a journal that holds all of them.
    fn exported(format: ExportFormat, what: ExportWhat, sequences: std::ops::RangeInclusive<u64>) -> String {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut journal, _) =
            Journal::open(dir.path(), &Options::small(), Arc::new(|| {})).expect("it opens");
        for (command, sequence) in commands().into_iter().zip(1..) {
            let command = Sequenced { sequence: Sequence(sequence), nanos: Nanos(1000 + sequence), command };
            journal.append_command(&command).expect("room");
        }
        for (kind, number) in reports().into_iter().zip(1..) {
            let report = Report {
                session: SessionId(4),
                number,
                sequence: Sequence(3),
                instrument: (number > 1).then_some(InstrumentId(3)),
                index: 7,
                nanos: Nanos(2000),
                kind,
            };
            journal.append_report(&report).expect("room");
        }
        journal.begin_epoch(Epoch(4));
        let sequence = commands().len() as u64 + 1;
        let command = Command::EpochStart(Epoch(4));
        journal
            .append_command(&Sequenced { sequence: Sequence(sequence), nanos: Nanos(3000), command })
            .expect("room");
        journal.close().expect("it closes");
        let args = ExportArgs {
            data: dir.path().to_path_buf(),
            format,
            what,
            from: *sequences.start(),
            to: *sequences.end(),
            out: None,
        };
        let mut out = Vec::new();
        let reader = Reader::open(dir.path()).expect("it opens");
        assert!(write(&reader, &args, &mut out).is_ok());
        String::from_utf8(out).expect("text")
    }

    const ALL: std::ops::RangeInclusive<u64> = 0..=u64::MAX;

    #[test]
    fn every_kind_has_its_fields_by_name() {
        for (format, golden) in [
            (ExportFormat::Jsonl, include_str!("golden/every-kind.jsonl")),
            (ExportFormat::Csv, include_str!("golden/every-kind.csv")),
        ] {
            let text = exported(format, ExportWhat::All, ALL);
            for (line, expected) in text.lines().zip(golden.lines()) {
                assert_eq!(line, expected);
            }
            assert_eq!(text.len(), golden.len());
        }
        for line in include_str!("golden/every-kind.jsonl").lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        }
    }

    #[test]
    fn families_and_sequences_are_chosen() {
        let lines = |what, sequences| {
            let text = exported(ExportFormat::Jsonl, what, sequences);
            let csv = exported(ExportFormat::Csv, what, ALL);
            assert!(csv.starts_with("position,sequence,nanos,epoch,family,kind,"));
            text.lines().count()
        };
        let (all_commands, all_reports) = (commands().len() + 1, reports().len());
        assert_eq!(lines(ExportWhat::All, ALL), all_commands + all_reports);
        assert_eq!(lines(ExportWhat::Commands, ALL), all_commands);
        assert_eq!(lines(ExportWhat::Reports, ALL), all_reports);
        // The reports are those of command 3.
        assert_eq!(lines(ExportWhat::All, 3..=3), 1 + all_reports);
        assert_eq!(lines(ExportWhat::Commands, 2..=5), 4);
        assert_eq!(lines(ExportWhat::Reports, 4..=u64::MAX), 0);
        assert_eq!(lines(ExportWhat::All, 0..=0), 0);
    }
}
