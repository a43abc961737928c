//! The exchange: one binary. Here its parts are put together, and nowhere else.
#![forbid(unsafe_code)]

mod agenda;
mod audit;
mod balance_events;
mod books;
mod child;
mod cli;
mod clock;
mod config;
mod day;
mod demo;
mod drill;
mod follower;
mod front;
mod hints;
mod inspect;
mod keeping;
mod keys;
mod load;
mod placement;
mod recovery;
mod repair;
mod replay;
mod replication;
mod route;
mod run;
mod say;
mod sequencer;
mod simulate;
mod snapshot;
mod status;
mod top;
mod topology;
mod users;
mod wake;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use replication::control::{self, Request};

/// Asks a node of a pair, and prints its answer.
fn ask(data: &std::path::Path, request: Request) -> Result<(), String> {
    say::say!("{}", control::ask(data, request)?);
    Ok(())
}

fn main() -> ExitCode {
    let args = cli::Cli::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"))
        .format_timestamp_micros()
        .format_target(false)
        .init();
    let result = match &args.command {
        cli::Command::Demo(demo) => demo::demo(demo),
        cli::Command::Drill(args) => drill::drill(args),
        cli::Command::Run(run) => run::run(run),
        cli::Command::Standby(standby) => run::standby(standby),
        cli::Command::Promote(promote) => ask(&promote.data, Request::Promote { force: promote.force }),
        cli::Command::Switch(args) => ask(&args.data, Request::Switch),
        cli::Command::Alone(args) => ask(&args.data, Request::Alone),
        cli::Command::Node(args) => ask(&args.data, Request::Status),
        cli::Command::Placement(args) => placement::placement(args),
        cli::Command::Route(args) => route::route(args),
        cli::Command::Top(top) => top::top(top),
        cli::Command::Watch(args) => watch::watch(args),
        cli::Command::Load(load) => load::load(load),
        cli::Command::Journal(journal) => inspect::journal(journal),
        cli::Command::Repair(repair) => repair::repair(repair),
        cli::Command::Replay(replay) => replay::replay(replay),
        cli::Command::Snapshot(args) => snapshot::snapshot(args),
        cli::Command::Keys(keys) => keys::keys(keys),
        cli::Command::User(args) => users::command::user(args),
        cli::Command::DevCert(args) => keys::dev_cert(args),
        cli::Command::Simulate(simulate) => simulate::simulate(simulate),
        cli::Command::Config => {
            say::say!("{}", config::DEFAULT.trim_end());
            Ok(())
        }
        cli::Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut cli::Cli::command(), "exchange", &mut std::io::stdout());
            Ok(())
        }
        cli::Command::Man => clap_mangen::Man::new(cli::Cli::command())
            .render(&mut std::io::stdout())
            .map_err(|error| format!("cannot write the manual page: {error}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("exchange: {error}");
            ExitCode::FAILURE
        }
    }
}
