//! What the feed's thread leaves for the thread of this crate.
//!
//! Nothing is queued: what has not been taken is made one with what comes, so that it is never more than the books
//! themselves, some changes of each, and so many trades.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use domain::{InstrumentId, Price, Side};
use feed::{Level, Market, PublicTrade, Seen, Watcher};
use log::error;
use mio::Waker;

/// Changes of one book that wait; beyond that the whole book waits instead.
const CHANGES_MAX: usize = 1_024;
/// Trades that wait, in all. What comes on top is counted, and not told.
const TRADES_MAX: usize = 1 << 16;

/// What is new of a book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// The levels are all that there are.
    pub(crate) is_whole: bool,
    /// What is shown at a price now; `None` for nothing.
    pub(crate) levels: BTreeMap<(Side, Price), Option<Level>>,
    /// In their order.
    pub(crate) trades: Vec<PublicTrade>,
    /// Trades that there was no room for, behind those.
    pub(crate) trades_lost: u64,
}

impl News {
    fn put(&mut self, side: Side, price: Price, level: Option<Level>) {
        if self.is_whole && level.is_none() {
            self.levels.remove(&(side, price));
        } else {
            self.levels.insert((side, price), level);
        }
    }

    fn make_whole(&mut self, market: &Market, instrument: InstrumentId) {
        self.is_whole = true;
        self.levels.clear();
        for side in [Side::Buy, Side::Sell] {
            let levels = market.levels(instrument, side);
            self.levels.extend(levels.map(|level| ((side, level.price), Some(level))));
        }
    }
}

#[derive(Debug, Default)]
struct Left {
    news: BTreeMap<InstrumentId, News>,
    trades: usize,
    has_begun: bool,
}

#[derive(Debug, Default)]
struct Shared {
    left: Mutex<Left>,
    ended: AtomicBool,
}

impl Shared {
    fn left(&self) -> MutexGuard<'_, Left> {
        // Whoever holds it cannot panic.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The feed's end.
pub(crate) struct Leaves {
    shared: Arc<Shared>,
    waker: Arc<Waker>,
}

/// This crate's end.
pub(crate) struct Takes {
    shared: Arc<Shared>,
}

/// Both ends. `waker` wakes the thread that takes.
pub(crate) fn handover(waker: Arc<Waker>) -> (Leaves, Takes) {
    let shared = Arc::new(Shared::default());
    (Leaves { shared: Arc::clone(&shared), waker }, Takes { shared })
}

impl Leaves {
    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            error!("market data by FIX cannot be woken: {error}");
        }
    }
}

impl Watcher for Leaves {
    fn on_begin(&mut self, market: &Market) {
        let mut left = self.shared.left();
        left.has_begun = true;
        for instrument in (0..market.len()).filter_map(|at| u32::try_from(at).ok()).map(InstrumentId) {
            left.news.entry(instrument).or_default().make_whole(market, instrument);
        }
        drop(left);
        self.wake();
    }

    fn on_turn(&mut self, market: &Market, seen: &Seen) {
        let mut left = self.shared.left();
        let was_empty = left.news.is_empty();
        for &(instrument, side, price) in &seen.prices {
            let news = left.news.entry(instrument).or_default();
            news.put(side, price, market.level(instrument, side, price));
            if !news.is_whole && news.levels.len() > CHANGES_MAX {
                news.make_whole(market, instrument);
            }
        }
        for trade in &seen.trades {
            let Left { news, trades, .. } = &mut *left;
            let news = news.entry(trade.instrument).or_default();
            // Never one behind one that is lost, or nobody could tell where it is.
            if *trades < TRADES_MAX && news.trades_lost == 0 {
                *trades += 1;
                news.trades.push(*trade);
            } else {
                news.trades_lost += 1;
            }
        }
        drop(left);
        // Whoever takes takes all: it has been woken for what was there.
        if was_empty {
            self.wake();
        }
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.wake();
    }
}

impl Takes {
    /// What has been left since it was taken last.
    pub(crate) fn take(&self) -> BTreeMap<InstrumentId, News> {
        let mut left = self.shared.left();
        left.trades = 0;
        std::mem::take(&mut left.news)
    }

    /// Whether there are books yet.
    pub(crate) fn has_begun(&self) -> bool {
        self.shared.left().has_begun
    }

    /// Whether nothing more comes.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }
}
