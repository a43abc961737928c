//! `exchange load`: the command line of the load generator.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::{Instrument, Symbol};
use loadgen::{
    LoadError, Mode, Outcome, Progress, Protocol, Snapshot, Source, Stop, Tls, User, Version, Wait,
};

use crate::{
    cli,
    config::{Config, Login},
    say::say,
};

/// Prints a line for each snapshot, on standard error: standard output is for the result.
struct Lines;

impl Progress for Lines {
    fn snapshot(&mut self, snapshot: &Snapshot) {
        eprintln!(
            "{:6.1} s  sent {:>10}  answered {:>10}  rejected {:>6}  {:>9.0}/s  p50 {:>9}  p99 {:>9}",
            snapshot.elapsed.as_secs_f64(),
            snapshot.sent,
            snapshot.answered,
            snapshot.rejected,
            snapshot.rate,
            micros(snapshot.p50),
            micros(snapshot.p99),
        );
    }
}

/// Nanoseconds as people read them.
pub(crate) fn micros(nanos: u64) -> String {
    format!("{:.1} us", nanos as f64 / 1e3)
}

impl cli::ClientTls {
    /// The files that were named; `None` when none were.
    pub(crate) fn read(&self) -> Result<Option<Tls>, String> {
        let Some(file) = &self.tls_ca else { return Ok(None) };
        let own = self.tls_cert.as_deref().zip(self.tls_key.as_deref());
        let tls = Tls::from_files(file, self.tls_name.as_deref(), own);
        tls.map(Some).map_err(|error| format!("TLS: {error}"))
    }
}

/// Users of a configuration who speak SoupBinTCP, as the load generator wants them.
pub(crate) fn users(config: &Config) -> Vec<User> {
    config
        .users
        .iter()
        .filter_map(|user| match &user.login {
            Login::Soup { username, password } => Some(User {
                name: username.to_string(),
                password: String::from_utf8_lossy(&password.canonical()).trim_end().to_owned(),
            }),
            Login::Fix { .. } => None,
        })
        .collect()
}

/// Those who speak FIX.
fn fix_users(config: &Config) -> Vec<User> {
    config
        .users
        .iter()
        .filter_map(|user| match &user.login {
            Login::Fix { password } => {
                let name = String::from_utf8_lossy(user.name.trimmed()).into_owned();
                Some(User { name, password: password.clone() })
            }
            Login::Soup { .. } => None,
        })
        .collect()
}

/// The configuration of a load run.
pub(crate) fn load_config(args: &cli::Load, cancel: Arc<AtomicBool>) -> Result<loadgen::Config, String> {
    let exchange = Config::load(args.config.as_deref())?;
    let mut config = loadgen::Config::new(args.target, exchange.instruments.clone());
    config.users = if args.protocol == "fix" { fix_users(&exchange) } else { users(&exchange) };
    if config.users.is_empty() {
        return Err(format!(
            "the exchange's configuration has no user who speaks {}: give users a protocol = \"{}\" there, and name the \
             file with --config",
            args.protocol, args.protocol
        ));
    }
    if args.protocol == "fix" {
        let version = if args.fix_version == "4.4" { Version::Fix44 } else { Version::Fix50Sp2 };
        let configured = exchange.fix.as_ref().map(|fix| fix.comp_id.clone());
        let target = args.target_comp_id.clone().or(configured).unwrap_or_else(|| "FULCRUM".to_owned());
        config.protocol = Protocol::Fix { target, version };
    }
    config.tls = args.tls.read()?;
    config.sessions = args.sessions;
    config.seed = args.seed;
    config.clean_up = !args.leave;
    config.report.clone_from(&args.report);
    config.cancel = cancel;
    config.wait = if args.wait == "spin" { Wait::Spin } else { Wait::Block };
    config.stop = match args.count {
        Some(count) => Stop::Count(count),
        None => Stop::After(duration(&args.duration)?),
    };
    config.mode = match (args.closed_loop, args.rate, &args.lobster) {
        (Some(in_flight), _, _) => Mode::ClosedLoop { in_flight: in_flight as usize },
        (None, Some(rate), _) => Mode::OpenLoop { rate },
        // A recording is played as fast as it goes, in order, unless a rate is asked for.
        (None, None, Some(_)) => Mode::Flood { window: 1_024 },
        (None, None, None) => Mode::OpenLoop { rate: 10_000 },
    };
    if let Some(file) = &args.lobster {
        config.instruments = vec![recorded(args.symbol.as_deref(), file, &exchange.instruments)?];
        config.sessions = 1;
        config.source = Source::Lobster(file.clone());
        if args.count.is_none() {
            config.stop = Stop::Count(u64::MAX);
        }
        config.clean_up = false;
    } else {
        config.source = Source::Profile(args.profile.parse().map_err(|error| format!("--profile: {error}"))?);
    }
    Ok(config)
}

/// The instrument that a recording is for.
fn recorded(symbol: Option<&str>, file: &Path, instruments: &[Instrument]) -> Result<Instrument, String> {
    let name = match symbol {
        Some(symbol) => symbol.to_owned(),
        None => {
            let file = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            file.split('_').next().unwrap_or_default().to_owned()
        }
    };
    Symbol::new(&name)
        .and_then(|symbol| instruments.iter().find(|instrument| instrument.symbol == symbol))
        .copied()
        .ok_or_else(|| {
            format!("the exchange's configuration has no instrument \"{name}\": name one with --symbol")
        })
}

/// A duration as people write it: 10s, 500ms, 2m.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("\"{text}\" is no duration ({error}): write it as 10s, 500ms or 2m"))
}

/// The command.
pub(crate) fn load(args: &cli::Load) -> Result<(), String> {
    let cancel = Arc::new(AtomicBool::new(false));
    // The first interrupt ends the run with its result, the second the process.
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&cancel))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&cancel)))
            .map_err(|error| format!("cannot watch signals: {error}"))?;
    }
    let config = load_config(args, Arc::clone(&cancel))?;
    let outcome = if args.json {
        run(&config, &mut ())?
    } else {
        say!("{} against {}, {}", config.mode, config.target, config.protocol);
        run(&config, &mut Lines)?
    };
    if args.json {
        say!("{}", outcome.json());
    } else {
        say!("{}", outcome.table());
        if let Some(dir) = &args.report {
            say!("report: {}", dir.join("report.html").display());
        }
    }
    if cancel.load(Ordering::Relaxed) {
        return Err("interrupted: the numbers are of what was sent until then".into());
    }
    Ok(())
}

fn run(config: &loadgen::Config, progress: &mut dyn Progress) -> Result<Outcome, String> {
    loadgen::run(config, progress).map_err(|error| {
        // What was measured until then is worth having.
        if let LoadError::Interrupted { partial, .. } = &error {
            eprintln!("{}", partial.table());
        }
        error.to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_and_others_are_refused() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "10", "s", "-1s", "10 parsecs"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
