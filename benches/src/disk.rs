//! The least that "it is on the disk" can cost here.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    time::Instant,
};

/// Bytes of one write.
pub const BLOCK: usize = 4_096;
/// Blocks of the file.
const BLOCKS: u64 = 4_096;

/// Writes `writes` blocks of 4 KiB one behind the other into a file of 16 MiB that has been filled with zeros and
/// synced, each with a pwrite and a fdatasync. Nanoseconds of each, sorted. The file is removed.
///
/// # Errors
/// When the disk says so.
pub fn floor(dir: &Path, writes: u64) -> io::Result<Vec<u64>> {
    let path = dir.join("fdatasync-floor");
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    for _ in 0..BLOCKS {
        file.write_all(&[0; BLOCK])?;
    }
    file.sync_all()?;
    let mut times = Vec::new();
    for n in 0..writes {
        let block = [n as u8 | 1; BLOCK];
        let before = Instant::now();
        file.write_all_at(&block, n % BLOCKS * BLOCK as u64)?;
        file.sync_data()?;
        times.push(u64::try_from(before.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    drop(file);
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times)
}
