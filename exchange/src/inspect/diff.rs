//! `exchange journal diff`: two copies of one journal.

use clap::{CommandFactory, error::ErrorKind};
use journal::{
    Reader, Record,
    compare::{Comparison, Then, Which, compare},
};
use serde_json::json;

use super::{record_json, record_text};
use crate::{
    cli::{Cli, DiffArgs},
    say::say,
};

/// The command.
pub(super) fn diff(args: &DiffArgs) -> Result<(), String> {
    let [one, other] = args.data.as_slice() else {
        let error =
            format!("two directories are compared, and {} are given: --data A --data B", args.data.len());
        Cli::command().error(ErrorKind::WrongNumberOfValues, error).exit();
    };
    let open = |dir| Reader::open(dir).map_err(|error| error.to_string());
    let (a, b) = (open(one)?, open(other)?);
    let name = |which| if which == Which::One { one.display() } else { other.display() };
    let Comparison { from, common, then } = compare(&a, &b)
        .map_err(|error| format!("{} (first) and {} (second): {error}", one.display(), other.display()))?;
    if args.json {
        let said = |record: Option<Record<'_>>| record.map(|record| record_json(&record)).transpose();
        let then = match then {
            Then::Same => json!({ "same": true }),
            Then::Longer { which, bytes, commands, reports } => json!({
                "same": false,
                "longer": name(which).to_string(),
                "bytes": bytes,
                "commands": commands,
                "reports": reports,
            }),
            Then::Differ { position, one, other } => json!({
                "same": false,
                "differ_at": position.0,
                "first": said(one)?,
                "second": said(other)?,
            }),
        };
        say!(
            "{}",
            json!({
                "from": from.0,
                "common": common.position.0,
                "chain": format!("{:016x}", common.chain),
                "then": then,
            })
        );
    } else {
        for (dir, reader) in [(one, &a), (other, &b)] {
            say!("{}: position {} to {}", dir.display(), reader.begin(), reader.end());
        }
        say!("the same from position {from} to {}, with chain {:016x} there", common.position, common.chain);
        match then {
            Then::Same => say!("and both end there"),
            Then::Longer { which, bytes, commands, reports } => say!(
                "{} goes on and is longer by {bytes} bytes: {commands} commands, {reports} reports",
                name(which)
            ),
            Then::Differ { position, one: in_one, other: in_other } => {
                say!("they differ from position {position} on:");
                for (dir, record) in [(one, in_one), (other, in_other)] {
                    let text = match record {
                        Some(record) => format!("{}  (epoch {})", record_text(&record)?, record.epoch),
                        None => "a batch ends here".into(),
                    };
                    say!("  {}: {text}", dir.display());
                }
            }
        }
    }
    match then {
        Then::Differ { position, .. } => {
            Err(format!("{} and {} differ from position {position} on", one.display(), other.display()))
        }
        Then::Same | Then::Longer { .. } => Ok(()),
    }
}
