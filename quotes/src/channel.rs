//! Who watches which book how deep, and how what is seen there is numbered.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Instrument, InstrumentId};
use feed::Depth;
use wire::fix::TimePrecision;

use crate::{
    book::Book,
    entries::{self, Part, Trades},
    handover::News,
    request::Types,
};

/// Somebody who watches: the connection, and the number of its request.
pub(crate) type Watcher = (usize, u64);

/// A book, down to a depth, as those who watch it have been told of it.
#[derive(Debug, Default)]
struct Channel {
    depth: Depth,
    /// RptSeq of the last entry, for each choice of sides and trades.
    numbers: [u64; Types::COUNT],
    watchers: BTreeSet<Watcher>,
}

/// By book and depth; there is one where somebody watches.
#[derive(Debug, Default)]
pub(crate) struct Channels(BTreeMap<(InstrumentId, usize), Channel>);

/// What has changed in a channel, written at most once for each choice and version.
pub(crate) struct Changes<'a> {
    instrument: &'a Instrument,
    precision: TimePrecision,
    change: Option<feed::DepthChange>,
    news: &'a News,
    numbers: [u64; Types::COUNT],
    written: BTreeMap<(Types, Trades), Vec<Part>>,
}

impl Changes<'_> {
    /// Whether somebody who wants these has to be told.
    pub(crate) fn has(&self, types: Types) -> bool {
        self.count(types) + self.lost(types) > 0
    }

    fn count(&self, types: Types) -> u64 {
        entries::count(self.change.as_ref(), self.news.trades.len(), types)
    }

    /// Entries that are numbered, and that nobody is told.
    fn lost(&self, types: Types) -> u64 {
        if types.has(Types::TRADES) { self.news.trades_lost } else { 0 }
    }

    /// The entries for them.
    pub(crate) fn parts(&mut self, types: Types, version: Trades) -> &[Part] {
        let Self { instrument, precision, change, news, numbers, written } = self;
        written.entry((types, version)).or_insert_with(|| {
            let number = numbers[usize::from(types.0)];
            let what = (change.as_ref(), &*news.trades);
            entries::changes(instrument, what, types, version, *precision, number)
        })
    }
}

impl Channels {
    /// Somebody begins to watch.
    pub(crate) fn watch(&mut self, watcher: Watcher, id: InstrumentId, depth: usize, book: &Book) {
        let channel = self.0.entry((id, depth)).or_default();
        if channel.watchers.is_empty() {
            channel.depth.look(|side| book.best(side, depth));
        }
        channel.watchers.insert(watcher);
    }

    /// Somebody watches no more.
    pub(crate) fn leave(&mut self, watcher: Watcher, id: InstrumentId, depth: usize) {
        if let Some(channel) = self.0.get_mut(&(id, depth)) {
            channel.watchers.remove(&watcher);
            if channel.watchers.is_empty() {
                self.0.remove(&(id, depth));
            }
        }
    }

    /// RptSeq of the last entry of a choice.
    pub(crate) fn number(&self, id: InstrumentId, depth: usize, types: Types) -> Option<u64> {
        self.0.get(&(id, depth)).map(|channel| channel.numbers[usize::from(types.0)])
    }

    /// A book has changed, and is now as it says: tells those who watch it.
    pub(crate) fn publish(
        &mut self,
        (instrument, precision): (&Instrument, TimePrecision),
        book: &Book,
        news: &News,
        mut tell: impl FnMut(Watcher, &mut Changes<'_>),
    ) {
        for (&(_, depth), channel) in self.0.range_mut((instrument.id, 0)..=(instrument.id, usize::MAX)) {
            let change = channel.depth.look(|side| book.best(side, depth));
            let numbers = channel.numbers;
            let mut changes =
                Changes { instrument, precision, change, news, numbers, written: BTreeMap::new() };
            channel.watchers.iter().for_each(|watcher| tell(*watcher, &mut changes));
            for (types, number) in (0..).map(Types).zip(&mut channel.numbers) {
                *number += changes.count(types) + changes.lost(types);
            }
        }
    }
}
