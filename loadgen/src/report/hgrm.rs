//! HdrHistogram's percentile text (`.hgrm`), as its plotters read it: values in microseconds.

use core::fmt::Write;

use hdrhistogram::Histogram;

/// Steps between two halvings of the distance to 100%.
const TICKS_PER_HALF: u32 = 5;

/// The distribution, line by line: value, share of values at or below it, how many those are, 1 / (1 - share).
pub(crate) fn text(histogram: &Histogram<u64>) -> String {
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut count = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF) {
        count += step.count_since_last_iteration();
        let value = step.value_iterated_to() as f64 / 1e3;
        let share = step.quantile_iterated_to();
        // Writing to a string cannot fail.
        let _ = if share < 1.0 {
            writeln!(text, "{value:>12.3} {share:>2.12} {count:>10} {:>14.2}", 1.0 / (1.0 - share))
        } else {
            writeln!(text, "{value:>12.3} {share:>2.12} {count:>10}")
        };
    }
    let _ = writeln!(
        text,
        "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]\n#[Max     = {:>12.3}, Total count    = {:>12}]\n#[Buckets = {:>12}, SubBuckets     = {:>12}]",
        histogram.mean() / 1e3,
        histogram.stdev() / 1e3,
        histogram.max() as f64 / 1e3,
        histogram.len(),
        histogram.buckets(),
        2_048,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_values_holds_all() {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000_000, 3).unwrap();
        for value in 1..=10_000 {
            histogram.record(value * 100).unwrap();
        }
        let text = text(&histogram);
        let mut lines = text.lines();
        assert_eq!(lines.next().unwrap().split_whitespace().count(), 4);
        assert_eq!(lines.next(), Some(""));
        let values: Vec<Vec<f64>> = lines
            .take_while(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|field| field.parse().unwrap()).collect())
            .collect();
        assert!(values.len() > 20);
        assert!(values.windows(2).all(|pair| pair[0][0] <= pair[1][0] && pair[0][2] <= pair[1][2]));
        let last = values.last().unwrap();
        assert_eq!((last.len(), last[1] as u64, last[2] as u64), (3, 1, 10_000));
        assert!((last[0] / 1_000.0 - 1.0).abs() < 0.001);
        assert!(text.contains("Total count    =        10000"));
    }
}
