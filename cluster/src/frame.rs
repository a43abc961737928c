//! The messages of the replication link, and their bytes.
//!
//! ```text
//!  0        4      5        8                    4 + length
//!  ┌────────┬──────┬────────┬──────── ─ ─ ────────┐
//!  │ length │ kind │ zero   │ fields, then bytes  │     length: u32, of everything behind it
//!  └────────┴──────┴────────┴──────── ─ ─ ────────┘
//! ```
//!
//! All integers are little-endian; the fields of each kind are in `docs/replication.md`. A message has exactly its
//! length, what is not used is zero, and every kind has a bound. [`decode`] borrows from the caller's bytes, so that a
//! batch goes from the link into the journal without a copy; it allocates for nothing but a history, which is bounded.

use std::borrow::Cow;

use domain::{ClusterId, Epoch, EpochStart, Mark, Position};

use crate::NodeId;
use crate::history::History;

/// The version of these messages. A hello of another version is answered by a refusal.
pub const VERSION: u32 = 2;

/// Bytes of length, kind and zeros.
pub const HEADER_BYTES: usize = 8;

/// Bytes of a batch message before the batches.
pub const BATCH_HEADER_BYTES: usize = HEADER_BYTES + 16;

/// Bytes of a piece of a snapshot before what it carries.
pub const SNAPSHOT_PIECE_HEADER_BYTES: usize = HEADER_BYTES + 16;

/// Bytes of batches, or of a piece of a snapshot, in one message at the very most. No ring is larger, and a batch never
/// crosses a lap of its ring.
pub const BYTES_MAX: usize = 1 << 30;

/// Bytes of a refusal's text.
pub const TEXT_BYTES_MAX: usize = 200;

/// Bytes of the longest message that carries neither batches nor a snapshot: the bound before a peer is known.
pub const GREETING_BYTES_MAX: usize = HEADER_BYTES + WELCOME_FIELDS + History::MAX * ENTRY;

/// Bytes of a welcome's fields without its history: the longest.
const WELCOME_FIELDS: usize = 96;

/// Bytes of an epoch in a history.
const ENTRY: usize = 16;

/// A message of the link. `'a` is the buffer that it was cut from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Standby to primary, first on the link.
    Hello(Hello),
    /// Primary to standby: taken, and how it begins.
    Welcome(Welcome),
    /// Standby to primary: what it has. The first on a link says that it is ready.
    Ack(Ack),
    /// Primary to standby: whole sealed batches, verbatim, that begin at the standby's end.
    Batch(Batch<'a>),
    /// Primary to standby: a piece of the snapshot that the welcome spoke of.
    SnapshotPiece(SnapshotPiece<'a>),
    /// Primary to standby: alive, and how far it is itself.
    Heartbeat(Heartbeat),
    /// Primary to standby: a planned switch is wanted; bring the disk up to date.
    Prepare {
        /// The primary's epoch.
        epoch: Epoch,
    },
    /// Standby to primary: the switch may be quick now.
    Ready {
        /// The primary's epoch.
        epoch: Epoch,
        /// What is on the standby's disk.
        durable: Position,
    },
    /// Primary to standby: the journal ends here for a switch; what do your books come to?
    Compare(Compare),
    /// Standby to primary: what its books come to there.
    Compared {
        /// The primary's epoch.
        epoch: Epoch,
        /// The hash of its books; `None` when it knows that they are not those of the journal.
        state: Option<u64>,
    },
    /// Primary to standby: lead from here on. The primary has promised `next` itself before it sends this.
    HandOver(HandOver),
    /// Standby to primary: it leads. Then it closes the link.
    Taken {
        /// The epoch in which it leads.
        epoch: Epoch,
    },
    /// Either way: no, and why. Then the link is closed.
    Refused(Refused<'a>),
}

/// What a standby says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Who it is.
    pub node: NodeId,
    /// Which journal it has; `None` when it has none.
    pub cluster: Option<ClusterId>,
    /// Where its journal ends.
    pub end: Mark,
    /// What it has promised, on its disk. A primary of a lower epoch is deposed by hearing this.
    pub promised: Epoch,
    /// Whether it has everything that it ever said to have received.
    pub complete: bool,
    /// Bytes of its ring; 0 when it has no journal.
    pub ring_bytes: u64,
    /// Bytes of its segments; 0 when it has no journal.
    pub segment_bytes: u64,
    /// Its epochs.
    pub history: History,
}

/// What a primary answers to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Which journal it is.
    pub cluster: ClusterId,
    /// The primary's epoch.
    pub epoch: Epoch,
    /// Bytes of the ring, which must be the standby's too: batches lie at the same positions.
    pub ring_bytes: u64,
    /// Bytes of a segment, which must be the standby's too.
    pub segment_bytes: u64,
    /// What was committed when this was sent.
    pub committed: Position,
    /// From where the standby goes on.
    pub start: Start,
    /// The primary's epochs.
    pub history: History,
}

/// From where a standby goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From its end, where its chain must be this.
    Continue {
        /// Its end.
        at: Mark,
    },
    /// From here, after it has archived and cut what is behind. Its chain here must be this.
    Truncate {
        /// Its new end.
        to: Mark,
    },
    /// From a snapshot; what it has, it archives and puts away.
    Snapshot {
        /// The place whose state the snapshot is.
        mark: Mark,
        /// Where the batches begin that will follow: the beginning of a segment, at or before `mark`.
        from: Mark,
        /// Bytes of the snapshot.
        length: u64,
    },
}

/// How far a standby is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The epoch of the primary that it follows.
    pub epoch: Epoch,
    /// In its tail.
    pub received: Position,
    /// On its disk.
    pub durable: Position,
    /// `sent_nanos` of the newest heartbeat that it has read; 0 for none.
    pub echo_nanos: u64,
}

/// Whole sealed batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Where they begin.
    pub at: Position,
    /// The epoch of the primary that sends them; their records may be of earlier ones.
    pub epoch: Epoch,
    /// The bytes of the stream.
    pub bytes: &'a [u8],
}

/// A piece of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPiece<'a> {
    /// The epoch of the primary that sends it.
    pub epoch: Epoch,
    /// Where in the snapshot it belongs.
    pub offset: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// How far a primary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Its epoch.
    pub epoch: Epoch,
    /// In its tail, sealed.
    pub committed: Position,
    /// On its disk.
    pub durable: Position,
    /// Its clock when it sent this; comes back in an ack, for the round trip.
    pub sent_nanos: u64,
}

/// Whether both nodes hold the same books, before one hands over to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The primary's epoch.
    pub epoch: Epoch,
    /// Where both stand still.
    pub at: Mark,
    /// The hash of the primary's books there.
    pub state: u64,
}

/// The end of a planned switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// The epoch that ends.
    pub epoch: Epoch,
    /// The epoch that begins.
    pub next: Epoch,
    /// Where the journal of the ending epoch ends.
    pub at: Mark,
}

/// No.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused<'a> {
    /// Why.
    pub reason: Reason,
    /// What the one that refuses has promised.
    pub promised: Epoch,
    /// For a person; printable ASCII.
    pub text: Cow<'a, str>,
}

/// Why one side refuses the other. The numbers are those of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    /// It speaks another version.
    Version = 1,
    /// It has another journal.
    ForeignCluster = 2,
    /// It follows, or is, a primary of an epoch that is over.
    LowerEpoch = 3,
    /// It does not lead.
    NotPrimary = 4,
    /// Another standby is connected.
    Occupied = 5,
    /// Ring or segments have another size.
    Geometry = 6,
    /// The logs are not copies of one journal: a fresh copy is needed.
    Diverged = 7,
    /// It needs a snapshot and there is none.
    NoSnapshot = 8,
    /// It broke the protocol.
    Protocol = 9,
    /// Its clock or its disk cannot go on.
    Failed = 10,
    /// It was silent for too long.
    Silent = 11,
}

impl Reason {
    const fn from_u32(code: u32) -> Option<Self> {
        Some(match code {
            1 => Self::Version,
            2 => Self::ForeignCluster,
            3 => Self::LowerEpoch,
            4 => Self::NotPrimary,
            5 => Self::Occupied,
            6 => Self::Geometry,
            7 => Self::Diverged,
            8 => Self::NoSnapshot,
            9 => Self::Protocol,
            10 => Self::Failed,
            11 => Self::Silent,
            _ => return None,
        })
    }
}

/// Why bytes are no message. The link is closed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A kind that does not exist.
    #[error("message kind {0} does not exist")]
    Kind(u8),
    /// A length that this kind cannot have.
    #[error("a message of kind {kind} cannot have {found} bytes: {min} to {max}")]
    Length {
        /// The kind.
        kind: u8,
        /// The bytes that it says to have, header included.
        found: usize,
        /// The least that it can have.
        min: usize,
        /// The most.
        max: usize,
    },
    /// A hello of another version.
    #[error("the other side speaks version {0} of the replication link and this one {VERSION}")]
    Version(u32),
    /// A field holds a value that it cannot have.
    #[error("{field} cannot be {value}")]
    Value {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
}

impl Message<'_> {
    /// What it is called.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Welcome(_) => "welcome",
            Self::Ack(_) => "ack",
            Self::Batch(_) => "batch",
            Self::SnapshotPiece(_) => "snapshot piece",
            Self::Heartbeat(_) => "heartbeat",
            Self::Prepare { .. } => "prepare",
            Self::Ready { .. } => "ready",
            Self::Compare(_) => "compare",
            Self::Compared { .. } => "compared",
            Self::HandOver(_) => "hand-over",
            Self::Taken { .. } => "taken",
            Self::Refused(_) => "refused",
        }
    }

    /// Appends the message.
    ///
    /// # Panics
    /// When it carries more than [`BYTES_MAX`], which is a programmer's error.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_BYTES]);
        let kind = self.encode_fields(&mut Writer(out));
        finish(out, start, kind);
    }

    fn encode_fields(&self, out: &mut Writer<'_>) -> Kind {
        match self {
            Self::Hello(hello) => {
                out.u32(VERSION);
                out.u32(u32::from(hello.cluster.is_some()) | u32::from(hello.complete) << 1);
                out.u64(hello.node.0);
                out.u128(hello.cluster.map_or(0, |cluster| cluster.0));
                out.mark(hello.end);
                out.u64(hello.ring_bytes);
                out.u64(hello.segment_bytes);
                out.u32(hello.promised.0);
                out.history(&hello.history);
                Kind::Hello
            }
            Self::Welcome(welcome) => {
                let zero = Mark { position: Position(0), chain: 0 };
                let (start, mark, from, length) = match welcome.start {
                    Start::Continue { at } => (0, at, zero, 0),
                    Start::Truncate { to } => (1, to, zero, 0),
                    Start::Snapshot { mark, from, length } => (2, mark, from, length),
                };
                out.u32(welcome.epoch.0);
                out.u32(start);
                out.u128(welcome.cluster.0);
                out.u64(welcome.ring_bytes);
                out.u64(welcome.segment_bytes);
                out.u64(welcome.committed.0);
                out.mark(mark);
                out.mark(from);
                out.u64(length);
                out.u32(0);
                out.history(&welcome.history);
                Kind::Welcome
            }
            Self::Ack(ack) => {
                out.epoch(ack.epoch);
                out.u64(ack.received.0);
                out.u64(ack.durable.0);
                out.u64(ack.echo_nanos);
                Kind::Ack
            }
            Self::Batch(batch) => {
                out.epoch(batch.epoch);
                out.u64(batch.at.0);
                out.0.extend_from_slice(batch.bytes);
                Kind::Batch
            }
            Self::SnapshotPiece(piece) => {
                out.epoch(piece.epoch);
                out.u64(piece.offset);
                out.0.extend_from_slice(piece.bytes);
                Kind::SnapshotPiece
            }
            Self::Heartbeat(heartbeat) => {
                out.epoch(heartbeat.epoch);
                out.u64(heartbeat.committed.0);
                out.u64(heartbeat.durable.0);
                out.u64(heartbeat.sent_nanos);
                Kind::Heartbeat
            }
            Self::Prepare { epoch } => {
                out.epoch(*epoch);
                Kind::Prepare
            }
            Self::Ready { epoch, durable } => {
                out.epoch(*epoch);
                out.u64(durable.0);
                Kind::Ready
            }
            Self::Compare(compare) => {
                out.epoch(compare.epoch);
                out.mark(compare.at);
                out.u64(compare.state);
                Kind::Compare
            }
            Self::Compared { epoch, state } => {
                out.u32(epoch.0);
                out.u32(u32::from(state.is_some()));
                out.u64(state.unwrap_or(0));
                Kind::Compared
            }
            Self::HandOver(switch) => {
                out.u32(switch.epoch.0);
                out.u32(switch.next.0);
                out.mark(switch.at);
                Kind::HandOver
            }
            Self::Taken { epoch } => {
                out.epoch(*epoch);
                Kind::Taken
            }
            Self::Refused(refused) => {
                out.u32(refused.reason as u32);
                out.u32(refused.promised.0);
                // Text that is too long or cannot be printed is our own; it is made to fit.
                let printable = refused.text.bytes().map(|b| if is_printable(b) { b } else { b'?' });
                out.0.extend(printable.take(TEXT_BYTES_MAX));
                Kind::Refused
            }
        }
    }

    /// The same message without a borrow, if it carries no batches and no snapshot.
    #[must_use]
    pub fn into_owned(self) -> Option<Message<'static>> {
        Some(match self {
            Self::Hello(hello) => Message::Hello(hello),
            Self::Welcome(welcome) => Message::Welcome(welcome),
            Self::Ack(ack) => Message::Ack(ack),
            Self::Heartbeat(heartbeat) => Message::Heartbeat(heartbeat),
            Self::Prepare { epoch } => Message::Prepare { epoch },
            Self::Ready { epoch, durable } => Message::Ready { epoch, durable },
            Self::Compare(compare) => Message::Compare(compare),
            Self::Compared { epoch, state } => Message::Compared { epoch, state },
            Self::HandOver(switch) => Message::HandOver(switch),
            Self::Taken { epoch } => Message::Taken { epoch },
            Self::Refused(Refused { reason, promised, text }) => {
                Message::Refused(Refused { reason, promised, text: Cow::Owned(text.into_owned()) })
            }
            Self::Batch(_) | Self::SnapshotPiece(_) => return None,
        })
    }
}

/// Cuts the first message off `bytes`: the message and the bytes that it took, or `None` when more must come first.
/// `bytes_max` bounds what a batch or a piece of a snapshot may carry: the ring's size once it is known, 0 before. A
/// length beyond its kind's bound is refused as soon as the header is there.
///
/// # Errors
/// When the bytes are no message, whatever may follow.
pub fn decode(bytes: &[u8], bytes_max: usize) -> Result<Option<(Message<'_>, usize)>, FrameError> {
    let Some((&[a, b, c, d, kind_code, zeros @ ..], _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let kind = Kind::from_u8(kind_code).ok_or(FrameError::Kind(kind_code))?;
    if zeros != [0; 3] {
        let value = u64::from(zeros[0]) | u64::from(zeros[1]) << 8 | u64::from(zeros[2]) << 16;
        return Err(FrameError::Value { field: "header padding", value });
    }
    let found = (u32::from_le_bytes([a, b, c, d]) as usize).saturating_add(4);
    let (min, max) = kind.bounds(bytes_max);
    if !(min..=max).contains(&found) {
        return Err(FrameError::Length { kind: kind_code, found, min, max });
    }
    let Some(whole) = bytes.get(..found) else { return Ok(None) };
    let message = decode_fields(kind, &whole[HEADER_BYTES..])?;
    Ok(Some((message, found)))
}

/// Appends the header and the fields of a batch message that will carry `length` bytes, which the caller sends next.
/// So a driver can send from the mapped journal.
///
/// # Panics
/// As [`Message::encode`].
pub fn encode_batch_header(out: &mut Vec<u8>, at: Position, epoch: Epoch, length: usize) {
    let start = out.len();
    Message::Batch(Batch { at, epoch, bytes: &[] }).encode(out);
    let length = length_of(BATCH_HEADER_BYTES + length);
    out[start..start + 4].copy_from_slice(&length);
}

fn decode_fields(kind: Kind, bytes: &[u8]) -> Result<Message<'_>, FrameError> {
    let mut from = Reader { bytes, kind };
    let message = match kind {
        Kind::Hello => {
            let version = from.u32()?;
            if version != VERSION {
                return Err(FrameError::Version(version));
            }
            let flags = from.u32()?;
            if flags > 3 {
                return Err(FrameError::Value { field: "hello flags", value: flags.into() });
            }
            let node = NodeId(from.u64()?);
            let cluster = from.u128()?;
            let has_cluster = flags & 1 != 0;
            if !has_cluster && cluster != 0 {
                return Err(FrameError::Value { field: "absent cluster", value: cluster as u64 });
            }
            Message::Hello(Hello {
                node,
                cluster: has_cluster.then_some(ClusterId(cluster)),
                end: from.mark()?,
                ring_bytes: from.u64()?,
                segment_bytes: from.u64()?,
                promised: Epoch(from.u32()?),
                complete: flags & 2 != 0,
                history: from.history()?,
            })
        }
        Kind::Welcome => {
            let epoch = Epoch(from.u32()?);
            let start = from.u32()?;
            let cluster = ClusterId(from.u128()?);
            let (ring_bytes, segment_bytes) = (from.u64()?, from.u64()?);
            let committed = from.position("committed position")?;
            let (mark, base, length) = (from.mark()?, from.mark()?, from.u64()?);
            from.zero("welcome padding")?;
            let history = from.history()?;
            if start < 2 && (base.position.0 | base.chain | length) != 0 {
                return Err(FrameError::Value { field: "snapshot of a welcome without one", value: length });
            }
            let start = match start {
                0 => Start::Continue { at: mark },
                1 => Start::Truncate { to: mark },
                2 if base.position <= mark.position && length > 0 => {
                    Start::Snapshot { mark, from: base, length }
                }
                2 if length == 0 => return Err(FrameError::Value { field: "snapshot's length", value: 0 }),
                2 => return Err(FrameError::Value { field: "snapshot's base", value: base.position.0 }),
                other => return Err(FrameError::Value { field: "start", value: other.into() }),
            };
            Message::Welcome(Welcome { cluster, epoch, ring_bytes, segment_bytes, committed, start, history })
        }
        Kind::Ack => {
            let epoch = from.epoch()?;
            let (received, durable) =
                (from.position("received position")?, from.position("durable position")?);
            if durable > received {
                return Err(FrameError::Value { field: "durable position of an ack", value: durable.0 });
            }
            Message::Ack(Ack { epoch, received, durable, echo_nanos: from.u64()? })
        }
        Kind::Batch => {
            let epoch = from.epoch()?;
            let at = from.position("position of a batch")?;
            Message::Batch(Batch { at, epoch, bytes: from.rest() })
        }
        Kind::SnapshotPiece => {
            let epoch = from.epoch()?;
            Message::SnapshotPiece(SnapshotPiece { epoch, offset: from.u64()?, bytes: from.rest() })
        }
        Kind::Heartbeat => {
            let epoch = from.epoch()?;
            let (committed, durable) =
                (from.position("committed position")?, from.position("durable position")?);
            if durable > committed {
                return Err(FrameError::Value { field: "durable position of a heartbeat", value: durable.0 });
            }
            Message::Heartbeat(Heartbeat { epoch, committed, durable, sent_nanos: from.u64()? })
        }
        Kind::Prepare => Message::Prepare { epoch: from.epoch()? },
        Kind::Ready => {
            let epoch = from.epoch()?;
            Message::Ready { epoch, durable: from.position("durable position")? }
        }
        Kind::HandOver => {
            let (epoch, next) = (Epoch(from.u32()?), Epoch(from.u32()?));
            if next <= epoch {
                return Err(FrameError::Value { field: "next epoch of a hand-over", value: next.0.into() });
            }
            Message::HandOver(HandOver { epoch, next, at: from.mark()? })
        }
        Kind::Compare => {
            Message::Compare(Compare { epoch: from.epoch()?, at: from.mark()?, state: from.u64()? })
        }
        Kind::Compared => {
            let epoch = Epoch(from.u32()?);
            let (flags, state) = (from.u32()?, from.u64()?);
            let state = match flags {
                0 if state == 0 => None,
                0 => return Err(FrameError::Value { field: "absent state", value: state }),
                1 => Some(state),
                other => return Err(FrameError::Value { field: "compared flags", value: other.into() }),
            };
            Message::Compared { epoch, state }
        }
        Kind::Taken => Message::Taken { epoch: from.epoch()? },
        Kind::Refused => {
            let code = from.u32()?;
            let reason = Reason::from_u32(code)
                .ok_or(FrameError::Value { field: "reason of a refusal", value: code.into() })?;
            let promised = Epoch(from.u32()?);
            let text = from.rest();
            if let Some(&byte) = text.iter().find(|&&byte| !is_printable(byte)) {
                return Err(FrameError::Value { field: "text of a refusal", value: byte.into() });
            }
            Message::Refused(Refused { reason, promised, text: String::from_utf8_lossy(text) })
        }
    };
    from.end()?;
    Ok(message)
}

/// Printable ASCII, the same bytes in and out.
const fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

fn finish(out: &mut [u8], start: usize, kind: Kind) {
    let length = length_of(out.len() - start);
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4] = kind as u8;
}

/// The length field of a message of so many bytes.
fn length_of(whole: usize) -> [u8; 4] {
    assert!(whole <= BYTES_MAX + BATCH_HEADER_BYTES, "a message of {whole} bytes");
    u32::try_from(whole - 4).expect("below 2^31").to_le_bytes()
}

/// The numbers are those of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Hello = 1,
    Welcome = 2,
    Ack = 3,
    Batch = 4,
    SnapshotPiece = 5,
    Heartbeat = 6,
    Prepare = 7,
    Ready = 8,
    HandOver = 9,
    Taken = 10,
    Refused = 11,
    Compare = 12,
    Compared = 13,
}

impl Kind {
    const fn from_u8(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Ack,
            4 => Self::Batch,
            5 => Self::SnapshotPiece,
            6 => Self::Heartbeat,
            7 => Self::Prepare,
            8 => Self::Ready,
            9 => Self::HandOver,
            10 => Self::Taken,
            11 => Self::Refused,
            12 => Self::Compare,
            13 => Self::Compared,
            _ => return None,
        })
    }

    /// The least and the most bytes that it has, header included.
    const fn bounds(self, bytes_max: usize) -> (usize, usize) {
        let (least, more) = match self {
            // Without their histories.
            Self::Hello => (72, History::MAX * ENTRY),
            Self::Welcome => (WELCOME_FIELDS, History::MAX * ENTRY),
            Self::Ack | Self::Heartbeat | Self::Compare => (32, 0),
            // Batches and pieces are never empty.
            Self::Batch | Self::SnapshotPiece => (17, if bytes_max == 0 { 0 } else { bytes_max - 1 }),
            Self::Prepare | Self::Taken => (8, 0),
            Self::Ready | Self::Compared => (16, 0),
            Self::HandOver => (24, 0),
            Self::Refused => (8, TEXT_BYTES_MAX),
        };
        let least = HEADER_BYTES + least;
        match self {
            Self::Batch | Self::SnapshotPiece if bytes_max == 0 => (least, 0),
            _ => (least, least + more),
        }
    }
}

/// Appends fields.
struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u128(&mut self, value: u128) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn mark(&mut self, mark: Mark) {
        self.u64(mark.position.0);
        self.u64(mark.chain);
    }

    /// An epoch and four zeros.
    fn epoch(&mut self, epoch: Epoch) {
        self.u32(epoch.0);
        self.u32(0);
    }

    /// Their number, then the entries.
    fn history(&mut self, history: &History) {
        self.u32(history.starts().len() as u32);
        for (place, start) in history.starts().iter().enumerate() {
            self.u64(start.position.0);
            self.u32(start.epoch.0);
            self.u32(u32::from(place == 0 && history.begins_within()));
        }
    }
}

/// Takes fields off the front. Bounds were checked for what every message of the kind has, not for a history.
struct Reader<'a> {
    bytes: &'a [u8],
    kind: Kind,
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (first, rest) = self.bytes.split_first_chunk::<N>().ok_or_else(|| self.wrong_length(N))?;
        self.bytes = rest;
        Ok(*first)
    }

    fn u32(&mut self) -> Result<u32, FrameError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, FrameError> {
        self.take().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Result<u128, FrameError> {
        self.take().map(u128::from_le_bytes)
    }

    fn zero(&mut self, field: &'static str) -> Result<(), FrameError> {
        match self.u32()? {
            0 => Ok(()),
            value => Err(FrameError::Value { field, value: value.into() }),
        }
    }

    /// Records, and so everything that has a position, begin at multiples of 8.
    fn position(&mut self, field: &'static str) -> Result<Position, FrameError> {
        match self.u64()? {
            value if value.is_multiple_of(8) => Ok(Position(value)),
            value => Err(FrameError::Value { field, value }),
        }
    }

    fn mark(&mut self) -> Result<Mark, FrameError> {
        Ok(Mark { position: self.position("position of a mark")?, chain: self.u64()? })
    }

    fn epoch(&mut self) -> Result<Epoch, FrameError> {
        let epoch = Epoch(self.u32()?);
        self.zero("padding behind an epoch")?;
        Ok(epoch)
    }

    fn history(&mut self) -> Result<History, FrameError> {
        let count = self.u32()?;
        if count as usize > History::MAX {
            return Err(FrameError::Value { field: "number of epochs", value: count.into() });
        }
        let mut history = History::new();
        let mut begins_within = false;
        for place in 0..count {
            let position = self.position("position of an epoch")?;
            let epoch = Epoch(self.u32()?);
            match self.u32()? {
                0 => {}
                1 if place == 0 => begins_within = true,
                value => {
                    return Err(FrameError::Value { field: "flags of an epoch", value: value.into() });
                }
            }
            history
                .begin(EpochStart { epoch, position })
                .map_err(|_| FrameError::Value { field: "epoch out of order", value: epoch.0.into() })?;
        }
        Ok(if begins_within { history.beginning_within() } else { history })
    }

    fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.bytes)
    }

    fn end(&self) -> Result<(), FrameError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(self.wrong_length(0)) }
    }

    /// `wanted` more bytes than there are, or some left over.
    fn wrong_length(&self, wanted: usize) -> FrameError {
        FrameError::Value {
            field: match self.kind {
                Kind::Hello => "length of a hello with its epochs",
                Kind::Welcome => "length of a welcome with its epochs",
                _ => "length of a message",
            },
            value: if wanted == 0 { self.bytes.len() as u64 } else { wanted as u64 },
        }
    }
}

#[cfg(test)]
mod tests;
