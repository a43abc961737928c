//! What an exchange shows of itself: counters of two moments, and what they say of the time between.
//!
//! One structure serves the status line, `run --json` and `exchange top`, which reads it from the exchange's socket.

mod feed;
pub(crate) mod pair;
mod security;
pub(crate) mod socket;

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use ::feed::FeedStats;
use domain::{InstrumentId, Sequence, Symbol};
use engine::runtime::{BalanceStats, ShardStats};
use gateway::{AdmissionStats, GatewayStats};
use quotes::QuoteStats;
use serde::{Deserialize, Serialize};

use self::{feed::FeedStatus, pair::PairStatus, security::SecurityStatus};

/// Shares that differ by less are shown as one.
const DIFFERENT: f64 = 0.02;
/// The load is spread unevenly from here on: the busiest shard's over the mean.
const UNEVEN: f64 = 1.2;
/// A shard lags behind from here on, in microseconds.
const LAGGING_US: u64 = 1_000;

/// Counters of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    pub(crate) at: Instant,
    /// Commands sequenced since the start.
    pub(crate) sequenced: u64,
    pub(crate) last_sequence: Sequence,
    pub(crate) gateway: GatewayStats,
    pub(crate) shards: Vec<ShardStats>,
    pub(crate) balance: BalanceStats,
    /// Balance events that could not be handed on, those that the runtime lost included.
    pub(crate) events_lost: u64,
    /// Bytes of log that the disk has not.
    pub(crate) unsynced: u64,
    /// Syncs of the log since the start.
    pub(crate) syncs: u64,
    /// The longest of them, in nanoseconds.
    pub(crate) sync_nanos_max: u64,
    pub(crate) cancel_only: bool,
    /// In a pair, how that is.
    pub(crate) pair: Option<PairStatus>,
    /// Market data, where it is published.
    pub(crate) feed: Option<FeedStats>,
    /// And what those count who are told of it by FIX.
    pub(crate) quotes: Option<QuoteStats>,
    /// Turns of the front in which events waited for room in the feed.
    pub(crate) feed_held_back: u64,
}

/// What does not change while an exchange runs.
#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    /// By instrument index.
    pub(crate) symbols: Vec<Symbol>,
    /// The name of the balance mode.
    pub(crate) balance: &'static str,
    /// Why nobody steals although the mode says so.
    pub(crate) stealing_off: Option<String>,
}

impl Fixed {
    /// The symbol of a book.
    pub(crate) fn symbol(&self, book: InstrumentId) -> String {
        self.symbols.get(book.0 as usize).map_or_else(|| book.to_string(), ToString::to_string)
    }
}

/// What an exchange shows. Shares are parts of 1, times are in microseconds; "lately" is since the line before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "status")]
pub(crate) struct Status {
    pub(crate) sequenced: u64,
    pub(crate) last_sequence: u64,
    /// Commands sequenced a second, lately.
    pub(crate) per_second: f64,
    pub(crate) connections: usize,
    pub(crate) logged_in: usize,
    pub(crate) requests: u64,
    pub(crate) ignored: u64,
    pub(crate) reports: u64,
    pub(crate) rejected: u64,
    pub(crate) stalled: u64,
    pub(crate) cut_off: u64,
    pub(crate) admission: AdmissionStatus,
    /// Whose connections and logins were not taken.
    #[serde(default)]
    pub(crate) security: SecurityStatus,
    pub(crate) unsynced_bytes: u64,
    pub(crate) syncs: u64,
    pub(crate) sync_us_max: u64,
    pub(crate) cancel_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pair: Option<PairStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) feed: Option<FeedStatus>,
    pub(crate) shards: Vec<ShardStatus>,
    pub(crate) balance: BalanceStatus,
    /// What balancing did lately, as the event stream has it; on the socket only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) recent: Vec<serde_json::Value>,
}

/// Requests that wait, or have waited, before they are sequenced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AdmissionStatus {
    /// New orders that wait now, and what waits behind them in their sessions.
    pub(crate) held_orders: usize,
    /// Cancels that wait now.
    pub(crate) held_cancels: usize,
    /// Requests that waited and went on.
    pub(crate) admitted: u64,
    /// Orders refused because they waited too long, or found no room to wait.
    pub(crate) refused: u64,
    /// Orders that their session canceled while they waited.
    pub(crate) taken_back: u64,
    /// Cancels that went on while orders waited for the same book.
    pub(crate) overtook: u64,
}

impl From<AdmissionStats> for AdmissionStatus {
    fn from(stats: AdmissionStats) -> Self {
        let AdmissionStats { held_orders, held_cancels, admitted, refused, taken_back, overtook } = stats;
        Self { held_orders, held_cancels, admitted, refused, taken_back, overtook }
    }
}

/// One shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardStatus {
    /// Commands that it has executed, stolen ones and those that the front executed for it included.
    pub(crate) commands: u64,
    pub(crate) inline: u64,
    pub(crate) events: u64,
    /// Commands routed to it.
    pub(crate) arrived: u64,
    /// Its share of what was routed lately.
    pub(crate) load: f64,
    /// Its share of what was executed lately.
    pub(crate) done: f64,
    /// Commands waiting.
    pub(crate) depth: usize,
    /// How long a command waits there, by Little's law: commands waiting over commands done with a second, lately. When
    /// none was done, the time since the line before, which is less than the truth.
    pub(crate) lag_us: u64,
    pub(crate) published: u64,
    /// The share of its commands that went through a mailbox, lately.
    pub(crate) published_share: f64,
    pub(crate) steals: u64,
    pub(crate) stolen: u64,
    pub(crate) given: u64,
    pub(crate) moved_in: u64,
    pub(crate) moved_out: u64,
    pub(crate) books: u32,
    /// The part of the time that its worker was not idle, lately.
    pub(crate) busy: f64,
    /// For how long its worker was not idle, since the start.
    pub(crate) busy_us: u64,
    pub(crate) blocked: u64,
    pub(crate) sleeps: u64,
    pub(crate) stalled: bool,
}

/// How the load is spread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BalanceStatus {
    pub(crate) mode: String,
    /// Why nobody steals although the mode says so.
    pub(crate) stealing_off: Option<String>,
    /// θ: so many waiting commands are worth a steal; `None` when nobody steals.
    pub(crate) steal_waiting_min: Option<u32>,
    /// Commands of a shard without progress for so long are worth one too.
    pub(crate) steal_unmoved_us: Option<u64>,
    /// Books taken at a time.
    pub(crate) steal_books_max: Option<u32>,
    pub(crate) frozen: bool,
    pub(crate) moves: u64,
    pub(crate) moves_lately: u64,
    pub(crate) steals: u64,
    pub(crate) steals_per_second: f64,
    /// The share of executed commands that were stolen, lately.
    pub(crate) stolen_share: f64,
    pub(crate) events_lost: u64,
    pub(crate) events_lost_lately: u64,
    /// Arrivals of the busiest shard over the mean, as the policy sees it; 0 when there were none.
    pub(crate) imbalance: f64,
    pub(crate) one_book_bounds: bool,
    pub(crate) hottest: Vec<HotStatus>,
}

/// A book that gets more than most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct HotStatus {
    pub(crate) book: String,
    pub(crate) home: u16,
    pub(crate) share: f64,
    pub(crate) per_second: f64,
    /// Why it was not moved, if its shard has more than its share.
    pub(crate) stays: Option<String>,
}

impl Status {
    /// What two moments say.
    pub(crate) fn between(before: &Counters, now: &Counters, fixed: &Fixed) -> Self {
        let period = now.at.saturating_duration_since(before.at).max(Duration::from_micros(1));
        let seconds = period.as_secs_f64();
        let earlier = |index: usize| before.shards.get(index).copied().unwrap_or_default();
        let whole = |count: fn(&ShardStats) -> u64| -> u64 {
            let counts = now.shards.iter().enumerate();
            counts.map(|(index, shard)| count(shard).saturating_sub(count(&earlier(index)))).sum()
        };
        let (arrived, executed) = (whole(|shard| shard.arrived), whole(|shard| shard.commands));
        let per_second = now.sequenced.saturating_sub(before.sequenced) as f64 / seconds;
        let shards = now
            .shards
            .iter()
            .enumerate()
            .map(|(index, shard)| ShardStatus::between(&earlier(index), shard, arrived, executed, period))
            .collect();
        let balance = &now.balance;
        let rule = balance.steal;
        let steals = balance.steals.saturating_sub(before.balance.steals);
        Self {
            sequenced: now.sequenced,
            last_sequence: now.last_sequence.0,
            per_second: rounded(per_second),
            connections: now.gateway.connections,
            logged_in: now.gateway.logged_in,
            requests: now.gateway.requests,
            ignored: now.gateway.ignored,
            reports: now.gateway.reports,
            rejected: now.gateway.rejected,
            stalled: now.gateway.stalled,
            cut_off: now.gateway.cut_off,
            admission: AdmissionStatus::from(now.gateway.admission),
            security: SecurityStatus::new(now.gateway.lobby, now.gateway.auth),
            unsynced_bytes: now.unsynced,
            syncs: now.syncs,
            sync_us_max: now.sync_nanos_max / 1_000,
            cancel_only: now.cancel_only,
            pair: now.pair.clone(),
            feed: now.feed.map(|feed| FeedStatus::between(before, &feed, now, seconds)),
            shards,
            balance: BalanceStatus {
                mode: fixed.balance.into(),
                stealing_off: fixed.stealing_off.clone(),
                steal_waiting_min: rule.map(|rule| rule.waiting_min),
                steal_unmoved_us: rule.map(|rule| rule.unmoved_nanos / 1_000),
                steal_books_max: rule.map(|rule| rule.books_max),
                frozen: balance.frozen,
                moves: balance.moves,
                moves_lately: balance.moves.saturating_sub(before.balance.moves),
                steals: balance.steals,
                steals_per_second: rounded(steals as f64 / seconds),
                stolen_share: share(whole(|shard| shard.stolen), executed),
                events_lost: now.events_lost,
                events_lost_lately: now.events_lost.saturating_sub(before.events_lost),
                imbalance: f64::from(balance.imbalance_permille) / 1e3,
                one_book_bounds: balance.one_book_bounds,
                hottest: balance
                    .hottest
                    .iter()
                    .map(|hot| HotStatus {
                        book: fixed.symbol(hot.book),
                        home: hot.home.0,
                        share: f64::from(hot.share_permille) / 1e3,
                        per_second: rounded(arrived as f64 / seconds * f64::from(hot.share_permille) / 1e3),
                        stays: hot.stay.map(|stay| stay.to_string()),
                    })
                    .collect(),
            },
            recent: Vec::new(),
        }
    }

    /// One line; what is as it should be is left out.
    pub(crate) fn line(&self) -> String {
        let mut text =
            format!("{} commands, {:.0}/s | shards {}", self.sequenced, self.per_second, self.shares());
        self.put_trouble(&mut text);
        self.put_balance(&mut text);
        // Writing to a string cannot fail, here and below.
        let _ = write!(
            text,
            " | sessions {} | log {} B behind, {} syncs, longest {:.1} ms",
            self.logged_in,
            self.unsynced_bytes,
            self.syncs,
            self.sync_us_max as f64 / 1e3,
        );
        if self.cancel_only {
            text += " | DISK SHORT OF ROOM: cancels only";
        }
        if let Some(pair) = &self.pair {
            let _ = write!(text, " | {}", pair.text());
            if let Some(trouble) = pair.trouble() {
                let _ = write!(text, " | {trouble}");
            }
        }
        if let Some(feed) = &self.feed {
            let _ = write!(text, " | {}", feed.text());
        }
        text
    }

    /// What was routed to each shard, and what each did where that is something else.
    fn shares(&self) -> String {
        let list = |part: fn(&ShardStatus) -> f64| {
            self.shards.iter().map(|shard| percent(part(shard))).collect::<Vec<_>>().join(" ")
        };
        let loads = list(|shard| shard.load);
        if self.shards.iter().any(|shard| (shard.load - shard.done).abs() >= DIFFERENT) {
            return format!("{loads} (did {})", list(|shard| shard.done));
        }
        loads
    }

    fn put_trouble(&self, text: &mut String) {
        for (index, shard) in self.shards.iter().enumerate() {
            if shard.stalled {
                let _ = write!(text, " | SHARD {index} STALLED: {} commands wait", shard.depth);
            }
        }
        let worst = self.shards.iter().enumerate().max_by_key(|(_, shard)| shard.lag_us);
        if let Some((index, shard)) = worst.filter(|(_, shard)| shard.lag_us >= LAGGING_US && !shard.stalled)
        {
            let lag = micros(shard.lag_us);
            let _ = write!(text, " | shard {index} lags {lag}: {} commands wait", shard.depth);
        }
    }

    fn put_balance(&self, text: &mut String) {
        let balance = &self.balance;
        if balance.steals_per_second > 0.0 {
            let (steals, stolen) = (balance.steals_per_second, percent(balance.stolen_share));
            let _ = write!(text, " | {steals:.0} books stolen/s, {stolen} of commands");
        }
        if balance.moves_lately > 0 {
            let _ = write!(text, " | moves {}", balance.moves_lately);
        }
        if balance.frozen {
            *text += " | moves frozen";
        }
        if balance.imbalance >= UNEVEN {
            let _ = write!(text, " | busiest {:.2} x the mean", balance.imbalance);
            if let Some(hot) = balance.hottest.first() {
                let _ = write!(text, ", {} {} on shard {}", hot.book, percent(hot.share), hot.home);
                if let Some(why) = &hot.stays {
                    let _ = write!(text, " stays ({why})");
                }
                if balance.one_book_bounds {
                    *text += ", which more shards cannot help";
                }
            }
        }
        if balance.events_lost_lately > 0 {
            let _ = write!(text, " | {} balance events lost", balance.events_lost_lately);
        }
    }
}

impl ShardStatus {
    fn between(before: &ShardStats, now: &ShardStats, arrived: u64, executed: u64, period: Duration) -> Self {
        let came = now.arrived.saturating_sub(before.arrived);
        // Whoever executed them: the shard, a thief or the front.
        let left = (came + before.depth as u64).saturating_sub(now.depth as u64);
        let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX).max(1);
        let waited = u128::from(nanos / 1_000) * now.depth as u128 / u128::from(left.max(1));
        let lag_us = match (now.depth, left) {
            (0, _) => 0,
            (_, 0) => nanos / 1_000,
            _ => u64::try_from(waited).unwrap_or(u64::MAX),
        };
        Self {
            commands: now.commands,
            inline: now.inline,
            events: now.events,
            arrived: now.arrived,
            load: share(came, arrived),
            done: share(now.commands.saturating_sub(before.commands), executed),
            depth: now.depth,
            lag_us,
            published: now.published,
            published_share: share(now.published.saturating_sub(before.published), came),
            steals: now.steals,
            stolen: now.stolen,
            given: now.given,
            moved_in: now.moved_in,
            moved_out: now.moved_out,
            books: now.books,
            busy_us: now.busy_nanos / 1_000,
            busy: share(now.busy_nanos.saturating_sub(before.busy_nanos), nanos),
            blocked: now.blocked,
            sleeps: now.sleeps,
            stalled: now.stalled,
        }
    }
}

/// A share in thousandths, as a part of 1; at most 1, where counters of two moments do not fit each other exactly.
fn share(part: u64, whole: u64) -> f64 {
    rounded((part as f64 / whole.max(1) as f64).min(1.0))
}

/// To three decimals: what is printed is for people too.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// A part of 1 as people read it.
pub(crate) fn percent(part: f64) -> String {
    format!("{:.0}%", part * 100.0)
}

/// Microseconds as people read them.
pub(crate) fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use domain::ShardId;
    use engine::{
        balance::{Stay, StealRule},
        runtime::HotBook,
    };

    use super::*;

    pub(crate) fn fixed() -> Fixed {
        Fixed {
            symbols: ["AAPL", "MSFT", "SPY"].map(|symbol| Symbol::new(symbol).unwrap()).into(),
            balance: "full",
            stealing_off: None,
        }
    }

    fn counters(at: Instant) -> Counters {
        Counters {
            at,
            sequenced: 0,
            last_sequence: Sequence(0),
            gateway: GatewayStats::default(),
            shards: vec![ShardStats::default(); 2],
            balance: BalanceStats::default(),
            events_lost: 0,
            unsynced: 0,
            syncs: 0,
            sync_nanos_max: 0,
            cancel_only: false,
            pair: None,
            feed: None,
            quotes: None,
            feed_held_back: 0,
        }
    }

    /// A second in which 80% of the load went to shard 0, of which shard 1 took three eighths.
    pub(crate) fn moments() -> (Counters, Counters) {
        let start = Instant::now();
        let before = counters(start);
        let mut now = counters(start + Duration::from_secs(1));
        (now.sequenced, now.last_sequence) = (10_000, Sequence(10_000));
        now.shards[0] = ShardStats {
            commands: 4_900,
            events: 5_000,
            arrived: 8_000,
            depth: 100,
            published: 4_000,
            given: 3_000,
            moved_out: 1,
            books: 1,
            busy_nanos: 900_000_000,
            ..ShardStats::default()
        };
        now.shards[1] = ShardStats {
            commands: 5_000,
            events: 5_100,
            arrived: 2_000,
            steals: 40,
            stolen: 3_000,
            moved_in: 1,
            books: 2,
            busy_nanos: 500_000_000,
            ..ShardStats::default()
        };
        now.balance = BalanceStats {
            steal: Some(StealRule { waiting_min: 16, unmoved_nanos: 5_000, books_max: 8, commands_min: 8 }),
            frozen: false,
            moves: 1,
            steals: 120,
            events_lost: 0,
            imbalance_permille: 1_600,
            hottest: vec![
                HotBook {
                    book: InstrumentId(0),
                    home: ShardId(0),
                    share_permille: 700,
                    stay: Some(Stay::Alone),
                },
                HotBook { book: InstrumentId(2), home: ShardId(1), share_permille: 100, stay: None },
            ],
            one_book_bounds: true,
        };
        (before, now)
    }

    #[test]
    fn two_moments_say_what_happened_between_them() {
        let (before, now) = moments();
        let status = Status::between(&before, &now, &fixed());
        let [zero, one] = &status.shards[..] else { panic!("two shards") };
        assert_eq!((zero.load, one.load), (0.8, 0.2));
        assert_eq!((zero.done, one.done), (0.495, 0.505));
        assert_eq!((zero.busy, one.busy), (0.9, 0.5));
        // 100 wait, and 7,900 left in a second.
        assert_eq!((zero.lag_us, one.lag_us), (12_658, 0));
        assert_eq!((zero.published_share, one.published_share), (0.5, 0.0));
        let balance = &status.balance;
        let hot = &balance.hottest[0];
        assert_eq!(
            (balance.steals_per_second, balance.stolen_share, hot.per_second),
            (120.0, 0.303, 7_000.0)
        );
        assert_eq!(
            status.line(),
            "10000 commands, 10000/s | shards 80% 20% (did 50% 50%) | shard 0 lags 12.7 ms: 100 commands wait | 120 \
             books stolen/s, 30% of commands | moves 1 | busiest 1.60 x the mean, AAPL 70% on shard 0 stays (alone), \
             which more shards cannot help | sessions 0 | log 0 B behind, 0 syncs, longest 0.0 ms"
        );
        // The second after, in which nothing happened but that the shard stood still.
        let mut after = now.clone();
        after.at += Duration::from_secs(1);
        after.shards[0].stalled = true;
        after.balance.frozen = true;
        after.balance.imbalance_permille = 0;
        after.events_lost = 7;
        let status = Status::between(&now, &after, &fixed());
        assert_eq!(status.shards[0].lag_us, 1_000_000, "nothing left in a second");
        assert_eq!(
            status.line(),
            "10000 commands, 0/s | shards 0% 0% | SHARD 0 STALLED: 100 commands wait | moves frozen | 7 balance events \
             lost | sessions 0 | log 0 B behind, 0 syncs, longest 0.0 ms"
        );
    }

    #[test]
    fn an_even_load_makes_a_short_line() {
        let (before, mut now) = moments();
        for shard in &mut now.shards {
            *shard = ShardStats { commands: 5_000, arrived: 5_000, ..ShardStats::default() };
        }
        now.balance = BalanceStats { imbalance_permille: 1_000, ..BalanceStats::default() };
        assert_eq!(
            Status::between(&before, &now, &fixed()).line(),
            "10000 commands, 10000/s | shards 50% 50% | sessions 0 | log 0 B behind, 0 syncs, longest 0.0 ms"
        );
    }

    #[test]
    fn a_pair_stands_at_the_end_of_the_line() {
        let (before, mut now) = moments();
        let mut pair = pair::tests::leads();
        now.pair = Some(pair.clone());
        let line = |now: &Counters| Status::between(&before, now, &fixed()).line();
        assert!(line(&now).ends_with(
            " | node 1 leads in epoch 5, ack disk+replica, standby in sync, 64 B behind, 4096 B on disk"
        ));
        pair.acks = Some(pair::Acks::Wait);
        now.pair = Some(pair);
        assert!(line(&now).ends_with(" | NOTHING IS ACKNOWLEDGED"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (before, mut now) = moments();
        let status = Status::between(&before, &now, &fixed());
        assert!(!serde_json::to_string(&status).unwrap().contains("pair"), "there is none");
        now.pair = Some(pair::tests::leads());
        let mut status = Status::between(&before, &now, &fixed());
        status.recent.push(serde_json::json!({ "event": "thawed" }));
        let text = serde_json::to_string(&status).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["event"], "status");
        assert_eq!(value["balance"]["hottest"][0]["stays"], "alone");
        assert_eq!(value["pair"]["role"], "primary");
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
    }
}
