//! `exchange drill disk-full`: one exchange whose disk runs short of room.
//!
//! Where a tmpfs can be mounted, which takes root, that is the disk, and a file fills most of it: the journal does the
//! rest. Elsewhere it is the disk of the directory, of which the exchange is told to leave more free
//! (`journal.reserve_mib`) than is free while a file lies there. In both cases the file is removed to make room.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use serde_json::json;

use super::{
    ASKING, PATIENCE, Scene, client::Answer, config_of, must_equal, partition::must_be_accepted, text,
    traffic::Traffic,
};
use crate::child::{Arguments, Exchange};

/// What the exchange leaves free of its tmpfs.
const RESERVE_MIB: u64 = 4;
/// The tmpfs holds this, and so much for each order of the load.
const DISK_BYTES: u64 = 64 << 20;
const ORDER_BYTES: u64 = 1 << 10;
/// The most that the file takes of a disk that is not ours.
const BORROWED_BYTES_MAX: u64 = 4 << 30;
/// Orders that are put there to be canceled when there is no room.
const RESTING: usize = 100;

pub(super) fn disk_full(scene: &mut Scene<'_>) -> Result<(), String> {
    let disk = Disk::new(scene)?;
    let arguments = Arguments { config: Some(disk.config.clone()), ..scene.arguments() };
    let data = disk.at.join("data");
    let mut exchange = Exchange::start(&data, &arguments)?;
    for round in 1..=scene.args.rounds {
        // Orders to be canceled later.
        let mut client = scene.asking(exchange.address)?;
        let resting: Vec<u32> = (0..RESTING).map(|_| client.order()).collect::<Result<_, _>>()?;
        for order in &resting {
            if client.answer(*order)? != Answer::Accepted {
                return Err("an order was refused before the disk was full".into());
            }
        }
        let traffic = Traffic::start(scene, &exchange)?;
        let moment = scene.moment();
        scene.patience.pause(moment)?;
        disk.fill()?;
        // The segment in hand, and the next one, which may be there already, are filled by whoever trades.
        let begin = Instant::now();
        loop {
            let order = client.order()?;
            if client.answer(order)? == Answer::CancelsOnly {
                break;
            }
            if begin.elapsed() > PATIENCE {
                return Err(format!(
                    "orders are still accepted after {} s on a full disk",
                    PATIENCE.as_secs()
                ));
            }
        }
        if exchange.status_from_now()?["cancel_only"] != true {
            return Err("orders are refused, and the status does not say so".into());
        }
        for order in &resting {
            client.cancel(*order)?;
        }
        let order = client.order()?;
        if client.answer(order)? != Answer::CancelsOnly {
            return Err(format!("order {order} was accepted, and the disk is full"));
        }
        exchange.must_run()?;
        // The load goes on all the while, and is refused.
        scene.hear(traffic.stop()?)?;
        let room = Instant::now();
        disk.make_room()?;
        let refused = client.until_accepted()?;
        let open_again = room.elapsed();
        let traffic = Traffic::start(scene, &exchange)?;
        scene.patience.pause(Duration::from_secs(scene.args.seconds) / 4)?;
        must_be_accepted(&mut client)?;
        scene.hear(traffic.stop()?)?;
        scene.told[ASKING].push(client.leave());
        scene.audit(exchange.address)?;
        scene.say_round(
            round,
            open_again,
            &format!(" · {RESTING} cancels taken while full, {refused} orders refused after there was room"),
            json!({ "canceled_while_full": RESTING, "refused": refused }),
        );
    }
    let stopped = exchange.stop()?;
    let live = text(&stopped["state"]);
    must_equal("replay", &scene.replayed(&data)?, "live exchange", live)?;
    let again = Exchange::start(&data, &arguments)?;
    must_equal("recovery", text(&again.recovered["state"]), "live exchange", live)?;
    again.stop()?;
    scene.hashes_equal = true;
    Ok(())
}

/// A disk that can be filled. Dropped, a tmpfs is unmounted.
struct Disk {
    at: PathBuf,
    /// What the exchange is run with.
    config: PathBuf,
    /// What the file takes of a disk that is not ours; `None`: of a tmpfs, all but the reserve.
    borrowed_bytes: Option<u64>,
}

impl Disk {
    fn new(scene: &Scene<'_>) -> Result<Self, String> {
        let (at, config) = (scene.root.join("disk"), scene.root.join("disk.toml"));
        fs::create_dir(&at).map_err(|error| wrong(&at, &error))?;
        let orders =
            scene.args.rate.saturating_mul(scene.args.seconds).saturating_mul(scene.args.rounds.into());
        let bytes = DISK_BYTES.saturating_add(orders.saturating_mul(ORDER_BYTES));
        let may_mount =
            rustix::process::geteuid().is_root() && !scene.args.no_mount && scene.args.data.is_none();
        let (borrowed_bytes, reserve_mib, said) = if may_mount && mount(&at, bytes) {
            (None, RESERVE_MIB, format!("a tmpfs of {} MiB", bytes >> 20))
        } else {
            let free = free(&at)?;
            let borrowed = (free / 4).min(BORROWED_BYTES_MAX);
            // Others write to that disk, too: half of what is borrowed lies to either side.
            let reserve_mib = (free - borrowed / 2) >> 20;
            let said = format!(
                "the disk of {}, of which {reserve_mib} MiB shall stay free; a file of {} MiB takes that much",
                at.display(),
                borrowed >> 20
            );
            (Some(borrowed), reserve_mib, said)
        };
        let disk = Self { at, config, borrowed_bytes };
        let text =
            config_of(&[("segment_mib", 1), ("tail_mib", 1), ("reserve_mib", reserve_mib)])?.to_string();
        fs::write(&disk.config, text).map_err(|error| wrong(&disk.config, &error))?;
        scene.say(
            &format!("  its disk is {said}"),
            json!({ "event": "disk", "tmpfs": borrowed_bytes.is_none(), "reserve_mib": reserve_mib }),
        );
        Ok(disk)
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    fn fill(&self) -> Result<(), String> {
        let path = self.filler();
        let bytes = match self.borrowed_bytes {
            Some(bytes) => bytes,
            None => free(&self.at)?.saturating_sub(RESERVE_MIB << 20),
        };
        let file = File::create(&path).map_err(|error| wrong(&path, &error))?;
        fallocate(&file, FallocateFlags::empty(), 0, bytes.max(1))
            .map_err(|error| format!("{}: {bytes} bytes: {error}", path.display()))
    }

    fn make_room(&self) -> Result<(), String> {
        let path = self.filler();
        fs::remove_file(&path).map_err(|error| wrong(&path, &error))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.borrowed_bytes.is_some() {
            // Kept directories need not keep it; it may be gone already.
            let _ = self.make_room();
        } else {
            // It is unmounted as soon as nobody uses it.
            let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
        }
    }
}

/// Mounts a tmpfs, if that can be done.
fn mount(at: &Path, bytes: u64) -> bool {
    Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0700"), "tmpfs"])
        .arg(at)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Bytes that are free on the disk there.
fn free(at: &Path) -> Result<u64, String> {
    let disk = statvfs(at).map_err(|error| format!("{}: {error}", at.display()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn wrong(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
