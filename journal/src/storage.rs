//! The seam between the journal and the filesystem, where tests put faults.
//!
//! Only what changes something goes through it: what is read back is checked by its CRC anyway.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the journal asks of a filesystem when it writes. Each call is one system call, or nearly.
pub trait Storage: Send + Sync + 'static {
    /// Writes some of `bytes` at `offset`; gives how many, as pwrite does.
    ///
    /// # Errors
    /// Whatever the system says.
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Brings a file's data to the disk, as fdatasync does.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Reserves blocks for the first `bytes` of a file without changing its length; whether the filesystem
    /// can. Where it cannot, only written zeros make room certain.
    ///
    /// # Errors
    /// Whatever the system says; `StorageFull` when there is no room.
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<bool>;

    /// Bytes that this user may still write on the filesystem of `dir`.
    ///
    /// # Errors
    /// Whatever the system says.
    fn available(&self, dir: &Path) -> io::Result<u64>;

    /// Gives a file its name, and the name to the disk: rename, then fsync of the directory, and of the one that it leaves.
    ///
    /// # Errors
    /// Whatever the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away, and brings that to the disk: unlink, then fsync of the directory.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)?;
        sync_parent(path)
    }

    /// Makes a file, or empties the one that is there. Its name need not reach the disk.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create(&self, path: &Path) -> io::Result<File> {
        File::create(path)
    }

    /// Makes a directory, those above it too, and brings their names to the disk.
    ///
    /// # Errors
    /// Whatever the system says.
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        for dir in missing_dirs(path) {
            fs::create_dir(dir)?;
            sync_parent(dir)?;
        }
        // One that is there may have been made by a process that died before it synced.
        sync_parent(path)
    }
}

/// The operating system's filesystem.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files;

impl Storage for Files {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.write_at(bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn allocate(&self, file: &File, bytes: u64) -> io::Result<bool> {
        use rustix::fs::FallocateFlags;
        use rustix::io::Errno;
        match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn available(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        sync_parent(to)?;
        if from.parent() == to.parent() { Ok(()) } else { sync_parent(from) }
    }
}

/// The directories of a path that are not there, from the top.
pub(crate) fn missing_dirs(path: &Path) -> Vec<&Path> {
    let mut missing: Vec<&Path> =
        path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
    missing.reverse();
    missing
}

/// Brings the directory entry of `path` to the disk.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// Writes all of `bytes`; a short write goes on where it stopped.
pub(crate) fn write_all(storage: &dyn Storage, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match storage.write_at(file, &bytes[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Whether an error says that there is no room, which passes, unlike every other.
pub(crate) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
