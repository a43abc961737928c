//! What a session's stream is made of: an append-only file for each user, a byte for most messages.
//!
//! ```text
//! header   "FULCRUM ROUTE 1\n", session name (10 bytes), user (6 bytes)
//! entries  1..=64     the next message of pair 0..=63 is the client's next one
//!          65..=128   the next message of pair 0..=63 is for the router alone
//!          129        a message of the router's own is the client's next one: length u8, bytes, check u32
//!          130        an order is about to go to a pair: pair u8, UserRefNum u32, ClOrdID 14 bytes, check u32
//!          131        the next pair's number (0, 1, …) stands for this name: length u8, name
//!          0          never written: what a lost end of the file may look like
//! ```
//!
//! Integers are big-endian. The pairs have what they said and say it again, so the file need not: after the entries up to
//! message n it is known how many messages of each pair have been taken, and those after them are asked for. An entry is
//! synced before the client sees its message; what is lost of the end of the file nobody has seen.

#[cfg(test)]
mod tests;

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use wire::soup::SessionName;

use crate::placement::map::{PAIRS_MAX, PairName};

const MAGIC: &[u8; 16] = b"FULCRUM ROUTE 1\n";
/// Bytes before the entries.
const HEADER: u64 = 32;
/// The longest entry: an own message.
const ENTRY_MAX: usize = 2 + u8::MAX as usize + 4;
/// Bytes from one remembered place to the next: what a login reads at most, and a little.
const STRIDE: u64 = 64 * 1024;
/// Bytes read at a time.
const CHUNK: usize = 16 * 1024;

const SKIPPED: u8 = 65;
const OWN: u8 = 129;
const SENT: u8 = 130;
const PAIR: u8 = 131;

/// A pair, by the order in which a session came to know them. Below 64.
pub(super) type Slot = usize;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Passed(Slot),
    Skipped(Slot),
    /// An OUCH message of the router's own; at most 255 bytes.
    Own(Vec<u8>),
    Sent {
        slot: Slot,
        user_ref: u32,
        client_order_id: [u8; 14],
    },
    Pair(PairName),
}

impl Entry {
    /// Appends its bytes.
    fn encode(&self, out: &mut Vec<u8>) {
        // A slot is below 64, a length at most 255.
        match self {
            Self::Passed(slot) => out.push(1 + *slot as u8),
            Self::Skipped(slot) => out.push(SKIPPED + *slot as u8),
            Self::Own(bytes) => {
                out.extend_from_slice(&[OWN, bytes.len() as u8]);
                out.extend_from_slice(bytes);
                out.extend_from_slice(&check(bytes).to_be_bytes());
            }
            Self::Sent { slot, user_ref, client_order_id } => {
                let from = out.len() + 1;
                out.extend_from_slice(&[SENT, *slot as u8]);
                out.extend_from_slice(&user_ref.to_be_bytes());
                out.extend_from_slice(client_order_id);
                let sum = check(&out[from..]);
                out.extend_from_slice(&sum.to_be_bytes());
            }
            Self::Pair(name) => {
                out.extend_from_slice(&[PAIR, name.as_str().len() as u8]);
                out.extend_from_slice(name.as_str().as_bytes());
            }
        }
    }

    /// The first entry of `bytes` and its length; `None` when it is not whole, or no entry: there the file ends.
    fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&kind, rest) = bytes.split_first()?;
        let slot = |byte: u8| (usize::from(byte) < PAIRS_MAX).then_some(usize::from(byte));
        match kind {
            1..SKIPPED => Some((Self::Passed(slot(kind - 1)?), 1)),
            SKIPPED..OWN => Some((Self::Skipped(slot(kind - SKIPPED)?), 1)),
            OWN => {
                let (&length, rest) = rest.split_first()?;
                let (message, rest) = rest.split_at_checked(length.into())?;
                let sum = rest.first_chunk::<4>()?;
                (u32::from_be_bytes(*sum) == check(message))
                    .then(|| (Self::Own(message.to_vec()), 2 + message.len() + 4))
            }
            SENT => {
                let (sent, sum) = (rest.get(..19)?, rest.get(19..23)?);
                if check(sent).to_be_bytes() != sum {
                    return None;
                }
                let (&pair, sent) = sent.split_first()?;
                let (user_ref, client_order_id) = sent.split_first_chunk::<4>()?;
                let user_ref = u32::from_be_bytes(*user_ref);
                let client_order_id = *client_order_id.first_chunk::<14>()?;
                Some((Self::Sent { slot: slot(pair)?, user_ref, client_order_id }, 24))
            }
            PAIR => {
                let (&length, rest) = rest.split_first()?;
                let name = std::str::from_utf8(rest.get(..length.into())?).ok()?;
                Some((Self::Pair(PairName::new(name)?), 2 + name.len()))
            }
            _ => None,
        }
    }
}

/// FNV-1a in 32 bits: it tells an entry that was not written whole.
fn check(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// A place between two entries, and what came before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) offset: u64,
    /// Messages that the client had.
    pub(super) told: u64,
    /// Messages of each pair that were taken; as many as there are pairs by then.
    pub(super) taken: Vec<u64>,
}

impl Place {
    /// Before the first entry.
    pub(super) const START: Self = Self { offset: HEADER, told: 0, taken: Vec::new() };

    /// Goes on behind an entry of so many bytes. False when the entry makes no sense here.
    fn pass(&mut self, entry: &Entry, length: usize) -> bool {
        match entry {
            Entry::Passed(slot) | Entry::Skipped(slot) => {
                let Some(taken) = self.taken.get_mut(*slot) else { return false };
                *taken += 1;
                self.told += u64::from(matches!(entry, Entry::Passed(_)));
            }
            Entry::Own(_) => self.told += 1,
            Entry::Sent { slot, .. } if *slot >= self.taken.len() => return false,
            Entry::Sent { .. } => {}
            Entry::Pair(_) if self.taken.len() == PAIRS_MAX => return false,
            Entry::Pair(_) => self.taken.push(0),
        }
        self.offset += length as u64;
        true
    }

    /// Messages of a pair that were taken.
    pub(super) fn taken_of(&self, slot: Slot) -> u64 {
        self.taken.get(slot).copied().unwrap_or(0)
    }
}

/// A session's file.
#[derive(Debug)]
pub(super) struct Record {
    file: Arc<File>,
    session: SessionName,
    /// By slot.
    pairs: Vec<PairName>,
    /// Places at some distance from each other, the start first.
    places: Vec<Place>,
    end: Place,
    /// The last bytes, in memory: those that are not written yet, and those that a client who has all before them needs.
    tail: Vec<u8>,
    /// Bytes of the file before `tail`.
    tail_at: u64,
    /// Bytes of the file and of `tail` that are written. `tail_at <= written <= end.offset`.
    written: u64,
}

impl Record {
    /// Makes the file of a new session.
    pub(super) fn create(path: &Path, session: SessionName, user: [u8; 6]) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        let mut header = Vec::with_capacity(HEADER as usize);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(format!("{:>10}", session.as_str()).as_bytes());
        header.extend_from_slice(&user);
        file.write_all_at(&header, 0)?;
        file.sync_all()?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())?;
        Ok(Self::at_start(file, session))
    }

    fn at_start(file: File, session: SessionName) -> Self {
        Self {
            file: Arc::new(file),
            session,
            pairs: Vec::new(),
            places: vec![Place::START],
            end: Place::START,
            tail: Vec::new(),
            tail_at: HEADER,
            written: HEADER,
        }
    }

    /// Opens a session's file, and cuts off an end that was not written whole. Gives each entry to `each`.
    ///
    /// # Errors
    /// When it cannot be read, or is none: somebody has to look at it.
    pub(super) fn open(path: &Path, user: [u8; 6], mut each: impl FnMut(&Entry)) -> Result<Self, String> {
        let named = |error: io::Error| format!("{}: {error}", path.display());
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(named)?;
        let mut header = [0; HEADER as usize];
        (&file).read_exact(&mut header).map_err(named)?;
        let session = std::str::from_utf8(&header[16..26]).ok().and_then(SessionName::new);
        let (Some(session), true) = (session, &header[..16] == MAGIC && header[26..] == user) else {
            return Err(format!("{}: not the file of this user's session", path.display()));
        };
        let length = file.metadata().map_err(named)?.len();
        let mut record = Self::at_start(file, session);
        (record.written, record.tail_at) = (length, length);
        let mut window = Window::default();
        while let Some((entry, bytes)) =
            window.entry(&record.file, record.end.offset, length).map_err(named)?
        {
            if !record.pass(&entry, bytes) {
                return Err(format!("{}: byte {} makes no sense there", path.display(), record.end.offset));
            }
            each(&entry);
        }
        let end = record.end.offset;
        if end < length {
            log::warn!(
                "{}: the last {} bytes were not written whole, and no client has seen what they stood for: cut off",
                path.display(),
                length - end
            );
            record.file.set_len(end).map_err(named)?;
        }
        // What a killed router had written and not synced counts from now on.
        record.file.sync_all().map_err(named)?;
        (record.written, record.tail_at) = (end, end);
        Ok(record)
    }

    /// The end goes on behind an entry of so many bytes. False when the entry makes no sense there.
    fn pass(&mut self, entry: &Entry, length: usize) -> bool {
        if !self.end.pass(entry, length) {
            return false;
        }
        if let Entry::Pair(name) = entry {
            self.pairs.push(name.clone());
        }
        if self.end.offset - self.places.last().map_or(0, |place| place.offset) >= STRIDE {
            self.places.push(self.end.clone());
        }
        true
    }

    pub(super) fn session(&self) -> SessionName {
        self.session
    }

    pub(super) fn pairs(&self) -> &[PairName] {
        &self.pairs
    }

    /// Behind the last entry.
    pub(super) fn end(&self) -> &Place {
        &self.end
    }

    /// What is to be synced, so that the entries up to `written` are safe.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The place at which the client has had `told` messages; the end when there are not so many.
    pub(super) fn place(&self, told: u64) -> io::Result<Place> {
        if told >= self.end.told {
            return Ok(self.end.clone());
        }
        let index = self.places.partition_point(|place| place.told < told);
        let mut place = self.places[index.saturating_sub(1)].clone();
        let mut window = Window::default();
        while place.told < told {
            let (entry, length) = self.entry_through(&mut window, &place)?;
            place.pass(&entry, length);
        }
        Ok(place)
    }

    /// Appends an entry; [`write`](Self::write) brings it to the file. A reader's `place` that was the end goes on behind it.
    /// Says whether it was.
    pub(super) fn append(&mut self, entry: &Entry, place: &mut Place) -> bool {
        let was_end = place.offset == self.end.offset;
        let before = self.tail.len();
        entry.encode(&mut self.tail);
        let length = self.tail.len() - before;
        let fits = self.pass(entry, length) && (!was_end || place.pass(entry, length));
        assert!(fits, "{entry:?} does not fit behind {:?}", self.end);
        was_end
    }

    /// Writes what has been appended.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.written < self.end.offset {
            let from = (self.written - self.tail_at) as usize;
            self.file.write_all_at(&self.tail[from..], self.written)?;
            self.written = self.end.offset;
        }
        if self.tail.len() > CHUNK {
            self.tail.clear();
            self.tail_at = self.written;
        }
        Ok(())
    }

    /// Takes the entry at `place`, which goes on behind it; `None` at the end.
    pub(super) fn next(&self, window: &mut Window, place: &mut Place) -> io::Result<Option<Entry>> {
        if place.offset == self.end.offset {
            return Ok(None);
        }
        let (entry, length) = self.entry_through(window, place)?;
        place.pass(&entry, length);
        Ok(Some(entry))
    }

    /// Looks at the entry at `place`, which is not the end.
    pub(super) fn peek(&self, window: &mut Window, place: &Place) -> io::Result<Entry> {
        Ok(self.entry_through(window, place)?.0)
    }

    fn entry_through(&self, window: &mut Window, place: &Place) -> io::Result<(Entry, usize)> {
        let found = if place.offset >= self.tail_at {
            Entry::decode(&self.tail[(place.offset - self.tail_at) as usize..])
        } else {
            window.entry(&self.file, place.offset, self.written)?
        };
        found
            .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "an entry that was there is none any more"))
    }
}

/// A part of a file that is read forward.
#[derive(Debug, Default)]
pub(super) struct Window {
    bytes: Vec<u8>,
    at: u64,
}

impl Window {
    /// The entry at `offset` of a file of `length` bytes; `None` where there is none.
    fn entry(&mut self, file: &File, offset: u64, length: u64) -> io::Result<Option<(Entry, usize)>> {
        let left = |window: &Self| (window.at + window.bytes.len() as u64).saturating_sub(offset);
        let wanted = (ENTRY_MAX as u64).min(length.saturating_sub(offset));
        if wanted == 0 {
            return Ok(None);
        }
        if offset < self.at || left(self) < wanted {
            let many = (CHUNK as u64).min(length.saturating_sub(offset)) as usize;
            self.bytes.resize(many, 0);
            self.at = offset;
            file.read_exact_at(&mut self.bytes, offset)?;
        }
        Ok(Entry::decode(&self.bytes[(offset - self.at) as usize..]))
    }
}

/// The name of a user's file.
pub(super) fn file_name(user: [u8; 6]) -> PathBuf {
    let hex: String = user.iter().map(|byte| format!("{byte:02x}")).collect();
    PathBuf::from(format!("{hex}.merge"))
}

/// The user whose file this is.
pub(super) fn user_of(path: &Path) -> Option<[u8; 6]> {
    let hex = path.file_name()?.to_str()?.strip_suffix(".merge")?;
    let mut user = [0; 6];
    (hex.len() == 12 && hex.is_ascii()).then_some(())?;
    for (byte, at) in user.iter_mut().zip((0..12).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some(user)
}
