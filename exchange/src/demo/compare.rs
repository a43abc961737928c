//! The demonstration's first part: the same load on two exchanges, one with the books where they were put at the start,
//! one that balances.
//!
//! Both run, and slices of load alternate between them: in each, one of the two has the machine to itself while the
//! other is idle: two columns of one row are of the same requests, a second apart. Two that work at the same time would measure how they share cores. Both get the same requests, from the
//! same seed, at the same rate; the order within a pair changes from pair to pair, so that what drifts hits both.
//!
//! Nothing is judged here. What this shows depends on the cores there are, and it says so.

use std::{path::Path, time::Duration};

use engine::balance::BalanceMode;
use loadgen::{Latency, Profile, Stop};
use serde_json::Value;

use super::load_config;
use crate::{
    child::{Arguments, Exchange},
    cli,
    config::Config,
    load::micros,
    say::say,
    status::percent,
};

/// The load: a hot book that stays, and one that is another each tenth of a second.
const PROFILES: [&str; 2] = ["hot:80%", "hot:80%,hot-swap:100ms"];
/// Pairs of slices for each profile.
const PAIRS: u64 = 2;
/// A slice.
const SLICE: Duration = Duration::from_millis(1_200);
/// Shards are close to their limit from here on: below, a command seldom waits for another book's.
const NEAR_LIMIT: f64 = 0.5;

/// One of the two exchanges.
struct Arm {
    name: &'static str,
    exchange: Exchange,
    before: Value,
    /// Of the profile under way.
    latency: Option<Latency>,
    /// The busiest shard's share of the time in the busiest slice.
    busy_max: f64,
}

/// What one slice did.
struct Slice {
    /// By shard: its share of what was routed.
    shares: Vec<f64>,
    latency: Latency,
    moves: u64,
    stolen: u64,
    /// Why the hottest book was not moved, if it was not although its shard had more than its share.
    stays: Option<String>,
}

/// The part.
pub(super) fn compare(args: &cli::Demo, config: &Config, root: &Path) -> Result<(), String> {
    let mut arms = [("static", BalanceMode::Off), ("balanced", BalanceMode::Full)]
        .map(|(name, balance)| Arm::start(name, balance, args.shards, root));
    let [Ok(fixed), Ok(balanced)] = &mut arms else {
        let failed = arms.into_iter().find_map(Result::err).unwrap_or_default();
        return Err(failed);
    };
    say!(
        "1. The same load on two exchanges of {} shards: the books where they were put, and balanced\n\n  {} orders/s, \
         slices of {SLICE:?} in turn, each pair with the same requests; reports leave from memory.\n  Per slice: what \
         went to each shard; latency p99 of the hot book, p50 and p99 of all others.\n",
        args.shards,
        args.rate,
    );
    for (number, text) in PROFILES.iter().enumerate() {
        let profile: Profile = text.parse().map_err(|error| format!("{error}"))?;
        let head = |name: &str| row(name, ["hot p99", "others p50", "others p99"].map(String::from));
        say!("  {profile}\n  {}  {}", head(fixed.name), head(balanced.name));
        for pair in 0..PAIRS {
            let seed = args.seed + number as u64 * PAIRS + pair;
            let (one, other) = if pair % 2 == 0 {
                let one = fixed.slice(args, config, profile, seed)?;
                (one, balanced.slice(args, config, profile, seed)?)
            } else {
                let other = balanced.slice(args, config, profile, seed)?;
                (fixed.slice(args, config, profile, seed)?, other)
            };
            let stolen = if other.stolen > 0 { format!(", {} stolen", other.stolen) } else { String::new() };
            let stays = other.stays.as_ref().map(|why| format!(", hottest stays: {why}")).unwrap_or_default();
            say!("  {}  {}  moves {}{stolen}{stays}", one.text(), other.text(), other.moves);
            fixed.add(&one.latency);
            balanced.add(&other.latency);
        }
        let (one, other) = (fixed.take_latency(), balanced.take_latency());
        say!("  {}  {}\n", all_of(&one), all_of(&other));
    }
    say!("{}", caveat(&fixed.exchange.recovered, &balanced.exchange.recovered, fixed.busy_max));
    for arm in arms.into_iter().flatten() {
        arm.exchange.stop()?;
    }
    Ok(())
}

impl Arm {
    fn start(name: &'static str, balance: BalanceMode, shards: u16, root: &Path) -> Result<Self, String> {
        let status_each = Duration::from_millis(100);
        let arguments = Arguments { balance, ack: "memory", status_each, ..Arguments::new(shards) };
        let exchange = Exchange::start(&root.join(name), &arguments)?;
        let before = exchange.status_from_now()?;
        Ok(Self { name, exchange, before, latency: None, busy_max: 0.0 })
    }

    fn slice(
        &mut self,
        args: &cli::Demo,
        config: &Config,
        profile: Profile,
        seed: u64,
    ) -> Result<Slice, String> {
        let mut load = load_config(args, config, profile, self.exchange.address, None, seed);
        load.stop = Stop::After(SLICE);
        load.keep_log = false;
        let outcome = loadgen::run(&load, &mut ()).map_err(|error| format!("{}: {error}", self.name))?;
        let now = self.exchange.status_from_now()?;
        let before = std::mem::replace(&mut self.before, now);
        let arrived = grown(&before, &self.before, "arrived");
        let whole = arrived.iter().sum::<u64>().max(1);
        let busy = grown(&before, &self.before, "busy_us").into_iter().max().unwrap_or(0);
        self.busy_max = self.busy_max.max(busy as f64 / SLICE.as_micros() as f64);
        let balance = |key: &str| {
            let at = |status: &Value| status["balance"][key].as_u64().unwrap_or(0);
            at(&self.before).saturating_sub(at(&before))
        };
        Ok(Slice {
            shares: arrived.iter().map(|arrived| *arrived as f64 / whole as f64).collect(),
            latency: outcome.latency,
            moves: balance("moves"),
            stolen: grown(&before, &self.before, "stolen").into_iter().sum(),
            stays: self.before["balance"]["hottest"][0]["stays"].as_str().map(ToOwned::to_owned),
        })
    }

    fn add(&mut self, latency: &Latency) {
        match &mut self.latency {
            None => self.latency = Some(latency.clone()),
            Some(sum) => sum.add(latency),
        }
    }

    /// What the slices of a profile have added up to.
    fn take_latency(&mut self) -> Latency {
        self.latency.take().expect("a profile has slices")
    }
}

impl Slice {
    fn text(&self) -> String {
        let shares: Vec<_> = self.shares.iter().map(|share| percent(*share)).collect();
        row(&shares.join(" "), latencies(&self.latency))
    }
}

/// The slices of a profile together.
fn all_of(latency: &Latency) -> String {
    row("all", latencies(latency))
}

fn latencies(latency: &Latency) -> [String; 3] {
    let Latency { hot, others, .. } = latency;
    [hot.value_at_quantile(0.99), others.value_at_quantile(0.5), others.value_at_quantile(0.99)].map(micros)
}

/// A row of one exchange's columns.
fn row(name: &str, [hot, middle, tail]: [String; 3]) -> String {
    format!("{name:<9}{hot:>12}{middle:>12}{tail:>12}")
}

/// By shard: how much a counter of the status has grown.
fn grown(before: &Value, now: &Value, key: &str) -> Vec<u64> {
    let at = |status: &Value, shard: usize| status["shards"][shard][key].as_u64().unwrap_or(0);
    let shards = now["shards"].as_array().map_or(0, Vec::len);
    (0..shards).map(|shard| at(now, shard).saturating_sub(at(before, shard))).collect()
}

/// What the comparison can show on this machine, and what it cannot.
fn caveat(fixed: &Value, balanced: &Value, busy_max: f64) -> String {
    let mut text = String::new();
    if let Some(why) = balanced["stealing_off"].as_str() {
        text += &format!(
            "  Stealing is off here: {why}, the load generator not counted. What is balanced is by moves\n  alone, and a \
             move cannot part one hot book, only take others out of its way.\n"
        );
    }
    let cores = fixed["cores"].as_u64().unwrap_or(0);
    let shards = fixed["shards"].as_u64().unwrap_or(0);
    if busy_max < NEAR_LIMIT {
        text += &format!(
            "  The busiest shard's thread worked {} of the time: books seldom waited for each other, so the\n  latencies are \
             those of {cores} cores under {} threads and sockets, and differences between the columns are\n  mostly noise. \
             What shows is how the load is spread.\n",
            percent(busy_max),
            // The front, the disk thread and the load generator.
            shards + 3,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counters_grow_by_shard() {
        let status =
            |counts: [u64; 2]| json!({ "shards": counts.map(|arrived| json!({ "arrived": arrived })) });
        assert_eq!(grown(&status([10, 20]), &status([40, 20]), "arrived"), [30, 0]);
        assert_eq!(grown(&Value::Null, &status([4, 5]), "arrived"), [4, 5]);
        assert_eq!(grown(&status([1, 1]), &status([9, 9]), "no such"), [0, 0]);
    }

    #[test]
    fn what_cannot_be_shown_is_said() {
        let few = json!({ "cores": 2, "shards": 2, "stealing_off": "2 cores for 4 threads" });
        let said = caveat(&few, &few, 0.031);
        assert!(said.contains("Stealing is off here: 2 cores for 4 threads"), "{said}");
        assert!(said.contains("thread worked 3% of the time") && said.contains("5 threads"), "{said}");
        let many = json!({ "cores": 16, "shards": 8, "stealing_off": null });
        assert_eq!(caveat(&many, &many, 0.8), "");
    }

    #[test]
    fn the_profiles_are_profiles() {
        for profile in PROFILES {
            assert_eq!(profile.parse::<Profile>().unwrap().to_string(), profile);
        }
    }
}
