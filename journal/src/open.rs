//! Opening a journal: lock, judge, repair what may be repaired, start the threads.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use domain::{Epoch, Nanos, Position, Sequence};

use crate::appender::{Appender, Parts};
use crate::direct::{BlockWriter, DataFile};
use crate::disk::Disk;
use crate::error::OpenError;
use crate::options::{Begin, Options};
use crate::preparer::Preparer;
use crate::put_away;
use crate::record::STRETCH;
use crate::recovery::{self, Found, Recovery, Scan};
use crate::segment::{self, FORMAT_VERSION, HEADER_BYTES, SegmentHeader, Spare, io_error};
use crate::shared::{OnProgress, Shared};
use crate::storage::{self, Files, Storage, write_all};
use crate::tail::{self, TailHeader};

/// The epoch in the headers of all segments of a journal, whoever makes them: their salts come from it, and copies
/// must have the same. The epoch of a primary stands in the records.
const EPOCH_OF_SALTS: u32 = 1;

/// The way in.
#[derive(Debug)]
pub struct Journal;

impl Journal {
    /// Opens the journal in `dir`, making one when there is none, and recovers what a process that died has
    /// left.
    ///
    /// `on_progress` is called from the journal's threads whenever [`Appender::durable`] has moved or
    /// [`Appender::state`] has changed; it must not block.
    ///
    /// # Errors
    /// When the directory is in use, damaged, or not this journal's; see [`OpenError`]. What is refused is
    /// not changed.
    pub fn open(
        dir: impl AsRef<Path>,
        options: &Options,
        on_progress: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(Appender, Recovery), OpenError> {
        Self::open_with(dir, options, on_progress, Arc::new(Files))
    }

    /// The same over a filesystem of the caller's, for tests of faults.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        dir: impl AsRef<Path>,
        options: &Options,
        on_progress: Arc<dyn Fn() + Send + Sync>,
        storage: Arc<dyn Storage>,
    ) -> Result<(Appender, Recovery), OpenError> {
        open(dir.as_ref(), options, on_progress, storage)
    }
}

/// The exclusive lock on a data directory.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| io_error("open", &path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&mut file).take(100).read_to_string(&mut holder);
                let holder = holder.trim();
                let holder = (!holder.is_empty()).then(|| holder.to_owned());
                return Err(OpenError::Locked { dir: dir.to_path_buf(), holder });
            }
            Err(TryLockError::Error(e)) => return Err(io_error("lock", &path, e)),
        }
        // For whoever finds the directory locked; the lock itself is the kernel's.
        let said = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "process {}", std::process::id()));
        said.map_err(|e| io_error("write", &path, e))?;
        Ok(Self { _file: file })
    }
}

fn open(
    dir: &Path,
    options: &Options,
    on_progress: OnProgress,
    storage: Arc<dyn Storage>,
) -> Result<(Appender, Recovery), OpenError> {
    check(options)?;
    std::fs::create_dir_all(dir).map_err(|e| io_error("create", dir, e))?;
    let dir = std::fs::canonicalize(dir).map_err(|e| io_error("find", dir, e))?;
    let lock = DirLock::take(&dir)?;
    put_away::finish(&dir, &*storage)?;

    let (file, segment, scan, prepared, spare, recovery) = match recovery::examine(&dir) {
        Err(OpenError::Empty { .. }) => create(&dir, options, &*storage)?,
        Err(e) => return Err(e),
        Ok(found) => repair(&dir, found, &*storage)?,
    };

    // A tail may not be longer than a segment, and the first seal must find room in its lap, which is only in
    // doubt where the ring was larger before.
    let mut ring_bytes = options.tail_bytes;
    while !segment.capacity.is_multiple_of(ring_bytes) {
        ring_bytes /= 2;
    }
    let left = |ring: u64| ring - scan.end % ring;
    while left(ring_bytes) < STRETCH as u64 && segment.capacity.is_multiple_of(ring_bytes * 2) {
        ring_bytes *= 2;
    }

    let header = TailHeader {
        cluster: segment.cluster,
        epoch: segment.epoch,
        ring_bytes,
        base: scan.end,
        boot: tail::boot_id(),
        dir_id: tail::dir_id(&dir).map_err(|e| io_error("look at", &dir, e))?,
        dir: dir.clone(),
    };
    let (writer, reader, tail_file) = tail::create(&dir, options.tail_dir.as_deref(), &header)?;

    let capacity_left = segment.base() + prepared;
    let shared = Arc::new(Shared::new(dir.clone(), storage, on_progress, scan.end, capacity_left, spare));
    let file = DataFile::new(file, &segment::path(&dir, segment.index));
    let for_preparer = file.try_clone().map_err(|e| io_error("open", &dir, e))?;
    let blocks = BlockWriter::new(&file, scan.end.saturating_sub(segment.base()))
        .map_err(|e| io_error("read", &segment::path(&dir, segment.index), e))?;
    let disk = Disk {
        shared: shared.clone(),
        tail: reader,
        ack: options.ack,
        file,
        writer: blocks,
        header: segment,
    };
    let preparer = Preparer {
        shared: shared.clone(),
        current: (for_preparer, segment, prepared),
        reserve_bytes: options.reserve_bytes,
    };
    let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new()
            .name(name.into())
            .spawn(run)
            .map_err(|e| io_error("start a thread for", &dir, e))
    };
    let disk = spawn("journal-disk", Box::new(move || disk.run()))?;
    shared.set_disk_thread(disk.thread().clone());
    let preparer = spawn("journal-fill", Box::new(move || preparer.run()))?;

    let appender = Appender::new(Parts {
        tail: writer,
        tail_file,
        segment,
        chain: scan.chain.unwrap_or_else(|| segment::genesis(segment.cluster)),
        last_sequence: scan.last_sequence,
        last_nanos: scan.last_nanos,
        epoch: recovery.epoch,
        ack: options.ack,
        shared,
        threads: vec![disk, preparer],
        lock,
    });
    Ok((appender, recovery))
}

/// The last segment, open for writing; how much of its data is prepared; a spare that stands ready.
type Opened = (File, SegmentHeader, Scan, u64, Option<Spare>, Recovery);

fn check(options: &Options) -> Result<(), OpenError> {
    let bad = |what: String| Err(OpenError::Options(what));
    let (segment, tail) = (options.segment_bytes, options.tail_bytes);
    if !tail.is_power_of_two() || !(Options::TAIL_BYTES_MIN..=Options::TAIL_BYTES_MAX).contains(&tail) {
        return bad(format!(
            "tail_bytes is {tail}; it must be a power of two from {} to {}",
            Options::TAIL_BYTES_MIN,
            Options::TAIL_BYTES_MAX
        ));
    }
    if segment == 0 || !segment.is_multiple_of(tail) || segment > Options::SEGMENT_BYTES_MAX {
        return bad(format!(
            "segment_bytes is {segment}; it must be a multiple of tail_bytes ({tail}), at most {}",
            Options::SEGMENT_BYTES_MAX
        ));
    }
    Ok(())
}

/// Makes a new journal.
fn create(dir: &Path, options: &Options, storage: &dyn Storage) -> Result<Opened, OpenError> {
    let cluster = match options.begin {
        Some(begin) => begin.cluster,
        None => segment::draw_cluster().map_err(|e| io_error("draw an id for", dir, e))?,
    };
    let begin = options.begin.unwrap_or_else(|| Begin::from_start(cluster));
    if !begin.mark.position.0.is_multiple_of(options.segment_bytes) {
        let (position, segment) = (begin.mark.position, options.segment_bytes);
        return Err(OpenError::Options(format!(
            "a copy begins with a segment of {segment} bytes, not at {position}"
        )));
    }
    let header = SegmentHeader {
        version: FORMAT_VERSION,
        cluster,
        epoch: EPOCH_OF_SALTS,
        index: begin.mark.position.0 / options.segment_bytes,
        capacity: options.segment_bytes,
        created: segment::now(),
    };
    // A tail without segments belongs to a journal that somebody removed.
    let _ = std::fs::remove_file(dir.join(tail::LINK));
    for spare in segment::list(dir)?.1 {
        std::fs::remove_file(&spare).map_err(|e| io_error("remove", &spare, e))?;
    }
    let path = segment::path(dir, header.index);
    let file = segment::create(storage, dir, header).map_err(|e| io_error("create", &path, e))?;
    // The directory's own name, which may be new as well.
    storage::sync_parent(dir).map_err(|e| io_error("sync", dir, e))?;
    let prepared = filled(&file, &header, &path)?;
    let recovery = Recovery {
        created: true,
        cluster,
        end: begin.mark.position,
        last_sequence: begin.last_sequence.unwrap_or_default(),
        last_nanos: Nanos(0),
        epoch: Epoch(header.epoch),
        epochs: Vec::new(),
        begins_within: false,
        commands: 0,
        reports: 0,
        segments: 1,
        absorbed_from_tail: 0,
        tail_missing: None,
        cut: None,
    };
    let scan = Scan {
        chain: Some(begin.mark.chain),
        last_sequence: begin.last_sequence.map(|sequence| sequence.0),
        ..Scan::from(begin.mark.position.0)
    };
    Ok((file, header, scan, prepared, None, recovery))
}

/// How much of a segment's data its file has.
fn filled(file: &File, header: &SegmentHeader, path: &Path) -> Result<u64, OpenError> {
    let length = file.metadata().map_err(|e| io_error("look at", path, e))?.len();
    Ok(segment::data_bytes(length, header.capacity))
}

/// Cuts what must be cut, then brings from the tail what the segments lack. Each step may be repeated: a
/// crash in between leaves a directory from which the next open does the same.
fn repair(dir: &Path, found: Found, storage: &dyn Storage) -> Result<Opened, OpenError> {
    let Found { segments, spares, scan, cut, segments_end, beyond, tail_missing, epochs, begins_within } =
        found;
    let mut count = segments.len() as u64;
    let Some(last) = segments.into_iter().next_back() else {
        return Err(OpenError::Empty { dir: dir.to_path_buf() });
    };
    let mut header = last.header;
    let mut path = last.path;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|e| io_error("open for writing", &path, e))?;

    // Before any record is written that an older program does not know: it must refuse the journal, not take such a
    // record for a torn one.
    if header.version != FORMAT_VERSION {
        header.version = FORMAT_VERSION;
        write_all(storage, &file, &header.encode(), 0)
            .and_then(|()| storage.sync(&file))
            .map_err(|e| io_error("write the header of", &path, e))?;
    }
    if let Some(cut) = &cut {
        let from = segments_end - header.base();
        segment::erase(storage, &file, from, from + cut.bytes).map_err(|e| io_error("cut", &path, e))?;
    }
    // The last segment may be whole, with the stream going on in the next.
    let mut ready = None;
    for spare in spares {
        match reuse(&spare, &header.sibling(header.index + 1)) {
            Some(kept) => ready = Some(kept),
            None => std::fs::remove_file(&spare).map_err(|e| io_error("remove", &spare, e))?,
        }
    }
    for (of, base, bytes) in &beyond.pieces {
        if of.index != header.index {
            // The segment before is whole now, and must be on disk before a later one exists.
            storage.sync(&file).map_err(|e| io_error("sync", &path, e))?;
            header = header.sibling(of.index);
            path = segment::path(dir, header.index);
            file = match ready.take() {
                Some(spare) => {
                    header = spare.header;
                    spare.adopt(storage, dir).map(|data| data.cached)
                }
                None => segment::create(storage, dir, header),
            }
            .map_err(|e| io_error("create", &path, e))?;
            count += 1;
        }
        write_all(storage, &file, bytes, HEADER_BYTES + (base - header.base()))
            .map_err(|e| io_error("write", &path, e))?;
    }
    // Also what was written by the process that died, and perhaps never synced.
    storage.sync(&file).map_err(|e| io_error("sync", &path, e))?;

    let prepared = filled(&file, &header, &path)?;
    let recovery = Recovery {
        created: false,
        cluster: header.cluster,
        end: Position(scan.end),
        last_sequence: Sequence(scan.last_sequence.unwrap_or(0)),
        last_nanos: Nanos(scan.last_nanos),
        epoch: Epoch(scan.epoch.max(header.epoch)),
        epochs: epochs.0,
        begins_within,
        commands: scan.commands,
        reports: scan.reports,
        segments: count,
        absorbed_from_tail: beyond.bytes(),
        tail_missing,
        cut,
    };
    Ok((file, header, scan, prepared, ready, recovery))
}

/// A spare that an earlier process completed, if it is the one that is needed next: its header was written
/// last, so it has all its zeros.
fn reuse(path: &Path, wanted: &SegmentHeader) -> Option<Spare> {
    if path != segment::spare_path(path.parent()?, wanted.index) {
        return None;
    }
    let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
    let header = SegmentHeader::read(&file, path).ok()?;
    let same = SegmentHeader { created: header.created, ..*wanted };
    let whole = file.metadata().ok()?.len() == header.file_bytes();
    (whole && header == same).then(|| Spare {
        file: DataFile::new(file, path),
        path: path.to_path_buf(),
        header,
        reserved: true,
    })
}
