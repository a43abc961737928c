//! PWL1: a workload as a file. Little-endian.
//!
//! ```text
//!  header, 64 bytes
//!    0  u64  magic 0x314C5750, "PWL1"        32  u64  highest order id
//!    8  u32  version, 1                      40  u64  seed
//!   12  u32  books                           48  u64  trades
//!   16  u64  records that fill the books     56  u64  hash over the fills
//!   24  u64  records to be measured
//!  record, 24 bytes
//!    0  u64  order id        16  u32  quantity
//!    8  u32  book            20  u8   op: 0 add, 1 cancel, 2 reduce, 3 immediate
//!   12  i32  price           21  u8   side: 0 buy, 1 sell
//!                            22  u16  0
//! ```

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::Path,
};

use domain::Side;

use super::{Fills, Op, Record, Workload};

const MAGIC: u64 = 0x314C_5750;
const VERSION: u32 = 1;
const HEADER: usize = 64;
const RECORD: usize = 24;
/// Records for which room is taken on a header's word alone.
const RESERVE_MAX: u64 = 1 << 24;

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("as long as it says")
}

/// Where a file's records begin: what its header says, and a reader behind it.
#[derive(Debug)]
pub struct Records {
    input: BufReader<File>,
    /// The workload, still without records.
    pub empty: Workload,
    /// Records that fill the books.
    pub fill: u64,
    /// Records to be measured.
    pub commands: u64,
}

impl Records {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When it cannot be read, or is no PWL1.
    pub fn open(path: &Path) -> Result<Self, String> {
        let failed = |error| format!("cannot read {}: {error}", path.display());
        let mut input = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
        let mut header = [0; HEADER];
        input.read_exact(&mut header).map_err(failed)?;
        let u64_at = |at| u64::from_le_bytes(array(&header, at));
        let u32_at = |at| u32::from_le_bytes(array(&header, at));
        if (u64_at(0), u32_at(8)) != (MAGIC, VERSION) {
            return Err(format!("{} is no PWL1 of version {VERSION}", path.display()));
        }
        let empty = Workload {
            seed: u64_at(40),
            books: u32_at(12),
            fill: Vec::new(),
            commands: Vec::new(),
            orders: u64_at(32),
            fills: Fills { trades: u64_at(48), hash: u64_at(56) },
        };
        Ok(Self { input, empty, fill: u64_at(16), commands: u64_at(24) })
    }

    /// The next record.
    ///
    /// # Errors
    /// When the file ends before, or the record makes no sense.
    pub fn take(&mut self) -> Result<Record, String> {
        let mut bytes = [0; RECORD];
        self.input.read_exact(&mut bytes).map_err(|error| format!("a record is missing: {error}"))?;
        let op = match bytes[20] {
            0 => Op::Add,
            1 => Op::Cancel,
            2 => Op::Reduce,
            3 => Op::Immediate,
            other => return Err(format!("no op {other}")),
        };
        Ok(Record {
            order: u64::from_le_bytes(array(&bytes, 0)),
            symbol: u32::from_le_bytes(array(&bytes, 8)),
            price: i32::from_le_bytes(array(&bytes, 12)),
            quantity: u32::from_le_bytes(array(&bytes, 16)),
            op,
            side: Side::from_u8(bytes[21]).ok_or_else(|| format!("no side {}", bytes[21]))?,
        })
    }
}

impl Workload {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or makes no sense. What it leads to is not checked here.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut records = Records::open(path)?;
        let mut workload = records.empty.clone();
        for (count, list) in [(records.fill, &mut workload.fill), (records.commands, &mut workload.commands)]
        {
            list.reserve_exact(count.min(RESERVE_MAX) as usize);
            for _ in 0..count {
                list.push(records.take().map_err(|error| format!("{}: {error}", path.display()))?);
            }
        }
        Ok(workload)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let failed = |error| format!("cannot write {}: {error}", path.display());
        let mut output = BufWriter::new(File::create(path).map_err(failed)?);
        let mut header = [0; HEADER];
        header[0..8].copy_from_slice(&MAGIC.to_le_bytes());
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&self.books.to_le_bytes());
        for (at, value) in [
            (16, self.fill.len() as u64),
            (24, self.commands.len() as u64),
            (32, self.orders),
            (40, self.seed),
            (48, self.fills.trades),
            (56, self.fills.hash),
        ] {
            header[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        output.write_all(&header).map_err(failed)?;
        for record in self.fill.iter().chain(&self.commands) {
            let mut bytes = [0; RECORD];
            bytes[0..8].copy_from_slice(&record.order.to_le_bytes());
            bytes[8..12].copy_from_slice(&record.symbol.to_le_bytes());
            bytes[12..16].copy_from_slice(&record.price.to_le_bytes());
            bytes[16..20].copy_from_slice(&record.quantity.to_le_bytes());
            bytes[20] = record.op as u8;
            bytes[21] = record.side as u8;
            output.write_all(&bytes).map_err(failed)?;
        }
        output.flush().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::interleaved;

    #[test]
    fn what_is_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("w.pwl");
        let workload = interleaved::make(3, 500, 9);
        workload.write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len() as usize, 64 + 24 * (workload.fill.len() + 500));
        assert_eq!(Workload::read(&path), Ok(workload));
    }

    #[test]
    fn what_is_no_workload_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("w.pwl");
        interleaved::make(1, 10, 9).write(&path).unwrap();
        let good = std::fs::read(&path).unwrap();
        for (at, value, why) in
            [(0, 0, "no PWL1"), (8, 2, "no PWL1"), (64 + 20, 4, "no op"), (64 + 21, 2, "no side")]
        {
            let mut bad = good.clone();
            bad[at] = value;
            std::fs::write(&path, bad).unwrap();
            let error = Workload::read(&path).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(Workload::read(&path).unwrap_err().contains("missing"));
    }
}
