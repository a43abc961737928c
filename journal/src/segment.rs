//! Segment files: names, headers, and how one is made.
//!
//! `NNNNNNNNNN.seg` is a header page and `capacity` bytes of the stream; `N` is its index and `index *
//! capacity` the position of its first byte.
//!
//! ```text
//!  0        8         12      16              32      40         48      56     60     64        72 .. 4092  4096
//!  ┌────────┬─────────┬───────┬───────────────┬───────┬──────────┬───────┬──────┬──────┬─────────┬─────┬─────┬──────
//!  │ magic  │ version │ epoch │ cluster id    │ index │ capacity │ base  │ salt │ zero │ created │zero │ crc │ data
//!  └────────┴─────────┴───────┴───────────────┴───────┴──────────┴───────┴──────┴──────┴─────────┴─────┴─────┴──────
//! ```

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use domain::ClusterId;
use xxhash_rust::xxh3::xxh3_64;

use crate::crc32c;
use crate::direct::DataFile;
use crate::error::OpenError;
use crate::put_away;
use crate::storage::{Storage, write_all};

/// The version of the format that this program writes, and the newest that it reads. Version 2 has the records of
/// special orders, version 4 the start of an epoch, version 7 what a session speaks and the reports of special orders,
/// version 8 drop copies; all that the versions before have is the same. Any two versions differ in two bits, so one flipped bit makes none of
/// another.
pub const FORMAT_VERSION: u32 = 8;
/// The versions that this program reads.
const FORMATS: [u32; 5] = [1, 2, 4, 7, FORMAT_VERSION];

/// Bytes before the data.
pub(crate) const HEADER_BYTES: u64 = 4096;
/// Zeros written, and synced, at one time.
pub(crate) const FILL_BYTES: u64 = 1 << 20;
const MAGIC: [u8; 8] = *b"FULCRUMJ";
const CRC_AT: usize = HEADER_BYTES as usize - 4;

/// The id of a new journal, from the system's random numbers.
pub(crate) fn draw_cluster() -> io::Result<ClusterId> {
    let mut bytes = [0u8; 16];
    let n = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if n == bytes.len() {
        Ok(ClusterId(u128::from_le_bytes(bytes)))
    } else {
        Err(io::ErrorKind::Other.into())
    }
}

/// The chain before the first batch.
pub(crate) fn genesis(cluster: ClusterId) -> u64 {
    xxh3_64(&cluster.0.to_le_bytes())
}

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The format of its records. A journal's last segment is brought to [`FORMAT_VERSION`] when it is opened.
    pub(crate) version: u32,
    pub(crate) cluster: ClusterId,
    /// The epoch in which the segment was made; the salt depends on it.
    pub(crate) epoch: u32,
    pub(crate) index: u64,
    pub(crate) capacity: u64,
    /// Nanoseconds since 1970, for people.
    pub(crate) created: u64,
}

impl SegmentHeader {
    /// The start value of the CRCs in this segment. It is known before the segment is, so that the appender
    /// need not wait for a file.
    pub(crate) fn salt(&self) -> u32 {
        let mut bytes = [0u8; 28];
        bytes[..16].copy_from_slice(&self.cluster.0.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[20..].copy_from_slice(&self.index.to_le_bytes());
        xxh3_64(&bytes) as u32
    }

    /// The position of its first byte.
    pub(crate) fn base(&self) -> u64 {
        self.index * self.capacity
    }

    /// Its file's length when it is complete.
    pub(crate) fn file_bytes(&self) -> u64 {
        HEADER_BYTES + self.capacity
    }

    /// The header of the segment `index` of the same journal, if it is made now.
    pub(crate) fn sibling(&self, index: u64) -> Self {
        Self { version: FORMAT_VERSION, index, created: now(), ..*self }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = vec![0u8; HEADER_BYTES as usize];
        page[0..8].copy_from_slice(&MAGIC);
        page[8..12].copy_from_slice(&self.version.to_le_bytes());
        page[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        page[16..32].copy_from_slice(&self.cluster.0.to_le_bytes());
        page[32..40].copy_from_slice(&self.index.to_le_bytes());
        page[40..48].copy_from_slice(&self.capacity.to_le_bytes());
        page[48..56].copy_from_slice(&self.base().to_le_bytes());
        page[56..60].copy_from_slice(&self.salt().to_le_bytes());
        page[64..72].copy_from_slice(&self.created.to_le_bytes());
        let crc = crc32c::of(&page[..CRC_AT]);
        page[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// The header in `page`.
    ///
    /// # Errors
    /// Names `file` and says what is wrong.
    pub(crate) fn decode(page: &[u8], file: &Path) -> Result<Self, OpenError> {
        let bad = |what: String| OpenError::BadHeader { file: file.to_path_buf(), what };
        let u32_at = |at: usize| u32::from_le_bytes(page[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().expect("eight bytes"));
        if page.len() < HEADER_BYTES as usize {
            return Err(bad(format!("{} bytes, and a header has {HEADER_BYTES}", page.len())));
        }
        if page[0..8] != MAGIC {
            return Err(bad(format!("it begins with {:02x?} and not with {MAGIC:02x?}", &page[0..8])));
        }
        let stored = u32_at(CRC_AT);
        let computed_for = |version: u32| {
            let mut covered = page[..CRC_AT].to_vec();
            covered[8..12].copy_from_slice(&version.to_le_bytes());
            crc32c::of(&covered)
        };
        let version = u32_at(8);
        // A newer format may keep its CRC elsewhere, so the version is looked at first.
        if version > FORMAT_VERSION {
            return Err(OpenError::NewerFormat {
                file: file.to_path_buf(),
                found: version,
                known: FORMAT_VERSION,
            });
        }
        if !FORMATS.contains(&version) {
            return Err(bad(format!(
                "its format version is {version}, and those that have been are {FORMATS:?}"
            )));
        }
        // A header that was being brought to a newer version when the machine stopped may have the version of the
        // one and the CRC of the other; nothing else in it differs.
        if !FORMATS.iter().any(|version| stored == computed_for(*version)) {
            let computed = computed_for(version);
            return Err(bad(format!("its CRC is {stored:08x} and should be {computed:08x}")));
        }
        let header = Self {
            version,
            cluster: ClusterId(u128::from_le_bytes(page[16..32].try_into().expect("sixteen bytes"))),
            epoch: u32_at(12),
            index: u64_at(32),
            capacity: u64_at(40),
            created: u64_at(64),
        };
        let sane = header.capacity.is_multiple_of(4096)
            && (4096..=crate::Options::SEGMENT_BYTES_MAX).contains(&header.capacity)
            && header.index.checked_mul(header.capacity) == Some(u64_at(48))
            && header.salt() == u32_at(56);
        if sane { Ok(header) } else { Err(bad("its fields contradict each other".into())) }
    }

    /// Reads the header of the open file `path`.
    pub(crate) fn read(file: &File, path: &Path) -> Result<Self, OpenError> {
        let mut page = vec![0u8; HEADER_BYTES as usize];
        let mut have = 0;
        while have < page.len() {
            match file.read_at(&mut page[have..], have as u64) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(io_error("read", path, e)),
            }
        }
        Self::decode(&page[..have], path)
    }
}

/// Nanoseconds since 1970, for people to read in a header; nothing is decided by it.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

/// The path of a segment.
pub(crate) fn path(dir: &Path, index: u64) -> PathBuf {
    dir.join(format!("{index:010}.seg"))
}

/// The path of a segment that is being made.
pub(crate) fn spare_path(dir: &Path, index: u64) -> PathBuf {
    dir.join(format!("spare-{index:010}.tmp"))
}

/// What lies in a directory: the indexes of segments, ascending, and the spares.
pub(crate) fn list(dir: &Path) -> Result<(Vec<u64>, Vec<PathBuf>), OpenError> {
    let (mut segments, mut spares) = (Vec::new(), Vec::new());
    let entries = std::fs::read_dir(dir).map_err(|e| io_error("list", dir, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| io_error("list", dir, e))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let digits =
            |s: &str| (s.len() == 10 && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse().ok());
        if let Some(Some(index)) = name.strip_suffix(".seg").and_then(digits) {
            segments.push(index);
        } else if name.starts_with("spare-") && name.ends_with(".tmp") {
            spares.push(entry.path());
        }
    }
    segments.sort_unstable();
    Ok((segments, spares))
}

/// A segment file that stands ready under its spare name, or has just been made.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) file: DataFile,
    pub(crate) path: PathBuf,
    pub(crate) header: SegmentHeader,
    /// Whether its blocks are reserved, zeros or not.
    pub(crate) reserved: bool,
}

impl Spare {
    /// Begins one: a file of that name, with blocks reserved for all of it and nothing in it.
    pub(crate) fn begin(storage: &dyn Storage, dir: &Path, header: SegmentHeader) -> io::Result<Self> {
        let path = spare_path(dir, header.index);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        match storage.allocate(&file, header.file_bytes()) {
            Ok(reserved) => Ok(Self { file: DataFile::new(file, &path), path, header, reserved }),
            Err(e) => {
                let _ = std::fs::remove_file(&path);
                Err(e)
            }
        }
    }

    /// Writes zeros from `from` to `to` (positions within the data) and brings them to the disk.
    pub(crate) fn fill(&mut self, storage: &dyn Storage, from: u64, to: u64) -> io::Result<()> {
        self.file.zero(storage, from, to)?;
        storage.sync(&self.file.cached)
    }

    /// Writes the header: what has one, and its full length, is ready for use.
    pub(crate) fn seal(&self, storage: &dyn Storage) -> io::Result<()> {
        write_all(storage, &self.file.cached, &self.header.encode(), 0)?;
        storage.sync(&self.file.cached)
    }

    /// Gives it its name: from here on it is a segment.
    pub(crate) fn adopt(self, storage: &dyn Storage, dir: &Path) -> io::Result<DataFile> {
        storage.rename(&self.path, &path(dir, self.header.index))?;
        Ok(self.file)
    }
}

/// Writes zeros over `from..to` of a segment's data, wherever that begins and ends, and brings them to the
/// disk.
pub(crate) fn erase(storage: &dyn Storage, file: &File, from: u64, to: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut at = from;
    while at < to {
        let n = (to - at).min(ZEROS.len() as u64);
        write_all(storage, file, &ZEROS[..n as usize], HEADER_BYTES + at)?;
        at += n;
    }
    storage.sync(file)
}

/// How long a start on a new directory waits for zeros. Most disks write a whole segment in that time.
const CREATE: Duration = Duration::from_millis(600);

/// Makes the segment `header` and gives it its name. It is filled as far as that goes quickly; the preparer fills the rest
/// ahead of the disk thread. While it does, each sync of the same file must also write what the filesystem knows of the
/// file, and waits for other files' data with it, so a segment that is whole from the start is worth half a second.
pub(crate) fn create(storage: &dyn Storage, dir: &Path, header: SegmentHeader) -> io::Result<File> {
    let mut spare = Spare::begin(storage, dir, header)?;
    let (start, mut filled) = (Instant::now(), 0);
    while filled < header.capacity && (filled == 0 || start.elapsed() < CREATE) {
        let to = (filled + 16 * FILL_BYTES).min(header.capacity);
        spare.fill(storage, filled, to)?;
        filled = to;
    }
    spare.seal(storage)?;
    Ok(spare.adopt(storage, dir)?.cached)
}

/// How many bytes of a segment's data its file of length `file_bytes` has.
pub(crate) fn data_bytes(file_bytes: u64, capacity: u64) -> u64 {
    file_bytes.saturating_sub(HEADER_BYTES).min(capacity)
}

/// The position at which the first segment of a directory begins; `None` when there is none, or it cannot be read. Segments may
/// be removed meanwhile: one that is gone when it is looked at was the first a moment ago, and the next one is looked for.
#[must_use]
pub fn first_position(dir: &Path) -> Option<crate::Position> {
    /// Whoever removes segments is slower than this by far.
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let first = *list(dir).ok()?.0.first()?;
        let path = path(dir, first);
        match File::open(&path) {
            Ok(file) => return Some(crate::Position(SegmentHeader::read(&file, &path).ok()?.base())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return None,
        }
    }
    None
}

/// Whether a directory has segments of a journal, which is not being [put away](crate::put_away).
#[must_use]
pub fn is_there(dir: &Path) -> bool {
    !put_away::has_begun(dir) && list(dir).is_ok_and(|(segments, _)| !segments.is_empty())
}

pub(crate) fn io_error(action: &'static str, path: &Path, source: io::Error) -> OpenError {
    OpenError::Io { action, path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments go one after another while somebody asks where they begin: there is an answer each time, and it never goes back.
    #[test]
    fn the_first_position_is_found_while_segments_are_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let last = 300;
        for index in 0..=last {
            let header = SegmentHeader {
                version: FORMAT_VERSION,
                cluster: ClusterId(5),
                epoch: 1,
                index,
                capacity: 4_096,
                created: 9,
            };
            std::fs::write(path(dir.path(), index), header.encode()).expect("a segment");
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for index in 0..last {
                    std::fs::remove_file(path(dir.path(), index)).expect("it is there");
                    // Faster than whoever archives what goes, slower than a look at the directory.
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
            });
            let mut before = None;
            while before != Some(crate::Position(last * 4_096)) {
                let now = first_position(dir.path());
                assert!(now.is_some() && now >= before, "{now:?} after {before:?}");
                before = now;
            }
        });
    }

    #[test]
    fn no_flipped_bit_of_a_header_goes_unseen() {
        let header = SegmentHeader {
            version: FORMAT_VERSION,
            cluster: ClusterId(7 << 90 | 5),
            epoch: 1,
            index: 3,
            capacity: 1 << 20,
            created: 9,
        };
        let page = header.encode();
        let name = Path::new("x");
        assert_eq!(SegmentHeader::decode(&page, name).expect("good"), header);
        for bit in 0..page.len() * 8 {
            let mut bytes = page.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bytes, name).is_err(), "bit {bit}");
        }
        let old = SegmentHeader { version: 1, ..header };
        assert_eq!(SegmentHeader::decode(&old.encode(), name).expect("good"), old);
        // Half of each.
        for (first, second) in [(&page, old.encode()), (&old.encode(), page.clone())] {
            let torn = [&first[..512], &second[512..]].concat();
            let version = u32::from(first[8]);
            assert_eq!(
                SegmentHeader::decode(&torn, name).expect("good"),
                SegmentHeader { version, ..header }
            );
        }
        let none = SegmentHeader { version: 0, ..header };
        assert!(SegmentHeader::decode(&none.encode(), name).is_err());
        assert!(SegmentHeader::decode(&page[..4000], name).is_err());
        assert!(SegmentHeader::decode(&[], name).is_err());
    }
}
