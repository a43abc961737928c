//! What a study found, as tables and curves that know nothing of how they are shown.

mod html;
mod text;

/// A study's result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What it is about.
    pub title: String,
    /// What was asked and where, by name.
    pub facts: Vec<(&'static str, String)>,
    /// Its tables.
    pub tables: Vec<Table>,
    /// Its curves.
    pub charts: Vec<Chart>,
}

/// Rows of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// A short name.
    pub title: String,
    /// What the numbers are.
    pub remark: String,
    /// The heads of the columns; the first names the rows.
    pub columns: Vec<String>,
    /// The rows: a name, and as many cells as there are other columns.
    pub rows: Vec<(String, Vec<Cell>)>,
}

/// A number and its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// A time, in nanoseconds.
    Nanos(u64),
    /// A part or a multiple.
    Ratio(f64),
    /// How many.
    Count(u64),
}

/// Curves over one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// A short name.
    pub title: String,
    /// What is shown.
    pub remark: String,
    /// What x is.
    pub axis: String,
    /// Whether y is a time in nanoseconds; else a multiple. Both are drawn on a logarithmic scale.
    pub nanos: bool,
    /// Names, and points from left to right.
    pub curves: Vec<(String, Vec<(f64, f64)>)>,
}

impl Cell {
    /// As people read it.
    #[must_use]
    pub fn text(&self) -> String {
        match *self {
            Self::Nanos(nanos) => time(nanos as f64),
            Self::Ratio(ratio) if ratio >= 100.0 => format!("{ratio:.0}"),
            Self::Ratio(ratio) if ratio >= 10.0 => format!("{ratio:.1}"),
            Self::Ratio(ratio) => format!("{ratio:.2}"),
            Self::Count(count) => count.to_string(),
        }
    }
}

/// A time as people read it.
fn time(nanos: f64) -> String {
    match nanos {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e5 => format!("{:.1} us", n / 1e3),
        n if n < 1e6 => format!("{:.0} us", n / 1e3),
        n if n < 1e8 => format!("{:.1} ms", n / 1e6),
        n => format!("{:.0} ms", n / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            title: "A < B".into(),
            facts: vec![("seed", "1".into())],
            tables: vec![Table {
                title: "Latency".into(),
                remark: "Of all.".into(),
                columns: vec!["policy".into(), "p99".into(), "/ ideal".into()],
                rows: vec![("hash".into(), vec![Cell::Nanos(61_000_000), Cell::Ratio(3_388.9)])],
            }],
            charts: vec![Chart {
                title: "By load".into(),
                remark: "p99.".into(),
                axis: "load".into(),
                nanos: true,
                curves: vec![("hash".into(), vec![(0.1, 2_000.0), (0.9, 900_000.0)])],
            }],
        }
    }

    #[test]
    fn a_text_has_every_cell() {
        let text = report().text();
        for part in ["A < B", "seed", "Latency", "hash", "61.0 ms", "3389"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_page_stands_alone_and_escapes() {
        let page = report().html();
        for part in ["<!doctype html>", "A &lt; B", "61.0 ms", "<polyline", "</html>"] {
            assert!(page.contains(part), "{part}");
        }
        for foreign in ["http://", "https://", "<script", "url(", "@import", "src="] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        let points = page.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(points.split_whitespace().count(), 2);
    }

    #[test]
    fn times_keep_three_digits() {
        let texts = [235, 24_449, 110_000, 61_234_567, 194_000_000].map(|nanos| Cell::Nanos(nanos).text());
        assert_eq!(texts, ["235 ns", "24.4 us", "110 us", "61.2 ms", "194 ms"]);
    }
}
