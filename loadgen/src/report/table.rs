//! The table at the end of a run.

use core::fmt::Write;

use super::{PERCENTILES, config_lines, duration, grouped, per_second, percent, reason, seconds};
use crate::{Mode, Outcome};

/// Writing to a string cannot fail, so its result is dropped.
macro_rules! line {
    ($text:expr, $($argument:tt)*) => {{ let _ = writeln!($text, $($argument)*); }};
}

pub(crate) fn text(outcome: &Outcome) -> String {
    let mut text = String::with_capacity(4_096);
    for (index, (name, value)) in config_lines(outcome).into_iter().enumerate() {
        // The first line is the mode alone: open or closed is the first thing to know.
        if index == 0 { line!(text, "{value}") } else { line!(text, "  {name:<12} {value}") }
    }
    counts(&mut text, outcome);
    latencies(&mut text, outcome);
    recording(&mut text, outcome);
    for warning in &outcome.warnings {
        line!(text, "WARNING: {warning}");
    }
    text
}

fn counts(text: &mut String, outcome: &Outcome) {
    let counts = &outcome.counts;
    let sent = counts.sent();
    line!(text, "");
    let asked = match outcome.config.mode {
        Mode::OpenLoop { rate } => format!(" of {} asked", grouped(rate)),
        _ => String::new(),
    };
    line!(
        text,
        "sent          {:>12}  in {}: {} orders/s{asked}",
        grouped(sent),
        seconds(outcome.sending),
        per_second(outcome.sent_rate())
    );
    for (name, count) in [
        ("new", counts.entered),
        ("immediate", counts.immediate),
        ("cancel", counts.cancels),
        ("partial", counts.reductions),
        ("replace", counts.replacements),
    ] {
        line!(text, "  {name:<11} {:>12}  {}", grouped(count), percent(count, sent));
    }
    line!(
        text,
        "answered      {:>12}  by {}: {} orders/s, those that needed no answer included",
        grouped(counts.answered),
        seconds(outcome.answering),
        per_second(outcome.done_rate())
    );
    line!(text, "superfluous   {:>12}  cancels and changes that came too late", grouped(counts.superfluous));
    line!(text, "unanswered    {:>12}", grouped(counts.in_flight()));
    line!(text, "rejected      {:>12}", grouped(counts.rejects.total()));
    for (code, count) in counts.rejects.by_reason() {
        line!(text, "  reason {:>4} {:>12}", reason(&outcome.config, code), grouped(count));
    }
    line!(
        text,
        "executions    {:>12}  reports, {} units; a trade has two",
        grouped(counts.executions),
        grouped(counts.executed_units)
    );
    if let Some(canceled) = outcome.cleaned_up {
        line!(
            text,
            "cleaned up    {:>12}  orders that still rested, after the measurement",
            grouped(canceled)
        );
    }
    line!(
        text,
        "generator     {:>12}  of processor time an order; {} times out of room",
        duration(outcome.processor_ns_per_order() as u64),
        grouped(outcome.stalls)
    );
}

fn latencies(text: &mut String, outcome: &Outcome) {
    let latency = &outcome.latency;
    let intended = latency.intended();
    // A closed loop has no due times: both columns would say the same.
    let open = matches!(outcome.config.mode, Mode::OpenLoop { .. });
    let mut columns = vec![];
    if open {
        columns.push(("from due time", &intended));
    }
    columns.extend([
        ("from send", &latency.service),
        ("new", &latency.enter),
        ("cancel", &latency.cancel),
        ("change", &latency.change),
    ]);
    // A profile without hot books has one class, which the first column shows.
    if !latency.hot.is_empty() {
        columns.extend([("hot books", &latency.hot), ("other books", &latency.others)]);
    }
    if open {
        columns.push(("lateness", &latency.lateness));
    }
    line!(text, "");
    let _ = write!(text, "{:<12}", "latency");
    for (name, _) in &columns {
        let _ = write!(text, "{name:>15}");
    }
    line!(text, "");
    for (name, quantile) in PERCENTILES {
        let name = if quantile < 1.0 { format!("p{name}") } else { "max".to_owned() };
        let _ = write!(text, "  {name:<10}");
        for (_, histogram) in &columns {
            let value = if histogram.is_empty() {
                "-".into()
            } else {
                duration(histogram.value_at_quantile(quantile))
            };
            let _ = write!(text, "{value:>15}");
        }
        line!(text, "");
    }
    let _ = write!(text, "  {:<10}", "answers");
    for (_, histogram) in &columns {
        let _ = write!(text, "{:>15}", grouped(histogram.len()));
    }
    line!(text, "");
    if open {
        line!(
            text,
            "  new, cancel, change and books count from the due time; lateness is the generator's own"
        );
    }
}

fn recording(text: &mut String, outcome: &Outcome) {
    let Some((rows, agreement)) = &outcome.recording else { return };
    line!(text, "");
    line!(text, "recording     {:>12}  rows", grouped(rows.rows));
    line!(
        text,
        "  sent        {:>12}  {} new, {} partial cancels, {} deletes, {} executions",
        grouped(rows.sent()),
        grouped(rows.sent_new),
        grouped(rows.sent_partial_cancel),
        grouped(rows.sent_delete),
        grouped(rows.sent_execution)
    );
    for (reason, count) in rows.skipped().into_iter().filter(|(_, count)| *count > 0) {
        line!(text, "  not sent    {:>12}  {reason}", grouped(count));
    }
    line!(text, "executions sent, and how our book filled them");
    for (class, count) in [
        ("whole, against the recorded resting order", agreement.rows_recorded_order),
        ("whole, at the recorded price, others taking part", agreement.rows_same_price),
        ("whole, some at a better price", agreement.rows_better_price),
        ("in part", agreement.rows_partly),
        ("not at all", agreement.rows_not),
    ] {
        line!(text, "  {:>12} {:>7}  {class}", grouped(count), percent(count, rows.sent_execution));
    }
    let units = agreement.units_recorded;
    line!(
        text,
        "  of {} units: {} ({}) against the recorded order, {} at its price, {} at a better one",
        grouped(units),
        grouped(agreement.units_recorded_order),
        percent(agreement.units_recorded_order, units),
        grouped(agreement.units_same_price),
        grouped(agreement.units_better_price)
    );
    line!(
        text,
        "  {} units traded as new orders came in, which rested in the recording",
        grouped(agreement.units_on_entry)
    );
}
