//! A report for a terminal.

use std::fmt::Write;

use super::{Report, Table};

impl Report {
    /// As text, for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.title);
        for (name, value) in &self.facts {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<10} {value}");
        }
        for table in &self.tables {
            write_table(&mut text, table);
        }
        text
    }
}

fn write_table(text: &mut String, table: &Table) {
    let _ = writeln!(text, "\n{}\n  {}", table.title, table.remark);
    let rows: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|(name, cells)| std::iter::once(name.clone()).chain(cells.iter().map(|c| c.text())).collect())
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().chain(std::iter::once(&table.columns));
        cells.filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    for row in std::iter::once(&table.columns).chain(&rows) {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("  {cell:<width$}"),
            _ => format!("  {cell:>width$}"),
        });
        let _ = writeln!(text, "{}", cells.collect::<String>().trim_end());
    }
}
