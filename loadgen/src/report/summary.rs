//! `summary.json`: stable names, units in the names.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::PERCENTILES;
use crate::{Agreement, Mode, Outcome, Protocol, Rows, Source, Stop, Wait};

/// The version of the names below: it goes up when one changes its meaning or goes away.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Summary {
    version: u32,
    loop_kind: &'static str,
    mode: String,
    protocol: String,
    tls: bool,
    asked_orders_per_s: Option<u64>,
    window_orders: Option<u64>,
    source: String,
    seed: u64,
    sessions: usize,
    instruments: usize,
    stop_after_s: Option<f64>,
    stop_after_orders: Option<u64>,
    wait: &'static str,
    machine_cores: usize,
    machine_processor: String,
    sending_s: f64,
    answering_s: f64,
    sent_orders_per_s: f64,
    done_orders_per_s: f64,
    generator_processor_ns_per_order: f64,
    generator_stalls: u64,
    requests: Requests,
    rejects_by_reason: Vec<Reject>,
    latency_ns: Latencies,
    series: Series,
    recording: Option<Recording>,
    cleaned_up_orders: Option<u64>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Requests {
    sent: u64,
    new: u64,
    immediate: u64,
    cancel: u64,
    partial_cancel: u64,
    replace: u64,
    answered: u64,
    superfluous: u64,
    unanswered: u64,
    rejected: u64,
    unexpected_messages: u64,
    execution_reports: u64,
    executed_units: u64,
}

#[derive(Serialize)]
struct Reject {
    /// OUCH's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    ouch_reason: Option<u16>,
    /// OrdRejReason (103) or CxlRejReason (102).
    #[serde(skip_serializing_if = "Option::is_none")]
    fix_reason: Option<u16>,
    count: u64,
}

#[derive(Serialize)]
struct Latencies {
    from_due_time: Distribution,
    from_send: Distribution,
    new_from_due_time: Distribution,
    cancel_from_due_time: Distribution,
    change_from_due_time: Distribution,
    hot_books_from_due_time: Distribution,
    other_books_from_due_time: Distribution,
    generator_lateness: Distribution,
}

#[derive(Serialize)]
struct Distribution {
    count: u64,
    min: u64,
    mean: f64,
    max: u64,
    percentiles: Vec<Percentile>,
}

#[derive(Serialize)]
struct Percentile {
    percentile: &'static str,
    ns: u64,
}

#[derive(Serialize)]
struct Series {
    interval_ns: u64,
    sent: Vec<u64>,
    done: Vec<u64>,
}

#[derive(Serialize)]
struct Recording {
    rows: Rows,
    agreement: Agreement,
}

impl Distribution {
    fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            min: histogram.min(),
            mean: histogram.mean(),
            max: histogram.max(),
            percentiles: PERCENTILES
                .into_iter()
                .map(|(percentile, q)| Percentile { percentile, ns: histogram.value_at_quantile(q) })
                .collect(),
        }
    }
}

pub(crate) fn json(outcome: &Outcome) -> String {
    let config = &outcome.config;
    let counts = &outcome.counts;
    let latency = &outcome.latency;
    let summary = Summary {
        version: VERSION,
        loop_kind: if matches!(config.mode, Mode::OpenLoop { .. }) { "open" } else { "closed" },
        mode: config.mode.to_string(),
        protocol: config.protocol.to_string(),
        tls: config.tls.is_some(),
        asked_orders_per_s: match config.mode {
            Mode::OpenLoop { rate } => Some(rate),
            _ => None,
        },
        window_orders: match config.mode {
            Mode::OpenLoop { .. } => None,
            Mode::ClosedLoop { in_flight } => Some(in_flight.saturating_mul(config.sessions_used()) as u64),
            Mode::Flood { window } => Some(window as u64),
        },
        source: match &config.source {
            Source::Profile(profile) => profile.to_string(),
            Source::Lobster(path) => {
                format!("lobster:{}", path.file_name().unwrap_or_default().to_string_lossy())
            }
        },
        seed: config.seed,
        sessions: config.sessions_used(),
        instruments: config.instruments.len(),
        stop_after_s: match config.stop {
            Stop::After(time) => Some(time.as_secs_f64()),
            Stop::Count(_) => None,
        },
        stop_after_orders: match config.stop {
            Stop::After(_) | Stop::Count(u64::MAX) => None,
            Stop::Count(count) => Some(count),
        },
        wait: match config.wait {
            Wait::Block => "block",
            Wait::Spin => "spin",
        },
        machine_cores: outcome.machine.cores,
        machine_processor: outcome.machine.processor.clone(),
        sending_s: outcome.sending.as_secs_f64(),
        answering_s: outcome.answering.as_secs_f64(),
        sent_orders_per_s: outcome.sent_rate(),
        done_orders_per_s: outcome.done_rate(),
        generator_processor_ns_per_order: outcome.processor_ns_per_order(),
        generator_stalls: outcome.stalls,
        requests: Requests {
            sent: counts.sent(),
            new: counts.entered,
            immediate: counts.immediate,
            cancel: counts.cancels,
            partial_cancel: counts.reductions,
            replace: counts.replacements,
            answered: counts.answered,
            superfluous: counts.superfluous,
            unanswered: counts.in_flight(),
            rejected: counts.rejects.total(),
            unexpected_messages: counts.unexpected,
            execution_reports: counts.executions,
            executed_units: counts.executed_units,
        },
        rejects_by_reason: counts
            .rejects
            .by_reason()
            .map(|(reason, count)| {
                let is_soup = config.protocol == Protocol::Soup;
                Reject {
                    ouch_reason: is_soup.then_some(reason),
                    fix_reason: (!is_soup).then_some(reason),
                    count,
                }
            })
            .collect(),
        latency_ns: Latencies {
            from_due_time: Distribution::of(&latency.intended()),
            from_send: Distribution::of(&latency.service),
            new_from_due_time: Distribution::of(&latency.enter),
            cancel_from_due_time: Distribution::of(&latency.cancel),
            change_from_due_time: Distribution::of(&latency.change),
            hot_books_from_due_time: Distribution::of(&latency.hot),
            other_books_from_due_time: Distribution::of(&latency.others),
            generator_lateness: Distribution::of(&latency.lateness),
        },
        series: Series {
            interval_ns: outcome.series.interval,
            sent: outcome.series.points.iter().map(|p| p.sent).collect(),
            done: outcome.series.points.iter().map(|p| p.done).collect(),
        },
        recording: outcome.recording.map(|(rows, agreement)| Recording { rows, agreement }),
        cleaned_up_orders: outcome.cleaned_up,
        warnings: outcome.warnings.clone(),
    };
    let mut text = serde_json::to_string_pretty(&summary).expect("plain structs become JSON");
    text.push('\n');
    text
}
