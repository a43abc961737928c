//! Segments as single files: one walked from end to end, one copied. What retention and repair have in common.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::Position;

use crate::error::{Damage, OpenError};
use crate::recovery::{Scan, Segment};
use crate::segment::{self, FILL_BYTES, HEADER_BYTES, SegmentHeader, io_error};
use crate::storage::{Storage, write_all};
use crate::walk::{self, Fault};

/// A segment file that has been walked.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) segment: Segment,
    /// The chain that its first batch continues; `None` when it has no batch.
    pub(crate) before: Option<u64>,
    /// How far it is valid.
    pub(crate) scan: Scan,
    /// What ended the walk; `None` when the file is valid to its end.
    pub(crate) fault: Option<Fault>,
}

impl Walked {
    /// The chain at its end, if it is valid to the end of a whole segment.
    pub(crate) fn whole(&self) -> Option<u64> {
        let header = &self.segment.header;
        let whole = self.fault.is_none() && self.scan.end == header.base() + header.capacity;
        self.scan.chain.filter(|_| whole)
    }

    /// What keeps it from being whole, and where.
    pub(crate) fn damage(&self) -> Damage {
        let header = &self.segment.header;
        let at = self.fault.map_or(self.scan.end, |fault| fault.at);
        let cut = || ("a whole segment".to_owned(), "its end".to_owned());
        let (expected, found) =
            self.fault.map_or_else(cut, |fault| (fault.what.expected(), fault.what.to_string()));
        Damage {
            file: self.segment.path.clone(),
            offset: HEADER_BYTES + (at - header.base()),
            position: Position(at),
            expected,
            found,
            evidence: String::new(),
        }
    }
}

/// Walks the file `path` as a segment, beginning with whatever chain its first batch continues.
///
/// # Errors
/// When it cannot be read, or its header is none. What is wrong behind the header is in the result.
pub(crate) fn walk(path: &Path) -> Result<Walked, OpenError> {
    let file = File::open(path).map_err(|e| io_error("open", path, e))?;
    let header = SegmentHeader::read(&file, path)?;
    walk_as(path, file, header)
}

/// The same with a header that is known from elsewhere.
pub(crate) fn walk_as(path: &Path, file: File, header: SegmentHeader) -> Result<Walked, OpenError> {
    let length = file.metadata().map_err(|e| io_error("look at", path, e))?.len();
    let data_bytes = segment::data_bytes(length, header.capacity);
    let segment = Segment { path: path.to_path_buf(), file, header, data_bytes };
    let map = segment.map()?;
    let piece = segment.piece(&map);
    let mut scan = Scan::from_segment(&header);
    let before =
        scan.chain.or_else(|| walk::batch(&piece, piece.base, None).ok().map(|batch| batch.seal.previous));
    let fault = scan.walk(&piece).err();
    drop(map);
    Ok(Walked { segment, before, scan, fault })
}

/// Copies the first `bytes` of `from` to a new file `to` and brings them to the disk, piece by piece. With `paced` it
/// leaves the disk to others for three times as long as each piece took. Whether it came to the end: `go_on` is asked
/// before each piece.
///
/// # Errors
/// Whatever the system says.
pub(crate) fn copy(
    storage: &dyn Storage,
    from: &File,
    to: &Path,
    bytes: u64,
    paced: bool,
    go_on: &dyn Fn() -> bool,
) -> io::Result<bool> {
    let file = storage.create(to)?;
    let mut piece = vec![0; FILL_BYTES as usize];
    let mut at = 0;
    while at < bytes {
        if !go_on() {
            return Ok(false);
        }
        let start = Instant::now();
        let piece = &mut piece[..(bytes - at).min(FILL_BYTES) as usize];
        from.read_exact_at(piece, at)?;
        write_all(storage, &file, piece, at)?;
        storage.sync(&file)?;
        at += piece.len() as u64;
        if paced && at < bytes {
            std::thread::sleep((start.elapsed() * 3).max(Duration::from_millis(2)));
        }
    }
    Ok(true)
}

/// Puts a copy of the first `bytes` of `from` in the place of `to`, or where nothing is: it gets that name when it is whole
/// and on the disk.
///
/// # Errors
/// Whatever the system says.
pub(crate) fn replace(storage: &dyn Storage, from: &File, to: &Path, bytes: u64) -> io::Result<()> {
    let draft = draft_path(to);
    copy(storage, from, &draft, bytes, false, &|| true)?;
    storage.rename(&draft, to)
}

/// The path of a file that is being copied to `path`.
pub(crate) fn draft_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".draft");
    name.into()
}
