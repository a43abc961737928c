//! What `exchange run` says when it has recovered: what it found, and what it chose.

use std::path::Path;

use cluster::gate::Policy;
use engine::runtime::PinOutcome;
use log::warn;
use serde_json::json;

use super::{choices::Choices, voice::Voice};
use crate::{config, recovery::Recovered};

/// Says it.
pub(super) fn say_what_was_found(voice: &Voice, dir: &Path, choices: &Choices, recovered: &Recovered) {
    let config = &choices.config;
    let pins = recovered.sequencer.books.runtime.pins();
    let pinned = if pins.iter().all(|pin| matches!(pin, PinOutcome::Unpinned)) {
        if choices.shared_cores {
            format!("not pinned: {} cores for {} threads", choices.cores.len(), choices.shards + 2)
        } else {
            "not pinned: as configured".into()
        }
    } else {
        let list: Vec<_> = pins.iter().map(ToString::to_string).collect();
        format!("pinned: {}", list.join(", "))
    };
    let journal = &recovered.journal;
    let ack = config::ack_name(config.ack);
    let promise = match config.ack {
        Policy::Memory => "acknowledged orders survive the process",
        Policy::Disk => "acknowledged orders survive the machine",
        Policy::DiskReplica => "acknowledged orders survive either machine",
        Policy::TwoDisks => "acknowledged orders are on two disks",
    };
    let mut text = format!(
        "exchange {}: {} instruments, {} sessions, {} shards ({pinned})\n\
         ack {ack} ({promise}), idle {}, placement {}, balance {}{}\n\
         journal {} ({}), tail {}",
        env!("CARGO_PKG_VERSION"),
        recovered.instruments.as_slice().len(),
        recovered.sessions.len(),
        choices.shards,
        config.idle,
        config.placement,
        config.balance,
        choices.stealing_off().map(|why| format!(" (stealing off: {why})")).unwrap_or_default(),
        dir.display(),
        if journal.created { "new" } else { "found" },
        recovered.sequencer.appender().tail_path().map(|path| path.display().to_string()).unwrap_or_default(),
    );
    if !journal.created {
        let rate = recovered.executed as f64 / recovered.took.as_secs_f64().max(1e-9);
        text += &format!(
            "\nrecovered {} commands ({}) in {:.3} s ({rate:.0}/s replayed), {} reports completed, {} bytes from the \
             tail{}",
            recovered.commands(),
            match recovered.snapshot {
                Some(sequence) => format!("{} from the snapshot at sequence {sequence}", sequence.0),
                None => "no snapshot".into(),
            },
            recovered.took.as_secs_f64(),
            recovered.reports_completed,
            journal.absorbed_from_tail,
            journal
                .cut
                .as_ref()
                .map(|cut| format!("; {} bytes cut off the end of {}", cut.bytes, cut.file.display()))
                .unwrap_or_default(),
        );
    }
    if let Some(tail) = &journal.tail_missing {
        warn!(
            "the tail {} is gone: the machine was restarted, or somebody removed it; what only it held is lost",
            tail.display()
        );
    }
    text += &format!("\nstate {}", recovered.state);
    voice.say(
        &text,
        &json!({
            "event": "recovered",
            "version": env!("CARGO_PKG_VERSION"),
            "instruments": recovered.instruments.as_slice().len(),
            "sessions": recovered.sessions.len(),
            "cores": choices.cores.len(),
            "shards": choices.shards,
            "pins": pins.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "ack": ack,
            "idle": config.idle.name(),
            "placement": config.placement.name(),
            "balance": config.balance.name(),
            "stealing_off": choices.stealing_off(),
            "domains": choices.domains,
            "created": journal.created,
            "commands": recovered.commands(),
            "snapshot_sequence": recovered.snapshot.map(|sequence| sequence.0),
            "reports_completed": recovered.reports_completed,
            "absorbed_from_tail": journal.absorbed_from_tail,
            "seconds": recovered.took.as_secs_f64(),
            "state": recovered.state.to_string(),
        }),
    );
}
