//! Writing past the page cache.
//!
//! The journal's own bytes are read again only after a crash or by a client that was away, so a copy of them
//! in the page cache is bought dearly: each new page costs a fault in a virtual machine, and writeback
//! competes with the sync that clients wait for. With `O_DIRECT` the disk takes whole blocks from our buffer.
//!
//! ```text
//!  stream:   ... | block         | block         | block ...
//!                       ^ at           ^ end of the piece
//!  buffer:       [ kept ][ piece .......... ][ 0 0 ]     kept: what the first block holds already
//! ```
//!
//! A block that is only partly filled is written again with what follows; the bytes that it held already stay
//! the same, so a torn write cannot hurt them. What lies between the end and the block's end is zeros, as it
//! was.
//!
//! Where a filesystem knows no `O_DIRECT`, or wants larger blocks, everything goes through the page cache as
//! usual.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::io::Errno;

use crate::segment::HEADER_BYTES;
use crate::storage::{Storage, write_all};

/// What devices want their blocks and memory aligned to, at most, with few exceptions.
pub(crate) const BLOCK: usize = 4096;
/// Bytes written at one time.
const BUFFER: usize = 1 << 20;

/// Zeros that a device may read directly.
#[repr(align(4096))]
struct Zeros([u8; BUFFER]);
static ZEROS: Zeros = Zeros([0; BUFFER]);

/// A segment's data, written past the page cache where that can be.
#[derive(Debug)]
pub(crate) struct DataFile {
    /// Through the page cache: headers, syncs, and all else where there is no direct way.
    pub(crate) cached: File,
    direct: Option<File>,
}

impl DataFile {
    /// Of an open file and its path.
    pub(crate) fn new(cached: File, path: &Path) -> Self {
        let flags = rustix::fs::OFlags::DIRECT.bits().cast_signed();
        // A filesystem that refuses the flag is used without.
        let direct = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).ok();
        Self { cached, direct }
    }

    /// Another handle to the same.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            cached: self.cached.try_clone()?,
            direct: self.direct.as_ref().map(File::try_clone).transpose()?,
        })
    }

    /// Writes zeros over `from..to` of the data; both are multiples of [`BLOCK`].
    pub(crate) fn zero(&mut self, storage: &dyn Storage, from: u64, to: u64) -> io::Result<()> {
        let mut at = from;
        while at < to {
            let n = (to - at).min(BUFFER as u64) as usize;
            self.write_blocks(storage, &ZEROS.0[..n], HEADER_BYTES + at)?;
            at += n as u64;
        }
        Ok(())
    }

    /// Writes whole blocks from aligned memory.
    fn write_blocks(&mut self, storage: &dyn Storage, blocks: &[u8], offset: u64) -> io::Result<()> {
        debug_assert!(blocks.len().is_multiple_of(BLOCK) && offset.is_multiple_of(BLOCK as u64));
        let mut done = 0;
        while let Some(direct) = &self.direct
            && done < blocks.len()
        {
            match storage.write_at(direct, &blocks[done..], offset + done as u64) {
                // Part of a block is written again; the device would refuse to go on in the middle of one.
                Ok(n) if n >= BLOCK => done += n & !(BLOCK - 1),
                Ok(_) => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if Errno::from_io_error(&e) == Some(Errno::INVAL) => self.direct = None,
                Err(e) => return Err(e),
            }
        }
        write_all(storage, &self.cached, &blocks[done..], offset + done as u64)
    }
}

/// Appends to a segment's data in whole blocks.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    memory: Vec<u8>,
    /// Where in `memory` the aligned part begins.
    aligned: usize,
    /// Bytes of the block that the end lies in, kept at the start of the buffer. `kept < BLOCK`.
    kept: usize,
}

impl BlockWriter {
    /// One that goes on at `end` of a segment's data.
    pub(crate) fn new(file: &DataFile, end: u64) -> io::Result<Self> {
        let memory = vec![0; BUFFER + BLOCK];
        let aligned = memory.as_ptr().align_offset(BLOCK);
        let mut writer = Self { memory, aligned, kept: (end % BLOCK as u64) as usize };
        let kept = writer.kept;
        file.cached.read_exact_at(&mut writer.buffer()[..kept], HEADER_BYTES + end - kept as u64)?;
        Ok(writer)
    }

    fn buffer(&mut self) -> &mut [u8] {
        &mut self.memory[self.aligned..self.aligned + BUFFER]
    }

    /// Writes `bytes` behind what was written before, which ended at `at` of the data.
    pub(crate) fn append(
        &mut self,
        storage: &dyn Storage,
        file: &mut DataFile,
        mut bytes: &[u8],
        mut at: u64,
    ) -> io::Result<()> {
        debug_assert_eq!(at % BLOCK as u64, self.kept as u64);
        if file.direct.is_none() {
            self.kept = ((at + bytes.len() as u64) % BLOCK as u64) as usize;
            return write_all(storage, &file.cached, bytes, HEADER_BYTES + at);
        }
        while !bytes.is_empty() {
            let kept = self.kept;
            let start = at - kept as u64;
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER - kept));
            let buffer = self.buffer();
            let end = kept + now.len();
            let whole = end.next_multiple_of(BLOCK);
            buffer[kept..end].copy_from_slice(now);
            buffer[end..whole].fill(0);
            file.write_blocks(storage, &buffer[..whole], HEADER_BYTES + start)?;
            let last = end & !(BLOCK - 1);
            buffer.copy_within(last..end, 0);
            self.kept = end - last;
            at += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    /// A new segment begins.
    pub(crate) fn restart(&mut self) {
        self.kept = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Files;

    /// Appends of every awkward length, read back through the page cache.
    #[test]
    fn what_is_appended_is_what_is_read() {
        let dir = std::env::temp_dir().join(format!("journal-direct-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("file");
        let open = || {
            let cached =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
            DataFile::new(cached, &path)
        };
        let mut file = open();
        let capacity = 6 << 20;
        file.zero(&Files, 0, capacity).unwrap();
        let mut writer = BlockWriter::new(&file, 0).unwrap();
        let mut expected = Vec::new();
        let lengths = [1, 7, 4088, 8, 4096, 1, 4095, 8192, 100_000, BUFFER, BUFFER - 1, 3 * BUFFER + 5, 24];
        for (round, length) in lengths.into_iter().enumerate() {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 31 + round) as u8).collect();
            writer.append(&Files, &mut file, &bytes, expected.len() as u64).unwrap();
            expected.extend_from_slice(&bytes);
            if round == 5 {
                // As after a restart: what the last block holds comes from the file.
                file = open();
                writer = BlockWriter::new(&file, expected.len() as u64).unwrap();
            }
        }
        let mut found = vec![0; capacity as usize];
        file.cached.read_exact_at(&mut found, HEADER_BYTES).unwrap();
        assert!(found[..expected.len()] == expected[..], "what was appended");
        assert!(found[expected.len()..].iter().all(|b| *b == 0), "and zeros behind it");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
