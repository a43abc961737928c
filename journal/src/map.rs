//! Read-only mappings of segment files.
#![allow(unsafe_code)] // mapping a file is unsafe: whoever shortens it while it is mapped kills the reader

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::{Advice, Mmap};

/// A file's bytes, as long as it was when it was mapped.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    /// Maps the file.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        // SAFETY: a segment is never shortened and its written bytes never change, by the rules of this
        // crate; the directory belongs to the exchange (its lock says so), so nobody else writes there. Zeros
        // that become data while a reader looks at them are told from data by the CRC before anything is made
        // of them.
        let map = unsafe { Mmap::map(file)? };
        // Advice only: a kernel that refuses it reads more slowly.
        let _ = map.advise(Advice::Sequential);
        Ok(Self(map))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
