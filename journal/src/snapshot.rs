//! Snapshot files: what the exchange was at one place of the journal, so that a recovery need not replay what
//! lies before it.
//!
//! `snapshot-P.snap` is a header and a body; `P` is the position, 20 digits. All integers are little-endian.
//!
//! ```text
//!  0        8         12     16              32         40      48         56      64      72       80      84 .. 124  128
//!  ┌────────┬─────────┬──────┬───────────────┬──────────┬───────┬──────────┬───────┬───────┬────────┬───────┬─────┬─────┬──────
//!  │ magic  │ version │ zero │ cluster id    │ position │ chain │ sequence │ nanos │ state │ length │ crc   │zero │ crc │ body
//!  │        │         │      │               │          │       │          │       │       │ (body) │(body) │     │     │
//!  └────────┴─────────┴──────┴───────────────┴──────────┴───────┴──────────┴───────┴───────┴────────┴───────┴─────┴─────┴──────
//! ```
//!
//! A file is written under another name, synced, renamed, and its name synced, so a name that ends in `.snap`
//! is on a whole file. As long as the journal has its beginning, a snapshot is not needed: the journal alone gives the
//! same, later. So nothing here is believed without its CRC, and nothing that goes wrong here is more than a reason to
//! do without. [`retention`](crate::retention) removes the journal's beginning only when two good ones stand for it.
//!
//! What the body says is its writer's business; `docs/snapshot-format.md` has both.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use domain::{ClusterId, Mark, Nanos, Position, Sequence};

use crate::crc32c::{self, Crc};
use crate::storage::sync_parent;

/// The version of the header and of the body that this program writes, and the newest that it reads: a snapshot of a
/// newer one is done without. Versions differ in their bodies only.
pub const VERSION: u32 = 5;
/// The oldest version that it reads.
const VERSION_OLDEST: u32 = 1;

/// Snapshots that are kept: the newest, and one to fall back on.
pub const KEPT: usize = 2;

/// Bytes before the body.
const HEADER_BYTES: usize = 128;
const MAGIC: [u8; 8] = *b"FULCRUMS";

// Header fields, from the start of the file. Whatever lies between is zero.
const VERSION_AT: usize = MAGIC.len();
const CLUSTER: usize = VERSION_AT + 4 + 4;
const POSITION: usize = CLUSTER + 16;
const CHAIN: usize = POSITION + 8;
const SEQUENCE: usize = CHAIN + 8;
const NANOS: usize = SEQUENCE + 8;
const STATE: usize = NANOS + 8;
const LENGTH: usize = STATE + 8;
const BODY_CRC: usize = LENGTH + 8;
const HEADER_CRC: usize = HEADER_BYTES - 4;

const _: () = {
    assert!(CLUSTER == 16 && POSITION == 32 && CHAIN == 40 && SEQUENCE == 48 && NANOS == 56);
    assert!(STATE == 64 && LENGTH == 72 && BODY_CRC == 80 && BODY_CRC + 4 <= HEADER_CRC);
};

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of the body; [`VERSION`] of one that is written.
    pub version: u32,
    /// Which journal's.
    pub cluster: ClusterId,
    /// Everything before this place of the journal is in it, and nothing after.
    pub mark: Mark,
    /// The last command before that place; 0 when there is none.
    pub last_sequence: Sequence,
    /// That command's time.
    pub last_nanos: Nanos,
    /// The writer's hash of the state that the body describes.
    pub state: u64,
}

/// Why a snapshot cannot be written or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// An operation of the filesystem failed.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It does not begin as one.
    #[error("it does not begin as a snapshot")]
    Magic,
    /// Another version of this program wrote it.
    #[error("its version is {0}, and this program reads {VERSION_OLDEST} to {VERSION}")]
    Version(u32),
    /// The header's CRC does not match.
    #[error("the header's CRC is {stored:08x} and should be {computed:08x}")]
    HeaderCrc {
        /// The CRC in the file.
        stored: u32,
        /// The CRC of the bytes.
        computed: u32,
    },
    /// It is of another journal.
    #[error("it is of another journal: cluster {found}, and this directory's is {expected}")]
    Foreign {
        /// The cluster in the file.
        found: ClusterId,
        /// The directory's.
        expected: ClusterId,
    },
    /// Its name and its header disagree.
    #[error("its header says position {0}, and its name another")]
    Misnamed(u64),
    /// It is not as long as its header says.
    #[error("it has {found} bytes, and its header says {expected}")]
    Length {
        /// The file's length.
        found: u64,
        /// The length that it must have.
        expected: u64,
    },
    /// It is longer than the reader is willing to read.
    #[error("its body has {found} bytes, and at most {max} are taken")]
    TooLong {
        /// The body's length.
        found: u64,
        /// The most that the reader takes.
        max: u64,
    },
    /// The body's CRC does not match.
    #[error("the body's CRC is {stored:08x} and should be {computed:08x}")]
    BodyCrc {
        /// The CRC in the header.
        stored: u32,
        /// The CRC of the bytes.
        computed: u32,
    },
}

fn io_error(action: &'static str) -> impl Fn(io::Error) -> SnapshotError {
    move |source| SnapshotError::Io { action, source }
}

/// The name of the snapshot at a position.
#[must_use]
pub fn path_at(dir: &Path, position: Position) -> PathBuf {
    dir.join(format!("snapshot-{:020}.snap", position.0))
}

/// The position in a snapshot's name; `None` when it is no snapshot's.
#[must_use]
pub fn position_of(path: &Path) -> Option<Position> {
    let digits = path.file_name()?.to_str()?.strip_prefix("snapshot-")?.strip_suffix(".snap")?;
    let is_name = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    is_name.then(|| digits.parse().ok().map(Position))?
}

/// The snapshots in `dir`, the newest first, by their names.
///
/// # Errors
/// When the directory cannot be listed.
pub fn list(dir: &Path) -> Result<Vec<PathBuf>, SnapshotError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error("list the directory"))? {
        let path = entry.map_err(io_error("list the directory"))?.path();
        found.extend(position_of(&path).map(|position| (position, path)));
    }
    found.sort_unstable();
    Ok(found.into_iter().rev().map(|(_, path)| path).collect())
}

/// Writes a snapshot and brings it to the disk; then removes all others but the newest before it. Call it
/// while the directory is [locked](crate::Journal::open), with what is [committed](crate::Appender::mark).
///
/// # Errors
/// When the filesystem refuses. There is no new snapshot then, and the old ones are as they were.
pub fn write(dir: &Path, header: &Header, body: &[u8]) -> Result<PathBuf, SnapshotError> {
    let path = path_at(dir, header.mark.position);
    let draft = path.with_extension("snap.tmp");
    let written = draft_of(&draft, header, body).and_then(|()| {
        fs::rename(&draft, &path).map_err(io_error("rename it"))?;
        sync_parent(&path).map_err(io_error("sync the directory"))
    });
    if let Err(error) = written {
        // What is left of it is no snapshot by its name, and the next one removes it.
        let _ = fs::remove_file(&draft);
        return Err(error);
    }
    prune(dir, &path);
    Ok(path)
}

fn draft_of(draft: &Path, header: &Header, body: &[u8]) -> Result<(), SnapshotError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(draft)
        .map_err(io_error("create it"))?;
    file.write_all(&encode(header, body)).map_err(io_error("write it"))?;
    file.write_all(body).map_err(io_error("write it"))?;
    file.sync_all().map_err(io_error("sync it"))
}

/// Removes every snapshot but `newest` and the [`KEPT`]` - 1` before it, and drafts that nobody finished. One
/// beyond `newest` is of a journal that has been cut or replaced since. What cannot be removed only takes
/// room.
fn prune(dir: &Path, newest: &Path) {
    let position = position_of(newest);
    let all = list(dir).unwrap_or_default();
    let older = all.iter().filter(|path| position_of(path) < position).skip(KEPT - 1);
    let beyond = all.iter().filter(|path| position_of(path) > position);
    for path in older.chain(beyond) {
        let _ = fs::remove_file(path);
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("snapshot-") && name.ends_with(".snap.tmp")) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Reads a snapshot of the journal `cluster`, whose body has at most `body_max` bytes. Memory follows the
/// file's length, once its header has been found good.
///
/// # Errors
/// When it is not what was written, or not this journal's. Whether the journal has its
/// [mark](crate::Reader::records_after) is for the caller to ask.
pub fn read(path: &Path, cluster: ClusterId, body_max: u64) -> Result<(Header, Vec<u8>), SnapshotError> {
    let (file, Decoded { header, length, crc: stored }) = open(path, cluster)?;
    if length > body_max {
        return Err(SnapshotError::TooLong { found: length, max: body_max });
    }
    let mut body = Vec::new();
    file.take(length).read_to_end(&mut body).map_err(io_error("read it"))?;
    whole(body.len() as u64, length)?;
    let computed = crc32c::of(&body);
    if stored != computed {
        return Err(SnapshotError::BodyCrc { stored, computed });
    }
    Ok((header, body))
}

/// Reads a snapshot as [`read`] does and keeps nothing of its body: what it says of itself, if all of it is what was
/// written. However long it is, this takes little memory.
///
/// # Errors
/// As [`read`].
pub fn check(path: &Path, cluster: ClusterId) -> Result<Header, SnapshotError> {
    let (mut file, Decoded { header, length, crc: stored }) = open(path, cluster)?;
    let mut piece = vec![0; CHECKED_AT_A_TIME];
    let (mut crc, mut done) = (Crc::new(), 0);
    while done < length {
        let most = (length - done).min(piece.len() as u64) as usize;
        let n = match file.read(&mut piece[..most]) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(io_error("read it")(e)),
        };
        crc.add(&piece[..n]);
        done += n as u64;
    }
    whole(done, length)?;
    let computed = crc.end();
    if stored != computed {
        return Err(SnapshotError::BodyCrc { stored, computed });
    }
    Ok(header)
}

/// Bytes of a body that [`check`] holds at one time.
const CHECKED_AT_A_TIME: usize = 1 << 20;

/// Opens a snapshot and checks its header; the file goes on with the body.
fn open(path: &Path, cluster: ClusterId) -> Result<(File, Decoded), SnapshotError> {
    let mut file = File::open(path).map_err(io_error("open it"))?;
    let found = file.metadata().map_err(io_error("look at it"))?.len();
    let mut head = [0; HEADER_BYTES];
    if found < HEADER_BYTES as u64 {
        return Err(SnapshotError::Length { found, expected: HEADER_BYTES as u64 });
    }
    file.read_exact(&mut head).map_err(io_error("read it"))?;
    let decoded = decode(&head)?;
    let header = decoded.header;
    if header.cluster != cluster {
        return Err(SnapshotError::Foreign { found: header.cluster, expected: cluster });
    }
    if position_of(path) != Some(header.mark.position) {
        return Err(SnapshotError::Misnamed(header.mark.position.0));
    }
    let expected = decoded.length.saturating_add(HEADER_BYTES as u64);
    if found != expected {
        return Err(SnapshotError::Length { found, expected });
    }
    Ok((file, decoded))
}

/// Whether the body that was read is as long as the header says: it may have been shortened meanwhile.
fn whole(read: u64, length: u64) -> Result<(), SnapshotError> {
    let header = HEADER_BYTES as u64;
    if read == length {
        return Ok(());
    }
    Err(SnapshotError::Length { found: header + read, expected: header.saturating_add(length) })
}

fn encode(header: &Header, body: &[u8]) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, &MAGIC);
    put(VERSION_AT, &header.version.to_le_bytes());
    put(CLUSTER, &header.cluster.0.to_le_bytes());
    put(POSITION, &header.mark.position.0.to_le_bytes());
    put(CHAIN, &header.mark.chain.to_le_bytes());
    put(SEQUENCE, &header.last_sequence.0.to_le_bytes());
    put(NANOS, &header.last_nanos.0.to_le_bytes());
    put(STATE, &header.state.to_le_bytes());
    put(LENGTH, &(body.len() as u64).to_le_bytes());
    put(BODY_CRC, &crc32c::of(body).to_le_bytes());
    let crc = crc32c::of(&bytes[..HEADER_CRC]);
    bytes[HEADER_CRC..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A header, and what it says of the body.
struct Decoded {
    header: Header,
    length: u64,
    crc: u32,
}

fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Decoded, SnapshotError> {
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    if bytes[..MAGIC.len()] != MAGIC {
        return Err(SnapshotError::Magic);
    }
    // Before the CRC: another version may have it elsewhere.
    let version = u32_at(VERSION_AT);
    if !(VERSION_OLDEST..=VERSION).contains(&version) {
        return Err(SnapshotError::Version(version));
    }
    let (stored, computed) = (u32_at(HEADER_CRC), crc32c::of(&bytes[..HEADER_CRC]));
    if stored != computed {
        return Err(SnapshotError::HeaderCrc { stored, computed });
    }
    let cluster = bytes[CLUSTER..POSITION].try_into().expect("sixteen bytes");
    let header = Header {
        version,
        cluster: ClusterId(u128::from_le_bytes(cluster)),
        mark: Mark { position: crate::Position(u64_at(POSITION)), chain: u64_at(CHAIN) },
        last_sequence: Sequence(u64_at(SEQUENCE)),
        last_nanos: Nanos(u64_at(NANOS)),
        state: u64_at(STATE),
    };
    Ok(Decoded { header, length: u64_at(LENGTH), crc: u32_at(BODY_CRC) })
}

/// What a fuzzer calls: any bytes are a header or an error.
pub(crate) fn fuzz(data: &[u8]) {
    let Some(bytes) = data.first_chunk() else { return };
    let _ = decode(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;

    fn header(position: u64) -> Header {
        Header {
            version: VERSION,
            cluster: ClusterId(7),
            mark: Mark { position: Position(position), chain: 5 },
            last_sequence: Sequence(3),
            last_nanos: Nanos(4),
            state: 9,
        }
    }

    #[test]
    fn what_is_written_is_read_and_two_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("snapshot-00000000000000000001.snap.tmp"), b"unfinished").unwrap();
        fs::write(dir.path().join("snapshot-12.snap"), b"no name of ours").unwrap();
        let old = Header { version: 1, ..header(8) };
        let path = write(dir.path(), &old, b"an old body").unwrap();
        assert_eq!(read(&path, ClusterId(7), 1000).unwrap(), (old, b"an old body".to_vec()));
        for version in [0, VERSION + 1] {
            let path = write(dir.path(), &Header { version, ..header(8) }, b"").unwrap();
            assert!(
                matches!(read(&path, ClusterId(7), 1000), Err(SnapshotError::Version(n)) if n == version)
            );
        }
        for position in [8, 16, 800, 24] {
            let path = write(dir.path(), &header(position), &[1; 1000]).unwrap();
            assert_eq!(read(&path, ClusterId(7), 1000).unwrap(), (header(position), vec![1; 1000]));
        }
        // 800 is beyond 24, so it is of another history; of those before, one is kept.
        let names = |at: u64| path_at(dir.path(), Position(at));
        assert_eq!(list(dir.path()).unwrap(), [names(24), names(16)]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_is_not_as_written_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), &header(64), b"some body").unwrap();
        let good = fs::read(&path).unwrap();
        assert!(read(&path, ClusterId(7), 9).is_ok());
        assert_eq!(check(&path, ClusterId(7)).unwrap(), header(64));
        assert!(matches!(read(&path, ClusterId(8), 9), Err(SnapshotError::Foreign { .. })));
        assert!(matches!(read(&path, ClusterId(7), 8), Err(SnapshotError::TooLong { found: 9, max: 8 })));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bad).unwrap();
            assert!(read(&path, ClusterId(7), 1 << 40).is_err(), "bit {bit}");
            assert!(check(&path, ClusterId(7)).is_err(), "bit {bit}");
        }
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            assert!(read(&path, ClusterId(7), 1 << 40).is_err(), "cut to {length}");
            assert!(check(&path, ClusterId(7)).is_err(), "cut to {length}");
        }
        fs::write(&path, [&good[..], b"more"].concat()).unwrap();
        assert!(matches!(read(&path, ClusterId(7), 1 << 40), Err(SnapshotError::Length { .. })));
        let elsewhere = path_at(dir.path(), Position(72));
        fs::write(&elsewhere, &good).unwrap();
        assert!(matches!(read(&elsewhere, ClusterId(7), 1 << 40), Err(SnapshotError::Misnamed(64))));
    }
}
