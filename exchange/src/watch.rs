//! `exchange watch`: builds the books of a feed, as any client of it would, and prints the best prices.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use client::{ClientError, User};
use domain::Side;
use feed::client::{Access, Addresses, ClientBook, Subscriber};
use serde_json::json;

use crate::{cli, say::say, users::prompt};

/// How long the sockets are left alone when nothing came.
const PAUSE: Duration = Duration::from_millis(1);
/// Without a snapshot after so long, something is wrong with the addresses.
const PATIENCE: Duration = Duration::from_secs(10);

/// The environment's variable with the password.
const PASSWORD: &str = "EXCHANGE_PASSWORD";

/// The command.
pub(crate) fn watch(args: &cli::Watch) -> Result<(), String> {
    let every = Duration::try_from_secs_f64(args.every)
        .map_err(|_| format!("--every {}: seconds, from 0", args.every))?;
    let addresses = Addresses {
        mold: args.mold,
        interface: args.interface,
        rerequest: args.rerequest,
        snapshot: args.snapshot,
    };
    let listening = |error| format!("cannot listen on {}: {error}", args.mold);
    let mut subscriber = Subscriber::new(addresses).map_err(listening)?;
    subscriber.ask_for_snapshots_as(access(args)?);
    let begun = Instant::now();
    let mut next = begun + every;
    let mut shown = BTreeMap::new();
    let mut session = None;
    loop {
        if !subscriber.turn().map_err(listening)? {
            std::thread::sleep(PAUSE);
        }
        if subscriber.session() != session && subscriber.whole_up_to().is_some() {
            session = subscriber.session();
            shown.clear();
            let name = String::from_utf8_lossy(&session.unwrap_or_default()).into_owned();
            tell(args, &format!("session {name}"), &json!({ "event": "session", "session": name }));
        }
        let now = Instant::now();
        if let Some(refused @ ClientError::LoginRefused { .. }) = subscriber.trouble() {
            return Err(format!("{refused}; --user says as whom to log in"));
        }
        if session.is_none() && now.duration_since(begun) > PATIENCE {
            let why = subscriber.trouble().map(|trouble| format!(": {trouble}")).unwrap_or_default();
            return Err(format!("no snapshot from {} in {} s{why}", args.snapshot, PATIENCE.as_secs()));
        }
        let is_due = if args.once { subscriber.whole_up_to().is_some() } else { now >= next };
        if is_due {
            next = now + every;
            for (_, book) in subscriber.books().iter() {
                let is_wanted = args.symbol.is_empty() || args.symbol.contains(&book.symbol);
                let (text, value) = lines(book, args.depth);
                if is_wanted && shown.get(&book.symbol) != Some(&text) {
                    tell(args, &text, &value);
                    shown.insert(book.symbol.clone(), text);
                }
            }
        }
        if args.once && is_due {
            let known = |symbol: &&String| subscriber.books().iter().any(|(_, book)| book.symbol == **symbol);
            return match args.symbol.iter().find(|symbol| !known(symbol)) {
                Some(unknown) => Err(format!("the feed has no {unknown}")),
                None => Ok(()),
            };
        }
    }
}

/// How snapshots are asked for.
fn access(args: &cli::Watch) -> Result<Access, String> {
    let mut access = Access { tls: args.tls.read()?, ..Access::default() };
    if let Some(name) = &args.user {
        let password = match &args.password_file {
            Some(file) => prompt::password_file(file)?,
            None => std::env::var(PASSWORD).map_err(|_| {
                format!("--user {name}: the password is in --password-file FILE, or in the environment's {PASSWORD}")
            })?,
        };
        access.user = User { name: name.clone(), password };
    }
    Ok(access)
}

fn tell(args: &cli::Watch, text: &str, value: &serde_json::Value) {
    if args.json {
        say!("{value}");
    } else {
        say!("{text}");
    }
}

/// A book as text and as JSON: the best prices of both sides, the last trade, the volume.
fn lines(book: &ClientBook, depth: usize) -> (String, serde_json::Value) {
    let [bids, asks] = [Side::Buy, Side::Sell].map(|side| book.levels(side, depth));
    let mut text = format!("{:<8}", book.symbol);
    for at in 0..bids.len().max(asks.len()).max(1) {
        if at > 0 {
            text += &format!("\n{:8}", "");
        }
        let bid = bids.get(at).map(|(price, shares)| format!("{shares} @ {}", decimal(*price)));
        let ask = asks.get(at).map(|(price, shares)| format!("{} @ {shares}", decimal(*price)));
        text += &format!("{:>22} | {:<22}", bid.unwrap_or_default(), ask.unwrap_or_default());
        if at == 0
            && let Some(last) = book.last
        {
            text += &format!(" last {} x {}, {} traded", decimal(last.price), last.shares, book.volume);
        }
        text.truncate(text.trim_end().len());
    }
    let levels = |levels: &[(u32, u64)]| -> Vec<_> {
        levels.iter().map(|(price, shares)| json!([decimal(*price), shares])).collect()
    };
    let value = json!({
        "event": "book",
        "symbol": book.symbol,
        "bids": levels(&bids),
        "asks": levels(&asks),
        "last": book.last.map(|last| json!([decimal(last.price), last.shares])),
        "volume": book.volume,
    });
    (text, value)
}

/// Ten-thousandths with the decimals that they need, but two at least.
fn decimal(e4: u32) -> String {
    let (whole, fraction) = (e4 / 10_000, e4 % 10_000);
    if fraction.is_multiple_of(100) {
        format!("{whole}.{:02}", fraction / 100)
    } else {
        format!("{whole}.{fraction:04}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        for (e4, text) in [(5_853_300, "585.33"), (1, "0.0001"), (70_000, "7.00"), (1_234_550, "123.4550")] {
            assert_eq!(decimal(e4), text);
        }
    }
}
