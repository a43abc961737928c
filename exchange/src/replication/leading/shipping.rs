//! What a node that leads sends to its standby: batches from the queue or from the segments, or a snapshot; and where that
//! begins.

use std::{fs::File, os::unix::fs::FileExt};

use cluster::{
    frame::{Message, SnapshotPiece, Start, Welcome},
    primary::{Ship, Snapshot},
};
use journal::{Batches, Position, mark_at};
use log::{info, warn};

use super::{super::boot_nanos, Driver};

/// Bytes of batches, or of a snapshot, in one message.
const SHIP_MAX: usize = 1 << 20;

impl Driver {
    fn can_send(&self) -> bool {
        self.standby.as_ref().is_some_and(|(guest, _)| guest.wire.stream.room() > 2 * SHIP_MAX)
    }

    /// Nothing is on its way to anyone.
    pub(super) fn forget_way(&mut self) {
        self.replica.want(false);
        (self.sent, self.segments, self.wanted_mark, self.snapshot) = (None, None, None, None);
    }

    /// Ships what the rules and the outbox let through. Says whether there is more.
    pub(super) fn ship(&mut self) -> bool {
        self.waits_for_disk = false;
        while self.can_send() {
            let Some(ship) = self.machine.next() else { return false };
            let shipped = match ship {
                Ship::Batches { from, bytes } => self.ship_batches(from, bytes.min(SHIP_MAX as u64) as usize),
                Ship::Piece { offset, bytes } => self.ship_piece(offset, bytes.min(SHIP_MAX as u64) as usize),
            };
            match shipped {
                Ok(true) => {}
                Ok(false) => {
                    self.waits_for_disk = true;
                    return false;
                }
                Err(why) => {
                    warn!("replication: {why}");
                    self.drop_standby(&why);
                    return false;
                }
            }
        }
        false
    }

    /// Sends batches from the queue, or from the segments while they are not in it. `false` when the disk does not have
    /// them yet.
    fn ship_batches(&mut self, from: Position, bytes: usize) -> Result<bool, String> {
        let Some((guest, _)) = &mut self.standby else { return Ok(false) };
        match self.replica.take(from, bytes) {
            Ok(chunks) => {
                let pieces: Vec<&[u8]> = chunks.iter().map(|chunk| chunk.bytes.as_slice()).collect();
                guest.wire.send_batches(from, self.epoch, &pieces)?;
                self.segments = None;
                self.sent = chunks.last().map(|chunk| chunk.end);
            }
            Err(oldest) => {
                let mark = self
                    .sent
                    .filter(|mark| mark.position == from)
                    .ok_or("the way through the journal is lost")?;
                let durable = self.progress.durable();
                let limit = oldest.map_or(durable, |oldest| durable.min(oldest));
                if limit <= from {
                    return Ok(false);
                }
                let dir = &self.dir;
                let wrong =
                    |error: journal::ReadError| format!("reading the journal for the standby: {error}");
                if self.segments.as_ref().is_none_or(|segments| segments.at() != mark) {
                    self.segments = Some(Batches::after(dir, mark).map_err(wrong)?);
                }
                let Some(segments) = &mut self.segments else { return Ok(false) };
                let batches = segments.next(limit, bytes).map_err(wrong)?;
                if batches.is_empty() {
                    return Ok(false);
                }
                guest.wire.send_batches(from, self.epoch, &[batches])?;
                self.sent = Some(segments.at());
            }
        }
        if let Some(sent) = self.sent {
            self.machine.batches_sent(sent.position);
        }
        Ok(true)
    }

    fn ship_piece(&mut self, offset: u64, bytes: usize) -> Result<bool, String> {
        let (Some((guest, _)), Some(file)) = (&mut self.standby, &self.snapshot) else { return Ok(false) };
        let mut piece = vec![0; bytes];
        file.read_exact_at(&mut piece, offset).map_err(|error| format!("reading the snapshot: {error}"))?;
        let message = Message::SnapshotPiece(SnapshotPiece { epoch: self.epoch, offset, bytes: &piece });
        guest.wire.send(&message)?;
        self.machine.piece_sent(bytes as u64);
        Ok(true)
    }

    /// The standby gets batches from here on; those that are committed meanwhile are kept for it.
    pub(super) fn begin_way(&mut self, welcome: &Welcome) {
        let from = match welcome.start {
            Start::Continue { at: mark }
            | Start::Truncate { to: mark }
            | Start::Snapshot { from: mark, .. } => mark,
        };
        info!("replication: the standby goes on from position {}", from.position);
        self.sent = Some(from);
        self.segments = None;
        self.replica.want(true);
    }

    /// Answers a question for a mark, as soon as that can be.
    pub(super) fn look_up_mark(&mut self) {
        let Some(position) = self.wanted_mark else { return };
        let end = self.replica.end();
        let found = if position == end.position {
            Some(end)
        } else if position < self.progress.durable() {
            match mark_at(&self.dir, self.segment_bytes, position) {
                Ok(found) => found,
                Err(error) => {
                    warn!("replication: looking for position {position}: {error}");
                    None
                }
            }
        } else {
            return; // the disk will have it
        };
        self.wanted_mark = None;
        self.machine.mark_found(boot_nanos(), position, found);
    }

    /// Takes the newest snapshot in hand.
    pub(super) fn open_snapshot(&mut self) -> Option<Snapshot> {
        let found = journal::snapshot::list(&self.dir).ok()?.into_iter().find_map(|path| {
            let header = journal::snapshot::check(&path, self.cluster).ok()?;
            let file = File::open(&path).ok()?;
            let length = file.metadata().ok()?.len();
            let base = header.mark.position.0 / self.segment_bytes * self.segment_bytes;
            let from = mark_at(&self.dir, self.segment_bytes, Position(base)).ok()??;
            Some((file, Snapshot { mark: header.mark, from, length }))
        });
        let (file, snapshot) = found?;
        self.snapshot = Some(file);
        Some(snapshot)
    }
}
