//! Rates of symbols over a day: read from a file, or made up with a similar shape.

/// What one symbol did in a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolRates {
    /// Updates in the whole day.
    pub day: u64,
    /// Updates in a second, 99 of 100 seconds have no more.
    pub second_p99: u32,
    /// Updates in the hottest second.
    pub second_max: u32,
}

/// Reads a rates file: comma-separated, with a header that names at least `inside_updates`, `p99_per_s` and
/// `max_per_s`, one row for each symbol; a row whose symbol begins with `__` is a sum and skipped. Symbols without
/// updates are left out.
///
/// # Errors
/// When a column is missing or a number is none, with its line.
pub fn read_rates(text: &str) -> Result<Vec<SymbolRates>, String> {
    let mut lines = (1..).zip(text.lines());
    let (_, header) = lines.next().ok_or("the rates file is empty")?;
    let column = |name: &str| {
        header
            .split(',')
            .position(|column| column.trim() == name)
            .ok_or_else(|| format!("the rates file has no column \"{name}\""))
    };
    let (day, p99, max) = (column("inside_updates")?, column("p99_per_s")?, column("max_per_s")?);
    let mut rates = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("__")) {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let cell = |index: usize| {
            let text = cells.get(index).copied().unwrap_or_default();
            text.parse::<u64>()
                .map_err(|_| format!("line {number} of the rates file: \"{text}\" is no count"))
        };
        let second = |index| Ok::<_, String>(u32::try_from(cell(index)?).unwrap_or(u32::MAX));
        let symbol = SymbolRates { day: cell(day)?, second_p99: second(p99)?, second_max: second(max)? };
        if symbol.day > 0 {
            rates.push(symbol);
        }
    }
    if rates.is_empty() { Err("the rates file has no symbols".into()) } else { Ok(rates) }
}

/// Symbols of the made-up day.
const SYMBOLS: u32 = 8_172;
/// Updates of the made-up day.
const DAY: f64 = 206_622_013.0;

/// A made-up day with the skew of a NASDAQ day in 2012.
///
/// The share of rank r is in proportion to `exp(-(r/8)^0.29)`, a stretched exponential fitted to the day's top 10, 100,
/// 500 and 1,000: 5.1%, 26%, 56% and 71% (the day itself: 7.8%, 26%, 56%, 73%). The hottest second of a symbol and its
/// 99th percentile follow its mean per second m, by regression over all symbols on logarithms: `max = 104 m^0.365`,
/// `p99 = 11.8 m^0.74`.
#[must_use]
pub fn synthetic_rates() -> Vec<SymbolRates> {
    let weight = |rank: u32| (-(f64::from(rank) / 8.0).powf(0.29)).exp();
    let total: f64 = (1..=SYMBOLS).map(weight).sum();
    (1..=SYMBOLS)
        .map(|rank| {
            let day = (weight(rank) / total * DAY).max(20.0);
            let mean = day / super::equities::SECONDS;
            let max = (104.0 * mean.powf(0.365)).max(5.0);
            let p99 = (11.8 * mean.powf(0.74)).min(max / 2.0);
            SymbolRates { day: day as u64, second_p99: p99 as u32, second_max: max as u32 }
        })
        .collect()
}
