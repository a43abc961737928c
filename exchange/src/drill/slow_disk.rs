//! `exchange drill slow-disk`: a pair whose standby does not answer for a while.
//!
//! The standby is stopped with SIGSTOP: from the node that leads, that is a disk under the standby which takes that
//! long. No disk is slowed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use serde_json::json;

use super::{
    ASKING, SESSIONS, Scene, millis,
    pair::Pair,
    partition::{must_be, must_be_accepted, must_wait},
    traffic::Traffic,
};

/// What the standby had in hand when it was stopped has been answered after this.
const SETTLE: Duration = Duration::from_millis(100);
/// Memory of the node that leads is looked at so often.
const LOOK: Duration = Duration::from_millis(20);
/// What a node may take besides what its configuration says: open orders, buffers of the allocator.
const MEMORY_BESIDE: u64 = 64 << 20;

pub(super) fn slow_disk(scene: &mut Scene<'_>) -> Result<(), String> {
    let pair = Pair::new(scene)?;
    let leading = pair.lead(scene, 0)?;
    let following = pair.follow(scene, 1)?;
    // The queue to the standby holds two tails; a client that leaves more unread than it may is cut off.
    let bound = scene.config.journal.tail_bytes * 2
        + (SESSIONS as u64 + 1) * scene.config.limits.unsent_max as u64
        + MEMORY_BESIDE;
    for round in 1..=scene.args.rounds {
        pair.wait_in_sync(0)?;
        let traffic = Traffic::start(scene, &leading)?;
        let mut client = scene.asking(leading.address)?;
        let moment = scene.moment();
        scene.patience.pause(moment)?;
        must_be_accepted(&mut client)?;

        let stopped_for = scene.moment();
        let before = memory(leading.pid())?;
        following.signal(Signal::STOP)?;
        std::thread::sleep(SETTLE);
        let waits = client.order()?;
        let watch = Watch::start(leading.pid())?;
        let waited = must_wait(&mut client, waits, stopped_for);
        let grown = watch.end()?.saturating_sub(before);
        let goes_on = Instant::now();
        following.signal(Signal::CONT)?;
        waited?;
        must_be(client.answer(waits)?)?;
        let open_again = goes_on.elapsed();
        if grown > bound {
            return Err(format!(
                "the node that leads took {grown} bytes of memory, and {bound} are its bound"
            ));
        }
        pair.wait_in_sync(0)?;
        must_be_accepted(&mut client)?;

        scene.hear(traffic.stop()?)?;
        scene.told[ASKING].push(client.leave());
        scene.audit(leading.address)?;
        let kib = grown >> 10;
        scene.say_round(
            round,
            open_again,
            &format!(
                " · no answer in {} ms, memory grew by {kib} KiB of {} MiB",
                millis(stopped_for),
                bound >> 20
            ),
            json!({ "stopped_ms": millis(stopped_for), "memory_kib": kib, "memory_kib_max": bound >> 10 }),
        );
    }
    pair.end(scene, 0, leading, following)
}

/// Looks at a process's memory, on a thread.
struct Watch {
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<u64, String>>,
}

impl Watch {
    fn start(pid: Pid) -> Result<Self, String> {
        let over = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&over);
        let thread = std::thread::Builder::new()
            .name("memory".into())
            .spawn(move || {
                let mut most = memory(pid)?;
                while !watched.load(Ordering::Relaxed) {
                    std::thread::sleep(LOOK);
                    most = most.max(memory(pid)?);
                }
                Ok(most)
            })
            .map_err(|error| format!("no thread to watch memory: {error}"))?;
        Ok(Self { over, thread })
    }

    /// The most that it had.
    fn end(self) -> Result<u64, String> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the thread that watches memory died".to_owned())?
    }
}

/// Bytes of a process that are in no file and no shared memory.
pub(super) fn memory(pid: Pid) -> Result<u64, String> {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    anonymous(&status).ok_or_else(|| format!("{path} does not say RssAnon"))
}

fn anonymous(status: &str) -> Option<u64> {
    let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    kib.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_kernel_says_it() {
        assert_eq!(anonymous("VmRSS:\t    9 kB\nRssAnon:\t    1234 kB\nRssFile:\t 1 kB\n"), Some(1234 << 10));
        for wrong in ["", "RssAnon: many kB", "RssAnon: 12", "RssAnon: 99999999999999999999 kB"] {
            assert_eq!(anonymous(wrong), None, "{wrong}");
        }
        let me = Pid::from_raw(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(memory(me).unwrap() > 0);
    }
}
