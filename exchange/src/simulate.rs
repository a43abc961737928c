//! `exchange simulate`: the command line of the simulator.

mod calibrate;

use std::{fs, num::NonZero, path::Path, sync::Arc, thread};

use engine::balance::{BalanceMode, PlacementPolicy};
use serde_json::{Value, json};
use simulator::{
    Arm, Bursts, Costs, Scenario, Shape, read_rates,
    report::{Cell, Report},
    study,
};

use crate::{cli, load::duration, say::say};

/// The command.
pub(crate) fn simulate(args: &cli::Simulate) -> Result<(), String> {
    if args.calibrate {
        return calibrate::calibrate(args);
    }
    let base = scenario(args)?;
    let arms = arms(args)?;
    let report = if args.table {
        let progress = |done: usize, all: usize| {
            if done == all || done.is_multiple_of(12) {
                eprintln!("{done} of {all} machines");
            }
        };
        let equities = match &args.rates {
            Some(_) => base.shape.clone(),
            None => "us-equities".parse()?,
        };
        let threads = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        study::Tables { base, arms, equities, quick: args.quick, threads }.run(&progress)
    } else {
        study::one(&base, &arms, args.quick)
    };
    if let Some(file) = &args.html {
        write(file, &report.html())?;
    }
    if args.json {
        say!("{}", as_json(&report));
    } else {
        say!("{}", report.text().trim_end());
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

fn scenario(args: &cli::Simulate) -> Result<Scenario, String> {
    let shape = match (&args.rates, args.zipf) {
        (Some(file), _) => {
            let rates = read_rates(&read(file)?).map_err(|error| format!("{}: {error}", file.display()))?;
            Shape::Equities(Arc::new(rates))
        }
        (None, Some(exponent)) => format!("zipf:{exponent}").parse()?,
        (None, None) => args.profile.parse().map_err(|error| format!("--profile: {error}"))?,
    };
    if !(args.load > 0.0 && args.load <= 200.0) {
        return Err(format!("--load {}: a load is above 0 and at most 200 percent", args.load));
    }
    let row = args.row.unwrap_or(args.burst);
    if !(args.burst >= 1.0 && args.burst <= 1e6 && row >= 1.0 && row <= args.burst) {
        return Err("--burst is at least 1, and --row from 1 to --burst".into());
    }
    let mut scenario = Scenario::new(args.cores, args.books, shape, args.load / 100.0);
    scenario.seed = args.seed;
    scenario.bursts = Bursts { mean: args.burst, row_mean: row };
    let usual = if args.table { 1_000_000 } else { 2_000_000 };
    scenario.commands = args.commands.unwrap_or(if args.quick { usual / 10 } else { usual }).max(1_000);
    if let Some(file) = &args.costs {
        scenario.costs =
            read(file)?.parse::<Costs>().map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if let Some(nanos) = args.scheduling {
        scenario.costs.scheduling_nanos = nanos;
    }
    Ok(scenario)
}

fn arms(args: &cli::Simulate) -> Result<Vec<Arm>, String> {
    let mut arms = if args.placement.is_none() && args.balance.is_none() {
        study::standard_arms()
    } else {
        let placement = args.placement.as_deref().map_or(Ok(PlacementPolicy::Hash), str::parse)?;
        let balance = args.balance.as_deref().map_or(Ok(BalanceMode::Off), str::parse)?;
        let name = if args.balance.is_some() { balance.name() } else { placement.name() };
        vec![Arm::new(name, placement, balance)]
    };
    let period = u64::try_from(duration(&args.period)?.as_nanos()).unwrap_or(u64::MAX);
    if !(10_000..=10_000_000_000).contains(&period) {
        return Err(format!("--period {}: from 10us to 10s", args.period));
    }
    for arm in &mut arms {
        (arm.batch, arm.publish) = (args.batch, args.publish);
        (arm.tuning.period_nanos, arm.tuning.predict) = (period, args.predict);
    }
    Ok(arms)
}

fn as_json(report: &Report) -> Value {
    let cell = |cell: &Cell| match *cell {
        Cell::Nanos(nanos) => json!(nanos),
        Cell::Ratio(ratio) => json!(ratio),
        Cell::Count(count) => json!(count),
    };
    let facts: serde_json::Map<_, _> =
        report.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let tables = report.tables.iter().map(|table| {
        let rows = table.rows.iter().map(
            |(name, cells)| json!({ "name": name, "cells": cells.iter().map(cell).collect::<Vec<_>>() }),
        );
        json!({ "title": table.title, "remark": table.remark, "columns": table.columns,
                "rows": rows.collect::<Vec<_>>() })
    });
    let charts = report.charts.iter().map(|chart| {
        let curves = chart.curves.iter().map(|(name, points)| json!({ "name": name, "points": points }));
        json!({ "title": chart.title, "axis": chart.axis, "curves": curves.collect::<Vec<_>>() })
    });
    json!({ "title": report.title, "facts": facts, "tables": tables.collect::<Vec<_>>(),
            "charts": charts.collect::<Vec<_>>() })
}
