//! Snapshots: the whole state at one place of the journal, so that the next start replays only what came after it.
//!
//! Writing, at a clean stop ([`write()`]): nothing is in flight, so the state is what the journal's
//! [mark](journal::Mark) stands for: instruments, books, sessions, and how many market-wide commands there were.
//!
//! Writing, while an exchange trades or when none does ([`shadow`]): a follower beside it goes from the newest snapshot to
//! the journal's end. What the books have caused by then and the journal does not have yet is *owed*, and stands in the
//! snapshot as such.
//!
//! Reading ([`load`]), each step a reason to do without the snapshot:
//!
//! 1. The file is whole, of this version and of this journal's cluster ([`journal::snapshot`]).
//! 2. The body decodes, within a limit, to its end.
//! 3. Every instrument, book and session is one that could be.
//! 4. The books hash to the state in the header.
//! 5. Books and sessions agree on every live order.
//!
//! That the journal has the mark is for the recovery to check, which reads on from there.
//!
//! The body is encoded by bincode from the mirror types of `rows`, which are numbers and bytes only, so that
//! neither the domain nor the engine knows a serializer, and a change of a domain type is no change of the
//! format. `docs/snapshot-format.md` has the bytes.

mod rows;
mod shadow;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use domain::{InstrumentId, Nanos, OrderId, Owner, Sequence, SessionId, Side};
use engine::{
    book::{Book, BookHeader, BookImage, BookView, Counters, RestingOrder},
    hash::{StateHash, book_hash},
};
use gateway::{Instruments, Sessions};
use journal::{
    Appender, ClusterId, Mark, Position, StorageState,
    snapshot::{self, Header},
};

use self::rows::{
    Body, BodyV1, BodyV2, BodyV3, BodyV4, BookRow, CopyRow, FixRow, InstrumentRow, OwedRow, SessionRow,
};
pub(crate) use self::shadow::snapshot;

/// No body is longer, in either direction. The larger part of one is 4 bytes for each report ever numbered.
const BODY_MAX: usize = 8 << 30;

/// Fixed widths, little-endian: the layout can be written down, and no value changes another's place.
const CODEC: Configuration<LittleEndian, Fixint, Limit<BODY_MAX>> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<BODY_MAX>();

/// What every book has been told, those among them that were not there yet: a book that is defined later
/// begins as if it had been, so that a replay from the start, which makes all books at once, gives the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MarketWide {
    /// Market-wide commands.
    pub(crate) commands: u64,
    /// The last of them; 0 when there is none.
    pub(crate) last: Sequence,
}

impl MarketWide {
    /// A book that has been told nothing else.
    pub(crate) fn book(self, instrument: InstrumentId) -> Result<Book, String> {
        let header = BookHeader {
            instrument,
            last_sequence: self.last,
            next_order_number: 1,
            counters: Counters { commands: self.commands, ..Counters::default() },
            ..BookHeader::default()
        };
        Book::restore(&BookImage { header, orders: Vec::new(), stops: Vec::new() })
            .map_err(|error| error.to_string())
    }
}

/// A snapshot that has been read.
pub(crate) struct Loaded {
    pub(crate) mark: Mark,
    pub(crate) last_sequence: Sequence,
    pub(crate) last_nanos: Nanos,
    pub(crate) market_wide: MarketWide,
    pub(crate) instruments: Instruments,
    /// By instrument index.
    pub(crate) books: Vec<Book>,
    pub(crate) sessions: Sessions,
}

impl Loaded {
    /// What a new journal begins with.
    pub(crate) fn nothing() -> Self {
        Self {
            mark: Mark { position: Position(0), chain: 0 },
            last_sequence: Sequence(0),
            last_nanos: Nanos(0),
            market_wide: MarketWide::default(),
            instruments: Instruments::new(),
            books: Vec::new(),
            sessions: Sessions::new(),
        }
    }
}

/// All that is written.
pub(crate) struct State<'a> {
    pub(crate) market_wide: MarketWide,
    pub(crate) instruments: &'a Instruments,
    /// By instrument index, with nothing left to execute.
    pub(crate) books: &'a [Book],
    pub(crate) sessions: &'a Sessions,
}

/// Which place of which journal a state is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) cluster: ClusterId,
    pub(crate) mark: Mark,
    /// The last command before it.
    pub(crate) last_sequence: Sequence,
    /// That command's time.
    pub(crate) last_nanos: Nanos,
}

/// Writes a snapshot of the state that the journal's end stands for. Returns its size in bytes.
///
/// # Errors
/// When something is in flight, or the disk refuses. The exchange needs no snapshot; the caller says so and
/// goes on.
pub(crate) fn write(appender: &Appender, state: &State<'_>) -> Result<u64, String> {
    if appender.state() != StorageState::Ok {
        return Err("the disk is short of room".into());
    }
    let place = Place {
        cluster: appender.cluster(),
        mark: appender.mark(),
        last_sequence: appender.last_sequence(),
        last_nanos: appender.last_nanos(),
    };
    let _writing = Writing::begin_patiently(&appender.dir())?;
    write_at(&appender.dir(), &place, state).map(|written| written.bytes)
}

/// A snapshot that has been written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) file: PathBuf,
    /// Of the body.
    pub(crate) bytes: u64,
    pub(crate) state: StateHash,
}

/// Writes a snapshot of the state at a place of the journal in `dir`. One at a time: see [`Writing`].
fn write_at(dir: &Path, place: &Place, state: &State<'_>) -> Result<Written, String> {
    let bytes = encode(state)?;
    let hash = hash_of(state.books);
    let Place { cluster, mark, last_sequence, last_nanos } = *place;
    let header =
        Header { version: snapshot::VERSION, cluster, mark, last_sequence, last_nanos, state: hash.0 };
    let file = snapshot::write(dir, &header, &bytes).map_err(|error| error.to_string())?;
    Ok(Written { file, bytes: bytes.len() as u64, state: hash })
}

/// The right to write a snapshot, as long as it lives: writing one removes the drafts of others.
struct Writing {
    _lock: File,
}

impl Writing {
    /// Waits a little for whoever is writing one: at a stop the process that does is told to end.
    fn begin_patiently(dir: &Path) -> Result<Self, String> {
        const PATIENCE: Duration = Duration::from_secs(2);
        let begun = Instant::now();
        loop {
            match Self::begin(dir) {
                Err(_) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(10)),
                done => return done,
            }
        }
    }

    fn begin(dir: &Path) -> Result<Self, String> {
        let path = dir.join("snapshot.lock");
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let lock = File::create(&path).map_err(|error| wrong(&error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err("another snapshot is being taken".into()),
            Err(TryLockError::Error(error)) => Err(wrong(&error)),
        }
    }
}

/// The body.
fn encode(state: &State<'_>) -> Result<Vec<u8>, String> {
    let instruments = state.instruments.as_slice();
    if state.books.len() != instruments.len() {
        return Err(format!("{} books for {} instruments", state.books.len(), instruments.len()));
    }
    let images = state.sessions.images().map_err(|error| error.to_string())?;
    let body = Body {
        market_wide: state.market_wide.commands,
        market_wide_last: state.market_wide.last.0,
        instruments: instruments.iter().map(InstrumentRow::of).collect(),
        books: state.books.iter().map(|book| BookRow::of(&BookImage::of(book))).collect(),
        sessions: images.iter().map(SessionRow::of).collect(),
        owed: state.sessions.owed().map(OwedRow::of).collect(),
        fix: (0..)
            .zip(&images)
            .filter_map(|(id, image)| image.fix.as_ref().map(|fix| FixRow::of(id, fix)))
            .collect(),
        copies: (0..)
            .zip(&images)
            .flat_map(|(watched, image)| {
                image.watchers.iter().map(move |watcher| CopyRow { watched, watcher: watcher.0 })
            })
            .collect(),
    };
    let bytes = bincode::serde::encode_to_vec(&body, CODEC).map_err(|error| error.to_string())?;
    if bytes.len() > BODY_MAX {
        return Err(format!("it would have {} bytes, and at most {BODY_MAX} are taken", bytes.len()));
    }
    Ok(bytes)
}

/// Reads a snapshot of the journal `cluster`.
///
/// # Errors
/// When it is anything but what a clean stop of that journal's exchange wrote; says what.
pub(crate) fn load(path: &Path, cluster: ClusterId) -> Result<Loaded, String> {
    let (header, bytes) =
        snapshot::read(path, cluster, BODY_MAX as u64).map_err(|error| error.to_string())?;
    decode(&header, &bytes)
}

/// What a body says, if that can be.
fn decode(header: &Header, bytes: &[u8]) -> Result<Loaded, String> {
    let (body, read): (Body<'static>, usize) = match header.version {
        1 => bincode::serde::decode_from_slice::<BodyV1, _>(bytes, CODEC)
            .map(|(body, read)| (Body::from(body), read)),
        2 => bincode::serde::decode_from_slice::<BodyV2, _>(bytes, CODEC)
            .map(|(body, read)| (Body::from(body), read)),
        3 => bincode::serde::decode_from_slice::<BodyV3, _>(bytes, CODEC)
            .map(|(body, read)| (Body::from(body), read)),
        4 => bincode::serde::decode_from_slice::<BodyV4, _>(bytes, CODEC)
            .map(|(body, read)| (Body::from(body), read)),
        _ => bincode::serde::decode_from_slice(bytes, CODEC),
    }
    .map_err(|error| format!("its body: {error}"))?;
    if read != bytes.len() {
        return Err(format!("its body says all in {read} of {} bytes", bytes.len()));
    }
    let market_wide = MarketWide { commands: body.market_wide, last: Sequence(body.market_wide_last) };
    let mut instruments = Instruments::new();
    for (row, id) in body.instruments.iter().zip((0..).map(InstrumentId)) {
        let instrument = row.instrument(id).ok_or_else(|| format!("instrument {id} cannot be"))?;
        if instruments.find(instrument.symbol).is_some() {
            return Err(format!("instrument {} is there twice", instrument.symbol));
        }
        instruments.define(instrument);
    }
    if body.books.len() != instruments.as_slice().len() {
        return Err(format!("{} books for {} instruments", body.books.len(), instruments.as_slice().len()));
    }
    let mut books = Vec::with_capacity(body.books.len());
    for (row, id) in body.books.into_iter().zip((0..).map(InstrumentId)) {
        let image = row.image(id).ok_or_else(|| format!("the book of {id} cannot be"))?;
        if image.header.last_sequence > header.last_sequence {
            return Err(format!("the book of {id} is ahead of the journal"));
        }
        books.push(Book::restore(&image).map_err(|error| error.to_string())?);
    }
    let state = hash_of(&books);
    if state.0 != header.state {
        return Err(format!("its books' state is {state} and should be {}", StateHash(header.state)));
    }
    let images = body.sessions.into_iter().zip((0..).map(SessionId));
    let mut images: Vec<_> = images
        .map(|(row, id)| row.image().ok_or_else(|| format!("session {id} cannot be")))
        .collect::<Result<_, _>>()?;
    for row in body.fix {
        let id = SessionId(row.session);
        let image = images.get_mut(id.0 as usize).filter(|image| image.fix.is_none());
        let image = image.ok_or_else(|| format!("there is no FIX session {id}, or there are two"))?;
        image.fix = Some(row.image().ok_or_else(|| format!("the FIX session {id} cannot be"))?);
    }
    for CopyRow { watched, watcher } in body.copies {
        let cannot = || format!("session {watcher} cannot be told of session {watched}'s orders");
        let is_fix = images.get(watcher as usize).is_some_and(|image| image.fix.is_some());
        let watchers = images.get_mut(watched as usize).map(|image| &mut image.watchers);
        match watchers {
            Some(watchers) if is_fix && watchers.last().is_none_or(|last| last.0 < watcher) => {
                watchers.push(SessionId(watcher));
            }
            _ => return Err(cannot()),
        }
    }
    let mut sessions = Sessions::restore(images).map_err(|error| error.to_string())?;
    for row in body.owed {
        let owed = row.report().ok_or("a report that is owed cannot be")?;
        let known = sessions.get(owed.session).is_some()
            && owed.instrument.is_none_or(|id| instruments.get(id).is_some())
            && owed.sequence <= header.last_sequence;
        if !known {
            return Err(format!("a report is owed that nobody has caused: {owed:?}"));
        }
        sessions.owe(&owed);
    }
    agree(&books, &sessions)?;
    let Header { mark, last_sequence, last_nanos, .. } = *header;
    let beyond = |(_, session): (SessionId, &gateway::Session)| {
        session.position_of(session.next_number() - 1).is_some_and(|last| last >= mark.position)
    };
    if sessions.iter().any(beyond) {
        return Err("a report of it is beyond its own position".into());
    }
    if market_wide.last > last_sequence {
        return Err("a market-wide command of it is beyond its own sequence".into());
    }
    Ok(Loaded { mark, last_sequence, last_nanos, market_wide, instruments, books, sessions })
}

fn hash_of(books: &[Book]) -> StateHash {
    books.iter().fold(StateHash::default(), |sum, book| sum.combine(book_hash(book)))
}

/// With nothing in flight, an order rests or waits in a book exactly when it lives in its session.
fn agree(books: &[Book], sessions: &Sessions) -> Result<(), String> {
    let mut live: BTreeMap<OrderId, Owner> = BTreeMap::new();
    for (id, session) in sessions.iter() {
        for (client_ref, order) in session.orders.iter() {
            live.insert(order.order, Owner { session: id, client_ref });
        }
    }
    let of_sessions: usize = sessions.iter().map(|(_, session)| session.orders.len()).sum();
    let mut resting = 0;
    let mut stranger = None;
    let mut see = |order: &RestingOrder| {
        resting += 1;
        if live.get(&order.order) != Some(&order.owner) {
            stranger.get_or_insert(order.order);
        }
    };
    for book in books {
        for side in [Side::Buy, Side::Sell] {
            BookView::visit(book, side, &mut see);
        }
        book.visit_stops(&mut see);
    }
    match stranger {
        Some(order) => Err(format!("order {order} rests, and its session does not know it")),
        None if resting != of_sessions => {
            Err(format!("{resting} orders rest, and sessions know of {of_sessions}"))
        }
        None => Ok(()),
    }
}
