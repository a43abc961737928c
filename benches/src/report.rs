//! Results: a table for the reader, and a file for programs.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};

use crate::{args::Args, machine::Machine};

/// What a benchmark found.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    head: Value,
    rows: Vec<Value>,
}

impl Report {
    /// Prints where it runs, on what, and what is inside the clock.
    #[must_use]
    pub fn start(name: &'static str, args: &Args, workload: &str, clock: &str) -> Self {
        let machine = Machine::here();
        println!("{name}: {machine}");
        println!("  workload: {workload}; seed {}{}", args.seed, if args.quick { "; QUICK" } else { "" });
        println!("  clock:    {clock}\n");
        let head = json!({
            "benchmark": name,
            "cores": machine.cores,
            "processor": machine.processor,
            "kernel": machine.kernel,
            "load_before": machine.load,
            "optimised": machine.optimised,
            "seed": args.seed,
            "quick": args.quick,
            "workload": workload,
            "clock": clock,
        });
        Self { name, head, rows: Vec::new() }
    }

    /// Keeps a row for the file.
    pub fn row(&mut self, row: Value) {
        self.rows.push(row);
    }

    /// Writes the file, when one was asked for.
    ///
    /// # Errors
    /// Says which file could not be written.
    pub fn finish(self, args: &Args) -> Result<(), String> {
        args.json.as_deref().map_or(Ok(()), |path| self.write(path))
    }

    fn write(self, path: &Path) -> Result<(), String> {
        let mut whole = match self.head {
            Value::Object(head) => head,
            _ => Map::new(),
        };
        whole.insert("results".to_owned(), Value::Array(self.rows));
        let text = format!("{:#}\n", Value::Object(whole));
        fs::write(path, text)
            .map_err(|error| format!("{}: cannot write {}: {error}", self.name, path.display()))
    }
}
