//! A report as one page that needs nothing else: no script, no font, no address. Curves are inline SVG; colours follow
//! the reader's light or dark setting.

use std::fmt::Write;

use super::{Chart, Report, time};

/// Writing to a string cannot fail, so its result is dropped.
macro_rules! put {
    ($text:expr, $($argument:tt)*) => {{ let _ = writeln!($text, $($argument)*); }};
}

const STYLE: &str = "\
:root { color-scheme: light dark; --page: #f7f7f5; --card: #fff; --ink: #1c1e21; --soft: #5d646c; --line: #dfe1e4; }
@media (prefers-color-scheme: dark) { :root { --page: #14161a; --card: #1d2026; --ink: #e8eaed; --soft: #a0a7b0; --line: #343941; } }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 16px; margin: 0 0 4px; } p { margin: 0 0 12px; color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; margin-top: 18px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 10px; border-bottom: 1px solid var(--line); font-weight: normal; white-space: nowrap; }
th { color: var(--soft); } th:first-child, td:first-child { text-align: left; padding-left: 0; }
.facts td { text-align: left; white-space: normal; } .facts td:first-child { color: var(--soft); width: 9em; }
svg { display: block; width: 100%; height: auto; min-width: 560px; } svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.grid { stroke: var(--line); } polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
.legend { color: var(--soft); font-size: 13px; display: flex; flex-wrap: wrap; gap: 4px 20px; margin-bottom: 8px; }
.key { display: inline-block; width: 18px; border-top: 3px solid; vertical-align: middle; margin-right: 6px; }
";

/// Colours that stand apart on light and on dark, in the order of the curves.
const COLOURS: [&str; 8] =
    ["#7a828b", "#1d6fd1", "#d0601a", "#2a9d5c", "#a04bc4", "#c03a5b", "#9a8418", "#149aa5"];

/// The frame of a chart, in the SVG's own units.
const LEFT: f64 = 74.0;
const TOP: f64 = 12.0;
const WIDTH: f64 = 810.0;
const HEIGHT: f64 = 300.0;

impl Report {
    /// As a page of HTML that needs no other file.
    #[must_use]
    pub fn html(&self) -> String {
        let title = escaped(&self.title);
        let mut page = String::with_capacity(1 << 15);
        put!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
             </head>\n<body>\n<main>\n<h1>{title}</h1>"
        );
        for chart in &self.charts {
            draw(&mut page, chart);
        }
        for table in &self.tables {
            put!(page, "<section>\n<h2>{}</h2>\n<p>{}</p>", escaped(&table.title), escaped(&table.remark));
            put!(page, "<table>\n<tr>");
            for column in &table.columns {
                put!(page, "<th>{}</th>", escaped(column));
            }
            put!(page, "</tr>");
            for (name, cells) in &table.rows {
                let cells = cells.iter().map(|cell| format!("<td>{}</td>", cell.text())).collect::<String>();
                put!(page, "<tr><td>{}</td>{cells}</tr>", escaped(name));
            }
            put!(page, "</table>\n</section>");
        }
        put!(page, "<section>\n<h2>What was asked</h2>\n<table class=\"facts\">");
        for (name, value) in &self.facts {
            put!(page, "<tr><td>{name}</td><td>{}</td></tr>", escaped(value));
        }
        put!(page, "</table>\n</section>\n</main>\n</body>\n</html>");
        page
    }
}

fn draw(page: &mut String, chart: &Chart) {
    put!(page, "<section>\n<h2>{}</h2>\n<p>{}</p>", escaped(&chart.title), escaped(&chart.remark));
    put!(page, "<div class=\"legend\">");
    let coloured = || chart.curves.iter().zip(COLOURS.iter().cycle());
    for ((name, _), colour) in coloured() {
        put!(page, "<span><i class=\"key\" style=\"border-color: {colour}\"></i>{}</span>", escaped(name));
    }
    put!(page, "</div>\n<svg viewBox=\"0 0 900 356\" role=\"img\" aria-label=\"{}\">", escaped(&chart.title));
    let points = || chart.curves.iter().flat_map(|(_, points)| points).copied();
    let range = |of: fn((f64, f64)) -> f64| {
        points().map(of).fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (left, right) = range(|(x, _)| x);
    let (low, high) = range(|(_, y)| y.max(1e-9).log10());
    // Whole decades for times; a multiple begins at 1.
    let (bottom, top) = if chart.nanos { (low.floor(), high.ceil()) } else { (low.min(0.0), high.max(0.31)) };
    let x = |value: f64| LEFT + WIDTH * (value - left) / (right - left).max(1e-9);
    let y = |log: f64| TOP + HEIGHT * (1.0 - (log - bottom) / (top - bottom).max(1e-9));
    for (log, label) in marks(bottom, top, chart.nanos) {
        let at = y(log);
        put!(
            page,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
            LEFT + WIDTH
        );
        put!(page, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 8.0, at + 4.0);
    }
    for step in 0..=8 {
        let value = left + (right - left) * f64::from(step) / 8.0;
        let label = if right - left > 8.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        let at = TOP + HEIGHT + 20.0;
        put!(page, "<text x=\"{:.1}\" y=\"{at}\" text-anchor=\"middle\">{label}</text>", x(value));
    }
    for ((name, points), colour) in coloured() {
        let line: String =
            points.iter().map(|(px, py)| format!("{:.1},{:.1} ", x(*px), y(py.max(1e-9).log10()))).collect();
        put!(
            page,
            "<polyline stroke=\"{colour}\" points=\"{}\"><title>{}</title></polyline>",
            line.trim_end(),
            escaped(name)
        );
    }
    put!(
        page,
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n</svg>\n</section>",
        LEFT + WIDTH / 2.0,
        TOP + HEIGHT + 40.0,
        escaped(&chart.axis)
    );
}

/// Where lines of the grid lie between two logarithms, and what they say.
fn marks(bottom: f64, top: f64, nanos: bool) -> Vec<(f64, String)> {
    let mut marks = Vec::new();
    for decade in bottom.floor() as i32..=top.ceil() as i32 {
        for digit in [1.0, 2.0, 5.0] {
            let value = digit * 10_f64.powi(decade);
            let log = value.log10();
            // Over many decades only their beginnings.
            let wanted = digit < 1.5 || top - bottom < 2.5;
            if wanted && log >= bottom - 1e-9 && log <= top + 1e-9 {
                marks.push((log, if nanos { time(value) } else { format!("{value}x") }));
            }
        }
    }
    marks
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
