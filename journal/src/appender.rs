//! The appender: the one writer of the stream, owned by the front thread.
//!
//! A record is written once, into the tail, and never touched again. `commit` closes what has been appended
//! since the last commit with a seal and publishes it; from then on it survives the process, and the disk
//! thread has it next.
//!
//! A batch never crosses a lap of the ring. When the next record and a seal do not fit into what is left of
//! the lap, the seal comes first and is stretched to the lap's end, which publishes what it closes: a commit
//! can therefore become visible in two parts, of which the first may survive alone.

mod copy;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use domain::{ClusterId, Command, Epoch, Mark, Nanos, Position, Report, Sequence, Sequenced};

pub use self::copy::{CopyError, whole_batches};
use crate::codec;
use crate::error::{CloseError, Full, ReadError, StorageFailure};
use crate::open::DirLock;
use crate::options::AckPolicy;
use crate::reader::SegmentCache;
use crate::record::{self, HEADER, Header, RecordKind, SEAL, STRETCH, Seal};
use crate::segment::SegmentHeader;
use crate::shared::{Shared, StorageState};
use crate::tail::{TailFile, TailWriter};
use crate::walk;

/// What the journal has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Commands appended.
    pub commands: u64,
    /// Reports appended.
    pub reports: u64,
    /// Seals written.
    pub batches: u64,
    /// Bytes appended, seals included.
    pub bytes: u64,
    /// Times that an append was refused because the tail was full.
    pub full: u64,
    /// Syncs done.
    pub syncs: u64,
    /// The longest sync, in nanoseconds.
    pub sync_nanos_max: u64,
    /// Bytes committed and not yet durable.
    pub behind: u64,
}

/// The one writer. Dropped without [`close`](Self::close) it leaves everything as a crash would: the tail
/// stays, and the next open takes from it what the segments lack.
pub struct Appender {
    tail: TailWriter,
    /// `at + record + seal <= limit` lets a record be appended without looking further: the end of the lap,
    /// or of what the disk thread has freed, whichever comes first.
    limit: u64,
    lap_end: u64,
    /// Where the batch that is being appended began: `batch_first <= at`.
    batch_first: u64,
    count: u32,
    chain: u64,
    /// Of the segment that `at` lies in; laps never cross segments.
    salt: u32,
    segment: SegmentHeader,
    last_sequence: u64,
    /// Not so in a copy that begins in the middle, until its first batch has come.
    sequence_is_known: bool,
    last_nanos: u64,
    /// Of the records that are written: the newest in the journal, or a higher one that has been begun.
    epoch: u32,
    ack: AckPolicy,
    /// Is shown every batch that is published.
    on_batch: Option<OnBatch>,
    start: u64,
    stats: Stats,
    shared: Arc<Shared>,
    cache: SegmentCache,
    threads: Vec<JoinHandle<()>>,
    tail_file: Option<TailFile>,
    /// Held until the threads have ended.
    _lock: DirLock,
}

/// Takes the bytes of a published batch, its seal included, and the mark where it ends. It runs on the appender's
/// thread, between a commit and whatever waits for it, so it must not wait for anyone.
pub type OnBatch = Box<dyn FnMut(&[u8], Mark) + Send>;

/// What `open` hands over.
pub(crate) struct Parts {
    pub(crate) tail: TailWriter,
    pub(crate) tail_file: TailFile,
    pub(crate) segment: SegmentHeader,
    pub(crate) chain: u64,
    /// `None` when this is the beginning of a copy whose first command will tell.
    pub(crate) last_sequence: Option<u64>,
    pub(crate) last_nanos: u64,
    pub(crate) epoch: Epoch,
    pub(crate) ack: AckPolicy,
    pub(crate) shared: Arc<Shared>,
    pub(crate) threads: Vec<JoinHandle<()>>,
    pub(crate) lock: DirLock,
}

impl Appender {
    pub(crate) fn new(parts: Parts) -> Self {
        let at = parts.tail.at();
        let mut appender = Self {
            limit: 0,
            lap_end: (at & !(parts.tail.bytes() - 1)) + parts.tail.bytes(),
            batch_first: at,
            count: 0,
            chain: parts.chain,
            salt: 0,
            segment: parts.segment,
            last_sequence: parts.last_sequence.unwrap_or(0),
            sequence_is_known: parts.last_sequence.is_some(),
            last_nanos: parts.last_nanos,
            epoch: parts.epoch.0,
            ack: parts.ack,
            on_batch: None,
            start: at,
            stats: Stats::default(),
            cache: SegmentCache::new(parts.shared.dir.clone()),
            shared: parts.shared,
            threads: parts.threads,
            tail_file: Some(parts.tail_file),
            tail: parts.tail,
            _lock: parts.lock,
        };
        appender.enter_segment();
        appender.look_for_room();
        appender
    }

    /// Appends a command; its sequence must be the one after the last.
    ///
    /// # Errors
    /// [`Full`] when the tail has no room; nothing has been appended then.
    ///
    /// # Panics
    /// When the sequence is not the next one or the time goes backwards: the sequencer's error.
    #[inline]
    pub fn append_command(&mut self, command: &Sequenced<Command>) -> Result<Position, Full> {
        assert!(
            command.sequence.0 == self.last_sequence + 1 && command.nanos.0 >= self.last_nanos,
            "commands are appended in sequence"
        );
        let (kind, payload) = codec::command::shape(&command.command);
        let position = self.append(kind, payload, command.sequence, command.nanos, |bytes| {
            codec::command::encode(&command.command, bytes)
        })?;
        self.last_sequence = command.sequence.0;
        self.last_nanos = command.nanos.0;
        self.stats.commands += 1;
        Ok(position)
    }

    /// Appends a report. Its position is what a [`SessionIndex`](crate::session_log::SessionIndex) keeps.
    ///
    /// # Errors
    /// [`Full`] when the tail has no room; nothing has been appended then.
    #[inline]
    pub fn append_report(&mut self, report: &Report) -> Result<Position, Full> {
        let (kind, payload) = codec::report::shape(&report.kind);
        let position = self.append(kind, payload, report.sequence, report.nanos, |bytes| {
            codec::report::encode(report, bytes)
        })?;
        self.stats.reports += 1;
        Ok(position)
    }

    #[inline]
    fn append(
        &mut self,
        kind: RecordKind,
        payload: usize,
        sequence: Sequence,
        nanos: Nanos,
        encode: impl FnOnce(&mut [u8]) -> [u8; 3],
    ) -> Result<Position, Full> {
        let length = HEADER + payload;
        if self.tail.at() + (length + SEAL) as u64 > self.limit {
            self.make_room(length)?;
        }
        let at = self.tail.at();
        let area = self.tail.area(length);
        let detail = encode(&mut area[HEADER..]);
        let header = Header { sequence: sequence.0, nanos: nanos.0, kind, detail, epoch: self.epoch };
        record::finish(area, &header, at, self.salt);
        self.tail.advance(length);
        self.count += 1;
        Ok(Position(at))
    }

    /// Closes the batch and publishes it; nothing when nothing has been appended. Gives the end of what is
    /// committed. Under [`AckPolicy::Memory`] that may be acknowledged; under [`AckPolicy::Disk`] when
    /// [`durable`](Self::durable) has reached it. Never when [`state`](Self::state) is failed.
    #[inline]
    pub fn commit(&mut self) -> Position {
        if self.count > 0 {
            self.seal(false);
            let behind = self.tail.at() - self.tail.released_seen();
            // Under Memory nobody waits: the disk thread is hurried only when the ring fills up. What was
            // last seen of it may be old, so it is looked up before it is called late.
            let urgent = match self.ack {
                AckPolicy::Disk => true,
                AckPolicy::Memory => {
                    behind >= self.tail.bytes() / 8 && {
                        self.look_for_room();
                        self.tail.at() - self.tail.released_seen() >= self.tail.bytes() / 8
                    }
                }
            };
            self.shared.wake_disk(urgent);
        }
        Position(self.tail.at())
    }

    /// The end of what is on disk.
    #[inline]
    #[must_use]
    pub fn durable(&self) -> Position {
        Position(self.shared.durable())
    }

    /// The end of what has been published. Everything below survives this process.
    #[inline]
    #[must_use]
    pub fn committed(&self) -> Position {
        Position(self.tail.committed())
    }

    /// The end of what has been published, with the chain there. Appended records that are not committed yet
    /// are beyond it.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { position: Position(self.batch_first), chain: self.chain }
    }

    /// Shows every batch that is published from now on to `on_batch`: what a standby must get, while it is at hand.
    pub fn show_batches(&mut self, on_batch: OnBatch) {
        self.on_batch = Some(on_batch);
    }

    /// The epoch of the records that are written.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }

    /// Begins an epoch: what is appended from here on carries it.
    ///
    /// # Panics
    /// When it is not higher than the one before: whoever takes over has taken a higher one first.
    pub fn begin_epoch(&mut self, epoch: Epoch) {
        assert!(epoch.0 > self.epoch, "epoch {epoch} after {}", self.epoch);
        self.epoch = epoch.0;
    }

    /// Bytes of records that can be appended for sure before the disk thread must free more, if they are
    /// committed as one batch. An Enter takes 96, a report at most 112.
    #[must_use]
    pub fn room(&mut self) -> u64 {
        let free = self.tail.freed() - self.tail.at();
        // A seal now, a stretched one at the lap's end, and what must stay for the one after that.
        free.saturating_sub((2 * SEAL + 2 * STRETCH) as u64)
    }

    /// How the disk is. One load.
    #[inline]
    #[must_use]
    pub fn state(&self) -> StorageState {
        self.shared.state()
    }

    /// What failed, when the state is failed.
    #[must_use]
    pub fn failure(&self) -> Option<&StorageFailure> {
        self.shared.failure()
    }

    /// Which journal this is.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.segment.cluster
    }

    /// Bytes of the tail's ring, which no batch crosses a lap of, and of a segment.
    #[must_use]
    pub fn geometry(&self) -> (u64, u64) {
        (self.tail.bytes(), self.segment.capacity)
    }

    /// The sequence of the last command.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        Sequence(self.last_sequence)
    }

    /// The time of the last command.
    #[must_use]
    pub fn last_nanos(&self) -> Nanos {
        Nanos(self.last_nanos)
    }

    /// The report at `position`, as [`append_report`](Self::append_report) or a [`Reader`](crate::Reader)
    /// gave it: from the tail while it is there, else from its segment, which is then kept mapped.
    ///
    /// # Errors
    /// When no report begins there, or its bytes are not what was written.
    pub fn read_report(&mut self, position: Position) -> Result<Report, ReadError> {
        let at = position.0;
        if at >= self.tail.at() {
            return Err(ReadError::PastEnd(position));
        }
        let salt = SegmentHeader { index: at / self.segment.capacity, ..self.segment }.salt();
        if at >= self.tail.floor() {
            let lap_end = (at & !(self.tail.bytes() - 1)) + self.tail.bytes();
            let bytes = self.tail.own(at, lap_end.min(self.tail.at())).unwrap_or(&[]);
            return report_in(bytes, position, salt);
        }
        let bytes = self.cache.bytes(position, &self.segment)?;
        report_in(bytes, position, salt)
    }

    /// How far the disk is, for other threads.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.shared))
    }

    /// What has been done since the journal was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            bytes: self.tail.at() - self.start,
            syncs: self.shared.syncs.load(Ordering::Relaxed),
            sync_nanos_max: self.shared.sync_nanos_max.load(Ordering::Relaxed),
            behind: self.tail.committed() - self.shared.durable(),
            ..self.stats
        }
    }

    /// Commits, waits until everything is on disk, writes a last seal that says so, and removes the tail.
    ///
    /// # Errors
    /// When the disk failed or has no room for what is left: the tail stays, and the next open takes the rest
    /// from it.
    pub fn close(mut self) -> Result<(), CloseError> {
        self.commit();
        self.wait_durable()?;
        // An empty batch whose seal vouches for everything before: without it, damage in the last batch could
        // be taken for a write that never completed.
        while self.make_room(0).is_err() {
            self.wait_durable()?;
        }
        self.seal(false);
        self.shared.finish();
        self.wait_durable()?;
        self.shared.stop_preparer();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        if let Some(failure) = self.shared.failure() {
            return Err(failure.clone().into());
        }
        let dir = self.shared.dir.clone();
        match self.tail_file.take().map(|tail| (tail.path.clone(), tail.remove(&dir))) {
            Some((path, Err(source))) => Err(CloseError::Io { action: "remove the tail", path, source }),
            _ => Ok(()),
        }
    }

    /// Waits until everything committed is durable, the disk has failed, or it has no room for the rest.
    fn wait_durable(&mut self) -> Result<(), CloseError> {
        /// A full disk may get room at any moment, so it is given a little time; a slow one as long as it
        /// takes.
        const PATIENCE: Duration = Duration::from_secs(1);
        let mut stuck: Option<(Instant, u64)> = None;
        while self.shared.durable() < self.tail.committed() {
            if let Some(failure) = self.shared.failure() {
                return Err(failure.clone().into());
            }
            let durable = self.shared.durable();
            match stuck {
                Some((since, at)) if at == durable && self.shared.has_no_room() => {
                    if since.elapsed() > PATIENCE {
                        return Err(CloseError::NoRoom { durable: Position(durable) });
                    }
                }
                _ => stuck = Some((Instant::now(), durable)),
            }
            self.shared.wake_disk(true);
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Makes `length` bytes and a seal fit at `at`, going into the next lap if it must.
    #[cold]
    fn make_room(&mut self, length: usize) -> Result<(), Full> {
        let need = (length + SEAL) as u64;
        self.look_for_room();
        if self.tail.at() + need > self.lap_end {
            // The limit keeps a seal's room before the lap's end, or the lap's end is not free yet.
            if self.limit < self.lap_end {
                return self.full();
            }
            self.seal(true);
            self.shared.wake_disk(true);
            self.look_for_room();
        }
        if self.tail.at() + need > self.limit { self.full() } else { Ok(()) }
    }

    fn full(&mut self) -> Result<(), Full> {
        self.stats.full += 1;
        self.shared.wake_disk(true);
        Err(Full)
    }

    fn look_for_room(&mut self) {
        let freed = self.tail.freed();
        // Short of the lap's end, a seal is never stretched to it: there is more than STRETCH left then.
        self.limit = if freed >= self.lap_end { self.lap_end } else { freed.saturating_sub(STRETCH as u64) };
    }

    /// Writes a seal after what has been appended and publishes. At the end of a lap, or when `to_lap_end`,
    /// the seal takes what is left of the lap.
    fn seal(&mut self, to_lap_end: bool) {
        let at = self.tail.at();
        let left = (self.lap_end - at) as usize;
        let stretch = to_lap_end || left - SEAL < STRETCH;
        let length = if stretch { left } else { SEAL };
        let bytes = at - self.batch_first;
        let batch = self.tail.own(self.batch_first, at).expect("a batch lies in one lap of the ring");
        let seal = Seal {
            count: self.count,
            bytes: bytes as u32,
            durable: self.shared.durable(),
            previous: self.chain,
            chain: walk::chain(batch, self.chain),
        };
        let header = Header {
            sequence: self.last_sequence,
            nanos: self.last_nanos,
            kind: RecordKind::Seal,
            detail: [0; 3],
            epoch: self.epoch,
        };
        record::write_seal(self.tail.area(length), &seal, &header, at, self.salt);
        self.tail.advance(length);
        self.publish(seal.chain);
    }

    /// Publishes the batch that ends here, and goes into the next lap when this one ends with it.
    fn publish(&mut self, chain: u64) {
        self.tail.publish();
        let (first, end) = (self.batch_first, self.tail.at());
        self.chain = chain;
        self.batch_first = end;
        self.count = 0;
        self.stats.batches += 1;
        if let Some(on_batch) = &mut self.on_batch {
            let bytes = self.tail.own(first, end).expect("a batch lies in one lap of the ring");
            on_batch(bytes, Mark { position: Position(end), chain });
        }
        if end == self.lap_end {
            self.lap_end += self.tail.bytes();
            self.enter_segment();
            // At the lap's end nothing of the next lap has been counted yet.
            self.look_for_room();
        }
    }

    /// Takes the salt of the segment that `at` lies in.
    fn enter_segment(&mut self) {
        let index = self.tail.at() / self.segment.capacity;
        if index != self.segment.index || self.salt == 0 {
            self.segment = self.segment.sibling(index);
            self.salt = self.segment.salt();
        }
    }
}

/// How far the disk is, as any thread may see it.
#[derive(Clone)]
pub struct Progress(Arc<Shared>);

impl Progress {
    /// The end of what is on disk.
    #[must_use]
    pub fn durable(&self) -> Position {
        Position(self.0.durable())
    }

    /// The longest sync since this was last asked, by whomever; one that is under way counts with what it has taken
    /// until now.
    #[must_use]
    pub fn longest_sync(&self) -> Duration {
        self.0.syncing.longest()
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Progress").field(&self.durable()).finish()
    }
}

impl Drop for Appender {
    /// Ends the threads and leaves the rest as it is.
    fn drop(&mut self) {
        self.shared.abandon();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appender")
            .field("dir", &self.shared.dir)
            .field("at", &self.tail.at())
            .field("committed", &self.tail.committed())
            .field("durable", &self.shared.durable())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// The report at the start of `bytes`.
fn report_in(bytes: &[u8], position: Position, salt: u32) -> Result<Report, ReadError> {
    let bad = |what: String| ReadError::Bad { position, what };
    if !position.0.is_multiple_of(8) {
        return Err(bad("records begin at multiples of 8".into()));
    }
    let (header, length) = record::parse(bytes, position.0, salt).map_err(|b| bad(b.to_string()))?;
    codec::report::decode(&header, &bytes[HEADER..length])
        .map_err(|source| ReadError::Decode { position, source })
}

/// Where the directory is; used by messages.
impl Appender {
    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.shared.dir.clone()
    }

    /// The tail's file.
    #[must_use]
    pub fn tail_path(&self) -> Option<PathBuf> {
        self.tail_file.as_ref().map(|t| t.path.clone())
    }
}
