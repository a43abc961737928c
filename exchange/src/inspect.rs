//! `exchange journal`: looks at a journal, and changes nothing but what [`retire`] says.

mod diff;
mod export;
mod fields;

use std::{
    io::{BufWriter, Write},
    sync::atomic::AtomicBool,
    time::{Duration, UNIX_EPOCH},
};

use domain::{Command, Nanos};
use engine::hash::StateHash;
use journal::{
    Position, Reader, Record, inspect,
    retention::{Retained, Retention},
};
use serde_json::{Value, json};

use crate::cli::{DumpArgs, Journal, JournalArgs, JournalCommand, RetireArgs};
use crate::say::say;
use crate::snapshot;

/// The command.
pub(crate) fn journal(args: &Journal) -> Result<(), String> {
    match &args.command {
        JournalCommand::Info(args) => info(args),
        JournalCommand::Verify(args) => verify(args),
        JournalCommand::Dump(args) => dump(args),
        JournalCommand::Diff(args) => diff::diff(args),
        JournalCommand::Export(args) => export::export(args),
        JournalCommand::Retire(args) => retire(args),
    }
}

/// The one that changes something: it removes segments that no start needs.
fn retire(args: &RetireArgs) -> Result<(), String> {
    let needed: Vec<Position> = args.keep.into_iter().map(Position).collect();
    let retention = Retention::new(args.data.clone(), args.archive.clone());
    let Retained { removed, archived, bytes, begin, .. } =
        retention.run(&needed, &AtomicBool::new(false)).map_err(|error| error.to_string())?;
    if args.json {
        say!("{}", json!({ "removed": removed, "archived": archived, "bytes": bytes, "begin": begin.0 }));
    } else {
        say!(
            "{removed} segments removed ({bytes} bytes), {archived} of them archived now; the journal begins at {begin}"
        );
    }
    Ok(())
}

fn info(args: &JournalArgs) -> Result<(), String> {
    let info = inspect::info(&args.data).map_err(|error| error.to_string())?;
    if args.json {
        say!("{}", info_json(&info));
        return Ok(());
    }
    say!("journal {} (format {}, epoch {})", info.cluster, info.format, info.epoch);
    if info.begin.0 > 0 {
        say!("begin     position {}: what came before has been removed", info.begin);
    }
    say!("end       position {}, sequence {}, {}", info.end, info.last_sequence, utc(info.last_nanos));
    for epoch in &info.epochs {
        let sequence = epoch.first_sequence.map_or("no command".into(), |first| format!("sequence {first}"));
        say!("epoch     {} from position {}, {sequence}", epoch.epoch, epoch.first_position);
    }
    say!("records   {} commands, {} reports, {} batches", info.commands, info.reports, info.batches);
    for (kind, count) in &info.kinds {
        say!("          {count:>12} {kind:?}");
    }
    say!("segments  {} of {} data bytes", info.segments.len(), info.capacity);
    for segment in &info.segments {
        say!(
            "          {} from position {}, {} bytes, made {}",
            segment.file.display(),
            segment.base,
            segment.bytes,
            utc(segment.created)
        );
    }
    for spare in &info.spares {
        say!("spare     {}", spare.display());
    }
    for of in &info.snapshots {
        let says = of.header.map_or(String::new(), |header| {
            let state = StateHash(header.state);
            format!(" position {}, sequence {}, state {state}:", header.mark.position, header.last_sequence)
        });
        let good = of.problem.as_deref().unwrap_or("good");
        say!("snapshot  {}{says} {good}", of.file.display());
    }
    if let Some(tail) = &info.tail {
        say!(
            "tail      {} ({} bytes, {}), committed to {}, {} bytes beyond the segments",
            tail.file.display(),
            tail.ring_bytes,
            if tail.in_use { "in use" } else { "its process is gone" },
            tail.committed,
            tail.beyond_segments
        );
    }
    if let Some(cut) = &info.cut {
        say!(
            "torn      {} bytes at byte {} of {} would be cut by the next start ({:?})",
            cut.bytes,
            cut.offset,
            cut.file.display(),
            cut.cause
        );
    }
    Ok(())
}

fn info_json(info: &inspect::Info) -> Value {
    json!({
        "cluster": info.cluster.to_string(),
        "format": info.format,
        "epoch": info.epoch,
        "capacity": info.capacity,
        "begin": info.begin.0,
        "end": info.end.0,
        "last_sequence": info.last_sequence.0,
        "last_nanos": info.last_nanos.0,
        "commands": info.commands,
        "reports": info.reports,
        "batches": info.batches,
        "kinds": info.kinds.iter().map(|(kind, count)| (format!("{kind:?}"), json!(count)))
            .collect::<serde_json::Map<_, _>>(),
        "segments": info.segments.iter().map(|segment| json!({
            "file": segment.file.display().to_string(),
            "index": segment.index,
            "base": segment.base.0,
            "bytes": segment.bytes,
        })).collect::<Vec<_>>(),
        "epochs": info.epochs.iter().map(|epoch| json!({
            "epoch": epoch.epoch,
            "first_position": epoch.first_position.0,
            "first_sequence": epoch.first_sequence.map(|first| first.0),
        })).collect::<Vec<_>>(),
        "snapshots": info.snapshots.iter().map(|of| json!({
            "file": of.file.display().to_string(),
            "position": of.position.0,
            "sequence": of.header.map(|header| header.last_sequence.0),
            "state": of.header.map(|header| StateHash(header.state).to_string()),
            "version": of.header.map(|header| header.version),
            "problem": of.problem,
        })).collect::<Vec<_>>(),
        "tail": info.tail.as_ref().map(|tail| json!({
            "file": tail.file.display().to_string(),
            "ring_bytes": tail.ring_bytes,
            "committed": tail.committed.0,
            "in_use": tail.in_use,
            "beyond_segments": tail.beyond_segments,
        })),
        "torn_bytes": info.cut.as_ref().map(|cut| cut.bytes),
    })
}

fn verify(args: &JournalArgs) -> Result<(), String> {
    let verify = inspect::verify(&args.data).map_err(|error| error.to_string())?;
    let mut problems: Vec<_> = verify.problems.iter().map(ToString::to_string).collect();
    // Those whose header, CRCs and place are good are looked into: what they say must make a state.
    for of in verify.info.snapshots.iter().filter(|of| of.problem.is_none()) {
        if let Err(what) = snapshot::load(&of.file, verify.info.cluster)
            && of.file.exists()
        {
            problems.push(format!("snapshot {}: {what}", of.file.display()));
        }
    }
    if args.json {
        say!("{}", json!({ "info": info_json(&verify.info), "problems": problems }));
    } else {
        for problem in &problems {
            say!("{problem}");
        }
        say!(
            "{} commands, {} reports, {} batches in {} segments, {} snapshots: {}",
            verify.info.commands,
            verify.info.reports,
            verify.info.batches,
            verify.info.segments.len(),
            verify.info.snapshots.len(),
            if problems.is_empty() { "whole".to_owned() } else { format!("{} problems", problems.len()) }
        );
    }
    if problems.is_empty() { Ok(()) } else { Err(format!("{} has problems", args.data.display())) }
}

fn dump(args: &DumpArgs) -> Result<(), String> {
    let reader = Reader::open(&args.data).map_err(|error| error.to_string())?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut printed = 0;
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        if record.sequence.0 < args.from || !(record.kind.is_command() || record.kind.is_report()) {
            continue;
        }
        if args.count.is_some_and(|count| printed >= count) {
            break;
        }
        printed += 1;
        let line = if args.json { record_json(&record)?.to_string() } else { record_text(&record)? };
        if writeln!(out, "{line}").is_err() {
            return Ok(()); // the reader of our output has had enough
        }
    }
    // As above.
    let _ = out.flush();
    Ok(())
}

fn body(record: &Record<'_>) -> Result<String, String> {
    let place = |error: &dyn std::fmt::Display| format!("at position {}: {error}", record.position);
    if record.kind.is_report() {
        let report = record.report().map_err(|error| place(&error))?;
        return Ok(format!("session {} #{} {:?}", report.session, report.number, report.kind));
    }
    let command: Command = record.command().map_err(|error| place(&error))?.command;
    Ok(format!("{command:?}"))
}

fn record_text(record: &Record<'_>) -> Result<String, String> {
    Ok(format!("{:>12} {:>10} {} {}", record.position.0, record.sequence.0, utc(record.nanos), body(record)?))
}

fn record_json(record: &Record<'_>) -> Result<Value, String> {
    Ok(json!({
        "position": record.position.0,
        "sequence": record.sequence.0,
        "nanos": record.nanos.0,
        "kind": format!("{:?}", record.kind),
        "body": body(record)?,
    }))
}

/// A time as people read it: date and time of day in UTC, to the nanosecond.
fn utc(nanos: Nanos) -> String {
    humantime::format_rfc3339_nanos(UNIX_EPOCH + Duration::from_nanos(nanos.0)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_dates() {
        assert_eq!(utc(Nanos(0)), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(utc(Nanos(951_782_400_000_000_001)), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(utc(Nanos(1_795_174_438_500_000_000)), "2026-11-20T11:33:58.500000000Z");
    }
}
