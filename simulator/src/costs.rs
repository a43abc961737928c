//! What things cost, in nanoseconds: the model's only link to a machine.

use std::{fmt, fmt::Write, str::FromStr};

/// What things cost. The defaults are those that the tables of docs/balance-simulation.md were made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Mean service time of a command in its book.
    pub service_nanos: u64,
    /// Scheduling, for each command, whoever runs it.
    pub scheduling_nanos: u64,
    /// Finding a victim and claiming of it, for each steal.
    pub steal_nanos: u64,
    /// Taking a command out of a ring into its book's mailbox.
    pub publish_nanos: u64,
    /// Refilling the cache with a book that another core had warm.
    pub refill_nanos: u64,
    /// A book is warm in a core until that core has run so many others.
    pub warm_books: u32,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            service_nanos: 235,
            scheduling_nanos: 2,
            steal_nanos: 300,
            publish_nanos: 15,
            refill_nanos: 2_400,
            warm_books: 64,
        }
    }
}

impl Costs {
    /// Names and values, in the order of a file.
    fn rows(&self) -> [(&'static str, u64); 6] {
        [
            ("service_nanos", self.service_nanos),
            ("scheduling_nanos", self.scheduling_nanos),
            ("steal_nanos", self.steal_nanos),
            ("publish_nanos", self.publish_nanos),
            ("refill_nanos", self.refill_nanos),
            ("warm_books", self.warm_books.into()),
        ]
    }

    /// As a costs file: `name = value`, one a line.
    #[must_use]
    pub fn to_file(&self) -> String {
        self.rows().iter().fold(String::new(), |mut text, (name, value)| {
            let _ = writeln!(text, "{name} = {value}");
            text
        })
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service_nanos, scheduling_nanos, steal_nanos, publish_nanos, refill_nanos, warm_books } =
            self;
        write!(
            f,
            "a command {service_nanos} ns + {scheduling_nanos} ns of scheduling; a steal {steal_nanos} ns + \
             {publish_nanos} ns a command; a warm book moved {refill_nanos} ns, warm for {warm_books} books"
        )
    }
}

impl FromStr for Costs {
    type Err = String;

    /// Reads a costs file. What it does not name has its default; `#` begins a remark.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut costs = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let wrong = || format!("line {number}: \"{line}\" is no \"name = nanoseconds\"");
            let (name, value) = line.split_once('=').ok_or_else(wrong)?;
            let value: u64 = value.trim().parse().map_err(|_| wrong())?;
            match name.trim() {
                "service_nanos" if value > 0 => costs.service_nanos = value,
                "scheduling_nanos" => costs.scheduling_nanos = value,
                "steal_nanos" => costs.steal_nanos = value,
                "publish_nanos" => costs.publish_nanos = value,
                "refill_nanos" => costs.refill_nanos = value,
                "warm_books" => costs.warm_books = u32::try_from(value).map_err(|_| wrong())?,
                _ => {
                    let known: Vec<_> = costs.rows().iter().map(|(name, _)| *name).collect();
                    return Err(format!("{}: costs are {}", wrong(), known.join(", ")));
                }
            }
        }
        Ok(costs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let costs = Costs { service_nanos: 180, refill_nanos: 900, warm_books: 32, ..Costs::default() };
        assert_eq!(costs.to_file().parse(), Ok(costs));
        assert_eq!("# all as it is\n\n".parse(), Ok(Costs::default()));
        for wrong in ["steal_nanos", "steal_nanos = fast", "speed = 3", "service_nanos = 0"] {
            assert!(wrong.parse::<Costs>().is_err(), "{wrong}");
        }
    }
}
