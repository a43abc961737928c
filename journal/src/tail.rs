//! The tail: the newest bytes of the stream in a ring of shared memory, which outlives the process.
//!
//! The ring is a file that is mapped, in /dev/shm where there is one, so what has been stored in it survives
//! SIGKILL without a system call. Position `p` lies at ring offset `p % ring bytes`; no batch crosses a
//! multiple of the ring's size (a *lap*), so every batch is one piece of memory. The data directory's link
//! `tail` says where the file is.
//!
//! ```text
//!  file:  0                       2048        2056   4096                            4096 + ring bytes
//!         ┌───────────────────────┬───────────┬──────┬─────────────────────────────────┐
//!         │ who and what, its CRC │ committed │ zero │ ring                            │
//!         └───────────────────────┴───────────┴──────┴─────────────────────────────────┘
//!  ring:  released <= committed <= at <= released + ring bytes
//!         [released, committed)   the disk thread reads          (TailReader)
//!         [committed, at)         appended, not yet published    (TailWriter)
//!         [at, released + bytes)  free                           (TailWriter)
//! ```
//!
//! Two cursors order all access. `committed` is stored with release by the writer after the bytes and loaded
//! with acquire by the disk thread before it reads them. `released` is stored with release by the disk thread
//! after it has read and loaded with acquire by the writer before it overwrites. So no byte is ever read and
//! written at once.
#![allow(unsafe_code)] // views of the mapped ring; the two cursors above keep readers and the writer apart

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::MmapRaw;

use domain::ClusterId;

use crate::crc32c;
use crate::error::OpenError;
use crate::options::Options;
use crate::segment::io_error;
use crate::shared::Apart;

/// The name of the link in the data directory.
pub(crate) const LINK: &str = "tail";
const MAGIC: [u8; 8] = *b"FULCRUMT";
const VERSION: u32 = 1;
const PAGE: usize = 4096;
const CRC_AT: usize = COMMITTED_AT - 4;
/// On a cache line that the static part does not share.
const COMMITTED_AT: usize = 2048;
const PATH_AT: usize = 104;
const PATH_MAX: usize = CRC_AT - PATH_AT;

/// The static part of a tail's header.
///
/// ```text
///  0      8        12     16       32          40    48   64   72   80    88       96   104   ... 2044  2048
///  magic  version  epoch  cluster  ring bytes  base  boot dev  ino  zero  path len zero path ...  crc
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TailHeader {
    pub(crate) cluster: ClusterId,
    pub(crate) epoch: u32,
    pub(crate) ring_bytes: u64,
    /// Where the stream stood when this tail was made; nothing below is in it.
    pub(crate) base: u64,
    /// The kernel's id of the boot in which it was made: in another one, the file may be older than it says.
    pub(crate) boot: [u8; 16],
    /// The data directory, as device and inode and as a path.
    pub(crate) dir_id: (u64, u64),
    pub(crate) dir: PathBuf,
}

impl TailHeader {
    fn encode(&self) -> io::Result<Vec<u8>> {
        let path = self.dir.as_os_str().as_bytes();
        if path.len() > PATH_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidFilename,
                "the data directory's path is too long",
            ));
        }
        let mut page = vec![0u8; PAGE];
        page[0..8].copy_from_slice(&MAGIC);
        page[8..12].copy_from_slice(&VERSION.to_le_bytes());
        page[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        page[16..32].copy_from_slice(&self.cluster.0.to_le_bytes());
        page[32..40].copy_from_slice(&self.ring_bytes.to_le_bytes());
        page[40..48].copy_from_slice(&self.base.to_le_bytes());
        page[48..64].copy_from_slice(&self.boot);
        page[64..72].copy_from_slice(&self.dir_id.0.to_le_bytes());
        page[72..80].copy_from_slice(&self.dir_id.1.to_le_bytes());
        page[88..92].copy_from_slice(&(path.len() as u32).to_le_bytes());
        page[PATH_AT..PATH_AT + path.len()].copy_from_slice(path);
        let crc = crc32c::of(&page[..CRC_AT]);
        page[CRC_AT..COMMITTED_AT].copy_from_slice(&crc.to_le_bytes());
        page[COMMITTED_AT..COMMITTED_AT + 8].copy_from_slice(&self.base.to_le_bytes());
        Ok(page)
    }

    fn decode(page: &[u8]) -> Result<Self, String> {
        let u32_at = |at: usize| u32::from_le_bytes(page[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().expect("eight bytes"));
        if page.len() < PAGE || page[0..8] != MAGIC {
            return Err("it is no tail".into());
        }
        if u32_at(8) != VERSION {
            return Err(format!("its format is {}, and this program knows {VERSION}", u32_at(8)));
        }
        if u32_at(CRC_AT) != crc32c::of(&page[..CRC_AT]) {
            return Err("its header's CRC does not match".into());
        }
        let path = page
            .get(PATH_AT..CRC_AT)
            .and_then(|p| p.get(..u32_at(88) as usize))
            .ok_or("its path is longer than it can be")?;
        let ring_bytes = u64_at(32);
        if !ring_bytes.is_power_of_two() || ring_bytes > Options::SEGMENT_BYTES_MAX {
            return Err(format!("its ring cannot have {ring_bytes} bytes"));
        }
        Ok(Self {
            cluster: ClusterId(u128::from_le_bytes(page[16..32].try_into().expect("sixteen bytes"))),
            epoch: u32_at(12),
            ring_bytes,
            base: u64_at(40),
            boot: page[48..64].try_into().expect("sixteen bytes"),
            dir_id: (u64_at(64), u64_at(72)),
            dir: PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())),
        })
    }
}

/// The kernel's id of this boot; zeros where it gives none, which no other boot then differs from.
pub(crate) fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or(0).to_be_bytes()
}

/// Device and inode of a directory.
pub(crate) fn dir_id(dir: &Path) -> io::Result<(u64, u64)> {
    let meta = std::fs::metadata(dir)?;
    Ok((meta.dev(), meta.ino()))
}

/// The mapped ring.
#[derive(Debug)]
struct Ring {
    map: MmapRaw,
    bytes: u64,
    /// The disk thread has read everything below.
    released: Apart<AtomicU64>,
}

impl Ring {
    /// The committed cursor in the mapped header.
    #[inline]
    fn committed(&self) -> &AtomicU64 {
        // SAFETY: the map is longer than a page, page-aligned, and lives as long as `self`; the cursor's
        // eight bytes are accessed in this process through this function only.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().add(COMMITTED_AT).cast()) }
    }

    /// Where position `from` lies, after checking that `from..to` is in one lap.
    #[inline]
    fn pointer(&self, from: u64, to: u64) -> *mut u8 {
        let offset = from & (self.bytes - 1);
        assert!(from <= to && to - from <= self.bytes - offset, "a piece of the tail lies in one lap");
        // SAFETY: the map has PAGE + bytes bytes, and offset < bytes.
        unsafe { self.map.as_mut_ptr().add(PAGE + offset as usize) }
    }
}

/// The one writer of the ring.
#[derive(Debug)]
pub(crate) struct TailWriter {
    ring: Arc<Ring>,
    /// Where the next byte goes: `committed <= at <= freed`.
    at: u64,
    /// `released + bytes`, as last seen.
    freed: u64,
    /// Nothing below was ever in this ring.
    base: u64,
}

impl TailWriter {
    /// Where the next byte goes.
    #[inline]
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The ring's size.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.ring.bytes
    }

    /// Up to where there is room, looked up anew.
    #[inline]
    pub(crate) fn freed(&mut self) -> u64 {
        // Acquire: the disk thread's reads of what is about to be overwritten come before.
        self.freed = self.ring.released.0.load(Ordering::Acquire) + self.ring.bytes;
        self.freed
    }

    /// What the disk thread has taken, as last looked up by [`freed`](Self::freed).
    #[inline]
    pub(crate) fn released_seen(&self) -> u64 {
        self.freed - self.ring.bytes
    }

    /// The next `length` bytes to write.
    ///
    /// # Panics
    /// When they are not free or not in one lap: the appender has made sure of both.
    #[inline]
    pub(crate) fn area(&mut self, length: usize) -> &mut [u8] {
        let end = self.at + length as u64;
        assert!(end <= self.freed, "the appender makes room first");
        let start = self.ring.pointer(self.at, end);
        prefetch_to_write(start, length);
        // SAFETY: [at, end) is within the map (`pointer` checked), not above `freed`, so the disk thread is
        // done with what lay there; not below `committed`, so it reads nothing there now; and this is the one
        // writer, borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(start, length) }
    }

    /// The area's first `length` bytes have been written.
    #[inline]
    pub(crate) fn advance(&mut self, length: usize) {
        self.at += length as u64;
    }

    /// Makes everything before [`at`](Self::at) visible to the disk thread, and to whoever opens the tail
    /// after this process.
    #[inline]
    pub(crate) fn publish(&self) {
        // Release: the bytes come before the cursor.
        self.ring.committed().store(self.at, Ordering::Release);
    }

    /// What has been published.
    #[inline]
    pub(crate) fn committed(&self) -> u64 {
        self.ring.committed().load(Ordering::Relaxed)
    }

    /// The lowest position whose byte is still in the ring.
    #[inline]
    pub(crate) fn floor(&self) -> u64 {
        self.base.max(self.at.saturating_sub(self.ring.bytes))
    }

    /// Bytes written before, in one lap; `None` when some are no longer, or not yet, in the ring.
    #[inline]
    pub(crate) fn own(&self, from: u64, to: u64) -> Option<&[u8]> {
        let lap_end = (from & !(self.ring.bytes - 1)) + self.ring.bytes;
        if from < self.floor() || from > to || to > self.at.min(lap_end) {
            return None;
        }
        let start = self.ring.pointer(from, to);
        // SAFETY: within the map; written by this writer at some time and not overwritten since, because
        // `from` is at most a ring's size behind `at`; nobody else writes, and this writer is borrowed.
        Some(unsafe { core::slice::from_raw_parts(start, (to - from) as usize) })
    }
}

/// The one reader of the ring: the disk thread's.
#[derive(Debug)]
pub(crate) struct TailReader {
    ring: Arc<Ring>,
    /// What has been released: `taken <= committed`.
    taken: u64,
}

impl TailReader {
    #[inline]
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// The ring's size.
    pub(crate) fn ring_bytes(&self) -> u64 {
        self.ring.bytes
    }

    #[inline]
    pub(crate) fn committed(&self) -> u64 {
        // Acquire: pairs with `publish`, so the bytes below are there.
        self.ring.committed().load(Ordering::Acquire)
    }

    /// The committed bytes that have not been taken, as far as they lie in one lap. Both ends are ends of
    /// batches.
    pub(crate) fn next(&self) -> &[u8] {
        let lap_end = (self.taken & !(self.ring.bytes - 1)) + self.ring.bytes;
        let to = self.committed().min(lap_end);
        let start = self.ring.pointer(self.taken, to);
        // SAFETY: within the map; [taken, committed) is not written to until `release` has been called, which
        // needs this reader mutably, so not while the slice lives.
        unsafe { core::slice::from_raw_parts(start, (to - self.taken) as usize) }
    }

    /// The bytes below `to` are no longer needed.
    pub(crate) fn release(&mut self, to: u64) {
        assert!(self.taken <= to && to <= self.committed(), "only what was committed is taken");
        self.taken = to;
        // Release: the reads come before the writer may overwrite.
        self.ring.released.0.store(to, Ordering::Release);
    }
}

/// The tail's file, held and locked for as long as the journal is open.
#[derive(Debug)]
pub(crate) struct TailFile {
    pub(crate) path: PathBuf,
    /// Its lock tells other processes that the tail is in use.
    _file: File,
}

impl TailFile {
    /// Removes the tail and the link to it: everything in it is in the segments.
    pub(crate) fn remove(self, dir: &Path) -> io::Result<()> {
        let link = dir.join(LINK);
        std::fs::remove_file(&link)?;
        crate::storage::sync_parent(&link)?;
        std::fs::remove_file(&self.path)
    }
}

/// Where tails go when nobody says.
fn default_dir(data: &Path, bytes: u64) -> PathBuf {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    let shm = Path::new("/dev/shm");
    let room = rustix::fs::statfs(shm).is_ok_and(|stat| {
        #[allow(clippy::unnecessary_cast)] // the field's type differs between architectures
        let (kind, free) = (stat.f_type as i64, (stat.f_bavail as u64).saturating_mul(stat.f_bsize as u64));
        kind == TMPFS_MAGIC && free / 2 >= bytes
    });
    if room { shm.to_path_buf() } else { data.to_path_buf() }
}

/// Makes a tail whose stream goes on at `header.base`, points the data directory's link to it, and removes
/// the tail that the link pointed to before, if it was this directory's.
pub(crate) fn create(
    dir: &Path,
    tail_dir: Option<&Path>,
    header: &TailHeader,
) -> Result<(TailWriter, TailReader, TailFile), OpenError> {
    let chosen = tail_dir.map_or_else(|| default_dir(dir, header.ring_bytes), Path::to_path_buf);
    let place =
        std::fs::canonicalize(&chosen).map_err(|e| io_error("find the tail directory", &chosen, e))?;
    remove_orphans(&place);
    let mut random = [0u8; 4];
    let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
    let name = format!("fulcrum-{}-{:08x}.tail", header.cluster, u32::from_le_bytes(random));
    let path = place.join(name);
    let fail = |action: &'static str| {
        let path = path.clone();
        move |e: io::Error| io_error(action, &path, e)
    };

    let length = PAGE as u64 + header.ring_bytes;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(fail("create"))?;
    let made = (|| {
        file.try_lock().map_err(|e| match e {
            TryLockError::Error(e) => io_error("lock", &path, e),
            TryLockError::WouldBlock => io_error("lock", &path, io::ErrorKind::WouldBlock.into()),
        })?;
        // Never sparse: a store into a hole of a full filesystem kills the process with SIGBUS.
        allocate(&file, length).map_err(fail("allocate"))?;
        let page = header.encode().map_err(fail("write the header of"))?;
        file.write_all_at(&page, 0).map_err(fail("write the header of"))?;
        let map = MmapRaw::map_raw(&file).map_err(fail("map"))?;
        // Faults every page in now rather than on the append path. Advice: an old kernel refuses it.
        let _ = map.advise(memmap2::Advice::PopulateWrite);
        Ok(map)
    })();
    let map = match made {
        Ok(map) => map,
        Err(e) => {
            let _ = std::fs::remove_file(&path);
            return Err(e);
        }
    };
    point_link(dir, &path, header.dir_id)?;

    let ring = Arc::new(Ring { map, bytes: header.ring_bytes, released: Apart(AtomicU64::new(header.base)) });
    let base = header.base;
    let writer = TailWriter { ring: ring.clone(), at: base, freed: base + ring.bytes, base };
    Ok((writer, TailReader { ring, taken: base }, TailFile { path, _file: file }))
}

/// Reserves every block of the tail and gives the file its length.
fn allocate(file: &File, length: u64) -> io::Result<()> {
    use rustix::fs::FallocateFlags;
    use rustix::io::Errno;
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, length) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let zeros = vec![0u8; 64 << 10];
            let mut at = 0;
            while at < length {
                let n = (length - at).min(zeros.len() as u64);
                file.write_all_at(&zeros[..n as usize], at)?;
                at += n;
            }
            Ok(())
        }
        Err(e) => Err(e.into()),
    }
}

/// Points the link to `path`, in one step, and removes what it pointed to.
fn point_link(dir: &Path, path: &Path, dir_id: (u64, u64)) -> Result<(), OpenError> {
    let link = dir.join(LINK);
    let old = std::fs::read_link(&link).ok();
    let new = dir.join("tail.new");
    let _ = std::fs::remove_file(&new);
    std::os::unix::fs::symlink(path, &new).map_err(|e| io_error("link", &new, e))?;
    std::fs::rename(&new, &link).map_err(|e| io_error("rename", &new, e))?;
    crate::storage::sync_parent(&link).map_err(|e| io_error("sync", dir, e))?;
    if let Some(old) = old
        && old != path
        // A copy of a data directory points to the original's tail, which is not ours to remove.
        && TailView::open(&old).is_ok_and(|view| view.header.dir_id == dir_id)
    {
        let _ = std::fs::remove_file(&old);
    }
    Ok(())
}

/// Removes the tails in `place` that are this user's, that no process holds, and whose data directory is gone
/// or points to another tail. Best effort: what cannot be looked at stays.
fn remove_orphans(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    let uid = rustix::process::getuid().as_raw();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|n| n.starts_with("fulcrum-") && n.ends_with(".tail"));
        if !ours || !entry.metadata().is_ok_and(|m| m.is_file() && m.uid() == uid) {
            continue;
        }
        let path = entry.path();
        let Ok(view) = TailView::open(&path) else { continue };
        if view.file.try_lock().is_err() {
            continue;
        }
        let dir = &view.header.dir;
        let orphan = match std::fs::metadata(dir) {
            Err(e) => e.kind() == io::ErrorKind::NotFound,
            Ok(_) => std::fs::read_link(dir.join(LINK)).is_ok_and(|target| target != path),
        };
        if orphan {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// A tail as another process sees it: read with pread, never mapped, so that its owner cannot hurt us.
#[derive(Debug)]
pub(crate) struct TailView {
    pub(crate) header: TailHeader,
    file: File,
}

impl TailView {
    /// Opens a tail; the error says what is wrong with it.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        let mut page = vec![0u8; PAGE];
        file.read_exact_at(&mut page, 0).map_err(|e| e.to_string())?;
        let header = TailHeader::decode(&page)?;
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        if length < PAGE as u64 + header.ring_bytes {
            return Err(format!("it has {length} bytes and its ring alone {}", header.ring_bytes));
        }
        Ok(Self { header, file })
    }

    /// Its committed cursor, now.
    pub(crate) fn committed(&self) -> io::Result<u64> {
        let mut bytes = [0u8; 8];
        self.file.read_exact_at(&mut bytes, COMMITTED_AT as u64)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A copy of `from..to`, at most a ring's size. A live owner may overwrite what is being copied; the
    /// records' CRCs, which contain their positions, tell.
    pub(crate) fn copy(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let ring = self.header.ring_bytes;
        assert!(from <= to && to - from <= ring, "a ring holds no more than its size");
        let mut bytes = vec![0u8; (to - from) as usize];
        let offset = from & (ring - 1);
        let first = (bytes.len() as u64).min(ring - offset) as usize;
        let (head, rest) = bytes.split_at_mut(first);
        self.file.read_exact_at(head, PAGE as u64 + offset)?;
        self.file.read_exact_at(rest, PAGE as u64)?;
        Ok(bytes)
    }

    /// Whether it was made for this data directory, and not for one that this was copied from.
    pub(crate) fn is_of(&self, dir: &Path) -> bool {
        dir_id(dir).is_ok_and(|id| id == self.header.dir_id)
    }

    /// Whether a process holds it.
    pub(crate) fn in_use(&self) -> bool {
        // Held no longer than the question takes: somebody else may be asking.
        !(self.file.try_lock_shared().is_ok() && self.file.unlock().is_ok())
    }
}

/// The tail that the data directory's link names; `None` when there is no link. The inner result is an error
/// when there is a link and no good tail behind it.
pub(crate) fn linked(dir: &Path) -> Option<(PathBuf, Result<TailView, String>)> {
    let target = std::fs::read_link(dir.join(LINK)).ok()?;
    let view = TailView::open(&target);
    Some((target, view))
}

/// Whether a directory names a tail that is gone or of another boot of the machine: what only the tail held may be lost.
#[must_use]
pub fn lost_its_tail(dir: &Path) -> bool {
    match linked(dir) {
        None => false,
        Some((_, Err(_))) => true,
        Some((_, Ok(view))) => view.header.boot != boot_id(),
    }
}

/// How far ahead lines are asked for, in bytes: some twenty records.
const AHEAD: usize = 2048;

/// Asks for the lines that records soon to come will be written to. The disk thread read them on another core a lap ago,
/// and a store would wait for them to come back. A hint: it reads and writes nothing, and any address is good.
#[inline]
fn prefetch_to_write(start: *const u8, length: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..length.div_ceil(64) {
        use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        let ahead = start.wrapping_add(AHEAD + line * 64);
        // SAFETY: a prefetch does not fault, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(ahead.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, length);
}
