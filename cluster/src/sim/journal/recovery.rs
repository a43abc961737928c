//! Opening: what a disk and a tail give back, and the end of what was begun before a crash. The steps of a swap are here, since
//! whoever finishes one does the same.

use domain::{Epoch, Mark, Position};

use super::format::{Batch, SEGMENT, SEGMENT_HEADER, Snapshot, hash, intent, u32_at, u64_at};
use super::{Journal, Tail, make_segment, put_file, put_kept, segment_name};
use crate::Kept;
use crate::sim::disk::{Step, Storage};

/// What recovery found.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) journal: Option<Journal>,
    pub(crate) kept: Kept,
    /// What must be done to the disk before the journal is used.
    pub(crate) steps: Vec<Step>,
    /// The machine had stopped and the tail is gone.
    pub(crate) lost_tail: bool,
    pub(crate) finished_intent: bool,
    /// Something is wrong that no crash explains.
    pub(crate) damage: Option<String>,
}

pub(super) fn read_kept(disk: &dyn Storage) -> Kept {
    let Some(bytes) = disk.read("kept") else { return Kept::NEW };
    Kept { promised: Epoch(u32_at(bytes, 0).unwrap_or(0)), complete: bytes.get(4) == Some(&1) }
}

/// The steps that put a snapshot and an empty journal in the place of what is there, by way of an intent.
pub(crate) fn install_steps(disk: &dyn Storage, cluster: u64, snapshot: &[u8], from: Mark) -> Vec<Step> {
    let mut steps = put_file("snap.new", snapshot.to_vec());
    steps.extend(put_file("intent", intent(cluster, from.position.0, from.chain)));
    steps.extend(swap_steps(disk, cluster, from));
    steps
}

pub(super) fn swap_steps(disk: &dyn Storage, cluster: u64, from: Mark) -> Vec<Step> {
    let mut steps: Vec<Step> =
        disk.names().into_iter().filter(|name| name.starts_with("seg-")).map(Step::Remove).collect();
    steps.push(Step::Rename { from: "snap.new".into(), to: "snap".into() });
    steps.push(Step::SyncDirectory);
    steps.extend(make_segment(cluster, from.position.0 / SEGMENT as u64, from.chain));
    steps.push(Step::NewTail { cluster, base: from.position.0 });
    steps.push(Step::Remove("intent".into()));
    steps.push(Step::SyncDirectory);
    steps
}

/// Judges what is on a disk and in a tail.
pub(crate) fn recover(disk: &dyn Storage, tail: Option<&Tail>) -> Recovered {
    let kept = read_kept(disk);
    let mut found = Recovered {
        journal: None,
        kept,
        steps: Vec::new(),
        lost_tail: tail.is_none(),
        finished_intent: false,
        damage: None,
    };
    let intent = disk.read("intent").map(|bytes| [0, 8, 16].map(|at| u64_at(bytes, at).unwrap_or(0)));
    if intent.is_some() {
        // It may be there for the kernel only; nothing that follows from it may reach the disk before it.
        found.steps.push(Step::SyncDirectory);
    }
    if let Some([cluster, position, chain]) = intent
        && cluster != 0
    {
        // A swap: it is begun again, whatever had been done of it.
        let from = Mark { position: Position(position), chain };
        let bytes = disk.read("snap.new").or_else(|| disk.read("snap"));
        let Some(snapshot) = bytes.and_then(Snapshot::decode) else {
            found.damage = Some("a swap has begun and the snapshot is not there".into());
            return found;
        };
        found.steps.extend(put_kept(Kept { complete: false, ..kept }));
        found.kept.complete = false;
        found.steps.extend(swap_steps(disk, cluster, from));
        found.finished_intent = true;
        let mut history = snapshot.history.clone();
        history.truncate(from.position);
        found.journal = Some(Journal::new(cluster, from, Some(snapshot), history));
        return found;
    }
    let Some((mut journal, mut damage)) = read_segments(disk, tail) else {
        return found;
    };
    if let Some([_, to, _]) = intent {
        // A cut: whatever is behind it does not count, and its holes are no damage.
        found.finished_intent = true;
        damage = None;
        // It may end before the cut already, if what was cut had never been synced.
        if to < journal.end().position.0 {
            if journal.mark_at(to).is_none() {
                found.damage = Some(format!("a cut to {to} has begun and no batch ends there"));
                return found;
            }
            journal.truncate(to);
        }
    }
    if damage.is_some() {
        found.damage = damage;
        return found;
    }
    if found.lost_tail && kept.complete {
        found.kept.complete = false;
        found.steps.extend(put_kept(found.kept));
    }
    // Zeros behind the end, segments beyond it gone, and everything of the tail written.
    let end = journal.end().position.0;
    let base = tail.map_or(end, |tail| tail.base.clamp(journal.first, end));
    let names = disk.names();
    for name in names.iter().rev().filter(|name| name.starts_with("seg-")) {
        if *name >= segment_name(end.div_ceil(SEGMENT as u64))
            && *name > segment_name(journal.first / SEGMENT as u64)
        {
            found.steps.push(Step::Remove(name.clone()));
        }
    }
    found.steps.push(Step::SyncDirectory);
    let offset = end as usize % SEGMENT;
    // What is in the last segment is written again with what comes behind it.
    let from = if tail.is_some() { base } else { end };
    let whole = from / SEGMENT as u64 * SEGMENT as u64;
    if from < end || offset != 0 {
        let mut steps = journal.write_out(whole.max(journal.first), end);
        // Those that are there need not be made; they are whole, and their names synced above.
        let is_there = |step: &Step| match step {
            Step::Create(name) => names.contains(&name.replace("spare", "seg")),
            Step::Rename { to, .. } => names.contains(to),
            Step::Write { name, .. } | Step::Sync(name) if name.starts_with("spare") => {
                names.contains(&name.replace("spare", "seg"))
            }
            _ => false,
        };
        steps.retain(|step| !is_there(step));
        found.steps.extend(steps);
        if offset != 0 {
            let name = segment_name(end / SEGMENT as u64);
            let at = SEGMENT_HEADER + offset;
            found.steps.push(Step::Write { name: name.clone(), at, bytes: vec![0; SEGMENT - offset] });
            found.steps.push(Step::Sync(name));
        }
    }
    found.steps.push(Step::NewTail { cluster: journal.cluster, base: end });
    found.steps.push(Step::Remove("intent".into()));
    found.steps.push(Step::SyncDirectory);
    // What is in the tail is on the disk once the steps are done.
    journal.durable = from;
    journal.flushed = end;
    found.journal = Some(journal);
    found
}

/// The segments walked, and the tail behind them; and what no crash explains.
pub(super) fn read_segments(disk: &dyn Storage, tail: Option<&Tail>) -> Option<(Journal, Option<String>)> {
    let names: Vec<String> = disk.names().into_iter().filter(|name| name.starts_with("seg-")).collect();
    let first_name = names.first()?;
    let header = |name: &str| {
        let header = disk.read(name)?.get(..SEGMENT_HEADER)?;
        (hash(7, &header[..24]) == u64_at(header, 24)?).then_some([
            u64_at(header, 0)?,
            u64_at(header, 8)?,
            u64_at(header, 16)?,
        ])
    };
    let [cluster, first_index, previous] = header(first_name)?;
    let snapshot = disk.read("snap").and_then(Snapshot::decode);
    let from = Mark { position: Position(first_index * SEGMENT as u64), chain: previous };
    let mut history = snapshot.as_ref().map(|snapshot| snapshot.history.clone()).unwrap_or_default();
    history.truncate(from.position);
    let mut damage = None;
    if first_index > 0 && snapshot.as_ref().is_none_or(|snapshot| snapshot.mark.position < from.position) {
        damage = Some(format!("the journal begins at {} and no snapshot reaches it", from.position));
    }
    let mut journal = Journal::new(cluster, from, snapshot, history);
    let mut evidence = 0;
    let mut is_over = false;
    for (n, name) in names.iter().enumerate() {
        let index = first_index + n as u64;
        if *name != segment_name(index) || header(name).is_none() {
            is_over = true;
        }
        let bytes = disk.read(name).and_then(|bytes| bytes.get(SEGMENT_HEADER..)).unwrap_or(&[]);
        let mut at = 0;
        while at < bytes.len() && !is_over {
            let Ok(batch) = Batch::parse(&bytes[at..], journal.end()) else { break };
            let length = batch.length;
            if journal.append(journal.end().position.0, &bytes[at..at + length]).is_err() {
                break;
            }
            evidence = evidence.max(batch.durable);
            at += length;
        }
        // What lies behind the spot may still say what had been on the disk.
        let base = index * SEGMENT as u64;
        for behind in (at..bytes.len()).step_by(8) {
            if let Some(durable) = Batch::durable_of(&bytes[behind..], base + behind as u64) {
                evidence = evidence.max(durable);
            }
        }
        is_over |= at < SEGMENT;
    }
    if let Some(tail) = tail.filter(|tail| tail.cluster == cluster) {
        let end = journal.end().position.0;
        if tail.base <= end {
            // The page cache and the tail are of one process: where they overlap they are the same.
            if tail.base >= journal.first && journal.mark_at(tail.base).is_some() {
                journal.truncate(tail.base);
                if let Err(what) = journal.append(tail.base, &tail.bytes) {
                    damage = Some(format!("the tail does not continue the journal: {what}"));
                }
            }
        } else {
            damage = Some(format!("the tail begins at {} and the segments end at {end}", tail.base));
        }
    }
    let end = journal.end().position.0;
    if evidence > end {
        damage = Some(format!("the log ends at {end} and {evidence} had been on the disk"));
    }
    Some((journal, damage))
}
