//! `[journal]`: the log, how much of it is kept, and what is done beside it.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalFile {
    pub(super) segment_mib: u64,
    pub(super) tail_mib: u64,
    pub(super) tail_dir: String,
    pub(super) reserve_mib: u64,
    #[serde(default = "snapshot_mib")]
    pub(super) snapshot_mib: u64,
    #[serde(default = "both")]
    pub(super) snapshots_on: String,
    #[serde(default = "all")]
    pub(super) retain: String,
    #[serde(default)]
    pub(super) archive: String,
    #[serde(default)]
    pub(super) retain_absent_mib: u64,
}

fn both() -> String {
    "both".into()
}

const fn snapshot_mib() -> u64 {
    1_024
}

fn all() -> String {
    "all".into()
}

/// What is done for the data directory beside the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upkeep {
    /// Bytes of the journal from one snapshot to the next while the exchange runs; 0 for none but at a stop.
    pub(crate) snapshot_bytes: u64,
    /// A node that leads takes none while a standby is connected.
    pub(crate) only_on_standby: bool,
    /// `None`: every segment stays.
    pub(crate) retain: Option<Retain>,
}

/// How segments that no start needs are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retain {
    /// Where each is copied first.
    pub(crate) archive: Option<PathBuf>,
    /// What is kept at most for a node of the pair that is not there; `None`: all that it may lack.
    pub(crate) absent_bytes: Option<u64>,
}

/// A number of bytes in the journal's section.
pub(super) fn mib(name: &str, mib: u64) -> Result<u64, String> {
    mib.checked_mul(1 << 20).ok_or_else(|| format!("journal.{name}: {mib} MiB is beyond any disk"))
}

pub(super) fn upkeep(file: &JournalFile) -> Result<Upkeep, String> {
    let archive = (!file.archive.is_empty()).then(|| PathBuf::from(&file.archive));
    let absent = mib("retain_absent_mib", file.retain_absent_mib)?;
    let absent_bytes = (absent > 0).then_some(absent);
    let retain = match file.retain.as_str() {
        "all" if archive.is_some() => {
            return Err(
                "journal.archive: with retain = \"all\" nothing is removed, so nothing is archived: use retain = \
                 \"snapshots\", or archive = \"\""
                    .into(),
            );
        }
        "all" => None,
        "snapshots" => Some(Retain { archive, absent_bytes }),
        other => return Err(format!("journal.retain: no such choice \"{other}\": use all or snapshots")),
    };
    Ok(Upkeep {
        snapshot_bytes: mib("snapshot_mib", file.snapshot_mib)?,
        only_on_standby: match file.snapshots_on.as_str() {
            "both" => false,
            "standby" => true,
            other => {
                return Err(format!("journal.snapshots_on: no such choice \"{other}\": use both or standby"));
            }
        },
        retain,
    })
}

pub(super) fn journal_options(file: &JournalFile) -> Result<journal::Options, String> {
    Ok(journal::Options {
        segment_bytes: mib("segment_mib", file.segment_mib)?,
        tail_bytes: mib("tail_mib", file.tail_mib)?,
        tail_dir: (!file.tail_dir.is_empty()).then(|| PathBuf::from(&file.tail_dir)),
        reserve_bytes: mib("reserve_mib", file.reserve_mib)?,
        ..journal::Options::default()
    })
}
