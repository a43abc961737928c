//! One HTML page that needs nothing else: no script, no font, no address but its own. Curves are inline SVG; colours
//! follow the reader's light or dark setting.

use core::fmt::Write;

use hdrhistogram::Histogram;

use super::{PERCENTILES, config_lines, duration, grouped, per_second, percent, seconds};
use crate::{Mode, Outcome};

/// Writing to a string cannot fail, so its result is dropped.
macro_rules! put {
    ($text:expr, $($argument:tt)*) => {{ let _ = writeln!($text, $($argument)*); }};
}

const STYLE: &str = "\
:root { color-scheme: light dark; --page: #f7f7f5; --card: #ffffff; --ink: #1c1e21; --soft: #5d646c; --line: #dfe1e4;
  --one: #1d5fd1; --two: #b8500f; --three: #7a828b; --four: #1f8a4c; --warn: #8a4b00; --warn-page: #fff3dc; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14161a; --card: #1d2026; --ink: #e8eaed; --soft: #a0a7b0; --line: #343941;
    --one: #7fb0ff; --two: #ff9d5c; --three: #8d96a0; --four: #6fd39a; --warn: #ffcf85; --warn-page: #3a2c12; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 16px; margin: 0 0 4px; }
p { margin: 0 0 12px; color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; margin-top: 18px;
  overflow-x: auto; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(116px, 1fr)); gap: 10px; margin-top: 18px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px 12px; }
.tile b { display: block; font-size: 19px; white-space: nowrap; font-variant-numeric: tabular-nums; } .tile span { color: var(--soft); font-size: 13px; }
.warning { background: var(--warn-page); color: var(--warn); border-color: currentColor; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 10px; border-bottom: 1px solid var(--line); font-weight: normal; white-space: nowrap; }
th { color: var(--soft); } th:first-child, td:first-child { text-align: left; padding-left: 0; }
.facts td { text-align: left; white-space: normal; } .facts td:first-child { color: var(--soft); width: 9em; }
tr:last-child td { border-bottom: 0; }
svg { display: block; width: 100%; height: auto; min-width: 560px; } svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.grid { stroke: var(--line); } .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.one { stroke: var(--one); } .two { stroke: var(--two); } .three { stroke: var(--three); stroke-dasharray: 5 4; }
.four { stroke: var(--four); }
.key { display: inline-block; width: 18px; height: 0; border-top: 2px solid; vertical-align: middle; margin: 0 6px 0 0; }
.k1 { border-color: var(--one); } .k2 { border-color: var(--two); } .k3 { border-color: var(--three); border-top-style: dashed; }
.k4 { border-color: var(--four); }
.legend { color: var(--soft); font-size: 13px; display: flex; flex-wrap: wrap; gap: 4px 20px; margin-bottom: 8px; }
";

pub(crate) fn page(outcome: &Outcome) -> String {
    let mut page = String::with_capacity(1 << 15);
    let mode = escaped(&outcome.config.mode.to_string());
    put!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>Load: {mode}</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n<main>"
    );
    let lines = config_lines(outcome);
    put!(page, "<h1>{mode}</h1>\n<p>{}</p>", escaped(&lines[1].1));
    for warning in &outcome.warnings {
        put!(page, "<section class=\"warning\">{}</section>", escaped(warning));
    }
    tiles(&mut page, outcome);
    latency(&mut page, outcome);
    rate(&mut page, outcome);
    counts(&mut page, outcome);
    recording(&mut page, outcome);
    put!(page, "<section>\n<h2>What was asked, and where it ran</h2>\n<table class=\"facts\">");
    for (name, value) in &lines {
        put!(page, "<tr><td>{name}</td><td>{}</td></tr>", escaped(value));
    }
    put!(page, "</table>\n</section>\n</main>\n</body>\n</html>");
    page
}

fn tiles(page: &mut String, outcome: &Outcome) {
    let intended = outcome.latency.intended();
    let at = |q| if intended.is_empty() { "-".to_owned() } else { duration(intended.value_at_quantile(q)) };
    put!(page, "<div class=\"tiles\">");
    for (value, name) in [
        (per_second(outcome.sent_rate()), "orders/s sent"),
        (at(0.5), "p50"),
        (at(0.99), "p99"),
        (at(0.999), "p99.9"),
        (at(1.0), "max"),
        (grouped(outcome.counts.in_flight()), "unanswered"),
        (grouped(outcome.counts.rejects.total()), "rejected"),
    ] {
        put!(page, "<div class=\"tile\"><b>{value}</b><span>{name}</span></div>");
    }
    put!(page, "</div>");
}

/// A curve's name, its class number and its points.
type Curve<'a> = (&'a str, u32, Vec<(f64, f64)>);

/// A chart's frame, in the SVG's own units.
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

const FRAME: Frame = Frame { left: 74.0, top: 12.0, width: 810.0, height: 280.0 };

impl Frame {
    fn x(&self, part: f64) -> f64 {
        self.left + self.width * part
    }

    fn y(&self, part: f64) -> f64 {
        self.top + self.height * (1.0 - part)
    }

    fn open(&self, page: &mut String, label: &str, legend: &[Curve<'_>]) {
        put!(page, "<div class=\"legend\">");
        for (name, class, _) in legend {
            put!(page, "<span><i class=\"key k{class}\"></i>{name}</span>");
        }
        put!(
            page,
            "</div>\n<svg viewBox=\"0 0 900 336\" role=\"img\" aria-label=\"{label}\" \
             xmlns=\"http://www.w3.org/2000/svg\">"
        );
    }

    fn horizontal(&self, page: &mut String, part: f64, label: &str) {
        let (y, left, right) = (self.y(part), self.left, self.x(1.0));
        put!(page, "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        put!(page, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", left - 8.0, y + 4.0);
    }

    fn vertical(&self, page: &mut String, part: f64, label: &str) {
        let (x, top, bottom) = (self.x(part), self.top, self.y(0.0));
        put!(page, "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>");
        put!(page, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", bottom + 20.0);
    }

    /// Points as parts of the frame, 0 to 1.
    fn curves(&self, page: &mut String, curves: &[Curve<'_>]) {
        for (name, class, points) in curves {
            let class = ["one", "two", "three", "four"][*class as usize - 1];
            let _ = write!(page, "<polyline class=\"curve {class}\" points=\"");
            for &(x, y) in points {
                let _ = write!(page, "{:.1},{:.1} ", self.x(x.clamp(0.0, 1.0)), self.y(y.clamp(0.0, 1.0)));
            }
            put!(page, "\"><title>{name}</title></polyline>");
        }
    }

    fn close(&self, page: &mut String, axis: &str) {
        put!(
            page,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{axis}</text>\n</svg>",
            self.x(0.5),
            self.y(0.0) + 40.0
        );
    }
}

fn latency(page: &mut String, outcome: &Outcome) {
    let open = matches!(outcome.config.mode, Mode::OpenLoop { .. });
    let intended = outcome.latency.intended();
    let service = &outcome.latency.service;
    let lateness = &outcome.latency.lateness;
    let explanation = if open {
        "From when each request was due, and from when it was sent. Where the two part, requests waited in the \
         generator: because the exchange pushed back, or because the generator was late itself."
    } else {
        "From when each request was sent. In a closed loop a stall of the exchange also stops the requests, so the \
         tail is better than what independent clients would see."
    };
    put!(page, "<section>\n<h2>Latency by percentile</h2>\n<p>{explanation}</p>");
    if intended.is_empty() {
        put!(page, "<p>Nothing was answered.</p>\n</section>");
        return;
    }
    let mut shown: Vec<(&str, u32, &Histogram<u64>)> = vec![];
    if open {
        shown.push(("from due time", 1, &intended));
    }
    shown.push(("from send", 2, service));
    if !outcome.latency.hot.is_empty() {
        shown.push(("other books, from due time", 4, &outcome.latency.others));
    }
    if open {
        shown.push(("generator's lateness", 3, lateness));
    }
    // Both axes are logarithms: of 1 / (1 - share), and of nanoseconds.
    let nines = (intended.len() as f64).log10().ceil().clamp(1.0, 9.0);
    let lowest = shown.iter().map(|(_, _, h)| h.value_at_quantile(0.01)).min().unwrap_or(1).max(100);
    let highest = shown.iter().map(|(_, _, h)| h.max()).max().unwrap_or(1).max(lowest * 10);
    let (bottom, top) = ((lowest as f64).log10().floor(), (highest as f64).log10().ceil());
    let curves: Vec<Curve<'_>> =
        shown.iter().map(|&(name, class, h)| (name, class, by_percentile(h, nines, bottom, top))).collect();
    FRAME.open(page, "Latency by percentile, both axes logarithmic", &curves);
    for decade in bottom as i32..=top as i32 {
        let part = (f64::from(decade) - bottom) / (top - bottom);
        FRAME.horizontal(page, part, &short(10_u64.pow(decade as u32)));
    }
    for nine in 0..=nines as i32 {
        let label = match nine {
            0 => "0%".to_owned(),
            _ if nine == nines as i32 => "max".to_owned(),
            1 => "90%".to_owned(),
            2 => "99%".to_owned(),
            _ => format!("99.{}%", "9".repeat(nine as usize - 2)),
        };
        FRAME.vertical(page, f64::from(nine) / nines, &label);
    }
    FRAME.curves(page, &curves);
    FRAME.close(page, "percentile");
    percentiles(page, outcome, &intended, open);
    put!(page, "</section>");
}

/// Points of a distribution: its percentiles against its values, both as parts of the frame.
fn by_percentile(histogram: &Histogram<u64>, nines: f64, bottom: f64, top: f64) -> Vec<(f64, f64)> {
    const STEPS: u32 = 40;
    let steps = nines as u32 * STEPS;
    (0..=steps)
        .map(|step| {
            let nine = f64::from(step) / f64::from(STEPS);
            // The last point is the maximum, whatever share it stands for.
            let quantile = if step == steps { 1.0 } else { 1.0 - 10_f64.powf(-nine) };
            let value = histogram.value_at_quantile(quantile).max(1) as f64;
            (nine / nines, (value.log10() - bottom) / (top - bottom))
        })
        .collect()
}

fn percentiles(page: &mut String, outcome: &Outcome, intended: &Histogram<u64>, open: bool) {
    let latency = &outcome.latency;
    let mut columns: Vec<(&str, &Histogram<u64>)> = vec![];
    if open {
        columns.push(("from due time", intended));
    }
    columns.extend([
        ("from send", &latency.service),
        ("new", &latency.enter),
        ("cancel", &latency.cancel),
        ("change", &latency.change),
    ]);
    if !latency.hot.is_empty() {
        columns.extend([("hot books", &latency.hot), ("other books", &latency.others)]);
    }
    if open {
        columns.push(("lateness", &latency.lateness));
    }
    put!(page, "<table>\n<tr><th></th>");
    for (name, _) in &columns {
        put!(page, "<th>{name}</th>");
    }
    put!(page, "</tr>");
    for (name, quantile) in PERCENTILES {
        let name = if quantile < 1.0 { format!("p{name}") } else { "max".to_owned() };
        put!(page, "<tr><td>{name}</td>");
        for (_, histogram) in &columns {
            let value = if histogram.is_empty() {
                "-".into()
            } else {
                duration(histogram.value_at_quantile(quantile))
            };
            put!(page, "<td>{value}</td>");
        }
        put!(page, "</tr>");
    }
    put!(page, "</table>");
}

fn rate(page: &mut String, outcome: &Outcome) {
    let series = &outcome.series;
    let interval = series.interval as f64 / 1e9;
    let asked = match outcome.config.mode {
        Mode::OpenLoop { rate } => Some(rate as f64),
        _ => None,
    };
    put!(
        page,
        "<section>\n<h2>Orders a second over time</h2>\n<p>Sent and done with, each {} s. A request is done with when \
         it is answered, or when its order was gone before it.</p>",
        interval
    );
    let last = outcome.answering.max(outcome.sending).as_secs_f64().max(1e-9);
    let count = series.points.len().max(1);
    // The last interval ends when the run does.
    let length =
        |i: usize| if i + 1 == count { (last - i as f64 * interval).max(interval / 10.0) } else { interval };
    let rates = |of: fn(&crate::Point) -> u64| -> Vec<f64> {
        series.points.iter().enumerate().map(|(i, p)| of(p) as f64 / length(i)).collect()
    };
    let (sent, done) = (rates(|p| p.sent), rates(|p| p.done));
    let highest = sent.iter().chain(&done).copied().chain(asked).fold(1.0, f64::max);
    let step = nice(highest / 4.0);
    let top = (highest / step).ceil() * step;
    // Steps: each interval has one rate.
    let stairs = |rates: &[f64]| {
        rates
            .iter()
            .enumerate()
            .flat_map(|(i, &rate)| {
                let begins = i as f64 * interval;
                [(begins / last, rate / top), ((begins + length(i)) / last, rate / top)]
            })
            .collect::<Vec<_>>()
    };
    let mut curves: Vec<Curve<'_>> = vec![("done", 2, stairs(&done)), ("sent", 1, stairs(&sent))];
    if let Some(asked) = asked {
        curves.push(("asked", 3, vec![(0.0, asked / top), (1.0, asked / top)]));
    }
    FRAME.open(page, "Orders a second over time", &curves);
    let mut at = 0.0;
    while at <= top * 1.000_001 {
        FRAME.horizontal(page, at / top, &grouped(at.round() as u64));
        at += step;
    }
    let step = nice(last / 6.0);
    let mut at = 0.0;
    while at <= last {
        FRAME.vertical(page, at / last, &format!("{} s", (at * 1e3).round() / 1e3));
        at += step;
    }
    FRAME.curves(page, &curves);
    FRAME.close(page, "since the start");
    put!(page, "</section>");
}

fn counts(page: &mut String, outcome: &Outcome) {
    let counts = &outcome.counts;
    let sent = counts.sent();
    put!(page, "<section>\n<h2>Requests</h2>\n<table>");
    let mut rows = vec![
        ("new orders".to_owned(), counts.entered),
        ("immediate-or-cancel orders".to_owned(), counts.immediate),
        ("cancels".to_owned(), counts.cancels),
        ("partial cancels".to_owned(), counts.reductions),
        ("replacements".to_owned(), counts.replacements),
        (format!("sent in {}", seconds(outcome.sending)), sent),
        (format!("answered by {}", seconds(outcome.answering)), counts.answered),
        ("came too late".to_owned(), counts.superfluous),
        ("unanswered".to_owned(), counts.in_flight()),
        ("rejected".to_owned(), counts.rejects.total()),
    ];
    rows.extend(
        counts.rejects.by_reason().map(|(code, count)| {
            (format!("rejected, reason {}", super::reason(&outcome.config, code)), count)
        }),
    );
    for (name, count) in rows {
        put!(page, "<tr><td>{name}</td><td>{}</td><td>{}</td></tr>", grouped(count), percent(count, sent));
    }
    put!(
        page,
        "<tr><td>execution reports</td><td>{}</td><td>{} units</td></tr>\n<tr><td>generator's processor time an \
         order</td><td>{}</td><td></td></tr>\n</table>\n</section>",
        grouped(counts.executions),
        grouped(counts.executed_units),
        duration(outcome.processor_ns_per_order() as u64)
    );
}

fn recording(page: &mut String, outcome: &Outcome) {
    let Some((rows, agreement)) = &outcome.recording else { return };
    put!(page, "<section>\n<h2>The recording</h2>\n<p>Every row is counted once.</p>\n<table>");
    let sent = [
        ("new orders sent", rows.sent_new),
        ("partial cancels sent", rows.sent_partial_cancel),
        ("deletes sent", rows.sent_delete),
        ("executions sent", rows.sent_execution),
    ];
    for (name, count) in sent {
        put!(
            page,
            "<tr><td>{name}</td><td>{}</td><td>{}</td></tr>",
            grouped(count),
            percent(count, rows.rows)
        );
    }
    for (reason, count) in rows.skipped().into_iter().filter(|(_, count)| *count > 0) {
        put!(
            page,
            "<tr><td>not sent: {reason}</td><td>{}</td><td>{}</td></tr>",
            grouped(count),
            percent(count, rows.rows)
        );
    }
    put!(page, "</table>\n<p></p>\n<h2>How our fills agree with the recorded executions</h2>\n<table>");
    for (class, count) in [
        ("whole, against the recorded resting order", agreement.rows_recorded_order),
        ("whole, at the recorded price, others taking part", agreement.rows_same_price),
        ("whole, some at a better price", agreement.rows_better_price),
        ("in part", agreement.rows_partly),
        ("not at all", agreement.rows_not),
    ] {
        put!(
            page,
            "<tr><td>{class}</td><td>{}</td><td>{}</td></tr>",
            grouped(count),
            percent(count, rows.sent_execution)
        );
    }
    put!(
        page,
        "<tr><td>units filled against the recorded order</td><td>{} of {}</td><td>{}</td></tr>\n</table>\n</section>",
        grouped(agreement.units_recorded_order),
        grouped(agreement.units_recorded),
        percent(agreement.units_recorded_order, agreement.units_recorded)
    );
}

/// A decade in its unit.
fn short(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        _ => format!("{} s", ns / 1_000_000_000),
    }
}

/// The next step of 1, 2 or 5 times a power of ten.
fn nice(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let digit = step / power;
    power
        * if digit <= 1.0 {
            1.0
        } else if digit <= 2.0 {
            2.0
        } else if digit <= 5.0 {
            5.0
        } else {
            10.0
        }
}

/// Text, with what HTML reads as its own taken away.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_text_is_escaped() {
        for (step, round) in [(0.3, 0.5), (1.0, 1.0), (130.0, 200.0), (7_000.0, 10_000.0)] {
            assert!((nice(step) / round - 1.0).abs() < 1e-9, "{step}");
        }
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
