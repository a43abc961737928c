//! Disks that fail, fill up, are slow or do things by halves.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use journal::storage::{Files, Storage};
use journal::{AckPolicy, Appender, CloseError, Full, Journal, Options, StorageState};

use crate::support::{Random, Source, append, append_patiently, drain, open, options, read, wait, write};

/// The filesystem, with faults that a test turns on.
pub(crate) struct Faults {
    held: Mutex<bool>,
    released: Condvar,
    writes_fail: AtomicBool,
    syncs_fail: AtomicBool,
    /// Operations that still succeed; below 0 there is no limit.
    operations: AtomicI64,
    /// Bytes that may still be allocated.
    room: AtomicU64,
    short: AtomicBool,
    lies: AtomicBool,
    sync_takes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    calls: AtomicU64,
}

impl Faults {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            held: Mutex::new(false),
            released: Condvar::new(),
            writes_fail: AtomicBool::new(false),
            syncs_fail: AtomicBool::new(false),
            operations: AtomicI64::new(i64::MAX),
            room: AtomicU64::new(u64::MAX),
            short: AtomicBool::new(false),
            lies: AtomicBool::new(false),
            sync_takes: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        })
    }

    /// Syncs of data do not return until they are let go.
    pub(crate) fn hold_syncs(&self) {
        *self.held.lock().expect("not poisoned") = true;
    }

    pub(crate) fn let_syncs_go(&self) {
        *self.held.lock().expect("not poisoned") = false;
        self.released.notify_all();
    }

    pub(crate) fn fail_writes(&self) {
        self.writes_fail.store(true, Ordering::SeqCst);
    }

    /// Of each write, one bit is not what was written, and nobody says so.
    pub(crate) fn lie(&self) {
        self.lies.store(true, Ordering::SeqCst);
    }

    /// After `count` more operations, all fail.
    pub(crate) fn fail_after(&self, count: i64) {
        self.operations.store(count, Ordering::SeqCst);
    }

    fn operation(&self) -> io::Result<()> {
        if self.operations.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }
}

impl Storage for Faults {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.operation()?;
        if self.writes_fail.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        if self.lies.load(Ordering::SeqCst) {
            let mut bytes = bytes.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            return Files.write_at(file, &bytes, offset);
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.short.load(Ordering::SeqCst) && bytes.len() > 1 {
            if call.is_multiple_of(3) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let some = 1 + (call as usize * 7919) % (bytes.len() - 1).min(3000);
            return Files.write_at(file, &bytes[..some], offset);
        }
        Files.write_at(file, bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.operation()?;
        self.syncs.fetch_add(1, Ordering::SeqCst);
        // The preparer's syncs pass: only the disk thread is held.
        if std::thread::current().name() == Some("journal-disk") {
            let mut held = self.held.lock().expect("not poisoned");
            while *held {
                held = self.released.wait(held).expect("not poisoned");
            }
            if self.syncs_fail.swap(false, Ordering::SeqCst) {
                return Err(io::Error::from_raw_os_error(5));
            }
            std::thread::sleep(Duration::from_micros(self.sync_takes.load(Ordering::SeqCst)));
        }
        Files.sync(file)
    }

    fn allocate(&self, file: &File, bytes: u64) -> io::Result<bool> {
        self.operation()?;
        let taken =
            self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |room| room.checked_sub(bytes));
        taken.map_err(|_| io::Error::from_raw_os_error(28))?;
        Files.allocate(file, bytes)
    }

    fn available(&self, dir: &Path) -> io::Result<u64> {
        Files.available(dir).map(|there| there.min(self.room.load(Ordering::SeqCst)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation()?;
        Files.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operation()?;
        Files.remove(path)
    }
}

fn open_with(dir: &Path, options: &Options, faults: &Arc<Faults>) -> Appender {
    Journal::open_with(dir, options, Arc::new(|| {}), faults.clone()).expect("opens").0
}

#[test]
fn a_sync_that_fails_once_fails_for_good() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let faults = Faults::new();
    let told = Arc::new(AtomicU64::new(0));
    let tell = told.clone();
    let on_progress = Arc::new(move || {
        tell.fetch_add(1, Ordering::SeqCst);
    });
    let (mut journal, _) =
        Journal::open_with(dir.path(), &options(), on_progress, faults.clone()).expect("opens");
    let mut all = write(&mut journal, &mut source, 100);
    drain(&journal);
    let durable = journal.durable();
    faults.syncs_fail.store(true, Ordering::SeqCst);
    let before = told.load(Ordering::SeqCst);
    all.extend(write(&mut journal, &mut source, 10));
    wait("the failure", || journal.state() == StorageState::Failed);
    wait("being told", || told.load(Ordering::SeqCst) > before);
    // The disk would work again, but is never asked.
    let syncs = journal.stats().syncs;
    all.extend(write(&mut journal, &mut source, 100));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(journal.durable(), durable);
    assert_eq!(journal.stats().syncs, syncs);
    let failure = journal.failure().expect("it failed").clone();
    assert_eq!((failure.action, failure.os_error, failure.durable), ("sync", Some(5), durable));
    assert!(failure.to_string().contains("0000000000.seg"), "{failure}");
    match journal.close() {
        Err(CloseError::Failed(again)) => assert_eq!(again, failure),
        other => panic!("{other:?}"),
    }
    // The process lived on, and so did the tail: the next open has everything.
    let (journal, recovery) = open(dir.path(), &options());
    assert_eq!(recovery.commands + recovery.reports, all.len() as u64);
    journal.close().expect("closes");
    assert_eq!(read(dir.path()), all);
}

#[test]
fn a_full_disk_cancels_only_then_holds_back_and_goes_on_with_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let faults = Faults::new();
    let small = Options { segment_bytes: 256 << 10, ..options() };
    // Two segments, and half of one.
    faults.room.store((512 << 10) + 100_000, Ordering::SeqCst);
    let mut journal = open_with(dir.path(), &small, &faults);
    let mut all = Vec::new();
    let mut saw_cancel_only = 0;
    let mut said = source.next();
    loop {
        match append(&mut journal, &said) {
            Ok(position) => {
                all.push((position, said));
                said = source.next();
                journal.commit();
                saw_cancel_only += u64::from(journal.state() == StorageState::CancelOnly);
            }
            // The tail is full: of what the disk has no room for, or only because the disk is slow.
            Err(Full) if journal.state() == StorageState::CancelOnly && journal.durable().0 == 512 << 10 => {
                break;
            }
            Err(Full) => std::thread::sleep(Duration::from_micros(100)),
        }
    }
    // Cancels could be taken for a long time before nothing could.
    assert!(saw_cancel_only > 100, "{saw_cancel_only}");
    assert!(journal.room() < 112);
    faults.room.store(u64::MAX, Ordering::SeqCst);
    // Refused is not lost: the same goes in now.
    all.push((append_patiently(&mut journal, &said), said));
    wait("room", || journal.state() == StorageState::Ok);
    all.extend(write(&mut journal, &mut source, 3_000));
    journal.close().expect("closes");
    assert_eq!(read(dir.path()), all);
}

#[test]
fn a_close_without_room_leaves_the_tail() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let faults = Faults::new();
    let small = Options { segment_bytes: 64 << 10, tail_bytes: 64 << 10, ..options() };
    faults.room.store(80 << 10, Ordering::SeqCst);
    let mut journal = open_with(dir.path(), &small, &faults);
    let mut all = Vec::new();
    while journal.committed().0 < 90 << 10 {
        let said = source.next();
        all.push((append_patiently(&mut journal, &said), said));
        journal.commit();
    }
    match journal.close() {
        Err(CloseError::NoRoom { durable }) => assert_eq!(durable.0, 64 << 10),
        other => panic!("{other:?}"),
    }
    assert_eq!(read(dir.path()), all);
    let (journal, recovery) = open(dir.path(), &small);
    assert!(recovery.absorbed_from_tail > 0);
    journal.close().expect("closes");
    assert_eq!(read(dir.path()), all);
}

#[test]
fn the_reserve_is_kept_free() {
    let dir = tempfile::tempdir().expect("a directory");
    let faults = Faults::new();
    let small = Options { segment_bytes: 64 << 10, tail_bytes: 8 << 10, reserve_bytes: 1 << 20, ..options() };
    faults.room.store(1 << 20, Ordering::SeqCst);
    let journal = open_with(dir.path(), &small, &faults);
    wait("cancel only", || journal.state() == StorageState::CancelOnly);
    faults.room.store(2 << 20, Ordering::SeqCst);
    wait("room", || journal.state() == StorageState::Ok);
    journal.close().expect("closes");
}

#[test]
fn short_and_interrupted_writes_lose_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let faults = Faults::new();
    faults.short.store(true, Ordering::SeqCst);
    let small = Options { segment_bytes: 256 << 10, tail_bytes: 16 << 10, ..options() };
    let mut journal = open_with(dir.path(), &small, &faults);
    let all = write(&mut journal, &mut source, 5_000);
    journal.close().expect("closes");
    assert_eq!(read(dir.path()), all);
}

#[test]
fn a_slow_disk_holds_the_appender_back_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    for ack in [AckPolicy::Disk, AckPolicy::Memory] {
        let place = dir.path().join(format!("{ack:?}"));
        let faults = Faults::new();
        faults.sync_takes.store(3_000, Ordering::SeqCst);
        let small = Options { segment_bytes: 64 << 10, tail_bytes: 8 << 10, ack, ..options() };
        let mut journal = open_with(&place, &small, &faults);
        let mut source = Source::of(Random::of(source.random.next()));
        let all = write(&mut journal, &mut source, 3_000);
        assert!(journal.stats().full > 0);
        journal.close().expect("closes");
        assert_eq!(read(&place), all);
    }
}

/// Under `Memory` nobody waits for the disk, but it still follows soon, with few syncs.
#[test]
fn under_memory_the_disk_follows_soon_and_rests() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = Source::new();
    let faults = Faults::new();
    let (mut journal, _) = Journal::open_with(
        dir.path(),
        &Options { ack: AckPolicy::Memory, ..options() },
        Arc::new(|| {}),
        faults.clone(),
    )
    .expect("opens");
    for _ in 0..5 {
        let before = journal.stats().syncs;
        let start = std::time::Instant::now();
        for _ in 0..200 {
            append_patiently(&mut journal, &source.next());
            journal.commit();
        }
        drain(&journal);
        // Far fewer syncs than commits, however fast the disk: one each gathering time, or each eighth of the ring. What is
        // left to gather when the last is appended takes its time as well.
        let most = 20 + start.elapsed().as_millis() as u64 / 2;
        assert!(journal.stats().syncs - before <= most, "{} syncs", journal.stats().syncs - before);
    }
    // With nothing to do, nothing is done.
    wait("the preparer's end", || {
        let before = faults.syncs.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        faults.syncs.load(Ordering::SeqCst) == before
    });
    journal.close().expect("closes");
}
