//! The event stream: what balancing did, as JSON for programs and as a line for people.
//!
//! The front hands events on through a bounded channel and never waits: what finds no room is counted as lost. The main
//! thread takes them in batches, so a burst of steals wakes it once.

use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use domain::Nanos;
use engine::balance::BalanceEvent;
use log::error;
use serde_json::{Value, json};

use crate::status::{Fixed, micros};

/// An event, and when the front heard of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamped {
    /// Since 1970, UTC.
    pub(crate) at: Nanos,
    pub(crate) event: BalanceEvent,
}

/// Whether it is one of so many that a line for each would hide all others: the status counts them.
pub(crate) const fn is_counted(event: &BalanceEvent) -> bool {
    matches!(event, BalanceEvent::Steal { .. } | BalanceEvent::Migration { .. })
}

/// Whether it is a theft, of which there may be thousands a second.
pub(crate) const fn is_steal(event: &BalanceEvent) -> bool {
    matches!(event, BalanceEvent::Steal { .. })
}

/// One JSON object. Times are in microseconds, `time_us` since 1970.
pub(crate) fn json(stamped: &Stamped, fixed: &Fixed) -> Value {
    let time_us = stamped.at.0 / 1_000;
    match stamped.event {
        BalanceEvent::Steal { book, home, thief, why, commands, still_nanos } => json!({
            "event": "steal",
            "time_us": time_us,
            "book": fixed.symbol(book),
            "from": home.0,
            "to": thief.0,
            "why": why.name(),
            "commands": commands,
            "still_us": in_us(still_nanos),
        }),
        BalanceEvent::Migration { unit, book, from, to, why, commands, still_nanos } => json!({
            "event": "migration",
            "time_us": time_us,
            "unit": unit.0,
            "book": fixed.symbol(book),
            "from": from.0,
            "to": to.0,
            "why": why.name(),
            "commands": commands,
            "still_us": in_us(still_nanos),
        }),
        BalanceEvent::Frozen { for_nanos } => {
            json!({ "event": "frozen", "time_us": time_us, "for_us": in_us(for_nanos) })
        }
        BalanceEvent::Thawed => json!({ "event": "thawed", "time_us": time_us }),
        BalanceEvent::Stalled { shard, for_nanos } => {
            json!({ "event": "stalled", "time_us": time_us, "shard": shard.0, "for_us": in_us(for_nanos) })
        }
        // Not "recovered": that is what an exchange says of itself when it starts.
        BalanceEvent::Recovered { shard, after_nanos } => {
            json!({ "event": "resumed", "time_us": time_us, "shard": shard.0, "after_us": in_us(after_nanos) })
        }
    }
}

/// One line.
pub(crate) fn line(event: &BalanceEvent, fixed: &Fixed) -> String {
    let us = |nanos: u64| micros(nanos / 1_000);
    match *event {
        BalanceEvent::Steal { book, home, thief, why, commands, still_nanos } => format!(
            "steal: shard {thief} ran {commands} commands of {} for shard {home} ({why}), which waited {}",
            fixed.symbol(book),
            us(still_nanos)
        ),
        BalanceEvent::Migration { book, from, to, why, commands, still_nanos, .. } => format!(
            "migration: {} from shard {from} to shard {to} ({why}); {commands} commands waited, it stood still for {}",
            fixed.symbol(book),
            us(still_nanos)
        ),
        BalanceEvent::Frozen { for_nanos } => {
            format!("moves are frozen for {}: they went back and forth; trading goes on", us(for_nanos))
        }
        BalanceEvent::Thawed => "books may move again".into(),
        BalanceEvent::Stalled { shard, for_nanos } => {
            format!("SHARD {shard} STALLED: no progress for {} while commands wait", us(for_nanos))
        }
        BalanceEvent::Recovered { shard, after_nanos } => {
            format!("shard {shard} goes on after {}", us(after_nanos))
        }
    }
}

/// Nanoseconds as microseconds; steals take fractions of one.
fn in_us(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

/// The file that gets every event, one JSON object a line.
pub(crate) struct EventFile {
    path: PathBuf,
    /// `None` after a failed write, which has been said.
    file: Option<BufWriter<File>>,
}

impl EventFile {
    /// Opens a file to go on at its end.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| format!("cannot write balance events to {}: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: Some(BufWriter::new(file)) })
    }

    /// Writes events. A disk that is full costs the file, not the exchange.
    pub(crate) fn write(&mut self, events: &[Value]) {
        let Some(file) = &mut self.file else { return };
        let result =
            events.iter().try_for_each(|event| writeln!(file, "{event}")).and_then(|()| file.flush());
        if let Err(error) = result {
            error!("no more balance events go to {}: {error}", self.path.display());
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{InstrumentId, ShardId};
    use engine::balance::{Unit, Why};

    use super::*;
    use crate::status::tests::fixed;

    fn every() -> [BalanceEvent; 6] {
        let (book, from, to) = (InstrumentId(0), ShardId(1), ShardId(0));
        [
            BalanceEvent::Steal {
                book,
                home: from,
                thief: to,
                why: Why::Backlog,
                commands: 12,
                still_nanos: 1_500,
            },
            BalanceEvent::Migration {
                unit: Unit(0),
                book,
                from,
                to,
                why: Why::Load,
                commands: 3,
                still_nanos: 34_000,
            },
            BalanceEvent::Frozen { for_nanos: 200_000_000 },
            BalanceEvent::Thawed,
            BalanceEvent::Stalled { shard: from, for_nanos: 100_000_000 },
            BalanceEvent::Recovered { shard: from, after_nanos: 2_000_000_000 },
        ]
    }

    #[test]
    fn each_event_has_its_object_and_its_line() {
        let at = Nanos(7_000_000);
        let objects: Vec<_> =
            every().iter().map(|event| json(&Stamped { at, event: *event }, &fixed())).collect();
        let expected = [
            json!({"event": "steal", "time_us": 7000, "book": "AAPL", "from": 1, "to": 0, "why": "backlog",
                   "commands": 12, "still_us": 1.5}),
            json!({"event": "migration", "time_us": 7000, "unit": 0, "book": "AAPL", "from": 1, "to": 0, "why": "load",
                   "commands": 3, "still_us": 34.0}),
            json!({"event": "frozen", "time_us": 7000, "for_us": 200_000.0}),
            json!({"event": "thawed", "time_us": 7000}),
            json!({"event": "stalled", "time_us": 7000, "shard": 1, "for_us": 100_000.0}),
            json!({"event": "resumed", "time_us": 7000, "shard": 1, "after_us": 2_000_000.0}),
        ];
        assert_eq!(objects, expected);
        let lines: Vec<_> = every().iter().map(|event| line(event, &fixed())).collect();
        assert_eq!(
            lines,
            [
                "steal: shard 0 ran 12 commands of AAPL for shard 1 (backlog), which waited 1 us",
                "migration: AAPL from shard 1 to shard 0 (load); 3 commands waited, it stood still for 34 us",
                "moves are frozen for 200.0 ms: they went back and forth; trading goes on",
                "books may move again",
                "SHARD 1 STALLED: no progress for 100.0 ms while commands wait",
                "shard 1 goes on after 2.0 s",
            ]
        );
        let steals: Vec<_> = every().iter().map(is_steal).collect();
        assert_eq!(steals, [true, false, false, false, false, false]);
    }

    #[test]
    fn the_file_goes_on_at_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        for n in 0..2 {
            EventFile::open(&path).unwrap().write(&[json!({ "n": n }), json!({ "n": n + 10 })]);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"n\":0}\n{\"n\":10}\n{\"n\":1}\n{\"n\":11}\n");
        let said = EventFile::open(dir.path()).err().unwrap();
        assert!(said.contains(&dir.path().display().to_string()), "{said}");
    }

    #[test]
    fn a_full_disk_costs_the_file_only() {
        // Linux's device on which every write fails for want of room.
        let mut file = EventFile::open(Path::new("/dev/full")).unwrap();
        file.write(&[json!({})]);
        assert!(file.file.is_none());
        file.write(&[json!({})]);
    }
}
