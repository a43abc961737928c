//! The front's side of one shard.

use std::{sync::TryLockError, thread::JoinHandle};

use crossbeam_channel::Sender;
use domain::{Command, Sequenced};

use crate::{
    runtime::{
        Counters, ShardStats,
        floor::{Floor, Shard},
        ring::{Consumer, Producer},
        worker::{Control, Note},
    },
    schedule::{Item, Tags},
};

/// The front's side of one shard.
pub(super) struct Lane {
    pub(super) commands: Producer<Item<Sequenced<Command>>>,
    /// What the items of `commands` are for.
    tags: Tags,
    pub(super) notes: Consumer<Note>,
    control: Sender<Control>,
    pub(super) thread: Option<JoinHandle<()>>,
    /// Commands routed to it.
    routed: u64,
    /// Items taken from its events.
    pub(super) taken: u64,
    pub(super) moved_in: u64,
    pub(super) moved_out: u64,
    /// Books that live here.
    pub(super) books: u32,
}

impl Lane {
    pub(super) fn new(
        commands: Producer<Item<Sequenced<Command>>>,
        tags: Tags,
        notes: Consumer<Note>,
        control: Sender<Control>,
        books: u32,
    ) -> Self {
        Self {
            commands,
            tags,
            notes,
            control,
            thread: None,
            routed: 0,
            taken: 0,
            moved_in: 0,
            moved_out: 0,
            books,
        }
    }

    #[inline]
    pub(super) fn route(&mut self, item: Item<Sequenced<Command>>) {
        self.tags.set(self.commands.position(), item.book());
        assert!(self.commands.push(item).is_ok(), "room was asked for before sequencing");
        self.routed += 1;
    }

    /// Puts a change of home into the ring; the caller has asked for room.
    pub(super) fn control_item(&mut self, item: Item<Sequenced<Command>>) {
        self.tags.set(self.commands.position(), None);
        assert!(self.commands.push(item).is_ok(), "room was asked for");
    }

    /// Commands routed here so far.
    pub(super) const fn routed(&self) -> u64 {
        self.routed
    }

    /// After publishing: nothing to do for a worker that is awake; a sleeping one is woken, or stood in for.
    pub(super) fn serve(&mut self, floor: &Floor, at: usize, inline_max: usize) {
        let shard = &floor.shards[at];
        if !shard.parking.is_announced() {
            return;
        }
        if self.commands.len() <= inline_max {
            match shard.worker.try_lock() {
                Ok(mut worker) => {
                    let progress = worker.run_own(floor, inline_max);
                    let Counters { inline, .. } = &shard.counters;
                    inline.fetch_add(progress.commands as u64, std::sync::atomic::Ordering::Relaxed);
                    drop(worker);
                    // A command for all books may be more than one turn.
                    if floor.has_work(at) {
                        floor.wake(at);
                    }
                    return;
                }
                // Its worker is just going to sleep or just awake: wake it for sure.
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Poisoned(_)) => panic!("a shard's thread died"),
            }
        }
        floor.wake(at);
    }

    pub(super) fn ask(&self, control: Control) {
        // The receiver lives as long as the worker; a worker that is gone needs no asking.
        let _ = self.control.send(control);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    pub(super) fn stats(&self, shard: &Shard) -> ShardStats {
        use std::sync::atomic::Ordering::Relaxed;
        let counters = &shard.counters;
        ShardStats {
            commands: counters.commands.load(Relaxed),
            inline: counters.inline.load(Relaxed),
            events: counters.events.load(Relaxed),
            arrived: self.routed,
            depth: shard.commands.len() + shard.glance.mailed(),
            published: shard.glance.published(),
            steals: counters.steals.load(Relaxed),
            stolen: counters.stolen.load(Relaxed),
            given: counters.given.load(Relaxed),
            moved_in: self.moved_in,
            moved_out: self.moved_out,
            books: self.books,
            busy_nanos: counters.busy_nanos.load(Relaxed),
            blocked: counters.blocked.load(Relaxed),
            sleeps: counters.sleeps.load(Relaxed),
            stalled: shard.stalled.load(Relaxed),
        }
    }
}
